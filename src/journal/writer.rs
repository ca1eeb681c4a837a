//! The writer: seals records into the chain, stores them in the mapped segment, moves on to the
//! next segment, syncs. Between two segments an append makes no system call and never allocates.

use crate::journal::dir::{LogDir, allocate, io_error, release_tail};
use crate::journal::disk::{Disk, MachineDisk};
use crate::journal::errand::{SyncErrand, SyncFailure, SyncOutcome};
use crate::journal::error::JournalError;
use crate::journal::layout::{
    self, EPOCH_FIRST, HEADER_SIZE, KIND_MARK, Mark, PAGE_SIZE, Position, SECTOR_SIZE,
    SEGMENT_ID_FIRST, SLOT_BYTES, SPARE_NAME, SegmentHeader, Slot, segment_name,
};
use crate::journal::map::SegmentMap;
use crate::journal::recovery::Recovery;
use crate::journal::seal::{Progress, Sealer, Sealing};
use crate::journal::synced::{MARK_FIRST, SyncedFile};
use crate::limits::{SEGMENT_SIZE, SLOTS_PER_RECORD_MAX};
use arrayvec::ArrayVec;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Pages that [`Journal::maintain`] backs in one call: bounded work, about ten microseconds.
const PREFAULT_PAGES_PER_CALL: u64 = 16;
/// How far ahead of the writer pages are backed: 8,192 slots, half of what the event ring holds.
const PREFAULT_AHEAD: u64 = 512 << 10;
/// Closed segments that wait for a sync. With more, the roll syncs the oldest itself.
pub(super) const UNSYNCED_MAX: usize = 4;

/// How a log is written. Public fields, all of them written out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalOptions {
    /// Bytes of a segment: a multiple of 4096, at least 8192.
    pub segment_size: u64,
    /// Version of the engine's decisions, for the segment headers.
    pub decide_version: u32,
    /// Fill the sector of 512 bytes before each sync, so that no later write touches what was
    /// synced: for the release policy `synced`.
    pub pad_to_sector: bool,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self { segment_size: SEGMENT_SIZE, decide_version: 0, pad_to_sector: false }
    }
}

/// The one writer of a log. Owns the directory's lock.
///
/// ```
/// use trade_engine::journal::{Journal, JournalOptions, LogReader, layout};
///
/// # let parent = tempfile::tempdir().expect("a directory to write in");
/// # let dir = parent.path().join("log");
/// let mut journal = Journal::create(&dir, JournalOptions::default())?;
/// let word_7 = layout::kind_and_flags(1, layout::FLAG_INPUT | layout::FLAG_END);
/// journal.append(&[[1, 1_000, 0, 0, 0, 0, 0, word_7]])?;
/// assert_eq!(journal.written_seq(), 1);
/// journal.close()?;
///
/// let mut reader = LogReader::open(&dir)?;
/// let record = reader.next_record()?.expect("the record appended above");
/// assert_eq!(layout::seq(&record[0]), 1);
/// assert!(reader.next_record()?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Journal {
    dir: LogDir,
    options: JournalOptions,
    epoch: u64,
    segment: Segment,
    /// Byte offset of the next slot in the segment.
    offset: u64,
    last_seq: u64,
    last_crc: u32,
    /// Pages below this offset of the segment are backed.
    prefaulted: u64,
    spare: Option<Spare>,
    /// The spare could not be made; the next roll tries again and tells.
    spare_refused: bool,
    /// Closed segments that are not yet synced, oldest first.
    unsynced: ArrayVec<(u64, Arc<File>), UNSYNCED_MAX>,
    /// Segments were made since the last sync of the directory was begun.
    dir_changed: bool,
    /// A sync was begun and has not ended.
    is_syncing: bool,
    synced: SyncedFile,
    progress: Arc<Progress>,
    /// Who seals what is closed; `None` where somebody else does.
    sealer: Option<Sealer>,
}

#[derive(Debug)]
struct Segment {
    id: u64,
    file: Arc<File>,
    map: SegmentMap,
}

