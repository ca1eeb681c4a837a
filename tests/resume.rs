//! A log taken up again: whatever is missing of it, whatever the venue has done meanwhile, the
//! books agree before the first order leaves, and the log goes on as if it had never been cut.

#[path = "common/random.rs"]
mod random;

use random::{Random, runs};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use trade_engine::broker::{
    Broker, Message, NewOrder, Remembering, Reports, SimSettings, SimulatedBroker, Statement,
    VenueOrder, VenueState,
};
use trade_engine::code::Code;
use trade_engine::codec::{Slot, records};
use trade_engine::embedded::TradeEngine;
use trade_engine::event::{Body, DECIDE_VERSION, Event, Record};
use trade_engine::image::Bytes;
use trade_engine::input::{ExecKey, Input, StatusKind};
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::journal::{Journal, JournalOptions, LogReader, layout};
use trade_engine::order::{ClOrdId, Flags, OrdType, RequestKind, Tif};
use trade_engine::replay::{Redecide, Replay, ReplayError};
use trade_engine::resume::table::{Action, Ours, Theirs, action};
use trade_engine::resume::{Difference, Found, Recovered, ResumeError, Resumed, take_up};
use trade_engine::settings::Settings;
use trade_engine::strategy::Bracket;
use trade_engine::units::{Money, Price, Qty, Side, Ts};

const ES: InstrumentId = InstrumentId(0);

fn points(price: i64) -> Price {
    Price(price * Price::ONE.0)
}

fn settings() -> Settings {
    let spec = |symbol| Instrument::plain(symbol, Price::ONE, Price::ONE.0, Price::ONE.0);
    let capital = "1000000".parse().expect("a decimal");
    let mut settings = Settings::new(capital, vec![spec("ES"), spec("NQ")]);
    settings.capacity.orders = 256;
    settings.capacity.executions = 4_096;
    settings
}

fn options() -> JournalOptions {
    JournalOptions { segment_size: 64 << 10, decide_version: DECIDE_VERSION, pad_to_sector: false }
}

/// A directory in memory where there is one: hundreds of logs then wait for no disk.
fn temp_dir() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let in_memory = memory.is_dir().then(|| tempfile::tempdir_in(memory).ok()).flatten();
    in_memory.unwrap_or_else(|| tempfile::tempdir().unwrap())
}

/// A log of these records, as a killed process leaves it.
fn write_log(parent: &Path, name: &str, slots: &[Slot]) -> PathBuf {
    let dir = parent.join(name);
    let mut journal = Journal::create(&dir, options()).unwrap();
    journal.append(slots).unwrap();
    dir
}

fn read_log(dir: &Path) -> Vec<Slot> {
    let mut reader = LogReader::open(dir).unwrap();
    let mut slots = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        slots.extend(record.iter().map(layout::content));
    }
    slots
}

/// Folds a log and decides it again, and gives the hash that both come to.
fn verified(slots: &[Slot]) -> u64 {
    let (mut replay, mut redecide) = (Replay::default(), Redecide::default());
    for record in records(slots) {
        let shown = Record::decode(record);
        replay.next(record).unwrap_or_else(|error| panic!("{error}: {shown:?}"));
        redecide.next(record).unwrap_or_else(|error| panic!("{error}: {shown:?}"));
        // What a restart leaves in the state is in its image, too.
        let is_news = matches!(shown.map(|record| record.body), Some(Body::Input(input, _))
            if matches!(input, Input::Restart { .. } | Input::Reconciled { .. }));
        if is_news {
            replay = through_bytes(&replay);
        }
    }
    assert_eq!(redecide.missing_slots(), 0);
    let hash = replay.state().expect("a head").hash();
    assert_eq!(redecide.state().expect("a head").hash(), hash);
    hash
}

fn through_bytes(replay: &Replay) -> Replay {
    let mut image = Vec::new();
    replay.write_image(&mut image);
    let again = Replay::read_image(&mut Bytes::new(&image)).expect("its own bytes");
    let state = |replay: &Replay| replay.state().expect("a head").clone();
    assert_eq!(state(&again).is_reconciling(), state(replay).is_reconciling());
    assert_eq!(state(&again).hash(), state(replay).hash());
    again
}

