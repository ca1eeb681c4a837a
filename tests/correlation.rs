//! Correlation and deviation of bar returns against a naive twin in exact rationals.

#[path = "common/exact.rs"]
mod exact;

use exact::{Random, seed_and_runs};
use num_bigint::BigInt;
use num_rational::BigRational;
use std::collections::BTreeMap;
use trade_engine::instrument::InstrumentId;
use trade_engine::limits::{CORRELATION_WINDOW_MAX, PRICE_MAX, PRICE_SCALE};
use trade_engine::risk::{Correlations, Deviation};
use trade_engine::units::{Price, Ratio, Ts};

const A: InstrumentId = InstrumentId(0);
const B: InstrumentId = InstrumentId(1);

/// All bars of one instrument, for ever.
type Bars = BTreeMap<i64, i64>;

/// The square of the coefficient and its sign, from the last `window` common closes.
fn naive(one: &Bars, other: &Bars, window: usize) -> Option<(BigRational, i32)> {
    // Only what the engine keeps: twice the window of each.
    let kept = |bars: &Bars| -> Bars {
        bars.iter().rev().take(2 * window).map(|(at, close)| (*at, *close)).collect()
    };
    let (one, other) = (kept(one), kept(other));
    let common: Vec<(i64, i64)> =
        one.iter().filter_map(|(at, x)| Some((*x, *other.get(at)?))).collect();
    let common = common.get(common.len().checked_sub(window)?..)?;
    let mut pairs = Vec::new();
    for step in common.windows(2) {
        let gain = |from: i64, to: i64| {
            if from <= 0 || to <= 0 {
                return None;
            }
            // A quotient of big integers is cut towards zero.
            let nanos = (BigInt::from(to) - BigInt::from(from)) * PRICE_SCALE / from;
            (nanos <= BigInt::from(1_000) * PRICE_SCALE).then_some(nanos)
        };
        pairs.push((gain(step[0].0, step[1].0)?, gain(step[0].1, step[1].1)?));
    }
    // Deviations from the mean, times n, so that they are whole numbers.
    let n = BigInt::from(pairs.len());
    let zero = BigInt::from(0);
    let (sum_x, sum_y): (BigInt, BigInt) =
        (pairs.iter().map(|(x, _)| x).sum(), pairs.iter().map(|(_, y)| y).sum());
    let (mut cov, mut var_x, mut var_y) = (zero.clone(), zero.clone(), zero.clone());
    for (x, y) in &pairs {
        let (dx, dy) = (x * &n - &sum_x, y * &n - &sum_y);
        cov += &dx * &dy;
        var_x += &dx * &dx;
        var_y += &dy * &dy;
    }
    if var_x == zero || var_y == zero {
        return None;
    }
    let sign = if cov > zero { 1 } else { -i32::from(cov < zero) };
    Some((BigRational::new(&cov * &cov, var_x * var_y), sign))
}

/// The coefficient is the exact one, rounded away from zero at 1e-9.
fn check(product: Option<Ratio>, twin: Option<(BigRational, i32)>) {
    let Some((square, sign)) = twin else {
        assert_eq!(product, None);
        return;
    };
    let found = product.expect("the twin has a verdict");
    assert_eq!(found.0.signum(), i64::from(sign));
    let size = found.0.abs();
    assert!(size <= PRICE_SCALE);
    let squared = |size: i64| {
        let ratio = BigRational::new(size.into(), PRICE_SCALE.into());
        &ratio * &ratio
    };
    assert!(squared(size) >= square, "{found} is too near to zero");
    assert!(size == 0 || squared(size - 1) < square, "{found} is too far from zero");
}

