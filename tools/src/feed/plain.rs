//! Plain bars of any length: `time,open,high,low,close,volume`, times in RFC 3339 at which the bar
//! starts; the symbol is the file's name.

use super::rows;
use super::{FeedBar, FeedError, File, Series};
use jiff::Timestamp;
use std::ops::Range;
use trade_engine::units::Ts;

const COLUMNS: [&str; 6] = ["time", "open", "high", "low", "close", "volume"];
const VOLUME: usize = 5;
/// From 1823 to 2116: the difference of any two is a number of 64 bits.
const TIMES: Range<i64> = i64::MIN / 2..i64::MAX / 2;
/// Length of the bar in a file that has but one.
const NS_PER_MINUTE: i64 = 60_000_000_000;

pub(super) fn read(file: &File) -> Result<Series, FeedError> {
    if !rows::has_header(&file.bytes, &COLUMNS) {
        let problem = "unknown header; expected time,open,high,low,close,volume or \
                       Date,Open,High,Low,Close,Spliced,Volume,Open Int";
        return Err(FeedError::new(&file.name, Some(1), problem));
    }
    let mut bars: Vec<(u64, FeedBar)> = Vec::new();
    let mut is_header = true;
    rows::for_each(&file.name, &file.bytes, &COLUMNS, |row| {
        if std::mem::take(&mut is_header) {
            return Ok(());
        }
        let text = row.text(0);
        let time: Option<Timestamp> = text.parse().ok();
        let ns = time.and_then(|time| i64::try_from(time.as_nanosecond()).ok());
        let ts = ns.filter(|ns| TIMES.contains(ns)).map(Ts).ok_or_else(|| {
            row.error(format!("time {text:?}; expected one such as 2024-01-02T14:30:00Z"))
        })?;
        // The end is not known before the file is: until then, the first instant after the start.
        let ts_close = Ts(ts.0.saturating_add(1));
        row.check_order(bars.last(), ts)?;
        bars.push((row.line, row.bar(1, VOLUME, ts, ts_close)?));
        Ok(())
    })?;
    set_ends(&mut bars);
    let symbol = file.stem().to_owned();
    Ok(Series { symbol, file: file.name.clone(), bars, is_daily: false, without_session: 0 })
}

/// The length of a bar is nowhere in the file: it is the shortest step between two.
fn set_ends(bars: &mut [(u64, FeedBar)]) {
    let steps = bars.windows(2).map(|pair| pair[1].1.ts_open.0 - pair[0].1.ts_open.0);
    let length = steps.min().unwrap_or(NS_PER_MINUTE);
    assert!(length > 0);
    for (_, bar) in bars {
        bar.ts_close = Ts(bar.ts_open.0.saturating_add(length));
    }
}
