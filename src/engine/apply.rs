//! The only code that writes state: one record in, one change made, and what it says about itself
//! checked against what came of it.

mod booking;
mod contingents;

use super::state::{OWN_SOURCE, State};
use crate::code::Code;
use crate::codec::FLAG_CLAMPED;
use crate::event::{Body, Event, Record};
use crate::input::Input;
use crate::instrument::InstrumentId;
use crate::limits::{PRICE_MAX, QTY_MAX, RESTART_IDS_GAP, SOURCES_MAX};
use crate::order::{
    Cell, ClOrdId, Flags, Links, OrdType, Order, OrderBook, OrderEvent, OrderState, Request,
    RequestKind, Requests, Sent, SweepKind, Tif,
};
use crate::position::Rate;
use crate::risk::{InstrumentBook, Market};
use crate::settings::Scope;
use crate::units::{Price, Qty, Side, Ts};
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
    if head.ts > state.ts {
        state.ts = head.ts;
        state.controls.rates.advance(head.ts);
    }
    match &record.body {
        Body::Opening(_) => Ok(()),
        // An input that is refused for its time changes nothing.
        Body::Input(..) if clamped && state.settings.refuse_old_time => Ok(()),
        // Nor does one that has to wait for the venue.
        Body::Input(input, _) if state.reconciling && input.may_send() => Ok(()),
        Body::Input(input, _) => state.apply_input(input),
        Body::Event(event) => state.apply_event(event),
    }
    .map_err(diverged)?;
    state.stir();
    Ok(())
}

impl State {
    /// An input is the first event of its group: it moves the clock and, if it is market data that
    /// can be used, the market.
    fn apply_input(&mut self, input: &Input) -> Applied {
        match *input {
            Input::Mark { instrument, price, bid, ask } => {
                let ts = self.ts;
                if usable_marks(&[Some(price), bid, ask]) {
                    let market = Market { price: Some(price), bid, ask, ts };
                    if self.set_market(instrument, market) {
                        self.watch(instrument, None, &[price]);
                    }
                }
            }
            Input::Bar { instrument, open, high, low, close, opened, .. } => {
                let ts = self.ts;
                if usable_marks(&[Some(open), Some(high), Some(low), Some(close)]) {
                    let market = Market { price: Some(close), bid: None, ask: None, ts };
                    if self.set_market(instrument, market) {
                        self.correlations.on_bar(instrument, opened, close);
                        self.watch(instrument, Some(opened), &[open, high, low, close]);
                    }
                }
            }
            Input::Rate { currency, price, inverse } => {
                let rate = Rate::new(price, inverse);
                if let Some(rate) = rate.filter(|_| self.account.rates().is_foreign(currency))
                    && self.account.on_rate(currency, rate).is_ok()
                {
                    self.account.note_peak();
                }
            }
            Input::Continue {} => self.take_due(),
            Input::Timer {} => self.try_late(),
            Input::Restart { .. } => self.restart(),
            Input::Reconciled { .. } => self.reconciling = false,
            Input::Text { .. }
            | Input::Opening { .. }
            | Input::Signal { .. }
            | Input::Order { .. }
            | Input::Cancel { .. }
            | Input::Replace { .. }
            | Input::ClosePosition { .. }
            | Input::Contingent { .. }
            | Input::Trade { .. }
            | Input::Status { .. }
            | Input::Replaced { .. }
            | Input::Restated { .. }
            | Input::Halt { .. }
            | Input::Resume {}
            | Input::CancelAll {}
            | Input::DayRoll {}
            | Input::Bust { .. }
            | Input::Correct { .. }
            | Input::SetLimit { .. }
            | Input::Found { .. }
            | Input::LogBehind { .. }
            | Input::Stop {} => {}
        }
        Ok(())
    }

