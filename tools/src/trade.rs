//! One booked trade with everything that a report says about it.

use crate::names::Names;
use crate::rows;
use crate::text;
use trade_engine::engine::State;
use trade_engine::event::{Body, Event, Record};
use trade_engine::input::ExecKey;
use trade_engine::instrument::InstrumentId;
use trade_engine::order::ClOrdId;
use trade_engine::position::{Position, slippage};
use trade_engine::units::{Money, Price, Qty, Side, Ts, div_half_even};

/// How much worse than a price a trade was; negative is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slip {
    /// What it is measured from.
    pub base: Price,
    /// Price per unit.
    pub price: Price,
    /// Over the whole trade.
    pub money: Money,
    /// Basis points of the base, 1e-4 of one; none of a base of zero.
    pub bps: Option<i128>,
}

impl Slip {
    /// `None` without a base, or past the bounds.
    pub fn of(trade: &Trade, base: Option<Price>, lot_value: i64) -> Option<Self> {
        let base = base?;
        let worse = trade.price.checked_sub(base)?.0.checked_mul(trade.side.sign())?;
        let money = slippage(trade.side, trade.qty, trade.price, base, lot_value)?;
        let bps = div_half_even(i128::from(worse) * 100_000_000, i128::from(base.0).abs());
        Some(Self { base, price: Price(worse), money, bps })
    }

    /// Basis points as a decimal of four places.
    pub fn bps_text(&self) -> Option<String> {
        self.bps.map(|bps| text::decimal(bps, 4))
    }
}

/// A trade that reached a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Sequence number of its record.
    pub seq: u64,
    /// When.
    pub ts: Ts,
    /// Its fingerprint.
    pub exec: ExecKey,
    /// Its order.
    pub order: ClOrdId,
    /// What people call the order.
    pub name: String,
    /// What was traded.
    pub instrument: InstrumentId,
    /// Its symbol.
    pub symbol: String,
    /// Bought or sold.
    pub side: Side,
    /// Lots.
    pub qty: Qty,
    /// The same in the instrument's unit.
    pub qty_text: String,
    /// FIX `LastPx(31)`.
    pub price: Price,
    /// Negative for a rebate.
    pub commission: Money,
    /// Against the price when the order was decided.
    pub decision: Option<Slip>,
    /// Against the mark when it was handed over.
    pub arrival: Option<Slip>,
    /// Against the order's limit price.
    pub limit: Option<Slip>,
    /// P&L that it realized, its commission taken off.
    pub realized: Money,
    /// What is held after it, signed lots.
    pub position: Qty,
    /// The same in the instrument's unit, signed.
    pub position_text: String,
    /// What the venue said of it later: it never was, or it was otherwise. All else stays as it was
    /// reported first.
    pub fate: Fate,
}

/// What became of a trade.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// It stands.
    #[default]
    Stands,
    /// It never was.
    Busted {
        /// The record that says so.
        seq: u64,
    },
    /// It was otherwise.
    Corrected {
        /// The last record that says so.
        seq: u64,
        /// Quantity in the instrument's unit.
        qty_text: String,
        /// Price.
        price: Price,
    },
}

impl Fate {
    /// In words; empty for a trade that stands.
    pub fn text(&self) -> String {
        match self {
            Self::Stands => String::new(),
            Self::Busted { seq } => format!("busted by record {seq}"),
            Self::Corrected { seq, qty_text, price } => {
                format!("corrected by record {seq}: {qty_text} at {price}")
            }
        }
    }
}

impl Trade {
    /// From the record of a trade, the position before it, and the state after it. `None` for any
    /// other record.
    pub fn new(record: &Record, before: &Position, after: &State, names: &Names) -> Option<Self> {
        let Body::Event(Event::Traded {
            order,
            exec,
            instrument,
            last_qty: qty,
            last_px: price,
            commission,
            side,
            ..
        }) = record.body
        else {
            return None;
        };
        let book = after.book(instrument)?;
        let realized = book.position.net_realized()?.checked_sub(before.net_realized()?)?;
        let mut trade = Self {
            seq: record.head.seq,
            ts: record.head.ts,
            exec,
            order,
            name: if order == ClOrdId::NONE { "-".to_owned() } else { names.name(order) },
            instrument,
            symbol: book.spec.symbol.clone(),
            side,
            qty,
            qty_text: rows::qty_text(after, instrument, qty),
            price,
            commission,
            decision: None,
            arrival: None,
            limit: None,
            realized,
            position: book.position.qty,
            position_text: rows::qty_text(after, instrument, book.position.qty),
            fate: Fate::Stands,
        };
        if let Some(order) = after.order(order) {
            let slip = |base| Slip::of(&trade, base, book.lot_value);
            let found = (slip(order.decision_px), slip(order.arrival_px));
            let limit = slip(order.price.filter(|_| order.ord_type.has_limit()));
            (trade.decision, trade.arrival) = found;
            trade.limit = limit;
        }
        Some(trade)
    }
}
