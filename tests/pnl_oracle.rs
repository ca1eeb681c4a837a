//! Random fills: positions and the account against a naive twin in exact rationals.
//!
//! The twin knows the cash that every fill moved, and the exact average cost or every lot. From the
//! first follows, to the last unit of 1e-18, realized + unrealized = cash + market value; from the
//! second, what a close should have realized: at average cost but for the rounding that is
//! documented, first in first out exactly.
//!
//! A million fills where the build is the one that ships, as the gate runs it;
//! `RUNS=10000000 cargo test --profile shipped-checks --test pnl_oracle` is the long night.

#[path = "common/exact.rs"]
mod exact;

use exact::{Random, half_even, int, seed_and_runs};
use num_bigint::BigInt;
use num_rational::BigRational;
use std::collections::VecDeque;
use trade_engine::instrument::Instrument;
use trade_engine::limits::{BALANCE_MAX, LOT_VALUE_MAX, PRICE_MAX, PRICE_SCALE};
use trade_engine::position::{
    Account, Balance, Basis, Booked, Fill, Holding, LotTrade, Overflow, Place, Position, Trades,
    slippage,
};
use trade_engine::settings::CostMethod;
use trade_engine::units::{Money, Price, Qty, Side};

/// A position, and its fills kept as the engine's table keeps them.
struct Book {
    holding: Holding,
    basis: Basis,
    fills: Fills,
}

struct Fills(Vec<LotTrade>);

impl Trades for Fills {
    fn at(&self, place: Place) -> Option<LotTrade> {
        self.0.get(place.number() as usize - 1).copied()
    }

    fn next(&self, place: Place) -> Option<Place> {
        Place::new(place.number() + 1).filter(|next| next.number() as usize <= self.0.len())
    }
}

impl Book {
    fn new(lot_value: i64, qty_limit: Qty, method: CostMethod) -> Self {
        let basis = Basis { lot_value, qty_limit, method };
        Self { holding: Holding::default(), basis, fills: Fills(Vec::new()) }
    }

    fn book(&mut self, fill: &Fill) -> Result<Booked, Overflow> {
        let place = Place::new(u32::try_from(self.fills.0.len() + 1).expect("not so many"));
        let booked = self.holding.book(fill, place, &self.basis, &self.fills)?;
        self.fills.0.push(LotTrade { side: fill.side, qty: fill.qty, price: fill.price });
        Ok(booked)
    }

    fn position(&self) -> &Position {
        &self.holding.position
    }
}

const METHODS: [CostMethod; 2] = [CostMethod::Average, CostMethod::Fifo];

/// The naive twin of one position.
struct Oracle {
    lot_value: i64,
    /// First in, first out: every lot, oldest first.
    lots: Option<VecDeque<(i64, Price)>>,
    qty: i64,
    /// Money in and out, 1e-18, commission not counted.
    cash: BigInt,
    /// Exact cost of what is held.
    cost: BigRational,
    /// Largest error that the documented rounding can have caused in the product's cost.
    error: BigRational,
}

