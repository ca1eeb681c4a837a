//! Bytes to records: the pure core of the reader. Any bytes are allowed: they are a stranger's.
#![forbid(unsafe_code)]

use crate::journal::crc;
use crate::journal::layout::{self, FLAGS_ALL, Fault, KIND_MARK, Mark, Slot};
use crate::limits::{SLOT_SIZE, SLOTS_PER_RECORD_MAX};
use arrayvec::ArrayVec;

/// Where the chain stands: all that is needed to judge the next slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Sequence number of the last slot.
    pub last_seq: u64,
    /// Stored checksum of the last slot, or of the segment's header before the first.
    pub last_crc: u32,
}

/// What stands at the front of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A record; its slots are in the buffer handed in, as the writer was given them plus checksum.
    Record(Chain),
    /// A mark slot of the journal.
    Mark(Chain, Mark),
}

/// Decodes the record or mark at the front of `bytes`, which continue `chain`. Pure.
///
/// `record` is cleared first. Bytes behind the record are not looked at. Fewer than 64 bytes are no
/// slot: the end of a segment.
///
/// # Errors
///
/// [`Fault::Empty`] for zeros or nothing; what else is wrong with the first bad slot; and
/// [`Fault::Incomplete`] if the record's later slots are not all there.
pub fn decode_next(
    bytes: &[u8],
    chain: Chain,
    record: &mut ArrayVec<Slot, SLOTS_PER_RECORD_MAX>,
) -> Result<Decoded, Fault> {
    record.clear();
    let first = slot_at(bytes)?;
    let mut chain = check_slot(&first, chain)?;
    if layout::kind(&first) == KIND_MARK {
        return Ok(Decoded::Mark(chain, Mark::from_words(&first)));
    }
    let unknown =
        |slot: &Slot| Fault::Unknown { kind: layout::kind(slot), flags: layout::flags(slot) };
    let mut left = layout::left(&first);
    if layout::is_cont(&first) || usize::from(left) + 1 > SLOTS_PER_RECORD_MAX {
        return Err(unknown(&first));
    }
    record.push(handed_out(&first));
    while left > 0 {
        let rest = &bytes[record.len() * SLOT_SIZE..];
        let incomplete = |fault| {
            if fault == Fault::Empty { Fault::Incomplete { missing: left } } else { fault }
        };
        let slot = slot_at(rest).map_err(incomplete)?;
        let next = check_slot(&slot, chain).map_err(incomplete)?;
        if !layout::is_cont(&slot)
            || layout::kind(&slot) != layout::kind(&first)
            || layout::aux(&slot) != layout::aux(&first)
            || layout::left(&slot) != left - 1
        {
            return Err(unknown(&slot));
        }
        record.push(handed_out(&slot));
        chain = next;
        left -= 1;
    }
    Ok(Decoded::Record(chain))
}

/// The slot at the front of `bytes`.
#[inline]
fn slot_at(bytes: &[u8]) -> Result<Slot, Fault> {
    bytes.first_chunk::<SLOT_SIZE>().map(layout::from_bytes).ok_or(Fault::Empty)
}

/// Checks one slot by itself and against its predecessor. Only a reference goes in and only the
/// chain comes out: a slot that is handed about is copied each time.
#[inline]
fn check_slot(slot: &Slot, chain: Chain) -> Result<Chain, Fault> {
    let (found, expected) = (layout::crc(slot), crc::chained(slot, chain.last_crc));
    let (kind, flags) = (layout::kind(slot), layout::flags(slot));
    // Zeros are no slot, though one link in 2^32 is such that they pass the checksum.
    if (found != expected || kind == 0) && *slot == [0; 8] {
        return Err(Fault::Empty);
    }
    if found != expected {
        return Err(Fault::Crc { found, expected });
    }
    let is_mark = kind == KIND_MARK;
    let is_bare_mark =
        flags == 0 && layout::left(slot) == 0 && layout::aux(slot) == 0 && slot[6] == 0;
    if kind == 0 || flags & !FLAGS_ALL != 0 || (is_mark && !is_bare_mark) {
        return Err(Fault::Unknown { kind, flags });
    }
    let due = if is_mark { Some(chain.last_seq) } else { chain.last_seq.checked_add(1) };
    let seq = layout::seq(slot);
    if Some(seq) != due {
        return Err(Fault::Seq { found: seq, expected: due.unwrap_or(chain.last_seq) });
    }
    Ok(Chain { last_seq: seq, last_crc: found })
}

