//! Trades. Money first: an execution with a new id always reaches the position; what is odd about
//! it is said beside it.

use super::super::executions::Seen;
use super::super::state::State;
use super::super::turn::{Anomaly, Output, Turn};
use super::control;
use crate::code::Code;
use crate::event::Event;
use crate::input::{ExecKey, Input};
use crate::instrument::InstrumentId;
use crate::limits::PRICE_MAX;
use crate::order::{Cell, RequestKind};
use crate::order::{ClOrdId, Flags, Order, OrderEvent, OrderState};
use crate::position::{Balance, Fill, slippage};
use crate::units::{Money, Price, Qty, Side};
use arrayvec::ArrayVec;

/// A trade, and what it belongs to.
struct Booking {
    order: ClOrdId,
    exec: ExecKey,
    instrument: InstrumentId,
    fill: Fill,
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
        Seen::Same => {
            let (code, request) = (Code::DuplicateExecution, ClOrdId::NONE);
            return turn.emit(Event::Refused { code, order, request, exec, state: 0, event: None });
        }
        Seen::Conflicting => {
            let (code, booked) = (Code::ConflictingExecution, false);
            return turn.anomaly(instrument, Anomaly { code, order, exec, qty, booked });
        }
    }
    let fill = Fill { side, qty, price, commission, slippage: Money::ZERO };
    let booking = Booking { order, exec, instrument, fill };
    // A figure that the edge could not even write down is out of range like one that is.
    if defect.is_some() || !can_book(turn, &booking) {
        return unbooked(turn, &booking);
    }
    let oddities = oddities(turn, &booking);
    book(turn, &booking);
    for (code, qty) in oddities {
        turn.anomaly(instrument, Anomaly { code, order, exec, qty, booked: true });
    }
    if turn.state().executions().is_full() {
        // The next execution could not be told from a duplicate.
        turn.halt(Code::Capacity);
    }
    control::check_drawdown(turn);
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

/// Whether every figure stays in its range: tried on a copy, since booking is all or nothing.
fn can_book(turn: &Turn<'_, impl Output>, booking: &Booking) -> bool {
    let state = turn.state();
    let Some(book) = state.book(booking.instrument) else { return false };
    if booking.fill.price.0.unsigned_abs() > PRICE_MAX.unsigned_abs() {
        return false;
    }
    let order_fits = state.order(booking.order).is_none_or(|order| {
        let value = i128::from(booking.fill.price.0) * i128::from(booking.fill.qty.0);
        order.cum_qty.checked_add(booking.fill.qty).is_some()
            && order.cum_value.checked_add(value).is_some()
    });
    let decided = state.order(booking.order).and_then(|order| order.decision_px);
    let Fill { side, qty, price, .. } = booking.fill;
    let slip = slippage(side, qty, price, decided.unwrap_or(price), book.lot_value);
    let Some(slippage) = slip else { return false };
    let fill = Fill { slippage, ..booking.fill };
    let mut after = book.position;
    if after.book(&fill, book.lot_value, book.qty_limit).is_err() {
        return false;
    }
    let after = Balance::of(&after, book.market.price, book.lot_value);
    let change = after.zip(book.balance()).map(|(after, before)| after.since(before));
    let Some(change) = change else { return false };
    let strategy = state.strategy_of(booking.order);
    order_fits
        && state.account().can_change(book.currency, change)
        && state.strategy_books().can_book(strategy, booking.instrument, &fill, book)
}

/// The one exception to "never dropped": recorded, not booked, and the engine halts.
fn unbooked(turn: &mut Turn<'_, impl Output>, booking: &Booking) {
    let Booking { order, exec, instrument, fill } = booking;
    let (order, exec, instrument, qty) = (*order, *exec, *instrument, fill.qty);
    turn.emit(Event::Unbooked { order, exec, instrument, reason: Code::Overflow });
    turn.anomaly(instrument, Anomaly { code: Code::Overflow, order, exec, qty, booked: false });
    turn.halt(Code::Anomaly);
}

/// What is odd about a trade.
fn oddities(turn: &Turn<'_, impl Output>, booking: &Booking) -> Oddities {
    let mut found = Oddities::new();
    let Fill { qty, price, .. } = booking.fill;
    let Some(order) = turn.state().order(booking.order) else {
        found.push((unknown_code(turn, booking.order), qty));
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
fn is_worse(order: &Order, price: Price) -> bool {
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
    let Booking { order, exec, instrument, fill } = booking;
    let (order, instrument) = (*order, *instrument);
    let unknown = turn.state().order(order).is_none();
    let never_was = unknown && unknown_code(turn, order) == Code::UnknownOrder;
    if never_was && State::may_have_row(order) && !turn.state().orders().is_full() {
        turn.emit(Event::Unassigned { order, instrument, side: fill.side });
    }
    let (cum_qty, state) = match turn.state().order(order) {
        Some(order) => after(order, fill.qty),
        None => (fill.qty, OrderState::Closed),
    };
    turn.emit(Event::Traded {
        order,
        exec: *exec,
        instrument,
        last_qty: fill.qty,
        last_px: fill.price,
        commission: fill.commission,
        cum_qty,
        side: fill.side,
        state,
    });
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
