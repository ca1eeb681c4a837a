//! No trade with ourselves: a new order or a replace that could meet an own order of the other side
//! is refused, at the touch; what cannot trade does not count.

#[path = "common/pit.rs"]
#[allow(dead_code, reason = "shared by several tests, each of which uses a part")]
mod pit;

use pit::*;
use trade_engine::code::Code;
use trade_engine::event::Event;
use trade_engine::input::{Input, StatusKind};
use trade_engine::order::{ClOrdId, OrdType};
use trade_engine::settings::Limits;
use trade_engine::units::Side::{self, Buy, Sell};

fn pit() -> Pit {
    let mut settings = settings(Limits::OFF);
    settings.risk.self_match = true;
    Pit::new(settings)
}

const REFUSED: Result<ClOrdId, Code> = Err(Code::SelfMatch);

/// A price so many ticks behind another one, seen from a side: a buy is behind below.
fn behind(side: Side, ticks: i64) -> i64 {
    100 - ticks * side.sign()
}

#[test]
fn limits_that_cross_or_touch_are_refused_on_either_side() {
    for side in [Buy, Sell] {
        let other = side.opposite();
        let mut pit = pit();
        assert!(pit.limit(other, 1, 100).is_ok());
        assert!(pit.limit(side, 1, behind(side, 1)).is_ok(), "one tick away");
        assert_eq!(pit.limit(side, 1, 100), REFUSED, "at the touch");
        assert_eq!(pit.limit(side, 1, behind(side, -1)), REFUSED, "through it");
        assert_eq!(pit.market(side, 1), REFUSED, "at any price");
        // The same side may have as many as it likes, and another instrument is another market.
        assert!(pit.limit(other, 1, 100).is_ok());
        assert!(pit.send(limit(NQ, side, 1, 100)).is_ok());
        pit.agrees();
    }
}

#[test]
fn the_best_of_the_other_side_counts_until_it_has_ended() {
    let mut pit = pit();
    let orders: Vec<ClOrdId> =
        [103, 101, 102].into_iter().map(|at| pit.limit(Sell, 2, at).expect("a sell")).collect();
    assert_eq!(pit.limit(Buy, 1, 101), REFUSED);
    // A cancel that is only asked for, or a part that trades, takes nothing away.
    pit.cancel(orders[1]);
    pit.fill(orders[1], 1, 101);
    assert_eq!(pit.limit(Buy, 1, 101), REFUSED);
    pit.status(orders[1], StatusKind::Cancelled);
    assert!(pit.limit(Buy, 1, 101).is_ok());
    assert_eq!(pit.limit(Buy, 1, 102), REFUSED);
    pit.fill(orders[2], 2, 102);
    assert!(pit.limit(Buy, 1, 102).is_ok());
    assert_eq!(pit.market(Buy, 1), REFUSED);
    pit.status(orders[0], StatusKind::Rejected);
    assert!(pit.market(Buy, 1).is_ok());
    pit.agrees();
}

#[test]
fn a_working_market_order_meets_any_price() {
    for side in [Buy, Sell] {
        let mut pit = pit();
        let order = pit.market(side, 1).expect("nothing works");
        assert_eq!(pit.limit(side.opposite(), 1, behind(side.opposite(), 90)), REFUSED);
        assert_eq!(pit.market(side.opposite(), 1), REFUSED);
        pit.fill(order, 1, 100);
        assert!(pit.limit(side.opposite(), 1, behind(side.opposite(), 90)).is_ok());
    }
}

#[test]
fn a_stop_counts_once_it_has_triggered() {
    for (as_type, limit_at) in [(OrdType::Stop, None), (OrdType::StopLimit, Some(100))] {
        let mut pit = pit();
        let order = typed(market(ES, Buy, 1), as_type, limit_at, Some(90));
        let order = pit.send(order).expect("a stop");
        assert!(pit.limit(Sell, 1, 100).is_ok(), "it rests");
        // Nor is a new stop asked about, whatever works on the other side.
        assert!(pit.send(typed(market(ES, Sell, 1), as_type, limit_at, Some(90))).is_ok());
        pit.status(order, StatusKind::Triggered);
        assert_eq!(pit.limit(Sell, 1, 100), REFUSED);
        let worse = pit.limit(Sell, 1, 101);
        assert_eq!(worse.is_err(), as_type == OrdType::Stop, "a stop-limit has its limit");
        pit.agrees();
    }
}

