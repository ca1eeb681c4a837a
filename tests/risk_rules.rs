//! Every rule at its limit, where it passes, and one unit above, where it breaks.

#[path = "common/exact.rs"]
mod exact;
#[path = "common/world.rs"]
mod world;

use exact::{Random, int, seed_and_runs};
use num_bigint::BigInt;
use trade_engine::code::Code;
use trade_engine::instrument::{Instrument, OpenInterval};
use trade_engine::limits::{MONEY_SCALE, PRICE_MAX, PRICE_SCALE, QTY_MAX, RATE_MAX};
use trade_engine::order::{Contribution, OrdType, Tif};
use trade_engine::risk::throttle::Sender;
use trade_engine::risk::{
    Candidate, Correlations, InstrumentBook, Outcome, RULES, Rule, Terms, Wish, size, validate,
};
use trade_engine::settings::{
    CorrelationAction, Count, ExposureBasis, LimitKey, Limits, RiskSettings, Scope, Sizing,
};
use trade_engine::units::{Money, Price, Qty, Ratio, Side, Ts};
use world::{
    ES, NQ, OTHER, World, buy, limit, market, money, numbers, outcome, price, ratio, sell, shown,
    units,
};

#[test]
fn five_percent_of_a_hundred_thousand_is_less_than_one_es() {
    let mut world = World::with(|risk| risk.limits.max_position_pct = Some(ratio("0.05")));
    let verdict = world.refuses(buy(1), Code::MaxPositionPct);
    assert_eq!(numbers(&verdict), ("226062.5".to_owned(), "5000".to_owned()));

    world.settings.exposure_basis = ExposureBasis::Margin;
    let verdict = world.refuses(buy(1), Code::MaxPositionPct);
    assert_eq!(numbers(&verdict), ("12650".to_owned(), "5000".to_owned()));
    let mut held = world.clone();
    held.hold(ES, 2);
    assert_eq!(numbers(&held.refuses(buy(1), Code::MaxPositionPct)).0, "37950");
    held.hold(ES, -2);
    assert_eq!(numbers(&held.refuses(buy(3), Code::MaxPositionPct)).0, "12650");

    world.settings.exposure_basis = ExposureBasis::Price;
    let verdict = world.passes(buy(1));
    let tightest = verdict.tightest.expect("measured");
    assert_eq!(tightest.code, Code::MaxPositionPct);
    assert_eq!((tightest.number.to_string(), tightest.limit.to_string()), {
        ("4521.25".to_owned(), "5000".to_owned())
    });
    world.refuses(buy(2), Code::MaxPositionPct);
}

#[test]
fn the_position_limit_is_exact() {
    // 226,062.50 of 100,000 is 2.260625.
    let mut world = World::with(|risk| risk.limits.max_position_pct = Some(ratio("2.260625")));
    world.passes(buy(1));
    world.passes(sell(1));
    world.settings.limits.max_position_pct = Some(ratio("2.260624999"));
    world.refuses(buy(1), Code::MaxPositionPct);
    world.settings.limits.max_position_pct = Some(ratio("2.260625"));
    world.lose("0.000000000000000001");
    world.refuses(buy(1), Code::MaxPositionPct);
}

#[test]
fn the_position_limit_takes_the_worst_case_of_the_side() {
    // One by position, one working at its own price, one at the ask.
    let mut world = World::new();
    world.hold(ES, 1);
    world.books[0].market.ask = Some(price("4521.5"));
    world.books[0].market.bid = Some(price("4521"));
    world.work(ES, Side::Buy, 1, Some("4500"));
    // The other side does not count.
    world.work(ES, Side::Sell, 7, Some("4600"));
    // (4521.25 + 4500 + 4521.5) x 50 = 677,137.50.
    world.settings.limits.max_position_pct = Some(ratio("6.771375"));
    world.passes(buy(1));
    world.settings.limits.max_position_pct = Some(ratio("6.771374999"));
    let verdict = world.refuses(buy(1), Code::MaxPositionPct);
    assert_eq!(numbers(&verdict).0, "677137.5");

    // From long one, a sale of three may leave two short, at the bid.
    let mut world = World::new();
    world.hold(ES, 1);
    world.books[0].market.bid = Some(price("4521"));
    world.settings.limits.max_position_pct = Some(ratio("4.521"));
    world.passes(sell(3));
    world.settings.limits.max_position_pct = Some(ratio("4.520999999"));
    world.refuses(sell(3), Code::MaxPositionPct);
}

#[test]
fn by_risk_an_order_counts_the_distance_to_its_stop() {
    let mut world = World::with(|risk| {
        risk.limits.max_position_pct = Some(ratio("0.01"));
        risk.exposure_basis = ExposureBasis::Risk;
    });
    // 20 points x 50 = 1,000 = 1 %.
    let protected = Candidate { protect_px: Some(price("4501.25")), ..buy(1) };
    world.passes(protected);
    world.refuses(Candidate { protect_px: Some(price("4501.00")), ..buy(1) }, Code::MaxPositionPct);
    world.refuses(buy(1), Code::NoMark);
    // A position without a stop cannot be measured; with one it counts from the mark.
    world.hold(ES, 1);
    world.refuses(protected, Code::NoMark);
    world.books[0].protect_px = Some(price("4511.25"));
    world.refuses(protected, Code::MaxPositionPct);
    world.passes(Candidate { protect_px: Some(price("4511.25")), ..buy(1) });
}