fn bodies(slots: &[Slot]) -> Vec<Body> {
    records(slots).map(|record| Record::decode(record).expect("ours").body).collect()
}

/// What the last restart in a log entered, up to where the venue had been asked; checked for what
/// may not be in between.
fn reconciliation(slots: &[Slot]) -> Vec<Body> {
    let all = bodies(slots);
    let is_restart = |body: &Body| matches!(body, Body::Input(Input::Restart { .. }, _));
    let from = all.iter().rposition(is_restart).expect("it was taken up");
    let is_end = |body: &Body| matches!(body, Body::Input(Input::Reconciled { .. }, _));
    let until = from + all[from..].iter().position(is_end).expect("the venue was asked");
    let mut found = None;
    for body in &all[from..until] {
        if let Body::Input(Input::Found { id, .. }, _) = body {
            found = Some(*id);
        } else if let Body::Event(Event::Submitted { order }) = body {
            assert_eq!(found, Some(*order), "an order left before the venue was asked");
        }
        let asks = matches!(
            body,
            Body::Event(
                Event::CancelAsked { .. } | Event::ReplaceAsked { .. } | Event::Released { .. },
            )
        );
        assert!(!asks, "{body:?} before the venue was asked");
    }
    all[from..until].to_vec()
}

/// A venue that says what it is told to say, asked for or not, and hears nothing.
#[derive(Debug, Default)]
struct Scripted(Statement);

impl Broker for Scripted {
    fn on_message(&mut self, _ts: Ts, _message: &Message, _reports: &mut Reports) {}

    fn statement(&mut self, _since: Ts, _orders: &[ClOrdId]) -> Result<Statement, String> {
        Ok(self.0.clone())
    }
}

const ORDER: ClOrdId = ClOrdId::new(0, 7);
const QTY: Qty = Qty(10);

fn new_order(id: ClOrdId, qty: Qty) -> NewOrder {
    NewOrder {
        order: id,
        instrument: ES,
        side: Side::Buy,
        ord_type: OrdType::Limit,
        tif: Tif::Gtc,
        qty,
        price: Some(points(100)),
        stop_price: None,
        expire_at: None,
        shrink_only: false,
    }
}

fn order_input(id: ClOrdId) -> Input {
    let NewOrder { instrument, side, ord_type, tif, qty, price, stop_price, expire_at, .. } =
        new_order(id, QTY);
    let (strategy, flags, defect) = (0, Flags(0), None);
    Input::Order {
        id,
        instrument,
        side,
        ord_type,
        tif,
        strategy,
        flags,
        qty,
        price,
        stop_price,
        expire_at,
        defect,
    }
}

fn status(kind: StatusKind) -> Input {
    Input::Status { order: ORDER, kind, request: ClOrdId::NONE }
}

fn trade(number: u8, qty: i64) -> Input {
    Input::Trade {
        order: ORDER,
        exec: ExecKey(u128::from(number)),
        qty: Qty(qty),
        price: points(100),
        commission: Money::ZERO,
        instrument: ES,
        side: Side::Buy,
        venue_says_filled: false,
        defect: None,
    }
}

/// What makes an order stand in a row of the table.
fn history(ours: Ours) -> Vec<Input> {
    let order = order_input(ORDER);
    let accepted = status(StatusKind::Accepted);
    match ours {
        Ours::Unknown => vec![],
        Ours::Held => {
            let bracket = Bracket::new(ES, Side::Buy, QTY, points(90), points(110));
            let [stop, ..] = bracket.inputs([7, 8, 9].map(|n| ClOrdId::new(0, n)));
            vec![stop]
        }
        Ours::Sent => vec![order],
        Ours::Received => vec![order, status(StatusKind::PendingNew)],
        Ours::Accepted => vec![order, accepted],
        Ours::PartFilled => vec![order, accepted, trade(1, 4)],
        Ours::Filled => vec![order, accepted, trade(1, 10)],
        Ours::Cancelled => vec![order, accepted, status(StatusKind::Cancelled)],
        Ours::Rejected => vec![order, status(StatusKind::Rejected)],
        Ours::Expired => vec![order, accepted, status(StatusKind::Expired)],
    }
}

