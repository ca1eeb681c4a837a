//! Random inputs, and a venue that says anything at any time: the engine never stops, folding the
//! log gives the live state after every group, deciding again gives the same bytes, and every record
//! reads back as it was written. At random cuts both go on from the bytes of the state.
//!
//! `SEED=7 RUNS=1 cargo test --test replay_prefix` repeats one run.

#[path = "common/random.rs"]
mod random;

use random::{Random, runs};
use std::collections::BTreeSet;
use trade_engine::broker::{Broker, Message, Reports};
use trade_engine::code::Code;
use trade_engine::codec::{Slot, records};
use trade_engine::embedded::TradeEngine;
use trade_engine::engine::State;
use trade_engine::event::{Body, Record};
use trade_engine::image::Bytes;
use trade_engine::input::{ExecKey, Input, SignalSide, StatusKind, Subject};
use trade_engine::instrument::{Instrument, InstrumentId, OpenInterval};
use trade_engine::limits::{MONEY_SCALE, PRICE_SCALE};
use trade_engine::order::{ClOrdId, Flags, OrdType, Tif};
use trade_engine::position::Position;
use trade_engine::replay::{Redecide, Replay};
use trade_engine::risk::{Exposure, InstrumentBook};
use trade_engine::settings::{
    AccountSettings, Capacity, CorrelationAction, CostMethod, Count, ExposureBasis, LimitKey,
    Limits, Millis, OnAnomaly, RiskSettings, Scope, Settings, Sizing,
};
use trade_engine::units::{Money, Price, Qty, Ratio, Side, Ts};

const INPUTS_PER_RUN: usize = 300;
const ORDERS: usize = 24;
const INSTRUMENTS: u16 = 3;

/// A venue that answers some messages at once, with anything.
#[derive(Debug)]
struct Liar {
    random: Random,
    executions: u64,
}

impl Broker for Liar {
    fn on_message(&mut self, ts: Ts, message: &Message, reports: &mut Reports) {
        let (order, request, qty) = match *message {
            Message::New(new) => (new.order, ClOrdId::NONE, new.qty),
            Message::Cancel { order, request, .. } => (order, request, Qty(1)),
            Message::Replace { order, request, qty, .. } => (order, request, qty),
            Message::Mark { .. } | Message::Bar { .. } | Message::DayRoll | Message::Time => return,
        };
        // Less than one answer a message, or they would never end.
        if self.random.below(3) > 0 {
            return;
        }
        self.executions += 1;
        let input = match self.random.below(4) {
            0 => trade(&mut self.random, order, self.executions, qty),
            1 => Input::Status { order, kind: StatusKind::Accepted, request: ClOrdId::NONE },
            2 => Input::Replaced { order, request, qty: None, price: None, stop_price: None },
            _ => status(&mut self.random, order, request),
        };
        reports.push(ts, input);
    }
}

fn trade(random: &mut Random, order: ClOrdId, number: u64, qty: Qty) -> Input {
    let side = random.pick(&[Side::Buy, Side::Sell]);
    Input::Trade {
        order,
        exec: ExecKey::new(0, &number.to_string(), order, side),
        qty: Qty(random.pick(&[1, 2, qty.0, qty.0 * 2, 0])),
        price: price(random),
        commission: Money(i128::from(random.below(1_000)) - 300),
        instrument: instrument(random),
        side,
        venue_says_filled: random.below(2) == 0,
        defect: if random.below(40) == 0 { Some(Code::BadPrice) } else { None },
    }
}

fn status(random: &mut Random, order: ClOrdId, request: ClOrdId) -> Input {
    let request = if random.below(2) == 0 { request } else { ClOrdId::NONE };
    Input::Status { order, kind: random.pick(&StatusKind::ALL), request }
}

fn price(random: &mut Random) -> Price {
    let quarter = PRICE_SCALE / 4;
    match random.below(40) {
        0 => Price(i64::MAX),
        1 => Price(-100 * PRICE_SCALE),
        2 => Price(100 * PRICE_SCALE + 1),
        3 => Price(0),
        4 => Price(1_000_000_000 * PRICE_SCALE),
        _ => Price((380 + random.range(40)) * quarter),
    }
}

