//! The rules that measure the order itself, the age of its mark, its prices and its size: each at
//! its limit, where it passes, and one unit above, where it breaks; for every scope that may have a
//! limit of its own; and what a replace has to meet, through the engine.

#[path = "common/world.rs"]
mod world;

use trade_engine::broker::{Broker, Message, Reports};
use trade_engine::code::Code;
use trade_engine::embedded::TradeEngine;
use trade_engine::event::{Body, Event, Record};
use trade_engine::input::{ExecKey, Input};
use trade_engine::instrument::Instrument;
use trade_engine::limits::PRICE_SCALE;
use trade_engine::order::{ClOrdId, Flags, OrdType, Tif};
use trade_engine::risk::{Candidate, InstrumentBook, Market, Rule};
use trade_engine::settings::{Count, Limits, Millis, Scope, Settings};
use trade_engine::units::{Money, Price, Qty, Ratio, Side, Ts, Units};
use world::{
    ES, MS, NQ, OTHER, World, buy, is_skipped, less, limit, market, money, numbers, price, ratio,
    sell, shown, stop, units,
};

// The mark's age.

#[test]
fn a_mark_may_be_as_old_as_its_limit_and_no_older() {
    let mut world = World::with(|risk| risk.limits.max_mark_age_ms = Some(Millis(1_000)));
    world.books[0].market.ts = Ts(5 * MS);
    for order in [buy(1), sell(1), limit(ES, Side::Buy, 1, "4500")] {
        world.now = Ts(1_005 * MS);
        world.passes(order);
        assert_eq!(shown(&world, order, Rule::StaleMark).1, "1000");
        world.now = Ts(1_005 * MS + 1);
        let verdict = world.refuses_only(order, Code::StaleMark);
        assert_eq!(numbers(&verdict), ("1000.000001".to_owned(), "1000".to_owned()));
    }
    // A mark of the future is not old; times may be as far apart as they go.
    world.now = Ts(0);
    world.passes(buy(1));
    world.now = Ts(i64::MAX);
    world.books[0].market.ts = Ts(i64::MIN);
    world.refuses_only(buy(1), Code::StaleMark);
}

#[test]
fn the_age_of_the_mark_asks_for_a_mark_by_itself() {
    let mut world = World::with(|risk| risk.limits.max_mark_age_ms = Some(Millis(1_000)));
    world.books[0].market.price = None;
    world.refuses_only(limit(ES, Side::Buy, 1, "4500"), Code::NoMark);
    world.refuses_only(buy(1), Code::NoMark);
    // Off for this instrument and this strategy.
    world.settings.limits.max_mark_age_ms = None;
    world.passes(buy(1));
    assert!(is_skipped(&world, buy(1), Rule::StaleMark));
    assert!(is_skipped(&world, buy(1), Rule::NoMark));
    world.limits_of(NQ).max_mark_age_ms = Some(Millis(1_000));
    world.passes(buy(1));
    world.limits_of(ES).max_mark_age_ms = Some(Millis(1_000));
    world.refuses_only(buy(1), Code::NoMark);
}

#[test]
fn an_exit_needs_a_fresh_mark_only_where_another_limit_asks_for_a_price() {
    let mut world = World::with(|risk| {
        risk.limits.max_mark_age_ms = Some(Millis(10));
        risk.limits.max_gross_exposure = Some(Money::ZERO);
        risk.limits.max_position_pct = Some(ratio("0"));
    });
    world.hold(ES, 2);
    world.now = Ts(11 * MS);
    let exits = [sell(2), limit(ES, Side::Sell, 2, "4521.25")];
    for exit in exits {
        world.passes(exit);
        assert!(is_skipped(&world, exit, Rule::StaleMark));
        assert!(is_skipped(&world, exit, Rule::NoMark));
    }
    // The value of an order needs a mark only if it has no price of its own.
    world.settings.limits.max_order_notional = Some(money("10000000"));
    world.refuses_only(exits[0], Code::StaleMark);
    assert_eq!(shown(&world, exits[0], Rule::StaleMark).1, "11");
    world.passes(exits[1]);
    // The collar needs it always.
    world.settings.limits.price_collar_pct = Some(ratio("0.1"));
    world.refuses_only(exits[1], Code::StaleMark);
    world.now = Ts(10 * MS);
    world.passes(exits[0]);
    world.passes(exits[1]);
    world.books[0].market.price = None;
    world.refuses_only(exits[1], Code::NoMark);
}

