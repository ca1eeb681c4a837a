//! Several currencies and several strategies, by hand: what is converted and how, what a missing
//! rate leaves out and refuses, and whose a trade is.

#[path = "common/desk.rs"]
mod desk;

use desk::{Desk, money, price};
use std::collections::BTreeSet;
use trade_engine::code::Code;
use trade_engine::digest::Digest;
use trade_engine::input::{Input, SignalSide, StatusKind};
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::limits::PRICE_SCALE;
use trade_engine::order::{ClOrdId, OrderState};
use trade_engine::position::{Account, Balance, Fill, Rate, Rates};
use trade_engine::risk::{InstrumentBook, StrategyBooks};
use trade_engine::settings::{ExposureBasis, Settings, Sizing};
use trade_engine::units::{Money, Price, Qty, Ratio, Side};

const ES: InstrumentId = InstrumentId(0);
const DAX: InstrumentId = InstrumentId(1);
const NIKKEI: InstrumentId = InstrumentId(2);
const BUND: InstrumentId = InstrumentId(3);
const EUR: u16 = 1;
const JPY: u16 = 2;

/// A dollar account of 100,000: ES in dollars, DAX and BUND in euros, NIKKEI in yen; 25 dollars,
/// euros or yen a point.
fn settings() -> Settings {
    let contract = |symbol: &str, currency: &str| Instrument {
        currency: currency.to_owned(),
        initial_margin: Some(money("1000")),
        ..Instrument::plain(symbol, price("0.5"), PRICE_SCALE, 25 * PRICE_SCALE)
    };
    let instruments = vec![
        contract("ES", "USD"),
        contract("DAX", "EUR"),
        contract("NIKKEI", "JPY"),
        contract("BUND", "EUR"),
    ];
    let strategies = vec!["one".to_owned(), "two".to_owned()];
    Settings { strategies, ..Settings::new(money("100000"), instruments) }
}

fn desk() -> Desk {
    Desk::new(settings())
}

/// Direct rates for both other currencies.
fn rated() -> Desk {
    let mut desk = desk();
    desk.rate(EUR, "1.25", false);
    desk.rate(JPY, "160", true);
    desk
}

fn equity(desk: &Desk) -> String {
    desk.state().account().equity().to_string()
}

#[test]
fn currencies_are_the_accounts_and_then_the_instruments_in_their_order() {
    let settings = settings();
    assert_eq!(settings.currencies(), ["USD", "EUR", "JPY"]);
    let places = ["USD", "EUR", "JPY", "CHF"].map(|name| settings.currency(name));
    assert_eq!(places, [Some(0), Some(EUR), Some(JPY), None]);
    let desk = Desk::new(settings);
    let of_books: Vec<u16> = desk.state().books().iter().map(|book| book.currency).collect();
    assert_eq!(of_books, [0, EUR, JPY, EUR]);
    // An account whose currency no instrument has is first all the same.
    let mut settings = Settings { instruments: Vec::new(), ..desk.state().settings().clone() };
    assert_eq!(settings.currencies(), ["USD"]);
    settings.account.currency = "CHF".to_owned();
    assert_eq!(settings.currencies(), ["CHF"]);
}

#[test]
fn a_rate_converts_by_its_own_arithmetic() {
    let worth = |text: &str, inverse, units: i128| {
        Rate::new(price(text), inverse).expect("above zero").worth(units).expect("small")
    };
    assert_eq!(worth("1.25", false, 8), 10);
    assert_eq!(worth("1.25", true, 10), 8);
    assert_eq!(worth("1", true, -7), -7);
    // Half to even, of either sign and kind.
    assert_eq!([-5, -3, -1, 1, 3, 5].map(|units| worth("0.5", false, units)), [-2, -2, 0, 0, 2, 2]);
    assert_eq!([-5, -3, -1, 1, 3, 5].map(|units| worth("2", true, units)), [-2, -2, 0, 0, 2, 2]);
    assert_eq!([-2, -1, 1, 2].map(|units| worth("3", true, units)), [-1, 0, 0, 1]);
    assert_eq!(worth("1.000000001", false, 499_999_999), 499_999_999);
    assert_eq!(worth("1.000000001", false, 500_000_001), 500_000_002);
    let rate = Rate::new(price("160"), true).expect("above zero");
    assert_eq!((rate.price(), rate.is_inverse()), (price("160"), true));
    assert!(!Rate::ONE.is_inverse());
    assert_eq!(Rate::new(Price(0), false), None);
    assert_eq!(Rate::new(Price(-1), true), None);
}

