//! Damage: every single bit of a log, blocks in the wrong place, and the recovery table cell by
//! cell, with real directories. Below the mark nothing is changed; above it nothing is thrown away.

#[path = "common/log.rs"]
mod log;

use log::{
    Image, Random, append, from_env, image_of, read_all, read_checked, recover_twice, restore,
    segment, temp_dir, tiny, write_private,
};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use trade_engine::journal::layout::{self, Slot};
use trade_engine::journal::verdict::{MarkSource, Place, Rest, Verdict, verdict};
use trade_engine::journal::{
    Chain, Decoded, Fault, Journal, JournalError, JournalOptions, LogReader, ReadError,
    SegmentHeader, Tail, decode_next, recover,
};

const SEGMENT_64K: u64 = 64 << 10;

/// A log in a directory of its own, as a killed process leaves it.
fn log(
    options: JournalOptions,
    count: u64,
    sync_every: Option<u64>,
) -> (tempfile::TempDir, PathBuf) {
    let parent = temp_dir();
    let dir = parent.path().join("log");
    let mut journal = Journal::create(&dir, options).unwrap();
    append(&mut journal, count, sync_every);
    drop(journal);
    (parent, dir)
}

/// A full segment of 64 KiB and its records, each with its place and the chain before it.
fn full_segment() -> (tempfile::TempDir, PathBuf, Vec<(usize, usize, Chain)>) {
    let options = JournalOptions { segment_size: SEGMENT_64K, ..tiny() };
    let (parent, dir) = log(options, 1_000, Some(100));
    // All of it is below the mark.
    drop(recover(&dir).unwrap());
    let bytes = std::fs::read(segment(&dir, 1)).unwrap();
    let header = layout::from_bytes(bytes.first_chunk().unwrap());
    let mut chain = Chain { last_seq: 0, last_crc: layout::crc(&header) };
    let (mut places, mut at, mut slots) = (Vec::new(), 4_096, Vec::new());
    while let Ok(decoded) = decode_next(&bytes[at..], chain, &mut slots) {
        if let Decoded::Mark(next, _) = decoded {
            places.push((at, 64, chain));
            (at, chain) = (at + 64, next);
        }
        for record in trade_engine::codec::records(&slots) {
            places.push((at, record.len() * 64, chain));
            (at, chain) = (at + record.len() * 64, Chain::behind(record.last().unwrap()));
        }
    }
    assert!(65_536 - at < 8 * 64, "the segment is full");
    (parent, dir, places)
}

/// Records are checked a block at a time: a bad one takes none of those before it away.
#[test]
fn what_stands_before_a_bad_record_is_whole() {
    let (_parent, dir, places) = full_segment();
    let mut bytes = std::fs::read(segment(&dir, 1)).unwrap();
    let (mut slots, chain) = (Vec::new(), places[0].2);
    for (at, ..) in places.iter().skip(1).take_while(|(at, ..)| *at < 4_096 + 50 * 64) {
        bytes[at + 8] ^= 1;
        assert_eq!(decode_next(&bytes[4_096..], chain, &mut slots), Ok(Decoded::Records));
        assert_eq!(4_096 + slots.len() * 64, *at);
        bytes[at + 8] ^= 1;
    }
}

/// All 524,288 of them: the header by its own check, each slot by the record that it lies in, the
/// tail by being zero. What stands before a record does not depend on it.
#[test]
fn every_flipped_bit_of_a_full_segment_is_found() {
    let (_parent, dir, places) = full_segment();
    let mut bytes = std::fs::read(segment(&dir, 1)).unwrap();
    let mut flips = 0;
    for bit in 0..64 * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        let words: Slot = layout::from_bytes(bytes.first_chunk().unwrap());
        assert!(SegmentHeader::decode(&words).is_err(), "bit {bit} of the header");
        bytes[bit / 8] ^= 1 << (bit % 8);
        flips += 1;
    }
    let mut slots = Vec::new();
    for (at, len, chain) in &places {
        for bit in at * 8..(at + len) * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_next(&bytes[*at..], *chain, &mut slots).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
            flips += 1;
        }
    }
    // The rest is zeros: of the header's page, and behind the last record.
    let (at, len, _) = places.last().unwrap();
    let zeros = [64..4_096, at + len..65_536];
    assert!(zeros.iter().all(|range| bytes[range.clone()].iter().all(|byte| *byte == 0)));
    let file = std::fs::OpenOptions::new().write(true).open(segment(&dir, 1)).unwrap();
    // One bit of each byte in turn, through the reader: it looks at bytes, not at bits.
    let step = usize::try_from(from_env("STEP", 61)).unwrap();
    for at in zeros.into_iter().flatten().step_by(step) {
        file.write_all_at(&[1 << (at % 8)], u64::try_from(at).unwrap()).unwrap();
        assert!(read_all(&dir).is_err(), "byte {at} is not zero");
        file.write_all_at(&[0], u64::try_from(at).unwrap()).unwrap();
        flips += 8;
    }
    assert!(flips > 450_000, "{flips}");
    read_all(&dir).unwrap();
}