/// A segment without a header yet.
#[derive(Debug)]
struct Spare {
    file: File,
    map: SegmentMap,
}

impl Journal {
    /// Starts a new log in a directory that does not exist or is empty, and puts its first header
    /// on the disk.
    ///
    /// # Errors
    ///
    /// The directory is not empty, is a link, is open to others or to another writer, or the disk
    /// has no room for a segment.
    pub fn create(dir: &Path, options: JournalOptions) -> Result<Self, JournalError> {
        Self::create_on(Arc::new(MachineDisk), dir, options)
    }

    /// [`create`](Self::create) on any [`Disk`].
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub fn create_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: JournalOptions,
    ) -> Result<Self, JournalError> {
        check_options(&options)?;
        let dir = LogDir::create(dir, disk)?;
        let start = Start { segment_id: SEGMENT_ID_FIRST, epoch: EPOCH_FIRST, seq: 0, crc: 0 };
        // A log that could not begin leaves nothing behind but its lock.
        let begun = begin(&dir, &options, &start)
            .and_then(|segment| Ok((segment, SyncedFile::create(&dir, MARK_FIRST)?)))
            .inspect_err(|_| dir.abandon(&segment_name(SEGMENT_ID_FIRST)));
        let ((segment, crc), synced) = begun?;
        dir.sync().map_err(|source| io_error(dir.path(), "sync", source))?;
        let progress = Arc::new(Progress::default());
        let sealer = Sealer::new(&dir, Arc::clone(&progress), 0, None);
        let files = Files { segment, synced, progress, sealer };
        Ok(Self::new(dir, options, &Start { crc, ..start }, files))
    }

    /// Takes a recovered log up again, in a new segment and a new epoch.
    ///
    /// # Errors
    ///
    /// The disk has no room for a segment.
    pub fn resume(recovery: Recovery, options: JournalOptions) -> Result<Self, JournalError> {
        check_options(&options)?;
        let start = Start {
            segment_id: recovery.segment_id + 1,
            epoch: recovery.epoch + 1,
            seq: recovery.last_seq,
            crc: recovery.last_crc,
        };
        let (last, root) = (recovery.segment_id, Some(recovery.root));
        let (dir, synced) = recovery.into_parts();
        let (segment, crc) = begin(&dir, &options, &start)?;
        dir.sync().map_err(|source| io_error(dir.path(), "sync", source))?;
        let progress = Arc::new(Progress::default());
        progress.set_closed(last);
        let sealer = Sealer::new(&dir, Arc::clone(&progress), last, root);
        let files = Files { segment, synced, progress, sealer };
        Ok(Self::new(dir, options, &Start { crc, ..start }, files))
    }

    /// A writer at the head of a segment, whose header ends in `start.crc`.
    fn new(dir: LogDir, options: JournalOptions, start: &Start, files: Files) -> Self {
        let Files { segment, synced, progress, sealer } = files;
        Self {
            dir,
            options,
            epoch: start.epoch,
            segment,
            offset: HEADER_SIZE,
            last_seq: start.seq,
            last_crc: start.crc,
            prefaulted: HEADER_SIZE,
            spare: None,
            spare_refused: false,
            unsynced: ArrayVec::new(),
            dir_changed: false,
            is_syncing: false,
            synced,
            progress,
            sealer: Some(sealer),
        }
    }

    /// The log's directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Sequence number of the last slot in the log: it survives this process. 0 if there is none.
    pub fn written_seq(&self) -> u64 {
        self.last_seq
    }

    /// Sequence number of the last slot that is on the disk: it survives this machine.
    pub fn synced_seq(&self) -> u64 {
        self.synced.mark().seq
    }

    /// Which run of a writer this is, from 1.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The sealer of this log, for whoever gives it a thread of its own. Where nobody takes it,
    /// [`maintain`](Self::maintain) and [`close`](Self::close) do its work.
    pub fn take_sealer(&mut self) -> Option<Sealer> {
        self.sealer.take()
    }

    /// Appends whole records, in order. What the slots hold in LEFT and checksum is ignored.
    ///
    /// # Errors
    ///
    /// There is no room for the next segment ([`JournalError::NoSpace`] or what else kept it from
    /// being made): records up to [`written_seq`](Self::written_seq) are in the log, and the call
    /// may be repeated with the rest. After a failed sync: [`JournalError::SyncFailed`], always.
    ///
    /// # Panics
    ///
    /// The slots are no whole records, or do not continue the sequence: a bug of the caller.
    pub fn append(&mut self, slots: &[Slot]) -> Result<(), JournalError> {
        self.append_chunk(slots, &[])
    }

    /// [`append`](Self::append) for the two slices of a ring's chunk; a record may lie across them.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    ///
    /// # Panics
    ///
    /// As [`append`](Self::append).
    pub fn append_chunk(&mut self, first: &[Slot], second: &[Slot]) -> Result<(), JournalError> {
        self.check_alive()?;
        let mut slots = first.iter().chain(second).peekable();
        let mut record: ArrayVec<&Slot, SLOTS_PER_RECORD_MAX> = ArrayVec::new();
        while let Some(slot) = slots.next() {
            record.push(slot);
            if slots.peek().is_none_or(|next| !layout::is_cont(next)) {
                self.append_record(&record)?;
                record.clear();
            }
        }
        Ok(())
    }

    fn append_record(&mut self, record: &[&Slot]) -> Result<(), JournalError> {
        let kind = layout::kind(record[0]);
        assert!(kind != 0 && kind != KIND_MARK, "kind {kind} is none of a record");
        assert!(!layout::is_cont(record[0]), "a record begins with a continuation");
        let size = count(record.len()) * SLOT_BYTES;
        if self.options.segment_size - self.offset < size {
            self.roll()?;
        }
        for (index, slot) in record.iter().enumerate() {
            assert_eq!(layout::seq(slot), self.last_seq + 1, "sequence numbers grow by one");
            assert_eq!(layout::kind(slot), kind, "a record has one kind");
            assert_eq!(layout::aux(slot), layout::aux(record[0]), "a record has one aux");
            assert_eq!(layout::flags(slot) & !layout::FLAGS_ALL, 0, "no flag of this format");
            let left = u8::try_from(record.len() - 1 - index).expect("a record has few slots");
            self.store(slot, left);
            self.last_seq += 1;
        }
        Ok(())
    }

    /// Seals one slot and stores it at the end of the log. The caller has seen to the room.
    #[inline]
    fn store(&mut self, slot: &Slot, left: u8) {
        let sealed = layout::sealed(slot, left, self.last_crc);
        let offset = usize::try_from(self.offset).expect("inside a mapped segment");
        self.segment.map.store_slot(offset, &sealed);
        self.last_crc = layout::crc(&sealed);
        self.offset += SLOT_BYTES;
    }

    /// One bounded step of work beside the writer: backs a few pages, makes the next segment when
    /// half of this one is full, and digests a piece of a closed one. Meant for the idle turns of
    /// the journal's duty cycle; an append that comes first does without, only slower.
    ///
    /// # Errors
    ///
    /// There is no room for the next segment. Told once: the rest of this segment can still be
    /// written, so that new orders should stop and execution reports go on. Or a closed segment
    /// could not be synced: as [`sync`](Self::sync).
    pub fn maintain(&mut self) -> Result<(), JournalError> {
        let size = self.options.segment_size;
        let target = size.min(self.offset.saturating_add(PREFAULT_AHEAD));
        // The writer may have overtaken: never store into a page that holds records.
        self.prefaulted = self.prefaulted.max(self.offset.next_multiple_of(PAGE_SIZE));
        for _ in 0..PREFAULT_PAGES_PER_CALL {
            if self.prefaulted >= target {
                break;
            }
            self.segment.map.prefault(self.prefaulted);
            self.prefaulted += PAGE_SIZE;
        }
        self.provide()?;
        if let Some(sealer) = &mut self.sealer {
            sealer.step()?;
        }
        Ok(())
    }

    /// Makes the next segment when half of this one is full: what [`maintain`](Self::maintain) does
    /// first, for a journal that is never idle.
    ///
    /// # Errors
    ///
    /// There is no room for it: as [`maintain`](Self::maintain).
    pub fn provide(&mut self) -> Result<(), JournalError> {
        let size = self.options.segment_size;
        if self.spare.is_none() && !self.spare_refused && self.offset >= size / 2 {
            self.spare_refused = true;
            self.spare = Some(make_spare(&self.dir, size)?);
            self.spare_refused = false;
        }
        Ok(())
    }

    /// Seals all that is closed, where nobody else does.
    ///
    /// # Errors
    ///
    /// As [`Sealer::step`].
    pub fn seal(&mut self) -> Result<(), JournalError> {
        if let Some(sealer) = &mut self.sealer {
            while sealer.step()? == Sealing::Worked {}
        }
        Ok(())
    }

    /// Closes the segment and begins the next. Nothing changes if that fails.
    fn roll(&mut self) -> Result<(), JournalError> {
        let settled = self.progress.settled();
        self.unsynced.retain(|(id, _)| *id > settled);
        if self.unsynced.is_full() {
            let (id, _) = self.unsynced.remove(0);
            self.or_fail(self.sync_anew(&segment_name(id)))?;
        }
        let spare = match self.spare.take() {
            Some(spare) => spare,
            None => make_spare(&self.dir, self.options.segment_size)?,
        };
        let segment_id = self.segment.id + 1;
        let start = Start { segment_id, epoch: self.epoch, seq: self.last_seq, crc: self.last_crc };
        let named = name_segment(&self.dir, spare, &start.header(&self.options));
        let (segment, header_crc) = named.inspect_err(|_| remove_spare(&self.dir))?;
        let closed = std::mem::replace(&mut self.segment, segment);
        self.unsynced.push((closed.id, closed.file));
        self.progress.set_closed(closed.id);
        self.dir_changed = true;
        self.spare_refused = false;
        self.last_crc = header_crc;
        self.offset = HEADER_SIZE;
        self.prefaulted = HEADER_SIZE;
        Ok(())
    }

    /// Puts the bytes of a closed segment on the disk. Opened anew: the kernel tells each open file
    /// once that its bytes could not be written, and a sync that is under way holds the other one.
    fn sync_anew(&self, name: &str) -> io::Result<()> {
        let path = self.dir.file_path(name);
        self.dir.disk().sync_data(&path, &File::open(&path)?)
    }

    /// Puts everything appended so far on the disk, then the mark that says so. Returns the last
    /// sequence number covered. Without anything new it does nothing.
    ///
    /// A mark slot with the previous mark goes before the sync; with `pad_to_sector`, as many as
    /// fill the sector.
    ///
    /// # Errors
    ///
    /// The first failure is final: the kernel may have dropped what it could not write and report
    /// the next sync as good. Every later append and sync gives [`JournalError::SyncFailed`].
    ///
    /// # Panics
    ///
    /// A sync was begun and has not ended.
    pub fn sync(&mut self) -> Result<u64, JournalError> {
        match self.begin_sync()? {
            Some(errand) => self.end_sync(errand.run()),
            None => Ok(self.last_seq),
        }
    }

    /// The first half of [`sync`](Self::sync): what is to be put on the disk, for whoever can wait
    /// for it. `None` if there is nothing new. Records may be appended until it comes back to
    /// [`end_sync`](Self::end_sync).
    ///
    /// # Errors
    ///
    /// As [`sync`](Self::sync).
    ///
    /// # Panics
    ///
    /// A sync was begun and has not ended.
    pub fn begin_sync(&mut self) -> Result<Option<SyncErrand>, JournalError> {
        assert!(!self.is_syncing, "one sync at a time");
        self.check_alive()?;
        if self.position() == self.synced.mark().position {
            return Ok(None);
        }
        self.append_marks();
        let mut files: ArrayVec<_, { UNSYNCED_MAX + 1 }> = self.unsynced.iter().cloned().collect();
        files.push((self.segment.id, Arc::clone(&self.segment.file)));
        self.is_syncing = true;
        Ok(Some(SyncErrand {
            dir: self.dir.path().to_owned(),
            lock: Arc::clone(self.dir.lock()),
            progress: Arc::clone(&self.progress),
            disk: Arc::clone(self.dir.disk()),
            files,
            names: std::mem::take(&mut self.dir_changed).then(|| Arc::clone(self.dir.handle())),
            synced: self.synced.clone(),
            seq: self.last_seq,
            position: self.position(),
            epoch: self.epoch,
        }))
    }

    /// The second half of [`sync`](Self::sync).
    ///
    /// # Errors
    ///
    /// As [`sync`](Self::sync).
    ///
    /// # Panics
    ///
    /// No sync was begun.
    pub fn end_sync(&mut self, outcome: SyncOutcome) -> Result<u64, JournalError> {
        assert!(self.is_syncing, "a sync was begun");
        self.is_syncing = false;
        self.synced = match outcome.0 {
            Ok(synced) => synced,
            Err(SyncFailure::Disk(error)) => return self.or_fail(Err(error)),
            Err(SyncFailure::Another) => return Err(self.sync_failed()),
        };
        let mark = self.synced.mark();
        self.unsynced.retain(|(id, _)| *id >= mark.position.segment);
        Ok(mark.seq)
    }

    /// Syncs, gives unused space back, seals the last segment and ends the writer. Returns the last
    /// sequence number.
    ///
    /// # Errors
    ///
    /// As [`sync`](Self::sync). Or a seal could not be written: the log is whole and on the disk,
    /// and the next recovery makes what is missing.
    ///
    /// # Panics
    ///
    /// A sync was begun and has not ended.
    pub fn close(mut self) -> Result<u64, JournalError> {
        let seq = self.sync()?;
        release_tail(&self.segment.file, self.offset, self.options.segment_size);
        self.progress.set_closed(self.segment.id);
        self.progress.set_over();
        self.sealer.take().map_or(Ok(()), Sealer::finish)?;
        Ok(seq)
    }

    fn append_marks(&mut self) {
        let mark: Mark = self.synced.mark();
        let size = self.options.segment_size;
        let is_wanted = |offset: u64, written: u64| {
            if self.options.pad_to_sector {
                !offset.is_multiple_of(SECTOR_SIZE)
            } else {
                written == 0 && offset < size
            }
        };
        let mut written = 0;
        let mut offset = self.offset;
        while is_wanted(offset, written) {
            written += 1;
            offset += SLOT_BYTES;
        }
        // A sector ends no later than the segment, so that marks never need a roll.
        for _ in 0..written {
            self.store(&mark.to_slot(self.last_seq), 0);
        }
    }

    fn position(&self) -> Position {
        Position { segment: self.segment.id, offset: self.offset }
    }

    /// Whether it can go on.
    ///
    /// # Errors
    ///
    /// [`JournalError::SyncFailed`] once a sync has failed, whoever asked for it.
    pub fn check_alive(&self) -> Result<(), JournalError> {
        if self.progress.has_failed() { Err(self.sync_failed()) } else { Ok(()) }
    }

    fn sync_failed(&self) -> JournalError {
        let dir = self.dir.path().to_owned();
        JournalError::SyncFailed { dir, synced_seq: self.synced_seq() }
    }

    fn or_fail<T>(&self, outcome: io::Result<T>) -> Result<T, JournalError> {
        outcome.map_err(|source| {
            self.progress.set_failed();
            io_error(self.dir.path(), "sync", source)
        })
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if self.spare.is_some() {
            remove_spare(&self.dir);
        }
        self.progress.set_over();
    }
}

