//! What a scenario prints: rows of orders and positions, the account, and the lists of what was odd.

use super::json::Decimal;
use super::names::Names;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use trade_engine::code::Code;
use trade_engine::engine::State;
use trade_engine::instrument::InstrumentId;
use trade_engine::order::{ClOrdId, Flags, Order, OrderState, RequestKind};
use trade_engine::risk::InstrumentBook;
use trade_engine::units::Qty;

/// The words and figures that the engine does not keep.
#[derive(Debug, Default)]
pub(super) struct Texts {
    pub(super) names: Names,
    /// What each order's step asked for.
    pub(super) asked: BTreeMap<ClOrdId, Asked>,
    /// The venue's words about rejected orders.
    pub(super) reasons: BTreeMap<ClOrdId, String>,
    /// The operator's words about the halt.
    pub(super) halt: String,
}

/// An order's figures as they were written.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) symbol: String,
    pub(super) qty: Option<Decimal>,
    pub(super) price: Option<Decimal>,
    pub(super) stop_price: Option<Decimal>,
}

/// A figure of the engine; or as it was written, where it could not be taken.
fn figure(taken: Option<String>, written: Option<&Decimal>) -> Option<String> {
    taken.or_else(|| written.map(Decimal::plain))
}

/// An order's row.
pub(super) fn order_row(state: &State, texts: &Texts, order: &Order) -> Value {
    let asked = texts.asked.get(&order.id).cloned().unwrap_or_default();
    let book = state.book(order.instrument);
    let symbol = book.map_or(asked.symbol.as_str(), |book| &book.spec.symbol);
    // Of a symbol that nobody knows a lot is one.
    let lots = |qty: Qty| book.map_or_else(|| qty.to_string(), |book| book.spec.qty_text(qty));
    let price_text = |price: Option<trade_engine::units::Price>| price.map(|p| p.to_string());
    let is_unknown = order.flags.has(Flags::UNKNOWN);
    let held = Some(lots(order.order_qty)).filter(|_| !is_unknown);
    // What could not be taken stands here as it was written.
    let defects = [Code::UnknownSymbol, Code::BadQty, Code::BadPrice, Code::OffLot];
    let order_qty = match &asked.qty {
        Some(written) if order.reason.is_some_and(|code| defects.contains(&code)) => {
            Some(written.plain())
        }
        Some(_) | None => held,
    };
    let slippage = order.slippage_from(order.slippage_base());
    let reason = match order.reason {
        None => None,
        Some(Code::Venue) => texts.reasons.get(&order.id).map(String::as_str),
        Some(code) => Some(code.name()),
    };
    assert!(order.reason.is_none() || order.state == OrderState::Rejected);
    json!({
        "id": texts.names.text(order.id),
        "symbol": symbol,
        "side": order.side.name(),
        "type": order.ord_type.name(),
        "tif": order.tif.name(),
        "price": figure(price_text(order.price), asked.price.as_ref()),
        "stop_price": figure(price_text(order.stop_price), asked.stop_price.as_ref()),
        "state": order.state.name(),
        "ord_status": order.ord_status().name(),
        "order_qty": order_qty,
        "cum_qty": lots(order.cum_qty),
        "leaves_qty": lots(order.leaves_qty()),
        "avg_px": price_text(order.avg_px()),
        "slippage": price_text(slippage),
        "triggered": order.flags.has(Flags::TRIGGERED),
        "pending_cancel": order.requests.count(RequestKind::Cancel) > 0,
        "pending_replace": order.requests.count(RequestKind::Replace),
        "reason": reason,
    })
}

/// An instrument's row.
pub(super) fn position_row(book: &InstrumentBook) -> Value {
    let position = &book.position;
    let side = match position.qty.0.signum() {
        1 => "LONG",
        -1 => "SHORT",
        _ => "FLAT",
    };
    let mark = book.market.price;
    let unrealized = if position.qty.0 == 0 {
        Some("0".to_owned())
    } else {
        let at_mark = mark.and_then(|mark| position.unrealized(mark, book.lot_value));
        at_mark.map(|money| money.to_string())
    };
    json!({
        "symbol": book.spec.symbol,
        "side": side,
        "qty": book.spec.qty_text(Qty(position.qty.0.abs())),
        "avg_px": position.avg_px(book.lot_value).map(|price| price.to_string()),
        "mark": mark.map(|price| price.to_string()),
        "realized_pnl": position.net_realized().map(|money| money.to_string()),
        "unrealized_pnl": unrealized,
        "commission": position.commission.to_string(),
    })
}

/// The row of one instrument, by its place.
pub(super) fn position_of(state: &State, instrument: InstrumentId) -> Value {
    state.book(instrument).map_or(Value::Null, position_row)
}

/// The account.
pub(super) fn account_row(state: &State, texts: &Texts) -> Value {
    let account = state.account();
    let words = |code: Code| if code == Code::Operator { &texts.halt } else { code.name() };
    let halt_reason = state.halted().map(words);
    json!({
        "currency": state.settings().account.currency,
        "equity": account.equity().to_string(),
        "realized_pnl": account.net_realized().to_string(),
        "unrealized_pnl": account.unrealized().to_string(),
        "commission": account.commission().to_string(),
        "halted": state.halted().is_some(),
        "halt_reason": halt_reason,
    })
}

/// The lists beside the state.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) refused: Vec<Value>,
    pub(super) anomalies: Vec<Value>,
    pub(super) warnings: Vec<Value>,
    /// The last rows of orders whose places were needed.
    pub(super) retired: BTreeMap<ClOrdId, Order>,
}

/// The whole document.
pub(super) fn document(state: &State, texts: &Texts, lists: &Lists) -> Value {
    let held = state.orders().iter().map(|order| (order.id, order));
    // Numbers grow in the order in which orders are made.
    let orders: BTreeMap<ClOrdId, &Order> =
        lists.retired.iter().map(|(id, order)| (*id, order)).chain(held).collect();
    let orders: Vec<Value> = orders.values().map(|order| order_row(state, texts, order)).collect();
    let positions: Vec<Value> = state.books().iter().map(position_row).collect();
    json!({
        "orders": orders,
        "positions": positions,
        "account": account_row(state, texts),
        "refused": lists.refused,
        "anomalies": lists.anomalies,
        "warnings": lists.warnings,
    })
}