fn log_of(parent: &Path, inputs: &[Input]) -> PathBuf {
    let mut engine = TradeEngine::new(settings(), Scripted::default());
    for input in inputs {
        engine.input(input).unwrap();
    }
    write_log(parent, "log", engine.log())
}

const fn theirs_state(theirs: Theirs) -> Option<VenueState> {
    match theirs {
        Theirs::Absent => None,
        Theirs::Received => Some(VenueState::Received),
        Theirs::Open => Some(VenueState::Open),
        Theirs::Filled => Some(VenueState::Filled),
        Theirs::Cancelled => Some(VenueState::Cancelled),
        Theirs::Rejected => Some(VenueState::Rejected),
        Theirs::Expired => Some(VenueState::Expired),
    }
}

/// The rules that the cells follow, said another way than cell by cell.
fn expected(ours: Ours, theirs: Theirs) -> Action {
    let is_open_there = matches!(theirs, Theirs::Received | Theirs::Open);
    let is_live = matches!(ours, Ours::Sent | Ours::Received | Ours::Accepted | Ours::PartFilled);
    let has_traded = matches!(ours, Ours::PartFilled | Ours::Filled);
    let is_absent = theirs == Theirs::Absent;
    if is_absent && is_live {
        return match ours {
            Ours::Sent => Action::NotSent,
            Ours::Received => Action::Reject,
            Ours::Unknown
            | Ours::Held
            | Ours::Accepted
            | Ours::PartFilled
            | Ours::Filled
            | Ours::Cancelled
            | Ours::Rejected
            | Ours::Expired => Action::Cancel,
        };
    }
    if is_absent {
        return Action::Agree;
    }
    if ours == Ours::Held
        || is_open_there && !is_live
        || theirs == Theirs::Filled && is_live
        || theirs == Theirs::Rejected && has_traded
    {
        return Action::Dispute;
    }
    if !is_live {
        return Action::Agree;
    }
    let acknowledged = matches!(ours, Ours::Accepted | Ours::PartFilled);
    match theirs {
        Theirs::Received if ours == Ours::Sent => Action::Receive,
        Theirs::Received if ours == Ours::Received => Action::Agree,
        // It cannot be less far there than here.
        Theirs::Received | Theirs::Absent | Theirs::Filled => Action::Dispute,
        Theirs::Open if acknowledged => Action::Agree,
        Theirs::Open => Action::Accept,
        Theirs::Cancelled => Action::Cancel,
        Theirs::Rejected => Action::Reject,
        Theirs::Expired => Action::Expire,
    }
}

#[test]
fn every_cell_is_what_the_rules_say() {
    for ours in Ours::ALL {
        for theirs in Theirs::ALL {
            assert_eq!(action(ours, theirs), expected(ours, theirs), "{ours:?} {theirs:?}");
        }
    }
}

/// Every cell played: the engine takes what the cell enters, and afterwards an order is at work
/// here exactly if it is at work there, or its instrument is halted until a person has looked.
#[test]
fn every_cell_leaves_the_books_alike_or_the_instrument_halted() {
    for ours in Ours::ALL {
        for theirs in Theirs::ALL {
            let context = format!("{ours:?} {theirs:?}");
            let parent = temp_dir();
            let dir = log_of(parent.path(), &history(ours));
            let recovered = take_up(&dir, options()).unwrap();
            assert_eq!(Ours::of(recovered.state(), ORDER), ours, "{context}");
            let cum_qty = recovered.state().order(ORDER).map_or(Qty(0), |order| order.cum_qty);
            let mut venue = Scripted::default();
            if let Some(state) = theirs_state(theirs) {
                let (terms, pending) = (new_order(ORDER, QTY), Vec::new());
                venue.0.orders.push(VenueOrder { terms, state, cum_qty, pending });
            }
            let (resumed, found) = recovered.reconcile(&mut venue).unwrap();
            let log = read_log(&dir);
            for body in reconciliation(&log) {
                assert!(!matches!(body, Body::Event(Event::Refused { .. })), "{context}: {body:?}");
            }
            assert_eq!(verified(&log), resumed.state().hash(), "{context}");
            let action = action(ours, theirs);
            let (is_shown, agree) = (!found.differences.is_empty(), action == Action::Agree);
            assert_eq!(is_shown, !agree, "{context}: {:?}", found.differences);
            let state = resumed.state();
            let open = state.order(ORDER).is_some_and(|o| o.is_out());
            let open_there = theirs_state(theirs).is_some_and(VenueState::is_open);
            let halted = state.book(ES).unwrap().halted.is_some();
            assert_eq!(halted, action == Action::Dispute, "{context}");
            assert!(halted || open == open_there, "{context}");
        }
    }
}

