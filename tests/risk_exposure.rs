//! The rules that measure exposure, the orders at work and the account's leverage: each at its
//! limit, where it passes, and one unit above, where it breaks; with flips, exits, replaces,
//! missing marks and figures at the ends of their ranges.

#[path = "common/random.rs"]
mod random;
#[path = "common/world.rs"]
mod world;

use random::{Random, runs};
use trade_engine::code::Code;
use trade_engine::instrument::{Instrument, InstrumentId, OpenInterval};
use trade_engine::limits::{PRICE_MAX, PRICE_SCALE};
use trade_engine::order::{Contribution, OrdType};
use trade_engine::position::{Account, Position};
use trade_engine::risk::{Candidate, Exposure, InstrumentBook, Rule};
use trade_engine::settings::{Count, ExposureBasis, LimitKey, Millis, Scope};
use trade_engine::units::{Money, Price, Qty, Side, Ts, div_half_even};
use world::{
    ES, MS, NQ, OTHER, World, buy, instead, is_skipped, less, limit, market, money, numbers, price,
    ratio, sell, shown, units, working,
};

// Orders at work.

#[test]
fn open_orders_are_counted_in_their_scope_with_the_new_one() {
    let mut world = World::with(|risk| risk.limits.max_open_orders = Some(Count(4)));
    world.work(ES, Side::Buy, 5, Some("4500"));
    world.work(ES, Side::Sell, 5, Some("4600"));
    world.work(NQ, Side::Sell, 5, None);
    for order in [buy(1), sell(1), market(NQ, Side::Buy, 1), market(OTHER, Side::Sell, 1)] {
        world.passes(order);
        assert_eq!(shown(&world, order, Rule::MaxOpenOrders).1, "4");
        world.settings.limits.max_open_orders = Some(Count(3));
        let verdict = world.refuses_only(order, Code::MaxOpenOrders);
        assert_eq!(numbers(&verdict), ("4".to_owned(), "3".to_owned()));
        world.settings.limits.max_open_orders = Some(Count(4));
    }
    // Of one instrument: its own.
    world.limits_of(ES).max_open_orders = Some(Count(2));
    world.refuses_only(buy(1), Code::MaxOpenOrders);
    assert_eq!(shown(&world, buy(1), Rule::MaxOpenOrders), {
        (Scope::Instrument, "3".to_owned(), "2".to_owned())
    });
    world.passes(market(NQ, Side::Buy, 1));
    world.limits_of(ES).max_open_orders = Some(Count(3));
    world.passes(buy(1));
    // Exits pass.
    world.settings.limits.max_open_orders = Some(Count(0));
    world.hold(ES, 6);
    world.passes(sell(1));
    world.refuses_only(sell(2), Code::MaxOpenOrders);
}

#[test]
fn a_replace_adds_an_order_only_if_it_opens_a_finished_one_again() {
    let mut world = World::with(|risk| risk.limits.max_open_orders = Some(Count(0)));
    let order = limit(ES, Side::Buy, 2, "4500");
    let before = working(&mut world, &order);
    world.passes(instead(before, limit(ES, Side::Buy, 3, "4500")));
    let filled = Contribution { qty: Qty(0), ..before };
    let again = instead(filled, limit(ES, Side::Buy, 1, "4500"));
    world.settings.limits.max_open_orders = Some(Count(2));
    world.passes(again);
    world.settings.limits.max_open_orders = Some(Count(1));
    world.refuses_only(again, Code::MaxOpenOrders);
}

// Exposure.

/// The order passes at this much exposure and not at a unit less.
#[track_caller]
fn at_gross(world: &mut World, order: Candidate, value: &str) {
    world.settings.limits.max_gross_exposure = Some(money(value));
    world.passes(order);
    world.settings.limits.max_gross_exposure = Some(less(money(value)));
    let verdict = world.refuses_only(order, Code::MaxGrossExposure);
    assert_eq!(numbers(&verdict).0, value);
    world.settings.limits.max_gross_exposure = None;
}

