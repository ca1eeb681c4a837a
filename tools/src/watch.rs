//! What has come of a log so far that its state does not say by itself: since when an instrument is
//! halted and why, and which limits are no longer those that it was started with.

use crate::limits::Change;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use trade_engine::code::Code;
use trade_engine::engine::State;
use trade_engine::event::{Body, Event, Record};
use trade_engine::instrument::InstrumentId;
use trade_engine::settings::LimitKey;
use trade_engine::units::Ts;

/// An instrument in which new exposure is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HaltedInstrument {
    /// Which.
    pub instrument: InstrumentId,
    /// Why.
    pub reason: Code,
    /// Its record.
    pub seq: u64,
    /// When.
    pub ts: Ts,
}

/// The watch: bounded by the tables of the log's settings.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    halted: BTreeMap<InstrumentId, HaltedInstrument>,
    /// The last change of each limit.
    changes: BTreeMap<(u8, String, LimitKey), Change>,
}

trade_engine::image!(HaltedInstrument { instrument, reason, seq, ts });
trade_engine::image!(Watch { halted, changes });

impl Watch {
    /// Takes in a record that has been applied; `state` is the state after it.
    pub fn observe(&mut self, record: &Record, state: Option<&State>) {
        let Body::Event(event) = record.body else { return };
        if let Event::InstrumentHalted { instrument, reason } = event {
            let (seq, ts) = (record.head.seq, record.head.ts);
            let halted = HaltedInstrument { instrument, reason, seq, ts };
            self.halted.entry(instrument).or_insert(halted);
        } else if let Event::Resumed {} = event {
            self.halted.clear();
        } else if let Some(change) = state.and_then(|state| Change::of(record, state)) {
            let scope = change.scope as u8;
            self.changes.insert((scope, change.name.clone(), change.key), change);
        }
    }

    /// The instruments that are halted, in the order of the table.
    pub fn halted(&self) -> impl Iterator<Item = &HaltedInstrument> {
        self.halted.values()
    }

    /// The limits that are others now than at the start: the account's, then the instruments' and
    /// the strategies'.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.changes.values()
    }

    /// The halted instruments as a list.
    pub fn halted_json(&self, state: &State) -> Value {
        let row = |halted: &HaltedInstrument| {
            json!({
                "symbol": crate::rows::symbol(state, halted.instrument),
                "reason": halted.reason.name(),
                "seq": halted.seq,
                "time": crate::text::time(halted.ts),
            })
        };
        self.halted().map(row).collect()
    }

    /// The changed limits as a list.
    pub fn changes_json(&self) -> Value {
        self.changes().map(Change::json).collect()
    }
}