#[test]
fn what_has_no_margin_counts_in_full_by_margin() {
    let mut world = World::with(|risk| {
        risk.limits.max_position_pct = Some(ratio("0.05"));
        risk.exposure_basis = ExposureBasis::Margin;
    });
    world.passes(limit(OTHER, Side::Buy, 50, "100"));
    world.refuses(limit(OTHER, Side::Buy, 50, "100.01"), Code::MaxPositionPct);
    world.refuses(market(OTHER, Side::Buy, 1), Code::NoMark);
    world.books[2].market.price = Some(price("5000"));
    world.passes(market(OTHER, Side::Buy, 1));
}

#[test]
fn a_mark_is_needed_only_where_a_limit_asks_for_a_price() {
    let mut world = World::new();
    let nq = market(NQ, Side::Buy, 1);
    world.passes(nq);
    world.settings.margin = true;
    world.settings.limits.max_drawdown_pct = Some(ratio("0.1"));
    world.settings.limits.max_positions = Some(Count(3));
    world.passes(nq);
    world.settings.limits.max_position_pct = Some(ratio("10"));
    world.refuses(nq, Code::NoMark);
    world.passes(limit(NQ, Side::Buy, 1, "20000"));
    // A working market order, or a position, cannot be valued either.
    let mut working = world.clone();
    working.work(NQ, Side::Buy, 1, None);
    working.refuses(limit(NQ, Side::Buy, 1, "20000"), Code::NoMark);
    world.hold(NQ, 1);
    world.refuses(limit(NQ, Side::Buy, 1, "20000"), Code::NoMark);
    // An exit needs none.
    world.passes(market(NQ, Side::Sell, 1));
    let verdict = world.check(market(NQ, Side::Sell, 1));
    assert_eq!(verdict.ran & Rule::NoMark.bit(), 0);
}

#[test]
fn exits_pass_and_two_of_them_cannot_overshoot() {
    let mut world = World::with(|risk| {
        risk.limits.max_position_pct = Some(ratio("0"));
        risk.limits.max_positions = Some(Count(0));
        risk.limits.max_daily_loss_pct = Some(ratio("0"));
        risk.limits.max_drawdown_pct = Some(ratio("0"));
        risk.margin = true;
    });
    world.halted = Some(Code::Operator);
    world.hold(ES, 3);
    world.lose("99999");
    world.passes(sell(3));
    world.refuses(sell(4), Code::Halted);
    world.refuses(buy(1), Code::Halted);
    // A working exit takes its part of the position.
    world.work(ES, Side::Sell, 2, Some("4600"));
    world.passes(sell(1));
    world.refuses(sell(2), Code::Halted);
    // Working buys do not make room for more sales.
    world.work(ES, Side::Buy, 5, Some("4500"));
    world.refuses(sell(2), Code::Halted);
    // A short is closed by a buy.
    world.hold(NQ, -1);
    world.passes(market(NQ, Side::Buy, 1));
    world.refuses(market(NQ, Side::Buy, 2), Code::Halted);
}

#[test]
fn a_reduce_only_order_must_fit() {
    let mut world = World::new();
    let reduce = |candidate: Candidate| Candidate { reduce_only: true, ..candidate };
    world.refuses(reduce(sell(1)), Code::ReduceOnly);
    world.hold(ES, 2);
    world.passes(reduce(sell(2)));
    world.refuses(reduce(sell(3)), Code::ReduceOnly);
    world.refuses(reduce(buy(1)), Code::ReduceOnly);
    world.work(ES, Side::Sell, 1, None);
    world.refuses(reduce(sell(2)), Code::ReduceOnly);
    world.passes(reduce(sell(1)));
}

#[test]
fn a_replace_stands_in_for_its_order() {
    let mut world = World::new();
    world.hold(ES, 2);
    world.work(ES, Side::Sell, 2, Some("4600"));
    let before =
        Contribution { side: Side::Sell, qty: Qty(2), price: Some(price("4600")), distance: None };
    let replace = |qty| Candidate {
        instead_of: Some(before),
        reduce_only: true,
        ..limit(ES, Side::Sell, qty, "4590")
    };
    world.passes(replace(2));
    world.refuses(replace(3), Code::ReduceOnly);
    // While halted it may not raise the open quantity; it needs no room of its own.
    let mut world = World::new();
    world.halted = Some(Code::Operator);
    world.orders_free = false;
    world.work(ES, Side::Sell, 2, Some("4600"));
    let amend = |qty| Candidate { reduce_only: false, ..replace(qty) };
    world.passes(amend(2));
    world.passes(amend(1));
    world.refuses(amend(3), Code::Halted);
}

