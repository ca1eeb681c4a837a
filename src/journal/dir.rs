//! The directory of a log as its one writer holds it: lock, permissions, files made and synced.

use crate::journal::disk::Disk;
use crate::journal::error::JournalError;
use crate::journal::layout::{
    ARCHIVED_NAME, ARCHIVED_TEMPORARY_NAME, CUT_SUFFIX, DIR_MODE, FILE_MODE, LOCK_NAME, SPARE_NAME,
    SYNCED_NAME, seal_id_of, segment_id_of,
};
use rustix::fs::{FallocateFlags, OFlags};
use rustix::io::Errno;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whether `dir` is a directory that holds at least one log segment.
pub fn is_log(dir: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(dir) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_str().and_then(segment_id_of).is_some())
}

/// Opens a plain file for reading, if there is one. Anything else under its name is refused before
/// it is opened: opening a pipe would wait for its other end.
pub(super) fn open_plain(path: &Path) -> io::Result<Option<File>> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_file() => File::open(path).map(Some),
        Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The ids of the files in `dir` that `id_of` knows by their names, in order.
pub(super) fn ids_in(dir: &Path, id_of: fn(&str) -> Option<u64>) -> io::Result<Vec<u64>> {
    let mut ids = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        ids.extend(entry?.file_name().to_str().and_then(id_of));
    }
    ids.sort_unstable();
    Ok(ids)
}

/// A locked log directory. The lock lives as long as this value, and the last sync that it began.
#[derive(Debug)]
pub(super) struct LogDir {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    /// The directory itself, to sync its entries.
    handle: Arc<File>,
    lock: Arc<Lock>,
}

/// Held, never read.
#[derive(Debug)]
pub(super) struct Lock(File);

impl LogDir {
    /// Makes the directory (and those above it) or takes an empty one, and locks it.
    pub(super) fn create(path: &Path, disk: Arc<dyn Disk>) -> Result<Self, JournalError> {
        make_above(path, &*disk)?;
        match DirBuilder::new().mode(DIR_MODE).create(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io_error(path, "create", error)),
        }
        check_dir(path)?;
        // A log whose directory has no durable name is lost with the power, synced or not.
        sync_above(path, &*disk)?;
        // Asked before the lock, so that a stranger's directory does not get a file of ours; and
        // after it, because another writer may have come and gone in between.
        let mut names = names_in(path)?;
        if !names.is_empty() && !names.iter().any(|name| name == LOCK_NAME) {
            return Err(JournalError::NotEmpty { dir: path.to_owned() });
        }
        let locked = Self::take(path, disk)?;
        names = names_in(path)?;
        if names.iter().any(|name| name != LOCK_NAME) {
            return Err(JournalError::NotEmpty { dir: path.to_owned() });
        }
        Ok(locked)
    }

    /// Locks the directory of an existing log and checks that nobody else can write there.
    pub(super) fn open(path: &Path, disk: Arc<dyn Disk>) -> Result<Self, JournalError> {
        check_dir(path)?;
        for name in names_in(path)? {
            if name.to_str().is_some_and(is_ours) {
                check_file(&path.join(name))?;
            }
        }
        Self::take(path, disk)
    }

    fn take(path: &Path, disk: Arc<dyn Disk>) -> Result<Self, JournalError> {
        let lock_path = path.join(LOCK_NAME);
        let lock = private_options()
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(|source| io_error(&lock_path, "open", source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(JournalError::InUse { dir: path.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(io_error(&lock_path, "lock", source)),
        }
        check_file(&lock_path)?;
        let handle = File::open(path).map_err(|source| io_error(path, "open", source))?;
        Ok(Self {
            path: path.to_owned(),
            disk,
            handle: Arc::new(handle),
            lock: Arc::new(Lock(lock)),
        })
    }

    pub(super) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory itself, to sync its entries on another thread.
    pub(super) fn handle(&self) -> &Arc<File> {
        &self.handle
    }

    /// The lock, for whoever still writes when this value is gone.
    pub(super) fn lock(&self) -> &Arc<Lock> {
        &self.lock
    }

    pub(super) fn file_path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes a new file, readable and writable by its owner alone.
    pub(super) fn create_file(&self, name: &str) -> Result<File, JournalError> {
        let path = self.file_path(name);
        private_options()
            .create_new(true)
            .open(&path)
            .map_err(|source| io_error(&path, "create", source))
    }

    /// Opens a file of the log for reading and writing.
    pub(super) fn open_file(&self, name: &str) -> Result<File, JournalError> {
        let path = self.file_path(name);
        private_options().open(&path).map_err(|source| io_error(&path, "open", source))
    }

    /// Renames a file of the log; never over another one.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), JournalError> {
        let target = self.file_path(to);
        // Nobody else writes here while the lock is held, so asking first is enough.
        if target.symlink_metadata().is_ok() {
            let source = io::Error::from(io::ErrorKind::AlreadyExists);
            return Err(io_error(&target, "create", source));
        }
        std::fs::rename(self.file_path(from), &target)
            .map_err(|source| io_error(&target, "rename to", source))
    }

    /// Removes what was made of a log that could not begin. The lock stays: another starter may
    /// have it open. Best effort; what stays makes the next try say "not empty".
    pub(super) fn abandon(&self, segment: &str) {
        for name in [SPARE_NAME, segment, SYNCED_NAME] {
            let _ = std::fs::remove_file(self.file_path(name));
        }
    }

    /// Puts names made, changed or removed on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.disk.sync_all(&self.path, &self.handle)
    }

    /// Puts a file of the log on the disk, with all that the file system keeps of it.
    pub(super) fn sync_all(&self, name: &str, file: &File) -> io::Result<()> {
        self.disk.sync_all(&self.file_path(name), file)
    }
}

