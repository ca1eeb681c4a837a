//! An event-driven order execution engine: signal, risk, order, route, fill, position, P&L, log.
#![deny(missing_docs)]

pub mod limits;
pub mod units;
pub mod instrument;
