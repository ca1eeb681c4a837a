//! How the instruments move, each and together: deviation and correlation of bar returns, prepared
//! when a bar closes, so that an order only looks a number up.
//!
//! Closes are paired by the time their bars opened: the last `window` bars that both instruments
//! have, and the returns from one of them to the next, in 1e-9. With n returns x and y,
//!
//! ```text
//! cov = n Sum(xy) - Sum(x) Sum(y)     var_x = n Sum(xx) - Sum(x)^2     r = cov / sqrt(var_x var_y)
//! ```
//!
//! all in `i128`. The coefficient is the smallest multiple of 1e-9 whose square times `var_x` x
//! `var_y` is not below `cov` squared, compared in 256 bits: it is rounded away from zero, and so
//! "coefficient > limit" is the same question as "r > limit" for every limit of nine decimals.
//!
//! The deviation of one instrument is the square root of var_x / (n (n - 1)), of its own last
//! `window` bars, in 1e-15 and rounded up.
//!
//! No verdict: fewer common bars than the window, a close at or below zero, a return past a
//! thousandfold, or a price that did not move at all.

use crate::digest::Digest;
use crate::image::{BadImage, Bytes, Image};
use crate::instrument::InstrumentId;
use crate::limits::{CORRELATION_WINDOW_MAX, CORRELATION_WINDOW_MIN, PRICE_SCALE};
use crate::units::{Price, Ratio, Ts, cmp_products, write_decimal};
use std::cmp::Ordering;
use std::fmt;

/// Largest return, 1e-9: a thousandfold. With [`CORRELATION_WINDOW_MAX`] returns, cov x 1e9 then
/// stays in `i128`.
const RETURN_MAX: i128 = 1_000 * PRICE_SCALE as i128;

const _: () = {
    let n = CORRELATION_WINDOW_MAX as i128;
    let sum = n * n * RETURN_MAX * RETURN_MAX;
    assert!(2 * sum < i128::MAX / PRICE_SCALE as i128);
};

/// No verdict: outside the range of a coefficient.
const NONE: i64 = i64::MAX;

/// Standard deviation of an instrument's bar returns, in 1e-15, rounded up; above zero. Finer than
/// the returns: the deviation of a calm market is a small number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Deviation(pub i64);

impl Deviation {
    /// Decimal digits.
    pub const DECIMALS: u32 = 15;
    /// Units of one whole.
    pub const ONE: i128 = 10_i128.pow(Self::DECIMALS);
    /// Units of 1e-15 squared in one unit of 1e-9 squared.
    const FINER: i128 = 10_i128.pow(2 * (Self::DECIMALS - 9));

    /// Of `sums`; `None` where nothing moved, or too little is known.
    fn of(sums: &Sums) -> Option<Self> {
        let variance = sums.count * sums.xx - sums.x * sums.x;
        if variance <= 0 {
            return None;
        }
        // Something moved, so there are two returns at least.
        let pairs = sums.count * (sums.count - 1);
        // variance x FINER / pairs, up; split, so that it stays in `i128` on the way.
        let (whole, rest) = (variance / pairs, variance % pairs);
        let square = whole * Self::FINER + (rest * Self::FINER + pairs - 1) / pairs;
        let root = square.isqrt();
        let root = if root * root < square { root + 1 } else { root };
        Some(Self(i64::try_from(root).expect("asserted below")))
    }
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, i128::from(self.0), Self::DECIMALS)
    }
}

const _: () = {
    // n (n - 1) is at least half of n^2, and a variance at most (n x RETURN_MAX)^2.
    let square = 2 * RETURN_MAX * RETURN_MAX;
    assert!(square < i128::MAX / Deviation::FINER / 2);
    assert!(2 * RETURN_MAX * (Deviation::ONE / PRICE_SCALE as i128) < i64::MAX as i128);
};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct BarClose {
    opened: Ts,
    close: Price,
}

crate::image!(BarClose { opened, close });

/// The closes of one instrument, oldest overwritten first. Twice the window, so that bars which
/// the other instrument lacks do not at once leave too few in common.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Closes {
    ring: Vec<BarClose>,
    next: usize,
    count: usize,
    /// Follows from the closes.
    deviation: Option<Deviation>,
}

impl Closes {
    fn new(room: usize) -> Self {
        Self { ring: vec![BarClose::default(); room], next: 0, count: 0, deviation: None }
    }

    /// The bar that came `back` bars before the newest.
    fn get(&self, back: usize) -> Option<BarClose> {
        if back >= self.count {
            return None;
        }
        let room = self.ring.len();
        Some(self.ring[(self.next + room - 1 - back) % room])
    }

    /// Takes a bar in. A bar that does not come after the last one is not a new close.
    fn push(&mut self, bar: BarClose) -> bool {
        if self.get(0).is_some_and(|last| bar.opened <= last.opened) {
            return false;
        }
        self.ring[self.next] = bar;
        self.next = (self.next + 1) % self.ring.len();
        self.count = (self.count + 1).min(self.ring.len());
        true
    }
}

