//! The journal's duty cycle: drains records to the log, says how far it is, and syncs.

use super::agent::{Agent, Findings, Turn};
use super::clock::Clock;
use super::latency::Latencies;
use super::shared::Shared;
use crate::codec::Slot;
use crate::config::SyncPolicy;
use crate::journal::{Journal, JournalError};
use rtrb::Consumer;

/// The duty cycle.
#[derive(Debug)]
pub struct JournalLoop {
    journal: Option<Journal>,
    records: Consumer<Slot>,
    shared: Shared,
    clock: Clock,
    policy: SyncPolicy,
    synced_at: u64,
    /// Why the run is to end early.
    shortage: Option<JournalError>,
    outcome: Option<Result<u64, JournalError>>,
}

impl JournalLoop {
    /// A journal at the end of its ring.
    pub fn new(
        journal: Journal,
        records: Consumer<Slot>,
        shared: Shared,
        clock: Clock,
        policy: SyncPolicy,
    ) -> Self {
        shared.set_written(journal.written_seq());
        shared.set_synced(journal.synced_seq());
        let synced_at = clock.ticks();
        let (journal, shortage, outcome) = (Some(journal), None, None);
        Self { journal, records, shared, clock, policy, synced_at, shortage, outcome }
    }

    /// Drains what is there. Returns whether there was anything.
    fn drain(&mut self) -> Result<bool, JournalError> {
        let journal = self.journal.as_mut().expect("called before the end alone");
        // The engine publishes whole groups, so what is there is whole records.
        let count = self.records.slots();
        if count == 0 {
            if let Err(error) = journal.maintain() {
                self.run_out(error);
            }
            return Ok(false);
        }
        let chunk = self.records.read_chunk(count).expect("it was there");
        let (first, second) = chunk.as_slices();
        journal.append_chunk(first, second)?;
        chunk.commit_all();
        self.shared.set_written(journal.written_seq());
        Ok(true)
    }

    /// There is no room for the next segment, and some left in this one: the run comes to an
    /// orderly end while what is under way is still recorded.
    fn run_out(&mut self, error: JournalError) {
        self.shared.stop();
        self.shortage.get_or_insert(error);
    }

    fn sync_if_due(&mut self) -> Result<(), JournalError> {
        let journal = self.journal.as_mut().expect("called before the end alone");
        let due = match self.policy {
            SyncPolicy::Never => false,
            SyncPolicy::EveryBatch => true,
            SyncPolicy::Interval { ms } => {
                self.clock.nanos(self.synced_at, self.clock.ticks()) / 1_000_000 >= ms
            }
        };
        if due && journal.synced_seq() < journal.written_seq() {
            let synced = journal.sync()?;
            self.shared.set_synced(synced);
            self.synced_at = self.clock.ticks();
        }
        Ok(())
    }

    fn end(&mut self) -> Turn {
        let journal = self.journal.take().expect("called once");
        let closed = journal.close();
        if let Ok(last_seq) = closed {
            self.shared.set_synced(last_seq);
        }
        self.outcome = Some(self.shortage.take().map_or(closed, Err));
        Turn::Done
    }

    /// The log cannot go on: what it holds stays, nothing more leaves.
    fn fail(&mut self, error: JournalError) -> Turn {
        self.shared.set_journal_failed();
        self.journal = None;
        self.outcome = Some(Err(error));
        Turn::Done
    }
}

impl Agent for JournalLoop {
    fn do_work(&mut self) -> Turn {
        // Ask before draining, not after: what the engine pushed before it let go of its end is
        // visible to the drain below. Asked after, a record pushed in between would be lost.
        let abandoned = self.records.is_abandoned();
        match self.drain().and_then(|worked| self.sync_if_due().map(|()| worked)) {
            Ok(true) => Turn::Worked,
            Ok(false) if abandoned => self.end(),
            Ok(false) => Turn::Idle,
            Err(error) => self.fail(error),
        }
    }

    fn finish(self: Box<Self>) -> Findings {
        Findings { latencies: Latencies::new(), journal: self.outcome, unsealed: None }
    }
}
