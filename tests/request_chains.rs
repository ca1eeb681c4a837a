//! One order and any number of requests in flight: random chains of orders, cancels, replaces, fills
//! and answers (early, late, twice, for requests never made), against a model that was written from
//! the rules and knows nothing of the engine.
//!
//! `SEED=7 RUNS=1 cargo test --test request_chains` repeats one chain; the seeds go up from there.

#[path = "common/random.rs"]
mod random;

use random::{Random, runs};
use std::collections::BTreeSet;
use trade_engine::broker::{Broker, Message, Reports};
use trade_engine::code::Code;
use trade_engine::codec::records;
use trade_engine::embedded::TradeEngine;
use trade_engine::event::{Body, Event};
use trade_engine::input::{ExecKey, Input, StatusKind};
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::limits::REQUESTS_PER_ORDER_MAX;
use trade_engine::order::{ClOrdId, Flags, OrdType, Order, RequestKind, Tif};
use trade_engine::replay::Redecide;
use trade_engine::settings::{Capacity, Settings};
use trade_engine::units::{Money, Price, Qty, Side, Ts};

const STEPS_PER_CHAIN: u64 = 30;
const ES: InstrumentId = InstrumentId(0);

/// The venue says what the chain says.
struct Silent;

impl Broker for Silent {
    fn on_message(&mut self, _ts: Ts, _message: &Message, _reports: &mut Reports) {}
}

/// Where the model's order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Life {
    Submitted,
    Accepted,
    Partial,
    Filled,
    Cancelled,
    Rejected,
    Expired,
}

use Life::{Accepted, Cancelled, Expired, Filled, Partial, Rejected, Submitted};

#[derive(Clone, Copy, Debug)]
struct Asked {
    id: u64,
    is_cancel: bool,
    qty: Option<i64>,
    price: Option<i64>,
    stop: Option<i64>,
    /// All terms as the venue was sent them: it may carry them out whatever becomes of the replaces
    /// before.
    sent: (i64, Option<i64>, Option<i64>),
}

/// What the rules say of one order. Prices in whole units.
#[derive(Clone, Debug)]
struct Model {
    ord_type: OrdType,
    tif: Tif,
    life: Life,
    total: i64,
    cum: i64,
    value: i64,
    price: Option<i64>,
    stop: Option<i64>,
    asked: Vec<Asked>,
    received: bool,
    acked: bool,
    triggered: bool,
    suspended: bool,
    done_for_day: bool,
    trades: Vec<(u64, i64, i64)>,
}

type Verdict = Result<(), Code>;

impl Model {
    fn is_over(&self) -> bool {
        matches!(self.life, Filled | Cancelled | Rejected | Expired)
    }

    fn set_aside(&self) -> bool {
        self.suspended || self.done_for_day
    }

    fn count(&self, is_cancel: bool) -> usize {
        self.asked.iter().filter(|asked| asked.is_cancel == is_cancel).count()
    }

    fn leaves(&self) -> i64 {
        let idle = self.suspended || (self.done_for_day && self.tif == Tif::Day);
        if self.is_over() || idle { 0 } else { (self.total - self.cum).max(0) }
    }

