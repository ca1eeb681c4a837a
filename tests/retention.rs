//! Retention: a log whose first segments are archived answers as the whole log does, as far as it
//! can be asked; nothing goes that the state needs; and a crash at any step of a move loses nothing.
//!
//! `SEED=7 RUNS=1 cargo test --test retention` repeats one run.

#[path = "common/disk.rs"]
mod disk;
#[path = "common/log.rs"]
mod log;
#[path = "common/random.rs"]
mod random;
#[path = "common/trading.rs"]
mod trading;

use disk::PowerDisk;
use log::{Image, image_of, restore, write_private};
use random::runs;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use trade_engine::codec::Slot;
use trade_engine::journal::layout::{self, seal_name, segment_name};
use trade_engine::journal::{
    Archive, ArchivedNote, DirArchive, Disk, Journal, JournalError, JournalOptions, LogLock,
    LogReader, MachineDisk, ReadError, check_seals, last_settled, recover, retire, salvage,
};
use trade_engine::limits::SLOT_SIZE;
use trade_engine::replay::Redecide;
use trade_engine::resume::{ResumeError, take_up};
use trade_engine::retention::{Archived, Stays, archive};
use trade_engine::snapshot::{self, UpTo};
use trading::{image, read, snapshot_at};

/// Small enough that a few hundred inputs fill many.
const SEGMENT_SIZE: u64 = 16 << 10;

/// A log of many segments, settled but for the last, and a place to archive them in.
struct Whole {
    log: trading::Log,
    /// Its files, as they were.
    files: Image,
    segments: u64,
    hash: u64,
    image: Vec<u8>,
}

impl Whole {
    fn new(seed: u64) -> Self {
        let log = trading::log(seed, 400, SEGMENT_SIZE);
        let segments = recover(&log.dir).expect("it is whole").segment_id;
        assert!(segments > 8, "{segments} segments");
        let (_, replay) = read(&log.dir, u64::MAX);
        let (hash, image) = (replay.state().expect("it has a head").hash(), image(&replay));
        Self { files: image_of(&log.dir), log, segments, hash, image }
    }

    fn dir(&self) -> &Path {
        &self.log.dir
    }

    fn there(&self) -> PathBuf {
        self.dir().with_file_name("archive")
    }

    fn archive(&self, keep: u64) -> Result<Archived, JournalError> {
        archive(self.dir(), keep, &DirArchive::new(&self.there()))
    }

    /// A snapshot in segment `id`, and where it lies.
    fn snapshot_in(&self, id: u64) -> PathBuf {
        let mut reader = LogReader::open(self.dir()).expect("a log");
        let mut seq = 0;
        while reader.record_position().segment < id {
            seq = reader.next_record().expect("whole").expect("it goes on")[0][0];
        }
        let path = snapshot_at(self.dir(), seq + 20);
        let found = snapshot::read(self.dir(), &path, UpTo::End).expect("sound").expect("any");
        assert_eq!(found.reader.bookmark().position.segment, id);
        path
    }

    /// What is here gives the state of the whole log, by folding and by deciding again.
    #[track_caller]
    fn require_same_state(&self) {
        let (mut reader, mut replay) = snapshot::begin(self.dir()).expect("it begins");
        let mut redecide = replay.state().map_or_else(Redecide::default, |state| {
            assert!(reader.first_seq() > 1);
            Redecide::resume(state.clone())
        });
        while let Some(slots) = reader.next_record().expect("a whole log") {
            redecide.next(slots).expect("the same decisions");
            replay.next(slots).expect("it follows");
        }
        assert_eq!(redecide.missing_slots(), 0);
        assert_eq!(redecide.state().expect("a head").hash(), self.hash);
        assert_eq!(replay.state().expect("a head").hash(), self.hash);
        assert!(image(&replay) == self.image, "the hash is the same, the rest is not");
    }

