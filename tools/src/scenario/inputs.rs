//! Steps to inputs: names to numbers, text to the engine's units. What cannot be written down in
//! them becomes a defect, or a figure that no engine takes.

use super::drive::Drive;
use super::json::Decimal;
use super::steps::{Action, Order, Report, Signal, Step, Trade};
use trade_engine::code::Code;
use trade_engine::engine::Seen;
use trade_engine::input::{ExecKey, Input, SignalSide};
use trade_engine::instrument::{Instrument, InstrumentId, LotsError};
use trade_engine::order::{ClOrdId, Flags, Order as Row, Tif};
use trade_engine::units::{Money, Price, Qty, Ratio, Side, Ts};

/// The venue's number in the keys of the script's executions.
const SCRIPT_VENUE: u16 = 1;
/// And of the simulated broker's.
const SIM_VENUE: u16 = 0;

/// A price that no engine takes: for one that cannot even be written down.
const UNUSABLE_PRICE: Price = Price(i64::MAX);

/// Steps to inputs.
impl Drive {
    pub(super) fn input(&mut self, step: &Step, ts: Ts) -> Input {
        let names = &self.texts.names;
        match &step.action {
            Action::Mark { symbol, price, bid, ask } => {
                let instrument = self.instrument(symbol);
                let rate = self.rate(symbol, usable(price));
                let mark = Input::Mark {
                    instrument,
                    price: usable(price),
                    bid: bid.as_ref().map(usable),
                    ask: ask.as_ref().map(usable),
                };
                rate.filter(|_| instrument == InstrumentId::UNKNOWN).unwrap_or(mark)
            }
            Action::Bar { symbol, prices, volume } => self.bar(symbol, prices, volume, ts),
            Action::Signal(signal) => self.signal(signal),
            Action::Order(order) => self.order(order),
            Action::Cancel { id, order } => {
                Input::Cancel { id: names.number(id), order: names.order(order) }
            }
            Action::Replace { id, order, qty, price, stop_price } => {
                let (id, order) = (names.number(id), names.order(order));
                let instrument = self.state().order(order).map(|order| order.instrument);
                let mut defects = Defects::default();
                let qty = qty.as_ref().and_then(|qty| {
                    defects.note(lots(qty, instrument.and_then(|id| self.spec(id))))
                });
                let price = defects.price(price.as_ref());
                let stop_price = defects.price(stop_price.as_ref());
                Input::Replace { id, order, qty, price, stop_price, defect: defects.0 }
            }
            Action::Exec { order, report } => self.report(order, report),
            Action::ClosePosition { id, symbol } => {
                Input::ClosePosition { id: names.number(id), instrument: self.instrument(symbol) }
            }
            Action::Halt { cancel_working, .. } => Input::Halt { cancel_working: *cancel_working },
            Action::Resume { .. } => Input::Resume {},
            Action::CancelAll => Input::CancelAll {},
            Action::DayRoll => Input::DayRoll {},
        }
    }

    fn bar(&mut self, symbol: &str, prices: &[Decimal; 4], volume: &Decimal, ts: Ts) -> Input {
        // Bars are paired by the time at which they began. Where no bar of the file has a time, the
        // first of one symbol goes with the first of another.
        let opened = match &mut self.bars {
            Some(counts) => {
                let count = counts.entry(symbol.to_owned()).or_default();
                *count += 1;
                Ts(*count)
            }
            None => ts,
        };
        // Nothing is decided by the volume; whole units of it are kept.
        let volume = volume.as_str().split('.').next().and_then(|whole| whole.parse().ok());
        let [open, high, low, close] = prices.each_ref().map(usable);
        Input::Bar {
            instrument: self.instrument(symbol),
            open,
            high: if volume.is_some() { high } else { UNUSABLE_PRICE },
            low,
            close,
            volume: volume.unwrap_or(0),
            opened,
        }
    }

    /// The conversion mark that a price is besides, where an instrument is a pair of currencies.
    pub(super) fn rate_besides(&self, step: &Step) -> Option<Input> {
        let (symbol, price) = match &step.action {
            Action::Mark { symbol, price, .. } => (symbol, price),
            Action::Bar { symbol, prices: [.., close], .. } => (symbol, close),
            Action::Signal(_)
            | Action::Order(_)
            | Action::Cancel { .. }
            | Action::Replace { .. }
            | Action::Exec { .. }
            | Action::ClosePosition { .. }
            | Action::Halt { .. }
            | Action::Resume { .. }
            | Action::CancelAll
            | Action::DayRoll => return None,
        };
        let is_instrument = self.instrument(symbol) != InstrumentId::UNKNOWN;
        self.rate(symbol, usable(price)).filter(|_| is_instrument)
    }

