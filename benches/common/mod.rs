//! One workload from one seed, and a duel that measures two contenders against each other.
// Part of several bench programs, each of which uses some of it.
#![allow(dead_code, unreachable_pub)]

use std::time::{Duration, Instant};
use trade_engine::codec::Slot;
use trade_engine::engine::{Engine, Outbound, Output};
use trade_engine::input::{ExecKey, Input, SignalSide, StatusKind};
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::order::{ClOrdId, OrderState};
use trade_engine::settings::{Capacity, Count, Limits, RiskSettings, Settings};
use trade_engine::units::{Money, Price, Qty, Ratio, Side, Ts};

/// The seed of everything.
const SEED: u64 = 20_260_701;
const ES: InstrumentId = InstrumentId(0);
/// Money per point and lot, in 1e-9.
const LOT_VALUE: i64 = 50 * Price::ONE.0;
/// A quarter of a point.
const TICK: Price = Price(250_000_000);
const COMMISSION: Money = Money(2_050_000_000_000_000_000);
const CAPITAL: &str = "100000000";
/// Orders held at once: from then on each new order retires an old one, so that a life is whole.
const ORDERS: usize = 1_024;
/// Executions remembered. A market that has seen so many starts again from an empty engine.
const EXECUTIONS: usize = 65_536;
/// Slots of the memory that records go to: 32 MiB, far beyond the second-level cache.
pub const SINK_SLOTS: usize = 1 << 19;

/// A seeded generator: the same numbers everywhere.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        Self(SEED)
    }

    pub fn next(&mut self) -> u64 {
        // splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `bound` - 1.
    pub fn below(&mut self, bound: i64) -> i64 {
        let bound = u64::try_from(bound).expect("above zero");
        i64::try_from(self.next() % bound).expect("below an i64")
    }
}

/// The records of many orders' lives, all of them kept.
#[derive(Debug, Default)]
pub struct Records(pub Vec<Slot>);

impl Output for Records {
    fn record(&mut self, slots: &[Slot]) {
        self.0.extend_from_slice(slots);
    }

    fn send(&mut self, _outbound: &Outbound) {}
}

/// Memory that was touched before, used round and round: where records and plain stores go.
#[derive(Debug)]
pub struct Sink {
    slots: Vec<Slot>,
    next: usize,
    /// Slots stored since the start.
    pub count: u64,
    /// Messages that would have gone to a broker.
    pub sent: u64,
}

impl Sink {
    pub fn new() -> Self {
        // Not zero: the allocator's zero pages would be touched for the first time in the bench.
        Self { slots: vec![[1; 8]; SINK_SLOTS], next: 0, count: 0, sent: 0 }
    }

    #[inline]
    pub fn store(&mut self, slot: &Slot) {
        self.slots[self.next] = *slot;
        self.next = (self.next + 1) % SINK_SLOTS;
        self.count += 1;
    }
}

impl Output for Sink {
    fn record(&mut self, slots: &[Slot]) {
        slots.iter().for_each(|slot| self.store(slot));
    }

    fn send(&mut self, outbound: &Outbound) {
        std::hint::black_box(outbound);
        self.sent += 1;
    }
}

/// An engine, and the market and the venue around it: orders of one instrument, one after the
/// other, each filled in one to three parts.
#[derive(Debug)]
pub struct Market {
    pub engine: Engine,
    random: Random,
    orders: u64,
    executions: u64,
    mark: Price,
    held: i64,
    /// Cash of all trades, commission included: what the account must agree with.
    cash: i128,
}

impl Market {
    /// An engine with every slot of its orders in use, limits on and far away.
    pub fn new(output: &mut impl Output) -> Self {
        let mut engine = Engine::new(settings());
        let config = trade_engine::config::canonical::write(engine.state().settings());
        engine.open_log(Ts(0), "bench", &config, output);
        let mark = Price(4_000 * Price::ONE.0);
        let random = Random::new();
        let mut market = Self { engine, random, orders: 0, executions: 0, mark, held: 0, cash: 0 };
        (0..ORDERS).for_each(|_| market.order_life(output));
        market
    }

    /// Starts again when the memory for executions is used up. Not to be timed.
    pub fn refresh(&mut self, orders: usize, output: &mut impl Output) {
        if self.engine.state().executions().len() + 3 * orders > EXECUTIONS / 2 {
            *self = Self::new(output);
        }
    }

    /// One order from the price that it follows from to its last fill: mark, signal, acceptance,
    /// one to three trades.
    pub fn order_life(&mut self, output: &mut impl Output) {
        self.orders += 1;
        let ts = Ts(i64::try_from(self.orders).expect("few enough") * 1_000);
        let step = self.random.below(9) - 4;
        self.mark = Price((self.mark.0 + step * TICK.0).max(1_000 * TICK.0));
        let price = self.mark;
        let mark = Input::Mark { instrument: ES, price, bid: None, ask: None };
        self.engine.step(ts, 1, &mark, output);
        let qty = 1 + self.random.below(3);
        let sells = if self.held.abs() > 12 { self.held > 0 } else { self.random.below(2) == 0 };
        let order = ClOrdId::new(1, self.orders);
        let signal = Input::Signal {
            id: order,
            instrument: ES,
            side: if sells { SignalSide::Sell } else { SignalSide::Buy },
            strategy: 1,
            strength: Ratio::ONE,
            price: Some(price),
            stop_price: None,
            qty: Some(Qty(qty)),
            defect: None,
        };
        self.engine.step(ts, 1, &signal, output);
        let (kind, request) = (StatusKind::Accepted, ClOrdId::NONE);
        self.engine.step(ts, 1, &Input::Status { order, kind, request }, output);
        for _ in 0..qty {
            self.fill(ts, order, sells, output);
        }
    }

