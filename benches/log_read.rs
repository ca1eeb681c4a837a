//! What does it cost to read a log and prove every slot of it: checksums, sequence, chain, records
//! put together?
//!
//! The floor in the same run: a plain read of the same file into a buffer of the same size, and the
//! checksum of every slot, one by one. What lies above it is ours. And what comes on top when the
//! state is rebuilt, as a start after a crash does.

mod common;

use common::{Market, Records, duel, timed};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;
use trade_engine::codec::Slot;
use trade_engine::journal::{Journal, JournalOptions, LogReader, layout};
use trade_engine::replay::Replay;

/// Slots of the log, about: 32 MiB.
const LOG_SLOTS: usize = 1 << 19;
/// Slots of one burst, 128 KiB: long enough for a clock, short enough to be left alone.
const BURST: usize = 2_048;
/// Bytes read at once: as the reader does.
const BUFFER: usize = 64 << 10;

/// A log of many orders' lives, on the disk and so in the machine's cache.
struct Log {
    parent: tempfile::TempDir,
    hash: u64,
}

impl Log {
    fn new() -> Self {
        let parent = tempfile::tempdir().expect("a directory to write in");
        let options = JournalOptions::default();
        let mut journal = Journal::create(&parent.path().join("log"), options).expect("room");
        let mut records = Records::default();
        let mut market = Market::new(&mut records);
        while records.0.len() < LOG_SLOTS {
            market.order_life(&mut records);
        }
        journal.append(&records.0).expect("room on the disk");
        journal.close().expect("a disk");
        Self { parent, hash: market.engine.state().hash() }
    }

    fn dir(&self) -> PathBuf {
        self.parent.path().join("log")
    }

    fn reader(&self) -> LogReader {
        LogReader::open(&self.dir()).expect("it was written")
    }

    /// The whole log, read and folded, is the state that was live.
    fn check(&self) {
        let (mut reader, mut replay) = (self.reader(), Replay::default());
        while let Some(slots) = reader.next_record().expect("it is sound") {
            replay.next(slots).expect("an engine wrote it");
        }
        assert_eq!(replay.state().expect("it has a head").hash(), self.hash);
    }
}

/// Reads on, from the beginning again once the end is near; what it does with each record is timed
/// with it.
struct Reading<'a> {
    log: &'a Log,
    reader: LogReader,
    replay: Option<Replay>,
    read: usize,
}

impl<'a> Reading<'a> {
    fn new(log: &'a Log, folds: bool) -> Self {
        Self { log, reader: log.reader(), replay: folds.then(Replay::default), read: 0 }
    }

    fn burst(&mut self) -> Duration {
        if self.read + 2 * BURST > LOG_SLOTS {
            *self = Self::new(self.log, self.replay.is_some());
        }
        let mut count = 0;
        let time = timed(|| {
            while count < BURST {
                let slots = self.reader.next_record().expect("it is sound").expect("not the end");
                count += slots.len();
                match &mut self.replay {
                    Some(replay) => {
                        replay.next(slots).expect("an engine wrote it");
                    }
                    None => {
                        black_box(slots);
                    }
                }
            }
        });
        self.read += count;
        time
    }
}

/// The floor: the bytes of the first segment, and a checksum of each slot.
struct Floor {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    read: usize,
}

impl Floor {
    fn new(log: &Log) -> Self {
        let path = log.dir().join(layout::segment_name(1));
        let file = File::open(&path).expect("it was written");
        let mut floor = Self { path, file, buffer: vec![0; BUFFER], read: 0 };
        // Half a log away: at the same place, one would find in the cache what the other has read.
        (0..LOG_SLOTS / 2 / BURST).for_each(|_| _ = floor.burst());
        floor
    }

    fn burst(&mut self) -> Duration {
        if self.read + BURST > LOG_SLOTS {
            self.file = File::open(&self.path).expect("it is there");
            self.read = 0;
        }
        self.read += BURST;
        timed(|| {
            for _ in 0..BURST * size_of::<Slot>() / BUFFER {
                self.file.read_exact(&mut self.buffer).expect("it is as long");
                for slot in self.buffer.chunks_exact(size_of::<Slot>()) {
                    black_box(crc32c::crc32c(slot));
                }
            }
        })
    }
}

fn log_read(criterion: &mut Criterion) {
    let log = Log::new();
    log.check();
    let (mut verified, mut folded) = (Reading::new(&log, false), Reading::new(&log, true));
    let mut floor = Floor::new(&log);
    let mut group = criterion.benchmark_group(format!("{BURST} slots"));
    group.throughput(Throughput::Bytes((BURST * size_of::<Slot>()) as u64));
    group.bench_function("read and verified", |bencher| {
        bencher.iter_custom(|bursts| (0..bursts).map(|_| verified.burst()).sum());
    });
    group.bench_function("read and folded", |bencher| {
        bencher.iter_custom(|bursts| (0..bursts).map(|_| folded.burst()).sum());
    });
    group.bench_function("plain read and checksums", |bencher| {
        bencher.iter_custom(|bursts| (0..bursts).map(|_| floor.burst()).sum());
    });
    group.finish();
    duel(["a slot verified", "checksum alone"], BURST, || verified.burst(), || floor.burst());
    duel(["a slot folded", "verified"], BURST, || folded.burst(), || verified.burst());
}

criterion_group!(benches, log_read);
criterion_main!(benches);
