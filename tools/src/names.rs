//! The words that travel in a log beside its numbers: names of orders and requests, what a venue
//! said, symbols that nobody knows, an operator's reasons.

use std::collections::BTreeMap;
use trade_engine::code::Code;
use trade_engine::engine::State;
use trade_engine::event::{Body, Event, Record};
use trade_engine::input::{Input, Subject};
use trade_engine::order::{ClOrdId, Order};

/// Words held before those of retired orders are dropped: all that the slab can hold, their
/// requests, and room to grow.
const WORDS_MAX: usize = 1 << 16;

/// Bytes of one text; what a strange log adds behind them is cut.
const TEXT_SIZE_MAX: usize = 4_096;

/// An id as a number: the counter of feeder 0, `feeder-counter` of the others.
pub fn number(id: ClOrdId) -> String {
    match id.source() {
        0 => id.counter().to_string(),
        source => format!("{source}-{}", id.counter()),
    }
}

/// Reads what [`number`] prints.
pub fn parse_number(text: &str) -> Option<ClOrdId> {
    let (source, counter) = text.split_once('-').unwrap_or(("0", text));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(source) || !is_digits(counter) {
        return None;
    }
    let source: u8 = source.parse().ok()?;
    let counter: u64 = counter.parse().ok()?;
    (counter > 0 && counter < 1 << 56).then(|| ClOrdId::new(source, counter))
}

/// A text that may come in parts.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    text: String,
}

trade_engine::image!(Parts { text });

impl Parts {
    /// Takes a part in. Gives the whole text back with its last part.
    pub fn push(&mut self, part: &str, more: bool) -> Option<String> {
        let room = TEXT_SIZE_MAX.saturating_sub(self.text.len());
        self.text.push_str(&part[..part.floor_char_boundary(room)]);
        (!more).then(|| std::mem::take(&mut self.text))
    }
}

/// The words of a log, as far as it has been read.
///
/// Bounded: words about orders that the engine has retired are dropped when there are many.
#[derive(Clone, Debug, Default)]
pub struct Names {
    names: BTreeMap<ClOrdId, Box<str>>,
    venue: BTreeMap<ClOrdId, Box<str>>,
    symbols: BTreeMap<ClOrdId, Box<str>>,
    operator: Option<String>,
    exec_id: Option<String>,
    halt: Option<String>,
    /// The parts so far, and what they belong to.
    parts: Parts,
    of: Option<(Subject, ClOrdId)>,
    limit: usize,
}

trade_engine::image!(Names { names, venue, symbols, operator, exec_id, halt, parts, of, limit });

impl Names {
    /// Takes in a record that has been applied; `state` is the state after it.
    pub fn observe(&mut self, record: &Record, state: Option<&State>) {
        match record.body {
            Body::Input(Input::Text { subject, more, id, text }, _) => {
                if self.of != Some((subject, id)) {
                    self.parts = Parts::default();
                    self.of = Some((subject, id));
                }
                if let Some(whole) = self.parts.push(text.as_str(), more) {
                    self.of = None;
                    self.take(subject, id, whole);
                    self.trim(state);
                }
            }
            Body::Event(Event::Halted { reason }) => {
                let words = self.operator.take().filter(|_| reason == Code::Operator);
                self.halt = Some(words.unwrap_or_else(|| reason.name().to_owned()));
            }
            Body::Event(Event::Resumed {}) => self.halt = None,
            // Words that explained something else are not those of the next halt.
            Body::Input(Input::Resume {} | Input::SetLimit { .. }, _)
            | Body::Event(Event::Refused { code: Code::AlreadyHalted, .. }) => {
                self.operator = None;
            }
            Body::Input(..) | Body::Event(_) | Body::Opening(_) => {}
        }
    }

    fn take(&mut self, subject: Subject, id: ClOrdId, text: String) {
        match subject {
            Subject::Name => drop(self.names.insert(id, text.into())),
            Subject::Venue => drop(self.venue.insert(id, text.into())),
            Subject::Symbol => drop(self.symbols.insert(id, text.into())),
            Subject::Operator => self.operator = Some(text),
            Subject::ExecId => self.exec_id = Some(text),
        }
    }

    fn trim(&mut self, state: Option<&State>) {
        let count = self.names.len() + self.venue.len() + self.symbols.len();
        let Some(state) = state.filter(|_| count > self.limit.max(WORDS_MAX)) else { return };
        for words in [&mut self.names, &mut self.venue, &mut self.symbols] {
            words.retain(|id, _| state.order(*id).is_some() || state.is_new_id(*id));
        }
        // What could not be dropped now is not looked through again at every text.
        self.limit = 2 * (self.names.len() + self.venue.len() + self.symbols.len());
    }

    /// What people call an order or a request; its number if nobody gave it a name.
    pub fn name(&self, id: ClOrdId) -> String {
        self.names.get(&id).map_or_else(|| number(id), |name| name.to_string())
    }

    /// The ids that people call so.
    pub fn ids(&self, name: &str) -> impl Iterator<Item = ClOrdId> {
        self.names.iter().filter(move |(_, known)| known.as_ref() == name).map(|(id, _)| *id)
    }

    /// The venue's last words about an order or a request.
    pub fn venue(&self, id: ClOrdId) -> Option<&str> {
        self.venue.get(&id).map(AsRef::as_ref)
    }

    /// The symbol that an order for an unknown one named.
    pub fn symbol(&self, id: ClOrdId) -> Option<&str> {
        self.symbols.get(&id).map(AsRef::as_ref)
    }

    /// The venue's own id of the execution that comes next, and no longer known then.
    pub fn take_exec_id(&mut self) -> Option<String> {
        self.exec_id.take()
    }

    /// Why trading is halted: the operator's words, else the code. `None` while it is not.
    pub fn halt_reason(&self) -> Option<&str> {
        self.halt.as_deref()
    }

    /// Why an order was turned down: the code, or the venue's words.
    pub fn reason(&self, order: &Order) -> Option<String> {
        order.reason.map(|code| self.reason_text(order.id, code))
    }

    /// As [`Names::reason`], from the code.
    pub fn reason_text(&self, id: ClOrdId, code: Code) -> String {
        let words = self.venue(id).filter(|_| code == Code::Venue);
        words.unwrap_or(code.name()).to_owned()
    }
}
