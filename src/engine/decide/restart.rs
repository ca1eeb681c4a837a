//! What the venue has of orders when a log is taken up again, beside its reports: what a person
//! must look at.

use super::super::apply::usable_marks;
use super::super::turn::{Anomaly, Output, Turn};
use crate::code::Code;
use crate::event::Event;
use crate::input::{ExecKey, Input};
use crate::limits::QTY_MAX;
use crate::order::{ClOrdId, Flags};

/// An order that the venue has and that we do not, or have otherwise. Whatever it is, nothing more
/// is done in its instrument until a person resumes.
pub(super) fn found(turn: &mut Turn<'_, impl Output>, input: &Input) {
    let Input::Found { id, instrument, side, ord_type, tif, qty, price, stop_price, expire_at } =
        *input
    else {
        unreachable!("the caller matched it")
    };
    if turn.state().book(instrument).is_none() {
        return turn.refuse(Code::UnknownSymbol, id, ClOrdId::NONE);
    }
    let is_known = turn.state().order(id).is_some();
    // One that was ours and has been retired keeps its id: it cannot be taken in once more.
    let may_enter = turn.state().is_open_id(id)
        && (1..=QTY_MAX).contains(&qty.0)
        && usable_marks(&[price, stop_price])
        && !turn.state().orders().is_full();
    if may_enter {
        turn.emit(Event::Created {
            order: id,
            instrument,
            side,
            ord_type,
            tif,
            flags: Flags::default(),
            strategy: 0,
            order_qty: qty,
            price,
            stop_price,
            expire_at,
            decision_px: None,
            arrival_px: None,
            protect_px: None,
        });
        // No rule is asked: it is at work, whatever they would say.
        turn.emit(Event::Passed { order: id });
        turn.emit(Event::Submitted { order: id });
    }
    let code = if is_known { Code::VenueDiffers } else { Code::UnknownOrder };
    let (exec, booked) = (ExecKey::default(), may_enter);
    turn.anomaly(instrument, Anomaly { code, order: id, exec, qty, booked });
    if turn.state().book(instrument).is_some_and(|book| book.halted.is_none()) {
        turn.emit(Event::InstrumentHalted { instrument, reason: code });
    }
}
