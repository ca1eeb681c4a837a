//! New orders: from a signal, from a given quantity, or to close a position.

use super::super::apply::usable_marks;
use super::super::turn::{Output, Turn};
use super::contingents;
use crate::broker::{Message, NewOrder};
use crate::code::Code;
use crate::codec::Measure;
use crate::event::Event;
use crate::input::{Input, SignalSide};
use crate::instrument::InstrumentId;
use crate::order::{ClOrdId, Flags, OrdType, Order, Tif};
use crate::risk::{self, Candidate, Terms, Wish};
use crate::units::{Price, Qty, Side, Ts};

/// An order as it is asked for, before anything was checked.
#[derive(Clone, Copy)]
pub(super) struct Draft {
    pub(super) id: ClOrdId,
    pub(super) instrument: InstrumentId,
    pub(super) side: Side,
    pub(super) ord_type: OrdType,
    pub(super) tif: Tif,
    pub(super) flags: Flags,
    pub(super) strategy: u16,
    pub(super) qty: Qty,
    pub(super) price: Option<Price>,
    pub(super) stop_price: Option<Price>,
    pub(super) protect_px: Option<Price>,
    pub(super) expire_at: Option<Ts>,
    /// The price when it was decided, if not the mark.
    pub(super) decision_px: Option<Price>,
    /// What is wrong with it already: the edge's finding, or sizing's.
    pub(super) defect: Option<Code>,
}

impl Draft {
    pub(super) fn market(id: ClOrdId, instrument: InstrumentId, side: Side, qty: Qty) -> Self {
        Self {
            id,
            instrument,
            side,
            ord_type: OrdType::Market,
            tif: Tif::Day,
            flags: Flags::default(),
            strategy: 0,
            qty,
            price: None,
            stop_price: None,
            protect_px: None,
            expire_at: None,
            decision_px: None,
            defect: None,
        }
    }

    /// What is open of an order that was held, as it goes out.
    fn of(order: &Order) -> Self {
        Self {
            ord_type: order.ord_type,
            tif: order.tif,
            flags: order.flags,
            strategy: order.strategy,
            price: order.price.filter(|_| order.ord_type.has_limit()),
            stop_price: order.stop_price.filter(|_| order.ord_type.has_stop()),
            protect_px: order.protect_px,
            expire_at: order.expire_at,
            ..Self::market(order.id, order.instrument, order.side, order.leaves_qty())
        }
    }

    /// What validation looks at.
    pub(super) fn terms(&self) -> Terms {
        Terms {
            ord_type: self.ord_type,
            tif: self.tif,
            qty: self.qty,
            price: self.price,
            stop_price: self.stop_price,
            expire_at: self.expire_at,
            defect: self.defect,
        }
    }
}

/// An order of given quantity.
pub(super) fn order(turn: &mut Turn<'_, impl Output>, input: &Input) {
    let Input::Order { id, instrument, side, ord_type, tif, strategy, flags, qty, .. } = *input
    else {
        unreachable!("the caller matched it")
    };
    let Input::Order { price, stop_price, expire_at, defect, .. } = *input else {
        unreachable!("the caller matched it")
    };
    let mut draft = Draft::market(id, instrument, side, qty);
    draft.flags = if flags.has(Flags::REDUCE_ONLY) { Flags::REDUCE_ONLY } else { draft.flags };
    (draft.ord_type, draft.tif, draft.strategy) = (ord_type, tif, strategy);
    (draft.price, draft.stop_price, draft.expire_at) = (price, stop_price, expire_at);
    draft.defect = defect;
    take_in(turn, draft);
}

