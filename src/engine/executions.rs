//! Executions for the life of the log: what was traded, by fingerprint, so that a trade that is
//! reported twice is booked once and one that is busted or corrected is found again. Chained by
//! instrument, they are the lots that positions are made of.
//!
//! ```text
//! index: key -> entry      a trade      a correction of it   its bust
//! entries, only appended:  [ ...    ]   [ ...          ]     [ ...  ]
//!                            figures ----^ what it was corrected to, if it was
//!                            family  ----> the trade that stands for it now: itself, mostly
//!                                          family: the trade as first reported
//! ```
//!
//! Only a trade that was booked stands in its instrument's chain (`next`). A correction of one that
//! is recomputed is no link: the trade stays where it is and gets other figures.

use crate::digest::Digest;
use crate::image::{BadImage, Bytes, Image};
use crate::input::ExecKey;
use crate::instrument::InstrumentId;
use crate::limits::EXECUTIONS_RESERVE;
use crate::order::ClOrdId;
use crate::position::{LotTrade, Place, Trades};
use crate::units::{Money, Price, Qty, Side};

/// What the table knows of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Not seen before.
    New,
    /// Seen, with the same figures.
    Same,
    /// Seen, with other figures.
    Conflicting,
}

/// A trade that was booked, with the figures that it has now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The order that it was reported for.
    pub order: ClOrdId,
    /// What was traded.
    pub instrument: InstrumentId,
    /// The order's strategy, 0 for nobody.
    pub strategy: u8,
    /// Bought or sold.
    pub side: Side,
    /// Lots.
    pub qty: Qty,
    /// At which price.
    pub price: Price,
    /// What was paid for it.
    pub commission: Money,
    /// What its slippage is measured from.
    pub decision_px: Option<Price>,
}

impl Execution {
    /// The trade that undoes it, at its own price.
    #[must_use]
    pub fn reversed(self) -> Self {
        // A balance may be its own opposite.
        let commission = Money(-self.commission.0);
        Self { side: self.side.opposite(), commission, ..self }
    }
}

/// A trade that a bust or a correction can refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The trade as it was first reported.
    pub(super) origin: Place,
    /// The trade that stands for it in the chain now.
    pub(super) live: Place,
    /// As it stands.
    pub execution: Execution,
}

/// One execution, or the report that busted or corrected one: an [`Execution`], packed.
#[derive(Clone, Copy, Debug)]
struct Entry {
    key: ExecKey,
    commission: Money,
    order: ClOrdId,
    qty: Qty,
    price: Price,
    /// Nothing unless `DECIDED`.
    decision_px: Price,
    /// The trade that was booked next in the instrument.
    next: Option<Place>,
    /// Where the figures are that the trade has now: here, until it is corrected.
    figures: u32,
    /// For a trade as first reported: the one that stands for it now. Else: the former.
    family: u32,
    instrument: InstrumentId,
    strategy: u8,
    marks: u8,
}

crate::image!(Entry {
    key,
    commission,
    order,
    qty,
    price,
    decision_px,
    next,
    figures,
    family,
    instrument,
    strategy,
    marks,
});

// Eighty megabytes for a million executions.
const _: () = assert!(size_of::<Entry>() == 80);

impl Entry {
    const SELL: u8 = 1;
    /// It has a decision price.
    const DECIDED: u8 = 1 << 1;
    /// No trade as first reported: it has come to be by a bust or a correction.
    const AMENDMENT: u8 = 1 << 2;
    /// In the chain, but counts no more: busted, and what came after has been recomputed.
    const OUT: u8 = 1 << 3;
    /// Busted: nothing can refer to it again.
    const GONE: u8 = 1 << 4;

    const NONE: Self = Self {
        key: ExecKey(0),
        commission: Money::ZERO,
        order: ClOrdId::NONE,
        qty: Qty(0),
        price: Price(0),
        decision_px: Price(0),
        next: None,
        figures: 0,
        family: 0,
        instrument: InstrumentId::UNKNOWN,
        strategy: 0,
        marks: 0,
    };

    const fn has(&self, mark: u8) -> bool {
        self.marks & mark != 0
    }

    fn pack(key: ExecKey, execution: Execution) -> Self {
        let Execution { order, instrument, strategy, side, .. } = execution;
        let Execution { qty, price, commission, decision_px, .. } = execution;
        let sell = if side == Side::Sell { Self::SELL } else { 0 };
        let decided = if decision_px.is_some() { Self::DECIDED } else { 0 };
        Self {
            key,
            commission,
            order,
            qty,
            price,
            decision_px: decision_px.unwrap_or_default(),
            instrument,
            strategy,
            marks: sell | decided,
            ..Self::NONE
        }
    }

