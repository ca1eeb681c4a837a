//! Contingent orders: taken in and held, let go when their time has come, and kept in step with
//! what the others of their group have traded.
//!
//! Every step follows from the orders as they stand, so a group converges from wherever it is: each
//! entry is asked what it lacks, and gets it. Nothing is asked of the venue twice for the same
//! reason; while a request is outstanding the engine waits for the answer, but for a cancel, which
//! does not wait for a replace.
//!
//! **Never more exits than position.** What exits have at work, requests in flight counted at their
//! largest, never passes what is held: an exit goes out, or grows, only into the room that is left.
//! So a stop waits until the venue has confirmed that the target beside it is gone.

use super::super::state::State;
use super::super::turn::{Output, Turn};
use super::orders::{self, Draft};
use super::{is_ours, requests};
use crate::code::Code;
use crate::event::Event;
use crate::input::Input;
use crate::limits::{CONTINGENT_SLOTS_MAX, CONTINGENT_TRIES_MAX, CONTINGENT_VISITS_MAX};
use crate::order::{
    ClOrdId, Contingent, Flags, Links, OrdType, Order, OrderEvent, RequestKind, SweepKind, Tif,
};
use crate::risk::{self, InstrumentBook};
use crate::units::{Price, Qty};

/// Steps that one look at an entry may take: triggered, let go, and what comes of it.
const STEPS_MAX: usize = 4;

/// Takes an order in, to be held until its time has come. What is wrong with its terms is said now;
/// risk is asked when it is let go.
pub(super) fn take_in(turn: &mut Turn<'_, impl Output>, input: &Input) {
    let Input::Contingent { id, instrument, side, ord_type, tif, strategy, flags, qty, .. } =
        *input
    else {
        unreachable!("the caller matched it")
    };
    let Input::Contingent { price, stop_price, expire_at, parent, sibling, trail, defect, .. } =
        *input
    else {
        unreachable!("the caller matched it")
    };
    let links = Links { order: id, parent, sibling };
    if turn.state().is_open_id(id) && !are_sound(turn.state(), &links) {
        return turn.refuse(Code::UnknownOrder, id, ClOrdId::NONE);
    }
    let mut draft = Draft::market(id, instrument, side, qty);
    let reduces = flags.has(Flags::REDUCE_ONLY);
    draft.flags = if reduces { Flags::REDUCE_ONLY.with(Flags::HELD) } else { Flags::HELD };
    (draft.ord_type, draft.tif, draft.strategy) = (ord_type, tif, strategy);
    (draft.price, draft.stop_price, draft.expire_at) = (price, stop_price, expire_at);
    draft.defect = defect;
    if !orders::enter(turn, &mut draft) {
        return;
    }
    let adopts = turn.state().contingents().place(sibling).is_none()
        && turn.state().order(sibling).is_some();
    let places = 1 + usize::from(adopts);
    // Nor has a strategy that is in no table a place: risk would keep its exits for ever.
    let is_known = turn.state().strategy_books().has(strategy);
    let full = turn.state().contingents().free() < places || !is_known;
    let book = turn.state().book(draft.instrument);
    let wrong = find_wrong(turn.state(), book, &draft, trail);
    match wrong.or(full.then_some(Code::Capacity)) {
        Some(reason) => turn.emit(Event::Denied { order: id, reason }),
        None => turn.emit(Event::Linked { order: id, parent, sibling, trail }),
    }
}

/// What is wrong with the terms of an order that is to be held.
fn find_wrong(
    state: &State,
    book: Option<&InstrumentBook>,
    draft: &Draft,
    trail: Option<Price>,
) -> Option<Code> {
    // A trailing stop gets its price from the market; its distance is judged like a price.
    let mut terms = draft.terms();
    terms.stop_price = terms.stop_price.or(trail);
    let first = risk::validate(book, state.ts(), &terms).err();
    terms.stop_price = trail;
    let distance = trail.and_then(|_| risk::validate(book, state.ts(), &terms).err());
    let misplaced = trail.is_some_and(|trail| draft.ord_type != OrdType::Stop || trail.0 <= 0);
    let misplaced = misplaced.then_some(Code::BadPrice);
    // Its sums with others must stay in range long before risk is asked.
    let large = book.is_some_and(|book| draft.qty > book.qty_limit).then_some(Code::Overflow);
    [first, distance, misplaced, large].into_iter().flatten().min()
}

