//! The kill switch, with each of the other threads stuck: duty cycles single-stepped on one thread,
//! where "stuck" means that one does not turn; and once the real threads. Nothing here depends on
//! timing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use trade_engine::broker::{Broker, Message, Reports};
use trade_engine::code::Code;
use trade_engine::codec::Slot;
use trade_engine::config::{Pace, Release};
use trade_engine::engine::Engine;
use trade_engine::event::{Body, Event, Record};
use trade_engine::input::{ExecKey, Input, StatusKind, Subject};
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::journal::{Journal, JournalOptions, LogReader};
use trade_engine::limits::{
    CHECKPOINT_INTERVAL_SLOTS_MIN, EVENT_RING_SLOTS, ORDERS_MAX, REASON_BYTES_MAX,
    event_ring_slots_min,
};
use trade_engine::order::{ClOrdId, Flags, OrdType, Order, OrderState, RequestKind, Tif};
use trade_engine::replay::{Redecide, Replay};
use trade_engine::runtime::{
    Agent, BrokerEnds, BrokerLoop, Clock, Control, ControlError, Feed, Feedback, GatewayPlan,
    HotEnds, HotLoop, Inbound, Outcome, Parts, RuntimeSettings, Tick, ToBroker, ToEngine, Turn,
    start,
};
use trade_engine::settings::{Capacity, Settings};
use trade_engine::strategy::{Bar, Positions, Signal, Strategy};
use trade_engine::units::{Money, Price, Qty, Side, Ts};

const ES: InstrumentId = InstrumentId(0);
/// Room for messages beside what a kill needs.
const RING: usize = 128;
/// Messages that one input may send, and a barrier.
const MESSAGES_PER_INPUT: usize = 35;

/// What a venue was told, in order.
type Told = Arc<Mutex<Vec<Message>>>;

/// A venue that takes every order and every cancel, and fills what it is told to.
struct Venue {
    told: Told,
    executions: u64,
}

impl Broker for Venue {
    fn on_message(&mut self, ts: Ts, message: &Message, reports: &mut Reports) {
        self.told.lock().expect("no panic").push(*message);
        match *message {
            Message::Mark { .. }
            | Message::Bar { .. }
            | Message::Replace { .. }
            | Message::DayRoll
            | Message::Time => {}
            Message::New(new) => {
                let (order, side) = (new.order, new.side);
                reports.status(ts, order, StatusKind::Accepted, ClOrdId::NONE);
                if new.ord_type != OrdType::Market {
                    return;
                }
                self.executions += 1;
                let exec = ExecKey::new(0, &self.executions.to_string(), order, side);
                let (qty, price, commission) = (new.qty, Price::ONE, Money::ZERO);
                let (instrument, venue_says_filled, defect) = (ES, true, None);
                let trade = Input::Trade {
                    order,
                    exec,
                    qty,
                    price,
                    commission,
                    instrument,
                    side,
                    venue_says_filled,
                    defect,
                };
                reports.push(ts, trade);
            }
            Message::Cancel { order, request, .. } => {
                reports.status(ts, order, StatusKind::Cancelled, request);
            }
        }
    }
}

fn settings(orders: usize) -> Settings {
    let instrument = Instrument::plain("ES", Price::ONE, Price::ONE.0, Price::ONE.0);
    let mut capacity = Capacity { orders, executions: 4_096, ..Capacity::default() };
    if orders <= 1_000 {
        // As often as can be: the most records that a kill can need. Each hashes all orders.
        capacity.checkpoint_interval_slots = CHECKPOINT_INTERVAL_SLOTS_MIN;
    }
    Settings { capacity, ..Settings::new(Money::ZERO, vec![instrument]) }
}

/// Engine and broker between rings whose other ends the test holds: it is gateway and journal.
struct Stage {
    hot_loop: HotLoop,
    broker_loop: BrokerLoop,
    control: Control,
    inputs: rtrb::Producer<Inbound>,
    records: rtrb::Consumer<Slot>,
    feedback: rtrb::Consumer<Feedback>,
    told: Told,
    log: Vec<Slot>,
    next_id: u64,
}

