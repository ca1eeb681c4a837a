//! One order before the rules: what it and everything around it come to, measured once.
//!
//! Exposure is the worst case of the order's side: the position, all working orders of that side,
//! and this one. A position held the other way takes lots away from them, at their average price.

use super::exposure::Working;
use super::view::{Candidate, InstrumentBook, RiskView};
use crate::code::Code;
use crate::order::Contribution;
use crate::settings::ExposureBasis;
use crate::units::{Money, Price, Qty, Side, prorate};

/// A figure; or why there is none: [`Code::NoMark`], [`Code::NoRate`] or [`Code::Overflow`].
pub(super) type Measured = Result<Money, Code>;

/// What the rules share.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) view: &'a RiskView<'a>,
    pub(super) candidate: &'a Candidate,
    pub(super) book: &'a InstrumentBook,
    /// The order can only shrink the position, whatever else on its side trades first.
    pub(super) is_exit: bool,
    /// The working orders of the order's side, this one among them.
    pub(super) working: Result<Working, Code>,
    /// What this order is worth. `None`: no limit that is on asks for it.
    pub(super) order_value: Option<Measured>,
    /// What `max_position_pct` measures. `None`: off, or an exit.
    pub(super) position: Option<Measured>,
    /// Initial margin of the worst case of every instrument. `None`: off, or an exit.
    pub(super) margin: Option<Measured>,
}

impl<'a> Case<'a> {
    pub(super) fn new(view: &'a RiskView<'a>, candidate: &'a Candidate) -> Self {
        let book = &view.books[candidate.instrument.index()];
        let working = working_with(book, candidate);
        let held = book.position.qty.0 * candidate.side.sign();
        let fits = |working: &Working| i128::from(working.qty().0) <= -i128::from(held);
        let is_exit = working.as_ref().is_ok_and(fits);
        let mut case = Self {
            view,
            candidate,
            book,
            is_exit,
            working,
            order_value: None,
            position: None,
            margin: None,
        };
        if book.spec.min_notional.is_some() || book.spec.max_notional.is_some() {
            case.order_value = Some(case.value_of_order());
        }
        if view.settings.limits.max_position_pct.is_some() && !is_exit {
            case.position = Some(case.position_by(view.settings.exposure_basis));
        }
        if view.settings.margin && book.spec.initial_margin.is_some() && !is_exit {
            case.margin = Some(case.margin_required());
        }
        case
    }

    /// Every figure that was asked for and that the verdict rests on.
    pub(super) fn measured(&self) -> impl Iterator<Item = Measured> {
        [self.order_value, self.position, self.margin].into_iter().flatten()
    }

    /// Lots held the order's way; below zero if held the other way.
    fn held(&self) -> i64 {
        self.book.position.qty.0 * self.candidate.side.sign()
    }

    /// Whether the strategy's own position stays in its range if everything of it on this side
    /// trades.
    pub(super) fn strategy_fits(&self) -> bool {
        let Candidate { instrument, strategy, side, qty, instead_of, .. } = *self.candidate;
        let Some(own) = self.view.strategies.get(strategy, instrument) else { return true };
        let before = instead_of.map_or(0, |before| before.qty.0);
        let lots = [own.position.qty.0 * side.sign(), own.exposure.side(side).qty().0, qty.0];
        let most = lots.iter().map(|lots| i128::from(*lots)).sum::<i128>() - i128::from(before);
        most <= i128::from(self.book.qty_limit.0)
    }

    /// What a market order of this side counts at.
    fn market_price(&self) -> Result<Price, Code> {
        self.book.market.price_for(self.candidate.side).ok_or(Code::NoMark)
    }

    /// |price| x lots x lot value of this order alone, in the contract's currency: its bounds are.
    fn value_of_order(&self) -> Measured {
        let own = self.candidate.counted_price();
        let price = own.map_or_else(|| self.market_price(), Ok)?;
        let value = Money::notional(price, self.candidate.qty, self.book.lot_value);
        value.map(|value| Money(value.0.abs())).ok_or(Code::Overflow)
    }

    fn position_by(&self, basis: ExposureBasis) -> Measured {
        let value = match (basis, self.book.spec.initial_margin) {
            (ExposureBasis::Notional, _) => self.side_value(self.book.lot_value),
            // The multiplier is ignored; a lot is still a lot.
            (ExposureBasis::Price, _) => self.side_value(self.book.spec.lot_size),
            (ExposureBasis::Margin, Some(margin)) => self.side_margin(margin),
            // What has no margin is paid in full.
            (ExposureBasis::Margin, None) => self.side_value(self.book.lot_value),
            (ExposureBasis::Risk, _) => self.side_risk(),
        };
        self.in_account(self.book, value)
    }

