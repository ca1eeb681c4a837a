//! Every limit that is a number: one list, from which follow its key, its unit, how it is read and
//! shown, and how it is changed while the engine runs.

use crate::limits::{MONEY_SCALE, PRICE_SCALE, RATE_MAX};
use crate::units::{Money, Ratio, Units, parse_decimal};
use std::fmt;

/// Milliseconds of domain time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u32);

impl Millis {
    /// In nanoseconds.
    pub const fn nanos(self) -> i64 {
        self.0 as i64 * 1_000_000
    }
}

/// What a limit is a number of. Whatever it is, a limit travels and is logged in 1e-18 of its unit.
pub trait LimitUnit: Copy {
    /// Decimal digits that the unit has.
    const DECIMALS: u32;
    /// In 1e-18.
    fn to_wide(self) -> i128;
    /// From 1e-18; `None` where it is not exactly one of the unit.
    fn from_wide(value: i128) -> Option<Self>;
}

/// 1e-18 in each 1e-9.
const NANO: i128 = MONEY_SCALE / PRICE_SCALE as i128;

macro_rules! limit_unit {
    ($type:ident, $inner:ty, $decimals:literal, $scale:expr) => {
        impl LimitUnit for $type {
            const DECIMALS: u32 = $decimals;
            fn to_wide(self) -> i128 {
                i128::from(self.0) * $scale
            }
            fn from_wide(value: i128) -> Option<Self> {
                if value.checked_rem($scale) != Some(0) {
                    return None;
                }
                <$inner>::try_from(value / $scale).ok().map($type)
            }
        }
    };
}

limit_unit!(Ratio, i64, 9, NANO);
limit_unit!(Units, i64, 9, NANO);
limit_unit!(Money, i128, 18, 1);
limit_unit!(Count, u32, 0, MONEY_SCALE);
limit_unit!(Millis, u32, 0, MONEY_SCALE);

/// A number of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(pub u32);

/// Why a value cannot be a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitError {
    /// No decimal number.
    NotDecimal,
    /// Below zero, finer than the unit, past its range, or a rate past [`RATE_MAX`].
    OutOfRange,
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotDecimal => "not a decimal number",
            Self::OutOfRange => "below zero, finer than the unit, or past its range",
        })
    }
}

impl std::error::Error for LimitError {}

