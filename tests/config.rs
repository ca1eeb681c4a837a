//! Configuration files: what they are read into, and what is said about each mistake.

use std::path::Path;
use trade_engine::config::{
    BrokerConfig, Config, ConfigError, DEFAULT_CONFIG, Idle, Pace, PriceColumn, Release, SyncPolicy,
};
use trade_engine::limits;
use trade_engine::settings::{
    CorrelationAction, CostMethod, Count, ExposureBasis, LimitKey, Limits, OnAnomaly, Settings,
    Sizing,
};
use trade_engine::strategy::StrategySettings;
use trade_engine::units::{Money, Ratio, Ts};

const EXAMPLE: &str = include_str!("../config/example.toml");
const FROM: Ts = Ts(1_577_836_800_000_000_000); // 2020-01-01
const TO: Ts = Ts(1_580_515_200_000_000_000); // 2020-02-01

/// Short, so that the lines of its errors can be counted by eye.
const GOOD: &str = r#"[account]
currency = "USD"
initial_capital = "100000"
day_roll = { timezone = "America/Chicago", time = "16:00" }

[risk]
max_position_pct = "0.05"
exposure_basis = "notional"
max_positions = 4
max_drawdown_pct = "0.1"
max_daily_loss_pct = "0.02"
margin = true
max_correlation = "0.8"
correlation_action = "warn"
correlation_window = 20
sizing = "percent_equity"
sizing_pct = "0.1"
sizing_max_qty = "none"
max_order_qty = "50"
max_order_notional = "200000"
max_gross_exposure = "400000"
max_net_exposure = "300000"
max_open_orders = 20
max_leverage = "4"
price_collar_pct = "0.03"
max_mark_age_ms = 5000
duplicate_window_ms = 250
max_orders_per_second = 10
max_messages_per_second = 30
max_repeats = 100
answer_timeout_ms = 3000
self_match = "refuse"
on_anomaly = "halt"

[broker]
kind = "simulated"

[strategy]
kind = "momentum"

[runtime]
release = "written"

[log]
sync = "interval"

[feed]
symbols = [
  "ES",
  "GC",
]

[[instruments]]
symbol = "ES"
tick_size = "0.25"
initial_margin = "100"
calendar = "week"

[[instruments]]
symbol = "GC"
tick_size = "0.1"

[calendars.week]
timezone = "America/Chicago"
open = "17:00"
close = "16:00"
days = ["Sun", "Mon"]
holidays = [
  "2014-12-25",
]
early_closes = { 2014-12-23 = "12:00" }
"#;

fn load(text: &str) -> Result<Config, ConfigError> {
    Config::from_toml(text, "config.toml", Path::new("config"))
}

fn amount(text: &str) -> Money {
    text.parse().unwrap()
}

fn ratio(text: &str) -> Ratio {
    text.parse().unwrap()
}

/// Replaces one part of the good file and expects this error, word for word.
#[track_caller]
fn refused(part: &str, replacement: &str, expected: &str) {
    assert_eq!(GOOD.matches(part).count(), 1, "{part} must be there once");
    let found = load(&GOOD.replacen(part, replacement, 1)).expect_err(replacement);
    assert_eq!(found.to_string(), expected, "{replacement}");
}

/// Replaces one part of the good file, which is then still good.
#[track_caller]
fn accepted(part: &str, replacement: &str) -> Config {
    assert_eq!(GOOD.matches(part).count(), 1, "{part} must be there once");
    load(&GOOD.replacen(part, replacement, 1)).unwrap()
}

#[test]
fn the_default_loads() {
    let config = Config::embedded_default();
    assert_eq!(config.account.initial_capital, amount("1000000"));
    assert_eq!(config.risk.exposure_basis, ExposureBasis::Margin);
    assert_eq!(config.risk.sizing, Sizing::PercentMargin);
    assert_eq!(config.strategy, StrategySettings::MOMENTUM);
    assert_eq!(config.runtime.release, Release::Written);
    assert_eq!(config.runtime.pace, Pace::Lockstep);
    assert_eq!(config.log.sync, SyncPolicy::Interval { ms: 10 });
    let BrokerConfig::Simulated(venue) = &config.broker;
    assert_eq!(venue.slippage, ratio("0.0001"));
    assert_eq!(venue.commission_per_contract, amount("2.05"));
    let settings = config.settings(None, FROM, TO).unwrap();
    assert_eq!(symbols(&settings), ["ES", "NQ", "CL", "GC"]);
    assert_eq!(settings.instruments[0].sessions.as_ref().unwrap().len(), 22);
    let rolls = config.account.day_roll.rule().unwrap().instants(FROM, TO).unwrap();
    assert_eq!(rolls.len(), 31);
}

#[test]
fn the_example_loads() {
    let config = load(EXAMPLE).unwrap();
    assert_eq!(config.risk.limits.max_daily_loss_pct, None);
    assert_eq!(config.risk.correlation_action, CorrelationAction::Refuse);
    assert_eq!(config.capacity.orders, 4_096);
    assert_eq!(config.runtime.event_ring_slots, 8_192);
    assert_eq!(config.runtime.idle_gateway, Idle::Park);
    assert_eq!(config.runtime.timer_interval_ms, Some(50));
    assert_eq!(config.runtime.log_behind_ms, Some(500));
    assert_eq!(config.runtime.halt_file, None);
    assert_eq!(config.feed.price_column, PriceColumn::Spliced);
    let BrokerConfig::Simulated(venue) = &config.broker;
    assert_eq!(venue.partial_fill_qty, Some("3".parse().unwrap()));
    let settings = config.settings(None, FROM, TO).unwrap();
    assert_eq!(settings.risk.symbols.len(), 1);
    assert_eq!(settings.risk.strategies.len(), 1);
    assert_eq!(venue.initial_capital, Some(amount("250000")));
    let breakout =
        StrategySettings::Breakout { entry_lookback: 20, exit_lookback: 10, allow_short: true };
    assert_eq!(config.strategy, breakout);
    assert_eq!(symbols(&config.settings(None, FROM, TO).unwrap()), ["ES", "BTC"]);
}

