//! What a crash, a disk or a stranger may do to a log: it never panics, never invents, never hides.

#[path = "common/log.rs"]
mod log;

use log::{
    Image, Random, append, from_env, image_of, read_all, read_checked, record, records,
    recover_twice, restore, segment, temp_dir, tiny, write_private,
};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use trade_engine::journal::layout::{self, Slot};
use trade_engine::journal::verdict::MarkSource;
use trade_engine::journal::{
    Chain, Fault, Journal, JournalError, JournalOptions, LogEnd, LogReader, Mark, Position,
    ReadError, SegmentHeader, Tail, check_seals, decode_next, recover,
};

/// A log of `count` slots and more, dropped as a killed process would.
struct Log {
    _parent: tempfile::TempDir,
    dir: PathBuf,
    last_seq: u64,
    synced_seq: u64,
}

fn log(count: u64, sync_every: Option<u64>) -> Log {
    let parent = temp_dir();
    let dir = parent.path().join("log");
    let mut journal = Journal::create(&dir, tiny()).unwrap();
    append(&mut journal, count, sync_every);
    let (last_seq, synced_seq) = (journal.written_seq(), journal.synced_seq());
    Log { _parent: parent, dir, last_seq, synced_seq }
}

/// Reading a damaged log gives an error, or a prefix that holds all that was synced.
fn check(log: &Log, context: &str) -> Result<LogEnd, ReadError> {
    let end = read_checked(&log.dir, context)?;
    assert!(end.last_seq >= log.synced_seq, "{context}: synced records are gone without a word");
    assert!(end.last_seq <= log.last_seq, "{context}: an invented record");
    Ok(end)
}

fn cut_every_byte(log: &Log, id: u64) {
    let path = segment(&log.dir, id);
    let image = image_of(&log.dir);
    for size in (0..8_192).rev() {
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(size).unwrap();
        let context = format!("segment {id} cut to {size} bytes");
        let outcome = check(log, &context);
        if let Ok(end) = &outcome {
            assert!(matches!(end.tail, Tail::Torn { .. }), "{context}: the cut is not seen");
        }
        if size % 97 == 0 || size % 64 == 0 {
            match recover_twice(&log.dir) {
                Ok(slots) => assert!(slots.last().map_or(0, layout::seq) >= log.synced_seq),
                Err(error) => assert!(outcome.is_err(), "{context}: {error}"),
            }
            restore(&log.dir, &image);
        }
    }
}

#[test]
fn cut_at_every_byte_unsynced() {
    let log = log(90, None);
    cut_every_byte(&log, 2);
    let log = self::log(40, None);
    cut_every_byte(&log, 1);
}

#[test]
fn cut_at_every_byte_synced() {
    let log = log(90, Some(1));
    assert_eq!(log.synced_seq, log.last_seq);
    for id in 1..=read_all(&log.dir).unwrap().1.position.segment {
        cut_every_byte(&log, id);
    }
}

/// Every bit of header, slots and side file: an error, or a torn tail with a shorter prefix; never
/// altered data, never a synced record lost. In debug builds one bit of each byte.
fn flip_every_bit(log: &Log) {
    for (path, bytes) in image_of(&log.dir) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        for (offset, byte) in bytes.iter().enumerate() {
            let bits = if cfg!(debug_assertions) { offset % 8..offset % 8 + 1 } else { 0..8 };
            for bit in bits {
                let at = u64::try_from(offset).unwrap();
                file.write_all_at(&[byte ^ (1 << bit)], at).unwrap();
                let context = format!("{name}: bit {bit} of byte {offset}");
                match check(log, &context) {
                    Err(_) => assert!(name.ends_with(".seg"), "{context}"),
                    Ok(end) => {
                        let is_seen = end.tail != Tail::Clean;
                        assert!(is_seen == name.ends_with(".seg"), "{context}: {:?}", end.tail);
                    }
                }
            }
            file.write_all_at(&[*byte], u64::try_from(offset).unwrap()).unwrap();
        }
    }
}

#[test]
fn flip_every_bit_unsynced() {
    flip_every_bit(&log(90, None));
}

