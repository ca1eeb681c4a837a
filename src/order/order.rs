//! One order: what was asked, what has traded, what is open, and the status a counterparty sees.

use super::requests::{RequestKind, Requests, Sent};
use super::state::OrderState;
use crate::code::Code;
use crate::digest::Digest;
use crate::instrument::InstrumentId;
use crate::units::{Price, Qty, Side, Ts, div_half_even};

/// An id of an order or a request, given by the feeder that sent it: FIX `ClOrdID(11)`.
///
/// The top byte names the feeder, the rest is the feeder's own counter. Each feeder's ids must
/// grow, so that a repeated one is known without remembering them all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct ClOrdId(pub u64);

impl ClOrdId {
    /// No id: "the oldest request" in an answer that names none.
    pub const NONE: Self = Self(0);
    const COUNTER_BITS: u32 = 56;

    /// The `counter`th id (from 1) of a feeder.
    pub const fn new(source: u8, counter: u64) -> Self {
        assert!(counter > 0 && counter < 1 << Self::COUNTER_BITS);
        Self((source as u64) << Self::COUNTER_BITS | counter)
    }

    /// The feeder's number.
    pub const fn source(self) -> usize {
        (self.0 >> Self::COUNTER_BITS) as usize
    }

    /// The feeder's counter.
    pub const fn counter(self) -> u64 {
        self.0 & ((1 << Self::COUNTER_BITS) - 1)
    }

    /// `None` for [`ClOrdId::NONE`].
    pub const fn some(self) -> Option<Self> {
        if self.0 == 0 { None } else { Some(self) }
    }
}

/// FIX `OrdType(40)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OrdType {
    /// 1.
    Market = 1,
    /// 2.
    Limit = 2,
    /// 3: becomes a market order when the stop price trades.
    Stop = 3,
    /// 4: becomes a limit order when the stop price trades.
    StopLimit = 4,
}

impl OrdType {
    /// The name in the scenario format.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Market => "market",
            Self::Limit => "limit",
            Self::Stop => "stop",
            Self::StopLimit => "stop_limit",
        }
    }

    /// Whether the order has a limit price.
    pub const fn has_limit(self) -> bool {
        matches!(self, Self::Limit | Self::StopLimit)
    }

    /// Whether the order has a stop price.
    pub const fn has_stop(self) -> bool {
        matches!(self, Self::Stop | Self::StopLimit)
    }

    /// The price of these two that an order of this type counts at: its limit, or else its stop
    /// price. `None`: at the market.
    pub const fn counted_price(self, limit: Option<Price>, stop: Option<Price>) -> Option<Price> {
        match self {
            Self::Market => None,
            Self::Limit | Self::StopLimit => limit,
            Self::Stop => stop,
        }
    }

    /// The most aggressive price at which an order of this type trades: its limit, or the end of
    /// the range if it takes any price. `None` while its stop has not triggered: nothing then.
    pub const fn reach(self, side: Side, limit: Option<Price>, triggered: bool) -> Option<Price> {
        match (self, triggered) {
            (Self::Market, _) | (Self::Stop, true) => Some(match side {
                Side::Buy => Price(i64::MAX),
                Side::Sell => Price(i64::MIN),
            }),
            (Self::Limit, _) | (Self::StopLimit, true) => limit,
            (Self::Stop | Self::StopLimit, false) => None,
        }
    }
}

/// FIX `TimeInForce(59)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Tif {
    /// 0: ends with the trading day.
    Day = 1,
    /// 1: works until it is cancelled.
    Gtc = 2,
    /// 3: what does not trade at once is cancelled.
    Ioc = 3,
    /// 4: trades at once and whole, or not at all.
    Fok = 4,
    /// 6: ends at a given time.
    Gtd = 5,
}

impl Tif {
    /// The name in the scenario format.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Gtc => "gtc",
            Self::Ioc => "ioc",
            Self::Fok => "fok",
            Self::Gtd => "gtd",
        }
    }
}

/// Facts about an order beside its state, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Flags(pub u16);

