//! A simulated venue: slippage, commission, latency, partial fills, rejects; limit and stop orders
//! matched against quotes and bars. Deterministic: the same messages and the same seed give the
//! same reports.
//!
//! **What it trades at.** A [`Message::Mark`] is the live price until the session ends, a
//! [`Message::Bar`] comes, or the next mark does. A bar tells what has traded since the last one,
//! so it is matched against the orders that were at rest before it came, and then there is no live
//! price: an order that the bar has caused waits for the next mark, or for the open of the next
//! bar, and never trades inside the bar that caused it. A mark outside the sessions only values
//! positions.
//!
//! **What is left out.** Liquidity is unlimited and nothing moves the price: an order trades whole
//! or not at all, so one at rest has traded nothing. An order that is at rest before a bar comes
//! meets the whole bar, also what traded before it arrived. `matching.rs` has the rules of each
//! type.
//!
//! **Times.** Orders and requests arrive after the latency, in domain time, which only messages
//! move: what has arrived by the time of a message is worked off before that message. Sessions and
//! expiries go by the time of arrival; a report carries the time of the message at which it came
//! about, so that the engine's time never runs back.
//!
//! **Execution ids** are `S1`, `S2`, ... in the order of the trades.

use super::ledger::{Added, Ledger};
use super::matching::{Market, Outcome, Quote, Terms, meet};
use super::{Broker, Message, NewOrder, Reports, Statement, VenueOrder, VenueState};
use crate::code::Code;
use crate::input::{ExecKey, Input, StatusKind};
use crate::instrument::{Instrument, InstrumentId};
use crate::limits::PRICE_SCALE;
use crate::order::{ClOrdId, OrdType, Tif};
use crate::units::{Money, Price, Qty, Ratio, Ts, Units};
use arrayvec::ArrayString;
use std::collections::VecDeque;
use std::fmt::{self, Write};

/// Most trades that fill one order: `partial_fill_qty` must not make a report of every lot of a
/// large order. An order that would need more is turned down.
const FILLS_PER_ORDER_MAX: i64 = 1_000;

/// How the venue behaves. The default is a perfect one: no cost, no delay, no reject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SimSettings {
    /// What a market or stop order pays on top of the price, as a fraction of it; see
    /// [`Ratio::from_bps`]. Rounded to 1e-9 against the order, not to the tick.
    pub slippage: Ratio,
    /// Commission for each lot.
    pub commission_per_contract: Money,
    /// Commission for each unit of quantity: lots x lot size.
    pub commission_per_share: Money,
    /// Commission as a fraction of the value traded.
    pub commission_rate: Ratio,
    /// Milliseconds from here to the venue, for orders and requests.
    pub latency_ms: i64,
    /// Most that one trade takes, in units of the underlying, cut down to whole lots but never
    /// below one: a larger order fills in several trades, in the same answer.
    pub partial_fill_qty: Option<Units>,
    /// Share of new orders that are turned down at random.
    pub reject_rate: Ratio,
    /// Where the random numbers start.
    pub seed: u64,
    /// What the venue's own account starts with. With it, orders are checked for initial margin;
    /// `None`: not checked.
    pub initial_capital: Option<Money>,
}

/// Which setting makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimError {
    /// Below 0 or above 1.
    Slippage,
    /// Below 0 or above 1.
    RejectRate,
    /// Below 0.
    Latency,
    /// Not above 0.
    PartialFillQty,
}

impl fmt::Display for SimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Slippage => "slippage_bps must be from 0 to 10000",
            Self::RejectRate => "reject_rate must be from 0 to 1",
            Self::Latency => "latency_ms must not be negative",
            Self::PartialFillQty => "partial_fill_qty must be above zero",
        })
    }
}

impl std::error::Error for SimError {}

impl SimSettings {
    /// Checks every figure by itself.
    ///
    /// # Errors
    /// The first of [`SimError`]'s cases that applies.
    pub fn check(&self) -> Result<(), SimError> {
        let share = Ratio(0)..=Ratio::ONE;
        if !share.contains(&self.slippage) {
            return Err(SimError::Slippage);
        }
        if !share.contains(&self.reject_rate) {
            return Err(SimError::RejectRate);
        }
        if self.latency_ms < 0 {
            return Err(SimError::Latency);
        }
        if self.partial_fill_qty.is_some_and(|units| units.0 <= 0) {
            return Err(SimError::PartialFillQty);
        }
        Ok(())
    }

