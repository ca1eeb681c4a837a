//! The engine without threads: the same core, a broker and a log on the caller's thread.
//!
//! For examples, tests, scenarios, research, and for programs that have a loop of their own.

use crate::broker::{Broker, Reports};
use crate::codec::Slot;
use crate::config::canonical;
use crate::engine::{Engine, Outbound, Output, State};
use crate::event::{Body, Event, Record};
pub use crate::input::text_inputs;
use crate::input::{Input, Subject};
use crate::instrument::InstrumentId;
use crate::journal::{Journal, JournalError};
use crate::order::{ClOrdId, Order};
use crate::position::Position;
use crate::resume::Resumed;
use crate::settings::Settings;
use crate::strategy::{Bracket, Signal};
use crate::units::{Price, Ts};
use std::collections::VecDeque;
use std::ops::Range;

/// The feeder number of a [`TradeEngine`]'s own inputs.
const SOURCE: u8 = 0;

/// Turns that one input may cause: a sweep over a full slab takes a few hundred, each with a broker
/// that answers at once. What a broker without end says beyond it waits for the next input.
const TURNS_PER_INPUT_MAX: usize = 1 << 20;

/// Where a turn's records and messages wait until the turn is over.
#[derive(Debug, Default)]
struct Outbox {
    records: Vec<Slot>,
    messages: VecDeque<Outbound>,
}

impl Output for Outbox {
    fn record(&mut self, slots: &[Slot]) {
        self.records.extend_from_slice(slots);
    }

    fn send(&mut self, outbound: &Outbound) {
        self.messages.push_back(*outbound);
    }
}

/// An engine, its broker, and its log in memory (and on disk, if it is given a journal).
#[derive(Debug)]
pub struct TradeEngine<B> {
    engine: Engine,
    broker: B,
    reports: Reports,
    outbox: Outbox,
    log: Vec<Slot>,
    journal: Option<Journal>,
    ts: Ts,
    next_id: u64,
}

impl<B: Broker> TradeEngine<B> {
    /// An engine that keeps its log in memory. Its clock stands at the epoch until
    /// [`TradeEngine::set_time`] or an input with a time moves it.
    pub fn new(settings: Settings, broker: B) -> Self {
        let config = canonical::write(&settings);
        let mut started = Self {
            engine: Engine::new(settings),
            broker,
            reports: Reports::default(),
            outbox: Outbox::default(),
            log: Vec::new(),
            journal: None,
            ts: Ts(0),
            next_id: 1,
        };
        let build = concat!("trade_engine ", env!("CARGO_PKG_VERSION"));
        started.engine.open_log(Ts(0), build, &config, &mut started.outbox);
        started.log.append(&mut started.outbox.records);
        started
    }

    /// As [`TradeEngine::new`], with every record in a journal before its orders leave.
    ///
    /// # Errors
    /// Those of the journal.
    pub fn with_journal(
        settings: Settings,
        broker: B,
        mut journal: Journal,
    ) -> Result<Self, JournalError> {
        let mut started = Self::new(settings, broker);
        journal.append(&started.log)?;
        started.journal = Some(journal);
        Ok(started)
    }

    /// Goes on with a log that has been taken up, at the broker that was asked what it has. What
    /// the log held before is on the disk: [`TradeEngine::log`] begins anew.
    pub fn resume(resumed: Resumed, broker: B) -> Self {
        let Resumed { engine, journal } = resumed;
        Self {
            ts: engine.state().ts(),
            next_id: engine.state().last_id(usize::from(SOURCE)).counter() + 1,
            engine,
            broker,
            reports: Reports::default(),
            outbox: Outbox::default(),
            log: Vec::new(),
            journal: Some(journal),
        }
    }

    /// Moves the clock: inputs without a time of their own happen then.
    pub fn set_time(&mut self, ts: Ts) {
        self.ts = ts;
    }

    /// Takes one input at time `ts`, lets the broker answer until nothing moves, and returns the
    /// place in [`TradeEngine::log`] of every record that came of it.
    ///
    /// # Errors
    /// Those of the journal; no order leaves after one.
    pub fn input_at(&mut self, ts: Ts, input: &Input) -> Result<Range<usize>, JournalError> {
        let begin = self.log.len();
        self.ts = ts;
        self.turn(ts, input)?;
        for _ in 0..TURNS_PER_INPUT_MAX {
            if let Some(outbound) = self.outbox.messages.pop_front() {
                self.broker.on_message(outbound.ts, &outbound.message, &mut self.reports);
            } else if let Some((ts, report)) = self.reports.pop() {
                self.turn(ts.max(self.engine.state().ts()), &report)?;
            } else if self.engine.state().sweeps().any() {
                self.turn(self.engine.state().ts(), &Input::Continue {})?;
            } else {
                return Ok(begin..self.log.len());
            }
        }
        // A broker that answers without end: what it said last waits for the next input.
        Ok(begin..self.log.len())
    }

