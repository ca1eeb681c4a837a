//! The last prices of a series, as many as it was made for.

use crate::units::Price;

/// The last `capacity` prices; a new one takes the place of the oldest. Takes no memory after it is
/// made.
///
/// ```
/// use trade_engine::strategy::Window;
/// use trade_engine::units::Price;
///
/// let mut closes = Window::new(2);
/// closes.push(Price(1));
/// closes.push(Price(2));
/// closes.push(Price(3));
/// assert_eq!(closes.back(0), Some(Price(3)));
/// assert_eq!(closes.back(1), Some(Price(2)));
/// assert_eq!(closes.back(2), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Filled from the front; then a ring.
    prices: Vec<Price>,
    /// Where the next price goes.
    next: usize,
    len: usize,
}

impl Window {
    /// Room for `capacity` prices.
    ///
    /// # Panics
    /// If that is zero.
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0);
        Self { prices: vec![Price(0); capacity], next: 0, len: 0 }
    }

    /// Adds the newest.
    pub fn push(&mut self, price: Price) {
        self.prices[self.next] = price;
        self.next = (self.next + 1) % self.prices.len();
        self.len = (self.len + 1).min(self.prices.len());
    }

    /// Prices held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether as many are held as there is room for.
    pub fn is_full(&self) -> bool {
        self.len == self.prices.len()
    }

    /// The price `age` pushes before the newest; `None` if it is not held.
    pub fn back(&self, age: usize) -> Option<Price> {
        let size = self.prices.len();
        (age < self.len).then(|| self.prices[(self.next + size - 1 - age) % size])
    }

    /// The newest `count`, newest first; `None` if fewer are held.
    pub fn newest(&self, count: usize) -> Option<impl Iterator<Item = Price>> {
        (count <= self.len).then(|| (0..count).filter_map(|age| self.back(age)))
    }
}
