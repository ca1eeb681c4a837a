//! Snapshots of a log, made by a reader like any other: behind every so many records, wherever it
//! began, so that whoever makes them makes the same ones.

use crate::walk::{LogError, Walk};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use trade_engine::config::Retention;
use trade_engine::journal::{DirArchive, LogLock, LogReader};
use trade_engine::retention;
use trade_engine::snapshot::{self, UpTo};

/// How often a running engine is looked at.
const TURN: Duration = Duration::from_millis(50);

/// The maker: follows a log, which may grow, from its newest snapshot on.
#[derive(Debug)]
pub struct SnapshotMaker {
    walk: Walk,
    every: u64,
    /// The sequence number from which on the next group's end is due.
    due: u64,
}

impl SnapshotMaker {
    /// Opens the log in `dir` behind its newest snapshot; `say` is told of each that is not
    /// believed. A snapshot is due behind each multiple of `every`.
    ///
    /// # Errors
    /// As [`Walk::open`].
    ///
    /// # Panics
    /// If `every` is zero.
    pub fn open(dir: &Path, every: u64, say: &mut dyn FnMut(&str)) -> Result<Self, LogError> {
        assert!(every > 0);
        let walk = Walk::open_near(dir, UpTo::End, say)?;
        let seq = walk.state().map_or(0, |state| state.seq());
        Ok(Self { walk, every, due: next_due(seq, every) })
    }

    /// The sequence number from which on the next snapshot is due.
    pub const fn due(&self) -> u64 {
        self.due
    }

    /// Reads on to where a snapshot is due and writes it; `None` at the log's end. May be called
    /// again when the log has grown.
    ///
    /// # Errors
    /// The log is damaged, or the snapshot cannot be written.
    pub fn write_next(&mut self) -> Result<Option<PathBuf>, LogError> {
        while self.walk.step()?.is_some() {
            let Some(seq) = self.walk.state().map(|state| state.seq()) else { continue };
            if seq >= self.due
                && let Some(path) = self.walk.write_snapshot()?
            {
                self.due = next_due(seq, self.every);
                return Ok(Some(path));
            }
        }
        Ok(None)
    }
}

fn next_due(seq: u64, every: u64) -> u64 {
    (seq / every + 1).saturating_mul(every)
}

/// A maker on a thread of its own, beside an engine that runs. It reads the log as anybody may: no
/// other thread knows of it. Until the first snapshot is due it takes no memory and no time.
#[derive(Debug)]
pub struct SnapshotThread {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl SnapshotThread {
    /// Starts it for the log in `dir`; `written` says how far that is. After each snapshot it archives
    /// what may go by `retention`. `say` is told what is wrong: the run goes on without snapshots
    /// then, or with all of its log.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        dir: PathBuf,
        every: u64,
        retention: Option<Retention>,
        written: impl Fn() -> u64 + Send + 'static,
        say: fn(&str),
    ) -> io::Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_over);
        let thread = std::thread::Builder::new().name("snapshots".to_owned()).spawn(move || {
            let keeper = retention.map(|retention| Keeper::new(&dir, &retention));
            follow(&dir, every, keeper, written, &flag, &mut |what| say(what));
        })?;
        Ok(Self { is_over, thread: Some(thread) })
    }
}

impl Drop for SnapshotThread {
    /// The log is closed: what is due in it is still made.
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// Archives what may go, beside the one that makes the snapshots.
#[derive(Debug)]
struct Keeper {
    keep: u64,
    to: DirArchive,
}

impl Keeper {
    fn new(dir: &Path, retention: &Retention) -> Self {
        // A directory for each log: their segments have the same names.
        let whole = dir.canonicalize();
        let name = whole.as_ref().ok().and_then(|dir| dir.file_name()).unwrap_or(dir.as_os_str());
        Self { keep: retention.keep_segments, to: DirArchive::new(&retention.archive.join(name)) }
    }

    /// Says what is wrong, if it is. What stays now, for that or because it is not synced or has no
    /// snapshot behind it, goes another time.
    fn archive(&self, dir: &Path, say: &mut dyn FnMut(&str)) {
        if let Err(error) = retention::archive(dir, self.keep, &self.to) {
            say(&format!("the log is not archived for now: {error}"));
        }
    }
}

/// What is wrong is said each time that something is due, and tried again with the next: somebody
/// else may have been at it, or a disk full for a while.
fn follow(
    dir: &Path,
    every: u64,
    keeper: Option<Keeper>,
    written: impl Fn() -> u64,
    is_over: &AtomicBool,
    say: &mut dyn FnMut(&str),
) {
    let mut due = next_due(written(), every);
    let mut maker = None;
    loop {
        let is_last = is_over.load(Ordering::Acquire);
        if written() >= due {
            let made = if has_room(dir) {
                write_due(dir, every, &mut maker, say).map_err(|error| error.to_string())
            } else {
                Err("the disk has room for the log alone".to_owned())
            };
            due = made.unwrap_or_else(|why| {
                say(&format!("no snapshot for now: {why}"));
                maker = None;
                next_due(written(), every)
            });
            if let Some(keeper) = keeper.as_ref().filter(|_| !is_last) {
                keeper.archive(dir, say);
            }
        }
        if is_last {
            // Nobody writes it any more; whoever has taken it up since archives it himself.
            if let (Some(keeper), Ok(_held)) = (&keeper, LogLock::take(dir)) {
                keeper.archive(dir, say);
            }
            return;
        }
        std::thread::park_timeout(TURN);
    }
}

/// Whether a snapshot would leave room for the next segments: a cache must not end the log.
fn has_room(dir: &Path) -> bool {
    let segment = LogReader::open(dir).map_or(0, |reader| reader.segment_size());
    let newest = snapshot::list(dir, UpTo::End).ok().and_then(|list| list.into_iter().next());
    let newest = newest.and_then(|path| std::fs::metadata(path).ok()).map_or(0, |of| of.len());
    // A system that does not say is taken to have room.
    let Ok(disk) = rustix::fs::statvfs(dir) else { return true };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    free >= (segment + newest).saturating_mul(2)
}

/// Writes the snapshots that are due; says from where on the next one is.
fn write_due(
    dir: &Path,
    every: u64,
    maker: &mut Option<SnapshotMaker>,
    say: &mut dyn FnMut(&str),
) -> Result<u64, LogError> {
    let maker = match maker {
        Some(maker) => maker,
        None => maker.insert(SnapshotMaker::open(dir, every, say)?),
    };
    while maker.write_next()?.is_some() {}
    Ok(maker.due())
}
