//! `replay archive`: moves the segments of a log that nobody writes to where they are kept for good.

use super::{ArchiveArgs, complain};
use crate::text::{clean, count};
use crate::walk::{LogError, opening_error};
use std::io::Write;
use trade_engine::journal::layout::segment_name;
use trade_engine::journal::{ArchivedNote, DirArchive, LogLock, LogReader};
use trade_engine::retention::{self, Archived};

pub(super) fn archive(args: &ArchiveArgs, out: &mut impl Write) -> Result<(), LogError> {
    // Asked before the lock, so that what is no log does not get a lock file.
    LogReader::open(&args.dir).map_err(opening_error)?;
    let _held = LogLock::take(&args.dir).map_err(LogError::Archive)?;
    let to = DirArchive::new(&args.to);
    let Archived { moved, stays } =
        retention::archive(&args.dir, args.keep, &to).map_err(LogError::Archive)?;
    for id in &moved {
        writeln!(out, "{}", segment_name(*id))?;
    }
    let noted = ArchivedNote::read(&args.dir).map_err(LogError::Read)?;
    if let (Some(ArchivedNote { place, .. }), false) = (noted, moved.is_empty()) {
        let number = count(moved.len() as u64, "segment");
        writeln!(out, "{number} moved to {}", clean(&place))?;
    }
    match stays {
        Some(stays) => complain(&format!("note: {stays}")),
        None if moved.is_empty() => complain("note: the log has no more segments than are kept"),
        None => {}
    }
    Ok(())
}
