//! A deterministic 64-bit hash of the state: the same on every machine, not meant against
//! attackers.

/// Folds words into a hash; the order counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(u64);

crate::image!(Digest(u64));

impl Default for Digest {
    fn default() -> Self {
        // The first digits of pi: any start that is not zero will do.
        Self(0x243F_6A88_85A3_08D3)
    }
}

impl Digest {
    /// Folds one word in.
    #[inline]
    pub fn word(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 29);
    }

    /// Folds a signed number in.
    #[inline]
    pub fn signed(&mut self, value: i64) {
        self.word(value.cast_unsigned());
    }

    /// Folds a wide number in, low half first.
    #[inline]
    pub fn wide(&mut self, value: i128) {
        let bits = value.cast_unsigned();
        self.word(u64::try_from(bits & u128::from(u64::MAX)).expect("masked"));
        self.word(u64::try_from(bits >> 64).expect("shifted"));
    }

    /// Folds a number or its absence in.
    #[inline]
    pub fn option(&mut self, value: Option<i64>) {
        self.word(u64::from(value.is_some()));
        self.signed(value.unwrap_or(0));
    }

    /// The hash so far.
    pub const fn finish(self) -> u64 {
        self.0
    }
}