impl Flags {
    /// May only shrink a position. FIX `ExecInst(18)`.
    pub const REDUCE_ONLY: Self = Self(1);
    /// Made by sizing a signal.
    pub const FROM_SIGNAL: Self = Self(1 << 1);
    /// A row for trades that name an order which no input made.
    pub const UNKNOWN: Self = Self(1 << 2);
    /// Its stop price has traded.
    pub const TRIGGERED: Self = Self(1 << 3);
    /// Suspended by the venue: nothing is open.
    pub const SUSPENDED: Self = Self(1 << 4);
    /// Done for the day: nothing is open until the venue restates it.
    pub const DONE_FOR_DAY: Self = Self(1 << 5);
    /// The venue has acknowledged it.
    pub const ACKED: Self = Self(1 << 6);
    /// The venue has said that it has it, before acknowledging it.
    pub const RECEIVED: Self = Self(1 << 7);
    /// Made by the engine, not by a feeder, or let go by it as an exit: its quantity comes from
    /// what is held.
    pub const OWN: Self = Self(1 << 12);
    /// The venue has not answered it in time, and that has been said.
    pub const OVERDUE: Self = Self(1 << 13);

    /// A contingent order that is not handed over: see [`Order::is_held`].
    pub const HELD: Self = Self(1 << 14);
    /// A contingent order rests on it: it is not retired.
    pub const LINKED: Self = Self(1 << 15);

    /// Whether every bit of `other` is set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// With the bits of `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without the bits of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// FIX `OrdStatus(39)`: derived, never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrdStatus {
    /// A.
    PendingNew,
    /// 0.
    New,
    /// 1.
    PartiallyFilled,
    /// 2.
    Filled,
    /// 3.
    DoneForDay,
    /// 4.
    Canceled,
    /// 6.
    PendingCancel,
    /// 8.
    Rejected,
    /// 9.
    Suspended,
    /// C.
    Expired,
    /// E.
    PendingReplace,
}

impl OrdStatus {
    /// The name in the scenario format.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PendingNew => "PendingNew",
            Self::New => "New",
            Self::PartiallyFilled => "PartiallyFilled",
            Self::Filled => "Filled",
            Self::DoneForDay => "DoneForDay",
            Self::Canceled => "Canceled",
            Self::PendingCancel => "PendingCancel",
            Self::Rejected => "Rejected",
            Self::Suspended => "Suspended",
            Self::Expired => "Expired",
            Self::PendingReplace => "PendingReplace",
        }
    }
}

/// What an order adds to the worst case of its side: everything that may still trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contribution {
    /// The order's side.
    pub side: Side,
    /// Lots that may still trade, outstanding replaces included.
    pub qty: Qty,
    /// The price it counts at: the largest of its own and its replaces'. `None`: at the market.
    pub price: Option<Price>,
    /// What one unit loses if its stop is hit: from the price it counts at, or was decided at, to
    /// `protect_px`. `None`: no stop, or nothing to measure from.
    pub distance: Option<Price>,
}

impl Contribution {
    /// Counts for at least as much as `other` does, at a price and by a stop: either may hold.
    #[must_use]
    pub fn or_worse(self, other: Self) -> Self {
        let farther =
            |distance: Price| other.distance.map_or(distance, |other| distance.max(other));
        Self {
            price: larger(self.price, other.price),
            // Without a stop there is no distance that would be enough.
            distance: self.distance.map(farther),
            ..self
        }
    }
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The id of the input that made it.
    pub id: ClOrdId,
    /// What it trades; [`InstrumentId::UNKNOWN`] for a symbol nobody knows.
    pub instrument: InstrumentId,
    /// Who it is attributed to.
    pub strategy: u16,
    /// Buy or sell.
    pub side: Side,
    /// Market, limit, stop, stop-limit: what the venue knows it as. A stop that the engine held is
    /// a market order, a stop-limit a limit order, from its release on.
    pub ord_type: OrdType,
    /// How long it works.
    pub tif: Tif,
    /// Where it is in its life. Written by `apply` alone, from the table alone.
    pub state: OrderState,
    /// Why it was turned down.
    pub reason: Option<Code>,
    /// Facts beside the state.
    pub flags: Flags,
    /// FIX `OrderQty(38)`, lots. Zero for an order nobody knows.
    pub order_qty: Qty,
    /// FIX `CumQty(14)`, lots.
    pub cum_qty: Qty,
    /// Sum of price x quantity over its trades, 1e-9 x lots: `avg_px` times `cum_qty`, exactly.
    pub cum_value: i128,
    /// Limit price.
    pub price: Option<Price>,
    /// Stop price of a stop or stop-limit order.
    pub stop_price: Option<Price>,
    /// Where the loss is to be stopped: the stop that `fixed_risk` sized it by.
    pub protect_px: Option<Price>,
    /// End of a good-till-date order.
    pub expire_at: Option<Ts>,
    /// The price when it was decided: the signal's, else the mark.
    pub decision_px: Option<Price>,
    /// The mark when it was handed over.
    pub arrival_px: Option<Price>,
    /// When it was made.
    pub created: Ts,
    /// When it was handed over: of one that was held, long after it was made. Until then, when it
    /// was made.
    pub handed_over: Ts,
    /// Executions remembered when it was made. A trade before them was of a row of the same id that
    /// has been retired: a bust of it is none of this one's.
    pub executions_before: u32,
    /// Cancels and replaces that the venue has not answered.
    pub requests: Requests,
}

