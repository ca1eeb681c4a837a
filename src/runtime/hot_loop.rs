//! The engine's duty cycle: inputs in, records and messages out. After start it does not allocate,
//! lock, or make a system call.

use super::agent::Turn;
use super::clock::Clock;
use super::shared::Shared;
use super::wire::{Dispatch, Feedback, Inbound, ToBroker, ToEngine};
use crate::codec::Slot;
use crate::engine::{Engine, Outbound, Output, State};
use crate::event::Event;
use crate::input::Input;
use crate::instrument::InstrumentId;
use crate::limits::{EVENT_RING_SLOTS, INSTRUMENTS_MAX, SLOTS_PER_INPUT_MAX, SWEEP_ORDERS_MAX};
use crate::units::{Money, Qty, Ts};
use arrayvec::ArrayVec;
use rtrb::{Consumer, Producer};

/// Reports taken in one turn: a burst of fills, and then the signals get their chance.
const REPORTS_PER_TURN_MAX: usize = 64;
/// Inputs taken in one turn.
const INPUTS_PER_TURN_MAX: usize = 16;
/// Messages that one input may send, and a barrier: an input is taken only if so many fit, so that
/// there is always room for the one barrier that is on its way.
const MESSAGES_PER_INPUT_MAX: usize = SWEEP_ORDERS_MAX + 3;
/// Slots of the event ring that signals may not use: kept for execution reports.
const RESERVE_SLOTS: usize = EVENT_RING_SLOTS / 16;

const _: () = assert!(RESERVE_SLOTS >= 2 * SLOTS_PER_INPUT_MAX);

/// The kinds of the records that say that a position has changed.
const POSITION_KINDS: [u8; 2] = {
    let (instrument, qty, open_cost) = (InstrumentId(0), Qty(0), Money::ZERO);
    let realized = Money::ZERO;
    [
        Event::Position { instrument, qty, open_cost, realized }.kind(),
        Event::PositionOpened { instrument, qty, open_cost }.kind(),
    ]
};

/// The ring ends that the engine holds.
#[derive(Debug)]
pub struct HotEnds {
    /// Execution reports.
    pub reports: Consumer<Inbound>,
    /// Signals, orders, market data, commands.
    pub inputs: Consumer<Inbound>,
    /// Records, to the journal.
    pub records: Producer<Slot>,
    /// Messages, to the broker.
    pub orders: Producer<ToBroker>,
    /// Positions and barriers, to the gateway.
    pub feedback: Producer<Feedback>,
}

/// The duty cycle.
#[derive(Debug)]
pub struct HotLoop {
    engine: Engine,
    ends: HotEnds,
    shared: Shared,
    clock: Clock,
    group: Group,
    barrier: Barrier,
    halted: bool,
    done: bool,
}

/// What one turn of the core put out, held until the turn is over so that it is published once.
#[derive(Debug)]
struct Group {
    slots: ArrayVec<Slot, SLOTS_PER_INPUT_MAX>,
    messages: ArrayVec<Outbound, MESSAGES_PER_INPUT_MAX>,
    /// Instruments whose position the gateway has not been told, and when the report came.
    changed: ArrayVec<InstrumentId, INSTRUMENTS_MAX>,
    is_changed: Box<[bool]>,
    changed_sent: u64,
    changed_arrival: u64,
}

impl Output for Group {
    fn record(&mut self, slots: &[Slot]) {
        self.slots.try_extend_from_slice(slots).expect("limits.rs bounds a group");
        let [kind, _, low, high, ..] = slots[0][7].to_le_bytes();
        if POSITION_KINDS.contains(&kind) {
            let instrument = InstrumentId(u16::from_le_bytes([low, high]));
            if !std::mem::replace(&mut self.is_changed[instrument.index()], true) {
                self.changed.push(instrument);
            }
        }
    }

    fn send(&mut self, outbound: &Outbound) {
        self.messages.push(*outbound);
    }
}

