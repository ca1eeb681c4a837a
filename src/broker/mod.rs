//! Brokers: the trait, what passes through it, the router, a simulated venue, what a venue
//! says that it has, and a memory for those that keep none.

mod ledger;
mod matching;
mod message;
mod remembering;
mod router;
mod simulated;
mod statement;

pub use message::{Broker, Message, NewOrder, Reports};
pub use remembering::Remembering;
pub use router::{RouteError, Router};
pub use simulated::{SimError, SimSettings, SimulatedBroker};
pub use statement::{Statement, VenueOrder, VenueState};
