//! The reader: files to whole records, every link of the chain checked. Plain reads into one
//! bounded buffer, never a map: a log is a stranger's file, and a truncated one must give an error,
//! not a SIGBUS. Never writes.
#![forbid(unsafe_code)]

use crate::journal::archived::{ArchivedNote, first_segment};
use crate::journal::decode::{BLOCK_SLOTS, Chain, Decoded, decode_next};
use crate::journal::dir::{ids_in, open_plain};
use crate::journal::error::ReadError;
use crate::journal::layout::{
    self, FLAG_END, Fault, HEADER_SIZE, Mark, Position, SEGMENT_ID_FIRST, SLOT_BYTES,
    SegmentHeader, Slot, segment_id_of, segment_name,
};
use crate::journal::seal::last_sealed;
use crate::journal::survey::{Survey, best};
use crate::journal::synced::read_mark;
use crate::journal::verdict::{MarkSource, Place, Rest, Verdict, verdict};
use crate::limits::SLOT_SIZE;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes read at once: 1,024 slots.
const BUFFER_SIZE: usize = 64 << 10;

/// How a log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// Zeros, as a writer leaves it that was stopped or killed between two records.
    Clean,
    /// The normal end after a crash: what follows the last whole record never was a synced record.
    Torn {
        /// The first bad place.
        at: Position,
        /// What is wrong there.
        fault: Fault,
        /// Bytes from there on that are not zero, up to the last of each file.
        bytes: u64,
        /// Whole slots among them, as far as their checksum links tell; mark slots left out.
        valid_slots: u64,
    },
}

/// Where and how the whole records of a log end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEnd {
    /// Sequence number of the last slot of the last whole record; 0 if there is none.
    pub last_seq: u64,
    /// Checksum that the next slot or header must take up.
    pub last_crc: u32,
    /// Last sequence number of the last complete group: the last record with END. Less than
    /// `last_seq` if the writer died within a group.
    pub group_end_seq: u64,
    /// First byte behind the last whole record or mark slot.
    pub position: Position,
    /// Epoch of the segment there.
    pub epoch: u64,
    /// Bytes of a segment there.
    pub segment_size: u64,
    /// What is known to have been on the disk, and who says so.
    pub mark: Option<Mark>,
    /// See `mark`.
    pub mark_source: MarkSource,
    /// How it ends.
    pub tail: Tail,
}

/// A place in a log to read on from: the end of a record, and what the next slot must take up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bookmark {
    /// First byte behind the record.
    pub position: Position,
    /// The record's last slot.
    pub chain: Chain,
}

/// Reads the whole records of a log in order, one at a time: from its first on, or, where the first
/// segments are archived, from the first that is here ([`first_seq`](LogReader::first_seq)).
///
/// Safe while a writer appends, in this process or another: it hands out whole records only, and
/// after `None` the next call looks again, in the segment that has come next, too. It takes no lock
/// and asks nothing of the writer. Memory is one buffer of 64 KiB and one of 64 slots, whatever the
/// files hold.
///
/// ```
/// use std::path::Path;
/// use trade_engine::event::{Body, Event, Record};
/// use trade_engine::journal::{LogReader, ReadError};
///
/// /// Follows a log until the engine that writes it halts; looks again every 20 ms.
/// fn wait_for_a_halt(dir: &Path) -> Result<u64, ReadError> {
///     let mut reader = LogReader::open(dir)?;
///     loop {
///         while let Some(slots) = reader.next_record()? {
///             // None: a kind of record that this version does not know.
///             let Some(record) = Record::decode(slots) else { continue };
///             if let Body::Event(Event::Halted { .. }) = record.body {
///                 return Ok(record.head.seq);
///             }
///         }
///         std::thread::sleep(std::time::Duration::from_millis(20));
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use trade_engine::{code::Code, codec::FLAG_END, units::Ts};
/// # use trade_engine::journal::{Journal, JournalOptions};
/// # let parent = tempfile::tempdir()?;
/// # let dir = parent.path().join("log");
/// # let options =
/// #     JournalOptions { segment_size: 8_192, decide_version: 0, pad_to_sector: false };
/// # let mut journal = Journal::create(&dir, options)?;
/// # std::thread::scope(|scope| {
/// #     let follower = scope.spawn(|| wait_for_a_halt(&dir));
/// #     let halted = Event::Halted { reason: Code::Operator };
/// #     for seq in 1..=100 {
/// #         let body = Body::Event(if seq < 100 { Event::Resumed {} } else { halted });
/// #         journal.append(&body.encode(seq, Ts(0), FLAG_END)).unwrap();
/// #     }
/// #     assert_eq!(follower.join().unwrap().unwrap(), 100);
/// # });
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct LogReader {
    dir: PathBuf,
    segment: OpenSegment,
    /// Byte offset of the next record.
    offset: u64,
    chain: Chain,
    /// The side file's mark, read before the log, so that a running writer is never behind it.
    side_mark: Option<Mark>,
    /// Id of the last sealed segment, as of then; 0 if there is none.
    sealed: u64,
    /// The best mark slot seen in the log.
    log_mark: Option<Mark>,
    first_seq: u64,
    group_end_seq: u64,
    /// Whole records that stand at `offset`, checked.
    records: Vec<Slot>,
    /// How many of their slots have been handed out.
    handed_out: usize,
    record_position: Position,
    stop: Option<(Position, Fault)>,
    window: Window,
}

