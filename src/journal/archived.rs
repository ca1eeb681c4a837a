//! The note of a log whose first segments are archived: one line of text in its directory, for
//! people and for readers. Without it a segment that is not there is missing; with it, it is
//! known to be elsewhere, and the log begins with the first that is here.
//!
//! ```text
//! DIR/archived    segments 1 to 4 are archived in PLACE
//! ```
//!
//! Put back, the segments are the log's first again, whatever the note says.

use crate::journal::dir::{ids_in, io_error, open_plain, private_options, sync_above};
use crate::journal::disk::Disk;
use crate::journal::error::{JournalError, ReadError};
use crate::journal::layout::{
    ARCHIVED_NAME, ARCHIVED_TEMPORARY_NAME, SEGMENT_ID_FIRST, segment_id_of, segment_name,
};
use std::io::{Read, Write};
use std::path::Path;

/// Bytes of a note that are read: the line, and as long a path as a system has.
const NOTE_SIZE_MAX: u64 = 8_192;

/// Where the first segments of a log are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedNote {
    /// Id of the last segment that was archived.
    pub last: u64,
    /// Where they are, in the words of whoever took them: of a directory, its path.
    pub place: String,
}

impl ArchivedNote {
    pub(super) fn new(last: u64, place: &str) -> Self {
        // A line feed in a place would make two lines of it.
        Self { last, place: place.replace('\n', " ") }
    }

    /// The note in `dir`, if there is one.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn read(dir: &Path) -> Result<Option<Self>, ReadError> {
        let path = dir.join(ARCHIVED_NAME);
        let failed = |source| ReadError::Io { path: path.clone(), action: "read", source };
        let Some(file) = open_plain(&path).map_err(failed)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(NOTE_SIZE_MAX).read_to_end(&mut bytes).map_err(failed)?;
        Ok(std::str::from_utf8(&bytes).ok().and_then(Self::parse))
    }

    /// Puts the note on the disk, name and all, in place of an earlier one.
    pub(super) fn write(&self, dir: &Path, disk: &dyn Disk) -> Result<(), JournalError> {
        let (temporary, path) = (dir.join(ARCHIVED_TEMPORARY_NAME), dir.join(ARCHIVED_NAME));
        let failed = |source| io_error(&path, "write", source);
        let mut options = private_options();
        let mut file = options.create(true).truncate(true).open(&temporary).map_err(failed)?;
        file.write_all(self.line().as_bytes()).map_err(failed)?;
        disk.sync_all(&temporary, &file).map_err(failed)?;
        std::fs::rename(&temporary, &path).map_err(failed)?;
        sync_above(&path, disk)
    }

    fn line(&self) -> String {
        let Self { last, place } = self;
        format!("segments {SEGMENT_ID_FIRST} to {last} are archived in {place}\n")
    }

    fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("segments 1 to ")?.strip_suffix('\n')?;
        let (last, place) = rest.split_once(" are archived in ")?;
        let note = Self { last: last.parse().ok()?, place: place.to_owned() };
        (note.line() == text).then_some(note)
    }
}

/// Id of the segment that the log in `dir` begins with: the first, or behind those that a note
/// says are archived the first that is there.
///
/// # Errors
///
/// No segment is there, the first one is not and no note says where it is, or the system refuses.
pub(super) fn first_segment(dir: &Path) -> Result<u64, ReadError> {
    let failed = |source| ReadError::Io { path: dir.to_owned(), action: "list", source };
    let ids = ids_in(dir, segment_id_of).map_err(failed)?;
    if ids.is_empty() {
        return Err(ReadError::NoLog { dir: dir.to_owned() });
    }
    // A segment 0 is none of a log.
    let first = ids.into_iter().find(|id| *id >= SEGMENT_ID_FIRST);
    let archived = match first {
        Some(SEGMENT_ID_FIRST) => 0,
        Some(_) | None => ArchivedNote::read(dir)?.map_or(0, |note| note.last),
    };
    match first {
        Some(first) if first - 1 <= archived => Ok(first),
        Some(_) | None => {
            let missing = archived.saturating_add(1);
            Err(ReadError::MissingSegment { path: dir.join(segment_name(missing)) })
        }
    }
}