/// A group cut anywhere is finished by deciding its input again: the same bytes, and the state that
/// was live.
#[test]
fn a_log_cut_at_any_record_is_finished_as_it_would_have_been() {
    let mut engine = TradeEngine::new(settings(), Scripted::default());
    let mut inputs = history(Ours::PartFilled);
    let bracket = Bracket::new(ES, Side::Buy, QTY, points(90), points(110)).limit(points(100));
    inputs.extend(bracket.inputs([17, 18, 19].map(|n| ClOrdId::new(0, n))));
    inputs.push(Input::Mark { instrument: ES, price: points(100), bid: None, ask: None });
    inputs.push(Input::Cancel { id: ClOrdId::new(0, 20), order: ORDER });
    inputs.push(Input::Halt { cancel_working: true });
    for input in &inputs {
        engine.input(input).unwrap();
    }
    let log = engine.log().to_vec();
    let head = records(&log).take_while(|r| r[0][7].to_le_bytes()[0] >= 192).flatten().count();
    let mut ends = vec![0];
    ends.extend(records(&log).scan(0, |at, record| {
        *at += record.len();
        Some(*at)
    }));
    let parent = temp_dir();
    let (mut finished, mut whole) = (0, 0);
    for cut in ends {
        let dir = write_log(parent.path(), &cut.to_string(), &log[..cut]);
        if cut < head {
            let error = take_up(&dir, options()).unwrap_err();
            assert!(matches!(error, ResumeError::NoHead { .. }), "{error}");
            continue;
        }
        let recovered = take_up(&dir, options()).unwrap();
        let completed = recovered.ending().completed_slots;
        assert_eq!(recovered.ending().found_seq, cut as u64);
        drop(recovered);
        let taken_up = read_log(&dir);
        // Its own group, whole, and then the restart.
        assert_eq!(taken_up[..cut + completed], log[..cut + completed], "cut at {cut}");
        let next = bodies(&taken_up[cut + completed..]);
        assert!(matches!(next[..], [Body::Input(Input::Restart { .. }, _)]), "{next:?}");
        verified(&taken_up);
        finished += usize::from(completed > 0);
        whole += usize::from(completed == 0);
        // Cut short once more and taken up once more.
        let again = take_up(&dir, options()).unwrap();
        assert_eq!((again.ending().completed_slots, again.ending().epoch), (0, 3));
    }
    assert!(finished > 20 && whole > 10, "{finished} cut within a group, {whole} between two");
}

/// What is there of the last group is checked, byte for byte.
#[test]
fn a_last_group_that_was_not_decided_so_is_refused() {
    let mut engine = TradeEngine::new(settings(), Scripted::default());
    for input in history(Ours::Sent) {
        engine.input(&input).unwrap();
    }
    let mut log = engine.log().to_vec();
    // Of the order's group all but the last record, and in the one before another order's id.
    log.pop();
    let last = records(&log).last().unwrap();
    let mut record = Record::decode(last).unwrap();
    let Body::Event(Event::Passed { .. }) = record.body else { panic!("{record:?}") };
    record.body = Body::Event(Event::Passed { order: ClOrdId::new(0, 8) });
    let slots = record.body.encode(record.head.seq, record.head.ts, 0);
    let at = log.len() - 1;
    log[at] = slots[0];
    let parent = temp_dir();
    let dir = write_log(parent.path(), "log", &log);
    let error = take_up(&dir, options()).unwrap_err();
    let ResumeError::Replay(ReplayError::Decided { seq, .. }) = error else { panic!("{error}") };
    assert_eq!(seq, log.len() as u64);
    assert_eq!(read_log(&dir), log, "nothing has been added");
}

