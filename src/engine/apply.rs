//! The only code that writes state: one record in, one change made, and what it says about itself
//! checked against what came of it.

use super::executions::{Execution, Role, Standing};
use super::ledger::{Amended, Draft, Figures, Reshaped, settled};
use super::state::{OWN_SOURCE, State};
use crate::code::Code;
use crate::codec::FLAG_CLAMPED;
use crate::event::{Body, Event, Record};
use crate::input::{ExecKey, Input};
use crate::instrument::InstrumentId;
use crate::limits::{PRICE_MAX, QTY_MAX};
use crate::order::{
    Cell, ClOrdId, Flags, OrdType, Order, OrderBook, OrderEvent, OrderState, Request, RequestKind,
    Requests, Tif,
};
use crate::position::{Place, Position};
use crate::risk::{InstrumentBook, Market};
use crate::units::{Money, Price, Qty, Side, Ts};
use std::fmt;

/// A record that does not follow from the state that it is applied to: another program wrote it, or
/// the log is not what it seems. Live it cannot happen, and is asserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Diverged {
    /// The record's sequence number.
    pub seq: u64,
    /// What does not hold.
    pub what: &'static str,
}

impl fmt::Display for Diverged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {}: {}", self.seq, self.what)
    }
}

impl std::error::Error for Diverged {}

type Applied = Result<(), &'static str>;

const NO_ORDER: &str = "no such order";
const NO_INSTRUMENT: &str = "no such instrument";
const NO_REQUEST: &str = "no such request";
const NO_EXECUTION: &str = "no such trade";
const NO_ROOM: &str = "no room for the execution";

/// Applies one record.
///
/// # Errors
/// [`Diverged`] if the record does not follow; the state is then half changed and of no use.
pub fn apply(state: &mut State, record: &Record) -> Result<(), Diverged> {
    let head = record.head;
    let diverged = |what| Diverged { seq: head.seq, what };
    if head.seq != state.seq + 1 {
        return Err(diverged("sequence does not go on"));
    }
    if head.ts < state.ts {
        return Err(diverged("time goes back"));
    }
    let clamped = head.flags & FLAG_CLAMPED != 0;
    state.seq += record.slot_count() as u64;
    state.ts = head.ts;
    match &record.body {
        Body::Opening(_) => Ok(()),
        // An input that is refused for its time changes nothing.
        Body::Input(..) if clamped && state.settings.refuse_old_time => Ok(()),
        Body::Input(input, _) => state.apply_input(input),
        Body::Event(event) => state.apply_event(event),
    }
    .map_err(diverged)
}

impl State {
    /// An input is the first event of its group: it moves the clock and, if it is market data that
    /// can be used, the market.
    fn apply_input(&mut self, input: &Input) -> Applied {
        match *input {
            Input::Mark { instrument, price, bid, ask } => {
                let ts = self.ts;
                if usable_marks(&[Some(price), bid, ask]) {
                    self.set_market(instrument, Market { price: Some(price), bid, ask, ts });
                }
            }
            Input::Bar { instrument, open, high, low, close, opened, .. } => {
                let ts = self.ts;
                if usable_marks(&[Some(open), Some(high), Some(low), Some(close)]) {
                    let market = Market { price: Some(close), bid: None, ask: None, ts };
                    if self.set_market(instrument, market) {
                        self.correlations.on_bar(instrument, opened, close);
                    }
                }
            }
            Input::Text { .. }
            | Input::Opening { .. }
            | Input::Signal { .. }
            | Input::Order { .. }
            | Input::Cancel { .. }
            | Input::Replace { .. }
            | Input::ClosePosition { .. }
            | Input::Trade { .. }
            | Input::Status { .. }
            | Input::Replaced { .. }
            | Input::Restated { .. }
            | Input::Halt { .. }
            | Input::Resume {}
            | Input::CancelAll {}
            | Input::DayRoll {}
            | Input::Timer {}
            | Input::Continue {}
            | Input::Rate { .. }
            | Input::Bust { .. }
            | Input::Correct { .. }
            | Input::SetLimit { .. }
            | Input::Stop {} => {}
        }
        Ok(())
    }

