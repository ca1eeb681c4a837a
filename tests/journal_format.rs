//! The log's format: golden bytes, sizes, round trips, and the one writer's manners.

#[path = "common/log.rs"]
mod log;

use log::{Random, append, from_env, image_of, read_all, record, records, segment, tiny};
use std::fmt::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use trade_engine::journal::layout::{self, FLAG_END, KIND_MARK, Slot};
use trade_engine::journal::verdict::{MarkSource, Place, Rest, VERDICTS, Verdict, verdict};
use trade_engine::journal::{
    Fault, Journal, JournalError, JournalOptions, LogReader, ReadError, SegmentHeader, Tail,
    check_seals, is_log, recover,
};

fn fresh() -> (tempfile::TempDir, std::path::PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("log");
    (parent, dir)
}

/// Every 64 bytes that are not zero, as file, offset and hexadecimal; a seal as the text it is.
fn dump(dir: &Path) -> String {
    let mut text = String::new();
    for (path, bytes) in image_of(dir) {
        let name = path.file_name().unwrap().to_str().unwrap();
        if layout::seal_id_of(name).is_some() {
            write!(text, "{name} {}", String::from_utf8(bytes).unwrap()).unwrap();
            continue;
        }
        for (index, slot) in bytes.chunks(64).enumerate() {
            if slot.iter().any(|byte| *byte != 0) {
                write!(text, "{name} {:>5} ", index * 64).unwrap();
                slot.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
                text.push('\n');
            }
        }
    }
    text
}

/// A log with every feature of the format: continuations, a sync, a roll, padding, a second epoch.
fn golden_log(dir: &Path) {
    let mut journal = Journal::create(dir, tiny()).unwrap();
    append(&mut journal, 10, None);
    journal.sync().unwrap();
    append(&mut journal, 60, None);
    journal.close().unwrap();
    let options = JournalOptions { pad_to_sector: true, ..tiny() };
    let mut journal = Journal::resume(recover(dir).unwrap(), options).unwrap();
    append(&mut journal, 3, None);
    journal.close().unwrap();
}

/// A change here is a change of the format: a new version and a new golden file beside this one.
#[test]
fn golden_bytes_of_version_1() {
    let (_parent, dir) = fresh();
    golden_log(&dir);
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/log_v1.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden, dump(&dir)).unwrap();
    }
    let expected = std::fs::read_to_string(golden).expect("the golden file is in the repository");
    assert_eq!(dump(&dir), expected, "UPDATE_GOLDEN=1 rewrites it");
}

/// The golden bytes alone, put back into files, are a log that reads.
#[test]
fn golden_log_reads() {
    let (_parent, dir) = fresh();
    std::fs::create_dir(&dir).unwrap();
    let golden = include_str!("golden/log_v1.txt");
    let mut files = std::collections::BTreeMap::new();
    for line in golden.lines() {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap();
        let word = words.next().unwrap();
        if layout::seal_id_of(name).is_some() {
            files.insert(name, format!("{word}\n").into_bytes());
            continue;
        }
        let offset: usize = word.parse().unwrap();
        let size = if name == layout::SYNCED_NAME { 1_024 } else { 8_192 };
        let file = files.entry(name).or_insert_with(|| vec![0; size]);
        let hex = words.next().unwrap();
        for index in 0..64 {
            file[offset + index] = u8::from_str_radix(&hex[2 * index..][..2], 16).unwrap();
        }
    }
    for (name, bytes) in files {
        std::fs::write(dir.join(name), bytes).unwrap();
    }
    let (slots, end) = read_all(&dir).unwrap();
    assert_eq!(slots, records(1, end.last_seq));
    assert!(end.last_seq >= 73);
    assert_eq!((end.epoch, end.tail), (2, Tail::Clean));
    let seals = check_seals(&dir, None).unwrap();
    assert_eq!(seals.sealed, end.position.segment);
}