#[track_caller]
fn at_net(world: &mut World, order: Candidate, value: &str) {
    world.settings.limits.max_net_exposure = Some(money(value));
    world.passes(order);
    world.settings.limits.max_net_exposure = Some(less(money(value)));
    let verdict = world.refuses_only(order, Code::MaxNetExposure);
    assert_eq!(numbers(&verdict).0, value);
    world.settings.limits.max_net_exposure = None;
}

/// SHARE at 100 with a quote, NQ at 20,000 (400,000 a lot), ES at 4,000 (200,000 a lot).
fn quoted() -> World {
    let mut world = World::new();
    world.quote(ES, "4000");
    world.quote(NQ, "20000");
    world.quote(OTHER, "100");
    world.books[2].market.bid = Some(price("99"));
    world.books[2].market.ask = Some(price("101"));
    world
}

#[test]
fn gross_is_the_sum_of_the_larger_sides() {
    let mut world = quoted();
    let shares = |side, qty| market(OTHER, side, qty);
    at_gross(&mut world, shares(Side::Buy, 10), "1010");
    at_gross(&mut world, shares(Side::Sell, 10), "990");
    at_gross(&mut world, limit(OTHER, Side::Buy, 10, "80"), "800");
    // Both sides at work: the larger one.
    world.work(OTHER, Side::Buy, 5, Some("90"));
    world.work(OTHER, Side::Sell, 2, None);
    at_gross(&mut world, shares(Side::Buy, 1), "551");
    at_gross(&mut world, shares(Side::Sell, 1), "450");
    at_gross(&mut world, limit(OTHER, Side::Sell, 3, "150"), "648");
    // Others add their own larger side: NQ short 1 and selling 2 at 21,000; ES long 3, selling 1.
    world.hold(NQ, -1);
    world.work(NQ, Side::Sell, 2, Some("21000"));
    world.work(NQ, Side::Buy, 2, Some("19000"));
    at_gross(&mut world, shares(Side::Buy, 1), "1240551");
    world.hold(ES, 3);
    world.work(ES, Side::Sell, 1, Some("4100"));
    at_gross(&mut world, shares(Side::Buy, 1), "1840551");
    // The side that the order is not on may be the larger: long 10, selling 3 more than those.
    let mut world = quoted();
    world.hold(OTHER, 10);
    at_gross(&mut world, limit(OTHER, Side::Sell, 13, "120"), "1000");
    at_gross(&mut world, limit(OTHER, Side::Sell, 19, "120"), "1080");
    at_gross(&mut world, shares(Side::Buy, 10), "2010");
    // A short that is bought back and more: what is held takes lots away at their average price.
    world.hold(OTHER, -10);
    world.work(OTHER, Side::Buy, 10, Some("50"));
    // (500 + 30 x 150) x 30 / 40 against 1,000.
    at_gross(&mut world, limit(OTHER, Side::Buy, 30, "150"), "3750");
    world.passes(shares(Side::Sell, 1));
}

#[test]
fn net_is_each_against_the_others() {
    let mut world = quoted();
    let shares = |side, qty| market(OTHER, side, qty);
    at_net(&mut world, shares(Side::Buy, 10), "1010");
    at_net(&mut world, shares(Side::Sell, 10), "990");
    // The other side's orders do not count; what is held counts with its sign, at the mark.
    world.work(OTHER, Side::Buy, 5, Some("90"));
    at_net(&mut world, shares(Side::Buy, 1), "551");
    at_net(&mut world, shares(Side::Sell, 1), "99");
    world.hold(OTHER, 4);
    at_net(&mut world, shares(Side::Buy, 1), "951");
    at_net(&mut world, limit(OTHER, Side::Sell, 5, "110"), "150");
    // NQ short 1 and buying 2 at 19,000 may be long by 360,000, or short by 400,000.
    world.hold(NQ, -1);
    world.work(NQ, Side::Buy, 2, Some("19000"));
    at_net(&mut world, shares(Side::Buy, 1), "360951");
    at_net(&mut world, limit(OTHER, Side::Sell, 5, "110"), "400150");
    // ES long 3 stands against it; below nothing is nothing.
    world.hold(ES, 3);
    at_net(&mut world, shares(Side::Buy, 1), "960951");
    world.settings.limits.max_net_exposure = Some(Money::ZERO);
    let order = limit(OTHER, Side::Sell, 5, "110");
    world.passes(order);
    assert_eq!(shown(&world, order, Rule::MaxNetExposure).1, "0");
    world.refuses_only(shares(Side::Buy, 1), Code::MaxNetExposure);
}

