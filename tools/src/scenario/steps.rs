//! The other objects of a scenario: one step each.

use super::json::{Decimal, Fault, Fields, Json};
use super::time::{self, Time};
use trade_engine::input::{SignalSide, StatusKind};
use trade_engine::order::{OrdType, Tif};
use trade_engine::settings::Sizing;
use trade_engine::units::{Side, Ts};

/// One step.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Its line in the file, from 1.
    pub(super) line: usize,
    pub(super) at: Option<Ts>,
    pub(super) action: Action,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Mark {
        symbol: String,
        price: Decimal,
        bid: Option<Decimal>,
        ask: Option<Decimal>,
    },
    Bar {
        symbol: String,
        /// Open, high, low, close.
        prices: [Decimal; 4],
        volume: Decimal,
    },
    Signal(Signal),
    Order(Order),
    Cancel {
        id: String,
        order: String,
    },
    Replace {
        id: String,
        order: String,
        qty: Option<Decimal>,
        price: Option<Decimal>,
        stop_price: Option<Decimal>,
    },
    Exec {
        order: String,
        report: Report,
    },
    ClosePosition {
        id: String,
        symbol: String,
    },
    Halt {
        reason: String,
        cancel_working: bool,
    },
    Resume {
        reason: String,
    },
    CancelAll,
    DayRoll,
}

#[derive(Clone, Debug)]
pub(super) struct Signal {
    pub(super) id: String,
    pub(super) symbol: String,
    pub(super) side: SignalSide,
    pub(super) strength: Decimal,
    pub(super) price: Option<Decimal>,
    pub(super) stop_price: Option<Decimal>,
    /// Only where the sizing is exact: no other looks at it.
    pub(super) qty: Option<Decimal>,
    pub(super) strategy: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) id: String,
    pub(super) symbol: String,
    pub(super) side: Side,
    pub(super) qty: Decimal,
    pub(super) ord_type: OrdType,
    pub(super) price: Option<Decimal>,
    pub(super) stop_price: Option<Decimal>,
    pub(super) tif: Tif,
    pub(super) expire_at: Option<Ts>,
    pub(super) reduce_only: bool,
    pub(super) strategy: Option<String>,
}

/// What the venue says.
#[derive(Clone, Debug)]
pub(super) enum Report {
    Status {
        kind: StatusKind,
        request: Option<String>,
        reason: Option<String>,
    },
    Trade(Trade),
    Replaced {
        request: Option<String>,
        qty: Option<Decimal>,
        price: Option<Decimal>,
        stop_price: Option<Decimal>,
    },
    Restated {
        qty: Option<Decimal>,
    },
    Bust {
        /// Its own, and that of the trade or of its last correction.
        exec_id: String,
        exec_ref: String,
    },
    Correct {
        exec_id: String,
        exec_ref: String,
        qty: Decimal,
        price: Decimal,
    },
}

