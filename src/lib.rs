//! An event-driven order execution engine: signal, risk, order, route, fill, position, P&L, log.
#![deny(missing_docs)]

pub mod calendar;
pub mod contracts;
pub mod instrument;
pub mod limits;
pub mod units;