#[test]
fn gross_and_net_of_one_instrument_are_its_own() {
    let mut world = quoted();
    world.hold(NQ, 5);
    world.work(OTHER, Side::Buy, 5, Some("90"));
    let order = market(OTHER, Side::Buy, 1);
    world.limits_of(OTHER).max_gross_exposure = Some(money("551"));
    world.limits_of(OTHER).max_net_exposure = Some(money("551"));
    world.limits_of(NQ).max_gross_exposure = Some(Money::ZERO);
    world.passes(order);
    world.limits_of(OTHER).max_gross_exposure = Some(less(money("551")));
    world.refuses_only(order, Code::MaxGrossExposure);
    assert_eq!(shown(&world, order, Rule::MaxGrossExposure).0, Scope::Instrument);
    world.limits_of(OTHER).max_gross_exposure = None;
    world.limits_of(OTHER).max_net_exposure = Some(less(money("551")));
    world.refuses_only(order, Code::MaxNetExposure);
    // With limits of both scopes each measures its own: 2,000,551 and 551.
    world.limits_of(OTHER).max_net_exposure = None;
    world.settings.limits.max_gross_exposure = Some(money("2000551"));
    world.limits_of(OTHER).max_gross_exposure = Some(money("551"));
    world.passes(order);
    world.settings.limits.max_gross_exposure = Some(less(money("2000551")));
    world.refuses_only(order, Code::MaxGrossExposure);
    assert_eq!(shown(&world, order, Rule::MaxGrossExposure), {
        (Scope::Account, "2000551".to_owned(), "2000551".to_owned())
    });
}

#[test]
fn exposure_needs_a_mark_of_whatever_is_held_or_works_at_the_market() {
    for set in [
        |world: &mut World| world.settings.limits.max_gross_exposure = Some(money("1000000000")),
        |world: &mut World| world.settings.limits.max_net_exposure = Some(money("1000000000")),
        |world: &mut World| world.settings.limits.max_leverage = Some(ratio("1000000")),
    ] {
        let mut world = World::new();
        set(&mut world);
        let order = limit(OTHER, Side::Buy, 1, "100");
        // NQ has no mark, and nothing is held or works there.
        world.passes(order);
        world.work(NQ, Side::Buy, 1, Some("100"));
        world.passes(order);
        let mut held = world.clone();
        held.hold(NQ, 1);
        held.refuses_only(order, Code::NoMark);
        held.hold(NQ, -1);
        held.refuses_only(order, Code::NoMark);
        world.work(NQ, Side::Buy, 1, None);
        world.refuses_only(order, Code::NoMark);
        world.quote(NQ, "1");
        world.passes(order);
        // The order itself.
        world.refuses_only(market(OTHER, Side::Buy, 1), Code::NoMark);
        // An exit asks for nothing.
        world.hold(OTHER, 1);
        world.passes(market(OTHER, Side::Sell, 1));
        assert!(is_skipped(&world, market(OTHER, Side::Sell, 1), Rule::NoMark));
    }
}

#[test]
fn leverage_is_gross_exposure_over_equity() {
    let mut world = quoted();
    world.hold(NQ, -1);
    world.work(OTHER, Side::Buy, 5, Some("90"));
    // 400,000 + 551 of 100,000 is 4.00551.
    let order = market(OTHER, Side::Buy, 1);
    world.settings.limits.max_leverage = Some(ratio("4.00551"));
    world.passes(order);
    assert_eq!(shown(&world, order, Rule::MaxLeverage), {
        (Scope::Account, "400551".to_owned(), "400551".to_owned())
    });
    world.settings.limits.max_leverage = Some(ratio("4.005509999"));
    let verdict = world.refuses_only(order, Code::MaxLeverage);
    assert_eq!(numbers(&verdict), ("400551".to_owned(), "400550.9999".to_owned()));
    // To the last unit of equity.
    world.settings.limits.max_leverage = Some(ratio("4.00551"));
    world.lose("0.000000000000000001");
    world.refuses_only(order, Code::MaxLeverage);
    // An exit passes, without any equity, too.
    world.lose("200000");
    world.passes(market(NQ, Side::Buy, 1));
    world.refuses_only(market(NQ, Side::Buy, 2), Code::MaxLeverage);
}

