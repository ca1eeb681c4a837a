//! Seals: a digest of each closed segment, chained to the one before, so that whoever keeps the
//! last one elsewhere can tell any change of the log, even one with every checksum made to fit.
//!
//! Made beside the writer, in small steps, by whoever holds the [`Sealer`]: an append waits for no
//! digest and, while the sealer keeps up, for no sync of a closed segment.

use crate::journal::archived::first_segment;
use crate::journal::dir::{Lock, LogDir, ids_in, io_error, open_plain, private_options};
use crate::journal::disk::Disk;
use crate::journal::error::{JournalError, ReadError};
use crate::journal::layout::{
    Fault, SEAL_SIZE, SEGMENT_ID_FIRST, Seal, seal_id_of, seal_name, segment_name,
};
use crate::journal::reader::read_header;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Bytes digested in one step: ten to fifty microseconds.
const STEP_SIZE: usize = 16 << 10;
/// Bytes digested at once where nobody waits.
const BUFFER_SIZE: usize = 64 << 10;

/// What the writer and the sealer of a log tell each other.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Id of the last closed segment.
    closed: AtomicU64,
    /// Id of the last segment that the sealer has put on the disk, name and all.
    settled: AtomicU64,
    /// There is no writer any more.
    over: AtomicBool,
    /// A sync failed, whoever tried: nothing more is taken, and nothing called durable.
    failed: AtomicBool,
}

impl Progress {
    pub(super) fn set_closed(&self, id: u64) {
        // SYNC POINT closed: pairs with the Acquire in `Sealer::step`. What the writer stored in
        // the segment is visible to whoever sees it closed.
        self.closed.store(id, Ordering::Release);
    }

    fn set_settled(&self, id: u64) {
        // SYNC POINT settled: pairs with the Acquire in `settled`.
        self.settled.store(id, Ordering::Release);
    }

    pub(super) fn settled(&self) -> u64 {
        // SYNC POINT settled: pairs with the Release in `set_settled`.
        self.settled.load(Ordering::Acquire)
    }

    pub(super) fn set_over(&self) {
        // SYNC POINT over: pairs with the Acquire in `Sealer::step`.
        self.over.store(true, Ordering::Release);
    }

    pub(super) fn set_failed(&self) {
        // SYNC POINT failed: pairs with the Acquire in `has_failed`.
        self.failed.store(true, Ordering::Release);
    }

    pub(super) fn has_failed(&self) -> bool {
        // SYNC POINT failed: pairs with the Release in `set_failed`.
        self.failed.load(Ordering::Acquire)
    }
}

/// What came of one step of a [`Sealer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealing {
    /// A piece of a segment was digested, or a seal made.
    Worked,
    /// Every closed segment is sealed.
    Idle,
    /// So is the last one, and there is no writer any more; or there is nothing that may be sealed.
    Over,
}

/// Seals the segments of one log as its writer closes them.
#[derive(Debug)]
pub struct Sealer {
    dir: PathBuf,
    /// Nobody else takes the log up while a seal may still be written.
    _lock: Arc<Lock>,
    disk: Arc<dyn Disk>,
    progress: Arc<Progress>,
    /// Id of the last sealed segment, and its seal.
    last: u64,
    seal: Option<Seal>,
    /// The segment that is being digested.
    open: Option<Digesting>,
    buffer: Box<[u8]>,
    /// A seal could not be written; none after it is tried.
    refused: Option<JournalError>,
}

impl Sealer {
    /// A sealer behind segment `last`, whose seal is `seal`.
    pub(super) fn new(
        dir: &LogDir,
        progress: Arc<Progress>,
        last: u64,
        seal: Option<Seal>,
    ) -> Self {
        Self {
            dir: dir.path().to_owned(),
            _lock: Arc::clone(dir.lock()),
            disk: Arc::clone(dir.disk()),
            progress,
            last,
            seal,
            open: None,
            buffer: vec![0; STEP_SIZE].into_boxed_slice(),
            refused: None,
        }
    }

