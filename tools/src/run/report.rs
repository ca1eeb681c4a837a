//! What a run prints beside the summary of its log: what it was set to, and how fast it was.

use crate::feed::{Feed, FeedSource};
use crate::text::{Align, Table, time};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::Path;
use trade_engine::config::Config;
use trade_engine::runtime::{Layout, Outcome, Percentiles, Stage};
use trade_engine::settings::Settings;

/// What is played, and by which rules.
pub(super) fn heading(
    out: &mut impl Write,
    (config, settings): (&Config, &Settings),
    source: &FeedSource,
    bars: &Feed,
) -> io::Result<()> {
    let (from, to) = bars.span();
    let (count, symbols) = (bars.bars.len(), bars.symbols.join(", "));
    let source = crate::text::clean(&source.to_string());
    writeln!(out, "{source}: {count} bars of {symbols}, {} to {}", time(from), time(to))?;
    for note in &bars.notes {
        writeln!(out, "{}", wrap(note))?;
    }
    writeln!(out, "\n{}", crate::check_config::rules(config, settings))
}

/// Breaks a note into lines of a terminal's width.
fn wrap(note: &str) -> String {
    const WIDTH: usize = 96;
    let mut lines = vec![String::new()];
    for word in note.split_whitespace() {
        let line = lines.last_mut().expect("there is one");
        if !line.is_empty() && line.len() + word.len() >= WIDTH {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}

/// The latency of every stage.
pub(super) fn latencies(out: &mut impl Write, outcome: &Outcome) -> io::Result<()> {
    let place = match (outcome.cores.layout, outcome.pinned, outcome.cores.engine) {
        (Layout::One, ..) => "one core: nothing is pinned, the engine yields".to_owned(),
        (_, true, Some(core)) => format!("engine pinned to core {core}"),
        (_, _, Some(core)) => format!("core {core} was refused, the engine runs unpinned"),
        (_, _, None) => "no core to pin the engine to, it runs unpinned".to_owned(),
    };
    let others = match outcome.cores.layout {
        Layout::One | Layout::Few => "journal, broker and gateway share a thread",
        Layout::Many => "journal, broker and gateway have a thread each",
    };
    let cores = crate::text::count(outcome.cores.count as u64, "core");
    writeln!(out, "\nLatency in nanoseconds ({cores}; {place}; {others})")?;
    let right = |name| (name, Align::Right);
    let mut table = Table::new(&[
        ("stage", Align::Left),
        right("n"),
        right("p50"),
        right("p99"),
        right("p99.9"),
        right("max"),
    ]);
    for stage in Stage::ALL {
        let Percentiles { n, p50, p99, p99_9, max } = outcome.latencies.percentiles(stage);
        let show = |value: Option<u64>| value.map_or("-".to_owned(), |nanos| nanos.to_string());
        let cells = [n.to_string(), show(p50), show(p99), show(p99_9), show(max)];
        let [n, p50, p99, p99_9, max] = &cells;
        table.row(&[stage.name(), n, p50, p99, p99_9, max]);
    }
    table.write(out)?;
    writeln!(out, "  (-: too few samples to carry the percentile)")
}

/// Where the log lies, and how to replay it.
pub(super) fn closing(out: &mut impl Write, outcome: &Outcome, dir: &Path) -> io::Result<()> {
    let (seq, hash) = (outcome.state.seq(), outcome.state.hash());
    let dir = shell_word(dir);
    writeln!(out, "\nLog: {dir}, {seq} slots; read back, it gives the same state ({hash:016x})")?;
    writeln!(out, "Replay it:")?;
    for command in ["verify", "state", "events"] {
        writeln!(out, "  cargo run --release --bin replay -- {command} {dir}")?;
    }
    Ok(())
}

/// A path as a shell takes it.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// What the run adds to the summary's document.
pub(super) fn add_run(document: &mut Value, outcome: &Outcome, dir: &Path) {
    let stages: Vec<Value> = Stage::ALL
        .into_iter()
        .map(|stage| {
            let Percentiles { n, p50, p99, p99_9, max } = outcome.latencies.percentiles(stage);
            json!({
                "stage": stage.name(), "n": n, "p50_ns": p50, "p99_ns": p99, "p99_9_ns": p99_9,
                "max_ns": max,
            })
        })
        .collect();
    let Value::Object(document) = document else { return };
    document.insert("latency".to_owned(), Value::Array(stages));
    document.insert("state_hash".to_owned(), json!(format!("{:016x}", outcome.state.hash())));
    document.insert("cores".to_owned(), json!(outcome.cores.count));
    document.insert("engine_pinned".to_owned(), json!(outcome.pinned));
    let replay = format!("cargo run --release --bin replay -- verify {}", shell_word(dir));
    document.insert("replay".to_owned(), json!(replay));
}