#[test]
fn without_equity_there_is_no_leverage_at_all() {
    let mut world = World::with(|risk| risk.limits.max_leverage = Some(ratio("3")));
    // An order at a price of zero is worth nothing.
    let free = limit(OTHER, Side::Buy, 1, "0");
    world.passes(free);
    world.lose("99999.999999999999999999");
    world.passes(free);
    world.lose("0.000000000000000001");
    world.refuses_only(free, Code::MaxLeverage);
    world.lose("1");
    world.refuses_only(free, Code::MaxLeverage);
    // Gross and leverage share one sum.
    world.account = Account::new(money("100000"), 1);
    world.settings.limits.max_gross_exposure = Some(money("300000"));
    world.passes(limit(OTHER, Side::Buy, 3_000, "100"));
    let verdict = world.refuses(limit(OTHER, Side::Buy, 3_000, "100.01"), Code::MaxGrossExposure);
    assert_eq!(verdict.broken.len(), 2);
    assert_eq!(verdict.broken[1].code, Code::MaxLeverage);
}

#[test]
fn exposure_out_of_range_overflows_and_never_wraps() {
    for set in [
        |world: &mut World| world.settings.limits.max_gross_exposure = Some(money("1")),
        |world: &mut World| world.settings.limits.max_net_exposure = Some(money("1")),
        |world: &mut World| world.settings.limits.max_leverage = Some(ratio("1")),
        |world: &mut World| world.settings.margin = true,
        |world: &mut World| world.settings.limits.max_open_orders = Some(Count(0)),
    ] {
        let mut world = World::new();
        set(&mut world);
        for book in &mut world.books {
            book.market.price = Some(Price(PRICE_MAX));
            book.spec.initial_margin = Some(Money(10_i128.pow(37)));
        }
        for side in [Side::Buy, Side::Sell] {
            let huge =
                Candidate { price: Some(Price(PRICE_MAX)), ..limit(ES, side, i64::MAX, "1") };
            // Lots that do not even add up.
            world.work(ES, side, 1, Some("1"));
            world.refuses_only(huge, Code::Overflow);
        }
    }
    // Five of the largest values there are: the sum is past what a balance may be.
    let mut world = World::with(|risk| risk.limits.max_gross_exposure = Some(Money(i128::MAX)));
    let spec = Instrument::plain("HUGE", price("1"), PRICE_SCALE, 100_000_000 * PRICE_SCALE);
    world.books = vec![InstrumentBook::new(spec); 5];
    let most = world.books[0].qty_limit;
    for book in &mut world.books {
        book.market.price = Some(Price(PRICE_MAX));
        let order = Contribution {
            side: Side::Buy,
            qty: most,
            price: Some(Price(PRICE_MAX)),
            distance: None,
        };
        book.exposure.add(order).expect("within bounds");
    }
    let last = InstrumentId(4);
    world.books[4].exposure = Exposure::default();
    world.passes(limit(last, Side::Buy, 1, "0"));
    world.refuses_only(
        Candidate { price: Some(Price(PRICE_MAX)), ..limit(last, Side::Buy, 1, "1") },
        Code::Overflow,
    );
}

// Shares of equity, by scope.

#[test]
fn a_position_may_have_a_share_of_its_own() {
    let mut world = quoted();
    world.settings.limits.max_position_pct = Some(ratio("0.5"));
    world.limits_of(OTHER).max_position_pct = Some(ratio("0.0101"));
    world.passes(market(OTHER, Side::Buy, 10));
    world.refuses_only(market(OTHER, Side::Buy, 11), Code::MaxPositionPct);
    world.limits_of(OTHER).max_position_pct = Some(ratio("0.6"));
    world.passes(limit(OTHER, Side::Buy, 500, "100"));
    world.refuses_only(limit(OTHER, Side::Buy, 500, "100.01"), Code::MaxPositionPct);
    assert_eq!(shown(&world, limit(OTHER, Side::Buy, 700, "100"), Rule::MaxPositionPct), {
        (Scope::Account, "70000".to_owned(), "50000".to_owned())
    });
    world.hold(OTHER, 700);
    world.passes(market(OTHER, Side::Sell, 700));
}