#[test]
fn positions_are_counted_with_what_may_become_one() {
    let mut world = World::with(|risk| risk.limits.max_positions = Some(Count(2)));
    world.hold(NQ, -1);
    let verdict = world.passes(buy(1));
    assert_eq!(verdict.tightest.map(|t| t.number.to_string()), Some("2".to_owned()));
    world.work(OTHER, Side::Buy, 1, None);
    world.refuses(buy(1), Code::MaxPositions);
    world.passes(market(NQ, Side::Sell, 1));
}

#[test]
fn margin_is_of_the_worst_case_of_every_instrument() {
    let mut world = World::with(|risk| risk.margin = true);
    // 7 x 12,650 = 88,550; 8 x = 101,200.
    world.passes(buy(7));
    world.refuses(buy(8), Code::InsufficientMargin);
    // Working orders of both sides: the larger worst case counts, not the sum.
    world.work(ES, Side::Sell, 6, Some("4600"));
    world.passes(buy(7));
    world.refuses(sell(2), Code::InsufficientMargin);
    world.passes(sell(1));
    // Others count: 1 x 18,700 + 6 x 12,650 = 94,600; with 7 it is 107,250.
    world.hold(NQ, -1);
    world.passes(buy(6));
    let verdict = world.refuses(buy(7), Code::InsufficientMargin);
    assert_eq!(numbers(&verdict), ("107250".to_owned(), "100000".to_owned()));
    // To the last unit of equity.
    world.lose("5400");
    world.passes(buy(6));
    world.lose("0.000000000000000001");
    world.refuses(buy(6), Code::InsufficientMargin);
    // What has no margin is not checked for it.
    world.passes(limit(OTHER, Side::Buy, 1_000_000, "100"));
}

#[test]
fn margin_counts_what_is_held_for_one_side_and_against_the_other() {
    // Seven lots of 12,650 are 88,550, and eight are too many.
    for (held, [buys, sells]) in [(3, [4, 10]), (-3, [10, 4])] {
        let mut world = World::with(|risk| risk.margin = true);
        world.hold(ES, held);
        world.passes(buy(buys));
        world.refuses(buy(buys + 1), Code::InsufficientMargin);
        world.passes(sell(sells));
        world.refuses(sell(sells + 1), Code::InsufficientMargin);
    }
}

#[test]
fn the_days_loss_and_the_drawdown_are_exact() {
    let mut world = World::with(|risk| risk.limits.max_daily_loss_pct = Some(ratio("0.03")));
    world.lose("3000");
    world.passes(buy(1));
    world.lose("0.000000000000000001");
    let verdict = world.refuses(buy(1), Code::MaxDailyLoss);
    assert_eq!(numbers(&verdict), ("3000".to_owned(), "3000".to_owned()));
    world.account.roll_day();
    world.passes(buy(1));

    let mut world = World::with(|risk| risk.limits.max_drawdown_pct = Some(ratio("0.1")));
    world.gain(money("10000"));
    world.account.note_peak();
    world.lose("11000");
    world.passes(buy(1));
    world.lose("0.000000000000000001");
    world.refuses(buy(1), Code::MaxDrawdown);
    world.account.restart_peak();
    world.passes(buy(1));
}

#[test]
fn halts_hours_and_room() {
    let mut world = World::new();
    world.halted = Some(Code::MaxDrawdown);
    world.refuses(buy(1), Code::Halted);
    world.halted = None;
    world.books[0].spec.sessions = Some(vec![OpenInterval { open: Ts(10), close: Ts(20) }]);
    for (now, open) in [(9, false), (10, true), (19, true), (20, false)] {
        world.now = Ts(now);
        let reason = world.check(buy(1)).reason();
        assert_eq!(reason, if open { None } else { Some(Code::MarketClosed) });
    }
    // An exit is not above the market's hours.
    world.hold(ES, 1);
    world.refuses(sell(1), Code::MarketClosed);
    world.now = Ts(10);
    world.orders_free = false;
    world.refuses(sell(1), Code::Capacity);
    world.orders_free = true;
    world.executions_free = false;
    world.refuses(buy(1), Code::Capacity);
}

#[test]
fn the_instruments_own_value_bounds() {
    let mut world = World::new();
    world.books[2].spec.min_notional = Some(money("10"));
    world.books[2].spec.max_notional = Some(money("1000"));
    let order = |qty, at| limit(OTHER, Side::Buy, qty, at);
    world.passes(order(10, "1"));
    world.refuses(order(9, "1.11"), Code::MinNotional);
    world.passes(order(1_000, "1"));
    world.refuses(order(1_000, "1.01"), Code::MaxNotional);
    world.refuses(market(OTHER, Side::Buy, 10), Code::NoMark);
    // A value at its lower bound is not what is called tight.
    let verdict = world.passes(order(10, "1"));
    assert_eq!(verdict.tightest.map(|t| t.code), Some(Code::MaxNotional));
}