#[test]
fn header_and_slot_fields_stand_at_their_offsets() {
    let header = SegmentHeader {
        decide_version: 0x0403_0201,
        segment_id: 0x0807_0605_0403_0201,
        epoch: 9,
        segment_size: 8_192,
        first_seq: 10,
        prev_crc: 0xddcc_bbaa,
    };
    let bytes = layout::to_bytes(&header.encode());
    assert_eq!(&bytes[..8], b"TRADELOG");
    assert_eq!(bytes[8..12], [1, 0, 0, 0]);
    assert_eq!(bytes[12..16], [1, 2, 3, 4]);
    assert_eq!(bytes[16..24], [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(bytes[24..32], 9_u64.to_le_bytes());
    assert_eq!(bytes[32..40], 8_192_u64.to_le_bytes());
    assert_eq!(bytes[40..48], 10_u64.to_le_bytes());
    assert_eq!(bytes[48..60], [0xaa, 0xbb, 0xcc, 0xdd, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(SegmentHeader::decode(&header.encode()).unwrap().0, header);

    let mut slot: Slot = [7; 8];
    slot[7] = 0xdead_beef_5678_ff2a;
    let bytes = layout::to_bytes(&slot);
    assert_eq!(layout::from_bytes(&bytes), slot);
    assert_eq!((bytes[56], layout::kind(&slot)), (0x2a, 0x2a));
    assert_eq!((bytes[57], layout::flags(&slot), layout::left(&slot)), (0xff, 0x1f, 7));
    assert_eq!(layout::aux(&slot), 0x5678);
    assert_eq!(bytes[60..], 0xdead_beef_u32.to_le_bytes());
    assert_eq!(layout::crc(&slot), 0xdead_beef);
    assert_eq!(layout::content(&slot)[7], 0x5678_1f2a);
}

#[test]
fn names_of_segments() {
    assert_eq!(layout::segment_name(1), "00000001.seg");
    assert_eq!(layout::segment_id_of("00000012.seg"), Some(12));
    assert_eq!(layout::segment_id_of("123456789.seg"), Some(123_456_789));
    for name in ["1.seg", "00000001", "00000001.seg.cut", "0000000x.seg", "spare", ".seg"] {
        assert_eq!(layout::segment_id_of(name), None, "{name}");
    }
}

/// Any mixture of records, syncs, maintenance, padding and restarts reads back as appended.
#[test]
fn round_trip() {
    let seed = from_env("SEED", 1);
    for run in 0..from_env("RUNS", 40) {
        println!("SEED={} RUNS=1 cargo test --test journal_format round_trip", seed + run);
        let mut random = Random(seed + run);
        let (_parent, dir) = fresh();
        let options = JournalOptions { pad_to_sector: random.below(2) == 0, ..tiny() };
        let mut journal = Journal::create(&dir, options).unwrap();
        for _ in 0..60 {
            match random.below(8) {
                0 => assert_eq!(journal.sync().unwrap(), journal.written_seq()),
                1 => journal.maintain().unwrap(),
                2 => {
                    let epoch = journal.epoch();
                    drop(journal);
                    journal = Journal::resume(recover(&dir).unwrap(), options).unwrap();
                    assert_eq!(journal.epoch(), epoch + 1);
                }
                _ => append_some(&mut journal, &mut random),
            }
        }
        let (slots, end) = read_all(&dir).unwrap();
        assert_eq!(slots, records(1, journal.written_seq()));
        assert_eq!((end.last_seq, end.tail), (journal.written_seq(), Tail::Clean));
        let last_end = slots.iter().rposition(|slot| layout::flags(slot) & FLAG_END != 0);
        let group_end = last_end.map_or(0, |index| record(slots[index][0]).last().unwrap()[0]);
        assert_eq!(end.group_end_seq, group_end);
    }
}

/// In one slice or across two: a ring's chunk may break anywhere, inside a record too.
fn append_some(journal: &mut Journal, random: &mut Random) {
    let slots = records(journal.written_seq() + 1, 1 + random.below(40));
    let middle = usize::try_from(random.below(slots.len() as u64 + 1)).unwrap();
    let (first, second) = slots.split_at(middle);
    journal.append_chunk(first, second).unwrap();
    assert_eq!(journal.written_seq(), slots.last().unwrap()[0]);
}

#[test]
fn padding_fills_the_sector_and_protects_it() {
    let (_parent, dir) = fresh();
    let options = JournalOptions { pad_to_sector: true, ..tiny() };
    let mut journal = Journal::create(&dir, options).unwrap();
    let mut synced = 0;
    for _ in 0..6 {
        append(&mut journal, 3, None);
        let before = std::fs::read(segment(&dir, 1)).unwrap();
        journal.sync().unwrap();
        let after = std::fs::read(segment(&dir, 1)).unwrap();
        assert_eq!(before[..synced], after[..synced]);
        let last = after.chunks(64).rposition(|slot| slot != [0; 64]).unwrap();
        synced = (last + 1) * 64;
        assert_eq!(synced % 512, 0);
        let marks = after.chunks(64).filter(|slot| slot[56] == KIND_MARK).count();
        assert!(marks > 0);
    }
}

#[test]
fn sync_moves_the_mark_and_without_news_does_nothing() {
    let (_parent, dir) = fresh();
    let mut journal = Journal::create(&dir, tiny()).unwrap();
    assert_eq!((journal.written_seq(), journal.synced_seq()), (0, 0));
    append(&mut journal, 100, None);
    assert_eq!(journal.synced_seq(), 0);
    let seq = journal.sync().unwrap();
    assert_eq!((seq, journal.synced_seq()), (journal.written_seq(), journal.written_seq()));
    assert_eq!(LogReader::open(&dir).unwrap().synced_seq(), Some(seq));
    let image = image_of(&dir);
    journal.sync().unwrap();
    assert_eq!(image, image_of(&dir));
}

#[test]
fn files_are_private_and_closed_logs_hold_no_spare() {
    let (_parent, dir) = fresh();
    let mut journal = Journal::create(&dir, tiny()).unwrap();
    append(&mut journal, 50, None);
    journal.maintain().unwrap();
    assert!(dir.join(layout::SPARE_NAME).exists(), "made ahead when half is full");
    append(&mut journal, 50, None);
    assert!(segment(&dir, 2).exists());
    journal.maintain().unwrap();
    assert!(dir.join(layout::SPARE_NAME).exists(), "and so is this one");
    journal.close().unwrap();
    assert!(!dir.join(layout::SPARE_NAME).exists());
    assert!(is_log(&dir));
    assert!(!is_log(dir.parent().unwrap()));
    assert!(!is_log(&segment(&dir, 1)));
    assert_eq!(dir.metadata().unwrap().mode() & 0o777, 0o700);
    for (path, _) in image_of(&dir) {
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600, "{}", path.display());
    }
}

/// More than a reader takes in at once, 64 KiB: records lie across the edges.
#[test]
fn a_record_may_lie_across_two_reads() {
    let (_parent, dir) = fresh();
    let options = JournalOptions { segment_size: 512 << 10, ..tiny() };
    let mut journal = Journal::create(&dir, options).unwrap();
    append(&mut journal, 6_000, Some(500));
    let written = journal.written_seq();
    // In a log that is being written, too.
    assert_eq!(read_all(&dir).unwrap().0, records(1, written));
    journal.close().unwrap();
    let (slots, end) = read_all(&dir).unwrap();
    assert_eq!((slots, end.tail), (records(1, written), Tail::Clean));
    assert_eq!(end.position.segment, 1);
}

/// Told once a segment, so that whoever is told can end in order; and tried again in the next.
#[test]
fn a_spare_that_cannot_be_made_is_told_once() {
    let (_parent, dir) = fresh();
    let mut journal = Journal::create(&dir, tiny()).unwrap();
    let spare = dir.join(layout::SPARE_NAME);
    for id in 1..=3 {
        std::fs::create_dir(&spare).unwrap();
        append(&mut journal, 40, None);
        let error = journal.maintain().unwrap_err();
        assert!(error.to_string().contains("spare"), "{error}");
        journal.maintain().unwrap();
        std::fs::remove_dir(&spare).unwrap();
        while !segment(&dir, id + 1).exists() {
            append(&mut journal, 1, None);
        }
    }
}

/// A segment is allocated whole; what a closed or a recovered log does not need of it, it gives back.
#[test]
fn the_unused_tail_takes_no_room() {
    for is_closed in [true, false] {
        let (_parent, dir) = fresh();
        let options = JournalOptions { segment_size: 1 << 20, ..tiny() };
        let mut journal = Journal::create(&dir, options).unwrap();
        let room = || segment(&dir, 1).metadata().unwrap().blocks() * 512;
        append(&mut journal, 50, None);
        assert!(room() >= 1 << 20, "allocated");
        if is_closed {
            journal.close().unwrap();
        } else {
            drop(journal);
            drop(recover(&dir).unwrap());
        }
        assert!(room() < 1 << 16, "{} bytes", room());
        assert_eq!(segment(&dir, 1).metadata().unwrap().len(), 1 << 20);
    }
}

#[test]
fn impossible_segment_sizes_are_refused() {
    let (_parent, dir) = fresh();
    for segment_size in [0, 4_096, 8_193, 10_000, 1 << 57, u64::MAX] {
        let error = Journal::create(&dir, JournalOptions { segment_size, ..tiny() }).unwrap_err();
        assert!(matches!(error, JournalError::SegmentSize { .. }), "{error}");
        assert!(!dir.exists());
    }
}

#[test]
#[should_panic(expected = "sequence numbers grow by one")]
fn a_gap_in_the_sequence_is_a_bug() {
    let (_parent, dir) = fresh();
    let mut journal = Journal::create(&dir, tiny()).unwrap();
    let _ = journal.append(&record(2));
}

#[test]
#[should_panic(expected = "is none of a record")]
fn a_mark_is_no_record() {
    let (_parent, dir) = fresh();
    let mut journal = Journal::create(&dir, tiny()).unwrap();
    let _ = journal.append(&[[1, 0, 0, 0, 0, 0, 0, layout::kind_and_flags(KIND_MARK, 0)]]);
}

/// Unknown versions are refused by name, wherever they stand.
#[test]
fn another_format_version_is_refused() {
    for id in [1, 2] {
        let (_parent, dir) = fresh();
        let mut journal = Journal::create(&dir, tiny()).unwrap();
        append(&mut journal, 100, None);
        drop(journal);
        let path = segment(&dir, id);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[8] = 2;
        std::fs::write(&path, bytes).unwrap();
        let error = read_all(&dir).unwrap_err();
        let is_version =
            matches!(error, ReadError::Header { fault: Fault::Version { found: 2 }, .. });
        assert!(is_version, "{error}");
        assert!(error.to_string().ends_with("log format version found 2, expected 1"), "{error}");
        assert!(recover(&dir).is_err());
    }
}

/// The recovery rule, cell by cell: only what no mark covers may be cut, and only if it is there.
#[test]
fn verdicts_by_the_rule() {
    use MarkSource::{LogMark, Seal, SideFile, Unknown};
    for mark in [SideFile, LogMark, Seal, Unknown] {
        let places = [Place::FirstHeader, Place::BelowMark, Place::InSealed, Place::AtOrAboveMark];
        for place in places {
            for rest in [Rest::Zeros, Rest::Bytes] {
                let expected = match (place, rest) {
                    (Place::FirstHeader | Place::BelowMark, _) => Verdict::Refuse,
                    (Place::InSealed, Rest::Zeros) if mark != Unknown => Verdict::End,
                    (Place::InSealed, _) => Verdict::Refuse,
                    (Place::AtOrAboveMark, Rest::Zeros) => Verdict::End,
                    (Place::AtOrAboveMark, Rest::Bytes) => Verdict::Cut,
                };
                assert_eq!(verdict(mark, place, rest), expected, "{mark:?} {place:?} {rest:?}");
            }
        }
    }
    assert_eq!(VERDICTS.as_flattened().as_flattened().len(), 32);
}
