//! `replay state`: the state as of a record or a time.

use super::{StateArgs, complain, say_how_it_ends};
use crate::limits;
use crate::names::Names;
use crate::parts::AccountParts;
use crate::rows;
use crate::text::{Align, Table, clean, direction, money, price, time, write_json};
use crate::walk::{LogError, Walk};
use crate::watch::Watch;
use Align::{Left, Right};
use std::io::{self, Write};
use trade_engine::engine::State;
use trade_engine::order::{Flags, Order};
use trade_engine::snapshot::UpTo;
use trade_engine::units::Qty;

pub(super) fn state(args: &StateArgs, out: &mut impl Write) -> Result<(), LogError> {
    if args.at_seq == Some(0) {
        return Err(LogError::Argument("--at-seq 0: records count from 1".to_owned()));
    }
    let up_to = match (args.at_seq, args.at_time) {
        (Some(seq), _) => UpTo::Seq(seq),
        (None, Some(ts)) => UpTo::Time(ts),
        (None, None) => UpTo::End,
    };
    let mut walk = Walk::open_near(&args.dir, up_to, &mut complain)?;
    let is_at_end = advance(&mut walk, args)?;
    let state = match (walk.state(), is_at_end) {
        (Some(state), _) => state,
        (None, true) => walk.whole_state()?,
        (None, false) => return Err(in_the_head(walk, args)?),
    };
    check_reached(state, args, is_at_end)?;
    if args.json {
        write_json(out, &rows::state(state, walk.names(), walk.watch()))?;
    } else {
        print(state, walk.names(), walk.watch(), out)?;
    }
    if is_at_end { say_how_it_ends(&mut walk, "shown") } else { Ok(()) }
}