impl Order {
    /// Whether the engine holds it: taken in, not checked by risk, counted nowhere, not sent.
    pub const fn is_held(&self) -> bool {
        self.flags.has(Flags::HELD) && matches!(self.state, OrderState::Created)
    }

    /// Whether it may trade at the venue now.
    pub const fn is_out(&self) -> bool {
        !self.state.is_final() && !self.is_held()
    }

    /// FIX `LeavesQty(151)`, lots: what is open now.
    pub fn leaves_qty(&self) -> Qty {
        let idle = self.flags.has(Flags::SUSPENDED)
            || (self.flags.has(Flags::DONE_FOR_DAY) && self.tif == Tif::Day);
        if self.state.is_final() || idle {
            return Qty(0);
        }
        Qty(self.order_qty.0.saturating_sub(self.cum_qty.0).max(0))
    }

    /// FIX `AvgPx(6)`: half to even at nine decimals; `None` before the first fill.
    pub fn avg_px(&self) -> Option<Price> {
        let average = div_half_even(self.cum_value, i128::from(self.cum_qty.0))?;
        i64::try_from(average).ok().map(Price)
    }

    /// The price that slippage is measured from: the limit of a limit order, else the decision.
    pub fn slippage_base(&self) -> Option<Price> {
        if self.ord_type == OrdType::Limit { self.price } else { self.decision_px }
    }

    /// Price per unit that the average is worse than `base`; negative is better.
    pub fn slippage_from(&self, base: Option<Price>) -> Option<Price> {
        let worse = self.avg_px()?.0.checked_sub(base?.0)?;
        Some(Price(worse.checked_mul(self.side.sign())?))
    }

    /// FIX `OrdStatus(39)`: of all that hold at once, the one with the highest precedence (FIX 4.4,
    /// volume 4, order state changes): PendingCancel 12, PendingReplace 11, DoneForDay 10, Filled
    /// 8, Suspended 6, Canceled and Expired 5, PartiallyFilled 4, New, Rejected and PendingNew 2.
    /// Only an `accepted` or a `restated` ends what sets an order aside.
    pub fn ord_status(&self) -> OrdStatus {
        let by_state = match self.state {
            OrderState::Created | OrderState::Pending | OrderState::Submitted => {
                OrdStatus::PendingNew
            }
            OrderState::Accepted => OrdStatus::New,
            OrderState::PartialFill => OrdStatus::PartiallyFilled,
            OrderState::Filled | OrderState::Closed => OrdStatus::Filled,
            OrderState::Cancelled => OrdStatus::Canceled,
            OrderState::Rejected => OrdStatus::Rejected,
            OrderState::Expired => OrdStatus::Expired,
        };
        let by_precedence = [
            (self.requests.count(RequestKind::Cancel) > 0, OrdStatus::PendingCancel),
            (self.requests.count(RequestKind::Replace) > 0, OrdStatus::PendingReplace),
            (self.flags.has(Flags::DONE_FOR_DAY), OrdStatus::DoneForDay),
            (by_state == OrdStatus::Filled, OrdStatus::Filled),
            (self.flags.has(Flags::SUSPENDED), OrdStatus::Suspended),
        ];
        let first = by_precedence.into_iter().find_map(|(holds, status)| holds.then_some(status));
        first.unwrap_or(by_state)
    }

    /// Its terms if every outstanding replace is carried out.
    pub fn projected(&self) -> Sent {
        let asked = self.requests.iter().rfind(|r| r.kind == RequestKind::Replace);
        let own = Sent { qty: self.order_qty, price: self.price, stop_price: self.stop_price };
        asked.map_or(own, |request| request.sent)
    }

    /// Whether it has been handed over and the venue has said nothing about it: what became of it
    /// nobody knows.
    pub fn awaits_answer(&self) -> bool {
        let said = [
            Flags::UNKNOWN,
            Flags::TRIGGERED,
            Flags::SUSPENDED,
            Flags::DONE_FOR_DAY,
            Flags::ACKED,
            Flags::RECEIVED,
        ];
        self.state == OrderState::Submitted && !said.into_iter().any(|flag| self.flags.has(flag))
    }