#[test]
fn the_strategies_that_the_example_leaves_out_load_too() {
    let (before, after) = EXAMPLE.split_once("# kind = \"momentum\"").unwrap();
    let (comments, after) = after.split_once("kind = \"breakout\"").unwrap();
    let comments = format!("# kind = \"momentum\"{comments}");
    let rest = after.split_once("[runtime]").unwrap().1;
    let blocks: Vec<&str> = comments.split("#\n").filter(|block| !block.is_empty()).collect();
    let expected = [StrategySettings::MOMENTUM, StrategySettings::MEAN_REVERSION];
    assert_eq!(blocks.len(), expected.len());
    for (block, expected) in blocks.into_iter().zip(expected) {
        let keys = block.replace("# ", "").replace("bars,", "# bars,");
        let keys: Vec<&str> = keys.lines().filter(|line| line.contains('=')).collect();
        let keys: Vec<String> = keys.iter().map(|line| uncommented(line)).collect();
        let text = format!("{before}{}\n[runtime]{rest}", keys.join("\n"));
        let text =
            text.replacen("strategies.breakout", &format!("strategies.{}", expected.name()), 1);
        assert_eq!(load(&text).unwrap().strategy, expected, "{text}");
    }
}

/// `key = value` of a line with words behind it.
fn uncommented(line: &str) -> String {
    let (key, rest) = line.split_once(" = ").unwrap();
    format!("{key} = {}", rest.split_whitespace().next().unwrap())
}

fn symbols(settings: &Settings) -> Vec<&str> {
    settings.instruments.iter().map(|one| one.symbol.as_str()).collect()
}

#[test]
fn what_is_left_out_has_its_default() {
    let config = load(GOOD).unwrap();
    assert_eq!(config.capacity, trade_engine::settings::Capacity::default());
    assert_eq!(config.runtime, trade_engine::config::RuntimeConfig::default());
    assert_eq!(config.log, trade_engine::config::LogConfig::default());
    assert_eq!(config.broker, BrokerConfig::Simulated(Default::default()));
    assert_eq!(config.runtime.event_ring_slots, limits::EVENT_RING_SLOTS);
}

#[test]
fn syntax_and_tables() {
    refused("[account]", "[account", "config.toml:1: unclosed table, expected `]`");
    refused("margin = true", "margin = true\nmargin = true", "config.toml:13: duplicate key");
    refused(
        "[broker]",
        "[brokers]",
        "config.toml:35: brokers: unknown key; expected one of contracts, account, risk, capacity, \
         broker, strategy, runtime, log, feed, instruments, calendars",
    );
    refused(
        "[broker]\nkind = \"simulated\"",
        "broker = 3",
        "config.toml:35: risk.broker: unknown key; \
         expected one of max_position_pct, max_drawdown_pct, max_daily_loss_pct, max_correlation, \
         max_positions, max_order_qty, max_order_notional, max_gross_exposure, max_net_exposure, \
         max_open_orders, max_leverage, price_collar_pct, max_mark_age_ms, duplicate_window_ms, \
         max_orders_per_second, max_messages_per_second, max_repeats, answer_timeout_ms, \
         exposure_basis, margin, correlation_action, correlation_window, self_match, on_anomaly, \
         sizing, sizing_pct, sizing_max_qty, symbols, strategies",
    );
    let found = load("account = 3").unwrap_err().to_string();
    assert_eq!(found, "config.toml:1: account: 3; expected a table");
    assert_eq!(
        load("").unwrap_err().to_string(),
        "config.toml: account: missing; expected this table"
    );
}

#[test]
fn account() {
    refused("currency = \"USD\"\n", "", "config.toml:1: account.currency: missing");
    refused(
        "\"USD\"",
        "\"US D\"",
        "config.toml:2: account.currency: \"US D\"; expected a name of letters, digits and signs, \
         without spaces",
    );
    refused(
        "\"100000\"",
        "100000",
        "config.toml:3: account.initial_capital: 100000 is not in quotes; expected an amount of \
         zero or more, such as \"2.05\": \"100000\"",
    );
    refused(
        "\"100000\"",
        "\"0\"",
        "config.toml:3: account.initial_capital: \"0\"; expected an amount above zero, such as \
         \"100000\"",
    );
    refused(
        "time = \"16:00\"",
        "time = \"4 pm\"",
        "config.toml:4: account.day_roll.time: \"4 pm\"; expected a time of day such as \"17:00\"",
    );
    refused(
        "time = \"16:00\"",
        "hour = \"16:00\"",
        "config.toml:4: account.day_roll.hour: unknown key; expected one of timezone, time",
    );
    refused(
        "timezone = \"America/Chicago\", ",
        "timezone = \"Chicago\", ",
        "config.toml:4: account.day_roll.timezone: \"Chicago\": no such time zone in the zone \
         database; expected a name such as America/Chicago",
    );
}

#[test]
fn every_limit_must_be_there() {
    let lines: Vec<&str> = GOOD.lines().skip(6).take(27).collect();
    assert_eq!((lines[0], lines[26]), ("max_position_pct = \"0.05\"", "on_anomaly = \"halt\""));
    for line in lines {
        let key = line.split_once(" = ").unwrap().0;
        let text = GOOD.replacen(&format!("{line}\n"), "", 1);
        let found = load(&text).expect_err(key);
        assert_eq!((found.key.as_str(), found.line), (format!("risk.{key}").as_str(), Some(6)));
        assert!(found.problem.starts_with("missing"), "{found}");
    }
    refused(
        "max_drawdown_pct = \"0.1\"\n",
        "",
        "config.toml:6: risk.max_drawdown_pct: missing; every limit must be there, and \"none\" \
         switches one off",
    );
}

