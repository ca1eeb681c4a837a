//! `replay export`, over the logs of scenarios: every row against what `events` and `state` say
//! of the same log, every form against the others, Parquet read by whoever else is on the machine.

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use trade_engine::broker::{Broker, Message, Reports};
use trade_engine::codec::FLAG_END;
use trade_engine::embedded::{TradeEngine, text_inputs};
use trade_engine::event::{Body, Event, Record};
use trade_engine::input::{ExecKey, Input, SignalSide, StatusKind, Subject};
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::journal::{Journal, JournalOptions, LogReader, layout};
use trade_engine::order::{ClOrdId, Flags, OrdType, Tif};
use trade_engine::settings::{Capacity, Limits, RiskSettings, Settings};
use trade_engine::strategy::Bracket;
use trade_engine::units::{Money, Price, Qty, Ratio, Side, Ts, write_decimal};
use trade_engine_tools::names::Names;
use trade_engine_tools::rows;

const TABLES: [&str; 5] = ["orders", "executions", "positions", "equity", "verdicts"];

type Rows = Vec<Map<String, Value>>;

/// Runs one of our programs.
fn run<A: AsRef<OsStr>>(program: &str, arguments: &[A]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}

fn replay<A: AsRef<OsStr>>(arguments: &[A]) -> Output {
    run(env!("CARGO_BIN_EXE_replay"), arguments)
}

/// Standard output of a program that ended well.
fn good(output: Output) -> String {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {complaint}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

fn refused(output: &Output, words: &str) {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains(words), "no {words:?} in {complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert_eq!(output.status.code(), Some(2), "{complaint}");
}

/// Something of everything. `RUNS=100` takes all other scenarios, too.
const RICH: [&str; 7] = [
    "busts",
    "corrections_are_no_fills",
    "currencies",
    "halts",
    "risk_losses",
    "simulated",
    "unknown_orders",
];

fn scenarios() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scenarios");
    let entries = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "jsonl")).collect();
    let is_rich = |path: &PathBuf| RICH.iter().any(|name| path.file_stem().unwrap() == *name);
    files.sort_by_key(|path| (!is_rich(path), path.clone()));
    let runs = std::env::var("RUNS").map_or(RICH.len(), |text| text.parse().expect("a number"));
    files.truncate(runs);
    files
}

/// Names that would do something to a terminal or a line of CSV.
const WILD: &str = concat!(
    r#"{"instruments":[{"symbol":"ES","tick_size":"0.25","multiplier":"50"}]}"#,
    "\n",
    r#"{"order":{"id":"a,\"b\"\u001b[2J\n=1+1","symbol":"ES","side":"buy","qty":"3","#,
    r#""type":"limit","price":"100"}}"#,
    "\n",
    r#"{"exec":{"order":"a,\"b\"\u001b[2J\n=1+1","type":"partial_fill","exec_id":"\u202ex","#,
    r#""qty":"1","price":"99.123456789","commission":"0.000000000000000001"}}"#,
    "\n",
);

/// The log of a scenario, in `place`.
fn log_of(scenario: &Path, place: &Path) -> PathBuf {
    let log = place.join("log");
    let arguments = [scenario.as_os_str(), OsStr::new("--log"), log.as_os_str()];
    good(run(env!("CARGO_BIN_EXE_scenario"), &arguments));
    log
}

fn wild_log(place: &Path) -> PathBuf {
    let scenario = place.join("wild.jsonl");
    fs::write(&scenario, WILD).unwrap();
    log_of(&scenario, place)
}

/// All tables in all forms.
fn export_all(log: &Path, place: &Path) {
    for format in ["csv", "jsonl", "parquet"] {
        let (log, out) = (log.as_os_str(), place.as_os_str());
        let [format, form, into] = ["--format", format, "--out"].map(OsStr::new);
        good(replay(&[OsStr::new("export"), log, format, form, into, out]));
    }
}

