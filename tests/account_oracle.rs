//! Random fills, marks and rates over several instruments, three currencies and three strategies:
//! positions, the account and the strategies' books against a naive twin.
//!
//! At every step, in whole numbers, to the last unit of 1e-18: realized + unrealized = cash + market
//! value, in every currency; equity = capital + each currency's P&L at its rate; every lot and every
//! unit of cash is some strategy's. In every two hundredth life also, in exact rationals: the cost that a
//! close takes out, the average price, and everything that is converted.
//!
//! `RUNS=10000000 cargo test --release --test account_oracle` is a long night's ten million fills.

#[path = "common/exact.rs"]
mod exact;

use exact::{Random, half_even, int, seed_and_runs};
use num_bigint::BigInt;
use num_rational::BigRational;
use trade_engine::engine::Engine;
use trade_engine::input::{ExecKey, Input};
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::limits::PRICE_SCALE;
use trade_engine::order::{ClOrdId, Flags, OrdType, Tif};
use trade_engine::position::{Account, Balance, Fill, Position, Rate, slippage};
use trade_engine::risk::{InstrumentBook, StrategyBooks};
use trade_engine::settings::Settings;
use trade_engine::units::{Money, Price, Qty, Side, Ts};

const CAPITAL: Money = Money(1_000_000 * 10_i128.pow(18));
/// Symbol, currency by its place, what a lot is worth per unit of price.
const INSTRUMENTS: [(&str, u16, i64); 5] = [
    ("ES", 0, 50 * PRICE_SCALE),
    ("DAX", 1, 25 * PRICE_SCALE),
    ("NIKKEI", 2, 1_000 * PRICE_SCALE),
    ("COIN", 1, 1_000_003),
    ("SHARE", 0, PRICE_SCALE),
];
const CURRENCIES: [&str; 3] = ["USD", "EUR", "JPY"];
const STRATEGIES: u16 = 3;
/// Fills from one empty account to the next.
const LIFE: u64 = 1_000;

#[derive(Clone, Copy, Debug)]
enum Op {
    Fill { strategy: u16, at: usize, fill: Fill },
    Mark { at: usize, price: Price },
    Rate { currency: u16, rate: Rate },
}

fn settings() -> Settings {
    let instruments = INSTRUMENTS.map(|(symbol, currency, lot_value)| Instrument {
        currency: CURRENCIES[usize::from(currency)].to_owned(),
        ..Instrument::plain(symbol, Price(1), PRICE_SCALE, lot_value)
    });
    let strategies = (1..=STRATEGIES).map(|number| format!("S{number}")).collect();
    Settings { strategies, ..Settings::new(CAPITAL, instruments.to_vec()) }
}

/// The product's parts, put together as the engine does it.
struct Books {
    account: Account,
    books: Vec<InstrumentBook>,
    strategies: StrategyBooks,
}

impl Books {
    fn new() -> Self {
        let Settings { instruments, .. } = settings();
        let books = instruments.into_iter().zip(INSTRUMENTS).map(|(spec, (_, currency, _))| {
            InstrumentBook { currency, ..InstrumentBook::new(spec) }
        });
        let strategies = StrategyBooks::new(usize::from(STRATEGIES), INSTRUMENTS.len());
        Self {
            account: Account::new(CAPITAL, CURRENCIES.len()),
            books: books.collect(),
            strategies,
        }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Fill { strategy, at, ref fill } => self.change(at, |book, strategies| {
                book.position.book(fill, book.lot_value, book.qty_limit).expect("small figures");
                let instrument = InstrumentId(u16::try_from(at).expect("few"));
                strategies.book(strategy, instrument, fill, book).expect("small figures");
            }),
            Op::Mark { at, price } => self.change(at, |book, _| book.market.price = Some(price)),
            Op::Rate { currency, rate } => {
                self.account.on_rate(currency, rate).expect("small figures");
            }
        }
        self.account.note_peak();
    }

    fn change(&mut self, at: usize, change: impl FnOnce(&mut InstrumentBook, &mut StrategyBooks)) {
        let book = &mut self.books[at];
        let before = book.balance().expect("small figures");
        change(book, &mut self.strategies);
        let change = book.balance().expect("small figures").since(before);
        self.account.on_change(book.currency, change).expect("small figures");
    }
}