#[test]
fn flip_every_bit_synced() {
    flip_every_bit(&log(70, Some(20)));
}

fn slot_at(path: &Path, index: u64) -> [u8; 64] {
    let mut bytes = [0; 64];
    std::fs::File::open(path).unwrap().read_exact_at(&mut bytes, 4_096 + index * 64).unwrap();
    bytes
}

fn put_slot(path: &Path, index: u64, bytes: &[u8; 64]) {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, 4_096 + index * 64).unwrap();
}

/// Slots exchanged, repeated, zeroed, or left over from another log of the same records.
#[test]
fn swapped_stale_and_lost_slots_are_found() {
    let log = log(60, Some(10));
    let path = segment(&log.dir, 1);
    let other = self::log(60, None);
    let image = image_of(&log.dir);
    let place = |index: u64| Position { segment: 1, offset: 4_096 + index * 64 };
    for index in 0..30 {
        let (one, next) = (slot_at(&path, index), slot_at(&path, index + 1));
        let stale = slot_at(&segment(&other.dir, 1), index);
        let changes: [&[(u64, [u8; 64])]; 4] = [
            &[(index, next), (index + 1, one)],
            &[(index + 1, one)],
            &[(index, [0; 64])],
            &[(index, stale)],
        ];
        for change in changes {
            change.iter().for_each(|(index, bytes)| put_slot(&path, *index, bytes));
            if image_of(&log.dir) != image {
                let error = check(&log, "a slot out of its place").unwrap_err();
                let ReadError::Damaged { offset, .. } = error else { panic!("{error}") };
                assert!(offset <= place(index + 1).offset);
            }
            restore(&log.dir, &image);
        }
    }
}

/// A file of an earlier log under the name of a segment: its chain begins elsewhere.
#[test]
fn a_segment_of_another_log_is_found() {
    let log = log(160, None);
    let other = self::log(160, Some(5));
    std::fs::copy(segment(&other.dir, 2), segment(&log.dir, 2)).unwrap();
    // Its mark slots speak of places before it as synced, which here are not as they were there.
    let error = check(&log, "another log's segment").unwrap_err();
    assert!(matches!(error, ReadError::Damaged { fault: Fault::Link { .. }, .. }), "{error}");

    // Without mark slots it is as good as garbage behind the end.
    let unsynced = self::log(160, None);
    let mut bytes = std::fs::read(segment(&unsynced.dir, 2)).unwrap();
    std::fs::write(segment(&log.dir, 2), &bytes).unwrap();
    assert_eq!(read_all(&log.dir).unwrap().0, records(1, 160), "the same records, the same bytes");
    bytes[48] ^= 1;
    std::fs::write(segment(&log.dir, 2), &bytes).unwrap();
    let (slots, end) = read_all(&log.dir).unwrap();
    assert!(matches!(end.tail, Tail::Torn { fault: Fault::Crc { .. }, .. }), "{:?}", end.tail);
    assert_eq!(slots, records(1, end.last_seq));
}

/// A writer that takes a log up begins a new epoch: none goes back.
#[test]
fn a_segment_of_an_earlier_epoch_is_none_of_what_follows() {
    let log = log(20, None);
    for _ in 0..2 {
        drop(Journal::resume(recover(&log.dir).unwrap(), tiny()).unwrap());
    }
    let path = segment(&log.dir, 3);
    let mut bytes = std::fs::read(&path).unwrap();
    let words = layout::from_bytes(bytes.first_chunk().unwrap());
    let (header, _) = SegmentHeader::decode(&words).unwrap();
    assert_eq!(header.epoch, 3);
    for epoch in [3, 2, 1] {
        bytes[..64].copy_from_slice(&layout::to_bytes(&SegmentHeader { epoch, ..header }.encode()));
        write_private(&path, &bytes);
        let (_, end) = read_all(&log.dir).unwrap();
        let at = Position { segment: 3, offset: 0 };
        match end.tail {
            Tail::Clean => assert!(epoch >= 2),
            Tail::Torn { at: found, fault, .. } => {
                assert_eq!((epoch, found, fault), (1, at, Fault::Header));
            }
        }
    }
}