#[derive(Debug)]
pub(super) struct OpenSegment {
    file: File,
    pub(super) header: SegmentHeader,
    header_crc: u32,
}

/// The part of the segment that is in memory.
#[derive(Debug)]
struct Window {
    buffer: Box<[u8]>,
    start: u64,
    len: usize,
}

/// What one step of the reader found.
enum Step {
    Again,
    Stop,
}

impl LogReader {
    /// Opens the log in `dir` before the first record that is there.
    ///
    /// # Errors
    ///
    /// `dir` is no directory, holds no segment or lacks the first though none is archived, or the
    /// first one's header is bad or of another format version.
    pub fn open(dir: &Path) -> Result<Self, ReadError> {
        if !dir.is_dir() && dir.exists() {
            return Err(ReadError::NotADirectory { path: dir.to_owned() });
        }
        let side_mark = read_mark(dir).map_err(|source| ReadError::Io {
            path: dir.join(layout::SYNCED_NAME),
            action: "read",
            source,
        })?;
        let sealed = if dir.is_dir() { last_sealed(dir)? } else { 0 };
        let segment = open_first(dir)?;
        let SegmentHeader { segment_id, first_seq, prev_crc, .. } = segment.header;
        let is_first = segment_id == SEGMENT_ID_FIRST;
        if first_seq == 0 || (is_first && (first_seq, prev_crc) != (1, 0)) {
            let path = dir.join(segment_name(segment_id));
            return Err(ReadError::Header { path, fault: Fault::Header });
        }
        Ok(Self {
            dir: dir.to_owned(),
            offset: HEADER_SIZE,
            chain: Chain { last_seq: first_seq - 1, last_crc: segment.header_crc },
            segment,
            side_mark,
            sealed,
            log_mark: None,
            first_seq,
            group_end_seq: 0,
            records: Vec::with_capacity(BLOCK_SLOTS),
            handed_out: 0,
            record_position: Position { segment: segment_id, offset: HEADER_SIZE },
            stop: None,
            window: Window { buffer: vec![0; BUFFER_SIZE].into(), start: 0, len: 0 },
        })
    }

