//! Steps to inputs, records to results: drives the engine without threads.

use super::output::{Asked, Lists, Texts, account_row, document, order_row, position_of};
use super::setting::Venue;
use super::steps::{Action, Order, Report, Signal, Step};
use super::time;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use trade_engine::broker::{Broker, Message, Reports, SimulatedBroker};
use trade_engine::code::Code;
use trade_engine::codec::Shown;
use trade_engine::embedded::{TradeEngine, text_inputs};
use trade_engine::engine::State;
use trade_engine::event::{Body, Event, Record};
use trade_engine::input::{Input, StatusKind, Subject};
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::journal::{Journal, JournalError};
use trade_engine::order::{ClOrdId, OrderState, RequestKind};
use trade_engine::settings::Settings;
use trade_engine::units::Ts;

/// Who answers.
#[derive(Debug)]
pub(super) enum Answerer {
    Script,
    Sim(Box<SimulatedBroker>),
}

impl Broker for Answerer {
    fn on_message(&mut self, ts: Ts, message: &Message, reports: &mut Reports) {
        match self {
            Self::Script => {}
            Self::Sim(broker) => broker.on_message(ts, message, reports),
        }
    }
}

impl Answerer {
    /// The venue of a setting that was checked when it was read.
    pub(super) fn new(venue: &Venue, instruments: &[Instrument]) -> Self {
        match venue {
            Venue::Script => Self::Script,
            Venue::Sim(settings) => {
                let broker = SimulatedBroker::new(0, settings.clone(), instruments.to_vec());
                Self::Sim(Box::new(broker.expect("checked when it was read")))
            }
        }
    }
}

/// A scenario under way.
#[derive(Debug)]
pub(super) struct Drive {
    engine: TradeEngine<Answerer>,
    is_sim: bool,
    pub(super) texts: Texts,
    lists: Lists,
    /// Bars of each symbol so far, where none has a time of its own.
    pub(super) bars: Option<BTreeMap<String, i64>>,
    /// The time of the last step that was not too old.
    last: Option<Ts>,
    /// The venue's words, until the report that they belong to.
    words: BTreeMap<ClOrdId, Words>,
}

/// Words that may come in parts.
#[derive(Debug, Default)]
struct Words {
    text: String,
    more: bool,
}

/// What a step did.
#[derive(Debug, Default)]
struct Done {
    orders: BTreeSet<ClOrdId>,
    instruments: BTreeSet<InstrumentId>,
    refused: Option<Value>,
}

impl Drive {
    /// An engine before the first step. `bars_are_timed`: some bar says when it was.
    pub(super) fn new(
        settings: Settings,
        answerer: Answerer,
        journal: Option<Journal>,
        bars_are_timed: bool,
    ) -> Result<Self, JournalError> {
        let is_sim = matches!(answerer, Answerer::Sim(_));
        let engine = match journal {
            Some(journal) => TradeEngine::with_journal(settings, answerer, journal)?,
            None => TradeEngine::new(settings, answerer),
        };
        Ok(Self {
            engine,
            is_sim,
            texts: Texts::default(),
            lists: Lists::default(),
            bars: (!bars_are_timed).then(BTreeMap::new),
            last: None,
            words: BTreeMap::new(),
        })
    }

    /// What is held before the first step, which is at `ts`.
    pub(super) fn open(&mut self, ts: Ts, openings: &[Input]) -> Result<(), JournalError> {
        for opening in openings {
            self.engine.input_at(ts, opening)?;
        }
        Ok(())
    }