impl Report {
    /// The venue's own id of the execution that this is, if it is one.
    pub(super) fn exec_id(&self) -> Option<&str> {
        match self {
            Self::Trade(Trade { exec_id, .. })
            | Self::Bust { exec_id, .. }
            | Self::Correct { exec_id, .. } => Some(exec_id),
            Self::Status { .. } | Self::Replaced { .. } | Self::Restated { .. } => None,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Trade {
    pub(super) says_filled: bool,
    pub(super) exec_id: String,
    pub(super) qty: Decimal,
    pub(super) price: Decimal,
    pub(super) commission: Option<Decimal>,
    /// For an order that no step created.
    pub(super) symbol: Option<String>,
    pub(super) side: Option<Side>,
}

const SIDES: &[(&str, Side)] = &[("buy", Side::Buy), ("sell", Side::Sell)];

/// Reads the value of a step's key.
type Parser = fn(Fields, Context) -> Result<Action, Fault>;

impl Action {
    /// The name that the step brings: of an order, a request, or the order that a report is about.
    pub(super) fn own_name(&self) -> Option<&str> {
        match self {
            Self::Signal(Signal { id, .. })
            | Self::Order(Order { id, .. })
            | Self::Cancel { id, .. }
            | Self::Replace { id, .. }
            | Self::ClosePosition { id, .. } => Some(id),
            Self::Exec { order, .. } => Some(order),
            Self::Mark { .. }
            | Self::Bar { .. }
            | Self::Halt { .. }
            | Self::Resume { .. }
            | Self::CancelAll
            | Self::DayRoll => None,
        }
    }

    /// The strategy that the step names.
    pub(super) fn strategy(&self) -> Option<&str> {
        match self {
            Self::Signal(Signal { strategy, .. }) | Self::Order(Order { strategy, .. }) => {
                strategy.as_deref()
            }
            Self::Mark { .. }
            | Self::Bar { .. }
            | Self::Cancel { .. }
            | Self::Replace { .. }
            | Self::Exec { .. }
            | Self::ClosePosition { .. }
            | Self::Halt { .. }
            | Self::Resume { .. }
            | Self::CancelAll
            | Self::DayRoll => None,
        }
    }

    /// The step's key.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Mark { .. } => "mark",
            Self::Bar { .. } => "bar",
            Self::Signal(_) => "signal",
            Self::Order(_) => "order",
            Self::Cancel { .. } => "cancel",
            Self::Replace { .. } => "replace",
            Self::Exec { .. } => "exec",
            Self::ClosePosition { .. } => "close_position",
            Self::Halt { .. } => "halt",
            Self::Resume { .. } => "resume",
            Self::CancelAll => "cancel_all",
            Self::DayRoll => "day_roll",
        }
    }

    /// The names of the steps, and how each is read.
    const PARSERS: &'static [(&'static str, Parser)] = &[
        ("mark", parse_mark),
        ("bar", parse_bar),
        ("signal", parse_signal),
        ("order", parse_order),
        ("cancel", parse_cancel),
        ("replace", parse_replace),
        ("exec", parse_exec),
        ("close_position", parse_close_position),
        ("halt", parse_halt),
        ("resume", parse_resume),
        ("cancel_all", |fields, _| fields.finish().map(|()| Self::CancelAll)),
        ("day_roll", |fields, _| fields.finish().map(|()| Self::DayRoll)),
    ];
}

/// What the reading of a step depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    pub(super) line: usize,
    /// From the setting: which figures a signal needs.
    pub(super) sizing: Sizing,
}

impl Step {
    /// Reads one object.
    pub(super) fn parse(value: Json, context: Context) -> Result<Self, Fault> {
        let Json::Object(_) = value else { return Err("expected an object".to_owned()) };
        let mut fields = Fields::new("", value)?;
        let at = match fields.text_opt("at")? {
            None => None,
            Some(text) => match time::parse(&text) {
                Some(Time::At(ts)) => Some(ts),
                Some(Time::TooEarly | Time::TooLate) => {
                    return Err(format!("at: {text:?} is outside the years 1677 to 2262"));
                }
                None => return Err(format!("at: {text:?} is no RFC 3339 time")),
            },
        };
        let mut actions = Vec::new();
        for (name, parse) in Action::PARSERS {
            if let Some(value) = fields.take(name) {
                actions.push((name, parse, value));
            }
        }
        fields.finish()?;
        let mut actions = actions.into_iter();
        let Some((name, parse, value)) = actions.next() else {
            return Err("missing key: a step has exactly one".to_owned());
        };
        if let Some((other, ..)) = actions.next() {
            return Err(format!("`{name}` and `{other}` in one step"));
        }
        let action = parse(Fields::new(name, value)?, context)?;
        Ok(Self { line: context.line, at, action })
    }
}

fn parse_mark(mut fields: Fields, _: Context) -> Result<Action, Fault> {
    let action = Action::Mark {
        symbol: fields.text("symbol")?,
        price: fields.decimal("price")?,
        bid: fields.decimal_opt("bid")?,
        ask: fields.decimal_opt("ask")?,
    };
    fields.finish().map(|()| action)
}

