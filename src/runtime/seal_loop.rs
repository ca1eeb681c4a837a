//! The sealer's duty cycle: puts closed segments on the disk and digests them, beside the journal,
//! which waits for neither.

use super::agent::{Agent, Findings, Turn};
use super::latency::Latencies;
use super::shared::Shared;
use crate::journal::{JournalError, Sealer, Sealing};

/// The duty cycle.
#[derive(Debug)]
pub struct SealLoop {
    sealer: Option<Sealer>,
    shared: Shared,
    /// Why not all that was closed is sealed.
    refused: Option<JournalError>,
}

impl SealLoop {
    /// A sealer beside its journal.
    pub const fn new(sealer: Sealer, shared: Shared) -> Self {
        Self { sealer: Some(sealer), shared, refused: None }
    }
}

impl Agent for SealLoop {
    fn do_work(&mut self) -> Turn {
        let sealer = self.sealer.as_mut().expect("called before the end alone");
        match sealer.step() {
            Ok(Sealing::Worked) => Turn::Worked,
            Ok(Sealing::Idle) => Turn::Idle,
            Ok(Sealing::Over) => {
                let sealer = self.sealer.take().expect("called before the end alone");
                self.refused = sealer.finish().err();
                Turn::Done
            }
            Err(error) => {
                // A failed sync is final whoever tried it.
                self.shared.set_journal_failed();
                self.refused = Some(error);
                Turn::Done
            }
        }
    }

    fn finish(self: Box<Self>) -> Findings {
        Findings { latencies: Latencies::new(), journal: None, unsealed: self.refused }
    }
}
