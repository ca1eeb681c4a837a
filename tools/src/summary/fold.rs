//! The fold: one walk over the log, counting as it goes.

use super::{AccountSummary, Halt, LogInfo, PositionSummary, Summary, Unanswered};
use crate::limits::{self, Change};
use crate::names::Names;
use crate::parts::AccountParts;
use crate::rows;
use crate::text::direction;
use crate::trade::{Fate, Trade};
use crate::walk::{LogError, Walk};
use std::collections::BTreeMap;
use std::path::Path;
use trade_engine::code::Code;
use trade_engine::engine::State;
use trade_engine::event::{Body, Event, Record};
use trade_engine::input::ExecKey;
use trade_engine::limits::PRICE_SCALE;
use trade_engine::order::{Flags, OrderState};
use trade_engine::position::Position;
use trade_engine::units::{Money, Qty, Ts, div_half_even};

/// Different reasons that are told apart; a venue that never says the same twice fills no memory.
const REASONS_MAX: usize = 256;
const OTHER_REASONS: &str = "(other reasons)";

#[derive(Default)]
struct Fold {
    records: u64,
    first_ts: Option<Ts>,
    retired: BTreeMap<OrderState, u64>,
    unassigned: u64,
    rejects: BTreeMap<String, u64>,
    refusals: BTreeMap<Code, u64>,
    anomalies: BTreeMap<Code, u64>,
    warnings: BTreeMap<Code, u64>,
    trades: Vec<Trade>,
    /// The place of each trade in the list, under its own id and those of its corrections.
    places: BTreeMap<ExecKey, usize>,
    halts: Vec<Halt>,
    unanswered: Vec<Unanswered>,
    changes: Vec<Change>,
}

/// What must be looked at before a record is applied.
enum Before {
    Nothing,
    Position(Position),
    Retires(OrderState, Flags),
}

pub(super) fn read(dir: &Path) -> Result<Summary, LogError> {
    let mut walk = Walk::open(dir)?;
    let mut fold = Fold::default();
    while let Some(record) = walk.read()? {
        let before = walk.state().map_or(Before::Nothing, |state| look(state, &record));
        walk.apply()?;
        fold.records += 1;
        if let Some(state) = walk.state() {
            fold.take(&record, &before, state, walk.names());
        }
    }
    walk.end()?;
    let build = walk.replay().build().to_owned();
    let (state, names) = (walk.whole_state()?, walk.names());
    let log = LogInfo {
        dir: dir.to_owned(),
        build,
        begins: walk.begins().map(ToString::to_string),
        records: fold.records,
        last_seq: state.seq(),
        first_ts: fold.first_ts,
        last_ts: state.ts(),
    };
    Ok(fold.finish(log, state, names))
}

fn look(state: &State, record: &Record) -> Before {
    match record.body {
        Body::Event(Event::Traded { instrument, .. }) => {
            state.position(instrument).map_or(Before::Nothing, |held| Before::Position(*held))
        }
        Body::Event(Event::Closed { order }) => state
            .order(order)
            .map_or(Before::Nothing, |order| Before::Retires(order.state, order.flags)),
        Body::Event(_) | Body::Input(..) | Body::Opening(_) => Before::Nothing,
    }
}

impl Fold {
    fn take(&mut self, record: &Record, before: &Before, state: &State, names: &Names) {
        match before {
            Before::Position(held) => {
                if let Some(trade) = Trade::new(record, held, state, names) {
                    self.places.insert(trade.exec, self.trades.len());
                    self.trades.push(trade);
                }
            }
            Before::Retires(retired, flags) if !flags.has(Flags::UNKNOWN) => {
                *self.retired.entry(*retired).or_default() += 1;
            }
            Before::Retires(..) | Before::Nothing => {}
        }
        match record.body {
            Body::Event(ref event) => {
                self.count(record, event, state, names);
                self.list(record, event, state, names);
            }
            Body::Input(..) => self.first_ts = self.first_ts.or(Some(record.head.ts)),
            Body::Opening(_) => {}
        }
    }

    /// Counts what is counted; all other events are in the state.
    fn count(&mut self, record: &Record, event: &Event, state: &State, names: &Names) {
        if let Event::Denied { order, reason } = *event {
            self.reject(names.reason_text(order, reason));
        } else if let Event::Rejected { order } = *event {
            let reason = state.order(order).and_then(|order| names.reason(order));
            self.reject(reason.unwrap_or_else(|| Code::Venue.name().to_owned()));
        } else if let Event::Refused { code, .. } = *event {
            *self.refusals.entry(code).or_default() += 1;
        } else if let Event::Anomaly { code, .. } = *event {
            *self.anomalies.entry(code).or_default() += 1;
        } else if let Event::Warning { code, .. } = *event {
            *self.warnings.entry(code).or_default() += 1;
        } else if let Event::Unassigned { .. } = *event {
            self.unassigned += 1;
        } else if let Some(change) = Change::of(record, state) {
            self.changes.push(change);
        }
    }