impl Drop for Lock {
    /// Closing alone would not do: a child process that another thread is just starting holds a
    /// copy of every open file until it runs its program, and with it the lock.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Gives `file` its whole size in blocks of the disk, zeros.
///
/// # Errors
///
/// [`JournalError::NoSpace`] when the disk, a quota or the file system cannot hold so much.
pub(super) fn allocate(file: &File, path: &Path, size: u64) -> Result<(), JournalError> {
    let outcome = match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, size) {
        // A file system without allocation: writing zeros is the same, only slower.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(file, 0, size),
        other => other.map_err(io::Error::from),
    };
    outcome.map_err(|source| {
        if is_no_space(&source) {
            JournalError::NoSpace { path: path.to_owned(), size, source }
        } else {
            io_error(path, "allocate", source)
        }
    })
}

/// Overwrites `offset .. end` with zeros.
pub(super) fn write_zeros(file: &File, offset: u64, end: u64) -> io::Result<()> {
    static CHUNK: [u8; 65_536] = [0; 65_536];
    let mut at = offset;
    while at < end {
        let size = usize::try_from(end - at).map_or(CHUNK.len(), |rest| rest.min(CHUNK.len()));
        file.write_all_at(&CHUNK[..size], at)?;
        at += u64::try_from(size).expect("at most a chunk");
    }
    Ok(())
}

/// Gives the blocks of an unused tail back to the disk. The file keeps its size and reads zeros.
/// Only space is at stake, so that a file system that cannot do it is no error.
pub(super) fn release_tail(file: &File, offset: u64, size: u64) {
    if offset < size {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let _ = rustix::fs::fallocate(file, flags, offset, size - offset);
    }
}

pub(super) fn io_error(path: &Path, action: &'static str, source: io::Error) -> JournalError {
    JournalError::Io { path: path.to_owned(), action, source }
}

