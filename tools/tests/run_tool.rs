//! The binary `trade-engine`, run as a person runs it: alike twice, killed, interrupted, and given
//! what it cannot use. Whatever happens, its log verifies, and an error is one line.
#![cfg(unix)]

#[path = "common/place.rs"]
mod place;

use place::{CONFIG, Place, bars, good, inputs, json, records, refused, replay, trade_engine};
use serde_json::Value;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};
use trade_engine::event::{Body, Event, Record};

/// What two runs of the same must agree in.
fn result(document: &Value) -> Value {
    let keys = ["account", "positions", "orders", "trades", "rejects", "refused", "warnings"];
    let result: serde_json::Map<String, Value> =
        keys.iter().map(|key| ((*key).to_owned(), document[*key].clone())).collect();
    assert!(result.values().all(|value| !value.is_null()), "{document}");
    Value::Object(result)
}

/// What the summary and `replay state` say of the same thing, in the words of the latter.
fn same_state(run: &Value, state: &Value) {
    let same = |run: &Value, state: &Value| {
        for (key, value) in state.as_object().unwrap() {
            assert_eq!(&run[key], value, "{key}");
        }
    };
    same(&run["account"], &state["account"]);
    let positions = state["positions"].as_array().unwrap();
    assert_eq!(run["positions"].as_array().unwrap().len(), positions.len());
    for (at, position) in positions.iter().enumerate() {
        same(&run["positions"][at], position);
    }
}

/// Two runs are alike, and the log of one says what the run said.
fn alike_twice(mut run: impl FnMut(&str) -> Output, logs: &Place, trades_min: usize) {
    let first = json(&run("first"));
    assert_eq!(result(&first), result(&json(&run("second"))));
    let trades = first["trades"].as_array().unwrap().len();
    assert!(trades >= trades_min, "{trades} trades");
    let verified = good(&replay(&["verify"], &logs.path("first")));
    assert!(verified.ends_with("\ngood\n"), "{verified}");
    assert!(verified.contains("decided again  every input"), "{verified}");
    same_state(&first, &json(&replay(&["state", "--json"], &logs.path("first"))));
}

#[test]
fn two_runs_of_ones_own_bars_are_alike() {
    let place = Place::new();
    let run = |log: &str| place.command("data", log).arg("--json").output().unwrap();
    alike_twice(run, &place, 100);
    // What was made is the strategy's, and nobody else's.
    let summary = json(&run("third"));
    let pnl = |at: usize| summary["parts"]["strategies"][at]["pnl"].as_str().unwrap().to_owned();
    assert_eq!(summary["parts"]["strategies"][0]["strategy"], "momentum");
    assert_ne!(pnl(0), "0");
    assert_eq!(pnl(1), "0");
}

#[test]
#[cfg_attr(debug_assertions, ignore = "ten years take a debug build too long: run with --release")]
fn two_runs_of_the_main_job_are_alike() {
    let place = Place::new();
    let run = |log: &str| {
        trade_engine().args(["run", "--json", "--log"]).arg(place.path(log)).output().unwrap()
    };
    alike_twice(run, &place, 100);
}

#[test]
fn a_person_reads_what_came_of_it() {
    let place = Place::new();
    let said = good(&place.command("data", "log").args(["--trades", "3"]).output().unwrap());
    for part in ["Account (USD)", "Positions", "FILLED", "the last 3 of", "Latency", "Replay it:"] {
        assert!(said.contains(part), "{part} is missing:\n{said}");
    }
    assert!(said.contains("--bin replay -- verify"), "{said}");
}

#[test]
fn a_week_of_minute_bars_trades() {
    let place = Place::new();
    let mut command = trade_engine();
    command.args(["--config", "config/minute.toml", "--data", "data/minute_201310", "--json"]);
    // As fast as it goes: a debug build is slow enough.
    let output =
        command.args(["--pace", "flood", "--log"]).arg(place.path("log")).output().unwrap();
    let document = json(&output);
    assert!(!document["trades"].as_array().unwrap().is_empty());
    let verified = good(&replay(&["verify"], &place.path("log")));
    assert!(verified.ends_with("\ngood\n"), "{verified}");
}

/// A thread beside the run writes them; what they answer is what the log does.
#[test]
fn a_run_leaves_snapshots() {
    let place = Place::new();
    std::fs::write(place.path("data/AAA.csv"), bars(3_000, 12, None)).unwrap();
    std::fs::write(place.path("data/BBB.csv"), bars(3_000, 9, None)).unwrap();
    let run = |every: &str, log: &str| {
        let config = format!("{CONFIG}\n[log]\nsnapshot_every = {every}\n");
        std::fs::write(place.path("config.toml"), config).unwrap();
        good(&place.command("data", log).output().unwrap());
        let files = std::fs::read_dir(place.path(log)).unwrap().map(|e| e.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|ext| ext == "snap")).collect::<Vec<_>>()
    };
    let files = run("10000", "with");
    assert!(files.len() > 1, "{files:?}");
    let state = |seq: &str| good(&replay(&["state", "--at-seq", seq], &place.path("with")));
    let seqs = ["9000", "11000", "20500"];
    let with = seqs.map(state);
    for file in &files {
        std::fs::remove_file(file).unwrap();
    }
    assert_eq!(seqs.map(state), with);
    // Made anew, they are the ones that the run made.
    let again = good(&replay(&["snapshot", "--every", "10000"], &place.path("with")));
    assert_eq!(again.lines().count(), files.len());
    assert!(files.iter().all(|file| file.is_file()));
    assert!(run("\"none\"", "without").is_empty());
}