    /// FIX precedence, from the highest down.
    fn ord_status(&self) -> &'static str {
        if self.count(true) > 0 {
            return "PendingCancel";
        }
        if self.count(false) > 0 {
            return "PendingReplace";
        }
        match self.life {
            _ if self.done_for_day => "DoneForDay",
            Filled => "Filled",
            _ if self.suspended => "Suspended",
            Submitted => "PendingNew",
            Accepted => "New",
            Partial => "PartiallyFilled",
            Cancelled => "Canceled",
            Rejected => "Rejected",
            Expired => "Expired",
        }
    }

    /// The life of an order that has not ended, by its quantities.
    fn settle(&mut self) {
        self.life = match (self.cum >= self.total, self.cum > 0) {
            (true, _) => Filled,
            (false, true) => Partial,
            (false, false) => Accepted,
        };
    }

    fn ask_cancel(&mut self, id: u64) -> Verdict {
        if self.is_over() {
            return Err(Code::IllegalTransition);
        }
        if self.count(true) > 0 {
            return Err(Code::RequestPending);
        }
        self.asked.push(Asked {
            id,
            is_cancel: true,
            qty: None,
            price: None,
            stop: None,
            sent: (0, None, None),
        });
        Ok(())
    }

    fn ask_replace(&mut self, asked: Asked) -> Verdict {
        let raises = asked.qty.is_some_and(|qty| qty > self.cum);
        match self.life {
            Cancelled | Rejected | Expired => return Err(Code::IllegalTransition),
            Filled if !raises => return Err(Code::IllegalTransition),
            Filled | Submitted | Accepted | Partial => {}
        }
        if self.count(true) > 0 {
            return Err(Code::RequestPending);
        }
        if self.count(false) == REQUESTS_PER_ORDER_MAX {
            return Err(Code::TooManyRequests);
        }
        // What the venue was sent last is what there is to change.
        let last = self.asked.iter().rfind(|asked| !asked.is_cancel);
        let before = last.map_or((self.total, self.price, self.stop), |asked| asked.sent);
        let (total, price, stop) = before;
        let misplaced = (asked.price.is_some() && !self.ord_type.has_limit())
            || (asked.stop.is_some() && !self.ord_type.has_stop());
        if misplaced {
            return Err(Code::BadPrice);
        }
        let after = (asked.qty.unwrap_or(total), asked.price.or(price), asked.stop.or(stop));
        if after == before {
            return Err(Code::NoChange);
        }
        self.asked.push(Asked { sent: after, ..asked });
        Ok(())
    }

    /// The request that an answer means, by its place.
    fn find(&self, is_cancel: bool, named: Option<u64>) -> Option<usize> {
        let means =
            |asked: &Asked| asked.is_cancel == is_cancel && named.is_none_or(|id| id == asked.id);
        self.asked.iter().position(means)
    }

    fn trade(&mut self, exec: u64, qty: i64, price: i64) -> Verdict {
        if qty <= 0 {
            return Err(Code::BadQty);
        }
        if let Some((_, known_qty, known_price)) = self.trades.iter().find(|t| t.0 == exec) {
            let same = (*known_qty, *known_price) == (qty, price);
            return Err(if same { Code::DuplicateExecution } else { Code::ConflictingExecution });
        }
        self.trades.push((exec, qty, price));
        self.cum += qty;
        self.value += qty * price;
        if !self.is_over() {
            self.settle();
        }
        Ok(())
    }

    #[expect(clippy::too_many_lines, reason = "one arm a kind")]
    fn status(&mut self, kind: StatusKind, named: Option<u64>) -> Verdict {
        let illegal = Err(Code::IllegalTransition);
        match kind {
            StatusKind::PendingNew => {
                if self.received || self.acked || self.life != Submitted {
                    return Err(Code::NothingNew);
                }
                self.received = true;
            }
            StatusKind::Accepted => return self.accepted(),
            StatusKind::Rejected => match self.life {
                Submitted | Accepted => self.life = Rejected,
                Partial | Filled | Cancelled | Rejected | Expired => return illegal,
            },
            StatusKind::Cancelled => {
                let found = self.find(true, named);
                if found.is_none() && named.is_some() {
                    return Err(Code::UnknownRequest);
                }
                if self.is_over() {
                    return illegal;
                }
                self.life = Cancelled;
                found.map(|at| self.asked.remove(at));
            }
            StatusKind::Expired => {
                if self.is_over() {
                    return illegal;
                }
                self.life = Expired;
            }
            StatusKind::Triggered => {
                if self.triggered {
                    return Err(Code::NothingNew);
                }
                if !self.ord_type.has_stop() || self.is_over() {
                    return illegal;
                }
                self.triggered = true;
            }
            StatusKind::DoneForDay | StatusKind::Suspended => {
                let flag = if kind == StatusKind::Suspended {
                    &mut self.suspended
                } else {
                    &mut self.done_for_day
                };
                if *flag {
                    return Err(Code::NothingNew);
                }
                let over = matches!(self.life, Filled | Cancelled | Rejected | Expired);
                if over {
                    return illegal;
                }
                *flag = true;
            }
            StatusKind::PendingCancel | StatusKind::PendingReplace => {
                let is_cancel = kind == StatusKind::PendingCancel;
                self.find(is_cancel, named).ok_or(Code::UnknownRequest)?;
            }
            StatusKind::CancelRejected | StatusKind::ReplaceRejected => {
                let is_cancel = kind == StatusKind::CancelRejected;
                let at = self.find(is_cancel, named).ok_or(Code::UnknownRequest)?;
                self.asked.remove(at);
            }
            StatusKind::NotSent => {
                let unheard = self.life == Submitted && !self.received && !self.acked;
                if !unheard {
                    return illegal;
                }
                self.life = Rejected;
            }
        }
        Ok(())
    }

    fn accepted(&mut self) -> Verdict {
        let overtaken = matches!(self.life, Partial | Filled | Cancelled | Expired);
        match self.life {
            Rejected => return Err(Code::IllegalTransition),
            Submitted => {
                self.life = Accepted;
                (self.suspended, self.done_for_day) = (false, false);
            }
            _ if self.set_aside() && !self.is_over() => {
                (self.suspended, self.done_for_day) = (false, false);
            }
            _ if overtaken && !self.acked => {}
            Accepted | Partial | Filled | Cancelled | Expired => return Err(Code::NothingNew),
        }
        self.acked = true;
        Ok(())
    }

    fn replaced(&mut self, named: Option<u64>, venue: Asked) -> Verdict {
        let at = self.find(false, named).ok_or(Code::UnknownRequest)?;
        let asked = self.asked.remove(at);
        let total = venue.qty.or(asked.qty).unwrap_or(self.total);
        self.amend(total, venue.price.or(asked.price), venue.stop.or(asked.stop));
        Ok(())
    }

    fn amend(&mut self, total: i64, price: Option<i64>, stop: Option<i64>) {
        if matches!(self.life, Cancelled | Rejected | Expired) {
            return;
        }
        self.acked = true;
        self.total = total.max(self.cum);
        self.price = price.filter(|_| self.ord_type.has_limit()).or(self.price);
        self.stop = stop.filter(|_| self.ord_type.has_stop()).or(self.stop);
        self.settle();
    }

    fn restated(&mut self, qty: Option<i64>) -> Verdict {
        if matches!(self.life, Cancelled | Rejected | Expired) {
            return Err(Code::IllegalTransition);
        }
        let total = qty.unwrap_or(self.total);
        if total == self.total && !self.set_aside() && self.life != Submitted {
            return Err(Code::NothingNew);
        }
        self.amend(total, None, None);
        (self.suspended, self.done_for_day) = (false, false);
        Ok(())
    }
}

