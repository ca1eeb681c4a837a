//! Brokers: the trait, what passes through it, the router, and a simulated venue.

mod ledger;
mod matching;
mod message;
mod router;
mod simulated;

pub use message::{Broker, Message, NewOrder, Reports};
pub use router::{RouteError, Router};
pub use simulated::{SimError, SimSettings, SimulatedBroker};
