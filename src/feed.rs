//! How far market data is in a log: where a feed goes on when the log is taken up again.

use crate::event::{Body, Record};
use crate::input::Input;
use crate::units::Ts;

/// How far market data is in a log. It enters in the feed's order, so that the last of it there
/// says how much of the feed has been played: all moments before it, and of its own moment as many
/// inputs as the log has of that time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedPlace {
    /// The time of the last of it; `None` before the first.
    pub ts: Option<Ts>,
    /// Inputs of that time.
    pub inputs: usize,
}

crate::image!(FeedPlace { ts, inputs });

impl FeedPlace {
    /// Takes in the next record of the log.
    pub fn note(&mut self, record: &Record) {
        let Body::Input(
            Input::Mark { .. } | Input::Bar { .. } | Input::Rate { .. } | Input::DayRoll {},
            _,
        ) = record.body
        else {
            return;
        };
        let ts = Some(record.head.ts);
        self.inputs = if self.ts == ts { self.inputs + 1 } else { 1 };
        self.ts = ts;
    }
}