/// A signal: sized, then taken in like any order.
pub(super) fn signal(turn: &mut Turn<'_, impl Output>, input: &Input) {
    let Input::Signal { id, instrument, side, strategy, strength, price, stop_price, qty, defect } =
        *input
    else {
        unreachable!("the caller matched it")
    };
    // Slippage is measured from this price: one past the range would keep a fill from being booked.
    // It is no price then, and for an exit no reason to stay in.
    let decision_px = price.filter(|price| usable_marks(&[Some(*price)]));
    let side = match side {
        SignalSide::Buy => Side::Buy,
        SignalSide::Sell => Side::Sell,
        SignalSide::Flat => {
            return flatten(turn, id, instrument, |draft| {
                (draft.strategy, draft.decision_px) = (strategy, decision_px);
                draft.flags = draft.flags.with(Flags::FROM_SIGNAL);
                draft.defect = defect;
            });
        }
    };
    let state = turn.state();
    let sized = match state.book(instrument) {
        Some(book) => {
            let price = price.or(book.market.price);
            let wish = Wish { instrument, side, strength, price, stop: stop_price, qty };
            risk::size(&state.risk_view(), &wish)
        }
        None => Err(Code::UnknownSymbol),
    };
    let mut draft = Draft::market(id, instrument, side, sized.unwrap_or(Qty(0)));
    draft.flags = Flags::FROM_SIGNAL;
    (draft.strategy, draft.decision_px, draft.protect_px) = (strategy, decision_px, stop_price);
    let unusable = (!usable_marks(&[price, stop_price])).then_some(Code::BadPrice);
    // Whatever is wrong first, in the order of the codes, is the reason.
    draft.defect = [defect, unusable, sized.err()].into_iter().flatten().min();
    take_in(turn, draft);
}

/// Flattens one symbol.
pub(super) fn close_position(
    turn: &mut Turn<'_, impl Output>,
    id: ClOrdId,
    instrument: InstrumentId,
) {
    flatten(turn, id, instrument, |_| {});
}

/// Sends what is left of a position to the market: less what working exits will close already.
fn flatten(
    turn: &mut Turn<'_, impl Output>,
    id: ClOrdId,
    instrument: InstrumentId,
    change: impl FnOnce(&mut Draft),
) {
    if !turn.state().is_open_id(id) {
        return turn.refuse(Code::DuplicateId, id, ClOrdId::NONE);
    }
    let Some(book) = turn.state().book(instrument) else {
        return turn.refuse(Code::UnknownSymbol, id, ClOrdId::NONE);
    };
    let held = book.position.qty;
    let side = if held.0 > 0 { Side::Sell } else { Side::Buy };
    let working = book.exposure.side(side).qty();
    let open = held.0.abs() - working.0;
    if open <= 0 {
        return turn.refuse(Code::NoPosition, id, ClOrdId::NONE);
    }
    let mut draft = Draft::market(id, instrument, side, Qty(open));
    draft.flags = Flags::REDUCE_ONLY.with(Flags::OWN);
    change(&mut draft);
    take_in(turn, draft);
}

/// Records an order, checks it, and hands it over or turns it down.
fn take_in(turn: &mut Turn<'_, impl Output>, mut draft: Draft) {
    if !contingents::has_room_for(turn.state(), draft.id) {
        return turn.refuse(Code::Capacity, draft.id, ClOrdId::NONE);
    }
    if !enter(turn, &mut draft) {
        return;
    }
    if let Some(reason) = check(turn, &draft) {
        return turn.emit(Event::Denied { order: draft.id, reason });
    }
    hand_over(turn, &draft);
}

/// Lets a held order go, for a total. An exit that risk does not let go stays held.
pub(super) fn release(turn: &mut Turn<'_, impl Output>, held: &Order, order_qty: Qty) {
    let order = held.id;
    let ord_type = match held.ord_type {
        OrdType::Stop => OrdType::Market,
        OrdType::StopLimit => OrdType::Limit,
        OrdType::Market | OrdType::Limit => held.ord_type,
    };
    turn.emit(Event::Released { order, ord_type, order_qty });
    let draft = Draft::of(turn.state().order(order).expect("it was there"));
    match check(turn, &draft) {
        None => hand_over(turn, &draft),
        Some(reason) if draft.flags.has(Flags::REDUCE_ONLY) => {
            turn.emit(Event::HeldBack { order, order_qty, reason });
        }
        Some(reason) => turn.emit(Event::Denied { order, reason }),
    }
}

/// Records an order: CREATED. `false` if it was refused.
pub(super) fn enter(turn: &mut Turn<'_, impl Output>, draft: &mut Draft) -> bool {
    if turn.state().book(draft.instrument).is_none() {
        // Whatever number an unknown symbol came with, the log knows one.
        draft.instrument = InstrumentId::UNKNOWN;
    }
    // A row for trades that nobody ordered has taken its id, whatever its feeder's counter says.
    let is_taken = turn.state().order(draft.id).is_some();
    if is_taken || !turn.state().is_open_id(draft.id) {
        turn.refuse(Code::DuplicateId, draft.id, ClOrdId::NONE);
        return false;
    }
    if turn.state().orders().is_full() {
        // The slab's slots are for the living: the order that ended longest ago makes room.
        match turn.state().orders().oldest_finished() {
            Some(order) => turn.emit(Event::Closed { order }),
            None => {
                turn.refuse(Code::Capacity, draft.id, ClOrdId::NONE);
                return false;
            }
        }
    }
    create(turn, draft);
    true
}

