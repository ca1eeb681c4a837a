//! Seals and salvage: a changed log is found whoever made its checksums fit, and what is good of a
//! damaged one is kept.

#[path = "common/log.rs"]
mod log;

use log::{
    append, image_of, read_all, record, records, recover_twice, segment, temp_dir, tiny,
    write_private,
};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use trade_engine::journal::layout::{self, Slot, seal_name};
use trade_engine::journal::{
    Journal, JournalError, JournalOptions, ReadError, Seal, SegmentHeader, check_seals, recover,
    salvage,
};

/// A closed log of several segments, all of them sealed.
fn closed(count: u64) -> (tempfile::TempDir, PathBuf) {
    let parent = temp_dir();
    let dir = parent.path().join("log");
    let mut journal = Journal::create(&dir, tiny()).unwrap();
    append(&mut journal, count, Some(20));
    journal.close().unwrap();
    (parent, dir)
}

fn seal(dir: &Path, id: u64) -> Seal {
    Seal::decode(&std::fs::read(dir.join(seal_name(id))).unwrap()).unwrap()
}

fn segments(dir: &Path) -> u64 {
    (1..).find(|id| !segment(dir, *id).exists()).unwrap() - 1
}

#[test]
fn every_segment_of_a_closed_log_is_sealed_and_the_last_seal_is_the_root() {
    let (_parent, dir) = closed(250);
    let last = segments(&dir);
    assert!(last >= 4);
    let seals = check_seals(&dir, Some(seal(&dir, 2))).unwrap();
    assert_eq!((seals.sealed, seals.root), (last, Some(seal(&dir, last))));
    assert_eq!(seals.found, Some(2), "a root of an earlier day is found, too");
    assert_eq!(check_seals(&dir, Some(Seal([7; 32]))).unwrap().found, None);
}

/// What `layout.rs` says that anybody can type.
#[test]
fn a_seal_is_what_sha256sum_says() {
    let (_parent, dir) = closed(150);
    let said = |files: &[PathBuf]| {
        let bytes: Vec<u8> = files.iter().flat_map(|path| std::fs::read(path).unwrap()).collect();
        write_private(&dir.join("both"), &bytes);
        let path = dir.join("both");
        match Command::new("sha256sum").arg(&path).stderr(Stdio::null()).output() {
            Ok(ran) => String::from_utf8(ran.stdout).unwrap().split(' ').next().unwrap().to_owned(),
            // A machine without it has nothing to compare with.
            Err(_) => seal(&dir, u64::try_from(files.len()).unwrap()).to_string(),
        }
    };
    assert_eq!(said(&[segment(&dir, 1)]), seal(&dir, 1).to_string());
    assert_eq!(said(&[dir.join(seal_name(1)), segment(&dir, 2)]), seal(&dir, 2).to_string());
}

/// The published digest of "abc", through the text of a seal.
#[test]
fn seals_are_text() {
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let seal: Seal = abc.parse().unwrap();
    assert_eq!((seal.0[0], seal.0[31]), (0xba, 0xad));
    assert_eq!(seal.encode(), *format!("{abc}\n").as_bytes());
    assert_eq!(Seal::decode(&seal.encode()), Some(seal));
    for half in [&b""[..], &[0; 65], &seal.encode()[..64], abc.to_uppercase().as_bytes()] {
        assert_eq!(Seal::decode(half), None);
    }
    assert!("12".parse::<Seal>().is_err());
    assert_eq!(layout::seal_id_of("00000012.seal"), Some(12));
    assert_eq!(layout::seal_id_of("12.seal"), None);
}

/// Every digest runs ahead of a roll or behind it, in steps, beside the appends: same seals.
#[test]
fn seals_do_not_depend_on_when_they_are_made() {
    let (_parent, dir) = closed(400);
    for every in [1, 7, 50] {
        let parent = temp_dir();
        let stepped = parent.path().join("log");
        let mut journal = Journal::create(&stepped, tiny()).unwrap();
        let mut written = 0;
        while journal.written_seq() < 400 {
            append(&mut journal, 1, None);
            written += 1;
            if written % 20 == 0 {
                journal.sync().unwrap();
            }
            if written % every == 0 {
                journal.maintain().unwrap();
            }
        }
        if every == 1 {
            assert!(check_seals(&stepped, None).unwrap().sealed > 1, "sealed on the way");
        }
        journal.close().unwrap();
        for id in 1..=segments(&dir) {
            assert_eq!(seal(&stepped, id), seal(&dir, id), "every {every}, segment {id}");
        }
    }
}

