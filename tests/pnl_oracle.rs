//! Random fills: positions and the account against a naive twin in exact rationals.
//!
//! The twin knows two things: the cash that every fill moved, and the exact average cost. From the
//! first follows, to the last unit of 1e-18, realized + unrealized = cash + market value; from the
//! second, what a close should have realized but for the rounding that is documented.

#[path = "common/exact.rs"]
mod exact;

use exact::{Random, half_even, int, seed_and_runs};
use num_bigint::BigInt;
use num_rational::BigRational;
use trade_engine::instrument::Instrument;
use trade_engine::limits::{BALANCE_MAX, LOT_VALUE_MAX, PRICE_MAX, PRICE_SCALE};
use trade_engine::position::{Account, Balance, Booked, Fill, Overflow, Position, slippage};
use trade_engine::units::{Money, Price, Qty, Side};

/// The naive twin of one position.
struct Oracle {
    lot_value: i64,
    qty: i64,
    /// Money in and out, 1e-18, commission not counted.
    cash: BigInt,
    /// Exact cost of what is held.
    cost: BigRational,
    /// Largest error that the documented rounding can have caused in the product's cost.
    error: BigRational,
}

impl Oracle {
    fn new(lot_value: i64) -> Self {
        Self { lot_value, qty: 0, cash: 0.into(), cost: int(0), error: int(0) }
    }

    fn value(&self, price: Price, qty: i64) -> BigInt {
        BigInt::from(price.0) * BigInt::from(qty) * BigInt::from(self.lot_value)
    }

    fn book(&mut self, fill: &Fill) {
        let signed = fill.qty.0 * fill.side.sign();
        self.cash -= self.value(fill.price, signed);
        let mut left = signed;
        if self.qty.signum() == -signed.signum() {
            let closed = signed.abs().min(self.qty.abs());
            let kept = BigRational::new((self.qty.abs() - closed).into(), self.qty.abs().into());
            self.cost = &self.cost * kept;
            self.error = if closed == self.qty.abs() {
                int(0)
            } else {
                &self.error + BigRational::new(1.into(), 2.into())
            };
            self.qty += closed * signed.signum();
            left -= closed * signed.signum();
        }
        self.qty += left;
        self.cost += int(self.value(fill.price, left));
    }

    /// Everything that must hold after every fill.
    fn check(&self, position: &Position, mark: Price) {
        assert_eq!(position.qty.0, self.qty);
        // realized = cost + cash, so with any market value on both sides: conservation.
        let realized = BigInt::from(position.realized.0);
        assert_eq!(realized, &self.cash + BigInt::from(position.open_cost.0));
        let unrealized = position.unrealized(mark, self.lot_value).expect("within bounds");
        assert_eq!(realized + BigInt::from(unrealized.0), &self.cash + self.value(mark, self.qty));

        let off = int(position.open_cost.0) - &self.cost;
        let zero = int(0);
        assert!(off <= self.error && &zero - &off <= self.error, "cost is off by {off}");
        if self.qty == 0 {
            assert_eq!(position.open_cost, Money::ZERO);
            assert_eq!(position.avg_px(self.lot_value), None);
        } else {
            let lots = BigInt::from(self.qty) * BigInt::from(self.lot_value);
            let average = half_even(&BigRational::new(position.open_cost.0.into(), lots));
            let avg_px = position.avg_px(self.lot_value).map(|price| BigInt::from(price.0));
            assert_eq!(avg_px, Some(average));
        }
    }
}

/// One fill, drawn so that partial closes, exact closes and flips all come up often.
fn random_fill(random: &mut Random, held: i64, qty_limit: i64, prices: Prices) -> Fill {
    let side = random.pick(&[Side::Buy, Side::Sell]);
    let small = qty_limit.clamp(1, 50);
    let qty = match random.below(8) {
        0 if held != 0 => held.abs(),
        1 if held != 0 => random.between(1, held.abs()),
        2 => random.between(1, qty_limit),
        3 => 1,
        _ => random.between(1, small),
    };
    let price = match prices {
        Prices::OnTick => random.between(16_000, 20_000) * 250_000_000,
        Prices::SubTick => 4_521_250_000_000 + random.between(-999_999_999, 999_999_999),
        Prices::Negative => random.between(-40, 40) * PRICE_SCALE / 7,
        Prices::Extreme => random.pick(&[PRICE_MAX, -PRICE_MAX, 1, -1, 0, PRICE_MAX - 1]),
    };
    let commission =
        Money(i128::from(random.between(-1_000_000_000, 3_000_000_000)) * 1_000_000_007);
    Fill { side, qty: Qty(qty), price: Price(price), commission, slippage: Money::ZERO }
}

#[derive(Clone, Copy, Debug)]
enum Prices {
    OnTick,
    SubTick,
    Negative,
    Extreme,
}

