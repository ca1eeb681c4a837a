//! The time of an idle engine: a gateway that plays in real time tells it, and no other does.
//! Single stepped; the machine's clock runs, and nothing is asserted that a slow machine could
//! break.

use std::sync::Arc;
use std::time::{Duration, Instant};
use trade_engine::config::Pace;
use trade_engine::input::Input;
use trade_engine::instrument::InstrumentId;
use trade_engine::runtime::{
    Agent, Clock, Feed, Feedback, GatewayEnds, GatewayLoop, GatewayPlan, Inbound, Shared, Tick,
    ToEngine, Turn,
};
use trade_engine::strategy::{Bar, Positions, Signal, Strategy};
use trade_engine::units::{Price, Ts};

const SECOND: i64 = 1_000_000_000;
/// A thousand times as fast: a millisecond of the machine is a second of the feed.
const FAST: Pace = Pace::Realtime(1_000);

/// A mark at each of these times.
struct Times(Vec<i64>);

impl Feed for Times {
    fn next_tick(&mut self) -> Option<Tick> {
        let ts = Ts((!self.0.is_empty()).then(|| self.0.remove(0))?);
        let (instrument, price) = (InstrumentId(0), Price::ONE);
        let inputs = vec![Input::Mark { instrument, price, bid: None, ask: None }];
        Some(Tick { ts, inputs, ..Tick::default() })
    }
}

/// Two marks at once.
struct Pair(bool);

impl Feed for Pair {
    fn next_tick(&mut self) -> Option<Tick> {
        let mark = |price| {
            let (instrument, price) = (InstrumentId(0), Price(price));
            Input::Mark { instrument, price, bid: None, ask: None }
        };
        let first = !std::mem::replace(&mut self.0, true);
        first.then(|| Tick { ts: Ts(1), inputs: vec![mark(1), mark(2)], ..Tick::default() })
    }
}

struct Calm;

impl Strategy for Calm {
    fn on_bar(&mut self, _: &Bar, _: &Positions) -> Option<Signal> {
        None
    }
}

/// A gateway, and the engine that answers its probes and barriers.
struct Stage {
    gateway: GatewayLoop,
    shared: Shared,
    inputs: rtrb::Consumer<Inbound>,
    feedback: rtrb::Producer<Feedback>,
    /// Marks and timers that have come.
    seen: Vec<(Ts, bool)>,
}

impl Stage {
    fn new(times: &[i64], pace: Pace, timer_interval_ms: Option<u64>) -> Self {
        Self::of(Box::new(Times(times.to_vec())), pace, timer_interval_ms)
    }

    fn of(feed: Box<dyn Feed + Send>, pace: Pace, timer_interval_ms: Option<u64>) -> Self {
        let plan = GatewayPlan {
            feed,
            strategy: Box::new(Calm),
            strategy_number: 0,
            pace,
            instruments: 1,
            progress: Arc::default(),
        };
        let (inputs_in, inputs) = rtrb::RingBuffer::new(64);
        let (feedback, feedback_out) = rtrb::RingBuffer::new(64);
        let ends = GatewayEnds { inputs: inputs_in, feedback: feedback_out };
        let shared = Shared::default();
        let gateway = GatewayLoop::new(plan, ends, timer_interval_ms, shared.clone(), Clock::new());
        Self { gateway, shared, inputs, feedback, seen: Vec::new() }
    }

    fn turn(&mut self) -> Turn {
        let turn = self.gateway.do_work();
        while let Ok(Inbound { ts, message, .. }) = self.inputs.pop() {
            match message {
                ToEngine::Probe => self.feedback.push(Feedback::Probe).expect("room"),
                ToEngine::Barrier(at) => self.feedback.push(Feedback::Barrier(at)).expect("room"),
                ToEngine::Input(input) => {
                    self.seen.push((ts, matches!(input, Input::Timer {})));
                }
                ToEngine::Stop => {}
            }
        }
        turn
    }

    fn timers(&self) -> usize {
        self.seen.iter().filter(|(_, is_timer)| *is_timer).count()
    }
}

