//! The engine's duty cycle: inputs in, records and messages out. After start it does not allocate,
//! lock, or make a system call.

use super::agent::Turn;
use super::clock::Clock;
use super::control::CONTROL_RING;
use super::lag::Lag;
use super::shared::{Halt, Shared};
use super::wire::{Command, Dispatch, Feedback, Inbound, ToBroker, ToEngine};
use crate::code::Code;
use crate::codec::{Slot, slots_for};
use crate::engine::{Engine, Outbound, Output, State};
use crate::event::Event;
use crate::input::Input;
use crate::instrument::InstrumentId;
use crate::limits::{
    INSTRUMENTS_MAX, KILL_WORDS_SLOTS, REASON_PARTS_MAX, REPORT_RESERVE_SLOTS, SLOTS_PER_INPUT_MAX,
    SWEEP_ORDERS_MAX, event_ring_slots_min, kill_slots,
};
use crate::order::ClOrdId;
use crate::order::SweepKind;
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

/// What `kill_slots` counts on: an order takes one slot, whether it is asked to be cancelled or,
/// held, is withdrawn.
const _: () = {
    let (order, request, reason) = (ClOrdId::NONE, ClOrdId::NONE, Some(Code::Operator));
    assert!(slots_for(Event::CancelAsked { order, request }.size()) == 1);
    assert!(slots_for(Event::Withdrawn { order, request, reason }.size()) == 1);
};

/// Smallest ring of messages to the broker where `orders` are held at once: a cancel for each of
/// them, and what one input may send.
pub(super) const fn orders_ring_min(orders: usize) -> usize {
    orders + MESSAGES_PER_INPUT_MAX
}

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
    /// Commands from outside: looked at before everything else.
    pub control: Consumer<Command>,
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
    halted: Option<Code>,
    kills_taken: u64,
    kept: Kept,
    /// Whether it is watched how far the log is behind.
    lag: Option<Lag>,
    /// That it is: to be recorded when there is room.
    behind: Option<Input>,
    done: bool,
}

/// What is kept free for a kill, whatever else is under way: a cancel for every order that can be
/// held, so that it need not be counted how many work.
#[derive(Clone, Copy, Debug)]
struct Kept {
    /// Of the event ring, beside those for the kill's words.
    slots: usize,
    /// Of the ring to the broker.
    messages: usize,
    /// A kill has taken from it, and it has not been seen whole again.
    touched: bool,
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
    ///
    /// # Panics
    /// If a ring is too small to carry a cancel for every order that the engine can hold:
    /// [`RuntimeSettings::check`](super::RuntimeSettings::check) says how large it must be.
    pub fn new(engine: Engine, ends: HotEnds, shared: Shared, clock: Clock) -> Self {
        let orders_max = engine.state().settings().capacity.orders;
        let (records, orders) = (&ends.records, &ends.orders);
        assert!(records.buffer().capacity() >= event_ring_slots_min(orders_max));
        assert!(orders.buffer().capacity() >= orders_ring_min(orders_max));
        let kept = Kept { slots: kill_slots(orders_max), messages: orders_max, touched: false };
        let is_changed = vec![false; engine.state().books().len()].into_boxed_slice();
        let group = Group {
            slots: ArrayVec::new(),
            messages: ArrayVec::new(),
            changed: ArrayVec::new(),
            is_changed,
            changed_sent: 0,
            changed_arrival: 0,
        };
        let (barrier, halted) = (Barrier::default(), engine.state().halted());
        let seq = engine.state().seq();
        shared.set_halt(halted.map(|code| Halt { code, seq }));
        let (kills_taken, lag, behind, done) = (0, None, None, false);
        Self {
            engine,
            ends,
            shared,
            clock,
            group,
            barrier,
            halted,
            kills_taken,
            kept,
            lag,
            behind,
            done,
        }
    }

    /// Halts new exposure once the log is too far behind; without, it is waited for.
    #[must_use]
    pub fn watching(self, lag: Option<Lag>) -> Self {
        Self { lag, ..self }
    }

    /// What the engine knows.
    pub const fn state(&self) -> &State {
        self.engine.state()
    }

    /// Gives the engine back and closes the rings.
    pub fn into_engine(self) -> Engine {
        self.engine
    }

    /// One turn: commands first of all; then the next turn of a sweep; then execution reports,
    /// since a signal must see the position that they made.
    ///
    /// Nothing is taken between the turns of a sweep, as long as there is room for them: what it
    /// meets would otherwise hang on how fast the other threads are, and two runs would differ.
    pub fn do_work(&mut self) -> Turn {
        if self.done || self.shared.journal_failed() {
            return Turn::Done;
        }
        let mut worked = self.take_commands();
        worked |= self.halt_if_behind();
        worked |= self.tell_gateway();
        let most = MESSAGES_PER_INPUT_MAX + self.kept.messages;
        let sweeping = self.sweeping();
        if sweeping && self.may_take(SLOTS_PER_INPUT_MAX, most) {
            self.go_on();
            return Turn::Worked;
        }
        for _ in 0..REPORTS_PER_TURN_MAX {
            let Ok(inbound) = self.ends.reports.peek().copied() else { break };
            let messages = self.messages_max(&inbound.message);
            if !self.may_take(SLOTS_PER_INPUT_MAX, messages) {
                break;
            }
            self.ends.reports.pop().expect("it was at the head");
            self.take(&inbound, true);
            worked = true;
            // One that had no room before goes on waiting: only what the venue says makes some.
            if self.sweeping() && !sweeping {
                return Turn::Worked;
            }
        }
        for _ in 0..INPUTS_PER_TURN_MAX {
            let slots = SLOTS_PER_INPUT_MAX + REPORT_RESERVE_SLOTS;
            if self.done || self.sweeping() || !self.may_take(slots, most) {
                break;
            }
            let Ok(inbound) = self.ends.inputs.pop() else { break };
            self.take(&inbound, false);
            worked = true;
        }
        if worked { Turn::Worked } else { Turn::Idle }
    }

