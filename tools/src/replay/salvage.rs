//! `replay salvage`: the good part of a damaged log as a log of its own.

use crate::text::{Align, Table, clean, count};
use crate::walk::LogError;
use std::io::Write;
use std::path::Path;
use trade_engine::journal;

pub(super) fn salvage(dir: &Path, new_dir: &Path, out: &mut impl Write) -> Result<(), LogError> {
    let salvaged = journal::salvage(dir, new_dir).map_err(LogError::Salvage)?;
    let mut table = Table::new(&[("", Align::Left), ("", Align::Left)]);
    table.row(&["damage", &clean(&salvaged.damage.to_string())]);
    let (records, slots) = (count(salvaged.records, "record"), count(salvaged.last_seq, "slot"));
    table.row(&["good in front of it", &format!("{records} in {slots}")]);
    table.row(&["now in", &clean(&new_dir.display().to_string())]);
    table.write(out)?;
    writeln!(out, "what followed the damage is in the old log alone, which is as it was")?;
    writeln!(out, "the new log has seals of its own: a root that was kept is one of the old log")?;
    Ok(())
}
