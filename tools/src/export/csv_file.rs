//! A table as CSV (RFC 4180).

use super::{Cell, Column};
use std::io::{self, Write};

/// The file; see [`super::Format::Csv`].
#[derive(Debug)]
pub struct CsvFile<W: Write> {
    columns: &'static [Column],
    out: csv::Writer<W>,
}

impl<W: Write> CsvFile<W> {
    pub(super) fn begin(columns: &'static [Column], out: W) -> io::Result<Self> {
        let mut out = csv::Writer::from_writer(out);
        out.write_record(columns.iter().map(|column| column.name))?;
        Ok(Self { columns, out })
    }

    pub(super) fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        assert_eq!(cells.len(), self.columns.len(), "a cell for every column");
        let shown = self.columns.iter().zip(cells).map(|(column, cell)| cell.shown(column.kind));
        Ok(self.out.write_record(shown.map(Option::unwrap_or_default))?)
    }

    pub(super) fn finish(self) -> io::Result<W> {
        self.out.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}
