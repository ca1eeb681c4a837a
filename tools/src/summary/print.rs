//! The summary as tables for a person.

use super::{AccountSummary, Summary};
use crate::limits::CHANGE_COLUMNS;
use crate::text::{Align, Table, clean, hundredths, money, price, time};
use crate::trade::{Slip, Trade};
use std::io::{self, Write};
use trade_engine::code::Code;
use trade_engine::units::{Money, div_half_even};

use Align::{Left, Right};

pub(super) fn print(summary: &Summary, out: &mut impl Write, last_trades: usize) -> io::Result<()> {
    if let Some(begins) = &summary.log.begins {
        writeln!(out, "Note: {}.", clean(begins))?;
        writeln!(
            out,
            "Money and positions are of all of it; what is counted and listed, and what"
        )?;
        writeln!(out, "trades were worse than the mark at hand-over, from there on.\n")?;
    }
    account(&summary.account, out)?;
    summary.parts.print(out)?;
    positions(summary, out)?;
    orders(summary, out)?;
    let rejects = summary.rejects.iter().map(|(reason, count)| (reason.as_str(), *count));
    counts("Rejects by reason", rejects, out)?;
    counts("Refused steps", codes(&summary.refusals), out)?;
    counts("Anomalies", codes(&summary.anomalies), out)?;
    counts("Warnings", codes(&summary.warnings), out)?;
    trades(&summary.trades, last_trades, out)?;
    halts(summary, out)?;
    unanswered(summary, out)?;
    limits(summary, out)
}

fn codes(codes: &[(Code, u64)]) -> impl Iterator<Item = (&str, u64)> {
    codes.iter().map(|(code, count)| (code.name(), *count))
}

fn or_dash(value: Option<Money>) -> String {
    value.map_or_else(|| "-".to_owned(), money)
}

fn account(account: &AccountSummary, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "Account ({})", clean(&account.currency))?;
    // 1e-9 of the whole to hundredths of a percent: five digits fewer.
    let percent = account.return_nanos.and_then(|nanos| div_half_even(nanos, 100_000));
    let percent = percent.map_or_else(|| "-".to_owned(), hundredths);
    let mut table = Table::new(&[("", Left), ("", Right), ("", Left)]);
    table.row(&["initial capital", &money(account.initial_capital), ""]);
    table.row(&["equity", &money(account.equity), ""]);
    table.row(&["return", &percent, "%"]);
    table.row(&["realized", &money(account.realized), "net of commission"]);
    table.row(&["unrealized", &money(account.unrealized), ""]);
    table.row(&["commission", &money(account.commission), ""]);
    table.row(&["slippage", &or_dash(account.slippage), "against the price at decision"]);
    table.row(&["slippage", &or_dash(account.arrival_slippage), "against the mark at hand-over"]);
    if let Some(reason) = &account.halted {
        table.row(&["HALTED", "", reason]);
    }
    table.write(out)
}

fn positions(summary: &Summary, out: &mut impl Write) -> io::Result<()> {
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
        ("slippage", Right),
        ("trades", Right),
        ("", Left),
    ]);
    for each in &summary.positions {
        table.row(&[
            &each.symbol,
            each.side,
            &each.qty,
            &price(each.avg_px),
            &price(each.mark),
            &money(each.realized),
            &or_dash(each.unrealized),
            &money(each.commission),
            &money(each.slippage),
            &each.trades.to_string(),
            if each.currency == summary.account.currency { "" } else { &each.currency },
        ]);
    }
    table.write(out)
}

fn orders(summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    let total: u64 = summary.orders.iter().map(|(_, count)| count).sum();
    let states = summary.orders.iter().map(|(state, count)| (state.name(), *count));
    let unassigned = (summary.unassigned > 0).then_some(("(no order of ours)", summary.unassigned));
    writeln!(out, "\nOrders by final state ({total})")?;
    count_rows(states.chain(unassigned), out)
}

/// A section that is left out when it is empty.
fn counts<'a>(
    title: &str,
    rows: impl Iterator<Item = (&'a str, u64)>,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    count_rows(rows, out)
}

fn count_rows<'a>(
    rows: impl Iterator<Item = (&'a str, u64)>,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut table = Table::new(&[("", Left), ("", Right)]);
    for (name, count) in rows {
        table.row(&[name, &count.to_string()]);
    }
    table.write(out)
}

fn trades(trades: &[Trade], last_trades: usize, out: &mut impl Write) -> io::Result<()> {
    let shown = &trades[trades.len().saturating_sub(last_trades)..];
    if shown.len() == trades.len() {
        writeln!(out, "\nTrades ({})", trades.len())?;
    } else {
        writeln!(out, "\nTrades (the last {} of {})", shown.len(), trades.len())?;
    }
    let mut table = Table::new(&[
        ("time", Left),
        ("order", Left),
        ("symbol", Left),
        ("side", Left),
        ("qty", Right),
        ("price", Right),
        ("commission", Right),
        ("slippage", Right),
        ("bps", Right),
        ("arrival", Right),
        ("bps", Right),
        ("realized", Right),
        ("position", Right),
        ("", Left),
    ]);
    let slip_money = |slip: Option<Slip>| or_dash(slip.map(|slip| slip.money));
    let slip_bps = |slip: Option<Slip>| {
        // Two decimals are enough for a person.
        let value = slip.and_then(|slip| div_half_even(slip.bps?, 100));
        value.map_or_else(|| "-".to_owned(), hundredths)
    };
    for trade in shown {
        table.row(&[
            &time(trade.ts),
            &trade.name,
            &trade.symbol,
            trade.side.name(),
            &trade.qty_text,
            &trade.price.to_string(),
            &money(trade.commission),
            &slip_money(trade.decision),
            &slip_bps(trade.decision),
            &slip_money(trade.arrival),
            &slip_bps(trade.arrival),
            &money(trade.realized),
            &trade.position_text,
            &trade.fate.text(),
        ]);
    }
    if shown.is_empty() { Ok(()) } else { table.write(out) }
}

fn halts(summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    if summary.halts.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nHalts")?;
    let mut table = Table::new(&[
        ("time", Left),
        ("record", Right),
        ("of", Left),
        ("reason", Left),
        ("resumed", Left),
    ]);
    for halt in &summary.halts {
        let resumed = halt.resumed.map_or_else(|| "-".to_owned(), time);
        let of = halt.symbol.as_deref().unwrap_or("all trading");
        table.row(&[&time(halt.ts), &halt.seq.to_string(), of, &halt.reason, &resumed]);
    }
    table.write(out)
}

fn unanswered(summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    if summary.unanswered.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nALERTS: not answered by the venue in time")?;
    let mut table = Table::new(&[
        ("time", Left),
        ("record", Right),
        ("order", Left),
        ("request", Left),
        ("handed over", Left),
    ]);
    for alert in &summary.unanswered {
        let request = alert.request.as_deref().unwrap_or("-");
        let seq = alert.seq.to_string();
        table.row(&[&time(alert.ts), &seq, &alert.order, request, &time(alert.since)]);
    }
    table.write(out)
}

/// What is off is said at the end of every run, and what was changed on the way.
fn limits(summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    if !summary.limit_changes.is_empty() {
        writeln!(out, "\nLimits changed while it ran")?;
        let mut table = Table::new(CHANGE_COLUMNS);
        for change in &summary.limit_changes {
            change.row(&mut table);
        }
        table.write(out)?;
    }
    writeln!(out, "\n{}", summary.limits_off)
}
