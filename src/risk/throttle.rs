//! What has been sent: messages in the last second, and orders since a person last re-armed.
//!
//! Rates are counted over a span that slides: one ring of the last second's messages serves the
//! account, every instrument and every strategy, so that a limit can be set at any time for any of
//! them and counts what was sent before it was set.

use crate::digest::Digest;
use crate::image::{BadImage, Bytes, Image};
use crate::instrument::InstrumentId;
use crate::limits::{RATE_MAX, RATE_SPAN_NANOS};
use crate::units::{Side, Ts};

/// Who a message counts for, beside the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// What it trades.
    pub instrument: InstrumentId,
    /// The strategy's number; one that has no name counts as nobody's, 0.
    pub strategy: u16,
}

/// Messages of the last second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// New orders.
    pub orders: u32,
    /// New orders, replaces and cancels.
    pub messages: u32,
}

impl Sent {
    fn count(&mut self, is_order: bool) {
        self.messages += 1;
        self.orders += u32::from(is_order);
    }

    fn uncount(&mut self, is_order: bool) {
        // Counted when it went in.
        self.messages -= 1;
        self.orders -= u32::from(is_order);
    }
}

#[derive(Clone, Copy, Debug)]
struct Message {
    ts: Ts,
    sender: Sender,
    is_order: bool,
}

crate::image!(Sender { instrument, strategy });
crate::image!(Message { ts, sender, is_order });

/// How many messages were sent in the last second, by scope. A message counts for exactly one
/// second: not any more when it is that old.
#[derive(Clone, Debug)]
pub struct Rates {
    /// Of the last second, `count` of them from `first` on, oldest first.
    ring: Vec<Message>,
    first: usize,
    count: usize,
    /// When a message last found no room: until a second later nobody knows how many there were.
    lost: Option<Ts>,
    account: Sent,
    instruments: Vec<Sent>,
    /// By number; nobody is 0.
    strategies: Vec<Sent>,
    /// Of every message there ever was: with how many still count, it stands for the ring.
    digest: Digest,
}

impl Rates {
    /// Nothing sent yet. Takes all the memory that it will ever take.
    pub fn new(instruments: usize, strategies: usize) -> Self {
        let sender = Sender { instrument: InstrumentId::UNKNOWN, strategy: 0 };
        let none = Message { ts: Ts(0), sender, is_order: false };
        Self {
            ring: vec![none; RATE_MAX as usize],
            first: 0,
            count: 0,
            lost: None,
            account: Sent::default(),
            instruments: vec![Sent::default(); instruments],
            strategies: vec![Sent::default(); strategies + 1],
            digest: Digest::default(),
        }
    }

    /// Sent by everybody.
    pub const fn account(&self) -> Sent {
        self.account
    }

    /// Sent for one instrument.
    pub fn instrument(&self, instrument: InstrumentId) -> Sent {
        self.instruments.get(instrument.index()).copied().unwrap_or_default()
    }

    /// Sent by one strategy.
    pub fn strategy(&self, strategy: u16) -> Sent {
        self.strategies[named(strategy, self.strategies.len())]
    }

    /// Whether more was sent in the last second than can be counted: cancels, which no limit stops,
    /// or what no limit was set for.
    pub const fn is_blind(&self) -> bool {
        self.lost.is_some()
    }

    /// Time has moved: what is a second old counts no more.
    pub fn advance(&mut self, now: Ts) {
        let is_old = |ts: Ts| now.since(ts) >= RATE_SPAN_NANOS;
        while self.count > 0 && is_old(self.ring[self.first].ts) {
            let Message { sender, is_order, .. } = self.ring[self.first];
            self.each(sender, |sent| sent.uncount(is_order));
            self.first = (self.first + 1) % self.ring.len();
            self.count -= 1;
        }
        if self.lost.is_some_and(is_old) {
            self.lost = None;
        }
    }

    /// A message has been handed over.
    pub fn note(&mut self, now: Ts, sender: Sender, is_order: bool) {
        if self.count == self.ring.len() {
            self.lost = Some(now);
            return;
        }
        let place = (self.first + self.count) % self.ring.len();
        self.ring[place] = Message { ts: now, sender, is_order };
        self.count += 1;
        self.each(sender, |sent| sent.count(is_order));
        self.digest.signed(now.0);
        let Sender { instrument, strategy } = sender;
        let packed = u64::from(instrument.0) << 32 | u64::from(strategy) << 16;
        self.digest.word(packed | u64::from(is_order));
    }

    /// Appends the messages, oldest first; the counts follow.
    pub fn write_image(&self, out: &mut Vec<u8>) {
        let Self { ring, first, count, lost, account: _, instruments: _, .. } = self;
        let Self { strategies: _, digest, .. } = self;
        count.write(out);
        for offset in 0..*count {
            ring[(first + offset) % ring.len()].write(out);
        }
        lost.write(out);
        digest.write(out);
    }

    /// Puts what was written where nothing has been sent.
    ///
    /// # Errors
    /// [`BadImage`]: more messages than are counted.
    pub fn restore(&mut self, from: &mut Bytes<'_>) -> Result<(), BadImage> {
        for _ in 0..from.count(self.ring.len())? {
            let Message { ts, sender, is_order } = Message::read(from)?;
            self.note(ts, sender, is_order);
        }
        self.lost = Option::read(from)?;
        self.digest = Digest::read(from)?;
        Ok(())
    }

    fn each(&mut self, sender: Sender, change: impl Fn(&mut Sent)) {
        change(&mut self.account);
        if let Some(sent) = self.instruments.get_mut(sender.instrument.index()) {
            change(sent);
        }
        let strategy = named(sender.strategy, self.strategies.len());
        change(&mut self.strategies[strategy]);
    }

