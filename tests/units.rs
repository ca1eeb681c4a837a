//! Decimals: what is parsed is what is printed, and every division rounds as it says.

#[path = "common/exact.rs"]
mod exact;

use exact::{Random, half_even, int, seed_and_runs};
use num_bigint::BigInt;
use num_rational::BigRational;
use proptest::prelude::*;
use std::cmp::Ordering;
use trade_engine::limits::{BALANCE_MAX, NOTIONAL_MAX};
use trade_engine::units::{
    DecimalError, Money, Price, Qty, Ratio, cmp_products, div_half_even, parse_decimal, prorate,
    write_decimal,
};

fn printed(value: i128, decimals: u32) -> String {
    let mut text = String::new();
    write_decimal(&mut text, value, decimals).expect("a string takes any text");
    text
}

/// The text is canonical, and reads as the same number.
fn check_round_trip(value: i128, decimals: u32) {
    let text = printed(value, decimals);
    assert_eq!(parse_decimal(&text, decimals), Ok(value), "{text}");
    assert!(!text.contains('.') || !text.ends_with(['0', '.']), "{text}");
    assert_ne!(text, "-0");
    // With every trailing zero that fits, it still reads the same.
    let fraction = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let dot = if fraction == 0 { "." } else { "" };
    let padded = format!("{text}{dot}{}", "0".repeat(decimals as usize - fraction + 1));
    assert_eq!(parse_decimal(&padded, decimals), Ok(value), "{padded}");
}

proptest! {
    #[test]
    fn every_price_round_trips(value: i64) {
        check_round_trip(i128::from(value), 9);
        let text = Price(value).to_string();
        prop_assert_eq!(text.parse::<Price>(), Ok(Price(value)));
        prop_assert_eq!(Ratio(value).to_string(), text);
    }

    #[test]
    fn every_quantity_round_trips(value: i64) {
        prop_assert_eq!(Qty(value).to_string(), value.to_string());
        prop_assert_eq!(value.to_string().parse::<Qty>(), Ok(Qty(value)));
    }

    #[test]
    fn every_wide_number_round_trips(value: i128, shift in 0_u32..127) {
        check_round_trip(value, 18);
        check_round_trip(value >> shift, 18);
    }

    #[test]
    fn every_balance_round_trips(value in -BALANCE_MAX..=BALANCE_MAX) {
        prop_assert_eq!(format!("{:+}", Money(value)).parse::<Money>(), Ok(Money(value)));
    }

    #[test]
    fn no_text_panics(text in "[-+.0-9eE ]{0,50}") {
        if let Ok(value) = parse_decimal(&text, 9) {
            prop_assert_eq!(parse_decimal(&printed(value, 9), 9), Ok(value));
        }
    }

    #[test]
    fn products_compare_exactly(a: i128, b: i128, c: i128, d: i128) {
        let exactly = (BigInt::from(a) * BigInt::from(b)).cmp(&(BigInt::from(c) * BigInt::from(d)));
        prop_assert_eq!(cmp_products(a, b, c, d), exactly);
        prop_assert_eq!(cmp_products(a, b, b, a), Ordering::Equal);
    }
}

#[test]
fn the_ends_of_the_types_round_trip() {
    for value in [i64::MIN, i64::MAX, 0, 1, -1, 10, -10] {
        check_round_trip(i128::from(value), 9);
    }
    for value in [i128::MIN, i128::MAX, i128::MIN + 1] {
        check_round_trip(value, 18);
        check_round_trip(value, 0);
    }
}

#[test]
fn a_tenth_and_a_fifth_are_three_tenths() {
    let price = |text: &str| text.parse::<Price>().expect("a price");
    let sum = price("0.1").checked_add(price("0.2")).expect("small");
    assert_eq!(sum, price("0.3"));
    assert_eq!(sum.to_string(), "0.3");
    let money = |text: &str| text.parse::<Money>().expect("money");
    assert_eq!(money("0.1").checked_add(money("0.2")), Some(money("0.3")));
    assert_eq!(Money(0).to_string(), "0");
    assert_eq!(Price(-500_000_000).to_string(), "-0.5");
}