/// What the account and the other strategies hold and have at work is not the strategy's.
#[test]
fn a_strategy_is_measured_by_what_is_its_own() {
    let mine = |candidate: Candidate| Candidate { strategy: 1, ..candidate };
    let other = |candidate: Candidate| Candidate { strategy: 2, ..candidate };
    let mut world = quoted();
    world.hold(ES, 5);
    world.work(NQ, Side::Buy, 3, None);
    world.hold_as(1, ES, 2);
    world.hold_as(2, ES, 3);
    world.work_as(1, NQ, Side::Buy, 1);
    world.work_as(2, NQ, Side::Buy, 2);

    world.limits_of_strategy().max_open_orders = Some(Count(2));
    world.passes(mine(buy(1)));
    world.limits_of_strategy().max_open_orders = Some(Count(1));
    let verdict = world.refuses_only(mine(buy(1)), Code::MaxOpenOrders);
    assert_eq!(verdict.broken[0].scope, Scope::Strategy);
    world.passes(other(buy(1)));
    world.passes(buy(1));
    world.limits_of_strategy().max_open_orders = None;

    // Two held and one more, at 4000 and 50 a point; one of NQ at work, at 20000 and 20.
    let whole = money("1000000");
    for (key, code) in [
        (LimitKey::MaxGrossExposure, Code::MaxGrossExposure),
        (LimitKey::MaxNetExposure, Code::MaxNetExposure),
    ] {
        let limits = world.limits_of_strategy();
        limits.set(key, Some(whole)).expect("money");
        world.passes(mine(buy(1)));
        world.limits_of_strategy().set(key, Some(Money(whole.0 - 1))).expect("money");
        world.refuses_only(mine(buy(1)), code);
        world.passes(other(buy(1)));
        world.limits_of_strategy().set(key, None).expect("off");
    }
    // Its own share of one instrument, and nobody else's.
    world.limits_of_strategy().max_position_pct = Some(ratio("6"));
    world.passes(mine(buy(1)));
    world.limits_of_strategy().max_position_pct = Some(ratio("5.999999999"));
    world.refuses_only(mine(buy(1)), Code::MaxPositionPct);
}

/// One strategy sells what it holds, and the account, short by another's orders, is shorter for it:
/// to the account's limits it adds, to the strategy's own it is an exit.
#[test]
fn an_exit_of_a_strategy_meets_none_of_its_limits() {
    let mine = |candidate: Candidate| Candidate { strategy: 1, ..candidate };
    let mut world = quoted();
    world.hold(ES, -5);
    world.hold_as(1, ES, 5);
    world.hold_as(2, ES, -10);
    let limits = world.limits_of_strategy();
    limits.max_open_orders = Some(Count(0));
    limits.max_gross_exposure = Some(Money::ZERO);
    limits.max_net_exposure = Some(Money::ZERO);
    limits.max_position_pct = Some(ratio("0"));
    world.passes(mine(sell(5)));
    assert!(is_skipped(&world, mine(sell(5)), Rule::MaxOpenOrders));
    world.refuses(mine(sell(6)), Code::MaxOpenOrders);
    world.settings.limits.max_open_orders = Some(Count(0));
    let verdict = world.refuses_only(mine(sell(5)), Code::MaxOpenOrders);
    assert_eq!(verdict.broken[0].scope, Scope::Account);
}

// Replaces.

/// Every limit on exposure and on losses is broken, and the market is closed.
fn nothing_goes() -> World {
    let mut world = quoted();
    let limits = &mut world.settings.limits;
    limits.max_open_orders = Some(Count(0));
    limits.max_positions = Some(Count(0));
    limits.max_position_pct = Some(ratio("0"));
    limits.max_gross_exposure = Some(Money::ZERO);
    limits.max_net_exposure = Some(Money::ZERO);
    limits.max_leverage = Some(ratio("0"));
    limits.max_daily_loss_pct = Some(ratio("0"));
    limits.max_drawdown_pct = Some(ratio("0"));
    limits.max_mark_age_ms = Some(Millis(10));
    world.settings.margin = true;
    world.now = Ts(11 * MS);
    world.lose("100001");
    world.halted = Some(Code::Operator);
    world.orders_free = false;
    world.executions_free = false;
    world.books[0].spec.sessions = Some(vec![OpenInterval { open: Ts(0), close: Ts(1) }]);
    world
}

