//! Executions after they were booked: repeated, busted, corrected, once each, in every state of the
//! order and after it. The money is what it would be had they never been or always been so, by a
//! twin in exact rationals that computes everything again from the full list of trades.
//!
//! `SEED=7 RUNS=1 cargo test --test busts` repeats one run of the twin.

#[path = "common/blotter.rs"]
mod blotter;
#[path = "common/exact.rs"]
mod exact;

use blotter::{Blotter, ES, POINT, anomalies, points, refused, settings};
use exact::{Random, half_even, seed_and_runs};
use num_bigint::BigInt;
use num_rational::BigRational;
use trade_engine::code::Code;
use trade_engine::engine::Seen;
use trade_engine::event::Event;
use trade_engine::input::{ExecKey, Input, StatusKind};
use trade_engine::limits::{PRICE_MAX, TRADES_KEPT_MAX};
use trade_engine::order::{ClOrdId, OrderState};
use trade_engine::position::Position;
use trade_engine::settings::CostMethod::{self, Average, Fifo};
use trade_engine::units::{Money, Price, Qty, Side};

fn text(qty: i64, average: &str, net: &str) -> (i64, String, String) {
    (qty, average.to_owned(), net.to_owned())
}

fn filled(state: OrderState, qty: i64, average: &str) -> (OrderState, i64, String) {
    (state, qty, average.to_owned())
}

/// Whether the bust or correction among these was recomputed.
fn exact(events: &[Event]) -> Option<bool> {
    events.iter().find_map(|event| {
        if let Event::Busted { exact, .. } | Event::Corrected { exact, .. } = event {
            Some(*exact)
        } else {
            None
        }
    })
}

#[test]
fn a_bust_takes_a_trade_out_as_if_it_had_never_been() {
    let mut blotter = Blotter::of(Average);
    let order = blotter.order(Side::Buy, 3);
    blotter.trade(order, "1", 1, 100);
    blotter.trade(order, "2", 2, 103);
    assert_eq!(blotter.filled(order), filled(OrderState::Filled, 3, "102"));
    let events = blotter.bust(order, "B1", "1");
    let [Event::Busted { last_qty: Qty(1), cum_qty: Qty(2), exact: true, .. }, position] =
        events[..]
    else {
        panic!("{events:?}")
    };
    assert!(matches!(position, Event::Position { qty: Qty(2), .. }), "{position:?}");
    assert_eq!(blotter.filled(order), filled(OrderState::PartialFill, 2, "103"));
    assert_eq!(blotter.row(order).leaves_qty(), Qty(1));
    // Its commission, a dollar, comes back too.
    assert_eq!(blotter.held(), text(2, "103", "-1"));
    blotter.bust(order, "B2", "2");
    assert_eq!(blotter.filled(order), filled(OrderState::Accepted, 0, "-"));
    assert_eq!(*blotter.position(), Position::default());
    // It is open again, and fills again.
    blotter.trade(order, "3", 3, 99);
    assert_eq!(blotter.filled(order), filled(OrderState::Filled, 3, "99"));
}

#[test]
fn a_trade_is_busted_once_and_every_report_counts_once() {
    let mut blotter = Blotter::of(Average);
    let (order, other) = (blotter.order(Side::Buy, 9), blotter.order(Side::Buy, 9));
    blotter.trade(order, "1", 1, 100);
    blotter.trade(order, "2", 2, 100);
    for (exec, exec_ref, code) in [
        ("B1", "9", Code::UnknownExecution),
        ("1", "2", Code::DuplicateExecution),
        ("1", "1", Code::DuplicateExecution),
        ("B1", "B1", Code::UnknownExecution),
    ] {
        let events = blotter.bust(order, exec, exec_ref);
        assert_eq!((refused(&events), events.len()), (Some(code), 1), "{exec} {exec_ref}");
    }
    let events = blotter.step(Input::Bust {
        order: other,
        exec: blotter::key(other, "B1"),
        exec_ref: blotter::key(order, "1"),
    });
    assert_eq!(refused(&events), Some(Code::UnknownExecution), "the trade is another order's");
    assert_eq!(refused(&blotter.bust(order, "B1", "1")), None);
    for (exec, exec_ref, code) in [
        // The same report again, then the venue's second thought.
        ("B1", "1", Code::DuplicateExecution),
        ("B1", "2", Code::DuplicateExecution),
        ("B2", "1", Code::UnknownExecution),
        ("B2", "B1", Code::UnknownExecution),
    ] {
        assert_eq!(refused(&blotter.bust(order, exec, exec_ref)), Some(code), "{exec} {exec_ref}");
        let corrected = blotter.correct(order, (exec, exec_ref), 1, 1);
        assert_eq!(refused(&corrected), Some(code), "{exec} {exec_ref}");
    }
    // The trade itself again is the one that was busted; under the bust's id it is another.
    assert_eq!(refused(&blotter.trade(order, "1", 1, 100)), Some(Code::DuplicateExecution));
    let events = blotter.trade(order, "B1", 1, 100);
    assert_eq!(anomalies(&events), [(Code::ConflictingExecution, 1, false)]);
    assert_eq!(blotter.filled(order), filled(OrderState::PartialFill, 2, "100"));
    assert_eq!(blotter.held(), text(2, "100", "-1"));
}