#[test]
fn a_replace_is_checked_also_where_it_lowers_the_worst_case() {
    let mut pit = pit();
    let sell = pit.limit(Sell, 5, 105).expect("a sell");
    let buy = pit.limit(Buy, 5, 95).expect("a buy");
    assert_eq!(pit.replace(sell, None, Some(95)), Some(Code::SelfMatch));
    assert_eq!(pit.replace(sell, Some(1), Some(95)), Some(Code::SelfMatch));
    assert_eq!(pit.replace(sell, None, Some(96)), None);
    // It counts at the most aggressive price that it may have: 96 now, 105 if the venue says no.
    assert_eq!(pit.replace(buy, None, Some(96)), Some(Code::SelfMatch));
    assert_eq!(pit.limit(Buy, 1, 96), REFUSED);
    assert_eq!(pit.replace(buy, None, Some(95)), Some(Code::NoChange));
    pit.status(sell, StatusKind::ReplaceRejected);
    assert_eq!(pit.replace(buy, None, Some(104)), None);
    assert_eq!(pit.limit(Sell, 1, 104), REFUSED, "asked for is as good as done");
    // A replace away from the market does not help until the venue has carried it out.
    let mut pit = self::pit();
    let sell = pit.limit(Sell, 5, 100).expect("a sell");
    assert_eq!(pit.replace(sell, None, Some(110)), None);
    assert_eq!(pit.limit(Buy, 1, 100), REFUSED);
    let (request, qty, price, stop_price) = (ClOrdId::NONE, None, None, None);
    pit.step(Input::Replaced { order: sell, request, qty, price, stop_price });
    assert!(pit.limit(Buy, 1, 109).is_ok());
    assert_eq!(pit.limit(Buy, 1, 110), REFUSED);
    pit.agrees();
}

#[test]
fn a_triggered_stops_replace_is_one_of_a_working_order() {
    let mut pit = pit();
    let stop = typed(market(ES, Sell, 2), OrdType::StopLimit, Some(100), Some(100));
    let stop = pit.send(stop).expect("a stop");
    pit.limit(Buy, 1, 95).expect("a bid");
    assert_eq!(pit.replace(stop, None, Some(95)), None, "it rests");
    pit.status(stop, StatusKind::ReplaceRejected);
    pit.status(stop, StatusKind::Triggered);
    assert_eq!(pit.replace(stop, None, Some(95)), Some(Code::SelfMatch));
    assert_eq!(pit.replace(stop, None, Some(96)), None);
}

/// Suspended it may come back; done for the day a day order does not, until it is restated.
#[test]
fn what_the_venue_has_set_aside_counts_if_it_may_come_back() {
    let mut pit = pit();
    let order = pit.limit(Sell, 1, 100).expect("a sell");
    pit.status(order, StatusKind::Accepted);
    pit.status(order, StatusKind::Suspended);
    assert_eq!(pit.limit(Buy, 1, 100), REFUSED);
    pit.status(order, StatusKind::Accepted);
    pit.status(order, StatusKind::DoneForDay);
    let buy = pit.limit(Buy, 1, 100).expect("nothing works");
    pit.step(Input::Restated { order, qty: None });
    pit.status(buy, StatusKind::Cancelled);
    assert_eq!(pit.limit(Buy, 1, 100), REFUSED);
    // Filled, and opened again by a replace that raises it.
    pit.fill(order, 1, 100);
    assert!(pit.limit(Buy, 1, 100).is_ok());
    let mut pit = self::pit();
    let order = pit.limit(Sell, 1, 100).expect("a sell");
    pit.fill(order, 1, 100);
    assert_eq!(pit.replace(order, Some(3), None), None);
    assert_eq!(pit.limit(Buy, 1, 100), REFUSED, "the venue may have opened it again");
    pit.agrees();
}

/// It binds exits as well, and where it is off nothing is kept.
#[test]
fn it_binds_exits_and_can_be_off() {
    let mut pit = pit();
    pit.hold(5);
    pit.limit(Buy, 1, 100).expect("a bid");
    assert_eq!(pit.close(ES), REFUSED);
    pit.step(Input::Halt { cancel_working: false });
    assert_eq!(pit.market(Sell, 5), REFUSED);
    let mut pit = Pit::with(Limits::OFF);
    pit.limit(Buy, 1, 100).expect("a bid");
    let events = pit.step(Input::Halt { cancel_working: false });
    assert!(events.iter().any(|event| matches!(event, Event::Halted { .. })));
    pit.step(Input::Resume {});
    assert!(pit.market(Sell, 1).is_ok());
    assert!(!pit.state().controls().ladder.is_on());
}
