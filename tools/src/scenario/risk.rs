//! The `risk` object of a scenario: the keys of a configuration's `[risk]` table. Here a limit that
//! is not named is off; one that is named "none" is off, too.

use super::json::{Fault, Fields, Json};
use std::collections::BTreeMap;
use trade_engine::limits::{CORRELATION_WINDOW_MAX, CORRELATION_WINDOW_MIN};
use trade_engine::settings::{
    CorrelationAction, ExposureBasis, LimitKey, Limits, OnAnomaly, RiskSettings, Sizing,
};
use trade_engine::units::{Ratio, Units};

/// Where neither `sizing_pct` nor `max_position_pct` is given: a twentieth.
const DEFAULT_SIZING_PCT: Ratio = Ratio(50_000_000);

/// The word that switches a limit off.
const NONE: &str = "none";

/// What a `risk` object says.
#[derive(Clone, Debug)]
pub(super) struct Risk {
    /// All of it, but for the next two.
    pub(super) account: RiskSettings,
    /// Limits of single instruments, by symbol.
    pub(super) symbols: BTreeMap<String, Limits>,
    /// Limits of single strategies, by name.
    pub(super) strategies: BTreeMap<String, Limits>,
}

impl Default for Risk {
    /// No `risk` object: every limit off, margin not checked.
    fn default() -> Self {
        let account = RiskSettings {
            sizing: Sizing::PercentEquity,
            sizing_pct: DEFAULT_SIZING_PCT,
            ..RiskSettings::OFF
        };
        Self { account, symbols: BTreeMap::new(), strategies: BTreeMap::new() }
    }
}

impl Risk {
    /// Reads the object.
    pub(super) fn parse(mut fields: Fields) -> Result<Self, Fault> {
        let limits = limits(&mut fields, |_| true)?;
        let account = account(&mut fields, limits)?;
        let risk = Self {
            account,
            symbols: scoped(&mut fields, "symbols")?,
            strategies: scoped(&mut fields, "strategies")?,
        };
        fields.finish()?;
        Ok(risk)
    }

    /// What the engine is set to, for these instruments and strategies, in the order of their
    /// tables.
    pub(super) fn build(
        &self,
        symbols: &[&str],
        strategies: &[&str],
    ) -> Result<RiskSettings, Fault> {
        Ok(RiskSettings {
            symbols: in_places(&self.symbols, symbols, "symbols: no instrument")?,
            strategies: in_places(&self.strategies, strategies, "strategies: no step has")?,
            ..self.account.clone()
        })
    }
}

/// Limits by name, in the order of a table. A name that is not in it would limit nothing.
fn in_places(
    limits: &BTreeMap<String, Limits>,
    names: &[&str],
    unknown: &str,
) -> Result<Vec<Limits>, Fault> {
    if let Some(name) = limits.keys().find(|name| !names.contains(&name.as_str())) {
        return Err(format!("risk.{unknown} {name:?}"));
    }
    if limits.is_empty() {
        return Ok(Vec::new());
    }
    Ok(names.iter().map(|name| limits.get(*name).cloned().unwrap_or(Limits::OFF)).collect())
}

/// Everything beside the limits.
fn account(fields: &mut Fields, limits: Limits) -> Result<RiskSettings, Fault> {
    let sizings = &[
        ("percent_equity", Sizing::PercentEquity),
        ("percent_margin", Sizing::PercentMargin),
        ("fixed_risk", Sizing::FixedRisk),
        ("volatility_target", Sizing::VolatilityTarget),
        ("exact", Sizing::Exact),
    ];
    let bases = &[
        ("notional", ExposureBasis::Notional),
        ("margin", ExposureBasis::Margin),
        ("price", ExposureBasis::Price),
        ("risk", ExposureBasis::Risk),
    ];
    let actions = &[("warn", CorrelationAction::Warn), ("refuse", CorrelationAction::Refuse)];
    let anomalies = &[
        ("report", OnAnomaly::Report),
        ("halt_instrument", OnAnomaly::HaltInstrument),
        ("halt", OnAnomaly::Halt),
    ];
    let window = fields.integer_opt::<usize>("correlation_window")?;
    let window = window.unwrap_or(RiskSettings::OFF.correlation_window);
    if !(CORRELATION_WINDOW_MIN..=CORRELATION_WINDOW_MAX).contains(&window) {
        let what = format!("expected {CORRELATION_WINDOW_MIN} to {CORRELATION_WINDOW_MAX}");
        return Err(fields.fault("correlation_window", what));
    }
    let sizing_pct = share(fields, "sizing_pct")?.or(limits.max_position_pct);
    Ok(RiskSettings {
        limits,
        exposure_basis: fields.choice_opt("exposure_basis", bases)?.unwrap_or_default(),
        margin: fields.bool_opt("margin")?.unwrap_or(true),
        correlation_action: fields.choice_opt("correlation_action", actions)?.unwrap_or_default(),
        correlation_window: window,
        self_match: self_match(fields)?,
        on_anomaly: fields.choice_opt("on_anomaly", anomalies)?.unwrap_or_default(),
        sizing: fields.choice_opt("sizing", sizings)?.unwrap_or(Sizing::PercentEquity),
        sizing_pct: sizing_pct.unwrap_or(DEFAULT_SIZING_PCT),
        sizing_max_qty: units(fields, "sizing_max_qty")?,
        symbols: Vec::new(),
        strategies: Vec::new(),
    })
}

