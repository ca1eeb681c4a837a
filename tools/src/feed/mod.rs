//! Historical market data: files of bars turned into one run of bars in the order of time.
//!
//! Three formats are known, each in a file of its own: daily futures bars (`daily.rs`, what the
//! default run plays), Lean's minute trade bars (`lean.rs`) and a plain CSV (`plain.rs`). A file is
//! read whole or refused: the first malformed line is an error that names file, line and what was
//! expected.

mod daily;
mod files;
mod lean;
mod plain;
mod rows;

use files::File;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use trade_engine::calendar::SessionRule;
pub use trade_engine::config::PriceColumn;
use trade_engine::units::{Price, Ts};

/// Said of [`PriceColumn::BackAdjusted`].
pub const BACK_ADJUSTED_NOTE: &str = "\
prices: back-adjusted open, high, low and close. At each roll to the next contract the gap \
between the two is taken out of all earlier prices, so that the P&L of a position held across \
rolls is right. The level is not what was quoted on the day (ES on 2010-09-01: close 911 here, \
1081.75 then), and with it anything measured in percent of a price.";

/// Said of [`PriceColumn::Spliced`].
pub const SPLICED_NOTE: &str = "\
prices: spliced, as quoted on the day for the contract that was current (the bar moved by \
Spliced - Close, which is constant between two rolls). Levels and percentages are right. At each \
roll the price jumps by the gap between two contracts, and a position held across it books a P&L \
that nobody had.";

/// What a reader of a report must know about the prices of daily files.
pub const fn price_note(column: PriceColumn) -> &'static str {
    match column {
        PriceColumn::BackAdjusted => BACK_ADJUSTED_NOTE,
        PriceColumn::Spliced => SPLICED_NOTE,
    }
}

/// Where the bars come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FeedSource {
    /// The ten years of daily bars of ES, NQ, CL and GC that come with the program.
    #[default]
    Embedded,
    /// A file, or a directory whose `.csv`, `.csv.gz` and `.zip` files are all read.
    Path(PathBuf),
}

/// How files are read.
#[derive(Clone, Debug, Default)]
pub struct FeedSettings {
    /// For daily files; the others have one set of prices.
    pub price_column: PriceColumn,
    /// The hours of the symbols that have any; the others are always open.
    pub rules: BTreeMap<String, SessionRule>,
}

/// One bar. Prices may be off the contract's tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedBar {
    /// Index in [`Feed::symbols`].
    pub symbol: usize,
    /// When it starts; for a daily bar, when the session of its trade date opens.
    pub ts_open: Ts,
    /// When it ends: at or before the start of the symbol's next bar.
    pub ts_close: Ts,
    /// First price.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Contracts or shares traded.
    pub volume: i64,
}

/// Bars of one or more symbols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// In alphabetical order.
    pub symbols: Vec<String>,
    /// By time of the open, then by symbol; never empty. Bars of one symbol do not overlap.
    pub bars: Vec<FeedBar>,
    /// What a reader of the results should know about the data, one sentence or two each.
    pub notes: Vec<String>,
}

impl Feed {
    /// Reads everything.
    ///
    /// # Errors
    /// [`FeedError`]: files that cannot be read, are of no known format, hold a malformed line, or
    /// overlap each other; nothing at all to read. Nothing partial is returned.
    pub fn open(source: &FeedSource, settings: &FeedSettings) -> Result<Self, FeedError> {
        let files = match source {
            FeedSource::Embedded => files::embedded()?,
            FeedSource::Path(path) => files::read(path)?,
        };
        let mut series = Vec::new();
        let mut notes = Vec::new();
        let mut contracts = lean::Contracts::default();
        for file in &files {
            if file.name.ends_with(".zip") {
                contracts.read(file)?;
            } else if daily::is_daily(file) {
                series.push(daily::read(file, settings)?);
            } else {
                series.push(plain::read(file)?);
            }
        }
        if series.iter().any(|one| one.is_daily) {
            notes.push(price_note(settings.price_column).to_owned());
        }
        series.extend(contracts.most_traded(&mut notes));
        let feed = merge(series, notes, settings)?;
        if feed.bars.is_empty() {
            return Err(FeedError::new(&source.to_string(), None, "holds no bars"));
        }
        Ok(feed)
    }

