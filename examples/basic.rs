//! The shortest description of the product: a signal becomes an order, a fill, a position, P&L.
//!
//! `cargo run --example basic`

use trade_engine::broker::{SimSettings, SimulatedBroker};
use trade_engine::embedded::TradeEngine;
use trade_engine::instrument::Instrument;
use trade_engine::settings::{ExposureBasis, Limits, RiskSettings, Settings, Sizing};
use trade_engine::strategy::Signal;
use trade_engine::units::{Price, Qty, Ratio};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // 5 % of 100,000 refuses even one ES contract by notional (226,062.50) or by margin (12,650):
    // here the limit measures price x quantity and ignores the multiplier. The other limits are off.
    let risk = RiskSettings {
        limits: Limits {
            max_position_pct: Some("0.05".parse()?),
            max_drawdown_pct: Some("0.10".parse()?),
            ..Limits::OFF
        },
        exposure_basis: ExposureBasis::Price,
        sizing: Sizing::Exact,
        ..RiskSettings::OFF
    };
    println!("limits: position 5 % of equity by price, drawdown 10 %; every other limit is off");

    let es = Instrument::plain("ES", "0.25".parse()?, Price::ONE.0, 50 * Price::ONE.0);
    let settings = Settings { risk, ..Settings::new("100000".parse()?, vec![es.clone()]) };
    let slippage = Ratio::from_bps("5")?;
    let venue = SimSettings { slippage, ..SimSettings::default() };
    let broker = SimulatedBroker::new(0, venue, vec![es])?;

    let mut engine = TradeEngine::new(settings, broker);
    let es = engine.state().settings().instrument("ES").ok_or("no such symbol")?;
    engine.mark(es, "4521.25".parse()?)?;

    let order = engine.submit(&Signal::buy(es).strength("0.8".parse()?).qty(Qty(1)))?;
    println!("order: {}", engine.order(order).ok_or("retired")?.state);

    engine.mark(es, "4525.5".parse()?)?;
    let book = engine.state().book(es).ok_or("no such instrument")?;
    let unrealized = book.unrealized().unwrap_or_default();
    let avg_px = book.position.avg_px(book.lot_value).unwrap_or_default();
    println!("position: {} ES at {avg_px}, P&L {unrealized}", book.position.qty);

    println!("events of the order:");
    for event in engine.events(order) {
        println!("  {event}");
    }

    engine.close_position(es)?;
    let position = engine.position(es).ok_or("no such instrument")?;
    let realized = position.net_realized().ok_or("out of range")?;
    println!("closed: {} ES, realized {realized}", position.qty);
    println!("equity: {}", engine.state().account().equity());
    Ok(())
}