    fn fill(&mut self, ts: Ts, order: ClOrdId, sells: bool, output: &mut impl Output) {
        self.executions += 1;
        let signed = if sells { -1 } else { 1 };
        let price = Price(self.mark.0 + signed * self.random.below(2) * TICK.0);
        self.held += signed;
        self.cash -= i128::from(signed) * i128::from(price.0) * i128::from(LOT_VALUE);
        self.cash -= COMMISSION.0;
        let trade = Input::Trade {
            order,
            // Low bits as spread as those of the fingerprints that name executions.
            exec: ExecKey(u128::from(self.executions) << 64 | u128::from(self.random.next())),
            qty: Qty(1),
            price,
            commission: COMMISSION,
            instrument: ES,
            side: if sells { Side::Sell } else { Side::Buy },
            venue_says_filled: false,
            defect: None,
        };
        self.engine.step(ts, 1, &trade, output);
    }

    /// Every order was filled, and position and equity are what plain arithmetic says.
    pub fn check(&self) {
        let state = self.engine.state();
        assert_eq!(state.halted(), None);
        let last = state.order(ClOrdId::new(1, self.orders)).expect("the last order");
        assert_eq!(last.state, OrderState::Filled);
        assert!(state.orders().iter().all(|order| order.state == OrderState::Filled));
        assert_eq!(state.executions().len() as u64, self.executions);
        assert_eq!(state.position(ES).expect("it is traded").qty, Qty(self.held));
        let capital: Money = CAPITAL.parse().expect("a decimal");
        let value = i128::from(self.held) * i128::from(self.mark.0) * i128::from(LOT_VALUE);
        assert_eq!(state.account().equity(), Money(capital.0 + self.cash + value));
    }
}

fn settings() -> Settings {
    let es = Instrument {
        initial_margin: Some("12000".parse().expect("a decimal")),
        ..Instrument::plain("ES", TICK, Price::ONE.0, LOT_VALUE)
    };
    let share = |text: &str| Some(text.parse().expect("a decimal"));
    let risk = RiskSettings {
        limits: Limits {
            max_position_pct: share("0.9"),
            max_positions: Some(Count(4)),
            max_drawdown_pct: share("0.9"),
            max_daily_loss_pct: share("0.9"),
            ..Limits::OFF
        },
        margin: true,
        ..RiskSettings::OFF
    };
    let capacity = Capacity { orders: ORDERS, executions: EXECUTIONS, ..Capacity::default() };
    let strategies = vec!["bench".to_owned()];
    let settings = Settings::new(CAPITAL.parse().expect("a decimal"), vec![es]);
    Settings { risk, capacity, strategies, ..settings }
}

/// Whether each bench is only to be run once, to see that it works.
pub fn is_test() -> bool {
    std::env::args().any(|argument| argument == "--test")
}

/// Bursts of each contender in a duel.
const BURSTS: usize = 200;

/// Times two contenders in turn, burst by burst, so that both meet the same neighbours and the same
/// clock, and prints the ratio of their lower deciles. Bursts in which this thread lost its core
/// are dropped (Linux alone says so), and how many were left is printed. Each contender returns the
/// time of one burst of `count` operations, a millisecond or less: a machine at work lets few
/// longer ones alone.
pub fn duel(
    what: [&str; 2],
    count: usize,
    mut first: impl FnMut() -> Duration,
    mut second: impl FnMut() -> Duration,
) {
    let bursts = if is_test() { 1 } else { BURSTS };
    let mut times: [Vec<Duration>; 2] = [Vec::new(), Vec::new()];
    for burst in 0..2 * bursts {
        let before = switches();
        let time = if burst % 2 == 0 { first() } else { second() };
        if before == switches() {
            times[burst % 2].push(time);
        }
    }
    if is_test() {
        return;
    }
    let left = [times[0].len(), times[1].len()];
    let [Some(a), Some(b)] = times.map(|times| decile(times, count)) else {
        return println!("{} against {}: no burst was left alone", what[0], what[1]);
    };
    println!(
        "{} {a:.1} ns, {} {b:.1} ns, ratio {:.2} (p10 of the {} and {} of {bursts} interleaved \
         bursts that were left alone)\n",
        what[0],
        what[1],
        a / b,
        left[0],
        left[1]
    );
}

/// The lower decile, in nanoseconds an operation; `None` if there is none.
fn decile(mut times: Vec<Duration>, count: usize) -> Option<f64> {
    times.sort();
    let time = times.get(times.len() / 10)?;
    Some(time.as_secs_f64() * 1e9 / count as f64)
}

/// How often this thread lost its core against its will; 0 where nobody counts.
fn switches() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// The time of `work`.
#[expect(clippy::disallowed_methods, reason = "a bench reads the clock; the engine does not")]
pub fn timed(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}