impl Stage {
    /// Rings that are just large enough for so many orders.
    fn new(orders: usize) -> Self {
        let (inputs, inputs_out) = rtrb::RingBuffer::new(65_536);
        let (reports, reports_out) = rtrb::RingBuffer::new(RING);
        let (records_in, records) = rtrb::RingBuffer::new(event_ring_slots_min(orders));
        let (orders_in, orders_out) =
            rtrb::RingBuffer::<ToBroker>::new(orders + MESSAGES_PER_INPUT + RING);
        let (feedback_in, feedback) = rtrb::RingBuffer::new(RING);
        let (control, commands) = Control::new(Default::default());
        let ends = HotEnds {
            control: commands,
            reports: reports_out,
            inputs: inputs_out,
            records: records_in,
            orders: orders_in,
            feedback: feedback_in,
        };
        let (shared, clock) = (control.shared().clone(), Clock::new());
        let mut engine = Engine::new(settings(orders));
        engine.open_log(Ts(0), "test", "", &mut ());
        let hot_loop = HotLoop::new(engine, ends, shared.clone(), clock.clone());
        let told = Told::default();
        let venue = Venue { told: Arc::clone(&told), executions: 0 };
        let ends = BrokerEnds { orders: orders_out, inbound: reports };
        let broker_loop =
            BrokerLoop::new(Box::new(venue), ends, Release::Written, shared.clone(), clock);
        let (log, next_id) = (Vec::new(), 1);
        Self { hot_loop, broker_loop, control, inputs, records, feedback, told, log, next_id }
    }

    fn push(&mut self, input: Input) {
        let (ts, message) = (Ts(1), ToEngine::Input(input));
        self.inputs.push(Inbound { ts, sent: 0, message }).expect("room");
    }

    fn id(&mut self) -> ClOrdId {
        self.next_id += 1;
        ClOrdId::new(1, self.next_id)
    }

    /// Puts an order on its way to the engine.
    fn order(&mut self, side: Side, ord_type: OrdType, flags: Flags) -> ClOrdId {
        let id = self.id();
        let price = (ord_type == OrdType::Limit).then_some(Price(2 * Price::ONE.0));
        self.push(Input::Order {
            id,
            instrument: ES,
            side,
            ord_type,
            tif: Tif::Day,
            strategy: 0,
            flags,
            qty: Qty(1),
            price,
            stop_price: None,
            expire_at: None,
            defect: None,
        });
        id
    }

    fn buy(&mut self) -> ClOrdId {
        self.order(Side::Buy, OrdType::Limit, Flags::default())
    }

    fn mark(&mut self) {
        self.push(Input::Mark { instrument: ES, price: Price::ONE, bid: None, ask: None });
    }

    /// The journal's turn, without a disk. A journal that is stuck does not have it.
    fn journal(&mut self) {
        while let Ok(slot) = self.records.pop() {
            self.log.push(slot);
            self.control.shared().set_written(slot[0]);
        }
    }

    /// Turns of engine and broker until neither finds work.
    fn without_journal(&mut self) {
        loop {
            let engine = self.hot_loop.do_work();
            let broker = self.broker_loop.do_work();
            while self.feedback.pop().is_ok() {}
            if engine == Turn::Idle && broker == Turn::Idle {
                return;
            }
        }
    }

    /// Turns of all until nothing moves.
    fn settle(&mut self) {
        loop {
            self.without_journal();
            self.journal();
            let before = self.told().len();
            self.without_journal();
            if self.records.is_empty() && self.told().len() == before {
                return;
            }
        }
    }

    fn told(&self) -> Vec<Message> {
        self.told.lock().expect("no panic").clone()
    }

    /// Orders that the venue was given.
    fn sent(&self) -> Vec<ClOrdId> {
        let new = |message: Message| {
            if let Message::New(new) = message { Some(new.order) } else { None }
        };
        self.told().into_iter().filter_map(new).collect()
    }

