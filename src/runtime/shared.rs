//! The few words that threads share beside the rings: how far the log is, and whether to stop.

use crossbeam_utils::CachePadded;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How far the log is, and whether to go on. Cloned to every thread.
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<Words>);

#[derive(Debug, Default)]
struct Words {
    written: CachePadded<AtomicU64>,
    synced: CachePadded<AtomicU64>,
    halted: CachePadded<AtomicBool>,
    stop: AtomicBool,
    journal_failed: AtomicBool,
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

    /// The engine says after every turn whether new exposure is halted.
    pub fn set_halted(&self, halted: bool) {
        // SYNC POINT halted: pairs with the Acquire in `halted`.
        self.0.halted.store(halted, Ordering::Release);
    }

    /// Whether new exposure is halted: read at the last moment before an order leaves.
    pub fn halted(&self) -> bool {
        // SYNC POINT halted: pairs with the Release in `set_halted`.
        self.0.halted.load(Ordering::Acquire)
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
