//! Takes a log up again: from what a run left on the disk, however it ended, to an engine that may
//! trade. Two steps, and no way around the second:
//!
//! 1. [`take_up`]: recovers the log, folds it into the state that was live at its end, decides the
//!    input of an unfinished last group again, and appends what the group lacked.
//! 2. [`Recovered::reconcile`]: asks the venue what it has, walks [`table`], and books what was
//!    missed. All that the venue says enters as logged inputs, between a [`Input::Restart`] and an
//!    [`Input::Reconciled`]; the engine itself sends nothing in between, and asserts it.
//!
//! Both may be cut short like everything else: the next run takes up what they left.

mod reconcile;
pub mod table;

pub use crate::feed::FeedPlace;
pub use reconcile::{Difference, Found};

use crate::broker::Broker;
use crate::codec::Slot;
use crate::engine::{Engine, Outbound, Output, State};
use crate::event::{DECIDE_VERSION, Record};
use crate::input::Input;
use crate::journal::verdict::MarkSource;
use crate::journal::{Cut, Journal, JournalError, JournalOptions, ReadError, layout, recover};
use crate::limits::SLOTS_PER_INPUT_MAX;
use crate::replay::{Redecide, ReplayError};
use crate::snapshot;
use crate::units::Ts;
use std::fmt;
use std::path::{Path, PathBuf};

/// Why a log was not taken up again.
#[derive(Debug)]
pub enum ResumeError {
    /// It cannot be recovered, or not be written on.
    Journal(JournalError),
    /// It cannot be read.
    Read(ReadError),
    /// Its records do not follow from each other, or the last group is not what deciding its input
    /// again gives.
    Replay(ReplayError),
    /// It ends before its head is complete: nothing had been decided, and nothing sent.
    NoHead {
        /// The log's directory.
        dir: PathBuf,
    },
    /// What it has behind its last whole group is more than one group.
    NoGroup {
        /// The log's directory.
        dir: PathBuf,
    },
    /// Another program's decisions.
    Decisions {
        /// Their version, as the log says.
        found: u32,
    },
    /// The venue cannot be asked, in the broker's words.
    Venue(String),
}

impl fmt::Display for ResumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journal(error) => write!(f, "{error}"),
            Self::Read(error) => write!(f, "{error}"),
            Self::Replay(error) => write!(f, "{error}"),
            Self::NoHead { dir } => write!(
                f,
                "{}: ends before its head is complete: nothing had been sent, begin a new log in \
                 another directory",
                dir.display()
            ),
            Self::NoGroup { dir } => write!(
                f,
                "{}: its last group does not end, and is longer than any: the engine did not \
                 write it",
                dir.display()
            ),
            Self::Decisions { found } => write!(
                f,
                "decisions of version {found}, expected {DECIDE_VERSION}: only the program that \
                 wrote a log can go on with it"
            ),
            Self::Venue(what) => {
                write!(f, "the venue cannot be asked what it has, so nothing is traded: {what}")
            }
        }
    }
}

impl std::error::Error for ResumeError {}

impl From<JournalError> for ResumeError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl From<ReadError> for ResumeError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<ReplayError> for ResumeError {
    fn from(error: ReplayError) -> Self {
        Self::Replay(error)
    }
}

/// What a log's end looked like.
#[derive(Clone, Debug)]
pub struct Ending {
    /// The last sequence number that was found.
    pub found_seq: u64,
    /// Slots that the last group lacked and that have been added.
    pub completed_slots: usize,
    /// What was cut off, if anything.
    pub cut: Option<Cut>,
    /// Who said what had been on the disk. Other than the side file is worth a warning.
    pub mark_source: MarkSource,
    /// Which run of a writer this is, from 2.
    pub epoch: u64,
    /// How far the market data is in the log.
    pub feed: FeedPlace,
}

/// A log that has been taken up, its venue not asked yet: it cannot trade.
#[derive(Debug)]
pub struct Recovered {
    engine: Engine,
    journal: Journal,
    config: String,
    ending: Ending,
}

/// An engine that may trade, and its log.
#[derive(Debug)]
pub struct Resumed {
    /// The engine, as the log and the venue have it.
    pub(crate) engine: Engine,
    /// The log, every record of that state in it and on the disk.
    pub(crate) journal: Journal,
}

impl Resumed {
    /// What it knows.
    pub const fn state(&self) -> &State {
        self.engine.state()
    }
}