    /// Opens the log in `dir` at a place that a reader of it was at: behind the end of a group.
    /// `None` if it is none of this log, or no more, as after a recovery that cut it off. The slot
    /// before it must lie there with its checksum, which stands for everything before; none of it
    /// is read.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_at(dir: &Path, bookmark: &Bookmark) -> Result<Option<Self>, ReadError> {
        let mut reader = Self::open(dir)?;
        let Bookmark { position: Position { segment: id, offset }, chain } = *bookmark;
        let path = dir.join(segment_name(id));
        let Some(file) = open_file(&path)? else { return Ok(None) };
        let Ok(segment) = read_header(file, &path, id)? else { return Ok(None) };
        let inside = HEADER_SIZE + SLOT_BYTES..=segment.header.segment_size;
        if !inside.contains(&offset) || !offset.is_multiple_of(SLOT_BYTES) {
            return Ok(None);
        }
        let mut bytes = [0; SLOT_SIZE];
        read_up_to(&segment.file, &mut bytes, offset - SLOT_BYTES)
            .map_err(|source| ReadError::Io { path, action: "read", source })?;
        let slot = layout::from_bytes(&bytes);
        if Chain::behind(&slot) != chain {
            return Ok(None);
        }
        (reader.segment, reader.offset, reader.chain) = (segment, offset, chain);
        reader.group_end_seq = chain.last_seq;
        Ok(Some(reader))
    }

    /// The place behind the record handed out last, to read on from with another reader.
    pub fn bookmark(&self) -> Bookmark {
        Bookmark { position: self.position(), chain: self.chain }
    }

    /// The next whole record: its first slot and its continuations, as the writer was given them
    /// plus their checksums. `None` at the end; [`end`](Self::end) says which end it is.
    ///
    /// # Errors
    ///
    /// Damage below the synced mark, a missing segment, a segment of another version, a mark that
    /// is not of this log, or the system's refusal to read. The same again on the next call.
    pub fn next_record(&mut self) -> Result<Option<&[Slot]>, ReadError> {
        self.stop = None;
        if self.handed_out == self.records.len() && !self.find_records()? {
            return Ok(None);
        }
        self.check_mark()?;
        Ok(Some(self.hand_out()))
    }

    /// Sequence number of the first record that is here: 1, unless segments are archived.
    pub fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// Where the record handed out last begins.
    pub fn record_position(&self) -> Position {
        self.record_position
    }

    /// Version of the decisions that wrote the record handed out last.
    pub fn decide_version(&self) -> u32 {
        self.segment.header.decide_version
    }

    /// Bytes of the segment that the record handed out last lies in.
    pub fn segment_size(&self) -> u64 {
        self.segment.header.segment_size
    }

    /// Last sequence number of the last complete group read so far.
    pub fn group_end_seq(&self) -> u64 {
        self.group_end_seq
    }

    /// Last sequence number that the side file says is on the disk, if it says anything.
    pub fn synced_seq(&self) -> Option<u64> {
        self.side_mark.map(|mark| mark.seq)
    }

    /// Judges the end that the last `None` stands for, after reading what is left if there was none
    /// yet: clean, torn, or damage that only a mark behind it gives away. Reads the rest of the
    /// files once.
    ///
    /// # Errors
    ///
    /// As [`next_record`](Self::next_record).
    pub fn end(&mut self) -> Result<LogEnd, ReadError> {
        if self.stop.is_none() {
            while self.next_record()?.is_some() {}
        }
        let (at, fault) = self.stop.expect("a reader that stopped knows where");
        let survey = self.survey_from(at)?;
        let (source, place, mark) = self.place(at, survey.log_mark);
        let tail = match verdict(source, place, survey.rest()) {
            // A running writer has gone on since: what lies behind is no torn tail.
            Verdict::Refuse | Verdict::Cut if self.has_grown()? => Tail::Clean,
            Verdict::Refuse => return Err(self.damaged(at, fault, mark)),
            Verdict::End => Tail::Clean,
            Verdict::Cut => {
                let Survey { bytes, valid_slots, .. } = survey;
                Tail::Torn { at, fault: survey.better_fault(fault), bytes, valid_slots }
            }
        };
        Ok(self.log_end(source, mark, tail))
    }

    fn log_end(&self, mark_source: MarkSource, mark: Option<Mark>, tail: Tail) -> LogEnd {
        LogEnd {
            last_seq: self.chain.last_seq,
            last_crc: self.chain.last_crc,
            group_end_seq: self.group_end_seq,
            position: self.position(),
            epoch: self.segment.header.epoch,
            segment_size: self.segment.header.segment_size,
            mark,
            mark_source,
            tail,
        }
    }

    pub(super) fn position(&self) -> Position {
        Position { segment: self.segment.header.segment_id, offset: self.offset }
    }

    /// The next of the records that were checked.
    fn hand_out(&mut self) -> &[Slot] {
        let rest = &self.records[self.handed_out..];
        let len = 1 + rest[1..].iter().take_while(|slot| layout::is_cont(slot)).count();
        let record = &rest[..len];
        self.record_position = self.position();
        self.handed_out += len;
        self.offset += len as u64 * SLOT_BYTES;
        self.chain = Chain::behind(&record[len - 1]);
        if layout::flags(&record[0]) & FLAG_END != 0 {
            self.group_end_seq = self.chain.last_seq;
        }
        record
    }

    /// Checks the next records; whether there are any.
    fn find_records(&mut self) -> Result<bool, ReadError> {
        loop {
            self.check_mark()?;
            if matches!(self.step()?, Step::Stop) {
                return Ok(false);
            }
            if !self.records.is_empty() {
                return Ok(true);
            }
        }
    }

    /// Decodes what stands at `offset`; the records handed out before are gone.
    fn decode(&mut self) -> Result<Result<Decoded, Fault>, ReadError> {
        self.handed_out = 0;
        self.records.clear();
        let bytes = self.window.at(&self.segment, self.offset, &self.dir)?;
        Ok(decode_next(bytes, self.chain, &mut self.records))
    }

    fn step(&mut self) -> Result<Step, ReadError> {
        match self.decode()? {
            Ok(Decoded::Records) => Ok(Step::Again),
            Ok(Decoded::Mark(chain, mark)) => {
                self.chain = chain;
                self.offset += SLOT_BYTES;
                self.log_mark = best(self.log_mark, Some(mark));
                Ok(Step::Again)
            }
            // The window may be older than what the writer has done since, or end within a record.
            Err(_) if self.window.start != self.offset => {
                self.window.forget();
                Ok(Step::Again)
            }
            Err(fault) => {
                let step = self.on_fault(fault);
                self.window.forget();
                step
            }
        }
    }

    /// The record due here is not there, by a fresh look.
    fn on_fault(&mut self, fault: Fault) -> Result<Step, ReadError> {
        if fault != Fault::Empty {
            return self.stop_at(self.position(), fault);
        }
        let next_id = self.segment.header.segment_id + 1;
        let path = self.dir.join(segment_name(next_id));
        let Some(file) = open_file(&path)? else {
            let mark_segment = self.side_mark.map_or(0, |mark| mark.position.segment);
            if mark_segment.max(self.sealed) >= next_id {
                return Err(missing(&self.dir, next_id));
            }
            if !self.goes_on_after(next_id)? {
                return self.stop_at(self.position(), self.short_or(fault)?);
            }
            if let Some(left) = self.left_behind()? {
                return self.stop_at(self.position(), left);
            }
            // This segment may be sealed, whole: what is missing is the next.
            let at = Position { segment: next_id, offset: 0 };
            return self.stop_at(at, Fault::Gap { segment: next_id });
        };
        // The writer makes a segment only when it is done with the one before. What was not here a
        // moment ago may have come before that.
        self.window.forget();
        if self.decode()? != Err(Fault::Empty) {
            return Ok(Step::Again);
        }
        if let Some(left) = self.left_behind()? {
            return self.stop_at(self.position(), left);
        }
        match read_header(file, &path, next_id)? {
            Ok(next) => self.take_up(next),
            // Another version's segment is nothing to cut.
            Err(fault @ Fault::Version { .. }) => Err(ReadError::Header { path, fault }),
            Err(fault) => self.stop_at(Position { segment: next_id, offset: 0 }, fault),
        }
    }

    /// What is wrong behind the last record of a segment that the log goes on after.
    fn left_behind(&self) -> Result<Option<Fault>, ReadError> {
        let own_id = self.segment.header.segment_id;
        let survey = self.survey_file(&self.segment.file, own_id, self.offset)?;
        Ok(if survey.bytes > 0 { Some(Fault::Stray) } else { survey.short })
    }

    fn take_up(&mut self, next: OpenSegment) -> Result<Step, ReadError> {
        if !self.is_taken_up_by(&next.header) {
            let (found, expected) = (next.header.first_seq, self.chain.last_seq + 1);
            return self.stop_at(self.position(), Fault::Link { found, expected });
        }
        if next.header.epoch < self.segment.header.epoch {
            let at = Position { segment: next.header.segment_id, offset: 0 };
            return self.stop_at(at, Fault::Header);
        }
        self.chain.last_crc = next.header_crc;
        self.offset = HEADER_SIZE;
        self.segment = next;
        Ok(Step::Again)
    }

    /// No record at `at`: damage below the side file's mark, an end of some kind elsewhere.
    fn stop_at(&mut self, at: Position, fault: Fault) -> Result<Step, ReadError> {
        self.stop = Some((at, fault));
        let (source, place, mark) = self.place(at, None);
        // What is refused whatever follows need not be looked at: `end` does that.
        let either = [Rest::Zeros, Rest::Bytes].map(|rest| verdict(source, place, rest));
        if either == [Verdict::Refuse; 2] {
            return Err(self.damaged(at, fault, mark));
        }
        Ok(Step::Stop)
    }

    /// Where a place stands by the best mark there is. `later` is one found behind the place.
    fn place(&self, at: Position, later: Option<Mark>) -> (MarkSource, Place, Option<Mark>) {
        let log_mark = best(self.log_mark, later);
        let (source, mark) = match (self.side_mark, log_mark) {
            (Some(side), Some(log)) if log.position > side.position => {
                (MarkSource::LogMark, Some(log))
            }
            (Some(side), _) => (MarkSource::SideFile, Some(side)),
            (None, Some(log)) => (MarkSource::LogMark, Some(log)),
            (None, None) if self.sealed > 0 => (MarkSource::Seal, None),
            (None, None) => (MarkSource::Unknown, None),
        };
        let place = if mark.is_some_and(|mark| at < mark.position) || at.segment < self.sealed {
            Place::BelowMark
        } else if at.segment == self.sealed {
            Place::InSealed
        } else {
            Place::AtOrAboveMark
        };
        (source, place, mark)
    }

    fn damaged(&self, at: Position, fault: Fault, mark: Option<Mark>) -> ReadError {
        ReadError::Damaged {
            path: self.dir.join(segment_name(at.segment)),
            offset: at.offset,
            seq: self.chain.last_seq.saturating_add(1),
            fault,
            synced_seq: mark.map_or(0, |mark| mark.seq),
        }
    }

    /// At the very place that the mark names, the mark must name the last record.
    fn check_mark(&self) -> Result<(), ReadError> {
        let Some(mark) = self.side_mark.filter(|mark| mark.position.offset == self.offset) else {
            return Ok(());
        };
        let (position, found) = (self.position(), self.chain.last_seq);
        if position != mark.position || found == mark.seq {
            return Ok(());
        }
        let path = self.dir.join(segment_name(position.segment));
        Err(ReadError::MarkMismatch { path, offset: position.offset, found, expected: mark.seq })
    }

    /// [`Fault::Short`] if the segment's file ends before the place, else `fault`.
    fn short_or(&self, fault: Fault) -> Result<Fault, ReadError> {
        let path = self.dir.join(segment_name(self.segment.header.segment_id));
        let found = file_size(&self.segment.file, &path)?;
        let expected = self.segment.header.segment_size;
        let ends_here = found <= self.offset && self.offset < expected;
        Ok(if ends_here { Fault::Short { found, expected } } else { fault })
    }

    /// Whether a segment is missing in the middle. A running writer makes them in order, so that a
    /// higher one proves nothing until the missing one was looked for again.
    fn goes_on_after(&self, id: u64) -> Result<bool, ReadError> {
        let is_later = segments_in(&self.dir)?.last().is_some_and(|last| *last > id);
        Ok(is_later && open_file(&self.dir.join(segment_name(id)))?.is_none())
    }

    /// Whether a writer has gone on since the last `None`: the record that was missing is there, or
    /// it did not fit and the next segment, which was not there, takes up the chain.
    fn has_grown(&mut self) -> Result<bool, ReadError> {
        self.window.forget();
        let decoded = self.decode()?;
        self.window.forget();
        let stopped_at_zeros = matches!(self.stop, Some((_, Fault::Empty)));
        if decoded != Err(Fault::Empty) || !stopped_at_zeros {
            return Ok(decoded.is_ok());
        }
        let next_id = self.segment.header.segment_id + 1;
        let path = self.dir.join(segment_name(next_id));
        let Some(file) = open_file(&path)? else { return Ok(false) };
        let next = read_header(file, &path, next_id)?;
        Ok(next.is_ok_and(|next| self.is_taken_up_by(&next.header)))
    }

    fn is_taken_up_by(&self, next: &SegmentHeader) -> bool {
        next.first_seq == self.chain.last_seq + 1 && next.prev_crc == self.chain.last_crc
    }

    /// What lies from `at` to the end of the last file.
    fn survey_from(&self, at: Position) -> Result<Survey, ReadError> {
        let own_id = self.segment.header.segment_id;
        let mut survey = Survey::default();
        if at.segment == own_id {
            survey = self.survey_file(&self.segment.file, own_id, at.offset)?;
        }
        for id in segments_in(&self.dir)?.into_iter().filter(|id| *id > own_id) {
            let Some(file) = open_file(&self.dir.join(segment_name(id)))? else { continue };
            survey.add(self.survey_file(&file, id, 0)?);
            survey.later_segments = true;
        }
        Ok(survey)
    }

    fn survey_file(&self, file: &File, id: u64, from: u64) -> Result<Survey, ReadError> {
        let path = self.dir.join(segment_name(id));
        let mut survey = Survey::default();
        let found = file_size(file, &path)?;
        let expected = self.segment.header.segment_size;
        if id == self.segment.header.segment_id && found != expected {
            survey.short = Some(Fault::Short { found, expected });
        }
        let mut prev_crc = self.chain.last_crc;
        let mut buffer = vec![0; BUFFER_SIZE];
        let mut at = from;
        loop {
            // A hole is zeros, however large a stranger has made it: on to the slot behind it.
            let data = next_data(file, at);
            if data > at {
                prev_crc = 0;
                at = from + (data - from) / SLOT_BYTES * SLOT_BYTES;
            }
            if at >= found {
                break;
            }
            let len = read_up_to(file, &mut buffer, at).map_err(|source| ReadError::Io {
                path: path.clone(),
                action: "read",
                source,
            })?;
            if len == 0 {
                break;
            }
            survey.scan(&buffer[..len], at - from, &mut prev_crc);
            at += u64::try_from(len).expect("a buffer is small");
        }
        Ok(survey)
    }
}