#[test]
fn a_replace_that_takes_back_passes_all_but_the_limits_on_the_order_itself() {
    let mut world = nothing_goes();
    let order = limit(ES, Side::Buy, 5, "4000");
    let before = working(&mut world, &order);
    let amend = |qty, at| instead(before, limit(ES, Side::Buy, qty, at));
    for (qty, at) in [(5, "4000"), (4, "4000"), (5, "3999.75"), (1, "1")] {
        world.passes(amend(qty, at));
    }
    world.refuses(amend(6, "4000"), Code::Halted);
    // A price that raises the worst case passes the halt, and nothing else.
    let broken = |world: &World| -> Vec<Code> {
        let verdict = world.check(amend(5, "4000.25"));
        verdict.broken.iter().map(|finding| finding.code).collect()
    };
    let mut all = vec![
        Code::MarketClosed,
        Code::StaleMark,
        Code::MaxPositions,
        Code::MaxPositionPct,
        Code::MaxGrossExposure,
        Code::MaxNetExposure,
        Code::MaxLeverage,
        Code::InsufficientMargin,
        Code::MaxDailyLoss,
        Code::MaxDrawdown,
    ];
    assert_eq!(broken(&world), all);
    world.now = Ts(10 * MS);
    all.retain(|code| *code != Code::StaleMark);
    assert_eq!(broken(&world), all);
    // What it asks for is an order like any other.
    world.settings.limits.max_order_qty = Some(units("3"));
    world.refuses_only(amend(4, "4000"), Code::MaxOrderQty);
    world.passes(amend(3, "4000"));
    world.settings.limits.max_order_notional = Some(money("400000"));
    world.passes(amend(2, "4000"));
    world.refuses_only(amend(3, "4000"), Code::MaxOrderNotional);
    world.settings.limits.price_collar_pct = Some(ratio("0.5"));
    world.passes(amend(2, "2000"));
    world.refuses_only(amend(2, "1999.75"), Code::PriceCollar);
    world.now = Ts(11 * MS);
    world.refuses_only(amend(2, "2000"), Code::StaleMark);
    world.now = Ts(10 * MS);
    world.books[0].spec.min_notional = Some(money("200000"));
    world.passes(amend(1, "4000"));
    world.refuses_only(amend(1, "3999.75"), Code::MinNotional);
}

#[test]
fn a_replace_takes_out_what_its_order_counted_for() {
    let mut world = quoted();
    world.work(OTHER, Side::Buy, 1, Some("50"));
    let before = working(&mut world, &limit(OTHER, Side::Buy, 10, "100"));
    let amend = |qty, at| instead(before, limit(OTHER, Side::Buy, qty, at));
    at_gross(&mut world, amend(12, "100"), "1250");
    at_gross(&mut world, amend(10, "110"), "1150");
    at_net(&mut world, amend(12, "100"), "1250");
    world.hold(OTHER, -4);
    at_net(&mut world, amend(12, "100"), "850");
    world.hold(OTHER, 0);
    world.settings.limits.max_position_pct = Some(ratio("0.0125"));
    world.passes(amend(12, "100"));
    world.refuses_only(amend(13, "100"), Code::MaxPositionPct);
    world.settings.limits.max_position_pct = None;
    world.settings.limits.max_leverage = Some(ratio("0.0125"));
    world.passes(amend(12, "100"));
    world.refuses_only(amend(13, "100"), Code::MaxLeverage);
    // The size of an order is its total, filled part and all.
    world.settings.limits.max_leverage = None;
    world.settings.limits.max_order_qty = Some(units("15"));
    let filled = |total| Candidate { order_qty: Qty(total), ..amend(12, "100") };
    world.passes(filled(15));
    world.refuses_only(filled(16), Code::MaxOrderQty);
    world.settings.limits.max_order_qty = None;
    world.settings.limits.max_order_notional = Some(money("1500"));
    world.passes(filled(15));
    world.refuses_only(filled(16), Code::MaxOrderNotional);
}

