//! `replay events`: one line a record, every field by its name.

use super::{EventsArgs, find, say_where_it_begins};
use crate::names::{Names, number};
use crate::rows;
use crate::text::{clean, time, write_json};
use crate::walk::{LogError, Walk};
use serde_json::{Map, Value};
use std::io::{self, Write};
use trade_engine::codec::Shown;
use trade_engine::engine::State;
use trade_engine::event::{Body, Event, Record};
use trade_engine::input::Input;
use trade_engine::instrument::InstrumentId;
use trade_engine::order::{ClOrdId, OrderState};
use trade_engine::settings::Scope;
use trade_engine::units::Qty;

/// Fields that hold lots; shown in the instrument's unit where it is known.
const QUANTITIES: [&str; 4] = ["qty", "order_qty", "last_qty", "cum_qty"];

type Fields = Vec<(&'static str, Shown)>;

pub(super) fn events(args: &EventsArgs, out: &mut impl Write) -> Result<(), LogError> {
    let order = args.order.as_ref().map(|text| find::order(&args.dir, text)).transpose()?;
    let mut walk = Walk::open(&args.dir)?;
    say_where_it_begins(&walk);
    let mut symbol: Option<InstrumentId> = None;
    while let Some(record) = walk.read()? {
        let about = apply(&mut walk, &record)?;
        if symbol.is_none() {
            symbol = wanted_symbol(args, walk.state())?;
        }
        let is_wanted = (args.inputs || matches!(record.body, Body::Event(_)))
            && order.is_none_or(|order| record.body.concerns(order))
            && (args.symbol.is_none() || (symbol.is_some() && about == symbol));
        if is_wanted {
            write(&walk, &record, about, args.json, out)?;
        }
    }
    walk.end()?;
    walk.whole_state()?;
    Ok(())
}

/// Applies the record that was read, and says what it is about.
pub(super) fn apply(walk: &mut Walk, record: &Record) -> Result<Option<InstrumentId>, LogError> {
    // Of the order while it is held: before a record that retires it, after one that makes it.
    let before = walk.state().and_then(|state| instrument_of(record, state));
    walk.apply()?;
    let after = walk.state().and_then(|state| instrument_of(record, state));
    Ok(after.or(before))
}

/// Writes the line of a record that has been applied.
pub(super) fn write(
    walk: &Walk,
    record: &Record,
    about: Option<InstrumentId>,
    json: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    let line = Line { record, about, state: walk.state(), names: walk.names() };
    if json { write_json(out, &line.json()) } else { line.print(out) }
}

/// The instrument of `--symbol`, once the configuration is known.
fn wanted_symbol(
    args: &EventsArgs,
    state: Option<&State>,
) -> Result<Option<InstrumentId>, LogError> {
    let (Some(symbol), Some(state)) = (&args.symbol, state) else { return Ok(None) };
    match state.settings().instrument(symbol) {
        Some(instrument) => Ok(Some(instrument)),
        None => {
            Err(LogError::Argument(format!("--symbol {symbol}: not in the log's configuration")))
        }
    }
}

fn fields(body: &Body) -> Fields {
    let mut fields = Fields::new();
    let mut take = |name, shown| fields.push((name, shown));
    match body {
        Body::Opening(opening) => opening.show(&mut take),
        Body::Input(input, _) => input.show(&mut take),
        Body::Event(event) => event.show(&mut take),
    }
    fields
}

/// What a field is called in a line, where `kind` is the record's own.
fn label(name: &'static str) -> &'static str {
    match name {
        "instrument" => "symbol",
        "kind" => "status",
        _ => name,
    }
}

/// What a record is about: the instrument that it names, or its order's.
fn instrument_of(record: &Record, state: &State) -> Option<InstrumentId> {
    let fields = fields(&record.body);
    let named = fields.iter().find_map(|(_, shown)| {
        if let Shown::Instrument(instrument) = shown { Some(*instrument) } else { None }
    });
    let order = |wanted: &'static str| {
        let field = fields.iter().find(|(name, _)| *name == wanted)?;
        let Shown::Id(id) = field.1 else { return None };
        state.order(id).map(|order| order.instrument)
    };
    named.or_else(|| order("order")).or_else(|| order("id"))
}

/// A record as one line.
struct Line<'a> {
    record: &'a Record,
    about: Option<InstrumentId>,
    state: Option<&'a State>,
    names: &'a Names,
}