impl Window {
    /// The bytes of `segment` from `offset` on: as many as are in memory, at least a record if the
    /// segment has so many. Bytes that the file lacks are zeros.
    fn at(&mut self, segment: &OpenSegment, offset: u64, dir: &Path) -> Result<&[u8], ReadError> {
        let skip = offset.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        let skip = match skip {
            Some(skip) if skip < self.len => skip,
            _ => {
                self.fill(segment, offset).map_err(|source| ReadError::Io {
                    path: dir.join(segment_name(segment.header.segment_id)),
                    action: "read",
                    source,
                })?;
                0
            }
        };
        Ok(&self.buffer[skip..self.len])
    }

    fn fill(&mut self, segment: &OpenSegment, offset: u64) -> io::Result<()> {
        self.start = offset;
        self.len = 0;
        let rest = segment.header.segment_size.saturating_sub(offset);
        let wanted = usize::try_from(rest).map_or(BUFFER_SIZE, |rest| rest.min(BUFFER_SIZE));
        let found = read_up_to(&segment.file, &mut self.buffer[..wanted], offset)?;
        self.buffer[found..wanted].fill(0);
        self.len = wanted;
        Ok(())
    }

    fn forget(&mut self) {
        self.len = 0;
    }
}

/// Fills `buffer` from `offset` on; fewer bytes only where the file ends.
fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        let at = offset + u64::try_from(len).expect("a buffer is small");
        match file.read_at(&mut buffer[len..], at) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