#[test]
fn damage_below_the_mark_is_named_and_recovery_changes_nothing() {
    let log = log(50, Some(50));
    let mut journal = Journal::resume(recover(&log.dir).unwrap(), tiny()).unwrap();
    append(&mut journal, 10, None);
    drop(journal);
    let path = segment(&log.dir, 1);
    let mut bytes = slot_at(&path, 7);
    bytes[20] ^= 4;
    put_slot(&path, 7, &bytes);
    let before = image_of(&log.dir);
    let JournalError::Read(error) = recover(&log.dir).unwrap_err() else { panic!("a read error") };
    let text = error.to_string();
    let ReadError::Damaged { path: found, offset, seq, synced_seq, .. } = error else {
        panic!("{text}")
    };
    assert_eq!((found, synced_seq), (path, log.last_seq));
    // The record that holds slot 7 begins there or a little before.
    assert!(offset <= 4_096 + 7 * 64 && seq <= 8);
    assert!(text.contains("00000001.seg: damaged at byte") && text.contains("checksum found"));
    assert_eq!(before, image_of(&log.dir));
}

/// Without the side file the mark slots in the log stand in; without those, nothing is known.
#[test]
fn both_sectors_of_the_side_file_bad() {
    let log = log(50, Some(10));
    write_private(&log.dir.join(layout::SYNCED_NAME), &[0xff; 1_024]);
    let (_, end) = read_all(&log.dir).unwrap();
    assert_eq!(end.mark_source, MarkSource::LogMark);
    let mut bytes = slot_at(&segment(&log.dir, 1), 3);
    bytes[20] ^= 4;
    put_slot(&segment(&log.dir, 1), 3, &bytes);
    let error = read_all(&log.dir).unwrap_err();
    assert!(matches!(error, ReadError::Damaged { .. }), "{error}");

    let log = self::log(50, None);
    std::fs::remove_file(log.dir.join(layout::SYNCED_NAME)).unwrap();
    let recovery = recover(&log.dir).unwrap();
    assert_eq!((recovery.mark_source, recovery.last_seq), (MarkSource::Unknown, log.last_seq));
    drop(recovery);
    // The recovery has put all of it on the disk and said so.
    assert_eq!(LogReader::open(&log.dir).unwrap().synced_seq(), Some(log.last_seq));
}

#[test]
fn a_side_file_of_another_log_does_not_pass() {
    let log = log(50, Some(7));
    let longer = self::log(60, Some(1));
    std::fs::copy(longer.dir.join("synced"), log.dir.join("synced")).unwrap();
    let error = read_all(&log.dir).unwrap_err();
    assert!(!error.to_string().is_empty());
    assert!(recover(&log.dir).is_err());
}

/// Its mark lies within the log, at the end of a record: of another one than it names.
#[test]
fn a_mark_that_names_another_record_does_not_pass() {
    let log = log(50, Some(10));
    assert!(log.synced_seq > 0);
    let path = log.dir.join(layout::SYNCED_NAME);
    let mut bytes = std::fs::read(&path).unwrap();
    for sector in bytes.chunks_mut(512) {
        let sector: &mut [u8; 64] = sector.first_chunk_mut().unwrap();
        let mark = Mark::decode(&layout::from_bytes(sector)).unwrap();
        *sector = layout::to_bytes(&Mark { seq: mark.seq + 1, ..mark }.encode());
    }
    write_private(&path, &bytes);
    let before = image_of(&log.dir);
    let error = read_all(&log.dir).unwrap_err();
    let ReadError::MarkMismatch { found, expected, .. } = error else { panic!("{error}") };
    assert_eq!((found, expected), (log.synced_seq, log.synced_seq + 1));
    assert!(recover(&log.dir).is_err());
    assert_eq!(before, image_of(&log.dir));
}

