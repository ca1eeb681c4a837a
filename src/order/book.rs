//! All orders: a preallocated slab with generations, found by id through a fixed hash table.
//!
//! Nothing grows after it is built. A slot's generation grows when it is freed, so that a key kept
//! from before finds nothing instead of somebody else's order.

use super::table::{Key, Table, mix};
use super::{ClOrdId, Flags, Order, OrderState};
use crate::digest::Digest;
use crate::image::{BadImage, Bytes, Image};
use std::collections::VecDeque;

/// A slot of the slab, as it was when the order went in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotKey {
    index: u32,
    generation: u32,
}

#[derive(Clone, Debug)]
struct Slot {
    generation: u32,
    order: Option<Order>,
    /// Waiting in `finished`.
    queued: bool,
}

/// The orders, at most as many as it was built for.
#[derive(Clone, Debug)]
pub struct OrderBook {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Orders that had ended, oldest first. One that was opened again since is passed over.
    finished: VecDeque<SlotKey>,
    ids: Table<ClOrdId>,
    /// Slots that have ever held an order: low ones are used first, so a walk ends early.
    used: usize,
}

/// An empty queue of so many places, all of which have been written: the kernel backs a page when
/// it is first written, and that must not be under an order.
fn touched(places: usize) -> VecDeque<SlotKey> {
    let mut queue = VecDeque::from(vec![SlotKey { index: 0, generation: u32::MAX }; places]);
    queue.clear();
    queue
}

impl OrderBook {
    /// Room for `orders_max` orders; the last memory it takes.
    pub fn new(orders_max: usize) -> Self {
        let count = u32::try_from(orders_max).expect("limits.rs bounds it");
        assert!(count > 0);
        let empty = Slot { generation: 0, order: None, queued: false };
        Self {
            slots: vec![empty; orders_max],
            free: (0..count).rev().collect(),
            finished: touched(orders_max),
            ids: Table::new(orders_max),
            used: 0,
        }
    }

    /// Orders held.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether no order is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the next order needs a slot that a finished one holds.
    pub fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// Slots that have ever held an order: the bound of a walk with [`OrderBook::at`].
    pub fn used(&self) -> usize {
        self.used
    }

    /// The order in a slot, by place.
    pub fn at(&self, index: usize) -> Option<&Order> {
        self.slots.get(index)?.order.as_ref()
    }

    /// The order with this id.
    pub fn get(&self, id: ClOrdId) -> Option<&Order> {
        self.slots[self.ids.get(id)? as usize].order.as_ref()
    }

    /// The order with this id, to be changed. `apply` alone calls it.
    pub(crate) fn get_mut(&mut self, id: ClOrdId) -> Option<&mut Order> {
        self.slots[self.ids.get(id)? as usize].order.as_mut()
    }

    /// The key of the order with this id.
    pub fn key(&self, id: ClOrdId) -> Option<SlotKey> {
        let index = self.ids.get(id)?;
        Some(SlotKey { index, generation: self.slots[index as usize].generation })
    }

    /// The slot of the order with this id.
    pub(crate) fn slot(&self, id: ClOrdId) -> Option<u32> {
        self.ids.get(id)
    }

    /// The order that a key was made for, unless it has been retired since.
    pub fn by_key(&self, key: SlotKey) -> Option<&Order> {
        let slot = self.slots.get(key.index as usize)?;
        if slot.generation == key.generation { slot.order.as_ref() } else { None }
    }

    /// Every order, in the order of the slots.
    pub fn iter(&self) -> impl Iterator<Item = &Order> {
        self.slots.iter().filter_map(|slot| slot.order.as_ref())
    }

    /// Puts an order in. Returns `false`, with nothing changed, if there is no free slot, the id is
    /// none, or it is held already.
    #[must_use]
    pub(crate) fn insert(&mut self, order: Order) -> bool {
        if order.id == ClOrdId::NONE || self.ids.get(order.id).is_some() {
            return false;
        }
        let Some(index) = self.free.pop() else { return false };
        self.ids.insert(order.id, index);
        let slot = &mut self.slots[index as usize];
        assert!(slot.order.is_none());
        slot.order = Some(order);
        slot.queued = false;
        self.used = self.used.max(index as usize + 1);
        true
    }

