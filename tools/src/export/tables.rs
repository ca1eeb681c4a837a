//! The tables: which columns each has, and which records make a row of it.

use super::{Cell, Column, Kind};
use crate::rows;
use crate::walk::Walk;
use std::collections::BTreeMap;
use trade_engine::codec::{FLAG_END, Measure, Shown};
use trade_engine::engine::State;
use trade_engine::event::{Body, Event, Record};
use trade_engine::input::{ExecKey, Input};
use trade_engine::instrument::InstrumentId;
use trade_engine::order::{ClOrdId, Flags, Order};
use trade_engine::units::{Money, Price, Qty, Ts};

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind }
}

/// What to export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Table {
    /// A row an order, as it was at its end or is at the log's: those that the engine has retired,
    /// as it retired them, then those that it holds.
    Orders,
    /// A row an execution that was booked, and a row each bust and correction of one.
    Executions,
    /// A row each change of a position, with what it was after it.
    Positions,
    /// The equity curve: a row each input that moved the account.
    Equity,
    /// What the risk rules found: the tightest rule of every order that they saw, and every rule
    /// that one broke.
    Verdicts,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 5] =
        [Self::Orders, Self::Executions, Self::Positions, Self::Equity, Self::Verdicts];

    /// Its name: that of its file, without the extension.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Executions => "executions",
            Self::Positions => "positions",
            Self::Equity => "equity",
            Self::Verdicts => "verdicts",
        }
    }

    /// Its columns.
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Orders => ORDERS,
            Self::Executions => EXECUTIONS,
            Self::Positions => POSITIONS,
            Self::Equity => EQUITY,
            Self::Verdicts => VERDICTS,
        }
    }
}

const ORDERS: &[Column] = &[
    column("order", Kind::Text),
    column("order_id", Kind::Text),
    column("symbol", Kind::Text),
    column("currency", Kind::Text),
    column("strategy", Kind::Text),
    column("side", Kind::Text),
    column("type", Kind::Text),
    column("tif", Kind::Text),
    column("price", Kind::PRICE),
    column("stop_price", Kind::PRICE),
    column("order_qty", Kind::QTY),
    column("cum_qty", Kind::QTY),
    column("leaves_qty", Kind::QTY),
    column("avg_px", Kind::PRICE),
    column("state", Kind::Text),
    column("ord_status", Kind::Text),
    column("reason", Kind::Text),
    column("decision_px", Kind::PRICE),
    column("arrival_px", Kind::PRICE),
    column("slippage", Kind::PRICE),
    column("created", Kind::Time),
    column("handed_over", Kind::Time),
    column("ended", Kind::Time),
];

const EXECUTIONS: &[Column] = &[
    column("seq", Kind::Number),
    column("time", Kind::Time),
    column("kind", Kind::Text),
    column("order", Kind::Text),
    column("order_id", Kind::Text),
    column("symbol", Kind::Text),
    column("currency", Kind::Text),
    column("strategy", Kind::Text),
    column("side", Kind::Text),
    column("last_qty", Kind::QTY),
    column("last_px", Kind::PRICE),
    column("commission", Kind::MONEY),
    column("cum_qty", Kind::QTY),
    column("state", Kind::Text),
    column("exec_id", Kind::Text),
    column("exec_key", Kind::Text),
    column("exec_ref_key", Kind::Text),
];

const POSITIONS: &[Column] = &[
    column("seq", Kind::Number),
    column("time", Kind::Time),
    column("symbol", Kind::Text),
    column("currency", Kind::Text),
    column("qty", Kind::QTY),
    column("avg_px", Kind::PRICE),
    column("open_cost", Kind::MONEY),
    column("mark", Kind::PRICE),
    column("realized_pnl", Kind::MONEY),
    column("unrealized_pnl", Kind::MONEY),
    column("commission", Kind::MONEY),
];

const EQUITY: &[Column] = &[
    column("seq", Kind::Number),
    column("time", Kind::Time),
    column("currency", Kind::Text),
    column("equity", Kind::MONEY),
    column("realized_pnl", Kind::MONEY),
    column("unrealized_pnl", Kind::MONEY),
    column("commission", Kind::MONEY),
    column("peak_equity", Kind::MONEY),
    column("day_start_equity", Kind::MONEY),
    column("is_whole", Kind::Flag),
    column("is_halted", Kind::Flag),
];

