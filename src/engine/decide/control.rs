//! Market data, the kill switch, the day, and walks over all orders.

use super::super::apply::usable_marks;
use super::super::turn::{Output, Turn};
use crate::broker::Message;
use crate::code::Code;
use crate::event::Event;
use crate::input::Input;
use crate::instrument::InstrumentId;
use crate::limits::{SWEEP_ORDERS_MAX, SWEEP_SLOTS_MAX};
use crate::order::{Cell, ClOrdId, Flags, Order, OrderBook, OrderEvent, RequestKind, SweepKind};
use crate::position::{Balance, Position, Rate};
use crate::risk::repeats_limit;
use crate::settings::Scope;
use crate::units::{Price, Qty, Ts};

/// A position that was held before the first order.
pub(super) fn opening(
    turn: &mut Turn<'_, impl Output>,
    instrument: InstrumentId,
    qty: Qty,
    avg_px: Price,
) {
    let Some(book) = turn.state().book(instrument) else {
        return turn.refuse(Code::UnknownSymbol, ClOrdId::NONE, ClOrdId::NONE);
    };
    let nobodys = turn.state().strategy_books().get(0, instrument);
    let is_untouched = |position: &Position| *position == Position::default();
    if !is_untouched(&book.position) || !nobodys.is_some_and(|own| is_untouched(&own.position)) {
        // It would overwrite what was traded.
        return turn.refuse(Code::IllegalTransition, ClOrdId::NONE, ClOrdId::NONE);
    }
    let held = Position::held(qty, avg_px, book.lot_value, book.qty_limit);
    let fits = |held: &Position| {
        let after = Balance::of(held, book.market.price, book.lot_value);
        let change = after.zip(book.balance()).map(|(after, before)| after.since(before));
        change.is_some_and(|change| turn.state().account().can_change(book.currency, change))
    };
    match held.ok().filter(fits) {
        Some(Position { open_cost, .. }) => {
            turn.emit(Event::PositionOpened { instrument, qty, open_cost });
        }
        None => turn.refuse(Code::Overflow, ClOrdId::NONE, ClOrdId::NONE),
    }
}

/// A market price: `apply` has taken it in with the input, if it can be used.
pub(super) fn mark(
    turn: &mut Turn<'_, impl Output>,
    instrument: InstrumentId,
    [price, bid, ask]: [Option<Price>; 3],
) {
    let price = price.expect("a mark has a price");
    let message = Message::Mark { instrument, price, bid, ask };
    market(turn, instrument, &[Some(price), bid, ask], message);
}

/// A completed bar: likewise.
pub(super) fn bar(turn: &mut Turn<'_, impl Output>, instrument: InstrumentId, prices: [Price; 4]) {
    let message = Message::Bar { instrument, prices };
    market(turn, instrument, &prices.map(Some), message);
}

fn market(
    turn: &mut Turn<'_, impl Output>,
    instrument: InstrumentId,
    prices: &[Option<Price>],
    message: Message,
) {
    if turn.state().book(instrument).is_none() {
        return turn.refuse(Code::UnknownSymbol, ClOrdId::NONE, ClOrdId::NONE);
    }
    if !usable_marks(prices) {
        return turn.refuse(Code::BadPrice, ClOrdId::NONE, ClOrdId::NONE);
    }
    let (Message::Mark { price, .. } | Message::Bar { prices: [.., price], .. }) = message else {
        unreachable!("only market data comes here")
    };
    if turn.state().mark(instrument) != Some(price) {
        // With it the account would leave its range: `apply` has not taken it in.
        return turn.refuse(Code::Overflow, ClOrdId::NONE, ClOrdId::NONE);
    }
    watch_equity(turn);
    if turn.state().settings.forward_market_data {
        turn.send(message);
    }
}

/// A conversion mark: `apply` has taken it in with the input, if it can be used.
pub(super) fn rate(turn: &mut Turn<'_, impl Output>, currency: u16, price: Price, inverse: bool) {
    let rates = turn.state().account().rates();
    if !rates.is_foreign(currency) {
        return turn.refuse(Code::UnknownSymbol, ClOrdId::NONE, ClOrdId::NONE);
    }
    let Some(rate) = Rate::new(price, inverse) else {
        return turn.refuse(Code::BadPrice, ClOrdId::NONE, ClOrdId::NONE);
    };
    if rates.get(currency) != Some(rate) {
        // With it the account would leave its range: `apply` has not taken it in.
        return turn.refuse(Code::Overflow, ClOrdId::NONE, ClOrdId::NONE);
    }
    watch_equity(turn);
}

