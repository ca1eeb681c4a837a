//! Figures at the ends of their ranges and beyond, through the engine's inputs: what is in range is
//! taken exactly, what is not is refused by name and changes nothing. Nothing wraps, nothing
//! saturates. An execution out of range is the one thing that cannot be refused: it is recorded, not
//! booked, and the engine halts.

#[path = "common/desk.rs"]
mod desk;

use desk::{Desk, money, price};
use trade_engine::code::Code;
use trade_engine::event::Event;
use trade_engine::input::{Input, SignalSide};
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::limits::{BALANCE_MAX, LOT_VALUE_MAX, NOTIONAL_MAX, PRICE_MAX, QTY_MAX};
use trade_engine::order::{ClOrdId, Flags, OrdType, Tif};
use trade_engine::position::{Account, Position, Rate};
use trade_engine::settings::{Settings, Sizing};
use trade_engine::units::{Money, Price, Qty, Ratio, Side};

/// A lot of the smallest worth: 1e-9 dollars a point.
const SMALL: InstrumentId = InstrumentId(0);
/// A lot of the largest worth: a hundred million dollars a point.
const LARGE: InstrumentId = InstrumentId(1);
/// As large, in euros.
const EURO: InstrumentId = InstrumentId(2);
const EUR: u16 = 1;

fn settings(capital: Money) -> Settings {
    let contract = |symbol: &str, lot_value: i64, currency: &str| {
        // One nine decimals of a unit a lot, so that the multiplier may be anything.
        let spec = Instrument::plain(symbol, Price(1), Price::ONE.0, lot_value);
        Instrument { currency: currency.to_owned(), negative_prices: true, ..spec }
    };
    let instruments = vec![
        contract("SMALL", 1, "USD"),
        contract("LARGE", LOT_VALUE_MAX, "USD"),
        contract("EURO", LOT_VALUE_MAX, "EUR"),
    ];
    let strategies = vec!["one".to_owned(), "two".to_owned()];
    Settings { strategies, ..Settings::new(capital, instruments) }
}

fn desk() -> Desk {
    Desk::new(settings(money("100000")))
}

/// The most lots of the large contracts.
fn lots_max(instrument: InstrumentId) -> i64 {
    let limit = settings(Money::ZERO).instruments[instrument.index()].qty_limit().0;
    assert!(limit <= QTY_MAX);
    limit
}

/// Everything that money and lots are kept in.
fn kept(desk: &Desk) -> (Account, Vec<Position>, u64) {
    let state = desk.state();
    let positions = state.books().iter().map(|book| book.position).collect();
    let own = state.strategy_books();
    let each = own.numbers().flat_map(|number| (0..3).map(move |at| (number, at)));
    let of_each = each.filter_map(|(number, at)| own.get(number, InstrumentId(at)));
    let lots = of_each.map(|own| own.position.qty.0.unsigned_abs()).sum();
    (state.account().clone(), positions, lots)
}

/// An order, and why it was turned down.
fn order(desk: &mut Desk, instrument: InstrumentId, qty: i64, at: i64) -> Option<Code> {
    let id = desk.id();
    desk.step(Input::Order {
        id,
        instrument,
        side: Side::Buy,
        ord_type: OrdType::StopLimit,
        tif: Tif::Day,
        strategy: 1,
        flags: Flags::default(),
        qty: Qty(qty),
        price: Some(Price(at)),
        stop_price: Some(Price(at)),
        expire_at: None,
        defect: None,
    });
    desk.reason(id)
}

