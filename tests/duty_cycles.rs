//! Duty cycles, single-stepped on one thread: no timing, every full ring on purpose.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use trade_engine::broker::{Broker, Message, Reports};
use trade_engine::code::Code;
use trade_engine::codec::{Slot, records};
use trade_engine::config::{Release, SyncPolicy};
use trade_engine::engine::Engine;
use trade_engine::event::Record;
use trade_engine::input::{ExecKey, Input};
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::journal::{Disk, Journal, JournalOptions, LogReader, layout};
use trade_engine::limits::EVENT_RING_SLOTS_MIN;
use trade_engine::order::{ClOrdId, Flags, OrdStatus, OrdType, Tif};
use trade_engine::runtime::{
    Agent, BrokerEnds, BrokerLoop, Clock, Control, Feedback, HotEnds, HotLoop, Inbound,
    JournalLoop, Lag, Shared, ToBroker, ToEngine, Turn,
};
use trade_engine::settings::{Capacity, Millis, Settings};
use trade_engine::units::{Money, Price, Qty, Side, Ts};

/// Messages in each ring: as few as the engine can work with.
const RING: usize = 64;
/// Orders held at once: a kill must find room for a cancel of each.
const ORDERS: usize = 16;
const ES: InstrumentId = InstrumentId(0);

/// A venue that has so many trades to report whenever it is told a price.
struct Talkative {
    trades_per_mark: u64,
    executions: u64,
    taken: Arc<AtomicU64>,
}

impl Broker for Talkative {
    fn on_message(&mut self, ts: Ts, message: &Message, reports: &mut Reports) {
        self.taken.fetch_add(1, Ordering::Relaxed);
        if !matches!(message, Message::Mark { .. }) {
            return;
        }
        for _ in 0..self.trades_per_mark {
            self.executions += 1;
            let (order, side) = (ClOrdId::new(3, 1), Side::Buy);
            reports.push(
                ts,
                Input::Trade {
                    order,
                    exec: ExecKey::new(0, &self.executions.to_string(), order, side),
                    qty: Qty(1),
                    price: Price::ONE,
                    commission: Money::ZERO,
                    instrument: ES,
                    side,
                    venue_says_filled: false,
                    defect: None,
                },
            );
        }
    }
}

fn settings() -> Settings {
    let instrument = Instrument::plain("ES", Price::ONE, Price::ONE.0, Price::ONE.0);
    let capacity = Capacity { orders: ORDERS, ..Capacity::default() };
    Settings { capacity, ..Settings::new(Money::ZERO, vec![instrument]) }
}

/// Engine and broker between rings whose other ends the test holds.
struct Stage {
    hot_loop: HotLoop,
    broker_loop: BrokerLoop,
    shared: Shared,
    inputs: rtrb::Producer<Inbound>,
    records: rtrb::Consumer<Slot>,
    feedback: rtrb::Consumer<Feedback>,
    taken: Arc<AtomicU64>,
}

impl Stage {
    fn new(trades_per_mark: u64, release: Release) -> Self {
        Self::of(settings(), trades_per_mark, release)
    }

    fn of(settings: Settings, trades_per_mark: u64, release: Release) -> Self {
        let engine = Engine::new(settings);
        let (shared, clock) = (Shared::default(), Clock::new());
        let (_, commands) = Control::new(shared.clone());
        let (inputs, inputs_out) = rtrb::RingBuffer::new(4_096);
        let (reports, reports_out) = rtrb::RingBuffer::new(RING);
        let (records_in, records) = rtrb::RingBuffer::new(EVENT_RING_SLOTS_MIN);
        let (orders_in, orders) = rtrb::RingBuffer::<ToBroker>::new(RING);
        let (feedback_in, feedback) = rtrb::RingBuffer::new(RING);
        let ends = HotEnds {
            control: commands,
            reports: reports_out,
            inputs: inputs_out,
            records: records_in,
            orders: orders_in,
            feedback: feedback_in,
        };
        let hot_loop = HotLoop::new(engine, ends, shared.clone(), clock.clone());
        let taken = Arc::new(AtomicU64::new(0));
        let broker = Talkative { trades_per_mark, executions: 0, taken: Arc::clone(&taken) };
        let ends = BrokerEnds { orders, inbound: reports };
        let broker_loop = BrokerLoop::new(Box::new(broker), ends, release, shared.clone(), clock);
        Self { hot_loop, broker_loop, shared, inputs, records, feedback, taken }
    }