/// Where the next bytes are that are no hole: `at`, where the file system does not say, and the end
/// of all files behind the last.
pub(super) fn next_data(file: &File, at: u64) -> u64 {
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
        Ok(data) => data,
        Err(rustix::io::Errno::NXIO) => u64::MAX,
        Err(_) => at,
    }
}

fn open_file(path: &Path) -> Result<Option<File>, ReadError> {
    open_plain(path).map_err(|source| ReadError::Io {
        path: path.to_owned(),
        action: "open",
        source,
    })
}

fn file_size(file: &File, path: &Path) -> Result<u64, ReadError> {
    match file.metadata() {
        Ok(meta) => Ok(meta.len()),
        Err(source) => Err(ReadError::Io { path: path.to_owned(), action: "read", source }),
    }
}

/// The first segment that is here.
fn open_first(dir: &Path) -> Result<OpenSegment, ReadError> {
    let mut id = first_segment(dir)?;
    loop {
        let path = dir.join(segment_name(id));
        if let Some(file) = open_file(&path)? {
            let read = read_header(file, &path, id)?;
            return read.map_err(|fault| ReadError::Header { path, fault });
        }
        // Archived by a running engine since it was listed, or a link to nothing.
        let listed = std::mem::replace(&mut id, first_segment(dir)?);
        if listed == id {
            return Err(ReadError::MissingSegment { path });
        }
    }
}

