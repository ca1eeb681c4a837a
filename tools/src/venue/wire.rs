//! Frames between an engine and a venue: a tag, a length, and what it holds. Messages and reports
//! are records as the log has them, so that there is one way to write them down.
//!
//! ```text
//!   engine                      venue
//!   Hello(settings)  ---------> the instruments, by the log's head; Done or Refused
//!   Message(record)  ---------> Report(record)..., Done
//!   Ask(since, ids)  ---------> Order(...)..., Execution(record)..., Done
//! ```
//!
//! Every frame of the engine is answered before it sends the next: a run in lockstep stays one.

use std::io::{self, Read, Write};
use trade_engine::broker::{Message, NewOrder, VenueOrder, VenueState};
use trade_engine::codec::{FLAG_END, Slot};
use trade_engine::event::{Body, Record};
use trade_engine::input::Input;
use trade_engine::instrument::InstrumentId;
use trade_engine::order::{ClOrdId, Flags};
use trade_engine::units::{Qty, Ts};

/// Bytes of one frame: a configuration of many instruments with their sessions is the largest.
const FRAME_MAX: usize = 64 << 20;
/// Bytes before what a frame holds.
const HEAD: usize = 5;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// Who the engine is: its settings in canonical form.
    Hello(String),
    /// An order, a request, market data.
    Message(Ts, Message),
    /// What do you have?
    Ask(Ts, Vec<ClOrdId>),
    /// One report.
    Report(Ts, Input),
    /// One order as it stands.
    Order(VenueOrder),
    /// One execution since.
    Execution(Ts, Input),
    /// All has been said.
    Done,
    /// The venue does not take it, in its words.
    Refused(String),
}

const STATES: [VenueState; 6] = [
    VenueState::Received,
    VenueState::Open,
    VenueState::Filled,
    VenueState::Cancelled,
    VenueState::Rejected,
    VenueState::Expired,
];

impl Frame {
    /// Adds it to what is to be sent.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(&[0; HEAD]);
        let tag = match self {
            Self::Hello(text) => {
                out.extend_from_slice(text.as_bytes());
                1
            }
            Self::Message(ts, message) => {
                put_record(out, *ts, &as_input(message));
                2
            }
            Self::Ask(since, ids) => {
                out.extend_from_slice(&since.0.to_le_bytes());
                ids.iter().for_each(|id| out.extend_from_slice(&id.0.to_le_bytes()));
                3
            }
            Self::Report(ts, input) => {
                put_record(out, *ts, input);
                4
            }
            Self::Order(VenueOrder { terms, state, cum_qty, pending }) => {
                out.push(*state as u8);
                out.extend_from_slice(&cum_qty.0.to_le_bytes());
                out.extend_from_slice(&(pending.len() as u64).to_le_bytes());
                pending.iter().for_each(|id| out.extend_from_slice(&id.0.to_le_bytes()));
                put_record(out, Ts(0), &as_input(&Message::New(*terms)));
                5
            }
            Self::Execution(ts, input) => {
                put_record(out, *ts, input);
                6
            }
            Self::Done => 7,
            Self::Refused(words) => {
                out.extend_from_slice(words.as_bytes());
                8
            }
        };
        out[begin] = tag;
        let len = u32::try_from(out.len() - begin - HEAD).expect("a frame is small");
        out[begin + 1..begin + HEAD].copy_from_slice(&len.to_le_bytes());
    }

    /// Reads one; `None` at an end between two.
    pub(super) fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut head = [0; HEAD];
        if from.read(&mut head[..1])? == 0 {
            return Ok(None);
        }
        from.read_exact(&mut head[1..])?;
        let [tag, a, b, c, d] = head;
        let len = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if len > FRAME_MAX {
            return Err(wrong());
        }
        let mut bytes = vec![0; len];
        from.read_exact(&mut bytes)?;
        Self::parse(tag, &bytes).map(Some).ok_or_else(wrong)
    }

    fn parse(tag: u8, bytes: &[u8]) -> Option<Self> {
        let text = || String::from_utf8(bytes.to_vec()).ok();
        Some(match tag {
            1 => Self::Hello(text()?),
            2 => {
                let (ts, input) = take_record(bytes)?;
                Self::Message(ts, as_message(&input)?)
            }
            3 => {
                let (since, ids) = take_word(bytes)?;
                Self::Ask(Ts(since.cast_signed()), take_ids(ids)?)
            }
            4 => {
                let (ts, input) = take_record(bytes)?;
                Self::Report(ts, input)
            }
            5 => Self::Order(take_order(bytes)?),
            6 => {
                let (ts, input) = take_record(bytes)?;
                Self::Execution(ts, input)
            }
            7 if bytes.is_empty() => Self::Done,
            8 => Self::Refused(text()?),
            _ => return None,
        })
    }

    /// Sends it at once.
    pub(super) fn send(&self, to: &mut impl Write) -> io::Result<()> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        to.write_all(&bytes)
    }
}

