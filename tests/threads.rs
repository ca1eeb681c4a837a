//! The real threads: rings, pinned engine, journal, broker, gateway. Nothing here depends on timing.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use trade_engine::broker::{SimSettings, SimulatedBroker};
use trade_engine::code::Code;
use trade_engine::codec::Slot;
use trade_engine::config::{Idle, Pace, Release, SyncPolicy};
use trade_engine::embedded::TradeEngine;
use trade_engine::input::Input;
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::journal::{Disk, Journal, JournalOptions, LogReader, MachineDisk, layout};
use trade_engine::replay::{Redecide, Replay};
use trade_engine::runtime::{
    Feed, GatewayPlan, Outcome, Parts, Running, RuntimeSettings, Tick, start,
};
use trade_engine::settings::{Limits, RiskSettings, Settings};
use trade_engine::strategy::{Bar, Positions, Signal, Strategy};
use trade_engine::units::{Price, Qty, Ratio, Ts};

const SYMBOLS: u16 = 3;

fn settings() -> Settings {
    let plain =
        |name: &str| Instrument::plain(name, Price(10_000_000), Price::ONE.0, 1_000 * Price::ONE.0);
    let instruments = ["CL", "BZ", "HO"].map(plain).to_vec();
    assert_eq!(instruments.len(), usize::from(SYMBOLS));
    let max_drawdown_pct = Some("0.5".parse().expect("a decimal"));
    let risk =
        RiskSettings { limits: Limits { max_drawdown_pct, ..Limits::OFF }, ..RiskSettings::OFF };
    Settings { risk, ..Settings::new("10000000".parse().expect("a decimal"), instruments) }
}

/// A saw-tooth of bars for every symbol.
struct Saw {
    at: i64,
    ticks: i64,
}

fn price(at: i64, symbol: u16) -> Price {
    Price((70 + (at + i64::from(symbol) * 3) % 11) * Price::ONE.0)
}

impl Feed for Saw {
    fn next_tick(&mut self) -> Option<Tick> {
        if self.at == self.ticks {
            return None;
        }
        self.at += 1;
        let ts = Ts(self.at * 60_000_000_000);
        let mut tick = Tick { ts, ..Tick::default() };
        for symbol in 0..SYMBOLS {
            let (instrument, price) = (InstrumentId(symbol), price(self.at, symbol));
            let (open, high, low, close) = (price, price, price, price);
            let (volume, opened) = (1, ts);
            tick.inputs.push(Input::Bar { instrument, open, high, low, close, volume, opened });
            tick.inputs.push(Input::Mark { instrument, price, bid: None, ask: None });
            tick.bars.push(Bar { instrument, opened, open, high, low, close, volume });
        }
        if self.at % 100 == 0 {
            tick.inputs.push(Input::DayRoll {});
        }
        Some(tick)
    }
}

/// In and out by turns, so that every second bar of every symbol trades.
struct Restless(u64);

impl Strategy for Restless {
    fn on_bar(&mut self, bar: &Bar, positions: &Positions) -> Option<Signal> {
        self.0 += 1;
        if !positions.is_flat(bar.instrument) {
            return Some(Signal::flat(bar.instrument));
        }
        let qty = Qty(i64::try_from(self.0 % 3).expect("small") + 1);
        (!self.0.is_multiple_of(4)).then(|| Signal::buy(bar.instrument).qty(qty))
    }
}

fn broker(settings: &Settings) -> SimulatedBroker {
    let sim = SimSettings {
        slippage: Ratio::from_bps("2").expect("a decimal"),
        commission_per_contract: "2.05".parse().expect("a decimal"),
        partial_fill_qty: Some("1".parse().expect("a decimal")),
        reject_rate: "0.05".parse().expect("a decimal"),
        seed: 7,
        ..SimSettings::default()
    };
    SimulatedBroker::new(0, sim, settings.instruments.clone()).expect("sound settings")
}

struct Plan {
    ticks: i64,
    pace: Pace,
    runtime: RuntimeSettings,
    stop_at: Option<u64>,
}

fn play(dir: &Path, plan: &Plan) -> Outcome {
    let (running, progress) = begin(dir, Arc::new(MachineDisk), plan);
    if let Some(at) = plan.stop_at {
        while progress.load(Ordering::Relaxed) < at && !running.is_finished() {
            std::thread::yield_now();
        }
        running.shared().stop();
    }
    running.join()
}