#[test]
fn a_correction_gives_a_trade_other_figures() {
    let mut blotter = Blotter::of(Average);
    let order = blotter.order(Side::Buy, 4);
    blotter.trade(order, "1", 1, 100);
    blotter.trade(order, "2", 3, 104);
    assert_eq!(blotter.filled(order), filled(OrderState::Filled, 4, "103"));
    let events = blotter.correct(order, ("C1", "2"), 2, 106);
    let [Event::Corrected { last_qty: Qty(2), last_px, cum_qty: Qty(3), exact: true, .. }, _] =
        events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(last_px, points(106));
    assert_eq!(blotter.filled(order), filled(OrderState::PartialFill, 3, "104"));
    // The commission stays.
    assert_eq!(blotter.held(), text(3, "104", "-2"));
    // By the trade's own id again, by the correction's, and back to what it was.
    blotter.correct(order, ("C2", "2"), 3, 108);
    assert_eq!(blotter.filled(order), filled(OrderState::Filled, 4, "106"));
    blotter.correct(order, ("C3", "C1"), 3, 104);
    assert_eq!(blotter.filled(order), filled(OrderState::Filled, 4, "103"));
    assert_eq!(blotter.held(), text(4, "103", "-2"));
    // Reported again, it is a duplicate with the figures that it had, and with no others.
    assert_eq!(refused(&blotter.trade(order, "2", 3, 104)), Some(Code::DuplicateExecution));
    let events = blotter.trade(order, "2", 2, 106);
    assert_eq!(anomalies(&events), [(Code::ConflictingExecution, 2, false)]);
    assert_eq!(anomalies(&blotter.trade(order, "C1", 2, 106)).len(), 1, "no trade's id");
    // A bust by any of the names is the last that is heard of it.
    assert_eq!(refused(&blotter.bust(order, "B", "C2")), None);
    assert_eq!(blotter.filled(order), filled(OrderState::PartialFill, 1, "100"));
    for name in ["2", "C1", "C2", "C3", "B"] {
        assert_eq!(refused(&blotter.bust(order, "B2", name)), Some(Code::UnknownExecution));
    }
}

#[test]
fn a_correction_is_checked_like_a_trade() {
    let mut blotter = Blotter::of(Average);
    let order = blotter.limit(Side::Buy, 4, 100);
    blotter.trade(order, "1", 2, 100);
    for qty in [0, -1, i64::MIN] {
        let events = blotter.correct(order, ("C1", "1"), qty, 100);
        assert_eq!(refused(&events), Some(Code::BadQty), "{qty}");
    }
    let mut report = blotter::correct(order, ("C1", "1"), 1, points(100));
    if let Input::Correct { defect, .. } = &mut report {
        *defect = Some(Code::BadPrice);
    }
    assert_eq!(refused(&blotter.step(report)), Some(Code::BadPrice));
    // More than was asked for, at a worse price than was asked for.
    let events = blotter.correct(order, ("C1", "1"), 7, 101);
    let said = [(Code::Overfill, 3, true), (Code::WorseThanLimit, 7, true)];
    assert_eq!(anomalies(&events), said);
    assert_eq!(blotter.filled(order), filled(OrderState::Filled, 7, "101"));
    // What was past the order already, and worse already, is no news; less of it is none either.
    assert_eq!(anomalies(&blotter.correct(order, ("C2", "1"), 7, 101)), []);
    assert_eq!(anomalies(&blotter.correct(order, ("C3", "1"), 6, 101)), []);
    assert_eq!(
        anomalies(&blotter.correct(order, ("C4", "1"), 7, 100)),
        [(Code::Overfill, 1, true)]
    );
    assert_eq!(anomalies(&blotter.correct(order, ("C5", "1"), 4, 99)), []);
    assert_eq!(blotter.filled(order), filled(OrderState::Filled, 4, "99"));
}

