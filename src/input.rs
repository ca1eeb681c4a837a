//! What arrives: signals, orders, requests, market data, execution reports, commands. Each is a
//! record of the log before anything else happens.

use crate::code::Code;
use crate::codec::{Chars, Field, Packer, Shown, Unpacker, record_kinds};
use crate::instrument::InstrumentId;
use crate::order::{ClOrdId, Flags, OrdType, Tif};
use crate::settings::{LimitKey, Scope};
use crate::units::{Money, Price, Qty, Ratio, Side, Ts};

/// Which way a signal points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SignalSide {
    /// Be longer.
    Buy = 1,
    /// Be shorter.
    Sell = 2,
    /// Be out.
    Flat = 3,
}

/// What the venue says about an order, when it is neither a trade nor an amendment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum StatusKind {
    /// FIX `ExecType(150)` A: received, not yet acknowledged.
    PendingNew = 1,
    /// 0.
    Accepted = 2,
    /// 8.
    Rejected = 3,
    /// 4.
    Cancelled = 4,
    /// C.
    Expired = 5,
    /// L: the stop price has traded.
    Triggered = 6,
    /// 3.
    DoneForDay = 7,
    /// 9.
    Suspended = 8,
    /// 6: a cancel request is being worked on.
    PendingCancel = 9,
    /// E: a replace request is being worked on.
    PendingReplace = 10,
    /// FIX `OrderCancelReject(9)` for a cancel.
    CancelRejected = 11,
    /// FIX `OrderCancelReject(9)` for a replace.
    ReplaceRejected = 12,
    /// Not from the venue: the broker held it back, it never left.
    NotSent = 13,
}

impl StatusKind {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::PendingNew,
        Self::Accepted,
        Self::Rejected,
        Self::Cancelled,
        Self::Expired,
        Self::Triggered,
        Self::DoneForDay,
        Self::Suspended,
        Self::PendingCancel,
        Self::PendingReplace,
        Self::CancelRejected,
        Self::ReplaceRejected,
        Self::NotSent,
    ];

    /// The name in the scenario format.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PendingNew => "pending_new",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Triggered => "triggered",
            Self::DoneForDay => "done_for_day",
            Self::Suspended => "suspended",
            Self::PendingCancel => "pending_cancel",
            Self::PendingReplace => "pending_replace",
            Self::CancelRejected => "cancel_rejected",
            Self::ReplaceRejected => "replace_rejected",
            Self::NotSent => "not_sent",
        }
    }
}

/// What a text belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Subject {
    /// The name of an order or request, as its feeder spells it.
    Name = 1,
    /// The venue's words about an order.
    Venue = 2,
    /// A symbol that is not in the table, as an order spells it.
    Symbol = 3,
    /// A person's words for the next command.
    Operator = 4,
    /// The venue's own id of the next execution.
    ExecId = 5,
}

crate::image!(
    enum Subject {
        Name,
        Venue,
        Symbol,
        Operator,
        ExecId,
    }
);

impl Subject {
    const ALL: [Self; 5] = [Self::Name, Self::Venue, Self::Symbol, Self::Operator, Self::ExecId];

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Venue => "venue",
            Self::Symbol => "symbol",
            Self::Operator => "operator",
            Self::ExecId => "exec_id",
        }
    }
}

macro_rules! byte_enum {
    ($type:ident, $all:expr) => {
        impl Field for $type {
            const SIZE: usize = 1;
            fn pack(&self, packer: &mut Packer) {
                packer.put(*self as u64, 1);
            }
            fn unpack(unpacker: &mut Unpacker) -> Option<Self> {
                let bits = unpacker.take(1)?;
                $all.into_iter().find(|value| *value as u64 == bits)
            }
            fn show(&self) -> Shown {
                Shown::Name(self.name())
            }
        }
    };
}

impl SignalSide {
    /// The name in the scenario format.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
            Self::Flat => "flat",
        }
    }
}

byte_enum!(SignalSide, [SignalSide::Buy, SignalSide::Sell, SignalSide::Flat]);
byte_enum!(StatusKind, StatusKind::ALL);
byte_enum!(Subject, Subject::ALL);

/// A fingerprint of an execution: venue, execution id, order and side, so that two orders that meet
/// in one venue trade, or two venues that number alike, stay apart.
///
/// Zero is no key: an execution that comes with it cannot be told from a repeated one, and is
/// booked each time. [`ExecKey::new`] never gives it.
///
/// FNV-1a, 128 bits. Not meant to withstand a venue that searches for collisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct ExecKey(pub u128);

