//! Contingent orders: brackets, OCO, OTO and trailing stops that the engine keeps by itself.
//!
//! Each sequence is played long and short: prices mirror at 100, sides swap, and what is expected is
//! written down once. Every test ends by folding the log and by deciding it again.
//!
//! `SEED=7 RUNS=1 cargo test --test contingent_orders random` repeats one random run.

#[path = "common/random.rs"]
mod random;

use random::{Random, runs};
use std::collections::{BTreeMap, VecDeque};
use trade_engine::broker::{Message, NewOrder};
use trade_engine::code::Code;
use trade_engine::codec::{Slot, records};
use trade_engine::config::canonical;
use trade_engine::engine::{Engine, Outbound, Output, State};
use trade_engine::event::{Body, Event, Record};
use trade_engine::input::{ExecKey, Input, StatusKind};
use trade_engine::instrument::{Instrument, InstrumentId, OpenInterval};
use trade_engine::limits::{CONTINGENTS_MAX, SLOTS_PER_INPUT_MAX};
use trade_engine::order::{ClOrdId, Flags, OrdType, Order, OrderState, Tif};
use trade_engine::replay::{Redecide, Replay};
use trade_engine::settings::{Capacity, CostMethod, Count, Limits, Millis, Settings};
use trade_engine::strategy::Bracket;
use trade_engine::units::{Money, Price, Qty, Side, Ts};

const ES: InstrumentId = InstrumentId(0);
const NQ: InstrumentId = InstrumentId(1);
const SECOND: i64 = 1_000_000_000;

fn settings() -> Settings {
    let spec =
        |symbol| Instrument::plain(symbol, Price(Price::ONE.0 / 4), Price::ONE.0, Price::ONE.0);
    let capacity = Capacity { orders: 64, executions: 4_096, checkpoint_interval_slots: 300 };
    let capital = "1000000".parse().expect("a decimal");
    Settings { capacity, ..Settings::new(capital, vec![spec("ES"), spec("NQ")]) }
}

#[derive(Default)]
struct Out {
    slots: Vec<Slot>,
    messages: Vec<Message>,
}

impl Output for Out {
    fn record(&mut self, slots: &[Slot]) {
        self.slots.extend_from_slice(slots);
    }

    fn send(&mut self, outbound: &Outbound) {
        self.messages.push(outbound.message);
    }
}

/// An engine, everything it has put out, and a way to speak to it that is the same long and short.
struct Desk {
    engine: Engine,
    out: Out,
    /// Buy: as it is written; sell: in the mirror.
    side: Side,
    next: u64,
    ts: i64,
    executions: u64,
    /// The request of each order that was sent last.
    requests: BTreeMap<ClOrdId, ClOrdId>,
}

impl Desk {
    fn new(side: Side) -> Self {
        Self::with(side, settings())
    }

    fn with(side: Side, settings: Settings) -> Self {
        let config = canonical::write(&settings);
        let (mut engine, mut out) = (Engine::new(settings), Out::default());
        engine.open_log(Ts(0), "test", &config, &mut out);
        let (next, ts, executions) = (0, 0, 0);
        Self { engine, out, side, next, ts, executions, requests: BTreeMap::new() }
    }

    fn state(&self) -> &State {
        self.engine.state()
    }

    fn order(&self, id: ClOrdId) -> &Order {
        self.state().order(id).expect("it is there")
    }

    fn held(&self) -> i64 {
        self.state().position(ES).expect("ES").qty.0 * self.side.sign()
    }

    fn id(&mut self) -> ClOrdId {
        self.next += 1;
        ClOrdId::new(0, self.next)
    }

    /// In quarters, so that an off tick price can be written too.
    fn mirror(&self, price: f64) -> Price {
        #[expect(clippy::cast_possible_truncation, reason = "small figures of a test")]
        let quarters = (price * 4.0).round() as i64;
        let quarters = if self.side == Side::Buy { quarters } else { 800 - quarters };
        Price(quarters * Price::ONE.0 / 4)
    }

    fn leave(&self) -> Side {
        self.side.opposite()
    }

    /// Takes an input and the turns that it causes; says what goes out.
    fn take(&mut self, input: Input) -> Vec<String> {
        self.ts += 1_000_000;
        let before = self.out.messages.len();
        self.engine.step(Ts(self.ts), 0, &input, &mut self.out);
        let mut turns = 0;
        while self.state().sweeps().any() {
            self.engine.step(Ts(self.ts), 0, &Input::Continue {}, &mut self.out);
            turns += 1;
            assert!(turns < 100, "a walk without end");
        }
        let sent = self.out.messages[before..].to_vec();
        sent.iter().filter_map(|message| self.tell(message)).collect()
    }

    /// `2 leave 3 limit 110`, `replace 2 7`, `cancel 2`.
    fn tell(&mut self, message: &Message) -> Option<String> {
        let shown = |price: Price| {
            let price = if self.side == Side::Buy { price.0 } else { 200 * Price::ONE.0 - price.0 };
            Price(price).to_string()
        };
        match *message {
            Message::New(NewOrder { order, side, ord_type, qty, price, stop_price, .. }) => {
                assert_eq!(stop_price, None, "stops are kept here");
                let way = if side == self.side { "enter" } else { "leave" };
                let price = price.map_or_else(String::new, |price| format!(" {}", shown(price)));
                Some(format!("{} {way} {} {}{price}", order.counter(), qty.0, ord_type.name()))
            }
            Message::Cancel { order, request, .. } => {
                self.requests.insert(order, request);
                Some(format!("cancel {}", order.counter()))
            }
            Message::Replace { order, request, qty, stop_price, .. } => {
                assert_eq!(stop_price, None, "stops are kept here");
                self.requests.insert(order, request);
                Some(format!("replace {} {}", order.counter(), qty.0))
            }
            Message::Mark { .. } | Message::Bar { .. } | Message::DayRoll | Message::Time => None,
        }
    }

    fn mark(&mut self, price: f64) -> Vec<String> {
        let price = self.mirror(price);
        self.take(Input::Mark { instrument: ES, price, bid: None, ask: None })
    }

    /// A bar that began at `opened`: low and high swap in the mirror.
    fn bar(&mut self, opened: i64, [open, high, low, close]: [f64; 4]) -> Vec<String> {
        let [open, high, low, close] = [open, high, low, close].map(|price| self.mirror(price));
        let (high, low) = (high.max(low), high.min(low));
        let (volume, opened) = (1, Ts(opened));
        self.take(Input::Bar { instrument: ES, open, high, low, close, volume, opened })
    }

    fn enter(&mut self, qty: i64, price: f64) -> (ClOrdId, Vec<String>) {
        let (id, side, price) = (self.id(), self.side, self.mirror(price));
        let sent = self.take(plain(id, ES, side, qty, Some(price)));
        (id, sent)
    }

    /// A stop at 95, a target at 110, an entry at 100: their ids.
    fn bracket(&mut self, qty: i64) -> [ClOrdId; 3] {
        self.bracket_with(qty, |bracket| bracket)
    }

    fn bracket_with(&mut self, qty: i64, change: fn(Bracket) -> Bracket) -> [ClOrdId; 3] {
        let ids = [self.id(), self.id(), self.id()];
        let [stop, target, entry] = [95.0, 110.0, 100.0].map(|price| self.mirror(price));
        let bracket = Bracket::new(ES, self.side, Qty(qty), stop, target).limit(entry);
        let inputs = change(bracket).inputs(ids);
        let sent: Vec<String> = inputs.into_iter().flat_map(|input| self.take(input)).collect();
        assert_eq!(sent, [format!("{} enter {qty} limit 100", ids[2].counter())]);
        ids
    }

    /// A contingent order that leaves: with a limit, a stop, or both.
    fn exit(&self, id: ClOrdId, qty: i64, limit: Option<f64>, stop: Option<f64>) -> Leg {
        let ord_type = match (limit, stop) {
            (None, None) => OrdType::Market,
            (Some(_), None) => OrdType::Limit,
            (None, Some(_)) => OrdType::Stop,
            (Some(_), Some(_)) => OrdType::StopLimit,
        };
        Leg {
            id,
            instrument: ES,
            side: self.leave(),
            ord_type,
            tif: Tif::Gtc,
            flags: Flags::REDUCE_ONLY,
            qty,
            price: limit.map(|price| self.mirror(price)),
            stop_price: stop.map(|price| self.mirror(price)),
            parent: ClOrdId::NONE,
            sibling: ClOrdId::NONE,
            trail: None,
        }
    }

    fn fill(&mut self, order: ClOrdId, qty: i64, price: f64) -> Vec<String> {
        self.executions += 1;
        let side = self.order(order).side;
        let exec = ExecKey::new(0, &self.executions.to_string(), order, side);
        let price = self.mirror(price);
        self.take(trade(order, exec, self.order(order).instrument, side, (qty, price)))
    }

    fn report(&mut self, order: ClOrdId, kind: StatusKind) -> Vec<String> {
        self.take(Input::Status { order, kind, request: ClOrdId::NONE })
    }

    fn accept(&mut self, order: ClOrdId) -> Vec<String> {
        self.report(order, StatusKind::Accepted)
    }

    /// The venue has cancelled what was asked last.
    fn cancelled(&mut self, order: ClOrdId) -> Vec<String> {
        let request = self.requests[&order];
        self.take(Input::Status { order, kind: StatusKind::Cancelled, request })
    }

    fn replaced(&mut self, order: ClOrdId) -> Vec<String> {
        let request = self.requests[&order];
        let (qty, price, stop_price) = (None, None, None);
        self.take(Input::Replaced { order, request, qty, price, stop_price })
    }

