//! How fast, how often, and the same again: each control at its limit, and one beyond.

#[path = "common/pit.rs"]
#[allow(dead_code, reason = "shared by several tests, each of which uses a part")]
mod pit;

use pit::*;
use trade_engine::code::Code;
use trade_engine::digest::Digest;
use trade_engine::event::Event;
use trade_engine::input::{Input, SignalSide, StatusKind};
use trade_engine::limits::RATE_MAX;
use trade_engine::order::{ClOrdId, OrdType, Order};
use trade_engine::risk::Controls;
use trade_engine::risk::throttle::{Rates, Sender, Sent};
use trade_engine::settings::{Capacity, Count, LimitKey, Limits, Millis, Scope, Settings};
use trade_engine::units::Side::{Buy, Sell};
use trade_engine::units::Ts;

fn orders_per_second(n: u32) -> Limits {
    Limits { max_orders_per_second: Some(Count(n)), ..Limits::OFF }
}

fn messages_per_second(n: u32) -> Limits {
    Limits { max_messages_per_second: Some(Count(n)), ..Limits::OFF }
}

fn repeats(n: u32) -> Limits {
    Limits { max_repeats: Some(Count(n)), ..Limits::OFF }
}

fn window(ms: u32) -> Limits {
    Limits { duplicate_window_ms: Some(Millis(ms)), ..Limits::OFF }
}

/// The number and the limit of the rule that an order broke.
fn broken(events: &[Event], code: Code) -> Option<(String, String)> {
    events.iter().find_map(|event| {
        let Event::Broken { rule, number, limit, .. } = event else { return None };
        (*rule == code).then(|| (number.to_string(), limit.to_string()))
    })
}

#[test]
fn so_many_orders_in_any_second_and_no_more() {
    let mut pit = Pit::with(orders_per_second(3));
    for at in [0, 1, 500 * MS] {
        pit.ts = at;
        assert!(pit.limit(Buy, 1, 100).is_ok());
    }
    pit.ts = SECOND - 1;
    assert_eq!(pit.limit(Buy, 1, 100), Err(Code::OrderRate));
    // A second after the first, to the nanosecond: and what was denied has not counted.
    pit.ts = SECOND;
    assert!(pit.limit(Buy, 1, 100).is_ok());
    assert_eq!(pit.limit(Buy, 1, 100), Err(Code::OrderRate));
    pit.ts = SECOND + 1;
    assert!(pit.limit(Buy, 1, 100).is_ok());
    pit.ts = SECOND + 500 * MS - 1;
    assert_eq!(pit.limit(Buy, 1, 100), Err(Code::OrderRate));
    pit.ts = SECOND + 500 * MS;
    assert!(pit.limit(Buy, 1, 100).is_ok());
    pit.agrees();
}

#[test]
fn the_verdict_says_how_many_and_of_how_many() {
    let mut pit = Pit::with(orders_per_second(1));
    pit.limit(Buy, 1, 100).expect("the first");
    let mut order = limit(ES, Buy, 1, 100);
    if let Input::Order { id, .. } = &mut order {
        *id = pit.id();
    }
    let events = pit.step(order);
    assert_eq!(broken(&events, Code::OrderRate), Some(("2".to_owned(), "1".to_owned())));
}

#[test]
fn a_rate_of_none_refuses_all() {
    let mut pit = Pit::with(orders_per_second(0));
    assert_eq!(pit.limit(Buy, 1, 100), Err(Code::OrderRate));
    let mut pit = Pit::with(messages_per_second(0));
    assert_eq!(pit.limit(Buy, 1, 100), Err(Code::MessageRate));
    let mut pit = Pit::with(repeats(0));
    assert_eq!(pit.limit(Buy, 1, 100), Err(Code::MaxRepeats));
}

