//! SIGKILL with an outside witness. The engine runs as a child, against a venue in a process of its
//! own that writes down every order before it answers. At a random instant the engine is killed. No
//! order that the venue has may be missing from the log; what is recovered is the fold of what was
//! recorded; and the run that goes on ends with the venue's own books.
//!
//! `RUNS=10000 cargo test -p trade_engine_tools --test kill` kills so often by each release policy;
//! `SEED=` repeats the choices, though not the machine's timing; `RELEASE=immediate` shows that the
//! witness sees what that policy loses.
#![cfg(unix)]

#[path = "common/place.rs"]
mod place;
#[path = "../../tests/common/random.rs"]
#[allow(dead_code)]
mod random;

use place::{bars, good, trade_engine};
use random::Random;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use trade_engine::broker::Broker;
use trade_engine::codec::Slot;
use trade_engine::engine::State;
use trade_engine::event::{Body, Event, Record};
use trade_engine::input::Input;
use trade_engine::journal::{JournalOptions, LogReader, layout};
use trade_engine::order::ClOrdId;
use trade_engine::replay::{Redecide, Replay};
use trade_engine::resume::take_up;
use trade_engine::units::Ts;
use trade_engine_tools::venue::VenueLine;

/// Contracts that are traded, and bars of each: more than a life of a few kills plays.
const SYMBOLS: [&str; 4] = ["AAA", "BBB", "CCC", "DDD"];
const BARS: u32 = 160;
/// Kills of one log, at most: a log that was killed often takes long to read.
const KILLS_PER_LOG: u64 = 10;

/// A child that does not outlive its test.
struct Process(Child);

