//! Bytes to records: the pure core of the reader. Any bytes are allowed: they are a stranger's.
#![forbid(unsafe_code)]

use crate::journal::crc;
use crate::journal::layout::{self, FLAG_CONT, FLAGS_ALL, Fault, KIND_MARK, Mark, Slot};
use crate::limits::{SLOT_SIZE, SLOTS_PER_RECORD_MAX};

/// Where the chain stands: all that is needed to judge the next slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Sequence number of the last slot.
    pub last_seq: u64,
    /// Stored checksum of the last slot, or of the segment's header before the first.
    pub last_crc: u32,
}

impl Chain {
    /// Behind a slot that was checked.
    #[inline]
    pub const fn behind(slot: &Slot) -> Self {
        Self { last_seq: layout::seq(slot), last_crc: layout::crc(slot) }
    }
}

/// Slots decoded at once: few enough to stay in the first-level cache until they are handed out.
pub(super) const BLOCK_SLOTS: usize = 64;

/// What stands at the front of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// Whole records, one at least; their slots are in the buffer handed in, as the writer was
    /// given them plus checksum.
    Records,
    /// A mark slot of the journal, and where the chain stands behind it.
    Mark(Chain, Mark),
}

/// Decodes the records or the mark at the front of `bytes`, which continue `chain`. Pure.
///
/// `records` is cleared first, and then takes whole records up to a block, the next mark, or the
/// next fault, which is found again once it is at the front. Fewer than 64 bytes are no slot: the
/// end of a segment.
///
/// # Errors
///
/// What is wrong with the first record: [`Fault::Empty`] for zeros or nothing; what else is wrong
/// with its first bad slot; and [`Fault::Incomplete`] if its later slots are not all there.
pub fn decode_next(bytes: &[u8], chain: Chain, records: &mut Vec<Slot>) -> Result<Decoded, Fault> {
    records.clear();
    let slots = bytes.as_chunks::<SLOT_SIZE>().0;
    let slots = &slots[..slots.len().min(BLOCK_SLOTS)];
    let mut chain = chain;
    // Slots of whole records; the slot before, and how many of its record follow it.
    let (mut whole, mut last, mut left) = (0, [0; 8], 0);
    for bytes in &slots[..fitting(slots, chain.last_crc)] {
        let slot = layout::from_bytes(bytes);
        let is_next = if left == 0 { is_first(&slot) } else { goes_on(&last, &slot) };
        if !is_next || Some(layout::seq(&slot)) != chain.last_seq.checked_add(1) {
            break;
        }
        records.push(handed_out(&slot));
        (chain, last, left) = (Chain::behind(&slot), slot, layout::left(&slot));
        if left == 0 {
            whole = records.len();
        }
    }
    let other = slots.get(records.len());
    records.truncate(whole);
    if whole > 0 { Ok(Decoded::Records) } else { other_than_record(other, chain, left) }
}

/// How many slots from the first on have the checksum of their bytes and of the slot before. A loop
/// of its own, with so little in it that the sums of several slots are under way at once.
fn fitting(slots: &[[u8; SLOT_SIZE]], mut last_crc: u32) -> usize {
    let mut fits = |bytes: &[u8; SLOT_SIZE]| {
        let slot = layout::from_bytes(bytes);
        let found = layout::crc(&slot);
        found == crc::chained(&slot, std::mem::replace(&mut last_crc, found))
    };
    slots.iter().position(|bytes| !fits(bytes)).unwrap_or(slots.len())
}

/// Whether a slot may be the first of a record.
#[inline]
fn is_first(slot: &Slot) -> bool {
    let (kind, flags) = (layout::kind(slot), layout::flags(slot));
    kind != 0
        && kind != KIND_MARK
        && flags & !(FLAGS_ALL & !FLAG_CONT) == 0
        && usize::from(layout::left(slot)) < SLOTS_PER_RECORD_MAX
}

/// Whether a slot may be the one behind `last` in the same record.
#[inline]
fn goes_on(last: &Slot, slot: &Slot) -> bool {
    layout::is_cont(slot)
        && layout::flags(slot) & !FLAGS_ALL == 0
        && layout::kind(slot) == layout::kind(last)
        && layout::aux(slot) == layout::aux(last)
        && layout::left(slot) + 1 == layout::left(last)
}

/// What stands where a record, or its last `left` slots, should: a mark, or what is wrong there.
#[cold]
fn other_than_record(
    slot: Option<&[u8; SLOT_SIZE]>,
    chain: Chain,
    left: u8,
) -> Result<Decoded, Fault> {
    let slot = slot.map_or([0; 8], layout::from_bytes);
    // Zeros are no slot, though one link in 2^32 is such that they pass the checksum.
    if slot == [0; 8] {
        return Err(if left > 0 { Fault::Incomplete { missing: left } } else { Fault::Empty });
    }
    let (found, expected) = (layout::crc(&slot), crc::chained(&slot, chain.last_crc));
    if found != expected {
        return Err(Fault::Crc { found, expected });
    }
    let (kind, flags) = (layout::kind(&slot), layout::flags(&slot));
    let is_mark = kind == KIND_MARK;
    let is_bare_mark =
        flags == 0 && layout::left(&slot) == 0 && layout::aux(&slot) == 0 && slot[6] == 0;
    if kind == 0 || flags & !FLAGS_ALL != 0 || (is_mark && !is_bare_mark) {
        return Err(Fault::Unknown { kind, flags });
    }
    let due = if is_mark { Some(chain.last_seq) } else { chain.last_seq.checked_add(1) };
    let seq = layout::seq(&slot);
    if Some(seq) != due {
        return Err(Fault::Seq { found: seq, expected: due.unwrap_or(chain.last_seq) });
    }
    if is_mark && left == 0 {
        return Ok(Decoded::Mark(Chain::behind(&slot), Mark::from_words(&slot)));
    }
    Err(Fault::Unknown { kind, flags })
}

/// The slot as the writer was given it, plus its checksum.
#[inline]
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
        decode_next(&bytes, chain, &mut Vec::new())
    }

    /// A checksum vouches for the bytes, not for what they mean.
    #[test]
    fn slots_that_fit_the_chain_and_make_no_record_are_refused() {
        assert!(matches!(decoded(&[(42, FIRST, 1), (43, NEXT, 0)]), Ok(Decoded::Records)));
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