#[test]
fn orders_replaces_and_cancels_are_messages_and_a_cancel_always_goes() {
    let mut pit = Pit::with(messages_per_second(3));
    let order = pit.limit(Buy, 2, 100).expect("the first");
    assert_eq!(pit.replace(order, None, Some(101)), None);
    assert_eq!(pit.replace(order, None, Some(102)), None);
    // Neither a new order nor a replace, not even one that lowers the worst case.
    assert_eq!(pit.limit(Sell, 1, 200), Err(Code::MessageRate));
    assert_eq!(pit.replace(order, None, Some(103)), Some(Code::MessageRate));
    assert_eq!(pit.replace(order, Some(1), None), Some(Code::MessageRate));
    pit.ts = SECOND - 1;
    assert_eq!(pit.cancel(order), None);
    // The three are gone; the cancel counts from its own time.
    pit.ts = SECOND;
    let others: Vec<_> = (0..3).map(|_| pit.limit(Buy, 1, 100)).collect();
    assert!(others[0].is_ok() && others[1].is_ok());
    assert_eq!(others[2], Err(Code::MessageRate));
    pit.ts = 2 * SECOND - 1;
    assert!(pit.limit(Buy, 1, 100).is_ok(), "the cancel is a second old");
    pit.agrees();
}

#[test]
fn replaces_and_cancels_are_no_orders() {
    let mut pit = Pit::with(orders_per_second(2));
    let order = pit.limit(Buy, 1, 100).expect("the first");
    for at in 101..105 {
        assert_eq!(pit.replace(order, None, Some(at)), None);
    }
    pit.cancel(order);
    assert!(pit.limit(Buy, 1, 100).is_ok());
    assert_eq!(pit.limit(Buy, 1, 100), Err(Code::OrderRate));
}

/// What was turned down for another reason does not count either, nor what the edge got wrong.
#[test]
fn what_was_denied_does_not_count() {
    let mut pit = Pit::with(orders_per_second(1));
    for _ in 0..5 {
        assert_eq!(pit.limit(Buy, 0, 100), Err(Code::BadQty));
        assert_eq!(pit.send(reduce_only(market(ES, Sell, 1))), Err(Code::ReduceOnly));
    }
    assert!(pit.limit(Buy, 1, 100).is_ok());
}

#[test]
fn an_exit_is_throttled_like_any_order() {
    for (limits, code) in [
        (orders_per_second(1), Code::OrderRate),
        (messages_per_second(1), Code::MessageRate),
        (repeats(1), Code::MaxRepeats),
    ] {
        let mut pit = Pit::with(limits);
        pit.hold(5);
        assert!(pit.market(Sell, 1).is_ok());
        assert_eq!(pit.market(Sell, 1), Err(code));
        assert_eq!(pit.close(ES), Err(code));
        // Halted or not.
        pit.step(Input::Halt { cancel_working: false });
        assert_eq!(pit.market(Sell, 1), Err(code));
    }
}

fn scoped(limits: Limits, scope: Scope) -> Settings {
    let mut settings = settings(Limits::OFF);
    match scope {
        Scope::Account => settings.risk.limits = limits,
        // Of NQ, the second.
        Scope::Instrument => settings.risk.symbols = vec![Limits::OFF, limits],
        // Of "two".
        Scope::Strategy => settings.risk.strategies = vec![Limits::OFF, limits],
    }
    settings
}

#[test]
fn each_scope_counts_its_own() {
    for (limits, code) in [
        (orders_per_second(2), Code::OrderRate),
        (messages_per_second(2), Code::MessageRate),
        (repeats(2), Code::MaxRepeats),
    ] {
        let es = |strategy| of_strategy(limit(ES, Buy, 1, 100), strategy);
        let nq = |strategy| of_strategy(limit(NQ, Buy, 1, 100), strategy);

        let mut pit = Pit::new(scoped(limits.clone(), Scope::Instrument));
        for _ in 0..9 {
            assert!(pit.send(es(2)).is_ok());
        }
        assert!(pit.send(nq(1)).is_ok() && pit.send(nq(1)).is_ok());
        assert_eq!(pit.send(nq(1)), Err(code));
        assert!(pit.send(es(1)).is_ok());

        let mut pit = Pit::new(scoped(limits.clone(), Scope::Strategy));
        for _ in 0..9 {
            assert!(pit.send(nq(1)).is_ok());
            // Nobody has no limit.
            assert!(pit.send(nq(0)).is_ok());
        }
        assert!(pit.send(nq(2)).is_ok() && pit.send(nq(2)).is_ok());
        assert_eq!(pit.send(nq(2)), Err(code));
        assert!(pit.send(nq(1)).is_ok());
        pit.agrees();
    }
    // The account's counts everybody's.
    let mut pit = Pit::new(scoped(orders_per_second(2), Scope::Account));
    assert!(pit.send(of_strategy(limit(NQ, Buy, 1, 100), 1)).is_ok());
    assert!(pit.send(of_strategy(limit(ES, Buy, 1, 100), 2)).is_ok());
    assert_eq!(pit.limit(Buy, 1, 100), Err(Code::OrderRate));
}