    /// Every file of the whole log is here or there, as it was.
    #[track_caller]
    fn require_nothing_lost(&self) {
        for (path, bytes) in self.files.iter().filter(|(path, _)| is_kept_for_ever(path)) {
            let there = self.there().join(path.file_name().expect("a file"));
            let found = fs::read(path).or_else(|_| fs::read(there)).expect("here or there");
            assert!(found == *bytes, "{} has changed", path.display());
        }
    }

    /// Copies everything back that is archived.
    fn put_back(&self) {
        for (path, bytes) in image_of(&self.there()) {
            write_private(&self.dir().join(path.file_name().expect("a file")), &bytes);
        }
    }
}

fn is_kept_for_ever(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "seg" || ending == "seal")
}

/// The segments in a directory, by their ids.
fn segments_in(dir: &Path) -> Vec<u64> {
    let paths = image_of(dir).into_iter().map(|(path, _)| path);
    paths.filter_map(|path| layout::segment_id_of(path.file_name()?.to_str()?)).collect()
}

/// A disk on which so many syncs are done, and no more: the next one fails, as all after it do.
#[derive(Debug)]
struct StoppingDisk(AtomicU64);

impl StoppingDisk {
    fn after(syncs: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(syncs)))
    }
}

impl Disk for StoppingDisk {
    fn sync_data(&self, path: &Path, file: &File) -> io::Result<()> {
        self.sync_all(path, file)
    }

    fn sync_all(&self, _path: &Path, _file: &File) -> io::Result<()> {
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        left.map(|_| ()).map_err(|_| io::Error::other("the machine has stopped"))
    }
}

#[test]
fn a_shortened_log_and_its_snapshot_are_the_whole_log() {
    for seed in runs(3) {
        println!("SEED={seed} RUNS=1 cargo test --test retention");
        let whole = Whole::new(seed);
        let root = check_seals(whole.dir(), None).expect("sealed").root;
        whole.snapshot_in(2);
        whole.snapshot_in(whole.segments - 3);
        whole.snapshot_in(whole.segments);
        let Archived { moved, stays } = whole.archive(4).expect("a disk");
        assert!(stays.is_none());
        let last = whole.segments - 4;
        assert_eq!(moved, (1..=last).collect::<Vec<_>>());
        assert_eq!(segments_in(&whole.there()), moved);
        assert_eq!(segments_in(whole.dir()), (last + 1..=whole.segments).collect::<Vec<_>>());
        let note = ArchivedNote::read(whole.dir()).expect("a disk").expect("it was written");
        assert_eq!(note.last, last);
        assert_eq!(Path::new(&note.place), whole.there().canonicalize().expect("it is there"));
        whole.require_nothing_lost();
        whole.require_same_state();

        // The chain of seals holds across the cut, and recovery finds nothing to do.
        let seals = check_seals(whole.dir(), root).expect("sealed");
        let found = Some(whole.segments);
        assert_eq!((seals.first, seals.root, seals.found), (last + 1, root, found));
        let recovery = recover(whole.dir()).expect("a sound log");
        assert_eq!((recovery.segment_id, Some(recovery.root)), (whole.segments, root));
        drop(recovery);
        whole.require_same_state();
        // Without the mark all that is here is synced again, and nothing else.
        fs::remove_file(whole.dir().join(layout::SYNCED_NAME)).expect("it is there");
        drop(recover(whole.dir()).expect("a sound log"));
        whole.require_same_state();

        // All of a log goes to one place.
        let other = DirArchive::new(&whole.dir().with_file_name("other"));
        let error = archive(whole.dir(), 3, &other).expect_err("another place").to_string();
        assert!(error.contains("all of a log goes to one place"), "{error}");

        // Nothing more to do; then one more.
        assert!(whole.archive(4).expect("a disk").moved.is_empty());
        assert_eq!(whole.archive(3).expect("a disk").moved, [last + 1]);
        assert!(!whole.dir().join(seal_name(last)).exists());
        whole.require_nothing_lost();
        whole.require_same_state();

        whole.put_back();
        for (path, bytes) in whole.files.iter().filter(|(path, _)| is_kept_for_ever(path)) {
            assert!(fs::read(path).expect("it is back") == *bytes, "{}", path.display());
        }
        assert_eq!(LogReader::open(whole.dir()).expect("a log").first_seq(), 1);
        whole.require_same_state();
        // And may go again: the archive has them.
        assert_eq!(whole.archive(3).expect("a disk").moved.len() as u64, last + 1);
        whole.require_same_state();
    }
}

