//! A small world before the rules, and orders to put to it.
// Part of several test programs, each of which uses some of it.
#![allow(dead_code, unreachable_pub)]

use trade_engine::code::Code;
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::limits::PRICE_SCALE;
use trade_engine::order::{Contribution, OrdType};
use trade_engine::position::{Account, Balance, Fill, Position};
use trade_engine::risk::{
    Candidate, Controls, Correlations, InstrumentBook, Outcome, RiskView, Rule, StrategyBooks,
    Verdict, check, outcomes,
};
use trade_engine::settings::{Capacity, Limits, RiskSettings, Scope};
use trade_engine::units::{Money, Price, Qty, Ratio, Side, Ts, Units};

pub const ES: InstrumentId = InstrumentId(0);
pub const NQ: InstrumentId = InstrumentId(1);
pub const OTHER: InstrumentId = InstrumentId(2);

pub fn price(text: &str) -> Price {
    text.parse().expect("a price")
}

pub fn money(text: &str) -> Money {
    text.parse().expect("money")
}

pub fn ratio(text: &str) -> Ratio {
    text.parse().expect("a ratio")
}

/// A small world with an account of 100,000 in which ES is at 4521.25 and everything is allowed.
#[derive(Clone)]
pub struct World {
    pub settings: RiskSettings,
    pub now: Ts,
    pub halted: Option<Code>,
    pub account: Account,
    pub books: Vec<InstrumentBook>,
    pub correlations: Correlations,
    pub controls: Controls,
    pub strategies: StrategyBooks,
    pub orders_free: bool,
    pub executions_free: bool,
}

impl World {
    pub fn new() -> Self {
        let contract = |symbol: &str, multiplier: i64, margin: &str| {
            let mut spec =
                Instrument::plain(symbol, price("0.25"), PRICE_SCALE, multiplier * PRICE_SCALE);
            spec.initial_margin = Some(money(margin));
            InstrumentBook::new(spec)
        };
        let mut books = vec![contract("ES", 50, "12650"), contract("NQ", 20, "18700")];
        books.push(InstrumentBook::new(Instrument::plain(
            "SHARE",
            price("0.01"),
            PRICE_SCALE,
            PRICE_SCALE,
        )));
        books[0].market.price = Some(price("4521.25"));
        Self {
            settings: RiskSettings::OFF,
            now: Ts(0),
            halted: None,
            account: Account::new(money("100000"), 1),
            books,
            correlations: Correlations::off(),
            controls: Controls::new(&RiskSettings::OFF, &Capacity::default(), 3, 1),
            strategies: StrategyBooks::new(2, 3),
            orders_free: true,
            executions_free: true,
        }
    }

    pub fn with(change: impl FnOnce(&mut RiskSettings)) -> Self {
        let mut world = Self::new();
        change(&mut world.settings);
        world
    }

    pub fn view(&self) -> RiskView<'_> {
        RiskView {
            settings: &self.settings,
            now: self.now,
            halted: self.halted,
            account: &self.account,
            books: &self.books,
            correlations: &self.correlations,
            controls: &self.controls,
            rates: self.account.rates(),
            strategies: &self.strategies,
            orders_free: self.orders_free,
            executions_free: self.executions_free,
        }
    }

    /// Holds so many lots of an instrument, at its mark or at one.
    pub fn hold(&mut self, instrument: InstrumentId, qty: i64) {
        let book = &mut self.books[instrument.index()];
        let at = book.market.price.unwrap_or(price("1"));
        let held = Position::held(Qty(qty), at, book.lot_value, book.qty_limit);
        book.position = held.expect("within bounds");
    }

    pub fn work(&mut self, instrument: InstrumentId, side: Side, qty: i64, at: Option<&str>) {
        let order = Contribution { side, qty: Qty(qty), price: at.map(price), distance: None };
        self.books[instrument.index()].exposure.add(order).expect("within bounds");
    }

    pub fn lose(&mut self, amount: &str) {
        self.gain(Money(-money(amount).0));
    }

    pub fn gain(&mut self, unrealized: Money) {
        let change = Balance { unrealized, ..Balance::default() };
        self.account.on_change(0, change).expect("within bounds");
    }

    /// Limits of one instrument.
    pub fn limits_of(&mut self, instrument: InstrumentId) -> &mut Limits {
        let symbols = &mut self.settings.symbols;
        let missing = (instrument.index() + 1).max(symbols.len());
        symbols.resize(missing, Limits::OFF);
        &mut symbols[instrument.index()]
    }

    /// Limits of the first strategy.
    pub fn limits_of_strategy(&mut self) -> &mut Limits {
        self.settings.strategies.resize(1, Limits::OFF);
        &mut self.settings.strategies[0]
    }

    /// A strategy holds so many lots of what the account holds, at the mark.
    pub fn hold_as(&mut self, strategy: u16, instrument: InstrumentId, qty: i64) {
        let book = &self.books[instrument.index()];
        let side = if qty > 0 { Side::Buy } else { Side::Sell };
        let price = book.market.price.unwrap_or(price("1"));
        let (commission, slippage) = (Money::ZERO, Money::ZERO);
        let fill = Fill { side, qty: Qty(qty.abs()), price, commission, slippage };
        self.strategies.book(strategy, instrument, &fill, book).expect("within bounds");
    }

    /// A strategy has an order at work among those of the account.
    pub fn work_as(&mut self, strategy: u16, instrument: InstrumentId, side: Side, qty: i64) {
        let none = Contribution { side, qty: Qty(0), price: None, distance: None };
        let order = Contribution { qty: Qty(qty), ..none };
        self.strategies.rework(strategy, instrument, none, order).expect("within bounds");
    }

    pub fn quote(&mut self, instrument: InstrumentId, mark: &str) {
        self.books[instrument.index()].market.price = Some(price(mark));
    }

    pub fn check(&self, candidate: Candidate) -> Verdict {
        check(&self.view(), &candidate)
    }

    /// The order passes every rule.
    #[track_caller]
    pub fn passes(&self, candidate: Candidate) -> Verdict {
        let verdict = self.check(candidate);
        assert_eq!(verdict.reason(), None, "{:?}", verdict.broken);
        verdict
    }

    /// The order is turned down, for this reason first.
    #[track_caller]
    pub fn refuses(&self, candidate: Candidate, code: Code) -> Verdict {
        let verdict = self.check(candidate);
        assert_eq!(verdict.reason(), Some(code), "{:?}", verdict.broken);
        let codes: Vec<Code> = verdict.broken.iter().map(|finding| finding.code).collect();
        assert!(codes.is_sorted());
        verdict
    }

    /// The order is turned down for this reason and no other.
    #[track_caller]
    pub fn refuses_only(&self, candidate: Candidate, code: Code) -> Verdict {
        let verdict = self.refuses(candidate, code);
        assert_eq!(verdict.broken.len(), 1, "{:?}", verdict.broken);
        verdict
    }
}

