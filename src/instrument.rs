//! A contract: what one lot is, which prices it trades at, what it needs in margin, when it is
//! open.

use crate::limits::{LOT_VALUE_MAX, NOTIONAL_MAX, PRICE_MAX, PRICE_SCALE, QTY_MAX};
use crate::units::{DecimalError, Money, Price, Qty, Ts, Units, parse_decimal};
use std::fmt;

/// Index of an instrument in the engine's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct InstrumentId(pub u16);

crate::image!(InstrumentId(u16));

impl InstrumentId {
    /// No instrument of the table: what an order for an unknown symbol carries.
    pub const UNKNOWN: Self = Self(u16::MAX);

    /// Place in a table of instruments.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One stretch of time in which the market is open: `open <= t < close`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenInterval {
    /// First instant that is open.
    pub open: Ts,
    /// First instant that is closed again.
    pub close: Ts,
}

/// A contract; [`Instrument::check`] checks its figures when it is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// The name people use: `ES`.
    pub symbol: String,
    /// Prices of orders are multiples of this, 1e-9.
    pub tick_size: Price,
    /// What one lot is, in units of the underlying, 1e-9: 1 contract, 0.0001 BTC.
    pub lot_size: i64,
    /// Money per unit of price and unit of quantity, 1e-9: 50 for ES.
    pub multiplier: i64,
    /// Quote currency, ISO 4217 or a venue's own name.
    pub currency: String,
    /// Money held per lot before a position may be opened. `None`: not checked.
    pub initial_margin: Option<Money>,
    /// Money held per lot while a position is open: an alert is raised when equity falls below it.
    /// `None`: none is needed.
    pub maintenance_margin: Option<Money>,
    /// Smallest and largest quantity of one order, in lots.
    pub min_qty: Option<Qty>,
    /// See `min_qty`.
    pub max_qty: Option<Qty>,
    /// Smallest and largest value of one order.
    pub min_notional: Option<Money>,
    /// See `min_notional`.
    pub max_notional: Option<Money>,
    /// Whether an order may have a price at or below zero. A fill at any price is booked.
    pub negative_prices: bool,
    /// When the market is open, sorted, disjoint. `None`: always.
    pub sessions: Option<Vec<OpenInterval>>,
}

/// Why an instrument cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstrumentError {
    /// The tick is not positive.
    Tick,
    /// The lot size is not positive.
    LotSize,
    /// The multiplier is not positive.
    Multiplier,
    /// `lot_size` x `multiplier` has more than nine decimals: money would not be exact.
    LotValueTooFine,
    /// `lot_size` x `multiplier` is above [`LOT_VALUE_MAX`].
    LotValueTooLarge,
    /// Sessions overlap or are out of order.
    Sessions,
}

impl fmt::Display for InstrumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tick => "tick_size must be above zero",
            Self::LotSize => "lot_size must be above zero",
            Self::Multiplier => "multiplier must be above zero",
            Self::LotValueTooFine => "lot_size x multiplier must have at most nine decimals",
            Self::LotValueTooLarge => "lot_size x multiplier must be at most 100000000",
            Self::Sessions => "sessions must be in order and must not overlap",
        })
    }
}

impl std::error::Error for InstrumentError {}

impl Instrument {
    /// A contract with the three figures that every one has, and no other bound.
    pub fn plain(symbol: &str, tick_size: Price, lot_size: i64, multiplier: i64) -> Self {
        Self {
            symbol: symbol.to_owned(),
            tick_size,
            lot_size,
            multiplier,
            currency: "USD".to_owned(),
            initial_margin: None,
            maintenance_margin: None,
            min_qty: None,
            max_qty: None,
            min_notional: None,
            max_notional: None,
            negative_prices: false,
            sessions: None,
        }
    }

    /// Checks the figures against each other.
    ///
    /// # Errors
    /// The first of [`InstrumentError`]'s cases that applies.
    pub fn check(&self) -> Result<(), InstrumentError> {
        if self.tick_size.0 <= 0 {
            return Err(InstrumentError::Tick);
        }
        if self.lot_size <= 0 {
            return Err(InstrumentError::LotSize);
        }
        if self.multiplier <= 0 {
            return Err(InstrumentError::Multiplier);
        }
        let product = i128::from(self.lot_size) * i128::from(self.multiplier);
        if product % i128::from(PRICE_SCALE) != 0 {
            return Err(InstrumentError::LotValueTooFine);
        }
        if product / i128::from(PRICE_SCALE) > i128::from(LOT_VALUE_MAX) {
            return Err(InstrumentError::LotValueTooLarge);
        }
        let sessions = self.sessions.as_deref().unwrap_or(&[]);
        let ordered = sessions.iter().all(|s| s.open < s.close)
            && sessions.windows(2).all(|pair| pair[0].close <= pair[1].open);
        if ordered { Ok(()) } else { Err(InstrumentError::Sessions) }
    }

    /// Money per unit of price of one lot, 1e-9: `lot_size` x `multiplier`.
    pub fn lot_value(&self) -> i64 {
        let product = i128::from(self.lot_size) * i128::from(self.multiplier);
        i64::try_from(product / i128::from(PRICE_SCALE)).expect("checked when it was loaded")
    }

    /// Largest quantity, in lots, whose value at the largest price stays within bounds.
    pub fn qty_limit(&self) -> Qty {
        let per_lot = i128::from(PRICE_MAX) * i128::from(self.lot_value());
        let lots = i64::try_from(NOTIONAL_MAX / per_lot).unwrap_or(i64::MAX);
        assert!(lots >= 1);
        Qty(lots.min(QTY_MAX))
    }

    /// Whole lots in a decimal quantity, e.g. `"0.5"`.
    ///
    /// # Errors
    /// [`LotsError::Decimal`] where the text is no decimal that fits, [`LotsError::OffLot`] where
    /// it is no multiple of the lot size.
    pub fn lots(&self, text: &str) -> Result<Qty, LotsError> {
        let units =
            parse_decimal(text, crate::limits::PRICE_DECIMALS).map_err(LotsError::Decimal)?;
        let lot = i128::from(self.lot_size);
        if units % lot != 0 {
            return Err(LotsError::OffLot);
        }
        let lots = i64::try_from(units / lot);
        lots.map(Qty).map_err(|_| LotsError::Decimal(DecimalError::TooLarge))
    }

    /// The whole lots in a quantity of the underlying, cut down: what is left of a lot is no lot.
    pub const fn whole_lots(&self, units: Units) -> Qty {
        Qty(units.0 / self.lot_size)
    }

    /// A quantity in lots as a decimal of the underlying's unit.
    pub fn qty_text(&self, qty: Qty) -> String {
        let units = i128::from(qty.0) * i128::from(self.lot_size);
        let mut text = String::new();
        crate::units::write_decimal(&mut text, units, crate::limits::PRICE_DECIMALS)
            .expect("a string takes any text");
        text
    }

    /// Whether the market is open at `t`.
    pub fn is_open(&self, t: Ts) -> bool {
        let Some(sessions) = &self.sessions else { return true };
        // The last session that opened at or before `t`, if any.
        let opened = sessions.partition_point(|session| session.open <= t);
        opened.checked_sub(1).is_some_and(|last| t < sessions[last].close)
    }
}

/// Why a text is no number of lots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LotsError {
    /// Not a decimal, or outside what can be held.
    Decimal(DecimalError),
    /// Not a multiple of the lot size.
    OffLot,
}