/// Whatever the last step was, nothing is lost, what is here gives the state, and the next try
/// takes the move up where it was.
#[test]
fn a_move_may_stop_at_every_step() {
    let whole = Whole::new(1);
    let snapshot = whole.snapshot_in(whole.segments);
    let files = [whole.files.clone(), vec![(snapshot.clone(), fs::read(snapshot).expect("one"))]];
    let files = files.concat();
    let mut steps = 0;
    loop {
        restore(whole.dir(), &files);
        let _ = fs::remove_dir_all(whole.there());
        let disk = StoppingDisk::after(steps);
        let to = DirArchive::on(Arc::clone(&disk) as _, &whole.there());
        let moves = (0..2).try_for_each(|_| retire(whole.dir(), &to, &*disk).map(|_| ()));
        whole.require_nothing_lost();
        whole.require_same_state();
        check_seals(whole.dir(), None).unwrap_or_else(|error| panic!("{steps} steps: {error}"));
        let here = segments_in(whole.dir());
        assert_eq!(Some(here.len() as u64), here.first().map(|first| whole.segments + 1 - first));

        assert!(whole.archive(whole.segments - 2).expect("a disk").stays.is_none());
        assert_eq!(segments_in(whole.dir()), (3..=whole.segments).collect::<Vec<_>>());
        assert_eq!(segments_in(&whole.there()), [1, 2]);
        let parts = image_of(&whole.there()).into_iter();
        assert!(parts.map(|(path, _)| path).all(|path| is_kept_for_ever(&path)), "{steps} steps");
        whole.require_nothing_lost();
        whole.require_same_state();
        if moves.is_ok() {
            break;
        }
        steps += 1;
    }
    assert!(steps > 20, "{steps} steps");
}

/// The power goes at any moment, here or there: what was unlinked here is there, whole, and what
/// is left of the directory begins where it says.
#[test]
fn a_move_may_lose_its_power() {
    for seed in runs(6) {
        println!("SEED={seed} RUNS=1 cargo test --test retention");
        let whole = Whole::new(seed);
        let snapshot = whole.snapshot_in(whole.segments);
        let snapshot = (snapshot.clone(), fs::read(snapshot).expect("it was written"));
        let files = [whole.files.clone(), vec![snapshot]].concat();
        let mut random = log::Random(seed);
        for moments in 0..40 {
            restore(whole.dir(), &files);
            let _ = fs::remove_dir_all(whole.there());
            fs::create_dir(whole.there()).expect("a disk");
            let here = PowerDisk::new(whole.dir(), random.next(), moments);
            let there = Arc::new(PowerDisk::new(&whole.there(), random.next(), u64::MAX));
            let to = DirArchive::on(Arc::clone(&there) as _, &whole.there());
            let _ = (0..2).try_for_each(|_| retire(whole.dir(), &to, &here).map(|_| ()));
            let wrecks = [there.lose_power(), here.lose_power()];
            for _ in 0..3 {
                for (wreck, dir) in wrecks.iter().zip([&whole.there(), whole.dir()]) {
                    let image = wreck.image(&mut random).expect("it has its name");
                    let named = image.into_iter().map(|(name, bytes)| (dir.join(name), bytes));
                    restore(dir, &named.collect());
                }
                whole.require_nothing_lost();
                whole.require_same_state();
                check_seals(whole.dir(), None).unwrap_or_else(|error| panic!("{error}"));
            }
        }
    }
}

