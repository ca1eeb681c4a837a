//! What the binaries share: everything that reads and writes files for people.

pub mod feed;

pub mod scenario;
