//! What happened: every event, and the record that an input or an event travels and lies in.

use crate::code::Code;
use crate::codec::{
    Chars, FLAG_END, FLAG_INPUT, Field, Head, Measure, Packer, Shown, Slot, Slots, Unpacker,
    record_kinds,
};
use crate::input::{ExecKey, Input};
use crate::instrument::InstrumentId;
use crate::order::{ClOrdId, Flags, OrdType, OrderEvent, OrderState, SweepKind, Tif};
use crate::settings::{LimitKey, Scope};
use crate::units::{Money, Price, Qty, Ratio, Side, Ts};

/// Version of the log's format. A change is a new number and a new golden file.
pub const FORMAT_VERSION: u32 = 2;

/// Version of the decisions, and of the hash that checkpoints hold: deciding again gives the same
/// bytes, and a state the same hash, only for the same number.
pub const DECIDE_VERSION: u32 = 2;

record_kinds! {
    /// What stands at the head of every log, so that the directory is all that replay needs.
    pub enum Opening {
        /// Who wrote it.
        Genesis = 192 "genesis" {
            format_version: u32,
            decide_version: u32,
            /// Name and version of the program.
            build: Chars<48>,
        },
        /// A part of the configuration in canonical form.
        Config = 193 "config" {
            /// From 0.
            part: u32,
            /// Whether it is the last.
            last: bool,
            text: Chars<80>,
        },
    }
}

