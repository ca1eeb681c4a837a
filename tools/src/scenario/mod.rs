//! Scenarios: a text file drives the engine step by step, with no clock, no thread and no network,
//! and the state it ends in is printed as one JSON document. `tests/scenarios` has an example of
//! every step; the first lines of `setting.rs` say what is assumed where a file says nothing.

mod drive;
mod inputs;
mod json;
mod names;
mod output;
mod risk;
mod setting;
mod steps;
mod time;

use crate::text::write_json;
use drive::{Answerer, Drive};
use json::Json;
use setting::{Needs, Setting};
use std::fmt;
use std::io::Write;
use std::path::Path;
use steps::{Action, Context, Step};
use trade_engine::embedded::TradeEngine;
use trade_engine::event::DECIDE_VERSION;
use trade_engine::input::Input;
use trade_engine::journal::{Journal, JournalError, JournalOptions};
use trade_engine::limits::STRATEGIES_MAX;
use trade_engine::replay::{Redecide, Replay};
use trade_engine::settings::Settings;
use trade_engine::units::Ts;

/// A file that cannot be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The line, from 1.
    pub line: usize,
    /// The key, and what is wrong with it.
    pub what: String,
}

/// Why a run did not come to its end.
#[derive(Debug)]
pub enum RunError {
    /// The log could not be written.
    Journal(JournalError),
    /// The result could not be written.
    Output(std::io::Error),
    /// The engine contradicts itself.
    Broken(String),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journal(error) => write!(f, "{error}"),
            Self::Output(error) => write!(f, "cannot write the result: {error}"),
            Self::Broken(what) => write!(f, "the engine's own invariants broke: {what}"),
        }
    }
}

impl std::error::Error for RunError {}

impl From<JournalError> for RunError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl From<std::io::Error> for RunError {
    fn from(error: std::io::Error) -> Self {
        Self::Output(error)
    }
}

/// A scenario that was read whole and can be run.
#[derive(Debug)]
pub struct Scenario {
    setting: Setting,
    settings: Settings,
    openings: Vec<Input>,
    steps: Vec<Step>,
}

impl Scenario {
    /// Reads a file's bytes.
    ///
    /// # Errors
    /// The first line that is wrong, and what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut setting: Option<(usize, Setting)> = None;
        let mut steps = Vec::new();
        let mut line = 0;
        for bytes in bytes.split(|byte| *byte == b'\n') {
            line += 1;
            let malformed = |what| Malformed { line, what };
            let text = std::str::from_utf8(bytes);
            let text = text.map_err(|_| malformed("not UTF-8".to_owned()))?;
            if text.trim().is_empty() || text.starts_with('#') {
                continue;
            }
            let value = Json::parse(text).map_err(malformed)?;
            match &setting {
                None => setting = Some((line, Setting::parse(value).map_err(malformed)?)),
                Some((_, setting)) => {
                    let context = Context { line, sizing: setting.sizing() };
                    steps.push(Step::parse(value, context).map_err(malformed)?);
                }
            }
        }
        let Some((at, setting)) = setting else {
            return Err(Malformed { line, what: "no setting: the file is empty".to_owned() });
        };
        let (settings, openings) =
            setting.build(&needs(&steps)).map_err(|what| Malformed { line: at, what })?;
        Ok(Self { setting, settings, openings, steps })
    }

    /// Runs it: prints a line after every step if `trace`, then the document; keeps the event log in
    /// `log` if there is one.
    ///
    /// # Errors
    /// [`RunError`]: nothing that a scenario can say, only what it finds wrong with the engine or
    /// the machine.
    pub fn run(
        &self,
        trace: bool,
        log: Option<&Path>,
        output: &mut impl Write,
    ) -> Result<(), RunError> {
        let options = JournalOptions { decide_version: DECIDE_VERSION, ..Default::default() };
        let journal = log.map(|dir| Journal::create(dir, options)).transpose()?;
        let answerer = Answerer::new(&self.setting.venue, &self.settings.instruments);
        let timed = |step: &Step| step.at.is_some() && matches!(step.action, Action::Bar { .. });
        let bars_are_timed = self.steps.iter().any(timed);
        let mut drive = Drive::new(self.settings.clone(), answerer, journal, bars_are_timed)?;
        let start = self.steps.first().and_then(|step| step.at).unwrap_or(time::START);
        drive.open(start, &self.openings)?;
        for step in &self.steps {
            let line = drive.step(step)?;
            if trace {
                write_json(output, &line)?;
            }
        }
        let document = drive.document();
        let engine = drive.into_engine();
        check(&engine)?;
        if let Some(journal) = engine.stop()? {
            journal.close()?;
        }
        write_json(output, &document)?;
        output.flush()?;
        Ok(())
    }
}

/// Folding the log gives the state, and deciding again gives the log.
fn check(engine: &TradeEngine<Answerer>) -> Result<(), RunError> {
    let broken = |error: &dyn fmt::Display| RunError::Broken(error.to_string());
    let hash = engine.state().hash();
    let mut replay = Replay::default();
    let mut redecide = Redecide::default();
    for slots in trade_engine::codec::records(engine.log()) {
        replay.next(slots).map_err(|error| broken(&error))?;
        redecide.next(slots).map_err(|error| broken(&error))?;
    }
    let same = [replay.state(), redecide.state()]
        .into_iter()
        .all(|state| state.is_some_and(|state| state.hash() == hash));
    if !same {
        return Err(broken(&"the log replays to another state"));
    }
    if redecide.missing_slots() > 0 {
        return Err(broken(&"deciding again gives more than the log has"));
    }
    Ok(())
}

/// What the steps need of the engine, known before the first is taken.
fn needs(steps: &[Step]) -> Needs {
    let (from, to) = (time::START, time::START);
    let mut needs = Needs { from, to, orders: 0, executions: 0, strategies: Vec::new() };
    let mut last: Option<Ts> = None;
    for step in steps {
        let next = last.map_or(time::START, |last| Ts(last.0.saturating_add(1_000_000)));
        let ts = step.at.unwrap_or(next);
        last = Some(last.map_or(ts, |last| last.max(ts)));
        (needs.from, needs.to) = (needs.from.min(ts), needs.to.max(ts));
        needs.strategies.extend(new_strategy(&step.action, &needs.strategies));
        match &step.action {
            Action::Signal(_) | Action::Order(_) | Action::ClosePosition { .. } => {
                needs.orders += 1;
            }
            Action::Exec { .. } => {
                needs.orders += 1;
                needs.executions += 1;
            }
            Action::Mark { .. }
            | Action::Bar { .. }
            | Action::Cancel { .. }
            | Action::Replace { .. }
            | Action::Halt { .. }
            | Action::Resume { .. }
            | Action::CancelAll
            | Action::DayRoll => {}
        }
    }
    needs
}

/// The strategy that a step is the first to name. Past the last number that one can have, it is
/// nobody's.
fn new_strategy(action: &Action, known: &[String]) -> Option<String> {
    let name = action.strategy().filter(|name| known.iter().all(|other| other != name))?;
    (known.len() + 1 < STRATEGIES_MAX).then(|| name.to_owned())
}
