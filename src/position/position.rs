//! One instrument's position: quantity, cost, P&L. Cost is kept, not an average price, so that
//! realized + unrealized = cash flow + market value holds to the last unit of 1e-18.

use crate::digest::Digest;
use crate::limits::PRICE_MAX;
use crate::settings::CostMethod;
use crate::units::{Money, Price, Qty, Side, div_half_even, prorate};

/// A figure left the range of `limits.rs`; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

/// One execution, as the position sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Bought or sold.
    pub side: Side,
    /// Lots, above zero. FIX `LastQty(32)`.
    pub qty: Qty,
    /// FIX `LastPx(31)`: on or off tick, of either sign.
    pub price: Price,
    /// Negative for a rebate.
    pub commission: Money,
    /// See [`slippage`].
    pub slippage: Money,
}

/// What a position is counted by: the instrument's figures and the account's method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Basis {
    /// [`Instrument::lot_value`](crate::instrument::Instrument::lot_value), 1e-9.
    pub lot_value: i64,
    /// [`Instrument::qty_limit`](crate::instrument::Instrument::qty_limit).
    pub qty_limit: Qty,
    /// Which lots a closing fill ends.
    pub method: CostMethod,
}

/// What a fill did to a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booked {
    /// Lots that opened or enlarged it.
    pub opened: Qty,
    /// Lots that closed it; both are above zero when it flips.
    pub closed: Qty,
    /// P&L that the close realized, commission not taken off.
    pub realized: Money,
}

/// What is held in one instrument: netted, whatever the cost method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Signed lots: above zero is long.
    pub qty: Qty,
    /// Sum of price x lot value x quantity over what is held; signed like the quantity while prices
    /// are above zero.
    pub open_cost: Money,
    /// P&L of what was closed, commission not taken off.
    pub realized: Money,
    /// Paid so far; negative if rebates outweigh it.
    pub commission: Money,
    /// Money that the fills were worse than the prices they were decided at; negative is better.
    pub slippage: Money,
}

/// Money by which `qty` lots at `price` are worse than at `base`; negative is better. `None` past
/// the bounds.
pub fn slippage(side: Side, qty: Qty, price: Price, base: Price, lot_value: i64) -> Option<Money> {
    let worse = price.checked_sub(base)?.0.checked_mul(side.sign())?;
    Money::notional(Price(worse), qty, lot_value)
}

crate::image!(Position { qty, open_cost, realized, commission, slippage });

impl Position {
    /// A position that is held before the first fill: signed lots at an average price.
    ///
    /// # Errors
    /// [`Overflow`] past the bounds of quantity and price.
    pub fn held(qty: Qty, avg_px: Price, lot_value: i64, qty_limit: Qty) -> Result<Self, Overflow> {
        let open_cost = value(avg_px, qty, lot_value, qty_limit)?;
        Ok(Self { qty, open_cost, ..Self::default() })
    }

    /// Lots of a fill that close what is held; the rest of it opens.
    pub fn closed_by(&self, fill: &Fill) -> Qty {
        let against = self.qty.0.signum() == -fill.side.sign();
        Qty(if against { fill.qty.0.clamp(0, self.qty.0.abs()) } else { 0 })
    }

    /// The cost of `closed` lots of what is held at the average: open_cost x closed / held, half to
    /// even at 1e-18. What the division leaves stays in what is held: no unit of money is lost.
    ///
    /// # Panics
    /// If that many are not held.
    pub fn average_cost(&self, closed: Qty) -> Money {
        if closed.0 == 0 {
            return Money::ZERO;
        }
        Money(prorate(self.open_cost.0, closed.0, self.qty.0.abs()))
    }

    /// Books one fill at average cost: all of it or, past a bound, nothing. `lot_value` and
    /// `qty_limit` are the instrument's.
    ///
    /// # Errors
    /// [`Overflow`]: a quantity that is not above zero or that would make the position larger than
    /// `qty_limit`, a price past [`PRICE_MAX`], or a balance past its bound.
    pub fn book(
        &mut self,
        fill: &Fill,
        lot_value: i64,
        qty_limit: Qty,
    ) -> Result<Booked, Overflow> {
        let released = self.average_cost(self.closed_by(fill));
        self.book_released(fill, released, lot_value, qty_limit)
    }

