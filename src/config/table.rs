//! One table of a configuration file, read key by key: what is missing, unknown, of the wrong type
//! or out of range is named by its key.

use super::error::{Fault, join};
use crate::units::{DecimalError, Money, Ratio, Units};
use std::ops::RangeInclusive;
use std::str::FromStr;
use toml::de::{DeTable, DeValue};

/// What switches a limit off.
const NONE: &str = "none";

/// A fault of one key.
pub(super) fn fault(key: &str, problem: impl std::fmt::Display) -> Fault {
    Fault { key: key.to_owned(), problem: problem.to_string() }
}

/// A table; one that the file leaves out reads as an empty one.
#[derive(Debug)]
pub(super) struct Table<'a> {
    path: String,
    entries: Option<&'a DeTable<'a>>,
}

/// One value and where it stands.
#[derive(Debug)]
pub(super) struct Value<'a> {
    pub(super) key: String,
    value: &'a DeValue<'a>,
}

impl<'a> Table<'a> {
    /// The whole file.
    pub(super) const fn root(entries: &'a DeTable<'a>) -> Self {
        Self { path: String::new(), entries: Some(entries) }
    }

    /// The path of a key of this table.
    pub(super) fn path(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// Refuses keys that are not among these; of several, the first one in the file.
    pub(super) fn only(&self, keys: &[&str]) -> Result<(), Fault> {
        let entries = self.entries.into_iter().flatten();
        let unknown = entries.filter(|(key, _)| !keys.contains(&key.get_ref().as_ref()));
        let Some((key, _)) = unknown.min_by_key(|(key, _)| key.span().start) else {
            return Ok(());
        };
        let problem = format!("unknown key; expected one of {}", keys.join(", "));
        Err(fault(&self.path(key.get_ref()), problem))
    }

    /// A table inside this one.
    pub(super) fn table(&self, key: &str) -> Result<Self, Fault> {
        let path = self.path(key);
        let entries = match self.get(key) {
            None => None,
            Some(Value { value: DeValue::Table(entries), .. }) => Some(entries),
            Some(other) => return Err(other.wrong("a table")),
        };
        Ok(Self { path, entries })
    }

    /// The names of the tables inside this one, whatever they are.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.entries.into_iter().flatten().map(|(key, _)| key.get_ref().as_ref())
    }

    /// The value of a key that may be left out.
    pub(super) fn get(&self, key: &str) -> Option<Value<'a>> {
        let value = self.entries?.get(key)?;
        Some(Value { key: self.path(key), value: value.get_ref() })
    }

    /// The value of a key that must be there.
    pub(super) fn required(&self, key: &str) -> Result<Value<'a>, Fault> {
        self.get(key).ok_or_else(|| self.missing(key, "missing"))
    }

    /// A key is not there; if the whole table is not, that is what is said.
    fn missing(&self, key: &str, problem: &str) -> Fault {
        if self.entries.is_none() {
            return fault(&self.path, "missing; expected this table");
        }
        fault(&self.path(key), problem)
    }

    /// The value of a limit: it must be there, and `"none"` switches it off.
    pub(super) fn limit(&self, key: &str) -> Result<Option<Value<'a>>, Fault> {
        let problem = "missing; every limit must be there, and \"none\" switches one off";
        let value = self.get(key).ok_or_else(|| self.missing(key, problem))?;
        Ok((!value.is_none()).then_some(value))
    }

    /// The name of one of several things; one of these if left out.
    pub(super) fn choice<T: Copy>(
        &self,
        key: &str,
        names: &[(&str, T)],
        default: Option<T>,
    ) -> Result<T, Fault> {
        match (self.get(key), default) {
            (Some(value), _) => value.choice(names),
            (None, Some(default)) => Ok(default),
            (None, None) => {
                Err(self.missing(key, &format!("missing; expected {}", alternatives(names))))
            }
        }
    }

    /// A whole number in a range; this one if left out.
    pub(super) fn integer(
        &self,
        key: &str,
        range: RangeInclusive<u64>,
        default: u64,
    ) -> Result<u64, Fault> {
        self.get(key).map_or(Ok(default), |value| value.integer(range))
    }

    /// A whole number of things that are held in memory.
    pub(super) fn count(
        &self,
        key: &str,
        range: RangeInclusive<usize>,
        default: usize,
    ) -> Result<usize, Fault> {
        self.get(key).map_or(Ok(default), |value| value.count(range))
    }

    /// `true` or `false`; this one if left out.
    pub(super) fn boolean(&self, key: &str, default: bool) -> Result<bool, Fault> {
        self.get(key).map_or(Ok(default), |value| value.boolean())
    }
}

impl<'a> Value<'a> {
    /// A fault that shows the value.
    pub(super) fn wrong(&self, expected: impl std::fmt::Display) -> Fault {
        fault(&self.key, format!("{}; expected {expected}", self.show()))
    }

    fn show(&self) -> String {
        match self.value {
            DeValue::String(text) => format!("{text:?}"),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.to_string(),
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Datetime(value) => value.to_string(),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        }
    }

    fn is_none(&self) -> bool {
        self.is(NONE)
    }

    fn is(&self, word: &str) -> bool {
        matches!(self.value, DeValue::String(text) if text.as_ref() == word)
    }

    /// The value, or `None` for `"none"`.
    pub(super) fn unless_none(self) -> Option<Self> {
        self.unless(NONE)
    }

