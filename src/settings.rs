//! What the engine is set to: account, instruments, limits, capacities. Plain data; `config.rs`
//! reads it from TOML and writes its canonical form.

use crate::instrument::{Instrument, InstrumentId};
use crate::limits;
use crate::units::{Money, Qty, Ratio};
use serde::{Deserialize, Serialize};

/// Everything that the core's decisions depend on, beside its inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Currency and capital.
    pub account: AccountSettings,
    /// What can be traded, in the order of their [`InstrumentId`]s.
    pub instruments: Vec<Instrument>,
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
            account: AccountSettings { currency: "USD".to_owned(), initial_capital },
            instruments,
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
}

/// Currency and capital.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSettings {
    /// What everything is measured in.
    pub currency: String,
    /// Equity before the first order.
    pub initial_capital: Money,
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

/// Limits and sizing. `None` switches a limit off. A limit is broken by a measured value greater
/// than it; equal passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RiskSettings {
    /// Largest position as a share of equity, by `exposure_basis`.
    pub max_position_pct: Option<Ratio>,
    /// What that measures.
    pub exposure_basis: ExposureBasis,
    /// Instruments with a position or an order that may open one.
    pub max_positions: Option<u32>,
    /// Fall from the highest equity, as a share of it: halts, latched.
    pub max_drawdown_pct: Option<Ratio>,
    /// Loss since the day began, as a share of equity then: refuses until the day rolls.
    pub max_daily_loss_pct: Option<Ratio>,
    /// Whether equity must cover the initial margin of the worst case.
    pub margin: bool,
    /// Largest absolute correlation of the bar returns of two instruments held the same way.
    pub max_correlation: Option<Ratio>,
    /// What happens then.
    pub correlation_action: CorrelationAction,
    /// Bar closes that it is measured over.
    pub correlation_window: usize,
    /// How a signal becomes a quantity.
    pub sizing: Sizing,
    /// The share of equity, of margin, or of equity at risk.
    pub sizing_pct: Ratio,
    /// Most lots that sizing gives.
    pub sizing_max_qty: Option<Qty>,
}

impl RiskSettings {
    /// Every limit off; signals carry their own quantity.
    pub const OFF: Self = Self {
        max_position_pct: None,
        exposure_basis: ExposureBasis::Notional,
        max_positions: None,
        max_drawdown_pct: None,
        max_daily_loss_pct: None,
        margin: false,
        max_correlation: None,
        correlation_action: CorrelationAction::Warn,
        correlation_window: 20,
        sizing: Sizing::Exact,
        sizing_pct: Ratio(50_000_000),
        sizing_max_qty: None,
    };
}
