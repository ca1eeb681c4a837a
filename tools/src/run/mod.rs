//! The main job: historical bars through gateway, strategy, rings, pinned engine, simulated broker
//! and journal, and then what came of it.

mod desk;
pub mod halt_file;
mod latch;
mod limit;
mod report;
mod resume;
pub mod socket;

use self::desk::Desk;
use self::halt_file::HaltFile;
use self::latch::Latch;
use self::limit::Owners;
use self::socket::ControlSocket;
use crate::feed::{Feed, FeedError, FeedSettings, FeedSource};
use crate::snapshots::SnapshotThread;
use crate::summary::Summary;
use crate::timeline::Timeline;
use crate::venue::VenueLine;
use crate::walk::LogError;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use trade_engine::broker::{Broker, RouteError, Router, SimError, SimulatedBroker};
use trade_engine::calendar::CalendarError;
use trade_engine::config::{BrokerConfig, Config, ConfigError, Pace, Release, canonical};
use trade_engine::engine::State;
use trade_engine::event::DECIDE_VERSION;
use trade_engine::instrument::InstrumentId;
use trade_engine::journal::{Journal, JournalError, JournalOptions};
use trade_engine::resume::ResumeError;
use trade_engine::runtime::{
    Clock, GatewayPlan, Outcome, Parts, Running, RuntimeSettings, StartError, start,
};
use trade_engine::settings::Settings;
use trade_engine::snapshot;
use trade_engine::units::Ts;

/// What to run.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct RunArgs {
    /// Directory of the log: new or empty. Default: a new one under ./logs.
    #[arg(long, value_name = "DIR")]
    pub log: Option<PathBuf>,

    /// Goes on with the log of a run that was killed or stopped: recovers it, asks the venue what
    /// it has, shows every difference, and only then trades. With the same configuration and data.
    #[arg(long, value_name = "DIR", conflicts_with = "log")]
    pub resume: Option<PathBuf>,

    /// Trades at the venue that listens on this socket, instead of at one inside. See `venue`.
    #[arg(long, value_name = "SOCKET")]
    pub venue: Option<PathBuf>,

    /// Print the summary as one JSON document.
    #[arg(long)]
    pub json: bool,

    /// Configuration instead of the embedded config/default.toml.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Market data instead of the embedded daily bars: a file, or a directory of files.
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,

    /// `lockstep`, `flood`, `realtime` or `realtime xN`; overrides the configuration.
    #[arg(long, value_name = "PACE", num_args = 1..=2)]
    pub pace: Vec<String>,

    /// How many of the last trades to print.
    #[arg(long, value_name = "N", default_value_t = 15)]
    pub trades: usize,

    /// Halts trading while this file is there; overrides the configuration. See `halt`, `resume`.
    #[arg(long, value_name = "FILE")]
    pub halt_file: Option<PathBuf>,

    /// Listens for commands on a socket there. See `control`.
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,
}

/// Why a run did not start or did not end well: one line for a person.
#[derive(Debug)]
pub enum RunError {
    /// The configuration.
    Config(ConfigError),
    /// The market data.
    Feed(FeedError),
    /// Nothing to trade, or a setting that makes no sense.
    Setting(String),
    /// The log.
    Journal(JournalError),
    /// The log, read back.
    Log(LogError),
    /// The threads.
    Start(StartError),
    /// Standard output.
    Output(io::Error),
    /// The log gives another state than the run had.
    Differs,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => write!(f, "{error}"),
            Self::Feed(error) => write!(f, "{error}"),
            Self::Setting(what) => f.write_str(what),
            Self::Journal(error) => write!(f, "the log: {error}"),
            Self::Log(error) => write!(f, "the log: {error}"),
            Self::Start(error) => write!(f, "{error}"),
            Self::Output(error) => write!(f, "cannot write the summary: {error}"),
            Self::Differs => f.write_str("the log replays to another state than the run ended in"),
        }
    }
}

impl std::error::Error for RunError {}

macro_rules! from {
    ($($error:ty => $variant:ident),* $(,)?) => {
        $(impl From<$error> for RunError {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })*
    };
}

from! {
    ConfigError => Config,
    FeedError => Feed,
    JournalError => Journal,
    LogError => Log,
    StartError => Start,
    io::Error => Output,
}

macro_rules! from_setting {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for RunError {
            fn from(error: $error) -> Self {
                Self::Setting(error.to_string())
            }
        })*
    };
}

from_setting!(CalendarError, SimError, RouteError, ResumeError);

/// Sessions are expanded this far beyond the last bar, so that its day has an end.
const SLACK_NANOS: i64 = 14 * 86_400 * 1_000_000_000;

