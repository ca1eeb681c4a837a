//! The broker's duty cycle: lets messages leave once the log has them, brings reports back.
//!
//! It is the last gate of the kill switch. From the moment of a kill a new order comes back as not
//! sent, whether or not the engine turns; an order that can only shrink its position passes as
//! ever. Cancels then wait for nothing: they only take risk away, and a journal that is stuck must
//! not keep them. What does have to wait for the log steps aside for them.

use super::agent::{Agent, Findings, Turn};
use super::clock::Clock;
use super::latency::{Latencies, Stage};
use super::shared::Shared;
use super::wire::{Dispatch, Inbound, ToBroker, ToEngine};
use crate::broker::{Broker, Message, Reports};
use crate::config::Release;
use crate::engine::Outbound;
use crate::input::StatusKind;
use crate::order::ClOrdId;
use crate::units::Ts;
use rtrb::{Consumer, Producer};
use std::collections::{BTreeMap, VecDeque};

/// Messages handled in one turn.
const MESSAGES_PER_TURN_MAX: usize = 64;

/// The duty cycle.
pub struct BrokerLoop {
    broker: Box<dyn Broker + Send>,
    orders: Consumer<ToBroker>,
    inbound: Producer<Inbound>,
    aside: Aside,
    reports: Reports,
    release: Release,
    shared: Shared,
    clock: Clock,
    latencies: Latencies,
    /// When the message at the head of the ring was first seen.
    seen_at: Option<u64>,
}

/// Messages that had to wait while the gate was closed, for the log or for room for reports, in
/// their order, with when they were first seen. At most as many as the ring from the engine holds:
/// what lay before a kill's cancels there has room here.
#[derive(Debug, Default)]
struct Aside {
    messages: VecDeque<(ToBroker, Option<u64>)>,
    /// The record of the last message here of each order: its cancel must not overtake that.
    orders: BTreeMap<ClOrdId, u64>,
}

/// The order that a message asks to cancel.
const fn cancelled(message: &ToBroker) -> Option<ClOrdId> {
    match message.message {
        Dispatch::Out(Outbound { message: Message::Cancel { order, .. }, .. }) => Some(order),
        Dispatch::Out(_) | Dispatch::Barrier(_) => None,
    }
}

impl Aside {
    fn push(&mut self, message: ToBroker, seen_at: Option<u64>) {
        if let Dispatch::Out(Outbound { seq, message, .. }) = message.message
            && let Some(order) = message.order()
        {
            self.orders.insert(order, seq);
        }
        self.messages.push_back((message, seen_at));
    }

    fn pop(&mut self) {
        let (message, _) = self.messages.pop_front().expect("it was at the head");
        if let Dispatch::Out(Outbound { seq, message, .. }) = message.message
            && let Some(order) = message.order()
            && self.orders.get(&order) == Some(&seq)
        {
            self.orders.remove(&order);
        }
    }

    /// Whether a message may go before all that is here: a cancel of an order that is not.
    fn lets_pass(&self, message: &ToBroker) -> bool {
        self.messages.is_empty()
            || cancelled(message).is_some_and(|order| !self.orders.contains_key(&order))
    }
}

impl std::fmt::Debug for BrokerLoop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrokerLoop").field("release", &self.release).finish_non_exhaustive()
    }
}

/// The ring ends that the broker's thread holds.
#[derive(Debug)]
pub struct BrokerEnds {
    /// From the engine.
    pub orders: Consumer<ToBroker>,
    /// To the engine.
    pub inbound: Producer<Inbound>,
}

impl BrokerLoop {
    /// A broker between its rings.
    pub fn new(
        broker: Box<dyn Broker + Send>,
        ends: BrokerEnds,
        release: Release,
        shared: Shared,
        clock: Clock,
    ) -> Self {
        let BrokerEnds { orders, inbound } = ends;
        let (aside, reports) = (Aside::default(), Reports::default());
        let (latencies, seen_at) = (Latencies::new(), None);
        Self { broker, orders, inbound, aside, reports, release, shared, clock, latencies, seen_at }
    }

    /// Pushes what has been reported, as far as there is room. Returns whether any of it went, and
    /// whether all of it did.
    fn push_reports(&mut self) -> (bool, bool) {
        let mut any = false;
        while let Some((ts, input)) = self.reports.front().copied() {
            let (sent, message) = (self.clock.ticks(), ToEngine::Input(input));
            if self.inbound.push(Inbound { ts, sent, message }).is_err()
                && !self.inbound.is_abandoned()
            {
                return (any, false);
            }
            // Where nobody takes reports any more, they must not hold up what is still to leave.
            self.reports.pop();
            any = true;
        }
        (any, true)
    }

    /// Whether new orders stay: trading is halted, or the log cannot go on. What it then says of
    /// itself is in doubt, so that no watermark lets one leave.
    fn is_closed(&self) -> bool {
        self.shared.is_closed() || self.shared.journal_failed()
    }

