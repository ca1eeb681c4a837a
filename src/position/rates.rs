//! What the currencies are worth in the account's: conversion marks, as they came in. One that has
//! not come is missing, and nothing is put in its place.

use crate::code::Code;
use crate::digest::Digest;
use crate::image::{BadImage, Bytes, Image};
use crate::limits::{PRICE_MAX, PRICE_SCALE};
use crate::units::{Money, Price, mul_div};

/// The worth of a currency in the account's, as the market quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    price: Price,
    inverse: bool,
}

impl Rate {
    /// Of the account's own currency.
    pub const ONE: Self = Self { price: Price::ONE, inverse: false };

    /// A quoted rate: units of the account's currency for one unit or, `inverse`, units for one of
    /// the account's. `None` for a price that is not above zero or is past [`PRICE_MAX`].
    pub fn new(price: Price, inverse: bool) -> Option<Self> {
        (1..=PRICE_MAX).contains(&price.0).then_some(Self { price, inverse })
    }

    /// The price, as it was quoted.
    pub const fn price(self) -> Price {
        self.price
    }

    /// Whether the price is what one unit of the account's currency is worth in the other.
    pub const fn is_inverse(self) -> bool {
        self.inverse
    }

    /// Money (1e-18 of the currency) in 1e-18 of the account's: times the price or, of an inverse
    /// one, divided by it; half to even, exact in between. `None` past the end of `i128`.
    pub fn worth(self, money: i128) -> Option<i128> {
        if self.price == Price::ONE {
            return Some(money);
        }
        if self.inverse {
            mul_div(money, PRICE_SCALE, self.price.0)
        } else {
            mul_div(money, self.price.0, PRICE_SCALE)
        }
    }
}

/// The rates of all currencies, by [`Settings::currencies`](crate::settings::Settings::currencies);
/// the first is the account's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rates {
    rates: Vec<Option<Rate>>,
}

impl Rates {
    /// No rate known, but that of the account's own currency.
    ///
    /// # Panics
    /// Without a currency: there is always the account's.
    pub fn new(currencies: usize) -> Self {
        assert!(currencies > 0);
        let mut rates = vec![None; currencies];
        rates[0] = Some(Rate::ONE);
        Self { rates }
    }

    /// Whether there is another currency than the account's.
    pub fn are_several(&self) -> bool {
        self.rates.len() > 1
    }

    /// Whether a rate of this currency can come: it is in the table, and not the account's own.
    pub fn is_foreign(&self, currency: u16) -> bool {
        currency > 0 && usize::from(currency) < self.rates.len()
    }

    /// The rate of a currency, if it has come.
    pub fn get(&self, currency: u16) -> Option<Rate> {
        self.rates.get(usize::from(currency)).copied().flatten()
    }

    /// The currencies whose rate has come, and the account's own.
    pub fn known(&self) -> impl Iterator<Item = (u16, Rate)> {
        (0..).zip(&self.rates).filter_map(|(currency, rate)| Some((currency, (*rate)?)))
    }

    /// Money of a currency in the account's, half to even at 1e-18.
    ///
    /// # Errors
    /// [`Code::NoRate`] if the rate has not come, [`Code::Overflow`] past the bound of a balance.
    pub fn convert(&self, currency: u16, money: Money) -> Result<Money, Code> {
        let worth = self.get(currency).ok_or(Code::NoRate)?.worth(money.0);
        worth.and_then(|worth| Money::ZERO.checked_add(Money(worth))).ok_or(Code::Overflow)
    }

    /// Takes a rate in.
    pub(super) fn set(&mut self, currency: u16, rate: Rate) {
        assert!(self.is_foreign(currency));
        self.rates[usize::from(currency)] = Some(rate);
    }

    /// Appends every rate but the account's own, which is one.
    pub(super) fn write_image(&self, out: &mut Vec<u8>) {
        let Self { rates } = self;
        crate::image::write_all(&rates[1..], out);
    }

    /// Puts what was written where no rate is known.
    pub(super) fn restore(&mut self, from: &mut Bytes<'_>) -> Result<(), BadImage> {
        crate::image::read_all(&mut self.rates[1..], from)
    }

    /// Folds every rate in; their number follows from the settings.
    pub fn digest(&self, digest: &mut Digest) {
        for rate in &self.rates {
            digest.option(rate.map(|rate| rate.price.0));
            digest.word(u64::from(rate.is_some_and(|rate| rate.inverse)));
        }
    }
}

impl Image for Rate {
    fn write(&self, out: &mut Vec<u8>) {
        let Self { price, inverse } = self;
        price.write(out);
        inverse.write(out);
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, BadImage> {
        let rate = Self::new(Price::read(from)?, bool::read(from)?);
        rate.ok_or(from.bad("a rate that cannot be"))
    }
}
