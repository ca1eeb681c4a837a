//! The first object of a scenario: what is traded, with how much, under which limits, and who
//! answers.
//!
//! Defaults that the format leaves open: the account holds 100000 USD; an instrument's currency is
//! the account's; sizing is `percent_equity`, and its `sizing_pct` is `max_position_pct` or, without
//! one, 0.05. `sizing_max_qty` and `partial_fill_qty` are quantities of the underlying.
//!
//! Beyond the format: `account` takes `cost_method` (`average`, `fifo`); `risk` takes `symbols` and
//! `strategies`, objects of limits by name; any limit may be "none".

use super::json::{Decimal, Fault, Fields, Json};
use super::risk::{self, Risk};
use std::collections::BTreeMap;
use trade_engine::broker::SimSettings;
use trade_engine::contracts::{CalendarSpec, ContractSpec};
use trade_engine::input::Input;
use trade_engine::instrument::{Instrument, LotsError};
use trade_engine::limits::{EXECUTIONS_MAX, INSTRUMENTS_MAX, ORDERS_MAX};
use trade_engine::settings::{AccountSettings, Capacity, CostMethod, Settings, Sizing};
use trade_engine::units::{Money, Price, Qty, Ratio, Side, Ts};

const BROKER_SIM_KEYS: &[&str] = &[
    "slippage_bps",
    "commission_per_contract",
    "commission_per_share",
    "commission_bps",
    "latency_ms",
    "partial_fill_qty",
    "reject_rate",
    "seed",
];

/// Who answers the orders.
#[derive(Clone, Debug)]
pub(super) enum Venue {
    /// The file's own `exec` steps.
    Script,
    /// The simulated broker.
    Sim(SimSettings),
}

/// The setting as it was written; the instruments' sessions need the time span of the steps.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    contracts: Vec<ContractSpec>,
    account: AccountSettings,
    risk: Risk,
    pub(super) venue: Venue,
    positions: Vec<Held>,
}

#[derive(Clone, Debug)]
struct Held {
    symbol: String,
    side: Side,
    qty: Decimal,
    avg_px: Decimal,
}

/// What the steps need of the engine.
#[derive(Clone, Debug)]
pub(super) struct Needs {
    /// The times of the first and of the last moment.
    pub(super) from: Ts,
    pub(super) to: Ts,
    /// Orders, and rows for trades that nobody ordered.
    pub(super) orders: usize,
    /// Trades, busts and corrections.
    pub(super) executions: usize,
    /// The strategies that the steps name, in the order in which they appear.
    pub(super) strategies: Vec<String>,
}

impl Setting {
    /// Reads the first object.
    pub(super) fn parse(value: Json) -> Result<Self, Fault> {
        let mut fields = Fields::new("setting", value)?;
        let account = parse_account(fields.object_opt("account")?)?;
        let mut contracts = Vec::new();
        for (index, value) in fields.list("instruments")?.into_iter().enumerate() {
            let path = format!("instruments[{index}]");
            contracts.push(parse_contract(Fields::new(&path, value)?, &account.currency)?);
        }
        if contracts.len() > INSTRUMENTS_MAX {
            return Err(format!("instruments: more than {INSTRUMENTS_MAX}"));
        }
        let risk = fields.object_opt("risk")?.map(Risk::parse).transpose()?.unwrap_or_default();
        let venue = fields.object_opt("broker")?.map(parse_broker).transpose()?;
        let mut positions = Vec::new();
        for (index, value) in fields.list_opt("positions")?.into_iter().flatten().enumerate() {
            positions.push(parse_position(Fields::new(&format!("positions[{index}]"), value)?)?);
        }
        fields.finish()?;
        let venue = venue.unwrap_or(Venue::Script);
        Ok(Self { contracts, account, risk, venue, positions })
    }

    /// How a signal becomes a quantity.
    pub(super) const fn sizing(&self) -> Sizing {
        self.risk.account.sizing
    }