    fn push(&mut self, ts: i64, message: ToEngine) {
        self.inputs.push(Inbound { ts: Ts(ts), sent: 0, message }).expect("room");
    }

    /// What the journal does, without a disk.
    fn log(&mut self) {
        while let Ok(slot) = self.records.pop() {
            self.shared.set_written(slot[0]);
        }
    }

    /// One turn of everybody. Returns whether anything moved.
    fn turn(&mut self) -> bool {
        let engine = self.hot_loop.do_work();
        self.log();
        let broker = self.broker_loop.do_work();
        while self.feedback.pop().is_ok() {}
        engine == Turn::Worked || broker == Turn::Worked
    }
}

fn mark(price: i64) -> ToEngine {
    let price = Price(price * Price::ONE.0);
    ToEngine::Input(Input::Mark { instrument: ES, price, bid: None, ask: None })
}

/// Market data fills the ring to the broker while its reports fill the ring back: the engine must
/// still take reports, or both wait for each other for ever.
#[test]
fn a_flood_of_prices_and_of_reports_never_waits_for_itself() {
    const MARKS: u64 = 100;
    const TRADES_PER_MARK: u64 = 200;
    let mut stage = Stage::new(TRADES_PER_MARK, Release::Written);
    for at in 0..MARKS {
        stage.push(1, mark(i64::try_from(at % 7).expect("small")));
    }
    let mut turns = 0;
    while stage.hot_loop.state().executions().len() as u64 != MARKS * TRADES_PER_MARK {
        stage.turn();
        turns += 1;
        let (taken, seen) =
            (stage.taken.load(Ordering::Relaxed), stage.hot_loop.state().executions().len());
        assert!(turns < 100_000, "stuck: the broker took {taken} messages, {seen} trades booked");
    }
}

/// Whether a sweep or what the venue says comes first must not hang on how fast the venue is: two
/// runs in lockstep would differ.
#[test]
fn a_sweep_is_over_before_anything_else_is_taken() {
    let tell = |is_fast: bool| {
        let mut settings = settings();
        settings.risk.limits.answer_timeout_ms = Some(Millis(4));
        let mut stage = Stage::of(settings, 1, Release::Immediate);
        // The first mark is late enough for a look at the answers; the venue trades at it.
        stage.push(2_000_000, mark(1));
        stage.hot_loop.do_work();
        if is_fast {
            stage.broker_loop.do_work();
        }
        stage.hot_loop.do_work();
        stage.broker_loop.do_work();
        stage.hot_loop.do_work();
        let mut slots = Vec::new();
        while let Ok(slot) = stage.records.pop() {
            slots.push(slot);
        }
        let names = records(&slots).map(|slots| Record::decode(slots).unwrap().body.name());
        names.collect::<Vec<_>>()
    };
    let told = tell(true);
    assert_eq!(told[..4], ["mark", "sweep", "continue", "sweep"]);
    assert!(told.contains(&"trade"), "{told:?}");
    assert_eq!(told, tell(false));
}

/// The engine has let go of its rings with messages still on their way: they are in the log, so they
/// leave, and the broker's thread ends although nobody takes its reports any more.
#[test]
fn the_broker_ends_behind_an_engine_that_is_gone() {
    let mut stage = Stage::new(200, Release::Written);
    for at in 0..10 {
        stage.push(1, mark(at));
    }
    assert_eq!(stage.hot_loop.do_work(), Turn::Worked);
    stage.log();
    let Stage { hot_loop, mut broker_loop, taken, .. } = stage;
    drop(hot_loop.into_engine());
    let mut turns = 0;
    while broker_loop.do_work() != Turn::Done {
        turns += 1;
        assert!(turns < 10_000, "stuck: {} messages left", taken.load(Ordering::Relaxed));
    }
    assert_eq!(taken.load(Ordering::Relaxed), 10);
}

/// A disk whose syncs fail from some moment on.
#[derive(Debug, Default)]
struct FailingDisk {
    fails: AtomicBool,
    refused: AtomicU64,
}

impl Disk for FailingDisk {
    fn sync_data(&self, _: &Path, _: &File) -> std::io::Result<()> {
        if self.fails.load(Ordering::Relaxed) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(std::io::Error::other("the disk is gone"));
        }
        Ok(())
    }

    fn sync_all(&self, path: &Path, file: &File) -> std::io::Result<()> {
        self.sync_data(path, file)
    }
}

