//! Runaway strategies: patterns of how a program goes wrong, each driven for thousands of inputs
//! against a venue that fills as badly as it may, with every limit on. An auditor who knows the
//! engine by its messages alone adds up for himself what has left: not one order past a limit, and
//! each pattern is stopped by the control that is there for it.
//!
//! `SEED=7 RUNS=1 cargo test --test runaway` repeats one run.

#[path = "common/random.rs"]
mod random;

use random::{Random, runs};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use trade_engine::broker::{Message, NewOrder};
use trade_engine::code::Code;
use trade_engine::codec::{Slot, records};
use trade_engine::engine::{Engine, Outbound, Output};
use trade_engine::event::{Body, Event, Record};
use trade_engine::input::{ExecKey, Input, SignalSide, StatusKind};
use trade_engine::instrument::{Instrument, InstrumentId, OpenInterval};
use trade_engine::limits::PRICE_SCALE;
use trade_engine::order::{ClOrdId, Flags, OrdType, Tif};
use trade_engine::settings::{Count, Limits, Millis, RiskSettings, Settings, Sizing};
use trade_engine::units::{Money, Price, Qty, Ratio, Side, Ts};

const MS: i64 = 1_000_000;
const SECOND: i64 = 1_000 * MS;
const INPUTS_PER_RUN: u64 = 3_000;

// The limits, as the auditor knows them. Prices are whole, a lot is one: money is whole, too.
const CAPITAL: i128 = 100_000;
const MARK: i64 = 100;
const ORDERS_PER_SECOND: usize = 20;
const MESSAGES_PER_SECOND: usize = 40;
const REPEATS: u32 = 60;
const WINDOW_MS: i64 = 5;
const POSITIONS: usize = 3;
const QTY_PER_ORDER: i64 = 60;
const NOTIONAL_PER_ORDER: i128 = 7_000;
/// In hundredths.
const POSITION_PCT: i128 = 10;
const DAILY_LOSS_PCT: i128 = 8;
const DRAWDOWN_PCT: i128 = 5;

const SYMBOLS: u16 = 6;
/// Its sessions are over.
const CLOSED: InstrumentId = InstrumentId(SYMBOLS - 2);
/// It never gets a mark.
const DARK: InstrumentId = InstrumentId(SYMBOLS - 1);
const ES: InstrumentId = InstrumentId(0);

fn settings() -> Settings {
    let instrument = |index: u16| {
        let tick = Price(PRICE_SCALE);
        let mut spec = Instrument::plain(&format!("S{index}"), tick, PRICE_SCALE, PRICE_SCALE);
        spec.max_qty = Some(Qty(QTY_PER_ORDER));
        spec.max_notional = Some(whole(NOTIONAL_PER_ORDER));
        if InstrumentId(index) == CLOSED {
            spec.sessions = Some(vec![OpenInterval { open: Ts(-2), close: Ts(-1) }]);
        }
        spec
    };
    let percent = |pct: i128| Some(Ratio(i64::try_from(pct).expect("small") * PRICE_SCALE / 100));
    let count = |n: usize| Some(Count(u32::try_from(n).expect("small")));
    let mut settings = Settings::new(whole(CAPITAL), (0..SYMBOLS).map(instrument).collect());
    settings.strategies = vec!["one".to_owned(), "two".to_owned()];
    settings.capacity.orders = 256;
    settings.capacity.executions = 16_384;
    settings.risk = RiskSettings {
        limits: Limits {
            max_position_pct: percent(POSITION_PCT),
            max_daily_loss_pct: percent(DAILY_LOSS_PCT),
            max_drawdown_pct: percent(DRAWDOWN_PCT),
            max_positions: count(POSITIONS),
            max_orders_per_second: count(ORDERS_PER_SECOND),
            max_messages_per_second: count(MESSAGES_PER_SECOND),
            max_repeats: Some(Count(REPEATS)),
            duplicate_window_ms: Some(Millis(u32::try_from(WINDOW_MS).expect("small"))),
            ..Limits::OFF
        },
        self_match: true,
        sizing: Sizing::PercentEquity,
        sizing_pct: Ratio(PRICE_SCALE / 20),
        ..RiskSettings::OFF
    };
    settings
}

