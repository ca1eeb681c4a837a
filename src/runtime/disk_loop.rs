//! The disk's duty cycle: all that waits for a disk, on a thread where nobody waits with it. Syncs
//! what the journal asks for; puts closed segments on the disk and digests them.

use super::agent::{Agent, Findings, Turn};
use super::latency::Latencies;
use super::shared::Shared;
use crate::journal::{JournalError, Sealer, Sealing, SyncErrand, SyncOutcome};
use crossbeam_utils::sync::Parker;
use rtrb::{Consumer, Producer};
use std::time::Duration;

/// How long a turn without work lasts, unless the journal has an errand: segments are closed once
/// in a million records, and the end of a run may wait so long.
const NAP: Duration = Duration::from_millis(1);
/// Between two pieces of a digest, where the journal needs the same core.
const BREATH: Duration = Duration::from_micros(100);

/// The duty cycle.
#[derive(Debug)]
pub struct DiskLoop {
    errands: Consumer<SyncErrand>,
    outcomes: Producer<SyncOutcome>,
    /// `None` once there is nothing more to seal.
    sealer: Option<Sealer>,
    shared: Shared,
    parker: Parker,
    shares_core: bool,
    /// Why not all that was closed is sealed.
    refused: Option<JournalError>,
}

impl DiskLoop {
    pub(super) const fn new(
        errands: Consumer<SyncErrand>,
        outcomes: Producer<SyncOutcome>,
        sealer: Sealer,
        shared: Shared,
        parker: Parker,
    ) -> Self {
        let sealer = Some(sealer);
        Self { errands, outcomes, sealer, shared, parker, shares_core: false, refused: None }
    }

    /// Whether its core is also the journal's, which is then left alone between two pieces.
    #[must_use]
    pub fn sharing_core(mut self, shares_core: bool) -> Self {
        self.shares_core = shares_core;
        self
    }

    /// One step of the sealer. The journal may still want a sync when there is no more to seal: one
    /// that could not be written ends the sealing, not the log.
    fn seal(&mut self) -> Turn {
        let Some(sealer) = &mut self.sealer else { return Turn::Idle };
        match sealer.step() {
            Ok(Sealing::Worked) => return Turn::Worked,
            Ok(Sealing::Idle) => return Turn::Idle,
            Ok(Sealing::Over) => {
                let sealer = self.sealer.take().expect("it has just made a step");
                self.refused = sealer.finish().err();
            }
            Err(error) => {
                // A failed sync is final whoever tried it.
                self.shared.set_journal_failed();
                self.sealer = None;
                self.refused = Some(error);
            }
        }
        Turn::Worked
    }
}

impl Agent for DiskLoop {
    fn do_work(&mut self) -> Turn {
        // Before the ring is looked at: a journal that is gone has put into it what it would.
        let is_abandoned = self.errands.is_abandoned();
        if let Ok(errand) = self.errands.pop() {
            let outcome = errand.run();
            let has_failed = outcome.has_failed();
            // There is one errand at a time; a journal that is gone wants no answer.
            let _ = self.outcomes.push(outcome);
            if has_failed {
                // No order leaves from here on, however long the journal takes to hear of it.
                self.shared.set_journal_failed();
            }
            return Turn::Worked;
        }
        match self.seal() {
            Turn::Worked if self.shares_core => {
                self.parker.park_timeout(BREATH);
                Turn::Worked
            }
            Turn::Idle if is_abandoned && self.sealer.is_none() => Turn::Done,
            Turn::Idle => {
                self.parker.park_timeout(NAP);
                Turn::Idle
            }
            turn @ (Turn::Worked | Turn::Done) => turn,
        }
    }

    fn finish(self: Box<Self>) -> Findings {
        Findings { latencies: Latencies::new(), journal: None, unsealed: self.refused }
    }
}
