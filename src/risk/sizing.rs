//! From a signal to a quantity.

use super::correlation::Deviation;
use super::view::{InstrumentBook, RiskView};
use crate::code::Code;
use crate::instrument::InstrumentId;
use crate::limits::{MONEY_SCALE, QTY_MAX};
use crate::settings::Sizing;
use crate::units::{Money, Price, Qty, Ratio, Side};

/// What a signal asks to be sized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What to trade; must be in the table.
    pub instrument: InstrumentId,
    /// Buy or sell.
    pub side: Side,
    /// 0 to 1; beyond that it counts as 0 or 1.
    pub strength: Ratio,
    /// The price at decision: the signal's, else the mark.
    pub price: Option<Price>,
    /// Where the loss is to be stopped: used by fixed risk.
    pub stop: Option<Price>,
    /// Lots: used by exact sizing.
    pub qty: Option<Qty>,
}

/// Sizes a wish: whole lots, cut down, at most `sizing_max_qty`.
///
/// - `percent_equity`: equity x `sizing_pct` x strength / (|price| x lot value);
/// - `percent_margin`: equity x `sizing_pct` x strength / initial margin;
/// - `fixed_risk`: equity x `sizing_pct` / (|price - stop| x lot value), strength not counted: the
///   stop says what is at risk;
/// - `volatility_target`: equity x `sizing_pct` x strength / (deviation x |price| x lot value), the
///   deviation of the instrument's bar returns (see [`super::correlation`]): what one bar typically
///   makes or loses is that share of equity, whatever is traded (R. Carver, Systematic Trading,
///   2015, "Volatility targeting" and "Position sizing");
/// - `exact`: the wish's own quantity, which no other way of sizing looks at.
///
/// # Errors
/// - [`Code::BadQty`]: exact, and no quantity above zero;
/// - [`Code::BadPrice`]: a price of zero, no stop, or a stop that is not on the losing side;
/// - [`Code::NoMark`]: no price;
/// - [`Code::NoRate`]: the contract's currency has no rate to the account's;
/// - [`Code::ZeroSize`]: less than one lot, or the instrument has no margin to size by, or fewer
///   bars than the window, or bars that did not move;
/// - [`Code::Overflow`]: a figure out of range.
pub fn size(view: &RiskView<'_>, wish: &Wish) -> Result<Qty, Code> {
    let book = &view.books[wish.instrument.index()];
    let strength = Ratio(wish.strength.0.clamp(0, Ratio::ONE.0));
    let lots = match view.settings.sizing {
        Sizing::Exact => match wish.qty {
            Some(qty) if qty.0 > 0 => i128::from(qty.0),
            Some(_) | None => return Err(Code::BadQty),
        },
        Sizing::PercentEquity => {
            let price = wish.price.ok_or(Code::NoMark)?;
            whole_lots(budget(view, strength)?, per_lot(view, book, price.0)?)
        }
        Sizing::PercentMargin => {
            // There is a margin to divide by, or there is no size: nothing is assumed.
            let margin = book.spec.initial_margin.filter(|margin| margin.0 > 0);
            let margin = in_account(view, book, margin.ok_or(Code::ZeroSize)?)?;
            whole_lots(budget(view, strength)?, margin)
        }
        Sizing::FixedRisk => {
            let price = wish.price.ok_or(Code::NoMark)?;
            let stop = wish.stop.ok_or(Code::BadPrice)?;
            let ahead = price.checked_sub(stop).ok_or(Code::Overflow)?;
            let loss = ahead.0.checked_mul(wish.side.sign()).ok_or(Code::Overflow)?;
            if loss <= 0 {
                return Err(Code::BadPrice);
            }
            whole_lots(budget(view, Ratio::ONE)?, per_lot(view, book, loss)?)
        }
        Sizing::VolatilityTarget => {
            let price = wish.price.ok_or(Code::NoMark)?;
            let per_lot = per_lot(view, book, price.0)?.0;
            let deviation = view.correlations.deviation(wish.instrument).ok_or(Code::ZeroSize)?;
            // What no budget can hold is less than one lot of any.
            let moved = typical_move(per_lot, deviation).ok_or(Code::ZeroSize)?;
            whole_lots(budget(view, strength)?, Money(moved))
        }
    };
    let most = view.settings.sizing_max_qty.map(|most| book.spec.whole_lots(most));
    let most = most.map_or(i128::MAX, |most| i128::from(most.0));
    let lots = lots.min(most);
    if lots <= 0 {
        return Err(Code::ZeroSize);
    }
    match i64::try_from(lots) {
        Ok(lots) if lots <= QTY_MAX => Ok(Qty(lots)),
        Ok(_) | Err(_) => Err(Code::Overflow),
    }
}

/// equity x `sizing_pct` x strength, cut to 1e-18: whole lots of a whole number of units come out
/// the same as from the uncut product.
fn budget(view: &RiskView<'_>, strength: Ratio) -> Result<Money, Code> {
    let equity = view.account.equity().0.max(0);
    let share = i128::from(view.settings.sizing_pct.0) * i128::from(strength.0);
    // share is in 1e-18. Split, so that the product stays in range on the way.
    let (whole, rest) = (equity / MONEY_SCALE, equity % MONEY_SCALE);
    let product = whole.checked_mul(share).ok_or(Code::Overflow)?;
    let fraction = rest.checked_mul(share).ok_or(Code::Overflow)? / MONEY_SCALE;
    product.checked_add(fraction).map(Money).ok_or(Code::Overflow)
}

/// What one lot takes of the budget at this price; above zero.
fn per_lot(view: &RiskView<'_>, book: &InstrumentBook, price: i64) -> Result<Money, Code> {
    let value = i128::from(price).abs() * i128::from(book.lot_value);
    if value == 0 {
        return Err(Code::BadPrice);
    }
    in_account(view, book, Money(value))
}

/// value x deviation, up to the next 1e-18; above zero. `None` past the end of `i128`.
fn typical_move(value: i128, deviation: Deviation) -> Option<i128> {
    let (one, deviation) = (Deviation::ONE, i128::from(deviation.0));
    // Split, so that a large value times a small deviation does not overflow on the way.
    let (whole, rest) = (value / one, value % one);
    whole.checked_mul(deviation)?.checked_add((rest * deviation + one - 1) / one)
}

/// A lot's worth in the account's currency, half to even at 1e-18. Worth less than that, it cannot
/// be sized by.
fn in_account(view: &RiskView<'_>, book: &InstrumentBook, money: Money) -> Result<Money, Code> {
    let worth = view.rates.convert(book.currency, money)?;
    if worth.0 > 0 { Ok(worth) } else { Err(Code::Overflow) }
}

fn whole_lots(budget: Money, per_lot: Money) -> i128 {
    budget.0 / per_lot.0
}
