//! A strategy from scratch: momentum over twenty closes, on three made-up months.
//!
//! `cargo run --example momentum`

use trade_engine::instrument::InstrumentId;
use trade_engine::strategy::{Bar, Positions, Signal, Strategy};
use trade_engine::units::{Price, Ratio, Ts};

/// Buys what has risen by more than the threshold over the lookback, leaves what has fallen so far.
struct Momentum {
    closes: Vec<Price>,
    lookback: usize,
    threshold: Ratio,
}

impl Strategy for Momentum {
    fn on_bar(&mut self, bar: &Bar, positions: &Positions) -> Option<Signal> {
        self.closes.push(bar.close);
        let then = self.closes.len().checked_sub(self.lookback + 1)?;
        let (old, new) = (i128::from(self.closes[then].0), i128::from(bar.close.0));
        let change = Ratio::of(new - old, old)?;
        // strength = min(1, |return| / (2 x threshold))
        let strength = Ratio::of(change.0.abs().into(), 2 * i128::from(self.threshold.0))?;
        let strength = strength.min(Ratio::ONE);
        if change > self.threshold && positions.is_flat(bar.instrument) {
            Some(Signal::buy(bar.instrument).strength(strength))
        } else if change.0 < -self.threshold.0 && positions.is_long(bar.instrument) {
            Some(Signal::flat(bar.instrument))
        } else {
            None
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threshold = "0.02".parse()?;
    let mut strategy = Momentum { closes: Vec::new(), lookback: 20, threshold };
    let (instrument, mut positions) = (InstrumentId(0), Positions::new(1));
    for day in 0..90_i64 {
        // Up for 45 days, down for 45.
        let close = Price((4_500 + 10 * (45 - (day - 45).abs())) * Price::ONE.0);
        let opened = Ts(day * 86_400_000_000_000);
        let bar =
            Bar { instrument, opened, open: close, high: close, low: close, close, volume: 1 };
        let Some(signal) = strategy.on_bar(&bar, &positions) else { continue };
        println!("day {day}: {:?} at {close}, strength {}", signal.side, signal.strength);
        let bought = positions.is_flat(instrument);
        positions.set(instrument, trade_engine::units::Qty(i64::from(bought)), None);
    }
    Ok(())
}
