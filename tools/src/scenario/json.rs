//! JSON as scenarios need it: exact about types, and intolerant of keys that are unknown, missing or
//! there twice. No number with a fraction is ever taken: decimals are strings.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;
use trade_engine::units::{DecimalError, parse_decimal};

/// What is wrong with a line, key first.
pub(super) type Fault = String;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Integer(i128),
    /// A number that is no integer: always a wrong type.
    Fraction,
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads one line.
    pub(super) fn parse(line: &str) -> Result<Self, Fault> {
        serde_json::from_str(line).map_err(|error| {
            // The reader counts lines of its own text, which has but one.
            error.to_string().replace(" at line 1 column ", " at column ")
        })
    }

    const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Fraction => "a number with a fraction",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(i128::from(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Integer(i128::from(value)))
    }

    fn visit_f64<E: Error>(self, _value: f64) -> Result<Json, E> {
        Ok(Json::Fraction)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut entries: Vec<(String, Json)> = Vec::new();
        while let Some((key, value)) = items.next_entry::<String, Json>()? {
            if entries.iter().any(|(known, _)| *known == key) {
                return Err(A::Error::custom(format!("key `{key}` is there twice")));
            }
            entries.push((key, value));
        }
        Ok(Json::Object(entries))
    }
}

/// A decimal as it was written: it reads well, which does not mean that it can be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decimal(String);

