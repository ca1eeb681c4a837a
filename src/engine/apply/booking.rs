//! What records change about money: a trade, its bust or correction, an opening position and a new
//! price, in the order, the position, the strategy's share and the account.

use super::{Applied, NO_EXECUTION, NO_INSTRUMENT, NO_ORDER, NO_ROOM, State};
use crate::engine::executions::{Execution, Role, Standing};
use crate::engine::ledger::{Amended, Draft, Figures, Reshaped};
use crate::event::Event;
use crate::input::ExecKey;
use crate::instrument::InstrumentId;
use crate::order::{Cell, Flags, Order, OrderEvent, OrderState};
use crate::position::{Balance, Place, Position};
use crate::risk::{InstrumentBook, Market};
use crate::units::{Money, Price, Qty};

impl State {
    pub(super) fn open_position(
        &mut self,
        instrument: InstrumentId,
        qty: Qty,
        open_cost: Money,
    ) -> Applied {
        let book = self.book(instrument).ok_or(NO_INSTRUMENT)?;
        let fits = qty.0.unsigned_abs() <= book.qty_limit.0.unsigned_abs();
        if !fits || Money::ZERO.checked_add(open_cost).is_none() {
            return Err("the position leaves its range");
        }
        self.strategies.open(instrument, qty, open_cost);
        let position = Position { qty, open_cost, ..Position::default() };
        let ledger = self.ledgers.get_mut(instrument.index()).ok_or(NO_INSTRUMENT)?;
        *ledger = ledger.opening(position, self.settings.account.cost_method);
        self.reprice(instrument, |book| book.position = position)
    }

    pub(super) fn trade(&mut self, event: &Event) -> Applied {
        let Event::Traded { order, exec, instrument, last_qty, last_px, .. } = *event else {
            unreachable!("the caller matched it")
        };
        let Event::Traded { commission, cum_qty, side, state, .. } = *event else {
            unreachable!("the caller matched it")
        };
        let figures = Figures { qty: last_qty, price: last_px };
        let execution = self.execution(order, instrument, side, figures, commission);
        let protect_px = self.orders.get(order).and_then(|order| order.protect_px);
        let strategy = u16::from(execution.strategy);
        if self.orders.get(order).is_some() {
            self.update(order, |order| fill(order, last_qty, last_px))?;
            let order = self.orders.get(order).ok_or(NO_ORDER)?;
            if (order.cum_qty, order.state) != (cum_qty, state) {
                return Err("the order's quantity or state is another");
            }
        }
        let mut draft = Draft::new(self, instrument).ok_or(NO_INSTRUMENT)?;
        let booked = draft.book(execution).map_err(|_| "the position leaves its range")?;
        let fill = draft.fill(&execution).map_err(|_| "slippage leaves its range")?;
        let (ledger, position) = (draft.ledger, draft.position);
        self.remember(exec, execution, Role::Trade, self.ledgers[instrument.index()].last())?;
        self.ledgers[instrument.index()] = ledger;
        if booked.opened.0 > 0 {
            self.books[instrument.index()].protect_px = protect_px;
        }
        let book = &self.books[instrument.index()];
        let attributed = self.strategies.book(strategy, instrument, &fill, book);
        attributed.map_err(|_| "the strategy's position leaves its range")?;
        self.reprice(instrument, |book| book.position = position)
    }