/// The nearest of the scopes is the one that is shown, and any of them refuses.
#[test]
fn the_nearest_scope_speaks() {
    let mut settings = scoped(orders_per_second(4), Scope::Account);
    settings.risk.symbols = vec![orders_per_second(2)];
    settings.risk.strategies = vec![orders_per_second(3)];
    let mut pit = Pit::new(settings);
    let tightest = |events: &[Event]| {
        events.iter().find_map(|event| {
            let Event::Verdict { number, limit, .. } = event else { return None };
            Some(format!("{number} of {limit}"))
        })
    };
    let send = |pit: &mut Pit, mut order: Input| {
        if let Input::Order { id, .. } = &mut order {
            *id = pit.id();
        }
        tightest(&pit.step(order)).expect("a verdict")
    };
    assert_eq!(send(&mut pit, of_strategy(limit(NQ, Buy, 1, 100), 1)), "1 of 3");
    assert_eq!(send(&mut pit, of_strategy(limit(NQ, Buy, 1, 100), 1)), "2 of 3");
    assert_eq!(send(&mut pit, limit(ES, Buy, 1, 100)), "3 of 4");
    assert_eq!(send(&mut pit, limit(ES, Buy, 1, 100)), "4 of 4");
    // All are beyond: 5 of 4, 3 of 2, 3 of 3.
    assert_eq!(send(&mut pit, of_strategy(limit(ES, Buy, 1, 100), 1)), "3 of 2");
}

/// A rate that is set while the engine runs counts what was sent before.
#[test]
fn a_rate_set_at_run_time_counts_what_was_sent_before() {
    let mut pit = Pit::with(Limits::OFF);
    for _ in 0..5 {
        pit.limit(Buy, 1, 100).expect("no limit");
    }
    pit.set(LimitKey::MaxOrdersPerSecond, Some(5));
    assert_eq!(pit.limit(Buy, 1, 100), Err(Code::OrderRate));
    pit.set(LimitKey::MaxOrdersPerSecond, Some(6));
    assert!(pit.limit(Buy, 1, 100).is_ok());
    assert_eq!(pit.limit(Buy, 1, 100), Err(Code::OrderRate));
    pit.set(LimitKey::MaxOrdersPerSecond, None);
    assert!(pit.limit(Buy, 1, 100).is_ok());
    pit.agrees();
}

/// More than can be counted in a second: nobody knows how many there were until the last that was
/// not counted is a second old.
#[test]
fn more_than_can_be_counted_blinds_for_a_second() {
    let mut rates = Rates::new(2, 1);
    let sender = |instrument, strategy| Sender { instrument, strategy };
    for _ in 0..RATE_MAX - 1 {
        rates.note(Ts(0), sender(ES, 0), true);
    }
    rates.note(Ts(1), sender(NQ, 1), false);
    assert!(!rates.is_blind(), "all were counted");
    rates.note(Ts(2), sender(NQ, 1), true);
    assert!(rates.is_blind());
    let counts = |rates: &Rates| [rates.account(), rates.instrument(NQ), rates.strategy(1)];
    let sent = |orders, messages| Sent { orders, messages };
    assert_eq!(counts(&rates), [sent(9_999, 10_000), sent(0, 1), sent(0, 1)]);
    rates.advance(Ts(SECOND - 1));
    assert_eq!(counts(&rates), [sent(9_999, 10_000), sent(0, 1), sent(0, 1)]);
    rates.advance(Ts(SECOND));
    assert_eq!(counts(&rates), [sent(0, 1), sent(0, 1), sent(0, 1)]);
    rates.advance(Ts(SECOND + 1));
    assert_eq!(counts(&rates), [sent(0, 0); 3]);
    assert!(rates.is_blind(), "one may have been an order, a second ago less one");
    rates.advance(Ts(SECOND + 2));
    assert!(!rates.is_blind());
    // The ring goes on past its end: five seconds at a rate of 4,000.
    for number in 0..20_000 {
        let at = Ts(2 * SECOND + number * (SECOND / 4_000));
        rates.advance(at);
        rates.note(at, sender(ES, 1), number % 2 == 0);
    }
    assert_eq!(counts(&rates), [sent(2_000, 4_000), sent(0, 0), sent(2_000, 4_000)]);
    assert!(!rates.is_blind());
}

