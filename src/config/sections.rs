//! The tables of a configuration file, one function each.

use super::error::Fault;
use super::parts::{
    AccountConfig, BrokerConfig, DayRollConfig, FeedConfig, Idle, LogConfig, Pace, PriceColumn,
    Release, Retention, RuntimeConfig, SyncPolicy,
};
use super::table::{Table, Value, fault};
use crate::broker::SimSettings;
use crate::contracts;
use crate::limits;
use crate::settings::{
    Capacity, CorrelationAction, CostMethod, ExposureBasis, LimitKey, LimitUnit, Limits, OnAnomaly,
    RiskSettings, Sizing,
};
use crate::strategy::{LOOKBACK_MAX, StrategyError, StrategySettings};
use crate::units::{Money, Ratio};
use std::collections::BTreeMap;
use std::path::Path;

/// Largest share of equity that a limit or a size may be: a hundredfold.
const SHARE_MAX: Ratio = Ratio(100 * Ratio::ONE.0);
/// Largest number of deviations that mean reversion may wait for.
const DEVIATIONS_MAX: Ratio = Ratio(100 * Ratio::ONE.0);
/// Cores that a machine may have; the system's own tables end there.
const CORES_MAX: usize = 1_024;
/// Longest delay of the simulated venue and longest time between two syncs: an hour.
const HOUR_MS: u64 = 3_600_000;
/// Longest age of a mark, and of what a limit looks back at: three weeks, over any holidays.
const AGE_MAX_MS: u64 = 21 * 24 * HOUR_MS;
/// Largest leverage that a limit may allow: a thousandfold.
const LEVERAGE_MAX: Ratio = Ratio(1_000 * Ratio::ONE.0);
/// Most repeated orders that a limit may allow.
const REPEATS_MAX: u64 = 1_000_000;

/// The smallest fraction above zero.
const ABOVE_ZERO: Ratio = Ratio(1);
/// A limit or a size that may be more than the whole.
const SHARE: &str = "a fraction above 0 and at most 100, such as \"0.05\"";
/// A loss.
const LOSS: &str = "a fraction above 0 and at most 1, such as \"0.1\"";
/// Gross exposure by equity.
const LEVERAGE: &str = "a number above 0 and at most 1000, such as \"4\"";
/// A part of the whole.
const PART: &str = "a fraction from 0 to 1, such as \"0.8\"";

/// `[account]`.
pub(super) fn account(root: &Table<'_>) -> Result<AccountConfig, Fault> {
    let table = root.table("account")?;
    table.only(&["currency", "initial_capital", "cost_method", "day_roll"])?;
    let currency = table.required("currency")?;
    let name = currency.text("a currency such as \"USD\"")?;
    contracts::check_name(&currency.key, name)?;
    let capital = table.required("initial_capital")?;
    let initial_capital = capital.money()?;
    if initial_capital <= Money::ZERO {
        return Err(capital.wrong("an amount above zero, such as \"100000\""));
    }
    let methods = [("average", CostMethod::Average), ("fifo", CostMethod::Fifo)];
    let cost_method = table.choice("cost_method", &methods, Some(CostMethod::default()))?;
    table.required("day_roll")?;
    let roll = table.table("day_roll")?;
    roll.only(&["timezone", "time"])?;
    let timezone = roll.required("timezone")?;
    let time = roll.required("time")?;
    let day_roll = DayRollConfig {
        timezone: timezone.text("a time zone such as \"America/Chicago\"")?.to_owned(),
        time: contracts::time(&time.key, time.text("a time of day such as \"17:00\"")?)?,
    };
    let unknown = |problem| fault(&timezone.key, format!("{:?}: {problem}", day_roll.timezone));
    day_roll.rule().map_err(unknown)?;
    Ok(AccountConfig { currency: name.to_owned(), initial_capital, cost_method, day_roll })
}

