//! Breakout: buys above the highest high of the last bars, leaves under the lowest low (Donchian).

use super::{Bar, Positions, Signal, Strategy, Window};
use crate::units::Price;

/// Two channels, both over the bars *before* the one that breaks them. A close above the highest
/// high of `entry_lookback` bars buys when flat; a close under the lowest low of `exit_lookback`
/// bars leaves a long position. With `allow_short` the mirror image is traded too.
///
/// An entry carries as its stop price the other side of the exit channel as the next bar will find
/// it, so that fixed-risk sizing knows what may be lost.
#[derive(Clone, Debug)]
pub struct Breakout {
    entry_lookback: usize,
    exit_lookback: usize,
    allow_short: bool,
    /// By instrument: highs and lows.
    bars: Vec<(Window, Window)>,
}

impl Breakout {
    /// For `instruments` instruments.
    ///
    /// # Panics
    /// If a lookback is zero.
    pub fn new(
        instruments: usize,
        entry_lookback: usize,
        exit_lookback: usize,
        allow_short: bool,
    ) -> Self {
        assert!(entry_lookback > 0);
        assert!(exit_lookback > 0);
        let window = Window::new(entry_lookback.max(exit_lookback));
        let bars = vec![(window.clone(), window); instruments];
        Self { entry_lookback, exit_lookback, allow_short, bars }
    }
}

/// The highest of the newest `count` prices.
fn highest(prices: &Window, count: usize) -> Option<Price> {
    prices.newest(count)?.max()
}

/// The lowest of the newest `count` prices.
fn lowest(prices: &Window, count: usize) -> Option<Price> {
    prices.newest(count)?.min()
}

impl Strategy for Breakout {
    fn on_bar(&mut self, bar: &Bar, positions: &Positions) -> Option<Signal> {
        let (highs, lows) = self.bars.get_mut(bar.instrument.index())?;
        // The channels as they were before this bar, then the bar itself.
        let (top, bottom) =
            (highest(highs, self.entry_lookback), lowest(lows, self.entry_lookback));
        let (exit_top, exit_bottom) =
            (highest(highs, self.exit_lookback), lowest(lows, self.exit_lookback));
        highs.push(bar.high);
        lows.push(bar.low);

        if positions.is_long(bar.instrument) {
            return (bar.close < exit_bottom?).then(|| Signal::flat(bar.instrument));
        }
        if positions.is_short(bar.instrument) {
            let out = self.allow_short && bar.close > exit_top?;
            return out.then(|| Signal::flat(bar.instrument));
        }
        if bar.close > top? {
            let stop = lowest(lows, self.exit_lookback)?;
            return Some(Signal::buy(bar.instrument).stop(stop));
        }
        if self.allow_short && bar.close < bottom? {
            let stop = highest(highs, self.exit_lookback)?;
            return Some(Signal::sell(bar.instrument).stop(stop));
        }
        None
    }
}
