//! A venue that does not answer: it is said, once, after the timeout; nothing is sent again, and
//! what nobody knows the fate of counts in full.

#[path = "common/pit.rs"]
#[allow(dead_code, reason = "shared by several tests, each of which uses a part")]
mod pit;

use pit::*;
use trade_engine::broker::Message;
use trade_engine::code::Code;
use trade_engine::event::Event;
use trade_engine::input::{Input, StatusKind};
use trade_engine::limits::SWEEP_ORDERS_MAX;
use trade_engine::order::{ClOrdId, Flags, SweepKind};
use trade_engine::settings::{LimitKey, Limits, Millis};
use trade_engine::units::Side::{Buy, Sell};
use trade_engine::units::{Qty, Ts};

/// A tenth of a second.
fn pit() -> Pit {
    Pit::with(Limits { answer_timeout_ms: Some(Millis(100)), ..Limits::OFF })
}

/// What is said to be unanswered after a timer at `at` and the walk that it may begin.
fn said(pit: &mut Pit, at: i64) -> Vec<(ClOrdId, ClOrdId, Ts)> {
    pit.ts = at;
    let mut events = pit.step(Input::Timer {});
    events.extend(pit.settle());
    let unanswered = events.into_iter().filter_map(|event| {
        let Event::Unanswered { order, request, since } = event else { return None };
        Some((order, request, since))
    });
    unanswered.collect()
}

type Answer = fn(&mut Pit, ClOrdId);

const NONE: ClOrdId = ClOrdId::NONE;

#[test]
fn an_order_is_said_to_be_unanswered_once_after_the_timeout() {
    let mut pit = pit();
    pit.ts = 5 * MS;
    let order = pit.limit(Buy, 1, 100).expect("an order");
    assert_eq!(said(&mut pit, 50 * MS), []);
    assert_eq!(said(&mut pit, 105 * MS), [], "no longer than the timeout");
    assert_eq!(said(&mut pit, 130 * MS), [(order, NONE, Ts(5 * MS))]);
    assert!(pit.order(order).flags.has(Flags::OVERDUE));
    assert_eq!(said(&mut pit, 500 * MS), [], "once");
    pit.agrees();
}

#[test]
fn the_timeout_is_exact_to_the_nanosecond() {
    let mut pit = pit();
    let order = pit.limit(Buy, 1, 100).expect("an order");
    assert_eq!(said(&mut pit, 100 * MS), []);
    let mut pit = self::pit();
    assert_eq!(pit.limit(Buy, 1, 100), Ok(order));
    assert_eq!(said(&mut pit, 100 * MS + 1), [(order, NONE, Ts(0))]);
}

#[test]
fn nothing_is_sent_again_and_it_counts_in_full() {
    let mut pit = pit();
    let order = pit.limit(Buy, 3, 100).expect("an order");
    let request = pit.id();
    pit.step(Input::Cancel { id: request, order });
    let before = pit.state().book(ES).expect("a book").exposure;
    let row = pit.order(order).clone();
    pit.ts = SECOND;
    let mut messages = Vec::new();
    pit.step(Input::Timer {});
    messages.append(&mut pit.messages);
    let mut events = Vec::new();
    while pit.state().sweeps().any() {
        events.extend(pit.step(Input::Continue {}));
        messages.append(&mut pit.messages);
    }
    let count = events.iter().filter(|event| matches!(event, Event::Unanswered { .. })).count();
    assert_eq!(count, 2, "the order and its request: {events:?}");
    assert_eq!(messages, [Message::Time], "the time and nothing else");
    assert_eq!(pit.state().book(ES).expect("a book").exposure, before);
    assert_eq!(before.side(Buy).qty(), Qty(3));
    let now = pit.order(order);
    assert_eq!((now.state, now.leaves_qty()), (row.state, row.leaves_qty()));
    assert_eq!(now.requests.iter().map(|request| request.id).collect::<Vec<_>>(), [request]);
}

