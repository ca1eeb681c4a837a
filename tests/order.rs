//! One order's figures and names: what is open, what a counterparty sees, what it counts for, how
//! far it reaches; and that the hash covers all of it.

use trade_engine::code::Code;
use trade_engine::digest::Digest;
use trade_engine::instrument::InstrumentId;
use trade_engine::limits::REQUESTS_PER_ORDER_MAX;
use trade_engine::order::{
    ClOrdId, Flags, OrdStatus, OrdType, Order, OrderEvent, OrderState, Request, RequestKind,
    Requests, Sent, SweepKind, Sweeps, Tif,
};
use trade_engine::units::{Price, Qty, Side, Ts};

/// A working limit buy of 10 at 100.
fn order() -> Order {
    Order {
        id: ClOrdId::new(1, 7),
        instrument: InstrumentId(0),
        strategy: 0,
        side: Side::Buy,
        ord_type: OrdType::Limit,
        tif: Tif::Gtc,
        state: OrderState::Accepted,
        reason: None,
        flags: Flags::default(),
        order_qty: Qty(10),
        cum_qty: Qty(0),
        cum_value: 0,
        price: Some(Price(100)),
        stop_price: None,
        protect_px: None,
        expire_at: None,
        decision_px: None,
        arrival_px: None,
        created: Ts(0),
        handed_over: Ts(0),
        executions_before: 0,
        requests: Requests::default(),
    }
}

fn request(number: u64, kind: RequestKind) -> Request {
    Request {
        id: ClOrdId::new(2, number),
        kind,
        qty: None,
        price: None,
        stop_price: None,
        sent: Sent { qty: Qty(10), price: Some(Price(100)), stop_price: None },
        since: Ts(0),
        overdue: false,
    }
}

/// A replace to so many lots at that price, and stop price.
fn replace(number: u64, qty: i64, price: i64, stop_price: i64) -> Request {
    let (price, stop_price) = (Some(Price(price)), Some(Price(stop_price)));
    Request {
        sent: Sent { qty: Qty(qty), price, stop_price },
        ..request(number, RequestKind::Replace)
    }
}

fn with(mut order: Order, requests: &[Request]) -> Order {
    for request in requests {
        assert!(order.requests.open(*request));
    }
    order
}

#[test]
fn an_id_is_a_feeder_and_a_counter() {
    let last = (1 << 56) - 1;
    for (source, counter) in [(0, 1), (1, 1), (255, 1), (3, last), (255, last)] {
        let id = ClOrdId::new(source, counter);
        assert_eq!((id.source(), id.counter()), (usize::from(source), counter));
        assert_eq!(id.some(), Some(id));
    }
    assert_eq!(ClOrdId::new(2, 3).0, 2 << 56 | 3);
    assert_eq!(ClOrdId::NONE.some(), None);
    for counter in [0, last + 1] {
        assert!(std::panic::catch_unwind(|| ClOrdId::new(1, counter)).is_err(), "{counter}");
    }
}

