//! `replay explain`: the story of one order, read from the log in one walk.

use super::rules;
use super::tell::{self, Teller};
use super::{find, say_where_it_begins};
use crate::names::number;
use crate::rows;
use crate::text::{clean, count, direction, price, time, traded};
use crate::trade::{Slip, Trade};
use crate::walk::{LogError, Walk};
use std::io::{self, Write};
use std::path::Path;
use trade_engine::engine::State;
use trade_engine::event::{Body, DECIDE_VERSION, Event, Record};
use trade_engine::input::Input;
use trade_engine::instrument::InstrumentId;
use trade_engine::order::{ClOrdId, Order};
use trade_engine::position::Position;
use trade_engine::risk::Verdict;
use trade_engine::units::{Money, Price, Qty};

/// What is known of the order while its story is told.
struct Story<'a, W> {
    out: &'a mut W,
    id: ClOrdId,
    /// The input that is being told is about the order.
    is_in_group: bool,
    /// Whether risk was asked about it.
    was_judged: bool,
    /// The venue's own id of the next execution.
    exec_id: Option<String>,
    /// From where on it is told, if the log begins after the order did.
    since: Option<u64>,
    /// The order as it was last held.
    last: Option<Order>,
    trades: u64,
    /// Sums over its trades; none past the bounds.
    realized: Option<Money>,
    commission: Option<Money>,
    slippage: Option<Money>,
}

/// What a trade is told against.
struct Before {
    instrument: InstrumentId,
    position: Position,
    unrealized: Option<Money>,
    equity: Money,
    state: Option<&'static str>,
}

pub(super) fn explain(dir: &Path, order: &str, out: &mut impl Write) -> Result<(), LogError> {
    let id = find::order(dir, order)?;
    let mut walk = Walk::open(dir)?;
    say_where_it_begins(&walk);
    // As it is held where a shortened log begins.
    let last = walk.state().and_then(|state| state.order(id).cloned());
    let since = walk.begins().filter(|_| last.is_some()).map(|begins| begins.seq);
    let mut story = Story {
        out,
        id,
        is_in_group: false,
        was_judged: false,
        exec_id: None,
        since,
        last,
        trades: 0,
        realized: Some(Money::ZERO),
        commission: Some(Money::ZERO),
        slippage: Some(Money::ZERO),
    };
    match number(id) {
        number if number == order => writeln!(story.out, "Order {number}")?,
        number => writeln!(story.out, "Order {}, number {number}", clean(order))?,
    }
    while let Some(record) = walk.read()? {
        story.record(&mut walk, &record)?;
    }
    walk.end()?;
    story.close(walk.whole_state()?)
}