/// The same through the reader as a whole: an error that names the record, from a sample of bits.
#[test]
fn a_flipped_bit_is_named_by_the_reader() {
    let (_parent, dir, places) = full_segment();
    let bytes = std::fs::read(segment(&dir, 1)).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(segment(&dir, 1)).unwrap();
    let seed = from_env("SEED", 1);
    println!("SEED={seed} cargo test --test damage a_flipped_bit_is_named");
    let mut random = Random(seed);
    for _ in 0..from_env("RUNS", 300) {
        let (at, len, chain) = places[usize::try_from(random.below(places.len() as u64)).unwrap()];
        let byte = at + usize::try_from(random.below(len as u64)).unwrap();
        let flipped = bytes[byte] ^ (1 << random.below(8));
        file.write_all_at(&[flipped], u64::try_from(byte).unwrap()).unwrap();
        let Err(error) = read_all(&dir) else { panic!("byte {byte} is not found") };
        let ReadError::Damaged { offset, seq, .. } = error else { panic!("{error}") };
        assert_eq!((offset, seq), (u64::try_from(at).unwrap(), chain.last_seq + 1), "{error}");
        file.write_all_at(&bytes[byte..=byte], u64::try_from(byte).unwrap()).unwrap();
    }
    read_all(&dir).unwrap();
}

/// What a disk does to blocks: two exchanged, one written over another (a misdirected write), one
/// that never arrived, one that an earlier log of the same place left.
fn displace(image: &Image, earlier: &Image, random: &mut Random) -> Image {
    let segments: Vec<usize> = image
        .iter()
        .enumerate()
        .filter(|(_, (path, _))| path.extension().unwrap_or_default() == "seg")
        .map(|(at, _)| at)
        .collect();
    let size = [64, 512, 4_096][usize::try_from(random.below(3)).unwrap()];
    let blocks = 8_192 / size;
    let mut pick = || {
        let file = segments[usize::try_from(random.below(segments.len() as u64)).unwrap()];
        let block = usize::try_from(random.below(blocks as u64)).unwrap();
        (file, block * size..(block + 1) * size)
    };
    let ((one, from), (other, to)) = (pick(), pick());
    let mut displaced = image.clone();
    let [source, target] = [&image[one].1[from.clone()], &image[other].1[to.clone()]];
    match random.below(4) {
        0 => {
            displaced[one].1[from].copy_from_slice(target);
            displaced[other].1[to].copy_from_slice(source);
        }
        1 => displaced[other].1[to].copy_from_slice(source),
        2 => displaced[other].1[to].fill(0),
        _ => {
            let name = image[other].0.file_name();
            let stale = earlier.iter().find(|(path, _)| path.file_name() == name);
            if let Some((_, bytes)) = stale {
                displaced[other].1[to.clone()].copy_from_slice(&bytes[to]);
            }
        }
    }
    displaced
}

#[test]
fn displaced_blocks_below_the_mark_are_found_and_nothing_is_changed() {
    let seed = from_env("SEED", 1);
    let (_parent, dir) = log(tiny(), 220, Some(15));
    let (_other, earlier) = log(JournalOptions { decide_version: 2, ..tiny() }, 220, Some(11));
    // All of it is below the mark.
    drop(recover(&dir).unwrap());
    let (image, earlier) = (image_of(&dir), image_of(&earlier));
    for run in seed..seed + from_env("RUNS", 1_000) {
        let displaced = displace(&image, &earlier, &mut Random(run));
        if displaced == image {
            continue;
        }
        restore(&dir, &displaced);
        let context = format!("SEED={run} RUNS=1 cargo test --test damage displaced_blocks_below");
        assert!(read_checked(&dir, &context).is_err(), "{context}: not found");
        assert!(recover(&dir).is_err(), "{context}: taken up");
        assert_eq!(image_of(&dir), displaced, "{context}: changed");
    }
}

