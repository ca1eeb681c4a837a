//! The kill switch of the binary `trade-engine`: by file, by signal, by socket and by a rule, and
//! how it stays and is ended. What is waited for is looked for until it is there.
#![cfg(unix)]

#[path = "common/place.rs"]
mod place;

use place::{CONFIG, Place, bars, good, inputs, records, refused, replay, trade_engine};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use trade_engine::code::Code;
use trade_engine::event::{Body, Event, Record};
use trade_engine::input::{Input, Subject};
use trade_engine::order::ClOrdId;

/// What an operator said, the commands and what came of them, in the order of a log that may be
/// under way.
fn story(log: &Path) -> Vec<String> {
    let mut told = Vec::new();
    for slots in records(log) {
        let body = Record::decode(&slots).unwrap().body;
        match body {
            Body::Input(Input::Text { subject: Subject::Operator, text, .. }, _) => {
                told.push(text.as_str().to_owned());
            }
            Body::Input(Input::Halt { .. } | Input::Resume {}, _)
            | Body::Event(Event::Halted { .. } | Event::Resumed {}) => {
                told.push(body.name().to_owned());
            }
            Body::Opening(_) | Body::Input(..) | Body::Event(_) => {}
        }
    }
    told
}

/// Waits for something that a program that runs does.
fn until(run: &mut Run, what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(run.child().try_wait().unwrap().is_none(), "it ended before: {what}");
        // Far beyond what a slow machine takes: a hang should say where.
        assert!(begun.elapsed() < Duration::from_secs(300), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn ends_with(log: &Path, end: &[&str]) -> bool {
    story(log).ends_with(&end.iter().map(|told| (*told).to_owned()).collect::<Vec<_>>())
}

/// A run under way: it does not outlive a test that fails.
struct Run(Option<Child>);

impl Run {
    fn start(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self(Some(child))
    }

    fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("it has not been ended")
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn signal(child: &Child, name: &str) {
    let kill = format!("kill -{name} {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

/// A run that goes on until somebody ends it: the last bar is a year away.
fn endless(place: &Place, log: &str, arguments: &[&str]) -> Run {
    let mut command = place.command("AAA.csv", log);
    command.args(["--json", "--pace", "realtime", "x1000"]).args(arguments);
    let mut run = Run::start(&mut command);
    let log = place.path(log);
    until(&mut run, "part of it is in the log", || inputs(&log) >= 200);
    run
}

/// Ends a run in order; gives back what it said.
fn end(mut run: Run, log: &Path) -> Output {
    let child = run.0.take().expect("it has not been ended");
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    place::json(&output);
    let verified = good(&replay(&["verify"], log));
    assert!(verified.ends_with("\ngood\n"), "{verified}");
    output
}

fn switch(verb: &str, file: &Path, reason: &str) -> Output {
    trade_engine().arg(verb).arg(file).args(["--reason", reason]).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_file_halts_and_only_a_named_command_resumes() {
    let place = Place::new();
    let (log, file) = (place.path("log"), place.path("HALT"));
    let name = file.to_str().unwrap();
    let mut run = endless(&place, "log", &["--halt-file", name]);
    good(&switch("halt", &file, "a bad day"));
    until(&mut run, "halted", || ends_with(&log, &["a bad day", "halt", "halted"]));
    // Its mere deletion resumes nothing: it is written again.
    fs::remove_file(&file).unwrap();
    until(&mut run, "latched again", || file.exists());
    assert_eq!(fs::read_to_string(&file).unwrap(), "a bad day\n");
    assert!(ends_with(&log, &["halted"]));
    // Whoever halts once more is heard once more.
    good(&switch("halt", &file, "and worse"));
    until(&mut run, "heard", || ends_with(&log, &["and worse", "halt"]));
    good(&switch("resume", &file, "all is well"));
    until(&mut run, "resumed", || ends_with(&log, &["all is well", "resume", "resumed"]));
    let released = place.path("HALT.resumed");
    until(&mut run, "the words are used up", || !released.exists());
    assert!(!file.exists());
    // The next halt is a halt again.
    good(&switch("halt", &file, "not yet"));
    until(&mut run, "halted again", || ends_with(&log, &["not yet", "halt", "halted"]));
    let said = stderr(&end(run, &log));
    assert_eq!(said.matches("was deleted, which resumes nothing").count(), 1, "{said}");
    assert!(said.contains("halted by ") && said.contains("resumed: all is well"), "{said}");
    assert!(file.exists());
}

#[test]
fn a_halt_stands_until_it_is_resumed_whatever_starts_meanwhile() {
    let place = Place::new();
    let file = place.path("HALT");
    let name = file.to_str().unwrap();
    let log = place.path("first");
    let mut run = endless(&place, "first", &["--halt-file", name]);
    signal(run.child(), "USR1");
    until(&mut run, "halted", || ends_with(&log, &["SIGUSR1", "halt", "halted"]));
    until(&mut run, "latched", || file.exists());
    end(run, &log);
    assert_eq!(fs::read_to_string(&file).unwrap(), "SIGUSR1\n");

    // In lockstep, to the end: nothing is traded, and nothing comes before the halt.
    let run = |log: &str| {
        let mut command = place.command("data", log);
        command.args(["--json", "--halt-file", name]).output().unwrap()
    };
    let second = run("second");
    let document = place::json(&second);
    assert_eq!(document["trades"].as_array().unwrap().len(), 0);
    assert!(document["rejects"]["HALTED"].as_u64() > Some(100), "{}", document["rejects"]);
    let log = place.path("second");
    assert_eq!(story(&log), ["SIGUSR1", "halt", "halted"]);
    let all = records(&log);
    let bodies = all.iter().map(|slots| Record::decode(slots).unwrap().body);
    let inputs: Vec<Body> = bodies.filter(|body| matches!(body, Body::Input(..))).take(2).collect();
    assert!(matches!(inputs[0], Body::Input(Input::Text { .. }, _)), "{inputs:?}");
    assert!(matches!(inputs[1], Body::Input(Input::Halt { cancel_working: true }, _)));
    good(&replay(&["verify"], &log));
    assert!(file.exists());

    good(&switch("resume", &file, "checked by two"));
    let third = run("third");
    assert!(place::json(&third)["trades"].as_array().unwrap().len() > 100);
    assert_eq!(story(&place.path("third")), [""; 0]);
    assert!(stderr(&third).contains("resumed before this start: checked by two"));
    assert!(!place.path("HALT.resumed").exists() && !file.exists());
}

/// A halt stands in the log that is resumed, whoever has deleted its file; the named command ends
/// it, given while nothing ran.
#[test]
fn a_halt_in_a_resumed_log_ends_by_the_named_command_alone() {
    let place = Place::new();
    let file = place.path("HALT");
    let name = file.to_str().unwrap();
    let log = place.path("log");
    let mut run = endless(&place, "log", &["--halt-file", name]);
    good(&switch("halt", &file, "a bad day"));
    until(&mut run, "halted", || ends_with(&log, &["a bad day", "halt", "halted"]));
    drop(run);
    fs::remove_file(&file).unwrap();

    let resume = || {
        let mut command = trade_engine();
        command.arg("--config").arg(place.path("config.toml"));
        command.arg("--data").arg(place.path("AAA.csv")).arg("--resume").arg(&log);
        Run::start(command.args(["--json", "--pace", "realtime", "x1000", "--halt-file", name]))
    };
    let before = inputs(&log);
    let mut run = resume();
    until(&mut run, "it goes on", || inputs(&log) > before + 5);
    until(&mut run, "latched again", || file.exists());
    assert!(ends_with(&log, &["halt", "halted"]), "{:?}", story(&log));
    drop(run);

    good(&switch("resume", &file, "checked by two"));
    let mut run = resume();
    let told = ["halted", "checked by two", "resume", "resumed"];
    until(&mut run, "resumed", || ends_with(&log, &told));
    end(run, &log);
    assert!(!place.path("HALT.resumed").exists() && !file.exists());
}

#[test]
fn a_halted_lockstep_run_ends_in_order_on_interrupt() {
    let place = Place::new();
    let (log, file) = (place.path("log"), place.path("HALT"));
    // More than is played before the interrupt on most machines; on every one it ends in order.
    fs::write(place.path("BBB.csv"), bars(30_000, 9, None)).unwrap();
    fs::write(&file, "from the start").unwrap();
    let mut command = place.command("BBB.csv", "log");
    command.arg("--json").arg("--halt-file").arg(&file);
    let mut run = Run::start(&mut command);
    until(&mut run, "part of it is in the log", || inputs(&log) >= 200);
    let document = place::json(&end(run, &log));
    assert_eq!(document["trades"].as_array().unwrap().len(), 0);
    assert_eq!(story(&log), ["from the start", "halt", "halted"]);
}

#[test]
fn a_rule_latches_the_file_of_the_configuration() {
    let place = Place::new();
    let config = CONFIG
        .replace("max_drawdown_pct = \"none\"", "max_drawdown_pct = \"0.00001\"")
        .replace("[runtime]\n", "[runtime]\nhalt_file = \"switches/HALT\"\n");
    fs::write(place.path("config.toml"), config).unwrap();
    let file = place.path("switches/HALT");
    // Where it could never be written, nothing begins.
    let run = || place.command("data", "log").arg("--json").output().unwrap();
    let said = refused(&run());
    assert!(said.contains("switches/HALT"), "{said}");
    assert!(!place.path("log").exists(), "a log was begun");
    fs::create_dir(place.path("switches")).unwrap();
    let output = run();
    place::json(&output);
    assert_eq!(story(&place.path("log")), ["halted"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "halted by the engine: MAX_DRAWDOWN\n");
    assert!(stderr(&output).contains("trade-engine resume"), "{}", stderr(&output));
}

#[test]
fn whatever_is_in_the_files_place_halts() {
    let place = Place::new();
    let file = place.path("HALT");
    let name = file.to_str().unwrap();
    fs::create_dir(&file).unwrap();
    let run = |log: &str| {
        let mut command = place.command("data", log);
        place::json(&command.args(["--json", "--halt-file", name]).output().unwrap())
    };
    assert_eq!(run("directory")["trades"].as_array().unwrap().len(), 0);
    // What cannot be moved away is not.
    let said = refused(&switch("resume", &file, "go"));
    assert!(said.contains("HALT"), "{said}");
    fs::remove_dir(&file).unwrap();
    fs::write(&file, b"\xff\x00\x1b[2J\n").unwrap();
    assert_eq!(run("binary")["trades"].as_array().unwrap().len(), 0);
    let events = good(&replay(&["events"], &place.path("binary")));
    assert!(!events.contains('\x1b'), "it moves the cursor");
    let said = refused(&switch("resume", &place.path("none"), "go"));
    assert!(said.contains("not there"), "{said}");
    refused(&trade_engine().args(["halt", "HALT"]).output().unwrap());
}

/// One command to a run's socket.
fn control(socket: &Path, command: &[&str]) -> Output {
    trade_engine().arg("control").arg(socket).args(command).output().unwrap()
}

#[test]
fn a_socket_commands_a_run() {
    let place = Place::new();
    let (log, socket) = (place.path("log"), place.path("control"));
    let name = socket.to_str().unwrap();
    // Nobody has listened there since its owner died.
    drop(UnixListener::bind(&socket).unwrap());
    let mut run = endless(&place, "log", &["--control", name]);
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let ask = |command: &[&str]| good(&control(&socket, command));
    assert!(ask(&["status"]).starts_with("ok: trading; "));
    assert!(refused(&control(&socket, &["resume", "what?"])).contains("not halted"));
    assert!(ask(&["halt", "hold", "on"]).starts_with("ok: halted (OPERATOR) since record "));
    until(&mut run, "logged", || ends_with(&log, &["hold on", "halt", "halted"]));
    assert!(refused(&control(&socket, &["resume"])).contains("needs a reason"));
    assert!(ask(&["resume", "go on"]).starts_with("ok: trading; "));
    until(&mut run, "resumed", || ends_with(&log, &["go on", "resume", "resumed"]));
    // However long its words are, a kill is one.
    let words = "much ado ".repeat(500);
    assert!(ask(&["halt!", &words]).starts_with("ok: halted (OPERATOR)"));
    assert!(refused(&control(&socket, &["frobnicate"])).contains("unknown command"));
    assert!(refused(&control(&socket, &[&"x".repeat(2_000)])).contains("longer than"));
    // Another engine does not take the socket away.
    let mut other = place.command("data", "other");
    let said = refused(&other.args(["--json", "--control", name]).output().unwrap());
    assert!(said.contains("another engine listens there"), "{said}");
    assert!(!place.path("other").exists(), "a log was begun");
    assert!(ask(&["status"]).starts_with("ok: halted (OPERATOR)"));
    end(run, &log);
    assert!(!socket.exists());
    assert!(refused(&control(&socket, &["status"])).contains("control"));
}

/// The reasons for which orders were turned down, of a log that may be under way, and their orders.
fn denials(log: &Path) -> Vec<(ClOrdId, Code)> {
    let bodies = records(log).into_iter().map(|slots| Record::decode(&slots).unwrap().body);
    let denied = bodies.filter_map(|body| match body {
        Body::Event(Event::Denied { order, reason }) => Some((order, reason)),
        Body::Opening(_) | Body::Input(..) | Body::Event(_) => None,
    });
    denied.collect()
}

/// A limit holds from the next order on, is told wherever a log is, and is given back.
#[test]
fn a_socket_changes_limits() {
    let place = Place::new();
    let (log, socket) = (place.path("log"), place.path("control"));
    // More swings than are played in the time that anything here may take.
    fs::write(place.path("long.csv"), bars(30_000, 12, None)).unwrap();
    fs::create_dir(place.path("long")).unwrap();
    fs::rename(place.path("long.csv"), place.path("long/AAA.csv")).unwrap();
    let mut command = place.command("long", "log");
    command.args(["--json", "--pace", "realtime", "x100", "--control"]).arg(&socket);
    let mut run = Run::start(&mut command);
    until(&mut run, "part of it is in the log", || inputs(&log) >= 20);
    let refuse = |command: &[&str], expected: &str| {
        let said = refused(&control(&socket, command));
        assert!(said.contains(expected), "{said}");
    };
    refuse(&["limit"], "expected limit KEY VALUE, limit symbol NAME KEY VALUE");
    refuse(&["limit", "symbol", "BBB", "max_order_qty", "1"], "no symbol \"BBB\"; expected AAA");
    refuse(&["limit", "strategy", "luck", "max_repeats", "1"], "expected momentum");
    refuse(&["limit", "max_order_qty", "-1"], "below zero");
    assert_eq!(denials(&log), [], "a limit was changed");

    let give = |command: &[&str]| {
        let said = good(&control(&socket, command));
        let expected = format!("ok: {}: given to the engine; trading; ", command.join(" "));
        assert!(said.starts_with(&expected), "{said}");
    };
    give(&["limit", "symbol", "AAA", "max_order_qty", "1"]);
    until(&mut run, "an order was too large", || !denials(&log).is_empty());
    let (order, code) = denials(&log)[0];
    assert_eq!(code, Code::MaxOrderQty);
    give(&["limit", "symbol", "AAA", "max_order_qty", "none"]);
    give(&["limit", "symbol", "AAA", "max_order_notional", "0.5"]);
    let is_notional = |(_, code): &(ClOrdId, Code)| *code == Code::MaxOrderNotional;
    until(&mut run, "an order was too dear", || denials(&log).iter().any(is_notional));
    give(&["limit", "max_positions", "7"]);
    give(&["limit", "strategy", "momentum", "max_repeats", "900"]);
    end(run, &log);

    let events = good(&replay(&["events", "--inputs"], &log));
    let told = |from: &str| {
        let mut lines = events.lines().skip_while(|line| !line.contains(from));
        let mut next = || lines.next().unwrap_or_default().to_owned();
        [next(), next(), next()]
    };
    let [words, input, event] = told("limit symbol AAA max_order_qty 1");
    assert!(words.contains(">text") && words.contains("subject=operator"), "{words}");
    for line in [&input, &event] {
        let fields = "scope=instrument symbol=AAA key=max_order_qty value=1";
        assert!(line.ends_with(fields), "{line}");
    }
    assert!(input.contains(">set_limit ") && event.contains(" limit_set "), "{input}\n{event}");
    let state: Value = serde_json::from_str(&good(&replay(&["state", "--json"], &log))).unwrap();
    let changes = state["limits_changed"].as_array().unwrap();
    let rows: Vec<[&Value; 4]> = changes
        .iter()
        .map(|row| [&row["scope"], &row["name"], &row["key"], &row["limit"]])
        .collect();
    let expected = [
        [json!("account"), Value::Null, json!("max_positions"), json!("7")],
        [json!("instrument"), json!("AAA"), json!("max_order_qty"), Value::Null],
        [json!("instrument"), json!("AAA"), json!("max_order_notional"), json!("0.5")],
        [json!("strategy"), json!("momentum"), json!("max_repeats"), json!("900")],
    ];
    assert_eq!(rows, expected.each_ref().map(|row| row.each_ref()));
    let number = trade_engine_tools::names::number(order);
    let story = good(&replay(&["explain", "--order", &number], &log));
    let rule = story.lines().find(|line| line.contains("MAX_ORDER_QTY") && line.contains("BROKEN"));
    let rule = rule.unwrap_or_else(|| panic!("{story}"));
    assert!(rule.split_whitespace().any(|word| word == "1"), "{rule}");
    assert!(!story.contains("is another than the rules give now"), "{story}");
}

#[test]
fn a_socket_and_a_halt_file_agree() {
    let place = Place::new();
    let (log, socket, file) = (place.path("log"), place.path("control"), place.path("HALT"));
    let arguments = ["--control", socket.to_str().unwrap(), "--halt-file", file.to_str().unwrap()];
    let mut run = endless(&place, "log", &arguments);
    good(&control(&socket, &["halt!", "by", "socket"]));
    until(&mut run, "latched", || {
        fs::read_to_string(&file).is_ok_and(|text| text == "by socket\n")
    });
    good(&control(&socket, &["resume", "by socket, too"]));
    until(&mut run, "released", || !file.exists());
    until(&mut run, "logged", || ends_with(&log, &["by socket, too", "resume", "resumed"]));
    good(&switch("halt", &file, "by file"));
    until(&mut run, "halted", || ends_with(&log, &["by file", "halt", "halted"]));
    end(run, &log);
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let place = Place::new();
    fs::write(place.path("letter"), "dear").unwrap();
    let name = place.path("letter");
    let mut command = place.command("data", "log");
    let said = refused(&command.arg("--json").arg("--control").arg(&name).output().unwrap());
    assert!(said.contains("something else than a socket"), "{said}");
    assert!(!place.path("log").exists(), "a log was begun");
    assert!(!fs::metadata(&name).unwrap().file_type().is_socket());
    assert_eq!(fs::read_to_string(&name).unwrap(), "dear");
}

/// A kill must find room for a cancel of every order: settings without it are refused before
/// anything is written.
#[test]
fn too_small_a_ring_is_refused() {
    let place = Place::new();
    let config = format!("{CONFIG}\n[capacity]\norders = 4096\nevent_ring_slots = 4096\n");
    fs::write(place.path("config.toml"), config).unwrap();
    let said = refused(&place.command("data", "log").arg("--json").output().unwrap());
    assert!(said.contains("capacity.event_ring_slots: 4096; expected at least "), "{said}");
    assert!(!place.path("log").exists(), "a log was begun");
}
