//! Mean reversion: buys what lies far under its average, leaves it near the average.

use super::{Bar, Positions, Signal, Strategy, Window, strength};
use crate::units::Ratio;

/// Measures how many standard deviations the close lies from the mean of the last `lookback`
/// closes, itself included (the z-score, with the deviation of a whole population). Below `-entry`
/// it buys when flat, from `-exit` up it leaves a long position; with `allow_short` the mirror
/// image too.
///
/// All in integers: the mean and the variance are kept multiplied out, the root is cut to a whole
/// unit of 1e-9 / `lookback`. Closes that are all equal have no z-score, and give no signal.
/// Strength is |z| / (2 x `entry`), at most 1.
#[derive(Clone, Debug)]
pub struct MeanReversion {
    lookback: usize,
    entry: Ratio,
    exit: Ratio,
    allow_short: bool,
    /// By instrument.
    closes: Vec<Window>,
}

/// The z-score as a fraction.
struct Score {
    /// `lookback` x (close - mean), 1e-9.
    distance: i128,
    /// `lookback` x standard deviation, 1e-9; above zero.
    deviation: i128,
}

impl MeanReversion {
    /// For `instruments` instruments; `entry` and `exit` are in standard deviations.
    ///
    /// # Panics
    /// If `lookback` is below 2, or not `0 <= exit < entry`.
    pub fn new(
        instruments: usize,
        lookback: usize,
        entry: Ratio,
        exit: Ratio,
        allow_short: bool,
    ) -> Self {
        assert!(lookback >= 2);
        assert!(exit >= Ratio(0) && exit < entry);
        let closes = vec![Window::new(lookback); instruments];
        Self { lookback, entry, exit, allow_short, closes }
    }

    /// `None` before the window is full, for equal closes, and past the range of the arithmetic.
    fn score(&self, closes: &Window) -> Option<Score> {
        let newest = i128::from(closes.back(0)?.0);
        let count = i128::try_from(self.lookback).ok()?;
        let (mut sum, mut squares) = (0_i128, 0_i128);
        for price in closes.newest(self.lookback)? {
            // Measured from the newest close: the figures stay small, the variance is the same.
            let offset = i128::from(price.0) - newest;
            sum = sum.checked_add(offset)?;
            squares = squares.checked_add(offset.checked_mul(offset)?)?;
        }
        // lookback^2 x variance.
        let variance = squares.checked_mul(count)?.checked_sub(sum.checked_mul(sum)?)?;
        let deviation = variance.checked_isqrt()?;
        (deviation > 0).then_some(Score { distance: -sum, deviation })
    }
}

impl Strategy for MeanReversion {
    fn on_bar(&mut self, bar: &Bar, positions: &Positions) -> Option<Signal> {
        self.closes.get_mut(bar.instrument.index())?.push(bar.close);
        let Score { distance, deviation } = self.score(&self.closes[bar.instrument.index()])?;
        // z = distance / deviation, compared multiplied out.
        let z = distance.checked_mul(i128::from(Ratio::ONE.0))?;
        let entry = deviation.checked_mul(i128::from(self.entry.0))?;
        let exit = deviation.checked_mul(i128::from(self.exit.0))?;
        if positions.is_long(bar.instrument) {
            return (z >= -exit).then(|| Signal::flat(bar.instrument));
        }
        if positions.is_short(bar.instrument) {
            return (self.allow_short && z <= exit).then(|| Signal::flat(bar.instrument));
        }
        let strength = strength(Some(z.abs()), entry.checked_mul(2));
        if z < -entry {
            return Some(Signal::buy(bar.instrument).strength(strength));
        }
        let above = self.allow_short && z > entry;
        above.then(|| Signal::sell(bar.instrument).strength(strength))
    }
}
