//! Retention: how much of a log stays in its directory. Segments are archived, never deleted, and
//! only those that the state can do without: behind them lies a snapshot that is on the disk and
//! believed, so that what is kept and that snapshot give the state.
//!
//! That snapshot is no cache any more. It goes only when the archived segments are back.

use crate::journal::layout::{segment_id_of, segment_name};
use crate::journal::{
    Archive, JournalError, LogReader, MachineDisk, ReadError, last_settled, retire,
};
use crate::snapshot::{self, UpTo};
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// What [`archive`] has done.
#[derive(Debug, Default)]
pub struct Archived {
    /// Ids of the segments that were moved, in order.
    pub moved: Vec<u64>,
    /// Why those that are more than asked for stay, if any do.
    pub stays: Option<Stays>,
}

/// Why a segment stays that is not among the last so many.
#[derive(Debug)]
pub enum Stays {
    /// It is not sealed, or not below the synced mark to its end.
    NotSettled {
        /// Its file.
        path: PathBuf,
    },
    /// No snapshot behind it is believed, so that the state needs it.
    NoSnapshot {
        /// Its file.
        path: PathBuf,
        /// What is wrong with the newest snapshot, if there is one.
        fault: Option<String>,
    },
}

impl fmt::Display for Stays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSettled { path } => {
                write!(f, "{} stays: it is not sealed and synced yet", path.display())
            }
            Self::NoSnapshot { path, fault: None } => {
                write!(f, "{} stays: no snapshot of what is synced lies behind it", path.display())
            }
            Self::NoSnapshot { path, fault: Some(fault) } => write!(
                f,
                "{} stays: no snapshot behind it is believed; the newest: {fault}",
                path.display()
            ),
        }
    }
}

/// Archives the segments of the log in `dir` in front of its last `keep`, as far as they may go.
/// Whoever writes the log has this process, or nobody writes it
/// ([`LogLock`](crate::journal::LogLock)).
///
/// ```no_run
/// use std::path::Path;
/// use trade_engine::journal::{DirArchive, LogLock};
/// use trade_engine::retention;
///
/// let dir = Path::new("logs/monday");
/// let _held = LogLock::take(dir)?;
/// let outcome = retention::archive(dir, 8, &DirArchive::new(Path::new("/archive/monday")))?;
/// println!("{} segments moved", outcome.moved.len());
/// # Ok::<(), trade_engine::journal::JournalError>(())
/// ```
///
/// # Errors
///
/// There is no log, the archive does not take a segment, or the system refuses. What was moved
/// before stays moved; nothing is lost.
///
/// # Panics
///
/// If `keep` is zero.
pub fn archive(dir: &Path, keep: u64, to: &dyn Archive) -> Result<Archived, JournalError> {
    assert!(keep > 0, "a log has a segment");
    let first = LogReader::open(dir)?.record_position().segment;
    let wanted = last_segment(dir)?.saturating_sub(keep);
    let mut outcome = Archived::default();
    if wanted < first {
        return Ok(outcome);
    }
    let settled = last_settled(dir)?.min(wanted);
    let (behind, fault) = held(dir)?;
    for id in first..=wanted {
        let path = dir.join(segment_name(id));
        if id > settled {
            outcome.stays = Some(Stays::NotSettled { path });
        } else if id >= behind {
            outcome.stays = Some(Stays::NoSnapshot { path, fault });
        } else {
            outcome.moved.push(retire(dir, to, &MachineDisk)?);
            continue;
        }
        break;
    }
    if !outcome.moved.is_empty() {
        forget_before(dir)?;
    }
    Ok(outcome)
}

/// Removes the snapshots that no record here goes on from. They were caches: whoever brings the
/// segments back needs none of them.
fn forget_before(dir: &Path) -> Result<(), ReadError> {
    let first = LogReader::open(dir)?.first_seq();
    // One of all that is archived, and of no more, is what the rest goes on from.
    let up_to = UpTo::Seq(first.saturating_sub(2));
    for path in snapshot::list(dir, up_to).map_err(|source| failed(dir, "list", source))? {
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(failed(&path, "remove", source));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// The segment in which the newest snapshot lies that is believed and below the synced mark: what
/// is before, the state can do without. 0 if there is none; then what is wrong with the newest.
fn held(dir: &Path) -> Result<(u64, Option<String>), ReadError> {
    let mut fault = None;
    let listed = snapshot::list(dir, UpTo::End).map_err(|source| failed(dir, "list", source))?;
    for path in listed {
        match snapshot::read(dir, &path, UpTo::End) {
            // A power cut may cut the log off in front of its place.
            Ok(Some(found)) if found.reader.synced_seq() < Some(found.reader.group_end_seq()) => {}
            Ok(Some(found)) => {
                // One that somebody has copied here may be in memory alone.
                let synced = File::open(&path).and_then(|file| file.sync_all());
                let synced = synced.and_then(|()| File::open(dir)?.sync_all());
                synced.map_err(|source| failed(&path, "sync", source))?;
                return Ok((found.reader.bookmark().position.segment, None));
            }
            Ok(None) => {}
            Err(error) => fault = fault.or_else(|| Some(error.to_string())),
        }
    }
    Ok((0, fault))
}

fn last_segment(dir: &Path) -> Result<u64, ReadError> {
    let mut last = 0;
    for entry in std::fs::read_dir(dir).map_err(|source| failed(dir, "list", source))? {
        let name = entry.map_err(|source| failed(dir, "list", source))?.file_name();
        last = last.max(name.to_str().and_then(segment_id_of).unwrap_or(0));
    }
    Ok(last)
}

fn failed(path: &Path, action: &'static str, source: io::Error) -> ReadError {
    ReadError::Io { path: path.to_owned(), action, source }
}
