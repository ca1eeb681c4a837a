//! What records change about contingent orders: who depends on whom, which stops a price reaches,
//! how a trailing stop follows, and who is to be looked at next.
//!
//! Here nothing is decided. What happens to an order, a position or a price marks the entries that
//! it concerns as due, and a walk is under way as long as one is: `decide/contingents.rs` takes it
//! up in the turns to come. A fill so costs no event more.

use super::{Applied, NO_ORDER, State};
use crate::code::Code;
use crate::engine::OWN_SOURCE;
use crate::event::Event;
use crate::instrument::InstrumentId;
use crate::limits::{CONTINGENT_RETRY_NS, PRICE_MAX};
use crate::order::{
    ClOrdId, Contingent, Flags, Links, OrdType, Order, OrderBook, OrderEvent, OrderState,
    SweepKind, Tif,
};
use crate::units::{Price, Qty, Ts};

/// What others rest on about an order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    state: OrderState,
    cum_qty: Qty,
    order_qty: Qty,
    triggered: bool,
    requests: usize,
}

impl Standing {
    pub(super) fn of(order: &Order) -> Self {
        Self {
            // On its way to the venue nothing becomes of it that anybody waits for.
            state: order.state.max(OrderState::Submitted),
            cum_qty: order.cum_qty,
            order_qty: order.order_qty,
            triggered: order.flags.has(Flags::TRIGGERED),
            requests: order.requests.iter().count(),
        }
    }

    /// A request that goes out is no news, one that is answered is.
    pub(super) fn is_news_after(self, before: Self) -> bool {
        let answered = self.requests < before.requests;
        answered || Self { requests: before.requests, ..self } != before
    }

    /// So much has happened that what was tried in vain may be let through now: it has traded, or
    /// has ended, and a triggered stop can trade with it no more.
    pub(super) fn frees_after(self, before: Self) -> bool {
        let ended = self.state.is_final() && !before.state.is_final();
        ended || self.cum_qty != before.cum_qty
    }
}

const NOT_HELD: &str = "the order is not held";
const NO_ROOM: &str = "no room for the contingent order";

impl State {
    /// Risk is asked next; what it lets go is decided now, and slippage measured from here.
    pub(super) fn release(&mut self, id: ClOrdId, ord_type: OrdType, order_qty: Qty) -> Applied {
        let mark = self.held(id).and_then(|order| self.mark(order.instrument));
        let order = self.held_mut(id)?;
        if order_qty <= order.cum_qty {
            return Err("nothing is let go");
        }
        order.flags = order.flags.without(Flags::HELD);
        if order.flags.has(Flags::REDUCE_ONLY) {
            order.flags = order.flags.with(Flags::OWN);
        }
        (order.ord_type, order.order_qty) = (ord_type, order_qty);
        order.arrival_px = mark;
        order.decision_px = mark.or(order.decision_px);
        self.with_entry(id, |entry| entry.touched = false);
        Ok(())
    }

    /// An order that was let go is held again; one that was to grow is as it was.
    pub(super) fn hold_back(&mut self, id: ClOrdId, order_qty: Qty) -> Applied {
        let order = self.orders.get_mut(id).ok_or(NO_ORDER)?;
        if order.state == OrderState::Created {
            order.flags = order.flags.with(Flags::HELD);
        }
        self.note_try(id, Some(order_qty));
        Ok(())
    }

    pub(super) fn withdraw(
        &mut self,
        id: ClOrdId,
        request: ClOrdId,
        reason: Option<Code>,
    ) -> Applied {
        self.held(id).ok_or(NOT_HELD)?;
        self.answer_here(request)?;
        self.transition(id, OrderEvent::Cancel, |order| order.reason = reason)
    }

    pub(super) fn resize(&mut self, id: ClOrdId, order_qty: Qty) -> Applied {
        let order = self.held_mut(id)?;
        if order_qty < order.cum_qty {
            return Err("less than has traded");
        }
        order.order_qty = order_qty;
        let idle = order.leaves_qty() == Qty(0);
        self.with_entry(id, |entry| entry.touched &= !idle);
        Ok(())
    }

