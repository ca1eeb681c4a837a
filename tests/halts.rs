//! What stops trading, and what still goes: the kill switch, anomalies that halt, and the one way
//! back.

#[path = "common/pit.rs"]
#[allow(dead_code, reason = "shared by several tests, each of which uses a part")]
mod pit;

use pit::*;
use trade_engine::broker::Message;
use trade_engine::code::Code;
use trade_engine::digest::Digest;
use trade_engine::event::Event;
use trade_engine::input::{Input, SignalSide, StatusKind};
use trade_engine::limits::{REQUESTS_PER_ORDER_MAX, SWEEP_ORDERS_MAX};
use trade_engine::order::{ClOrdId, RequestKind};
use trade_engine::risk::InstrumentBook;
use trade_engine::settings::{Limits, OnAnomaly};
use trade_engine::units::Side::{self, Buy, Sell};

type Cause = fn(&mut Pit) -> Vec<Event>;

const KILL: Input = Input::Halt { cancel_working: true };

fn kinds(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(Event::name).collect()
}

fn cancels(pit: &Pit) -> usize {
    pit.messages.iter().filter(|message| matches!(message, Message::Cancel { .. })).count()
}

fn on_anomaly(on_anomaly: OnAnomaly) -> Pit {
    let mut settings = settings(Limits::OFF);
    settings.risk.on_anomaly = on_anomaly;
    Pit::new(settings)
}

/// A trade of an order that nobody made.
fn unknown_fill(pit: &mut Pit) -> Vec<Event> {
    let id = pit.id();
    pit.fill(ClOrdId::new(3, id.counter()), 1, 100)
}

#[test]
fn an_anomaly_halts_what_it_is_set_to_halt_and_says_so_once() {
    let mut pit = on_anomaly(OnAnomaly::Report);
    assert!(kinds(&unknown_fill(&mut pit)).contains(&"anomaly"));
    assert!(pit.limit(Buy, 1, 100).is_ok());

    let mut pit = on_anomaly(OnAnomaly::Halt);
    let events = unknown_fill(&mut pit);
    let halted = Event::Halted { reason: Code::Anomaly };
    assert!(events.contains(&halted), "{events:?}");
    assert_eq!(pit.state().halted(), Some(Code::Anomaly));
    assert_eq!(pit.limit(Buy, 1, 100), Err(Code::Halted));
    assert_eq!(pit.send(limit(NQ, Buy, 1, 100)), Err(Code::Halted));
    let events = unknown_fill(&mut pit);
    assert!(kinds(&events).contains(&"anomaly") && !events.contains(&halted), "{events:?}");

    let mut pit = on_anomaly(OnAnomaly::HaltInstrument);
    let events = unknown_fill(&mut pit);
    let halted = Event::InstrumentHalted { instrument: ES, reason: Code::Anomaly };
    assert!(events.contains(&halted), "{events:?}");
    assert_eq!(pit.state().halted(), None);
    assert!(!unknown_fill(&mut pit).contains(&halted), "once");
    pit.agrees();
}

/// Every kind of anomaly, not only the one that is easily made.
#[test]
fn every_anomaly_halts() {
    let anomalies: [(Code, Cause); 6] = [
        (Code::UnknownOrder, unknown_fill),
        (Code::Overfill, |pit| {
            let order = pit.limit(Buy, 1, 100).expect("an order");
            pit.fill(order, 2, 100)
        }),
        (Code::LateFill, |pit| {
            let order = pit.limit(Buy, 1, 100).expect("an order");
            pit.status(order, StatusKind::Cancelled);
            pit.fill(order, 1, 100)
        }),
        (Code::WorseThanLimit, |pit| {
            let order = pit.limit(Buy, 1, 100).expect("an order");
            pit.fill(order, 1, 101)
        }),
        (Code::ConflictingExecution, |pit| {
            let order = pit.limit(Buy, 5, 100).expect("an order");
            let again = |qty| Input::Trade {
                order,
                exec: trade_engine::input::ExecKey(7),
                qty: trade_engine::units::Qty(qty),
                price: price(100),
                commission: whole(0),
                instrument: ES,
                side: Buy,
                venue_says_filled: false,
                defect: None,
            };
            pit.step(again(1));
            pit.step(again(2))
        }),
        (Code::Overflow, |pit| {
            let order = pit.limit(Buy, 1, 100).expect("an order");
            pit.fill(order, i64::MAX, 100)
        }),
    ];
    for (expected, cause) in anomalies {
        let mut pit = on_anomaly(OnAnomaly::HaltInstrument);
        let events = cause(&mut pit);
        let at = events
            .iter()
            .position(|event| matches!(event, Event::Anomaly { code, .. } if *code == expected));
        let at = at.unwrap_or_else(|| panic!("{expected}: {events:?}"));
        let halted = Event::InstrumentHalted { instrument: ES, reason: Code::Anomaly };
        assert_eq!(events.get(at + 1), Some(&halted), "{expected}");
        let count = events.iter().filter(|event| **event == halted).count();
        assert_eq!(count, 1, "{expected}");
    }
}