    /// As [`Position::book`]; `released` is what the lots cost that the fill closes.
    ///
    /// # Errors
    /// As [`Position::book`].
    pub fn book_released(
        &mut self,
        fill: &Fill,
        released: Money,
        lot_value: i64,
        qty_limit: Qty,
    ) -> Result<Booked, Overflow> {
        if fill.qty.0 <= 0 {
            return Err(Overflow);
        }
        let (held, closed) = (self.qty.0, self.closed_by(fill).0);
        let opened = fill.side.signed(fill.qty.0 - closed);
        let mut next = *self;

        // The part of the position that the close ends: its cost against what it fetched.
        let ended = closed * held.signum();
        let fetched = value(fill.price, Qty(ended), lot_value, qty_limit)?;
        let realized = fetched.checked_sub(released).ok_or(Overflow)?;
        let paid = value(fill.price, Qty(opened), lot_value, qty_limit)?;

        next.qty = Qty(held - ended + opened);
        if next.qty.0.abs() > qty_limit.0 {
            return Err(Overflow);
        }
        let kept = self.open_cost.checked_sub(released);
        next.open_cost = kept.and_then(|kept| kept.checked_add(paid)).ok_or(Overflow)?;
        next.realized = self.realized.checked_add(realized).ok_or(Overflow)?;
        next.commission = self.commission.checked_add(fill.commission).ok_or(Overflow)?;
        next.slippage = self.slippage.checked_add(fill.slippage).ok_or(Overflow)?;
        next.net_realized().ok_or(Overflow)?;

        assert!(next.qty.0 != 0 || next.open_cost == Money::ZERO);
        *self = next;
        Ok(Booked { opened: Qty(opened.abs()), closed: Qty(closed), realized })
    }

    /// P&L of what was closed, commission taken off. `book` keeps it within bounds, so `None` only
    /// for a position that was not made by it.
    pub fn net_realized(&self) -> Option<Money> {
        self.realized.checked_sub(self.commission)
    }

    /// What is held, at `mark`, less its cost. `None` past the bounds.
    pub fn unrealized(&self, mark: Price, lot_value: i64) -> Option<Money> {
        Money::notional(mark, self.qty, lot_value)?.checked_sub(self.open_cost)
    }

    /// Average price of what is held, half to even at nine decimals; `None` when flat.
    pub fn avg_px(&self, lot_value: i64) -> Option<Price> {
        // 1e-18 over (lots x 1e-9) is 1e-9: the price's own unit, with no scaling in between.
        let per_price = i128::from(self.qty.0).checked_mul(i128::from(lot_value))?;
        let average = div_half_even(self.open_cost.0, per_price)?;
        i64::try_from(average).ok().map(Price)
    }

    /// Folds every field in.
    pub fn digest(&self, digest: &mut Digest) {
        let Self { qty, open_cost, realized, commission, slippage } = self;
        digest.signed(qty.0);
        for money in [open_cost, realized, commission, slippage] {
            digest.wide(money.0);
        }
    }
}

/// Value of signed lots at a price, with every bound checked first.
fn value(price: Price, qty: Qty, lot_value: i64, qty_limit: Qty) -> Result<Money, Overflow> {
    if price.0.unsigned_abs() > PRICE_MAX.unsigned_abs() {
        return Err(Overflow);
    }
    if qty.0.unsigned_abs() > qty_limit.0.unsigned_abs() {
        return Err(Overflow);
    }
    Money::notional(price, qty, lot_value).ok_or(Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_covers_every_field() {
        let plain = Position::default();
        let positions = [
            plain,
            Position { qty: Qty(1), ..plain },
            Position { open_cost: Money(1), ..plain },
            Position { realized: Money(1), ..plain },
            Position { commission: Money(1), ..plain },
            Position { slippage: Money(1), ..plain },
        ];
        let mut hashes = positions
            .map(|position| {
                let mut digest = Digest::default();
                position.digest(&mut digest);
                digest.finish()
            })
            .to_vec();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), positions.len());
    }
}
