//! What travels the rings between the threads.

use crate::engine::Outbound;
use crate::input::Input;
use crate::instrument::InstrumentId;
use crate::units::{Price, Qty, Ts};

/// To the engine: from the gateway (signals, orders, market data, commands) or from the broker
/// (execution reports).
#[derive(Clone, Copy, Debug)]
pub struct Inbound {
    /// Domain time.
    pub ts: Ts,
    /// The counter when it was pushed.
    pub sent: u64,
    /// What it is.
    pub message: ToEngine,
}

impl Inbound {
    /// For a place in a ring that holds none yet.
    pub const EMPTY: Self = Self { ts: Ts(0), sent: 0, message: ToEngine::Probe };
}

/// What an [`Inbound`] carries.
#[derive(Clone, Copy, Debug)]
pub enum ToEngine {
    /// An input of the core.
    Input(Input),
    /// Comes back once everything before it, and all that it caused, has settled.
    Barrier(u64),
    /// Comes straight back: the bare ring.
    Probe,
    /// The last message of a run.
    Stop,
}

/// To the engine, from whoever is in command: on a ring of its own, that is looked at first. It
/// happens when the engine takes it.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// How many kills had been asked for when it was given: it comes behind those.
    pub kills: u64,
    /// What it is.
    pub input: Input,
}

/// To the broker.
#[derive(Clone, Copy, Debug)]
pub struct ToBroker {
    /// The counter when the engine took the input that caused it.
    pub arrival: u64,
    /// The counter when that input was pushed.
    pub sent: u64,
    /// What it is.
    pub message: Dispatch,
}

impl ToBroker {
    /// For a place in a ring that holds none yet.
    pub const EMPTY: Self = Self { arrival: 0, sent: 0, message: Dispatch::Barrier(0) };
}

/// What a [`ToBroker`] carries.
#[derive(Clone, Copy, Debug)]
pub enum Dispatch {
    /// A message, and the record that must be in the log before it leaves.
    Out(Outbound),
    /// Comes back behind the reports of everything before it.
    Barrier(u64),
}

/// To the gateway.
#[derive(Clone, Copy, Debug)]
pub enum Feedback {
    /// A position has changed.
    Position {
        /// Of what.
        instrument: InstrumentId,
        /// Signed lots.
        qty: Qty,
        /// Average price; `None` when flat.
        avg_px: Option<Price>,
        /// The counter when the report that changed it was pushed (0: not known).
        sent: u64,
        /// The counter when the engine took that report.
        arrival: u64,
    },
    /// Everything before this barrier has settled.
    Barrier(u64),
    /// The probe, back again.
    Probe,
}