    fn held(&self, id: ClOrdId) -> Option<&Order> {
        self.orders.get(id).filter(|order| order.is_held())
    }

    /// A held order counts for no exposure, so it may be changed without [`State::update`].
    fn held_mut(&mut self, id: ClOrdId) -> Result<&mut Order, &'static str> {
        self.orders.get_mut(id).filter(|order| order.is_held()).ok_or(NOT_HELD)
    }

    fn with_entry(&mut self, id: ClOrdId, change: impl FnOnce(&mut Contingent)) {
        if let Some(at) = self.contingents.place(id) {
            change(self.contingents.entry_mut(at));
        }
    }

    /// A request that is carried out here uses its id up at once.
    fn answer_here(&mut self, request: ClOrdId) -> Applied {
        if request == ClOrdId::NONE {
            return Ok(());
        }
        if !self.is_new_id(request) {
            return Err("the id has been used");
        }
        self.spend_id(request);
        Ok(())
    }

    pub(super) fn amend(&mut self, event: &Event) -> Applied {
        let Event::Amended { order: id, request, order_qty, price, stop_price } = *event else {
            unreachable!("the caller matched it")
        };
        self.answer_here(request)?;
        let order = self.held_mut(id)?;
        if order_qty <= order.cum_qty {
            return Err("nothing would be open");
        }
        let moved = order.stop_price != stop_price;
        (order.price, order.stop_price) = (price, stop_price);
        let at = self.contingents.place(id).ok_or(NO_ORDER)?;
        let entry = self.contingents.entry_mut(at);
        entry.wanted = order_qty;
        entry.touched &= !moved;
        if entry.since.is_none() {
            self.held_mut(id)?.order_qty = order_qty;
        }
        self.contingents.mark(at, true);
        self.look(at);
        Ok(())
    }

    pub(super) fn link(&mut self, links: Links, trail: Option<Price>) -> Applied {
        let order = self.held(links.order).ok_or(NOT_HELD)?;
        let (instrument, wanted) = (order.instrument, order.order_qty);
        self.book(instrument).ok_or("no such instrument")?;
        if trail.is_some_and(|trail| !(1..=PRICE_MAX).contains(&trail.0)) {
            return Err("the distance is out of bounds");
        }
        let entry = Contingent { trail, wanted, ..Contingent::default() };
        if !self.contingents.insert(links, instrument, entry) {
            return Err(NO_ROOM);
        }
        for id in [links.order, links.parent, links.sibling] {
            self.pin(id);
        }
        let at = self.contingents.place(links.order).ok_or(NO_ROOM)?;
        self.relate(at);
        let alone = self.contingents.place(links.sibling).is_none();
        if alone && self.is_ours(links.sibling) {
            self.adopt(links.sibling)?;
        }
        self.activate(at);
        Ok(())
    }

    /// Whether an order is there that an input made.
    fn is_ours(&self, id: ClOrdId) -> bool {
        self.orders.get(id).is_some_and(|order| !order.flags.has(Flags::UNKNOWN))
    }

    /// Keeps an order that an entry names from being retired.
    fn pin(&mut self, id: ClOrdId) {
        if self.is_ours(id)
            && let Some(order) = self.orders.get_mut(id)
        {
            order.flags = order.flags.with(Flags::LINKED);
        }
    }

    /// The exit of its parent is reduce-only by construction.
    fn relate(&mut self, at: usize) {
        let Some((&links, _)) = self.contingents.at(at) else { return };
        let Some(parent) = self.orders.get(links.parent) else { return };
        let (instrument, exit) = (parent.instrument, parent.side.opposite());
        let Some(order) = self.orders.get_mut(links.order) else { return };
        if (order.instrument, order.side) == (instrument, exit) && order.is_held() {
            order.flags = order.flags.with(Flags::REDUCE_ONLY);
        }
    }

    /// An order that a contingent one names as its sibling gets an entry of its own.
    fn adopt(&mut self, id: ClOrdId) -> Applied {
        let order = self.orders.get(id).ok_or(NO_ORDER)?;
        let (instrument, wanted) = (order.instrument, order.order_qty);
        if self.book(instrument).is_none() {
            // It is about to be turned down.
            return Ok(());
        }
        let entry = Contingent { wanted, since: Some(self.ts), ..Contingent::default() };
        let links = Links { order: id, ..Links::default() };
        if self.contingents.insert(links, instrument, entry) { Ok(()) } else { Err(NO_ROOM) }
    }

    /// A new order meets those that wait for it.
    pub(super) fn meet(&mut self, id: ClOrdId) -> Applied {
        if !self.contingents.name(id) {
            return Ok(());
        }
        self.pin(id);
        for at in 0..self.contingents.used() {
            if self.contingents.at(at).is_some_and(|(links, _)| links.parent == id) {
                self.relate(at);
            }
        }
        let is_held = self.held(id).is_some();
        if self.contingents.want_sibling(id) && !is_held { self.adopt(id) } else { Ok(()) }
    }

    pub(super) fn unlink(&mut self, id: ClOrdId) -> Applied {
        let at = self.contingents.place(id).ok_or(NO_ORDER)?;
        let Links { order, parent, sibling } = self.contingents.remove(at);
        for id in [order, parent, sibling] {
            if self.contingents.name(id) {
                continue;
            }
            let Some(order) = self.orders.get_mut(id) else { continue };
            order.flags = order.flags.without(Flags::LINKED);
            if OrderBook::can_retire(order) {
                self.orders.finish(id);
            }
        }
        Ok(())
    }

    /// Something has happened to an order: those that rest on it are due. `fresh`: it has traded or
    /// has ended.
    pub(super) fn touch(&mut self, id: ClOrdId, fresh: bool) {
        let own = self.contingents.get(id).map(|(links, _)| *links);
        for at in 0..self.contingents.used() {
            let Some((links, _)) = self.contingents.at(at) else { continue };
            let is_child = links.parent == id;
            let is_kin = own.is_some_and(|own| own.share_parent(links) || own.are_siblings(links));
            if links.name(id) || is_kin {
                self.contingents.mark(at, fresh);
                if is_child {
                    self.activate(at);
                }
            }
        }
    }

    /// A feeder has used this id, so smaller ones of its will not come any more.
    pub(super) fn passed(&mut self, id: ClOrdId) {
        for at in 0..self.contingents.used() {
            let Some((links, _)) = self.contingents.at(at) else { continue };
            let parent = links.parent;
            let missed = parent != ClOrdId::NONE && parent.source() == id.source() && parent < id;
            if missed && self.orders.get(parent).is_none() {
                self.contingents.mark(at, false);
            }
        }
    }

    /// The position of an instrument is another.
    pub(super) fn position_moved(&mut self, instrument: InstrumentId) {
        let mut next = self.contingents.next_of(instrument, 0);
        while let Some(at) = next {
            self.activate(at);
            if self.reduces(at) {
                self.contingents.mark(at, true);
            }
            next = self.contingents.next_of(instrument, at + 1);
        }
    }

    /// Less is at work in an instrument: there may be room for another exit.
    pub(super) fn room_grew(&mut self, instrument: InstrumentId) {
        let mut next = self.contingents.next_of(instrument, 0);
        while let Some(at) = next {
            if self.reduces(at) {
                self.contingents.mark(at, false);
            }
            next = self.contingents.next_of(instrument, at + 1);
        }
    }

    /// Whether an entry is of a reduce-only order that there is something to do for.
    fn reduces(&self, at: usize) -> bool {
        let Some((links, entry)) = self.contingents.at(at) else { return false };
        let order = self.orders.get(links.order);
        entry.since.is_some() && order.is_some_and(|order| order.flags.has(Flags::REDUCE_ONLY))
    }

    /// From now on there is something to do for it: its parent has traded; or it has none, and an
    /// exit has something to leave.
    fn activate(&mut self, at: usize) {
        let Some((links, entry)) = self.contingents.at(at) else { return };
        let Some(order) = self.orders.get(links.order) else { return };
        let begins = match links.parent.some() {
            Some(parent) => {
                self.is_ours(parent) && self.orders.get(parent).is_some_and(|p| p.cum_qty.0 > 0)
            }
            None => {
                let held = self.position(order.instrument).map_or(0, |position| position.qty.0);
                !order.flags.has(Flags::REDUCE_ONLY) || order.side.signed(held) < 0
            }
        };
        if entry.since.is_some() || !begins {
            return;
        }
        let ts = self.ts;
        self.contingents.entry_mut(at).since = Some(ts);
        self.contingents.mark(at, true);
        self.look(at);
    }

    /// Looks at the price that stands.
    fn look(&mut self, at: usize) {
        let Some((links, _)) = self.contingents.at(at) else { return };
        let book = self.orders.get(links.order).and_then(|order| self.book(order.instrument));
        let Some(price) = book.and_then(|book| book.market.price) else { return };
        if book.is_some_and(|book| book.spec.is_open(self.ts)) {
            self.see(at, None, &[price]);
        }
    }

    /// A price came, or a bar that `opened` then: stops that it reaches are touched, trailing ones
    /// follow it. Outside the sessions nothing could be handed over, and nothing is triggered.
    pub(super) fn watch(&mut self, instrument: InstrumentId, opened: Option<Ts>, prices: &[Price]) {
        if !self.contingents.watch(instrument) {
            return;
        }
        let is_open = self.is_open(instrument);
        let mut next = self.contingents.next_of(instrument, 0);
        while let Some(at) = next {
            self.try_anew(at);
            if is_open {
                self.see(at, opened, prices);
            }
            next = self.contingents.next_of(instrument, at + 1);
        }
    }

    fn is_open(&self, instrument: InstrumentId) -> bool {
        self.book(instrument).is_some_and(|book| book.spec.is_open(self.ts))
    }

    /// What was tried in vain is tried again, if that was long enough ago.
    fn try_anew(&mut self, at: usize) {
        let ts = self.ts;
        let entry = self.contingents.entry_mut(at);
        if entry.tries > 0 && ts.since(entry.tried_at) >= CONTINGENT_RETRY_NS {
            self.contingents.mark(at, true);
        }
    }

    /// Time passed, and no price may come: what a rate held back must not wait for one. Outside the
    /// sessions nothing is worth a try.
    pub(super) fn try_late(&mut self) {
        for at in 0..self.contingents.used() {
            let Some((links, _)) = self.contingents.at(at) else { continue };
            let instrument = self.orders.get(links.order).map(|order| order.instrument);
            if instrument.is_some_and(|instrument| self.is_open(instrument)) {
                self.try_anew(at);
            }
        }
    }

    /// One order sees prices, the last of which stands now. A bar does not say in which order its
    /// prices traded: one that began before there was something to do counts by its close alone;
    /// another triggers by any of its prices at the stop as it was, and by its close at the stop
    /// that has followed it.
    fn see(&mut self, at: usize, opened: Option<Ts>, prices: &[Price]) {
        let Some((&links, &entry)) = self.contingents.at(at) else { return };
        let (Some(since), false) = (entry.since, entry.touched) else { return };
        let Some(order) = self.orders.get(links.order).filter(|order| order.is_held()) else {
            return;
        };
        if is_late(order, self.ts) {
            self.contingents.mark(at, false);
            return;
        }
        if !order.ord_type.has_stop() || order.flags.has(Flags::TRIGGERED) {
            return;
        }
        let Some(book) = self.books.get(order.instrument.index()) else { return };
        let tick = book.spec.tick_size.0;
        let Some((last, _)) = prices.split_last() else { return };
        let is_whole = opened.is_none_or(|opened| since <= opened);
        let seen = if is_whole { prices } else { std::slice::from_ref(last) };
        // What it costs the order's side: a stop is reached from below, for buys and sells alike.
        let cost = |price: Price| order.side.signed(price.0);
        let worst = seen.iter().map(|price| cost(*price)).max();
        let best = seen.iter().map(|price| cost(*price)).min();
        let mut stop = order.stop_price.map(cost);
        let mut reached = stop.is_some_and(|stop| worst.is_some_and(|worst| worst >= stop));
        if let (Some(trail), Some(best), false) = (entry.trail, best, reached) {
            let follows = behind(best, trail, tick);
            stop = Some(stop.map_or(follows, |stop| stop.min(follows)));
            reached = stop.is_some_and(|stop| cost(*last) >= stop);
        }
        let (sign, is_open) = (order.side.sign(), order.leaves_qty() > Qty(0));
        if let Some(order) = self.orders.get_mut(links.order) {
            order.stop_price = stop.map(|stop| Price(stop * sign));
        }
        if reached && is_open {
            self.contingents.entry_mut(at).touched = true;
            self.contingents.mark(at, false);
        }
    }

    /// The engine has asked for a total (or to cancel), and has not got it yet.
    pub(super) fn note_try(&mut self, id: ClOrdId, total: Option<Qty>) {
        let traded = self.orders.get(id).map(|order| order.cum_qty);
        let ts = self.ts;
        self.with_entry(id, |entry| {
            entry.tried = total.or(traded);
            entry.tries = entry.tries.saturating_add(1);
            entry.tried_at = ts;
        });
    }

    /// An order has a new total. If the engine did not ask for it, that is what is wanted now.
    pub(super) fn wanted_now(&mut self, id: ClOrdId, request: ClOrdId, total: Qty) {
        let own = request.source() == usize::from(OWN_SOURCE);
        self.with_entry(id, |entry| {
            if !own {
                entry.wanted = total;
            } else if entry.tried == Some(total) {
                entry.tried = None;
            }
        });
    }

    /// A person has looked at it: what was tried in vain is tried again.
    pub(super) fn try_again(&mut self) {
        for at in 0..self.contingents.used() {
            if self.contingents.at(at).is_some_and(|(_, entry)| entry.tries > 0) {
                self.contingents.mark(at, true);
            }
        }
    }

    /// Held orders of the day end with it, if orders do at all.
    pub(super) fn end_day(&mut self) {
        self.try_again();
        if !self.settings.day_roll_ends_orders {
            return;
        }
        for at in 0..self.contingents.used() {
            let Some((links, _)) = self.contingents.at(at) else { continue };
            let ends = |order: &Order| order.tif == Tif::Day || is_late(order, self.ts);
            if self.held(links.order).is_some_and(ends) {
                self.contingents.entry_mut(at).expires = true;
                self.contingents.mark(at, false);
            }
        }
    }

    /// A walk is under way as long as an entry is due.
    pub(super) fn stir(&mut self) {
        if self.contingents.is_due() && self.sweeps.get(SweepKind::Contingent).is_none() {
            self.sweeps.set(SweepKind::Contingent, Some(0));
        }
    }

    /// A turn begins with what is due before it: what it causes itself is for the next one.
    pub(super) fn take_due(&mut self) {
        if let Some((SweepKind::Contingent, begin)) = self.sweeps.next() {
            self.contingents.take(usize::try_from(begin).expect("a 64-bit machine"));
        }
    }

    /// The turn's end: from where the next one goes on.
    pub(super) fn give_back(&mut self, next: u32, done: bool) {
        self.contingents.give_back(usize::try_from(next).expect("a 64-bit machine"));
        self.sweeps.set(SweepKind::Contingent, if done { None } else { Some(next) });
    }
}

/// Whether a good-till-date order's time is up.
fn is_late(order: &Order, now: Ts) -> bool {
    order.tif == Tif::Gtd && order.expire_at.is_some_and(|end| end <= now)
}

/// A trailing stop's cost behind the best one, rounded to the tick away from the market.
fn behind(best: i64, trail: Price, tick: i64) -> i64 {
    let cost = best + trail.0;
    -((-cost).div_euclid(tick) * tick)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailing_stop_is_rounded_away_from_the_market() {
        // A sell's cost is the price with its sign turned: 100.3 less 2 is 98.3, down to 98.25.
        assert_eq!(behind(-1_003, Price(20), 25), -975);
        assert_eq!(behind(-1_000, Price(25), 25), -975);
        // A buy's: 100.3 and 2 is 102.3, up to 102.5.
        assert_eq!(behind(1_003, Price(20), 25), 1_025);
    }
}