const EXPOSURES: &[(&str, ExposureBasis)] = &[
    ("notional", ExposureBasis::Notional),
    ("margin", ExposureBasis::Margin),
    ("price", ExposureBasis::Price),
    ("risk", ExposureBasis::Risk),
];

const SIZINGS: &[(&str, Sizing)] = &[
    ("percent_equity", Sizing::PercentEquity),
    ("percent_margin", Sizing::PercentMargin),
    ("fixed_risk", Sizing::FixedRisk),
    ("volatility_target", Sizing::VolatilityTarget),
    ("exact", Sizing::Exact),
];

/// Keys of `[risk]` that are no limits.
const RISK_KEYS: [&str; 11] = [
    "exposure_basis",
    "margin",
    "correlation_action",
    "correlation_window",
    "self_match",
    "on_anomaly",
    "sizing",
    "sizing_pct",
    "sizing_max_qty",
    "symbols",
    "strategies",
];

/// What a `[risk]` table says: the account's settings, and limits by symbol and by strategy.
pub(super) struct Risk {
    pub(super) account: RiskSettings,
    pub(super) symbols: BTreeMap<String, Limits>,
    pub(super) strategies: BTreeMap<String, Limits>,
}

/// `[risk]`: every key must be there, so that no limit is off by accident.
pub(super) fn risk(root: &Table<'_>) -> Result<Risk, Fault> {
    let table = root.table("risk")?;
    let limits = LimitKey::ALL.iter().map(|key| key.name());
    table.only(&limits.chain(RISK_KEYS).collect::<Vec<_>>())?;
    let actions = [("warn", CorrelationAction::Warn), ("refuse", CorrelationAction::Refuse)];
    let anomalies = [
        ("report", OnAnomaly::Report),
        ("halt_instrument", OnAnomaly::HaltInstrument),
        ("halt", OnAnomaly::Halt),
    ];
    let (sizing, sizing_pct) = sizing(&table)?;
    let window = limits::CORRELATION_WINDOW_MIN..=limits::CORRELATION_WINDOW_MAX;
    let account = RiskSettings {
        limits: account_limits(&table)?,
        exposure_basis: table.choice("exposure_basis", EXPOSURES, None)?,
        margin: table.required("margin")?.boolean()?,
        correlation_action: table.choice("correlation_action", &actions, None)?,
        correlation_window: table.required("correlation_window")?.count(window)?,
        self_match: table.choice("self_match", &[("refuse", true), ("allow", false)], None)?,
        on_anomaly: table.choice("on_anomaly", &anomalies, None)?,
        sizing,
        sizing_pct,
        sizing_max_qty: table.limit("sizing_max_qty")?.map(|value| value.units()).transpose()?,
        symbols: Vec::new(),
        strategies: Vec::new(),
    };
    let (symbols, strategies) = (scoped(&table, "symbols")?, scoped(&table, "strategies")?);
    Ok(Risk { account, symbols, strategies })
}

fn sizing(table: &Table<'_>) -> Result<(Sizing, Ratio), Fault> {
    let sizing = table.choice("sizing", SIZINGS, None)?;
    let share = match (table.limit("sizing_pct")?, sizing) {
        (Some(value), _) => value.ratio(ABOVE_ZERO..=SHARE_MAX, SHARE)?,
        // It is not looked at.
        (None, Sizing::Exact) => RiskSettings::OFF.sizing_pct,
        (
            None,
            Sizing::PercentEquity
            | Sizing::PercentMargin
            | Sizing::FixedRisk
            | Sizing::VolatilityTarget,
        ) => {
            let problem = format!("\"none\"; expected {SHARE}: this sizing needs it");
            return Err(fault(&table.path("sizing_pct"), problem));
        }
    };
    Ok((sizing, share))
}

/// The limits of the account: every one must be there.
fn account_limits(table: &Table<'_>) -> Result<Limits, Fault> {
    let mut limits = Limits::OFF;
    for key in LimitKey::ALL {
        if let Some(value) = table.limit(key.name())? {
            set(&mut limits, *key, &value)?;
        }
    }
    Ok(limits)
}

