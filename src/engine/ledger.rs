//! One instrument's trades as a position is made of them: which of them a bust or a correction is
//! recomputed over, and what would become of the position.
//!
//! ```text
//!        folded into `base`         kept: from `first`, at most TRADES_KEPT_MAX
//! chain: t -> t -> t -> t -> t  ->  t -> t -> t -> t          (Executions: Entry::next)
//!             ^ the oldest lot (FIFO)              ^ `last`
//! ```
//!
//! What happens to a kept trade is exact: the position is computed again from `base`, as if the
//! trade had always been so. To an older one it is not: the opposite is booked, at its own price.
//! The cash is the same either way.

use super::apply::amendment;
use super::executions::{Execution, Executions, Standing};
use super::state::State;
use crate::digest::Digest;
use crate::instrument::InstrumentId;
use crate::limits::TRADES_KEPT_MAX;
use crate::order::{Cell, ClOrdId, Flags, Order, OrderEvent, OrderState};
use crate::position::{
    Account, Balance, Basis, Booked, Fill, Holding, LotTrade, Lots, Overflow, Place, Position,
    Trades, slippage,
};
use crate::risk::InstrumentBook;
use crate::settings::CostMethod;
use crate::units::{Money, Price, Qty, Side};
use arrayvec::ArrayVec;

/// What stands behind an instrument's position, which itself lies in its book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    /// What the position was before the first kept trade.
    base: Holding,
    /// The lots of the position as it is.
    lots: Lots,
    /// The oldest kept trade.
    first: Option<Place>,
    /// The last trade of the chain, kept or not.
    last: Option<Place>,
    /// Kept trades, those among them that were busted.
    kept: u32,
}

crate::image!(Ledger { base, lots, first, last, kept });

impl Ledger {
    /// What stands behind a position that was held before the first trade.
    pub(super) fn opening(&self, position: Position, method: CostMethod) -> Self {
        let base = Holding::opening(position, method);
        Self { base, lots: base.lots, first: None, last: self.last, kept: 0 }
    }

    /// Whether what happens to a trade of the chain can be recomputed.
    fn keeps(&self, place: Place) -> bool {
        self.first.is_some_and(|first| first <= place)
    }

    /// The last trade of the chain.
    pub(super) const fn last(&self) -> Option<Place> {
        self.last
    }

    /// Whether the position can be made of these executions: all that it names is there, its last
    /// trade is the chain's, and no lot is missing.
    pub(super) fn fits(
        &self,
        position: Position,
        method: CostMethod,
        executions: &Executions,
    ) -> bool {
        let Self { base, lots, first, last, kept: _ } = *self;
        let places = [base.lots.head(), lots.head(), first, last];
        let are_held = places.into_iter().flatten().all(|place| executions.holds(place));
        let now = Holding { position, lots };
        are_held
            && last.is_none_or(|last| executions.next(last).is_none())
            && [base, now].iter().all(|holding| holding.is_covered(method, executions))
    }

    /// Folds every field in.
    pub(super) fn digest(&self, digest: &mut Digest) {
        let Self { base, lots, first, last, kept } = self;
        base.position.digest(digest);
        base.lots.digest(digest);
        lots.digest(digest);
        digest.word(Place::word(*first));
        digest.word(Place::word(*last));
        digest.word(u64::from(*kept));
    }
}

/// Quantity and price of a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) qty: Qty,
    pub(super) price: Price,
}

/// What would become of an instrument if trades were booked, or had been otherwise. Changes
/// nothing: `decide` asks it whether all figures stay in range, `apply` takes what it gives.
pub(super) struct Draft<'a> {
    executions: &'a Executions,
    basis: Basis,
    /// A trade that is taken out, or has other figures.
    change: Option<(Place, Option<Figures>)>,
    /// The chain's last trade before those that are added.
    last: Option<Place>,
    /// Trades to come, at the places behind the table's last.
    pub(super) added: ArrayVec<Execution, 2>,
    pub(super) ledger: Ledger,
    pub(super) position: Position,
}

impl<'a> Draft<'a> {
    /// As it is.
    pub(super) fn new(state: &'a State, instrument: InstrumentId) -> Option<Self> {
        let book = state.book(instrument)?;
        let ledger = *state.ledgers.get(instrument.index())?;
        let method = state.settings.account.cost_method;
        Some(Self {
            executions: &state.executions,
            basis: Basis { lot_value: book.lot_value, qty_limit: book.qty_limit, method },
            change: None,
            last: ledger.last,
            added: ArrayVec::new(),
            ledger,
            position: book.position,
        })
    }

