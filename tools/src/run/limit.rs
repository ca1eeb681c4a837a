//! The command that changes a limit of a running engine, from a line of text to an input.
//!
//! Whatever can be known to be wrong is refused here, where somebody reads the answer; what depends
//! on the engine's state, it says itself, in the log.

use crate::text::clean;
use trade_engine::input::Input;
use trade_engine::instrument::InstrumentId;
use trade_engine::settings::{LimitKey, Scope, Settings};

/// How the command is worded.
const FORMS: &str = "limit KEY VALUE, limit symbol NAME KEY VALUE or limit strategy NAME KEY VALUE";
/// Names that an answer lists, before it says only that there are more.
const NAMES_MAX: usize = 16;

/// Whose limits there are.
#[derive(Debug)]
pub(super) struct Owners {
    symbols: Vec<String>,
    strategies: Vec<String>,
}

impl Owners {
    /// The account, every instrument and every strategy of a run.
    pub(super) fn of(settings: &Settings) -> Self {
        let symbols = settings.instruments.iter().map(|one| one.symbol.clone()).collect();
        Self { symbols, strategies: settings.strategies.clone() }
    }

    /// Reads what stands behind the word `limit`.
    ///
    /// # Errors
    /// A line for a person: what is wrong, and what was expected.
    pub(super) fn read(&self, words: &str) -> Result<Input, String> {
        let short = || format!("limit: expected {FORMS}");
        let (rest, value) = split_last(words).ok_or_else(short)?;
        let (owner, key) = split_last(rest).unwrap_or(("", rest));
        let (kind, name) = owner.split_once(char::is_whitespace).unwrap_or((owner, ""));
        let name = name.trim();
        let (mut instrument, mut strategy) = (InstrumentId::UNKNOWN, 0);
        let scope = match kind {
            "" => Scope::Account,
            "symbol" | "strategy" if name.is_empty() => return Err(short()),
            "symbol" => {
                instrument = InstrumentId(place("symbol", name, &self.symbols)?);
                Scope::Instrument
            }
            "strategy" => {
                // Number 0 is nobody.
                strategy = place("strategy", name, &self.strategies)? + 1;
                Scope::Strategy
            }
            _ => return Err(short()),
        };
        let key = read_key(scope, key)?;
        let value = key.read(value).map_err(|error| {
            let form = match key.decimals() {
                0 => "a whole number".to_owned(),
                most => format!("a decimal number with at most {most} decimals"),
            };
            format!("limit: {} {value:?}: {error}; expected {form}, or none", key.name())
        })?;
        Ok(Input::SetLimit { scope, instrument, strategy, key, value })
    }
}

fn split_last(text: &str) -> Option<(&str, &str)> {
    let (rest, last) = text.trim().rsplit_once(char::is_whitespace)?;
    Some((rest.trim_end(), last))
}

/// Where a name stands among those that there are.
fn place(what: &str, name: &str, known: &[String]) -> Result<u16, String> {
    let found = known.iter().position(|one| clean(one) == name);
    if let Some(place) = found {
        return Ok(u16::try_from(place).expect("settings bound how many there are"));
    }
    let mut names: Vec<&str> = known.iter().take(NAMES_MAX).map(String::as_str).collect();
    if known.len() > NAMES_MAX {
        names.push("...");
    }
    let names =
        if names.is_empty() { "nothing: there is none".to_owned() } else { names.join(", ") };
    Err(format!("limit: no {what} {name:?}; expected {names}"))
}

fn read_key(scope: Scope, name: &str) -> Result<LimitKey, String> {
    let fits = |key: LimitKey| scope == Scope::Account || key.is_scoped();
    let key = LimitKey::from_name(name);
    if let Some(key) = key.filter(|key| fits(*key)) {
        return Ok(key);
    }
    let keys = LimitKey::ALL.iter().filter(|key| fits(**key));
    let keys: Vec<&str> = keys.map(|key| key.name()).collect();
    let what = match key {
        Some(_) => format!("{name} is the account's alone"),
        None => format!("no key {name:?}"),
    };
    Err(format!("limit: {what}; expected {}", keys.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use trade_engine::units::Money;

    fn owners() -> Owners {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Owners { symbols: names(&["ES", "BRK B"]), strategies: names(&["momentum", "other"]) }
    }

    #[test]
    fn every_form_reads() {
        let set = |scope, instrument, strategy, key, value: Option<&str>| {
            let value = value.map(|text| text.parse::<Money>().unwrap());
            Ok(Input::SetLimit { scope, instrument, strategy, key, value })
        };
        let nobody = InstrumentId::UNKNOWN;
        let read = |text: &str| owners().read(text);
        let account = Scope::Account;
        assert_eq!(
            read("max_drawdown_pct 0.05"),
            set(account, nobody, 0, LimitKey::MaxDrawdownPct, Some("0.05"))
        );
        assert_eq!(
            read("  max_positions\t none "),
            set(account, nobody, 0, LimitKey::MaxPositions, None)
        );
        assert_eq!(
            read("symbol ES max_order_qty 5"),
            set(Scope::Instrument, InstrumentId(0), 0, LimitKey::MaxOrderQty, Some("5"))
        );
        assert_eq!(
            read("symbol BRK B max_order_qty 0.5"),
            set(Scope::Instrument, InstrumentId(1), 0, LimitKey::MaxOrderQty, Some("0.5"))
        );
        assert_eq!(
            read("strategy other max_open_orders 3"),
            set(Scope::Strategy, nobody, 2, LimitKey::MaxOpenOrders, Some("3"))
        );
    }

    #[test]
    fn what_does_not_read_says_what_was_expected() {
        let cases = [
            ("", "expected limit KEY VALUE, limit symbol NAME KEY VALUE"),
            ("max_positions", "expected limit KEY VALUE"),
            ("symbol max_order_qty 5", "expected limit KEY VALUE"),
            ("account ES max_order_qty 5", "expected limit KEY VALUE"),
            ("max_order 5", "no key \"max_order\"; expected max_position_pct, max_drawdown_pct, "),
            ("symbol NQ max_order_qty 5", "no symbol \"NQ\"; expected ES, BRK B"),
            ("strategy x max_order_qty 5", "no strategy \"x\"; expected momentum, other"),
            (
                "symbol ES max_drawdown_pct 0.1",
                "max_drawdown_pct is the account's alone; expected max_position_pct, max_order_qty",
            ),
            ("max_positions few", "not a decimal number; expected a whole number, or none"),
            ("max_positions 1.5", "past its range; expected a whole number, or none"),
            ("max_positions -1", "below zero"),
            ("max_leverage 1e3", "expected a decimal number with at most 9 decimals, or none"),
            ("max_orders_per_second 99999999", "past its range"),
        ];
        for (text, expected) in cases {
            let said = owners().read(text).unwrap_err();
            assert!(said.starts_with("limit: ") && said.contains(expected), "{text}: {said}");
        }
        let nobody = Owners { symbols: Vec::new(), strategies: Vec::new() };
        let said = nobody.read("strategy x max_order_qty 5").unwrap_err();
        assert!(said.ends_with("expected nothing: there is none"), "{said}");
    }
}
