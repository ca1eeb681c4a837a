//! Log to state: fold `apply` over the records; and decide again from the inputs, to prove that the
//! same events follow, byte for byte.
#![forbid(unsafe_code)]

use crate::codec::{Chars, FLAG_CLAMPED, Slot};
use crate::config::canonical;
use crate::engine::{Diverged, Engine, Outbound, Output, State, apply};
use crate::event::{Body, DECIDE_VERSION, FORMAT_VERSION, Opening, Record};
use crate::feed::FeedPlace;
use crate::image::{BadImage, Bytes, Image};
use crate::journal::layout::content;
use std::fmt;

/// Why a log does not replay.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplayError {
    /// The slots are no record that this version writes.
    Undecodable {
        /// The record's sequence number.
        seq: u64,
        /// The number of its kind.
        kind: u8,
    },
    /// The log does not begin as one must.
    Head {
        /// The record's sequence number.
        seq: u64,
        /// What is wrong.
        what: String,
    },
    /// The records are of another version of the format.
    Version {
        /// As the head says.
        found: u32,
    },
    /// A record does not follow from the state before it.
    Diverged(Diverged),
    /// Deciding again gives another record.
    Decided {
        /// The record's sequence number.
        seq: u64,
        /// What is in the log.
        logged: &'static str,
        /// What was decided now.
        decided: &'static str,
    },
    /// The log ends, or the next input comes, before everything that was decided is there.
    Unfinished {
        /// The sequence number at which a record is missing.
        seq: u64,
    },
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undecodable { seq, kind } => {
                write!(f, "record {seq}: kind {kind} is none that this version writes so")
            }
            Self::Head { seq, what } => write!(f, "record {seq}, in the log's head: {what}"),
            Self::Version { found } => {
                write!(f, "records of format version {found}, expected {FORMAT_VERSION}")
            }
            Self::Diverged(diverged) => write!(f, "{diverged}"),
            Self::Decided { seq, logged, decided } => write!(
                f,
                "record {seq}: the log has {logged}, deciding again {decided} or other figures"
            ),
            Self::Unfinished { seq } => write!(f, "record {seq}: missing, deciding again has it"),
        }
    }
}

impl std::error::Error for ReplayError {}

impl From<Diverged> for ReplayError {
    fn from(diverged: Diverged) -> Self {
        Self::Diverged(diverged)
    }
}

/// Folds records into a state. Holds the head's configuration text until it is complete.
#[derive(Debug, Default)]
pub struct Replay {
    head: Head,
    state: Option<State>,
    feed: FeedPlace,
}

#[derive(Debug, Default)]
struct Head {
    genesis: Option<Opening>,
    config: String,
    parts: u32,
    records: Vec<Record>,
}

/// Parts of a configuration's text: 80 bytes each, so a bound of 80 MiB on what a strange log can
/// make us hold.
const CONFIG_PARTS_MAX: u32 = 1 << 20;

impl Replay {
    /// Applies the next record.
    ///
    /// # Errors
    /// [`ReplayError`]; the state is then of no use.
    pub fn next(&mut self, slots: &[Slot]) -> Result<Record, ReplayError> {
        let record = decode(slots)?;
        match &mut self.state {
            Some(state) => apply(state, &record)?,
            None => self.head_record(&record)?,
        }
        self.feed.note(&record);
        Ok(record)
    }

    fn head_record(&mut self, record: &Record) -> Result<(), ReplayError> {
        let seq = record.head.seq;
        let wrong = |what: &str| ReplayError::Head { seq, what: what.to_owned() };
        match record.body {
            Body::Opening(genesis @ Opening::Genesis { format_version, .. })
                if self.head.genesis.is_none() =>
            {
                if format_version != FORMAT_VERSION {
                    return Err(ReplayError::Version { found: format_version });
                }
                self.head.genesis = Some(genesis);
                self.head.records.push(*record);
            }
            Body::Opening(Opening::Config { part, last, text }) if self.head.genesis.is_some() => {
                if part != self.head.parts || part >= CONFIG_PARTS_MAX {
                    return Err(wrong("a part of the configuration is missing"));
                }
                self.head.parts += 1;
                self.head.config.push_str(text.as_str());
                self.head.records.push(*record);
                if last {
                    self.begin(seq)?;
                }
            }
            Body::Opening(_) => return Err(wrong("the first record must be the genesis")),
            Body::Input(..) | Body::Event(_) => {
                return Err(wrong("the configuration is not complete"));
            }
        }
        Ok(())
    }

    fn begin(&mut self, seq: u64) -> Result<(), ReplayError> {
        let settings = canonical::read(&self.head.config)
            .map_err(|error| ReplayError::Head { seq, what: error.to_string() })?;
        let mut state = State::new(settings);
        for record in &self.head.records {
            apply(&mut state, record)?;
        }
        self.head.records = Vec::new();
        self.state = Some(state);
        Ok(())
    }

    /// The state so far; `None` while the head is not complete.
    pub const fn state(&self) -> Option<&State> {
        self.state.as_ref()
    }

    /// The state, to go on from.
    pub fn into_state(self) -> Option<State> {
        self.state
    }

    /// How far market data is in the log.
    pub const fn feed(&self) -> FeedPlace {
        self.feed
    }

    /// The configuration in the log's head.
    pub fn config(&self) -> &str {
        &self.head.config
    }

    /// The version of the decisions, from the head.
    pub const fn decide_version(&self) -> Option<u32> {
        match self.head.genesis {
            Some(Opening::Genesis { decide_version, .. }) => Some(decide_version),
            Some(Opening::Config { .. }) | None => None,
        }
    }