fn lines(text: &str) -> Rows {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn from_json(place: &Path, table: &str) -> Rows {
    lines(&fs::read_to_string(place.join(table).with_extension("jsonl")).unwrap())
}

/// CSV knows no types: every value as JSON Lines has it, as text.
fn check_csv(place: &Path, table: &str, rows: &Rows) {
    let mut csv = csv::Reader::from_path(place.join(table).with_extension("csv")).unwrap();
    let names: Vec<String> = csv.headers().unwrap().iter().map(str::to_owned).collect();
    let mut count = 0;
    for (record, row) in csv.records().zip(rows) {
        let record = record.unwrap();
        assert!(row.keys().eq(&names), "{table}: {names:?}");
        for (cell, value) in record.iter().zip(row.values()) {
            let expected = match value {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                    value.to_string()
                }
            };
            assert_eq!(cell, expected, "{table}: {row:?}");
        }
        count += 1;
    }
    assert_eq!(count, rows.len());
}

/// As the tests compare rows: times as nanoseconds.
fn in_nanos(rows: &Rows) -> Rows {
    let mut rows = rows.clone();
    for row in &mut rows {
        for name in ["time", "created", "handed_over", "ended"] {
            let Some(value) = row.get_mut(name).filter(|value| !value.is_null()) else { continue };
            let time: jiff::Timestamp = value.as_str().unwrap().parse().unwrap();
            assert_eq!(value.as_str().unwrap().len(), "2026-01-05T15:00:00.000000000Z".len());
            *value = i64::try_from(time.as_nanosecond()).unwrap().into();
        }
    }
    rows
}

/// Parquet as another reader of the format has it, without a library for tables.
#[expect(clippy::wildcard_enum_match_arm, reason = "all other types would be wrong ones")]
fn from_parquet(path: &Path) -> Rows {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let value = |field: &Field| match field {
        Field::Null => Value::Null,
        Field::Bool(flag) => (*flag).into(),
        Field::ULong(number) => (*number).into(),
        Field::Str(text) => text.clone().into(),
        Field::Long(nanos) => (*nanos).into(),
        Field::Decimal(decimal) => {
            let big_endian = decimal.data();
            let fill = if big_endian[0] & 0x80 == 0 { 0 } else { 0xff };
            let mut bytes = [fill; 16];
            bytes.iter_mut().zip(big_endian.iter().rev()).for_each(|(to, from)| *to = *from);
            let mut text = String::new();
            let scale = u32::try_from(decimal.scale()).unwrap();
            write_decimal(&mut text, i128::from_le_bytes(bytes), scale).unwrap();
            text.into()
        }
        other => panic!("{other:?}"),
    };
    let rows = reader.get_row_iter(None).unwrap().map(Result::unwrap);
    rows.map(|row| {
        row.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect()
    })
    .collect()
}

/// What `events` shows of these kinds, and the rows that stand for them.
fn check_against_events(place: &Path, events: &Rows, table: &str, kinds: &[(&str, &str)]) {
    let rows = from_json(place, table);
    let wanted = |event: &&Map<String, Value>| kinds.iter().any(|(kind, _)| event["kind"] == *kind);
    let events: Vec<_> = events.iter().filter(wanted).collect();
    assert_eq!(rows.len(), events.len(), "{table}");
    for (row, event) in rows.iter().zip(events) {
        assert_eq!(row["seq"], event["seq"]);
        let (_, said) = kinds.iter().find(|(kind, _)| event["kind"] == *kind).unwrap();
        let class = row.get("kind").or(row.get("finding"));
        assert!(class.is_none_or(|class| class == said), "{row:?} {event:?}");
        let fields = ["last_qty", "last_px", "cum_qty", "commission", "side", "state", "symbol"];
        for name in fields.into_iter().chain(["rule", "qty", "open_cost"]) {
            // Quantities of a symbol that nobody knows are in lots, as `events` has them.
            if let (Some(found), Some(expected)) = (row.get(name), event.get(name)) {
                let exact = found.as_str().map(|text| text.parse::<Money>());
                let found = match exact.filter(|_| ["commission", "open_cost"].contains(&name)) {
                    Some(exact) => Value::String(exact.unwrap().to_string()),
                    None => found.clone(),
                };
                assert_eq!(found, *expected, "{name} of {row:?} and {event:?}");
            }
        }
        if table == "verdicts" {
            check_finding(row, event);
        }
    }
}