/// Sums over the pairs of returns.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    count: i128,
    x: i128,
    y: i128,
    xx: i128,
    yy: i128,
    xy: i128,
}

/// The coefficients of all pairs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correlations {
    window: usize,
    closes: Vec<Closes>,
    /// Below the diagonal, row by row: 1e-9, or [`NONE`].
    coefficients: Vec<i64>,
}

impl Correlations {
    /// Room for so many instruments and a window of so many closes; the last memory it takes.
    ///
    /// # Panics
    /// If the window is not in [`CORRELATION_WINDOW_MIN`]`..=`[`CORRELATION_WINDOW_MAX`].
    pub fn new(instruments: usize, window: usize) -> Self {
        assert!(window >= CORRELATION_WINDOW_MIN);
        assert!(window <= CORRELATION_WINDOW_MAX);
        Self {
            window,
            closes: vec![Closes::new(2 * window); instruments],
            coefficients: vec![NONE; instruments * instruments.saturating_sub(1) / 2],
        }
    }

    /// For an engine that has the rule switched off: takes no memory, never has a verdict.
    pub const fn off() -> Self {
        Self { window: 0, closes: Vec::new(), coefficients: Vec::new() }
    }

    /// A bar has closed: measures its instrument against every other. `opened` is when it began.
    pub fn on_bar(&mut self, instrument: InstrumentId, opened: Ts, close: Price) {
        let own = instrument.index();
        let Some(closes) = self.closes.get_mut(own) else { return };
        if !closes.push(BarClose { opened, close }) {
            return;
        }
        self.measure_alone(own);
        for other in 0..self.closes.len() {
            if other == own {
                continue;
            }
            let found = self.measure(own, other);
            let place = place(own, other);
            self.coefficients[place] = found.map_or(NONE, |coefficient| coefficient.0);
        }
    }

    /// The coefficient of two instruments, -1 to 1, rounded away from zero at 1e-9. `None`: no
    /// verdict.
    pub fn get(&self, one: InstrumentId, other: InstrumentId) -> Option<Ratio> {
        let (one, other) = (one.index(), other.index());
        if one == other || one.max(other) >= self.closes.len() {
            return None;
        }
        let coefficient = self.coefficients[place(one, other)];
        (coefficient != NONE).then_some(Ratio(coefficient))
    }

    /// The standard deviation of an instrument's returns over the last `window` closes. `None`: too
    /// few, or they did not move.
    pub fn deviation(&self, instrument: InstrumentId) -> Option<Deviation> {
        self.closes.get(instrument.index())?.deviation
    }

    /// Folds in what can change.
    pub fn digest(&self, digest: &mut Digest) {
        for closes in &self.closes {
            digest.word(closes.count as u64);
            // The coefficients follow from the closes, but for pairs whose bars have moved on.
            for back in 0..closes.count {
                let Some(bar) = closes.get(back) else { continue };
                digest.signed(bar.opened.0);
                digest.signed(bar.close.0);
            }
        }
        for coefficient in &self.coefficients {
            digest.signed(*coefficient);
        }
    }

    /// Appends the closes, oldest first, and the coefficients: of pairs whose bars have moved on
    /// they follow from nothing else.
    pub fn write_image(&self, out: &mut Vec<u8>) {
        let Self { window: _, closes, coefficients } = self;
        for of_one in closes {
            let Closes { ring: _, next: _, count, deviation: _ } = of_one;
            count.write(out);
            for back in (0..*count).rev() {
                of_one.get(back).expect("so many are held").write(out);
            }
        }
        crate::image::write_all(coefficients, out);
    }

    /// Puts what was written where no bar has closed, with as many instruments and as long a
    /// window.
    ///
    /// # Errors
    /// [`BadImage`]: no bars could have led to it.
    pub fn restore(&mut self, from: &mut Bytes<'_>) -> Result<(), BadImage> {
        for own in 0..self.closes.len() {
            for _ in 0..from.count(2 * self.window)? {
                let is_later = self.closes[own].push(BarClose::read(from)?);
                from.require(is_later, "bars out of order")?;
            }
            self.measure_alone(own);
        }
        crate::image::read_all(&mut self.coefficients, from)?;
        let possible = |coefficient: &i64| {
            *coefficient == NONE || (-PRICE_SCALE..=PRICE_SCALE).contains(coefficient)
        };
        from.require(self.coefficients.iter().all(possible), "a correlation above one")
    }

    fn measure_alone(&mut self, own: usize) {
        let alone = self.sums(&self.closes[own], &self.closes[own]);
        self.closes[own].deviation = alone.as_ref().and_then(Deviation::of);
    }

    fn measure(&self, one: usize, other: usize) -> Option<Ratio> {
        let sums = self.sums(&self.closes[one], &self.closes[other])?;
        let covariance = sums.count * sums.xy - sums.x * sums.y;
        let var_x = sums.count * sums.xx - sums.x * sums.x;
        let var_y = sums.count * sums.yy - sums.y * sums.y;
        coefficient(covariance, var_x, var_y)
    }

