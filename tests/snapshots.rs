//! Snapshots: a snapshot and the tail give what the whole log gives, wherever it was taken; one
//! that is damaged, cut, foreign or stale is never believed; and no bytes make reading one panic.
//!
//! `SEED=7 RUNS=1 cargo test --test snapshots` repeats one run.

#[path = "common/log.rs"]
mod log;
#[path = "common/random.rs"]
mod random;
#[path = "common/trading.rs"]
mod trading;

use random::{Random, runs};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use trade_engine::image::Bytes;
use trade_engine::journal::layout::segment_name;
use trade_engine::journal::recover;
use trade_engine::replay::{Redecide, Replay};
use trade_engine::snapshot::{self, Fault, UpTo};
use trade_engine::units::Ts;
use trading::{Log, image, read, snapshot_at};

const HEAD_SIZE: usize = 72;

fn log(seed: u64, inputs: usize) -> Log {
    trading::log(seed, inputs, 64 << 10)
}

fn fault(dir: &Path, path: &Path) -> Option<Fault> {
    snapshot::read(dir, path, UpTo::End).err().map(|error| error.fault)
}

#[test]
fn a_snapshot_and_the_tail_are_the_whole_log_for_random_cuts() {
    for seed in runs(4) {
        println!("SEED={seed} RUNS=1 cargo test --test snapshots");
        let log = log(seed, 500);
        let (_, whole) = read(&log.dir, u64::MAX);
        let state = whole.state().expect("it has a head");
        let mut random = Random::new(seed ^ 3);
        for _ in 0..30 {
            let path = snapshot_at(&log.dir, random.below(state.seq()) + 1);
            let bytes = fs::read(&path).expect("it was written");
            let found = snapshot::read(&log.dir, &path, UpTo::End);
            let found = found.unwrap_or_else(|error| panic!("{error}")).expect("any will do");
            assert_eq!(found.beside, b"beside");
            let seq = found.replay.state().expect("one").seq();
            assert_eq!(found.reader.group_end_seq(), seq, "it is behind a whole group");
            assert_eq!(path, snapshot_at(&log.dir, seq));
            assert!(bytes == fs::read(&path).expect("again"), "the same state, other bytes");

            let (mut reader, mut replay) = (found.reader, found.replay);
            let again = Replay::read_image(&mut Bytes::new(&image(&replay))).expect("its own");
            let mut redecide = Redecide::resume(again.into_state().expect("one"));
            while let Some(slots) = reader.next_record().expect("a whole log") {
                redecide.next(slots).unwrap_or_else(|error| panic!("{error}"));
                replay.next(slots).unwrap_or_else(|error| panic!("{error}"));
            }
            assert_eq!(redecide.missing_slots(), 0);
            assert_eq!(redecide.state().expect("one").hash(), state.hash());
            assert_eq!(replay.state().expect("one").hash(), state.hash());
            assert!(image(&replay) == image(&whole), "the hash is the same, the state is not");
            assert_eq!(replay.config(), whole.config());
            assert_eq!(replay.build(), whole.build());
        }
    }
}

/// By sequence number and by time: the newest that does not lie behind.
#[test]
fn the_one_at_or_before_a_place_is_found() {
    let log = log(1, 300);
    let paths = [400, 800].map(|seq| snapshot_at(&log.dir, seq));
    let [first, second] = paths.each_ref().map(|path| {
        let found = snapshot::read(&log.dir, path, UpTo::End).expect("sound").expect("any");
        let state = found.replay.state().expect("one");
        (state.seq(), state.ts())
    });
    let newest = |up_to| {
        let listed = snapshot::list(&log.dir, up_to).expect("a directory");
        let read = |path: &PathBuf| snapshot::read(&log.dir, path, up_to).expect("sound");
        let found = listed.iter().find_map(read)?;
        Some(found.replay.state().expect("one").seq())
    };
    assert_eq!(newest(UpTo::End), Some(second.0));
    assert_eq!(newest(UpTo::Seq(second.0)), Some(second.0));
    assert_eq!(newest(UpTo::Seq(second.0 - 1)), Some(first.0));
    assert_eq!(newest(UpTo::Seq(first.0 - 1)), None);
    assert_eq!(newest(UpTo::Time(second.1)), Some(second.0));
    assert_eq!(newest(UpTo::Time(Ts(second.1.0 - 1))), Some(first.0));
    assert_eq!(newest(UpTo::Time(Ts(first.1.0 - 1))), None);
    // By what it says, not by its name.
    let renamed = log.dir.join(snapshot::name(second.0 - 2));
    fs::rename(&paths[1], &renamed).expect("a disk");
    assert_eq!(newest(UpTo::End), Some(second.0));
    assert_eq!(newest(UpTo::Seq(second.0 - 1)), Some(first.0));
}