    /// Commission of one trade. `None`: past the range.
    fn commission(&self, instrument: &Instrument, qty: Qty, price: Price) -> Option<Money> {
        let lots = i128::from(qty.0);
        let by_lot = self.commission_per_contract.0.checked_mul(lots)?;
        // Units are in 1e-9; the split keeps the product of large figures inside i128.
        let (scale, units) =
            (i128::from(PRICE_SCALE), lots.checked_mul(i128::from(instrument.lot_size))?);
        let (whole, rest) = (units / scale, units % scale);
        let per_unit = self.commission_per_share.0;
        let by_unit = per_unit.checked_mul(whole)?;
        let by_rest = per_unit.checked_mul(rest)? / scale;
        let value = Money::notional(price, qty, instrument.lot_value())?;
        let by_value = Money(value.0.abs()).checked_scale(self.commission_rate)?;
        let sum = by_lot.checked_add(by_unit)?.checked_add(by_rest)?;
        Money(sum).checked_add(by_value)
    }
}

/// The venue.
///
/// ```
/// use trade_engine::broker::{Broker, Message, NewOrder, Reports, SimSettings, SimulatedBroker};
/// use trade_engine::input::Input;
/// use trade_engine::instrument::{Instrument, InstrumentId};
/// use trade_engine::order::{ClOrdId, OrdType, Tif};
/// use trade_engine::units::{Price, Qty, Ratio, Side, Ts};
///
/// let es = Instrument::plain("ES", "0.25".parse()?, 1_000_000_000, 50_000_000_000);
/// let settings = SimSettings { slippage: Ratio::from_bps("5")?, ..SimSettings::default() };
/// let mut venue = SimulatedBroker::new(0, settings, vec![es])?;
/// let mut reports = Reports::default();
///
/// let (instrument, price) = (InstrumentId(0), "4521.25".parse()?);
/// venue.on_message(Ts(1), &Message::Mark { instrument, price, bid: None, ask: None }, &mut
/// reports); let order = NewOrder {
///     order: ClOrdId::new(0, 1),
///     instrument,
///     side: Side::Buy,
///     ord_type: OrdType::Market,
///     tif: Tif::Day,
///     qty: Qty(2),
///     price: None,
///     stop_price: None,
///     expire_at: None,
///     shrink_only: false,
/// };
/// venue.on_message(Ts(2), &Message::New(order), &mut reports);
///
/// let (_, acknowledgement) = reports.pop().unwrap();
/// assert!(matches!(acknowledgement, Input::Status { .. }));
/// let Some((Ts(2), Input::Trade { qty: Qty(2), price, .. })) = reports.pop() else { panic!() };
/// assert_eq!(price.to_string(), "4523.510625");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SimulatedBroker {
    /// Part of the key of every execution.
    venue: u16,
    settings: SimSettings,
    instruments: Vec<Instrument>,
    /// The last mark of each instrument, while no bar has come since.
    quotes: Vec<Option<Live>>,
    /// Orders and requests on their way, with the time at which they arrive, oldest first.
    in_flight: VecDeque<(Ts, Message)>,
    /// In the order of arrival.
    resting: Vec<Resting>,
    /// The earliest end of a good-till-date order at rest: saves looking at them at each message.
    expiry_next: Option<Ts>,
    ledger: Option<Ledger>,
    random: Random,
    /// Trades so far: the number in the last execution id.
    executions: u64,
}

/// A mark, and when its session ends.
#[derive(Clone, Copy, Debug)]
struct Live {
    quote: Quote,
    until: Ts,
}

#[derive(Clone, Copy, Debug)]
struct Resting {
    new: NewOrder,
    /// A stop-limit order whose stop price has traded.
    triggered: bool,
}

/// Where answers go, and the time that they carry.
struct Answers<'a> {
    now: Ts,
    reports: &'a mut Reports,
}

impl Answers<'_> {
    fn status(&mut self, order: ClOrdId, kind: StatusKind) {
        self.reports.status(self.now, order, kind, ClOrdId::NONE);
    }
}

impl SimulatedBroker {
    /// A venue that trades `instruments`, by their place in the list. `venue` is its number in the
    /// keys of its executions: two venues of one engine need two numbers.
    ///
    /// # Errors
    /// Those of [`SimSettings::check`].
    pub fn new(
        venue: u16,
        settings: SimSettings,
        instruments: Vec<Instrument>,
    ) -> Result<Self, SimError> {
        settings.check()?;
        let ledger = settings.initial_capital.map(|cash| Ledger::new(cash, instruments.len()));
        Ok(Self {
            venue,
            quotes: vec![None; instruments.len()],
            in_flight: VecDeque::new(),
            resting: Vec::new(),
            expiry_next: None,
            ledger,
            random: Random(settings.seed),
            executions: 0,
            settings,
            instruments,
        })
    }