    /// Takes the commands that have come, each kill where it was asked for among them.
    fn take_commands(&mut self) -> bool {
        // Before the ring is looked at: what was commanded before this kill, its own words with it,
        // lies there then.
        let asked = self.shared.kills_asked();
        let mut worked = false;
        for _ in 0..CONTROL_RING {
            let Ok(Command { kills, input }) = self.ends.control.peek().copied() else { break };
            if kills > self.kills_taken {
                if !self.kill(kills) {
                    return worked;
                }
                worked = true;
            }
            // Words have a place of their own in what is kept for a kill.
            let is_words = matches!(input, Input::Text { .. }) && asked > self.kills_taken;
            let slots = KILL_WORDS_SLOTS / REASON_PARTS_MAX + self.kept.slots;
            if !(is_words && self.has_room(slots, 0) || self.may_take_command(&input)) {
                break;
            }
            self.ends.control.pop().expect("it was at the head");
            worked = true;
            // A kill did not wait for commands before it that had no room: it ends nothing then.
            let is_void = matches!(input, Input::Resume {}) && kills < self.kills_taken;
            if !is_void {
                self.command(&input);
            }
        }
        if asked > self.kills_taken {
            worked |= self.kill(asked);
        }
        worked
    }

    /// A command is taken only if a kill could still follow; trading goes on only with all of what
    /// is kept for the next one.
    fn may_take_command(&mut self, input: &Input) -> bool {
        let messages = self.messages_max(&ToEngine::Input(*input));
        self.may_take(SLOTS_PER_INPUT_MAX, messages.max(self.kept.messages))
    }

    /// The kill switch, for every kill up to `asked`: halts, and asks to cancel everything that
    /// works in this one turn. Nothing can keep it waiting: what it takes is kept for it.
    fn kill(&mut self, asked: u64) -> bool {
        let Kept { slots, messages, touched } = self.kept;
        if !self.has_room(slots, messages) {
            // Only a kill has taken from what is kept. Nothing has been let in since, so that all
            // that works has been asked to end, and the gate is closed: this one may wait.
            assert!(touched, "what a kill takes is kept free for it");
            return false;
        }
        self.kept.touched = true;
        let begin = self.engine.state().seq();
        // A halt while halted is refused as one, and asks to cancel all the same.
        self.command(&Input::Halt { cancel_working: true });
        while self.engine.state().sweeps().get(SweepKind::Cancel).is_some() {
            self.go_on();
        }
        let took = self.engine.state().seq() - begin;
        assert!(took <= slots as u64, "limits.rs says what a kill takes");
        self.kills_taken = asked;
        self.shared.set_kills_taken(asked);
        true
    }

    /// The log does not keep up: what is in the ring to it is kept, what is at the gate comes back,
    /// and nothing new is let out until a person says so. The disk has no say in when a venue gets
    /// an order.
    ///
    /// The gate closes at once; the record that says so waits for room, which reports may have
    /// taken, and for the end of a sweep.
    fn halt_if_behind(&mut self) -> bool {
        let Some(lag) = &mut self.lag else { return false };
        let seq = self.engine.state().seq();
        let waited_ms = lag.look(&self.clock, &self.shared, seq);
        if self.halted.is_some() {
            self.behind = None;
            return false;
        }
        if let (Some(waited_ms), None) = (waited_ms, self.behind) {
            let written = self.shared.written();
            self.behind = Some(Input::LogBehind { written, waited_ms });
            self.shared.set_halt(Some(Halt { code: Code::Journal, seq }));
        }
        let Some(input) = self.behind else { return false };
        if self.sweeping() || !self.may_take(SLOTS_PER_INPUT_MAX, 0) {
            return false;
        }
        self.behind = None;
        self.command(&input);
        true
    }

    /// An input that happens now.
    fn command(&mut self, input: &Input) {
        let (ts, arrival) = (self.engine.state().ts(), self.clock.ticks());
        self.step(ts, arrival, 0, input);
    }

    /// The next turn of a sweep.
    fn go_on(&mut self) {
        let ts = self.engine.state().ts();
        self.step(ts, 0, 0, &Input::Continue {});
    }

    /// Whether so much is free beside what is kept for a kill. `messages` says for itself whether
    /// they include that.
    fn may_take(&mut self, slots: usize, messages: usize) -> bool {
        let may = self.has_room(slots + KILL_WORDS_SLOTS + self.kept.slots, messages);
        if may && messages >= self.kept.messages {
            self.kept.touched = false;
        }
        may
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

    /// Most messages that an input may send, with what is kept for a kill where it may send any.
    /// What a venue says of its orders sends none, and so is taken however full the ring to the
    /// broker is: a broker that waits to be rid of its reports takes no orders, and an engine that
    /// waited for it would wait for ever.
    fn messages_max(&self, message: &ToEngine) -> usize {
        let kept = self.kept.messages;
        let forwarded = self.engine.state().settings().forward_market_data;
        let forwarded = if forwarded { kept + 1 } else { 0 };
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
                | Input::Restart { .. }
                | Input::Reconciled { .. }
                | Input::Found { .. }
                | Input::LogBehind { .. }
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
                | Input::Continue {} => kept + MESSAGES_PER_INPUT_MAX,
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
        let (halted, seq) = (self.engine.state().halted(), self.engine.state().seq());
        if halted != self.halted {
            self.halted = halted;
            self.shared.set_halt(halted.map(|code| Halt { code, seq }));
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
