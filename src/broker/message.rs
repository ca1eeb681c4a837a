//! What goes out to a broker, and what comes back.

use super::Statement;
use crate::codec::Chars;
use crate::input::{Input, StatusKind, Subject};
use crate::instrument::InstrumentId;
use crate::order::{ClOrdId, OrdType, Tif};
use crate::units::{Price, Qty, Side, Ts};
use std::collections::VecDeque;

/// One message to a broker. Market data travels the same way as the orders, so that a simulated
/// venue sees both in one fixed order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// A new order: FIX `NewOrderSingle(D)`.
    New(NewOrder),
    /// FIX `OrderCancelRequest(F)`.
    Cancel {
        /// The order to cancel.
        order: ClOrdId,
        /// The request's own id, to be echoed in the answer.
        request: ClOrdId,
        /// What it trades: the router's key.
        instrument: InstrumentId,
    },
    /// FIX `OrderCancelReplaceRequest(G)`, with the terms as they shall be.
    Replace {
        /// The order to amend.
        order: ClOrdId,
        /// The request's own id, to be echoed in the answer.
        request: ClOrdId,
        /// What it trades.
        instrument: InstrumentId,
        /// The new total quantity, lots.
        qty: Qty,
        /// The new limit price of an order that has one.
        price: Option<Price>,
        /// The new stop price of an order that has one.
        stop_price: Option<Price>,
    },
    /// A market price.
    Mark {
        /// Of what.
        instrument: InstrumentId,
        /// The last or middle price.
        price: Price,
        /// Best price to sell at.
        bid: Option<Price>,
        /// Best price to buy at.
        ask: Option<Price>,
    },
    /// A completed bar.
    Bar {
        /// Of what.
        instrument: InstrumentId,
        /// Open, high, low, close.
        prices: [Price; 4],
    },
    /// A new trading day: day orders end.
    DayRoll,
    /// Time passed.
    Time,
}

impl Message {
    /// The order that it is about; `None` for market data and time, which stay in the house.
    pub const fn order(&self) -> Option<ClOrdId> {
        match self {
            Self::New(new) => Some(new.order),
            Self::Cancel { order, .. } | Self::Replace { order, .. } => Some(*order),
            Self::Mark { .. } | Self::Bar { .. } | Self::DayRoll | Self::Time => None,
        }
    }

    /// What it is about: the router's key. `None` for what concerns every venue.
    pub const fn instrument(&self) -> Option<InstrumentId> {
        match self {
            Self::New(new) => Some(new.instrument),
            Self::Cancel { instrument, .. }
            | Self::Replace { instrument, .. }
            | Self::Mark { instrument, .. }
            | Self::Bar { instrument, .. } => Some(*instrument),
            Self::DayRoll | Self::Time => None,
        }
    }
}

/// The terms of a new order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// Its id, to be echoed in every report.
    pub order: ClOrdId,
    /// What it trades.
    pub instrument: InstrumentId,
    /// Buy or sell.
    pub side: Side,
    /// Market, limit, stop, stop-limit.
    pub ord_type: OrdType,
    /// How long it works.
    pub tif: Tif,
    /// Lots.
    pub qty: Qty,
    /// Limit price.
    pub price: Option<Price>,
    /// Stop price.
    pub stop_price: Option<Price>,
    /// End of a good-till-date order.
    pub expire_at: Option<Ts>,
    /// It can only shrink the position, working exits counted: a halt does not hold it back.
    pub shrink_only: bool,
}

/// Reports on their way back: inputs of the engine (trades, statuses, amendments and the texts that
/// belong to them), each with the time at which the broker says that it happened, oldest first.
#[derive(Debug, Default)]
pub struct Reports(VecDeque<(Ts, Input)>);

impl Reports {
    /// Adds one.
    pub fn push(&mut self, ts: Ts, input: Input) {
        self.0.push_back((ts, input));
    }

    /// Adds a report that is neither a trade nor an amendment; `request` is the request that it
    /// answers, or [`ClOrdId::NONE`].
    pub fn status(&mut self, ts: Ts, order: ClOrdId, kind: StatusKind, request: ClOrdId) {
        self.push(ts, Input::Status { order, kind, request });
    }

    /// Adds the venue's words about an order or a request, in as many parts as they need. They go
    /// before the report that they explain.
    pub fn words(&mut self, ts: Ts, id: ClOrdId, words: &str) {
        let mut rest = words;
        loop {
            let (text, behind) = Chars::split(rest);
            let more = !behind.is_empty();
            self.push(ts, Input::Text { subject: Subject::Venue, more, id, text });
            if !more {
                return;
            }
            rest = behind;
        }
    }

    /// Turns a message down: the words, then the report. `false`, and nothing added, for market
    /// data and time, which nobody answers.
    pub fn refuse(&mut self, ts: Ts, message: &Message, words: &str) -> bool {
        let (order, kind, request) = match *message {
            Message::New(new) => (new.order, StatusKind::Rejected, ClOrdId::NONE),
            Message::Cancel { order, request, .. } => (order, StatusKind::CancelRejected, request),
            Message::Replace { order, request, .. } => {
                (order, StatusKind::ReplaceRejected, request)
            }
            Message::Mark { .. } | Message::Bar { .. } | Message::DayRoll | Message::Time => {
                return false;
            }
        };
        // The words belong to the request where there is one: the order itself is as it was.
        self.words(ts, request.some().unwrap_or(order), words);
        self.status(ts, order, kind, request);
        true
    }

    /// Takes the oldest.
    pub fn pop(&mut self) -> Option<(Ts, Input)> {
        self.0.pop_front()
    }

    /// The oldest, left where it is.
    pub fn front(&self) -> Option<&(Ts, Input)> {
        self.0.front()
    }

    /// Whether none is waiting.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A venue, or the way to one.
///
/// ```
/// use trade_engine::broker::{Broker, Message, Reports};
/// use trade_engine::units::Ts;
///
/// /// Takes everything and says nothing.
/// struct Silent;
/// impl Broker for Silent {
///     fn on_message(&mut self, _ts: Ts, _message: &Message, _reports: &mut Reports) {}
/// }
/// ```
pub trait Broker {
    /// Takes one message, at domain time `ts`, and adds what there is to report.
    fn on_message(&mut self, ts: Ts, message: &Message, reports: &mut Reports);

    /// Adds reports that came on their own, from a venue with a line of its own. Called every turn.
    fn poll(&mut self, _reports: &mut Reports) {}

    /// What the venue has of us: every order that is at work there, what became of `orders` as far
    /// as it still knows, and every execution since `since`, domain time. Asked once, before an
    /// engine that takes up a log trades; reports from before that moment need not come any more.
    ///
    /// # Errors
    /// A line for a person: the venue cannot be asked, and so nothing may be traded.
    fn statement(&mut self, _since: Ts, _orders: &[ClOrdId]) -> Result<Statement, String> {
        Err("this broker cannot say what it has".to_owned())
    }
}
