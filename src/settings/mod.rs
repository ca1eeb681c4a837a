//! What the engine is set to: account, instruments, limits, capacities. Plain data; `config.rs`
//! reads it from TOML and writes its canonical form.

mod controls;

pub use controls::{Count, LimitError, LimitKey, LimitUnit, Limits, Millis, Scope};

use crate::instrument::{Instrument, InstrumentId};
use crate::limits;
use crate::units::{Money, Ratio, Units};
use serde::{Deserialize, Serialize};

/// Everything that the core's decisions depend on, beside its inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Currency and capital.
    pub account: AccountSettings,
    /// What can be traded, in the order of their [`InstrumentId`]s.
    pub instruments: Vec<Instrument>,
    /// Names of the strategies that orders are attributed to: number 1 is the first. Number 0 is
    /// nobody.
    pub strategies: Vec<String>,
    /// Limits and sizing.
    pub risk: RiskSettings,
    /// Sizes of the tables.
    pub capacity: Capacity,
    /// What to do with an input whose time is behind the engine's: refuse it (a scenario), or move
    /// it up and say so (life).
    pub refuse_old_time: bool,
    /// Whether a day roll retires finished orders and is told to the broker, whose day orders end
    /// with it. In a scenario it resets the daily loss only.
    pub day_roll_ends_orders: bool,
    /// Whether marks, bars and timers go on to the broker: a simulated venue needs them.
    pub forward_market_data: bool,
}

impl Settings {
    /// A dollar account, these instruments, every limit off, everything else as it is by default.
    pub fn new(initial_capital: Money, instruments: Vec<Instrument>) -> Self {
        Self {
            account: AccountSettings {
                currency: "USD".to_owned(),
                initial_capital,
                cost_method: CostMethod::Average,
            },
            instruments,
            strategies: Vec::new(),
            risk: RiskSettings::OFF,
            capacity: Capacity::default(),
            refuse_old_time: false,
            day_roll_ends_orders: true,
            forward_market_data: true,
        }
    }

    /// The instrument with this symbol.
    pub fn instrument(&self, symbol: &str) -> Option<InstrumentId> {
        let index = self.instruments.iter().position(|i| i.symbol == symbol)?;
        u16::try_from(index).ok().map(InstrumentId)
    }

    /// Every currency that money is kept in: the account's first, then those that instruments are
    /// quoted in, in the order of the instruments. [`Input::Rate`](crate::input) names them by
    /// their place here.
    pub fn currencies(&self) -> Vec<&str> {
        let mut found = vec![self.account.currency.as_str()];
        for instrument in &self.instruments {
            if !found.contains(&instrument.currency.as_str()) {
                found.push(&instrument.currency);
            }
        }
        found
    }

    /// The place of a currency in [`Settings::currencies`].
    pub fn currency(&self, name: &str) -> Option<u16> {
        let index = self.currencies().iter().position(|currency| *currency == name)?;
        u16::try_from(index).ok()
    }
}

/// Currency and capital.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSettings {
    /// What everything is measured in.
    pub currency: String,
    /// Equity before the first order.
    pub initial_capital: Money,
    /// Which lots a closing trade ends.
    pub cost_method: CostMethod,
}

/// Which lots a closing trade ends, and so what it realizes. Cash and total P&L are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CostMethod {
    /// A share of every lot: the average price stays.
    #[default]
    Average,
    /// The oldest lots first.
    Fifo,
}

/// Sizes of the tables, fixed at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Orders held at once.
    pub orders: usize,
    /// Executions remembered.
    pub executions: usize,
    /// Slots between two checkpoints.
    pub checkpoint_interval_slots: u64,
}

impl Default for Capacity {
    fn default() -> Self {
        Self {
            orders: limits::ORDERS_MAX,
            executions: limits::EXECUTIONS_MAX,
            checkpoint_interval_slots: limits::CHECKPOINT_INTERVAL_SLOTS,
        }
    }
}

