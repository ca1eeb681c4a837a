//! A place to run the binaries in, and what to make of what they say.
// Part of several test programs, each of which uses some of it.
#![allow(dead_code, unreachable_pub)]

use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use trade_engine::codec::{FLAG_INPUT, Slot};
use trade_engine::journal::{LogReader, layout};

/// Two contracts of no exchange, so that no calendar is in the way; trades on every swing.
pub const CONFIG: &str = r#"
[account]
currency = "USD"
initial_capital = "1000000"
day_roll = { timezone = "UTC", time = "00:00" }

[risk]
max_position_pct = "0.9"
exposure_basis = "notional"
max_positions = "none"
max_drawdown_pct = "none"
max_daily_loss_pct = "none"
margin = false
max_correlation = "none"
correlation_action = "warn"
correlation_window = 20
sizing = "percent_equity"
sizing_pct = "0.1"
sizing_max_qty = "none"
max_order_qty = "none"
max_order_notional = "none"
max_gross_exposure = "none"
max_net_exposure = "none"
max_open_orders = "none"
max_leverage = "none"
price_collar_pct = "none"
max_mark_age_ms = "none"
duplicate_window_ms = "none"
max_orders_per_second = "none"
max_messages_per_second = "none"
max_repeats = "none"
answer_timeout_ms = "none"
self_match = "allow"
on_anomaly = "report"

[broker]
kind = "simulated"
slippage_bps = "1"
commission_per_share = "0.01"

[strategy]
kind = "momentum"
lookback = 3
threshold = "0.002"

[runtime]
idle_engine = "yield"
# A busy machine is no stuck disk.
log_behind_ms = "none"

[[instruments]]
symbol = "AAA"
tick_size = "0.01"

[[instruments]]
symbol = "BBB"
tick_size = "0.01"
"#;

/// A place with a configuration, data, and room for logs.
pub struct Place(pub tempfile::TempDir);

impl Place {
    /// Bars of one second in swings that the strategy follows, of two symbols.
    pub fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::write(place.path("config.toml"), CONFIG).unwrap();
        std::fs::create_dir(place.path("data")).unwrap();
        std::fs::write(place.path("data/AAA.csv"), bars(600, 12, None)).unwrap();
        std::fs::write(place.path("data/BBB.csv"), bars(600, 9, None)).unwrap();
        // The bar after the last swing is a year away: in real time it is never played.
        let end = Some("2025-01-06T00:00:00Z,100,100,100,100,1\n");
        std::fs::write(place.path("AAA.csv"), bars(300, 12, end)).unwrap();
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A run with the configuration of this place.
    pub fn command(&self, data: &str, log: &str) -> Command {
        let mut command = trade_engine();
        command.arg("--config").arg(self.path("config.toml"));
        command.arg("--data").arg(self.path(data)).arg("--log").arg(self.path(log));
        command
    }

    /// A run that goes on until somebody ends it, once part of it is in the log.
    pub fn endless(&self, log: &str) -> Child {
        let mut command = self.command("AAA.csv", log);
        let piped = || Stdio::piped();
        let child = command.args(["--json", "--pace", "realtime", "x1000"]);
        let mut child = child.stdout(piped()).stderr(piped()).spawn().unwrap();
        while inputs(&self.path(log)) < 200 {
            let ended = child.try_wait().unwrap().is_some();
            assert!(!ended, "it ended too early: {:?}", child.wait_with_output().unwrap());
            std::thread::sleep(Duration::from_millis(5));
        }
        child
    }
}

/// `time,open,high,low,close,volume` in swings of `period` bars up and as many down.
pub fn bars(count: u32, period: u32, end: Option<&str>) -> String {
    let mut text = "time,open,high,low,close,volume\n".to_owned();
    for at in 0..count {
        let (hour, minute, second) = (14 + at / 3_600, at / 60 % 60, at % 60);
        let up = (at / period).is_multiple_of(2);
        let step = if up { at % period } else { period - at % period };
        let (open, close) = (1_000 + step, if up { 1_001 + step } else { 999 + step });
        let (low, high) = (open.min(close), open.max(close));
        let price = |tenths: u32| format!("{}.{}", tenths / 10, tenths % 10);
        let prices = [open, high, low, close].map(price).join(",");
        writeln!(text, "2024-01-02T{hour:02}:{minute:02}:{second:02}Z,{prices},1").unwrap();
    }
    text + end.unwrap_or("")
}

pub fn trade_engine() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trade-engine"));
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    command
}

pub fn replay(arguments: &[&str], log: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_replay"));
    let (first, rest) = arguments.split_first().unwrap();
    command.arg(first).arg(log).args(rest).output().unwrap()
}

/// Standard output of a program that ended well.
pub fn good(output: &Output) -> String {
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {complaint}\n{said}", output.status);
    said
}

pub fn json(output: &Output) -> Value {
    serde_json::from_str(&good(output)).unwrap()
}

/// The one line of a program that was given something it cannot use.
pub fn refused(output: &Output) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(!output.status.success(), "it ended well: {said}");
    assert!(output.status.code().is_some(), "killed by a signal: {said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    said
}

/// Whole inputs in a log that may be under way.
pub fn inputs(log: &Path) -> usize {
    records(log).iter().filter(|slots| layout::flags(&slots[0]) & FLAG_INPUT != 0).count()
}

/// Whole records in a log that may be under way, or not be there yet.
pub fn records(log: &Path) -> Vec<Vec<Slot>> {
    let Ok(mut reader) = LogReader::open(log) else { return Vec::new() };
    let mut found = Vec::new();
    while let Ok(Some(slots)) = reader.next_record() {
        found.push(slots.to_vec());
    }
    found
}
