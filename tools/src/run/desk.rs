//! Whoever commands a run, by whichever way: signal, file or socket. Remembers the words of the
//! last halt, so that the halt file says them.

use super::limit::Owners;
use std::sync::{Mutex, PoisonError};
use trade_engine::code::Code;
use trade_engine::runtime::{Control, ControlError, Shared};

/// The commands that a person has.
#[derive(Debug)]
pub struct Desk {
    control: Control,
    owners: Owners,
    words: Mutex<Option<String>>,
}

impl Desk {
    /// A desk for a run that has these limits; `words`: of the halt that it starts with.
    pub(super) const fn new(control: Control, owners: Owners, words: Option<String>) -> Self {
        Self { control, owners, words: Mutex::new(words) }
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

    /// Changes a limit, by what stands behind the word `limit`: the log has the whole command as
    /// its reason.
    ///
    /// # Errors
    /// A line for a person; nothing was commanded then.
    pub fn limit(&self, words: &str) -> Result<(), String> {
        let input = self.owners.read(words)?;
        let given = self.control.give(&format!("limit {words}"), input);
        given.map_err(|error| error.to_string())
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

    /// The state in a few words: whether trading is halted, by what, and how far the log is.
    pub fn status(&self) -> String {
        let shared = self.shared();
        let written = shared.written();
        let state = match (shared.kill_waits(), shared.halt()) {
            (true, _) => "killed: no new order leaves; the engine has not taken it yet".to_owned(),
            (false, Some(halt)) if halt.code == Code::Operator => {
                format!("halted ({}) since record {}: {}", halt.code, halt.seq, self.why())
            }
            (false, Some(halt)) => format!("halted ({}) since record {}", halt.code, halt.seq),
            (false, None) => "trading".to_owned(),
        };
        format!("{state}; {written} records written")
    }
}