    /// What the engine is set to, and what is held before the first step.
    pub(super) fn build(&self, needs: &Needs) -> Result<(Settings, Vec<Input>), Fault> {
        let instruments = self.instruments(needs)?;
        let symbols: Vec<&str> = instruments.iter().map(|one| one.symbol.as_str()).collect();
        let strategies: Vec<&str> = needs.strategies.iter().map(String::as_str).collect();
        let risk = self.risk.build(&symbols, &strategies)?;
        let mut openings: Vec<Input> = Vec::new();
        for (index, held) in self.positions.iter().enumerate() {
            let path = format!("positions[{index}]");
            let opening = held.opening(&path, &instruments)?;
            if openings.iter().any(|other| same_instrument(other, &opening)) {
                return Err(format!("{path}: {:?} is there twice", held.symbol));
            }
            openings.push(opening);
        }
        let is_sim = matches!(self.venue, Venue::Sim(_));
        let executions = if is_sim { needs.orders * 1_000 } else { 0 } + needs.executions;
        let settings = Settings {
            account: self.account.clone(),
            instruments,
            strategies: needs.strategies.clone(),
            risk,
            capacity: Capacity {
                orders: (needs.orders + 1).min(ORDERS_MAX),
                // Twice as many as there can be: the table is then never nearly full, unless it is
                // as large as any may be.
                executions: (2 * executions + 16).min(EXECUTIONS_MAX),
                ..Capacity::default()
            },
            refuse_old_time: true,
            day_roll_ends_orders: false,
            forward_market_data: is_sim,
        };
        Ok((settings, openings))
    }

    fn instruments(&self, needs: &Needs) -> Result<Vec<Instrument>, Fault> {
        // A week around the steps: no session is longer.
        const WEEK_NS: i64 = 7 * 24 * 3_600 * 1_000_000_000;
        let from = Ts(needs.from.0.saturating_sub(WEEK_NS));
        let to = Ts(needs.to.0.saturating_add(WEEK_NS));
        let mut instruments: Vec<Instrument> = Vec::new();
        for (index, contract) in self.contracts.iter().enumerate() {
            let path = format!("instruments[{index}]");
            let instrument = contract.instrument(&path, &BTreeMap::new(), from, to);
            let instrument = instrument.map_err(|error| error.to_string())?;
            if instruments.iter().any(|other| other.symbol == instrument.symbol) {
                return Err(format!("{path}.symbol: {:?} is there twice", instrument.symbol));
            }
            instruments.push(instrument);
        }
        Ok(instruments)
    }
}

fn same_instrument(one: &Input, other: &Input) -> bool {
    matches!(
        (one, other),
        (Input::Opening { instrument: a, .. }, Input::Opening { instrument: b, .. }) if a == b
    )
}

impl Held {
    fn opening(&self, path: &str, instruments: &[Instrument]) -> Result<Input, Fault> {
        let index = instruments.iter().position(|spec| spec.symbol == self.symbol);
        let Some(index) = index else {
            return Err(format!("{path}.symbol: no instrument {:?}", self.symbol));
        };
        let spec = &instruments[index];
        let qty = spec.lots(self.qty.as_str()).map_err(|error| match error {
            LotsError::Decimal(error) => format!("{path}.qty: {error}"),
            LotsError::OffLot => format!("{path}.qty: not a whole number of lots"),
        })?;
        let avg_px: Price =
            self.avg_px.as_str().parse().map_err(|error| format!("{path}.avg_px: {error}"))?;
        let signed = Qty(self.side.signed(qty.0));
        let held = trade_engine::position::Position::held(
            signed,
            avg_px,
            spec.lot_value(),
            spec.qty_limit(),
        );
        if qty.0 <= 0 || held.is_err() {
            return Err(format!("{path}: more than can be held, or nothing"));
        }
        let index = u16::try_from(index).expect("counted when it was read");
        let instrument = trade_engine::instrument::InstrumentId(index);
        Ok(Input::Opening { instrument, qty: signed, avg_px })
    }
}

fn parse_account(fields: Option<Fields>) -> Result<AccountSettings, Fault> {
    let default_capital = "100000".parse().expect("a decimal");
    let mut account = AccountSettings {
        currency: "USD".to_owned(),
        initial_capital: default_capital,
        cost_method: CostMethod::Average,
    };
    let Some(mut fields) = fields else { return Ok(account) };
    if let Some(currency) = fields.text_opt("currency")? {
        account.currency = currency;
    }
    if let Some(capital) = fields.decimal_opt("initial_capital")? {
        account.initial_capital =
            capital.as_str().parse().map_err(|error| fields.fault("initial_capital", error))?;
    }
    let methods = &[("average", CostMethod::Average), ("fifo", CostMethod::Fifo)];
    account.cost_method = fields.choice_opt("cost_method", methods)?.unwrap_or_default();
    fields.finish()?;
    Ok(account)
}

