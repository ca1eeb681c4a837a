//! Strategies: what they see, what they say, and three of them. A strategy is a deterministic
//! function of the bars and marks that it was given; it keeps no clock and draws no random number.
//!
//! Each of the three trades every instrument by itself, opens a position only when it is flat, and
//! leaves it with a flat signal: the quantity is the risk layer's business, both ways. Who trades
//! by orders of given quantity finds a [`Bracket`] here, too.

mod bracket;
mod breakout;
mod mean_reversion;
mod momentum;
mod settings;
mod window;

pub use bracket::Bracket;
pub use breakout::Breakout;
pub use mean_reversion::MeanReversion;
pub use momentum::Momentum;
pub use settings::{LOOKBACK_MAX, StrategyError, StrategySettings};
pub use window::Window;

use crate::input::{Input, SignalSide};
use crate::instrument::InstrumentId;
use crate::order::ClOrdId;
use crate::risk::InstrumentBook;
use crate::units::{Price, Qty, Ratio, Ts};

/// A completed bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Of what.
    pub instrument: InstrumentId,
    /// When it began.
    pub opened: Ts,
    /// First price.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Lots traded.
    pub volume: u64,
}

/// A market price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Of what.
    pub instrument: InstrumentId,
    /// When it was seen.
    pub ts: Ts,
    /// The last or middle price.
    pub price: Price,
    /// Best price to sell at.
    pub bid: Option<Price>,
    /// Best price to buy at.
    pub ask: Option<Price>,
}

/// What is held: lots and average price of every instrument, as the engine last said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Positions(Vec<(Qty, Option<Price>)>);

impl Positions {
    /// Nothing held in any of `instruments` instruments.
    pub fn new(instruments: usize) -> Self {
        Self(vec![(Qty(0), None); instruments])
    }

    /// What these books hold, by the place of each.
    pub fn of(books: &[InstrumentBook]) -> Self {
        let held =
            |book: &InstrumentBook| (book.position.qty, book.position.avg_px(book.lot_value));
        Self(books.iter().map(held).collect())
    }

    /// Notes what is held: signed lots, and the average price paid, 1e-9.
    ///
    /// # Panics
    /// If the instrument is not one of those it was made for.
    pub fn set(&mut self, instrument: InstrumentId, qty: Qty, avg_px: Option<Price>) {
        self.0[instrument.index()] = (qty, avg_px);
    }

    /// Signed lots; zero for an instrument that nobody knows.
    pub fn qty(&self, instrument: InstrumentId) -> Qty {
        self.0.get(instrument.index()).map_or(Qty(0), |(qty, _)| *qty)
    }

    /// Average price paid, 1e-9; `None` while flat.
    pub fn avg_px(&self, instrument: InstrumentId) -> Option<Price> {
        self.0.get(instrument.index()).and_then(|(_, avg_px)| *avg_px)
    }

    /// Whether nothing is held.
    pub fn is_flat(&self, instrument: InstrumentId) -> bool {
        self.qty(instrument) == Qty(0)
    }

    /// Whether lots are held.
    pub fn is_long(&self, instrument: InstrumentId) -> bool {
        self.qty(instrument) > Qty(0)
    }

    /// Whether lots are owed.
    pub fn is_short(&self, instrument: InstrumentId) -> bool {
        self.qty(instrument) < Qty(0)
    }
}

/// A wish to trade, to be sized by risk.
///
/// ```
/// use trade_engine::instrument::InstrumentId;
/// use trade_engine::strategy::Signal;
/// use trade_engine::units::{Qty, Ratio};
///
/// let signal = Signal::buy(InstrumentId(0)).strength(Ratio(800_000_000)).qty(Qty(2));
/// assert_eq!(signal.qty, Some(Qty(2)));
/// assert_eq!(signal.price, None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Of what.
    pub instrument: InstrumentId,
    /// Be longer, be shorter, be out.
    pub side: SignalSide,
    /// 0 to 1.
    pub strength: Ratio,
    /// The price at decision; the mark if not given.
    pub price: Option<Price>,
    /// Where the loss is to be stopped; fixed-risk sizing needs it.
    pub stop_price: Option<Price>,
    /// Lots; exact sizing needs it.
    pub qty: Option<Qty>,
    /// Who says so: what P&L is attributed to.
    pub strategy: u16,
}

impl Signal {
    const fn new(instrument: InstrumentId, side: SignalSide) -> Self {
        let strength = Ratio::ONE;
        Self { instrument, side, strength, price: None, stop_price: None, qty: None, strategy: 0 }
    }

    /// Be longer, at full strength.
    pub const fn buy(instrument: InstrumentId) -> Self {
        Self::new(instrument, SignalSide::Buy)
    }

    /// Be shorter, at full strength.
    pub const fn sell(instrument: InstrumentId) -> Self {
        Self::new(instrument, SignalSide::Sell)
    }

    /// Be out.
    pub const fn flat(instrument: InstrumentId) -> Self {
        Self::new(instrument, SignalSide::Flat)
    }

    /// With this strength, 0 to 1.
    #[must_use]
    pub const fn strength(self, strength: Ratio) -> Self {
        Self { strength, ..self }
    }

    /// With this price at decision.
    #[must_use]
    pub const fn price(self, price: Price) -> Self {
        Self { price: Some(price), ..self }
    }

    /// With a price at which the loss is to be stopped.
    #[must_use]
    pub const fn stop(self, stop_price: Price) -> Self {
        Self { stop_price: Some(stop_price), ..self }
    }

    /// With this quantity, lots.
    #[must_use]
    pub const fn qty(self, qty: Qty) -> Self {
        Self { qty: Some(qty), ..self }
    }

    /// On behalf of this strategy.
    #[must_use]
    pub const fn strategy(self, strategy: u16) -> Self {
        Self { strategy, ..self }
    }

    /// The signal as the engine takes it in, under an id of its feeder.
    pub const fn input(self, id: ClOrdId) -> Input {
        let Self { instrument, side, strength, price, stop_price, qty, strategy } = self;
        let defect = None;
        Input::Signal { id, instrument, side, strategy, strength, price, stop_price, qty, defect }
    }
}

/// Something that looks at the market and wishes to trade.
///
/// ```
/// use trade_engine::strategy::{Bar, Positions, Signal, Strategy};
///
/// /// Buys whatever closes above its open, and keeps it.
/// struct Optimist;
/// impl Strategy for Optimist {
///     fn on_bar(&mut self, bar: &Bar, positions: &Positions) -> Option<Signal> {
///         let rising = bar.close > bar.open && positions.is_flat(bar.instrument);
///         rising.then(|| Signal::buy(bar.instrument))
///     }
/// }
/// ```
pub trait Strategy {
    /// Looks at a completed bar. The order that comes of it trades at the next price.
    fn on_bar(&mut self, bar: &Bar, positions: &Positions) -> Option<Signal>;

    /// Looks at a price.
    fn on_mark(&mut self, _mark: &Mark, _positions: &Positions) -> Option<Signal> {
        None
    }
}

/// `numerator / denominator` as a strength: at most 1, and 1 where it cannot be computed. Neither
/// is negative.
fn strength(numerator: Option<i128>, denominator: Option<i128>) -> Ratio {
    let ratio = numerator.zip(denominator).and_then(|(n, d)| Ratio::of(n, d));
    ratio.unwrap_or(Ratio::ONE).min(Ratio::ONE)
}
