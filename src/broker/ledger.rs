//! The simulated venue's own account: cash and positions, and whether they carry one order more.
//!
//! In one currency. Cash takes the whole price of what is bought and gives the whole price of what
//! is sold, so that cash plus the value of what is held is equity, without any cost basis.

use crate::instrument::{Instrument, InstrumentId};
use crate::units::{Money, Price, Qty, Side};

/// Cash and positions.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    cash: i128,
    rows: Vec<Row>,
    /// A figure left its range. Nothing is covered any more: a limit that cannot be computed holds.
    broken: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    /// Signed lots.
    qty: i128,
    /// The last price seen, or traded at before any was seen.
    price: Option<Price>,
    /// Lots at work, by side: filled in for each question, valid only inside it.
    working: [i128; 2],
}

/// Lots that an order would add to those at work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Added {
    pub(super) instrument: InstrumentId,
    pub(super) side: Side,
    pub(super) qty: Qty,
}

impl Ledger {
    pub(super) fn new(capital: Money, instruments: usize) -> Self {
        Self { cash: capital.0, rows: vec![Row::default(); instruments], broken: false }
    }

    /// Notes a price.
    pub(super) fn value(&mut self, instrument: InstrumentId, price: Price) {
        if let Some(row) = self.rows.get_mut(instrument.index()) {
            row.price = Some(price);
        }
    }

    /// Books a trade of signed lots at `price`, `lot_value` in 1e-9.
    pub(super) fn book(
        &mut self,
        instrument: InstrumentId,
        signed: Qty,
        price: Price,
        lot_value: i64,
        commission: Money,
    ) {
        let Some(row) = self.rows.get_mut(instrument.index()) else { return };
        row.qty += i128::from(signed.0);
        row.price.get_or_insert(price);
        let paid = Money::notional(price, signed, lot_value).map(|value| value.0);
        let cash = paid.and_then(|paid| self.cash.checked_sub(paid)?.checked_sub(commission.0));
        match cash {
            Some(cash) => self.cash = cash,
            None => self.broken = true,
        }
    }

    /// Whether equity covers the initial margin of the worst case: over all instruments, the larger
    /// of position plus working buys and position minus working sells. An order that does not raise
    /// its instrument's own requirement is always covered: the way out is never barred.
    pub(super) fn covers(
        &mut self,
        instruments: &[Instrument],
        working: impl Iterator<Item = Added>,
        added: Added,
    ) -> bool {
        self.rows.iter_mut().for_each(|row| row.working = [0; 2]);
        for order in working {
            let row = &mut self.rows[order.instrument.index()];
            row.working[order.side.index()] += i128::from(order.qty.0);
        }
        let row = &mut self.rows[added.instrument.index()];
        let before = row.lots();
        row.working[added.side.index()] += i128::from(added.qty.0);
        if row.lots() <= before || instruments[added.instrument.index()].initial_margin.is_none() {
            return true;
        }
        let required = self.required(instruments);
        let equity = self.equity(instruments);
        required.zip(equity).is_some_and(|(required, equity)| required <= equity)
    }

    /// The initial margin of the worst case, 1e-18. `None`: past the range.
    fn required(&self, instruments: &[Instrument]) -> Option<i128> {
        self.rows.iter().zip(instruments).try_fold(0_i128, |sum, (row, instrument)| {
            let margin = instrument.initial_margin.unwrap_or(Money::ZERO);
            sum.checked_add(row.lots().checked_mul(margin.0)?)
        })
    }

    /// Cash and the value of what is held, 1e-18. `None`: past the range.
    fn equity(&self, instruments: &[Instrument]) -> Option<i128> {
        if self.broken {
            return None;
        }
        self.rows.iter().zip(instruments).try_fold(self.cash, |sum, (row, instrument)| {
            let price = i128::from(row.price.unwrap_or_default().0);
            let lot = price.checked_mul(i128::from(instrument.lot_value()))?;
            sum.checked_add(lot.checked_mul(row.qty)?)
        })
    }
}

impl Row {
    /// Lots of the worst case.
    fn lots(&self) -> i128 {
        (self.qty + self.working[0]).abs().max((self.qty - self.working[1]).abs())
    }
}