    /// A price as a conversion mark, if its symbol is a pair of the account's currency and another
    /// one that an instrument is quoted in: `EURUSD`, `EUR/USD` or `EUR.USD`, either way round.
    fn rate(&self, symbol: &str, price: Price) -> Option<Input> {
        let currencies = self.state().settings().currencies();
        let (own, others) = currencies.split_first()?;
        let is_pair = |base: &str, quote: &str| {
            let rest = symbol.strip_prefix(base).and_then(|rest| rest.strip_suffix(quote));
            rest.is_some_and(|between| ["", "/", "."].contains(&between))
        };
        let places = others.iter().zip(1..);
        let mut ways = places.flat_map(|(other, place)| {
            // What one of the other is worth in the account's, or the other way round.
            [(place, false, is_pair(other, own)), (place, true, is_pair(own, other))]
        });
        let (currency, inverse, _) = ways.find(|(.., is_it)| *is_it)?;
        Some(Input::Rate { currency, price, inverse })
    }

    /// The number of a strategy: its place in the settings, from 1; 0 is nobody.
    fn strategy(&self, name: Option<&str>) -> u16 {
        let known = &self.state().settings().strategies;
        let place = name.and_then(|name| known.iter().position(|other| other == name));
        place.map_or(0, |place| u16::try_from(place + 1).expect("limits.rs bounds it"))
    }

    fn signal(&self, signal: &Signal) -> Input {
        let strategy = self.strategy(signal.strategy.as_deref());
        let instrument = self.instrument(&signal.symbol);
        let mut defects = Defects::default();
        let wanted = signal.qty.as_ref().filter(|_| signal.side != SignalSide::Flat);
        let qty = wanted.map(|qty| defects.order_qty(qty, self.spec(instrument)));
        let strength = signal.strength.as_str().parse::<Ratio>().map_err(|_| Code::BadQty);
        Input::Signal {
            id: self.texts.names.number(&signal.id),
            instrument,
            side: signal.side,
            strategy,
            strength: defects.note(strength).unwrap_or_default(),
            price: defects.price(signal.price.as_ref()),
            stop_price: defects.price(signal.stop_price.as_ref()),
            qty,
            defect: defects.0,
        }
    }

    fn order(&self, order: &Order) -> Input {
        let strategy = self.strategy(order.strategy.as_deref());
        let instrument = self.instrument(&order.symbol);
        let mut defects = Defects::default();
        let qty = defects.order_qty(&order.qty, self.spec(instrument));
        let price = defects.price(order.price.as_ref());
        let stop_price = defects.price(order.stop_price.as_ref());
        // A price that the type does not have would make it an order of another type.
        let misplaced = (order.price.is_some() && !order.ord_type.has_limit())
            || (order.stop_price.is_some() && !order.ord_type.has_stop());
        if misplaced {
            defects.note::<()>(Err(Code::BadPrice));
        }
        Input::Order {
            id: self.texts.names.number(&order.id),
            instrument,
            side: order.side,
            ord_type: order.ord_type,
            tif: order.tif,
            strategy,
            flags: if order.reduce_only { Flags::REDUCE_ONLY } else { Flags::default() },
            qty,
            price: price.filter(|_| order.ord_type.has_limit()),
            stop_price: stop_price.filter(|_| order.ord_type.has_stop()),
            expire_at: order.expire_at.filter(|_| order.tif == Tif::Gtd),
            defect: defects.0,
        }
    }

    fn report(&self, name: &str, report: &Report) -> Input {
        let names = &self.texts.names;
        let order = names.order(name);
        let instrument = self.state().order(order).map(|order| order.instrument);
        let spec = instrument.and_then(|id| self.spec(id));
        // What cannot be written down is said by a figure that cannot be taken.
        let total = |qty: &Decimal| lots(qty, spec).unwrap_or(Qty(0));
        match report {
            Report::Status { kind, request, .. } => {
                Input::Status { order, kind: *kind, request: names.request(request.as_deref()) }
            }
            Report::Trade(trade) => self.trade(order, trade),
            Report::Replaced { request, qty, price, stop_price } => Input::Replaced {
                order,
                request: names.request(request.as_deref()),
                qty: qty.as_ref().map(total),
                price: price.as_ref().map(usable),
                stop_price: stop_price.as_ref().map(usable),
            },
            Report::Restated { qty } => Input::Restated { order, qty: qty.as_ref().map(total) },
            Report::Bust { exec_id, exec_ref } => {
                let [exec, exec_ref] = self.exec_keys(order, exec_id, exec_ref);
                Input::Bust { order, exec, exec_ref }
            }
            Report::Correct { exec_id, exec_ref, qty, price } => {
                let [exec, exec_ref] = self.exec_keys(order, exec_id, exec_ref);
                let mut defects = Defects::default();
                let qty = defects.note(lots(qty, spec)).unwrap_or_default();
                let price = defects.price(Some(price)).unwrap_or_default();
                Input::Correct { order, exec, exec_ref, qty, price, defect: defects.0 }
            }
        }
    }

