//! The order's life, cell by cell: what a person who knows FIX expects of every event in every
//! state, with the reason, against the table that the engine uses.

use std::collections::BTreeSet;
use trade_engine::order::{Cell, OrderEvent, OrderState};

/// Rows in the order of the diagram. `->S` moves to S; `same`, `late`, `old` and `bad` stay.
///
/// - same: legal, and the state is right already
/// - late: booked or noted, and flagged
/// - old: an acknowledgement that tells nothing new
/// - bad: refused, nothing changes
const EXPECTED: &str = "
CREATED      Pass           ->PENDING       it passed validation and risk
CREATED      Deny           ->REJECTED      validation or risk turned it down
CREATED      Submit         bad             nothing is handed over unchecked
CREATED      Accept         bad             the venue cannot know it
CREATED      TradePart      late            money first, whoever is wrong
CREATED      TradeFull      late            money first, whoever is wrong
CREATED      Reject         bad             the venue cannot know it
CREATED      Cancel         ->CANCELLED     a held order is withdrawn before hand-over
CREATED      Expire         ->EXPIRED       a held order's time is up before hand-over
CREATED      AmendNone      bad             there is nothing to amend
CREATED      AmendPart      bad             there is nothing to amend
CREATED      AmendFull      bad             there is nothing to amend
CREATED      AskCancel      bad             nobody but us has it: it is withdrawn at once
CREATED      AskReplace     bad             nobody but us has it: it is amended at once
CREATED      AskReplaceFull bad             nobody but us has it: it is amended at once
CREATED      Close          bad             only what has ended is retired

PENDING      Pass           bad             it has passed already
PENDING      Deny           ->REJECTED      it could not be handed over
PENDING      Submit         ->SUBMITTED     handed over
PENDING      Accept         bad             the venue cannot know it
PENDING      TradePart      late            money first, whoever is wrong
PENDING      TradeFull      late            money first, whoever is wrong
PENDING      Reject         bad             the venue cannot know it
PENDING      Cancel         ->CANCELLED     withdrawn before it was handed over
PENDING      Expire         bad             the venue cannot know it
PENDING      AmendNone      bad             there is nothing to amend
PENDING      AmendPart      bad             there is nothing to amend
PENDING      AmendFull      bad             there is nothing to amend
PENDING      AskCancel      bad             it lives for the length of one input
PENDING      AskReplace     bad             it lives for the length of one input
PENDING      AskReplaceFull bad             it lives for the length of one input
PENDING      Close          bad             only what has ended is retired

SUBMITTED    Pass           bad             it has passed already
SUBMITTED    Deny           ->REJECTED      the broker held it back: it never left
SUBMITTED    Submit         bad             nothing is sent twice
SUBMITTED    Accept         ->ACCEPTED      FIX New
SUBMITTED    TradePart      ->PARTIAL_FILL  a fill overtakes the acknowledgement
SUBMITTED    TradeFull      ->FILLED        a fill overtakes the acknowledgement
SUBMITTED    Reject         ->REJECTED      FIX Rejected
SUBMITTED    Cancel         ->CANCELLED     a cancel before the acknowledgement is legal
SUBMITTED    Expire         ->EXPIRED       an IOC order that found nothing
SUBMITTED    AmendNone      ->ACCEPTED      who has amended it has it
SUBMITTED    AmendPart      ->PARTIAL_FILL  the same, something had traded
SUBMITTED    AmendFull      ->FILLED        the same, nothing is left open
SUBMITTED    AskCancel      same            a request beside the lifecycle
SUBMITTED    AskReplace     same            a request beside the lifecycle
SUBMITTED    AskReplaceFull same            a request beside the lifecycle
SUBMITTED    Close          bad             only what has ended is retired