    /// The trade as it was when it was put in.
    fn unpack(&self) -> Execution {
        let &Self { commission, order, qty, price, decision_px, instrument, strategy, .. } = self;
        let side = if self.has(Self::SELL) { Side::Sell } else { Side::Buy };
        let decision_px = self.has(Self::DECIDED).then_some(decision_px);
        Execution { order, instrument, strategy, side, qty, price, commission, decision_px }
    }

    /// Folds in what it was put in with; `next` and all that changes is folded as it changes.
    fn digest(&self, digest: &mut Digest) {
        let &Self { key, commission, order, qty, price, decision_px, .. } = self;
        let &Self { figures: _, next: _, family, instrument, strategy, marks, .. } = self;
        digest.wide(key.0.cast_signed());
        digest.wide(commission.0);
        digest.word(order.0);
        for figure in [qty.0, price.0, decision_px.0] {
            digest.signed(figure);
        }
        let small = u64::from(instrument.0) << 16 | u64::from(strategy) << 8 | u64::from(marks);
        digest.word(u64::from(family) << 32 | small);
    }
}

/// What a report is to the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A trade as the venue reported it.
    Trade,
    /// Booked, or noted, because of a bust or a correction of the trade first reported there.
    Amendment(Place),
}

/// No entry's number, and not zero, so that the index is written when it is made.
const VACANT: u32 = u32::MAX;

/// The table: open addressing over entries that are only appended.
#[derive(Clone, Debug)]
pub struct Executions {
    /// Numbers of entries; at most half full.
    index: Vec<u32>,
    /// The first one is none. All are there from the start, and so is the index: memory that is
    /// first touched on the engine thread would be given to it page by page, by the kernel.
    entries: Vec<Entry>,
    mask: usize,
    count: u32,
    digest: Digest,
}

impl Executions {
    /// Room for `executions_max` executions; the last memory it takes.
    pub fn new(executions_max: usize) -> Self {
        assert!(executions_max > 0);
        assert!(u32::try_from(executions_max).is_ok_and(|max| max < u32::MAX));
        let size = (executions_max * 2).next_power_of_two();
        Self {
            index: vec![VACANT; size],
            entries: vec![Entry::NONE; executions_max + 1],
            mask: size - 1,
            count: 0,
            digest: Digest::default(),
        }
    }

    fn max(&self) -> usize {
        self.entries.len() - 1
    }

    /// Entries held: executions, busts and corrections.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// As [`Executions::len`]: the number of the last place.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether only the reserve is left, which is for reports: no new order may be sent.
    pub fn is_nearly_full(&self) -> bool {
        self.len() + EXECUTIONS_RESERVE.min(self.max() / 2) >= self.max()
    }

    /// Whether nothing more can be remembered.
    pub fn is_full(&self) -> bool {
        self.len() >= self.max()
    }

    /// The place of the entry that comes after `ahead` more; none if there is no room.
    pub(super) fn place_to_come(&self, ahead: usize) -> Option<Place> {
        let number = self.count + 1 + u32::try_from(ahead).ok()?;
        Place::new(number).filter(|_| (number as usize) <= self.max())
    }

    /// Where in the index a key is, or would be.
    fn slot(&self, key: ExecKey) -> usize {
        let low = u64::try_from(key.0 & u128::from(u64::MAX)).expect("masked");
        let mut slot = usize::try_from(low).expect("a 64-bit machine") & self.mask;
        // Bounded: at most half of the index is taken.
        while self.index[slot] != VACANT && self.entries[self.index[slot] as usize].key != key {
            slot = (slot + 1) & self.mask;
        }
        slot
    }

    /// The place of the report with this key. Zero is no key.
    fn find(&self, key: ExecKey) -> Option<Place> {
        if key == ExecKey::default() {
            return None;
        }
        let number = self.index[self.slot(key)];
        Place::new(number).filter(|_| number != VACANT)
    }

    fn entry(&self, place: Place) -> &Entry {
        &self.entries[place.number() as usize]
    }

    fn entry_mut(&mut self, place: Place) -> &mut Entry {
        &mut self.entries[place.number() as usize]
    }

    /// Whether a report with this key has been taken in: a trade, a bust or a correction.
    pub fn knows(&self, key: ExecKey) -> bool {
        self.find(key).is_some()
    }

    /// Whether an execution has been seen, and whether with these figures: those that it was
    /// reported with, whatever it was corrected to since.
    pub fn seen(&self, key: ExecKey, qty: Qty, price: Price) -> Seen {
        let Some(place) = self.find(key) else { return Seen::New };
        let entry = self.entry(place);
        let same = (entry.qty, entry.price) == (qty, price) && !entry.has(Entry::AMENDMENT);
        if same { Seen::Same } else { Seen::Conflicting }
    }

    /// The trade that a bust or a correction refers to, by its own key or by that of an earlier
    /// correction. None if there is no such trade, or no more.
    pub fn standing(&self, exec_ref: ExecKey) -> Option<Standing> {
        let place = self.find(exec_ref)?;
        let entry = self.entry(place);
        let origin = if entry.has(Entry::AMENDMENT) { Place::new(entry.family)? } else { place };
        let live = Place::new(self.entry(origin).family)?;
        let execution = self.execution(live);
        (!self.entry(origin).has(Entry::GONE)).then_some(Standing { origin, live, execution })
    }

