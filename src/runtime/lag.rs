//! How far the log may be behind the engine.

use super::clock::Clock;
use super::shared::Shared;
use crate::config::SyncPolicy;

/// How often it is looked at: the journal's word lies in another core's cache.
const LOOK_NANOS: u64 = 1_000_000;

/// Watches how long records wait for the log, and for the disk if they are to be synced.
#[derive(Debug)]
pub struct Lag {
    looked: u64,
    written: Wait,
    synced: Option<Wait>,
}

impl Lag {
    /// A record may wait so many milliseconds to be in the log, and as many past the moment when
    /// its sync is due to be on the disk.
    pub const fn new(bound_ms: u64, sync: SyncPolicy) -> Self {
        let synced = match sync {
            SyncPolicy::Never => None,
            SyncPolicy::EveryBatch => Some(Wait::new(bound_ms)),
            SyncPolicy::Interval { ms } => Some(Wait::new(bound_ms.saturating_add(ms))),
        };
        Self { looked: 0, written: Wait::new(bound_ms), synced }
    }

    /// Milliseconds that a record has waited, once that is past the bound. `seq` is that of the
    /// newest one.
    pub fn look(&mut self, clock: &Clock, shared: &Shared, seq: u64) -> Option<u64> {
        let now = clock.ticks();
        if clock.nanos(self.looked, now) < LOOK_NANOS {
            return None;
        }
        self.looked = now;
        let written = self.written.look(clock, now, shared.written(), seq);
        let synced =
            self.synced.as_mut().and_then(|wait| wait.look(clock, now, shared.synced(), seq));
        written.or(synced)
    }
}

/// Keeps one record in mind: when that one is where it was to be, the newest of then takes its
/// place, so that none waits unseen for twice the bound.
#[derive(Debug)]
struct Wait {
    bound_ms: u64,
    /// A record that was not there when it was last looked, and since when.
    record: Option<(u64, u64)>,
}

impl Wait {
    const fn new(bound_ms: u64) -> Self {
        Self { bound_ms, record: None }
    }

    fn look(&mut self, clock: &Clock, now: u64, there: u64, newest: u64) -> Option<u64> {
        let is_new = self.record.is_none_or(|(seq, _)| seq <= there);
        if is_new {
            self.record = (there < newest).then_some((newest, now));
        }
        let (_, since) = self.record?;
        let waited_ms = clock.nanos(since, now) / 1_000_000;
        (waited_ms >= self.bound_ms).then_some(waited_ms)
    }
}
