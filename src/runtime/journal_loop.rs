//! The journal's duty cycle: drains records to the log, says how far it is, and asks for syncs. It
//! waits for none: that is the [`DiskLoop`]'s.

use super::agent::{Agent, Findings, Turn};
use super::clock::Clock;
use super::disk_loop::DiskLoop;
use super::latency::Latencies;
use super::shared::Shared;
use crate::codec::Slot;
use crate::config::SyncPolicy;
use crate::journal::{Journal, JournalError, SyncErrand, SyncOutcome};
use crossbeam_utils::sync::{Parker, Unparker};
use rtrb::{Consumer, Producer, RingBuffer};

/// The duty cycle.
#[derive(Debug)]
pub struct JournalLoop {
    journal: Option<Journal>,
    records: Consumer<Slot>,
    shared: Shared,
    clock: Clock,
    policy: SyncPolicy,
    errands: Producer<SyncErrand>,
    outcomes: Consumer<SyncOutcome>,
    /// Wakes the thread that waits for the disk.
    disk: Unparker,
    is_syncing: bool,
    /// When the last sync was asked for.
    sync_begun: u64,
    /// Why the run is to end early.
    shortage: Option<JournalError>,
    outcome: Option<Result<u64, JournalError>>,
}

impl JournalLoop {
    /// A journal at the end of its ring, and beside it what waits for the disk.
    ///
    /// # Panics
    /// If somebody has taken the journal's sealer.
    pub fn new(
        mut journal: Journal,
        records: Consumer<Slot>,
        shared: Shared,
        clock: Clock,
        policy: SyncPolicy,
    ) -> (Self, DiskLoop) {
        shared.set_written(journal.written_seq());
        shared.set_synced(journal.synced_seq());
        let (errands, errands_out) = RingBuffer::new(1);
        let (outcomes_in, outcomes) = RingBuffer::new(1);
        let parker = Parker::new();
        let disk = parker.unparker().clone();
        let sealer = journal.take_sealer().expect("nobody has taken it");
        let disk_loop = DiskLoop::new(errands_out, outcomes_in, sealer, shared.clone(), parker);
        let journal_loop = Self {
            journal: Some(journal),
            records,
            sync_begun: clock.ticks(),
            shared,
            clock,
            policy,
            errands,
            outcomes,
            disk,
            is_syncing: false,
            shortage: None,
            outcome: None,
        };
        (journal_loop, disk_loop)
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
        // Not only when idle: without it a journal that is always busy would find no room too late.
        if let Err(error) = journal.provide() {
            self.run_out(error);
        }
        Ok(true)
    }

    /// There is no room for the next segment, and some left in this one: the run comes to an
    /// orderly end while what is under way is still recorded.
    fn run_out(&mut self, error: JournalError) {
        self.shared.stop();
        self.shortage.get_or_insert(error);
    }

    /// Takes up what came of the last sync, or that another one has failed.
    fn hear(&mut self) -> Result<(), JournalError> {
        let journal = self.journal.as_mut().expect("called before the end alone");
        if let Ok(outcome) = self.outcomes.pop() {
            self.is_syncing = false;
            self.shared.set_synced(journal.end_sync(outcome)?);
        }
        journal.check_alive()
    }

    /// Asks for a sync when it is due.
    fn sync_if_due(&mut self) -> Result<(), JournalError> {
        let is_due = match self.policy {
            SyncPolicy::Never => false,
            SyncPolicy::EveryBatch => true,
            SyncPolicy::Interval { ms } => {
                self.clock.nanos(self.sync_begun, self.clock.ticks()) / 1_000_000 >= ms
            }
        };
        if is_due { self.sync() } else { Ok(()) }
    }

    /// Asks for a sync of what is not on the disk, unless one is under way.
    fn sync(&mut self) -> Result<(), JournalError> {
        let journal = self.journal.as_mut().expect("called before the end alone");
        if self.is_syncing || journal.synced_seq() == journal.written_seq() {
            return Ok(());
        }
        if let Some(errand) = journal.begin_sync()? {
            self.sync_begun = self.clock.ticks();
            self.is_syncing = true;
            self.errands.push(errand).expect("one errand at a time");
            self.disk.unpark();
        }
        Ok(())
    }

    /// The engine is gone and all of its records are in the log: the end, once they are synced.
    fn end(&mut self) -> Turn {
        if let Err(error) = self.sync() {
            return self.fail(error);
        }
        if self.is_syncing {
            return Turn::Idle;
        }
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
        let worked = self.hear().and_then(|()| self.drain());
        match worked.and_then(|worked| self.sync_if_due().map(|()| worked)) {
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
