//! A stranger at every door: well-typed inputs with figures from the ends of their types, in any
//! order, from anybody. The engine never stops, loses no money and no lot, and its log folds and
//! decides again to the same state.
//!
//! `SEED=7 RUNS=1 cargo test --test hostile_inputs` repeats one run; `RUNS=5000` is a long night.

#[path = "common/random.rs"]
mod random;

use random::{Random, runs};
use std::collections::{HashMap, HashSet};
use trade_engine::broker::Message;
use trade_engine::code::Code;
use trade_engine::codec::{Chars, Slot, records};
use trade_engine::engine::{Engine, Outbound, Output, State};
use trade_engine::event::{Body, Event, Record};
use trade_engine::input::{ExecKey, Input, SignalSide, StatusKind, Subject};
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::limits::{BALANCE_MAX, MONEY_SCALE, PRICE_MAX, PRICE_SCALE, QTY_MAX};
use trade_engine::order::{ClOrdId, Flags, OrdType, Tif};
use trade_engine::position::Balance;
use trade_engine::replay::{Redecide, Replay};
use trade_engine::risk::Exposure;
use trade_engine::settings::{
    AccountSettings, Capacity, CostMethod, ExposureBasis, LimitKey, Limits, OnAnomaly,
    RiskSettings, Scope, Settings, Sizing,
};
use trade_engine::units::{Money, Price, Qty, Ratio, Side, Ts};

const STEPS_PER_RUN: usize = 400;
const INSTRUMENTS: u16 = 4;
/// A sweep over the few orders held here takes far fewer turns, and a contingent order that breaks
/// every rule a quarter of one.
const SWEEP_TURNS_MAX: usize = 64;

#[derive(Default)]
struct Collected {
    slots: Vec<Slot>,
    messages: Vec<Outbound>,
}

impl Output for Collected {
    fn record(&mut self, slots: &[Slot]) {
        self.slots.extend_from_slice(slots);
    }

    fn send(&mut self, outbound: &Outbound) {
        self.messages.push(*outbound);
    }
}

/// Ends of the type, ends of the engine's range, one beyond each, and small figures.
fn figure(random: &mut Random, bound: i64) -> i64 {
    let ends = [
        i64::MIN,
        i64::MIN + 1,
        i64::MAX,
        i64::MAX - 1,
        0,
        -1,
        bound,
        -bound,
        bound + 1,
        -bound - 1,
    ];
    match random.below(4) {
        0 => random.pick(&ends),
        1 => random.next().cast_signed(),
        _ => 1 + random.range(9),
    }
}

fn price(random: &mut Random) -> Price {
    match random.below(8) {
        0 => Price(figure(random, PRICE_MAX)),
        1 => Price(random.pick(&[PRICE_MAX, -PRICE_MAX])),
        _ => Price((95 + random.range(10)) * PRICE_SCALE),
    }
}

fn qty(random: &mut Random) -> Qty {
    match random.below(6) {
        0 => Qty(figure(random, QTY_MAX)),
        1 => Qty(random.pick(&[QTY_MAX, QTY_MAX / 2, 1_000_000])),
        _ => Qty(1 + random.range(20)),
    }
}

fn money(random: &mut Random) -> Money {
    match random.below(12) {
        0 => Money(random.pick(&[i128::MIN, i128::MIN + 1, i128::MAX, 10_i128.pow(37), -1])),
        _ => Money(i128::from(random.range(1_000_000)) - 300_000),
    }
}

fn maybe<T>(random: &mut Random, value: impl FnOnce(&mut Random) -> T) -> Option<T> {
    (random.below(3) > 0).then(|| value(random))
}

fn instrument(random: &mut Random) -> InstrumentId {
    match random.below(24) {
        0 => InstrumentId::UNKNOWN,
        1 => InstrumentId(INSTRUMENTS),
        2 => InstrumentId(40_000),
        _ => InstrumentId(u16::try_from(random.below(u64::from(INSTRUMENTS))).expect("few")),
    }
}

/// One of the table's, mostly.
fn strategy(random: &mut Random) -> u16 {
    let most = if random.below(8) == 0 { 65_536 } else { 3 };
    u16::try_from(random.below(most)).expect("16 bits")
}

/// An execution's id: one of few, so that it comes again.
fn key(random: &mut Random, order: ClOrdId, side: Side) -> ExecKey {
    let number = random.below(500);
    match random.below(40) {
        0 => ExecKey(0),
        1 => ExecKey(u128::MAX),
        _ => ExecKey::new(0, &number.to_string(), order, side),
    }
}

