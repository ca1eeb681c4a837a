//! The fold: one walk over the log, counting as it goes.

use super::{AccountSummary, Halt, LogInfo, PositionSummary, Summary};
use crate::names::Names;
use crate::rows;
use crate::text::direction;
use crate::trade::Trade;
use crate::walk::{LogError, Walk};
use std::collections::BTreeMap;
use std::path::Path;
use trade_engine::code::Code;
use trade_engine::engine::State;
use trade_engine::event::{Body, Event, Record};
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
    halts: Vec<Halt>,
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
            Before::Position(held) => self.trades.extend(Trade::new(record, held, state, names)),
            Before::Retires(retired, flags) if !flags.has(Flags::UNKNOWN) => {
                *self.retired.entry(*retired).or_default() += 1;
            }
            Before::Retires(..) | Before::Nothing => {}
        }
        match record.body {
            Body::Event(ref event) => self.event(record, event, state, names),
            Body::Input(..) => self.first_ts = self.first_ts.or(Some(record.head.ts)),
            Body::Opening(_) => {}
        }
    }

    /// Counts what is counted; all other events are in the state.
    fn event(&mut self, record: &Record, event: &Event, state: &State, names: &Names) {
        let ts = record.head.ts;
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
        } else if let Event::Halted { reason } = *event {
            let reason = names.halt_reason().unwrap_or(reason.name()).to_owned();
            self.halts.push(Halt { seq: record.head.seq, ts, reason, resumed: None });
        } else if let (Event::Resumed {}, Some(halt)) = (event, self.halts.last_mut()) {
            halt.resumed = Some(ts);
        }
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
        let mut rejects: Vec<(String, u64)> = self.rejects.into_iter().collect();
        rejects.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Summary {
            log,
            account: account(state, names, &self.trades),
            positions: positions(state, &self.trades),
            orders: orders.into_iter().collect(),
            unassigned: self.unassigned,
            rejects,
            refusals: self.refusals.into_iter().collect(),
            anomalies: self.anomalies.into_iter().collect(),
            warnings: self.warnings.into_iter().collect(),
            trades: self.trades,
            halts: self.halts,
        }
    }
}

fn account(state: &State, names: &Names, trades: &[Trade]) -> AccountSummary {
    let account = state.account();
    let capital = account.initial_capital();
    let gain = account.equity().0 - capital.0;
    let sum = |sum: Option<Money>, more: Money| sum.and_then(|sum| sum.checked_add(more));
    let slips = trades.iter().filter_map(|trade| trade.arrival).map(|slip| slip.money);
    let decided = state.books().iter().map(|book| book.position.slippage);
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
    for trade in trades {
        counts[trade.instrument.index()] += 1;
    }
    let summed = state.books().iter().zip(counts).map(|(book, trades)| PositionSummary {
        symbol: book.spec.symbol.clone(),
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