/// A refused fill: the twin must agree that a bound is in the way.
fn out_of_bounds(before: &Position, fill: &Fill, oracle: &Oracle, qty_limit: Qty) -> bool {
    let signed = fill.qty.0 * fill.side.sign();
    let qty = oracle.qty + signed;
    let bound = BigInt::from(BALANCE_MAX);
    let cash = &oracle.cash - oracle.value(fill.price, signed);
    // Within one unit of the bound the rounding decides.
    let realized = &cash + BigInt::from(before.open_cost.0);
    let most = &bound - oracle.value(Price(PRICE_MAX), qty_limit.0) - BigInt::from(1);
    let near = |value: &BigInt| value > &most || value < &-most.clone();
    qty.abs() > qty_limit.0 || near(&realized) || near(&cash)
}

fn run_fills(random: &mut Random, lot_value: i64, prices: Prices, fills: u64) -> (u64, u64, u64) {
    let lot = Instrument::plain("X", Price(1), PRICE_SCALE, lot_value);
    assert_eq!(lot.lot_value(), lot_value);
    let qty_limit = lot.qty_limit();
    let (mut position, mut oracle) = (Position::default(), Oracle::new(lot_value));
    let (mut partial, mut flips, mut refused) = (0, 0, 0);
    let mut commission = BigInt::from(0);
    for _ in 0..fills {
        let fill = random_fill(random, position.qty.0, qty_limit.0, prices);
        let before = position;
        match position.book(&fill, lot_value, qty_limit) {
            Err(Overflow) => {
                assert_eq!(position, before, "a refused fill changes nothing");
                assert!(out_of_bounds(&before, &fill, &oracle, qty_limit), "{before:?} {fill:?}");
                refused += 1;
                continue;
            }
            Ok(Booked { opened, closed, realized }) => {
                assert_eq!(opened.0 + closed.0, fill.qty.0);
                assert_eq!(position.realized.0, before.realized.0 + realized.0);
                partial +=
                    u64::from(closed.0 > 0 && position.qty.0.signum() == before.qty.0.signum());
                flips += u64::from(closed.0 > 0 && opened.0 > 0);
                check_release(&before, &fill, closed, realized, lot_value);
            }
        }
        commission += BigInt::from(fill.commission.0);
        oracle.book(&fill);
        assert_eq!(BigInt::from(position.commission.0), commission);
        oracle.check(&position, fill.price);
        oracle.check(&position, Price(random.between(-PRICE_MAX, PRICE_MAX)));
    }
    (partial, flips, refused)
}

/// Average cost, rounded as documented: exactly this, and not only nearly.
fn check_release(before: &Position, fill: &Fill, closed: Qty, realized: Money, lot_value: i64) {
    if closed.0 == 0 {
        assert_eq!(realized, Money::ZERO);
        return;
    }
    let held = before.qty.0;
    let cost = BigInt::from(before.open_cost.0) * BigInt::from(closed.0);
    let released = half_even(&BigRational::new(cost, held.abs().into()));
    let signed = BigInt::from(closed.0 * held.signum());
    let fetched = BigInt::from(fill.price.0) * signed * BigInt::from(lot_value);
    assert_eq!(BigInt::from(realized.0), fetched - released);
}

#[test]
fn random_fills_agree_with_the_twin() {
    let (seed, runs) = seed_and_runs("pnl_oracle", 20_000);
    let mut random = Random(seed);
    let lot_values = [50 * PRICE_SCALE, PRICE_SCALE, 100_000, 1, 1_000_003, LOT_VALUE_MAX];
    let prices = [Prices::OnTick, Prices::SubTick, Prices::Negative, Prices::Extreme];
    let each = runs.div_ceil(lot_values.len() as u64 * prices.len() as u64);
    let (mut partial, mut flips, mut refused) = (0, 0, 0);
    for lot_value in lot_values {
        for prices in prices {
            let counts = run_fills(&mut random, lot_value, prices, each);
            (partial, flips, refused) = (partial + counts.0, flips + counts.1, refused + counts.2);
        }
    }
    println!("{partial} partial closes, {flips} flips, {refused} refused at a bound");
    // The draw is worth nothing if it misses the cases that it is for.
    if runs >= 20_000 {
        assert!(partial > 1_000);
        assert!(flips > 1_000);
        assert!(refused > 100);
    }
}

