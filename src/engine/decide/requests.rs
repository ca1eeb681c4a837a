//! Cancels and replaces: asked of the venue, kept beside the lifecycle until they are answered.

use super::super::turn::{Output, Turn};
use super::{contingents, is_ours};
use crate::broker::Message;
use crate::code::Code;
use crate::event::Event;
use crate::input::Input;
use crate::order::{Cell, ClOrdId, Flags, Order, OrderEvent, RequestKind, Sent};
use crate::risk::{self, Candidate, Terms};
use crate::units::Qty;

/// Asks to cancel an order.
pub(super) fn cancel(turn: &mut Turn<'_, impl Output>, id: ClOrdId, order: ClOrdId) {
    if turn.state().order(order).is_some_and(Order::is_held) {
        return contingents::cancel(turn, id, order);
    }
    let Some(found) = open(turn, id, order, RequestKind::Cancel, |_| OrderEvent::AskCancel) else {
        return;
    };
    let instrument = found.instrument;
    turn.emit(Event::CancelAsked { order, request: id });
    turn.send(Message::Cancel { order, request: id, instrument });
}

/// What every request must pass. Refuses it and returns `None` if it does not.
fn open(
    turn: &mut Turn<'_, impl Output>,
    id: ClOrdId,
    order: ClOrdId,
    kind: RequestKind,
    event: impl FnOnce(&Order) -> OrderEvent,
) -> Option<Order> {
    if !turn.state().is_open_id(id) {
        turn.refuse(Code::DuplicateId, order, id);
        return None;
    }
    let Some(found) = turn.state().order(order).filter(|order| is_ours(order.flags)).cloned()
    else {
        turn.refuse(Code::UnknownOrder, order, id);
        return None;
    };
    let event = event(&found);
    if found.state.on(event) == Cell::Bad {
        turn.refuse_transition(order, id, found.state, event);
        return None;
    }
    if found.requests.count(RequestKind::Cancel) > 0 {
        turn.refuse(Code::RequestPending, order, id);
        return None;
    }
    if found.requests.is_full(kind) {
        turn.refuse(Code::TooManyRequests, order, id);
        return None;
    }
    Some(found)
}

/// Asks to amend an order.
pub(super) fn replace(turn: &mut Turn<'_, impl Output>, input: &Input) {
    let Input::Replace { id, order, qty, price, stop_price, defect } = *input else {
        unreachable!("the caller matched it")
    };
    if turn.state().order(order).is_some_and(Order::is_held) {
        return contingents::replace(turn, input);
    }
    let event = |order: &Order| match qty {
        Some(qty) if qty > order.cum_qty => OrderEvent::AskReplace,
        Some(_) => OrderEvent::AskReplaceFull,
        None if order.cum_qty < order.order_qty => OrderEvent::AskReplace,
        None => OrderEvent::AskReplaceFull,
    };
    let Some(found) = open(turn, id, order, RequestKind::Replace, event) else { return };
    let before = found.projected();
    let after = Sent {
        qty: qty.unwrap_or(before.qty),
        price: price.or(before.price),
        stop_price: stop_price.or(before.stop_price),
    };
    // A price for an order that has none would be an order of another type.
    let misplaced = (price.is_some() && !found.ord_type.has_limit())
        || (stop_price.is_some() && !found.ord_type.has_stop());
    let defect = [defect, misplaced.then_some(Code::BadPrice)].into_iter().flatten().min();
    let changed =
        (before.qty, before.price, before.stop_price) != (after.qty, after.price, after.stop_price);
    if !changed && defect.is_none() {
        return turn.refuse(Code::NoChange, order, id);
    }
    if let Err(code) = check(turn, &found, &after, defect) {
        return turn.refuse(code, order, id);
    }
    turn.emit(Event::ReplaceAsked { order, request: id, qty, price, stop_price });
    turn.send(Message::Replace {
        order,
        request: id,
        instrument: found.instrument,
        qty: after.qty,
        price: after.price,
        // A stop that was held here keeps its stop price; the venue knows none.
        stop_price: after.stop_price.filter(|_| found.ord_type.has_stop()),
    });
}

/// The engine's own cancel.
pub(super) fn cancel_own(turn: &mut Turn<'_, impl Output>, order: &Order) {
    let (request, instrument) = (turn.state().next_own_id(), order.instrument);
    turn.emit(Event::CancelAsked { order: order.id, request });
    turn.send(Message::Cancel { order: order.id, request, instrument });
}

/// The engine's own replace, of an order that has none outstanding: another total, nothing else.
///
/// # Errors
/// Why risk does not let it grow.
pub(super) fn replace_own(
    turn: &mut Turn<'_, impl Output>,
    order: &Order,
    total: Qty,
) -> Result<(), Code> {
    let after = Sent { qty: total, price: order.price, stop_price: order.stop_price };
    check(turn, order, &after, None)?;
    let request = turn.state().next_own_id();
    let (price, stop_price) = (None, None);
    turn.emit(Event::ReplaceAsked {
        order: order.id,
        request,
        qty: Some(total),
        price,
        stop_price,
    });
    turn.send(Message::Replace {
        order: order.id,
        request,
        instrument: order.instrument,
        qty: total,
        price: order.price,
        stop_price: order.stop_price.filter(|_| order.ord_type.has_stop()),
    });
    Ok(())
}

/// A replace is checked like a new order that stands in for what is open already.
fn check(
    turn: &Turn<'_, impl Output>,
    order: &Order,
    after: &Sent,
    defect: Option<Code>,
) -> Result<(), Code> {
    let state = turn.state();
    let terms = Terms {
        ord_type: order.ord_type,
        tif: order.tif,
        qty: after.qty,
        price: after.price,
        stop_price: after.stop_price,
        expire_at: order.expire_at,
        defect,
    };
    risk::validate(state.book(order.instrument), state.ts(), &terms)?;
    let open = (after.qty.0 - order.cum_qty.0).max(0);
    let counted = order.contribution();
    let candidate = Candidate {
        instrument: order.instrument,
        strategy: order.strategy,
        side: order.side,
        // Until the venue answers, the old terms may hold: what it asks for less is not free yet.
        qty: Qty(open.max(counted.qty.0)),
        order_qty: after.qty,
        ord_type: order.ord_type,
        price: after.price,
        stop_price: after.stop_price,
        protect_px: order.protect_px,
        reduce_only: order.flags.has(Flags::REDUCE_ONLY),
        is_own: order.flags.has(Flags::OWN),
        is_triggered: order.flags.has(Flags::TRIGGERED),
        instead_of: Some(counted),
    };
    risk::check(&state.risk_view(), &candidate).reason().map_or(Ok(()), Err)
}