fn parse_contract(mut fields: Fields, currency: &str) -> Result<ContractSpec, Fault> {
    let mut figure =
        |key: &str| fields.decimal_opt(key).map(|figure| figure.map(|f| f.as_str().to_owned()));
    let lot_size = figure("lot_size")?;
    let multiplier = figure("multiplier")?;
    let initial_margin = figure("initial_margin")?;
    let maintenance_margin = figure("maintenance_margin")?;
    let (min_qty, max_qty) = (figure("min_qty")?, figure("max_qty")?);
    let (min_notional, max_notional) = (figure("min_notional")?, figure("max_notional")?);
    let own_currency = fields.text_opt("currency")?;
    let spec = ContractSpec {
        symbol: fields.text("symbol")?,
        tick_size: fields.decimal("tick_size")?.as_str().to_owned(),
        lot_size,
        multiplier,
        currency: Some(own_currency.unwrap_or_else(|| currency.to_owned())),
        initial_margin,
        maintenance_margin,
        min_qty,
        max_qty,
        min_notional,
        max_notional,
        negative_prices: fields.bool_or_false("negative_prices")?,
        calendar: None,
        session: fields.object_opt("session")?.map(parse_session).transpose()?,
    };
    fields.finish()?;
    Ok(spec)
}

fn parse_session(mut fields: Fields) -> Result<CalendarSpec, Fault> {
    let mut days = Vec::new();
    for day in fields.list("days")? {
        let Json::Text(day) = day else {
            return Err(fields.fault("days", "expected names of days"));
        };
        days.push(day);
    }
    let spec = CalendarSpec {
        timezone: fields.text("timezone")?,
        open: fields.text("open")?,
        close: fields.text("close")?,
        days,
        holidays: Vec::new(),
        early_closes: BTreeMap::new(),
    };
    fields.finish()?;
    Ok(spec)
}

fn parse_broker(mut fields: Fields) -> Result<Venue, Fault> {
    let is_sim = fields.choice_opt("kind", &[("script", false), ("sim", true)])?;
    if !is_sim.unwrap_or(false) {
        if let Some(key) = fields.keys().find(|key| BROKER_SIM_KEYS.contains(key)) {
            return Err(format!("{}: `{key}` is for kind \"sim\"", fields.path()));
        }
        fields.finish()?;
        return Ok(Venue::Script);
    }
    let bps = |fields: &mut Fields, key: &str| -> Result<Ratio, Fault> {
        let Some(figure) = fields.figure_opt(key)? else { return Ok(Ratio(0)) };
        Ratio::from_bps(figure.as_str()).map_err(|error| fields.fault(key, error))
    };
    let money = |fields: &mut Fields, key: &str| -> Result<Money, Fault> {
        let Some(figure) = fields.decimal_opt(key)? else { return Ok(Money::ZERO) };
        figure.as_str().parse().map_err(|error| fields.fault(key, error))
    };
    let reject_rate = match fields.figure_opt("reject_rate")? {
        Some(rate) => rate.as_str().parse().map_err(|error| fields.fault("reject_rate", error))?,
        None => Ratio(0),
    };
    let settings = SimSettings {
        slippage: bps(&mut fields, "slippage_bps")?,
        commission_per_contract: money(&mut fields, "commission_per_contract")?,
        commission_per_share: money(&mut fields, "commission_per_share")?,
        commission_rate: bps(&mut fields, "commission_bps")?,
        latency_ms: fields.integer_opt("latency_ms")?.unwrap_or(0),
        partial_fill_qty: risk::units(&mut fields, "partial_fill_qty")?,
        reject_rate,
        seed: fields.integer_opt("seed")?.unwrap_or(0),
        // The engine's own margin check stands before it.
        initial_capital: None,
    };
    settings.check().map_err(|error| format!("{}: {error}", fields.path()))?;
    fields.finish()?;
    Ok(Venue::Sim(settings))
}

fn parse_position(mut fields: Fields) -> Result<Held, Fault> {
    let held = Held {
        symbol: fields.text("symbol")?,
        side: fields.choice("side", &[("LONG", Side::Buy), ("SHORT", Side::Sell)])?,
        qty: fields.decimal("qty")?,
        avg_px: fields.decimal("avg_px")?,
    };
    fields.finish()?;
    Ok(held)
}
