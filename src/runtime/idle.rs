//! What a duty cycle does when a turn found no work.

use crate::config::Idle;
use crossbeam_utils::Backoff;
use std::time::Duration;

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