    /// Walks both rings from the newest bar back, in step by time.
    fn sums(&self, one: &Closes, other: &Closes) -> Option<Sums> {
        let (mut i, mut j) = (0, 0);
        let mut sums = Sums::default();
        let mut later: Option<(Price, Price)> = None;
        let mut common = 0;
        // Bounded: each turn takes at least one bar off one ring.
        while common < self.window {
            let (x, y) = (one.get(i)?, other.get(j)?);
            if x.opened >= y.opened {
                i += 1;
            }
            if y.opened >= x.opened {
                j += 1;
            }
            if x.opened != y.opened {
                continue;
            }
            common += 1;
            if let Some((later_x, later_y)) = later {
                sums.add(gain(x.close, later_x)?, gain(y.close, later_y)?);
            }
            later = Some((x.close, y.close));
        }
        Some(sums)
    }
}

impl Sums {
    fn add(&mut self, x: i128, y: i128) {
        // Each sum is at most CORRELATION_WINDOW_MAX x RETURN_MAX squared, asserted above.
        self.count += 1;
        self.x += x;
        self.y += y;
        self.xx += x * x;
        self.yy += y * y;
        self.xy += x * y;
    }
}

/// Place of a pair in the triangle.
fn place(one: usize, other: usize) -> usize {
    let (low, high) = (one.min(other), one.max(other));
    high * (high - 1) / 2 + low
}

/// The return from one close to the next, 1e-9, cut towards zero.
fn gain(from: Price, to: Price) -> Option<i128> {
    if from.0 <= 0 || to.0 <= 0 {
        return None;
    }
    let change = i128::from(to.0) - i128::from(from.0);
    let gain = change * i128::from(PRICE_SCALE) / i128::from(from.0);
    (gain <= RETURN_MAX).then_some(gain)
}

/// The smallest coefficient, in 1e-9, that is not below |cov| / sqrt(var_x var_y); with the sign of
/// `cov`. An integer square root by halving: at most thirty comparisons.
fn coefficient(covariance: i128, var_x: i128, var_y: i128) -> Option<Ratio> {
    if var_x <= 0 || var_y <= 0 {
        return None;
    }
    let scaled = covariance.checked_mul(i128::from(PRICE_SCALE))?;
    let reaches = |root: i64| {
        let (x, y) = (var_x.checked_mul(i128::from(root)), var_y.checked_mul(i128::from(root)));
        x.zip(y).map(|(x, y)| cmp_products(x, y, scaled, scaled) != Ordering::Less)
    };
    // By Cauchy and Schwarz the coefficient is at most one.
    let (mut low, mut high) = (0, PRICE_SCALE);
    while low < high {
        let middle = low + (high - low) / 2;
        if reaches(middle)? {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(Ratio(low * i64::try_from(covariance.signum()).expect("a sign")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cut at 1e-30 the square would be one exactly, and its root one too small.
    #[test]
    fn a_deviation_is_rounded_up_from_the_last_digit_on() {
        let sums = Sums { count: 7, x: 2, xx: 23_289_571_605, ..Sums::default() };
        assert_eq!(Deviation::of(&sums), Some(Deviation(62_302_449_932)));
    }

    #[test]
    fn the_hash_covers_closes_and_coefficients() {
        let hash = |correlations: &Correlations| {
            let mut digest = Digest::default();
            correlations.digest(&mut digest);
            digest.finish()
        };
        let with = |instrument, opened, close| {
            let mut correlations = Correlations::new(2, CORRELATION_WINDOW_MIN);
            correlations.on_bar(InstrumentId(instrument), Ts(opened), Price(close));
            correlations
        };
        let mut measured = with(0, 1, 1);
        measured.coefficients[0] = 5;
        let mut opposite = with(0, 1, 1);
        opposite.coefficients[0] = -5;
        let none = Correlations::new(2, CORRELATION_WINDOW_MIN);
        let all =
            [none, with(0, 1, 1), with(1, 1, 1), with(0, 2, 1), with(0, 1, 2), measured, opposite];
        let mut hashes: Vec<u64> = all.iter().map(hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), all.len());
    }

    #[test]
    fn any_coefficient_comes_back_from_bytes_and_none_beyond_one() {
        let restored = |coefficient| {
            let mut correlations = Correlations::new(2, CORRELATION_WINDOW_MIN);
            correlations.on_bar(InstrumentId(1), Ts(1), Price(1));
            correlations.coefficients[0] = coefficient;
            let mut image = Vec::new();
            correlations.write_image(&mut image);
            let mut again = Correlations::new(2, CORRELATION_WINDOW_MIN);
            again.restore(&mut Bytes::new(&image)).map(|()| assert_eq!(again, correlations))
        };
        for possible in [NONE, -PRICE_SCALE, -1, 0, PRICE_SCALE] {
            assert_eq!(restored(possible), Ok(()), "{possible}");
        }
        for impossible in [-PRICE_SCALE - 1, PRICE_SCALE + 1, NONE - 1] {
            assert!(restored(impossible).is_err(), "{impossible}");
        }
    }
}
