//! Asks the venue what it has, and enters what the log has not seen.

use super::table::{Action, Ours, Theirs, action};
use super::{Recovered, ResumeError};
use crate::broker::{Broker, Statement, VenueOrder};
use crate::codec::Shown;
use crate::engine::Seen;
use crate::input::{ExecKey, Input, StatusKind, Subject, text_inputs};
use crate::order::{ClOrdId, Flags, Order, Request, RequestKind};
use crate::units::{Price, Qty, Ts};
use std::collections::BTreeMap;
use std::fmt;

/// How far behind the log's last moment the venue is asked for executions: longer than any report
/// is under way. What is known of them is passed over.
const EXECUTIONS_SINCE_NANOS: i64 = 86_400 * 1_000_000_000;

/// Something that the venue had otherwise than the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// An execution that the log had not seen has been entered: a trade, a bust or a correction.
    Execution {
        /// Its order.
        order: ClOrdId,
        /// Lots; of a bust 0.
        qty: Qty,
        /// Its price; of a bust none.
        price: Option<Price>,
    },
    /// An order stood otherwise.
    State {
        /// The order.
        order: ClOrdId,
        /// As the log had it.
        ours: Ours,
        /// As the venue has it.
        theirs: Theirs,
        /// What was done.
        action: Action,
    },
    /// What the venue has and what we have of an order do not add up, and nothing explains it: the
    /// instrument is halted.
    Terms {
        /// The order.
        order: ClOrdId,
        /// What had traded by our books and by the venue's, lots.
        cum_qty: [Qty; 2],
        /// What was asked for in all, by our books and by the venue's, lots.
        order_qty: [Qty; 2],
    },
    /// A request had been answered, or never came to the venue.
    Request {
        /// The order.
        order: ClOrdId,
        /// The request.
        request: ClOrdId,
        /// Cancel or replace.
        kind: RequestKind,
        /// It has been carried out; otherwise the venue does not have it, and it is over.
        done: bool,
    },
    /// The venue works on a request of ours that the log does not have: its answer will be taken.
    Unrecorded {
        /// The order.
        order: ClOrdId,
        /// The request.
        request: ClOrdId,
    },
}

/// What came of asking the venue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Orders that were compared.
    pub orders: usize,
    /// Executions that the venue told and the log had already.
    pub known_executions: usize,
    /// All that was otherwise, in the order in which it was entered.
    pub differences: Vec<Difference>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = Shown::Id;
        match *self {
            Self::Execution { order, qty, price: Some(price) } => {
                write!(f, "order {}: {} lots at {price} had not been booked", id(order), qty.0)
            }
            Self::Execution { order, .. } => {
                write!(f, "order {}: a trade had been taken back", id(order))
            }
            Self::State { order, ours, theirs, action } => {
                let (ours, theirs) = (ours.name(), theirs.name());
                write!(f, "order {}: {ours} here, {theirs} at the venue: ", id(order))?;
                f.write_str(match action {
                    Action::Agree => "nothing to do",
                    Action::Receive => "received",
                    Action::Accept => "accepted",
                    Action::NotSent => "it never left, rejected",
                    Action::Cancel => "cancelled",
                    Action::Reject => "rejected",
                    Action::Expire => "expired",
                    Action::Dispute => "its instrument is halted until a person resumes",
                })
            }
            Self::Terms { order, cum_qty: [ours, theirs], order_qty: [total, venue_total] } => {
                write!(
                    f,
                    "order {}: {} of {} lots traded here, {} of {} at the venue: its instrument is \
                 halted until a person resumes",
                    id(order),
                    ours.0,
                    total.0,
                    theirs.0,
                    venue_total.0
                )
            }
            Self::Request { order, request, kind, done } => {
                let what = if done { "was carried out" } else { "never came to the venue" };
                let kind = kind.name();
                write!(f, "order {}: the {kind} {} {what}", id(order), id(request))
            }
            Self::Unrecorded { order, request } => write!(
                f,
                "order {}: the venue works on request {}, which left without its record",
                id(order),
                id(request)
            ),
        }
    }
}

/// One walk.
struct Walk<'a> {
    recovered: &'a mut Recovered,
    found: Found,
    executions: usize,
}

