//! Executions seen: a fixed table from fingerprint to figures, so that a trade that is reported
//! twice is booked once, for the life of the log.

use crate::digest::Digest;
use crate::input::ExecKey;
use crate::limits::EXECUTIONS_RESERVE;
use crate::units::{Price, Qty};

/// What the table knows of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Not seen before.
    New,
    /// Seen, with the same figures.
    Same,
    /// Seen, with other figures.
    Conflicting,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    key: ExecKey,
    qty: Qty,
    price: Price,
}

/// The table: open addressing, at most half full, nothing is ever taken out.
#[derive(Clone, Debug)]
pub struct Executions {
    entries: Vec<Entry>,
    mask: usize,
    count: usize,
    max: usize,
    digest: Digest,
}

impl Executions {
    /// Room for `executions_max` executions; the last memory it takes.
    pub fn new(executions_max: usize) -> Self {
        assert!(executions_max > 0);
        let size = (executions_max * 2).next_power_of_two();
        Self {
            entries: vec![Entry::default(); size],
            mask: size - 1,
            count: 0,
            max: executions_max,
            digest: Digest::default(),
        }
    }

    /// Executions held.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether only the reserve is left, which is for reports: no new order may be sent.
    pub fn is_nearly_full(&self) -> bool {
        self.count + EXECUTIONS_RESERVE.min(self.max / 2) >= self.max
    }

    /// Whether nothing more can be remembered.
    pub fn is_full(&self) -> bool {
        self.count >= self.max
    }

    fn place(&self, key: ExecKey) -> usize {
        let low = u64::try_from(key.0 & u128::from(u64::MAX)).expect("masked");
        let mut place = usize::try_from(low).expect("a 64-bit machine") & self.mask;
        // Bounded: at most half of the entries are taken.
        while self.entries[place].key != ExecKey::default() && self.entries[place].key != key {
            place = (place + 1) & self.mask;
        }
        place
    }

    /// Whether an execution has been seen, and whether with these figures.
    pub fn seen(&self, key: ExecKey, qty: Qty, price: Price) -> Seen {
        let entry = &self.entries[self.place(key)];
        if entry.key != key || key == ExecKey::default() {
            Seen::New
        } else if (entry.qty, entry.price) == (qty, price) {
            Seen::Same
        } else {
            Seen::Conflicting
        }
    }

    /// Remembers an execution. Does nothing if it is known or there is no room.
    pub(super) fn insert(&mut self, key: ExecKey, qty: Qty, price: Price) {
        let place = self.place(key);
        if self.is_full() || key == ExecKey::default() || self.entries[place].key == key {
            return;
        }
        self.entries[place] = Entry { key, qty, price };
        self.count += 1;
        self.digest.wide(key.0.cast_signed());
        self.digest.signed(qty.0);
        self.digest.signed(price.0);
    }

    /// Folds the table into a hash: kept as it grows, so that this costs nothing.
    pub fn digest(&self, digest: &mut Digest) {
        digest.word(self.count as u64);
        digest.word(self.digest.finish());
    }
}
