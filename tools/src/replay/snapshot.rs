//! `replay snapshot`: writes the snapshots of a log.

use super::{SnapshotArgs, complain};
use crate::snapshots::SnapshotMaker;
use crate::text::clean;
use crate::walk::LogError;
use std::io::Write;

pub(super) fn snapshot(args: &SnapshotArgs, out: &mut impl Write) -> Result<(), LogError> {
    if args.every == 0 {
        return Err(LogError::Argument("--every 0: at least 1 record".to_owned()));
    }
    let mut maker = SnapshotMaker::open(&args.dir, args.every, &mut complain)?;
    let mut count = 0_u64;
    while let Some(path) = maker.write_next()? {
        count += 1;
        writeln!(out, "{}", clean(&path.display().to_string()))?;
    }
    if count == 0 {
        complain(&format!("note: none was due before record {}", maker.due()));
    }
    Ok(())
}