fn parse_bar(mut fields: Fields, _: Context) -> Result<Action, Fault> {
    let symbol = fields.text("symbol")?;
    let prices = [
        fields.decimal("open")?,
        fields.decimal("high")?,
        fields.decimal("low")?,
        fields.decimal("close")?,
    ];
    // A count of contracts, or a quantity: both ways of writing it are taken.
    let Some(volume) = fields.figure_opt("volume")? else {
        return Err("bar: missing key `volume`".to_owned());
    };
    fields.finish().map(|()| Action::Bar { symbol, prices, volume })
}

fn parse_signal(mut fields: Fields, context: Context) -> Result<Action, Fault> {
    let sides = &[("buy", SignalSide::Buy), ("sell", SignalSide::Sell), ("flat", SignalSide::Flat)];
    let mut signal = Signal {
        id: fields.text("id")?,
        symbol: fields.text("symbol")?,
        side: fields.choice("side", sides)?,
        strength: fields.decimal("strength")?,
        price: fields.decimal_opt("price")?,
        stop_price: fields.decimal_opt("stop_price")?,
        qty: fields.decimal_opt("qty")?,
        strategy: fields.text_opt("strategy")?,
    };
    if signal.side != SignalSide::Flat {
        if context.sizing == Sizing::Exact && signal.qty.is_none() {
            return Err("signal: missing key `qty`, needed by sizing `exact`".to_owned());
        }
        if context.sizing == Sizing::FixedRisk && signal.stop_price.is_none() {
            return Err(
                "signal: missing key `stop_price`, needed by sizing `fixed_risk`".to_owned()
            );
        }
    }
    signal.qty = signal.qty.filter(|_| context.sizing == Sizing::Exact);
    fields.finish().map(|()| Action::Signal(signal))
}

fn parse_order(mut fields: Fields, _: Context) -> Result<Action, Fault> {
    let types = &[
        ("market", OrdType::Market),
        ("limit", OrdType::Limit),
        ("stop", OrdType::Stop),
        ("stop_limit", OrdType::StopLimit),
    ];
    let tifs = &[
        ("day", Tif::Day),
        ("gtc", Tif::Gtc),
        ("ioc", Tif::Ioc),
        ("fok", Tif::Fok),
        ("gtd", Tif::Gtd),
    ];
    let order = Order {
        id: fields.text("id")?,
        symbol: fields.text("symbol")?,
        side: fields.choice("side", SIDES)?,
        qty: fields.decimal("qty")?,
        ord_type: fields.choice("type", types)?,
        price: fields.decimal_opt("price")?,
        stop_price: fields.decimal_opt("stop_price")?,
        tif: fields.choice_opt("tif", tifs)?.unwrap_or(Tif::Day),
        expire_at: parse_expiry(&mut fields)?,
        reduce_only: fields.bool_or_false("reduce_only")?,
        strategy: fields.text_opt("strategy")?,
    };
    let name = order.ord_type.name();
    if order.ord_type.has_limit() && order.price.is_none() {
        return Err(format!("order: missing key `price`, needed by type `{name}`"));
    }
    if order.ord_type.has_stop() && order.stop_price.is_none() {
        return Err(format!("order: missing key `stop_price`, needed by type `{name}`"));
    }
    if order.tif == Tif::Gtd && order.expire_at.is_none() {
        return Err("order: missing key `expire_at`, needed by tif `gtd`".to_owned());
    }
    fields.finish().map(|()| Action::Order(order))
}

/// A time beyond the engine's reads well: it is as far away as a time can be.
fn parse_expiry(fields: &mut Fields) -> Result<Option<Ts>, Fault> {
    let Some(text) = fields.text_opt("expire_at")? else { return Ok(None) };
    match time::parse(&text) {
        Some(Time::At(ts)) => Ok(Some(ts)),
        Some(Time::TooEarly) => Ok(Some(Ts(-i64::MAX))),
        Some(Time::TooLate) => Ok(Some(Ts(i64::MAX))),
        None => Err(fields.fault("expire_at", format!("{text:?} is no RFC 3339 time"))),
    }
}

fn parse_cancel(mut fields: Fields, _: Context) -> Result<Action, Fault> {
    let action = Action::Cancel { id: fields.text("id")?, order: fields.text("order")? };
    fields.finish().map(|()| action)
}