#[test]
fn a_halted_instrument_takes_exits_and_what_cannot_raise() {
    let mut pit = on_anomaly(OnAnomaly::HaltInstrument);
    let order = pit.limit(Buy, 3, 90).expect("an order");
    pit.hold(2);
    unknown_fill(&mut pit);
    assert_eq!(pit.limit(Buy, 1, 100), Err(Code::InstrumentHalted));
    assert_eq!(pit.send(signal(ES, SignalSide::Buy, 1)), Err(Code::InstrumentHalted));
    assert_eq!(pit.market(Sell, 4), Err(Code::InstrumentHalted), "three are held");
    assert!(pit.send(limit(NQ, Buy, 1, 100)).is_ok(), "the other one trades");
    // A replace passes that cannot raise the open quantity.
    assert_eq!(pit.replace(order, Some(4), None), Some(Code::InstrumentHalted));
    assert_eq!(pit.replace(order, None, Some(91)), None);
    assert_eq!(pit.replace(order, Some(2), None), None);
    assert!(pit.market(Sell, 2).is_ok());
    assert!(pit.close(ES).is_ok());
    assert_eq!(pit.cancel(order), None);
    assert_eq!(pit.state().book(ES).expect("a book").halted, Some(Code::Anomaly));
    // A person has it trade again.
    assert_eq!(refusal(&pit.step(Input::Resume {})), None);
    assert_eq!(pit.state().book(ES).expect("a book").halted, None);
    assert!(pit.limit(Buy, 1, 100).is_ok());
    assert_eq!(refusal(&pit.step(Input::Resume {})), Some(Code::NotHalted));
    pit.agrees();
}

/// The hash tells a state with a halted instrument from one without.
#[test]
fn a_halted_instrument_is_in_the_hash() {
    let mut pit = on_anomaly(OnAnomaly::HaltInstrument);
    unknown_fill(&mut pit);
    let mut book = pit.state().book(ES).expect("a book").clone();
    let digest = |book: &InstrumentBook| {
        let mut digest = Digest::default();
        book.digest(&mut digest);
        digest.finish()
    };
    let halted = digest(&book);
    book.halted = None;
    assert_ne!(digest(&book), halted);
}

#[test]
fn the_kill_switch_asks_to_cancel_all_that_works_whatever_is_pending() {
    let mut pit = Pit::with(Limits::OFF);
    let resting = pit.limit(Buy, 1, 90).expect("resting");
    let full = pit.limit(Buy, 1, 91).expect("with as many replaces as fit");
    for at in 0..REQUESTS_PER_ORDER_MAX {
        assert_eq!(pit.replace(full, None, Some(60 + i64::try_from(at).expect("few"))), None);
    }
    let stop = pit.send(stop(ES, Sell, 1, 80)).expect("a stop");
    let half = pit.limit(Buy, 2, 92).expect("half filled");
    pit.fill(half, 1, 92);
    let asked = pit.limit(Buy, 1, 93).expect("a cancel is pending");
    assert_eq!(pit.cancel(asked), None);
    let gone = pit.limit(Buy, 1, 94).expect("gone");
    pit.status(gone, StatusKind::Cancelled);
    let events = pit.step(KILL);
    assert_eq!(events[0], Event::Halted { reason: Code::Operator });
    let mut sent: Vec<ClOrdId> = pit
        .messages
        .iter()
        .filter_map(|message| {
            let Message::Cancel { order, .. } = message else { return None };
            Some(*order)
        })
        .collect();
    sent.sort_unstable();
    assert_eq!(sent, [resting, full, stop, half]);
    for order in sent {
        assert_eq!(pit.order(order).requests.count(RequestKind::Cancel), 1);
    }
    pit.agrees();
}

