//! Momentum: buys what has risen, leaves what has fallen.

use super::{Bar, Positions, Signal, Strategy, Window, strength};
use crate::units::Ratio;

/// Compares the close with the one `lookback` bars before. A return above the threshold buys when
/// flat; a return below minus the threshold leaves a long position. With `allow_short` (off in the
/// description that this comes from, where a sell only leaves) the mirror image is traded too.
///
/// The return is compared as a fraction, exactly. Strength is |return| / (2 x threshold), at most
/// 1. A close at or below zero has no return, and gives no signal.
///
/// ```
/// use trade_engine::instrument::InstrumentId;
/// use trade_engine::strategy::{Bar, Momentum, Positions, Signal, Strategy};
/// use trade_engine::units::{Price, Ratio, Ts};
///
/// let mut momentum = Momentum::new(1, 1, Ratio(20_000_000), false);
/// let positions = Positions::new(1);
/// let mut on_close = |close: i64| {
///     let (instrument, price) = (InstrumentId(0), Price(close * 1_000_000_000));
///     let (open, high, low, close) = (price, price, price, price);
///     let bar = Bar { instrument, opened: Ts(0), open, high, low, close, volume: 0 };
///     momentum.on_bar(&bar, &positions)
/// };
/// assert_eq!(on_close(100), None);
/// // Exactly 2 % is not above 2 %.
/// assert_eq!(on_close(102), None);
/// // 3 / 102 is, and 73.5 % of twice the threshold.
/// let signal = on_close(105).unwrap();
/// assert_eq!(signal, Signal::buy(InstrumentId(0)).strength(Ratio(735_294_117)));
/// ```
#[derive(Clone, Debug)]
pub struct Momentum {
    lookback: usize,
    threshold: Ratio,
    allow_short: bool,
    /// By instrument: the newest close and the `lookback` before it.
    closes: Vec<Window>,
}

impl Momentum {
    /// For `instruments` instruments.
    ///
    /// # Panics
    /// If `lookback` is zero or the threshold is negative.
    pub fn new(instruments: usize, lookback: usize, threshold: Ratio, allow_short: bool) -> Self {
        assert!(lookback > 0);
        assert!(threshold >= Ratio(0));
        let closes = vec![Window::new(lookback + 1); instruments];
        Self { lookback, threshold, allow_short, closes }
    }
}

impl Strategy for Momentum {
    fn on_bar(&mut self, bar: &Bar, positions: &Positions) -> Option<Signal> {
        let closes = self.closes.get_mut(bar.instrument.index())?;
        closes.push(bar.close);
        let past = i128::from(closes.back(self.lookback)?.0);
        let change = i128::from(bar.close.0) - past;
        if past <= 0 || bar.close.0 <= 0 {
            return None;
        }
        // change / past > threshold, multiplied out: no digit is lost. All factors are i64.
        let (scale, threshold) = (i128::from(Ratio::ONE.0), i128::from(self.threshold.0));
        let (moved, needed) = (change * scale, threshold * past);
        let strength = strength(change.abs().checked_mul(scale), past.checked_mul(2 * threshold));
        let short = positions.is_short(bar.instrument);
        if moved > needed {
            if positions.is_flat(bar.instrument) {
                return Some(Signal::buy(bar.instrument).strength(strength));
            }
            return (self.allow_short && short).then(|| Signal::flat(bar.instrument));
        }
        if moved < -needed {
            if positions.is_long(bar.instrument) {
                return Some(Signal::flat(bar.instrument));
            }
            let open = self.allow_short && !short;
            return open.then(|| Signal::sell(bar.instrument).strength(strength));
        }
        None
    }
}
