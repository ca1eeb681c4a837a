//! The binary `replay`, run on logs that the engine wrote, and on what becomes of them in the hands
//! of a crash, a disk or a stranger. It never panics, and says in one line what is wrong.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use trade_engine::broker::{Broker, Message, Reports};
use trade_engine::codec::{FLAG_INPUT, records};
use trade_engine::embedded::TradeEngine;
use trade_engine::event::{Body, DECIDE_VERSION, Event, FORMAT_VERSION, Opening, Record};
use trade_engine::input::{ExecKey, Input, SignalSide, StatusKind, Subject};
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::journal::{Journal, JournalOptions, Slot, layout, recover};
use trade_engine::order::{ClOrdId, Flags, OrdType, Tif};
use trade_engine::settings::{
    AccountSettings, Capacity, CostMethod, Count, ExposureBasis, LimitKey, Limits, Millis,
    OnAnomaly, RiskSettings, Scope, Settings, Sizing,
};
use trade_engine::strategy::Bracket;
use trade_engine::units::{Money, Price, Qty, Ratio, Side, Ts};
use trade_engine_tools::names::Names;
use trade_engine_tools::rows;
use trade_engine_tools::summary::Summary;
use trade_engine_tools::watch::Watch;

const ES: InstrumentId = InstrumentId(0);
const BTC: InstrumentId = InstrumentId(1);
/// 2026-01-05T15:00:00Z.
const START: i64 = 1_767_625_200_000_000_000;

/// Takes everything and says nothing: the test is the venue.
struct Silent;

impl Broker for Silent {
    fn on_message(&mut self, _ts: Ts, _message: &Message, _reports: &mut Reports) {}
}

fn px(text: &str) -> Price {
    text.parse().unwrap()
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn settings() -> Settings {
    let mut es = Instrument::plain("ES", px("0.25"), 1_000_000_000, 50_000_000_000);
    es.initial_margin = Some(money("12650"));
    let btc = Instrument::plain("BTC", px("0.01"), 100_000, 1_000_000_000);
    Settings {
        account: AccountSettings {
            currency: "USD".to_owned(),
            initial_capital: money("100000"),
            cost_method: CostMethod::Average,
        },
        strategies: Vec::new(),
        instruments: vec![es, btc],
        risk: RiskSettings {
            limits: Limits {
                max_position_pct: Some(Ratio(500_000_000)),
                max_drawdown_pct: Some(Ratio(100_000_000)),
                max_positions: Some(Count(2)),
                ..Limits::OFF
            },
            exposure_basis: ExposureBasis::Price,
            margin: true,
            ..RiskSettings::OFF
        },
        capacity: Capacity { orders: 16, executions: 64, checkpoint_interval_slots: 32 },
        refuse_old_time: false,
        day_roll_ends_orders: true,
        forward_market_data: false,
    }
}

/// A log in the making, and the state that the engine was in after every input.
struct Script {
    parent: tempfile::TempDir,
    engine: TradeEngine<Silent>,
    names: Names,
    watch: Watch,
    now: i64,
    live: Vec<(u64, Value)>,
}

impl Script {
    fn new(settings: Settings) -> Self {
        let parent = tempfile::tempdir().unwrap();
        let options = JournalOptions {
            segment_size: 8_192,
            decide_version: DECIDE_VERSION,
            pad_to_sector: false,
        };
        let journal = Journal::create(&parent.path().join("log"), options).unwrap();
        let engine = TradeEngine::with_journal(settings, Silent, journal).unwrap();
        let mut script = Self {
            parent,
            engine,
            names: Names::default(),
            watch: Watch::default(),
            now: START,
            live: Vec::new(),
        };
        script.capture();
        script
    }

    fn capture(&mut self) {
        let state = self.engine.state();
        self.live.push((state.seq(), rows::state(state, &self.names, &self.watch)));
    }

    fn take(&mut self, input: Input) {
        self.now += 1_000_000;
        let range = self.engine.input_at(Ts(self.now), &input).unwrap();
        let records: Vec<Record> = self.engine.records(range).collect();
        for record in &records {
            self.names.observe(record, Some(self.engine.state()));
            self.watch.observe(record, Some(self.engine.state()));
        }
        self.capture();
    }

    fn text(&mut self, subject: Subject, id: ClOrdId, text: &str) {
        for input in trade_engine::embedded::text_inputs(subject, id, text) {
            self.take(input);
        }
    }

    /// An id with a name.
    fn id(&mut self, name: &str) -> ClOrdId {
        let id = self.engine.next_id();
        self.text(Subject::Name, id, name);
        id
    }

    fn mark(&mut self, instrument: InstrumentId, price: &str) {
        self.take(Input::Mark { instrument, price: px(price), bid: None, ask: None });
    }

    fn limit(&mut self, name: &str, side: Side, qty: i64, price: &str) -> ClOrdId {
        let id = self.id(name);
        self.take(Input::Order {
            id,
            instrument: ES,
            side,
            ord_type: OrdType::Limit,
            tif: Tif::Gtc,
            strategy: 0,
            flags: Flags::default(),
            qty: Qty(qty),
            price: Some(px(price)),
            stop_price: None,
            expire_at: None,
            defect: None,
        });
        id
    }

    fn signal(&mut self, name: &str, instrument: InstrumentId, qty: i64) -> ClOrdId {
        let id = self.id(name);
        self.take(Input::Signal {
            id,
            instrument,
            side: SignalSide::Buy,
            strategy: 0,
            strength: Ratio::ONE,
            price: None,
            stop_price: None,
            qty: Some(Qty(qty)),
            defect: None,
        });
        id
    }

    fn status(&mut self, order: ClOrdId, kind: StatusKind, request: ClOrdId) {
        self.take(Input::Status { order, kind, request });
    }

    fn fill(&mut self, order: ClOrdId, exec: &str, qty: i64, price: &str) {
        self.text(Subject::ExecId, ClOrdId::NONE, exec);
        let side = self.engine.order(order).map_or(Side::Buy, |order| order.side);
        let known = self.engine.order(order).map_or(ES, |order| order.instrument);
        self.take(Input::Trade {
            order,
            exec: ExecKey::new(0, exec, order, side),
            qty: Qty(qty),
            price: px(price),
            commission: money("2.05"),
            instrument: known,
            side,
            venue_says_filled: false,
            defect: None,
        });
    }

    /// Ends the log, on the disk.
    fn stop(self) -> Log {
        let slots = self.engine.log().to_vec();
        let last_seq = self.engine.state().seq();
        drop(self.engine.stop().unwrap());
        Log {
            dir: self.parent.path().join("log"),
            _parent: self.parent,
            slots,
            live: self.live,
            last_seq,
        }
    }

    /// Leaves the log as a killed process does: nothing of it is known to be on the disk.
    fn kill(self) -> Log {
        let slots = self.engine.log().to_vec();
        let last_seq = self.engine.state().seq();
        Log {
            dir: self.parent.path().join("log"),
            _parent: self.parent,
            slots,
            live: self.live,
            last_seq,
        }
    }
}

struct Log {
    _parent: tempfile::TempDir,
    dir: PathBuf,
    slots: Vec<Slot>,
    live: Vec<(u64, Value)>,
    last_seq: u64,
}

/// Something of everything: fills, a cancel that comes too late, refusals of three kinds, words of
/// a venue that would clear a screen, a halt, a fill for nobody's order, a day roll.
fn story() -> Script {
    let mut script = Script::new(settings());
    script.mark(ES, "4500");
    script.mark(BTC, "40000");
    let a = script.limit("A", Side::Buy, 2, "4500");
    script.status(a, StatusKind::Accepted, ClOrdId::NONE);
    script.fill(a, "X1", 1, "4500");
    let c1 = script.id("C1");
    script.take(Input::Cancel { id: c1, order: a });
    script.status(a, StatusKind::PendingCancel, c1);
    script.fill(a, "X2", 1, "4499.75");
    script.text(Subject::Venue, c1, "too late");
    script.status(a, StatusKind::CancelRejected, c1);
    script.mark(ES, "4510");
    let s = script.signal("S", ES, 1);
    script.fill(s, "X3", 1, "4510.25");
    script.fill(s, "X3", 1, "4510.25");
    script.signal("big", ES, 20);
    script.limit("off tick", Side::Buy, 1, "4500.1");
    let v = script.limit("V", Side::Buy, 1, "4400");
    script.text(Subject::Venue, v, "\x1b[2Jno \u{202e}credit");
    script.status(v, StatusKind::Rejected, ClOrdId::NONE);
    script.fill(v, "X4", 1, "4400");
    let b = script.signal("coins", BTC, 5_000);
    script.fill(b, "X5", 2_500, "40000.5");
    script.text(Subject::Operator, ClOrdId::NONE, "lunch");
    script.take(Input::Halt { cancel_working: true });
    script.signal("halted", ES, 1);
    let f = script.id("F");
    script.take(Input::ClosePosition { id: f, instrument: ES });
    script.fill(f, "X6", 4, "4500");
    script.take(Input::Resume {});
    script.fill(ClOrdId::new(3, 99), "X7", 1, "4500");
    script.take(Input::DayRoll {});
    script.mark(ES, "4490.25");
    script
}

struct Ran {
    status: i32,
    stdout: String,
    stderr: String,
}

fn replay(arguments: &[&str]) -> Ran {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_replay")).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(stdout), text(stderr));
    let status = status.code().unwrap_or_else(|| panic!("{arguments:?} was killed: {stderr}"));
    assert!([0, 1, 2].contains(&status), "{arguments:?}: {status}: {stderr}");
    assert!(stderr.lines().count() <= 1, "{arguments:?}: {stderr}");
    assert_eq!(status == 0, stderr.is_empty() || stderr.contains("note:"), "{stderr}");
    Ran { status, stdout, stderr }
}

fn path(log: &Log) -> &str {
    log.dir.to_str().unwrap()
}

/// Must fail with this status and these words.
fn check_error(arguments: &[&str], status: i32, words: &[&str]) {
    let ran = replay(arguments);
    assert_eq!(ran.status, status, "{arguments:?}: {}{}", ran.stdout, ran.stderr);
    for word in words {
        assert!(ran.stderr.contains(word), "{arguments:?}: no {word:?} in {}", ran.stderr);
    }
}

fn check_output(arguments: &[&str], words: &[&str]) -> String {
    let ran = replay(arguments);
    assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.stderr);
    for word in words {
        assert!(ran.stdout.contains(word), "{arguments:?}: no {word:?} in\n{}", ran.stdout);
    }
    assert!(!ran.stdout.contains('\x1b') && !ran.stdout.contains('\u{202e}'));
    ran.stdout
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&check_output(arguments, &[])).unwrap()
}