record_kinds! {
    /// One event. `apply` is the only code that turns it into state.
    pub enum Event {
        /// An order was taken in: CREATED.
        Created = 64 "created" {
            order: ClOrdId,
            instrument: InstrumentId,
            side: Side,
            ord_type: OrdType,
            tif: Tif,
            flags: Flags,
            strategy: u16,
            order_qty: Qty,
            price: Option<Price>,
            stop_price: Option<Price>,
            expire_at: Option<Ts>,
            decision_px: Option<Price>,
            arrival_px: Option<Price>,
            protect_px: Option<Price>,
        },
        /// What risk made of it: which rules ran, and the one that came nearest to its limit.
        Verdict = 65 "verdict" {
            order: ClOrdId,
            /// One bit for each rule, by [`Rule`](crate::risk::Rule).
            ran: u32,
            /// The tightest rule, if any measured something.
            rule: Option<Code>,
            refused: bool,
            number: Measure,
            limit: Measure,
        },
        /// One rule that it broke.
        Broken = 66 "broken" {
            order: ClOrdId,
            rule: Code,
            number: Measure,
            limit: Measure,
        },
        /// Validation or risk turned it down: REJECTED.
        Denied = 67 "denied" {
            order: ClOrdId,
            reason: Code,
        },
        /// Validation and risk let it through: PENDING.
        Passed = 68 "passed" {
            order: ClOrdId,
        },
        /// It was handed over: SUBMITTED.
        Submitted = 69 "submitted" {
            order: ClOrdId,
        },
        /// The venue has it, and has not acknowledged it yet.
        Received = 70 "received" {
            order: ClOrdId,
        },
        /// The venue acknowledged it.
        Accepted = 71 "accepted" {
            order: ClOrdId,
            /// A trade or an end had overtaken it.
            late: bool,
        },
        /// The venue turned it down: REJECTED.
        Rejected = 72 "rejected" {
            order: ClOrdId,
        },
        /// CANCELLED.
        Cancelled = 73 "cancelled" {
            order: ClOrdId,
            /// The request that it answers; none for one that nobody asked for.
            request: ClOrdId,
        },
        /// EXPIRED.
        Expired = 74 "expired" {
            order: ClOrdId,
        },
        /// Its stop price has traded.
        Triggered = 75 "triggered" {
            order: ClOrdId,
        },
        /// Nothing is open until the venue accepts or restates it.
        Suspended = 76 "suspended" {
            order: ClOrdId,
        },
        /// The venue is done with it for the day.
        DoneForDay = 77 "done_for_day" {
            order: ClOrdId,
        },
        /// A cancel was asked for.
        CancelAsked = 80 "cancel_asked" {
            order: ClOrdId,
            request: ClOrdId,
        },
        /// A replace was asked for.
        ReplaceAsked = 81 "replace_asked" {
            order: ClOrdId,
            request: ClOrdId,
            qty: Option<Qty>,
            price: Option<Price>,
            stop_price: Option<Price>,
        },
        /// The venue is working on a request.
        RequestPending = 82 "request_pending" {
            order: ClOrdId,
            request: ClOrdId,
        },
        /// The venue turned a request down; the order is as it was.
        RequestRejected = 83 "request_rejected" {
            order: ClOrdId,
            request: ClOrdId,
        },
        /// The order's terms are these now; `request` is none where the venue did it on its own.
        Replaced = 84 "replaced" {
            order: ClOrdId,
            request: ClOrdId,
            order_qty: Qty,
            price: Option<Price>,
            stop_price: Option<Price>,
        },
        /// A trade was booked, to the order and to the position.
        Traded = 88 "traded" {
            order: ClOrdId,
            exec: ExecKey,
            instrument: InstrumentId,
            last_qty: Qty,
            last_px: Price,
            commission: Money,
            /// Of the order, after it.
            cum_qty: Qty,
            side: Side,
            /// Of the order, after it.
            state: OrderState,
        },
        /// What the instrument's position is after it; replay checks that it gets the same.
        Position = 89 "position" {
            instrument: InstrumentId,
            /// Signed lots.
            qty: Qty,
            open_cost: Money,
            /// Net of commission.
            realized: Money,
        },
        /// A position that was held before the first order.
        PositionOpened = 90 "position_opened" {
            instrument: InstrumentId,
            qty: Qty,
            open_cost: Money,
        },
        /// A row for trades that name an order which no input made.
        Unassigned = 91 "unassigned" {
            order: ClOrdId,
            instrument: InstrumentId,
            side: Side,
        },
        /// A trade that could not be booked: its figures leave the range. The engine halts.
        Unbooked = 92 "unbooked" {
            order: ClOrdId,
            exec: ExecKey,
            instrument: InstrumentId,
            reason: Code,
        },
        /// A trade never was: what `exec_ref` booked is taken out of the order and the position.
        Busted = 93 "busted" {
            order: ClOrdId,
            exec: ExecKey,
            exec_ref: ExecKey,
            instrument: InstrumentId,
            /// As the trade stood before.
            last_qty: Qty,
            last_px: Price,
            /// Of the order, after it.
            cum_qty: Qty,
            side: Side,
            /// Of the order, after it.
            state: OrderState,
            /// Recomputed without it; otherwise an opposite trade at its own price.
            exact: bool,
        },
        /// A trade was otherwise: `exec_ref` has these figures now.
        Corrected = 94 "corrected" {
            order: ClOrdId,
            exec: ExecKey,
            exec_ref: ExecKey,
            instrument: InstrumentId,
            /// As the trade stands now.
            last_qty: Qty,
            last_px: Price,
            /// Of the order, after it.
            cum_qty: Qty,
            side: Side,
            /// Of the order, after it.
            state: OrderState,
            /// Recomputed with them; otherwise an opposite trade and a new one.
            exact: bool,
        },
        /// A step that changed nothing.
        Refused = 96 "refused" {
            code: Code,
            order: ClOrdId,
            request: ClOrdId,
            exec: ExecKey,
            /// For an illegal transition: from where.
            state: u8,
            /// For an illegal transition: what happened.
            event: Option<OrderEvent>,
        },
        /// A report that contradicts the order's state or itself.
        Anomaly = 97 "anomaly" {
            code: Code,
            order: ClOrdId,
            exec: ExecKey,
            qty: Qty,
            /// Whether its money was booked.
            booked: bool,
        },
        /// Something a person should look at.
        Warning = 98 "warning" {
            code: Code,
            order: ClOrdId,
            /// The other instrument, where there is one.
            other: u16,
            number: Ratio,
        },
        /// The venue has not answered an order, or a request of it, in time: nobody knows what
        /// became of it. It counts in full and is not sent again.
        Unanswered = 99 "unanswered" {
            order: ClOrdId,
            /// The request, or none: the order itself.
            request: ClOrdId,
            /// When it was handed over.
            since: Ts,
        },
        /// Equity no longer covers the maintenance margin of what is held.
        MarginCall = 100 "margin_call" {
            /// In the account's currency.
            needed: Money,
            equity: Money,
        },
        /// Equity covers it again.
        MarginMet = 101 "margin_met" {},
        /// New exposure is refused from now on.
        Halted = 104 "halted" {
            reason: Code,
        },
        /// Trading again.
        Resumed = 105 "resumed" {},
        /// A new trading day began.
        DayRolled = 106 "day_rolled" {
            /// What the day's loss is measured from.
            equity: Money,
        },
        /// A walk over the orders began, went on or ended.
        Sweep = 107 "sweep" {
            kind: SweepKind,
            /// The slot at which the next turn begins.
            next: u32,
            done: bool,
        },
        /// Retired: the slot is free.
        Closed = 108 "closed" {
            order: ClOrdId,
        },
        /// New exposure in one instrument is refused from now on.
        InstrumentHalted = 109 "instrument_halted" {
            instrument: InstrumentId,
            reason: Code,
        },
        /// A limit is another from now on.
        LimitSet = 110 "limit_set" {
            scope: Scope,
            instrument: InstrumentId,
            strategy: u16,
            key: LimitKey,
            value: Option<Money>,
        },
        /// What the state hashes to here.
        Checkpoint = 112 "checkpoint" {
            hash: u64,
        },
        /// A held order depends on others from now on.
        Linked = 116 "linked" {
            order: ClOrdId,
            parent: ClOrdId,
            sibling: ClOrdId,
            trail: Option<Price>,
        },
        /// A held order is let go, as what the venue is to know; risk is asked next.
        Released = 117 "released" {
            order: ClOrdId,
            /// A stop that has been triggered goes out as a market order, a stop-limit as a limit.
            ord_type: OrdType,
            order_qty: Qty,
        },
        /// Risk does not let an exit go, or grow, now. It is held (or stays as it is), and tried
        /// again.
        HeldBack = 118 "held_back" {
            order: ClOrdId,
            /// The total that was wanted.
            order_qty: Qty,
            reason: Code,
        },
        /// A held order ends before it was handed over: CANCELLED.
        Withdrawn = 119 "withdrawn" {
            order: ClOrdId,
            /// The request that asked for it; none for the engine's own decision.
            request: ClOrdId,
            /// Why the engine decided so.
            reason: Option<Code>,
        },
        /// What a held order is for, after those that it depends on have traded.
        Resized = 120 "resized" {
            order: ClOrdId,
            order_qty: Qty,
        },
        /// A held order's terms are these now: a request was carried out here.
        Amended = 121 "amended" {
            order: ClOrdId,
            request: ClOrdId,
            order_qty: Qty,
            price: Option<Price>,
            stop_price: Option<Price>,
        },
        /// Nothing depends on it any more, nor it on anything: its place is free.
        Unlinked = 122 "unlinked" {
            order: ClOrdId,
        },
    }
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// A record of the log's head.
    Opening(Opening),
    /// An input, and the counter of the machine's clock when it arrived (0: not measured).
    Input(Input, u64),
    /// An event.
    Event(Event),
}