/// Rates as prices of either kind, of a currency that there is, mostly.
fn rate(random: &mut Random) -> Input {
    let currency = u16::try_from(random.below(5)).expect("few");
    let cents = PRICE_SCALE / 100;
    let price = match random.below(12) {
        0 => Price(0),
        1 => price(random),
        _ => Price((80 + random.range(40)) * cents),
    };
    Input::Rate { currency, price, inverse: random.below(2) == 0 }
}

fn maybe<T>(random: &mut Random, value: impl FnOnce(&mut Random) -> T) -> Option<T> {
    if random.below(3) == 0 { None } else { Some(value(random)) }
}

fn instrument(random: &mut Random) -> InstrumentId {
    let index = u16::try_from(random.below(u64::from(INSTRUMENTS))).expect("few");
    if random.below(30) == 0 { InstrumentId::UNKNOWN } else { InstrumentId(index) }
}

/// A limit that somebody could set, of a size that matters here, mostly.
fn set_limit(random: &mut Random, instrument: InstrumentId) -> Input {
    let key = random.pick(LimitKey::ALL);
    let whole = i128::from(random.below(40)) * MONEY_SCALE;
    let value = if random.below(8) == 0 { -1 } else { whole / random.pick(&[1, 10]) };
    Input::SetLimit {
        scope: random.pick(&Scope::ALL),
        instrument,
        strategy: u16::try_from(random.below(4)).expect("few"),
        key,
        value: maybe(random, |_| Money(value)),
    }
}

/// Some limits on what is sent how fast, how often and again, in few runs each.
fn throttles(random: &mut Random) -> Limits {
    let mut rarely = |most: u64| {
        let most = u32::try_from(1 + random.below(most)).expect("few");
        (random.below(4) == 0).then_some(most)
    };
    Limits {
        duplicate_window_ms: rarely(20).map(Millis),
        max_orders_per_second: rarely(60).map(Count),
        max_messages_per_second: rarely(90).map(Count),
        max_repeats: rarely(9).map(Count),
        answer_timeout_ms: rarely(20).map(Millis),
        ..Limits::OFF
    }
}

/// Inputs that somebody could send, sensible more often than not.
struct Feeder {
    random: Random,
    next: u64,
    ts: i64,
    executions: u64,
    /// Reports of trades that busts and corrections may refer to.
    reported: Vec<(ClOrdId, ExecKey)>,
}

impl Feeder {
    /// A new id, mostly; else one that has been used, or is far ahead.
    fn new_id(&mut self) -> ClOrdId {
        match self.random.below(20) {
            0 => ClOrdId::new(0, self.random.below(self.next.max(1)) + 1),
            1 => ClOrdId::new(1, self.random.below(50) + 1),
            _ => {
                self.next += 1;
                ClOrdId::new(0, self.next)
            }
        }
    }

    /// An id that has been used lately, mostly.
    fn old_id(&mut self) -> ClOrdId {
        match self.random.below(30) {
            0 => ClOrdId::new(0, self.next + 1 + self.random.below(3)),
            1 => ClOrdId::NONE,
            2 => ClOrdId(u64::MAX),
            _ => {
                let back = self.random.below(self.next.min(40) + 1);
                ClOrdId::new(0, (self.next - back).max(1))
            }
        }
    }

    fn qty(&mut self) -> Qty {
        match self.random.below(30) {
            0 => Qty(0),
            1 => Qty(-1),
            2 => Qty(i64::MAX),
            3 => Qty(1_000_000_000_000),
            _ => Qty(1 + self.random.range(9)),
        }
    }

