//! Why a log could not be written or read: what, where, found, expected; one line each.
//!
//! A torn tail is not here: it is the normal result of a crash, and [`LogEnd`] reports it.
//!
//! [`LogEnd`]: crate::journal::LogEnd

use crate::journal::layout::{Fault, SEGMENT_SIZE_FLOOR, Seal};
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a log could not be read.
#[derive(Debug)]
pub enum ReadError {
    /// The operating system refused.
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried: "open", "read".
        action: &'static str,
        /// Its reason.
        source: io::Error,
    },
    /// The path is a file.
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// The directory holds no segment.
    NoLog {
        /// The directory.
        dir: PathBuf,
    },
    /// A segment is gone, though the log goes on after it.
    MissingSegment {
        /// The file that should be there.
        path: PathBuf,
    },
    /// A segment was archived, and what is asked for cannot be told without it.
    Archived {
        /// The file that is no longer here.
        path: PathBuf,
        /// Where it is.
        place: String,
        /// Why it is needed.
        why: String,
    },
    /// A segment's header is not one of this program's.
    Header {
        /// The segment's file.
        path: PathBuf,
        /// What is wrong.
        fault: Fault,
    },
    /// Something below the synced mark is bad: it had been on the disk, whole.
    Damaged {
        /// The segment's file.
        path: PathBuf,
        /// Byte offset in it.
        offset: u64,
        /// Sequence number of the record that is due there.
        seq: u64,
        /// What is wrong.
        fault: Fault,
        /// Last sequence number known to have been on the disk.
        synced_seq: u64,
    },
    /// A sealed segment, or its seal, was changed, though every checksum may fit.
    Seal {
        /// The segment's file.
        path: PathBuf,
        /// The digest of what it holds, behind the seal of the segment before.
        digest: Seal,
        /// What its seal says.
        seal: Seal,
    },
    /// A seal is gone, and one after it is there.
    NoSeal {
        /// The seal's file.
        path: PathBuf,
    },
    /// The synced mark and the log disagree: one of them is not of this log.
    MarkMismatch {
        /// The segment's file.
        path: PathBuf,
        /// Byte offset that the mark names.
        offset: u64,
        /// Last sequence number before it in the log.
        found: u64,
        /// Last sequence number before it by the mark.
        expected: u64,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, action, source } => {
                write!(f, "{}: cannot {action}: {source}", path.display())
            }
            Self::NotADirectory { path } => {
                write!(f, "{}: not a directory; a log is a directory", path.display())
            }
            Self::NoLog { dir } => write!(f, "{}: no log segment in it", dir.display()),
            Self::MissingSegment { path } => {
                write!(f, "{}: missing, though the log goes on after it", path.display())
            }
            Self::Archived { path, place, why } => write!(
                f,
                "{}: archived in {place}, and {why}; put the archived segments back to read on",
                path.display()
            ),
            Self::Header { path, fault } => write!(f, "{}: {fault}", path.display()),
            Self::Damaged { path, offset, seq, fault, synced_seq } => {
                write!(f, "{}: damaged at byte {offset}, record {seq}: {fault} ", path.display())?;
                if synced_seq >= seq {
                    write!(f, "(records up to {synced_seq} had been synced)")
                } else {
                    write!(f, "(the segment was on the disk, whole, by its seal or the mark)")
                }
            }
            Self::Seal { path, digest, seal } => write!(
                f,
                "{}: not what was sealed: its digest is {digest}, its seal says {seal}",
                path.display()
            ),
            Self::NoSeal { path } => {
                write!(f, "{}: not there or not whole, though a later seal is", path.display())
            }
            Self::MarkMismatch { path, offset, found, expected } => write!(
                f,
                "{}: the synced mark does not fit the log: at byte {offset} found record {found}, \
                 expected {expected}",
                path.display()
            ),
        }
    }
}

impl std::error::Error for ReadError {}

/// Why a log could not be made, taken up or written.
#[derive(Debug)]
pub enum JournalError {
    /// The operating system refused.
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Its reason.
        source: io::Error,
    },
    /// There is no room for the next segment. Nothing that was appended is lost.
    NoSpace {
        /// The segment's file.
        path: PathBuf,
        /// Bytes it needs.
        size: u64,
        /// The system's reason.
        source: io::Error,
    },
    /// Another writer has the directory.
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// A new log needs a directory of its own.
    NotEmpty {
        /// The directory.
        dir: PathBuf,
    },
    /// There is something where a salvaged log is to go.
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// There is nothing to salvage: the log can be taken up as it is.
    NotDamaged {
        /// The directory.
        dir: PathBuf,
    },
    /// A segment that is still written, or not yet sealed, or above the synced mark.
    NotSettled {
        /// The segment's file.
        path: PathBuf,
    },
    /// An archive has not taken a file. It stays.
    NotArchived {
        /// The file.
        path: PathBuf,
        /// The archive.
        place: String,
        /// Its reason.
        source: io::Error,
    },
    /// The path is a file or a symbolic link.
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// Something in the log's directory is no plain file.
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Others can read or change it.
    TooWide {
        /// The file or directory.
        path: PathBuf,
        /// Its mode.
        found: u32,
        /// The widest that is allowed.
        expected: u32,
    },
    /// Segments cannot have this size.
    SegmentSize {
        /// As asked for, bytes.
        found: u64,
    },
    /// An earlier sync failed. What had not been synced may be lost whatever a later sync says, so
    /// that nothing more is written or synced.
    SyncFailed {
        /// The directory.
        dir: PathBuf,
        /// Last sequence number that is on the disk.
        synced_seq: u64,
    },
    /// The log cannot be taken up. Nothing was changed.
    Read(ReadError),
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, action, source } => {
                write!(f, "{}: cannot {action}: {source}", path.display())
            }
            Self::NoSpace { path, size, source } => {
                write!(f, "{}: no room for a segment of {size} bytes: {source}", path.display())
            }
            Self::InUse { dir } => {
                write!(f, "{}: another writer has this log open", dir.display())
            }
            Self::NotEmpty { dir } => {
                write!(f, "{}: not empty; a new log needs a directory of its own", dir.display())
            }
            Self::Exists { path } => {
                write!(
                    f,
                    "{}: there already; a salvaged log gets a name of its own",
                    path.display()
                )
            }
            Self::NotDamaged { dir } => {
                write!(f, "{}: not damaged; it can be taken up as it is", dir.display())
            }
            Self::NotSettled { path } => {
                write!(f, "{}: not sealed and synced yet; it stays", path.display())
            }
            Self::NotArchived { path, place, source } => {
                write!(f, "{}: not archived in {place}, so it stays: {source}", path.display())
            }
            Self::NotADirectory { path } => {
                write!(f, "{}: not a directory (symbolic links are refused)", path.display())
            }
            Self::NotAFile { path } => {
                write!(f, "{}: not a plain file; a log holds nothing else", path.display())
            }
            Self::TooWide { path, found, expected } => write!(
                f,
                "{}: mode found {found:04o}, expected {expected:04o} or narrower: others could \
                 read or change the log",
                path.display()
            ),
            Self::SegmentSize { found } => write!(
                f,
                "segment size found {found}, expected a multiple of 4096 of at least \
                 {SEGMENT_SIZE_FLOOR} bytes"
            ),
            Self::SyncFailed { dir, synced_seq } => write!(
                f,
                "{}: a sync failed; records after {synced_seq} may be lost and no more are taken",
                dir.display()
            ),
            Self::Read(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for JournalError {}

impl From<ReadError> for JournalError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}