fn begin(dir: &Path, disk: Arc<dyn Disk>, plan: &Plan) -> (Running, Arc<AtomicU64>) {
    let settings = settings();
    let options = JournalOptions { segment_size: 256 << 10, ..JournalOptions::default() };
    let progress = Arc::new(AtomicU64::new(0));
    let gateway = GatewayPlan {
        feed: Box::new(Saw { at: 0, ticks: plan.ticks }),
        strategy: Box::new(Restless(0)),
        strategy_number: 0,
        pace: plan.pace,
        instruments: usize::from(SYMBOLS),
        progress: Arc::clone(&progress),
    };
    let running = start(Parts {
        broker: Box::new(broker(&settings)),
        settings,
        runtime: plan.runtime,
        journal: Journal::create_on(disk, dir, options).expect("a new log"),
        gateway,
        opened: Ts(0),
        halted: None,
    })
    .expect("it starts");
    (running, progress)
}

/// Every record of a log, checked three ways: it reads whole, it replays, it decides again.
fn check(dir: &Path, outcome: &Outcome) -> Vec<Slot> {
    let mut reader = LogReader::open(dir).expect("a log");
    let (mut replay, mut redecide) = (Replay::default(), Redecide::default());
    let mut slots = Vec::new();
    while let Some(record) = reader.next_record().expect("a sound log") {
        replay.next(record).expect("it replays");
        redecide.next(record).expect("deciding again gives the same");
        slots.extend(record.iter().map(layout::content));
    }
    assert_eq!(redecide.missing_slots(), 0);
    let end = reader.end().expect("a sound end");
    assert_eq!(Some(end.last_seq), outcome.journal.as_ref().ok().copied());
    let replayed = replay.state().expect("a head");
    assert_eq!(replayed.seq(), outcome.state.seq());
    assert_eq!(replayed.hash(), outcome.state.hash());
    slots
}

/// The records without what no two runs share: the counter at which inputs arrived.
fn timeless(slots: &[Slot]) -> Vec<Slot> {
    let mut timeless = slots.to_vec();
    for slot in &mut timeless {
        let [_, flags, ..] = slot[7].to_le_bytes();
        if flags & trade_engine::codec::FLAG_INPUT != 0 {
            slot[2] = 0;
        }
    }
    timeless
}

#[test]
fn two_lockstep_runs_are_equal_and_equal_to_no_threads_at_all() {
    let parent = tempfile::tempdir().expect("a directory");
    let plan = Plan {
        ticks: 400,
        pace: Pace::Lockstep,
        runtime: RuntimeSettings::default(),
        stop_at: None,
    };
    let runs = ["one", "two"].map(|name| {
        let dir = parent.path().join(name);
        let outcome = play(&dir, &plan);
        (timeless(&check(&dir, &outcome)), outcome)
    });
    assert!(runs[0].1.state.executions().len() > 500, "it hardly traded");
    assert_eq!(runs[0].0, runs[1].0);
    assert_eq!(alone(plan.ticks).state().account(), runs[0].1.state.account());
}

/// The same feed, strategy and broker on this thread.
fn alone(ticks: i64) -> TradeEngine<SimulatedBroker> {
    let settings = settings();
    let broker = broker(&settings);
    let mut engine = TradeEngine::new(settings, broker);
    let (mut feed, mut strategy) = (Saw { at: 0, ticks }, Restless(0));
    while let Some(tick) = feed.next_tick() {
        for input in &tick.inputs {
            engine.input_at(tick.ts, input).expect("no journal");
        }
        for bar in &tick.bars {
            let mut positions = Positions::new(usize::from(SYMBOLS));
            for symbol in 0..SYMBOLS {
                let id = InstrumentId(symbol);
                positions.set(id, engine.position(id).expect("in the table").qty, None);
            }
            if let Some(signal) = strategy.on_bar(bar, &positions) {
                engine.submit(&signal).expect("no journal");
            }
        }
    }
    engine
}