/// An order waits at the gate when a sync fails: it stays there, whatever the release policy, and
/// nobody tries again. Where none fails it leaves.
#[test]
fn after_a_failed_sync_no_order_leaves_and_nobody_tries_again() {
    for release in [Release::Immediate, Release::Written, Release::Synced] {
        for fails in [false, true] {
            let mut stage = Stage::new(0, release);
            stage.push(1, order(1));
            stage.hot_loop.do_work();
            let Stage { mut hot_loop, mut broker_loop, shared, records, taken, .. } = stage;
            let parent = tempfile::tempdir().expect("a directory");
            let disk = Arc::new(FailingDisk::default());
            let options = JournalOptions { segment_size: 8_192, ..JournalOptions::default() };
            let dir = parent.path().join("log");
            let journal = Journal::create_on(Arc::clone(&disk) as _, &dir, options);
            let (journal, clock) = (journal.expect("a new log"), Clock::new());
            let sync = SyncPolicy::EveryBatch;
            let (mut journal_loop, mut disk_loop) =
                JournalLoop::new(journal, records, shared.clone(), clock, sync);
            disk.fails.store(fails, Ordering::Relaxed);
            assert_eq!(journal_loop.do_work(), Turn::Worked);
            assert_eq!(disk_loop.do_work(), Turn::Worked);
            let turn = journal_loop.do_work();
            assert_eq!((turn == Turn::Done, shared.journal_failed()), (fails, fails));
            for _ in 0..3 {
                broker_loop.do_work();
            }
            assert_eq!(taken.load(Ordering::Relaxed), u64::from(!fails), "{release:?}");
            if fails {
                assert_eq!(hot_loop.do_work(), Turn::Done);
                let outcome = Box::new(journal_loop).finish().journal.expect("it has ended");
                assert!(outcome.is_err());
                assert_eq!(disk.refused.load(Ordering::Relaxed), 1, "never retried");
            }
        }
    }
}

/// A disk that does not come back: the journal goes on, asks for nothing more, and takes up the
/// answer when there is one. Orders go by the log or wait for the disk, as was asked for.
#[test]
fn a_journal_waits_for_no_sync() {
    for release in [Release::Written, Release::Synced] {
        let quiet = Settings { forward_market_data: false, ..settings() };
        let mut stage = Stage::of(quiet, 0, release);
        stage.push(1, order(1));
        stage.hot_loop.do_work();
        let Stage { mut hot_loop, mut broker_loop, shared, records, taken, mut inputs, .. } = stage;
        let parent = tempfile::tempdir().expect("a directory");
        let dir = parent.path().join("log");
        let options = JournalOptions { segment_size: 8_192, ..JournalOptions::default() };
        let journal = Journal::create(&dir, options).expect("a new log");
        let sync = SyncPolicy::EveryBatch;
        let (mut journal_loop, mut disk_loop) =
            JournalLoop::new(journal, records, shared.clone(), Clock::new(), sync);
        // Past the segment's end, more than once.
        let mut last = 0;
        for turn in 0..150 {
            journal_loop.do_work();
            broker_loop.do_work();
            let written = shared.written();
            assert!(written > last, "turn {turn}: {written}");
            last = written;
            let message = mark(turn % 7);
            inputs.push(Inbound { ts: Ts(2), sent: 0, message }).expect("room");
            hot_loop.do_work();
        }
        assert_eq!(shared.synced(), 0);
        assert_eq!(taken.load(Ordering::Relaxed), u64::from(release == Release::Written));
        // The first sync ends; the next is of everything since.
        for _ in 0..2 {
            assert_eq!(disk_loop.do_work(), Turn::Worked);
            journal_loop.do_work();
            broker_loop.do_work();
        }
        assert!(shared.synced() >= last);
        assert_eq!(taken.load(Ordering::Relaxed), 1);
        let reader = LogReader::open(&dir).expect("a log");
        assert_eq!(reader.synced_seq(), Some(shared.synced()));
    }
}