/// Changes one byte of a record and makes every checksum from there to the end fit again.
fn forge(dir: &Path, id: u64, index: usize) {
    let mut prev_crc = 0;
    for id in id..=segments(dir) {
        let path = segment(dir, id);
        let mut bytes = std::fs::read(&path).unwrap();
        let (head, slots) = bytes.split_at_mut(4_096);
        let (head, _) = head.split_first_chunk_mut::<64>().unwrap();
        let (mut header, crc) = SegmentHeader::decode(&layout::from_bytes(head)).unwrap();
        if prev_crc != 0 {
            header.prev_crc = prev_crc;
            *head = layout::to_bytes(&header.encode());
            prev_crc = layout::crc(&header.encode());
        } else {
            prev_crc = crc;
        }
        for (at, bytes) in slots.chunks_exact_mut(64).enumerate() {
            let bytes: &mut [u8; 64] = bytes.try_into().unwrap();
            if *bytes == [0; 64] {
                break;
            }
            if at == index && header.prev_crc == 0 {
                bytes[20] ^= 1;
            }
            let mut linked = *bytes;
            linked[60..].copy_from_slice(&prev_crc.to_le_bytes());
            prev_crc = crc32c(&linked);
            bytes[60..].copy_from_slice(&prev_crc.to_le_bytes());
        }
        write_private(&path, &bytes);
    }
}

/// Bit by bit: the forger has no need of ours.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

/// Sealed again, from the first segment on, as the forger would.
fn seal_again(dir: &Path) {
    for id in 1..=segments(dir) {
        std::fs::remove_file(dir.join(seal_name(id))).unwrap();
    }
    drop(recover(dir).unwrap());
}

#[test]
fn a_forger_who_makes_every_checksum_fit_is_found_by_the_seal_and_by_the_root() {
    let (_parent, dir) = closed(250);
    let last = segments(&dir);
    let root = check_seals(&dir, None).unwrap().root.unwrap();
    forge(&dir, 1, 5);
    // The checksums say nothing: another record is read.
    let (slots, _) = read_all(&dir).unwrap();
    assert_ne!(slots, records(1, slots.last().unwrap()[0]), "it was not forged");
    let error = check_seals(&dir, None).unwrap_err();
    assert!(matches!(&error, ReadError::Seal { path, .. } if *path == segment(&dir, 1)), "{error}");
    assert!(error.to_string().contains("00000001.seg: not what was sealed"), "{error}");
    // The last segment took up another checksum, so that recovery sees it, too.
    let before = image_of(&dir);
    let error = recover(&dir).unwrap_err();
    assert!(matches!(error, JournalError::Read(ReadError::Seal { .. })), "{error}");
    assert_eq!(before, image_of(&dir), "a seal is never silently replaced");

    seal_again(&dir);
    let seals = check_seals(&dir, Some(root)).unwrap();
    assert_eq!(seals.sealed, last);
    assert_eq!(seals.found, None, "what was kept elsewhere gives the forger away");
}

/// A byte of a seal, and a seal that is gone from the middle.
#[test]
fn a_changed_and_a_removed_seal_are_named() {
    let (_parent, dir) = closed(250);
    let last = segments(&dir);
    for id in 1..=last {
        let whole = std::fs::read(dir.join(seal_name(id))).unwrap();
        for at in 0..64 {
            let mut bytes = whole.clone();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            write_private(&dir.join(seal_name(id)), &bytes);
            let error = check_seals(&dir, None).unwrap_err();
            let named =
                matches!(&error, ReadError::Seal { path, .. } if *path == segment(&dir, id));
            assert!(named, "{error}");
        }
        std::fs::remove_file(dir.join(seal_name(id))).unwrap();
        match check_seals(&dir, None) {
            Ok(seals) => assert!(id == last && seals.sealed == last - 1),
            Err(error) => assert!(matches!(error, ReadError::NoSeal { .. }) && id < last),
        }
        write_private(&dir.join(seal_name(id)), &whole);
    }
    check_seals(&dir, None).unwrap();
}

/// What a crash leaves: no seal, half of one, or zeros in its place. Made again, the same.
#[test]
fn missing_and_half_written_seals_are_made_again() {
    let (_parent, dir) = closed(250);
    let image = image_of(&dir);
    let last = segments(&dir);
    for from in 1..=last {
        for half in [&b""[..], b"0123", &[0; 65], &[0; 512]] {
            for id in from..=last {
                std::fs::remove_file(dir.join(seal_name(id))).unwrap();
            }
            write_private(&dir.join(seal_name(from)), half);
            let root = recover(&dir).unwrap().root;
            assert_eq!(root, seal(&dir, last));
            let found: Vec<_> = image_of(&dir).into_iter().filter(is_log_file).collect();
            let expected: Vec<_> = image.clone().into_iter().filter(is_log_file).collect();
            assert_eq!(found, expected);
        }
    }
}

