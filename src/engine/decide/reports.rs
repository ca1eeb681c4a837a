//! What the venue says beside trades: acknowledgements, ends, answers to requests, amendments.

use super::super::apply::{amendment, usable_marks};
use super::super::turn::{Output, Turn};
use super::is_ours;
use crate::code::Code;
use crate::event::Event;
use crate::input::{Input, StatusKind};
use crate::limits::QTY_MAX;
use crate::order::{Cell, ClOrdId, Flags, Order, OrderEvent, OrderState, Request, RequestKind};
use crate::units::{Price, Qty, Ratio};

/// A report that is neither a trade nor an amendment.
pub(super) fn status(
    turn: &mut Turn<'_, impl Output>,
    id: ClOrdId,
    kind: StatusKind,
    request: ClOrdId,
) {
    let Some(order) = turn.state().order(id).filter(|order| is_ours(order.flags)).cloned() else {
        return turn.refuse(Code::UnknownOrder, id, request);
    };
    if order.is_held() {
        // It never left: whatever the table allows us with it, a venue cannot know it.
        return turn.refuse(Code::IllegalTransition, id, request);
    }
    match kind {
        StatusKind::PendingNew => received(turn, &order),
        StatusKind::Accepted => accepted(turn, &order),
        StatusKind::Rejected => {
            end(turn, &order, OrderEvent::Reject, Event::Rejected { order: id })
        }
        StatusKind::Cancelled => cancelled(turn, &order, request),
        StatusKind::Expired => end(turn, &order, OrderEvent::Expire, Event::Expired { order: id }),
        StatusKind::Triggered => triggered(turn, &order),
        StatusKind::DoneForDay => {
            set_aside(turn, &order, Flags::DONE_FOR_DAY, Event::DoneForDay { order: id });
        }
        StatusKind::Suspended => {
            set_aside(turn, &order, Flags::SUSPENDED, Event::Suspended { order: id });
        }
        StatusKind::PendingCancel | StatusKind::CancelRejected => {
            answer(turn, &order, RequestKind::Cancel, kind, request);
        }
        StatusKind::PendingReplace | StatusKind::ReplaceRejected => {
            answer(turn, &order, RequestKind::Replace, kind, request);
        }
        StatusKind::NotSent => not_sent(turn, &order),
    }
}

fn received(turn: &mut Turn<'_, impl Output>, order: &Order) {
    let known = order.flags.has(Flags::RECEIVED) || order.flags.has(Flags::ACKED);
    if known || order.state != OrderState::Submitted {
        return turn.refuse(Code::NothingNew, order.id, ClOrdId::NONE);
    }
    turn.emit(Event::Received { order: order.id });
}

fn accepted(turn: &mut Turn<'_, impl Output>, order: &Order) {
    let id = order.id;
    let set_aside = order.flags.has(Flags::SUSPENDED) || order.flags.has(Flags::DONE_FOR_DAY);
    match order.state.on(OrderEvent::Accept) {
        Cell::To(_) => turn.emit(Event::Accepted { order: id, late: false }),
        // It ends what set the order aside.
        Cell::Same | Cell::Old | Cell::Late if set_aside && !order.state.is_final() => {
            turn.emit(Event::Accepted { order: id, late: false });
        }
        Cell::Late if !order.flags.has(Flags::ACKED) => {
            turn.emit(Event::Accepted { order: id, late: true });
            let (code, number) = (Code::LateAccept, Ratio(0));
            turn.emit(Event::Warning { code, order: id, other: u16::MAX, number });
        }
        Cell::Same | Cell::Old | Cell::Late => {
            turn.refuse(Code::NothingNew, id, ClOrdId::NONE);
        }
        Cell::Bad => {
            turn.refuse_transition(id, ClOrdId::NONE, order.state, OrderEvent::Accept);
        }
    }
}

/// The venue ends the order.
fn end(turn: &mut Turn<'_, impl Output>, order: &Order, event: OrderEvent, ended: Event) {
    match order.state.on(event) {
        Cell::To(_) => turn.emit(ended),
        Cell::Same | Cell::Late | Cell::Old | Cell::Bad => {
            turn.refuse_transition(order.id, ClOrdId::NONE, order.state, event);
        }
    }
}

fn cancelled(turn: &mut Turn<'_, impl Output>, order: &Order, request: ClOrdId) {
    let found = order.requests.find(RequestKind::Cancel, request.some());
    // One that left without its record under a halt: that nobody here knows it makes the order no
    // less ended.
    let unrecorded = turn.state().is_unrecorded(request);
    if found.is_none() && request != ClOrdId::NONE && !unrecorded {
        return turn.refuse(Code::UnknownRequest, order.id, request);
    }
    // With none outstanding the venue did it on its own, which is legal.
    let request = found.map_or(ClOrdId::NONE, |request| request.id);
    end(turn, order, OrderEvent::Cancel, Event::Cancelled { order: order.id, request });
}

fn triggered(turn: &mut Turn<'_, impl Output>, order: &Order) {
    if order.flags.has(Flags::TRIGGERED) {
        return turn.refuse(Code::NothingNew, order.id, ClOrdId::NONE);
    }
    if !order.ord_type.has_stop() || order.state.is_final() {
        // No column of the table: a trigger changes no state, it only needs a living stop order.
        return turn.refuse(Code::IllegalTransition, order.id, ClOrdId::NONE);
    }
    turn.emit(Event::Triggered { order: order.id });
}

