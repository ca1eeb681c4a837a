//! Configuration: a TOML file to a [`Config`], with errors that name file, line and key; and the
//! canonical form of the core's settings that stands at the head of a log.
//!
//! Unknown keys are refused. Decimals, dates and times are texts in quotes; counts are whole
//! numbers without. Every limit must be there: `"none"` switches one off, visibly.
#![forbid(unsafe_code)]

pub mod canonical;
mod error;
mod parts;
mod sections;
mod table;

pub use error::ConfigError;
pub use parts::{
    AccountConfig, BrokerConfig, DayRollConfig, FeedConfig, Idle, LogConfig, Pace, PriceColumn,
    Release, Retention, RuntimeConfig, SyncPolicy,
};

use crate::contracts::{ContractSpec, Contracts, STANDARD_CONTRACTS};
use crate::instrument::Instrument;
use crate::limits;
use crate::settings::{
    AccountSettings, Capacity, ExposureBasis, Limits, RiskSettings, Settings, Sizing,
};
use crate::strategy::StrategySettings;
use crate::units::Ts;
use error::{Fault, Places, key_at};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use table::{Table, fault};
use toml::Spanned;
use toml::de::DeTable;

/// `config/default.toml`: what plays when no configuration is named.
pub const DEFAULT_CONFIG: &str = include_str!("../../config/default.toml");

/// The name of [`DEFAULT_CONFIG`] in errors.
const DEFAULT_NAME: &str = "config/default.toml";
/// The name of [`STANDARD_CONTRACTS`] in errors, and the word that asks for them.
const STANDARD_NAME: &str = "config/contracts.toml";
const STANDARD: &str = "standard";

/// A whole configuration. Built by [`Config::from_toml`]; every field may be changed afterwards,
/// and [`Config::settings`] checks them against each other again.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[account]`.
    pub account: AccountConfig,
    /// `[risk]`: the account's limits, and sizing. Limits of single instruments and strategies are
    /// in the next two; [`Config::settings`] puts them in their places.
    pub risk: RiskSettings,
    /// `[risk.symbols.NAME]`.
    pub symbol_limits: BTreeMap<String, Limits>,
    /// `[risk.strategies.NAME]`.
    pub strategy_limits: BTreeMap<String, Limits>,
    /// `[capacity]`, but for the event ring's, which is in `runtime`.
    pub capacity: Capacity,
    /// `[broker]`.
    pub broker: BrokerConfig,
    /// `[strategy]`.
    pub strategy: StrategySettings,
    /// `[runtime]`.
    pub runtime: RuntimeConfig,
    /// `[log]`.
    pub log: LogConfig,
    /// `[feed]`.
    pub feed: FeedConfig,
    /// Contracts and calendars, from this file, from another, or the standard ones.
    pub contracts: Contracts,
    places: Places,
    contract_places: Places,
}

impl Config {
    /// Reads a configuration. `file` is its name in errors; a `contracts = "FILE.toml"` and a
    /// `halt_file = "FILE"`, `archive = "DIR"` in it are relative to `base_dir`.
    ///
    /// # Errors
    /// The first thing wrong: no TOML, keys that are unknown, missing, of the wrong type or out of
    /// range, keys that contradict each other, a contracts file that cannot be read.
    ///
    /// ```
    /// use std::path::Path;
    /// use trade_engine::config::{Config, DEFAULT_CONFIG};
    ///
    /// let text = DEFAULT_CONFIG.replace("max_positions = 4", "max_positions = \"four\"");
    /// let error = Config::from_toml(&text, "my.toml", Path::new(".")).unwrap_err();
    /// assert_eq!(error.key, "risk.max_positions");
    /// ```
    pub fn from_toml(text: &str, file: &str, base_dir: &Path) -> Result<Self, ConfigError> {
        let (root, places) = Places::parse(file, text)?;
        let locate = |fault: Fault| places.locate(fault);
        let table = Table::root(root.get_ref());
        table.only(&TABLES).map_err(locate)?;
        let account = sections::account(&table).map_err(locate)?;
        let risk = sections::risk(&table).map_err(locate)?;
        let (capacity, event_ring_slots) = sections::capacity(&table).map_err(locate)?;
        let broker = sections::broker(&table, account.initial_capital).map_err(locate)?;
        let strategy = sections::strategy(&table).map_err(locate)?;
        let runtime = sections::runtime(&table, event_ring_slots, base_dir).map_err(locate)?;
        let log = sections::log(&table, base_dir).map_err(locate)?;
        let feed = sections::feed(&table).map_err(locate)?;
        let (contracts, contract_places) = contracts(&root, &places, base_dir)?;
        let config = Self {
            account,
            risk: risk.account,
            symbol_limits: risk.symbols,
            strategy_limits: risk.strategies,
            capacity,
            broker,
            strategy,
            runtime,
            log,
            feed,
            contracts,
            places,
            contract_places,
        };
        // An empty range: every figure and date is read, no session is expanded.
        config.settings(None, Ts(0), Ts(0))?;
        Ok(config)
    }

