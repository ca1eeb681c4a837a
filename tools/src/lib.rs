//! What the binaries share: everything that reads and writes files for people.
#![forbid(unsafe_code)]

pub mod check_config;
pub mod doctor;
pub mod export;
pub mod feed;
pub mod limits;
pub mod names;
pub mod parts;
pub mod replay;
pub mod rows;
pub mod run;
pub mod scenario;
pub mod snapshots;
pub mod summary;
pub mod text;
pub mod timeline;
pub mod trade;
pub mod venue;
pub mod walk;
pub mod watch;