/// A barrier on its way: through the broker and back, until nothing was sent behind it.
#[derive(Clone, Copy, Debug, Default)]
struct Barrier {
    /// Messages have gone to the broker since the barrier did.
    sent_since: bool,
    /// It has come back and nothing moves: the gateway is to be told.
    owed: Option<u64>,
}

impl HotLoop {
    /// An engine between its rings.
    pub fn new(engine: Engine, ends: HotEnds, shared: Shared, clock: Clock) -> Self {
        let is_changed = vec![false; engine.state().books().len()].into_boxed_slice();
        let group = Group {
            slots: ArrayVec::new(),
            messages: ArrayVec::new(),
            changed: ArrayVec::new(),
            is_changed,
            changed_sent: 0,
            changed_arrival: 0,
        };
        let (barrier, halted) = (Barrier::default(), engine.state().halted().is_some());
        shared.set_halted(halted);
        Self { engine, ends, shared, clock, group, barrier, halted, done: false }
    }

    /// What the engine knows.
    pub const fn state(&self) -> &State {
        self.engine.state()
    }

    /// Gives the engine back and closes the rings.
    pub fn into_engine(self) -> Engine {
        self.engine
    }

    /// One turn: execution reports first, since a signal must see the position that they made.
    pub fn do_work(&mut self) -> Turn {
        if self.done || self.shared.journal_failed() {
            return Turn::Done;
        }
        let mut worked = self.tell_gateway();
        for _ in 0..REPORTS_PER_TURN_MAX {
            let Ok(inbound) = self.ends.reports.peek().copied() else { break };
            let messages = self.messages_max(&inbound.message);
            if !self.has_room(SLOTS_PER_INPUT_MAX, messages) {
                break;
            }
            self.ends.reports.pop().expect("it was at the head");
            self.take(&inbound, true);
            worked = true;
        }
        if self.sweeping() && self.has_room(SLOTS_PER_INPUT_MAX, MESSAGES_PER_INPUT_MAX) {
            let ts = self.engine.state().ts();
            self.step(ts, 0, 0, &Input::Continue {});
            worked = true;
        }
        for _ in 0..INPUTS_PER_TURN_MAX {
            let slots = SLOTS_PER_INPUT_MAX + RESERVE_SLOTS;
            if self.done || !self.has_room(slots, MESSAGES_PER_INPUT_MAX) {
                break;
            }
            let Ok(inbound) = self.ends.inputs.pop() else { break };
            self.take(&inbound, false);
            worked = true;
        }
        if worked { Turn::Worked } else { Turn::Idle }
    }

    /// An input is taken only if everything that it may cause fits: nothing is lost, nothing
    /// blocks.
    fn has_room(&self, slots: usize, messages: usize) -> bool {
        // The cached count is stale on the safe side only; ask the shared one when it says no.
        let HotEnds { records, orders, .. } = &self.ends;
        let records = records.cached_slots() >= slots || records.slots() >= slots;
        let orders = orders.cached_slots() >= messages || orders.slots() >= messages;
        records && orders
    }

    /// Most messages that a report may send. What a venue says of its orders sends none, and so is
    /// taken however full the ring to the broker is: a broker that waits to be rid of its reports
    /// takes no orders, and an engine that waited for it would wait for ever.
    fn messages_max(&self, message: &ToEngine) -> usize {
        let forwarded = usize::from(self.engine.state().settings().forward_market_data);
        match message {
            ToEngine::Probe | ToEngine::Stop => 0,
            // Its place is always free: see MESSAGES_PER_INPUT_MAX.
            ToEngine::Barrier(_) => 1,
            ToEngine::Input(input) => match input {
                Input::Trade { .. }
                | Input::Status { .. }
                | Input::Replaced { .. }
                | Input::Restated { .. }
                | Input::Text { .. }
                | Input::Opening { .. }
                | Input::Bust { .. }
                | Input::Correct { .. }
                | Input::SetLimit { .. }
                | Input::Resume {}
                | Input::Stop {} => 0,
                Input::Mark { .. } | Input::Bar { .. } | Input::Rate { .. } | Input::Timer {} => {
                    forwarded
                }
                Input::Signal { .. }
                | Input::Order { .. }
                | Input::Cancel { .. }
                | Input::Replace { .. }
                | Input::ClosePosition { .. }
                | Input::Contingent { .. }
                | Input::Halt { .. }
                | Input::CancelAll {}
                | Input::DayRoll {}
                | Input::Continue {} => MESSAGES_PER_INPUT_MAX,
            },
        }
    }