/// Whether the orders that one depends on are there, or may still come.
fn are_sound(state: &State, links: &Links) -> bool {
    let id = links.order;
    let may_be = |named: ClOrdId| match state.order(named) {
        _ if named == ClOrdId::NONE => true,
        _ if named == id => false,
        Some(order) => is_ours(order.flags),
        None => state.is_open_id(named) && (named.source() != id.source() || named > id),
    };
    let apart = links.parent == ClOrdId::NONE || links.parent != links.sibling;
    apart && may_be(links.parent) && may_be(links.sibling)
}

/// Whether a new order finds a place, if one waits for it as its sibling.
pub(super) fn has_room_for(state: &State, id: ClOrdId) -> bool {
    let contingents = state.contingents();
    contingents.free() > 0 || !contingents.want_sibling(id)
}

/// A held order is cancelled at once: nobody else has it.
pub(super) fn cancel(turn: &mut Turn<'_, impl Output>, id: ClOrdId, order: ClOrdId) {
    if !turn.state().is_open_id(id) {
        return turn.refuse(Code::DuplicateId, order, id);
    }
    turn.emit(Event::Withdrawn { order, request: id, reason: None });
}

/// The engine withdraws a held order.
pub(super) fn withdraw(turn: &mut Turn<'_, impl Output>, order: ClOrdId, reason: Code) {
    turn.emit(Event::Withdrawn { order, request: ClOrdId::NONE, reason: Some(reason) });
}

/// A held order is amended at once. Its quantity is what it was asked for: what the others of its
/// group leave of it is seen to afterwards.
pub(super) fn replace(turn: &mut Turn<'_, impl Output>, input: &Input) {
    let Input::Replace { id, order, qty, price, stop_price, defect } = *input else {
        unreachable!("the caller matched it")
    };
    if !turn.state().is_open_id(id) {
        return turn.refuse(Code::DuplicateId, order, id);
    }
    let state = turn.state();
    let (Some(held), Some((_, entry))) = (state.order(order), state.contingents().get(order))
    else {
        return turn.refuse(Code::UnknownOrder, order, id);
    };
    let triggered = held.flags.has(Flags::TRIGGERED);
    if triggered && stop_price.is_some() {
        let from = held.state;
        return turn.refuse_transition(order, id, from, OrderEvent::AskReplace);
    }
    let misplaced = (price.is_some() && !held.ord_type.has_limit())
        || (stop_price.is_some() && !held.ord_type.has_stop());
    let mut draft = Draft::market(order, held.instrument, held.side, qty.unwrap_or(entry.wanted));
    (draft.ord_type, draft.tif, draft.expire_at) = (held.ord_type, held.tif, held.expire_at);
    draft.price = price.or(held.price);
    draft.stop_price = stop_price.or(held.stop_price);
    draft.defect = [defect, misplaced.then_some(Code::BadPrice)].into_iter().flatten().min();
    let before = (entry.wanted, held.price, held.stop_price);
    let same = before == (draft.qty, draft.price, draft.stop_price);
    let too_small = (draft.qty <= held.cum_qty).then_some(Code::BadQty);
    let book = state.book(held.instrument);
    // A stop that trails may stand anywhere, or wait for its first price: only a price that a
    // person gives it is judged.
    let trail = entry.trail.filter(|_| stop_price.is_none());
    let judged =
        Draft { stop_price: if trail.is_some() { trail } else { draft.stop_price }, ..draft };
    let wrong = find_wrong(state, book, &judged, None).into_iter().chain(too_small).min();
    if let Some(code) = wrong {
        return turn.refuse(code, order, id);
    }
    if same {
        return turn.refuse(Code::NoChange, order, id);
    }
    let Draft { qty: order_qty, price, stop_price, .. } = draft;
    turn.emit(Event::Amended { order, request: id, order_qty, price, stop_price });
}