#[test]
fn a_flood_loses_nothing() {
    let place = Place::new();
    let output = place.command("data", "log").args(["--json", "--pace", "flood"]).output().unwrap();
    let document = json(&output);
    // 1,200 bars and as many marks, whatever was made of them.
    assert!(inputs(&place.path("log")) >= 2_400);
    good(&replay(&["verify"], &place.path("log")));
    same_state(&document, &json(&replay(&["state", "--json"], &place.path("log"))));
}

#[test]
fn a_killed_run_leaves_a_log_that_verifies() {
    let place = Place::new();
    let mut child = place.endless("log");
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    let log = place.path("log");
    let verified = good(&replay(&["verify"], &log));
    let last = records(&log).last().unwrap().last().unwrap()[0];
    assert!(verified.contains(&format!("seq {last} at ")), "{verified}");
    assert!(verified.contains("\ngood"), "{verified}");
    let state = json(&replay(&["state", "--json"], &log));
    assert_eq!(state["seq"], last);
    assert_eq!(state["account"]["currency"], "USD");
    // Who starts again there is told so, and harms nothing.
    let again = refused(&place.command("data", "log").arg("--json").output().unwrap());
    assert!(again.contains("not empty"), "{again}");
    assert_eq!(records(&log).last().unwrap().last().unwrap()[0], last);
}

#[test]
fn an_interrupted_run_ends_in_order() {
    let place = Place::new();
    let child = place.endless("log");
    let interrupt = format!("kill -INT {}", child.id());
    assert!(Command::new("sh").args(["-c", &interrupt]).status().unwrap().success());
    let document = json(&child.wait_with_output().unwrap());
    assert_eq!(document["interrupted"], true);
    let log = place.path("log");
    let verified = good(&replay(&["verify"], &log));
    assert!(verified.ends_with("\ngood\n"), "{verified}");
    let all = records(&log);
    let last = Record::decode(all.last().unwrap()).unwrap();
    assert!(matches!(last.body, Body::Event(Event::Checkpoint { .. })), "{last:?}");
    same_state(&document, &json(&replay(&["state", "--json"], &log)));
}

#[test]
fn bad_arguments_are_refused_in_one_line() {
    let place = Place::new();
    let said = |arguments: &[&str]| {
        let mut command = trade_engine();
        refused(&command.arg("--log").arg(place.path("none")).args(arguments).output().unwrap())
    };
    let cases: &[(&[&str], &str)] = &[
        (&["--data", "no/such/file.csv"], "no/such/file.csv: No such file"),
        (&["--data", "Cargo.toml"], "Cargo.toml: not a data file"),
        (&["--config", "no/such.toml"], "no/such.toml"),
        (&["--pace", "nonsense"], "--pace nonsense: expected lockstep"),
        (&["--pace", "realtime", "x0"], "--pace realtime x0: expected lockstep"),
        (&["--trades", "many"], "--trades"),
        (&["--nonsense"], "--nonsense"),
        (&["nonsense"], "nonsense"),
    ];
    for (arguments, part) in cases {
        let said = said(arguments);
        assert!(said.starts_with("trade-engine: ") && said.contains(part), "{arguments:?}: {said}");
    }
    assert!(!place.path("none").exists(), "a log was begun");
}

#[test]
fn bad_data_is_refused_with_file_and_line() {
    let place = Place::new();
    let header = "time,open,high,low,close,volume\n";
    let good_line = "2024-01-02T14:30:00Z,1,1,1,1,1\n";
    let cases = [
        ("AAA.csv", format!("{header}{good_line}2024-01-02T14:31:00Z,1,1,1\n"), "AAA.csv:3: "),
        ("AAA.csv", format!("{header}2024-01-02T14:31:00Z,1,1,x,1,1\n"), "AAA.csv:2: "),
        ("AAA.csv", format!("{header}{good_line}{good_line}"), "AAA.csv:3: "),
        ("AAA.csv", format!("{header}yesterday,1,1,1,1,1\n"), "AAA.csv:2: "),
        ("AAA.csv", format!("{header}2024-01-02T14:31:00Z,1,1,9999999999999,1,1\n"), "AAA.csv:2: "),
        ("AAA.csv", "a,b\n1,2\n".to_owned(), "AAA.csv:1: "),
        ("AAA.csv", String::new(), "AAA.csv:1: "),
        ("AAA.csv", header.to_owned(), "no bars"),
        ("ZZZ.csv", format!("{header}{good_line}"), "ZZZ"),
    ];
    std::fs::create_dir(place.path("bad")).unwrap();
    for (name, text, part) in cases {
        let file = format!("bad/{name}");
        std::fs::write(place.path(&file), &text).unwrap();
        let said = refused(&place.command(&file, "none").output().unwrap());
        assert!(said.contains(part), "{text:?}: {said}");
    }
    assert!(!place.path("none").exists(), "a log was begun");
}

