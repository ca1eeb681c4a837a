//! The strategies on sequences worked out by hand, and on random ones: the same bars give the same
//! signals, and exact figures agree with plain rational ones.

use num_bigint::BigInt;
use num_rational::BigRational;
use trade_engine::input::{Input, SignalSide};
use trade_engine::instrument::InstrumentId;
use trade_engine::limits::PRICE_MAX;
use trade_engine::order::ClOrdId;
use trade_engine::strategy::{
    Bar, Breakout, Mark, MeanReversion, Momentum, Positions, Signal, Strategy, StrategyError,
    StrategySettings,
};
use trade_engine::units::{Price, Qty, Ratio, Ts};

const ES: InstrumentId = InstrumentId(0);
const NQ: InstrumentId = InstrumentId(1);

fn price(text: &str) -> Price {
    text.parse().unwrap()
}

fn ratio(text: &str) -> Ratio {
    text.parse().unwrap()
}

fn bar(instrument: InstrumentId, [high, low, close]: [Price; 3]) -> Bar {
    Bar { instrument, opened: Ts(0), open: close, high, low, close, volume: 1 }
}

/// Feeds bars, one a line as `close` or `high low close`, and holds one lot as the signals say.
/// Behind `=>` stands what the strategy says: `buy 0.75`, `buy 1 stop 98`, `flat`.
fn check(strategy: &mut dyn Strategy, script: &str) {
    let mut positions = Positions::new(1);
    for (line, text) in script.lines().map(str::trim).enumerate().filter(|(_, t)| !t.is_empty()) {
        let (figures, expected) = text.split_once("=>").unwrap_or((text, ""));
        let figures: Vec<Price> = figures.split_whitespace().map(price).collect();
        let close = *figures.last().unwrap();
        let range = if figures.len() == 3 { [figures[0], figures[1]] } else { [close; 2] };
        let signal = strategy.on_bar(&bar(ES, [range[0], range[1], close]), &positions);
        assert_eq!(signal.map_or(String::new(), shown), expected.trim(), "line {line}: {text}");
        hold(&mut positions, signal, close);
    }
}

fn hold(positions: &mut Positions, signal: Option<Signal>, close: Price) {
    let Some(signal) = signal else { return };
    let qty = match signal.side {
        SignalSide::Buy => Qty(1),
        SignalSide::Sell => Qty(-1),
        SignalSide::Flat => Qty(0),
    };
    positions.set(signal.instrument, qty, (qty != Qty(0)).then_some(close));
}

fn shown(signal: Signal) -> String {
    let stop = signal.stop_price.map_or(String::new(), |stop| format!(" stop {stop}"));
    assert_eq!((signal.price, signal.qty), (None, None));
    match signal.side {
        SignalSide::Flat => "flat".to_owned(),
        SignalSide::Buy | SignalSide::Sell => {
            format!("{} {}{stop}", signal.side.name(), signal.strength)
        }
    }
}

#[test]
fn momentum_buys_what_rises_and_leaves_what_falls() {
    let momentum = |short| Momentum::new(1, 2, ratio("0.02"), short);
    // Returns over two bars: 2 % (not above), 3 %, ..., -2 % (not below), -4.04 %.
    let script = "100
                  99
                  102
                  101.97        => buy 0.75
                  103
                  99.9306
                  98.84         => flat
                  90
                  90";
    check(&mut momentum(false), script);
    // The strength is |return| / 4 %, cut at 1: a fall by 8.94 % and by 9.94 % sells.
    check(
        &mut momentum(true),
        "100
         100
         99             
         97             => sell 0.75
         96
         99             => flat
         100            => buy 1
         90             => flat",
    );
}

#[test]
fn momentum_has_no_return_at_or_below_zero() {
    check(&mut Momentum::new(1, 1, ratio("0.02"), true), "10\n -37\n -10\n 0\n 10\n 11 => buy 1");
}

#[test]
fn momentum_compares_exactly() {
    // One unit of 1e-9 above the threshold is above it; a rounded ratio would not see it.
    let start = PRICE_MAX / 2;
    let then = |close| {
        let mut momentum = Momentum::new(1, 1, ratio("0.02"), false);
        let mut on = |close| momentum.on_bar(&bar(ES, [Price(close); 3]), &Positions::new(1));
        assert_eq!(on(start), None);
        on(close)
    };
    assert_eq!(then(start + start / 50), None);
    let signal = Signal::buy(ES).strength(Ratio(500_000_000));
    assert_eq!(then(start + start / 50 + 1), Some(signal));
}

