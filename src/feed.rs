//! How far market data is in a log: where a feed goes on when the log is taken up again.

use crate::event::{Body, Record};
use crate::input::Input;

/// How far market data is in a log. It enters in the feed's order, so that a count says how much of
/// the feed has been played. A time would not: one that a report had overtaken was moved up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedPlace {
    /// Inputs of market data in the log, from its beginning.
    pub inputs: u64,
}

crate::image!(FeedPlace { inputs });

impl FeedPlace {
    /// Takes in the next record of the log.
    pub fn note(&mut self, record: &Record) {
        if let Body::Input(input, _) = &record.body
            && Self::counts(input)
        {
            self.inputs += 1;
        }
    }

    /// Whether an input is market data, which comes from a feed and from nobody else.
    pub const fn counts(input: &Input) -> bool {
        matches!(
            input,
            Input::Mark { .. } | Input::Bar { .. } | Input::Rate { .. } | Input::DayRoll {}
        )
    }
}
