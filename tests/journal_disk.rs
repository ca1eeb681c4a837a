//! The machine under a log: a disk that fills up, a hundred starts at once, a file that somebody
//! shortens or replaces while it is written.

#[path = "common/log.rs"]
mod log;

use log::{
    append, image_of, read_all, read_checked, record, records, recover_twice, temp_dir, tiny,
};
use std::fs::{DirBuilder, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use trade_engine::config::SyncPolicy;
use trade_engine::journal::layout;
use trade_engine::journal::{
    Disk, Journal, JournalError, JournalOptions, Sealing, check_seals, recover,
};
use trade_engine::runtime::{Agent, Clock, JournalLoop, Shared, Turn};

const SIGBUS: i32 = 7;

/// This program again, as a child that runs one test alone.
fn child(command: &mut Command, test: &str, dir: &Path) -> Child {
    command
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("JOURNAL_DISK_DIR", dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a process")
}

fn child_dir() -> Option<PathBuf> {
    std::env::var_os("JOURNAL_DISK_DIR").map(PathBuf::from)
}

/// The next thing that a child says of its start; the test's own name may stand in front.
fn said(lines: &mut impl Iterator<Item = String>) -> String {
    let line = lines.find(|line| line.contains("start ")).expect("it says something");
    line.split_once("start ").expect("it is there").1.to_owned()
}

#[test]
#[ignore = "started by of_a_hundred_starts_at_once_one_wins"]
fn child_starts() {
    let Some(dir) = child_dir() else { return };
    println!("start ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let won: Result<Box<dyn std::fmt::Debug>, JournalError> = if line == "create\n" {
        Journal::create(&dir, tiny()).map(|journal| Box::new(journal) as _)
    } else {
        recover(&dir).map(|recovery| Box::new(recovery) as _)
    };
    match &won {
        Ok(_) => println!("start won"),
        Err(JournalError::InUse { .. } | JournalError::NotEmpty { .. }) => println!("start lost"),
        Err(error) => println!("start {error}"),
    }
    // Held until every other has tried.
    let _ = std::io::stdin().read_line(&mut line);
}

/// Processes, not threads: a new log, then the log that it left.
#[test]
fn of_a_hundred_starts_at_once_one_wins() {
    let parent = temp_dir();
    let dir = parent.path().join("log");
    for how in ["create\n", "recover\n"] {
        let program = std::env::current_exe().unwrap();
        let mut children: Vec<_> = (0..100)
            .map(|_| {
                let mut child = child(&mut Command::new(&program), "child_starts", &dir);
                let lines = BufReader::new(child.stdout.take().unwrap()).lines();
                (child, lines.map_while(Result::ok))
            })
            .collect();
        for (_, lines) in &mut children {
            assert_eq!(said(lines), "ready");
        }
        for (child, _) in &mut children {
            child.stdin.as_mut().unwrap().write_all(how.as_bytes()).unwrap();
        }
        let mut results: Vec<String> = children.iter_mut().map(|(_, lines)| said(lines)).collect();
        results.sort();
        assert_eq!(results[..99], vec!["lost"; 99], "{results:?}");
        assert_eq!(results[99], "won", "{how}");
        for (mut child, lines) in children {
            drop(child.stdin.take());
            lines.for_each(drop);
            assert!(child.wait().unwrap().success());
        }
    }
    recover_twice(&dir).unwrap();
}

fn mounted(kind: &str, options: &str, dir: &Path) -> bool {
    let mut mount = Command::new("mount");
    mount.args(["-t", kind, "-o", options, "none"]).arg(dir).stderr(Stdio::null());
    mount.status().is_ok_and(|status| status.success())
}

#[test]
#[ignore = "started by a_real_full_disk_is_an_error_and_nothing_is_lost"]
fn child_fills_a_disk() {
    let Some(dir) = child_dir() else { return };
    let mount = |options: &str| mounted("tmpfs", options, &dir);
    if !mount("size=400k,mode=700") {
        return;
    }
    println!("disk mounted");
    let log = dir.join("log");
    let options = JournalOptions { segment_size: 64 << 10, ..tiny() };
    let mut journal = Journal::create(&log, options).unwrap();
    let (mut told, mut written) = (0, 0);
    let error = loop {
        if let Err(error) = journal.append(&record(written + 1)) {
            break error;
        }
        written = journal.written_seq();
        if let Err(error) = journal.maintain() {
            assert!(matches!(error, JournalError::NoSpace { .. }), "{error}");
            told += 1;
        }
    };
    assert!(matches!(error, JournalError::NoSpace { .. }), "{error}");
    assert_eq!(told, 1, "told while there was room for what was under way");
    assert!(written > 3_000, "{written}");
    // Whatever was taken is there, and can be put on the disk.
    assert_eq!(read_all(&log).unwrap().0, records(1, written));
    assert_eq!(journal.sync().unwrap(), written);
    drop(journal);
    assert!(mount("remount,size=4m"));
    let mut journal = Journal::resume(recover(&log).unwrap(), options).unwrap();
    append(&mut journal, 2_000, Some(500));
    assert_eq!(journal.close().unwrap(), read_all(&log).unwrap().1.last_seq);
    assert!(mount("remount,size=1m"));
    fill_behind_the_rings(&dir.join("run"), options);
    println!("disk done");
}

/// The journal's duty cycle on the same disk: the run is asked to end while there is room, what
/// still comes is recorded, and the end says why.
fn fill_behind_the_rings(dir: &Path, options: JournalOptions) {
    let (mut ring, out) = rtrb::RingBuffer::new(64);
    let shared = Shared::default();
    let journal = Journal::create(dir, options).unwrap();
    let (clock, sync) = (Clock::new(), SyncPolicy::Never);
    let (mut journal_loop, mut disk_loop) =
        JournalLoop::new(journal, out, shared.clone(), clock, sync);
    let mut seq = 0;
    let mut put = || {
        for slot in record(seq + 1) {
            seq = slot[0];
            ring.push(slot).unwrap();
        }
        seq
    };
    while !shared.is_stopping() {
        put();
        while journal_loop.do_work() == Turn::Worked {}
    }
    // What was under way when the engine was asked to stop.
    let mut last = 0;
    for _ in 0..20 {
        last = put();
        while journal_loop.do_work() == Turn::Worked {}
    }
    assert!(!shared.journal_failed());
    drop(ring);
    while journal_loop.do_work() != Turn::Done {
        disk_loop.do_work();
    }
    let outcome = Box::new(journal_loop).finish().journal.expect("it says how it ended");
    assert!(matches!(outcome, Err(JournalError::NoSpace { .. })), "{outcome:?}");
    assert_eq!((shared.written(), shared.synced()), (last, last));
    assert_eq!(read_all(dir).unwrap().0, records(1, last));
}

/// Runs one test alone, as a child that may mount a file system. Where that is not allowed, skipped.
fn run_where_it_may_mount(test: &str) {
    let parent = temp_dir();
    let dir = parent.path().join("disk");
    std::fs::create_dir(&dir).unwrap();
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount"]).arg(std::env::current_exe().unwrap());
    let is_there = Command::new("unshare").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !is_there {
        println!("skipped: no unshare on this machine");
        return;
    }
    let mut child = child(&mut unshare, test, &dir);
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    let status = child.wait().unwrap();
    if !said.contains("disk mounted") {
        println!("skipped: this machine lets nobody mount a file system");
        return;
    }
    assert!(status.success() && said.contains("disk done"), "{status}: {said}");
    assert_eq!(status.signal(), None, "a full disk is never a signal");
}

/// A file system of 400 KiB, in a mount namespace of its own.
#[test]
fn a_real_full_disk_is_an_error_and_nothing_is_lost() {
    run_where_it_may_mount("child_fills_a_disk");
}

#[test]
#[ignore = "started by a_file_system_that_allocates_nothing_will_do"]
fn child_writes_where_nothing_is_allocated() {
    let Some(dir) = child_dir() else { return };
    if !mounted("ramfs", "mode=700", &dir) {
        return;
    }
    println!("disk mounted");
    let probe = File::create(dir.join("probe")).unwrap();
    let flags = rustix::fs::FallocateFlags::empty();
    assert!(rustix::fs::fallocate(&probe, flags, 0, 4_096).is_err(), "it does allocate");
    let log = dir.join("log");
    let mut journal = Journal::create(&log, tiny()).unwrap();
    append(&mut journal, 200, None);
    drop(journal);
    // What a recovery cuts is gone from the log though no hole can be punched into it.
    let path = log::segment(&log, 2);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4_096 + 5 * 64 + 20] ^= 4;
    log::write_private(&path, &bytes);
    let kept = recover_twice(&log).unwrap();
    assert!((64..80).contains(&kept.len()), "{}", kept.len());
    let mut journal = Journal::resume(recover(&log).unwrap(), tiny()).unwrap();
    append(&mut journal, 100, Some(20));
    assert_eq!(journal.close().unwrap(), read_all(&log).unwrap().1.last_seq);
    println!("disk done");
}

/// Zeros are written then, which is slower.
#[test]
fn a_file_system_that_allocates_nothing_will_do() {
    run_where_it_may_mount("child_writes_where_nothing_is_allocated");
}

#[test]
#[ignore = "started by a_file_that_somebody_shortens_ends_the_writer"]
fn child_writes_for_ever() {
    let Some(dir) = child_dir() else { return };
    let options = JournalOptions { segment_size: 64 << 10, ..tiny() };
    let mut journal = Journal::create(&dir, options).unwrap();
    loop {
        append(&mut journal, 1, None);
        println!("written {}", journal.written_seq());
    }
}

/// Somebody else shortens the mapped file: the kernel ends the process (SIGBUS), which is a stop and
/// never a wrong value. What is left is judged like any other log.
#[test]
fn a_file_that_somebody_shortens_ends_the_writer() {
    let parent = temp_dir();
    let dir = parent.path().join("log");
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut child = child(&mut command, "child_writes_for_ever", &dir);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    lines.find(|line| line.contains("written ")).expect("it writes");
    // Whichever segment it is at: it goes on to the next while we look.
    for _ in lines.by_ref() {
        let last = (1..).take_while(|id| log::segment(&dir, *id).exists()).last().unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(log::segment(&dir, last)).unwrap();
        file.set_len(4_096).unwrap();
    }
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(SIGBUS), "{status}");
    let _ = read_checked(&dir, "shortened");
    match recover(&dir) {
        Ok(recovery) => {
            drop(recovery);
            recover_twice(&dir).unwrap();
        }
        Err(error) => assert!(matches!(error, JournalError::Read(_)), "{error}"),
    }
}