const VERDICTS: &[Column] = &[
    column("seq", Kind::Number),
    column("time", Kind::Time),
    column("order", Kind::Text),
    column("order_id", Kind::Text),
    column("symbol", Kind::Text),
    column("strategy", Kind::Text),
    column("side", Kind::Text),
    column("finding", Kind::Text),
    column("rule", Kind::Text),
    column("number", Kind::QTY),
    column("limit", Kind::QTY),
    column("is_refused", Kind::Flag),
    column("rules_ran", Kind::Number),
];

/// A row: a cell for every column of its table.
pub type Row = Vec<Cell>;

/// What makes the rows of a table while a log is walked. Bounded by the engine's own tables.
#[derive(Debug)]
pub struct Rows {
    table: Table,
    /// When each order that is held came to its end.
    ended: BTreeMap<ClOrdId, Ts>,
    /// The venue's own id of the execution that its events are about.
    exec_id: Option<String>,
    /// The account as the last row of the curve shows it.
    last: Option<Curve>,
    /// The record that was taken in last.
    seq: u64,
}

impl Rows {
    /// Before the first record.
    pub const fn new(table: Table) -> Self {
        Self { table, ended: BTreeMap::new(), exec_id: None, last: None, seq: 0 }
    }

    /// Looks at a record before it is applied: it may retire what a row is about.
    pub fn before(&mut self, record: &Record, walk: &Walk) -> Option<Row> {
        let Body::Event(Event::Closed { order }) = record.body else { return None };
        let order = walk.state()?.order(order).filter(|_| self.table == Table::Orders)?;
        let ended = self.ended.remove(&order.id);
        Some(order_row(walk, order, ended))
    }

    /// Takes in a record that has been applied. `exec_id`: the venue's id, if the record is the
    /// input that it came with.
    pub fn after(&mut self, record: &Record, walk: &Walk, exec_id: Option<&str>) -> Option<Row> {
        let state = walk.state()?;
        self.seq = record.head.seq;
        match (self.table, &record.body) {
            (Table::Orders, Body::Event(event)) => {
                self.note_end(record.head.ts, event, state);
                None
            }
            (Table::Executions, Body::Input(..)) => {
                self.exec_id = exec_id.map(str::to_owned);
                None
            }
            (Table::Executions, Body::Event(event)) => Execution::of(event).map(|execution| {
                let id = self.exec_id.as_deref();
                execution.row(record, walk, state, id)
            }),
            (Table::Positions, Body::Event(Event::Position { instrument, .. }))
            | (Table::Positions, Body::Event(Event::PositionOpened { instrument, .. })) => {
                position_row(record, state, *instrument)
            }
            (Table::Equity, _) => self.curve_row(record, state),
            (Table::Verdicts, Body::Event(event)) => verdict_row(record, event, walk, state),
            (
                Table::Orders | Table::Executions | Table::Positions | Table::Verdicts,
                Body::Opening(_) | Body::Input(..) | Body::Event(_),
            ) => None,
        }
    }

    /// What is left when the log has ended.
    pub fn end(&mut self, walk: &Walk) -> Vec<Row> {
        let Some(state) = walk.state() else { return Vec::new() };
        match self.table {
            Table::Orders => rows::sorted_orders(state)
                .into_iter()
                .map(|order| order_row(walk, order, self.ended.get(&order.id).copied()))
                .collect(),
            // Of a group that a crash cut.
            Table::Equity => self.curve(self.seq, state.ts(), state).into_iter().collect(),
            Table::Executions | Table::Positions | Table::Verdicts => Vec::new(),
        }
    }

    /// Remembers when an order's life ended. A bust may bring it back.
    fn note_end(&mut self, ts: Ts, event: &Event, state: &State) {
        let Some(order) = order_of(event).and_then(|id| state.order(id)) else { return };
        if order.state.is_final() {
            self.ended.entry(order.id).or_insert(ts);
        } else {
            self.ended.remove(&order.id);
        }
    }

    fn curve_row(&mut self, record: &Record, state: &State) -> Option<Row> {
        if record.head.flags & FLAG_END == 0 {
            return None;
        }
        self.curve(record.head.seq, record.head.ts, state)
    }

    fn curve(&mut self, seq: u64, ts: Ts, state: &State) -> Option<Row> {
        let curve = Curve::of(state);
        if self.last == Some(curve) {
            return None;
        }
        self.last = Some(curve);
        Some(curve.row(seq, ts, state))
    }
}

