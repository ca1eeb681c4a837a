//! What one scope has in one instrument: lots held and orders at work, the order to be judged among
//! them; and the worst that can come of a side.
//!
//! The worst case of a side is the position and all working orders of that side, at their own
//! prices, the market's or the mark. A position held the other way takes lots away from the orders,
//! at their average price.

use super::exposure::Working;
use super::view::{InstrumentBook, Market};
use crate::code::Code;
use crate::units::{Money, Price, Qty, Side, prorate};

/// A figure; or why there is none: [`Code::NoMark`], [`Code::StaleMark`], [`Code::NoRate`] or
/// [`Code::Overflow`].
pub(super) type Measured = Result<Money, Code>;

/// What one scope has in one instrument.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stake<'a> {
    pub(super) book: &'a InstrumentBook,
    /// Signed lots.
    pub(super) held: i64,
    /// By [`Side::index`].
    pub(super) working: [Working; 2],
    /// The prices that it is judged by, or why they are not to be used.
    pub(super) market: Result<&'a Market, Code>,
}

impl Stake<'_> {
    /// Lots held this way; below zero if held the other way.
    const fn held_as(&self, side: Side) -> i64 {
        side.signed(self.held)
    }

    const fn working(&self, side: Side) -> &Working {
        &self.working[side.index()]
    }

    /// Orders at work, on both sides.
    pub(super) fn orders(&self) -> u64 {
        self.working.iter().map(|working| u64::from(working.orders)).sum()
    }

    /// Whether the working orders of this side can only shrink the position, whichever trade.
    pub(super) fn shrinks(&self, side: Side) -> bool {
        i128::from(self.working(side).qty().0) <= -i128::from(self.held_as(side))
    }

    fn mark(&self) -> Result<Price, Code> {
        self.market?.price.ok_or(Code::NoMark)
    }

    /// The worst case of the side at its prices; `unit` is what a lot is worth per price, 1e-9.
    pub(super) fn side_value(&self, side: Side, unit: i64) -> Measured {
        self.with_position(side, self.orders_value(side)?, unit, || self.mark())
    }

    /// The worst case of the side, by what is lost if every stop is hit.
    pub(super) fn side_risk(&self, side: Side) -> Measured {
        let working = self.working(side);
        // An order without a stop may lose anything: there is no price to measure it by.
        if working.unprotected_qty.0 > 0 {
            return Err(Code::NoMark);
        }
        self.with_position(side, working.distance_value, self.book.lot_value, || {
            let stop = self.book.protect_px.ok_or(Code::NoMark)?;
            self.mark()?.distance(stop).ok_or(Code::Overflow)
        })
    }

    /// The worst case of the side in lots, times a lot's margin.
    pub(super) fn side_margin(&self, side: Side, margin: Money) -> Measured {
        let lots = i128::from(self.working(side).qty().0) + i128::from(self.held_as(side));
        bounded(lots.max(0).checked_mul(margin.0).ok_or(Code::Overflow)?)
    }

    /// The worse of the two sides in lots, times a lot's margin.
    pub(super) fn margin(&self, margin: Money) -> Measured {
        let [buys, sells] = self.working.map(|working| i128::from(working.qty().0));
        let held = i128::from(self.held);
        let lots = (held + buys).abs().max((held - sells).abs());
        bounded(lots.checked_mul(margin.0).ok_or(Code::Overflow)?)
    }

    /// The larger of the two sides' worst cases.
    pub(super) fn gross(&self) -> Measured {
        let unit = self.book.lot_value;
        Ok(self.side_value(Side::Buy, unit)?.max(self.side_value(Side::Sell, unit)?))
    }

    /// The position and the working orders of this side; what is held the other way counts against
    /// it, at the mark.
    pub(super) fn net(&self, side: Side) -> Measured {
        let held = self.held_as(side);
        let position = if held == 0 { 0 } else { product(self.mark()?, Qty(held))? };
        let total = self.orders_value(side)?.checked_add(position).ok_or(Code::Overflow)?;
        bounded(total.checked_mul(i128::from(self.book.lot_value)).ok_or(Code::Overflow)?)
    }

    /// Sum of |price| x lots over the working orders of the side.
    fn orders_value(&self, side: Side) -> Result<i128, Code> {
        let working = self.working(side);
        let at_market = if working.market_qty.0 == 0 {
            0
        } else {
            let price = self.market?.price_for(side).ok_or(Code::NoMark)?;
            product(price, working.market_qty)?
        };
        working.priced_value.checked_add(at_market).ok_or(Code::Overflow)
    }

    /// Orders (price x lots) and the position (at a price that is asked for only if needed), as
    /// money.
    fn with_position(
        &self,
        side: Side,
        orders: i128,
        unit: i64,
        position_price: impl Fn() -> Result<Price, Code>,
    ) -> Measured {
        let held = self.held_as(side);
        let money = |value: i128| value.checked_mul(i128::from(unit)).ok_or(Code::Overflow);
        if held >= 0 {
            let at_price = if held == 0 { 0 } else { product(position_price()?, Qty(held))? };
            let total = orders.checked_add(at_price).ok_or(Code::Overflow)?;
            return bounded(money(total)?);
        }
        let lots = self.working(side).qty().0;
        let net = (lots + held).max(0);
        if net == 0 {
            return Ok(Money::ZERO);
        }
        bounded(prorate(money(orders)?, net, lots))
    }
}

/// |price| x lots.
fn product(price: Price, qty: Qty) -> Result<i128, Code> {
    i128::from(price.0).abs().checked_mul(i128::from(qty.0)).ok_or(Code::Overflow)
}

/// Within what a balance may be.
fn bounded(value: i128) -> Measured {
    Money::ZERO.checked_add(Money(value)).ok_or(Code::Overflow)
}
