//! The numbers of the engine: prices, quantities, money, ratios, times; exact decimals, parsed and
//! printed digit by digit, added and multiplied with checks. No binary fraction ever holds one.

use crate::limits::{BALANCE_MAX, MONEY_DECIMALS, MONEY_SCALE, NOTIONAL_MAX, PRICE_DECIMALS};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A price in units of 1e-9 of the quote currency (the Databento convention). FIX `Price(44)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Price(pub i64);

/// A quantity in lots; the instrument's `lot_size` says what a lot is. Signed for positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Qty(pub i64);

/// A quantity in units of the underlying, 1e-9: coins, shares, contracts; what a lot is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Units(pub i64);

/// An amount of money in units of 1e-18 of its currency: price (1e-9) x lot value (1e-9), exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Money(pub i128);

/// A fraction in units of 1e-9: 0.05 is 5 %. Decimal, not binary, so that a limit of "0.1" is
/// broken by a measured value greater than a tenth and by nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Ratio(pub i64);

/// Domain time: nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Ts(pub i64);

/// FIX `Side(54)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Side {
    /// 1.
    Buy = 1,
    /// 2.
    Sell = 2,
}

crate::image!(
    enum Side {
        Buy,
        Sell,
    }
);
crate::image!(Price(i64));
crate::image!(Qty(i64));
crate::image!(Money(i128));
crate::image!(Ts(i64));

impl Side {
    /// +1 for a buy, -1 for a sell.
    pub const fn sign(self) -> i64 {
        match self {
            Self::Buy => 1,
            Self::Sell => -1,
        }
    }

    /// `value` for a buy, and with the other sign for a sell: lots as a change of a position.
    pub const fn signed(self, value: i64) -> i64 {
        match self {
            Self::Buy => value,
            Self::Sell => -value,
        }
    }

    /// The side that undoes this one.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// 0 for a buy, 1 for a sell: the index of a per-side array.
    pub const fn index(self) -> usize {
        match self {
            Self::Buy => 0,
            Self::Sell => 1,
        }
    }

    /// `buy` or `sell`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
        }
    }
}

/// Why a text is no decimal of the wanted kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalError {
    /// Not of the form `-?digits[.digits]`.
    NotDecimal,
    /// More fractional digits than the unit has; trailing zeros do not count.
    TooPrecise,
    /// More than the type holds.
    TooLarge,
}

impl fmt::Display for DecimalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotDecimal => "not a decimal number",
            Self::TooPrecise => "more decimals than the unit has",
            Self::TooLarge => "too large",
        })
    }
}

impl std::error::Error for DecimalError {}

/// Reads `-?digits[.digits]` as an integer of `decimals` fractional digits.
///
/// # Errors
/// [`DecimalError::NotDecimal`] comes before the other two, whatever else is wrong.
pub fn parse_decimal(text: &str, decimals: u32) -> Result<i128, DecimalError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return Err(DecimalError::NotDecimal);
    }
    let fraction = fraction.trim_end_matches('0');
    let missing =
        (decimals as usize).checked_sub(fraction.len()).ok_or(DecimalError::TooPrecise)?;
    let mut value: i128 = 0;
    let zeros = std::iter::repeat_n(b'0', missing);
    for byte in whole.bytes().chain(fraction.bytes()).chain(zeros) {
        let digit = i128::from(byte - b'0');
        // Built downwards for a negative number, so that the most negative one can be read.
        value = value
            .checked_mul(10)
            .and_then(|v| if negative { v.checked_sub(digit) } else { v.checked_add(digit) })
            .ok_or(DecimalError::TooLarge)?;
    }
    Ok(value)
}

/// Prints an integer of `decimals` fractional digits: no trailing zeros, no exponent, no `-0`.
///
/// # Errors
/// Only those of the writer.
pub fn write_decimal(f: &mut impl fmt::Write, value: i128, decimals: u32) -> fmt::Result {
    if value < 0 {
        f.write_char('-')?;
    }
    let scale = 10_u128.pow(decimals);
    let magnitude = value.unsigned_abs();
    write!(f, "{}", magnitude / scale)?;
    let mut fraction = magnitude % scale;
    if fraction == 0 {
        return Ok(());
    }
    let mut digits = decimals as usize;
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        digits -= 1;
    }
    write!(f, ".{fraction:0digits$}")
}