    fn cancel(&mut self, order: ClOrdId) -> Vec<String> {
        let id = self.id();
        self.take(Input::Cancel { id, order })
    }

    fn resize(&mut self, order: ClOrdId, qty: i64) -> Vec<String> {
        let (id, qty) = (self.id(), Some(Qty(qty)));
        let (price, stop_price, defect) = (None, None, None);
        self.take(Input::Replace { id, order, qty, price, stop_price, defect })
    }

    fn events(&self) -> impl Iterator<Item = Event> {
        records(&self.out.slots).filter_map(|slots| {
            match Record::decode(slots).expect("the engine wrote it").body {
                Body::Event(event) => Some(event),
                Body::Input(..) | Body::Opening(_) => None,
            }
        })
    }

    fn count(&self, is: impl Fn(&Event) -> bool) -> usize {
        self.events().filter(is).count()
    }

    fn last_refusal(&self) -> Option<Code> {
        let refusals = self.events().filter_map(|event| {
            if let Event::Refused { code, .. } = event { Some(code) } else { None }
        });
        refusals.last()
    }

    fn is(&self, order: ClOrdId, state: OrderState) -> bool {
        self.order(order).state == state
    }

    /// Folding the log gives the state, deciding it again the same bytes.
    fn prove(&self) {
        let (mut replay, mut redecide) = (Replay::default(), Redecide::default());
        for slots in records(&self.out.slots) {
            replay.next(slots).unwrap_or_else(|error| panic!("{error}"));
            redecide.next(slots).unwrap_or_else(|error| panic!("{error}"));
        }
        let live = self.state().hash();
        assert_eq!(replay.state().expect("a head").hash(), live);
        assert_eq!(redecide.state().expect("a head").hash(), live);
        assert_eq!(redecide.missing_slots(), 0);
    }

    /// The end of a test whose groups are all done.
    fn done(&self) {
        let entries = self.state().contingents().iter();
        let left: Vec<&Order> = entries.map(|(_, links)| self.order(links.order)).collect();
        assert!(left.is_empty(), "{left:#?}");
        let pinned = |order: &&Order| order.flags.has(Flags::LINKED);
        assert_eq!(self.state().orders().iter().filter(pinned).count(), 0);
        self.prove();
    }
}

impl Drop for Desk {
    /// Whatever a test is about, its log must hold.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.prove();
        }
    }
}

/// A contingent order's terms, short enough to be changed in a line.
#[derive(Clone, Copy)]
struct Leg {
    id: ClOrdId,
    instrument: InstrumentId,
    side: Side,
    ord_type: OrdType,
    tif: Tif,
    flags: Flags,
    qty: i64,
    price: Option<Price>,
    stop_price: Option<Price>,
    parent: ClOrdId,
    sibling: ClOrdId,
    trail: Option<Price>,
}

impl Leg {
    fn input(self) -> Input {
        Input::Contingent {
            id: self.id,
            instrument: self.instrument,
            side: self.side,
            ord_type: self.ord_type,
            tif: self.tif,
            strategy: 0,
            flags: self.flags,
            qty: Qty(self.qty),
            price: self.price,
            stop_price: self.stop_price,
            expire_at: None,
            parent: self.parent,
            sibling: self.sibling,
            trail: self.trail,
            defect: None,
        }
    }
}

fn plain(
    id: ClOrdId,
    instrument: InstrumentId,
    side: Side,
    qty: i64,
    price: Option<Price>,
) -> Input {
    Input::Order {
        id,
        instrument,
        side,
        ord_type: if price.is_some() { OrdType::Limit } else { OrdType::Market },
        tif: Tif::Gtc,
        strategy: 0,
        flags: Flags::default(),
        qty: Qty(qty),
        price,
        stop_price: None,
        expire_at: None,
        defect: None,
    }
}

fn trade(
    order: ClOrdId,
    exec: ExecKey,
    instrument: InstrumentId,
    side: Side,
    (qty, price): (i64, Price),
) -> Input {
    Input::Trade {
        order,
        exec,
        qty: Qty(qty),
        price,
        commission: Money::ZERO,
        instrument,
        side,
        venue_says_filled: false,
        defect: None,
    }
}

const NOTHING: [&str; 0] = [];

fn both(test: impl Fn(Side)) {
    test(Side::Buy);
    test(Side::Sell);
}

// Brackets.

#[test]
fn exits_follow_what_the_entry_trades_and_each_other() {
    both(|side| {
        let mut desk = Desk::new(side);
        desk.mark(101.0);
        let [stop, target, entry] = desk.bracket(10);
        assert_eq!(desk.accept(entry), NOTHING);
        assert!(desk.order(stop).is_held() && desk.order(target).is_held());
        assert_eq!(desk.state().books()[0].exposure.side(desk.leave()).orders, 0);

        assert_eq!(desk.fill(entry, 3, 100.0), ["2 leave 3 limit 110"]);
        assert_eq!(desk.order(stop).leaves_qty(), Qty(3));
        // The target is not acknowledged: what is to be changed about it waits.
        assert_eq!(desk.fill(entry, 1, 100.0), NOTHING);
        assert_eq!(desk.accept(target), ["replace 2 4"]);
        // Nor is a second replace sent while the first is on its way.
        assert_eq!(desk.fill(entry, 2, 100.0), NOTHING);
        assert_eq!(desk.replaced(target), ["replace 2 6"]);
        assert_eq!(desk.replaced(target), NOTHING);
        assert_eq!(desk.order(stop).leaves_qty(), Qty(6));

        // A part of the target trades: the stop is for what is left.
        assert_eq!(desk.fill(target, 2, 110.0), NOTHING);
        assert_eq!((desk.order(stop).leaves_qty(), desk.held()), (Qty(4), 4));
        assert_eq!(desk.fill(entry, 4, 100.0), ["replace 2 10"]);
        assert_eq!(desk.replaced(target), NOTHING);
        assert_eq!((desk.order(stop).leaves_qty(), desk.held()), (Qty(8), 8));

        assert_eq!(desk.fill(target, 8, 110.0), NOTHING);
        assert!(desk.is(target, OrderState::Filled) && desk.is(stop, OrderState::Cancelled));
        assert_eq!(desk.order(stop).reason, Some(Code::NoPosition));
        desk.done();
    });
}

#[test]
fn a_stop_goes_out_when_the_target_is_known_to_be_gone() {
    both(|side| {
        let mut desk = Desk::new(side);
        desk.mark(101.0);
        let [stop, target, entry] = desk.bracket(10);
        desk.fill(entry, 10, 100.0);
        desk.accept(target);
        assert_eq!(desk.mark(95.25), NOTHING);
        assert_eq!(desk.mark(95.0), ["cancel 2"]);
        assert!(desk.order(stop).flags.has(Flags::TRIGGERED) && desk.order(stop).is_held());
        // However far it falls: nothing more is sent until the venue has answered.
        assert_eq!(desk.mark(90.0), NOTHING);
        assert_eq!(desk.cancelled(target), ["1 leave 10 market"]);
        assert_eq!(desk.fill(stop, 10, 90.0), NOTHING);
        assert_eq!(desk.held(), 0);
        // Slippage is measured from the price when it was let go.
        assert_eq!(desk.order(stop).decision_px, Some(desk.mirror(90.0)));
        desk.done();
    });
}

#[test]
fn a_target_that_trades_across_its_cancel_leaves_the_stop_the_rest() {
    both(|side| {
        let mut desk = Desk::new(side);
        let [stop, target, entry] = desk.bracket(10);
        desk.fill(entry, 10, 100.0);
        desk.accept(target);
        assert_eq!(desk.mark(95.0), ["cancel 2"]);
        assert_eq!(desk.fill(target, 4, 110.0), NOTHING);
        assert_eq!(desk.cancelled(target), ["1 leave 6 market"]);
        desk.fill(stop, 6, 95.0);
        assert_eq!(desk.held(), 0);
        desk.done();

        // All of it trades: nothing is left for the stop, and the venue's "too late" is an answer.
        let mut desk = Desk::new(side);
        let [stop, target, entry] = desk.bracket(10);
        desk.fill(entry, 10, 100.0);
        desk.accept(target);
        assert_eq!(desk.mark(95.0), ["cancel 2"]);
        assert_eq!(desk.fill(target, 10, 110.0), NOTHING);
        assert!(desk.is(stop, OrderState::Cancelled));
        let request = desk.requests[&target];
        let kind = StatusKind::CancelRejected;
        assert_eq!(desk.take(Input::Status { order: target, kind, request }), NOTHING);
        assert_eq!(desk.held(), 0);
        desk.done();
    });
}

#[test]
fn a_triggered_stop_cancels_the_rest_of_its_entry() {
    both(|side| {
        let mut desk = Desk::new(side);
        let [stop, target, entry] = desk.bracket(10);
        desk.fill(entry, 3, 100.0);
        desk.accept(target);
        assert_eq!(desk.mark(94.0), ["cancel 3", "cancel 2"]);
        // The entry trades across its cancel before the stop is out: the stop covers it.
        assert_eq!(desk.fill(entry, 2, 100.0), NOTHING);
        assert_eq!(desk.cancelled(target), ["1 leave 5 market"]);
        assert_eq!(desk.cancelled(entry), NOTHING);
        desk.accept(stop);
        desk.fill(stop, 5, 94.0);
        assert_eq!(desk.held(), 0);
        desk.done();
    });
}

