//! The machine's clock: one cheap counter for latencies, wall time for inputs that need it. The
//! only file of the library that reads either.

use crate::units::Ts;
use fixed::types::U32F32;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A counter (the time stamp counter, where the machine has a steady one) and its scale.
#[derive(Clone, Debug)]
pub struct Clock {
    source: quanta::Clock,
    /// Nanoseconds of one tick.
    scale: U32F32,
}

/// Ticks over which the scale is read off: a second of a gigahertz counter.
const SCALE_TICKS: u64 = 1_000_000_000;

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// Calibrates the counter, once a process.
    pub fn new() -> Self {
        let source = quanta::Clock::new();
        let nanos = source.delta_as_nanos(0, SCALE_TICKS);
        // A counter slower than one tick in four seconds is none.
        let scale = U32F32::from_num(nanos) / U32F32::from_num(SCALE_TICKS);
        Self { source, scale }
    }

    /// The counter now. Never 0.
    #[inline]
    pub fn ticks(&self) -> u64 {
        self.source.raw().max(1)
    }

    /// Nanoseconds between two readings; 0 if they are the wrong way round, as readings of two
    /// cores can be by a hair.
    #[inline]
    pub fn nanos(&self, from: u64, to: u64) -> u64 {
        let ticks = u128::from(to.saturating_sub(from));
        let nanos = (ticks * u128::from(self.scale.to_bits())) >> 32;
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    /// Wall time, for inputs that come from life.
    #[expect(clippy::disallowed_methods, reason = "this is where the wall clock enters")]
    pub fn now() -> Ts {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Ts(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }
}
