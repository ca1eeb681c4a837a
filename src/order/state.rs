//! The order's life: one table, read row by row like the diagram. No other code assigns a state.

use std::fmt;

/// Where an order is in its life.
///
/// ```text
/// CREATED --> PENDING --> SUBMITTED --> ACCEPTED --> PARTIAL_FILL --> FILLED
///    |           |            |             |              |            |
///    +- REJECTED +- CANCELLED +- EXPIRED ---+--------------+            v
///                                         every finished order -----> CLOSED
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum OrderState {
    /// Taken in, not yet checked: at once, or held as a contingent order until its time has come.
    Created = 0,
    /// Sized, passed validation and risk.
    Pending = 1,
    /// Handed over: it may have left. FIX `PendingNew`.
    Submitted = 2,
    /// Acknowledged by the venue. FIX `New`.
    Accepted = 3,
    /// Something has traded, something is open.
    PartialFill = 4,
    /// Nothing is open, all has traded.
    Filled = 5,
    /// Ended by a cancel, asked for or not.
    Cancelled = 6,
    /// Turned down, by us or by the venue.
    Rejected = 7,
    /// Ended by its time in force.
    Expired = 8,
    /// Retired: its slot is free for another order.
    Closed = 9,
}

/// What happened to it. Quantities are settled before the lookup, so that the table alone decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OrderEvent {
    /// Validation and risk let it through.
    Pass = 0,
    /// Validation or risk turned it down, or it could not be handed over.
    Deny = 1,
    /// It was handed over.
    Submit = 2,
    /// The venue acknowledged it.
    Accept = 3,
    /// A trade that leaves quantity open: `cum_qty < order_qty` after it.
    TradePart = 4,
    /// A trade that leaves nothing open.
    TradeFull = 5,
    /// The venue turned it down.
    Reject = 6,
    /// The venue ended it, or it was withdrawn before it was handed over.
    Cancel = 7,
    /// The venue ended it because its time was up.
    Expire = 8,
    /// Its quantities were changed by a replace, a bust or a correction: nothing has traded now.
    AmendNone = 9,
    /// The same: something has traded, something is open now.
    AmendPart = 10,
    /// The same: nothing is open now.
    AmendFull = 11,
    /// We ask the venue to cancel it (a request; see `requests.rs`).
    AskCancel = 12,
    /// We ask the venue to replace it so that something is open. On a filled order only a replace
    /// that raises the quantity is such; the others are `AskReplaceFull`.
    AskReplace = 13,
    /// We ask the venue to replace it by a quantity that has traded already.
    AskReplaceFull = 14,
    /// It is retired.
    Close = 15,
}

/// What the engine does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Move to this state.
    To(OrderState),
    /// Legal, the state stays.
    Same,
    /// Legal but behind the times: a trade books its money and is flagged, an acknowledgement is
    /// noted. The state stays.
    Late,
    /// Refused: an acknowledgement that tells `NOTHING_NEW`.
    Old,
    /// Refused: `ILLEGAL_TRANSITION`. Nothing changes.
    Bad,
}

/// Number of [`OrderState`]s.
pub const STATE_COUNT: usize = 10;
/// Number of [`OrderEvent`]s.
pub const EVENT_COUNT: usize = 16;

/// `TRANSITIONS[state][event]`: every cell is a decision, none is a default.
///
/// - A fill or an end may overtake the acknowledgement, so SUBMITTED takes everything the venue
///   can say; an `Accept` that comes after is `Late`.
/// - The venue may reject after it has acknowledged (FIX 4.4 appendix D, D1: the exchange turns
///   down what the broker had taken), but not once something has traded.
/// - A replace or a restatement of an order that was not acknowledged acknowledges it.
/// - Money first: a trade is never `Bad`. In an ended order it is `Late`: booked and flagged.
/// - FIX J.1.b: a trade after the end leaves the state; so does an amendment that a bust makes.
/// - A replace that raises the quantity, or a bust, is the only way out of FILLED.
/// - PENDING never outlives the input that made it, and CREATED only as a contingent order that the
///   engine holds: that one can be withdrawn, and its time can be up, before it is handed over. A
///   venue that reports on either reports on an order that never left, and is refused before this
///   table is asked.
#[rustfmt::skip]
pub const TRANSITIONS: [[Cell; EVENT_COUNT]; STATE_COUNT] = {
    const PE: Cell = Cell::To(OrderState::Pending);
    const SU: Cell = Cell::To(OrderState::Submitted);
    const AC: Cell = Cell::To(OrderState::Accepted);
    const PF: Cell = Cell::To(OrderState::PartialFill);
    const FI: Cell = Cell::To(OrderState::Filled);
    const CA: Cell = Cell::To(OrderState::Cancelled);
    const RE: Cell = Cell::To(OrderState::Rejected);
    const EX: Cell = Cell::To(OrderState::Expired);
    const CL: Cell = Cell::To(OrderState::Closed);
    const SM: Cell = Cell::Same;
    const LT: Cell = Cell::Late;
    const NN: Cell = Cell::Old;
    const XX: Cell = Cell::Bad;
    [
        //                 ---- ours ----  ------------- the venue's -------------  --- amended ---  ----- asked ----  end
        //                 Pass Deny Subm  Acc  Part Full Rej  Canc Exp            None Part Full   Canc Repl RFull   Close
        /* CREATED      */ [PE,  RE,  XX,  XX,  LT,  LT,  XX,  CA,  EX,            XX,  XX,  XX,    XX,  XX,  XX,     XX],
        /* PENDING      */ [XX,  RE,  SU,  XX,  LT,  LT,  XX,  CA,  XX,            XX,  XX,  XX,    XX,  XX,  XX,     XX],
        /* SUBMITTED    */ [XX,  RE,  XX,  AC,  PF,  FI,  RE,  CA,  EX,            AC,  PF,  FI,    SM,  SM,  SM,     XX],
        /* ACCEPTED     */ [XX,  XX,  XX,  NN,  PF,  FI,  RE,  CA,  EX,            SM,  PF,  FI,    SM,  SM,  SM,     XX],
        /* PARTIAL_FILL */ [XX,  XX,  XX,  LT,  SM,  FI,  XX,  CA,  EX,            AC,  SM,  FI,    SM,  SM,  SM,     XX],
        /* FILLED       */ [XX,  XX,  XX,  LT,  LT,  LT,  XX,  XX,  XX,            AC,  PF,  SM,    XX,  SM,  XX,     CL],
        /* CANCELLED    */ [XX,  XX,  XX,  LT,  LT,  LT,  XX,  XX,  XX,            SM,  SM,  SM,    XX,  XX,  XX,     CL],
        /* REJECTED     */ [XX,  XX,  XX,  XX,  LT,  LT,  XX,  XX,  XX,            SM,  SM,  SM,    XX,  XX,  XX,     CL],
        /* EXPIRED      */ [XX,  XX,  XX,  LT,  LT,  LT,  XX,  XX,  XX,            SM,  SM,  SM,    XX,  XX,  XX,     CL],
        /* CLOSED       */ [XX,  XX,  XX,  XX,  LT,  LT,  XX,  XX,  XX,            XX,  XX,  XX,    XX,  XX,  XX,     XX],
    ]
};