#[test]
fn none_switches_a_limit_off() {
    let off = accepted("max_position_pct = \"0.05\"", "max_position_pct = \"none\"").risk;
    assert_eq!(off.limits.max_position_pct, None);
    assert_eq!(
        accepted("max_positions = 4", "max_positions = \"none\"").risk.limits.max_positions,
        None
    );
    let off = accepted("max_drawdown_pct = \"0.1\"", "max_drawdown_pct = \"none\"").risk;
    assert_eq!(off.limits.max_drawdown_pct, None);
    let off = accepted("max_daily_loss_pct = \"0.02\"", "max_daily_loss_pct = \"none\"").risk;
    assert_eq!(off.limits.max_daily_loss_pct, None);
    let off = accepted("max_correlation = \"0.8\"", "max_correlation = \"none\"").risk;
    assert_eq!(off.limits.max_correlation, None);
    assert!(!accepted("margin = true", "margin = false").risk.margin);
    let sizing = "sizing = \"percent_equity\"\nsizing_pct = \"0.1\"";
    accepted(sizing, "sizing = \"exact\"\nsizing_pct = \"none\"");
    refused(
        "sizing_pct = \"0.1\"",
        "sizing_pct = \"none\"",
        "config.toml:17: risk.sizing_pct: \"none\"; expected a fraction above 0 and at most 100, \
         such as \"0.05\": this sizing needs it",
    );
    refused(
        "exposure_basis = \"notional\"",
        "exposure_basis = \"none\"",
        "config.toml:8: risk.exposure_basis: \"none\"; expected \"notional\", \"margin\", \
         \"price\" or \"risk\"",
    );
}

#[test]
fn risk() {
    const SHARE: &str = "expected a fraction above 0 and at most 100, such as \"0.05\"";
    let position = |value: &str, expected: &str| {
        let line = format!("max_position_pct = {value}");
        let expected = format!("config.toml:7: risk.max_position_pct: {expected}");
        refused("max_position_pct = \"0.05\"", &line, &expected);
    };
    position("\"5%\"", &format!("\"5%\" is no decimal number; {SHARE}"));
    position("\"5e-2\"", &format!("\"5e-2\" is no decimal number; {SHARE}"));
    position("0.05", &format!("0.05 is not in quotes; {SHARE}: \"0.05\""));
    position("\"0\"", &format!("\"0\"; {SHARE}"));
    position("\"-0.05\"", &format!("\"-0.05\"; {SHARE}"));
    position("\"101\"", &format!("\"101\"; {SHARE}"));
    position(
        "\"0.0000000001\"",
        &format!("\"0.0000000001\" has more decimals than are kept; {SHARE}"),
    );
    position("\"99999999999\"", &format!("\"99999999999\" is too large; {SHARE}"));
    position("true", &format!("true; {SHARE}"));
    position("[]", &format!("a list; {SHARE}"));
    position("2020-01-01", &format!("2020-01-01; {SHARE}"));
    refused(
        "max_drawdown_pct = \"0.1\"",
        "max_drawdown_pct = \"10\"",
        "config.toml:10: risk.max_drawdown_pct: \"10\"; expected a fraction above 0 and at most 1, \
         such as \"0.1\"",
    );
    refused(
        "max_positions = 4",
        "max_positions = \"4\"",
        "config.toml:9: risk.max_positions: \"4\"; expected a whole number from 1 to 1024, without \
         quotes",
    );
    refused(
        "max_positions = 4",
        "max_positions = -4",
        "config.toml:9: risk.max_positions: -4; expected a whole number from 1 to 1024",
    );
    refused(
        "margin = true",
        "margin = \"yes\"",
        "config.toml:12: risk.margin: \"yes\"; expected true or false, without quotes",
    );
    refused(
        "correlation_window = 20",
        "correlation_window = 2",
        "config.toml:15: risk.correlation_window: 2; expected a whole number from 3 to 64",
    );
    refused(
        "sizing_max_qty = \"none\"",
        "sizing_max_qty = \"0\"",
        "config.toml:18: risk.sizing_max_qty: \"0\"; expected a quantity above zero, such as \
         \"10\"",
    );
    refused(
        "max_drawdown_pct",
        "max_draw_down_pct",
        "config.toml:10: risk.max_draw_down_pct: unknown key; expected one of max_position_pct, \
         max_drawdown_pct, max_daily_loss_pct, max_correlation, max_positions, max_order_qty, \
         max_order_notional, max_gross_exposure, max_net_exposure, max_open_orders, max_leverage, \
         price_collar_pct, max_mark_age_ms, duplicate_window_ms, max_orders_per_second, \
         max_messages_per_second, max_repeats, answer_timeout_ms, exposure_basis, margin, \
         correlation_action, correlation_window, self_match, on_anomaly, sizing, sizing_pct, \
         sizing_max_qty, symbols, strategies",
    );
}