    #[expect(clippy::too_many_lines, reason = "one line an event")]
    fn apply_event(&mut self, event: &Event) -> Applied {
        match *event {
            Event::Created { .. } => self.create(event),
            Event::Verdict { .. } | Event::Broken { .. } => Ok(()),
            Event::Denied { order, reason } => self.transition(order, OrderEvent::Deny, |order| {
                order.reason = Some(reason);
            }),
            Event::Passed { order } => self.pass(order),
            Event::Submitted { order } => self.transition(order, OrderEvent::Submit, |_| {}),
            Event::Received { order } => self.flag(order, Flags::RECEIVED),
            Event::Accepted { order, late } => self.accept(order, late),
            Event::Rejected { order } => self.transition(order, OrderEvent::Reject, |order| {
                order.reason = Some(Code::Venue);
            }),
            Event::Cancelled { order, request } => {
                self.transition(order, OrderEvent::Cancel, |_| {})?;
                self.end_request(order, request)
            }
            Event::Expired { order } => self.transition(order, OrderEvent::Expire, |_| {}),
            Event::Triggered { order } => self.flag(order, Flags::TRIGGERED),
            Event::Suspended { order } => self.flag(order, Flags::SUSPENDED),
            Event::DoneForDay { order } => self.flag(order, Flags::DONE_FOR_DAY),
            Event::CancelAsked { order, request } => {
                let (qty, price, stop_price) = (None, None, None);
                let kind = RequestKind::Cancel;
                self.open_request(order, Request { id: request, kind, qty, price, stop_price })
            }
            Event::ReplaceAsked { order, request, qty, price, stop_price } => {
                let kind = RequestKind::Replace;
                self.open_request(order, Request { id: request, kind, qty, price, stop_price })
            }
            Event::RequestPending { order, request } => {
                let order = self.orders.get(order).ok_or(NO_ORDER)?;
                order.requests.iter().find(|r| r.id == request).map(|_| ()).ok_or(NO_REQUEST)
            }
            Event::RequestRejected { order, request } => self.end_request(order, request),
            Event::Replaced { .. } => self.replace(event),
            Event::Traded { .. } => self.trade(event),
            Event::Position { instrument, qty, open_cost, realized } => {
                let position = self.position(instrument).ok_or(NO_INSTRUMENT)?;
                let same = (position.qty, position.open_cost) == (qty, open_cost)
                    && position.net_realized() == Some(realized);
                if same { Ok(()) } else { Err("the position is another") }
            }
            Event::PositionOpened { instrument, qty, open_cost } => {
                self.open_position(instrument, qty, open_cost)
            }
            Event::Unassigned { order, .. } if !Self::may_have_row(order) => {
                Err("the id is none of an order")
            }
            Event::Unassigned { order, instrument, side } => {
                let mut order = unassigned(order, instrument, side, self.ts);
                order.executions_before = self.executions.count();
                if self.orders.insert(order) { Ok(()) } else { Err("no room for the order") }
            }
            Event::Unbooked { .. }
            | Event::Refused { .. }
            | Event::Anomaly { .. }
            | Event::Warning { .. } => Ok(()),
            Event::Busted { .. } => self.bust(event),
            Event::Corrected { .. } => self.correct(event),
            Event::Unanswered { .. } | Event::InstrumentHalted { .. } | Event::LimitSet { .. } => {
                Err("not known yet")
            }
            Event::Halted { reason } => {
                self.halted = Some(reason);
                Ok(())
            }
            Event::Resumed {} => {
                self.halted = None;
                self.account.restart_peak();
                Ok(())
            }
            Event::DayRolled { equity } => {
                if self.account.equity() != equity {
                    return Err("the equity is another");
                }
                self.account.roll_day();
                Ok(())
            }
            Event::Sweep { kind, next, done } => {
                self.sweeps.set(kind, if done { None } else { Some(next) });
                Ok(())
            }
            Event::Closed { order } => {
                let row = self.orders.get(order).ok_or(NO_ORDER)?;
                if !row.flags.has(Flags::UNKNOWN) {
                    self.transition(order, OrderEvent::Close, |_| {})?;
                }
                self.orders.remove(order).map(|_| ()).ok_or(NO_ORDER)?;
                self.orders.trim_finished();
                Ok(())
            }
            Event::Checkpoint { hash } => {
                // The hash is of the state before the checkpoint itself.
                self.seq -= 1;
                let same = self.hash() == hash;
                self.seq += 1;
                self.checkpoint_seq = self.seq;
                if same { Ok(()) } else { Err("the state hashes to another value") }
            }
        }
    }