/// What the trades of somebody in one instrument come to: whole numbers, added up.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    qty: i64,
    /// Money in and out, 1e-18, commission not counted.
    cash: i128,
    commission: i128,
}

impl Tally {
    fn book(&mut self, fill: &Fill, lot_value: i64) {
        let signed = fill.qty.0 * fill.side.sign();
        self.qty += signed;
        self.cash -= i128::from(fill.price.0) * i128::from(lot_value) * i128::from(signed);
        self.commission += fill.commission.0;
    }

    fn is_of(&self, position: &Position) {
        assert_eq!(position.qty.0, self.qty);
        assert_eq!(position.realized.0 - position.open_cost.0, self.cash);
        assert_eq!(position.commission.0, self.commission);
    }
}

/// The naive twin of everything, in whole numbers.
#[derive(Default)]
struct Twin {
    /// By instrument, then by strategy; the last is of all.
    tallies: [[Tally; STRATEGIES as usize + 2]; INSTRUMENTS.len()],
    marks: [Option<Price>; INSTRUMENTS.len()],
    /// What a unit is worth: numerator and denominator.
    rates: [Option<(i64, i64)>; CURRENCIES.len()],
    /// By currency: P&L, open positions, and the P&L's worth. Only what an operation touches is
    /// counted anew; the product must have left the others alone.
    counted: [(i128, i32, Option<i128>); CURRENCIES.len()],
}

const ALL: usize = STRATEGIES as usize + 1;

