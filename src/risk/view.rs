//! What the rules look at: the market, the books of all instruments, the order to be judged.

use super::attribution::StrategyBooks;
use super::controls::Controls;
use super::correlation::Correlations;
use super::exposure::Exposure;
use crate::code::Code;
use crate::digest::Digest;
use crate::image::{BadImage, Bytes, Image};
use crate::instrument::{Instrument, InstrumentId};
use crate::order::{Contribution, OrdType};
use crate::position::{Account, Balance, Position, Rates};
use crate::settings::{Limits, RiskSettings, Scope};
use crate::units::{Money, Price, Qty, Side, Ts};

/// The last known prices of an instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Market {
    /// The mark.
    pub price: Option<Price>,
    /// Best bid, if the mark came with one.
    pub bid: Option<Price>,
    /// Best ask, if the mark came with one.
    pub ask: Option<Price>,
    /// When the mark came.
    pub ts: Ts,
}

crate::image!(Market { price, bid, ask, ts });

impl Market {
    /// What a market order of this side counts at: ask for a buy, bid for a sell, else the mark.
    pub fn price_for(&self, side: Side) -> Option<Price> {
        let quote = match side {
            Side::Buy => self.ask,
            Side::Sell => self.bid,
        };
        quote.or(self.price)
    }

    /// Folds every field in.
    pub fn digest(&self, digest: &mut Digest) {
        let Self { price, bid, ask, ts } = self;
        for price in [price, bid, ask] {
            digest.option(price.map(|price| price.0));
        }
        digest.signed(ts.0);
    }
}

/// Everything about one instrument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstrumentBook {
    /// The contract.
    pub spec: Instrument,
    /// The place of the contract's currency in
    /// [`Settings::currencies`](crate::settings::Settings::currencies).
    pub currency: u16,
    /// [`Instrument::lot_value`], computed once: 1e-9.
    pub lot_value: i64,
    /// [`Instrument::qty_limit`], computed once.
    pub qty_limit: Qty,
    /// Last known prices.
    pub market: Market,
    /// What is held.
    pub position: Position,
    /// What is working.
    pub exposure: Exposure,
    /// The stop of the order that last enlarged the position.
    pub protect_px: Option<Price>,
    /// Why trading in it is halted, if it is.
    pub halted: Option<Code>,
}

impl InstrumentBook {
    /// Nothing held, nothing working, no price known; quoted in the account's currency.
    pub fn new(spec: Instrument) -> Self {
        Self {
            currency: 0,
            lot_value: spec.lot_value(),
            qty_limit: spec.qty_limit(),
            spec,
            market: Market::default(),
            position: Position::default(),
            exposure: Exposure::default(),
            protect_px: None,
            halted: None,
        }
    }

    /// P&L of what is held, at the mark; `None` without a mark.
    pub fn unrealized(&self) -> Option<Money> {
        self.position.unrealized(self.market.price?, self.lot_value)
    }

    /// What the position comes to, in the contract's currency; nothing unrealized without a mark.
    /// `None` past the bounds, which booking keeps it from.
    pub fn balance(&self) -> Option<Balance> {
        Balance::of(&self.position, self.market.price, self.lot_value)
    }

    /// Whether something is held, or working and so may be held.
    pub fn is_engaged(&self) -> bool {
        self.position.qty.0 != 0 || self.exposure.orders() > 0
    }

    /// Whether fills could leave it held this way: long for a buy, short for a sell.
    pub fn may_be(&self, side: Side) -> bool {
        let held = side.signed(self.position.qty.0);
        held > 0 || self.exposure.side(side).qty().0 > held.abs()
    }

    /// Appends what can change but the working orders, which follow from the orders.
    pub fn write_image(&self, out: &mut Vec<u8>) {
        let Self { spec: _, currency: _, lot_value: _, qty_limit: _, exposure: _, .. } = self;
        let Self { market, position, protect_px, halted, .. } = self;
        market.write(out);
        position.write(out);
        protect_px.write(out);
        halted.write(out);
    }

