//! Contingent orders: who waits for whom, and what each is for. A preallocated table.
//!
//! A contingent order is an [`Order`](super::Order) like any other, and an entry beside it. The
//! engine holds it until its time has come, so that it works at a venue that knows no such orders:
//!
//! - **OTO**, one triggers the other: an order with a `parent` is held until the parent trades. An
//!   exit of its parent (the other side of the same instrument) is open for what the parent has
//!   traded less what all its exits have, and reduce-only; any other is let go whole.
//! - **OCO**, one cancels the other: what one of two `sibling`s trades is taken from the other (FIX
//!   `ContingencyType(1385)` 3, one updates the other, which ends in one cancels the other). An end
//!   without a trade takes nothing: a target that the venue turns down leaves the stop.
//! - **Bracket**: two exits of one parent, siblings of each other.
//! - **Stops** are watched here: the last price triggers one, a quote alone does not, for nothing
//!   has traded at it and a wide one must sell nobody's position. Once one is triggered, resting
//!   orders beside it are cancelled, and it goes out when that is confirmed, for what is left then:
//!   two exits never overshoot.
//! - **Trailing**: the stop price stays `trail` behind the best price since it became active.
//!
//! Two limit orders that are siblings and no exits both rest at the venue, and their fills may
//! cross. Exits never overshoot: all together are let go for what is held, and no more.
//!
//! An order that an entry names is not retired while the entry is there: what it has traded counts.
//!
//! This is the table alone. `engine/apply/contingents.rs` writes it, and
//! `engine/decide/contingents.rs` says what follows.

use super::ClOrdId;
use crate::digest::Digest;
use crate::image::{BadImage, Bytes, Image};
use crate::instrument::InstrumentId;
use crate::limits::CONTINGENTS_MAX;
use crate::units::{Price, Qty, Ts};

/// Who an entry is about, and on whom that order depends. Kept apart from the rest: every change of
/// any order looks through them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// The order; none in a free place.
    pub order: ClOrdId,
    /// It is held until this one trades.
    pub parent: ClOrdId,
    /// What one of the two trades is taken from the other.
    pub sibling: ClOrdId,
}

impl Links {
    /// Whether an order is one of the three.
    pub fn name(&self, id: ClOrdId) -> bool {
        self.order == id || self.parent == id || self.sibling == id
    }

    /// Whether both wait for the same parent.
    pub fn share_parent(&self, other: &Self) -> bool {
        self.parent != ClOrdId::NONE && self.parent == other.parent
    }

    /// Whether they are siblings: one names the other, or both name the same.
    pub fn are_siblings(&self, other: &Self) -> bool {
        let named = |sibling: ClOrdId| sibling != ClOrdId::NONE;
        (named(self.sibling) && (self.sibling == other.order || self.sibling == other.sibling))
            || (named(other.sibling) && other.sibling == self.order)
    }
}

/// What is known of a contingent order beside the order itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contingent {
    /// How far the stop price stays behind the best price.
    pub trail: Option<Price>,
    /// The quantity it was asked for, lots: it never trades and is open for more.
    pub wanted: Qty,
    /// Since when there is something for it to do: its parent has traded, or it has none.
    pub since: Option<Ts>,
    /// A price has reached its stop, and that has not been acted on.
    pub touched: bool,
    /// Its day is over.
    pub expires: bool,
    /// The total that the engine last asked for, and did not get.
    pub tried: Option<Qty>,
    /// How often it has asked since something happened.
    pub tries: u8,
    /// When it last did.
    pub tried_at: Ts,
}

/// A set of places: one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Places([u64; CONTINGENTS_MAX / 64]);

impl Places {
    fn set(&mut self, at: usize) {
        self.0[at / 64] |= 1 << (at % 64);
    }

    fn clear(&mut self, at: usize) {
        self.0[at / 64] &= !(1 << (at % 64));
    }