    /// The trade at a place, with the figures that it has now.
    pub(super) fn execution(&self, place: Place) -> Execution {
        let entry = self.entry(place);
        let Entry { qty, price, .. } = self.entries[entry.figures as usize];
        Execution { qty, price, ..entry.unpack() }
    }

    /// Whether a trade in the chain counts no more.
    pub(super) fn is_out(&self, place: Place) -> bool {
        self.entry(place).has(Entry::OUT)
    }

    /// Remembers a report, as far as there is room.
    pub(super) fn insert(
        &mut self,
        key: ExecKey,
        execution: Execution,
        role: Role,
    ) -> Option<Place> {
        let place = self.place_to_come(0)?;
        let number = place.number();
        let mut entry = Entry { figures: number, family: number, ..Entry::pack(key, execution) };
        if let Role::Amendment(origin) = role {
            entry.family = origin.number();
            entry.marks |= Entry::AMENDMENT;
        }
        if key != ExecKey::default() {
            let slot = self.slot(key);
            assert!(self.index[slot] == VACANT, "known already");
            self.index[slot] = number;
        }
        entry.digest(&mut self.digest);
        *self.entry_mut(place) = entry;
        self.count = number;
        Some(place)
    }

    /// Hangs a trade behind another, the last of their instrument's chain.
    pub(super) fn chain(&mut self, last: Place, place: Place) {
        assert!(last < place && self.entry(last).next.is_none());
        self.entry_mut(last).next = Some(place);
        self.note(5, last, Some(place));
    }

    /// A trade counts no more: what came after it has been recomputed.
    pub(super) fn take_out(&mut self, live: Place) {
        self.entry_mut(live).marks |= Entry::OUT;
        self.note(1, live, None);
    }

    /// A trade was busted: nothing can refer to it again.
    pub(super) fn bust(&mut self, origin: Place) {
        self.entry_mut(origin).marks |= Entry::GONE;
        self.note(2, origin, None);
    }

    /// A trade has the figures of the correction at `figures` now.
    pub(super) fn correct(&mut self, live: Place, figures: Place) {
        self.entry_mut(live).figures = figures.number();
        self.note(3, live, Some(figures));
    }

    /// Another trade in the chain stands for this one now.
    pub(super) fn succeed(&mut self, origin: Place, live: Place) {
        self.entry_mut(origin).family = live.number();
        self.note(4, origin, Some(live));
    }

    /// Folds a change of an entry in.
    fn note(&mut self, what: u64, place: Place, other: Option<Place>) {
        self.digest.word(what << 32 | u64::from(place.number()));
        self.digest.word(Place::word(other));
    }

    /// Appends every entry; the index follows.
    pub(super) fn write_image(&self, out: &mut Vec<u8>) {
        let Self { index: _, entries, mask: _, count, digest } = self;
        count.write(out);
        crate::image::write_all(&entries[1..=self.len()], out);
        digest.write(out);
    }

    /// Puts what was written into an empty table of the same size.
    pub(super) fn restore(&mut self, from: &mut Bytes<'_>) -> Result<(), BadImage> {
        assert!(self.is_empty());
        let count = from.count(self.max())?;
        self.count = u32::try_from(count).expect("limits.rs bounds it");
        for number in 1..=self.count {
            let entry = Entry::read(from)?;
            let known = 1..=self.count;
            let leads = known.contains(&entry.figures) && known.contains(&entry.family);
            // Only ever to a later one: a chain has an end.
            let goes_on = |next: Place| next.number() > number && known.contains(&next.number());
            from.require(leads && entry.next.is_none_or(goes_on), "a trade that leads nowhere")?;
            self.entries[number as usize] = entry;
            if entry.key != ExecKey::default() {
                let slot = self.slot(entry.key);
                from.require(self.index[slot] == VACANT, "an execution that is there twice")?;
                self.index[slot] = number;
            }
        }
        self.digest = Digest::read(from)?;
        Ok(())
    }

    /// Whether there is an entry at a place.
    pub(super) fn holds(&self, place: Place) -> bool {
        place.number() <= self.count
    }

    /// Folds the table into a hash: kept as it grows, so that this costs nothing.
    pub fn digest(&self, digest: &mut Digest) {
        digest.word(u64::from(self.count));
        digest.word(self.digest.finish());
    }
}

impl Trades for Executions {
    fn at(&self, place: Place) -> Option<LotTrade> {
        let Execution { side, qty, price, .. } = self.execution(place);
        (!self.is_out(place)).then_some(LotTrade { side, qty, price })
    }

    fn next(&self, place: Place) -> Option<Place> {
        self.entry(place).next
    }
}
