//! An event-driven order execution engine: signal, risk, order, route, fill, position, P&L, log.
#![deny(missing_docs)]
#![warn(unreachable_pub)]
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::float_arithmetic, clippy::print_stdout)]
#![cfg_attr(not(test), deny(clippy::unwrap_used))]

// Words.
pub mod limits;

pub mod image;

pub mod units;

pub mod code;

pub mod digest;

// Nouns.
pub mod instrument;

pub mod calendar;

pub mod contracts;

pub mod settings;

pub mod order;

// Books.
pub mod position;

pub mod risk;

// Records.
pub mod codec;

pub mod input;

pub mod event;

// Rooms.
pub mod broker;

pub mod strategy;

pub mod config;

pub mod journal;

pub mod feed;

// The core.
pub mod engine;

pub mod replay;

pub mod snapshot;

pub mod retention;

pub mod resume;

pub mod embedded;

// The threads.
pub mod runtime;
