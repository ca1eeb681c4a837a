//! What risk makes of an order: which rules ran, which broke, which came nearest.

use crate::code::Code;
use crate::codec::Measure;
use crate::instrument::InstrumentId;
use crate::limits::{CORRELATION_WARNINGS_MAX, MONEY_SCALE, PRICE_SCALE};
use crate::settings::{Count, Millis, Scope};
use crate::units::{Money, Ratio, Units, cmp_products};
use arrayvec::ArrayVec;
use std::cmp::Ordering;

macro_rules! rules {
    ($($name:ident = $bit:literal,)*) => {
        /// A rule by its bit in [`Verdict::ran`]. The bits are part of the log format and never
        /// change; every code that can turn down a valid order has one, in the order of the codes,
        /// so that a rule to come finds its place.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "each is named and documented as its `Code`")]
        pub enum Rule {
            $($name = $bit,)*
        }

        impl Rule {
            /// Every rule, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The reason that an order gets that breaks it.
            pub const fn code(self) -> Code {
                match self {
                    $(Self::$name => Code::$name,)*
                }
            }
        }
    };
}

rules! {
    Halted = 0,
    InstrumentHalted = 1,
    MarketClosed = 2,
    NoMark = 3,
    StaleMark = 4,
    NoRate = 5,
    ZeroSize = 6,
    ReduceOnly = 7,
    DuplicateOrder = 8,
    OrderRate = 9,
    MessageRate = 10,
    MaxRepeats = 11,
    SelfMatch = 12,
    PriceCollar = 13,
    MaxOrderQty = 14,
    MaxOrderNotional = 15,
    MinNotional = 16,
    MaxNotional = 17,
    MaxOpenOrders = 18,
    MaxPositions = 19,
    MaxPositionPct = 20,
    MaxGrossExposure = 21,
    MaxNetExposure = 22,
    MaxLeverage = 23,
    InsufficientMargin = 24,
    MaxCorrelation = 25,
    MaxDailyLoss = 26,
    MaxDrawdown = 27,
    Capacity = 28,
    Overflow = 29,
}

/// How many rules there are.
pub const RULES: usize = Rule::ALL.len();

const _: () = {
    assert!(RULES <= 32);
    // Bits and codes run in the same order: the lowest bit that broke is the order's reason.
    let mut at = 0;
    while at < RULES {
        assert!(Rule::ALL[at] as usize == at);
        assert!(Rule::ALL[at].code() as usize == Code::Halted as usize + at);
        at += 1;
    }
};

impl Rule {
    /// Its bit.
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// Whether what it measures is bounded from below, not from above.
    const fn is_minimum(self) -> bool {
        matches!(self, Self::MinNotional | Self::DuplicateOrder)
    }
}

/// A measured figure and its limit, for people; the rules compare the exact figures. Zero and zero
/// for a rule that answers yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule, as a reason.
    pub code: Code,
    /// What was measured, with the order in it.
    pub number: Measure,
    /// What it may be.
    pub limit: Measure,
    /// Whose limit it is: of several, the one that is broken worst or comes nearest.
    pub scope: Scope,
}

impl Finding {
    /// Of a rule that answers yes or no.
    fn plain(rule: Rule) -> Self {
        let nothing = Measure::default();
        Self { code: rule.code(), number: nothing, limit: nothing, scope: Scope::Account }
    }
}

/// A measured figure and its limit in their own unit. It becomes a [`Finding`] only if somebody is
/// to see it: an order that passes rounds the figures of its tightest rule and no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    number: i128,
    limit: i128,
    unit: Unit,
    scope: Scope,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// 1e-18.
    Money,
    /// 1e-9: a share, a quantity, milliseconds.
    Nano,
    /// 1.
    Count,
}

impl Reading {
    const fn new(number: i128, limit: i128, unit: Unit) -> Self {
        Self { number, limit, unit, scope: Scope::Account }
    }

    /// Money against money.
    pub(super) const fn money(number: Money, limit: Money) -> Self {
        Self::new(number.0, limit.0, Unit::Money)
    }

    /// A count of something whole.
    pub(super) fn count(number: i128, limit: Count) -> Self {
        Self::new(number, i128::from(limit.0), Unit::Count)
    }

    /// A fraction.
    pub(super) fn ratio(number: Ratio, limit: Ratio) -> Self {
        Self::share(i128::from(number.0), limit)
    }

    /// A fraction in 1e-9 that may be past what a [`Ratio`] holds.
    pub(super) fn share(number: i128, limit: Ratio) -> Self {
        Self::new(number, i128::from(limit.0), Unit::Nano)
    }

    /// A quantity in 1e-9 of the underlying's unit.
    pub(super) fn units(number: i128, limit: Units) -> Self {
        Self::new(number, i128::from(limit.0), Unit::Nano)
    }

    /// Nanoseconds against milliseconds; shown as milliseconds.
    pub(super) fn age(nanos: i128, limit: Millis) -> Self {
        // A millionth of a millisecond is a thousand of its 1e-9.
        Self::new(nanos * 1_000, i128::from(limit.nanos()) * 1_000, Unit::Nano)
    }