#[test]
fn a_figure_out_of_range_is_refused_last() {
    let mut world = World::with(|risk| risk.limits.max_position_pct = Some(ratio("10")));
    let limit_qty = world.books[0].qty_limit.0;
    world.refuses(buy(limit_qty + 1), Code::MaxPositionPct);
    world.refuses(buy(i64::MAX), Code::Overflow);
    world.settings = RiskSettings::OFF;
    world.passes(buy(limit_qty));
    world.refuses(buy(limit_qty + 1), Code::Overflow);
    world.work(ES, Side::Buy, 1, None);
    world.refuses(buy(limit_qty), Code::Overflow);
    world.refuses(buy(i64::MAX), Code::Overflow);
    world.halted = Some(Code::Operator);
    world.refuses(buy(i64::MAX), Code::Halted);
}

/// A rule that answers yes or no shows no figures.
#[test]
fn a_rule_without_a_number_breaks_with_none() {
    let mut world = World::new();
    assert_eq!(outcome(&world, buy(1), Rule::Halted), Outcome::Passed);
    world.halted = Some(Code::Operator);
    let nothing = ("0".to_owned(), "0".to_owned());
    assert_eq!(numbers(&world.refuses_only(buy(1), Code::Halted)), nothing);
    let (scope, number, limit) = shown(&world, buy(1), Rule::Halted);
    assert_eq!((scope, (number, limit)), (Scope::Account, nothing));
}

/// ES and NQ move together, or apart.
fn moving(together: bool, action: CorrelationAction) -> World {
    let mut world = World::with(|risk| {
        risk.limits.max_correlation = Some(ratio("0.8"));
        risk.correlation_action = action;
    });
    world.correlations = Correlations::new(3, 4);
    for (at, close) in [100, 120, 90, 110].into_iter().enumerate() {
        let opened = Ts(i64::try_from(at).unwrap());
        let other = if together { close * 2 } else { 250 - close };
        world.correlations.on_bar(ES, opened, Price(close * PRICE_SCALE));
        world.correlations.on_bar(NQ, opened, Price(other * PRICE_SCALE));
    }
    world
}

#[test]
fn correlation_is_signed_by_direction() {
    for together in [true, false] {
        let mut world = moving(together, CorrelationAction::Refuse);
        let (like, unlike) = if together { (buy(1), sell(1)) } else { (sell(1), buy(1)) };
        world.passes(like);
        world.hold(NQ, 1);
        world.refuses(like, Code::MaxCorrelation);
        world.passes(unlike);
        world.hold(NQ, -1);
        world.refuses(unlike, Code::MaxCorrelation);
        world.passes(like);
        // An order that may open counts, too.
        world.hold(NQ, 0);
        world.work(NQ, Side::Buy, 1, None);
        world.refuses(like, Code::MaxCorrelation);
        world.passes(unlike);
        // An exit passes.
        world.hold(ES, -like.side.sign());
        world.passes(like);
    }
}

/// Up and down by a tenth in ES, twice up and twice down in NQ: the products cancel out.
#[test]
fn what_moves_neither_with_nor_against_it_is_not_alike() {
    let mut world = moving(true, CorrelationAction::Refuse);
    world.settings.limits.max_correlation = Some(Ratio(0));
    world.correlations = Correlations::new(3, 5);
    let closes = [(10_000, 10_000), (11_000, 11_000), (9_900, 12_100), (10_890, 10_890)];
    for (at, (es, nq)) in (0..).zip(closes.into_iter().chain([(9_801, 9_801)])) {
        world.correlations.on_bar(ES, Ts(at), Price(es * PRICE_SCALE));
        world.correlations.on_bar(NQ, Ts(at), Price(nq * PRICE_SCALE));
    }
    assert_eq!(world.correlations.get(ES, NQ), Some(Ratio(0)));
    for held in [1, -1] {
        world.hold(NQ, held);
        for order in [buy(1), sell(1)] {
            world.passes(order);
            assert_eq!(outcome(&world, order, Rule::MaxCorrelation), Outcome::Passed);
        }
    }
}

#[test]
fn correlation_warns_or_refuses_above_its_limit() {
    let mut world = moving(true, CorrelationAction::Warn);
    world.hold(NQ, 1);
    let verdict = world.passes(buy(1));
    assert_eq!(verdict.warnings.len(), 1);
    assert_eq!((verdict.warnings[0].other, verdict.warnings[0].correlation), (NQ, Ratio::ONE));
    assert!(world.passes(sell(1)).warnings.is_empty());
    // Equal passes: nothing is above one.
    world.settings.limits.max_correlation = Some(Ratio::ONE);
    assert!(world.passes(buy(1)).warnings.is_empty());
    world.settings.correlation_action = CorrelationAction::Refuse;
    world.passes(buy(1));
    world.settings.limits.max_correlation = Some(Ratio(Ratio::ONE.0 - 1));
    let verdict = world.refuses(buy(1), Code::MaxCorrelation);
    assert_eq!(numbers(&verdict), ("1".to_owned(), "0.999999999".to_owned()));
}