#[test]
fn any_answer_will_do_and_a_late_one_clears_it() {
    let answers: [(&str, Answer); 8] = [
        ("received", |pit, order| drop(pit.status(order, StatusKind::PendingNew))),
        ("acknowledged", |pit, order| drop(pit.status(order, StatusKind::Accepted))),
        ("rejected", |pit, order| drop(pit.status(order, StatusKind::Rejected))),
        ("cancelled", |pit, order| drop(pit.status(order, StatusKind::Cancelled))),
        ("expired", |pit, order| drop(pit.status(order, StatusKind::Expired))),
        ("suspended", |pit, order| drop(pit.status(order, StatusKind::Suspended))),
        ("traded", |pit, order| drop(pit.fill(order, 1, 100))),
        ("restated", |pit, order| drop(pit.step(Input::Restated { order, qty: Some(Qty(2)) }))),
    ];
    for (what, answer) in answers {
        let mut pit = pit();
        let order = pit.limit(Buy, 3, 100).expect("an order");
        answer(&mut pit, order);
        assert_eq!(said(&mut pit, SECOND), [], "{what}, in time");

        let mut pit = self::pit();
        let order = pit.limit(Buy, 3, 100).expect("an order");
        assert_eq!(said(&mut pit, SECOND).len(), 1);
        answer(&mut pit, order);
        assert!(!pit.order(order).flags.has(Flags::OVERDUE), "{what}, late");
        pit.agrees();
    }
    // Each of these is about a stop, or comes last in its day.
    for kind in [StatusKind::Triggered, StatusKind::DoneForDay] {
        let mut pit = pit();
        let order = pit.send(stop(ES, Sell, 1, 90)).expect("a stop");
        pit.status(order, kind);
        assert_eq!(said(&mut pit, SECOND), [], "{kind:?}");
    }
}

#[test]
fn every_request_has_a_time_of_its_own() {
    let mut pit = pit();
    let order = pit.limit(Buy, 3, 100).expect("an order");
    pit.status(order, StatusKind::Accepted);
    pit.ts = 10 * MS;
    pit.replace(order, None, Some(101));
    let first = ClOrdId::new(0, 2);
    pit.ts = 60 * MS;
    pit.replace(order, None, Some(102));
    let second = ClOrdId::new(0, 3);
    // A request that the venue is said to work on is no answer yet.
    pit.status(order, StatusKind::PendingReplace);
    assert_eq!(said(&mut pit, 110 * MS), []);
    assert_eq!(said(&mut pit, 136 * MS), [(order, first, Ts(10 * MS))]);
    pit.status(order, StatusKind::ReplaceRejected);
    assert_eq!(said(&mut pit, 162 * MS), [(order, second, Ts(60 * MS))]);
    pit.ts = 200 * MS;
    let cancel = pit.id();
    pit.step(Input::Cancel { id: cancel, order });
    assert_eq!(said(&mut pit, 301 * MS), [(order, cancel, Ts(200 * MS))]);
    assert!(!pit.order(order).flags.has(Flags::OVERDUE), "the order was answered");
    pit.agrees();
}

/// A walk begins at most every quarter of the timeout, by whatever moves the time, trading or not.
#[test]
fn walks_are_few_and_begin_with_whatever_moves_the_time() {
    let movers = [
        Input::Timer {},
        Input::DayRoll {},
        Input::Mark { instrument: ES, price: price(100), bid: None, ask: None },
        Input::Bar {
            instrument: ES,
            open: price(100),
            high: price(100),
            low: price(100),
            close: price(100),
            volume: 1,
            opened: Ts(0),
        },
    ];
    let begins = |events: &[Event]| {
        let begin = |event: &&Event| {
            matches!(event, Event::Sweep { kind: SweepKind::Overdue, next: 0, done: false })
        };
        events.iter().filter(begin).count()
    };
    for mover in movers {
        let mut pit = pit();
        pit.limit(Buy, 1, 100).expect("an order");
        let mut walks = Vec::new();
        for ms in 0..120 {
            pit.ts = ms * MS;
            if begins(&pit.step(mover)) > 0 {
                walks.push(ms);
            }
            pit.settle();
        }
        assert_eq!(walks, [0, 25, 50, 75, 100], "{mover}");
        pit.set(LimitKey::AnswerTimeoutMs, None);
        pit.ts = SECOND;
        assert_eq!(begins(&pit.step(mover)), 0, "{mover}: switched off");
        pit.agrees();
    }
}