impl Twin {
    fn new() -> Self {
        let mut twin = Self::default();
        twin.rates[0] = Some((1, 1));
        twin.counted[0].2 = Some(0);
        twin
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Fill { strategy, at, ref fill } => {
                for who in [usize::from(strategy), ALL] {
                    self.tallies[at][who].book(fill, INSTRUMENTS[at].2);
                }
            }
            Op::Mark { at, price } => self.marks[at] = Some(price),
            Op::Rate { currency, rate } => {
                let fraction = (rate.price().0, PRICE_SCALE);
                self.rates[usize::from(currency)] =
                    Some(if rate.is_inverse() { (fraction.1, fraction.0) } else { fraction });
            }
        }
    }

    /// P&L of somebody in one instrument: cash, and what is held at its mark or, without one, at
    /// what the product says that it cost.
    fn pnl(&self, at: usize, who: usize, open_cost: Money) -> i128 {
        let Tally { qty, cash, commission } = self.tallies[at][who];
        let value = match self.marks[at] {
            Some(mark) => i128::from(mark.0) * i128::from(INSTRUMENTS[at].2) * i128::from(qty),
            None => open_cost.0,
        };
        cash + value - commission
    }

    /// What holds after every step.
    fn check(&mut self, books: &Books, op: &Op) {
        let touched = match *op {
            Op::Fill { at, .. } | Op::Mark { at, .. } => INSTRUMENTS[at].1,
            Op::Rate { currency, .. } => currency,
        };
        let own = (0..INSTRUMENTS.len()).filter(|at| INSTRUMENTS[*at].1 == touched);
        let cost = |at: usize| books.books[at].position.open_cost;
        let pnl: i128 = own.clone().map(|at| self.pnl(at, ALL, cost(at))).sum();
        let open = own.map(|at| i32::from(self.tallies[at][ALL].qty != 0)).sum();
        let worth = self.rates[usize::from(touched)].map(|rate| convert(pnl, rate));
        self.counted[usize::from(touched)] = (pnl, open, worth);

        let account = &books.account;
        let mut lacking = [false; CURRENCIES.len()];
        for (currency, (pnl, open, worth)) in (0..).zip(self.counted) {
            // Conservation: realized + unrealized = cash + market value.
            let balance = account.balance(currency).expect("it is in the table");
            assert_eq!(balance.realized.0 + balance.unrealized.0 - balance.commission.0, pnl);
            assert_eq!(balance.positions, open);
            lacking[usize::from(currency)] = worth.is_none() && *balance != Balance::default();
        }
        let worth: i128 = self.counted.iter().filter_map(|(.., worth)| *worth).sum();
        assert_eq!(account.pnl().0, worth);
        assert_eq!(account.equity().0, CAPITAL.0 + worth);
        assert_eq!(account.net_realized().0 + account.unrealized().0, worth);
        assert_eq!(account.realized().0 - account.commission().0, account.net_realized().0);
        assert!(account.without_rate().eq((0..3_u16).filter(|at| lacking[usize::from(*at)])));
        assert_eq!(account.equity_is_whole(), lacking == [false; 3]);
        if let Op::Fill { strategy, at, .. } = *op {
            let instrument = InstrumentId(u16::try_from(at).expect("few"));
            let of = books.strategies.get(strategy, instrument).expect("it is in the table");
            self.tallies[at][usize::from(strategy)].is_of(&of.position);
            self.tallies[at][ALL].is_of(&books.books[at].position);
            let sum: i64 = self.tallies[at][..ALL].iter().map(|tally| tally.qty).sum();
            assert_eq!(sum, self.tallies[at][ALL].qty);
        }
    }

    /// By strategy: exact in each currency, and in the account's currency to the last unit.
    fn check_strategies(&self, books: &Books) {
        let (account, strategies) = (&books.account, &books.strategies);
        let all_marked = self.marks.iter().all(Option::is_some);
        let mut of_each = vec![0; ALL];
        for currency in 0..3_u16 {
            let mut sum = 0;
            for number in strategies.numbers() {
                let who = usize::from(number);
                let pnl = |at: usize| {
                    let instrument = InstrumentId(u16::try_from(at).expect("few"));
                    let of = strategies.get(number, instrument).expect("it is in the table");
                    self.pnl(at, who, of.position.open_cost)
                };
                let own = (0..INSTRUMENTS.len()).filter(|at| INSTRUMENTS[*at].1 == currency);
                let pnl: i128 = own.map(pnl).sum();
                let balance = strategies.balance(number, currency, &books.books);
                assert_eq!(balance.expect("small figures").pnl().0, pnl);
                sum += pnl;
                let rate = self.rates[usize::from(currency)];
                of_each[who] += rate.map_or(0, |rate| convert(pnl, rate));
            }
            let balance = account.balance(currency).expect("it is in the table");
            assert!(!all_marked || balance.pnl().0 == sum, "a unit is nobody's");
        }
        let pnl = |number| strategies.pnl(number, account, &books.books).expect("small").0;
        for (number, own) in strategies.numbers().zip(of_each).skip(1) {
            assert_eq!(pnl(number), own);
        }
        assert_eq!(strategies.numbers().map(pnl).sum::<i128>(), account.pnl().0);
        assert_eq!(strategies.pnl(STRATEGIES + 1, account, &books.books), None);
    }
}

/// Half to even.
fn convert(money: i128, (numerator, denominator): (i64, i64)) -> i128 {
    let (numerator, denominator) = (i128::from(numerator), i128::from(denominator));
    // Whole denominators apart, or the product would not fit.
    let part = money.rem_euclid(denominator) * numerator;
    let floor = money.div_euclid(denominator) * numerator + part / denominator;
    let rest = part % denominator;
    floor + i128::from(rest * 2 > denominator || (rest * 2 == denominator && floor % 2 != 0))
}

/// A position in exact rationals: what a close takes out of the cost, rounded as documented.
#[derive(Clone, Default)]
struct Exact {
    qty: i64,
    cost: BigInt,
    realized: BigInt,
}