/// One bounded turn over the entries that are due.
pub(super) fn sweep(turn: &mut Turn<'_, impl Output>) {
    let (mut next, mut visits) = (0, 0);
    while let Some(at) = turn.state().contingents().next_taken(next) {
        if visits == CONTINGENT_VISITS_MAX || !visit(turn, at) {
            break;
        }
        (next, visits) = (at + 1, visits + 1);
    }
    let contingents = turn.state().contingents();
    let done = contingents.next_taken(next).is_none() && !contingents.is_due();
    let next = u32::try_from(next).expect("limits.rs bounds it");
    turn.emit(Event::Sweep { kind: SweepKind::Contingent, next, done });
}

/// Sees to one entry. `true`: it lacks nothing, or has to wait; else the next turn goes on with it.
fn visit(turn: &mut Turn<'_, impl Output>, at: usize) -> bool {
    for _ in 0..STEPS_MAX {
        let Some(leg) = Leg::at(turn.state(), at) else { return true };
        let Some(step) = leg.step() else { return true };
        if !turn.has_room(CONTINGENT_SLOTS_MAX) {
            return false;
        }
        let order = leg.order.clone();
        act(turn, &order, step);
    }
    false
}

fn act(turn: &mut Turn<'_, impl Output>, order: &Order, step: Step) {
    let id = order.id;
    match step {
        Step::Unlink => turn.emit(Event::Unlinked { order: id }),
        Step::Withdraw(reason) => withdraw(turn, id, reason),
        Step::Expire => turn.emit(Event::Expired { order: id }),
        Step::Resize(order_qty) => turn.emit(Event::Resized { order: id, order_qty }),
        Step::Trigger => trigger(turn, id),
        Step::Release(order_qty) => orders::release(turn, order, order_qty),
        Step::Cancel => requests::cancel_own(turn, order),
        Step::Replace(order_qty) => {
            if let Err(reason) = requests::replace_own(turn, order, order_qty) {
                turn.emit(Event::HeldBack { order: id, order_qty, reason });
            }
        }
    }
}

/// A stop is triggered. If it is the exit of an entry that is still at work, the rest of the entry
/// is cancelled: what it traded later would have no stop.
fn trigger(turn: &mut Turn<'_, impl Output>, id: ClOrdId) {
    turn.emit(Event::Triggered { order: id });
    let place = turn.state().contingents().place(id);
    let leg = place.and_then(|at| Leg::at(turn.state(), at));
    let entry = leg.filter(Leg::is_exit).and_then(|leg| leg.parent.cloned());
    let Some(entry) = entry else { return };
    if entry.is_held() {
        withdraw(turn, entry.id, Code::NoPosition);
    } else if entry.is_out() && !entry.requests.is_full(RequestKind::Cancel) {
        requests::cancel_own(turn, &entry);
    }
}

/// What an entry lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Nothing can happen to its group any more.
    Unlink,
    /// Held, and nothing will come of it.
    Withdraw(Code),
    /// Held, and its time is up.
    Expire,
    /// Held, and for another total than it says.
    Resize(Qty),
    /// Its stop price has traded.
    Trigger,
    /// Its time has come, for this total.
    Release(Qty),
    /// Nothing is left for it to do at the venue.
    Cancel,
    /// It is for another total than the venue knows.
    Replace(Qty),
}

/// An entry, its order, and what it depends on.
struct Leg<'a> {
    state: &'a State,
    links: &'a Links,
    entry: &'a Contingent,
    order: &'a Order,
    /// If it is there.
    parent: Option<&'a Order>,
}

impl<'a> Leg<'a> {
    fn at(state: &'a State, at: usize) -> Option<Self> {
        let (links, entry) = state.contingents().at(at)?;
        let order = state.order(links.order)?;
        let parent = links.parent.some().and_then(|id| state.order(id));
        let parent = parent.filter(|parent| is_ours(parent.flags));
        Some(Self { state, links, entry, order, parent })
    }