#[test]
fn a_bad_configuration_is_refused_with_file_line_and_key() {
    let place = Place::new();
    let lines = CONFIG.lines().position(|line| line == "[risk]").unwrap();
    let text = CONFIG.replace("[risk]\n", "[risk]\nmax_typo = 3\n");
    std::fs::write(place.path("config.toml"), text).unwrap();
    let said = refused(&place.command("data", "none").arg("--json").output().unwrap());
    assert!(said.contains(&format!("config.toml:{}: ", lines + 2)), "{said}");
    assert!(said.contains("max_typo"), "{said}");
}

#[test]
fn a_log_has_one_writer_and_a_directory_of_its_own() {
    let place = Place::new();
    let mode = std::fs::Permissions::from_mode;
    std::fs::create_dir(place.path("full")).unwrap();
    std::fs::set_permissions(place.path("full"), mode(0o755)).unwrap();
    let said = refused(&place.command("data", "full").arg("--json").output().unwrap());
    assert!(said.contains("mode found 0755"), "{said}");
    std::fs::set_permissions(place.path("full"), mode(0o700)).unwrap();
    std::fs::write(place.path("full/letter"), "dear").unwrap();
    let said = refused(&place.command("data", "full").arg("--json").output().unwrap());
    assert!(said.contains("not empty"), "{said}");
    assert_eq!(std::fs::read_dir(place.path("full")).unwrap().count(), 1);

    let said = refused(&place.command("data", "AAA.csv").arg("--json").output().unwrap());
    assert!(said.contains("AAA.csv"), "{said}");
    let said = refused(&place.command("data", "AAA.csv/log").arg("--json").output().unwrap());
    assert!(said.contains("AAA.csv"), "{said}");

    let mut first = place.endless("log");
    let said = refused(&place.command("data", "log").arg("--json").output().unwrap());
    assert!(said.contains("another writer"), "{said}");
    assert!(first.try_wait().unwrap().is_none(), "the first writer was disturbed");
    first.kill().unwrap();
    first.wait().unwrap();
    good(&replay(&["verify"], &place.path("log")));
}

#[test]
fn a_place_that_takes_no_files_is_refused() {
    let place = Place::new();
    let closed = place.path("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::create_dir(closed.join("probe")).is_ok() {
        println!("skipped: whoever runs this may write anywhere");
        return;
    }
    let said = refused(&place.command("data", "closed/log").arg("--json").output().unwrap());
    assert!(said.contains("closed"), "{said}");
}

/// Mounts three megabytes of memory in a namespace of its own, where it is gone when the shell is,
/// and runs both programs on it.
#[test]
fn a_full_disk_is_said_and_what_was_recorded_verifies() {
    let place = Place::new();
    let disk = place.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let in_namespace = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c"]);
        let mount = format!("mount -t tmpfs -o size=3m tmpfs '{}' || exit 77; ", disk.display());
        command.arg(mount + script).output()
    };
    if !in_namespace("exit 0").is_ok_and(|output| output.status.success()) {
        println!("skipped: nothing can be mounted here");
        return;
    }
    // Segments of a megabyte, and more than three of records.
    let config = CONFIG.to_owned() + "\n[log]\nsegment_size = 1048576\n";
    let symbols: String = (0..40).fold(String::new(), |mut text, at| {
        write!(text, "\n[[instruments]]\nsymbol = \"S{at}\"\ntick_size = \"0.01\"\n").unwrap();
        let file = place.path(&format!("data/S{at}.csv"));
        std::fs::write(file, bars(600, 9, None)).unwrap();
        text
    });
    std::fs::write(place.path("config.toml"), config + &symbols).unwrap();
    let mut run = place.command("data", "disk/log");
    run.args(["--pace", "flood", "--json"]);
    let quoted = |command: &Command| {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| format!("'{}'", word.to_str().unwrap())).collect::<Vec<_>>().join(" ")
    };
    let mut verify = Command::new(env!("CARGO_BIN_EXE_replay"));
    verify.arg("verify").arg(disk.join("log"));
    let script = format!("{}; echo \"status $?\"; {}", quoted(&run), quoted(&verify));
    let output = in_namespace(&script).unwrap();
    let (said, verified) =
        (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(said.contains("no room"), "{said}\n{verified}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(verified.starts_with("status 1\n"), "{said}\n{verified}");
    assert!(verified.contains("\ngood"), "{verified}");
    assert!(output.status.success(), "{said}\n{verified}");
}

/// Whoever reads has gone before the first line: the run is played all the same, to its end.
#[test]
fn a_reader_that_is_gone_keeps_no_run_from_its_end() {
    let place = Place::new();
    let log = place.path("log");
    let mut command = place.command("data", "log");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
    assert!(good(&replay(&["verify"], &log)).ends_with("\ngood\n"));
    assert!(inputs(&log) > 1_200, "{} inputs", inputs(&log));
}