    /// Puts a trade into the table, as far as there is room, and into its instrument's chain behind
    /// the last.
    fn remember(
        &mut self,
        key: ExecKey,
        execution: Execution,
        role: Role,
        last: Option<Place>,
    ) -> Result<Option<Place>, &'static str> {
        if self.executions.knows(key) {
            return Err("the execution is known");
        }
        let place = self.executions.insert(key, execution, role);
        if let Some((last, place)) = last.zip(place) {
            self.executions.chain(last, place);
        }
        Ok(place)
    }

    pub(super) fn bust(&mut self, event: &Event) -> Applied {
        let Event::Busted { exec, exec_ref, last_qty, last_px, cum_qty, state, exact, .. } = *event
        else {
            unreachable!("the caller matched it")
        };
        let Event::Busted { order, instrument, side, .. } = *event else {
            unreachable!("the caller matched it")
        };
        let standing = self.executions.standing(exec_ref).ok_or(NO_EXECUTION)?;
        let Standing { origin, live, execution } = standing;
        let was = (execution.order, execution.instrument, execution.side);
        let figures = (execution.qty, execution.price);
        if (was, figures) != ((order, instrument, side), (last_qty, last_px)) {
            return Err("the trade is another");
        }
        let amended = self.amended(&standing, None).map_err(|_| "the position leaves its range")?;
        self.reshape(&standing, None, (cum_qty, state))?;
        let role = Role::Amendment(origin);
        if amended.exact {
            self.executions.take_out(live);
            self.remember(exec, execution, role, None)?;
        } else {
            let last = self.ledgers[instrument.index()].last();
            self.remember(exec, amended.added[0], role, last)?;
        }
        self.executions.bust(origin);
        self.take_amended(instrument, exact, amended)
    }

    pub(super) fn correct(&mut self, event: &Event) -> Applied {
        let Event::Corrected { exec, exec_ref, last_qty, last_px, cum_qty, state, exact, .. } =
            *event
        else {
            unreachable!("the caller matched it")
        };
        let Event::Corrected { order, instrument, side, .. } = *event else {
            unreachable!("the caller matched it")
        };
        let standing = self.executions.standing(exec_ref).ok_or(NO_EXECUTION)?;
        let Standing { origin, live, execution } = standing;
        if (execution.order, execution.instrument, execution.side) != (order, instrument, side) {
            return Err("the trade is another");
        }
        if last_qty.0 <= 0 {
            return Err("a trade of no quantity");
        }
        let figures = Some(Figures { qty: last_qty, price: last_px });
        let amended = self.amended(&standing, figures);
        let amended = amended.map_err(|_| "the position leaves its range")?;
        self.reshape(&standing, figures, (cum_qty, state))?;
        let role = Role::Amendment(origin);
        if amended.exact {
            let corrected = Execution { qty: last_qty, price: last_px, ..execution };
            let place = self.remember(exec, corrected, role, None)?.ok_or(NO_ROOM)?;
            self.executions.correct(live, place);
        } else {
            let last = self.ledgers[instrument.index()].last();
            let opposite = self.remember(ExecKey::default(), amended.added[0], role, last)?;
            let place = self.remember(exec, amended.added[1], role, opposite)?.ok_or(NO_ROOM)?;
            self.executions.succeed(origin, place);
        }
        self.take_amended(instrument, exact, amended)
    }

    /// Takes over what a bust or a correction made of the instrument and the account.
    fn take_amended(&mut self, instrument: InstrumentId, exact: bool, amended: Amended) -> Applied {
        if amended.exact != exact {
            return Err("other trades are kept");
        }
        self.ledgers[instrument.index()] = amended.ledger;
        let book = &self.books[instrument.index()];
        for fill in &amended.attributed {
            let booked = self.strategies.book(amended.strategy, instrument, fill, book);
            booked.map_err(|_| "the strategy's position leaves its range")?;
        }
        self.reprice(instrument, |book| book.position = amended.position)
    }

    /// Changes an instrument's book, and what the account has of it.
    pub(super) fn reprice(
        &mut self,
        instrument: InstrumentId,
        change: impl FnOnce(&mut InstrumentBook),
    ) -> Applied {
        let book = self.books.get_mut(instrument.index()).ok_or(NO_INSTRUMENT)?;
        let before = balance(book)?;
        change(book);
        let (currency, change) = (book.currency, balance(book)?.since(before));
        self.settle(currency, change)
    }

    /// Takes into the account how a position changed.
    fn settle(&mut self, currency: u16, change: Balance) -> Applied {
        let moved = self.account.on_change(currency, change);
        self.account.note_peak();
        moved.map_err(|_| "the account leaves its range")
    }

    /// Gives the order of a trade the quantities that a bust or a correction of it leaves.
    fn reshape(
        &mut self,
        standing: &Standing,
        figures: Option<Figures>,
        said: (Qty, OrderState),
    ) -> Applied {
        let Reshaped { cum_qty, cum_value, state, .. } =
            self.reshaped(standing, figures).ok_or("the order leaves its range")?;
        if (cum_qty, state) != said {
            return Err("the order's quantity or state is another");
        }
        if self.row_of(standing).is_none() {
            return Ok(());
        }
        self.update(standing.execution.order, |order| {
            (order.cum_qty, order.cum_value, order.state) = (cum_qty, cum_value, state);
            Ok(())
        })
    }

    /// Takes new prices in, and the account's unrealized P&L with them: all or nothing. What cannot
    /// be taken leaves the old prices, by which `decide` knows and refuses the input.
    pub(super) fn set_market(&mut self, instrument: InstrumentId, market: Market) -> bool {
        let Some(book) = self.books.get_mut(instrument.index()) else { return false };
        let before = book.balance();
        let old = std::mem::replace(&mut book.market, market);
        let change = book.balance().zip(before).map(|(after, before)| after.since(before));
        let account = &mut self.account;
        let moved = change.is_some_and(|change| account.on_change(book.currency, change).is_ok());
        if moved {
            account.note_peak();
        } else {
            book.market = old;
        }
        moved
    }
}

/// Books a trade to its order. The quantities settle first; then the table decides.
fn fill(order: &mut Order, last_qty: Qty, last_px: Price) -> Applied {
    if last_qty.0 <= 0 {
        return Err("a trade of no quantity");
    }
    let value = i128::from(last_px.0) * i128::from(last_qty.0);
    let cum_qty = order.cum_qty.checked_add(last_qty).ok_or("the order leaves its range")?;
    order.cum_value =
        order.cum_value.checked_add(value).ok_or("the order's value leaves its range")?;
    order.cum_qty = cum_qty;
    let whole = !order.flags.has(Flags::UNKNOWN) && cum_qty >= order.order_qty;
    let event = if whole { OrderEvent::TradeFull } else { OrderEvent::TradePart };
    match order.state.on(event) {
        Cell::To(next) => order.state = next,
        Cell::Same | Cell::Late => {}
        Cell::Old | Cell::Bad => return Err("the order's state does not allow it"),
    }
    Ok(())
}

fn balance(book: &InstrumentBook) -> Result<Balance, &'static str> {
    book.balance().ok_or("P&L leaves its range")
}
