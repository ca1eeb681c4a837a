//! Snapshots: the state at a place in a log, in a file beside it, so that the state of any time is
//! had without reading the log from its beginning. A cache: deleting one changes nothing but the
//! time that an answer takes. Of a log whose first segments are archived
//! ([`retention`](crate::retention)) they are more: the oldest is where its state begins.
//!
//! ```text
//! DIR/00000000000001000003.snap    named after the last record; written as `snap.tmp`, renamed
//!
//!   0        8        12        16    24   32        40       48     52     56     64     72
//!   | magic  |version |decide_  | seq | ts | segment | offset | last_| crc  | state| size | image
//!   |TRADESNP|        |version  |     |    |         |        | crc  |      | hash |      | ...
//!
//!   segment, offset, last_crc: the place behind record `seq`, and the chain's checksum there
//!   crc   CRC-32C of the whole file, taken with zeros here
//!   size  bytes of the image; behind it, to the end: what a reader keeps beside the state
//! ```
//!
//! One is believed only if nothing speaks against it: it is whole by its checksum, of this version
//! and these decisions, the log has that very chain at that place, its image is one of a state, and
//! the state hashes as it says. Any other is named and left out. It is a stranger's file: reading
//! it takes bounded memory and never panics.

use crate::event::DECIDE_VERSION;
use crate::image::{BadImage, Bytes};
use crate::journal::layout::{FILE_MODE, SEGMENT_ID_FIRST, segment_name};
use crate::journal::{ArchivedNote, Bookmark, Chain, LogReader, Position, ReadError};
use crate::limits::SNAPSHOT_SIZE_MAX;
use crate::replay::Replay;
use crate::units::Ts;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Version of the file and of the image in it: whoever changes what a state is made of raises it.
pub const VERSION: u32 = 3;
/// How a snapshot's name ends.
pub const SUFFIX: &str = ".snap";
/// Name of one that is being written.
pub const TEMPORARY_NAME: &str = "snap.tmp";

const MAGIC: [u8; 8] = *b"TRADESNP";
/// Bytes before the image.
const HEAD_SIZE: usize = 72;
/// Where the checksum of the whole file stands.
const CRC_AT: std::ops::Range<usize> = 52..56;

/// Why a snapshot was not written, or is not believed.
#[derive(Debug)]
pub struct SnapshotError {
    /// Its file.
    pub path: PathBuf,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a snapshot.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The operating system refused.
    Io {
        /// What was tried.
        action: &'static str,
        /// Its reason.
        source: io::Error,
    },
    /// Another program is writing one in the same directory.
    InUse,
    /// It would be, or is, larger than one may be.
    Size {
        /// Bytes.
        found: u64,
    },
    /// It does not begin as one.
    Magic,
    /// It was written by a program with another form of snapshots, or other decisions.
    Version {
        /// Version and decisions, as it says.
        found: [u32; 2],
    },
    /// The checksum does not fit the bytes.
    Crc {
        /// As stored.
        found: u32,
        /// As computed.
        expected: u32,
    },
    /// The log in this directory does not have its place.
    Foreign,
    /// The log could not be read at its place.
    Log(ReadError),
    /// Its bytes are no image of a state.
    Image(BadImage),
    /// The state hashes to another value than it says.
    Hash {
        /// As stored.
        found: u64,
        /// Of the state.
        expected: u64,
    },
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.fault {
            Fault::Io { action, source } => write!(f, "cannot {action}: {source}"),
            Fault::InUse => write!(f, "another program is writing a snapshot here"),
            Fault::Size { found } => {
                write!(f, "{found} bytes, expected at most {SNAPSHOT_SIZE_MAX}")
            }
            Fault::Magic => write!(f, "not a snapshot"),
            Fault::Version { found: [version, decide_version] } => write!(
                f,
                "snapshot version {version} of decisions {decide_version}, expected {VERSION} of \
                 {DECIDE_VERSION}"
            ),
            Fault::Crc { found, expected } => {
                write!(f, "damaged: checksum found {found:#010x}, expected {expected:#010x}")
            }
            Fault::Foreign => write!(f, "not of this log, or of what was cut off from it"),
            Fault::Log(error) => write!(f, "{error}"),
            Fault::Image(bad) => write!(f, "no state: {bad}"),
            Fault::Hash { found, expected } => write!(
                f,
                "the state hashes to {expected:016x}, expected {found:016x} as it says itself"
            ),
        }
    }
}

