//! `replay tail`: the last records of a log, and all that a running engine adds, as `events` has
//! them.

#[path = "common/place.rs"]
mod place;

use place::{Place, good, refused, replay};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

fn follow(log: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_replay"));
    let command = command.arg("tail").arg(log).arg("-f").args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_running_engine_is_followed_until_a_signal() {
    let place = Place::new();
    let log = place.path("log");
    let engine = place.endless("log");
    let mut tail = follow(&log, &["-n", "1000000", "--json"]);
    let mut late = follow(&log, &["-n", "0", "--inputs"]);
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut late_lines = BufReader::new(late.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first = lines.next().expect("a line while the engine runs");
    // Without a last record to begin with, the first line is one that was written since.
    let late_first = late_lines.next().expect("an engine that waits sends timers");
    signal(&engine, Signal::INT);
    assert!(engine.wait_with_output().unwrap().status.success());

    let all = good(&replay(&["events", "--json"], &log));
    let all: Vec<&str> = all.lines().collect();
    assert!(all.len() > 100, "{} events", all.len());
    let mut seen = vec![first];
    seen.extend(lines.by_ref().take(all.len() - 1));
    assert_eq!(seen, all, "every record once, in order");

    let all = good(&replay(&["events", "--inputs"], &log));
    let last = all.lines().last().unwrap();
    assert!(all.lines().any(|line| line == late_first));
    assert!(late_first == last || late_lines.any(|line| line == last));

    for (mut child, wanted) in [(tail, Signal::TERM), (late, Signal::INT)] {
        signal(&child, wanted);
        assert_eq!(child.wait().unwrap().code(), Some(0));
        let mut complaint = String::new();
        child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
        assert_eq!(complaint, "");
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn the_last_records_are_those_of_events() {
    let place = Place::new();
    let log = place.path("log");
    good(&place.command("data", "log").output().unwrap());
    for kinds in [&[][..], &["--inputs"], &["--json", "--inputs"]] {
        let all = good(&replay(&[&["events"][..], kinds].concat(), &log));
        let all: Vec<&str> = all.lines().collect();
        for (count, wanted) in [(10, vec![]), (3, vec!["-n", "3"]), (0, vec!["-n", "0"])] {
            let last = good(&replay(&[&["tail"][..], kinds, &wanted].concat(), &log));
            let expected = &all[all.len() - count..];
            assert_eq!(last.lines().collect::<Vec<_>>(), expected, "{kinds:?} {wanted:?}");
        }
        let whole = good(&replay(&[&["tail", "-n", "1000000"][..], kinds].concat(), &log));
        assert_eq!(whole.lines().collect::<Vec<_>>(), all);
    }
    let words = refused(&replay(&["tail", "-f"], &place.path("nothing")));
    assert!(words.contains("nothing"), "{words}");
    refused(&replay(&["tail", "-n", "1000001"], &log));
}
