//! What does one record cost across one rtrb ring between two threads: one by one, and published in
//! batches of 16 and 64? And how long is the way there and back of a single one?
//!
//! The floors in the same run: plain 64-byte stores by one thread, and two bare words. With one
//! core the threads take turns by yielding, and the figures are those of the scheduler.

mod common;

use common::{Sink, duel, timed};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crossbeam_utils::CachePadded;
use rtrb::{Consumer, Producer, RingBuffer};
use std::hint::black_box;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use trade_engine::codec::Slot;
use trade_engine::limits::EVENT_RING_SLOTS;

/// Records of one burst: as many as the ring holds, so that the sender never waits for room.
const RECORDS: u64 = EVENT_RING_SLOTS as u64;
/// Round trips of one burst.
const TRIPS: u64 = 4_000;
/// Round trips before those that are timed: the other thread has to start first.
const WARM_UP: u64 = 200;

/// Two threads and two rings: what goes out in one is counted and checked by the other side, which
/// answers each time it has seen as many as it was asked for.
struct Pair {
    out: Producer<Slot>,
    back: Consumer<u64>,
    next: u64,
    echo: Option<JoinHandle<u64>>,
}

impl Pair {
    fn new() -> Self {
        let (out, records) = RingBuffer::new(EVENT_RING_SLOTS);
        let (answers, back) = RingBuffer::new(64);
        let echo = std::thread::spawn(move || echo(records, answers));
        Self { out, back, next: 1, echo: Some(echo) }
    }

    /// The next record; the last word asks for an answer.
    fn record(&mut self, answer: bool) -> Slot {
        let mut slot = [self.next; 8];
        slot[7] = u64::from(answer);
        self.next += 1;
        slot
    }

    /// Sends `count` records in batches, and waits until all have been seen.
    fn stream(&mut self, count: u64, batch: usize) {
        let mut slots: Vec<Slot> = Vec::with_capacity(batch);
        let last = self.next + count - 1;
        while self.next <= last {
            slots.clear();
            while slots.len() < batch && self.next <= last {
                let slot = self.record(self.next == last);
                slots.push(slot);
            }
            let mut spins = 0;
            while self.out.push_entire_slice(&slots).is_err() {
                wait(&mut spins);
            }
        }
        self.wait_for(last);
    }

    /// Sends one record `count` times, and waits for each answer.
    fn trips(&mut self, count: u64) {
        for _ in 0..count {
            let slot = self.record(true);
            assert!(self.out.push(slot).is_ok(), "the ring is empty between two trips");
            self.wait_for(slot[0]);
        }
    }

    fn wait_for(&mut self, last: u64) {
        let mut spins = 0;
        loop {
            match self.back.pop() {
                Ok(seen) => return assert_eq!(seen, last, "a record was lost"),
                Err(_) => wait(&mut spins),
            }
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // Without a producer the other side comes to its end.
        let (unconnected, _) = RingBuffer::new(1);
        drop(std::mem::replace(&mut self.out, unconnected));
        let seen = self.echo.take().expect("joined once").join();
        assert!(seen.is_ok_and(|seen| seen == self.next - 1), "a record was lost");
    }
}

/// Takes whatever is there, checks that nothing is missing, answers where asked. Returns the last
/// record's number.
fn echo(mut records: Consumer<Slot>, mut answers: Producer<u64>) -> u64 {
    let (mut seen, mut spins) = (0, 0);
    loop {
        // Asked before draining: what was pushed before the other end was dropped is still taken.
        let abandoned = records.is_abandoned();
        let count = records.slots();
        if count == 0 {
            if abandoned {
                return seen;
            }
            wait(&mut spins);
            continue;
        }
        spins = 0;
        let mut asked = None;
        let chunk = records.read_chunk(count).expect("it was there");
        for slot in chunk {
            assert_eq!(slot[0], seen + 1, "a record was lost or came twice");
            seen = slot[0];
            asked = if slot[7] == 1 { Some(seen) } else { asked };
        }
        if let Some(seen) = asked {
            assert!(answers.push(seen).is_ok(), "one answer at a time");
        }
    }
}

/// Turns to spin before the core is given up: on a single core nothing moves otherwise. On several
/// they are many, since a core that was given up is counted as lost.
static SPINS_MAX: LazyLock<u32> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    if cores > 1 { 20_000 } else { 0 }
});

fn wait(spins: &mut u32) {
    if *spins < *SPINS_MAX {
        *spins += 1;
        std::hint::spin_loop();
    } else {
        std::thread::yield_now();
    }
}

/// What a round trip costs at least: one word there and one back, each in a line of its own.
fn bare_words(trips: u64) -> Duration {
    let words = [CachePadded::new(AtomicU64::new(0)), CachePadded::new(AtomicU64::new(0))];
    let wait_for = |word: usize, number: u64| {
        let mut spins = 0;
        // Acquire, with the Release below: a message would be read behind the word.
        while words[word].load(Ordering::Acquire) != number {
            wait(&mut spins);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=WARM_UP + trips {
                wait_for(0, number);
                words[1].store(number, Ordering::Release);
            }
        });
        let trip = |number| {
            words[0].store(number, Ordering::Release);
            wait_for(1, number);
        };
        (1..=WARM_UP).for_each(trip);
        timed(|| (WARM_UP + 1..=WARM_UP + trips).for_each(trip))
    })
}

/// The same with a ring each way.
fn ring_trips(trips: u64) -> Duration {
    let mut pair = Pair::new();
    pair.trips(WARM_UP);
    timed(|| pair.trips(trips))
}

fn ring_hop(criterion: &mut Criterion) {
    let mut pair = Pair::new();
    // Nothing is lost, whatever the batch: the other side counts, and answers for the last.
    for batch in [1, 16, 64, 100] {
        pair.stream(3 * EVENT_RING_SLOTS as u64 + 1, batch);
    }
    let mut group = criterion.benchmark_group("one way");
    group.throughput(Throughput::Elements(RECORDS));
    for batch in [1, 16, 64] {
        group.bench_function(BenchmarkId::new("batch", batch), |bencher| {
            bencher.iter(|| pair.stream(RECORDS, batch));
        });
    }
    group.finish();
    criterion.bench_function("there and back", |bencher| {
        bencher.iter_custom(|trips| timed(|| pair.trips(trips)));
    });
    let mut floor = Sink::new();
    let mut stores = || timed(|| (0..RECORDS).for_each(|at| floor.store(black_box(&[at; 8]))));
    let count = usize::try_from(RECORDS).expect("it fits");
    for batch in [1, 16, 64] {
        let name = format!("a record in batches of {batch}");
        let hop = || timed(|| pair.stream(RECORDS, batch));
        duel([&name, "a plain store"], count, hop, &mut stores);
    }
    // Each burst has threads of its own: an idle one would take a core from the other contender.
    drop(pair);
    let trips = usize::try_from(TRIPS).expect("it fits");
    let what = ["there and back", "two bare words"];
    duel(what, trips, || ring_trips(TRIPS), || bare_words(TRIPS));
}

criterion_group!(benches, ring_hop);
criterion_main!(benches);