    /// One bounded step, and at most one sync or two.
    ///
    /// # Errors
    ///
    /// A sync of a closed segment failed: final, as it is for the writer, who is told. A seal that
    /// cannot be written is no error here: see [`finish`](Self::finish).
    pub fn step(&mut self) -> Result<Sealing, JournalError> {
        // SYNC POINT over, closed: pair with the Release in `set_over` and `set_closed`. In this
        // order, so that "over" is never seen without the last segment.
        let over = self.progress.over.load(Ordering::Acquire);
        let closed = self.progress.closed.load(Ordering::Acquire);
        if self.refused.is_some() || self.progress.has_failed() {
            return Ok(Sealing::Over);
        }
        if self.last == closed {
            return Ok(if over { Sealing::Over } else { Sealing::Idle });
        }
        let id = self.last + 1;
        let Some(open) = &mut self.open else {
            let open = self.begin(id).inspect_err(|_| self.progress.set_failed())?;
            self.open = Some(open);
            self.progress.set_settled(id);
            return Ok(Sealing::Worked);
        };
        match open.take(&mut self.buffer) {
            Ok(true) => {}
            Ok(false) => {
                let open = self.open.take().expect("it is being digested");
                self.seal(id, open.seal());
            }
            Err(source) => {
                let path = self.dir.join(segment_name(id));
                self.refused = Some(io_error(&path, "read", source));
            }
        }
        Ok(Sealing::Worked)
    }

    /// Seals what is closed, and says whether all of it could be.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step), and why a seal could not be written. The log is whole without it:
    /// the next recovery makes what is missing.
    pub fn finish(mut self) -> Result<(), JournalError> {
        while self.step()? == Sealing::Worked {}
        self.refused.map_or(Ok(()), Err)
    }

    /// Puts a closed segment on the disk, name and all, and opens it for its digest.
    fn begin(&self, id: u64) -> Result<Digesting, JournalError> {
        let path = self.dir.join(segment_name(id));
        let file = File::open(&path).map_err(|source| io_error(&path, "open", source))?;
        self.disk.sync_all(&path, &file).map_err(|source| io_error(&path, "sync", source))?;
        self.sync_dir()?;
        Ok(Digesting::new(file, self.seal))
    }

    fn seal(&mut self, id: u64, seal: Seal) {
        match write_seal(&self.dir, &*self.disk, id, seal).and_then(|()| self.sync_dir()) {
            Ok(()) => (self.last, self.seal) = (id, Some(seal)),
            Err(error) => self.refused = Some(error),
        }
    }

    fn sync_dir(&self) -> Result<(), JournalError> {
        let failed = |source| io_error(&self.dir, "sync", source);
        let handle = File::open(&self.dir).map_err(failed)?;
        self.disk.sync_all(&self.dir, &handle).map_err(failed)
    }
}

/// A segment on its way through the digest.
#[derive(Debug)]
struct Digesting {
    file: File,
    digest: Sha256,
}

impl Digesting {
    fn new(file: File, previous: Option<Seal>) -> Self {
        let mut digest = Sha256::new();
        if let Some(previous) = previous {
            digest.update(previous.encode());
        }
        Self { file, digest }
    }

    /// Takes in as much as `buffer` holds; `false` at the end of the file.
    fn take(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let len = loop {
            match self.file.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.digest.update(&buffer[..len]);
        Ok(len > 0)
    }

    fn seal(self) -> Seal {
        Seal(self.digest.finalize().into())
    }
}

/// Writes a seal and puts it on the disk (not its name). What is there is none, or half of one.
fn write_seal(dir: &Path, disk: &dyn Disk, id: u64, seal: Seal) -> Result<(), JournalError> {
    let path = dir.join(seal_name(id));
    let failed = |source| io_error(&path, "write", source);
    let mut options = private_options();
    let mut file = options.create(true).truncate(true).open(&path).map_err(failed)?;
    file.write_all(&seal.encode()).map_err(failed)?;
    disk.sync_all(&path, &file).map_err(failed)
}

/// The seal of segment `id`, if there is one and it is whole: a crash leaves half of one.
pub(super) fn read_seal(dir: &Path, id: u64) -> Result<Option<Seal>, ReadError> {
    let path = dir.join(seal_name(id));
    let failed = |source| ReadError::Io { path: path.clone(), action: "read", source };
    let Some(file) = open_plain(&path).map_err(failed)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(SEAL_SIZE as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Seal::decode(&bytes))
}

/// Id of the last segment in `dir` that has a whole seal; 0 if none has.
pub(super) fn last_sealed(dir: &Path) -> Result<u64, ReadError> {
    let failed = |source| ReadError::Io { path: dir.to_owned(), action: "list", source };
    for id in ids_in(dir, seal_id_of).map_err(failed)?.into_iter().rev() {
        if read_seal(dir, id)?.is_some() {
            return Ok(id);
        }
    }
    Ok(0)
}

/// The seal that segment `id` should have behind `previous`, or nothing if it is not there.
fn seal_of(dir: &Path, id: u64, previous: Option<Seal>) -> Result<Option<Seal>, ReadError> {
    let path = dir.join(segment_name(id));
    let failed = |source| ReadError::Io { path: path.clone(), action: "read", source };
    let Some(file) = open_plain(&path).map_err(failed)? else { return Ok(None) };
    // What somebody has made longer is not what was sealed, and need not be read to its end.
    let found = file.metadata().map_err(failed)?.len();
    if let Ok(segment) = read_header(file.try_clone().map_err(failed)?, &path, id)?
        && found > segment.header.segment_size
    {
        let fault = Fault::Short { found, expected: segment.header.segment_size };
        return Err(ReadError::Header { path, fault });
    }
    let mut digesting = Digesting::new(file, previous);
    let mut buffer = vec![0; BUFFER_SIZE];
    while digesting.take(&mut buffer).map_err(failed)? {}
    Ok(Some(digesting.seal()))
}

/// What the seals of a log say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seals {
    /// Id of the first segment that is here: 1, unless segments are archived.
    pub first: u64,
    /// Id of the last sealed segment; 0 if there is none.
    pub sealed: u64,
    /// Its seal: the root of the log up to there. Kept elsewhere, it gives away any later change.
    pub root: Option<Seal>,
    /// Id of the segment whose seal is the root that was asked for, if any is.
    pub found: Option<u64>,
}