/// Runs it and prints what came of it.
///
/// # Errors
/// [`RunError`]. Whatever was recorded before stays in the log.
pub fn run(args: &RunArgs) -> Result<(), RunError> {
    let config = match &args.config {
        Some(path) => Config::load(path)?,
        None => Config::embedded_default(),
    };
    let pace = pace(args, &config)?;
    let rules = config
        .contracts
        .session_rules()
        .map_err(|error| RunError::Setting(format!("contracts: {error}")))?;
    let source = args.data.clone().map_or(FeedSource::Embedded, FeedSource::Path);
    let feed_settings = FeedSettings { price_column: config.feed.price_column, rules };
    let bars = wanted(Feed::open(&source, &feed_settings)?, &config)?;
    let (from, last) = bars.span();
    let to = Ts(last.0.saturating_add(SLACK_NANOS));
    let settings = config.settings(Some(&bars.symbols), from, to)?;
    let dir = match args.resume.as_ref().or(args.log.as_ref()) {
        Some(dir) => dir.clone(),
        None => default_dir()?,
    };
    let mut out = Heard(io::stdout().lock());
    if !args.json {
        report::heading(&mut out, (&config, &settings), &source, &bars)?;
    }
    let timeline = timeline(bars, &settings, &config, to)?;
    let stage = Stage { config: &config, settings, timeline, pace, dir: &dir, args };
    let played = play(stage, Switches::of(args, &config)?, &mut out)?;
    finish(args, &played, &dir, &mut out)
}

/// Somebody who may stop listening: the run goes on all the same.
struct Heard<W>(W);

impl<W: Write> Write for Heard<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(bytes.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}

fn pace(args: &RunArgs, config: &Config) -> Result<Pace, RunError> {
    if args.pace.is_empty() {
        return Ok(config.runtime.pace);
    }
    let text = args.pace.join(" ");
    let wrong = |expected| RunError::Setting(format!("--pace {text}: expected {expected}"));
    text.parse().map_err(wrong)
}

/// The bars of the symbols that the configuration wants: all of the data's where it names none.
fn wanted(mut bars: Feed, config: &Config) -> Result<Feed, RunError> {
    if let Some(symbols) = &config.feed.symbols {
        let kept: Vec<usize> =
            (0..bars.symbols.len()).filter(|at| symbols.contains(&bars.symbols[*at])).collect();
        if kept.is_empty() {
            let (have, want) = (bars.symbols.join(", "), symbols.join(", "));
            let what = format!(
                "feed.symbols wants {want}; the data has {have} (a file of bars is named for its \
                 symbol: ES.csv)"
            );
            return Err(RunError::Setting(what));
        }
        bars.bars.retain(|bar| kept.contains(&bar.symbol));
        for bar in &mut bars.bars {
            bar.symbol = kept.iter().position(|at| *at == bar.symbol).expect("it was kept");
        }
        bars.symbols = kept.into_iter().map(|at| bars.symbols[at].clone()).collect();
        let missing = symbols.iter().filter(|symbol| !bars.symbols.contains(symbol));
        let missing: Vec<&str> = missing.map(String::as_str).collect();
        if !missing.is_empty() {
            bars.notes.push(format!("Not in the data, so not played: {}.", missing.join(", ")));
        }
    }
    Ok(bars)
}

fn timeline(
    bars: Feed,
    settings: &Settings,
    config: &Config,
    to: Ts,
) -> Result<Timeline, RunError> {
    let (from, _) = bars.span();
    let instruments: Vec<InstrumentId> = bars
        .symbols
        .iter()
        .map(|symbol| settings.instrument(symbol).expect("the settings are made of the symbols"))
        .collect();
    let day_rolls = config.account.day_roll.rule()?.instants(from, to)?;
    Ok(Timeline::new(bars, instruments, day_rolls))
}

/// A new directory under `./logs`, named for the time.
fn default_dir() -> Result<PathBuf, RunError> {
    let now = jiff::Timestamp::from_nanosecond(Clock::now().0.into());
    let now = now.map_err(|error| RunError::Setting(format!("the machine's clock: {error}")))?;
    let parent = Path::new("logs");
    std::fs::create_dir_all(parent)
        .map_err(|error| RunError::Setting(format!("cannot make ./logs: {error}")))?;
    let name = now.strftime("%Y%m%dT%H%M%S").to_string();
    let mut number = 0;
    loop {
        let suffix = if number == 0 { String::new() } else { format!("-{number}") };
        let dir = parent.join(format!("{name}{suffix}"));
        if !dir.exists() {
            return Ok(dir);
        }
        number += 1;
    }
}