/// Half a record: its first slot is there, a continuation is not.
#[test]
fn a_record_without_its_last_slots_is_a_torn_tail() {
    let long = (1..).find(|seq| record(*seq).len() >= 4).unwrap();
    let parent = temp_dir();
    let dir = parent.path().join("log");
    let mut journal = Journal::create(&dir, tiny()).unwrap();
    while journal.written_seq() + 1 < long {
        append(&mut journal, 1, None);
    }
    // The records before may step over `long`; then the next long one does.
    while record(journal.written_seq() + 1).len() < 4 {
        append(&mut journal, 1, None);
    }
    let before = journal.written_seq();
    let len = u64::try_from(record(before + 1).len()).unwrap();
    append(&mut journal, 1, None);
    drop(journal);
    put_slot(&segment(&dir, 1), before + len - 1, &[0; 64]);
    let (slots, end) = read_all(&dir).unwrap();
    assert_eq!(slots, records(1, before));
    let Tail::Torn { fault, valid_slots, bytes, .. } = end.tail else { panic!("{:?}", end.tail) };
    assert_eq!((fault, valid_slots), (Fault::Incomplete { missing: 1 }, len - 1));
    assert_eq!(bytes, (len - 1) * 64);
    let recovery = recover(&dir).unwrap();
    let cut = recovery.cut.as_ref().unwrap();
    assert_eq!((cut.bytes, cut.valid_slots, cut.files.len()), (bytes, valid_slots, 1));
    let saved = std::fs::read(&cut.files[0]).unwrap();
    let last = bytes.min(u64::try_from(saved.len()).unwrap());
    assert!(bytes - last < 64, "trailing zeros of the last slot need not be kept");
    drop(recovery);
    recover_twice(&dir).unwrap();
}

/// A recovery that dies half way has copied, renamed or zeroed a part; the next one does the rest.
#[test]
fn a_recovery_cut_short_is_done_again() {
    let log = log(200, None);
    let path = segment(&log.dir, 2);
    let mut bytes = slot_at(&path, 5);
    bytes[20] ^= 4;
    put_slot(&path, 5, &bytes);
    let torn = image_of(&log.dir);
    let expected = recover_twice(&log.dir).unwrap();
    let whole = image_of(&log.dir);
    assert!(
        whole.iter().filter(|(path, _)| path.extension().unwrap_or_default() == "cut").count() >= 2
    );

    // Died after the copy, after each rename, and after zeroing some of the tail.
    for zeroed in [0, 1, 7, 20, 40] {
        for renamed in 0..2 {
            restore(&log.dir, &torn);
            write_private(&log.dir.join("00000002-000004416.0.cut"), b"an earlier copy");
            if renamed == 1 {
                let last = (3..).take_while(|id| segment(&log.dir, *id).exists()).last().unwrap();
                let target = log.dir.join(layout::cut_name(last, 0, 0));
                std::fs::rename(segment(&log.dir, last), target).unwrap();
            }
            for index in 0..zeroed {
                put_slot(&path, 5 + index, &[0; 64]);
            }
            assert_eq!(recover_twice(&log.dir).unwrap(), expected);
            let copy = std::fs::read(log.dir.join("00000002-000004416.0.cut")).unwrap();
            assert_eq!(copy, b"an earlier copy", "never overwritten");
        }
    }
}

#[test]
fn a_second_writer_is_refused_and_changes_nothing() {
    let parent = temp_dir();
    let dir = parent.path().join("log");
    let mut journal = Journal::create(&dir, tiny()).unwrap();
    append(&mut journal, 10, Some(3));
    let before = image_of(&dir);
    for error in [Journal::create(&dir, tiny()).unwrap_err(), recover(&dir).unwrap_err()] {
        assert!(matches!(error, JournalError::InUse { .. }), "{error}");
        assert!(error.to_string().starts_with(dir.to_str().unwrap()), "{error}");
    }
    assert_eq!(before, image_of(&dir));
    append(&mut journal, 10, Some(3));
    drop(journal);
    let error = Journal::create(&dir, tiny()).unwrap_err();
    assert!(matches!(error, JournalError::NotEmpty { .. }), "{error}");
    recover_twice(&dir).unwrap();
}

