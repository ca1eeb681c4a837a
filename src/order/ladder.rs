//! Our own best prices, per instrument and side: a balanced tree threaded through the slots of the
//! order book, so that an order is put in or taken out in O(log n) and nothing is allocated.
//!
//! A treap (Seidel and Aragon, 1996): a search tree by price and slot that is also a heap by a
//! rank. The rank is a fixed scramble of the slot, so the shape follows from what is in it alone,
//! whatever came in between: a state that is replayed has the same tree.

use crate::instrument::InstrumentId;
use crate::units::{Price, Side};

/// No slot.
const NIL: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Node {
    price: Price,
    left: u32,
    right: u32,
}

/// What holds a subtree: a root, or a node's left or right.
#[derive(Clone, Copy, Debug)]
enum Link {
    Root(usize),
    Left(u32),
    Right(u32),
}

/// Every order that could trade now, by the most aggressive price at which it could.
#[derive(Clone, Debug)]
pub struct Ladder {
    /// By slot.
    nodes: Vec<Node>,
    /// By instrument, buys before sells.
    roots: Vec<u32>,
}

impl Ladder {
    /// Empty, for so many slots; the last memory it takes.
    pub fn new(instruments: usize, slots: usize) -> Self {
        let empty = Node { price: Price(0), left: NIL, right: NIL };
        Self { nodes: vec![empty; slots], roots: vec![NIL; instruments * 2] }
    }

    /// Takes no memory and holds nothing: where nobody asks for it.
    pub const fn off() -> Self {
        Self { nodes: Vec::new(), roots: Vec::new() }
    }

    /// Whether it is kept at all.
    pub const fn is_on(&self) -> bool {
        !self.nodes.is_empty()
    }

    /// The most aggressive price of one side: the highest buy, the lowest sell.
    pub fn best(&self, instrument: InstrumentId, side: Side) -> Option<Price> {
        let mut slot = *self.roots.get(root(instrument, side))?;
        let mut best = None;
        while slot != NIL {
            let node = &self.nodes[slot as usize];
            best = Some(node.price);
            slot = match side {
                Side::Buy => node.right,
                Side::Sell => node.left,
            };
        }
        best
    }

    /// Moves the order in a slot from one price to another; `None`: it is not in, or goes out.
    ///
    /// # Panics
    /// If it is not where it is said to be.
    pub fn reprice(
        &mut self,
        (instrument, side): (InstrumentId, Side),
        slot: u32,
        from: Option<Price>,
        to: Option<Price>,
    ) {
        if from == to {
            return;
        }
        let root = Link::Root(root(instrument, side));
        if let Some(from) = from {
            assert!(self.nodes[slot as usize].price == from);
            self.remove(root, slot);
        }
        if let Some(to) = to {
            self.nodes[slot as usize].price = to;
            self.insert(root, slot);
        }
    }

    fn at(&self, link: Link) -> u32 {
        match link {
            Link::Root(root) => self.roots[root],
            Link::Left(slot) => self.nodes[slot as usize].left,
            Link::Right(slot) => self.nodes[slot as usize].right,
        }
    }

    fn set(&mut self, link: Link, child: u32) {
        match link {
            Link::Root(root) => self.roots[root] = child,
            Link::Left(slot) => self.nodes[slot as usize].left = child,
            Link::Right(slot) => self.nodes[slot as usize].right = child,
        }
    }

    /// Where a slot lies, seen from another one.
    fn towards(&self, slot: u32, here: u32) -> Link {
        let key = |slot: u32| (self.nodes[slot as usize].price, slot);
        if key(slot) < key(here) { Link::Left(here) } else { Link::Right(here) }
    }

    fn insert(&mut self, root: Link, slot: u32) {
        let mut link = root;
        while self.at(link) != NIL && rank(self.at(link)) > rank(slot) {
            link = self.towards(slot, self.at(link));
        }
        let mut rest = self.at(link);
        self.set(link, slot);
        // What stood here is split into what lies before the slot and what lies behind it.
        let (mut before, mut behind) = (Link::Left(slot), Link::Right(slot));
        while rest != NIL {
            let inner = self.towards(slot, rest);
            let outer = if matches!(inner, Link::Left(_)) { &mut behind } else { &mut before };
            let hook = std::mem::replace(outer, inner);
            self.set(hook, rest);
            rest = self.at(inner);
        }
        self.set(before, NIL);
        self.set(behind, NIL);
    }