/// What was measured against what, and what came of it. A rule that says yes or no measures nothing.
fn check_finding(row: &Map<String, Value>, event: &Map<String, Value>) {
    for name in ["number", "limit"] {
        let expected = if row[name].is_null() { &json!("0") } else { &row[name] };
        assert_eq!(event[name], *expected, "{name} of {row:?} and {event:?}");
    }
    assert_eq!(row["is_refused"], *event.get("refused").unwrap_or(&json!(true)), "{row:?}");
    let ran = event.get("ran").map(|rules| rules.as_u64().unwrap().count_ones());
    assert_eq!(row["rules_ran"], json!(ran), "{row:?} {event:?}");
}

/// A bust and a correction name an execution before them; a trade names none.
fn check_references(rows: &Rows) {
    for (at, row) in rows.iter().enumerate() {
        let is_known = rows[..at].iter().any(|other| other["exec_key"] == row["exec_ref_key"]);
        let is_trade = row["kind"] == "trade";
        assert!(if is_trade { row["exec_ref_key"].is_null() } else { is_known }, "{row:?}");
    }
}

fn state_of(log: &Path) -> Value {
    let state = good(replay(&[OsStr::new("state"), log.as_os_str(), "--json".as_ref()]));
    serde_json::from_str(&state).unwrap()
}

/// The last row of the curve.
fn check_account(place: &Path, state: &Value) {
    let rounded = |value: &Value| value.as_str().unwrap().parse::<Money>().unwrap().to_string();
    let equity = from_json(place, "equity");
    let last = equity.last().expect("the account before the first order, at least");
    for name in ["equity", "realized_pnl", "unrealized_pnl", "commission"] {
        assert_eq!(rounded(&last[name]), state["account"][name].as_str().unwrap(), "{name}");
    }
    assert_eq!(last["is_halted"], state["account"]["halted"]);
}

/// The orders held at the end, the positions and the account, as `state` has them.
fn check_against_state(place: &Path, log: &Path) {
    let state = state_of(log);
    let rounded = |value: &Value| value.as_str().unwrap().parse::<Money>().unwrap().to_string();
    let orders = from_json(place, "orders");
    let held = state["orders"].as_array().unwrap();
    for (row, order) in orders[orders.len() - held.len()..].iter().zip(held) {
        for name in ["order_qty", "cum_qty", "leaves_qty", "price", "stop_price", "avg_px", "side"]
            .into_iter()
            .chain(["type", "tif", "state", "ord_status", "slippage"])
        {
            assert_eq!(row[name], order[name], "{name} of {row:?}");
        }
        let is_final = ["FILLED", "CANCELLED", "REJECTED", "EXPIRED"]
            .contains(&order["state"].as_str().unwrap());
        assert_eq!(row["ended"].is_null(), !is_final, "{row:?}");
    }
    for position in state["positions"].as_array().unwrap() {
        let rows = from_json(place, "positions");
        let Some(last) = rows.iter().rfind(|row| row["symbol"] == position["symbol"]) else {
            continue;
        };
        assert_eq!(last["avg_px"], position["avg_px"]);
        assert_eq!(rounded(&last["realized_pnl"]), position["realized_pnl"].as_str().unwrap());
        assert_eq!(rounded(&last["commission"]), position["commission"].as_str().unwrap());
    }
    check_account(place, &state);
    let equity = from_json(place, "equity");
    let figures =
        |row: &Map<String, Value>| -> Vec<Value> { row.values().skip(2).cloned().collect() };
    assert!(equity.windows(2).all(|two| figures(&two[0]) != figures(&two[1])), "a row twice");
}

#[test]
fn every_row_is_what_the_log_says_in_every_form() {
    let mut counts = [0; 5];
    for scenario in scenarios() {
        let place = tempfile::tempdir().unwrap();
        let log = log_of(&scenario, place.path());
        export_all(&log, place.path());
        for (table, count) in TABLES.iter().zip(&mut counts) {
            let rows = from_json(place.path(), table);
            *count += rows.len();
            check_csv(place.path(), table, &rows);
            let parquet = from_parquet(&place.path().join(table).with_extension("parquet"));
            assert_eq!(parquet, in_nanos(&rows), "{table} of {}", scenario.display());
        }
        let events = ["events".as_ref(), log.as_os_str(), "--json".as_ref()];
        let events = lines(&good(replay(&events)));
        let executions = [("traded", "trade"), ("busted", "bust"), ("corrected", "correction")];
        check_against_events(place.path(), &events, "executions", &executions);
        check_references(&from_json(place.path(), "executions"));
        let positions = [("position", ""), ("position_opened", "")];
        check_against_events(place.path(), &events, "positions", &positions);
        let verdicts = [("verdict", "tightest"), ("broken", "broken")];
        check_against_events(place.path(), &events, "verdicts", &verdicts);
        let is_new = |event: &&Map<String, Value>| {
            ["created", "unassigned"].iter().any(|kind| event["kind"] == *kind)
        };
        let orders = from_json(place.path(), "orders");
        assert_eq!(orders.len(), events.iter().filter(is_new).count(), "a row an order");
        check_against_state(place.path(), &log);
    }
    println!("rows of {TABLES:?}: {counts:?}");
    assert!(counts.iter().all(|count| *count > 20), "{counts:?}");
}