struct Stranger {
    random: Random,
    next: u64,
    ts: i64,
    /// Executions that busts and corrections may refer to.
    reported: Vec<(ClOrdId, ExecKey)>,
}

impl Stranger {
    /// Grows, mostly; else any source, the engine's own and none that there is among them.
    fn new_id(&mut self) -> ClOrdId {
        match self.random.below(24) {
            0 => ClOrdId(self.random.next()),
            1 => ClOrdId(self.random.below(256) << 56 | self.random.below(40)),
            2 => ClOrdId(7 << 56 | ((1 << 56) - 1)),
            _ => {
                self.next += 1;
                ClOrdId::new(2, self.next)
            }
        }
    }

    fn any_id(&mut self, state: &State) -> ClOrdId {
        match self.random.below(16) {
            0 => ClOrdId(self.random.next()),
            1 => ClOrdId(self.random.below(256) << 56 | self.random.below(40)),
            2 => ClOrdId::NONE,
            3..=6 => ClOrdId::new(2, self.random.below(self.next + 2) + 1),
            _ => {
                let held = state.orders().len() as u64;
                let at = usize::try_from(self.random.below(held.max(1))).expect("few");
                state.orders().iter().nth(at).map_or(ClOrdId::NONE, |order| order.id)
            }
        }
    }

    /// A request that is outstanding, or anything.
    fn request(&mut self, state: &State, order: ClOrdId) -> ClOrdId {
        let known = state.order(order).and_then(|order| order.requests.iter().next());
        match (self.random.below(3), known) {
            (0, _) => ClOrdId::NONE,
            (1, Some(request)) => request.id,
            _ => self.any_id(state),
        }
    }

    fn time(&mut self) -> Ts {
        match self.random.below(400) {
            0 => return Ts(i64::MIN),
            1 => return Ts(self.ts - 1_000_000_000),
            _ => self.ts += i64::try_from(self.random.below(2_000_000)).expect("small"),
        }
        Ts(self.ts)
    }

    fn input(&mut self, state: &State) -> Input {
        match self.random.below(26) {
            0..=3 => self.order(),
            4 => self.signal(),
            5 => Input::Cancel { id: self.new_id(), order: self.any_id(state) },
            6 | 7 => self.replace(state),
            8..=10 => self.trade(state),
            11 | 12 => {
                let order = self.any_id(state);
                let request = self.request(state, order);
                Input::Status { order, kind: self.random.pick(&StatusKind::ALL), request }
            }
            13 => {
                let order = self.any_id(state);
                let request = self.request(state, order);
                let random = &mut self.random;
                let (price, stop_price) = (maybe(random, price), maybe(random, price));
                Input::Replaced { order, request, qty: maybe(random, qty), price, stop_price }
            }
            14 => Input::Restated { order: self.any_id(state), qty: maybe(&mut self.random, qty) },
            15 if self.random.below(3) == 0 => self.rate(),
            15 | 16 => self.market(),
            17 => {
                let instrument = instrument(&mut self.random);
                Input::ClosePosition { id: self.new_id(), instrument }
            }
            18..=20 => self.contingent(state),
            21..=23 => self.bust(state),
            _ => self.command(),
        }
    }

    fn order(&mut self) -> Input {
        let id = self.new_id();
        let random = &mut self.random;
        let types = [OrdType::Market, OrdType::Limit, OrdType::Stop, OrdType::StopLimit];
        Input::Order {
            id,
            instrument: instrument(random),
            side: random.pick(&[Side::Buy, Side::Sell]),
            ord_type: random.pick(&types),
            tif: random.pick(&[Tif::Day, Tif::Gtc, Tif::Ioc, Tif::Fok, Tif::Gtd]),
            strategy: strategy(random),
            flags: Flags(u16::try_from(random.below(65_536)).expect("16 bits")),
            qty: qty(random),
            price: maybe(random, price),
            stop_price: maybe(random, price),
            expire_at: maybe(random, |random| Ts(figure(random, i64::MAX - 1))),
            defect: if random.below(30) == 0 { Some(random.pick(Code::ALL)) } else { None },
        }
    }

