//! An engine on a blotter: orders, reports and what came of them, in a few words each.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use trade_engine::code::Code;
use trade_engine::codec::{Slot, records};
use trade_engine::engine::{Engine, Outbound, Output};
use trade_engine::event::{Body, Event, Record};
use trade_engine::input::{ExecKey, Input, StatusKind};
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::limits::PRICE_SCALE;
use trade_engine::order::{ClOrdId, Flags, OrdType, Order, OrderState, Tif};
use trade_engine::position::Position;
use trade_engine::replay::{Redecide, Replay};
use trade_engine::settings::{CostMethod, Settings};
use trade_engine::units::{Money, Price, Qty, Side, Ts};

pub const ES: InstrumentId = InstrumentId(0);
/// A point of one lot, in money: 1e-18.
pub const POINT: i128 = 10_i128.pow(18);

pub fn points(price: i64) -> Price {
    Price(price * PRICE_SCALE)
}

/// Two instruments whose lot is one unit and whose multiplier is one: a point is a dollar.
pub fn settings(method: CostMethod) -> Settings {
    let spec = |symbol| Instrument::plain(symbol, Price(1), PRICE_SCALE, PRICE_SCALE);
    let capital = "1000000".parse().expect("a decimal");
    let mut settings = Settings::new(capital, vec![spec("ES"), spec("NQ")]);
    settings.capacity.executions = 20_000;
    settings.account.cost_method = method;
    settings.day_roll_ends_orders = false;
    settings.forward_market_data = false;
    settings
}

#[derive(Default)]
struct Slots(Vec<Slot>);

impl Output for Slots {
    fn record(&mut self, slots: &[Slot]) {
        self.0.extend_from_slice(slots);
    }
    fn send(&mut self, _: &Outbound) {}
}

pub struct Blotter {
    pub engine: Engine,
    /// Folds what the engine records, and decides it again.
    shadow: Option<(Replay, Redecide)>,
    next: u64,
    ts: i64,
}

impl Blotter {
    pub fn new(settings: Settings) -> Self {
        let config = trade_engine::config::canonical::write(&settings);
        let mut blotter = Self::unwatched(settings);
        let mut out = Slots::default();
        blotter.engine = Engine::new(blotter.engine.state().settings().clone());
        blotter.engine.open_log(Ts(0), "blotter", &config, &mut out);
        blotter.shadow = Some((Replay::default(), Redecide::default()));
        blotter.follow(&out.0);
        blotter
    }

    /// Without anybody who folds the log and decides it again.
    pub fn unwatched(settings: Settings) -> Self {
        Self { engine: Engine::new(settings), shadow: None, next: 0, ts: 0 }
    }

    pub fn of(method: CostMethod) -> Self {
        Self::new(settings(method))
    }

    fn follow(&mut self, slots: &[Slot]) {
        let Some((replay, redecide)) = &mut self.shadow else { return };
        for chunk in records(slots) {
            let record = Record::decode(chunk).expect("the engine wrote it");
            replay.next(chunk).unwrap_or_else(|error| panic!("{error}: {record:?}"));
            redecide.next(chunk).unwrap_or_else(|error| panic!("{error}: {record:?}"));
        }
    }

    /// What came of it, folded and decided again too.
    pub fn step(&mut self, input: Input) -> Vec<Event> {
        let mut out = Slots::default();
        self.ts += 1;
        self.engine.step(Ts(self.ts), 0, &input, &mut out);
        self.follow(&out.0);
        if let Some((replay, redecide)) = &self.shadow {
            let live = self.engine.state().hash();
            assert_eq!(replay.state().expect("a head").hash(), live, "{input:?}");
            assert_eq!(redecide.state().expect("a head").hash(), live, "{input:?}");
        }
        let event = |slots| match Record::decode(slots).expect("the engine wrote it").body {
            Body::Event(event) => Some(event),
            Body::Input(..) | Body::Opening(_) => None,
        };
        records(&out.0).filter_map(event).collect()
    }

    pub fn id(&mut self) -> ClOrdId {
        self.next += 1;
        ClOrdId::new(0, self.next)
    }

    /// A market order, submitted.
    pub fn order(&mut self, side: Side, qty: i64) -> ClOrdId {
        let id = self.id();
        self.step(order(id, side, qty, None));
        id
    }

    pub fn limit(&mut self, side: Side, qty: i64, price: i64) -> ClOrdId {
        let id = self.id();
        self.step(order(id, side, qty, Some(points(price))));
        id
    }