    fn has(&self, at: usize) -> bool {
        self.0[at / 64] >> (at % 64) & 1 == 1
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// The first place at or behind `at`.
    fn next(&self, at: usize) -> Option<usize> {
        let first = self.0.get(at / 64)? & (u64::MAX << (at % 64));
        let rest = self.0.iter().enumerate().skip(at / 64 + 1);
        let words = std::iter::once((at / 64, first)).chain(rest.map(|(at, word)| (at, *word)));
        words.into_iter().find_map(|(at, word)| {
            let bit = usize::try_from(word.trailing_zeros()).expect("at most 64");
            (word != 0).then_some(at * 64 + bit)
        })
    }
}

/// The contingent orders, at most as many as it was built for. Nothing grows.
#[derive(Clone, Debug)]
pub struct Contingents {
    links: Vec<Links>,
    instruments: Vec<InstrumentId>,
    entries: Vec<Contingent>,
    /// Entries of each instrument: a price of one that has none costs nothing.
    counts: Vec<u16>,
    /// Places below which all entries lie.
    used: usize,
    len: usize,
    /// Entries that something has happened to.
    due: Places,
    /// Those that the turn under way looks at.
    taken: Places,
}

impl Contingents {
    /// Room for [`CONTINGENTS_MAX`] entries, or for as many as there are orders.
    pub fn new(orders_max: usize, instruments: usize) -> Self {
        let places = orders_max.min(CONTINGENTS_MAX);
        Self {
            links: vec![Links::default(); places],
            instruments: vec![InstrumentId::UNKNOWN; places],
            entries: vec![Contingent::default(); places],
            counts: vec![0; instruments],
            used: 0,
            len: 0,
            due: Places::default(),
            taken: Places::default(),
        }
    }

    /// Whether no entry is held.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Places that are free.
    pub const fn free(&self) -> usize {
        self.links.len() - self.len
    }

    /// Places below which all entries lie.
    pub const fn used(&self) -> usize {
        self.used
    }

    /// The links of every entry, by place.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Links)> {
        let taken = |(_, links): &(usize, &Links)| links.order != ClOrdId::NONE;
        self.links[..self.used].iter().enumerate().filter(taken)
    }

    /// The place of an order's entry.
    pub fn place(&self, order: ClOrdId) -> Option<usize> {
        self.iter().find(|(_, links)| links.order == order).map(|(at, _)| at)
    }

    /// What is known of a contingent order.
    pub fn get(&self, order: ClOrdId) -> Option<(&Links, &Contingent)> {
        self.at(self.place(order)?)
    }

    /// The entry in a place.
    pub fn at(&self, at: usize) -> Option<(&Links, &Contingent)> {
        let links = self.links.get(at).filter(|links| links.order != ClOrdId::NONE)?;
        Some((links, &self.entries[at]))
    }

    /// Whether an entry names an order: as its own, its parent or its sibling.
    pub fn name(&self, id: ClOrdId) -> bool {
        self.iter().any(|(_, links)| links.name(id))
    }

    /// Whether an entry waits for this order as its sibling.
    pub fn want_sibling(&self, id: ClOrdId) -> bool {
        id != ClOrdId::NONE && self.iter().any(|(_, links)| links.sibling == id)
    }

    /// Whether an instrument has entries.
    pub fn watch(&self, instrument: InstrumentId) -> bool {
        self.counts.get(instrument.index()).is_some_and(|count| *count > 0)
    }

    /// The first place, at or behind this one, of an entry of an instrument.
    pub fn next_of(&self, instrument: InstrumentId, at: usize) -> Option<usize> {
        if !self.watch(instrument) {
            return None;
        }
        let rest = self.instruments[..self.used].get(at..)?;
        rest.iter().position(|of| *of == instrument).map(|offset| at + offset)
    }

    /// Whether something has happened that nobody has looked at.
    pub fn is_due(&self) -> bool {
        !self.is_empty() && !self.due.is_empty()
    }

    /// The first place, at or behind this one, that the turn under way is to look at.
    pub fn next_taken(&self, at: usize) -> Option<usize> {
        self.taken.next(at)
    }