    /// The orders of the other entries whose links are such.
    fn others(&self, are: impl Fn(&Links) -> bool) -> impl Iterator<Item = (&'a Links, &'a Order)> {
        let (state, own) = (self.state, self.links.order);
        let all = state.contingents().iter().map(|(_, links)| links);
        let such = all.filter(move |links| links.order != own && are(links));
        such.filter_map(move |links| Some((links, state.order(links.order)?)))
    }

    fn siblings(&self) -> impl Iterator<Item = &'a Order> {
        let own = self.links;
        self.others(|links| own.are_siblings(links)).map(|(_, order)| order)
    }

    /// Whether it leaves what its parent enters.
    fn is_exit(&self) -> bool {
        self.parent.is_some_and(|parent| leaves(self.order, parent))
    }

    /// The other exits of its parent, if it is one.
    fn exits(&self) -> impl Iterator<Item = &'a Order> {
        let own = self.links;
        let parent = self.parent.filter(|parent| leaves(self.order, parent));
        let shares = move |links: &Links| parent.is_some() && own.share_parent(links);
        let orders = self.others(shares).map(|(_, order)| order);
        orders.filter(move |order| parent.is_some_and(|parent| leaves(order, parent)))
    }

    /// Those that share with it what is to be done.
    fn rivals(&self) -> impl Iterator<Item = &'a Order> {
        self.siblings().chain(self.exits())
    }

    fn step(&self) -> Option<Step> {
        if self.order.state.is_final() {
            return self.rivals().all(|rival| rival.state.is_final()).then_some(Step::Unlink);
        }
        if self.order.is_held() { self.step_held() } else { self.step_out() }
    }

    fn step_held(&self) -> Option<Step> {
        let (order, state) = (self.order, self.state);
        let never = match self.parent {
            Some(parent) => parent.state.is_final() && parent.cum_qty.0 == 0,
            None => self.links.parent != ClOrdId::NONE && !state.is_new_id(self.links.parent),
        };
        if never {
            return Some(Step::Withdraw(Code::UnknownOrder));
        }
        let late = order.tif == Tif::Gtd && order.expire_at.is_some_and(|end| end <= state.ts());
        if self.entry.expires || late {
            return Some(Step::Expire);
        }
        self.entry.since?;
        if self.is_over() {
            return Some(Step::Withdraw(Code::NoPosition));
        }
        let total = |open: i64| Qty(order.cum_qty.0 + open);
        let open = self.share();
        let resize = (order.order_qty != total(open)).then_some(Step::Resize(total(open)));
        let triggered = order.flags.has(Flags::TRIGGERED);
        if order.ord_type.has_stop() && !triggered && open > 0 && self.entry.touched {
            return Some(Step::Trigger);
        }
        let waits = order.ord_type.has_stop() && !triggered;
        let goes = open.min(self.room());
        if waits || goes <= 0 || self.is_blocked() || self.gave_up(total(goes)) {
            return resize;
        }
        Some(Step::Release(total(goes)))
    }

    fn step_out(&self) -> Option<Step> {
        let order = self.order;
        if order.requests.is_full(RequestKind::Cancel) {
            return None;
        }
        let open = if self.is_over() || self.yields() { 0 } else { self.share() };
        if open == 0 {
            return (!self.gave_up(order.cum_qty)).then_some(Step::Cancel);
        }
        let answered = order.flags.has(Flags::ACKED) || order.cum_qty.0 > 0;
        if !order.requests.is_empty() || !answered {
            return None;
        }
        let now = (order.order_qty.0 - order.cum_qty.0).max(0);
        let goes = open.min(now.saturating_add(self.room().max(0)));
        let total = Qty(order.cum_qty.0 + goes);
        let same = total == order.order_qty || self.gave_up(total);
        (!same).then_some(Step::Replace(total))
    }

    /// The engine has asked for this already, or often enough: it waits until something happens.
    fn gave_up(&self, total: Qty) -> bool {
        self.entry.tried == Some(total) || self.entry.tries >= CONTINGENT_TRIES_MAX
    }

    /// Whether nothing will be left for it to do, whatever its parent may still trade.
    fn is_over(&self) -> bool {
        let parent_done = self.parent.is_none_or(|parent| parent.state.is_final());
        let flat = self.order.flags.has(Flags::REDUCE_ONLY) && self.held() == 0;
        let spent = self.is_exit() && self.left_of_parent() <= 0;
        self.left_of_wanted() <= 0 || (parent_done && (spent || flat))
    }

    /// Lots that it is for now.
    fn share(&self) -> i64 {
        let mut open = self.left_of_wanted();
        if self.is_exit() {
            open = open.min(self.left_of_parent());
        }
        if self.order.flags.has(Flags::REDUCE_ONLY) {
            open = open.min(self.left_of_position());
        }
        i64::try_from(open.max(0)).expect("at most what was wanted")
    }

    /// What it was asked for, less what it and its siblings have traded.
    fn left_of_wanted(&self) -> i128 {
        let own = i128::from(self.entry.wanted.0) - i128::from(self.order.cum_qty.0);
        self.siblings().fold(own, |left, order| left - i128::from(order.cum_qty.0))
    }

    /// What its parent has traded, less what all its exits have.
    fn left_of_parent(&self) -> i128 {
        let entered = self.parent.map_or(0, |parent| i128::from(parent.cum_qty.0));
        let left = entered - i128::from(self.order.cum_qty.0);
        self.exits().fold(left, |left, order| left - i128::from(order.cum_qty.0))
    }

    /// Lots held that its side would leave.
    fn held(&self) -> i64 {
        let position = self.state.position(self.order.instrument);
        let qty = position.map_or(0, |position| position.qty.0);
        self.order.side.opposite().signed(qty).max(0)
    }

    /// What is held, less what other contingent exits are at work for, once the venue has done what
    /// it was asked. Rivals of a held order make room for it when its time comes.
    fn left_of_position(&self) -> i128 {
        let own = self.order;
        let is_exit = |order: &Order| {
            (order.instrument, order.side) == (own.instrument, own.side)
                && order.flags.has(Flags::REDUCE_ONLY)
                && order.is_out()
        };
        let shares = |links: &Links, order: &Order| {
            let exits = self.parent.is_some_and(|parent| leaves(order, parent));
            self.links.are_siblings(links) || (self.links.share_parent(links) && exits)
        };
        let others = self.others(|_| true).filter(|(_, order)| is_exit(order));
        let others = others.filter(|(links, order)| !(own.is_held() && shares(links, order)));
        others.fold(i128::from(self.held()), |left, (_, order)| left - i128::from(soon_open(order)))
    }

    /// Lots that may go out now: for an exit, what is held less all that is at work to leave it.
    fn room(&self) -> i64 {
        if !self.order.flags.has(Flags::REDUCE_ONLY) {
            return i64::MAX;
        }
        let book = self.state.book(self.order.instrument);
        let working = book.map_or(0, |book| book.exposure.side(self.order.side).qty().0);
        self.held().saturating_sub(working)
    }

    /// Whether another of its group goes first: once one is triggered no other goes, and it goes
    /// itself when none is at the venue any more.
    fn is_blocked(&self) -> bool {
        let triggered = |order: &Order| order.flags.has(Flags::TRIGGERED);
        if triggered(self.order) {
            return self.rivals().any(may_trade);
        }
        self.rivals().any(|rival| triggered(rival) && (rival.is_held() || may_trade(rival)))
    }

    /// Whether it rests at the venue where another of its group is triggered.
    fn yields(&self) -> bool {
        let rests =
            self.order.ord_type != OrdType::Market && !self.order.flags.has(Flags::TRIGGERED);
        rests && self.is_blocked()
    }
}

/// Whether an order leaves what another enters.
fn leaves(order: &Order, parent: &Order) -> bool {
    (order.instrument, order.side) == (parent.instrument, parent.side.opposite())
}

/// Whether the venue may still trade it: it is there, or a replace that is on its way may open it
/// again.
fn may_trade(order: &Order) -> bool {
    order.is_out() || order.contribution().qty > Qty(0)
}

/// Lots open at the venue when it has done what it was asked.
fn soon_open(order: &Order) -> i64 {
    if order.requests.is_full(RequestKind::Cancel) {
        return 0;
    }
    (order.projected().qty.0 - order.cum_qty.0).max(0)
}