#[test]
fn exits_end_with_an_entry_that_trades_nothing_and_stay_with_one_that_has() {
    both(|side| {
        for kind in [StatusKind::Rejected, StatusKind::Cancelled, StatusKind::Expired] {
            let mut desk = Desk::new(side);
            let [stop, target, entry] = desk.bracket(10);
            assert_eq!(desk.report(entry, kind), NOTHING);
            for exit in [stop, target] {
                assert!(desk.is(exit, OrderState::Cancelled));
                assert_eq!(desk.order(exit).reason, Some(Code::UnknownOrder));
            }
            desk.done();
        }

        let mut desk = Desk::new(side);
        let [stop, target, entry] = desk.bracket(10);
        desk.fill(entry, 4, 100.0);
        desk.accept(target);
        assert_eq!(desk.report(entry, StatusKind::Cancelled), NOTHING);
        assert_eq!(desk.order(stop).leaves_qty(), Qty(4));
        assert_eq!(desk.mark(95.0), ["cancel 2"]);
        assert_eq!(desk.cancelled(target), ["1 leave 4 market"]);
        desk.fill(stop, 4, 95.0);
        desk.done();
    });
}

#[test]
fn a_price_that_jumps_past_the_stop_triggers_it_even_before_the_fill_is_known() {
    both(|side| {
        let mut desk = Desk::new(side);
        let [_, target, entry] = desk.bracket(10);
        assert_eq!(desk.mark(90.0), NOTHING);
        // The fill comes late: the price that stands is through the stop already, so the target
        // does not even go out.
        assert_eq!(desk.fill(entry, 10, 100.0), ["1 leave 10 market"]);
        assert!(desk.order(target).is_held());
        let stop = ClOrdId::new(0, 1);
        desk.fill(stop, 10, 90.0);
        assert_eq!((desk.held(), desk.is(target, OrderState::Cancelled)), (0, true));
        desk.done();
    });
}

#[test]
fn a_leg_that_the_venue_turns_down_leaves_the_other() {
    both(|side| {
        let mut desk = Desk::new(side);
        let [stop, target, entry] = desk.bracket(10);
        desk.fill(entry, 10, 100.0);
        assert_eq!(desk.report(target, StatusKind::Rejected), NOTHING);
        assert!(desk.order(stop).is_held());
        assert_eq!(desk.mark(95.0), ["1 leave 10 market"]);
        assert_eq!(desk.report(stop, StatusKind::Rejected), NOTHING);
        assert_eq!(desk.held(), 10);
        desk.done();
    });
}

#[test]
fn a_quantity_that_a_person_gives_an_exit_is_the_most_it_is_for() {
    both(|side| {
        let mut desk = Desk::new(side);
        let [stop, target, entry] = desk.bracket(10);
        // Held: here and at once.
        assert_eq!(desk.resize(target, 8), NOTHING);
        assert_eq!(desk.order(target).order_qty, Qty(8));
        assert_eq!(desk.fill(entry, 10, 100.0), ["2 leave 8 limit 110"]);
        desk.accept(target);
        // At the venue: asked, and once it is done, what is wanted.
        assert_eq!(desk.resize(target, 6), ["replace 2 6"]);
        assert_eq!(desk.replaced(target), NOTHING);
        // More than is held is no exit.
        assert_eq!(desk.resize(target, 12), NOTHING);
        assert_eq!(desk.last_refusal(), Some(Code::ReduceOnly));
        assert_eq!(desk.resize(target, 9), ["replace 2 9"]);
        assert_eq!(desk.replaced(target), NOTHING);
        // What the venue makes of it on its own is not fought about.
        let qty = Some(Qty(7));
        assert_eq!(desk.take(Input::Restated { order: target, qty }), NOTHING);
        assert_eq!(desk.order(stop).leaves_qty(), Qty(10));
        assert_eq!(desk.fill(target, 7, 110.0), NOTHING);
        assert_eq!((desk.order(stop).leaves_qty(), desk.held()), (Qty(3), 3));
    });
}

#[test]
fn an_entry_that_is_replaced_takes_its_exits_along() {
    both(|side| {
        let mut desk = Desk::new(side);
        let [stop, target, entry] = desk.bracket(10);
        desk.accept(entry);
        assert_eq!(desk.resize(entry, 4), ["replace 3 4"]);
        desk.replaced(entry);
        assert_eq!(desk.fill(entry, 4, 100.0), ["2 leave 4 limit 110"]);
        assert!(desk.is(entry, OrderState::Filled));
        assert_eq!(desk.order(stop).leaves_qty(), Qty(4));
        desk.accept(target);
        desk.fill(target, 4, 110.0);
        desk.done();
    });
}

#[test]
fn two_targets_and_a_stop_share_one_entry() {
    both(|side| {
        let mut desk = Desk::new(side);
        let [stop, near, far, entry] = [desk.id(), desk.id(), desk.id(), desk.id()];
        let legs = [
            desk.exit(stop, 10, None, Some(95.0)),
            desk.exit(near, 5, Some(105.0), None),
            desk.exit(far, 5, Some(110.0), None),
        ];
        for leg in legs {
            assert_eq!(desk.take(Leg { parent: entry, ..leg }.input()), NOTHING);
        }
        let at = desk.mirror(100.0);
        desk.take(plain(entry, ES, side, 10, Some(at)));
        // Six are entered: the second target gets what the first leaves.
        assert_eq!(desk.fill(entry, 6, 100.0), ["2 leave 5 limit 105", "3 leave 1 limit 110"]);
        desk.accept(near);
        desk.accept(far);
        assert_eq!(desk.fill(entry, 4, 100.0), ["replace 3 5"]);
        desk.replaced(far);
        assert_eq!(desk.order(stop).leaves_qty(), Qty(10));
        assert_eq!(desk.fill(near, 5, 105.0), NOTHING);
        assert_eq!((desk.order(stop).leaves_qty(), desk.order(far).leaves_qty()), (Qty(5), Qty(5)));
        assert_eq!(desk.mark(95.0), ["cancel 3"]);
        assert_eq!(desk.cancelled(far), ["1 leave 5 market"]);
        desk.fill(stop, 5, 95.0);
        assert_eq!(desk.held(), 0);
        desk.done();
    });
}

#[test]
fn exits_shrink_with_a_position_that_somebody_else_leaves() {
    both(|side| {
        let mut desk = Desk::new(side);
        let [stop, target, entry] = desk.bracket(10);
        desk.fill(entry, 10, 100.0);
        desk.accept(target);
        let (other, leave) = (desk.id(), desk.leave());
        desk.take(plain(other, ES, leave, 4, None));
        assert_eq!(desk.fill(other, 4, 101.0), ["replace 2 6"]);
        desk.replaced(target);
        assert_eq!(
            (desk.order(stop).leaves_qty(), desk.order(target).leaves_qty()),
            (Qty(6), Qty(6))
        );
        let last = desk.id();
        desk.take(plain(last, ES, leave, 6, None));
        // Nothing is held any more: the exits go, at the venue and here.
        assert_eq!(desk.fill(last, 6, 101.0), ["cancel 2"]);
        assert!(desk.is(stop, OrderState::Cancelled));
        desk.cancelled(target);
        desk.done();
    });
}

#[test]
fn an_exit_leaves_what_its_own_entry_has_entered() {
    both(|side| {
        let mut desk = Desk::new(side);
        // Ten more are held that are none of its business.
        let (other, _) = desk.enter(10, 100.0);
        desk.fill(other, 10, 100.0);
        let [stop, near, entry] = [desk.id(), desk.id(), desk.id()];
        let legs = [desk.exit(stop, 10, None, Some(95.0)), desk.exit(near, 6, Some(105.0), None)];
        for leg in legs {
            // An exit of its parent is one, whether it says so or not.
            desk.take(Leg { parent: entry, flags: Flags::default(), ..leg }.input());
        }
        let at = desk.mirror(100.0);
        desk.take(plain(entry, ES, side, 10, Some(at)));
        assert!([stop, near].iter().all(|id| desk.order(*id).flags.has(Flags::REDUCE_ONLY)));
        assert_eq!(desk.fill(entry, 8, 100.0), ["3 leave 6 limit 105"]);
        desk.accept(near);
        assert_eq!(desk.order(stop).leaves_qty(), Qty(8));
        assert_eq!(desk.fill(near, 5, 105.0), NOTHING);
        assert_eq!((desk.order(stop).leaves_qty(), desk.held()), (Qty(3), 13));
        assert_eq!(desk.mark(95.0), ["cancel 4", "cancel 3"]);
        assert_eq!(desk.cancelled(near), ["2 leave 3 market"]);
    });
}

#[test]
fn exits_of_several_entries_share_a_position_that_shrinks() {
    both(|side| {
        let open = |lots: [i64; 2]| {
            let mut desk = Desk::new(side);
            for qty in lots {
                let [_, target, entry] = desk.bracket(qty);
                desk.fill(entry, qty, 100.0);
                desk.accept(target);
            }
            desk
        };
        let leave = |desk: &mut Desk, qty| {
            let (id, leave) = (desk.id(), desk.leave());
            desk.take(plain(id, ES, leave, qty, None));
            desk.fill(id, qty, 100.0)
        };
        // Five are left: the first target makes room, the second has enough.
        let mut desk = open([6, 4]);
        assert_eq!(leave(&mut desk, 5), ["replace 2 1"]);
        // Two are left: the first goes, and the second does not go with it.
        let mut desk = open([6, 4]);
        assert_eq!(leave(&mut desk, 8), ["cancel 2", "replace 5 2"]);
    });
}