#[test]
fn another_instruments_mark_may_be_of_any_age_but_there_must_be_one() {
    let mut world = World::with(|risk| {
        risk.limits.max_mark_age_ms = Some(Millis(10));
        risk.limits.max_gross_exposure = Some(money("10000000"));
    });
    world.quote(NQ, "20000");
    world.hold(NQ, 1);
    world.now = Ts(1_000 * MS);
    world.books[0].market.ts = Ts(1_000 * MS);
    // 226,062.50 and 20,000 x 20.
    world.passes(buy(1));
    assert_eq!(shown(&world, buy(1), Rule::MaxGrossExposure).1, "626062.5");
    world.refuses_only(market(NQ, Side::Buy, 1), Code::StaleMark);
    world.books[1].market.price = None;
    world.refuses_only(buy(1), Code::NoMark);
}

#[test]
fn the_shortest_age_of_all_scopes_is_the_limit() {
    let mut world = World::with(|risk| risk.limits.max_mark_age_ms = Some(Millis(30)));
    let mine = Candidate { strategy: 1, ..buy(1) };
    world.now = Ts(20 * MS);
    assert_eq!(shown(&world, mine, Rule::StaleMark), {
        (Scope::Account, "20".to_owned(), "30".to_owned())
    });
    world.limits_of(ES).max_mark_age_ms = Some(Millis(20));
    assert_eq!(shown(&world, mine, Rule::StaleMark).0, Scope::Instrument);
    world.passes(mine);
    world.limits_of_strategy().max_mark_age_ms = Some(Millis(19));
    world.refuses_only(mine, Code::StaleMark);
    assert_eq!(shown(&world, mine, Rule::StaleMark), {
        (Scope::Strategy, "20".to_owned(), "19".to_owned())
    });
    // Nobody's order and another strategy's do not keep the first one's limits.
    world.passes(buy(1));
    world.passes(Candidate { strategy: 2, ..buy(1) });
}

// The collar.

#[test]
fn every_price_of_an_order_stays_inside_the_collar() {
    // A tenth of 4,000 is 400.
    let mut world = World::with(|risk| risk.limits.price_collar_pct = Some(ratio("0.1")));
    world.quote(ES, "4000");
    for side in [Side::Buy, Side::Sell] {
        for at in ["3600", "4000", "4400"] {
            world.passes(limit(ES, side, 1, at));
            world.passes(stop(side, 1, at));
        }
        for at in ["3599.999999999", "4400.000000001"] {
            world.refuses_only(limit(ES, side, 1, at), Code::PriceCollar);
            world.refuses_only(stop(side, 1, at), Code::PriceCollar);
            let both = |price: &str, stop_price: &str| Candidate {
                ord_type: OrdType::StopLimit,
                stop_price: Some(world::price(stop_price)),
                ..limit(ES, side, 1, price)
            };
            world.refuses_only(both(at, "4000"), Code::PriceCollar);
            world.refuses_only(both("4000", at), Code::PriceCollar);
            world.passes(both("3600", "4400"));
            // A price that the type has no use for is none of its prices.
            let unused = Some(price(at));
            world.passes(Candidate { stop_price: unused, ..limit(ES, side, 1, "4000") });
            world.passes(Candidate { price: unused, ..stop(side, 1, "4000") });
            world.passes(Candidate { price: unused, stop_price: unused, ..market(ES, side, 1) });
        }
    }
    let verdict = world.refuses(limit(ES, Side::Buy, 1, "5000"), Code::PriceCollar);
    assert_eq!(numbers(&verdict), ("0.25".to_owned(), "0.1".to_owned()));
    // The share that is shown is rounded up: it is above the limit if the order is refused.
    let verdict = world.refuses(limit(ES, Side::Buy, 1, "4400.000000001"), Code::PriceCollar);
    assert_eq!(numbers(&verdict).0, "0.100000001");
    assert_eq!(shown(&world, limit(ES, Side::Buy, 1, "4400"), Rule::PriceCollar).1, "0.1");
}