#[test]
fn a_strangers_directory_gets_no_file_of_ours() {
    let parent = temp_dir();
    let dir = parent.path().join("notes");
    std::fs::DirBuilder::new().mode(0o700).create(&dir).unwrap();
    write_private(&dir.join("text"), b"a stranger's");
    let before = image_of(&dir);
    let error = Journal::create(&dir, tiny()).unwrap_err();
    assert!(matches!(error, JournalError::NotEmpty { .. }), "{error}");
    assert_eq!(before, image_of(&dir));
}

/// Each leaves as soon as it has begun: whoever comes behind it finds a log, and lets it be.
#[test]
fn of_many_starts_one_after_another_the_first_wins() {
    for _ in 0..100 {
        let parent = temp_dir();
        let dir = parent.path().join("log");
        let start = || {
            let mut journal = Journal::create(&dir, tiny())?;
            append(&mut journal, 10, Some(5));
            Ok::<_, JournalError>(())
        };
        let started = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
            starts.into_iter().filter_map(|start| start.join().unwrap().ok()).count()
        });
        assert_eq!(started, 1);
        assert!(recover_twice(&dir).unwrap().len() >= 10);
    }
}

#[test]
fn of_many_starts_at_once_one_wins() {
    for _ in 0..20 {
        let parent = temp_dir();
        let dir = parent.path().join("log");
        let started: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..10).map(|_| scope.spawn(|| Journal::create(&dir, tiny()))).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert_eq!(started.iter().filter(|start| start.is_ok()).count(), 1);
        drop(started);
        recover_twice(&dir).unwrap();
    }
}

/// No file system holds a file of 2^56 bytes: refused when allocated, and nothing stays behind.
#[test]
fn a_full_disk_is_an_error_and_leaves_nothing() {
    let parent = temp_dir();
    let dir = parent.path().join("log");
    let options = JournalOptions { segment_size: 1 << 56, ..tiny() };
    let error = Journal::create(&dir, options).unwrap_err();
    assert!(matches!(error, JournalError::NoSpace { .. }), "{error}");
    assert!(error.to_string().contains("no room for a segment"));
    // The next try, of a size that fits, is not in its way.
    Journal::create(&dir, tiny()).unwrap();
}

/// The next segment cannot be made: nothing appended is lost, and the rest goes in later.
#[test]
fn a_failed_roll_loses_nothing_and_can_be_repeated() {
    let parent = temp_dir();
    let dir = parent.path().join("log");
    let mut journal = Journal::create(&dir, tiny()).unwrap();
    let slots = records(1, 100);
    let in_the_way = segment(&dir, 2);
    for file in [true, false] {
        if file {
            write_private(&in_the_way, b"somebody's");
        } else {
            std::fs::create_dir(&in_the_way).unwrap();
        }
        for _ in 0..3 {
            let written = usize::try_from(journal.written_seq()).unwrap();
            let error = journal.append(&slots[written..]).unwrap_err();
            assert!(error.to_string().contains("00000002.seg"), "{error}");
            assert!(!dir.join(layout::SPARE_NAME).exists());
        }
        if file {
            assert_eq!(std::fs::read(&in_the_way).unwrap(), b"somebody's");
            std::fs::remove_file(&in_the_way).unwrap();
        } else {
            std::fs::remove_dir(&in_the_way).unwrap();
        }
    }
    let written = usize::try_from(journal.written_seq()).unwrap();
    assert!(written > 50);
    journal.append(&slots[written..]).unwrap();
    assert_eq!(journal.close().unwrap(), slots.last().unwrap()[0]);
    assert_eq!(read_all(&dir).unwrap().0, slots);
}

