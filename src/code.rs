//! Why something was refused, flagged or halted: one numbered list, in order of precedence.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal $text:literal,)*) => {
        /// A named reason. The numbers are part of the log format and never change; a code that
        /// turns an order down has a lower number than every code that comes after it in the order
        /// of checks, so the reason of an order is the lowest code that applies.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Code {
            $($(#[$doc])* $name = $value,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name in the scenario format and in reports: `OFF_TICK`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// The code with this number, if there is one.
            pub const fn from_u8(value: u8) -> Option<Self> {
                match value {
                    $($value => Some(Self::$name),)*
                    _ => None,
                }
            }
        }

        crate::image!(enum Code { $($name),* });
    };
}

codes! {
    /// The symbol is not in the configuration.
    UnknownSymbol = 1 "UNKNOWN_SYMBOL",
    /// A quantity that is not positive or cannot be held.
    BadQty = 2 "BAD_QTY",
    /// A price that is missing, too much, or cannot be held.
    BadPrice = 3 "BAD_PRICE",
    /// No multiple of the lot size.
    OffLot = 4 "OFF_LOT",
    /// No multiple of the tick size.
    OffTick = 5 "OFF_TICK",
    /// Below the instrument's smallest quantity.
    MinQty = 6 "MIN_QTY",
    /// Above the instrument's largest quantity.
    MaxQty = 7 "MAX_QTY",
    /// A price at or below zero where the instrument has none.
    NegativePrice = 8 "NEGATIVE_PRICE",
    /// A good-till-date order whose date is not in the future.
    ExpiredOnEntry = 9 "EXPIRED_ON_ENTRY",
    /// Trading is halted.
    Halted = 10 "HALTED",
    /// Trading in this instrument is halted.
    InstrumentHalted = 11 "INSTRUMENT_HALTED",
    /// Outside the instrument's sessions.
    MarketClosed = 12 "MARKET_CLOSED",
    /// A limit that is on needs a price, and there is none.
    NoMark = 13 "NO_MARK",
    /// The price is older than allowed.
    StaleMark = 14 "STALE_MARK",
    /// No conversion rate to the account's currency.
    NoRate = 15 "NO_RATE",
    /// Sizing came to less than one lot.
    ZeroSize = 16 "ZERO_SIZE",
    /// A reduce-only order with nothing left to reduce, or larger than that.
    ReduceOnly = 17 "REDUCE_ONLY",
    /// The same order again within the window.
    DuplicateOrder = 18 "DUPLICATE_ORDER",
    /// Too many orders in a second.
    OrderRate = 19 "ORDER_RATE",
    /// Too many messages in a second.
    MessageRate = 20 "MESSAGE_RATE",
    /// The same signal too often without a manual re-arm.
    MaxRepeats = 21 "MAX_REPEATS",
    /// Would trade with an own order.
    SelfMatch = 22 "SELF_MATCH",
    /// Too far from the reference price.
    PriceCollar = 23 "PRICE_COLLAR",
    /// Above the largest quantity of one order.
    MaxOrderQty = 24 "MAX_ORDER_QTY",
    /// Above the largest value of one order.
    MaxOrderNotional = 25 "MAX_ORDER_NOTIONAL",
    /// Below the instrument's smallest value.
    MinNotional = 26 "MIN_NOTIONAL",
    /// Above the instrument's largest value.
    MaxNotional = 27 "MAX_NOTIONAL",
    /// Too many open orders.
    MaxOpenOrders = 28 "MAX_OPEN_ORDERS",
    /// Too many open positions.
    MaxPositions = 29 "MAX_POSITIONS",
    /// The position would be too large a share of the account.
    MaxPositionPct = 30 "MAX_POSITION_PCT",
    /// Gross exposure too large.
    MaxGrossExposure = 31 "MAX_GROSS_EXPOSURE",
    /// Net exposure too large.
    MaxNetExposure = 32 "MAX_NET_EXPOSURE",
    /// Leverage too large.
    MaxLeverage = 33 "MAX_LEVERAGE",
    /// Equity does not cover the initial margin of the worst case.
    InsufficientMargin = 34 "INSUFFICIENT_MARGIN",
    /// Too much exposure in instruments that move together.
    MaxCorrelation = 35 "MAX_CORRELATION",
    /// The day's loss is above its limit: no new exposure until the day rolls.
    MaxDailyLoss = 36 "MAX_DAILY_LOSS",
    /// Equity has fallen too far from its peak: halted until a person resumes.
    MaxDrawdown = 37 "MAX_DRAWDOWN",
    /// A table is full.
    Capacity = 38 "CAPACITY",
    /// A figure left its range.
    Overflow = 39 "OVERFLOW",

    /// The venue said no; its own words are in the log.
    Venue = 60 "VENUE",
    /// Never reached the venue.
    NotSent = 61 "NOT_SENT",

    /// The order's state does not allow it.
    IllegalTransition = 80 "ILLEGAL_TRANSITION",
    /// The id has been used.
    DuplicateId = 81 "DUPLICATE_ID",
    /// The execution is known already.
    DuplicateExecution = 82 "DUPLICATE_EXECUTION",
    /// No order of that id. Also an anomaly, when a trade names it.
    UnknownOrder = 83 "UNKNOWN_ORDER",
    /// No outstanding request of that id or kind.
    UnknownRequest = 84 "UNKNOWN_REQUEST",
    /// No execution of that id.
    UnknownExecution = 85 "UNKNOWN_EXECUTION",
    /// An acknowledgement that tells nothing.
    NothingNew = 86 "NOTHING_NEW",
    /// A replace that changes nothing.
    NoChange = 87 "NO_CHANGE",
    /// A cancel is pending already.
    RequestPending = 88 "REQUEST_PENDING",
    /// No room for another request of this order.
    TooManyRequests = 89 "TOO_MANY_REQUESTS",
    /// There is nothing to close.
    NoPosition = 90 "NO_POSITION",
    /// A halt while halted.
    AlreadyHalted = 91 "ALREADY_HALTED",
    /// A resume while trading.
    NotHalted = 92 "NOT_HALTED",
    /// The input is older than the one before it.
    TimeWentBack = 93 "TIME_WENT_BACK",
    /// The venue has not been asked yet what it has, since the log was taken up again.
    NotReconciled = 94 "NOT_RECONCILED",

    /// More was traded than was open.
    Overfill = 120 "OVERFILL",
    /// A trade on an order that had ended.
    LateFill = 121 "LATE_FILL",
    /// A trade at a price worse than the order's limit.
    WorseThanLimit = 122 "WORSE_THAN_LIMIT",
    /// A known execution id with other figures: not booked.
    ConflictingExecution = 123 "CONFLICTING_EXECUTION",
    /// A bust or correction older than the trades that are kept.
    BustApproximate = 124 "BUST_APPROXIMATE",
    /// The venue has an order otherwise than its reports explain.
    VenueDiffers = 125 "VENUE_DIFFERS",

    /// New exposure in instruments that move together.
    CorrelatedExposure = 140 "CORRELATED_EXPOSURE",
    /// The venue's acknowledgement came after a trade or an end.
    LateAccept = 141 "LATE_ACCEPT",
    /// An input's time was moved up to the engine's.
    TimeClamped = 142 "TIME_CLAMPED",

    /// Halted by an anomaly.
    Anomaly = 160 "ANOMALY",
    /// Halted because the journal cannot keep up or failed.
    Journal = 161 "JOURNAL",
    /// Halted by a person; the words are in the log.
    Operator = 162 "OPERATOR",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
