//! From what a person calls an order to its number: one pass over the log.

use super::complain;
use crate::names::{self, Parts};
use crate::walk::{LogError, Walk};
use std::path::Path;
use trade_engine::event::{Body, Event, Record};
use trade_engine::input::{Input, Subject};
use trade_engine::order::ClOrdId;

/// Ids that can share one name before they are no longer listed.
const CANDIDATES_MAX: usize = 8;

/// What the log says about one text.
struct Search<'a> {
    wanted: &'a str,
    parts: Parts,
    of: ClOrdId,
    /// The ids of that name, or of that number, and the order that each leads to.
    found: Vec<(ClOrdId, Option<ClOrdId>)>,
    is_named: bool,
}

/// The order that `text` names: by its name, by the name of one of its requests, or by number.
///
/// # Errors
/// No such order, or several; and those of the log.
pub(super) fn order(dir: &Path, text: &str) -> Result<ClOrdId, LogError> {
    let mut walk = Walk::open(dir)?;
    let found = names::parse_number(text).map(|id| (id, None)).into_iter().collect();
    let of = ClOrdId::NONE;
    let mut search = Search { wanted: text, parts: Parts::default(), of, found, is_named: false };
    let begins = walk.begins().map_or_else(String::new, |begins| format!("; {begins}"));
    search.look_before(&walk);
    while let Some(record) = walk.step()? {
        search.take(&record);
    }
    walk.whole_state()?;
    let mut orders: Vec<(ClOrdId, ClOrdId)> =
        search.found.iter().filter_map(|(id, order)| Some((*id, (*order)?))).collect();
    orders.dedup_by_key(|(_, order)| *order);
    match orders[..] {
        [] => {
            let what = format!("--order {text}: no order of that name or number{begins}");
            Err(LogError::Argument(what))
        }
        [(id, order)] => {
            if id != order {
                let order = walk.names().name(order);
                complain(&format!("note: {text} is a request about order {order}"));
            }
            Ok(order)
        }
        _ => {
            let ids: Vec<String> = orders.iter().map(|(id, _)| names::number(*id)).collect();
            let ids = ids.join(", ");
            Err(LogError::Argument(format!("--order {text}: several have that name: {ids}")))
        }
    }
}

impl Search<'_> {
    /// What a log that begins later than at its first record knows by then.
    fn look_before(&mut self, walk: &Walk) {
        let Some(state) = walk.state() else { return };
        for id in walk.names().ids(self.wanted) {
            self.name(id);
        }
        for order in state.orders().iter() {
            self.leads(order.id, order.id);
            for request in order.requests.iter() {
                self.leads(request.id, order.id);
            }
        }
    }

    fn take(&mut self, record: &Record) {
        match record.body {
            Body::Input(Input::Text { subject: Subject::Name, more, id, text }, _) => {
                if self.of != id {
                    (self.parts, self.of) = (Parts::default(), id);
                }
                if let Some(name) = self.parts.push(text.as_str(), more) {
                    self.of = ClOrdId::NONE;
                    if name == self.wanted {
                        self.name(id);
                    }
                }
            }
            Body::Event(Event::Created { order, .. } | Event::Unassigned { order, .. }) => {
                self.leads(order, order);
            }
            Body::Event(
                Event::CancelAsked { order, request } | Event::ReplaceAsked { order, request, .. },
            ) => self.leads(request, order),
            Body::Event(_) | Body::Input(..) | Body::Opening(_) => {}
        }
    }

    /// A name goes before a number that reads the same.
    fn name(&mut self, id: ClOrdId) {
        if !self.is_named {
            self.found.clear();
            self.is_named = true;
        }
        let is_known = self.found.iter().any(|(known, _)| *known == id);
        if !is_known && self.found.len() < CANDIDATES_MAX {
            self.found.push((id, None));
        }
    }

    fn leads(&mut self, id: ClOrdId, order: ClOrdId) {
        for (found, leads_to) in &mut self.found {
            if *found == id && leads_to.is_none() {
                *leads_to = Some(order);
            }
        }
    }
}