#[test]
fn wider_permissions_and_links_are_refused() {
    let parent = temp_dir();
    let wide = parent.path().join("wide");
    std::fs::DirBuilder::new().mode(0o755).create(&wide).unwrap();
    let error = Journal::create(&wide, tiny()).unwrap_err();
    assert!(matches!(error, JournalError::TooWide { .. }), "{error}");
    assert!(error.to_string().contains("mode found 0755, expected 0700"), "{error}");
    assert_eq!(std::fs::read_dir(&wide).unwrap().count(), 0);

    let log = log(20, Some(5));
    let link = parent.path().join("link");
    std::os::unix::fs::symlink(&log.dir, &link).unwrap();
    assert!(matches!(recover(&link).unwrap_err(), JournalError::NotADirectory { .. }));
    assert!(matches!(
        Journal::create(&link, tiny()).unwrap_err(),
        JournalError::NotADirectory { .. }
    ));
    let set_mode = |path: &Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    // Less for the owner is not enough.
    for (path, _) in image_of(&log.dir) {
        for mode in [0o640, 0o444] {
            set_mode(&path, mode);
            let error = recover(&log.dir).unwrap_err();
            assert!(matches!(error, JournalError::TooWide { .. }), "{error}");
        }
        set_mode(&path, 0o600);
    }
    for mode in [0o701, 0o570] {
        set_mode(&log.dir, mode);
        assert!(matches!(recover(&log.dir).unwrap_err(), JournalError::TooWide { .. }));
    }
    set_mode(&log.dir, 0o700);
    recover_twice(&log.dir).unwrap();
}

#[test]
fn what_is_no_log_gets_one_clear_line() {
    let parent = temp_dir();
    let dir = parent.path();
    let line = |path: &Path| {
        let error = LogReader::open(path).unwrap_err().to_string();
        assert!(error.starts_with(path.to_str().unwrap()) && error.lines().count() == 1, "{error}");
        let recovery_error = recover(path).unwrap_err().to_string();
        assert_eq!(recovery_error, error);
        error
    };
    assert!(line(dir).contains("no log segment"));
    assert!(line(&dir.join("nowhere")).contains("No such file"));
    write_private(&dir.join("file"), b"text");
    assert!(line(&dir.join("file")).contains("not a directory"));
    let path = segment(dir, 1);
    write_private(&path, b"");
    assert!(line(dir).contains("0 bytes"));
    write_private(&path, &[0; 8_192]);
    assert!(line(dir).contains("not a log segment"));
    write_private(&path, "price,time\n".repeat(1_000).as_bytes());
    assert!(line(dir).contains("not a log segment"));
    assert!(!dir.join(layout::LOCK_NAME).exists());
    std::fs::rename(&path, segment(dir, 2)).unwrap();
    assert!(line(dir).contains("00000001.seg: missing"));
    std::fs::create_dir(&path).unwrap();
    assert!(line(dir).contains("not a plain file"));
}

#[test]
fn a_missing_segment_below_the_mark_or_a_seal_is_an_error() {
    for sync_every in [Some(50), None] {
        let log = log(250, sync_every);
        if sync_every.is_none() {
            // Sealed, though no mark says anything of it.
            let parent = temp_dir();
            let dir = parent.path().join("log");
            let mut journal = Journal::create(&dir, tiny()).unwrap();
            append(&mut journal, 250, None);
            journal.seal().unwrap();
            assert_eq!(journal.synced_seq(), 0);
            drop(journal);
            restore(&log.dir, &moved(&image_of(&dir), &log.dir));
        }
        std::fs::remove_file(segment(&log.dir, 2)).unwrap();
        let before = image_of(&log.dir);
        let error = recover(&log.dir).unwrap_err();
        let is_missing = matches!(error, JournalError::Read(ReadError::MissingSegment { .. }));
        assert!(is_missing, "{error}");
        assert!(error.to_string().contains("00000002.seg: missing"), "{error}");
        assert_eq!(before, image_of(&log.dir));
    }
}

/// The same files in another directory.
fn moved(image: &Image, dir: &Path) -> Image {
    image.iter().map(|(path, bytes)| (dir.join(path.file_name().unwrap()), bytes.clone())).collect()
}

