//! Money in one currency: of one position, of several, or a change of it.

use super::Position;
use crate::digest::Digest;
use crate::units::{Money, Price};

/// What was made, paid, and is not realized yet, in 1e-18 of one currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// P&L of what was closed, commission not taken off.
    pub realized: Money,
    /// Paid; negative if rebates outweigh it.
    pub commission: Money,
    /// P&L of what is held, at the marks; what has no mark counts nothing.
    pub unrealized: Money,
    /// Positions that are held.
    pub positions: i32,
}

impl Balance {
    /// What one position comes to. `None` past the bounds, which a position that was booked within
    /// them and a mark that can be used do not reach.
    pub fn of(position: &Position, mark: Option<Price>, lot_value: i64) -> Option<Self> {
        let Position { qty, realized, commission, .. } = *position;
        let unrealized = match mark {
            Some(mark) => position.unrealized(mark, lot_value)?,
            None => Money::ZERO,
        };
        Some(Self { realized, commission, unrealized, positions: i32::from(qty.0 != 0) })
    }

    /// Realized - commission + unrealized.
    pub const fn pnl(&self) -> Money {
        // Three balances: 3 x 4e37 is still an i128.
        Money(self.realized.0 - self.commission.0 + self.unrealized.0)
    }

    /// The sum; `None` if one of its figures would leave its bound.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Some(Self {
            realized: self.realized.checked_add(other.realized)?,
            commission: self.commission.checked_add(other.commission)?,
            unrealized: self.unrealized.checked_add(other.unrealized)?,
            positions: self.positions.checked_add(other.positions)?,
        })
    }

    /// How an earlier balance became this one. Of two balances within their bounds it always
    /// exists, though it may itself be past the bound of a balance.
    pub const fn since(self, before: Self) -> Self {
        Self {
            realized: Money(self.realized.0 - before.realized.0),
            commission: Money(self.commission.0 - before.commission.0),
            unrealized: Money(self.unrealized.0 - before.unrealized.0),
            positions: self.positions - before.positions,
        }
    }

    /// Folds every field in.
    pub fn digest(&self, digest: &mut Digest) {
        let Self { realized, commission, unrealized, positions } = self;
        for money in [realized, commission, unrealized] {
            digest.wide(money.0);
        }
        digest.signed(i64::from(*positions));
    }
}

crate::image!(Balance { realized, commission, unrealized, positions });