#[test]
fn rates_are_missing_until_they_come() {
    let rates = Rates::new(3);
    assert!(rates.are_several() && !Rates::new(1).are_several());
    assert_eq!(
        (0..4).map(|at| rates.is_foreign(at)).collect::<Vec<_>>(),
        [false, true, true, false]
    );
    assert_eq!(rates.convert(0, money("7")), Ok(money("7")));
    assert_eq!(rates.convert(EUR, money("7")), Err(Code::NoRate));
    assert_eq!(rates.convert(3, money("7")), Err(Code::NoRate));
    assert!(rates.known().eq([(0, Rate::ONE)]));
}

#[test]
fn profits_in_three_currencies_meet_in_the_accounts() {
    let mut desk = rated();
    let dax = desk.buy(DAX, 2, "1000");
    desk.fill(dax, DAX, 2, "1000", "10");
    // 20 points x 2 x 25 euros less 10, at 1.25.
    desk.mark(DAX, "1020");
    assert_eq!(equity(&desk), "101237.5");
    let account = desk.state().account();
    assert_eq!(account.unrealized(), money("1250"));
    // In the contract's own currency; nothing where nothing was quoted.
    assert_eq!(desk.state().book(DAX).expect("it is there").unrealized(), Some(money("1000")));
    assert_eq!(desk.state().book(BUND).expect("it is there").unrealized(), None);
    assert_eq!(account.commission(), money("12.5"));
    assert_eq!(account.net_realized(), money("-12.5"));
    assert_eq!((account.realized(), account.pnl()), (Money::ZERO, money("1237.5")));
    let euros = *account.balance(EUR).expect("it is there");
    let expected = Balance {
        realized: Money::ZERO,
        commission: money("10"),
        unrealized: money("1000"),
        positions: 1,
    };
    assert_eq!(euros, expected);
    // The position itself stays in its own currency.
    assert_eq!(desk.state().position(DAX).expect("it is there").open_cost, money("50000"));

    let nikkei = desk.buy(NIKKEI, 1, "40000");
    desk.fill(nikkei, NIKKEI, 1, "40000", "0");
    desk.mark(NIKKEI, "40064");
    // 64 points x 25 yen = 1,600 yen = 10 dollars.
    assert_eq!(equity(&desk), "101247.5");

    // A new rate moves what is held and what has been made, and the peak with it.
    desk.rate(EUR, "1", false);
    assert_eq!(equity(&desk), "101000");
    desk.rate(JPY, "0.0125", false);
    assert_eq!(equity(&desk), "101010");
    assert_eq!(desk.state().account().peak_equity(), money("101247.5"));
    desk.rate(EUR, "2", false);
    assert_eq!(desk.state().account().peak_equity(), money("102000"));
}

/// Closing at the mark moves money from one figure to another, and no unit of equity.
#[test]
fn a_close_at_the_mark_moves_no_equity() {
    let mut desk = desk();
    desk.rate(EUR, "3", true);
    let order = desk.buy(DAX, 3, "1000");
    desk.fill(order, DAX, 3, "1000", "0.000000000000000001");
    desk.mark(DAX, "1000.5");
    let before = desk.state().account().clone();
    let order = desk.sell(DAX, 3, "1000.5");
    desk.fill(order, DAX, 3, "1000.5", "0");
    let after = desk.state().account();
    assert_eq!(after.equity(), before.equity());
    assert_eq!(after.unrealized(), Money::ZERO);
    assert_eq!(before.unrealized().0, 12_500_000_000_000_000_000);
    assert_eq!(after.realized().0 - after.commission().0, after.pnl().0);
}

