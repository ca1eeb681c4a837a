//! How the threads run: plain data, nothing here starts anything.

use crate::config::{Config, Idle, LogConfig, Release, RuntimeConfig, SyncPolicy};
use crate::limits::event_ring_slots_min;
use crate::settings::Settings;

/// How the threads run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuntimeSettings {
    /// When an order may leave.
    pub release: Release,
    /// When the log is put on the disk.
    pub sync: SyncPolicy,
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
    /// With real time alone: how long, in milliseconds, nothing may move the engine's time before
    /// the gateway does; `None`: it never does.
    pub timer_interval_ms: Option<u64>,
    /// With real time alone: how long, in milliseconds, a record may wait for the log before new
    /// exposure is halted; `None`: for ever.
    pub log_behind_ms: Option<u64>,
}

impl RuntimeSettings {
    /// What a configuration says.
    pub const fn of(config: &Config) -> Self {
        Self::from_parts(&config.runtime, &config.log)
    }

    /// Whether an engine of these settings can run so: as [`start`](super::start) asks, for whoever
    /// would rather know before a log is begun.
    ///
    /// # Errors
    /// A line for a person.
    pub fn check(&self, settings: &Settings) -> Result<(), String> {
        let (slots, orders) = (self.event_ring_slots, settings.capacity.orders);
        let least = event_ring_slots_min(orders);
        if slots < least {
            return Err(format!(
                "capacity.event_ring_slots = {slots}: too few for a kill to cancel every order of \
                 capacity.orders = {orders}; that takes {least}"
            ));
        }
        if self.release == Release::Synced && self.sync == SyncPolicy::Never {
            let what = "release = \"synced\" needs sync = \"every_batch\" or \"interval\"";
            return Err(what.to_owned());
        }
        Ok(())
    }

    const fn from_parts(runtime: &RuntimeConfig, log: &LogConfig) -> Self {
        Self {
            release: runtime.release,
            sync: log.sync,
            idle_engine: runtime.idle_engine,
            idle_journal: runtime.idle_journal,
            idle_broker: runtime.idle_broker,
            idle_gateway: runtime.idle_gateway,
            engine_core: runtime.engine_core,
            event_ring_slots: runtime.event_ring_slots,
            timer_interval_ms: runtime.timer_interval_ms,
            log_behind_ms: runtime.log_behind_ms,
        }
    }
}

impl Default for RuntimeSettings {
    fn default() -> Self {
        Self::from_parts(&RuntimeConfig::default(), &LogConfig::default())
    }
}