    fn contingent(&mut self, state: &State) -> Input {
        let (parent, sibling) = (self.other(state), self.other(state));
        let Input::Order { id, instrument, side, ord_type, tif, strategy, flags, .. } =
            self.order()
        else {
            unreachable!("an order is one")
        };
        let random = &mut self.random;
        Input::Contingent {
            id,
            instrument,
            side,
            ord_type,
            tif,
            strategy,
            flags,
            qty: qty(random),
            price: maybe(random, price),
            stop_price: maybe(random, price),
            expire_at: maybe(random, |random| Ts(figure(random, i64::MAX - 1))),
            parent,
            sibling,
            trail: if random.below(3) == 0 { Some(price(random)) } else { None },
            defect: None,
        }
    }

    fn other(&mut self, state: &State) -> ClOrdId {
        match self.random.below(4) {
            0 | 1 => ClOrdId::NONE,
            2 => ClOrdId::new(2, self.next + 1 + self.random.below(4)),
            _ => self.any_id(state),
        }
    }

    fn signal(&mut self) -> Input {
        let id = self.new_id();
        let random = &mut self.random;
        Input::Signal {
            id,
            instrument: instrument(random),
            side: random.pick(&[SignalSide::Buy, SignalSide::Sell, SignalSide::Flat]),
            strategy: strategy(random),
            strength: Ratio(figure(random, Ratio::ONE.0)),
            price: maybe(random, price),
            stop_price: maybe(random, price),
            qty: maybe(random, qty),
            defect: None,
        }
    }

    fn replace(&mut self, state: &State) -> Input {
        let (id, order) = (self.new_id(), self.any_id(state));
        let random = &mut self.random;
        Input::Replace {
            id,
            order,
            qty: maybe(random, qty),
            price: maybe(random, price),
            stop_price: maybe(random, price),
            defect: None,
        }
    }

    fn trade(&mut self, state: &State) -> Input {
        let order = self.any_id(state);
        let random = &mut self.random;
        let side = random.pick(&[Side::Buy, Side::Sell]);
        let exec = key(random, order, side);
        self.reported.push((order, exec));
        Input::Trade {
            order,
            exec,
            qty: qty(random),
            price: price(random),
            commission: money(random),
            instrument: instrument(random),
            side,
            venue_says_filled: random.below(2) == 0,
            defect: if random.below(40) == 0 { Some(Code::Overflow) } else { None },
        }
    }

    /// A bust or a correction of a trade that was reported, or of anything, under any id.
    fn bust(&mut self, state: &State) -> Input {
        let random = &mut self.random;
        let known = random.below(self.reported.len().max(1) as u64);
        let reported = self.reported.get(usize::try_from(known).expect("few")).copied();
        let (order, exec_ref) = reported.unwrap_or_default();
        let exec_ref = if random.below(12) == 0 { key(random, order, Side::Buy) } else { exec_ref };
        let exec = key(random, order, Side::Sell);
        let order = if random.below(12) == 0 { self.any_id(state) } else { order };
        self.reported.push((order, exec));
        let random = &mut self.random;
        if random.below(2) == 0 {
            return Input::Bust { order, exec, exec_ref };
        }
        let defect = if random.below(40) == 0 { Some(Code::Overflow) } else { None };
        Input::Correct { order, exec, exec_ref, qty: qty(random), price: price(random), defect }
    }

    fn market(&mut self) -> Input {
        let random = &mut self.random;
        let instrument = instrument(random);
        if random.below(2) == 0 {
            let (price, bid, ask) = (price(random), maybe(random, price), maybe(random, price));
            return Input::Mark { instrument, price, bid, ask };
        }
        Input::Bar {
            instrument,
            open: price(random),
            high: price(random),
            low: price(random),
            close: price(random),
            volume: random.next(),
            opened: Ts(figure(random, 1_000)),
        }
    }

    fn rate(&mut self) -> Input {
        let random = &mut self.random;
        let currency = match random.below(8) {
            0 => u16::try_from(random.below(65_536)).expect("16 bits"),
            _ => u16::try_from(1 + random.below(2)).expect("few"),
        };
        let price = match random.below(3) {
            0 => Price(1 + random.range(3 * PRICE_SCALE)),
            _ => price(random),
        };
        Input::Rate { currency, price, inverse: random.below(2) == 0 }
    }