#[test]
fn each_instrument_has_its_own_history() {
    let mut momentum = Momentum::new(2, 1, ratio("0.02"), false);
    let positions = Positions::new(2);
    let mut on = |instrument, close| {
        let close = price(close);
        momentum.on_bar(&bar(instrument, [close; 3]), &positions)
    };
    assert_eq!(on(ES, "100"), None);
    assert_eq!(on(NQ, "200"), None);
    assert_eq!(on(ES, "100"), None);
    assert_eq!(on(NQ, "210").map(|signal| signal.instrument), Some(NQ));
    assert_eq!(on(InstrumentId::UNKNOWN, "1"), None);
}

#[test]
fn mean_reversion_buys_far_below_the_mean() {
    let reversion = |short| MeanReversion::new(1, 4, ratio("1.5"), ratio("0.5"), short);
    // Closes 10 10 10 6: mean 9, deviation sqrt(3), z = -3 / sqrt(3) = -1.732...; half of the
    // entry is 57.7 %. Then 10 10 6 8: 8.5, sqrt(2.75), -0.30: near enough to leave.
    check(
        &mut reversion(false),
        "10
         10
         10
         6              => buy 0.577350269
         8              => flat
         9",
    );
    check(
        &mut reversion(true),
        "10
         10
         10
         10
         14             => sell 0.577350269
         14
         10             => flat",
    );
}

#[test]
fn mean_reversion_stays_out_past_the_range() {
    let mut reversion = MeanReversion::new(1, 2, ratio("0.5"), ratio("0"), true);
    let positions = Positions::new(1);
    for close in [i64::MAX, i64::MIN, i64::MAX] {
        assert_eq!(reversion.on_bar(&bar(ES, [Price(close); 3]), &positions), None);
    }
}

#[test]
fn breakout_trades_the_channel() {
    check(
        &mut Breakout::new(1, 3, 2, false),
        "11 9 10
         12 8 11
         11 10 10
         13 10 12
         14 11 13.5     => buy 1 stop 10
         15 12 14
         14 11 11.5
         13 10 10       => flat
         9 5 6",
    );
    check(
        &mut Breakout::new(1, 2, 1, true),
        "11 9 10
         12 10 11
         9 8 8          => sell 1 stop 9
         9 7 9
         10 8 9.5       => flat
         13 9 12.5      => buy 1 stop 9",
    );
}

#[test]
fn a_breakout_waits_until_its_channel_is_full() {
    check(&mut Breakout::new(1, 3, 5, true), "1\n 2\n 3\n 4\n 5 => buy 1 stop 1");
}

#[test]
fn signals_travel_as_inputs() {
    let signal = Signal::sell(NQ).strength(ratio("0.5")).price(Price(1)).stop(Price(2)).qty(Qty(3));
    let id = ClOrdId::new(2, 1);
    let expected = Input::Signal {
        id,
        instrument: NQ,
        side: SignalSide::Sell,
        strategy: 4,
        strength: ratio("0.5"),
        price: Some(Price(1)),
        stop_price: Some(Price(2)),
        qty: Some(Qty(3)),
        defect: None,
    };
    assert_eq!(signal.strategy(4).input(id), expected);
}

#[test]
fn positions_say_what_is_held() {
    let mut positions = Positions::new(1);
    assert!(positions.is_flat(ES) && positions.is_flat(NQ));
    positions.set(ES, Qty(-2), Some(Price(5)));
    assert_eq!((positions.qty(ES), positions.avg_px(ES)), (Qty(-2), Some(Price(5))));
    assert!(positions.is_short(ES) && !positions.is_long(ES) && !positions.is_flat(ES));
    assert_eq!((positions.qty(NQ), positions.avg_px(NQ)), (Qty(0), None));
}

#[test]
fn settings_are_named_and_checked() {
    for name in ["momentum", "mean_reversion", "breakout"] {
        let settings = StrategySettings::named(name).unwrap();
        assert_eq!((settings.name(), settings.check()), (name, Ok(())));
        let mark = Mark { instrument: ES, ts: Ts(0), price: Price(1), bid: None, ask: None };
        assert_eq!(settings.build(1).on_mark(&mark, &Positions::new(1)), None);
    }
    assert_eq!(StrategySettings::named("astrology"), None);
    let (zero, allow_short) = (Ratio(0), false);
    let bad = [
        (
            StrategySettings::Momentum { lookback: 0, threshold: zero, allow_short },
            StrategyError::Lookback,
        ),
        (
            StrategySettings::Momentum { lookback: 1, threshold: Ratio(-1), allow_short },
            StrategyError::Threshold,
        ),
        (
            StrategySettings::MeanReversion { lookback: 1, entry: zero, exit: zero, allow_short },
            StrategyError::LookbackTooShort,
        ),
        (
            StrategySettings::MeanReversion { lookback: 2, entry: zero, exit: zero, allow_short },
            StrategyError::EntryExit,
        ),
        (
            StrategySettings::Breakout { entry_lookback: 9, exit_lookback: 10_001, allow_short },
            StrategyError::Lookback,
        ),
    ];
    for (settings, error) in bad {
        assert_eq!(settings.check(), Err(error));
    }
}