#[test]
fn state_at_every_record_is_what_the_engine_was_in() {
    let log = story().stop();
    let first = log.live[0].0;
    let mut live = log.live.iter().peekable();
    let mut groups = 0;
    for seq in first..=log.last_seq {
        let found = json(&["state", path(&log), "--at-seq", &seq.to_string(), "--json"]);
        let reached = found["seq"].as_u64().unwrap();
        assert!(reached <= seq, "asked for {seq}, got {reached}");
        while live.peek().is_some_and(|(at, _)| *at < seq) {
            live.next();
        }
        if let Some((_, expected)) = live.next_if(|(at, _)| *at == seq) {
            assert_eq!(&found, expected, "at record {seq}");
            groups += 1;
        }
    }
    assert_eq!(groups, log.live.len());
    let at_end = json(&["state", path(&log), "--json"]);
    let (seq, last) = log.live.last().unwrap();
    assert!(at_end["seq"].as_u64().unwrap() > *seq, "the stop and its checkpoint");
    for part in ["orders", "positions", "account"] {
        assert_eq!(at_end[part], last[part]);
    }
}

#[test]
fn state_figures_by_hand() {
    let mut script = Script::new(settings());
    script.mark(ES, "4500");
    let a = script.limit("A", Side::Buy, 2, "4500.25");
    script.fill(a, "X1", 1, "4500.25");
    script.mark(ES, "4510");
    let log = script.stop();
    let state = json(&["state", path(&log), "--json"]);
    assert_eq!(
        state["orders"][0],
        serde_json::json!({
            "id": "A", "symbol": "ES", "side": "buy", "type": "limit", "tif": "gtc",
            "price": "4500.25", "stop_price": null, "state": "PARTIAL_FILL",
            "ord_status": "PartiallyFilled", "order_qty": "2", "cum_qty": "1", "leaves_qty": "1",
            "avg_px": "4500.25", "slippage": "0", "triggered": false, "pending_cancel": false,
            "pending_replace": 0, "reason": null,
        })
    );
    assert_eq!(
        state["positions"][0],
        serde_json::json!({
            "symbol": "ES", "side": "LONG", "qty": "1", "avg_px": "4500.25", "mark": "4510",
            "realized_pnl": "-2.05", "unrealized_pnl": "487.5", "commission": "2.05",
        })
    );
    assert_eq!(
        state["account"],
        serde_json::json!({
            "currency": "USD", "equity": "100485.45", "realized_pnl": "-2.05",
            "unrealized_pnl": "487.5", "commission": "2.05", "halted": false, "halt_reason": null,
        })
    );
    check_output(
        &["state", path(&log)],
        &["100,485.45", "LONG", "4500.25", "Open orders (1)", "PARTIAL_FILL"],
    );
}