    fn command(&mut self) -> Input {
        let random = &mut self.random;
        match random.below(13) {
            12 => Input::LogBehind { written: u64::MAX, waited_ms: u64::MAX },
            10 | 11 => Input::SetLimit {
                scope: random.pick(&Scope::ALL),
                instrument: instrument(random),
                strategy: u16::try_from(random.below(4)).expect("few"),
                key: random.pick(LimitKey::ALL),
                value: maybe(random, |random| match random.below(4) {
                    0 => money(random),
                    _ => Money(i128::from(random.below(200)) * MONEY_SCALE),
                }),
            },
            0 => Input::Halt { cancel_working: random.below(2) == 0 },
            1..=3 => Input::Resume {},
            4 => Input::CancelAll {},
            5 => Input::DayRoll {},
            6 => Input::Timer {},
            7 => Input::Continue {},
            8 => Input::Opening {
                instrument: instrument(random),
                qty: qty(random),
                avg_px: price(random),
            },
            _ => {
                let (text, _) = Chars::split("words of a stranger, with an umlaut: \u{fc}");
                Input::Text { subject: Subject::Venue, more: true, id: ClOrdId(u64::MAX), text }
            }
        }
    }
}

fn settings(random: &mut Random) -> Settings {
    let instruments = (0..INSTRUMENTS).map(|index| {
        let (lot_size, multiplier) = random.pick(&[
            (PRICE_SCALE, PRICE_SCALE),
            (PRICE_SCALE / 10_000, 10_000 * PRICE_SCALE),
            (PRICE_SCALE, 100_000_000 * PRICE_SCALE),
        ]);
        let tick = Price(random.pick(&[1, PRICE_SCALE / 4]));
        let mut spec = Instrument::plain(&format!("I{index}"), tick, lot_size, multiplier);
        spec.negative_prices = random.below(2) == 0;
        spec.currency = random.pick(&["USD", "USD", "EUR", "JPY"]).to_owned();
        spec.initial_margin = maybe(random, |_| "1000".parse().expect("a decimal"));
        spec.check().expect("sound");
        spec
    });
    let instruments = instruments.collect();
    let share = |random: &mut Random| random.pick(&[Ratio(1), Ratio::ONE, Ratio(i64::MAX)]);
    let rarely =
        |random: &mut Random| if random.below(3) == 0 { Some(share(random)) } else { None };
    let capital = random.pick(&["100000", "0", "9999999999999999999", "-5"]);
    let basis = [ExposureBasis::Notional, ExposureBasis::Price, ExposureBasis::Risk];
    let sizing = [Sizing::PercentEquity, Sizing::PercentMargin, Sizing::FixedRisk, Sizing::Exact];
    let capital = capital.parse().expect("a decimal");
    let cost_method = random.pick(&[CostMethod::Average, CostMethod::Fifo]);
    Settings {
        account: AccountSettings {
            currency: "USD".to_owned(),
            initial_capital: capital,
            cost_method,
        },
        risk: RiskSettings {
            limits: Limits {
                max_position_pct: rarely(random),
                max_drawdown_pct: rarely(random),
                max_daily_loss_pct: rarely(random),
                max_correlation: rarely(random),
                ..Limits::OFF
            },
            self_match: random.below(2) == 0,
            on_anomaly: random.pick(&[
                OnAnomaly::Report,
                OnAnomaly::HaltInstrument,
                OnAnomaly::Halt,
            ]),
            exposure_basis: random.pick(&basis),
            margin: random.below(2) == 0,
            correlation_window: 3,
            sizing: random.pick(&sizing),
            ..RiskSettings::OFF
        },
        capacity: Capacity {
            orders: random.pick(&[2, 24, 200]),
            executions: random.pick(&[8, 4_000]),
            checkpoint_interval_slots: 100,
        },
        refuse_old_time: random.below(2) == 0,
        day_roll_ends_orders: random.below(2) == 0,
        forward_market_data: random.below(2) == 0,
        strategies: vec!["one".to_owned(), "two".to_owned()],
        ..Settings::new(capital, instruments)
    }
}

/// What the engine's records say was traded, added up by somebody else.
#[derive(Clone, Copy, Default)]
struct Held {
    qty: i64,
    /// Signed value of everything bought and sold: what is still paid for, less what was made.
    value: i128,
    commission: i128,
}

/// What an execution did, as the records say.
#[derive(Clone, Copy)]
struct Deed {
    instrument: usize,
    side: Side,
    qty: i64,
    price: i64,
    commission: i128,
}

