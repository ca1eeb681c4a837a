//! Trades. Money first: an execution with a new id always reaches the position; what is odd about
//! it is said beside it.

use super::super::executions::{Execution, Seen};
use super::super::ledger::{Draft, Figures, settled};
use super::super::state::State;
use super::super::turn::{Anomaly, Output, Turn};
use super::control;
use crate::code::Code;
use crate::event::Event;
use crate::input::{ExecKey, Input};
use crate::instrument::InstrumentId;
use crate::order::{Cell, RequestKind};
use crate::order::{ClOrdId, Flags, Order, OrderEvent, OrderState};
use crate::position::Fill;
use crate::units::{Price, Qty, Side};
use arrayvec::ArrayVec;

/// A trade, and the key that it came with.
struct Booking {
    exec: ExecKey,
    trade: Execution,
}

/// An anomaly's code and quantity.
type Oddities = ArrayVec<(Code, Qty), 4>;

/// An execution report with a trade.
pub(super) fn trade(turn: &mut Turn<'_, impl Output>, input: &Input) {
    let Input::Trade { order, exec, qty, price, commission, instrument, side, defect, .. } = *input
    else {
        unreachable!("the caller matched it")
    };
    if let Some(code) = defect.filter(|code| *code != Code::Overflow) {
        return turn.refuse(code, order, ClOrdId::NONE);
    }
    if qty.0 <= 0 {
        return turn.refuse(Code::BadQty, order, ClOrdId::NONE);
    }
    let known = turn.state().order(order);
    let (instrument, side) = traded(turn, known, (instrument, side));
    if turn.state().book(instrument).is_none() {
        let code = if known.is_some() { Code::UnknownSymbol } else { Code::UnknownOrder };
        return turn.refuse(code, order, ClOrdId::NONE);
    }
    match turn.state().executions().seen(exec, qty, price) {
        Seen::New => {}
        Seen::Same => return refuse(turn, Code::DuplicateExecution, order, exec),
        Seen::Conflicting => {
            let (code, booked) = (Code::ConflictingExecution, false);
            return turn.anomaly(instrument, Anomaly { code, order, exec, qty, booked });
        }
    }
    let figures = Figures { qty, price };
    let trade = turn.state().execution(order, instrument, side, figures, commission);
    let booking = Booking { exec, trade };
    // A figure that the edge could not even write down is out of range like one that is.
    if defect.is_some() || !can_book(turn, &booking) {
        return unbooked(turn, exec, &trade, Code::Overflow);
    }
    let oddities = oddities(turn, &booking);
    book(turn, &booking);
    for (code, qty) in oddities {
        turn.anomaly(instrument, Anomaly { code, order, exec, qty, booked: true });
    }
    look_around(turn);
}

/// What every change of a position may lead to.
pub(super) fn look_around(turn: &mut Turn<'_, impl Output>) {
    if turn.state().executions().is_full() {
        // The next execution could not be told from a duplicate.
        turn.halt(Code::Capacity);
    }
    control::watch_equity(turn);
}

/// Refuses a report of an execution.
pub(super) fn refuse(turn: &mut Turn<'_, impl Output>, code: Code, order: ClOrdId, exec: ExecKey) {
    let request = ClOrdId::NONE;
    turn.emit(Event::Refused { code, order, request, exec, state: 0, event: None });
}

/// What was traded, and which way. An order of ours says it itself; the report does for one that we
/// do not know, for a row that only other reports made, and for a symbol that nobody knew.
fn traded(
    turn: &Turn<'_, impl Output>,
    known: Option<&Order>,
    report: (InstrumentId, Side),
) -> (InstrumentId, Side) {
    let Some(order) = known else { return report };
    let vague = order.flags.has(Flags::UNKNOWN) || turn.state().book(order.instrument).is_none();
    let is_usable = turn.state().book(report.0).is_some();
    if vague && is_usable { report } else { (order.instrument, order.side) }
}

/// Whether every figure stays in its range: tried on a draft, since booking is all or nothing.
fn can_book(turn: &Turn<'_, impl Output>, Booking { trade, .. }: &Booking) -> bool {
    let state = turn.state();
    let order_fits = state.order(trade.order).is_none_or(|order| {
        let value = i128::from(trade.price.0) * i128::from(trade.qty.0);
        order.cum_qty.checked_add(trade.qty).is_some()
            && order.cum_value.checked_add(value).is_some()
    });
    let Some((mut draft, book)) =
        Draft::new(state, trade.instrument).zip(state.book(trade.instrument))
    else {
        return false;
    };
    let strategy = u16::from(trade.strategy);
    let attributes = |fill: &Fill| {
        let (books, fills) = (state.strategy_books(), std::slice::from_ref(fill));
        books.can_book(strategy, trade.instrument, fills, book)
    };
    order_fits
        && draft.fill(trade).is_ok_and(|fill| attributes(&fill))
        && draft.book(*trade).is_ok()
        && settled(state.account(), book, &draft.position).is_ok()
}