crate::image!(ExecKey(u128));

impl ExecKey {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

    /// The key of the execution that `venue` calls `exec_id` (FIX `ExecID(17)`).
    pub fn new(venue: u16, exec_id: &str, order: ClOrdId, side: Side) -> Self {
        let fixed = venue.to_le_bytes().into_iter().chain(order.0.to_le_bytes());
        let all = fixed.chain([side as u8]).chain(exec_id.bytes());
        let hash = all
            .fold(Self::OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(Self::PRIME));
        // Zero marks an empty place of the execution table.
        Self(hash.max(1))
    }
}

impl Field for ExecKey {
    const SIZE: usize = 16;
    fn pack(&self, packer: &mut Packer) {
        self.0.pack(packer);
    }
    fn unpack(unpacker: &mut Unpacker) -> Option<Self> {
        u128::unpack(unpacker).map(Self)
    }
    fn show(&self) -> Shown {
        Shown::Hex(self.0)
    }
}

record_kinds! {
    /// One input. `defect` is what the edge found wrong with a figure that could not even be
    /// written down in the engine's units: the order is taken in and turned down for it.
    pub enum Input {
        /// Words that belong to another input; long ones come in parts, in order.
        Text = 1 "text" {
            /// Whose words.
            subject: Subject,
            /// Whether another part follows.
            more: bool,
            /// The order or request, or none.
            id: ClOrdId,
            /// The words.
            text: Chars<62>,
        },
        /// What is held before the first order.
        Opening = 2 "opening" {
            instrument: InstrumentId,
            /// Signed lots.
            qty: Qty,
            /// Average price paid.
            avg_px: Price,
        },
        /// A wish to trade, to be sized by risk.
        Signal = 8 "signal" {
            id: ClOrdId,
            instrument: InstrumentId,
            side: SignalSide,
            strategy: u16,
            /// 0 to 1.
            strength: Ratio,
            /// The price at decision; the mark if not given.
            price: Option<Price>,
            /// Where the loss is to be stopped.
            stop_price: Option<Price>,
            /// For exact sizing, lots.
            qty: Option<Qty>,
            defect: Option<Code>,
        },
        /// An order of given quantity: FIX `NewOrderSingle(D)`.
        Order = 9 "order" {
            id: ClOrdId,
            instrument: InstrumentId,
            side: Side,
            ord_type: OrdType,
            tif: Tif,
            strategy: u16,
            /// [`Flags::REDUCE_ONLY`] or nothing.
            flags: Flags,
            qty: Qty,
            price: Option<Price>,
            stop_price: Option<Price>,
            expire_at: Option<Ts>,
            defect: Option<Code>,
        },
        /// Asks to cancel an order: FIX `OrderCancelRequest(F)`.
        Cancel = 10 "cancel" {
            id: ClOrdId,
            order: ClOrdId,
        },
        /// Asks to amend an order: FIX `OrderCancelReplaceRequest(G)`.
        Replace = 11 "replace" {
            id: ClOrdId,
            order: ClOrdId,
            /// The new total, FIX `OrderQty(38)`.
            qty: Option<Qty>,
            price: Option<Price>,
            stop_price: Option<Price>,
            defect: Option<Code>,
        },
        /// Flattens one symbol.
        ClosePosition = 12 "close_position" {
            id: ClOrdId,
            instrument: InstrumentId,
        },
        /// An order that depends on others, kept by the engine: it is taken in and held, and handed
        /// over when its time has come. See [`Contingents`](crate::order::Contingents).
        Contingent = 13 "contingent" {
            id: ClOrdId,
            instrument: InstrumentId,
            side: Side,
            ord_type: OrdType,
            tif: Tif,
            strategy: u16,
            /// [`Flags::REDUCE_ONLY`] or nothing.
            flags: Flags,
            qty: Qty,
            price: Option<Price>,
            /// May be left out where `trail` gives it.
            stop_price: Option<Price>,
            expire_at: Option<Ts>,
            /// Held until this order trades: it may be there, or is to come.
            parent: ClOrdId,
            /// What one of the two trades is taken from the other: it may be there, or is to come.
            sibling: ClOrdId,
            /// Of a stop order: how far its stop price stays behind the best mark.
            trail: Option<Price>,
            defect: Option<Code>,
        },
        /// A market price.
        Mark = 16 "mark" {
            instrument: InstrumentId,
            price: Price,
            bid: Option<Price>,
            ask: Option<Price>,
        },
        /// A completed bar.
        Bar = 17 "bar" {
            instrument: InstrumentId,
            open: Price,
            high: Price,
            low: Price,
            close: Price,
            volume: u64,
            /// When the bar began: what bars of several instruments are paired by.
            opened: Ts,
        },
        /// A conversion mark: what one unit of a currency is worth in the account's, or the other
        /// way round.
        Rate = 18 "rate" {
            /// By [`Settings::currencies`](crate::settings::Settings::currencies).
            currency: u16,
            price: Price,
            /// The price is what one unit of the account's currency is worth in the other.
            inverse: bool,
        },
        /// An execution: FIX `ExecutionReport(8)` with `ExecType(150)` F.
        Trade = 24 "trade" {
            order: ClOrdId,
            exec: ExecKey,
            qty: Qty,
            price: Price,
            /// May be negative: a rebate.
            commission: Money,
            instrument: InstrumentId,
            side: Side,
            /// What the venue called it; the engine decides by quantity.
            venue_says_filled: bool,
            /// What the edge could not write down.
            defect: Option<Code>,
        },
        /// A report that is neither a trade nor an amendment.
        Status = 25 "status" {
            order: ClOrdId,
            kind: StatusKind,
            /// The request that it answers, or none: the oldest of its kind.
            request: ClOrdId,
        },
        /// A replace that the venue has carried out: `ExecType(150)` 5.
        Replaced = 26 "replaced" {
            order: ClOrdId,
            request: ClOrdId,
            /// What the venue made of it, where that is not what was asked.
            qty: Option<Qty>,
            price: Option<Price>,
            stop_price: Option<Price>,
        },
        /// The venue has changed the order on its own: `ExecType(150)` D.
        Restated = 27 "restated" {
            order: ClOrdId,
            qty: Option<Qty>,
        },
        /// A trade never was: `ExecType(150)` H.
        Bust = 28 "bust" {
            order: ClOrdId,
            /// Of this report itself.
            exec: ExecKey,
            /// The trade, or its last correction: FIX `ExecRefID(19)`.
            exec_ref: ExecKey,
        },
        /// A trade was otherwise: `ExecType(150)` G.
        Correct = 29 "correct" {
            order: ClOrdId,
            /// Of this report itself.
            exec: ExecKey,
            /// The trade, or its last correction: FIX `ExecRefID(19)`.
            exec_ref: ExecKey,
            qty: Qty,
            price: Price,
            /// What the edge could not write down.
            defect: Option<Code>,
        },
        /// The kill switch.
        Halt = 32 "halt" {
            /// Ask to cancel what is working, too.
            cancel_working: bool,
        },
        /// Trades again; the drawdown's peak starts anew.
        Resume = 33 "resume" {},
        /// Asks to cancel every working order.
        CancelAll = 34 "cancel_all" {},
        /// A new trading day: resets the daily loss.
        DayRoll = 35 "day_roll" {},
        /// Time passed and nothing else.
        Timer = 36 "timer" {},
        /// The next turn of a sweep over the orders that one turn could not finish.
        Continue = 37 "continue" {},
        /// The last input of a log: its checkpoint closes it.
        Stop = 38 "stop" {},
        /// A person changes a limit while the engine runs.
        SetLimit = 39 "set_limit" {
            scope: Scope,
            /// Of an instrument's limit.
            instrument: InstrumentId,
            /// Of a strategy's limit.
            strategy: u16,
            key: LimitKey,
            /// In 1e-18 of the key's unit; none switches it off.
            value: Option<Money>,
        },
        /// The log is taken up again by another run of a writer. From here on nothing leaves until
        /// the venue has been asked; every feeder's ids go on past all that may have been used
        /// and not been recorded.
        Restart = 40 "restart" {
            /// Which run of a writer begins, from 2: that of the log's segments.
            epoch: u64,
            /// The last sequence number that was found.
            found_seq: u64,
            /// Bytes that were cut off behind it.
            cut_bytes: u64,
            /// Whole slots among them.
            cut_slots: u32,
            /// Slots that its last group lacked: deciding its input again has added them.
            completed_slots: u32,
        },
        /// The venue has been asked, and all that it said is in the log: orders may leave again.
        Reconciled = 41 "reconciled" {
            /// Differences found.
            differences: u32,
            /// Executions booked that the log had not seen.
            executions: u32,
        },
        /// An order that the venue has otherwise than its reports can explain, or that nobody here
        /// knows: its instrument is halted until a person has looked. One that nobody knows is
        /// taken in as it stands there, so that it counts and can be cancelled.
        Found = 42 "found" {
            id: ClOrdId,
            instrument: InstrumentId,
            side: Side,
            ord_type: OrdType,
            tif: Tif,
            /// Total, FIX `OrderQty(38)`.
            qty: Qty,
            price: Option<Price>,
            stop_price: Option<Price>,
            expire_at: Option<Ts>,
        },
        /// The log does not keep up with the engine: halts new exposure.
        LogBehind = 43 "log_behind" {
            /// The last sequence number that was in the log when it was seen.
            written: u64,
            /// Milliseconds that a record behind it had waited.
            waited_ms: u64,
        },
    }
}