    /// Notes a position that is held before the first order, for the margin check: signed lots and
    /// the average price paid, at which it adds nothing to the capital and takes nothing from it.
    pub fn open_position(&mut self, instrument: InstrumentId, qty: Qty, avg_px: Price) {
        let Some(contract) = self.instruments.get(instrument.index()) else { return };
        if let Some(ledger) = &mut self.ledger {
            ledger.book(instrument, qty, avg_px, contract.lot_value(), Money::ZERO);
        }
    }

    /// Works off what has arrived by now, then ends what has expired.
    fn advance(&mut self, out: &mut Answers<'_>) {
        while let Some((at, message)) = self.in_flight.pop_front_if(|(at, _)| *at <= out.now) {
            self.expire(at, out);
            let refused = match message {
                Message::New(new) => self.enter(at, new, out),
                Message::Cancel { order, request, .. } => self.cancel(order, request, out),
                Message::Replace { .. } => self.replace(at, &message, out),
                Message::Mark { .. } | Message::Bar { .. } | Message::DayRoll | Message::Time => {
                    unreachable!("only orders and requests are delayed")
                }
            };
            if let Err(words) = refused {
                out.reports.refuse(out.now, &message, words);
            }
        }
        self.expire(out.now, out);
    }

    /// A new order. `Err`: why it is turned down.
    fn enter(&mut self, at: Ts, new: NewOrder, out: &mut Answers<'_>) -> Result<(), &'static str> {
        // Drawn for every order, so that the sequence does not depend on the other checks.
        let unlucky = self.random.share() < self.settings.reject_rate;
        self.check_terms(at, &new)?;
        if unlucky {
            return Err("rejected at random");
        }
        if self.open_until(new.instrument, at).is_none() {
            return Err("market closed");
        }
        self.check_margin(&new, new.qty)?;

        out.status(new.order, StatusKind::Accepted);
        let mut order = Resting { new, triggered: false };
        if self.try_live(at, &mut order, out) {
            return Ok(());
        }
        match new.tif {
            Tif::Ioc | Tif::Fok => out.status(new.order, StatusKind::Cancelled),
            Tif::Day | Tif::Gtc | Tif::Gtd => {
                self.resting.push(order);
                self.note_expiry();
            }
        }
        Ok(())
    }

    fn cancel(
        &mut self,
        order: ClOrdId,
        request: ClOrdId,
        out: &mut Answers<'_>,
    ) -> Result<(), &'static str> {
        // Finished orders are forgotten, so an order that never was reads the same.
        let place = self.place(order).ok_or("too late to cancel")?;
        self.resting.remove(place);
        self.note_expiry();
        out.reports.status(out.now, order, StatusKind::Cancelled, request);
        Ok(())
    }

    fn replace(
        &mut self,
        at: Ts,
        message: &Message,
        out: &mut Answers<'_>,
    ) -> Result<(), &'static str> {
        let &Message::Replace { order, request, qty, price, stop_price, .. } = message else {
            unreachable!("called for replaces");
        };
        let place = self.place(order).ok_or("too late to replace")?;
        let old = self.resting[place];
        let new = NewOrder { qty, price, stop_price, ..old.new };
        self.check_terms(at, &new)?;
        self.check_margin(&new, Qty(qty.0.saturating_sub(old.new.qty.0)))?;