#[test]
fn the_account_is_the_sum_of_its_positions() {
    let (seed, runs) = seed_and_runs("pnl_oracle the_account", 20_000);
    let mut random = Random(seed);
    let capital = Money(100_000 * 10_i128.pow(18));
    let mut account = Account::new(capital, 1);
    let lots = [50 * PRICE_SCALE, PRICE_SCALE, 1_000_003];
    let mut positions = [Position::default(); 3];
    let mut marks: [Option<Price>; 3] = [None; 3];
    let (mut peak, mut day_start) = (capital.0, capital.0);
    let limits = lots.map(|lot| Instrument::plain("X", Price(1), PRICE_SCALE, lot).qty_limit());
    for _ in 0..runs {
        let at = usize::try_from(random.below(3)).expect("three");
        let worth = |position: &Position, mark: Option<Price>| {
            Balance::of(position, mark, lots[at]).expect("within bounds")
        };
        let before = worth(&positions[at], marks[at]);
        if random.below(3) == 0 {
            marks[at] = Some(Price(random.between(3_000, 5_000) * PRICE_SCALE));
        } else {
            let held = positions[at].qty.0;
            let fill = random_fill(&mut random, held, 100, Prices::OnTick);
            positions[at].book(&fill, lots[at], limits[at]).expect("within bounds");
        }
        let change = worth(&positions[at], marks[at]).since(before);
        account.on_change(0, change).expect("within bounds");
        account.note_peak();
        let net: i128 = positions.iter().map(|p| p.net_realized().expect("within bounds").0).sum();
        let open: i128 =
            (0..3).filter_map(|i| Some(positions[i].unrealized(marks[i]?, lots[i])?.0)).sum();
        assert_eq!(account.equity().0, capital.0 + net + open);
        assert_eq!((account.net_realized().0, account.unrealized().0), (net, open));
        peak = peak.max(account.equity().0);
        if random.below(500) == 0 {
            account.roll_day();
            day_start = account.equity().0;
        }
        if random.below(700) == 0 {
            account.restart_peak();
            peak = account.equity().0;
        }
        assert_eq!(account.peak_equity().0, peak);
        assert_eq!(account.day_start_equity().0, day_start);
    }
}

#[test]
fn a_short_life_by_hand() {
    let lot_value = 50 * PRICE_SCALE;
    let price = |text: &str| text.parse::<Price>().expect("a price");
    let money = |text: &str| text.parse::<Money>().expect("money");
    let fill = |side, qty, at: &str| Fill {
        side,
        qty: Qty(qty),
        price: price(at),
        commission: money("2.05"),
        slippage: Money::ZERO,
    };
    let mut position = Position::default();
    let limit = Qty(1_000);
    let mut book = |side, qty, at| {
        let booked = position.book(&fill(side, qty, at), lot_value, limit).expect("within bounds");
        (booked, position)
    };
    let (_, held) = book(Side::Buy, 2, "4521.5");
    assert_eq!(held.avg_px(lot_value), Some(price("4521.5")));
    assert_eq!(held.unrealized(price("4525.5"), lot_value), Some(money("400")));
    // Half of it, a point higher.
    let (booked, held) = book(Side::Sell, 1, "4522.5");
    assert_eq!((booked.closed, booked.realized), (Qty(1), money("50")));
    assert_eq!(held.avg_px(lot_value), Some(price("4521.5")));
    // Through zero: the long ends, a short begins at the fill's price.
    let (booked, held) = book(Side::Sell, 3, "4520");
    assert_eq!((booked.closed, booked.opened), (Qty(1), Qty(2)));
    assert_eq!(booked.realized, money("-75"));
    assert_eq!((held.qty, held.avg_px(lot_value)), (Qty(-2), Some(price("4520"))));
    assert_eq!(held.unrealized(price("4519"), lot_value), Some(money("100")));
    assert_eq!(held.net_realized(), Some(money("-31.15")));
}

#[test]
fn what_cannot_be_booked_changes_nothing() {
    let (lot_value, limit) = (PRICE_SCALE, Qty(10));
    let fill = Fill {
        side: Side::Buy,
        qty: Qty(10),
        price: Price(PRICE_MAX),
        commission: Money::ZERO,
        slippage: Money::ZERO,
    };
    let mut position = Position::default();
    assert!(position.book(&fill, lot_value, limit).is_ok());
    let held = position;
    let bad = [
        Fill { qty: Qty(1), ..fill },
        Fill { qty: Qty(0), ..fill },
        Fill { qty: Qty(-1), ..fill },
        Fill { qty: Qty(i64::MIN), ..fill },
        Fill { qty: Qty(i64::MAX), side: Side::Sell, ..fill },
        Fill { qty: Qty(21), side: Side::Sell, ..fill },
        Fill { price: Price(PRICE_MAX + 1), qty: Qty(1), side: Side::Sell, ..fill },
        Fill { price: Price(i64::MIN), qty: Qty(1), side: Side::Sell, ..fill },
        Fill { commission: Money(BALANCE_MAX + 1), qty: Qty(1), side: Side::Sell, ..fill },
    ];
    for fill in bad {
        assert_eq!(position.book(&fill, lot_value, limit), Err(Overflow), "{fill:?}");
        assert_eq!(position, held);
    }
    let mut account = Account::new(Money(BALANCE_MAX), 1);
    let change = Balance { unrealized: Money(1), ..Balance::default() };
    assert_eq!(account.on_change(0, change), Err(Overflow));
    assert_eq!(account, Account::new(Money(BALANCE_MAX), 1));
}

#[test]
fn slippage_is_signed_against_the_trader() {
    let price = |text: &str| text.parse::<Price>().expect("a price");
    let of = |side, at: &str, base: &str| {
        slippage(side, Qty(3), price(at), price(base), 50 * PRICE_SCALE).expect("small").to_string()
    };
    assert_eq!(of(Side::Buy, "100.5", "100"), "75");
    assert_eq!(of(Side::Buy, "99.5", "100"), "-75");
    assert_eq!(of(Side::Sell, "99.5", "100"), "75");
    assert_eq!(of(Side::Sell, "-0.5", "0"), "75");
}