/// Where more was sent than can be counted, every rate that is limited is passed.
#[test]
fn a_blind_count_is_past_every_rate() {
    let mut world = World::with(|risk| risk.limits.max_orders_per_second = Some(Count(u32::MAX)));
    let sender = Sender { instrument: NQ, strategy: 0 };
    for _ in 0..RATE_MAX - 1 {
        world.controls.rates.note(Ts(0), sender, true);
    }
    // A limit that is larger than what can be counted is as large as that.
    let verdict = world.passes(buy(1));
    let tightest = verdict.tightest.expect("measured");
    assert_eq!((tightest.number.to_string(), tightest.limit.to_string()), {
        ("10000".to_owned(), "10000".to_owned())
    });
    world.controls.rates.note(Ts(0), sender, false);
    world.passes(buy(1));
    world.controls.rates.note(Ts(0), sender, false);
    let verdict = world.refuses(buy(1), Code::OrderRate);
    assert_eq!(numbers(&verdict), ("10001".to_owned(), "10000".to_owned()));
    world.settings.limits.max_orders_per_second = None;
    world.passes(buy(1));
    // Of an instrument that has sent nothing, nobody knows either.
    world.settings.symbols =
        vec![Limits { max_messages_per_second: Some(Count(5)), ..Limits::OFF }];
    world.refuses(buy(1), Code::MessageRate);
    world.passes(market(NQ, Side::Buy, 1));
}

#[test]
fn the_tightest_rule_is_the_nearest_to_its_limit() {
    let mut world = World::with(|risk| {
        risk.margin = true;
        risk.limits.max_position_pct = Some(ratio("3"));
        risk.limits.max_positions = Some(Count(4));
    });
    // Position 226,062.5 of 300,000; margin 12,650 of 100,000; positions 1 of 4.
    let verdict = world.passes(buy(1));
    assert_eq!(verdict.tightest.map(|t| t.code), Some(Code::MaxPositionPct));
    world.settings.limits.max_positions = Some(Count(1));
    let verdict = world.passes(buy(1));
    assert_eq!(verdict.tightest.map(|t| t.code), Some(Code::MaxPositions));
    world.settings = RiskSettings::OFF;
    assert_eq!(world.passes(buy(1)).tightest, None);
}

#[test]
fn every_rule_says_that_it_ran() {
    let off = World::new().passes(buy(1)).ran;
    let always =
        [Rule::Halted, Rule::InstrumentHalted, Rule::MarketClosed, Rule::Capacity, Rule::Overflow];
    assert_eq!(off, always.iter().map(|rule| rule.bit()).sum::<u32>());
    // With every limit on, all that measure.
    let mut world = World::with(|risk| {
        let limits = &mut risk.limits;
        for key in LimitKey::ALL {
            limits.set(*key, Some(Money(1_000 * MONEY_SCALE))).expect("a thousand of each fits");
        }
        risk.margin = true;
        risk.correlation_action = CorrelationAction::Refuse;
    });
    world.books[0].spec.min_notional = Some(Money::ZERO);
    world.books[0].spec.max_notional = Some(money("1000000"));
    world.settings.self_match = true;
    let order = Candidate { reduce_only: true, ..buy(1) };
    let on = world.check(order).ran;
    // Nothing is in another currency here, and sizing is no rule of the table.
    let others = [Rule::NoRate, Rule::ZeroSize];
    let ran = Rule::ALL.iter().filter(|rule| !others.contains(rule));
    assert_eq!(on, ran.map(|rule| rule.bit()).sum::<u32>());
    assert_eq!(Rule::ALL.len(), RULES);
    assert_eq!(Rule::ALL.iter().map(|rule| rule.code() as u8).min(), Some(Code::Halted as u8));
    assert_eq!(Rule::Overflow.code(), Code::Overflow);
}

fn terms() -> Terms {
    Terms {
        ord_type: OrdType::StopLimit,
        tif: Tif::Day,
        qty: Qty(1),
        price: Some(price("4521.25")),
        stop_price: Some(price("4520")),
        expire_at: None,
        defect: None,
    }
}