/// The venue: at the end of a line, or inside. One inside begins with what is held, and with no
/// order.
fn broker(stage: &Stage<'_>, held: Option<&State>) -> Result<Box<dyn Broker + Send>, RunError> {
    let Stage { config, settings, args, .. } = stage;
    if let Some(socket) = &args.venue {
        let line = VenueLine::open(socket, &canonical::write(settings));
        return Ok(Box::new(line.map_err(RunError::Setting)?));
    }
    let BrokerConfig::Simulated(sim) = &config.broker;
    let mut venue = SimulatedBroker::new(0, sim.clone(), settings.instruments.clone())?;
    for book in held.map_or(&[][..], State::books) {
        if let Some(avg_px) = book.position.avg_px(book.lot_value) {
            let instrument = settings.instrument(&book.spec.symbol).expect("it is the log's");
            venue.open_position(instrument, book.position.qty, avg_px);
        }
    }
    let routes = vec![Some(0); settings.instruments.len()];
    Ok(Box::new(Router::new(vec![Box::new(venue)], routes)?))
}

/// What was played.
struct Played {
    outcome: Outcome,
    /// How many moments, of how many, when Ctrl-C ended it.
    interrupted_at: Option<(u64, u64)>,
}

/// What is to be played.
struct Stage<'a> {
    config: &'a Config,
    settings: Settings,
    timeline: Timeline,
    pace: Pace,
    dir: &'a Path,
    args: &'a RunArgs,
}

/// The ways to halt a run and to end it, beside those of the engine itself.
struct Switches {
    halt_file: Option<HaltFile>,
    socket: Option<ControlSocket>,
    /// Set by Ctrl-C, and by what else asks a program to end.
    interrupted: Arc<AtomicBool>,
    /// Set by SIGUSR1.
    killed: Arc<AtomicBool>,
}

impl Switches {
    /// Before anything is written or started: a Ctrl-C between the two would leave a log without an
    /// end.
    fn of(args: &RunArgs, config: &Config) -> Result<Self, RunError> {
        let halt_file = args.halt_file.as_ref().or(config.runtime.halt_file.as_ref());
        let halt_file = halt_file.map(|path| HaltFile::new(path));
        if let Some(file) = &halt_file {
            file.check().map_err(RunError::Setting)?;
        }
        let killed = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&killed))
            .map_err(|error| RunError::Setting(format!("cannot handle SIGUSR1: {error}")))?;
        let interrupted = interruption()?;
        let socket = args.control.as_deref().map(ControlSocket::open).transpose();
        let socket = socket.map_err(RunError::Setting)?;
        Ok(Self { halt_file, socket, interrupted, killed })
    }
}

/// One line on standard error. There is nobody to tell if that fails.
fn say(what: &str) {
    let _ = writeln!(io::stderr(), "trade-engine: {}", crate::text::clean(what));
}

fn play(stage: Stage<'_>, switches: Switches, out: &mut impl Write) -> Result<Played, RunError> {
    let moments = stage.timeline.len() as u64;
    let progress = Arc::new(AtomicU64::new(0));
    let owners = Owners::of(&stage.settings);
    let (dir, log) = (stage.dir.to_owned(), stage.config.log.clone());
    // Before the latch uses them up: they end a halt that the log has, too.
    let released = switches.halt_file.as_ref().and_then(HaltFile::released);
    let latch = switches.halt_file.clone().map(|file| Latch::new(file, &mut say));
    let (mut latch, halted) = latch.map_or((None, None), |(latch, halted)| (Some(latch), halted));
    let words = halted.clone();
    let running = if stage.args.resume.is_some() {
        resume::go_on(stage, (halted, released), &progress, out)?
    } else {
        begin(stage, halted, &progress)?
    };
    let desk = Arc::new(Desk::new(running.control(), owners, words));
    if let Some(socket) = &switches.socket {
        socket.serve(&desk)?;
    }
    let shared = running.shared();
    let start =
        |every| SnapshotThread::start(dir, every, log.retention, move || shared.written(), say);
    let snapshots = log
        .snapshot_every
        .map(start)
        .transpose()
        .map_err(|error| RunError::Setting(format!("no thread for snapshots: {error}")))?;
    watch(&running, &switches, (&desk, latch.as_mut()), (&progress, moments));
    let was_interrupted = switches.interrupted.load(Ordering::Relaxed);
    let outcome = running.join();
    drop(snapshots);
    if let Some(latch) = latch {
        latch.end(&desk, &mut say);
    }
    let done = progress.load(Ordering::Relaxed);
    Ok(Played {
        outcome,
        interrupted_at: (was_interrupted && done < moments).then_some((done, moments)),
    })
}