#[test]
fn a_missing_rate_is_never_taken_for_one() {
    let mut desk = desk();
    // An order in the currency.
    let order = desk.buy(DAX, 1, "1000");
    assert_eq!(desk.reason(order), Some(Code::NoRate));
    assert_eq!(desk.ran(order) & 1 << 5, 1 << 5, "the verdict says that the rule ran");
    // Another rate does not help.
    desk.rate(JPY, "160", true);
    let order = desk.buy(DAX, 1, "1000");
    assert_eq!(desk.reason(order), Some(Code::NoRate));
    // Nothing is in euros yet: dollars are free.
    assert!(desk.state().account().equity_is_whole());
    let order = desk.buy(ES, 1, "5000");
    assert_eq!(desk.reason(order), None);

    // A trade that nobody ordered is booked, and its euros are not in equity.
    desk.fill(ClOrdId::NONE, DAX, 2, "1000", "10");
    desk.mark(DAX, "1020");
    let account = desk.state().account();
    assert_eq!(equity(&desk), "100000");
    assert_eq!(account.balance(EUR).expect("it is there").pnl(), money("990"));
    assert_eq!((account.commission(), account.unrealized()), (Money::ZERO, Money::ZERO));
    assert!(!account.equity_is_whole());
    assert!(account.without_rate().eq([EUR]));
    assert_eq!(desk.state().strategy_pnl(0), Some(Money::ZERO));
    // Equity is not known, so no new exposure in any currency.
    for instrument in [ES, NIKKEI, DAX, BUND] {
        let order = desk.buy(instrument, 1, "1000");
        assert_eq!(desk.reason(order), Some(Code::NoRate));
    }
    // An exit passes, and so does closing.
    let order = desk.sell(DAX, 1, "1000");
    assert_eq!(desk.reason(order), None);
    let id = desk.id();
    desk.step(Input::ClosePosition { id, instrument: DAX });
    assert_eq!(desk.reason(id), None);
    assert_eq!(desk.state().order(id).expect("it was sent").order_qty, Qty(1));

    // The rate makes all of it whole.
    desk.rate(EUR, "1.1", false);
    assert_eq!(equity(&desk), "101089");
    assert!(desk.state().account().equity_is_whole());
    let order = desk.buy(ES, 1, "5000");
    assert_eq!(desk.reason(order), None);
}

/// Flat again, the euros that were made are still there; and a position without a mark or a cost is
/// a position.
#[test]
fn what_is_left_in_a_currency_without_a_rate_still_counts() {
    let mut desk = desk();
    desk.fill(ClOrdId::NONE, DAX, 1, "1000", "0");
    let account = desk.state().account();
    assert_eq!(account.balance(EUR).map(Balance::pnl), Some(Money::ZERO));
    assert!(!account.equity_is_whole(), "a position that is worth what it cost");
    desk.sold(DAX, 1, "1000");
    assert!(desk.state().account().equity_is_whole(), "nothing is left of it");
    desk.fill(ClOrdId::NONE, DAX, 1, "1000", "0");
    desk.sold(DAX, 1, "1001");
    assert!(desk.state().account().without_rate().eq([EUR]), "25 euros are left");
}

#[test]
fn a_rate_that_cannot_be_used_is_refused_by_name() {
    let mut desk = rated();
    let rates = desk.state().account().rates().clone();
    let mut refused = |currency, price, inverse| {
        let events = desk.step(Input::Rate { currency, price, inverse });
        assert_eq!(desk.state().account().rates(), &rates);
        Desk::refusal(&events)
    };
    assert_eq!(refused(0, price("1"), false), Some(Code::UnknownSymbol));
    assert_eq!(refused(3, price("1"), false), Some(Code::UnknownSymbol));
    assert_eq!(refused(u16::MAX, price("1"), true), Some(Code::UnknownSymbol));
    assert_eq!(refused(EUR, Price(0), false), Some(Code::BadPrice));
    assert_eq!(refused(EUR, Price(-1), true), Some(Code::BadPrice));
    // The same again is no fault.
    assert_eq!(refused(EUR, price("1.25"), false), None);
}

#[test]
fn a_rate_that_costs_too_much_halts() {
    let mut settings = settings();
    settings.risk.limits.max_drawdown_pct = Some("0.1".parse().expect("a ratio"));
    let mut desk = Desk::new(settings);
    desk.rate(EUR, "1.25", false);
    let order = desk.buy(DAX, 4, "1000");
    desk.fill(order, DAX, 4, "1000", "0");
    desk.mark(DAX, "1400");
    // 40,000 euros at 1.25: equity 150,000; a tenth of it less is 135,000, at 0.875.
    assert_eq!(equity(&desk), "150000");
    desk.rate(EUR, "0.875", false);
    assert_eq!(desk.state().halted(), None);
    desk.rate(EUR, "0.874999999", false);
    assert_eq!(desk.state().halted(), Some(Code::MaxDrawdown));
}