#[test]
fn random_bars_agree_with_the_twin() {
    let (seed, runs) = seed_and_runs("correlation", 3_000);
    let mut random = Random(seed);
    let mut verdicts = 0;
    for window in [3, 5, 20, CORRELATION_WINDOW_MAX] {
        let mut correlations = Correlations::new(2, window);
        let mut bars = [Bars::new(), Bars::new()];
        let mut closes = [4_500 * PRICE_SCALE, 70 * PRICE_SCALE];
        for at in 0..i64::try_from(runs / 4).expect("small") {
            let wild = random.below(400) == 0;
            let common = random.between(-30, 30);
            for (i, instrument) in [A, B].into_iter().enumerate() {
                // A holiday now and then; now and then a price that has no return.
                if random.below(15) == 0 {
                    continue;
                }
                let own = common + random.between(-20, 20);
                closes[i] += closes[i] / 1_000 * own;
                closes[i] = closes[i].clamp(PRICE_SCALE, PRICE_MAX);
                let close = if wild { random.pick(&[0, -1, 1, PRICE_MAX]) } else { closes[i] };
                bars[i].insert(at, close);
                correlations.on_bar(instrument, Ts(at), Price(close));
                let twin = naive(&bars[0], &bars[1], window);
                verdicts += u64::from(twin.is_some());
                check(correlations.get(A, B), twin);
                let variance = naive_variance(&bars[i], window);
                check_deviation(correlations.deviation(instrument), variance);
                assert_eq!(correlations.get(A, B), correlations.get(B, A));
            }
        }
    }
    println!("{verdicts} verdicts");
    assert!(runs < 3_000 || verdicts > runs / 4);
}

/// The square of the standard deviation of the last `window` closes' returns.
fn naive_variance(bars: &Bars, window: usize) -> Option<BigRational> {
    let closes: Vec<i64> = bars.values().copied().collect();
    let closes = closes.get(closes.len().checked_sub(window)?..)?;
    let mut returns = Vec::new();
    for step in closes.windows(2) {
        let (from, to) = (step[0], step[1]);
        if from <= 0 || to <= 0 {
            return None;
        }
        let nanos = (BigInt::from(to) - BigInt::from(from)) * PRICE_SCALE / from;
        if nanos > BigInt::from(1_000) * PRICE_SCALE {
            return None;
        }
        returns.push(nanos);
    }
    // Deviations from the mean, times n, so that they are whole numbers.
    let n = BigInt::from(returns.len());
    let sum: BigInt = returns.iter().sum();
    let squares = returns.iter().map(|one| (one * &n - &sum) * (one * &n - &sum));
    let squares: BigInt = squares.sum();
    let nano = BigInt::from(PRICE_SCALE);
    let whole = &n * &n * (&n - BigInt::from(1)) * &nano * &nano;
    (squares > BigInt::from(0)).then(|| BigRational::new_raw(squares, whole))
}

/// The deviation is the exact one, rounded up at 1e-15.
fn check_deviation(product: Option<Deviation>, twin: Option<BigRational>) {
    let Some(variance) = twin else {
        assert_eq!(product, None);
        return;
    };
    let found = product.expect("the twin has a verdict");
    // Both sides times both denominators.
    let one = BigInt::from(Deviation::ONE);
    let exact = variance.numer() * &one * &one;
    let squared = |units: i64| BigInt::from(units) * units * variance.denom();
    assert!(found.0 > 0);
    assert!(squared(found.0) >= exact, "{found} is too small");
    assert!(squared(found.0 - 1) < exact, "{found} is too large");
}

#[test]
fn the_deviation_is_the_root_of_the_mean_square() {
    // Returns of 10 %, -10 %, 20 %: mean 1/15, squares 1/900, 25/900, 16/900 of two.
    let found = feed(&[(100, 1), (110, 1), (99, 1), (1188, 10)]);
    assert_eq!(found.deviation(B).map(|found| found.0 > 0), Some(true));
    let mut found = Correlations::new(2, 4);
    for (at, close) in [(0, 1_000), (1, 1_100), (2, 990), (3, 1_188)] {
        assert_eq!(found.deviation(A), None);
        found.on_bar(A, Ts(at), Price(close));
    }
    // sqrt(0.07 / 3) = 0.1527525231651946...
    assert_eq!(found.deviation(A), Some(Deviation(152_752_523_165_195)));
    assert_eq!(found.deviation(A).map(|one| one.to_string()), Some("0.152752523165195".into()));
    assert_eq!(found.deviation(B), None);
    assert_eq!(found.deviation(InstrumentId(2)), None);
    assert_eq!(Correlations::off().deviation(A), None);
    // A bar that comes twice is one bar; one that did not move is no deviation.
    found.on_bar(A, Ts(3), Price(5_000));
    assert_eq!(found.deviation(A), Some(Deviation(152_752_523_165_195)));
    for at in 4..8 {
        found.on_bar(A, Ts(at), Price(1_188));
    }
    assert_eq!(found.deviation(A), None);
}