/// How much a power cut may cost: what the interval has not yet put on the disk.
#[test]
fn a_sync_by_interval_comes_when_it_is_due_and_not_before() {
    for (ms, comes) in [(1, true), (3_600_000, false)] {
        let parent = tempfile::tempdir().expect("a directory");
        let options = JournalOptions { segment_size: 8_192, ..JournalOptions::default() };
        let journal = Journal::create(&parent.path().join("log"), options).expect("a new log");
        let (mut records, out) = rtrb::RingBuffer::new(64);
        let (shared, clock) = (Shared::default(), Clock::new());
        let policy = SyncPolicy::Interval { ms };
        let (mut journal_loop, mut disk_loop) =
            JournalLoop::new(journal, out, shared.clone(), clock.clone(), policy);
        let begin = clock.ticks();
        for seq in 1..=3 {
            let word_7 = layout::kind_and_flags(1, layout::FLAG_END);
            records.push([seq, 0, 0, 0, 0, 0, 0, word_7]).expect("room");
            loop {
                journal_loop.do_work();
                disk_loop.do_work();
                let is_over = clock.nanos(begin, clock.ticks()) > 20_000_000;
                if shared.synced() == seq || (is_over && !comes) {
                    break;
                }
            }
        }
        assert_eq!(shared.synced(), if comes { 3 } else { 0 });
        assert_eq!(shared.written(), 3);
    }
}

fn order(number: u64) -> ToEngine {
    ToEngine::Input(Input::Order {
        id: ClOrdId::new(3, number),
        instrument: ES,
        side: Side::Buy,
        ord_type: OrdType::Limit,
        tif: Tif::Day,
        strategy: 0,
        flags: Flags::default(),
        qty: Qty(1),
        price: Some(Price::ONE),
        stop_price: None,
        expire_at: None,
        defect: None,
    })
}

/// The next segment cannot be made, and there is room left in this one: the run is asked to end, what
/// comes until then is recorded, and the end says why.
#[test]
fn no_room_for_the_next_segment_ends_the_run_in_order() {
    let parent = tempfile::tempdir().expect("a directory");
    let dir = parent.path().join("log");
    let options = JournalOptions { segment_size: 8_192, ..JournalOptions::default() };
    let journal = Journal::create(&dir, options).expect("a new log");
    // Whatever stands where the next segment is to be made.
    std::fs::create_dir(dir.join(layout::SPARE_NAME)).expect("room");
    let (mut records, out) = rtrb::RingBuffer::new(64);
    let shared = Shared::default();
    let sync = SyncPolicy::Never;
    let (mut journal_loop, mut disk_loop) =
        JournalLoop::new(journal, out, shared.clone(), Clock::new(), sync);
    let slot = |seq| [seq, 0, 0, 0, 0, 0, 0, layout::kind_and_flags(1, layout::FLAG_END)];
    for seq in 1..=40 {
        records.push(slot(seq)).expect("room");
    }
    assert_eq!(journal_loop.do_work(), Turn::Worked);
    assert_eq!(journal_loop.do_work(), Turn::Idle, "it found no room, and goes on");
    assert!(shared.is_stopping() && !shared.journal_failed());
    records.push(slot(41)).expect("room");
    drop(records);
    while journal_loop.do_work() != Turn::Done {
        disk_loop.do_work();
    }
    assert_eq!((shared.written(), shared.synced()), (41, 41));
    let outcome = Box::new(journal_loop).finish().journal.expect("it says how it ended");
    assert!(outcome.is_err(), "{outcome:?}");
}

/// The log stands still. The order at the gate comes back, no other leaves, what the venue says is
/// still taken, and a kill still finds its room; however full the ring to the journal is.
#[test]
fn a_log_that_stands_still_halts_new_orders_and_nothing_else() {
    for marks in [0, 4_000] {
        // The venue is told of orders alone.
        let quiet = Settings { forward_market_data: false, ..settings() };
        let mut stage = Stage::of(quiet, 0, Release::Immediate);
        stage.push(1, order(1));
        for at in 0..marks {
            stage.push(1, mark(at % 7));
        }
        // Not a moment's patience: how long it would be is up to the clock.
        stage.hot_loop = stage.hot_loop.watching(Some(Lag::new(0, SyncPolicy::Never)));
        while stage.hot_loop.state().halted().is_none() {
            stage.hot_loop.do_work();
        }
        assert_eq!(stage.hot_loop.state().halted(), Some(Code::Journal));
        assert_eq!(stage.shared.halt().map(|halt| halt.code), Some(Code::Journal));
        let id = |number| ClOrdId::new(3, number);
        let held = stage.hot_loop.state().order(id(1)).expect("it was taken").leaves_qty();
        assert_eq!(held, Qty(1), "it waits at the gate");
        stage.broker_loop.do_work();
        stage.hot_loop.do_work();
        assert_eq!(stage.taken.load(Ordering::Relaxed), 0, "it came back");
        assert!(
            stage
                .hot_loop
                .state()
                .order(id(1))
                .is_none_or(|order| { order.ord_status() == OrdStatus::Rejected })
        );
        stage.shared.kill();
        stage.hot_loop.do_work();
        assert!(!stage.shared.kill_waits(), "a kill has its room");
        // The log moves again: a person decides when trading does.
        for _ in 0..200 {
            stage.turn();
        }
        stage.push(2, order(2));
        for _ in 0..10 {
            stage.turn();
        }
        assert_eq!(stage.hot_loop.state().halted(), Some(Code::Journal));
        assert_eq!(stage.taken.load(Ordering::Relaxed), 0);
    }
}