/// The next bar is a year away. The engine is told the time, in the feed's own, from then on.
#[test]
fn an_idle_engine_is_told_the_time() {
    let begin = 1_700_000_000 * SECOND;
    let mut stage = Stage::new(&[begin, begin + 365 * 86_400 * SECOND], FAST, Some(1));
    while stage.timers() < 5 {
        assert_ne!(stage.turn(), Turn::Done);
    }
    assert_eq!(stage.seen[0], (Ts(begin), false));
    for pair in stage.seen.windows(2) {
        // A millisecond of silence at least lies before each.
        assert!(pair[1].1 && pair[1].0.0 - pair[0].0.0 >= SECOND, "{pair:?}");
    }
    // A person who stops it does not wait for the year to pass.
    stage.shared.stop();
    while stage.turn() != Turn::Done {}
}

/// Between ticks that come often enough it says nothing; whenever it does, nothing else had moved
/// the time for the interval, and the tick to come is not overtaken.
#[test]
fn timers_keep_their_distance_and_their_order() {
    let times: Vec<i64> = (0..40).map(|at| at * SECOND / 5 + at / 4 * 5 * SECOND).collect();
    let mut stage = Stage::new(&times, FAST, Some(1));
    while stage.turn() != Turn::Done {}
    let marks: Vec<i64> =
        stage.seen.iter().filter(|(_, timer)| !timer).map(|(ts, _)| ts.0).collect();
    assert_eq!(marks, times);
    for pair in stage.seen.windows(2) {
        let (before, (after, is_timer)) = (pair[0].0, pair[1]);
        assert!(before <= after, "time went back: {pair:?}");
        assert!(!is_timer || after.0 - before.0 >= SECOND, "{pair:?}");
    }
}

/// Two runs of lockstep must be alike, whatever the clock says meanwhile; and `none` is none.
#[test]
fn nothing_else_sends_timers() {
    let year = 365 * 86_400 * SECOND;
    let cases =
        [(Pace::Lockstep, Some(1)), (Pace::Flood, Some(1)), (FAST, None), (FAST, Some(3_600_000))];
    for (pace, interval) in cases {
        let mut stage = Stage::new(&[0, year], pace, interval);
        while stage.seen.is_empty() {
            stage.turn();
        }
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(20) {
            stage.turn();
            std::thread::sleep(Duration::from_millis(2));
        }
        stage.shared.stop();
        while stage.turn() != Turn::Done {}
        assert_eq!(stage.timers(), 0, "{pace:?} {interval:?}");
    }
}

/// In lockstep the second of two inputs of one moment waits for what the first one causes.
#[test]
fn in_lockstep_every_input_settles_before_the_next() {
    let mut stage = Stage::of(Box::new(Pair(false)), Pace::Lockstep, None);
    // Without an answer to the first barrier.
    let mut sent = Vec::new();
    let mut answer = |stage: &mut Stage, barriers: bool| {
        for _ in 0..100_000 {
            stage.gateway.do_work();
            while let Ok(Inbound { message, .. }) = stage.inputs.pop() {
                match message {
                    ToEngine::Probe => stage.feedback.push(Feedback::Probe).expect("room"),
                    ToEngine::Barrier(at) if barriers => {
                        stage.feedback.push(Feedback::Barrier(at)).expect("room");
                    }
                    ToEngine::Barrier(_) => sent.push(0),
                    ToEngine::Input(Input::Mark { price, .. }) => sent.push(price.0),
                    ToEngine::Input(_) | ToEngine::Stop => {}
                }
            }
        }
        sent.clone()
    };
    assert_eq!(answer(&mut stage, false), [1, 0]);
    stage.feedback.push(Feedback::Barrier(1)).expect("room");
    assert_eq!(answer(&mut stage, false), [1, 0, 2, 0]);
    stage.feedback.push(Feedback::Barrier(2)).expect("room");
    assert_eq!(answer(&mut stage, true), [1, 0, 2, 0]);
    while stage.turn() != Turn::Done {}
}
