//! A bracket: an entry with a stop loss and a take profit, as the inputs that make it.

use crate::input::Input;
use crate::instrument::InstrumentId;
use crate::order::{ClOrdId, Flags, OrdType, Tif};
use crate::units::{Price, Qty, Side};

/// An entry, and the two exits that go with it. The engine holds the exits until the entry trades,
/// keeps each at what has been entered and not been left, and takes from one what the other trades;
/// see [`Contingents`](crate::order::Contingents).
///
/// ```
/// use trade_engine::input::Input;
/// use trade_engine::instrument::InstrumentId;
/// use trade_engine::order::ClOrdId;
/// use trade_engine::strategy::Bracket;
/// use trade_engine::units::{Price, Qty, Side};
///
/// let at = |price: i64| Price(price * Price::ONE.0);
/// let bracket = Bracket::new(InstrumentId(0), Side::Buy, Qty(10), at(95), at(110)).limit(at(100));
/// let [stop, target, entry] = bracket.inputs([1, 2, 3].map(|n| ClOrdId::new(0, n)));
/// assert!(matches!(stop, Input::Contingent { side: Side::Sell, .. }));
/// assert!(matches!(target, Input::Contingent { side: Side::Sell, .. }));
/// assert!(matches!(entry, Input::Order { side: Side::Buy, qty: Qty(10), .. }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bracket {
    /// What is traded.
    pub instrument: InstrumentId,
    /// The entry's side; the exits have the other.
    pub side: Side,
    /// Lots to enter.
    pub qty: Qty,
    /// The entry's limit price; at the market without one.
    pub entry: Option<Price>,
    /// The stop price of the stop loss.
    pub stop_loss: Price,
    /// The limit price of the take profit.
    pub take_profit: Price,
    /// How far the stop loss stays behind the best price since the entry traded; fixed without.
    pub trail: Option<Price>,
    /// How long the entry works. The exits work until they are cancelled: a position outlives a
    /// day.
    pub tif: Tif,
    /// Who the orders are attributed to.
    pub strategy: u16,
}

impl Bracket {
    /// At the market, for the day, with a stop loss that stays where it is.
    pub const fn new(
        instrument: InstrumentId,
        side: Side,
        qty: Qty,
        stop_loss: Price,
        take_profit: Price,
    ) -> Self {
        let (entry, trail, tif, strategy) = (None, None, Tif::Day, 0);
        Self { instrument, side, qty, entry, stop_loss, take_profit, trail, tif, strategy }
    }

    /// Enters at this price or better.
    #[must_use]
    pub const fn limit(self, price: Price) -> Self {
        Self { entry: Some(price), ..self }
    }

    /// The stop loss follows the best price at this distance.
    #[must_use]
    pub const fn trail(self, distance: Price) -> Self {
        Self { trail: Some(distance), ..self }
    }

    /// The entry works so long.
    #[must_use]
    pub const fn tif(self, tif: Tif) -> Self {
        Self { tif, ..self }
    }

    /// On behalf of this strategy.
    #[must_use]
    pub const fn strategy(self, strategy: u16) -> Self {
        Self { strategy, ..self }
    }

    /// Stop loss, take profit and entry, under three ids that grow. To be sent in this order: the
    /// exits first, so that no crash between them leaves an entry without its protection.
    pub const fn inputs(&self, [stop, target, entry]: [ClOrdId; 3]) -> [Input; 3] {
        [
            self.exit([stop, target, entry], OrdType::Stop),
            self.exit([target, stop, entry], OrdType::Limit),
            Input::Order {
                id: entry,
                instrument: self.instrument,
                side: self.side,
                ord_type: if self.entry.is_some() { OrdType::Limit } else { OrdType::Market },
                tif: self.tif,
                strategy: self.strategy,
                flags: Flags(0),
                qty: self.qty,
                price: self.entry,
                stop_price: None,
                expire_at: None,
                defect: None,
            },
        ]
    }

    const fn exit(&self, [id, sibling, parent]: [ClOrdId; 3], ord_type: OrdType) -> Input {
        let is_stop = ord_type.has_stop();
        Input::Contingent {
            id,
            instrument: self.instrument,
            side: self.side.opposite(),
            ord_type,
            tif: Tif::Gtc,
            strategy: self.strategy,
            flags: Flags::REDUCE_ONLY,
            qty: self.qty,
            price: if is_stop { None } else { Some(self.take_profit) },
            stop_price: if is_stop { Some(self.stop_loss) } else { None },
            expire_at: None,
            parent,
            sibling,
            trail: if is_stop { self.trail } else { None },
            defect: None,
        }
    }
}
