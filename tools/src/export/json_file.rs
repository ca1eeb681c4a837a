//! A table as JSON Lines.

use super::{Cell, Column};
use crate::text::write_json;
use serde_json::{Map, Value};
use std::io::{self, BufWriter, Write};

/// The file; see [`super::Format::Jsonl`].
#[derive(Debug)]
pub struct JsonFile<W: Write> {
    columns: &'static [Column],
    out: BufWriter<W>,
}

impl<W: Write> JsonFile<W> {
    pub(super) fn begin(columns: &'static [Column], out: W) -> Self {
        Self { columns, out: BufWriter::new(out) }
    }

    pub(super) fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        assert_eq!(cells.len(), self.columns.len(), "a cell for every column");
        let mut object = Map::new();
        for (column, cell) in self.columns.iter().zip(cells) {
            let value = match cell {
                Cell::Number(number) => (*number).into(),
                Cell::Flag(flag) => (*flag).into(),
                Cell::Null | Cell::Decimal(_) | Cell::Time(_) | Cell::Text(_) => {
                    cell.shown(column.kind).map_or(Value::Null, Value::String)
                }
            };
            object.insert(column.name.to_owned(), value);
        }
        write_json(&mut self.out, &Value::Object(object))
    }

    pub(super) fn finish(self) -> io::Result<W> {
        self.out.into_inner().map_err(io::IntoInnerError::into_error)
    }
}