fn whole(price: i64) -> Price {
    Price(price * Price::ONE.0)
}

fn id(number: u64) -> ClOrdId {
    ClOrdId::new(1, number)
}

/// A chain under way: the engine and the model, side by side.
struct Chain {
    random: Random,
    engine: TradeEngine<Silent>,
    model: Model,
    next_id: u64,
    next_exec: u64,
    /// One chain in eight has a venue that answers little, so that requests pile up.
    is_quiet: bool,
    story: Vec<String>,
}

const ORDER: u64 = 1;

impl Chain {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let spec = Instrument::plain("ES", Price::ONE, Price::ONE.0, Price::ONE.0);
        let capacity = Capacity { orders: 2, executions: 256, ..Capacity::default() };
        let capital = "1000000".parse().expect("a decimal");
        let settings = Settings { capacity, ..Settings::new(capital, vec![spec]) };
        let ord_type =
            random.pick(&[OrdType::Limit, OrdType::StopLimit, OrdType::Stop, OrdType::Market]);
        let tif = random.pick(&[Tif::Day, Tif::Gtc]);
        let total = 1 + random.range(10);
        let model = Model {
            ord_type,
            tif,
            life: Submitted,
            total,
            cum: 0,
            value: 0,
            price: ord_type.has_limit().then_some(100),
            stop: ord_type.has_stop().then_some(90),
            asked: Vec::new(),
            received: false,
            acked: false,
            triggered: false,
            suspended: false,
            done_for_day: false,
            trades: Vec::new(),
        };
        let engine = TradeEngine::new(settings, Silent);
        let is_quiet = random.below(8) == 0;
        let (next_id, next_exec, story) = (ORDER + 1, 1, Vec::new());
        let mut chain = Self { random, engine, model, next_id, next_exec, is_quiet, story };
        let order = Input::Order {
            id: id(ORDER),
            instrument: ES,
            side: Side::Buy,
            ord_type,
            tif,
            strategy: 0,
            flags: Flags::default(),
            qty: Qty(total),
            price: chain.model.price.map(whole),
            stop_price: chain.model.stop.map(whole),
            expire_at: None,
            defect: None,
        };
        chain.check(&order, Ok(()));
        chain
    }

    /// A request to name in an answer: one that is outstanding, one that was answered or never
    /// made, or none.
    fn named(&mut self) -> Option<u64> {
        match self.random.below(4) {
            0 => Some(1 + self.random.below(self.next_id + 2)),
            1 if !self.model.asked.is_empty() => {
                let ids: Vec<u64> = self.model.asked.iter().map(|asked| asked.id).collect();
                Some(self.random.pick(&ids))
            }
            _ => None,
        }
    }

    /// One time in `odds`, a figure of a few above `least`.
    fn maybe(&mut self, odds: u64, least: i64, span: i64) -> Option<i64> {
        let figure = least + self.random.range(span);
        (self.random.below(odds) == 0).then_some(figure)
    }

    fn terms(&mut self) -> Asked {
        let (id, cum) = (self.next_id, self.model.cum.max(1));
        let to_cum = self.random.below(4) == 0;
        let qty = if to_cum { Some(cum) } else { self.maybe(3, 1, 14) };
        let (price, stop) = (self.maybe(3, 98, 5), self.maybe(4, 88, 5));
        let nothing = (qty, price, stop) == (None, None, None);
        let qty = if nothing { Some(5) } else { qty };
        Asked { id, is_cancel: false, qty, price, stop, sent: (0, None, None) }
    }

    fn step(&mut self) {
        let quiet = self.is_quiet && self.random.below(8) > 0;
        match self.random.below(if quiet { 6 } else { 14 }) {
            0 if quiet && self.model.asked.len() < REQUESTS_PER_ORDER_MAX => self.replace(),
            0 => self.cancel(),
            1..=4 => self.replace(),
            5 | 6 => self.trade(),
            7 | 8 => {
                let (named, venue) = (self.named(), self.venue_terms());
                let verdict = self.model.replaced(named, venue);
                let input = Input::Replaced {
                    order: id(ORDER),
                    request: named.map_or(ClOrdId::NONE, id),
                    qty: venue.qty.map(Qty),
                    price: venue.price.map(whole),
                    stop_price: venue.stop.map(whole),
                };
                self.check(&input, verdict);
            }
            9 if self.random.below(2) == 0 => {
                let qty = self.maybe(2, 1, 14);
                let verdict = self.model.restated(qty);
                self.check(&Input::Restated { order: id(ORDER), qty: qty.map(Qty) }, verdict);
            }
            _ => {
                let kind = self.status_kind();
                let takes_request = matches!(
                    kind,
                    StatusKind::Cancelled
                        | StatusKind::PendingCancel
                        | StatusKind::PendingReplace
                        | StatusKind::CancelRejected
                        | StatusKind::ReplaceRejected
                );
                let named = if takes_request { self.named() } else { None };
                let verdict = self.model.status(kind, named);
                let request = named.map_or(ClOrdId::NONE, id);
                self.check(&Input::Status { order: id(ORDER), kind, request }, verdict);
            }
        }
    }

    /// Ends are rare, or every chain would be short.
    fn status_kind(&mut self) -> StatusKind {
        let ends =
            [StatusKind::Rejected, StatusKind::Cancelled, StatusKind::Expired, StatusKind::NotSent];
        let living: Vec<StatusKind> =
            StatusKind::ALL.into_iter().filter(|kind| !ends.contains(kind)).collect();
        if self.random.below(5) == 0 { self.random.pick(&ends) } else { self.random.pick(&living) }
    }

    fn venue_terms(&mut self) -> Asked {
        if self.random.below(3) > 0 {
            return Asked {
                id: 0,
                is_cancel: false,
                qty: None,
                price: None,
                stop: None,
                sent: (0, None, None),
            };
        }
        self.terms()
    }

    /// The number of a new request; now and then one that is taken.
    fn new_id(&mut self) -> u64 {
        if self.random.below(12) == 0 {
            1 + self.random.below(self.next_id - 1)
        } else {
            self.next_id
        }
    }

    fn cancel(&mut self) {
        let number = self.new_id();
        let verdict = if number == self.next_id {
            self.model.ask_cancel(number)
        } else {
            Err(Code::DuplicateId)
        };
        self.next_id += u64::from(verdict.is_ok());
        self.check(&Input::Cancel { id: id(number), order: id(ORDER) }, verdict);
    }

    fn replace(&mut self) {
        let number = self.new_id();
        let asked = Asked { id: number, ..self.terms() };
        let verdict = if number == self.next_id {
            self.model.ask_replace(asked)
        } else {
            Err(Code::DuplicateId)
        };
        self.next_id += u64::from(verdict.is_ok());
        let input = Input::Replace {
            id: id(number),
            order: id(ORDER),
            qty: asked.qty.map(Qty),
            price: asked.price.map(whole),
            stop_price: asked.stop.map(whole),
            defect: None,
        };
        self.check(&input, verdict);
    }

    fn trade(&mut self) {
        let repeats = self.next_exec > 1 && self.random.below(5) == 0;
        let exec = if repeats { 1 + self.random.below(self.next_exec - 1) } else { self.next_exec };
        let known = self.model.trades.iter().find(|trade| trade.0 == exec).copied();
        let same = known.filter(|_| self.random.below(2) == 0);
        let (qty, price) = match same {
            Some((_, qty, price)) => (qty, price),
            None => (self.random.range(5), 95 + self.random.range(10)),
        };
        let verdict = self.model.trade(exec, qty, price);
        self.next_exec += u64::from(verdict.is_ok());
        let input = Input::Trade {
            order: id(ORDER),
            exec: ExecKey::new(0, &format!("E{exec}"), id(ORDER), Side::Buy),
            qty: Qty(qty),
            price: whole(price),
            commission: Money::ZERO,
            instrument: ES,
            side: Side::Buy,
            venue_says_filled: false,
            defect: None,
        };
        self.check(&input, verdict);
    }

    /// Gives the input to the engine, and compares everything that a counterparty could see.
    #[track_caller]
    fn check(&mut self, input: &Input, verdict: Verdict) {
        self.story.push(format!("{input}   {verdict:?}"));
        let range = self.engine.input_at(Ts(0), input).expect("there is no journal");
        let mut found = Ok(());
        for record in self.engine.records(range) {
            match record.body {
                Body::Event(Event::Refused { code, .. }) => found = Err(code),
                Body::Event(Event::Anomaly { code, booked: false, .. }) => found = Err(code),
                Body::Event(_) | Body::Input(..) | Body::Opening(_) => {}
            }
        }
        let story = || self.story.join("\n");
        assert_eq!(found, verdict, "\n{}", story());
        let order = self.engine.order(id(ORDER)).expect("it is held");
        assert_eq!(seen(order), expected(&self.model), "\n{}", story());
    }
}

