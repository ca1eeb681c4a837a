//! Our own best prices against a list that is searched from end to end, over random moves.
//!
//! `SEED=7 RUNS=1 cargo test --test ladder` repeats one run.

#[path = "common/random.rs"]
mod random;

use random::{Random, runs};
use trade_engine::instrument::InstrumentId;
use trade_engine::order::Ladder;
use trade_engine::units::{Price, Side};

const SLOTS: u32 = 60;
const INSTRUMENTS: u16 = 2;
const SIDES: [Side; 2] = [Side::Buy, Side::Sell];

/// Where each slot stands, if anywhere.
type Naive = Vec<Option<(InstrumentId, Side, Price)>>;

fn best(naive: &Naive, instrument: InstrumentId, side: Side) -> Option<Price> {
    let here = naive.iter().flatten().filter(|at| (at.0, at.1) == (instrument, side));
    let prices = here.map(|at| at.2);
    if side == Side::Buy { prices.max() } else { prices.min() }
}

fn price(random: &mut Random) -> Price {
    match random.below(12) {
        0 => Price(i64::MAX),
        1 => Price(i64::MIN),
        // Few, so that many orders share one.
        _ => Price(random.range(9) - 4),
    }
}

fn run(seed: u64) {
    let mut random = Random::new(seed);
    let mut ladder = Ladder::new(usize::from(INSTRUMENTS), SLOTS as usize);
    let mut naive: Naive = vec![None; SLOTS as usize];
    for _ in 0..2_000 {
        let slot = u32::try_from(random.below(u64::from(SLOTS))).expect("few");
        let held = naive[slot as usize];
        let instrument = InstrumentId(u16::try_from(random.below(2)).expect("few"));
        let (instrument, side) =
            held.map_or((instrument, random.pick(&SIDES)), |(i, side, _)| (i, side));
        let to = (random.below(3) > 0).then(|| price(&mut random));
        ladder.reprice((instrument, side), slot, held.map(|at| at.2), to);
        naive[slot as usize] = to.map(|to| (instrument, side, to));
        for instrument in (0..INSTRUMENTS).map(InstrumentId) {
            for side in SIDES {
                assert_eq!(ladder.best(instrument, side), best(&naive, instrument, side));
            }
        }
    }
}

#[test]
fn the_best_price_is_what_a_search_finds() {
    for seed in runs(40) {
        println!("SEED={seed} RUNS=1 cargo test --test ladder");
        run(seed);
    }
}

#[test]
fn nothing_is_known_of_an_instrument_that_is_not_there() {
    let mut ladder = Ladder::new(1, 4);
    assert!(ladder.is_on());
    ladder.reprice((InstrumentId(0), Side::Buy), 3, None, Some(Price(5)));
    assert_eq!(ladder.best(InstrumentId(1), Side::Buy), None);
    assert_eq!(ladder.best(InstrumentId::UNKNOWN, Side::Sell), None);
    let off = Ladder::off();
    assert!(!off.is_on());
    assert_eq!(off.best(InstrumentId(0), Side::Buy), None);
}