/// What a limit measures is in the account's currency.
#[test]
fn exposure_and_margin_are_measured_in_the_accounts_currency() {
    let with = |change: &dyn Fn(&mut Settings)| {
        let mut settings = settings();
        settings.risk.limits.max_position_pct = Some("0.25".parse().expect("a ratio"));
        change(&mut settings);
        let mut desk = Desk::new(settings);
        desk.rate(EUR, "1.25", false);
        desk
    };
    // 800 x 25 euros = 25,000 dollars: a quarter.
    let mut desk = with(&|_| {});
    let order = desk.buy(DAX, 1, "800");
    assert_eq!(desk.reason(order), None);
    let mut desk = with(&|_| {});
    let order = desk.buy(DAX, 1, "800.5");
    assert_eq!(desk.reason(order), Some(Code::MaxPositionPct));
    // 20 lots x 1,000 euros.
    let by_margin = |settings: &mut Settings| {
        settings.risk.exposure_basis = ExposureBasis::Margin;
    };
    let mut desk = with(&by_margin);
    let order = desk.buy(DAX, 20, "1000");
    assert_eq!(desk.reason(order), None);
    let order = desk.buy(DAX, 1, "1000");
    assert_eq!(desk.reason(order), Some(Code::MaxPositionPct));

    // Margin: 40 x 1,000 euros and 50 x 1,000 dollars are 100,000 dollars.
    let with_margin = |settings: &mut Settings| {
        settings.risk.limits.max_position_pct = None;
        settings.risk.margin = true;
    };
    let mut desk = with(&with_margin);
    let order = desk.buy(DAX, 40, "10");
    assert_eq!(desk.reason(order), None);
    let order = desk.buy(ES, 51, "10");
    assert_eq!(desk.reason(order), Some(Code::InsufficientMargin));
    let order = desk.buy(ES, 50, "10");
    assert_eq!(desk.reason(order), None);
    // The contract's own bound on an order's value is in the contract's currency.
    let mut desk = with(&|settings: &mut Settings| {
        settings.risk.limits.max_position_pct = None;
        settings.instruments[1].max_notional = Some(money("20000"));
    });
    let order = desk.buy(DAX, 1, "800");
    assert_eq!(desk.reason(order), None);
    let order = desk.buy(DAX, 1, "800.5");
    assert_eq!(desk.reason(order), Some(Code::MaxNotional));
}

/// An exit that has nothing left to close still works, in a currency without a rate: its margin
/// cannot be counted, so an order elsewhere is not let through on what is left.
#[test]
fn a_margin_that_cannot_be_converted_refuses() {
    let mut settings = settings();
    settings.risk.margin = true;
    let mut desk = Desk::new(settings);
    desk.fill(ClOrdId::NONE, DAX, 1, "1000", "0");
    let exit = desk.sell(DAX, 1, "1000");
    assert_eq!(desk.reason(exit), None);
    desk.sold(DAX, 1, "1000");
    assert!(desk.state().account().equity_is_whole());
    let order = desk.buy(ES, 1, "10");
    assert_eq!(desk.reason(order), Some(Code::NoRate));
    desk.step(Input::Status { order: exit, kind: StatusKind::Cancelled, request: ClOrdId::NONE });
    let order = desk.buy(ES, 1, "10");
    assert_eq!(desk.reason(order), None);
}