#[test]
fn other_bytes_in_the_archive_are_refused_by_name() {
    let whole = Whole::new(2);
    whole.snapshot_in(whole.segments);
    let own = archive(whole.dir(), 2, &DirArchive::new(whole.dir())).expect_err("itself");
    assert!(own.to_string().contains("the log's own directory"), "{own}");
    let inside = whole.dir().join("old");
    let inside = archive(whole.dir(), 2, &DirArchive::new(&inside)).expect_err("in it");
    assert!(inside.to_string().contains("the log's own directory, or in it"), "{inside}");
    fs::create_dir(whole.there()).expect("a disk");
    let target = whole.there().join(segment_name(2));
    let mut bytes = fs::read(whole.dir().join(segment_name(2))).expect("it is there");
    for change in 0..3 {
        match change {
            0 => bytes[5_000] ^= 1,
            1 => bytes.truncate(9_000),
            _ => bytes.clear(),
        }
        fs::write(&target, &bytes).expect("a disk");
        let error = whole.archive(2).expect_err("another log's").to_string();
        assert!(error.contains("00000002.seg: not archived in"), "{error}");
        let name = target.canonicalize().expect("it is there");
        assert!(error.contains(&format!("{} is there already", name.display())), "{error}");
        assert!(fs::read(&target).expect("it is there") == bytes, "it was overwritten");
        assert_eq!(segments_in(whole.dir()), (2..=whole.segments).collect::<Vec<_>>());
        whole.require_same_state();
    }
    // A link might lead to the very file that is to go.
    fs::remove_file(&target).expect("it is there");
    std::os::unix::fs::symlink(whole.dir().join(segment_name(2)), &target).expect("a disk");
    let error = whole.archive(2).expect_err("a link").to_string();
    assert!(error.contains("no plain file"), "{error}");
    fs::remove_file(&target).expect("it is there");
    whole.require_nothing_lost();
    whole.require_same_state();
    assert!(whole.archive(2).expect("nothing is in the way").stays.is_none());
    whole.require_nothing_lost();
}

#[track_caller]
fn nothing_goes(whole: &Whole, keep: u64) -> Stays {
    let outcome = whole.archive(keep).expect("a sound log");
    assert_eq!(outcome.moved, [0; 0]);
    assert!(!whole.there().exists());
    assert!(!whole.dir().join(layout::ARCHIVED_NAME).exists());
    outcome.stays.expect("something is in the way")
}

#[test]
fn without_a_sound_snapshot_behind_it_nothing_goes() {
    let whole = Whole::new(3);
    let Stays::NoSnapshot { path, fault: None } = nothing_goes(&whole, 2) else { panic!() };
    assert_eq!(path, whole.dir().join(segment_name(1)));
    // In the first segment itself it is not behind it.
    let early = snapshot_at(whole.dir(), 1);
    while_damaged(&early, || {
        assert!(matches!(nothing_goes(&whole, 2), Stays::NoSnapshot { fault: Some(_), .. }));
    });
    let path = whole.snapshot_in(whole.segments - 1);
    fs::remove_file(early).expect("it was written");
    while_damaged(&path, || {
        let stays = nothing_goes(&whole, 2);
        let Stays::NoSnapshot { fault: Some(fault), .. } = &stays else { panic!("{stays}") };
        assert!(fault.contains("damaged: checksum"), "{fault}");
    });
    // As many as are kept: nothing is asked for.
    assert!(whole.archive(whole.segments).expect("a sound log").stays.is_none());
    assert!(!whole.there().exists());
    // Up to the snapshot's own segment, however few are to stay.
    let outcome = whole.archive(1).expect("a disk");
    assert_eq!(outcome.moved.last(), Some(&(whole.segments - 2)));
    let Some(Stays::NoSnapshot { path, .. }) = outcome.stays else { panic!() };
    assert_eq!(path, whole.dir().join(segment_name(whole.segments - 1)));
    whole.require_same_state();
}

fn while_damaged(path: &Path, look: impl FnOnce()) {
    let bytes = fs::read(path).expect("it was written");
    let mut damaged = bytes.clone();
    *damaged.last_mut().expect("it is long") ^= 1;
    fs::write(path, damaged).expect("a disk");
    look();
    fs::write(path, bytes).expect("a disk");
}