    /// Whether the log has a message's record, by the policy.
    fn may_leave(&self, outbound: &Outbound) -> bool {
        match outbound.message {
            // Market data goes to a simulated venue, not out of the house.
            Message::Mark { .. } | Message::Bar { .. } | Message::DayRoll | Message::Time => true,
            Message::Cancel { .. } if self.is_closed() => true,
            Message::New(_) | Message::Cancel { .. } | Message::Replace { .. } => {
                match self.release {
                    Release::Immediate => true,
                    Release::Written => self.shared.written() >= outbound.seq,
                    Release::Synced => self.shared.synced() >= outbound.seq,
                }
            }
        }
    }

    /// Handles the next message; `room` says whether its reports can go on at once. Returns whether
    /// it could.
    fn take(&mut self, room: bool) -> bool {
        if let Some((head, seen_at)) = self.aside.messages.front().copied()
            && (self.hold_back(&head) || room && self.leave(&head, seen_at))
        {
            self.aside.pop();
            return true;
        }
        let Ok(head) = self.orders.peek().copied() else { return false };
        self.note_arrival(&head);
        let (seen_at, closed) = (self.seen_at, self.is_closed());
        let may_pass = self.aside.lets_pass(&head);
        let may_pass = may_pass && (room || closed && cancelled(&head).is_some());
        if !(self.hold_back(&head) || may_pass && self.leave(&head, seen_at)) {
            // Behind it there may be cancels, which do not wait.
            if !closed || self.aside.messages.len() >= self.orders.buffer().capacity() {
                return false;
            }
            self.aside.push(head, seen_at);
        }
        self.orders.pop().expect("it was at the head");
        self.seen_at = None;
        true
    }

    /// Lets a message go on its way, if it may now.
    fn leave(&mut self, message: &ToBroker, seen_at: Option<u64>) -> bool {
        match message.message {
            Dispatch::Barrier(number) => {
                // It goes behind every report of what came before it.
                let (ts, sent) = (Ts(0), 0);
                let message = ToEngine::Barrier(number);
                self.inbound.push(Inbound { ts, sent, message }).is_ok()
                    || self.inbound.is_abandoned()
            }
            Dispatch::Out(outbound) => {
                if !self.may_leave(&outbound) {
                    return false;
                }
                if let Some(seen_at) = seen_at {
                    let held = self.clock.nanos(seen_at, self.clock.ticks());
                    self.latencies.record(Stage::Release, held);
                }
                self.broker.on_message(outbound.ts, &outbound.message, &mut self.reports);
                true
            }
        }
    }

    /// The last look before something new leaves: the kill switch may have come since it was
    /// decided. What is held back does not wait for the log, since it does not leave.
    fn hold_back(&mut self, message: &ToBroker) -> bool {
        let Dispatch::Out(outbound) = message.message else { return false };
        match outbound.message {
            Message::New(new) => {
                // An order from before a halt stays, even where the halt is over.
                let closed = self.is_closed() || self.shared.is_overtaken(outbound.seq);
                let held = closed && !new.shrink_only;
                if held {
                    let (order, kind, request) = (new.order, StatusKind::NotSent, ClOrdId::NONE);
                    self.reports.status(outbound.ts, order, kind, request);
                }
                held
            }
            // The engine lets a replace that adds nothing through while it is halted; what one from
            // before the halt adds cannot be seen here.
            Message::Replace { .. } => {
                let words = "held back: trading was halted before it left";
                (self.shared.is_overtaken(outbound.seq) || self.shared.journal_failed())
                    && self.reports.refuse(outbound.ts, &outbound.message, words)
            }
            Message::Cancel { .. }
            | Message::Mark { .. }
            | Message::Bar { .. }
            | Message::DayRoll
            | Message::Time => false,
        }
    }

    /// Notes when a new order at the head of the ring was first seen.
    fn note_arrival(&mut self, head: &ToBroker) {
        let is_new =
            matches!(head.message, Dispatch::Out(Outbound { message: Message::New(_), .. }));
        if !is_new || self.seen_at.is_some() {
            return;
        }
        let now = self.clock.ticks();
        self.seen_at = Some(now);
        if head.sent != 0 && head.arrival != 0 {
            let signal_in = self.clock.nanos(head.sent, head.arrival);
            self.latencies.record(Stage::SignalIn, signal_in);
            self.latencies.record(Stage::OrderOut, self.clock.nanos(head.arrival, now));
        }
    }
}

impl Agent for BrokerLoop {
    fn do_work(&mut self) -> Turn {
        // Before the work, for the reason that the journal's duty cycle gives.
        let abandoned = self.orders.is_abandoned();
        let mut worked = false;
        self.broker.poll(&mut self.reports);
        for _ in 0..MESSAGES_PER_TURN_MAX {
            let (any, room) = self.push_reports();
            worked |= any;
            if !self.take(room) {
                break;
            }
            worked = true;
        }
        worked |= self.push_reports().0;
        let empty = self.orders.is_empty() && self.aside.messages.is_empty();
        let gone = abandoned && (empty || self.shared.journal_failed());
        match (gone, worked) {
            // Nobody is left to take a report: the engine has written its last record.
            (true, _) => Turn::Done,
            (false, true) => Turn::Worked,
            (false, false) => Turn::Idle,
        }
    }

    fn finish(self: Box<Self>) -> Findings {
        Findings { latencies: self.latencies, ..Findings::default() }
    }
}
