//! Seeded random numbers: the same everywhere, repeated by `SEED=` and `RUNS=`.

/// Steele, Lea and Flood's `SplitMix64` (2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Less than `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// At least 0 and less than `bound`.
    pub fn range(&mut self, bound: i64) -> i64 {
        let bound = u64::try_from(bound).expect("a bound is above zero");
        i64::try_from(self.below(bound)).expect("less than an i64")
    }

    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        let index = usize::try_from(self.below(items.len() as u64)).expect("a 64-bit machine");
        items[index]
    }
}

/// The seeds of a test: `RUNS` of them from `SEED` on.
pub fn runs(default_runs: u64) -> std::ops::Range<u64> {
    let number = |name: &str, default: u64| match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => default,
    };
    let seed = number("SEED", 1);
    seed..seed + number("RUNS", default_runs)
}