#[test]
fn damage_to_any_bit_and_any_cut_is_found() {
    let log = log(2, 60);
    let path = snapshot_at(&log.dir, 200);
    let whole = fs::read(&path).expect("it was written");
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            fs::write(&path, &bytes).expect("a disk");
            assert!(fault(&log.dir, &path).is_some(), "bit {bit} of byte {at} is missed by nobody");
        }
        fs::write(&path, &whole[..at]).expect("a disk");
        assert!(fault(&log.dir, &path).is_some(), "all from byte {at} on is missed by nobody");
    }
    fs::write(&path, [whole.as_slice(), &[0]].concat()).expect("a disk");
    assert!(matches!(fault(&log.dir, &path), Some(Fault::Crc { .. })));
    fs::write(&path, &whole).expect("a disk");
    assert!(fault(&log.dir, &path).is_none());
}

/// Whoever forges the checksum has the image and the hash of its state against him. No bytes stop
/// the program, and what is read as a state is the image of that state and no other; nor does a
/// tail that does not follow from it stop the program.
#[test]
fn a_forged_image_is_refused_or_that_of_another_state() {
    let log = log(3, 120);
    let path = snapshot_at(&log.dir, 300);
    let whole = fs::read(&path).expect("it was written");
    let size = whole.len() - b"beside".len();
    let mut reader =
        snapshot::read(&log.dir, &path, UpTo::End).expect("sound").expect("any").reader;
    let mut tail = Vec::new();
    while let Some(slots) = reader.next_record().expect("a whole log") {
        tail.push(slots.to_vec());
    }
    let mut random = Random::new(3);
    let (mut refused, mut read) = (0, 0);
    for at in HEAD_SIZE..size {
        let others = [0, 1, 2, 0x7e, 0x7f, 0x80, 0xff, whole[at] ^ 0x10];
        for byte in [whole[at] ^ 1, random.pick(&others), random.pick(&others)] {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            if bytes == whole {
                continue;
            }
            let mut from = Bytes::new(&bytes[HEAD_SIZE..size]);
            let Ok(mut replay) = Replay::read_image(&mut from) else {
                refused += 1;
                continue;
            };
            read += 1;
            let taken = size - HEAD_SIZE - from.rest();
            let again = image(&replay);
            assert!(again == bytes[HEAD_SIZE..][..taken], "{byte:#x} at {at}: a second form");
            let _ = replay.state().expect("one").hash();
            let _ = tail.iter().try_for_each(|slots| replay.next(slots).map(|_| ()));
        }
    }
    println!("{refused} refused, {read} read");
    assert!(refused > 500 && read > 500, "{refused} refused, {read} read");
}

/// The hash speaks against a state that its writer did not have; so do the time that it is chosen
/// by, and where it ends.
#[test]
fn a_state_that_is_not_what_the_head_says_is_not_believed() {
    let log = log(3, 120);
    let path = snapshot_at(&log.dir, 300);
    let whole = fs::read(&path).expect("it was written");
    for at in [24, 56, 64] {
        let mut bytes = whole.clone();
        bytes[at] = bytes[at].wrapping_add(1);
        bytes[52..56].fill(0);
        let crc = crc32c::crc32c(&bytes);
        bytes[52..56].copy_from_slice(&crc.to_le_bytes());
        fs::write(&path, &bytes).expect("a disk");
        match fault(&log.dir, &path) {
            Some(Fault::Image(_)) => assert_ne!(at, 56),
            Some(Fault::Hash { .. }) => assert_eq!(at, 56),
            other => panic!("byte {at}: {other:?}"),
        }
    }
}