fn is_log_file((path, _): &(PathBuf, Vec<u8>)) -> bool {
    let extension = path.extension().unwrap_or_default();
    extension == "seg" || extension == "seal"
}

/// What is sealed was on the disk, whole, even where the mark is lost: nothing of it is ever cut.
#[test]
fn a_sealed_segment_is_never_cut() {
    let (_parent, dir) = closed(150);
    std::fs::remove_file(dir.join(layout::SYNCED_NAME)).unwrap();
    let last = segments(&dir);
    for (id, at) in [(1, 5_000), (last, 4_200), (last, 8_191)] {
        let mut bytes = std::fs::read(segment(&dir, id)).unwrap();
        bytes[at] ^= 1;
        write_private(&segment(&dir, id), &bytes);
        let before = image_of(&dir);
        let error = recover(&dir).unwrap_err();
        assert!(matches!(error, JournalError::Read(ReadError::Damaged { .. })), "{error}");
        assert_eq!(before, image_of(&dir));
        bytes[at] ^= 1;
        write_private(&segment(&dir, id), &bytes);
    }
    // Zeros from a record on look like an earlier end: the seal knows better.
    let whole = std::fs::read(segment(&dir, last)).unwrap();
    let mut bytes = whole.clone();
    bytes[4_096 + 3 * 64..].fill(0);
    write_private(&segment(&dir, last), &bytes);
    let error = recover(&dir).unwrap_err();
    assert!(matches!(error, JournalError::Read(_)), "{error}");
    write_private(&segment(&dir, last), &whole);
    recover_twice(&dir).unwrap();
}

/// The good prefix, as a log that can be taken up; the damaged one stays as it was.
#[test]
fn salvage_keeps_the_good_prefix_and_changes_nothing() {
    for (id, at) in [(1, 4_096 + 10 * 64), (2, 4_096), (2, 7), (3, 4_096 + 30 * 64 + 60)] {
        let (parent, dir) = closed(250);
        let path = segment(&dir, id);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[at] ^= 0x40;
        write_private(&path, &bytes);
        let before = image_of(&dir);
        assert!(recover(&dir).is_err());
        let target = parent.path().join("new");
        let salvaged = salvage(&dir, &target).unwrap();
        assert_eq!(before, image_of(&dir), "the damaged log is only read");
        assert!(salvaged.damage.to_string().contains("damaged at byte"), "{}", salvaged.damage);

        let (slots, _) = read_all(&target).unwrap();
        assert_eq!(slots, records(1, salvaged.last_seq), "a prefix, nothing else");
        assert_eq!(layout::seq(slots.last().unwrap()), salvaged.last_seq);
        // A segment without a good record is not begun.
        let reached = if at <= 4_096 { id - 1 } else { id };
        assert_eq!(segments(&target), reached);
        if at >= 4_096 {
            // All that is good: the damaged byte lies in the very next record.
            let ReadError::Damaged { offset, seq, .. } = salvaged.damage else { panic!() };
            let len = u64::try_from(record(seq).len()).unwrap() * 64;
            assert_eq!(seq, salvaged.last_seq + 1);
            assert!((offset..offset + len).contains(&u64::try_from(at).unwrap()));
        }
        assert_eq!(check_seals(&target, None).unwrap().sealed, reached);
        let mut journal = Journal::resume(recover(&target).unwrap(), tiny()).unwrap();
        append(&mut journal, 20, None);
        journal.close().unwrap();
        assert!(!parent.path().join("new.part").exists());
    }
}

/// What a seal gives away is not good either, though it reads.
#[test]
fn salvage_keeps_nothing_of_a_forged_segment() {
    let (parent, dir) = closed(250);
    let mut bytes = std::fs::read(dir.join(seal_name(3))).unwrap();
    bytes[0] = if bytes[0] == b'0' { b'1' } else { b'0' };
    write_private(&dir.join(seal_name(3)), &bytes);
    let salvaged = salvage(&dir, &parent.path().join("new")).unwrap();
    assert!(matches!(salvaged.damage, ReadError::Seal { .. }), "{}", salvaged.damage);
    assert_eq!(segments(&parent.path().join("new")), 2);
    // Nor of what lies between it and damage that the checksums find.
    let mut bytes = std::fs::read(segment(&dir, 4)).unwrap();
    bytes[5_000] ^= 1;
    write_private(&segment(&dir, 4), &bytes);
    let salvaged = salvage(&dir, &parent.path().join("again")).unwrap();
    assert!(matches!(salvaged.damage, ReadError::Seal { .. }), "{}", salvaged.damage);
    assert_eq!(segments(&parent.path().join("again")), 2);
}

