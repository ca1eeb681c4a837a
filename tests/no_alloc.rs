//! Promise 4: after start the engine thread does not allocate, and meets no page that nobody has
//! touched. A counting allocator and the kernel's own counts watch the thread that drives the hot
//! loop over a million events.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use trade_engine::broker::Message;
use trade_engine::codec::{FLAG_CONT, Slot};
use trade_engine::engine::Engine;
use trade_engine::event::Event;
use trade_engine::input::{ExecKey, Input, StatusKind};
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::limits::MONEY_SCALE;
use trade_engine::order::{ClOrdId, Flags, OrdType, Tif};
use trade_engine::runtime::{
    Clock, Control, Dispatch, Feedback, HotEnds, HotLoop, Inbound, Shared, ToBroker, ToEngine,
    Turn, ring,
};
use trade_engine::settings::{
    Capacity, Count, LimitKey, Limits, Millis, OnAnomaly, RiskSettings, Scope, Settings,
};
use trade_engine::strategy::Bracket;
use trade_engine::units::{Money, Price, Qty, Side, Ts};

struct Counting;

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that is being torn down has no locals, and is not watched.
    let _ = WATCHED.try_with(|watched| {
        if watched.get() {
            let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        }
    });
}

#[expect(unsafe_code, reason = "a global allocator cannot be written without it")]
// SAFETY: every call goes to the system's allocator unchanged; counting touches no memory of its.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc`, which is the same one.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller keeps the contract of `dealloc`, which is the same one.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The rings' other ends, all on this thread.
struct World {
    hot_loop: HotLoop,
    control: Control,
    inputs: rtrb::Producer<Inbound>,
    reports: rtrb::Producer<Inbound>,
    records: rtrb::Consumer<Slot>,
    orders: rtrb::Consumer<ToBroker>,
    feedback: rtrb::Consumer<Feedback>,
    slots: u64,
    executions: u64,
    /// Stops that were triggered and went out.
    stops: u64,
    /// An order and its first execution.
    old: (ClOrdId, ExecKey),
    busted: u8,
    corrected: u8,
    /// Records of those two kinds.
    amendments: u64,
}

const ES: InstrumentId = InstrumentId(0);
/// Quoted in another currency than the account's.
const DAX: InstrumentId = InstrumentId(1);
const MS: i64 = 1_000_000;

impl World {
    fn new() -> Self {
        let es = Instrument::plain("ES", Price(250_000_000), Price::ONE.0, 50 * Price::ONE.0);
        let risk = RiskSettings {
            limits: Limits {
                max_position_pct: Some("0.9".parse().expect("a decimal")),
                max_drawdown_pct: Some("0.9".parse().expect("a decimal")),
                max_daily_loss_pct: Some("0.9".parse().expect("a decimal")),
                duplicate_window_ms: Some(Millis(1)),
                max_orders_per_second: Some(Count(5_000)),
                max_messages_per_second: Some(Count(9_000)),
                max_repeats: Some(Count(u32::MAX)),
                answer_timeout_ms: Some(Millis(50)),
                ..Limits::OFF
            },
            self_match: true,
            on_anomaly: OnAnomaly::Report,
            ..RiskSettings::OFF
        };
        let capacity = Capacity { orders: 64, ..Capacity::default() };
        let capital = "100000000".parse().expect("a decimal");
        let mut dax = es.clone();
        (dax.symbol, dax.currency) = ("DAX".to_owned(), "EUR".to_owned());
        let strategies = vec!["one".to_owned()];
        let settings = Settings::new(capital, vec![es, dax]);
        let settings = Settings { risk, capacity, strategies, ..settings };
        let (inputs, inputs_out) = ring(1_024, Inbound::EMPTY);
        let (reports, reports_out) = ring(1_024, Inbound::EMPTY);
        let (records_in, records) = ring(16_384, [0; 8]);
        let (orders_in, orders) = ring(1_024, ToBroker::EMPTY);
        let (feedback_in, feedback) = ring(1_024, Feedback::Probe);
        let shared = Shared::default();
        let (control, commands) = Control::new(shared.clone());
        let ends = HotEnds {
            control: commands,
            reports: reports_out,
            inputs: inputs_out,
            records: records_in,
            orders: orders_in,
            feedback: feedback_in,
        };
        let mut engine = Engine::new(settings);
        engine.open_log(Ts(0), "test", "", &mut ());
        let hot_loop = HotLoop::new(engine, ends, shared, Clock::new());
        let kind = |wanted| {
            let found = Event::KINDS.iter().find(|(_, name, _)| *name == wanted);
            found.expect("there is such an event").0
        };
        Self {
            hot_loop,
            control,
            inputs,
            reports,
            records,
            orders,
            feedback,
            slots: 0,
            executions: 0,
            stops: 0,
            old: (ClOrdId::NONE, ExecKey(0)),
            busted: kind("busted"),
            corrected: kind("corrected"),
            amendments: 0,
        }
    }