/// Names may reach the disk in any order: what was never synced may have a hole.
#[test]
fn a_missing_segment_above_the_mark_is_the_end_and_what_follows_is_kept_aside() {
    for is_sealed in [false, true] {
        let log = log(250, None);
        if is_sealed {
            // In its place a writer that has just sealed the first.
            std::fs::remove_dir_all(&log.dir).unwrap();
            let mut journal = Journal::create(&log.dir, tiny()).unwrap();
            append(&mut journal, 80, None);
            journal.seal().unwrap();
            append(&mut journal, 170, None);
            assert!(log.dir.join(layout::seal_name(1)).exists());
            assert!(!log.dir.join(layout::seal_name(2)).exists());
        }
        let third = std::fs::read(segment(&log.dir, 3)).unwrap();
        std::fs::remove_file(segment(&log.dir, 2)).unwrap();
        let (slots, end) = read_all(&log.dir).unwrap();
        let Tail::Torn { at, fault, valid_slots, .. } = end.tail else { panic!("{:?}", end.tail) };
        assert_eq!((at.segment, fault), (2, Fault::Gap { segment: 2 }));
        assert!(valid_slots > 60);
        assert_eq!(recover_twice(&log.dir).unwrap(), slots);
        assert_eq!(std::fs::read(log.dir.join(layout::cut_name(3, 0, 0))).unwrap(), third);
    }
}

/// Somebody has made a file a terabyte long, of holes: it is refused or cut, without being read.
#[test]
fn a_hole_of_a_terabyte_is_not_read() {
    const TERABYTE: u64 = 1 << 40;
    for id in [1, 2, 3, 9] {
        for is_sealed in [false, true] {
            let log = log(150, None);
            if is_sealed {
                drop(recover(&log.dir).unwrap());
            }
            let path = segment(&log.dir, id);
            let mut options = std::fs::OpenOptions::new();
            let file = options.create(true).truncate(false).write(true).mode(0o600).open(&path);
            if file.unwrap().set_len(TERABYTE).is_err() {
                println!("skipped: no file of that size on this disk");
                return;
            }
            let _ = check(&log, "holes");
            let _ = check_seals(&log.dir, None);
            if id == 9 && !is_sealed {
                assert!(!recover_twice(&log.dir).unwrap().is_empty());
            }
        }
    }
}

/// Random bytes behind a good header, behind a good prefix, and in place of everything.
#[test]
fn garbage_never_panics() {
    let seed = from_env("SEED", 1);
    let log = log(80, None);
    let image = image_of(&log.dir);
    for run in 0..from_env("RUNS", 300) {
        println!("SEED={} RUNS=1 cargo test --test journal_crash garbage", seed + run);
        let mut random = Random(seed + run);
        let mut changed = image.clone();
        let file = usize::try_from(random.below(image.len() as u64)).unwrap();
        let bytes = &mut changed[file].1;
        let from = usize::try_from(random.below(bytes.len() as u64 + 1)).unwrap();
        bytes[from..].fill_with(|| random.next().to_le_bytes()[0]);
        restore(&log.dir, &changed);
        let _ = check(&log, "garbage");
        if let Err(error) = recover_twice(&log.dir) {
            assert!(read_all(&log.dir).is_err(), "{error}");
        }
        restore(&log.dir, &image);
    }
}

/// The pure core over any bytes at any length, with random bytes and with a record's own.
#[test]
fn any_bytes_decode_or_do_not() {
    let seed = from_env("SEED", 1);
    println!("SEED={seed} cargo test --test journal_crash any_bytes");
    let mut random = Random(seed);
    let log = log(60, None);
    let segment = std::fs::read(segment(&log.dir, 1)).unwrap();
    let header = layout::from_bytes(segment.first_chunk().unwrap());
    let chain = Chain { last_seq: 0, last_crc: layout::crc(&header) };
    let mut slots = Vec::new();
    let first = record(1);
    for len in 0..=segment.len() - 4_096 {
        let is_whole = decode_next(&segment[4_096..][..len], chain, &mut slots).is_ok();
        assert_eq!(is_whole, len >= first.len() * 64, "{len} bytes");
    }
    for _ in 0..from_env("RUNS", 20_000) {
        let mut bytes = [0; 600];
        bytes.fill_with(|| random.next().to_le_bytes()[0]);
        let len = usize::try_from(random.below(601)).unwrap();
        let chain = Chain { last_seq: u64::MAX - random.below(2), last_crc: 0 };
        assert!(decode_next(&bytes[..len], chain, &mut slots).is_err());
    }
}