/// Asks, compares, enters.
pub(super) fn reconcile(
    recovered: &mut Recovered,
    broker: &mut dyn Broker,
) -> Result<Found, ResumeError> {
    let state = recovered.engine.state();
    assert!(state.is_reconciling());
    // A report of an order, though it has ended, may have been on its way ever since the order was
    // made: in the time of a feed that is played faster than it was, for years.
    let made = state.orders().iter().map(|order| order.created);
    let lately = Ts(state.ts().0.saturating_sub(EXECUTIONS_SINCE_NANOS));
    let since = made.min().map_or(lately, |first| first.min(lately));
    let working: Vec<ClOrdId> =
        state.orders().iter().filter(|o| is_working(o)).map(|o| o.id).collect();
    let statement = broker.statement(since, &working).map_err(ResumeError::Venue)?;
    let Statement { orders, executions } = statement;
    let theirs: BTreeMap<ClOrdId, VenueOrder> =
        orders.into_iter().map(|order| (order.terms.order, order)).collect();
    let mut walk = Walk { recovered, found: Found::default(), executions: 0 };
    // What nobody knows comes first, so that its trades find it.
    let strays: Vec<ClOrdId> = theirs.keys().copied().filter(|id| !walk.knows(*id)).collect();
    for id in &strays {
        walk.compare(*id, theirs.get(id))?;
    }
    let mut all: Vec<ClOrdId> = theirs.keys().copied().chain(working).collect();
    all.sort_unstable();
    all.dedup();
    // Then what was asked of the orders: a trade may be of the quantity that a replace has given.
    for id in &all {
        walk.requests(*id, theirs.get(id))?;
    }
    walk.book(&executions)?;
    for id in &all {
        // A stray has been taken in as it stands, and is compared like any other from here on.
        if !strays.contains(id) || walk.knows(*id) {
            walk.compare(*id, theirs.get(id))?;
        }
        walk.leftovers(*id, theirs.get(id))?;
        walk.terms(*id, theirs.get(id))?;
    }
    walk.found.orders = all.len();
    let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    let end = Input::Reconciled {
        differences: count(walk.found.differences.len()),
        executions: count(walk.executions),
    };
    walk.enter(Ts(i64::MIN), &end)?;
    Ok(walk.found)
}

/// Whether the venue has something to say about an order: it may be open there, or not all that was
/// asked of it has been answered.
fn is_working(order: &Order) -> bool {
    (!order.state.is_final() || !order.requests.is_empty()) && !order.flags.has(Flags::UNKNOWN)
}

