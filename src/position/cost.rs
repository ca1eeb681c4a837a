//! What the lots cost that a fill closes: a share of all of them, or the oldest ones first.
//!
//! First in, first out needs to know every lot. The lots are the trades themselves, kept by whoever
//! books them: here are only the place of the oldest one of which something is left, and two sums
//! for what no trade stands for.

use super::position::{Basis, Booked, Fill, Overflow, Position};
use crate::digest::Digest;
use crate::image::{BadImage, Bytes, Image};
use crate::settings::CostMethod;
use crate::units::{Money, Price, Qty, Side, prorate};
use std::num::NonZeroU32;

/// Where a trade is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Place(NonZeroU32);

impl Place {
    /// The `number`th place; they count from 1, and 0 is none.
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Counted from 1.
    pub const fn number(self) -> u32 {
        self.0.get()
    }

    /// The number, or 0 for none: for hashes.
    pub fn word(place: Option<Self>) -> u64 {
        place.map_or(0, |place| u64::from(place.number()))
    }
}

/// A trade as far as it is a lot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LotTrade {
    /// Bought or sold.
    pub side: Side,
    /// Lots.
    pub qty: Qty,
    /// What each cost.
    pub price: Price,
}

/// The trades of one instrument, in the order in which they were booked.
pub trait Trades {
    /// The trade at a place; `None` if it does not count: it was busted.
    fn at(&self, place: Place) -> Option<LotTrade>;

    /// The place of the trade that was booked next.
    fn next(&self, place: Place) -> Option<Place>;
}

/// Lots that are known by their sum alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    /// Never below zero, whichever way they are held.
    qty: Qty,
    /// Signed as [`Position::open_cost`].
    cost: Money,
}

impl Sum {
    /// Takes out as many of `wanted` lots as there are, at their average, half to even. What the
    /// division leaves stays.
    fn take(&mut self, wanted: &mut i64) -> i128 {
        let taken = self.qty.0.min(*wanted);
        if taken == 0 {
            return 0;
        }
        let cost = prorate(self.cost.0, taken, self.qty.0);
        self.qty.0 -= taken;
        self.cost.0 -= cost;
        *wanted -= taken;
        cost
    }
}

/// The lots of one position, oldest first: what was held before the first trade, the trades from
/// `head` on that opened, and what was opened by trades that nobody remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lots {
    front: Sum,
    /// The oldest trade of which something may be left. Every later one of its side is whole: one
    /// of that side that closed anything ended what was held before it, and is the head itself.
    head: Option<Place>,
    /// Lots left of it.
    left: Qty,
    spill: Sum,
}

impl Lots {
    /// Takes the oldest `closed` lots out of what is held on `side`, and says what they cost.
    ///
    /// Walks over the trades from the head: each is passed once in its life, so that a fill costs
    /// one step on average, however many lots are held.
    fn release(&mut self, side: Side, closed: Qty, lot_value: i64, trades: &impl Trades) -> Money {
        let mut wanted = closed.0;
        let mut cost = self.front.take(&mut wanted);
        while let Some(head) = self.head.filter(|_| wanted > 0) {
            if self.left.0 == 0 {
                let Some(next) = trades.next(head) else { break };
                let opens = trades.at(next).filter(|trade| trade.side == side);
                (self.head, self.left) = (Some(next), opens.map_or(Qty(0), |trade| trade.qty));
                continue;
            }
            let trade = trades.at(head).expect("lots are left of it");
            let taken = self.left.0.min(wanted);
            self.left.0 -= taken;
            wanted -= taken;
            // Not past the bounds: at most a position's worth at the largest price.
            let signed = i128::from(side.signed(taken));
            cost += i128::from(trade.price.0) * i128::from(lot_value) * signed;
        }
        cost += self.spill.take(&mut wanted);
        assert!(wanted == 0, "fewer lots than the position has");
        Money(cost)
    }

    /// Adds lots that a trade opened, `cost` in all; `place` is where the trade is kept, if it is.
    fn open(&mut self, qty: Qty, cost: Money, place: Option<Place>) {
        if place.is_none() {
            self.spill.qty.0 += qty.0;
            self.spill.cost.0 += cost.0;
        } else if self.head.is_none() {
            (self.head, self.left) = (place, qty);
        }
    }

