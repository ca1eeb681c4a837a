//! Commands from outside: the kill switch, and whatever an operator may want of a running engine.
//!
//! They have a ring of their own, which the engine looks at first in every turn, so that neither a
//! flood of signals nor a strategy that is stuck can keep them from being heard. A kill is a word
//! in memory besides: it closes the gate for new orders even while the engine itself does not turn.

use super::ring::ring;
use super::shared::Shared;
use super::wire::Command;
use crate::input::{Input, Subject, text_inputs};
use crate::limits::{REASON_BYTES_MAX, REASON_PARTS_MAX};
use crate::order::ClOrdId;
use rtrb::{Consumer, Producer};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

/// Records in the ring: commands come from people.
pub(super) const CONTROL_RING: usize = 64;

const _: () = assert!(CONTROL_RING > 2 * REASON_PARTS_MAX);

/// Whoever holds one is in command. Cloned to every thread at the edge that may be.
#[derive(Clone, Debug)]
pub struct Control {
    shared: Shared,
    /// Locked for as long as it takes to write a few records; the engine never waits for it.
    ring: Arc<Mutex<Producer<Command>>>,
}

/// Why a command was not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlError {
    /// The engine has not taken the ones before: it does not turn, or its log does not go on.
    Full,
    /// The engine has ended.
    Ended,
}

impl std::fmt::Display for ControlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Full => "the engine does not take commands",
            Self::Ended => "the engine has ended",
        })
    }
}

impl std::error::Error for ControlError {}

impl Control {
    /// The two ends: whoever commands, and the engine.
    pub fn new(shared: Shared) -> (Self, Consumer<Command>) {
        let (commands, taken) = ring(CONTROL_RING, Command { kills: 0, input: Input::Timer {} });
        (Self { shared, ring: Arc::new(Mutex::new(commands)) }, taken)
    }

    /// The kill switch. From this moment no new order leaves, even if the engine or the journal is
    /// stuck; in its next turn the engine halts and asks to cancel everything that works. Lasts
    /// until [`Control::resume`].
    ///
    /// It always succeeds. What may be missing is its words in the log: when the ring is full or
    /// somebody else is giving a command in this very moment, it does not wait for them.
    pub fn kill(&self, reason: &str) {
        let mut ring = match self.ring.try_lock() {
            Ok(ring) => Some(ring),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        if let Some(ring) = &mut ring {
            // Before the kill, so that the engine finds them when it sees it; and with the ring
            // held until then, so that no other command gets between.
            let _ = self.push(ring, reason, None);
        }
        self.shared.kill();
    }

    /// Halts new exposure once the engine takes it, and leaves what works alone.
    ///
    /// # Errors
    /// [`ControlError`]; nothing was commanded then.
    pub fn halt(&self, reason: &str) -> Result<(), ControlError> {
        self.give(reason, Input::Halt { cancel_working: false })
    }

    /// Trades again. It ends only halts and kills that came before it.
    ///
    /// # Errors
    /// [`ControlError`]; nothing was commanded then.
    pub fn resume(&self, reason: &str) -> Result<(), ControlError> {
        self.give(reason, Input::Resume {})
    }

    /// Gives any other command, with the words that explain it.
    ///
    /// # Errors
    /// [`ControlError`]; nothing was commanded then.
    pub fn give(&self, reason: &str, input: Input) -> Result<(), ControlError> {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        self.push(&mut ring, reason, Some(input))
    }

    /// What the engine says of itself.
    pub const fn shared(&self) -> &Shared {
        &self.shared
    }

    /// All of it or nothing: words without their command would be the next one's.
    fn push(
        &self,
        ring: &mut Producer<Command>,
        reason: &str,
        input: Option<Input>,
    ) -> Result<(), ControlError> {
        if ring.is_abandoned() {
            return Err(ControlError::Ended);
        }
        let (reason, _) = reason.split_at(reason.floor_char_boundary(REASON_BYTES_MAX));
        if ring.slots() <= REASON_PARTS_MAX {
            return Err(ControlError::Full);
        }
        let words = text_inputs(Subject::Operator, ClOrdId::NONE, reason);
        let words = words.filter(|_| !reason.is_empty());
        let kills = self.shared.kills_asked();
        for input in words.chain(input) {
            ring.push(Command { kills, input }).expect("there is room");
        }
        Ok(())
    }
}