    fn create(&mut self, event: &Event) -> Applied {
        let Event::Created { order: id, instrument, .. } = *event else {
            unreachable!("the caller matched it")
        };
        let mut order = created(event, self.ts);
        order.executions_before = self.executions.count();
        if !self.is_new_id(id) {
            return Err("the id has been used");
        }
        self.last_ids[id.source()] = id;
        if instrument != InstrumentId::UNKNOWN && self.book(instrument).is_none() {
            return Err(NO_INSTRUMENT);
        }
        if self.orders.insert(order) { Ok(()) } else { Err("no room for the order") }
    }

    /// Changes an order, and what it adds to its side's worst case with it. Every change of an
    /// order goes through here.
    fn update(&mut self, id: ClOrdId, change: impl FnOnce(&mut Order) -> Applied) -> Applied {
        let order = self.orders.get_mut(id).ok_or(NO_ORDER)?;
        let before = order.contribution();
        change(order)?;
        let after = order.contribution();
        let ended = OrderBook::can_retire(order);
        if before != after
            && let Some(book) = self.books.get_mut(order.instrument.index())
        {
            let InstrumentBook { exposure, .. } = book;
            exposure.remove(before).map_err(|_| "exposure leaves its range")?;
            exposure.add(after).map_err(|_| "exposure leaves its range")?;
        }
        if ended {
            self.orders.finish(id);
        }
        Ok(())
    }

    /// Moves an order through the table: the only place that assigns a state.
    fn transition(
        &mut self,
        id: ClOrdId,
        event: OrderEvent,
        change: impl FnOnce(&mut Order),
    ) -> Applied {
        self.update(id, |order| {
            match order.state.on(event) {
                Cell::To(next) => order.state = next,
                Cell::Same | Cell::Late => {}
                Cell::Old | Cell::Bad => return Err("the order's state does not allow it"),
            }
            change(order);
            Ok(())
        })
    }

    /// What risk let through has a quantity that the sums of exposure can hold.
    fn pass(&mut self, id: ClOrdId) -> Applied {
        let order = self.orders.get(id).ok_or(NO_ORDER)?;
        if !(1..=QTY_MAX).contains(&order.order_qty.0) {
            return Err("the quantity is out of bounds");
        }
        self.transition(id, OrderEvent::Pass, |_| {})
    }

    fn open_position(&mut self, instrument: InstrumentId, qty: Qty, open_cost: Money) -> Applied {
        let book = self.book(instrument).ok_or(NO_INSTRUMENT)?;
        let fits = qty.0.unsigned_abs() <= book.qty_limit.0.unsigned_abs();
        if !fits || Money::ZERO.checked_add(open_cost).is_none() {
            return Err("the position leaves its range");
        }
        let position = Position { qty, open_cost, ..Position::default() };
        let ledger = self.ledgers.get_mut(instrument.index()).ok_or(NO_INSTRUMENT)?;
        *ledger = ledger.opening(position, self.settings.account.cost_method);
        self.settle(instrument, position)
    }

    /// Gives an instrument another position, and the account what comes of it.
    fn settle(&mut self, instrument: InstrumentId, position: Position) -> Applied {
        let book = self.books.get_mut(instrument.index()).ok_or(NO_INSTRUMENT)?;
        let account = settled(&self.account, book, &position);
        self.account = account.map_err(|_| "the account leaves its range")?;
        self.account.note_peak();
        book.position = position;
        Ok(())
    }

    fn flag(&mut self, id: ClOrdId, flag: Flags) -> Applied {
        self.update(id, |order| {
            order.flags = order.flags.with(flag);
            Ok(())
        })
    }