    /// Reads a configuration file.
    ///
    /// # Errors
    /// As [`Config::from_toml`]; a file that cannot be read.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text = read(path, &file)?;
        Self::from_toml(&text, &file, path.parent().unwrap_or(Path::new("")))
    }

    /// The configuration that comes with the program.
    ///
    /// # Panics
    /// Never: a test reads the same text.
    pub fn embedded_default() -> Self {
        Self::from_toml(DEFAULT_CONFIG, DEFAULT_NAME, Path::new("")).expect("tested")
    }

    /// The core's settings for trading these symbols (`None`: those of `[feed]`, or every one
    /// there is) from `from` up to `to`; sessions are expanded over that time. The order of the
    /// instruments is that of the contracts, whatever the order of the symbols.
    ///
    /// # Errors
    /// A symbol that no contract has, figures that contradict each other, a range of more years
    /// than a calendar is expanded over.
    pub fn settings(
        &self,
        symbols: Option<&[String]>,
        from: Ts,
        to: Ts,
    ) -> Result<Settings, ConfigError> {
        let all = self.contracts.instruments(from, to);
        let all = all.map_err(|fault| self.contract_places.locate(fault))?;
        let by_feed = self.feed.symbols.as_deref();
        if all.is_empty() {
            let problem = "an empty list; expected one instrument or more";
            return Err(self.contract_places.locate(fault("instruments", problem)));
        }
        if let Some((_, problem)) = self.unknown_symbol(symbols) {
            return Err(self.contract_places.locate(fault("instruments", problem)));
        }
        if let Some((index, problem)) = self.unknown_symbol(by_feed) {
            return Err(self.places.locate(fault(&format!("feed.symbols[{index}]"), problem)));
        }
        let traded = symbols.or(by_feed);
        let is_traded = |symbol: &String| traded.is_none_or(|traded| traded.contains(symbol));
        let specs = self.contracts.instruments.iter().enumerate();
        for (index, spec) in specs.filter(|(_, spec)| is_traded(&spec.symbol)) {
            let check = self.check_contract(&format!("instruments[{index}]"), spec);
            check.map_err(|fault| self.contract_places.locate(fault))?;
        }
        let here = |fault: Fault| self.places.locate(fault);
        self.check_release().map_err(here)?;
        self.check_ring().map_err(here)?;
        self.check_scopes().map_err(here)?;
        let instruments: Vec<Instrument> =
            all.into_iter().filter(|one| is_traded(&one.symbol)).collect();
        self.check_venue(&instruments).map_err(here)?;
        let strategies = vec![self.strategy.name().to_owned()];
        let symbols = instruments.iter().map(|one| &one.symbol);
        let risk = RiskSettings {
            symbols: in_places(&self.symbol_limits, symbols),
            strategies: in_places(&self.strategy_limits, strategies.iter()),
            ..self.risk.clone()
        };
        Ok(Settings {
            account: AccountSettings {
                currency: self.account.currency.clone(),
                initial_capital: self.account.initial_capital,
                cost_method: self.account.cost_method,
            },
            instruments,
            strategies,
            risk,
            capacity: self.capacity,
            refuse_old_time: false,
            day_roll_ends_orders: true,
            forward_market_data: true,
        })
    }

    /// The first symbol that no contract has: its place in the list, and what is wrong with it.
    fn unknown_symbol(&self, symbols: Option<&[String]>) -> Option<(usize, String)> {
        let known: Vec<&str> =
            self.contracts.instruments.iter().map(|spec| spec.symbol.as_str()).collect();
        let mut symbols = symbols?.iter().enumerate();
        let (index, symbol) = symbols.find(|(_, symbol)| !known.contains(&symbol.as_str()))?;
        Some((index, format!("no instrument {symbol:?}; there is: {}", known.join(", "))))
    }

    /// What the rest of the configuration needs of a contract that is traded.
    fn check_contract(&self, key: &str, spec: &ContractSpec) -> Result<(), Fault> {
        let by_margin = self.risk.limits.max_position_pct.is_some()
            && self.risk.exposure_basis == ExposureBasis::Margin;
        let needed_by = if self.risk.sizing == Sizing::PercentMargin {
            "risk.sizing = \"percent_margin\""
        } else if by_margin {
            "risk.exposure_basis = \"margin\""
        } else {
            return Ok(());
        };
        let margin = spec.initial_margin.as_deref();
        let Some(margin) = margin else {
            let problem = format!("{}: missing; {needed_by} needs it", spec.symbol);
            return Err(fault(&format!("{key}.initial_margin"), problem));
        };
        // It has been read as an amount of zero or more.
        if margin.bytes().any(|byte| matches!(byte, b'1'..=b'9')) {
            return Ok(());
        }
        let problem = format!("{margin:?}; {needed_by} needs more than zero");
        Err(fault(&format!("{key}.initial_margin"), problem))
    }

    /// Limits are for what there is: a name that nobody trades or plays by is a slip of the pen,
    /// and its limits would hold nothing.
    fn check_scopes(&self) -> Result<(), Fault> {
        for symbol in self.symbol_limits.keys() {
            let one = std::slice::from_ref(symbol);
            if let Some((_, problem)) = self.unknown_symbol(Some(one)) {
                return Err(fault(&format!("risk.symbols.{symbol}"), problem));
            }
        }
        let known = self.strategy.name();
        match self.strategy_limits.keys().find(|name| *name != known) {
            None => Ok(()),
            Some(name) => {
                let problem = format!("no strategy {name:?}; there is: {known}");
                Err(fault(&format!("risk.strategies.{name}"), problem))
            }
        }
    }

    /// The simulated venue's own account knows one currency and no rates.
    fn check_venue(&self, instruments: &[Instrument]) -> Result<(), Fault> {
        let BrokerConfig::Simulated(venue) = &self.broker;
        let foreign = instruments.iter().find(|one| one.currency != self.account.currency);
        match foreign {
            Some(one) if venue.initial_capital.is_some() => {
                let problem = format!(
                    "true, but {} is in {}; the venue's account is in {} alone",
                    one.symbol, one.currency, self.account.currency
                );
                Err(fault("broker.check_margin", problem))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_release(&self) -> Result<(), Fault> {
        if self.runtime.release != Release::Synced || self.log.sync != SyncPolicy::Never {
            return Ok(());
        }
        let problem = "\"synced\", but log.sync = \"never\": no order would ever leave; expected \
                       \"interval\" or \"every_batch\" there";
        Err(fault("runtime.release", problem))
    }

    /// A kill must find room for a cancel of every order.
    fn check_ring(&self) -> Result<(), Fault> {
        let (slots, orders) = (self.runtime.event_ring_slots, self.capacity.orders);
        let least = limits::event_ring_slots_min(orders);
        if slots >= least {
            return Ok(());
        }
        let problem = format!(
            "{slots}; expected at least {least}: a kill must find room for a cancel of each of \
             capacity.orders = {orders}"
        );
        Err(fault("capacity.event_ring_slots", problem))
    }
}

/// Limits by name, in the order of a table; shorter where the rest has none.
fn in_places<'a>(
    limits: &BTreeMap<String, Limits>,
    names: impl Iterator<Item = &'a String>,
) -> Vec<Limits> {
    let mut places: Vec<Limits> =
        names.map(|name| limits.get(name).cloned().unwrap_or(Limits::OFF)).collect();
    while places.last() == Some(&Limits::OFF) {
        places.pop();
    }
    places
}

/// The keys at the top of a file.
const TABLES: [&str; 11] = [
    "contracts",
    "account",
    "risk",
    "capacity",
    "broker",
    "strategy",
    "runtime",
    "log",
    "feed",
    "instruments",
    "calendars",
];

fn read(path: &Path, file: &str) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError {
        file: file.to_owned(),
        line: None,
        key: String::new(),
        problem: format!("cannot be read: {error}"),
    })
}

