//! `trade-engine check-config FILE`: loads a configuration as a run would, and says in words what
//! was understood.

use crate::limits::{self, OFF};
use crate::text::count;
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::path::Path;
use trade_engine::config::{
    BrokerConfig, Config, ConfigError, Idle, Pace, PriceColumn, Release, SyncPolicy,
};
use trade_engine::instrument::Instrument;
use trade_engine::settings::{
    CorrelationAction, CostMethod, ExposureBasis, LimitKey, OnAnomaly, Scope, Settings, Sizing,
};
use trade_engine::strategy::StrategySettings;
use trade_engine::units::{Money, Ratio, Ts};

const DAY_NS: i64 = 86_400_000_000_000;

/// Loads and cross-checks a configuration; returns what a person should read.
///
/// # Errors
/// The first thing wrong, with file, line and key.
pub fn check_config(path: &Path) -> Result<String, ConfigError> {
    let config = Config::load(path)?;
    let now = i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(0);
    let path = crate::text::clean(&path.display().to_string());
    Ok(format!("{path}: good\n\n{}", describe(&config, Ts(now))?))
}

/// What a configuration means, with the sessions of the week that follows `now`.
///
/// # Errors
/// Settings that contradict each other, where the caller has changed any since it was read.
pub fn describe(config: &Config, now: Ts) -> Result<String, ConfigError> {
    let week_end = Ts(now.0.saturating_add(7 * DAY_NS));
    let settings = config.settings(None, now, week_end)?;
    let mut text = rules(config, &settings);
    runtime(&mut text, config);
    feed(&mut text, config);
    text.push_str("\ninstruments\n");
    for instrument in &settings.instruments {
        describe_instrument(&mut text, instrument);
    }
    text.push_str("\nsessions of the next seven days, UTC\n");
    for instrument in &settings.instruments {
        sessions(&mut text, instrument);
    }
    Ok(text)
}

/// By which rules a run plays: account, limits, sizing, broker, strategy.
pub fn rules(config: &Config, settings: &Settings) -> String {
    let mut text = String::new();
    account(&mut text, config, settings);
    limits(&mut text, settings);
    sizing(&mut text, settings);
    broker(&mut text, &config.broker);
    strategy(&mut text, &config.strategy);
    text
}

fn line(text: &mut String, name: &str, value: impl Display) {
    writeln!(text, "  {name:<24}{value}").expect("a string takes any text");
}

/// A fraction as a percentage, exactly.
fn percent(ratio: Ratio) -> String {
    // Two decimals fewer: a percent is a hundredth of the whole, which has nine.
    let mut text = String::new();
    trade_engine::units::write_decimal(&mut text, i128::from(ratio.0), 7)
        .expect("a string takes any text");
    text + " %"
}

fn account(text: &mut String, config: &Config, settings: &Settings) {
    let account = &config.account;
    text.push_str("account\n");
    line(text, "initial capital", format!("{} {}", account.initial_capital, account.currency));
    let roll = &account.day_roll;
    line(text, "day rolls at", format!("{} in {}", roll.time, roll.timezone));
    let cost = match account.cost_method {
        CostMethod::Average => "a share of every lot: average cost",
        CostMethod::Fifo => "the oldest lots: first in, first out",
    };
    line(text, "a closing trade ends", cost);
    for (currency, symbols) in foreign(settings) {
        let what = format!(
            "needs a conversion rate for {}, and bars bring none: without one its orders are \
             refused (NO_RATE) and it counts nothing",
            symbols.join(", ")
        );
        line(text, currency, what);
    }
}

/// The currencies beside the account's, and what is quoted in them.
fn foreign(settings: &Settings) -> BTreeMap<&str, Vec<&str>> {
    let own = &settings.account.currency;
    let mut foreign: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in settings.instruments.iter().filter(|one| one.currency != *own) {
        foreign.entry(&one.currency).or_default().push(&one.symbol);
    }
    foreign
}

/// Every limit, by whose it is; what is off is there too, and named again below.
fn limits(text: &mut String, settings: &Settings) {
    let risk = &settings.risk;
    for group in limits::groups(risk, settings) {
        writeln!(text, "\nlimits of {}", group.title()).expect("a string takes any text");
        for (key, limit) in group.all() {
            let is_account = group.scope == Scope::Account;
            if is_account || limit.is_some() {
                let remark = limit.map_or_else(String::new, |_| remark(key, settings));
                line(text, key.name(), limits::value(key, limit) + &remark);
            }
        }
        if group.scope == Scope::Account {
            line(text, "margin", margin(settings));
            let self_match = if risk.self_match { "refuses to trade with itself" } else { OFF };
            line(text, "self_match", self_match);
            let on_anomaly = match risk.on_anomaly {
                OnAnomaly::Report => "is recorded, and nothing else",
                OnAnomaly::HaltInstrument => "halts its instrument until resumed",
                OnAnomaly::Halt => "halts all trading until resumed",
            };
            line(text, "an anomaly", on_anomaly);
            writeln!(text, "  {}", limits::off_line(risk)).expect("a string takes any text");
        }
    }
}

