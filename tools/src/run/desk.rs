//! Whoever commands a run, by whichever way: signal, file or socket. Remembers the words of the
//! last halt, so that the halt file says them.

use std::sync::{Mutex, PoisonError};
use trade_engine::code::Code;
use trade_engine::runtime::{Control, ControlError, Shared};

/// The commands that a person has.
#[derive(Debug)]
pub struct Desk {
    control: Control,
    words: Mutex<Option<String>>,
}

impl Desk {
    /// A desk for a run.
    pub fn new(control: Control) -> Self {
        Self { control, words: Mutex::new(None) }
    }

    /// What the engine says of itself.
    pub const fn shared(&self) -> &Shared {
        self.control.shared()
    }

    /// The kill switch: [`Control::kill`].
    pub fn kill(&self, words: &str) {
        // First, so that whoever sees the halt finds its words; it is a moment.
        self.note(words);
        self.control.kill(words);
    }

    /// Halts, and leaves what works alone: [`Control::halt`].
    ///
    /// # Errors
    /// Those of the control ring.
    pub fn halt(&self, words: &str) -> Result<(), ControlError> {
        self.note(words);
        self.control.halt(words)
    }

    /// Trades again: [`Control::resume`].
    ///
    /// # Errors
    /// Those of the control ring.
    pub fn resume(&self, words: &str) -> Result<(), ControlError> {
        self.control.resume(words)
    }

    fn note(&self, words: &str) {
        let words = Some(words.to_owned());
        *self.words.lock().unwrap_or_else(PoisonError::into_inner) = words;
    }

    /// Why trading is halted, for the halt file.
    pub fn why(&self) -> String {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let words = words.unwrap_or_else(|| "halted by an operator".to_owned());
        match self.shared().halt() {
            Some(halt) if halt.code != Code::Operator => {
                format!("halted by the engine: {}", halt.code)
            }
            Some(_) | None => words,
        }
    }

    /// The state in a few words.
    pub fn status(&self) -> String {
        let shared = self.shared();
        let written = shared.written();
        let state = match (shared.kill_waits(), shared.halt()) {
            (true, _) => "killed: no new order leaves; the engine has not taken it yet".to_owned(),
            (false, Some(halt)) => format!("halted ({}) since record {}", halt.code, halt.seq),
            (false, None) => "trading".to_owned(),
        };
        format!("{state}; {written} records written")
    }
}