#[test]
fn the_same_order_again_within_the_window() {
    let mut pit = Pit::with(window(10));
    pit.ts = 5 * MS;
    assert!(pit.limit(Buy, 2, 100).is_ok());
    pit.ts = 15 * MS - 1;
    let mut order = limit(ES, Buy, 2, 100);
    if let Input::Order { id, .. } = &mut order {
        *id = pit.id();
    }
    let events = pit.step(order);
    assert_eq!(
        broken(&events, Code::DuplicateOrder),
        Some(("9.999999".to_owned(), "10".to_owned()))
    );
    // What was denied is not what the next one repeats: equal age passes.
    pit.ts = 15 * MS;
    assert!(pit.limit(Buy, 2, 100).is_ok());
    pit.ts = 25 * MS - 1;
    assert_eq!(pit.limit(Buy, 2, 100), Err(Code::DuplicateOrder));
    pit.agrees();
}

#[test]
fn another_order_is_no_duplicate() {
    let mut pit = Pit::with(window(1_000));
    let first = typed(market(ES, Buy, 2), OrdType::StopLimit, Some(100), Some(99));
    assert!(pit.send(first).is_ok());
    let others = [
        typed(market(NQ, Buy, 2), OrdType::StopLimit, Some(100), Some(99)),
        typed(market(ES, Sell, 2), OrdType::StopLimit, Some(100), Some(99)),
        typed(market(ES, Buy, 3), OrdType::StopLimit, Some(100), Some(99)),
        typed(market(ES, Buy, 2), OrdType::StopLimit, Some(101), Some(99)),
        typed(market(ES, Buy, 2), OrdType::StopLimit, Some(100), Some(98)),
        typed(market(ES, Buy, 2), OrdType::Limit, Some(100), None),
        typed(market(ES, Buy, 2), OrdType::Stop, None, Some(99)),
        market(ES, Buy, 2),
    ];
    for other in others {
        assert!(pit.send(other).is_ok(), "{other:?}");
        assert_eq!(pit.send(other), Err(Code::DuplicateOrder), "{other:?}");
    }
    // Whoever sends it, however long it is to work: the venue sees the same order twice.
    assert_eq!(pit.send(of_strategy(first, 2)), Err(Code::DuplicateOrder));
    // A price that the type does not have makes no other order of it.
    let priced = typed(market(ES, Buy, 2), OrdType::Market, Some(7), Some(8));
    assert_eq!(pit.send(priced), Err(Code::DuplicateOrder));
    let stopped = typed(market(ES, Buy, 2), OrdType::Limit, Some(100), Some(8));
    assert_eq!(pit.send(stopped), Err(Code::DuplicateOrder));
}

#[test]
fn signals_are_checked_and_what_the_engine_makes_is_not() {
    let mut pit = Pit::with(window(1_000));
    assert!(pit.send(signal(ES, SignalSide::Buy, 2)).is_ok());
    assert_eq!(pit.send(signal(ES, SignalSide::Buy, 2)), Err(Code::DuplicateOrder));
    assert_eq!(pit.market(Buy, 2), Err(Code::DuplicateOrder));
    // Flattened, held again, flattened again: each time what is held and no more.
    let mut pit = Pit::with(window(1_000));
    pit.hold(2);
    let exit = pit.close(ES).expect("something is held");
    assert_eq!(pit.close(ES), Err(Code::NoPosition));
    pit.status(exit, StatusKind::Rejected);
    assert!(pit.close(ES).is_ok());
    let exit = ClOrdId::new(0, 3);
    pit.status(exit, StatusKind::Rejected);
    assert!(pit.send(signal(ES, SignalSide::Flat, 0)).is_ok());
    // A feeder's own exit that does the same is a duplicate of them.
    assert_eq!(pit.market(Sell, 2), Err(Code::DuplicateOrder));
    pit.agrees();
}

