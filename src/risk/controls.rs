//! The controls that remember: how fast, how often, what lately, against whom. Their state in one
//! place, and their rules.
//!
//! Every one of them binds exits, too: a position that is closed twice a millisecond is a mistake
//! as well. Only a cancel is never held back.

use super::case::Case;
use super::recent::{Ask, Recent};
use super::throttle::{Rates, Repeats, Sender, Sent};
use super::verdict::{Asked, Reading, Reply};
use super::view::Candidate;
use crate::digest::Digest;
use crate::image::{BadImage, Bytes};
use crate::limits::RATE_MAX;
use crate::order::{Ladder, Order};
use crate::settings::{Capacity, Count, Limits, RiskSettings, Scope};
use crate::units::{Side, Ts};

/// What the controls remember.
#[derive(Clone, Debug)]
pub struct Controls {
    /// Messages of the last second.
    pub rates: Rates,
    /// Orders of each strategy since a person re-armed it.
    pub repeats: Repeats,
    /// Orders that another one would be a duplicate of: as many as can be held at once.
    pub recent: Recent,
    /// Own best prices; off where nobody asks for them. It follows from the orders.
    pub ladder: Ladder,
}

impl Controls {
    /// Nothing sent yet. Takes all the memory that they will ever take.
    pub fn new(
        settings: &RiskSettings,
        capacity: &Capacity,
        instruments: usize,
        strategies: usize,
    ) -> Self {
        let ladder = if settings.self_match {
            Ladder::new(instruments, capacity.orders)
        } else {
            Ladder::off()
        };
        Self {
            rates: Rates::new(instruments, strategies),
            repeats: Repeats::new(instruments, strategies),
            recent: Recent::new(capacity.orders),
            ladder,
        }
    }

    /// An order has been handed over.
    pub fn note_order(&mut self, now: Ts, order: &Order, limits: &Limits) {
        let sender = sender(order);
        self.rates.note(now, sender, true);
        self.repeats.note(sender, order.side);
        if let Some(window) = limits.duplicate_window_ms {
            let Order { ord_type, order_qty, price, stop_price, .. } = *order;
            let what = (order.instrument, order.side);
            let ask = Ask::new(what, ord_type, order_qty, price, stop_price);
            self.recent.note(ask, now, window);
        }
    }

    /// A replace or a cancel has been handed over.
    pub fn note_request(&mut self, now: Ts, order: &Order) {
        self.rates.note(now, sender(order), false);
    }

    /// Appends what they remember; the ladder follows from the orders.
    pub fn write_image(&self, out: &mut Vec<u8>) {
        let Self { rates, repeats, recent, ladder: _ } = self;
        rates.write_image(out);
        repeats.write_image(out);
        recent.write_image(out);
    }

    /// Puts what was written where nothing has been sent.
    ///
    /// # Errors
    /// [`BadImage`]: it is none.
    pub fn restore(&mut self, from: &mut Bytes<'_>) -> Result<(), BadImage> {
        self.rates.restore(from)?;
        self.repeats.restore(from)?;
        self.recent.restore(from)
    }

    /// Folds in what can change.
    pub fn digest(&self, digest: &mut Digest) {
        let Self { rates, repeats, recent, ladder: _ } = self;
        rates.digest(digest);
        repeats.digest(digest);
        recent.digest(digest);
    }
}

fn sender(order: &Order) -> Sender {
    Sender { instrument: order.instrument, strategy: order.strategy }
}

fn sender_of(candidate: &Candidate) -> Sender {
    Sender { instrument: candidate.instrument, strategy: candidate.strategy }
}

/// The limit of a strategy in an instrument: the lowest that there is.
pub fn repeats_limit(settings: &RiskSettings, sender: Sender) -> Option<u32> {
    let limit = |scope| settings.limits_of(scope, sender.instrument, sender.strategy)?.max_repeats;
    Scope::ALL.into_iter().filter_map(limit).map(|limit| limit.0).min()
}