#[test]
fn a_broker_that_cannot_be_asked_keeps_everything_from_trading() {
    struct Silent;
    impl Broker for Silent {
        fn on_message(&mut self, _ts: Ts, _message: &Message, _reports: &mut Reports) {}
    }
    let parent = temp_dir();
    let dir = log_of(parent.path(), &history(Ours::Sent));
    let error = take_up(&dir, options()).unwrap().reconcile(&mut Silent).unwrap_err();
    assert!(matches!(error, ResumeError::Venue(_)), "{error}");
    // Nothing was decided about the order, and the next try can.
    let (resumed, found) =
        take_up(&dir, options()).unwrap().reconcile(&mut Scripted::default()).unwrap();
    assert_eq!(found.differences.len(), 1);
    let order = resumed.state().order(ORDER).unwrap();
    assert_eq!(order.reason, Some(Code::NotSent));
    verified(&read_log(&dir));
}

/// A report may have been on its way for as long as its order is known, however far the feed's time
/// has moved since.
#[test]
fn executions_are_asked_for_from_the_oldest_order_on() {
    struct Asked(Option<Ts>);
    impl Broker for Asked {
        fn on_message(&mut self, _ts: Ts, _message: &Message, _reports: &mut Reports) {}

        fn statement(&mut self, since: Ts, _orders: &[ClOrdId]) -> Result<Statement, String> {
            self.0 = Some(since);
            Ok(Statement::default())
        }
    }
    const DAY: i64 = 86_400_000_000_000;
    let asked = |ours: Ours| {
        let parent = temp_dir();
        let mut engine = TradeEngine::new(settings(), Scripted::default());
        engine.set_time(Ts(5 * DAY));
        for input in history(ours) {
            engine.input(&input).unwrap();
        }
        engine.set_time(Ts(900 * DAY));
        engine.input(&Input::Timer {}).unwrap();
        let dir = write_log(parent.path(), "log", engine.log());
        let mut venue = Asked(None);
        drop(take_up(&dir, options()).unwrap().reconcile(&mut venue).unwrap());
        venue.0
    };
    for ours in [Ours::Sent, Ours::PartFilled, Ours::Filled, Ours::Cancelled] {
        assert_eq!(asked(ours), Some(Ts(5 * DAY)), "{ours:?}");
    }
    assert_eq!(asked(Ours::Unknown), Some(Ts(899 * DAY)), "a day, without orders");
}

/// Between a restart and its reconciliation the engine turns down whatever could send something,
/// changes nothing for it, and says so.
#[test]
fn nothing_that_could_leave_is_taken_before_the_venue_was_asked() {
    use trade_engine::engine::{Engine, Outbound, Output};
    #[derive(Default)]
    struct Out(Vec<Slot>);
    impl Output for Out {
        fn record(&mut self, slots: &[Slot]) {
            self.0.extend_from_slice(slots);
        }
        fn send(&mut self, outbound: &Outbound) {
            panic!("{outbound:?}");
        }
    }
    let parent = temp_dir();
    let dir = log_of(parent.path(), &history(Ours::Accepted));
    let recovered = take_up(&dir, options()).unwrap();
    let mut engine = Engine::resume(recovered.state().clone());
    let next = ClOrdId::new(0, engine.state().last_id(0).counter() + 1);
    for input in [
        order_input(next),
        Input::Cancel { id: next, order: ORDER },
        Input::ClosePosition { id: next, instrument: ES },
        Input::Halt { cancel_working: true },
        Input::CancelAll {},
        Input::Continue {},
    ] {
        assert!(input.may_send());
        let mut out = Out::default();
        engine.step(engine.state().ts(), 0, &input, &mut out);
        let told = bodies(&out.0);
        let [Body::Input(..), Body::Event(Event::Refused { code, .. })] = told[..] else {
            panic!("{told:?}")
        };
        assert_eq!(code, Code::NotReconciled);
        assert_eq!(engine.state().last_id(0).counter() + 1, next.counter());
    }
}