/// A segment that should be there: gone, or archived while this reader was on its way to it.
fn missing(dir: &Path, id: u64) -> ReadError {
    let path = dir.join(segment_name(id));
    match ArchivedNote::read(dir) {
        Ok(Some(ArchivedNote { last, place })) if last >= id => {
            let why = "what follows was not read (begin again, if it was here a moment ago)";
            ReadError::Archived { path, place, why: why.to_owned() }
        }
        Ok(_) | Err(_) => ReadError::MissingSegment { path },
    }
}

/// Reads and checks the header page of segment `id`. The inner error is what is wrong with it.
pub(super) fn read_header(
    file: File,
    path: &Path,
    id: u64,
) -> Result<Result<OpenSegment, Fault>, ReadError> {
    const PAGE: usize = 4_096;
    const _: () = assert!(PAGE as u64 == HEADER_SIZE);
    let mut page = [0; PAGE];
    let found = read_up_to(&file, &mut page, 0).map_err(|source| ReadError::Io {
        path: path.to_owned(),
        action: "read",
        source,
    })?;
    if found < PAGE {
        let found = file_size(&file, path)?;
        return Ok(Err(Fault::Short { found, expected: HEADER_SIZE }));
    }
    let (words, rest) = page.split_first_chunk::<SLOT_SIZE>().expect("a page holds a slot");
    let (header, header_crc) = match SegmentHeader::decode(&layout::from_bytes(words)) {
        Ok(decoded) => decoded,
        Err(fault) => return Ok(Err(fault)),
    };
    if header.segment_id != id || rest.iter().any(|byte| *byte != 0) {
        return Ok(Err(Fault::Header));
    }
    Ok(Ok(OpenSegment { file, header, header_crc }))
}

/// The ids of the segments in `dir`, in order.
pub(super) fn segments_in(dir: &Path) -> Result<Vec<u64>, ReadError> {
    ids_in(dir, segment_id_of).map_err(|source| ReadError::Io {
        path: dir.to_owned(),
        action: "list",
        source,
    })
}