    /// The most aggressive price at which it may trade now, outstanding replaces included: see
    /// [`OrdType::reach`]. `None` where it cannot.
    pub fn reach(&self) -> Option<Price> {
        if self.contribution().qty.0 <= 0 {
            return None;
        }
        let reach = |limit| self.ord_type.reach(self.side, limit, self.flags.has(Flags::TRIGGERED));
        let asked = self.requests.iter().filter(|r| r.kind == RequestKind::Replace);
        let limits = asked.filter_map(|request| reach(request.sent.price));
        let own = reach(self.price)?;
        Some(match self.side {
            Side::Buy => limits.fold(own, Price::max),
            Side::Sell => limits.fold(own, Price::min),
        })
    }

    /// What it adds to the worst case of its side. Nothing once it has ended, but for a filled
    /// order that an outstanding replace may open again.
    pub fn contribution(&self) -> Contribution {
        let mut total = self.order_qty;
        let mut price = self.counted_price();
        let ended = self.state.is_final() && self.state != OrderState::Filled;
        let done = self.flags.has(Flags::DONE_FOR_DAY) && self.tif == Tif::Day;
        for request in self.requests.iter().filter(|r| r.kind == RequestKind::Replace) {
            let Sent { qty, price: limit, stop_price } = request.sent;
            total = total.max(qty);
            price = larger(price, self.ord_type.counted_price(limit, stop_price));
        }
        let checked = matches!(self.state, OrderState::Created);
        let idle = ended || done || checked;
        let open = if idle { 0 } else { total.0.saturating_sub(self.cum_qty.0).max(0) };
        let from = price.or(self.decision_px);
        let distance = from.zip(self.protect_px).and_then(|(from, stop)| from.distance(stop));
        Contribution { side: self.side, qty: Qty(open), price, distance }
    }

    /// A limit or stop order counts at its own price, a market order at the market.
    pub fn counted_price(&self) -> Option<Price> {
        self.ord_type.counted_price(self.price, self.stop_price)
    }
}

/// The price that counts for more: exposure is by magnitude, and prices may be below zero.
fn larger(one: Option<Price>, other: Option<Price>) -> Option<Price> {
    let size = |price: Option<Price>| price.map(|price| price.0.unsigned_abs());
    if size(other) > size(one) { other } else { one }
}

impl Order {
    /// Folds the order into a hash.
    pub fn digest(&self, digest: &mut Digest) {
        digest.word(self.id.0);
        digest.word(u64::from(self.instrument.0) | u64::from(self.strategy) << 16);
        let kinds = [self.side as u64, self.ord_type as u64, self.tif as u64, self.state as u64];
        let packed = kinds.into_iter().fold(0, |packed, kind| packed << 8 | kind);
        let reason = self.reason.map_or(0, |code| code as u64);
        digest.word(packed << 24 | reason << 16 | u64::from(self.flags.0));
        digest.signed(self.order_qty.0);
        digest.signed(self.cum_qty.0);
        digest.wide(self.cum_value);
        for price in
            [self.price, self.stop_price, self.protect_px, self.decision_px, self.arrival_px]
        {
            digest.option(price.map(|price| price.0));
        }
        digest.option(self.expire_at.map(|at| at.0));
        digest.signed(self.created.0);
        digest.signed(self.handed_over.0);
        digest.word(u64::from(self.executions_before));
        digest.word(self.requests.iter().count() as u64);
        for request in self.requests.iter() {
            digest.word(request.id.0);
            digest.word(request.kind as u64);
            digest.option(request.qty.map(|qty| qty.0));
            digest.option(request.price.map(|price| price.0));
            digest.option(request.stop_price.map(|price| price.0));
            digest.signed(request.sent.qty.0);
            digest.option(request.sent.price.map(|price| price.0));
            digest.option(request.sent.stop_price.map(|price| price.0));
            digest.signed(request.since.0);
            digest.word(u64::from(request.overdue));
        }
    }
}

crate::image!(ClOrdId(u64));
crate::image!(
    enum OrdType {
        Market,
        Limit,
        Stop,
        StopLimit,
    }
);
crate::image!(
    enum Tif {
        Day,
        Gtc,
        Ioc,
        Fok,
        Gtd,
    }
);
crate::image!(Flags(u16));
crate::image!(Order {
    id,
    instrument,
    strategy,
    side,
    ord_type,
    tif,
    state,
    reason,
    flags,
    order_qty,
    cum_qty,
    cum_value,
    price,
    stop_price,
    protect_px,
    expire_at,
    decision_px,
    arrival_px,
    created,
    handed_over,
    executions_before,
    requests,
});