#[test]
fn names_are_those_of_the_formats() {
    use OrdStatus as S;
    let events = OrderEvent::ALL.map(OrderEvent::name);
    let words = "Passed Denied Submitted Accepted PartialFill Fill Rejected Cancelled Expired \
                 Replaced Replaced Replaced Cancel Replace Replace Closed";
    assert!(events.into_iter().eq(words.split_whitespace()));
    let types = [OrdType::Market, OrdType::Limit, OrdType::Stop, OrdType::StopLimit];
    assert_eq!(types.map(OrdType::name), ["market", "limit", "stop", "stop_limit"]);
    let times = [Tif::Day, Tif::Gtc, Tif::Ioc, Tif::Fok, Tif::Gtd];
    assert_eq!(times.map(Tif::name), ["day", "gtc", "ioc", "fok", "gtd"]);
    let statuses = [
        (S::PendingNew, "PendingNew"),
        (S::New, "New"),
        (S::PartiallyFilled, "PartiallyFilled"),
        (S::Filled, "Filled"),
        (S::DoneForDay, "DoneForDay"),
        (S::Canceled, "Canceled"),
        (S::PendingCancel, "PendingCancel"),
        (S::Rejected, "Rejected"),
        (S::Suspended, "Suspended"),
        (S::Expired, "Expired"),
        (S::PendingReplace, "PendingReplace"),
    ];
    for (status, name) in statuses {
        assert_eq!(status.name(), name);
    }
    assert_eq!(
        [RequestKind::Cancel, RequestKind::Replace].map(RequestKind::name),
        ["cancel", "replace"]
    );
    let sweeps = SweepKind::ALL.map(SweepKind::name);
    assert_eq!(sweeps, ["cancel", "contingent", "retire", "overdue"]);
    assert_eq!(OrderState::PartialFill.to_string(), "PARTIAL_FILL");
}

#[test]
fn prices_go_with_the_types() {
    use OrdType::{Limit, Market, Stop, StopLimit};
    let types = [Market, Limit, Stop, StopLimit];
    assert_eq!(types.map(OrdType::has_limit), [false, true, false, true]);
    assert_eq!(types.map(OrdType::has_stop), [false, false, true, true]);
    let counted = types.map(|ord_type| {
        Order { ord_type, price: Some(Price(3)), stop_price: Some(Price(4)), ..order() }
            .counted_price()
    });
    assert_eq!(counted, [None, Some(Price(3)), Some(Price(4)), Some(Price(3))]);
    let limit = Some(Price(9));
    let (any, nothing) = (Some(Price(i64::MAX)), None);
    let reach = |triggered| types.map(|of| of.reach(Side::Buy, limit, triggered));
    assert_eq!(reach(false), [any, limit, nothing, nothing]);
    assert_eq!(reach(true), [any, limit, any, limit]);
    assert_eq!(Market.reach(Side::Sell, limit, false), Some(Price(i64::MIN)));
}

#[test]
fn flags_are_sets() {
    let two = Flags::ACKED.with(Flags::OWN);
    assert!(two.has(Flags::ACKED) && two.has(Flags::OWN) && two.has(two));
    assert!(!two.has(Flags::HELD) && !Flags::ACKED.has(two));
    assert_eq!(two.with(Flags::OWN), two);
    assert_eq!(two.without(Flags::OWN), Flags::ACKED);
    assert_eq!(Flags::ACKED.without(Flags::OWN), Flags::ACKED);
    let all = [
        Flags::REDUCE_ONLY,
        Flags::FROM_SIGNAL,
        Flags::UNKNOWN,
        Flags::TRIGGERED,
        Flags::SUSPENDED,
        Flags::DONE_FOR_DAY,
        Flags::ACKED,
        Flags::RECEIVED,
        Flags::OWN,
        Flags::OVERDUE,
        Flags::HELD,
        Flags::LINKED,
    ];
    let each_is_one_bit = all.iter().all(|flag| flag.0.count_ones() == 1);
    let union = all.into_iter().fold(Flags::default(), Flags::with);
    assert!(each_is_one_bit && union.0.count_ones() == 12, "no two share a bit");
}

#[test]
fn what_is_open_is_what_has_not_traded_unless_nothing_works() {
    let traded = |cum| Order { cum_qty: Qty(cum), ..order() };
    for (cum, open) in [(0, 10), (9, 1), (10, 0), (11, 0)] {
        assert_eq!(traded(cum).leaves_qty(), Qty(open));
    }
    let flagged = |flags, tif| Order { flags, tif, ..order() }.leaves_qty().0;
    assert_eq!(flagged(Flags::SUSPENDED, Tif::Gtc), 0);
    assert_eq!(flagged(Flags::DONE_FOR_DAY, Tif::Day), 0);
    assert_eq!(flagged(Flags::DONE_FOR_DAY, Tif::Gtc), 10);
    assert_eq!(flagged(Flags::ACKED, Tif::Day), 10);
    for state in OrderState::ALL {
        let open = if state.is_final() { 0 } else { 10 };
        assert_eq!(Order { state, ..order() }.leaves_qty(), Qty(open), "{state}");
    }
}