#[test]
fn by_risk_a_price_farther_from_the_stop_asks_for_more() {
    let mut world = quoted();
    world.settings.limits.max_position_pct = Some(ratio("0"));
    let order = Candidate { protect_px: Some(price("110")), ..limit(OTHER, Side::Sell, 2, "100") };
    let before = Contribution { distance: Some(price("10")), ..working(&mut world, &order) };
    world.books[2].exposure = Exposure::default();
    world.books[2].exposure.add(before).expect("within bounds");
    let lower = instead(before, Candidate { price: Some(price("90")), ..order });
    let same = instead(before, order);
    let market = instead(before, Candidate { ord_type: OrdType::Market, price: None, ..order });
    world.passes(lower);
    world.settings.exposure_basis = ExposureBasis::Risk;
    world.refuses_only(lower, Code::MaxPositionPct);
    world.passes(same);
    // One at the market was measured from another price: only its quantity says that it asks less.
    world.quote(OTHER, "50");
    world.passes(market);
}

#[test]
fn a_replace_counts_at_the_worse_of_its_terms_and_the_old_ones() {
    let mut world = quoted();
    let before = working(&mut world, &limit(OTHER, Side::Buy, 10, "100"));
    let amend = |qty, at| instead(before, limit(OTHER, Side::Buy, qty, at));
    // Ten may trade at 100 before the venue hears of the 50.
    at_gross(&mut world, amend(12, "50"), "1200");
    at_gross(&mut world, amend(12, "110"), "1320");
    at_net(&mut world, amend(12, "50"), "1200");
    // The size of the order itself is what it asks for.
    let mut world = quoted();
    let before = working(&mut world, &limit(OTHER, Side::Buy, 10, "100"));
    world.settings.limits.max_order_notional = Some(money("600"));
    world.passes(instead(before, limit(OTHER, Side::Buy, 12, "50")));
}

#[test]
fn by_risk_a_replace_counts_from_the_price_farther_from_the_stop() {
    let mut world = quoted();
    let order = Candidate { protect_px: Some(price("110")), ..limit(OTHER, Side::Sell, 2, "100") };
    let before = Contribution { distance: Some(price("10")), ..working(&mut world, &order) };
    world.books[2].exposure = Exposure::default();
    world.books[2].exposure.add(before).expect("within bounds");
    world.settings.exposure_basis = ExposureBasis::Risk;
    // Three at 10 from the old price, though the new one is only 5 away; equity is 100,000.
    let nearer = |qty| {
        let new = limit(OTHER, Side::Sell, qty, "105");
        instead(before, Candidate { protect_px: Some(price("110")), ..new })
    };
    world.settings.limits.max_position_pct = Some(ratio("0.0003"));
    world.passes(nearer(3));
    world.refuses_only(nearer(4), Code::MaxPositionPct);
}

#[test]
fn a_reduce_only_order_may_be_made_smaller_when_it_does_not_fit_any_more() {
    let mut world = World::new();
    let order = Candidate { reduce_only: true, ..limit(ES, Side::Sell, 5, "4600") };
    let before = working(&mut world, &order);
    world.hold(ES, 2);
    world.passes(instead(before, Candidate { order_qty: Qty(3), qty: Qty(3), ..order }));
    world.refuses_only(instead(before, Candidate { price: Some(price("4601")), ..order }), {
        Code::ReduceOnly
    });
    // So may one whose position has grown so large that both do not fit any more.
    let mut world = World::new();
    let before = working(&mut world, &buy(5));
    world.books[0].position.qty = world.books[0].qty_limit;
    world.passes(instead(before, buy(4)));
    world.refuses_only(instead(before, buy(6)), Code::Overflow);
}

// Everything against a twin that adds orders up one by one.

struct Plain {
    held: i64,
    /// Side, lots, price.
    orders: Vec<(Side, i64, Option<i64>)>,
    mark: i64,
    bid: i64,
    ask: i64,
    unit: i64,
}