#[test]
fn an_exit_goes_when_there_is_room_for_it() {
    both(|side| {
        let mut desk = Desk::new(side);
        let (entry, _) = desk.enter(10, 100.0);
        desk.fill(entry, 10, 100.0);
        let (other, leave, at) = (desk.id(), desk.leave(), desk.mirror(120.0));
        desk.take(plain(other, ES, leave, 10, Some(at)));
        desk.accept(other);
        let target = desk.id();
        let leg = desk.exit(target, 10, Some(110.0), None);
        assert_eq!(desk.take(leg.input()), NOTHING);
        desk.cancel(other);
        assert_eq!(desk.cancelled(other), ["3 leave 10 limit 110"]);
    });
}

#[test]
fn what_an_exit_rests_on_is_not_retired() {
    both(|side| {
        let capacity = Capacity { orders: 6, ..settings().capacity };
        let mut desk = Desk::with(side, Settings { capacity, ..settings() });
        let [stop, target, entry] = desk.bracket(10);
        desk.fill(entry, 10, 100.0);
        desk.accept(target);
        for _ in 0..20 {
            let (other, _) = desk.enter(1, 90.0);
            desk.report(other, StatusKind::Rejected);
        }
        desk.take(Input::DayRoll {});
        assert!(desk.is(entry, OrderState::Filled));
        assert_eq!(desk.fill(target, 4, 110.0), NOTHING);
        assert_eq!(desk.order(stop).leaves_qty(), Qty(6));
        desk.fill(target, 6, 110.0);
        desk.done();
        // Nothing rests on them now.
        desk.take(Input::DayRoll {});
        assert_eq!(desk.state().orders().len(), 0);
    });
}

// One cancels the other.

#[test]
fn what_one_sibling_trades_is_taken_from_the_other() {
    both(|side| {
        // Two ways to enter: a limit that is there already, and one that comes.
        let mut desk = Desk::new(side);
        let (low, _) = desk.enter(10, 95.0);
        desk.accept(low);
        let high = desk.id();
        let leg = desk.exit(high, 10, Some(96.0), None);
        let leg = Leg { side, flags: Flags::default(), sibling: low, ..leg };
        assert_eq!(desk.take(leg.input()), ["2 enter 10 limit 96"]);
        desk.accept(high);
        assert_eq!(desk.fill(high, 3, 96.0), ["replace 1 7"]);
        assert_eq!(desk.replaced(low), NOTHING);
        assert_eq!(desk.fill(low, 2, 95.0), ["replace 2 8"]);
        // The first trades on while the second is being changed.
        assert_eq!(desk.fill(low, 1, 95.0), NOTHING);
        assert_eq!(desk.replaced(high), ["replace 2 7"]);
        assert_eq!(desk.replaced(high), NOTHING);
        assert_eq!(desk.fill(high, 4, 96.0), ["cancel 1"]);
        assert!(desk.is(high, OrderState::Filled));
        assert_eq!(desk.held(), 10);
        desk.cancelled(low);
        desk.done();
    });
}

#[test]
fn a_stop_entry_waits_for_the_limit_beside_it_to_be_cancelled() {
    both(|side| {
        let mut desk = Desk::new(side);
        // The stop comes first and names what is to come.
        let (stop, limit) = (desk.id(), desk.id());
        let leg = desk.exit(stop, 10, None, Some(105.0));
        let leg = Leg { side, flags: Flags::default(), sibling: limit, ..leg };
        assert_eq!(desk.take(leg.input()), NOTHING);
        let at = desk.mirror(95.0);
        assert_eq!(desk.take(plain(limit, ES, side, 10, Some(at))), ["2 enter 10 limit 95"]);
        desk.accept(limit);
        assert_eq!(desk.fill(limit, 2, 95.0), NOTHING);
        assert_eq!(desk.order(stop).leaves_qty(), Qty(8));
        assert_eq!(desk.mark(104.75), NOTHING);
        assert_eq!(desk.mark(106.0), ["cancel 2"]);
        assert_eq!(desk.fill(limit, 3, 95.0), NOTHING);
        assert_eq!(desk.cancelled(limit), ["1 enter 5 market"]);
        desk.fill(stop, 5, 106.0);
        assert_eq!(desk.held(), 10);
        desk.done();
    });
}

#[test]
fn of_two_stops_the_first_to_be_triggered_goes() {
    both(|side| {
        // A breakout either way.
        let mut desk = Desk::new(side);
        let (up, down) = (desk.id(), desk.id());
        let leg = desk.exit(up, 4, None, Some(105.0));
        desk.take(Leg { side, flags: Flags::default(), sibling: down, ..leg }.input());
        let leg = desk.exit(down, 4, None, Some(95.0));
        desk.take(Leg { flags: Flags::default(), sibling: up, ..leg }.input());
        assert_eq!(desk.mark(105.0), ["1 enter 4 market"]);
        // It turns before the first has traded: the second waits for what becomes of it.
        assert_eq!(desk.mark(94.0), NOTHING);
        assert!(desk.order(down).flags.has(Flags::TRIGGERED));
        assert_eq!(desk.fill(up, 4, 105.0), NOTHING);
        assert!(desk.is(down, OrderState::Cancelled));
        desk.done();

        // The first is turned down by the venue: the second goes.
        let mut desk = Desk::new(side);
        let (up, down) = (desk.id(), desk.id());
        let leg = desk.exit(up, 4, None, Some(105.0));
        desk.take(Leg { side, flags: Flags::default(), sibling: down, ..leg }.input());
        let leg = desk.exit(down, 4, None, Some(95.0));
        desk.take(Leg { flags: Flags::default(), sibling: up, ..leg }.input());
        // One bar reaches both: nobody knows in which order, so the place in the table decides.
        assert_eq!(desk.bar(i64::MAX, [100.0, 106.0, 94.0, 100.0]), ["1 enter 4 market"]);
        assert_eq!(desk.report(up, StatusKind::Rejected), ["2 leave 4 market"]);
        desk.fill(down, 4, 95.0);
        desk.done();
    });
}

#[test]
fn two_exits_of_a_position_that_is_there() {
    both(|side| {
        let mut desk = Desk::new(side);
        let (entry, _) = desk.enter(10, 100.0);
        desk.fill(entry, 10, 100.0);
        let (target, stop) = (desk.id(), desk.id());
        let leg = desk.exit(target, 10, Some(110.0), None);
        assert_eq!(desk.take(Leg { sibling: stop, ..leg }.input()), ["2 leave 10 limit 110"]);
        desk.accept(target);
        let leg = desk.exit(stop, 10, None, Some(95.0));
        assert_eq!(desk.take(Leg { sibling: target, ..leg }.input()), NOTHING);
        desk.fill(target, 6, 110.0);
        assert_eq!(desk.order(stop).leaves_qty(), Qty(4));
        assert_eq!(desk.mark(95.0), ["cancel 2"]);
        assert_eq!(desk.cancelled(target), ["3 leave 4 market"]);
        desk.fill(stop, 4, 95.0);
        assert_eq!(desk.held(), 0);
        desk.done();
    });
}

// One triggers the other.

#[test]
fn an_order_waits_for_its_parent_and_goes_whole() {
    both(|side| {
        let mut desk = Desk::new(side);
        let (parent, _) = desk.enter(10, 100.0);
        // A hedge in another instrument, and more of the same further down.
        let (hedge, more) = (desk.id(), desk.id());
        let leg = desk.exit(hedge, 5, None, None);
        let leg = Leg { instrument: NQ, flags: Flags::default(), parent, ..leg };
        assert_eq!(desk.take(leg.input()), NOTHING);
        let leg = desk.exit(more, 7, Some(90.0), None);
        assert_eq!(
            desk.take(Leg { side, flags: Flags::default(), parent, ..leg }.input()),
            NOTHING
        );
        assert_eq!(desk.accept(parent), NOTHING);
        assert_eq!(desk.fill(parent, 1, 100.0), ["2 leave 5 market", "3 enter 7 limit 90"]);
        assert!(!desk.order(more).flags.has(Flags::REDUCE_ONLY));
        desk.report(parent, StatusKind::Cancelled);
        desk.fill(hedge, 5, 100.0);
        desk.fill(more, 7, 90.0);
        desk.done();
    });
}

#[test]
fn children_of_a_parent_that_never_comes_are_withdrawn() {
    let mut desk = Desk::new(Side::Buy);
    let (stop, missing) = (desk.id(), desk.id());
    let leg = desk.exit(stop, 10, None, Some(95.0));
    desk.take(Leg { parent: missing, ..leg }.input());
    assert!(desk.order(stop).is_held());
    // The feeder goes on without it.
    desk.enter(1, 100.0);
    assert!(desk.is(stop, OrderState::Cancelled));

    // A stranger's trade takes the id.
    let (stop, taken) = (desk.id(), desk.id());
    let leg = desk.exit(stop, 10, None, Some(95.0));
    desk.take(Leg { parent: taken, ..leg }.input());
    let exec = ExecKey::new(0, "stray", taken, Side::Buy);
    desk.take(trade(taken, exec, ES, Side::Buy, (1, Price::ONE)));
    assert!(desk.is(stop, OrderState::Cancelled));
    desk.done();
}

#[test]
fn what_cannot_depend_on_another_is_refused() {
    let mut desk = Desk::new(Side::Buy);
    let (gone, _) = desk.enter(1, 100.0);
    let (id, used) = (ClOrdId::new(0, 20), ClOrdId::new(0, 5));
    let leg = desk.exit(id, 10, None, Some(95.0));
    for (parent, sibling) in [
        (id, ClOrdId::NONE),
        (ClOrdId::NONE, id),
        (gone, gone),
        // It would have come before this one.
        (used, ClOrdId::NONE),
        (ClOrdId::NONE, ClOrdId::new(7, 900)),
        (ClOrdId(u64::MAX), ClOrdId::NONE),
    ] {
        desk.take(Leg { parent, sibling, ..leg }.input());
        assert_eq!(desk.last_refusal(), Some(Code::UnknownOrder), "{parent:?} {sibling:?}");
    }
    assert!(desk.state().order(id).is_none());
}