/// Applies what was asked for. Whether the log ended.
fn advance(walk: &mut Walk, args: &StateArgs) -> Result<bool, LogError> {
    if walk.state().is_some_and(|state| args.at_seq == Some(state.seq())) {
        return Ok(false);
    }
    while let Some(record) = walk.read()? {
        let last_seq = record.head.seq + record.slot_count() as u64 - 1;
        let is_behind = args.at_seq.is_some_and(|seq| last_seq > seq)
            || args.at_time.is_some_and(|ts| record.head.ts > ts);
        if is_behind {
            return Ok(false);
        }
        walk.apply()?;
        if args.at_seq == Some(last_seq) && walk.state().is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Where the log's head ends: before, there is no state to show.
fn in_the_head(mut walk: Walk, args: &StateArgs) -> Result<LogError, LogError> {
    if let Some(ts) = args.at_time {
        let what = format!("--at-time {}: before the log's first record", time(ts));
        return Ok(LogError::Argument(what));
    }
    // The record that was one too far is read already.
    walk.apply()?;
    while walk.state().is_none() && walk.step()?.is_some() {}
    let (seq, first) = (args.at_seq.unwrap_or(0), walk.whole_state()?.seq());
    Ok(LogError::Argument(format!(
        "--at-seq {seq}: in the log's head, the configuration; the first state is at record {first}"
    )))
}

fn check_reached(state: &State, args: &StateArgs, is_at_end: bool) -> Result<(), LogError> {
    match args.at_seq {
        Some(seq) if is_at_end && seq > state.seq() => Err(LogError::Argument(format!(
            "--at-seq {seq}: beyond the end; the log's last record is {}",
            state.seq()
        ))),
        Some(_) | None => Ok(()),
    }
}

fn print(state: &State, names: &Names, watch: &Watch, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "State at record {}, {}", state.seq(), time(state.ts()))?;
    account(state, names, out)?;
    AccountParts::of(state).print(out)?;
    halted(state, watch, out)?;
    positions(state, out)?;
    let sorted = rows::sorted_orders(state);
    let (finished, open): (Vec<&Order>, Vec<&Order>) =
        sorted.into_iter().partition(|order| order.state.is_final());
    orders("Open orders", &open, state, names, out)?;
    orders("Finished orders still held", &finished, state, names, out)?;
    changes(watch, out)
}

/// Left out where there is none, as everything that is rare.
fn halted(state: &State, watch: &Watch, out: &mut impl Write) -> io::Result<()> {
    if watch.halted().next().is_none() {
        return Ok(());
    }
    writeln!(out, "\nHalted instruments")?;
    let mut table =
        Table::new(&[("symbol", Left), ("reason", Left), ("since", Left), ("record", Right)]);
    for each in watch.halted() {
        let symbol = rows::symbol(state, each.instrument).unwrap_or("?");
        table.row(&[symbol, each.reason.name(), &time(each.ts), &each.seq.to_string()]);
    }
    table.write(out)
}

fn changes(watch: &Watch, out: &mut impl Write) -> io::Result<()> {
    if watch.changes().next().is_none() {
        return Ok(());
    }
    writeln!(out, "\nLimits changed since the start")?;
    let mut table = Table::new(limits::CHANGE_COLUMNS);
    for change in watch.changes() {
        change.row(&mut table);
    }
    table.write(out)
}

fn account(state: &State, names: &Names, out: &mut impl Write) -> io::Result<()> {
    let account = state.account();
    writeln!(out, "\nAccount ({})", clean(&state.settings().account.currency))?;
    let mut table = Table::new(&[("", Left), ("", Right), ("", Left)]);
    table.row(&["equity", &money(account.equity()), ""]);
    table.row(&["realized", &money(account.net_realized()), "net of commission"]);
    table.row(&["unrealized", &money(account.unrealized()), ""]);
    table.row(&["commission", &money(account.commission()), ""]);
    let halted = state.halted().map(|code| names.halt_reason().unwrap_or(code.name()));
    let needed = state.maintenance_margin().map_or_else(|| "unknown".to_owned(), money);
    let call = if state.margin_call() { "MARGIN CALL: above equity" } else { "" };
    table.row(&["maintenance margin", &needed, call]);
    table.row(&["halted", if halted.is_some() { "yes" } else { "no" }, halted.unwrap_or("")]);
    table.write(out)
}

fn positions(state: &State, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\nPositions")?;
    let mut table = Table::new(&[
        ("symbol", Left),
        ("side", Left),
        ("qty", Right),
        ("avg price", Right),
        ("mark", Right),
        ("realized", Right),
        ("unrealized", Right),
        ("commission", Right),
        ("", Left),
    ]);
    for book in state.books() {
        let held = book.position;
        table.row(&[
            &book.spec.symbol,
            direction(held.qty),
            &book.spec.qty_text(Qty(held.qty.0.abs())),
            &price(held.avg_px(book.lot_value)),
            &price(book.market.price),
            &money(rows::net_realized(book)),
            &rows::unrealized(book).map_or_else(|| "-".to_owned(), money),
            &money(held.commission),
            rows::foreign_currency(state, book),
        ]);
    }
    table.write(out)
}

fn orders(
    title: &str,
    orders: &[&Order],
    state: &State,
    names: &Names,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out, "\n{title} ({})", orders.len())?;
    if orders.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&[
        ("order", Left),
        ("symbol", Left),
        ("side", Left),
        ("type", Left),
        ("price", Right),
        ("stop", Right),
        ("state", Left),
        ("status", Left),
        ("qty", Right),
        ("filled", Right),
        ("open", Right),
        ("avg price", Right),
        ("reason", Left),
    ]);
    for order in orders {
        let qty = |qty| rows::qty_text(state, order.instrument, qty);
        let is_unknown = order.flags.has(Flags::UNKNOWN);
        table.row(&[
            &names.name(order.id),
            rows::order_symbol(state, names, order).unwrap_or("?"),
            order.side.name(),
            order.ord_type.name(),
            &price(order.price),
            &price(order.stop_price),
            order.state.name(),
            order.ord_status().name(),
            &if is_unknown { "?".to_owned() } else { qty(order.order_qty) },
            &qty(order.cum_qty),
            &qty(order.leaves_qty()),
            &price(order.avg_px()),
            &names.reason(order).unwrap_or_default(),
        ]);
    }
    table.write(out)
}