impl std::error::Error for SnapshotError {}

/// What a snapshot says before its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    /// The place behind the last record that the state has taken in.
    bookmark: Bookmark,
    /// Domain time there.
    ts: Ts,
    hash: u64,
    image_size: u64,
    crc: u32,
}

impl Head {
    fn encode(&self) -> [u8; HEAD_SIZE] {
        let Self { bookmark: Bookmark { position, chain }, ts, hash, image_size, crc } = *self;
        let mut bytes = [0; HEAD_SIZE];
        let versions = [VERSION.to_le_bytes(), DECIDE_VERSION.to_le_bytes()].concat();
        let crcs = [chain.last_crc.to_le_bytes(), crc.to_le_bytes()].concat();
        let fields: [&[u8]; 9] = [
            &MAGIC,
            &versions,
            &chain.last_seq.to_le_bytes(),
            &ts.0.to_le_bytes(),
            &position.segment.to_le_bytes(),
            &position.offset.to_le_bytes(),
            &crcs,
            &hash.to_le_bytes(),
            &image_size.to_le_bytes(),
        ];
        for (place, field) in bytes.chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(field);
        }
        bytes
    }

    fn decode(bytes: &[u8; HEAD_SIZE]) -> Result<Self, Fault> {
        let word = |at: usize| {
            let bytes = bytes[at * 8..][..8].try_into().expect("eight bytes");
            u64::from_le_bytes(bytes)
        };
        let half = |at: usize| {
            let bytes = bytes[at * 4..][..4].try_into().expect("four bytes");
            u32::from_le_bytes(bytes)
        };
        if bytes[..8] != MAGIC {
            return Err(Fault::Magic);
        }
        let found = [half(2), half(3)];
        if found != [VERSION, DECIDE_VERSION] {
            return Err(Fault::Version { found });
        }
        let chain = Chain { last_seq: word(2), last_crc: half(12) };
        let position = Position { segment: word(4), offset: word(5) };
        let (ts, hash, image_size) = (Ts(word(3).cast_signed()), word(7), word(8));
        Ok(Self { bookmark: Bookmark { position, chain }, ts, hash, image_size, crc: half(13) })
    }
}

/// How far a state may reach that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpTo {
    /// To the log's end.
    End,
    /// To this sequence number.
    Seq(u64),
    /// To every record at this time.
    Time(Ts),
}

/// A snapshot that is believed, and the log open behind it.
#[derive(Debug)]
pub struct Snapshot {
    /// Before the first record that the state has not taken in.
    pub reader: LogReader,
    /// The state.
    pub replay: Replay,
    /// What the reader that made it kept beside the state.
    pub beside: Vec<u8>,
}

/// Writes the state behind the group that `reader` handed out last into a file beside the log, over
/// one of the same place. `beside` is the reader's own.
///
/// # Errors
/// The system refuses, another program writes one in `dir`, or it would be too large.
///
/// # Panics
/// If the state is not that of the reader's place, or the place is within a group.
pub fn write(
    dir: &Path,
    reader: &LogReader,
    replay: &Replay,
    beside: &[u8],
) -> Result<PathBuf, SnapshotError> {
    let bookmark = reader.bookmark();
    let state = replay.state().expect("the head is complete");
    assert_eq!(state.seq(), bookmark.chain.last_seq);
    assert_eq!(reader.group_end_seq(), bookmark.chain.last_seq);
    let mut bytes = vec![0; HEAD_SIZE];
    replay.write_image(&mut bytes);
    let image_size = (bytes.len() - HEAD_SIZE) as u64;
    bytes.extend_from_slice(beside);
    let mut head = Head { bookmark, ts: state.ts(), hash: state.hash(), image_size, crc: 0 };
    bytes[..HEAD_SIZE].copy_from_slice(&head.encode());
    head.crc = crc32c::crc32c(&bytes);
    bytes[..HEAD_SIZE].copy_from_slice(&head.encode());
    let path = dir.join(name(state.seq()));
    let written = store(dir, &path, &bytes);
    written.map(|()| path.clone()).map_err(|fault| SnapshotError { path, fault })
}