/// A cancel that a halt let out before its record was written, and that died with it: what the
/// venue made of it holds, whether it had done it by the restart or does it later.
#[test]
fn a_cancel_that_left_unrecorded_under_a_halt_is_accepted_whenever_it_is_answered() {
    for answered_before in [true, false] {
        let parent = temp_dir();
        let dir = log_of(parent.path(), &history(Ours::Accepted));
        // The engine's own next request, had its record been written.
        let lost = ClOrdId::new(trade_engine::engine::OWN_SOURCE, 1);
        let state = if answered_before { VenueState::Cancelled } else { VenueState::Open };
        let pending = if answered_before { vec![] } else { vec![lost] };
        let (terms, cum_qty) = (new_order(ORDER, QTY), Qty(0));
        let mut venue = Scripted::default();
        venue.0.orders.push(VenueOrder { terms, state, cum_qty, pending });
        let recovered = take_up(&dir, options()).unwrap();
        let (resumed, found) = recovered.reconcile(&mut venue).unwrap();
        if !answered_before {
            let (order, request) = (ORDER, lost);
            assert_eq!(found.differences, [Difference::Unrecorded { order, request }]);
        }
        let mut engine = TradeEngine::resume(resumed, venue);
        if !answered_before {
            let kind = StatusKind::Cancelled;
            engine.input(&Input::Status { order: ORDER, kind, request: lost }).unwrap();
        }
        let order = engine.order(ORDER).unwrap();
        assert_eq!(order.state, trade_engine::order::OrderState::Cancelled);
        // Its id is not used again.
        let id = engine.next_id();
        engine.input(&order_input(id)).unwrap();
        engine.input(&Input::CancelAll {}).unwrap();
        let own = engine.order(id).unwrap().requests.find(RequestKind::Cancel, None).unwrap().id;
        assert!(own > lost, "{own:?}");
        // Nobody's request of another feeder is taken for one.
        let (order, kind) = (id, StatusKind::Cancelled);
        engine.input(&Input::Status { order, kind, request: ClOrdId::new(3, 1) }).unwrap();
        assert!(engine.order(id).unwrap().is_out());
    }
}

/// A venue at the end of a line that goes dead: from some message on nothing arrives there, or it
/// arrives and no report comes back.
struct Line {
    venue: Remembering<SimulatedBroker>,
    /// Messages that still pass.
    left: u64,
    /// Whether what comes after them arrives.
    hears: bool,
    /// Ids of orders and requests that have come to the venue: none comes twice.
    ids: BTreeSet<ClOrdId>,
}

impl Line {
    fn hear(&mut self, message: &Message) {
        let id = match *message {
            Message::New(new) => new.order,
            Message::Cancel { request, .. } | Message::Replace { request, .. } => request,
            Message::Mark { .. } | Message::Bar { .. } | Message::DayRoll | Message::Time => return,
        };
        assert!(self.ids.insert(id), "id {id:?} comes twice");
    }
}

impl Broker for Line {
    fn on_message(&mut self, ts: Ts, message: &Message, reports: &mut Reports) {
        if self.left == 0 {
            if self.hears {
                self.hear(message);
                self.venue.on_message(ts, message, &mut Reports::default());
            }
            return;
        }
        self.left -= 1;
        self.hear(message);
        self.venue.on_message(ts, message, reports);
    }

    fn statement(&mut self, since: Ts, orders: &[ClOrdId]) -> Result<Statement, String> {
        self.left = u64::MAX;
        self.venue.statement(since, orders)
    }
}