fn whole(value: i128) -> Money {
    Money(value * trade_engine::limits::MONEY_SCALE)
}

fn price(at: i64) -> Price {
    Price(at * PRICE_SCALE)
}

fn dollars(price: Price) -> i64 {
    assert_eq!(price.0 % PRICE_SCALE, 0);
    price.0 / PRICE_SCALE
}

/// One order, as the auditor has heard of it.
#[derive(Clone, Debug)]
struct Line {
    new: NewOrder,
    /// Total quantities and prices that it may have: its own, and those of open replaces.
    terms: BTreeMap<ClOrdId, (i64, Option<i64>, Option<i64>)>,
    cum: i64,
    ended: bool,
}

impl Line {
    fn open(&self) -> i64 {
        let total = self.terms.values().map(|terms| terms.0).max().expect("its own");
        if self.ended { 0 } else { (total - self.cum).max(0) }
    }

    /// What a lot of it may cost at most.
    fn dearest(&self, mark: i64) -> i64 {
        let limit = self.terms.values().filter_map(|terms| terms.1).max();
        let stop = self.terms.values().filter_map(|terms| terms.2).max();
        limit.or(stop).unwrap_or(mark)
    }

    /// The most aggressive price at which it may trade now; stops here never trigger.
    fn reach(&self) -> Option<i64> {
        let limits = self.terms.values().filter_map(|terms| terms.1);
        match (self.new.ord_type, self.new.side) {
            (OrdType::Stop | OrdType::StopLimit, _) => None,
            (OrdType::Market, Side::Buy) => Some(i64::MAX),
            (OrdType::Market, Side::Sell) => Some(i64::MIN),
            (OrdType::Limit, Side::Buy) => limits.max(),
            (OrdType::Limit, Side::Sell) => limits.min(),
        }
    }
}

/// Adds up what has left the engine and what the venue has said, and nothing else.
struct Auditor {
    now: i64,
    lines: BTreeMap<ClOrdId, Line>,
    strategy_of: BTreeMap<ClOrdId, u16>,
    held: BTreeMap<u16, i64>,
    marks: BTreeMap<u16, i64>,
    cash: i128,
    peak: i128,
    day_start: i128,
    /// Fallen too far, or told to stop, and no person has said to go on.
    halted: bool,
    orders: VecDeque<i64>,
    messages: VecDeque<i64>,
    repeats: BTreeMap<(u16, u16, usize), u32>,
    recent: Vec<(i64, NewOrder)>,
    sent: usize,
}

impl Auditor {
    fn new() -> Self {
        Self {
            now: 0,
            lines: BTreeMap::new(),
            strategy_of: BTreeMap::new(),
            held: BTreeMap::new(),
            marks: BTreeMap::new(),
            cash: CAPITAL,
            peak: CAPITAL,
            day_start: CAPITAL,
            halted: false,
            orders: VecDeque::new(),
            messages: VecDeque::new(),
            repeats: BTreeMap::new(),
            recent: Vec::new(),
            sent: 0,
        }
    }

    fn held(&self, instrument: InstrumentId) -> i64 {
        self.held.get(&instrument.0).copied().unwrap_or(0)
    }

    fn equity(&self) -> i128 {
        let value = |(symbol, held): (&u16, &i64)| {
            self.marks.get(symbol).map_or(0, |mark| i128::from(*mark) * i128::from(*held))
        };
        self.cash + self.held.iter().map(value).sum::<i128>()
    }

    fn working(&self, instrument: InstrumentId, side: Side) -> impl Iterator<Item = &Line> {
        self.lines.values().filter(move |line| {
            (line.new.instrument, line.new.side) == (instrument, side) && line.open() > 0
        })
    }

