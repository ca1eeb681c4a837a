//! Orders: the lifecycle table, the requests beside it, one order, and the slab that holds them
//! all.

pub mod book;
pub mod contingent;
pub mod ladder;
pub mod requests;
pub mod state;
pub mod sweep;
pub mod table;

#[expect(clippy::module_inception, reason = "one noun a file, and the noun is the order")]
mod order;

pub use book::{OrderBook, SlotKey};
pub use contingent::{Contingent, Contingents, Links};
pub use ladder::Ladder;
pub use order::{ClOrdId, Contribution, Flags, OrdStatus, OrdType, Order, Tif};
pub use requests::{Request, RequestKind, Requests, Sent};
pub use state::{Cell, OrderEvent, OrderState};
pub use sweep::{SweepKind, Sweeps};