fn line(random: &mut Random) -> Line {
    let sim = SimSettings {
        commission_per_contract: "0.25".parse().unwrap(),
        latency_ms: random.range(4),
        partial_fill_qty: Some("2".parse().unwrap()),
        reject_rate: "0.05".parse().unwrap(),
        seed: random.next(),
        ..SimSettings::default()
    };
    let venue = SimulatedBroker::new(0, sim, settings().instruments).unwrap();
    let (left, hears, ids) = (20 + random.below(150), random.below(2) == 0, BTreeSet::new());
    Line { venue: Remembering::new(venue), left, hears, ids }
}

/// Something that a person, a strategy or a market does.
fn act(random: &mut Random, engine: &mut TradeEngine<Line>, ts: &mut i64, halts: bool) {
    *ts += random.range(3_000_000);
    let instrument = InstrumentId(u16::try_from(random.below(2)).unwrap());
    let price = points(95 + random.range(11));
    let side = random.pick(&[Side::Buy, Side::Sell]);
    let open: Vec<ClOrdId> = engine.state().orders().iter().map(|order| order.id).collect();
    let order = if open.is_empty() { ORDER } else { random.pick(&open) };
    let qty = Qty(1 + random.range(6));
    let input = match random.below(if halts { 17 } else { 16 }) {
        0..=5 => Input::Mark { instrument, price, bid: None, ask: None },
        6..=9 => {
            let Input::Order { tif, strategy, flags, stop_price, expire_at, defect, .. } =
                order_input(ORDER)
            else {
                unreachable!()
            };
            let ord_type = random.pick(&[OrdType::Market, OrdType::Limit, OrdType::Limit]);
            let price = Some(price).filter(|_| ord_type == OrdType::Limit);
            let id = engine.next_id();
            let tif = if ord_type == OrdType::Market { Tif::Ioc } else { tif };
            Input::Order {
                id,
                instrument,
                side,
                ord_type,
                tif,
                strategy,
                flags,
                qty,
                price,
                stop_price,
                expire_at,
                defect,
            }
        }
        10 => {
            let sign = side.sign();
            let (stop, target) =
                (Price(price.0 - sign * 4 * Price::ONE.0), price.0 + sign * 4 * Price::ONE.0);
            let bracket = Bracket::new(instrument, side, qty, stop, Price(target)).limit(price);
            engine.set_time(Ts(*ts));
            engine.bracket(&bracket.tif(Tif::Gtc)).unwrap();
            return;
        }
        11 | 12 => Input::Cancel { id: engine.next_id(), order },
        13 | 14 => Input::Replace {
            id: engine.next_id(),
            order,
            qty: Some(qty),
            price: Some(price),
            stop_price: None,
            defect: None,
        },
        15 => Input::Timer {},
        _ => Input::Halt { cancel_working: true },
    };
    engine.input_at(Ts(*ts), &input).unwrap();
}

/// What the venue has traded of each instrument, signed lots.
fn venue_positions(line: &mut Line) -> BTreeMap<InstrumentId, i64> {
    let mut held = BTreeMap::new();
    for (_, execution) in line.venue.statement(Ts(i64::MIN), &[]).unwrap().executions {
        let Input::Trade { instrument, side, qty, .. } = execution else { panic!("{execution:?}") };
        *held.entry(instrument).or_insert(0) += qty.0 * side.sign();
    }
    held.retain(|_, qty| *qty != 0);
    held
}

/// The books here are the venue's: what is held, and what is at work.
fn assert_alike(state: &trade_engine::engine::State, line: &mut Line, context: &str) {
    let mut held = BTreeMap::new();
    for (at, book) in state.books().iter().enumerate() {
        held.insert(InstrumentId(u16::try_from(at).unwrap()), book.position.qty.0);
    }
    held.retain(|_, qty| *qty != 0);
    assert_eq!(held, venue_positions(line), "{context}");
    let there = line.venue.statement(Ts(i64::MAX), &[]).unwrap().orders;
    let there: BTreeMap<ClOrdId, (Qty, Qty, Option<Price>)> = there
        .iter()
        .map(|order| (order.terms.order, (order.terms.qty, order.cum_qty, order.terms.price)))
        .collect();
    let here = state.orders().iter().filter(|order| order.is_out());
    let here: BTreeMap<_, _> =
        here.map(|order| (order.id, (order.order_qty, order.cum_qty, order.price))).collect();
    assert_eq!(here, there, "{context}");
}

