//! All of the state, and its hash. Only `apply` writes it.

use super::executions::Executions;
use super::ledger::Ledger;
use crate::code::Code;
use crate::digest::Digest;
use crate::instrument::{Instrument, InstrumentId};
use crate::limits::SOURCES_MAX;
use crate::order::{ClOrdId, Contingents, Order, OrderBook, Sweeps};
use crate::position::{Account, Position};
use crate::risk::{Controls, Correlations, InstrumentBook, RiskView, StrategyBooks};
use crate::settings::{LimitKey, Limits, RiskSettings, Settings};
use crate::units::{Money, Price, Qty, Ts};

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
    pub(super) strategies: StrategyBooks,
    pub(super) orders: OrderBook,
    pub(super) contingents: Contingents,
    pub(super) executions: Executions,
    pub(super) ledgers: Vec<Ledger>,
    pub(super) correlations: Correlations,
    pub(super) controls: Controls,
    pub(super) last_ids: [ClOrdId; SOURCES_MAX],
    pub(super) sweeps: Sweeps,
    /// When the last walk for what was not answered began.
    pub(super) overdue_since: Ts,
    pub(super) checkpoint_seq: u64,
    /// Whether equity is below the maintenance margin of what is held, and that has been said.
    pub(super) margin_call: bool,
    /// Whether the log has been taken up again and the venue has not been asked yet: nothing
    /// leaves.
    pub(super) reconciling: bool,
    /// The counter of the last own id before the log was first taken up again: from there on there
    /// are some that may have been used, and not been recorded.
    pub(super) unrecorded_after: Option<u64>,
    /// Whether any instrument has a maintenance margin that is to be watched.
    pub(super) watches_margin: bool,
}