/// D35: after the end quantities follow, the state does not; after the row is gone, the money does.
#[test]
fn an_ended_order_keeps_its_state_and_a_retired_one_its_money() {
    for (kind, state) in
        [(StatusKind::Cancelled, OrderState::Cancelled), (StatusKind::Expired, OrderState::Expired)]
    {
        let mut blotter = Blotter::of(Average);
        let order = blotter.order(Side::Buy, 9);
        blotter.trade(order, "1", 3, 100);
        blotter.trade(order, "2", 1, 100);
        blotter.status(order, kind);
        blotter.bust(order, "B1", "1");
        assert_eq!(blotter.filled(order), filled(state, 1, "100"));
        blotter.correct(order, ("C1", "2"), 12, 101);
        assert_eq!(blotter.filled(order), filled(state, 12, "101"));
        assert_eq!(blotter.row(order).leaves_qty(), Qty(0));
        assert_eq!(blotter.held(), text(12, "101", "-1"));
    }
    let mut settings = settings(Average);
    settings.capacity.orders = 1;
    let mut blotter = Blotter::new(settings);
    let order = blotter.order(Side::Buy, 2);
    blotter.trade(order, "1", 1, 100);
    blotter.trade(order, "2", 1, 104);
    let next = blotter.order(Side::Sell, 2);
    assert!(blotter.engine.state().order(order).is_none(), "its slot was needed");
    let events = blotter.correct(order, ("C1", "1"), 3, 102);
    let closed = |event: &Event| {
        matches!(event, Event::Corrected { cum_qty: Qty(3), state: OrderState::Closed, .. })
    };
    assert!(events.iter().any(closed), "{events:?}");
    assert_eq!(blotter.held(), text(4, "102.5", "-2"));
    let events = blotter.bust(order, "B2", "2");
    let closed = |event: &Event| {
        matches!(event, Event::Busted { cum_qty: Qty(0), state: OrderState::Closed, .. })
    };
    assert!(events.iter().any(closed), "{events:?}");
    assert_eq!(blotter.held(), text(3, "102", "-1"));
    assert_eq!(blotter.filled(next), filled(OrderState::Submitted, 0, "-"));
}

/// Trades for an order that nobody made: its row follows too, and never fills. A later row of the
/// same id is another: what was busted before it was made is none of its quantity.
#[test]
fn a_row_that_no_input_made_follows_its_own_trades() {
    let mut blotter = Blotter::of(Average);
    let stranger = ClOrdId::new(5, 1);
    blotter.trade(stranger, "1", 2, 100);
    blotter.trade(stranger, "2", 1, 103);
    assert_eq!(blotter.filled(stranger), filled(OrderState::PartialFill, 3, "101"));
    assert_eq!(anomalies(&blotter.correct(stranger, ("C1", "2"), 2, 104)), []);
    assert_eq!(blotter.filled(stranger), filled(OrderState::PartialFill, 4, "102"));
    blotter.bust(stranger, "B1", "1");
    assert_eq!(blotter.filled(stranger), filled(OrderState::PartialFill, 2, "104"));
    blotter.bust(stranger, "B2", "2");
    assert_eq!(blotter.filled(stranger), filled(OrderState::Accepted, 0, "-"));
    assert_eq!(*blotter.position(), Position::default());

    let mut settings = settings(Average);
    settings.capacity.orders = 1;
    let mut blotter = Blotter::new(settings);
    blotter.trade(stranger, "1", 5, 100);
    // An order of ours needs the slot, ends, and gives it to the stranger again.
    let ours = blotter.order(Side::Buy, 1);
    blotter.status(ours, StatusKind::Rejected);
    let taken = blotter.order(Side::Buy, 0);
    assert!(blotter.engine.state().order(ours).is_none());
    assert!(blotter.engine.state().order(taken).is_some());
    let mine = ClOrdId::new(5, 1);
    blotter.step(blotter::order(mine, Side::Buy, 9, None));
    blotter.trade(mine, "2", 1, 100);
    blotter.bust(mine, "B1", "1");
    assert_eq!(blotter.filled(mine), filled(OrderState::PartialFill, 1, "100"));
    assert_eq!(blotter.held(), text(1, "100", "-1"));
    blotter.bust(mine, "B2", "2");
    assert_eq!(blotter.filled(mine), filled(OrderState::Accepted, 0, "-"));
}

/// Once the position was flat, what came before is settled: the opposite is booked, the cash is the
/// same, and it is said that the split is not.
#[test]
fn before_the_position_was_last_flat_the_opposite_is_booked() {
    for method in [Average, Fifo] {
        let mut blotter = Blotter::of(method);
        let (buy, sell) = (blotter.order(Side::Buy, 9), blotter.order(Side::Sell, 9));
        blotter.trade(buy, "1", 2, 100);
        blotter.trade(sell, "1", 2, 110);
        blotter.trade(buy, "2", 3, 120);
        assert_eq!(blotter.held(), text(3, "120", "17"));
        let events = blotter.bust(buy, "B", "1");
        assert_eq!(exact(&events), Some(false));
        assert_eq!(anomalies(&events), [(Code::BustApproximate, 2, true)]);
        // Two of three sold at 100, and its dollar back.
        assert_eq!(blotter.held(), text(1, "120", "-22"));
        assert_eq!(blotter.cash(), (220 - 360 - 2) * POINT);
        assert_eq!(blotter.filled(buy), filled(OrderState::PartialFill, 3, "120"));
        assert_eq!(refused(&blotter.bust(buy, "B2", "1")), Some(Code::UnknownExecution));
        // A correction: the opposite of what it was, then what it is; which can be recomputed.
        let events = blotter.correct(sell, ("C1", "1"), 1, 111);
        assert_eq!((exact(&events), anomalies(&events).len()), (Some(false), 1));
        assert_eq!(blotter.cash(), (111 - 360 - 2) * POINT);
        assert_eq!(blotter.position().qty, Qty(2));
        assert_eq!(blotter.position().commission, Money(2 * POINT));
        for (number, name) in ["1", "C1"].into_iter().enumerate() {
            let exec = format!("C{}", number + 2);
            let qty = 2 - i64::try_from(number).expect("two");
            let events = blotter.correct(sell, (&exec, name), qty, 112);
            assert_eq!((exact(&events), anomalies(&events).len()), (Some(true), 0), "{name}");
            assert_eq!(blotter.cash(), (i128::from(qty) * 112 - 360 - 2) * POINT);
            assert_eq!(blotter.filled(sell).1, qty);
        }
        let events = blotter.bust(sell, "B3", "C2");
        assert_eq!(exact(&events), Some(true));
        assert_eq!(blotter.cash(), (-360 - 1) * POINT);
        assert_eq!(blotter.position().qty, Qty(3));
    }
}

