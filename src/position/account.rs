//! The account: what everything is worth together, and how far that has fallen.

use super::{Balance, Overflow, Rate, Rates};
use crate::digest::Digest;
use crate::image::{BadImage, Bytes, Image};
use crate::limits::{BALANCE_MAX, PRICE_SCALE};
use crate::units::{Money, Ratio, cmp_products};
use std::cmp::Ordering;

/// Balances by currency, exact, and what they are worth in the account's currency.
///
/// Equity = initial capital + the P&L of every currency at its rate: realized - commission +
/// unrealized, converted as one sum, half to even at 1e-18. Unrealized P&L and commission are
/// converted by themselves, and what is realized is the rest: so it is always true, to the last
/// unit, that equity = initial capital + realized - commission + unrealized, and closing a position
/// at its mark changes no equity. In the account's own currency nothing is rounded.
///
/// A currency whose rate has not come is left out of every sum: see
/// [`Account::equity_is_whole`]. Each sum, and each figure of a balance, is within
/// [`BALANCE_MAX`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    initial_capital: Money,
    rates: Rates,
    /// By [`Settings::currencies`](crate::settings::Settings::currencies).
    purses: Vec<Purse>,
    total: Worth,
    equity: Money,
    peak_equity: Money,
    day_start_equity: Money,
}

/// One currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Purse {
    balance: Balance,
    /// At the current rate: kept, so that a fill converts no other currency than its own.
    worth: Worth,
}

/// A balance in the account's currency, 1e-18.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Worth {
    pnl: i128,
    commission: i128,
    unrealized: i128,
}

impl Worth {
    fn of(balance: &Balance, rate: Rate) -> Option<Self> {
        Some(Self {
            pnl: rate.worth(balance.pnl().0)?,
            commission: rate.worth(balance.commission.0)?,
            unrealized: rate.worth(balance.unrealized.0)?,
        })
    }

    /// The sum, with `new` in the place of `old`.
    fn moved(self, old: Self, new: Self) -> Option<Self> {
        let moved = |sum: i128, old: i128, new: i128| sum.checked_sub(old)?.checked_add(new);
        Some(Self {
            pnl: moved(self.pnl, old.pnl, new.pnl)?,
            commission: moved(self.commission, old.commission, new.commission)?,
            unrealized: moved(self.unrealized, old.unrealized, new.unrealized)?,
        })
    }

    const fn realized(self) -> Money {
        Money(self.pnl - self.unrealized + self.commission)
    }
}

/// What one currency's change makes of the account.
struct Next {
    purse: Purse,
    total: Worth,
    equity: Money,
}

/// A fall and the most that it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fall {
    /// How far equity stands below where it is measured from; negative is above.
    pub number: Money,
    /// The share of that which the limit allows, cut to 1e-18 to be shown.
    pub limit: Money,
    /// Whether it is more than the limit, compared exactly.
    pub broken: bool,
}

impl Account {
    /// Before the first order: so many currencies, its own among them, and no other rate known.
    ///
    /// # Panics
    /// If the capital is past [`BALANCE_MAX`], which parsing [`Money`] refuses; without a currency.
    pub fn new(initial_capital: Money, currencies: usize) -> Self {
        assert!(initial_capital.0.unsigned_abs() <= BALANCE_MAX.unsigned_abs());
        Self {
            initial_capital,
            rates: Rates::new(currencies),
            purses: vec![Purse::default(); currencies],
            total: Worth::default(),
            equity: initial_capital,
            peak_equity: initial_capital,
            day_start_equity: initial_capital,
        }
    }

    /// Equity before the first order.
    pub const fn initial_capital(&self) -> Money {
        self.initial_capital
    }

    /// P&L of what was closed, commission not taken off.
    pub const fn realized(&self) -> Money {
        self.total.realized()
    }

    /// P&L of what was closed, commission taken off.
    pub const fn net_realized(&self) -> Money {
        Money(self.total.pnl - self.total.unrealized)
    }

