//! Salvage: what is good of a log that recovery refuses, as a log of its own.

use crate::journal::archived::ArchivedNote;
use crate::journal::dir::{io_error, is_within, sync_above};
use crate::journal::disk::MachineDisk;
use crate::journal::error::{JournalError, ReadError};
use crate::journal::layout::{self, Position};
use crate::journal::reader::LogReader;
use crate::journal::recovery::recover;
use crate::journal::seal::check_seals;
use crate::journal::writer::{Journal, JournalOptions};
use std::io;
use std::path::{Path, PathBuf};

/// What a salvage has found and kept.
#[derive(Debug)]
pub struct Salvaged {
    /// Whole records in the new log.
    pub records: u64,
    /// Their slots: the new log's last sequence number.
    pub last_seq: u64,
    /// What is wrong with the old log, and where.
    pub damage: ReadError,
}

/// Writes the whole records in front of the first damage of `dir` into a new log in `target`. The
/// old log is only read.
///
/// The new log is built under the name of `target` with `.part` behind it, which it loses when all
/// of it is on the disk: under its own name there is never half of one. Its segments are of the
/// same size and name the same versions of decisions, so that all of it can be decided again.
///
/// # Errors
///
/// The log is one that [`recover`] takes up; nothing of it is good; there is something at `target`
/// or at its `.part`, or it lies in the log; or the system refuses.
pub fn salvage(dir: &Path, target: &Path) -> Result<Salvaged, JournalError> {
    let part = part_of(target);
    for path in [target, &part] {
        if path.symlink_metadata().is_ok() {
            return Err(JournalError::Exists { path: path.to_owned() });
        }
    }
    let mut reader = LogReader::open(dir)?;
    if is_within(target, dir) {
        let what = "it would be in the log that is salvaged";
        let source = io::Error::new(io::ErrorKind::InvalidInput, what);
        return Err(io_error(target, "create", source));
    }
    if reader.first_seq() > 1
        && let Some(ArchivedNote { place, .. }) = ArchivedNote::read(dir)?
    {
        let path = dir.join(layout::segment_name(layout::SEGMENT_ID_FIRST));
        let why = "a salvaged log begins with the first record".to_owned();
        return Err(ReadError::Archived { path, place, why }.into());
    }
    let (end, damage) = good_end(dir)?;
    let mut copy: Option<Copy> = None;
    let mut records = 0;
    // The reader stops where it stopped before.
    while let Ok(Some(slots)) = reader.next_record() {
        let slots = slots.to_vec();
        if reader.record_position() >= end {
            break;
        }
        let options = JournalOptions {
            segment_size: reader.segment_size(),
            decide_version: reader.decide_version(),
            pad_to_sector: false,
        };
        let going = match copy.take() {
            None => Copy { journal: Journal::create(&part, options)?, options },
            Some(going) => going.with(options)?,
        };
        let going = copy.insert(going);
        going.journal.append(&slots)?;
        going.journal.maintain()?;
        records += 1;
    }
    let Some(copy) = copy else { return Err(damage.into()) };
    let last_seq = copy.journal.close()?;
    std::fs::rename(&part, target).map_err(|source| io_error(target, "rename to", source))?;
    sync_above(target, &MachineDisk)?;
    Ok(Salvaged { records, last_seq, damage })
}

/// The new log while it is written.
struct Copy {
    journal: Journal,
    options: JournalOptions,
}

impl Copy {
    /// The same, in segments of other options where they have changed: in a new one then.
    fn with(self, options: JournalOptions) -> Result<Self, JournalError> {
        if options == self.options {
            return Ok(self);
        }
        let dir = self.journal.dir().to_owned();
        self.journal.close()?;
        Ok(Self { journal: Journal::resume(recover(&dir)?, options)?, options })
    }
}

/// Where the good records end, and why.
fn good_end(dir: &Path) -> Result<(Position, ReadError), JournalError> {
    let mut reader = LogReader::open(dir)?;
    let damage = loop {
        match reader.next_record() {
            Ok(Some(_)) => {}
            // Some damage shows only behind the last record.
            Ok(None) => break reader.end().err(),
            Err(damage) => break Some(damage),
        }
    };
    let end = reader.position();
    // A segment that reads to its end and is not what its seal says was changed by somebody who
    // made its checksums fit: nothing of it is good.
    match (check_seals(dir, None), damage) {
        (Err(ReadError::Seal { path, digest, seal }), damage) => {
            let name = path.file_name().and_then(|name| name.to_str());
            let segment = name.and_then(layout::segment_id_of).expect("a segment was digested");
            match damage {
                Some(damage) if segment >= end.segment => Ok((end, damage)),
                _ => {
                    let begin = Position { segment, offset: 0 };
                    Ok((begin, ReadError::Seal { path, digest, seal }))
                }
            }
        }
        (_, Some(damage)) => Ok((end, damage)),
        (_, None) => Err(JournalError::NotDamaged { dir: dir.to_owned() }),
    }
}

fn part_of(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}