/// Whether an order that would trade with an own one is refused; the format leaves open how that is
/// said.
fn self_match(fields: &mut Fields) -> Result<bool, Fault> {
    if let Some(Json::Bool(value)) = fields.peek("self_match") {
        let value = *value;
        fields.take("self_match");
        return Ok(value);
    }
    let words = &[
        ("refuse", true),
        ("reject", true),
        ("on", true),
        ("allow", false),
        ("off", false),
        (NONE, false),
    ];
    Ok(fields.choice_opt("self_match", words)?.unwrap_or(false))
}

/// The limits that are named, of those that may be.
fn limits(fields: &mut Fields, may_be: impl Fn(LimitKey) -> bool) -> Result<Limits, Fault> {
    let mut limits = Limits::OFF;
    for key in LimitKey::ALL.iter().copied().filter(|key| may_be(*key)) {
        let Some(text) = limit_text(fields, key)? else { continue };
        let limit = key.read(&text).map_err(|error| fields.fault(key.name(), error))?;
        limits.set(key, limit).map_err(|error| fields.fault(key.name(), error))?;
    }
    Ok(limits)
}

/// Counts and times are integers, all else decimals in strings.
fn limit_text(fields: &mut Fields, key: LimitKey) -> Result<Option<String>, Fault> {
    let name = key.name();
    if fields.take_word(name, NONE) {
        return Ok(Some(NONE.to_owned()));
    }
    if key.decimals() == 0 {
        return Ok(fields.integer_opt::<u32>(name)?.map(|count| count.to_string()));
    }
    Ok(fields.decimal_opt(name)?.map(|decimal| decimal.as_str().to_owned()))
}

/// Limits by symbol or by strategy.
fn scoped(fields: &mut Fields, scope: &str) -> Result<BTreeMap<String, Limits>, Fault> {
    let Some(mut all) = fields.object_opt(scope)? else { return Ok(BTreeMap::new()) };
    let names: Vec<String> = all.keys().map(str::to_owned).collect();
    let mut found = BTreeMap::new();
    for name in names {
        let Some(mut own) = all.object_opt(&name)? else { continue };
        found.insert(name, limits(&mut own, LimitKey::is_scoped)?);
        own.finish()?;
    }
    Ok(found)
}

/// A share that may not be negative.
fn share(fields: &mut Fields, key: &str) -> Result<Option<Ratio>, Fault> {
    let Some(decimal) = fields.decimal_opt(key)? else { return Ok(None) };
    let share: Ratio = decimal.as_str().parse().map_err(|error| fields.fault(key, error))?;
    if share.0 < 0 { Err(fields.fault(key, "below zero")) } else { Ok(Some(share)) }
}

/// A quantity in units of the underlying, above zero; "none" or nothing: no bound.
pub(super) fn units(fields: &mut Fields, key: &str) -> Result<Option<Units>, Fault> {
    if fields.take_word(key, NONE) {
        return Ok(None);
    }
    let Some(decimal) = fields.figure_opt(key)? else { return Ok(None) };
    let units: Units = decimal.as_str().parse().map_err(|error| fields.fault(key, error))?;
    if units.0 <= 0 { Err(fields.fault(key, "not above zero")) } else { Ok(Some(units)) }
}