#[test]
fn an_order_is_held_only_before_it_is_handed_over() {
    for state in OrderState::ALL {
        let held = Order { state, flags: Flags::HELD, ..order() };
        let is_held = state == OrderState::Created;
        assert_eq!(held.is_held(), is_held, "{state}");
        assert_eq!(held.is_out(), !is_held && !state.is_final(), "{state}");
        let plain = Order { state, ..order() };
        assert!(!plain.is_held());
        assert_eq!(plain.is_out(), !state.is_final(), "{state}");
    }
}

#[test]
fn slippage_is_what_the_average_is_worse_by() {
    let bought = Order { cum_qty: Qty(4), cum_value: 4 * 103, ..order() };
    assert_eq!(bought.avg_px(), Some(Price(103)));
    assert_eq!(order().avg_px(), None);
    assert_eq!(order().slippage_from(Some(Price(100))), None);
    assert_eq!(bought.slippage_from(None), None);
    assert_eq!(bought.slippage_from(Some(Price(100))), Some(Price(3)));
    let sold = Order { side: Side::Sell, ..bought.clone() };
    assert_eq!(sold.slippage_from(Some(Price(100))), Some(Price(-3)));
    // A limit order's from its limit, any other's from what it was decided at.
    let decided = Order { decision_px: Some(Price(90)), stop_price: Some(Price(95)), ..order() };
    let base = |ord_type| Order { ord_type, ..decided.clone() }.slippage_base();
    assert_eq!(base(OrdType::Limit), Some(Price(100)));
    for other in [OrdType::Market, OrdType::Stop, OrdType::StopLimit] {
        assert_eq!(base(other), Some(Price(90)));
    }
    // Half to even.
    let of = |value, qty| Order { cum_qty: Qty(qty), cum_value: value, ..order() }.avg_px();
    assert_eq!([of(5, 2), of(7, 2)], [Some(Price(2)), Some(Price(4))]);
}

#[test]
fn the_status_is_that_of_the_highest_precedence() {
    use OrdStatus as S;
    let by_state = [
        S::PendingNew,
        S::PendingNew,
        S::PendingNew,
        S::New,
        S::PartiallyFilled,
        S::Filled,
        S::Canceled,
        S::Rejected,
        S::Expired,
        S::Filled,
    ];
    for (state, status) in OrderState::ALL.into_iter().zip(by_state) {
        assert_eq!(Order { state, ..order() }.ord_status(), status, "{state}");
    }
    let cancel = request(1, RequestKind::Cancel);
    let replace = request(2, RequestKind::Replace);
    let filled = Order { state: OrderState::Filled, ..order() };
    let flagged = |flags, from: &Order| Order { flags, ..from.clone() };
    let both = Flags::DONE_FOR_DAY.with(Flags::SUSPENDED);
    assert_eq!(with(flagged(both, &filled), &[replace, cancel]).ord_status(), S::PendingCancel);
    assert_eq!(with(flagged(both, &filled), &[replace]).ord_status(), S::PendingReplace);
    assert_eq!(flagged(both, &filled).ord_status(), S::DoneForDay);
    assert_eq!(flagged(Flags::SUSPENDED, &filled).ord_status(), S::Filled);
    assert_eq!(flagged(Flags::SUSPENDED, &order()).ord_status(), S::Suspended);
    assert_eq!(flagged(Flags::ACKED, &order()).ord_status(), S::New);
}