    /// Orders that the venue was asked to cancel.
    fn cancelled(&self) -> Vec<ClOrdId> {
        let cancel = |message: Message| {
            if let Message::Cancel { order, .. } = message { Some(order) } else { None }
        };
        self.told().into_iter().filter_map(cancel).collect()
    }

    fn find(&self, id: ClOrdId) -> &Order {
        self.hot_loop.state().order(id).expect("it is held")
    }

    fn asked_to_cancel(&self, id: ClOrdId) -> bool {
        self.find(id).requests.count(RequestKind::Cancel) == 1
    }

    fn halted(&self) -> Option<Code> {
        self.hot_loop.state().halted()
    }

    fn bodies(&self) -> Vec<Body> {
        let records = trade_engine::codec::records(&self.log);
        records.map(|slots| Record::decode(slots).expect("the engine wrote it").body).collect()
    }
}

/// What the operator said, and the commands and ends of halts, in the order of the log.
fn story(bodies: &[Body]) -> Vec<String> {
    let told = bodies.iter().filter_map(|body| match body {
        Body::Input(Input::Text { subject: Subject::Operator, text, .. }, _) => {
            Some(text.as_str().to_owned())
        }
        Body::Input(Input::Halt { .. }, _)
        | Body::Input(Input::Resume {}, _)
        | Body::Event(Event::Halted { .. } | Event::Resumed {}) => Some(body.name().to_owned()),
        Body::Opening(_) | Body::Input(..) | Body::Event(_) => None,
    });
    told.collect()
}

/// In the turn that sees the kill: halted, and a cancel of everything that works lies in the ring
/// to the broker. For as many orders as there can be, in rings that are just large enough, with a
/// journal that has been stuck for as long as the engine took anything in.
#[test]
fn one_turn_cancels_everything_with_the_journal_stuck() {
    for orders in [1, 31, 32, 33, 1_000] {
        for halted_before in [false, true] {
            let mut stage = Stage::new(orders);
            let ids: Vec<ClOrdId> = (0..orders).map(|_| stage.buy()).collect();
            stage.settle();
            assert_eq!(stage.sent(), ids);
            if halted_before {
                // The longer way: a halt is refused while halted, and the cancels need their own.
                stage.push(Input::Halt { cancel_working: false });
                stage.settle();
            }
            // From here on the log does not move. More than any ring can take is on its way.
            (0..2 * event_ring_slots_min(orders)).for_each(|_| stage.mark());
            stage.without_journal();
            assert!(stage.inputs.slots() < 65_536, "{orders}: intake never stopped");
            stage.control.kill(&"a long story ".repeat(50));
            assert_eq!(stage.hot_loop.do_work(), Turn::Worked);
            assert_eq!(stage.halted(), Some(Code::Operator));
            assert!(ids.iter().all(|id| stage.asked_to_cancel(*id)), "{orders}");
            assert!(
                stage
                    .hot_loop
                    .state()
                    .sweeps()
                    .get(trade_engine::order::SweepKind::Cancel)
                    .is_none()
            );
            assert!(!stage.control.shared().kill_waits());
            // They leave without waiting for the log, which has not one of their records.
            stage.without_journal();
            assert_eq!(stage.cancelled(), ids, "{orders}");
            // And when the journal turns again, everything is told and nothing was lost.
            stage.settle();
            let all_ended = ids.iter().all(|id| stage.find(*id).state == OrderState::Cancelled);
            assert!(all_ended && stage.inputs.slots() == 65_536, "{orders}");
        }
    }
}

/// The defaults carry the largest engine that can be configured.
#[test]
fn the_default_rings_carry_the_largest_kill() {
    let runtime = RuntimeSettings::default();
    assert_eq!(runtime.event_ring_slots, EVENT_RING_SLOTS);
    runtime.check(&settings(ORDERS_MAX)).expect("the defaults go together");
    let mut stage = Stage::new(ORDERS_MAX);
    let ids: Vec<ClOrdId> = (0..ORDERS_MAX).map(|_| stage.buy()).collect();
    stage.settle();
    (0..EVENT_RING_SLOTS).for_each(|_| stage.mark());
    stage.without_journal();
    stage.control.kill("all of them");
    stage.hot_loop.do_work();
    assert!(ids.iter().all(|id| stage.asked_to_cancel(*id)));
}