    /// Puts an entry in. Returns `false`, with nothing changed, if there is no room or the order
    /// has one.
    #[must_use]
    pub(crate) fn insert(
        &mut self,
        links: Links,
        instrument: InstrumentId,
        entry: Contingent,
    ) -> bool {
        assert!(links.order != ClOrdId::NONE);
        let free = self.links.iter().position(|links| links.order == ClOrdId::NONE);
        let (Some(at), None) = (free, self.place(links.order)) else { return false };
        (self.links[at], self.instruments[at], self.entries[at]) = (links, instrument, entry);
        self.counts[instrument.index()] += 1;
        self.used = self.used.max(at + 1);
        self.len += 1;
        self.due.set(at);
        true
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, at: usize) -> Links {
        let links = std::mem::take(&mut self.links[at]);
        assert!(links.order != ClOrdId::NONE);
        self.counts[self.instruments[at].index()] -= 1;
        self.instruments[at] = InstrumentId::UNKNOWN;
        self.entries[at] = Contingent::default();
        self.len -= 1;
        while self.used > 0 && self.links[self.used - 1].order == ClOrdId::NONE {
            self.used -= 1;
        }
        self.due.clear(at);
        self.taken.clear(at);
        links
    }

    /// What is known of the order in a place, to be changed.
    pub(crate) fn entry_mut(&mut self, at: usize) -> &mut Contingent {
        &mut self.entries[at]
    }

    /// Notes that something has happened to an entry. `fresh`: so much that what was tried in vain
    /// may be tried again.
    pub(crate) fn mark(&mut self, at: usize, fresh: bool) {
        self.due.set(at);
        if fresh {
            (self.entries[at].tried, self.entries[at].tries) = (None, 0);
        }
    }

    /// Begins a turn: what is due at or behind a place, or else from the beginning, is taken.
    pub(crate) fn take(&mut self, begin: usize) {
        self.give_back(0);
        let begin = self.due.next(begin).or(self.due.next(0));
        let mut next = begin;
        while let Some(at) = next {
            self.taken.set(at);
            self.due.clear(at);
            next = self.due.next(at);
        }
    }

    /// Ends a turn: what it did not come to is due again.
    pub(crate) fn give_back(&mut self, next: usize) {
        let mut rest = self.taken.next(next);
        while let Some(at) = rest {
            self.due.set(at);
            rest = self.taken.next(at + 1);
        }
        self.taken = Places::default();
    }

    /// Folds in everything that a later decision rests on.
    pub fn digest(&self, digest: &mut Digest) {
        digest.word(self.len as u64);
        for (at, links) in self.iter() {
            digest.word(at as u64);
            for id in [links.order, links.parent, links.sibling] {
                digest.word(id.0);
            }
            let Contingent { trail, wanted, since, touched, expires, tried, tries, tried_at } =
                self.entries[at];
            digest.option(trail.map(|trail| trail.0));
            digest.signed(wanted.0);
            digest.option(since.map(|since| since.0));
            digest.word(u64::from(touched) | u64::from(expires) << 1 | u64::from(tries) << 8);
            digest.option(tried.map(|tried| tried.0));
            digest.signed(tried_at.0);
        }
        for word in self.due.0.into_iter().chain(self.taken.0).filter(|_| self.len > 0) {
            digest.word(word);
        }
    }

    /// Appends every entry with its place, and whether it is due or taken.
    pub fn write_image(&self, out: &mut Vec<u8>) {
        let Self { links, instruments, entries, counts: _, used: _, len, due, taken } = self;
        len.write(out);
        for (at, _) in self.iter() {
            at.write(out);
            links[at].write(out);
            instruments[at].write(out);
            entries[at].write(out);
            due.has(at).write(out);
            taken.has(at).write(out);
        }
    }