/// A bust may make a moment flat that was not: what came before it is then settled, as it would be
/// had the trade never been.
#[test]
fn a_bust_that_makes_a_moment_flat_settles_what_came_before() {
    let mut blotter = Blotter::of(Average);
    let (buy, sell) = (blotter.order(Side::Buy, 9), blotter.order(Side::Sell, 9));
    blotter.trade(buy, "1", 1, 100);
    blotter.trade(buy, "2", 1, 102);
    blotter.trade(sell, "1", 1, 110);
    blotter.trade(buy, "3", 2, 104);
    assert_eq!(exact(&blotter.bust(buy, "B1", "2")), Some(true));
    assert_eq!(blotter.held(), text(2, "104", "7"));
    assert_eq!(exact(&blotter.bust(buy, "B2", "1")), Some(false), "flat after the sale");
    assert_eq!(exact(&blotter.bust(buy, "B3", "3")), Some(true), "but this came after");
}

/// The oldest are folded away one by one; the last TRADES_KEPT_MAX can still be recomputed.
#[test]
fn so_many_trades_are_kept_and_not_one_more() {
    for method in [Average, Fifo] {
        let mut blotter = Blotter::unwatched(settings(method));
        let order = blotter.order(Side::Buy, 1_000_000);
        let kept = i64::from(TRADES_KEPT_MAX);
        for number in 0..=kept {
            blotter.trade(order, &number.to_string(), 1 + number % 3, 100 + number);
        }
        let cost: i64 = (2..=kept).map(|number| (1 + number % 3) * (100 + number)).sum();
        let events = blotter.bust(order, "B1", "1");
        assert_eq!(exact(&events), Some(true), "the oldest of those that are kept");
        let open_cost = i128::from(cost + 100) * POINT;
        assert_eq!(blotter.position().open_cost.0, open_cost);
        assert_eq!(blotter.position().realized, Money::ZERO);
        let events = blotter.bust(order, "B0", "0");
        assert_eq!(exact(&events), Some(false), "one older");
        assert_eq!(blotter.cash(), i128::from(-cost - (kept - 1)) * POINT);
        // First in, first out closes the very lot that it had opened.
        assert_eq!(blotter.position().realized == Money::ZERO, method == Fifo);
        // The opposite is a trade, and so is the next: each takes a place from an old one.
        blotter.trade(order, "last", 1, 100);
        assert_eq!(exact(&blotter.bust(order, "B3", "3")), Some(true));
        assert_eq!(exact(&blotter.bust(order, "B2", "2")), Some(false));
    }
}

/// Figures past the range: said, not booked, nothing half changed, and trading halts.
#[test]
fn what_leaves_the_range_changes_nothing_and_halts() {
    let unbooked = |blotter: &mut Blotter, input: Input, reason: Code| {
        let before = blotter.engine.state().clone();
        let events = blotter.step(input);
        let [Event::Unbooked { reason: said, .. }, anomaly, Event::Halted { .. }] = events[..]
        else {
            panic!("{events:?}")
        };
        assert!(matches!(anomaly, Event::Anomaly { booked: false, .. }), "{anomaly:?}");
        assert_eq!(said, reason);
        let after = blotter.engine.state();
        assert_eq!(after.account(), before.account());
        assert_eq!(after.books(), before.books());
        assert!(after.orders().iter().eq(before.orders().iter()));
        assert_eq!(after.executions().len(), before.executions().len());
        blotter.step(Input::Resume {});
    };
    let mut blotter = Blotter::of(Average);
    let (buy, sell) = (blotter.order(Side::Buy, 9), blotter.order(Side::Sell, 9));
    let most = blotter.engine.state().books()[0].qty_limit.0;
    blotter.trade(buy, "1", most, 1);
    blotter.trade(sell, "1", 1, 1);
    blotter.trade(buy, "2", 1, 1);
    // Without the sale the position would have been one larger than it may be.
    unbooked(&mut blotter, blotter::bust(sell, "B", "1"), Code::Overflow);
    for (qty, price) in
        [(2, Price(PRICE_MAX + 1)), (2, Price(i64::MIN)), (3, points(1)), (i64::MAX, points(1))]
    {
        unbooked(&mut blotter, blotter::correct(buy, ("C", "2"), qty, price), Code::Overflow);
    }
    let mut report = blotter::correct(buy, ("C", "2"), 1, points(1));
    if let Input::Correct { defect, .. } = &mut report {
        *defect = Some(Code::Overflow);
    }
    unbooked(&mut blotter, report, Code::Overflow);
    // The report was not taken in: it can come again, and be booked.
    assert_eq!(refused(&blotter.correct(buy, ("C", "2"), 1, PRICE_MAX / points(1).0)), None);

    // An account at its bound: it is the equity that leaves its range, and nothing else.
    let mut settings = settings(Average);
    settings.account.initial_capital = Money(trade_engine::limits::BALANCE_MAX - 50 * POINT);
    let mut blotter = Blotter::new(settings);
    let buy = blotter.order(Side::Buy, 9);
    blotter.mark(100);
    blotter.trade(buy, "1", 1, 100);
    unbooked(&mut blotter, blotter::correct(buy, ("C", "1"), 1, points(40)), Code::Overflow);
}