/// The slot as the writer was given it, plus its checksum.
fn handed_out(slot: &Slot) -> Slot {
    layout::with_crc(&layout::content(slot), layout::crc(slot))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::layout::{FLAG_CONT, FLAG_END, kind_and_flags, sealed, to_bytes};

    const FIRST: u64 = kind_and_flags(7, FLAG_END);
    const NEXT: u64 = kind_and_flags(7, FLAG_CONT);
    const MARK: u64 = kind_and_flags(KIND_MARK, 0);

    /// Slots of these sequence numbers, last words and LEFT, every checksum as it should be.
    fn decoded(slots: &[(u64, u64, u8)]) -> Result<Decoded, Fault> {
        let chain = Chain { last_seq: 41, last_crc: 0x1234_5678 };
        let (mut bytes, mut crc) = (Vec::new(), chain.last_crc);
        for (seq, word, left) in slots {
            let slot = sealed(&[*seq, 0, 0, 0, 0, 0, 0, *word], *left, crc);
            crc = layout::crc(&slot);
            bytes.extend(to_bytes(&slot));
        }
        decode_next(&bytes, chain, &mut ArrayVec::new())
    }

    /// A checksum vouches for the bytes, not for what they mean.
    #[test]
    fn slots_that_fit_the_chain_and_make_no_record_are_refused() {
        assert!(matches!(decoded(&[(42, FIRST, 1), (43, NEXT, 0)]), Ok(Decoded::Record(_))));
        assert!(matches!(decoded(&[(41, MARK, 0)]), Ok(Decoded::Mark(..))));
        let seq = |slots: &[(u64, u64, u8)]| match decoded(slots) {
            Err(Fault::Seq { found, expected }) => (found, expected),
            other => panic!("{other:?}"),
        };
        for found in [0, 41, 44] {
            assert_eq!(seq(&[(found, FIRST, 0)]), (found, 42));
            assert_eq!(seq(&[(42, FIRST, 1), (found, NEXT, 0)]), (found, 43));
        }
        assert_eq!(seq(&[(42, MARK, 0)]), (42, 41), "a mark takes none");
        let aux = 1 << 16;
        for (what, slots) in [
            ("no kind", &[(42, kind_and_flags(0, FLAG_END), 0)][..]),
            ("a flag of no meaning", &[(42, kind_and_flags(7, 1 << 4), 0)]),
            ("a continuation of nothing", &[(42, NEXT, 0)]),
            ("a record within a record", &[(42, FIRST, 1), (43, FIRST, 0)]),
            ("another kind", &[(42, FIRST, 1), (43, kind_and_flags(8, FLAG_CONT), 0)]),
            ("another aux", &[(42, FIRST, 1), (43, NEXT | aux, 0)]),
            ("LEFT stands still", &[(42, FIRST, 1), (43, NEXT, 1), (44, NEXT, 0)]),
            ("LEFT skips one", &[(42, FIRST, 2), (43, NEXT, 0)]),
            ("a mark with a flag", &[(41, kind_and_flags(KIND_MARK, FLAG_END), 0)]),
            ("a mark of two slots", &[(41, MARK, 1)]),
            ("a mark with an aux", &[(41, MARK | aux, 0)]),
        ] {
            let outcome = decoded(slots);
            assert!(matches!(outcome, Err(Fault::Unknown { .. })), "{what}: {outcome:?}");
        }
    }
}