#[test]
fn a_market_order_is_collared_at_what_it_would_get() {
    let mut world = World::with(|risk| risk.limits.price_collar_pct = Some(ratio("0.1")));
    world.quote(ES, "4000");
    world.passes(buy(1));
    assert_eq!(shown(&world, buy(1), Rule::PriceCollar).1, "0");
    world.books[0].market.ask = Some(price("4400.000000001"));
    world.books[0].market.bid = Some(price("3600"));
    world.refuses_only(buy(1), Code::PriceCollar);
    world.passes(sell(1));
    world.books[0].market.ask = Some(price("4400"));
    world.books[0].market.bid = Some(price("3599.999999999"));
    world.passes(buy(1));
    world.refuses_only(sell(1), Code::PriceCollar);
    // An exit is not above it, and needs a mark as well.
    world.hold(ES, 1);
    world.refuses_only(sell(1), Code::PriceCollar);
    world.refuses_only(limit(ES, Side::Sell, 1, "3500"), Code::PriceCollar);
    world.books[0].market.price = None;
    world.refuses_only(limit(ES, Side::Sell, 1, "4000"), Code::NoMark);
    // A quote without a mark is no reference.
    world.refuses_only(sell(1), Code::NoMark);
}

#[test]
fn the_collar_is_a_share_of_the_size_of_the_mark() {
    let mut world = World::with(|risk| risk.limits.price_collar_pct = Some(ratio("0.5")));
    world.quote(ES, "-40");
    world.passes(limit(ES, Side::Buy, 1, "-20"));
    world.passes(limit(ES, Side::Buy, 1, "-60"));
    world.refuses_only(limit(ES, Side::Buy, 1, "-19.999999999"), Code::PriceCollar);
    world.refuses_only(limit(ES, Side::Buy, 1, "-60.000000001"), Code::PriceCollar);
    // Every distance is too far from a mark of nothing.
    world.quote(ES, "0");
    world.settings.limits.price_collar_pct = Some(Ratio(i64::MAX));
    world.passes(limit(ES, Side::Buy, 1, "0"));
    world.refuses_only(limit(ES, Side::Buy, 1, "0.000000001"), Code::PriceCollar);
    world.refuses_only(limit(ES, Side::Buy, 1, "-0.000000001"), Code::PriceCollar);
    // The ends of the type.
    world.books[0].market.price = Some(Price(1));
    world.settings.limits.price_collar_pct = Some(Ratio(0));
    world.passes(limit(ES, Side::Sell, 1, "0.000000001"));
    let far = |at| Candidate { price: Some(Price(at)), ..limit(ES, Side::Sell, 1, "1") };
    world.refuses_only(far(i64::MAX), Code::PriceCollar);
    world.refuses_only(far(i64::MIN), Code::PriceCollar);
}

// The size of one order.

#[test]
fn the_largest_quantity_is_of_the_underlying() {
    let mut world = World::with(|risk| risk.limits.max_order_qty = Some(units("0.5")));
    // A lot is a ten-thousandth.
    let coin = Instrument::plain("COIN", price("0.01"), PRICE_SCALE / 10_000, PRICE_SCALE);
    world.books[2] = InstrumentBook::new(coin);
    for side in [Side::Buy, Side::Sell] {
        world.passes(market(OTHER, side, 5_000));
        let verdict = world.refuses_only(market(OTHER, side, 5_001), Code::MaxOrderQty);
        assert_eq!(numbers(&verdict), ("0.5001".to_owned(), "0.5".to_owned()));
    }
    // It binds exits; it does not count what works or is held.
    world.hold(OTHER, 20_000);
    world.work(OTHER, Side::Sell, 9_000, Some("1"));
    world.passes(market(OTHER, Side::Sell, 5_000));
    world.refuses_only(market(OTHER, Side::Sell, 5_001), Code::MaxOrderQty);
    // It never wraps.
    world.settings.limits.max_order_qty = Some(Units(i64::MAX));
    world.refuses(market(OTHER, Side::Buy, i64::MAX), Code::MaxOrderQty);
}