#[test]
fn rings_that_cannot_carry_a_kill_are_refused() {
    let enough = event_ring_slots_min(5_000);
    let with = |event_ring_slots| RuntimeSettings { event_ring_slots, ..Default::default() };
    with(enough).check(&settings(5_000)).expect("just enough");
    let refused = with(enough - 1).check(&settings(5_000)).expect_err("one too few");
    assert!(refused.contains(&format!("takes {enough}")), "{refused}");
    assert!(refused.contains("event_ring_slots") && refused.contains("orders = 5000"));
}

/// The gate is closed at once: the engine has not turned since the order was decided.
#[test]
fn an_order_at_the_gate_comes_back_before_the_engine_knows() {
    let mut stage = Stage::new(8);
    let id = stage.buy();
    stage.hot_loop.do_work();
    stage.journal();
    assert_eq!(stage.find(id).state, OrderState::Submitted);
    stage.control.kill("now");
    stage.broker_loop.do_work();
    assert_eq!(stage.sent(), []);
    assert_eq!(stage.halted(), None, "the engine has not turned");
    stage.settle();
    let order = stage.find(id);
    assert_eq!((order.state, order.reason), (OrderState::Rejected, Some(Code::Halted)));
    assert_eq!(stage.sent(), []);
}

/// The strategy is out of its mind, and its ring full: the kill does not stand in that line.
#[test]
fn a_kill_overtakes_every_signal_that_waits() {
    let mut stage = Stage::new(8);
    let ids: Vec<ClOrdId> = (0..5_000).map(|_| stage.buy()).collect();
    stage.control.kill("stop it");
    stage.settle();
    assert_eq!(stage.sent(), []);
    let last = stage.find(*ids.last().expect("5,000"));
    assert_eq!((last.state, last.reason), (OrderState::Rejected, Some(Code::Halted)));
    assert_eq!(story(&stage.bodies()), ["stop it", "halt", "halted"]);
}

/// The broker's thread hangs in a call. What lies before it in its ring does not leave when it
/// comes back, what works is cancelled.
#[test]
fn a_broker_that_was_stuck_sends_nothing_new() {
    let mut stage = Stage::new(64);
    let working = stage.buy();
    stage.settle();
    let waiting: Vec<ClOrdId> = (0..10).map(|_| stage.buy()).collect();
    while stage.hot_loop.do_work() == Turn::Worked {
        stage.journal();
    }
    stage.control.kill("the line is dead");
    assert_eq!(stage.hot_loop.do_work(), Turn::Worked);
    assert!(stage.asked_to_cancel(working));
    assert!(waiting.iter().all(|id| stage.asked_to_cancel(*id)));
    stage.settle();
    assert_eq!(stage.sent(), [working]);
    assert_eq!(stage.find(working).state, OrderState::Cancelled);
    assert!(waiting.iter().all(|id| stage.find(*id).state == OrderState::Rejected));
}

/// An order that can only shrink the position passes the halt, and still waits for the log; cancels
/// pass it, but for its own.
#[test]
fn cancels_pass_an_exit_that_waits_for_the_log() {
    let mut stage = Stage::new(64);
    stage.order(Side::Buy, OrdType::Market, Flags::default());
    let working = stage.buy();
    stage.settle();
    assert_eq!(stage.hot_loop.state().position(ES).expect("in the table").qty, Qty(1));
    let exit = stage.order(Side::Sell, OrdType::Limit, Flags::REDUCE_ONLY);
    stage.hot_loop.do_work();
    stage.broker_loop.do_work();
    let before = stage.sent().len();
    // The journal is stuck from before the exit was decided.
    stage.control.kill("out");
    stage.without_journal();
    assert_eq!(stage.cancelled(), [working]);
    assert_eq!(stage.sent().len(), before, "it left without its record");
    // What comes behind it keeps its place behind it.
    stage.mark();
    stage.without_journal();
    assert!(!matches!(stage.told().last(), Some(Message::Mark { .. })));
    stage.settle();
    assert_eq!(stage.sent().last(), Some(&exit));
    assert_eq!(stage.cancelled(), [working, exit]);
    assert_eq!(stage.find(exit).state, OrderState::Cancelled);
    assert!(matches!(stage.told().last(), Some(Message::Mark { .. })));
}