    /// Puts what was written into the book of the same contract.
    ///
    /// # Errors
    /// [`BadImage`]: it is none.
    pub fn restore(&mut self, from: &mut Bytes<'_>) -> Result<(), BadImage> {
        self.market = Market::read(from)?;
        self.position = Position::read(from)?;
        self.protect_px = Option::read(from)?;
        self.halted = Option::read(from)?;
        Ok(())
    }

    /// Folds in what can change; the contract cannot.
    pub fn digest(&self, digest: &mut Digest) {
        let Self { spec: _, currency: _, lot_value: _, qty_limit: _, .. } = self;
        let Self { market, position, exposure, protect_px, halted, .. } = self;
        market.digest(digest);
        position.digest(digest);
        exposure.digest(digest);
        digest.option(protect_px.map(|price| price.0));
        digest.word(halted.map_or(0, |code| code as u64));
    }
}

/// The order to be judged: a new one, or what a replace would make of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What it trades; must be in the table.
    pub instrument: InstrumentId,
    /// The number of the strategy that it is attributed to; 0 is nobody.
    pub strategy: u16,
    /// Buy or sell.
    pub side: Side,
    /// Lots that may trade: for a replace, the new total less what has traded, or what the old one
    /// has left if that is more.
    pub qty: Qty,
    /// FIX `OrderQty(38)`, lots: the total, for a replace the new one. What the size of one order
    /// is measured by.
    pub order_qty: Qty,
    /// Market, limit, stop, stop-limit.
    pub ord_type: OrdType,
    /// Limit price.
    pub price: Option<Price>,
    /// Stop price.
    pub stop_price: Option<Price>,
    /// Where the loss is to be stopped.
    pub protect_px: Option<Price>,
    /// May only shrink the position.
    pub reduce_only: bool,
    /// Its quantity comes from what is held: see [`Flags::OWN`](crate::order::Flags::OWN).
    pub is_own: bool,
    /// For a replace: the order's stop has triggered.
    pub is_triggered: bool,
    /// For a replace: what the order counts for now, which this stands in for.
    pub instead_of: Option<Contribution>,
}

impl Candidate {
    /// The price it counts at, of its own. `None`: at the market.
    pub const fn counted_price(&self) -> Option<Price> {
        self.ord_type.counted_price(self.price, self.stop_price)
    }
}

/// What the rules may see.
#[derive(Clone, Copy, Debug)]
pub struct RiskView<'a> {
    /// Limits and sizing.
    pub settings: &'a RiskSettings,
    /// Domain time.
    pub now: Ts,
    /// Why trading is halted, if it is.
    pub halted: Option<Code>,
    /// Equity and what it is measured against.
    pub account: &'a Account,
    /// What other currencies are worth in the account's.
    pub rates: &'a Rates,
    /// Every instrument, by [`InstrumentId::index`].
    pub books: &'a [InstrumentBook],
    /// What each strategy holds and has working.
    pub strategies: &'a StrategyBooks,
    /// How the instruments move together.
    pub correlations: &'a Correlations,
    /// What has been sent before.
    pub controls: &'a Controls,
    /// Whether another order can be held.
    pub orders_free: bool,
    /// Whether executions can be told from repeated ones beyond the reserve.
    pub executions_free: bool,
}

impl<'a> RiskView<'a> {
    /// The limits that an order must keep: the account's, and those that its instrument and its
    /// strategy have of their own.
    pub fn limits_for(
        &self,
        candidate: &Candidate,
    ) -> impl Iterator<Item = (Scope, &'a Limits)> + use<'a> {
        let (settings, Candidate { instrument, strategy, .. }) = (self.settings, *candidate);
        Scope::ALL.into_iter().filter_map(move |scope| {
            Some((scope, settings.limits_of(scope, instrument, strategy)?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_market_tells_every_price_and_its_time() {
        let hash = |market: Market| {
            let mut digest = Digest::default();
            market.digest(&mut digest);
            digest.finish()
        };
        let (none, one) = (Market::default(), Some(Price(1)));
        let mut hashes = [
            none,
            Market { price: one, ..none },
            Market { bid: one, ..none },
            Market { ask: one, ..none },
            Market { price: Some(Price(0)), ..none },
            Market { ts: Ts(1), ..none },
        ]
        .map(hash);
        hashes.sort_unstable();
        assert!(hashes.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