fn parse_replace(mut fields: Fields, _: Context) -> Result<Action, Fault> {
    let (id, order) = (fields.text("id")?, fields.text("order")?);
    let qty = fields.decimal_opt("qty")?;
    let (price, stop_price) = (fields.decimal_opt("price")?, fields.decimal_opt("stop_price")?);
    if qty.is_none() && price.is_none() && stop_price.is_none() {
        return Err("replace: missing key `qty`, `price` or `stop_price`".to_owned());
    }
    fields.finish().map(|()| Action::Replace { id, order, qty, price, stop_price })
}

fn parse_exec(mut fields: Fields, _: Context) -> Result<Action, Fault> {
    let order = fields.text("order")?;
    let name = fields.text("type")?;
    let report = match name.as_str() {
        "partial_fill" | "fill" => Report::Trade(Trade {
            says_filled: name == "fill",
            exec_id: fields.text("exec_id")?,
            qty: fields.decimal("qty")?,
            price: fields.decimal("price")?,
            commission: fields.decimal_opt("commission")?,
            symbol: fields.text_opt("symbol")?,
            side: fields.choice_opt("side", SIDES)?,
        }),
        "replaced" => Report::Replaced {
            request: fields.text_opt("request")?,
            qty: fields.decimal_opt("qty")?,
            price: fields.decimal_opt("price")?,
            stop_price: fields.decimal_opt("stop_price")?,
        },
        "restated" => Report::Restated { qty: fields.decimal_opt("qty")? },
        "trade_bust" => {
            Report::Bust { exec_id: fields.text("exec_id")?, exec_ref: fields.text("exec_ref")? }
        }
        "trade_correct" => Report::Correct {
            exec_id: fields.text("exec_id")?,
            exec_ref: fields.text("exec_ref")?,
            qty: fields.decimal("qty")?,
            price: fields.decimal("price")?,
        },
        _ => parse_status(&name, &mut fields)?,
    };
    fields.finish().map(|()| Action::Exec { order, report })
}

fn parse_status(name: &str, fields: &mut Fields) -> Result<Report, Fault> {
    let known = StatusKind::ALL.into_iter().find(|kind| kind.name() == name);
    // What a broker held back never reached a venue, which so cannot say it.
    let Some(kind) = known.filter(|kind| *kind != StatusKind::NotSent) else {
        return Err(fields.fault("type", format!("unknown: {name:?}")));
    };
    let mut report = Report::Status { kind, request: None, reason: None };
    let Report::Status { request, reason, .. } = &mut report else {
        unreachable!("made a line above")
    };
    match kind {
        StatusKind::Rejected => *reason = Some(fields.text("reason")?),
        StatusKind::CancelRejected | StatusKind::ReplaceRejected => {
            *reason = Some(fields.text("reason")?);
            *request = fields.text_opt("request")?;
        }
        StatusKind::Cancelled | StatusKind::PendingCancel | StatusKind::PendingReplace => {
            *request = fields.text_opt("request")?;
        }
        StatusKind::PendingNew
        | StatusKind::Accepted
        | StatusKind::Expired
        | StatusKind::Triggered
        | StatusKind::DoneForDay
        | StatusKind::Suspended
        | StatusKind::NotSent => {}
    }
    Ok(report)
}

fn parse_close_position(mut fields: Fields, context: Context) -> Result<Action, Fault> {
    let symbol = fields.text("symbol")?;
    let id = fields.text_opt("id")?.unwrap_or_else(|| format!("close-{}", context.line));
    fields.finish().map(|()| Action::ClosePosition { id, symbol })
}

fn parse_halt(mut fields: Fields, _: Context) -> Result<Action, Fault> {
    let action = Action::Halt {
        reason: fields.text("reason")?,
        cancel_working: fields.bool_or_false("cancel_working")?,
    };
    fields.finish().map(|()| action)
}

fn parse_resume(mut fields: Fields, _: Context) -> Result<Action, Fault> {
    let action = Action::Resume { reason: fields.text("reason")? };
    fields.finish().map(|()| action)
}
