//! A reader that follows a log which another process is writing: every record once, in order, across
//! segments, syncs and restarts of the writer, however the two take turns.

#[path = "common/log.rs"]
mod log;

use log::{Random, append, from_env, record, temp_dir, tiny};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use trade_engine::journal::layout::{self, Slot};
use trade_engine::journal::{Journal, JournalOptions, LogReader, Tail, recover};

/// What the writer appends between two waits, in slots: a few segments of 64.
const SLOTS_A_TURN: u64 = 300;
const TURNS: u64 = 20;

/// The other process: says how far it has written, and waits for a line before it goes on.
#[test]
#[ignore = "started by every_record_once_in_order"]
fn child_writes_and_waits() {
    let Some(dir) = std::env::var_os("FOLLOW_DIR") else { return };
    let dir = Path::new(&dir);
    let mut random = Random(from_env("SEED", 1));
    let mut journal = Journal::create(dir, tiny()).unwrap();
    let mut lines = std::io::stdin().lines();
    for turn in 1..=TURNS {
        println!("turn {turn}");
        while journal.written_seq() < turn * SLOTS_A_TURN {
            append(&mut journal, 1 + random.below(40), None);
            match random.below(6) {
                0 => drop(journal.sync().unwrap()),
                1 => journal.maintain().unwrap(),
                _ => {}
            }
        }
        lines.next().unwrap().unwrap();
        if random.below(4) == 0 {
            drop(journal);
            let options = JournalOptions { pad_to_sector: random.below(2) == 0, ..tiny() };
            journal = Journal::resume(recover(dir).unwrap(), options).unwrap();
        }
    }
    println!("written {}", journal.close().unwrap());
}

fn start(dir: &Path, seed: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_writes_and_waits", "--ignored", "--nocapture"])
        .env("FOLLOW_DIR", dir)
        .env("SEED", seed.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The writer's next words, past those of the test harness; `None` when it has ended.
fn said(lines: &mut impl Iterator<Item = std::io::Result<String>>) -> Option<String> {
    let mut lines = lines.map(Result::unwrap);
    lines.find_map(|line| {
        let at = line.find("turn ").or_else(|| line.find("written "))?;
        Some(line[at..].to_owned())
    })
}

#[test]
fn every_record_once_in_order() {
    let seed = from_env("SEED", 1);
    for run in 0..from_env("RUNS", 3) {
        let seed = seed + run;
        println!("SEED={seed} RUNS=1 cargo test --test follow");
        let parent = temp_dir();
        let dir = parent.path().join("log");
        let mut child = start(&dir, seed);
        let mut go_on = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(said(&mut lines).as_deref(), Some("turn 1"), "the log is there");

        let mut reader = LogReader::open(&dir).unwrap();
        let (mut last_seq, mut segments, mut empty) = (0, 1, 0);
        for turn in 1..=TURNS {
            // While it is writing: what it has said that it will write comes, sooner or later.
            while last_seq < turn * SLOTS_A_TURN {
                let Some(found) = reader.next_record().unwrap() else {
                    empty += 1;
                    assert!(child.try_wait().unwrap().is_none(), "the writer has died");
                    std::thread::yield_now();
                    continue;
                };
                let found: Vec<Slot> = found.iter().map(layout::content).collect();
                assert_eq!(found, record(last_seq + 1), "after record {last_seq}");
                last_seq = found.last().unwrap()[0];
                segments = reader.record_position().segment;
            }
            writeln!(go_on).unwrap();
        }
        let mut words = said(&mut lines);
        while words.as_ref().is_some_and(|words| words.starts_with("turn ")) {
            words = said(&mut lines);
        }
        // The last turn may have written a little more than it had to.
        while let Some(found) = reader.next_record().unwrap() {
            let found: Vec<Slot> = found.iter().map(layout::content).collect();
            assert_eq!(found, record(last_seq + 1));
            last_seq = found.last().unwrap()[0];
        }
        assert_eq!(words, Some(format!("written {last_seq}")));
        assert!(child.wait().unwrap().success());
        let end = reader.end().unwrap();
        assert_eq!((end.last_seq, end.tail), (last_seq, Tail::Clean));
        assert!(segments > TURNS, "{segments} segments");
        println!("{last_seq} slots in {segments} segments; nothing new to see {empty} times");
    }
}