impl Exact {
    fn book(&mut self, fill: &Fill, lot_value: i64) {
        let value = |lots: i64| BigInt::from(fill.price.0) * BigInt::from(lot_value) * lots;
        let signed = fill.qty.0 * fill.side.sign();
        let closes = self.qty.signum() == -signed.signum();
        let closed = if closes { signed.abs().min(self.qty.abs()) } else { 0 };
        if closed > 0 {
            let ended = closed * self.qty.signum();
            let share = BigRational::new(closed.into(), self.qty.abs().into());
            let released = half_even(&(int(self.cost.clone()) * share));
            self.realized += value(ended) - &released;
            self.cost -= released;
        }
        let opened = (signed.abs() - closed) * signed.signum();
        self.cost += value(opened);
        self.qty += signed;
    }

    fn is_of(&self, position: &Position, lot_value: i64, mark: Option<Price>) {
        assert_eq!(position.qty.0, self.qty);
        assert_eq!(BigInt::from(position.open_cost.0), self.cost);
        assert_eq!(BigInt::from(position.realized.0), self.realized);
        let lots = BigInt::from(self.qty) * lot_value;
        let average =
            (self.qty != 0).then(|| half_even(&BigRational::new(self.cost.clone(), lots.clone())));
        assert_eq!(position.avg_px(lot_value).map(|price| BigInt::from(price.0)), average);
        let unrealized = mark.map(|mark| lots * mark.0 - &self.cost);
        let product = mark.and_then(|mark| position.unrealized(mark, lot_value));
        assert_eq!(product.map(|money| BigInt::from(money.0)), unrealized);
    }
}

/// Everything that is converted, in exact rationals.
fn check_worth(twin: &Twin, account: &Account) {
    let (mut pnl, mut commission, mut unrealized) = (BigInt::ZERO, BigInt::ZERO, BigInt::ZERO);
    for (currency, rate) in (0..).zip(twin.rates) {
        let Some((numerator, denominator)) = rate else { continue };
        let rate = BigRational::new(numerator.into(), denominator.into());
        let worth = |money: i128| half_even(&(int(money) * &rate));
        let balance = account.balance(currency).expect("it is in the table");
        pnl += worth(balance.realized.0 - balance.commission.0 + balance.unrealized.0);
        commission += worth(balance.commission.0);
        unrealized += worth(balance.unrealized.0);
    }
    assert_eq!(BigInt::from(account.equity().0), BigInt::from(CAPITAL.0) + &pnl);
    assert_eq!(BigInt::from(account.commission().0), commission);
    assert_eq!(BigInt::from(account.unrealized().0), unrealized);
    assert_eq!(BigInt::from(account.realized().0), pnl - unrealized + commission);
}

fn random_op(random: &mut Random, twin: &Twin) -> Op {
    let at = usize::try_from(random.below(5)).expect("few");
    let price = |random: &mut Random| Price(random.between(-40, 4_000) * PRICE_SCALE / 7);
    match random.below(16) {
        0 => Op::Mark { at, price: price(random) },
        1 => {
            let currency = random.pick(&[1, 2]);
            let price = Price(random.between(1, 200 * PRICE_SCALE / 7));
            let inverse = random.below(2) == 0;
            // An inverse price near nothing would make a unit worth millions.
            let price = if inverse { Price(price.0 + PRICE_SCALE / 100) } else { price };
            Op::Rate { currency, rate: Rate::new(price, inverse).expect("above zero") }
        }
        _ => {
            let strategy = u16::try_from(random.below(ALL as u64)).expect("few");
            // Closes of the strategy's own, and of all: whole, in part, and through zero.
            let held = twin.tallies[at][random.pick(&[usize::from(strategy), ALL])].qty;
            let closing = if held > 0 { Side::Sell } else { Side::Buy };
            let (side, qty) = match random.below(6) {
                0 if held != 0 => (closing, held.abs()),
                1 if held != 0 => (closing, random.between(1, held.abs())),
                _ => (random.pick(&[Side::Buy, Side::Sell]), random.between(1, 50)),
            };
            let fill = Fill {
                side,
                qty: Qty(qty),
                price: price(random),
                commission: Money(i128::from(random.between(-1_000, 3_000)) * 1_000_000_007),
                slippage: Money::ZERO,
            };
            Op::Fill { strategy, at, fill }
        }
    }
}

