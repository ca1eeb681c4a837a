//! Limits in words: by whose they are, which are off, and how they were changed while the engine ran.

use serde_json::json;
use trade_engine::code::Code;
use trade_engine::codec::Head;
use trade_engine::engine::State;
use trade_engine::event::{Body, Event, Record};
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::settings::{Count, LimitKey, Limits, Scope, Settings};
use trade_engine::units::{Money, Price, Ts};
use trade_engine_tools::limits::{groups, json, off, off_line, value};
use trade_engine_tools::watch::Watch;

/// X and Y, strategies s and t; X and t have limits of their own.
fn settings() -> Settings {
    let spec = |symbol| Instrument::plain(symbol, Price(10_000_000), 1_000_000_000, 1_000_000_000);
    let mut settings = Settings::new(money("100000"), vec![spec("X"), spec("Y")]);
    settings.strategies = vec!["s".to_owned(), "t".to_owned()];
    settings.risk.limits.max_leverage = Some("2.5".parse().unwrap());
    settings.risk.limits.max_positions = Some(Count(3));
    let own = Limits { max_order_qty: Some("0.5".parse().unwrap()), ..Limits::OFF };
    settings.risk.symbols = vec![own, Limits::OFF];
    settings.risk.strategies =
        vec![Limits::OFF, Limits { max_repeats: Some(Count(7)), ..Limits::OFF }];
    settings
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

#[test]
fn they_are_grouped_by_whose_they_are() {
    let settings = settings();
    let found = groups(&settings.risk, &settings);
    let titles: Vec<String> = found.iter().map(|group| group.title()).collect();
    assert_eq!(titles, ["the account", "X", "strategy t"]);
    assert_eq!(found[0].all().count(), LimitKey::ALL.len());
    let on: Vec<_> = found[2].all().filter(|(_, limit)| limit.is_some()).collect();
    assert_eq!(on, [(LimitKey::MaxRepeats, Some(money("7")))]);
    assert!(found[1].all().all(|(key, _)| key.is_scoped()));
    let all = json(&settings.risk, &settings);
    assert_eq!(all["account"]["max_leverage"], "2.5");
    assert_eq!(all["account"]["max_drawdown_pct"], json!(null));
    assert_eq!(all["symbols"]["X"]["max_order_qty"], "0.5");
    assert_eq!(all["symbols"]["Y"], json!(null));
    assert_eq!(all["strategies"]["t"]["max_repeats"], "7");
}

#[test]
fn what_is_off_is_named() {
    let mut settings = settings();
    let names = off(&settings.risk);
    // All but two limits, and both switches.
    assert_eq!(names.len(), LimitKey::ALL.len() - 2 + 2);
    assert!(!names.contains(&"max_leverage") && names.ends_with(&["margin", "self_match"]));
    assert!(off_line(&settings.risk).starts_with("limits that are OFF: max_position_pct, "));
    for key in LimitKey::ALL {
        settings.risk.limits.set(*key, Some(money("1"))).unwrap();
    }
    settings.risk.margin = true;
    assert_eq!(off_line(&settings.risk), "limits that are OFF: self_match");
    settings.risk.self_match = true;
    assert_eq!(off_line(&settings.risk), "limits that are OFF: none");
}

#[test]
fn each_has_its_unit() {
    assert_eq!(value(LimitKey::MaxPositionPct, Some(money("0.055"))), "5.5 %");
    assert_eq!(value(LimitKey::MaxMarkAgeMs, Some(money("250"))), "250 ms");
    assert_eq!(value(LimitKey::MaxOrderNotional, Some(money("0.5"))), "0.5");
    assert_eq!(value(LimitKey::MaxLeverage, None), "OFF");
}

#[test]
fn what_happens_on_the_way_is_watched() {
    let state = State::new(settings());
    let mut watch = Watch::default();
    let mut seq = 0;
    let mut observe = |watch: &mut Watch, event: Event| {
        seq += 1;
        let head = Head { seq, ts: Ts(0), kind: event.kind(), flags: 0 };
        watch.observe(&Record { head, body: Body::Event(event) }, Some(&state));
    };
    let set = |scope, instrument: u16, strategy, key, value: Option<&str>| Event::LimitSet {
        scope,
        instrument: InstrumentId(instrument),
        strategy,
        key,
        value: value.map(money),
    };
    let halted = |instrument: u16| Event::InstrumentHalted {
        instrument: InstrumentId(instrument),
        reason: Code::Anomaly,
    };
    observe(&mut watch, set(Scope::Strategy, 9, 2, LimitKey::MaxRepeats, None));
    observe(&mut watch, set(Scope::Account, 9, 9, LimitKey::MaxLeverage, Some("3")));
    observe(&mut watch, set(Scope::Instrument, 1, 9, LimitKey::MaxOrderQty, Some("2")));
    observe(&mut watch, set(Scope::Account, 9, 9, LimitKey::MaxLeverage, Some("4")));
    // The last of each: the account's first, the strategies' last.
    let time = "1970-01-01T00:00:00Z";
    assert_eq!(
        watch.changes_json(),
        json!([
            {"seq": 4, "time": time, "scope": "account", "name": null, "key": "max_leverage",
             "limit": "4"},
            {"seq": 3, "time": time, "scope": "instrument", "name": "Y", "key": "max_order_qty",
             "limit": "2"},
            {"seq": 1, "time": time, "scope": "strategy", "name": "t", "key": "max_repeats",
             "limit": null},
        ])
    );
    observe(&mut watch, halted(1));
    observe(&mut watch, halted(0));
    observe(&mut watch, halted(1));
    let symbols = |watch: &Watch| -> Vec<(u16, u64)> {
        watch.halted().map(|halted| (halted.instrument.0, halted.seq)).collect()
    };
    assert_eq!(symbols(&watch), [(0, 6), (1, 5)]);
    assert_eq!(watch.halted_json(&state)[1]["symbol"], "Y");
    assert_eq!(watch.halted_json(&state)[1]["reason"], "ANOMALY");
    observe(&mut watch, Event::Resumed {});
    assert_eq!(symbols(&watch), []);
    assert_eq!(watch.changes().count(), 3);
}