fn wrong() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no frame of this version")
}

fn put_record(out: &mut Vec<u8>, ts: Ts, input: &Input) {
    for slot in Body::Input(*input, 0).encode(1, ts, FLAG_END) {
        slot.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
    }
}

fn take_record(bytes: &[u8]) -> Option<(Ts, Input)> {
    let (words, rest) = bytes.as_chunks::<8>();
    let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let (slots, more) = words.as_chunks::<8>();
    let slots: &[Slot] = slots;
    let Record { head, body: Body::Input(input, _) } = Record::decode(slots)? else { return None };
    (rest.is_empty() && more.is_empty()).then_some((head.ts, input))
}

fn take_word(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (word, rest) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*word), rest))
}

fn take_ids(bytes: &[u8]) -> Option<Vec<ClOrdId>> {
    let (ids, rest) = bytes.as_chunks::<8>();
    rest.is_empty().then(|| ids.iter().map(|id| ClOrdId(u64::from_le_bytes(*id))).collect())
}

fn take_order(bytes: &[u8]) -> Option<VenueOrder> {
    let (state, rest) = bytes.split_first()?;
    let state = STATES.into_iter().find(|known| *known as u8 == *state)?;
    let (cum_qty, rest) = take_word(rest)?;
    let (count, rest) = take_word(rest)?;
    let ids = usize::try_from(count).ok()?.checked_mul(8).filter(|len| *len <= rest.len())?;
    let (ids, record) = rest.split_at(ids);
    let Message::New(terms) = as_message(&take_record(record)?.1)? else { return None };
    let (cum_qty, pending) = (Qty(cum_qty.cast_signed()), take_ids(ids)?);
    Some(VenueOrder { terms, state, cum_qty, pending })
}

/// A message as the input that asked for it. What it does not carry, the venue knows itself: the
/// instrument of an order that it has.
fn as_input(message: &Message) -> Input {
    match *message {
        Message::New(new) => Input::Order {
            id: new.order,
            instrument: new.instrument,
            side: new.side,
            ord_type: new.ord_type,
            tif: new.tif,
            strategy: 0,
            flags: if new.shrink_only { Flags::REDUCE_ONLY } else { Flags(0) },
            qty: new.qty,
            price: new.price,
            stop_price: new.stop_price,
            expire_at: new.expire_at,
            defect: None,
        },
        Message::Cancel { order, request, .. } => Input::Cancel { id: request, order },
        Message::Replace { order, request, qty, price, stop_price, .. } => {
            let (id, qty, defect) = (request, Some(qty), None);
            Input::Replace { id, order, qty, price, stop_price, defect }
        }
        Message::Mark { instrument, price, bid, ask } => {
            Input::Mark { instrument, price, bid, ask }
        }
        Message::Bar { instrument, prices: [open, high, low, close] } => {
            let (volume, opened) = (0, Ts(0));
            Input::Bar { instrument, open, high, low, close, volume, opened }
        }
        Message::DayRoll => Input::DayRoll {},
        Message::Time => Input::Timer {},
    }
}