    /// Takes an order out and frees its slot.
    pub(crate) fn remove(&mut self, id: ClOrdId) -> Option<Order> {
        let index = self.ids.remove(id)?;
        let slot = &mut self.slots[index as usize];
        let order = slot.order.take();
        assert!(order.is_some());
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(index);
        order
    }

    /// Notes that an order has ended, so that it can be retired when its slot is needed.
    pub(crate) fn finish(&mut self, id: ClOrdId) {
        let Some(key) = self.key(id) else { return };
        let slot = &mut self.slots[key.index as usize];
        if slot.queued {
            return;
        }
        slot.queued = true;
        // Retired orders leave stale keys behind; there are never more of them than slots if they
        // are dropped when the queue is full.
        if self.finished.len() == self.finished.capacity() {
            let slots = &self.slots;
            self.finished.retain(|key| slots[key.index as usize].generation == key.generation);
        }
        self.finished.push_back(key);
    }

    /// The order to retire first: the one that ended longest ago, with no request outstanding.
    pub fn oldest_finished(&self) -> Option<ClOrdId> {
        self.finished.iter().find_map(|key| {
            let order = self.by_key(*key)?;
            Self::can_retire(order).then_some(order.id)
        })
    }

    /// Whether an order may be retired now. A row for trades that nobody ordered always may: it has
    /// no life to end, and a stranger's trades must not take every slot for ever.
    /// One that a contingent order rests on may not.
    pub fn can_retire(order: &Order) -> bool {
        let is_free = order.requests.is_empty() && !order.flags.has(Flags::LINKED);
        Self::has_ended(order) && order.state != OrderState::Closed && is_free
    }

    fn has_ended(order: &Order) -> bool {
        order.state.is_final() || order.flags.has(Flags::UNKNOWN)
    }

    /// Folds in everything that a later decision rests on: the orders and their places, in which
    /// order they are retired, and which slots the next ones take.
    pub fn digest(&self, digest: &mut Digest) {
        digest.word(self.used as u64);
        digest.word(self.len() as u64);
        for (index, slot) in self.slots[..self.used].iter().enumerate() {
            if let Some(order) = &slot.order {
                digest.word(index as u64);
                order.digest(digest);
            }
        }
        let is_current = |key: &&SlotKey| self.by_key(**key).is_some();
        for key in self.finished.iter().filter(is_current) {
            digest.word(u64::from(key.index));
        }
        // Those below have never been used and lie as they were laid.
        let freed = self.used - self.len();
        for index in &self.free[self.free.len() - freed..] {
            digest.word(u64::from(*index));
        }
    }

    /// Appends the orders with their places, in which order they are retired, and which slots the
    /// next ones take. Generations tell keys of today from older ones, which lead nowhere.
    pub fn write_image(&self, out: &mut Vec<u8>) {
        let Self { slots, free, finished, ids: _, used } = self;
        used.write(out);
        for Slot { order, generation: _, queued: _ } in &slots[..*used] {
            order.write(out);
        }
        let is_current = |key: &&SlotKey| self.by_key(**key).is_some();
        finished.iter().filter(is_current).count().write(out);
        for key in finished.iter().filter(is_current) {
            key.index.write(out);
        }
        // Those below have never been used and lie as they were laid.
        let freed = used - self.len();
        crate::image::write_all(&free[free.len() - freed..], out);
    }