/// An exit under a halt goes its ordinary way.
#[test]
fn exits_pass_a_halt() {
    let mut stage = Stage::new(8);
    stage.order(Side::Buy, OrdType::Market, Flags::default());
    stage.settle();
    stage.control.kill("out");
    stage.settle();
    let exit = stage.order(Side::Sell, OrdType::Market, Flags::REDUCE_ONLY);
    stage.settle();
    assert_eq!(stage.find(exit).state, OrderState::Filled);
    assert_eq!(stage.hot_loop.state().position(ES).expect("in the table").qty, Qty(0));
}

/// Without a halt a cancel waits for its record like everything else.
#[test]
fn an_ordinary_cancel_waits_for_the_log() {
    let mut stage = Stage::new(8);
    let order = stage.buy();
    stage.settle();
    let id = stage.id();
    stage.push(Input::Cancel { id, order });
    stage.without_journal();
    assert_eq!(stage.cancelled(), []);
    stage.settle();
    assert_eq!(stage.cancelled(), [order]);
}

/// Nobody takes the broker's reports, since the engine has no room to record them: it lets the
/// cancels go all the same.
#[test]
fn a_broker_that_cannot_report_lets_cancels_go() {
    let orders = 2 * RING;
    let mut stage = Stage::new(orders);
    let ids: Vec<ClOrdId> = (0..orders).map(|_| stage.buy()).collect();
    stage.settle();
    (0..RING / 2).for_each(|_| stage.mark());
    stage.hot_loop.do_work();
    stage.control.kill("silence");
    stage.hot_loop.do_work();
    // The engine turns no more. There is room for half of the answers.
    for _ in 0..100 {
        stage.broker_loop.do_work();
    }
    assert_eq!(stage.cancelled(), ids);
    stage.settle();
    assert!(ids.iter().all(|id| stage.find(*id).state == OrderState::Cancelled));
}

/// What was decided before a halt does not leave after it, even where nobody turned in between.
#[test]
fn an_order_from_before_the_kill_does_not_leave_after_the_resume() {
    let mut stage = Stage::new(8);
    let old = stage.buy();
    stage.hot_loop.do_work();
    stage.control.kill("stop");
    stage.control.resume("go on").expect("room");
    stage.hot_loop.do_work();
    assert_eq!(stage.halted(), None);
    let new = stage.buy();
    stage.settle();
    assert_eq!(stage.sent(), [new]);
    assert_eq!(stage.find(old).reason, Some(Code::NotSent));
    assert_eq!(story(&stage.bodies()), ["stop", "halt", "halted", "go on", "resume", "resumed"]);
}

/// A replace that waits at the gate may add: it is turned down. One that the halted engine let
/// through adds nothing, and passes.
#[test]
fn a_replace_from_before_the_halt_is_turned_down() {
    let mut stage = Stage::new(8);
    let order = stage.order(Side::Buy, OrdType::Limit, Flags::default());
    stage.settle();
    let replace = |id, qty| {
        let (price, stop_price, defect) = (None, None, None);
        Input::Replace { id, order, qty: Some(Qty(qty)), price, stop_price, defect }
    };
    let id = stage.id();
    stage.push(replace(id, 5));
    stage.hot_loop.do_work();
    stage.journal();
    stage.control.halt("enough").expect("room");
    stage.hot_loop.do_work();
    stage.settle();
    let replaces = |stage: &Stage| {
        stage.told().iter().filter(|message| matches!(message, Message::Replace { .. })).count()
    };
    assert_eq!(replaces(&stage), 0);
    assert!(stage.find(order).requests.is_empty(), "it was answered");
    assert_eq!(stage.find(order).order_qty, Qty(1));
    // The engine itself refuses to add, and lets a price that costs no more through.
    let id = stage.id();
    stage.push(replace(id, 6));
    let (id, stop_price, qty, defect) = (stage.id(), None, None, None);
    let price = Some(Price::ONE);
    stage.push(Input::Replace { id, order, qty, price, stop_price, defect });
    stage.settle();
    assert_eq!(replaces(&stage), 1);
}