    /// As another scope's limit.
    pub(super) const fn of(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    /// Whether the number is greater than the limit, both as they are here.
    pub(super) const fn is_over(&self) -> bool {
        self.number > self.limit
    }

    /// By number / limit. A number at or below zero is infinitely far from its limit, a limit at or
    /// below zero is infinitely near.
    pub(super) fn cmp_tightness(&self, other: &Self) -> Ordering {
        let (number, limit) = (self.number.max(0), self.limit.max(0));
        let (others, bound) = (other.number.max(0), other.limit.max(0));
        if number == 0 || others == 0 {
            // Not by cross products: 0 / 0 would equal everything.
            return number.min(1).cmp(&others.min(1));
        }
        cmp_products(number, bound, others, limit)
    }

    fn finding(&self, rule: Rule) -> Finding {
        let measure = |value: i128| match self.unit {
            Unit::Money => Measure::new(Money(value).rounded()),
            Unit::Nano => Measure::new(value),
            // Cut before it is scaled: whatever is larger is cut by the measure anyway.
            Unit::Count => {
                Measure::new(value.clamp(-MONEY_SCALE, MONEY_SCALE) * i128::from(PRICE_SCALE))
            }
        };
        let (number, limit) = (measure(self.number), measure(self.limit));
        Finding { code: rule.code(), number, limit, scope: self.scope }
    }
}

/// Exposure that moves with what is held elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The other instrument.
    pub other: InstrumentId,
    /// The coefficient of correlation, signed; away from zero at 1e-9.
    pub correlation: Ratio,
}

/// What risk makes of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// One bit for each rule that ran: see [`Rule::bit`].
    pub ran: u32,
    /// The rule that came nearest to its limit, or went furthest past it; the first of equals.
    pub tightest: Option<Finding>,
    /// The rules that broke, in the order of their codes.
    pub broken: ArrayVec<Finding, RULES>,
    /// The first few instruments that it is too much alike with.
    pub warnings: ArrayVec<Warning, CORRELATION_WARNINGS_MAX>,
}

impl Verdict {
    /// Why the order is turned down: the first rule that broke.
    pub fn reason(&self) -> Option<Code> {
        self.broken.first().map(|finding| finding.code)
    }
}

/// What one rule found, for reports that show every rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It does not apply: the limit is off, or the order is an exit.
    Skipped,
    /// It is content, and measured nothing or nothing that could turn the order down.
    Passed,
    /// It measured something within its limit.
    Within(Finding),
    /// It is broken; zero and zero for a rule that answers yes or no.
    Broken(Finding),
}

/// What one rule says while the verdict is made; see [`Outcome`] for what is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// It does not apply: the limit is off, or the order is an exit.
    Skipped,
    /// It is content, and measured nothing or nothing that could turn the order down.
    Passed,
    /// It measured something within its limit.
    Within(Reading),
    /// It is broken, and a number says by how much.
    Beyond(Reading),
    /// It is broken.
    Broken,
}

/// What a rule says; or the code of the figure that it needs and cannot have, which breaks the rule
/// of that code in its place.
pub(super) type Asked = Result<Reply, Code>;

impl Reply {
    /// As a person is shown it.
    pub(super) fn outcome(self, rule: Rule) -> Outcome {
        match self {
            Self::Skipped => Outcome::Skipped,
            Self::Passed => Outcome::Passed,
            Self::Within(reading) => Outcome::Within(reading.finding(rule)),
            Self::Beyond(reading) => Outcome::Broken(reading.finding(rule)),
            Self::Broken => Outcome::Broken(Finding::plain(rule)),
        }
    }

    /// Of a rule that answers yes or no.
    pub(super) fn plain(broken: bool) -> Self {
        if broken { Self::Broken } else { Self::Passed }
    }

    /// Of a rule that measured something.
    pub(super) fn measured(reading: Reading, broken: bool) -> Self {
        if broken { Self::Beyond(reading) } else { Self::Within(reading) }
    }
}

/// Collects what the rules find into a verdict.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) verdict: Verdict,
    tightest: Option<(Rule, Reading)>,
}

impl Tally {
    /// Takes in what a rule found. Rules come in the order of their bits.
    pub(super) fn note(&mut self, rule: Rule, outcome: Reply) {
        if outcome == Reply::Skipped {
            return;
        }
        let verdict = &mut self.verdict;
        assert!(verdict.ran < rule.bit());
        verdict.ran |= rule.bit();
        let (reading, broken) = match outcome {
            Reply::Skipped | Reply::Passed => (None, None),
            Reply::Within(reading) => (Some(reading), None),
            Reply::Beyond(reading) => (Some(reading), Some(reading.finding(rule))),
            Reply::Broken => (None, Some(Finding::plain(rule))),
        };
        verdict.broken.extend(broken);
        let Some(reading) = reading else { return };
        let nearer = |(_, than): (Rule, Reading)| reading.cmp_tightness(&than).is_gt();
        if !rule.is_minimum() && self.tightest.is_none_or(nearer) {
            self.tightest = Some((rule, reading));
        }
    }

    pub(super) fn finish(mut self) -> Verdict {
        self.verdict.tightest = self.tightest.map(|(rule, reading)| reading.finding(rule));
        self.verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_farther_from_its_limit_than_anything() {
        let reading = |number, limit| Reading::new(number, limit, Unit::Count);
        for limit in [-1, 0, 1, 5] {
            for bound in [-1, 0, 1, 5] {
                for none in [-3, 0] {
                    let (nothing, some) = (reading(none, limit), reading(2, bound));
                    assert_eq!(nothing.cmp_tightness(&some), Ordering::Less);
                    assert_eq!(some.cmp_tightness(&nothing), Ordering::Greater);
                    assert_eq!(nothing.cmp_tightness(&reading(0, bound)), Ordering::Equal);
                }
            }
        }
        assert_eq!(reading(1, 2).cmp_tightness(&reading(2, 5)), Ordering::Greater);
        assert_eq!(reading(1, 2).cmp_tightness(&reading(2, 4)), Ordering::Equal);
        assert_eq!(reading(1, 0).cmp_tightness(&reading(9, 1)), Ordering::Greater);
    }
}
