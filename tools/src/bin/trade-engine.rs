//! `trade-engine`: plays market data through the engine. Without a subcommand: `run`.
#![forbid(unsafe_code)]

use clap::{Parser, Subcommand};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use trade_engine_tools::check_config::check_config;
use trade_engine_tools::doctor::{DoctorArgs, doctor};
use trade_engine_tools::run::halt_file::HaltFile;
use trade_engine_tools::run::{RunArgs, run, socket};
use trade_engine_tools::text::{clean, usage};
use trade_engine_tools::venue::{VenueArgs, serve};

/// Order execution engine: plays market data through strategy, risk, orders, broker and log.
#[derive(Parser)]
#[command(name = "trade-engine", version, args_conflicts_with_subcommands = true)]
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
    /// A simulated venue in a process of its own, for `run --venue`: it outlives the engine.
    Venue(VenueArgs),
    /// Reads a configuration and prints what was understood.
    CheckConfig {
        /// The configuration.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Looks at this machine and says what spoils latency or durability, and what to change.
    Doctor(DoctorArgs),
    /// Halts every run that has this halt file, now and when it starts.
    Halt {
        /// The halt file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Why, for the log.
        #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
        reason: String,
    },
    /// Ends the halt of a halt file: moves it to FILE.resumed, with the reason in it.
    Resume {
        /// The halt file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Why, for the log.
        #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
        reason: String,
    },
    /// Sends a command to a run's control socket: `halt REASON`, `halt! REASON` (asks to cancel
    /// what works, too), `resume REASON`, `status`, `limit KEY VALUE`, `limit symbol NAME KEY VALUE`,
    /// `limit strategy NAME KEY VALUE` (a decimal or `none`; takes effect with the next order).
    Control {
        /// The socket.
        #[arg(value_name = "PATH")]
        path: PathBuf,
        /// The command and its words.
        #[arg(value_name = "COMMAND", required = true, num_args = 1.., allow_hyphen_values = true)]
        command: Vec<String>,
    },
}

fn main() -> ExitCode {
    let Cli { command, run: args } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if !error.use_stderr() => {
            // Help or version: what was asked for.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            complain(&format!("{} (see trade-engine --help)", usage(&error)));
            return ExitCode::from(2);
        }
    };
    let outcome = match command {
        None => run(&args).map_err(|error| error.to_string()),
        Some(Command::Run(args)) => run(&args).map_err(|error| error.to_string()),
        Some(Command::Venue(args)) => serve(&args),
        Some(Command::CheckConfig { file }) => {
            check_config(&file).map(|text| show(&text)).map_err(|error| error.to_string())
        }
        Some(Command::Doctor(args)) => doctor(&args).map(|text| show(&text)),
        Some(Command::Halt { file, reason }) => HaltFile::new(&file)
            .set(&reason)
            .map(drop)
            .map_err(|error| format!("{}: {error}", file.display())),
        Some(Command::Resume { file, reason }) => HaltFile::new(&file).release(&reason),
        Some(Command::Control { path, command }) => socket::send(&path, &command.join(" "))
            .map(|answer| drop(writeln!(io::stdout(), "{}", lines(&answer)))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            complain(&what);
            ExitCode::FAILURE
        }
    }
}

/// Whoever closes the pipe has read enough.
fn show(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

/// Lines of another program, each without what could move a cursor.
fn lines(answer: &str) -> String {
    answer.lines().map(clean).collect::<Vec<_>>().join("\n")
}

/// One line on standard error. There is nobody to tell if that fails.
fn complain(what: &str) {
    let _ = writeln!(io::stderr(), "trade-engine: {}", clean(what));
}