#[test]
fn displaced_blocks_above_the_mark_are_cut_and_kept_aside() {
    let seed = from_env("SEED", 1);
    let (_parent, dir) = log(tiny(), 220, None);
    let (_other, earlier) = log(JournalOptions { decide_version: 2, ..tiny() }, 220, Some(11));
    let (image, earlier) = (image_of(&dir), image_of(&earlier));
    let mut cuts = 0;
    for run in seed..seed + from_env("RUNS", 300) {
        let displaced = displace(&image, &earlier, &mut Random(run));
        let context = format!("SEED={run} RUNS=1 cargo test --test damage displaced_blocks_above");
        restore(&dir, &displaced);
        // A mark that an earlier log left, or the first header, may make it damage after all.
        match recover(&dir) {
            Err(_) => assert_eq!(image_of(&dir), displaced, "{context}: refused and changed"),
            Ok(recovery) => {
                cuts += u32::from(recovery.cut.is_some());
                drop(recovery);
                let kept = image_of(&dir);
                for (path, bytes) in &displaced {
                    assert_kept(path, bytes, &kept, &context);
                }
                recover_twice(&dir).unwrap_or_else(|error| panic!("{context}: {error}"));
            }
        }
    }
    assert!(cuts > 50 || from_env("RUNS", 300) < 300, "{cuts} cuts");
}

/// Every byte of a segment is still somewhere: in the log, or in what was cut.
fn assert_kept(path: &Path, bytes: &[u8], kept: &Image, context: &str) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let Some(id) = layout::segment_id_of(name) else { return };
    let now = kept.iter().find(|(other, _)| other == path);
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    for offset in [0].into_iter().chain((4_096..8_192).step_by(64)) {
        let cut = kept.iter().find(|(other, _)| {
            let other = other.file_name().unwrap().to_str().unwrap();
            other == layout::cut_name(id, offset as u64, 0)
        });
        if let Some((_, cut)) = cut {
            assert_eq!(
                cut[..end.max(offset) - offset],
                bytes[offset..end.max(offset)],
                "{context}"
            );
            let front = now.map_or(&[][..], |(_, now)| &now[..offset]);
            assert_eq!(front, &bytes[..front.len()], "{context}");
            return;
        }
    }
    assert_eq!(now.map(|(_, now)| now.as_slice()), Some(bytes), "{context}: {name} is not whole");
}

/// How the directory of one cell of the table is made.
struct Cell {
    mark: MarkSource,
    place: Place,
    rest: Rest,
}

/// A log in which the first bad place is that of the cell. `None`: there can be none.
fn made(cell: &Cell, dir: &Path) -> Option<()> {
    let Cell { mark, place, rest } = cell;
    if *mark == MarkSource::Unknown && matches!(place, Place::BelowMark | Place::InSealed) {
        return None;
    }
    let mut journal = Journal::create(dir, tiny()).unwrap();
    if matches!(mark, MarkSource::SideFile | MarkSource::LogMark) {
        append(&mut journal, 10, None);
        journal.sync().unwrap();
        append(&mut journal, 10, None);
        journal.sync().unwrap();
    }
    if *mark == MarkSource::Seal || *place == Place::InSealed {
        append(&mut journal, 130, None);
        journal.seal().unwrap();
    }
    append(&mut journal, 10, None);
    drop(journal);
    if *mark != MarkSource::SideFile {
        std::fs::remove_file(dir.join(layout::SYNCED_NAME)).unwrap();
    }
    let ids = (1..).take_while(|id| segment(dir, *id).exists()).last().unwrap();
    if *place == Place::InSealed {
        // Whatever follows the sealed segments was never begun, as far as anybody can tell.
        for id in (1..=ids).filter(|id| !dir.join(layout::seal_name(*id)).exists()) {
            std::fs::remove_file(segment(dir, id)).unwrap();
        }
    }
    let last = (1..).take_while(|id| segment(dir, *id).exists()).last().unwrap();
    let bad = match place {
        Place::FirstHeader => (1, 0),
        Place::BelowMark => (1, 4_096),
        Place::InSealed | Place::AtOrAboveMark => {
            let bytes = std::fs::read(segment(dir, last)).unwrap();
            (last, bytes.chunks(64).rposition(|slot| slot != [0; 64]).unwrap() * 64)
        }
    };
    let path = segment(dir, bad.0);
    let mut bytes = std::fs::read(&path).unwrap();
    match (place, rest) {
        // The log's own end, zeros behind it.
        (Place::InSealed | Place::AtOrAboveMark, Rest::Zeros) => {}
        (Place::InSealed, Rest::Bytes) => {
            let last = bytes.len() - 1;
            bytes[last] = 1;
        }
        (_, Rest::Bytes) => bytes[bad.1 + 20] ^= 1,
        (_, Rest::Zeros) => bytes[bad.1..].fill(0),
    }
    write_private(&path, &bytes);
    if *rest == Rest::Zeros && matches!(place, Place::FirstHeader | Place::BelowMark) {
        for id in 2..=last {
            std::fs::remove_file(segment(dir, id)).unwrap();
        }
    }
    Some(())
}

