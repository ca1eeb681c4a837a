//! Lines of comma-separated text, and the numbers in them, with errors that name the line.

use super::{FeedBar, FeedError};
use std::fmt;
use trade_engine::limits::PRICE_MAX;
use trade_engine::units::{Price, Ts};

/// One line, split. A field may stand in double quotes; none may hold a comma.
pub(super) struct Row<'a> {
    file: &'a str,
    pub(super) line: u64,
    fields: Vec<&'a str>,
}

/// Calls `each` with every line that is not empty, each of as many fields as there are `columns`.
pub(super) fn for_each(
    file: &str,
    bytes: &[u8],
    columns: &[&str],
    mut each: impl FnMut(&Row<'_>) -> Result<(), FeedError>,
) -> Result<(), FeedError> {
    for (line, bytes) in (1..).zip(without_mark(bytes).split(|byte| *byte == b'\n')) {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| FeedError::new(file, Some(line), "not text in UTF-8"))?;
        if text.trim().is_empty() {
            continue;
        }
        let row = Row { file, line, fields: split(text).collect() };
        if row.fields.len() != columns.len() {
            let wanted = format!("{} fields, {}", columns.len(), columns.join(","));
            return Err(row.error(format!("{} fields; expected {wanted}", row.fields.len())));
        }
        each(&row)?;
    }
    Ok(())
}

/// Some programs start a text file with a mark of its encoding.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

fn split(line: &str) -> impl Iterator<Item = &str> {
    line.split(',').map(|field| {
        let field = field.trim();
        field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(field)
    })
}

/// Whether the first line is this header, in any case.
pub(super) fn has_header(bytes: &[u8], columns: &[&str]) -> bool {
    let line = without_mark(bytes).split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Ok(line) = std::str::from_utf8(line) else { return false };
    let mut names = split(line);
    columns.iter().all(|column| names.next().is_some_and(|name| name.eq_ignore_ascii_case(column)))
        && names.next().is_none()
}

impl Row<'_> {
    pub(super) fn error(&self, problem: impl fmt::Display) -> FeedError {
        FeedError::new(self.file, Some(self.line), problem)
    }

    pub(super) fn text(&self, column: usize) -> &str {
        self.fields[column]
    }

    pub(super) fn price(&self, column: usize, name: &str) -> Result<Price, FeedError> {
        let text = self.text(column);
        let wrong = |problem: &str| {
            self.error(format!("{name} {text:?}: {problem}; expected a price such as 4512.25"))
        };
        let price: Price = text.parse().map_err(|problem| wrong(&format!("{problem}")))?;
        if price.0.abs() > PRICE_MAX { Err(wrong("too large")) } else { Ok(price) }
    }

    /// A bar from open, high, low, close in four columns and the volume in a fifth.
    pub(super) fn bar(
        &self,
        first: usize,
        volume: usize,
        ts_open: Ts,
        ts_close: Ts,
    ) -> Result<FeedBar, FeedError> {
        let bar = FeedBar {
            symbol: 0,
            ts_open,
            ts_close,
            open: self.price(first, "open")?,
            high: self.price(first + 1, "high")?,
            low: self.price(first + 2, "low")?,
            close: self.price(first + 3, "close")?,
            volume: self.volume(volume)?,
        };
        let (lowest, highest) = (bar.open.min(bar.close), bar.open.max(bar.close));
        if bar.low > lowest || bar.high < highest {
            return Err(self.error(format!(
                "open {}, high {}, low {}, close {}; expected low <= open, close <= high",
                bar.open, bar.high, bar.low, bar.close
            )));
        }
        Ok(bar)
    }

    fn volume(&self, column: usize) -> Result<i64, FeedError> {
        let text = self.text(column);
        let volume = text.parse().ok().filter(|volume| *volume >= 0);
        volume.ok_or_else(|| {
            self.error(format!("volume {text:?}; expected a whole number, zero or more"))
        })
    }

    /// An error unless this bar starts after the end of the file's last one.
    pub(super) fn check_order(
        &self,
        last: Option<&(u64, FeedBar)>,
        ts_open: Ts,
    ) -> Result<(), FeedError> {
        match last {
            Some((_, last)) if ts_open < last.ts_close => Err(self.error(format!(
                "{:?} is not after the line before; expected ascending times",
                self.text(0)
            ))),
            _ => Ok(()),
        }
    }
}
