//! A state as bytes and back, for snapshots: what is restored folds and decides on as the one that
//! was written would have, to the last byte.
//!
//! What follows from the rest is not written, so that it cannot contradict it: lookups, what is at
//! work, own best prices. The settings are those of the log's head; the limits, which change while
//! the engine runs, are written.

use super::state::State;
use crate::image::{BadImage, Bytes, Image, read_all, write_all};
use crate::order::Order;
use crate::settings::{LimitKey, RiskSettings, Settings};

impl State {
    /// Appends the state's image. Walks all that is held: not for the engine's own thread.
    pub fn write_image(&self, out: &mut Vec<u8>) {
        // Whoever adds a field to the state decides here, and in `restore`, whether it is written.
        #[rustfmt::skip]
        let Self {
            settings, seq, ts, halted, account, books, strategies, orders, contingents, executions,
            ledgers, correlations, controls, last_ids, sweeps, overdue_since, checkpoint_seq,
            margin_call, reconciling, unrecorded_after, watches_margin: _,
        } = self;
        seq.write(out);
        ts.write(out);
        halted.write(out);
        write_limits(&settings.risk, out);
        account.write_image(out);
        for book in books {
            book.write_image(out);
        }
        strategies.write_image(out);
        orders.write_image(out);
        contingents.write_image(out);
        executions.write_image(out);
        write_all(ledgers, out);
        correlations.write_image(out);
        controls.write_image(out);
        last_ids.write(out);
        sweeps.write(out);
        overdue_since.write(out);
        checkpoint_seq.write(out);
        margin_call.write(out);
        reconciling.write(out);
        unrecorded_after.write(out);
    }

    /// The state that wrote an image, from the settings that the log began with.
    ///
    /// # Errors
    /// [`BadImage`]: no state with these settings can have written it. Not every impossible state
    /// is found out: compare its hash with one that is trusted.
    pub fn read_image(settings: Settings, from: &mut Bytes<'_>) -> Result<Self, BadImage> {
        let mut state = Self::new(settings);
        state.restore(from)?;
        state.work_out(from)?;
        Ok(state)
    }

    fn restore(&mut self, from: &mut Bytes<'_>) -> Result<(), BadImage> {
        #[rustfmt::skip]
        let Self {
            settings, seq, ts, halted, account, books, strategies, orders, contingents, executions,
            ledgers, correlations, controls, last_ids, sweeps, overdue_since, checkpoint_seq,
            margin_call, reconciling, unrecorded_after, watches_margin: _,
        } = self;
        *seq = u64::read(from)?;
        *ts = Image::read(from)?;
        *halted = Image::read(from)?;
        read_limits(&mut settings.risk, from)?;
        account.restore(from)?;
        for book in &mut *books {
            book.restore(from)?;
        }
        strategies.restore(from)?;
        orders.restore(from)?;
        contingents.restore(from)?;
        executions.restore(from)?;
        read_all(ledgers, from)?;
        let method = settings.account.cost_method;
        let mut both = ledgers.iter().zip(books.iter());
        let fit = both.all(|(ledger, book)| ledger.fits(book.position, method, executions));
        from.require(fit, "a position made of trades that are not there")?;
        correlations.restore(from)?;
        controls.restore(from)?;
        *last_ids = Image::read(from)?;
        *sweeps = Image::read(from)?;
        *overdue_since = Image::read(from)?;
        *checkpoint_seq = Image::read(from)?;
        *margin_call = Image::read(from)?;
        *reconciling = Image::read(from)?;
        *unrecorded_after = Image::read(from)?;
        from.require(self.checkpoint_seq <= self.seq, "a checkpoint to come")
    }

    /// What is at work and at which prices, from the orders.
    fn work_out(&mut self, from: &Bytes<'_>) -> Result<(), BadImage> {
        let Self { orders, books, strategies, controls, .. } = self;
        let past = from.bad("more at work than can be");
        for (slot, order) in orders.places() {
            let Order { instrument, strategy, side, .. } = *order;
            let contribution = order.contribution();
            if contribution.qty.0 == 0 {
                continue;
            }
            let book = books.get_mut(instrument.index()).ok_or(past)?;
            book.exposure.add(contribution).map_err(|_| past)?;
            strategies.add(strategy, instrument, contribution).map_err(|_| past)?;
            if controls.ladder.is_on() {
                controls.ladder.reprice((instrument, side), slot, None, order.reach());
            }
        }
        Ok(())
    }
}

fn write_limits(risk: &RiskSettings, out: &mut Vec<u8>) {
    let scoped = risk.symbols.iter().chain(&risk.strategies);
    for limits in [&risk.limits].into_iter().chain(scoped) {
        for key in LimitKey::ALL {
            limits.get(*key).write(out);
        }
    }
}

fn read_limits(risk: &mut RiskSettings, from: &mut Bytes<'_>) -> Result<(), BadImage> {
    let RiskSettings { limits, symbols, strategies, .. } = risk;
    for limits in [limits].into_iter().chain(symbols).chain(strategies) {
        for key in LimitKey::ALL {
            let limit = Option::read(from)?;
            limits.set(*key, limit).map_err(|_| from.bad("a limit out of range"))?;
        }
    }
    Ok(())
}
