//! How the threads run: plain data, nothing here starts anything.

use super::idle::Idle;
use crate::limits::EVENT_RING_SLOTS;
use serde::{Deserialize, Serialize};

/// When an order may leave: which watermark must have passed its record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Release {
    /// At once. A crash may leave orders at the venue that the log does not know.
    Immediate,
    /// When its record is in the log's map: it survives the process.
    #[default]
    Written,
    /// When its record is on the disk: it survives the machine.
    Synced,
}

/// When the journal puts what it has written on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncPolicy {
    /// At the end of the run alone.
    Never,
    /// At most this often; see [`RuntimeSettings::sync_interval_ms`].
    #[default]
    Interval,
    /// After every batch that the journal thread finds.
    EveryBatch,
}

/// How fast a feed plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// A barrier after every step: two runs give the same result.
    #[default]
    Lockstep,
    /// In the feed's own time, so many times as fast.
    Realtime(u32),
    /// As fast as the rings take it. Positions reach the strategy late, as in life.
    Flood,
}

/// How the threads run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuntimeSettings {
    /// When an order may leave.
    pub release: Release,
    /// When the log is put on the disk.
    pub sync: SyncPolicy,
    /// Milliseconds between two syncs of [`SyncPolicy::Interval`].
    pub sync_interval_ms: u64,
    /// How the engine thread waits; with one core it yields whatever this says.
    pub idle_engine: Idle,
    /// How the other threads wait. Where they share one, the most patient of the three counts.
    pub idle_journal: Idle,
    /// See `idle_journal`.
    pub idle_broker: Idle,
    /// See `idle_journal`.
    pub idle_gateway: Idle,
    /// The engine's core; the last one if not given.
    pub engine_core: Option<usize>,
    /// Slots of the ring between engine and journal.
    pub event_ring_slots: usize,
}

impl Default for RuntimeSettings {
    fn default() -> Self {
        Self {
            release: Release::default(),
            sync: SyncPolicy::default(),
            sync_interval_ms: 10,
            idle_engine: Idle::Spin,
            idle_journal: Idle::Yield,
            idle_broker: Idle::Yield,
            idle_gateway: Idle::Yield,
            engine_core: None,
            event_ring_slots: EVENT_RING_SLOTS,
        }
    }
}