impl Decimal {
    pub(super) fn new(text: String) -> Option<Self> {
        let reads = parse_decimal(&text, 0) != Err(DecimalError::NotDecimal);
        reads.then_some(Self(text))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is zero or less.
    pub(super) fn is_at_most_zero(&self) -> bool {
        self.0.starts_with('-') || self.0.bytes().all(|byte| matches!(byte, b'0' | b'.'))
    }

    /// As results are printed: no zeros that say nothing, no `-0`.
    pub(super) fn plain(&self) -> String {
        let (sign, digits) = match self.0.strip_prefix('-') {
            Some(rest) => ("-", rest),
            None => ("", self.0.as_str()),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        match (whole, fraction) {
            ("0", "") => "0".to_owned(),
            (whole, "") => format!("{sign}{whole}"),
            (whole, fraction) => format!("{sign}{whole}.{fraction}"),
        }
    }
}

/// The keys of one object: each is taken once, and in the end none may be left.
#[derive(Debug)]
pub(super) struct Fields {
    /// Where the object stands, for errors: `order` or `instruments[0].session`.
    path: String,
    entries: Vec<(String, Json)>,
}

impl Fields {
    pub(super) fn new(path: &str, value: Json) -> Result<Self, Fault> {
        let found = value.type_name();
        let Json::Object(entries) = value else {
            return Err(format!("{path}: expected an object, found {found}"));
        };
        Ok(Self { path: path.to_owned(), entries })
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// A fault of one key's value.
    pub(super) fn fault(&self, key: &str, what: impl fmt::Display) -> Fault {
        format!("{}: {what}", self.at(key))
    }

    fn wrong(&self, key: &str, wanted: &str, found: &Json) -> Fault {
        self.fault(key, format!("expected {wanted}, found {}", found.type_name()))
    }

    fn missing(&self, key: &str) -> Fault {
        let of = if self.path.is_empty() { String::new() } else { format!("{}: ", self.path) };
        format!("{of}missing key `{key}`")
    }

    /// The names of the keys that are left.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(key, _)| key.as_str())
    }

    /// A value that stays where it is.
    pub(super) fn peek(&self, key: &str) -> Option<&Json> {
        self.entries.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// Takes a value if it is this word, and says whether it was.
    pub(super) fn take_word(&mut self, key: &str, word: &str) -> bool {
        let is_it = matches!(self.peek(key), Some(Json::Text(text)) if text == word);
        is_it && self.take(key).is_some()
    }

    pub(super) fn take(&mut self, key: &str) -> Option<Json> {
        let index = self.entries.iter().position(|(known, _)| known == key)?;
        Some(self.entries.remove(index).1)
    }

    /// Nothing may be left.
    pub(super) fn finish(self) -> Result<(), Fault> {
        match self.entries.first() {
            None => Ok(()),
            Some((key, _)) if self.path.is_empty() => Err(format!("unknown key `{key}`")),
            Some((key, _)) => Err(format!("{}: unknown key `{key}`", self.path)),
        }
    }

    pub(super) fn object_opt(&mut self, key: &str) -> Result<Option<Self>, Fault> {
        let path = self.at(key);
        self.take(key).map(|value| Self::new(&path, value)).transpose()
    }

    pub(super) fn list_opt(&mut self, key: &str) -> Result<Option<Vec<Json>>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(Json::List(items)) => Ok(Some(items)),
            Some(other) => Err(self.wrong(key, "a list", &other)),
        }
    }

    pub(super) fn list(&mut self, key: &str) -> Result<Vec<Json>, Fault> {
        self.list_opt(key)?.ok_or_else(|| self.missing(key))
    }

    pub(super) fn text_opt(&mut self, key: &str) -> Result<Option<String>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, "a string", &other)),
        }
    }

    pub(super) fn text(&mut self, key: &str) -> Result<String, Fault> {
        self.text_opt(key)?.ok_or_else(|| self.missing(key))
    }

    pub(super) fn bool_opt(&mut self, key: &str) -> Result<Option<bool>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(Json::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(self.wrong(key, "true or false", &other)),
        }
    }

    pub(super) fn bool_or_false(&mut self, key: &str) -> Result<bool, Fault> {
        Ok(self.bool_opt(key)?.unwrap_or(false))
    }

    pub(super) fn integer_opt<T: TryFrom<i128>>(&mut self, key: &str) -> Result<Option<T>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(Json::Integer(value)) => match T::try_from(value) {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(self.fault(key, format!("{value} is out of range"))),
            },
            Some(other) => Err(self.wrong(key, "an integer", &other)),
        }
    }

    pub(super) fn decimal_opt(&mut self, key: &str) -> Result<Option<Decimal>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(Json::Text(text)) => match Decimal::new(text.clone()) {
                Some(decimal) => Ok(Some(decimal)),
                None => Err(self.fault(key, format!("{text:?} is no decimal number"))),
            },
            Some(other) => Err(self.wrong(key, "a decimal number as a string", &other)),
        }
    }

    pub(super) fn decimal(&mut self, key: &str) -> Result<Decimal, Fault> {
        self.decimal_opt(key)?.ok_or_else(|| self.missing(key))
    }

    /// A decimal that may also be written as a plain integer.
    pub(super) fn figure_opt(&mut self, key: &str) -> Result<Option<Decimal>, Fault> {
        let integer = match self.peek(key) {
            Some(Json::Integer(value)) => Some(value.to_string()),
            Some(_) | None => None,
        };
        match integer {
            Some(text) => {
                self.take(key);
                Ok(Decimal::new(text))
            }
            None => self.decimal_opt(key),
        }
    }

    /// One of a few words.
    pub(super) fn choice_opt<T: Copy>(
        &mut self,
        key: &str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, Fault> {
        let Some(text) = self.text_opt(key)? else { return Ok(None) };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(Some(*value));
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        Err(self.fault(key, format!("{text:?}; expected {}", known.join(", "))))
    }

    pub(super) fn choice<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Result<T, Fault> {
        self.choice_opt(key, words)?.ok_or_else(|| self.missing(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_print_plainly() {
        let cases = [
            ("0", "0"),
            ("-0", "0"),
            ("-0.00", "0"),
            ("007.50", "7.5"),
            ("-0.10", "-0.1"),
            ("100", "100"),
            ("0.000", "0"),
            ("-12.000", "-12"),
        ];
        for (text, plain) in cases {
            assert_eq!(Decimal::new(text.to_owned()).expect(text).plain(), plain, "{text}");
        }
        for text in ["", "1.", ".5", "+1", "1e5", "abc", "1,5", "--1", " 1"] {
            assert_eq!(Decimal::new(text.to_owned()), None, "{text}");
        }
        for (text, expected) in [("0", true), ("-1", true), ("0.0", true), ("0.1", false)] {
            assert_eq!(Decimal::new(text.to_owned()).expect(text).is_at_most_zero(), expected);
        }
    }

    #[test]
    fn a_key_that_is_there_twice_is_refused_at_every_depth() {
        assert!(Json::parse(r#"{"a":1,"b":{"c":1}}"#).is_ok());
        let error = Json::parse(r#"{"a":1,"b":[{"c":1,"c":2}]}"#).expect_err("twice");
        assert!(error.contains("`c`"), "{error}");
        assert!(!error.contains("line"), "{error}");
    }
}