/// What can be compared, in words that both sides have.
type Seen = (&'static str, &'static str, [i64; 3], [Option<i64>; 3], Vec<u64>, bool);

fn seen(order: &Order) -> Seen {
    let outside = |price: Option<Price>| price.map(|price| price.0 / Price::ONE.0);
    let requests = order.requests.iter().map(|request| request.id.counter()).collect();
    let value = order.cum_value / i128::from(Price::ONE.0);
    let value = i64::try_from(value).expect("small figures");
    assert_eq!(order.requests.count(RequestKind::Cancel) > 0, {
        order.ord_status().name() == "PendingCancel"
    });
    (
        order.state.name(),
        order.ord_status().name(),
        [order.order_qty.0, order.cum_qty.0, order.leaves_qty().0],
        [outside(order.price), outside(order.stop_price), Some(value)],
        requests,
        order.flags.has(Flags::TRIGGERED),
    )
}

fn expected(model: &Model) -> Seen {
    let name = match model.life {
        Submitted => "SUBMITTED",
        Accepted => "ACCEPTED",
        Partial => "PARTIAL_FILL",
        Filled => "FILLED",
        Cancelled => "CANCELLED",
        Rejected => "REJECTED",
        Expired => "EXPIRED",
    };
    (
        name,
        model.ord_status(),
        [model.total, model.cum, model.leaves()],
        [model.price, model.stop, Some(model.value)],
        model.asked.iter().map(|asked| asked.id).collect(),
        model.triggered,
    )
}