ACCEPTED     Pass           bad             behind it
ACCEPTED     Deny           bad             the venue has it
ACCEPTED     Submit         bad             nothing is sent twice
ACCEPTED     Accept         old             it was acknowledged
ACCEPTED     TradePart      ->PARTIAL_FILL  FIX PartiallyFilled
ACCEPTED     TradeFull      ->FILLED        FIX Filled
ACCEPTED     Reject         ->REJECTED      the exchange turns down what the broker took
ACCEPTED     Cancel         ->CANCELLED     FIX Canceled, asked for or not
ACCEPTED     Expire         ->EXPIRED       FIX Expired
ACCEPTED     AmendNone      same            nothing has traded, as before
ACCEPTED     AmendPart      ->PARTIAL_FILL  a correction found a trade
ACCEPTED     AmendFull      ->FILLED        nothing is left open
ACCEPTED     AskCancel      same            a request beside the lifecycle
ACCEPTED     AskReplace     same            a request beside the lifecycle
ACCEPTED     AskReplaceFull same            a request beside the lifecycle
ACCEPTED     Close          bad             only what has ended is retired

PARTIAL_FILL Pass           bad             behind it
PARTIAL_FILL Deny           bad             it has traded
PARTIAL_FILL Submit         bad             nothing is sent twice
PARTIAL_FILL Accept         late            the acknowledgement was overtaken
PARTIAL_FILL TradePart      same            more of it
PARTIAL_FILL TradeFull      ->FILLED        the rest of it
PARTIAL_FILL Reject         bad             what has traded cannot be turned down
PARTIAL_FILL Cancel         ->CANCELLED     the rest is cancelled
PARTIAL_FILL Expire         ->EXPIRED       the rest expires
PARTIAL_FILL AmendNone      ->ACCEPTED      its only trade was busted
PARTIAL_FILL AmendPart      same            something has traded, something is open
PARTIAL_FILL AmendFull      ->FILLED        D11: replaced down to what has traded
PARTIAL_FILL AskCancel      same            a request beside the lifecycle
PARTIAL_FILL AskReplace     same            a request beside the lifecycle
PARTIAL_FILL AskReplaceFull same            the venue will make it FILLED
PARTIAL_FILL Close          bad             only what has ended is retired

FILLED       Pass           bad             ended
FILLED       Deny           bad             ended
FILLED       Submit         bad             ended
FILLED       Accept         late            the acknowledgement was overtaken
FILLED       TradePart      late            an overfill: booked, flagged
FILLED       TradeFull      late            an overfill: booked, flagged
FILLED       Reject         bad             what has traded cannot be turned down
FILLED       Cancel         bad             nothing is left to cancel
FILLED       Expire         bad             nothing is left to expire
FILLED       AmendNone      ->ACCEPTED      all its trades were busted
FILLED       AmendPart      ->PARTIAL_FILL  a bust, or a replace that raises the quantity
FILLED       AmendFull      same            still nothing open
FILLED       AskCancel      bad             a filled order cannot be cancelled
FILLED       AskReplace     same            it raises the quantity above what has traded
FILLED       AskReplaceFull bad             it would open nothing
FILLED       Close          ->CLOSED        retired

CANCELLED    Pass           bad             ended
CANCELLED    Deny           bad             ended
CANCELLED    Submit         bad             ended
CANCELLED    Accept         late            the acknowledgement was overtaken
CANCELLED    TradePart      late            J.1.b: the trade counts, the state stays
CANCELLED    TradeFull      late            J.1.b: the trade counts, the state stays
CANCELLED    Reject         bad             ended
CANCELLED    Cancel         bad             ended
CANCELLED    Expire         bad             ended
CANCELLED    AmendNone      same            D35: a bust changes quantities, not the state
CANCELLED    AmendPart      same            D35: a bust changes quantities, not the state
CANCELLED    AmendFull      same            D35: a bust changes quantities, not the state
CANCELLED    AskCancel      bad             ended
CANCELLED    AskReplace     bad             ended
CANCELLED    AskReplaceFull bad             ended
CANCELLED    Close          ->CLOSED        retired