#[test]
fn orders_at_the_ends() {
    let most = lots_max(SMALL);
    assert_eq!(most, QTY_MAX);
    let cases = [
        (most, PRICE_MAX, None),
        (1, -PRICE_MAX, None),
        (1, 0, None),
        (0, PRICE_MAX, Some(Code::BadQty)),
        (-1, 1, Some(Code::BadQty)),
        (i64::MIN, 1, Some(Code::BadQty)),
        (most + 1, 1, Some(Code::Overflow)),
        (i64::MAX, 1, Some(Code::Overflow)),
        (i64::MAX, PRICE_MAX, Some(Code::Overflow)),
        (1, PRICE_MAX + 1, Some(Code::BadPrice)),
        (1, -PRICE_MAX - 1, Some(Code::BadPrice)),
        (1, i64::MAX, Some(Code::BadPrice)),
        (1, i64::MIN, Some(Code::BadPrice)),
        (i64::MAX, i64::MAX, Some(Code::BadPrice)),
    ];
    for (qty, at, expected) in cases {
        let mut desk = desk();
        assert_eq!(order(&mut desk, SMALL, qty, at), expected, "{qty} at {at}");
        assert_eq!(kept(&desk), kept(&self::desk()));
        let working = desk.state().books()[0].exposure.side(Side::Buy).qty().0;
        assert_eq!(working, if expected.is_none() { qty } else { 0 });
    }
    // The bound is on all that could be held together, and lower for a large contract.
    let mut desk = desk();
    let most = lots_max(LARGE);
    assert_eq!(most, 100);
    assert_eq!(order(&mut desk, LARGE, most, PRICE_MAX), None);
    assert_eq!(order(&mut desk, LARGE, 1, PRICE_MAX), Some(Code::Overflow));
    assert_eq!(order(&mut desk, EURO, most + 1, 1), Some(Code::NoRate));
}

#[test]
fn replaces_at_the_ends() {
    let cases = [
        (Some(i64::MAX), None, Code::Overflow),
        (Some(QTY_MAX + 1), None, Code::Overflow),
        (Some(0), None, Code::BadQty),
        (Some(i64::MIN), None, Code::BadQty),
        (None, Some(PRICE_MAX + 1), Code::BadPrice),
        (None, Some(i64::MIN), Code::BadPrice),
        (None, Some(i64::MAX), Code::BadPrice),
    ];
    for (qty, at, expected) in cases {
        let mut desk = desk();
        let order = desk.buy(SMALL, 1, "1");
        let id = desk.id();
        let (qty, price) = (qty.map(Qty), at.map(Price));
        let (stop_price, defect) = (None, None);
        let events = desk.step(Input::Replace { id, order, qty, price, stop_price, defect });
        assert_eq!(Desk::refusal(&events), Some(expected), "{qty:?} {price:?}");
        // What the venue says of the order must be an order's figures too.
        let restated = |qty| Input::Restated { order, qty: Some(Qty(qty)) };
        for qty in [i64::MAX, QTY_MAX + 1, 0, -1, i64::MIN] {
            assert_eq!(Desk::refusal(&desk.step(restated(qty))), Some(Code::BadQty), "{qty}");
        }
        assert_eq!(Desk::refusal(&desk.step(restated(QTY_MAX))), None);
        assert_eq!(desk.state().order(order).expect("it is there").order_qty, Qty(QTY_MAX));
    }
}

#[test]
fn signals_at_the_ends() {
    let signal = |sizing, strength: i64, at: i64, qty: i64| {
        let mut settings = settings(Money(BALANCE_MAX));
        (settings.risk.sizing, settings.risk.sizing_pct) = (sizing, Ratio::ONE);
        let mut desk = Desk::new(settings);
        let id = desk.id();
        desk.step(Input::Signal {
            id,
            instrument: SMALL,
            side: SignalSide::Buy,
            strategy: 0,
            strength: Ratio(strength),
            price: Some(Price(at)),
            stop_price: None,
            qty: Some(Qty(qty)),
            defect: None,
        });
        desk.reason(id)
    };
    let exact = |qty| signal(Sizing::Exact, Ratio::ONE.0, 1, qty);
    assert_eq!(exact(QTY_MAX), None);
    assert_eq!(exact(QTY_MAX + 1), Some(Code::Overflow));
    assert_eq!(exact(i64::MAX), Some(Code::Overflow));
    assert_eq!(exact(0), Some(Code::BadQty));
    assert_eq!(exact(i64::MIN), Some(Code::BadQty));
    let sized = |strength, at| signal(Sizing::PercentEquity, strength, at, 0);
    // 4e37 units by 1e-18 a lot are more lots than there are; at the highest price, 4e19 of them.
    assert_eq!(sized(Ratio::ONE.0, 1), Some(Code::Overflow));
    assert_eq!(sized(i64::MAX, PRICE_MAX), Some(Code::Overflow));
    assert_eq!(sized(i64::MIN, PRICE_MAX), Some(Code::ZeroSize));
    for at in [PRICE_MAX + 1, i64::MAX, i64::MIN] {
        assert_eq!(sized(Ratio::ONE.0, at), Some(Code::BadPrice), "{at}");
    }
}