/// The venue's reports have taken all the room that there is in the ring to a log that stands still:
/// the gate closes all the same, and the halt is recorded when there is room again.
#[test]
fn a_burst_of_reports_keeps_no_gate_open() {
    let mut stage = Stage::new(1_000, Release::Written);
    for at in 0..40 {
        stage.push(1, mark(at % 7));
    }
    // The gateway's marks are in the log; the trades that they lead to are not.
    stage.hot_loop.do_work();
    stage.push(1, order(2));
    stage.hot_loop.do_work();
    for _ in 0..1_000 {
        stage.broker_loop.do_work();
        stage.hot_loop.do_work();
    }
    let before = stage.hot_loop.state().seq();
    stage.hot_loop.do_work();
    assert_eq!(stage.hot_loop.state().seq(), before, "there is no room");
    stage.hot_loop = stage.hot_loop.watching(Some(Lag::new(0, SyncPolicy::Never)));
    while stage.shared.halt().is_none() {
        stage.hot_loop.do_work();
    }
    assert_eq!(stage.shared.halt().map(|halt| halt.code), Some(Code::Journal));
    assert_eq!(stage.hot_loop.state().seq(), before, "nobody has recorded it");
    // The log moves again, and gets there at once.
    for _ in 0..10_000 {
        stage.turn();
    }
    let state = stage.hot_loop.state();
    assert_eq!(state.halted(), Some(Code::Journal));
    let order = state.order(ClOrdId::new(3, 2));
    assert!(order.is_none_or(|order| order.ord_status() == OrdStatus::Rejected), "{order:?}");
}

/// One that keeps up never halts, whatever the clock says.
#[test]
fn a_log_that_keeps_up_is_never_behind() {
    let mut stage = Stage::new(1, Release::Written);
    stage.hot_loop = stage.hot_loop.watching(Some(Lag::new(0, SyncPolicy::Never)));
    for at in 0..4_000 {
        stage.push(1, mark(at % 7));
    }
    while stage.turn() {
        assert_eq!(stage.hot_loop.state().halted(), None);
    }
    // Nor does one that nobody watches.
    let mut stage = Stage::new(1, Release::Written);
    stage.push(1, order(1));
    for _ in 0..1_000 {
        stage.hot_loop.do_work();
    }
    assert_eq!(stage.hot_loop.state().halted(), None);
}

#[test]
fn a_record_may_wait_for_the_log_as_long_as_the_bound_says() {
    let (clock, shared, begin) = (Clock::new(), Shared::default(), Clock::new().ticks());
    let mut lag = Lag::new(3, SyncPolicy::Never);
    shared.set_written(5);
    assert_eq!(lag.look(&clock, &shared, 5), None);
    let waited = std::iter::repeat_with(|| lag.look(&clock, &shared, 6)).flatten().next();
    let took = clock.nanos(begin, clock.ticks()) / 1_000_000;
    assert!(waited.is_some_and(|ms| (3..=took).contains(&ms)), "{waited:?} of {took}");
    // In the log, but not on the disk: as long past the moment when its sync is due.
    shared.set_written(6);
    shared.set_synced(5);
    let mut lag = Lag::new(3, SyncPolicy::EveryBatch);
    let waited = std::iter::repeat_with(|| lag.look(&clock, &shared, 6)).flatten().next();
    assert!(waited.is_some_and(|ms| ms >= 3));
    for sync in [SyncPolicy::Interval { ms: 1_000_000 }, SyncPolicy::Never] {
        let (mut lag, begin) = (Lag::new(3, sync), clock.ticks());
        while clock.nanos(begin, clock.ticks()) < 5_000_000 {
            assert_eq!(lag.look(&clock, &shared, 6), None);
        }
    }
    // That one is in the log; another has just begun to wait.
    shared.set_written(6);
    let mut lag = Lag::new(1_000_000, SyncPolicy::Never);
    for seq in 7..1_000 {
        assert_eq!(lag.look(&clock, &shared, seq), None);
    }
}
