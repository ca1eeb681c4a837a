//! From a signal to a quantity.

use super::view::RiskView;
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
/// - `exact`: the wish's own quantity, which no other way of sizing looks at.
///
/// # Errors
/// - [`Code::BadQty`]: exact, and no quantity above zero;
/// - [`Code::BadPrice`]: a price of zero, no stop, or a stop that is not on the losing side;
/// - [`Code::NoMark`]: no price;
/// - [`Code::ZeroSize`]: less than one lot, or the instrument has no margin to size by;
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
            whole_lots(budget(view, strength)?, per_lot(price.0, book.lot_value)?)
        }
        Sizing::PercentMargin => {
            // There is a margin to divide by, or there is no size: nothing is assumed.
            let margin = book.spec.initial_margin.filter(|margin| margin.0 > 0);
            whole_lots(budget(view, strength)?, margin.ok_or(Code::ZeroSize)?.0)
        }
        Sizing::FixedRisk => {
            let price = wish.price.ok_or(Code::NoMark)?;
            let stop = wish.stop.ok_or(Code::BadPrice)?;
            let ahead = price.checked_sub(stop).ok_or(Code::Overflow)?;
            let loss = ahead.0.checked_mul(wish.side.sign()).ok_or(Code::Overflow)?;
            if loss <= 0 {
                return Err(Code::BadPrice);
            }
            whole_lots(budget(view, Ratio::ONE)?, per_lot(loss, book.lot_value)?)
        }
        Sizing::VolatilityTarget => return Err(Code::ZeroSize),
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

/// What one lot takes of the budget; above zero.
fn per_lot(price: i64, lot_value: i64) -> Result<i128, Code> {
    let value = i128::from(price).abs() * i128::from(lot_value);
    if value > 0 { Ok(value) } else { Err(Code::BadPrice) }
}

fn whole_lots(budget: Money, per_lot: i128) -> i128 {
    budget.0 / per_lot
}
