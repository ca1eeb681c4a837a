//! For the oracles: a seeded generator, and exact rationals that nobody needs to test.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use num_bigint::BigInt;
use num_rational::BigRational;

/// A seeded generator (splitmix64): the same numbers everywhere, for ever.
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `0..bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// In `low..=high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = high.abs_diff(low).checked_add(1).expect("not the whole range");
        low.checked_add_unsigned(self.below(span)).expect("within the span")
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).expect("an index")]
    }
}

/// `SEED=` and `RUNS=`, printed with the command that repeats the test.
pub fn seed_and_runs(test: &str, runs: u64) -> (u64, u64) {
    let from_env = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let (seed, runs) = (from_env("SEED", 20_260_105), from_env("RUNS", runs));
    println!("SEED={seed} RUNS={runs} cargo test --test {test}");
    (seed, runs)
}

pub fn int(value: impl Into<BigInt>) -> BigRational {
    BigRational::from_integer(value.into())
}

/// The nearest integer; of two, the even one.
pub fn half_even(value: &BigRational) -> BigInt {
    let floor = value.floor();
    let twice = (value - &floor) * int(2);
    let floor = floor.to_integer();
    let up = match twice.cmp(&int(1)) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => &floor % BigInt::from(2) != BigInt::from(0),
    };
    if up { floor + BigInt::from(1) } else { floor }
}
