//! A strategy from scratch, and an engine under it: momentum over twenty closes, on ninety days.
//!
//! `cargo run --example momentum`

use trade_engine::broker::{SimSettings, SimulatedBroker};
use trade_engine::embedded::TradeEngine;
use trade_engine::input::Input;
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::settings::Settings;
use trade_engine::strategy::{Bar, Positions, Signal, Strategy};
use trade_engine::units::{Price, Qty, Ratio, Ts};

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
        if change > self.threshold && positions.is_flat(bar.instrument) {
            Some(Signal::buy(bar.instrument).strength(strength.min(Ratio::ONE)).qty(Qty(1)))
        } else {
            let leave = change.0 < -self.threshold.0 && positions.is_long(bar.instrument);
            leave.then(|| Signal::flat(bar.instrument))
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let es = Instrument::plain("ES", "0.25".parse()?, Price::ONE.0, 50 * Price::ONE.0);
    let broker = SimulatedBroker::new(0, SimSettings::default(), vec![es.clone()])?;
    let mut engine = TradeEngine::new(Settings::new("100000".parse()?, vec![es]), broker);
    let mut strategy = Momentum { closes: vec![], lookback: 20, threshold: "0.02".parse()? };
    let (instrument, mut positions) = (InstrumentId(0), Positions::new(1));
    for day in 0..90_i64 {
        // Up for 45 days, down for 45; each day opens where the last one closed.
        let close = Price((4_500 + 10 * (45 - (day - 45).abs())) * Price::ONE.0);
        let (open, high, low, volume, opened) = (close, close, close, 1, Ts(day));
        engine.input(&Input::Bar { instrument, open, high, low, close, volume, opened })?;
        engine.mark(instrument, close)?;
        let bar = Bar { instrument, opened, open, high, low, close, volume };
        if let Some(signal) = strategy.on_bar(&bar, &positions) {
            engine.submit(&signal)?;
            println!("day {day}: {:?} at {close}, strength {}", signal.side, signal.strength);
        }
        positions.set(instrument, engine.position(instrument).map_or(Qty(0), |p| p.qty), None);
    }
    println!("equity: {}", engine.state().account().equity());
    Ok(())
}