#[test]
fn signals_are_sized_in_the_accounts_currency() {
    let sized = |sizing, rate: Option<(&str, bool)>, at: &str| {
        let mut settings = settings();
        settings.risk.sizing = sizing;
        settings.risk.sizing_pct = Ratio::ONE;
        let mut desk = Desk::new(settings);
        if let Some((rate, inverse)) = rate {
            desk.rate(EUR, rate, inverse);
        }
        let id = desk.id();
        desk.step(Input::Signal {
            id,
            instrument: DAX,
            side: SignalSide::Buy,
            strategy: 0,
            strength: Ratio::ONE,
            price: Some(price(at)),
            stop_price: Some(price("900")),
            qty: None,
            defect: None,
        });
        let order = desk.state().order(id).expect("it was taken in").clone();
        (order.order_qty.0, order.reason)
    };
    // 1,000 x 25 euros are 31,250 dollars: three of them.
    assert_eq!(sized(Sizing::PercentEquity, Some(("1.25", false)), "1000"), (3, None));
    assert_eq!(sized(Sizing::PercentEquity, Some(("0.8", true)), "1000"), (3, None));
    assert_eq!(sized(Sizing::PercentEquity, Some(("1", false)), "1000"), (4, None));
    assert_eq!(sized(Sizing::PercentMargin, Some(("1.25", false)), "1000"), (80, None));
    assert_eq!(sized(Sizing::FixedRisk, Some(("1.25", false)), "1000"), (32, None));
    for sizing in [Sizing::PercentEquity, Sizing::PercentMargin, Sizing::FixedRisk] {
        assert_eq!(sized(sizing, None, "1000"), (0, Some(Code::NoRate)));
    }
    // A lot that is worth less than 1e-18 of the account's currency cannot be sized by.
    let mut settings = settings();
    settings.instruments[1].multiplier = 1;
    settings.risk.sizing = Sizing::PercentEquity;
    let mut desk = Desk::new(settings);
    desk.rate(EUR, "0.000000001", false);
    let wish = trade_engine::risk::Wish {
        instrument: DAX,
        side: Side::Buy,
        strength: Ratio::ONE,
        price: Some(Price(1)),
        stop: None,
        qty: None,
    };
    assert_eq!(trade_engine::risk::size(&desk.state().risk_view(), &wish), Err(Code::Overflow));
}

/// One currency, as ever: the rule of the rates does not even run.
#[test]
fn one_currency_asks_for_no_rate() {
    let mut settings = settings();
    settings.instruments.truncate(1);
    let mut desk = Desk::new(settings);
    let order = desk.buy(ES, 1, "5000");
    assert_eq!(desk.ran(order) & 1 << 5, 0);
    let events = desk.step(Input::Rate { currency: 1, price: price("1"), inverse: false });
    assert_eq!(Desk::refusal(&events), Some(Code::UnknownSymbol));
}

#[test]
fn a_trade_is_its_orders_strategys() {
    let mut desk = rated();
    desk.mark(ES, "5000");
    let one = desk.order(1, ES, Side::Buy, 2, "5000");
    let two = desk.order(2, ES, Side::Sell, 3, "5000");
    let lots = |desk: &Desk, strategy, side| {
        let own = desk.state().strategy_books().get(strategy, ES).expect("it is in the table");
        own.exposure.side(side).qty().0
    };
    assert_eq!((lots(&desk, 1, Side::Buy), lots(&desk, 2, Side::Sell)), (2, 3));
    assert_eq!((lots(&desk, 1, Side::Sell), lots(&desk, 0, Side::Buy)), (0, 0));
    desk.fill(one, ES, 2, "5000", "4");
    desk.fill_side(two, ES, Side::Sell, (3, "5010"), "6");
    assert_eq!((lots(&desk, 1, Side::Buy), lots(&desk, 2, Side::Sell)), (0, 0));
    // Nobody's: a trade that names no order of ours.
    desk.fill(ClOrdId::NONE, ES, 1, "5010", "0");
    let held = |desk: &Desk, strategy| {
        let own = desk.state().strategy_books().get(strategy, ES).expect("it is in the table");
        own.position.qty.0
    };
    assert_eq!([0, 1, 2].map(|number| held(&desk, number)), [1, 2, -3]);
    assert_eq!(desk.state().position(ES).expect("it is there").qty, Qty(0));
    // A late fill belongs to it too.
    desk.fill(one, ES, 1, "5000", "0");
    assert_eq!(held(&desk, 1), 3);
    desk.sold(ES, 1, "5000");
    assert_eq!(held(&desk, 0), 0);
    // At any mark the sum is the account's: 3 x 25 x 20 - 4, -3 x 25 x 10 - 6, and what nobody lost.
    desk.mark(ES, "5020");
    let pnl = |number| desk.state().strategy_pnl(number).expect("small").to_string();
    assert_eq!([0, 1, 2].map(pnl), ["-250", "1496", "-756"]);
    assert_eq!(desk.state().account().pnl(), money("490"));
    assert_eq!(desk.state().strategy_pnl(3), None);
}