    /// Puts what was written into an empty table of the same size.
    ///
    /// # Errors
    /// [`BadImage`]: it cannot have been written by a table.
    pub fn restore(&mut self, from: &mut Bytes<'_>) -> Result<(), BadImage> {
        assert!(self.is_empty());
        for _ in 0..from.count(self.links.len())? {
            let at = usize::read(from)?;
            let fits = at >= self.used && at < self.links.len();
            from.require(fits, "a contingent order in no place")?;
            let (links, instrument) = (Links::read(from)?, InstrumentId::read(from)?);
            let is_new = links.order != ClOrdId::NONE && self.place(links.order).is_none();
            from.require(is_new, "a contingent order without an id of its own")?;
            let count = self.counts.get_mut(instrument.index());
            *count.ok_or(from.bad("a contingent order in no instrument"))? += 1;
            (self.links[at], self.instruments[at]) = (links, instrument);
            self.entries[at] = Contingent::read(from)?;
            for places in [&mut self.due, &mut self.taken] {
                if bool::read(from)? {
                    places.set(at);
                }
            }
            (self.used, self.len) = (at + 1, self.len + 1);
        }
        Ok(())
    }
}

crate::image!(Links { order, parent, sibling });
crate::image!(Contingent { trail, wanted, since, touched, expires, tried, tries, tried_at });

#[cfg(test)]
mod tests {
    use super::*;

    fn id(counter: u64) -> ClOrdId {
        ClOrdId::new(0, counter)
    }

    fn links(order: u64) -> Links {
        Links { order: id(order), ..Links::default() }
    }

    #[test]
    fn places_are_found_across_words_and_to_the_end() {
        let mut places = Places::default();
        for at in [0, 63, 64, 700, CONTINGENTS_MAX - 1] {
            places.set(at);
        }
        let mut found = Vec::new();
        let mut next = places.next(0);
        while let Some(at) = next {
            found.push(at);
            next = places.next(at + 1);
        }
        assert_eq!(found, [0, 63, 64, 700, CONTINGENTS_MAX - 1]);
        assert_eq!(places.next(CONTINGENTS_MAX), None);
    }

    #[test]
    fn the_lowest_free_place_is_taken_and_the_last_one_is_the_last() {
        let mut table = Contingents::new(3, 1);
        let put = |table: &mut Contingents, order| {
            table.insert(links(order), InstrumentId(0), Contingent::default())
        };
        assert!((1..=3).all(|order| put(&mut table, order)));
        assert!(!put(&mut table, 4) && !put(&mut table, 1));
        assert_eq!(table.free(), 0);
        assert_eq!(table.remove(1).order, id(2));
        assert!(put(&mut table, 5));
        assert_eq!(table.place(id(5)), Some(1));
        let removed = (0..3).map(|at| table.remove(at).order.counter()).sum::<u64>();
        assert_eq!(removed, 1 + 5 + 3);
        assert!(table.used() == 0 && table.is_empty());
        assert!(!table.watch(InstrumentId(0)) && !table.is_due());
    }

    #[test]
    fn what_a_turn_does_not_come_to_is_due_again() {
        let mut table = Contingents::new(4, 1);
        for order in 1..=4 {
            assert!(table.insert(links(order), InstrumentId(0), Contingent::default()));
        }
        table.take(2);
        assert_eq!(table.next_taken(0), Some(2));
        // Something happens to one that this turn has looked at.
        table.mark(2, false);
        table.give_back(3);
        assert_eq!(table.next_taken(0), None);
        table.take(0);
        let all = (0..4).filter(|at| table.next_taken(*at) == Some(*at)).count();
        assert_eq!(all, 4);
        table.give_back(4);
        assert!(!table.is_due());
    }

    #[test]
    fn only_a_named_sibling_is_wanted() {
        let mut table = Contingents::new(2, 1);
        let leg = Links { sibling: id(7), ..links(1) };
        assert!(table.insert(leg, InstrumentId(0), Contingent::default()));
        assert!(table.insert(links(2), InstrumentId(0), Contingent::default()));
        let wanted = |id| table.want_sibling(id);
        assert_eq!([id(7), id(1), ClOrdId::NONE].map(wanted), [true, false, false]);
    }