/// Recovers the log in `dir` and rebuilds the state at its end. The venue has to be asked next.
///
/// # Errors
/// [`ResumeError`]. What [`recover`] refuses is unchanged; whatever else goes wrong leaves the log
/// as long as it was.
pub fn take_up(dir: &Path, options: JournalOptions) -> Result<Recovered, ResumeError> {
    let recovery = recover(dir)?;
    let (mut reader, mut replay) = snapshot::begin(dir)?;
    let mut unfinished: Vec<Vec<Slot>> = Vec::new();
    while let Some(slots) = reader.next_record()? {
        if layout::seq(&slots[0]) <= recovery.group_end_seq {
            replay.next(slots)?;
        } else {
            unfinished.push(slots.to_vec());
            // One group, which is one input and what it causes.
            if unfinished.len() > SLOTS_PER_INPUT_MAX {
                return Err(ResumeError::NoGroup { dir: dir.to_owned() });
            }
        }
    }
    let of_segment = Some(reader.decide_version()).filter(|version| *version != 0);
    let versions = [replay.decide_version(), of_segment];
    if let Some(found) = versions.into_iter().flatten().find(|v| !Redecide::can_decide(*v)) {
        return Err(ResumeError::Decisions { found });
    }
    let (config, mut feed) = (replay.config().to_owned(), replay.feed());
    let no_head = || ResumeError::NoHead { dir: dir.to_owned() };
    let mut last_group = Redecide::resume(replay.into_state().ok_or_else(no_head)?);
    for slots in &unfinished {
        last_group.next(slots)?;
        feed.note(&Record::decode(slots).expect("it has been decided again"));
    }
    let (found_seq, cut, mark_source) =
        (recovery.last_seq, recovery.cut.clone(), recovery.mark_source);
    let mut journal = Journal::resume(recovery, options)?;
    journal.append(last_group.missing())?;
    let completed_slots = last_group.missing_slots();
    let epoch = journal.epoch();
    let engine = last_group.into_engine().ok_or_else(no_head)?;
    let ending = Ending { found_seq, completed_slots, cut, mark_source, epoch, feed };
    let mut recovered = Recovered { engine, journal, config, ending };
    recovered.begin()?;
    Ok(recovered)
}

impl Recovered {
    /// What it knows.
    pub const fn state(&self) -> &State {
        self.engine.state()
    }

    /// The configuration in the log's head, in canonical form.
    pub fn config(&self) -> &str {
        &self.config
    }

    /// What the log's end looked like.
    pub const fn ending(&self) -> &Ending {
        &self.ending
    }

    /// The record that opens the new run.
    fn begin(&mut self) -> Result<(), JournalError> {
        let Ending { found_seq, completed_slots, cut, epoch, .. } = &self.ending;
        let (cut_bytes, slots) = cut.as_ref().map_or((0, 0), |cut| (cut.bytes, cut.valid_slots));
        let restart = Input::Restart {
            epoch: *epoch,
            found_seq: *found_seq,
            cut_bytes,
            cut_slots: u32::try_from(slots).unwrap_or(u32::MAX),
            completed_slots: u32::try_from(*completed_slots).expect("limits.rs bounds a group"),
        };
        self.enter(Ts(i64::MIN), &restart)
    }

    /// Takes one input, no earlier than the engine's time, and records all that comes of it.
    fn enter(&mut self, ts: Ts, input: &Input) -> Result<(), JournalError> {
        let mut records = Records::default();
        let ts = ts.max(self.engine.state().ts());
        self.engine.step(ts, 0, input, &mut records);
        self.journal.append(&records.0)
    }

    /// Asks the venue what it has, enters all that the log has not seen, and gives back the engine,
    /// which may trade then, with what was found.
    ///
    /// # Errors
    /// [`ResumeError`]: the venue cannot be asked, or the log not be written. What was entered
    /// stays in the log, and the next try goes on from it.
    pub fn reconcile(mut self, broker: &mut dyn Broker) -> Result<(Resumed, Found), ResumeError> {
        let found = reconcile::reconcile(&mut self, broker)?;
        self.journal.sync()?;
        let Self { engine, journal, .. } = self;
        assert!(!engine.state().is_reconciling());
        Ok((Resumed { engine, journal }, found))
    }
}

/// Collects the records of a turn that sends nothing.
#[derive(Debug, Default)]
struct Records(Vec<Slot>);

impl Output for Records {
    fn record(&mut self, slots: &[Slot]) {
        self.0.extend_from_slice(slots);
    }

    fn send(&mut self, outbound: &Outbound) {
        // Market data could, to a simulated venue; none is entered here.
        unreachable!("{outbound:?} before the venue was asked");
    }
}
