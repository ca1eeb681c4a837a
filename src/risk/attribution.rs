//! Who it belongs to: what each strategy holds in each instrument, and what it has working there.
//!
//! Every trade is booked twice: to the instrument's position, which is what the account holds, and
//! to the strategy of its order. Two strategies may hold against each other, so the sum of the
//! strategies' *realized* P&L need not be the account's; of the *total* P&L it is, at any mark,
//! since cash and quantity add up. Number 0 is nobody: trades that name no order of ours, and
//! positions that were held before the first order.

use super::exposure::Exposure;
use super::view::InstrumentBook;
use crate::digest::Digest;
use crate::image::{BadImage, Bytes, Image};
use crate::instrument::InstrumentId;
use crate::order::Contribution;
use crate::position::{Account, Balance, Booked, Fill, Overflow, Position};
use crate::units::{Money, Qty};

/// What one strategy holds and has working in one instrument.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StrategyBook {
    /// What is held, at average cost whatever the account's method is: the realized split is the
    /// strategy's own, the total P&L is the same for every method.
    pub position: Position,
    /// What is working.
    pub exposure: Exposure,
}

/// The books of every strategy, by its number; 0 is nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrategyBooks {
    /// Strategy by strategy, each with all instruments.
    books: Vec<StrategyBook>,
    strategies: u16,
    instruments: usize,
}

impl StrategyBooks {
    /// Nobody and so many strategies; the last memory it takes.
    ///
    /// # Panics
    /// If their number leaves 16 bits; `limits.rs` bounds it.
    pub fn new(strategies: usize, instruments: usize) -> Self {
        let numbers = u16::try_from(strategies + 1).expect("limits.rs bounds it");
        let books = vec![StrategyBook::default(); usize::from(numbers) * instruments];
        Self { books, strategies: numbers, instruments }
    }

    /// Whether a strategy of this number is in the table; nobody is.
    pub const fn has(&self, strategy: u16) -> bool {
        strategy < self.strategies
    }

    /// Every number, nobody's first.
    pub fn numbers(&self) -> std::ops::Range<u16> {
        0..self.strategies
    }

    /// What a strategy holds and has working in an instrument; `None` if either is not in its
    /// table.
    pub fn get(&self, strategy: u16, instrument: InstrumentId) -> Option<&StrategyBook> {
        let is_known = self.has(strategy) && instrument.index() < self.instruments;
        is_known.then(|| &self.books[self.place(strategy, instrument)])
    }

    /// A number that is not in the table is nobody: its orders were turned down, and what trades on
    /// them all the same has to be somebody's.
    fn place(&self, strategy: u16, instrument: InstrumentId) -> usize {
        assert!(instrument.index() < self.instruments);
        let row = if self.has(strategy) { usize::from(strategy) } else { 0 };
        row * self.instruments + instrument.index()
    }

    /// Books a trade, or nothing past a bound: `of` is the instrument's book.
    ///
    /// # Errors
    /// As [`Position::book`].
    ///
    /// # Panics
    /// If the instrument is not in the table.
    pub fn book(
        &mut self,
        strategy: u16,
        instrument: InstrumentId,
        fill: &Fill,
        of: &InstrumentBook,
    ) -> Result<Booked, Overflow> {
        let place = self.place(strategy, instrument);
        book(&mut self.books[place].position, fill, of)
    }

    /// Whether [`StrategyBooks::book`] would book them, one after the other.
    ///
    /// # Panics
    /// If the instrument is not in the table.
    pub fn can_book(
        &self,
        strategy: u16,
        instrument: InstrumentId,
        fills: &[Fill],
        of: &InstrumentBook,
    ) -> bool {
        let mut position = self.books[self.place(strategy, instrument)].position;
        fills.iter().all(|fill| book(&mut position, fill, of).is_ok())
    }

    /// A position that was held before the first order is nobody's.
    ///
    /// # Panics
    /// If the instrument is not in the table.
    pub fn open(&mut self, instrument: InstrumentId, qty: Qty, open_cost: Money) {
        let place = self.place(0, instrument);
        self.books[place].position = Position { qty, open_cost, ..Position::default() };
    }

    /// An order of the strategy counts for this now, and for that no longer.
    ///
    /// # Errors
    /// [`Overflow`] past the end of a sum, or if it had not counted.
    ///
    /// # Panics
    /// If the instrument is not in the table.
    pub fn rework(
        &mut self,
        strategy: u16,
        instrument: InstrumentId,
        before: Contribution,
        after: Contribution,
    ) -> Result<(), Overflow> {
        let place = self.place(strategy, instrument);
        let exposure = &mut self.books[place].exposure;
        exposure.remove(before)?;
        exposure.add(after)
    }