#[test]
fn validation_names_the_first_fault() {
    let mut book = World::new().books.remove(0);
    book.spec.min_qty = Some(Qty(2));
    book.spec.max_qty = Some(Qty(9));
    let good = Terms { qty: Qty(2), ..terms() };
    let off = Some(price("4521.3"));
    let cases = [
        (good, None),
        (Terms { qty: Qty(9), ..good }, None),
        (Terms { qty: Qty(0), ..good }, Some(Code::BadQty)),
        (Terms { qty: Qty(-1), price: None, ..good }, Some(Code::BadQty)),
        (Terms { price: None, ..good }, Some(Code::BadPrice)),
        (Terms { stop_price: None, ..good }, Some(Code::BadPrice)),
        (Terms { stop_price: None, ord_type: OrdType::Limit, ..good }, None),
        (Terms { price: None, stop_price: None, ord_type: OrdType::Market, ..good }, None),
        (Terms { price: Some(Price(PRICE_MAX)), ..good }, None),
        (Terms { price: Some(Price(PRICE_MAX + 250_000_000)), ..good }, Some(Code::BadPrice)),
        (Terms { price: Some(Price(i64::MIN)), ..good }, Some(Code::BadPrice)),
        (Terms { price: off, ..good }, Some(Code::OffTick)),
        (Terms { stop_price: off, ..good }, Some(Code::OffTick)),
        (Terms { price: off, ord_type: OrdType::Market, ..good }, None),
        (Terms { qty: Qty(1), ..good }, Some(Code::MinQty)),
        (Terms { qty: Qty(10), ..good }, Some(Code::MaxQty)),
        (Terms { price: Some(price("0")), ..good }, Some(Code::NegativePrice)),
        (Terms { tif: Tif::Gtd, ..good }, Some(Code::ExpiredOnEntry)),
        (Terms { tif: Tif::Gtd, expire_at: Some(Ts(5)), ..good }, Some(Code::ExpiredOnEntry)),
        (Terms { tif: Tif::Gtd, expire_at: Some(Ts(6)), ..good }, None),
        // What the edge found takes its place in the order.
        (Terms { defect: Some(Code::OffLot), ..good }, Some(Code::OffLot)),
        (Terms { defect: Some(Code::OffLot), qty: Qty(0), ..good }, Some(Code::OffLot)),
        (Terms { defect: Some(Code::OffLot), price: None, ..good }, Some(Code::BadPrice)),
        (Terms { defect: Some(Code::OffLot), price: off, ..good }, Some(Code::OffLot)),
        (Terms { defect: Some(Code::OffTick), price: None, ..good }, Some(Code::OffTick)),
        (Terms { defect: Some(Code::OffTick), qty: Qty(0), ..good }, Some(Code::BadQty)),
        (Terms { defect: Some(Code::Overflow), qty: Qty(1), ..good }, Some(Code::MinQty)),
    ];
    for (terms, expected) in cases {
        assert_eq!(validate(Some(&book), Ts(5), &terms).err(), expected, "{terms:?}");
    }
    let nobody = validate(None, Ts(5), &Terms { qty: Qty(0), ..good });
    assert_eq!(nobody, Err(Code::UnknownSymbol));
    book.spec.negative_prices = true;
    let below = Terms { price: Some(price("-37.5")), stop_price: Some(price("0")), ..good };
    assert_eq!(validate(Some(&book), Ts(5), &below), Ok(()));
}

fn sized(world: &World, wish: Wish) -> Result<i64, Code> {
    size(&world.view(), &wish).map(|qty| qty.0)
}

fn wish() -> Wish {
    Wish {
        instrument: ES,
        side: Side::Buy,
        strength: Ratio::ONE,
        price: Some(price("4000")),
        stop: None,
        qty: None,
    }
}

#[test]
fn sizing_by_notional_and_by_margin() {
    let mut world = World::with(|risk| {
        risk.sizing = Sizing::PercentEquity;
        risk.sizing_pct = ratio("4");
    });
    // 400,000 buys exactly two at 4,000; a unit less buys one.
    assert_eq!(sized(&world, wish()), Ok(2));
    let dearer = Wish { price: Some(price("4000.000000001")), ..wish() };
    assert_eq!(sized(&world, dearer), Ok(1));
    assert_eq!(sized(&world, Wish { price: Some(price("-4000")), ..wish() }), Ok(2));
    assert_eq!(sized(&world, Wish { strength: ratio("0.5"), ..wish() }), Ok(1));
    assert_eq!(sized(&world, Wish { strength: ratio("0.499999999"), ..wish() }), {
        Err(Code::ZeroSize)
    });
    assert_eq!(sized(&world, Wish { strength: ratio("7"), ..wish() }), Ok(2));
    assert_eq!(sized(&world, Wish { strength: ratio("-1"), ..wish() }), Err(Code::ZeroSize));
    assert_eq!(sized(&world, Wish { price: None, ..wish() }), Err(Code::NoMark));
    assert_eq!(sized(&world, Wish { price: Some(Price(0)), ..wish() }), Err(Code::BadPrice));
    // A quantity is for exact sizing only.
    assert_eq!(sized(&world, Wish { qty: Some(Qty(9)), ..wish() }), Ok(2));
    world.settings.sizing_max_qty = "1.9".parse().ok();
    assert_eq!(sized(&world, wish()), Ok(1));
    world.settings.sizing_max_qty = None;

    // The half of a dollar that is left of the equity is divided, too.
    let mut poor = world.clone();
    poor.settings.sizing_pct = Ratio::ONE;
    poor.lose("99999.5");
    let share = |at| Wish { instrument: OTHER, price: Some(price(at)), ..wish() };
    assert_eq!(sized(&poor, share("0.1")), Ok(5));
    assert_eq!(sized(&poor, share("0.100000001")), Ok(4));
    assert_eq!(sized(&poor, share("0.5")), Ok(1));

    world.settings.sizing = Sizing::PercentMargin;
    world.settings.sizing_pct = ratio("0.253");
    assert_eq!(sized(&world, wish()), Ok(2));
    world.settings.sizing_pct = ratio("0.252999999");
    assert_eq!(sized(&world, Wish { price: None, ..wish() }), Ok(1));
    assert_eq!(sized(&world, Wish { instrument: OTHER, ..wish() }), Err(Code::ZeroSize));
    let mut free = world.clone();
    free.books[0].spec.initial_margin = Some(Money::ZERO);
    assert_eq!(sized(&free, wish()), Err(Code::ZeroSize));
    world.lose("100000");
    assert_eq!(sized(&world, wish()), Err(Code::ZeroSize));
    world.lose("1");
    assert_eq!(sized(&world, wish()), Err(Code::ZeroSize));
}

