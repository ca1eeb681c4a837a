//! What `check-config` says about a configuration.

use std::path::{Path, PathBuf};
use trade_engine::config::Config;
use trade_engine::units::Ts;
use trade_engine_tools::check_config::{check_config, describe};

/// Thursday, 2026-03-05 12:00 UTC: the clocks of Chicago change on the Sunday.
const NOW: Ts = Ts(1_772_712_000_000_000_000);

fn config_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config")
}

#[test]
fn both_files_that_come_along_are_good() {
    for name in ["default.toml", "example.toml"] {
        let path = config_dir().join(name);
        let said = check_config(&path).unwrap();
        assert!(said.starts_with(&format!("{}: good\n", path.display())), "{said}");
    }
}

/// What is said of config/example.toml.
const SAID: &str = "\
account
  initial capital         250000 USD
  day rolls at            16:00:00 in America/Chicago
  a closing trade ends    a share of every lot: average cost

limits of the account
  max_position_pct        25 % of equity, by initial margin
  max_drawdown_pct        20 % from the highest equity, then halted
  max_daily_loss_pct      OFF
  max_correlation         0.8 over 30 bar closes, refuses
  max_positions           3
  max_order_qty           25
  max_order_notional      1000000 USD
  max_gross_exposure      2000000 USD
  max_net_exposure        1500000 USD
  max_open_orders         50
  max_leverage            8 x equity
  price_collar_pct        5 % from the mark
  max_mark_age_ms         60000 ms
  duplicate_window_ms     500 ms
  max_orders_per_second   10
  max_messages_per_second 30
  max_repeats             500, then until re-armed
  answer_timeout_ms       5000 ms, then an alert
  margin                  equity covers all initial margin
  self_match              refuses to trade with itself
  an anomaly              halts its instrument until resumed
  limits that are OFF: max_daily_loss_pct

limits of ES
  max_order_qty           10
  max_open_orders         5

limits of strategy breakout
  max_gross_exposure      1500000 USD
  max_orders_per_second   5

sizing
  quantity                10 % of equity x strength, by initial margin
  at most                 10 units of the underlying

broker: simulated
  slippage                0.015 %
  commission              2.05 a lot
  latency                 5 ms
  one trade takes         at most 3
  random rejects          0.1 %
  seed                    7
  checks margin itself    yes

strategy: breakout
  entry                   20 bars
  exit                    10 bars
  sells short             yes

runtime and log
  an order leaves         when its record survives the process
  pace                    lockstep: two runs are alike
  waiting                 engine spin, journal yield, broker yield, gateway park
  core of the engine      chosen at start
  time while idle         every 50 ms, in real time
  a halt if the log is    500 ms behind, in real time
  halt file               OFF
  log goes to the disk    every 200 ms
  segment                 16777216 bytes
  snapshot of the state   every 1000000 records
  stays in its directory  the last 32 segments, and what the state needs
  the others go to        CONFIG/archive
  orders at once          4096
  executions remembered   65536
  checkpoint every        4096 slots
  event ring              8192 slots

feed
  daily futures prices    spliced
  symbols                 ES, BTC

instruments
  ES                      tick 0.25 = 12.5 USD a lot, margin 11880
  BTC                     tick 0.01 = 0.000001 USD a lot, margin 5

sessions of the next seven days, UTC
  ES                      Wed 2026-03-04 23:00 to Thu 2026-03-05 22:00
                          Thu 2026-03-05 23:00 to Fri 2026-03-06 22:00
                          Sun 2026-03-08 22:00 to Mon 2026-03-09 21:00
                          Mon 2026-03-09 22:00 to Tue 2026-03-10 21:00
                          Tue 2026-03-10 22:00 to Wed 2026-03-11 21:00
                          Wed 2026-03-11 22:00 to Thu 2026-03-12 21:00
  BTC                     always open
";

#[test]
fn everything_is_said() {
    let config = Config::load(&config_dir().join("example.toml")).unwrap();
    let said = describe(&config, NOW).unwrap();
    let said = said.replace(&config_dir().display().to_string(), "CONFIG");
    assert_eq!(said, SAID, "found:\n{said}");
}

#[test]
fn a_mistake_is_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.toml");
    let text = std::fs::read_to_string(config_dir().join("default.toml")).unwrap();
    std::fs::write(&path, text.replacen("\"0.25\"", "\"25%\"", 1)).unwrap();
    let said = check_config(&path).unwrap_err().to_string();
    let line = 1 + text.lines().position(|line| line.contains("\"0.25\"")).unwrap();
    let expected = format!(
        "{}:{line}: risk.max_drawdown_pct: \"25%\" is no decimal number; expected a fraction above \
         0 and at most 1, such as \"0.1\"",
        path.display()
    );
    assert_eq!(said, expected);
    let said = check_config(&dir.path().join("none.toml")).unwrap_err().to_string();
    assert!(said.contains("none.toml: cannot be read: "), "{said}");
}