/// A table without room: a trade is booked and a bust is too, since neither needs a place; a
/// correction would, and says so. What was not remembered cannot be found again.
#[test]
fn a_full_table_books_trades_and_busts() {
    for method in [Average, Fifo] {
        let mut settings = settings(method);
        settings.capacity.executions = 5;
        let mut blotter = Blotter::new(settings);
        let (buy, sell) = (blotter.order(Side::Buy, 90), blotter.order(Side::Sell, 90));
        for exec in ["1", "2", "3", "4"] {
            blotter.trade(buy, exec, 1, 100);
        }
        // One place is left, and a correction may need two.
        let events = blotter.correct(buy, ("C", "1"), 2, 100);
        assert_eq!(anomalies(&events), [(Code::Capacity, 1, false)]);
        blotter.step(Input::Resume {});
        let events = blotter.trade(buy, "5", 1, 110);
        assert!(matches!(events.last(), Some(Event::Halted { reason: Code::Capacity })));
        assert!(blotter.engine.state().executions().is_full());
        // Everything is kept yet, and a bust that cannot be remembered is still exact.
        assert_eq!(exact(&blotter.bust(buy, "B", "1")), Some(true));
        assert_eq!(refused(&blotter.bust(buy, "B", "1")), Some(Code::UnknownExecution));
        assert_eq!(blotter.held(), text(4, "102.5", "-4"));
        // Trades without a place: at the end of the line.
        blotter.trade(buy, "6", 2, 120);
        assert_eq!(refused(&blotter.bust(buy, "B", "6")), Some(Code::UnknownExecution));
        assert_eq!(blotter.position().qty, Qty(6));
        let events = blotter.bust(buy, "B", "5");
        assert_eq!(exact(&events), Some(false), "a trade that has no place came after it");
        assert_eq!(blotter.position().qty, Qty(5));
        let cash = |blotter: &Blotter| blotter.cash() / POINT;
        assert_eq!(cash(&blotter), -300 - 240 - 4);
        blotter.trade(sell, "1", 4, 130);
        assert_eq!(cash(&blotter), -300 - 240 - 4 + 520 - 1);
        if method == Fifo {
            // Of 100, 100, 100, 110, 120, 120 the opposite closed the first, the sale the next four.
            assert_eq!(blotter.position().open_cost.0, 120 * POINT);
        }
        let events = blotter.bust(buy, "B", "2");
        assert_eq!(exact(&events), Some(false));
        assert_eq!(blotter.position().commission, Money(4 * POINT));
        assert_eq!((blotter.position().qty, blotter.position().open_cost), (Qty(0), Money::ZERO));
    }
}

/// An execution without a key is booked each time and can be referred to by nobody, but it is a lot
/// like any other, and what is recomputed goes over it.
#[test]
fn a_trade_without_a_key_is_a_lot() {
    let mut blotter = Blotter::of(Fifo);
    let (buy, sell) = (blotter.order(Side::Buy, 9), blotter.order(Side::Sell, 9));
    blotter.trade(buy, "1", 1, 100);
    let mut nameless = blotter::trade(buy, Side::Buy, "", 1, points(110));
    if let Input::Trade { exec, .. } = &mut nameless {
        *exec = ExecKey(0);
    }
    blotter.step(nameless);
    blotter.step(nameless);
    blotter.trade(sell, "1", 2, 120);
    assert_eq!(blotter.held(), text(1, "110", "26"));
    let events = blotter.step(Input::Bust {
        order: buy,
        exec: blotter::key(buy, "B"),
        exec_ref: ExecKey(0),
    });
    assert_eq!(refused(&events), Some(Code::UnknownExecution));
    blotter.bust(buy, "B", "1");
    assert_eq!(blotter.held(), text(0, "-", "17"));
    // A bust without a key of its own can be told from another by what it busts.
    blotter.trade(buy, "2", 1, 100);
    let nameless = Input::Bust { order: buy, exec: ExecKey(0), exec_ref: blotter::key(buy, "2") };
    assert_eq!(exact(&blotter.step(nameless)), Some(true));
    assert_eq!(refused(&blotter.step(nameless)), Some(Code::UnknownExecution));
}

