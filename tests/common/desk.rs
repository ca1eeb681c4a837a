//! An engine, a feeder's ids, and short words for what a test tells it.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use trade_engine::code::Code;
use trade_engine::codec::{Slot, records};
use trade_engine::engine::{Engine, Outbound, Output, State};
use trade_engine::event::{Body, Event, Record};
use trade_engine::input::{ExecKey, Input};
use trade_engine::instrument::InstrumentId;
use trade_engine::order::{ClOrdId, Flags, OrdType, Tif};
use trade_engine::settings::{Capacity, Settings};
use trade_engine::units::{Money, Price, Qty, Side, Ts};

pub fn price(text: &str) -> Price {
    text.parse().expect("a price")
}

pub fn money(text: &str) -> Money {
    text.parse().expect("money")
}

struct Collected(Vec<Slot>);

impl Output for Collected {
    fn record(&mut self, slots: &[Slot]) {
        self.0.extend_from_slice(slots);
    }

    fn send(&mut self, _outbound: &Outbound) {}
}

pub struct Desk {
    engine: Engine,
    ids: u64,
    executions: u64,
    ts: i64,
    verdicts: Vec<(ClOrdId, u32)>,
}

impl Desk {
    /// With small tables: tests make many.
    pub fn new(settings: Settings) -> Self {
        let capacity = Capacity { orders: 64, executions: 1_000, ..settings.capacity };
        let engine = Engine::new(Settings { capacity, ..settings });
        Self { engine, ids: 0, executions: 0, ts: 0, verdicts: Vec::new() }
    }

    pub fn state(&self) -> &State {
        self.engine.state()
    }

    /// Takes one input; the events that followed.
    pub fn step(&mut self, input: Input) -> Vec<Event> {
        self.ts += 1;
        let mut out = Collected(Vec::new());
        self.engine.step(Ts(self.ts), 0, &input, &mut out);
        let mut events = Vec::new();
        for slots in records(&out.0) {
            if let Body::Event(event) = Record::decode(slots).expect("the engine wrote it").body {
                events.push(event);
            }
        }
        for event in &events {
            if let Event::Verdict { order, ran, .. } = event {
                self.verdicts.push((*order, *ran));
            }
        }
        events
    }

    pub fn id(&mut self) -> ClOrdId {
        self.ids += 1;
        ClOrdId::new(0, self.ids)
    }

    /// A limit order.
    pub fn order(
        &mut self,
        strategy: u16,
        instrument: InstrumentId,
        side: Side,
        qty: i64,
        at: &str,
    ) -> ClOrdId {
        let id = self.id();
        self.step(Input::Order {
            id,
            instrument,
            side,
            ord_type: OrdType::Limit,
            tif: Tif::Gtc,
            strategy,
            flags: Flags::default(),
            qty: Qty(qty),
            price: Some(price(at)),
            stop_price: None,
            expire_at: None,
            defect: None,
        });
        id
    }

    pub fn buy(&mut self, instrument: InstrumentId, qty: i64, at: &str) -> ClOrdId {
        self.order(0, instrument, Side::Buy, qty, at)
    }

    pub fn sell(&mut self, instrument: InstrumentId, qty: i64, at: &str) -> ClOrdId {
        self.order(0, instrument, Side::Sell, qty, at)
    }

    /// A trade under a new execution id, of exactly these figures.
    pub fn trade(
        &mut self,
        order: ClOrdId,
        instrument: InstrumentId,
        side: Side,
        [qty, at]: [i64; 2],
        commission: Money,
    ) -> Vec<Event> {
        self.executions += 1;
        self.step(Input::Trade {
            order,
            exec: ExecKey(u128::from(self.executions)),
            qty: Qty(qty),
            price: Price(at),
            commission,
            instrument,
            side,
            venue_says_filled: false,
            defect: None,
        })
    }

    /// A trade that is booked: so many lots, at a price.
    pub fn fill_side(
        &mut self,
        order: ClOrdId,
        instrument: InstrumentId,
        side: Side,
        (qty, at): (i64, &str),
        commission: &str,
    ) {
        let events = self.trade(order, instrument, side, [qty, price(at).0], money(commission));
        let booked = |event: &Event| matches!(event, Event::Traded { .. });
        assert!(events.iter().any(booked), "{events:?}");
    }

    /// Buys; on an order of ours, its own side.
    pub fn fill(
        &mut self,
        order: ClOrdId,
        instrument: InstrumentId,
        qty: i64,
        at: &str,
        commission: &str,
    ) {
        self.fill_side(order, instrument, Side::Buy, (qty, at), commission);
    }

    /// A sale that names no order, without commission.
    pub fn sold(&mut self, instrument: InstrumentId, qty: i64, at: &str) {
        self.fill_side(ClOrdId::NONE, instrument, Side::Sell, (qty, at), "0");
    }

    pub fn mark(&mut self, instrument: InstrumentId, at: &str) {
        self.step(Input::Mark { instrument, price: price(at), bid: None, ask: None });
    }

    pub fn rate(&mut self, currency: u16, at: &str, inverse: bool) {
        let events = self.step(Input::Rate { currency, price: price(at), inverse });
        assert_eq!(Self::refusal(&events), None);
    }

    /// Why an order was turned down, if it was.
    pub fn reason(&self, order: ClOrdId) -> Option<Code> {
        self.state().order(order).expect("it was taken in").reason
    }

    /// The bits of the rules that judged an order.
    pub fn ran(&self, order: ClOrdId) -> u32 {
        let found = self.verdicts.iter().find(|(of, _)| *of == order);
        found.expect("it was judged").1
    }

    /// Why the step changed nothing, if it did not.
    pub fn refusal(events: &[Event]) -> Option<Code> {
        events.iter().find_map(|event| {
            if let Event::Refused { code, .. } = event { Some(*code) } else { None }
        })
    }
}
