//! What may be entered: limits, sizing, validation. Pure functions of a view of the state; an order
//! that can only shrink a position is never held back by a limit on exposure.

pub mod attribution;
mod case;
pub mod controls;
pub mod correlation;
pub mod exposure;
pub mod recent;
pub mod rules;
pub mod sizing;
mod stake;
pub mod throttle;
pub mod validate;
pub mod verdict;
pub mod view;

pub use attribution::{StrategyBook, StrategyBooks};
pub use controls::{Controls, repeats_limit};
pub use correlation::{Correlations, Deviation};
pub use exposure::Exposure;
pub use rules::{check, outcomes};
pub use sizing::{Wish, size};
pub use validate::{Terms, validate};
pub use verdict::{Finding, Outcome, RULES, Rule, Verdict, Warning};
pub use view::{Candidate, InstrumentBook, Market, RiskView};