impl Input {
    /// As the log gives it back: there the most negative figure stands for "none", so a figure that
    /// came as that one, which no rule takes either way, is moved up by one unit.
    #[must_use]
    pub fn storable(mut self) -> Self {
        match &mut self {
            Self::Signal { price, stop_price, qty, .. }
            | Self::Replace { price, stop_price, qty, .. }
            | Self::Replaced { price, stop_price, qty, .. } => {
                for price in [price, stop_price].into_iter().flatten() {
                    price.0 = price.0.max(-i64::MAX);
                }
                if let Some(qty) = qty {
                    qty.0 = qty.0.max(-i64::MAX);
                }
            }
            Self::Order { price, stop_price, expire_at, .. }
            | Self::Found { price, stop_price, expire_at, .. } => {
                for price in [price, stop_price].into_iter().flatten() {
                    price.0 = price.0.max(-i64::MAX);
                }
                if let Some(expire_at) = expire_at {
                    expire_at.0 = expire_at.0.max(-i64::MAX);
                }
            }
            Self::Contingent { price, stop_price, trail, expire_at, .. } => {
                for price in [price, stop_price, trail].into_iter().flatten() {
                    price.0 = price.0.max(-i64::MAX);
                }
                if let Some(expire_at) = expire_at {
                    expire_at.0 = expire_at.0.max(-i64::MAX);
                }
            }
            Self::Mark { bid, ask, .. } => {
                for price in [bid, ask].into_iter().flatten() {
                    price.0 = price.0.max(-i64::MAX);
                }
            }
            Self::Restated { qty, .. } => {
                if let Some(qty) = qty {
                    qty.0 = qty.0.max(-i64::MAX);
                }
            }
            Self::SetLimit { value, .. } => {
                if let Some(value) = value {
                    value.0 = value.0.max(-i128::MAX);
                }
            }
            Self::Text { .. }
            | Self::Opening { .. }
            | Self::Cancel { .. }
            | Self::ClosePosition { .. }
            | Self::Bar { .. }
            | Self::Trade { .. }
            | Self::Status { .. }
            | Self::Halt { .. }
            | Self::Resume {}
            | Self::CancelAll {}
            | Self::DayRoll {}
            | Self::Timer {}
            | Self::Continue {}
            | Self::Rate { .. }
            | Self::Bust { .. }
            | Self::Correct { .. }
            | Self::Restart { .. }
            | Self::Reconciled { .. }
            | Self::LogBehind { .. }
            | Self::Stop {} => {}
        }
        self
    }