impl State {
    /// The state before the first record. Takes all the memory that the engine will ever take.
    pub fn new(mut settings: Settings) -> Self {
        let (instruments, strategies) = (settings.instruments.len(), settings.strategies.len());
        // Whole, so that a limit can be set for any of them later.
        settings.risk.symbols.resize(instruments, Limits::OFF);
        settings.risk.strategies.resize(strategies, Limits::OFF);
        let controls = Controls::new(&settings.risk, &settings.capacity, instruments, strategies);
        let book = |spec: &Instrument| InstrumentBook {
            currency: settings.currency(&spec.currency).expect("it is an instrument's"),
            ..InstrumentBook::new(spec.clone())
        };
        let books: Vec<InstrumentBook> = settings.instruments.iter().map(book).collect();
        let window = settings.risk.correlation_window;
        let watches_margin =
            settings.risk.margin && books.iter().any(|book| book.spec.maintenance_margin.is_some());
        Self {
            seq: 0,
            // Before every time that a log can open at: data may be older than 1970.
            ts: Ts(i64::MIN),
            halted: None,
            account: Account::new(settings.account.initial_capital, settings.currencies().len()),
            strategies: StrategyBooks::new(settings.strategies.len(), books.len()),
            books,
            orders: OrderBook::new(settings.capacity.orders),
            contingents: Contingents::new(settings.capacity.orders, settings.instruments.len()),
            executions: Executions::new(settings.capacity.executions),
            ledgers: vec![Ledger::default(); instruments],
            correlations: Correlations::new(instruments, window),
            controls,
            last_ids: [ClOrdId::NONE; SOURCES_MAX],
            sweeps: Sweeps::default(),
            overdue_since: Ts(i64::MIN),
            checkpoint_seq: 0,
            margin_call: false,
            reconciling: false,
            unrecorded_after: None,
            watches_margin,
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

    /// What it was started with, and every limit as it was set since.
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

    /// The contingent orders.
    pub const fn contingents(&self) -> &Contingents {
        &self.contingents
    }

    /// The executions seen.
    pub const fn executions(&self) -> &Executions {
        &self.executions
    }

    /// What has been sent, as the controls remember it.
    pub const fn controls(&self) -> &Controls {
        &self.controls
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

    /// What every strategy holds and has working.
    pub const fn strategy_books(&self) -> &StrategyBooks {
        &self.strategies
    }

    /// A strategy's P&L in the account's currency, 0 for nobody's: see [`StrategyBooks::pnl`].
    pub fn strategy_pnl(&self, strategy: u16) -> Option<Money> {
        self.strategies.pnl(strategy, &self.account, &self.books)
    }

    /// Whether equity is below the maintenance margin of what is held.
    pub const fn margin_call(&self) -> bool {
        self.margin_call
    }

    /// Whether the log has been taken up again and the venue has not been asked yet: nothing
    /// leaves.
    pub const fn is_reconciling(&self) -> bool {
        self.reconciling
    }

    /// The last id that a feeder has used; [`ClOrdId::NONE`] before its first, and for no feeder.
    pub fn last_id(&self, source: usize) -> ClOrdId {
        self.last_ids.get(source).copied().unwrap_or_default()
    }

    /// Maintenance margin of everything that is held, in the account's currency; what has none
    /// needs none. `None` past the range, or where a rate is missing.
    pub fn maintenance_margin(&self) -> Option<Money> {
        let held = self.books.iter().filter(|book| book.position.qty != Qty(0));
        held.filter_map(|book| Some((book, book.spec.maintenance_margin?))).try_fold(
            Money::ZERO,
            |sum, (book, margin)| {
                let lots = i128::from(book.position.qty.0.unsigned_abs());
                let needed = Money(margin.0.checked_mul(lots)?);
                let needed = self.account.rates().convert(book.currency, needed).ok()?;
                sum.checked_add(needed)
            },
        )
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

    /// Whether a request that is not outstanding may have left without its record: before the log
    /// was taken up again, as a cancel does under a halt. Its answer may come after another
    /// restart.
    pub fn is_unrecorded(&self, request: ClOrdId) -> bool {
        let own = request.source() == usize::from(OWN_SOURCE);
        let used = request <= self.last_ids[usize::from(OWN_SOURCE)];
        own && used && self.unrecorded_after.is_some_and(|after| request.counter() > after)
    }

    /// What the risk rules may see.
    pub fn risk_view(&self) -> RiskView<'_> {
        RiskView {
            settings: &self.settings.risk,
            now: self.ts,
            halted: self.halted,
            account: &self.account,
            rates: self.account.rates(),
            books: &self.books,
            strategies: &self.strategies,
            correlations: &self.correlations,
            controls: &self.controls,
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
        self.strategies.digest(&mut digest);
        self.orders.digest(&mut digest);
        self.contingents.digest(&mut digest);
        self.executions.digest(&mut digest);
        for ledger in &self.ledgers {
            ledger.digest(&mut digest);
        }
        self.correlations.digest(&mut digest);
        self.controls.digest(&mut digest);
        digest_limits(&self.settings.risk, &mut digest);
        for id in &self.last_ids {
            digest.word(id.0);
        }
        self.sweeps.digest(&mut digest);
        digest.signed(self.overdue_since.0);
        digest.word(self.checkpoint_seq);
        let unrecorded = self.unrecorded_after.map_or(0, |counter| counter + 1);
        let flags = u64::from(self.margin_call) | u64::from(self.reconciling) << 1;
        digest.word(flags | unrecorded << 2);
        digest.finish()
    }
}

/// Folds in every limit: what else there is of the settings never changes.
fn digest_limits(risk: &RiskSettings, digest: &mut Digest) {
    let scoped = risk.symbols.iter().chain(&risk.strategies);
    for limits in [&risk.limits].into_iter().chain(scoped) {
        for key in LimitKey::ALL {
            let limit = limits.get(*key);
            digest.word(u64::from(limit.is_some()));
            digest.wide(limit.unwrap_or_default().0);
        }
    }
}
