//! An event-driven order execution engine: signal, risk, order, route, fill, position, P&L, log.
#![deny(missing_docs)]

pub mod broker;
pub mod code;
pub mod codec;
pub mod digest;
pub mod event;
pub mod input;
pub mod instrument;
pub mod journal;
pub mod limits;
pub mod order;
pub mod settings;
pub mod units;
