//! A log read from its first record on, one record at a time, with the state beside it: memory does
//! not grow with the log.

use crate::names::Names;
use crate::text::{clean, count, time};
use crate::watch::Watch;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use trade_engine::codec::{Slot, Slots};
use trade_engine::engine::State;
use trade_engine::event::Record;
use trade_engine::image::{BadImage, Bytes, Image};
use trade_engine::journal::{
    ArchivedNote, Fault, JournalError, LogEnd, LogReader, Position, ReadError, Seal, layout,
};
use trade_engine::replay::{Replay, ReplayError};
use trade_engine::snapshot::{self, Snapshot, SnapshotError, UpTo};

/// Why a log could not be read, or what was asked of it not be answered. One line each.
#[derive(Debug)]
pub enum LogError {
    /// There is no log of ours.
    NotALog(ReadError),
    /// The log is damaged, or the system refuses to read on.
    Read(ReadError),
    /// The records do not follow from each other.
    Replay {
        /// The segment's file.
        path: PathBuf,
        /// Where the record begins in it, bytes.
        offset: u64,
        /// What is wrong.
        error: ReplayError,
    },
    /// The log ends before its head is complete.
    NoHead {
        /// The directory.
        dir: PathBuf,
        /// Its last record.
        last_seq: u64,
    },
    /// No seal of the log is the root that was kept of it.
    Root {
        /// The directory.
        dir: PathBuf,
        /// As it was given.
        root: Seal,
        /// Id of the first segment whose seal is here.
        first: u64,
        /// Id of the last.
        sealed: u64,
    },
    /// A snapshot could not be written.
    Snapshot(SnapshotError),
    /// What was asked makes no sense for this log.
    Argument(String),
    /// Nothing could be salvaged.
    Salvage(JournalError),
    /// A segment could not be archived.
    Archive(JournalError),
    /// The output could not be written.
    Write(io::Error),
}

impl LogError {
    /// 2: a wrong argument, or no log of this version; 1: damage.
    pub const fn exit_status(&self) -> u8 {
        match self {
            Self::NotALog(_) | Self::Argument(_) | Self::Archive(JournalError::InUse { .. }) => 2,
            Self::Replay { error: ReplayError::Version { .. }, .. } => 2,
            Self::Salvage(JournalError::Exists { .. } | JournalError::NotDamaged { .. }) => 2,
            Self::Read(_)
            | Self::Replay { .. }
            | Self::NoHead { .. }
            | Self::Root { .. }
            | Self::Salvage(_)
            | Self::Archive(_)
            | Self::Snapshot(_)
            | Self::Write(_) => 1,
        }
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotALog(error) | Self::Read(error) => write!(f, "{error}"),
            Self::Replay { path, offset, error } => {
                write!(f, "{}: byte {offset}: {error}", path.display())
            }
            Self::NoHead { dir, last_seq } => write!(
                f,
                "{}: the log ends at record {last_seq}, before its configuration is complete",
                dir.display()
            ),
            Self::Root { dir, root, first: 1, sealed } => write!(
                f,
                "{}: none of its {sealed} seals is the root {root}: it is another log, or a part \
                 of it was changed, seals and all",
                dir.display()
            ),
            Self::Root { dir, root, first, sealed } => write!(
                f,
                "{}: none of the seals of segments {first} to {sealed} is the root {root}: it is \
                 one of those that are archived, or of another log, or a part of this one was \
                 changed, seals and all",
                dir.display()
            ),
            Self::Salvage(error) | Self::Archive(error) => write!(f, "{error}"),
            Self::Snapshot(error) => write!(f, "{error}"),
            Self::Argument(what) => write!(f, "{what}"),
            Self::Write(error) => write!(f, "cannot write the output: {error}"),
        }
    }
}

impl std::error::Error for LogError {}

impl From<io::Error> for LogError {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

/// What is wrong with a log that could not even be opened: damage, or something else than a log.
#[must_use]
pub fn opening_error(error: ReadError) -> LogError {
    let is_damage = match &error {
        ReadError::MissingSegment { .. } | ReadError::Archived { .. } => true,
        ReadError::Header { fault, .. } => {
            !matches!(fault, Fault::Version { .. } | Fault::Magic { .. })
        }
        ReadError::Io { .. }
        | ReadError::NotADirectory { .. }
        | ReadError::NoLog { .. }
        | ReadError::Damaged { .. }
        | ReadError::Seal { .. }
        | ReadError::NoSeal { .. }
        | ReadError::MarkMismatch { .. } => false,
    };
    if is_damage { LogError::Read(error) } else { LogError::NotALog(error) }
}

/// Where a log begins whose first segments are archived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The first record that can be told: the one behind the oldest snapshot.
    pub seq: u64,
    /// The last segment that is not here.
    pub archived: u64,
    /// Where it and those before it are.
    pub place: String,
}

