//! The gateway's duty cycle: plays a feed, asks the strategy, sends its signals.

use super::agent::{Agent, Findings, Turn};
use super::clock::Clock;
use super::latency::{Latencies, Stage};
use super::shared::Shared;
use super::wire::{Feedback, Inbound, ToEngine};
use crate::config::Pace;
use crate::engine::State;
use crate::input::Input;
use crate::order::ClOrdId;
use crate::strategy::{Bar, Mark, Positions, Signal, Strategy};
use crate::units::Ts;
use rtrb::{Consumer, Producer};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The feeder number of the gateway's signals.
const SOURCE: u8 = 1;
/// Round trips of the bare ring before the feed begins, unless they take longer than a second.
const PROBES: u32 = 10_000;
const PROBE_NANOS_MAX: u64 = 1_000_000_000;

/// One moment of a feed: what the market did, and what the strategy is to look at.
#[derive(Clone, Debug, Default)]
pub struct Tick {
    /// When.
    pub ts: Ts,
    /// What the engine takes in, in order.
    pub inputs: Vec<Input>,
    /// Bars that were completed, for the strategy.
    pub bars: Vec<Bar>,
    /// Prices, for the strategy.
    pub marks: Vec<Mark>,
}

/// Where market data comes from.
pub trait Feed: Send {
    /// The next moment; `None` at the end.
    fn next_tick(&mut self) -> Option<Tick>;
}

/// The ring ends that the gateway's thread holds.
#[derive(Debug)]
pub struct GatewayEnds {
    /// To the engine.
    pub inputs: Producer<Inbound>,
    /// From the engine.
    pub feedback: Consumer<Feedback>,
}

/// How far a feed is: shared with whoever shows it.
pub type Progress = Arc<AtomicU64>;

/// What the gateway is to do.
pub struct GatewayPlan {
    /// Market data.
    pub feed: Box<dyn Feed>,
    /// Who looks at it.
    pub strategy: Box<dyn Strategy + Send>,
    /// Its number in [`Settings::strategies`](crate::settings::Settings::strategies), counted from
    /// 1: whose its signals are, unless they say so themselves. 0 is nobody.
    pub strategy_number: u16,
    /// How fast.
    pub pace: Pace,
    /// Instruments, for the positions.
    pub instruments: usize,
    /// Counts ticks played.
    pub progress: Progress,
}

impl std::fmt::Debug for GatewayPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatewayPlan").field("pace", &self.pace).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Measuring the bare ring.
    Probing { left: u32, begun: u64, sent: u64 },
    /// Pushing the tick's inputs.
    Inputs,
    /// An input of the market is settling.
    MarketBarrier,
    /// Asking the strategy about the tick's bars and marks.
    Asking,
    /// A signal is settling.
    SignalBarrier,
    /// The last barrier is settling.
    LastBarrier,
    /// The last message is to be sent.
    Stopping,
    /// It was sent.
    Stopped,
}

/// The duty cycle.
#[derive(Debug)]
pub struct GatewayLoop {
    plan: GatewayPlan,
    ends: GatewayEnds,
    timer_interval_ms: Option<u64>,
    shared: Shared,
    clock: Clock,
    latencies: Latencies,
    positions: Positions,
    phase: Phase,
    tick: Tick,
    /// What is still to be pushed, oldest first; empty before a phase ends.
    outgoing: VecDeque<(Ts, ToEngine)>,
    /// How many of the tick's inputs have gone, in lockstep.
    played: usize,
    /// What the strategy has not seen of the tick.
    asked: usize,
    barrier_sent: u64,
    barrier_seen: u64,
    next_id: u64,
    /// The counter when the last signal was pushed, until its position is seen.
    signal_sent: Option<u64>,
    /// The feed's first time and the counter then: the origin of real time.
    origin: Option<(Ts, u64)>,
    /// The counter when an input last moved the engine's time.
    moved_at: u64,
}

impl GatewayLoop {
    /// A gateway between its rings. In real time it sends a timer whenever nothing else has moved
    /// the engine's time for `timer_interval_ms`, milliseconds of the machine's clock.
    pub fn new(
        plan: GatewayPlan,
        ends: GatewayEnds,
        timer_interval_ms: Option<u64>,
        shared: Shared,
        clock: Clock,
    ) -> Self {
        let begun = clock.ticks();
        let positions = Positions::new(plan.instruments);
        Self {
            plan,
            ends,
            timer_interval_ms,
            shared,
            clock,
            latencies: Latencies::new(),
            positions,
            phase: Phase::Probing { left: PROBES, begun, sent: 0 },
            tick: Tick::default(),
            outgoing: VecDeque::new(),
            played: 0,
            asked: 0,
            barrier_sent: 0,
            barrier_seen: 0,
            next_id: 1,
            signal_sent: None,
            origin: None,
            moved_at: begun,
        }
    }