/// What every change of equity or of a position may lead to: a halt when equity has fallen too far
/// from its peak, latched until a person resumes; a call when it no longer covers what is held.
pub(super) fn watch_equity(turn: &mut Turn<'_, impl Output>) {
    let state = turn.state();
    if let Some(limit) = state.settings.risk.limits.max_drawdown_pct
        && state.account().drawdown(limit).broken
    {
        turn.halt(Code::MaxDrawdown);
    }
    watch_margin(turn);
}

/// Says once when equity falls below the maintenance margin, and once when it is back. A figure
/// that cannot be had changes nothing: new exposure is refused for it anyway.
fn watch_margin(turn: &mut Turn<'_, impl Output>) {
    let state = turn.state();
    let Some(needed) = state.maintenance_margin().filter(|_| state.watches_margin) else { return };
    let equity = state.account().equity();
    match (needed > equity, state.margin_call()) {
        (true, false) => turn.emit(Event::MarginCall { needed, equity }),
        (false, true) => turn.emit(Event::MarginMet {}),
        (true, true) | (false, false) => {}
    }
}

/// The kill switch. A second one is refused as a halt, which stands already; what it asks to cancel
/// is asked to be cancelled all the same: whoever pulls it must not have to know who did before.
pub(super) fn halt(turn: &mut Turn<'_, impl Output>, cancel_working: bool) {
    if turn.state().halted().is_some() {
        turn.refuse(Code::AlreadyHalted, ClOrdId::NONE, ClOrdId::NONE);
    } else {
        turn.halt(Code::Operator);
    }
    if cancel_working {
        cancel_all(turn);
    }
}

/// Manual re-arm: of the engine, of every instrument, of every strategy that has sent as many
/// orders as it may.
pub(super) fn resume(turn: &mut Turn<'_, impl Output>) {
    let state = turn.state();
    let risk = &state.settings().risk;
    let waits = state.halted().is_some()
        || state.books().iter().any(|book| book.halted.is_some())
        || state.controls().repeats.any_used_up(|sender| repeats_limit(risk, sender));
    if !waits {
        return turn.refuse(Code::NotHalted, ClOrdId::NONE, ClOrdId::NONE);
    }
    turn.emit(Event::Resumed {});
}

/// A person changes a limit.
pub(super) fn set_limit(turn: &mut Turn<'_, impl Output>, input: &Input) {
    let Input::SetLimit { scope, instrument, strategy, key, value } = *input else {
        unreachable!("the caller matched it")
    };
    let refuse = |turn: &mut Turn<'_, _>, code| turn.refuse(code, ClOrdId::NONE, ClOrdId::NONE);
    let known = turn.state().settings().risk.limits_of(scope, instrument, strategy);
    let Some(limits) = known else {
        return refuse(
            turn,
            match scope {
                Scope::Instrument => Code::UnknownSymbol,
                Scope::Strategy | Scope::Account => Code::Capacity,
            },
        );
    };
    if scope != Scope::Account && !key.is_scoped() {
        // There is no place for it: the limit is the account's alone.
        return refuse(turn, Code::Capacity);
    }
    let mut after = limits.clone();
    if value > Some(key.most()) || after.set(key, value).is_err() {
        return refuse(turn, Code::Overflow);
    }
    if after == *limits {
        return refuse(turn, Code::NoChange);
    }
    turn.emit(Event::LimitSet { scope, instrument, strategy, key, value });
    watch_equity(turn);
}

/// Asks to cancel every working order: begins anew if a walk is under way.
pub(super) fn cancel_all(turn: &mut Turn<'_, impl Output>) {
    turn.emit(Event::Sweep { kind: SweepKind::Cancel, next: 0, done: false });
    sweep(turn);
}

