//! All of the state, and its hash. Only `apply` writes it.

use super::executions::Executions;
use super::ledger::Ledger;
use crate::code::Code;
use crate::digest::Digest;
use crate::instrument::InstrumentId;
use crate::limits::SOURCES_MAX;
use crate::order::{ClOrdId, Order, OrderBook, Sweeps};
use crate::position::{Account, Position};
use crate::risk::{Correlations, InstrumentBook, RiskView};
use crate::settings::Settings;
use crate::units::{Price, Ts};

/// The feeder number of the engine's own requests: the cancels of a sweep.
pub const OWN_SOURCE: u8 = 7;

const _: () = assert!((OWN_SOURCE as usize) < SOURCES_MAX);

/// Everything the engine knows.
#[derive(Clone, Debug)]
pub struct State {
    pub(super) settings: Settings,
    pub(super) seq: u64,
    pub(super) ts: Ts,
    pub(super) halted: Option<Code>,
    pub(super) account: Account,
    pub(super) books: Vec<InstrumentBook>,
    pub(super) orders: OrderBook,
    pub(super) executions: Executions,
    pub(super) ledgers: Vec<Ledger>,
    pub(super) correlations: Correlations,
    pub(super) last_ids: [ClOrdId; SOURCES_MAX],
    pub(super) sweeps: Sweeps,
    pub(super) checkpoint_seq: u64,
}

impl State {
    /// The state before the first record. Takes all the memory that the engine will ever take.
    pub fn new(settings: Settings) -> Self {
        let books = settings.instruments.iter().cloned().map(InstrumentBook::new).collect();
        let window = settings.risk.correlation_window;
        Self {
            seq: 0,
            // Before every time that a log can open at: data may be older than 1970.
            ts: Ts(i64::MIN),
            halted: None,
            account: Account::new(settings.account.initial_capital),
            books,
            orders: OrderBook::new(settings.capacity.orders),
            executions: Executions::new(settings.capacity.executions),
            ledgers: vec![Ledger::default(); settings.instruments.len()],
            correlations: Correlations::new(settings.instruments.len(), window),
            last_ids: [ClOrdId::NONE; SOURCES_MAX],
            sweeps: Sweeps::default(),
            checkpoint_seq: 0,
            settings,
        }
    }

    /// Sequence number of the last slot applied.
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Domain time of the last input.
    pub const fn ts(&self) -> Ts {
        self.ts
    }

    /// Why trading is halted, if it is.
    pub const fn halted(&self) -> Option<Code> {
        self.halted
    }

    /// What it was started with.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The account.
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// The orders.
    pub const fn orders(&self) -> &OrderBook {
        &self.orders
    }

    /// The executions seen.
    pub const fn executions(&self) -> &Executions {
        &self.executions
    }

    /// One order.
    pub fn order(&self, id: ClOrdId) -> Option<&Order> {
        self.orders.get(id)
    }

    /// What is known of every instrument, in the order of their ids.
    pub fn books(&self) -> &[InstrumentBook] {
        &self.books
    }

    /// What is known of one instrument.
    pub fn book(&self, id: InstrumentId) -> Option<&InstrumentBook> {
        self.books.get(id.index())
    }

    /// One position.
    pub fn position(&self, id: InstrumentId) -> Option<&Position> {
        self.book(id).map(|book| &book.position)
    }

    /// The mark of an instrument.
    pub fn mark(&self, id: InstrumentId) -> Option<Price> {
        self.book(id)?.market.price
    }

    /// Sweeps under way.
    pub const fn sweeps(&self) -> Sweeps {
        self.sweeps
    }

    /// Whether an id has not been used: each feeder's ids grow. The row of an order that no input
    /// made has taken its id, too.
    pub fn is_new_id(&self, id: ClOrdId) -> bool {
        let grows = self.last_ids.get(id.source()).is_some_and(|last| id > *last);
        id != ClOrdId::NONE && grows && self.orders.get(id).is_none()
    }

    /// Whether a feeder may use an id: a new one, and not of the engine's own.
    pub fn is_open_id(&self, id: ClOrdId) -> bool {
        id.source() != usize::from(OWN_SOURCE) && self.is_new_id(id)
    }

    /// Whether a trade may make a row for an order of that id that no input made: not of the
    /// engine's own ids, which a request to come must find free.
    pub fn may_have_row(id: ClOrdId) -> bool {
        id != ClOrdId::NONE && id.source() != usize::from(OWN_SOURCE)
    }

    /// The engine's next own request id.
    pub fn next_own_id(&self) -> ClOrdId {
        ClOrdId::new(OWN_SOURCE, self.last_ids[OWN_SOURCE as usize].counter() + 1)
    }

    /// What the risk rules may see.
    pub fn risk_view(&self) -> RiskView<'_> {
        RiskView {
            settings: &self.settings.risk,
            now: self.ts,
            halted: self.halted,
            account: &self.account,
            books: &self.books,
            correlations: &self.correlations,
            orders_free: true,
            executions_free: !self.executions.is_nearly_full(),
        }
    }

    /// The hash of all of it: equal states hash equally on every machine. Walks the orders held.
    pub fn hash(&self) -> u64 {
        let mut digest = Digest::default();
        digest.word(self.seq);
        digest.signed(self.ts.0);
        digest.word(self.halted.map_or(0, |code| code as u64));
        self.account.digest(&mut digest);
        for book in &self.books {
            book.digest(&mut digest);
        }
        self.orders.digest(&mut digest);
        self.executions.digest(&mut digest);
        for ledger in &self.ledgers {
            ledger.digest(&mut digest);
        }
        self.correlations.digest(&mut digest);
        for id in &self.last_ids {
            digest.word(id.0);
        }
        self.sweeps.digest(&mut digest);
        digest.word(self.checkpoint_seq);
        digest.finish()
    }
}