impl<W: Write> Story<'_, W> {
    /// Tells one record, if it is about the order, and applies it.
    fn record(&mut self, walk: &mut Walk, record: &Record) -> Result<(), LogError> {
        let concerns = record.body.concerns(self.id);
        if matches!(record.body, Body::Input(..)) {
            self.is_in_group = concerns;
        }
        let is_halt = matches!(
            record.body,
            Body::Event(Event::Halted { .. } | Event::InstrumentHalted { .. })
        );
        // What is asked of it from here on is judged by other limits.
        let is_alive = self.last.as_ref().is_some_and(|order| !order.state.is_final());
        let is_limit = is_alive && matches!(record.body, Body::Event(Event::LimitSet { .. }));
        let is_told = concerns || (self.is_in_group && is_halt) || is_limit;
        if !is_told {
            return walk.apply();
        }
        let before = walk.state().and_then(|state| self.before(state, record));
        match record.body {
            Body::Event(ref event @ Event::Verdict { .. }) => self.verdict(walk, record, event)?,
            Body::Event(Event::Denied { reason, .. }) if !self.was_judged => {
                self.defect(walk, reason)?;
            }
            Body::Event(_) | Body::Input(..) | Body::Opening(_) => {}
        }
        walk.apply()?;
        let has_exec_id = |input: &Input| {
            matches!(input, Input::Trade { .. } | Input::Bust { .. } | Input::Correct { .. })
        };
        if matches!(&record.body, Body::Input(input, _) if has_exec_id(input)) {
            self.exec_id = walk.take_exec_id();
        }
        let Some(state) = walk.state() else { return Ok(()) };
        self.last = state.order(self.id).cloned().or(self.last.take());
        let teller = Teller { state, names: walk.names() };
        match &record.body {
            Body::Input(input, _) => self.input(record, input, teller)?,
            Body::Event(event) => self.event(record, event, teller, before)?,
            Body::Opening(_) => {}
        }
        Ok(())
    }

    fn before(&self, state: &State, record: &Record) -> Option<Before> {
        let Body::Event(
            Event::Traded { instrument, .. }
            | Event::Busted { instrument, .. }
            | Event::Corrected { instrument, .. },
        ) = record.body
        else {
            return None;
        };
        let book = state.book(instrument)?;
        Some(Before {
            instrument,
            position: book.position,
            unrealized: rows::unrealized(book),
            equity: state.account().equity(),
            state: state.order(self.id).map(|order| order.state.name()),
        })
    }

    fn line(&mut self, record: &Record, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}  #{}  {text}", time(record.head.ts), record.head.seq)
    }

    fn more(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "    {text}")
    }

    fn input(&mut self, record: &Record, input: &Input, teller: Teller<'_>) -> io::Result<()> {
        let Some(mut text) = teller.input(input) else { return Ok(()) };
        if let Some(exec_id) = &self.exec_id.take() {
            text.push_str(&format!(", execution {}", clean(exec_id)));
        }
        writeln!(self.out)?;
        self.line(record, &text)?;
        match rules::sizing(teller.state, input) {
            Some(sizing) => self.more(&format!("sizing: {sizing}")),
            None => Ok(()),
        }
    }

    fn event(
        &mut self,
        record: &Record,
        event: &Event,
        teller: Teller<'_>,
        before: Option<Before>,
    ) -> io::Result<()> {
        if let Some(before) = before {
            let Teller { state, names } = teller;
            return match Trade::new(record, &before.position, state, names) {
                Some(trade) => self.trade(record, &trade, &before, state),
                None => self.undone(record, event, teller, &before),
            };
        }
        if let (Event::Created { .. }, Some(order)) = (event, teller.state.order(self.id)) {
            let text = teller.created(order);
            return self.line(record, &text);
        }
        match teller.event(event) {
            Some(text) => self.line(record, &text),
            None => Ok(()),
        }
    }

    /// Every rule on the state before the verdict, then the verdict, and whether the two agree.
    fn verdict(&mut self, walk: &Walk, record: &Record, event: &Event) -> Result<(), LogError> {
        self.was_judged = true;
        let state = walk.whole_state()?;
        let Some(order) = state.order(self.id) else { return Ok(()) };
        let again = rules::tell(state, order, self.out)?;
        self.line(record, &tell::verdict(event).unwrap_or_default())?;
        if again.is_some_and(|again| !agrees(&again, event)) {
            let version = walk.replay().decide_version().unwrap_or(0);
            self.more(&format!(
                "the log's verdict is another than the rules give now (decisions {version} wrote \
                 it, this program's are {DECIDE_VERSION})"
            ))?;
        }
        Ok(())
    }

    fn defect(&mut self, walk: &Walk, reason: trade_engine::code::Code) -> Result<(), LogError> {
        let state = walk.whole_state()?;
        let Some(order) = state.order(self.id) else { return Ok(()) };
        let what = rules::defect(state, order, reason);
        let by = if rules::is_valid(state, order) { "the edge" } else { "validation" };
        self.more(&format!("{by} found {reason}: {what}; risk was not asked"))?;
        Ok(())
    }

    fn trade(
        &mut self,
        record: &Record,
        trade: &Trade,
        before: &Before,
        state: &State,
    ) -> io::Result<()> {
        let order = state.order(self.id);
        let moved = match (before.state, order.map(|order| order.state.name())) {
            (Some(from), Some(to)) if from != to => format!("; {from} -> {to}"),
            (_, Some(to)) => format!("; {to}"),
            (_, None) => "; the order was retired already".to_owned(),
        };
        let filled = order.map_or_else(String::new, |order| {
            let qty = |qty| rows::qty_text(state, order.instrument, qty);
            format!("; filled {} of {}", qty(order.cum_qty), qty(order.order_qty))
        });
        self.line(
            record,
            &format!(
                "{} {} {} at {}, commission {}{filled}{moved}",
                traded(trade.side),
                trade.qty_text,
                clean(&trade.symbol),
                trade.price,
                trade.commission
            ),
        )?;
        let slips =
            [("decision", trade.decision), ("arrival", trade.arrival), ("limit", trade.limit)];
        for (what, slip) in slips {
            if let Some(slip) = slip {
                self.more(&format!("slippage against {what} {}", slip_text(&slip)))?;
            }
        }
        self.effect(before, state)?;
        self.trades += 1;
        self.sum(before, state);
        Ok(())
    }

    /// A trade that never was, or was otherwise.
    fn undone(
        &mut self,
        record: &Record,
        event: &Event,
        teller: Teller<'_>,
        before: &Before,
    ) -> io::Result<()> {
        let Some(text) = teller.event(event) else { return Ok(()) };
        let order = teller.state.order(self.id);
        let filled = order.map_or_else(String::new, |order| {
            let qty = |qty| rows::qty_text(teller.state, order.instrument, qty);
            let state = order.state.name();
            format!("; filled {} of {}; {state}", qty(order.cum_qty), qty(order.order_qty))
        });
        self.line(record, &(text + &filled))?;
        self.effect(before, teller.state)?;
        if matches!(event, Event::Busted { .. }) {
            self.trades = self.trades.saturating_sub(1);
        }
        self.sum(before, teller.state);
        Ok(())
    }

    /// What moved in the position is the order's doing.
    fn sum(&mut self, before: &Before, state: &State) {
        let Some(after) = state.position(before.instrument) else { return };
        let from = &before.position;
        let add = |sum: Option<Money>, to: Option<Money>, from: Option<Money>| {
            sum?.checked_add(to?.checked_sub(from?)?)
        };
        self.realized = add(self.realized, after.net_realized(), from.net_realized());
        self.commission = add(self.commission, Some(after.commission), Some(from.commission));
        self.slippage = add(self.slippage, Some(after.slippage), Some(from.slippage));
    }

    /// Position and P&L before and after a trade.
    fn effect(&mut self, before: &Before, state: &State) -> io::Result<()> {
        let Some(book) = state.book(before.instrument) else { return Ok(()) };
        let held = |position: &Position| {
            let qty = book.spec.qty_text(Qty(position.qty.0.abs()));
            let average = price(position.avg_px(book.lot_value));
            match position.qty.0 {
                0 => "FLAT".to_owned(),
                _ => format!("{} {qty} at {average}", direction(position.qty)),
            }
        };
        let symbol = clean(&book.spec.symbol);
        let (from, to) = (held(&before.position), held(&book.position));
        self.more(&format!("position {symbol}: {from} -> {to}"))?;
        let money = |money: Option<Money>| money.map_or_else(|| "-".to_owned(), |m| m.to_string());
        let lines = [
            (
                "realized, net",
                money(before.position.net_realized()),
                money(book.position.net_realized()),
            ),
            ("unrealized", money(before.unrealized), money(rows::unrealized(book))),
            ("equity", before.equity.to_string(), state.account().equity().to_string()),
        ];
        let lines = lines.map(|(what, from, to)| format!("{what} {from} -> {to}"));
        self.more(&lines.join("; "))
    }

    /// What became of it.
    fn close(self, state: &State) -> Result<(), LogError> {
        writeln!(self.out)?;
        let Some(order) = &self.last else {
            writeln!(self.out, "No order of that number was ever taken in.")?;
            return Ok(());
        };
        let qty = |qty| rows::qty_text(state, order.instrument, qty);
        let held = if state.order(self.id).is_some() { "" } else { ", retired since" };
        let since = self.since.map_or_else(String::new, |seq| format!(" from record {seq} on"));
        writeln!(
            self.out,
            "In the end: {}{held}; filled {} of {}, average price {}, in {}{since}",
            order.state,
            qty(order.cum_qty),
            qty(order.order_qty),
            price(order.avg_px()),
            count(self.trades, "trade")
        )?;
        if self.trades > 0 {
            let money = |money: Option<Money>| money.map_or("-".to_owned(), |m| m.to_string());
            writeln!(
                self.out,
                "Its trades: realized {} net of commission {}, slippage {} against decision",
                money(self.realized),
                money(self.commission),
                money(self.slippage)
            )?;
        }
        Ok(())
    }
}

fn slip_text(slip: &Slip) -> String {
    let Slip { base, price: Price(_), money, .. } = slip;
    let bps = slip.bps_text().map_or_else(String::new, |bps| format!(", {bps} bps"));
    format!("{base}: {} a unit, {money} in all{bps}", slip.price)
}

/// Whether the rules give now what the log says.
fn agrees(again: &Verdict, event: &Event) -> bool {
    let Event::Verdict { ran, rule, number, limit, .. } = *event else { return false };
    let tightest = again.tightest.map(|found| (found.code, found.number, found.limit));
    again.ran == ran && tightest == rule.map(|rule| (rule, number, limit))
}