    fn next(&mut self) -> (Ts, Input) {
        self.ts += match self.random.below(10) {
            0 => -1_000_000,
            1 => 0,
            _ => 1_000_000,
        };
        let input = match self.random.below(22) {
            0..=2 => self.order(),
            3 => self.signal(),
            4 | 5 => {
                let (order, request) = (self.old_id(), self.old_id());
                status(&mut self.random, order, request)
            }
            6 | 7 => {
                self.executions += 1;
                let number = self.executions - self.random.below(self.executions.min(6));
                let (order, qty) = (self.old_id(), self.qty());
                let trade = trade(&mut self.random, order, number, Qty(qty.0.clamp(-1, 1 << 20)));
                let Input::Trade { exec, .. } = trade else { unreachable!("made a line above") };
                self.reported.push((order, exec));
                trade
            }
            18 | 19 => self.bust(),
            8 => Input::Cancel { id: self.new_id(), order: self.old_id() },
            9 | 10 => self.replace(),
            11 => self.report(),
            12 | 13 => self.market(),
            14 => {
                let instrument = instrument(&mut self.random);
                Input::ClosePosition { id: self.new_id(), instrument }
            }
            15 | 16 => self.contingent(),
            17 => self.bracket(),
            _ => self.command(),
        };
        (Ts(self.ts), input)
    }

    /// A bust or a correction of a trade that has been reported, mostly, under its own id or one
    /// that has been used.
    fn bust(&mut self) -> Input {
        let known = self.reported.len() as u64;
        let back = usize::try_from(self.random.below(known.clamp(1, 12))).expect("few");
        let recent = self.reported.iter().rev().nth(back).copied();
        let (order, exec_ref) = match self.random.below(10) {
            0 => (self.old_id(), recent.unwrap_or_default().1),
            1 => (self.old_id(), ExecKey(0)),
            _ => recent.unwrap_or_default(),
        };
        self.executions += 1;
        let number = self.executions - self.random.below(2);
        let exec = ExecKey::new(1, &number.to_string(), order, Side::Buy);
        let random = &mut self.random;
        if random.below(2) == 0 {
            return Input::Bust { order, exec, exec_ref };
        }
        self.reported.push((order, exec));
        let qty = Qty(random.pick(&[1, 2, 5, 9, 0, -1]));
        let defect = if random.below(30) == 0 { Some(Code::BadPrice) } else { None };
        Input::Correct { order, exec, exec_ref, qty, price: price(random), defect }
    }

    fn order(&mut self) -> Input {
        let id = self.new_id();
        let qty = self.qty();
        let random = &mut self.random;
        Input::Order {
            id,
            instrument: instrument(random),
            side: random.pick(&[Side::Buy, Side::Sell]),
            ord_type: random.pick(&[
                OrdType::Market,
                OrdType::Limit,
                OrdType::Stop,
                OrdType::StopLimit,
            ]),
            tif: random.pick(&[Tif::Day, Tif::Gtc, Tif::Ioc, Tif::Fok, Tif::Gtd]),
            strategy: u16::try_from(random.below(4)).expect("few"),
            flags: if random.below(6) == 0 { Flags::REDUCE_ONLY } else { Flags::default() },
            qty,
            price: maybe(random, price),
            stop_price: maybe(random, price),
            expire_at: maybe(random, |random| Ts(self.ts + 5_000_000 - random.range(9_000_000))),
            defect: if random.below(30) == 0 { Some(Code::OffLot) } else { None },
        }
    }

