//! A sync on its way: what the writer asks of the disk and need not wait for.
#![forbid(unsafe_code)]

use crate::journal::dir::Lock;
use crate::journal::disk::Disk;
use crate::journal::layout::{Position, segment_name};
use crate::journal::seal::Progress;
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
    pub(super) progress: Arc<Progress>,
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
pub struct SyncOutcome(pub(super) Result<SyncedFile, SyncFailure>);

/// Why a sync has failed.
#[derive(Debug)]
pub(super) enum SyncFailure {
    /// The disk says so.
    Disk(io::Error),
    /// Another sync of the log has failed: of what this one was to put on the disk, maybe.
    Another,
}

impl SyncOutcome {
    /// Whether the sync failed, which is final.
    pub const fn has_failed(&self) -> bool {
        self.0.is_err()
    }
}

impl SyncErrand {
    /// Waits for the disk: first what the mark speaks of, then the mark. A failure is known to the
    /// writer and the sealer before this comes back.
    pub fn run(self) -> SyncOutcome {
        let progress = Arc::clone(&self.progress);
        SyncOutcome(self.put().inspect_err(|_| progress.set_failed()))
    }

    fn put(self) -> Result<SyncedFile, SyncFailure> {
        self.put_files().map_err(SyncFailure::Disk)?;
        // The kernel may have told the other one alone.
        if self.progress.has_failed() {
            return Err(SyncFailure::Another);
        }
        let mut synced = self.synced;
        synced
            .advance(&*self.disk, &self.dir, self.seq, self.position, self.epoch)
            .map_err(SyncFailure::Disk)?;
        drop(self.lock);
        Ok(synced)
    }

    fn put_files(&self) -> io::Result<()> {
        for (id, file) in &self.files {
            self.disk.sync_data(&self.dir.join(segment_name(*id)), file)?;
        }
        self.names.as_ref().map_or(Ok(()), |names| self.disk.sync_all(&self.dir, names))
    }
}
