//! Orders handed over lately: the same one again within the window is taken for a mistake.

use crate::digest::Digest;
use crate::image::{BadImage, Bytes, Image};
use crate::instrument::InstrumentId;
use crate::order::OrdType;
use crate::order::table::{Key, Table, mix};
use crate::settings::Millis;
use crate::units::{Price, Qty, Side, Ts};

/// What makes two orders the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    instrument: InstrumentId,
    side: Side,
    ord_type: OrdType,
    qty: Qty,
    price: Option<Price>,
    stop_price: Option<Price>,
}

impl Ask {
    /// For so many lots of an instrument; a price that the type does not have is left out.
    pub fn new(
        (instrument, side): (InstrumentId, Side),
        ord_type: OrdType,
        qty: Qty,
        price: Option<Price>,
        stop_price: Option<Price>,
    ) -> Self {
        let price = price.filter(|_| ord_type.has_limit());
        let stop_price = stop_price.filter(|_| ord_type.has_stop());
        Self { instrument, side, ord_type, qty, price, stop_price }
    }
}

crate::image!(Ask { instrument, side, ord_type, qty, price, stop_price });

impl Key for Ask {
    const NONE: Self = Self {
        instrument: InstrumentId::UNKNOWN,
        side: Side::Buy,
        ord_type: OrdType::Market,
        qty: Qty(0),
        price: None,
        stop_price: None,
    };

    fn spread(self) -> u64 {
        let Self { instrument, side, ord_type, qty, price, stop_price } = self;
        let kinds = u64::from(instrument.0) << 16 | (side as u64) << 8 | ord_type as u64;
        // Which prices there are follows from the type.
        let [price, stop] = [price, stop_price].map(|price| price.unwrap_or_default().0);
        [qty.0, price, stop]
            .into_iter()
            .fold(mix(0, kinds), |spread, figure| mix(spread, figure.cast_unsigned()))
    }
}

/// The orders of the window, oldest first, and the latest of each sort by what it asks for.
#[derive(Clone, Debug)]
pub struct Recent {
    ring: Vec<(Ask, Ts)>,
    first: usize,
    count: usize,
    latest: Table<Ask>,
    /// Of every order there ever was: with how many are held, it stands for the ring.
    digest: Digest,
}

/// Orders that one new order makes forgotten: more than one, so that they cannot pile up.
const FORGOTTEN_MAX: usize = 2;

impl Recent {
    /// Room for `max` orders, at least one; the last memory it takes.
    pub fn new(max: usize) -> Self {
        assert!(max > 0);
        Self {
            ring: vec![(Ask::NONE, Ts(0)); max],
            first: 0,
            count: 0,
            latest: Table::new(max),
            digest: Digest::default(),
        }
    }

    /// Nanoseconds since the same was last handed over, if that is less than a window ago.
    pub fn age(&self, ask: Ask, now: Ts, window: Millis) -> Option<i64> {
        let place = self.latest.get(ask)?;
        let age = now.since(self.ring[place as usize].1);
        (age < window.nanos()).then_some(age)
    }

    /// Whether no other order could be remembered: all that are held are of the window.
    pub fn is_full(&self, now: Ts, window: Millis) -> bool {
        self.count == self.ring.len() && !self.is_first_old(now, window)
    }

    fn is_first_old(&self, now: Ts, window: Millis) -> bool {
        self.count > 0 && now.since(self.ring[self.first].1) >= window.nanos()
    }

    /// An order has been handed over. With no room it is not remembered: orders that could be
    /// doubled are turned down then.
    pub fn note(&mut self, ask: Ask, now: Ts, window: Millis) {
        for _ in 0..FORGOTTEN_MAX {
            if self.is_first_old(now, window) {
                self.forget_first();
            }
        }
        if self.count == self.ring.len() {
            return;
        }
        self.remember(ask, now);
        self.digest.signed(now.0);
        self.digest.word(ask.spread());
    }

    /// Takes one in, behind the others; there is room.
    fn remember(&mut self, ask: Ask, now: Ts) {
        let place = (self.first + self.count) % self.ring.len();
        self.ring[place] = (ask, now);
        self.count += 1;
        self.latest.remove(ask);
        self.latest.insert(ask, u32::try_from(place).expect("limits.rs bounds it"));
    }

    fn forget_first(&mut self) {
        let (ask, _) = self.ring[self.first];
        // Unless the same has been handed over since.
        if self.latest.get(ask).is_some_and(|place| place as usize == self.first) {
            self.latest.remove(ask);
        }
        self.first = (self.first + 1) % self.ring.len();
        self.count -= 1;
    }

    /// Appends the orders, oldest first.
    pub fn write_image(&self, out: &mut Vec<u8>) {
        let Self { ring, first, count, latest: _, digest } = self;
        count.write(out);
        for offset in 0..*count {
            let (ask, ts) = ring[(first + offset) % ring.len()];
            ask.write(out);
            ts.write(out);
        }
        digest.write(out);
    }

    /// Puts what was written where nothing has been handed over.
    ///
    /// # Errors
    /// [`BadImage`]: more than can be remembered, or what is no order.
    pub fn restore(&mut self, from: &mut Bytes<'_>) -> Result<(), BadImage> {
        for _ in 0..from.count(self.ring.len())? {
            let (ask, ts) = (Ask::read(from)?, Ts::read(from)?);
            from.require(ask != Ask::NONE, "an order for nothing")?;
            self.remember(ask, ts);
        }
        self.digest = Digest::read(from)?;
        Ok(())
    }

    /// Folds in what can change.
    pub fn digest(&self, digest: &mut Digest) {
        digest.word(self.count as u64);
        digest.word(self.digest.finish());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forgotten_makes_room() {
        let window = Millis(1);
        let ask = |qty| Ask { qty: Qty(1 + qty), ..Ask::NONE };
        let mut recent = Recent::new(2);
        for turn in 0..10 {
            let now = Ts(turn * window.nanos());
            assert_eq!(recent.age(ask(turn), now, window), None);
            recent.note(ask(turn), now, window);
            assert_eq!(recent.age(ask(turn), now, window), Some(0));
            assert!(!recent.is_full(now, window));
        }
    }

    #[test]
    fn what_differs_in_anything_is_spread_apart() {
        let plain = Ask { instrument: InstrumentId(1), qty: Qty(1), ..Ask::NONE };
        let asks = [
            plain,
            Ask { instrument: InstrumentId(0), ..plain },
            Ask { instrument: InstrumentId(1 << 8), ..plain },
            Ask { side: Side::Sell, ..plain },
            Ask { ord_type: OrdType::Limit, ..plain },
            Ask { ord_type: OrdType::StopLimit, ..plain },
            Ask { qty: Qty(2), ..plain },
            Ask { price: Some(Price(1)), ..plain },
            Ask { stop_price: Some(Price(1)), ..plain },
        ];
        let mut spreads = asks.map(Ask::spread).to_vec();
        spreads.sort_unstable();
        spreads.dedup();
        assert_eq!(spreads.len(), asks.len());
    }
}