    /// Depends on something that is there, is to come, or never will.
    fn contingent(&mut self) -> Input {
        let (id, qty) = (self.new_id(), self.qty());
        let other = |feeder: &mut Self| match feeder.random.below(5) {
            0 | 1 => ClOrdId::NONE,
            2 => ClOrdId::new(0, feeder.next + 1 + feeder.random.below(3)),
            _ => feeder.old_id(),
        };
        let (parent, sibling) = (other(self), other(self));
        let Input::Order { instrument, side, ord_type, tif, strategy, flags, .. } = self.order()
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
            qty,
            price: maybe(random, price),
            stop_price: maybe(random, price),
            expire_at: maybe(random, |random| Ts(self.ts + 5_000_000 - random.range(9_000_000))),
            parent,
            sibling,
            trail: if random.below(4) == 0 { Some(Price(PRICE_SCALE / 2)) } else { None },
            defect: if random.below(30) == 0 { Some(Code::OffLot) } else { None },
        }
    }

    /// The next exit of an entry that works, with everything as it should be.
    fn bracket(&mut self) -> Input {
        let (id, parent) = (self.new_id(), self.old_id());
        let random = &mut self.random;
        let (stop, at) = (random.below(2) == 0, Some(price(random)));
        Input::Contingent {
            id,
            instrument: instrument(random),
            side: random.pick(&[Side::Buy, Side::Sell]),
            ord_type: if stop { OrdType::Stop } else { OrdType::Limit },
            tif: random.pick(&[Tif::Day, Tif::Gtc]),
            strategy: 0,
            flags: Flags::REDUCE_ONLY,
            qty: Qty(1 + random.range(9)),
            price: if stop { None } else { at },
            stop_price: if stop { at } else { None },
            expire_at: None,
            parent: if random.below(2) == 0 { parent } else { ClOrdId::NONE },
            sibling: ClOrdId::NONE,
            trail: None,
            defect: None,
        }
    }

    fn signal(&mut self) -> Input {
        let id = self.new_id();
        let qty = self.qty();
        let random = &mut self.random;
        Input::Signal {
            id,
            instrument: instrument(random),
            side: random.pick(&[SignalSide::Buy, SignalSide::Sell, SignalSide::Flat]),
            strategy: 1,
            strength: Ratio(random.range(1_500_000_000) - 100_000_000),
            price: maybe(random, price),
            stop_price: maybe(random, price),
            qty: maybe(random, |_| qty),
            defect: None,
        }
    }

    fn replace(&mut self) -> Input {
        let (id, order, qty) = (self.new_id(), self.old_id(), self.qty());
        let random = &mut self.random;
        Input::Replace {
            id,
            order,
            qty: maybe(random, |_| qty),
            price: maybe(random, price),
            stop_price: if random.below(4) == 0 { Some(price(random)) } else { None },
            defect: if random.below(30) == 0 { Some(Code::BadQty) } else { None },
        }
    }

    fn report(&mut self) -> Input {
        let (order, request, qty) = (self.old_id(), self.old_id(), self.qty());
        let random = &mut self.random;
        let request = if random.below(2) == 0 { request } else { ClOrdId::NONE };
        if random.below(2) == 0 {
            return Input::Restated { order, qty: maybe(random, |_| qty) };
        }
        let (price, stop_price) = (maybe(random, price), maybe(random, price));
        Input::Replaced { order, request, qty: maybe(random, |_| qty), price, stop_price }
    }

    fn market(&mut self) -> Input {
        let random = &mut self.random;
        if random.below(6) == 0 {
            return rate(random);
        }
        let instrument = instrument(random);
        if random.below(2) == 0 {
            return Input::Mark {
                instrument,
                price: price(random),
                bid: maybe(random, price),
                ask: maybe(random, price),
            };
        }
        Input::Bar {
            instrument,
            open: price(random),
            high: price(random),
            low: price(random),
            close: price(random),
            volume: random.below(1_000),
            // Coarse, so that bars of two instruments meet.
            opened: Ts(self.ts / 20_000_000),
        }
    }

    fn command(&mut self) -> Input {
        let instrument = instrument(&mut self.random);
        match self.random.below(17) {
            16 => Input::LogBehind { written: self.random.next(), waited_ms: 250 },
            12..=14 => set_limit(&mut self.random, instrument),
            0 | 1 => Input::Halt { cancel_working: self.random.below(2) == 0 },
            2..=4 => Input::Resume {},
            5 => Input::CancelAll {},
            6 => Input::DayRoll {},
            7 => Input::Timer {},
            8 => Input::Continue {},
            9 => Input::Opening { instrument, qty: self.qty(), avg_px: Price(100 * PRICE_SCALE) },
            10 => Input::Stop {},
            _ => {
                let text = trade_engine::codec::Chars::split("words").0;
                Input::Text { subject: Subject::Venue, more: false, id: self.old_id(), text }
            }
        }
    }
}

