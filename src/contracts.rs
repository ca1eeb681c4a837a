//! The configuration tables `[[instruments]]` and `[calendars.*]`: texts as a person writes them,
//! turned into [`Instrument`]s and [`SessionRule`]s with errors that name the key.
//!
//! All decimals, dates and times are strings, so that TOML and JSON read alike and no binary
//! fraction comes between the file and the engine.
#![forbid(unsafe_code)]

use crate::calendar::{CalendarError, Date, SessionRule, Time, Weekday};
use crate::instrument::{Instrument, InstrumentError, LotsError};
use crate::limits::INSTRUMENTS_MAX;
use crate::units::{DecimalError, Money, Price, Qty, Ts};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// `config/contracts.toml`: ES, NQ, RTY, YM, CL, GC, SI, ZN and their calendars.
pub const STANDARD_CONTRACTS: &str = include_str!("../config/contracts.toml");

/// What is wrong with a table, and where: `instruments[2].tick_size: "abc": not a decimal number`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractError {
    /// The key as a path from the top of the file. Empty: the text is no such file at all.
    pub key: String,
    /// What was found and what was expected.
    pub problem: String,
}

impl fmt::Display for ContractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            return f.write_str(&self.problem);
        }
        write!(f, "{}: {}", self.key, self.problem)
    }
}

impl std::error::Error for ContractError {}

fn error(key: &str, problem: impl fmt::Display) -> ContractError {
    ContractError { key: key.to_owned(), problem: problem.to_string() }
}

/// One contract, as written. See `config/contracts.toml` for what the keys mean.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the keys are explained once, where they are written")]
pub struct ContractSpec {
    pub symbol: String,
    pub tick_size: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot_size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multiplier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_margin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance_margin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_qty: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_qty: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_notional: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_notional: Option<String>,
    #[serde(default)]
    pub negative_prices: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calendar: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<CalendarSpec>,
}

/// Trading hours, as written; dates are trade dates, see [`crate::calendar`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarSpec {
    /// IANA name: `America/Chicago`.
    pub timezone: String,
    /// Local time `HH:MM` or `HH:MM:SS`.
    pub open: String,
    /// Local time; at or before `open`: on the next day.
    pub close: String,
    /// `Mon` to `Sun`: those on which a session opens.
    pub days: Vec<String>,
    /// Trade dates `YYYY-MM-DD` without a session.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holidays: Vec<String>,
    /// Trade date to local time of the close.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub early_closes: BTreeMap<String, String>,
}

/// The tables of a contracts file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Contracts {
    /// `[[instruments]]`, in the order of the file, which is the order of the engine's table.
    pub instruments: Vec<ContractSpec>,
    /// `[calendars.NAME]`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub calendars: BTreeMap<String, CalendarSpec>,
}

impl Contracts {
    /// Reads the text of a file that holds the two tables and nothing else.
    ///
    /// # Errors
    /// Text that is no TOML, unknown and missing keys, with line and column; no other check is
    /// made.
    pub fn from_toml(text: &str) -> Result<Self, ContractError> {
        toml::from_str(text).map_err(|problem| error("", problem))
    }

    /// The contracts that come with the program.
    ///
    /// # Panics
    /// Never: a test reads the same text.
    pub fn standard() -> Self {
        Self::from_toml(STANDARD_CONTRACTS).expect("tested")
    }

    /// Every instrument, its sessions expanded over `from <= t < to`.
    ///
    /// # Errors
    /// The first thing wrong in either table, calendars that nobody uses included.
    pub fn instruments(&self, from: Ts, to: Ts) -> Result<Vec<Instrument>, ContractError> {
        if self.instruments.len() > INSTRUMENTS_MAX {
            let problem = format!(
                "{} instruments; expected at most {INSTRUMENTS_MAX}",
                self.instruments.len()
            );
            return Err(error("instruments", problem));
        }
        for (name, calendar) in &self.calendars {
            calendar.rule(&format!("calendars.{name}"))?;
        }
        let mut symbols = BTreeSet::new();
        let mut instruments = Vec::new();
        for (index, spec) in self.instruments.iter().enumerate() {
            let key = format!("instruments[{index}]");
            if !symbols.insert(&spec.symbol) {
                let problem = format!("{:?} is there twice", spec.symbol);
                return Err(error(&format!("{key}.symbol"), problem));
            }
            instruments.push(spec.instrument(&key, &self.calendars, from, to)?);
        }
        Ok(instruments)
    }

    /// The session rule of every symbol that has one.
    ///
    /// # Errors
    /// As [`Contracts::instruments`], as far as it concerns hours.
    pub fn session_rules(&self) -> Result<BTreeMap<String, SessionRule>, ContractError> {
        let mut rules = BTreeMap::new();
        for (index, spec) in self.instruments.iter().enumerate() {
            let key = format!("instruments[{index}]");
            if let Some(rule) = spec.session_rule(&key, &self.calendars)? {
                rules.insert(spec.symbol.clone(), rule);
            }
        }
        Ok(rules)
    }
}