/// What the chains have reached, so that a generator that goes stale is noticed.
#[derive(Default)]
struct Reached {
    most_in_flight: usize,
    lives: BTreeSet<Life>,
    refusals: BTreeSet<Code>,
}

#[test]
fn every_chain_goes_as_the_rules_say() {
    let seeds = runs(10_000);
    println!(
        "SEED={} RUNS={} cargo test --test request_chains",
        seeds.start,
        seeds.clone().count()
    );
    let whole_run = seeds.clone().count() >= 10_000;
    let mut reached = Reached::default();
    for seed in seeds {
        let mut chain = Chain::new(seed);
        for _ in 0..STEPS_PER_CHAIN {
            chain.step();
            reached.most_in_flight = reached.most_in_flight.max(chain.model.asked.len());
            reached.lives.insert(chain.model.life);
        }
        let refusals = chain.engine.records(0..chain.engine.log().len());
        reached.refusals.extend(refusals.filter_map(|record| match record.body {
            Body::Event(Event::Refused { code, .. }) => Some(code),
            Body::Event(_) | Body::Input(..) | Body::Opening(_) => None,
        }));
        if seed % 64 == 0 {
            decides_again(&chain.engine);
        }
    }
    if whole_run {
        assert_eq!(reached.lives.len(), 7, "{:?}", reached.lives);
        assert!(reached.most_in_flight > REQUESTS_PER_ORDER_MAX, "{}", reached.most_in_flight);
        let codes = [
            Code::BadQty,
            Code::BadPrice,
            Code::IllegalTransition,
            Code::DuplicateId,
            Code::DuplicateExecution,
            Code::UnknownRequest,
            Code::NothingNew,
            Code::NoChange,
            Code::RequestPending,
            Code::TooManyRequests,
        ];
        for code in codes {
            assert!(reached.refusals.contains(&code), "never refused for {code}");
        }
    }
}

fn decides_again(engine: &TradeEngine<Silent>) {
    let mut redecide = Redecide::default();
    for slots in records(engine.log()) {
        redecide.next(slots).expect("the same bytes");
    }
    assert_eq!(redecide.state().map(|state| state.hash()), Some(engine.state().hash()));
}