/// What a writer begins with.
struct Files {
    segment: Segment,
    synced: SyncedFile,
    progress: Arc<Progress>,
    sealer: Sealer,
}

/// Where a segment takes up the chain.
struct Start {
    segment_id: u64,
    epoch: u64,
    /// Last sequence number before it.
    seq: u64,
    /// Checksum of the last slot before it.
    crc: u32,
}

impl Start {
    fn header(&self, options: &JournalOptions) -> SegmentHeader {
        SegmentHeader {
            decide_version: options.decide_version,
            segment_id: self.segment_id,
            epoch: self.epoch,
            segment_size: options.segment_size,
            first_seq: self.seq + 1,
            prev_crc: self.crc,
        }
    }
}

fn check_options(options: &JournalOptions) -> Result<(), JournalError> {
    if layout::is_segment_size(options.segment_size) {
        Ok(())
    } else {
        Err(JournalError::SegmentSize { found: options.segment_size })
    }
}

/// Allocates and maps a segment under the name that makes it no part of the log.
fn make_spare(dir: &LogDir, size: u64) -> Result<Spare, JournalError> {
    let file = dir.create_file(SPARE_NAME)?;
    let path = dir.file_path(SPARE_NAME);
    let mapped = allocate(&file, &path, size).and_then(|()| {
        SegmentMap::new(&file, size).map_err(|source| io_error(&path, "map", source))
    });
    // A spare that half exists would stand in the way of the next try.
    let map = mapped.inspect_err(|_| remove_spare(dir))?;
    Ok(Spare { file, map })
}