/// A key of each unit, at its ends and one past them.
#[test]
fn every_limit_has_a_range() {
    let limit = |key: &str, value: &str| {
        let line = GOOD.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap();
        load(&GOOD.replacen(line, &format!("{key} = {value}"), 1))
    };
    let get = |key: LimitKey, value: &str| {
        limit(key.name(), value).map(|config| config.risk.limits.get(key))
    };
    let ranges = [
        (LimitKey::MaxPositionPct, "\"0.000000001\"", "\"100\"", "\"0\"", "\"100.1\""),
        (LimitKey::PriceCollarPct, "\"0.000000001\"", "\"100\"", "\"0\"", "\"100.1\""),
        (LimitKey::MaxDrawdownPct, "\"0.000000001\"", "\"1\"", "\"0\"", "\"1.1\""),
        (LimitKey::MaxDailyLossPct, "\"0.000000001\"", "\"1\"", "\"0\"", "\"1.1\""),
        (LimitKey::MaxCorrelation, "\"0\"", "\"1\"", "\"-0.1\"", "\"1.1\""),
        (LimitKey::MaxLeverage, "\"0.000000001\"", "\"1000\"", "\"0\"", "\"1000.1\""),
        (LimitKey::MaxOrderQty, "\"0.000000001\"", "\"9000000000\"", "\"0\"", "\"9300000000\""),
        (LimitKey::MaxPositions, "1", "1024", "0", "1025"),
        (LimitKey::MaxOpenOrders, "1", "16384", "0", "16385"),
        (LimitKey::MaxOrdersPerSecond, "1", "10000", "0", "10001"),
        (LimitKey::MaxMessagesPerSecond, "1", "10000", "0", "10001"),
        (LimitKey::MaxRepeats, "1", "1000000", "0", "1000001"),
        (LimitKey::MaxMarkAgeMs, "1", "1814400000", "0", "1814400001"),
        (LimitKey::DuplicateWindowMs, "1", "1814400000", "0", "1814400001"),
        (LimitKey::AnswerTimeoutMs, "1", "3600000", "0", "3600001"),
    ];
    for (key, least, most, below, above) in ranges {
        for value in [least, most] {
            let expected = amount(value.trim_matches('"'));
            assert_eq!(get(key, value), Ok(Some(expected)), "{} {value}", key.name());
        }
        for value in [below, above, "true", "\"\""] {
            let found = get(key, value).expect_err(value);
            assert_eq!(found.key, format!("risk.{}", key.name()));
        }
        assert_eq!(get(key, "\"none\""), Ok(None), "{}", key.name());
    }
    for key in [LimitKey::MaxOrderNotional, LimitKey::MaxGrossExposure, LimitKey::MaxNetExposure] {
        assert_eq!(get(key, "\"0.000000000000000001\""), Ok(Some(Money(1))));
        let found = get(key, "\"0\"").expect_err("zero");
        assert_eq!(found.problem, "\"0\"; expected an amount above zero, such as \"100000\"");
        assert_eq!(get(key, "\"none\""), Ok(None));
    }
    let limits = load(GOOD).unwrap().risk.limits;
    assert!(LimitKey::ALL.iter().all(|key| limits.get(*key).is_some()));
    // What is said, once for each unit.
    let said = |key, value| limit(key, value).unwrap_err().to_string();
    assert_eq!(
        said("max_order_qty", "5"),
        "config.toml:19: risk.max_order_qty: 5 is not in quotes; expected a quantity above zero, \
         such as \"10\": \"5\""
    );
    assert_eq!(
        said("max_leverage", "\"0\""),
        "config.toml:24: risk.max_leverage: \"0\"; expected a number above 0 and at most 1000, \
         such as \"4\""
    );
    assert_eq!(
        said("max_mark_age_ms", "\"5000\""),
        "config.toml:26: risk.max_mark_age_ms: \"5000\"; expected a whole number from 1 to \
         1814400000, without quotes"
    );
}

#[test]
fn what_is_refused_and_what_halts() {
    let config = load(GOOD).unwrap();
    assert!(config.risk.self_match);
    assert_eq!(config.risk.on_anomaly, OnAnomaly::Halt);
    let allowed = accepted("self_match = \"refuse\"", "self_match = \"allow\"");
    assert!(!allowed.risk.self_match);
    refused(
        "self_match = \"refuse\"",
        "self_match = true",
        "config.toml:32: risk.self_match: true; expected \"refuse\" or \"allow\"",
    );
    let anomaly = |value: &str| {
        accepted("on_anomaly = \"halt\"", &format!("on_anomaly = \"{value}\"")).risk.on_anomaly
    };
    assert_eq!(anomaly("report"), OnAnomaly::Report);
    assert_eq!(anomaly("halt_instrument"), OnAnomaly::HaltInstrument);
    refused(
        "on_anomaly = \"halt\"",
        "on_anomaly = \"none\"",
        "config.toml:33: risk.on_anomaly: \"none\"; expected \"report\", \"halt_instrument\" or \
         \"halt\"",
    );
    let sizing = accepted("sizing = \"percent_equity\"", "sizing = \"volatility_target\"");
    assert_eq!(sizing.risk.sizing, Sizing::VolatilityTarget);
}