/// The one exception to "never dropped": recorded, not booked, and the engine halts.
pub(super) fn unbooked(
    turn: &mut Turn<'_, impl Output>,
    exec: ExecKey,
    trade: &Execution,
    reason: Code,
) {
    let Execution { order, instrument, qty, .. } = *trade;
    turn.emit(Event::Unbooked { order, exec, instrument, reason });
    turn.anomaly(instrument, Anomaly { code: reason, order, exec, qty, booked: false });
    turn.halt(Code::Anomaly);
}

/// What is odd about a trade.
fn oddities(turn: &Turn<'_, impl Output>, booking: &Booking) -> Oddities {
    let mut found = Oddities::new();
    let Execution { order: id, qty, price, .. } = booking.trade;
    let Some(order) = turn.state().order(id) else {
        found.push((unknown_code(turn, id), qty));
        return found;
    };
    if order.flags.has(Flags::UNKNOWN) {
        found.push((Code::UnknownOrder, qty));
        return found;
    }
    let excess = order.cum_qty.0 + qty.0 - order.order_qty.max(order.cum_qty).0;
    if excess > 0 {
        found.push((Code::Overfill, Qty(excess)));
    }
    let late =
        order.state != OrderState::Filled && order.state.on(OrderEvent::TradePart) == Cell::Late;
    if late {
        found.push((Code::LateFill, qty));
    }
    if is_worse(order, price) {
        found.push((Code::WorseThanLimit, qty));
    }
    found
}

/// A trade on an order that has been retired is late; on one that never was, unknown.
fn unknown_code(turn: &Turn<'_, impl Output>, order: ClOrdId) -> Code {
    let was_ours = order != ClOrdId::NONE
        && order.source() < crate::limits::SOURCES_MAX
        && !turn.state().is_new_id(order);
    if was_ours { Code::LateFill } else { Code::UnknownOrder }
}

/// Whether a price is worse than the limit, and than every limit that was asked for and may hold.
pub(super) fn is_worse(order: &Order, price: Price) -> bool {
    if !order.ord_type.has_limit() {
        return false;
    }
    let asked = order.requests.iter().filter(|r| r.kind == RequestKind::Replace);
    let limits = asked.map(|request| request.sent.price).chain([order.price]).flatten();
    let worse = |limit: Price| match order.side {
        Side::Buy => price > limit,
        Side::Sell => price < limit,
    };
    let mut limits = limits.peekable();
    limits.peek().is_some() && limits.all(worse)
}

/// Books it to the order, where there is one or room for one, and to the position.
fn book(turn: &mut Turn<'_, impl Output>, booking: &Booking) {
    let Booking { exec, trade } = *booking;
    let Execution { order, instrument, side, qty, price, commission, .. } = trade;
    let unknown = turn.state().order(order).is_none();
    let never_was = unknown && unknown_code(turn, order) == Code::UnknownOrder;
    if never_was && State::may_have_row(order) && !turn.state().orders().is_full() {
        turn.emit(Event::Unassigned { order, instrument, side });
    }
    let (cum_qty, state) = match turn.state().order(order) {
        Some(order) => after(order, qty),
        None => (qty, OrderState::Closed),
    };
    turn.emit(Event::Traded {
        order,
        exec,
        instrument,
        last_qty: qty,
        last_px: price,
        commission,
        cum_qty,
        side,
        state,
    });
    tell_position(turn, instrument);
}

/// Says what a position has become.
pub(super) fn tell_position(turn: &mut Turn<'_, impl Output>, instrument: InstrumentId) {
    let position = turn.state().position(instrument).expect("its book was found");
    let (qty, open_cost) = (position.qty, position.open_cost);
    let realized = position.net_realized().expect("booking keeps it in range");
    turn.emit(Event::Position { instrument, qty, open_cost, realized });
}

/// The order's quantity and state after a trade: what `apply` will find, said beforehand.
fn after(order: &Order, qty: Qty) -> (Qty, OrderState) {
    let cum_qty = Qty(order.cum_qty.0 + qty.0);
    let whole = !order.flags.has(Flags::UNKNOWN) && cum_qty >= order.order_qty;
    let event = if whole { OrderEvent::TradeFull } else { OrderEvent::TradePart };
    match order.state.on(event) {
        Cell::To(state) => (cum_qty, state),
        Cell::Same | Cell::Late | Cell::Old | Cell::Bad => (cum_qty, order.state),
    }
}
