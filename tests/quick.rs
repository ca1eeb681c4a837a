//! The tests of orders, positions and risk as one program: what coverage and mutation testing run.
//!
//! `cargo test` runs each of these files by itself and leaves this one out. One program is linked
//! once for each mutant where 24 would be. The README has the commands.

mod account_oracle;
mod busts;
mod contingent_orders;
mod correlation;
mod currencies;
mod extremes;
mod fix_matrices;
mod halts;
mod hostile_inputs;
mod ladder;
mod order;
mod order_table;
mod permutations;
mod pnl_oracle;
mod replay_prefix;
mod request_chains;
mod risk_exposure;
mod risk_measures;
mod risk_rules;
mod self_match;
mod set_limit;
mod snapshots;
mod throttles;
mod unanswered;