    /// Goes on where an engine stands that has been taken up: what it holds, and past the ids that
    /// it has seen.
    #[must_use]
    pub fn resume(mut self, state: &State) -> Self {
        self.positions = Positions::of(state.books());
        self.next_id = state.last_id(usize::from(SOURCE)).counter() + 1;
        self
    }

    /// Takes in what the engine says.
    fn listen(&mut self) -> bool {
        let mut heard = false;
        while let Ok(feedback) = self.ends.feedback.pop() {
            heard = true;
            match feedback {
                Feedback::Position { instrument, qty, avg_px, arrival, sent } => {
                    self.positions.set(instrument, qty, avg_px);
                    self.note_position(sent, arrival);
                }
                Feedback::Barrier(number) => self.barrier_seen = number,
                Feedback::Probe => self.probe_returned(),
            }
        }
        heard
    }

    fn note_position(&mut self, sent: u64, arrival: u64) {
        let now = self.clock.ticks();
        if sent != 0 {
            self.latencies.record(Stage::ReportIn, self.clock.nanos(sent, arrival));
        }
        self.latencies.record(Stage::Position, self.clock.nanos(arrival, now));
        if let Some(signal_sent) = self.signal_sent.take() {
            self.latencies.record(Stage::RoundTrip, self.clock.nanos(signal_sent, now));
        }
    }

    fn probe_returned(&mut self) {
        if let Phase::Probing { left, begun, sent } = self.phase {
            let now = self.clock.ticks();
            self.latencies.record(Stage::BareRing, self.clock.nanos(sent, now));
            let slow = self.clock.nanos(begun, now) > PROBE_NANOS_MAX;
            let left = if slow { 0 } else { left - 1 };
            self.phase = Phase::Probing { left, begun, sent: 0 };
        }
    }

    /// Pushes what is waiting. Returns whether all of it went.
    fn flush(&mut self) -> bool {
        while let Some((ts, message)) = self.outgoing.front().copied() {
            let sent = self.clock.ticks();
            if self.ends.inputs.push(Inbound { ts, sent, message }).is_err() {
                return false;
            }
            if let ToEngine::Input(input) = message {
                self.moved_at = sent;
                if let Input::Signal { .. } = input {
                    self.signal_sent = Some(sent);
                }
            }
            self.outgoing.pop_front();
        }
        true
    }

    fn barrier(&mut self) {
        self.barrier_sent += 1;
        self.outgoing.push_back((self.tick.ts, ToEngine::Barrier(self.barrier_sent)));
    }

    fn settled(&self) -> bool {
        self.barrier_seen == self.barrier_sent
    }

    /// The next phase, or the same one if something must happen first. `None`: nothing to do.
    fn advance(&mut self) -> Option<Phase> {
        match self.phase {
            Phase::Probing { left: 0, .. } => self.next_tick(),
            Phase::Probing { left, begun, sent: 0 } => {
                self.outgoing.push_back((Ts(0), ToEngine::Probe));
                Some(Phase::Probing { left, begun, sent: self.clock.ticks() })
            }
            Phase::Probing { .. } => None,
            Phase::Inputs => self.push_inputs(),
            Phase::MarketBarrier => self.settled().then_some(Phase::Inputs),
            Phase::Asking => self.ask(),
            Phase::SignalBarrier => self.settled().then_some(Phase::Asking),
            Phase::LastBarrier => self.settled().then_some(Phase::Stopping),
            Phase::Stopping => {
                self.outgoing.push_back((self.tick.ts, ToEngine::Stop));
                Some(Phase::Stopped)
            }
            Phase::Stopped => None,
        }
    }

    fn next_tick(&mut self) -> Option<Phase> {
        let tick = if self.shared.is_stopping() { None } else { self.plan.feed.next_tick() };
        let Some(tick) = tick else {
            // Whatever the pace: nothing is left under way when the log is closed.
            self.barrier();
            return Some(Phase::LastBarrier);
        };
        self.tick = tick;
        (self.played, self.asked) = (0, 0);
        Some(Phase::Inputs)
    }

