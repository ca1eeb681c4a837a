//! A disk that refuses: nothing is called durable that is not, everybody hears of it, and what does
//! not need the disk goes on. As Linux does it: a write that failed is told once to each open file,
//! and the next sync is good though the bytes are not there.

#[path = "common/log.rs"]
mod log;

use log::{append, read_all, record, records, temp_dir, tiny, write_private};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;
use trade_engine::codec::Slot;
use trade_engine::config::SyncPolicy;
use trade_engine::journal::{
    Disk, Journal, JournalError, LogReader, Sealing, layout, recover, recover_on,
};
use trade_engine::runtime::{Agent, Clock, DiskLoop, JournalLoop, Shared, Turn};

/// Fails the next sync of a file, once.
#[derive(Debug, Default)]
struct FailingOnce(Mutex<BTreeSet<PathBuf>>);

impl Disk for FailingOnce {
    fn sync_data(&self, path: &Path, _: &File) -> std::io::Result<()> {
        let fails = self.0.lock().unwrap().remove(path);
        if fails { Err(std::io::Error::other("the disk is gone")) } else { Ok(()) }
    }

    fn sync_all(&self, path: &Path, file: &File) -> std::io::Result<()> {
        self.sync_data(path, file)
    }
}

/// What the next syncs of a file do, whoever asks.
fn fail_next(disk: &FailingOnce, path: PathBuf) {
    disk.0.lock().unwrap().insert(path);
}

/// Journal and disk between the ends of a ring.
struct Stage {
    records: rtrb::Producer<Slot>,
    shared: Shared,
    journal_loop: JournalLoop,
    disk_loop: DiskLoop,
    seq: u64,
}

impl Stage {
    fn new(disk: Arc<dyn Disk>, dir: &Path, sync: SyncPolicy) -> Self {
        let journal = Journal::create_on(disk, dir, tiny()).unwrap();
        let (records, out) = rtrb::RingBuffer::new(1_024);
        let shared = Shared::default();
        let (journal_loop, disk_loop) =
            JournalLoop::new(journal, out, shared.clone(), Clock::new(), sync);
        Self { records, shared, journal_loop, disk_loop, seq: 0 }
    }

    fn push(&mut self, count: u64) {
        for slot in records(self.seq + 1, count) {
            self.seq = slot[0];
            self.records.push(slot).unwrap();
        }
    }

    /// The end of a run: the engine is gone. What the journal says of it.
    fn end(self) -> Result<u64, JournalError> {
        let Self { records, mut journal_loop, mut disk_loop, .. } = self;
        drop(records);
        let mut turns = 0;
        while journal_loop.do_work() != Turn::Done {
            disk_loop.do_work();
            turns += 1;
            assert!(turns < 10_000, "it never ends");
        }
        let outcome = Box::new(journal_loop).finish().journal.unwrap();
        while disk_loop.do_work() != Turn::Done {
            turns += 1;
            assert!(turns < 10_000, "the disk's thread never ends");
        }
        outcome
    }
}

/// It costs the seals and nothing else: the log is synced on, and the run ends.
#[test]
fn a_seal_that_cannot_be_written_stops_no_sync() {
    let parent = temp_dir();
    let dir = parent.path().join("log");
    let disk = Arc::new(FailingOnce::default());
    let mut stage = Stage::new(disk, &dir, SyncPolicy::EveryBatch);
    std::fs::create_dir(dir.join(layout::seal_name(1))).unwrap();
    for _ in 0..10 {
        stage.push(40);
        for _ in 0..40 {
            stage.journal_loop.do_work();
            stage.disk_loop.do_work();
        }
        assert_eq!(stage.shared.synced(), stage.seq);
    }
    let last = stage.seq;
    assert_eq!(stage.end().unwrap(), last);
    std::fs::remove_dir(dir.join(layout::seal_name(1))).unwrap();
    assert_eq!(read_all(&dir).unwrap().0, records(1, last));
}

/// A sync of the sealer's fails while the journal waits for one of its own.
#[test]
fn a_sync_of_the_sealers_that_fails_ends_the_journal_too() {
    let parent = temp_dir();
    let dir = parent.path().join("log");
    let disk = Arc::new(Gate::default());
    let mut stage = Stage::new(Arc::clone(&disk) as _, &dir, SyncPolicy::EveryBatch);
    stage.push(100);
    stage.journal_loop.do_work();
    stage.disk_loop.do_work();
    disk.is_shut.store(true, Ordering::Release);
    let Stage { mut records, shared, mut journal_loop, mut disk_loop, seq } = stage;
    let other = std::thread::spawn(move || while disk_loop.do_work() != Turn::Done {});
    while !disk.is_waiting.load(Ordering::Acquire) {
        std::thread::yield_now();
    }
    for slot in record(seq + 1) {
        records.push(slot).unwrap();
    }
    // Takes up the first sync, and asks for the next.
    for _ in 0..3 {
        journal_loop.do_work();
    }
    disk.is_shut.store(false, Ordering::Release);
    while !shared.journal_failed() {
        std::thread::yield_now();
    }
    drop(records);
    let mut turns = 0;
    while journal_loop.do_work() != Turn::Done {
        turns += 1;
        assert!(turns < 10_000, "it never ends");
    }
    let outcome = Box::new(journal_loop).finish().journal.unwrap();
    assert!(matches!(outcome, Err(JournalError::SyncFailed { .. })), "{outcome:?}");
    other.join().unwrap();
}

/// A sync of everything of a segment, which is the sealer's, waits while it is shut, and has failed
/// then.
#[derive(Debug, Default)]
struct Gate {
    is_shut: AtomicBool,
    is_waiting: AtomicBool,
}