#[test]
fn marks_and_bars_at_the_ends() {
    let mut desk = desk();
    let ends = [PRICE_MAX + 1, -PRICE_MAX - 1, i64::MAX, i64::MIN];
    let mark = |price, bid, ask| Input::Mark {
        instrument: SMALL,
        price: Price(price),
        bid: Some(Price(bid)),
        ask: Some(Price(ask)),
    };
    let good = mark(PRICE_MAX, -PRICE_MAX, 0);
    assert_eq!(Desk::refusal(&desk.step(good)), None);
    let before = desk.state().books()[0].market;
    for end in ends {
        let bar = |at: usize| {
            let mut prices = [Price(1); 4];
            prices[at] = Price(end);
            let [open, high, low, close] = prices;
            let (volume, opened) = (u64::MAX, desk.state().ts());
            Input::Bar { instrument: SMALL, open, high, low, close, volume, opened }
        };
        let bars = [bar(0), bar(1), bar(2), bar(3)];
        let marks = [mark(end, 1, 1), mark(1, end, 1), mark(1, 1, end)];
        for input in bars.into_iter().chain(marks) {
            assert_eq!(Desk::refusal(&desk.step(input)), Some(Code::BadPrice), "{input:?}");
            assert_eq!(desk.state().books()[0].market, before);
        }
    }
}

/// Unrealized P&L to the last unit that a balance may have, and one price unit further.
#[test]
fn a_mark_that_would_leave_the_accounts_range_is_refused() {
    // A position of a tenth of the bound, twice, in an account that has no room for both.
    let capital = Money(BALANCE_MAX - NOTIONAL_MAX);
    let mut desk = Desk::new(settings(capital));
    let most = lots_max(LARGE);
    desk.trade(ClOrdId::NONE, LARGE, Side::Buy, [most, 0], Money::ZERO);
    let mark = |price| Input::Mark { instrument: LARGE, price: Price(price), bid: None, ask: None };
    assert_eq!(Desk::refusal(&desk.step(mark(PRICE_MAX))), None);
    assert_eq!(desk.state().account().equity(), Money(BALANCE_MAX));
    assert_eq!(Desk::refusal(&desk.step(mark(PRICE_MAX - 1))), None);
    // The price unit of a hundred lots of 1e17: 1e19 units of money.
    assert_eq!(desk.state().account().equity(), Money(BALANCE_MAX - 10_i128.pow(19)));

    let mut desk = Desk::new(settings(Money(capital.0 + 1)));
    desk.trade(ClOrdId::NONE, LARGE, Side::Buy, [most, 0], Money::ZERO);
    desk.step(mark(PRICE_MAX - 1));
    let before = kept(&desk);
    let events = desk.step(mark(PRICE_MAX));
    assert_eq!(Desk::refusal(&events), Some(Code::Overflow));
    assert_eq!(kept(&desk), before);
    assert_eq!(desk.state().mark(LARGE), Some(Price(PRICE_MAX - 1)));
    assert_eq!(desk.state().halted(), None);
}