struct Witness {
    held: Vec<Held>,
    /// For each execution that can be referred to: the key of the trade that it is about.
    roots: HashMap<u128, u128>,
    /// What those trades are now; none of the busted ones.
    deeds: HashMap<u128, Deed>,
    replay: Replay,
    redecide: Redecide,
    booked: HashSet<u128>,
    seq: u64,
}

impl Witness {
    fn follow(&mut self, slots: &[Slot], lot_values: &[i64]) -> Vec<Record> {
        let mut found = Vec::new();
        for chunk in records(slots) {
            let record = Record::decode(chunk).expect("the engine wrote it");
            self.replay.next(chunk).unwrap_or_else(|error| panic!("{error}: {record:?}"));
            self.redecide.next(chunk).unwrap_or_else(|error| panic!("{error}: {record:?}"));
            assert_eq!(record.head.seq, self.seq + 1);
            self.seq += chunk.len() as u64;
            match record.body {
                Body::Event(Event::Traded {
                    instrument,
                    exec,
                    last_qty,
                    last_px,
                    commission,
                    side,
                    ..
                }) => {
                    let deed = Deed {
                        instrument: instrument.index(),
                        side,
                        qty: last_qty.0,
                        price: last_px.0,
                        commission: commission.0,
                    };
                    self.count(deed, 1, lot_values);
                    self.roots.insert(exec.0, exec.0);
                    self.deeds.insert(exec.0, deed);
                    // A full table can tell nothing: the engine halts then, and books.
                    let table = self.replay.state().expect("a head").executions();
                    let blind = exec == ExecKey(0) || table.is_full();
                    let news = self.booked.insert(exec.0) || blind;
                    assert!(news, "booked twice: {record:?}");
                }
                Body::Event(Event::Busted { exec, exec_ref, .. }) => {
                    let root = self.root(exec, exec_ref);
                    let deed = self.deeds.remove(&root).expect("busted twice");
                    self.count(deed, -1, lot_values);
                }
                Body::Event(Event::Corrected { exec, exec_ref, last_qty, last_px, .. }) => {
                    let root = self.root(exec, exec_ref);
                    let was = self.deeds[&root];
                    let deed = Deed { qty: last_qty.0, price: last_px.0, ..was };
                    self.count(was, -1, lot_values);
                    self.count(deed, 1, lot_values);
                    self.deeds.insert(root, deed);
                }
                Body::Event(Event::PositionOpened { instrument, qty, open_cost }) => {
                    self.held[instrument.index()].qty += qty.0;
                    self.held[instrument.index()].value += open_cost.0;
                }
                Body::Event(_) | Body::Input(..) | Body::Opening(_) => {}
            }
            found.push(record);
        }
        found
    }

    /// Adds what an execution did, or takes it away.
    fn count(&mut self, deed: Deed, times: i8, lot_values: &[i64]) {
        let held = &mut self.held[deed.instrument];
        let signed = deed.qty * deed.side.sign() * i64::from(times);
        held.qty += signed;
        let per_lot = i128::from(deed.price) * i128::from(lot_values[deed.instrument]);
        held.value += per_lot * i128::from(signed);
        held.commission += deed.commission * i128::from(times);
    }

    /// The trade that a bust or a correction is about; its own id is one more name of it.
    fn root(&mut self, exec: ExecKey, exec_ref: ExecKey) -> u128 {
        let root = self.roots[&exec_ref.0];
        let table = self.replay.state().expect("a head").executions();
        let blind = exec == ExecKey(0) || table.is_full();
        assert!(self.booked.insert(exec.0) || blind, "taken twice: {exec:?}");
        self.roots.insert(exec.0, root);
        root
    }

