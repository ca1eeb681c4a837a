//! `replay export`, over the logs of scenarios: every row against what `events` and `state` say
//! of the same log, every form against the others, Parquet read by whoever else is on the machine.

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Map, Value};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use trade_engine::units::{Money, write_decimal};

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
        Field::Long(nanos) | Field::TimestampMicros(nanos) => (*nanos).into(),
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
    }
}

/// The orders held at the end, the positions and the account, as `state` has them.
fn check_against_state(place: &Path, log: &Path) {
    let state = good(replay(&[OsStr::new("state"), log.as_os_str(), "--json".as_ref()]));
    let state: Value = serde_json::from_str(&state).unwrap();
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
    let equity = from_json(place, "equity");
    let last = equity.last().expect("the account before the first order, at least");
    for name in ["equity", "realized_pnl", "unrealized_pnl", "commission"] {
        assert_eq!(rounded(&last[name]), state["account"][name].as_str().unwrap(), "{name}");
    }
    assert_eq!(last["is_halted"], state["account"]["halted"]);
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

    // A log that is damaged in its middle gives no table of what comes before.
    let segment = Path::new(log).join("00000001.seg");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[4_096 + 64 * 3 + 20] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let new = place.path().join("new.csv");
    let output = replay(&["export", log, "--what", "orders", "--out", new.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!new.exists());
    let hidden = |entry: fs::DirEntry| entry.file_name().to_str().unwrap().starts_with('.');
    assert!(!fs::read_dir(place.path()).unwrap().any(|entry| hidden(entry.unwrap())));
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
