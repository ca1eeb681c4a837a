//! The checksum chain: CRC-32C over a slot, with the previous slot's checksum folded in.
//!
//! A slot's own checksum field (bytes 60-63) is not part of its content, so the previous slot's
//! checksum is put there while the sum is taken: bytes 0-59, then the four bytes of the link, in
//! one pass of eight words. A checksum then vouches for the slot and for its place: a slot that
//! was lost, moved, swapped or left over from an earlier use of the file does not fit its
//! predecessor. The chain does not serialise the reading: every predecessor's checksum lies stored
//! in the file, so slots can be checked in any order.

/// Checksum of `words` (a slot, a header or a mark) as the successor of what ended in `prev_crc`.
///
/// Whatever stands in bytes 60-63 of `words` is ignored.
#[inline]
pub(super) fn chained(words: &[u64; 8], prev_crc: u32) -> u32 {
    let mut linked = *words;
    linked[7] = (linked[7] & 0xffff_ffff) | (u64::from(prev_crc) << 32);
    // Whole words: narrow stores under the wide loads of the CRC would stall.
    let mut bytes = AlignedSlot([0; 64]);
    for (eight_bytes, word) in bytes.0.chunks_exact_mut(8).zip(linked) {
        eight_bytes.copy_from_slice(&word.to_le_bytes());
    }
    crc32c::crc32c(&bytes.0)
}

/// Aligned, so that the CRC instruction takes eight bytes at a time from the first byte on.
#[repr(align(64))]
struct AlignedSlot([u8; 64]);

#[cfg(test)]
mod tests {
    use super::chained;

    /// The published check value of CRC-32C, through the same crate call.
    #[test]
    fn is_crc_32c() {
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn folds_the_link_in_and_ignores_the_own_field() {
        let words = [1, 2, 3, 4, 5, 6, 7, 8];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word: &u64| word.to_le_bytes()).collect();
        bytes[60..].copy_from_slice(&0xdead_beef_u32.to_le_bytes());
        assert_eq!(chained(&words, 0xdead_beef), crc32c::crc32c(&bytes));
        let mut stored = words;
        stored[7] |= 0x1234_5678 << 32;
        assert_eq!(chained(&stored, 0xdead_beef), chained(&words, 0xdead_beef));
        assert_ne!(chained(&words, 0), chained(&words, 1));
    }
}