#[test]
fn an_order_waits_for_an_answer_until_the_venue_says_anything() {
    for state in OrderState::ALL {
        let waits = Order { state, ..order() }.awaits_answer();
        assert_eq!(waits, state == OrderState::Submitted, "{state}");
    }
    for bit in 0..16 {
        let flags = Flags(1 << bit);
        let said = [
            Flags::UNKNOWN,
            Flags::TRIGGERED,
            Flags::SUSPENDED,
            Flags::DONE_FOR_DAY,
            Flags::ACKED,
            Flags::RECEIVED,
        ];
        let waits = Order { state: OrderState::Submitted, flags, ..order() }.awaits_answer();
        assert_eq!(waits, !said.contains(&flags), "bit {bit}");
    }
}

#[test]
fn an_order_counts_for_all_that_may_still_trade() {
    let counts = |order: &Order| (order.contribution().qty.0, order.contribution().price);
    let at = |price| Some(Price(price));
    assert_eq!(counts(&order()), (10, at(100)));
    assert_eq!(order().contribution().side, Side::Buy);
    assert_eq!(counts(&Order { cum_qty: Qty(3), ..order() }), (7, at(100)));
    assert_eq!(counts(&Order { cum_qty: Qty(13), ..order() }), (0, at(100)));
    // Replaces: the largest quantity, and the price of the largest magnitude.
    let cancel = request(1, RequestKind::Cancel);
    let asked = with(order(), &[cancel, replace(2, 12, 90, 0), replace(3, 11, -105, 500)]);
    assert_eq!(counts(&asked), (12, at(-105)));
    assert_eq!(counts(&with(order(), &[replace(2, 8, -100, 0)])), (10, at(100)));
    let stop = Order { ord_type: OrdType::Stop, stop_price: at(95), ..order() };
    assert_eq!(counts(&with(stop, &[replace(2, 10, 500, 96)])), (10, at(96)));
    let none = Sent { qty: Qty(10), price: None, stop_price: None };
    let unpriced = Request { sent: none, ..request(4, RequestKind::Replace) };
    assert_eq!(counts(&with(order(), &[unpriced])), (10, at(100)));
    let cancelling = Request { sent: Sent { qty: Qty(99), ..none }, ..cancel };
    assert_eq!(counts(&with(order(), &[cancelling])), (10, at(100)));
    // Nothing before it is checked nor once it has ended; but a filled one may be opened again.
    for state in OrderState::ALL {
        let is_open = state == OrderState::Filled || !state.is_final();
        let open = if is_open && state != OrderState::Created { 10 } else { 0 };
        assert_eq!(counts(&Order { state, ..order() }).0, open, "{state}");
    }
    let done = |flags, tif| counts(&Order { flags, tif, ..order() }).0;
    assert_eq!(done(Flags::DONE_FOR_DAY, Tif::Day), 0);
    assert_eq!(done(Flags::DONE_FOR_DAY, Tif::Gtc), 10);
    assert_eq!(done(Flags::SUSPENDED, Tif::Day), 10);
    // What is lost if the stop is hit: from its own price, or from the decision.
    let protected = Order { protect_px: at(90), decision_px: at(130), ..order() };
    assert_eq!(protected.contribution().distance, at(10));
    let market = Order { ord_type: OrdType::Market, ..protected.clone() };
    assert_eq!(market.contribution().distance, at(40));
    assert_eq!(Order { decision_px: None, ..market }.contribution().distance, None);
    assert_eq!(Order { protect_px: None, ..protected }.contribution().distance, None);
}

