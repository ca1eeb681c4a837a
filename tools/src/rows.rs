//! Orders, positions and the account as JSON, in the shape of the scenario format: every decimal a
//! string, nine decimals at most, half to even.

use crate::limits;
use crate::names::Names;
use crate::parts::AccountParts;
use crate::text::direction;
use crate::watch::Watch;
use serde_json::{Value, json};
use trade_engine::engine::State;
use trade_engine::instrument::InstrumentId;
use trade_engine::order::{Flags, Order, RequestKind};
use trade_engine::risk::InstrumentBook;
use trade_engine::units::{Money, Price, Qty};

/// The symbol of an instrument; `None` for one that is not in the table.
pub fn symbol(state: &State, instrument: InstrumentId) -> Option<&str> {
    state.book(instrument).map(|book| book.spec.symbol.as_str())
}

/// The name of a strategy by its number; `None` for nobody and for a number that has no name.
pub fn strategy(state: &State, number: u16) -> Option<&str> {
    let place = usize::from(number).checked_sub(1)?;
    state.settings().strategies.get(place).map(String::as_str)
}

/// The symbol of an order, also of one that nobody knows.
pub fn order_symbol<'a>(state: &'a State, names: &'a Names, order: &Order) -> Option<&'a str> {
    symbol(state, order.instrument).or_else(|| names.symbol(order.id))
}

/// A quantity in the instrument's unit; lots where the instrument is unknown.
pub fn qty_text(state: &State, instrument: InstrumentId, qty: Qty) -> String {
    state.book(instrument).map_or_else(|| qty.to_string(), |book| book.spec.qty_text(qty))
}

fn text_or_null(value: Option<impl ToString>) -> Value {
    value.map_or(Value::Null, |value| Value::String(value.to_string()))
}

fn price(price: Option<Price>) -> Value {
    text_or_null(price)
}

/// One order.
pub fn order(state: &State, names: &Names, order: &Order) -> Value {
    let qty = |qty| qty_text(state, order.instrument, qty);
    let order_qty = (!order.flags.has(Flags::UNKNOWN)).then(|| qty(order.order_qty));
    json!({
        "id": names.name(order.id),
        "symbol": order_symbol(state, names, order),
        "side": order.side.name(),
        "type": order.ord_type.name(),
        "tif": order.tif.name(),
        "price": price(order.price),
        "stop_price": price(order.stop_price),
        "state": order.state.name(),
        "ord_status": order.ord_status().name(),
        "order_qty": order_qty,
        "cum_qty": qty(order.cum_qty),
        "leaves_qty": qty(order.leaves_qty()),
        "avg_px": price(order.avg_px()),
        "slippage": price(order.slippage_from(order.slippage_base())),
        "triggered": order.flags.has(Flags::TRIGGERED),
        "pending_cancel": order.requests.count(RequestKind::Cancel) > 0,
        "pending_replace": order.requests.count(RequestKind::Replace),
        "reason": names.reason(order),
    })
}

/// What an instrument's money is in, where that is not the account's currency; else nothing.
pub fn foreign_currency<'a>(state: &State, book: &'a InstrumentBook) -> &'a str {
    let own = &state.settings().account.currency;
    if book.spec.currency == *own { "" } else { &book.spec.currency }
}

/// P&L of what is held: none where something is held and no mark is known.
pub fn unrealized(book: &InstrumentBook) -> Option<Money> {
    match book.market.price {
        _ if book.position.qty.0 == 0 => Some(Money::ZERO),
        Some(mark) => book.position.unrealized(mark, book.lot_value),
        None => None,
    }
}

/// What was realized, commission taken off. The books keep it in range.
pub fn net_realized(book: &InstrumentBook) -> Money {
    book.position.net_realized().unwrap_or(Money::ZERO)
}

/// One position.
pub fn position(book: &InstrumentBook) -> Value {
    let held = book.position;
    json!({
        "symbol": book.spec.symbol,
        "side": direction(held.qty),
        "qty": book.spec.qty_text(Qty(held.qty.0.abs())),
        "avg_px": price(held.avg_px(book.lot_value)),
        "mark": price(book.market.price),
        "realized_pnl": net_realized(book).to_string(),
        "unrealized_pnl": text_or_null(unrealized(book)),
        "commission": held.commission.to_string(),
    })
}

/// The account.
pub fn account(state: &State, names: &Names) -> Value {
    let account = state.account();
    let reason = state.halted().map(|code| names.halt_reason().unwrap_or(code.name()));
    json!({
        "currency": state.settings().account.currency,
        "equity": account.equity().to_string(),
        "realized_pnl": account.net_realized().to_string(),
        "unrealized_pnl": account.unrealized().to_string(),
        "commission": account.commission().to_string(),
        "halted": state.halted().is_some(),
        "halt_reason": reason,
    })
}

/// The orders held, in the order of their creation.
pub fn sorted_orders(state: &State) -> Vec<&Order> {
    let mut orders: Vec<&Order> = state.orders().iter().collect();
    orders.sort_by_key(|order| (order.created, order.id));
    orders
}

/// The whole state: where it stands, orders, positions, account, limits.
pub fn state(state: &State, names: &Names, watch: &Watch) -> Value {
    let orders: Vec<Value> =
        sorted_orders(state).into_iter().map(|each| order(state, names, each)).collect();
    let positions: Vec<Value> = state.books().iter().map(position).collect();
    json!({
        "seq": state.seq(),
        "time": crate::text::time(state.ts()),
        "orders": orders,
        "positions": positions,
        "account": account(state, names),
        "parts": AccountParts::of(state).json(),
        "halted_instruments": watch.halted_json(state),
        "limits": limits::json(state.risk_view().settings, state.settings()),
        "limits_changed": watch.changes_json(),
    })
}