    /// Paid so far.
    pub const fn commission(&self) -> Money {
        Money(self.total.commission)
    }

    /// P&L of what is held, at the marks.
    pub const fn unrealized(&self) -> Money {
        Money(self.total.unrealized)
    }

    /// What the account is worth now, without the currencies that have no rate.
    pub const fn equity(&self) -> Money {
        self.equity
    }

    /// Equity less the initial capital.
    pub const fn pnl(&self) -> Money {
        Money(self.total.pnl)
    }

    /// The highest equity since the start or the last resume.
    pub const fn peak_equity(&self) -> Money {
        self.peak_equity
    }

    /// What the day's loss is measured from.
    pub const fn day_start_equity(&self) -> Money {
        self.day_start_equity
    }

    /// The rates that everything is converted at.
    pub const fn rates(&self) -> &Rates {
        &self.rates
    }

    /// What one currency's positions come to, in that currency; `None` if it is not in the table.
    pub fn balance(&self, currency: u16) -> Option<&Balance> {
        self.purses.get(usize::from(currency)).map(|purse| &purse.balance)
    }

    /// The currencies in which something is held, was made or was paid, and that have no rate: what
    /// the account is worth with them is not known.
    pub fn without_rate(&self) -> impl Iterator<Item = u16> {
        let currencies = (0..).zip(&self.purses);
        let lacking = currencies.filter(|(currency, purse)| {
            purse.balance != Balance::default() && self.rates.get(*currency).is_none()
        });
        lacking.map(|(currency, _)| currency)
    }

    /// Whether equity is all that there is: no currency in use is without a rate.
    pub fn equity_is_whole(&self) -> bool {
        self.without_rate().next().is_none()
    }

    /// Takes in how a position of that currency changed, by a fill, a mark or otherwise: all or
    /// nothing. Converts that one currency anew, and no other.
    ///
    /// # Errors
    /// [`Overflow`] if a figure would leave its bound.
    ///
    /// # Panics
    /// If the currency is not in the table.
    pub fn on_change(&mut self, currency: u16, change: Balance) -> Result<(), Overflow> {
        let next = self.after(currency, change)?;
        self.take(currency, next);
        Ok(())
    }

    /// Whether [`Account::on_change`] would take it in.
    ///
    /// # Panics
    /// If the currency is not in the table.
    pub fn can_change(&self, currency: u16, change: Balance) -> bool {
        self.after(currency, change).is_ok()
    }

    /// Takes in what a currency is worth from now on: all or nothing.
    ///
    /// # Errors
    /// [`Overflow`] if a figure would leave its bound.
    ///
    /// # Panics
    /// If the currency is the account's own, or not in the table.
    pub fn on_rate(&mut self, currency: u16, rate: Rate) -> Result<(), Overflow> {
        let next =
            self.at_rate(currency, self.purses[usize::from(currency)].balance, Some(rate))?;
        self.rates.set(currency, rate);
        self.take(currency, next);
        Ok(())
    }

    fn after(&self, currency: u16, change: Balance) -> Result<Next, Overflow> {
        let before = self.purses[usize::from(currency)].balance;
        let balance = before.checked_add(change).ok_or(Overflow)?;
        assert!(balance.positions >= 0);
        self.at_rate(currency, balance, self.rates.get(currency))
    }

    /// Everything, were a currency's balance and rate these.
    fn at_rate(
        &self,
        currency: u16,
        balance: Balance,
        rate: Option<Rate>,
    ) -> Result<Next, Overflow> {
        let worth = match rate {
            Some(rate) => Worth::of(&balance, rate).ok_or(Overflow)?,
            None => Worth::default(),
        };
        let old = self.purses[usize::from(currency)].worth;
        let total = self.total.moved(old, worth).ok_or(Overflow)?;
        let bounded = |sum: i128| Money::ZERO.checked_add(Money(sum)).ok_or(Overflow);
        // Two balances make the P&L, and it and two more what is realized: 4 x 4e37 is an i128.
        let equity = bounded(self.initial_capital.0.checked_add(total.pnl).ok_or(Overflow)?)?;
        bounded(total.commission)?;
        bounded(total.unrealized)?;
        bounded(total.realized().0)?;
        Ok(Next { purse: Purse { balance, worth }, total, equity })
    }

