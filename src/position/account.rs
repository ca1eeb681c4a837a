//! The account: what everything is worth together, and how far that has fallen.

use super::Overflow;
use crate::digest::Digest;
use crate::limits::{BALANCE_MAX, PRICE_SCALE};
use crate::units::{Money, Ratio, cmp_products};
use std::cmp::Ordering;

/// Sums over all instruments, in the account's currency.
///
/// Equity = initial capital + realized - commission + unrealized, each of them and the equity
/// within [`BALANCE_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    initial_capital: Money,
    realized: Money,
    commission: Money,
    unrealized: Money,
    equity: Money,
    peak_equity: Money,
    day_start_equity: Money,
}

/// A fall and the most that it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fall {
    /// How far equity stands below where it is measured from; negative is above.
    pub number: Money,
    /// The share of that which the limit allows, cut to 1e-18 to be shown.
    pub limit: Money,
    /// Whether it is more than the limit, compared exactly.
    pub broken: bool,
}

impl Account {
    /// Before the first order.
    ///
    /// # Panics
    /// If the capital is past [`BALANCE_MAX`]; parsing [`Money`] refuses that.
    pub const fn new(initial_capital: Money) -> Self {
        assert!(initial_capital.0.unsigned_abs() <= BALANCE_MAX.unsigned_abs());
        Self {
            initial_capital,
            realized: Money::ZERO,
            commission: Money::ZERO,
            unrealized: Money::ZERO,
            equity: initial_capital,
            peak_equity: initial_capital,
            day_start_equity: initial_capital,
        }
    }

    /// Equity before the first order.
    pub const fn initial_capital(&self) -> Money {
        self.initial_capital
    }

    /// P&L of what was closed, commission not taken off.
    pub const fn realized(&self) -> Money {
        self.realized
    }

    /// P&L of what was closed, commission taken off.
    pub const fn net_realized(&self) -> Money {
        // Two balances: the difference is an i128 by far.
        Money(self.realized.0 - self.commission.0)
    }

    /// Paid so far.
    pub const fn commission(&self) -> Money {
        self.commission
    }

    /// P&L of what is held, at the marks.
    pub const fn unrealized(&self) -> Money {
        self.unrealized
    }

    /// What the account is worth now.
    pub const fn equity(&self) -> Money {
        self.equity
    }

    /// The highest equity since the start or the last resume.
    pub const fn peak_equity(&self) -> Money {
        self.peak_equity
    }

    /// What the day's loss is measured from.
    pub const fn day_start_equity(&self) -> Money {
        self.day_start_equity
    }

    /// Takes in what a fill realized and cost, and how it moved the unrealized P&L: all or nothing.
    ///
    /// # Errors
    /// [`Overflow`] if a balance would leave its bound.
    pub fn on_fill(
        &mut self,
        realized: Money,
        commission: Money,
        unrealized_change: Money,
    ) -> Result<(), Overflow> {
        let mut next = *self;
        next.realized = self.realized.checked_add(realized).ok_or(Overflow)?;
        next.commission = self.commission.checked_add(commission).ok_or(Overflow)?;
        next.unrealized = self.unrealized.checked_add(unrealized_change).ok_or(Overflow)?;
        *self = next.with_equity()?;
        Ok(())
    }

    /// Takes in how a mark moved the unrealized P&L.
    ///
    /// # Errors
    /// [`Overflow`] if a balance would leave its bound; nothing is changed.
    pub fn on_unrealized_change(&mut self, change: Money) -> Result<(), Overflow> {
        self.on_fill(Money::ZERO, Money::ZERO, change)
    }

    /// Raises the peak to the equity, if that is higher.
    pub fn note_peak(&mut self) {
        self.peak_equity = self.peak_equity.max(self.equity);
    }

    /// A resume: the drawdown is measured from here on.
    pub fn restart_peak(&mut self) {
        self.peak_equity = self.equity;
    }

    /// A new trading day: its loss is measured from here on.
    pub fn roll_day(&mut self) {
        self.day_start_equity = self.equity;
    }

    /// The fall from the highest equity against a share of it.
    pub fn drawdown(&self, limit: Ratio) -> Fall {
        self.fall(self.peak_equity.max(self.equity), limit)
    }

    /// The loss since the day began against a share of the equity then.
    pub fn daily_loss(&self, limit: Ratio) -> Fall {
        self.fall(self.day_start_equity, limit)
    }

    /// Folds every field in.
    pub fn digest(&self, digest: &mut Digest) {
        let Self {
            initial_capital,
            realized,
            commission,
            unrealized,
            equity,
            peak_equity,
            day_start_equity,
        } = self;
        for money in [
            initial_capital,
            realized,
            commission,
            unrealized,
            equity,
            peak_equity,
            day_start_equity,
        ] {
            digest.wide(money.0);
        }
    }

    fn fall(&self, from: Money, limit: Ratio) -> Fall {
        // Two balances: the difference is an i128 by far.
        let number = Money(from.0 - self.equity.0);
        let (scale, share) = (i128::from(PRICE_SCALE), i128::from(limit.0));
        let broken = cmp_products(number.0, scale, share, from.0) == Ordering::Greater;
        // A limit too large to be written down cannot be broken either.
        let limit = from.checked_scale(limit).unwrap_or(Money(i128::MAX));
        Fall { number, limit, broken }
    }

    /// With the equity that the other fields come to.
    fn with_equity(mut self) -> Result<Self, Overflow> {
        // Four balances: 4 x 4e37 is still an i128, so only the result needs a check.
        let sum = self.initial_capital.0 + self.realized.0 - self.commission.0 + self.unrealized.0;
        self.equity = Money::ZERO.checked_add(Money(sum)).ok_or(Overflow)?;
        Ok(self)
    }
}

const _: () = assert!(BALANCE_MAX <= i128::MAX / 4);