/// Slippage is measured again from the price at decision.
#[test]
fn slippage_follows() {
    let mut blotter = Blotter::of(Average);
    blotter.mark(100);
    let (buy, sell) = (blotter.order(Side::Buy, 9), blotter.order(Side::Sell, 9));
    let slippage = |blotter: &Blotter| blotter.position().slippage.0 / POINT;
    blotter.trade(buy, "1", 2, 103);
    blotter.trade(buy, "2", 1, 99);
    assert_eq!(slippage(&blotter), 5);
    blotter.correct(buy, ("C1", "1"), 3, 101);
    assert_eq!(slippage(&blotter), 2);
    blotter.bust(buy, "B2", "2");
    assert_eq!(slippage(&blotter), 3);
    blotter.trade(sell, "1", 3, 98);
    assert_eq!((blotter.position().qty, slippage(&blotter)), (Qty(0), 9));
    assert_eq!(exact(&blotter.bust(sell, "B1", "1")), Some(false));
    assert_eq!(slippage(&blotter), 3);
}

/// A held position before the first trade: one lot, the oldest, and there is no trade to bust.
#[test]
fn what_was_held_before_is_the_oldest_lot() {
    for (method, realized) in [(Average, -5), (Fifo, 10)] {
        let mut blotter = Blotter::of(method);
        blotter.step(Input::Opening { instrument: ES, qty: Qty(2), avg_px: points(100) });
        let (buy, sell) = (blotter.order(Side::Buy, 9), blotter.order(Side::Sell, 9));
        blotter.trade(buy, "1", 2, 130);
        blotter.trade(sell, "1", 1, 110);
        assert_eq!(blotter.position().realized.0, realized * POINT);
        assert_eq!(exact(&blotter.bust(buy, "B", "1")), Some(true));
        assert_eq!(blotter.position().realized.0, 10 * POINT);
        assert_eq!(blotter.held(), text(1, "100", "9"));
    }
}

/// Which trade was busted or corrected decides what can be said of it later: states that differ in
/// nothing else hash differently.
#[test]
fn the_hash_covers_what_became_of_each_trade() {
    let hash_after = |exec_ref: &str, corrects: bool| {
        let mut blotter = Blotter::of(Average);
        let (buy, sell) = (blotter.order(Side::Buy, 9), blotter.order(Side::Sell, 9));
        blotter.trade(buy, "1", 1, 100);
        blotter.trade(buy, "2", 1, 100);
        blotter.trade(sell, "1", 2, 100);
        blotter.trade(buy, "3", 1, 100);
        blotter.trade(buy, "4", 1, 100);
        if corrects {
            blotter.correct(buy, ("C", exec_ref), 1, 100);
        } else {
            blotter.bust(buy, "B", exec_ref);
        }
        (blotter.held(), blotter.filled(buy), blotter.engine.state().hash())
    };
    for corrects in [false, true] {
        for [one, other] in [["1", "2"], ["3", "4"]] {
            let (one, other) = (hash_after(one, corrects), hash_after(other, corrects));
            assert_eq!((one.0, one.1), (other.0, other.1));
            assert_ne!(one.2, other.2, "{corrects}");
        }
    }
}

/// A duplicate is known for the life of the log, and so is a trade that is busted.
#[test]
fn nothing_is_forgotten_over_a_long_life() {
    let others: u64 = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    let mut settings = settings(Average);
    settings.capacity.executions = usize::try_from(others).expect("fits") + 4_500;
    let mut blotter = Blotter::unwatched(settings);
    let (buy, sell) = (blotter.order(Side::Buy, 1), blotter.order(Side::Sell, 1));
    blotter.trade(buy, "first", 7, 100);
    for number in 0..others {
        let (order, side) = if number % 2 == 0 { (buy, Side::Buy) } else { (sell, Side::Sell) };
        blotter.step(blotter::trade(order, side, &number.to_string(), 1, points(100)));
    }
    let held = blotter.held();
    assert_eq!(refused(&blotter.trade(buy, "first", 7, 100)), Some(Code::DuplicateExecution));
    let events = blotter.trade(buy, "first", 6, 100);
    assert_eq!(anomalies(&events), [(Code::ConflictingExecution, 6, false)]);
    assert_eq!(blotter.held(), held);
    let executions = blotter.engine.state().executions();
    assert_eq!(executions.len() as u64, others + 1);
    let key = blotter::key(buy, "first");
    assert_eq!(executions.seen(key, Qty(7), points(100)), Seen::Same);
    assert_eq!(executions.standing(key).expect("it stands").execution.qty, Qty(7));
    assert_eq!(exact(&blotter.bust(buy, "B", "first")), Some(false));
    assert_eq!(blotter.position().qty, Qty(0));
    assert_eq!(blotter.row(buy).cum_qty.0.unsigned_abs(), others / 2);
}