/// `[risk.symbols.NAME]` or `[risk.strategies.NAME]`: a limit that is not there is off.
fn scoped(table: &Table<'_>, scope: &str) -> Result<BTreeMap<String, Limits>, Fault> {
    let scoped: Vec<LimitKey> =
        LimitKey::ALL.iter().copied().filter(|key| key.is_scoped()).collect();
    let names: Vec<&str> = scoped.iter().map(|key| key.name()).collect();
    let all = table.table(scope)?;
    let mut found = BTreeMap::new();
    for name in all.names() {
        let own = all.table(name)?;
        own.only(&names)?;
        let mut limits = Limits::OFF;
        for key in &scoped {
            if let Some(value) = own.get(key.name()).and_then(Value::unless_none) {
                set(&mut limits, *key, &value)?;
            }
        }
        found.insert(name.to_owned(), limits);
    }
    Ok(found)
}

fn set(limits: &mut Limits, key: LimitKey, value: &Value<'_>) -> Result<(), Fault> {
    let limit = limit(key, value)?;
    limits.set(key, Some(limit)).map_err(|problem| fault(&value.key, problem))
}

/// A limit in 1e-18 of its unit. Each has a range of its own: what lies outside is a slip of the
/// pen, not a limit.
fn limit(key: LimitKey, value: &Value<'_>) -> Result<Money, Fault> {
    let whole = |most: u64| {
        let count = value.integer(1..=most)?;
        Ok(Money(i128::from(count) * limits::MONEY_SCALE))
    };
    let ratio = |range, expected| Ok(Money(value.ratio(range, expected)?.to_wide()));
    match key {
        LimitKey::MaxPositionPct | LimitKey::PriceCollarPct => ratio(ABOVE_ZERO..=SHARE_MAX, SHARE),
        LimitKey::MaxDrawdownPct | LimitKey::MaxDailyLossPct => {
            ratio(ABOVE_ZERO..=Ratio::ONE, LOSS)
        }
        LimitKey::MaxCorrelation => ratio(Ratio(0)..=Ratio::ONE, PART),
        LimitKey::MaxLeverage => ratio(ABOVE_ZERO..=LEVERAGE_MAX, LEVERAGE),
        LimitKey::MaxOrderQty => Ok(Money(value.units()?.to_wide())),
        LimitKey::MaxOrderNotional | LimitKey::MaxGrossExposure | LimitKey::MaxNetExposure => {
            value.money_limit()
        }
        LimitKey::MaxPositions => whole(limits::INSTRUMENTS_MAX as u64),
        LimitKey::MaxOpenOrders => whole(limits::ORDERS_MAX as u64),
        LimitKey::MaxOrdersPerSecond | LimitKey::MaxMessagesPerSecond => {
            whole(u64::from(limits::RATE_MAX))
        }
        LimitKey::MaxRepeats => whole(REPEATS_MAX),
        LimitKey::MaxMarkAgeMs | LimitKey::DuplicateWindowMs => whole(AGE_MAX_MS),
        LimitKey::AnswerTimeoutMs => whole(HOUR_MS),
    }
}

/// `[capacity]`: the core's tables, and the slots of the event ring.
pub(super) fn capacity(root: &Table<'_>) -> Result<(Capacity, usize), Fault> {
    let table = root.table("capacity")?;
    table.only(&["orders", "executions", "checkpoint_interval_slots", "event_ring_slots"])?;
    let default = Capacity::default();
    let interval = limits::CHECKPOINT_INTERVAL_SLOTS_MIN..=limits::CHECKPOINT_INTERVAL_SLOTS_MAX;
    let ring = limits::EVENT_RING_SLOTS_MIN..=limits::EVENT_RING_SLOTS_MAX;
    let capacity = Capacity {
        orders: table.count("orders", 1..=limits::ORDERS_MAX, default.orders)?,
        executions: table.count("executions", 1..=limits::EXECUTIONS_MAX, default.executions)?,
        checkpoint_interval_slots: table.integer(
            "checkpoint_interval_slots",
            interval,
            default.checkpoint_interval_slots,
        )?,
    };
    let slots = table.count("event_ring_slots", ring, limits::EVENT_RING_SLOTS)?;
    Ok((capacity, slots))
}