/// A link in the place of any file of the log: whoever made it decides where we would write.
#[test]
fn links_in_a_log_are_refused_and_followed_by_nobody() {
    let parent = temp_dir();
    let dir = parent.path().join("log");
    let mut journal = Journal::create(&dir, tiny()).unwrap();
    append(&mut journal, 150, Some(20));
    journal.close().unwrap();
    for (path, bytes) in image_of(&dir) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let elsewhere = parent.path().join(format!("elsewhere.{name}"));
        std::fs::rename(&path, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        let error = recover(&dir).unwrap_err();
        let is_refused = matches!(&error, JournalError::NotAFile { path: found } if *found == path);
        assert!(is_refused, "{name}: {error}");
        assert_eq!(std::fs::read(&elsewhere).unwrap(), bytes);
        std::fs::remove_file(&path).unwrap();
        std::fs::rename(&elsewhere, &path).unwrap();
    }
    // One for the next segment, that points out of the log.
    let outside = parent.path().join("outside");
    let mut journal = Journal::resume(recover(&dir).unwrap(), tiny()).unwrap();
    std::os::unix::fs::symlink(&outside, dir.join(layout::SPARE_NAME)).unwrap();
    let mut next = journal.written_seq();
    let error = loop {
        if let Err(error) = journal.append(&record(next + 1)) {
            break error;
        }
        next = journal.written_seq();
    };
    assert!(matches!(error, JournalError::Io { action: "create", .. }), "{error}");
    assert!(!outside.exists());
}