    /// Folds in what can change.
    pub fn digest(&self, digest: &mut Digest) {
        digest.word(self.count as u64);
        digest.option(self.lost.map(|ts| ts.0));
        digest.word(self.digest.finish());
    }
}

/// How often each strategy has sent an order for each instrument in each direction, since the start
/// or since a person last re-armed it.
#[derive(Clone, Debug)]
pub struct Repeats {
    counts: Vec<u32>,
    instruments: usize,
    strategies: usize,
    /// Of every order since.
    digest: Digest,
}

impl Repeats {
    /// None sent yet. Takes all the memory that it will ever take.
    pub fn new(instruments: usize, strategies: usize) -> Self {
        let strategies = strategies + 1;
        Self {
            counts: vec![0; instruments * strategies * 2],
            instruments,
            strategies,
            digest: Digest::default(),
        }
    }

    fn place(&self, sender: Sender, side: Side) -> Option<usize> {
        let Sender { instrument, strategy } = sender;
        let row = named(strategy, self.strategies) * self.instruments;
        (instrument.index() < self.instruments)
            .then_some((row + instrument.index()) * 2 + side.index())
    }

    /// Orders sent.
    pub fn get(&self, sender: Sender, side: Side) -> u32 {
        self.place(sender, side).map_or(0, |place| self.counts[place])
    }

    /// An order has been handed over.
    pub fn note(&mut self, sender: Sender, side: Side) {
        let Some(place) = self.place(sender, side) else { return };
        // At the end of its range it is past every limit, or there is none.
        self.counts[place] = self.counts[place].saturating_add(1);
        self.digest.word(place as u64);
    }

    /// A person has re-armed it.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.digest = Digest::default();
    }

    /// Whether any of them has reached its limit, given by who it counts for.
    pub fn any_used_up(&self, limit: impl Fn(Sender) -> Option<u32>) -> bool {
        self.counts.iter().enumerate().filter(|(_, count)| **count > 0).any(|(place, count)| {
            let row = place / 2;
            let number = |n: usize| u16::try_from(n).expect("limits.rs bounds it");
            let instrument = InstrumentId(number(row % self.instruments));
            let strategy = number(row / self.instruments);
            limit(Sender { instrument, strategy }).is_some_and(|limit| *count >= limit)
        })
    }

    /// Appends every count.
    pub fn write_image(&self, out: &mut Vec<u8>) {
        let Self { counts, instruments: _, strategies: _, digest } = self;
        crate::image::write_all(counts, out);
        digest.write(out);
    }

    /// Puts what was written where as many strategies and instruments have sent nothing.
    ///
    /// # Errors
    /// [`BadImage`]: it is none.
    pub fn restore(&mut self, from: &mut Bytes<'_>) -> Result<(), BadImage> {
        crate::image::read_all(&mut self.counts, from)?;
        self.digest = Digest::read(from)?;
        Ok(())
    }

    /// Folds in what can change.
    pub fn digest(&self, digest: &mut Digest) {
        digest.word(self.digest.finish());
    }
}

/// The row of a strategy among so many: one without a name counts as nobody.
fn named(strategy: u16, rows: usize) -> usize {
    let strategy = usize::from(strategy);
    if strategy < rows { strategy } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_tells_who_sent_what_when() {
        let hash = |now: i64, instrument: u16, strategy: u16, is_order: bool| {
            let mut rates = Rates::new(2, 2);
            let sender = Sender { instrument: InstrumentId(instrument), strategy };
            rates.note(Ts(now), sender, is_order);
            let mut digest = Digest::default();
            rates.digest(&mut digest);
            digest.finish()
        };
        let mut hashes = Vec::new();
        for (now, instrument, strategy) in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1)] {
            hashes.extend([false, true].map(|order| hash(now, instrument, strategy, order)));
        }
        let count = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), count);
    }

    #[test]
    fn each_count_is_judged_by_the_limit_of_who_it_counts_for() {
        let (instruments, strategies) = (3, 2);
        for instrument in 0..3 {
            for strategy in 0..3 {
                for side in [Side::Buy, Side::Sell] {
                    let sender = Sender { instrument: InstrumentId(instrument), strategy };
                    let mut repeats = Repeats::new(instruments, strategies);
                    assert!(!repeats.any_used_up(|_| Some(0)), "nobody has sent anything");
                    repeats.note(sender, side);
                    let own = |limit| move |of| (of == sender).then_some(limit);
                    assert!(repeats.any_used_up(own(1)), "{sender:?}");
                    assert!(!repeats.any_used_up(own(2)));
                    assert!(!repeats.any_used_up(|of| (of != sender).then_some(0)));
                }
            }
        }
    }

    #[test]
    fn a_strategy_without_a_name_counts_as_nobody() {
        let mut repeats = Repeats::new(1, 1);
        let sender = |strategy| Sender { instrument: InstrumentId(0), strategy };
        repeats.note(sender(2), Side::Buy);
        assert_eq!([0, 1, 2].map(|of| repeats.get(sender(of), Side::Buy)), [1, 0, 1]);
        let mut rates = Rates::new(1, 1);
        rates.note(Ts(0), sender(2), true);
        assert_eq!([0, 1, 2].map(|of| rates.strategy(of).orders), [1, 0, 1]);
    }

    #[test]
    fn an_instrument_past_the_table_has_no_count_and_takes_nobodys() {
        let mut repeats = Repeats::new(2, 1);
        let sender =
            |instrument, strategy| Sender { instrument: InstrumentId(instrument), strategy };
        for side in [Side::Buy, Side::Sell] {
            repeats.note(sender(2, 0), side);
            repeats.note(sender(2, 1), side);
            assert_eq!(repeats.get(sender(2, 0), side), 0);
            assert_eq!(repeats.get(sender(0, 1), side), 0);
        }
    }
}