impl Process {
    fn kill(&mut self) {
        // SIGKILL: nothing of the child runs after it.
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One log, and the venue that it trades at.
struct Life {
    root: tempfile::TempDir,
    _venue: Process,
}

/// In memory where there is one: a log that is killed often waits for no disk.
fn temp_dir() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let in_memory = memory.is_dir().then(|| tempfile::tempdir_in(memory).ok()).flatten();
    in_memory.unwrap_or_else(|| tempfile::tempdir().unwrap())
}

/// The place's configuration with more contracts, small tables, a venue that takes its time, and a
/// release policy.
fn config(release: &str) -> String {
    let mut text = place::CONFIG.replace(
        "idle_engine = \"yield\"",
        // Nobody spins: three processes share what cores there are.
        &format!(
            "idle_engine = \"park\"\nidle_journal = \"park\"\nidle_broker = \"park\"\n\
             idle_gateway = \"park\"\nrelease = \"{release}\""
        ),
    );
    text = text.replace("sizing_pct = \"0.1\"", "sizing_pct = \"0.01\"");
    text = text.replace("lookback = 3", "lookback = 2").replace("\"0.002\"", "\"0.0002\"");
    text = text.replace(
        "commission_per_share = \"0.01\"",
        "commission_per_share = \"0.01\"\nlatency_ms = 1500\npartial_fill_qty = \"40\"\n\
         reject_rate = \"0.1\"\nseed = 7",
    );
    text += "\n[capacity]\norders = 512\nexecutions = 65536\nevent_ring_slots = 4096\n\
             [log]\nsegment_size = 65536\n";
    let more = SYMBOLS[2..].iter();
    more.fold(text, |text, symbol| {
        text + &format!("[[instruments]]\nsymbol = \"{symbol}\"\ntick_size = \"0.01\"\n")
    })
}

impl Life {
    fn begin(release: &str) -> Self {
        let root = temp_dir();
        let path = |name: &str| root.path().join(name);
        fs::write(path("config.toml"), config(release)).unwrap();
        fs::create_dir(path("data")).unwrap();
        for (symbol, period) in SYMBOLS.iter().zip([3, 4, 5, 7]) {
            fs::write(path("data").join(format!("{symbol}.csv")), bars(BARS, period, None))
                .unwrap();
        }
        let mut command = trade_engine();
        command.arg("venue").arg(path("venue.sock")).arg("--config").arg(path("config.toml"));
        command.arg("--record").arg(path("record"));
        // Engines that die in the middle of a word are what it is here for.
        let venue = Process(command.stderr(Stdio::null()).spawn().unwrap());
        let begun = Instant::now();
        while !path("venue.sock").exists() {
            assert!(begun.elapsed() < Duration::from_secs(60), "the venue does not listen");
            std::thread::sleep(Duration::from_millis(1));
        }
        Self { root, _venue: venue }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A run: the first of a log, or one that goes on.
    fn command(&self) -> Command {
        let mut command = trade_engine();
        let how = if self.path("log").exists() { "--resume" } else { "--log" };
        command.arg("run").arg(how).arg(self.path("log")).arg("--venue");
        command.arg(self.path("venue.sock")).arg("--config").arg(self.path("config.toml"));
        command.arg("--data").arg(self.path("data")).args(["--json", "--pace", "flood"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Lines of the witness so far.
    fn witnessed(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("record")).unwrap_or_default();
        let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Bytes of the witness so far.
    fn size(&self) -> u64 {
        fs::metadata(self.path("record")).map_or(0, |file| file.len())
    }

    /// Starts a run and kills it at a random instant. `false`: it came to its end before.
    fn kill_one(&self, random: &mut Random) -> bool {
        // Nobody reads what it says: a pipe that is full would keep it from its end.
        let mut run = Process(self.command().stdout(Stdio::null()).spawn().unwrap());
        let begin = self.size();
        // One in six before it has sent anything: while it starts, recovers or asks the venue.
        let bytes = if random.below(6) == 0 { 0 } else { 1 + random.below(12_000) };
        let late = Duration::from_micros(random.below(if bytes == 0 { 100_000 } else { 3_000 }));
        while self.size() < begin + bytes {
            if run.0.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        std::thread::sleep(late);
        let ended = run.0.try_wait().unwrap();
        run.kill();
        if let Some(status) = ended {
            assert!(status.success(), "a run that nobody killed ends well: {status}");
        }
        ended.is_none()
    }
}

/// Every whole record of a log; empty if there is none yet.
fn records(dir: &Path) -> Vec<Vec<Slot>> {
    let Ok(mut reader) = LogReader::open(dir) else { return Vec::new() };
    let mut found = Vec::new();
    while let Some(slots) = reader.next_record().unwrap() {
        found.push(slots.iter().map(layout::content).collect());
    }
    found
}

/// Folds a log and decides it again. The state at its end, what the last group lacks included.
fn verified(records: &[Vec<Slot>]) -> Option<(State, String)> {
    let (mut replay, mut redecide) = (Replay::default(), Redecide::default());
    for slots in records {
        replay.next(slots).unwrap();
        redecide.next(slots).unwrap();
    }
    let config = replay.config().to_owned();
    let folded = replay.into_state()?.hash();
    let whole = redecide.missing_slots() == 0;
    let state = redecide.into_engine()?.state().clone();
    assert!(!whole || state.hash() == folded);
    Some((state, config))
}

/// No order leaves between a restart and the end of its reconciliation.
fn assert_asked_first(records: &[Vec<Slot>]) {
    let mut asking = false;
    for slots in records {
        let body = Record::decode(slots).unwrap().body;
        if let Body::Input(Input::Restart { .. }, _) = body {
            asking = true;
        } else if let Body::Input(Input::Reconciled { .. }, _) = body {
            asking = false;
        } else if let Body::Event(Event::Submitted { order }) = body {
            assert!(!asking, "order {order:?} left before the venue was asked");
        }
    }
}

/// Orders that the venue has and the log has not.
fn missing(witnessed: &[Value], records: &[Vec<Slot>]) -> Vec<u64> {
    let submitted = records.iter().filter_map(|slots| {
        let Body::Event(Event::Submitted { order }) = Record::decode(slots).unwrap().body else {
            return None;
        };
        Some(order.0)
    });
    let submitted: BTreeSet<u64> = submitted.collect();
    let got = witnessed.iter().filter(|line| line["got"] == "new");
    got.map(|line| line["order"].as_u64().unwrap()).filter(|id| !submitted.contains(id)).collect()
}

/// A copy of a log is recovered: what it was stays, byte for byte, and the state is its fold.
fn assert_recovers(life: &Life, before: &[Vec<Slot>], state: &State) {
    let (log, copy) = (life.path("log"), life.path("copy"));
    let mut command = Command::new("cp");
    assert!(command.arg("-rp").arg(&log).arg(&copy).status().unwrap().success());
    let options = JournalOptions {
        segment_size: 65_536,
        decide_version: trade_engine::event::DECIDE_VERSION,
        pad_to_sector: false,
    };
    let recovered = take_up(&copy, options).unwrap();
    let found = recovered.ending().found_seq;
    drop(recovered);
    let after = records(&copy);
    assert_eq!(after[..before.len()], *before, "a recovery changed what was there");
    assert_eq!(found, before.last().map_or(0, |slots| slots.last().unwrap()[0]));
    // The restart is the one record behind the state that the log's end gives.
    let (last, all) = after.split_last().unwrap();
    assert!(matches!(Record::decode(last).unwrap().body, Body::Input(Input::Restart { .. }, _)));
    assert_eq!(verified(all).unwrap().0.hash(), state.hash(), "not the fold of what was recorded");
    fs::remove_dir_all(&copy).unwrap();
}

/// The books here are the venue's: what is held, what traded, what is at work.
fn assert_alike(life: &Life, state: &State, config: &str, records: &[Vec<Slot>]) {
    let witnessed = life.witnessed();
    let mut held: BTreeMap<u64, i64> = BTreeMap::new();
    let mut traded: BTreeMap<String, u32> = BTreeMap::new();
    for line in witnessed.iter().filter(|line| line["said"] == "trade") {
        let qty = line["qty"].as_i64().unwrap();
        let signed = if line["side"] == "buy" { qty } else { -qty };
        *held.entry(line["instrument"].as_u64().unwrap()).or_default() += signed;
        *traded.entry(line["exec"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    for (at, book) in state.books().iter().enumerate() {
        let there = held.get(&(at as u64)).copied().unwrap_or(0);
        assert_eq!(book.position.qty.0, there, "{} is held otherwise", book.spec.symbol);
    }
    let mut booked: BTreeMap<String, u32> = BTreeMap::new();
    for slots in records {
        if let Body::Event(Event::Traded { exec, .. }) = Record::decode(slots).unwrap().body {
            *booked.entry(format!("{:032x}", exec.0)).or_default() += 1;
        }
    }
    assert_eq!(booked, traded, "every execution exactly once");
    let mut line = VenueLine::open(&life.path("venue.sock"), config).unwrap();
    let there = line.statement(Ts(i64::MAX), &[]).unwrap().orders;
    let there: BTreeSet<ClOrdId> = there.iter().map(|order| order.terms.order).collect();
    let here = state.orders().iter().filter(|order| order.is_out()).map(|order| order.id);
    assert_eq!(here.collect::<BTreeSet<_>>(), there, "other orders are at work");
    let ids: Vec<&Value> =
        witnessed.iter().filter(|l| l["got"] == "new").map(|l| &l["order"]).collect();
    let once: BTreeSet<u64> = ids.iter().map(|id| id.as_u64().unwrap()).collect();
    assert_eq!(once.len(), ids.len(), "an id came twice");
}

/// What came of many kills.
#[derive(Debug, Default)]
struct Tally {
    kills: u64,
    orders: usize,
    missing: usize,
    logs: u64,
}

fn kill_many(release: &str, kills: u64, seed: u64) -> Tally {
    let mut random = Random::new(seed);
    let mut tally = Tally::default();
    while tally.kills < kills {
        let life = Life::begin(release);
        tally.logs += 1;
        let deaths = (kills - tally.kills).min(1 + random.below(KILLS_PER_LOG));
        for _ in 0..deaths {
            if !life.kill_one(&mut random) {
                break;
            }
            tally.kills += 1;
            let context = format!("{release} SEED={seed}, kill {}", tally.kills);
            let before = records(&life.path("log"));
            let Some((state, config)) = verified(&before) else {
                // Killed before its head was whole: nothing can have been sent, and it begins anew.
                assert_eq!(life.size(), 0, "{context}: sent before the log had begun");
                let _ = fs::remove_dir_all(life.path("log"));
                continue;
            };
            // Behind all that the dead engine had said: the venue takes one line after the other.
            drop(VenueLine::open(&life.path("venue.sock"), &config).unwrap());
            let lost = missing(&life.witnessed(), &before);
            tally.missing += lost.len();
            if release != "immediate" {
                assert_eq!(lost, [0; 0], "{context}: orders at the venue are not in the log");
            }
            assert_asked_first(&before);
            assert_recovers(&life, &before, &state);
        }
        tally.orders += life.witnessed().iter().filter(|line| line["got"] == "new").count();
        if release != "immediate" {
            // And one that nobody kills.
            good(&life.command().output().unwrap());
            let whole = records(&life.path("log"));
            let (state, config) = verified(&whole).unwrap();
            assert_asked_first(&whole);
            assert_alike(&life, &state, &config, &whole);
        }
    }
    tally
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn no_kill_leaves_an_order_at_the_venue_that_the_log_does_not_have() {
    let (kills, seed) = (number("RUNS", 100), number("SEED", 1));
    let releases = std::env::var("RELEASE").unwrap_or_else(|_| "written synced".to_owned());
    for release in releases.split(' ') {
        let tally = kill_many(release, kills, seed);
        println!("release = {release}, SEED={seed}: {tally:?}");
        assert!(tally.orders > 0, "nothing was sent: the test tests nothing");
        assert_eq!(tally.missing, 0, "orders at the venue are not in the log");
    }
}