/// Where a file is taken as it is if it is there: a link would be taken, too, and what it points to
/// be written.
#[test]
fn a_link_in_the_place_of_the_lock_or_of_a_seal_is_not_followed() {
    let parent = temp_dir();
    let outside = parent.path().join("outside");
    let empty = parent.path().join("empty");
    DirBuilder::new().mode(0o700).create(&empty).unwrap();
    symlink(&outside, empty.join(layout::LOCK_NAME)).unwrap();
    let error = Journal::create(&empty, tiny()).unwrap_err();
    assert!(matches!(error, JournalError::Io { action: "open", .. }), "{error}");

    let dir = parent.path().join("log");
    let mut journal = Journal::create(&dir, tiny()).unwrap();
    let link = dir.join(layout::seal_name(1));
    symlink(&outside, &link).unwrap();
    append(&mut journal, 200, Some(20));
    let mut sealer = journal.take_sealer().unwrap();
    let ends = (0..1_000).any(|_| sealer.step().unwrap() == Sealing::Over);
    assert!(ends, "a seal that cannot be written is tried again and again");
    let error = sealer.finish().unwrap_err();
    assert!(matches!(&error, JournalError::Io { path, .. } if *path == link), "{error}");
    assert!(!outside.exists() && !dir.join(layout::seal_name(2)).exists());
    // The log is whole without it, and the next start makes it.
    let written = journal.close().unwrap();
    std::fs::remove_file(&link).unwrap();
    assert_eq!(recover_twice(&dir).unwrap(), records(1, written));
    assert_eq!(check_seals(&dir, None).unwrap().sealed, 4);
}