#[test]
fn an_order_reaches_as_far_as_any_of_its_terms() {
    let asked = [replace(1, 10, 103, 0), replace(2, 10, 98, 0), request(3, RequestKind::Cancel)];
    assert_eq!(order().reach(), Some(Price(100)));
    assert_eq!(with(order(), &asked).reach(), Some(Price(103)));
    let sell = Order { side: Side::Sell, ..order() };
    assert_eq!(with(sell, &asked).reach(), Some(Price(98)));
    let far = Sent { price: Some(Price(500)), ..asked[0].sent };
    let cancel = Request { sent: far, ..request(1, RequestKind::Cancel) };
    assert_eq!(with(order(), &[cancel]).reach(), Some(Price(100)));
    assert_eq!(Order { cum_qty: Qty(9), ..order() }.reach(), Some(Price(100)));
    assert_eq!(Order { cum_qty: Qty(10), ..order() }.reach(), None);
    let stop = Order { ord_type: OrdType::Stop, ..order() };
    assert_eq!(stop.reach(), None);
    let triggered = Order { flags: Flags::TRIGGERED, ..stop };
    assert_eq!(triggered.reach(), Some(Price(i64::MAX)));
}

#[test]
fn the_last_replace_says_what_is_to_become_of_it() {
    let stop_price = Some(Price(95));
    let own = Sent { qty: Qty(10), price: Some(Price(100)), stop_price };
    let plain = Order { stop_price, ..order() };
    assert_eq!(plain.projected(), own);
    let (first, last) = (replace(1, 12, 90, 1), replace(2, 11, 91, 2));
    let cancel = request(3, RequestKind::Cancel);
    assert_eq!(with(plain.clone(), &[first, last, cancel]).projected(), last.sent);
    assert_eq!(with(plain, &[cancel]).projected(), own);
}

#[test]
fn requests_are_answered_by_name_or_oldest_first() {
    let (cancel, first) = (request(1, RequestKind::Cancel), request(2, RequestKind::Replace));
    let mut requests = Requests::default();
    assert!(requests.is_empty());
    assert!(requests.open(cancel) && requests.open(first));
    assert!(!requests.is_empty() && requests.iter().eq([&cancel, &first]));
    // One cancel, whose place the replaces leave free; so many replaces and no more.
    assert!(!requests.open(request(3, RequestKind::Cancel)));
    for number in 3..=REQUESTS_PER_ORDER_MAX as u64 + 1 {
        assert!(!requests.is_full(RequestKind::Replace));
        assert!(requests.open(request(number, RequestKind::Replace)));
    }
    assert!(requests.is_full(RequestKind::Replace) && requests.is_full(RequestKind::Cancel));
    assert!(!requests.open(request(99, RequestKind::Replace)));
    assert_eq!(requests.count(RequestKind::Replace), REQUESTS_PER_ORDER_MAX);
    assert_eq!(requests.count(RequestKind::Cancel), 1);
    let find = |kind, id| requests.find(kind, id).map(|request| request.id.counter());
    assert_eq!(find(RequestKind::Replace, None), Some(2));
    assert_eq!(find(RequestKind::Replace, Some(ClOrdId::new(2, 4))), Some(4));
    assert_eq!(find(RequestKind::Replace, Some(cancel.id)), None);
    assert_eq!(find(RequestKind::Cancel, None), Some(1));
    assert_eq!(find(RequestKind::Cancel, Some(first.id)), None);
    // Said once, of the one that is named.
    assert_eq!(requests.note_overdue(first.id), Some(Request { overdue: true, ..first }));
    assert_eq!(requests.note_overdue(ClOrdId::new(9, 9)), None);
    assert_eq!(requests.iter().filter(|request| request.overdue).count(), 1);
    assert_eq!(requests.end(cancel.id), Some(cancel));
    assert_eq!(requests.end(cancel.id), None);
    assert_eq!(requests.count(RequestKind::Cancel), 0);
    assert!(!requests.is_full(RequestKind::Cancel));
    assert_eq!(requests.count(RequestKind::Replace), REQUESTS_PER_ORDER_MAX);
}

#[test]
fn no_walk_is_under_way_at_first() {
    let sweeps = Sweeps::default();
    assert!(!sweeps.any());
    assert_eq!(sweeps.next(), None);
    assert!(SweepKind::ALL.into_iter().all(|kind| sweeps.get(kind).is_none()));
}