#[test]
fn a_full_memory_refuses_until_the_oldest_has_left_the_window() {
    let mut settings = settings(window(10));
    settings.capacity.orders = 4;
    let mut pit = Pit::new(settings);
    pit.hold(9);
    for at in 0..4 {
        pit.ts = at * MS;
        let order = pit.limit(Buy, 1, 100 + at).expect("another order");
        pit.status(order, StatusKind::Rejected);
    }
    assert_eq!(pit.limit(Buy, 1, 200), Err(Code::Capacity));
    // The engine's own goes: there is a way out.
    let exit = pit.close(ES).expect("an exit");
    pit.status(exit, StatusKind::Rejected);
    pit.ts = 10 * MS - 1;
    assert_eq!(pit.limit(Buy, 1, 200), Err(Code::Capacity));
    pit.ts = 10 * MS;
    assert!(pit.limit(Buy, 1, 200).is_ok());
    assert_eq!(pit.limit(Buy, 1, 201), Err(Code::Capacity));
    assert_eq!(pit.limit(Buy, 1, 101), Err(Code::DuplicateOrder));
    pit.ts = 11 * MS;
    assert!(pit.limit(Buy, 1, 101).is_ok());
    // A replace needs no place in it.
    let order = pit.limit(Buy, 1, 102).err();
    assert_eq!(order, Some(Code::DuplicateOrder));
    pit.agrees();
}

/// An order that was sent again, and is still known by its first sending when it is, stays known
/// when that is forgotten.
#[test]
fn what_was_sent_again_is_remembered_from_its_last_time() {
    let mut pit = Pit::with(window(10));
    // Two are forgotten with each new order: the first sending outlasts the second's.
    for at in [201, 202, 203, 100] {
        assert!(pit.limit(Buy, 1, at).is_ok());
    }
    pit.ts = 10 * MS;
    assert!(pit.limit(Buy, 1, 100).is_ok());
    pit.ts = 11 * MS;
    assert!(pit.limit(Buy, 1, 204).is_ok());
    assert_eq!(pit.limit(Buy, 1, 100), Err(Code::DuplicateOrder));
    pit.ts = 20 * MS - 1;
    assert_eq!(pit.limit(Buy, 1, 100), Err(Code::DuplicateOrder));
    pit.ts = 20 * MS;
    assert!(pit.limit(Buy, 1, 100).is_ok());
    pit.agrees();
}

#[test]
fn a_window_can_be_set_at_any_time() {
    let mut pit = Pit::with(Limits::OFF);
    assert!(pit.limit(Buy, 1, 100).is_ok());
    pit.set(LimitKey::DuplicateWindowMs, Some(10));
    // What was sent while nobody asked is not remembered.
    assert!(pit.limit(Buy, 1, 100).is_ok());
    pit.ts = 9 * MS;
    pit.set(LimitKey::DuplicateWindowMs, Some(5));
    assert!(pit.limit(Buy, 1, 100).is_ok());
    pit.set(LimitKey::DuplicateWindowMs, Some(0));
    assert!(pit.limit(Buy, 1, 100).is_ok(), "no window, no duplicates");
    pit.agrees();
}

#[test]
fn so_many_orders_one_way_until_a_person_re_arms() {
    let mut pit = Pit::with(repeats(2));
    let one = |side| of_strategy(limit(ES, side, 1, 100), 1);
    assert!(pit.send(one(Buy)).is_ok());
    assert_eq!(refusal(&pit.step(Input::Resume {})), Some(Code::NotHalted), "one of two is used");
    assert!(pit.send(one(Buy)).is_ok());
    pit.ts = 1_000 * SECOND;
    assert_eq!(pit.send(one(Buy)), Err(Code::MaxRepeats), "time does not re-arm");
    // The other direction, another instrument, another strategy have counts of their own.
    assert!(pit.send(one(Sell)).is_ok());
    assert!(pit.send(of_strategy(limit(NQ, Buy, 1, 100), 1)).is_ok());
    assert!(pit.send(of_strategy(limit(ES, Buy, 1, 100), 2)).is_ok());
    assert!(pit.limit(Buy, 1, 100).is_ok());
    pit.step(Input::DayRoll {});
    pit.settle();
    assert_eq!(pit.send(one(Buy)), Err(Code::MaxRepeats), "nor does the day");
    assert_eq!(refusal(&pit.step(Input::Resume {})), None);
    for _ in 0..2 {
        assert!(pit.send(one(Buy)).is_ok());
    }
    assert_eq!(pit.send(one(Buy)), Err(Code::MaxRepeats));
    pit.agrees();
}