/// Makes the first segment of a writer and puts its header on the disk (not its name).
fn begin(
    dir: &LogDir,
    options: &JournalOptions,
    start: &Start,
) -> Result<(Segment, u32), JournalError> {
    let spare = make_spare(dir, options.segment_size)?;
    let (segment, crc) = name_segment(dir, spare, &start.header(options))?;
    let path = dir.file_path(&segment_name(start.segment_id));
    dir.sync_all(&segment_name(start.segment_id), &segment.file)
        .map_err(|source| io_error(&path, "sync", source))?;
    Ok((segment, crc))
}

/// Best effort: a spare that stays is removed by the next recovery.
fn remove_spare(dir: &LogDir) {
    let _ = std::fs::remove_file(dir.file_path(SPARE_NAME));
}

/// Writes the header, then gives the segment its name: whoever sees the name sees the header.
fn name_segment(
    dir: &LogDir,
    mut spare: Spare,
    header: &SegmentHeader,
) -> Result<(Segment, u32), JournalError> {
    let words = header.encode();
    spare.map.store_slot(0, &words);
    dir.rename(SPARE_NAME, &segment_name(header.segment_id))?;
    let segment = Segment { id: header.segment_id, file: Arc::new(spare.file), map: spare.map };
    Ok((segment, layout::crc(&words)))
}

