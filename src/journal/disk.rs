//! What makes a log durable: the machine's disk, or one that a test lets fail or lose power.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::path::Path;

/// Where syncs go. Everything else a log does with its files may be lost with the power until a
/// sync of the file, and for its name a sync of the directory, has come back without an error.
pub trait Disk: Debug + Send + Sync {
    /// Puts the bytes and the size of the file at `path` on the disk.
    ///
    /// # Errors
    ///
    /// The disk's. What had not been synced is then in doubt whatever a later sync says.
    fn sync_data(&self, path: &Path, file: &File) -> io::Result<()> {
        let _ = path;
        file.sync_data()
    }

    /// The same with all that the file system keeps of it; of a directory, its names.
    ///
    /// # Errors
    ///
    /// As [`sync_data`](Self::sync_data).
    fn sync_all(&self, path: &Path, file: &File) -> io::Result<()> {
        let _ = path;
        file.sync_all()
    }
}

/// The machine's disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineDisk;

impl Disk for MachineDisk {}
