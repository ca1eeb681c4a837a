//! Power loss under the real writer and the real recovery: of what was not synced, every sector and
//! every name is kept or lost by the toss of a coin. Nothing synced is lost, no record is invented,
//! there is no hole, and what is left can be taken up.

#[path = "common/disk.rs"]
mod disk;
#[path = "common/log.rs"]
mod log;

use disk::{Files, PowerDisk, Wreck};
use log::{
    Random, append, from_env, image_of, read_all, record, recover_twice, restore, segment,
    temp_dir, tiny, write_private,
};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use trade_engine::journal::layout;
use trade_engine::journal::{
    Journal, JournalError, JournalOptions, SyncErrand, SyncOutcome, check_seals, recover,
    recover_on,
};

/// Images drawn from one loss of power.
const IMAGES_PER_LOSS: u64 = 4;

/// What the writer had said when the power went.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    /// The log was there: `create` had come back.
    created: bool,
    written: u64,
    synced: u64,
}

/// How far a sync is, whose parts lie between other steps of the writer.
enum Syncing {
    No,
    Begun(SyncErrand),
    Over(SyncOutcome),
}

/// Writes, syncs, rolls, seals, closes and takes up again until the power goes.
fn write_until_lost(
    disk: &Arc<PowerDisk>,
    dir: &Path,
    options: JournalOptions,
    random: &mut Random,
) -> Said {
    let mut said = Said::default();
    // Whatever fails has failed because there is no power.
    let _ = write(disk, dir, options, random, &mut said);
    said
}

fn write(
    disk: &Arc<PowerDisk>,
    dir: &Path,
    options: JournalOptions,
    random: &mut Random,
    said: &mut Said,
) -> Result<(), JournalError> {
    let mut journal = Journal::create_on(Arc::clone(disk) as _, dir, options)?;
    said.created = true;
    let mut syncing = Syncing::No;
    for _ in 0..48 {
        match random.below(16) {
            0..6 => {
                for _ in 0..=random.below(30) {
                    let next = record(journal.written_seq() + 1);
                    // Before it is known whether the call comes back: it may be there.
                    said.written = layout::seq(next.last().expect("a slot"));
                    journal.append(&next)?;
                }
            }
            6..9 => {
                syncing = match syncing {
                    Syncing::No if random.below(2) == 0 => {
                        said.synced = journal.sync()?;
                        Syncing::No
                    }
                    Syncing::No => journal.begin_sync()?.map_or(Syncing::No, Syncing::Begun),
                    Syncing::Begun(errand) => Syncing::Over(errand.run()),
                    Syncing::Over(outcome) => {
                        said.synced = journal.end_sync(outcome)?;
                        Syncing::No
                    }
                }
            }
            9..12 => disk.write_back(),
            12..14 => journal.maintain()?,
            14 => journal.seal()?,
            _ => {
                // What was under way dies with its process.
                let is_syncing = !matches!(syncing, Syncing::No);
                syncing = Syncing::No;
                if !is_syncing && random.below(2) == 0 {
                    said.synced = journal.close()?;
                } else {
                    drop(journal);
                }
                let recovery = recover_on(Arc::clone(disk) as _, dir)?;
                // A killed process loses nothing, and a recovery syncs what it found.
                assert_eq!(recovery.last_seq, said.written);
                said.synced = recovery.last_seq;
                journal = Journal::resume(recovery, options)?;
            }
        }
        if disk.is_lost() {
            return Ok(());
        }
    }
    Ok(())
}

fn put(dir: &Path, files: &Files) -> bool {
    let _ = std::fs::remove_dir_all(dir);
    let Some(files) = files else { return false };
    std::fs::DirBuilder::new().mode(0o700).create(dir).unwrap();
    for (name, bytes) in files {
        write_private(&dir.join(name), bytes);
    }
    true
}

/// One image: recovered, perhaps after a recovery that lost its power too, and taken up again.
fn check(dir: &Path, files: &Files, said: Said, options: JournalOptions, random: &mut Random) {
    if !put(dir, files) {
        assert!(!said.created, "the log's directory is gone");
        return;
    }
    if random.below(3) == 0 {
        let disk = Arc::new(PowerDisk::new(dir, random.next(), random.below(24)));
        drop(recover_on(Arc::clone(&disk) as _, dir));
        let files = disk.lose_power().image(random);
        assert!(put(dir, &files));
    }
    let slots = match recover_twice(dir) {
        Ok(slots) => slots,
        Err(error) => {
            assert!(!said.created, "{error}");
            return;
        }
    };
    let found = slots.last().map_or(0, layout::seq);
    assert!(found >= said.synced, "record {found} is the last, {} was synced", said.synced);
    assert!(found <= said.written, "record {found} was never written");
    let seals = check_seals(dir, None).unwrap();
    let mut journal = Journal::resume(recover(dir).unwrap(), options).unwrap();
    append(&mut journal, 70, Some(9));
    journal.close().unwrap();
    let (_, end) = read_all(dir).unwrap();
    let after = check_seals(dir, seals.root).unwrap();
    assert_eq!((after.sealed, after.found), (end.position.segment, Some(seals.sealed)));
}

/// 2,000 images, or four times `RUNS`.
#[test]
fn power_loss_at_any_moment_loses_nothing_that_was_synced() {
    let seed = from_env("SEED", 1);
    for run in seed..seed + from_env("RUNS", 2_000 / IMAGES_PER_LOSS) {
        println!("SEED={run} RUNS=1 cargo test --test power_loss");
        let mut random = Random(run);
        let parent = temp_dir();
        let dir = parent.path().join("log");
        let options = JournalOptions { pad_to_sector: random.below(2) == 0, ..tiny() };
        let disk = Arc::new(PowerDisk::new(&dir, random.next(), random.below(160)));
        let said = write_until_lost(&disk, &dir, options, &mut random);
        let wreck: Wreck = disk.lose_power();
        let torn = parent.path().join("torn");
        for _ in 0..IMAGES_PER_LOSS {
            check(&torn, &wreck.image(&mut random), said, options, &mut random);
        }
    }
}

/// What a recovery cuts is on the disk under its own name before it leaves the log: wherever the
/// power goes, all of it is in the one place or in the other.
#[test]
fn what_a_recovery_cuts_is_not_lost_with_the_power() {
    const AT: usize = 4_096 + 5 * 64;
    let parent = temp_dir();
    let dir = parent.path().join("log");
    let mut journal = Journal::create(&dir, tiny()).unwrap();
    append(&mut journal, 200, None);
    drop(journal);
    let mut torn = std::fs::read(segment(&dir, 2)).unwrap();
    torn[AT + 20] ^= 4;
    write_private(&segment(&dir, 2), &torn);
    let later = std::fs::read(segment(&dir, 3)).unwrap();
    let end = torn.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let image = image_of(&dir);
    for run in 0..from_env("RUNS", 200) {
        restore(&dir, &image);
        let disk = Arc::new(PowerDisk::new(&dir, run, run % 25));
        drop(recover_on(Arc::clone(&disk) as _, &dir));
        let files = disk.lose_power().image(&mut Random(run)).expect("it was there before");
        let is_kept = |bytes: &[u8], at: usize| {
            let is_there = |file: &Vec<u8>| file.get(at..).is_some_and(|f| f.starts_with(bytes));
            files.values().any(|file| file.starts_with(bytes) || is_there(file))
        };
        assert!(is_kept(&torn[AT..end], AT), "run {run}: the torn tail is gone");
        assert!(is_kept(&later, 0), "run {run}: a segment is gone");
    }
}