    fn remove(&mut self, root: Link, slot: u32) {
        let mut link = root;
        while self.at(link) != slot {
            assert!(self.at(link) != NIL);
            link = self.towards(slot, self.at(link));
        }
        let Node { mut left, mut right, .. } = self.nodes[slot as usize];
        // The two subtrees become one, the higher rank on top.
        while left != NIL && right != NIL {
            if rank(left) > rank(right) {
                self.set(link, left);
                link = Link::Right(left);
                left = self.at(link);
            } else {
                self.set(link, right);
                link = Link::Left(right);
                right = self.at(link);
            }
        }
        self.set(link, if left == NIL { right } else { left });
    }
}

fn root(instrument: InstrumentId, side: Side) -> usize {
    instrument.index() * 2 + side.index()
}

/// A scramble of the slot that no two slots share: the finalizer of `MurmurHash3`. Without it,
/// slots that are taken one after the other at rising prices would make a list.
const fn rank(slot: u32) -> u32 {
    let mut rank = slot ^ (slot >> 16);
    rank = rank.wrapping_mul(0x85EB_CA6B);
    rank ^= rank >> 13;
    rank = rank.wrapping_mul(0xC2B2_AE35);
    rank ^ (rank >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(ladder: &Ladder, slot: u32) -> usize {
        if slot == NIL {
            return 0;
        }
        let Node { left, right, .. } = ladder.nodes[slot as usize];
        1 + depth(ladder, left).max(depth(ladder, right))
    }

    /// Where a plain search tree would be a list of 16,384, this one is about as deep as a tree of
    /// random shape: 2 ln n expected of a node, some two and a half times that of the deepest.
    #[test]
    fn a_staircase_of_prices_stays_shallow() {
        const MANY: u32 = 16_384;
        let es = (InstrumentId(0), Side::Sell);
        for falling in [false, true] {
            let mut ladder = Ladder::new(1, MANY as usize);
            for slot in 0..MANY {
                let price = if falling { MANY - slot } else { slot };
                ladder.reprice(es, slot, None, Some(Price(i64::from(price))));
            }
            let deep = depth(&ladder, ladder.roots[root(es.0, es.1)]);
            assert!(deep < 50, "{deep}");
        }
    }

    /// The published vectors: the hash of nothing under the seeds 0, 1 and all ones.
    #[test]
    fn the_rank_is_the_finalizer_of_murmur_hash_3() {
        assert_eq!([0, 1, u32::MAX].map(rank), [0, 0x514E_28B7, 0x81F1_6F39]);
    }

    fn is_heap(ladder: &Ladder, slot: u32) -> bool {
        let Node { left, right, .. } = ladder.nodes[slot as usize];
        [left, right]
            .into_iter()
            .filter(|child| *child != NIL)
            .all(|child| rank(child) < rank(slot) && is_heap(ladder, child))
    }

    /// What goes in and out leaves the heap a heap, which only one tree over the same prices is.
    #[test]
    fn the_shape_follows_from_what_is_in_it() {
        const SLOTS: u32 = 64;
        let es = (InstrumentId(0), Side::Buy);
        let mut ladder = Ladder::new(1, SLOTS as usize);
        let mut prices = [None; SLOTS as usize];
        let mut step = 1_u64;
        for _ in 0..4_000 {
            step = step.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
            let slot = u32::try_from(step >> 33).expect("31 bits") % SLOTS;
            let to = (step >> 20 & 3 != 0).then_some(Price((step >> 22 & 15).cast_signed()));
            let from = std::mem::replace(&mut prices[slot as usize], to);
            ladder.reprice(es, slot, from, to);
            let top = ladder.roots[root(es.0, es.1)];
            assert!(top == NIL || is_heap(&ladder, top));
            assert_eq!(ladder.best(es.0, es.1), prices.into_iter().flatten().max());
        }
    }
}