    /// The hash of two tables is the same only if they are: each field counts, for itself.
    #[test]
    fn the_hash_covers_every_field() {
        let hash = |table: &Contingents| {
            let mut digest = Digest::default();
            table.digest(&mut digest);
            digest.finish()
        };
        let of = |links, contingent| {
            let mut table = Contingents::new(2, 1);
            assert!(table.insert(links, InstrumentId(0), contingent));
            table.take(0);
            table.give_back(2);
            table
        };
        let plain = Contingent::default();
        let mut hashes = vec![
            hash(&of(links(1), plain)),
            hash(&of(links(2), plain)),
            hash(&of(Links { parent: id(7), ..links(1) }, plain)),
            hash(&of(Links { sibling: id(7), ..links(1) }, plain)),
        ];
        let changed = [
            Contingent { trail: Some(Price(0)), ..plain },
            Contingent { wanted: Qty(1), ..plain },
            Contingent { since: Some(Ts(0)), ..plain },
            Contingent { touched: true, ..plain },
            Contingent { expires: true, ..plain },
            Contingent { touched: true, expires: true, ..plain },
            Contingent { tried: Some(Qty(0)), ..plain },
            Contingent { tries: 1, ..plain },
            Contingent { tries: 2, ..plain },
            Contingent { tries: 3, touched: true, ..plain },
            Contingent { tried_at: Ts(1), ..plain },
        ];
        hashes.extend(changed.map(|contingent| hash(&of(links(1), contingent))));
        let mut due = of(links(1), plain);
        due.mark(0, false);
        hashes.push(hash(&due));
        due.take(0);
        hashes.push(hash(&due));
        let count = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), count);
        // An empty table has nothing to say, whatever it held.
        let mut empty = of(links(1), plain);
        empty.mark(0, false);
        empty.remove(0);
        let mut nothing = Digest::default();
        nothing.word(0);
        assert_eq!(hash(&empty), nothing.finish());
    }

    fn image(table: &Contingents) -> Vec<u8> {
        let mut out = Vec::new();
        table.write_image(&mut out);
        out
    }

    fn restored(room: usize, image: &[u8]) -> Result<Contingents, BadImage> {
        let mut table = Contingents::new(room, 1);
        table.restore(&mut Bytes::new(image))?;
        Ok(table)
    }

    #[test]
    fn what_is_due_and_what_is_taken_come_back_from_bytes() {
        let room = CONTINGENTS_MAX;
        let mut table = Contingents::new(room, 1);
        let count = 200;
        for order in 1..=count {
            let entry = Contingent::default();
            assert!(table.insert(links(order), InstrumentId(0), entry));
        }
        // New ones are due.
        (table.due, table.taken) = (Places::default(), Places::default());
        for at in [0, 1, 63, 64, 127, 199] {
            table.mark(at, false);
        }
        table.take(64);
        let hash = |table: &Contingents| {
            let mut digest = Digest::default();
            table.digest(&mut digest);
            digest.finish()
        };
        let again = restored(room, &image(&table)).expect("its own bytes");
        assert_eq!((&again.due, &again.taken), (&table.due, &table.taken));
        assert_eq!(hash(&again), hash(&table));
    }

    #[test]
    fn a_forged_place_or_name_is_refused() {
        let mut table = Contingents::new(3, 1);
        for order in [1, 2] {
            assert!(table.insert(links(order), InstrumentId(0), Contingent::default()));
        }
        let whole = image(&table);
        let one = (whole.len() - 1) / 2;
        // How many, and then each with its place in front.
        let forged = |place: u8, from: usize| {
            let mut forged = whole.clone();
            forged[1 + one] = place;
            let (head, tail) = forged.split_at(1 + one + 1);
            let tail = if from == 0 { &whole[2..=one] } else { tail };
            restored(3, &[head, tail].concat())
        };
        assert!(forged(1, 1).is_ok() && forged(2, 1).is_ok());
        for place in [0, 3, 4, 100] {
            assert!(forged(place, 1).is_err(), "place {place}");
        }
        assert!(forged(1, 0).is_err(), "the same order twice");
        let mut nameless = whole.clone();
        assert_eq!(nameless[2], 1, "its number");
        nameless[2] = 0;
        assert!(restored(3, &nameless).is_err(), "an order without an id");
    }
}