    /// The keys of an execution that is about another one. Which venue and which side that had is
    /// known of no report: an order that nobody made may have traded both ways. The one that was
    /// seen is meant.
    fn exec_keys(&self, order: ClOrdId, exec_id: &str, exec_ref: &str) -> [ExecKey; 2] {
        let side = self.state().order(order).map_or(Side::Buy, |order| order.side);
        let venues = [SCRIPT_VENUE, SIM_VENUE];
        let ways = venues.iter().flat_map(|venue| [side, side.opposite()].map(|way| (*venue, way)));
        let key = |(venue, side), text| ExecKey::new(venue, text, order, side);
        let seen = |way| {
            let executions = self.state().executions();
            executions.seen(key(way, exec_ref), Qty(0), Price(0)) != Seen::New
        };
        let way = ways.into_iter().find(|way| seen(*way)).unwrap_or((SCRIPT_VENUE, side));
        [key(way, exec_id), key(way, exec_ref)]
    }

    /// Whether an order says itself what it trades, and which way.
    fn is_sure(&self, row: &Row) -> bool {
        !row.flags.has(Flags::UNKNOWN) && self.spec(row.instrument).is_some()
    }

    fn trade(&self, order: ClOrdId, trade: &Trade) -> Input {
        let mut defects = Defects::default();
        let known = self.state().order(order);
        // A row for trades that nobody ordered says nothing of the next one.
        let own = known.filter(|row| self.is_sure(row)).map(|row| (row.instrument, row.side));
        let row = known.map(|row| (row.instrument, row.side));
        let (instrument, side) = match (own, &trade.symbol, trade.side, row) {
            (Some(own), ..) => own,
            (None, Some(symbol), Some(side), _) => (self.instrument(symbol), side),
            (None, _, _, Some(row)) => row,
            // Without them nobody can say what was traded.
            (None, _, _, None) => {
                defects.note::<()>(Err(Code::UnknownOrder));
                (InstrumentId::UNKNOWN, trade.side.unwrap_or(Side::Buy))
            }
        };
        let qty = match self.spec(instrument) {
            Some(spec) => defects.note(lots(&trade.qty, Some(spec))),
            None => {
                defects.0 = defects.0.or(Some(Code::UnknownSymbol));
                None
            }
        };
        let commission = trade.commission.as_ref().map(|text| text.as_str().parse::<Money>());
        let commission = commission.transpose().map_err(|_| Code::BadPrice);
        let price = defects.price(Some(&trade.price));
        Input::Trade {
            order,
            exec: ExecKey::new(SCRIPT_VENUE, &trade.exec_id, order, side),
            qty: qty.unwrap_or_default(),
            price: price.unwrap_or_default(),
            commission: defects.note(commission).flatten().unwrap_or_default(),
            instrument,
            side,
            venue_says_filled: trade.says_filled,
            defect: defects.0,
        }
    }
}

/// What cannot be taken of a step's figures: the first, in the order of the codes.
#[derive(Debug, Default)]
struct Defects(Option<Code>);

impl Defects {
    fn note<T>(&mut self, figure: Result<T, Code>) -> Option<T> {
        match figure {
            Ok(figure) => Some(figure),
            Err(code) => {
                self.0 = Some(self.0.map_or(code, |known| known.min(code)));
                None
            }
        }
    }

    /// The quantity of a new order. One that is off lot says so itself: in the engine's eyes it is
    /// one lot, or another figure's defect would be taken for that of the quantity.
    fn order_qty(&mut self, decimal: &Decimal, spec: Option<&Instrument>) -> Qty {
        match lots(decimal, spec) {
            Err(Code::OffLot) => {
                self.note::<()>(Err(Code::OffLot));
                Qty(1)
            }
            other => self.note(other).unwrap_or_default(),
        }
    }

    fn price(&mut self, decimal: Option<&Decimal>) -> Option<Price> {
        let price = decimal?.as_str().parse::<Price>();
        self.note(price.map_err(|_| Code::BadPrice))
    }
}

pub(super) fn usable(decimal: &Decimal) -> Price {
    decimal.as_str().parse().unwrap_or(UNUSABLE_PRICE)
}

/// Lots of an instrument; of one that nobody knows, units.
fn lots(decimal: &Decimal, spec: Option<&Instrument>) -> Result<Qty, Code> {
    let Some(spec) = spec else { return decimal.as_str().parse().map_err(|_| Code::BadQty) };
    spec.lots(decimal.as_str()).map_err(|error| match error {
        LotsError::OffLot if !decimal.is_at_most_zero() => Code::OffLot,
        LotsError::OffLot | LotsError::Decimal(_) => Code::BadQty,
    })
}