fn is_no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Makes the directories above `path`, each with a durable name.
pub(super) fn make_above(path: &Path, disk: &dyn Disk) -> Result<(), JournalError> {
    let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) else {
        return Ok(());
    };
    if above.is_dir() {
        return Ok(());
    }
    make_above(above, disk)?;
    match std::fs::create_dir(above) {
        Ok(()) => {}
        // Another writer of the same log, who is as far.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && above.is_dir() => {}
        Err(source) => return Err(io_error(path, "create the directory above", source)),
    }
    sync_above(above, disk)
}

/// Whether a place that may not be there yet lies in a directory.
pub(super) fn is_within(place: &Path, dir: &Path) -> bool {
    let whole = place.ancestors().skip(1).find_map(|above| {
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        above.canonicalize().ok()
    });
    whole.zip(dir.canonicalize().ok()).is_some_and(|(above, dir)| above.starts_with(dir))
}

/// Puts the name of `path` on the disk.
pub(super) fn sync_above(path: &Path, disk: &dyn Disk) -> Result<(), JournalError> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    let above = above.unwrap_or(Path::new("."));
    match File::open(above) {
        Ok(handle) => disk.sync_all(above, &handle).map_err(|e| io_error(above, "sync", e)),
        // Whoever may not read it has not made the name either.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(source) => Err(io_error(above, "open", source)),
    }
}

pub(super) fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    let no_follow = OFlags::NOFOLLOW.bits().cast_signed();
    options.read(true).write(true).mode(FILE_MODE).custom_flags(no_follow);
    options
}

/// Whether a name is one of the log's. What else somebody keeps beside it is none of our business.
fn is_ours(name: &str) -> bool {
    [LOCK_NAME, SPARE_NAME, SYNCED_NAME, ARCHIVED_NAME, ARCHIVED_TEMPORARY_NAME].contains(&name)
        || segment_id_of(name).is_some()
        || seal_id_of(name).is_some()
        || name.ends_with(CUT_SUFFIX)
}

fn names_in(path: &Path) -> Result<Vec<std::ffi::OsString>, JournalError> {
    let failed = |source| io_error(path, "list", source);
    let entries = std::fs::read_dir(path).map_err(failed)?;
    entries.map(|entry| entry.map(|entry| entry.file_name()).map_err(failed)).collect()
}

fn check_dir(path: &Path) -> Result<(), JournalError> {
    let meta = path.symlink_metadata().map_err(|source| io_error(path, "open", source))?;
    if !meta.is_dir() {
        return Err(JournalError::NotADirectory { path: path.to_owned() });
    }
    check_mode(path, meta.mode(), DIR_MODE)
}

fn check_file(path: &Path) -> Result<(), JournalError> {
    let meta = path.symlink_metadata().map_err(|source| io_error(path, "open", source))?;
    if !meta.is_file() {
        return Err(JournalError::NotAFile { path: path.to_owned() });
    }
    check_mode(path, meta.mode(), FILE_MODE)
}

fn check_mode(path: &Path, mode: u32, widest: u32) -> Result<(), JournalError> {
    let found = mode & 0o777;
    if found & !widest != 0 {
        return Err(JournalError::TooWide { path: path.to_owned(), found, expected: widest });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::LogDir;
    use crate::journal::disk::MachineDisk;
    use std::sync::Arc;

    /// As a child has, until it runs its program, of every file that was open when it was started.
    #[test]
    fn the_lock_ends_with_its_owner_though_somebody_has_a_copy_of_the_file() {
        let parent = tempfile::tempdir().expect("a directory to write in");
        let path = parent.path().join("log");
        let dir = LogDir::create(&path, Arc::new(MachineDisk)).expect("a new log");
        let _copy = dir.lock.0.try_clone().expect("a copy");
        assert!(LogDir::open(&path, Arc::new(MachineDisk)).is_err(), "it is locked");
        drop(dir);
        LogDir::open(&path, Arc::new(MachineDisk)).expect("nobody holds it any more");
    }
}