    fn check(&self, state: &State) {
        let account = state.account();
        let mut balances = vec![Balance::default(); state.settings().currencies().len()];
        for (held, book) in self.held.iter().zip(state.books()) {
            let position = &book.position;
            assert_eq!(position.qty.0, held.qty);
            assert_eq!(position.open_cost.0 - position.realized.0, held.value);
            assert_eq!(position.commission.0, held.commission);
            let sum = &mut balances[usize::from(book.currency)];
            sum.realized.0 += position.realized.0;
            sum.commission.0 += held.commission;
            sum.unrealized.0 += book.market.price.map_or(0, |mark| {
                let per_lot = i128::from(mark.0) * i128::from(book.lot_value);
                per_lot * i128::from(position.qty.0) - position.open_cost.0
            });
            sum.positions += i32::from(held.qty != 0);
        }
        let mut pnl = 0;
        for (currency, sum) in (0..).zip(&balances) {
            assert_eq!(account.balance(currency), Some(sum));
            let rate = account.rates().get(currency);
            pnl += rate.map_or(0, |rate| rate.worth(sum.pnl().0).expect("it was taken in"));
        }
        let Money(realized) = account.realized();
        let bounded =
            [account.equity(), account.unrealized(), account.commission(), Money(realized)];
        assert!(bounded.iter().all(|money| money.0.abs() <= BALANCE_MAX), "{account:?}");
        assert_eq!(realized - account.commission().0 + account.unrealized().0, pnl);
        assert_eq!(account.equity().0, account.initial_capital().0 + pnl);
        self.check_strategies(state);

        let mut working = vec![Exposure::default(); state.books().len()];
        for order in state.orders().iter() {
            assert!(order.leaves_qty().0 >= 0 && order.cum_qty.0 >= 0, "{order:?}");
            assert!(!order.state.is_final() || order.leaves_qty() == Qty(0), "{order:?}");
            if let Some(exposure) = working.get_mut(order.instrument.index()) {
                exposure.add(order.contribution()).expect("in range");
            }
        }
        for (exposure, book) in working.iter().zip(state.books()) {
            assert_eq!(*exposure, book.exposure, "the sums are not those of the orders");
        }
        assert_eq!(self.redecide.missing_slots(), 0);
    }
}

impl Witness {
    /// Every lot, every unit of cash and every commission is somebody's.
    fn check_strategies(&self, state: &State) {
        let books = state.strategy_books();
        for (at, held) in (0..).zip(&self.held) {
            let mut sum = Held::default();
            for number in books.numbers() {
                let of = &books.get(number, InstrumentId(at)).expect("it is in the table").position;
                sum.qty += of.qty.0;
                sum.value += of.open_cost.0 - of.realized.0;
                sum.commission += of.commission.0;
            }
            assert_eq!((sum.qty, sum.value), (held.qty, held.value));
            assert_eq!(sum.commission, held.commission);
        }
    }
}

/// An execution that could be booked was: or it is said why not, and trading is halted. The same of
/// a bust or a correction of a trade that stands.
fn nothing_dropped(input: &Input, before: &State, after: &State, group: &[Record]) {
    let executions = before.executions();
    let stands = |order, exec_ref| {
        executions.standing(exec_ref).is_some_and(|found| found.execution.order == order)
    };
    let is_news = if let Input::Trade { exec, qty, price, instrument, defect, order, .. } = *input {
        let place = before.order(order).and_then(|order| before.book(order.instrument));
        qty.0 > 0
            && matches!(defect, None | Some(Code::Overflow))
            && executions.seen(exec, qty, price) == trade_engine::engine::Seen::New
            && (place.is_some() || before.book(instrument).is_some())
    } else if let Input::Bust { order, exec, exec_ref } = *input {
        !executions.knows(exec) && stands(order, exec_ref)
    } else if let Input::Correct { order, exec, exec_ref, qty, .. } = *input {
        qty.0 > 0 && !executions.knows(exec) && stands(order, exec_ref)
    } else {
        return;
    };
    let says = |wanted: fn(&Event) -> bool| {
        group.iter().any(|record| matches!(&record.body, Body::Event(event) if wanted(event)))
    };
    if says(|event| matches!(event, Event::Refused { code: Code::TimeWentBack, .. })) {
        return;
    }
    let booked = says(|event| {
        matches!(event, Event::Traded { .. } | Event::Busted { .. } | Event::Corrected { .. })
    });
    let unbooked = says(|event| matches!(event, Event::Unbooked { .. }));
    assert_eq!(booked || unbooked, is_news, "{input:?} {group:?}");
    assert!(!(booked && unbooked), "{input:?}");
    assert!(!unbooked || after.halted().is_some(), "{input:?}");
}

