//! The memory map of the segment being written: the only file that says `unsafe`.
//!
//! The map is written by one thread, and its file read by anyone with plain reads. Words are stored
//! through atomics, so that the compiler keeps the order: a slot's last word, which holds its
//! checksum, goes last.
#![allow(unsafe_code)]

use crate::journal::layout::{PAGE_SIZE, Slot};
use memmap2::MmapRaw;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

const WORD_SIZE: usize = size_of::<AtomicU64>();
const SLOT_WORDS: usize = 8;

/// A segment in memory, writable, shared with the file.
#[derive(Debug)]
pub(super) struct SegmentMap {
    map: MmapRaw,
}

impl SegmentMap {
    /// Maps the whole of `file`, which must have `size` allocated bytes: a store to a page without
    /// a block behind it would be a SIGBUS on a full disk.
    ///
    /// # Errors
    ///
    /// The file cannot be mapped, or has not `size` bytes.
    pub(super) fn new(file: &File, size: u64) -> io::Result<Self> {
        let map = MmapRaw::map_raw(file)?;
        assert!(map.as_ptr().cast::<AtomicU64>().is_aligned());
        if u64::try_from(map.len()) != Ok(size) {
            return Err(io::Error::other("the file's size changed while it was opened"));
        }
        Ok(Self { map })
    }

    /// Stores a sealed slot at a byte offset. A reader that sees the last word sees all eight.
    #[inline]
    pub(super) fn store_slot(&mut self, offset: usize, slot: &Slot) {
        let index = offset / WORD_SIZE;
        let words = &self.words()[index..index + SLOT_WORDS];
        for (word, value) in words.iter().zip(&slot[..SLOT_WORDS - 1]) {
            word.store(value.to_le(), Ordering::Relaxed);
        }
        // Release: no store above may sink below this one. Its counterpart is not a load but the
        // reader's checksum test, which takes a slot only when all of it is there.
        words[SLOT_WORDS - 1].store(slot[SLOT_WORDS - 1].to_le(), Ordering::Release);
    }

    /// Makes the kernel back the page at a byte offset that was never written: a fault now, not
    /// under a record later.
    pub(super) fn prefault(&mut self, offset: u64) {
        assert!(offset.is_multiple_of(PAGE_SIZE));
        let index = usize::try_from(offset).expect("inside the map") / WORD_SIZE;
        // The page is all zeros, so that a zero changes nothing.
        self.words()[index].store(0, Ordering::Relaxed);
    }

    #[inline]
    fn words(&self) -> &[AtomicU64] {
        let start = self.map.as_ptr().cast::<AtomicU64>();
        // SAFETY: the map is a live, aligned array of words that may be written through a shared
        // reference.
        // - `MmapRaw` keeps `len` bytes mapped, readable and writable, until it is dropped, and the
        //   slice borrows `self`; the length is rounded down to whole words;
        // - a map begins on a page, so its words are aligned (asserted in `new`);
        // - all access in this process is atomic, and every bit pattern is an `AtomicU64`;
        // - the file was allocated before it was mapped and is never shortened by us; if someone
        //   else shortens it, the kernel ends the process (SIGBUS): a stop, not a wrong value.
        unsafe { std::slice::from_raw_parts(start, self.map.len() / WORD_SIZE) }
    }
}