/// Settings that differ from run to run, every rule on in some.
#[expect(clippy::too_many_lines, reason = "one line a setting")]
fn settings(random: &mut Random) -> Settings {
    let mut instruments = Vec::new();
    for index in 0..INSTRUMENTS {
        let symbol = format!("I{index}");
        let mut spec = Instrument::plain(
            &symbol,
            Price(PRICE_SCALE / 4),
            random.pick(&[PRICE_SCALE, PRICE_SCALE / 1_000]),
            random.pick(&[PRICE_SCALE, 50 * PRICE_SCALE]),
        );
        spec.initial_margin = maybe(random, |_| "1000".parse().expect("a decimal"));
        spec.maintenance_margin = maybe(random, |_| "9000".parse().expect("a decimal"));
        spec.currency = random.pick(&["USD", "USD", "EUR", "JPY"]).to_owned();
        spec.negative_prices = random.below(2) == 0;
        spec.min_qty = if random.below(3) == 0 { Some(Qty(2)) } else { None };
        spec.max_notional = maybe(random, |_| "100000".parse().expect("a decimal"));
        let second = 1_000_000_000;
        let session = |n: i64| OpenInterval { open: Ts(n * second), close: Ts((n + 1) * second) };
        spec.sessions =
            if random.below(4) == 0 { Some(vec![session(0), session(2)]) } else { None };
        instruments.push(spec);
    }
    let tenth = |random: &mut Random| Ratio(100_000_000 * (1 + random.range(9)));
    Settings {
        account: AccountSettings {
            currency: "USD".to_owned(),
            initial_capital: "100000".parse().expect("a decimal"),
            cost_method: random.pick(&[CostMethod::Average, CostMethod::Fifo]),
        },
        instruments,
        strategies: ["one", "two", "three"].map(str::to_owned)[..random.pick(&[1, 3])].to_vec(),
        risk: RiskSettings {
            limits: Limits {
                max_position_pct: maybe(random, tenth),
                max_positions: maybe(random, |_| Count(2)),
                max_drawdown_pct: maybe(random, tenth),
                max_daily_loss_pct: maybe(random, tenth),
                max_correlation: maybe(random, tenth),
                ..throttles(random)
            },
            symbols: vec![Limits::OFF, throttles(random)],
            strategies: vec![throttles(random)],
            self_match: random.below(2) == 0,
            on_anomaly: random.pick(&[
                OnAnomaly::Report,
                OnAnomaly::HaltInstrument,
                OnAnomaly::Halt,
            ]),
            exposure_basis: random.pick(&[
                ExposureBasis::Notional,
                ExposureBasis::Margin,
                ExposureBasis::Price,
                ExposureBasis::Risk,
            ]),
            margin: random.below(2) == 0,
            correlation_action: random.pick(&[CorrelationAction::Warn, CorrelationAction::Refuse]),
            correlation_window: 3,
            sizing: random.pick(&[
                Sizing::PercentEquity,
                Sizing::PercentMargin,
                Sizing::FixedRisk,
                Sizing::Exact,
            ]),
            sizing_pct: tenth(random),
            sizing_max_qty: maybe(random, |_| "7".parse().expect("a decimal")),
        },
        capacity: Capacity {
            orders: ORDERS,
            executions: random.pick(&[40, 400]),
            checkpoint_interval_slots: 500,
        },
        refuse_old_time: random.below(2) == 0,
        day_roll_ends_orders: random.below(2) == 0,
        forward_market_data: random.below(2) == 0,
    }
}

/// Folds and decides again beside the live engine.
#[derive(Default)]
struct Shadow {
    replay: Replay,
    redecide: Redecide,
    kinds: BTreeSet<u8>,
}