    /// Whether so many lots can be released, signed as they are held: what every fill rests on.
    /// Walks over the trades from the head.
    fn cover(&self, held: Qty, trades: &impl Trades) -> bool {
        let Self { front, head, left, spill } = self;
        let side = if held.0 < 0 { Side::Sell } else { Side::Buy };
        let of_side = |place| trades.at(place).filter(|trade| trade.side == side);
        let parts = [front.qty.0, left.0, spill.qty.0];
        let is_left = left.0 == 0 || head.is_some_and(|head| of_side(head).is_some());
        let mut covered: i128 = parts.into_iter().map(i128::from).sum();
        let mut place = *head;
        while let Some(next) = place.and_then(|place| trades.next(place)) {
            covered += of_side(next).map_or(0, |trade| i128::from(trade.qty.0));
            place = Some(next);
        }
        is_left && parts.iter().all(|part| *part >= 0) && covered >= i128::from(held.0).abs()
    }

    /// The oldest trade of which something may be left.
    pub const fn head(&self) -> Option<Place> {
        self.head
    }

    /// Folds every field in.
    pub fn digest(&self, digest: &mut Digest) {
        let Self { front, head, left, spill } = self;
        for Sum { qty, cost } in [front, spill] {
            digest.signed(qty.0);
            digest.wide(cost.0);
        }
        digest.word(Place::word(*head));
        digest.signed(left.0);
    }
}

/// A position and the lots that it is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Quantity, cost, P&L.
    pub position: Position,
    /// Empty at average cost, which needs none.
    pub lots: Lots,
}

impl Holding {
    /// What is held before the first trade: one lot at its average.
    pub fn opening(position: Position, method: CostMethod) -> Self {
        let mut lots = Lots::default();
        if method == CostMethod::Fifo {
            lots.front = Sum { qty: Qty(position.qty.0.abs()), cost: position.open_cost };
        }
        Self { position, lots }
    }

    /// Whether the lots cover the position, by the method that they are counted by.
    pub fn is_covered(&self, method: CostMethod, trades: &impl Trades) -> bool {
        match method {
            CostMethod::Average => self.lots == Lots::default(),
            CostMethod::Fifo => self.lots.cover(self.position.qty, trades),
        }
    }

    /// Books one fill: all of it or, past a bound, nothing. `place` is where it is kept, if it is,
    /// behind every other of `trades`.
    ///
    /// # Errors
    /// [`Overflow`], as [`Position::book`].
    pub fn book(
        &mut self,
        fill: &Fill,
        place: Option<Place>,
        basis: &Basis,
        trades: &impl Trades,
    ) -> Result<Booked, Overflow> {
        let &Basis { lot_value, qty_limit, method } = basis;
        if method == CostMethod::Average {
            return self.position.book(fill, lot_value, qty_limit);
        }
        let mut next = *self;
        let closed = self.position.closed_by(fill);
        let released = next.lots.release(fill.side.opposite(), closed, lot_value, trades);
        let booked = next.position.book_released(fill, released, lot_value, qty_limit)?;
        if closed.0 == self.position.qty.0.abs() {
            // Nothing is left of the old lots: what follows begins with this trade.
            next.lots = Lots::default();
        }
        if booked.opened.0 > 0 {
            let signed = Qty(fill.side.signed(booked.opened.0));
            let cost = Money::notional(fill.price, signed, lot_value).ok_or(Overflow)?;
            next.lots.open(booked.opened, cost, place);
        }
        *self = next;
        Ok(booked)
    }
}

impl Image for Place {
    fn write(&self, out: &mut Vec<u8>) {
        self.number().write(out);
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, BadImage> {
        Self::new(u32::read(from)?).ok_or(from.bad("place 0, which is none"))
    }
}

crate::image!(Sum { qty, cost });
crate::image!(Lots { front, head, left, spill });
crate::image!(Holding { position, lots });

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(lots: &Lots) -> u64 {
        let mut digest = Digest::default();
        lots.digest(&mut digest);
        digest.finish()
    }

    #[test]
    fn the_hash_covers_every_field() {
        let plain = Lots::default();
        let one = Sum { qty: Qty(1), cost: Money::ZERO };
        let worth = Sum { qty: Qty(0), cost: Money(1) };
        let lots = [
            plain,
            Lots { front: one, ..plain },
            Lots { front: worth, ..plain },
            Lots { spill: one, ..plain },
            Lots { spill: worth, ..plain },
            Lots { head: Place::new(1), ..plain },
            Lots { head: Place::new(2), ..plain },
            Lots { left: Qty(1), ..plain },
        ];
        let mut hashes = lots.map(|lots| hash(&lots)).to_vec();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), lots.len());
    }

    #[test]
    fn the_head_is_the_first_trade_that_opened() {
        let mut lots = Lots::default();
        assert_eq!(lots.head(), None);
        for number in [3, 4] {
            lots.open(Qty(1), Money::ZERO, Place::new(number));
            assert_eq!(lots.head(), Place::new(3));
        }
    }
}