#[test]
fn what_is_wrong_with_its_terms_is_said_at_once() {
    let trail = |quarters: i64| Some(Price(quarters * Price::ONE.0 / 4));
    type Change = fn(Leg, Option<Price>) -> Leg;
    let cases: [(Code, Option<Price>, Change); 7] = [
        (Code::UnknownSymbol, None, |leg, _| Leg { instrument: InstrumentId(9), ..leg }),
        (Code::BadQty, None, |leg, _| Leg { qty: 0, ..leg }),
        (Code::Overflow, None, |leg, _| Leg { qty: i64::MAX, ..leg }),
        (Code::BadPrice, None, |leg, _| Leg { stop_price: None, ..leg }),
        (Code::BadPrice, trail(-4), |leg, trail| Leg { trail, ..leg }),
        (Code::OffTick, Some(Price(1)), |leg, trail| Leg { trail, ..leg }),
        (Code::BadPrice, trail(4), |leg, trail| Leg {
            ord_type: OrdType::StopLimit,
            price: leg.stop_price,
            trail,
            ..leg
        }),
    ];
    for (code, trail, change) in cases {
        let mut desk = Desk::new(Side::Buy);
        let id = desk.id();
        let leg = desk.exit(id, 10, None, Some(95.0));
        desk.take(change(leg, trail).input());
        let order = desk.order(id);
        assert_eq!((order.state, order.reason), (OrderState::Rejected, Some(code)));
        desk.done();
    }
}

/// Risk would never let it go, and its position would stay without it.
#[test]
fn a_strategy_that_nobody_knows_has_no_held_orders() {
    let mut desk = Desk::new(Side::Buy);
    let id = desk.id();
    let mut input = desk.exit(id, 10, None, Some(95.0)).input();
    if let Input::Contingent { strategy, .. } = &mut input {
        *strategy = 7;
    }
    desk.take(input);
    let order = desk.order(id);
    assert_eq!((order.state, order.reason), (OrderState::Rejected, Some(Code::Capacity)));
    desk.done();
}

// Stops.

#[test]
fn a_trailing_stop_follows_and_never_goes_back() {
    both(|side| {
        let mut desk = Desk::new(side);
        desk.mark(120.0);
        let [stop, target, entry] =
            desk.bracket_with(10, |bracket| bracket.trail(Price(4 * Price::ONE.0)));
        // What was before it had something to do does not count.
        desk.mark(100.0);
        desk.fill(entry, 10, 100.0);
        desk.accept(target);
        let at = |desk: &Desk| desk.order(stop).stop_price;
        assert_eq!(at(&desk), Some(desk.mirror(96.0)));
        for (price, expected) in
            [(99.0, 96.0), (103.0, 99.0), (101.0, 99.0), (104.25, 100.25), (100.5, 100.25)]
        {
            assert_eq!(desk.mark(price), NOTHING, "{price}");
            assert_eq!(at(&desk), Some(desk.mirror(expected)), "{price}");
        }
        assert_eq!(desk.mark(100.25), ["cancel 2"]);
        assert_eq!(desk.cancelled(target), ["1 leave 10 market"]);
        desk.fill(stop, 10, 100.0);
        desk.done();
    });
}

#[test]
fn a_trailing_stop_of_its_own_gets_its_price_from_the_market() {
    both(|side| {
        let mut desk = Desk::new(side);
        let (entry, _) = desk.enter(10, 100.0);
        let stop = desk.id();
        let leg = desk.exit(stop, 10, None, None);
        let trail = Some(Price(2 * Price::ONE.0));
        desk.take(Leg { ord_type: OrdType::Stop, trail, ..leg }.input());
        // Nothing is held, nothing is known: it waits, through a price as well.
        assert!(desk.order(stop).is_held());
        desk.mark(90.0);
        assert_eq!(desk.order(stop).stop_price, None);
        desk.fill(entry, 6, 100.0);
        assert_eq!(desk.order(stop).stop_price, Some(desk.mirror(88.0)));
        desk.mark(101.0);
        assert_eq!(desk.mark(98.75), ["2 leave 6 market"]);
        desk.fill(stop, 6, 98.5);
        desk.report(entry, StatusKind::Cancelled);
        desk.done();
    });
}

#[test]
fn a_bar_triggers_by_what_surely_traded_since() {
    both(|side| {
        let trailing: fn(Bracket) -> Bracket = |bracket| bracket.trail(Price(4 * Price::ONE.0));
        let open = |change| {
            let mut desk = Desk::new(side);
            desk.mark(100.0);
            let [stop, target, entry] = desk.bracket_with(10, change);
            desk.fill(entry, 10, 100.0);
            desk.accept(target);
            (desk, stop)
        };
        // It began before the entry traded: only its close is surely later.
        let (mut desk, _) = open(|bracket| bracket);
        assert_eq!(desk.bar(0, [100.0, 100.0, 90.0, 96.0]), NOTHING);
        assert_eq!(desk.bar(0, [100.0, 100.0, 90.0, 95.0]), ["cancel 2"]);
        // It began after: any of its prices.
        let (mut desk, _) = open(|bracket| bracket);
        let now = desk.ts;
        assert_eq!(desk.bar(now, [100.0, 101.0, 95.25, 96.0]), NOTHING);
        assert_eq!(desk.bar(now, [100.0, 101.0, 95.0, 101.0]), ["cancel 2"]);
        // A trailing stop: the low may have come before the high that it follows.
        let (mut desk, stop) = open(trailing);
        let now = desk.ts;
        assert_eq!(desk.bar(now, [100.0, 103.0, 96.25, 102.0]), NOTHING);
        assert_eq!(desk.order(stop).stop_price, Some(desk.mirror(99.0)));
        // The close has come after it.
        assert_eq!(desk.bar(now, [102.0, 106.0, 101.0, 102.0]), ["cancel 2"]);
        // And a bar whose low was below where the stop stood before.
        let (mut desk, _) = open(trailing);
        let now = desk.ts;
        assert_eq!(desk.bar(now, [100.0, 110.0, 96.0, 110.0]), ["cancel 2"]);
    });
}

#[test]
fn a_quote_alone_triggers_nothing() {
    let mut desk = Desk::new(Side::Buy);
    desk.mark(100.0);
    let [_, target, entry] = desk.bracket(10);
    desk.fill(entry, 10, 100.0);
    desk.accept(target);
    let [price, bid, ask] = [100.0, 80.0, 120.0].map(|price| desk.mirror(price));
    let wide = Input::Mark { instrument: ES, price, bid: Some(bid), ask: Some(ask) };
    assert_eq!(desk.take(wide), NOTHING);
}

#[test]
fn a_stop_limit_goes_out_as_a_limit() {
    both(|side| {
        let mut desk = Desk::new(side);
        let (entry, _) = desk.enter(10, 100.0);
        desk.fill(entry, 10, 100.0);
        let stop = desk.id();
        let leg = desk.exit(stop, 10, Some(94.0), Some(95.0));
        assert_eq!(desk.take(leg.input()), NOTHING);
        assert_eq!(desk.mark(95.0), ["2 leave 10 limit 94"]);
        desk.accept(stop);
        // Partly traded, it keeps what it was for: nobody shares with it.
        assert_eq!(desk.fill(stop, 3, 94.5), NOTHING);
        assert!(desk.order(stop).flags.has(Flags::TRIGGERED));
        desk.fill(stop, 7, 94.0);
        desk.done();
    });
}

#[test]
fn outside_the_sessions_nothing_is_triggered() {
    both(|side| {
        let mut set = settings();
        let session =
            |open, close| OpenInterval { open: Ts(open * SECOND), close: Ts(close * SECOND) };
        set.instruments[0].sessions = Some(vec![session(0, 10), session(20, 30)]);
        let mut desk = Desk::with(side, set);
        let [stop, target, entry] = desk.bracket(10);
        desk.fill(entry, 10, 100.0);
        desk.accept(target);
        desk.ts = 15 * SECOND;
        assert_eq!(desk.mark(90.0), NOTHING);
        assert!(!desk.order(stop).flags.has(Flags::TRIGGERED));
        desk.ts = 20 * SECOND;
        assert_eq!(desk.mark(96.0), NOTHING);
        assert_eq!(desk.mark(94.0), ["cancel 2"]);
    });
}

// Risk, halts, people.

#[test]
fn an_exit_that_risk_does_not_let_go_is_held_and_tried_again() {
    both(|side| {
        let mut set = settings();
        let session =
            |open, close| OpenInterval { open: Ts(open * SECOND), close: Ts(close * SECOND) };
        set.instruments[0].sessions = Some(vec![session(0, 10), session(20, 30)]);
        let mut desk = Desk::with(side, set);
        let [stop, target, entry] = desk.bracket(10);
        // The fill is reported after the close.
        desk.ts = 12 * SECOND;
        assert_eq!(desk.fill(entry, 10, 100.0), NOTHING);
        assert!(desk.order(target).is_held());
        let held_back =
            |event: &Event| matches!(event, Event::HeldBack { reason: Code::MarketClosed, .. });
        assert_eq!(desk.count(held_back), 1);
        // Prices alone are no reason to try more than once a second.
        (0..50).for_each(|_| drop(desk.mark(101.0)));
        assert_eq!(desk.count(held_back), 1);
        desk.ts = 14 * SECOND;
        desk.mark(101.0);
        assert_eq!(desk.count(held_back), 2);
        desk.ts = 20 * SECOND;
        assert_eq!(desk.mark(101.0), ["2 leave 10 limit 110"]);
        assert_eq!(desk.order(stop).leaves_qty(), Qty(10));
    });
}

