//! One record as a sentence.

use crate::names::Names;
use crate::rows::{order_symbol, qty_text, symbol};
use crate::text::{clean, price, time, traded};
use trade_engine::codec::Measure;
use trade_engine::engine::State;
use trade_engine::event::Event;
use trade_engine::input::{Input, StatusKind};
use trade_engine::instrument::InstrumentId;
use trade_engine::order::{ClOrdId, Flags, Order, OrderState};
use trade_engine::settings::Scope;
use trade_engine::units::{Price, Qty};

/// What the sentences are about.
#[derive(Clone, Copy)]
pub(super) struct Teller<'a> {
    pub(super) state: &'a State,
    pub(super) names: &'a Names,
}

impl Teller<'_> {
    /// A request's or order's name in a sentence.
    fn name(&self, id: ClOrdId) -> String {
        clean(&self.names.name(id))
    }

    fn request(&self, id: ClOrdId) -> String {
        id.some().map_or_else(String::new, |id| format!(" (request {})", self.name(id)))
    }

    /// The venue's words about a request or an order, if it said any.
    fn words(&self, id: ClOrdId) -> String {
        let words = self.names.venue(id);
        words.map_or_else(String::new, |words| format!(": \"{}\"", clean(words)))
    }

    fn symbol(&self, instrument: InstrumentId, id: ClOrdId) -> String {
        let symbol = symbol(self.state, instrument).or_else(|| self.names.symbol(id));
        clean(symbol.unwrap_or("an unknown symbol"))
    }

    fn terms(&self, order: ClOrdId, [qty, limit, stop]: [Option<String>; 3]) -> String {
        let named = [("qty", qty), ("price", limit), ("stop", stop)];
        let terms =
            named.into_iter().filter_map(|(name, value)| Some(format!(" {name} {}", value?)));
        let terms: String = terms.collect();
        if terms.is_empty() { format!(" {}", self.name(order)) } else { terms }
    }

    /// On whom a contingent order depends.
    fn links(&self, parent: ClOrdId, sibling: ClOrdId, trail: Option<Price>) -> String {
        let named = |words: &str, id: ClOrdId| match id.some() {
            Some(id) => format!(", {words} {}", self.name(id)),
            None => String::new(),
        };
        let trail = trail.map_or_else(String::new, |trail| format!(", trails by {trail}"));
        format!(
            "{}{}{trail}",
            named("once there is a trade of", parent),
            named("shares with", sibling)
        )
    }

    fn qty_of(&self, order: ClOrdId, qty: Qty) -> String {
        let instrument = self.state.order(order).map(|order| order.instrument);
        qty_text(self.state, instrument.unwrap_or(InstrumentId::UNKNOWN), qty)
    }

    /// An input about an order.
    pub(super) fn input(&self, input: &Input) -> Option<String> {
        Some(match *input {
            Input::Signal { id, instrument, side, strength, price: asked, stop_price, .. } => {
                let mark = self.state.mark(instrument);
                let by = if asked.is_some() { "the signal's" } else { "the mark" };
                format!(
                    "signal: {} {}, strength {strength}, price at decision {} ({by}), mark {}, \
                     stop {}",
                    side.name(),
                    self.symbol(instrument, id),
                    price(asked.or(mark)),
                    price(mark),
                    price(stop_price)
                )
            }
            Input::Order { id, instrument, side, .. } => {
                let mark = price(self.state.mark(instrument));
                format!("order: {} {}, mark {mark}", side.name(), self.symbol(instrument, id))
            }
            Input::ClosePosition { id, instrument } => {
                let mark = price(self.state.mark(instrument));
                format!("asked to flatten {}, mark {mark}", self.symbol(instrument, id))
            }
            Input::Contingent { id, instrument, side, parent, sibling, trail, .. } => format!(
                "contingent order: {} {}{}, mark {}",
                side.name(),
                self.symbol(instrument, id),
                self.links(parent, sibling, trail),
                price(self.state.mark(instrument))
            ),
            Input::Cancel { id, .. } => format!("asked to cancel it{}", self.request(id)),
            Input::Replace { id, order, qty, price, stop_price, .. } => {
                let qty = qty.map(|qty| self.qty_of(order, qty));
                let text = |price: Option<Price>| price.map(|price| price.to_string());
                let terms = self.terms(order, [qty, text(price), text(stop_price)]);
                format!("asked to replace it:{terms}{}", self.request(id))
            }
            Input::Trade { .. }
            | Input::Status { .. }
            | Input::Replaced { .. }
            | Input::Restated { .. }
            | Input::Bust { .. }
            | Input::Correct { .. }
            | Input::Found { .. } => return self.report(input),
            Input::Text { .. }
            | Input::Opening { .. }
            | Input::Mark { .. }
            | Input::Bar { .. }
            | Input::Halt { .. }
            | Input::Resume {}
            | Input::CancelAll {}
            | Input::DayRoll {}
            | Input::Timer {}
            | Input::Continue {}
            | Input::Rate { .. }
            | Input::SetLimit { .. }
            | Input::Restart { .. }
            | Input::Reconciled { .. }
            | Input::LogBehind { .. }
            | Input::Stop {} => return None,
        })
    }

    /// What the venue says about an order.
    fn report(&self, input: &Input) -> Option<String> {
        Some(match *input {
            Input::Trade { order, instrument, qty, price, commission, .. } => {
                let known = self.state.order(order).map_or(instrument, |order| order.instrument);
                let qty = qty_text(self.state, known, qty);
                format!("the venue reports a trade: {qty} at {price}, commission {commission}")
            }
            Input::Status { order, kind, request } => {
                let words = match kind {
                    StatusKind::Rejected => self.words(order),
                    StatusKind::CancelRejected | StatusKind::ReplaceRejected => self.words(request),
                    StatusKind::PendingNew
                    | StatusKind::Accepted
                    | StatusKind::Cancelled
                    | StatusKind::Expired
                    | StatusKind::Triggered
                    | StatusKind::DoneForDay
                    | StatusKind::Suspended
                    | StatusKind::PendingCancel
                    | StatusKind::PendingReplace
                    | StatusKind::NotSent => String::new(),
                };
                format!("the venue reports: {}{}{words}", kind.name(), self.request(request))
            }
            Input::Replaced { order, request, qty, price, stop_price } => {
                let qty = qty.map(|qty| self.qty_of(order, qty));
                let text = |price: Option<Price>| price.map(|price| price.to_string());
                let terms = self.terms(order, [qty, text(price), text(stop_price)]);
                format!("the venue reports: replaced{terms}{}", self.request(request))
            }
            Input::Restated { order, qty } => {
                let qty = qty.map(|qty| format!(", qty {}", self.qty_of(order, qty)));
                format!("the venue reports: restated{}", qty.unwrap_or_default())
            }
            Input::Bust { exec_ref, .. } => {
                format!("the venue reports: a trade never was ({:032x})", exec_ref.0)
            }
            Input::Correct { order, exec_ref, qty, price, .. } => format!(
                "the venue reports: a trade was {} at {price} ({:032x})",
                self.qty_of(order, qty),
                exec_ref.0
            ),
            Input::Found { instrument, side, qty, .. } => {
                let qty = qty_text(self.state, instrument, qty);
                format!("asked after a restart, the venue has it: {} {qty}", side.name())
            }
            Input::Signal { .. }
            | Input::Order { .. }
            | Input::Contingent { .. }
            | Input::ClosePosition { .. }
            | Input::Cancel { .. }
            | Input::Replace { .. }
            | Input::Text { .. }
            | Input::Opening { .. }
            | Input::Mark { .. }
            | Input::Bar { .. }
            | Input::Halt { .. }
            | Input::Resume {}
            | Input::CancelAll {}
            | Input::DayRoll {}
            | Input::Timer {}
            | Input::Continue {}
            | Input::Rate { .. }
            | Input::SetLimit { .. }
            | Input::Restart { .. }
            | Input::Reconciled { .. }
            | Input::LogBehind { .. }
            | Input::Stop {} => return None,
        })
    }

    /// The order as it was taken in.
    pub(super) fn created(&self, order: &Order) -> String {
        let qty = |qty| qty_text(self.state, order.instrument, qty);
        let limit = order.price.map_or_else(String::new, |price| format!(" at {price}"));
        let stop = order.stop_price.map_or_else(String::new, |stop| format!(" stop {stop}"));
        let until = order.expire_at.map_or_else(String::new, |end| format!(" until {}", time(end)));
        let only = if order.flags.has(Flags::REDUCE_ONLY) { ", reduce-only" } else { "" };
        let symbol = order_symbol(self.state, self.names, order).unwrap_or("an unknown symbol");
        format!(
            "CREATED: {} {} {} {}{limit}{stop} {}{until}{only}; price at decision {}, mark {}",
            order.side.name(),
            qty(order.order_qty),
            clean(symbol),
            order.ord_type.name(),
            order.tif.name(),
            price(order.decision_px),
            price(order.arrival_px)
        )
    }

    /// An event about an order, on the state after it. `None` for what is told elsewhere.
    #[expect(clippy::too_many_lines, reason = "one sentence an event")]
    pub(super) fn event(&self, event: &Event) -> Option<String> {
        Some(match *event {
            Event::Denied { reason, .. } => format!("REJECTED by us: {reason}"),
            Event::Passed { .. } => "PENDING: validation and risk let it through".to_owned(),
            Event::Submitted { .. } => "SUBMITTED: handed over to the broker".to_owned(),
            Event::Received { .. } => "the venue has it".to_owned(),
            Event::Accepted { order, late } => {
                let late = if late { ", overtaken by a trade or an end" } else { "" };
                format!("acknowledged{late}: {}", self.state_name(order))
            }
            Event::Rejected { order } => format!("REJECTED by the venue{}", self.words(order)),
            Event::Cancelled { request, .. } => {
                let asked = if request == ClOrdId::NONE { ", unasked" } else { "" };
                format!("CANCELLED{asked}{}", self.request(request))
            }
            Event::Expired { .. } => "EXPIRED".to_owned(),
            Event::Triggered { .. } => "its stop price has traded".to_owned(),
            Event::Suspended { .. } => "suspended: nothing is open".to_owned(),
            Event::DoneForDay { .. } => "done for the day".to_owned(),
            Event::CancelAsked { request, .. } => {
                format!("cancel sent to the broker{}", self.request(request))
            }
            Event::ReplaceAsked { request, .. } => {
                format!("replace sent to the broker{}", self.request(request))
            }
            Event::RequestPending { request, .. } => {
                format!("the venue is working on it{}", self.request(request))
            }
            Event::RequestRejected { request, .. } => {
                format!("turned down by the venue{}{}", self.request(request), self.words(request))
            }
            Event::Replaced { order, order_qty, price: limit, stop_price, request } => {
                let qty = Some(self.qty_of(order, order_qty));
                let text = |price: Option<Price>| price.map(|price| price.to_string());
                let terms = self.terms(order, [qty, text(limit), text(stop_price)]);
                let state = self.state_name(order);
                format!("its terms are now{terms}: {state}{}", self.request(request))
            }
            Event::Refused { code, request, state, event, .. } => {
                let from = OrderState::ALL.get(usize::from(state)).zip(event);
                let detail = from.map_or_else(String::new, |(state, event)| {
                    format!(": {state} + {}", event.name())
                });
                format!("refused, nothing changed: {code}{detail}{}", self.request(request))
            }
            Event::Anomaly { code, order, qty, booked, .. } => {
                let booked = if booked { "booked" } else { "NOT booked" };
                format!("ANOMALY {code}: {} {booked}", self.qty_of(order, qty))
            }
            Event::Warning { code, other, number, .. } => {
                let other = symbol(self.state, InstrumentId(other));
                let other = other.map_or_else(String::new, |other| {
                    format!(": {} with {}", number, clean(other))
                });
                format!("WARNING {code}{other}")
            }
            Event::Unassigned { side, instrument, order } => format!(
                "no input made this order; a trade names it: {} {}",
                traded(side),
                self.symbol(instrument, order)
            ),
            Event::Unbooked { reason, .. } => format!("the trade could NOT be booked: {reason}"),
            Event::Halted { reason } => {
                let words = self.names.halt_reason().unwrap_or(reason.name());
                format!("the engine HALTED: {}", clean(words))
            }
            Event::InstrumentHalted { instrument, reason } => {
                let symbol = self.symbol(instrument, ClOrdId::NONE);
                format!("trading in {symbol} HALTED: {reason}")
            }
            Event::Unanswered { request, since, .. } => {
                let what = if request == ClOrdId::NONE { "the order" } else { "the request" };
                format!(
                    "NO ANSWER from the venue since {}: {what} counts in full and is not sent \
                     again{}",
                    time(since),
                    self.request(request)
                )
            }
            Event::LimitSet { scope, instrument, strategy, key, value } => {
                let whose = match scope {
                    Scope::Account => "the account".to_owned(),
                    Scope::Instrument => self.symbol(instrument, ClOrdId::NONE),
                    Scope::Strategy => format!("strategy {strategy}"),
                };
                let value = value.map_or_else(|| "none".to_owned(), |value| value.to_string());
                format!("a person set {} of {whose} to {value}", key.name())
            }
            Event::Busted { instrument, last_qty, last_px, side, exact, .. } => format!(
                "BUSTED: {} {} at {last_px} never was{}",
                traded(side),
                qty_text(self.state, instrument, last_qty),
                approximate(exact)
            ),
            Event::Corrected { instrument, last_qty, last_px, side, exact, .. } => format!(
                "CORRECTED: {} {} at {last_px}{}",
                traded(side),
                qty_text(self.state, instrument, last_qty),
                approximate(exact)
            ),
            Event::Linked { parent, sibling, trail, .. } => {
                format!("held by the engine{}", self.links(parent, sibling, trail))
            }
            Event::Released { order, ord_type, order_qty } => {
                let qty = self.qty_of(order, order_qty);
                format!("its time has come: a {} order of {qty} in all", ord_type.name())
            }
            Event::HeldBack { order, order_qty, reason } => {
                let qty = self.qty_of(order, order_qty);
                format!("held back: {reason}; a total of {qty} is tried again")
            }
            Event::Withdrawn { request, reason, .. } => {
                let why = reason.map_or_else(String::new, |reason| format!(": {reason}"));
                format!("CANCELLED before it was handed over{why}{}", self.request(request))
            }
            Event::Resized { order, order_qty } => {
                format!("it is for {} now", self.qty_of(order, order_qty))
            }
            Event::Amended { order, request, order_qty, price: limit, stop_price } => {
                let qty = Some(self.qty_of(order, order_qty));
                let text = |price: Option<Price>| price.map(|price| price.to_string());
                let terms = self.terms(order, [qty, text(limit), text(stop_price)]);
                format!("amended before it was handed over:{terms}{}", self.request(request))
            }
            Event::Unlinked { .. } => "nothing depends on it any more".to_owned(),
            Event::Closed { .. } => "CLOSED: retired, its slot is free".to_owned(),
            Event::Created { .. }
            | Event::Verdict { .. }
            | Event::Broken { .. }
            | Event::Traded { .. }
            | Event::Position { .. }
            | Event::PositionOpened { .. }
            | Event::MarginCall { .. }
            | Event::MarginMet {}
            | Event::Resumed {}
            | Event::DayRolled { .. }
            | Event::Sweep { .. }
            | Event::Checkpoint { .. } => return None,
        })
    }

    fn state_name(&self, order: ClOrdId) -> &'static str {
        self.state.order(order).map_or("CLOSED", |order| order.state.name())
    }
}

/// How a trade older than those that are kept is taken back.
const fn approximate(exact: bool) -> &'static str {
    if exact { "" } else { "; too old to recompute: booked as an opposite trade" }
}

/// The verdict as the log has it.
pub(super) fn verdict(event: &Event) -> Option<String> {
    let Event::Verdict { rule, refused, number, limit, .. } = *event else { return None };
    let outcome = if refused { "refused" } else { "passed" };
    let nearest = match rule {
        Some(rule) => format!("; tightest: {rule}, {number} of {limit}"),
        None => String::new(),
    };
    let is_plain = (number, limit) == (Measure::default(), Measure::default());
    Some(format!("verdict: {outcome}{}", if is_plain { String::new() } else { nearest }))
}