#[test]
fn bad_texts_are_named() {
    let kinds = [
        ("", DecimalError::NotDecimal),
        ("-", DecimalError::NotDecimal),
        (".5", DecimalError::NotDecimal),
        ("5.", DecimalError::NotDecimal),
        ("+1", DecimalError::NotDecimal),
        ("1e3", DecimalError::NotDecimal),
        ("1.2.3", DecimalError::NotDecimal),
        (" 1", DecimalError::NotDecimal),
        ("0.0000000001", DecimalError::TooPrecise),
        ("9223372036.854775808", DecimalError::TooLarge),
        ("99999999999999999999999999999999999999999999", DecimalError::TooLarge),
    ];
    for (text, kind) in kinds {
        assert_eq!(text.parse::<Price>(), Err(kind), "{text}");
    }
    assert_eq!("-0.000".parse::<Price>(), Ok(Price(0)));
    assert_eq!("-9223372036.854775808".parse::<Price>(), Ok(Price(i64::MIN)));
}

#[test]
fn money_prints_nine_decimals_half_to_even() {
    let tie = 500_000_000;
    for (units, text) in [(1, "0.000000001"), (2, "0.000000002"), (-1, "-0.000000001")] {
        assert_eq!(Money(units * 1_000_000_000).to_string(), text);
    }
    assert_eq!(Money(tie).to_string(), "0");
    assert_eq!(Money(-tie).to_string(), "0");
    assert_eq!(Money(3 * tie).to_string(), "0.000000002");
    assert_eq!(Money(5 * tie).to_string(), "0.000000002");
    assert_eq!(Money(tie + 1).to_string(), "0.000000001");
}

fn check_division(numerator: i128, denominator: i128) {
    let exactly = BigRational::new(numerator.into(), denominator.into());
    let expected = i128::try_from(half_even(&exactly)).ok();
    assert_eq!(div_half_even(numerator, denominator), expected, "{numerator} / {denominator}");
}

fn check_prorate(value: i128, part: i64, whole: i64) {
    let exactly = BigRational::new(BigInt::from(value) * BigInt::from(part), whole.into());
    let expected = i128::try_from(half_even(&exactly)).expect("no larger than the value");
    assert_eq!(prorate(value, part, whole), expected, "{value} x {part} / {whole}");
}

#[test]
fn small_divisions_are_all_right() {
    for denominator in (-40..=40).filter(|d| *d != 0) {
        for numerator in -200..=200 {
            check_division(numerator, denominator);
        }
    }
    for whole in 1..=24 {
        for part in 0..=whole {
            for value in -120..=120 {
                check_prorate(value, part, whole);
            }
        }
    }
    assert_eq!(div_half_even(1, 0), None);
    assert_eq!(div_half_even(i128::MIN, -1), None);
}

#[test]
fn wide_divisions_are_right() {
    let (seed, runs) = seed_and_runs("units wide_divisions", 20_000);
    let mut random = Random(seed);
    for _ in 0..runs {
        let high = i128::from(random.next().cast_signed());
        let wide = high << 64 | i128::from(random.next());
        let value = wide >> random.below(127);
        let denominator = (wide.rotate_left(40) >> random.below(127)) | 1;
        check_division(value, denominator);
        check_division(denominator / 2, denominator & !1 | 2);
        let whole = (random.next() >> 1 >> random.below(63)).cast_signed().max(1);
        let part = random.between(0, whole - 1) + random.between(0, 1);
        check_prorate(value, part, whole);
        // Ties: an odd value, half of it.
        check_prorate(value | 1, whole / 2, whole);
        check_prorate(wide, whole, whole);
    }
    for value in [i128::MIN, i128::MAX, NOTIONAL_MAX, -NOTIONAL_MAX] {
        for (part, whole) in
            [(0, 1), (1, 1), (1, 2), (i64::MAX - 1, i64::MAX), (i64::MAX, i64::MAX)]
        {
            check_prorate(value, part, whole);
        }
    }
}

#[test]
fn a_scaled_balance_is_cut_towards_zero() {
    let (seed, runs) = seed_and_runs("units a_scaled", 5_000);
    let mut random = Random(seed);
    for _ in 0..runs {
        let value = (i128::from(random.next().cast_signed()) << 60) >> random.below(120);
        let ratio = random.between(-2_000_000_000, 2_000_000_000);
        let exactly = int(value) * BigRational::new(ratio.into(), 1_000_000_000.into());
        let cut = i128::try_from(exactly.trunc().to_integer()).expect("small");
        assert_eq!(Money(value).checked_scale(Ratio(ratio)), Some(Money(cut)));
    }
}
