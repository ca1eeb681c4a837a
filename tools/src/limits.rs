//! Limits in words: those of the account, of single instruments and strategies, which of them are
//! off, and how they were changed while the engine ran.

use crate::rows;
use crate::text::{self, Align, Table};
use serde_json::{Map, Value, json};
use trade_engine::engine::State;
use trade_engine::event::{Body, Event, Record};
use trade_engine::instrument::InstrumentId;
use trade_engine::settings::{LimitKey, Limits, RiskSettings, Scope, Settings};
use trade_engine::units::{Money, Ts, write_decimal};

/// The word for a limit that is off.
pub const OFF: &str = "OFF";

/// The limits of one instrument, one strategy, or the account.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    /// Whose they are.
    pub scope: Scope,
    /// A symbol or a strategy's name; empty for the account.
    pub name: &'a str,
    /// The limits.
    pub limits: &'a Limits,
}

/// The account's limits, then those of the instruments and strategies that have one of their own.
/// `settings` has the names; `risk` the limits, which may have been changed since the start.
pub fn groups<'a>(risk: &'a RiskSettings, settings: &'a Settings) -> Vec<Group<'a>> {
    let symbols = settings.instruments.iter().map(|one| one.symbol.as_str()).zip(&risk.symbols);
    let strategies = settings.strategies.iter().map(String::as_str).zip(&risk.strategies);
    let group = |scope| move |(name, limits)| Group { scope, name, limits };
    let scoped = symbols
        .map(group(Scope::Instrument))
        .chain(strategies.map(group(Scope::Strategy)))
        .filter(|group| *group.limits != Limits::OFF);
    let account = Group { scope: Scope::Account, name: "", limits: &risk.limits };
    std::iter::once(account).chain(scoped).collect()
}

impl Group<'_> {
    /// The keys that there are in its scope.
    fn keys(self) -> impl Iterator<Item = LimitKey> {
        let all = LimitKey::ALL.iter().copied();
        all.filter(move |key| self.scope == Scope::Account || key.is_scoped())
    }

    /// Keys and limits, those that are off too.
    pub fn all(self) -> impl Iterator<Item = (LimitKey, Option<Money>)> {
        self.keys().map(move |key| (key, self.limits.get(key)))
    }

    /// Whose they are: `the account`, `ES`, `strategy momentum`.
    pub fn title(self) -> String {
        owner(self.scope, self.name)
    }
}

fn owner(scope: Scope, name: &str) -> String {
    match scope {
        Scope::Account => "the account".to_owned(),
        Scope::Instrument => name.to_owned(),
        Scope::Strategy => format!("strategy {name}"),
    }
}

/// The names of what is switched off for the account as a whole, margin and self-match among it.
pub fn off(risk: &RiskSettings) -> Vec<&'static str> {
    let keys = LimitKey::ALL.iter().filter(|key| risk.limits.get(**key).is_none());
    let switches = [("margin", risk.margin), ("self_match", risk.self_match)];
    let switches = switches.iter().filter(|(_, on)| !on).map(|(name, _)| *name);
    keys.map(|key| key.name()).chain(switches).collect()
}

/// `limits that are OFF: max_leverage, margin`, or that there is none.
pub fn off_line(risk: &RiskSettings) -> String {
    let off = off(risk);
    let names = if off.is_empty() { "none".to_owned() } else { off.join(", ") };
    format!("limits that are OFF: {names}")
}

