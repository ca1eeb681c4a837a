//! `scenario FILE.jsonl`: drives the engine by a text file and prints the state it ends in.
#![forbid(unsafe_code)]

use clap::Parser;
use std::io::{BufWriter, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use trade_engine_tools::scenario::Scenario;
use trade_engine_tools::text::clean;

/// Drives the engine step by step by a scenario file, with no clock, no thread and no network, and
/// prints the state it ends in as one JSON document, the last line of stdout.
///
/// Exit status: 0 the scenario ran (refused steps are results); 1 the engine's own invariants broke,
/// or the log could not be written; 2 the file is malformed or uses what is not supported yet.
#[derive(Parser)]
#[command(name = "scenario", version, after_help = AFTER_HELP)]
struct Arguments {
    /// The scenario, JSON Lines; `-` reads standard input.
    file: PathBuf,
    /// Print one line of JSON after every step, before the document.
    #[arg(long)]
    trace: bool,
    /// Keep the event log in this directory, which must not exist or be empty.
    #[arg(long, value_name = "DIR")]
    log: Option<PathBuf>,
}

const AFTER_HELP: &str = "Defaults of the setting: the account holds 100000 USD; no limit is on that \
is not named; sizing is percent_equity with a sizing_pct of max_position_pct or, without one, 0.05. \
The first step without `at` is at 2026-01-05T15:00:00Z, each next one a millisecond after the last.";

fn main() -> ExitCode {
    // Release builds abort on a panic; a broken invariant is to be exit status 1 in all of them.
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        tell(info);
        std::process::exit(1);
    }));
    let arguments = Arguments::parse();
    let name = clean(&arguments.file.display().to_string());
    let bytes = match read(&arguments.file) {
        Ok(bytes) => bytes,
        Err(error) => {
            eprintln!("{name}: {}", clean(&error.to_string()));
            return ExitCode::from(2);
        }
    };
    let scenario = match Scenario::parse(&bytes) {
        Ok(scenario) => scenario,
        Err(malformed) => {
            eprintln!("{name}:{}: {}", malformed.line, clean(&malformed.what));
            return ExitCode::from(2);
        }
    };
    let mut output = BufWriter::new(std::io::stdout().lock());
    let ran = scenario.run(arguments.trace, arguments.log.as_deref(), &mut output);
    let flushed = output.flush();
    match ran.and_then(|()| Ok(flushed?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {}", clean(&error.to_string()));
            ExitCode::from(1)
        }
    }
}

fn read(file: &PathBuf) -> std::io::Result<Vec<u8>> {
    if file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    std::fs::read(file)
}