/// What a number alone does not say.
fn remark(key: LimitKey, settings: &Settings) -> String {
    let risk = &settings.risk;
    let basis = match risk.exposure_basis {
        ExposureBasis::Notional => "notional",
        ExposureBasis::Margin => "initial margin",
        ExposureBasis::Price => "price x quantity",
        ExposureBasis::Risk => "risk to the stop",
    };
    let currency = &settings.account.currency;
    match key {
        LimitKey::MaxPositionPct => format!(" of equity, by {basis}"),
        LimitKey::MaxDrawdownPct => " from the highest equity, then halted".to_owned(),
        LimitKey::MaxDailyLossPct => " of the day's first equity, until the day rolls".to_owned(),
        LimitKey::MaxCorrelation => {
            let action = match risk.correlation_action {
                CorrelationAction::Warn => "warns",
                CorrelationAction::Refuse => "refuses",
            };
            format!(" over {} bar closes, {action}", risk.correlation_window)
        }
        LimitKey::MaxOrderNotional | LimitKey::MaxGrossExposure | LimitKey::MaxNetExposure => {
            format!(" {currency}")
        }
        LimitKey::MaxLeverage => " x equity".to_owned(),
        LimitKey::PriceCollarPct => " from the mark".to_owned(),
        LimitKey::MaxRepeats => ", then until re-armed".to_owned(),
        LimitKey::AnswerTimeoutMs => ", then an alert".to_owned(),
        LimitKey::MaxPositions
        | LimitKey::MaxOrderQty
        | LimitKey::MaxOpenOrders
        | LimitKey::MaxMarkAgeMs
        | LimitKey::DuplicateWindowMs
        | LimitKey::MaxOrdersPerSecond
        | LimitKey::MaxMessagesPerSecond => String::new(),
    }
}

/// The margin rule looks only at what has a margin: whatever has none is named.
fn margin(settings: &Settings) -> String {
    if !settings.risk.margin {
        return OFF.to_owned();
    }
    let without: Vec<&str> = settings
        .instruments
        .iter()
        .filter(|one| one.initial_margin.is_none())
        .map(|one| one.symbol.as_str())
        .collect();
    if without.is_empty() {
        return "equity covers all initial margin".to_owned();
    }
    format!("equity covers all initial margin; none is known for {}", without.join(", "))
}

fn sizing(text: &mut String, settings: &Settings) {
    let risk = &settings.risk;
    text.push_str("\nsizing\n");
    let share = percent(risk.sizing_pct);
    let size = match risk.sizing {
        Sizing::PercentEquity => format!("{share} of equity x strength, by notional"),
        Sizing::PercentMargin => format!("{share} of equity x strength, by initial margin"),
        Sizing::FixedRisk => format!("{share} of equity at risk to the stop"),
        Sizing::VolatilityTarget => {
            format!("{share} of equity x strength is what one bar's typical move makes or loses")
        }
        Sizing::Exact => "the signal's own quantity".to_owned(),
    };
    line(text, "quantity", size);
    let most = risk.sizing_max_qty.map(|most| format!("{most} units of the underlying"));
    line(text, "at most", most.unwrap_or_else(|| OFF.to_owned()));
}

fn broker(text: &mut String, broker: &BrokerConfig) {
    let BrokerConfig::Simulated(venue) = broker;
    text.push_str("\nbroker: simulated\n");
    line(text, "slippage", percent(venue.slippage));
    let parts = [
        (venue.commission_per_contract, "a lot"),
        (venue.commission_per_share, "a unit of quantity"),
    ];
    let mut commission: Vec<String> = parts
        .iter()
        .filter(|(money, _)| *money != Money::ZERO)
        .map(|(money, per)| format!("{money} {per}"))
        .collect();
    if venue.commission_rate != Ratio(0) {
        commission.push(format!("{} of the value", percent(venue.commission_rate)));
    }
    let commission =
        if commission.is_empty() { "none".to_owned() } else { commission.join(" and ") };
    line(text, "commission", commission);
    line(text, "latency", format!("{} ms", venue.latency_ms));
    let partial = venue.partial_fill_qty;
    let takes =
        partial.map_or_else(|| "the whole order".to_owned(), |most| format!("at most {most}"));
    line(text, "one trade takes", takes);
    line(text, "random rejects", percent(venue.reject_rate));
    line(text, "seed", venue.seed);
    line(text, "checks margin itself", yes_no(venue.initial_capital.is_some()));
}

const fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn strategy(text: &mut String, strategy: &StrategySettings) {
    writeln!(text, "\nstrategy: {}", strategy.name()).expect("a string takes any text");
    let short = match *strategy {
        StrategySettings::Momentum { lookback, threshold, allow_short } => {
            line(text, "lookback", format!("{lookback} bars"));
            line(text, "threshold", percent(threshold));
            allow_short
        }
        StrategySettings::MeanReversion { lookback, entry, exit, allow_short } => {
            line(text, "lookback", format!("{lookback} closes"));
            line(text, "entry", format!("{entry} deviations"));
            line(text, "exit", format!("{exit} deviations"));
            allow_short
        }
        StrategySettings::Breakout { entry_lookback, exit_lookback, allow_short } => {
            line(text, "entry", format!("{entry_lookback} bars"));
            line(text, "exit", format!("{exit_lookback} bars"));
            allow_short
        }
    };
    line(text, "sells short", yes_no(short));
}

