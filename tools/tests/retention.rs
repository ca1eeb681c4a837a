//! A log whose first segments are archived, as the programs answer of it: what is there as the whole
//! log has it, what is not by name; put back, it answers as before to the byte.
#![cfg(unix)]

#[path = "common/place.rs"]
mod place;

use place::{CONFIG, Place, bars, good, json, refused, replay, trade_engine};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use trade_engine::journal::layout::{segment_id_of, segment_name};
use trade_engine::journal::{Journal, JournalOptions, LogReader, recover};
use trade_engine::snapshot;

/// The log of a run, in the smallest segments that a configuration allows.
fn log(place: &Place) -> PathBuf {
    configure(place, "");
    good(&place.command("data", "log").output().unwrap());
    let log = place.path("log");
    assert!(segments(&log).len() > 5, "{:?}", segments(&log));
    log
}

fn configure(place: &Place, more: &str) {
    let text = format!("{CONFIG}\n[log]\nsegment_size = 65536\n{more}");
    fs::write(place.path("config.toml"), text).unwrap();
}

fn segments(dir: &Path) -> Vec<u64> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let mut ids: Vec<u64> = names.filter_map(|name| segment_id_of(name.to_str()?)).collect();
    ids.sort_unstable();
    ids
}

fn snapshots(log: &Path) -> Vec<PathBuf> {
    snapshot::list(log, snapshot::UpTo::End).unwrap()
}

fn archive(place: &Place, log: &Path, keep: &str) -> Output {
    replay(&["archive", "--keep", keep, "--to", place.path("old").to_str().unwrap()], log)
}