#[test]
fn limits_of_one_symbol_and_one_strategy() {
    let scoped = |text: &str| load(&GOOD.replacen("[broker]", &format!("{text}\n[broker]"), 1));
    let config = scoped(
        "[risk.symbols.GC]\nmax_order_qty = \"2.5\"\nmax_repeats = \"none\"\n\
         [risk.strategies.momentum]\nmax_open_orders = 3",
    )
    .unwrap();
    // They stand where their instrument and their strategy stand.
    let settings = config.settings(None, FROM, TO).unwrap();
    assert_eq!(settings.risk.symbols.len(), 2);
    assert_eq!(settings.risk.symbols[0], Limits::OFF);
    let gold = Limits { max_order_qty: Some("2.5".parse().unwrap()), ..Limits::OFF };
    assert_eq!(settings.risk.symbols[1], gold);
    let momentum = Limits { max_open_orders: Some(Count(3)), ..Limits::OFF };
    assert_eq!(settings.risk.strategies, [momentum]);
    assert_eq!(settings.risk.limits, config.risk.limits);
    // Another choice of symbols, other places: none is left where gold is not traded.
    let gold_alone = config.settings(Some(&["GC".to_owned()]), FROM, TO).unwrap();
    assert_eq!(gold_alone.risk.symbols, [gold]);
    let without = config.settings(Some(&["ES".to_owned()]), FROM, TO).unwrap();
    assert_eq!(without.risk.symbols, []);
    let refused = |text: &str, expected: &str| {
        assert_eq!(scoped(text).expect_err(text).to_string(), expected);
    };
    refused(
        "[risk.symbols.GD]\nmax_order_qty = \"2\"",
        "config.toml:35: risk.symbols.GD: no instrument \"GD\"; there is: ES, GC",
    );
    refused(
        "[risk.strategies.breakout]",
        "config.toml:35: risk.strategies.breakout: no strategy \"breakout\"; there is: momentum",
    );
    refused(
        "[risk.symbols.GC]\nmax_drawdown_pct = \"0.1\"",
        "config.toml:36: risk.symbols.GC.max_drawdown_pct: unknown key; expected one of \
         max_position_pct, max_order_qty, max_order_notional, max_gross_exposure, \
         max_net_exposure, max_open_orders, price_collar_pct, max_mark_age_ms, \
         max_orders_per_second, max_messages_per_second, max_repeats",
    );
    refused(
        "[risk.symbols.GC]\nmax_open_orders = 0",
        "config.toml:36: risk.symbols.GC.max_open_orders: 0; expected a whole number from 1 to \
         16384",
    );
    refused(
        "[risk.symbols]\nGC = \"none\"",
        "config.toml:36: risk.symbols.GC: \"none\"; expected a table",
    );
}

#[test]
fn lots_may_end_oldest_first() {
    let method = |config: Config| config.settings(None, FROM, TO).unwrap().account.cost_method;
    assert_eq!(method(load(GOOD).unwrap()), CostMethod::Average);
    let line = |value: &str| format!("currency = \"USD\"\ncost_method = \"{value}\"");
    assert_eq!(method(accepted("currency = \"USD\"", &line("fifo"))), CostMethod::Fifo);
    assert_eq!(method(accepted("currency = \"USD\"", &line("average"))), CostMethod::Average);
    refused(
        "currency = \"USD\"",
        &line("lifo"),
        "config.toml:3: account.cost_method: \"lifo\"; expected \"average\" or \"fifo\"",
    );
}

#[test]
fn capacity() {
    let capacity = |line: &str, expected: &str| {
        refused("[broker]", &format!("[capacity]\n{line}\n[broker]"), expected);
    };
    capacity(
        "orders = 20000",
        "config.toml:36: capacity.orders: 20000; expected a whole number from 1 to 16384",
    );
    capacity(
        "executions = 0",
        "config.toml:36: capacity.executions: 0; expected a whole number from 1 to 1048576",
    );
    capacity(
        "checkpoint_interval_slots = 1",
        "config.toml:36: capacity.checkpoint_interval_slots: 1; expected a whole number from 256 \
         to 1099511627776",
    );
    capacity(
        "event_ring_slots = 0x10",
        "config.toml:36: capacity.event_ring_slots: 0x10; expected a whole number from 2048 to \
         1048576",
    );
    let ring = "[capacity]\norders = 1000\nevent_ring_slots = 0x1000\n[broker]";
    assert_eq!(accepted("[broker]", ring).runtime.event_ring_slots, 4_096);
    // A kill of every order must fit.
    let least = limits::event_ring_slots_min(5_000);
    let ring = |slots| format!("[capacity]\norders = 5000\nevent_ring_slots = {slots}\n[broker]");
    assert_eq!(accepted("[broker]", &ring(least)).runtime.event_ring_slots, least);
    refused(
        "[broker]",
        &ring(least - 1),
        &format!(
            "config.toml:37: capacity.event_ring_slots: {}; expected at least {least}: a kill must \
             find room for a cancel of each of capacity.orders = 5000",
            least - 1
        ),
    );
}

#[test]
fn broker() {
    let broker = |line: &str, expected: &str| {
        refused("\"simulated\"", &format!("\"simulated\"\n{line}"), expected);
    };
    refused(
        "\"simulated\"",
        "\"live\"",
        "config.toml:36: broker.kind: \"live\"; expected \"simulated\"",
    );
    refused(
        "kind = \"simulated\"",
        "",
        "config.toml:35: broker.kind: missing; expected \"simulated\"",
    );
    broker(
        "slippage_bps = \"-1\"",
        "config.toml:37: broker.slippage_bps: \"-1\"; expected basis points from 0 to 10000, such \
         as \"1.5\"",
    );
    broker(
        "commission_bps = \"0.000001\"",
        "config.toml:37: broker.commission_bps: \"0.000001\" has more decimals than are kept; \
         expected basis points from 0 to 10000, such as \"1.5\"",
    );
    broker(
        "commission_per_contract = \"-2\"",
        "config.toml:37: broker.commission_per_contract: \"-2\"; expected an amount of zero or \
         more, such as \"2.05\"",
    );
    broker(
        "latency_ms = 3600001",
        "config.toml:37: broker.latency_ms: 3600001; expected a whole number from 0 to 3600000",
    );
    broker(
        "partial_fill_qty = \"0\"",
        "config.toml:37: broker.partial_fill_qty: \"0\"; expected a quantity above zero, such as \
         \"10\"",
    );
    broker(
        "reject_rate = \"1.1\"",
        "config.toml:37: broker.reject_rate: \"1.1\"; expected a fraction from 0 to 1, such as \
         \"0.8\"",
    );
    broker(
        "seed = -1",
        "config.toml:37: broker.seed: -1; expected a whole number from 0 to 9223372036854775807",
    );
}

