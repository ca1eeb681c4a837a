//! What lies behind the last whole record of a log: how much, how much of it whole, and whether a
//! mark slot there gives away that something before it is missing.
#![forbid(unsafe_code)]

use crate::journal::crc;
use crate::journal::layout::{self, Fault, KIND_MARK, Mark, SLOT_BYTES};
use crate::journal::verdict::Rest;
use crate::limits::SLOT_SIZE;

/// What lies behind the last whole record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Survey {
    /// Bytes up to the last that is not zero.
    pub(super) bytes: u64,
    pub(super) valid_slots: u64,
    pub(super) log_mark: Option<Mark>,
    pub(super) short: Option<Fault>,
    pub(super) later_segments: bool,
}

impl Survey {
    pub(super) fn rest(&self) -> Rest {
        if self.bytes == 0 && self.short.is_none() && !self.later_segments {
            Rest::Zeros
        } else {
            Rest::Bytes
        }
    }

    /// "Nothing but zeros" is no reason to cut: what lies behind the zeros, or is missing, is.
    pub(super) fn better_fault(&self, fault: Fault) -> Fault {
        match self.short {
            Some(short) if fault == Fault::Empty => short,
            _ if fault == Fault::Empty => Fault::Stray,
            _ => fault,
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.valid_slots += other.valid_slots;
        self.log_mark = best(self.log_mark, other.log_mark);
    }

    /// Looks at the slots of one buffer, which begins `start` bytes behind the survey's first.
    pub(super) fn scan(&mut self, bytes: &[u8], start: u64, prev_crc: &mut u32) {
        let mut end = start;
        for chunk in bytes.chunks(SLOT_SIZE) {
            end += SLOT_BYTES;
            if chunk.iter().all(|byte| *byte == 0) {
                *prev_crc = 0;
                continue;
            }
            self.bytes = end;
            let Some(chunk) = chunk.first_chunk::<SLOT_SIZE>() else { continue };
            let slot = layout::from_bytes(chunk);
            let fits = layout::crc(&slot) == crc::chained(&slot, *prev_crc);
            *prev_crc = layout::crc(&slot);
            if fits && layout::kind(&slot) == KIND_MARK {
                self.log_mark = best(self.log_mark, Some(Mark::from_words(&slot)));
            } else if fits && layout::kind(&slot) != 0 {
                self.valid_slots += 1;
            }
        }
    }
}

/// The mark that covers more.
pub(super) fn best(one: Option<Mark>, other: Option<Mark>) -> Option<Mark> {
    match (one, other) {
        (Some(one), Some(other)) if other.position > one.position => Some(other),
        (Some(one), _) => Some(one),
        (None, other) => other,
    }
}
