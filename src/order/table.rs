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
/// this parts neighbours.
pub const fn mix(spread: u64, word: u64) -> u64 {
    let mixed = (spread ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
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