    pub fn mark(&mut self, price: i64) {
        let price = points(price);
        self.step(Input::Mark { instrument: ES, price, bid: None, ask: None });
    }

    pub fn status(&mut self, order: ClOrdId, kind: StatusKind) -> Vec<Event> {
        self.step(Input::Status { order, kind, request: ClOrdId::NONE })
    }

    pub fn trade(&mut self, order: ClOrdId, exec: &str, qty: i64, price: i64) -> Vec<Event> {
        let side = self.engine.state().order(order).map_or(Side::Buy, |order| order.side);
        self.step(trade(order, side, exec, qty, points(price)))
    }

    pub fn bust(&mut self, order: ClOrdId, exec: &str, exec_ref: &str) -> Vec<Event> {
        self.step(bust(order, exec, exec_ref))
    }

    pub fn correct(
        &mut self,
        order: ClOrdId,
        (exec, exec_ref): (&str, &str),
        qty: i64,
        price: i64,
    ) -> Vec<Event> {
        self.step(correct(order, (exec, exec_ref), qty, points(price)))
    }

    pub fn row(&self, id: ClOrdId) -> &Order {
        self.engine.state().order(id).expect("a row")
    }

    /// State, `CumQty`, `AvgPx` in points.
    pub fn filled(&self, id: ClOrdId) -> (OrderState, i64, String) {
        let row = self.row(id);
        let avg_px = row.avg_px().map_or_else(|| "-".to_owned(), |price| price.to_string());
        (row.state, row.cum_qty.0, avg_px)
    }

    pub fn position(&self) -> &Position {
        self.engine.state().position(ES).expect("it is there")
    }

    /// Quantity, average price, realized P&L less commission.
    pub fn held(&self) -> (i64, String, String) {
        let position = self.position();
        let average = position.avg_px(PRICE_SCALE).map(|price| price.to_string());
        let net = position.net_realized().expect("in range").to_string();
        (position.qty.0, average.unwrap_or_else(|| "-".to_owned()), net)
    }

    /// Cash of all trades: what was fetched less what was paid, commission too; 1e-18.
    pub fn cash(&self) -> i128 {
        let Position { open_cost, realized, commission, .. } = *self.position();
        realized.0 - open_cost.0 - commission.0
    }
}

/// The key of an execution of an order: of the venue's id, whichever side it was.
pub fn key(order: ClOrdId, exec: &str) -> ExecKey {
    ExecKey::new(0, exec, order, Side::Buy)
}

pub fn order(id: ClOrdId, side: Side, qty: i64, price: Option<Price>) -> Input {
    Input::Order {
        id,
        instrument: ES,
        side,
        ord_type: if price.is_some() { OrdType::Limit } else { OrdType::Market },
        tif: Tif::Gtc,
        strategy: 0,
        flags: Flags::default(),
        qty: Qty(qty),
        price,
        stop_price: None,
        expire_at: None,
        defect: None,
    }
}

pub fn trade(order: ClOrdId, side: Side, exec: &str, qty: i64, price: Price) -> Input {
    Input::Trade {
        order,
        exec: key(order, exec),
        qty: Qty(qty),
        price,
        commission: Money(POINT),
        instrument: ES,
        side,
        venue_says_filled: false,
        defect: None,
    }
}

pub fn bust(order: ClOrdId, exec: &str, exec_ref: &str) -> Input {
    Input::Bust { order, exec: key(order, exec), exec_ref: key(order, exec_ref) }
}

pub fn correct(order: ClOrdId, (exec, exec_ref): (&str, &str), qty: i64, price: Price) -> Input {
    let (exec, exec_ref) = (key(order, exec), key(order, exec_ref));
    Input::Correct { order, exec, exec_ref, qty: Qty(qty), price, defect: None }
}

pub fn refused(events: &[Event]) -> Option<Code> {
    events.iter().find_map(
        |event| {
            if let Event::Refused { code, .. } = event { Some(*code) } else { None }
        },
    )
}

/// The anomalies, and whether their money was booked.
pub fn anomalies(events: &[Event]) -> Vec<(Code, i64, bool)> {
    let anomaly = |event: &Event| {
        let Event::Anomaly { code, qty, booked, .. } = event else { return None };
        Some((*code, qty.0, *booked))
    };
    events.iter().filter_map(anomaly).collect()
}
