//! Golden bytes of every kind of record: a log written by this version reads for ever.
//!
//! A change of these bytes is a new `FORMAT_VERSION` and a new golden file; `UPDATE_GOLDEN=1 cargo
//! test --test record_format` writes the file, and the diff is what a reviewer looks at.

use std::collections::BTreeSet;
use std::path::Path;
use trade_engine::code::Code;
use trade_engine::codec::{Chars, FLAG_CLAMPED, FLAG_END, Measure};
use trade_engine::event::{Body, Event, FORMAT_VERSION, Opening, Record};
use trade_engine::input::{ExecKey, Input, SignalSide, StatusKind, Subject};
use trade_engine::instrument::InstrumentId;
use trade_engine::order::{ClOrdId, Flags, OrdType, OrderEvent, OrderState, Tif};
use trade_engine::settings::{LimitKey, Scope};
use trade_engine::units::{Money, Price, Qty, Ratio, Side, Ts};

const ORDER: ClOrdId = ClOrdId::new(1, 0x0011_2233_4455_6677);
const REQUEST: ClOrdId = ClOrdId::new(2, 0x0099_8877_6655_4433);
const ES: InstrumentId = InstrumentId(0x0102);
const EXEC: ExecKey = ExecKey(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
const OTHER_EXEC: ExecKey = ExecKey(0x1112_1314_1516_1718_191a_1b1c_1d1e_1f20);
const PX: Price = Price(4_521_250_000_000);
const STOP: Option<Price> = Some(Price(-37_630_000_000));
const QTY: Qty = Qty(3);
const MONEY: Money = Money(-2_050_000_000_000_000_001);
const AT: Ts = Ts(1_767_625_200_000_000_001);

fn openings() -> Vec<Opening> {
    let (build, _) = Chars::split("trade_engine 0.1.0");
    let (text, _) = Chars::split("[account]\ncurrency = \"USD\"\n");
    vec![
        Opening::Genesis { format_version: 1, decide_version: 2, build },
        Opening::Config { part: 3, last: true, text },
    ]
}

#[expect(clippy::too_many_lines, reason = "one sample a kind")]
fn inputs() -> Vec<Input> {
    let (text, _) = Chars::split("insufficient margin");
    let (id, order, request, instrument) = (ORDER, ORDER, REQUEST, ES);
    let (subject, more) = (Subject::Venue, true);
    let (price, defect) = (Some(PX), Some(Code::OffTick));
    vec![
        Input::Text { subject, more, id, text },
        Input::Opening { instrument, qty: Qty(-5), avg_px: PX },
        Input::Signal {
            id,
            instrument,
            side: SignalSide::Flat,
            strategy: 7,
            strength: Ratio(800_000_000),
            price: None,
            stop_price: STOP,
            qty: Some(QTY),
            defect: None,
        },
        Input::Order {
            id,
            instrument,
            side: Side::Sell,
            ord_type: OrdType::StopLimit,
            tif: Tif::Gtd,
            strategy: 7,
            flags: Flags::REDUCE_ONLY,
            qty: QTY,
            price,
            stop_price: STOP,
            expire_at: Some(AT),
            defect,
        },
        Input::Cancel { id: REQUEST, order },
        Input::Replace { id: REQUEST, order, qty: Some(QTY), price, stop_price: None, defect },
        Input::ClosePosition { id, instrument },
        Input::Mark { instrument, price: PX, bid: Some(PX), ask: None },
        Input::Bar {
            instrument,
            open: PX,
            high: Price(PX.0 + 1),
            low: Price(PX.0 - 1),
            close: PX,
            volume: 99,
            opened: AT,
        },
        Input::Trade {
            order,
            exec: EXEC,
            qty: QTY,
            price: PX,
            commission: MONEY,
            instrument,
            side: Side::Buy,
            venue_says_filled: true,
            defect: None,
        },
        Input::Status { order, kind: StatusKind::CancelRejected, request },
        Input::Replaced { order, request, qty: Some(QTY), price, stop_price: STOP },
        Input::Restated { order, qty: Some(QTY) },
        Input::Halt { cancel_working: true },
        Input::Resume {},
        Input::CancelAll {},
        Input::DayRoll {},
        Input::Timer {},
        Input::Continue {},
        Input::Stop {},
        Input::Rate { currency: 3, price: PX, inverse: true },
        Input::Bust { order, exec: EXEC, exec_ref: OTHER_EXEC },
        Input::Correct {
            order,
            exec: EXEC,
            exec_ref: OTHER_EXEC,
            qty: QTY,
            price: PX,
            defect: Some(Code::BadQty),
        },
        Input::SetLimit {
            scope: Scope::Instrument,
            instrument,
            strategy: 7,
            key: LimitKey::MaxOrderQty,
            value: Some(MONEY),
        },
    ]
}

fn order_events() -> Vec<Event> {
    let (order, request, instrument, price) = (ORDER, REQUEST, ES, Some(PX));
    let (number, limit) = (Measure::new(-4_521_250_000_000), Measure::new(5_000_000_000_000));
    vec![
        Event::Created {
            order,
            instrument,
            side: Side::Buy,
            ord_type: OrdType::Limit,
            tif: Tif::Ioc,
            flags: Flags::FROM_SIGNAL,
            strategy: 7,
            order_qty: QTY,
            price,
            stop_price: None,
            expire_at: None,
            decision_px: price,
            arrival_px: None,
            protect_px: STOP,
        },
        Event::Verdict {
            order,
            ran: 0x8000_0001,
            rule: Some(Code::MaxPositionPct),
            refused: true,
            number,
            limit,
        },
        Event::Broken { order, rule: Code::MaxDrawdown, number, limit },
        Event::Denied { order, reason: Code::OffTick },
        Event::Passed { order },
        Event::Submitted { order },
        Event::Received { order },
        Event::Accepted { order, late: true },
        Event::Rejected { order },
        Event::Cancelled { order, request },
        Event::Expired { order },
        Event::Triggered { order },
        Event::Suspended { order },
        Event::DoneForDay { order },
        Event::CancelAsked { order, request },
        Event::ReplaceAsked { order, request, qty: Some(QTY), price, stop_price: STOP },
        Event::RequestPending { order, request },
        Event::RequestRejected { order, request },
        Event::Replaced { order, request, order_qty: QTY, price, stop_price: None },
    ]
}

#[expect(clippy::too_many_lines, reason = "one sample a kind")]
fn money_and_control_events() -> Vec<Event> {
    let (order, request, instrument, exec) = (ORDER, REQUEST, ES, EXEC);
    vec![
        Event::Traded {
            order,
            exec,
            instrument,
            last_qty: QTY,
            last_px: PX,
            commission: MONEY,
            cum_qty: QTY,
            side: Side::Sell,
            state: OrderState::PartialFill,
        },
        Event::Position { instrument, qty: Qty(-3), open_cost: MONEY, realized: Money(1) },
        Event::PositionOpened { instrument, qty: QTY, open_cost: MONEY },
        Event::Busted {
            order,
            exec,
            exec_ref: OTHER_EXEC,
            instrument,
            last_qty: QTY,
            last_px: PX,
            cum_qty: QTY,
            side: Side::Sell,
            state: OrderState::Accepted,
            exact: true,
        },
        Event::Corrected {
            order,
            exec,
            exec_ref: OTHER_EXEC,
            instrument,
            last_qty: QTY,
            last_px: PX,
            cum_qty: QTY,
            side: Side::Sell,
            state: OrderState::Filled,
            exact: false,
        },
        Event::Unassigned { order, instrument, side: Side::Buy },
        Event::Unbooked { order, exec, instrument, reason: Code::Overflow },
        Event::Refused {
            code: Code::IllegalTransition,
            order,
            request,
            exec,
            state: OrderState::Filled as u8,
            event: Some(OrderEvent::Cancel),
        },
        Event::Anomaly { code: Code::Overfill, order, exec, qty: QTY, booked: true },
        Event::Warning { code: Code::LateAccept, order, other: 0xfffe, number: Ratio(-1) },
        Event::Halted { reason: Code::MaxDrawdown },
        Event::Resumed {},
        Event::DayRolled { equity: MONEY },
        Event::Sweep {
            kind: trade_engine::order::SweepKind::Cancel,
            next: 0x0102_0304,
            done: true,
        },
        Event::Closed { order },
        Event::MarginCall { needed: MONEY, equity: Money(7) },
        Event::MarginMet {},
        Event::Unanswered { order, request, since: AT },
        Event::InstrumentHalted { instrument, reason: Code::Anomaly },
        Event::LimitSet {
            scope: Scope::Strategy,
            instrument,
            strategy: 7,
            key: LimitKey::MaxRepeats,
            value: None,
        },
        Event::Checkpoint { hash: 0x0102_0304_0506_0708 },
    ]
}

fn contingent_input() -> Input {
    let (id, instrument, price, defect) = (ORDER, ES, Some(PX), Some(Code::OffTick));
    Input::Contingent {
        id,
        instrument,
        side: Side::Buy,
        ord_type: OrdType::Stop,
        tif: Tif::Gtc,
        strategy: 7,
        flags: Flags::REDUCE_ONLY,
        qty: QTY,
        price: None,
        stop_price: STOP,
        expire_at: Some(AT),
        parent: ClOrdId::new(3, 9),
        sibling: REQUEST,
        trail: price,
        defect,
    }
}

fn contingent_events() -> Vec<Event> {
    let (order, request, price) = (ORDER, REQUEST, Some(PX));
    vec![
        Event::Linked { order, parent: ClOrdId::new(3, 9), sibling: REQUEST, trail: price },
        Event::Released { order, ord_type: OrdType::Market, order_qty: QTY },
        Event::HeldBack { order, order_qty: QTY, reason: Code::MarketClosed },
        Event::Withdrawn { order, request, reason: Some(Code::NoPosition) },
        Event::Resized { order, order_qty: QTY },
        Event::Amended { order, request, order_qty: QTY, price, stop_price: STOP },
        Event::Unlinked { order },
    ]
}

/// What a log says when it is taken up again, and when it falls behind.
fn restart_inputs() -> Vec<Input> {
    let (cut_bytes, cut_slots, completed_slots) = (0x55, 0x66, 0x77);
    vec![
        Input::Restart { epoch: 2, found_seq: 0x1122, cut_bytes, cut_slots, completed_slots },
        Input::Reconciled { differences: 3, executions: 4 },
        Input::Found {
            id: ORDER,
            instrument: ES,
            side: Side::Sell,
            ord_type: OrdType::StopLimit,
            tif: Tif::Gtd,
            qty: QTY,
            price: Some(PX),
            stop_price: STOP,
            expire_at: Some(AT),
        },
        Input::LogBehind { written: 0x1133, waited_ms: 250 },
    ]
}

/// One record of every kind, its fields all different from what they are when left out.
fn samples() -> Vec<Body> {
    let openings = openings().into_iter().map(Body::Opening);
    let inputs = inputs().into_iter().map(|input| Body::Input(input, 0xa1a2_a3a4_a5a6_a7a8));
    let events = order_events().into_iter().chain(money_and_control_events());
    let events = events.chain(contingent_events()).map(Body::Event);
    let later = [contingent_input()].into_iter().chain(restart_inputs());
    let later = later.map(|input| Body::Input(input, 0xa1a2_a3a4_a5a6_a7a8));
    openings.chain(inputs).chain(events).chain(later).collect()
}

#[test]
fn every_kind_has_a_sample() {
    let sampled: BTreeSet<u8> = samples().iter().map(Body::kind).collect();
    let kinds = [Opening::KINDS, Input::KINDS, Event::KINDS].concat();
    let missing: Vec<_> = kinds.iter().filter(|(kind, ..)| !sampled.contains(kind)).collect();
    assert!(missing.is_empty(), "no sample of {missing:?}");
    assert_eq!(sampled.len(), kinds.len(), "two kinds share a number");
}

#[test]
fn golden_bytes() {
    assert_eq!(FORMAT_VERSION, 2, "a new version needs a golden file of its own");
    let mut found = String::new();
    for (number, body) in samples().into_iter().enumerate() {
        let seq = 0x1_0000 + number as u64;
        let slots = body.encode(seq, AT, FLAG_END | FLAG_CLAMPED);
        let record = Record::decode(&slots).expect("what was written reads");
        assert_eq!((record.body, record.head.seq, record.head.ts), (body, seq, AT));
        found += &format!("{}\n", body.name());
        for slot in slots {
            let words: Vec<String> = slot.iter().map(|word| format!("{word:016x}")).collect();
            found += &format!("  {}\n", words.join(" "));
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/records_v2.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &found).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(&path).expect("the golden file");
    assert!(found == golden, "the format has changed; see the head of this file\n{found}");
}

#[test]
fn a_record_with_anything_more_or_less_is_none() {
    for body in samples() {
        let slots = body.encode(9, AT, 0);
        for (number, slot) in slots.iter().enumerate() {
            for word in 0..8 {
                for bit in 0..64 {
                    let mut wrong = slots.clone();
                    wrong[number] = *slot;
                    wrong[number][word] ^= 1 << bit;
                    // It reads as another record or as none, and never panics; what it reads as
                    // encodes to exactly what was read.
                    let Some(read) = Record::decode(&wrong) else { continue };
                    let again = read.body.encode(read.head.seq, read.head.ts, read.head.flags);
                    let bits = |slots: &[[u64; 8]]| -> Vec<u64> {
                        let low = |slot: &[u64; 8]| slot[7] & 0xffff_1fff;
                        slots.iter().flat_map(|s| s[..7].iter().copied().chain([low(s)])).collect()
                    };
                    assert_eq!(bits(&again), bits(&wrong), "{} bit {bit}", body.name());
                }
            }
        }
        assert_eq!(Record::decode(&slots[..slots.len() - 1]), None);
    }
}
