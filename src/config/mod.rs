//! Configuration: TOML to settings, and the canonical form that stands at the head of a log.

pub mod canonical;