impl fmt::Display for Beginning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seq, archived, place } = self;
        let segments = match archived {
            1 => "segment 1 is".to_owned(),
            last => format!("segments 1 to {last} are"),
        };
        write!(
            f,
            "the log here begins at record {seq}: {segments} archived in {place}; put back, all \
             of it can be read"
        )
    }
}

/// What a snapshot's words are of, and their form.
const BESIDE: &str = "names and watch 1";

/// The walk: [`Walk::read`] a record, look at the state before it, [`Walk::apply`] it.
#[derive(Debug)]
pub struct Walk {
    dir: PathBuf,
    reader: LogReader,
    replay: Replay,
    names: Names,
    watch: Watch,
    /// The record read last, until it is applied.
    slots: Slots,
    /// Where it began, if that is not the first record of the log.
    begins: Option<Beginning>,
}

impl Walk {
    /// Opens the log in `dir` before its first record; where the first segments are archived,
    /// behind the oldest snapshot: see [`Walk::begins`].
    ///
    /// # Errors
    /// There is no log, its first header is damaged or of another version, or its first segments
    /// are archived and no snapshot holds the state behind them.
    pub fn open(dir: &Path) -> Result<Self, LogError> {
        Self::begin(dir, LogReader::open(dir).map_err(opening_error)?)
    }

    fn begin(dir: &Path, reader: LogReader) -> Result<Self, LogError> {
        let first_seq = reader.first_seq();
        if first_seq > 1 {
            let archived = reader.record_position().segment - 1;
            let oldest = snapshot::oldest(dir, first_seq, |found| Self::behind(dir, found));
            let mut walk = oldest.map_err(LogError::Read)?;
            let note = ArchivedNote::read(dir).map_err(LogError::Read)?;
            let place = note.map_or_else(String::new, |note| clean(&note.place));
            let seq = walk.whole_state()?.seq() + 1;
            walk.begins = Some(Beginning { seq, archived, place });
            return Ok(walk);
        }
        Ok(Self {
            dir: dir.to_owned(),
            reader,
            replay: Replay::default(),
            names: Names::default(),
            watch: Watch::default(),
            slots: Slots::new(),
            begins: None,
        })
    }

    /// Opens the log in `dir` behind the newest snapshot that does not lie behind what is asked
    /// for; where it begins if there is none. `say` is told of those that are not believed.
    ///
    /// # Errors
    /// As [`Walk::open`]; or what is asked for is archived.
    pub fn open_near(dir: &Path, up_to: UpTo, say: &mut dyn FnMut(&str)) -> Result<Self, LogError> {
        // Said here if it is no log, before anything about snapshots.
        let reader = LogReader::open(dir).map_err(opening_error)?;
        let mut near = None;
        let mut left_out = Vec::new();
        for path in snapshot::list(dir, up_to).unwrap_or_default() {
            let name = path.file_name().and_then(|name| name.to_str());
            // Of a place that is archived.
            if name.and_then(snapshot::seq_of).is_none_or(|seq| seq < reader.first_seq()) {
                continue;
            }
            let found = snapshot::read(dir, &path, up_to).and_then(|found| {
                let walk = found.map(|found| Self::behind(dir, found)).transpose();
                walk.map_err(|bad| SnapshotError { path, fault: snapshot::Fault::Image(bad) })
            });
            match found {
                Ok(Some(found)) => {
                    near = Some(found);
                    break;
                }
                Ok(None) => {}
                Err(error) => left_out.push(error),
            }
        }
        if let Some(newest) = left_out.first() {
            let number = count(left_out.len() as u64, "snapshot");
            say(&format!("note: left out: {number}; the newest: {newest}"));
        }
        if let Some(near) = near {
            return Ok(near);
        }
        let walk = Self::begin(dir, reader)?;
        let asked = match (&walk.begins, up_to) {
            (None, _) | (_, UpTo::End) => return Ok(walk),
            (Some(_), UpTo::Seq(seq)) => format!("record {seq}"),
            (Some(_), UpTo::Time(ts)) => time(ts),
        };
        let begins = walk.begins.expect("it is not the log's beginning");
        Err(LogError::Argument(format!("{asked}: archived, or in front of it; {begins}")))
    }