macro_rules! limits {
    ($(
        $(#[$doc:meta])*
        $field:ident : $type:ty = $Key:ident $number:literal $scoped:literal,
    )*) => {
        /// Limits; `None` switches one off. A limit is broken by a measured value greater than it;
        /// equal passes.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits {
            $($(#[$doc])* pub $field: Option<$type>,)*
        }

        /// A limit by its key. The numbers are part of the log format and never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum LimitKey {
            $($(#[$doc])* $Key = $number,)*
        }

        impl Limits {
            /// Every limit off.
            pub const OFF: Self = Self { $($field: None,)* };

            /// The limit of a key, in 1e-18 of its unit; `None`: off.
            pub fn get(&self, key: LimitKey) -> Option<Money> {
                match key {
                    $(LimitKey::$Key => self.$field.map(|limit| Money(limit.to_wide())),)*
                }
            }

            /// Sets the limit of a key, in 1e-18 of its unit; `None` switches it off.
            ///
            /// # Errors
            /// [`LimitError::OutOfRange`]; nothing is changed.
            pub fn set(&mut self, key: LimitKey, value: Option<Money>) -> Result<(), LimitError> {
                if value.is_some_and(|value| value < Money::ZERO) {
                    return Err(LimitError::OutOfRange);
                }
                match key {
                    $(LimitKey::$Key => {
                        self.$field = match value {
                            None => None,
                            Some(Money(value)) => {
                                let limit = <$type as LimitUnit>::from_wide(value);
                                Some(limit.ok_or(LimitError::OutOfRange)?)
                            }
                        };
                    })*
                }
                Ok(())
            }
        }

        impl LimitKey {
            /// Every key, in order.
            pub const ALL: &'static [Self] = &[$(Self::$Key,)*];

            /// The name in configurations and reports: `max_order_qty`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$Key => stringify!($field),)*
                }
            }

            /// Whether one instrument or one strategy may have it, too.
            pub const fn is_scoped(self) -> bool {
                match self {
                    $(Self::$Key => $scoped,)*
                }
            }

            /// Decimal digits that its unit has: 0 for a count, 9 for a share or a quantity, 18 for
            /// money.
            pub const fn decimals(self) -> u32 {
                match self {
                    $(Self::$Key => <$type as LimitUnit>::DECIMALS,)*
                }
            }
        }

        crate::image!(enum LimitKey { $($Key),* });
    };
}

limits! {
    /// Largest position as a share of equity, by `exposure_basis`.
    max_position_pct: Ratio = MaxPositionPct 1 true,
    /// Fall from the highest equity, as a share of it: halts, latched.
    max_drawdown_pct: Ratio = MaxDrawdownPct 2 false,
    /// Loss since the day began, as a share of equity then: refuses until the day rolls.
    max_daily_loss_pct: Ratio = MaxDailyLossPct 3 false,
    /// Largest absolute correlation of the bar returns of two instruments held the same way.
    max_correlation: Ratio = MaxCorrelation 4 false,
    /// Instruments with a position or an order that may open one.
    max_positions: Count = MaxPositions 5 false,
    /// Largest quantity of one order, in units of the underlying.
    max_order_qty: Units = MaxOrderQty 6 true,
    /// Largest value of one order, in the account's currency.
    max_order_notional: Money = MaxOrderNotional 7 true,
    /// Largest sum of the worst cases of all instruments, in the account's currency.
    max_gross_exposure: Money = MaxGrossExposure 8 true,
    /// Largest worst case of all instruments against each other, in the account's currency.
    max_net_exposure: Money = MaxNetExposure 9 true,
    /// Orders at work, with the new one.
    max_open_orders: Count = MaxOpenOrders 10 true,
    /// Gross exposure divided by equity.
    max_leverage: Ratio = MaxLeverage 11 false,
    /// Distance of a price from the mark, as a share of the mark.
    price_collar_pct: Ratio = PriceCollarPct 12 true,
    /// Age of the mark that an order is judged by.
    max_mark_age_ms: Millis = MaxMarkAgeMs 13 true,
    /// Time within which the same order again is taken for a mistake.
    duplicate_window_ms: Millis = DuplicateWindowMs 14 false,
    /// Orders in any span of one second.
    max_orders_per_second: Count = MaxOrdersPerSecond 15 true,
    /// Orders, replaces and cancels in any span of one second; a cancel is never refused for it.
    max_messages_per_second: Count = MaxMessagesPerSecond 16 true,
    /// Orders of one strategy in one instrument and one direction until a person re-arms it.
    max_repeats: Count = MaxRepeats 17 true,
    /// Time in which the venue must have answered an order or a request, before an alert.
    answer_timeout_ms: Millis = AnswerTimeoutMs 18 false,
}

impl LimitKey {
    /// The largest value that a person may give it, in 1e-18 of its unit: of a rate, what can be
    /// counted. A larger one that a program set counts as that.
    pub const fn most(self) -> Money {
        match self {
            Self::MaxOrdersPerSecond | Self::MaxMessagesPerSecond => {
                Money(RATE_MAX as i128 * MONEY_SCALE)
            }
            Self::MaxPositionPct
            | Self::MaxDrawdownPct
            | Self::MaxDailyLossPct
            | Self::MaxCorrelation
            | Self::MaxPositions
            | Self::MaxOrderQty
            | Self::MaxOrderNotional
            | Self::MaxGrossExposure
            | Self::MaxNetExposure
            | Self::MaxOpenOrders
            | Self::MaxLeverage
            | Self::PriceCollarPct
            | Self::MaxMarkAgeMs
            | Self::DuplicateWindowMs
            | Self::MaxRepeats
            | Self::AnswerTimeoutMs => Money(i128::MAX),
        }
    }

    /// The key of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|key| key.name() == name)
    }

    /// Reads a value of this key's unit: `"0.05"`, `"3"`; the word `none` switches the limit off.
    ///
    /// # Errors
    /// [`LimitError`].
    pub fn read(self, text: &str) -> Result<Option<Money>, LimitError> {
        if text == "none" {
            return Ok(None);
        }
        let wide = parse_decimal(text, 18).map_err(|error| match error {
            crate::units::DecimalError::NotDecimal => LimitError::NotDecimal,
            crate::units::DecimalError::TooPrecise | crate::units::DecimalError::TooLarge => {
                LimitError::OutOfRange
            }
        })?;
        if wide > self.most().0 {
            return Err(LimitError::OutOfRange);
        }
        // Whether the unit takes it is known once it is set.
        Limits::OFF.clone().set(self, Some(Money(wide)))?;
        Ok(Some(Money(wide)))
    }
}

/// Whose limit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Scope {
    /// Everything together.
    Account = 1,
    /// One instrument.
    Instrument = 2,
    /// One strategy.
    Strategy = 3,
}

crate::image!(
    enum Scope {
        Account,
        Instrument,
        Strategy,
    }
);

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Account, Self::Instrument, Self::Strategy];

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Instrument => "instrument",
            Self::Strategy => "strategy",
        }
    }
}
