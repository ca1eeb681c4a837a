//! What a configuration says beside the core's [`Settings`](crate::settings::Settings): plain data
//! for the runtime, the journal, the broker and the feed.

use crate::broker::SimSettings;
use crate::calendar::{CalendarError, DayRoll, Time};
use crate::limits;
use crate::settings::CostMethod;
use crate::units::Money;
use std::path::PathBuf;

/// The account: what it is measured in, what it starts with, when its day ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountConfig {
    /// What everything is measured in.
    pub currency: String,
    /// Equity before the first order.
    pub initial_capital: Money,
    /// Which lots a closing trade ends.
    pub cost_method: CostMethod,
    /// When the trading day rolls.
    pub day_roll: DayRollConfig,
}

/// A local time of every day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayRollConfig {
    /// IANA name: `America/Chicago`.
    pub timezone: String,
    /// Local time.
    pub time: Time,
}

impl DayRollConfig {
    /// The rule that yields the instants.
    ///
    /// # Errors
    /// [`CalendarError::UnknownTimeZone`]; never for what a file was read into.
    pub fn rule(&self) -> Result<DayRoll, CalendarError> {
        DayRoll::new(&self.timezone, self.time)
    }
}

/// Where orders go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerConfig {
    /// The simulated venue.
    Simulated(SimSettings),
}

/// What must have become of an order's own record before the order may leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Release {
    /// Nothing: fastest, and after a kill the broker may know orders that the log does not.
    Immediate,
    /// It is in the mapped file: it survives the process.
    #[default]
    Written,
    /// It is on the disk: it survives the machine.
    Synced,
}

/// What a duty cycle does when it found no work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Looks again at once; takes a whole core.
    Spin,
    /// Lets others run, then looks again.
    Yield,
    /// Sleeps for a moment; the cheapest and the slowest to wake.
    Park,
}

/// How fast the gateway plays what it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// Each bar waits until everything that the last one caused is over: two runs are alike.
    #[default]
    Lockstep,
    /// In the feed's own time, so many times as fast. Positions reach the strategy late, as in
    /// life.
    Realtime(u32),
    /// As fast as the rings take it; late positions likewise.
    Flood,
}

impl std::str::FromStr for Pace {
    type Err = &'static str;

    /// Reads `lockstep`, `flood`, `realtime` or `realtime x60`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "lockstep, flood, realtime, or realtime xN with N from 1";
        match text {
            "lockstep" => return Ok(Self::Lockstep),
            "flood" => return Ok(Self::Flood),
            "realtime" => return Ok(Self::Realtime(1)),
            _ => {}
        }
        let factor = text.strip_prefix("realtime").and_then(|rest| rest.trim().strip_prefix('x'));
        let factor = factor.and_then(|digits| digits.parse().ok()).filter(|factor| *factor > 0);
        factor.map(Self::Realtime).ok_or(EXPECTED)
    }
}

/// Threads and rings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// When an order may leave.
    pub release: Release,
    /// The engine's waiting.
    pub idle_engine: Idle,
    /// The journal's waiting.
    pub idle_journal: Idle,
    /// The broker's waiting.
    pub idle_broker: Idle,
    /// The gateway's waiting.
    pub idle_gateway: Idle,
    /// The core that the engine is pinned to, by its number; `None`: chosen at start.
    pub engine_core: Option<usize>,
    /// How fast the gateway plays.
    pub pace: Pace,
    /// Slots of the ring between the engine and the journal.
    pub event_ring_slots: usize,
    /// With real time: how long, in milliseconds, nothing may move the engine's time before the
    /// gateway does; `None`: it never does.
    pub timer_interval_ms: Option<u64>,
    /// With real time: how long, in milliseconds, a record may wait for the log before new exposure
    /// is halted; `None`: for ever.
    pub log_behind_ms: Option<u64>,
    /// A file that halts trading while it is there; `None`: there is none.
    pub halt_file: Option<PathBuf>,
}

impl RuntimeConfig {
    /// Milliseconds between two timers, where a file does not say: a tenth of the shortest time in
    /// which a person would call an answer late.
    pub const TIMER_INTERVAL_MS: u64 = 100;
    /// Milliseconds that a record may wait for the log, where a file does not say: longer than a
    /// disk takes that works, shorter than it takes a market to move on.
    pub const LOG_BEHIND_MS: u64 = 250;
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            release: Release::default(),
            idle_engine: Idle::Spin,
            idle_journal: Idle::Yield,
            idle_broker: Idle::Yield,
            idle_gateway: Idle::Yield,
            engine_core: None,
            pace: Pace::default(),
            event_ring_slots: limits::EVENT_RING_SLOTS,
            timer_interval_ms: Some(Self::TIMER_INTERVAL_MS),
            log_behind_ms: Some(Self::LOG_BEHIND_MS),
            halt_file: None,
        }
    }
}

/// When the log is forced to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Only when it is closed.
    Never,
    /// This often; with [`Release::Synced`] after every batch all the same.
    Interval {
        /// Milliseconds from one sync to the next.
        ms: u64,
    },
    /// After every batch of records that the journal took in one turn.
    EveryBatch,
}

/// How much of a log stays in its directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// So many of the last segments stay, and what the state needs.
    pub keep_segments: u64,
    /// Where the others go: into a directory there that is named as the log's.
    pub archive: PathBuf,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Bytes of one segment.
    pub segment_size: u64,
    /// When it is forced to the disk.
    pub sync: SyncPolicy,
    /// Records, counted as their sequence numbers are, from one snapshot to the next, beside a run;
    /// `None`: it makes none.
    pub snapshot_every: Option<u64>,
    /// What is archived beside a run; `None`: all of it stays.
    pub retention: Option<Retention>,
}

impl LogConfig {
    /// Milliseconds between two syncs, where a file does not say.
    pub const SYNC_INTERVAL_MS: u64 = 10;
}

impl Default for LogConfig {
    fn default() -> Self {
        let sync = SyncPolicy::Interval { ms: Self::SYNC_INTERVAL_MS };
        let snapshot_every = Some(limits::SNAPSHOT_EVERY);
        Self { segment_size: limits::SEGMENT_SIZE, sync, snapshot_every, retention: None }
    }
}

/// Which prices of a file of daily futures bars are used; other files have one set of prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PriceColumn {
    /// Open, high, low, close as they stand: right P&L across rolls, wrong level.
    #[default]
    BackAdjusted,
    /// The real prices of the day: right level, wrong P&L across rolls.
    Spliced,
}

/// The market data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedConfig {
    /// Which prices are used.
    pub price_column: PriceColumn,
    /// The symbols that are played and traded; `None`: every one that the data has.
    pub symbols: Option<Vec<String>>,
}