    /// What goes in.
    fn hear(&mut self, now: i64, input: &Input) {
        self.now = now;
        if let Input::Order { id, strategy, .. } | Input::Signal { id, strategy, .. } = *input {
            self.strategy_of.entry(id).or_insert(strategy);
        }
        if let Input::Mark { instrument, price, .. } = *input {
            self.marks.insert(instrument.0, dollars(price));
        }
        if let Input::Trade { order, qty, price, instrument, side, .. } = *input {
            let signed = qty.0 * side.sign();
            *self.held.entry(instrument.0).or_default() += signed;
            self.cash -= i128::from(dollars(price)) * i128::from(signed);
            self.lines.get_mut(&order).expect("it was sent").cum += qty.0;
        }
        if let Input::Status { order, kind, request } = *input {
            let line = self.lines.get_mut(&order).expect("it was sent");
            line.ended |= matches!(kind, StatusKind::Cancelled | StatusKind::Rejected);
            if kind == StatusKind::ReplaceRejected {
                line.terms.remove(&request);
            }
        }
        if let Input::Replaced { order, request, .. } = *input {
            let line = self.lines.get_mut(&order).expect("it was sent");
            let terms = line.terms.remove(&request).expect("it was asked for");
            line.terms.insert(ClOrdId::NONE, terms);
        }
        self.halted |= matches!(input, Input::Halt { .. });
        let equity = self.equity();
        self.peak = self.peak.max(equity);
        self.halted |= (self.peak - equity) * 100 > self.peak * DRAWDOWN_PCT;
    }

    /// A person has said to go on.
    fn resumed(&mut self) {
        self.halted = false;
        self.repeats.clear();
        self.peak = self.equity();
    }

    /// What comes out.
    fn audit(&mut self, message: &Message) {
        match *message {
            Message::New(new) => {
                let terms = (new.qty.0, new.price.map(dollars), new.stop_price.map(dollars));
                let line = Line {
                    new,
                    terms: BTreeMap::from([(ClOrdId::NONE, terms)]),
                    cum: 0,
                    ended: false,
                };
                self.lines.insert(new.order, line);
                self.sent += 1;
                self.check_rates(true);
                self.check_repetition(&new);
                self.check_order(&new);
                self.check_exposure(new.order, 0);
                self.check_match(new.order);
            }
            Message::Replace { order, request, qty, price, stop_price, .. } => {
                let before = self.lines[&order].open();
                let line = self.lines.get_mut(&order).expect("it was sent");
                let worst = (line.open(), line.dearest(MARK));
                let terms = (qty.0, price.map(dollars), stop_price.map(dollars));
                line.terms.insert(request, terms);
                let raises = (line.open(), line.dearest(MARK)) != worst;
                self.sent += 1;
                self.check_rates(false);
                if raises {
                    self.check_exposure(order, before);
                }
                self.check_match(order);
            }
            // Counted, never held back.
            Message::Cancel { .. } => self.messages.push_back(self.now),
            Message::Mark { .. } | Message::Bar { .. } | Message::DayRoll | Message::Time => {}
        }
    }

    fn check_rates(&mut self, is_order: bool) {
        self.messages.push_back(self.now);
        let lately = |times: &VecDeque<i64>| {
            times.iter().rev().take_while(|at| self.now - **at < SECOND).count()
        };
        assert!(lately(&self.messages) <= MESSAGES_PER_SECOND);
        if is_order {
            self.orders.push_back(self.now);
            let lately = self.orders.iter().rev().take_while(|at| self.now - **at < SECOND).count();
            assert!(lately <= ORDERS_PER_SECOND);
        }
    }