    /// The start of the first bar and the end of the last.
    pub fn span(&self) -> (Ts, Ts) {
        let first = self.bars.first().expect("a feed has a bar");
        let last = self.bars.iter().map(|bar| bar.ts_close).max().expect("a feed has a bar");
        (first.ts_open, last)
    }
}

impl fmt::Display for FeedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded daily bars of ES, NQ, CL and GC"),
            Self::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What is wrong with a file: `FILE:LINE: what was found, what was expected`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedError {
    /// The file; `ARCHIVE/ENTRY` inside a zip.
    pub file: String,
    /// Line from 1; `None`: the file as a whole.
    pub line: Option<u64>,
    /// What was found and what was expected.
    pub problem: String,
}

impl FeedError {
    fn new(file: &str, line: Option<u64>, problem: impl fmt::Display) -> Self {
        Self { file: file.to_owned(), line, problem: problem.to_string() }
    }
}

impl fmt::Display for FeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.problem),
            None => write!(f, "{}: {}", self.file, self.problem),
        }
    }
}

impl std::error::Error for FeedError {}

/// The bars of one symbol from one file, in order.
struct Series {
    symbol: String,
    file: String,
    /// Each with the line it came from; `symbol` is set when all series are known.
    bars: Vec<(u64, FeedBar)>,
    is_daily: bool,
    /// Bars on dates on which the calendar has no session.
    without_session: usize,
}

fn merge(
    mut series: Vec<Series>,
    mut notes: Vec<String>,
    settings: &FeedSettings,
) -> Result<Feed, FeedError> {
    series.retain(|one| !one.bars.is_empty());
    series.sort_by_key(|one| (one.symbol.clone(), one.bars[0].1.ts_open));
    let mut feed = Feed { symbols: Vec::new(), bars: Vec::new(), notes: Vec::new() };
    for same_symbol in series.chunk_by(|a, b| a.symbol == b.symbol) {
        let start = feed.bars.len();
        for (index, one) in same_symbol.iter().enumerate() {
            let last = feed.bars[start..].last();
            if let (Some(last), Some((line, first))) = (last, one.bars.first())
                && first.ts_open < last.ts_close
            {
                let other = &same_symbol[index - 1].file;
                let problem = format!("{} has bars of the same time in {other}", one.symbol);
                return Err(FeedError::new(&one.file, Some(*line), problem));
            }
            let symbol = feed.symbols.len();
            feed.bars.extend(one.bars.iter().map(|(_, bar)| FeedBar { symbol, ..*bar }));
        }
        let symbol = &same_symbol[0].symbol;
        notes.extend(session_note(symbol, same_symbol, &feed.bars[start..], settings));
        feed.symbols.push(symbol.clone());
    }
    feed.bars.sort_by_key(|bar| (bar.ts_open, bar.symbol));
    feed.notes = notes;
    Ok(feed)
}

/// Says how many bars lie where the calendar has the market closed.
fn session_note(
    symbol: &str,
    series: &[Series],
    bars: &[FeedBar],
    settings: &FeedSettings,
) -> Option<String> {
    let total = bars.len();
    if series.iter().any(|one| one.is_daily) {
        let count: usize = series.iter().map(|one| one.without_session).sum();
        return (count > 0).then(|| {
            format!(
                "{symbol}: {count} of {total} bars are of dates on which its calendar has no \
                 session; they have its usual hours."
            )
        });
    }
    let rule = settings.rules.get(symbol)?;
    let (first, last) = (bars.first()?, bars.last()?);
    // A range that no calendar covers has no sessions to compare with.
    let sessions = rule.expand(first.ts_open, last.ts_close).ok()?;
    let is_open = |bar: &&FeedBar| {
        let opened = sessions.partition_point(|session| session.open <= bar.ts_open);
        opened.checked_sub(1).is_some_and(|last| bar.ts_open < sessions[last].close)
    };
    let count = total - bars.iter().filter(is_open).count();
    (count > 0).then(|| {
        format!("{symbol}: {count} of {total} bars start when its calendar has the market closed.")
    })
}