#[test]
fn strategy() {
    let strategy = |text: &str, expected: &str| refused("kind = \"momentum\"", text, expected);
    strategy(
        "kind = \"hope\"",
        "config.toml:39: strategy.kind: \"hope\"; expected \"momentum\", \"mean_reversion\" or \
         \"breakout\"",
    );
    strategy(
        "kind = \"momentum\"\nentry = \"2\"",
        "config.toml:40: strategy.entry: unknown key; expected one of kind, lookback, threshold, \
         allow_short",
    );
    strategy(
        "kind = \"momentum\"\nlookback = 0",
        "config.toml:40: strategy.lookback: 0; expected a whole number from 1 to 10000",
    );
    strategy(
        "kind = \"momentum\"\nthreshold = \"2%\"",
        "config.toml:40: strategy.threshold: \"2%\" is no decimal number; expected a fraction from \
         0 to 100, such as \"0.02\"",
    );
    strategy(
        "kind = \"mean_reversion\"\nlookback = 1",
        "config.toml:40: strategy.lookback: the lookback of mean_reversion must be at least 2 bars",
    );
    strategy(
        "kind = \"mean_reversion\"\nentry = \"1\"\nexit = \"1\"",
        "config.toml:41: strategy.exit: exit must not be negative and must be below entry",
    );
    let config = accepted("kind = \"momentum\"", "kind = \"breakout\"\nexit_lookback = 5");
    let expected =
        StrategySettings::Breakout { entry_lookback: 20, exit_lookback: 5, allow_short: false };
    assert_eq!(config.strategy, expected);
}

#[test]
fn timers_and_the_halt_file() {
    let timed = |text: &str| accepted("release = \"written\"", text).runtime.timer_interval_ms;
    assert_eq!(timed("pace = \"flood\""), Some(100));
    assert_eq!(timed("timer_interval_ms = \"none\""), None);
    refused(
        "release = \"written\"",
        "timer_interval_ms = 0",
        "config.toml:42: runtime.timer_interval_ms: 0; expected a whole number from 1 to 3600000",
    );
    let behind = |text: &str| accepted("release = \"written\"", text).runtime.log_behind_ms;
    assert_eq!(behind("pace = \"flood\""), Some(250));
    assert_eq!(behind("log_behind_ms = \"none\""), None);
    refused(
        "release = \"written\"",
        "log_behind_ms = 3600001",
        "config.toml:42: runtime.log_behind_ms: 3600001; expected a whole number from 1 to 3600000",
    );
    let halted = |text: &str| accepted("release = \"written\"", text).runtime.halt_file;
    assert_eq!(halted("halt_file = \"HALT\"").as_deref(), Some(Path::new("config/HALT")));
    assert_eq!(halted("halt_file = \"/run/HALT\"").as_deref(), Some(Path::new("/run/HALT")));
    assert_eq!(halted("halt_file = \"none\""), None);
    refused(
        "release = \"written\"",
        "halt_file = 1",
        "config.toml:42: runtime.halt_file: 1; expected a file's name, or \"none\"",
    );
}

#[test]
fn how_much_of_the_log_stays() {
    let retention = |text| accepted("sync = \"interval\"", text).log.retention;
    assert_eq!(retention("keep_segments = \"all\""), None);
    let kept = retention("keep_segments = 3\narchive = \"old\"").expect("a number");
    assert_eq!(kept.keep_segments, 3);
    assert!(kept.archive.ends_with("old"), "{kept:?}");
    refused(
        "sync = \"interval\"",
        "keep_segments = 0\narchive = \"old\"",
        "config.toml:45: log.keep_segments: 0; expected a whole number from 1 to 4294967296",
    );
    refused(
        "sync = \"interval\"",
        "keep_segments = 3",
        "config.toml:45: log.keep_segments: log.archive is missing: the directory that the others \
         go to, since none is deleted",
    );
    refused(
        "sync = \"interval\"",
        "archive = \"old\"",
        "config.toml:45: log.archive: with a number of log.keep_segments only; leave it out",
    );
    refused(
        "sync = \"interval\"",
        "keep_segments = 3\narchive = 7",
        "config.toml:46: log.archive: 7; expected a directory's name",
    );
    refused(
        "sync = \"interval\"",
        "keep_segments = 3\nsnapshot_every = \"none\"",
        "config.toml:45: log.keep_segments: a segment goes only behind a snapshot, and \
         log.snapshot_every is \"none\"",
    );
}