#[test]
fn rates_at_the_ends() {
    let mut desk = desk();
    let rate = |price, inverse| Input::Rate { currency: EUR, price: Price(price), inverse };
    for price in [0, -1, -PRICE_MAX, PRICE_MAX + 1, i64::MAX, i64::MIN] {
        for inverse in [false, true] {
            let events = desk.step(rate(price, inverse));
            assert_eq!(Desk::refusal(&events), Some(Code::BadPrice), "{price}");
            assert_eq!(desk.state().account().rates().get(EUR), None);
        }
    }
    for (price, inverse) in [(1, false), (1, true), (PRICE_MAX, false), (PRICE_MAX, true)] {
        assert_eq!(Desk::refusal(&desk.step(rate(price, inverse))), None);
        assert_eq!(desk.state().account().rates().get(EUR), Rate::new(Price(price), inverse));
    }
}

/// What a rate may make of the largest balances, exactly, and no more.
#[test]
fn a_rate_that_would_leave_the_accounts_range_is_refused() {
    let mut desk = Desk::new(settings(Money::ZERO));
    let most = lots_max(EURO);
    desk.trade(ClOrdId::NONE, EURO, Side::Buy, [most, 0], Money::ZERO);
    let mark = Input::Mark { instrument: EURO, price: Price(PRICE_MAX), bid: None, ask: None };
    assert_eq!(Desk::refusal(&desk.step(mark)), None);
    // 1e37 units of euros: worth the whole bound at 4.
    desk.rate(EUR, "4", false);
    assert_eq!(desk.state().account().equity(), Money(BALANCE_MAX));
    let before = kept(&desk);
    for (text, inverse) in
        [("4.000000001", false), ("1000000000", false), ("0.000000001", true), ("0.2", true)]
    {
        let events = desk.step(Input::Rate { currency: EUR, price: price(text), inverse });
        assert_eq!(Desk::refusal(&events), Some(Code::Overflow), "{text}");
        assert_eq!(kept(&desk), before);
    }
    desk.rate(EUR, "0.25", true);
    assert_eq!(desk.state().account().equity(), Money(BALANCE_MAX));
    // One unit of dollars more is too much: a rebate, which any account would like to have.
    let events = desk.trade(ClOrdId::NONE, SMALL, Side::Buy, [1, 1], Money(-1));
    unbooked(&desk, &events);
    desk.rate(EUR, "1", false);
    let events = desk.trade(ClOrdId::NONE, SMALL, Side::Buy, [1, 1], Money(-1));
    assert!(events.iter().any(|event| matches!(event, Event::Traded { .. })));
    assert_eq!(desk.state().account().equity(), Money(NOTIONAL_MAX + 1));
    // In euros there is room for it, in dollars there is none.
    desk.rate(EUR, "3.9", false);
    let two = Money(-2 * 10_i128.pow(36));
    let events = desk.trade(ClOrdId::NONE, EURO, Side::Sell, [1, PRICE_MAX], two);
    unbooked(&desk, &events);
    desk.rate(EUR, "1", false);
    let events = desk.trade(ClOrdId::NONE, EURO, Side::Sell, [1, PRICE_MAX], two);
    assert!(events.iter().any(|event| matches!(event, Event::Traded { .. })));
}

#[track_caller]
fn unbooked(desk: &Desk, events: &[Event]) {
    let says = |code| move |event: &Event| matches!(event, Event::Unbooked { reason, .. } if *reason == code);
    assert!(events.iter().any(says(Code::Overflow)), "{events:?}");
    let anomaly =
        |event: &Event| matches!(event, Event::Anomaly { code: Code::Overflow, booked: false, .. });
    assert!(events.iter().any(anomaly), "{events:?}");
    assert!(!events.iter().any(|event| matches!(event, Event::Traded { .. })), "{events:?}");
    assert_eq!(desk.state().halted(), Some(Code::Anomaly));
}

