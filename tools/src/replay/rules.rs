//! The part of `replay explain` that reasons: sizing with its arithmetic, and every risk rule run
//! again on the state just before the order, with what it measured and what it may be.

use crate::rows;
use crate::text::{Align, Table, clean};
use std::io::{self, Write};
use trade_engine::code::Code;
use trade_engine::engine::State;
use trade_engine::input::{Input, SignalSide};
use trade_engine::order::{Flags, Order, OrderState};
use trade_engine::risk::{self, Candidate, InstrumentBook, Outcome, Rule, Terms, Verdict, Wish};
use trade_engine::settings::{CorrelationAction, ExposureBasis, RiskSettings, Sizing};
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
        Sizing::VolatilityTarget => format!("volatility_target: {share} x strength {strength}"),
        Sizing::FixedRisk => format!(
            "fixed_risk: {share} / (distance of price {price} to stop {stop} x lot value \
             {lot_value})"
        ),
    }
}

/// The order as risk judged it: one that sizing gave no quantity, as the smallest that there could be.
fn candidate(book: &InstrumentBook, order: &Order) -> Candidate {
    let least = book.spec.min_qty.unwrap_or(Qty(1));
    Candidate {
        instrument: order.instrument,
        side: order.side,
        qty: if is_unsized(order) { least } else { order.order_qty },
        ord_type: order.ord_type,
        price: order.price,
        stop_price: order.stop_price,
        protect_px: order.protect_px,
        reduce_only: order.flags.has(Flags::REDUCE_ONLY),
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
        matches!(rule, Rule::NoMark | Rule::Overflow) && matches!(outcome, Outcome::Broken(_))
    });
    let why = if lacks_figure {
        "its figure cannot be had"
    } else {
        "the order can only shrink the position"
    };
    for (rule, outcome) in outcomes {
        let note = match (outcome, rule) {
            (Outcome::Skipped, Rule::NoMark) => "no limit asks for a price here".to_owned(),
            (Outcome::Skipped, Rule::ReduceOnly) => "the order is not reduce-only".to_owned(),
            (Outcome::Skipped, _) => why.to_owned(),
            (Outcome::Passed | Outcome::Within(_) | Outcome::Broken(_), _) => {
                note(state, book, rule)
            }
        };
        row(&mut table, &state.settings().risk, book, (rule, outcome), &note);
    }
    table.write(out)?;
    Ok(Some(risk::check(&view, &candidate)))
}

fn row(
    table: &mut Table,
    settings: &RiskSettings,
    book: &InstrumentBook,
    (rule, outcome): (Rule, Outcome),
    note: &str,
) {
    let name = format!("  {}", rule.code());
    match outcome {
        Outcome::Skipped if is_off(settings, book, rule) => {
            table.row(&[&name, "off", "", "", ""]);
        }
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

/// Whether a rule did not run because it is switched off.
const fn is_off(settings: &RiskSettings, book: &InstrumentBook, rule: Rule) -> bool {
    match rule {
        Rule::MinNotional => book.spec.min_notional.is_none(),
        Rule::MaxNotional => book.spec.max_notional.is_none(),
        Rule::MaxPositions => settings.limits.max_positions.is_none(),
        Rule::MaxPositionPct => settings.limits.max_position_pct.is_none(),
        Rule::InsufficientMargin => !settings.margin || book.spec.initial_margin.is_none(),
        Rule::MaxCorrelation => settings.limits.max_correlation.is_none(),
        Rule::MaxDailyLoss => settings.limits.max_daily_loss_pct.is_none(),
        Rule::MaxDrawdown => settings.limits.max_drawdown_pct.is_none(),
        Rule::Halted
        | Rule::MarketClosed
        | Rule::NoMark
        | Rule::ReduceOnly
        | Rule::Capacity
        | Rule::Overflow => false,
        Rule::InstrumentHalted
        | Rule::StaleMark
        | Rule::NoRate
        | Rule::ZeroSize
        | Rule::DuplicateOrder
        | Rule::OrderRate
        | Rule::MessageRate
        | Rule::MaxRepeats
        | Rule::SelfMatch
        | Rule::PriceCollar
        | Rule::MaxOrderQty
        | Rule::MaxOrderNotional
        | Rule::MaxOpenOrders
        | Rule::MaxGrossExposure
        | Rule::MaxNetExposure
        | Rule::MaxLeverage => true,
    }
}

/// What the numbers are.
fn note(state: &State, book: &InstrumentBook, rule: Rule) -> String {
    let settings = &state.settings().risk;
    let currency = &state.settings().account.currency;
    let pct = |pct: Option<Ratio>| pct.unwrap_or(Ratio(0));
    let notes = [
        (Rule::MinNotional, format!("{currency}, value of the order, at least")),
        (Rule::MaxNotional, format!("{currency}, value of the order")),
        (Rule::MaxPositions, "instruments held or working, with this one".to_owned()),
        (
            Rule::MaxPositionPct,
            format!(
                "{currency}, worst case of the side by {}; limit {} of equity",
                basis(settings.exposure_basis),
                pct(settings.limits.max_position_pct)
            ),
        ),
        (Rule::InsufficientMargin, format!("{currency}, initial margin of all; limit equity")),
        (Rule::MaxCorrelation, correlation(settings)),
        (
            Rule::MaxDailyLoss,
            format!(
                "{currency}, lost today; limit {} of equity at day start",
                pct(settings.limits.max_daily_loss_pct)
            ),
        ),
        (
            Rule::MaxDrawdown,
            format!(
                "{currency}, below the highest equity; limit {} of it",
                pct(settings.limits.max_drawdown_pct)
            ),
        ),
        (Rule::MarketClosed, sessions(state, book)),
        (Rule::Halted, halt(state)),
    ];
    notes.into_iter().find_map(|(of, note)| (of == rule).then_some(note)).unwrap_or_default()
}

fn halt(state: &State) -> String {
    let halted = state.halted();
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