/// The order that an event names.
fn order_of(event: &Event) -> Option<ClOrdId> {
    let mut order = None;
    event.show(&mut |name, shown| {
        if let ("order", Shown::Id(id)) = (name, shown) {
            order = Some(id);
        }
    });
    order
}

fn price(price: Option<Price>) -> Cell {
    Cell::decimal(price.map(|price| price.0))
}

const fn money(money: Money) -> Cell {
    Cell::Decimal(money.0)
}

const fn measure(measure: Measure) -> Cell {
    Cell::Decimal(measure.nanos())
}

/// Lots in the instrument's unit; a lot of an unknown one counts as one.
fn qty(state: &State, instrument: InstrumentId, qty: Qty) -> Cell {
    let known = state.book(instrument).map(|book| book.spec.lot_size);
    let lot_size = known.unwrap_or(trade_engine::limits::PRICE_SCALE);
    Cell::Decimal(i128::from(qty.0) * i128::from(lot_size))
}

fn currency(state: &State, instrument: InstrumentId) -> Cell {
    Cell::words(state.book(instrument).map(|book| book.spec.currency.as_str()))
}

fn symbol(state: &State, instrument: InstrumentId) -> Cell {
    Cell::words(rows::symbol(state, instrument))
}

fn key(key: ExecKey) -> Cell {
    Cell::Text(format!("{:032x}", key.0))
}

/// The number that `events` shows beside the name.
fn order_id(id: ClOrdId) -> Cell {
    Cell::Text(crate::names::number(id))
}

fn order_row(walk: &Walk, order: &Order, ended: Option<Ts>) -> Row {
    let (Some(state), names) = (walk.state(), walk.names()) else {
        unreachable!("an order without a state")
    };
    let lots = |lots| qty(state, order.instrument, lots);
    let is_unknown = order.flags.has(Flags::UNKNOWN);
    vec![
        Cell::text(&names.name(order.id)),
        order_id(order.id),
        Cell::words(rows::order_symbol(state, names, order)),
        currency(state, order.instrument),
        Cell::words(rows::strategy(state, order.strategy)),
        Cell::text(order.side.name()),
        Cell::text(order.ord_type.name()),
        Cell::text(order.tif.name()),
        price(order.price),
        price(order.stop_price),
        if is_unknown { Cell::Null } else { lots(order.order_qty) },
        lots(order.cum_qty),
        lots(order.leaves_qty()),
        price(order.avg_px()),
        Cell::text(order.state.name()),
        Cell::text(order.ord_status().name()),
        Cell::words(names.reason(order).as_deref()),
        price(order.decision_px),
        price(order.arrival_px),
        price(order.slippage_from(order.slippage_base())),
        Cell::Time(order.created),
        Cell::Time(order.handed_over),
        ended.map_or(Cell::Null, Cell::Time),
    ]
}

/// What was booked: a trade, or what the venue said of one later.
struct Execution {
    kind: &'static str,
    order: ClOrdId,
    instrument: InstrumentId,
    exec: ExecKey,
    exec_ref: Option<ExecKey>,
    commission: Option<Money>,
    last_qty: Qty,
    last_px: Price,
    cum_qty: Qty,
    side: &'static str,
    state: &'static str,
}

impl Execution {
    fn of(event: &Event) -> Option<Self> {
        let (kind, exec_ref, commission) = if let Event::Traded { commission, .. } = *event {
            ("trade", None, Some(commission))
        } else if let Event::Busted { exec_ref, .. } = *event {
            ("bust", Some(exec_ref), None)
        } else if let Event::Corrected { exec_ref, .. } = *event {
            ("correction", Some(exec_ref), None)
        } else {
            return None;
        };
        let (Event::Traded {
            order,
            exec,
            instrument,
            last_qty,
            last_px,
            cum_qty,
            side,
            state,
            ..
        }
        | Event::Busted {
            order,
            exec,
            instrument,
            last_qty,
            last_px,
            cum_qty,
            side,
            state,
            ..
        }
        | Event::Corrected {
            order,
            exec,
            instrument,
            last_qty,
            last_px,
            cum_qty,
            side,
            state,
            ..
        }) = *event
        else {
            unreachable!("one of the three")
        };
        Some(Self {
            kind,
            order,
            instrument,
            exec,
            exec_ref,
            commission,
            last_qty,
            last_px,
            cum_qty,
            side: side.name(),
            state: state.name(),
        })
    }