#[test]
fn an_order_that_is_no_exit_is_turned_down_when_its_time_comes() {
    both(|side| {
        let mut desk = Desk::new(side);
        let stop = desk.id();
        let leg = desk.exit(stop, 10, None, Some(105.0));
        desk.take(Leg { side, flags: Flags::default(), ..leg }.input());
        desk.take(Input::Halt { cancel_working: false });
        assert!(desk.order(stop).is_held());
        assert_eq!(desk.mark(105.0), NOTHING);
        let order = desk.order(stop);
        assert_eq!((order.state, order.reason), (OrderState::Rejected, Some(Code::Halted)));
        desk.done();
    });
}

/// With limits of the account's.
fn limited(limits: Limits) -> Settings {
    let mut settings = settings();
    settings.risk.limits = limits;
    settings
}

#[test]
fn a_stop_goes_as_soon_as_the_entry_is_gone_that_it_would_trade_with() {
    both(|side| {
        let mut set = settings();
        set.risk.self_match = true;
        let mut desk = Desk::with(side, set);
        let [stop, target, entry] = desk.bracket(10);
        desk.fill(entry, 3, 100.0);
        desk.accept(target);
        assert_eq!(desk.mark(95.0), ["cancel 3", "cancel 2"]);
        // The rest of the entry is still at work: a market order could trade with it.
        assert_eq!(desk.cancelled(target), NOTHING);
        let held_back =
            |event: &Event| matches!(event, Event::HeldBack { reason: Code::SelfMatch, .. });
        assert_eq!(desk.count(held_back), 1);
        assert_eq!(desk.cancelled(entry), ["1 leave 3 market"]);
        desk.fill(stop, 3, 95.0);
        desk.done();
    });
}

#[test]
fn an_exit_is_no_duplicate_of_the_exit_beside_it() {
    both(|side| {
        let window = Limits { duplicate_window_ms: Some(Millis(60_000)), ..Limits::OFF };
        let mut desk = Desk::with(side, limited(window));
        for qty in [10, 10] {
            desk.enter(qty, 100.0);
            desk.ts += 60 * SECOND;
        }
        for entry in [1, 2] {
            desk.fill(ClOrdId::new(0, entry), 10, 100.0);
        }
        for _ in 0..2 {
            let id = desk.id();
            let leg = desk.exit(id, 10, None, Some(95.0));
            desk.take(leg.input());
        }
        // They close different lots: that there are two of them is no mistake.
        assert_eq!(desk.mark(95.0), ["3 leave 10 market", "4 leave 10 market"]);
        // An order of somebody that asks for the same is one.
        desk.fill(ClOrdId::new(0, 3), 10, 95.0);
        let id = desk.id();
        let way = desk.leave();
        assert_eq!(desk.take(plain(id, ES, way, 10, None)), NOTHING);
        assert_eq!(desk.order(id).reason, Some(Code::DuplicateOrder));
    });
}

#[test]
fn what_a_rate_holds_back_goes_when_its_second_is_over_whether_a_price_comes_or_not() {
    both(|side| {
        let rate = Limits { max_orders_per_second: Some(Count(1)), ..Limits::OFF };
        let mut desk = Desk::with(side, limited(rate));
        let (entry, _) = desk.enter(10, 100.0);
        desk.fill(entry, 10, 100.0);
        let id = desk.id();
        let leg = desk.exit(id, 10, None, Some(95.0));
        desk.take(leg.input());
        assert_eq!(desk.mark(95.0), NOTHING);
        assert_eq!(desk.count(|event| matches!(event, Event::HeldBack { .. })), 1);
        assert_eq!(desk.take(Input::Timer {}), NOTHING, "within the second");
        desk.ts += SECOND;
        assert_eq!(desk.take(Input::Timer {}), ["2 leave 10 market"]);
        desk.fill(id, 10, 95.0);
        desk.done();
    });
}

#[test]
fn a_stop_that_went_as_a_market_order_counts_at_the_market_whatever_is_asked_of_it() {
    both(|side| {
        let mut desk = Desk::new(side);
        let stop = desk.id();
        let leg = desk.exit(stop, 10, None, Some(105.0));
        desk.take(Leg { side, flags: Flags::default(), ..leg }.input());
        assert_eq!(desk.mark(105.0), ["1 enter 10 market"]);
        desk.accept(stop);
        assert_eq!(desk.resize(stop, 12), ["replace 1 12"]);
        let working = *desk.state().books()[0].exposure.side(side);
        assert_eq!((working.market_qty, working.priced_qty), (Qty(12), Qty(0)));
    });
}

#[test]
fn a_held_order_is_unanswered_from_when_it_was_handed_over() {
    both(|side| {
        let timeout = Limits { answer_timeout_ms: Some(Millis(500)), ..Limits::OFF };
        let mut desk = Desk::with(side, limited(timeout));
        let [_, target, entry] = desk.bracket(10);
        desk.accept(entry);
        desk.ts += 60 * SECOND;
        desk.fill(entry, 10, 100.0);
        let handed_over = Ts(desk.ts);
        let unanswered = |event: &Event| matches!(event, Event::Unanswered { .. });
        desk.mark(100.0);
        assert_eq!(desk.count(unanswered), 0, "it has gone just now");
        desk.ts += SECOND;
        desk.mark(100.0);
        let said = Event::Unanswered { order: target, request: ClOrdId::NONE, since: handed_over };
        assert_eq!(desk.events().filter(unanswered).collect::<Vec<_>>(), [said]);
    });
}

#[test]
fn exits_pass_a_halt() {
    both(|side| {
        let mut desk = Desk::new(side);
        let [stop, target, entry] = desk.bracket(10);
        desk.accept(entry);
        desk.take(Input::Halt { cancel_working: false });
        assert_eq!(desk.fill(entry, 4, 100.0), ["2 leave 4 limit 110"]);
        desk.accept(target);
        assert_eq!(desk.fill(entry, 6, 100.0), ["replace 2 10"]);
        desk.replaced(target);
        assert_eq!(desk.mark(95.0), ["cancel 2"]);
        assert_eq!(desk.cancelled(target), ["1 leave 10 market"]);
        let new =
            desk.out.messages.iter().rev().find_map(|message| {
                if let Message::New(new) = message { Some(*new) } else { None }
            });
        assert!(new.is_some_and(|new| new.shrink_only), "the broker's gate would hold it back");
        desk.fill(stop, 10, 95.0);
        desk.done();
    });
}

#[test]
fn cancel_all_and_the_kill_switch_withdraw_what_is_held() {
    both(|side| {
        for input in [Input::CancelAll {}, Input::Halt { cancel_working: true }] {
            let mut desk = Desk::new(side);
            let [stop, target, entry] = desk.bracket(10);
            desk.fill(entry, 4, 100.0);
            desk.accept(target);
            let mut sent = desk.take(input);
            sent.sort();
            assert_eq!(sent, ["cancel 2", "cancel 3"]);
            assert!(desk.is(stop, OrderState::Cancelled));
            assert_eq!(desk.order(stop).reason, Some(Code::Operator));
            desk.cancelled(target);
            desk.cancelled(entry);
            desk.done();
        }
    });
}

#[test]
fn a_held_order_is_cancelled_and_amended_at_once() {
    both(|side| {
        let mut desk = Desk::new(side);
        let [stop, target, entry] = desk.bracket(10);
        desk.fill(entry, 10, 100.0);
        desk.accept(target);
        let (id, stop_price) = (desk.id(), Some(desk.mirror(97.0)));
        let (order, qty, price, defect) = (stop, None, None, None);
        assert_eq!(
            desk.take(Input::Replace { id, order, qty, price, stop_price, defect }),
            NOTHING
        );
        assert_eq!(desk.order(stop).stop_price, stop_price);
        // The same again changes nothing; a used id is a used id.
        let again = desk.id();
        desk.take(Input::Replace { id: again, order, qty, price, stop_price, defect });
        assert_eq!(desk.last_refusal(), Some(Code::NoChange));
        desk.take(Input::Cancel { id, order: stop });
        assert_eq!(desk.last_refusal(), Some(Code::DuplicateId));
        // A stop has no limit price, and none off tick.
        for (price, stop_price, code) in
            [(stop_price, None, Code::BadPrice), (None, Some(Price(1)), Code::OffTick)]
        {
            let id = desk.id();
            desk.take(Input::Replace { id, order, qty, price, stop_price, defect });
            assert_eq!(desk.last_refusal(), Some(code));
        }
        assert_eq!(desk.cancel(stop), NOTHING);
        assert!(desk.is(stop, OrderState::Cancelled));
        assert_eq!(desk.mark(90.0), NOTHING);
        assert_eq!(desk.fill(target, 10, 110.0), NOTHING);
        desk.done();
    });
}

#[test]
fn a_stop_that_is_moved_through_the_market_goes() {
    both(|side| {
        let mut desk = Desk::new(side);
        desk.mark(100.0);
        let [stop, target, entry] = desk.bracket(10);
        desk.fill(entry, 10, 100.0);
        desk.accept(target);
        let (id, stop_price) = (desk.id(), Some(desk.mirror(101.0)));
        let (order, qty, price, defect) = (stop, None, None, None);
        let moved = Input::Replace { id, order, qty, price, stop_price, defect };
        assert_eq!(desk.take(moved), ["cancel 2"]);
        // Triggered, it cannot be moved back.
        let (id, stop_price) = (desk.id(), Some(desk.mirror(90.0)));
        desk.take(Input::Replace { id, order, qty, price, stop_price, defect });
        assert_eq!(desk.last_refusal(), Some(Code::IllegalTransition));
        assert_eq!(desk.cancelled(target), ["1 leave 10 market"]);
    });
}