    fn send(&mut self, at: i64, input: Input) {
        let message = ToEngine::Input(input);
        let ts = Ts(at * MS);
        self.inputs.push(Inbound { ts, sent: 1, message }).expect("it is drained");
        self.settle(at);
    }

    /// Turns until nothing moves: an order is acknowledged and filled in two halves.
    fn settle(&mut self, at: i64) {
        while self.hot_loop.do_work() == Turn::Worked {
            while let Ok(ToBroker { message, .. }) = self.orders.pop() {
                if let Dispatch::Out(outbound) = message {
                    self.answer(at, &outbound.message);
                }
            }
            let count = self.records.slots();
            self.slots += count as u64;
            let chunk = self.records.read_chunk(count).expect("it was there");
            let (first, second) = chunk.as_slices();
            for slot in first.iter().chain(second) {
                let [kind, flags, ..] = slot[7].to_le_bytes();
                let amends = kind == self.busted || kind == self.corrected;
                self.amendments += u64::from(amends && flags & FLAG_CONT == 0);
            }
            chunk.commit_all();
            while self.feedback.pop().is_ok() {}
        }
    }

    fn answer(&mut self, at: i64, message: &Message) {
        let new = match message {
            Message::New(new) => new,
            Message::Cancel { order, request, .. } => {
                let (order, request, kind) = (*order, *request, StatusKind::Cancelled);
                let message = ToEngine::Input(Input::Status { order, kind, request });
                return self.reports.push(Inbound { ts: Ts(at), sent: 1, message }).expect("room");
            }
            Message::Replace { order, request, qty, price, stop_price, .. } => {
                let (order, request, qty) = (*order, *request, Some(*qty));
                let (price, stop_price) = (*price, *stop_price);
                let replaced = Input::Replaced { order, request, qty, price, stop_price };
                let message = ToEngine::Input(replaced);
                return self.reports.push(Inbound { ts: Ts(at), sent: 1, message }).expect("room");
            }
            Message::Mark { .. } | Message::Bar { .. } | Message::DayRoll | Message::Time => return,
        };
        let (order, request, kind) = (new.order, ClOrdId::NONE, StatusKind::Accepted);
        let mut reports = vec_of([Input::Status { order, kind, request }]);
        self.stops += u64::from(new.ord_type == OrdType::Market);
        // A target is far away and rests.
        let rests = new.price.is_some_and(|price| price > Price(4_650 * Price::ONE.0));
        let price = new.price.unwrap_or(Price(4_500 * Price::ONE.0));
        let mut exec = || {
            self.executions += 1;
            ExecKey(u128::from(self.executions))
        };
        let trade = |exec| Input::Trade {
            order,
            exec,
            qty: Qty(1),
            price,
            commission: Money(2_050_000_000_000_000_000),
            instrument: new.instrument,
            side: new.side,
            venue_says_filled: false,
            defect: None,
        };
        let (first, second) = (exec(), exec());
        if !rests {
            reports.push(trade(first));
            reports.push(trade(second));
        }
        // What the venue takes back: nothing of it may allocate either.
        // Of buys as often as of sells, and full again in the end.
        if order.counter() % 7 == 0 && !rests {
            reports.push(Input::Bust { order, exec: exec(), exec_ref: second });
            reports.push(trade(exec()));
        }
        if order.counter() % 5 == 0 && !rests {
            let (exec, qty, defect) = (exec(), Qty(2), None);
            reports.push(Input::Correct { order, exec, exec_ref: first, qty, price, defect });
        }
        // More orders ago than there are slots: the row is gone, and the position was flat since.
        if order.counter() % 75 == 0 && !rests {
            let (order, exec_ref) = std::mem::replace(&mut self.old, (order, first));
            let exec = ExecKey(u128::MAX - exec_ref.0);
            reports.push(Input::Bust { order, exec, exec_ref });
        }
        for input in reports {
            let message = ToEngine::Input(input);
            let ts = Ts(at * MS);
            self.reports.push(Inbound { ts, sent: 1, message }).expect("it is drained");
        }
    }