/// A new trading day.
pub(super) fn day_roll(turn: &mut Turn<'_, impl Output>) {
    let equity = turn.state().account().equity();
    turn.emit(Event::DayRolled { equity });
    if turn.state().settings.day_roll_ends_orders {
        turn.send(Message::DayRoll);
        turn.emit(Event::Sweep { kind: SweepKind::Retire, next: 0, done: false });
        sweep(turn);
    }
}

/// Time passed: a simulated venue acts on it.
pub(super) fn timer(turn: &mut Turn<'_, impl Output>) {
    if turn.state().settings.forward_market_data {
        turn.send(Message::Time);
    }
}

/// Begins a walk for orders and requests that the venue has not answered in time, where that is
/// asked for; at most every quarter of that time, so that it is said at most so much late. The walk
/// itself goes in turns of its own.
pub(super) fn watch_answers(turn: &mut Turn<'_, impl Output>) {
    let state = turn.state();
    let Some(timeout) = state.settings.risk.limits.answer_timeout_ms else { return };
    let is_due = state.ts().since(state.overdue_since) >= timeout.nanos() / 4;
    if is_due && state.sweeps().get(SweepKind::Overdue).is_none() {
        turn.emit(Event::Sweep { kind: SweepKind::Overdue, next: 0, done: false });
    }
}

/// One bounded turn of a walk over the orders; the kill switch's first.
pub(super) fn sweep(turn: &mut Turn<'_, impl Output>) {
    let Some((kind, begin)) = turn.state().sweeps().next() else { return };
    if kind == SweepKind::Contingent {
        return super::contingents::sweep(turn);
    }
    let begin = usize::try_from(begin).expect("a 64-bit machine");
    let used = turn.state().orders().used();
    let (mut at, mut acted) = (begin, 0);
    while at < used && at - begin < SWEEP_SLOTS_MAX && acted < SWEEP_ORDERS_MAX {
        if let Some(order) = turn.state().orders().at(at).cloned() {
            acted += match kind {
                SweepKind::Cancel => usize::from(ask_cancel(turn, &order)),
                SweepKind::Retire => usize::from(retire(turn, &order)),
                SweepKind::Overdue => say_unanswered(turn, &order),
                SweepKind::Contingent => 0,
            };
        }
        at += 1;
    }
    let next = u32::try_from(at).expect("limits.rs bounds it");
    turn.emit(Event::Sweep { kind, next, done: at >= used });
}

fn ask_cancel(turn: &mut Turn<'_, impl Output>, order: &Order) -> bool {
    if order.is_held() {
        super::contingents::withdraw(turn, order.id, Code::Operator);
        return true;
    }
    let open = order.state.on(OrderEvent::AskCancel) == Cell::Same && super::is_ours(order.flags);
    if !open || order.requests.is_full(RequestKind::Cancel) {
        return false;
    }
    let request = turn.state().next_own_id();
    turn.emit(Event::CancelAsked { order: order.id, request });
    let (order, instrument) = (order.id, order.instrument);
    turn.send(Message::Cancel { order, request, instrument });
    true
}

fn retire(turn: &mut Turn<'_, impl Output>, order: &Order) -> bool {
    if !OrderBook::can_retire(order) {
        return false;
    }
    turn.emit(Event::Closed { order: order.id });
    true
}

/// Says what of an order the venue has not answered for longer than it may take, once each. Nothing
/// is sent again and nothing counts for less: what became of it nobody knows. Returns how many.
fn say_unanswered(turn: &mut Turn<'_, impl Output>, order: &Order) -> usize {
    let state = turn.state();
    let (now, timeout) = (state.ts(), state.settings.risk.limits.answer_timeout_ms);
    // Switched off since the walk began.
    let Some(timeout) = timeout else { return 0 };
    let is_late = |since: Ts| now.since(since) > timeout.nanos();
    let mut said = 0;
    if order.awaits_answer() && !order.flags.has(Flags::OVERDUE) && is_late(order.handed_over) {
        let (order, request, since) = (order.id, ClOrdId::NONE, order.handed_over);
        turn.emit(Event::Unanswered { order, request, since });
        said += 1;
    }
    for request in order.requests.iter().filter(|r| !r.overdue && is_late(r.since)) {
        let (order, request, since) = (order.id, request.id, request.since);
        turn.emit(Event::Unanswered { order, request, since });
        said += 1;
    }
    said
}
