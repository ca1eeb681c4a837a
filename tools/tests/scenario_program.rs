//! The program `scenario`: exit statuses, where errors point, the trace, standard input, the log.

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use trade_engine::journal::LogReader;
use trade_engine::replay::Replay;
use trade_engine::settings::LimitKey;

const SETTING: &str = r#"{"instruments":[{"symbol":"ES","tick_size":"0.25","multiplier":"50"}]}"#;

fn scenario(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_scenario"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    // A program that refuses its arguments does not read; that is not this test's concern.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("the program ends")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// Runs lines behind the setting; they must be refused at `line`, saying `what`.
fn malformed(lines: &str, line: usize, what: &str) {
    let output = scenario(&["-"], &format!("{SETTING}\n{lines}"));
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{lines}: {error}");
    assert_eq!(text(&output.stdout), "", "{lines}");
    assert!(error.starts_with(&format!("-:{line}: ")), "{lines}: {error}");
    assert!(error.contains(what), "{lines}: expected {what:?} in {error:?}");
}

fn malformed_setting(setting: &str, what: &str) {
    let output = scenario(&["-"], &format!("# a comment\n\n{setting}\n{{\"day_roll\":{{}}}}\n"));
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{setting}: {error}");
    assert_eq!(text(&output.stdout), "", "{setting}");
    assert!(error.starts_with("-:3: "), "{setting}: {error}");
    assert!(error.contains(what), "{setting}: expected {what:?} in {error:?}");
}

#[test]
fn a_malformed_step_is_named_by_its_line_and_nothing_runs() {
    let mark = r#"{"mark":{"symbol":"ES","price":"1"}}"#;
    malformed(&format!("{mark}\n# comment\n\n{mark}\n{{\"mark\""), 6, "EOF");
    malformed("{\"mark\":{\"symbol\":\"ES\",\"price\":\"1\"}} x", 2, "trailing");
    malformed("[]", 2, "object");
    malformed("{}", 2, "missing key");
    malformed(r#"{"at":"2026-01-05T15:00:00Z"}"#, 2, "missing key");
    malformed(r#"{"marks":{}}"#, 2, "unknown key `marks`");
    malformed(r#"{"day_roll":{},"cancel_all":{}}"#, 2, "in one step");
    malformed(r#"{"day_roll":{"x":1}}"#, 2, "unknown key `x`");
    malformed(r#"{"day_roll":[]}"#, 2, "expected an object, found a list");
    malformed(r#"{"day_roll":{},"at":"yesterday"}"#, 2, "RFC 3339");
    malformed(r#"{"day_roll":{},"at":1}"#, 2, "expected a string, found an integer");
    malformed(r#"{"day_roll":{},"at":"2500-01-01T00:00:00Z"}"#, 2, "1677 to 2262");
    malformed(r#"{"day_roll":{},"day_roll":{}}"#, 2, "`day_roll` is there twice");
    malformed(r#"{"mark":{"symbol":"ES","price":"1","price":"2"}}"#, 2, "`price` is there twice");
    malformed(r#"{"mark":{"symbol":"ES"}}"#, 2, "missing key `price`");
    malformed(r#"{"mark":{"symbol":"ES","price":1}}"#, 2, "mark.price: expected a decimal");
    malformed(r#"{"mark":{"symbol":"ES","price":"1e5"}}"#, 2, "no decimal");
    malformed(r#"{"mark":{"symbol":"ES","price":""}}"#, 2, "no decimal");
    malformed(r#"{"mark":{"symbol":"ES","price":null}}"#, 2, "found null");
    malformed(r#"{"mark":{"symbol":5,"price":"1"}}"#, 2, "mark.symbol");
    malformed(
        r#"{"order":{"id":"A","symbol":"ES","side":"long","qty":"1","type":"market"}}"#,
        2,
        "buy, sell",
    );
    malformed(
        r#"{"order":{"id":"A","symbol":"ES","side":"buy","qty":1,"type":"market"}}"#,
        2,
        "order.qty",
    );
    malformed(
        r#"{"order":{"id":"A","symbol":"ES","side":"buy","qty":"1","type":"limit"}}"#,
        2,
        "`price`",
    );
    malformed(
        r#"{"order":{"id":"A","symbol":"ES","side":"buy","qty":"1","type":"stop"}}"#,
        2,
        "`stop_price`",
    );
    malformed(
        r#"{"order":{"id":"A","symbol":"ES","side":"buy","qty":"1","type":"market","tif":"gtd"}}"#,
        2,
        "`expire_at`",
    );
    malformed(
        r#"{"order":{"id":"A","symbol":"ES","side":"buy","qty":"1","type":"market","reduce_only":"yes"}}"#,
        2,
        "true or false",
    );
    malformed(r#"{"replace":{"id":"A","order":"B"}}"#, 2, "`qty`, `price` or `stop_price`");
    malformed(r#"{"exec":{"order":"A"}}"#, 2, "missing key `type`");
    malformed(r#"{"exec":{"order":"A","type":"filled"}}"#, 2, "unknown");
    malformed(r#"{"exec":{"order":"A","type":"not_sent"}}"#, 2, "unknown");
    malformed(r#"{"exec":{"order":"A","type":"rejected"}}"#, 2, "missing key `reason`");
    malformed(
        r#"{"exec":{"order":"A","type":"accepted","request":"B"}}"#,
        2,
        "unknown key `request`",
    );
    malformed(r#"{"exec":{"order":"A","type":"fill","qty":"1","price":"1"}}"#, 2, "`exec_id`");
    malformed(r#"{"halt":{}}"#, 2, "missing key `reason`");
    malformed(r#"{"signal":{"id":"A","symbol":"ES","side":"buy"}}"#, 2, "missing key `strength`");
    malformed(
        r#"{"bar":{"symbol":"ES","open":"1","high":"1","low":"1","close":"1","volume":1.5}}"#,
        2,
        "bar.volume",
    );
}

#[test]
fn a_bust_and_a_correction_have_keys_of_their_own() {
    let exec = |rest: &str| format!(r#"{{"exec":{{"order":"A","type":{rest}}}}}"#);
    malformed(&exec(r#""trade_bust","exec_id":"2""#), 2, "missing key `exec_ref`");
    malformed(&exec(r#""trade_bust","exec_ref":"1""#), 2, "missing key `exec_id`");
    malformed(
        &exec(r#""trade_bust","exec_id":"2","exec_ref":"1","qty":"1""#),
        2,
        "unknown key `qty`",
    );
    let correct = r#""trade_correct","exec_id":"2","exec_ref":"1""#;
    malformed(&exec(correct), 2, "missing key `qty`");
    malformed(&exec(&format!(r#"{correct},"qty":"1""#)), 2, "missing key `price`");
    malformed(&exec(&format!(r#"{correct},"qty":"1","price":1"#)), 2, "exec.price");
    malformed(
        &exec(&format!(r#"{correct},"qty":"1","price":"1","commission":"1""#)),
        2,
        "unknown key `commission`",
    );
}

/// Every key of `risk`, `account` and `broker` reads, each in its unit.
#[test]
fn every_key_of_the_setting_is_known() {
    let taken = |setting: &str| {
        let output = scenario(&["-"], setting);
        assert_eq!(output.status.code(), Some(0), "{setting}: {}", text(&output.stderr));
    };
    let risk = |risk: &str| {
        taken(&format!(
            r#"{{"instruments":[{{"symbol":"X","tick_size":"1"}}],"risk":{{{risk}}}}}"#
        ));
    };
    for key in LimitKey::ALL {
        let value = if key.decimals() == 0 { "1" } else { r#""0.5""# };
        risk(&format!(r#""{}":{value}"#, key.name()));
        risk(&format!(r#""{}":"none""#, key.name()));
        let wrong = if key.decimals() == 0 { r#""1""# } else { "1" };
        malformed_setting(
            &format!(r#"{{"instruments":[],"risk":{{"{}":{wrong}}}}}"#, key.name()),
            &format!("risk.{}: expected", key.name()),
        );
        if key.is_scoped() {
            risk(&format!(r#""symbols":{{"X":{{"{}":{value}}}}}"#, key.name()));
        }
    }
    for value in ["true", "false", r#""refuse""#, r#""reject""#, r#""on""#, r#""allow""#] {
        risk(&format!(r#""self_match":{value}"#));
    }
    for value in ["off", "none"] {
        risk(&format!(r#""self_match":"{value}""#));
    }
    for value in ["report", "halt_instrument", "halt"] {
        risk(&format!(r#""on_anomaly":"{value}""#));
    }
    for value in ["percent_equity", "percent_margin", "fixed_risk", "volatility_target", "exact"] {
        risk(&format!(r#""sizing":"{value}","sizing_pct":"0.1","sizing_max_qty":"2.5""#));
    }
    risk(r#""margin":false,"exposure_basis":"risk","correlation_action":"refuse""#);
    risk(r#""correlation_window":3,"sizing_max_qty":"none""#);
    for method in ["average", "fifo"] {
        taken(&format!(r#"{{"instruments":[],"account":{{"cost_method":"{method}"}}}}"#));
    }
    taken(r#"{"instruments":[{"symbol":"X","tick_size":"1","currency":"EUR"}]}"#);
    taken(
        r#"{"instruments":[],"broker":{"kind":"sim","slippage_bps":"5","commission_per_contract":"2.05","commission_per_share":"0.01","commission_bps":"1","latency_ms":5,"partial_fill_qty":"0.5","reject_rate":"0.1","seed":7}}"#,
    );
}

#[test]
fn a_malformed_setting_is_named_by_its_line() {
    malformed_setting("{}", "missing key `instruments`");
    malformed_setting(r#"{"instruments":{}}"#, "expected a list");
    malformed_setting(r#"{"instruments":[{"symbol":"X"}]}"#, "missing key `tick_size`");
    let instrument =
        |more: &str| format!(r#"{{"instruments":[{{"symbol":"X","tick_size":"1"{more}}}]}}"#);
    malformed_setting(&instrument(r#","tick":"1""#), "unknown key `tick`");
    malformed_setting(&instrument(r#","multiplier":50"#), "instruments[0].multiplier");
    malformed_setting(&instrument(r#","multiplier":"0""#), "instruments[0].multiplier");
    malformed_setting(&instrument(r#","calendar":"cme""#), "unknown key `calendar`");
    malformed_setting(
        &instrument(r#","session":{"timezone":"Mars","open":"1:00","close":"02:00","days":[]}"#),
        "instruments[0].session",
    );
    malformed_setting(
        r#"{"instruments":[{"symbol":"X","tick_size":"1"},{"symbol":"X","tick_size":"1"}]}"#,
        "twice",
    );
    let risk = |risk: &str| format!(r#"{{"instruments":[],"risk":{{{risk}}}}}"#);
    malformed_setting(&risk(r#""max_position_percent":"1""#), "unknown key `max_position_percent`");
    malformed_setting(&risk(r#""max_position_pct":0.1"#), "risk.max_position_pct");
    malformed_setting(&risk(r#""max_positions":"1""#), "risk.max_positions");
    malformed_setting(&risk(r#""max_positions":-1"#), "out of range");
    malformed_setting(&risk(r#""max_open_orders":4294967296"#), "out of range");
    malformed_setting(&risk(r#""max_leverage":"-1""#), "risk.max_leverage: below zero");
    malformed_setting(&risk(r#""max_order_qty":"0.0000000001""#), "finer than the unit");
    malformed_setting(&risk(r#""self_match":"perhaps""#), "refuse, reject, on, allow, off, none");
    malformed_setting(&risk(r#""on_anomaly":"ignore""#), "report, halt_instrument, halt");
    malformed_setting(&risk(r#""sizing_max_qty":"0""#), "risk.sizing_max_qty: not above zero");
    malformed_setting(&risk(r#""symbols":{"X":{}}"#), r#"risk.symbols: no instrument "X""#);
    malformed_setting(&risk(r#""strategies":{"s":{}}"#), r#"risk.strategies: no step has "s""#);
    malformed_setting(
        &risk(r#""symbols":{"X":{"max_drawdown_pct":"0.1"}}"#),
        "risk.symbols.X: unknown key `max_drawdown_pct`",
    );
    malformed_setting(
        r#"{"instruments":[],"account":{"day_roll":{}}}"#,
        "account: unknown key `day_roll`",
    );
    malformed_setting(
        r#"{"instruments":[],"account":{"cost_method":"lifo"}}"#,
        "account.cost_method: \"lifo\"; expected average, fifo",
    );
    malformed_setting(&risk(r#""exposure_basis":"beta""#), "notional, margin, price, risk");
    malformed_setting(r#"{"instruments":[],"broker":{"kind":"real"}}"#, "script, sim");
    malformed_setting(r#"{"instruments":[],"broker":{"kind":"script","seed":1}}"#, "`seed`");
    malformed_setting(
        r#"{"instruments":[],"broker":{"kind":"sim","latency_ms":-1}}"#,
        "latency_ms",
    );
    let held = |qty: &str| {
        format!(
            r#"{{"instruments":[{{"symbol":"X","tick_size":"1"}}],"positions":[{{"symbol":"X","side":"LONG","qty":"{qty}","avg_px":"1"}}]}}"#
        )
    };
    malformed_setting(&held("0"), "positions[0]");
    malformed_setting(&held("0.5"), "positions[0].qty");
    let empty = scenario(&["-"], "");
    assert_eq!(empty.status.code(), Some(2));
    assert!(text(&empty.stderr).starts_with("-:1: no setting"));
}

#[test]
fn a_file_that_is_not_there_and_bytes_that_are_no_text() {
    let output = scenario(&["/no/such/file.jsonl"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("/no/such/file.jsonl: "));
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("bytes.jsonl");
    fs::write(&path, [SETTING.as_bytes(), b"\n\xff\n"].concat()).expect("a file");
    let output = scenario(&[path.to_str().expect("UTF-8")], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains(":2: not UTF-8"), "{}", text(&output.stderr));
}

/// A scenario that does a little of everything.
fn sample() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scenarios/lifecycle.jsonl");
    fs::read_to_string(path).expect("a scenario")
}

#[test]
fn the_trace_has_a_line_for_every_step_and_ends_in_the_document() {
    let sample = sample();
    let plain = scenario(&["-"], &sample);
    assert_eq!(plain.status.code(), Some(0), "{}", text(&plain.stderr));
    let traced = scenario(&["--trace", "-"], &sample);
    assert_eq!(traced.status.code(), Some(0));
    let mut lines: Vec<&str> = text(&traced.stdout).lines().collect();
    let last = lines.pop().expect("the document");
    assert_eq!(last, text(&plain.stdout).trim_end());

    let document: Value = serde_json::from_str(last).expect("JSON");
    let steps: Vec<usize> = sample
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(index, _)| index + 1)
        .skip(1)
        .collect();
    assert_eq!(lines.len(), steps.len());
    let mut refused = Vec::new();
    for (line, number) in lines.iter().zip(steps) {
        let row: Value = serde_json::from_str(line).expect("JSON");
        let keys: Vec<&String> = row.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["line", "step", "order", "position", "account", "refused"]);
        assert_eq!(row["line"], number);
        if !row["refused"].is_null() {
            assert!(row["order"].is_null() && row["position"].is_null(), "{line}");
            refused.push(row["refused"].clone());
        }
    }
    assert_eq!(Value::Array(refused), document["refused"]);
}

#[test]
fn the_trace_shows_what_a_step_touched() {
    let steps = r#"{"order":{"id":"A","symbol":"ES","side":"buy","qty":"1","type":"limit","price":"100"}}
{"order":{"id":"B","symbol":"ES","side":"buy","qty":"1","type":"limit","price":"100"}}
{"exec":{"order":"A","type":"fill","exec_id":"1","qty":"1","price":"100"}}
{"mark":{"symbol":"ES","price":"101"}}
{"cancel_all":{}}
{"halt":{"reason":"stop"}}
"#;
    let output = scenario(&["--trace", "-"], &format!("{SETTING}\n{steps}"));
    let rows: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let touched: Vec<(&Value, &Value)> =
        rows.iter().take(6).map(|row| (&row["order"]["id"], &row["position"]["qty"])).collect();
    let (a, b, one, null) = ("A".into(), "B".into(), "1".into(), Value::Null);
    // Only B is left to be cancelled.
    let expected =
        [(&a, &null), (&b, &null), (&a, &one), (&null, &one), (&b, &null), (&null, &null)];
    assert_eq!(touched, expected);
    assert_eq!(rows[5]["account"]["halt_reason"], "stop");
    assert_eq!(rows[3]["account"]["unrealized_pnl"], "50");
}

#[test]
fn the_log_replays() {
    let parent = tempfile::tempdir().expect("a directory");
    let dir = parent.path().join("log");
    let path = dir.to_str().expect("UTF-8");
    let output = scenario(&["--log", path, "-"], &sample());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let mut reader = LogReader::open(&dir).expect("a log");
    let mut replay = Replay::default();
    let mut records = 0;
    while let Some(slots) = reader.next_record().expect("whole") {
        // The reader's slots carry the journal's own words in their last; the engine ignores them.
        replay.next(slots).expect("it follows");
        records += 1;
    }
    assert!(records > 100);
    assert_eq!(replay.state().expect("a head").orders().len(), 8);
    // The directory is taken now.
    let again = scenario(&["--log", path, "-"], &sample());
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(text(&again.stdout), "");
}
