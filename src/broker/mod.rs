//! Brokers: the trait, what passes through it, the router, and a simulated venue.

mod message;

pub use message::{Broker, Message, NewOrder, Reports};
