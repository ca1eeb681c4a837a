//! The simulated venue, driven by small scripts: on each line what is sent, behind `=>` what comes
//! back. A step takes a millisecond unless it starts with `+N`.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use trade_engine::broker::{
    Broker, Message, NewOrder, Reports, Router, SimError, SimSettings, SimulatedBroker,
};
use trade_engine::input::{ExecKey, Input};
use trade_engine::instrument::{Instrument, InstrumentId, OpenInterval};
use trade_engine::order::{ClOrdId, OrdType, Tif};
use trade_engine::units::{Money, Price, Qty, Ratio, Side, Ts, Units};

const ES: InstrumentId = InstrumentId(0);

fn es() -> Instrument {
    Instrument::plain("ES", Price(250_000_000), 1_000_000_000, 50_000_000_000)
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn units(text: &str) -> Units {
    text.parse().unwrap()
}

fn bps(text: &str) -> Ratio {
    Ratio::from_bps(text).unwrap()
}

fn plain() -> SimSettings {
    SimSettings::default()
}

fn venue(settings: SimSettings, instruments: Vec<Instrument>) -> SimulatedBroker {
    SimulatedBroker::new(0, settings, instruments).unwrap()
}

/// Runs a script against the one instrument of a venue.
fn check_with(mut venue: SimulatedBroker, script: &str) {
    let mut ms = 0;
    let mut requests = 0;
    for (line, text) in script.lines().map(str::trim).enumerate().filter(|(_, t)| !t.is_empty()) {
        let (step, expected) = text.split_once("=>").unwrap_or((text, ""));
        let mut words: Vec<&str> = step.split_whitespace().collect();
        let wait = words[0].strip_prefix('+').map(|ms| ms.parse::<i64>().unwrap());
        if wait.is_some() {
            words.remove(0);
        }
        ms += wait.unwrap_or(1);
        let message = message(&words, &mut requests);
        let mut reports = Reports::default();
        venue.on_message(at(ms), &message, &mut reports);
        assert_eq!(shown(at(ms), &mut reports), expected.trim(), "line {line}: {text}");
    }
}

fn check(settings: SimSettings, script: &str) {
    check_with(venue(settings, vec![es()]), script);
}

fn at(ms: i64) -> Ts {
    Ts(ms * 1_000_000)
}

/// Orders are named by a letter, requests by their number, from `r1`.
fn id(name: &str) -> ClOrdId {
    ClOrdId::new(0, u64::from(name.as_bytes()[0]))
}

fn message(words: &[&str], requests: &mut u64) -> Message {
    let price = |text: &str| text.parse::<Price>().unwrap();
    let named = |name: &str| {
        let place = words.iter().position(|word| *word == name)?;
        Some(words[place + 1])
    };
    let mut request = || {
        *requests += 1;
        ClOrdId::new(1, *requests)
    };
    match words[0] {
        "mark" => {
            let (bid, ask) = (named("bid").map(price), named("ask").map(price));
            Message::Mark { instrument: ES, price: price(words[1]), bid, ask }
        }
        "bar" => {
            let prices = [1, 2, 3, 4].map(|place| price(words[place]));
            Message::Bar { instrument: ES, prices }
        }
        "day_roll" => Message::DayRoll,
        "time" => Message::Time,
        "cancel" => Message::Cancel { order: id(words[1]), request: request(), instrument: ES },
        "replace" => Message::Replace {
            order: id(words[1]),
            request: request(),
            instrument: ES,
            qty: Qty(words[2].parse().unwrap()),
            price: named("limit").map(price),
            stop_price: named("stop").map(price),
        },
        name => Message::New(order(name, words)),
    }
}

fn order(name: &str, words: &[&str]) -> NewOrder {
    let find = |name: &str| words.iter().position(|word| *word == name);
    let price = |name: &str| find(name).map(|place| words[place + 1].parse::<Price>().unwrap());
    let (limit, stop) = (price("limit"), price("stop"));
    let ord_type = match (limit, stop) {
        (None, None) => OrdType::Market,
        (Some(_), None) => OrdType::Limit,
        (None, Some(_)) => OrdType::Stop,
        (Some(_), Some(_)) => OrdType::StopLimit,
    };
    let until = find("gtd").map(|place| at(words[place + 1].parse().unwrap()));
    let named = [("gtc", Tif::Gtc), ("ioc", Tif::Ioc), ("fok", Tif::Fok), ("gtd", Tif::Gtd)];
    let tif = named.iter().find(|(name, _)| find(name).is_some()).map_or(Tif::Day, |(_, tif)| *tif);
    NewOrder {
        order: id(name),
        instrument: ES,
        side: if words[1] == "buy" { Side::Buy } else { Side::Sell },
        ord_type,
        tif,
        qty: Qty(words[2].parse().unwrap()),
        price: limit,
        stop_price: stop,
        expire_at: until,
        shrink_only: false,
    }
}

/// Every report in a word or two: `A accepted, A 2 @ 4521.25, B cancelled r1`.
fn shown(now: Ts, reports: &mut Reports) -> String {
    let mut all: Vec<String> = Vec::new();
    let mut words = None;
    while let Some((ts, input)) = reports.pop() {
        assert_eq!(ts, now, "a report of another time would be refused");
        let letter = |id: ClOrdId| char::from(u8::try_from(id.counter()).unwrap());
        let answered =
            |id: ClOrdId| id.some().map_or(String::new(), |id| format!(" r{}", id.counter()));
        if let Input::Text { id, text, .. } = input {
            words = Some((id, text.as_str().to_owned()));
        } else if let Input::Status { order, kind, request } = input {
            let mut line = format!("{} {}{}", letter(order), kind.name(), answered(request));
            if let Some((id, text)) = words.take() {
                // Words about a request must not become the order's own.
                assert_eq!(id, request.some().unwrap_or(order));
                line += &format!(" ({text})");
            }
            all.push(line);
        } else if let Input::Replaced { order, request, .. } = input {
            all.push(format!("{} replaced{}", letter(order), answered(request)));
        } else if let Input::Trade { order, qty, price, commission, venue_says_filled, .. } = input
        {
            let fee = if commission == Money::ZERO {
                String::new()
            } else {
                format!(" fee {commission}")
            };
            let more = if venue_says_filled { "" } else { " and more" };
            all.push(format!("{} {qty} @ {price}{fee}{more}", letter(order)));
        } else {
            panic!("{input:?}");
        }
    }
    assert_eq!(words, None, "words without a report");
    all.join(", ")
}

#[test]
fn market_orders_trade_at_the_price_of_their_side() {
    check(
        plain(),
        "A buy 1                          => A accepted
         mark 100                         => A 1 @ 100
         B sell 2                         => B accepted, B 2 @ 100
         mark 100 bid 99.75 ask 100.25
         C buy 1                          => C accepted, C 1 @ 100.25
         D sell 1                         => D accepted, D 1 @ 99.75",
    );
}

#[test]
fn slippage_is_exact_and_against_the_order() {
    let settings = SimSettings { slippage: bps("5"), ..plain() };
    check(
        settings.clone(),
        "mark 4521.25
         A buy 2                          => A accepted, A 2 @ 4523.510625
         B sell 2                         => B accepted, B 2 @ 4518.989375
         mark 4521.25 bid 4521 ask 4521.5
         C buy 1                          => C accepted, C 1 @ 4523.76075
         D sell 1                         => D accepted, D 1 @ 4518.7395
         mark -37.63
         E buy 1                          => E accepted, E 1 @ -37.611185
         F sell 1                         => F accepted, F 1 @ -37.648815
         mark 0.000000001
         G buy 1                          => G accepted, G 1 @ 0.000000002
         H sell 1                         => H accepted, H 1 @ 0",
    );
    check(
        settings,
        "A buy 1 stop 110                 => A accepted
         B sell 1 stop 90                 => B accepted
         bar 100 111 89 100               => A 1 @ 110.055, B 1 @ 89.955
         C buy 1 limit 100                => C accepted
         mark 99                          => C 1 @ 99",
    );
}

#[test]
fn a_market_order_never_trades_in_the_bar_that_caused_it() {
    check(
        plain(),
        "mark 100
         bar 100 105 95 104
         A buy 1                          => A accepted
         mark 106                         => A 1 @ 106
         bar 106 107 103 105
         B buy 1                          => B accepted
         bar 104 108 102 103              => B 1 @ 104",
    );
}

#[test]
fn limit_orders() {
    check(
        plain(),
        "mark 100 bid 99 ask 101
         A buy 1 limit 101                => A accepted, A 1 @ 101
         B buy 1 limit 103                => B accepted, B 1 @ 101
         C buy 1 limit 100                => C accepted
         D sell 1 limit 100               => D accepted
         mark 100 bid 99.5 ask 100.5
         mark 99 bid 98 ask 99.5          => C 1 @ 99.5
         mark 103 bid 102 ask 104         => D 1 @ 102",
    );
    // At rest before the bar: the limit, or the open where that is better.
    check(
        plain(),
        "mark 100
         A buy 1 limit 98                 => A accepted
         B buy 1 limit 96                 => B accepted
         C sell 1 limit 103               => C accepted
         D buy 1 limit 93                 => D accepted
         bar 100 102 97 101               => A 1 @ 98
         bar 95 104 94 100                => B 1 @ 95, C 1 @ 103
         bar 93 93 93 93                  => D 1 @ 93",
    );
}

#[test]
fn stop_orders() {
    check(
        plain(),
        "mark 100 bid 99 ask 101
         A buy 1 stop 100                 => A accepted, A 1 @ 101
         B buy 1 stop 102                 => B accepted
         C sell 1 stop 98                 => C accepted
         mark 101 bid 100 ask 103
         mark 102 bid 101 ask 102.5       => B 1 @ 102.5
         mark 97 bid 96 ask 98            => C 1 @ 96
         D buy 1 stop 99                  => D accepted
         mark 99 bid 97 ask 98            => D 1 @ 98",
    );
    check(
        plain(),
        "mark 100
         A buy 1 stop 105                 => A accepted
         B sell 1 stop 95                 => B accepted
         C buy 1 stop 108                 => C accepted
         bar 100 106 96 100               => A 1 @ 105
         bar 110 112 94 100               => B 1 @ 95, C 1 @ 110",
    );
}

#[test]
fn stop_limit_orders() {
    check(
        plain(),
        "mark 100 bid 99 ask 101
         A buy 1 stop 102 limit 103       => A accepted
         B buy 1 stop 102 limit 102       => B accepted
         mark 102 bid 101 ask 103         => A triggered, A 1 @ 103, B triggered
         mark 100 bid 99 ask 101          => B 1 @ 101
         C sell 1 stop 100 limit 98       => C accepted, C triggered, C 1 @ 99",
    );
    // In a bar: at the stop; at the open if that is beyond it; not at all if that is beyond the limit.
    check(
        plain(),
        "mark 100
         A buy 1 stop 105 limit 106       => A accepted
         B buy 1 stop 107 limit 112       => B accepted
         bar 100 106 99 100               => A triggered, A 1 @ 105
         bar 110 113 109 110              => B triggered, B 1 @ 110
         C buy 1 stop 111 limit 111       => C accepted
         bar 115 116 112 113              => C triggered
         bar 114 115 110 112              => C 1 @ 111",
    );
    // The limit on the cheap side of the stop: the low may have come before the trigger.
    check(
        plain(),
        "mark 100
         A buy 1 stop 105 limit 98        => A accepted
         B buy 1 stop 105 limit 102       => B accepted
         bar 100 106 97 101               => A triggered, B triggered, B 1 @ 102
         bar 101 102 97 102               => A 1 @ 98",
    );
}

#[test]
fn ioc_and_fok_trade_at_once_or_end() {
    check(
        plain(),
        "A buy 1 ioc                      => A accepted, A cancelled
         mark 100
         B buy 1 ioc                      => B accepted, B 1 @ 100
         C buy 1 fok                      => C accepted, C 1 @ 100
         D buy 1 limit 99 ioc             => D accepted, D cancelled
         E buy 1 limit 99 fok             => E accepted, E cancelled
         F buy 1 limit 100 fok            => F accepted, F 1 @ 100
         G sell 1 stop 99 ioc             => G accepted, G cancelled
         H sell 1 stop 101 limit 102 ioc  => H accepted, H triggered, H cancelled
         mark 50",
    );
}

#[test]
fn day_orders_end_with_the_day_and_dated_ones_at_their_time() {
    check(
        plain(),
        "mark 100
         A buy 1 limit 90                 => A accepted
         B buy 1 limit 90 gtc             => B accepted
         C buy 1 limit 90 gtd 10          => C accepted
         D buy 1 limit 90 gtd 20          => D accepted
         E buy 1 limit 90 gtd 5           => E rejected (expired on entry)
         day_roll                         => A expired
         +2 time
         +1 time                          => C expired
         +9 time
         +1 mark 80                       => D expired, B 1 @ 80",
    );
}

#[test]
fn one_fill_takes_at_most_so_many_lots() {
    let settings = SimSettings {
        partial_fill_qty: Some(units("2")),
        commission_per_contract: money("2.05"),
        ..plain()
    };
    check(
        settings,
        "mark 100
         A buy 5      => A accepted, A 2 @ 100 fee 4.1 and more, A 2 @ 100 fee 4.1 and more, A 1 @ 100 fee 2.05
         B buy 2 fok  => B accepted, B 2 @ 100 fee 4.1
         C buy 2001   => C rejected (the order would need too many fills)",
    );
}

#[test]
fn a_fill_counts_in_the_underlying_and_takes_at_least_a_lot() {
    // Lots of a quarter: 0.6 are two of them; 0.1 is none, and so one.
    let quarter = || Instrument::plain("X", Price(10_000_000), 250_000_000, 1_000_000_000);
    let most = |text| SimSettings { partial_fill_qty: Some(units(text)), ..plain() };
    check_with(
        venue(most("0.6"), vec![quarter()]),
        "mark 100
         A buy 5  => A accepted, A 2 @ 100 and more, A 2 @ 100 and more, A 1 @ 100",
    );
    check_with(
        venue(most("0.1"), vec![quarter()]),
        "mark 100
         A buy 2  => A accepted, A 1 @ 100 and more, A 1 @ 100",
    );
}

#[test]
fn commissions_add_up() {
    let settings = SimSettings {
        commission_per_contract: money("2.05"),
        commission_per_share: money("0.01"),
        commission_rate: bps("1"),
        ..plain()
    };
    // 2 x 2.05 + 2 x 0.01 + 0.0001 x 2 x 4521.25 x 50.
    check(
        settings.clone(),
        "mark 4521.25
         A sell 2                         => A accepted, A 2 @ 4521.25 fee 49.3325",
    );
    // A lot of 0.0001: 3 x 2.05 + 0.0003 x 0.01 + 0.0001 x 0.0003 x 60000.
    let btc = Instrument::plain("BTC", Price(10_000_000), 100_000, 1_000_000_000);
    check_with(
        venue(settings, vec![btc]),
        "mark 60000
         A buy 3                          => A accepted, A 3 @ 60000 fee 6.151803",
    );
    let rebate = SimSettings { commission_per_contract: money("-0.25"), ..plain() };
    check(rebate, "mark 1\n A buy 4 => A accepted, A 4 @ 1 fee -1");
}

#[test]
fn a_commission_past_the_range_is_reported_as_a_defect() {
    let huge = Money(i128::MAX / 4);
    let mut venue = venue(SimSettings { commission_per_contract: huge, ..plain() }, vec![es()]);
    let mut reports = Reports::default();
    let mark = Message::Mark { instrument: ES, price: Price(1), bid: None, ask: None };
    venue.on_message(Ts(0), &mark, &mut reports);
    let order = order("A", &["A", "buy", "9"]);
    venue.on_message(Ts(0), &Message::New(order), &mut reports);
    reports.pop();
    let Some((_, Input::Trade { defect, qty, .. })) = reports.pop() else { panic!("a trade") };
    assert_eq!(defect, Some(trade_engine::code::Code::Overflow));
    assert_eq!(qty, Qty(9));
}

#[test]
fn orders_and_requests_arrive_after_the_latency() {
    let settings = SimSettings { latency_ms: 10, ..plain() };
    check(
        settings,
        "mark 100
         A buy 1
         +9 mark 105
         +1 time                          => A accepted, A 1 @ 105
         B buy 1
         +5 bar 105 106 104 105
         +5 mark 107                      => B accepted, B 1 @ 107
         C buy 1 limit 90
         +10 time                         => C accepted
         cancel C
         +5 mark 89                       => C 1 @ 89
         +5 time                          => C cancel_rejected r1 (too late to cancel)
         D buy 1 limit 80 gtd 90
         +60 time                         => D accepted, D expired",
    );
}

#[test]
fn what_happens_between_two_messages_keeps_its_order() {
    let settings = SimSettings { latency_ms: 10, ..plain() };
    check(
        settings,
        "A buy 1 limit 90 gtd 30
         +10 time                         => A accepted
         +14 cancel A
         +20 time                         => A expired, A cancel_rejected r1 (too late to cancel)
         B buy 1 limit 90 gtd 80
         +10 cancel B                     => B accepted
         +50 time                         => B cancelled r2",
    );
}

#[test]
fn an_order_is_worked_off_before_the_market_data_of_its_time() {
    let settings = SimSettings { latency_ms: 10, ..plain() };
    check(
        settings,
        "mark 100
         A buy 1
         +50 mark 120                     => A accepted, A 1 @ 100",
    );
}

#[test]
fn cancels_and_replaces() {
    check(
        plain(),
        "mark 100
         A buy 1 limit 90                 => A accepted
         cancel A                         => A cancelled r1
         cancel A                         => A cancel_rejected r2 (too late to cancel)
         B buy 1 limit 90                 => B accepted
         replace B 3 limit 95             => B replaced r3
         mark 94                          => B 3 @ 94
         replace B 4 limit 95             => B replace_rejected r4 (too late to replace)
         mark 100
         C sell 1 limit 110               => C accepted
         replace C 2 limit 99             => C replaced r5, C 2 @ 100
         D buy 1 stop 110                 => D accepted
         replace D 1 stop 100             => D replaced r6, D 1 @ 100
         E buy 1 limit 90                 => E accepted
         replace E 0 limit 90             => E replace_rejected r7 (quantity must be above zero)
         replace E 1                      => E replace_rejected r8 (limit price missing)
         cancel Z                         => Z cancel_rejected r9 (too late to cancel)
         mark 90                          => E 1 @ 90",
    );
    // A triggered stop-limit order stays so, whatever its stop price becomes.
    check(
        plain(),
        "mark 100
         A buy 1 stop 100 limit 95        => A accepted, A triggered
         replace A 1 stop 120 limit 96    => A replaced r1
         mark 96                          => A 1 @ 96",
    );
}

#[test]
fn a_closed_market_takes_no_order_and_trades_at_no_mark() {
    let mut contract = es();
    let session = |open, close| OpenInterval { open: at(open), close: at(close) };
    contract.sessions = Some(vec![session(10, 20), session(30, 40)]);
    check_with(
        venue(plain(), vec![contract]),
        "A buy 1                          => A rejected (market closed)
         +9 mark 100
         B buy 1 limit 90 gtc             => B accepted
         +9 mark 80
         C buy 1                          => C rejected (market closed)
         cancel Z                         => Z cancel_rejected r1 (too late to cancel)
         replace B 1 limit 200            => B replaced r2
         +9 D buy 1                       => D accepted
         bar 95 99 94 98                  => B 1 @ 95, D 1 @ 95",
    );
}

#[test]
fn a_live_price_does_not_outlive_its_session() {
    let mut contract = es();
    let session = |open, close| OpenInterval { open: at(open), close: at(close) };
    contract.sessions = Some(vec![session(0, 20), session(30, 60)]);
    check_with(
        venue(plain(), vec![contract]),
        "+10 mark 100
         +25 A buy 1                      => A accepted
         mark 103                         => A 1 @ 103",
    );
}

#[test]
fn margin_covers_the_worst_case() {
    let mut contract = es();
    contract.initial_margin = Some(money("10000"));
    let settings = SimSettings { initial_capital: Some(money("30000")), ..plain() };
    let margin = |settings: &SimSettings| venue(settings.clone(), vec![contract.clone()]);
    check_with(
        margin(&settings),
        "mark 100
         A buy 4                          => A rejected (insufficient margin)
         B buy 2                          => B accepted, B 2 @ 100
         C buy 1 limit 90                 => C accepted
         D buy 1 limit 90                 => D rejected (insufficient margin)
         E sell 5 limit 110               => E accepted
         F sell 1 limit 110               => F rejected (insufficient margin)
         replace C 2 limit 90             => C replace_rejected r1 (insufficient margin)
         replace C 1 limit 91             => C replaced r2
         cancel C                         => C cancelled r3
         cancel E                         => E cancelled r4
         mark 200
         G buy 2                          => G accepted, G 2 @ 200",
    );
    // 2 lots lose 20 points x 50 each: 28,000 left. The way out is open, the way in is not.
    check_with(
        margin(&settings),
        "mark 100
         A buy 2                          => A accepted, A 2 @ 100
         mark 80
         B buy 1                          => B rejected (insufficient margin)
         C sell 2                         => C accepted, C 2 @ 80
         D buy 2                          => D accepted, D 2 @ 80",
    );
    // Even where equity no longer covers what is held: 2 lots need 20,000, 10,000 are left.
    check_with(
        margin(&settings),
        "mark 1000
         A buy 2                          => A accepted, A 2 @ 1000
         mark 800
         B buy 1 limit 700                => B rejected (insufficient margin)
         C sell 2 stop 700                => C accepted
         D sell 1                         => D accepted, D 1 @ 800",
    );
    let mut held = margin(&settings);
    held.open_position(ES, Qty(3), "100".parse().unwrap());
    check_with(
        held,
        "mark 100
         A buy 1                          => A rejected (insufficient margin)
         B sell 3                         => B accepted, B 3 @ 100",
    );
    let free = SimSettings { initial_capital: None, ..settings };
    check_with(margin(&free), "mark 100\n A buy 400 => A accepted, A 400 @ 100");
}

#[test]
fn commission_and_slippage_count_against_margin() {
    let mut contract = es();
    contract.initial_margin = Some(money("10000"));
    let settings = SimSettings {
        initial_capital: Some(money("20000")),
        commission_per_contract: money("0.01"),
        ..plain()
    };
    check_with(
        venue(settings, vec![contract]),
        "mark 100
         A buy 1                          => A accepted, A 1 @ 100 fee 0.01
         B buy 1                          => B rejected (insufficient margin)",
    );
}

/// What becomes of `count` market orders.
fn rejected(seed: u64, rate: &str, count: u64) -> Vec<bool> {
    let settings = SimSettings { reject_rate: rate.parse().unwrap(), seed, ..plain() };
    let mut venue = venue(settings, vec![es()]);
    let mut reports = Reports::default();
    let mark = Message::Mark { instrument: ES, price: Price(1), bid: None, ask: None };
    venue.on_message(Ts(0), &mark, &mut reports);
    let mut one = |counter| {
        let order = NewOrder { order: ClOrdId::new(0, counter), ..order("A", &["A", "buy", "1"]) };
        venue.on_message(Ts(1), &Message::New(order), &mut reports);
        let turned_down = matches!(reports.front(), Some((_, Input::Text { .. })));
        while reports.pop().is_some() {}
        turned_down
    };
    (1..=count).map(&mut one).collect()
}

#[test]
fn random_rejects_follow_the_seed() {
    assert_eq!(rejected(7, "0.25", 400), rejected(7, "0.25", 400));
    assert_ne!(rejected(7, "0.25", 400), rejected(8, "0.25", 400));
    let share = rejected(7, "0.25", 4_000).iter().filter(|rejected| **rejected).count();
    assert!((900..1_100).contains(&share), "{share} of 4000 at a rate of a quarter");
    assert!(rejected(7, "0", 100).iter().all(|rejected| !rejected));
    assert!(rejected(7, "1", 100).iter().all(|rejected| *rejected));
    let settings = SimSettings { reject_rate: Ratio::ONE, ..plain() };
    check(settings, "A buy 1 => A rejected (rejected at random)");
}

#[test]
fn settings_are_checked() {
    let check = |settings: SimSettings| SimulatedBroker::new(0, settings, Vec::new()).err();
    assert_eq!(check(plain()), None);
    let slippage = Some(SimError::Slippage);
    assert_eq!(check(SimSettings { slippage: bps("-1"), ..plain() }), slippage);
    assert_eq!(check(SimSettings { slippage: bps("10001"), ..plain() }), slippage);
    let rate = SimSettings { reject_rate: Ratio(1_000_000_001), ..plain() };
    assert_eq!(check(rate), Some(SimError::RejectRate));
    assert_eq!(check(SimSettings { latency_ms: -1, ..plain() }), Some(SimError::Latency));
    let partial = SimSettings { partial_fill_qty: Some(Units(0)), ..plain() };
    assert_eq!(check(partial), Some(SimError::PartialFillQty));
}

#[test]
fn basis_points_are_exact() {
    assert_eq!(bps("5"), Ratio(500_000));
    assert_eq!(bps("0.00001"), Ratio(1));
    assert_eq!(bps("-2.5"), Ratio(-250_000));
    assert!(Ratio::from_bps("0.000001").is_err());
}

#[test]
fn execution_ids_are_counters() {
    let mut venue = SimulatedBroker::new(3, plain(), vec![es()]).unwrap();
    let mut reports = Reports::default();
    let mark = Message::Mark { instrument: ES, price: Price(1), bid: None, ask: None };
    venue.on_message(Ts(0), &mark, &mut reports);
    for (name, exec_id) in [("A", "S1"), ("B", "S2")] {
        venue.on_message(Ts(1), &Message::New(order(name, &[name, "buy", "1"])), &mut reports);
        reports.pop();
        let Some((_, Input::Trade { exec, .. })) = reports.pop() else { panic!("a trade") };
        assert_eq!(exec, ExecKey::new(3, exec_id, id(name), Side::Buy));
    }
}

#[test]
fn an_instrument_that_is_not_traded_here_is_refused() {
    check_with(
        venue(plain(), Vec::new()),
        "mark 100
         bar 1 2 1 2
         A buy 1                          => A rejected (unknown instrument)
         cancel A                         => A cancel_rejected r1 (too late to cancel)
         replace A 2                      => A replace_rejected r2 (too late to replace)
         day_roll",
    );
}

/// Sends one message to a router of two venues; the second takes a commission of 1 a lot.
fn routed(router: &mut Router, message: Message) -> String {
    let mut reports = Reports::default();
    router.on_message(at(1), &message, &mut reports);
    shown(at(1), &mut reports)
}

#[test]
fn the_router_sends_by_instrument() {
    let fee = SimSettings { commission_per_contract: money("1"), ..plain() };
    let (first, second) = (venue(plain(), vec![es(); 3]), venue(fee, vec![es(); 3]));
    let routes = vec![Some(0), Some(1), None];
    let mut router = Router::new(vec![Box::new(first), Box::new(second)], routes).unwrap();
    assert_eq!(router.route(InstrumentId(1)), Some(1));
    assert_eq!(router.route(InstrumentId::UNKNOWN), None);
    let expected = [
        "A accepted, A 1 @ 1",
        "A accepted, A 1 @ 1 fee 1",
        "A rejected (no venue is configured for this instrument)",
        "A rejected (no venue is configured for this instrument)",
    ];
    for (index, expected) in (0..).zip(expected) {
        let (instrument, price) = (InstrumentId(index), Price(1_000_000_000));
        let mark = Message::Mark { instrument, price, bid: None, ask: None };
        assert_eq!(routed(&mut router, mark), "");
        let new = NewOrder { instrument, ..order("A", &["A", "buy", "1"]) };
        assert_eq!(routed(&mut router, Message::New(new)), expected);
    }
    let (order, request, instrument) = (id("A"), ClOrdId::new(1, 1), InstrumentId(2));
    assert_eq!(
        routed(&mut router, Message::Cancel { order, request, instrument }),
        "A cancel_rejected r1 (no venue is configured for this instrument)"
    );
    for index in 0..2 {
        let new = order_of(InstrumentId(index));
        assert_eq!(routed(&mut router, Message::New(new)), "A accepted");
    }
    assert_eq!(routed(&mut router, Message::DayRoll), "A expired, A expired");
}

fn order_of(instrument: InstrumentId) -> NewOrder {
    NewOrder { instrument, ..order("A", &["A", "buy", "1", "limit", "0.5"]) }
}

#[test]
fn the_router_knows_its_venues() {
    let error = Router::new(vec![Box::new(venue(plain(), Vec::new()))], vec![Some(0), Some(1)]);
    let text = error.unwrap_err().to_string();
    assert_eq!(text, "instrument 1 is routed to venue 1, which does not exist");
}

/// The naive twin of bar matching: walks the bar price by price and trades at the first price at
/// which the order can.
fn walk(order: &NewOrder, corners: [i64; 4]) -> Option<i64> {
    let sign = order.side.sign();
    let mut triggered = order.stop_price.is_none();
    for leg in corners.windows(2) {
        let step = (leg[1] - leg[0]).signum();
        for price in (0..=(leg[1] - leg[0]).abs()).map(|n| leg[0] + n * step) {
            triggered |= order.stop_price.is_some_and(|stop| price * sign >= stop.0 * sign);
            let within = order.price.is_none_or(|limit| price * sign <= limit.0 * sign);
            if triggered && within {
                return Some(price);
            }
        }
    }
    None
}

#[test]
fn every_small_bar_agrees_with_a_walk_through_it() {
    let kinds = [OrdType::Market, OrdType::Limit, OrdType::Stop, OrdType::StopLimit];
    let mut trades = 0;
    for code in 0..5_i64.pow(6) {
        let digit = |place: u32| 1 + code / 5_i64.pow(place) % 5;
        let [open, high, low, close] = [0, 1, 2, 3].map(digit);
        if low > open.min(close) || high < open.max(close) {
            continue;
        }
        for (ord_type, side) in kinds.into_iter().flat_map(|k| [(k, Side::Buy), (k, Side::Sell)]) {
            let price = ord_type.has_limit().then(|| Price(digit(4)));
            let stop_price = ord_type.has_stop().then(|| Price(digit(5)));
            let order =
                NewOrder { ord_type, side, price, stop_price, ..order("A", &["A", "buy", "1"]) };
            let mut venue = venue(plain(), vec![es()]);
            let mut reports = Reports::default();
            venue.on_message(Ts(0), &Message::New(order), &mut reports);
            let prices = [open, high, low, close].map(Price);
            venue.on_message(Ts(1), &Message::Bar { instrument: ES, prices }, &mut reports);
            let traded = std::iter::from_fn(|| reports.pop()).find_map(|(_, input)| {
                if let Input::Trade { price, .. } = input { Some(price.0) } else { None }
            });
            // The high may have come first or the low. What both ways agree on must have happened.
            let ways = [[open, high, low, close], [open, low, high, close]];
            let [one, other] = ways.map(|corners| walk(&order, corners));
            let sure = one.filter(|_| one == other);
            assert_eq!(traded, sure, "{order:?} in {prices:?}");
            assert!(traded.is_some() || ord_type != OrdType::Market);
            trades += u32::from(traded.is_some());
        }
    }
    assert!(trades > 10_000, "{trades}");
}

/// A message of a random run: every kind, prices close together so that much happens.
fn any_message() -> impl Strategy<Value = Message> {
    let price = || (95..=105_i64).prop_map(|price| Price(price * 1_000_000_000));
    let new = (1..=30_u64, any::<bool>(), 0..4_usize, 0..5_usize, 1..=9_i64, price(), price())
        .prop_map(|(counter, buy, kind, tif, qty, limit, stop)| {
            let kinds = [OrdType::Market, OrdType::Limit, OrdType::Stop, OrdType::StopLimit];
            let ord_type = kinds[kind];
            let tif = [Tif::Day, Tif::Gtc, Tif::Ioc, Tif::Fok, Tif::Gtd][tif];
            Message::New(NewOrder {
                order: ClOrdId::new(0, counter),
                instrument: ES,
                side: if buy { Side::Buy } else { Side::Sell },
                ord_type,
                tif,
                qty: Qty(qty),
                price: ord_type.has_limit().then_some(limit),
                stop_price: ord_type.has_stop().then_some(stop),
                expire_at: (tif == Tif::Gtd).then_some(at(qty * 10)),
                shrink_only: false,
            })
        });
    let request = ClOrdId::new(1, 1);
    let cancel = (1..=30_u64).prop_map(move |counter| {
        let order = ClOrdId::new(0, counter);
        Message::Cancel { order, request, instrument: ES }
    });
    let mark = (price(), 0..=2_i64, any::<bool>()).prop_map(|(price, spread, quoted)| {
        let side = |sign| quoted.then_some(Price(price.0 + sign * spread * 1_000_000_000));
        Message::Mark { instrument: ES, price, bid: side(-1), ask: side(1) }
    });
    let bar = (price(), price(), price(), price()).prop_map(|(open, high, low, close)| {
        // Not even in order: the venue must not rest on it.
        Message::Bar { instrument: ES, prices: [open, high, low, close] }
    });
    prop_oneof![
        4 => new,
        1 => cancel,
        3 => mark,
        2 => bar,
        1 => prop_oneof![Just(Message::DayRoll), Just(Message::Time)],
    ]
}

fn any_settings() -> impl Strategy<Value = SimSettings> {
    let slippage = prop_oneof![Just(Ratio(0)), (0..200_000_000_i64).prop_map(Ratio)];
    let partial = prop::option::of((1..4_i64).prop_map(|lots| Units(lots * 1_000_000_000)));
    (slippage, partial, 0..5_i64, any::<u64>()).prop_map(|(slippage, partial, latency_ms, seed)| {
        let reject_rate = Ratio(100_000_000);
        SimSettings {
            slippage,
            partial_fill_qty: partial,
            latency_ms,
            seed,
            reject_rate,
            ..SimSettings::default()
        }
    })
}

/// Orders of a random run carry the number of their message, so that no id comes twice.
fn numbered(messages: &[Message]) -> Vec<Message> {
    let number = |(index, message): (usize, &Message)| {
        let mut message = *message;
        if let Message::New(new) = &mut message {
            new.order = ClOrdId::new(0, u64::try_from(index).unwrap() + 1);
        }
        message
    };
    messages.iter().enumerate().map(number).collect()
}

fn run(settings: &SimSettings, messages: &[Message]) -> Vec<(Ts, Input)> {
    let mut venue = venue(settings.clone(), vec![es()]);
    let mut reports = Reports::default();
    for (ms, message) in (1..).zip(messages) {
        venue.on_message(at(ms), message, &mut reports);
    }
    std::iter::from_fn(|| reports.pop()).collect()
}

/// No trade worse than its limit, none beyond the quantity, nothing after the end, time never back.
fn holds(settings: &SimSettings, messages: &[Message]) -> Result<(), TestCaseError> {
    let messages = numbered(messages);
    let reports = run(settings, &messages);
    prop_assert!(reports.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    prop_assert_eq!(&reports, &run(settings, &messages));
    for message in &messages {
        let Message::New(new) = message else { continue };
        let mut leaves = new.qty.0;
        let mut ended = false;
        for (_, input) in &reports {
            if let Input::Trade { order, qty, price, side, .. } = input
                && *order == new.order
            {
                prop_assert!(!ended);
                prop_assert_eq!(*side, new.side);
                let sign = new.side.sign();
                prop_assert!(new.price.is_none_or(|limit| price.0 * sign <= limit.0 * sign));
                leaves -= qty.0;
                prop_assert!(leaves >= 0);
                ended = leaves == 0;
            }
            if let Input::Status { order, kind, .. } = input
                && *order == new.order
                && ["rejected", "cancelled", "expired"].contains(&kind.name())
            {
                prop_assert!(!ended);
                ended = true;
            }
        }
    }
    Ok(())
}

/// Repeat with `SEED=n RUNS=n cargo test --test simulated_broker random_runs`.
#[test]
fn random_runs_keep_the_limits() {
    let number = |name: &str, default| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let (seed, cases) = (number("SEED", 1), number("RUNS", 2_000));
    println!("SEED={seed} RUNS={cases}");
    let config = Config {
        cases: u32::try_from(cases).expect("RUNS fits"),
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    };
    let messages = prop::collection::vec(any_message(), 1..80);
    let outcome = TestRunner::new(config)
        .run(&(any_settings(), messages), |(settings, messages)| holds(&settings, &messages));
    if let Err(error) = outcome {
        panic!("SEED={seed}: {error}");
    }
}
