//! The state of any time, in a log of many records: the answer is the same with snapshots and
//! without, and with them it does not depend on how long the log is.
//!
//! A small log in the gate. `RECORDS=100000000 EVERY=1000000 cargo test --profile shipped-checks -p
//! trade_engine_tools --test time_travel -- --nocapture` writes one of a hundred million slots (six
//! and a half gigabytes, under `TMPDIR`) with the real engine, and prints how long answers take, and
//! how long a restart.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use trade_engine::broker::{Broker, Reports, SimSettings, SimulatedBroker};
use trade_engine::config::canonical;
use trade_engine::engine::{Engine, Outbound, Output as Records};
use trade_engine::event::DECIDE_VERSION;
use trade_engine::input::Input;
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::journal::{Journal, JournalOptions, Slot};
use trade_engine::limits::{EXECUTIONS_MAX, PRICE_SCALE};
use trade_engine::order::{ClOrdId, Flags, OrdType, Tif};
use trade_engine::resume::take_up;
use trade_engine::settings::Settings;
use trade_engine::snapshot::{self, UpTo};
use trade_engine::units::{Price, Qty, Side, Ts};
use trade_engine_tools::snapshots::SnapshotThread;

const SYMBOLS: [&str; 4] = ["ES", "NQ", "CL", "GC"];
/// Nanoseconds from one input to the next.
const STEP: i64 = 1_000_000;
/// 2026-01-05T15:00:00Z.
const START: i64 = 1_767_625_200_000_000_000;

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[derive(Default)]
struct Outbox {
    records: Vec<Slot>,
    messages: Vec<Outbound>,
}

impl Records for Outbox {
    fn record(&mut self, slots: &[Slot]) {
        self.records.extend_from_slice(slots);
    }

    fn send(&mut self, outbound: &Outbound) {
        self.messages.push(*outbound);
    }
}

/// An engine with a simulated venue and a journal, whose log is not kept in memory.
struct Plant {
    engine: Engine,
    venue: SimulatedBroker,
    reports: Reports,
    journal: Journal,
    outbox: Outbox,
    ts: i64,
    last_id: u64,
}

impl Plant {
    fn new(dir: &Path, records: u64) -> Self {
        let spec = |symbol: &&str| Instrument::plain(symbol, Price(1), PRICE_SCALE, PRICE_SCALE);
        let capital = "1000000000".parse().expect("a decimal");
        let mut settings = Settings::new(capital, SYMBOLS.iter().map(spec).collect());
        // One order in 256 steps trades: a small log needs no large table.
        let executions = usize::try_from(records / 100).expect("a 64-bit machine");
        settings.capacity.executions = executions.clamp(1_000, EXECUTIONS_MAX);
        let venue = SimulatedBroker::new(0, SimSettings::default(), settings.instruments.clone());
        let config = canonical::write(&settings);
        let options =
            JournalOptions { decide_version: DECIDE_VERSION, ..JournalOptions::default() };
        let mut plant = Self {
            engine: Engine::new(settings),
            venue: venue.expect("sound settings"),
            reports: Reports::default(),
            journal: Journal::create(dir, options).expect("a new log"),
            outbox: Outbox::default(),
            ts: START,
            last_id: 0,
        };
        plant.engine.open_log(Ts(START), "time travel", &config, &mut plant.outbox);
        plant.store();
        plant
    }

    fn store(&mut self) {
        self.journal.append(&self.outbox.records).expect("room on the disk");
        self.outbox.records.clear();
    }

    fn take(&mut self, input: &Input) {
        self.ts += STEP;
        self.turn(Ts(self.ts), input);
        while let Some((ts, report)) = self.reports.pop() {
            self.turn(ts.max(self.engine.state().ts()), &report);
        }
    }

    fn turn(&mut self, ts: Ts, input: &Input) {
        self.engine.step(ts, 0, input, &mut self.outbox);
        self.store();
        for outbound in std::mem::take(&mut self.outbox.messages) {
            self.venue.on_message(outbound.ts, &outbound.message, &mut self.reports);
        }
    }

    fn id(&mut self) -> ClOrdId {
        self.last_id += 1;
        ClOrdId::new(0, self.last_id)
    }

    fn order(&mut self, step: u64, ord_type: OrdType) -> ClOrdId {
        let id = self.id();
        let price = (ord_type == OrdType::Limit).then_some(Price(10 * PRICE_SCALE));
        self.take(&Input::Order {
            id,
            instrument: instrument(step),
            side: if step.is_multiple_of(3) && price.is_none() { Side::Sell } else { Side::Buy },
            ord_type,
            tif: Tif::Gtc,
            strategy: 0,
            flags: Flags::default(),
            qty: Qty(1),
            price,
            stop_price: None,
            expire_at: None,
            defect: None,
        });
        id
    }