crate::image!(
    enum OrderState {
        Created,
        Pending,
        Submitted,
        Accepted,
        PartialFill,
        Filled,
        Cancelled,
        Rejected,
        Expired,
        Closed,
    }
);

impl OrderState {
    /// Every state, in the order of the diagram.
    pub const ALL: [Self; STATE_COUNT] = [
        Self::Created,
        Self::Pending,
        Self::Submitted,
        Self::Accepted,
        Self::PartialFill,
        Self::Filled,
        Self::Cancelled,
        Self::Rejected,
        Self::Expired,
        Self::Closed,
    ];

    /// The table's cell for what happens to an order in this state.
    pub const fn on(self, event: OrderEvent) -> Cell {
        TRANSITIONS[self as usize][event as usize]
    }

    /// Whether the order has ended: nothing is open and no state follows but CLOSED or, for a
    /// filled one, an amendment.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Filled | Self::Cancelled | Self::Rejected | Self::Expired | Self::Closed
        )
    }

    /// The name in logs and reports: `PARTIAL_FILL`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Pending => "PENDING",
            Self::Submitted => "SUBMITTED",
            Self::Accepted => "ACCEPTED",
            Self::PartialFill => "PARTIAL_FILL",
            Self::Filled => "FILLED",
            Self::Cancelled => "CANCELLED",
            Self::Rejected => "REJECTED",
            Self::Expired => "EXPIRED",
            Self::Closed => "CLOSED",
        }
    }
}

impl fmt::Display for OrderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl OrderEvent {
    /// Every event, in the order of the table's columns.
    pub const ALL: [Self; EVENT_COUNT] = [
        Self::Pass,
        Self::Deny,
        Self::Submit,
        Self::Accept,
        Self::TradePart,
        Self::TradeFull,
        Self::Reject,
        Self::Cancel,
        Self::Expire,
        Self::AmendNone,
        Self::AmendPart,
        Self::AmendFull,
        Self::AskCancel,
        Self::AskReplace,
        Self::AskReplaceFull,
        Self::Close,
    ];

    /// The name in a refusal's detail: `FILLED + Cancelled`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "Passed",
            Self::Deny => "Denied",
            Self::Submit => "Submitted",
            Self::Accept => "Accepted",
            Self::TradePart => "PartialFill",
            Self::TradeFull => "Fill",
            Self::Reject => "Rejected",
            Self::Cancel => "Cancelled",
            Self::Expire => "Expired",
            Self::AmendNone | Self::AmendPart | Self::AmendFull => "Replaced",
            Self::AskCancel => "Cancel",
            Self::AskReplace | Self::AskReplaceFull => "Replace",
            Self::Close => "Closed",
        }
    }
}

// A final state is left only by retirement; FILLED also by an amendment that opens it again.
const _: () = {
    let mut row = OrderState::Filled as usize;
    while row < STATE_COUNT {
        let mut event = 0;
        while event < EVENT_COUNT {
            let reopens = row == OrderState::Filled as usize
                && (event == OrderEvent::AmendNone as usize
                    || event == OrderEvent::AmendPart as usize);
            let retires = event == OrderEvent::Close as usize;
            if !reopens && !retires {
                assert!(!matches!(TRANSITIONS[row][event], Cell::To(_)));
            }
            event += 1;
        }
        row += 1;
    }
};

// Money first: no state refuses a trade.
const _: () = {
    let mut row = 0;
    while row < STATE_COUNT {
        assert!(!matches!(TRANSITIONS[row][OrderEvent::TradePart as usize], Cell::Bad));
        assert!(!matches!(TRANSITIONS[row][OrderEvent::TradeFull as usize], Cell::Bad));
        row += 1;
    }
};
