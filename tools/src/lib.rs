//! What the binaries share: everything that reads and writes files for people.

pub mod check_config;

pub mod feed;

pub mod timeline;
