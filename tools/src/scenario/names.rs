//! Names of orders and requests at the edge: text outside, growing numbers inside.
//!
//! A name is taken when the engine has taken the step that brought it. A name that is taken leads to
//! its old number, so that the engine sees the repetition.

use std::collections::BTreeMap;
use trade_engine::order::ClOrdId;

/// The feeder number of a scenario's own ids.
const SOURCE: u8 = 0;

/// The table.
#[derive(Debug, Default)]
pub(super) struct Names {
    counter: u64,
    /// Every name that is taken: orders and requests share one space.
    taken: BTreeMap<String, ClOrdId>,
    /// Those of orders.
    orders: BTreeMap<String, ClOrdId>,
    texts: BTreeMap<ClOrdId, String>,
}

impl Names {
    /// The number for a step that brings a name.
    pub(super) fn number(&self, name: &str) -> ClOrdId {
        self.taken.get(name).copied().unwrap_or_else(|| self.next())
    }

    /// The number that a new name gets.
    fn next(&self) -> ClOrdId {
        ClOrdId::new(SOURCE, self.counter + 1)
    }

    /// The number of the order that a step names. One that nobody made gets a number that is larger
    /// than all that were used, and not the one that the step's own name would get.
    pub(super) fn order(&self, name: &str) -> ClOrdId {
        let unknown = || ClOrdId::new(SOURCE, self.counter + 2);
        self.orders.get(name).copied().unwrap_or_else(unknown)
    }

    /// The number of the request that a report names; none for one that names none.
    pub(super) fn request(&self, name: Option<&str>) -> ClOrdId {
        let unknown = || ClOrdId::new(SOURCE, self.counter + 2);
        name.map_or(ClOrdId::NONE, |name| self.taken.get(name).copied().unwrap_or_else(unknown))
    }

    /// Whether a step has made this order, or a trade has named it.
    pub(super) fn is_order(&self, name: &str) -> bool {
        self.orders.contains_key(name)
    }

    /// The engine has taken an order of this name.
    pub(super) fn take_order(&mut self, name: &str, id: ClOrdId) {
        self.orders.entry(name.to_owned()).or_insert(id);
        self.take_request(name, id);
    }

    /// The engine has taken a request of this name.
    pub(super) fn take_request(&mut self, name: &str, id: ClOrdId) {
        self.taken.entry(name.to_owned()).or_insert(id);
        self.texts.entry(id).or_insert_with(|| name.to_owned());
        if id.source() == usize::from(SOURCE) {
            self.counter = self.counter.max(id.counter());
        }
    }

    /// The name of a number.
    pub(super) fn text(&self, id: ClOrdId) -> &str {
        self.texts.get(&id).map_or("", String::as_str)
    }
}