    /// The value, or `None` for this word.
    pub(super) fn unless(self, word: &str) -> Option<Self> {
        (!self.is(word)).then_some(self)
    }

    /// A text.
    pub(super) fn text(&self, expected: &str) -> Result<&'a str, Fault> {
        match self.value {
            DeValue::String(text) => Ok(text.as_ref()),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => Err(self.wrong(expected)),
        }
    }

    /// A list of texts, each with its place.
    pub(super) fn texts(&self, expected: &str) -> Result<Vec<(String, &'a str)>, Fault> {
        let DeValue::Array(list) = self.value else { return Err(self.wrong(expected)) };
        let mut texts = Vec::new();
        for (index, element) in list.iter().enumerate() {
            let key = format!("{}[{index}]", self.key);
            let element = Value { key, value: element.get_ref() };
            let text = element.text("a text in quotes")?;
            texts.push((element.key, text));
        }
        Ok(texts)
    }

    /// A decimal, always in quotes: what stands there is what is meant, to the last digit.
    fn decimal<T>(
        &self,
        read: impl Fn(&str) -> Result<T, DecimalError>,
        expected: &str,
    ) -> Result<T, Fault> {
        let text = match self.value {
            DeValue::String(text) => text,
            DeValue::Integer(_) | DeValue::Float(_) => {
                let found = self.show();
                let problem = format!("{found} is not in quotes; expected {expected}: \"{found}\"");
                return Err(fault(&self.key, problem));
            }
            DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                return Err(self.wrong(expected));
            }
        };
        read(text).map_err(|error| {
            let problem = match error {
                DecimalError::NotDecimal => "is no decimal number",
                DecimalError::TooPrecise => "has more decimals than are kept",
                DecimalError::TooLarge => "is too large",
            };
            fault(&self.key, format!("{text:?} {problem}; expected {expected}"))
        })
    }

    fn within<T: PartialOrd>(
        &self,
        value: T,
        range: &RangeInclusive<T>,
        expected: &str,
    ) -> Result<T, Fault> {
        if range.contains(&value) { Ok(value) } else { Err(self.wrong(expected)) }
    }

    /// A fraction; the range in words, for the error.
    pub(super) fn ratio(
        &self,
        range: RangeInclusive<Ratio>,
        expected: &str,
    ) -> Result<Ratio, Fault> {
        self.within(self.decimal(Ratio::from_str, expected)?, &range, expected)
    }

    /// Basis points as a fraction.
    pub(super) fn bps(&self) -> Result<Ratio, Fault> {
        let expected = "basis points from 0 to 10000, such as \"1.5\"";
        let range = Ratio(0)..=Ratio::ONE;
        self.within(self.decimal(Ratio::from_bps, expected)?, &range, expected)
    }

    /// An amount of money, zero or more.
    pub(super) fn money(&self) -> Result<Money, Fault> {
        let expected = "an amount of zero or more, such as \"2.05\"";
        let range = Money::ZERO..=Money(crate::limits::BALANCE_MAX);
        self.within(self.decimal(Money::from_str, expected)?, &range, expected)
    }

    /// An amount of money above zero.
    pub(super) fn money_limit(&self) -> Result<Money, Fault> {
        let expected = "an amount above zero, such as \"100000\"";
        let range = Money(1)..=Money(crate::limits::BALANCE_MAX);
        self.within(self.decimal(Money::from_str, expected)?, &range, expected)
    }

    /// A quantity of the underlying, above zero.
    pub(super) fn units(&self) -> Result<Units, Fault> {
        let expected = "a quantity above zero, such as \"10\"";
        let range = Units(1)..=Units(i64::MAX);
        self.within(self.decimal(Units::from_str, expected)?, &range, expected)
    }

    /// A whole number in a range, without quotes.
    pub(super) fn integer(&self, range: RangeInclusive<u64>) -> Result<u64, Fault> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let DeValue::Integer(number) = self.value else {
            return Err(self.wrong(format!("{expected}, without quotes")));
        };
        let number = u64::from_str_radix(number.as_str(), number.radix());
        number.ok().filter(|number| range.contains(number)).ok_or_else(|| self.wrong(expected))
    }

    /// A whole number of things that are held in memory.
    pub(super) fn count(&self, range: RangeInclusive<usize>) -> Result<usize, Fault> {
        let number = self.integer(*range.start() as u64..=*range.end() as u64)?;
        Ok(usize::try_from(number).expect("the range is one of usize"))
    }

    /// `true` or `false`, without quotes.
    pub(super) fn boolean(&self) -> Result<bool, Fault> {
        match self.value {
            DeValue::Boolean(value) => Ok(*value),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => Err(self.wrong("true or false, without quotes")),
        }
    }

    fn choice<T: Copy>(&self, names: &[(&str, T)]) -> Result<T, Fault> {
        let DeValue::String(text) = self.value else {
            return Err(self.wrong(alternatives(names)));
        };
        let found = names.iter().find(|(name, _)| *name == text.as_ref());
        found.map(|(_, value)| *value).ok_or_else(|| self.wrong(alternatives(names)))
    }
}

/// `"a", "b" or "c"`.
fn alternatives<T>(names: &[(&str, T)]) -> String {
    let quoted: Vec<String> = names.iter().map(|(name, _)| format!("{name:?}")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}
