//! An engine alone: inputs go in at a time that the test sets, events and messages come out.

use trade_engine::broker::Message;
use trade_engine::code::Code;
use trade_engine::codec::{Slot, records};
use trade_engine::engine::{Engine, Outbound, Output, State};
use trade_engine::event::{Body, Event, Record};
use trade_engine::input::{ExecKey, Input, SignalSide, StatusKind};
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::limits::PRICE_SCALE;
use trade_engine::order::{ClOrdId, Flags, OrdType, Order, Tif};
use trade_engine::replay::{Redecide, Replay};
use trade_engine::settings::{LimitKey, Limits, Scope, Settings};
use trade_engine::units::{Money, Price, Qty, Ratio, Side, Ts};

pub const ES: InstrumentId = InstrumentId(0);
pub const NQ: InstrumentId = InstrumentId(1);
pub const MS: i64 = 1_000_000;
pub const SECOND: i64 = 1_000 * MS;

#[derive(Default)]
struct Collected {
    slots: Vec<Slot>,
    messages: Vec<Message>,
}

impl Output for Collected {
    fn record(&mut self, slots: &[Slot]) {
        self.slots.extend_from_slice(slots);
    }

    fn send(&mut self, outbound: &Outbound) {
        self.messages.push(outbound.message);
    }
}

/// ES and NQ, a tick and a lot of one, two named strategies, a million in capital.
pub fn settings(limits: Limits) -> Settings {
    let plain = |symbol: &str| Instrument::plain(symbol, Price::ONE, PRICE_SCALE, PRICE_SCALE);
    let capital = "1000000".parse().expect("a decimal");
    let mut settings = Settings::new(capital, vec![plain("ES"), plain("NQ")]);
    settings.strategies = vec!["one".to_owned(), "two".to_owned()];
    settings.risk.limits = limits;
    // Small: three states are kept side by side.
    settings.capacity.orders = 512;
    settings.capacity.executions = 8_192;
    settings
}

/// The engine, and a log that folds and decides again beside it.
pub struct Pit {
    pub engine: Engine,
    pub ts: i64,
    /// What the last step sent.
    pub messages: Vec<Message>,
    out: Collected,
    replay: Replay,
    redecide: Redecide,
    next: u64,
    executions: u64,
}

impl Pit {
    pub fn new(settings: Settings) -> Self {
        let config = trade_engine::config::canonical::write(&settings);
        let mut pit = Self {
            engine: Engine::new(settings),
            ts: 0,
            messages: Vec::new(),
            out: Collected::default(),
            replay: Replay::default(),
            redecide: Redecide::default(),
            next: 0,
            executions: 0,
        };
        pit.engine.open_log(Ts(0), "pit", &config, &mut pit.out);
        pit.follow();
        pit
    }

    pub fn with(limits: Limits) -> Self {
        Self::new(settings(limits))
    }

    pub fn state(&self) -> &State {
        self.engine.state()
    }

    pub fn order(&self, id: ClOrdId) -> &Order {
        self.state().order(id).expect("it is held")
    }

    fn follow(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for slots in records(&self.out.slots) {
            let record = self.replay.next(slots).expect("it folds");
            self.redecide.next(slots).expect("it decides again");
            events.extend(match record.body {
                Body::Event(event) => Some(event),
                Body::Input(..) | Body::Opening(_) => None,
            });
            assert_eq!(Record::decode(slots), Some(record));
        }
        events
    }

    /// One input at the pit's time.
    pub fn step(&mut self, input: Input) -> Vec<Event> {
        self.out = Collected::default();
        self.engine.step(Ts(self.ts), 0, &input, &mut self.out);
        let events = self.follow();
        self.messages = std::mem::take(&mut self.out.messages);
        events
    }

    /// Walks under way, to their end.
    pub fn settle(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while self.state().sweeps().any() {
            events.extend(self.step(Input::Continue {}));
        }
        events
    }

    /// Live, folded and decided again, the state is one.
    pub fn agrees(&self) {
        let live = self.state().hash();
        assert_eq!(self.replay.state().expect("a head").hash(), live);
        assert_eq!(self.redecide.state().expect("a head").hash(), live);
    }

    pub fn id(&mut self) -> ClOrdId {
        self.next += 1;
        ClOrdId::new(0, self.next)
    }

    /// An order as it is; its id is overwritten.
    pub fn send(&mut self, mut order: Input) -> Result<ClOrdId, Code> {
        let new = self.id();
        let (Input::Order { id, .. } | Input::Signal { id, .. }) = &mut order else {
            panic!("no order: {order:?}")
        };
        *id = new;
        self.step(order);
        self.outcome(new)
    }

    /// What became of an order.
    fn outcome(&self, id: ClOrdId) -> Result<ClOrdId, Code> {
        self.order(id).reason.map_or(Ok(id), Err)
    }

    pub fn limit(&mut self, side: Side, qty: i64, at: i64) -> Result<ClOrdId, Code> {
        self.send(limit(ES, side, qty, at))
    }

    pub fn market(&mut self, side: Side, qty: i64) -> Result<ClOrdId, Code> {
        self.send(market(ES, side, qty))
    }

