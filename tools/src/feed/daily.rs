//! Daily futures bars: `Date,Open,High,Low,Close,Spliced,Volume,Open Int`, one line a trade date;
//! the symbol is the file's name. `data/futures_daily/SOURCE.md` says what the columns are.

use super::rows::{self, Row};
use super::{FeedBar, FeedError, FeedSettings, File, PriceColumn, Series};
use trade_engine::calendar::{Date, SessionRule};
use trade_engine::instrument::OpenInterval;
use trade_engine::limits::PRICE_MAX;
use trade_engine::units::{Price, Ts};

const COLUMNS: [&str; 8] =
    ["Date", "Open", "High", "Low", "Close", "Spliced", "Volume", "Open Int"];
const OPEN: usize = 1;
const SPLICED: usize = 5;
const VOLUME: usize = 6;
const NS_PER_DAY: i64 = 86_400_000_000_000;

/// Whether a file is of this format, by its header.
pub(super) fn is_daily(file: &File) -> bool {
    rows::has_header(&file.bytes, &COLUMNS)
}

pub(super) fn read(file: &File, settings: &FeedSettings) -> Result<Series, FeedError> {
    let symbol = file.stem().to_owned();
    let rule = settings.rules.get(&symbol);
    let mut bars: Vec<(u64, FeedBar)> = Vec::new();
    let mut without_session = 0;
    let mut is_header = true;
    rows::for_each(&file.name, &file.bytes, &COLUMNS, |row| {
        if std::mem::take(&mut is_header) {
            return Ok(());
        }
        let date = date(row)?;
        let (hours, is_session) = hours(row, rule, date)?;
        row.check_order(bars.last(), hours.open)?;
        let mut bar = row.bar(OPEN, VOLUME, hours.open, hours.close)?;
        match settings.price_column {
            PriceColumn::BackAdjusted => {}
            PriceColumn::Spliced => splice(row, &mut bar)?,
        }
        without_session += usize::from(!is_session);
        bars.push((row.line, bar));
        Ok(())
    })?;
    Ok(Series { symbol, file: file.name.clone(), bars, is_daily: true, without_session })
}

fn date(row: &Row<'_>) -> Result<Date, FeedError> {
    let text = row.text(0);
    let date: Option<Date> = text.parse().ok();
    date.filter(|date| date.to_string() == text)
        .ok_or_else(|| row.error(format!("date {text:?}; expected one such as 2014-12-24")))
}

/// The hours of a trade date, and whether the calendar has a session then. Where it has none the
/// bar is kept, with the usual hours: that there was trading is a fact, the calendar an opinion.
fn hours(
    row: &Row<'_>,
    rule: Option<&SessionRule>,
    date: Date,
) -> Result<(OpenInterval, bool), FeedError> {
    let found = match rule {
        Some(rule) => match rule.session_of_trade_date(date) {
            Some(session) => Some((session, true)),
            None => rule.usual_hours(date).map(|hours| (hours, false)),
        },
        None => utc_day(date).map(|day| (day, true)),
    };
    found.ok_or_else(|| row.error(format!("date {date}; expected one between 1678 and 2261")))
}

fn utc_day(date: Date) -> Option<OpenInterval> {
    let days = Date::constant(1970, 1, 1).duration_until(date).as_hours() / 24;
    let open = days.checked_mul(NS_PER_DAY)?;
    Some(OpenInterval { open: Ts(open), close: Ts(open.checked_add(NS_PER_DAY)?) })
}

/// Moves the bar to the level of the day: the adjustment is one constant for all four prices.
fn splice(row: &Row<'_>, bar: &mut FeedBar) -> Result<(), FeedError> {
    let spliced = row.price(SPLICED, "spliced")?;
    let shift = spliced.0 - bar.close.0;
    for price in [&mut bar.open, &mut bar.high, &mut bar.low, &mut bar.close] {
        // Both are bounded by PRICE_MAX, a quarter of what 64 bits hold, and so is their sum by
        // three.
        *price = Price(price.0 + shift);
        if price.0.abs() > PRICE_MAX {
            return Err(row.error(format!("spliced {spliced}: too far from the close")));
        }
    }
    assert!(bar.close == spliced);
    Ok(())
}
