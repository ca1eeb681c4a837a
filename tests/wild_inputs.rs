//! Inputs that nobody should send, each of which once stopped the engine: now refused by name, and
//! the log of them decides again to the same bytes.

use trade_engine::broker::{Broker, Message, Reports};
use trade_engine::code::Code;
use trade_engine::codec::records;
use trade_engine::embedded::TradeEngine;
use trade_engine::event::Event;
use trade_engine::input::{ExecKey, Input, SignalSide};
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::order::{ClOrdId, OrderState};
use trade_engine::replay::Redecide;
use trade_engine::settings::{
    AccountSettings, Capacity, CostMethod, RiskSettings, Settings, Sizing,
};
use trade_engine::units::{Money, Price, Qty, Ratio, Side};

const ES: InstrumentId = InstrumentId(0);

struct Silent;

impl Broker for Silent {
    fn on_message(
        &mut self,
        _ts: trade_engine::units::Ts,
        _message: &Message,
        _reports: &mut Reports,
    ) {
    }
}

fn engine(sizing: Sizing) -> TradeEngine<Silent> {
    let capital: Money = "100000".parse().unwrap();
    let settings = Settings {
        account: AccountSettings {
            currency: "USD".to_owned(),
            initial_capital: capital,
            cost_method: CostMethod::Average,
        },
        strategies: Vec::new(),
        instruments: vec![Instrument::plain(
            "ES",
            Price(250_000_000),
            1_000_000_000,
            1_000_000_000,
        )],
        risk: RiskSettings { sizing, sizing_pct: Ratio::ONE, ..RiskSettings::OFF },
        capacity: Capacity { orders: 8, executions: 64, ..Capacity::default() },
        refuse_old_time: false,
        day_roll_ends_orders: true,
        forward_market_data: false,
    };
    TradeEngine::new(settings, Silent)
}

fn signal(id: ClOrdId, instrument: InstrumentId) -> Input {
    Input::Signal {
        id,
        instrument,
        side: SignalSide::Buy,
        strategy: 0,
        strength: Ratio::ONE,
        price: None,
        stop_price: None,
        qty: Some(Qty(1)),
        defect: None,
    }
}

/// What the engine said to one input; the whole log so far must decide again.
fn events(engine: &mut TradeEngine<Silent>, input: &Input) -> Vec<Event> {
    let range = engine.input(input).unwrap();
    let mut again = Redecide::default();
    for record in records(engine.log()) {
        again.next(record).unwrap();
    }
    let bodies = engine.records(range).map(|record| record.body);
    bodies
        .filter_map(|body| match body {
            trade_engine::event::Body::Event(event) => Some(event),
            trade_engine::event::Body::Input(..) | trade_engine::event::Body::Opening(_) => None,
        })
        .collect()
}

fn refused(events: &[Event]) -> Option<Code> {
    events.iter().find_map(
        |event| {
            if let Event::Refused { code, .. } = event { Some(*code) } else { None }
        },
    )
}

#[test]
fn a_signal_for_an_unknown_symbol_is_an_order_turned_down() {
    for sizing in [Sizing::Exact, Sizing::PercentEquity, Sizing::FixedRisk, Sizing::PercentMargin] {
        let mut engine = engine(sizing);
        let id = engine.next_id();
        events(&mut engine, &signal(id, InstrumentId::UNKNOWN));
        let order = engine.order(id).unwrap();
        assert_eq!((order.state, order.reason), (OrderState::Rejected, Some(Code::UnknownSymbol)));
    }
}

#[test]
fn a_signal_without_a_price_is_sized_by_the_mark() {
    let mut engine = engine(Sizing::PercentEquity);
    let early = engine.next_id();
    events(&mut engine, &signal(early, ES));
    assert_eq!(engine.order(early).unwrap().reason, Some(Code::NoMark));
    engine.mark(ES, Price(25_000_000_000_000)).unwrap();
    let id = engine.next_id();
    events(&mut engine, &signal(id, ES));
    let order = engine.order(id).unwrap();
    assert_eq!((order.state, order.order_qty), (OrderState::Submitted, Qty(4)));
}

#[test]
fn an_id_that_a_trade_for_nobodys_order_has_taken_is_a_duplicate() {
    let mut engine = engine(Sizing::Exact);
    let order = ClOrdId::new(3, 9);
    let exec = ExecKey::new(0, "X", order, Side::Buy);
    let trade = Input::Trade {
        order,
        exec,
        qty: Qty(1),
        price: Price(1_000_000_000),
        commission: Money::ZERO,
        instrument: ES,
        side: Side::Buy,
        venue_says_filled: true,
        defect: None,
    };
    events(&mut engine, &trade);
    assert_eq!(refused(&events(&mut engine, &signal(order, ES))), Some(Code::DuplicateId));
}

#[test]
fn the_engines_own_ids_are_its_own() {
    let mut engine = engine(Sizing::Exact);
    let last = ClOrdId::new(7, (1 << 56) - 1);
    assert_eq!(refused(&events(&mut engine, &signal(last, ES))), Some(Code::DuplicateId));
    let order = engine.next_id();
    events(&mut engine, &signal(order, ES));
    let asked = events(&mut engine, &Input::CancelAll {});
    assert!(asked.iter().any(|event| matches!(event, Event::CancelAsked { .. })));
}