/// Without a mark the account has realized what the strategies have not: that is nobody's so far.
#[test]
fn what_strategies_hold_against_each_other_waits_for_a_mark() {
    let mut desk = rated();
    let one = desk.order(1, DAX, Side::Buy, 1, "1000");
    let two = desk.order(2, DAX, Side::Sell, 1, "1000");
    desk.fill(one, DAX, 1, "1000", "0");
    desk.fill_side(two, DAX, Side::Sell, (1, "1010"), "0");
    let pnl = |desk: &Desk| {
        [0, 1, 2].map(|number| desk.state().strategy_pnl(number).expect("small").to_string())
    };
    assert_eq!(pnl(&desk), ["312.5", "0", "0"]);
    desk.mark(DAX, "1004");
    assert_eq!(pnl(&desk), ["0", "125", "187.5"]);
}

/// What rounding leaves over is nobody's.
#[test]
fn the_units_of_rounding_are_nobodys() {
    let mut desk = desk();
    desk.rate(EUR, "2", true);
    let cent = "0.000000000000000001";
    for strategy in [1, 2] {
        let order = desk.order(strategy, DAX, Side::Buy, 1, "1000");
        desk.fill(order, DAX, 1, "1000", cent);
    }
    // Two units of 1e-18 euros are one of the account's; one alone is half a one: none, to even.
    assert_eq!(desk.state().account().pnl(), Money(-1));
    let pnl = [0, 1, 2].map(|number| desk.state().strategy_pnl(number).expect("small").0);
    assert_eq!(pnl, [-1, 0, 0]);
}

#[test]
fn a_strategy_that_is_not_in_the_table_is_turned_down() {
    let mut desk = rated();
    for strategy in [0, 1, 2] {
        let order = desk.order(strategy, ES, Side::Buy, 1, "5000");
        assert_eq!(desk.reason(order), None);
    }
    for strategy in [3, u16::MAX] {
        let order = desk.order(strategy, ES, Side::Buy, 1, "5000");
        assert_eq!(desk.reason(order), Some(Code::Capacity));
        assert_eq!(desk.state().order(order).expect("a row").state, OrderState::Rejected);
        // What trades on it all the same is nobody's.
        let held = |desk: &Desk| {
            let nobodys = desk.state().strategy_books().get(0, ES).expect("it is in the table");
            nobodys.position.qty.0
        };
        let before = held(&desk);
        desk.fill(order, ES, 1, "5000", "0");
        assert_eq!(held(&desk), before + 1);
    }
    let id = desk.id();
    desk.step(Input::Signal {
        id,
        instrument: ES,
        side: SignalSide::Buy,
        strategy: 3,
        strength: Ratio::ONE,
        price: None,
        stop_price: None,
        qty: Some(Qty(1)),
        defect: None,
    });
    assert_eq!(desk.reason(id), Some(Code::Capacity));
}

#[test]
fn what_was_held_before_is_nobodys() {
    let mut desk = rated();
    let opening = Input::Opening { instrument: DAX, qty: Qty(2), avg_px: price("1000") };
    assert_eq!(Desk::refusal(&desk.step(opening)), None);
    let nobodys = desk.state().strategy_books().get(0, DAX).expect("it is in the table");
    assert_eq!(nobodys.position, *desk.state().position(DAX).expect("it is there"));
    desk.mark(DAX, "1001");
    assert_eq!(desk.state().strategy_pnl(0), Some(money("62.5")));
    assert!(desk.state().account().balance(EUR).is_some_and(|euros| euros.positions == 1));
    // Not twice, and not over what somebody holds against somebody else.
    assert_eq!(Desk::refusal(&desk.step(opening)), Some(Code::IllegalTransition));
    let order = desk.order(1, ES, Side::Buy, 1, "5000");
    desk.fill(order, ES, 1, "5000", "0");
    desk.sold(ES, 1, "5000");
    assert_eq!(desk.state().position(ES), Some(&Default::default()));
    let opening = Input::Opening { instrument: ES, qty: Qty(2), avg_px: price("1000") };
    assert_eq!(Desk::refusal(&desk.step(opening)), Some(Code::IllegalTransition));
}