    /// Lists what a person should see one by one.
    fn list(&mut self, record: &Record, event: &Event, state: &State, names: &Names) {
        let (seq, ts) = (record.head.seq, record.head.ts);
        if let Event::Halted { reason } = *event {
            let reason = names.halt_reason().unwrap_or(reason.name()).to_owned();
            self.halts.push(Halt { seq, ts, symbol: None, reason, resumed: None });
        } else if let Event::InstrumentHalted { instrument, reason } = *event {
            let symbol = Some(rows::symbol(state, instrument).unwrap_or("?").to_owned());
            let reason = reason.name().to_owned();
            self.halts.push(Halt { seq, ts, symbol, reason, resumed: None });
        } else if let Event::Resumed {} = event {
            for halt in self.halts.iter_mut().filter(|halt| halt.resumed.is_none()) {
                halt.resumed = Some(ts);
            }
        } else if let Event::Unanswered { order, request, since } = *event {
            let (order, request) = (names.name(order), request.some().map(|id| names.name(id)));
            self.unanswered.push(Unanswered { seq, ts, order, request, since });
        } else if let Event::Busted { exec, exec_ref, .. } = *event {
            self.settle(exec, exec_ref, Fate::Busted { seq });
        } else if let Event::Corrected { exec, exec_ref, instrument, last_qty, last_px, .. } =
            *event
        {
            let (qty_text, price) = (rows::qty_text(state, instrument, last_qty), last_px);
            self.settle(exec, exec_ref, Fate::Corrected { seq, qty_text, price });
        }
    }

    /// The venue has come back to a trade; it may do so again, under the new id.
    fn settle(&mut self, exec: ExecKey, exec_ref: ExecKey, fate: Fate) {
        let Some(place) = self.places.get(&exec_ref).copied() else { return };
        self.places.insert(exec, place);
        self.trades[place].fate = fate;
    }

    fn reject(&mut self, reason: String) {
        let has_room = self.rejects.len() < REASONS_MAX || self.rejects.contains_key(&reason);
        let reason = if has_room { reason } else { OTHER_REASONS.to_owned() };
        *self.rejects.entry(reason).or_default() += 1;
    }

    fn finish(self, log: LogInfo, state: &State, names: &Names) -> Summary {
        let mut orders = self.retired;
        for order in state.orders().iter().filter(|order| !order.flags.has(Flags::UNKNOWN)) {
            *orders.entry(order.state).or_default() += 1;
        }
        let risk = state.risk_view().settings;
        let mut rejects: Vec<(String, u64)> = self.rejects.into_iter().collect();
        rejects.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Summary {
            log,
            account: account(state, names, &self.trades),
            parts: AccountParts::of(state),
            positions: positions(state, &self.trades),
            orders: orders.into_iter().collect(),
            unassigned: self.unassigned,
            rejects,
            refusals: self.refusals.into_iter().collect(),
            anomalies: self.anomalies.into_iter().collect(),
            warnings: self.warnings.into_iter().collect(),
            trades: self.trades,
            halts: self.halts,
            unanswered: self.unanswered,
            limits: limits::json(risk, state.settings()),
            limits_off: limits::off_line(risk),
            limit_changes: self.changes,
        }
    }
}

fn account(state: &State, names: &Names, trades: &[Trade]) -> AccountSummary {
    let account = state.account();
    let capital = account.initial_capital();
    let gain = account.equity().0 - capital.0;
    let standing = trades.iter().filter(|trade| !matches!(trade.fate, Fate::Busted { .. }));
    let slips = standing.filter_map(|trade| Some((trade.instrument.index(), trade.arrival?.money)));
    let decided = state.books().iter().map(|book| book.position.slippage).enumerate();
    // Money of another currency is not added to the account's.
    let own = &state.settings().account.currency;
    let is_own = |index: usize| state.books()[index].spec.currency == *own;
    let sum = |sum: Option<Money>, (index, more): (usize, Money)| {
        sum.filter(|_| more == Money::ZERO || is_own(index)).and_then(|sum| sum.checked_add(more))
    };
    AccountSummary {
        currency: state.settings().account.currency.clone(),
        initial_capital: capital,
        equity: account.equity(),
        return_nanos: gain
            .checked_mul(i128::from(PRICE_SCALE))
            .and_then(|gain| div_half_even(gain, capital.0)),
        realized: account.net_realized(),
        unrealized: account.unrealized(),
        commission: account.commission(),
        slippage: decided.fold(Some(Money::ZERO), sum),
        arrival_slippage: slips.fold(Some(Money::ZERO), sum),
        halted: state.halted().map(|code| names.halt_reason().unwrap_or(code.name()).to_owned()),
    }
}

fn positions(state: &State, trades: &[Trade]) -> Vec<PositionSummary> {
    let mut counts = vec![0_u64; state.books().len()];
    for trade in trades.iter().filter(|trade| !matches!(trade.fate, Fate::Busted { .. })) {
        counts[trade.instrument.index()] += 1;
    }
    let summed = state.books().iter().zip(counts).map(|(book, trades)| PositionSummary {
        symbol: book.spec.symbol.clone(),
        currency: book.spec.currency.clone(),
        side: direction(book.position.qty),
        qty: book.spec.qty_text(Qty(book.position.qty.0.abs())),
        avg_px: book.position.avg_px(book.lot_value),
        mark: book.market.price,
        realized: rows::net_realized(book),
        unrealized: rows::unrealized(book),
        commission: book.position.commission,
        slippage: book.position.slippage,
        trades,
    });
    summed.collect()
}