/// A reader beside a running writer sees whole records, in order, and all of them.
#[test]
fn a_reader_beside_the_writer_sees_whole_records() {
    const COUNT: u64 = 40_000;
    let parent = temp_dir();
    let dir = parent.path().join("log");
    let mut journal = Journal::create(&dir, tiny()).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            append(&mut journal, COUNT, Some(500));
            journal.close().unwrap()
        });
        let mut reader = LogReader::open(&dir).unwrap();
        let mut last_seq = 0;
        while last_seq < COUNT {
            let Some(found) = reader.next_record().unwrap() else {
                assert!(reader.end().unwrap().last_seq == last_seq);
                continue;
            };
            let found: Vec<Slot> = found.iter().map(layout::content).collect();
            assert_eq!(found, record(last_seq + 1));
            last_seq = found.last().unwrap()[0];
        }
        assert_eq!(writer.join().unwrap(), last_seq);
    });
}

/// A writer goes on between a reader's last look and its question how the log ends: in the same
/// segment, or in the next.
#[test]
fn an_end_that_the_writer_has_moved_is_no_torn_tail() {
    for count in 1..=70 {
        let parent = temp_dir();
        let dir = parent.path().join("log");
        let mut journal = Journal::create(&dir, tiny()).unwrap();
        append(&mut journal, count, None);
        let mut readers = [(); 2].map(|()| LogReader::open(&dir).unwrap());
        for reader in &mut readers {
            while reader.next_record().unwrap().is_some() {}
        }
        let seen = journal.written_seq();
        append(&mut journal, 1, Some(1));
        let end = readers[0].end().unwrap();
        assert_eq!((end.last_seq, end.tail), (seen, Tail::Clean), "{count}");
        for reader in &mut readers {
            let next = reader.next_record().unwrap().expect("it was written since");
            assert_eq!(layout::seq(&next[0]), seen + 1);
        }
    }
}

/// The child of [`kill_loses_nothing_that_was_written`]: writes until it is killed.
#[test]
#[ignore = "started by kill_loses_nothing_that_was_written"]
fn child_writes_until_killed() {
    let Some(dir) = std::env::var_os("JOURNAL_CRASH_DIR") else { return };
    let mut journal = Journal::create(Path::new(&dir), tiny()).unwrap();
    for _ in 0..1_000_000 {
        append(&mut journal, 1, None);
        // Standing for an order sent: from here on the record must not be lost.
        println!("written {}", journal.written_seq());
    }
}

#[test]
fn kill_loses_nothing_that_was_written() {
    let seed = from_env("SEED", 1);
    let runs = from_env("RUNS", if cfg!(debug_assertions) { 20 } else { 100 });
    for run in 0..runs {
        let mut random = Random(seed + run);
        let parent = temp_dir();
        let dir = parent.path().join("log");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_writes_until_killed", "--ignored", "--nocapture"])
            .env("JOURNAL_CRASH_DIR", &dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let lines_before_kill = random.below(2_000);
        let mut witnessed = 0;
        let mut note = |line: String| {
            if let Some(seq) = line.strip_prefix("written ") {
                witnessed = seq.parse().unwrap_or(witnessed);
            }
        };
        lines
            .by_ref()
            .take(usize::try_from(lines_before_kill + 10).unwrap())
            .for_each(|line| note(line.unwrap()));
        child.kill().unwrap();
        child.wait().unwrap();
        // What was still in the pipe had been said too; the last line may be cut short.
        let mut rest: Vec<String> = lines.map_while(Result::ok).collect();
        rest.pop();
        rest.into_iter().for_each(&mut note);
        let slots = recover_twice(&dir).unwrap();
        let found = slots.last().map_or(0, layout::seq);
        assert!(found >= witnessed, "SEED={}: {found} < {witnessed}", seed + run);
    }
}