fn run(seed: u64) {
    let mut random = Random::new(seed);
    let settings = settings(&mut random);
    let config = trade_engine::config::canonical::write(&settings);
    let mut engine = Engine::new(settings);
    let mut out = Collected::default();
    let opened = random.pick(&[0, -1_000_000_000]);
    engine.open_log(Ts(opened), "hostile", &config, &mut out);
    let lot_values: Vec<i64> = engine.state().books().iter().map(|book| book.lot_value).collect();
    let mut witness = Witness {
        held: vec![Held::default(); lot_values.len()],
        roots: HashMap::new(),
        deeds: HashMap::new(),
        replay: Replay::default(),
        redecide: Redecide::default(),
        booked: HashSet::new(),
        seq: 0,
    };
    witness.follow(&out.slots, &lot_values);
    let mut stranger = Stranger { random, next: 0, ts: opened, reported: Vec::new() };
    for step in 0..STEPS_PER_RUN {
        let (ts, input) = (stranger.time(), stranger.input(engine.state()));
        let before = engine.state().clone();
        out.slots.clear();
        out.messages.clear();
        engine.step(ts, 0, &input, &mut out);
        let group = witness.follow(&out.slots, &lot_values);
        nothing_dropped(&input, &before, engine.state(), &group);
        for outbound in &out.messages {
            assert_eq!(outbound.seq, engine.state().seq(), "it may leave before its record");
            if let Message::New(new) = outbound.message {
                assert!((1..=QTY_MAX).contains(&new.qty.0), "{new:?}");
            }
        }
        let mut turns = 0;
        while engine.state().sweeps().any() {
            out.slots.clear();
            engine.step(ts, 0, &Input::Continue {}, &mut out);
            witness.follow(&out.slots, &lot_values);
            turns += 1;
            assert!(turns < SWEEP_TURNS_MAX, "a sweep without end");
        }
        witness.check(engine.state());
        if step % 16 == 0 {
            let live = engine.state().hash();
            assert_eq!(witness.replay.state().expect("a head").hash(), live, "{input:?}");
            assert_eq!(witness.redecide.state().expect("a head").hash(), live, "{input:?}");
        }
    }
}

#[test]
fn no_input_stops_the_engine_or_loses_money() {
    for seed in runs(if cfg!(debug_assertions) { 150 } else { 1_000 }) {
        println!("SEED={seed} RUNS=1 cargo test --test hostile_inputs");
        run(seed);
    }
}

/// An engine, what it put out last, and the ids of a feeder.
struct Desk {
    engine: Engine,
    out: Collected,
    next: u64,
    ts: i64,
}

impl Desk {
    fn new(settings: Settings) -> Self {
        Self { engine: Engine::new(settings), out: Collected::default(), next: 0, ts: 0 }
    }

    /// One contract at ten thousand dollars of capital.
    fn plain() -> Settings {
        let spec = Instrument::plain("ES", Price::ONE, PRICE_SCALE, PRICE_SCALE);
        Settings::new("10000".parse().expect("a decimal"), vec![spec])
    }

    fn step(&mut self, input: Input) -> Vec<Event> {
        self.out = Collected::default();
        self.ts += 1;
        self.engine.step(Ts(self.ts), 0, &input, &mut self.out);
        let events = records(&self.out.slots).filter_map(|slots| {
            match Record::decode(slots).expect("the engine wrote it").body {
                Body::Event(event) => Some(event),
                Body::Input(..) | Body::Opening(_) => None,
            }
        });
        events.collect()
    }

    fn id(&mut self) -> ClOrdId {
        self.next += 1;
        ClOrdId::new(0, self.next)
    }

    fn limit(&mut self, side: Side, qty: i64, price: i64) -> ClOrdId {
        let id = self.id();
        self.step(Input::Order {
            id,
            instrument: InstrumentId(0),
            side,
            ord_type: OrdType::Limit,
            tif: Tif::Gtc,
            strategy: 0,
            flags: Flags::default(),
            qty: Qty(qty),
            price: Some(Price(price * PRICE_SCALE)),
            stop_price: None,
            expire_at: None,
            defect: None,
        });
        id
    }

    fn trade(&mut self, order: ClOrdId, number: u64, qty: i64, price: i64) -> Vec<Event> {
        let side = Side::Buy;
        self.step(Input::Trade {
            order,
            exec: ExecKey::new(0, &number.to_string(), order, side),
            qty: Qty(qty),
            price: Price(price * PRICE_SCALE),
            commission: Money::ZERO,
            instrument: InstrumentId(0),
            side,
            venue_says_filled: false,
            defect: None,
        })
    }
}

