//! The rules, each a small pure function, and the table that runs them in the order of their codes.
//!
//! A limit is broken by a measured value greater than it; equal passes. A figure that is asked for
//! and cannot be had breaks `NO_MARK`, `NO_RATE` or `OVERFLOW`, and the rule that asked for it does
//! not run.

use super::case::Case;
use super::verdict::{Outcome, Reading, Reply, Rule, Tally, Verdict, Warning};
use super::view::{Candidate, RiskView};
use crate::code::Code;
use crate::instrument::InstrumentId;
use crate::limits::PRICE_SCALE;
use crate::position::account::Fall;
use crate::settings::CorrelationAction;
use crate::units::{Ratio, cmp_products};
use std::cmp::Ordering;

type RuleFn = fn(&Case<'_>) -> Reply;

/// The rules that there are, in the order of their bits.
const TABLE: &[(Rule, RuleFn)] = &[
    (Rule::Halted, halted),
    (Rule::MarketClosed, market_closed),
    (Rule::NoMark, no_mark),
    (Rule::NoRate, no_rate),
    (Rule::ReduceOnly, reduce_only),
    (Rule::MinNotional, min_notional),
    (Rule::MaxNotional, max_notional),
    (Rule::MaxPositions, max_positions),
    (Rule::MaxPositionPct, max_position_pct),
    (Rule::InsufficientMargin, insufficient_margin),
    (Rule::MaxCorrelation, max_correlation),
    (Rule::MaxDailyLoss, max_daily_loss),
    (Rule::MaxDrawdown, max_drawdown),
    (Rule::Capacity, capacity),
    (Rule::Overflow, overflow),
];

/// Runs every rule over one order that [`validate`](super::validate()) let through.
///
/// # Panics
/// If the candidate's instrument is not in the table.
pub fn check(view: &RiskView<'_>, candidate: &Candidate) -> Verdict {
    let case = Case::new(view, candidate);
    let mut tally = Tally::default();
    for (rule, run) in TABLE {
        tally.note(*rule, run(&case));
    }
    let mut verdict = tally.finish();
    let warns = view.settings.correlation_action == CorrelationAction::Warn;
    if let (Some(limit), true, false) = (view.settings.limits.max_correlation, warns, case.is_exit)
    {
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
pub fn outcomes<'a>(
    view: &'a RiskView<'_>,
    candidate: &'a Candidate,
) -> impl Iterator<Item = (Rule, Outcome)> + 'a {
    let case = Case::new(view, candidate);
    TABLE.iter().map(move |(rule, run)| (*rule, run(&case).outcome(*rule)))
}

/// Exits pass a halt, and so does a replace that cannot raise the open quantity.
fn halted(case: &Case<'_>) -> Reply {
    let before = case.candidate.instead_of;
    let raises = before.is_none_or(|before| case.candidate.qty > before.qty);
    Reply::plain(case.view.halted.is_some() && raises && !case.is_exit)
}

fn market_closed(case: &Case<'_>) -> Reply {
    Reply::plain(!case.book.spec.is_open(case.view.now))
}

/// Asked only where a limit that is on needs a price.
fn no_mark(case: &Case<'_>) -> Reply {
    if case.measured().next().is_none() {
        return Reply::Skipped;
    }
    Reply::plain(case.measured().any(|figure| figure == Err(Code::NoMark)))
}

/// New exposure needs the rate of its currency, and an equity that is known: no currency in use may
/// be without one. A rate that is missing is never taken for another.
fn no_rate(case: &Case<'_>) -> Reply {
    let view = case.view;
    if case.is_exit || !view.rates.are_several() {
        return Reply::Skipped;
    }
    let is_known = view.rates.get(case.book.currency).is_some() && view.account.equity_is_whole();
    let lacking = case.measured().any(|figure| figure == Err(Code::NoRate));
    Reply::plain(!is_known || lacking)
}

/// A reduce-only order must fit into the position beside the orders that shrink it already.
fn reduce_only(case: &Case<'_>) -> Reply {
    if !case.candidate.reduce_only {
        return Reply::Skipped;
    }
    Reply::plain(!case.is_exit)
}

fn min_notional(case: &Case<'_>) -> Reply {
    let (Some(limit), Some(Ok(value))) = (case.book.spec.min_notional, case.order_value) else {
        return Reply::Skipped;
    };
    Reply::measured(Reading::money(value, limit), value < limit)
}

fn max_notional(case: &Case<'_>) -> Reply {
    let (Some(limit), Some(Ok(value))) = (case.book.spec.max_notional, case.order_value) else {
        return Reply::Skipped;
    };
    Reply::measured(Reading::money(value, limit), value > limit)
}

/// Instruments with a position or a working order, and this one.
fn max_positions(case: &Case<'_>) -> Reply {
    let Some(limit) = case.view.settings.limits.max_positions else { return Reply::Skipped };
    if case.is_exit {
        return Reply::Skipped;
    }
    let own = case.candidate.instrument.index();
    let others = case.view.books.iter().enumerate();
    let count = 1 + others.filter(|(index, book)| *index != own && book.is_engaged()).count();
    let (count, limit) = (count as i128, i128::from(limit.0));
    Reply::measured(Reading::count(count, limit), count > limit)
}

/// The worst case of the order's side, by `exposure_basis`, against a share of equity.
fn max_position_pct(case: &Case<'_>) -> Reply {
    let (Some(pct), Some(Ok(value))) = (case.view.settings.limits.max_position_pct, case.position)
    else {
        return Reply::Skipped;
    };
    let equity = case.view.account.equity();
    let (share, scale) = (i128::from(pct.0), i128::from(PRICE_SCALE));
    let broken = cmp_products(value.0, scale, share, equity.0) == Ordering::Greater;
    // Shown only; a share that is too large to be written down is not broken.
    let limit = equity.checked_scale(pct).unwrap_or(crate::units::Money(i128::MAX));
    Reply::measured(Reading::money(value, limit), broken)
}

fn insufficient_margin(case: &Case<'_>) -> Reply {
    let Some(Ok(needed)) = case.margin else { return Reply::Skipped };
    let equity = case.view.account.equity();
    let reading = Reading::money(needed, equity);
    Reply::measured(reading, needed > equity)
}

/// The strongest correlation with what may be held to the same effect elsewhere.
fn max_correlation(case: &Case<'_>) -> Reply {
    let Some(limit) = case.view.settings.limits.max_correlation else { return Reply::Skipped };
    if case.is_exit {
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
        Some(fall) if !case.is_exit => {
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
    let has_place = case.view.strategies.has(case.candidate.strategy);
    Reply::plain(!(case.view.orders_free && case.view.executions_free && has_place))
}

/// Every figure fits, and so would the position, and the strategy's share of it, if everything on
/// this side traded.
fn overflow(case: &Case<'_>) -> Reply {
    let lost = case.measured().any(|figure| figure == Err(Code::Overflow));
    let held = i128::from(case.book.position.qty.0 * case.candidate.side.sign());
    let limit = i128::from(case.book.qty_limit.0);
    let fits = |qty: i64| i128::from(qty) <= limit && held + i128::from(qty) <= limit;
    let sound = case.working.is_ok_and(|working| fits(working.qty().0));
    Reply::plain(lost || !sound || !case.strategy_fits())
}

/// Every other instrument that may be held to the same effect: the same way if they move together,
/// the other way if they move apart.
fn correlated<'a>(case: &'a Case<'_>) -> impl Iterator<Item = Warning> + 'a {
    let own = case.candidate.instrument;
    case.view.books.iter().enumerate().filter_map(move |(index, book)| {
        let other = InstrumentId(u16::try_from(index).expect("limits.rs bounds it"));
        if other == own || !book.is_engaged() {
            return None;
        }
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
