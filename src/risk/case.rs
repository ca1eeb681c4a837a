//! One order before the rules: what it is, whose limits it must keep, and the figures that they ask
//! for.
//!
//! Every figure is a `Result`: one that cannot be had is an error, and the code of the error is the
//! rule that breaks for it.

use super::exposure::{Exposure, Working};
use super::stake::{Measured, Stake};
use super::verdict::{Asked, Reading, Reply};
use super::view::{Candidate, InstrumentBook, Market, RiskView};
use crate::code::Code;
use crate::instrument::InstrumentId;
use crate::limits::PRICE_SCALE;
use crate::order::{Contribution, OrdType};
use crate::settings::{ExposureBasis, Limits, Scope};
use crate::units::{Money, Price, Side};
use arrayvec::ArrayVec;

/// What the rules share.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) view: &'a RiskView<'a>,
    pub(super) candidate: &'a Candidate,
    pub(super) book: &'a InstrumentBook,
    /// Whose limits it must keep.
    scopes: ArrayVec<(Scope, &'a Limits), { Scope::ALL.len() }>,
    /// The working orders of the order's side, this one among them.
    pub(super) working: Result<Working, Code>,
    /// The order can only shrink the position, whatever else on its side trades first.
    pub(super) is_exit: bool,
    /// A replace that cannot raise the worst case of its side: nothing that was let through grows.
    pub(super) asks_less: bool,
    /// The prices of its instrument, or why they are not to be used.
    market: Result<&'a Market, Code>,
    /// Gross exposure of the account, that two rules ask for. `None`: nobody does.
    gross: Option<Measured>,
}

impl<'a> Case<'a> {
    pub(super) fn new(view: &'a RiskView<'a>, candidate: &'a Candidate) -> Self {
        let book = &view.books[candidate.instrument.index()];
        let mut case = Self {
            view,
            candidate,
            book,
            scopes: view.limits_for(candidate).collect(),
            working: working_with(book, book.exposure.side(candidate.side), candidate),
            is_exit: false,
            asks_less: false,
            market: Ok(&book.market),
            gross: None,
        };
        if matches!(case.age(), Ok(Reply::Beyond(_))) {
            case.market = Err(Code::StaleMark);
        }
        let own = case.own_stake(Scope::Account);
        case.is_exit = own.is_ok_and(|own| own.shrinks(candidate.side));
        case.asks_less = case.cannot_raise();
        let limits = &view.settings.limits;
        let asks_gross = limits.max_gross_exposure.is_some() || limits.max_leverage.is_some();
        if asks_gross && case.adds() {
            case.gross = Some(case.sum_of_gross(Scope::Account));
        }
        case
    }

    /// Whether the order may make more of anything that is held or at work.
    pub(super) const fn adds(&self) -> bool {
        !self.is_exit && !self.asks_less
    }

    /// Whether it is a replace of an order that counts for as much already, or more.
    fn cannot_raise(&self) -> bool {
        let Some(before) = self.candidate.instead_of else { return false };
        let own = contribution(self.book, self.candidate);
        let size = |price: Option<Price>| price.map(|price| price.0.unsigned_abs());
        let farther = self.view.settings.exposure_basis == ExposureBasis::Risk
            && self.candidate.counted_price().is_some()
            && own.distance > before.distance;
        own.qty <= before.qty && size(own.price) <= size(before.price) && !farther
    }

    /// Asks for a figure in every scope that has a limit, and answers with the scope that is broken
    /// worst or comes nearest to its own; the first of equals. A scope may have nothing to say.
    pub(super) fn nearest<T>(
        &self,
        limit: impl Fn(&Limits) -> Option<T>,
        measure: impl Fn(Scope, T) -> Result<Option<(Reading, bool)>, Code>,
    ) -> Asked {
        let mut nearest: Option<(Reading, bool)> = None;
        for (scope, limits) in &self.scopes {
            let Some(limit) = limit(limits) else { continue };
            let Some((reading, broken)) = measure(*scope, limit)? else { continue };
            let reading = reading.of(*scope);
            let is_nearer = nearest.is_none_or(|(than, was_broken)| match (broken, was_broken) {
                (true, false) => true,
                (false, true) => false,
                (true, true) | (false, false) => reading.cmp_tightness(&than).is_gt(),
            });
            if is_nearer {
                nearest = Some((reading, broken));
            }
        }
        Ok(nearest.map_or(Reply::Skipped, |(reading, broken)| Reply::measured(reading, broken)))
    }