    /// Money of a contract's currency in the account's.
    fn in_account(&self, book: &InstrumentBook, value: Measured) -> Measured {
        self.view.rates.convert(book.currency, value?)
    }

    /// The worst case of the side at its prices; `unit` is what a lot is worth per price, 1e-9.
    fn side_value(&self, unit: i64) -> Measured {
        let working = self.working?;
        let at_market = if working.market_qty.0 == 0 {
            0
        } else {
            product(self.market_price()?, working.market_qty)?
        };
        let orders = working.priced_value.checked_add(at_market).ok_or(Code::Overflow)?;
        self.with_position(orders, unit, || self.book.market.price)
    }

    /// The worst case of the side, by what is lost if every stop is hit.
    fn side_risk(&self) -> Measured {
        let working = self.working?;
        // An order without a stop may lose anything: there is no price to measure it by.
        if working.unprotected_qty.0 > 0 {
            return Err(Code::NoMark);
        }
        self.with_position(working.distance_value, self.book.lot_value, || {
            self.book.market.price?.distance(self.book.protect_px?)
        })
    }

    /// Orders (price x lots) and the position (at a price that is asked for only if needed), as
    /// money.
    fn with_position(
        &self,
        orders: i128,
        unit: i64,
        position_price: impl Fn() -> Option<Price>,
    ) -> Measured {
        let held = self.held();
        let money = |value: i128| value.checked_mul(i128::from(unit)).ok_or(Code::Overflow);
        if held >= 0 {
            let at_price = if held == 0 {
                0
            } else {
                product(position_price().ok_or(Code::NoMark)?, Qty(held))?
            };
            let total = orders.checked_add(at_price).ok_or(Code::Overflow)?;
            return bounded(money(total)?);
        }
        let lots = self.working?.qty().0;
        let net = (lots + held).max(0);
        if net == 0 {
            return Ok(Money::ZERO);
        }
        bounded(prorate(money(orders)?, net, lots))
    }

    /// The worst case of the side in lots, times a lot's margin.
    fn side_margin(&self, margin: Money) -> Measured {
        let lots = i128::from(self.working?.qty().0) + i128::from(self.held());
        bounded(lots.max(0).checked_mul(margin.0).ok_or(Code::Overflow)?)
    }

    /// Sum over the instruments of max(|position + buys|, |position - sells|) x initial margin.
    fn margin_required(&self) -> Measured {
        let mut total = Money::ZERO;
        for (index, book) in self.view.books.iter().enumerate() {
            let Some(margin) = book.spec.initial_margin else { continue };
            let side = |side| i128::from(book.exposure.side(side).qty().0);
            let (mut buys, mut sells) = (side(Side::Buy), side(Side::Sell));
            if index == self.candidate.instrument.index() {
                let with_this = i128::from(self.working?.qty().0);
                match self.candidate.side {
                    Side::Buy => buys = with_this,
                    Side::Sell => sells = with_this,
                }
            }
            let held = i128::from(book.position.qty.0);
            let lots = (held + buys).abs().max((held - sells).abs());
            if lots == 0 {
                // Nothing is nothing in any currency: a rate is not asked for.
                continue;
            }
            let needed = bounded(lots.checked_mul(margin.0).ok_or(Code::Overflow)?);
            let needed = self.in_account(book, needed)?;
            total = total.checked_add(needed).ok_or(Code::Overflow)?;
        }
        Ok(total)
    }
}

/// The working orders of the candidate's side, with the candidate, without what it stands in for.
fn working_with(book: &InstrumentBook, candidate: &Candidate) -> Result<Working, Code> {
    let price = candidate.counted_price();
    let from = price.or_else(|| book.market.price_for(candidate.side));
    let own = Contribution {
        side: candidate.side,
        qty: candidate.qty,
        price,
        distance: from.zip(candidate.protect_px).and_then(|(from, stop)| from.distance(stop)),
    };
    let mut working = *book.exposure.side(candidate.side);
    if let Some(before) = candidate.instead_of {
        assert!(before.side == candidate.side);
        working = working.without(before).map_err(|_| Code::Overflow)?;
    }
    working.with(own).map_err(|_| Code::Overflow)
}

/// |price| x lots.
fn product(price: Price, qty: Qty) -> Result<i128, Code> {
    i128::from(price.0).abs().checked_mul(i128::from(qty.0)).ok_or(Code::Overflow)
}

/// Within what a balance may be.
fn bounded(value: i128) -> Measured {
    Money::ZERO.checked_add(Money(value)).ok_or(Code::Overflow)
}