/// A second kill while the first has taken what was kept, and the journal is still stuck: nothing
/// breaks, and it is taken when there is room.
#[test]
fn a_second_kill_waits_for_room_and_nothing_leaves_meanwhile() {
    let mut stage = Stage::new(2_000);
    let ids: Vec<ClOrdId> = (0..2_000).map(|_| stage.buy()).collect();
    stage.settle();
    (0..8_000).for_each(|_| stage.mark());
    stage.without_journal();
    stage.control.kill("one");
    stage.without_journal();
    stage.control.resume("too early").expect("room");
    stage.control.kill("two");
    stage.without_journal();
    assert!(stage.control.shared().kill_waits());
    assert_eq!(stage.halted(), Some(Code::Operator), "a resume went before the kill behind it");
    stage.settle();
    assert!(!stage.control.shared().kill_waits());
    assert_eq!(stage.halted(), Some(Code::Operator));
    assert!(ids.iter().all(|id| stage.find(*id).state == OrderState::Cancelled));
}

/// The broker's thread has been stuck for as long as the engine took anything in: the ring to it
/// has room for every cancel all the same.
#[test]
fn one_turn_cancels_everything_with_the_broker_stuck() {
    let orders = 2 * RING;
    let mut stage = Stage::new(orders);
    let ids: Vec<ClOrdId> = (0..orders).map(|_| stage.buy()).collect();
    stage.settle();
    (0..2 * RING).for_each(|_| stage.mark());
    while stage.hot_loop.do_work() == Turn::Worked {
        stage.journal();
    }
    assert!(stage.inputs.slots() < 65_536, "intake never stopped");
    stage.control.kill("the line is dead");
    assert_eq!(stage.hot_loop.do_work(), Turn::Worked);
    assert!(ids.iter().all(|id| stage.asked_to_cancel(*id)));
    stage.settle();
    assert_eq!(stage.cancelled(), ids);
}

/// A resume that had no room stands behind a kill that needed none, though it was given before: it
/// is void.
#[test]
fn a_resume_that_a_kill_has_overtaken_is_void() {
    let mut stage = Stage::new(8);
    stage.control.halt("first").expect("room");
    stage.hot_loop.do_work();
    // The journal is stuck. Commands are taken for as long as a kill has room beside them.
    (0..EVENT_RING_SLOTS).for_each(|_| stage.mark());
    while stage.hot_loop.do_work() == Turn::Worked {
        while stage.broker_loop.do_work() == Turn::Worked {}
    }
    loop {
        stage.control.halt("again").expect("room");
        if stage.hot_loop.do_work() == Turn::Idle {
            break;
        }
    }
    stage.control.resume("too late").expect("room");
    stage.control.kill("stop");
    assert_eq!(stage.hot_loop.do_work(), Turn::Worked);
    assert!(!stage.control.shared().kill_waits(), "it had room");
    stage.settle();
    assert_eq!(stage.halted(), Some(Code::Operator));
    let story = story(&stage.bodies());
    assert!(
        story.iter().any(|told| told == "too late") && !story.iter().any(|told| told == "resume")
    );
}

