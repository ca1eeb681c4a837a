//! A simulated venue in a process of its own, on a Unix socket, and the engine's end of the line.
//! It outlives the engine: what an engine that was killed had sent it still has, and says when
//! asked.
//!
//! - [`serve`]: the venue; it writes down everything that it gets and says.
//! - [`VenueLine`]: a [`Broker`](trade_engine::broker::Broker) that speaks to it.
//! - `wire`: what passes between the two.

mod line;
mod serve;
mod wire;

pub use line::VenueLine;
pub use serve::{VenueArgs, serve};