/// What `max_position_pct` measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExposureBasis {
    /// Price x quantity x multiplier.
    #[default]
    Notional,
    /// Initial margin.
    Margin,
    /// Price x quantity: the multiplier is ignored.
    Price,
    /// The distance to the stop, times quantity and multiplier.
    Risk,
}

/// How a signal becomes a quantity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sizing {
    /// A share of equity times strength, by notional.
    #[default]
    PercentEquity,
    /// A share of equity times strength, by initial margin.
    PercentMargin,
    /// A share of equity is lost if the stop is hit.
    FixedRisk,
    /// A share of equity is what one bar's typical move makes or loses.
    VolatilityTarget,
    /// The signal says how many.
    Exact,
}

/// What the correlation check does when it finds something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CorrelationAction {
    /// A warning; the order goes on.
    #[default]
    Warn,
    /// The order is turned down.
    Refuse,
}

/// What an anomaly in a report does beside being recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnAnomaly {
    /// Nothing.
    #[default]
    Report,
    /// New exposure in the instrument is refused until a person resumes.
    HaltInstrument,
    /// New exposure is refused until a person resumes.
    Halt,
}

/// Limits and sizing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RiskSettings {
    /// The account's limits.
    pub limits: Limits,
    /// Limits of single instruments, by their place in the table; shorter where the rest has none.
    pub symbols: Vec<Limits>,
    /// Limits of single strategies, by their number less one; shorter where the rest has none.
    pub strategies: Vec<Limits>,
    /// What `max_position_pct` measures.
    pub exposure_basis: ExposureBasis,
    /// Whether equity must cover the initial margin of the worst case.
    pub margin: bool,
    /// What happens when `max_correlation` is passed.
    pub correlation_action: CorrelationAction,
    /// Bar closes that correlation and volatility are measured over.
    pub correlation_window: usize,
    /// Whether an order that would trade with an own order is refused.
    pub self_match: bool,
    /// What an anomaly does beside being recorded.
    pub on_anomaly: OnAnomaly,
    /// How a signal becomes a quantity.
    pub sizing: Sizing,
    /// The share of equity, of margin, or of equity at risk.
    pub sizing_pct: Ratio,
    /// Most that sizing gives, in units of the underlying; cut down to whole lots.
    pub sizing_max_qty: Option<Units>,
}

impl RiskSettings {
    /// The limits of a scope: the account's, or those of this instrument or this strategy. `None`
    /// where it has none.
    pub fn limits_of(
        &self,
        scope: Scope,
        instrument: InstrumentId,
        strategy: u16,
    ) -> Option<&Limits> {
        match scope {
            Scope::Account => Some(&self.limits),
            Scope::Instrument => self.symbols.get(instrument.index()),
            Scope::Strategy => self.strategies.get(usize::from(strategy).checked_sub(1)?),
        }
    }

    /// As [`RiskSettings::limits_of`], to be changed.
    pub fn limits_of_mut(
        &mut self,
        scope: Scope,
        instrument: InstrumentId,
        strategy: u16,
    ) -> Option<&mut Limits> {
        match scope {
            Scope::Account => Some(&mut self.limits),
            Scope::Instrument => self.symbols.get_mut(instrument.index()),
            Scope::Strategy => self.strategies.get_mut(usize::from(strategy).checked_sub(1)?),
        }
    }

    /// Every limit off; signals carry their own quantity.
    pub const OFF: Self = Self {
        limits: Limits::OFF,
        symbols: Vec::new(),
        strategies: Vec::new(),
        exposure_basis: ExposureBasis::Notional,
        margin: false,
        correlation_action: CorrelationAction::Warn,
        correlation_window: 20,
        self_match: false,
        on_anomaly: OnAnomaly::Report,
        sizing: Sizing::Exact,
        sizing_pct: Ratio(50_000_000),
        sizing_max_qty: None,
    };
}
