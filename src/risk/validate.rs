//! Whether an order is well formed for its instrument, before any limit is asked.

use super::view::InstrumentBook;
use crate::code::Code;
use crate::limits::PRICE_MAX;
use crate::order::{OrdType, Tif};
use crate::units::{Price, Qty, Ts};

/// What an order asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Market, limit, stop, stop-limit.
    pub ord_type: OrdType,
    /// How long it works.
    pub tif: Tif,
    /// Lots.
    pub qty: Qty,
    /// Limit price.
    pub price: Option<Price>,
    /// Stop price.
    pub stop_price: Option<Price>,
    /// End of a good-till-date order.
    pub expire_at: Option<Ts>,
    /// What the edge could not write down in the engine's units. The figure that it is about is
    /// then not judged again.
    pub defect: Option<Code>,
}

/// Checks the terms of an order against its instrument; `None` is a symbol that nobody knows.
///
/// # Errors
/// The lowest code that applies, of `UNKNOWN_SYMBOL`, `BAD_QTY`, `BAD_PRICE`, `OFF_LOT`,
/// `OFF_TICK`, `MIN_QTY`, `MAX_QTY`, `NEGATIVE_PRICE`, `EXPIRED_ON_ENTRY` and the edge's defect.
/// `OVERFLOW` comes after the limits: [`check`](super::check) finds it.
pub fn validate(book: Option<&InstrumentBook>, now: Ts, terms: &Terms) -> Result<(), Code> {
    let Some(InstrumentBook { spec, .. }) = book else { return Err(Code::UnknownSymbol) };
    let judges_qty = !matches!(terms.defect, Some(Code::BadQty | Code::OffLot));
    let judges_missing = !matches!(terms.defect, Some(Code::BadPrice | Code::OffTick));
    let any_price = |is: fn(i64, i64) -> bool, bound: i64| {
        used_prices(terms).into_iter().flatten().flatten().any(|price| is(price.0, bound))
    };
    let missing = used_prices(terms).into_iter().any(|used| used == Some(None));

    let found = [
        (Code::BadQty, judges_qty && terms.qty.0 <= 0),
        (Code::BadPrice, judges_missing && missing),
        (Code::BadPrice, any_price(|price, bound| price > bound || price < -bound, PRICE_MAX)),
        (Code::OffTick, any_price(|price, tick| price % tick != 0, spec.tick_size.0)),
        (Code::MinQty, judges_qty && spec.min_qty.is_some_and(|least| terms.qty < least)),
        (Code::MaxQty, judges_qty && spec.max_qty.is_some_and(|most| terms.qty > most)),
        (Code::NegativePrice, !spec.negative_prices && any_price(|price, zero| price <= zero, 0)),
        (
            Code::ExpiredOnEntry,
            terms.tif == Tif::Gtd && terms.expire_at.is_none_or(|expire_at| expire_at <= now),
        ),
    ];
    let first = found.into_iter().find_map(|(code, applies)| applies.then_some(code));
    match first.into_iter().chain(terms.defect).min() {
        Some(code) => Err(code),
        None => Ok(()),
    }
}

/// The prices that the order's type has: `Some(None)` is one that is missing. Others are ignored.
fn used_prices(terms: &Terms) -> [Option<Option<Price>>; 2] {
    [
        terms.ord_type.has_limit().then_some(terms.price),
        terms.ord_type.has_stop().then_some(terms.stop_price),
    ]
}