impl Plain {
    fn value(&self, side: Side) -> (i128, i64) {
        let mine = self.orders.iter().filter(|(of, ..)| *of == side);
        mine.fold((0, 0), |(value, lots), (_, qty, price)| {
            let at_market = if side == Side::Buy { self.ask } else { self.bid };
            let price = i128::from(price.unwrap_or(at_market));
            (value + price * i128::from(*qty) * i128::from(self.unit), lots + qty)
        })
    }

    fn held_value(&self) -> i128 {
        i128::from(self.held) * i128::from(self.mark) * i128::from(self.unit)
    }

    fn worst(&self, side: Side) -> i128 {
        let (value, lots) = self.value(side);
        let held = self.held * side.sign();
        if held >= 0 {
            return value + self.held_value().abs();
        }
        let net = (lots + held).max(0);
        if net == 0 { 0 } else { div_half_even(value * i128::from(net), lots.into()).unwrap() }
    }
}

#[test]
fn random_books_agree_with_a_twin() {
    let mut judged = 0;
    for seed in runs(2_000) {
        let mut random = Random::new(seed);
        let mut world = World::new();
        let mut twins = Vec::new();
        for book in &mut world.books {
            let mark = (90 + random.range(20)) * PRICE_SCALE;
            let (bid, ask) = (mark - random.range(3) * PRICE_SCALE, mark + PRICE_SCALE);
            book.market.price = Some(Price(mark));
            (book.market.bid, book.market.ask) = (Some(Price(bid)), Some(Price(ask)));
            let held = if random.below(2) == 0 { 0 } else { random.range(41) - 20 };
            let position = Position::held(Qty(held), Price(mark), book.lot_value, book.qty_limit);
            book.position = position.expect("within bounds");
            let mut twin = Plain { held, orders: Vec::new(), mark, bid, ask, unit: book.lot_value };
            for _ in 0..random.below(4) {
                let side = random.pick(&[Side::Buy, Side::Sell]);
                let qty = 1 + random.range(15);
                let own = (random.below(3) > 0).then(|| (80 + random.range(40)) * PRICE_SCALE);
                let price = own.map(Price);
                let order = Contribution { side, qty: Qty(qty), price, distance: None };
                book.exposure.add(order).expect("within bounds");
                twin.orders.push((side, qty, own));
            }
            twins.push(twin);
        }
        let instrument = random.pick(&[ES, NQ, OTHER]);
        let (side, qty) = (random.pick(&[Side::Buy, Side::Sell]), 1 + random.range(30));
        let order = limit(instrument, side, qty, "105");
        twins[instrument.index()].orders.push((side, qty, Some(105 * PRICE_SCALE)));
        let own = &twins[instrument.index()];
        if own.held * side.sign() < 0 && own.value(side).1 <= own.held.abs() {
            world.settings.limits.max_gross_exposure = Some(Money::ZERO);
            world.passes(order);
            continue;
        }
        judged += 1;
        let gross = Money(twins.iter().map(|t| t.worst(Side::Buy).max(t.worst(Side::Sell))).sum());
        let of_net =
            |twin: &Plain| twin.held_value() * i128::from(side.sign()) + twin.value(side).0;
        let net = Money(twins.iter().map(of_net).sum::<i128>().max(0));
        let orders: usize = twins.iter().map(|twin| twin.orders.len()).sum();
        let limits = &mut world.settings.limits;
        limits.max_gross_exposure = Some(gross);
        limits.max_net_exposure = Some(net);
        limits.max_open_orders = Some(Count(u32::try_from(orders).unwrap()));
        world.passes(order);
        world.settings.limits.max_gross_exposure = Some(less(gross));
        world.refuses_only(order, Code::MaxGrossExposure);
        world.settings.limits.max_gross_exposure = None;
        if net > Money::ZERO {
            world.settings.limits.max_net_exposure = Some(less(net));
            world.refuses_only(order, Code::MaxNetExposure);
            world.settings.limits.max_net_exposure = None;
        }
        world.settings.limits.max_open_orders = Some(Count(u32::try_from(orders - 1).unwrap()));
        world.refuses_only(order, Code::MaxOpenOrders);
    }
    assert!(judged > 0);
}
