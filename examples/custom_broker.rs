//! A venue of one's own: takes every order, fills half of it at once and the rest at the next mark.
//!
//! `cargo run --example custom_broker`

use trade_engine::broker::{Broker, Message, NewOrder, Reports};
use trade_engine::embedded::TradeEngine;
use trade_engine::input::{ExecKey, Input, StatusKind};
use trade_engine::instrument::Instrument;
use trade_engine::order::ClOrdId;
use trade_engine::settings::Settings;
use trade_engine::strategy::Signal;
use trade_engine::units::{Money, Price, Qty, Ts};

#[derive(Default)]
struct HalfNow {
    waiting: Vec<(NewOrder, Qty)>,
    price: Price,
    executions: u64,
}

impl HalfNow {
    fn trade(&mut self, ts: Ts, new: &NewOrder, qty: Qty, reports: &mut Reports) {
        self.executions += 1;
        let exec_id = format!("H{}", self.executions);
        let trade = Input::Trade {
            order: new.order,
            exec: ExecKey::new(0, &exec_id, new.order, new.side),
            qty,
            price: self.price,
            commission: Money::ZERO,
            instrument: new.instrument,
            side: new.side,
            venue_says_filled: qty == new.qty,
            defect: None,
        };
        reports.push(ts, trade);
    }
}

impl Broker for HalfNow {
    fn on_message(&mut self, ts: Ts, message: &Message, reports: &mut Reports) {
        match *message {
            Message::New(new) => {
                reports.status(ts, new.order, StatusKind::Accepted, ClOrdId::NONE);
                let half = Qty((new.qty.0 / 2).max(1));
                self.trade(ts, &new, half, reports);
                self.waiting.push((new, Qty(new.qty.0 - half.0)));
            }
            Message::Mark { price, .. } => {
                self.price = price;
                for (new, rest) in std::mem::take(&mut self.waiting) {
                    if rest.0 > 0 {
                        self.trade(ts, &new, rest, reports);
                    }
                }
            }
            // It fills everything: nothing is ever there to cancel or to amend.
            Message::Cancel { .. } | Message::Replace { .. } => {
                reports.refuse(ts, message, "too late");
            }
            Message::Bar { .. } | Message::DayRoll | Message::Time => {}
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cl = Instrument::plain("CL", "0.01".parse()?, Price::ONE.0, 1_000 * Price::ONE.0);
    let settings = Settings::new("100000".parse()?, vec![cl]);
    let mut engine = TradeEngine::new(settings, HalfNow::default());
    let cl = engine.state().settings().instrument("CL").ok_or("no such symbol")?;
    engine.mark(cl, "73.91".parse()?)?;
    let order = engine.submit(&Signal::buy(cl).qty(Qty(4)))?;
    println!("{}", engine.order(order).ok_or("retired")?.state);
    engine.mark(cl, "73.95".parse()?)?;
    let filled = engine.order(order).ok_or("retired")?;
    println!("{} at {}", filled.state, filled.avg_px().ok_or("no fill")?);
    Ok(())
}
