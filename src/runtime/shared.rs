//! The few words that threads share beside the rings: how far the log is, whether new orders may
//! leave, and whether to stop.

use crate::code::Code;
use crossbeam_utils::CachePadded;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How far the log is, whether new orders may leave, and whether to go on. Cloned to every thread.
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<Words>);

#[derive(Debug, Default)]
struct Words {
    written: CachePadded<AtomicU64>,
    synced: CachePadded<AtomicU64>,
    /// The last halt's sequence number, times 256, plus its code while it lasts.
    halt: CachePadded<AtomicU64>,
    /// How many kills were asked for.
    kills_asked: CachePadded<AtomicU64>,
    /// How many of them the engine has taken.
    kills_taken: CachePadded<AtomicU64>,
    stop: AtomicBool,
    journal_failed: AtomicBool,
}

/// Bits of a [`Code`] in the word that says whether trading is halted.
const CODE_BITS: u32 = 8;

/// A halt that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halt {
    /// Why.
    pub code: Code,
    /// Sequence number of the last slot of the group that halted: no two halts share one.
    pub seq: u64,
}

impl Shared {
    /// The journal thread has the records up to `seq` in its map: they survive the process.
    pub fn set_written(&self, seq: u64) {
        // SYNC POINT written: pairs with the Acquire in `written`. What the journal stored before
        // is visible to whoever sees the number.
        self.0.written.store(seq, Ordering::Release);
    }

    /// Last sequence number in the log.
    pub fn written(&self) -> u64 {
        // SYNC POINT written: pairs with the Release in `set_written`.
        self.0.written.load(Ordering::Acquire)
    }

    /// The records up to `seq` are on the disk: they survive the machine.
    pub fn set_synced(&self, seq: u64) {
        // SYNC POINT synced: pairs with the Acquire in `synced`.
        self.0.synced.store(seq, Ordering::Release);
    }

    /// Last sequence number on the disk.
    pub fn synced(&self) -> u64 {
        // SYNC POINT synced: pairs with the Release in `set_synced`.
        self.0.synced.load(Ordering::Acquire)
    }

    /// The engine says that new exposure is halted, or no longer is.
    pub(super) fn set_halt(&self, halt: Option<Halt>) {
        let word = match halt {
            Some(Halt { code, seq }) => (seq << CODE_BITS) | u64::from(code as u8),
            // The number stays: what was decided before the halt does not leave after it.
            None => self.0.halt.load(Ordering::Relaxed) >> CODE_BITS << CODE_BITS,
        };
        // SYNC POINT halt: pairs with the Acquire in `halt_word`.
        self.0.halt.store(word, Ordering::Release);
    }

    fn halt_word(&self) -> u64 {
        // SYNC POINT halt: pairs with the Release in `set_halt`.
        self.0.halt.load(Ordering::Acquire)
    }

    /// Whether the engine has halted new exposure, why and since when.
    pub fn halt(&self) -> Option<Halt> {
        let word = self.halt_word();
        let [code, ..] = word.to_le_bytes();
        Code::from_u8(code).map(|code| Halt { code, seq: word >> CODE_BITS })
    }

    /// The kill switch: from this moment no new order leaves, whatever the other threads are doing;
    /// the engine halts and asks to cancel everything that works in its next turn. May be called
    /// from a signal handler: it adds to one word.
    pub fn kill(&self) {
        // SYNC POINT kill: pairs with the Acquire in `kills_asked`. The words of the kill, which
        // lie in the control ring, are visible to whoever sees it.
        self.0.kills_asked.fetch_add(1, Ordering::AcqRel);
    }

    /// How many kills were asked for.
    pub fn kills_asked(&self) -> u64 {
        // SYNC POINT kill: pairs with the Release in `kill`.
        self.0.kills_asked.load(Ordering::Acquire)
    }

    /// The engine has taken so many kills; it has said before that it is halted.
    pub(super) fn set_kills_taken(&self, taken: u64) {
        // SYNC POINT kills_taken: pairs with the Acquire in `kill_waits`.
        self.0.kills_taken.store(taken, Ordering::Release);
    }

    /// Whether a kill was asked for that the engine has not taken.
    pub fn kill_waits(&self) -> bool {
        // SYNC POINT kills_taken: pairs with the Release in `set_kills_taken`.
        self.kills_asked() != self.0.kills_taken.load(Ordering::Acquire)
    }

    /// Whether the gate for new orders is closed: trading is halted, or a kill was asked for.
    pub fn is_closed(&self) -> bool {
        // The kill first: when it has just been taken, the halt that it became is visible. Asked
        // the other way round, both could be missed.
        self.kill_waits() || self.halt().is_some()
    }

    /// Whether what was decided by record `seq` has been overtaken by a halt, even one that is
    /// over, or by a kill that is still to be taken.
    pub fn is_overtaken(&self, seq: u64) -> bool {
        // For the order of the two, see `is_closed`.
        self.kill_waits() || seq <= self.halt_word() >> CODE_BITS
    }

    /// Asks for an orderly end. May be called from a signal handler: it stores one word.
    pub fn stop(&self) {
        self.0.stop.store(true, Ordering::Release);
    }

    /// Whether an end was asked for.
    pub fn is_stopping(&self) -> bool {
        self.0.stop.load(Ordering::Acquire)
    }

    /// The journal cannot go on: nothing more may leave.
    pub fn set_journal_failed(&self) {
        self.0.journal_failed.store(true, Ordering::Release);
        self.stop();
    }

    /// Whether the journal cannot go on.
    pub fn journal_failed(&self) -> bool {
        self.0.journal_failed.load(Ordering::Acquire)
    }
}
