//! At which price does an order trade against a quote or a bar? Pure functions of the order's terms
//! and the market; the simulated venue does the rest.
//!
//! Both sides share one rule. A price is turned into a *cost*: the price for a buyer, the price
//! with its sign turned for a seller. Either side wants a low cost, has a limit that the cost may
//! not exceed, and has a stop that the cost must reach from below.
//!
//! | order | against a quote | against a bar |
//! | --- | --- | --- |
//! | market | the side's price, slipped | the open, slipped |
//! | limit | the side's price, if within the limit | if reached: open or limit, the cheaper |
//! | stop | as market, once the mark touches it | if reached: open or stop, the dearer, slipped |
//! | stop-limit | as limit, once the mark touches the stop | as limit, from the trigger on |
//!
//! A bar does not say in which order its prices traded. That matters for a stop-limit order which
//! the bar triggers after its open and whose limit lies on the cheap side of its stop: the reach of
//! the limit may have come before the trigger. Such an order trades in this bar only if the close
//! is within the limit, which is surely after the trigger; otherwise it waits, triggered.

use crate::order::OrdType;
use crate::units::{Price, Ratio, Side};

/// Best prices as they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quote {
    /// The last or middle price: what triggers a stop.
    pub(super) price: Price,
    pub(super) bid: Option<Price>,
    pub(super) ask: Option<Price>,
}

/// What an order meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Market {
    Quote(Quote),
    /// Open, high, low, close.
    Bar([Price; 4]),
}

/// The terms that decide whether and where an order trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) side: Side,
    pub(super) ord_type: OrdType,
    /// Its stop price has traded before.
    pub(super) triggered: bool,
    pub(super) price: Option<Price>,
    pub(super) stop_price: Option<Price>,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Its stop price has traded, now or before.
    pub(super) triggered: bool,
    /// The price of the whole order. `None`: it does not trade.
    pub(super) fill: Option<Price>,
}

/// Wider than a price, so that turning the sign and slipping cannot overflow.
type Cost = i128;

/// What an order can trade at, seen from its side.
struct Path {
    /// Costs at the start, at the end, and the lowest and the highest between.
    open: Cost,
    close: Cost,
    low: Cost,
    high: Cost,
    /// Whether the highest cost that triggers a stop is the path's own: a bar. A quote triggers by
    /// its mark and trades at its bid or ask.
    mark: Option<Cost>,
}

impl Path {
    fn new(side: Side, market: Market) -> Self {
        let cost = |price: Price| Cost::from(price.0) * Cost::from(side.sign());
        match market {
            Market::Quote(quote) => {
                let best = match side {
                    Side::Buy => quote.ask,
                    Side::Sell => quote.bid,
                };
                let at = cost(best.unwrap_or(quote.price));
                Self { open: at, close: at, low: at, high: at, mark: Some(cost(quote.price)) }
            }
            Market::Bar(prices) => {
                // Of all four, so that a bar whose high is not its highest does no harm.
                let [open, high, low, close] = prices.map(cost);
                let lowest = open.min(high).min(low).min(close);
                let highest = open.max(high).max(low).max(close);
                Self { open, close, low: lowest, high: highest, mark: None }
            }
        }
    }

    /// The cost of a limit order at work along the whole path.
    fn limit(&self, limit: Cost) -> Option<Cost> {
        (self.low <= limit).then(|| limit.min(self.open))
    }

    /// Whether a stop is touched.
    fn touches(&self, stop: Cost) -> bool {
        self.mark.unwrap_or(self.high) >= stop
    }

    /// The cost at the moment at which a stop is touched.
    fn at_trigger(&self, stop: Cost) -> Cost {
        if self.mark.is_some() { self.open } else { self.open.max(stop) }
    }

    /// The cost of a limit order that a touch of `stop` puts to work.
    fn limit_from_trigger(&self, stop: Cost, limit: Cost) -> Option<Cost> {
        let start = self.at_trigger(stop);
        if start == self.open {
            self.limit(limit)
        } else if start <= limit {
            Some(start)
        } else {
            // The module's head says why only the close counts.
            (self.close <= limit).then_some(limit)
        }
    }
}

/// Meets an order with the market. `slippage` is the fraction of the price that a market or stop
/// order pays on top; limit prices are never slipped.
pub(super) fn meet(terms: &Terms, market: Market, slippage: Ratio) -> Outcome {
    let sign = Cost::from(terms.side.sign());
    let path = Path::new(terms.side, market);
    let limit = terms.price.map(|price| Cost::from(price.0) * sign);
    let stop = terms.stop_price.map(|price| Cost::from(price.0) * sign);
    let touched = stop.filter(|stop| path.touches(*stop));
    let (triggered, cost) = match terms.ord_type {
        OrdType::Market => (false, Some(slipped(path.open, slippage))),
        OrdType::Limit => (false, limit.and_then(|limit| path.limit(limit))),
        OrdType::Stop => {
            (touched.is_some(), touched.map(|stop| slipped(path.at_trigger(stop), slippage)))
        }
        OrdType::StopLimit if terms.triggered => (true, limit.and_then(|limit| path.limit(limit))),
        OrdType::StopLimit => {
            let fill = touched.zip(limit);
            (touched.is_some(), fill.and_then(|(stop, limit)| path.limit_from_trigger(stop, limit)))
        }
    };
    let fill = cost.map(|cost| {
        // Past the range of a price only by slippage; such a price is refused wherever it came
        // from.
        let price = (cost * sign).clamp(Cost::from(i64::MIN), Cost::from(i64::MAX));
        Price(i64::try_from(price).expect("clamped"))
    });
    Outcome { triggered, fill }
}

/// A cost with slippage: dearer by a fraction of its size, rounded up to 1e-9, never to the tick.
fn slipped(cost: Cost, slippage: Ratio) -> Cost {
    let product = cost.unsigned_abs() * u128::from(slippage.0.unsigned_abs());
    let worse = product.div_ceil(u128::from(Ratio::ONE.0.unsigned_abs()));
    cost + Cost::try_from(worse).expect("the product of two i64 divided")
}
