//! Reads the log of a run; see `replay --help`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(trade_engine_tools::replay::run(std::env::args_os()))
}