#[test]
fn figures_are_exact_and_words_are_written_out() {
    let place = tempfile::tempdir().unwrap();
    let log = wild_log(place.path());
    export_all(&log, place.path());
    let executions = from_json(place.path(), "executions");
    let name = r#"a,"b"\u{1b}[2J\n=1+1"#;
    assert_eq!(executions.len(), 1);
    for (column, expected) in [
        ("order", name),
        ("exec_id", "\\u{202e}x"),
        ("last_px", "99.123456789"),
        ("commission", "0.000000000000000001"),
        ("time", "2026-01-05T15:00:00.001000000Z"),
    ] {
        assert_eq!(executions[0][column], expected);
    }
    let position = &from_json(place.path(), "positions")[0];
    assert_eq!(position["open_cost"], "4956.17283945");
    assert_eq!(position["realized_pnl"], "-0.000000000000000001");
    for table in TABLES {
        for form in ["csv", "jsonl", "parquet"] {
            let bytes = fs::read(place.path().join(table).with_extension(form)).unwrap();
            assert!(!bytes.windows(4).any(|four| four == b"\x1b[2J"), "{table}.{form}");
        }
        check_csv(place.path(), table, &from_json(place.path(), table));
    }
}

#[test]
fn files_are_replaced_only_if_asked_and_never_half_written() {
    let place = tempfile::tempdir().unwrap();
    let log = wild_log(place.path());
    let log = log.to_str().unwrap();
    let file = place.path().join("mine.csv");
    let out = file.to_str().unwrap();
    let one = ["export", log, "--what", "equity", "--out", out];
    fs::write(&file, "mine").unwrap();
    refused(&replay(&one), "is there already; --force replaces it");
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    good(replay(&[&one[..], &["--force"]].concat()));
    assert!(fs::read_to_string(&file).unwrap().starts_with("seq,time,currency,equity,"));

    refused(&replay(&["export", log, "--out", out]), "--format is missing");
    let nameless = place.path().join("nameless");
    let nameless = nameless.to_str().unwrap();
    refused(&replay(&["export", log, "--what", "orders", "--out", nameless]), "--format");

    // One of five is there: none is written, and nothing is left behind.
    let dir = place.path().join("tables");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("verdicts.jsonl"), "mine").unwrap();
    let all = ["export", log, "--format", "jsonl", "--out", dir.to_str().unwrap()];
    refused(&replay(&all), "verdicts.jsonl: is there already");
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);

    // A log that is damaged gives no table of what comes before: in its middle, or behind its end,
    // where nothing was when it was sealed.
    let segment = Path::new(log).join("00000001.seg");
    let whole = fs::read(&segment).unwrap();
    let new = place.path().join("new.csv");
    for at in [4_096 + 64 * 3 + 20, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&segment, bytes).unwrap();
        let output = replay(&["export", log, "--what", "orders", "--out", new.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "byte {at}");
        assert!(!new.exists(), "byte {at}");
    }
    let hidden = |entry: fs::DirEntry| entry.file_name().to_str().unwrap().starts_with('.');
    assert!(!fs::read_dir(place.path()).unwrap().any(|entry| hidden(entry.unwrap())));
}

const ES: InstrumentId = InstrumentId(0);
const BTC: InstrumentId = InstrumentId(1);

/// Takes everything and says nothing: the test is the venue.
struct Silent;

impl Broker for Silent {
    fn on_message(&mut self, _ts: Ts, _message: &Message, _reports: &mut Reports) {}
}