/// Executions out of range are recorded and not booked, and halt; those at the ends are booked.
#[test]
fn executions_at_the_ends() {
    let out_of_range = [
        (SMALL, 1, PRICE_MAX + 1, 0),
        (SMALL, 1, -PRICE_MAX - 1, 0),
        (SMALL, 1, i64::MAX, 0),
        (SMALL, 1, i64::MIN, 0),
        (SMALL, QTY_MAX + 1, 1, 0),
        (SMALL, i64::MAX, 1, 0),
        (SMALL, i64::MAX, i64::MAX, i128::MAX),
        (SMALL, 1, 1, i128::MAX),
        (SMALL, 1, 1, i128::MIN),
        (SMALL, 1, 1, BALANCE_MAX + 1),
        (LARGE, 101, 1, 0),
    ];
    for (instrument, qty, at, commission) in out_of_range {
        let mut desk = desk();
        let before = kept(&desk);
        let figures = [qty, at];
        let events = desk.trade(ClOrdId::NONE, instrument, Side::Sell, figures, Money(commission));
        unbooked(&desk, &events);
        assert_eq!(kept(&desk), before, "{qty} at {at} for {commission}");
        // Once is enough: the next one finds the engine halted.
        let events = desk.trade(ClOrdId::NONE, instrument, Side::Sell, figures, Money(commission));
        unbooked(&desk, &events);
        assert!(!events.iter().any(|event| matches!(event, Event::Halted { .. })));
    }
    for (qty, code) in [(0, Code::BadQty), (-1, Code::BadQty), (i64::MIN, Code::BadQty)] {
        let mut desk = desk();
        let events = desk.trade(ClOrdId::NONE, SMALL, Side::Buy, [qty, 1], Money::ZERO);
        assert_eq!(Desk::refusal(&events), Some(code));
        assert_eq!(desk.state().halted(), None);
    }
    let in_range = [
        (SMALL, QTY_MAX, PRICE_MAX, 0),
        (SMALL, QTY_MAX, -PRICE_MAX, 0),
        (LARGE, 100, PRICE_MAX, 0),
        (LARGE, 100, -PRICE_MAX, BALANCE_MAX),
        (SMALL, 1, 0, -BALANCE_MAX),
    ];
    for (instrument, qty, at, commission) in in_range {
        let mut desk = Desk::new(settings(Money::ZERO));
        let figures = [qty, at];
        let events = desk.trade(ClOrdId::NONE, instrument, Side::Sell, figures, Money(commission));
        assert!(events.iter().any(|event| matches!(event, Event::Traded { .. })), "{events:?}");
        let position = desk.state().position(instrument).expect("it is there");
        let lot_value = desk.state().books()[instrument.index()].lot_value;
        let cost = i128::from(at) * i128::from(lot_value) * i128::from(-qty);
        assert_eq!((position.qty, position.open_cost), (Qty(-qty), Money(cost)));
        assert_eq!(desk.state().account().equity(), Money(-commission));
        assert_eq!(desk.state().halted(), None);
    }
}

/// The account's balance is full: a unit more is not booked, to the account or to anybody.
#[test]
fn an_account_at_its_end_books_no_unit_more() {
    for (capital, commission) in [(BALANCE_MAX, -1), (-BALANCE_MAX, 1)] {
        let mut desk = Desk::new(settings(Money(capital)));
        let order = desk.buy(SMALL, 2, "1");
        assert_eq!(desk.reason(order), None);
        let before = kept(&desk);
        let events = desk.trade(order, SMALL, Side::Buy, [1, 1], Money(commission));
        unbooked(&desk, &events);
        assert_eq!(kept(&desk), before);
        assert_eq!(desk.state().order(order).expect("it is there").cum_qty, Qty(0));
        let events = desk.trade(order, SMALL, Side::Buy, [1, 1], Money(-commission));
        assert!(events.iter().any(|event| matches!(event, Event::Traded { .. })));
        assert_eq!(desk.state().account().equity(), Money(capital + commission));
    }
}