/// `[broker]`. A venue that checks margin starts with the account's capital.
pub(super) fn broker(root: &Table<'_>, capital: Money) -> Result<BrokerConfig, Fault> {
    let table = root.table("broker")?;
    table.only(&[
        "kind",
        "slippage_bps",
        "commission_per_contract",
        "commission_per_share",
        "commission_bps",
        "latency_ms",
        "partial_fill_qty",
        "reject_rate",
        "seed",
        "check_margin",
    ])?;
    table.choice("kind", &[("simulated", ())], None)?;
    let bps = |key| table.get(key).map_or(Ok(Ratio(0)), |value| value.bps());
    let money = |key| table.get(key).map_or(Ok(Money::ZERO), |value| value.money());
    let latency_ms = table.integer("latency_ms", 0..=HOUR_MS, 0)?;
    let partial_fill_qty = table.get("partial_fill_qty").and_then(Value::unless_none);
    let part = |value: Value<'_>| value.ratio(Ratio(0)..=Ratio::ONE, PART);
    let settings = SimSettings {
        slippage: bps("slippage_bps")?,
        commission_per_contract: money("commission_per_contract")?,
        commission_per_share: money("commission_per_share")?,
        commission_rate: bps("commission_bps")?,
        latency_ms: i64::try_from(latency_ms).expect("an hour fits"),
        partial_fill_qty: partial_fill_qty.map(|value| value.units()).transpose()?,
        reject_rate: table.get("reject_rate").map_or(Ok(Ratio(0)), part)?,
        // What TOML can hold as an integer.
        seed: table.integer("seed", 0..=i64::MAX.unsigned_abs(), 0)?,
        initial_capital: table.boolean("check_margin", false)?.then_some(capital),
    };
    settings.check().map_err(|problem| fault("broker", problem))?;
    Ok(BrokerConfig::Simulated(settings))
}

/// `[strategy]`: the figures that are left out have the strategy's own defaults.
pub(super) fn strategy(root: &Table<'_>) -> Result<StrategySettings, Fault> {
    let table = root.table("strategy")?;
    let kinds =
        [StrategySettings::MOMENTUM, StrategySettings::MEAN_REVERSION, StrategySettings::BREAKOUT];
    let kinds = kinds.each_ref().map(|settings| (settings.name(), *settings));
    let default = table.choice("kind", &kinds, None)?;
    let bars = |key, bars| table.count(key, 1..=LOOKBACK_MAX, bars);
    let deviations = |key, default| {
        let expected = "deviations from 0 to 100, such as \"1.5\"";
        let read = |value: Value<'_>| value.ratio(Ratio(0)..=DEVIATIONS_MAX, expected);
        table.get(key).map_or(Ok(default), read)
    };
    let settings = match default {
        StrategySettings::Momentum { lookback, threshold, allow_short } => {
            table.only(&["kind", "lookback", "threshold", "allow_short"])?;
            let read = |value: Value<'_>| value.ratio(Ratio(0)..=SHARE_MAX, RETURN);
            StrategySettings::Momentum {
                lookback: bars("lookback", lookback)?,
                threshold: table.get("threshold").map_or(Ok(threshold), read)?,
                allow_short: table.boolean("allow_short", allow_short)?,
            }
        }
        StrategySettings::MeanReversion { lookback, entry, exit, allow_short } => {
            table.only(&["kind", "lookback", "entry", "exit", "allow_short"])?;
            StrategySettings::MeanReversion {
                lookback: bars("lookback", lookback)?,
                entry: deviations("entry", entry)?,
                exit: deviations("exit", exit)?,
                allow_short: table.boolean("allow_short", allow_short)?,
            }
        }
        StrategySettings::Breakout { entry_lookback, exit_lookback, allow_short } => {
            table.only(&["kind", "entry_lookback", "exit_lookback", "allow_short"])?;
            StrategySettings::Breakout {
                entry_lookback: bars("entry_lookback", entry_lookback)?,
                exit_lookback: bars("exit_lookback", exit_lookback)?,
                allow_short: table.boolean("allow_short", allow_short)?,
            }
        }
    };
    settings.check().map_err(|problem| fault(&table.path(strategy_key(problem)), problem))?;
    Ok(settings)
}

