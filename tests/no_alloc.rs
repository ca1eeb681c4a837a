//! Promise 4: after start the engine thread does not allocate. A counting allocator watches the
//! thread that drives the hot loop over a million events.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use trade_engine::broker::Message;
use trade_engine::codec::{FLAG_CONT, Slot};
use trade_engine::engine::Engine;
use trade_engine::event::Event;
use trade_engine::input::{ExecKey, Input, StatusKind};
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::order::{ClOrdId, Flags, OrdType, Tif};
use trade_engine::runtime::{
    Clock, Dispatch, Feedback, HotEnds, HotLoop, Inbound, Shared, ToBroker, ToEngine, Turn,
};
use trade_engine::settings::{Capacity, Limits, RiskSettings, Settings};
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
    inputs: rtrb::Producer<Inbound>,
    reports: rtrb::Producer<Inbound>,
    records: rtrb::Consumer<Slot>,
    orders: rtrb::Consumer<ToBroker>,
    feedback: rtrb::Consumer<Feedback>,
    slots: u64,
    executions: u64,
    /// An order and its first execution.
    old: (ClOrdId, ExecKey),
    busted: u8,
    corrected: u8,
    /// Records of those two kinds.
    amendments: u64,
}

const ES: InstrumentId = InstrumentId(0);

impl World {
    fn new() -> Self {
        let es = Instrument::plain("ES", Price(250_000_000), Price::ONE.0, 50 * Price::ONE.0);
        let risk = RiskSettings {
            limits: Limits {
                max_position_pct: Some("0.9".parse().expect("a decimal")),
                max_drawdown_pct: Some("0.9".parse().expect("a decimal")),
                max_daily_loss_pct: Some("0.9".parse().expect("a decimal")),
                ..Limits::OFF
            },
            ..RiskSettings::OFF
        };
        let capacity = Capacity { orders: 64, ..Capacity::default() };
        let capital = "100000000".parse().expect("a decimal");
        let settings = Settings { risk, capacity, ..Settings::new(capital, vec![es]) };
        let (inputs, inputs_out) = rtrb::RingBuffer::new(1_024);
        let (reports, reports_out) = rtrb::RingBuffer::new(1_024);
        let (records_in, records) = rtrb::RingBuffer::new(16_384);
        let (orders_in, orders) = rtrb::RingBuffer::new(1_024);
        let (feedback_in, feedback) = rtrb::RingBuffer::new(1_024);
        let ends = HotEnds {
            reports: reports_out,
            inputs: inputs_out,
            records: records_in,
            orders: orders_in,
            feedback: feedback_in,
        };
        let mut engine = Engine::new(settings);
        engine.open_log(Ts(0), "test", "", &mut ());
        let hot_loop = HotLoop::new(engine, ends, Shared::default(), Clock::new());
        let kind = |wanted| {
            let found = Event::KINDS.iter().find(|(_, name, _)| *name == wanted);
            found.expect("there is such an event").0
        };
        Self {
            hot_loop,
            inputs,
            reports,
            records,
            orders,
            feedback,
            slots: 0,
            executions: 0,
            old: (ClOrdId::NONE, ExecKey(0)),
            busted: kind("busted"),
            corrected: kind("corrected"),
            amendments: 0,
        }
    }

    fn send(&mut self, at: i64, input: Input) {
        let message = ToEngine::Input(input);
        self.inputs.push(Inbound { ts: Ts(at), sent: 1, message }).expect("it is drained");
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
        let Message::New(new) = message else { return };
        let (order, request, kind) = (new.order, ClOrdId::NONE, StatusKind::Accepted);
        let mut reports = vec_of([Input::Status { order, kind, request }]);
        let price = new.price.expect("a limit order");
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
            instrument: ES,
            side: new.side,
            venue_says_filled: false,
            defect: None,
        };
        let (first, second) = (exec(), exec());
        // What the venue takes back: nothing of it may allocate either.
        reports.push(trade(first));
        reports.push(trade(second));
        // Of buys as often as of sells, and full again in the end.
        if order.counter() % 7 == 0 {
            reports.push(Input::Bust { order, exec: exec(), exec_ref: second });
            reports.push(trade(exec()));
        }
        if order.counter() % 5 == 0 {
            let (exec, qty, defect) = (exec(), Qty(2), None);
            reports.push(Input::Correct { order, exec, exec_ref: first, qty, price, defect });
        }
        // More orders ago than there are slots: the row is gone, and the position was flat since.
        if order.counter() % 75 == 0 {
            let (order, exec_ref) = std::mem::replace(&mut self.old, (order, first));
            let exec = ExecKey(u128::MAX - exec_ref.0);
            reports.push(Input::Bust { order, exec, exec_ref });
        }
        for input in reports {
            let message = ToEngine::Input(input);
            self.reports.push(Inbound { ts: Ts(at), sent: 1, message }).expect("it is drained");
        }
    }

    fn round(&mut self, round: i64) {
        let price = Price((4_500 + round % 100) * Price::ONE.0);
        self.send(round, Input::Mark { instrument: ES, price, bid: None, ask: None });
        let side = if round % 2 == 0 { Side::Buy } else { Side::Sell };
        let counter = u64::try_from(round).expect("rounds count up");
        self.send(
            round,
            Input::Order {
                id: ClOrdId::new(0, counter),
                instrument: ES,
                side,
                ord_type: OrdType::Limit,
                tif: Tif::Day,
                strategy: 0,
                flags: Flags::default(),
                qty: Qty(2),
                price: Some(price),
                stop_price: None,
                expire_at: None,
                defect: None,
            },
        );
        if round % 1_000 == 0 {
            self.send(round, Input::DayRoll {});
            self.send(round, Input::CancelAll {});
            self.send(round, Input::Halt { cancel_working: true });
            self.send(round, Input::Resume {});
        }
    }
}

/// A short list that does not allocate.
fn vec_of<const N: usize>(items: [Input; N]) -> arrayvec::ArrayVec<Input, 8> {
    items.into_iter().collect()
}

#[test]
fn a_million_events_allocate_nothing() {
    let mut world = World::new();
    (1..100).for_each(|round| world.round(round));
    let before = world.slots;
    WATCHED.set(true);
    let mut round = 100;
    while world.slots - before < 1_000_000 {
        world.round(round);
        round += 1;
    }
    WATCHED.set(false);
    let state = world.hot_loop.state();
    // It did trade, and the account says so: a loop that refuses everything allocates nothing too.
    assert!(state.account().commission().0 > 0);
    assert!(state.executions().len() > 50_000, "{} executions", state.executions().len());
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