/// Copies everything back, as `cp -p` does.
fn put_back(place: &Place, log: &Path) {
    for entry in fs::read_dir(place.path("old")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, log.join(path.file_name().unwrap())).unwrap();
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// What the programs say of a log, everything that they are asked.
fn answers(place: &Place, log: &Path, last: u64) -> Vec<Output> {
    let seqs = [last / 3, last / 2, last - 100, last].map(|seq| seq.to_string());
    let mut answers: Vec<Output> =
        seqs.iter().map(|seq| replay(&["state", "--at-seq", seq, "--json"], log)).collect();
    answers.push(replay(&["state", "--at-time", "2024-01-02T14:05:00Z"], log));
    for command in [
        &["verify"][..],
        &["events", "--inputs"],
        &["events", "--symbol", "BBB", "--json"],
        &["explain", "--order", "1-3"],
        &["tail", "-n", "50"],
    ] {
        answers.push(replay(command, log));
    }
    let to = place.path("tables");
    let to = to.to_str().unwrap();
    answers.push(replay(&["export", "--format", "csv", "--force", "--out", to], log));
    let mut tables: Vec<PathBuf> =
        fs::read_dir(to).unwrap().map(|entry| entry.unwrap().path()).collect();
    tables.sort();
    let tables: Vec<u8> = tables.iter().flat_map(|path| fs::read(path).unwrap()).collect();
    let exported = answers.last_mut().unwrap();
    assert!(exported.stdout.is_empty());
    exported.stdout = tables;
    answers
}

fn last_seq(log: &Path) -> u64 {
    LogReader::open(log).unwrap().end().unwrap().last_seq
}

#[test]
fn put_back_a_log_answers_as_before() {
    let place = Place::new();
    let log = log(&place);
    let last = last_seq(&log);
    good(&replay(&["snapshot", "--every", "500"], &log));
    let before = answers(&place, &log, last);
    assert!(before.iter().all(|answer| answer.status.success()), "{before:?}");
    let count = segments(&log).len() as u64;

    let said = good(&archive(&place, &log, "3"));
    assert!(said.starts_with("00000001.seg\n"), "{said}");
    assert!(said.contains(&format!("{} segments moved to ", count - 3)), "{said}");
    assert_eq!(segments(&log), (count - 2..=count).collect::<Vec<_>>());
    assert_eq!(segments(&place.path("old")), (1..=count - 3).collect::<Vec<_>>());
    assert!(answers(&place, &log, last) != before);

    put_back(&place, &log);
    assert!(answers(&place, &log, last) == before, "put back, it answers otherwise");
}

#[test]
fn a_shortened_log_answers_as_the_whole_one_and_names_what_it_lacks() {
    let place = Place::new();
    let log = log(&place);
    let last = last_seq(&log);
    good(&replay(&["snapshot", "--every", "500"], &log));
    let whole = |arguments: &[&str]| good(&replay(arguments, &log));
    let seqs = [last - 100, last].map(|seq| seq.to_string());
    let state = |seq: &String| whole(&["state", "--at-seq", seq, "--json"]);
    let states = seqs.each_ref().map(state);
    let (events, tail) = (whole(&["events", "--inputs"]), whole(&["tail", "-n", "20"]));
    let verified = whole(&["verify"]);
    let row = |said: &str, name: &str| {
        let line = said.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let root = row(&verified, "root").split_whitespace().nth(1).unwrap().to_owned();
    good(&archive(&place, &log, "3"));
    let old = place.path("old").canonicalize().unwrap();
    let gone = segments(&log)[0] - 1;

    // Everything as before, from where it begins.
    assert_eq!(seqs.each_ref().map(state), states);
    assert_eq!(whole(&["tail", "-n", "20"]), tail);
    let shortened = replay(&["events", "--inputs"], &log);
    let note = stderr(&shortened);
    let words = format!(": segments 1 to {gone} are archived in {}; put back", old.display());
    assert!(note.contains(&words), "{note}");
    let shortened = good(&shortened);
    assert!(events.ends_with(&shortened) && shortened.lines().count() > 100);
    let said = good(&replay(&["verify", "--root", &root], &log));
    for name in ["last record", "state", "root ", "decided again", "end"] {
        assert_eq!(row(&said, name), row(&verified, name));
    }
    let begins = note.split("begins at record ").nth(1).unwrap().split(':').next().unwrap();
    assert!(said.ends_with(&format!("\ngood, from record {begins} on\n")), "{said}");
    assert!(row(&said, "proved").contains("in part: the log here begins"), "{said}");

    // What it lacks, by name.
    let said = refused(&replay(&["state", "--at-seq", "5"], &log));
    assert!(said.contains("record 5: archived"), "{said}");
    assert!(said.contains(&format!("the log here begins at record {begins}{words}")), "{said}");
    let asked = replay(&["state", "--at-time", "2024-01-02T14:00:05Z"], &log);
    assert_eq!(asked.status.code(), Some(2));
    assert!(stderr(&asked).contains("archived"), "{}", stderr(&asked));
    let said = refused(&replay(&["explain", "--order", "9-1"], &log));
    assert!(said.contains("no order of that name or number; the log here begins"), "{said}");
    // An order that the state still holds is known, though its story is archived.
    let held = replay(&["explain", "--order", "1-1"], &log);
    assert!(stderr(&held).contains("the log here begins"), "{}", stderr(&held));
    let end = good(&held).lines().last().unwrap().to_owned();
    let words = format!(" in 0 trades from record {begins} on");
    assert!(end.contains("FILLED") && end.ends_with(&words), "{end}");
    let said = refused(&replay(&["salvage", place.path("new").to_str().unwrap()], &log));
    assert!(said.contains("a salvaged log begins with the first record"), "{said}");
}

#[test]
fn without_its_snapshots_it_says_which_file_is_missing_and_where_it_is() {
    let place = Place::new();
    let log = log(&place);
    good(&replay(&["snapshot", "--every", "500"], &log));
    good(&archive(&place, &log, "3"));
    let kept = snapshots(&log);
    for path in &kept {
        fs::rename(path, path.with_extension("away")).unwrap();
    }
    let old = place.path("old").canonicalize().unwrap();
    for command in ["verify", "state", "events", "tail", "snapshot"] {
        let output = replay(&[command], &log);
        assert_eq!(output.status.code(), Some(1), "{command}");
        let said = refused(&output);
        let words = format!("00000001.seg: archived in {}", old.display());
        assert!(said.contains(&words) && said.contains("no snapshot here"), "{said}");
    }
    let output = place.command("data", "log").output().unwrap();
    assert!(!output.status.success());
    // The note gone, too: nobody has archived it.
    fs::remove_file(log.join("archived")).unwrap();
    let said = refused(&replay(&["verify"], &log));
    assert!(said.contains("00000001.seg: missing"), "{said}");
    put_back(&place, &log);
    assert!(good(&replay(&["verify"], &log)).ends_with("\ngood\n"));
}

#[test]
fn what_stays_is_said() {
    let place = Place::new();
    let log = log(&place);
    let before = segments(&log);
    let stays = |keep: &str, words: &str| {
        let output = archive(&place, &log, keep);
        assert!(good(&output).is_empty());
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
        assert_eq!(segments(&log), before);
    };
    stays("2", "00000001.seg stays: no snapshot of what is synced lies behind it");
    good(&replay(&["snapshot", "--every", "500"], &log));
    stays("1000", "the log has no more segments than are kept");
    for path in snapshots(&log) {
        fs::write(path, "no snapshot").unwrap();
    }
    stays("2", "no snapshot behind it is believed");
    assert!(!place.path("old").exists());
    for path in snapshots(&log) {
        fs::remove_file(path).unwrap();
    }
    good(&replay(&["snapshot", "--every", "500"], &log));

    // Another log's segment of the same name, and a log that is being written.
    fs::create_dir(place.path("old")).unwrap();
    fs::write(place.path("old").join(segment_name(1)), "another log's").unwrap();
    let output = archive(&place, &log, "2");
    assert_eq!(output.status.code(), Some(1));
    let said = refused(&output);
    assert!(said.contains("00000001.seg is there already, with other bytes"), "{said}");
    fs::remove_file(place.path("old").join(segment_name(1))).unwrap();
    let options = JournalOptions { segment_size: 65_536, ..JournalOptions::default() };
    let writer = Journal::resume(recover(&log).unwrap(), options).unwrap();
    let output = archive(&place, &log, "2");
    assert_eq!(output.status.code(), Some(2));
    assert!(refused(&output).contains("another writer"), "{}", stderr(&output));
    drop(writer);
    let output = archive(&place, &place.path("data"), "2");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(!place.path("data").join("lock").exists());
}

/// Beside a run, and at its end; taken up again it goes on, and what it says is of all of it.
#[test]
fn a_run_archives_what_may_go() {
    let place = Place::new();
    fs::write(place.path("data/AAA.csv"), bars(3_000, 12, None)).unwrap();
    fs::write(place.path("data/BBB.csv"), bars(3_000, 9, None)).unwrap();
    let run = |log: &str| json(&place.command("data", log).arg("--json").output().unwrap());
    configure(&place, "snapshot_every = 10000\n");
    let whole = run("whole");
    configure(&place, "snapshot_every = 10000\nkeep_segments = 4\narchive = \"old\"\n");
    let kept = run("kept");
    for key in ["equity", "realized_pnl", "unrealized_pnl", "commission"] {
        assert_eq!(kept["account"][key], whole["account"][key], "{key}");
    }
    assert!(whole["log"]["begins"].is_null());
    let begins = kept["log"]["begins"].as_str().unwrap();
    let (log, old) = (place.path("kept"), place.path("old/kept"));
    assert!(begins.contains(&old.canonicalize().unwrap().display().to_string()), "{begins}");
    assert_eq!(fs::metadata(&old).unwrap().permissions().mode() & 0o777, 0o700);
    let (here, there) = (segments(&log), segments(&old));
    // How many, hangs on how often there was time for a sync: each leaves a mark in the log.
    let all = [there.as_slice(), &here].concat();
    assert!(all.iter().copied().eq(1..=all.len() as u64), "{all:?}");
    assert!(here.len() >= 4 && !there.is_empty(), "{here:?} {there:?}");
    let said = good(&replay(&["verify"], &log));
    assert!(said.contains("\ngood, from record "), "{said}");
    let state = |log: &str| json(&replay(&["state", "--json"], &place.path(log)));
    assert_eq!(state("kept")["account"], state("whole")["account"]);

    // Over already, so that nothing is traded: it is taken up, and ends again.
    let resumed = |log: &str| {
        let mut command = trade_engine();
        command.arg("--config").arg(place.path("config.toml"));
        command.arg("--data").arg(place.path("data")).arg("--resume").arg(place.path(log));
        json(&command.arg("--json").output().unwrap())
    };
    let again = resumed("kept");
    assert_eq!(again["account"], kept["account"]);
    assert_eq!(again["account"]["equity"], resumed("whole")["account"]["equity"]);
    assert!(good(&replay(&["verify"], &log)).contains("\ngood, from record "));
    for id in segments(&old) {
        let name = segment_name(id);
        fs::copy(old.join(&name), log.join(&name)).unwrap();
        let name = name.replace("seg", "seal");
        fs::copy(old.join(&name), log.join(&name)).unwrap();
    }
    let said = good(&replay(&["verify"], &log));
    assert!(said.ends_with("\ngood\n"), "{said}");
}