        // The terms as they are: the replace was sent with all of them.
        let done = Input::Replaced { order, request, qty: Some(qty), price, stop_price };
        out.reports.push(out.now, done);
        let mut amended = Resting { new, ..old };
        if self.try_live(at, &mut amended, out) {
            self.resting.remove(place);
            self.note_expiry();
        } else {
            self.resting[place] = amended;
        }
        Ok(())
    }

    /// Most lots that one trade of an order takes: at least one, or it would never end.
    fn most(&self, new: &NewOrder) -> Qty {
        let instrument = &self.instruments[new.instrument.index()];
        let lots = |units| instrument.whole_lots(units).max(Qty(1));
        self.settings.partial_fill_qty.map_or(new.qty, lots)
    }

    /// Figures that no order can have, whatever the market does.
    fn check_terms(&self, at: Ts, new: &NewOrder) -> Result<(), &'static str> {
        if self.instruments.len() <= new.instrument.index() {
            return Err("unknown instrument");
        }
        if new.qty.0 <= 0 {
            return Err("quantity must be above zero");
        }
        let most = self.most(new);
        if (new.qty.0 - 1) / most.0 >= FILLS_PER_ORDER_MAX {
            return Err("the order would need too many fills");
        }
        if new.ord_type.has_limit() && new.price.is_none() {
            return Err("limit price missing");
        }
        if new.ord_type.has_stop() && new.stop_price.is_none() {
            return Err("stop price missing");
        }
        let ended = expiry(new).is_some_and(|end| end <= at);
        if ended { Err("expired on entry") } else { Ok(()) }
    }

    /// Whether the account carries `qty` lots of `new` beside everything that is at work.
    fn check_margin(&mut self, new: &NewOrder, qty: Qty) -> Result<(), &'static str> {
        let Some(ledger) = &mut self.ledger else { return Ok(()) };
        let lots = |new: &NewOrder, qty| Added { instrument: new.instrument, side: new.side, qty };
        let working = self.resting.iter().map(|order| lots(&order.new, order.new.qty));
        let covered = ledger.covers(&self.instruments, working, lots(new, qty));
        if covered { Ok(()) } else { Err("insufficient margin") }
    }

    /// The end of the session that is open at `t`; `None` while the market is closed.
    fn open_until(&self, instrument: InstrumentId, t: Ts) -> Option<Ts> {
        let Some(sessions) = &self.instruments[instrument.index()].sessions else {
            return Some(Ts(i64::MAX));
        };
        let opened = sessions.partition_point(|session| session.open <= t);
        let close = sessions[opened.checked_sub(1)?].close;
        (t < close).then_some(close)
    }

    /// Meets an order that arrives with the live price, if there is one. `true`: it is done.
    fn try_live(&mut self, at: Ts, order: &mut Resting, out: &mut Answers<'_>) -> bool {
        let live = self.quotes[order.new.instrument.index()].filter(|live| at < live.until);
        live.is_some_and(|live| self.try_order(order, Market::Quote(live.quote), out))
    }

    /// Meets an order with the market and reports what comes of it. `true`: it is done.
    fn try_order(&mut self, order: &mut Resting, market: Market, out: &mut Answers<'_>) -> bool {
        let new = order.new;
        let terms = Terms {
            side: new.side,
            ord_type: new.ord_type,
            triggered: order.triggered,
            price: new.price,
            stop_price: new.stop_price,
        };
        let Outcome { triggered, fill } = meet(&terms, market, self.settings.slippage);
        // A plain stop that is triggered trades at once, and the trade says so.
        if new.ord_type == OrdType::StopLimit && triggered && !order.triggered {
            order.triggered = true;
            out.status(new.order, StatusKind::Triggered);
        }
        if let Some(price) = fill {
            self.fill(&new, price, out);
        }
        fill.is_some()
    }

    /// Trades a whole order at one price, in as many trades as the settings want.
    fn fill(&mut self, new: &NewOrder, price: Price, out: &mut Answers<'_>) {
        let most = self.most(new);
        let mut leaves = new.qty;
        assert!(leaves.0 > 0 && most.0 > 0);
        while leaves.0 > 0 {
            let qty = leaves.min(most);
            leaves.0 -= qty.0;
            let instrument = &self.instruments[new.instrument.index()];
            let commission = self.settings.commission(instrument, qty, price);
            if let Some(ledger) = &mut self.ledger {
                let signed = Qty(new.side.signed(qty.0));
                let paid = commission.unwrap_or(Money::ZERO);
                ledger.book(new.instrument, signed, price, instrument.lot_value(), paid);
            }
            self.executions += 1;
            let mut exec_id = ArrayString::<24>::new();
            write!(exec_id, "S{}", self.executions).expect("a u64 has at most 20 digits");
            let trade = Input::Trade {
                order: new.order,
                exec: ExecKey::new(self.venue, &exec_id, new.order, new.side),
                qty,
                price,
                commission: commission.unwrap_or(Money::ZERO),
                instrument: new.instrument,
                side: new.side,
                venue_says_filled: leaves.0 == 0,
                defect: commission.is_none().then_some(Code::Overflow),
            };
            out.reports.push(out.now, trade);
        }
    }

    /// Meets every order at rest in an instrument with the market.
    fn sweep(&mut self, instrument: InstrumentId, market: Market, out: &mut Answers<'_>) {
        let mut resting = std::mem::take(&mut self.resting);
        resting.retain_mut(|order| {
            order.new.instrument != instrument || !self.try_order(order, market, out)
        });
        self.resting = resting;
        self.note_expiry();
    }

    /// Ends the orders whose time is up.
    fn expire(&mut self, at: Ts, out: &mut Answers<'_>) {
        if self.expiry_next.is_some_and(|next| next <= at) {
            self.end(out, |new| expiry(new).is_some_and(|end| end <= at));
        }
    }

    fn end(&mut self, out: &mut Answers<'_>, ended: impl Fn(&NewOrder) -> bool) {
        self.resting.retain(|order| {
            let ended = ended(&order.new);
            if ended {
                out.status(order.new.order, StatusKind::Expired);
            }
            !ended
        });
        self.note_expiry();
    }

    fn note_expiry(&mut self) {
        self.expiry_next = self.resting.iter().filter_map(|order| expiry(&order.new)).min();
    }

    fn place(&self, order: ClOrdId) -> Option<usize> {
        self.resting.iter().position(|resting| resting.new.order == order)
    }

    /// A mark: the live price from now on, unless the market is closed.
    fn on_mark(&mut self, instrument: InstrumentId, quote: Quote, out: &mut Answers<'_>) {
        let live = self.open_until(instrument, out.now).map(|until| Live { quote, until });
        self.quotes[instrument.index()] = live;
        if live.is_some() {
            self.sweep(instrument, Market::Quote(quote), out);
        }
    }

    /// Notes a price for the value of positions. `false`: an instrument that is not traded here.
    fn value(&mut self, instrument: InstrumentId, price: Price) -> bool {
        if let Some(ledger) = &mut self.ledger {
            ledger.value(instrument, price);
        }
        instrument.index() < self.instruments.len()
    }
}

