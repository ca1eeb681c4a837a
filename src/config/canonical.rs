//! The settings as they stand at the head of a log: TOML with every figure written out exactly and
//! every session as an interval of time, so that reading a log needs no zone database and no file.

use crate::instrument::{Instrument, OpenInterval};
use crate::limits::{self, MONEY_DECIMALS};
use crate::settings::{
    AccountSettings, Capacity, CorrelationAction, CostMethod, ExposureBasis, LimitKey, Limits,
    OnAnomaly, RiskSettings, Settings, Sizing,
};
use crate::units::{DecimalError, Money, Price, Qty, Ts, parse_decimal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::str::FromStr;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    refuse_old_time: bool,
    day_roll_ends_orders: bool,
    forward_market_data: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    strategies: Vec<String>,
    account: AccountText,
    capacity: CapacityText,
    risk: RiskText,
    #[serde(default)]
    instruments: Vec<InstrumentText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountText {
    currency: String,
    initial_capital: String,
    cost_method: CostMethod,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CapacityText {
    orders: usize,
    executions: usize,
    checkpoint_interval_slots: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RiskText {
    exposure_basis: ExposureBasis,
    margin: bool,
    correlation_action: CorrelationAction,
    correlation_window: usize,
    self_match: bool,
    on_anomaly: OnAnomaly,
    sizing: Sizing,
    sizing_pct: String,
    sizing_max_qty: Option<String>,
    limits: LimitsText,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    symbols: Vec<LimitsText>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    strategies: Vec<LimitsText>,
}

/// Key to value; a limit that is not there is off.
type LimitsText = BTreeMap<String, String>;

fn write_limits(limits: &Limits) -> LimitsText {
    let on = |key: &LimitKey| Some((key.name().to_owned(), exact(limits.get(*key)?)));
    LimitKey::ALL.iter().filter_map(on).collect()
}

fn read_limits(text: &LimitsText) -> Result<Limits, CanonicalError> {
    let mut limits = Limits::OFF;
    for (name, value) in text {
        let wrong = |what: String| CanonicalError(format!("{name} = \"{value}\": {what}"));
        let key = LimitKey::from_name(name).ok_or_else(|| wrong("no such limit".to_owned()))?;
        // Not as an amount of money, whose range is narrower: whatever a limit can be must read.
        let limit =
            parse_decimal(value, MONEY_DECIMALS).map_err(|error| wrong(error.to_string()))?;
        limits.set(key, Some(Money(limit))).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(limits)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InstrumentText {
    symbol: String,
    tick_size: String,
    lot_size: String,
    multiplier: String,
    currency: String,
    initial_margin: Option<String>,
    maintenance_margin: Option<String>,
    min_qty: Option<String>,
    max_qty: Option<String>,
    min_notional: Option<String>,
    max_notional: Option<String>,
    negative_prices: bool,
    /// Open and close of every session, nanoseconds since 1970.
    sessions: Option<Vec<[i64; 2]>>,
}

/// Why a text is no canonical configuration.
#[derive(Debug)]
pub struct CanonicalError(String);

impl std::fmt::Display for CanonicalError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CanonicalError {}

/// Money to all eighteen decimals.
fn exact(money: Money) -> String {
    format!("{money:+}")
}

/// Writes settings in canonical form.
pub fn write(settings: &Settings) -> String {
    let risk = &settings.risk;
    let text = Text {
        refuse_old_time: settings.refuse_old_time,
        day_roll_ends_orders: settings.day_roll_ends_orders,
        forward_market_data: settings.forward_market_data,
        strategies: settings.strategies.clone(),
        account: AccountText {
            currency: settings.account.currency.clone(),
            initial_capital: exact(settings.account.initial_capital),
            cost_method: settings.account.cost_method,
        },
        capacity: CapacityText {
            orders: settings.capacity.orders,
            executions: settings.capacity.executions,
            checkpoint_interval_slots: settings.capacity.checkpoint_interval_slots,
        },
        risk: RiskText {
            exposure_basis: risk.exposure_basis,
            margin: risk.margin,
            correlation_action: risk.correlation_action,
            correlation_window: risk.correlation_window,
            self_match: risk.self_match,
            on_anomaly: risk.on_anomaly,
            sizing: risk.sizing,
            sizing_pct: risk.sizing_pct.to_string(),
            sizing_max_qty: risk.sizing_max_qty.map(|v| v.to_string()),
            limits: write_limits(&risk.limits),
            symbols: risk.symbols.iter().map(write_limits).collect(),
            strategies: risk.strategies.iter().map(write_limits).collect(),
        },
        instruments: settings.instruments.iter().map(write_instrument).collect(),
    };
    toml::to_string(&text).expect("plain data is TOML")
}

fn write_instrument(spec: &Instrument) -> InstrumentText {
    let interval = |session: &OpenInterval| [session.open.0, session.close.0];
    InstrumentText {
        symbol: spec.symbol.clone(),
        tick_size: spec.tick_size.to_string(),
        lot_size: Price(spec.lot_size).to_string(),
        multiplier: Price(spec.multiplier).to_string(),
        currency: spec.currency.clone(),
        initial_margin: spec.initial_margin.map(exact),
        maintenance_margin: spec.maintenance_margin.map(exact),
        min_qty: spec.min_qty.map(|v| v.to_string()),
        max_qty: spec.max_qty.map(|v| v.to_string()),
        min_notional: spec.min_notional.map(exact),
        max_notional: spec.max_notional.map(exact),
        negative_prices: spec.negative_prices,
        sessions: spec.sessions.as_ref().map(|all| all.iter().map(interval).collect()),
    }
}

fn read_one<T: FromStr<Err = DecimalError>>(key: &str, text: &str) -> Result<T, CanonicalError> {
    text.parse().map_err(|error| CanonicalError(format!("{key} = \"{text}\": {error}")))
}

fn read_option<T: FromStr<Err = DecimalError>>(
    key: &str,
    text: Option<&String>,
) -> Result<Option<T>, CanonicalError> {
    text.map(|text| read_one(key, text)).transpose()
}

/// Reads settings in canonical form.
///
/// # Errors
/// Names the key that cannot be read, or the bound that a figure breaks.
pub fn read(text: &str) -> Result<Settings, CanonicalError> {
    let text: Text = toml::from_str(text).map_err(|error| {
        // Its own form has several lines, with the text drawn below.
        CanonicalError(error.message().replace('\n', " "))
    })?;
    let Text { account, capacity, risk, .. } = &text;
    let window = limits::CORRELATION_WINDOW_MIN..=limits::CORRELATION_WINDOW_MAX;
    let bounded = (1..=limits::ORDERS_MAX).contains(&capacity.orders)
        && (1..=limits::EXECUTIONS_MAX).contains(&capacity.executions)
        && capacity.checkpoint_interval_slots <= limits::CHECKPOINT_INTERVAL_SLOTS_MAX
        && window.contains(&risk.correlation_window)
        && text.instruments.len() <= limits::INSTRUMENTS_MAX
        && risk.symbols.len() <= text.instruments.len()
        && text.strategies.len() < limits::STRATEGIES_MAX
        && risk.strategies.len() <= text.strategies.len();
    if !bounded {
        return Err(CanonicalError("a capacity is out of bounds".to_owned()));
    }
    let risk = RiskSettings {
        limits: read_limits(&risk.limits)?,
        symbols: risk.symbols.iter().map(read_limits).collect::<Result<_, _>>()?,
        strategies: risk.strategies.iter().map(read_limits).collect::<Result<_, _>>()?,
        exposure_basis: risk.exposure_basis,
        margin: risk.margin,
        correlation_action: risk.correlation_action,
        correlation_window: risk.correlation_window,
        self_match: risk.self_match,
        on_anomaly: risk.on_anomaly,
        sizing: risk.sizing,
        sizing_pct: read_one("sizing_pct", &risk.sizing_pct)?,
        sizing_max_qty: read_option("sizing_max_qty", risk.sizing_max_qty.as_ref())?,
    };
    Ok(Settings {
        account: AccountSettings {
            currency: account.currency.clone(),
            initial_capital: read_one("initial_capital", &account.initial_capital)?,
            cost_method: account.cost_method,
        },
        strategies: text.strategies.clone(),
        capacity: Capacity {
            orders: capacity.orders,
            executions: capacity.executions,
            checkpoint_interval_slots: capacity.checkpoint_interval_slots,
        },
        risk,
        refuse_old_time: text.refuse_old_time,
        day_roll_ends_orders: text.day_roll_ends_orders,
        forward_market_data: text.forward_market_data,
        instruments: text.instruments.iter().map(read_instrument).collect::<Result<_, _>>()?,
    })
}

fn read_instrument(text: &InstrumentText) -> Result<Instrument, CanonicalError> {
    let interval = |pair: &[i64; 2]| OpenInterval { open: Ts(pair[0]), close: Ts(pair[1]) };
    let spec = Instrument {
        symbol: text.symbol.clone(),
        tick_size: read_one("tick_size", &text.tick_size)?,
        lot_size: read_one::<Price>("lot_size", &text.lot_size)?.0,
        multiplier: read_one::<Price>("multiplier", &text.multiplier)?.0,
        currency: text.currency.clone(),
        initial_margin: read_option("initial_margin", text.initial_margin.as_ref())?,
        maintenance_margin: read_option("maintenance_margin", text.maintenance_margin.as_ref())?,
        min_qty: read_option::<Qty>("min_qty", text.min_qty.as_ref())?,
        max_qty: read_option::<Qty>("max_qty", text.max_qty.as_ref())?,
        min_notional: read_option("min_notional", text.min_notional.as_ref())?,
        max_notional: read_option("max_notional", text.max_notional.as_ref())?,
        negative_prices: text.negative_prices,
        sessions: text.sessions.as_ref().map(|all| all.iter().map(interval).collect()),
    };
    spec.check().map_err(|error| CanonicalError(format!("{}: {error}", text.symbol)))?;
    Ok(spec)
}