    fn push_inputs(&mut self) -> Option<Phase> {
        // Read once: a tick that was not due then is not overtaken by a timer of then.
        let now = self.clock.ticks();
        if !self.is_due(now) {
            // A person who stops a slow feed does not wait for its next tick.
            return if self.shared.is_stopping() { self.next_tick() } else { self.pass_time(now) };
        }
        let ts = self.tick.ts;
        if self.plan.pace != Pace::Lockstep {
            let inputs = self.tick.inputs.iter().map(|input| (ts, ToEngine::Input(*input)));
            self.outgoing.extend(inputs);
            return Some(Phase::Asking);
        }
        // One by one: what the venue says to one would else come before or after the next, as the
        // threads happen to run.
        let Some(input) = self.tick.inputs.get(self.played) else { return Some(Phase::Asking) };
        self.outgoing.push_back((ts, ToEngine::Input(*input)));
        self.played += 1;
        self.barrier();
        Some(Phase::MarketBarrier)
    }

    /// In real time a tick waits for its moment.
    fn is_due(&mut self, now: u64) -> bool {
        let Pace::Realtime(factor) = self.plan.pace else { return true };
        let (first, begun) = *self.origin.get_or_insert((self.tick.ts, now));
        let played = u64::try_from(self.tick.ts.0 - first.0).unwrap_or(0);
        self.clock.nanos(begun, now) >= played / u64::from(factor.max(1))
    }

    /// Tells the engine the time while nothing happens: it knows no other clock, and would not see
    /// that an answer is overdue. Only real time passes by itself: in any other pace two runs could
    /// not be alike.
    fn pass_time(&mut self, now: u64) -> Option<Phase> {
        let interval = self.timer_interval_ms?.saturating_mul(1_000_000);
        let (Pace::Realtime(factor), Some((first, begun))) = (self.plan.pace, self.origin) else {
            return None;
        };
        if self.clock.nanos(self.moved_at, now) < interval {
            return None;
        }
        let played = self.clock.nanos(begun, now).saturating_mul(u64::from(factor));
        let played = i64::try_from(played).unwrap_or(i64::MAX);
        // Rounding must not carry it past the tick that is still to come.
        let ts = Ts(first.0.saturating_add(played)).min(self.tick.ts);
        self.outgoing.push_back((ts, ToEngine::Input(Input::Timer {})));
        Some(Phase::Inputs)
    }

    /// Shows the strategy the next bar or mark of the tick.
    fn ask(&mut self) -> Option<Phase> {
        let bars = self.tick.bars.len();
        let signal = if let Some(bar) = self.tick.bars.get(self.asked) {
            self.plan.strategy.on_bar(bar, &self.positions)
        } else if let Some(mark) = self.tick.marks.get(self.asked - bars) {
            self.plan.strategy.on_mark(mark, &self.positions)
        } else {
            self.plan.progress.fetch_add(1, Ordering::Relaxed);
            return self.next_tick();
        };
        self.asked += 1;
        let Some(signal) = signal else { return Some(Phase::Asking) };
        self.signal(signal);
        if self.plan.pace == Pace::Lockstep {
            self.barrier();
            return Some(Phase::SignalBarrier);
        }
        Some(Phase::Asking)
    }

    fn signal(&mut self, signal: Signal) {
        let own = signal.strategy == 0;
        let signal = if own { signal.strategy(self.plan.strategy_number) } else { signal };
        let id = ClOrdId::new(SOURCE, self.next_id);
        self.next_id += 1;
        self.outgoing.push_back((self.tick.ts, ToEngine::Input(signal.input(id))));
    }
}

impl Agent for GatewayLoop {
    fn do_work(&mut self) -> Turn {
        let heard = self.listen();
        if self.shared.journal_failed() {
            return Turn::Done;
        }
        if !self.flush() {
            return if heard { Turn::Worked } else { Turn::Idle };
        }
        if self.phase == Phase::Stopped {
            return Turn::Done;
        }
        match self.advance() {
            Some(next) => {
                self.phase = next;
                self.flush();
                Turn::Worked
            }
            None if heard => Turn::Worked,
            None => Turn::Idle,
        }
    }

    fn finish(self: Box<Self>) -> Findings {
        Findings { latencies: self.latencies, ..Findings::default() }
    }
}