/// Recovers, asks, and checks all that is promised of it.
fn resumed(dir: &Path, line: &mut Line, context: &str) -> (Resumed, Found) {
    let recovered: Recovered = take_up(dir, options()).unwrap();
    let (resumed, found) = recovered.reconcile(line).unwrap();
    let log = read_log(dir);
    assert_eq!(verified(&log), resumed.state().hash(), "{context}");
    for body in reconciliation(&log) {
        // All that is entered is news, and fits.
        assert!(!matches!(body, Body::Event(Event::Refused { .. })), "{context}: {body:?}");
        assert!(!matches!(body, Body::Event(Event::Anomaly { .. })), "{context}: {body:?}");
    }
    assert_alike(resumed.state(), line, context);
    (resumed, found)
}

/// Random days at a venue whose line goes dead at a random message; then the log loses a random
/// part of what was never released. `RUNS` and `SEED` repeat it.
#[test]
fn random_crashes_are_made_good() {
    let (mut differences, mut executions, mut lost_cancels) = (0, 0, 0);
    for seed in runs(40) {
        let context = format!("SEED={seed} RUNS=1");
        let mut random = Random::new(seed);
        let mut engine = TradeEngine::new(settings(), line(&mut random));
        let (mut ts, mut safe) = (1_000_000_000, 0);
        let hears = engine.broker().hears;
        let (mut dead_for, last) = (0, random.below(6));
        while dead_for <= last {
            let was_dead = engine.broker().left == 0;
            // What is still heard has left, so that its record is there.
            act(&mut random, &mut engine, &mut ts, false);
            dead_for += u64::from(was_dead);
            if !was_dead || hears {
                safe = engine.log().len();
            }
        }
        if hears && random.below(2) == 0 {
            // Cancels under a halt wait for no record: all of it may be lost.
            engine.input_at(Ts(ts), &Input::Halt { cancel_working: true }).unwrap();
            lost_cancels += 1;
        }
        let log = engine.log().to_vec();
        let ends = records(&log).scan(0, |at, record| {
            *at += record.len();
            Some(*at)
        });
        let ends: Vec<usize> = ends.filter(|end| *end >= safe).collect();
        let log = &log[..random.pick(&ends)];
        let parent = temp_dir();
        let dir = write_log(parent.path(), "log", log);
        let mut venue = engine.into_broker();
        let (_, first) = resumed(&dir, &mut venue, &context);
        differences += first.differences.len();
        let trades = |d: &&Difference| matches!(d, Difference::Execution { .. });
        executions += first.differences.iter().filter(trades).count();
        // Asked again at once, there is nothing left to say but what is still under way.
        let (again, second) = resumed(&dir, &mut venue, &context);
        for difference in &second.differences {
            let under_way = matches!(difference, Difference::Unrecorded { .. });
            assert!(under_way, "{context}: {difference}");
        }
        // And it goes on, until everything has been answered.
        let halted = again.state().halted();
        let mut engine = TradeEngine::resume(again, venue);
        for _ in 0..60 {
            act(&mut random, &mut engine, &mut ts, true);
        }
        assert!(engine.state().halted() >= halted, "{context}: a halt does not end by itself");
        ts += 1_000_000_000;
        engine.input_at(Ts(ts), &Input::Timer {}).unwrap();
        let state = engine.state().clone();
        let (hash, mut venue) = (state.hash(), engine.into_broker());
        assert_alike(&state, &mut venue, &context);
        assert_eq!(verified(&read_log(&dir)), hash, "{context}");
    }
    println!(
        "{differences} differences, {executions} missed executions, {lost_cancels} halts lost"
    );
    let enough = std::env::var_os("RUNS").is_some() || executions > 20 && lost_cancels > 5;
    assert!(enough, "{differences} {executions} {lost_cancels}: the test tests nothing");
}