    fn accept(&mut self, id: ClOrdId, late: bool) -> Applied {
        let order = self.orders.get(id).ok_or(NO_ORDER)?;
        let resumes = order.flags.has(Flags::SUSPENDED) || order.flags.has(Flags::DONE_FOR_DAY);
        let change = |order: &mut Order| {
            order.flags = order.flags.with(Flags::ACKED);
            if !late {
                order.flags = order.flags.without(Flags::SUSPENDED).without(Flags::DONE_FOR_DAY);
            }
        };
        if resumes && !matches!(order.state.on(OrderEvent::Accept), Cell::To(_)) {
            return self.update(id, |order| {
                change(order);
                Ok(())
            });
        }
        self.transition(id, OrderEvent::Accept, change)
    }

    fn open_request(&mut self, id: ClOrdId, request: Request) -> Applied {
        let own = request.id.source() == usize::from(OWN_SOURCE);
        if !self.is_new_id(request.id) || (own && request.id != self.next_own_id()) {
            return Err("the id has been used, or left others out");
        }
        self.last_ids[request.id.source()] = request.id;
        self.update(id, |order| {
            if order.requests.open(request) { Ok(()) } else { Err("no room for the request") }
        })
    }

    /// Ends a request; none is the answer that nobody asked for.
    fn end_request(&mut self, id: ClOrdId, request: ClOrdId) -> Applied {
        if request == ClOrdId::NONE {
            return Ok(());
        }
        self.update(id, |order| order.requests.end(request).map(|_| ()).ok_or(NO_REQUEST))
    }

    fn replace(&mut self, event: &Event) -> Applied {
        let Event::Replaced { order, request, order_qty, price, stop_price } = *event else {
            unreachable!("the caller matched it")
        };
        self.end_request(order, request)?;
        if order_qty.0 < 0 {
            return Err("the quantity is out of bounds");
        }
        self.update(order, |order| {
            let ended = order.state.is_final() && order.state != OrderState::Filled;
            if !ended {
                order.order_qty = order_qty;
                order.price = price;
                order.stop_price = stop_price;
                order.flags = order.flags.with(Flags::ACKED);
            }
            if request == ClOrdId::NONE {
                order.flags = order.flags.without(Flags::SUSPENDED).without(Flags::DONE_FOR_DAY);
            }
            match order.state.on(amendment(order.order_qty, order.cum_qty)) {
                Cell::To(next) => order.state = next,
                Cell::Same => {}
                Cell::Late | Cell::Old | Cell::Bad => {
                    return Err("the order's state does not allow it");
                }
            }
            Ok(())
        })
    }

    fn trade(&mut self, event: &Event) -> Applied {
        let Event::Traded { order, exec, instrument, last_qty, last_px, .. } = *event else {
            unreachable!("the caller matched it")
        };
        let Event::Traded { commission, cum_qty, side, state, .. } = *event else {
            unreachable!("the caller matched it")
        };
        let figures = Figures { qty: last_qty, price: last_px };
        let execution = self.execution(order, instrument, side, figures, commission);
        let protect_px = self.orders.get(order).and_then(|order| order.protect_px);
        if self.orders.get(order).is_some() {
            self.update(order, |order| fill(order, last_qty, last_px))?;
            let order = self.orders.get(order).ok_or(NO_ORDER)?;
            if (order.cum_qty, order.state) != (cum_qty, state) {
                return Err("the order's quantity or state is another");
            }
        }
        let mut draft = Draft::new(self, instrument).ok_or(NO_INSTRUMENT)?;
        let booked = draft.book(execution).map_err(|_| "the position leaves its range")?;
        let (ledger, position) = (draft.ledger, draft.position);
        self.remember(exec, execution, Role::Trade, self.ledgers[instrument.index()].last())?;
        self.ledgers[instrument.index()] = ledger;
        if booked.opened.0 > 0 {
            self.books[instrument.index()].protect_px = protect_px;
        }
        self.settle(instrument, position)
    }