/// A record: what it says and what stands around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Sequence number, time, kind, flags.
    pub head: Head,
    /// The rest.
    pub body: Body,
}

impl Body {
    /// The kind's number.
    pub const fn kind(&self) -> u8 {
        match self {
            Self::Opening(opening) => opening.kind(),
            Self::Input(input, _) => input.kind(),
            Self::Event(event) => event.kind(),
        }
    }

    /// The kind's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Opening(opening) => opening.name(),
            Self::Input(input, _) => input.name(),
            Self::Event(event) => event.name(),
        }
    }

    /// Whether it is about an order: names it, or is the input that made it.
    pub fn concerns(&self, order: ClOrdId) -> bool {
        let mut concerns = false;
        let mut look = |name: &'static str, shown| {
            concerns |= matches!(name, "order" | "id") && shown == Shown::Id(order);
        };
        match self {
            Self::Opening(_) => {}
            Self::Input(input, _) => input.show(&mut look),
            Self::Event(event) => event.show(&mut look),
        }
        concerns
    }

    /// The record as slots; their CRC is the journal's business.
    pub fn encode(&self, seq: u64, ts: Ts, flags: u8) -> Slots {
        let mut slots = Slots::new();
        self.encode_into(seq, ts, flags, &mut slots);
        slots
    }

    /// As [`Body::encode`], into slots that are there already: what they held is gone.
    #[inline(always)]
    pub(crate) fn encode_into(&self, seq: u64, ts: Ts, flags: u8, slots: &mut Slots) {
        let mut packer = Packer::default();
        let input = match self {
            Self::Opening(opening) => {
                opening.pack(&mut packer);
                0
            }
            Self::Input(input, arrival) => {
                arrival.pack(&mut packer);
                input.pack(&mut packer);
                FLAG_INPUT
            }
            Self::Event(event) => {
                event.pack(&mut packer);
                0
            }
        };
        packer.finish(Head { seq, ts, kind: self.kind(), flags: flags | input }, slots);
    }
}

impl Record {
    /// Reads a record. `None` if the slots are not exactly one that this version writes.
    pub fn decode(slots: &[Slot]) -> Option<Self> {
        let mut fields = Unpacker::default();
        let head = fields.begin(slots)?;
        let body = if head.flags & FLAG_INPUT != 0 {
            let arrival = u64::unpack(&mut fields)?;
            Body::Input(Input::unpack(head.kind, &mut fields)?, arrival)
        } else if let Some(event) = Event::unpack(head.kind, &mut fields) {
            Body::Event(event)
        } else {
            Body::Opening(Opening::unpack(head.kind, &mut fields)?)
        };
        // A record longer than its kind, or with something behind its fields, is not ours.
        fields.rest_is_empty().then_some(())?;
        let record = Self { head, body };
        (record.slot_count() == slots.len()).then_some(record)
    }

    /// Slots that the record takes.
    pub const fn slot_count(&self) -> usize {
        crate::codec::slots_for(match &self.body {
            Body::Opening(opening) => opening.size(),
            Body::Input(input, _) => input.size() + 8,
            Body::Event(event) => event.size(),
        })
    }

    /// Whether it is the last of its group.
    pub const fn is_end(&self) -> bool {
        self.head.flags & FLAG_END != 0
    }
}
