//! The rules, each a small pure function, and the table that runs them in the order of their codes.
//!
//! A limit is broken by a measured value greater than it; equal passes. A figure that is asked for
//! and cannot be had breaks `NO_MARK`, `NO_RATE` or `OVERFLOW`, and the rule that asked for it does
//! not run.

use super::case::Case;
use super::controls;
use super::stake::Stake;
use super::verdict::{Asked, Outcome, RULES, Reading, Reply, Rule, Tally, Verdict, Warning};
use super::view::{Candidate, RiskView};
use crate::code::Code;
use crate::instrument::InstrumentId;
use crate::limits::PRICE_SCALE;
use crate::position::account::Fall;
use crate::settings::{CorrelationAction, Limits, Scope};
use crate::units::{Money, Ratio, cmp_products};
use arrayvec::ArrayVec;
use std::cmp::Ordering;

/// How a rule finds out.
enum Run {
    /// From what is always known.
    Known(fn(&Case<'_>) -> Reply),
    /// From figures that may not be had.
    Figure(fn(&Case<'_>) -> Asked),
    /// Likewise, and prices are among them.
    Price(fn(&Case<'_>) -> Asked),
    /// It breaks where another rule cannot have its figure.
    Lost,
}

/// The rules that there are, in the order of their bits.
const TABLE: &[(Rule, Run)] = &[
    (Rule::Halted, Run::Known(halted)),
    (Rule::InstrumentHalted, Run::Known(instrument_halted)),
    (Rule::MarketClosed, Run::Known(market_closed)),
    (Rule::NoMark, Run::Lost),
    (Rule::StaleMark, Run::Price(stale_mark)),
    (Rule::NoRate, Run::Figure(no_rate)),
    (Rule::ReduceOnly, Run::Known(reduce_only)),
    (Rule::DuplicateOrder, Run::Known(controls::duplicate_order)),
    (Rule::OrderRate, Run::Figure(controls::order_rate)),
    (Rule::MessageRate, Run::Figure(controls::message_rate)),
    (Rule::MaxRepeats, Run::Known(controls::max_repeats)),
    (Rule::SelfMatch, Run::Known(controls::self_match)),
    (Rule::PriceCollar, Run::Price(price_collar)),
    (Rule::MaxOrderQty, Run::Figure(max_order_qty)),
    (Rule::MaxOrderNotional, Run::Price(max_order_notional)),
    (Rule::MinNotional, Run::Price(min_notional)),
    (Rule::MaxNotional, Run::Price(max_notional)),
    (Rule::MaxOpenOrders, Run::Figure(max_open_orders)),
    (Rule::MaxPositions, Run::Known(max_positions)),
    (Rule::MaxPositionPct, Run::Price(max_position_pct)),
    (Rule::MaxGrossExposure, Run::Price(max_gross_exposure)),
    (Rule::MaxNetExposure, Run::Price(max_net_exposure)),
    (Rule::MaxLeverage, Run::Price(max_leverage)),
    (Rule::InsufficientMargin, Run::Figure(insufficient_margin)),
    (Rule::MaxCorrelation, Run::Known(max_correlation)),
    (Rule::MaxDailyLoss, Run::Known(max_daily_loss)),
    (Rule::MaxDrawdown, Run::Known(max_drawdown)),
    (Rule::Capacity, Run::Known(capacity)),
    (Rule::Overflow, Run::Known(overflow)),
];

/// Runs every rule over one order that [`validate`](super::validate()) let through.
///
/// # Panics
/// If the candidate's instrument is not in the table.
pub fn check(view: &RiskView<'_>, candidate: &Candidate) -> Verdict {
    let case = Case::new(view, candidate);
    let mut tally = Tally::default();
    for (rule, reply) in judge(&case) {
        tally.note(rule, reply);
    }
    let mut verdict = tally.finish();
    let warns = view.settings.correlation_action == CorrelationAction::Warn;
    if let (Some(limit), true, true) = (view.settings.limits.max_correlation, warns, case.adds()) {
        let room = verdict.warnings.capacity();
        let alike = correlated(&case).filter(|warning| beyond(*warning, limit));
        verdict.warnings.extend(alike.take(room));
    }
    verdict
}

/// What every rule finds, in the order of their bits: for reports that show more than a verdict.
///
/// # Panics
/// As [`check`].
pub fn outcomes(
    view: &RiskView<'_>,
    candidate: &Candidate,
) -> impl Iterator<Item = (Rule, Outcome)> + use<> {
    let replies = judge(&Case::new(view, candidate));
    replies.into_iter().map(|(rule, reply)| (rule, reply.outcome(rule)))
}

/// Runs the table. A figure that a rule asks for and that cannot be had leaves that rule out and
/// breaks the one that is named after the reason: nothing passes for want of a number.
fn judge(case: &Case<'_>) -> ArrayVec<(Rule, Reply), RULES> {
    let mut lost: ArrayVec<Code, RULES> = ArrayVec::new();
    let mut needs_price = false;
    let mut found: ArrayVec<(Rule, Reply), RULES> = ArrayVec::new();
    for (rule, run) in TABLE {
        let asked = match run {
            Run::Known(run) => Ok(run(case)),
            Run::Figure(run) => run(case),
            Run::Price(run) => {
                let asked = run(case);
                needs_price |= asked != Ok(Reply::Skipped);
                asked
            }
            Run::Lost => Ok(Reply::Skipped),
        };
        let reply = asked.unwrap_or_else(|code| {
            lost.push(code);
            Reply::Skipped
        });
        found.push((*rule, reply));
    }
    for (rule, reply) in &mut found {
        if lost.contains(&rule.code()) {
            let age = if *rule == Rule::StaleMark { case.age() } else { Ok(Reply::Broken) };
            *reply = age.unwrap_or(Reply::Broken);
        } else if *rule == Rule::NoMark && needs_price {
            *reply = Reply::Passed;
        }
    }
    found
}

/// Exits pass a halt, and so does a replace that cannot raise the open quantity.
fn halted(case: &Case<'_>) -> Reply {
    Reply::plain(case.view.halted.is_some() && raises(case))
}

/// The same, of its instrument alone.
fn instrument_halted(case: &Case<'_>) -> Reply {
    Reply::plain(case.book.halted.is_some() && raises(case))
}

fn raises(case: &Case<'_>) -> bool {
    let before = case.candidate.instead_of;
    before.is_none_or(|before| case.candidate.qty > before.qty) && !case.is_exit
}

/// For exits, too. What only takes back can be asked for at any hour, like a cancel.
fn market_closed(case: &Case<'_>) -> Reply {
    Reply::plain(!case.book.spec.is_open(case.view.now) && !case.asks_less)
}

/// An order that adds something needs a mark wherever its age is limited; others, only if another
/// limit asks for a price. The marks of other instruments may be of any age.
fn stale_mark(case: &Case<'_>) -> Asked {
    if case.adds() { case.age() } else { Ok(Reply::Skipped) }
}

/// New exposure needs the rate of its currency, and an equity that is known: no currency in use may
/// be without one. A rate that is missing is never taken for another.
fn no_rate(case: &Case<'_>) -> Asked {
    let view = case.view;
    if !case.adds() || !view.rates.are_several() {
        return Ok(Reply::Skipped);
    }
    let is_known = view.rates.get(case.book.currency).is_some() && view.account.equity_is_whole();
    if is_known { Ok(Reply::Passed) } else { Err(Code::NoRate) }
}

/// A reduce-only order must fit into the position beside the orders that shrink it already.
fn reduce_only(case: &Case<'_>) -> Reply {
    if !case.candidate.reduce_only {
        return Reply::Skipped;
    }
    Reply::plain(case.adds())
}

/// No price of the order may be far from the mark; of a market order, what it would get.
fn price_collar(case: &Case<'_>) -> Asked {
    case.nearest(
        |limits| limits.price_collar_pct,
        |_, limit| {
            let reading = Reading::share(case.distance()?, limit);
            Ok(Some((reading, reading.is_over())))
        },
    )
}

/// The order alone, in units of the underlying.
fn max_order_qty(case: &Case<'_>) -> Asked {
    // Two factors of 64 bits.
    let units = i128::from(case.candidate.order_qty.0) * i128::from(case.book.spec.lot_size);
    case.nearest(
        |limits| limits.max_order_qty,
        |_, limit| {
            let reading = Reading::units(units, limit);
            Ok(Some((reading, reading.is_over())))
        },
    )
}

/// The order alone, in the account's currency.
fn max_order_notional(case: &Case<'_>) -> Asked {
    case.nearest(
        |limits| limits.max_order_notional,
        |_, limit| {
            let reading = Reading::money(case.order_notional()?, limit);
            Ok(Some((reading, reading.is_over())))
        },
    )
}

/// The instrument's own bounds are in its own currency.
fn min_notional(case: &Case<'_>) -> Asked {
    let Some(limit) = case.book.spec.min_notional else { return Ok(Reply::Skipped) };
    let value = case.order_value()?;
    Ok(Reply::measured(Reading::money(value, limit), value < limit))
}

fn max_notional(case: &Case<'_>) -> Asked {
    let Some(limit) = case.book.spec.max_notional else { return Ok(Reply::Skipped) };
    let value = case.order_value()?;
    Ok(Reply::measured(Reading::money(value, limit), value > limit))
}

/// A rule that binds only what adds to something: in every scope that has the limit and that the
/// order is no exit of.
fn bounds<T>(
    case: &Case<'_>,
    limit: impl Fn(&Limits) -> Option<T>,
    measure: impl Fn(Scope, &Stake<'_>, T) -> Result<(Reading, bool), Code>,
) -> Asked {
    if !case.adds() {
        return Ok(Reply::Skipped);
    }
    case.nearest(limit, |scope, limit| {
        let own = case.own_stake(scope)?;
        if own.shrinks(case.candidate.side) {
            return Ok(None);
        }
        measure(scope, &own, limit).map(Some)
    })
}

/// A replace of an order that is at work adds none.
fn max_open_orders(case: &Case<'_>) -> Asked {
    if case.candidate.instead_of.is_some_and(|before| before.qty.0 > 0) {
        return Ok(Reply::Skipped);
    }
    bounds(
        case,
        |limits| limits.max_open_orders,
        |scope, _, limit| {
            let reading = Reading::count(i128::from(case.open_orders(scope)?), limit);
            Ok((reading, reading.is_over()))
        },
    )
}

/// Instruments with a position or a working order, and this one.
fn max_positions(case: &Case<'_>) -> Reply {
    let Some(limit) = case.view.settings.limits.max_positions else { return Reply::Skipped };
    if !case.adds() {
        return Reply::Skipped;
    }
    let own = case.candidate.instrument.index();
    let others = case.view.books.iter().enumerate();
    let count = 1 + others.filter(|(index, book)| *index != own && book.is_engaged()).count();
    let reading = Reading::count(count as i128, limit);
    Reply::measured(reading, reading.is_over())
}

/// The worst case of the order's side in its instrument, by `exposure_basis`, against a share of
/// equity.
fn max_position_pct(case: &Case<'_>) -> Asked {
    bounds(
        case,
        |limits| limits.max_position_pct,
        |_, own, pct| Ok(against_equity(case, case.position(own)?, pct)),
    )
}

fn max_gross_exposure(case: &Case<'_>) -> Asked {
    bounds(
        case,
        |limits| limits.max_gross_exposure,
        |scope, _, limit| {
            let reading = Reading::money(case.gross(scope)?, limit);
            Ok((reading, reading.is_over()))
        },
    )
}

fn max_net_exposure(case: &Case<'_>) -> Asked {
    bounds(
        case,
        |limits| limits.max_net_exposure,
        |scope, _, limit| {
            let reading = Reading::money(case.net(scope)?, limit);
            Ok((reading, reading.is_over()))
        },
    )
}

/// Gross exposure of the account against a multiple of its equity; with none, anything is too much.
fn max_leverage(case: &Case<'_>) -> Asked {
    let Some(limit) = case.view.settings.limits.max_leverage else { return Ok(Reply::Skipped) };
    if !case.adds() {
        return Ok(Reply::Skipped);
    }
    let (reading, broken) = against_equity(case, case.gross(Scope::Account)?, limit);
    Ok(Reply::measured(reading, broken || case.view.account.equity() <= Money::ZERO))
}

/// A value against a share of equity, exactly.
fn against_equity(case: &Case<'_>, value: Money, share: Ratio) -> (Reading, bool) {
    let equity = case.view.account.equity();
    let (scaled, scale) = (i128::from(share.0), i128::from(PRICE_SCALE));
    let broken = cmp_products(value.0, scale, scaled, equity.0) == Ordering::Greater;
    // Shown only; a share that is too large to be written down is not broken.
    let limit = equity.checked_scale(share).unwrap_or(Money(i128::MAX));
    (Reading::money(value, limit), broken)
}

fn insufficient_margin(case: &Case<'_>) -> Asked {
    let is_on = case.view.settings.margin && case.book.spec.initial_margin.is_some();
    if !is_on || !case.adds() {
        return Ok(Reply::Skipped);
    }
    let reading = Reading::money(case.margin()?, case.view.account.equity());
    Ok(Reply::measured(reading, reading.is_over()))
}

/// The strongest correlation with what may be held to the same effect elsewhere.
fn max_correlation(case: &Case<'_>) -> Reply {
    let Some(limit) = case.view.settings.limits.max_correlation else { return Reply::Skipped };
    if !case.adds() {
        return Reply::Skipped;
    }
    let strongest = correlated(case).map(|found| Ratio(found.correlation.0.abs())).max();
    match (strongest, case.view.settings.correlation_action) {
        (None, _) | (Some(_), CorrelationAction::Warn) => Reply::Passed,
        (Some(number), CorrelationAction::Refuse) => {
            let reading = Reading::ratio(number, limit);
            Reply::measured(reading, number > limit)
        }
    }
}

fn max_daily_loss(case: &Case<'_>) -> Reply {
    let loss = |limit| case.view.account.daily_loss(limit);
    fall(case, case.view.settings.limits.max_daily_loss_pct.map(loss))
}

/// Usually latched as a halt before any order is asked about.
fn max_drawdown(case: &Case<'_>) -> Reply {
    let drawdown = |limit| case.view.account.drawdown(limit);
    fall(case, case.view.settings.limits.max_drawdown_pct.map(drawdown))
}

fn fall(case: &Case<'_>, fall: Option<Fall>) -> Reply {
    match fall {
        Some(fall) if case.adds() => {
            Reply::measured(Reading::money(fall.number, fall.limit), fall.broken)
        }
        Some(_) | None => Reply::Skipped,
    }
}

/// A replace takes no room of its own. A strategy that is not in the table has none at all.
fn capacity(case: &Case<'_>) -> Reply {
    if case.candidate.instead_of.is_some() {
        return Reply::Skipped;
    }
    let view = case.view;
    let is_free = view.orders_free && view.executions_free && controls::has_room(case);
    Reply::plain(!(is_free && view.strategies.has(case.candidate.strategy)))
}

/// The position, and the strategy's share of it, stay in their range if everything on this side
/// trades. Breaks for figures that leave theirs, too.
fn overflow(case: &Case<'_>) -> Reply {
    let held = i128::from(case.candidate.side.signed(case.book.position.qty.0));
    let limit = i128::from(case.book.qty_limit.0);
    let fits = |qty: i64| i128::from(qty) <= limit && held + i128::from(qty) <= limit;
    let sound = case.asks_less || case.working.is_ok_and(|working| fits(working.qty().0));
    Reply::plain(!sound || !case.strategy_fits())
}

/// Every other instrument that may be held to the same effect: the same way if they move together,
/// the other way if they move apart.
fn correlated<'a>(case: &'a Case<'_>) -> impl Iterator<Item = Warning> + 'a {
    let own = case.candidate.instrument;
    case.view.books.iter().enumerate().filter_map(move |(index, book)| {
        let other = InstrumentId(u16::try_from(index).expect("limits.rs bounds it"));
        if !book.is_engaged() {
            return None;
        }
        // Itself has none.
        let correlation = case.view.correlations.get(own, other)?;
        let side = case.candidate.side;
        let alike = match correlation.0.cmp(&0) {
            Ordering::Greater => book.may_be(side),
            Ordering::Less => book.may_be(side.opposite()),
            Ordering::Equal => false,
        };
        alike.then_some(Warning { other, correlation })
    })
}

/// Coefficients are rounded away from zero, so this is exact: see [`super::correlation`].
fn beyond(warning: Warning, limit: Ratio) -> bool {
    warning.correlation.0.abs() > limit.0
}