    /// Puts a trade into the table, as far as there is room, and into its instrument's chain behind
    /// the last.
    fn remember(
        &mut self,
        key: ExecKey,
        execution: Execution,
        role: Role,
        last: Option<Place>,
    ) -> Result<Option<Place>, &'static str> {
        if self.executions.knows(key) {
            return Err("the execution is known");
        }
        let place = self.executions.insert(key, execution, role);
        if let Some((last, place)) = last.zip(place) {
            self.executions.chain(last, place);
        }
        Ok(place)
    }

    fn bust(&mut self, event: &Event) -> Applied {
        let Event::Busted { exec, exec_ref, last_qty, last_px, cum_qty, state, exact, .. } = *event
        else {
            unreachable!("the caller matched it")
        };
        let Event::Busted { order, instrument, side, .. } = *event else {
            unreachable!("the caller matched it")
        };
        let standing = self.executions.standing(exec_ref).ok_or(NO_EXECUTION)?;
        let Standing { origin, live, execution } = standing;
        let was = (execution.order, execution.instrument, execution.side);
        let figures = (execution.qty, execution.price);
        if (was, figures) != ((order, instrument, side), (last_qty, last_px)) {
            return Err("the trade is another");
        }
        let amended = self.amended(&standing, None).map_err(|_| "the position leaves its range")?;
        self.reshape(&standing, None, (cum_qty, state))?;
        let role = Role::Amendment(origin);
        if amended.exact {
            self.executions.take_out(live);
            self.remember(exec, execution, role, None)?;
        } else {
            let last = self.ledgers[instrument.index()].last();
            self.remember(exec, amended.added[0], role, last)?;
        }
        self.executions.bust(origin);
        self.amend(instrument, exact, amended)
    }

    fn correct(&mut self, event: &Event) -> Applied {
        let Event::Corrected { exec, exec_ref, last_qty, last_px, cum_qty, state, exact, .. } =
            *event
        else {
            unreachable!("the caller matched it")
        };
        let Event::Corrected { order, instrument, side, .. } = *event else {
            unreachable!("the caller matched it")
        };
        let standing = self.executions.standing(exec_ref).ok_or(NO_EXECUTION)?;
        let Standing { origin, live, execution } = standing;
        if (execution.order, execution.instrument, execution.side) != (order, instrument, side) {
            return Err("the trade is another");
        }
        if last_qty.0 <= 0 {
            return Err("a trade of no quantity");
        }
        let figures = Some(Figures { qty: last_qty, price: last_px });
        let amended = self.amended(&standing, figures);
        let amended = amended.map_err(|_| "the position leaves its range")?;
        self.reshape(&standing, figures, (cum_qty, state))?;
        let role = Role::Amendment(origin);
        if amended.exact {
            let corrected = Execution { qty: last_qty, price: last_px, ..execution };
            let place = self.remember(exec, corrected, role, None)?.ok_or(NO_ROOM)?;
            self.executions.correct(live, place);
        } else {
            let last = self.ledgers[instrument.index()].last();
            let opposite = self.remember(ExecKey::default(), amended.added[0], role, last)?;
            let place = self.remember(exec, amended.added[1], role, opposite)?.ok_or(NO_ROOM)?;
            self.executions.succeed(origin, place);
        }
        self.amend(instrument, exact, amended)
    }

    /// Takes over what a bust or a correction made of the instrument and the account.
    fn amend(&mut self, instrument: InstrumentId, exact: bool, amended: Amended) -> Applied {
        if amended.exact != exact {
            return Err("other trades are kept");
        }
        self.ledgers[instrument.index()] = amended.ledger;
        self.books[instrument.index()].position = amended.position;
        self.account = amended.account;
        self.account.note_peak();
        Ok(())
    }

    /// Gives the order of a trade the quantities that a bust or a correction of it leaves.
    fn reshape(
        &mut self,
        standing: &Standing,
        figures: Option<Figures>,
        said: (Qty, OrderState),
    ) -> Applied {
        let Reshaped { cum_qty, cum_value, state, .. } =
            self.reshaped(standing, figures).ok_or("the order leaves its range")?;
        if (cum_qty, state) != said {
            return Err("the order's quantity or state is another");
        }
        if self.row_of(standing).is_none() {
            return Ok(());
        }
        self.update(standing.execution.order, |order| {
            (order.cum_qty, order.cum_value, order.state) = (cum_qty, cum_value, state);
            Ok(())
        })
    }

    /// Takes new prices in, and the account's unrealized P&L with them: all or nothing. What cannot
    /// be taken leaves the old prices, by which `decide` knows and refuses the input.
    fn set_market(&mut self, instrument: InstrumentId, market: Market) -> bool {
        let Some(book) = self.books.get_mut(instrument.index()) else { return false };
        let before = unrealized(book);
        let old = std::mem::replace(&mut book.market, market);
        let change = unrealized(book).checked_sub(before);
        let account = &mut self.account;
        let moved = change.is_some_and(|change| account.on_unrealized_change(change).is_ok());
        if moved {
            account.note_peak();
        } else {
            book.market = old;
        }
        moved
    }
}