    /// Takes one step; returns its line of the trace.
    pub(super) fn step(&mut self, step: &Step) -> Result<Value, JournalError> {
        let next = self.last.map_or(time::START, |last| Ts(last.0.saturating_add(1_000_000)));
        let ts = step.at.unwrap_or(next);
        let is_old = self.last.is_some_and(|last| ts < last);
        let mut done = Done::default();
        if !is_old {
            self.last = Some(ts);
            if self.is_sim {
                // What has arrived at the venue by now comes first.
                let range = self.engine.input_at(ts, &Input::Timer {})?;
                let records: Vec<Record> = self.engine.records(range).collect();
                self.collect(step, &records, false, &mut done);
            }
        }
        let input = self.input(step, ts);
        if !is_old {
            self.log_texts(ts, step, &input)?;
        }
        self.keep_retired(&input);
        let range = self.engine.input_at(ts, &input)?;
        let records: Vec<Record> = self.engine.records(range).collect();
        self.note_names(step, &input, &records);
        self.collect(step, &records, true, &mut done);
        if done.refused.is_none() {
            if let Input::Mark { instrument, .. } | Input::Bar { instrument, .. } = input {
                done.instruments.insert(instrument);
            }
            if let Action::Halt { reason, .. } = &step.action {
                self.texts.halt.clone_from(reason);
            }
            if let Some(rate) = self.rate_besides(step) {
                let range = self.engine.input_at(ts, &rate)?;
                let records: Vec<Record> = self.engine.records(range).collect();
                self.collect(step, &records, false, &mut done);
            }
        }
        Ok(self.trace(step, done))
    }

    /// The result.
    pub(super) fn document(&self) -> Value {
        document(self.engine.state(), &self.texts, &self.lists)
    }

    /// The engine, to be checked and stopped.
    pub(super) fn into_engine(self) -> TradeEngine<Answerer> {
        self.engine
    }

    pub(super) fn state(&self) -> &State {
        self.engine.state()
    }

    pub(super) fn instrument(&self, symbol: &str) -> InstrumentId {
        self.state().settings().instrument(symbol).unwrap_or(InstrumentId::UNKNOWN)
    }

    pub(super) fn spec(&self, instrument: InstrumentId) -> Option<&Instrument> {
        self.state().book(instrument).map(|book| &book.spec)
    }

    /// Logs the words that belong to a step's input, ahead of it.
    fn log_texts(&mut self, ts: Ts, step: &Step, input: &Input) -> Result<(), JournalError> {
        let mut texts: Vec<(Subject, ClOrdId, &str)> = Vec::new();
        match (&step.action, input) {
            (Action::Signal(Signal { id: name, symbol, .. }), Input::Signal { id, .. })
            | (Action::Order(Order { id: name, symbol, .. }), Input::Order { id, .. })
            | (Action::ClosePosition { id: name, symbol }, Input::ClosePosition { id, .. }) => {
                texts.push((Subject::Name, *id, name));
                if self.instrument(symbol) == InstrumentId::UNKNOWN {
                    texts.push((Subject::Symbol, *id, symbol));
                }
            }
            (Action::Cancel { id: name, .. }, Input::Cancel { id, .. })
            | (Action::Replace { id: name, .. }, Input::Replace { id, .. }) => {
                texts.push((Subject::Name, *id, name));
            }
            (Action::Halt { reason, .. } | Action::Resume { reason }, _) => {
                texts.push((Subject::Operator, ClOrdId::NONE, reason));
            }
            (
                Action::Exec { order: name, report },
                Input::Trade { order, .. }
                | Input::Bust { order, .. }
                | Input::Correct { order, .. },
            ) => {
                let is_trade = matches!(report, Report::Trade(_));
                if is_trade && !self.texts.names.is_order(name) {
                    texts.push((Subject::Name, *order, name));
                }
                texts.extend(report.exec_id().map(|exec_id| (Subject::ExecId, *order, exec_id)));
            }
            (
                Action::Exec { report: Report::Status { reason: Some(reason), .. }, .. },
                Input::Status { order, kind, request },
            ) => {
                let id = self.answered(*order, *kind, *request).unwrap_or(*order);
                texts.push((Subject::Venue, id, reason));
            }
            _ => {}
        }
        for (subject, id, text) in texts {
            for part in text_inputs(subject, id, text) {
                let range = self.engine.input_at(ts, &part)?;
                let records: Vec<Record> = self.engine.records(range).collect();
                self.note_words(&records);
            }
        }
        Ok(())
    }

    /// The request that an answer means.
    fn answered(&self, order: ClOrdId, kind: StatusKind, request: ClOrdId) -> Option<ClOrdId> {
        let requests = &self.state().order(order)?.requests;
        let find = |kind| requests.find(kind, request.some()).map(|request| request.id);
        if kind == StatusKind::CancelRejected {
            find(RequestKind::Cancel)
        } else if kind == StatusKind::ReplaceRejected {
            find(RequestKind::Replace)
        } else {
            None
        }
    }