/// The account by strategy and by currency, before and after the rate comes.
#[test]
fn the_account_in_its_parts() {
    let mut settings = settings();
    settings.strategies = vec!["s".to_owned()];
    settings.instruments[1].currency = "EUR".to_owned();
    let mut script = Script::new(settings);
    let held = Input::Opening { instrument: BTC, qty: Qty(1_000), avg_px: px("40000") };
    script.take(held);
    script.mark(ES, "4500");
    // 0.1 coins, 1000 more each.
    script.mark(BTC, "41000");
    let before = script.live.last().unwrap().0.to_string();
    script.take(Input::Rate { currency: 1, price: px("1.1"), inverse: false });
    let id = script.id("A");
    script.take(Input::Order {
        id,
        instrument: ES,
        side: Side::Buy,
        ord_type: OrdType::Market,
        tif: Tif::Day,
        strategy: 1,
        flags: Flags::default(),
        qty: Qty(1),
        price: None,
        stop_price: None,
        expire_at: None,
        defect: None,
    });
    script.fill(id, "X1", 1, "4500");
    script.mark(ES, "4510");
    let log = script.stop();
    let at = |seq: &str| json(&["state", path(&log), "--at-seq", seq, "--json"])["parts"].clone();
    let currency = |name: &str, rate: Option<&str>, [realized, unrealized, paid]: [&str; 3]| {
        serde_json::json!({
            "currency": name, "rate": rate, "inverse": false, "realized_pnl": realized,
            "unrealized_pnl": unrealized, "commission": paid,
        })
    };
    let euros = ["0", "100", "0"];
    assert_eq!(
        at(&before),
        serde_json::json!({
            "strategies": [{"strategy": "s", "pnl": "0"}, {"strategy": null, "pnl": "0"}],
            "currencies": [currency("USD", Some("1"), ["0", "0", "0"]), currency("EUR", None, euros)],
            "without_rate": ["EUR"],
        })
    );
    // 10 x 50 less 2.05; 100 x 1.1 is nobody's.
    assert_eq!(
        json(&["state", path(&log), "--json"])["parts"],
        serde_json::json!({
            "strategies": [{"strategy": "s", "pnl": "497.95"}, {"strategy": null, "pnl": "110"}],
            "currencies": [
                currency("USD", Some("1"), ["-2.05", "500", "2.05"]),
                currency("EUR", Some("1.1"), euros),
            ],
            "without_rate": [],
        })
    );
    let said = ["NO RATE for EUR", "MISSING"];
    check_output(&["state", path(&log), "--at-seq", &before], &said);
    let said = check_output(&["state", path(&log)], &["P&L by strategy", "497.95", "110.00"]);
    assert!(!said.contains("NO RATE"), "{said}");
    let summary = Summary::read(&log.dir).unwrap().to_json();
    assert_eq!(summary["parts"]["strategies"][0]["pnl"], "497.95");
    let rate = check_output(&["events", path(&log), "--inputs"], &["rate", "currency=EUR"]);
    assert!(rate.contains("price=1.1"), "{rate}");
}

#[test]
fn state_at_a_time_and_while_halted() {
    let log = story().stop();
    let before = json(&["state", path(&log), "--at-time", "2026-01-05T14:00:00Z", "--json"]);
    assert_eq!(before["seq"], log.live[0].0, "the head has no time of the day");
    let halted = log.live.iter().find(|(_, state)| state["account"]["halted"] == true).unwrap();
    assert_eq!(halted.1["account"]["halt_reason"], "lunch");
    let time = halted.1["time"].as_str().unwrap();
    let found = json(&["state", path(&log), "--at-time", time, "--json"]);
    assert_eq!(found, halted.1);
    // One nanosecond before, it was not.
    let earlier = time.replace("Z", "").parse::<jiff::civil::DateTime>().unwrap();
    let earlier = earlier.checked_sub(jiff::SignedDuration::from_nanos(1)).unwrap();
    let found = json(&["state", path(&log), "--at-time", &format!("{earlier}Z"), "--json"]);
    assert_eq!(found["account"]["halted"], false);
}

/// Snapshots are a cache: with them, with damaged ones, and without, every answer is the same.
#[test]
fn snapshots_change_no_answer() {
    let log = story().stop();
    let snapshots = || {
        let files = std::fs::read_dir(&log.dir).unwrap().map(|entry| entry.unwrap().path());
        let is_one = |path: &PathBuf| path.extension().is_some_and(|ext| ext == "snap");
        let mut found: Vec<PathBuf> = files.filter(is_one).collect();
        found.sort();
        found
    };
    let answers = || -> Vec<(String, String)> {
        let seqs = (log.live[0].0..=log.last_seq).step_by(3).map(|seq| seq.to_string());
        let ran = seqs.map(|seq| replay(&["state", path(&log), "--at-seq", &seq]));
        let times = log.live.iter().step_by(5).map(|(_, state)| state["time"].as_str().unwrap());
        let by_time = times.map(|time| replay(&["state", path(&log), "--at-time", time, "--json"]));
        let at_end = std::iter::once_with(|| replay(&["state", path(&log)]));
        ran.chain(by_time).chain(at_end).map(|ran| (ran.stdout, ran.stderr)).collect()
    };
    let without = answers();
    let made = check_output(&["snapshot", path(&log), "--every", "40"], &[".snap"]);
    let files = snapshots();
    assert!(files.len() > 3 && made.lines().count() == files.len(), "{made}");
    assert_eq!(answers(), without);

    // Again: nothing is due; and whoever makes one anew makes the same.
    let again = replay(&["snapshot", path(&log), "--every", "40"]);
    assert!(again.stdout.is_empty() && again.stderr.contains("none was due"), "{}", again.stderr);
    let newest = std::fs::read(files.last().unwrap()).unwrap();
    std::fs::remove_file(files.last().unwrap()).unwrap();
    check_output(&["snapshot", path(&log), "--every", "40"], &[".snap"]);
    assert!(std::fs::read(files.last().unwrap()).unwrap() == newest, "another snapshot");

    // All of them damaged, each in another way: said, and left out.
    for (at, file) in files.iter().enumerate() {
        let mut bytes = std::fs::read(file).unwrap();
        let size = bytes.len();
        match at % 3 {
            0 => bytes[size / 2] ^= 4,
            1 => bytes.truncate(size - 1),
            _ => bytes[0] = 0,
        }
        std::fs::write(file, bytes).unwrap();
    }
    let seqs = (log.live[0].0..=log.last_seq).step_by(3);
    let with_damaged: Vec<String> = seqs
        .map(|seq| {
            let ran = replay(&["state", path(&log), "--at-seq", &seq.to_string()]);
            let name = |count| trade_engine_tools::text::count(count, "snapshot");
            let before = files.iter().filter(|file| **file <= log.dir.join(name_of(seq))).count();
            let said = format!("left out: {};", name(before as u64));
            assert_eq!(ran.stderr.contains(&said), before > 0, "{before}: {}", ran.stderr);
            ran.stdout
        })
        .collect();
    assert!(with_damaged.iter().eq(without[..with_damaged.len()].iter().map(|(out, _)| out)));
    files.iter().for_each(|file| std::fs::remove_file(file).unwrap());
    assert_eq!(answers(), without);
}

fn name_of(seq: u64) -> String {
    trade_engine::snapshot::name(seq)
}

#[test]
fn a_whole_log_verifies() {
    let log = story().stop();
    let said = check_output(
        &["verify", path(&log)],
        &["byte for byte", "clean", "good", &format!("seq {}", log.last_seq + 2)],
    );
    assert!(said.lines().last() == Some("good"));
    let killed = story().kill();
    check_output(&["verify", path(&killed)], &["clean", &format!("seq {}", killed.last_seq)]);
}