#[test]
fn the_wildest_moves_have_a_deviation() {
    for window in [3, CORRELATION_WINDOW_MAX] {
        let mut found = Correlations::new(1, window);
        let mut bars = Bars::new();
        for at in 0..i64::try_from(2 * window).expect("small") {
            let close = if at % 2 == 0 { PRICE_SCALE } else { 1_001 * PRICE_SCALE };
            bars.insert(at, close);
            found.on_bar(A, Ts(at), Price(close));
            check_deviation(found.deviation(A), naive_variance(&bars, window));
        }
        assert!(found.deviation(A).is_some_and(|found| found.0 > 500 * 1_000_000_000_000_000));
    }
}

fn feed(closes: &[(i64, i64)]) -> Correlations {
    let mut correlations = Correlations::new(2, closes.len());
    for (at, (a, b)) in closes.iter().enumerate() {
        let opened = Ts(i64::try_from(at).expect("small"));
        correlations.on_bar(A, opened, Price(a * PRICE_SCALE));
        correlations.on_bar(B, opened, Price(b * PRICE_SCALE));
    }
    correlations
}

#[test]
fn the_same_moves_are_one_and_opposite_moves_minus_one() {
    assert_eq!(feed(&[(100, 10), (110, 11), (99, 10)]).get(A, B).map(|r| r.0 > 0), Some(true));
    let same = feed(&[(100, 200), (110, 220), (99, 198), (120, 240)]);
    assert_eq!(same.get(A, B), Some(Ratio::ONE));
    let opposite = feed(&[(100, 100), (150, 50), (150, 50), (75, 75)]);
    assert_eq!(opposite.get(A, B), Some(Ratio(-PRICE_SCALE)));
}

#[test]
fn too_few_or_too_still_is_no_verdict() {
    let mut correlations = Correlations::new(2, 3);
    for at in 0..10 {
        correlations.on_bar(A, Ts(at), Price(at + 1));
        // B's bars open at other times.
        correlations.on_bar(B, Ts(100 + at), Price(at + 1));
        assert_eq!(correlations.get(A, B), None);
    }
    assert_eq!(feed(&[(100, 5), (110, 5), (99, 5)]).get(A, B), None);
    // A bar that comes twice is one bar.
    let mut correlations = Correlations::new(2, 3);
    for at in [0, 0, 0, 1] {
        correlations.on_bar(A, Ts(at), Price(10 + at));
        correlations.on_bar(B, Ts(at), Price(10 + at));
    }
    assert_eq!(correlations.get(A, B), None);
    assert_eq!(Correlations::off().get(A, B), None);
    assert_eq!(same_instrument(), None);
}

#[test]
fn a_close_at_or_below_zero_has_no_return() {
    for bad in [0, -10, -1_000] {
        for at in 0..4 {
            let mut closes = [(100, 10), (110, 12), (99, 11), (120, 10)];
            assert!(feed(&closes).get(A, B).is_some());
            closes[at].0 = bad;
            let found = feed(&closes);
            assert_eq!(found.get(A, B), None, "{closes:?}");
            assert_eq!(found.deviation(A), None, "{closes:?}");
            assert!(found.deviation(B).is_some());
        }
    }
}

fn same_instrument() -> Option<Ratio> {
    feed(&[(100, 200), (110, 220), (99, 198)]).get(A, A)
}

#[test]
fn every_pair_has_its_own_coefficient() {
    const COUNT: u16 = 6;
    let (seed, _) = seed_and_runs("correlation of many", 1);
    let mut random = Random(seed);
    let mut bars = vec![Bars::new(); usize::from(COUNT)];
    let mut found = Correlations::new(usize::from(COUNT), 5);
    for at in 0..5 {
        for instrument in 0..COUNT {
            let close = random.between(90, 110) * PRICE_SCALE;
            bars[usize::from(instrument)].insert(at, close);
            found.on_bar(InstrumentId(instrument), Ts(at), Price(close));
        }
    }
    for one in 0..COUNT {
        assert_eq!(found.get(InstrumentId(one), InstrumentId(COUNT)), None);
        for other in (0..COUNT).filter(|other| *other != one) {
            let twin = naive(&bars[usize::from(one)], &bars[usize::from(other)], 5);
            check(found.get(InstrumentId(one), InstrumentId(other)), twin);
        }
    }
}