/// A replace is no repetition of a signal, and what was denied does not count.
#[test]
fn only_orders_that_were_handed_over_are_repeats() {
    let mut pit = Pit::with(repeats(2));
    let order = pit.limit(Buy, 1, 100).expect("the first");
    for at in 101..106 {
        assert_eq!(pit.replace(order, None, Some(at)), None);
    }
    for _ in 0..5 {
        assert_eq!(pit.limit(Buy, 0, 100), Err(Code::BadQty));
    }
    assert!(pit.limit(Buy, 1, 100).is_ok());
    assert_eq!(pit.limit(Buy, 1, 100), Err(Code::MaxRepeats));
    assert_eq!(pit.replace(order, None, Some(107)), None, "a replace goes on");
}

/// The lowest of the limits that bind a strategy in an instrument counts.
#[test]
fn the_lowest_limit_of_repeats_counts() {
    let mut settings = settings(repeats(3));
    settings.risk.symbols = vec![Limits::OFF, repeats(2)];
    settings.risk.strategies = vec![repeats(1)];
    let mut pit = Pit::new(settings);
    let mut goes = |instrument, strategy| {
        let order = of_strategy(limit(instrument, Buy, 1, 100), strategy);
        (0..9).take_while(|_| pit.send(order).is_ok()).count()
    };
    assert_eq!(goes(ES, 2), 3);
    assert_eq!(goes(NQ, 2), 2);
    assert_eq!(goes(ES, 1), 1);
    assert_eq!(goes(NQ, 1), 1);
}

/// What a later decision rests on is in the hash: each of these states would decide differently.
#[test]
fn the_hash_covers_what_the_controls_remember() {
    let order = |instrument, side, strategy, qty| {
        let mut pit = Pit::with(Limits::OFF);
        let order = of_strategy(limit(instrument, side, qty, 100), strategy);
        let id = pit.send(order).expect("no limits");
        pit.order(id).clone()
    };
    let limits = window(10);
    let fresh = || Controls::new(&settings(Limits::OFF).risk, &Capacity::default(), 2, 2);
    let hash = |controls: &Controls| {
        let mut digest = Digest::default();
        controls.digest(&mut digest);
        digest.finish()
    };
    let after = |orders: &[Order], limits: &Limits| {
        let mut controls = fresh();
        orders.iter().for_each(|order| controls.note_order(Ts(5), order, limits));
        controls
    };
    let first = order(ES, Buy, 1, 1);
    let mut hashes = vec![hash(&fresh()), hash(&after(std::slice::from_ref(&first), &limits))];
    // Another instrument, direction, strategy or quantity; one order more; a window or none.
    for other in [order(NQ, Buy, 1, 1), order(ES, Sell, 1, 1), order(ES, Buy, 2, 1)] {
        hashes.push(hash(&after(&[other], &limits)));
    }
    hashes.push(hash(&after(&[order(ES, Buy, 1, 2)], &limits)));
    hashes.push(hash(&after(&[first.clone(), first.clone()], &limits)));
    hashes.push(hash(&after(std::slice::from_ref(&first), &Limits::OFF)));
    // A message that is no order, an order that has left the second, a strategy that was re-armed.
    let mut controls = fresh();
    controls.note_request(Ts(5), &first);
    hashes.push(hash(&controls));
    let mut controls = after(std::slice::from_ref(&first), &limits);
    controls.rates.advance(Ts(SECOND + 5));
    hashes.push(hash(&controls));
    controls.repeats.clear();
    hashes.push(hash(&controls));
    let count = hashes.len();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), count);
    // Blind, and not: with as many messages that count.
    let mut rates = [Rates::new(1, 0), Rates::new(1, 0)];
    for (rates, more) in rates.iter_mut().zip([0, 1]) {
        for _ in 0..RATE_MAX + more {
            rates.note(Ts(0), Sender { instrument: ES, strategy: 0 }, true);
        }
    }
    let [seeing, blind] = rates.map(|rates| {
        let mut digest = Digest::default();
        rates.digest(&mut digest);
        digest.finish()
    });
    assert_ne!(seeing, blind);
}
