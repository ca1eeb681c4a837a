//! The side file: what is known to be on the disk. Two sectors, written in turn, so that a torn
//! write costs the newer mark and never both.
#![forbid(unsafe_code)]

use crate::journal::dir::{LogDir, io_error, open_plain};
use crate::journal::disk::Disk;
use crate::journal::error::JournalError;
use crate::journal::layout::{
    EPOCH_FIRST, HEADER_SIZE, Mark, Position, SECTOR_SIZE, SEGMENT_ID_FIRST, SYNCED_NAME,
    from_bytes, to_bytes,
};
use crate::limits::SLOT_SIZE;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// The mark of a new log: the first header is on the disk, no record is.
pub(super) const MARK_FIRST: Mark = Mark {
    generation: 0,
    seq: 0,
    position: Position { segment: SEGMENT_ID_FIRST, offset: HEADER_SIZE },
    epoch: EPOCH_FIRST,
};

/// The newest whole mark of the side file in `dir`, if there is one.
///
/// # Errors
///
/// The file is there and cannot be read.
pub(super) fn read_mark(dir: &Path) -> io::Result<Option<Mark>> {
    let Some(file) = open_plain(&dir.join(SYNCED_NAME))? else { return Ok(None) };
    let mut newest: Option<Mark> = None;
    for sector in 0..2 {
        let mut bytes = [0; SLOT_SIZE];
        match file.read_exact_at(&mut bytes, sector * SECTOR_SIZE) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
            Err(error) => return Err(error),
        }
        let Some(mark) = Mark::decode(&from_bytes(&bytes)) else { continue };
        if newest.is_none_or(|other| other.generation < mark.generation) {
            newest = Some(mark);
        }
    }
    Ok(newest)
}

/// The side file as the writer holds it.
#[derive(Clone, Debug)]
pub(super) struct SyncedFile {
    file: Arc<File>,
    mark: Mark,
}

impl SyncedFile {
    /// Makes the file with `mark` in both sectors and puts it on the disk (not its name).
    pub(super) fn create(dir: &LogDir, mark: Mark) -> Result<Self, JournalError> {
        let file = dir.create_file(SYNCED_NAME)?;
        Self::fill(dir, file, mark)
    }

    /// Opens or makes the file and puts `mark` into it as the newest.
    ///
    /// With a whole mark in the file, only the older sector changes; without one, both do.
    pub(super) fn renew(dir: &LogDir, mark: Mark) -> Result<Self, JournalError> {
        let path = dir.file_path(SYNCED_NAME);
        let found = read_mark(dir.path()).map_err(|source| io_error(&path, "read", source))?;
        let Some(newest) = found else {
            let file = match dir.open_file(SYNCED_NAME) {
                Ok(file) => file,
                Err(_) => dir.create_file(SYNCED_NAME)?,
            };
            return Self::fill(dir, file, mark);
        };
        let mut synced = Self { file: Arc::new(dir.open_file(SYNCED_NAME)?), mark: newest };
        if (newest.seq, newest.position) != (mark.seq, mark.position) {
            synced
                .advance(&**dir.disk(), dir.path(), mark.seq, mark.position, mark.epoch)
                .map_err(|source| io_error(&path, "sync", source))?;
        }
        Ok(synced)
    }

    /// The newest mark.
    pub(super) fn mark(&self) -> Mark {
        self.mark
    }

    /// Puts a newer mark on the disk. Everything before it must be there already.
    pub(super) fn advance(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        seq: u64,
        position: Position,
        epoch: u64,
    ) -> io::Result<()> {
        let mark = Mark { generation: self.mark.generation + 1, seq, position, epoch };
        self.write(mark)?;
        disk.sync_data(&dir.join(SYNCED_NAME), &self.file)?;
        self.mark = mark;
        Ok(())
    }

    fn fill(dir: &LogDir, file: File, mark: Mark) -> Result<Self, JournalError> {
        let file = Arc::new(file);
        let synced = Self { file, mark: Mark { generation: mark.generation + 1, ..mark } };
        let both = synced
            .write(mark)
            .and_then(|()| synced.write(synced.mark))
            .and_then(|()| dir.sync_all(SYNCED_NAME, &synced.file));
        both.map_err(|source| io_error(&dir.file_path(SYNCED_NAME), "write", source))?;
        Ok(synced)
    }

    fn write(&self, mark: Mark) -> io::Result<()> {
        const SECTOR: usize = 512;
        const _: () = assert!(SECTOR as u64 == SECTOR_SIZE);
        let mut sector = [0; SECTOR];
        sector[..SLOT_SIZE].copy_from_slice(&to_bytes(&mark.encode()));
        self.file.write_all_at(&sector, mark.generation % 2 * SECTOR_SIZE)
    }
}