/// `numerator / denominator`, rounded half to even. `None` for a zero denominator or overflow.
pub fn div_half_even(numerator: i128, denominator: i128) -> Option<i128> {
    let quotient = numerator.checked_div(denominator)?;
    let rest = numerator.checked_rem(denominator)?;
    if rest == 0 {
        return Some(quotient);
    }
    let away = if (numerator < 0) == (denominator < 0) { 1 } else { -1 };
    let rest = rest.unsigned_abs();
    let half = denominator.unsigned_abs() - rest;
    match rest.cmp(&half) {
        Ordering::Less => Some(quotient),
        Ordering::Greater => quotient.checked_add(away),
        Ordering::Equal if quotient % 2 == 0 => Some(quotient),
        Ordering::Equal => quotient.checked_add(away),
    }
}

/// `value x multiplier / divisor`, rounded half to even, exact in between. `None` past the end of
/// `i128`.
///
/// # Panics
/// If `divisor` is not positive or `multiplier` is negative.
pub fn mul_div(value: i128, multiplier: i64, divisor: i64) -> Option<i128> {
    assert!(divisor > 0);
    assert!(multiplier >= 0);
    let (multiplier, divisor) = (i128::from(multiplier), i128::from(divisor));
    // value = q x divisor + r, so the result is q x multiplier + r x multiplier / divisor, and the
    // second product cannot leave i128: both of its factors are below 2^63.
    let (quotient, rest) = (value / divisor, value % divisor);
    let (carry, rest) = ((rest * multiplier) / divisor, (rest * multiplier) % divisor);
    // Half to even must look at the whole quotient, not at the part behind the split.
    let base = quotient.checked_mul(multiplier)?.checked_add(carry)?;
    let step = if rest < 0 { -1 } else { 1 };
    match (rest.unsigned_abs() * 2).cmp(&divisor.unsigned_abs()) {
        Ordering::Less => Some(base),
        Ordering::Equal if base % 2 == 0 => Some(base),
        Ordering::Equal | Ordering::Greater => base.checked_add(step),
    }
}

/// `value x part / whole`, rounded half to even, exact in between for any `0 <= part <= whole`.
///
/// # Panics
/// If `whole` is not positive or `part` is not in `0..=whole`.
pub fn prorate(value: i128, part: i64, whole: i64) -> i128 {
    assert!((0..=whole).contains(&part));
    let rounded = mul_div(value, part, whole).expect("no larger than the value");
    assert!(rounded.unsigned_abs() <= value.unsigned_abs());
    rounded
}

/// Compares `a x b` with `c x d` exactly, whatever their size.
pub fn cmp_products(a: i128, b: i128, c: i128, d: i128) -> Ordering {
    if let (Some(left), Some(right)) = (a.checked_mul(b), c.checked_mul(d)) {
        return left.cmp(&right);
    }
    let sign = |x: i128, y: i128| x.signum() * y.signum();
    let (left, right) = (sign(a, b), sign(c, d));
    if left != right {
        return left.cmp(&right);
    }
    let magnitudes = wide_product(a.unsigned_abs(), b.unsigned_abs())
        .cmp(&wide_product(c.unsigned_abs(), d.unsigned_abs()));
    if left < 0 { magnitudes.reverse() } else { magnitudes }
}

/// `a x b` in 256 bits: high half, low half. Schoolbook, in digits of 64 bits.
fn wide_product(a: u128, b: u128) -> (u128, u128) {
    const LOW: u128 = u64::MAX as u128;
    let (a1, a0, b1, b0) = (a >> 64, a & LOW, b >> 64, b & LOW);
    // A digit times a digit leaves room for two more digits: nothing here can overflow.
    let low = a0 * b0;
    let middle = a1 * b0 + (low >> 64);
    let other = a0 * b1 + (middle & LOW);
    let high = a1 * b1 + (middle >> 64) + (other >> 64);
    (high, (other << 64) | (low & LOW))
}

fn narrow(value: i128) -> Result<i64, DecimalError> {
    i64::try_from(value).map_err(|_| DecimalError::TooLarge)
}

macro_rules! decimal_i64 {
    ($name:ident, $decimals:expr) => {
        impl FromStr for $name {
            type Err = DecimalError;
            fn from_str(text: &str) -> Result<Self, DecimalError> {
                Ok(Self(narrow(parse_decimal(text, $decimals)?)?))
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_decimal(f, i128::from(self.0), $decimals)
            }
        }
        impl $name {
            /// The sum, or `None` past the end of `i64`.
            pub fn checked_add(self, other: Self) -> Option<Self> {
                self.0.checked_add(other.0).map(Self)
            }
            /// The difference, or `None` past the end of `i64`.
            pub fn checked_sub(self, other: Self) -> Option<Self> {
                self.0.checked_sub(other.0).map(Self)
            }
        }
    };
}