#[test]
fn every_pace_release_and_wait_keeps_the_log_whole() {
    let parent = tempfile::tempdir().expect("a directory");
    let paces = [Pace::Lockstep, Pace::Flood, Pace::Realtime(1_000_000_000)];
    let releases = [Release::Immediate, Release::Written, Release::Synced];
    let idles = [Idle::Spin, Idle::Yield, Idle::Park];
    for (number, pace) in paces.into_iter().enumerate() {
        for (release, idle) in releases.into_iter().zip(idles) {
            let runtime = RuntimeSettings {
                release,
                sync: SyncPolicy::EveryBatch,
                idle_engine: idle,
                idle_journal: idle,
                idle_broker: idle,
                idle_gateway: idle,
                log_behind_ms: None,
                ..RuntimeSettings::default()
            };
            let dir = parent.path().join(format!("{number}-{release:?}"));
            let outcome = play(&dir, &Plan { ticks: 60, pace, runtime, stop_at: None });
            check(&dir, &outcome);
        }
    }
}

#[test]
fn stopping_at_any_moment_loses_nothing() {
    let parent = tempfile::tempdir().expect("a directory");
    for at in [0, 1, 7, 50, 120] {
        for pace in [Pace::Lockstep, Pace::Flood] {
            let dir = parent.path().join(format!("{at}-{pace:?}"));
            let runtime = RuntimeSettings::default();
            let plan = Plan { ticks: 100_000, pace, runtime, stop_at: Some(at) };
            let outcome = play(&dir, &plan);
            check(&dir, &outcome);
        }
    }
}

#[test]
fn a_core_that_is_not_there_is_an_error() {
    let parent = tempfile::tempdir().expect("a directory");
    let settings = settings();
    let runtime = RuntimeSettings { engine_core: Some(100_000), ..RuntimeSettings::default() };
    let dir = parent.path().join("log");
    let started = start(Parts {
        broker: Box::new(broker(&settings)),
        settings,
        runtime,
        journal: Journal::create(&dir, JournalOptions::default()).expect("a new log"),
        gateway: GatewayPlan {
            feed: Box::new(Saw { at: 0, ticks: 1 }),
            strategy: Box::new(Restless(0)),
            strategy_number: 0,
            pace: Pace::Lockstep,
            instruments: usize::from(SYMBOLS),
            progress: Arc::default(),
        },
        opened: Ts(0),
        halted: None,
    });
    let message = started.expect_err("there is no such core").to_string();
    assert!(message.contains("core 100000"), "{message}");
}

/// A disk on which a sync takes as long as it is told to.
#[derive(Debug, Default)]
struct SlowDisk {
    /// It does not come back at all.
    is_stuck: AtomicBool,
    millis: u64,
}

impl Disk for SlowDisk {
    fn sync_data(&self, _: &Path, _: &File) -> std::io::Result<()> {
        std::thread::sleep(Duration::from_millis(self.millis));
        while self.is_stuck.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        Ok(())
    }

    fn sync_all(&self, path: &Path, file: &File) -> std::io::Result<()> {
        self.sync_data(path, file)
    }
}

/// In real time a log that does not keep up halts; in lockstep it is waited for.
#[test]
fn a_stuck_disk_halts_a_run_in_real_time_alone() {
    let parent = tempfile::tempdir().expect("a directory");
    let runtime = RuntimeSettings {
        sync: SyncPolicy::EveryBatch,
        timer_interval_ms: Some(1),
        log_behind_ms: Some(1),
        ..RuntimeSettings::default()
    };
    let plan = |pace| Plan { ticks: 10, pace, runtime, stop_at: None };
    let (dir, disk) = (parent.path().join("live"), Arc::new(SlowDisk::default()));
    let (running, _) = begin(&dir, Arc::clone(&disk) as _, &plan(Pace::Realtime(1)));
    disk.is_stuck.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    while running.shared().halt().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never halts");
        std::thread::yield_now();
    }
    disk.is_stuck.store(false, Ordering::Relaxed);
    running.shared().stop();
    let outcome = running.join();
    assert_eq!(outcome.state.halted(), Some(Code::Journal));
    check(&dir, &outcome);

    let (dir, disk) =
        (parent.path().join("lockstep"), SlowDisk { millis: 5, ..SlowDisk::default() });
    let (running, _) = begin(&dir, Arc::new(disk), &plan(Pace::Lockstep));
    let outcome = running.join();
    assert_eq!(outcome.state.halted(), None);
    check(&dir, &outcome);
}