impl Oracle {
    fn new(lot_value: i64, method: CostMethod) -> Self {
        let lots = (method == CostMethod::Fifo).then(VecDeque::new);
        Self { lot_value, lots, qty: 0, cash: 0.into(), cost: int(0), error: int(0) }
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
            self.close(closed);
            self.qty += closed * signed.signum();
            left -= closed * signed.signum();
        }
        self.qty += left;
        self.cost += int(self.value(fill.price, left));
        if let Some(lots) = &mut self.lots {
            lots.push_back((left, fill.price));
        }
    }

    /// Takes the cost of so many lots out.
    fn close(&mut self, mut closed: i64) {
        let Some(mut lots) = self.lots.take() else {
            let kept = BigRational::new((self.qty.abs() - closed).into(), self.qty.abs().into());
            self.cost = &self.cost * kept;
            let half = BigRational::new(1.into(), 2.into());
            self.error = if closed == self.qty.abs() { int(0) } else { &self.error + half };
            return;
        };
        while closed > 0 {
            let (left, price) = lots.front_mut().expect("so many are held");
            let taken = left.abs().min(closed) * left.signum();
            self.cost -= int(self.value(*price, taken));
            (*left, closed) = (*left - taken, closed - taken.abs());
            if *left == 0 {
                lots.pop_front();
            }
        }
        self.lots = Some(lots);
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

fn run_fills(
    random: &mut Random,
    method: CostMethod,
    lot_value: i64,
    prices: Prices,
    fills: u64,
) -> (u64, u64, u64) {
    let lot = Instrument::plain("X", Price(1), PRICE_SCALE, lot_value);
    assert_eq!(lot.lot_value(), lot_value);
    let qty_limit = lot.qty_limit();
    let mut book = Book::new(lot_value, qty_limit, method);
    let mut oracle = Oracle::new(lot_value, method);
    let (mut partial, mut flips, mut refused) = (0, 0, 0);
    let mut commission = BigInt::from(0);
    for _ in 0..fills {
        let held = book.holding;
        let before = held.position;
        let fill = random_fill(random, before.qty.0, qty_limit.0, prices);
        match book.book(&fill) {
            Err(Overflow) => {
                assert_eq!(book.holding, held, "a refused fill changes nothing");
                assert!(out_of_bounds(&before, &fill, &oracle, qty_limit), "{before:?} {fill:?}");
                refused += 1;
                continue;
            }
            Ok(Booked { opened, closed, realized }) => {
                let position = book.position();
                assert_eq!(opened.0 + closed.0, fill.qty.0);
                assert_eq!(position.realized.0, before.realized.0 + realized.0);
                partial +=
                    u64::from(closed.0 > 0 && position.qty.0.signum() == before.qty.0.signum());
                flips += u64::from(closed.0 > 0 && opened.0 > 0);
                if method == CostMethod::Average {
                    check_release(&before, &fill, closed, realized, lot_value);
                }
            }
        }
        commission += BigInt::from(fill.commission.0);
        oracle.book(&fill);
        let position = book.position();
        assert_eq!(BigInt::from(position.commission.0), commission);
        oracle.check(position, fill.price);
        oracle.check(position, Price(random.between(-PRICE_MAX, PRICE_MAX)));
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

/// Fills of one test: a million where the build is the one that ships, and the exact arithmetic of
/// the twin is as fast.
const FILLS: u64 = if cfg!(debug_assertions) { 20_000 } else { 1_000_000 };

#[test]
fn random_fills_agree_with_the_twin() {
    let (seed, runs) = seed_and_runs("pnl_oracle", FILLS);
    let mut random = Random(seed);
    let lot_values = [50 * PRICE_SCALE, PRICE_SCALE, 100_000, 1, 1_000_003, LOT_VALUE_MAX];
    let prices = [Prices::OnTick, Prices::SubTick, Prices::Negative, Prices::Extreme];
    for method in METHODS {
        let each = runs.div_ceil(2 * lot_values.len() as u64 * prices.len() as u64);
        let (mut partial, mut flips, mut refused) = (0, 0, 0);
        for lot_value in lot_values {
            for prices in prices {
                let counts = run_fills(&mut random, method, lot_value, prices, each);
                (partial, flips, refused) =
                    (partial + counts.0, flips + counts.1, refused + counts.2);
            }
        }
        println!("{method:?}: {partial} partial closes, {flips} flips, {refused} refused");
        // The draw is worth nothing if it misses the cases that it is for.
        if runs >= 20_000 {
            assert!(partial > runs / 10);
            assert!(flips > runs / 40);
            assert!(refused > runs / 100);
        }
    }
}

#[test]
fn the_account_is_the_sum_of_its_positions() {
    let (seed, runs) = seed_and_runs("pnl_oracle the_account", FILLS);
    let mut random = Random(seed);
    let capital = Money(100_000 * 10_i128.pow(18));
    let mut account = Account::new(capital, 1);
    let lots = [50 * PRICE_SCALE, PRICE_SCALE, 1_000_003];
    let mut books = [0, 1, 2].map(|at| {
        let limit = Instrument::plain("X", Price(1), PRICE_SCALE, lots[at]).qty_limit();
        Book::new(lots[at], limit, METHODS[at % 2])
    });
    let mut marks: [Option<Price>; 3] = [None; 3];
    let (mut peak, mut day_start) = (capital.0, capital.0);
    for _ in 0..runs {
        let at = usize::try_from(random.below(3)).expect("three");
        let worth = |position: &Position, mark: Option<Price>| {
            Balance::of(position, mark, lots[at]).expect("within bounds")
        };
        let before = worth(books[at].position(), marks[at]);
        if random.below(3) == 0 {
            marks[at] = Some(Price(random.between(3_000, 5_000) * PRICE_SCALE));
        } else {
            let held = books[at].position().qty.0;
            let fill = random_fill(&mut random, held, 100, Prices::OnTick);
            books[at].book(&fill).expect("within bounds");
        }
        let change = worth(books[at].position(), marks[at]).since(before);
        account.on_change(0, change).expect("within bounds");
        account.note_peak();
        let net = books.iter().map(|book| book.position().net_realized().expect("in bounds").0);
        let net: i128 = net.sum();
        let worth_of = |i: usize| Some(books[i].position().unrealized(marks[i]?, lots[i])?.0);
        let open: i128 = (0..3).filter_map(worth_of).sum();
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
    let mut kept = Book::new(lot_value, Qty(1_000), CostMethod::Average);
    let mut book = |side, qty, at| {
        let booked = kept.book(&fill(side, qty, at)).expect("within bounds");
        (booked, *kept.position())
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

/// The same fills as lots: what is closed is the oldest, at its own price, and a flip's rest is the
/// first lot of the other side.
#[test]
fn first_in_first_out_by_hand() {
    let lot_value = 50 * PRICE_SCALE;
    let price = |text: &str| text.parse::<Price>().expect("a price");
    let mut kept = Book::new(lot_value, Qty(1_000), CostMethod::Fifo);
    let mut book = |side, qty, at: &str| {
        let (commission, slippage) = (Money::ZERO, Money::ZERO);
        let fill = Fill { side, qty: Qty(qty), price: price(at), commission, slippage };
        let booked = kept.book(&fill).expect("within bounds");
        let average = kept.position().avg_px(lot_value).map(|price| price.to_string());
        (booked.realized.to_string(), kept.position().qty.0, average.unwrap_or_default())
    };
    let is = |realized: &str, qty, average: &str| (realized.to_owned(), qty, average.to_owned());
    assert_eq!(book(Side::Buy, 2, "100"), is("0", 2, "100"));
    assert_eq!(book(Side::Buy, 2, "110"), is("0", 4, "105"));
    // One of the first two: (120 - 100) x 50. At average cost it were (120 - 105) x 50.
    assert_eq!(book(Side::Sell, 1, "120"), is("1000", 3, "106.666666667"));
    // The other of them, and one of the second two.
    assert_eq!(book(Side::Sell, 2, "120"), is("1500", 1, "110"));
    assert_eq!(book(Side::Buy, 1, "90"), is("0", 2, "100"));
    // Through zero: 110 and 90 end, three lots begin at 80.
    assert_eq!(book(Side::Sell, 5, "80"), is("-2000", -3, "80"));
    assert_eq!(book(Side::Sell, 1, "84"), is("0", -4, "81"));
    assert_eq!(book(Side::Buy, 3, "79"), is("150", -1, "84"));
    assert_eq!(book(Side::Buy, 1, "84"), is("0", 0, ""));
    assert_eq!(book(Side::Buy, 1, "50"), is("0", 1, "50"));
}

/// What no trade stands for: lots held before the first, consumed first, and lots of trades that
/// nobody remembers, consumed last; each at its average, half to even, and what that leaves stays.
#[test]
fn lots_without_a_trade_are_sums() {
    let basis = Basis { lot_value: 1, qty_limit: Qty(1_000), method: CostMethod::Fifo };
    let fill = |side, qty, price| {
        let (commission, slippage) = (Money::ZERO, Money::ZERO);
        Fill { side, qty: Qty(qty), price: Price(price), commission, slippage }
    };
    // Three lots for 10: an average of 3 and a third.
    let position = Position { qty: Qty(3), open_cost: Money(10), ..Position::default() };
    let mut holding = Holding::opening(position, CostMethod::Fifo);
    let mut fills = Fills(Vec::new());
    let mut book = |fill: Fill, kept: bool| {
        let place = Place::new(u32::try_from(fills.0.len() + 1).expect("few"));
        holding.book(&fill, place.filter(|_| kept), &basis, &fills).expect("within bounds");
        if kept {
            fills.0.push(LotTrade { side: fill.side, qty: fill.qty, price: fill.price });
        }
        (holding.position.open_cost.0, holding.position.realized.0)
    };
    assert_eq!(book(fill(Side::Buy, 2, 7), true), (24, 0));
    assert_eq!(book(fill(Side::Buy, 2, 9), false), (42, 0));
    assert_eq!(book(fill(Side::Buy, 1, 8), false), (50, 0));
    // One lot of the first three: 10 / 3 is 3.
    assert_eq!(book(fill(Side::Sell, 1, 0), true), (47, -3));
    // The other two for 7, what the division left among it, and one at 7.
    assert_eq!(book(fill(Side::Sell, 3, 0), true), (33, -17));
    // The other one, and one of the three that cost 26: 8.67, so 9.
    assert_eq!(book(fill(Side::Sell, 2, 0), false), (17, -33));
    assert_eq!(book(fill(Side::Sell, 1, 0), false), (9, -41), "17 / 2 is 8, the even one");
    // Through zero: the rest of it opens, and nobody remembers that either.
    assert_eq!(book(fill(Side::Sell, 3, 5), false), (-10, -45));
    assert_eq!(book(fill(Side::Buy, 2, 4), false), (0, -43));
    assert_eq!(Place::new(0), None, "places count from 1");
    let flat = Position { realized: Money(-43), ..Position::default() };
    assert_eq!(holding, Holding { position: flat, ..Holding::default() }, "nothing is left behind");
}

/// At average cost nobody counts lots: what was held before is the position alone.
#[test]
fn an_average_needs_no_lots() {
    let position = Position { qty: Qty(-3), open_cost: Money(-10), ..Position::default() };
    let holding = Holding::opening(position, CostMethod::Average);
    assert_eq!(holding, Holding { position, ..Holding::default() });
    assert_eq!(position.average_cost(Qty(0)), Money::ZERO);
    assert_eq!(position.average_cost(Qty(1)), Money(-3));
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
    let mut book = Book::new(lot_value, limit, CostMethod::Average);
    assert!(book.book(&fill).is_ok());
    let held = book.holding;
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
        assert_eq!(book.book(&fill), Err(Overflow), "{fill:?}");
        assert_eq!(book.holding, held);
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