    /// What a scope holds of an instrument, in signed lots, and what it has at work there.
    fn holding(&self, scope: Scope, index: usize) -> Result<(i64, &'a Exposure), Code> {
        let book = &self.view.books[index];
        match scope {
            Scope::Account | Scope::Instrument => Ok((book.position.qty.0, &book.exposure)),
            Scope::Strategy => {
                let place = (self.candidate.strategy, book_id(index));
                let own = self.view.strategies.get(place.0, place.1).ok_or(Code::Capacity)?;
                Ok((own.position.qty.0, &own.exposure))
            }
        }
    }

    /// What a scope has in the order's instrument, the order included.
    pub(super) fn own_stake(&self, scope: Scope) -> Result<Stake<'a>, Code> {
        let (held, exposure) = self.holding(scope, self.candidate.instrument.index())?;
        let side = self.candidate.side;
        let mut working = [*exposure.side(Side::Buy), *exposure.side(Side::Sell)];
        working[side.index()] = match scope {
            Scope::Account | Scope::Instrument => self.working?,
            Scope::Strategy => working_with(self.book, exposure.side(side), self.candidate)?,
        };
        Ok(Stake { book: self.book, held, working, market: self.market })
    }

    /// What a scope has in every instrument, the order included: those where there is something.
    fn stakes(&self, scope: Scope) -> impl Iterator<Item = Result<Stake<'a>, Code>> {
        let own = self.candidate.instrument.index();
        let places = match scope {
            Scope::Account | Scope::Strategy => 0..self.view.books.len(),
            Scope::Instrument => own..own + 1,
        };
        places.filter_map(move |index| {
            if index == own {
                return Some(self.own_stake(scope));
            }
            let holding = self.holding(scope, index);
            if holding.is_ok_and(|(held, exposure)| held == 0 && exposure.orders() == 0) {
                return None;
            }
            Some(holding.map(|(held, exposure)| {
                let working = [*exposure.side(Side::Buy), *exposure.side(Side::Sell)];
                // A closed market's old mark must not stop trading elsewhere.
                let book = &self.view.books[index];
                Stake { book, held, working, market: Ok(&book.market) }
            }))
        })
    }

    /// An amount in an instrument's currency, in the account's: the only way from one to the other.
    fn in_account(&self, book: &InstrumentBook, amount: Money) -> Measured {
        self.view.rates.convert(book.currency, amount)
    }

    /// The mark of the order's instrument, if it may be used.
    pub(super) fn mark(&self) -> Result<Price, Code> {
        self.market?.price.ok_or(Code::NoMark)
    }

    /// Whether the strategy's own position stays in its range if everything of it on this side
    /// trades.
    pub(super) fn strategy_fits(&self) -> bool {
        let Candidate { instrument, strategy, side, qty, instead_of, .. } = *self.candidate;
        let Some(own) = self.view.strategies.get(strategy, instrument) else { return true };
        let before = instead_of.map_or(0, |before| before.qty.0);
        let lots = [side.signed(own.position.qty.0), own.exposure.side(side).qty().0, qty.0];
        let most = lots.iter().map(|lots| i128::from(*lots)).sum::<i128>() - i128::from(before);
        most <= i128::from(self.book.qty_limit.0)
    }

    /// What a market order of this side counts at.
    fn market_price(&self) -> Result<Price, Code> {
        self.market?.price_for(self.candidate.side).ok_or(Code::NoMark)
    }

    /// How old the mark is, where that is limited.
    pub(super) fn age(&self) -> Asked {
        let Market { price, ts, .. } = self.book.market;
        let age = i128::from(self.view.now.0) - i128::from(ts.0);
        self.nearest(
            |limits| limits.max_mark_age_ms,
            |_, limit| {
                price.ok_or(Code::NoMark)?;
                let reading = Reading::age(age, limit);
                Ok(Some((reading, reading.is_over())))
            },
        )
    }

    /// |price| x lots x lot value of this order alone, in the instrument's currency.
    pub(super) fn order_value(&self) -> Measured {
        let own = self.candidate.counted_price();
        let price = own.map_or_else(|| self.market_price(), Ok)?;
        let value = Money::notional(price, self.candidate.order_qty, self.book.lot_value);
        value.map(|value| Money(value.0.abs())).ok_or(Code::Overflow)
    }

    /// The same in the account's currency.
    pub(super) fn order_notional(&self) -> Measured {
        self.in_account(self.book, self.order_value()?)
    }

    /// The distance of the order's farthest price from the mark, as a share of the mark, 1e-9, up:
    /// above a limit of nine decimals exactly if the share itself is.
    pub(super) fn distance(&self) -> Result<i128, Code> {
        let Candidate { ord_type, price, stop_price, .. } = *self.candidate;
        let prices = match ord_type {
            OrdType::Market => [Some(self.market_price()?), None],
            OrdType::Limit => [price, None],
            OrdType::Stop => [stop_price, None],
            OrdType::StopLimit => [price, stop_price],
        };
        let mark = self.mark()?;
        let distances = prices.iter().flatten().map(|price| price.0.abs_diff(mark.0));
        let farthest = i128::from(distances.max().unwrap_or(0));
        let whole = i128::from(mark.0).abs();
        if whole == 0 {
            // Any distance at all is beyond every share of nothing.
            return Ok(if farthest == 0 { 0 } else { i128::MAX });
        }
        // 2^64 x 1e9 is an i128 by far.
        Ok((farthest * i128::from(PRICE_SCALE) + whole - 1) / whole)
    }

    /// What `max_position_pct` measures.
    pub(super) fn position(&self, own: &Stake<'_>) -> Measured {
        let (side, spec) = (self.candidate.side, &own.book.spec);
        let value = match (self.view.settings.exposure_basis, spec.initial_margin) {
            (ExposureBasis::Notional, _) => own.side_value(side, own.book.lot_value),
            // The multiplier is ignored; a lot is still a lot.
            (ExposureBasis::Price, _) => own.side_value(side, spec.lot_size),
            (ExposureBasis::Margin, Some(margin)) => own.side_margin(side, margin),
            // What has no margin is paid in full.
            (ExposureBasis::Margin, None) => own.side_value(side, own.book.lot_value),
            (ExposureBasis::Risk, _) => own.side_risk(side),
        };
        self.in_account(own.book, value?)
    }

    /// Orders at work in a scope, with this one.
    pub(super) fn open_orders(&self, scope: Scope) -> Result<u64, Code> {
        self.stakes(scope).try_fold(0, |sum, stake| Ok(sum + stake?.orders()))
    }

    /// Sum over the instruments of the larger of the two sides' worst cases.
    pub(super) fn gross(&self, scope: Scope) -> Measured {
        match (scope, self.gross) {
            (Scope::Account, Some(gross)) => gross,
            (Scope::Account, None) | (Scope::Instrument | Scope::Strategy, _) => {
                self.sum_of_gross(scope)
            }
        }
    }

    fn sum_of_gross(&self, scope: Scope) -> Measured {
        self.sum(scope, |stake| stake.gross())
    }

    /// The worst case of all instruments in the order's direction, each against the others.
    pub(super) fn net(&self, scope: Scope) -> Measured {
        self.sum(scope, |stake| stake.net(self.candidate.side)).map(|net| net.max(Money::ZERO))
    }

    /// Initial margin of the worst case of every instrument that has one.
    pub(super) fn margin(&self) -> Measured {
        self.sum(Scope::Account, |stake| {
            stake.book.spec.initial_margin.map_or(Ok(Money::ZERO), |margin| stake.margin(margin))
        })
    }

    /// Sum of a figure over the instruments, in the account's currency.
    fn sum(&self, scope: Scope, figure: impl Fn(&Stake<'_>) -> Measured) -> Measured {
        self.stakes(scope).try_fold(Money::ZERO, |sum, stake| {
            let stake = stake?;
            let value = self.in_account(stake.book, figure(&stake)?)?;
            sum.checked_add(value).ok_or(Code::Overflow)
        })
    }
}

/// What the order adds to its side. A replace counts at the worse of its terms and those that it
/// stands in for, as it will until the venue answers: the old ones may trade first.
fn contribution(book: &InstrumentBook, candidate: &Candidate) -> Contribution {
    let price = candidate.counted_price();
    let from = price.or_else(|| book.market.price_for(candidate.side));
    let distance = from.zip(candidate.protect_px).and_then(|(from, stop)| from.distance(stop));
    let new = Contribution { side: candidate.side, qty: candidate.qty, price, distance };
    candidate.instead_of.map_or(new, |before| new.or_worse(before))
}

/// The working orders of the candidate's side, with the candidate, without what it stands in for.
fn working_with(
    book: &InstrumentBook,
    working: &Working,
    candidate: &Candidate,
) -> Result<Working, Code> {
    let mut working = *working;
    if let Some(before) = candidate.instead_of {
        assert!(before.side == candidate.side);
        working = working.without(before).map_err(|_| Code::Overflow)?;
    }
    working.with(contribution(book, candidate)).map_err(|_| Code::Overflow)
}

fn book_id(index: usize) -> InstrumentId {
    InstrumentId(u16::try_from(index).expect("limits.rs bounds it"))
}