/// Suspended, or done for the day.
fn set_aside(turn: &mut Turn<'_, impl Output>, order: &Order, flag: Flags, event: Event) {
    if order.flags.has(flag) {
        return turn.refuse(Code::NothingNew, order.id, ClOrdId::NONE);
    }
    if order.state.is_final() {
        return turn.refuse(Code::IllegalTransition, order.id, ClOrdId::NONE);
    }
    turn.emit(event);
}

/// An answer that leaves the order as it is.
fn answer(
    turn: &mut Turn<'_, impl Output>,
    order: &Order,
    wanted: RequestKind,
    kind: StatusKind,
    request: ClOrdId,
) {
    let Some(Request { id, .. }) = order.requests.find(wanted, request.some()).copied() else {
        return turn.refuse(Code::UnknownRequest, order.id, request);
    };
    let rejected = matches!(kind, StatusKind::CancelRejected | StatusKind::ReplaceRejected);
    turn.emit(if rejected {
        Event::RequestRejected { order: order.id, request: id }
    } else {
        Event::RequestPending { order: order.id, request: id }
    });
}

/// The broker held the order back: it never left, so nothing is open anywhere.
fn not_sent(turn: &mut Turn<'_, impl Output>, order: &Order) {
    let unheard = !order.flags.has(Flags::RECEIVED) && !order.flags.has(Flags::ACKED);
    if order.state == OrderState::Submitted && unheard {
        let halted = turn.state().halted().is_some();
        let reason = if halted { Code::Halted } else { Code::NotSent };
        return turn.emit(Event::Denied { order: order.id, reason });
    }
    turn.refuse_transition(order.id, ClOrdId::NONE, order.state, OrderEvent::Deny);
}

/// The venue has carried out a replace.
pub(super) fn replaced(turn: &mut Turn<'_, impl Output>, input: &Input) {
    let Input::Replaced { order: id, request, qty, price, stop_price } = *input else {
        unreachable!("the caller matched it")
    };
    let Some(order) = turn.state().order(id).filter(|order| is_ours(order.flags)).cloned() else {
        return turn.refuse(Code::UnknownOrder, id, request);
    };
    let Some(asked) = order.requests.find(RequestKind::Replace, request.some()).copied() else {
        return turn.refuse(Code::UnknownRequest, id, request);
    };
    if let Some(code) = unusable(qty, &[price, stop_price]) {
        return turn.refuse(code, id, asked.id);
    }
    let total = qty.or(asked.qty).unwrap_or(order.order_qty);
    let (price, stop_price) = (price.or(asked.price), stop_price.or(asked.stop_price));
    amend(turn, &order, asked.id, total, (price, stop_price));
}

type Prices = (Option<Price>, Option<Price>);

/// What is wrong with the venue's figures, if they cannot be an order's.
fn unusable(qty: Option<Qty>, prices: &[Option<Price>]) -> Option<Code> {
    if qty.is_some_and(|qty| qty.0 <= 0 || qty.0 > QTY_MAX) {
        return Some(Code::BadQty);
    }
    (!usable_marks(prices)).then_some(Code::BadPrice)
}

/// Gives an order new terms: at or below what has traded, nothing is open.
fn amend(
    turn: &mut Turn<'_, impl Output>,
    order: &Order,
    request: ClOrdId,
    total: Qty,
    (price, stop_price): Prices,
) {
    let order_qty = total.max(order.cum_qty);
    let event = amendment(order_qty, order.cum_qty);
    if order.state.on(event) == Cell::Bad {
        return turn.refuse_transition(order.id, request, order.state, event);
    }
    turn.emit(Event::Replaced {
        order: order.id,
        request,
        order_qty,
        // A price that the order's type does not have stays away.
        price: price.filter(|_| order.ord_type.has_limit()).or(order.price),
        stop_price: stop_price.filter(|_| order.ord_type.has_stop()).or(order.stop_price),
    });
}

/// The venue has changed the order on its own, or brings it back.
pub(super) fn restated(turn: &mut Turn<'_, impl Output>, id: ClOrdId, qty: Option<Qty>) {
    let Some(order) = turn.state().order(id).filter(|order| is_ours(order.flags)).cloned() else {
        return turn.refuse(Code::UnknownOrder, id, ClOrdId::NONE);
    };
    if order.is_held() {
        return turn.refuse(Code::IllegalTransition, id, ClOrdId::NONE);
    }
    if let Some(code) = unusable(qty, &[]) {
        return turn.refuse(code, id, ClOrdId::NONE);
    }
    let total = qty.unwrap_or(order.order_qty);
    let ended = order.state.is_final() && order.state != OrderState::Filled;
    if ended {
        let event = amendment(total, order.cum_qty);
        return turn.refuse_transition(id, ClOrdId::NONE, order.state, event);
    }
    let set_aside = order.flags.has(Flags::SUSPENDED) || order.flags.has(Flags::DONE_FOR_DAY);
    let acknowledges = order.state == OrderState::Submitted;
    if total == order.order_qty && !set_aside && !acknowledges {
        return turn.refuse(Code::NothingNew, id, ClOrdId::NONE);
    }
    amend(turn, &order, ClOrdId::NONE, total, (None, None));
}
