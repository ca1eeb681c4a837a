//! Walks over all orders: what each is for, and where it goes on. A turn takes a bounded part.

use crate::digest::Digest;

/// What a walk does with the orders that it meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SweepKind {
    /// Asks to cancel what is working.
    Cancel = 1,
    /// Retires what has ended.
    Retire = 2,
    /// Looks for orders and requests without an answer.
    Overdue = 3,
    /// Acts on contingent orders whose time has come.
    Contingent = 4,
}

impl SweepKind {
    /// Every kind, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Cancel, Self::Contingent, Self::Retire, Self::Overdue];

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Retire => "retire",
            Self::Overdue => "overdue",
            Self::Contingent => "contingent",
        }
    }

    const fn index(self) -> usize {
        self as usize - 1
    }
}

/// The slot at which each kind of walk goes on, if one is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweeps([Option<u32>; 4]);

impl Sweeps {
    /// Where a kind of walk goes on.
    pub const fn get(&self, kind: SweepKind) -> Option<u32> {
        self.0[kind.index()]
    }

    /// The most urgent walk under way, and where it goes on.
    pub fn next(&self) -> Option<(SweepKind, u32)> {
        SweepKind::ALL.into_iter().find_map(|kind| Some((kind, self.get(kind)?)))
    }

    /// Whether one is under way.
    pub fn any(&self) -> bool {
        self.next().is_some()
    }

    pub(crate) fn set(&mut self, kind: SweepKind, place: Option<u32>) {
        self.0[kind.index()] = place;
    }

    /// Folds every place in.
    pub fn digest(&self, digest: &mut Digest) {
        for place in self.0 {
            digest.option(place.map(i64::from));
        }
    }
}

crate::image!(Sweeps([Option<u32>; 4]));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_tells_every_walk_and_its_place() {
        let hash = |kind: Option<(SweepKind, u32)>| {
            let mut sweeps = Sweeps::default();
            if let Some((kind, place)) = kind {
                sweeps.set(kind, Some(place));
            }
            let mut digest = Digest::default();
            sweeps.digest(&mut digest);
            digest.finish()
        };
        let walks = SweepKind::ALL.into_iter().flat_map(|kind| [(kind, 0), (kind, 1)]);
        let mut hashes: Vec<u64> = walks.map(Some).chain([None]).map(hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 2 * SweepKind::ALL.len() + 1);
    }
}
