//! Maintenance margin: an alert when equity no longer covers what is held, and one when it does.

use trade_engine::broker::{Broker, Message, Reports};
use trade_engine::codec::records;
use trade_engine::embedded::TradeEngine;
use trade_engine::event::{Body, Event};
use trade_engine::input::Input;
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::replay::{Redecide, Replay};
use trade_engine::settings::{RiskSettings, Settings};
use trade_engine::units::{Money, Price, Qty, Ts};

struct Silent;

impl Broker for Silent {
    fn on_message(&mut self, _ts: Ts, _message: &Message, _reports: &mut Reports) {}
}

const ES: InstrumentId = InstrumentId(0);
/// Quoted in euros.
const DAX: InstrumentId = InstrumentId(1);

fn money(text: &str) -> Money {
    text.parse().expect("money")
}

fn price(text: &str) -> Price {
    text.parse().expect("a price")
}

/// Two ES at 4000 and 50 a point, 11500 a lot, in an account of `capital`; one DAX at 25 a point.
fn desk(capital: &str, margin: bool) -> TradeEngine<Silent> {
    let contract = |symbol: &str, currency: &str, multiplier: i64, maintenance: &str| Instrument {
        currency: currency.to_owned(),
        maintenance_margin: Some(money(maintenance)),
        ..Instrument::plain(symbol, price("0.25"), Price::ONE.0, multiplier * Price::ONE.0)
    };
    let instruments = vec![contract("ES", "USD", 50, "11500"), contract("DAX", "EUR", 25, "20000")];
    let risk = RiskSettings { margin, ..RiskSettings::OFF };
    let settings = Settings { risk, ..Settings::new(money(capital), instruments) };
    let mut engine = TradeEngine::new(settings, Silent);
    let opening = Input::Opening { instrument: ES, qty: Qty(2), avg_px: price("4000") };
    engine.input(&opening).expect("there is no journal");
    engine
}

/// The alerts that an input raises.
fn alerts(engine: &mut TradeEngine<Silent>, input: &Input) -> Vec<Event> {
    let range = engine.input(input).expect("there is no journal");
    let found = engine.records(range).filter_map(|record| match record.body {
        Body::Event(event @ (Event::MarginCall { .. } | Event::MarginMet {})) => Some(event),
        Body::Event(_) | Body::Input(..) | Body::Opening(_) => None,
    });
    found.collect()
}

fn mark(instrument: InstrumentId, at: &str) -> Input {
    Input::Mark { instrument, price: price(at), bid: None, ask: None }
}

fn replays(engine: &TradeEngine<Silent>) {
    let (mut replay, mut redecide) = (Replay::default(), Redecide::default());
    for slots in records(engine.log()) {
        replay.next(slots).expect("it folds");
        redecide.next(slots).expect("it decides again");
    }
    assert_eq!(replay.state().map(|state| state.hash()), Some(engine.state().hash()));
}

#[test]
fn a_call_is_said_once_and_so_is_its_end() {
    let mut engine = desk("50000", true);
    // Equity 23000 is just enough for two lots: 270 points down, at 100 dollars a point.
    assert_eq!(alerts(&mut engine, &mark(ES, "3730")), []);
    let (needed, equity) = (money("23000"), money("22975"));
    let call = Event::MarginCall { needed, equity };
    assert_eq!(alerts(&mut engine, &mark(ES, "3729.75")), [call]);
    assert!(engine.state().margin_call());
    assert_eq!(alerts(&mut engine, &mark(ES, "3700")), []);
    assert_eq!(alerts(&mut engine, &mark(ES, "3730")), [Event::MarginMet {}]);
    assert!(!engine.state().margin_call());
    replays(&engine);
}

#[test]
fn every_currency_counts_at_its_rate_and_a_missing_rate_says_nothing() {
    let mut engine = desk("50000", true);
    let opening = Input::Opening { instrument: DAX, qty: Qty(-1), avg_px: price("18000") };
    assert_eq!(alerts(&mut engine, &opening), []);
    assert_eq!(engine.state().maintenance_margin(), None);
    assert_eq!(alerts(&mut engine, &mark(ES, "3000")), []);
    let rate = |at: &str| Input::Rate { currency: 1, price: price(at), inverse: false };
    assert_eq!(alerts(&mut engine, &mark(ES, "4000")), []);
    // 23000 and 20000 euros: 50000 dollars carry them up to 1.35 dollars a euro.
    assert_eq!(alerts(&mut engine, &rate("1.35")), []);
    assert_eq!(engine.state().maintenance_margin(), Some(money("50000")));
    let call = Event::MarginCall { needed: money("50002"), equity: money("50000") };
    assert_eq!(alerts(&mut engine, &rate("1.3501")), [call]);
    replays(&engine);
}

#[test]
fn it_is_watched_where_margin_is() {
    let mut engine = desk("50000", false);
    assert_eq!(alerts(&mut engine, &mark(ES, "3000")), []);
    assert!(!engine.state().margin_call());
}