/// The whole chain in exact rationals: equity x share x strength / a lot's worth, cut once.
#[test]
fn sizes_are_those_of_exact_arithmetic() {
    let (seed, runs) = seed_and_runs("risk_rules", 2_000);
    let mut random = Random(seed);
    let mut sizes = 0;
    for _ in 0..runs {
        let mut world = World::with(|risk| {
            risk.sizing =
                random.pick(&[Sizing::PercentEquity, Sizing::PercentMargin, Sizing::FixedRisk]);
            risk.sizing_pct = Ratio(random.between(1, 20 * Ratio::ONE.0));
        });
        let cash = i128::from(random.between(0, i64::MAX)) * i128::from(random.between(1, 9_999));
        world.gain(Money(cash));
        let margin = i128::from(random.between(1, i64::MAX)) * i128::from(random.between(1, 999));
        world.books[0].spec.initial_margin = Some(Money(margin));
        let at = Price(random.between(1, 10_000 * PRICE_SCALE));
        let below = Price(at.0 - random.between(1, 100 * PRICE_SCALE));
        let strength = Ratio(random.between(0, Ratio::ONE.0));
        let found =
            size(&world.view(), &Wish { strength, price: Some(at), stop: Some(below), ..wish() });
        let (per_lot, strength) = match world.settings.sizing {
            Sizing::PercentMargin => (int(margin), strength),
            Sizing::FixedRisk => {
                (int(i128::from(at.0 - below.0) * i128::from(world.books[0].lot_value)), Ratio::ONE)
            }
            Sizing::PercentEquity | Sizing::VolatilityTarget | Sizing::Exact => {
                (int(i128::from(at.0) * i128::from(world.books[0].lot_value)), strength)
            }
        };
        let share = int(world.settings.sizing_pct.0) * int(strength.0);
        let one = int(i128::from(PRICE_SCALE) * i128::from(PRICE_SCALE));
        let lots = int(world.account.equity().0) * share / one / per_lot;
        let lots = lots.floor().to_integer();
        match found {
            Ok(qty) => assert_eq!(BigInt::from(qty.0), lots),
            Err(Code::ZeroSize) => assert_eq!(BigInt::from(0), lots),
            Err(Code::Overflow) => assert!(lots > BigInt::from(QTY_MAX)),
            Err(code) => panic!("{code:?}"),
        }
        sizes += u64::from(found.is_ok());
    }
    println!("{sizes} sizes");
    assert!(runs < 2_000 || sizes >= runs / 2);
}

/// ES at closes whose returns are +1 %, -1 %, +1 %, -1 %, as near as they can be.
fn swinging(window: usize) -> Correlations {
    let mut correlations = Correlations::new(1, window);
    for (at, close) in ["100", "101", "99.99", "100.9899", "99.980001"].into_iter().enumerate() {
        correlations.on_bar(ES, Ts(i64::try_from(at).unwrap()), price(close));
    }
    correlations
}

#[test]
fn sizing_by_volatility() {
    let mut world = World::with(|risk| {
        risk.sizing = Sizing::VolatilityTarget;
        risk.sizing_pct = ratio("0.04");
    });
    assert_eq!(sized(&world, wish()), Err(Code::ZeroSize), "no bars");
    // Two returns, -1 % and +1 %: sqrt(2 / 1) % = 0.0141421356..., up.
    world.correlations = swinging(3);
    let deviation = world.correlations.deviation(ES).expect("there are bars");
    assert_eq!(deviation.to_string(), "0.014142135623731");
    // 4,000 / (0.014142135623731 x 4,000 x 50) = 1.41..., of which one is whole.
    assert_eq!(sized(&world, wish()), Ok(1));
    assert_eq!(sized(&world, Wish { side: Side::Sell, ..wish() }), Ok(1));
    // Ten lots move 28,284.271247462.
    let ten = |pct: &str| {
        let mut world = world.clone();
        world.settings.sizing_pct = ratio(pct);
        sized(&world, wish())
    };
    assert_eq!(ten("0.282842713"), Ok(10));
    assert_eq!(ten("0.282842712"), Ok(9));
    let half = Wish { strength: ratio("0.5"), ..wish() };
    world.settings.sizing_pct = ratio("0.565685426");
    assert_eq!(sized(&world, half), Ok(10));
    world.settings.sizing_pct = ratio("0.565685424");
    assert_eq!(sized(&world, half), Ok(9));
    // By the size of the price; without one there is no size, and of nothing there is no end.
    assert_eq!(sized(&world, Wish { price: Some(price("-4000")), ..half }), Ok(9));
    assert_eq!(sized(&world, Wish { price: None, ..wish() }), Err(Code::NoMark));
    assert_eq!(sized(&world, Wish { price: Some(Price(0)), ..wish() }), Err(Code::BadPrice));
    world.settings.sizing_max_qty = Some(units("4"));
    assert_eq!(sized(&world, half), Ok(4));
    // Fewer bars than the window, and an instrument without any.
    world.correlations = swinging(6);
    assert_eq!(sized(&world, wish()), Err(Code::ZeroSize));
    world.correlations = swinging(5);
    assert_eq!(sized(&world, wish()), Ok(4));
    assert_eq!(sized(&world, Wish { instrument: OTHER, ..wish() }), Err(Code::ZeroSize));
    world.lose("100000");
    assert_eq!(sized(&world, wish()), Err(Code::ZeroSize));
}

