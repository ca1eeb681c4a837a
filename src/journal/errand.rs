//! A sync on its way: what the writer asks of the disk and need not wait for.
#![forbid(unsafe_code)]

use crate::journal::dir::Lock;
use crate::journal::disk::Disk;
use crate::journal::layout::{Position, segment_name};
use crate::journal::synced::SyncedFile;
use crate::journal::writer::UNSYNCED_MAX;
use arrayvec::ArrayVec;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// What one sync puts on the disk. Made by [`Journal::begin_sync`](super::Journal::begin_sync);
/// may be run on any thread while the writer goes on.
#[derive(Debug)]
pub struct SyncErrand {
    pub(super) dir: PathBuf,
    /// Nobody else takes the log up while a mark may still be written.
    pub(super) lock: Arc<Lock>,
    pub(super) disk: Arc<dyn Disk>,
    /// Closed segments and the open one, in their order.
    pub(super) files: ArrayVec<(u64, Arc<File>), { UNSYNCED_MAX + 1 }>,
    /// The directory, if segments were made since it was last synced.
    pub(super) names: Option<Arc<File>>,
    pub(super) synced: SyncedFile,
    /// What the new mark says: everything up to here is on the disk.
    pub(super) seq: u64,
    pub(super) position: Position,
    pub(super) epoch: u64,
}

/// What came of a [`SyncErrand`], for [`Journal::end_sync`](super::Journal::end_sync).
#[derive(Debug)]
pub struct SyncOutcome(pub(super) io::Result<SyncedFile>);

impl SyncErrand {
    /// Waits for the disk: first what the mark speaks of, then the mark.
    pub fn run(self) -> SyncOutcome {
        SyncOutcome(self.put())
    }

    fn put(self) -> io::Result<SyncedFile> {
        for (id, file) in &self.files {
            self.disk.sync_data(&self.dir.join(segment_name(*id)), file)?;
        }
        if let Some(names) = &self.names {
            self.disk.sync_all(&self.dir, names)?;
        }
        let mut synced = self.synced;
        synced.advance(&*self.disk, &self.dir, self.seq, self.position, self.epoch)?;
        drop(self.lock);
        Ok(synced)
    }
}