#[test]
fn what_is_not_sealed_or_not_synced_stays() {
    let whole = Whole::new(4);
    whole.snapshot_in(whole.segments);
    let to = DirArchive::new(&whole.there());
    let refused = || match retire(whole.dir(), &to, &MachineDisk) {
        Err(JournalError::NotSettled { path }) => {
            assert_eq!(path, whole.dir().join(segment_name(1)));
        }
        other => panic!("{other:?}"),
    };
    // Not sealed, not even the first.
    let sealed: Image = image_of(whole.dir());
    for id in 1..=whole.segments {
        fs::remove_file(whole.dir().join(seal_name(id))).expect("it is sealed");
    }
    assert!(matches!(nothing_goes(&whole, 2), Stays::NotSettled { .. }));
    refused();
    // Sealed, and no mark says that it is on the disk.
    restore(whole.dir(), &sealed);
    fs::remove_file(whole.dir().join(layout::SYNCED_NAME)).expect("it is there");
    assert_eq!(last_settled(whole.dir()).expect("a disk"), 0);
    assert!(matches!(nothing_goes(&whole, 2), Stays::NotSettled { .. }));
    refused();
    // Sealed and synced, only the first three.
    restore(whole.dir(), &sealed);
    for id in 4..=whole.segments {
        fs::remove_file(whole.dir().join(seal_name(id))).expect("it is sealed");
    }
    let outcome = whole.archive(2).expect("a disk");
    assert_eq!(outcome.moved, [1, 2, 3]);
    let Some(Stays::NotSettled { path }) = outcome.stays else { panic!() };
    assert_eq!(path, whole.dir().join(segment_name(4)));
    whole.require_same_state();
    // The one seal that is left is that of an archived segment; recovery goes on behind it.
    drop(recover(whole.dir()).expect("a sound log"));
    assert_eq!(check_seals(whole.dir(), None).expect("sealed").sealed, whole.segments);
    whole.require_nothing_lost();
    whole.require_same_state();
}

/// A power cut may take the log's end with a snapshot's place: such a one holds nothing.
#[test]
fn a_snapshot_above_the_synced_mark_holds_nothing() {
    let whole = Whole::new(5);
    let (reader, _) = read(whole.dir(), u64::MAX);
    let last = reader.bookmark().chain.last_seq;
    let path = snapshot_at(whole.dir(), last);
    // The mark as it was one record before the end.
    let mut reader = LogReader::open(whole.dir()).expect("a log");
    let mut before = reader.bookmark();
    while reader.next_record().expect("whole").is_some() && reader.group_end_seq() < last {
        before = reader.bookmark();
    }
    let epoch = reader.end().expect("whole").epoch;
    let mark = layout::Mark {
        generation: 9_999_998,
        seq: before.chain.last_seq,
        position: before.position,
        epoch,
    };
    let mut sectors = [0; 1_024];
    sectors[..SLOT_SIZE].copy_from_slice(&layout::to_bytes(&mark.encode()));
    fs::write(whole.dir().join(layout::SYNCED_NAME), sectors).expect("a disk");
    assert!(matches!(nothing_goes(&whole, 2), Stays::NoSnapshot { fault: None, .. }));
    drop(recover(whole.dir()).expect("a sound log"));
    assert!(whole.archive(2).expect("a disk").stays.is_none());
    fs::remove_file(path).expect("it was written");
}

#[test]
fn a_segment_that_was_changed_since_it_was_sealed_stays() {
    let whole = Whole::new(6);
    whole.snapshot_in(whole.segments);
    let path = whole.dir().join(segment_name(2));
    let mut bytes = fs::read(&path).expect("it is there");
    *bytes.last_mut().expect("it is long") ^= 1;
    fs::write(&path, bytes).expect("a disk");
    let error = whole.archive(2).expect_err("it was changed");
    assert!(matches!(error, JournalError::Read(ReadError::Seal { .. })), "{error}");
    assert_eq!(segments_in(&whole.there()), [1]);
}