/// A return.
const RETURN: &str = "a fraction from 0 to 100, such as \"0.02\"";

/// The key to blame for figures that do not fit together.
const fn strategy_key(problem: StrategyError) -> &'static str {
    match problem {
        StrategyError::Lookback | StrategyError::LookbackTooShort => "lookback",
        StrategyError::Threshold => "threshold",
        StrategyError::EntryExit => "exit",
    }
}

const IDLES: &[(&str, Idle)] =
    &[("spin", Idle::Spin), ("yield", Idle::Yield), ("park", Idle::Park)];

/// How fast the gateway plays, if it is said.
fn pace(table: &Table<'_>) -> Result<Option<Pace>, Fault> {
    let Some(value) = table.get("pace") else { return Ok(None) };
    let text = value.text("a pace such as \"lockstep\"")?;
    text.parse().map(Some).map_err(|expected| value.wrong(expected))
}

/// `[runtime]`.
pub(super) fn runtime(
    root: &Table<'_>,
    event_ring_slots: usize,
    base_dir: &Path,
) -> Result<RuntimeConfig, Fault> {
    let table = root.table("runtime")?;
    table.only(&[
        "release",
        "idle_engine",
        "idle_journal",
        "idle_broker",
        "idle_gateway",
        "engine_core",
        "pace",
        "timer_interval_ms",
        "log_behind_ms",
        "halt_file",
    ])?;
    let default = RuntimeConfig::default();
    let releases = [
        ("immediate", Release::Immediate),
        ("written", Release::Written),
        ("synced", Release::Synced),
    ];
    let idle = |key, default| table.choice(key, IDLES, Some(default));
    let core = table.get("engine_core").and_then(Value::unless_none);
    let millis = |key, default| match table.get(key) {
        None => Ok(default),
        Some(value) => value.unless_none().map(|ms| ms.integer(1..=HOUR_MS)).transpose(),
    };
    let halt_file = table.get("halt_file").and_then(Value::unless_none);
    let halt_file = halt_file.map(|file| file.text("a file's name, or \"none\"")).transpose()?;
    Ok(RuntimeConfig {
        release: table.choice("release", &releases, Some(default.release))?,
        idle_engine: idle("idle_engine", default.idle_engine)?,
        idle_journal: idle("idle_journal", default.idle_journal)?,
        idle_broker: idle("idle_broker", default.idle_broker)?,
        idle_gateway: idle("idle_gateway", default.idle_gateway)?,
        engine_core: core.map(|value| value.count(0..=CORES_MAX - 1)).transpose()?,
        pace: pace(&table)?.unwrap_or(default.pace),
        event_ring_slots,
        timer_interval_ms: millis("timer_interval_ms", default.timer_interval_ms)?,
        log_behind_ms: millis("log_behind_ms", default.log_behind_ms)?,
        halt_file: halt_file.map(|file| base_dir.join(file)),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SyncName {
    Never,
    Interval,
    EveryBatch,
}

/// `[log]`.
pub(super) fn log(root: &Table<'_>, base_dir: &Path) -> Result<LogConfig, Fault> {
    let table = root.table("log")?;
    table.only(&[
        "segment_size",
        "sync",
        "sync_interval_ms",
        "snapshot_every",
        "keep_segments",
        "archive",
    ])?;
    let default = LogConfig::default();
    let mut segment_size = default.segment_size;
    if let Some(value) = table.get("segment_size") {
        let step = limits::SEGMENT_SIZE_MIN;
        segment_size = value.integer(step..=limits::SEGMENT_SIZE_MAX)?;
        if !segment_size.is_multiple_of(step) {
            return Err(value.wrong(format!("a multiple of {step}")));
        }
    }
    let names = [
        ("never", SyncName::Never),
        ("interval", SyncName::Interval),
        ("every_batch", SyncName::EveryBatch),
    ];
    let name = table.choice("sync", &names, Some(SyncName::Interval))?;
    let ms = table.integer("sync_interval_ms", 1..=HOUR_MS, LogConfig::SYNC_INTERVAL_MS)?;
    let unused = table.get("sync_interval_ms").filter(|_| name != SyncName::Interval);
    if let Some(value) = unused {
        return Err(fault(&value.key, "only sync = \"interval\" has one; leave it out"));
    }
    let sync = match name {
        SyncName::Never => SyncPolicy::Never,
        SyncName::Interval => SyncPolicy::Interval { ms },
        SyncName::EveryBatch => SyncPolicy::EveryBatch,
    };
    let snapshot_every = match table.get("snapshot_every") {
        Some(value) => {
            let range = limits::SNAPSHOT_EVERY_MIN..=limits::SNAPSHOT_EVERY_MAX;
            value.unless_none().map(|value| value.integer(range)).transpose()?
        }
        None => default.snapshot_every,
    };
    let retention = retention(&table, snapshot_every, base_dir)?;
    Ok(LogConfig { segment_size, sync, snapshot_every, retention })
}

/// How much of the log stays: nothing is deleted, so that a number needs a place for the rest.
fn retention(
    table: &Table<'_>,
    snapshot_every: Option<u64>,
    base_dir: &Path,
) -> Result<Option<Retention>, Fault> {
    let keep = table.get("keep_segments").and_then(|value| value.unless("all"));
    let archive = table.get("archive");
    let Some(keep) = keep else {
        return match archive {
            Some(archive) => {
                Err(fault(&archive.key, "with a number of log.keep_segments only; leave it out"))
            }
            None => Ok(None),
        };
    };
    let keep_segments = keep.integer(1..=limits::KEEP_SEGMENTS_MAX)?;
    if snapshot_every.is_none() {
        let problem = "a segment goes only behind a snapshot, and log.snapshot_every is \"none\"";
        return Err(fault(&keep.key, problem));
    }
    let Some(archive) = archive else {
        let problem = "log.archive is missing: the directory that the others go to, since none is \
                       deleted";
        return Err(fault(&keep.key, problem));
    };
    let dir = archive.text("a directory's name")?;
    if dir.is_empty() {
        return Err(archive.wrong("a directory's name"));
    }
    Ok(Some(Retention { keep_segments, archive: base_dir.join(dir) }))
}

/// `[feed]`.
pub(super) fn feed(root: &Table<'_>) -> Result<FeedConfig, Fault> {
    let table = root.table("feed")?;
    table.only(&["price_column", "symbols"])?;
    let columns = [("back_adjusted", PriceColumn::BackAdjusted), ("spliced", PriceColumn::Spliced)];
    let price_column = table.choice("price_column", &columns, Some(PriceColumn::default()))?;
    let Some(list) = table.get("symbols") else {
        return Ok(FeedConfig { price_column, symbols: None });
    };
    let mut symbols: Vec<String> = Vec::new();
    for (key, symbol) in list.texts("a list of symbols such as [\"ES\", \"GC\"]")? {
        if symbols.iter().any(|other| other == symbol) {
            return Err(fault(&key, format!("{symbol:?} is there twice")));
        }
        symbols.push(symbol.to_owned());
    }
    if symbols.is_empty() {
        return Err(fault(&list.key, "an empty list; expected one symbol or more, or no such key"));
    }
    Ok(FeedConfig { price_column, symbols: Some(symbols) })
}