#[test]
fn the_largest_value_of_an_order_is_at_the_price_it_counts_at() {
    let mut world = World::new();
    world.books[0].market.ask = Some(price("4600"));
    world.books[0].market.bid = Some(price("4400"));
    let stop_limit = Candidate {
        ord_type: OrdType::StopLimit,
        stop_price: Some(price("4700")),
        ..limit(ES, Side::Buy, 1, "4800")
    };
    let cases = [
        (buy(2), "460000"),
        (sell(2), "440000"),
        (limit(ES, Side::Buy, 2, "4500.25"), "450025"),
        (limit(ES, Side::Sell, 2, "4500.25"), "450025"),
        (limit(ES, Side::Sell, 2, "-4500.25"), "450025"),
        (stop(Side::Sell, 3, "4000"), "600000"),
        (stop_limit, "240000"),
    ];
    for (order, value) in cases {
        world.settings.limits.max_order_notional = Some(money(value));
        world.passes(order);
        world.settings.limits.max_order_notional = Some(less(money(value)));
        let verdict = world.refuses_only(order, Code::MaxOrderNotional);
        assert_eq!(numbers(&verdict).0, value);
        // It binds exits.
        let mut holding = world.clone();
        holding.hold(ES, -order.side.sign() * 9);
        holding.refuses_only(order, Code::MaxOrderNotional);
    }
    world.books[0].market = Market::default();
    world.refuses_only(buy(1), Code::NoMark);
    world.passes(limit(ES, Side::Buy, 1, "1"));
    world.books[0].market.price = Some(price("4521.25"));
    world.refuses(buy(i64::MAX), Code::Overflow);
    assert!(is_skipped(&world, buy(i64::MAX), Rule::MaxOrderNotional));
}

// Limits of one instrument, of one strategy.

#[test]
fn a_scope_that_is_broken_speaks_before_one_that_is_near() {
    let mut world = World::new();
    let mine = |qty| Candidate { strategy: 1, ..limit(ES, Side::Buy, qty, "100") };
    let say = |world: &World, qty| {
        let (scope, number, limit) = shown(world, mine(qty), Rule::MaxOrderQty);
        (scope, format!("{number}/{limit}"))
    };
    world.limits_of_strategy().max_order_qty = Some(units("8"));
    assert_eq!(say(&world, 5), (Scope::Strategy, "5/8".to_owned()));
    world.settings.limits.max_order_qty = Some(units("10"));
    assert_eq!(say(&world, 5), (Scope::Strategy, "5/8".to_owned()));
    world.limits_of(ES).max_order_qty = Some(units("6"));
    assert_eq!(say(&world, 5), (Scope::Instrument, "5/6".to_owned()));
    for (qty, said) in [(6, "6/6"), (7, "7/6"), (9, "9/6"), (11, "11/6")] {
        assert_eq!(say(&world, qty), (Scope::Instrument, said.to_owned()));
    }
    world.passes(mine(6));
    let verdict = world.refuses_only(mine(7), Code::MaxOrderQty);
    assert_eq!(verdict.broken[0].scope, Scope::Instrument);
    assert_eq!(verdict.tightest.map(|found| found.scope), Some(Scope::Instrument));
    // Of equals the first.
    world.limits_of_strategy().max_order_qty = Some(units("6"));
    assert_eq!(say(&world, 7).0, Scope::Instrument);
    world.settings.limits.max_order_qty = Some(units("6"));
    assert_eq!(say(&world, 7).0, Scope::Account);
    // Others' limits are others'.
    world.settings.limits.max_order_qty = None;
    world.refuses_only(Candidate { strategy: 1, ..market(NQ, Side::Buy, 7) }, Code::MaxOrderQty);
    world.passes(Candidate { strategy: 2, ..market(NQ, Side::Buy, 7) });
    world.passes(market(NQ, Side::Buy, 7));
    world.passes(market(OTHER, Side::Buy, 7));
}