REJECTED     Pass           bad             a rejected order cannot be submitted again
REJECTED     Deny           bad             ended
REJECTED     Submit         bad             a rejected order cannot be submitted again
REJECTED     Accept         bad             it contradicts the reject
REJECTED     TradePart      late            J.1.b: the trade counts, the state stays
REJECTED     TradeFull      late            J.1.b: the trade counts, the state stays
REJECTED     Reject         bad             ended
REJECTED     Cancel         bad             ended
REJECTED     Expire         bad             ended
REJECTED     AmendNone      same            D35: a bust changes quantities, not the state
REJECTED     AmendPart      same            D35: a bust changes quantities, not the state
REJECTED     AmendFull      same            D35: a bust changes quantities, not the state
REJECTED     AskCancel      bad             ended
REJECTED     AskReplace     bad             ended
REJECTED     AskReplaceFull bad             ended
REJECTED     Close          ->CLOSED        retired

EXPIRED      Pass           bad             ended
EXPIRED      Deny           bad             ended
EXPIRED      Submit         bad             ended
EXPIRED      Accept         late            the acknowledgement was overtaken
EXPIRED      TradePart      late            J.1.b: the trade counts, the state stays
EXPIRED      TradeFull      late            J.1.b: the trade counts, the state stays
EXPIRED      Reject         bad             ended
EXPIRED      Cancel         bad             ended
EXPIRED      Expire         bad             ended
EXPIRED      AmendNone      same            D35: a bust changes quantities, not the state
EXPIRED      AmendPart      same            D35: a bust changes quantities, not the state
EXPIRED      AmendFull      same            D35: a bust changes quantities, not the state
EXPIRED      AskCancel      bad             ended
EXPIRED      AskReplace     bad             ended
EXPIRED      AskReplaceFull bad             ended
EXPIRED      Close          ->CLOSED        retired

CLOSED       Pass           bad             retired
CLOSED       Deny           bad             retired
CLOSED       Submit         bad             retired
CLOSED       Accept         bad             retired
CLOSED       TradePart      late            money first: booked without an order
CLOSED       TradeFull      late            money first: booked without an order
CLOSED       Reject         bad             retired
CLOSED       Cancel         bad             retired
CLOSED       Expire         bad             retired
CLOSED       AmendNone      bad             retired
CLOSED       AmendPart      bad             retired
CLOSED       AmendFull      bad             retired
CLOSED       AskCancel      bad             retired
CLOSED       AskReplace     bad             retired
CLOSED       AskReplaceFull bad             retired
CLOSED       Close          bad             once is enough
";

#[test]
fn every_cell_is_what_the_text_says() {
    let mut seen = BTreeSet::new();
    for line in EXPECTED.lines().filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let state = OrderState::ALL.into_iter().find(|state| state.name() == words[0]);
        let state = state.unwrap_or_else(|| panic!("no state {line}"));
        let event = OrderEvent::ALL.into_iter().find(|event| format!("{event:?}") == words[1]);
        let event = event.unwrap_or_else(|| panic!("no event {line}"));
        let found = match state.on(event) {
            Cell::To(next) => format!("->{next}"),
            Cell::Same => "same".to_owned(),
            Cell::Late => "late".to_owned(),
            Cell::Old => "old".to_owned(),
            Cell::Bad => "bad".to_owned(),
        };
        assert_eq!(found, words[2], "{line}");
        assert!(words.len() > 3, "a cell without a reason: {line}");
        assert!(seen.insert((state as u8, event as u8)), "twice: {line}");
    }
    assert_eq!(seen.len(), OrderState::ALL.len() * OrderEvent::ALL.len());
}

/// Every state can be reached from CREATED, and CLOSED from every one but itself.
#[test]
fn every_state_is_reached_and_every_order_ends() {
    let from = |start: OrderState| {
        let mut reached = vec![start];
        let mut at = 0;
        while at < reached.len() {
            for event in OrderEvent::ALL {
                if let Cell::To(next) = reached[at].on(event)
                    && !reached.contains(&next)
                {
                    reached.push(next);
                }
            }
            at += 1;
        }
        reached
    };
    assert_eq!(from(OrderState::Created).len(), OrderState::ALL.len());
    for state in OrderState::ALL {
        assert!(from(state).contains(&OrderState::Closed), "{state} never ends");
    }
}

#[test]
fn a_move_always_leads_elsewhere() {
    for state in OrderState::ALL {
        for event in OrderEvent::ALL {
            assert_ne!(state.on(event), Cell::To(state), "{state} {event:?}");
        }
    }
}