    /// Appends all that is known: what the head says, how far market data is, and the state.
    ///
    /// # Panics
    /// If the head is not complete.
    pub fn write_image(&self, out: &mut Vec<u8>) {
        let Self { head: Head { genesis, config, parts: _, records: _ }, state, feed } = self;
        let Some(Opening::Genesis { format_version, decide_version, build }) = genesis else {
            panic!("the head is not complete");
        };
        format_version.write(out);
        decide_version.write(out);
        build.as_str().to_owned().write(out);
        config.write(out);
        feed.write(out);
        state.as_ref().expect("the head is complete").write_image(out);
    }

    /// What wrote an image, to go on from.
    ///
    /// # Errors
    /// [`BadImage`]: nothing of this version can have written it. Not every impossible state is
    /// found out: compare its hash with one that is trusted.
    pub fn read_image(from: &mut Bytes<'_>) -> Result<Self, BadImage> {
        let (format_version, decide_version) = (u32::read(from)?, u32::read(from)?);
        from.require(format_version == FORMAT_VERSION, "records of another version")?;
        let build = String::read(from)?;
        let (build, rest) = Chars::split(&build);
        from.require(rest.is_empty(), "a program of too long a name")?;
        let config = String::read(from)?;
        let settings = canonical::read(&config);
        let settings = settings.map_err(|_| from.bad("a configuration that is none"))?;
        let feed = FeedPlace::read(from)?;
        let state = Some(State::read_image(settings, from)?);
        let genesis = Some(Opening::Genesis { format_version, decide_version, build });
        let head = Head { genesis, config, parts: 0, records: Vec::new() };
        Ok(Self { head, state, feed })
    }

    /// The program that wrote the log, from the head.
    pub fn build(&self) -> &str {
        match &self.head.genesis {
            Some(Opening::Genesis { build, .. }) => build.as_str(),
            Some(Opening::Config { .. }) | None => "",
        }
    }
}

fn decode(slots: &[Slot]) -> Result<Record, ReplayError> {
    let undecodable = || {
        let first = slots.first().copied().unwrap_or_default();
        ReplayError::Undecodable { seq: first[0], kind: first[7].to_le_bytes()[0] }
    };
    Record::decode(slots).ok_or_else(undecodable)
}

/// Decides again: takes the inputs out of a log and requires the same records to follow.
///
/// Feed it every record of the log in order; it is only defined for a log of this
/// [`DECIDE_VERSION`].
#[derive(Debug, Default)]
pub struct Redecide {
    replay: Replay,
    engine: Option<Engine>,
    expected: Expected,
}

/// What deciding again said, and how much of it has been seen in the log.
#[derive(Debug, Default)]
struct Expected {
    slots: Vec<Slot>,
    seen: usize,
}

impl Output for Expected {
    fn record(&mut self, slots: &[Slot]) {
        self.slots.extend_from_slice(slots);
    }

    fn send(&mut self, _outbound: &Outbound) {}
}

impl Redecide {
    /// Goes on behind a whole group of a log, from the state that it left.
    pub fn resume(state: State) -> Self {
        Self { engine: Some(Engine::resume(state)), ..Self::default() }
    }

    /// Checks the next record.
    ///
    /// # Errors
    /// [`ReplayError`] at the first record that differs.
    pub fn next(&mut self, slots: &[Slot]) -> Result<(), ReplayError> {
        let record = decode(slots)?;
        let Some(engine) = &mut self.engine else {
            self.replay.next(slots)?;
            if let Some(state) = self.replay.state() {
                self.engine = Some(Engine::resume(state.clone()));
            }
            return Ok(());
        };
        if let Body::Input(input, arrival) = record.body {
            if self.expected.seen < self.expected.slots.len() {
                return Err(ReplayError::Unfinished { seq: record.head.seq });
            }
            self.expected.slots.clear();
            self.expected.seen = 0;
            let follows = record.head.seq == engine.state().seq() + 1;
            if !follows || record.head.ts < engine.state().ts() {
                let (seq, what) = (record.head.seq, "sequence or time does not go on");
                return Err(Diverged { seq, what }.into());
            }
            let clamped = record.head.flags & FLAG_CLAMPED != 0;
            engine.step_at(record.head.ts, clamped, arrival, &input, &mut self.expected);
        }
        self.expect(slots, &record)
    }

    fn expect(&mut self, slots: &[Slot], record: &Record) -> Result<(), ReplayError> {
        let rest = &self.expected.slots[self.expected.seen..];
        let same = rest.len() >= slots.len()
            && rest.iter().zip(slots).all(|(a, b)| content(a) == content(b));
        if !same {
            let decided = crate::codec::records(rest).next().and_then(Record::decode);
            return Err(ReplayError::Decided {
                seq: record.head.seq,
                logged: record.body.name(),
                decided: decided.map_or("nothing", |record| record.body.name()),
            });
        }
        self.expected.seen += slots.len();
        Ok(())
    }

    /// Records that deciding again has beyond the end of the log: a crash cut the last group.
    pub fn missing_slots(&self) -> usize {
        self.expected.slots.len() - self.expected.seen
    }

    /// Those records.
    pub fn missing(&self) -> &[Slot] {
        &self.expected.slots[self.expected.seen..]
    }

    /// The engine after the last input, what is missing included; `None` before the head is whole.
    pub fn into_engine(self) -> Option<Engine> {
        self.engine
    }

    /// The state after the last input.
    pub fn state(&self) -> Option<&State> {
        self.engine.as_ref().map(Engine::state)
    }

    /// Whether a log of that version of the decisions can be decided again.
    pub const fn can_decide(decide_version: u32) -> bool {
        decide_version == DECIDE_VERSION
    }
}