    pub fn close(&mut self, instrument: InstrumentId) -> Result<ClOrdId, Code> {
        let id = self.id();
        let events = self.step(Input::ClosePosition { id, instrument });
        refusal(&events).map_or_else(|| self.outcome(id), Err)
    }

    /// A signal to be out: refused if there is nothing to close.
    pub fn send_flat(&mut self) -> Result<ClOrdId, Code> {
        let mut order = signal(ES, SignalSide::Flat, 0);
        let new = self.id();
        if let Input::Signal { id, .. } = &mut order {
            *id = new;
        }
        let events = self.step(order);
        refusal(&events).map_or_else(|| self.outcome(new), Err)
    }

    pub fn replace(&mut self, order: ClOrdId, qty: Option<i64>, at: Option<i64>) -> Option<Code> {
        let id = self.id();
        let (qty, price) = (qty.map(Qty), at.map(price));
        let (stop_price, defect) = (None, None);
        refusal(&self.step(Input::Replace { id, order, qty, price, stop_price, defect }))
    }

    pub fn cancel(&mut self, order: ClOrdId) -> Option<Code> {
        let id = self.id();
        refusal(&self.step(Input::Cancel { id, order }))
    }

    pub fn status(&mut self, order: ClOrdId, kind: StatusKind) -> Vec<Event> {
        self.step(Input::Status { order, kind, request: ClOrdId::NONE })
    }

    /// The venue trades so many lots of an order of ours.
    pub fn fill(&mut self, order: ClOrdId, qty: i64, at: i64) -> Vec<Event> {
        self.executions += 1;
        let (instrument, side) = match self.state().order(order) {
            Some(order) => (order.instrument, order.side),
            None => (ES, Side::Buy),
        };
        self.step(Input::Trade {
            order,
            exec: ExecKey::new(0, &self.executions.to_string(), order, side),
            qty: Qty(qty),
            price: price(at),
            commission: Money::ZERO,
            instrument,
            side,
            venue_says_filled: false,
            defect: None,
        })
    }

    pub fn mark(&mut self, instrument: InstrumentId, at: i64) -> Vec<Event> {
        self.step(Input::Mark { instrument, price: price(at), bid: None, ask: None })
    }

    /// Holds so many lots of ES, bought or sold at 100 by an order that is gone.
    pub fn hold(&mut self, qty: i64) {
        let avg_px = price(100);
        self.step(Input::Opening { instrument: ES, qty: Qty(qty), avg_px });
    }

    /// Sets a limit of the account, in whole units.
    pub fn set(&mut self, key: LimitKey, value: Option<i128>) -> Vec<Event> {
        self.step(Input::SetLimit {
            scope: Scope::Account,
            instrument: InstrumentId::UNKNOWN,
            strategy: 0,
            key,
            value: value.map(whole),
        })
    }
}

pub fn whole(value: i128) -> Money {
    Money(value * trade_engine::limits::MONEY_SCALE)
}

pub fn price(at: i64) -> Price {
    Price(at * PRICE_SCALE)
}

pub fn refusal(events: &[Event]) -> Option<Code> {
    events.iter().find_map(|event| {
        let Event::Refused { code, .. } = event else { return None };
        Some(*code)
    })
}

pub fn market(instrument: InstrumentId, side: Side, qty: i64) -> Input {
    Input::Order {
        id: ClOrdId::NONE,
        instrument,
        side,
        ord_type: OrdType::Market,
        tif: Tif::Day,
        strategy: 0,
        flags: Flags::default(),
        qty: Qty(qty),
        price: None,
        stop_price: None,
        expire_at: None,
        defect: None,
    }
}

pub fn limit(instrument: InstrumentId, side: Side, qty: i64, at: i64) -> Input {
    typed(market(instrument, side, qty), OrdType::Limit, Some(at), None)
}

pub fn stop(instrument: InstrumentId, side: Side, qty: i64, at: i64) -> Input {
    typed(market(instrument, side, qty), OrdType::Stop, None, Some(at))
}

/// An order with another type.
pub fn typed(order: Input, as_type: OrdType, limit: Option<i64>, stop: Option<i64>) -> Input {
    let Input::Order { id, instrument, side, tif, strategy, flags, qty, .. } = order else {
        panic!("no order")
    };
    let (price, stop_price) = (limit.map(price), stop.map(price));
    let (ord_type, expire_at, defect) = (as_type, None, None);
    Input::Order {
        id,
        instrument,
        side,
        ord_type,
        tif,
        strategy,
        flags,
        qty,
        price,
        stop_price,
        expire_at,
        defect,
    }
}

/// An order of another strategy.
pub fn of_strategy(mut order: Input, number: u16) -> Input {
    if let Input::Order { strategy, .. } | Input::Signal { strategy, .. } = &mut order {
        *strategy = number;
    }
    order
}

pub fn reduce_only(mut order: Input) -> Input {
    if let Input::Order { flags, .. } = &mut order {
        *flags = Flags::REDUCE_ONLY;
    }
    order
}

pub fn signal(instrument: InstrumentId, side: SignalSide, qty: i64) -> Input {
    Input::Signal {
        id: ClOrdId::NONE,
        instrument,
        side,
        strategy: 1,
        strength: Ratio::ONE,
        price: None,
        stop_price: None,
        qty: Some(Qty(qty)),
        defect: None,
    }
}
