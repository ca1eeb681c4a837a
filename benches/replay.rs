//! How fast is a state rebuilt from its log, against deciding it live on one thread?
//!
//! Both from memory: the records of the same orders, applied one by one; and the same orders taken
//! in by an engine that stores its records.

mod common;

use common::{Market, Records, Sink, duel, timed};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::time::Duration;
use trade_engine::codec::{Slot, records};
use trade_engine::replay::Replay;

/// Orders of one burst.
const ORDERS: usize = 400;

/// A log in memory, its head and the orders that filled the slab apart from those to be timed.
struct Recorded {
    head: Vec<Slot>,
    tail: Vec<Slot>,
    hash: u64,
}

impl Recorded {
    fn new() -> Self {
        let (mut head, mut tail) = (Records::default(), Records::default());
        let mut market = Market::new(&mut head);
        (0..ORDERS).for_each(|_| market.order_life(&mut tail));
        market.check();
        Self { head: head.0, tail: tail.0, hash: market.engine.state().hash() }
    }

    /// Rebuilds the state; the time of the orders behind the head. The state is the live one.
    fn rebuild(&self) -> Duration {
        let mut replay = Replay::default();
        let mut apply = |slots: &[Slot]| {
            for record in records(slots) {
                replay.next(record).expect("an engine wrote it");
            }
        };
        apply(&self.head);
        let time = timed(|| apply(&self.tail));
        assert_eq!(replay.state().expect("it has a head").hash(), self.hash);
        time
    }
}

fn replay(criterion: &mut Criterion) {
    let recorded = Recorded::new();
    let mut sink = Sink::new();
    let mut market = Market::new(&mut sink);
    let mut live = || {
        market.refresh(ORDERS, &mut sink);
        timed(|| (0..ORDERS).for_each(|_| market.order_life(&mut sink)))
    };
    let mut group = criterion.benchmark_group(format!("{ORDERS} orders"));
    group.throughput(Throughput::Elements(ORDERS as u64));
    group.bench_function("rebuilt", |bencher| {
        bencher.iter_custom(|bursts| (0..bursts).map(|_| recorded.rebuild()).sum());
    });
    group.bench_function("live", |bencher| {
        bencher.iter_custom(|bursts| (0..bursts).map(|_| live()).sum());
    });
    group.finish();
    duel(["an order rebuilt", "live"], ORDERS, || recorded.rebuild(), live);
}

criterion_group!(benches, replay);
criterion_main!(benches);
