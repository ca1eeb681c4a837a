//! A feed and a strategy brought to where a log ends, so that they go on from there.

use super::gateway_loop::{Feed, Tick};
use crate::resume::FeedPlace;
use crate::strategy::{Positions, Strategy};

/// Plays a feed up to where a log ends, and gives back what is left of it, and how many whole
/// moments have been played. All market data in the log has come from this feed, from its first.
///
/// The strategy is shown everything that has been played, so that it remembers what it would
/// remember; what it says to that is not heard, and it is told what is held now. Of the last moment
/// it may have been asked or not: if all of that moment's inputs are in the log it is not asked
/// again, since an order given twice is worse than one that is missed. If some are missing it had
/// not been asked: the rest of the moment is played, and then it is. A moment without market data
/// goes with the one before it.
pub fn catch_up(
    mut feed: Box<dyn Feed>,
    strategy: &mut dyn Strategy,
    positions: &Positions,
    place: FeedPlace,
) -> (Box<dyn Feed>, u64) {
    let (mut moments, mut left) = (0, place.inputs);
    let mut first = None;
    while let Some(mut tick) = feed.next_tick() {
        let counted = tick.inputs.iter().filter(|input| FeedPlace::counts(input)).count() as u64;
        if left < counted {
            // What is not counted goes with what comes before it.
            tick.inputs.retain(|input| {
                let is_played = left > 0;
                left -= u64::from(is_played && FeedPlace::counts(input));
                !is_played
            });
            first = Some(tick);
            break;
        }
        left -= counted;
        moments += 1;
        for bar in &tick.bars {
            let _ = strategy.on_bar(bar, positions);
        }
        for mark in &tick.marks {
            let _ = strategy.on_mark(mark, positions);
        }
    }
    (Box::new(Rest { first, feed }), moments)
}

/// What is left of a feed.
struct Rest {
    /// The moment that was under way, or the one after.
    first: Option<Tick>,
    feed: Box<dyn Feed>,
}

impl Feed for Rest {
    fn next_tick(&mut self) -> Option<Tick> {
        self.first.take().or_else(|| self.feed.next_tick())
    }
}
