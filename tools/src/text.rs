//! Text for people: times, money, tables; and nothing from a log that could move a terminal's
//! cursor.

use jiff::Timestamp;
use serde_json::Value;
use std::io::{self, Write};
use trade_engine::limits::MONEY_SCALE;
use trade_engine::units::{Money, Price, Qty, Side, Ts, div_half_even, write_decimal};

/// Whether a character may move the cursor, hide, or turn the direction of what follows.
fn is_unsafe(c: char) -> bool {
    let invisible = ['\u{200b}'..='\u{200f}', '\u{2028}'..='\u{202e}', '\u{2060}'..='\u{2069}'];
    c.is_control() || c == '\u{feff}' || invisible.iter().any(|range| range.contains(&c))
}

/// A text from a log, with every control character written out: `\n`, `\u{1b}`.
pub fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) {
            cleaned.extend(c.escape_default());
        } else {
            cleaned.push(c);
        }
    }
    cleaned
}

/// One line of JSON, with every control character escaped, DEL and those above it too.
///
/// # Errors
/// Those of the writer.
pub fn write_json(out: &mut impl Write, value: &Value) -> io::Result<()> {
    let plain = value.to_string();
    let mut line = String::with_capacity(plain.len() + 1);
    for c in plain.chars() {
        if is_unsafe(c) {
            // All of them lie in the plane that four digits name, and stand inside of strings.
            line.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            line.push(c);
        }
    }
    line.push('\n');
    out.write_all(line.as_bytes())
}

/// A time as RFC 3339 in UTC: with three, six or nine decimals where it needs them.
pub fn time(ts: Ts) -> String {
    // Nanoseconds in 64 bits end in 2262, a timestamp holds ten thousand years.
    let Ok(time) = Timestamp::from_nanosecond(i128::from(ts.0)) else { return ts.0.to_string() };
    if ts.0 % 1_000_000_000 == 0 {
        format!("{time:.0}")
    } else if ts.0 % 1_000_000 == 0 {
        format!("{time:.3}")
    } else if ts.0 % 1_000 == 0 {
        format!("{time:.6}")
    } else {
        format!("{time:.9}")
    }
}

/// Reads an RFC 3339 time.
///
/// # Errors
/// What is wrong with it, in one line.
pub fn parse_time(text: &str) -> Result<Ts, String> {
    let parsed: Timestamp = text.parse().map_err(|_| {
        "not an RFC 3339 time with a zone, such as 2026-01-05T15:00:00.25Z".to_owned()
    })?;
    i64::try_from(parsed.as_nanosecond())
        .map(Ts)
        .map_err(|_| "outside the years 1678 to 2261".to_owned())
}

/// Money for a table: two decimals, half to even, thousands grouped.
pub fn money(money: Money) -> String {
    hundredths(div_half_even(money.0, MONEY_SCALE / 100).expect("the step is not zero"))
}

/// A number of hundredths: two decimals always, thousands grouped.
pub fn hundredths(value: i128) -> String {
    let magnitude = value.unsigned_abs();
    let mut text = String::new();
    if value < 0 {
        text.push('-');
    }
    let whole = (magnitude / 100).to_string();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text.push_str(&format!(".{:02}", magnitude % 100));
    text
}

/// An integer of `decimals` fractional digits.
pub fn decimal(value: i128, decimals: u32) -> String {
    let mut text = String::new();
    write_decimal(&mut text, value, decimals).expect("a string takes any text");
    text
}

/// A price, or a dash.
pub fn price(price: Option<Price>) -> String {
    price.map_or_else(|| "-".to_owned(), |price| price.to_string())
}

/// `LONG`, `SHORT` or `FLAT`.
pub const fn direction(qty: Qty) -> &'static str {
    match qty.0 {
        0 => "FLAT",
        1.. => "LONG",
        _ => "SHORT",
    }
}

/// `bought` or `sold`.
pub const fn traded(side: Side) -> &'static str {
    match side {
        Side::Buy => "bought",
        Side::Sell => "sold",
    }
}

/// `1 order`, `2 orders`.
pub fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// How a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table of text whose columns are as wide as their widest cell.
#[derive(Debug)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns. With empty headings it has no line of headings.
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; control characters in it are written out.
    pub fn row(&mut self, cells: &[&str]) {
        assert_eq!(cells.len(), self.columns.len(), "a cell for every column");
        self.rows.push(cells.iter().map(|cell| clean(cell)).collect());
    }

    /// Writes it, each line indented by two.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let headings: Vec<String> =
            self.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let has_headings = headings.iter().any(|name| !name.is_empty());
        let lines = has_headings.then_some(&headings).into_iter().chain(&self.rows);
        let width = |column: usize| {
            let cells = self.rows.iter().chain([&headings]);
            cells.map(|row| row[column].chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        for row in lines {
            let mut line = String::new();
            for ((cell, (_, align)), width) in row.iter().zip(&self.columns).zip(&widths) {
                line.push_str("  ");
                match align {
                    Align::Left => line.push_str(&format!("{cell:<width$}")),
                    Align::Right => line.push_str(&format!("{cell:>width$}")),
                }
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// What is wrong with a program's arguments, in one line without the usage that clap adds.
pub fn usage(error: &clap::Error) -> String {
    let text = error.to_string();
    let first: Vec<&str> =
        text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    let what = first.join(" ");
    what.strip_prefix("error: ").unwrap_or(&what).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_grouped_and_rounded_half_to_even() {
        for (exact, shown) in [
            ("0", "0.00"),
            ("-0.001", "0.00"),
            ("999.995", "1,000.00"),
            ("0.005", "0.00"),
            ("0.015", "0.02"),
            ("-1234567.891", "-1,234,567.89"),
            ("100", "100.00"),
        ] {
            assert_eq!(money(exact.parse().unwrap()), shown, "{exact}");
        }
    }

    #[test]
    fn what_moves_a_cursor_is_written_out() {
        assert_eq!(clean("a\x1b[2Jb\u{9b}\u{202e}\n"), "a\\u{1b}[2Jb\\u{9b}\\u{202e}\\n");
        let mut line = Vec::new();
        let value = Value::String("\x1b\u{9b}\u{7f}\u{202e}\u{e9}".to_owned());
        write_json(&mut line, &value).unwrap();
        assert_eq!(
            String::from_utf8(line.clone()).unwrap(),
            "\"\\u001b\\u009b\\u007f\\u202e\u{e9}\"\n"
        );
        assert_eq!(serde_json::from_slice::<Value>(&line).unwrap(), value);
    }

    #[test]
    fn times_round_trip() {
        for ns in [0, 1, i64::MAX, i64::MIN, 1_767_625_200_000_000_001] {
            assert_eq!(parse_time(&time(Ts(ns))), Ok(Ts(ns)));
        }
        assert!(parse_time("2026-01-05").is_err());
        assert!(parse_time("9000-01-01T00:00:00Z").is_err());
    }
}