/// A disk that refuses to sync one file, as long as it is told to.
#[derive(Debug)]
struct RefusingDisk {
    path: PathBuf,
    refuses: AtomicBool,
    asked: AtomicU64,
}

impl Disk for RefusingDisk {
    fn sync_data(&self, path: &Path, _: &File) -> std::io::Result<()> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if path == self.path && self.refuses.load(Ordering::Relaxed) {
            return Err(std::io::Error::other("refused"));
        }
        Ok(())
    }

    fn sync_all(&self, path: &Path, file: &File) -> std::io::Result<()> {
        self.sync_data(path, file)
    }
}

impl RefusingDisk {
    fn new(path: PathBuf, refuses: bool) -> Arc<Self> {
        let (refuses, asked) = (AtomicBool::new(refuses), AtomicU64::new(0));
        Arc::new(Self { path, refuses, asked })
    }
}

/// What could not begin is in nobody's way.
#[test]
fn a_log_whose_first_syncs_are_refused_can_be_begun_again() {
    for name in ["00000001.seg", layout::SYNCED_NAME] {
        let parent = temp_dir();
        let dir = parent.path().join("log");
        let disk = RefusingDisk::new(dir.join(name), true);
        let error = Journal::create_on(disk, &dir, tiny()).unwrap_err();
        assert!(matches!(error, JournalError::Io { .. }), "{error}");
        Journal::create(&dir, tiny()).unwrap().close().unwrap();
    }
}

/// The kernel may have dropped what it could not write, and call the next sync good: whoever asked
/// for the one that failed, nobody asks for another, and nothing is taken any more.
#[test]
fn whichever_sync_is_refused_it_is_the_last() {
    type Step = fn(&mut Journal) -> Result<(), JournalError>;
    let sync: Step = |journal| journal.sync().map(drop);
    let seal: Step = |journal| journal.seal();
    // So many closed segments that the next roll must sync the oldest.
    let roll: Step = |journal| {
        while journal.written_seq() < 400 {
            journal.append(&record(journal.written_seq() + 1))?;
        }
        Ok(())
    };
    let [first, open] = [1, 3].map(layout::segment_name);
    for (name, what, step) in [
        (open.as_str(), "sync", sync),
        (&first, "sync", sync),
        ("", "sync", sync),
        (layout::SYNCED_NAME, "sync", sync),
        (&first, "seal", seal),
        ("", "seal", seal),
        (&first, "roll", roll),
    ] {
        let parent = temp_dir();
        let dir = parent.path().join("log");
        let disk = RefusingDisk::new(dir.join(name), false);
        let mut journal = Journal::create_on(Arc::clone(&disk) as _, &dir, tiny()).unwrap();
        append(&mut journal, 150, None);
        assert!(log::segment(&dir, 3).exists() && !log::segment(&dir, 4).exists());
        disk.refuses.store(true, Ordering::Relaxed);
        let error = step(&mut journal).unwrap_err();
        let context = format!("{what} of {name:?}: {error}");
        assert!(matches!(error, JournalError::Io { action: "sync", .. }), "{context}");
        disk.refuses.store(false, Ordering::Relaxed);
        let asked = disk.asked.load(Ordering::Relaxed);
        let next = record(journal.written_seq() + 1);
        let again = [journal.append(&next), sync(&mut journal), journal.close().map(drop)];
        for outcome in again {
            let is_final = matches!(outcome, Err(JournalError::SyncFailed { synced_seq: 0, .. }));
            assert!(is_final, "{context}, then {outcome:?}");
        }
        assert_eq!(disk.asked.load(Ordering::Relaxed), asked, "{context}: asked again");
    }
}
