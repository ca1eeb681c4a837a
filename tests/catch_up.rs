//! Where a feed goes on when a log is taken up again: behind any of its inputs.

use trade_engine::codec::Head;
use trade_engine::event::{Body, Record};
use trade_engine::input::Input;
use trade_engine::instrument::InstrumentId;
use trade_engine::resume::FeedPlace;
use trade_engine::runtime::{Feed, Tick, catch_up};
use trade_engine::strategy::{Bar, Positions, Signal, Strategy};
use trade_engine::units::{Price, Ts};

/// Moments of one input and of several, two of them of the same time.
const MOMENTS: [(i64, i64); 6] = [(1, 1), (2, 3), (2, 2), (5, 1), (9, 4), (9, 1)];

struct Moments(std::vec::IntoIter<Tick>);

impl Feed for Moments {
    fn next_tick(&mut self) -> Option<Tick> {
        self.0.next()
    }
}

/// Input number `at` of all: a mark whose price is its number.
fn mark(at: i64) -> Input {
    Input::Mark { instrument: InstrumentId(0), price: Price(at), bid: None, ask: None }
}

fn moments() -> Vec<Tick> {
    let mut at = 0;
    let tick = |(ts, count): (i64, i64)| {
        // What is not market data is not counted, and goes with what comes before it.
        let inputs = (at..at + count).flat_map(|at| [mark(at), Input::Timer {}]).collect();
        at += count;
        // Its bar says the number of the moment's last input.
        let price = Price(at - 1);
        let (open, high, low, close, volume) = (price, price, price, price, 1);
        let (instrument, opened) = (InstrumentId(0), Ts(ts));
        let bar = Bar { instrument, opened, open, high, low, close, volume };
        Tick { ts: Ts(ts), inputs, bars: vec![bar], marks: Vec::new() }
    };
    MOMENTS.map(tick).to_vec()
}

/// Remembers what it was shown, and always wants something.
#[derive(Default)]
struct Shown(Vec<i64>);

impl Strategy for Shown {
    fn on_bar(&mut self, bar: &Bar, _: &Positions) -> Option<Signal> {
        self.0.push(bar.close.0);
        Some(Signal::buy(bar.instrument))
    }
}

/// How far the feed is in a log of its first `count` inputs, between other inputs, some of which
/// have moved the time on.
fn place(count: i64) -> FeedPlace {
    let mut place = FeedPlace::default();
    for at in 0..count {
        for input in [mark(at), Input::Timer {}] {
            let body = Body::Input(input, 0);
            let head = Head { seq: 1, ts: Ts(at * 3), kind: body.kind(), flags: 0 };
            place.note(&Record { head, body });
        }
    }
    place
}

#[test]
fn a_feed_goes_on_behind_any_of_its_inputs() {
    let all: Vec<Input> = moments().into_iter().flat_map(|tick| tick.inputs).collect();
    let marks = i64::try_from(all.len() / 2).unwrap();
    let ends: Vec<i64> = moments().iter().map(|tick| tick.bars[0].close.0).collect();
    for count in 0..=marks {
        let mut strategy = Shown::default();
        let feed = Box::new(Moments(moments().into_iter()));
        let (mut rest, played) = catch_up(feed, &mut strategy, &Positions::new(1), place(count));
        // It has been shown the moments that are whole in the log, and is asked of the others.
        let whole: Vec<i64> = ends.iter().copied().filter(|end| *end < count).collect();
        assert_eq!(strategy.0, whole, "{count} inputs");
        assert_eq!(played, whole.len() as u64);
        let mut inputs = Vec::new();
        let mut asked = Vec::new();
        while let Some(tick) = rest.next_tick() {
            inputs.extend(tick.inputs);
            asked.extend(tick.bars.iter().map(|bar| bar.close.0));
        }
        // The timer behind the last mark of the log is played once more, unless its moment is over.
        let is_over = count == 0 || ends.contains(&(count - 1));
        let from = 2 * usize::try_from(count).unwrap() - usize::from(!is_over);
        assert_eq!(inputs, all[from..], "{count} inputs");
        assert_eq!([whole, asked].concat(), ends, "{count} inputs");
    }
}