    /// Puts what was written into an empty book of the same size.
    ///
    /// # Errors
    /// [`BadImage`]: it cannot have been written by a book.
    pub fn restore(&mut self, from: &mut Bytes<'_>) -> Result<(), BadImage> {
        assert!(self.used == 0);
        self.used = from.count(self.slots.len())?;
        self.free.truncate(self.slots.len() - self.used);
        for index in 0..self.used {
            let Some(order) = Option::<Order>::read(from)? else { continue };
            let is_new = order.id != ClOrdId::NONE && self.ids.get(order.id).is_none();
            from.require(is_new, "an order without an id of its own")?;
            self.ids.insert(order.id, u32::try_from(index).expect("limits.rs bounds it"));
            self.slots[index].order = Some(order);
        }
        for _ in 0..from.count(self.used)? {
            let index = u32::read(from)?;
            let slot = self.slots.get_mut(index as usize).filter(|slot| slot.order.is_some());
            let slot = slot.filter(|slot| !slot.queued);
            let slot = slot.ok_or(from.bad("a finished order that is not held"))?;
            slot.queued = true;
            self.finished.push_back(SlotKey { index, generation: slot.generation });
        }
        let held = self.slots.iter().filter(|slot| slot.order.is_some()).count();
        let mut is_free = vec![false; self.used];
        for _ in 0..self.used - held {
            let index = u32::read(from)?;
            let place = index as usize;
            let fits = place < self.used && self.slots[place].order.is_none() && !is_free[place];
            from.require(fits, "a free place that is none")?;
            is_free[place] = true;
            self.free.push(index);
        }
        Ok(())
    }

    /// Every order with its slot.
    pub fn places(&self) -> impl Iterator<Item = (u32, &Order)> {
        let slots = (0..).zip(&self.slots[..self.used]);
        slots.filter_map(|(index, slot)| Some((index, slot.order.as_ref()?)))
    }

    /// Drops keys at the front that no longer lead anywhere, so that the search stays short.
    pub(crate) fn trim_finished(&mut self) {
        while let Some(key) = self.finished.front() {
            let slot = &mut self.slots[key.index as usize];
            let here = slot.generation == key.generation;
            let ended = slot.order.as_ref().is_some_and(Self::has_ended);
            if here && ended {
                return;
            }
            if here {
                // It was opened again; it will queue anew when it ends.
                slot.queued = false;
            }
            self.finished.pop_front();
        }
    }
}

impl Key for ClOrdId {
    const NONE: Self = Self::NONE;

