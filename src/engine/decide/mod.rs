//! The rules: what an input means in the state that it meets. Reads the state, proposes events.

mod busts;
mod contingents;
mod control;
mod executions;
mod orders;
mod reports;
mod requests;
mod restart;

use super::turn::{Output, Turn};
use crate::code::Code;
use crate::event::Event;
use crate::input::Input;
use crate::order::{ClOrdId, Flags};

/// Decides one input.
pub(super) fn decide(turn: &mut Turn<'_, impl Output>, clamped: bool, input: &Input) {
    if clamped {
        if turn.state().settings.refuse_old_time {
            return turn.refuse(Code::TimeWentBack, ClOrdId::NONE, ClOrdId::NONE);
        }
        let (code, number) = (Code::TimeClamped, crate::units::Ratio(0));
        turn.emit(Event::Warning { code, order: ClOrdId::NONE, other: u16::MAX, number });
    }
    if turn.state().is_reconciling() && input.may_send() {
        return turn.refuse(Code::NotReconciled, ClOrdId::NONE, ClOrdId::NONE);
    }
    match *input {
        Input::Text { .. } | Input::Restart { .. } | Input::Reconciled { .. } => {}
        Input::Opening { instrument, qty, avg_px } => {
            control::opening(turn, instrument, qty, avg_px);
        }
        Input::Signal { .. } => orders::signal(turn, input),
        Input::Order { .. } => orders::order(turn, input),
        Input::ClosePosition { id, instrument } => orders::close_position(turn, id, instrument),
        Input::Contingent { .. } => contingents::take_in(turn, input),
        Input::Cancel { id, order } => requests::cancel(turn, id, order),
        Input::Replace { .. } => requests::replace(turn, input),
        Input::Mark { instrument, price, bid, ask } => {
            control::mark(turn, instrument, [Some(price), bid, ask]);
        }
        Input::Bar { instrument, open, high, low, close, .. } => {
            control::bar(turn, instrument, [open, high, low, close]);
        }
        Input::Trade { .. } => executions::trade(turn, input),
        Input::Status { order, kind, request } => reports::status(turn, order, kind, request),
        Input::Replaced { .. } => reports::replaced(turn, input),
        Input::Restated { order, qty } => reports::restated(turn, order, qty),
        Input::Halt { cancel_working } => control::halt(turn, cancel_working),
        Input::LogBehind { .. } => turn.halt(Code::Journal),
        Input::Resume {} => control::resume(turn),
        Input::CancelAll {} => control::cancel_all(turn),
        Input::DayRoll {} => control::day_roll(turn),
        Input::Timer {} => control::timer(turn),
        Input::Continue {} => control::sweep(turn),
        Input::Rate { currency, price, inverse } => control::rate(turn, currency, price, inverse),
        Input::Bust { order, exec, exec_ref } => busts::bust(turn, order, exec, exec_ref),
        Input::Correct { .. } => busts::correct(turn, input),
        Input::SetLimit { .. } => control::set_limit(turn, input),
        Input::Found { .. } => restart::found(turn, input),
        Input::Stop {} => turn.checkpoint(),
    }
    if let Input::Mark { .. } | Input::Bar { .. } | Input::Timer {} | Input::DayRoll {} = input {
        // What comes whether anybody trades or not.
        control::watch_answers(turn);
    }
}

/// Whether an order is one that an input made, and not a row for trades that nobody ordered.
fn is_ours(flags: Flags) -> bool {
    !flags.has(Flags::UNKNOWN)
}