    /// Whether an order or a request may leave because of it: it must wait until the venue has been
    /// asked.
    pub const fn may_send(&self) -> bool {
        match self {
            Self::Signal { .. }
            | Self::Order { .. }
            | Self::Cancel { .. }
            | Self::Replace { .. }
            | Self::ClosePosition { .. }
            | Self::Contingent { .. }
            | Self::Halt { .. }
            | Self::CancelAll {}
            | Self::Continue {} => true,
            Self::Text { .. }
            | Self::Opening { .. }
            | Self::Mark { .. }
            | Self::Bar { .. }
            | Self::Rate { .. }
            | Self::Trade { .. }
            | Self::Status { .. }
            | Self::Replaced { .. }
            | Self::Restated { .. }
            | Self::Bust { .. }
            | Self::Correct { .. }
            | Self::Resume {}
            | Self::DayRoll {}
            | Self::Timer {}
            | Self::Stop {}
            | Self::SetLimit { .. }
            | Self::Restart { .. }
            | Self::Reconciled { .. }
            | Self::Found { .. }
            | Self::LogBehind { .. } => false,
        }
    }
}

/// A text as inputs: long ones come in parts.
pub fn text_inputs(subject: Subject, id: ClOrdId, text: &str) -> impl Iterator<Item = Input> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let (text, behind) = Chars::split(rest?);
        let more = !behind.is_empty();
        rest = more.then_some(behind);
        Some(Input::Text { subject, more, id, text })
    })
}