    /// An order of the strategy counts for this.
    ///
    /// # Errors
    /// [`Overflow`] past the end of a sum.
    ///
    /// # Panics
    /// If the instrument is not in the table.
    pub fn add(
        &mut self,
        strategy: u16,
        instrument: InstrumentId,
        contribution: Contribution,
    ) -> Result<(), Overflow> {
        let place = self.place(strategy, instrument);
        self.books[place].exposure.add(contribution)
    }

    /// What a strategy's positions in the instruments of one currency come to, exactly, in that
    /// currency; `books` are those of all instruments. `None` past the bound of a balance.
    ///
    /// Over all strategies these sum up to the account's balance in P&L, to the last unit, as far
    /// as every instrument that somebody holds has a mark. Without a mark what is held counts for
    /// nothing, and what strategies hold against each other is realized by the account alone.
    ///
    /// # Panics
    /// If the strategy is not in the table.
    pub fn balance(
        &self,
        strategy: u16,
        currency: u16,
        books: &[InstrumentBook],
    ) -> Option<Balance> {
        let begin = usize::from(strategy) * self.instruments;
        let own = &self.books[begin..begin + self.instruments];
        let pairs = own.iter().zip(books).filter(|(_, of)| of.currency == currency);
        let mut sum = Balance::default();
        for (StrategyBook { position, .. }, of) in pairs {
            sum = sum.checked_add(Balance::of(position, of.market.price, of.lot_value)?)?;
        }
        Some(sum)
    }

    /// A strategy's P&L in the account's currency: each currency's balance at its rate, half to
    /// even at 1e-18; a currency without a rate is left out, as it is of the account. Nobody's is
    /// the rest of the account's: what is nobody's own, what strategies hold against each other in
    /// an instrument without a mark, and the units lost to rounding, at most half a one for each
    /// strategy and currency. So the sum over all numbers is [`Account::pnl`], to the last unit.
    ///
    /// `None` for a number that is not in the table, and past the bound of a balance.
    pub fn pnl(&self, strategy: u16, account: &Account, books: &[InstrumentBook]) -> Option<Money> {
        if !self.has(strategy) {
            return None;
        }
        if strategy > 0 {
            return self.own_pnl(strategy, account, books);
        }
        let mut rest = account.pnl();
        for number in self.numbers().skip(1) {
            rest = rest.checked_sub(self.own_pnl(number, account, books)?)?;
        }
        Some(rest)
    }

    fn own_pnl(&self, strategy: u16, account: &Account, books: &[InstrumentBook]) -> Option<Money> {
        let mut sum = Money::ZERO;
        for (currency, rate) in account.rates().known() {
            let pnl = self.balance(strategy, currency, books)?.pnl();
            sum = sum.checked_add(Money(rate.worth(pnl.0)?))?;
        }
        Some(sum)
    }

    /// Appends every position; what is working follows from the orders.
    pub fn write_image(&self, out: &mut Vec<u8>) {
        let Self { books, strategies: _, instruments: _ } = self;
        for StrategyBook { position, exposure: _ } in books {
            position.write(out);
        }
    }

    /// Puts what was written into the books of as many strategies and instruments.
    ///
    /// # Errors
    /// [`BadImage`]: it is none.
    pub fn restore(&mut self, from: &mut Bytes<'_>) -> Result<(), BadImage> {
        for book in &mut self.books {
            book.position = Position::read(from)?;
        }
        Ok(())
    }

    /// Folds in every book that holds something or has a past.
    pub fn digest(&self, digest: &mut Digest) {
        for (place, book) in self.books.iter().enumerate() {
            let StrategyBook { position, exposure } = book;
            if *book != StrategyBook::default() {
                digest.word(place as u64);
                position.digest(digest);
                exposure.digest(digest);
            }
        }
    }
}

/// At average cost.
fn book(position: &mut Position, fill: &Fill, of: &InstrumentBook) -> Result<Booked, Overflow> {
    position.book(fill, of.lot_value, of.qty_limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who holds it and where, not only how much; a book without a past says nothing.
    #[test]
    fn the_hash_tells_whose_it_is() {
        let hash = |held: Option<(usize, i64)>| {
            let mut books = StrategyBooks::new(1, 2);
            if let Some((place, qty)) = held {
                books.books[place].position.qty = Qty(qty);
            }
            let mut digest = Digest::default();
            books.digest(&mut digest);
            digest.finish()
        };
        assert_eq!(hash(None), Digest::default().finish());
        let places = (0..4).flat_map(|place| [Some((place, 1)), Some((place, 2))]);
        let mut hashes: Vec<u64> = places.chain([None]).map(hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 9);
    }
}