fn hash(order: &Order) -> u64 {
    let mut digest = Digest::default();
    order.digest(&mut digest);
    digest.finish()
}

/// A change of any field, alone, changes the hash, and no two of them in the same way.
#[test]
fn the_hash_covers_every_field() {
    let base = with(order(), &[replace(1, 11, 101, 51)]);
    let change = |change: fn(&mut Order)| {
        let mut changed = base.clone();
        change(&mut changed);
        assert_ne!(changed, base, "the change changes something");
        hash(&changed)
    };
    let sent = |change: fn(&mut Request)| {
        let mut request = replace(1, 11, 101, 51);
        change(&mut request);
        hash(&with(order(), &[request]))
    };
    let mut hashes = vec![
        hash(&base),
        hash(&order()),
        change(|order| order.id = ClOrdId::new(1, 8)),
        change(|order| order.instrument = InstrumentId(1)),
        change(|order| order.strategy = 1),
        change(|order| order.side = Side::Sell),
        change(|order| order.ord_type = OrdType::Market),
        change(|order| order.tif = Tif::Day),
        change(|order| order.state = OrderState::PartialFill),
        change(|order| order.reason = Some(Code::UnknownSymbol)),
        change(|order| order.flags = Flags(1)),
        change(|order| order.flags = Flags(1 << 15)),
        change(|order| order.order_qty = Qty(11)),
        change(|order| order.cum_qty = Qty(1)),
        change(|order| order.cum_value = 1),
        change(|order| order.cum_value = 1 << 64),
        change(|order| order.price = Some(Price(101))),
        change(|order| order.price = None),
        change(|order| order.stop_price = Some(Price(0))),
        change(|order| order.protect_px = Some(Price(0))),
        change(|order| order.expire_at = Some(Ts(0))),
        change(|order| order.decision_px = Some(Price(0))),
        change(|order| order.arrival_px = Some(Price(0))),
        change(|order| order.created = Ts(1)),
        change(|order| order.executions_before = 1),
        sent(|request| request.id = ClOrdId::new(2, 2)),
        sent(|request| request.kind = RequestKind::Cancel),
        sent(|request| request.qty = Some(Qty(0))),
        sent(|request| request.price = Some(Price(0))),
        sent(|request| request.stop_price = Some(Price(0))),
        sent(|request| request.sent.qty = Qty(12)),
        sent(|request| request.sent.price = None),
        sent(|request| request.sent.stop_price = None),
        sent(|request| request.since = Ts(1)),
        sent(|request| request.overdue = true),
    ];
    let count = hashes.len();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), count, "two orders hash to the same");
}

/// What is folded into one word stays apart in it: no value of one field reads as another's.
#[test]
fn fields_that_share_a_word_do_not_run_into_each_other() {
    let mut hashes = Vec::new();
    for instrument in [0, 1, u16::MAX] {
        for strategy in [0, 1, u16::MAX] {
            hashes.push(hash(&Order { instrument: InstrumentId(instrument), strategy, ..order() }));
        }
    }
    let reasons = [None, Some(Code::UnknownSymbol), Code::ALL.last().copied()];
    let places = [Tif::Day, Tif::Gtd].into_iter().flat_map(|tif| {
        OrderState::ALL.into_iter().flat_map(move |state| {
            let types = [OrdType::Market, OrdType::StopLimit];
            types.into_iter().map(move |ord_type| (tif, state, ord_type))
        })
    });
    for (tif, state, ord_type) in places {
        for (reason, side) in reasons.into_iter().flat_map(|r| [(r, Side::Buy), (r, Side::Sell)]) {
            for flags in [Flags(1), Flags(u16::MAX)] {
                let order = Order { tif, state, ord_type, side, reason, flags, ..order() };
                hashes.push(hash(&order));
            }
        }
    }
    let count = hashes.len();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), count, "two orders hash to the same");
}