    /// Keeps what the venue says, part by part.
    fn note_words(&mut self, records: &[Record]) {
        for record in records {
            if let Body::Input(Input::Text { subject: Subject::Venue, id, text, more }, _) =
                record.body
            {
                let words = self.words.entry(id).or_default();
                // A part goes on where the one before it said that more follows.
                if !words.more {
                    words.text.clear();
                }
                words.text.push_str(text.as_str());
                words.more = more;
            }
        }
    }

    /// An order whose place the next one may take keeps its row.
    fn keep_retired(&mut self, input: &Input) {
        let makes_order = matches!(
            input,
            Input::Order { .. } | Input::Signal { .. } | Input::ClosePosition { .. }
        );
        let orders = self.engine.state().orders();
        if makes_order
            && orders.is_full()
            && let Some(id) = orders.oldest_finished()
            && let Some(order) = orders.get(id)
        {
            self.lists.retired.insert(id, order.clone());
        }
    }

    /// The names that the engine has taken with a step.
    fn note_names(&mut self, step: &Step, input: &Input, records: &[Record]) {
        let own = step.action.own_name().unwrap_or_default();
        for record in records {
            let Body::Event(event) = record.body else { continue };
            if let Event::Created { order, .. } = event {
                self.texts.names.take_order(own, order);
                self.texts.asked.insert(order, asked(&step.action));
            } else if let Event::CancelAsked { order, request } = event {
                // The walk over all orders names its requests itself.
                let name = if matches!(input, Input::Cancel { .. }) {
                    own.to_owned()
                } else {
                    format!("cancel-{}-{}", step.line, self.texts.names.text(order))
                };
                self.texts.names.take_request(&name, request);
            } else if let Event::ReplaceAsked { request, .. } = event {
                self.texts.names.take_request(own, request);
            } else if let (Event::Traded { order, .. }, Input::Trade { .. }) = (event, input) {
                // A trade that nobody ordered makes its name an order's.
                self.texts.names.take_order(own, order);
            }
        }
    }

    /// Takes a step's results out of its records. Only the first group can refuse the step itself.
    fn collect(&mut self, step: &Step, records: &[Record], is_step: bool, done: &mut Done) {
        let mut is_own = is_step;
        for record in records {
            self.note_words(std::slice::from_ref(record));
            if let Body::Event(event) = record.body {
                self.note_event(step, &event, is_own, done);
            }
            is_own &= !record.is_end();
        }
    }

    fn note_event(&mut self, step: &Step, event: &Event, is_own: bool, done: &mut Done) {
        if let Event::Refused { .. } = event {
            if is_own {
                let refused = self.refusal(step, event);
                self.lists.refused.push(refused.clone());
                done.refused = Some(refused);
            }
            return;
        }
        if let Event::Anomaly { code, order, qty, booked, .. } = *event {
            let name = self.texts.names.text(order);
            let retired = || self.lists.retired.get(&order);
            let held = self.state().order(order).or_else(retired);
            let instrument = held.map(|order| order.instrument);
            let stepped = || self.stepped_instrument(&step.action);
            let spec = instrument.or_else(stepped).and_then(|id| self.spec(id));
            let qty = spec.map_or_else(|| qty.to_string(), |spec| spec.qty_text(qty));
            self.lists.anomalies.push(json!({
                "line": step.line, "code": code.name(), "order": name, "qty": qty,
                "booked": booked,
            }));
            return;
        }
        if let Event::Warning { code, .. } = event {
            self.lists.warnings.push(json!({"line": step.line, "code": code.name()}));
            return;
        }
        if let Event::Rejected { order } = event {
            let words = self.words.get(order).map(|words| words.text.clone());
            self.texts.reasons.insert(*order, words.unwrap_or_default());
        }
        if let Event::Position { instrument, .. } = event {
            done.instruments.insert(*instrument);
        }
        event.show(&mut |name, shown| {
            if let ("order", Shown::Id(order)) = (name, shown) {
                done.orders.insert(order);
            }
        });
    }

