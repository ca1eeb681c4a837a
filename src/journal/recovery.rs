//! Recovery: makes a log that a writer left behind ready to be taken up again, or refuses and
//! changes nothing. What it decides stands in [`VERDICTS`](crate::journal::verdict::VERDICTS).
//!
//! Every step may be the last before a power cut: what is cut is on the disk under its own name
//! before it is removed here, and running again gives the same log.

use crate::journal::archived::first_segment;
use crate::journal::dir::{LogDir, io_error, release_tail, write_zeros};
use crate::journal::disk::{Disk, MachineDisk};
use crate::journal::error::JournalError;
use crate::journal::layout::{
    HEADER_SIZE, Mark, Position, SPARE_NAME, Seal, cut_name, segment_name,
};
use crate::journal::reader::{LogEnd, LogReader, Tail, next_data, segments_in};
use crate::journal::seal::{Progress, Sealer, check_last_seal, read_seal};
use crate::journal::synced::SyncedFile;
use crate::journal::verdict::MarkSource;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes copied at once.
const BUFFER_SIZE: usize = 64 << 10;

/// What a recovery cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// First byte that was cut.
    pub at: Position,
    /// Bytes from there to the last that was not zero, over all files.
    pub bytes: u64,
    /// Whole slots among them: records that may have been handed out, so that the broker must be
    /// asked.
    pub valid_slots: u64,
    /// Where the bytes are now.
    pub files: Vec<PathBuf>,
}

/// A log ready to be taken up: all of it is on the disk, nothing follows its last record. Holds the
/// writer's lock.
#[derive(Debug)]
pub struct Recovery {
    /// Sequence number of the last slot; 0 if there is no record.
    pub last_seq: u64,
    /// Checksum that the next segment takes up.
    pub last_crc: u32,
    /// Last sequence number of the last complete group: the last record with END. Less than
    /// `last_seq` if the writer died within a group.
    pub group_end_seq: u64,
    /// Id of the last segment.
    pub segment_id: u64,
    /// Epoch of the last segment.
    pub epoch: u64,
    /// Who said what had been on the disk. Other than the side file is worth a warning.
    pub mark_source: MarkSource,
    /// What was cut, if anything.
    pub cut: Option<Cut>,
    /// The root of the log up to its end: the seal of the last segment.
    pub root: Seal,
    dir: LogDir,
    synced: SyncedFile,
}

impl Recovery {
    pub(super) fn into_parts(self) -> (LogDir, SyncedFile) {
        (self.dir, self.synced)
    }
}

/// Locks the log in `dir`, cuts a torn tail, puts all that is left on the disk, and seals what has
/// no seal yet.
///
/// # Errors
///
/// Another writer has the log, others can write to it, it is damaged below the synced mark, its
/// last seal does not fit its segment, or the system refuses. Damage changes nothing.
pub fn recover(dir: &Path) -> Result<Recovery, JournalError> {
    recover_on(Arc::new(MachineDisk), dir)
}

/// [`recover`] on any [`Disk`].
///
/// # Errors
///
/// As [`recover`].
pub fn recover_on(disk: Arc<dyn Disk>, dir: &Path) -> Result<Recovery, JournalError> {
    // Asked before the lock, so that what is no log does not get a lock file.
    LogReader::open(dir)?;
    let dir = LogDir::open(dir, disk)?;
    let end = LogReader::open(dir.path())?.end()?;
    let sealed = check_last_seal(dir.path())?;
    // From here on things change.
    remove_spare(&dir)?;
    let cut = match end.tail {
        Tail::Clean => None,
        Tail::Torn { at, bytes, valid_slots, .. } => {
            let files = cut(&dir, &end)?;
            Some(Cut { at, bytes, valid_slots, files })
        }
    };
    sync_log(&dir, &end)?;
    // Before the mark: what it covers has its name, too.
    dir.sync().map_err(|source| io_error(dir.path(), "sync", source))?;
    let mark = Mark { generation: 0, seq: end.last_seq, position: end.position, epoch: end.epoch };
    let synced = SyncedFile::renew(&dir, mark)?;
    dir.sync().map_err(|source| io_error(dir.path(), "sync", source))?;
    let root = seal_rest(&dir, sealed, end.position.segment)?;
    Ok(Recovery {
        last_seq: end.last_seq,
        last_crc: end.last_crc,
        group_end_seq: end.group_end_seq,
        segment_id: end.position.segment,
        epoch: end.epoch,
        mark_source: end.mark_source,
        cut,
        root,
        dir,
        synced,
    })
}

/// Seals every segment behind the last that is: none of them changes any more, since a writer
/// begins a new one. Returns the last one's seal.
fn seal_rest(dir: &LogDir, sealed: (u64, Option<Seal>), last: u64) -> Result<Seal, JournalError> {
    let progress = Arc::new(Progress::default());
    progress.set_closed(last);
    progress.set_over();
    Sealer::new(dir, progress, sealed.0, sealed.1).finish()?;
    Ok(read_seal(dir.path(), last)?.expect("it was made or checked"))
}

