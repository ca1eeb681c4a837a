//! The part of `replay explain` that reasons: sizing with its arithmetic, and every risk rule run
//! again on the state just before the order, with what it measured and what it may be.

use crate::rows;
use crate::text::{Align, Table, clean};
use std::io::{self, Write};
use trade_engine::code::Code;
use trade_engine::engine::State;
use trade_engine::input::{Input, SignalSide};
use trade_engine::order::{Flags, Order, OrderState};
use trade_engine::risk::{
    self, Candidate, InstrumentBook, Outcome, RiskView, Rule, Terms, Verdict, Wish,
};
use trade_engine::settings::{
    CorrelationAction, ExposureBasis, LimitKey, Limits, RiskSettings, Scope, Sizing,
};
use trade_engine::units::{Money, Price, Qty, Ratio, Side};

/// How a signal became a quantity, on the state before its order. `None` for what was not sized.
pub(super) fn sizing(state: &State, input: &Input) -> Option<String> {
    let Input::Signal { instrument, side, strength, price, stop_price, qty, .. } = *input else {
        return None;
    };
    let book = state.book(instrument)?;
    let side = match side {
        SignalSide::Buy => Side::Buy,
        SignalSide::Sell => Side::Sell,
        SignalSide::Flat => return Some(flat(book)),
    };
    let price = price.or(book.market.price);
    let wish = Wish { instrument, side, strength, price, stop: stop_price, qty };
    let outcome = match risk::size(&state.risk_view(), &wish) {
        Ok(lots) => format!("-> {}", book.spec.qty_text(lots)),
        Err(code) => format!("-> {code}"),
    };
    let settings = &state.settings().risk;
    let most = settings.sizing_max_qty.filter(|_| settings.sizing != Sizing::Exact);
    let most = most.map_or_else(String::new, |most| format!(", at most {most}"));
    Some(format!("{}{most} {outcome}", arithmetic(state, book, &wish)))
}

fn flat(book: &InstrumentBook) -> String {
    let held = book.position.qty;
    let closing = if held.0 > 0 { Side::Sell } else { Side::Buy };
    format!(
        "flat: held {} less {} that working orders will close already",
        book.spec.qty_text(held),
        book.spec.qty_text(book.exposure.side(closing).qty())
    )
}

fn arithmetic(state: &State, book: &InstrumentBook, wish: &Wish) -> String {
    let settings = &state.settings().risk;
    let equity = state.account().equity();
    let lot_value = Price(book.lot_value);
    let strength = Ratio(wish.strength.0.clamp(0, Ratio::ONE.0));
    let or_none = |price: Option<Price>| price.map_or_else(|| "none".to_owned(), |p| p.to_string());
    let (price, stop) = (or_none(wish.price), or_none(wish.stop));
    let share = format!("equity {equity} x sizing_pct {}", settings.sizing_pct);
    match settings.sizing {
        Sizing::Exact => {
            let asked = wish.qty.map(|qty| book.spec.qty_text(qty));
            format!("exact: asked for {}", asked.as_deref().unwrap_or("no quantity"))
        }
        Sizing::PercentEquity => {
            let part = equity.checked_scale(settings.sizing_pct);
            let budget = part.and_then(|part| part.checked_scale(strength));
            let lot = wish.price.and_then(|price| Money::notional(price, Qty(1), book.lot_value));
            let quotient = budget.zip(lot).map(|(budget, lot)| format!(" = {budget} / {lot}"));
            format!(
                "percent_equity: {share} x strength {strength} / (price {price} x lot value \
                 {lot_value}){}",
                quotient.unwrap_or_default()
            )
        }
        Sizing::PercentMargin => {
            let margin = book.spec.initial_margin.map(|margin| margin.to_string());
            let margin = margin.as_deref().unwrap_or("none");
            format!("percent_margin: {share} x strength {strength} / initial margin {margin}")
        }
        Sizing::VolatilityTarget => {
            let deviation = state.risk_view().correlations.deviation(wish.instrument);
            let deviation = deviation.map_or_else(|| "none".to_owned(), |found| found.to_string());
            format!(
                "volatility_target: {share} x strength {strength} / (deviation {deviation} of the \
                 last {} closes x price {price} x lot value {lot_value})",
                settings.correlation_window
            )
        }
        Sizing::FixedRisk => format!(
            "fixed_risk: {share} / (distance of price {price} to stop {stop} x lot value \
             {lot_value})"
        ),
    }
}

