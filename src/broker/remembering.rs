//! A memory for a venue that keeps none of what is finished: it listens to what passes, and can say
//! what the venue has.

use super::{Broker, Message, Reports, Statement, VenueOrder, VenueState};
use crate::input::{ExecKey, Input, StatusKind};
use crate::order::ClOrdId;
use crate::units::{Qty, Ts};
use std::collections::BTreeMap;

/// A broker and everything that has passed it. Keeps every order and every execution for as long as
/// it lives: for simulations and tests.
///
/// ```
/// use trade_engine::broker::{Broker, Remembering, Reports, SimSettings, SimulatedBroker};
/// use trade_engine::units::Ts;
///
/// let venue = SimulatedBroker::new(0, SimSettings::default(), Vec::new())?;
/// let mut venue = Remembering::new(venue);
/// assert!(venue.statement(Ts(0), &[])?.orders.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Remembering<B> {
    broker: B,
    orders: BTreeMap<ClOrdId, VenueOrder>,
    /// Trades, busts and corrections, oldest first.
    executions: Vec<(Ts, Input)>,
}

impl<B: Broker> Remembering<B> {
    /// Listens to a broker from its first message on.
    pub const fn new(broker: B) -> Self {
        Self { broker, orders: BTreeMap::new(), executions: Vec::new() }
    }

    /// The broker itself.
    pub const fn broker(&self) -> &B {
        &self.broker
    }

    fn hear(&mut self, message: &Message) {
        match *message {
            Message::New(terms) => {
                let (state, cum_qty, pending) = (VenueState::Received, Qty(0), Vec::new());
                let order = VenueOrder { terms, state, cum_qty, pending };
                self.orders.insert(terms.order, order);
            }
            Message::Cancel { order, request, .. } | Message::Replace { order, request, .. } => {
                if let Some(order) = self.orders.get_mut(&order) {
                    order.pending.push(request);
                }
            }
            Message::Mark { .. } | Message::Bar { .. } | Message::DayRoll | Message::Time => {}
        }
    }

    /// Takes in a report, and passes it on.
    fn say(&mut self, ts: Ts, report: Input, reports: &mut Reports) {
        let order = if let Input::Trade { order, .. }
        | Input::Bust { order, .. }
        | Input::Correct { order, .. }
        | Input::Status { order, .. }
        | Input::Replaced { order, .. }
        | Input::Restated { order, .. } = report
        {
            Some(order)
        } else {
            None
        };
        let change = self.change_of_cum(&report);
        if let Some(order) = order.and_then(|order| self.orders.get_mut(&order)) {
            order.cum_qty.0 += change;
            order.note(&report);
        }
        if matches!(report, Input::Trade { .. } | Input::Bust { .. } | Input::Correct { .. }) {
            self.executions.push((ts, report));
        }
        reports.push(ts, report);
    }

    /// Lots that an order has traded more because of a report.
    fn change_of_cum(&self, report: &Input) -> i64 {
        if let Input::Trade { qty, .. } = *report {
            qty.0
        } else if let Input::Bust { exec_ref, .. } = *report {
            -self.stands(exec_ref)
        } else if let Input::Correct { exec_ref, qty, .. } = *report {
            qty.0 - self.stands(exec_ref)
        } else {
            0
        }
    }

    /// Lots of a trade as it was last reported.
    fn stands(&self, wanted: ExecKey) -> i64 {
        let qty = |(_, execution): &(Ts, Input)| {
            let (Input::Trade { exec, qty, .. } | Input::Correct { exec, qty, .. }) = *execution
            else {
                return None;
            };
            (exec == wanted).then_some(qty.0)
        };
        self.executions.iter().rev().find_map(qty).unwrap_or(0)
    }
}

impl VenueOrder {
    /// What a report makes of it; its quantity is settled.
    fn note(&mut self, report: &Input) {
        if let Input::Trade { .. } | Input::Bust { .. } | Input::Correct { .. } = report {
            self.settle();
        } else if let Input::Replaced { request, qty, price, stop_price, .. } = *report {
            self.terms.qty = qty.unwrap_or(self.terms.qty);
            self.terms.price = price.or(self.terms.price);
            self.terms.stop_price = stop_price.or(self.terms.stop_price);
            self.pending.retain(|pending| *pending != request);
            self.settle();
        } else if let Input::Restated { qty, .. } = *report {
            self.terms.qty = qty.unwrap_or(self.terms.qty);
            self.settle();
        } else if let Input::Status { kind, request, .. } = *report {
            self.note_status(kind);
            if !matches!(kind, StatusKind::PendingCancel | StatusKind::PendingReplace) {
                self.pending.retain(|pending| *pending != request);
            }
        }
    }

    fn note_status(&mut self, kind: StatusKind) {
        match kind {
            StatusKind::Accepted if self.state == VenueState::Received => {
                self.state = VenueState::Open;
            }
            StatusKind::Rejected | StatusKind::NotSent => self.state = VenueState::Rejected,
            StatusKind::Cancelled => self.state = VenueState::Cancelled,
            StatusKind::Expired => self.state = VenueState::Expired,
            StatusKind::Accepted
            | StatusKind::PendingNew
            | StatusKind::Triggered
            | StatusKind::DoneForDay
            | StatusKind::Suspended
            | StatusKind::PendingCancel
            | StatusKind::PendingReplace
            | StatusKind::CancelRejected
            | StatusKind::ReplaceRejected => {}
        }
    }

    /// Open or filled, by its quantities; what has ended stays so.
    fn settle(&mut self) {
        let whole = self.cum_qty >= self.terms.qty;
        match self.state {
            VenueState::Received | VenueState::Open | VenueState::Filled => {
                self.state = if whole { VenueState::Filled } else { VenueState::Open };
            }
            VenueState::Cancelled | VenueState::Rejected | VenueState::Expired => {}
        }
    }
}

impl<B: Broker> Broker for Remembering<B> {
    fn on_message(&mut self, ts: Ts, message: &Message, reports: &mut Reports) {
        self.hear(message);
        let mut answers = Reports::default();
        self.broker.on_message(ts, message, &mut answers);
        while let Some((ts, report)) = answers.pop() {
            self.say(ts, report, reports);
        }
    }

    fn poll(&mut self, reports: &mut Reports) {
        let mut answers = Reports::default();
        self.broker.poll(&mut answers);
        while let Some((ts, report)) = answers.pop() {
            self.say(ts, report, reports);
        }
    }

    fn statement(&mut self, since: Ts, orders: &[ClOrdId]) -> Result<Statement, String> {
        let wanted =
            |order: &&VenueOrder| order.state.is_open() || orders.contains(&order.terms.order);
        let executions = self.executions.iter().filter(|(ts, _)| *ts >= since);
        Ok(Statement {
            orders: self.orders.values().filter(wanted).cloned().collect(),
            executions: executions.copied().collect(),
        })
    }
}