impl ContractSpec {
    /// The rule of its hours, from its calendar or its own session; `None`: always open.
    ///
    /// # Errors
    /// A calendar that is not there, both a calendar and a session, or an error in either.
    pub fn session_rule(
        &self,
        key: &str,
        calendars: &BTreeMap<String, CalendarSpec>,
    ) -> Result<Option<SessionRule>, ContractError> {
        match (&self.calendar, &self.session) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => {
                Err(error(key, "has both a calendar and a session; expected one of them"))
            }
            (None, Some(session)) => session.rule(&format!("{key}.session")).map(Some),
            (Some(name), None) => {
                let Some(calendar) = calendars.get(name) else {
                    let known: Vec<&str> = calendars.keys().map(String::as_str).collect();
                    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                    let problem = format!("no calendar {name:?}; there is: {known}");
                    return Err(error(&format!("{key}.calendar"), problem));
                };
                calendar.rule(&format!("calendars.{name}")).map(Some)
            }
        }
    }

    /// The instrument, its sessions expanded over `from <= t < to`. `key` is where this table
    /// stands.
    ///
    /// # Errors
    /// The first key whose text is not what it should be, or the figures that do not fit together.
    pub fn instrument(
        &self,
        key: &str,
        calendars: &BTreeMap<String, CalendarSpec>,
        from: Ts,
        to: Ts,
    ) -> Result<Instrument, ContractError> {
        let at = |field: &str| format!("{key}.{field}");
        check_name(&at("symbol"), &self.symbol)?;
        let tick_size: Price = number(&at("tick_size"), &self.tick_size)?;
        let units = |field: &str, text: &Option<String>| -> Result<i64, ContractError> {
            let one = Price(crate::limits::PRICE_SCALE);
            Ok(optional::<Price>(&at(field), text.as_ref())?.unwrap_or(one).0)
        };
        let lot_size = units("lot_size", &self.lot_size)?;
        let multiplier = units("multiplier", &self.multiplier)?;
        let mut instrument = Instrument::plain(&self.symbol, tick_size, lot_size, multiplier);
        // Before the quantities are read: they are divided by the lot size.
        instrument.check().map_err(|problem| error(&at(wrong_field(problem)), problem))?;

        if let Some(currency) = &self.currency {
            check_name(&at("currency"), currency)?;
            instrument.currency.clone_from(currency);
        }
        let money = |field: &str, text: &Option<String>| amount(&at(field), text.as_ref());
        instrument.initial_margin = money("initial_margin", &self.initial_margin)?;
        instrument.maintenance_margin = money("maintenance_margin", &self.maintenance_margin)?;
        instrument.min_notional = money("min_notional", &self.min_notional)?;
        instrument.max_notional = money("max_notional", &self.max_notional)?;
        instrument.min_qty = lots(&at("min_qty"), &instrument, self.min_qty.as_ref())?;
        instrument.max_qty = lots(&at("max_qty"), &instrument, self.max_qty.as_ref())?;
        in_order(&at("max_qty"), "min_qty", instrument.min_qty, instrument.max_qty)?;
        in_order(
            &at("max_notional"),
            "min_notional",
            instrument.min_notional,
            instrument.max_notional,
        )?;
        instrument.negative_prices = self.negative_prices;

        if let Some(rule) = self.session_rule(key, calendars)? {
            let sessions = rule.expand(from, to).map_err(|problem| error(key, problem))?;
            instrument.sessions = Some(sessions);
        }
        instrument.check().map_err(|problem| error(key, problem))?;
        Ok(instrument)
    }
}

impl CalendarSpec {
    /// The rule. `key` is where this table stands in the file.
    ///
    /// # Errors
    /// The first key whose text is not what it should be, and holidays that contradict early
    /// closes.
    pub fn rule(&self, key: &str) -> Result<SessionRule, ContractError> {
        let at = |field: &str| format!("{key}.{field}");
        let open = time(&at("open"), &self.open)?;
        let close = time(&at("close"), &self.close)?;
        let mut days = Vec::new();
        for text in &self.days {
            days.push(weekday(&at("days"), text)?);
        }
        let rule = SessionRule::new(&self.timezone, open, close, &days);
        let rule = rule.map_err(|problem| match problem {
            CalendarError::UnknownTimeZone => {
                error(&at("timezone"), format!("{:?}: {problem}", self.timezone))
            }
            CalendarError::NoDays => error(&at("days"), problem),
            CalendarError::EarlyCloseWithoutSession(_)
            | CalendarError::EarlyCloseOutside { .. }
            | CalendarError::HolidayWithEarlyClose(_)
            | CalendarError::RangeReversed
            | CalendarError::RangeTooLong
            | CalendarError::OutOfRange => error(key, problem),
        })?;
        let mut holidays = BTreeSet::new();
        for text in &self.holidays {
            holidays.insert(date(&at("holidays"), text)?);
        }
        let mut early_closes = BTreeMap::new();
        for (day, close) in &self.early_closes {
            let day = date(&at("early_closes"), day)?;
            early_closes.insert(day, time(&at(&format!("early_closes.{day}")), close)?);
        }
        rule.with_exceptions(holidays, early_closes)
            .map_err(|problem| error(&at("early_closes"), problem))
    }
}