/// One booking of the twin: a trade with the figures that it has, or the opposite of an older one.
#[derive(Clone)]
struct Item {
    side: Side,
    qty: i64,
    price: i64,
    commission: i64,
    busted: bool,
}

/// What the twin gets from its list, in points.
#[derive(Default)]
struct Sums {
    qty: i64,
    cost: BigInt,
    realized: BigInt,
    commission: i64,
    lots: Vec<(i64, BigInt)>,
}

impl Sums {
    fn close(&mut self, method: CostMethod, mut closed: i64) -> BigInt {
        if method == Average {
            let cost = &self.cost * BigInt::from(closed);
            return half_even(&BigRational::new(cost, self.qty.abs().into()));
        }
        let mut released = BigInt::from(0);
        while closed > 0 {
            let (left, price) = &mut self.lots[0];
            let taken = left.abs().min(closed);
            released += &*price * BigInt::from(taken * left.signum());
            *left -= taken * left.signum();
            closed -= taken;
            if *left == 0 {
                self.lots.remove(0);
            }
        }
        released
    }

    fn book(&mut self, method: CostMethod, item: &Item) {
        let price = BigInt::from(item.price) * BigInt::from(POINT);
        let mut signed = item.qty * item.side.sign();
        if self.qty.signum() == -signed.signum() {
            let ended = -signed.signum() * signed.abs().min(self.qty.abs());
            let released = self.close(method, ended.abs());
            self.realized += &price * BigInt::from(ended) - &released;
            self.cost -= released;
            self.qty -= ended;
            signed += ended;
        }
        self.qty += signed;
        self.cost += &price * BigInt::from(signed);
        if signed != 0 {
            self.lots.push((signed, price));
        }
        self.commission += item.commission;
    }
}

/// The twin: every booking in order, and where each trade is among them now.
struct Twin {
    method: CostMethod,
    items: Vec<Item>,
    /// For each trade: its item, or none if it was busted.
    trades: Vec<Option<usize>>,
}

impl Twin {
    fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for item in self.items.iter().filter(|item| !item.busted) {
            sums.book(self.method, item);
        }
        sums
    }

    /// Whether the position has not been flat since that item.
    fn is_kept(&self, at: usize) -> bool {
        let mut qty = 0;
        for (number, item) in self.items.iter().enumerate() {
            qty += if item.busted { 0 } else { item.qty * item.side.sign() };
            if number >= at && qty == 0 {
                return false;
            }
        }
        true
    }

    fn opposite(&mut self, at: usize) {
        let Item { side, commission, .. } = self.items[at];
        let (side, commission) = (side.opposite(), -commission);
        self.items.push(Item { side, commission, ..self.items[at].clone() });
    }

    /// Returns whether it was exact.
    fn bust(&mut self, trade: usize) -> bool {
        let at = self.trades[trade].take().expect("it stands");
        let exact = self.is_kept(at);
        if exact {
            self.items[at].busted = true;
        } else {
            self.opposite(at);
        }
        exact
    }

    fn correct(&mut self, trade: usize, qty: i64, price: i64) -> bool {
        let at = self.trades[trade].expect("it stands");
        let exact = self.is_kept(at);
        if exact {
            (self.items[at].qty, self.items[at].price) = (qty, price);
        } else {
            self.opposite(at);
            self.items.push(Item { qty, price, ..self.items[at].clone() });
            self.trades[trade] = Some(self.items.len() - 1);
        }
        exact
    }
}

/// A run of the engine beside the twin.
struct Life {
    blotter: Blotter,
    twin: Twin,
    /// For each trade: its order, and every id that it can be called by.
    names: Vec<(usize, Vec<String>)>,
    orders: [ClOrdId; 4],
    reports: u64,
    exact: u64,
    approximate: u64,
}

impl Life {
    fn new(method: CostMethod) -> Self {
        let mut blotter = Blotter::unwatched(settings(method));
        blotter.mark(100);
        let sides = [Side::Buy, Side::Buy, Side::Sell, Side::Sell];
        let orders = sides.map(|side| blotter.order(side, 20));
        let twin = Twin { method, items: Vec::new(), trades: Vec::new() };
        let (names, reports, exact, approximate) = (Vec::new(), 0, 0, 0);
        Self { blotter, twin, names, orders, reports, exact, approximate }
    }

    fn name(&mut self) -> String {
        self.reports += 1;
        self.reports.to_string()
    }

