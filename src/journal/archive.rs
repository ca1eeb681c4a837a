//! Archiving: moves the first segment of a log to where it is kept for good. Nothing is deleted: a
//! segment is unlinked here only when all of it is on the disk there, and the log says so.
//!
//! Every step may be the last before a crash, and the next try takes up what is left:
//!
//! 1. the archive takes a copy of the segment and of its seal, and puts them on its disk;
//! 2. the note says where they are;
//! 3. the segment goes;
//! 4. the seal of the one before goes, which only this segment was chained to; its own stays, for
//!    the next one.
//!
//! Whether the state can do without the segment is not asked here: see [`retention`].
//!
//! [`retention`]: crate::retention

use crate::journal::archived::{ArchivedNote, first_segment};
use crate::journal::dir::{
    LogDir, ids_in, io_error, is_within, make_above, private_options, sync_above,
};
use crate::journal::disk::{Disk, MachineDisk};
use crate::journal::error::{JournalError, ReadError};
use crate::journal::layout::{
    DIR_MODE, SEGMENT_ID_FIRST, SYNCED_NAME, seal_id_of, seal_name, segment_name,
};
use crate::journal::seal::{check_one, last_sealed};
use crate::journal::synced::read_mark;
use std::fmt::Debug;
use std::fs::{DirBuilder, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the segments go that a log no longer holds: a directory ([`DirArchive`]), an object store,
/// a tape.
pub trait Archive: Debug {
    /// Where that is, in a few words for people: the log's note says it from then on.
    fn place(&self) -> String;

    /// Takes a copy of the whole file at `path` under `name`. It must be there for good when this
    /// comes back: the file is unlinked next.
    ///
    /// After a crash the same comes again: a copy of the same bytes is fine. One of other bytes is
    /// another log's, and never overwritten.
    ///
    /// # Errors
    ///
    /// The file stays where it is.
    fn store(&self, path: &Path, name: &str) -> io::Result<()>;
}

/// An archive that is a directory, on this file system or another; made where it is missing. One
/// log's: the segments of another have the same names.
#[derive(Debug)]
pub struct DirArchive {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
}

impl DirArchive {
    /// An archive in `dir`.
    pub fn new(dir: &Path) -> Self {
        Self::on(Arc::new(MachineDisk), dir)
    }

    /// [`new`](Self::new) on any [`Disk`].
    pub fn on(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        Self { dir: dir.to_owned(), disk }
    }

    fn make(&self) -> io::Result<()> {
        make_above(&self.dir, &*self.disk).map_err(io::Error::other)?;
        match DirBuilder::new().mode(DIR_MODE).create(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        // Also where it was there: whoever made it may have died before this.
        sync_above(&self.dir, &*self.disk).map_err(io::Error::other)
    }

    /// Unlinking the file there would unlink the copy; and what lies in the log goes with it.
    fn require_elsewhere(&self, path: &Path, name: &str) -> io::Result<()> {
        let here = path.parent().unwrap_or(Path::new("."));
        if is_within(&self.dir.join(name), here) {
            let what = "it is the log's own directory, or in it";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        Ok(())
    }

    fn copy(&self, path: &Path, name: &str) -> io::Result<()> {
        let part = self.dir.join(format!("{name}.part"));
        let mut copy = private_options().create(true).truncate(true).open(&part)?;
        io::copy(&mut File::open(path)?, &mut copy)?;
        self.disk.sync_all(&part, &copy)?;
        // Read back: what is not there as it was must not go here.
        require_same(path, &part)?;
        std::fs::rename(&part, self.dir.join(name))
    }
}

impl Archive for DirArchive {
    fn place(&self) -> String {
        let whole = self.dir.canonicalize();
        whole.as_ref().unwrap_or(&self.dir).display().to_string()
    }

    fn store(&self, path: &Path, name: &str) -> io::Result<()> {
        self.require_elsewhere(path, name)?;
        self.make()?;
        let target = self.dir.join(name);
        match target.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.copy(path, name)?,
            Err(error) => return Err(error),
            // A link might lead back here.
            Ok(meta) if !meta.is_file() => {
                return Err(taken(&target, "and is no plain file"));
            }
            Ok(_) => {
                require_same(path, &target)?;
                // Whoever has put it there may have left it to the kernel.
                self.disk.sync_all(&target, &File::open(&target)?)?;
            }
        }
        self.disk.sync_all(&self.dir, &File::open(&self.dir)?)
    }
}

fn taken(target: &Path, how: &str) -> io::Error {
    let what = format!("{} is there already, {how}", target.display());
    io::Error::new(io::ErrorKind::AlreadyExists, what)
}

/// Whether two files hold the same bytes.
fn require_same(path: &Path, target: &Path) -> io::Result<()> {
    let (mut one, mut other) =
        (BufReader::new(File::open(path)?), BufReader::new(File::open(target)?));
    loop {
        let (ours, theirs) = (one.fill_buf()?, other.fill_buf()?);
        let len = ours.len().min(theirs.len());
        if ours[..len] != theirs[..len] || ours.len().max(theirs.len()) > 0 && len == 0 {
            return Err(taken(target, "with other bytes: another log's, or damaged"));
        }
        if len == 0 {
            return Ok(());
        }
        one.consume(len);
        other.consume(len);
    }
}

/// The lock of a log that nothing writes: while it is held, nothing begins to.
#[derive(Debug)]
pub struct LogLock {
    _dir: LogDir,
}

impl LogLock {
    /// Locks the log in `dir`.
    ///
    /// # Errors
    ///
    /// A writer has it, others than its owner can write to it, or the system refuses.
    pub fn take(dir: &Path) -> Result<Self, JournalError> {
        Ok(Self { _dir: LogDir::open(dir, Arc::new(MachineDisk))? })
    }
}

/// Id of the last segment in `dir` that is settled, with all before it: sealed, and below the
/// synced mark to its last record. 0 if none is.
///
/// # Errors
///
/// The system refuses.
pub fn last_settled(dir: &Path) -> Result<u64, ReadError> {
    let mark = read_mark(dir).map_err(|source| ReadError::Io {
        path: dir.join(SYNCED_NAME),
        action: "read",
        source,
    })?;
    // The mark's own segment may go on behind it.
    let synced = mark.map_or(0, |mark| mark.position.segment.saturating_sub(1));
    Ok(last_sealed(dir)?.min(synced))
}

/// Moves the first segment that the log in `dir` has into `archive`, and says which it was. Whoever
/// writes the log has this process, or nobody writes it ([`LogLock`]).
///
/// # Errors
///
/// It is not settled, is not what its seal says, the archive does not take it, or the system
/// refuses. It stays, or is in both places: whole either way.
pub fn retire(dir: &Path, archive: &dyn Archive, disk: &dyn Disk) -> Result<u64, JournalError> {
    let id = first_segment(dir)?;
    let path = dir.join(segment_name(id));
    if id > last_settled(dir)? {
        return Err(JournalError::NotSettled { path });
    }
    let noted = ArchivedNote::read(dir)?;
    if let Some(noted) = noted.as_ref().filter(|_| id > SEGMENT_ID_FIRST) {
        require_one_place(noted, &path, archive)?;
    }
    // What was changed since is to be found here, by whoever looks for damage.
    check_one(dir, id)?;
    store(dir, &segment_name(id), archive)?;
    store(dir, &seal_name(id), archive)?;
    // Segments that were put back stay known as archived.
    let last = id.max(noted.map_or(0, |note| note.last));
    ArchivedNote::new(last, &archive.place()).write(dir, disk)?;
    remove(dir, &segment_name(id), disk)?;
    let failed = |source| io_error(dir, "list", source);
    for older in ids_in(dir, seal_id_of).map_err(failed)?.into_iter().filter(|older| *older < id) {
        // It went with its segment, or before a crash that kept it here.
        store(dir, &seal_name(older), archive)?;
        remove(dir, &seal_name(older), disk)?;
    }
    Ok(id)
}

/// The note names one place: whoever puts the segments back must find all of them there.
fn require_one_place(
    noted: &ArchivedNote,
    path: &Path,
    archive: &dyn Archive,
) -> Result<(), JournalError> {
    let place = archive.place();
    if ArchivedNote::new(noted.last, &place) == *noted {
        return Ok(());
    }
    let what = format!(
        "the segments before it are in {}, and all of a log goes to one place",
        noted.place
    );
    let source = io::Error::new(io::ErrorKind::InvalidInput, what);
    Err(JournalError::NotArchived { path: path.to_owned(), place, source })
}

fn store(dir: &Path, name: &str, archive: &dyn Archive) -> Result<(), JournalError> {
    let path = dir.join(name);
    archive.store(&path, name).map_err(|source| JournalError::NotArchived {
        path,
        place: archive.place(),
        source,
    })
}

/// Unlinks a file, for good.
fn remove(dir: &Path, name: &str, disk: &dyn Disk) -> Result<(), JournalError> {
    let path = dir.join(name);
    std::fs::remove_file(&path).map_err(|source| io_error(&path, "remove", source))?;
    sync_above(&path, disk)
}