const fn idle(idle: Idle) -> &'static str {
    match idle {
        Idle::Spin => "spin",
        Idle::Yield => "yield",
        Idle::Park => "park",
    }
}

fn or_off<T>(setting: Option<T>, show: impl FnOnce(T) -> String) -> String {
    setting.map_or_else(|| "OFF".to_owned(), show)
}

fn runtime(text: &mut String, config: &Config) {
    let runtime = &config.runtime;
    text.push_str("\nruntime and log\n");
    let release = match runtime.release {
        Release::Immediate => "at once; a crash may leave orders that the log does not know",
        Release::Written => "when its record survives the process",
        Release::Synced => "when its record survives the machine",
    };
    line(text, "an order leaves", release);
    let pace = match runtime.pace {
        Pace::Lockstep => "lockstep: two runs are alike".to_owned(),
        Pace::Realtime(times) => format!("real time x {times}"),
        Pace::Flood => "flood: as fast as the rings take it".to_owned(),
    };
    line(text, "pace", pace);
    let others = [
        ("engine", runtime.idle_engine),
        ("journal", runtime.idle_journal),
        ("broker", runtime.idle_broker),
        ("gateway", runtime.idle_gateway),
    ];
    let waits: Vec<String> =
        others.iter().map(|(name, how)| format!("{name} {}", idle(*how))).collect();
    line(text, "waiting", waits.join(", "));
    let core = runtime.engine_core;
    let core = core.map_or_else(|| "chosen at start".to_owned(), |core| core.to_string());
    line(text, "core of the engine", core);
    let timer = or_off(runtime.timer_interval_ms, |ms| format!("every {ms} ms, in real time"));
    line(text, "time while idle", timer);
    let behind = or_off(runtime.log_behind_ms, |ms| format!("{ms} ms behind, in real time"));
    line(text, "a halt if the log is", behind);
    let halt_file = or_off(runtime.halt_file.as_ref(), |file| file.display().to_string());
    line(text, "halt file", halt_file);
    let sync = match config.log.sync {
        SyncPolicy::Never => "when it is closed".to_owned(),
        SyncPolicy::Interval { ms } => format!("every {ms} ms"),
        SyncPolicy::EveryBatch => "after every batch".to_owned(),
    };
    line(text, "log goes to the disk", sync);
    line(text, "segment", format!("{} bytes", config.log.segment_size));
    let snapshots = or_off(config.log.snapshot_every, |every| format!("every {every} records"));
    line(text, "snapshot of the state", snapshots);
    let retention = config.log.retention.as_ref();
    let kept = retention.map(|retention| count(retention.keep_segments, "segment"));
    let kept = kept.map(|kept| format!("the last {kept}, and what the state needs"));
    line(text, "stays in its directory", kept.as_deref().unwrap_or("all of it"));
    if let Some(retention) = retention {
        line(text, "the others go to", retention.archive.display());
    }
    let capacity = &config.capacity;
    line(text, "orders at once", capacity.orders);
    line(text, "executions remembered", capacity.executions);
    line(text, "checkpoint every", format!("{} slots", capacity.checkpoint_interval_slots));
    line(text, "event ring", format!("{} slots", runtime.event_ring_slots));
}

fn feed(text: &mut String, config: &Config) {
    text.push_str("\nfeed\n");
    let column = match config.feed.price_column {
        PriceColumn::BackAdjusted => "back-adjusted",
        PriceColumn::Spliced => "spliced",
    };
    line(text, "daily futures prices", column);
    let symbols = config.feed.symbols.as_ref();
    line(text, "symbols", symbols.map_or_else(|| "all".to_owned(), |some| some.join(", ")));
}

fn describe_instrument(text: &mut String, instrument: &Instrument) {
    let tick_value = Money(
        i128::from(instrument.tick_size.0).saturating_mul(i128::from(instrument.lot_value())),
    );
    let currency = &instrument.currency;
    let margin = instrument
        .initial_margin
        .map_or_else(|| "no margin known".to_owned(), |margin| format!("margin {margin}"));
    let about = format!("tick {} = {tick_value} {currency} a lot, {margin}", instrument.tick_size);
    line(text, &instrument.symbol, about);
}

fn sessions(text: &mut String, instrument: &Instrument) {
    let Some(sessions) = &instrument.sessions else {
        return line(text, &instrument.symbol, "always open");
    };
    if sessions.is_empty() {
        line(text, &instrument.symbol, "closed");
    }
    for (index, session) in sessions.iter().enumerate() {
        let name = if index == 0 { instrument.symbol.as_str() } else { "" };
        let span = format!("{} to {}", moment(session.open), moment(session.close));
        line(text, name, span);
    }
}

/// `Mon 2026-03-09 22:00`.
fn moment(ts: Ts) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(ts.0))
        .map_or_else(|_| ts.0.to_string(), |time| time.strftime("%a %Y-%m-%d %H:%M").to_string())
}
