//! The log: a directory of segments of 64-byte slots, each chained to the one before by its
//! checksum. What is in it survives the process; what is below its mark survives the machine.
//!
//! - [`layout`]: the format on one page;
//! - `crc`: the checksum chain; `map`: the mapped segment, the only `unsafe`;
//! - `dir`: lock, permissions, files; `disk`: what makes them durable; `synced`: the durable mark;
//! - `seal`: digests of closed segments, made beside the writer;
//! - [`Journal`]: the one writer; `errand`: a sync that it need not wait for;
//! - [`LogReader`]: any number of readers; `decode`: its pure core, [`decode_next`]; `survey`: what
//!   lies behind the end;
//! - [`retire`]: moves a segment that is no longer needed into an [`Archive`]; `archived`: the note
//!   of where those are;
//! - [`recover`]: after a crash, by the table in [`verdict`]; [`salvage`]: the good prefix of what
//!   that refuses.

mod archive;
mod archived;
mod crc;
mod decode;
mod dir;
mod disk;
mod errand;
mod error;
pub mod layout;
mod map;
mod reader;
mod recovery;
mod salvage;
mod seal;
mod survey;
mod synced;
pub mod verdict;
mod writer;

pub use archive::{Archive, DirArchive, LogLock, last_settled, retire};
pub use archived::ArchivedNote;
pub use decode::{Chain, Decoded, decode_next};
pub use dir::is_log;
pub use disk::{Disk, MachineDisk};
pub use errand::{SyncErrand, SyncOutcome};
pub use error::{JournalError, ReadError};
pub use layout::{Fault, Mark, Position, Seal, SegmentHeader, Slot};
pub use reader::{Bookmark, LogEnd, LogReader, Tail};
pub use recovery::{Cut, Recovery, recover, recover_on};
pub use salvage::{Salvaged, salvage};
pub use seal::{Sealer, Sealing, Seals, check_seals};
pub use writer::{Journal, JournalOptions};