decimal_i64!(Price, PRICE_DECIMALS);
decimal_i64!(Ratio, PRICE_DECIMALS);
decimal_i64!(Units, PRICE_DECIMALS);
decimal_i64!(Qty, 0);

impl Price {
    /// One whole unit of the quote currency.
    pub const ONE: Self = Self(crate::limits::PRICE_SCALE);

    /// How far apart two prices are, never negative. `None` past the end of `i64`.
    pub fn distance(self, other: Self) -> Option<Self> {
        i64::try_from(self.0.abs_diff(other.0)).ok().map(Self)
    }
}

impl Ratio {
    /// 1, the whole.
    pub const ONE: Self = Self(crate::limits::PRICE_SCALE);

    /// Decimal digits that a basis point has left below it: 1e-4 of the whole is 1e5 units.
    const BPS_DECIMALS: u32 = 5;

    /// Reads basis points, a hundredth of a percent each: `"5"` is 0.0005. Exact.
    ///
    /// # Errors
    /// As every decimal; [`DecimalError::TooPrecise`] past five decimals.
    pub fn from_bps(text: &str) -> Result<Self, DecimalError> {
        Ok(Self(narrow(parse_decimal(text, Self::BPS_DECIMALS)?)?))
    }

    /// `numerator / denominator` cut to 1e-9, or `None` for zero or overflow.
    pub fn of(numerator: i128, denominator: i128) -> Option<Self> {
        let scaled = numerator.checked_mul(i128::from(Self::ONE.0))?;
        i64::try_from(scaled.checked_div(denominator)?).ok().map(Self)
    }
}

impl Money {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// The value of `qty` lots at `price`, `lot_value` in 1e-9: exact. `None` past
    /// [`NOTIONAL_MAX`].
    pub fn notional(price: Price, qty: Qty, lot_value: i64) -> Option<Self> {
        let per_lot = i128::from(price.0) * i128::from(lot_value);
        let value = per_lot.checked_mul(i128::from(qty.0))?;
        (value.unsigned_abs() <= NOTIONAL_MAX.unsigned_abs()).then_some(Self(value))
    }

    /// The sum, or `None` past [`BALANCE_MAX`].
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let sum = self.0.checked_add(other.0)?;
        (sum.unsigned_abs() <= BALANCE_MAX.unsigned_abs()).then_some(Self(sum))
    }

    /// The difference, or `None` past [`BALANCE_MAX`].
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.checked_add(Self(other.0.checked_neg()?))
    }

    /// `self x ratio`, cut towards zero to 1e-18; `None` past the end of `i128`.
    pub fn checked_scale(self, ratio: Ratio) -> Option<Self> {
        let (one, ratio) = (i128::from(Ratio::ONE.0), i128::from(ratio.0));
        if let Some(product) = self.0.checked_mul(ratio) {
            return Some(Self(product / one));
        }
        // Split, so that a balance times a ratio near one does not overflow on the way. The same
        // result, for three divisions instead of one.
        let (whole, rest) = (self.0 / one, self.0 % one);
        whole.checked_mul(ratio)?.checked_add(rest * ratio / one).map(Self)
    }

    /// Rounded half to even to nine decimals, the precision in which money is printed.
    pub fn rounded(self) -> i128 {
        let step = MONEY_SCALE / i128::from(crate::limits::PRICE_SCALE);
        div_half_even(self.0, step).expect("the step is not zero")
    }
}

impl FromStr for Money {
    type Err = DecimalError;
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let value = parse_decimal(text, MONEY_DECIMALS)?;
        if value.unsigned_abs() > BALANCE_MAX.unsigned_abs() {
            return Err(DecimalError::TooLarge);
        }
        Ok(Self(value))
    }
}

/// Nine decimals, half to even, without trailing zeros. `{:+}` prints all eighteen.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.sign_plus() {
            return write_decimal(f, self.0, MONEY_DECIMALS);
        }
        write_decimal(f, self.rounded(), PRICE_DECIMALS)
    }
}

impl Ts {
    /// Nanoseconds from an earlier time to this one; at the end of `i64` for more than that holds.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Later by whole milliseconds, or `None` past the year 2262.
    pub fn checked_add_ms(self, ms: i64) -> Option<Self> {
        self.0.checked_add(ms.checked_mul(1_000_000)?).map(Self)
    }
}
