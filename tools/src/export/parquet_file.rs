//! A table as Parquet: rows are gathered by column and written a row group at a time.

use super::{Cell, Column, Kind};
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

/// Rows of a row group.
const GROUP_ROWS_MAX: usize = 1 << 16;
/// Bytes of a row group's values as they are held, whatever words a log brings along.
const GROUP_BYTES_MAX: usize = 32 << 20;

/// The file; see [`super::Format::Parquet`]. Holds one row group, and of those that are written
/// what the file's footer says of each.
pub struct ParquetFile<W: Write + Send> {
    out: SerializedFileWriter<W>,
    columns: Vec<Gathered>,
    rows: usize,
    bytes: usize,
}

impl<W: Write + Send> fmt::Debug for ParquetFile<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetFile").field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// The values of a column in the row group to come.
struct Gathered {
    kind: Kind,
    values: Values,
    /// For each row, 1 where it has a value, 0 where it has none.
    levels: Vec<i16>,
}

enum Values {
    Words(Vec<i64>),
    Fixed(Vec<FixedLenByteArray>),
    Text(Vec<ByteArray>),
    Flags(Vec<bool>),
}

impl Values {
    const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Number | Kind::Time => Self::Words(Vec::new()),
            Kind::Decimal { .. } => Self::Fixed(Vec::new()),
            Kind::Text => Self::Text(Vec::new()),
            Kind::Flag => Self::Flags(Vec::new()),
        }
    }
}

impl<W: Write + Send> ParquetFile<W> {
    pub(super) fn begin(columns: &'static [Column], out: W) -> io::Result<Self> {
        let properties = WriterProperties::builder()
            .set_created_by("trade_engine replay export".to_owned())
            .set_compression(Compression::SNAPPY)
            // An index of every page would have to be held until the end of the file.
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .build();
        let schema = schema(columns).map_err(io_error)?;
        let out = SerializedFileWriter::new(out, schema, Arc::new(properties)).map_err(io_error)?;
        let gathered = |column: &Column| Gathered {
            kind: column.kind,
            values: Values::of(column.kind),
            levels: Vec::new(),
        };
        let columns = columns.iter().map(gathered).collect();
        Ok(Self { out, columns, rows: 0, bytes: 0 })
    }

    pub(super) fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        assert_eq!(cells.len(), self.columns.len(), "a cell for every column");
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            self.bytes += column.push(cell)?;
        }
        self.rows += 1;
        if self.rows == GROUP_ROWS_MAX || self.bytes >= GROUP_BYTES_MAX {
            self.write_group().map_err(io_error)?;
        }
        Ok(())
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.out.next_row_group()?;
        for column in &mut self.columns {
            let mut writer = group.next_column()?.expect("a writer for every column");
            column.write(&mut writer)?;
            writer.close()?;
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        if self.rows > 0 {
            self.write_group().map_err(io_error)?;
        }
        self.out.into_inner().map_err(io_error)
    }
}

impl Gathered {
    /// Takes a value in; returns about how many bytes it holds.
    fn push(&mut self, cell: &Cell) -> io::Result<usize> {
        let size = match (&mut self.values, cell) {
            (_, Cell::Null) => 0,
            (Values::Words(words), Cell::Number(number)) => {
                words.push(number.cast_signed());
                size_of::<i64>()
            }
            (Values::Words(words), Cell::Time(ts)) => {
                words.push(ts.0);
                size_of::<i64>()
            }
            (Values::Fixed(values), Cell::Decimal(value)) => {
                values.push(fixed(*value, self.kind)?);
                size_of::<FixedLenByteArray>() + size_of::<i128>()
            }
            (Values::Text(texts), Cell::Text(text)) => {
                texts.push(text.as_str().into());
                size_of::<ByteArray>() + text.len()
            }
            (Values::Flags(flags), Cell::Flag(flag)) => {
                flags.push(*flag);
                size_of::<bool>()
            }
            (_, cell) => unreachable!("{cell:?} in a column of {:?}", self.kind),
        };
        self.levels.push(i16::from(*cell != Cell::Null));
        Ok(size + size_of::<i16>())
    }

    fn write(&mut self, writer: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let levels = Some(self.levels.as_slice());
        match &mut self.values {
            Values::Words(values) => {
                writer.typed::<Int64Type>().write_batch(values, levels, None)?;
                values.clear();
            }
            Values::Fixed(values) => {
                writer.typed::<FixedLenByteArrayType>().write_batch(values, levels, None)?;
                values.clear();
            }
            Values::Text(values) => {
                writer.typed::<ByteArrayType>().write_batch(values, levels, None)?;
                values.clear();
            }
            Values::Flags(values) => {
                writer.typed::<BoolType>().write_batch(values, levels, None)?;
                values.clear();
            }
        }
        self.levels.clear();
        Ok(())
    }
}