/// A limit with its unit: `25 %`, `5000 ms`, `OFF`.
pub fn value(key: LimitKey, limit: Option<Money>) -> String {
    let Some(limit) = limit else { return OFF.to_owned() };
    match key {
        LimitKey::MaxPositionPct
        | LimitKey::MaxDrawdownPct
        | LimitKey::MaxDailyLossPct
        | LimitKey::PriceCollarPct => {
            // A percent is a hundredth of the whole: two decimals fewer than money has.
            let mut text = String::new();
            write_decimal(&mut text, limit.0, 16).expect("a string takes any text");
            text + " %"
        }
        LimitKey::MaxMarkAgeMs | LimitKey::DuplicateWindowMs | LimitKey::AnswerTimeoutMs => {
            format!("{limit} ms")
        }
        LimitKey::MaxCorrelation
        | LimitKey::MaxPositions
        | LimitKey::MaxOrderQty
        | LimitKey::MaxOrderNotional
        | LimitKey::MaxGrossExposure
        | LimitKey::MaxNetExposure
        | LimitKey::MaxOpenOrders
        | LimitKey::MaxLeverage
        | LimitKey::MaxOrdersPerSecond
        | LimitKey::MaxMessagesPerSecond
        | LimitKey::MaxRepeats => limit.to_string(),
    }
}

/// All of them by scope, name and key; what is off is null. Arguments as of [`groups`].
pub fn json(risk: &RiskSettings, settings: &Settings) -> Value {
    let (mut account, mut symbols, mut strategies) = (Map::new(), Map::new(), Map::new());
    for group in groups(risk, settings) {
        let text = |limit: Option<Money>| limit.map_or(Value::Null, |l| l.to_string().into());
        let limits: Map<String, Value> =
            group.all().map(|(key, limit)| (key.name().to_owned(), text(limit))).collect();
        match group.scope {
            Scope::Account => account = limits,
            Scope::Instrument => drop(symbols.insert(group.name.to_owned(), limits.into())),
            Scope::Strategy => drop(strategies.insert(group.name.to_owned(), limits.into())),
        }
    }
    json!({
        "account": account, "symbols": symbols, "strategies": strategies, "off": off(risk),
    })
}

/// Of a table of changes.
pub const CHANGE_COLUMNS: &[(&str, Align)] = &[
    ("time", Align::Left),
    ("record", Align::Right),
    ("limit of", Align::Left),
    ("key", Align::Left),
    ("is now", Align::Right),
];

/// A limit that was changed while the engine ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its record.
    pub seq: u64,
    /// When.
    pub ts: Ts,
    /// Whose limit.
    pub scope: Scope,
    /// A symbol or a strategy's name; empty for the account.
    pub name: String,
    /// Which.
    pub key: LimitKey,
    /// What it is from then on; none: off.
    pub limit: Option<Money>,
}

trade_engine::image!(Change { seq, ts, scope, name, key, limit });

impl Change {
    /// What a record changes, if it is such a one.
    pub fn of(record: &Record, state: &State) -> Option<Self> {
        let Body::Event(Event::LimitSet { scope, instrument, strategy, key, value }) = record.body
        else {
            return None;
        };
        let name = name(state, scope, instrument, strategy);
        let (seq, ts) = (record.head.seq, record.head.ts);
        Some(Self { seq, ts, scope, name, key, limit: value })
    }

    /// Whose limit: as [`Group::title`].
    pub fn owner(&self) -> String {
        owner(self.scope, &self.name)
    }

    /// Its row of a table with [`CHANGE_COLUMNS`].
    pub fn row(&self, table: &mut Table) {
        table.row(&[
            &text::time(self.ts),
            &self.seq.to_string(),
            &self.owner(),
            self.key.name(),
            &value(self.key, self.limit),
        ]);
    }

    /// The change as one object.
    pub fn json(&self) -> Value {
        json!({
            "seq": self.seq,
            "time": text::time(self.ts),
            "scope": self.scope.name(),
            "name": Some(&self.name).filter(|name| !name.is_empty()),
            "key": self.key.name(),
            "limit": self.limit.map(|limit| limit.to_string()),
        })
    }
}

/// What the owner of a limit is called.
fn name(state: &State, scope: Scope, instrument: InstrumentId, strategy: u16) -> String {
    let name = match scope {
        Scope::Account => Some(""),
        Scope::Instrument => rows::symbol(state, instrument),
        Scope::Strategy => rows::strategy(state, strategy),
    };
    name.unwrap_or("?").to_owned()
}