#[test]
fn a_venue_that_reports_on_a_held_order_is_refused() {
    let mut desk = Desk::new(Side::Buy);
    let [stop, _, _] = desk.bracket(10);
    for kind in StatusKind::ALL {
        let before = desk.order(stop).clone();
        desk.report(stop, kind);
        assert_eq!(desk.order(stop), &before, "{kind:?}");
    }
    desk.take(Input::Restated { order: stop, qty: Some(Qty(3)) });
    assert_eq!(desk.last_refusal(), Some(Code::IllegalTransition));
    assert!(desk.order(stop).is_held());
    // A trade is money all the same, and the stop is for less.
    desk.fill(stop, 1, 95.0);
    assert_eq!((desk.held(), desk.order(stop).cum_qty), (-1, Qty(1)));
    assert!(desk.order(stop).is_held());
}

#[test]
fn held_orders_of_the_day_end_with_it() {
    both(|side| {
        for rolls in [true, false] {
            let mut desk = Desk::with(side, Settings { day_roll_ends_orders: rolls, ..settings() });
            let (day, gtc) = (desk.id(), desk.id());
            let leg = desk.exit(day, 10, None, Some(95.0));
            desk.take(Leg { tif: Tif::Day, ..leg }.input());
            let leg = desk.exit(gtc, 10, None, Some(95.0));
            desk.take(leg.input());
            desk.take(Input::DayRoll {});
            let state = if rolls { OrderState::Expired } else { OrderState::Created };
            assert!(desk.state().order(day).is_none_or(|order| order.state == state));
            assert!(desk.order(gtc).is_held());
        }
    });
}

#[test]
fn a_held_order_ends_at_its_time() {
    both(|side| {
        let mut desk = Desk::new(side);
        let (entry, _) = desk.enter(10, 100.0);
        desk.fill(entry, 10, 100.0);
        let id = desk.id();
        let end = Ts(5 * SECOND);
        let leg = Leg { tif: Tif::Gtd, ..desk.exit(id, 10, None, Some(95.0)) }.input();
        desk.take(with_end(leg, end));
        desk.mark(100.0);
        assert!(desk.order(id).is_held());
        desk.ts = end.0;
        // The price that comes too late is through the stop as well.
        assert_eq!(desk.mark(95.0), NOTHING);
        assert!(desk.is(id, OrderState::Expired));
        desk.done();
    });
}

fn with_end(mut input: Input, end: Ts) -> Input {
    if let Input::Contingent { expire_at, .. } = &mut input {
        *expire_at = Some(end);
    }
    input
}

// Venues as they are.

#[test]
fn a_silent_venue_is_asked_once() {
    both(|side| {
        let mut desk = Desk::new(side);
        let [stop, _, entry] = desk.bracket(10);
        assert_eq!(desk.fill(entry, 4, 100.0), ["2 leave 4 limit 110"]);
        // Not even acknowledged: more is not asked for, less (all of it gone) is.
        assert_eq!(desk.fill(entry, 6, 100.0), NOTHING);
        assert_eq!(desk.mark(95.0), ["cancel 2"]);
        for _ in 0..100 {
            desk.ts += SECOND;
            assert_eq!(desk.mark(90.0), NOTHING);
        }
        assert!(desk.order(stop).is_held());
        assert_eq!(desk.held(), 10);
    });
}

#[test]
fn a_cancel_that_is_turned_down_is_asked_again_when_something_happens() {
    both(|side| {
        let mut desk = Desk::new(side);
        let [stop, target, entry] = desk.bracket(10);
        desk.fill(entry, 10, 100.0);
        desk.accept(target);
        assert_eq!(desk.mark(95.0), ["cancel 2"]);
        let kind = StatusKind::CancelRejected;
        assert_eq!(desk.report(target, kind), NOTHING);
        assert_eq!(desk.mark(94.0), NOTHING);
        desk.ts += SECOND;
        assert_eq!(desk.mark(94.0), ["cancel 2"]);
        assert_eq!(desk.report(target, kind), NOTHING);
        // A trade is something, too.
        assert_eq!(desk.fill(target, 1, 110.0), ["cancel 2"]);
        assert_eq!(desk.cancelled(target), ["1 leave 9 market"]);
        desk.fill(stop, 9, 94.0);
        desk.done();
    });
}

#[test]
fn a_venue_that_makes_something_else_of_a_replace_is_not_argued_with() {
    let mut desk = Desk::new(Side::Buy);
    let [_, target, entry] = desk.bracket(10);
    desk.fill(entry, 4, 100.0);
    desk.accept(target);
    assert_eq!(desk.fill(entry, 6, 100.0), ["replace 2 10"]);
    let (order, request) = (target, desk.requests[&target]);
    let (qty, price, stop_price) = (Some(Qty(5)), None, None);
    let sent = desk.take(Input::Replaced { order, request, qty, price, stop_price });
    assert_eq!(sent, NOTHING);
    assert_eq!(desk.order(target).order_qty, Qty(5));
}

/// Exits at the first price through their stops, one lot each.
fn with_exits(count: usize, orders: usize) -> Desk {
    let capacity = Capacity { orders, ..settings().capacity };
    let mut desk = Desk::with(Side::Buy, Settings { capacity, ..settings() });
    for _ in 0..count {
        let id = desk.id();
        let leg = desk.exit(id, 1, None, Some(95.0));
        desk.take(leg.input());
    }
    desk
}

#[test]
fn a_full_table_turns_the_next_one_down() {
    let mut desk = with_exits(CONTINGENTS_MAX, CONTINGENTS_MAX + 8);
    let id = desk.id();
    let leg = desk.exit(id, 1, None, Some(95.0));
    desk.take(leg.input());
    assert_eq!(desk.order(id).reason, Some(Code::Capacity));
    assert_eq!(desk.cancel(ClOrdId::new(0, 1)), NOTHING);
    let id = desk.id();
    desk.take(Leg { id, ..leg }.input());
    assert!(desk.order(id).is_held());
}

#[test]
fn many_that_are_triggered_at_once_go_in_bounded_turns() {
    let mut desk = with_exits(150, 200);
    let (entry, _) = desk.enter(100, 100.0);
    desk.fill(entry, 100, 100.0);
    let price = Price::ONE;
    let mark = Input::Mark { instrument: ES, price, bid: None, ask: None };
    desk.engine.step(Ts(desk.ts), 0, &mark, &mut desk.out);
    let (before, mut turns) = (desk.out.messages.len(), 0);
    while desk.state().sweeps().any() {
        let slots = desk.out.slots.len();
        desk.engine.step(Ts(desk.ts), 0, &Input::Continue {}, &mut desk.out);
        assert!(desk.out.slots.len() - slots <= SLOTS_PER_INPUT_MAX);
        turns += 1;
    }
    // One for each lot that is held, and none for the others.
    assert_eq!(desk.out.messages.len() - before, 100);
    assert!((5..30).contains(&turns), "{turns} turns");
}

// A venue that does what venues do: late, in parts, across what it is asked, and sometimes not at
// all. It never says what is not so.

#[derive(Clone, Copy)]
struct Resting {
    new: NewOrder,
    open: i64,
}

struct Venue {
    random: Random,
    inbox: VecDeque<Message>,
    orders: BTreeMap<ClOrdId, Resting>,
    reports: VecDeque<Input>,
    /// What it has really traded, signed, by instrument.
    held: [i64; 2],
    price: Price,
    executions: u64,
    /// It turns orders and requests down.
    moody: bool,
}

impl Venue {
    fn status(&mut self, order: ClOrdId, kind: StatusKind, request: ClOrdId) {
        self.reports.push_back(Input::Status { order, kind, request });
    }

    fn trade(&mut self, id: ClOrdId, qty: i64) {
        let Some(resting) = self.orders.get_mut(&id) else { return };
        resting.open -= qty;
        let NewOrder { instrument, side, .. } = resting.new;
        if resting.open == 0 {
            self.orders.remove(&id);
        }
        self.held[instrument.index()] += qty * side.sign();
        self.executions += 1;
        let exec = ExecKey::new(0, &self.executions.to_string(), id, side);
        self.reports.push_back(trade(id, exec, instrument, side, (qty, self.price)));
    }

    /// Some of what rests trades.
    fn trade_some(&mut self) {
        let resting: Vec<(ClOrdId, i64)> =
            self.orders.iter().map(|(id, resting)| (*id, resting.open)).collect();
        if !resting.is_empty() {
            let (id, open) = self.random.pick(&resting);
            let qty = 1 + self.random.range(open);
            self.trade(id, qty);
        }
    }