/// When a good-till-date order ends.
fn expiry(new: &NewOrder) -> Option<Ts> {
    new.expire_at.filter(|_| new.tif == Tif::Gtd)
}

impl Broker for SimulatedBroker {
    fn on_message(&mut self, ts: Ts, message: &Message, reports: &mut Reports) {
        let out = &mut Answers { now: ts, reports };
        if matches!(message, Message::New(_) | Message::Cancel { .. } | Message::Replace { .. }) {
            // An arrival past the end of time is one that never comes.
            let arrival = ts.checked_add_ms(self.settings.latency_ms).unwrap_or(Ts(i64::MAX));
            self.in_flight.push_back((arrival, *message));
        }
        self.advance(out);
        match *message {
            Message::Mark { instrument, price, bid, ask } => {
                if self.value(instrument, price) {
                    self.on_mark(instrument, Quote { price, bid, ask }, out);
                }
            }
            Message::Bar { instrument, prices } => {
                if self.value(instrument, prices[3]) {
                    self.quotes[instrument.index()] = None;
                    self.sweep(instrument, Market::Bar(prices), out);
                }
            }
            Message::DayRoll => self.end(out, |new| new.tif == Tif::Day),
            Message::New(_) | Message::Cancel { .. } | Message::Replace { .. } | Message::Time => {}
        }
    }

    /// What is at work and on its way. It keeps neither what is finished nor what has traded: see
    /// [`Remembering`](super::Remembering).
    fn statement(&mut self, _since: Ts, _orders: &[ClOrdId]) -> Result<Statement, String> {
        let pending = |of: ClOrdId| {
            let asked = self.in_flight.iter().filter_map(move |(_, message)| match *message {
                Message::Cancel { order, request, .. }
                | Message::Replace { order, request, .. } => (order == of).then_some(request),
                Message::New(_) => None,
                Message::Mark { .. } | Message::Bar { .. } | Message::DayRoll | Message::Time => {
                    unreachable!("only orders and requests are delayed")
                }
            });
            asked.collect()
        };
        let stands = |terms: NewOrder, state| VenueOrder {
            terms,
            state,
            cum_qty: Qty(0),
            pending: pending(terms.order),
        };
        let coming = self.in_flight.iter().filter_map(|(_, message)| {
            let Message::New(new) = message else { return None };
            Some(stands(*new, VenueState::Received))
        });
        let resting = self.resting.iter().map(|resting| stands(resting.new, VenueState::Open));
        Ok(Statement { orders: resting.chain(coming).collect(), executions: Vec::new() })
    }
}

/// Random numbers that are the same everywhere: Steele, Lea and Flood's `SplitMix64` (2014).
#[derive(Clone, Copy, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// At least 0, less than 1, in steps of 1e-9: less than a rate of 1 always, of 0 never.
    fn share(&mut self) -> Ratio {
        let scale = u128::from(Ratio::ONE.0.unsigned_abs());
        let share = (u128::from(self.next()) * scale) >> 64;
        Ratio(i64::try_from(share).expect("less than the scale"))
    }
}