#[test]
fn runtime_and_log() {
    refused(
        "release = \"written\"",
        "release = \"now\"",
        "config.toml:42: runtime.release: \"now\"; expected \"immediate\", \"written\" or \
         \"synced\"",
    );
    refused(
        "release = \"written\"",
        "idle_broker = \"sleep\"",
        "config.toml:42: runtime.idle_broker: \"sleep\"; expected \"spin\", \"yield\" or \"park\"",
    );
    refused(
        "release = \"written\"",
        "engine_core = 1024",
        "config.toml:42: runtime.engine_core: 1024; expected a whole number from 0 to 1023",
    );
    refused(
        "release = \"written\"",
        "pace = \"fast\"",
        "config.toml:42: runtime.pace: \"fast\"; expected lockstep, flood, realtime, or realtime \
         xN with N from 1",
    );
    refused(
        "release = \"written\"\n\n[log]\nsync = \"interval\"",
        "release = \"synced\"\n\n[log]\nsync = \"never\"",
        "config.toml:42: runtime.release: \"synced\", but log.sync = \"never\": no order would \
         ever leave; expected \"interval\" or \"every_batch\" there",
    );
    assert_eq!(accepted("release = \"written\"", "engine_core = 3").runtime.engine_core, Some(3));
    let paced = |text: &str| accepted("release = \"written\"", text).runtime.pace;
    assert_eq!(paced("pace = \"realtime x60\""), Pace::Realtime(60));
    assert_eq!(paced("pace = \"realtime\""), Pace::Realtime(1));
    assert_eq!(paced("pace = \"flood\""), Pace::Flood);
    refused(
        "release = \"written\"",
        "pace = \"realtime x0\"",
        "config.toml:42: runtime.pace: \"realtime x0\"; expected lockstep, flood, realtime, or \
         realtime xN with N from 1",
    );
    let log = |text: &str, expected: &str| refused("sync = \"interval\"", text, expected);
    log(
        "sync = \"always\"",
        "config.toml:45: log.sync: \"always\"; expected \"never\", \"interval\" or \
         \"every_batch\"",
    );
    log(
        "sync = \"never\"\nsync_interval_ms = 5",
        "config.toml:46: log.sync_interval_ms: only sync = \"interval\" has one; leave it out",
    );
    log(
        "segment_size = 4096",
        "config.toml:45: log.segment_size: 4096; expected a whole number from 65536 to 68719476736",
    );
    log(
        "segment_size = 70000",
        "config.toml:45: log.segment_size: 70000; expected a multiple of 65536",
    );
    refused(
        "sync = \"interval\"",
        "snapshot_every = 9999",
        "config.toml:45: log.snapshot_every: 9999; expected a whole number from 10000 to \
         1099511627776",
    );
    let every = |text| accepted("sync = \"interval\"", text).log.snapshot_every;
    assert_eq!(every("sync = \"interval\""), Some(trade_engine::limits::SNAPSHOT_EVERY));
    assert_eq!(every("snapshot_every = 20_000"), Some(20_000));
    assert_eq!(every("snapshot_every = \"none\""), None);
    let config = accepted("sync = \"interval\"", "segment_size = 131_072\nsync = \"every_batch\"");
    assert_eq!(config.log.segment_size, 131_072);
    assert_eq!(config.log.sync, SyncPolicy::EveryBatch);
}

#[test]
fn feed() {
    let list = "symbols = [\n  \"ES\",\n  \"GC\",\n]";
    refused(
        list,
        "price_column = \"close\"",
        "config.toml:48: feed.price_column: \"close\"; expected \"back_adjusted\" or \"spliced\"",
    );
    refused("  \"GC\",", "  \"ES\",", "config.toml:50: feed.symbols[1]: \"ES\" is there twice");
    refused("  \"GC\",", "  5,", "config.toml:50: feed.symbols[1]: 5; expected a text in quotes");
    refused(
        "  \"GC\",",
        "  \"ZB\",",
        "config.toml:50: feed.symbols[1]: no instrument \"ZB\"; there is: ES, GC",
    );
    refused(
        list,
        "symbols = []",
        "config.toml:48: feed.symbols: an empty list; expected one symbol or more, or no such key",
    );
}

#[test]
fn instruments_and_calendars() {
    refused(
        "tick_size = \"0.25\"",
        "tick_size = 0.25",
        "config.toml:55: instruments[0].tick_size: invalid type: floating point `0.25`, expected a \
         string",
    );
    refused(
        "tick_size = \"0.1\"",
        "tick = \"0.1\"",
        "config.toml:61: instruments[1].tick: unknown field `tick`, expected one of `symbol`, \
         `tick_size`, `lot_size`, `multiplier`, `currency`, `initial_margin`, \
         `maintenance_margin`, `min_qty`, `max_qty`, `min_notional`, `max_notional`, \
         `negative_prices`, `calendar`, `session`",
    );
    refused(
        "tick_size = \"0.1\"\n",
        "",
        "config.toml:59: instruments[1]: missing field `tick_size`",
    );
    refused(
        "\"0.1\"\n\n[calendars",
        "\"zero\"\n\n[calendars",
        "config.toml:61: instruments[1].tick_size: \"zero\": not a decimal number; expected a \
         decimal such as \"0.25\"",
    );
    refused(
        "calendar = \"week\"",
        "calendar = \"weak\"",
        "config.toml:57: instruments[0].calendar: no calendar \"weak\"; there is: week",
    );
    refused(
        "\"2014-12-25\"",
        "\"2014-12-32\"",
        "config.toml:68: calendars.week.holidays: \"2014-12-32\"; expected a date such as \
         \"2014-12-25\"",
    );
    refused(
        "\"12:00\"",
        "\"25:00\"",
        "config.toml:71: calendars.week.early_closes.2014-12-23: \"25:00\"; expected a time of day \
         such as \"17:00\"",
    );
    refused(
        "symbol = \"GC\"",
        "symbol = \"ES\"",
        "config.toml:60: instruments[1].symbol: \"ES\" is there twice",
    );
}

#[test]
fn exactly_one_place_for_contracts() {
    let first =
        |line: &str, expected: &str| refused("[account]", &format!("{line}\n[account]"), expected);
    first(
        "contracts = \"standard\"",
        "config.toml:1: contracts: there is also \"instruments\" in this file; expected one of the \
         two",
    );
    let bare = GOOD.split_once("[feed]").unwrap().0;
    let with = |line: &str| load(&format!("{line}\n{bare}"));
    assert_eq!(
        with("").unwrap_err().to_string(),
        "config.toml: contracts: missing; expected \"standard\", the name of a file, or \
         [[instruments]] instead"
    );
    assert_eq!(
        with("contracts = 8").unwrap_err().to_string(),
        "config.toml:1: contracts: 8; expected \"standard\", the name of a file, or \
         [[instruments]] instead"
    );
    let missing = with("contracts = \"nowhere.toml\"").unwrap_err();
    assert_eq!((missing.line, missing.key.as_str()), (Some(1), "contracts"));
    assert!(missing.problem.starts_with("\"config/nowhere.toml\" cannot be read: "), "{missing}");
    assert_eq!(with("contracts = \"standard\"").unwrap().contracts.instruments.len(), 8);
    // Relative to the file, which is said to lie in config/: tests run at the top.
    let by_name = with("contracts = \"contracts.toml\"").unwrap();
    assert_eq!(by_name.contracts.instruments.len(), 8);
}

