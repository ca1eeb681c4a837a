//! The summary as one JSON document.

use super::{Halt, PositionSummary, Summary, Unanswered};
use crate::limits::Change;
use crate::text::{decimal, time};
use crate::trade::{Slip, Trade};
use serde_json::{Map, Value, json};
use trade_engine::code::Code;
use trade_engine::limits::PRICE_DECIMALS;
use trade_engine::units::Ts;

pub(super) fn to_json(summary: &Summary) -> Value {
    let Summary { log, account, .. } = summary;
    json!({
        "log": {
            "dir": log.dir.to_string_lossy(),
            "build": log.build,
            "begins": log.begins,
            "records": log.records,
            "last_seq": log.last_seq,
            "first_time": log.first_ts.map(time),
            "last_time": time(log.last_ts),
        },
        "account": {
            "currency": account.currency,
            "initial_capital": account.initial_capital.to_string(),
            "equity": account.equity.to_string(),
            "return": account.return_nanos.map(|nanos| decimal(nanos, PRICE_DECIMALS)),
            "realized_pnl": account.realized.to_string(),
            "unrealized_pnl": account.unrealized.to_string(),
            "commission": account.commission.to_string(),
            "slippage": account.slippage.map(|money| money.to_string()),
            "arrival_slippage": account.arrival_slippage.map(|money| money.to_string()),
            "halted": account.halted.is_some(),
            "halt_reason": account.halted,
        },
        "parts": summary.parts.json(),
        "positions": summary.positions.iter().map(position).collect::<Vec<_>>(),
        "orders": counts(summary.orders.iter().map(|(state, count)| (state.name(), *count))),
        "unassigned": summary.unassigned,
        "rejects": counts(summary.rejects.iter().map(|(reason, count)| (reason.as_str(), *count))),
        "refused": by_code(&summary.refusals),
        "anomalies": by_code(&summary.anomalies),
        "warnings": by_code(&summary.warnings),
        "trades": summary.trades.iter().map(trade).collect::<Vec<_>>(),
        "halts": summary.halts.iter().map(halt).collect::<Vec<_>>(),
        "unanswered": summary.unanswered.iter().map(unanswered).collect::<Vec<_>>(),
        "limits": summary.limits,
        "limits_changed": summary.limit_changes.iter().map(Change::json).collect::<Vec<_>>(),
    })
}

fn counts<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> Value {
    Value::Object(
        counts.map(|(name, count)| (name.to_owned(), count.into())).collect::<Map<_, _>>(),
    )
}

fn by_code(codes: &[(Code, u64)]) -> Value {
    counts(codes.iter().map(|(code, count)| (code.name(), *count)))
}

fn position(position: &PositionSummary) -> Value {
    json!({
        "symbol": position.symbol,
        "currency": position.currency,
        "side": position.side,
        "qty": position.qty,
        "avg_px": position.avg_px.map(|price| price.to_string()),
        "mark": position.mark.map(|price| price.to_string()),
        "realized_pnl": position.realized.to_string(),
        "unrealized_pnl": position.unrealized.map(|money| money.to_string()),
        "commission": position.commission.to_string(),
        "slippage": position.slippage.to_string(),
        "trades": position.trades,
    })
}

fn trade(trade: &Trade) -> Value {
    json!({
        "seq": trade.seq,
        "time": time(trade.ts),
        "order": trade.name,
        "symbol": trade.symbol,
        "side": trade.side.name(),
        "qty": trade.qty_text,
        "price": trade.price.to_string(),
        "commission": trade.commission.to_string(),
        "slippage": slip(trade.decision),
        "arrival_slippage": slip(trade.arrival),
        "realized_pnl": trade.realized.to_string(),
        "position": trade.position_text,
        "fate": Some(trade.fate.text()).filter(|text| !text.is_empty()),
    })
}

fn slip(slip: Option<Slip>) -> Value {
    let Some(slip) = slip else { return Value::Null };
    json!({
        "base": slip.base.to_string(),
        "price": slip.price.to_string(),
        "money": slip.money.to_string(),
        "bps": slip.bps_text(),
    })
}

fn halt(halt: &Halt) -> Value {
    let resumed = halt.resumed.map(|ts: Ts| time(ts));
    json!({
        "seq": halt.seq, "time": time(halt.ts), "symbol": halt.symbol, "reason": halt.reason,
        "resumed": resumed,
    })
}

fn unanswered(alert: &Unanswered) -> Value {
    json!({
        "seq": alert.seq, "time": time(alert.ts), "order": alert.order, "request": alert.request,
        "since": time(alert.since),
    })
}