impl Shadow {
    fn follow(&mut self, slots: &[Slot]) {
        for record_slots in records(slots) {
            let record = Record::decode(record_slots).expect("the engine wrote it");
            assert_eq!(record.slot_count(), record_slots.len(), "{record:?}");
            let again = record.body.encode(record.head.seq, record.head.ts, record.head.flags);
            assert_eq!(again.as_slice(), record_slots, "{record:?}");
            self.kinds.insert(record.body.kind());
            let folded = self.replay.next(record_slots);
            folded.unwrap_or_else(|error| panic!("{error}: {record:?}"));
            let decided = self.redecide.next(record_slots);
            decided.unwrap_or_else(|error| panic!("{error}: {record:?}"));
            if matches!(record.body, Body::Opening(_)) {
                continue;
            }
            let state = self.replay.state().expect("the head is complete");
            assert_eq!(state.seq(), record_slots[record_slots.len() - 1][0]);
        }
    }

    /// Goes on from the bytes of what it knows: whatever they lack shows later, if not at once.
    fn pass_through_bytes(&mut self) {
        let mut image = Vec::new();
        self.replay.write_image(&mut image);
        let restore = || {
            let mut from = Bytes::new(&image);
            let replay = Replay::read_image(&mut from).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(from.rest(), 0);
            replay
        };
        let state = restore().into_state().expect("the head is complete");
        (self.replay, self.redecide) = (restore(), Redecide::resume(state));
        let mut again = Vec::new();
        self.replay.write_image(&mut again);
        assert!(again == image, "the same state has other bytes");
    }
}

fn run(seed: u64) -> BTreeSet<u8> {
    let mut random = Random::new(seed);
    let settings = settings(&mut random);
    let liar = Liar { random: Random::new(seed ^ 1), executions: 1_000_000 };
    let mut engine = TradeEngine::new(settings, liar);
    let mut feeder = Feeder { random, next: 0, ts: 0, executions: 0, reported: Vec::new() };
    let mut shadow = Shadow::default();
    let mut cuts = Random::new(seed ^ 2);
    shadow.follow(engine.log());
    for _ in 0..INPUTS_PER_RUN {
        let (ts, input) = feeder.next();
        let range = engine.input_at(ts, &input).expect("no journal");
        shadow.follow(&engine.log()[range]);
        let live = engine.state().hash();
        let folded = shadow.replay.state().expect("the head is complete").hash();
        assert_eq!(folded, live, "folding gives another state after {input:?}");
        assert_eq!(shadow.redecide.missing_slots(), 0);
        assert_eq!(shadow.redecide.state().expect("as above").hash(), live);
        sound(&engine);
        if cuts.below(15) == 0 {
            shadow.pass_through_bytes();
            let restored = shadow.replay.state().expect("it has one");
            assert_eq!(restored.hash(), live, "a state restored from its bytes is another");
        }
    }
    shadow.kinds
}