    /// A step that changed nothing.
    fn refusal(&self, step: &Step, event: &Event) -> Value {
        let Event::Refused { code, state, event, order, .. } = *event else {
            unreachable!("the caller matched it")
        };
        let noted = event.and_then(|_| OrderState::ALL.get(usize::from(state)).copied());
        let from = noted.or_else(|| self.state().order(order).map(|order| order.state));
        let detail = match (code, step.at) {
            (Code::TimeWentBack, Some(at)) => Some(time::text(at)),
            _ => detail(&step.action, code, from),
        };
        let name = step.action.name();
        json!({"line": step.line, "step": name, "code": code.name(), "detail": detail})
    }

    fn stepped_instrument(&self, action: &Action) -> Option<InstrumentId> {
        let Action::Exec { report: Report::Trade(trade), .. } = action else { return None };
        trade.symbol.as_deref().map(|symbol| self.instrument(symbol))
    }

    fn trace(&self, step: &Step, done: Done) -> Value {
        let state = self.state();
        let only = |orders: &BTreeSet<ClOrdId>| match orders.len() {
            1 => orders.first().and_then(|id| state.order(*id)),
            _ => None,
        };
        let position = match done.instruments.len() {
            1 => done.instruments.first().map(|id| position_of(state, *id)),
            _ => None,
        };
        json!({
            "line": step.line,
            "step": step.action.name(),
            "order": only(&done.orders).map(|order| order_row(state, &self.texts, order)),
            "position": position,
            "account": account_row(state, &self.texts),
            "refused": done.refused,
        })
    }
}

/// The figures of a step that makes an order.
fn asked(action: &Action) -> Asked {
    if let Action::Signal(signal) = action {
        let (symbol, qty) = (signal.symbol.clone(), signal.qty.clone());
        return Asked { symbol, qty, ..Asked::default() };
    }
    let Action::Order(order) = action else { return Asked::default() };
    Asked {
        symbol: order.symbol.clone(),
        qty: Some(order.qty.clone()),
        price: order.price.clone(),
        stop_price: order.stop_price.clone(),
    }
}

/// What a refusal is about: the transition, or the name that it rests on.
fn detail(action: &Action, code: Code, from: Option<OrderState>) -> Option<String> {
    if let (Code::IllegalTransition, Some(from)) = (code, from) {
        return Some(format!("{from} + {}", event_name(action)));
    }
    let text = match (action, code) {
        (
            Action::Cancel { id, .. }
            | Action::Replace { id, .. }
            | Action::ClosePosition { id, .. },
            Code::DuplicateId,
        ) => id,
        (Action::Cancel { order, .. } | Action::Replace { order, .. }, _) => order,
        (
            Action::Signal(Signal { id, symbol, .. }) | Action::Order(Order { id, symbol, .. }),
            _,
        ) => {
            if code == Code::DuplicateId {
                id
            } else {
                symbol
            }
        }
        (Action::Exec { report, .. }, Code::DuplicateExecution) if report.exec_id().is_some() => {
            return report.exec_id().map(str::to_owned);
        }
        (
            Action::Exec {
                report: Report::Bust { exec_ref, .. } | Report::Correct { exec_ref, .. },
                ..
            },
            Code::UnknownExecution,
        ) => exec_ref,
        (
            Action::Exec {
                report:
                    Report::Status { request: Some(request), .. }
                    | Report::Replaced { request: Some(request), .. },
                ..
            },
            Code::UnknownRequest,
        ) => request,
        (Action::Exec { order, .. }, _) => order,
        (
            Action::Mark { symbol, .. }
            | Action::Bar { symbol, .. }
            | Action::ClosePosition { symbol, .. },
            _,
        ) => symbol,
        (Action::Halt { .. } | Action::Resume { .. } | Action::CancelAll | Action::DayRoll, _) => {
            return None;
        }
    };
    Some(text.clone())
}

/// What happened, as a transition names it: `Cancelled`, `DoneForDay`; a request: `Cancel`.
fn event_name(action: &Action) -> String {
    let name = if let Action::Exec { report, .. } = action {
        match report {
            Report::Status { kind, .. } => kind.name(),
            Report::Trade(_) => "fill",
            Report::Replaced { .. } => "replaced",
            Report::Restated { .. } => "restated",
            Report::Bust { .. } => "trade_bust",
            Report::Correct { .. } => "trade_correct",
        }
    } else {
        action.name()
    };
    let mut text = String::new();
    for part in name.split('_') {
        let (first, rest) = part.split_at(1);
        text.push_str(&first.to_uppercase());
        text.push_str(rest);
    }
    text
}
