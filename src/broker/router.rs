//! Which venue does a message go to? One table, from instrument to venue.

use super::{Broker, Message, Reports, Statement};
use crate::instrument::InstrumentId;
use crate::order::ClOrdId;
use crate::units::Ts;
use std::fmt;

/// Several venues behind one [`Broker`]: orders, requests and market data go to the venue of their
/// instrument, day rolls and time to every venue. Orders and requests for an instrument that has no
/// venue are turned down here; market data for it goes nowhere.
///
/// ```
/// use trade_engine::broker::{Broker, Message, Reports, Router, SimSettings, SimulatedBroker};
/// use trade_engine::units::Ts;
///
/// let sim = |venue| SimulatedBroker::new(venue, SimSettings::default(), Vec::new());
/// // Instruments 0 and 2 trade at the first venue, 1 at the second, 3 nowhere.
/// let routes = vec![Some(0), Some(1), Some(0), None];
/// let mut router = Router::new(vec![Box::new(sim(0)?), Box::new(sim(1)?)], routes)?;
/// router.on_message(Ts(0), &Message::DayRoll, &mut Reports::default());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Router {
    venues: Vec<Box<dyn Broker + Send>>,
    /// By instrument; every place is one of `venues`.
    routes: Vec<Option<u16>>,
}

/// An instrument is mapped to a venue that there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteError {
    /// The instrument.
    pub instrument: InstrumentId,
    /// The venue it is mapped to.
    pub venue: u16,
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instrument {} is routed to venue {}, ", self.instrument.0, self.venue)?;
        f.write_str("which does not exist")
    }
}

impl std::error::Error for RouteError {}

impl Router {
    /// Maps instruments, by their place in `routes`, to venues, by their place in `venues`.
    /// Instruments past the end of `routes` have no venue.
    ///
    /// # Errors
    /// The first instrument whose venue does not exist.
    pub fn new(
        venues: Vec<Box<dyn Broker + Send>>,
        routes: Vec<Option<u16>>,
    ) -> Result<Self, RouteError> {
        for (index, venue) in routes.iter().enumerate() {
            if let Some(venue) = venue.filter(|venue| usize::from(*venue) >= venues.len()) {
                let instrument = InstrumentId(u16::try_from(index).unwrap_or(u16::MAX));
                return Err(RouteError { instrument, venue });
            }
        }
        Ok(Self { venues, routes })
    }

    /// The venue of an instrument.
    pub fn route(&self, instrument: InstrumentId) -> Option<u16> {
        self.routes.get(instrument.index()).copied().flatten()
    }
}

impl Broker for Router {
    fn on_message(&mut self, ts: Ts, message: &Message, reports: &mut Reports) {
        let Some(instrument) = message.instrument() else {
            for venue in &mut self.venues {
                venue.on_message(ts, message, reports);
            }
            return;
        };
        match self.route(instrument) {
            Some(venue) => self.venues[usize::from(venue)].on_message(ts, message, reports),
            None => {
                reports.refuse(ts, message, "no venue is configured for this instrument");
            }
        }
    }

    fn poll(&mut self, reports: &mut Reports) {
        for venue in &mut self.venues {
            venue.poll(reports);
        }
    }

    fn statement(&mut self, since: Ts, orders: &[ClOrdId]) -> Result<Statement, String> {
        let mut all = Statement::default();
        for (number, venue) in self.venues.iter_mut().enumerate() {
            let one = venue.statement(since, orders);
            let Statement { orders, executions } =
                one.map_err(|what| format!("venue {number}: {what}"))?;
            all.orders.extend(orders);
            all.executions.extend(executions);
        }
        Ok(all)
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Router");
        out.field("venues", &self.venues.len()).field("routes", &self.routes).finish()
    }
}