/// The same order again within the window. The engine's own orders, and exits that it held, are not
/// asked: what they close is what no working order closes already, so they cannot be doubled by
/// mistake.
pub(super) fn duplicate_order(case: &Case<'_>) -> Reply {
    let (view, candidate) = (case.view, case.candidate);
    let Some(window) = view.settings.limits.duplicate_window_ms else { return Reply::Skipped };
    if candidate.instead_of.is_some() || candidate.is_own {
        return Reply::Skipped;
    }
    let Candidate { instrument, side, ord_type, qty, price, stop_price, .. } = *candidate;
    let ask = Ask::new((instrument, side), ord_type, qty, price, stop_price);
    match view.controls.recent.age(ask, view.now, window) {
        Some(age) => Reply::Beyond(Reading::age(i128::from(age), window)),
        None => Reply::Passed,
    }
}

/// Whether an order could be remembered, where that is asked for.
pub(super) fn has_room(case: &Case<'_>) -> bool {
    let window = case.view.settings.limits.duplicate_window_ms;
    case.candidate.is_own
        || window.is_none_or(|window| !case.view.controls.recent.is_full(case.view.now, window))
}

/// Orders of the last second with this one, by whichever scope is nearest to its limit.
pub(super) fn order_rate(case: &Case<'_>) -> Asked {
    if case.candidate.instead_of.is_some() {
        return Ok(Reply::Skipped);
    }
    rate(case, |limits| limits.max_orders_per_second, |sent| sent.orders)
}

/// Messages of the last second with this one, likewise.
pub(super) fn message_rate(case: &Case<'_>) -> Asked {
    rate(case, |limits| limits.max_messages_per_second, |sent| sent.messages)
}

fn rate(
    case: &Case<'_>,
    limit: impl Fn(&Limits) -> Option<Count>,
    sent: impl Fn(Sent) -> u32,
) -> Asked {
    let rates = &case.view.controls.rates;
    let Sender { instrument, strategy } = sender_of(case.candidate);
    case.nearest(limit, |scope, limit| {
        let sent = sent(match scope {
            Scope::Account => rates.account(),
            Scope::Instrument => rates.instrument(instrument),
            Scope::Strategy => rates.strategy(strategy),
        });
        // A rate past what is counted is none that could be held.
        let limit = Count(limit.0.min(RATE_MAX));
        let sent = if rates.is_blind() { RATE_MAX } else { sent };
        let reading = Reading::count(i128::from(sent) + 1, limit);
        Ok(Some((reading, reading.is_over())))
    })
}

/// Orders of this strategy in this instrument and direction with this one: RTS 6, Article 15(3).
pub(super) fn max_repeats(case: &Case<'_>) -> Reply {
    let sender = sender_of(case.candidate);
    let Some(limit) = repeats_limit(case.view.settings, sender) else { return Reply::Skipped };
    if case.candidate.instead_of.is_some() {
        return Reply::Skipped;
    }
    let count = case.view.controls.repeats.get(sender, case.candidate.side);
    let reading = Reading::count(i128::from(count) + 1, Count(limit));
    Reply::measured(reading, reading.is_over())
}

/// Whether it could trade with an own order of the other side. A stop that has not triggered cannot
/// yet, on either side.
pub(super) fn self_match(case: &Case<'_>) -> Reply {
    let candidate = case.candidate;
    if !case.view.settings.self_match {
        return Reply::Skipped;
    }
    let Candidate { instrument, side, ord_type, price, is_triggered, .. } = *candidate;
    let own = ord_type.reach(side, price, is_triggered);
    let other = case.view.controls.ladder.best(instrument, side.opposite());
    Reply::plain(own.zip(other).is_some_and(|(own, other)| match side {
        Side::Buy => own >= other,
        Side::Sell => own <= other,
    }))
}