impl Disk for Gate {
    fn sync_data(&self, _: &Path, _: &File) -> std::io::Result<()> {
        Ok(())
    }

    fn sync_all(&self, path: &Path, _: &File) -> std::io::Result<()> {
        if !self.is_shut.load(Ordering::Acquire) || path.is_dir() {
            return Ok(());
        }
        self.is_waiting.store(true, Ordering::Release);
        while self.is_shut.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        Err(std::io::Error::other("the disk is gone"))
    }
}

/// Whoever works for the log knows of it before the journal does: no seal vouches for the segment,
/// and no order leaves.
#[test]
fn a_failed_sync_is_known_before_the_journal_hears_of_it() {
    let parent = temp_dir();
    let dir = parent.path().join("log");
    let disk = Arc::new(FailingOnce::default());
    let mut stage = Stage::new(Arc::clone(&disk) as _, &dir, SyncPolicy::EveryBatch);
    stage.push(100);
    stage.journal_loop.do_work();
    fail_next(&disk, dir.join(layout::segment_name(1)));
    for _ in 0..10 {
        stage.disk_loop.do_work();
    }
    assert!(stage.shared.journal_failed());
    assert!(!dir.join(layout::seal_name(1)).exists());
    assert_eq!(LogReader::open(&dir).unwrap().synced_seq(), Some(0));
    let outcome = stage.end();
    assert!(matches!(outcome, Err(JournalError::Io { action: "sync", .. })), "{outcome:?}");
}

/// Two syncs of one segment at a time: the one that is not told of the failure writes no mark.
#[test]
fn no_mark_covers_what_another_sync_could_not_write() {
    let parent = temp_dir();
    let dir = parent.path().join("log");
    let disk = Arc::new(FailingOnce::default());
    let mut journal = Journal::create_on(Arc::clone(&disk) as _, &dir, tiny()).unwrap();
    while !dir.join(layout::segment_name(5)).exists() {
        append(&mut journal, 1, None);
    }
    let errand = journal.begin_sync().unwrap().unwrap();
    fail_next(&disk, dir.join(layout::segment_name(1)));
    // The roll finds more closed segments than it may leave, and syncs the oldest itself.
    while journal.append(&record(journal.written_seq() + 1)).is_ok() {}
    assert!(journal.end_sync(errand.run()).is_err());
    assert_eq!(LogReader::open(&dir).unwrap().synced_seq(), Some(0));
}

/// The next writer does not get in while a seal may still be written.
#[test]
fn the_sealer_holds_the_lock() {
    let parent = temp_dir();
    let dir = parent.path().join("log");
    let mut journal = Journal::create(&dir, tiny()).unwrap();
    let mut sealer = journal.take_sealer().unwrap();
    append(&mut journal, 100, None);
    journal.close().unwrap();
    assert!(matches!(recover(&dir).unwrap_err(), JournalError::InUse { .. }));
    while sealer.step().unwrap() == Sealing::Worked {}
    drop(sealer);
    assert!(recover(&dir).is_ok());
}

/// Keeps what has reached the platter, and calls clean what it could not write. That a file was
/// written since, with the same bytes even, shows in its time.
#[derive(Debug, Default)]
struct Forgetful {
    fails: AtomicBool,
    files: Mutex<BTreeMap<PathBuf, Platter>>,
}

/// What of a file is on the platter, and what is not dirty.
type Platter = (Vec<u8>, Vec<u8>);

impl Disk for Forgetful {
    fn sync_data(&self, path: &Path, file: &File) -> std::io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        let mut now = vec![0; usize::try_from(file.metadata()?.len()).unwrap()];
        file.read_exact_at(&mut now, 0)?;
        let mut files = self.files.lock().unwrap();
        let (platter, clean) = files.entry(path.to_owned()).or_default();
        platter.resize(now.len(), 0);
        clean.resize(now.len(), 0);
        let is_written = file.metadata()?.modified()? != UNIX_EPOCH;
        let fails = self.fails.swap(false, Ordering::Relaxed);
        for at in (0..now.len()).filter(|_| !fails) {
            if now[at] != clean[at] || is_written {
                platter[at] = now[at];
            }
        }
        *clean = now;
        file.set_modified(UNIX_EPOCH)?;
        if fails { Err(std::io::Error::other("the disk is gone")) } else { Ok(()) }
    }

    fn sync_all(&self, path: &Path, file: &File) -> std::io::Result<()> {
        self.sync_data(path, file)
    }
}

/// After a sync has failed a recovery finds every record, and calls it durable: so it must be.
#[test]
fn what_a_recovery_calls_synced_survives_the_power_after_a_failed_sync() {
    let parent = temp_dir();
    let dir = parent.path().join("log");
    let disk = Arc::new(Forgetful::default());
    let mut journal = Journal::create_on(Arc::clone(&disk) as _, &dir, tiny()).unwrap();
    append(&mut journal, 20, Some(10));
    append(&mut journal, 90, None);
    disk.fails.store(true, Ordering::Relaxed);
    journal.sync().unwrap_err();
    drop(journal);
    let recovery = recover_on(Arc::clone(&disk) as _, &dir).unwrap();
    let last_seq = recovery.last_seq;
    assert!(last_seq >= 110, "a killed process loses nothing");
    drop(recovery);

    let torn = parent.path().join("torn");
    std::fs::DirBuilder::new().mode(0o700).create(&torn).unwrap();
    for (path, (platter, _)) in disk.files.lock().unwrap().iter().filter(|(path, _)| path.exists())
    {
        write_private(&torn.join(path.file_name().unwrap()), platter);
    }
    assert_eq!(read_all(&torn).unwrap().0, records(1, last_seq));
}
