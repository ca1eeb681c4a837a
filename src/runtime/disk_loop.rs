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

    /// A failed sync is final whoever tried it.
    fn fail(&mut self, error: JournalError) -> Turn {
        self.shared.set_journal_failed();
        self.refused = Some(error);
        Turn::Done
    }
}

impl Agent for DiskLoop {
    fn do_work(&mut self) -> Turn {
        if let Ok(errand) = self.errands.pop() {
            // There is one errand at a time; a journal that is gone wants no answer.
            let _ = self.outcomes.push(errand.run());
            return Turn::Worked;
        }
        let sealer = self.sealer.as_mut().expect("called before the end alone");
        match sealer.step() {
            Ok(Sealing::Worked) => {
                if self.shares_core {
                    self.parker.park_timeout(BREATH);
                }
                Turn::Worked
            }
            Ok(Sealing::Idle) => {
                self.parker.park_timeout(NAP);
                Turn::Idle
            }
            Ok(Sealing::Over) => {
                let sealer = self.sealer.take().expect("called before the end alone");
                self.refused = sealer.finish().err();
                Turn::Done
            }
            Err(error) => self.fail(error),
        }
    }

    fn finish(self: Box<Self>) -> Findings {
        Findings { latencies: Latencies::new(), journal: None, unsealed: self.refused }
    }
}