    fn take(&mut self, currency: u16, next: Next) {
        self.purses[usize::from(currency)] = next.purse;
        self.total = next.total;
        self.equity = next.equity;
    }

    /// Raises the peak to the equity, if that is higher.
    pub fn note_peak(&mut self) {
        self.peak_equity = self.peak_equity.max(self.equity);
    }

    /// A resume: the drawdown is measured from here on.
    pub fn restart_peak(&mut self) {
        self.peak_equity = self.equity;
    }

    /// A new trading day: its loss is measured from here on.
    pub fn roll_day(&mut self) {
        self.day_start_equity = self.equity;
    }

    /// The fall from the highest equity against a share of it.
    pub fn drawdown(&self, limit: Ratio) -> Fall {
        self.fall(self.peak_equity.max(self.equity), limit)
    }

    /// The loss since the day began against a share of the equity then.
    pub fn daily_loss(&self, limit: Ratio) -> Fall {
        self.fall(self.day_start_equity, limit)
    }

    /// Folds in what everything else follows from: balances, rates, capital, and where falls are
    /// measured from.
    pub fn digest(&self, digest: &mut Digest) {
        let Self { initial_capital, rates, purses, total: _, equity, peak_equity, .. } = self;
        rates.digest(digest);
        for Purse { balance, worth: _ } in purses {
            balance.digest(digest);
        }
        for money in [initial_capital, equity, peak_equity, &self.day_start_equity] {
            digest.wide(money.0);
        }
    }

    /// Appends the rates, the balances, and where falls are measured from. What they are worth
    /// together follows, and the capital is the settings'.
    pub fn write_image(&self, out: &mut Vec<u8>) {
        let Self { initial_capital: _, rates, purses, total: _, equity: _, .. } = self;
        let Self { peak_equity, day_start_equity, .. } = self;
        rates.write_image(out);
        for Purse { balance, worth: _ } in purses {
            balance.write(out);
        }
        peak_equity.write(out);
        day_start_equity.write(out);
    }

    /// Puts what was written into an account before its first order.
    ///
    /// # Errors
    /// [`BadImage`]: a figure is past its bound.
    pub fn restore(&mut self, from: &mut Bytes<'_>) -> Result<(), BadImage> {
        self.rates.restore(from)?;
        for place in 0..self.purses.len() {
            // From nothing, so that every figure is held to its bound.
            let balance = Balance::default().checked_add(Balance::read(from)?);
            let balance = balance.filter(|balance| balance.positions >= 0);
            let currency = u16::try_from(place).expect("limits.rs bounds it");
            let next =
                balance.map(|balance| self.at_rate(currency, balance, self.rates.get(currency)));
            let Some(Ok(next)) = next else { return Err(from.bad("a balance past its bound")) };
            self.take(currency, next);
        }
        for money in [&mut self.peak_equity, &mut self.day_start_equity] {
            let bounded = Money::ZERO.checked_add(Money::read(from)?);
            *money = bounded.ok_or(from.bad("an equity past its bound"))?;
        }
        Ok(())
    }

    fn fall(&self, from: Money, limit: Ratio) -> Fall {
        // Two balances: the difference is an i128 by far.
        let number = Money(from.0 - self.equity.0);
        let (scale, share) = (i128::from(PRICE_SCALE), i128::from(limit.0));
        let broken = cmp_products(number.0, scale, share, from.0) == Ordering::Greater;
        // A limit too large to be written down cannot be broken either.
        let limit = from.checked_scale(limit).unwrap_or(Money(i128::MAX));
        Fall { number, limit, broken }
    }
}

const _: () = assert!(BALANCE_MAX <= i128::MAX / 4);