/// Taking a trade out leaves the quantity and the total P&L that there would be without it.
#[test]
fn a_trade_can_be_taken_out_of_a_strategy() {
    let of = &InstrumentBook::new(settings().instruments.swap_remove(0));
    let fill = |side, qty, at: &str, commission: &str| Fill {
        side,
        qty: Qty(qty),
        price: price(at),
        commission: money(commission),
        slippage: money("3"),
    };
    let third = fill(Side::Sell, 5, "103", "0.7");
    let story = [fill(Side::Buy, 3, "100", "1"), third, fill(Side::Buy, 1, "99", "-0.2")];
    let (mut with, mut without) = (StrategyBooks::new(1, 1), StrategyBooks::new(1, 1));
    for (at, fill) in story.iter().enumerate() {
        with.book(1, ES, fill, of).expect("small figures");
        if at != 1 {
            without.book(1, ES, fill, of).expect("small figures");
        }
    }
    let opposite = Fill {
        side: third.side.opposite(),
        commission: Money(-third.commission.0),
        slippage: Money(-third.slippage.0),
        ..third
    };
    assert!(with.can_book(1, ES, &[opposite], of));
    with.book(1, ES, &opposite, of).expect("small figures");
    let of_both = [&with, &without].map(|books| {
        let own = &books.get(1, ES).expect("it is in the table").position;
        let balance = Balance::of(own, Some(price("101")), of.lot_value).expect("small figures");
        (own.qty, own.commission, own.slippage, balance.pnl(), balance.positions)
    });
    assert_eq!(of_both[0], of_both[1]);
    // Nothing else was touched, and what cannot be undone is not.
    assert_eq!(with.get(0, ES), StrategyBooks::new(1, 1).get(0, ES));
    let before = with.clone();
    let most = Fill { commission: Money(i128::MAX), ..third };
    assert!(!with.can_book(1, ES, &[third, most], of));
    assert!(with.book(1, ES, &most, of).is_err());
    let large = Fill { qty: Qty(of.qty_limit.0 + 10), ..third };
    assert!(!with.can_book(1, ES, &[large], of) && with.book(1, ES, &large, of).is_err());
    // Each is tried on what the one before it leaves.
    let whole = Fill { qty: of.qty_limit, ..third };
    assert!(!with.can_book(1, ES, &[whole, whole], of));
    assert!(with.can_book(1, ES, &[third, opposite], of));
    assert_eq!(with, before);
}

/// The table's ends.
#[test]
fn books_are_by_strategy_and_instrument() {
    let books = StrategyBooks::new(2, 3);
    assert_eq!(books.numbers(), 0..3);
    assert_eq!((books.has(2), books.has(3)), (true, false));
    assert!(books.get(2, InstrumentId(2)).is_some());
    assert_eq!(books.get(3, InstrumentId(0)), None);
    assert_eq!(books.get(0, InstrumentId(3)), None);
    assert_eq!(books.get(0, InstrumentId::UNKNOWN), None);
}

/// States that differ only in whose a lot is, in a rate, or in the kind of a rate, hash differently.
#[test]
fn the_hash_covers_rates_and_strategies() {
    let after = |strategy, rate: &str, inverse| {
        let mut desk = rated();
        let order = desk.order(strategy, ES, Side::Buy, 1, "5000");
        desk.fill(order, ES, 1, "5000", "0");
        // The order is gone: its own record of the strategy with it.
        desk.step(Input::DayRoll {});
        assert!(desk.state().orders().is_empty());
        desk.rate(JPY, rate, inverse);
        desk.state().hash()
    };
    let base = after(1, "160", true);
    assert_eq!(after(1, "160", true), base);
    assert_ne!(after(2, "160", true), base);
    assert_ne!(after(1, "160", false), base);
    assert_ne!(after(1, "161", true), base);
    assert_ne!(rated().state().hash(), desk().state().hash());
}

/// Money in a currency without a rate moves no other figure, and is in the account's hash.
#[test]
fn the_accounts_hash_covers_every_balance() {
    let hash = |change: Balance| {
        let mut account = Account::new(money("1"), 2);
        account.on_change(EUR, change).expect("small figures");
        let mut digest = Digest::default();
        account.digest(&mut digest);
        digest.finish()
    };
    let none = Balance::default();
    let one = Money(1);
    let all = [
        none,
        Balance { realized: one, ..none },
        Balance { commission: one, ..none },
        Balance { unrealized: one, ..none },
        Balance { positions: 1, ..none },
    ];
    let hashes: BTreeSet<u64> = all.into_iter().map(hash).collect();
    assert_eq!(hashes.len(), all.len());
}

/// The record of a rate says what it was.
#[test]
fn a_rate_is_one_record() {
    let mut desk = desk();
    let rate = Input::Rate { currency: EUR, price: price("1.25"), inverse: false };
    let events = desk.step(rate);
    assert!(events.is_empty(), "{events:?}");
    assert_eq!(desk.state().seq(), 1);
}