/// Every cell of the recovery table, each with a directory of its own.
#[test]
fn the_recovery_table_cell_by_cell() {
    let mut seen = 0;
    for mark in [MarkSource::SideFile, MarkSource::LogMark, MarkSource::Seal, MarkSource::Unknown] {
        for place in [Place::FirstHeader, Place::BelowMark, Place::InSealed, Place::AtOrAboveMark] {
            for rest in [Rest::Zeros, Rest::Bytes] {
                let parent = temp_dir();
                let dir = parent.path().join("log");
                let cell = Cell { mark, place, rest };
                // A mark slot covers what is before it, and lies behind: nothing can be zeros from
                // below it on. So with a seal: the seal is left, the segment is not.
                let gone = rest == Rest::Zeros && place == Place::BelowMark;
                if gone && mark == MarkSource::LogMark || made(&cell, &dir).is_none() {
                    continue;
                }
                let context = format!("{mark:?} {place:?} {rest:?}");
                let before = image_of(&dir);
                let recovered = recover(&dir);
                match verdict(mark, place, rest) {
                    Verdict::Refuse => {
                        let error = recovered.expect_err(&context);
                        assert!(matches!(error, JournalError::Read(_)), "{context}: {error}");
                        assert_eq!(image_of(&dir), before, "{context}: changed");
                    }
                    Verdict::End => {
                        let recovery = recovered.unwrap_or_else(|e| panic!("{context}: {e}"));
                        assert_eq!(
                            (recovery.mark_source, &recovery.cut),
                            (mark, &None),
                            "{context}"
                        );
                    }
                    Verdict::Cut => {
                        let recovery = recovered.unwrap_or_else(|e| panic!("{context}: {e}"));
                        assert_eq!(recovery.mark_source, mark, "{context}");
                        let cut = recovery.cut.as_ref().expect(&context);
                        let saved = std::fs::read(&cut.files[0]).unwrap();
                        let path = segment(&dir, cut.at.segment);
                        let (_, whole) = before.iter().find(|(other, _)| *other == path).unwrap();
                        let at = usize::try_from(cut.at.offset).unwrap();
                        assert_eq!(saved, whole[at..][..saved.len()], "{context}");
                        drop(recovery);
                        recover_twice(&dir).unwrap();
                    }
                }
                seen += 1;
            }
        }
    }
    // 32 cells; four that cannot be, and one more for the reason given above.
    assert_eq!(seen, 27);
}

/// A reader that is not the recovery says the same, and opens nothing for writing.
#[test]
fn a_reader_never_writes() {
    let (_parent, dir) = log(tiny(), 150, Some(20));
    for (path, _) in image_of(&dir) {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o400);
        std::fs::set_permissions(path, mode).unwrap();
    }
    let before = image_of(&dir);
    let (_, end) = read_all(&dir).unwrap();
    assert_eq!(end.tail, Tail::Clean);
    let mut bytes = std::fs::read(segment(&dir, 1)).unwrap();
    bytes[5_000] ^= 1;
    write_private(&segment(&dir, 1), &bytes);
    let damaged = image_of(&dir);
    let error = LogReader::open(&dir).unwrap().end().unwrap_err();
    assert!(matches!(error, ReadError::Damaged { fault: Fault::Crc { .. }, .. }), "{error}");
    assert_eq!(image_of(&dir), damaged);
    assert_ne!(before, damaged);
}