    fn check_repetition(&mut self, new: &NewOrder) {
        let same = |one: &NewOrder| {
            (one.instrument, one.side, one.ord_type, one.qty, one.price, one.stop_price)
                == (new.instrument, new.side, new.ord_type, new.qty, new.price, new.stop_price)
        };
        let now = self.now;
        self.recent.retain(|(at, _)| now - at < WINDOW_MS * MS);
        assert!(!self.recent.iter().any(|(_, one)| same(one)), "twice: {new:?}");
        self.recent.push((now, *new));
        let strategy = self.strategy_of[&new.order];
        let count = self.repeats.entry((strategy, new.instrument.0, new.side.index())).or_default();
        *count += 1;
        assert!(*count <= REPEATS, "{new:?}");
    }

    fn check_order(&self, new: &NewOrder) {
        assert!((1..=QTY_PER_ORDER).contains(&new.qty.0), "{new:?}");
        let line = &self.lines[&new.order];
        let dearest = line.dearest(self.marks.get(&new.instrument.0).copied().unwrap_or(MARK));
        assert!(i128::from(dearest) * i128::from(new.qty.0) <= NOTIONAL_PER_ORDER, "{new:?}");
        assert_ne!(new.instrument, CLOSED);
    }

    /// The worst case of an order's side with it, unless all of it can only shrink the position.
    fn check_exposure(&self, order: ClOrdId, before: i64) {
        let line = &self.lines[&order];
        let NewOrder { instrument, side, .. } = line.new;
        let held = self.held(instrument) * side.sign();
        let lots: i64 = self.working(instrument, side).map(Line::open).sum();
        if lots <= -held {
            return;
        }
        assert!(!self.halted || line.open() <= before, "halted: {line:?}");
        let mark = self.marks.get(&instrument.0).copied().expect("no price, no order");
        let value = |line: &Line| i128::from(line.dearest(mark)) * i128::from(line.open());
        let value: i128 = self.working(instrument, side).map(value).sum();
        let equity = self.equity();
        // In hundredths, times the lots where a position held the other way takes some away.
        let (worst, most) = if held >= 0 {
            (value + i128::from(held) * i128::from(mark), equity * POSITION_PCT)
        } else {
            (value * i128::from(lots + held), equity * POSITION_PCT * i128::from(lots))
        };
        assert!(worst * 100 <= most, "{worst} past {most} / 100: {line:?}");
        assert!((self.day_start - equity) * 100 <= self.day_start * DAILY_LOSS_PCT);
        let engaged: BTreeSet<u16> = self
            .lines
            .values()
            .filter(|line| line.open() > 0)
            .map(|line| line.new.instrument.0)
            .chain(self.held.iter().filter(|(_, held)| **held != 0).map(|(symbol, _)| *symbol))
            .collect();
        assert!(engaged.len() <= POSITIONS, "{engaged:?}");
    }

    fn check_match(&self, order: ClOrdId) {
        let line = &self.lines[&order];
        let Some(own) = line.reach() else { return };
        let others = self.working(line.new.instrument, line.new.side.opposite());
        for other in others.filter_map(Line::reach) {
            let apart = if line.new.side == Side::Buy { own < other } else { own > other };
            assert!(apart, "would trade with ourselves: {line:?}");
        }
    }
}

/// Answers late, badly, in parts, twice as much as asked, or not at all.
struct Venue {
    random: Random,
    reports: VecDeque<(i64, Input)>,
    executions: u64,
    mark: i64,
    /// Fills at once and whole: what a runaway likes best.
    eager: bool,
}

