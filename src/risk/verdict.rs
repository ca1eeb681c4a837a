//! What risk makes of an order: which rules ran, which broke, which came nearest.

use crate::code::Code;
use crate::codec::Measure;
use crate::instrument::InstrumentId;
use crate::limits::{CORRELATION_WARNINGS_MAX, MONEY_SCALE, PRICE_SCALE};
use crate::units::{Money, Qty, Ratio, cmp_products};
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
        matches!(self, Self::MinNotional)
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
}

impl Finding {
    /// Of a rule that measures nothing.
    pub fn plain(rule: Rule) -> Self {
        Self { code: rule.code(), number: Measure::default(), limit: Measure::default() }
    }

    /// Money against money, shown half to even at nine decimals.
    pub fn money(rule: Rule, number: Money, limit: Money) -> Self {
        let measure = |money: Money| Measure::new(money.rounded());
        Self { code: rule.code(), number: measure(number), limit: measure(limit) }
    }

    /// A count of something whole.
    pub fn count(rule: Rule, number: i128, limit: i128) -> Self {
        // Cut before it is scaled: whatever is larger is cut by the measure anyway.
        let largest = MONEY_SCALE;
        let measure =
            |count: i128| Measure::new(count.clamp(-largest, largest) * i128::from(PRICE_SCALE));
        Self { code: rule.code(), number: measure(number), limit: measure(limit) }
    }

    /// Lots.
    pub fn qty(rule: Rule, number: i128, limit: Qty) -> Self {
        Self::count(rule, number, i128::from(limit.0))
    }

    /// A fraction.
    pub fn ratio(rule: Rule, number: Ratio, limit: Ratio) -> Self {
        let measure = |ratio: Ratio| Measure::new(i128::from(ratio.0));
        Self { code: rule.code(), number: measure(number), limit: measure(limit) }
    }

    /// By number / limit. A number at or below zero is infinitely far from its limit, a limit at or
    /// below zero is infinitely near.
    fn cmp_tightness(&self, other: &Self) -> Ordering {
        let (number, limit) = (self.number.nanos().max(0), self.limit.nanos().max(0));
        let (others, bound) = (other.number.nanos().max(0), other.limit.nanos().max(0));
        // 0 / 0 is "nothing measured": below everything.
        match (number > 0, others > 0) {
            (false, _) | (_, false) => number.min(1).cmp(&others.min(1)),
            (true, true) => cmp_products(number, bound, others, limit),
        }
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

    /// Takes in what a rule found. Rules come in the order of their bits.
    pub(super) fn note(&mut self, rule: Rule, outcome: Outcome) {
        let finding = match outcome {
            Outcome::Skipped => return,
            Outcome::Passed => None,
            Outcome::Within(finding) | Outcome::Broken(finding) => Some(finding),
        };
        assert!(self.ran < rule.bit());
        self.ran |= rule.bit();
        let Some(finding) = finding else { return };
        assert!(finding.code == rule.code());
        let nearer = |than: Finding| finding.cmp_tightness(&than) == Ordering::Greater;
        let compared = !rule.is_minimum() && finding != Finding::plain(rule);
        if compared && self.tightest.is_none_or(nearer) {
            self.tightest = Some(finding);
        }
        if matches!(outcome, Outcome::Broken(_)) {
            self.broken.push(finding);
        }
    }
}

/// What one rule found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It does not apply: the limit is off, or the order is an exit.
    Skipped,
    /// It ran, measured nothing, and is content.
    Passed,
    /// It measured something within its limit.
    Within(Finding),
    /// It is broken.
    Broken(Finding),
}

impl Outcome {
    /// Of a rule that answers yes or no.
    pub(super) fn plain(rule: Rule, broken: bool) -> Self {
        if broken { Self::Broken(Finding::plain(rule)) } else { Self::Passed }
    }

    /// Of a rule that measured something.
    pub(super) fn measured(finding: Finding, broken: bool) -> Self {
        if broken { Self::Broken(finding) } else { Self::Within(finding) }
    }
}