/// What the archived records went on from nobody here can use; what the kept ones do stays.
#[test]
fn snapshots_of_what_is_archived_go_with_it() {
    let whole = Whole::new(8);
    let [early, last] = [whole.snapshot_in(3), whole.snapshot_in(whole.segments - 1)];
    // Nothing goes, and nothing is forgotten.
    whole.archive(whole.segments).expect("a disk");
    assert!(early.exists() && last.exists());
    let moved = whole.archive(2).expect("a disk").moved;
    assert!(moved.contains(&3), "{moved:?}");
    assert!(!early.exists() && last.exists());
    whole.require_same_state();
    whole.put_back();
    whole.require_same_state();
}

#[test]
fn without_its_snapshot_a_shortened_log_says_what_is_missing_and_where_it_is() {
    let whole = Whole::new(7);
    let path = whole.snapshot_in(whole.segments - 1);
    whole.archive(2).expect("a disk");
    whole.require_same_state();
    let place = whole.there().canonicalize().expect("it is there");
    let asked = || {
        let error = snapshot::begin(whole.dir()).expect_err("no snapshot").to_string();
        assert!(error.contains("00000001.seg: archived in"), "{error}");
        assert!(error.contains(&place.display().to_string()), "{error}");
        error
    };
    while_damaged(&path, || assert!(asked().contains("damaged: checksum"), "{}", asked()));
    fs::remove_file(&path).expect("it is there");
    assert!(asked().contains("no snapshot here holds the state"), "{}", asked());
    let error = take_up(whole.dir(), JournalOptions::default()).expect_err("no state");
    assert!(matches!(error, ResumeError::Read(ReadError::Archived { .. })), "{error}");
    // The records that are here are read all the same.
    let mut reader = LogReader::open(whole.dir()).expect("a log");
    let first = reader.next_record().expect("whole").expect("it has records")[0][0];
    assert_eq!(first, reader.first_seq());

    let target = whole.dir().with_file_name("salvaged");
    let error = salvage(whole.dir(), &target).expect_err("it has no beginning").to_string();
    assert!(error.contains("a salvaged log begins with the first record"), "{error}");
    assert!(!target.exists());

    // Without the note nobody knows that it is elsewhere.
    fs::remove_file(whole.dir().join(layout::ARCHIVED_NAME)).expect("it is there");
    let error = LogReader::open(whole.dir()).expect_err("it has no beginning");
    assert!(matches!(error, ReadError::MissingSegment { .. }), "{error}");
    whole.put_back();
    whole.require_same_state();
}

