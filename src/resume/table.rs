//! What to do about an order when a log is taken up again: (as we have it) x (as the venue has it).
//! One table, every cell decided by hand.
//!
//! It is asked after the venue's executions have been booked and its replaces taken in, so that
//! what differs here differs in state alone. Whether anything is open is what matters: in that the
//! venue is right, and how an order ended it knows better than we do. Where the two cannot both be
//! true, a person decides.

use crate::broker::VenueState;
use crate::engine::State;
use crate::order::{ClOrdId, Flags, OrderState};

/// An order as we have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Ours {
    /// No such order: never taken in, or retired, or only a row for trades that nobody ordered.
    Unknown = 0,
    /// The engine holds it: a contingent order whose time has not come. It never left.
    Held = 1,
    /// Handed over, and the venue has said nothing: it may never have left.
    Sent = 2,
    /// Handed over, and the venue has said something, but has not acknowledged it.
    Received = 3,
    /// Acknowledged, nothing has traded.
    Accepted = 4,
    /// Something has traded, something is open.
    PartFilled = 5,
    /// All has traded.
    Filled = 6,
    /// Ended by a cancel.
    Cancelled = 7,
    /// Turned down.
    Rejected = 8,
    /// Ended by its time in force.
    Expired = 9,
}

/// An order as the venue has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Theirs {
    /// It does not have it, or no longer knows what became of it.
    Absent = 0,
    /// [`VenueState::Received`].
    Received = 1,
    /// [`VenueState::Open`].
    Open = 2,
    /// [`VenueState::Filled`].
    Filled = 3,
    /// [`VenueState::Cancelled`].
    Cancelled = 4,
    /// [`VenueState::Rejected`].
    Rejected = 5,
    /// [`VenueState::Expired`].
    Expired = 6,
}

/// What is done about it. All but the first is a difference, and is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing: the two agree, or nothing is open on either side.
    Agree,
    /// Report it as received.
    Receive,
    /// Report it as accepted.
    Accept,
    /// Report that it never left: the venue does not have it, and never said that it did.
    NotSent,
    /// Report it as cancelled: it is not at work there any more.
    Cancel,
    /// Report it as rejected.
    Reject,
    /// Report it as expired.
    Expire,
    /// The two cannot both be true, or nobody knows the order: enter it as found, which halts its
    /// instrument, and takes in what is unknown.
    Dispute,
}

/// Number of rows.
pub const OURS_COUNT: usize = 10;
/// Number of columns.
pub const THEIRS_COUNT: usize = 7;

/// `TABLE[ours][theirs]`.
///
/// - What nobody knows and is finished has left only trades, which are booked.
/// - What was acknowledged and is gone was ended by somebody: nothing is open, and what had traded
///   has been booked, so it is cancelled.
/// - Ended one way here and another way there, nothing is open: ours stays, it is in the log. But
///   an order that has traded cannot have been rejected.
#[rustfmt::skip]
pub const TABLE: [[Action; THEIRS_COUNT]; OURS_COUNT] = {
    const OK: Action = Action::Agree;
    const RC: Action = Action::Receive;
    const AC: Action = Action::Accept;
    const NS: Action = Action::NotSent;
    const CA: Action = Action::Cancel;
    const RE: Action = Action::Reject;
    const EX: Action = Action::Expire;
    const XX: Action = Action::Dispute;
    [
        //                ------ open ------  ------------ finished ------------
        //                Absent Recv  Open   Filled Cancelled Rejected Expired
        /* Unknown    */ [OK,    XX,   XX,    OK,    OK,       OK,      OK],
        /* Held       */ [OK,    XX,   XX,    XX,    XX,       XX,      XX],
        /* Sent       */ [NS,    RC,   AC,    XX,    CA,       RE,      EX],
        /* Received   */ [RE,    OK,   AC,    XX,    CA,       RE,      EX],
        /* Accepted   */ [CA,    XX,   OK,    XX,    CA,       RE,      EX],
        /* PartFilled */ [CA,    XX,   OK,    XX,    CA,       XX,      EX],
        /* Filled     */ [OK,    XX,   XX,    OK,    OK,       XX,      OK],
        /* Cancelled  */ [OK,    XX,   XX,    OK,    OK,       OK,      OK],
        /* Rejected   */ [OK,    XX,   XX,    OK,    OK,       OK,      OK],
        /* Expired    */ [OK,    XX,   XX,    OK,    OK,       OK,      OK],
    ]
};

impl Ours {
    /// Every row, in the table's order.
    pub const ALL: [Self; OURS_COUNT] = [
        Self::Unknown,
        Self::Held,
        Self::Sent,
        Self::Received,
        Self::Accepted,
        Self::PartFilled,
        Self::Filled,
        Self::Cancelled,
        Self::Rejected,
        Self::Expired,
    ];

    /// The row of an order.
    pub fn of(state: &State, id: ClOrdId) -> Self {
        let Some(order) = state.order(id).filter(|order| !order.flags.has(Flags::UNKNOWN)) else {
            return Self::Unknown;
        };
        match order.state {
            // PENDING never outlives the input that made it.
            OrderState::Created | OrderState::Pending => Self::Held,
            OrderState::Submitted if order.awaits_answer() => Self::Sent,
            OrderState::Submitted => Self::Received,
            OrderState::Accepted => Self::Accepted,
            OrderState::PartialFill => Self::PartFilled,
            OrderState::Filled => Self::Filled,
            OrderState::Cancelled => Self::Cancelled,
            OrderState::Rejected => Self::Rejected,
            OrderState::Expired => Self::Expired,
            OrderState::Closed => Self::Unknown,
        }
    }

    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Held => "held",
            Self::Sent => "sent",
            Self::Received => "received",
            Self::Accepted => "accepted",
            Self::PartFilled => "partly filled",
            Self::Filled => "filled",
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }
}

impl Theirs {
    /// Every column, in the table's order.
    pub const ALL: [Self; THEIRS_COUNT] = [
        Self::Absent,
        Self::Received,
        Self::Open,
        Self::Filled,
        Self::Cancelled,
        Self::Rejected,
        Self::Expired,
    ];

    /// The column of what the venue says; `None`: it does not have the order.
    pub const fn of(state: Option<VenueState>) -> Self {
        match state {
            None => Self::Absent,
            Some(VenueState::Received) => Self::Received,
            Some(VenueState::Open) => Self::Open,
            Some(VenueState::Filled) => Self::Filled,
            Some(VenueState::Cancelled) => Self::Cancelled,
            Some(VenueState::Rejected) => Self::Rejected,
            Some(VenueState::Expired) => Self::Expired,
        }
    }

    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Received => VenueState::Received.name(),
            Self::Open => VenueState::Open.name(),
            Self::Filled => VenueState::Filled.name(),
            Self::Cancelled => VenueState::Cancelled.name(),
            Self::Rejected => VenueState::Rejected.name(),
            Self::Expired => VenueState::Expired.name(),
        }
    }
}

/// The cell of [`TABLE`].
pub const fn action(ours: Ours, theirs: Theirs) -> Action {
    TABLE[ours as usize][theirs as usize]
}