#[test]
fn a_flipped_byte_below_the_mark_is_found_and_named() {
    let log = story().stop();
    for (id, at) in [(1, 4_096), (1, 4_100), (2, 4_096 + 64 * 2 + 58), (2, 0), (1, 4_159)] {
        let name = layout::segment_name(id);
        let file = log.dir.join(&name);
        let whole = std::fs::read(&file).unwrap();
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&file, &bytes).unwrap();
        let record = (at / 64 * 64).to_string();
        let place =
            if at == 0 { "damaged".to_owned() } else { format!("damaged at byte {record}") };
        check_error(&["verify", path(&log)], 1, &[&name, &place, "record"]);
        for command in [&["state"][..], &["events"], &["explain", "--order", "A"]] {
            let arguments = [command, &[path(&log)]].concat();
            check_error(&arguments, 1, &[&name]);
        }
        std::fs::write(&file, &whole).unwrap();
    }
    check_output(&["verify", path(&log)], &["good"]);
    // What lies before the damage is still shown.
    let file = log.dir.join(layout::segment_name(2));
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[4_200] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let (seq, expected) = &log.live[3];
    let found = json(&["state", path(&log), "--at-seq", &seq.to_string(), "--json"]);
    assert_eq!(&found, expected);
}

#[test]
fn a_torn_tail_is_normal_and_said() {
    let log = story().kill();
    // The writer's last slots did not all reach the disk: the last record is gone.
    let (id, at) = end_of(&log.dir);
    let file = log.dir.join(layout::segment_name(id));
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[at - 64 + 20] ^= 0xff;
    std::fs::write(&file, &bytes).unwrap();
    check_output(&["verify", path(&log)], &["torn", "64 bytes", "good"]);
    let ran = replay(&["state", path(&log), "--json"]);
    assert!(ran.stderr.contains("note: the log ends torn"), "{}", ran.stderr);
    // Cut in the middle of a group: said, too.
    for cut in 1..40 {
        let mut bytes = bytes.clone();
        bytes[at - 64 * cut..].fill(0);
        std::fs::write(&file, &bytes).unwrap();
        check_output(&["verify", path(&log)], &["good"]);
        if at - 64 * cut == 4_096 {
            break;
        }
    }
}

/// Segment and byte offset behind the last slot.
fn end_of(dir: &Path) -> (u64, usize) {
    let mut reader = trade_engine::journal::LogReader::open(dir).unwrap();
    let position = reader.end().unwrap().position;
    (position.segment, usize::try_from(position.offset).unwrap())
}

#[test]
fn an_unfinished_group_is_said() {
    let mut script = story();
    script.signal("last", ES, 1);
    let log = script.kill();
    let whole = std::fs::read(log.dir.join(layout::segment_name(end_of(&log.dir).0))).unwrap();
    let (id, at) = end_of(&log.dir);
    // Cut the last group of several records after its input.
    let first = |offset: usize| layout::from_bytes(whole[offset..offset + 64].try_into().unwrap());
    let input = (4_096 / 64..at / 64)
        .rev()
        .map(|slot| slot * 64)
        .find(|offset| {
            let flags = layout::flags(&first(*offset));
            flags & FLAG_INPUT != 0 && flags & layout::FLAG_END == 0
        })
        .unwrap();
    let slots = usize::from(layout::left(&first(input))) + 1;
    let mut bytes = whole.clone();
    bytes[input + slots * 64..].fill(0);
    std::fs::write(log.dir.join(layout::segment_name(id)), bytes).unwrap();
    check_output(&["verify", path(&log)], &["unfinished", "of the next are missing"]);
}

#[test]
fn truncated_files_are_errors() {
    let log = story().stop();
    let first = log.dir.join(layout::segment_name(1));
    let whole = std::fs::read(&first).unwrap();
    for size in [0, 1, 63, 64, 4_095, 4_096, 4_097, 5_000, 8_191] {
        std::fs::write(&first, &whole[..size]).unwrap();
        for command in [&["verify"][..], &["state"], &["events"], &["explain", "--order", "A"]] {
            let ran = replay(&[command, &[path(&log)]].concat());
            assert_ne!(ran.status, 0, "{command:?} of a first segment of {size} bytes");
        }
    }
    std::fs::remove_file(&first).unwrap();
    check_error(&["verify", path(&log)], 1, &["00000001.seg", "missing"]);
}

/// The root of a log can be kept elsewhere: it tells any later change, and that there was none.
#[test]
fn the_root_is_printed_and_checked() {
    let log = story().stop();
    let said = check_output(&["verify", path(&log)], &["sealed", "none", "good"]);
    assert!(!said.contains("root"), "{said}");
    let root = recover(&log.dir).unwrap().root.to_string();
    check_output(&["verify", path(&log)], &["sealed", "all", &root, "good"]);
    check_output(&["verify", path(&log), "--root", &root], &["the same as then", "good"]);
    let early = std::fs::read_to_string(log.dir.join(layout::seal_name(1))).unwrap();
    let words = ["the same as then, segment 1", "good"];
    check_output(&["verify", path(&log), "--root", early.trim()], &words);
    let other = if root.starts_with('0') { root.replace('0', "1") } else { root.replace('1', "0") };
    check_error(&["verify", path(&log), "--root", &other], 1, &["none of its", &other]);

    // Records and checksums fit; what was sealed was something else.
    std::fs::write(log.dir.join(layout::seal_name(2)), format!("{other}\n")).unwrap();
    let words = ["00000002.seg: not what was sealed", &other];
    check_error(&["verify", path(&log)], 1, &words);
    std::fs::remove_file(log.dir.join(layout::seal_name(1))).unwrap();
    check_error(&["verify", path(&log)], 1, &["00000001.seal: not there"]);
}

#[test]
fn salvage_keeps_what_is_good() {
    let log = story().stop();
    let target = log.dir.with_file_name("salvaged");
    let new = target.to_str().unwrap();
    check_error(&["salvage", path(&log), new], 2, &["not damaged"]);
    let file = log.dir.join(layout::segment_name(2));
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[4_096 + 64 * 9] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    check_error(&["verify", path(&log)], 1, &["00000002.seg: damaged"]);
    let words = ["00000002.seg: damaged at byte", "good in front of it", "records in", new];
    check_output(&["salvage", path(&log), new], &words);
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    check_output(&["verify", new], &["segments", "2", "all", "good"]);
    check_error(&["salvage", path(&log), new], 2, &["there already"]);
}

#[test]
fn what_is_no_log_is_an_error() {
    let log = story().stop();
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    std::fs::write(&file, "no log").unwrap();
    let empty = parent.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let strange = parent.path().join("strange");
    std::fs::create_dir(&strange).unwrap();
    std::fs::write(strange.join("00000001.seg"), vec![b'x'; 8_192]).unwrap();
    let missing = parent.path().join("a\nb");
    for command in [&["verify"][..], &["state"], &["events"], &["explain", "--order", "A"]] {
        let check = |path: &Path, words: &[&str]| {
            check_error(&[command, &[path.to_str().unwrap()]].concat(), 2, words);
        };
        check(&file, &["not a directory"]);
        check(&empty, &["no log segment"]);
        check(&strange, &["00000001.seg"]);
        check(&missing, &["a\\nb"]);
    }
    // A segment of another version.
    let first = log.dir.join(layout::segment_name(1));
    let mut bytes = std::fs::read(&first).unwrap();
    bytes[8] = 9;
    std::fs::write(&first, &bytes).unwrap();
    check_error(&["verify", path(&log)], 2, &["version", "9"]);
}