    fn behind(dir: &Path, found: Snapshot) -> Result<Self, BadImage> {
        let Snapshot { reader, replay, beside } = found;
        let mut from = Bytes::new(&beside);
        let is_ours = String::read(&mut from).is_ok_and(|form| form == BESIDE);
        from.require(is_ours, "the words beside the state are not of this program")?;
        let (names, watch) = <(Names, Watch)>::read(&mut from)?;
        from.require(from.rest() == 0, "bytes behind the words")?;
        let (dir, slots) = (dir.to_owned(), Slots::new());
        Ok(Self { dir, reader, replay, names, watch, slots, begins: None })
    }

    /// Where it began, if the log's first segments are archived.
    pub const fn begins(&self) -> Option<&Beginning> {
        self.begins.as_ref()
    }

    /// Writes a snapshot of where it is, if that is the end of a group; says where it is then.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_snapshot(&self) -> Result<Option<PathBuf>, LogError> {
        let is_group_end = self.state().is_some_and(|s| s.seq() == self.reader.group_end_seq());
        if !is_group_end {
            return Ok(None);
        }
        let mut beside = Vec::new();
        BESIDE.to_owned().write(&mut beside);
        self.names.write(&mut beside);
        self.watch.write(&mut beside);
        let written = snapshot::write(&self.dir, &self.reader, &self.replay, &beside);
        written.map(Some).map_err(LogError::Snapshot)
    }

    /// Reads the next record; the state stays as it was before it. `None` at the end.
    ///
    /// # Errors
    /// Damage, or a record that this version does not know.
    pub fn read(&mut self) -> Result<Option<Record>, LogError> {
        assert!(self.slots.is_empty(), "the record before has not been applied");
        let Some(slots) = self.reader.next_record().map_err(LogError::Read)? else {
            return Ok(None);
        };
        let record = Record::decode(slots);
        self.slots.extend(slots.iter().copied());
        match record {
            Some(record) => Ok(Some(record)),
            None => {
                let (seq, kind) = (self.slots[0][0], layout::kind(&self.slots[0]));
                Err(self.located(ReplayError::Undecodable { seq, kind }))
            }
        }
    }

    /// Applies the record that was read.
    ///
    /// # Errors
    /// It does not follow from the state before it.
    pub fn apply(&mut self) -> Result<(), LogError> {
        let record = match self.replay.next(&self.slots) {
            Ok(record) => record,
            Err(error) => return Err(self.located(error)),
        };
        self.names.observe(&record, self.replay.state());
        self.watch.observe(&record, self.replay.state());
        self.slots.clear();
        Ok(())
    }

    /// Reads and applies the next record. `None` at the end.
    ///
    /// # Errors
    /// As [`Walk::read`] and [`Walk::apply`].
    pub fn step(&mut self) -> Result<Option<Record>, LogError> {
        let record = self.read()?;
        if record.is_some() {
            self.apply()?;
        }
        Ok(record)
    }

    /// Says where in the files a record lies that is wrong.
    pub fn located(&self, error: ReplayError) -> LogError {
        let Position { segment, offset } = self.reader.record_position();
        LogError::Replay { path: self.dir.join(layout::segment_name(segment)), offset, error }
    }

    /// The slots of the record that was read and is not yet applied.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The state; `None` while the head is not complete.
    pub const fn state(&self) -> Option<&State> {
        self.replay.state()
    }

    /// The state of a log whose head must be complete by now.
    ///
    /// # Errors
    /// It is not.
    pub fn whole_state(&self) -> Result<&State, LogError> {
        self.state().ok_or_else(|| {
            let last_seq = self.reader.group_end_seq();
            LogError::NoHead { dir: self.dir.clone(), last_seq }
        })
    }

    /// The words so far.
    pub const fn names(&self) -> &Names {
        &self.names
    }

    /// What has come of it so far.
    pub const fn watch(&self) -> &Watch {
        &self.watch
    }

    /// As [`Names::take_exec_id`].
    pub fn take_exec_id(&mut self) -> Option<String> {
        self.names.take_exec_id()
    }

    /// What the head says about the log.
    pub const fn replay(&self) -> &Replay {
        &self.replay
    }

    /// Version of the decisions, by the header of the segment that the last record lies in.
    pub fn segment_decide_version(&self) -> u32 {
        self.reader.decide_version()
    }

    /// How the log ends, after the last record.
    ///
    /// # Errors
    /// Damage that only shows behind the last whole record.
    pub fn end(&mut self) -> Result<LogEnd, LogError> {
        self.reader.end().map_err(LogError::Read)
    }
}
