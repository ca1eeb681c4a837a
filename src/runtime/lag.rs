//! How far the log may be behind the engine.

use super::clock::Clock;
use super::shared::Shared;

/// How often it is looked at: the journal's word lies in another core's cache.
const LOOK_NANOS: u64 = 1_000_000;

/// Watches how long records wait for the log. It keeps one of them in mind: when that one is in the
/// log, the newest of then takes its place, so that none waits unseen for twice the bound.
#[derive(Debug)]
pub struct Lag {
    bound_ms: u64,
    looked: u64,
    /// A record that was not in the log when it was last looked, and since when.
    waits: Option<(u64, u64)>,
}

impl Lag {
    /// A record may wait so many milliseconds.
    pub const fn new(bound_ms: u64) -> Self {
        Self { bound_ms, looked: 0, waits: None }
    }

    /// Milliseconds that a record has waited, once that is past the bound. `seq` is that of the
    /// newest one.
    pub fn look(&mut self, clock: &Clock, shared: &Shared, seq: u64) -> Option<u64> {
        let now = clock.ticks();
        if clock.nanos(self.looked, now) < LOOK_NANOS {
            return None;
        }
        self.looked = now;
        let written = shared.written();
        let is_new = self.waits.is_none_or(|(waits, _)| waits <= written);
        if is_new {
            self.waits = (written < seq).then_some((seq, now));
        }
        let (_, since) = self.waits?;
        let waited_ms = clock.nanos(since, now) / 1_000_000;
        (waited_ms >= self.bound_ms).then_some(waited_ms)
    }
}