/// Bytes that hold every decimal of so many digits, and its sign.
const fn width(precision: u32) -> usize {
    // 10^precision needs precision x log2(10) bits; 3.33 is a little more than that.
    ((precision as usize * 333).div_ceil(100) + 1).div_ceil(8)
}

/// A decimal as Parquet has it: most significant byte first.
fn fixed(value: i128, kind: Kind) -> io::Result<FixedLenByteArray> {
    let Kind::Decimal { precision, scale } = kind else {
        unreachable!("a decimal in a column of {kind:?}")
    };
    if value.unsigned_abs() >= 10_u128.pow(precision) {
        let shown = crate::text::decimal(value, scale);
        return Err(io::Error::other(format!("{shown} has more than {precision} digits")));
    }
    let bytes: Vec<u8> = value.to_le_bytes().into_iter().take(width(precision)).rev().collect();
    Ok(ByteArray::from(bytes).into())
}

fn schema(columns: &[Column]) -> Result<TypePtr, ParquetError> {
    let fields: Result<Vec<TypePtr>, ParquetError> = columns.iter().map(field).collect();
    Ok(Arc::new(Type::group_type_builder("schema").with_fields(fields?).build()?))
}

fn field(column: &Column) -> Result<TypePtr, ParquetError> {
    let (physical, logical, length, digits) = match column.kind {
        Kind::Number => (Physical::INT64, Some(LogicalType::integer(64, false)), None, None),
        Kind::Time => {
            (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS)), None, None)
        }
        Kind::Decimal { precision, scale } => {
            let (digits, behind) = (signed(precision), signed(scale));
            let logical = LogicalType::decimal(behind, digits);
            let length = i32::try_from(width(precision)).expect("16 at most");
            let physical = Physical::FIXED_LEN_BYTE_ARRAY;
            (physical, Some(logical), Some(length), Some((digits, behind)))
        }
        Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String), None, None),
        Kind::Flag => (Physical::BOOLEAN, None, None, None),
    };
    let mut builder = Type::primitive_type_builder(column.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical);
    if let Some(length) = length {
        builder = builder.with_length(length);
    }
    if let Some((precision, scale)) = digits {
        builder = builder.with_precision(precision).with_scale(scale);
    }
    Ok(Arc::new(builder.build()?))
}

fn signed(digits: u32) -> i32 {
    i32::try_from(digits).expect("a number of digits is small")
}

fn io_error(error: ParquetError) -> io::Error {
    let ParquetError::External(source) = error else { return io::Error::other(error) };
    source.downcast::<io::Error>().map_or_else(io::Error::other, |source| *source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::file::reader::{FileReader, SerializedFileReader};

    const COLUMNS: &[Column] =
        &[Column { name: "seq", kind: Kind::Number }, Column { name: "words", kind: Kind::Text }];

    /// Rows of the row groups of a file with so many rows of such words.
    fn groups(rows: usize, words: &str) -> Vec<i64> {
        let mut file = ParquetFile::begin(COLUMNS, tempfile::tempfile().unwrap()).unwrap();
        for seq in 0..rows {
            file.row(&[Cell::Number(seq as u64), Cell::text(words)]).unwrap();
            assert!(file.rows < GROUP_ROWS_MAX && file.bytes < GROUP_BYTES_MAX);
        }
        let reader = SerializedFileReader::new(file.finish().unwrap()).unwrap();
        reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect()
    }

    #[test]
    fn what_is_held_is_bounded_by_rows_and_by_bytes() {
        assert_eq!(groups(GROUP_ROWS_MAX + 1, ""), [1 << 16, 1]);
        // As long as a text of a log can be: the bytes go first.
        let long = groups(9_000, &"x".repeat(4_096));
        assert!(long.len() == 2 && long.iter().sum::<i64>() == 9_000, "{long:?}");
        assert_eq!(groups(0, ""), [0; 0]);
    }

    #[test]
    fn every_decimal_fits_its_bytes_and_one_more_is_refused() {
        for precision in 1..=38 {
            let kind = Kind::Decimal { precision, scale: 0 };
            let most = 10_i128.pow(precision) - 1;
            for value in [0, 1, -1, most, -most] {
                let bytes = fixed(value, kind).unwrap();
                let fill = if value < 0 { 0xff } else { 0 };
                let mut whole = [fill; 16];
                let big_endian = bytes.data().iter().rev();
                whole.iter_mut().zip(big_endian).for_each(|(to, from)| *to = *from);
                assert_eq!(i128::from_le_bytes(whole), value, "{precision} digits");
            }
            assert!(fixed(most + 1, kind).is_err() && fixed(-most - 1, kind).is_err());
        }
    }
}
