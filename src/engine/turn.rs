//! One turn of the engine: an input and the events that it causes, each applied before the next is
//! proposed, and what goes out because of them.

use super::apply::apply;
use super::state::State;
use crate::broker::Message;
use crate::code::Code;
use crate::codec::{FLAG_END, Head, Slot, Slots};
use crate::event::{Body, Event, Record};
use crate::input::ExecKey;
use crate::instrument::InstrumentId;
use crate::limits::{SLOTS_PER_INPUT_MAX, SWEEP_ORDERS_MAX};
use crate::order::{ClOrdId, OrderEvent, OrderState};
use crate::settings::OnAnomaly;
use crate::units::{Qty, Ts};
use arrayvec::ArrayVec;

/// A message on its way to a broker, and the record that must be in the log before it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outbound {
    /// Sequence number of the last slot of the group that caused it.
    pub seq: u64,
    /// Domain time.
    pub ts: Ts,
    /// What goes out.
    pub message: Message,
}

/// Where a turn's records and messages go.
pub trait Output {
    /// Takes the slots of one record, in order.
    fn record(&mut self, slots: &[Slot]);

    /// Takes one message for the broker, after all the records of its group.
    fn send(&mut self, outbound: &Outbound);
}

/// Records that nobody wants.
impl Output for () {
    fn record(&mut self, _slots: &[Slot]) {}
    fn send(&mut self, _outbound: &Outbound) {}
}

/// What is odd about a report: the fields of [`Event::Anomaly`].
pub(super) struct Anomaly {
    pub(super) code: Code,
    pub(super) order: ClOrdId,
    pub(super) exec: ExecKey,
    pub(super) qty: Qty,
    pub(super) booked: bool,
}

/// Most messages that one input sends: a sweep's cancels, or one order and its market data.
const MESSAGES_MAX: usize = SWEEP_ORDERS_MAX + 2;

/// Slots that end a group: where a sweep goes on, and a checkpoint.
const END_SLOTS_MAX: usize = 2;

/// The turn: lets `decide` read the state and propose events, and nothing else.
pub(super) struct Turn<'a, O: Output> {
    state: &'a mut State,
    output: &'a mut O,
    /// The last record, held back until it is known whether it ends the group. Encoded in place:
    /// it has room for the largest record, and is too large to be moved about.
    held: Slots,
    messages: ArrayVec<Message, MESSAGES_MAX>,
    slot_count: usize,
}

impl<'a, O: Output> Turn<'a, O> {
    /// A turn before its input.
    pub(super) fn new(state: &'a mut State, output: &'a mut O) -> Self {
        Self { state, output, held: Slots::new(), messages: ArrayVec::new(), slot_count: 0 }
    }

    /// Opens the group with its input.
    pub(super) fn begin(&mut self, ts: Ts, flags: u8, body: Body) {
        assert!(self.held.is_empty());
        self.append(ts, flags, body);
    }

    /// What is known now, every event so far included.
    pub(super) fn state(&self) -> &State {
        self.state
    }

    /// Proposes an event: it is applied and recorded at once.
    #[inline]
    pub(super) fn emit(&mut self, event: Event) {
        let ts = self.state.ts();
        self.append(ts, 0, Body::Event(event));
    }

    fn append(&mut self, ts: Ts, flags: u8, body: Body) {
        let seq = self.state.seq() + 1;
        let head = Head { seq, ts, kind: body.kind(), flags };
        let record = Record { head, body };
        let applied = apply(self.state, &record);
        // What decide proposes follows from the state it has just read: anything else is our bug.
        assert!(applied.is_ok(), "{applied:?} {record:?}");
        if !self.held.is_empty() {
            self.output.record(&self.held);
        }
        record.body.encode_into(seq, ts, flags, &mut self.held);
        self.slot_count += self.held.len();
        assert!(self.slot_count <= SLOTS_PER_INPUT_MAX);
    }

    /// Records that a report contradicts the order's state or itself, and does beside it what
    /// `on_anomaly` says, once: `instrument` must be in the table.
    pub(super) fn anomaly(&mut self, instrument: InstrumentId, anomaly: Anomaly) {
        let Anomaly { code, order, exec, qty, booked } = anomaly;
        self.emit(Event::Anomaly { code, order, exec, qty, booked });
        let reason = Code::Anomaly;
        match self.state.settings.risk.on_anomaly {
            OnAnomaly::Report => {}
            OnAnomaly::HaltInstrument => {
                let book = self.state.book(instrument).expect("it is in the table");
                if book.halted.is_none() {
                    self.emit(Event::InstrumentHalted { instrument, reason });
                }
            }
            OnAnomaly::Halt => self.halt(reason),
        }
    }

    /// Halts trading, if it is not halted: the first reason stays.
    pub(super) fn halt(&mut self, reason: Code) {
        if self.state.halted().is_none() {
            self.emit(Event::Halted { reason });
        }
    }

    /// Whether so many slots, a message or two and the end of the group still fit.
    pub(super) fn has_room(&self, slots: usize) -> bool {
        let messages = self.messages.len() + 2 <= MESSAGES_MAX;
        messages && self.slot_count + slots + END_SLOTS_MAX <= SLOTS_PER_INPUT_MAX
    }

    /// Sends a message once the group is complete.
    pub(super) fn send(&mut self, message: Message) {
        let leaves = message.order().is_some();
        assert!(!(leaves && self.state.reconciling), "the venue has not been asked yet");
        self.messages.push(message);
    }

    /// Refuses the step: it changes nothing.
    pub(super) fn refuse(&mut self, code: Code, order: ClOrdId, request: ClOrdId) {
        let exec = ExecKey::default();
        self.emit(Event::Refused { code, order, request, exec, state: 0, event: None });
    }

    /// Refuses the step because the order's state does not allow it.
    pub(super) fn refuse_transition(
        &mut self,
        order: ClOrdId,
        request: ClOrdId,
        state: OrderState,
        event: OrderEvent,
    ) {
        let (code, exec) = (Code::IllegalTransition, ExecKey::default());
        let event = Some(event);
        self.emit(Event::Refused { code, order, request, exec, state: state as u8, event });
    }

    /// Ends the group: marks its last record, then lets the messages go.
    pub(super) fn end(&mut self) {
        let interval = self.state.settings.capacity.checkpoint_interval_slots;
        if self.state.seq() >= self.state.checkpoint_seq + interval {
            self.checkpoint();
        }
        self.held[0][7] |= u64::from(FLAG_END) << 8;
        self.output.record(&self.held);
        for message in &self.messages {
            let (seq, ts) = (self.state.seq(), self.state.ts());
            self.output.send(&Outbound { seq, ts, message: *message });
        }
    }

    /// Records what the state hashes to.
    pub(super) fn checkpoint(&mut self) {
        let hash = self.state.hash();
        self.emit(Event::Checkpoint { hash });
    }
}