/// A signal handler has no words and no ring; what it asks for takes its place among the commands.
#[test]
fn a_kill_without_words_takes_its_place_among_the_commands() {
    let mut stage = Stage::new(8);
    stage.control.halt("first").expect("room");
    stage.control.shared().kill();
    stage.control.resume("last").expect("room");
    let working = stage.buy();
    stage.hot_loop.do_work();
    assert_eq!(stage.halted(), None);
    stage.settle();
    assert_eq!(stage.sent(), [working]);
    let expected = ["first", "halt", "halted", "halt", "last", "resume", "resumed"];
    assert_eq!(story(&stage.bodies()), expected);
    // The other way round the kill stands.
    stage.control.resume("nothing to resume").expect("room");
    stage.control.shared().kill();
    stage.settle();
    assert_eq!(stage.halted(), Some(Code::Operator));
    assert_eq!(stage.cancelled(), [working]);
}

/// A ring of commands that nobody takes: a kill closes the gate all the same, and other commands
/// say that they were not given.
#[test]
fn a_kill_needs_no_room_and_other_commands_say_that_they_have_none() {
    let mut stage = Stage::new(8);
    let given = std::iter::repeat_with(|| stage.control.halt("again")).take_while(Result::is_ok);
    assert!(given.count() > 4);
    assert_eq!(stage.control.resume("no"), Err(ControlError::Full));
    assert!(!stage.control.shared().is_closed());
    stage.control.kill("no room for this");
    assert!(stage.control.shared().is_closed());
    stage.settle();
    assert_eq!(stage.halted(), Some(Code::Operator));
    assert!(!stage.control.shared().kill_waits());
    let Stage { hot_loop, control, .. } = stage;
    drop(hot_loop.into_engine());
    assert_eq!(control.resume("anybody?"), Err(ControlError::Ended));
}

/// Words are cut where a character ends, and come back from the log whole.
#[test]
fn long_words_are_cut_between_characters() {
    let mut stage = Stage::new(8);
    stage.control.kill(&"\u{20ac}".repeat(200));
    stage.settle();
    let words: String =
        story(&stage.bodies()).into_iter().take_while(|word| word != "halt").collect();
    assert_eq!(words, "\u{20ac}".repeat(REASON_BYTES_MAX / 3));
}

/// A venue that waits inside its first order until it is let go.
struct Hung {
    inner: Venue,
    entered: Sender<()>,
    go_on: Receiver<()>,
}

impl Broker for Hung {
    fn on_message(&mut self, ts: Ts, message: &Message, reports: &mut Reports) {
        if let Message::New(_) = message {
            let first = !self.inner.told.lock().expect("no panic").iter().any(is_new);
            if first {
                self.entered.send(()).expect("the test listens");
                self.go_on.recv().expect("the test lets go");
            }
        }
        self.inner.on_message(ts, message, reports);
    }
}

const fn is_new(message: &Message) -> bool {
    matches!(message, Message::New(_))
}

/// A feed without end, and a strategy that buys whenever it is asked.
struct Endless {
    at: i64,
    asked_to_end: Arc<AtomicBool>,
}

impl Feed for Endless {
    fn next_tick(&mut self) -> Option<Tick> {
        if self.asked_to_end.load(Ordering::Relaxed) {
            return None;
        }
        self.at += 1;
        let (ts, instrument, price) = (Ts(self.at), ES, Price::ONE);
        let mark = Input::Mark { instrument, price, bid: None, ask: None };
        let (opened, open, high, low, close) = (ts, price, price, price, price);
        let bar = Bar { instrument, opened, open, high, low, close, volume: 1 };
        Some(Tick { ts, inputs: vec![mark], bars: vec![bar], marks: Vec::new() })
    }
}

struct Buyer(Arc<AtomicU64>);

impl Strategy for Buyer {
    fn on_bar(&mut self, bar: &Bar, _: &Positions) -> Option<Signal> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Some(Signal::buy(bar.instrument).qty(Qty(1)))
    }
}