    /// Takes one input at the clock's time; see [`TradeEngine::input_at`].
    ///
    /// # Errors
    /// Those of the journal.
    pub fn input(&mut self, input: &Input) -> Result<Range<usize>, JournalError> {
        self.input_at(self.ts, input)
    }

    fn turn(&mut self, ts: Ts, input: &Input) -> Result<(), JournalError> {
        self.engine.step(ts, 0, input, &mut self.outbox);
        if let Some(journal) = &mut self.journal {
            journal.append(&self.outbox.records)?;
        }
        self.log.append(&mut self.outbox.records);
        Ok(())
    }

    /// The next id of an order or request.
    pub fn next_id(&mut self) -> ClOrdId {
        let id = ClOrdId::new(SOURCE, self.next_id);
        self.next_id += 1;
        id
    }

    /// Sends a signal on its way; returns the id of its order.
    ///
    /// # Errors
    /// Those of the journal. A signal that risk turns down is no error: its order is REJECTED.
    pub fn submit(&mut self, signal: &Signal) -> Result<ClOrdId, JournalError> {
        let id = self.next_id();
        self.input(&signal.input(id))?;
        Ok(id)
    }

    /// Sends a bracket on its way: its exits, to be held, then its entry. Returns the ids of stop
    /// loss, take profit and entry.
    ///
    /// # Errors
    /// Those of the journal. An entry that risk turns down is no error: it is REJECTED, and its
    /// exits are withdrawn.
    pub fn bracket(&mut self, bracket: &Bracket) -> Result<[ClOrdId; 3], JournalError> {
        let ids = [self.next_id(), self.next_id(), self.next_id()];
        for input in bracket.inputs(ids) {
            self.input(&input)?;
        }
        Ok(ids)
    }

    /// Flattens one symbol at the market; returns the id of the order that does it.
    ///
    /// # Errors
    /// Those of the journal.
    pub fn close_position(&mut self, instrument: InstrumentId) -> Result<ClOrdId, JournalError> {
        let id = self.next_id();
        self.input(&Input::ClosePosition { id, instrument })?;
        Ok(id)
    }

    /// A new market price.
    ///
    /// # Errors
    /// Those of the journal.
    pub fn mark(&mut self, instrument: InstrumentId, price: Price) -> Result<(), JournalError> {
        self.input(&Input::Mark { instrument, price, bid: None, ask: None }).map(|_| ())
    }

    /// Records words that belong to an order, a request or the next command.
    ///
    /// # Errors
    /// Those of the journal.
    pub fn text(&mut self, subject: Subject, id: ClOrdId, text: &str) -> Result<(), JournalError> {
        for part in text_inputs(subject, id, text) {
            self.input(&part)?;
        }
        Ok(())
    }

    /// What the engine knows.
    pub const fn state(&self) -> &State {
        self.engine.state()
    }

    /// The broker.
    pub const fn broker(&self) -> &B {
        &self.broker
    }

    /// Lets go of everything but the broker, as a crash does: the log is as it is.
    pub fn into_broker(self) -> B {
        self.broker
    }

    /// One order; `None` once it has been retired, or was never taken in.
    pub fn order(&self, id: ClOrdId) -> Option<&Order> {
        self.state().order(id)
    }

    /// One position, flat ones included.
    pub fn position(&self, instrument: InstrumentId) -> Option<&Position> {
        self.state().position(instrument)
    }

    /// Every slot recorded so far; their CRC is zero, it is the journal's business.
    pub fn log(&self) -> &[Slot] {
        &self.log
    }

    /// The records in a part of the log, as [`TradeEngine::input_at`] returns it.
    pub fn records(&self, range: Range<usize>) -> impl Iterator<Item = Record> {
        crate::codec::records(&self.log[range])
            .map(|slots| Record::decode(slots).expect("the engine wrote it"))
    }

    /// Everything that happened to an order, in order, and what became of the position.
    pub fn events(&self, order: ClOrdId) -> impl Iterator<Item = Event> {
        let mut traded = false;
        self.records(0..self.log.len()).filter_map(move |record| {
            let Body::Event(event) = record.body else { return None };
            // A trade's position is the record behind it.
            let follows = traded && matches!(event, Event::Position { .. });
            let concerns = record.body.concerns(order);
            let trades = matches!(
                event,
                Event::Traded { .. } | Event::Busted { .. } | Event::Corrected { .. }
            );
            traded = concerns && trades;
            (concerns || follows).then_some(event)
        })
    }

    /// Ends the log with a checkpoint and gives the journal back, synced.
    ///
    /// # Errors
    /// Those of the journal.
    pub fn stop(mut self) -> Result<Option<Journal>, JournalError> {
        self.input(&Input::Stop {})?;
        if let Some(journal) = &mut self.journal {
            journal.sync()?;
        }
        Ok(self.journal)
    }
}
