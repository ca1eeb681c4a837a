//! A bracket at a venue that knows none: the entry trades in two parts, the exits follow it, and a
//! falling price ends in the stop loss. The engine keeps all of it.
//!
//! `cargo run --example bracket`

use trade_engine::broker::{Broker, Message, Reports};
use trade_engine::embedded::TradeEngine;
use trade_engine::input::{ExecKey, Input, StatusKind};
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::order::ClOrdId;
use trade_engine::settings::Settings;
use trade_engine::strategy::Bracket;
use trade_engine::units::{Money, Price, Qty, Side, Ts};

/// Takes limit and market orders, cancels and replaces: nothing else. It says what it is told.
struct Plain;

impl Broker for Plain {
    fn on_message(&mut self, ts: Ts, message: &Message, reports: &mut Reports) {
        match *message {
            Message::New(new) => {
                let price = new.price.map_or_else(String::new, |price| format!(" at {price}"));
                println!(
                    "    venue: {} {} {}{price}",
                    new.side.name(),
                    new.qty.0,
                    new.ord_type.name()
                );
                reports.status(ts, new.order, StatusKind::Accepted, ClOrdId::NONE);
            }
            Message::Cancel { order, request, .. } => {
                println!("    venue: cancels {}", order.counter());
                reports.status(ts, order, StatusKind::Cancelled, request);
            }
            Message::Replace { order, request, qty, .. } => {
                println!("    venue: {} is for {} now", order.counter(), qty.0);
                let (qty, price, stop_price) = (Some(qty), None, None);
                reports.push(ts, Input::Replaced { order, request, qty, price, stop_price });
            }
            Message::Mark { .. } | Message::Bar { .. } | Message::DayRoll | Message::Time => {}
        }
    }
}

/// What the venue would report on its own.
fn trade(engine: &TradeEngine<Plain>, order: ClOrdId, qty: i64, price: Price) -> Input {
    let side = engine.order(order).map_or(Side::Buy, |order| order.side);
    Input::Trade {
        order,
        exec: ExecKey::new(0, &format!("{}-{qty}", order.counter()), order, side),
        qty: Qty(qty),
        price,
        commission: Money::ZERO,
        instrument: InstrumentId(0),
        side,
        venue_says_filled: false,
        defect: None,
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let es = Instrument::plain("ES", "0.25".parse()?, Price::ONE.0, 50 * Price::ONE.0);
    let mut engine = TradeEngine::new(Settings::new("100000".parse()?, vec![es]), Plain);
    let es = InstrumentId(0);
    engine.mark(es, "4521".parse()?)?;

    println!("buy 10 at 4520, stop 4510, target 4540");
    let (stop, target) = ("4510".parse()?, "4540".parse()?);
    let bracket = Bracket::new(es, Side::Buy, Qty(10), stop, target).limit("4520".parse()?);
    let [stop, target, entry] = engine.bracket(&bracket)?;

    println!("3 of the entry trade");
    engine.input(&trade(&engine, entry, 3, "4520".parse()?))?;
    println!("7 more");
    engine.input(&trade(&engine, entry, 7, "4519.75".parse()?))?;
    println!("4 of the target trade: the stop is for the rest");
    engine.input(&trade(&engine, target, 4, "4540".parse()?))?;
    println!("    stop: {} lots, held here", engine.order(stop).ok_or("retired")?.leaves_qty().0);
    println!("4509.50: through the stop");
    engine.mark(es, "4509.5".parse()?)?;
    engine.input(&trade(&engine, stop, 6, "4509.25".parse()?))?;

    let position = engine.position(es).ok_or("no such instrument")?;
    println!("held: {}, realized: {}", position.qty.0, position.realized);
    for event in engine.events(stop) {
        println!("  {event}");
    }
    Ok(())
}