/// What holds in every state, whatever was said.
fn sound(engine: &TradeEngine<Liar>) {
    let state = engine.state();
    for order in state.orders().iter() {
        assert!(order.leaves_qty().0 >= 0, "{order:?}");
        assert!(order.cum_qty.0 >= 0, "{order:?}");
        let leaves = order.leaves_qty().0;
        assert!(leaves == 0 || leaves == order.order_qty.0 - order.cum_qty.0, "{order:?}");
    }
    // The running sums are what a walk over the orders gives.
    for (index, book) in state.books().iter().enumerate() {
        for side in [Side::Buy, Side::Sell] {
            let of_book = |order: &&trade_engine::order::Order| {
                order.instrument.index() == index && order.side == side
            };
            let open: i64 =
                state.orders().iter().filter(of_book).map(|o| o.contribution().qty.0).sum();
            assert_eq!(open, book.exposure.side(side).qty().0);
        }
    }
    // So are our own best prices.
    for (index, side) in (0..INSTRUMENTS).flat_map(|i| [(i, Side::Buy), (i, Side::Sell)]) {
        let instrument = InstrumentId(index);
        let working = state.orders().iter().filter(|order| {
            (order.instrument, order.side) == (instrument, side) && state.settings().risk.self_match
        });
        let reach = working.filter_map(trade_engine::order::Order::reach);
        let best = if side == Side::Buy { reach.max() } else { reach.min() };
        assert_eq!(state.controls().ladder.best(instrument, side), best);
    }
    attributed(state);
    let account = state.account();
    let sum = account.net_realized().0 + account.unrealized().0;
    assert_eq!(account.equity().0, account.initial_capital().0 + sum);
    let mut worth = 0;
    for (index, _) in (0..).zip(state.settings().currencies()) {
        let books = || state.books().iter().filter(|book| book.currency == index);
        let realized = |book: &InstrumentBook| book.position.net_realized().expect("in range").0;
        let unrealized = |book: &InstrumentBook| book.balance().expect("in range").unrealized.0;
        let pnl: i128 = books().map(|book| realized(book) + unrealized(book)).sum();
        let balance = account.balance(index).expect("it is in the table");
        assert_eq!(balance.pnl().0, pnl);
        let in_use = books().any(|book| book.position.qty.0 != 0) || pnl != 0;
        match account.rates().get(index) {
            Some(rate) => worth += rate.worth(pnl).expect("in range"),
            None => assert!(!in_use || account.without_rate().any(|other| other == index)),
        }
    }
    assert_eq!(account.pnl().0, worth);
}

/// Every lot, every unit of cash and every working order is somebody's.
fn attributed(state: &State) {
    let books = state.strategy_books();
    for (index, book) in (0..).zip(state.books()) {
        let each = || books.numbers().filter_map(|number| books.get(number, InstrumentId(index)));
        let qty: i64 = each().map(|own| own.position.qty.0).sum();
        assert_eq!(qty, book.position.qty.0);
        let cash = |position: &Position| position.realized.0 - position.open_cost.0;
        assert_eq!(each().map(|own| cash(&own.position)).sum::<i128>(), cash(&book.position));
        let commission: i128 = each().map(|own| own.position.commission.0).sum();
        assert_eq!(commission, book.position.commission.0);
        for side in [Side::Buy, Side::Sell] {
            let of_all: i64 = each().map(|own| own.exposure.side(side).qty().0).sum();
            assert_eq!(of_all, book.exposure.side(side).qty().0);
        }
    }
    for number in books.numbers() {
        let mut working = vec![Exposure::default(); state.books().len()];
        for order in state.orders().iter().filter(|order| order.strategy == number) {
            if let Some(exposure) = working.get_mut(order.instrument.index()) {
                exposure.add(order.contribution()).expect("in range");
            }
        }
        for (index, exposure) in (0..).zip(working) {
            let own = books.get(number, InstrumentId(index)).expect("it is in the table");
            assert_eq!(own.exposure, exposure, "strategy {number}");
        }
    }
    let of_each = books.numbers().map(|number| state.strategy_pnl(number).expect("in range").0);
    assert_eq!(of_each.sum::<i128>(), state.account().pnl().0);
}

#[test]
fn folding_every_prefix_gives_the_live_state_and_deciding_again_the_same_bytes() {
    let mut kinds = BTreeSet::new();
    for seed in runs(if cfg!(debug_assertions) { 60 } else { 400 }) {
        println!("SEED={seed} RUNS=1 cargo test --test replay_prefix");
        kinds.extend(run(seed));
    }
    // Every kind of input and event came up; that the sample is large enough is part of the test.
    if std::env::var_os("SEED").or(std::env::var_os("RUNS")).is_none() {
        use trade_engine::event::{Event, Opening};
        let all = [Opening::KINDS, Input::KINDS, Event::KINDS].concat();
        // What only a log that was taken up again holds: `tests/resume.rs` has those.
        let of_restarts = ["restart", "reconciled", "found"];
        let missing: Vec<&str> = all
            .iter()
            .filter(|(kind, name, ..)| !kinds.contains(kind) && !of_restarts.contains(name))
            .map(|(_, name, _)| *name)
            .collect();
        assert!(missing.is_empty(), "never seen: {missing:?}");
    }
}
