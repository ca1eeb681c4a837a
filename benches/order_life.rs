//! What does one whole order life cost on one thread? Mark, signal, sizing, risk, CREATED, PENDING,
//! SUBMITTED, ACCEPTED, one to three fills, position, P&L, and the CLOSED of an older order; every
//! input and event encoded and stored to memory, checkpoints included.
//!
//! The floor in the same run: as many plain 64-byte stores to the same kind of memory. Quote the
//! ratio; the nanoseconds are this machine's, on this day.

mod common;

use common::{Market, Sink, duel, timed};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;

/// Orders of one burst: about a millisecond.
const ORDERS: usize = 400;

/// The workload, and what it puts out for each order.
struct Life {
    market: Market,
    sink: Sink,
}

impl Life {
    fn new() -> Self {
        let mut sink = Sink::new();
        Self { market: Market::new(&mut sink), sink }
    }

    fn burst(&mut self) -> Duration {
        self.market.refresh(ORDERS, &mut self.sink);
        timed(|| (0..ORDERS).for_each(|_| self.market.order_life(&mut self.sink)))
    }
}

/// The result before the time: fills, position and equity against plain arithmetic. Returns the
/// slots of a burst.
fn check() -> u64 {
    let mut life = Life::new();
    let (slots, sent) = (life.sink.count, life.sink.sent);
    life.burst();
    life.market.check();
    // Each order goes out, and each mark, which a simulated venue sees in the same order.
    assert_eq!(life.sink.sent - sent, 2 * ORDERS as u64);
    life.sink.count - slots
}

fn plain_stores(sink: &mut Sink, slots: u64) {
    for at in 0..slots {
        sink.store(black_box(&[at; 8]));
    }
}

fn order_life(criterion: &mut Criterion) {
    let slots = check();
    println!("an order's life is {:.1} slots of 64 bytes", slots as f64 / ORDERS as f64);
    let mut life = Life::new();
    let mut floor = Sink::new();
    let mut group = criterion.benchmark_group(format!("{ORDERS} orders"));
    group.throughput(Throughput::Elements(ORDERS as u64));
    group.bench_function("order life", |bencher| {
        bencher.iter_custom(|bursts| (0..bursts).map(|_| life.burst()).sum());
    });
    group.bench_function("as many plain stores", |bencher| {
        bencher.iter(|| plain_stores(&mut floor, slots));
    });
    group.finish();
    let stores = || timed(|| plain_stores(&mut floor, slots));
    duel(["an order's life", "as many plain stores"], ORDERS, || life.burst(), stores);
}

criterion_group!(benches, order_life);
criterion_main!(benches);
