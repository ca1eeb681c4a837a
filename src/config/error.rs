//! What is wrong with a configuration, and where: file, line and key.

use crate::contracts::ContractError;
use std::collections::BTreeMap;
use std::fmt;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A key and what is wrong with it; its place in a file is looked up afterwards.
pub(super) type Fault = ContractError;

/// `config.toml:12: risk.max_position_pct: what was found; what was expected`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, as the caller named it.
    pub file: String,
    /// Line from 1; `None`: the file as a whole.
    pub line: Option<usize>,
    /// The key as a path from the top of the file; empty: none is to blame.
    pub key: String,
    /// What was found and what was expected.
    pub problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for ConfigError {}

/// Where every key of a file stands.
#[derive(Clone, Debug)]
pub(super) struct Places {
    file: String,
    /// Key, as a path from the top of the file, to its line from 1.
    lines: BTreeMap<String, usize>,
}

impl Places {
    /// Parses a file and notes where its keys are.
    pub(super) fn parse<'a>(
        file: &str,
        text: &'a str,
    ) -> Result<(Spanned<DeTable<'a>>, Self), ConfigError> {
        let mut places = Self { file: file.to_owned(), lines: BTreeMap::new() };
        let root = match DeTable::parse(text) {
            Ok(root) => root,
            Err(error) => {
                let line = error.span().map(|span| line_of(text, span.start));
                return Err(places.at(line, String::new(), error.message().to_owned()));
            }
        };
        visit(root.get_ref(), &mut |key, offset| {
            places.lines.insert(key.to_owned(), line_of(text, offset));
        });
        Ok((root, places))
    }

    fn at(&self, line: Option<usize>, key: String, problem: String) -> ConfigError {
        ConfigError { file: self.file.clone(), line, key, problem }
    }

    /// The error with its place: the line of the key, or of the nearest table around it that is
    /// there.
    pub(super) fn locate(&self, fault: Fault) -> ConfigError {
        let Fault { key, problem } = fault;
        let mut known = key.as_str();
        let line = loop {
            if let Some(line) = self.lines.get(known) {
                break Some(*line);
            }
            match known.rfind(['.', '[']) {
                Some(end) => known = &known[..end],
                None => break None,
            }
        };
        self.at(line, key, problem)
    }
}

/// Line from 1 of a byte of the text.
fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

/// Calls `found` with the path and the place of every key and every element of a list; what stands
/// later in the file does not always come later.
fn visit(root: &DeTable<'_>, found: &mut impl FnMut(&str, usize)) {
    let mut tables = vec![(String::new(), root)];
    while let Some((path, table)) = tables.pop() {
        for (key, value) in table {
            let path = join(&path, key.get_ref());
            found(&path, key.span().start);
            match value.get_ref() {
                DeValue::Table(inner) => tables.push((path, inner)),
                DeValue::Array(list) => {
                    for (index, element) in list.iter().enumerate() {
                        let path = format!("{path}[{index}]");
                        found(&path, element.span().start);
                        if let DeValue::Table(inner) = element.get_ref() {
                            tables.push((path, inner));
                        }
                    }
                }
                DeValue::String(_)
                | DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_) => {}
            }
        }
    }
}

/// A key inside a table, as a path.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The last key or element that begins at or before a byte of the file: whose error it is.
pub(super) fn key_at(root: &DeTable<'_>, offset: usize) -> String {
    let mut nearest = (0, String::new());
    visit(root, &mut |key, start| {
        // The deepest of those that begin at the same byte is the one with the longest path.
        let place = (start, key.len());
        if start <= offset && place >= (nearest.0, nearest.1.len()) {
            nearest = (start, key.to_owned());
        }
    });
    nearest.1
}