#[test]
fn bad_arguments_are_one_line() {
    let log = story().stop();
    let log = path(&log);
    check_error(&[], 2, &["verify, snapshot, archive, state, events, explain, tail"]);
    check_error(&["verify", log, "--root", "12"], 2, &["--root", "64 hexadecimal digits"]);
    check_error(&["verify"], 2, &["<DIR>"]);
    check_error(&["prove", log], 2, &["prove"]);
    check_error(&["state", log, "--at-seq", "x"], 2, &["--at-seq"]);
    check_error(&["state", log, "--at-seq", "-1"], 2, &[]);
    check_error(&["state", log, "--at-seq", "0"], 2, &["count from 1"]);
    check_error(&["state", log, "--at-seq", "1"], 2, &["head", "first state is at record"]);
    check_error(&["state", log, "--at-seq", "99999"], 2, &["beyond the end"]);
    check_error(&["state", log, "--at-seq", "18446744073709551615"], 2, &["beyond the end"]);
    check_error(&["state", log, "--at-time", "yesterday"], 2, &["RFC 3339"]);
    check_error(&["state", log, "--at-time", "2026-01-05"], 2, &["RFC 3339"]);
    check_error(&["state", log, "--at-time", "1960-01-01T00:00:00Z"], 2, &["before the log"]);
    check_error(&["state", log, "--at-seq", "50", "--at-time", "2026-01-05T15:00:00Z"], 2, &[]);
    check_error(&["events", log, "--symbol", "XX"], 2, &["XX"]);
    for command in ["events", "explain"] {
        for order in ["nobody", "12345", "9-1", "300-1", "", "\x1b[2J", "-5", "C9"] {
            check_error(&[command, log, &format!("--order={order}")], 2, &["order"]);
        }
    }
    assert_eq!(replay(&["--help"]).status, 0);
}

#[test]
fn events_by_order_symbol_and_kind() {
    let log = story().stop();
    let lines = |arguments: &[&str]| -> Vec<Value> {
        let text = check_output(&[&["events", path(&log), "--json"], arguments].concat(), &[]);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let all = lines(&["--inputs"]);
    assert_eq!(all.len(), records(&log.slots).count() + 2, "and the stop with its checkpoint");
    let mut seqs = all.iter().map(|line| line["seq"].as_u64().unwrap());
    assert!(seqs.clone().zip(seqs.by_ref().skip(1)).all(|(a, b)| a < b));
    assert!(lines(&[]).iter().all(|line| line["class"] == "event"));

    let of_a = lines(&["--order", "A"]);
    let names: Vec<&str> = of_a.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "created",
            "verdict",
            "passed",
            "submitted",
            "accepted",
            "traded",
            "cancel_asked",
            "request_pending",
            "traded",
            "request_rejected",
            "closed",
        ]
    );
    assert_eq!(lines(&["--order", "1"]), of_a, "by number");
    let traded = &of_a[5];
    for (key, value) in [("order", "A"), ("symbol", "ES"), ("last_qty", "1"), ("last_px", "4500")] {
        assert_eq!(traded[key], value);
    }
    let coins = lines(&["--symbol", "BTC"]);
    assert!(coins.iter().all(|line| line["symbol"] == "BTC" || line["order"] == "coins"));
    let traded = coins.iter().find(|line| line["kind"] == "traded").unwrap();
    assert_eq!(traded["last_qty"], "0.25", "2,500 lots of 0.0001");
    let refused = lines(&["--order", "S"]);
    assert!(refused.iter().any(|line| line["code"] == "DUPLICATE_EXECUTION"));

    check_output(
        &["events", path(&log), "--order", "V", "--inputs"],
        &["2026-01-05T15:00:00.0", "text=\"\\u{1b}[2Jno \\u{202e}credit\"", ">status", "LATE_FILL"],
    );
    let quoted = replay(&["events", path(&log), "--order", "V", "--inputs", "--json"]).stdout;
    assert!(quoted.contains("\\u001b[2Jno \\u202ecredit"), "{quoted}");
    // A request's name leads to its order.
    let ran = replay(&["events", path(&log), "--order", "C1", "--json"]);
    assert_eq!((ran.status, ran.stdout.lines().count()), (0, of_a.len()));
    assert!(ran.stderr.contains("request about order A"));
}

#[test]
fn explain_tells_everything() {
    let log = story().stop();
    let order =
        |name: &str, words: &[&str]| check_output(&["explain", path(&log), "--order", name], words);
    let told = order(
        "A",
        &[
            "Order A, number 1",
            "order: buy ES, mark 4500",
            "CREATED: buy 2 ES limit at 4500 gtc",
            "MAX_POSITION_PCT",
            "verdict: passed",
            "SUBMITTED",
            "reports: accepted",
            "a trade: 1 at 4500, commission 2.05, execution X1",
            "filled 1 of 2; ACCEPTED -> PARTIAL_FILL",
            "asked to cancel it (request C1)",
            "bought 1 ES at 4499.75",
            "PARTIAL_FILL -> FILLED",
            "slippage against decision 4500: -0.25 a unit, -12.5 in all, -0.5556 bps",
            "slippage against limit 4500: -0.25",
            "position ES: FLAT -> LONG 1 at 4500",
            "position ES: LONG 1 at 4500 -> LONG 2 at 4499.875",
            "realized, net 0 -> -2.05",
            "equity 100000 -> 99997.95",
            "turned down by the venue (request C1): \"too late\"",
            "In the end: FILLED, retired since; filled 2 of 2, average price 4499.875, in 2 trades",
        ],
    );
    assert!(!told.contains("is another than the rules give now"));
    rule_lines(&told);
    let told = order(
        "big",
        &[
            "signal: buy ES, strength 1, price at decision 4510 (the mark)",
            "sizing: exact: asked for 20 -> 20",
            "BROKEN",
            "worst case of the side by price; limit 0.5 of equity",
            "REJECTED by us: MAX_POSITION_PCT",
        ],
    );
    let rules = rule_lines(&told);
    // (3 held + 20) x 4510 against half of equity; 23 x 12,650 against all of it.
    let equity = "100993.85";
    assert_eq!(rule(&rules, "MAX_POSITION_PCT")[1..4], ["BROKEN", "103730", "50496.925"]);
    assert_eq!(rule(&rules, "INSUFFICIENT_MARGIN")[1..4], ["BROKEN", "290950", equity]);
    assert_eq!(rule(&rules, "MAX_POSITIONS")[1..4], ["passed", "1", "2"]);
    assert_eq!(rule(&rules, "MAX_DRAWDOWN")[1..2], ["passed"]);
    assert_eq!(rule(&rules, "MAX_DAILY_LOSS")[1..], ["off"]);
    assert_eq!(rule(&rules, "MAX_CORRELATION")[1..], ["off"]);
    order("off tick", &["validation found OFF_TICK: prices 4500.1, tick 0.25", "REJECTED by us"]);
    order(
        "V",
        &["REJECTED by the venue: \"\\u{1b}[2Jno \\u{202e}credit\"", "ANOMALY LATE_FILL: 1 booked"],
    );
    order("halted", &["HALTED", "REJECTED by us: HALTED"]);
    order(
        "coins",
        &["bought 0.25 BTC at 40000.5", "cancel sent to the broker", "filled 0.25 of 0.5"],
    );
    order("S", &["refused, nothing changed: DUPLICATE_EXECUTION"]);
    order("F", &["asked to flatten ES", "HALTED       ", "not asked", "sold 4 ES"]);
    order("3-99", &["no input made this order", "ANOMALY UNKNOWN_ORDER"]);
}