/// Two strategies against each other: the account is flat, each of them is at its end. An order for
/// a lot more is turned down; a trade of it, which fits into the account and not into the strategy's
/// book, is not booked to one of the two alone.
#[test]
fn a_strategy_at_its_end_books_no_lot_more() {
    let mut desk = desk();
    let one = desk.order(1, LARGE, Side::Buy, 100, "0");
    desk.trade(one, LARGE, Side::Buy, [100, 0], Money::ZERO);
    let two = desk.order(2, LARGE, Side::Sell, 100, "0");
    desk.trade(two, LARGE, Side::Sell, [100, 0], Money::ZERO);
    assert_eq!(desk.state().position(LARGE).expect("it is there").qty, Qty(0));
    let less = desk.order(1, LARGE, Side::Sell, 1, "0");
    assert_eq!(desk.reason(less), None);
    let nobodys = desk.buy(LARGE, 1, "0");
    assert_eq!(desk.reason(nobodys), None);
    let more = desk.order(1, LARGE, Side::Buy, 1, "0");
    assert_eq!(desk.reason(more), Some(Code::Overflow));
    let before = kept(&desk);
    let events = desk.trade(one, LARGE, Side::Buy, [1, 0], Money::ZERO);
    unbooked(&desk, &events);
    assert_eq!(kept(&desk), before);
    // What is working counts, and a replace stands in for its order.
    let mut desk = self::desk();
    let one = desk.order(1, LARGE, Side::Buy, 99, "0");
    let two = desk.order(2, LARGE, Side::Sell, 1, "0");
    desk.trade(two, LARGE, Side::Sell, [1, 0], Money::ZERO);
    let mut replaced = |qty| {
        let (id, qty) = (desk.id(), Some(Qty(qty)));
        let (price, stop_price, defect) = (None, None, None);
        let order = one;
        Desk::refusal(&desk.step(Input::Replace { id, order, qty, price, stop_price, defect }))
    };
    // 101 of one's would fit beside the one that two has sold, but not into one's own book.
    assert_eq!(replaced(101), Some(Code::Overflow));
    assert_eq!(replaced(100), None);
    let more = desk.order(1, LARGE, Side::Buy, 1, "0");
    assert_eq!(desk.reason(more), Some(Code::Overflow));
}

#[test]
fn openings_at_the_ends() {
    let opening =
        |instrument, qty, at| Input::Opening { instrument, qty: Qty(qty), avg_px: Price(at) };
    let refused = [
        (SMALL, QTY_MAX + 1, 1),
        (SMALL, i64::MAX, 1),
        (SMALL, i64::MIN, 1),
        (SMALL, 1, PRICE_MAX + 1),
        (SMALL, 1, i64::MIN),
        (LARGE, 101, 1),
    ];
    for (instrument, qty, at) in refused {
        let mut desk = desk();
        let events = desk.step(opening(instrument, qty, at));
        assert_eq!(Desk::refusal(&events), Some(Code::Overflow), "{qty} at {at}");
        assert_eq!(kept(&desk), kept(&self::desk()));
    }
    for (qty, at) in [(QTY_MAX, PRICE_MAX), (-QTY_MAX, PRICE_MAX), (QTY_MAX, -PRICE_MAX)] {
        let mut desk = desk();
        assert_eq!(Desk::refusal(&desk.step(opening(SMALL, qty, at))), None);
        assert_eq!(desk.state().position(SMALL).expect("it is there").qty, Qty(qty));
    }
    // One whose P&L at the mark the account cannot hold.
    for (capital, expected) in
        [(3 * NOTIONAL_MAX, None), (3 * NOTIONAL_MAX + 1, Some(Code::Overflow))]
    {
        let mut desk = Desk::new(settings(Money(capital)));
        let mark = Price(PRICE_MAX);
        desk.step(Input::Mark { instrument: LARGE, price: mark, bid: None, ask: None });
        let events = desk.step(opening(LARGE, 100, 0));
        assert_eq!(Desk::refusal(&events), expected);
        let equity = if expected.is_none() { capital + NOTIONAL_MAX } else { capital };
        assert_eq!(desk.state().account().equity(), Money(equity));
    }
}