fn px(text: &str) -> Price {
    text.parse().unwrap()
}

/// An engine of six orders at most, and what it was in after every input: the rows to come.
struct Live {
    engine: TradeEngine<Silent>,
    names: Names,
    now: i64,
    orders: BTreeMap<String, Value>,
    retired: Vec<String>,
    equity: Vec<Value>,
    positions: Vec<Value>,
}

impl Live {
    fn new(log: &Path) -> Self {
        let es = Instrument::plain("ES", px("0.25"), 1_000_000_000, 50_000_000_000);
        let btc = Instrument::plain("BTC", px("0.01"), 100_000, 1_000_000_000);
        let mut settings = Settings::new("100000".parse().unwrap(), vec![es, btc]);
        settings.strategies = vec!["swing".to_owned()];
        settings.capacity = Capacity { orders: 6, executions: 64, checkpoint_interval_slots: 64 };
        let limits = Limits { max_drawdown_pct: Some(Ratio(300_000_000)), ..Limits::OFF };
        settings.risk = RiskSettings { limits, ..RiskSettings::OFF };
        let options = JournalOptions { segment_size: 65_536, ..JournalOptions::default() };
        let journal = Journal::create(log, options).unwrap();
        let mut live = Self {
            engine: TradeEngine::with_journal(settings, Silent, journal).unwrap(),
            names: Names::default(),
            // 2026-01-05T15:00:00.123456789Z: no clock ticks in microseconds.
            now: 1_767_625_200_123_456_789,
            orders: BTreeMap::new(),
            retired: Vec::new(),
            equity: Vec::new(),
            positions: Vec::new(),
        };
        live.look(&[]);
        live
    }

    fn take(&mut self, input: &Input) {
        self.now += 1_000_001;
        let range = self.engine.input_at(Ts(self.now), input).unwrap();
        let records: Vec<Record> = self.engine.records(range).collect();
        for record in &records {
            self.names.observe(record, Some(self.engine.state()));
        }
        self.look(&records);
    }

    fn look(&mut self, records: &[Record]) {
        let (state, names) = (self.engine.state(), &self.names);
        for record in records {
            if let Body::Event(Event::Closed { order }) = record.body {
                self.retired.push(names.name(order));
            }
        }
        let decimal = |price: Option<Price>| price.map(|price| price.to_string());
        for order in state.orders().iter() {
            let mut row = rows::order(state, names, order);
            let was = self.orders.get(&names.name(order.id)).map(|row| row["ended"].clone());
            let ended = match was.filter(|was| !was.is_null()) {
                _ if !order.state.is_final() => Value::Null,
                Some(was) => was,
                None => self.now.into(),
            };
            row["order"] = row["id"].clone();
            row["strategy"] = json!(rows::strategy(state, order.strategy));
            row["currency"] = "USD".into();
            row["decision_px"] = json!(decimal(order.decision_px));
            row["arrival_px"] = json!(decimal(order.arrival_px));
            row["created"] = order.created.0.into();
            row["handed_over"] = order.handed_over.0.into();
            row["ended"] = ended;
            self.orders.insert(names.name(order.id), row);
        }
        let account = state.account();
        let mut row = json!({
            "equity": account.equity().to_string(),
            "realized_pnl": account.net_realized().to_string(),
            "unrealized_pnl": account.unrealized().to_string(),
            "commission": account.commission().to_string(),
            "peak_equity": account.peak_equity().to_string(),
            "day_start_equity": account.day_start_equity().to_string(),
            "is_whole": account.equity_is_whole(),
            "is_halted": state.halted().is_some(),
        });
        let figures = |row: &Value| row.as_object().unwrap().values().take(8).cloned().collect();
        let last: Option<Vec<Value>> = self.equity.last().map(figures);
        if last != Some(figures(&row)) {
            row["time"] = state.ts().0.into();
            self.equity.push(row);
        }
        let moved = |record: &Record| {
            let Body::Event(Event::Position { instrument, .. }) = record.body else { return None };
            Some(instrument)
        };
        for instrument in records.iter().filter_map(moved) {
            let book = state.book(instrument).unwrap();
            self.positions.push(json!({
                "time": self.now,
                "symbol": book.spec.symbol,
                "qty": book.spec.qty_text(book.position.qty),
                "mark": decimal(book.market.price),
                "unrealized_pnl": rows::unrealized(book).map(|money| money.to_string()),
            }));
        }
    }