#[test]
fn a_mistake_in_a_contracts_file_names_that_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.toml");
    let bare = GOOD.split_once("[feed]").unwrap().0;
    let text = format!("contracts = \"mine.toml\"\n{bare}");
    let check = |contracts: &str, expected: &str| {
        std::fs::write(&path, contracts).unwrap();
        let found = Config::from_toml(&text, "config.toml", dir.path()).unwrap_err().to_string();
        assert_eq!(found, format!("{}{expected}", path.display()));
    };
    check(
        "[[instruments]]\nsymbol = \"ES\"\ntick_size = \"-1\"",
        ":3: instruments[0].tick_size: tick_size must be above zero",
    );
    check("[risk]", ":1: risk: unknown key; expected one of instruments, calendars");
    check("", ": missing field `instruments`");
    check("instruments = []", ":1: instruments: an empty list; expected one instrument or more");

    let path = dir.path().join("config.toml");
    std::fs::write(&path, GOOD.replacen("\"0.05\"", "\"a\"", 1)).unwrap();
    let found = Config::load(&path).unwrap_err();
    assert_eq!((found.file, found.line), (path.display().to_string(), Some(7)));
    let found = Config::load(&dir.path().join("none.toml")).unwrap_err();
    assert!(found.problem.starts_with("cannot be read: "), "{found}");
    std::fs::write(&path, b"\xff").unwrap();
    let found = Config::load(&path).unwrap_err();
    assert!(found.problem.starts_with("cannot be read: "), "{found}");
}

#[test]
fn what_is_traded_fits_the_rest() {
    refused(
        "sizing = \"percent_equity\"",
        "sizing = \"percent_margin\"",
        "config.toml:59: instruments[1].initial_margin: GC: missing; risk.sizing = \
         \"percent_margin\" needs it",
    );
    refused(
        "exposure_basis = \"notional\"",
        "exposure_basis = \"margin\"",
        "config.toml:59: instruments[1].initial_margin: GC: missing; risk.exposure_basis = \
         \"margin\" needs it",
    );
    // Another currency than the account's is good, but for a venue that checks margin in its own.
    let euros = "tick_size = \"0.1\"\ncurrency = \"EUR\"";
    let config = accepted("tick_size = \"0.1\"", euros);
    assert_eq!(config.settings(None, FROM, TO).unwrap().instruments[1].currency, "EUR");
    let text = GOOD.replacen("tick_size = \"0.1\"", euros, 1);
    let text = text.replacen("\"simulated\"", "\"simulated\"\ncheck_margin = true", 1);
    assert_eq!(
        load(&text).unwrap_err().to_string(),
        "config.toml:37: broker.check_margin: true, but GC is in EUR; the venue's account is in \
         USD alone"
    );
    // Not traded, not asked for.
    let only_es = GOOD.replacen("  \"GC\",\n", "", 1);
    let text = only_es.replacen("\"percent_equity\"", "\"percent_margin\"", 1);
    let config = load(&text).unwrap();
    assert_eq!(symbols(&config.settings(None, FROM, TO).unwrap()), ["ES"]);
    let both = ["GC".to_owned(), "ES".to_owned()];
    let found = config.settings(Some(&both), FROM, TO).unwrap_err().to_string();
    assert!(found.contains("instruments[1].initial_margin: GC: missing"), "{found}");
    let zero = text.replacen("\"100\"", "\"0.0\"", 1);
    assert_eq!(
        load(&zero).unwrap_err().to_string(),
        "config.toml:55: instruments[0].initial_margin: \"0.0\"; risk.sizing = \"percent_margin\" \
         needs more than zero"
    );
}

#[test]
fn settings_have_the_instruments_that_are_asked_for() {
    let config = Config::embedded_default();
    let asked = ["GC", "ES"].map(str::to_owned);
    let settings = config.settings(Some(&asked), FROM, TO).unwrap();
    assert_eq!(symbols(&settings), ["ES", "GC"]);
    assert!(settings.day_roll_ends_orders && settings.forward_market_data);
    assert!(!settings.refuse_old_time);
    assert_eq!(settings.account.initial_capital, config.account.initial_capital);
    assert_eq!(settings.risk, config.risk);
    let unknown = ["ES", "TSLA"].map(str::to_owned);
    let found = config.settings(Some(&unknown), FROM, TO).unwrap_err();
    assert_eq!(
        found.to_string(),
        "config/contracts.toml:21: instruments: no instrument \"TSLA\"; there is: ES, NQ, RTY, YM, \
         CL, GC, SI, ZN"
    );
    let found = config.settings(None, Ts(i64::MIN / 2), Ts(i64::MAX / 2)).unwrap_err();
    assert!(found.problem.contains("the range is longer"), "{found}");
    // What a command line changes is checked too.
    let mut changed = Config::embedded_default();
    changed.runtime.release = Release::Synced;
    changed.log.sync = SyncPolicy::Never;
    assert_eq!(changed.settings(None, FROM, TO).unwrap_err().key, "runtime.release");
    assert_eq!(DEFAULT_CONFIG, include_str!("../config/default.toml"));
}

/// Whatever is cut out of a good file or written over it: an error or a configuration, no panic.
#[test]
fn no_text_panics() {
    for (at, _) in GOOD.char_indices() {
        let _ = load(&GOOD[..at]);
        let next = GOOD[at..].chars().next().unwrap().len_utf8();
        let _ = load(&format!("{}{}", &GOOD[..at], &GOOD[at + next..]));
        for other in ["\"", "9", "["] {
            let _ = load(&format!("{}{other}{}", &GOOD[..at], &GOOD[at + next..]));
        }
    }
}