#[test]
fn explain_measures_every_limit_again() {
    let mut settings = settings();
    settings.risk.exposure_basis = ExposureBasis::Notional;
    settings.risk.limits = Limits {
        max_mark_age_ms: Some(Millis(1_000)),
        price_collar_pct: Some(Ratio(100_000_000)),
        max_order_qty: Some("3".parse().unwrap()),
        max_order_notional: Some(money("500000")),
        max_open_orders: Some(Count(5)),
        max_gross_exposure: Some(money("2000000")),
        max_net_exposure: Some(money("1000000")),
        max_leverage: Some(Ratio(20 * Ratio::ONE.0)),
        ..Limits::OFF
    };
    let two = Some("2".parse().unwrap());
    let share = Some(Ratio(2_500_000_000));
    settings.risk.symbols =
        vec![Limits { max_order_qty: two, max_position_pct: share, ..Limits::OFF }];
    let mut script = Script::new(settings);
    script.mark(ES, "4500");
    script.limit("first", Side::Sell, 1, "4600");
    script.limit("wide", Side::Buy, 3, "3900");
    let log = script.stop();
    let told = check_output(&["explain", path(&log), "--order", "wide"], &["REJECTED by us"]);
    let rules = rule_lines(&told);
    let row = |name: &str, words: &[&str], note: &str| {
        let line = rule(&rules, name).join(" ");
        assert_eq!(line, format!("{name} {} {note}", words.join(" ")));
    };
    // Four inputs of a millisecond after the mark: a name, an order, a name, the order.
    row("STALE_MARK", &["passed", "4", "1000"], "ms, age of the mark");
    row("PRICE_COLLAR", &["BROKEN", "0.133333334", "0.1"], {
        "of the mark 4500, distance of the farthest price"
    });
    row(
        "MAX_ORDER_QTY",
        &["BROKEN", "3", "2"],
        "ES, quantity of the order; the instrument's limit",
    );
    row("MAX_ORDER_NOTIONAL", &["BROKEN", "585000", "500000"], "USD, value of the order");
    row("MAX_OPEN_ORDERS", &["passed", "2", "5"], "orders at work, with this one");
    row("MAX_POSITION_PCT", &["BROKEN", "585000", "250000"], {
        "USD, worst case of the side by notional; limit 2.5 of equity; the instrument's limit"
    });
    row("MAX_GROSS_EXPOSURE", &["passed", "585000", "2000000"], {
        "USD, worst cases of the instruments, added up"
    });
    row("MAX_NET_EXPOSURE", &["passed", "585000", "1000000"], {
        "USD, worst case of the instruments, one against the other"
    });
    row("MAX_LEVERAGE", &["passed", "585000", "2000000"], {
        "USD, worst cases of the instruments, added up; limit 20 times equity"
    });
    row("NO_RATE", &["not", "asked"], "no amount had to be converted");
    assert_eq!(rule(&rules, "MAX_POSITIONS")[1..], ["off"]);
    assert!(!told.contains("is another than the rules give now"));
}

/// The lines of the rules' table, as words.
fn rule_lines(told: &str) -> Vec<Vec<&str>> {
    let names = trade_engine::risk::Rule::ALL.iter().map(|rule| rule.code().name());
    let names: Vec<&str> = names.collect();
    let lines = told.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let lines: Vec<Vec<&str>> =
        lines.filter(|words| words.first().is_some_and(|word| names.contains(word))).collect();
    let expected = [
        "HALTED",
        "MARKET_CLOSED",
        "NO_MARK",
        "STALE_MARK",
        "NO_RATE",
        "REDUCE_ONLY",
        "PRICE_COLLAR",
        "MAX_ORDER_QTY",
        "MAX_ORDER_NOTIONAL",
        "MIN_NOTIONAL",
        "MAX_NOTIONAL",
        "MAX_OPEN_ORDERS",
        "MAX_POSITIONS",
        "MAX_POSITION_PCT",
        "MAX_GROSS_EXPOSURE",
        "MAX_NET_EXPOSURE",
        "MAX_LEVERAGE",
        "INSUFFICIENT_MARGIN",
        "MAX_CORRELATION",
        "MAX_DAILY_LOSS",
        "MAX_DRAWDOWN",
        "CAPACITY",
        "OVERFLOW",
    ];
    for name in expected {
        assert!(lines.iter().any(|words| words[0] == name), "no {name} in\n{told}");
    }
    lines
}

