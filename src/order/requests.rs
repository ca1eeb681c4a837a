//! Cancel and replace in flight: kept beside the lifecycle, each under its own id.
//!
//! A late answer finds its own request whatever fills came between, and never overwrites the
//! lifecycle. FIX `ClOrdID(11)` of the request, with `OrigClOrdID(41)` naming the order.

use super::ClOrdId;
use crate::image::{BadImage, Bytes, Image};
use crate::limits::REQUESTS_PER_ORDER_MAX;
use crate::units::{Price, Qty, Ts};
use arrayvec::ArrayVec;

/// What was asked of the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RequestKind {
    /// FIX `OrderCancelRequest(F)`.
    Cancel = 1,
    /// FIX `OrderCancelReplaceRequest(G)`.
    Replace = 2,
}

impl RequestKind {
    /// `cancel` or `replace`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Replace => "replace",
        }
    }
}

/// An order's terms as they were sent with a replace: what the replace asks for, and for the rest
/// what the order, or the replace before it, had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Total quantity, lots.
    pub qty: Qty,
    /// Limit price.
    pub price: Option<Price>,
    /// Stop price.
    pub stop_price: Option<Price>,
}

/// One request that the venue has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The request's own id.
    pub id: ClOrdId,
    /// Cancel or replace.
    pub kind: RequestKind,
    /// The new total quantity, FIX `OrderQty(38)`, if the request changes it.
    pub qty: Option<Qty>,
    /// The new limit price, if the request changes it.
    pub price: Option<Price>,
    /// The new stop price, if the request changes it.
    pub stop_price: Option<Price>,
    /// All of the order's terms, as the venue was sent them: it may carry them out whatever becomes
    /// of the replaces before this one.
    pub sent: Sent,
    /// When it was handed over.
    pub since: Ts,
    /// The venue has not answered it in time, and that has been said.
    pub overdue: bool,
}

/// The outstanding requests of one order, oldest first: so many replaces, and one cancel, whose
/// place is kept for it. A venue that answers nothing cannot take the way out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests(ArrayVec<Request, { REQUESTS_PER_ORDER_MAX + 1 }>);

impl Requests {
    /// Oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Request> {
        self.0.iter()
    }

    /// How many of a kind are outstanding.
    pub fn count(&self, kind: RequestKind) -> usize {
        self.0.iter().filter(|request| request.kind == kind).count()
    }

    /// Whether nothing is outstanding.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether another request of a kind would have no room.
    pub fn is_full(&self, kind: RequestKind) -> bool {
        let most = match kind {
            RequestKind::Cancel => 1,
            RequestKind::Replace => REQUESTS_PER_ORDER_MAX,
        };
        self.count(kind) >= most
    }

    /// The request that an answer means: the named one of that kind, or the oldest of that kind.
    pub fn find(&self, kind: RequestKind, id: Option<ClOrdId>) -> Option<&Request> {
        let wanted =
            |request: &&Request| request.kind == kind && id.is_none_or(|id| id == request.id);
        self.0.iter().find(wanted)
    }

    /// Opens a request. Returns whether there was room.
    #[must_use]
    pub fn open(&mut self, request: Request) -> bool {
        !self.is_full(request.kind) && self.0.try_push(request).is_ok()
    }

    /// Notes that an outstanding request has not been answered in time. Returns it, if it is one.
    pub fn note_overdue(&mut self, id: ClOrdId) -> Option<Request> {
        let request = self.0.iter_mut().find(|request| request.id == id)?;
        request.overdue = true;
        Some(*request)
    }

    /// Ends a request: it was answered. Returns it, if it was outstanding.
    pub fn end(&mut self, id: ClOrdId) -> Option<Request> {
        let index = self.0.iter().position(|request| request.id == id)?;
        Some(self.0.remove(index))
    }
}

crate::image!(
    enum RequestKind {
        Cancel,
        Replace,
    }
);
crate::image!(Sent { qty, price, stop_price });
crate::image!(Request { id, kind, qty, price, stop_price, sent, since, overdue });

impl Image for Requests {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.len().write(out);
        crate::image::write_all(&self.0, out);
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, BadImage> {
        let mut requests = Self::default();
        for _ in 0..from.count(REQUESTS_PER_ORDER_MAX + 1)? {
            let fits = requests.open(Request::read(from)?);
            from.require(fits, "more requests than an order has")?;
        }
        Ok(requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(number: usize, kind: RequestKind) -> Request {
        let id = ClOrdId::new(0, number as u64);
        let sent = Sent { qty: Qty(1), price: None, stop_price: None };
        let (qty, price, stop_price, since, overdue) = (None, None, None, Ts(0), false);
        Request { id, kind, qty, price, stop_price, sent, since, overdue }
    }

    #[test]
    fn as_many_requests_as_an_order_can_have_come_back_from_bytes() {
        let mut requests = Requests::default();
        for number in 1..=REQUESTS_PER_ORDER_MAX {
            assert!(requests.open(request(number, RequestKind::Replace)));
        }
        assert!(requests.open(request(100, RequestKind::Cancel)));
        let mut image = Vec::new();
        requests.write(&mut image);
        assert_eq!(Requests::read(&mut Bytes::new(&image)), Ok(requests));
        // One more than there are places; and as many, of which one has none.
        image[0] += 1;
        assert!(Requests::read(&mut Bytes::new(&image)).is_err());
        let mut image = Vec::new();
        2_usize.write(&mut image);
        for number in [1, 2] {
            request(number, RequestKind::Cancel).write(&mut image);
        }
        assert!(Requests::read(&mut Bytes::new(&image)).is_err());
    }
}