/// Switched off in the middle of a walk, it says nothing more; a walk that is under way is not begun
/// anew.
#[test]
fn a_walk_ends_where_nobody_asks_any_more() {
    let mut pit = pit();
    pit.limit(Buy, 1, 100).expect("an order");
    pit.ts = SECOND;
    pit.step(Input::Timer {});
    assert!(pit.state().sweeps().get(SweepKind::Overdue).is_some());
    pit.ts = 2 * SECOND;
    assert_eq!(pit.step(Input::Timer {}), []);
    pit.set(LimitKey::AnswerTimeoutMs, None);
    let events = pit.settle();
    assert!(!events.iter().any(|event| matches!(event, Event::Unanswered { .. })), "{events:?}");
    pit.agrees();
}

/// Many at once, each with as many requests as fit: a turn says a bounded number, and none twice.
#[test]
fn many_are_said_in_bounded_turns() {
    let mut pit = pit();
    let many = 2 * SWEEP_ORDERS_MAX;
    for _ in 0..many {
        let order = pit.limit(Buy, 1, 100).expect("an order");
        for at in 1..=8 {
            assert_eq!(pit.replace(order, None, Some(at)), None);
        }
        assert_eq!(pit.cancel(order), None);
    }
    pit.ts = SECOND;
    pit.step(Input::Timer {});
    let mut said = 0;
    while pit.state().sweeps().any() {
        let events = pit.step(Input::Continue {});
        let here = events.iter().filter(|event| matches!(event, Event::Unanswered { .. })).count();
        assert!(here < SWEEP_ORDERS_MAX + 10, "{here}");
        said += here;
    }
    assert_eq!(said, many * 10);
    pit.agrees();
}

/// A row for a stranger's trade was never handed over.
#[test]
fn what_nobody_ordered_waits_for_no_answer() {
    let mut pit = pit();
    pit.fill(ClOrdId::new(3, 1), 1, 100);
    assert_eq!(pit.state().orders().len(), 1);
    assert_eq!(said(&mut pit, SECOND), []);
}

/// A replace carries all of the order's terms, FIX's way. One that asks for a price was sent with the
/// quantity that the replace before it had asked for: the venue may make that of it although it has
/// turned the first one down.
#[test]
fn an_outstanding_replace_counts_by_all_that_it_was_sent_with() {
    let mut pit = pit();
    let order = pit.limit(Buy, 5, 100).expect("an order");
    let counted = |pit: &Pit| {
        let side = *pit.state().book(ES).expect("a book").exposure.side(Buy);
        (side.qty().0, side.priced_value / i128::from(trade_engine::limits::PRICE_SCALE))
    };
    assert_eq!(pit.replace(order, Some(10), None), None);
    let first = ClOrdId::new(0, 2);
    assert_eq!(pit.replace(order, None, Some(99)), None);
    let sent = |message: &Message| {
        let Message::Replace { qty, price, .. } = message else { return None };
        Some((*qty, *price))
    };
    let sent: Vec<_> = pit.messages.iter().filter_map(sent).collect();
    assert_eq!(sent, [(Qty(10), Some(price(99)))]);
    assert_eq!(counted(&pit), (10, 1_000));
    let (kind, request) = (StatusKind::ReplaceRejected, first);
    pit.step(Input::Status { order, kind, request });
    assert_eq!(counted(&pit), (10, 1_000), "the second one says ten as well");
    // A third goes on from what was sent, not from what the order has.
    assert_eq!(pit.replace(order, Some(10), None), Some(Code::NoChange));
    assert_eq!(pit.replace(order, Some(9), None), None);
    let (qty, price, stop_price) = (Some(Qty(10)), Some(price(99)), None);
    pit.step(Input::Replaced { order, request: ClOrdId::new(0, 3), qty, price, stop_price });
    assert_eq!(counted(&pit), (10, 990));
    pit.status(order, StatusKind::ReplaceRejected);
    assert_eq!(counted(&pit), (10, 990));
    pit.agrees();
}