fn rule<'a>(lines: &'a [Vec<&'a str>], name: &str) -> &'a [&'a str] {
    lines.iter().find(|words| words[0] == name).unwrap()
}

/// What controls remember is shown as it stood when the order came; what was not answered, halted or
/// changed is told in its place.
#[test]
fn explain_tells_what_the_controls_remember() {
    let mut settings = settings();
    settings.strategies = vec!["one".to_owned()];
    settings.risk.limits = Limits {
        duplicate_window_ms: Some(Millis(100)),
        max_orders_per_second: Some(Count(3)),
        max_messages_per_second: Some(Count(9)),
        max_repeats: Some(Count(7)),
        answer_timeout_ms: Some(Millis(50)),
        ..Limits::OFF
    };
    settings.risk.self_match = true;
    settings.risk.on_anomaly = OnAnomaly::HaltInstrument;
    let mut script = Script::new(settings);
    let first = script.limit("first", Side::Buy, 1, "4000");
    script.limit("again", Side::Buy, 1, "4000");
    script.limit("other", Side::Sell, 1, "4000");
    script.now += 60_000_000;
    script.take(Input::Timer {});
    script.take(Input::SetLimit {
        scope: Scope::Account,
        instrument: InstrumentId::UNKNOWN,
        strategy: 0,
        key: LimitKey::MaxOrdersPerSecond,
        value: Some(money("1")),
    });
    script.limit("late", Side::Buy, 1, "3990");
    script.fill(first, "X1", 2, "4000");
    let log = script.stop();
    let order = |name: &str, words: &[&str]| {
        let told = check_output(&["explain", path(&log), "--order", name], words);
        assert!(!told.contains("is another than the rules give now"), "{told}");
        told
    };
    order(
        "first",
        &[
            "NO ANSWER from the venue since 2026-01-05T15:00:00.002Z: the order counts in full and \
             is not sent again",
            "a person set max_orders_per_second of the account to 1",
            "ANOMALY OVERFILL",
            "trading in ES HALTED: ANOMALY",
        ],
    );
    let told = order("again", &["REJECTED by us: DUPLICATE_ORDER"]);
    let rules = rule_lines(&told);
    assert_eq!(rule(&rules, "DUPLICATE_ORDER")[1..4], ["BROKEN", "2", "100"]);
    assert_eq!(rule(&rules, "ORDER_RATE")[1..4], ["passed", "2", "3"]);
    assert_eq!(rule(&rules, "MESSAGE_RATE")[1..4], ["passed", "2", "9"]);
    assert_eq!(rule(&rules, "MAX_REPEATS")[1..4], ["passed", "2", "7"]);
    assert_eq!(rule(&rules, "INSTRUMENT_HALTED")[1..2], ["passed"]);
    let told = order("other", &["our own best: buy 4000, sell none", "SELF_MATCH"]);
    assert_eq!(rule(&rule_lines(&told), "SELF_MATCH")[1..2], ["BROKEN"]);
    let told = order("late", &["REJECTED by us: ORDER_RATE"]);
    assert_eq!(rule(&rule_lines(&told), "ORDER_RATE")[1..4], ["BROKEN", "2", "1"]);
}

/// Words explain the command that they came with, and no other.
#[test]
fn words_of_another_command_are_not_those_of_a_halt() {
    let set = |value| Input::SetLimit {
        scope: Scope::Account,
        instrument: InstrumentId::UNKNOWN,
        strategy: 0,
        key: LimitKey::MaxPositions,
        value: Some(money(value)),
    };
    let halt = Input::Halt { cancel_working: true };
    let mut script = Script::new(settings());
    let mut give = |words: &str, input: Input| {
        script.text(Subject::Operator, ClOrdId::NONE, words);
        script.take(input);
        // A kill whose words found no room.
        script.take(halt);
        let state = script.live.last().unwrap().1.clone();
        script.take(Input::Resume {});
        state["account"]["halt_reason"].clone()
    };
    assert_eq!(give("limit max_positions 1", set("1")), "OPERATOR");
    assert_eq!(give("go on", Input::Resume {}), "OPERATOR");
    assert_eq!(give("lunch", halt), "lunch");
    script.take(halt);
    // The second halt is refused, its words with it.
    script.text(Subject::Operator, ClOrdId::NONE, "dinner");
    script.take(halt);
    script.take(Input::Resume {});
    script.take(halt);
    assert_eq!(script.live.last().unwrap().1["account"]["halt_reason"], "OPERATOR");
    script.stop();
}

#[test]
fn sizing_is_told_with_its_arithmetic() {
    let mut settings = settings();
    settings.risk.sizing = Sizing::PercentEquity;
    settings.risk.sizing_pct = Ratio(500_000_000);
    settings.risk.limits.max_position_pct = None;
    let mut script = Script::new(settings);
    script.mark(BTC, "40000");
    script.signal("sized", BTC, 0);
    script.mark(ES, "4500");
    script.signal("none", ES, 0);
    let log = script.stop();
    check_output(
        &["explain", path(&log), "--order", "sized"],
        &["equity 100000 x sizing_pct 0.5 x strength 1", "= 50000 / 4 -> 1.25", "SUBMITTED"],
    );
    let told = check_output(
        &["explain", path(&log), "--order", "none"],
        &[
            "= 50000 / 225000 -> ZERO_SIZE",
            "judged as an order of 1, the smallest",
            "REJECTED by us: ZERO_SIZE",
        ],
    );
    assert!(!told.contains("is another than the rules give now"));
    assert!(!told.contains("can only shrink"));
}

#[test]
fn the_summary_is_the_sum_of_the_log() {
    let log = story().stop();
    let summary = Summary::read(&log.dir).unwrap();
    let state = &log.live.last().unwrap().1;
    let document = summary.to_json();
    for key in ["currency", "equity", "realized_pnl", "unrealized_pnl", "commission", "halted"] {
        assert_eq!(document["account"][key], state["account"][key], "{key}");
    }
    for (found, expected) in
        document["positions"].as_array().unwrap().iter().zip(state["positions"].as_array().unwrap())
    {
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(&found[key], value, "{key}");
        }
    }
    let realized = summary
        .trades
        .iter()
        .fold(Money::ZERO, |sum, trade| sum.checked_add(trade.realized).unwrap());
    assert_eq!(realized, summary.account.realized);
    let states = serde_json::json!({"PARTIAL_FILL": 1, "FILLED": 3, "REJECTED": 4});
    assert_eq!(document["orders"], states, "retired ones under the state that they had");
    assert_eq!(document["unassigned"], 1);
    assert_eq!(document["rejects"]["MAX_POSITION_PCT"], 1);
    assert_eq!(document["rejects"]["\u{1b}[2Jno \u{202e}credit"], 1);
    assert_eq!(document["refused"], serde_json::json!({"DUPLICATE_EXECUTION": 1}));
    assert_eq!(document["anomalies"], serde_json::json!({"UNKNOWN_ORDER": 1, "LATE_FILL": 1}));
    assert_eq!(document["halts"][0]["reason"], "lunch");
    assert!(document["halts"][0]["resumed"].is_string());
    assert_eq!(document["trades"][0]["price"], "4500");
    assert_eq!(document["trades"][2]["slippage"]["money"], "12.5", "0.25 x 50 above the mark");
    let mut printed = Vec::new();
    summary.print(&mut printed, 2).unwrap();
    let printed = String::from_utf8(printed).unwrap();
    for words in ["Trades (the last 2 of 7)", "lunch", "Orders by final state (8)", "\\u{1b}[2Jno"]
    {
        assert!(printed.contains(words), "no {words:?} in\n{printed}");
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let log = story().stop();
    for arguments in [&["events", path(&log), "--inputs"][..], &["state", path(&log), "--json"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_replay"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Writes the log anew with sound checksums, as a program that is not ours might.
fn rewrite(log: &Log, mut change: impl FnMut(usize, &[Slot]) -> Vec<Slot>) -> Log {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("log");
    let options = JournalOptions { segment_size: 65_536, ..JournalOptions::default() };
    let mut journal = Journal::create(&dir, options).unwrap();
    for (index, record) in records(&log.slots).enumerate() {
        journal.append(&change(index, record)).unwrap();
    }
    journal.sync().unwrap();
    Log { _parent: parent, dir, slots: Vec::new(), live: Vec::new(), last_seq: log.last_seq }
}

fn change_body(slots: &[Slot], change: impl FnOnce(&mut Body)) -> Vec<Slot> {
    let mut record = Record::decode(slots).unwrap();
    change(&mut record.body);
    record.body.encode(record.head.seq, record.head.ts, record.head.flags).to_vec()
}

#[test]
fn decisions_of_another_version_are_checked_for_their_state() {
    let log = story().stop();
    let other = rewrite(&log, |_, slots| {
        change_body(slots, |body| {
            if let Body::Opening(Opening::Genesis { decide_version, .. }) = body {
                *decide_version = 77;
            }
        })
    });
    check_output(
        &["verify", path(&other)],
        &["decisions 77", "only the state was checked", "good"],
    );
    let other = rewrite(&log, |_, slots| {
        change_body(slots, |body| {
            if let Body::Opening(Opening::Genesis { format_version, .. }) = body {
                *format_version = 77;
            }
        })
    });
    check_error(
        &["verify", path(&other)],
        2,
        &["format version 77", &format!("expected {FORMAT_VERSION}")],
    );
}

/// Another program took the log up: its segments say so, and are not decided again.
#[test]
fn decisions_of_another_program_that_took_the_log_up_are_not_made_again() {
    let log = story().stop();
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("log");
    let slots = &log.slots;
    let half = records(slots).map(|record| layout::seq(&record[0])).nth(100).unwrap();
    let (ours, theirs) = slots.split_at(usize::try_from(half - 1).unwrap());
    let options = |decide_version| JournalOptions { decide_version, ..JournalOptions::default() };
    let mut journal = Journal::create(&dir, options(DECIDE_VERSION)).unwrap();
    journal.append(ours).unwrap();
    journal.close().unwrap();
    let mut journal = Journal::resume(recover(&dir).unwrap(), options(77)).unwrap();
    journal.append(theirs).unwrap();
    journal.close().unwrap();
    let words = format!("not from record {half} on: decisions 77 are not this program's");
    check_output(&["verify", dir.to_str().unwrap()], &[&words, "good"]);
}

#[test]
fn what_does_not_follow_is_named() {
    let log = story().stop();
    let at = |wanted: fn(&Body) -> bool| {
        records(&log.slots).position(|slots| wanted(&Record::decode(slots).unwrap().body)).unwrap()
    };
    // A fill with another price: the position that the log says is another.
    let traded = at(|body| matches!(body, Body::Event(Event::Traded { .. })));
    let forged = rewrite(&log, |index, slots| {
        if index != traded {
            return slots.to_vec();
        }
        change_body(slots, |body| {
            if let Body::Event(Event::Traded { last_px, .. }) = body {
                last_px.0 -= 1;
            }
        })
    });
    check_error(&["verify", path(&forged)], 1, &["00000001.seg: byte", "record"]);
    // A verdict with another number: the state does not care, deciding again does.
    let verdict = at(|body| matches!(body, Body::Event(Event::Verdict { .. })));
    let forged = rewrite(&log, |index, slots| {
        if index != verdict {
            return slots.to_vec();
        }
        change_body(slots, |body| {
            if let Body::Event(Event::Verdict { ran, .. }) = body {
                *ran ^= 1;
            }
        })
    });
    check_error(&["verify", path(&forged)], 1, &["the log has verdict", "deciding again"]);
    check_output(
        &["explain", path(&forged), "--order", "A"],
        &["is another than the rules give now"],
    );
    // A checkpoint of another state.
    let checkpoint = at(|body| matches!(body, Body::Event(Event::Checkpoint { .. })));
    let forged = rewrite(&log, |index, slots| {
        if index != checkpoint {
            return slots.to_vec();
        }
        change_body(slots, |body| {
            if let Body::Event(Event::Checkpoint { hash }) = body {
                *hash ^= 1;
            }
        })
    });
    check_error(&["verify", path(&forged)], 1, &["hashes to another value"]);
}

/// A seeded generator; the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }
}

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Sound checksums over wild words: an extreme, a flipped bit or noise in one word of one record.
#[test]
fn no_figure_in_a_log_makes_it_panic() {
    let seed = from_env("SEED", 1);
    let runs = from_env("RUNS", 60);
    println!(
        "SEED={seed} RUNS={runs} cargo test -p trade_engine_tools --test replay_tool no_figure"
    );
    let log = story().stop();
    let mut random = Random(seed);
    let count = records(&log.slots).count();
    for _ in 0..runs {
        let wanted = random.below(count);
        let wild = [0, 1, u64::MAX, 1 << 63, i64::MAX.cast_unsigned(), random.next()];
        let (kind, word) = (random.below(8), random.next());
        let strange = rewrite(&log, |index, slots| {
            let mut slots = slots.to_vec();
            if index == wanted {
                let which = usize::try_from(word).unwrap_or(0) % slots.len();
                let place =
                    if which == 0 { 2 } else { 1 } + usize::try_from(word >> 32).unwrap() % 5;
                match wild.get(kind) {
                    Some(wild) => slots[which][place] = *wild,
                    None => slots[which][place] ^= 1 << (word % 64),
                }
            }
            slots
        });
        for command in [
            &["verify"][..],
            &["state", "--json"],
            &["events", "--inputs"],
            &["explain", "--order", "A"],
            &["explain", "--order", "big"],
        ] {
            let ran = replay(&[command, &[path(&strange)]].concat());
            assert!(!ran.stderr.contains("panicked"), "record {wanted}: {}", ran.stderr);
        }
    }
}

/// A stop that the engine kept: what it waited for, what it was for, and why it went.
#[test]
fn explain_tells_what_a_contingent_order_waited_for() {
    let mut script = Script::new(settings());
    script.mark(ES, "4500");
    let [stop, target, entry] = ["stop", "target", "entry"].map(|name| script.id(name));
    let bracket = Bracket::new(ES, Side::Buy, Qty(4), px("4490"), px("4520"));
    for input in bracket.limit(px("4500")).trail(px("8")).inputs([stop, target, entry]) {
        script.take(input);
    }
    script.fill(entry, "X1", 3, "4500");
    let moved = script.id("moved");
    let (order, qty, price, defect) = (stop, None, None, None);
    let stop_price = Some(px("4495"));
    script.take(Input::Replace { id: moved, order, qty, price, stop_price, defect });
    script.mark(ES, "4494");
    let cancel = script.engine.order(target).unwrap().requests.iter().next().unwrap().id;
    script.status(target, StatusKind::Cancelled, cancel);
    script.fill(stop, "X2", 3, "4494");
    let spare = script.id("spare");
    let [input, ..] = Bracket { trail: None, ..bracket }.inputs([spare, target, entry]);
    let Input::Contingent { instrument, side, ord_type, tif, strategy, flags, qty, .. } = input
    else {
        panic!("an exit is one")
    };
    let (price, stop_price, expire_at, defect) = (None, Some(px("4400")), None, None);
    let (parent, sibling, trail) = (ClOrdId::NONE, ClOrdId::NONE, None);
    script.take(Input::Contingent {
        id: spare,
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
        parent,
        sibling,
        trail,
        defect,
    });
    script.take(Input::CancelAll {});
    let log = script.stop();
    check_output(
        &["explain", path(&log), "--order", "stop"],
        &[
            "contingent order: sell ES, once there is a trade of entry, shares with target, trails \
             by 8, mark 4500",
            "held by the engine, once there is a trade of entry",
            "it is for 3 now",
            "amended before it was handed over: qty 4 stop 4495 (request moved)",
            "its stop price has traded",
            "its time has come: a market order of 3 in all",
            "SUBMITTED: handed over to the broker",
            "nothing depends on it any more",
        ],
    );
    check_output(
        &["explain", path(&log), "--order", "spare"],
        &["CANCELLED before it was handed over: OPERATOR"],
    );
    check_output(&["verify", path(&log)], &[]);
}

/// A venue reports a trade of an order that it was not sent: what is let go later is the rest, and
/// the rules are run again over that.
#[test]
fn explain_judges_what_was_let_go_and_not_what_had_traded() {
    let mut script = Script::new(settings());
    script.mark(ES, "4500");
    let [stop, target, entry] = ["stop", "target", "entry"].map(|name| script.id(name));
    let bracket = Bracket::new(ES, Side::Buy, Qty(4), px("4490"), px("4520")).limit(px("4500"));
    bracket.inputs([stop, target, entry]).into_iter().for_each(|input| script.take(input));
    script.fill(stop, "X1", 1, "4490");
    script.fill(entry, "X2", 4, "4500");
    script.mark(ES, "4489");
    let cancel = script.engine.order(target).unwrap().requests.iter().next().unwrap().id;
    script.status(target, StatusKind::Cancelled, cancel);
    let log = script.stop();
    let explained = replay(&["explain", path(&log), "--order", "stop"]);
    assert!(explained.stdout.contains("a market order of 4 in all"), "{}", explained.stdout);
    assert!(!explained.stdout.contains("is another than"), "{}", explained.stdout);
}