/// The contracts, from one of the three places they may be in, and where their keys are.
fn contracts(
    root: &Spanned<DeTable<'_>>,
    places: &Places,
    base_dir: &Path,
) -> Result<(Contracts, Places), ConfigError> {
    let table = Table::root(root.get_ref());
    let inline = ["instruments", "calendars"].into_iter().find(|key| table.get(key).is_some());
    let expected = "\"standard\", the name of a file, or [[instruments]] instead";
    match (table.get("contracts"), inline) {
        (None, None) => {
            Err(places.locate(fault("contracts", format!("missing; expected {expected}"))))
        }
        (Some(_), Some(inline)) => {
            let problem = format!("there is also {inline:?} in this file; expected one of the two");
            Err(places.locate(fault("contracts", problem)))
        }
        (None, Some(_)) => Ok((tables(root, places)?, places.clone())),
        (Some(value), None) => {
            let name = value.text(expected).map_err(|fault| places.locate(fault))?;
            if name == STANDARD {
                return parse_contracts(STANDARD_NAME, STANDARD_CONTRACTS);
            }
            let path = base_dir.join(name);
            let file = path.display().to_string();
            let text = std::fs::read_to_string(&path).map_err(|error| {
                let problem = format!("{file:?} cannot be read: {error}; expected {expected}");
                places.locate(fault("contracts", problem))
            })?;
            parse_contracts(&file, &text)
        }
    }
}

fn parse_contracts(file: &str, text: &str) -> Result<(Contracts, Places), ConfigError> {
    let (root, places) = Places::parse(file, text)?;
    let table = Table::root(root.get_ref());
    table.only(&["instruments", "calendars"]).map_err(|fault| places.locate(fault))?;
    Ok((tables(&root, &places)?, places))
}

/// `[[instruments]]` and `[calendars]` of a file that may have other tables.
fn tables(root: &Spanned<DeTable<'_>>, places: &Places) -> Result<Contracts, ConfigError> {
    let entries = root.get_ref().clone().into_iter();
    let is_ours = |key: &str| ["instruments", "calendars"].contains(&key);
    let entries = entries.filter(|(key, _)| is_ours(key.get_ref().as_ref())).collect();
    let deserializer = toml::Deserializer::from(Spanned::new(root.span(), entries));
    Contracts::deserialize(deserializer).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        places.locate(fault(&key_at(root.get_ref(), offset), error.message()))
    })
}
