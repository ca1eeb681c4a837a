//! The account in its parts: what each strategy made of it, what lies in each currency, and which
//! currencies have no rate.

use crate::text::{Align, Table, clean, money};
use serde_json::{Value, json};
use std::io::{self, Write};
use trade_engine::engine::State;
use trade_engine::position::Rate;
use trade_engine::units::Money;

use Align::{Left, Right};

/// What is left of the account's P&L when every strategy has its own.
const NOBODY: &str = "(no strategy)";

/// What one strategy made, in the account's currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrategyPart {
    /// Its name; none: what is nobody's.
    pub name: Option<String>,
    /// Realized and not; the sum over all is the account's. None past the bounds.
    pub pnl: Option<Money>,
}

/// What lies in one currency, in that currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrencyPart {
    /// Its name.
    pub currency: String,
    /// At what it is converted, as it was quoted; none: no rate has come, and it counts nothing in
    /// the account.
    pub rate: Option<Rate>,
    /// P&L of what was closed, commission taken off.
    pub realized: Money,
    /// P&L of what is held.
    pub unrealized: Money,
    /// Paid.
    pub commission: Money,
}

/// The account in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountParts {
    /// Every strategy, and nobody's.
    pub strategies: Vec<StrategyPart>,
    /// Every currency, the account's first.
    pub currencies: Vec<CurrencyPart>,
    /// The currencies in use that have no rate: what the account is worth is not known.
    pub without_rate: Vec<String>,
}

impl AccountParts {
    /// As of a state.
    pub fn of(state: &State) -> Self {
        let (settings, account) = (state.settings(), state.account());
        let names = settings.currencies();
        let name = |currency: u16| names.get(usize::from(currency)).copied().unwrap_or("?");
        let part = |currency: u16| {
            let balance = account.balance(currency).copied().unwrap_or_default();
            CurrencyPart {
                currency: name(currency).to_owned(),
                rate: account.rates().get(currency),
                // Two balances: the difference is an i128 by far.
                realized: Money(balance.realized.0 - balance.commission.0),
                unrealized: balance.unrealized,
                commission: balance.commission,
            }
        };
        let numbered = (1..).zip(settings.strategies.iter().cloned().map(Some));
        let strategy = |(number, name)| StrategyPart { name, pnl: state.strategy_pnl(number) };
        let numbers = 0..u16::try_from(names.len()).expect("no more than instruments and one");
        Self {
            strategies: numbered.chain([(0, None)]).map(strategy).collect(),
            currencies: numbers.map(part).collect(),
            without_rate: account
                .without_rate()
                .map(|currency| name(currency).to_owned())
                .collect(),
        }
    }

    /// As one object.
    pub fn json(&self) -> Value {
        let strategies: Vec<Value> = self
            .strategies
            .iter()
            .map(|part| json!({"strategy": part.name, "pnl": part.pnl.map(|pnl| pnl.to_string())}))
            .collect();
        let currencies: Vec<Value> = self.currencies.iter().map(CurrencyPart::json).collect();
        json!({
            "strategies": strategies,
            "currencies": currencies,
            "without_rate": self.without_rate,
        })
    }

    /// As tables; those that would say nothing are left out.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn print(&self, out: &mut impl Write) -> io::Result<()> {
        if !self.without_rate.is_empty() {
            let names: Vec<String> = self.without_rate.iter().map(|name| clean(name)).collect();
            writeln!(
                out,
                "\nNO RATE for {}: it counts nothing above, and nothing new is taken on",
                names.join(", ")
            )?;
        }
        if self.currencies.len() > 1 {
            writeln!(out, "\nBalances by currency")?;
            let mut table = Table::new(&[
                ("", Left),
                ("rate", Right),
                ("realized", Right),
                ("unrealized", Right),
                ("commission", Right),
            ]);
            for part in &self.currencies {
                let [realized, unrealized, commission] =
                    [part.realized, part.unrealized, part.commission].map(money);
                let rate = part.rate_text().unwrap_or_else(|| "MISSING".to_owned());
                table.row(&[&part.currency, &rate, &realized, &unrealized, &commission]);
            }
            table.write(out)?;
        }
        if self.strategies.len() > 1 {
            writeln!(out, "\nP&L by strategy")?;
            let mut table = Table::new(&[("", Left), ("", Right)]);
            for part in &self.strategies {
                let pnl = part.pnl.map_or_else(|| "-".to_owned(), money);
                table.row(&[part.name.as_deref().unwrap_or(NOBODY), &pnl]);
            }
            table.write(out)?;
        }
        Ok(())
    }
}

impl CurrencyPart {
    /// The rate as it was quoted; `1/x` where the account's currency stood first.
    fn rate_text(&self) -> Option<String> {
        let rate = self.rate?;
        let over = if rate.is_inverse() { "1/" } else { "" };
        Some(format!("{over}{}", rate.price()))
    }

    fn json(&self) -> Value {
        json!({
            "currency": self.currency,
            "rate": self.rate.map(|rate| rate.price().to_string()),
            "inverse": self.rate.is_some_and(Rate::is_inverse),
            "realized_pnl": self.realized.to_string(),
            "unrealized_pnl": self.unrealized.to_string(),
            "commission": self.commission.to_string(),
        })
    }
}
