//! `trade-engine`: plays market data through the engine. Without a subcommand: `run`.

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use trade_engine_tools::check_config::check_config;
use trade_engine_tools::run::{RunArgs, run};

/// Order execution engine: plays market data through strategy, risk, orders, broker and log.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    run: RunArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Plays market data (the default).
    Run(RunArgs),
    /// Reads a configuration and prints what was understood.
    CheckConfig {
        /// The configuration.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let Cli { command, run: args } = Cli::parse();
    let outcome = match command {
        None => run(&args).map_err(|error| error.to_string()),
        Some(Command::Run(args)) => run(&args).map_err(|error| error.to_string()),
        Some(Command::CheckConfig { file }) => check_config(&file)
            .map(|understood| print!("{understood}"))
            .map_err(|error| error.to_string()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("trade-engine: {what}");
            ExitCode::FAILURE
        }
    }
}