    fn round(&mut self, round: i64) {
        let price = Price((4_500 + round % 100) * Price::ONE.0);
        let instrument = if round % 3 == 0 { DAX } else { ES };
        let rate = Price(Price::ONE.0 + round % 7 * 10_000_000);
        self.send(round, Input::Rate { currency: 1, price: rate, inverse: round % 2 == 0 });
        self.send(round, Input::Mark { instrument, price, bid: None, ask: None });
        let side = if round % 2 == 0 { Side::Buy } else { Side::Sell };
        let counter = u64::try_from(round).expect("rounds count up");
        self.send(
            round,
            Input::Order {
                id: ClOrdId::new(0, counter),
                instrument,
                side,
                ord_type: OrdType::Limit,
                tif: Tif::Day,
                strategy: u16::try_from(round % 2).expect("one of two"),
                flags: Flags::default(),
                qty: Qty(2),
                price: Some(price),
                stop_price: None,
                expire_at: None,
                defect: None,
            },
        );
        if round % 10 == 0 {
            self.bracket(round, price);
        }
        if round % 1_000 == 0 {
            self.send(round, Input::DayRoll {});
            self.send(round, Input::CancelAll {});
            self.send(round, Input::Halt { cancel_working: true });
            self.send(round, Input::Resume {});
            self.send(
                round,
                Input::SetLimit {
                    scope: Scope::Instrument,
                    instrument: ES,
                    strategy: 0,
                    key: LimitKey::MaxOrdersPerSecond,
                    value: Some(Money(i128::from(4_000 + round % 7) * MONEY_SCALE)),
                },
            );
            self.control.kill("killed by a test");
            self.settle(round);
            assert!(self.hot_loop.state().halted().is_some());
            self.control.resume("and armed again").expect("room");
            self.settle(round);
            assert!(self.hot_loop.state().halted().is_none());
        }
    }
}

impl World {
    /// An entry, a target that rests, and a trailing stop: the price turns, the target is
    /// cancelled, the stop goes.
    fn bracket(&mut self, round: i64, price: Price) {
        let id = |n: u64| ClOrdId::new(1, u64::try_from(round).expect("rounds count up") * 4 + n);
        let away = |ticks: i64| Price(price.0 + ticks * Price::ONE.0);
        let bracket = Bracket::new(ES, Side::Buy, Qty(2), away(-50), away(200));
        let bracket = bracket.limit(price).trail(Price(Price::ONE.0));
        for input in bracket.inputs([id(0), id(1), id(2)]) {
            self.send(round, input);
        }
        self.send(round, Input::Mark { instrument: ES, price: away(5), bid: None, ask: None });
        self.send(round, Input::Mark { instrument: ES, price: away(3), bid: None, ask: None });
    }
}

/// A short list that does not allocate.
fn vec_of<const N: usize>(items: [Input; N]) -> arrayvec::ArrayVec<Input, 8> {
    items.into_iter().collect()
}

/// Page faults of this thread, and how often it gave its core away. `None` where nobody counts.
fn faults_and_waits() -> Option<(u64, u64)> {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").ok()?;
    // Behind the name, which may hold anything: proc(5), fields 10 and 12.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let faults = fields.get(7)?.parse::<u64>().ok()? + fields.get(9)?.parse::<u64>().ok()?;
    let status = std::fs::read_to_string("/proc/thread-self/status").ok()?;
    let waits = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    Some((faults, waits.trim().parse().ok()?))
}

#[test]
fn a_million_events_allocate_nothing() {
    let mut world = World::new();
    (1..100).for_each(|round| world.round(round));
    let before = world.slots;
    let counted = faults_and_waits();
    WATCHED.set(true);
    let mut round = 100;
    while world.slots - before < 1_000_000 {
        world.round(round);
        round += 1;
    }
    WATCHED.set(false);
    if let Some(((faults, waits), (faults_after, waits_after))) = counted.zip(faults_and_waits()) {
        let (faults, waits) = (faults_after - faults, waits_after - waits);
        println!("{faults} page faults, {waits} waits");
        // Not none: a page of the program may be read for the first time, or again. A ring alone
        // that nobody had touched would have hundreds.
        assert!(faults < 32, "{faults} page faults over {} slots", world.slots - before);
        assert!(waits < 8, "it gave its core away {waits} times");
    }
    let state = world.hot_loop.state();
    // It did trade, and the account says so: a loop that refuses everything allocates nothing too.
    assert!(state.account().commission().0 > 0);
    assert!(state.account().balance(1).is_some_and(|euros| euros.commission.0 > 0));
    assert!(state.strategy_pnl(1).is_some_and(|pnl| pnl.0 != 0));
    assert!(state.executions().len() > 50_000, "{} executions", state.executions().len());
    assert!(world.stops > 500, "{} stops", world.stops);
    assert!(world.amendments > 10_000, "{} busts and corrections", world.amendments);
    assert_eq!(state.orders().len(), state.orders().iter().count());
    assert_eq!(COUNT.get(), 0, "allocations or frees over {} slots", world.slots - before);
}

#[test]
fn the_allocator_counts() {
    WATCHED.set(true);
    let made = std::hint::black_box(Box::new(7));
    WATCHED.set(false);
    assert_eq!(*made, 7);
    assert!(COUNT.get() > 0);
}