    /// Books a trade behind all others. One that there is no room to remember cannot be recomputed,
    /// and neither can those before it.
    pub(super) fn book(&mut self, execution: Execution) -> Result<Booked, Overflow> {
        let place = self.executions.place_to_come(self.added.len());
        let mut holding = Holding { position: self.position, lots: self.ledger.lots };
        let fill = self.fill(&execution)?;
        let booked = holding.book(&fill, place, &self.basis, self)?;
        self.added.push(execution);
        self.keep(holding, place)?;
        Ok(booked)
    }

    /// Takes a kept trade out (no figures), or gives it others, and books what came after again.
    pub(super) fn rebook(&mut self, live: Place, figures: Option<Figures>) -> Result<(), Overflow> {
        assert!(self.ledger.keeps(live) && self.added.is_empty());
        self.change = Some((live, figures));
        let Ledger { base, first, last, kept, .. } = self.ledger;
        let (mut holding, mut at) = (base, first);
        self.ledger = Ledger { base, lots: base.lots, first: None, last, kept: 0 };
        for _ in 0..kept {
            let place = at.expect("the chain is as long as it says");
            if let Some(execution) = self.counting(place) {
                let fill = self.fill(&execution)?;
                holding.book(&fill, Some(place), &self.basis, self)?;
            }
            at = self.next(place);
            self.keep(holding, Some(place))?;
        }
        Ok(())
    }

    /// Takes in what a position has become by the trade at a place. Nothing before a flat position
    /// is kept, and no more than can be recomputed in a moment.
    fn keep(&mut self, now: Holding, place: Option<Place>) -> Result<(), Overflow> {
        (self.position, self.ledger.lots) = (now.position, now.lots);
        self.ledger.last = self.ledger.last.max(place);
        if now.position.qty == Qty(0) || place.is_none() {
            (self.ledger.base, self.ledger.first, self.ledger.kept) = (now, None, 0);
            return Ok(());
        }
        self.ledger.first = self.ledger.first.or(place);
        self.ledger.kept += 1;
        if self.ledger.kept > TRADES_KEPT_MAX { self.fold() } else { Ok(()) }
    }

    /// Folds the oldest kept trade into the base.
    fn fold(&mut self) -> Result<(), Overflow> {
        let first = self.ledger.first.expect("one is kept");
        let mut base = self.ledger.base;
        if let Some(execution) = self.counting(first) {
            base.book(&self.fill(&execution)?, Some(first), &self.basis, self)?;
        }
        self.ledger.base = base;
        self.ledger.first = self.next(first);
        self.ledger.kept -= 1;
        Ok(())
    }

    /// The trade at a place of the chain, unless it counts no more.
    fn counting(&self, place: Place) -> Option<Execution> {
        if let Some(execution) = self.added_at(place) {
            return Some(execution);
        }
        if self.executions.is_out(place) {
            return None;
        }
        let execution = self.executions.execution(place);
        match self.change {
            Some((changed, None)) if changed == place => None,
            Some((changed, Some(Figures { qty, price }))) if changed == place => {
                Some(Execution { qty, price, ..execution })
            }
            Some(_) | None => Some(execution),
        }
    }

    fn added_at(&self, place: Place) -> Option<Execution> {
        let ahead = place.number().checked_sub(self.executions.place_to_come(0)?.number())?;
        self.added.get(ahead as usize).copied()
    }

    pub(super) fn fill(&self, execution: &Execution) -> Result<Fill, Overflow> {
        let &Execution { side, qty, price, commission, decision_px, .. } = execution;
        let decided = decision_px.unwrap_or(price);
        let slippage = slippage(side, qty, price, decided, self.basis.lot_value);
        Ok(Fill { side, qty, price, commission, slippage: slippage.ok_or(Overflow)? })
    }
}

impl Trades for Draft<'_> {
    fn at(&self, place: Place) -> Option<LotTrade> {
        let Execution { side, qty, price, .. } = self.counting(place)?;
        Some(LotTrade { side, qty, price })
    }

    fn next(&self, place: Place) -> Option<Place> {
        if Some(place) == self.last {
            return self.executions.place_to_come(0).filter(|_| !self.added.is_empty());
        }
        // Of two that are added one undoes the other: no walk over lots leads on from the first.
        self.executions.next(place)
    }
}

/// What the account takes in if the position of a book becomes another; [`Overflow`] if it cannot.
pub(super) fn settled(
    account: &Account,
    book: &InstrumentBook,
    after: &Position,
) -> Result<(), Overflow> {
    let after = Balance::of(after, book.market.price, book.lot_value).ok_or(Overflow)?;
    let change = after.since(book.balance().ok_or(Overflow)?);
    if account.can_change(book.currency, change) { Ok(()) } else { Err(Overflow) }
}