impl Venue {
    fn take(&mut self, now: i64, message: &Message) {
        let late = if self.eager { 0 } else { self.random.range(30) * MS };
        let report = match *message {
            Message::New(new) => {
                let trades = matches!(new.ord_type, OrdType::Market | OrdType::Limit);
                match self.random.below(if self.eager { 1 } else { 8 }) {
                    0..=3 if trades => return self.fill(now + late, &new, new.qty.0),
                    4 if trades && new.qty.0 > 1 => {
                        return self.fill(now + late, &new, new.qty.0 / 2);
                    }
                    5 => Input::Status {
                        order: new.order,
                        kind: self.random.pick(&[StatusKind::Accepted, StatusKind::Rejected]),
                        request: ClOrdId::NONE,
                    },
                    // More than was asked for.
                    6 if trades => return self.fill(now + late, &new, new.qty.0 + 1),
                    _ => return,
                }
            }
            Message::Cancel { order, request, .. } => {
                let kinds = [StatusKind::Cancelled, StatusKind::CancelRejected];
                Input::Status { order, kind: self.random.pick(&kinds), request }
            }
            Message::Replace { order, request, qty, price, stop_price, .. } => {
                match self.random.below(3) {
                    0 => Input::Status { order, kind: StatusKind::ReplaceRejected, request },
                    _ => Input::Replaced { order, request, qty: Some(qty), price, stop_price },
                }
            }
            Message::Mark { .. } | Message::Bar { .. } | Message::DayRoll | Message::Time => return,
        };
        self.reports.push_back((now + late, report));
    }

    /// A market order gets the worst price that can be argued for.
    fn fill(&mut self, at: i64, new: &NewOrder, qty: i64) {
        self.executions += 1;
        let at_market = self.mark + (1 + self.random.range(3)) * new.side.sign();
        self.reports.push_back((
            at,
            Input::Trade {
                order: new.order,
                exec: ExecKey(u128::from(self.executions)),
                qty: Qty(qty),
                price: new.price.unwrap_or(price(at_market)),
                commission: Money::ZERO,
                instrument: new.instrument,
                side: new.side,
                venue_says_filled: false,
                defect: None,
            },
        ));
    }

    /// The next report that is due. Later ones may overtake it.
    fn next(&mut self, now: i64) -> Option<Input> {
        let due = self.reports.iter().position(|(at, _)| *at <= now)?;
        self.reports.remove(due).map(|(_, report)| report)
    }
}

/// A program that has gone wrong.
struct Rogue {
    random: Random,
    step: i64,
    next: u64,
    /// Orders that it has tried, newest last.
    tried: Vec<ClOrdId>,
    /// Its last input was refused, or its order turned down, for this.
    refused: Option<Code>,
}

impl Rogue {
    fn id(&mut self) -> ClOrdId {
        self.next += 1;
        ClOrdId::new(0, self.next)
    }

    fn order(&mut self, instrument: InstrumentId, side: Side, qty: i64) -> Input {
        let id = self.id();
        self.tried.push(id);
        Input::Order {
            id,
            instrument,
            side,
            ord_type: OrdType::Market,
            tif: Tif::Day,
            strategy: 1,
            flags: Flags::default(),
            qty: Qty(qty),
            price: None,
            stop_price: None,
            expire_at: None,
            defect: None,
        }
    }

    fn market(&mut self, side: Side, qty: i64) -> Input {
        self.order(ES, side, qty)
    }

    fn limit(&mut self, side: Side, qty: i64, at: i64) -> Input {
        let mut order = self.order(ES, side, qty);
        if let Input::Order { ord_type, price: limit, .. } = &mut order {
            (*ord_type, *limit) = (OrdType::Limit, Some(price(at)));
        }
        order
    }

    fn stop(&mut self, side: Side, qty: i64, at: i64) -> Input {
        let mut order = self.order(ES, side, qty);
        if let Input::Order { ord_type, stop_price, .. } = &mut order {
            (*ord_type, *stop_price) = (OrdType::Stop, Some(price(at)));
        }
        order
    }

    fn replace(&mut self, qty: Option<i64>, at: Option<i64>) -> Input {
        let order = self.last();
        let (qty, price) = (qty.map(Qty), at.map(price));
        Input::Replace { id: self.id(), order, qty, price, stop_price: None, defect: None }
    }

    fn signal(&mut self, strength: Ratio) -> Input {
        let id = self.id();
        Input::Signal {
            id,
            instrument: ES,
            side: SignalSide::Buy,
            strategy: 2,
            strength,
            price: None,
            stop_price: None,
            qty: None,
            defect: None,
        }
    }

