//! A duty cycle: bounded work a turn, and no idea of threads. The same one runs alone on a pinned
//! core, shares a thread with others, and is single-stepped in a test.

use super::idle::Waiter;
use super::latency::Latencies;
use crate::journal::JournalError;

/// What came of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// There was something to do.
    Worked,
    /// There was nothing to do.
    Idle,
    /// There will never be anything to do again.
    Done,
}

/// A duty cycle.
pub trait Agent: Send {
    /// One turn. Never called again after [`Turn::Done`].
    fn do_work(&mut self) -> Turn;

    /// What it has to say at the end.
    fn finish(self: Box<Self>) -> Findings;
}

/// What the duty cycles of a thread have to say at the end.
#[derive(Debug, Default)]
pub struct Findings {
    /// What they measured.
    pub latencies: Latencies,
    /// The journal's end: its last sequence number, or what went wrong.
    pub journal: Option<Result<u64, JournalError>>,
    /// Why a closed segment of the log could not be sealed.
    pub unsealed: Option<JournalError>,
}

impl Findings {
    /// Adds what another thread found.
    pub fn merge(&mut self, other: Self) {
        self.latencies.merge(&other.latencies);
        self.journal = self.journal.take().or(other.journal);
        self.unsealed = self.unsealed.take().or(other.unsealed);
    }
}

/// Runs duty cycles in turn on this thread until all are done.
pub fn run(agents: Vec<Box<dyn Agent>>, waiter: &Waiter) -> Findings {
    let mut findings = Findings::default();
    let mut running = agents;
    while !running.is_empty() {
        let (mut worked, mut next) = (false, 0);
        while let Some(agent) = running.get_mut(next) {
            match agent.do_work() {
                Turn::Worked => (worked, next) = (true, next + 1),
                Turn::Idle => next += 1,
                Turn::Done => findings.merge(running.remove(next).finish()),
            }
        }
        waiter.wait(worked);
    }
    findings
}
