//! The binary `replay`: proves a log, shows the state at any of its records, lists its events, and
//! tells the story of one order; follows it while it is written; hands it on to other programs.

mod archive;
mod events;
mod explain;
mod export;
mod find;
mod rules;
mod salvage;
mod snapshot;
mod state;
mod tail;
mod tell;
mod verify;

use crate::export::{Format, Table};
use crate::text::clean;
use crate::walk::{LogError, Walk};
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use std::ffi::{OsStr, OsString};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use trade_engine::journal::{Seal, Tail};
use trade_engine::limits::{KEEP_SEGMENTS_MAX, SNAPSHOT_EVERY};
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
    /// Checks every checksum, every seal, the state at every checkpoint, and that deciding again
    /// from the inputs gives the same events, byte for byte. Prints the root of what is sealed.
    /// Exit status: 0 whole (a torn tail after a crash is normal and said), 1 damaged or diverged,
    /// 2 no log.
    Verify {
        /// The log's directory.
        dir: PathBuf,
        /// A root printed earlier and kept elsewhere: the log up to there must still be the same.
        #[arg(long, value_name = "HEX")]
        root: Option<Seal>,
    },
    /// Writes the good records in front of the first damage into a new log, and says what is wrong
    /// and where. For a log that `verify` or a start refuses; it is only read.
    Salvage {
        /// The damaged log's directory.
        dir: PathBuf,
        /// The new log's: nothing may be there.
        new_dir: PathBuf,
    },
    /// Writes the state behind every so many records into files beside the log, from the newest one
    /// on: `state` then begins at the nearest. They may be deleted at any time, unless segments of
    /// the log are archived: then they are where it begins.
    Snapshot(SnapshotArgs),
    /// Moves the first segments of a log that nobody writes to another directory, until so many are
    /// left, as far as the state can do without them: behind each that goes lies a snapshot. From
    /// then on the log begins at the oldest snapshot, which must not be deleted; with the segments
    /// copied back it is whole again.
    Archive(ArchiveArgs),
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
    /// Shows the last records, and with `-f` those that a running engine adds, as `events` does.
    Tail(TailArgs),
    /// Writes tables for other programs: numbers exact, times in nanoseconds UTC. A file is there
    /// whole or not at all.
    Export(ExportArgs),
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
struct ArchiveArgs {
    /// The log's directory.
    dir: PathBuf,
    /// So many of the last segments stay.
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=KEEP_SEGMENTS_MAX))]
    keep: u64,
    /// The directory that they go to; made where it is missing.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
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

#[derive(Debug, Args)]
struct TailArgs {
    /// The log's directory.
    dir: PathBuf,
    /// So many of the last records.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    lines: u32,
    /// Goes on with every record that is written from now on, until a signal ends it. It reads the
    /// files beside the engine, whole records only, and asks nothing of it.
    #[arg(short, long)]
    follow: bool,
    /// As JSON, one object a line.
    #[arg(long)]
    json: bool,
    /// The inputs, too.
    #[arg(long)]
    inputs: bool,
}

#[derive(Debug, Args)]
struct ExportArgs {
    /// The log's directory.
    dir: PathBuf,
    /// Which table. Default: all of them, each into a file of its name.
    #[arg(long, value_name = "TABLE")]
    what: Option<Table>,
    /// In which form. Default: as the name of the file ends.
    #[arg(long, value_name = "FORM")]
    format: Option<Format>,
    /// The file; the directory, if all tables are exported.
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    /// Replaces files that are there already.
    #[arg(long)]
    force: bool,
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

/// Runs a command line with another standard output.
///
/// # Errors
/// Why the log could not be read, or the question not be answered; wrong arguments, too.
pub fn run_to<'a>(
    arguments: impl IntoIterator<Item = &'a OsStr>,
    out: &mut impl Write,
) -> Result<(), LogError> {
    let cli = Cli::try_parse_from(arguments)
        .map_err(|error| LogError::Argument(crate::text::usage(&error)))?;
    command(cli.command, out)
}

fn command(command: Command, out: &mut impl Write) -> Result<(), LogError> {
    match command {
        Command::Verify { dir, root } => verify::verify(&dir, root, out),
        Command::Salvage { dir, new_dir } => salvage::salvage(&dir, &new_dir, out),
        Command::Snapshot(args) => snapshot::snapshot(&args, out),
        Command::Archive(args) => archive::archive(&args, out),
        Command::State(args) => state::state(&args, out),
        Command::Events(args) => events::events(&args, out),
        Command::Explain { dir, order } => explain::explain(&dir, &order, out),
        Command::Tail(args) => tail::tail(&args, out),
        Command::Export(args) => export::export(&args),
    }
}

/// A note beside what was read of a whole log, which itself stays clean. Damage that only shows
/// behind the last record is an error here.
fn say_how_it_ends(walk: &mut Walk, done: &str) -> Result<(), LogError> {
    if let Tail::Torn { bytes, .. } = walk.end()?.tail {
        complain(&format!(
            "note: the log ends torn, as after a crash; {bytes} bytes are not {done}"
        ));
    }
    Ok(())
}

/// A note beside what cannot begin at the log's beginning.
fn say_where_it_begins(walk: &Walk) {
    if let Some(begins) = walk.begins() {
        complain(&format!("note: {begins}"));
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
            "what to do is missing: verify, snapshot, archive, state, events, explain, tail, export \
             or salvage (see replay --help)",
        );
        return 2;
    }
    complain(&format!("{} (see replay --help)", crate::text::usage(error)));
    2
}