/// The key to blame for a figure that does not fit.
const fn wrong_field(problem: InstrumentError) -> &'static str {
    match problem {
        InstrumentError::Tick => "tick_size",
        InstrumentError::LotSize => "lot_size",
        InstrumentError::Multiplier
        | InstrumentError::LotValueTooFine
        | InstrumentError::LotValueTooLarge => "multiplier",
        InstrumentError::Sessions => "session",
    }
}

/// A name as people and logs write it.
pub(crate) fn check_name(key: &str, text: &str) -> Result<(), ContractError> {
    let printable = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if printable {
        return Ok(());
    }
    Err(error(
        key,
        format!("{text:?}; expected a name of letters, digits and signs, without spaces"),
    ))
}

fn number<T: FromStr<Err = DecimalError>>(key: &str, text: &str) -> Result<T, ContractError> {
    text.parse().map_err(|problem| {
        error(key, format!("{text:?}: {problem}; expected a decimal such as \"0.25\""))
    })
}

fn optional<T: FromStr<Err = DecimalError>>(
    key: &str,
    text: Option<&String>,
) -> Result<Option<T>, ContractError> {
    text.map(|text| number(key, text)).transpose()
}

fn amount(key: &str, text: Option<&String>) -> Result<Option<Money>, ContractError> {
    let money: Option<Money> = optional(key, text)?;
    match money {
        Some(money) if money < Money::ZERO => {
            Err(error(key, format!("{money}; expected zero or more")))
        }
        other => Ok(other),
    }
}

fn lots(
    key: &str,
    instrument: &Instrument,
    text: Option<&String>,
) -> Result<Option<Qty>, ContractError> {
    let Some(text) = text else { return Ok(None) };
    let qty = instrument.lots(text).map_err(|problem| match problem {
        LotsError::Decimal(problem) => error(key, format!("{text:?}: {problem}")),
        LotsError::OffLot => error(key, format!("{text:?} is not a whole number of lots")),
    })?;
    if qty.0 <= 0 {
        return Err(error(key, format!("{text:?}; expected more than zero")));
    }
    Ok(Some(qty))
}

fn in_order<T: PartialOrd>(
    key: &str,
    min_name: &str,
    min: Option<T>,
    max: Option<T>,
) -> Result<(), ContractError> {
    match (min, max) {
        (Some(min), Some(max)) if min > max => Err(error(key, format!("is below {min_name}"))),
        _ => Ok(()),
    }
}

/// `HH:MM` or `HH:MM:SS`, nothing else: the library reads more forms than a person should have to.
pub(crate) fn time(key: &str, text: &str) -> Result<Time, ContractError> {
    let parsed: Option<Time> = text.parse().ok();
    parsed
        .filter(|time| {
            [time.strftime("%H:%M"), time.strftime("%H:%M:%S")]
                .iter()
                .any(|form| form.to_string() == text)
        })
        .ok_or_else(|| error(key, format!("{text:?}; expected a time of day such as \"17:00\"")))
}

/// `YYYY-MM-DD`, nothing else.
fn date(key: &str, text: &str) -> Result<Date, ContractError> {
    let parsed: Option<Date> = text.parse().ok();
    parsed
        .filter(|date| date.to_string() == text)
        .ok_or_else(|| error(key, format!("{text:?}; expected a date such as \"2014-12-25\"")))
}

fn weekday(key: &str, text: &str) -> Result<Weekday, ContractError> {
    let days = [
        ("Mon", Weekday::Monday),
        ("Tue", Weekday::Tuesday),
        ("Wed", Weekday::Wednesday),
        ("Thu", Weekday::Thursday),
        ("Fri", Weekday::Friday),
        ("Sat", Weekday::Saturday),
        ("Sun", Weekday::Sunday),
    ];
    let found = days.iter().find(|(name, _)| *name == text);
    found.map(|(_, day)| *day).ok_or_else(|| {
        error(key, format!("{text:?}; expected Mon, Tue, Wed, Thu, Fri, Sat or Sun"))
    })
}