    fn sweeping(&self) -> bool {
        self.engine.state().sweeps().any()
    }

    fn take(&mut self, inbound: &Inbound, from_broker: bool) {
        match inbound.message {
            ToEngine::Input(input) => {
                let arrival = self.clock.ticks();
                self.step(inbound.ts, arrival, inbound.sent, &input);
            }
            ToEngine::Barrier(number) => {
                let settled = !self.barrier.sent_since && !self.sweeping();
                if from_broker && settled {
                    self.barrier.owed = Some(number);
                } else {
                    self.barrier.sent_since = false;
                    self.dispatch(0, 0, Dispatch::Barrier(number));
                }
            }
            ToEngine::Probe => {
                // A gateway that probes waits for the answer: there is room for one.
                let _ = self.ends.feedback.push(Feedback::Probe);
            }
            ToEngine::Stop => {
                let ts = self.engine.state().ts();
                self.step(ts, self.clock.ticks(), inbound.sent, &Input::Stop {});
                self.done = true;
            }
        }
    }

    fn step(&mut self, ts: Ts, arrival: u64, sent: u64, input: &Input) {
        self.engine.step(ts, arrival, input, &mut self.group);
        // The records are published before their order is pushed, and once for the whole group.
        let published = self.ends.records.push_entire_slice(&self.group.slots);
        assert!(published.is_ok(), "has_room was asked");
        self.group.slots.clear();
        if arrival != 0 {
            // A turn of a sweep came from nobody: it is not when anything was reported.
            (self.group.changed_sent, self.group.changed_arrival) = (sent, arrival);
        }
        let halted = self.engine.state().halted().is_some();
        if halted != self.halted {
            self.halted = halted;
            self.shared.set_halted(halted);
        }
        // By place: the list has room for a sweep, and taking it would move four kilobytes.
        for at in 0..self.group.messages.len() {
            let outbound = self.group.messages[at];
            self.barrier.sent_since = true;
            self.dispatch(arrival, sent, Dispatch::Out(outbound));
        }
        self.group.messages.clear();
        self.tell_gateway();
    }

    fn dispatch(&mut self, arrival: u64, sent: u64, message: Dispatch) {
        let pushed = self.ends.orders.push(ToBroker { arrival, sent, message });
        assert!(pushed.is_ok(), "has_room was asked");
    }

    /// Tells the gateway what has changed, as far as its ring has room: a slow strategy sees fewer
    /// and later positions, and holds nobody up.
    fn tell_gateway(&mut self) -> bool {
        let mut told = false;
        while let Some(instrument) = self.group.changed.last().copied() {
            let book = self.engine.state().book(instrument).expect("a record named it");
            let feedback = Feedback::Position {
                instrument,
                qty: book.position.qty,
                avg_px: book.position.avg_px(book.lot_value),
                sent: self.group.changed_sent,
                arrival: self.group.changed_arrival,
            };
            if self.ends.feedback.push(feedback).is_err() {
                return told;
            }
            self.group.changed.pop();
            self.group.is_changed[instrument.index()] = false;
            told = true;
        }
        // The barrier comes behind every position that it settles.
        if let Some(number) = self.barrier.owed
            && self.ends.feedback.push(Feedback::Barrier(number)).is_ok()
        {
            self.barrier.owed = None;
            told = true;
        }
        told
    }
}