impl Line<'_> {
    /// What kind of record it is, for a person who sees both.
    const fn class(&self) -> &'static str {
        match self.record.body {
            Body::Opening(_) => "head",
            Body::Input(..) => "input",
            Body::Event(_) => "event",
        }
    }

    fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("seq".to_owned(), self.record.head.seq.into());
        object.insert("time".to_owned(), time(self.record.head.ts).into());
        object.insert("class".to_owned(), self.class().into());
        object.insert("kind".to_owned(), self.record.body.name().into());
        for (name, shown) in fields(&self.record.body) {
            object.insert(label(name).to_owned(), self.value(name, shown));
        }
        Value::Object(object)
    }

    fn value(&self, name: &str, shown: Shown) -> Value {
        match shown {
            Shown::Null => Value::Null,
            Shown::Bool(value) => value.into(),
            Shown::Number(value) => self.number(name, value),
            Shown::Decimal(text) => self.quantity(name, text).into(),
            Shown::Name(text) => text.into(),
            Shown::Id(id) => self.id(id).into(),
            Shown::Time(ts) => time(ts).into(),
            Shown::Hex(0) => Value::Null,
            Shown::Hex(bits) => format!("{bits:032x}").into(),
            Shown::Instrument(instrument) => {
                let symbol = self.state.and_then(|state| rows::symbol(state, instrument));
                symbol.map_or(Value::Null, Value::from)
            }
            Shown::Text(text) => text.into(),
        }
    }

    /// Numbers that stand for something: the other instrument of a warning, the state that a
    /// transition was refused in.
    fn number(&self, name: &str, value: u64) -> Value {
        match (name, &self.record.body) {
            ("other", Body::Event(Event::Warning { other, .. })) => {
                let symbol = self.state.and_then(|s| rows::symbol(s, InstrumentId(*other)));
                symbol.map_or(Value::Null, Value::from)
            }
            ("state", Body::Event(Event::Refused { state, event, .. })) => {
                let state = OrderState::ALL.get(usize::from(*state));
                state.filter(|_| event.is_some()).map_or(Value::Null, |state| state.name().into())
            }
            ("currency", Body::Input(Input::Rate { currency, .. }, _)) => {
                let known = self.state.map(|state| state.settings().currencies());
                let name = known.and_then(|known| known.get(usize::from(*currency)).copied());
                name.map_or_else(|| value.into(), Value::from)
            }
            ("strategy", Body::Input(Input::SetLimit { scope, strategy, .. }, _))
            | ("strategy", Body::Event(Event::LimitSet { scope, strategy, .. })) => {
                let name = self.state.and_then(|state| rows::strategy(state, *strategy));
                name.filter(|_| *scope == Scope::Strategy).map_or(Value::Null, Value::from)
            }
            // As `verify` and the summary print it; a reader of JSON would round the number.
            ("hash", Body::Event(Event::Checkpoint { .. })) => format!("{value:016x}").into(),
            _ => value.into(),
        }
    }

    fn id(&self, id: ClOrdId) -> String {
        // Its name is in the same record or the ones before.
        let name = self.names.name(id);
        if self.record.body.name() == "text" { number(id) } else { name }
    }

    /// Lots in the instrument's unit.
    fn quantity(&self, name: &str, text: String) -> String {
        let lots = text.parse::<Qty>().ok().filter(|_| QUANTITIES.contains(&name));
        match (lots, self.state, self.about) {
            (Some(lots), Some(state), Some(about)) => rows::qty_text(state, about, lots),
            _ => text,
        }
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let head = self.record.head;
        let mark = match self.record.body {
            Body::Event(_) => ' ',
            Body::Input(..) | Body::Opening(_) => '>',
        };
        write!(out, "{:>8}  {}  {mark}{:<16}", head.seq, time(head.ts), self.record.body.name())?;
        for (name, shown) in fields(&self.record.body) {
            let is_text = matches!(shown, Shown::Text(_));
            let value = self.value(name, shown);
            let text = match value.as_str() {
                None if value.is_null() => continue,
                None => value.to_string(),
                Some(text) if is_text => format!("\"{}\"", clean(text)),
                Some(text) => clean(text),
            };
            write!(out, " {}={text}", label(name))?;
        }
        writeln!(out)
    }
}