/// Digests every sealed segment of the log in `dir` again and compares; looks for the root that
/// somebody has kept from an earlier day, if one is given. Of archived segments the last one's seal
/// is taken as it is: the next is chained to it. What is archived meanwhile is looked for no more.
///
/// # Errors
///
/// A segment is not what its seal says, a seal is missing in front of another, or the system
/// refuses.
pub fn check_seals(dir: &Path, wanted: Option<Seal>) -> Result<Seals, ReadError> {
    loop {
        let first = first_segment(dir)?;
        match check_seals_from(dir, first, wanted) {
            Err(ReadError::MissingSegment { .. } | ReadError::NoSeal { .. })
                if first_segment(dir)? > first => {}
            checked => return checked,
        }
    }
}

fn check_seals_from(dir: &Path, first: u64, wanted: Option<Seal>) -> Result<Seals, ReadError> {
    let sealed = last_sealed(dir)?;
    let mut seals = Seals { first, sealed, ..Seals::default() };
    for id in (first - 1).max(1)..=sealed {
        let seal = needed_seal(dir, id)?;
        if id >= first {
            check_seal(dir, id, seal, seals.root)?;
        }
        seals.root = Some(seal);
        if wanted == seals.root {
            seals.found = Some(id);
        }
    }
    Ok(seals)
}

/// The last sealed segment and its seal, after a look whether the one fits the other. 0 if none is.
///
/// # Errors
///
/// As [`check_seals`]; whether the segments before are what they were is for that to say.
pub(super) fn check_last_seal(dir: &Path) -> Result<(u64, Option<Seal>), ReadError> {
    let sealed = last_sealed(dir)?;
    if sealed == 0 {
        return Ok((0, None));
    }
    // Of an archived segment there is nothing to look at.
    let is_here = sealed >= first_segment(dir)?;
    let seal = if is_here { check_one(dir, sealed)? } else { needed_seal(dir, sealed)? };
    Ok((sealed, Some(seal)))
}

/// The seal of segment `id`, which is what it was.
///
/// # Errors
///
/// As [`check_seals`].
pub(super) fn check_one(dir: &Path, id: u64) -> Result<Seal, ReadError> {
    let previous = (id > SEGMENT_ID_FIRST).then(|| needed_seal(dir, id - 1)).transpose()?;
    let seal = needed_seal(dir, id)?;
    check_seal(dir, id, seal, previous)?;
    Ok(seal)
}

fn needed_seal(dir: &Path, id: u64) -> Result<Seal, ReadError> {
    read_seal(dir, id)?.ok_or_else(|| ReadError::NoSeal { path: dir.join(seal_name(id)) })
}

/// Whether segment `id` behind `previous` is what its seal says.
fn check_seal(dir: &Path, id: u64, seal: Seal, previous: Option<Seal>) -> Result<(), ReadError> {
    let path = dir.join(segment_name(id));
    match seal_of(dir, id, previous)? {
        None => Err(ReadError::MissingSegment { path }),
        Some(digest) if digest != seal => Err(ReadError::Seal { path, digest, seal }),
        Some(_) => Ok(()),
    }
}
