//! What a venue says that it has of us, when it is asked.

use super::NewOrder;
use crate::input::Input;
use crate::order::ClOrdId;
use crate::units::{Qty, Ts};

/// Where an order stands at a venue: of FIX `OrdStatus(39)` what matters to whoever compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VenueState {
    /// Received, not yet acknowledged: A.
    Received,
    /// At work: 0 and 1.
    Open,
    /// 2.
    Filled,
    /// 4.
    Cancelled,
    /// 8.
    Rejected,
    /// C.
    Expired,
}

impl VenueState {
    /// Whether it may trade.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Received | Self::Open)
    }

    /// In words: `cancelled`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Open => "open",
            Self::Filled => "filled",
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }
}

/// One order as it stands at a venue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VenueOrder {
    /// Its terms as they are now, every replace that was carried out included.
    pub terms: NewOrder,
    /// Where it stands.
    pub state: VenueState,
    /// FIX `CumQty(14)`, lots.
    pub cum_qty: Qty,
    /// Requests of it that the venue has and has not answered.
    pub pending: Vec<ClOrdId>,
}

/// What a venue has of us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// Every order that is at work, and what became of those that were asked for, as far as it
    /// still knows.
    pub orders: Vec<VenueOrder>,
    /// Trades, busts and corrections as it reported them or would have, each with its time; the
    /// texts that belong to one go before it. Oldest first.
    pub executions: Vec<(Ts, Input)>,
}