    fn last(&self) -> ClOrdId {
        self.tried.last().copied().unwrap_or(ClOrdId::NONE)
    }

    fn turn_about(&self) -> Side {
        if self.step % 2 == 0 { Side::Buy } else { Side::Sell }
    }
}

/// How a program goes wrong, and what must stop it.
struct Pattern {
    name: &'static str,
    /// Each of these must turn something down.
    stopped_by: &'static [Code],
    /// Between two of its inputs.
    nanos: i64,
    /// The venue fills at once and whole.
    eager: bool,
    act: fn(&mut Rogue) -> Input,
}

const PATTERNS: [Pattern; 22] = [
    Pattern {
        name: "flood",
        stopped_by: &[Code::OrderRate],
        nanos: MS / 10,
        eager: false,
        act: |rogue| {
            let at = 50 + rogue.random.range(40);
            rogue.limit(Side::Buy, 1, at)
        },
    },
    Pattern {
        name: "ping-pong",
        stopped_by: &[Code::MaxRepeats],
        nanos: 60 * MS,
        eager: true,
        act: |rogue| rogue.market(rogue.turn_about(), 1),
    },
    Pattern {
        name: "doubling after each loss",
        stopped_by: &[Code::MaxPositionPct],
        nanos: 100 * MS,
        eager: true,
        act: |rogue| {
            let qty = 1 << rogue.step.min(40);
            rogue.market(Side::Buy, QTY_PER_ORDER.min(qty))
        },
    },
    Pattern {
        name: "stuck signal",
        stopped_by: &[Code::DuplicateOrder],
        nanos: MS,
        eager: true,
        act: |rogue| rogue.signal(Ratio(PRICE_SCALE / 50)),
    },
    Pattern {
        name: "wrong sign: closing by buying more",
        stopped_by: &[Code::MaxPositionPct],
        nanos: 100 * MS,
        eager: true,
        act: |rogue| rogue.market(Side::Buy, 20),
    },
    Pattern {
        name: "wrong size: cents for dollars",
        stopped_by: &[Code::MaxQty],
        nanos: 100 * MS,
        eager: true,
        act: |rogue| rogue.market(Side::Buy, if rogue.step == 0 { 10 } else { 1_000 }),
    },
    Pattern {
        name: "price far off",
        stopped_by: &[Code::MaxNotional],
        nanos: 100 * MS,
        eager: true,
        act: |rogue| rogue.limit(Side::Buy, 1, if rogue.step == 0 { MARK } else { MARK * 100 }),
    },
    Pattern {
        name: "crossing itself",
        stopped_by: &[Code::SelfMatch],
        nanos: 60 * MS,
        eager: false,
        act: |rogue| {
            let side = rogue.turn_about();
            rogue.limit(side, 1, MARK + side.sign())
        },
    },
    Pattern {
        name: "storm of replaces and cancels",
        stopped_by: &[Code::MessageRate],
        nanos: 5 * MS,
        eager: false,
        act: |rogue| match rogue.step % 40 {
            0 => rogue.limit(Side::Buy, 1, 50),
            39 => Input::Cancel { id: rogue.id(), order: rogue.last() },
            step => rogue.replace(None, Some(50 + step % 3)),
        },
    },
    Pattern {
        name: "replaced upwards",
        stopped_by: &[Code::MaxPositionPct],
        nanos: 100 * MS,
        eager: false,
        act: |rogue| match rogue.step % 6 {
            0 => rogue.limit(Side::Buy, 1, 90),
            step if step % 2 == 0 => rogue.replace(None, Some(90 + step)),
            step => rogue.replace(Some(10 * step), None),
        },
    },
    Pattern {
        name: "reduce-only with nothing to reduce",
        stopped_by: &[Code::ReduceOnly],
        nanos: 60 * MS,
        eager: false,
        act: |rogue| {
            let side = if rogue.step % 4 == 0 { Side::Buy } else { Side::Sell };
            let qty = 1 + rogue.random.range(20);
            let mut order = rogue.market(side, qty);
            if let Input::Order { flags, .. } = &mut order {
                *flags = if side == Side::Sell { Flags::REDUCE_ONLY } else { *flags };
            }
            order
        },
    },
    Pattern {
        name: "a little of everything",
        stopped_by: &[Code::MaxPositions],
        nanos: 60 * MS,
        eager: false,
        act: |rogue| {
            let symbol = u16::try_from(rogue.random.below(4)).expect("few");
            rogue.order(InstrumentId(symbol), Side::Buy, 1)
        },
    },
    Pattern {
        name: "stops that nobody cancels",
        stopped_by: &[Code::MaxPositionPct],
        nanos: 100 * MS,
        eager: false,
        act: |rogue| rogue.stop(Side::Buy, 5, 110 + rogue.step % 50),
    },
    Pattern {
        name: "deaf to a halt",
        stopped_by: &[Code::Halted],
        nanos: 60 * MS,
        eager: false,
        act: |rogue| match rogue.step % 100 {
            99 => Input::Halt { cancel_working: true },
            step => {
                let side = rogue.turn_about();
                rogue.limit(side, 1 + step % 7, MARK - 5 * side.sign())
            }
        },
    },
    Pattern {
        name: "each order twice",
        stopped_by: &[Code::DuplicateOrder],
        nanos: MS,
        eager: false,
        act: |rogue| rogue.limit(Side::Sell, 1 + rogue.step / 2 % 50, 130),
    },
    Pattern {
        name: "two ids for ever",
        stopped_by: &[Code::DuplicateId],
        nanos: 60 * MS,
        eager: false,
        act: |rogue| {
            let mut order = rogue.market(Side::Buy, 1);
            if let Input::Order { id, .. } = &mut order {
                *id = ClOrdId::new(0, 1 + rogue.step.unsigned_abs() % 2);
            }
            order
        },
    },
    Pattern {
        name: "endless strength",
        stopped_by: &[Code::MaxPositionPct],
        nanos: 60 * MS,
        eager: true,
        act: |rogue| rogue.signal(Ratio(i64::MAX)),
    },
    Pattern {
        name: "nothing, and less than nothing",
        stopped_by: &[Code::BadQty],
        nanos: 60 * MS,
        eager: true,
        act: |rogue| rogue.market(Side::Sell, if rogue.step == 0 { 1 } else { -(rogue.step % 2) }),
    },
    Pattern {
        name: "a market that is closed, or was never seen",
        stopped_by: &[Code::MarketClosed, Code::NoMark],
        nanos: 60 * MS,
        eager: true,
        act: |rogue| {
            let instrument = match rogue.step {
                0 => ES,
                step if step % 2 == 0 => CLOSED,
                _ => DARK,
            };
            rogue.order(instrument, Side::Buy, 1)
        },
    },
    Pattern {
        name: "bleeding",
        stopped_by: &[Code::Halted],
        nanos: 100 * MS,
        eager: true,
        act: |rogue| rogue.market(rogue.turn_about(), QTY_PER_ORDER),
    },
    Pattern {
        name: "resumed after every halt",
        stopped_by: &[Code::Halted, Code::MaxDailyLoss],
        nanos: 100 * MS,
        eager: true,
        act: |rogue| match rogue.refused {
            Some(Code::Halted | Code::MaxRepeats) => Input::Resume {},
            _ => rogue.market(rogue.turn_about(), QTY_PER_ORDER),
        },
    },
    Pattern {
        name: "re-armed for ever",
        stopped_by: &[Code::MaxRepeats, Code::NotHalted],
        nanos: 60 * MS,
        eager: true,
        act: |rogue| match rogue.step % 100 {
            98 | 99 => Input::Resume {},
            _ => rogue.market(Side::Buy, 1),
        },
    },
];