fn count(slots: usize) -> u64 {
    u64::try_from(slots).expect("a record has few slots")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel may drop what it could not write and call the next sync good: no second try.
    #[test]
    fn a_failed_sync_is_final() {
        let parent = tempfile::tempdir().expect("a directory to write in");
        let dir = parent.path().join("log");
        let options = JournalOptions { segment_size: 8_192, ..JournalOptions::default() };
        let mut journal = Journal::create(&dir, options).expect("a new log");
        let slot = |seq| [seq, 0, 0, 0, 0, 0, 0, layout::kind_and_flags(1, layout::FLAG_END)];
        journal.append(&[slot(1)]).expect("room");
        assert_eq!(journal.sync().expect("a disk"), 1);
        journal.append(&[slot(2)]).expect("room");

        // A device that refuses to be synced, in the place of the segment's file, and back again.
        let refusing = File::open("/dev/null").expect("every system has it");
        let file = std::mem::replace(&mut journal.segment.file, Arc::new(refusing));
        assert!(matches!(journal.sync(), Err(JournalError::Io { action: "sync", .. })));
        journal.segment.file = file;

        let failed = |outcome: Result<(), JournalError>| {
            assert!(matches!(outcome, Err(JournalError::SyncFailed { synced_seq: 1, .. })));
        };
        failed(journal.sync().map(|_| ()));
        failed(journal.append(&[slot(3)]));
        assert_eq!((journal.written_seq(), journal.synced_seq()), (2, 1));
        failed(journal.close().map(|_| ()));
    }
}
