//! The core: a deterministic function from a state and an input to events and messages. No clock,
//! no thread, no file, no float, no hash order, no random number; time arrives in the input.

mod apply;
mod decide;
mod executions;
mod image;
mod ledger;
mod state;
mod turn;

pub use apply::{Diverged, apply};
pub use executions::{Execution, Executions, Seen, Standing};
pub use state::{OWN_SOURCE, State};
pub use turn::{Outbound, Output};

use crate::codec::{Chars, FLAG_CLAMPED, FLAG_END, Head};
use crate::event::{Body, DECIDE_VERSION, FORMAT_VERSION, Opening, Record};
use crate::input::Input;
use crate::settings::Settings;
use crate::units::Ts;
use turn::Turn;

/// The engine: its state, and the one way to change it.
#[derive(Clone, Debug)]
pub struct Engine {
    state: State,
}

impl Engine {
    /// An engine before its first record. Takes all the memory that it will ever take.
    pub fn new(settings: Settings) -> Self {
        Self { state: State::new(settings) }
    }

    /// An engine that goes on from a state that was rebuilt from a log.
    pub fn resume(state: State) -> Self {
        Self { state }
    }

    /// What it knows.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Writes the head of a log: format, decisions, program, and the configuration in canonical
    /// form. Must come before the first input, at the time `ts`.
    pub fn open_log(&mut self, ts: Ts, build: &str, config: &str, output: &mut impl Output) {
        assert_eq!(self.state.seq(), 0);
        let (build, _) = Chars::split(build);
        let (format_version, decide_version) = (FORMAT_VERSION, DECIDE_VERSION);
        self.write_head(ts, Opening::Genesis { format_version, decide_version, build }, output);
        let (mut rest, mut part, mut last) = (config, 0, false);
        while !last {
            let (text, behind) = Chars::split(rest);
            last = behind.is_empty();
            self.write_head(ts, Opening::Config { part, last, text }, output);
            (rest, part) = (behind, part + 1);
        }
    }

    fn write_head(&mut self, ts: Ts, opening: Opening, output: &mut impl Output) {
        let body = Body::Opening(opening);
        let seq = self.state.seq() + 1;
        let head = Head { seq, ts, kind: body.kind(), flags: FLAG_END };
        let applied = apply(&mut self.state, &Record { head, body });
        assert!(applied.is_ok(), "{applied:?}");
        output.record(&body.encode(seq, ts, FLAG_END));
    }

    /// Takes one input at time `ts`: records it, decides, applies and records what follows, and
    /// sends what has to go out. `arrival` is the machine's counter when it came (0: not measured).
    ///
    /// A time behind the engine's is moved up to it, and the record says so.
    pub fn step(&mut self, ts: Ts, arrival: u64, input: &Input, output: &mut impl Output) {
        let clamped = ts < self.state.ts();
        self.step_at(ts.max(self.state.ts()), clamped, arrival, input, output);
    }

    /// As [`Engine::step`], for an input read back from a log: its time has been moved up already.
    pub fn step_at(
        &mut self,
        ts: Ts,
        clamped: bool,
        arrival: u64,
        input: &Input,
        output: &mut impl Output,
    ) {
        let flags = if clamped { FLAG_CLAMPED } else { 0 };
        let input = &input.storable();
        let body = Body::Input(*input, arrival);
        let mut turn = Turn::new(&mut self.state, output);
        turn.begin(ts, flags, body);
        decide::decide(&mut turn, clamped, input);
        turn.end();
    }
}
