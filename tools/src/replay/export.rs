//! `replay export`: tables of a log in files for other programs, all in one walk.

use super::{ExportArgs, say_how_it_ends, say_where_it_begins};
use crate::export::{Draft, Format, Row, Rows, Table, TableFile, has_exec_id};
use crate::walk::{LogError, Walk};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

pub(super) fn export(args: &ExportArgs) -> Result<(), LogError> {
    let mut walk = Walk::open(&args.dir)?;
    say_where_it_begins(&walk);
    let mut exports = begin(args)?;
    while let Some(record) = walk.read()? {
        for export in &mut exports {
            let row = export.rows.before(&record, &walk);
            export.write(row)?;
        }
        walk.apply()?;
        let exec_id = if has_exec_id(&record.body) { walk.take_exec_id() } else { None };
        for export in &mut exports {
            let row = export.rows.after(&record, &walk, exec_id.as_deref());
            export.write(row)?;
        }
    }
    walk.whole_state()?;
    say_how_it_ends(&mut walk, "exported")?;
    for export in &mut exports {
        let rows = export.rows.end(&walk);
        export.write(rows)?;
    }
    for export in exports {
        export.publish()?;
    }
    Ok(())
}

/// A table on its way into its file.
struct Export {
    path: PathBuf,
    rows: Rows,
    file: TableFile<File>,
    draft: Draft,
}

impl Export {
    fn begin(path: PathBuf, table: Table, format: Format, force: bool) -> Result<Self, LogError> {
        let begun = Draft::begin(&path, force).and_then(|(draft, file)| {
            Ok((draft, TableFile::begin(format, table.columns(), file)?))
        });
        match begun {
            Ok((draft, file)) => Ok(Self { path, rows: Rows::new(table), file, draft }),
            Err(error) => Err(output_error(&path, error)),
        }
    }

    fn write(&mut self, rows: impl IntoIterator<Item = Row>) -> Result<(), LogError> {
        for row in rows {
            self.file.row(&row).map_err(|error| output_error(&self.path, error))?;
        }
        Ok(())
    }

    fn publish(self) -> Result<(), LogError> {
        let Self { path, file, draft, .. } = self;
        let published = file.finish().and_then(|file| draft.publish(file));
        published.map_err(|error| output_error(&path, error))
    }
}

/// What was asked for with a place that is taken is asked wrongly; all else is the system's.
fn output_error(path: &Path, error: io::Error) -> LogError {
    if error.kind() == io::ErrorKind::AlreadyExists {
        return LogError::Argument(format!("--out {}: {error}", path.display()));
    }
    LogError::Write(io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// One table into a file, or all of them into a directory.
fn begin(args: &ExportArgs) -> Result<Vec<Export>, LogError> {
    let format = format(args)?;
    let Some(table) = args.what else {
        fs::create_dir_all(&args.out).map_err(|error| output_error(&args.out, error))?;
        let path = |table: Table| args.out.join(table.name()).with_extension(format.extension());
        let begin = |table| Export::begin(path(table), table, format, args.force);
        return Table::ALL.into_iter().map(begin).collect();
    };
    Ok(vec![Export::begin(args.out.clone(), table, format, args.force)?])
}

/// As asked for, or as the file's name says.
fn format(args: &ExportArgs) -> Result<Format, LogError> {
    let by_name = || {
        let extension = args.what.and(args.out.extension())?;
        Format::of_extension(extension.to_str()?)
    };
    args.format
        .or_else(by_name)
        .ok_or_else(|| LogError::Argument("--format is missing: csv, jsonl or parquet".to_owned()))
}