/// Back again; `None` for an input that is no message.
fn as_message(input: &Input) -> Option<Message> {
    if let Input::Order {
        id: order,
        instrument,
        side,
        ord_type,
        tif,
        flags,
        qty,
        price,
        stop_price,
        expire_at,
        ..
    } = *input
    {
        let shrink_only = flags.has(Flags::REDUCE_ONLY);
        return Some(Message::New(NewOrder {
            order,
            instrument,
            side,
            ord_type,
            tif,
            qty,
            price,
            stop_price,
            expire_at,
            shrink_only,
        }));
    }
    let instrument = InstrumentId::UNKNOWN;
    if let Input::Cancel { id: request, order } = *input {
        return Some(Message::Cancel { order, request, instrument });
    }
    if let Input::Replace { id: request, order, qty, price, stop_price, .. } = *input {
        let qty = qty?;
        return Some(Message::Replace { order, request, instrument, qty, price, stop_price });
    }
    if let Input::Mark { instrument, price, bid, ask } = *input {
        return Some(Message::Mark { instrument, price, bid, ask });
    }
    if let Input::Bar { instrument, open, high, low, close, .. } = *input {
        return Some(Message::Bar { instrument, prices: [open, high, low, close] });
    }
    if let Input::DayRoll {} = input {
        return Some(Message::DayRoll);
    }
    matches!(input, Input::Timer {}).then_some(Message::Time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use trade_engine::input::StatusKind;
    use trade_engine::order::{OrdType, Tif};
    use trade_engine::units::{Price, Side};

    fn frames() -> Vec<Frame> {
        let (order, request) = (ClOrdId::new(1, 2), ClOrdId::new(7, 3));
        let (instrument, price) = (InstrumentId(4), Price(5));
        let terms = NewOrder {
            order,
            instrument,
            side: Side::Sell,
            ord_type: OrdType::StopLimit,
            tif: Tif::Gtd,
            qty: Qty(6),
            price: Some(price),
            stop_price: Some(Price(-7)),
            expire_at: Some(Ts(8)),
            shrink_only: true,
        };
        let (cum_qty, pending) = (Qty(2), vec![request]);
        let unknown = InstrumentId::UNKNOWN;
        let replace = Message::Replace {
            order,
            request,
            instrument: unknown,
            qty: Qty(9),
            price: None,
            stop_price: None,
        };
        let status = Input::Status { order, kind: StatusKind::Accepted, request };
        let mut frames = vec![
            Frame::Hello("[account]\n".to_owned()),
            Frame::Message(Ts(1), Message::New(terms)),
            Frame::Message(Ts(2), Message::Cancel { order, request, instrument: unknown }),
            Frame::Message(Ts(3), replace),
            Frame::Message(Ts(-4), Message::Mark { instrument, price, bid: None, ask: None }),
            Frame::Message(Ts(5), Message::Bar { instrument, prices: [price; 4] }),
            Frame::Message(Ts(6), Message::DayRoll),
            Frame::Message(Ts(7), Message::Time),
            Frame::Ask(Ts(-8), vec![order, request]),
            Frame::Report(Ts(9), status),
            Frame::Execution(Ts(10), status),
            Frame::Done,
            Frame::Refused("no".to_owned()),
        ];
        let order = |state| VenueOrder { terms, state, cum_qty, pending: pending.clone() };
        frames.extend(STATES.map(|state| Frame::Order(order(state))));
        frames
    }

    #[test]
    fn what_is_sent_is_what_is_read() {
        let mut bytes = Vec::new();
        frames().iter().for_each(|frame| frame.write(&mut bytes));
        let mut from = bytes.as_slice();
        for frame in frames() {
            assert_eq!(Frame::read(&mut from).unwrap(), Some(frame));
        }
        assert_eq!(Frame::read(&mut from).unwrap(), None);
    }

    /// A stranger on the line gives an error, whatever it sends.
    #[test]
    fn what_is_cut_or_altered_is_refused_or_another_frame() {
        for frame in frames() {
            let mut bytes = Vec::new();
            frame.write(&mut bytes);
            for len in 1..bytes.len() {
                assert!(Frame::read(&mut &bytes[..len]).is_err(), "{frame:?} cut to {len}");
            }
            for at in 0..bytes.len() {
                let mut altered = bytes.clone();
                altered[at] ^= 0xff;
                let _ = Frame::read(&mut altered.as_slice());
            }
        }
    }
}
