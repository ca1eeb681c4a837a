//! Latencies per stage, in preallocated histograms that never grow.

use hdrhistogram::Histogram;

/// From where to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Stage {
    /// The feeder pushed a signal; the engine took it.
    SignalIn = 0,
    /// The engine took a signal; the broker took its order.
    OrderOut = 1,
    /// The broker took an order; the log had it, and it was released.
    Release = 2,
    /// The broker pushed a report; the engine took it.
    ReportIn = 3,
    /// The engine took a report; the feeder saw the position.
    Position = 4,
    /// The feeder pushed a signal; it saw the position.
    RoundTrip = 5,
    /// The same two rings with nothing between them: the floor under the stages.
    BareRing = 6,
}

impl Stage {
    /// Every stage, in the order of an order's way.
    pub const ALL: [Self; 7] = [
        Self::SignalIn,
        Self::OrderOut,
        Self::Release,
        Self::ReportIn,
        Self::Position,
        Self::RoundTrip,
        Self::BareRing,
    ];

    /// What a person reads.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignalIn => "signal sent -> engine",
            Self::OrderOut => "engine -> order at broker",
            Self::Release => "order held until logged",
            Self::ReportIn => "report sent -> engine",
            Self::Position => "engine -> position seen",
            Self::RoundTrip => "signal sent -> position seen",
            Self::BareRing => "bare ring round trip",
        }
    }
}

/// Ten seconds: more is a machine that was stopped.
const NANOS_MAX: u64 = 10_000_000_000;
/// Two significant digits: 14 KiB a histogram with 32-bit counters, so that it stays in the cache.
const DIGITS: u8 = 2;

/// One histogram a stage, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Latencies(Vec<Histogram<u32>>);

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

/// What can be said of one stage, in nanoseconds. A percentile that `n` cannot carry is `None`: at
/// least ten samples must lie beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percentiles {
    /// How many were measured.
    pub n: u64,
    /// Half were at or below.
    pub p50: Option<u64>,
    /// 99 in 100.
    pub p99: Option<u64>,
    /// 999 in 1,000.
    pub p99_9: Option<u64>,
    /// The worst.
    pub max: Option<u64>,
}

impl Latencies {
    /// Empty ones; takes all the memory they will ever take.
    pub fn new() -> Self {
        let empty = Histogram::new_with_bounds(1, NANOS_MAX, DIGITS).expect("the bounds are legal");
        Self(vec![empty; Stage::ALL.len()])
    }

    /// Counts one. Does not allocate; what is beyond the bounds counts as the bound.
    pub fn record(&mut self, stage: Stage, nanos: u64) {
        self.0[stage as usize].saturating_record(nanos);
    }

    /// Adds another thread's.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            mine.add(theirs).expect("the bounds are the same");
        }
    }

    /// What can be said of a stage.
    pub fn percentiles(&self, stage: Stage) -> Percentiles {
        /// Samples that must lie beyond a percentile.
        const BEYOND: u64 = 10;
        let histogram = &self.0[stage as usize];
        let n = histogram.len();
        let at = |quantile: f64, one_in: u64| {
            (n >= BEYOND * one_in).then(|| histogram.value_at_quantile(quantile))
        };
        Percentiles {
            n,
            p50: at(0.5, 2),
            p99: at(0.99, 100),
            p99_9: at(0.999, 1_000),
            max: (n > 0).then(|| histogram.max()),
        }
    }
}