    fn text(&mut self, subject: Subject, id: ClOrdId, text: &str) {
        text_inputs(subject, id, text).for_each(|input| self.take(&input));
    }

    fn id(&mut self, name: &str) -> ClOrdId {
        let id = self.engine.next_id();
        self.text(Subject::Name, id, name);
        id
    }

    fn mark(&mut self, instrument: InstrumentId, price: &str) {
        self.take(&Input::Mark { instrument, price: px(price), bid: None, ask: None });
    }

    fn limit(&mut self, name: &str, instrument: InstrumentId, lots: i64, price: &str) -> ClOrdId {
        let id = self.id(name);
        self.take(&Input::Order {
            id,
            instrument,
            side: if lots < 0 { Side::Sell } else { Side::Buy },
            ord_type: OrdType::Limit,
            tif: Tif::Gtc,
            strategy: 1,
            flags: Flags::default(),
            qty: Qty(lots.abs()),
            price: Some(px(price)),
            stop_price: None,
            expire_at: None,
            defect: None,
        });
        id
    }

    /// A trade; without words of the venue if `exec` is empty.
    fn fill(&mut self, order: ClOrdId, exec: &str, lots: i64, price: &str) {
        if !exec.is_empty() {
            self.text(Subject::ExecId, ClOrdId::NONE, exec);
        }
        let known = self.engine.order(order).expect("it is held");
        let (instrument, side) = (known.instrument, known.side);
        self.take(&Input::Trade {
            order,
            exec: ExecKey::new(0, &format!("{exec} {}", self.now), order, side),
            qty: Qty(lots),
            price: px(price),
            commission: "2.05".parse().unwrap(),
            instrument,
            side,
            venue_says_filled: false,
            defect: None,
        });
    }
}

/// A crash leaves the last trade without what follows from it: the account is in the last row, as
/// far as it came.
fn check_a_group_that_was_cut(log: &Path, place: &Path) {
    let cut = place.join("log");
    fs::create_dir_all(&cut).unwrap();
    let name = layout::segment_name(1);
    let mut bytes = fs::read(log.join(&name)).unwrap();
    let mut reader = LogReader::open(log).unwrap();
    let mut end = 0;
    while let Some(slots) = reader.next_record().unwrap() {
        if matches!(Record::decode(slots).unwrap().body, Body::Event(Event::Traded { .. })) {
            end = usize::try_from(reader.bookmark().position.offset).unwrap();
        }
    }
    assert_eq!(reader.bookmark().position.segment, 1);
    bytes[end..].fill(0);
    fs::write(cut.join(&name), bytes).unwrap();
    export_all(&cut, place);
    check_account(place, &state_of(&cut));
}

/// A short sale, lots of a ten thousandth, a bracket whose exits wait, orders that end and are
/// retired since there is room for six; at its end a trade.
fn story(log: &Path) -> Live {
    let mut live = Live::new(log);
    live.mark(ES, "4500");
    live.mark(BTC, "40000");
    let coins = live.limit("coins", BTC, -5_000, "40000");
    live.fill(coins, "X1", 2_500, "40000.5");
    live.mark(BTC, "41000");
    live.fill(coins, "", 2_500, "40000.25");
    live.take(&Input::DayRoll {});
    let [stop, target, entry] = ["stop", "target", "entry"].map(|name| live.id(name));
    let bracket = Bracket::new(ES, Side::Buy, Qty(2), px("4490"), px("4520")).limit(px("4500"));
    bracket.inputs([stop, target, entry]).iter().for_each(|input| live.take(input));
    live.fill(entry, "X2", 2, "4499.75");
    live.mark(ES, "4480");
    let cancel = live.engine.order(target).unwrap().requests.iter().next().unwrap().id;
    live.take(&Input::Status { order: target, kind: StatusKind::Cancelled, request: cancel });
    live.fill(stop, "X3", 1, "4489.5");
    live.fill(stop, "X4", 1, "4489.25");
    for at in 0..9 {
        let order = live.limit(&format!("one of many {at}"), ES, 1, "4500");
        live.text(Subject::Venue, order, "no credit");
        live.take(&Input::Status { order, kind: StatusKind::Rejected, request: ClOrdId::NONE });
    }
    let open = live.limit("open", ES, -1, "4600");
    live.mark(ES, "4470.25");
    let id = live.id("decided elsewhere");
    live.take(&Input::Signal {
        id,
        instrument: ES,
        side: SignalSide::Buy,
        strategy: 1,
        strength: Ratio::ONE,
        price: Some(px("4471")),
        stop_price: None,
        qty: Some(Qty(1)),
        defect: None,
    });
    live.fill(open, "X5", 1, "4600.25");
    live
}