#[test]
fn a_second_kill_is_refused_and_cancels_all_the_same() {
    let mut pit = Pit::with(Limits::OFF);
    pit.step(Input::Halt { cancel_working: false });
    pit.limit(Buy, 1, 90).expect_err("halted");
    pit.step(Input::Resume {});
    let order = pit.limit(Buy, 1, 90).expect("an order");
    pit.step(Input::Halt { cancel_working: false });
    assert_eq!(cancels(&pit), 0);
    let events = pit.step(Input::Halt { cancel_working: false });
    assert_eq!(kinds(&events), ["refused"]);
    let events = pit.step(KILL);
    assert_eq!(refusal(&events), Some(Code::AlreadyHalted));
    assert_eq!(cancels(&pit), 1);
    assert_eq!(pit.order(order).requests.count(RequestKind::Cancel), 1);
    // The reason of the first halt stays.
    assert!(!kinds(&events).contains(&"halted"));
    pit.agrees();
}

/// More orders than one turn handles: the walk goes on in turns of its own, and ends.
#[test]
fn a_kill_of_many_orders_goes_on_in_bounded_turns() {
    let mut pit = Pit::with(Limits::OFF);
    let many = 3 * SWEEP_ORDERS_MAX + 5;
    for _ in 0..many {
        pit.limit(Buy, 1, 90).expect("an order");
    }
    pit.step(KILL);
    let mut sent = cancels(&pit);
    assert_eq!(sent, SWEEP_ORDERS_MAX);
    // A second one begins anew, and asks nobody twice.
    pit.step(KILL);
    sent += cancels(&pit);
    while pit.state().sweeps().any() {
        pit.step(Input::Continue {});
        assert!(cancels(&pit) <= SWEEP_ORDERS_MAX);
        sent += cancels(&pit);
    }
    assert_eq!(sent, many);
    pit.agrees();
}

/// After the halt nothing leaves that could add to a position, whatever comes in.
#[test]
fn after_a_halt_only_exits_leave() {
    let inputs: [fn(Side) -> Input; 6] = [
        |side| market(ES, side, 1),
        |side| limit(ES, side, 1, 100),
        |side| stop(ES, side, 1, 100),
        |side| {
            typed(market(ES, side, 1), trade_engine::order::OrdType::StopLimit, Some(1), Some(2))
        },
        |side| reduce_only(market(ES, side, 1)),
        |side| {
            let side = if side == Buy { SignalSide::Buy } else { SignalSide::Sell };
            signal(ES, side, 1)
        },
    ];
    for held in [-3, 0, 3] {
        let mut pit = Pit::with(Limits::OFF);
        pit.hold(held);
        pit.step(KILL);
        let (mut passed, mut refused) = (0, 0);
        let mut look = |pit: &Pit, side: Side, outcome: Result<ClOrdId, Code>, exits: &mut i64| {
            for message in &pit.messages {
                let Message::New(new) = message else { continue };
                // By its own arithmetic: against the position, and all exits together no more.
                *exits += new.qty.0;
                assert!(new.shrink_only && new.side == side);
                assert_eq!(held.signum(), -side.sign(), "{new:?}");
                assert!(*exits <= held.abs(), "{new:?}");
                passed += 1;
            }
            if outcome.is_err() {
                assert!(pit.messages.iter().all(|m| !matches!(m, Message::New(_))));
                refused += 1;
            }
        };
        for side in [Buy, Sell] {
            let mut exits = 0;
            for _ in 0..2 {
                for input in inputs {
                    let outcome = pit.send(input(side));
                    look(&pit, side, outcome, &mut exits);
                }
            }
        }
        let mut exits = 0;
        let closed = pit.close(ES);
        look(&pit, if held > 0 { Sell } else { Buy }, closed, &mut exits);
        let flat = pit.send_flat();
        look(&pit, if held > 0 { Sell } else { Buy }, flat, &mut exits);
        if held == 0 {
            assert_eq!((passed, refused), (0, 26));
        } else {
            assert_eq!((passed, refused), (3, 23), "three exits of one fill it");
        }
    }
}
