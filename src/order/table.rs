//! A fixed hash table from a key to a place in some other table: open addressing with linear
//! probing, at most half full, entries shifted back on removal so that no tombstones pile up.

/// What can be looked up.
pub trait Key: Copy + Eq {
    /// The key that no entry has: it marks a free place.
    const NONE: Self;

    /// Spread over all 64 bits; the high half chooses the place.
    fn spread(self) -> u64;
}

/// One step of mixing a word into a spread: Fibonacci hashing, since most keys are counters and
/// this parts neighbours; first the high half is laid over the low one, which alone would not reach
/// it.
pub const fn mix(spread: u64, word: u64) -> u64 {
    let both = spread ^ word;
    let mixed = (both ^ (both >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 29)
}

/// Key to place.
#[derive(Clone, Debug)]
pub struct Table<K> {
    entries: Vec<(K, u32)>,
    mask: usize,
}

impl<K: Key> Table<K> {
    /// Room for `max` keys, which whoever uses it must keep to; the last memory it takes.
    pub fn new(max: usize) -> Self {
        let size = (max * 2).next_power_of_two();
        Self { entries: vec![(K::NONE, 0); size], mask: size - 1 }
    }

    fn home(&self, key: K) -> usize {
        usize::try_from(key.spread() >> 32).expect("32 bits fit") & self.mask
    }

    fn find(&self, key: K) -> Option<usize> {
        if key == K::NONE {
            return None;
        }
        let mut place = self.home(key);
        // Bounded: at most half of the entries are taken.
        while self.entries[place].0 != K::NONE {
            if self.entries[place].0 == key {
                return Some(place);
            }
            place = (place + 1) & self.mask;
        }
        None
    }

    /// What a key leads to.
    pub fn get(&self, key: K) -> Option<u32> {
        Some(self.entries[self.find(key)?].1)
    }

    /// Takes a key in.
    ///
    /// # Panics
    /// If it is there already, or is none.
    pub fn insert(&mut self, key: K, index: u32) {
        assert!(key != K::NONE);
        let mut place = self.home(key);
        while self.entries[place].0 != K::NONE {
            assert!(self.entries[place].0 != key);
            place = (place + 1) & self.mask;
        }
        self.entries[place] = (key, index);
    }

    /// Takes a key out, and returns what it led to.
    pub fn remove(&mut self, key: K) -> Option<u32> {
        let mut hole = self.find(key)?;
        let index = self.entries[hole].1;
        let mut place = hole;
        loop {
            place = (place + 1) & self.mask;
            let (next, _) = self.entries[place];
            if next == K::NONE {
                self.entries[hole] = (K::NONE, 0);
                return Some(index);
            }
            // An entry may fill the hole only if its home does not lie between hole and place.
            let from_home = place.wrapping_sub(self.home(next)) & self.mask;
            let from_hole = place.wrapping_sub(hole) & self.mask;
            if from_home >= from_hole {
                self.entries[hole] = self.entries[place];
                hole = place;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Counter(u64);

    impl Key for Counter {
        const NONE: Self = Self(0);

        fn spread(self) -> u64 {
            mix(0, self.0)
        }
    }

    /// Keys that crowd: four of each home, the last of all at the end of the table.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Crowding(u64);

    impl Key for Crowding {
        const NONE: Self = Self(u64::MAX);

        fn spread(self) -> u64 {
            (self.0 / 4 * 7) << 32
        }
    }

    #[test]
    fn crowded_keys_are_found_until_they_are_taken_out() {
        let mut table = Table::new(16);
        assert_eq!((table.entries.len(), table.mask), (32, 31));
        let mut oracle = BTreeMap::new();
        let mut step = 1_u64;
        for index in 0..20_000 {
            step = step.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
            let key = Crowding((step >> 40) % 40);
            if oracle.contains_key(&key) || oracle.len() == 16 {
                assert_eq!(table.remove(key), oracle.remove(&key), "step {index}");
            } else {
                table.insert(key, index);
                oracle.insert(key, index);
            }
            for key in (0..40).map(Crowding) {
                assert_eq!(table.get(key), oracle.get(&key).copied(), "{key:?}, step {index}");
            }
        }
        assert_eq!(table.get(Crowding::NONE), None);
        assert_eq!(table.remove(Crowding::NONE), None);
    }

    #[test]
    #[should_panic(expected = "assertion failed")]
    fn a_key_is_taken_in_once() {
        let mut table = Table::new(2);
        table.insert(Counter(7), 0);
        table.insert(Counter(7), 1);
    }

    #[test]
    #[should_panic(expected = "assertion failed")]
    fn none_is_not_taken_in() {
        Table::new(2).insert(Counter::NONE, 0);
    }

    /// Counters and keys that differ in their high bits alone lie as apart as chance would have it:
    /// at half full a key is 1.5 probes away on average, by Knuth, volume 3, 6.4.
    #[test]
    fn neighbours_part() {
        for shift in [0, 16, 32, 48] {
            let mut table = Table::new(1 << 15);
            for index in 1..=1 << 15 {
                table.insert(Counter(u64::from(index) << shift), index);
            }
            let probes: usize = (1..=1 << 15)
                .map(|index| {
                    let key = Counter(index << shift);
                    let place = table.find(key).expect("it was taken in");
                    (place.wrapping_sub(table.home(key)) & table.mask) + 1
                })
                .sum();
            assert!(probes < 2 << 15, "{probes} probes for {} keys, shift {shift}", 1 << 15);
        }
    }
}
