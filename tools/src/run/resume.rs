//! `run --resume`: a log is recovered, the venue is asked what it has, all that differs is shown,
//! and only then is traded.

use super::{RunError, Stage, broker, say};
use crate::text::count;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use trade_engine::config::canonical;
use trade_engine::journal::verdict::MarkSource;
use trade_engine::resume::{Ending, Found, take_up};
use trade_engine::runtime::{Around, GatewayPlan, Running, RuntimeSettings, catch_up, resume};
use trade_engine::snapshot;
use trade_engine::strategy::Positions;

/// Takes the log up and starts the threads. `halted`: by the halt file; `released`: who ended a
/// halt while nothing ran.
pub(super) fn go_on(
    stage: Stage<'_>,
    (halted, released): (Option<String>, Option<String>),
    progress: &Arc<AtomicU64>,
    out: &mut impl Write,
) -> Result<Running, RunError> {
    let shown = stage.dir.display();
    if settings_of(stage.dir)?.is_some_and(|text| text != canonical::write(&stage.settings)) {
        return Err(RunError::Setting(format!(
            "{shown}: the log is of other settings or data than these; it goes on only with its \
             own (a limit is changed while it runs: trade-engine control SOCKET limit KEY VALUE)"
        )));
    }
    // Before anything is changed: without its venue the log cannot go on.
    let line = stage.args.venue.is_some().then(|| broker(&stage, None)).transpose()?;
    let recovered = take_up(stage.dir, stage.journal_options())?;
    let mut broker = match line {
        Some(line) => line,
        None => broker(&stage, Some(recovered.state()))?,
    };
    let ending = recovered.ending().clone();
    let (resumed, found) = recovered.reconcile(&mut *broker)?;
    for line in told(&ending, &found) {
        if stage.args.json {
            say(&line);
        } else {
            writeln!(out, "{line}")?;
        }
    }
    let Stage { config, settings, timeline, pace, .. } = stage;
    let instruments = settings.instruments.len();
    let mut strategy = config.strategy.build(instruments);
    let held = Positions::of(resumed.state().books());
    let (feed, played) = catch_up(Box::new(timeline), &mut *strategy, &held, ending.feed);
    progress.store(played, Ordering::Relaxed);
    let (strategy_number, progress) = (1, Arc::clone(progress));
    let gateway = GatewayPlan { feed, strategy, strategy_number, pace, instruments, progress };
    let is_halted = resumed.state().halted().is_some() && halted.is_none();
    let runtime = RuntimeSettings::of(config);
    let running = resume(resumed, Around { runtime, broker, gateway, halted })?;
    // The named command was given while nothing ran that could take it.
    if let Some(reason) = released.filter(|_| is_halted) {
        running.control().resume(&reason).map_err(|error| RunError::Setting(error.to_string()))?;
    }
    Ok(running)
}

/// The settings in a log's head; `None` of a log that ends before they are whole.
fn settings_of(dir: &Path) -> Result<Option<String>, RunError> {
    let wrong = |error: &dyn std::fmt::Display| RunError::Setting(error.to_string());
    let (mut reader, mut replay) = snapshot::begin(dir).map_err(|error| wrong(&error))?;
    if replay.state().is_some() {
        return Ok(Some(replay.config().to_owned()));
    }
    while let Some(slots) = reader.next_record().map_err(|error| wrong(&error))? {
        replay.next(slots).map_err(|error| wrong(&error))?;
        if replay.state().is_some() {
            return Ok(Some(replay.config().to_owned()));
        }
    }
    Ok(None)
}

/// What was found of the log and of the venue, a line each.
fn told(ending: &Ending, found: &Found) -> Vec<String> {
    let mut lines = Vec::new();
    let Ending { found_seq, completed_slots, cut, mark_source, epoch, .. } = ending;
    lines.push(format!("Resumed: run {epoch} of this log, from record {found_seq} on"));
    if *completed_slots > 0 {
        let slots = count(*completed_slots as u64, "slot");
        lines.push(format!("  its last group lacked {slots}: decided again and added"));
    }
    if let Some(cut) = cut {
        let (bytes, slots) = (count(cut.bytes, "byte"), count(cut.valid_slots, "whole slot"));
        lines.push(format!("  a torn end was cut off and saved: {bytes}, {slots} among them"));
    }
    if *mark_source != MarkSource::SideFile {
        lines
            .push("  the mark of what had been synced was gone: the log's own stood in".to_owned());
    }
    let known = count(found.known_executions as u64, "execution");
    let orders = count(found.orders as u64, "order");
    let others = count(found.differences.len() as u64, "difference");
    lines.push(format!("  the venue was asked: {orders}, {known} known already, {others}"));
    lines.extend(found.differences.iter().map(|difference| format!("    {difference}")));
    lines
}