fn remove_spare(dir: &LogDir) -> Result<(), JournalError> {
    let path = dir.file_path(SPARE_NAME);
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(io_error(&path, "remove", source))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Saves everything behind the last whole record under other names, then takes it out of the log.
fn cut(dir: &LogDir, end: &LogEnd) -> Result<Vec<PathBuf>, JournalError> {
    let mut files = Vec::new();
    let Position { segment, offset } = end.position;
    let name = segment_name(segment);
    let path = dir.file_path(&name);
    let failed = |source| io_error(&path, "cut", source);
    let file = dir.open_file(&name)?;
    let rest_end = last_byte(&file, offset).map_err(failed)?;
    if rest_end > offset {
        files.push(save_rest(dir, &file, end.position, rest_end)?);
    }
    // The highest first: a crash in between leaves a log that is only shorter.
    let later = segments_in(dir.path())?;
    for id in later.into_iter().filter(|id| *id > segment).rev() {
        let free = free_cut_name(dir, Position { segment: id, offset: 0 });
        dir.rename(&segment_name(id), &free)?;
        files.push(dir.file_path(&free));
    }
    dir.sync().map_err(failed)?;
    // The copy is on the disk, name and all: now the original may go.
    write_zeros(&file, offset, rest_end).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() != end.segment_size {
        file.set_len(end.segment_size).map_err(failed)?;
    }
    dir.sync_all(&name, &file).map_err(failed)?;
    Ok(files)
}

/// Copies `at .. end` of a segment into a file of its own and puts it on the disk.
fn save_rest(dir: &LogDir, file: &File, at: Position, end: u64) -> Result<PathBuf, JournalError> {
    let name = free_cut_name(dir, at);
    let path = dir.file_path(&name);
    let copy = dir.create_file(&name)?;
    copy_bytes(file, at.offset..end, &copy, 0)
        .and_then(|()| dir.sync_all(&name, &copy))
        .map_err(|source| io_error(&path, "write", source))?;
    Ok(path)
}

/// Never over an earlier cut: a recovery that was cut short itself has left one that is fuller.
fn free_cut_name(dir: &LogDir, at: Position) -> String {
    (0..=u32::MAX)
        .map(|number| cut_name(at.segment, at.offset, number))
        .find(|name| dir.file_path(name).symlink_metadata().is_err())
        .expect("no directory holds so many files")
}

/// One past the last byte at or behind `from` that is not zero; `from` if there is none.
fn last_byte(file: &File, from: u64) -> io::Result<u64> {
    let size = file.metadata()?.len();
    let mut buffer = vec![0; BUFFER_SIZE];
    let (mut at, mut end) = (from, from);
    loop {
        at = next_data(file, at);
        if at >= size {
            break;
        }
        let len = usize::try_from(size - at).map_or(BUFFER_SIZE, |rest| rest.min(BUFFER_SIZE));
        file.read_exact_at(&mut buffer[..len], at)?;
        if let Some(index) = buffer[..len].iter().rposition(|byte| *byte != 0) {
            end = at + u64::try_from(index).expect("a buffer is small") + 1;
        }
        at += u64::try_from(len).expect("a buffer is small");
    }
    Ok(end)
}

/// Writes what a file has from `from` to `to`, or its end, over itself.
fn write_again(file: &File, from: u64, to: Option<u64>) -> io::Result<()> {
    let size = file.metadata()?.len();
    copy_bytes(file, from..to.map_or(size, |to| to.min(size)), file, from)
}

/// Writes a range of a file into one, from `offset` of that on: another, or itself.
fn copy_bytes(from: &File, range: Range<u64>, to: &File, offset: u64) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_SIZE];
    let mut at = range.start;
    while at < range.end {
        let rest = usize::try_from(range.end - at);
        let len = rest.map_or(BUFFER_SIZE, |rest| rest.min(BUFFER_SIZE));
        from.read_exact_at(&mut buffer[..len], at)?;
        to.write_all_at(&buffer[..len], offset + (at - range.start))?;
        at += u64::try_from(len).expect("a buffer is small");
    }
    Ok(())
}

/// Puts everything that the old mark did not cover on the disk, and frees the last segment's tail.
///
/// It is written again first. What a sync could not write, the kernel may call clean: it is read as
/// it should be, the next sync is good, and none of it is there when the power goes (Rebello et
/// al., "Can Applications Recover from fsync Failures?", 2020).
fn sync_log(dir: &LogDir, end: &LogEnd) -> Result<(), JournalError> {
    let first = first_segment(dir.path())?;
    let synced = end.mark.map(|mark| mark.position).filter(|synced| synced.segment >= first);
    let synced = synced.unwrap_or(Position { segment: first, offset: 0 });
    for id in synced.segment..=end.position.segment {
        let name = segment_name(id);
        let file = dir.open_file(&name)?;
        let from = if id == synced.segment { synced.offset } else { 0 };
        let to = if id == end.position.segment { Some(end.position.offset) } else { None };
        write_again(&file, from, to)
            .map_err(|source| io_error(&dir.file_path(&name), "write", source))?;
        if id == end.position.segment {
            assert!(end.position.offset >= HEADER_SIZE);
            release_tail(&file, end.position.offset, end.segment_size);
        }
        dir.sync_all(&name, &file)
            .map_err(|source| io_error(&dir.file_path(&name), "sync", source))?;
    }
    Ok(())
}