    /// A market that moves, orders that rest until they are cancelled, and now and then a trade:
    /// few enough that the executions of a hundred million records are remembered.
    fn run(&mut self, records: u64) {
        let mut step = 0;
        while self.engine.state().seq() < records {
            step += 1;
            let wave = i64::try_from(step % 97).expect("small");
            let price = Price((100 + wave) * PRICE_SCALE);
            self.take(&Input::Mark { instrument: instrument(step), price, bid: None, ask: None });
            if step.is_multiple_of(16) {
                let order = self.order(step, OrdType::Limit);
                let id = self.id();
                self.take(&Input::Cancel { id, order });
            }
            if step.is_multiple_of(256) {
                self.order(step, OrdType::Market);
            }
            if step.is_multiple_of(200_000) {
                self.take(&Input::DayRoll {});
            }
        }
    }
}

fn instrument(step: u64) -> InstrumentId {
    InstrumentId(u16::try_from(step / 3 % SYMBOLS.len() as u64).expect("few"))
}

fn replay(arguments: &[&str]) -> (Output, Duration) {
    let begun = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_replay")).args(arguments).output();
    let output = output.expect("it starts");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complaint}");
    (output, begun.elapsed())
}

#[test]
fn any_time_is_had_from_the_nearest_snapshot() {
    let (records, every) = (from_env("RECORDS", 40_000), from_env("EVERY", 10_000));
    let parent = tempfile::tempdir().expect("a directory to write in");
    let dir = parent.path().join("log");
    let begun = Instant::now();
    let mut plant = Plant::new(&dir, records);
    plant.run(records);
    let (state, last) = (plant.engine.state(), plant.ts);
    println!(
        "{} records written in {:.1?}, {} executions",
        state.seq(),
        begun.elapsed(),
        state.executions().len()
    );
    let pnl = state.account().pnl();
    plant.journal.close().expect("a disk");
    let log = dir.to_str().expect("a plain path");
    let times: Vec<String> = (1..=8)
        .map(|part| {
            let ts = START + (last - START) / 8 * part - STEP / 3;
            let time = jiff::Timestamp::from_nanosecond(ts.into()).expect("a time");
            time.to_string()
        })
        .collect();
    let ask = |time: &String| replay(&["state", log, "--at-time", time, "--json"]);
    let few = if records > 1_000_000 { 1 } else { times.len() };
    let without: Vec<(Output, Duration)> = times[..few].iter().map(ask).collect();
    let (made, took) = replay(&["snapshot", log, "--every", &every.to_string()]);
    let paths = String::from_utf8(made.stdout).expect("a text");
    let sizes = paths.lines().map(|path| std::fs::metadata(path).expect("it is there").len());
    let (count, bytes) = sizes.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size));
    println!("{count} snapshots of {bytes} bytes in all, made in {took:.1?}");
    assert!(count >= records / every, "{count} snapshots");
    for (at, time) in times.iter().enumerate() {
        let (with, took) = ask(time);
        println!("state at {time}: {took:.1?}");
        if let Some((without, took)) = without.get(at) {
            println!("    without snapshots: {took:.1?}");
            assert!(with.stdout == without.stdout, "at {time}");
        }
    }
    // A restart reads all of it: every checksum, and every record into the state.
    let begun = Instant::now();
    let options = JournalOptions { decide_version: DECIDE_VERSION, ..JournalOptions::default() };
    let recovered = take_up(&dir, options).expect("its own log");
    println!("taken up again in {:.1?}", begun.elapsed());
    assert_eq!(recovered.state().account().pnl(), pnl);
}

/// What the snapshots' thread has said.
static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Somebody else was at it when the first was due: it is said, and the next time all are made.
#[test]
fn a_snapshot_that_could_not_be_made_is_made_the_next_time() {
    let parent = tempfile::tempdir().expect("a directory to write in");
    let dir = parent.path().join("log");
    let mut plant = Plant::new(&dir, 40_000);
    plant.run(40_000);
    plant.journal.close().expect("a disk");
    let busy = File::create(dir.join(snapshot::TEMPORARY_NAME)).expect("a disk");
    busy.try_lock().expect("it is ours");
    let written = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&written);
    let say = |what: &str| SAID.lock().expect("nobody panics").push(what.to_owned());
    let thread =
        SnapshotThread::start(dir.clone(), 10_000, None, move || seen.load(Ordering::Relaxed), say);
    let thread = thread.expect("a thread");
    // Past whatever is due next, however late the thread looks.
    let until = |what: &str, is_so: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < Duration::from_secs(120), "never: {what}");
            written.fetch_add(100, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    until("it says so", &|| !SAID.lock().expect("nobody panics").is_empty());
    drop(busy);
    let made = || snapshot::list(&dir, UpTo::End).expect("a directory").len();
    until("they are made", &|| made() == 4);
    drop(thread);
    let said = SAID.lock().expect("nobody panics").clone();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("no snapshot for now: "), "{said:?}");
}
