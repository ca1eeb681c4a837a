//! Minute trade bars of futures as QuantConnect/Lean keeps them: one zip a day and symbol, in it
//! one CSV for every expiry, named `20131007_es_minute_trade_201312.csv`; a line is milliseconds
//! since midnight UTC, open, high, low, close, volume, without a header.
//!
//! The expiries are not spliced: of all files of a symbol the contract with the largest volume is
//! played, so that no price jumps from one contract to another.

use super::files::{self, FILE_SIZE_MAX};
use super::rows;
use super::{FeedBar, FeedError, File, Series};
use std::collections::BTreeMap;
use std::io::Cursor;
use trade_engine::calendar::Date;
use trade_engine::units::Ts;
use zip::ZipArchive;

const COLUMNS: [&str; 6] = ["milliseconds", "open", "high", "low", "close", "volume"];
const VOLUME: usize = 5;
const MS_PER_DAY: i64 = 86_400_000;
const MS_PER_MINUTE: i64 = 60_000;
/// CSV files in one zip: a symbol has some hundred expiries at most.
const ENTRIES_MAX: usize = 4_096;

/// All contracts seen so far: symbol, then expiry.
#[derive(Default)]
pub(super) struct Contracts {
    by_symbol: BTreeMap<String, BTreeMap<String, Contract>>,
    quote_files: usize,
}

#[derive(Default)]
struct Contract {
    days: Vec<Series>,
    volume: i128,
}

/// What the name of an entry says.
struct Entry {
    day: Date,
    symbol: String,
    expiry: String,
    is_trade: bool,
}

impl Contracts {
    /// Reads one zip.
    pub(super) fn read(&mut self, file: &File) -> Result<(), FeedError> {
        let broken = |problem| FeedError::new(&file.name, None, format!("not a zip: {problem}"));
        let mut archive = ZipArchive::new(Cursor::new(&file.bytes[..])).map_err(broken)?;
        if archive.len() > ENTRIES_MAX {
            let problem = format!("{} entries; expected at most {ENTRIES_MAX}", archive.len());
            return Err(FeedError::new(&file.name, None, problem));
        }
        let mut size = 0;
        for index in 0..archive.len() {
            let unpacked = archive.by_index(index).map_err(broken)?;
            let name = format!("{}/{}", file.name, unpacked.name());
            let entry = entry(&name, unpacked.name())?;
            if !entry.is_trade {
                self.quote_files += 1;
                continue;
            }
            let bytes = files::read_bounded(&name, unpacked)?;
            size += bytes.len() as u64;
            if size > FILE_SIZE_MAX {
                let problem = format!("larger than {FILE_SIZE_MAX} bytes when unpacked");
                return Err(FeedError::new(&file.name, None, problem));
            }
            self.add(name, entry, &bytes)?;
        }
        Ok(())
    }

    fn add(&mut self, file: String, entry: Entry, bytes: &[u8]) -> Result<(), FeedError> {
        let bars = read_day(&file, entry.day, bytes)?;
        let expiries = self.by_symbol.entry(entry.symbol.clone()).or_default();
        let contract = expiries.entry(entry.expiry).or_default();
        contract.volume += bars.iter().map(|(_, bar)| i128::from(bar.volume)).sum::<i128>();
        let symbol = entry.symbol;
        contract.days.push(Series { symbol, file, bars, is_daily: false, without_session: 0 });
        Ok(())
    }

    /// The days of each symbol's most traded contract; the earlier expiry if two are equal.
    pub(super) fn most_traded(self, notes: &mut Vec<String>) -> Vec<Series> {
        let mut series = Vec::new();
        for (symbol, expiries) in self.by_symbol {
            let (count, total) =
                (expiries.len(), expiries.values().map(|it| it.volume).sum::<i128>());
            let best = expiries.into_iter().rev().max_by_key(|(_, contract)| contract.volume);
            let (expiry, contract) = best.expect("a symbol is there because of a contract");
            notes.push(format!(
                "{symbol}: minute trade bars of the contract of {expiry}, the most traded of \
                 {count} ({} of {total} traded).",
                contract.volume
            ));
            series.extend(contract.days);
        }
        if self.quote_files > 0 {
            notes.push(format!("Files of quotes left out: {}.", self.quote_files));
        }
        series
    }
}

fn entry(file: &str, name: &str) -> Result<Entry, FeedError> {
    let wrong = || {
        let problem = "not a minute file of a future; expected a name such as \
                       20131007_es_minute_trade_201312.csv";
        FeedError::new(file, None, problem)
    };
    let parts: Vec<&str> = name.strip_suffix(".csv").ok_or_else(wrong)?.split('_').collect();
    let [day, symbol, "minute", kind @ ("trade" | "quote"), expiry] = parts[..] else {
        return Err(wrong());
    };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if day.len() != 8 || !is_number(day) || !is_number(expiry) || !matches!(expiry.len(), 6 | 8) {
        return Err(wrong());
    }
    let day = format!("{}-{}-{}", &day[..4], &day[4..6], &day[6..]).parse().map_err(|_| wrong())?;
    let (symbol, expiry) = (symbol.to_ascii_uppercase(), expiry.to_owned());
    if symbol.is_empty() {
        return Err(wrong());
    }
    Ok(Entry { day, symbol, expiry, is_trade: kind == "trade" })
}

fn read_day(file: &str, day: Date, bytes: &[u8]) -> Result<Vec<(u64, FeedBar)>, FeedError> {
    let days = Date::constant(1970, 1, 1).duration_until(day).as_hours() / 24;
    let mut bars: Vec<(u64, FeedBar)> = Vec::new();
    rows::for_each(file, bytes, &COLUMNS, |row| {
        let text = row.text(0);
        let ms: Option<i64> = text.parse().ok().filter(|ms| (0..MS_PER_DAY).contains(ms));
        let ms = ms.ok_or_else(|| {
            row.error(format!("time {text:?}; expected milliseconds of a day, 0 to 86399999"))
        })?;
        let far = || row.error("a day outside the years 1677 to 2262");
        let midnight = days.checked_mul(MS_PER_DAY).ok_or_else(far)?;
        let ts_open = Ts(0).checked_add_ms(midnight + ms).ok_or_else(far)?;
        let ts_close = ts_open.checked_add_ms(MS_PER_MINUTE).ok_or_else(far)?;
        row.check_order(bars.last(), ts_open)?;
        bars.push((row.line, row.bar(1, VOLUME, ts_open, ts_close)?));
        Ok(())
    })?;
    Ok(bars)
}
