//! The binary `replay`: proves a log, shows the state at any of its records, lists its events, and
//! tells the story of one order.

mod events;
mod explain;
mod find;
mod rules;
mod snapshot;
mod state;
mod tell;
mod verify;

use crate::text::clean;
use crate::walk::LogError;
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use trade_engine::limits::SNAPSHOT_EVERY;
use trade_engine::units::Ts;

/// Reads the log of a run: proves it, and shows what it says.
#[derive(Debug, Parser)]
#[command(name = "replay", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Checks every checksum, the state at every checkpoint, and that deciding again from the
    /// inputs gives the same events, byte for byte. Exit status: 0 whole (a torn tail after a crash
    /// is normal and said), 1 damaged or diverged, 2 no log.
    Verify {
        /// The log's directory.
        dir: PathBuf,
    },
    /// Writes the state behind every so many records into files beside the log, from the newest one
    /// on: `state` then begins at the nearest. They may be deleted at any time.
    Snapshot(SnapshotArgs),
    /// Shows account, positions and orders as they were.
    State(StateArgs),
    /// Lists events, one line each.
    Events(EventsArgs),
    /// Tells what happened to one order and why.
    Explain {
        /// The log's directory.
        dir: PathBuf,
        /// Its name, or its number as `events` prints it.
        #[arg(long, value_name = "ID")]
        order: String,
    },
}

#[derive(Debug, Args)]
struct SnapshotArgs {
    /// The log's directory.
    dir: PathBuf,
    /// Records from one to the next, counted as their sequence numbers are.
    #[arg(long, value_name = "N", default_value_t = SNAPSHOT_EVERY)]
    every: u64,
}

#[derive(Debug, Args)]
struct StateArgs {
    /// The log's directory.
    dir: PathBuf,
    /// As of this record: every whole record up to this sequence number. Default: the end.
    #[arg(long, value_name = "N", conflicts_with = "at_time")]
    at_seq: Option<u64>,
    /// As of this time (RFC 3339): every record up to and at it.
    #[arg(long, value_name = "TIME", value_parser = crate::text::parse_time)]
    at_time: Option<Ts>,
    /// As one JSON document, in the shape of the scenario format.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct EventsArgs {
    /// The log's directory.
    dir: PathBuf,
    /// Only those of one order: its name or number.
    #[arg(long, value_name = "ID")]
    order: Option<String>,
    /// Only those of one instrument.
    #[arg(long, value_name = "SYMBOL")]
    symbol: Option<String>,
    /// As JSON, one object a line.
    #[arg(long)]
    json: bool,
    /// The inputs, too.
    #[arg(long)]
    inputs: bool,
}

/// Runs the program; returns its exit status. Never panics on what it reads.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let outcome = command(cli.command, &mut out).and_then(|()| Ok(out.flush()?));
    match outcome {
        Ok(()) => 0,
        // Whoever read our output has seen enough: `replay events DIR | head`.
        Err(LogError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            // What there was before the error belongs above it.
            let _ = out.flush();
            complain(&error.to_string());
            error.exit_status()
        }
    }
}

fn command(command: Command, out: &mut impl Write) -> Result<(), LogError> {
    match command {
        Command::Verify { dir } => verify::verify(&dir, out),
        Command::Snapshot(args) => snapshot::snapshot(&args, out),
        Command::State(args) => state::state(&args, out),
        Command::Events(args) => events::events(&args, out),
        Command::Explain { dir, order } => explain::explain(&dir, &order, out),
    }
}

/// One line on standard error. There is nobody to tell if that fails.
fn complain(what: &str) {
    let _ = writeln!(io::stderr(), "replay: {}", clean(what));
}

/// Help and version as they are; what is wrong with the arguments in one line.
fn usage(error: &clap::Error) -> u8 {
    if !error.use_stderr() {
        let _ = error.print();
        return 0;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        complain(
            "what to do is missing: verify, snapshot, state, events or explain (see replay --help)",
        );
        return 2;
    }
    complain(&format!("{} (see replay --help)", crate::text::usage(error)));
    2
}