pub fn market(instrument: InstrumentId, side: Side, qty: i64) -> Candidate {
    Candidate {
        instrument,
        strategy: 0,
        side,
        qty: Qty(qty),
        order_qty: Qty(qty),
        ord_type: OrdType::Market,
        price: None,
        stop_price: None,
        protect_px: None,
        is_own: false,
        is_triggered: false,
        reduce_only: false,
        instead_of: None,
    }
}

pub fn limit(instrument: InstrumentId, side: Side, qty: i64, at: &str) -> Candidate {
    let price = Some(price(at));
    Candidate { ord_type: OrdType::Limit, price, ..market(instrument, side, qty) }
}

pub fn buy(qty: i64) -> Candidate {
    market(ES, Side::Buy, qty)
}

pub fn sell(qty: i64) -> Candidate {
    market(ES, Side::Sell, qty)
}

/// The number and the limit of the first broken rule, as a person reads them.
pub fn numbers(verdict: &Verdict) -> (String, String) {
    let finding = verdict.broken.first().expect("something broke");
    (finding.number.to_string(), finding.limit.to_string())
}

pub const MS: i64 = 1_000_000;
/// The smallest amount of money.
pub const UNIT: Money = Money(1);

pub fn stop(side: Side, qty: i64, at: &str) -> Candidate {
    let stop_price = Some(price(at));
    Candidate { ord_type: OrdType::Stop, stop_price, ..market(ES, side, qty) }
}

pub fn units(text: &str) -> Units {
    text.parse().expect("a quantity")
}

pub fn less(limit: Money) -> Money {
    Money(limit.0 - UNIT.0)
}

/// A working order, and what it counts for.
pub fn working(world: &mut World, candidate: &Candidate) -> Contribution {
    let Candidate { side, qty, price, .. } = *candidate;
    let order = Contribution { side, qty, price, distance: None };
    world.books[candidate.instrument.index()].exposure.add(order).expect("within bounds");
    order
}

/// What a replace makes of an order of this much.
pub fn instead(before: Contribution, after: Candidate) -> Candidate {
    Candidate { qty: after.qty.max(before.qty), instead_of: Some(before), ..after }
}

/// What a rule of the table finds.
pub fn outcome(world: &World, candidate: Candidate, rule: Rule) -> Outcome {
    let found = outcomes(&world.view(), &candidate).find(|(of, _)| *of == rule);
    found.expect("the rule is in the table").1
}

/// The scope and the figures that a rule shows.
pub fn shown(world: &World, candidate: Candidate, rule: Rule) -> (Scope, String, String) {
    match outcome(world, candidate, rule) {
        Outcome::Within(found) | Outcome::Broken(found) => {
            (found.scope, found.number.to_string(), found.limit.to_string())
        }
        nothing @ (Outcome::Skipped | Outcome::Passed) => panic!("{rule:?}: {nothing:?}"),
    }
}

pub fn is_skipped(world: &World, candidate: Candidate, rule: Rule) -> bool {
    outcome(world, candidate, rule) == Outcome::Skipped
}