impl Stage<'_> {
    /// How its log is written.
    fn journal_options(&self) -> JournalOptions {
        JournalOptions {
            segment_size: self.config.log.segment_size,
            decide_version: DECIDE_VERSION,
            pad_to_sector: self.config.runtime.release == Release::Synced,
        }
    }
}

/// Starts a new log.
fn begin(
    stage: Stage<'_>,
    halted: Option<String>,
    progress: &Arc<AtomicU64>,
) -> Result<Running, RunError> {
    let broker = broker(&stage, None)?;
    let options = stage.journal_options();
    let Stage { config, settings, timeline, pace, dir, .. } = stage;
    let opened = timeline.begins();
    let instruments = settings.instruments.len();
    let runtime = RuntimeSettings::of(config);
    let journal = Journal::create(dir, options)?;
    let gateway = GatewayPlan {
        feed: Box::new(timeline),
        strategy: config.strategy.build(instruments),
        // The only one of its configuration.
        strategy_number: 1,
        pace,
        instruments,
        progress: Arc::clone(progress),
    };
    Ok(start(Parts { settings, runtime, journal, broker, gateway, opened, halted })?)
}

/// Set by Ctrl-C, and by what else asks a program to end.
fn interruption() -> Result<Arc<AtomicBool>, RunError> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
        .map_err(|error| RunError::Setting(format!("cannot handle Ctrl-C: {error}")))?;
    Ok(interrupted)
}

/// Shows how far the run is, until it ends. An interruption ends it in order: what is under way
/// settles, the log is closed. A kill does not wait for that, nor end it.
fn watch(
    running: &Running,
    switches: &Switches,
    (desk, mut latch): (&Desk, Option<&mut Latch>),
    (progress, moments): (&AtomicU64, u64),
) {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} moments  {elapsed_precise}")
        .expect("the template is sound");
    // Drawn only where a person looks: indicatif hides it when standard error is no terminal.
    let bar = ProgressBar::with_draw_target(Some(moments), ProgressDrawTarget::stderr());
    bar.set_style(style);
    while !running.is_finished() {
        if switches.killed.swap(false, Ordering::Relaxed) {
            desk.kill("SIGUSR1");
        }
        if let Some(latch) = &mut latch {
            latch.turn(desk, &mut |what| bar.suspend(|| say(what)));
        }
        if switches.interrupted.load(Ordering::Relaxed) {
            running.shared().stop();
        }
        bar.set_position(progress.load(Ordering::Relaxed));
        std::thread::sleep(Duration::from_millis(20));
    }
    bar.set_position(progress.load(Ordering::Relaxed));
    bar.finish_and_clear();
}

fn finish(
    args: &RunArgs,
    Played { outcome, interrupted_at }: &Played,
    dir: &Path,
    out: &mut impl Write,
) -> Result<(), RunError> {
    if let Err(error) = &outcome.journal {
        let whole = "`replay verify` says how far it is whole";
        return Err(RunError::Setting(format!("the log cannot go on: {error}; {whole}")));
    }
    if let Some(error) = &outcome.unsealed {
        say(&format!("not all of the log is sealed, the next recovery does it: {error}"));
    }
    let summary = Summary::read(dir)?;
    if replayed_hash(dir)? != outcome.state.hash() {
        return Err(RunError::Differs);
    }
    if args.json {
        let mut document = summary.to_json();
        report::add_run(&mut document, outcome, dir);
        document["interrupted"] = interrupted_at.is_some().into();
        crate::text::write_json(out, &document)?;
        return Ok(());
    }
    if let Some((done, moments)) = interrupted_at {
        writeln!(
            out,
            "INTERRUPTED after {done} of {moments} moments; what follows is up to there.\n"
        )?;
    }
    summary.print(out, args.trades)?;
    report::latencies(out, outcome)?;
    report::closing(out, outcome, dir)?;
    Ok(())
}

/// What the log's last state hashes to: read back from the disk, record by record.
fn replayed_hash(dir: &Path) -> Result<u64, RunError> {
    let wrong = |error: &dyn fmt::Display| RunError::Setting(format!("the log: {error}"));
    let (mut reader, mut replay) = snapshot::begin(dir).map_err(|error| wrong(&error))?;
    while let Some(slots) = reader.next_record().map_err(|error| wrong(&error))? {
        replay.next(slots).map_err(|error| wrong(&error))?;
    }
    replay.state().map(|state| state.hash()).ok_or_else(|| wrong(&"it has no head"))
}