/// It has passed: it goes to the broker.
fn hand_over(turn: &mut Turn<'_, impl Output>, draft: &Draft) {
    turn.emit(Event::Passed { order: draft.id });
    turn.emit(Event::Submitted { order: draft.id });
    turn.send(Message::New(NewOrder {
        order: draft.id,
        instrument: draft.instrument,
        side: draft.side,
        ord_type: draft.ord_type,
        tif: draft.tif,
        qty: draft.qty,
        price: draft.price,
        stop_price: draft.stop_price,
        expire_at: draft.expire_at,
        shrink_only: shrinks(turn, draft),
    }));
}

/// Whether an order that is working now can only shrink its position, all exits counted.
fn shrinks(turn: &Turn<'_, impl Output>, draft: &Draft) -> bool {
    turn.state().book(draft.instrument).is_some_and(|book| {
        let held = draft.side.opposite().signed(book.position.qty.0);
        held > 0 && book.exposure.side(draft.side).qty().0 <= held
    })
}

fn create(turn: &mut Turn<'_, impl Output>, draft: &Draft) {
    let mark = turn.state().mark(draft.instrument);
    turn.emit(Event::Created {
        order: draft.id,
        instrument: draft.instrument,
        side: draft.side,
        ord_type: draft.ord_type,
        tif: draft.tif,
        flags: draft.flags,
        strategy: draft.strategy,
        order_qty: draft.qty,
        price: draft.price,
        stop_price: draft.stop_price,
        expire_at: draft.expire_at,
        decision_px: draft.decision_px.or(mark),
        arrival_px: mark,
        protect_px: draft.protect_px,
    });
}

/// Why the order is turned down, if it is: the lowest code of validation, sizing and risk.
fn check(turn: &mut Turn<'_, impl Output>, draft: &Draft) -> Option<Code> {
    let terms = draft.terms();
    let state = turn.state();
    let book = state.book(draft.instrument);
    let unsizable = draft.flags.has(Flags::FROM_SIGNAL) && draft.qty == Qty(0) && book.is_some();
    // An order that sizing gave no quantity has only its other figures to be wrong: it is judged as
    // the smallest one that there could be.
    let least = book.and_then(|book| book.spec.min_qty).unwrap_or(Qty(1));
    let qty = if unsizable { least } else { draft.qty };
    let terms = Terms { qty, ..terms };
    match risk::validate(book, state.ts(), &terms) {
        Err(code) if code < Code::Halted || !unsizable => return Some(code),
        Err(_) | Ok(()) => {}
    }
    let candidate = Candidate {
        instrument: draft.instrument,
        strategy: draft.strategy,
        side: draft.side,
        qty,
        order_qty: qty,
        ord_type: draft.ord_type,
        price: draft.price,
        stop_price: draft.stop_price,
        protect_px: draft.protect_px,
        reduce_only: draft.flags.has(Flags::REDUCE_ONLY),
        is_own: draft.flags.has(Flags::OWN),
        is_triggered: false,
        instead_of: None,
    };
    let verdict = risk::check(&state.risk_view(), &candidate);
    let first = verdict.broken.first().map(|finding| finding.code);
    let reason = [first, draft.defect].into_iter().flatten().min();
    let (number, limit) =
        verdict.tightest.map_or((Measure::default(), Measure::default()), |finding| {
            (finding.number, finding.limit)
        });
    turn.emit(Event::Verdict {
        order: draft.id,
        ran: verdict.ran,
        rule: verdict.tightest.map(|finding| finding.code),
        refused: reason.is_some(),
        number,
        limit,
    });
    for finding in &verdict.broken {
        let risk::Finding { code: rule, number, limit, scope: _ } = *finding;
        turn.emit(Event::Broken { order: draft.id, rule, number, limit });
    }
    for warning in &verdict.warnings {
        let risk::Warning { other, correlation: number } = *warning;
        let code = Code::CorrelatedExposure;
        turn.emit(Event::Warning { code, order: draft.id, other: other.0, number });
    }
    reason
}