/// The real threads' parts, with a feed that ends when the flag is set.
fn parts(
    dir: &std::path::Path,
    broker: impl Broker + Send + 'static,
) -> (Parts, Arc<AtomicBool>, Arc<AtomicU64>) {
    let (asked_to_end, signals) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let parts = Parts {
        settings: settings(256),
        runtime: RuntimeSettings::default(),
        journal: Journal::create(dir, JournalOptions::default()).expect("a new log"),
        broker: Box::new(broker),
        gateway: GatewayPlan {
            feed: Box::new(Endless { at: 0, asked_to_end: Arc::clone(&asked_to_end) }),
            strategy: Box::new(Buyer(Arc::clone(&signals))),
            strategy_number: 0,
            pace: Pace::Lockstep,
            instruments: 1,
            progress: Arc::default(),
        },
        opened: Ts(0),
        halted: None,
    };
    (parts, asked_to_end, signals)
}

/// The log reads whole, replays to the outcome, and decides again to the same.
fn check(dir: &std::path::Path, outcome: &Outcome) -> Vec<Body> {
    let mut reader = LogReader::open(dir).expect("a log");
    let (mut replay, mut redecide) = (Replay::default(), Redecide::default());
    let mut bodies = Vec::new();
    while let Some(slots) = reader.next_record().expect("a sound log") {
        bodies.push(replay.next(slots).expect("it replays").body);
        redecide.next(slots).expect("deciding again gives the same");
    }
    assert_eq!(replay.state().expect("a head").hash(), outcome.state.hash());
    bodies
}

#[test]
fn a_real_broker_thread_that_hangs_keeps_no_kill() {
    let parent = tempfile::tempdir().expect("a directory");
    let dir = parent.path().join("log");
    let (entered_in, entered) = channel();
    let (let_go, go_on) = channel();
    let told = Told::default();
    let inner = Venue { told: Arc::clone(&told), executions: 0 };
    let (parts, asked_to_end, signals) = parts(&dir, Hung { inner, entered: entered_in, go_on });
    let running = start(parts).expect("it starts");
    entered.recv().expect("the first order");
    let (control, shared) = (running.control(), running.shared());
    control.kill("the broker hangs");
    assert!(shared.is_closed());
    // The engine takes it while the broker's thread, and whoever shares it, still hangs.
    while shared.halt().is_none() || shared.kill_waits() {
        std::thread::yield_now();
    }
    assert_eq!(shared.halt().expect("it halted").code, Code::Operator);
    let_go.send(()).expect("it waits");
    // Signals go on and go nowhere.
    let so_far = signals.load(Ordering::Relaxed);
    while signals.load(Ordering::Relaxed) < so_far + 100 {
        std::thread::yield_now();
    }
    asked_to_end.store(true, Ordering::Relaxed);
    let outcome = running.join();
    let told = told.lock().expect("no panic");
    assert_eq!(told.iter().filter(|message| is_new(message)).count(), 1, "the one that hung");
    assert_eq!(outcome.state.halted(), Some(Code::Operator));
    let bodies = check(&dir, &outcome);
    assert_eq!(story(&bodies), ["the broker hangs", "halt", "halted"]);
}

/// Latched: a start with a halt that stands takes it before anything else.
#[test]
fn a_start_that_is_halted_lets_nothing_out() {
    let parent = tempfile::tempdir().expect("a directory");
    let dir = parent.path().join("log");
    let told = Told::default();
    let venue = Venue { told: Arc::clone(&told), executions: 0 };
    let (parts, asked_to_end, signals) = parts(&dir, venue);
    let halted = Some("since yesterday".to_owned());
    let running = start(Parts { halted, ..parts }).expect("it starts");
    while signals.load(Ordering::Relaxed) < 100 {
        std::thread::yield_now();
    }
    asked_to_end.store(true, Ordering::Relaxed);
    let outcome = running.join();
    assert!(!told.lock().expect("no panic").iter().any(is_new));
    let bodies = check(&dir, &outcome);
    let inputs: Vec<&Body> = bodies.iter().filter(|body| matches!(body, Body::Input(..))).collect();
    assert!(matches!(inputs[0], Body::Input(Input::Text { subject: Subject::Operator, .. }, _)));
    assert!(matches!(inputs[1], Body::Input(Input::Halt { .. }, _)));
    assert_eq!(story(&bodies), ["since yesterday", "halt", "halted"]);
}