    fn trade(&mut self, random: &mut Random) {
        let held = self.blotter.position().qty.0;
        let order = usize::try_from(random.below(4)).expect("four");
        let side = if order < 2 { Side::Buy } else { Side::Sell };
        let qty = match random.below(4) {
            0 if held != 0 => held.abs(),
            _ => random.between(1, 5),
        };
        let (price, commission) = (random.between(-20, 200), random.between(-1, 3));
        let exec = self.name();
        let mut input = blotter::trade(self.orders[order], side, &exec, qty, points(price));
        if let Input::Trade { commission: paid, .. } = &mut input {
            *paid = Money(i128::from(commission) * POINT);
        }
        self.blotter.step(input);
        if random.below(4) == 0 {
            assert_eq!(refused(&self.blotter.step(input)), Some(Code::DuplicateExecution));
        }
        self.twin.items.push(Item { side, qty, price, commission, busted: false });
        self.twin.trades.push(Some(self.twin.items.len() - 1));
        self.names.push((order, vec![exec]));
    }

    /// A bust or a correction of any trade, an old one as likely as a new one, by any of its names.
    fn amend(&mut self, random: &mut Random) {
        let count = self.names.len() as u64;
        let back = if random.below(2) == 0 { count } else { count.min(6) };
        let trade = usize::try_from(count - 1 - random.below(back)).expect("few");
        let exec = self.name();
        let (order, names) = &mut self.names[trade];
        let order = self.orders[*order];
        let exec_ref =
            names[usize::try_from(random.below(names.len() as u64)).expect("few")].clone();
        let busts = random.below(2) == 0;
        let (qty, price) = (random.between(1, 6), random.between(-20, 200));
        let events = if busts {
            self.blotter.bust(order, &exec, &exec_ref)
        } else {
            self.blotter.correct(order, (&exec, &exec_ref), qty, price)
        };
        if self.twin.trades[trade].is_none() {
            assert_eq!(refused(&events), Some(Code::UnknownExecution));
            return;
        }
        names.push(exec);
        let expected =
            if busts { self.twin.bust(trade) } else { self.twin.correct(trade, qty, price) };
        assert_eq!(exact(&events), Some(expected), "{events:?}");
        let approximate = (Code::BustApproximate, expected);
        assert_eq!(anomalies(&events).iter().any(|said| said.0 == approximate.0), !expected);
        self.exact += u64::from(expected);
        self.approximate += u64::from(!expected);
    }

    fn check(&self) {
        let sums = self.twin.sums();
        let position = self.blotter.position();
        assert_eq!(position.qty.0, sums.qty);
        assert_eq!(BigInt::from(position.open_cost.0), sums.cost);
        assert_eq!(BigInt::from(position.realized.0), sums.realized);
        assert_eq!(position.commission.0, i128::from(sums.commission) * POINT);
        // The cash is that of the trades as they stand, however they came to be so.
        let standing = |trade: &Option<usize>| trade.map(|at| &self.twin.items[at]);
        let cash = |item: &Item| -(item.qty * item.side.sign()) * item.price - item.commission;
        let cash: i64 = self.twin.trades.iter().filter_map(standing).map(cash).sum();
        assert_eq!(self.blotter.cash(), i128::from(cash) * POINT);
        // Measured from 100, the price at decision.
        let worse = |item: &Item| (item.price - 100) * item.qty * item.side.sign();
        let worse: i64 = self.twin.trades.iter().filter_map(standing).map(worse).sum();
        assert_eq!(position.slippage.0, i128::from(worse) * POINT);
        let account = self.blotter.engine.state().account();
        let worth = i128::from(cash + 100 * sums.qty) * POINT;
        assert_eq!(account.equity().0 - account.initial_capital().0, worth);
        for (number, order) in self.orders.iter().enumerate() {
            let of_order = self.names.iter().zip(&self.twin.trades);
            let of_order = of_order.filter(|((order, _), _)| *order == number);
            let items = of_order.filter_map(|(_, trade)| standing(trade));
            let (qty, value) = items.fold((0, 0), |(qty, value), item| {
                (qty + item.qty, value + i128::from(item.qty * points(item.price).0))
            });
            let row = self.blotter.row(*order);
            assert_eq!((row.cum_qty.0, row.cum_value), (qty, value));
            let state = match qty {
                0 if row.state == OrderState::Submitted => OrderState::Submitted,
                0 => OrderState::Accepted,
                1..20 => OrderState::PartialFill,
                _ => OrderState::Filled,
            };
            assert_eq!(row.state, state);
        }
    }
}

#[test]
fn random_busts_and_corrections_agree_with_the_twin() {
    let (seed, runs) = seed_and_runs("busts", if cfg!(debug_assertions) { 60 } else { 1_000 });
    let (mut exact, mut approximate) = (0, 0);
    for run in 0..runs {
        let mut random = Random(seed + run);
        let method = if run % 2 == 0 { Average } else { Fifo };
        let mut life = Life::new(method);
        for _ in 0..120 {
            if life.names.is_empty() || random.below(5) < 3 {
                life.trade(&mut random);
            } else {
                life.amend(&mut random);
            }
            life.check();
        }
        (exact, approximate) = (exact + life.exact, approximate + life.approximate);
    }
    println!("{exact} exact, {approximate} approximate");
    assert!(exact > 5 * runs && approximate > 5 * runs, "{exact} {approximate}");
}
