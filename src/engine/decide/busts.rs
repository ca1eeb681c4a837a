//! Trades that never were, and trades that were otherwise: the venue takes back what it reported.

use super::super::executions::Standing;
use super::super::ledger::Figures;
use super::super::turn::{Anomaly, Output, Turn};
use super::executions::{is_worse, look_around, refuse, tell_position, unbooked};
use super::is_ours;
use crate::code::Code;
use crate::event::Event;
use crate::input::{ExecKey, Input};
use crate::order::ClOrdId;
use crate::units::Qty;

/// What both reports say.
struct Report {
    order: ClOrdId,
    /// Of the report itself.
    exec: ExecKey,
    /// The trade, or a correction of it.
    exec_ref: ExecKey,
    /// What the trade was; nothing if it never was.
    figures: Option<Figures>,
}

/// A trade never was.
pub(super) fn bust(
    turn: &mut Turn<'_, impl Output>,
    order: ClOrdId,
    exec: ExecKey,
    exec_ref: ExecKey,
) {
    let report = Report { order, exec, exec_ref, figures: None };
    let Some(standing) = find(turn, &report) else { return };
    amend(turn, &report, &standing);
}

/// A trade was otherwise.
pub(super) fn correct(turn: &mut Turn<'_, impl Output>, input: &Input) {
    let Input::Correct { order, exec, exec_ref, qty, price, defect } = *input else {
        unreachable!("the caller matched it")
    };
    if let Some(code) = defect.filter(|code| *code != Code::Overflow) {
        return refuse(turn, code, order, exec);
    }
    if qty.0 <= 0 {
        return refuse(turn, Code::BadQty, order, exec);
    }
    let report = Report { order, exec, exec_ref, figures: Some(Figures { qty, price }) };
    let Some(standing) = find(turn, &report) else { return };
    if defect.is_some() {
        // A figure that the edge could not even write down is out of range like one that is.
        return unbooked(turn, exec, &standing.execution, Code::Overflow);
    }
    if turn.state().executions().place_to_come(1).is_none() {
        // Two places may be needed: for the opposite of the trade as it was, and for what it is.
        return unbooked(turn, exec, &standing.execution, Code::Capacity);
    }
    amend(turn, &report, &standing);
}

/// The trade that a report is about. Refuses the report and returns `None` if there is none, or the
/// report has come before.
fn find(turn: &mut Turn<'_, impl Output>, report: &Report) -> Option<Standing> {
    let Report { order, exec, exec_ref, .. } = *report;
    let executions = turn.state().executions();
    if executions.knows(exec) {
        refuse(turn, Code::DuplicateExecution, order, exec);
        return None;
    }
    let found = executions.standing(exec_ref).filter(|found| found.execution.order == order);
    if found.is_none() {
        refuse(turn, Code::UnknownExecution, order, exec);
    }
    found
}

/// Changes what the trade did: all of it or, past a bound, nothing.
fn amend(turn: &mut Turn<'_, impl Output>, report: &Report, standing: &Standing) {
    let Report { order, exec, exec_ref, figures } = *report;
    let trade = standing.execution;
    let state = turn.state();
    let reshaped = state.reshaped(standing, figures);
    let amended = state.amended(standing, figures);
    let (Some(reshaped), Ok(amended)) = (reshaped, amended) else {
        return unbooked(turn, exec, &trade, Code::Overflow);
    };
    let oddity = figures.and_then(|figures| {
        let row = state.row_of(standing).filter(|row| is_ours(row.flags))?;
        let worse = figures.price != trade.price && is_worse(row, figures.price);
        worse.then_some(figures.qty)
    });
    let (instrument, side, exact) = (trade.instrument, trade.side, amended.exact);
    let (cum_qty, state) = (reshaped.cum_qty, reshaped.state);
    turn.emit(match figures {
        None => {
            let (last_qty, last_px) = (trade.qty, trade.price);
            Event::Busted {
                order,
                exec,
                exec_ref,
                instrument,
                last_qty,
                last_px,
                cum_qty,
                side,
                state,
                exact,
            }
        }
        Some(Figures { qty: last_qty, price: last_px }) => Event::Corrected {
            order,
            exec,
            exec_ref,
            instrument,
            last_qty,
            last_px,
            cum_qty,
            side,
            state,
            exact,
        },
    });
    tell_position(turn, instrument);
    let told = [
        (Code::Overfill, (reshaped.excess > Qty(0)).then_some(reshaped.excess)),
        (Code::WorseThanLimit, oddity),
        (Code::BustApproximate, (!exact).then_some(trade.qty)),
    ];
    for (code, qty) in told {
        if let Some(qty) = qty {
            turn.anomaly(instrument, Anomaly { code, order, exec, qty, booked: true });
        }
    }
    look_around(turn);
}
