//! What the working orders of one instrument may still do: running sums, per side.

use crate::digest::Digest;
use crate::order::Contribution;
use crate::position::Overflow;
use crate::units::{Qty, Side};

/// The working orders of one side. Values are price x lots in 1e-9, so that the same sums serve
/// every basis: what a lot is worth comes in when they are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Working {
    /// How many orders.
    pub orders: u32,
    /// Lots of the orders that count at their own price.
    pub priced_qty: Qty,
    /// Sum of |price| x lots over those.
    pub priced_value: i128,
    /// Lots of the orders that count at the market.
    pub market_qty: Qty,
    /// Sum of the distance to the stop x lots, over the orders that have a stop.
    pub distance_value: i128,
    /// Lots of the orders that have none.
    pub unprotected_qty: Qty,
}

impl Working {
    /// Lots in all.
    pub fn qty(&self) -> Qty {
        // `add` keeps the sum within i64.
        Qty(self.priced_qty.0 + self.market_qty.0)
    }

    /// With one more order. One that has no open quantity counts for nothing.
    ///
    /// # Errors
    /// [`Overflow`] past the end of a sum.
    pub fn with(self, order: Contribution) -> Result<Self, Overflow> {
        self.moved(order, 1, order.qty.0).ok_or(Overflow)
    }

    /// Without an order that was added.
    ///
    /// # Errors
    /// [`Overflow`] if it had not been.
    pub fn without(self, order: Contribution) -> Result<Self, Overflow> {
        let next = self.moved(order, -1, -order.qty.0).ok_or(Overflow)?;
        let Self { orders: _, priced_qty, priced_value, market_qty, distance_value, .. } = next;
        let lots = [priced_qty, market_qty, next.unprotected_qty].map(|qty| i128::from(qty.0));
        let mut sums = lots.into_iter().chain([priced_value, distance_value]);
        if sums.all(|sum| sum >= 0) { Ok(next) } else { Err(Overflow) }
    }

    /// `orders` and `lots` are those of `order`, or the same below zero.
    fn moved(mut self, order: Contribution, orders: i32, lots: i64) -> Option<Self> {
        let Contribution { side: _, qty, price, distance } = order;
        if qty.0 <= 0 {
            return Some(self);
        }
        self.orders = self.orders.checked_add_signed(orders)?;
        match price {
            Some(price) => {
                let value = i128::from(price.0).abs() * i128::from(lots);
                self.priced_qty = self.priced_qty.checked_add(Qty(lots))?;
                self.priced_value = self.priced_value.checked_add(value)?;
            }
            None => self.market_qty = self.market_qty.checked_add(Qty(lots))?,
        }
        match distance {
            Some(distance) => {
                let value = i128::from(distance.0).abs() * i128::from(lots);
                self.distance_value = self.distance_value.checked_add(value)?;
            }
            None => self.unprotected_qty = self.unprotected_qty.checked_add(Qty(lots))?,
        }
        self.priced_qty.checked_add(self.market_qty)?;
        Some(self)
    }
}

/// The working orders of one instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exposure {
    sides: [Working; 2],
}

impl Exposure {
    /// The working orders of one side.
    pub const fn side(&self, side: Side) -> &Working {
        &self.sides[side.index()]
    }

    /// Working orders on both sides.
    pub const fn orders(&self) -> u32 {
        self.sides[0].orders + self.sides[1].orders
    }

    /// Takes an order's contribution in.
    ///
    /// # Errors
    /// [`Overflow`] past the end of a sum; nothing is changed.
    pub fn add(&mut self, order: Contribution) -> Result<(), Overflow> {
        let working = &mut self.sides[order.side.index()];
        *working = working.with(order)?;
        Ok(())
    }

    /// Takes an order's contribution out: exactly what `add` was given.
    ///
    /// # Errors
    /// [`Overflow`] if it had not been added; nothing is changed.
    pub fn remove(&mut self, order: Contribution) -> Result<(), Overflow> {
        let working = &mut self.sides[order.side.index()];
        *working = working.without(order)?;
        Ok(())
    }

    /// Folds every field in.
    pub fn digest(&self, digest: &mut Digest) {
        for working in &self.sides {
            let Working {
                orders,
                priced_qty,
                priced_value,
                market_qty,
                distance_value,
                unprotected_qty,
            } = working;
            digest.word(u64::from(*orders));
            digest.signed(priced_qty.0);
            digest.wide(*priced_value);
            digest.signed(market_qty.0);
            digest.wide(*distance_value);
            digest.signed(unprotected_qty.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Price;

    const WHOLE: Contribution = Contribution {
        side: Side::Buy,
        qty: Qty(1),
        price: Some(Price(1)),
        distance: Some(Price(1)),
    };

    #[test]
    fn the_hash_tells_every_sum_of_either_side() {
        let at_market = Contribution { price: None, ..WHOLE };
        let unprotected = Contribution { distance: None, ..WHOLE };
        let dearer = Contribution { price: Some(Price(2)), ..WHOLE };
        let farther = Contribution { distance: Some(Price(2)), ..WHOLE };
        let more = Contribution { qty: Qty(2), ..WHOLE };
        let sold = Contribution { side: Side::Sell, ..WHOLE };
        let orders = [WHOLE, at_market, unprotected, dearer, farther, more, sold];
        let hash = |orders: &[Contribution]| {
            let mut exposure = Exposure::default();
            for order in orders {
                exposure.add(*order).expect("within bounds");
            }
            let mut digest = Digest::default();
            exposure.digest(&mut digest);
            digest.finish()
        };
        let mut hashes = orders.map(|order| hash(&[order])).to_vec();
        hashes.extend([hash(&[]), hash(&[WHOLE, WHOLE])]);
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), orders.len() + 2);
    }

    #[test]
    fn what_was_not_added_is_not_taken_out() {
        let mut exposure = Exposure::default();
        exposure.add(WHOLE).expect("within bounds");
        let before = exposure;
        for other in [
            Contribution { price: None, ..WHOLE },
            Contribution { price: Some(Price(2)), ..WHOLE },
            Contribution { distance: None, ..WHOLE },
            Contribution { distance: Some(Price(2)), ..WHOLE },
            Contribution { qty: Qty(2), ..WHOLE },
            Contribution { side: Side::Sell, ..WHOLE },
        ] {
            assert!(exposure.remove(other).is_err(), "{other:?}");
            assert_eq!(exposure, before);
        }
        exposure.remove(WHOLE).expect("it was added");
        assert_eq!(exposure, Exposure::default());
    }
}