/// One life, from an empty account on; in exact rationals too, or in whole numbers only.
fn live(random: &mut Random, fills: u64, exactly: bool) -> Books {
    let (mut books, mut twin) = (Books::new(), Twin::new());
    let mut exact = vec![[const { None::<Exact> }; ALL + 1].map(|_| Exact::default()); 5];
    let mut done = 0;
    while done < fills {
        let op = random_op(random, &twin);
        books.apply(&op);
        twin.apply(&op);
        twin.check(&books, &op);
        done += u64::from(matches!(op, Op::Fill { .. }));
        if !exactly {
            continue;
        }
        check_worth(&twin, &books.account);
        twin.check_strategies(&books);
        if let Op::Fill { strategy, at, ref fill } = op {
            let lot_value = INSTRUMENTS[at].2;
            let instrument = InstrumentId(u16::try_from(at).expect("few"));
            let of = books.strategies.get(strategy, instrument).expect("it is in the table");
            for (who, position) in
                [(usize::from(strategy), &of.position), (ALL, &books.books[at].position)]
            {
                exact[at][who].book(fill, lot_value);
                exact[at][who].is_of(position, lot_value, twin.marks[at]);
            }
        }
    }
    twin.check_strategies(&books);
    books
}

#[test]
fn a_million_fills_conserve_every_unit() {
    let (seed, runs) = seed_and_runs("account_oracle", 1_000_000);
    let mut random = Random(seed);
    let (mut rounded, mut lives) = (0, 0);
    for life in 0..runs.div_ceil(LIFE) {
        let fills = LIFE.min(runs - life * LIFE);
        let books = live(&mut random, fills, life % 200 == 0);
        if fills < LIFE {
            // Too short for every mark and every rate to have come.
            continue;
        }
        // What the rounding of each strategy's figures left to nobody, beside its own.
        let own = (0..3).map(|currency| {
            let rate = books.account.rates().get(currency).expect("it has come by then");
            let balance = books.strategies.balance(0, currency, &books.books);
            rate.worth(balance.expect("small figures").pnl().0).expect("small figures")
        });
        let left = books.strategies.pnl(0, &books.account, &books.books).expect("small").0
            - own.sum::<i128>();
        assert!(left.abs() <= i128::from(STRATEGIES) + 1, "{left} units in two currencies");
        rounded += u64::from(left != 0);
        lives += 1;
    }
    println!("{lives} lives, in {rounded} of them rounding left a unit or more to nobody");
    assert!(lives < 100 || rounded > 10, "the draw misses what it is for");
}