    fn row(&self, record: &Record, walk: &Walk, state: &State, exec_id: Option<&str>) -> Row {
        let lots = |lots| qty(state, self.instrument, lots);
        let strategy = state.order(self.order).map(|order| order.strategy);
        vec![
            Cell::Number(record.head.seq),
            Cell::Time(record.head.ts),
            Cell::text(self.kind),
            Cell::text(&walk.names().name(self.order)),
            order_id(self.order),
            symbol(state, self.instrument),
            currency(state, self.instrument),
            Cell::words(strategy.and_then(|strategy| rows::strategy(state, strategy))),
            Cell::text(self.side),
            lots(self.last_qty),
            Cell::Decimal(i128::from(self.last_px.0)),
            self.commission.map_or(Cell::Null, money),
            lots(self.cum_qty),
            Cell::text(self.state),
            Cell::words(exec_id),
            key(self.exec),
            self.exec_ref.map_or(Cell::Null, key),
        ]
    }
}

/// Whether an execution's own words belong to this input.
pub const fn has_exec_id(body: &Body) -> bool {
    matches!(body, Body::Input(Input::Trade { .. } | Input::Bust { .. } | Input::Correct { .. }, _))
}

fn position_row(record: &Record, state: &State, instrument: InstrumentId) -> Option<Row> {
    let book = state.book(instrument)?;
    let held = book.position;
    Some(vec![
        Cell::Number(record.head.seq),
        Cell::Time(record.head.ts),
        symbol(state, instrument),
        currency(state, instrument),
        qty(state, instrument, held.qty),
        price(held.avg_px(book.lot_value)),
        money(held.open_cost),
        price(book.market.price),
        money(rows::net_realized(book)),
        rows::unrealized(book).map_or(Cell::Null, money),
        money(held.commission),
    ])
}

/// What the curve is drawn of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Curve {
    equity: Money,
    realized: Money,
    unrealized: Money,
    commission: Money,
    peak: Money,
    day_start: Money,
    is_whole: bool,
    is_halted: bool,
}

impl Curve {
    fn of(state: &State) -> Self {
        let account = state.account();
        Self {
            equity: account.equity(),
            realized: account.net_realized(),
            unrealized: account.unrealized(),
            commission: account.commission(),
            peak: account.peak_equity(),
            day_start: account.day_start_equity(),
            is_whole: account.equity_is_whole(),
            is_halted: state.halted().is_some(),
        }
    }

    fn row(self, seq: u64, ts: Ts, state: &State) -> Row {
        vec![
            Cell::Number(seq),
            Cell::Time(ts),
            Cell::text(&state.settings().account.currency),
            money(self.equity),
            money(self.realized),
            money(self.unrealized),
            money(self.commission),
            money(self.peak),
            money(self.day_start),
            Cell::Flag(self.is_whole),
            Cell::Flag(self.is_halted),
        ]
    }
}

fn verdict_row(record: &Record, event: &Event, walk: &Walk, state: &State) -> Option<Row> {
    let nothing = Measure::default();
    let (id, finding, rule, number, limit) =
        if let Event::Verdict { order, rule, number, limit, .. } = *event {
            (order, "tightest", rule, number, limit)
        } else if let Event::Broken { order, rule, number, limit } = *event {
            (order, "broken", Some(rule), number, limit)
        } else {
            return None;
        };
    // What a verdict alone says.
    let (ran, is_refused) = if let Event::Verdict { ran, refused, .. } = *event {
        (Cell::Number(u64::from(ran.count_ones())), refused)
    } else {
        (Cell::Null, true)
    };
    // A rule that answers yes or no measures nothing.
    let measured = rule.is_some() && (number, limit) != (nothing, nothing);
    let figure = |figure| if measured { measure(figure) } else { Cell::Null };
    let order = state.order(id);
    Some(vec![
        Cell::Number(record.head.seq),
        Cell::Time(record.head.ts),
        Cell::text(&walk.names().name(id)),
        order_id(id),
        Cell::words(order.and_then(|order| rows::order_symbol(state, walk.names(), order))),
        Cell::words(order.and_then(|order| rows::strategy(state, order.strategy))),
        Cell::words(order.map(|order| order.side.name())),
        Cell::text(finding),
        Cell::words(rule.map(|rule| rule.name())),
        figure(number),
        figure(limit),
        Cell::Flag(is_refused),
        ran,
    ])
}