/// The order as risk judged it: one that sizing gave no quantity, as the smallest there can be.
fn candidate(book: &InstrumentBook, order: &Order) -> Candidate {
    let least = book.spec.min_qty.unwrap_or(Qty(1));
    // Of one that was held, what somebody has traded already is not judged.
    let qty = if is_unsized(order) { least } else { order.leaves_qty() };
    Candidate {
        instrument: order.instrument,
        strategy: order.strategy,
        side: order.side,
        qty,
        order_qty: qty,
        ord_type: order.ord_type,
        price: order.price,
        stop_price: order.stop_price,
        protect_px: order.protect_px,
        reduce_only: order.flags.has(Flags::REDUCE_ONLY),
        is_own: order.flags.has(Flags::OWN),
        is_triggered: false,
        instead_of: None,
    }
}

/// Whether sizing gave it no quantity.
fn is_unsized(order: &Order) -> bool {
    order.flags.has(Flags::FROM_SIGNAL) && order.order_qty == Qty(0)
}

/// Runs every rule again and tells what each found; `state` is the state before the verdict.
/// Returns the verdict, to be compared with the log's.
pub(super) fn tell(
    state: &State,
    order: &Order,
    out: &mut impl Write,
) -> io::Result<Option<Verdict>> {
    let Some(book) = state.book(order.instrument) else { return Ok(None) };
    if order.state != OrderState::Created {
        return Ok(None);
    }
    let (view, candidate) = (state.risk_view(), candidate(book, order));
    let working = |side: Side| book.spec.qty_text(book.exposure.side(side).qty());
    writeln!(
        out,
        "    risk, on the state just before: equity {} {}, position {} {}, working buys {}, \
         working sells {}",
        state.account().equity(),
        clean(&state.settings().account.currency),
        book.spec.qty_text(book.position.qty),
        clean(&book.spec.symbol),
        working(Side::Buy),
        working(Side::Sell),
    )?;
    if is_unsized(order) {
        let least = book.spec.qty_text(candidate.qty);
        writeln!(out, "    sizing gave no quantity: judged as an order of {least}, the smallest")?;
    }
    let mut table = Table::new(&[
        ("  rule", Align::Left),
        ("outcome", Align::Left),
        ("number", Align::Right),
        ("limit", Align::Right),
        ("", Align::Left),
    ]);
    let outcomes: Vec<(Rule, Outcome)> = risk::outcomes(&view, &candidate).collect();
    // A figure that could not be had breaks one of these, and the rule that needs it cannot run.
    let lacks_figure = outcomes.iter().any(|(rule, outcome)| {
        let reasons = [Rule::NoMark, Rule::StaleMark, Rule::NoRate, Rule::Overflow];
        reasons.contains(rule) && matches!(outcome, Outcome::Broken(_))
    });
    let why = if lacks_figure {
        "its figure cannot be had"
    } else {
        "the order can only shrink the position"
    };
    for (rule, outcome) in outcomes {
        let note = match (outcome, rule) {
            (Outcome::Skipped, _) if is_off(&view, book, &candidate, rule) => {
                table.row(&[&format!("  {}", rule.code()), "off", "", "", ""]);
                continue;
            }
            (Outcome::Skipped, Rule::NoMark) => "no limit asks for a price here".to_owned(),
            (Outcome::Skipped, Rule::NoRate) => "no amount had to be converted".to_owned(),
            (Outcome::Skipped, Rule::ReduceOnly) => "the order is not reduce-only".to_owned(),
            (Outcome::Skipped, Rule::DuplicateOrder) => {
                "made by the engine, of what nothing closes already".to_owned()
            }
            (Outcome::Skipped, _) => why.to_owned(),
            (Outcome::Passed, _) => note(state, book, rule, &view.settings.limits),
            (Outcome::Within(found) | Outcome::Broken(found), _) => {
                let mut scopes = view.limits_for(&candidate);
                let own = scopes.find(|(scope, _)| *scope == found.scope);
                let limits = own.map_or(&view.settings.limits, |(_, limits)| limits);
                with_scope(note(state, book, rule, limits), found.scope)
            }
        };
        row(&mut table, (rule, outcome), &note);
    }
    table.write(out)?;
    Ok(Some(risk::check(&view, &candidate)))
}