/// No side file, and a record that is damaged: an end like any other, but for a mark slot behind it.
#[test]
fn salvage_finds_what_only_a_mark_behind_it_gives_away() {
    let parent = temp_dir();
    let dir = parent.path().join("log");
    let mut journal = Journal::create(&dir, tiny()).unwrap();
    append(&mut journal, 50, Some(10));
    drop(journal);
    std::fs::remove_file(dir.join(layout::SYNCED_NAME)).unwrap();
    let mut bytes = std::fs::read(segment(&dir, 1)).unwrap();
    bytes[4_096 + 3 * 64 + 20] ^= 1;
    write_private(&segment(&dir, 1), &bytes);
    let target = parent.path().join("new");
    let salvaged = salvage(&dir, &target).unwrap();
    assert!(matches!(salvaged.damage, ReadError::Damaged { .. }), "{}", salvaged.damage);
    assert!((1..=3).contains(&salvaged.last_seq));
    assert_eq!(read_all(&target).unwrap().0, records(1, salvaged.last_seq));
}

#[test]
fn salvage_refuses_what_is_there_and_what_is_whole() {
    let (parent, dir) = closed(100);
    let target = parent.path().join("new");
    let error = salvage(&dir, &target).unwrap_err();
    assert!(matches!(error, JournalError::NotDamaged { .. }), "{error}");
    let mut bytes = std::fs::read(segment(&dir, 1)).unwrap();
    bytes[5_000] ^= 1;
    write_private(&segment(&dir, 1), &bytes);
    for taken in [&target, &parent.path().join("new.part"), &dir] {
        let is_made = !taken.exists();
        if is_made {
            std::fs::create_dir(taken).unwrap();
        }
        let goal = if *taken == dir { &dir } else { &target };
        let error = salvage(&dir, goal).unwrap_err();
        assert!(matches!(error, JournalError::Exists { .. }), "{error}");
        assert!(!is_made || std::fs::read_dir(taken).unwrap().next().is_none());
        if is_made {
            std::fs::remove_dir(taken).unwrap();
        }
    }
    let error = salvage(&dir, &dir.join("new")).unwrap_err();
    assert!(error.to_string().contains("in the log that is salvaged"), "{error}");
    assert!(!dir.join("new").exists() && !dir.join("new.part").exists());
    // Nothing in front of the damage: nothing to keep.
    bytes[0] ^= 1;
    write_private(&segment(&dir, 1), &bytes);
    let error = salvage(&dir, &target).unwrap_err();
    assert!(matches!(error, JournalError::Read(ReadError::Header { .. })), "{error}");
    assert!(!target.exists());
}

/// Two programs wrote the log: each record keeps the version of the decisions that it names.
#[test]
fn salvage_keeps_the_versions_of_decisions() {
    let parent = temp_dir();
    let dir = parent.path().join("log");
    let mut journal = Journal::create(&dir, tiny()).unwrap();
    append(&mut journal, 30, None);
    journal.close().unwrap();
    let options = JournalOptions { decide_version: 4, ..tiny() };
    let mut journal = Journal::resume(recover(&dir).unwrap(), options).unwrap();
    append(&mut journal, 30, None);
    journal.close().unwrap();
    let mut bytes = std::fs::read(segment(&dir, 2)).unwrap();
    let last = bytes.rchunks(64).position(|slot| slot != [0; 64]).unwrap();
    let len = bytes.len();
    bytes[len - 64 * (last + 2)] ^= 1;
    write_private(&segment(&dir, 2), &bytes);
    let target = parent.path().join("new");
    let salvaged = salvage(&dir, &target).unwrap();
    assert!(salvaged.last_seq > 50);
    let versions = |dir: &Path| -> Vec<(u64, u32)> {
        let mut reader = trade_engine::journal::LogReader::open(dir).unwrap();
        let mut found = Vec::new();
        while let Ok(Some(record)) = reader.next_record() {
            let seq = layout::seq(&record[0]);
            found.push((seq, reader.decide_version()));
        }
        found
    };
    let (old, new) = (versions(&dir), versions(&target));
    assert_eq!(old, new);
    assert!(new.iter().any(|(_, version)| *version == 3) && new.last().unwrap().1 == 4);
    let _: Vec<Slot> = read_all(&target).unwrap().0;
}