    /// Another run begins: what the one before had used and not recorded is not used again.
    fn restart(&mut self) {
        self.reconciling = true;
        let own = self.last_ids[usize::from(OWN_SOURCE)].counter();
        self.unrecorded_after.get_or_insert(own);
        for source in 0..SOURCES_MAX {
            let number = u8::try_from(source).expect("limits.rs bounds it");
            let last = self.last_ids[source].counter();
            self.spend_id(ClOrdId::new(number, last + RESTART_IDS_GAP));
        }
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
            Event::Submitted { order } => self.submit(order),
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
                self.open_request(order, request, RequestKind::Cancel, (None, None, None))
            }
            Event::ReplaceAsked { order, request, qty, price, stop_price } => {
                let terms = (qty, price, stop_price);
                self.open_request(order, request, RequestKind::Replace, terms)
            }
            Event::RequestPending { order, request } => {
                let order = self.orders.get(order).ok_or(NO_ORDER)?;
                order.requests.iter().find(|r| r.id == request).map(|_| ()).ok_or(NO_REQUEST)
            }
            Event::RequestRejected { order, request } => self.end_request(order, request),
            Event::Replaced { order, request, order_qty, .. } => {
                self.replace(event)?;
                self.wanted_now(order, request, order_qty);
                Ok(())
            }
            Event::Traded { .. } => self.trade(event),
            Event::Position { instrument, qty, open_cost, realized } => {
                let position = self.position(instrument).ok_or(NO_INSTRUMENT)?;
                let same = (position.qty, position.open_cost) == (qty, open_cost)
                    && position.net_realized() == Some(realized);
                self.position_moved(instrument);
                if same { Ok(()) } else { Err("the position is another") }
            }
            Event::PositionOpened { instrument, qty, open_cost } => {
                self.open_position(instrument, qty, open_cost)?;
                self.position_moved(instrument);
                Ok(())
            }
            Event::Unassigned { order, .. } if !Self::may_have_row(order) => {
                Err("the id is none of an order")
            }
            Event::Unassigned { order, instrument, side } => {
                self.touch(order, false);
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
            Event::MarginCall { needed, equity } => {
                if (self.maintenance_margin(), self.account.equity()) != (Some(needed), equity) {
                    return Err("the margin is another");
                }
                self.margin_call = true;
                Ok(())
            }
            Event::MarginMet {} => {
                self.margin_call = false;
                Ok(())
            }
            Event::Unanswered { order, request, since } => self.unanswered(order, request, since),
            Event::Halted { reason } => {
                self.halted = Some(reason);
                Ok(())
            }
            Event::InstrumentHalted { instrument, reason } => {
                let book = self.books.get_mut(instrument.index()).ok_or(NO_INSTRUMENT)?;
                book.halted = Some(reason);
                Ok(())
            }
            Event::Resumed {} => {
                self.resume();
                Ok(())
            }
            Event::LimitSet { .. } => self.set_limit(event),
            Event::DayRolled { equity } => {
                if self.account.equity() != equity {
                    return Err("the equity is another");
                }
                self.account.roll_day();
                self.end_day();
                Ok(())
            }
            Event::Sweep { kind: SweepKind::Contingent, next, done } => {
                self.give_back(next, done);
                Ok(())
            }
            Event::Sweep { kind, next, done } => {
                self.sweeps.set(kind, if done { None } else { Some(next) });
                if kind == SweepKind::Overdue && next == 0 {
                    self.overdue_since = self.ts;
                }
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
            Event::Linked { order, parent, sibling, trail } => {
                self.link(Links { order, parent, sibling }, trail)
            }
            Event::Released { order, ord_type, order_qty } => {
                self.release(order, ord_type, order_qty)
            }
            Event::HeldBack { order, order_qty, .. } => self.hold_back(order, order_qty),
            Event::Withdrawn { order, request, reason } => self.withdraw(order, request, reason),
            Event::Resized { order, order_qty } => self.resize(order, order_qty),
            Event::Amended { .. } => self.amend(event),
            Event::Unlinked { order } => self.unlink(order),
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
        self.spend_id(id);
        if instrument != InstrumentId::UNKNOWN && self.book(instrument).is_none() {
            return Err(NO_INSTRUMENT);
        }
        if !self.orders.insert(order) {
            return Err("no room for the order");
        }
        self.meet(id)
    }

    /// Changes an order, and what it adds to its side's worst case with it. Every change of an
    /// order goes through here.
    fn update(&mut self, id: ClOrdId, change: impl FnOnce(&mut Order) -> Applied) -> Applied {
        let slot = self.orders.slot(id).ok_or(NO_ORDER)?;
        let order = self.orders.get_mut(id).ok_or(NO_ORDER)?;
        let before = order.contribution();
        let ladder = Some(&mut self.controls.ladder).filter(|ladder| ladder.is_on());
        let reached = ladder.as_ref().and_then(|_| order.reach());
        let stood = contingents::Standing::of(order);
        change(order)?;
        if order.flags.has(Flags::OVERDUE) && !order.awaits_answer() {
            // It has been answered, late.
            order.flags = order.flags.without(Flags::OVERDUE);
        }
        let after = order.contribution();
        if let Some(ladder) = ladder {
            ladder.reprice((order.instrument, order.side), slot, reached, order.reach());
        }
        let stands = contingents::Standing::of(order);
        let ended = OrderBook::can_retire(order);
        let instrument = order.instrument;
        if before != after
            && let Some(book) = self.books.get_mut(instrument.index())
        {
            let InstrumentBook { exposure, .. } = book;
            exposure.remove(before).map_err(|_| "exposure leaves its range")?;
            exposure.add(after).map_err(|_| "exposure leaves its range")?;
            let strategies = &mut self.strategies;
            let reworked = strategies.rework(order.strategy, order.instrument, before, after);
            reworked.map_err(|_| "a strategy's exposure leaves its range")?;
        }
        if ended {
            self.orders.finish(id);
        }
        if !self.contingents.is_empty() {
            if stands.is_news_after(stood) {
                self.touch(id, stands.frees_after(stood));
            }
            if after.qty < before.qty {
                self.room_grew(instrument);
            }
        }
        Ok(())
    }

    /// Notes that an id has been used.
    fn spend_id(&mut self, id: ClOrdId) {
        self.last_ids[id.source()] = id;
        self.passed(id);
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

    /// Handed over: from here on it counts for everything that limits how fast and how often.
    fn submit(&mut self, id: ClOrdId) -> Applied {
        let now = self.ts;
        self.transition(id, OrderEvent::Submit, |order| order.handed_over = now)?;
        let order = self.orders.get(id).ok_or(NO_ORDER)?;
        self.controls.note_order(self.ts, order, &self.settings.risk.limits);
        Ok(())
    }

    /// Everything that waits for a person trades again.
    fn resume(&mut self) {
        self.halted = None;
        for book in &mut self.books {
            book.halted = None;
        }
        self.controls.repeats.clear();
        self.account.restart_peak();
        self.try_again();
    }

    fn set_limit(&mut self, event: &Event) -> Applied {
        let Event::LimitSet { scope, instrument, strategy, key, value } = *event else {
            unreachable!("the caller matched it")
        };
        let limits = self.settings.risk.limits_of_mut(scope, instrument, strategy);
        let limits = limits.filter(|_| scope == Scope::Account || key.is_scoped());
        limits.ok_or("no such limit")?.set(key, value).map_err(|_| "the limit leaves its range")
    }

    /// Said once of an order, and once of each of its requests.
    fn unanswered(&mut self, id: ClOrdId, request: ClOrdId, since: Ts) -> Applied {
        self.update(id, |order| {
            let handed_over = if request != ClOrdId::NONE {
                order.requests.note_overdue(request).map(|request| request.since)
            } else if order.awaits_answer() {
                order.flags = order.flags.with(Flags::OVERDUE);
                Some(order.handed_over)
            } else {
                None
            };
            if handed_over == Some(since) { Ok(()) } else { Err("nothing is unanswered since") }
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

    fn open_request(
        &mut self,
        id: ClOrdId,
        request: ClOrdId,
        kind: RequestKind,
        (qty, price, stop_price): (Option<Qty>, Option<Price>, Option<Price>),
    ) -> Applied {
        let own = request.source() == usize::from(OWN_SOURCE);
        if !self.is_new_id(request) || (own && request != self.next_own_id()) {
            return Err("the id has been used, or left others out");
        }
        self.spend_id(request);
        let (since, overdue) = (self.ts, false);
        self.update(id, |order| {
            let before = order.projected();
            let sent = Sent {
                qty: qty.unwrap_or(before.qty),
                price: price.or(before.price),
                stop_price: stop_price.or(before.stop_price),
            };
            let request =
                Request { id: request, kind, qty, price, stop_price, sent, since, overdue };
            if order.requests.open(request) { Ok(()) } else { Err("no room for the request") }
        })?;
        let order = self.orders.get(id).ok_or(NO_ORDER)?;
        self.controls.note_request(self.ts, order);
        if own {
            self.note_try(id, qty);
        }
        Ok(())
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
        handed_over: ts,
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
        handed_over: ts,
        executions_before: 0,
        requests: Requests::default(),
    }
}