fn store(dir: &Path, path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    let found = bytes.len() as u64;
    if found > SNAPSHOT_SIZE_MAX {
        return Err(Fault::Size { found });
    }
    let temporary = dir.join(TEMPORARY_NAME);
    let failed = |action| move |source| Fault::Io { action, source };
    let mut file = lock(&temporary)?;
    file.set_len(0).map_err(failed("write"))?;
    let written = file.write_all(bytes).map_err(failed("write"));
    let synced = written.and_then(|()| file.sync_all().map_err(failed("sync")));
    // What is half there takes room that the log may need.
    synced.inspect_err(|_| drop(std::fs::remove_file(&temporary)))?;
    std::fs::rename(&temporary, path).map_err(failed("rename to"))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("sync the directory of"))
}

/// The temporary file, ours alone: a killed program leaves one behind, and the next takes it.
fn lock(path: &Path) -> Result<File, Fault> {
    let failed = |source| Fault::Io { action: "create", source };
    loop {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(FILE_MODE);
        let file = options.open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Fault::InUse),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // Whoever had it may have renamed it since it was opened here: that is no longer ours.
        let here = std::fs::metadata(path).ok().map(|meta| meta.ino());
        if here == Some(file.metadata().map_err(failed)?.ino()) {
            return Ok(file);
        }
    }
}

/// The snapshots in `dir` by name, the newest first, as far as they may be of use: nothing in them
/// has been read.
///
/// # Errors
/// The directory cannot be listed.
pub fn list(dir: &Path, up_to: UpTo) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let file_name = entry?.file_name();
        let Some(seq) = file_name.to_str().and_then(seq_of) else { continue };
        if !matches!(up_to, UpTo::Seq(last) if seq > last) {
            found.push((seq, dir.join(file_name)));
        }
    }
    found.sort_unstable_by(|one, other| other.cmp(one));
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Name of the snapshot behind record `seq`.
pub fn name(seq: u64) -> String {
    format!("{seq:020}{SUFFIX}")
}

/// The sequence number in the name of a snapshot, if it is one.
pub fn seq_of(file_name: &str) -> Option<u64> {
    let seq = file_name.strip_suffix(SUFFIX)?.parse().ok()?;
    (name(seq) == file_name).then_some(seq)
}

/// Opens the log in `dir` where its state begins: before its first record, or, of a log whose first
/// segments are archived, behind the oldest snapshot that is believed.
///
/// # Errors
/// As [`LogReader::open`], and as [`oldest`].
pub fn begin(dir: &Path) -> Result<(LogReader, Replay), ReadError> {
    let reader = LogReader::open(dir)?;
    if reader.first_seq() == 1 {
        return Ok((reader, Replay::default()));
    }
    oldest(dir, reader.first_seq(), |found| Ok((found.reader, found.replay)))
}

/// The oldest snapshot of the log in `dir` that is believed, by `take`, too. `first_seq` is the
/// first record that is there.
///
/// # Errors
/// None is: what is here does not give the state without the segments that are archived.
pub fn oldest<T>(
    dir: &Path,
    first_seq: u64,
    mut take: impl FnMut(Snapshot) -> Result<T, BadImage>,
) -> Result<T, ReadError> {
    let listed = list(dir, UpTo::End).map_err(|source| ReadError::Io {
        path: dir.to_owned(),
        action: "list",
        source,
    })?;
    let mut fault = None;
    for path in listed.into_iter().rev() {
        let name = path.file_name().and_then(|name| name.to_str());
        // Of a place that is archived: of use when that is put back.
        if name.and_then(seq_of).is_none_or(|seq| seq < first_seq) {
            continue;
        }
        let taken = read(dir, &path, UpTo::End).and_then(|found| {
            let taken = found.map(&mut take).transpose();
            taken.map_err(|bad| SnapshotError { path, fault: Fault::Image(bad) })
        });
        match taken {
            Ok(Some(taken)) => return Ok(taken),
            Ok(None) => {}
            Err(error) => fault = Some(error),
        }
    }
    let place = ArchivedNote::read(dir)?.map_or_else(|| "another place".to_owned(), |n| n.place);
    let path = dir.join(segment_name(SEGMENT_ID_FIRST));
    let why = fault.map_or_else(
        || "no snapshot here holds the state behind the archived ones".to_owned(),
        |fault| format!("no snapshot here gives the state behind the archived ones ({fault})"),
    );
    Err(ReadError::Archived { path, place, why })
}

