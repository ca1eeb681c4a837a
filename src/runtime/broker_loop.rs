//! The broker's duty cycle: lets messages leave once the log has them, brings reports back.

use super::agent::{Agent, Findings, Turn};
use super::clock::Clock;
use super::latency::{Latencies, Stage};
use super::shared::Shared;
use super::wire::{Dispatch, Inbound, ToBroker, ToEngine};
use crate::broker::{Broker, Message, Reports};
use crate::config::Release;
use crate::engine::Outbound;
use crate::input::{Input, StatusKind};
use crate::order::ClOrdId;
use crate::units::Ts;
use rtrb::{Consumer, Producer};

/// Messages handled in one turn.
const MESSAGES_PER_TURN_MAX: usize = 64;

/// The duty cycle.
pub struct BrokerLoop {
    broker: Box<dyn Broker + Send>,
    orders: Consumer<ToBroker>,
    inbound: Producer<Inbound>,
    reports: Reports,
    release: Release,
    shared: Shared,
    clock: Clock,
    latencies: Latencies,
    /// When the message at the head of the ring was first seen.
    seen_at: Option<u64>,
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
        let (reports, latencies, seen_at) = (Reports::default(), Latencies::new(), None);
        Self { broker, orders, inbound, reports, release, shared, clock, latencies, seen_at }
    }

    /// Pushes what has been reported, as far as there is room. Returns whether all of it went.
    fn push_reports(&mut self) -> bool {
        while let Some((ts, input)) = self.reports.front().copied() {
            let (sent, message) = (self.clock.ticks(), ToEngine::Input(input));
            if self.inbound.push(Inbound { ts, sent, message }).is_err()
                && !self.inbound.is_abandoned()
            {
                return false;
            }
            // Where nobody takes reports any more, they must not hold up what is still to leave.
            self.reports.pop();
        }
        true
    }

    /// Whether the log has a message's record, by the policy.
    fn may_leave(&self, outbound: &Outbound) -> bool {
        match outbound.message {
            // Market data goes to a simulated venue, not out of the house.
            Message::Mark { .. } | Message::Bar { .. } | Message::DayRoll | Message::Time => true,
            Message::New(_) | Message::Cancel { .. } | Message::Replace { .. } => {
                match self.release {
                    Release::Immediate => true,
                    Release::Written => self.shared.written() >= outbound.seq,
                    Release::Synced => self.shared.synced() >= outbound.seq,
                }
            }
        }
    }

    /// Handles the message at the head of the ring. Returns whether it could.
    fn take(&mut self) -> bool {
        let Ok(head) = self.orders.peek().copied() else { return false };
        match head.message {
            Dispatch::Barrier(number) => {
                // It goes behind every report of what came before it.
                let (ts, sent) = (Ts(0), 0);
                let message = ToEngine::Barrier(number);
                if self.inbound.push(Inbound { ts, sent, message }).is_err()
                    && !self.inbound.is_abandoned()
                {
                    return false;
                }
            }
            Dispatch::Out(outbound) => {
                let is_new = matches!(outbound.message, Message::New(_));
                if is_new && self.seen_at.is_none() {
                    self.note_arrival(&head);
                }
                if !self.may_leave(&outbound) {
                    return false;
                }
                if let Some(seen_at) = self.seen_at.take() {
                    let held = self.clock.nanos(seen_at, self.clock.ticks());
                    self.latencies.record(Stage::Release, held);
                }
                self.let_go(&outbound);
            }
        }
        self.orders.pop().expect("it was at the head");
        true
    }

    fn note_arrival(&mut self, head: &ToBroker) {
        let now = self.clock.ticks();
        self.seen_at = Some(now);
        if head.sent != 0 && head.arrival != 0 {
            let signal_in = self.clock.nanos(head.sent, head.arrival);
            self.latencies.record(Stage::SignalIn, signal_in);
            self.latencies.record(Stage::OrderOut, self.clock.nanos(head.arrival, now));
        }
    }

    /// The last look before an order leaves: the kill switch may have come since it was decided.
    fn let_go(&mut self, outbound: &Outbound) {
        if let Message::New(new) = outbound.message
            && self.shared.halted()
            && !new.shrink_only
        {
            let (order, kind, request) = (new.order, StatusKind::NotSent, ClOrdId::NONE);
            return self.reports.push(outbound.ts, Input::Status { order, kind, request });
        }
        self.broker.on_message(outbound.ts, &outbound.message, &mut self.reports);
    }
}

impl Agent for BrokerLoop {
    fn do_work(&mut self) -> Turn {
        // Before the work, for the reason that the journal's duty cycle gives.
        let abandoned = self.orders.is_abandoned();
        let mut worked = false;
        self.broker.poll(&mut self.reports);
        for _ in 0..MESSAGES_PER_TURN_MAX {
            worked |= !self.reports.is_empty();
            if !self.push_reports() || !self.take() {
                break;
            }
            worked = true;
        }
        self.push_reports();
        let gone = abandoned && (self.orders.is_empty() || self.shared.journal_failed());
        match (gone, worked) {
            // Nobody is left to take a report: the engine has written its last record.
            (true, _) => Turn::Done,
            (false, true) => Turn::Worked,
            (false, false) => Turn::Idle,
        }
    }

    fn finish(self: Box<Self>) -> Findings {
        Findings { latencies: self.latencies, journal: None }
    }
}
