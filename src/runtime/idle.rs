//! What a duty cycle does when a turn found no work.

use crossbeam_utils::Backoff;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Idle {
    /// Never lets go of the core: for a thread that has one to itself.
    Spin,
    /// Spins a little, then lets others run.
    #[default]
    Yield,
    /// Spins, yields, then sleeps for fifty microseconds at a time.
    Park,
}

/// How long a parked thread sleeps: long against a turn, short against a person.
const PARK: Duration = Duration::from_micros(50);

/// Waits between turns.
#[derive(Debug)]
pub struct Waiter {
    idle: Idle,
    backoff: Backoff,
}

impl Waiter {
    /// Waits that way.
    pub fn new(idle: Idle) -> Self {
        Self { idle, backoff: Backoff::new() }
    }

    /// Called after every turn, with whether it found work.
    pub fn wait(&self, worked: bool) {
        if worked {
            return self.backoff.reset();
        }
        match self.idle {
            Idle::Spin => std::hint::spin_loop(),
            Idle::Yield => self.backoff.snooze(),
            Idle::Park if self.backoff.is_completed() => std::thread::sleep(PARK),
            Idle::Park => self.backoff.snooze(),
        }
    }
}