/// Reads one of [`list`], and opens the log behind it. `None` if it lies behind what is asked for.
///
/// # Errors
/// It is not to be believed.
pub fn read(dir: &Path, path: &Path, up_to: UpTo) -> Result<Option<Snapshot>, SnapshotError> {
    read_whole(dir, path, up_to).map_err(|fault| SnapshotError { path: path.to_owned(), fault })
}

fn read_whole(dir: &Path, path: &Path, up_to: UpTo) -> Result<Option<Snapshot>, Fault> {
    let failed = |source| Fault::Io { action: "read", source };
    // A pipe would keep us waiting for its other end.
    if !path.symlink_metadata().map_err(failed)?.is_file() {
        return Err(Fault::Magic);
    }
    let mut file = File::open(path).map_err(failed)?;
    let mut bytes = vec![0; HEAD_SIZE];
    if let Err(error) = file.read_exact(&mut bytes) {
        let is_short = error.kind() == io::ErrorKind::UnexpectedEof;
        return Err(if is_short { Fault::Magic } else { failed(error) });
    }
    let head = Head::decode(bytes.first_chunk().expect("so many were read"))?;
    let is_behind = match up_to {
        UpTo::End => false,
        UpTo::Seq(seq) => head.bookmark.chain.last_seq > seq,
        UpTo::Time(ts) => head.ts > ts,
    };
    if is_behind {
        return Ok(None);
    }
    let found = file.metadata().map_err(failed)?.len();
    if found > SNAPSHOT_SIZE_MAX {
        return Err(Fault::Size { found });
    }
    file.take(SNAPSHOT_SIZE_MAX).read_to_end(&mut bytes).map_err(failed)?;
    bytes[CRC_AT].fill(0);
    let expected = crc32c::crc32c(&bytes);
    if head.crc != expected {
        return Err(Fault::Crc { found: head.crc, expected });
    }
    let reader = LogReader::open_at(dir, &head.bookmark).map_err(Fault::Log)?;
    let reader = reader.ok_or(Fault::Foreign)?;
    let (replay, beside) = state(&bytes[HEAD_SIZE..], &head)?;
    Ok(Some(Snapshot { reader, replay, beside: beside.to_owned() }))
}

/// The state in the bytes behind a head, and what lies beside it.
fn state<'a>(bytes: &'a [u8], head: &Head) -> Result<(Replay, &'a [u8]), Fault> {
    let mut from = Bytes::new(bytes);
    let too_short = from.bad("it ends too early");
    let size = usize::try_from(head.image_size).map_err(|_| Fault::Image(too_short))?;
    let mut image = Bytes::new(from.take(size).map_err(Fault::Image)?);
    let replay = Replay::read_image(&mut image).map_err(Fault::Image)?;
    image.require(image.rest() == 0, "bytes behind its end").map_err(Fault::Image)?;
    let state = replay.state().expect("it was read");
    if state.seq() != head.bookmark.chain.last_seq || state.ts() != head.ts {
        return Err(Fault::Image(image.bad("a state of another place")));
    }
    let (found, expected) = (head.hash, state.hash());
    if found != expected {
        return Err(Fault::Hash { found, expected });
    }
    Ok((replay, from.take(from.rest()).expect("it is what is left")))
}
