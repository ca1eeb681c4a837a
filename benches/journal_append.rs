//! What does it cost to append slots to the log: checksum, sequence, chain and the store into the
//! mapped segment, in batches as the journal thread drains them?
//!
//! The floor in the same run: a plain copy of the same slots into a map that was touched before.
//! Backing pages ahead ([`Journal::maintain`]), which the journal thread does in idle turns, and
//! syncs are not timed.

mod common;

use common::{Market, Records, duel, timed};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use memmap2::MmapMut;
use std::hint::black_box;
use std::time::Duration;
use trade_engine::codec::{Slot, records};
use trade_engine::journal::{Journal, JournalOptions, LogReader, layout};

/// Slots of one burst, 512 KiB: as far as the journal backs pages ahead.
const BURST: usize = 8_192;
/// Slots of one batch, about: the events of a few inputs.
const BATCH: usize = 64;
/// Slots of one log before a new one is begun: half of a segment.
const LOG_SLOTS: u64 = 1 << 19;

/// A log in a directory of its own, and whole records to append, renumbered as they go.
struct Log {
    journal: Journal,
    batches: Vec<Vec<Slot>>,
    slots: u64,
    // Dropped last: the journal is in it.
    dir: tempfile::TempDir,
}

impl Log {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory to write in");
        let journal = open(&dir);
        let mut output = Records::default();
        Market::new(&mut output);
        let (mut batches, mut batch) = (Vec::new(), Vec::new());
        for record in records(&output.0[..BURST]) {
            batch.extend_from_slice(record);
            if batch.len() >= BATCH {
                batches.push(std::mem::take(&mut batch));
            }
        }
        batches.push(batch);
        let slots = batches.iter().map(Vec::len).sum::<usize>() as u64;
        Self { journal, batches, slots, dir }
    }

    /// Appends the batches, once pages are backed and the numbers go on from the last burst.
    fn burst(&mut self) -> Duration {
        if self.journal.written_seq() + self.slots > LOG_SLOTS {
            self.dir = tempfile::tempdir().expect("a directory to write in");
            self.journal = open(&self.dir);
        }
        let mut seq = self.journal.written_seq();
        for slot in self.batches.iter_mut().flatten() {
            seq += 1;
            slot[0] = seq;
        }
        for _ in 0..16 {
            self.journal.maintain().expect("room on the disk");
        }
        timed(|| {
            for batch in &self.batches {
                self.journal.append(batch).expect("room on the disk");
            }
        })
    }
}

fn open(dir: &tempfile::TempDir) -> Journal {
    Journal::create(&dir.path().join("log"), JournalOptions::default()).expect("room on the disk")
}

/// Everything appended can be read again, in order, as it was.
fn check() {
    let mut log = Log::new();
    log.burst();
    log.burst();
    let wanted: Vec<Slot> = log.batches.iter().flatten().copied().collect();
    let mut reader = LogReader::open(log.journal.dir()).expect("it was written");
    let mut found = Vec::new();
    while let Some(record) = reader.next_record().expect("it is sound") {
        found.extend(record.iter().map(layout::content));
    }
    assert_eq!(found.len(), 2 * wanted.len());
    assert!(found[wanted.len()..].iter().copied().eq(wanted.iter().map(layout::content)));
}

/// Copies the batches into a map, one behind the other.
struct Floor {
    map: MmapMut,
    at: usize,
}

impl Floor {
    fn new() -> Self {
        let size = usize::try_from(LOG_SLOTS).expect("it fits") * size_of::<Slot>();
        let mut map = MmapMut::map_anon(size).expect("memory");
        map.fill(1);
        Self { map, at: 0 }
    }

    fn burst(&mut self, batches: &[Vec<Slot>]) -> Duration {
        let size: usize = batches.iter().map(|batch| size_of_val(batch.as_slice())).sum();
        if self.at + size > self.map.len() {
            self.at = 0;
        }
        timed(|| {
            for slot in batches.iter().flatten() {
                let words = self.map[self.at..self.at + size_of::<Slot>()].chunks_exact_mut(8);
                for (to, word) in words.zip(slot) {
                    to.copy_from_slice(&word.to_le_bytes());
                }
                self.at += size_of::<Slot>();
            }
            black_box(&mut self.map);
        })
    }
}

fn journal_append(criterion: &mut Criterion) {
    check();
    let mut log = Log::new();
    let batches = log.batches.clone();
    let mut floor = Floor::new();
    let mut group = criterion.benchmark_group(format!("{} slots", log.slots));
    group.throughput(Throughput::Bytes(log.slots * layout::SLOT_BYTES));
    group.bench_function("journal append", |bencher| {
        bencher.iter_custom(|bursts| (0..bursts).map(|_| log.burst()).sum());
    });
    group.bench_function("plain copy", |bencher| {
        bencher.iter_custom(|bursts| (0..bursts).map(|_| floor.burst(&batches)).sum());
    });
    group.finish();
    let slots = usize::try_from(log.slots).expect("it fits");
    duel(["a slot appended", "copied"], slots, || log.burst(), || floor.burst(&batches));
}

criterion_group!(benches, journal_append);
criterion_main!(benches);