/// Says whose limit it is, where it is not the account's.
fn with_scope(note: String, scope: Scope) -> String {
    match scope {
        Scope::Account => note,
        Scope::Instrument | Scope::Strategy => format!("{note}; the {}'s limit", scope.name()),
    }
}

fn row(table: &mut Table, (rule, outcome): (Rule, Outcome), note: &str) {
    let name = format!("  {}", rule.code());
    match outcome {
        Outcome::Skipped => table.row(&[&name, "not asked", "", "", note]),
        Outcome::Passed => table.row(&[&name, "passed", "", "", note]),
        Outcome::Within(found) => {
            let (number, limit) = (found.number.to_string(), found.limit.to_string());
            table.row(&[&name, "passed", &number, &limit, note]);
        }
        Outcome::Broken(found) if is_measured(rule) => {
            let (number, limit) = (found.number.to_string(), found.limit.to_string());
            table.row(&[&name, "BROKEN", &number, &limit, note]);
        }
        Outcome::Broken(_) => table.row(&[&name, "BROKEN", "", "", note]),
    }
}

/// Whether a rule measures a number; the others answer yes or no.
const fn is_measured(rule: Rule) -> bool {
    match rule {
        Rule::MinNotional
        | Rule::MaxNotional
        | Rule::MaxPositions
        | Rule::MaxPositionPct
        | Rule::InsufficientMargin
        | Rule::MaxCorrelation
        | Rule::MaxDailyLoss
        | Rule::MaxDrawdown
        | Rule::StaleMark
        | Rule::DuplicateOrder
        | Rule::OrderRate
        | Rule::MessageRate
        | Rule::MaxRepeats
        | Rule::PriceCollar
        | Rule::MaxOrderQty
        | Rule::MaxOrderNotional
        | Rule::MaxOpenOrders
        | Rule::MaxGrossExposure
        | Rule::MaxNetExposure
        | Rule::MaxLeverage => true,
        Rule::Halted
        | Rule::InstrumentHalted
        | Rule::MarketClosed
        | Rule::NoMark
        | Rule::NoRate
        | Rule::ZeroSize
        | Rule::ReduceOnly
        | Rule::SelfMatch
        | Rule::Capacity
        | Rule::Overflow => false,
    }
}

/// Whether a rule did not run because it is switched off, for this order.
fn is_off(view: &RiskView<'_>, book: &InstrumentBook, candidate: &Candidate, rule: Rule) -> bool {
    let off =
        |key: LimitKey| view.limits_for(candidate).all(|(_, limits)| limits.get(key).is_none());
    match rule {
        Rule::StaleMark => off(LimitKey::MaxMarkAgeMs),
        Rule::PriceCollar => off(LimitKey::PriceCollarPct),
        Rule::MaxOrderQty => off(LimitKey::MaxOrderQty),
        Rule::MaxOrderNotional => off(LimitKey::MaxOrderNotional),
        Rule::DuplicateOrder => off(LimitKey::DuplicateWindowMs),
        Rule::MinNotional => book.spec.min_notional.is_none(),
        Rule::MaxNotional => book.spec.max_notional.is_none(),
        Rule::MaxOpenOrders => off(LimitKey::MaxOpenOrders),
        Rule::MaxPositions => off(LimitKey::MaxPositions),
        Rule::MaxPositionPct => off(LimitKey::MaxPositionPct),
        Rule::MaxGrossExposure => off(LimitKey::MaxGrossExposure),
        Rule::MaxNetExposure => off(LimitKey::MaxNetExposure),
        Rule::MaxLeverage => off(LimitKey::MaxLeverage),
        Rule::InsufficientMargin => !view.settings.margin || book.spec.initial_margin.is_none(),
        Rule::MaxCorrelation => off(LimitKey::MaxCorrelation),
        Rule::MaxDailyLoss => off(LimitKey::MaxDailyLossPct),
        Rule::MaxDrawdown => off(LimitKey::MaxDrawdownPct),
        Rule::Halted
        | Rule::MarketClosed
        | Rule::NoMark
        | Rule::NoRate
        | Rule::ReduceOnly
        | Rule::Capacity
        | Rule::Overflow => false,
        Rule::InstrumentHalted
        | Rule::ZeroSize
        | Rule::OrderRate
        | Rule::MessageRate
        | Rule::MaxRepeats
        | Rule::SelfMatch => true,
    }
}