/// What the engine says and sends.
#[derive(Default)]
struct Collected {
    slots: Vec<Slot>,
    messages: Vec<Message>,
}

impl Output for Collected {
    fn record(&mut self, slots: &[Slot]) {
        self.slots.extend_from_slice(slots);
    }

    fn send(&mut self, outbound: &Outbound) {
        self.messages.push(outbound.message);
    }
}

struct Run {
    engine: Engine,
    auditor: Auditor,
    venue: Venue,
    seen: BTreeMap<Code, u32>,
}

impl Run {
    /// One input and all that the venue has to say at once; returns why it was refused.
    fn step(&mut self, now: i64, input: &Input) -> Option<Code> {
        let refused = self.take(now, input);
        while let Some(report) = self.venue.next(now) {
            self.take(now, &report);
        }
        while self.engine.state().sweeps().any() {
            self.take(now, &Input::Continue {});
        }
        refused
    }

    fn take(&mut self, now: i64, input: &Input) -> Option<Code> {
        let mut out = Collected::default();
        self.auditor.hear(now, input);
        self.engine.step(Ts(now), 0, input, &mut out);
        let mut refused = None;
        for slots in records(&out.slots) {
            let body = Record::decode(slots).expect("the engine wrote it").body;
            if body == Body::Event(Event::Resumed {}) {
                self.auditor.resumed();
            }
            if let Body::Event(Event::Denied { reason: code, .. } | Event::Refused { code, .. }) =
                body
            {
                *self.seen.entry(code).or_default() += 1;
                refused = Some(code);
            }
        }
        for message in &out.messages {
            self.auditor.audit(message);
            self.venue.take(now, message);
        }
        // Books and auditor agree, whatever the venue made of it.
        for (index, book) in self.engine.state().books().iter().enumerate() {
            let instrument = InstrumentId(u16::try_from(index).expect("few"));
            assert_eq!(book.position.qty.0, self.auditor.held(instrument));
        }
        refused
    }
}