#[test]
fn one_of_another_log_or_of_what_was_cut_off_is_not_believed() {
    let (one, other) = (log(4, 200), log(5, 200));
    let path = snapshot_at(&one.dir, 300);
    let foreign = other.dir.join(path.file_name().expect("it has a name"));
    fs::copy(&path, &foreign).expect("a disk");
    assert!(matches!(fault(&other.dir, &foreign), Some(Fault::Foreign)));

    // The crash comes before the snapshot's place was on the disk.
    let segment = one.dir.join(segment_name(1));
    let mut bytes = fs::read(&segment).expect("the first segment");
    let slots = bytes.len() / 64 - 64;
    assert!(slots > 300);
    bytes[(64 + 250) * 64..].fill(0);
    fs::write(&segment, &bytes).expect("a disk");
    for name in ["synced", "00000002.seg", "00000003.seg"] {
        let _ = fs::remove_file(one.dir.join(name));
    }
    drop(recover(&one.dir).expect("a log that ends early"));
    assert!(matches!(fault(&one.dir, &path), Some(Fault::Foreign)));
}

/// Under another name until it is whole, in place of whatever a killed program left there, and by
/// one program at a time.
#[test]
fn one_is_whole_before_it_has_its_name() {
    let log = log(6, 60);
    let path = snapshot_at(&log.dir, 200);
    let whole = fs::read(&path).expect("it was written");
    let meta = || fs::metadata(&path).expect("it is there");
    assert_eq!(meta().mode() & 0o777, 0o600);
    let before = log.dir.join("before");
    fs::hard_link(&path, &before).expect("a disk");
    let temporary = log.dir.join(snapshot::TEMPORARY_NAME);
    fs::write(&temporary, vec![0xff; 2 * whole.len()]).expect("a disk");
    assert_eq!(snapshot_at(&log.dir, 200), path);
    assert!(fs::read(&path).expect("again") == whole && !temporary.exists());
    assert_ne!(meta().ino(), fs::metadata(&before).expect("a link").ino(), "written in its place");

    let other = fs::File::create(&temporary).expect("a disk");
    other.lock().expect("nobody else has it");
    let (reader, replay) = read(&log.dir, 200);
    let error = snapshot::write(&log.dir, &reader, &replay, b"").expect_err("another is at it");
    assert!(matches!(error.fault, Fault::InUse), "{error}");
    assert!(fs::read(&path).expect("again") == whole);
}

#[test]
fn what_is_no_snapshot_is_said_to_be_none() {
    let log = log(6, 60);
    let path = snapshot_at(&log.dir, 200);
    let whole = fs::read(&path).expect("it was written");
    assert!(!log.dir.join(snapshot::TEMPORARY_NAME).exists());
    let mut bytes = whole.clone();
    bytes[8] += 1;
    fs::write(&path, &bytes).expect("a disk");
    let error = snapshot::read(&log.dir, &path, UpTo::End).expect_err("another version");
    let text = error.to_string();
    let (next, this) = (snapshot::VERSION + 1, snapshot::VERSION);
    assert!(
        text.contains(&format!("snapshot version {next} of decisions 2, expected {this}")),
        "{text}"
    );
    let mut bytes = whole.clone();
    bytes[12] ^= 0x40;
    fs::write(&path, &bytes).expect("a disk");
    assert!(matches!(fault(&log.dir, &path), Some(Fault::Version { .. })), "other decisions");
    for empty in [&b""[..], b"TRADESNP", &[0; 200]] {
        fs::write(&path, empty).expect("a disk");
        assert!(matches!(fault(&log.dir, &path), Some(Fault::Magic)));
    }
    fs::remove_file(&path).expect("it is there");
    fs::create_dir(&path).expect("a disk");
    assert!(matches!(fault(&log.dir, &path), Some(Fault::Magic)));
    // Names that are nearly one are passed over.
    for name in ["00000000000000000001.snap.old", "1.snap", "x.snap", "snap.tmp"] {
        fs::write(log.dir.join(name), &whole).expect("a disk");
    }
    assert_eq!(snapshot::list(&log.dir, UpTo::End).expect("a directory"), [path]);
}