/// What the numbers are; `limits` are those of the scope that they are about.
fn note(state: &State, book: &InstrumentBook, rule: Rule, limits: &Limits) -> String {
    let settings = &state.settings().risk;
    let currency = &state.settings().account.currency;
    let pct = |pct: Option<Ratio>| pct.unwrap_or(Ratio(0));
    let own = clean(&book.spec.currency);
    let notes = [
        (Rule::StaleMark, "ms, age of the mark".to_owned()),
        (Rule::PriceCollar, collar(book)),
        (Rule::MaxOrderQty, format!("{}, quantity of the order", clean(&book.spec.symbol))),
        (Rule::MaxOrderNotional, format!("{currency}, value of the order")),
        (Rule::MaxOpenOrders, "orders at work, with this one".to_owned()),
        (Rule::MaxGrossExposure, format!("{currency}, worst cases of the instruments, added up")),
        (
            Rule::MaxNetExposure,
            format!("{currency}, worst case of the instruments, one against the other"),
        ),
        (
            Rule::MaxLeverage,
            format!(
                "{currency}, worst cases of the instruments, added up; limit {} times equity",
                pct(limits.max_leverage)
            ),
        ),
        (Rule::MinNotional, format!("{own}, value of the order, at least")),
        (Rule::MaxNotional, format!("{own}, value of the order")),
        (Rule::MaxPositions, "instruments held or working, with this one".to_owned()),
        (
            Rule::MaxPositionPct,
            format!(
                "{currency}, worst case of the side by {}; limit {} of equity",
                basis(settings.exposure_basis),
                pct(limits.max_position_pct)
            ),
        ),
        (Rule::InsufficientMargin, format!("{currency}, initial margin of all; limit equity")),
        (Rule::MaxCorrelation, correlation(settings)),
        (
            Rule::MaxDailyLoss,
            format!(
                "{currency}, lost today; limit {} of equity at day start",
                pct(limits.max_daily_loss_pct)
            ),
        ),
        (
            Rule::MaxDrawdown,
            format!(
                "{currency}, below the highest equity; limit {} of it",
                pct(limits.max_drawdown_pct)
            ),
        ),
        (Rule::MarketClosed, sessions(state, book)),
        (Rule::Halted, halt(state.halted())),
        (Rule::InstrumentHalted, halt(book.halted)),
        (Rule::DuplicateOrder, "ms since the same order, at least".to_owned()),
        (Rule::OrderRate, "orders in a second, with this one".to_owned()),
        (Rule::MessageRate, "messages in a second, with this one".to_owned()),
        (
            Rule::MaxRepeats,
            "orders of the strategy this way since a person re-armed it, with this one".to_owned(),
        ),
        (Rule::SelfMatch, own_best(state, book)),
    ];
    notes.into_iter().find_map(|(of, note)| (of == rule).then_some(note)).unwrap_or_default()
}

fn collar(book: &InstrumentBook) -> String {
    let mark = book.market.price.map_or_else(|| "none".to_owned(), |mark| mark.to_string());
    format!("of the mark {mark}, distance of the farthest price")
}