/// Replaces that a venue never answers leave the place of the one cancel free: for a person, and for
/// the kill switch.
#[test]
fn unanswered_replaces_never_keep_an_order_from_being_cancelled() {
    let mut desk = Desk::new(Desk::plain());
    let order = desk.limit(Side::Buy, 1, 100);
    let mut asked = 0;
    for price in 1..20 {
        let id = desk.id();
        let price = Some(Price(price * PRICE_SCALE));
        let (qty, stop_price, defect) = (None, None, None);
        let events = desk.step(Input::Replace { id, order, qty, price, stop_price, defect });
        asked += events.iter().filter(|e| matches!(e, Event::ReplaceAsked { .. })).count();
    }
    assert_eq!(asked, trade_engine::limits::REQUESTS_PER_ORDER_MAX);
    let events = desk.step(Input::Halt { cancel_working: true });
    assert!(events.iter().any(|e| matches!(e, Event::CancelAsked { .. })), "{events:?}");
}

/// Which order is retired first, and which slot the next one takes, are decisions to come: states
/// that differ in nothing else hash differently.
#[test]
fn the_hash_covers_what_later_decisions_rest_on() {
    let hash_after = |ends: [usize; 2]| {
        let mut desk = Desk::new(Desk::plain());
        let orders = [desk.limit(Side::Buy, 1, 100), desk.limit(Side::Buy, 1, 100)];
        for end in ends {
            let (order, kind, request) = (orders[end], StatusKind::Cancelled, ClOrdId::NONE);
            desk.step(Input::Status { order, kind, request });
        }
        desk.engine.state().hash()
    };
    assert_ne!(hash_after([0, 1]), hash_after([1, 0]), "the order of retirement");
}

/// Trades that name orders which nobody made get rows, and the rows give way to orders of ours.
#[test]
fn rows_of_a_strangers_trades_never_lock_us_out() {
    let capacity = Capacity { orders: 4, ..Capacity::default() };
    let mut desk = Desk::new(Settings { capacity, ..Desk::plain() });
    for number in 1..=8 {
        desk.trade(ClOrdId::new(5, number), number, 1, 100);
    }
    assert_eq!(desk.engine.state().position(InstrumentId(0)).expect("it is there").qty, Qty(8));
    let exit = desk.limit(Side::Sell, 8, 100);
    assert!(desk.engine.state().order(exit).is_some(), "no slot for the way out");
    desk.step(Input::DayRoll {});
    assert_eq!(desk.engine.state().orders().len(), 1, "the day ends what nobody ordered");
}

/// A signal's price is what slippage is measured from: one past the range must not pass, or the fill
/// of its order, sound in itself, could not be booked.
#[test]
fn a_signals_wild_price_never_keeps_a_fill_from_being_booked() {
    let large = Instrument::plain("JPY", Price(1), PRICE_SCALE, 12_500_000 * PRICE_SCALE);
    for wild in [i64::MAX, i64::MIN + 1, -PRICE_MAX - 1] {
        let mut desk = Desk::new(Settings { instruments: vec![large.clone()], ..Desk::plain() });
        let id = desk.id();
        desk.step(Input::Signal {
            id,
            instrument: InstrumentId(0),
            side: SignalSide::Buy,
            strategy: 0,
            strength: Ratio::ONE,
            price: Some(Price(wild)),
            stop_price: None,
            qty: Some(Qty(700)),
            defect: None,
        });
        let order = desk.engine.state().order(id).expect("a row");
        assert_eq!(order.reason, Some(Code::BadPrice), "{wild}");
        let events = desk.trade(id, 1, 700, 1);
        assert!(events.iter().any(|e| matches!(e, Event::Traded { .. })), "{events:?}");
    }
}

/// Exposure is by magnitude: a replace from 1 to -1,000 is checked like one to 1,000.
#[test]
fn a_replace_below_zero_is_measured_by_its_size() {
    let mut settings = Desk::plain();
    settings.instruments[0].negative_prices = true;
    settings.risk.limits.max_position_pct = Some("0.05".parse().expect("a decimal"));
    let mut desk = Desk::new(settings);
    let order = desk.limit(Side::Sell, 1, 1);
    for price in [1_000, -1_000] {
        let (id, price) = (desk.id(), Some(Price(price * PRICE_SCALE)));
        let (qty, stop_price, defect) = (None, None, None);
        let events = desk.step(Input::Replace { id, order, qty, price, stop_price, defect });
        let refused =
            |event: &Event| matches!(event, Event::Refused { code: Code::MaxPositionPct, .. });
        assert!(events.iter().any(refused), "{price:?}: {events:?}");
    }
}
