//! Market data, the kill switch, the day, and walks over all orders.

use super::super::apply::usable_marks;
use super::super::turn::{Output, Turn};
use crate::broker::Message;
use crate::code::Code;
use crate::event::Event;
use crate::instrument::InstrumentId;
use crate::limits::SWEEP_ORDERS_MAX;
use crate::order::{Cell, ClOrdId, Order, OrderBook, OrderEvent, RequestKind, SweepKind};
use crate::position::Position;
use crate::units::{Price, Qty};

/// Slots that one turn of a sweep looks at: empty ones cost little, but not nothing.
const SWEEP_SLOTS_MAX: usize = 1_024;

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
    if book.position != Position::default() {
        // It would overwrite what was traded.
        return turn.refuse(Code::IllegalTransition, ClOrdId::NONE, ClOrdId::NONE);
    }
    match Position::held(qty, avg_px, book.lot_value, book.qty_limit) {
        Ok(Position { open_cost, .. }) => {
            turn.emit(Event::PositionOpened { instrument, qty, open_cost });
        }
        Err(_) => turn.refuse(Code::Overflow, ClOrdId::NONE, ClOrdId::NONE),
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
    check_drawdown(turn);
    if turn.state().settings.forward_market_data {
        turn.send(message);
    }
}

/// Halts when equity has fallen too far from its peak. Latched: only a person resumes.
pub(super) fn check_drawdown(turn: &mut Turn<'_, impl Output>) {
    let state = turn.state();
    let Some(limit) = state.settings.risk.limits.max_drawdown_pct else { return };
    if state.halted().is_none() && state.account().drawdown(limit).broken {
        turn.emit(Event::Halted { reason: Code::MaxDrawdown });
    }
}

/// The kill switch.
pub(super) fn halt(turn: &mut Turn<'_, impl Output>, cancel_working: bool) {
    if turn.state().halted().is_some() {
        return turn.refuse(Code::AlreadyHalted, ClOrdId::NONE, ClOrdId::NONE);
    }
    turn.emit(Event::Halted { reason: Code::Operator });
    if cancel_working {
        cancel_all(turn);
    }
}

/// Manual re-arm.
pub(super) fn resume(turn: &mut Turn<'_, impl Output>) {
    if turn.state().halted().is_none() {
        return turn.refuse(Code::NotHalted, ClOrdId::NONE, ClOrdId::NONE);
    }
    turn.emit(Event::Resumed {});
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
            let acts = match kind {
                SweepKind::Cancel => ask_cancel(turn, &order),
                SweepKind::Retire => retire(turn, &order),
                SweepKind::Overdue | SweepKind::Contingent => false,
            };
            acted += usize::from(acts);
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