/// Our own best prices, which the order must not meet.
fn own_best(state: &State, book: &InstrumentBook) -> String {
    let Some(instrument) = state.settings().instrument(&book.spec.symbol) else {
        return String::new();
    };
    let best = |side| match state.controls().ladder.best(instrument, side) {
        None => "none".to_owned(),
        Some(Price(i64::MAX | i64::MIN)) => "at any price".to_owned(),
        Some(price) => price.to_string(),
    };
    format!("our own best: buy {}, sell {}", best(Side::Buy), best(Side::Sell))
}

fn halt(halted: Option<Code>) -> String {
    halted.map_or_else(String::new, |code| format!("halted by {code}: only exits pass"))
}

const fn basis(basis: ExposureBasis) -> &'static str {
    match basis {
        ExposureBasis::Notional => "notional",
        ExposureBasis::Margin => "margin",
        ExposureBasis::Price => "price",
        ExposureBasis::Risk => "risk",
    }
}

fn correlation(settings: &RiskSettings) -> String {
    let limit = settings.limits.max_correlation.unwrap_or(Ratio(0));
    match settings.correlation_action {
        CorrelationAction::Warn => format!("warns above {limit}"),
        CorrelationAction::Refuse => "largest with what is held to the same effect".to_owned(),
    }
}

fn sessions(state: &State, book: &InstrumentBook) -> String {
    let Some(sessions) = &book.spec.sessions else { return "always open".to_owned() };
    let next = sessions.iter().find(|session| session.close > state.ts());
    next.map_or_else(
        || "no session any more".to_owned(),
        |session| {
            format!(
                "session {} to {}",
                crate::text::time(session.open),
                crate::text::time(session.close)
            )
        },
    )
}

/// What is wrong with an order that risk was not asked about, with the figures.
pub(super) fn defect(state: &State, order: &Order, reason: Code) -> String {
    let Some(book) = state.book(order.instrument) else {
        return "no instrument of that symbol in the configuration".to_owned();
    };
    let spec = &book.spec;
    let prices: Vec<String> =
        [order.price, order.stop_price].iter().flatten().map(ToString::to_string).collect();
    let prices = if prices.is_empty() { "none".to_owned() } else { prices.join(" and ") };
    let qty = rows::qty_text(state, order.instrument, order.order_qty);
    let bound = |bound: Option<Qty>| bound.map_or_else(|| "none".to_owned(), |q| spec.qty_text(q));
    let known = [
        (Code::BadQty, format!("quantity {qty}, must be above zero")),
        (Code::BadPrice, format!("prices {prices}: missing, or past the bounds")),
        (Code::OffLot, format!("no multiple of the lot of {}", Price(spec.lot_size))),
        (Code::OffTick, format!("prices {prices}, tick {}", spec.tick_size)),
        (Code::MinQty, format!("quantity {qty}, at least {}", bound(spec.min_qty))),
        (Code::MaxQty, format!("quantity {qty}, at most {}", bound(spec.max_qty))),
        (Code::NegativePrice, format!("prices {prices}, must be above zero")),
        (
            Code::ExpiredOnEntry,
            format!(
                "was to end at {}",
                order.expire_at.map_or_else(|| "no time".to_owned(), crate::text::time)
            ),
        ),
        (Code::ZeroSize, "sizing came to less than one lot".to_owned()),
        (Code::NoMark, "no price to size by".to_owned()),
    ];
    known.into_iter().find_map(|(code, what)| (code == reason).then_some(what)).unwrap_or_default()
}

/// Whether validation has nothing against an order, so that only risk can have.
pub(super) fn is_valid(state: &State, order: &Order) -> bool {
    let terms = Terms {
        ord_type: order.ord_type,
        tif: order.tif,
        qty: order.order_qty,
        price: order.price,
        stop_price: order.stop_price,
        expire_at: order.expire_at,
        defect: None,
    };
    risk::validate(state.book(order.instrument), order.created, &terms).is_ok()
}