fn run(pattern: &Pattern, seed: u64) {
    let venue = Venue {
        random: Random::new(seed ^ 1),
        reports: VecDeque::new(),
        executions: 0,
        mark: MARK,
        eager: pattern.eager,
    };
    let engine = Engine::new(settings());
    let mut run = Run { engine, auditor: Auditor::new(), venue, seen: BTreeMap::new() };
    let random = Random::new(seed);
    let mut rogue = Rogue { random, step: 0, next: 0, tried: Vec::new(), refused: None };
    let mut now = 0;
    for number in 0..INPUTS_PER_RUN {
        now += pattern.nanos;
        if number % 10 == 0 {
            run.venue.mark = MARK - 2 + run.venue.random.range(5);
            for instrument in (0..SYMBOLS).map(InstrumentId).filter(|one| *one != DARK) {
                let price = price(run.venue.mark);
                run.step(now, &Input::Mark { instrument, price, bid: None, ask: None });
            }
        }
        let input = (pattern.act)(&mut rogue);
        rogue.refused = run.step(now, &input);
        rogue.step += 1;
    }
    for code in pattern.stopped_by {
        let count = run.seen.get(code).copied().unwrap_or(0);
        assert!(count > 0, "{}: {code} never stopped it: {:?}", pattern.name, run.seen);
    }
    assert!(run.auditor.sent > 0, "{}: nothing ever left, which is easy", pattern.name);
}

#[test]
fn no_pattern_gets_an_order_past_a_limit_and_each_is_stopped() {
    let names: BTreeSet<&str> = PATTERNS.iter().map(|pattern| pattern.name).collect();
    assert_eq!(names.len(), PATTERNS.len());
    for seed in runs(2) {
        for pattern in &PATTERNS {
            println!("SEED={seed} RUNS=1 cargo test --test runaway: {}", pattern.name);
            run(pattern, seed);
        }
    }
}