/// The engine's own accounts after the same story, told as inputs.
#[test]
fn the_engine_keeps_the_same_books() {
    let (seed, _) = seed_and_runs("account_oracle the_engine", 0);
    let mut random = Random(seed);
    let mut engine = Engine::new(settings());
    let (mut books, mut twin) = (Books::new(), Twin::new());
    let mut orders: Vec<Vec<ClOrdId>> = vec![Vec::new(); ALL];
    for number in 0..6_000 {
        // Nobody's trades first: orders need the rates.
        if number == 100 {
            for currency in [1, 2] {
                let rate = Rate::new(Price(PRICE_SCALE * 5 / 4), false).expect("above zero");
                let op = Op::Rate { currency, rate };
                tell(&mut engine, number, &op, &orders);
                books.apply(&op);
                twin.apply(&op);
                twin.check(&books, &op);
            }
            orders = make_orders(&mut engine);
        }
        let mut op = random_op(&mut random, &twin);
        match &mut op {
            Op::Fill { strategy, .. } if number < 100 => *strategy = 0,
            Op::Rate { .. } if number < 100 => continue,
            Op::Fill { .. } | Op::Rate { .. } | Op::Mark { .. } => {}
        }
        tell(&mut engine, number, &op, &orders);
        if let Op::Fill { strategy, at, fill } = &mut op {
            // Slippage is measured from the order's decision: at the mark it then had.
            let order = orders[usize::from(*strategy)].get(*at * 2 + fill.side.index());
            let order = order.and_then(|order| engine.state().order(*order));
            let decided = order.and_then(|order| order.decision_px).unwrap_or(fill.price);
            let lot_value = INSTRUMENTS[*at].2;
            let slip = slippage(fill.side, fill.qty, fill.price, decided, lot_value);
            fill.slippage = slip.expect("small figures");
        }
        books.apply(&op);
        twin.apply(&op);
        twin.check(&books, &op);
        let state = engine.state();
        assert_eq!(state.account(), &books.account, "{op:?}");
        for (at, book) in (0..).zip(state.books()) {
            assert_eq!(book.position, books.books[usize::from(at)].position, "{op:?}");
            for strategy in 0..=STRATEGIES {
                let of = |books: &StrategyBooks| {
                    books.get(strategy, InstrumentId(at)).expect("it is in the table").position
                };
                assert_eq!(of(state.strategy_books()), of(&books.strategies), "{op:?}");
            }
        }
    }
    twin.check_strategies(&books);
    let sum = (0..=STRATEGIES).map(|number| engine.state().strategy_pnl(number).expect("small").0);
    assert_eq!(sum.sum::<i128>(), engine.state().account().pnl().0);
}

/// A buy and a sell in every instrument for each strategy.
fn make_orders(engine: &mut Engine) -> Vec<Vec<ClOrdId>> {
    let mut counter = 0;
    let mut orders = vec![Vec::new()];
    for strategy in 1..=STRATEGIES {
        let mut own = Vec::new();
        for at in 0..INSTRUMENTS.len() {
            for side in [Side::Buy, Side::Sell] {
                counter += 1;
                let id = ClOrdId::new(1, counter);
                let input = Input::Order {
                    id,
                    instrument: InstrumentId(u16::try_from(at).expect("few")),
                    side,
                    ord_type: OrdType::Market,
                    tif: Tif::Gtc,
                    strategy,
                    flags: Flags::default(),
                    qty: Qty(1_000_000),
                    price: None,
                    stop_price: None,
                    expire_at: None,
                    defect: None,
                };
                engine.step(Ts(0), 0, &input, &mut ());
                let order = engine.state().order(id).expect("it was taken in");
                assert_eq!(order.reason, None);
                own.push(id);
            }
        }
        orders.push(own);
    }
    orders
}

/// The operation as an input.
fn tell(engine: &mut Engine, number: u64, op: &Op, orders: &[Vec<ClOrdId>]) {
    let id = |at: usize| InstrumentId(u16::try_from(at).expect("few"));
    let input = match *op {
        Op::Fill { strategy, at, fill } => {
            let own = orders[usize::from(strategy)].get(at * 2 + fill.side.index());
            Input::Trade {
                order: own.copied().unwrap_or(ClOrdId::NONE),
                exec: ExecKey(u128::from(number) + 1),
                qty: fill.qty,
                price: fill.price,
                commission: fill.commission,
                instrument: id(at),
                side: fill.side,
                venue_says_filled: false,
                defect: None,
            }
        }
        Op::Mark { at, price } => Input::Mark { instrument: id(at), price, bid: None, ask: None },
        Op::Rate { currency, rate } => {
            Input::Rate { currency, price: rate.price(), inverse: rate.is_inverse() }
        }
    };
    engine.step(Ts(0), 0, &input, &mut ());
}