/// Whether a price can be used as a mark: within the bounds that keep every product exact.
pub(super) fn usable_marks(prices: &[Option<Price>]) -> bool {
    prices.iter().flatten().all(|price| price.0.unsigned_abs() <= PRICE_MAX.unsigned_abs())
}

/// The table's column for quantities that changed by other than a trade.
pub(super) fn amendment(order_qty: Qty, cum_qty: Qty) -> OrderEvent {
    if cum_qty >= order_qty {
        OrderEvent::AmendFull
    } else if cum_qty.0 > 0 {
        OrderEvent::AmendPart
    } else {
        OrderEvent::AmendNone
    }
}

/// Books a trade to its order. The quantities settle first; then the table decides.
fn fill(order: &mut Order, last_qty: Qty, last_px: Price) -> Applied {
    if last_qty.0 <= 0 {
        return Err("a trade of no quantity");
    }
    let value = i128::from(last_px.0) * i128::from(last_qty.0);
    let cum_qty = order.cum_qty.checked_add(last_qty).ok_or("the order leaves its range")?;
    order.cum_value =
        order.cum_value.checked_add(value).ok_or("the order's value leaves its range")?;
    order.cum_qty = cum_qty;
    let whole = !order.flags.has(Flags::UNKNOWN) && cum_qty >= order.order_qty;
    let event = if whole { OrderEvent::TradeFull } else { OrderEvent::TradePart };
    match order.state.on(event) {
        Cell::To(next) => order.state = next,
        Cell::Same | Cell::Late => {}
        Cell::Old | Cell::Bad => return Err("the order's state does not allow it"),
    }
    Ok(())
}

/// What is held at the mark less its cost; nothing where there is no mark. The bounds on marks and
/// quantities keep it in range, if not every sum of it.
fn unrealized(book: &InstrumentBook) -> Money {
    let at_mark = |mark| book.position.unrealized(mark, book.lot_value);
    book.market.price.and_then(at_mark).unwrap_or(Money::ZERO)
}

fn created(event: &Event, ts: Ts) -> Order {
    let Event::Created {
        order,
        instrument,
        side,
        ord_type,
        tif,
        flags,
        strategy,
        order_qty,
        price,
        stop_price,
        expire_at,
        decision_px,
        arrival_px,
        protect_px,
    } = *event
    else {
        unreachable!("the caller matched it")
    };
    Order {
        id: order,
        instrument,
        strategy,
        side,
        ord_type,
        tif,
        state: OrderState::Created,
        reason: None,
        flags,
        order_qty,
        cum_qty: Qty(0),
        cum_value: 0,
        price,
        stop_price,
        protect_px,
        expire_at,
        decision_px,
        arrival_px,
        created: ts,
        executions_before: 0,
        requests: Requests::default(),
    }
}

/// The row of an order that no input made: it was at work, and how much it was for nobody knows.
fn unassigned(id: ClOrdId, instrument: InstrumentId, side: Side, ts: Ts) -> Order {
    Order {
        id,
        instrument,
        strategy: 0,
        side,
        ord_type: OrdType::Market,
        tif: Tif::Day,
        state: OrderState::Submitted,
        reason: None,
        flags: Flags::UNKNOWN,
        order_qty: Qty(0),
        cum_qty: Qty(0),
        cum_value: 0,
        price: None,
        stop_price: None,
        protect_px: None,
        expire_at: None,
        decision_px: None,
        arrival_px: None,
        created: ts,
        executions_before: 0,
        requests: Requests::default(),
    }
}