/// A random walk of closes: steps of up to 2 % of a small alphabet of sizes.
fn closes(seed: u64, count: usize) -> Vec<Price> {
    let mut state = seed;
    let mut close = 100_000_000_000_i64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let step = i64::try_from((state >> 33) % 41).unwrap() - 20;
        close += close / 1_000 * step;
        Price(close)
    };
    (0..count).map(|_| next()).collect()
}

fn signals(settings: StrategySettings, closes: &[Price]) -> Vec<(usize, Signal)> {
    let mut strategy = settings.build(1);
    let mut positions = Positions::new(1);
    let mut all = Vec::new();
    for (index, close) in closes.iter().enumerate() {
        let spread = Price(close.0 / 100);
        let (high, low) = (Price(close.0 + spread.0), Price(close.0 - spread.0));
        let signal = strategy.on_bar(&bar(ES, [high, low, *close]), &positions);
        hold(&mut positions, signal, *close);
        all.extend(signal.map(|signal| (index, signal)));
    }
    all
}

/// Repeat with `SEED=n RUNS=n cargo test --test strategies random`.
fn seeds() -> impl Iterator<Item = u64> {
    let number = |name: &str, default| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let (seed, runs) = (number("SEED", 1), number("RUNS", 10));
    println!("SEED={seed} RUNS={runs}");
    seed..seed + runs
}

#[test]
fn random_walks_give_the_same_signals_twice_in_pairs_of_in_and_out() {
    for seed in seeds() {
        let closes = closes(seed, 2_000);
        for name in ["momentum", "mean_reversion", "breakout"] {
            let settings = StrategySettings::named(name).unwrap();
            let all = signals(settings, &closes);
            assert_eq!(all, signals(settings, &closes), "{name}, SEED={seed}");
            assert!(all.len() > 10, "{name}, SEED={seed}: {}", all.len());
            for (index, (_, signal)) in all.iter().enumerate() {
                let expected = if index % 2 == 0 { SignalSide::Buy } else { SignalSide::Flat };
                assert_eq!(signal.side, expected, "{name}, SEED={seed}");
                assert!(Ratio(0) < signal.strength && signal.strength <= Ratio::ONE);
            }
        }
    }
}

fn whole(value: i64) -> BigRational {
    BigRational::from_integer(BigInt::from(value))
}

/// The two rules again, in rationals, written to be obvious rather than fast.
fn expected(settings: StrategySettings, closes: &[Price], long: bool) -> Option<SignalSide> {
    let scale = whole(1_000_000_000);
    let close = whole(closes.last()?.0);
    if let StrategySettings::Momentum { lookback, threshold, .. } = settings {
        let past = whole(closes.iter().rev().nth(lookback)?.0);
        let change = (close - &past) / past;
        let threshold = whole(threshold.0) / scale;
        return match long {
            false => (change > threshold).then_some(SignalSide::Buy),
            true => (change < -threshold).then_some(SignalSide::Flat),
        };
    }
    if let StrategySettings::MeanReversion { lookback, entry, exit, .. } = settings {
        let start = closes.len().checked_sub(lookback)?;
        let count = whole(i64::try_from(lookback).unwrap());
        let mean = closes[start..].iter().map(|p| whole(p.0)).sum::<BigRational>() / &count;
        let squares = closes[start..].iter().map(|p| (whole(p.0) - &mean).pow(2));
        let variance = squares.sum::<BigRational>() / count;
        let distance = close - mean;
        let bound = |z: Ratio| (whole(z.0) / &scale).pow(2) * &variance;
        let below = distance < whole(0);
        return match long {
            false => (below && distance.pow(2) > bound(entry)).then_some(SignalSide::Buy),
            true => (!below || distance.pow(2) <= bound(exit)).then_some(SignalSide::Flat),
        };
    }
    unreachable!("the other one compares prices only")
}

#[test]
fn random_walks_agree_with_rational_arithmetic() {
    for seed in seeds() {
        let closes = closes(seed, 250);
        for name in ["momentum", "mean_reversion"] {
            let settings = StrategySettings::named(name).unwrap();
            let all = signals(settings, &closes);
            let mut long = false;
            for index in 0..closes.len() {
                let said = all.iter().find(|(at, _)| *at == index).map(|(_, signal)| signal.side);
                let expected = expected(settings, &closes[..=index], long);
                assert_eq!(said, expected, "{name}, SEED={seed}, bar {index}");
                long = said.map_or(long, |side| side == SignalSide::Buy);
            }
        }
    }
}