    /// Works off the oldest message.
    fn work(&mut self) {
        let Some(message) = self.inbox.pop_front() else { return };
        let moody = self.moody && self.random.below(4) == 0;
        match message {
            Message::New(new) if moody && new.ord_type == OrdType::Limit => {
                self.status(new.order, StatusKind::Rejected, ClOrdId::NONE);
            }
            Message::New(new) => {
                self.orders.insert(new.order, Resting { new, open: new.qty.0 });
                if self.random.below(3) > 0 {
                    self.status(new.order, StatusKind::Accepted, ClOrdId::NONE);
                }
                if new.ord_type == OrdType::Market {
                    let first = 1 + self.random.range(new.qty.0);
                    self.trade(new.order, first);
                }
            }
            Message::Cancel { order, request, .. } => {
                if moody || !self.orders.contains_key(&order) {
                    return self.status(order, StatusKind::CancelRejected, request);
                }
                self.orders.remove(&order);
                self.status(order, StatusKind::Cancelled, request);
            }
            Message::Replace { order, request, qty, .. } => {
                // The engine's total is the order's; what has traded counts.
                let Some(resting) = self.orders.get_mut(&order).filter(|_| !moody) else {
                    return self.status(order, StatusKind::ReplaceRejected, request);
                };
                let traded = resting.new.qty.0 - resting.open;
                resting.open = (qty.0 - traded).max(0);
                resting.new.qty = Qty(qty.0.max(traded));
                if resting.open == 0 {
                    self.orders.remove(&order);
                }
                let (qty, price, stop_price) = (None, None, None);
                self.reports.push_back(Input::Replaced { order, request, qty, price, stop_price });
            }
            Message::Mark { .. } | Message::Bar { .. } | Message::DayRoll | Message::Time => {}
        }
    }
}

/// In half of the runs with every control that can hold an exit back for a while.
fn controlled(random: &mut Random) -> Settings {
    let mut settings = settings();
    if random.below(2) == 0 {
        return settings;
    }
    let rate = |random: &mut Random, least| Some(Count(least + u32::from(random.below(2) == 0)));
    settings.risk.self_match = true;
    settings.risk.limits = Limits {
        duplicate_window_ms: Some(Millis(300)),
        max_orders_per_second: rate(random, 4),
        max_messages_per_second: rate(random, 8),
        ..Limits::OFF
    };
    settings.account.cost_method = random.pick(&[CostMethod::Average, CostMethod::Fifo]);
    settings
}

/// Brackets long in one instrument and short in the other, at a venue of moods, with somebody who
/// meddles in some runs.
struct Storm {
    desk: Desk,
    venue: Venue,
    random: Random,
    meddles: bool,
    brackets: Vec<[ClOrdId; 3]>,
    level: i64,
    sent: usize,
    /// Lots that an entry traded when its stop had been let go: nothing can protect them.
    late: [i64; 2],
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let capacity = Capacity { orders: 400, ..settings().capacity };
        let desk = Desk::with(Side::Buy, Settings { capacity, ..controlled(&mut random) });
        let venue = Venue {
            random: Random::new(random.next()),
            inbox: VecDeque::new(),
            orders: BTreeMap::new(),
            reports: VecDeque::new(),
            held: [0; 2],
            price: Price(100 * Price::ONE.0),
            executions: 0,
            moody: true,
        };
        let meddles = random.below(2) == 0;
        let (brackets, level, sent, late) = (Vec::new(), 400, 0, [0; 2]);
        Self { desk, venue, random, meddles, brackets, level, sent, late }
    }

    /// What must hold after every input, whatever the venue does.
    fn take(&mut self, input: Input) {
        self.note_late(&input);
        self.desk.take(input);
        let messages = self.desk.out.messages[self.sent..].to_vec();
        self.sent = self.desk.out.messages.len();
        // No storm: one message for each exit, and one for its entry, at the most.
        let state = self.desk.engine.state();
        let most = 1 + 2 * state.orders().iter().filter(|o| !o.state.is_final()).count();
        assert!(messages.len() <= most, "{input:?}: {messages:?}");
        self.venue.inbox.extend(messages);
        for (instrument, side) in [(ES, Side::Buy), (NQ, Side::Sell)] {
            let book = state.book(instrument).expect("both are there");
            let held = book.position.qty.0 * side.sign();
            let working = book.exposure.side(side.opposite()).qty().0;
            assert!(held >= 0, "{input:?}: exits took the position through zero");
            assert!(working <= held, "{input:?}: exits for {working} of {held}");
            // What is held here is for no more than that, either.
            let mine = |order: &&Order| order.instrument == instrument && order.side != side;
            for order in state.orders().iter().filter(mine) {
                let active =
                    state.contingents().get(order.id).is_some_and(|(_, e)| e.since.is_some());
                assert!(!active || order.leaves_qty().0 <= held, "{order:?}");
            }
            assert!(self.venue.held[instrument.index()] * side.sign() >= 0);
        }
    }

    fn note_late(&mut self, input: &Input) {
        let Input::Trade { order, qty, instrument, .. } = *input else { return };
        for [stop, _, entry] in &self.brackets {
            let gone = self.desk.state().order(*stop).is_none_or(|stop| !stop.is_held());
            if *entry == order && gone {
                self.late[instrument.index()] += qty.0;
            }
        }
    }

    fn mark(&mut self, level: i64) {
        self.level = level;
        for (instrument, level) in [(ES, level), (NQ, 800 - level)] {
            let price = Price(level * Price::ONE.0 / 4);
            self.venue.price = price;
            self.take(Input::Mark { instrument, price, bid: None, ask: None });
        }
    }

    fn open(&mut self) {
        let (instrument, side) = self.random.pick(&[(ES, Side::Buy), (NQ, Side::Sell)]);
        let level = if side == Side::Buy { self.level } else { 800 - self.level };
        let at = |offset: i64| Price((level + offset * side.sign()) * Price::ONE.0 / 4);
        let (loss, gain) = (1 + self.random.range(12), 1 + self.random.range(12));
        let qty = Qty(1 + self.random.range(12));
        let mut bracket = Bracket::new(instrument, side, qty, at(-loss), at(gain));
        bracket.entry = if self.random.below(3) > 0 { Some(at(0)) } else { None };
        bracket.trail = (self.random.below(3) == 0).then(|| Price(loss * Price::ONE.0 / 4));
        let ids = [self.desk.id(), self.desk.id(), self.desk.id()];
        self.brackets.push(ids);
        for input in bracket.inputs(ids) {
            self.take(input);
        }
    }

    fn meddle(&mut self) {
        let (id, all) = (self.desk.id(), self.brackets.concat());
        let order = if all.is_empty() { id } else { self.random.pick(&all) };
        let (price, stop_price, defect) = (None, None, None);
        let qty = Some(Qty(1 + self.random.range(12)));
        let instrument = self.random.pick(&[ES, NQ]);
        let input = match self.random.below(8) {
            0 | 1 => Input::Cancel { id, order },
            2 | 3 => Input::Replace { id, order, qty, price, stop_price, defect },
            4 => Input::ClosePosition { id, instrument },
            5 => Input::Halt { cancel_working: self.random.below(3) == 0 },
            6 => Input::Resume {},
            _ => Input::DayRoll {},
        };
        self.take(input);
    }

    fn step(&mut self) {
        match self.random.below(12) {
            0 => self.open(),
            1 | 2 => {
                let moved = self.random.range(9) - 4;
                self.mark((self.level + moved).clamp(300, 500));
            }
            3 => self.venue.trade_some(),
            4..=6 => self.venue.work(),
            7 if self.meddles => self.meddle(),
            _ => drop(self.report()),
        }
    }

    fn report(&mut self) -> bool {
        let report = self.venue.reports.pop_front();
        report.is_some_and(|report| {
            self.take(report);
            true
        })
    }

    /// Everything that is on its way arrives.
    fn settle(&mut self) {
        while !self.venue.inbox.is_empty() || self.report() {
            self.venue.work();
        }
    }

    /// Prices run through every stop, long and short, and the venue does its best: in the end
    /// nothing is held that a stop was there for.
    fn finish(&mut self) {
        self.venue.moody = false;
        self.settle();
        for [_, _, order] in self.brackets.clone() {
            let id = self.desk.id();
            self.take(Input::Cancel { id, order });
        }
        self.settle();
        for _ in 0..30 {
            self.desk.ts += 2 * SECOND;
            self.mark(4);
            self.settle();
            let markets: Vec<(ClOrdId, i64)> = self
                .venue
                .orders
                .iter()
                .filter(|(_, resting)| resting.new.ord_type == OrdType::Market)
                .map(|(id, resting)| (*id, resting.open))
                .collect();
            markets.into_iter().for_each(|(id, open)| self.venue.trade(id, open));
            self.settle();
        }
        for (instrument, side) in [(ES, Side::Buy), (NQ, Side::Sell)] {
            let at = instrument.index();
            let held = self.desk.state().books()[at].position.qty.0;
            assert_eq!(held, self.venue.held[at], "the engine and the venue agree");
            if !self.meddles {
                assert!(held * side.sign() <= self.late[at], "{held} of {:?} left", self.late);
            }
        }
        // A target may rest on for what was entered late.
        if !self.meddles && self.late == [0; 2] {
            self.desk.done();
        }
    }
}

#[test]
fn random_brackets_never_overshoot_and_leave_nothing_unprotected() {
    let (mut protected, mut held_back) = (0, 0);
    for seed in runs(if cfg!(debug_assertions) { 60 } else { 1_000 }) {
        println!("SEED={seed} RUNS=1 cargo test --test contingent_orders random");
        let mut storm = Storm::new(seed);
        (0..400).for_each(|_| storm.step());
        storm.finish();
        protected += storm.desk.count(|event| matches!(event, Event::Triggered { .. }));
        held_back += storm.desk.count(|event| matches!(event, Event::HeldBack { .. }));
    }
    // Stops were triggered, and controls kept exits waiting: that the sample is large enough is
    // part of the test.
    let sampled = ["SEED", "RUNS"].iter().all(|name| std::env::var_os(name).is_none());
    assert!(!sampled || (protected > 400 && held_back > 200), "{protected} {held_back}");
}
