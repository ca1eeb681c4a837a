//! Every scenario of `tests/scenarios`: run, checked against what its own comments say must follow
//! (worked out by hand from the format), and against the whole document beside it
//! (`UPDATE_GOLDEN=1` rewrites that).
//!
//! ```text
//! #! CODE detail...                      the next step is refused
//! #~ CODE ORDER QTY BOOKED               the next step is flagged
//! #w CODE                                the next step gets a warning
//! #= order ID STATE STATUS QTY/CUM/LEAVES key=value...     `-` is null, `~` a space
//! #= position SYMBOL SIDE QTY key=value...
//! #= account key=value...
//! ```
//!
//! Nothing may be refused or flagged that is not announced, and every order must have its line.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use trade_engine_tools::scenario::Scenario;

fn scenarios() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scenarios");
    let mut paths: Vec<PathBuf> = fs::read_dir(&dir)
        .unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

fn run(text: &str) -> String {
    let scenario = Scenario::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error:?}"));
    let mut output = Vec::new();
    scenario.run(false, None, &mut output).unwrap_or_else(|error| panic!("{error}"));
    String::from_utf8(output).expect("JSON is UTF-8")
}

#[test]
fn every_scenario_ends_as_it_says() {
    let mut failures = Vec::new();
    for path in scenarios() {
        let text = fs::read_to_string(&path).expect("a scenario");
        let printed = run(&text);
        let document: Value = serde_json::from_str(&printed).expect("one JSON document");
        let mut check = Check { failures: Vec::new() };
        check.announced(&text, &document);
        check.claims(&text, &document);
        check.golden(&path, &printed);
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        failures.extend(check.failures.into_iter().map(|failure| format!("{name}: {failure}")));
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

struct Check {
    failures: Vec<String>,
}

impl Check {
    fn equal(&mut self, what: &str, expected: &str, found: &str) {
        if expected != found {
            self.failures.push(format!("{what}: expected {expected}, found {found}"));
        }
    }

    /// What was refused or flagged, line by line.
    fn announced(&mut self, text: &str, document: &Value) {
        let (mut refused, mut anomalies, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
        for (index, line) in text.lines().enumerate() {
            let step =
                index + 1 + text.lines().skip(index).take_while(|l| l.starts_with('#')).count();
            if let Some(words) = line.strip_prefix("#! ") {
                refused.push(format!("{step} {words}"));
            } else if let Some(words) = line.strip_prefix("#~ ") {
                anomalies.push(format!("{step} {words}"));
            } else if let Some(words) = line.strip_prefix("#w ") {
                warnings.push(format!("{step} {words}"));
            }
        }
        let lines = |list: &str, keys: &[&str]| -> Vec<String> {
            let rows = document[list].as_array().expect("a list");
            let row = |row: &Value| keys.iter().map(|key| plain(&row[*key])).collect::<Vec<_>>();
            rows.iter().map(|value| row(value).join(" ")).collect()
        };
        // A detail is only claimed where it says more than the code.
        let mut found = lines("refused", &["line", "code", "detail"]);
        for (expected, found) in refused.iter().zip(&mut found) {
            if expected.split(' ').count() == 2 {
                *found = found.split(' ').take(2).collect::<Vec<_>>().join(" ");
            }
        }
        self.lists("refused", &refused, &found);
        let found = lines("anomalies", &["line", "code", "order", "qty", "booked"]);
        self.lists("anomalies", &anomalies, &found);
        self.lists("warnings", &warnings, &lines("warnings", &["line", "code"]));
    }

    fn lists(&mut self, what: &str, expected: &[String], found: &[String]) {
        for line in expected.iter().filter(|line| !found.contains(line)) {
            self.failures.push(format!("{what}: expected {line}"));
        }
        for line in found.iter().filter(|line| !expected.contains(line)) {
            self.failures.push(format!("{what}: not expected {line}"));
        }
        if expected.len() != found.len() {
            self.failures.push(format!("{what}: {} instead of {}", found.len(), expected.len()));
        }
    }

    fn claims(&mut self, text: &str, document: &Value) {
        let mut orders = Vec::new();
        for line in text.lines().filter_map(|line| line.strip_prefix("#= ")) {
            let words: Vec<&str> = line.split(' ').collect();
            let (row, pairs) = match words[0] {
                "order" => {
                    orders.push(words[1].to_owned());
                    let row = find(document, "orders", "id", words[1]);
                    let quantities: Vec<&str> = words[4].split('/').collect();
                    let keys = ["state", "ord_status", "order_qty", "cum_qty", "leaves_qty"];
                    let expected =
                        [words[2], words[3], quantities[0], quantities[1], quantities[2]];
                    for (key, expected) in keys.into_iter().zip(expected) {
                        let found = plain(&row[key]);
                        self.equal(&format!("{} {key}", words[1]), expected, &found);
                    }
                    (row, &words[5..])
                }
                "position" => {
                    let row = find(document, "positions", "symbol", words[1]);
                    self.equal(words[1], words[2], &plain(&row["side"]));
                    self.equal(words[1], words[3], &plain(&row["qty"]));
                    (row, &words[4..])
                }
                "account" => (document["account"].clone(), &words[1..]),
                other => panic!("unknown claim {other}"),
            };
            for pair in pairs {
                let (key, expected) = pair.split_once('=').expect("key=value");
                match row.get(key) {
                    Some(found) => self.equal(line, expected, &plain(found)),
                    None => self.failures.push(format!("{line}: no row, or no key {key}")),
                }
            }
        }
        let rows = document["orders"].as_array().expect("a list");
        let found: Vec<String> = rows.iter().map(|row| plain(&row["id"])).collect();
        self.equal("orders", &orders.join(" "), &found.join(" "));
    }

    fn golden(&mut self, path: &Path, printed: &str) {
        let golden = path.with_extension("json");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, printed).expect("a golden file");
            return;
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        // A document is long: it is shown where nothing else says what is wrong.
        if !self.failures.is_empty() {
            return;
        }
        self.equal(&golden.display().to_string(), &expected, printed);
    }
}

fn find(document: &Value, list: &str, key: &str, name: &str) -> Value {
    let rows = document[list].as_array().expect("a list");
    rows.iter().find(|row| row[key] == name).cloned().unwrap_or(Value::Null)
}

/// A value as the claims write it: a space separates claims, but not the parts of a transition.
fn plain(value: &Value) -> String {
    match value.as_str() {
        Some(text) if text.contains(" + ") => text.to_owned(),
        Some(text) => text.replace(' ', "~"),
        None if value.is_null() => "-".to_owned(),
        None => value.to_string(),
    }
}