#[test]
fn a_broken_scope_wins_whatever_the_share() {
    // Without equity every share of it is broken, and no ratio says by how much.
    let mut world = World::with(|risk| risk.limits.max_position_pct = Some(ratio("10")));
    world.limits_of(ES).max_position_pct = Some(ratio("0.1"));
    let order = limit(ES, Side::Buy, 1, "2000");
    let (scope, number, limit) = shown(&world, order, Rule::MaxPositionPct);
    assert_eq!((scope, number.as_str(), limit.as_str()), (Scope::Instrument, "100000", "10000"));
    world.limits_of(ES).max_position_pct = Some(ratio("1"));
    world.passes(order);
    assert_eq!(shown(&world, order, Rule::MaxPositionPct).2, "100000");
    world.settings.limits.max_position_pct = Some(ratio("0.999999999"));
    world.refuses_only(order, Code::MaxPositionPct);
    assert_eq!(shown(&world, order, Rule::MaxPositionPct).0, Scope::Account);
}

#[test]
fn collar_and_value_have_limits_of_their_own_for_each_scope() {
    let mut world = World::new();
    let mine = Candidate { strategy: 1, ..limit(ES, Side::Buy, 1, "4974") };
    world.quote(ES, "4000");
    // 974 / 4,000 = 0.2435; 4,974 x 50 = 248,700.
    world.limits_of(ES).price_collar_pct = Some(ratio("0.2435"));
    world.limits_of_strategy().max_order_notional = Some(money("248700"));
    world.passes(mine);
    world.limits_of(ES).price_collar_pct = Some(ratio("0.243499999"));
    world.refuses_only(mine, Code::PriceCollar);
    world.limits_of(ES).price_collar_pct = None;
    world.limits_of_strategy().max_order_notional = Some(less(money("248700")));
    world.refuses_only(mine, Code::MaxOrderNotional);
    world.limits_of_strategy().max_order_notional = None;
    world.limits_of_strategy().price_collar_pct = Some(ratio("0.2"));
    world.refuses_only(mine, Code::PriceCollar);
    world.limits_of_strategy().price_collar_pct = None;
    world.limits_of(ES).max_order_notional = Some(money("1"));
    world.refuses_only(mine, Code::MaxOrderNotional);
}

// Through the engine.

struct Silent;

impl Broker for Silent {
    fn on_message(&mut self, _ts: Ts, _message: &Message, _reports: &mut Reports) {}
}

/// An engine with these limits, in which SHARE is at 100, its orders and their requests.
struct Desk {
    engine: TradeEngine<Silent>,
}

impl Desk {
    fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let share = Instrument::plain("SHARE", price("0.01"), PRICE_SCALE, PRICE_SCALE);
        let mut settings = Settings::new(money("100000"), vec![share]);
        settings.strategies = vec!["one".to_owned(), "two".to_owned()];
        settings.risk.strategies = vec![Limits::OFF, Limits::OFF];
        change(&mut settings);
        let mut engine = TradeEngine::new(settings, Silent);
        engine
            .input(&Input::Mark { instrument: ES, price: price("100"), bid: None, ask: None })
            .unwrap();
        Self { engine }
    }

    /// Why an input was turned down, if it was.
    fn reason(&mut self, input: &Input) -> Option<Code> {
        let range = self.engine.input(input).unwrap();
        let records: Vec<Record> = self.engine.records(range).collect();
        records.iter().find_map(|record| {
            if let Body::Event(Event::Denied { reason: code, .. } | Event::Refused { code, .. }) =
                record.body
            {
                return Some(code);
            }
            None
        })
    }

    fn order(&mut self, strategy: u16, qty: i64, at: &str) -> (ClOrdId, Option<Code>) {
        let id = self.engine.next_id();
        let reason = self.reason(&Input::Order {
            id,
            instrument: ES,
            side: Side::Buy,
            ord_type: OrdType::Limit,
            tif: Tif::Day,
            strategy,
            flags: Flags::default(),
            qty: Qty(qty),
            price: Some(price(at)),
            stop_price: None,
            expire_at: None,
            defect: None,
        });
        (id, reason)
    }

    fn replace(&mut self, order: ClOrdId, qty: Option<i64>, at: Option<&str>) -> Option<Code> {
        let id = self.engine.next_id();
        let (qty, price) = (qty.map(Qty), at.map(price));
        self.reason(&Input::Replace { id, order, qty, price, stop_price: None, defect: None })
    }
}

