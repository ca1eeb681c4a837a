//! What is held and what it has made: one position for each instrument, one account for all.

pub mod account;
mod balance;
pub mod cost;

#[expect(clippy::module_inception, reason = "one noun a file, and the noun is the position")]
mod position;
mod rates;

pub use account::Account;
pub use balance::Balance;
pub use cost::{Holding, LotTrade, Lots, Place, Trades};
pub use position::{Basis, Booked, Fill, Overflow, Position, slippage};
pub use rates::{Rate, Rates};