/// What a bust or a correction makes of an order.
pub(super) struct Reshaped {
    pub(super) cum_qty: Qty,
    pub(super) cum_value: i128,
    pub(super) state: OrderState,
    /// Lots past the order's quantity that were not past it before.
    pub(super) excess: Qty,
}

/// What a bust or a correction makes of an instrument.
pub(super) struct Amended {
    /// Recomputed; otherwise the opposite was booked.
    pub(super) exact: bool,
    /// Trades that are booked for it: none if it is exact.
    pub(super) added: ArrayVec<Execution, 2>,
    pub(super) ledger: Ledger,
    pub(super) position: Position,
    /// Whose trade it was.
    pub(super) strategy: u16,
    /// What its strategy books: the opposite of the trade, and the trade as it is now.
    pub(super) attributed: ArrayVec<Fill, 2>,
}

impl State {
    /// A trade of an order, as it is kept.
    pub(super) fn execution(
        &self,
        order: ClOrdId,
        instrument: InstrumentId,
        side: Side,
        Figures { qty, price }: Figures,
        commission: Money,
    ) -> Execution {
        let row = self.orders.get(order);
        // A strategy that is in no table is nobody's.
        let strategy = row.and_then(|row| u8::try_from(row.strategy).ok()).unwrap_or(0);
        let decision_px = row.and_then(|row| row.decision_px);
        Execution { order, instrument, strategy, side, qty, price, commission, decision_px }
    }

    /// The row of a trade's order, unless it has been retired.
    pub(super) fn row_of(&self, standing: &Standing) -> Option<&Order> {
        let row = self.orders.get(standing.execution.order)?;
        (standing.origin.number() > row.executions_before).then_some(row)
    }

    /// What becomes of a trade's order if the trade never was (no figures) or was otherwise. `None`
    /// past a bound. An order that has been retired stays so.
    pub(super) fn reshaped(
        &self,
        standing: &Standing,
        figures: Option<Figures>,
    ) -> Option<Reshaped> {
        let new = figures.unwrap_or(Figures { qty: Qty(0), price: Price(0) });
        let Some(row) = self.row_of(standing) else {
            let (cum_qty, state) = (new.qty, OrderState::Closed);
            return Some(Reshaped { cum_qty, cum_value: 0, state, excess: Qty(0) });
        };
        let Execution { qty, price, .. } = standing.execution;
        let value = |qty: Qty, price: Price| i128::from(price.0) * i128::from(qty.0);
        let cum_qty = row.cum_qty.checked_sub(qty)?.checked_add(new.qty)?;
        let change = value(new.qty, new.price) - value(qty, price);
        let cum_value = row.cum_value.checked_add(change)?;
        let is_ours = !row.flags.has(Flags::UNKNOWN);
        let event = if is_ours {
            amendment(row.order_qty, cum_qty)
        } else if cum_qty.0 > 0 {
            // How much a row that no input made was for, nobody knows: it is never full.
            OrderEvent::AmendPart
        } else {
            OrderEvent::AmendNone
        };
        let state = match row.state.on(event) {
            Cell::To(state) => state,
            Cell::Same | Cell::Late | Cell::Old | Cell::Bad => row.state,
        };
        let excess = cum_qty.0 - row.order_qty.max(row.cum_qty).0;
        Some(Reshaped { cum_qty, cum_value, state, excess: Qty(if is_ours { excess } else { 0 }) })
    }

    /// What becomes of the money if a trade never was (no figures) or was otherwise.
    pub(super) fn amended(
        &self,
        standing: &Standing,
        figures: Option<Figures>,
    ) -> Result<Amended, Overflow> {
        let Standing { live, execution, .. } = *standing;
        let mut draft = Draft::new(self, execution.instrument).ok_or(Overflow)?;
        let exact = draft.ledger.keeps(live);
        if exact {
            draft.rebook(live, figures)?;
        } else {
            draft.book(execution.reversed())?;
            if let Some(Figures { qty, price }) = figures {
                draft.book(Execution { qty, price, ..execution })?;
            }
        }
        let strategy = u16::from(execution.strategy);
        let mut attributed = ArrayVec::new();
        attributed.push(draft.fill(&execution.reversed())?);
        if let Some(Figures { qty, price }) = figures {
            attributed.push(draft.fill(&Execution { qty, price, ..execution })?);
        }
        let Draft { added, ledger, position, .. } = draft;
        let book = self.book(execution.instrument).ok_or(Overflow)?;
        settled(&self.account, book, &position)?;
        if !self.strategies.can_book(strategy, execution.instrument, &attributed, book) {
            return Err(Overflow);
        }
        Ok(Amended { exact, added, ledger, position, strategy, attributed })
    }
}