/// A reader that is overtaken says so, and the next begins behind it.
#[test]
fn a_reader_that_is_overtaken_says_where_the_rest_is() {
    let whole = Whole::new(8);
    whole.snapshot_in(whole.segments);
    let mut reader = LogReader::open(whole.dir()).expect("a log");
    reader.next_record().expect("whole").expect("it has records");
    whole.archive(2).expect("a disk");
    let error = loop {
        match reader.next_record() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it is no end"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ReadError::Archived { .. }), "{error}");
}

/// Taken up again, a shortened log goes on as the whole one does, to the byte.
#[test]
fn a_shortened_log_is_taken_up_as_the_whole_one() {
    let tail = |dir: &Path, from: u64| -> Vec<Slot> {
        let mut reader = LogReader::open(dir).expect("a log");
        let mut slots = Vec::new();
        while let Some(record) = reader.next_record().expect("whole") {
            slots.extend(record.iter().map(layout::content).filter(|slot| slot[0] > from));
        }
        slots
    };
    for seed in runs(2) {
        println!("SEED={seed} RUNS=1 cargo test --test retention");
        let whole = Whole::new(seed);
        let last = read(whole.dir(), u64::MAX).0.bookmark().chain.last_seq;
        let options = JournalOptions { segment_size: SEGMENT_SIZE, ..JournalOptions::default() };
        let taken_up = |dir: &Path| {
            let recovered = take_up(dir, options).expect("it goes on");
            let feed = recovered.ending().feed;
            (recovered.state().hash(), recovered.config().to_owned(), feed)
        };
        let long = taken_up(whole.dir());
        let long_tail = tail(whole.dir(), last);
        assert!(!long_tail.is_empty());
        // With records behind the snapshot, and without any: what they say of the market data, too.
        for seq in [last - 200, last] {
            restore(whole.dir(), &whole.files);
            let _ = fs::remove_dir_all(whole.there());
            snapshot_at(whole.dir(), seq);
            assert!(whole.archive(2).expect("a disk").moved.len() > 4);
            assert_eq!(taken_up(whole.dir()), long);
            assert!(tail(whole.dir(), last) == long_tail, "other records");
            whole.put_back();
            assert_eq!(tail(whole.dir(), 0).first().map(|slot| slot[0]), Some(1));
            check_seals(whole.dir(), None).expect("one chain of seals");
        }
    }
}

/// A user's own: what it does not take stays.
#[derive(Debug, Default)]
struct Shelf {
    files: RefCell<BTreeMap<String, Vec<u8>>>,
    is_full: bool,
}

impl Archive for Shelf {
    fn place(&self) -> String {
        "the\nshelf".to_owned()
    }

    fn store(&self, path: &Path, name: &str) -> io::Result<()> {
        if self.is_full && name.contains("03") {
            return Err(io::Error::other("the shelf is full"));
        }
        self.files.borrow_mut().insert(name.to_owned(), fs::read(path)?);
        Ok(())
    }
}

#[test]
fn segments_go_wherever_a_user_sends_them() {
    let whole = Whole::new(9);
    whole.snapshot_in(whole.segments);
    let mut shelf = Shelf { is_full: true, ..Shelf::default() };
    let error = archive(whole.dir(), 4, &shelf).expect_err("it is full").to_string();
    assert!(error.ends_with("so it stays: the shelf is full"), "{error}");
    assert_eq!(segments_in(whole.dir()), (3..=whole.segments).collect::<Vec<_>>());
    whole.require_same_state();
    shelf.is_full = false;
    archive(whole.dir(), 4, &shelf).expect("it has room");
    let note = ArchivedNote::read(whole.dir()).expect("a disk").expect("it was written");
    assert_eq!((note.last, note.place.as_str()), (whole.segments - 4, "the shelf"));
    for (name, bytes) in shelf.files.borrow().iter() {
        let (_, was) = whole.files.iter().find(|(path, _)| path.ends_with(name)).expect("its own");
        assert!(was == bytes, "{name}");
    }
    whole.require_same_state();
}

/// Beside a writer the lock is its own; where nobody writes, it keeps one from beginning.
#[test]
fn the_lock_of_an_idle_log_keeps_writers_out() {
    let whole = Whole::new(10);
    let lock = LogLock::take(whole.dir()).expect("nobody writes");
    assert!(matches!(recover(whole.dir()), Err(JournalError::InUse { .. })));
    assert!(matches!(LogLock::take(whole.dir()), Err(JournalError::InUse { .. })));
    drop(lock);
    let recovery = recover(whole.dir()).expect("nobody writes");
    let options = JournalOptions { segment_size: SEGMENT_SIZE, ..JournalOptions::default() };
    let journal = Journal::resume(recovery, options).expect("room");
    assert!(matches!(LogLock::take(whole.dir()), Err(JournalError::InUse { .. })));
    // Its own process archives beside it.
    whole.snapshot_in(whole.segments);
    assert!(whole.archive(2).expect("a disk").moved.len() > 4);
    journal.close().expect("a disk");
    check_seals(whole.dir(), None).expect("one chain of seals");
    let (mut reader, mut replay) = snapshot::begin(whole.dir()).expect("it begins");
    while let Some(slots) = reader.next_record().expect("whole") {
        replay.next(slots).expect("it follows");
    }
    assert_eq!(replay.state().map(|state| state.hash()), Some(whole.hash));
}