    fn spread(self) -> u64 {
        mix(0, self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{OrdType, Request, RequestKind, Requests, Sent, Tif};
    use super::*;
    use crate::instrument::InstrumentId;
    use crate::units::{Qty, Side, Ts};

    fn id(number: u64) -> ClOrdId {
        ClOrdId::new(0, number)
    }

    fn order(number: u64) -> Order {
        Order {
            id: id(number),
            instrument: InstrumentId(0),
            strategy: 0,
            side: Side::Buy,
            ord_type: OrdType::Market,
            tif: Tif::Gtc,
            state: OrderState::Accepted,
            reason: None,
            flags: Flags::default(),
            order_qty: Qty(1),
            cum_qty: Qty(0),
            cum_value: 0,
            price: None,
            stop_price: None,
            protect_px: None,
            expire_at: None,
            decision_px: None,
            arrival_px: None,
            created: Ts(0),
            handed_over: Ts(0),
            executions_before: 0,
            requests: Requests::default(),
        }
    }

    /// Room for `max`, with orders 1 to `count` in it.
    fn holding(max: usize, count: u64) -> OrderBook {
        let mut book = OrderBook::new(max);
        assert!((1..=count).all(|number| book.insert(order(number))));
        book
    }

    fn end(book: &mut OrderBook, number: u64) {
        book.get_mut(id(number)).expect("it is held").state = OrderState::Filled;
        book.finish(id(number));
    }

    fn hash(book: &OrderBook) -> u64 {
        let mut digest = Digest::default();
        book.digest(&mut digest);
        digest.finish()
    }

    #[test]
    fn nothing_goes_in_twice_nor_without_an_id_nor_past_the_end() {
        let mut book = OrderBook::new(3);
        assert!(book.is_empty() && !book.is_full());
        assert!(!book.insert(Order { id: ClOrdId::NONE, ..order(1) }));
        assert_eq!((book.len(), book.used()), (0, 0));
        assert!(book.insert(order(1)) && book.insert(order(2)));
        let twice = Order { order_qty: Qty(9), ..order(1) };
        assert!(!book.insert(twice));
        assert_eq!((book.len(), book.used()), (2, 2));
        assert!(!book.is_empty() && !book.is_full());
        assert_eq!(book.get(id(1)), Some(&order(1)));
        assert!(book.insert(order(3)) && book.is_full());
        assert!(!book.insert(order(4)));
        assert_eq!((book.len(), book.get(id(4))), (3, None));
        assert!(book.iter().map(|order| order.id.counter()).eq(1..=3));
        assert_eq!(book.at(2), Some(&order(3)));
        assert_eq!(book.at(3), None);
        assert_eq!((book.slot(id(3)), book.slot(id(4))), (Some(2), None));
    }

    #[test]
    fn a_key_from_before_finds_nothing() {
        let mut book = holding(2, 2);
        let key = book.key(id(1)).expect("it is held");
        assert_eq!(book.by_key(key), Some(&order(1)));
        assert_eq!(book.remove(id(1)), Some(order(1)));
        assert_eq!(book.remove(id(1)), None);
        assert_eq!((book.by_key(key), book.key(id(1))), (None, None));
        assert_eq!((book.len(), book.used()), (1, 2));
        // The slot is another order's now.
        assert!(book.insert(order(3)));
        assert_eq!((book.slot(id(3)), book.by_key(key)), (Some(0), None));
        assert_eq!(book.by_key(book.key(id(3)).expect("it is held")), Some(&order(3)));
        let nowhere = SlotKey { index: 2, generation: 0 };
        assert_eq!(book.by_key(nowhere), None);
    }

    #[test]
    fn the_one_that_ended_longest_ago_makes_room() {
        let mut book = holding(4, 4);
        assert_eq!(book.oldest_finished(), None);
        for number in [3, 1, 3, 2] {
            end(&mut book, number);
        }
        assert_eq!(book.oldest_finished(), Some(id(3)));
        book.get_mut(id(3)).expect("it is held").flags = Flags::LINKED;
        assert_eq!(book.oldest_finished(), Some(id(1)), "a contingent order rests on it");
        let sent = Sent { qty: Qty(1), price: None, stop_price: None };
        let request = Request {
            id: id(9),
            kind: RequestKind::Cancel,
            qty: None,
            price: None,
            stop_price: None,
            sent,
            since: Ts(0),
            overdue: false,
        };
        assert!(book.get_mut(id(1)).expect("it is held").requests.open(request));
        assert_eq!(book.oldest_finished(), Some(id(2)), "an answer is outstanding");
        book.get_mut(id(3)).expect("it is held").flags = Flags::default();
        assert_eq!(book.oldest_finished(), Some(id(3)));
    }

    #[test]
    fn only_what_has_ended_and_is_not_retired_may_be() {
        for state in OrderState::ALL {
            let ended = state.is_final() && state != OrderState::Closed;
            assert_eq!(OrderBook::can_retire(&Order { state, ..order(1) }), ended, "{state}");
            // What nobody ordered has no life to end.
            let unknown = Order { state, flags: Flags::UNKNOWN, ..order(1) };
            assert_eq!(OrderBook::can_retire(&unknown), state != OrderState::Closed, "{state}");
        }
    }

    #[test]
    fn an_order_that_is_opened_again_queues_anew() {
        let mut book = holding(2, 2);
        end(&mut book, 1);
        end(&mut book, 2);
        // Its trade is busted.
        book.get_mut(id(1)).expect("it is held").state = OrderState::Accepted;
        assert_eq!(book.oldest_finished(), Some(id(2)));
        assert!(book.remove(id(2)).is_some());
        book.trim_finished();
        assert!(book.finished.is_empty());
        end(&mut book, 1);
        assert_eq!(book.oldest_finished(), Some(id(1)), "it has ended again");
        book.trim_finished();
        assert_eq!(book.oldest_finished(), Some(id(1)), "what leads somewhere stays");
    }

    #[test]
    fn the_queue_drops_what_is_stale_before_it_would_grow() {
        let mut book = holding(4, 1);
        end(&mut book, 1);
        let room = book.finished.capacity();
        for number in 2..100 {
            assert!(book.insert(order(number)));
            end(&mut book, number);
            assert_eq!(book.oldest_finished(), Some(id(1)));
            assert!(book.remove(id(number)).is_some());
        }
        assert_eq!(book.finished.capacity(), room);
        assert!(book.remove(id(1)).is_some());
        assert_eq!(book.oldest_finished(), None);
    }

    #[test]
    fn the_hash_covers_places_and_both_queues() {
        let ended = |numbers: [u64; 2]| {
            let mut book = holding(3, 3);
            numbers.into_iter().for_each(|number| end(&mut book, number));
            book
        };
        assert_eq!(hash(&ended([1, 2])), hash(&ended([1, 2])));
        assert_ne!(hash(&ended([1, 2])), hash(&ended([2, 1])), "who is retired first");
        let freed = |numbers: [u64; 2]| {
            let mut book = holding(3, 3);
            numbers.into_iter().for_each(|number| assert!(book.remove(id(number)).is_some()));
            book
        };
        assert_ne!(hash(&freed([1, 2])), hash(&freed([2, 1])), "which slot is next");
        assert_ne!(hash(&freed([1, 2])), hash(&freed([1, 3])), "who is left");
        assert_ne!(hash(&holding(3, 0)), hash(&freed([1, 2])));
        let mut changed = holding(3, 3);
        changed.get_mut(id(2)).expect("it is held").cum_qty = Qty(1);
        assert_ne!(hash(&changed), hash(&holding(3, 3)));
        // What never leads anywhere again is no part of it.
        let mut trimmed = ended([1, 2]);
        assert!(trimmed.remove(id(1)).is_some());
        let before = hash(&trimmed);
        trimmed.trim_finished();
        assert_eq!(trimmed.finished.len(), 1);
        assert_eq!(hash(&trimmed), before);
    }

    /// The keys of retired orders stay in the queue until it is full; it never grows.
    #[test]
    fn the_queue_of_ended_orders_stays_inside_its_memory() {
        let mut book = holding(4, 4);
        let capacity = book.finished.capacity();
        (1..=4).for_each(|number| end(&mut book, number));
        for number in 5..100 {
            assert!(book.remove(id(number - 4)).is_some());
            assert!(book.insert(order(number)));
            end(&mut book, number);
        }
        assert_eq!(book.finished.capacity(), capacity);
        assert_eq!(book.oldest_finished(), Some(id(96)));
    }

    fn image(book: &OrderBook) -> Vec<u8> {
        let mut out = Vec::new();
        book.write_image(&mut out);
        out
    }

    fn restored(max: usize, image: &[u8]) -> Result<OrderBook, BadImage> {
        let mut book = OrderBook::new(max);
        let mut from = Bytes::new(image);
        book.restore(&mut from)?;
        from.require(from.rest() == 0, "more")?;
        Ok(book)
    }

    /// A place may be free that was used, holds nothing, and has not been named before.
    #[test]
    fn a_forged_free_place_is_refused() {
        let mut book = holding(4, 4);
        for number in [2, 3] {
            assert!(book.remove(id(number)).is_some());
        }
        let image = image(&book);
        let book = restored(4, &image).expect("its own bytes");
        assert_eq!(book.places().map(|(at, _)| at).collect::<Vec<_>>(), [0, 3]);
        let (front, free) = image.split_at(image.len() - 2);
        assert_eq!(free, [1, 2], "the places that are free");
        for forged in [[0, 2], [1, 3], [1, 1], [1, 4], [1, 100]] {
            assert!(restored(4, &[front, &forged].concat()).is_err(), "{forged:?}");
        }
        assert!(restored(4, &[front, &[2, 1]].concat()).is_ok());
    }
}
