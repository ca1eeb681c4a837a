//! Tables of a log for other programs: what a column holds, what a row is made of, and the three
//! forms that a table is written in. Numbers are exact, times are nanoseconds in UTC.

mod csv_file;
mod draft;
mod json_file;
mod parquet_file;
mod tables;

pub use draft::Draft;
pub use tables::{Row, Rows, Table, has_exec_id};

use crate::text::{clean, decimal};
use csv_file::CsvFile;
use jiff::Timestamp;
use json_file::JsonFile;
use parquet_file::ParquetFile;
use std::io::{self, Write};
use trade_engine::limits::{MONEY_DECIMALS, PRICE_DECIMALS};
use trade_engine::units::Ts;

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A count, a sequence number.
    Number,
    /// An exact decimal of so many digits, so many of them behind the point.
    Decimal {
        /// Digits in all.
        precision: u32,
        /// Digits behind the point.
        scale: u32,
    },
    /// An instant, nanoseconds in UTC.
    Time,
    /// Words, control characters written out.
    Text,
    /// A yes or no.
    Flag,
}

impl Kind {
    /// Every price that there can be: a signed word of 1e-9.
    pub const PRICE: Self = Self::Decimal { precision: 19, scale: PRICE_DECIMALS };
    /// Quantities of the underlying, and what rules measure: 1e-9, a word times a word.
    pub const QTY: Self = Self::Decimal { precision: 38, scale: PRICE_DECIMALS };
    /// Every balance that there can be: 1e-18, below 1e20.
    pub const MONEY: Self = Self::Decimal { precision: 38, scale: MONEY_DECIMALS };
}

/// A column: its name and what it holds. Any value may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, the same in every form.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// One value; of the kind that its column has, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Nothing is there, or nothing is known.
    Null,
    /// See [`Kind::Number`].
    Number(u64),
    /// An integer of as many fractional digits as its column has.
    Decimal(i128),
    /// See [`Kind::Time`].
    Time(Ts),
    /// See [`Kind::Text`].
    Text(String),
    /// See [`Kind::Flag`].
    Flag(bool),
}

impl Cell {
    /// Words from a log: what could move a cursor is written out, in every form alike.
    pub fn text(text: &str) -> Self {
        Self::Text(clean(text))
    }

    /// A decimal that may be missing.
    pub fn decimal(value: Option<impl Into<i128>>) -> Self {
        value.map_or(Self::Null, |value| Self::Decimal(value.into()))
    }

    /// Words that may be missing.
    pub fn words(text: Option<&str>) -> Self {
        text.map_or(Self::Null, Self::text)
    }

    /// As the forms of text write it; nothing for a value that is missing.
    fn shown(&self, kind: Kind) -> Option<String> {
        let shown = match (self, kind) {
            (Self::Null, _) => return None,
            (Self::Number(value), Kind::Number) => value.to_string(),
            (Self::Decimal(value), Kind::Decimal { scale, .. }) => decimal(*value, scale),
            (Self::Time(ts), Kind::Time) => time(*ts),
            (Self::Text(text), Kind::Text) => text.clone(),
            (Self::Flag(flag), Kind::Flag) => flag.to_string(),
            (cell, kind) => unreachable!("{cell:?} in a column of {kind:?}"),
        };
        Some(shown)
    }
}

/// RFC 3339 in UTC with all nine decimals: as wide for every time, so that text sorts as time does.
fn time(ts: Ts) -> String {
    let time = Timestamp::from_nanosecond(i128::from(ts.0)).expect("64 bits end in 2262");
    format!("{time:.9}")
}

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A line of names, then a line a row; a missing value is an empty cell.
    Csv,
    /// An object a line. Decimals and times are strings: a reader of JSON would round them.
    Jsonl,
    /// Columns, compressed; decimals and times are what they are.
    Parquet,
}

impl Format {
    /// How its files' names end, without the dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }

    /// The form of a file of that extension.
    pub fn of_extension(extension: &str) -> Option<Self> {
        [Self::Csv, Self::Jsonl, Self::Parquet].into_iter().find(|f| f.extension() == extension)
    }
}

/// A table on its way into a file, row by row: memory does not grow with the rows.
#[derive(Debug)]
pub enum TableFile<W: Write + Send> {
    /// See [`Format::Csv`].
    Csv(CsvFile<W>),
    /// See [`Format::Jsonl`].
    Json(JsonFile<W>),
    /// See [`Format::Parquet`].
    Parquet(ParquetFile<W>),
}

impl<W: Write + Send> TableFile<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn begin(format: Format, columns: &'static [Column], out: W) -> io::Result<Self> {
        Ok(match format {
            Format::Csv => Self::Csv(CsvFile::begin(columns, out)?),
            Format::Jsonl => Self::Json(JsonFile::begin(columns, out)),
            Format::Parquet => Self::Parquet(ParquetFile::begin(columns, out)?),
        })
    }

    /// Adds a row: a cell for every column.
    ///
    /// # Errors
    /// Those of the writer.
    ///
    /// # Panics
    /// If the row has another number of cells, or a cell is not of its column's kind.
    pub fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        match self {
            Self::Csv(file) => file.row(cells),
            Self::Json(file) => file.row(cells),
            Self::Parquet(file) => file.row(cells),
        }
    }

    /// Ends the file, and gives back what it was written to, everything handed on.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::Csv(file) => file.finish(),
            Self::Json(file) => file.finish(),
            Self::Parquet(file) => file.finish(),
        }
    }
}
