//! Bars as a run of moments: what the engine takes in and the strategy looks at, and when.
//!
//! A bar is known when the next one of its symbol begins. That moment gives, in this order, the
//! completed bars, the day roll if one has passed (a day order still meets the bar of its day), and
//! the first prices of the new bars: a market order that a bar causes trades at the open after it.

use crate::feed::{Feed as Bars, FeedBar};
use trade_engine::input::Input;
use trade_engine::instrument::InstrumentId;
use trade_engine::runtime::{Feed, Tick};
use trade_engine::strategy::{Bar, Mark};
use trade_engine::units::Ts;

/// The moments of a feed.
#[derive(Debug)]
pub struct Timeline {
    bars: Vec<FeedBar>,
    /// The engine's instrument of each symbol of the feed.
    instruments: Vec<InstrumentId>,
    /// The bar of each symbol that has begun and is not known yet.
    begun: Vec<Option<FeedBar>>,
    next: usize,
    day_rolls: std::iter::Peekable<std::vec::IntoIter<Ts>>,
    /// The last moment told: time does not go back where one symbol ends before the others.
    told: Ts,
    /// The last bars, to be told at their own ends.
    ending: std::vec::IntoIter<FeedBar>,
    ended: bool,
}

impl Timeline {
    /// The moments of these bars; `instruments` gives the engine's of each symbol, `day_rolls` the
    /// instants at which trading days begin, in order.
    pub fn new(bars: Bars, instruments: Vec<InstrumentId>, day_rolls: Vec<Ts>) -> Self {
        assert_eq!(bars.symbols.len(), instruments.len());
        let first = bars.bars.first().map_or(Ts(0), |bar| bar.ts_open);
        let mut day_rolls = day_rolls.into_iter().peekable();
        // The day on which the feed begins has begun already.
        while day_rolls.next_if(|roll| *roll <= first).is_some() {}
        Self {
            begun: vec![None; instruments.len()],
            bars: bars.bars,
            instruments,
            next: 0,
            day_rolls,
            told: first,
            ending: Vec::new().into_iter(),
            ended: false,
        }
    }

    /// The first moment.
    pub fn begins(&self) -> Ts {
        self.bars.first().map_or(Ts(0), |bar| bar.ts_open)
    }

    /// How many moments there are.
    pub fn len(&self) -> usize {
        let openings = self.bars.chunk_by(|a, b| a.ts_open == b.ts_open).count();
        let symbols = self.instruments.iter().enumerate();
        let ends = symbols.filter(|(symbol, _)| self.bars.iter().any(|bar| bar.symbol == *symbol));
        openings + ends.count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bars.is_empty()
    }

    fn complete(&self, bar: &FeedBar, tick: &mut Tick, show: bool) {
        let instrument = self.instruments[bar.symbol];
        let volume = u64::try_from(bar.volume).unwrap_or(0);
        let FeedBar { ts_open: opened, open, high, low, close, .. } = *bar;
        tick.inputs.push(Input::Bar { instrument, open, high, low, close, volume, opened });
        if show {
            tick.bars.push(Bar { instrument, opened, open, high, low, close, volume });
        }
    }

    /// The moment at which the next bars begin.
    fn opening(&mut self) -> Option<Tick> {
        let ts = self.bars.get(self.next)?.ts_open;
        let count = self.bars[self.next..].iter().take_while(|bar| bar.ts_open == ts).count();
        let beginning: Vec<FeedBar> = self.bars[self.next..self.next + count].to_vec();
        self.next += count;
        self.told = ts;
        let mut tick = Tick { ts, ..Tick::default() };
        for bar in &beginning {
            if let Some(known) = self.begun[bar.symbol].replace(*bar) {
                self.complete(&known, &mut tick, true);
            }
        }
        let mut rolled = false;
        while self.day_rolls.next_if(|roll| *roll <= ts).is_some() {
            rolled = true;
        }
        if rolled {
            tick.inputs.push(Input::DayRoll {});
        }
        for bar in &beginning {
            let (instrument, price) = (self.instruments[bar.symbol], bar.open);
            tick.inputs.push(Input::Mark { instrument, price, bid: None, ask: None });
            tick.marks.push(Mark { instrument, ts, price, bid: None, ask: None });
        }
        Some(tick)
    }

    /// The last bars are told when they end; no order that they cause could trade any more, so the
    /// strategy is not asked.
    fn ending(&mut self) -> Option<Tick> {
        if !std::mem::replace(&mut self.ended, true) {
            let mut last: Vec<FeedBar> = self.begun.iter_mut().filter_map(Option::take).collect();
            last.sort_by_key(|bar| (bar.ts_close, bar.symbol));
            self.ending = last.into_iter();
        }
        let bar = self.ending.next()?;
        self.told = self.told.max(bar.ts_close);
        let mut tick = Tick { ts: self.told, ..Tick::default() };
        self.complete(&bar, &mut tick, false);
        Some(tick)
    }
}

impl Feed for Timeline {
    fn next_tick(&mut self) -> Option<Tick> {
        self.opening().or_else(|| self.ending())
    }
}
