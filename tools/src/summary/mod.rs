//! What came of a run, folded from its log: account, positions, orders, trades, and everything that
//! was refused or odd.

mod fold;
mod json;
mod print;

use crate::limits::Change;
use crate::parts::AccountParts;
use crate::trade::Trade;
use crate::walk::LogError;
use serde_json::Value;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use trade_engine::code::Code;
use trade_engine::order::OrderState;
use trade_engine::units::{Money, Price, Ts};

/// The summary of a log. Memory grows with the number of trades and with nothing else.
///
/// ```
/// use trade_engine_tools::summary::Summary;
/// let missing = Summary::read(std::path::Path::new("no/such/log"));
/// assert!(missing.is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The log it was read from.
    pub log: LogInfo,
    /// Money.
    pub account: AccountSummary,
    /// The same by strategy and by currency.
    pub parts: AccountParts,
    /// One for each instrument, in the order of the configuration.
    pub positions: Vec<PositionSummary>,
    /// Orders by the state that they are in or were retired in; states without an order left out.
    pub orders: Vec<(OrderState, u64)>,
    /// Rows for trades that name an order which no input made.
    pub unassigned: u64,
    /// Orders turned down, by code or by the venue's words; most frequent first.
    pub rejects: Vec<(String, u64)>,
    /// Steps that changed nothing, by code.
    pub refusals: Vec<(Code, u64)>,
    /// Reports that contradict the order's state or themselves, by code.
    pub anomalies: Vec<(Code, u64)>,
    /// Things that a person should look at, by code.
    pub warnings: Vec<(Code, u64)>,
    /// Every trade, in order.
    pub trades: Vec<Trade>,
    /// Every halt, of all trading or of one instrument, in order.
    pub halts: Vec<Halt>,
    /// Orders and requests that the venue did not answer in time, in order.
    pub unanswered: Vec<Unanswered>,
    /// Limits as they were at the end.
    pub limits: Value,
    /// The account's limits that were off at the end, in words.
    pub limits_off: String,
    /// Every change of a limit, in order.
    pub limit_changes: Vec<Change>,
}

/// Where the summary comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogInfo {
    /// The directory.
    pub dir: PathBuf,
    /// The program that wrote it.
    pub build: String,
    /// Where it begins here, in words, if its first segments are archived: then all that is not in
    /// the state is of what is here: trades, orders retired, everything counted and listed.
    pub begins: Option<String>,
    /// Records in it.
    pub records: u64,
    /// Sequence number of the last slot.
    pub last_seq: u64,
    /// Time of the first input, if there is one.
    pub first_ts: Option<Ts>,
    /// Time of the last record.
    pub last_ts: Ts,
}

/// Money of the whole account, in its currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSummary {
    /// What it is measured in.
    pub currency: String,
    /// Equity before the first order.
    pub initial_capital: Money,
    /// What the account is worth at the marks.
    pub equity: Money,
    /// equity / initial capital - 1 in 1e-9, half to even; none of a capital of zero, or past the
    /// bounds.
    pub return_nanos: Option<i128>,
    /// P&L of what was closed, commission taken off.
    pub realized: Money,
    /// P&L of what is held.
    pub unrealized: Money,
    /// Paid.
    pub commission: Money,
    /// Money that trades were worse than the prices at decision; none past the bounds, or where
    /// some of it is in another currency.
    pub slippage: Option<Money>,
    /// Money that trades were worse than the marks at hand-over; likewise.
    pub arrival_slippage: Option<Money>,
    /// Why trading is halted at the end, if it is.
    pub halted: Option<String>,
}

/// One instrument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionSummary {
    /// Its symbol.
    pub symbol: String,
    /// What its prices and its money are in.
    pub currency: String,
    /// `LONG`, `SHORT` or `FLAT`.
    pub side: &'static str,
    /// In the instrument's unit, never negative.
    pub qty: String,
    /// Average price of what is held.
    pub avg_px: Option<Price>,
    /// Last market price.
    pub mark: Option<Price>,
    /// P&L of what was closed, commission taken off.
    pub realized: Money,
    /// P&L of what is held; none where no mark is known.
    pub unrealized: Option<Money>,
    /// Paid.
    pub commission: Money,
    /// Money that trades were worse than the prices at decision.
    pub slippage: Money,
    /// How many trades; those that were busted do not count.
    pub trades: u64,
}

/// A halt and what ended it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halt {
    /// Its record.
    pub seq: u64,
    /// When.
    pub ts: Ts,
    /// The instrument that was halted; none: all trading.
    pub symbol: Option<String>,
    /// The code, or the operator's words.
    pub reason: String,
    /// When a person resumed, if one did.
    pub resumed: Option<Ts>,
}

/// An order, or a request of it, that the venue did not answer in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// Its record.
    pub seq: u64,
    /// When that was found.
    pub ts: Ts,
    /// What people call the order.
    pub order: String,
    /// And the request; none: it is the order itself.
    pub request: Option<String>,
    /// When it was handed over.
    pub since: Ts,
}

impl Summary {
    /// Folds the log in `dir`, as far as it is whole.
    ///
    /// # Errors
    /// There is no log, it is damaged, or its records do not follow from each other.
    pub fn read(dir: &Path) -> Result<Self, LogError> {
        fold::read(dir)
    }

    /// Prints it as tables, with the last so many trades.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn print(&self, out: &mut impl Write, last_trades: usize) -> io::Result<()> {
        print::print(self, out, last_trades)
    }

    /// As one JSON document, every decimal a string, every trade in it.
    pub fn to_json(&self) -> Value {
        json::to_json(self)
    }
}