/// As the engine had it, every row.
#[test]
fn every_row_is_what_the_engine_was_in() {
    let place = tempfile::tempdir().unwrap();
    let log = place.path().join("log");
    let live = story(&log);
    check_a_group_that_was_cut(&log, &place.path().join("cut"));
    let Live { engine, orders, retired, equity, positions, .. } = live;
    let is_end = |record: &Record| record.head.flags & FLAG_END != 0;
    let ends: Vec<Record> = engine.records(0..engine.log().len()).filter(is_end).collect();
    drop(engine.stop().unwrap());
    assert!(retired.len() > 5 && retired.iter().any(|name| name == "coins"), "{retired:?}");

    export_all(&log, place.path());
    let same = |row: &Map<String, Value>, expected: &Value| {
        for (name, found) in row.iter().filter(|(name, _)| expected.get(name).is_some()) {
            let expected = &expected[name];
            let is_money =
                name.ends_with("equity") || name.ends_with("pnl") || name == "commission";
            let money = |value: &Value| value.as_str().unwrap().parse::<Money>().unwrap();
            match is_money && !expected.is_null() {
                true => assert_eq!(money(found), money(expected), "{name} of {row:?}"),
                false => assert_eq!(found, expected, "{name} of {row:?}"),
            }
        }
    };
    let rows = in_nanos(&from_json(place.path(), "orders"));
    assert_eq!(rows.len(), orders.len());
    for (at, row) in rows.iter().enumerate() {
        let name = row["order"].as_str().unwrap();
        assert!(retired.get(at).is_none_or(|retired| retired == name), "{name} at {at}");
        same(row, &orders[name]);
    }
    let rows = in_nanos(&from_json(place.path(), "equity"));
    assert_eq!(rows.len(), equity.len(), "a row each input that moved the account");
    for (row, expected) in rows.iter().zip(&equity) {
        same(row, expected);
        assert!(ends.iter().any(|end| row["seq"] == end.head.seq), "within a group: {row:?}");
    }
    let rows = in_nanos(&from_json(place.path(), "positions"));
    assert_eq!(rows.len(), positions.len());
    rows.iter().zip(&positions).for_each(|(row, expected)| same(row, expected));
    let executions = from_json(place.path(), "executions");
    let ids: Vec<_> = executions.iter().map(|row| row["exec_id"].as_str()).collect();
    assert_eq!(ids, [Some("X1"), None, Some("X2"), Some("X3"), Some("X4"), Some("X5")]);
    for table in TABLES {
        let parquet = from_parquet(&place.path().join(table).with_extension("parquet"));
        assert_eq!(parquet, in_nanos(&from_json(place.path(), table)), "{table}");
    }
}

/// `PYTHON=/some/venv/bin/python cargo test --test export_tool` names another interpreter.
#[test]
fn duckdb_polars_and_pandas_read_what_was_meant() {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/export/read.py");
    let place = tempfile::tempdir().unwrap();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scenarios");
    let log = log_of(&dir.join("currencies.jsonl"), place.path());
    export_all(&log, place.path());
    for library in ["duckdb", "polars", "pandas"] {
        let known = Command::new(&python).args(["-c", &format!("import {library}")]).output();
        if !known.is_ok_and(|output| output.status.success()) {
            println!("skipped: {python} has no {library}");
            continue;
        }
        for table in TABLES {
            let path = place.path().join(table).with_extension("parquet");
            let arguments = [script.as_os_str(), OsStr::new(library), path.as_os_str()];
            let read = lines(&good(run(&python, &arguments)));
            assert_eq!(read, in_nanos(&from_json(place.path(), table)), "{library}: {table}");
        }
        println!("{library} reads all {} tables", TABLES.len());
    }
}
