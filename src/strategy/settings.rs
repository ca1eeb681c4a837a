//! Which strategy, with which figures.

use super::{Breakout, MeanReversion, Momentum, Strategy};
use crate::units::Ratio;
use std::fmt;

/// Longest lookback, bars: each instrument keeps as many prices, twice for a breakout.
pub const LOOKBACK_MAX: usize = 10_000;

/// A strategy and its figures, as a configuration names them.
///
/// ```
/// use trade_engine::strategy::StrategySettings;
///
/// let settings = StrategySettings::MOMENTUM;
/// settings.check()?;
/// let strategy = settings.build(4);
/// # drop(strategy);
/// # Ok::<(), trade_engine::strategy::StrategyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrategySettings {
    /// See [`Momentum`].
    Momentum {
        /// Bars that the return is measured over.
        lookback: usize,
        /// Return above which it acts.
        threshold: Ratio,
        /// Whether it also sells what it does not hold.
        allow_short: bool,
    },
    /// See [`MeanReversion`].
    MeanReversion {
        /// Closes that mean and deviation are taken over.
        lookback: usize,
        /// Standard deviations from the mean beyond which it opens.
        entry: Ratio,
        /// Standard deviations from the mean within which it leaves.
        exit: Ratio,
        /// Whether it also sells what it does not hold.
        allow_short: bool,
    },
    /// See [`Breakout`].
    Breakout {
        /// Bars of the channel that opens.
        entry_lookback: usize,
        /// Bars of the channel that leaves.
        exit_lookback: usize,
        /// Whether it also sells what it does not hold.
        allow_short: bool,
    },
}

/// Which figure makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrategyError {
    /// A lookback of no bars, or of more than can be kept.
    Lookback,
    /// A z-score needs two closes.
    LookbackTooShort,
    /// Negative.
    Threshold,
    /// Not `0 <= exit < entry`.
    EntryExit,
}

impl fmt::Display for StrategyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lookback => "a lookback must be from 1 to 10000 bars",
            Self::LookbackTooShort => "the lookback of mean_reversion must be at least 2 bars",
            Self::Threshold => "threshold must not be negative",
            Self::EntryExit => "exit must not be negative and must be below entry",
        })
    }
}

impl std::error::Error for StrategyError {}

impl StrategySettings {
    /// 20 bars, 2 %, long only.
    pub const MOMENTUM: Self =
        Self::Momentum { lookback: 20, threshold: Ratio(20_000_000), allow_short: false };

    /// 20 bars, in at two deviations, out at half of one, long only.
    pub const MEAN_REVERSION: Self = Self::MeanReversion {
        lookback: 20,
        entry: Ratio(2_000_000_000),
        exit: Ratio(500_000_000),
        allow_short: false,
    };

    /// In over 20 bars, out over 10, long only.
    pub const BREAKOUT: Self =
        Self::Breakout { entry_lookback: 20, exit_lookback: 10, allow_short: false };

    /// The name in the configuration and in reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Momentum { .. } => "momentum",
            Self::MeanReversion { .. } => "mean_reversion",
            Self::Breakout { .. } => "breakout",
        }
    }

    /// The strategy of this name with its defaults.
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::MOMENTUM, Self::MEAN_REVERSION, Self::BREAKOUT];
        all.into_iter().find(|settings| settings.name() == name)
    }

    /// Checks the figures.
    ///
    /// # Errors
    /// The first of [`StrategyError`]'s cases that applies.
    pub fn check(&self) -> Result<(), StrategyError> {
        let good = |lookback: usize| (1..=LOOKBACK_MAX).contains(&lookback);
        let require = |good: bool, error| if good { Ok(()) } else { Err(error) };
        match *self {
            Self::Momentum { lookback, threshold, .. } => {
                require(good(lookback), StrategyError::Lookback)?;
                require(threshold >= Ratio(0), StrategyError::Threshold)
            }
            Self::MeanReversion { lookback, entry, exit, .. } => {
                require(good(lookback), StrategyError::Lookback)?;
                require(lookback >= 2, StrategyError::LookbackTooShort)?;
                require(Ratio(0) <= exit && exit < entry, StrategyError::EntryExit)
            }
            Self::Breakout { entry_lookback, exit_lookback, .. } => {
                require(good(entry_lookback) && good(exit_lookback), StrategyError::Lookback)
            }
        }
    }

    /// Builds it for `instruments` instruments; the last memory it takes.
    ///
    /// # Panics
    /// If [`StrategySettings::check`] finds something.
    pub fn build(&self, instruments: usize) -> Box<dyn Strategy + Send> {
        assert_eq!(self.check(), Ok(()));
        match *self {
            Self::Momentum { lookback, threshold, allow_short } => {
                Box::new(Momentum::new(instruments, lookback, threshold, allow_short))
            }
            Self::MeanReversion { lookback, entry, exit, allow_short } => {
                Box::new(MeanReversion::new(instruments, lookback, entry, exit, allow_short))
            }
            Self::Breakout { entry_lookback, exit_lookback, allow_short } => {
                Box::new(Breakout::new(instruments, entry_lookback, exit_lookback, allow_short))
            }
        }
    }
}