#[test]
fn what_a_lot_typically_moves_is_rounded_up_to_the_last_unit_of_money() {
    let mut world = World::with(|risk| {
        risk.sizing = Sizing::VolatilityTarget;
        risk.sizing_pct = ratio("0.000001");
    });
    // A lot is worth a billionth of its price: at 1 it is 1e9 units of money.
    world.books[0] = InstrumentBook::new(Instrument::plain("DUST", price("0.01"), 1, PRICE_SCALE));
    world.correlations = swinging(3);
    let one = Wish { price: Some(price("1")), ..wish() };
    // 1e17 / 14,142,136; by 14,142,135.623731 it would be 7,071,067,811.
    assert_eq!(sized(&world, one), Ok(7_071_067_623));
    // Returns of 10 %, 0, -10 %: a deviation of exactly a tenth, and nothing to round.
    world.correlations = Correlations::new(1, 4);
    for (at, close) in [100, 110, 110, 99].into_iter().enumerate() {
        let opened = Ts(i64::try_from(at).unwrap());
        world.correlations.on_bar(ES, opened, Price(close * PRICE_SCALE));
    }
    assert_eq!(sized(&world, one), Ok(1_000_000_000));
}

#[test]
fn a_lot_that_moves_more_than_money_can_be_has_no_size() {
    let mut world = World::with(|risk| {
        risk.sizing = Sizing::VolatilityTarget;
        risk.sizing_pct = Ratio::ONE;
    });
    let spec = Instrument::plain("HUGE", price("1"), PRICE_SCALE, 100_000_000 * PRICE_SCALE);
    world.books[0] = InstrumentBook::new(spec);
    world.correlations = Correlations::new(1, 3);
    for (at, close) in [1, 900, 1].into_iter().enumerate() {
        let opened = Ts(i64::try_from(at).unwrap());
        world.correlations.on_bar(ES, opened, Price(close * PRICE_SCALE));
    }
    let largest = Wish { price: Some(Price(PRICE_MAX)), ..wish() };
    assert_eq!(sized(&world, largest), Err(Code::ZeroSize));
}

#[test]
fn sizing_by_risk_and_exactly() {
    let mut world = World::with(|risk| {
        risk.sizing = Sizing::FixedRisk;
        risk.sizing_pct = ratio("0.01");
    });
    // 1,000 at risk; 10 points x 50 = 500 a lot.
    let buy = Wish { stop: Some(price("3990")), ..wish() };
    assert_eq!(sized(&world, buy), Ok(2));
    assert_eq!(sized(&world, Wish { strength: ratio("0.1"), ..buy }), Ok(2));
    assert_eq!(sized(&world, Wish { stop: Some(price("3989.999999999")), ..buy }), Ok(1));
    let sell = Wish { side: Side::Sell, stop: Some(price("4010")), ..wish() };
    assert_eq!(sized(&world, sell), Ok(2));
    assert_eq!(sized(&world, Wish { stop: None, ..buy }), Err(Code::BadPrice));
    assert_eq!(sized(&world, Wish { stop: buy.price, ..buy }), Err(Code::BadPrice));
    assert_eq!(sized(&world, Wish { stop: sell.stop, ..buy }), Err(Code::BadPrice));
    assert_eq!(sized(&world, Wish { price: None, ..buy }), Err(Code::NoMark));

    world.settings.sizing = Sizing::Exact;
    let exact = |qty| Wish { qty: Some(Qty(qty)), price: None, ..wish() };
    assert_eq!(sized(&world, exact(3)), Ok(3));
    assert_eq!(sized(&world, exact(0)), Err(Code::BadQty));
    assert_eq!(sized(&world, exact(-3)), Err(Code::BadQty));
    assert_eq!(sized(&world, wish()), Err(Code::BadQty));
    assert_eq!(sized(&world, exact(i64::MAX)), Err(Code::Overflow));
    world.settings.sizing_max_qty = "2".parse().ok();
    assert_eq!(sized(&world, exact(3)), Ok(2));
}