impl Walk<'_> {
    fn enter(&mut self, ts: Ts, input: &Input) -> Result<(), ResumeError> {
        Ok(self.recovered.enter(ts, input)?)
    }

    fn order(&self, id: ClOrdId) -> Option<&Order> {
        self.recovered.engine.state().order(id)
    }

    fn knows(&self, id: ClOrdId) -> bool {
        Ours::of(self.recovered.engine.state(), id) != Ours::Unknown
    }

    fn status(
        &mut self,
        order: ClOrdId,
        kind: StatusKind,
        (request, words): (ClOrdId, &str),
    ) -> Result<(), ResumeError> {
        let subject = request.some().unwrap_or(order);
        for words in text_inputs(Subject::Venue, subject, words).filter(|_| !words.is_empty()) {
            self.enter(Ts(i64::MIN), &words)?;
        }
        self.enter(Ts(i64::MIN), &Input::Status { order, kind, request })
    }

    /// Enters every execution that the log has not seen, each with the words before it.
    fn book(&mut self, executions: &[(Ts, Input)]) -> Result<(), ResumeError> {
        let mut words = Vec::new();
        for (ts, input) in executions {
            if matches!(input, Input::Text { .. }) {
                words.push(*input);
                continue;
            }
            let words = std::mem::take(&mut words);
            let Some(difference) = self.unseen(input) else {
                self.found.known_executions += 1;
                continue;
            };
            for words in &words {
                self.enter(*ts, words)?;
            }
            self.enter(*ts, input)?;
            self.executions += 1;
            self.found.differences.push(difference);
        }
        Ok(())
    }

    /// What an execution adds to the log; `None` for one that is there, and for what is none.
    fn unseen(&self, input: &Input) -> Option<Difference> {
        let seen = self.recovered.engine.state().executions();
        if let Input::Trade { order, exec, qty, price, .. } = *input {
            let price_text = Some(price);
            // One with other figures is entered: the engine says what is odd about it.
            // One without a key cannot be told from a repeated one: what is missing then shows in
            // what had traded of its order.
            let is_new = exec != ExecKey::default() && seen.seen(exec, qty, price) != Seen::Same;
            return is_new.then_some(Difference::Execution { order, qty, price: price_text });
        }
        if let Input::Correct { order, exec, qty, price, .. } = *input {
            let price = Some(price);
            return (!seen.knows(exec)).then_some(Difference::Execution { order, qty, price });
        }
        if let Input::Bust { order, exec, .. } = *input {
            let (qty, price) = (Qty(0), None);
            return (!seen.knows(exec)).then_some(Difference::Execution { order, qty, price });
        }
        None
    }

    /// The cell of one order.
    fn compare(&mut self, id: ClOrdId, theirs: Option<&VenueOrder>) -> Result<(), ResumeError> {
        let ours = Ours::of(self.recovered.engine.state(), id);
        let column = Theirs::of(theirs.map(|order| order.state));
        let action = action(ours, column);
        const GONE: &str = "the venue does not have it, asked after a restart";
        let none = ClOrdId::NONE;
        match action {
            Action::Agree => return Ok(()),
            Action::Receive => self.status(id, StatusKind::PendingNew, (none, ""))?,
            Action::Accept => self.status(id, StatusKind::Accepted, (none, ""))?,
            Action::NotSent => self.status(id, StatusKind::NotSent, (none, GONE))?,
            Action::Cancel => {
                let words = if theirs.is_none() { GONE } else { "" };
                self.status(id, StatusKind::Cancelled, (none, words))?;
            }
            Action::Reject => {
                let words = if theirs.is_none() { GONE } else { "rejected, asked after a restart" };
                self.status(id, StatusKind::Rejected, (none, words))?;
            }
            Action::Expire => self.status(id, StatusKind::Expired, (none, ""))?,
            Action::Dispute => {
                let theirs = theirs.expect("nothing is disputed that the venue does not have");
                self.dispute(theirs)?;
            }
        }
        let difference = Difference::State { order: id, ours, theirs: column, action };
        self.found.differences.push(difference);
        Ok(())
    }

    fn dispute(&mut self, VenueOrder { terms, .. }: &VenueOrder) -> Result<(), ResumeError> {
        let found = Input::Found {
            id: terms.order,
            instrument: terms.instrument,
            side: terms.side,
            ord_type: terms.ord_type,
            tif: terms.tif,
            qty: terms.qty,
            price: terms.price,
            stop_price: terms.stop_price,
            expire_at: terms.expire_at,
        };
        self.enter(Ts(i64::MIN), &found)
    }

    /// Takes in the replaces that were carried out, and ends the requests that an order which is at
    /// work there never got.
    fn requests(&mut self, id: ClOrdId, theirs: Option<&VenueOrder>) -> Result<(), ResumeError> {
        let Some(theirs) = theirs else { return Ok(()) };
        let known = self.outstanding(id);
        for request in &theirs.pending {
            if known.iter().all(|known| known.id != *request) {
                let (order, request) = (id, *request);
                self.found.differences.push(Difference::Unrecorded { order, request });
            }
        }
        for request in known.iter().filter(|request| !theirs.pending.contains(&request.id)) {
            let Request { id: number, kind, sent, .. } = *request;
            let terms = &theirs.terms;
            let now = (terms.qty, terms.price, terms.stop_price);
            let as_asked = (sent.qty, sent.price, sent.stop_price) == now;
            if kind == RequestKind::Replace && as_asked {
                let (qty, price, stop_price) = (Some(terms.qty), terms.price, terms.stop_price);
                let (order, request) = (id, number);
                self.enter(
                    Ts(i64::MIN),
                    &Input::Replaced { order, request, qty, price, stop_price },
                )?;
                self.note_request(id, number, kind, true);
            } else if theirs.state.is_open() {
                self.end_request(id, request)?;
            }
        }
        Ok(())
    }

    /// Ends the requests of an order that has ended, where the end has not answered them and the
    /// venue is not working on them.
    fn leftovers(&mut self, id: ClOrdId, theirs: Option<&VenueOrder>) -> Result<(), ResumeError> {
        let ended = self.order(id).is_some_and(|order| order.state.is_final());
        let pending: &[ClOrdId] = theirs.map_or(&[], |theirs| &theirs.pending);
        for request in self.outstanding(id).iter().filter(|_| ended) {
            if !pending.contains(&request.id) {
                self.end_request(id, request)?;
            }
        }
        Ok(())
    }

    fn outstanding(&self, id: ClOrdId) -> Vec<Request> {
        let requests = self.order(id).map(|order| order.requests.iter().copied().collect());
        requests.unwrap_or_default()
    }

    /// The venue does not have a request, and so will never answer it.
    fn end_request(&mut self, id: ClOrdId, request: &Request) -> Result<(), ResumeError> {
        const LOST: &str = "the venue does not have the request, asked after a restart";
        let kind = match request.kind {
            RequestKind::Cancel => StatusKind::CancelRejected,
            RequestKind::Replace => StatusKind::ReplaceRejected,
        };
        self.status(id, kind, (request.id, LOST))?;
        self.note_request(id, request.id, request.kind, false);
        Ok(())
    }

    fn note_request(&mut self, order: ClOrdId, request: ClOrdId, kind: RequestKind, done: bool) {
        self.found.differences.push(Difference::Request { order, request, kind, done });
    }

    /// What is left when everything has been entered: figures that should be alike and are not.
    fn terms(&mut self, id: ClOrdId, theirs: Option<&VenueOrder>) -> Result<(), ResumeError> {
        let Some((order, theirs)) = self.order(id).zip(theirs) else { return Ok(()) };
        let cum_qty = [order.cum_qty, theirs.cum_qty];
        let order_qty = [order.order_qty, theirs.terms.qty];
        let known = !order.flags.has(Flags::UNKNOWN);
        let open = theirs.state.is_open();
        let alike = cum_qty[0] == cum_qty[1] && (!open || order_qty[0] == order_qty[1]);
        if alike || !known || self.is_disputed(id) {
            return Ok(());
        }
        self.dispute(theirs)?;
        self.found.differences.push(Difference::Terms { order: id, cum_qty, order_qty });
        Ok(())
    }

    /// Whether a person is to look at it anyway.
    fn is_disputed(&self, id: ClOrdId) -> bool {
        self.found.differences.iter().any(|difference| {
            matches!(difference, Difference::State { order, action: Action::Dispute, .. }
                if *order == id)
        })
    }
}