#[test]
fn a_replace_meets_the_collar_and_the_sizes_whatever_it_takes_back() {
    let mut desk = Desk::new(|settings| {
        settings.risk.limits.price_collar_pct = Some(ratio("0.1"));
        settings.risk.limits.max_order_qty = Some(units("10"));
        settings.risk.limits.max_order_notional = Some(money("1000"));
        settings.risk.limits.max_open_orders = Some(Count(1));
        settings.risk.limits.max_gross_exposure = Some(money("1000"));
    });
    let (order, reason) = desk.order(0, 10, "100");
    assert_eq!(reason, None);
    assert_eq!(desk.order(0, 1, "90").1, Some(Code::MaxOpenOrders));
    assert_eq!(desk.replace(order, None, Some("89.99")), Some(Code::PriceCollar));
    assert_eq!(desk.replace(order, None, Some("90")), None);
    assert_eq!(desk.replace(order, Some(11), None), Some(Code::MaxOrderQty));
    assert_eq!(desk.replace(order, Some(9), Some("111")), Some(Code::PriceCollar));
    // The old price may hold still: ten at 110 are too many until it does not.
    assert_eq!(desk.replace(order, Some(9), Some("110")), Some(Code::MaxGrossExposure));
    assert_eq!(desk.replace(order, Some(9), Some("100")), None);
    // The market moves away: what is asked for must be near it, even if it is less.
    desk.engine
        .input(&Input::Mark { instrument: ES, price: price("120"), bid: None, ask: None })
        .unwrap();
    assert_eq!(desk.replace(order, Some(5), None), Some(Code::PriceCollar));
}

#[test]
fn the_size_of_a_replaced_order_is_its_new_total() {
    let mut desk = Desk::new(|settings| {
        settings.risk.limits.max_order_qty = Some(units("10"));
        settings.risk.limits.max_gross_exposure = Some(money("100000"));
    });
    let (order, _) = desk.order(0, 10, "100");
    desk.engine
        .input(&Input::Trade {
            order,
            exec: ExecKey::new(0, "1", order, Side::Buy),
            qty: Qty(8),
            price: price("100"),
            commission: Money::ZERO,
            instrument: ES,
            side: Side::Buy,
            venue_says_filled: false,
            defect: None,
        })
        .unwrap();
    assert_eq!(desk.replace(order, Some(11), None), Some(Code::MaxOrderQty));
    assert_eq!(desk.replace(order, Some(9), None), None);
}

#[test]
fn an_order_keeps_the_limits_of_its_own_strategy() {
    let mut desk = Desk::new(|settings| {
        settings.risk.strategies[1].max_order_qty = Some(units("5"));
        settings.risk.symbols = vec![Limits { max_order_qty: Some(units("8")), ..Limits::OFF }];
    });
    assert_eq!(desk.order(2, 6, "100").1, Some(Code::MaxOrderQty));
    assert_eq!(desk.order(1, 8, "100").1, None);
    assert_eq!(desk.order(1, 9, "100").1, Some(Code::MaxOrderQty));
    let (order, reason) = desk.order(2, 5, "100");
    assert_eq!(reason, None);
    assert_eq!(desk.replace(order, Some(6), None), Some(Code::MaxOrderQty));
    assert_eq!(desk.replace(order, Some(4), None), None);
}
