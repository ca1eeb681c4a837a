//! Records as bytes: fields packed into words, words laid into slots, and back.
//!
//! ```text
//! first slot    | seq | ts      | payload: 40 bytes             | kind flags aux crc |
//! continuation  | seq | payload: 48 bytes                       | kind flags aux crc |
//!               0     8         16                              56   57    58  60    64
//! ```
//!
//! Built from words held in registers, never from a struct of bytes that is copied by wide loads:
//! narrow stores under a wide load stall. `aux` carries the instrument of a record that has one.
#![forbid(unsafe_code)]

use crate::code::Code;
use crate::instrument::InstrumentId;
use crate::limits::{PRICE_DECIMALS, SLOTS_PER_RECORD_MAX};
use crate::order::{ClOrdId, Flags, OrdType, OrderEvent, OrderState, RequestKind, SweepKind, Tif};
use crate::settings::{LimitKey, Scope};
use crate::units::{Money, Price, Qty, Ratio, Side, Ts, write_decimal};
use arrayvec::ArrayVec;
use std::fmt;

/// One cache line of the log: eight little-endian words.
pub type Slot = [u64; 8];

/// A record: its first slot and its continuations.
pub type Slots = ArrayVec<Slot, SLOTS_PER_RECORD_MAX>;

/// The last record that one input causes; set on the record's first slot.
pub const FLAG_END: u8 = 1;
/// A continuation of the record before it.
pub const FLAG_CONT: u8 = 1 << 1;
/// The input's own time was behind the engine's and was moved up.
pub const FLAG_CLAMPED: u8 = 1 << 2;
/// An input: a group starts here.
pub const FLAG_INPUT: u8 = 1 << 3;

/// The flags' bits that are ours: the journal counts a record's slots in the others.
const FLAGS_MASK: u8 = 0x1f;

const FIRST_WORDS: usize = 5;
const MORE_WORDS: usize = 6;
/// Words of payload in the largest record.
pub const PAYLOAD_WORDS_MAX: usize = FIRST_WORDS + MORE_WORDS * (SLOTS_PER_RECORD_MAX - 1);

/// What stands around the payload of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Sequence number of the first slot.
    pub seq: u64,
    /// Domain time.
    pub ts: Ts,
    /// Number of the record's kind.
    pub kind: u8,
    /// `FLAG_*`.
    pub flags: u8,
}

/// Splits slots into records: each first slot with the continuations behind it.
pub fn records(slots: &[Slot]) -> impl Iterator<Item = &[Slot]> {
    slots.chunk_by(|_, next| next[7].to_le_bytes()[1] & FLAG_CONT != 0)
}

/// Slots that a payload of so many bytes needs.
pub const fn slots_for(bytes: usize) -> usize {
    let words = bytes.div_ceil(8);
    if words <= FIRST_WORDS { 1 } else { 1 + (words - FIRST_WORDS).div_ceil(MORE_WORDS) }
}

/// Packs fields, one behind the other, into the payload's words.
#[derive(Debug)]
pub struct Packer {
    words: [u64; PAYLOAD_WORDS_MAX],
    bytes: usize,
    instrument: InstrumentId,
}

impl Default for Packer {
    fn default() -> Self {
        Self { words: [0; PAYLOAD_WORDS_MAX], bytes: 0, instrument: InstrumentId::UNKNOWN }
    }
}

impl Packer {
    /// Appends the low `size` bytes (1 to 8) of `bits`; the others must be zero.
    #[inline(always)]
    pub fn put(&mut self, bits: u64, size: usize) {
        let (word, shift) = (self.bytes / 8, (self.bytes % 8) * 8);
        self.words[word] |= bits << shift;
        if shift + size * 8 > 64 {
            self.words[word + 1] |= bits >> (64 - shift);
        }
        self.bytes += size;
    }

    /// Lays the payload into slots; what they held is gone.
    #[inline(always)]
    pub fn finish(&self, head: Head, slots: &mut Slots) {
        slots.clear();
        let tail = u64::from(head.kind) | u64::from(self.instrument.0) << 16;
        let w = &self.words;
        let first = tail | u64::from(head.flags) << 8;
        slots.push([head.seq, to_word(head.ts.0), w[0], w[1], w[2], w[3], w[4], first]);
        let more = tail | u64::from(FLAG_CONT) << 8;
        let mut at = FIRST_WORDS;
        let count = slots_for(self.bytes);
        while slots.len() < count {
            let seq = head.seq + slots.len() as u64;
            slots.push([seq, w[at], w[at + 1], w[at + 2], w[at + 3], w[at + 4], w[at + 5], more]);
            at += MORE_WORDS;
        }
    }
}

/// Takes fields out again.
#[derive(Debug)]
pub struct Unpacker {
    words: [u64; PAYLOAD_WORDS_MAX],
    bytes: usize,
    end: usize,
    instrument: InstrumentId,
    /// Whether a field has asked for the instrument: none else may have one.
    instrument_taken: bool,
}

impl Default for Unpacker {
    fn default() -> Self {
        Self {
            words: [0; PAYLOAD_WORDS_MAX],
            bytes: 0,
            end: 0,
            instrument: InstrumentId::UNKNOWN,
            instrument_taken: false,
        }
    }
}

impl Unpacker {
    /// Takes up the payload of a record, into an unpacker that is new; its head. `None` if the
    /// slots do not belong together. In place: the payload is too large to be handed about.
    pub fn begin(&mut self, slots: &[Slot]) -> Option<Head> {
        let first = slots.first()?;
        if slots.len() > SLOTS_PER_RECORD_MAX {
            return None;
        }
        let [kind, flags, aux0, aux1, ..] = first[7].to_le_bytes();
        let flags = flags & FLAGS_MASK;
        if flags & FLAG_CONT != 0 {
            return None;
        }
        self.words[..FIRST_WORDS].copy_from_slice(&first[2..7]);
        let mut end = FIRST_WORDS;
        for (offset, slot) in slots.iter().enumerate().skip(1) {
            let [more_kind, more_flags, more_aux0, more_aux1, ..] = slot[7].to_le_bytes();
            let more_flags = more_flags & FLAGS_MASK;
            let same = (more_kind, more_aux0, more_aux1) == (kind, aux0, aux1);
            if !same || more_flags != FLAG_CONT || slot[0] != first[0].checked_add(offset as u64)? {
                return None;
            }
            self.words[end..end + MORE_WORDS].copy_from_slice(&slot[1..7]);
            end += MORE_WORDS;
        }
        self.end = end * 8;
        self.instrument = InstrumentId(u16::from_le_bytes([aux0, aux1]));
        Some(Head { seq: first[0], ts: Ts(from_word(first[1])), kind, flags })
    }

    /// The next `size` bytes (1 to 8). `None` past the end.
    #[inline(always)]
    pub fn take(&mut self, size: usize) -> Option<u64> {
        if self.bytes + size > self.end {
            return None;
        }
        let (word, shift) = (self.bytes / 8, (self.bytes % 8) * 8);
        let mut bits = self.words[word] >> shift;
        if shift + size * 8 > 64 {
            bits |= self.words[word + 1] << (64 - shift);
        }
        self.bytes += size;
        Some(if size == 8 { bits } else { bits & ((1 << (size * 8)) - 1) })
    }

    /// Whether there is nothing but the fields that were taken: everything behind the last one is
    /// zero and, if none was an instrument, `aux` names none; as a writer leaves it.
    pub fn rest_is_empty(&mut self) -> bool {
        if !self.instrument_taken && self.instrument != InstrumentId::UNKNOWN {
            return false;
        }
        while self.bytes < self.end {
            let size = (self.end - self.bytes).min(8 - self.bytes % 8);
            if self.take(size) != Some(0) {
                return false;
            }
        }
        true
    }
}

/// The bits of a signed word.
#[inline(always)]
pub const fn to_word(value: i64) -> u64 {
    value.cast_unsigned()
}

/// A signed word from its bits.
#[inline(always)]
pub const fn from_word(bits: u64) -> i64 {
    bits.cast_signed()
}

/// A field as a person or a JSON document shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Nothing there.
    Null,
    /// A yes or no.
    Bool(bool),
    /// A count or an id.
    Number(u64),
    /// A decimal, printed exactly.
    Decimal(String),
    /// A name.
    Name(&'static str),
    /// An order or request id.
    Id(ClOrdId),
    /// A time.
    Time(Ts),
    /// Something long that is only compared.
    Hex(u128),
    /// An instrument, by its place in the table.
    Instrument(InstrumentId),
    /// Words of a person or a venue.
    Text(String),
}

/// As a person reads it without the tables that names come from.
impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("none"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::Decimal(text) => f.write_str(text),
            Self::Name(name) => f.write_str(name),
            Self::Id(id) if id.source() == 0 => write!(f, "{}", id.counter()),
            Self::Id(id) => write!(f, "{}-{}", id.source(), id.counter()),
            Self::Time(ts) => write!(f, "{}ns", ts.0),
            Self::Hex(value) => write!(f, "{value:x}"),
            Self::Instrument(id) => write!(f, "#{}", id.0),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

/// A field of a record: how many bytes it takes, how it goes in and comes out, how it is shown.
pub trait Field: Sized {
    /// Bytes in the payload.
    const SIZE: usize;
    /// Appends it.
    fn pack(&self, packer: &mut Packer);
    /// Takes it out; `None` for bits that mean nothing.
    fn unpack(unpacker: &mut Unpacker) -> Option<Self>;
    /// For reports.
    fn show(&self) -> Shown;
}

macro_rules! word_field {
    ($type:ty, $size:literal, $to:expr, $from:expr, $show:expr) => {
        impl Field for $type {
            const SIZE: usize = $size;
            #[inline(always)]
            fn pack(&self, packer: &mut Packer) {
                let to: fn(&Self) -> u64 = $to;
                packer.put(to(self), $size);
            }
            #[inline(always)]
            fn unpack(unpacker: &mut Unpacker) -> Option<Self> {
                let from: fn(u64) -> Option<Self> = $from;
                from(unpacker.take($size)?)
            }
            fn show(&self) -> Shown {
                let show: fn(&Self) -> Shown = $show;
                show(self)
            }
        }
    };
}

/// The most negative word stands for "none"; no figure of the engine comes near it.
const NONE_WORD: i64 = i64::MIN;

macro_rules! signed_field {
    ($type:ident) => {
        word_field!($type, 8, |v| to_word(v.0), |b| Some($type(from_word(b))), |v| Shown::Decimal(
            v.to_string()
        ));
        word_field!(
            Option<$type>,
            8,
            |v| to_word(v.map_or(NONE_WORD, |v| v.0)),
            |b| Some(if from_word(b) == NONE_WORD { None } else { Some($type(from_word(b))) }),
            |v| v.map_or(Shown::Null, |v| Shown::Decimal(v.to_string()))
        );
    };
}

signed_field!(Price);
signed_field!(Qty);
signed_field!(Ratio);

word_field!(Ts, 8, |v| to_word(v.0), |b| Some(Ts(from_word(b))), |v| Shown::Time(*v));
word_field!(
    Option<Ts>,
    8,
    |v| to_word(v.map_or(NONE_WORD, |v| v.0)),
    |b| Some(if from_word(b) == NONE_WORD { None } else { Some(Ts(from_word(b))) }),
    |v| v.map_or(Shown::Null, Shown::Time)
);
word_field!(u64, 8, |v| *v, Some, |v| Shown::Number(*v));
word_field!(u32, 4, |v| u64::from(*v), |b| u32::try_from(b).ok(), |v| Shown::Number(u64::from(*v)));
word_field!(u16, 2, |v| u64::from(*v), |b| u16::try_from(b).ok(), |v| Shown::Number(u64::from(*v)));
word_field!(u8, 1, |v| u64::from(*v), |b| u8::try_from(b).ok(), |v| Shown::Number(u64::from(*v)));
word_field!(
    bool,
    1,
    |v| u64::from(*v),
    |b| match b {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    },
    |v| Shown::Bool(*v)
);
word_field!(ClOrdId, 8, |v| v.0, |b| Some(ClOrdId(b)), |v| v.some().map_or(Shown::Null, Shown::Id));
word_field!(Flags, 2, |v| u64::from(v.0), |b| u16::try_from(b).ok().map(Flags), |v| Shown::Number(
    u64::from(v.0)
));

macro_rules! enum_field {
    ($type:ident, $($variant:ident),*) => {
        word_field!(
            $type,
            1,
            |v| *v as u64,
            |b| {
                $(if b == $type::$variant as u64 { return Some($type::$variant); })*
                None
            },
            |v| Shown::Name(v.name())
        );
    };
}

enum_field!(Side, Buy, Sell);
enum_field!(OrdType, Market, Limit, Stop, StopLimit);
enum_field!(Tif, Day, Gtc, Ioc, Fok, Gtd);
enum_field!(RequestKind, Cancel, Replace);
enum_field!(Scope, Account, Instrument, Strategy);
enum_field!(SweepKind, Cancel, Retire, Overdue, Contingent);
word_field!(
    LimitKey,
    1,
    |v| *v as u64,
    |b| LimitKey::ALL.iter().copied().find(|key| *key as u64 == b),
    |v| Shown::Name(v.name())
);
word_field!(
    OrderState,
    1,
    |v| *v as u64,
    |b| OrderState::ALL.get(usize::try_from(b).ok()?).copied(),
    |v| Shown::Name(v.name())
);
word_field!(
    OrderEvent,
    1,
    |v| *v as u64,
    |b| OrderEvent::ALL.get(usize::try_from(b).ok()?).copied(),
    |v| Shown::Name(v.name())
);
word_field!(Code, 1, |v| *v as u64, |b| Code::from_u8(u8::try_from(b).ok()?), |v| Shown::Name(
    v.name()
));
word_field!(
    Option<Code>,
    1,
    |v| v.map_or(0, |code| code as u64),
    |b| if b == 0 { Some(None) } else { Code::from_u8(u8::try_from(b).ok()?).map(Some) },
    |v| v.map_or(Shown::Null, |code| Shown::Name(code.name()))
);
word_field!(
    Option<OrderEvent>,
    1,
    |v| v.map_or(0, |event| event as u64 + 1),
    |b| match b.checked_sub(1) {
        None => Some(None),
        Some(b) => OrderEvent::ALL.get(usize::try_from(b).ok()?).copied().map(Some),
    },
    |v| v.map_or(Shown::Null, |event| Shown::Name(event.name()))
);

/// Two words, low half first.
fn pack_wide(packer: &mut Packer, bits: u128) {
    let [low, high] = halves(bits);
    packer.put(low, 8);
    packer.put(high, 8);
}

fn halves(bits: u128) -> [u64; 2] {
    let low = u64::try_from(bits & u128::from(u64::MAX)).expect("masked");
    let high = u64::try_from(bits >> 64).expect("shifted");
    [low, high]
}

fn unpack_wide(unpacker: &mut Unpacker) -> Option<u128> {
    let low = unpacker.take(8)?;
    let high = unpacker.take(8)?;
    Some(u128::from(high) << 64 | u128::from(low))
}

impl Field for Money {
    const SIZE: usize = 16;
    fn pack(&self, packer: &mut Packer) {
        pack_wide(packer, self.0.cast_unsigned());
    }
    fn unpack(unpacker: &mut Unpacker) -> Option<Self> {
        Some(Self(unpack_wide(unpacker)?.cast_signed()))
    }
    fn show(&self) -> Shown {
        Shown::Decimal(self.to_string())
    }
}

/// The most negative amount stands for "none"; no balance comes near it.
impl Field for Option<Money> {
    const SIZE: usize = 16;
    fn pack(&self, packer: &mut Packer) {
        pack_wide(packer, self.map_or(i128::MIN, |money| money.0).cast_unsigned());
    }
    fn unpack(unpacker: &mut Unpacker) -> Option<Self> {
        let value = unpack_wide(unpacker)?.cast_signed();
        Some((value != i128::MIN).then_some(Money(value)))
    }
    fn show(&self) -> Shown {
        self.map_or(Shown::Null, |money| Shown::Decimal(money.to_string()))
    }
}

impl Field for u128 {
    const SIZE: usize = 16;
    fn pack(&self, packer: &mut Packer) {
        pack_wide(packer, *self);
    }
    fn unpack(unpacker: &mut Unpacker) -> Option<Self> {
        unpack_wide(unpacker)
    }
    fn show(&self) -> Shown {
        Shown::Hex(*self)
    }
}

/// The instrument of a record lies in `aux`, outside the payload.
impl Field for InstrumentId {
    const SIZE: usize = 0;
    #[inline(always)]
    fn pack(&self, packer: &mut Packer) {
        packer.instrument = *self;
    }
    #[inline(always)]
    fn unpack(unpacker: &mut Unpacker) -> Option<Self> {
        unpacker.instrument_taken = true;
        Some(unpacker.instrument)
    }
    fn show(&self) -> Shown {
        Shown::Instrument(*self)
    }
}

/// A measured figure or its limit, in 1e-9 of its unit, for people: 96 bits, cut at the ends of the
/// range. The rules compare the exact figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Measure(i128);

impl Measure {
    const MAX: i128 = (1 << 95) - 1;

    /// From a number in 1e-9.
    pub fn new(nanos: i128) -> Self {
        Self(nanos.clamp(-Self::MAX, Self::MAX))
    }

    /// In 1e-9.
    pub const fn nanos(self) -> i128 {
        self.0
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, self.0, PRICE_DECIMALS)
    }
}

impl Field for Measure {
    const SIZE: usize = 12;
    fn pack(&self, packer: &mut Packer) {
        let [low, high] = halves(self.0.cast_unsigned());
        packer.put(low, 8);
        packer.put(high & u64::from(u32::MAX), 4);
    }
    fn unpack(unpacker: &mut Unpacker) -> Option<Self> {
        let low = unpacker.take(8)?;
        let high = u32::try_from(unpacker.take(4)?).ok()?.cast_signed();
        Some(Self(i128::from(high) << 64 | i128::from(low)))
    }
    fn show(&self) -> Shown {
        Shown::Decimal(self.to_string())
    }
}

/// At most `N` bytes of UTF-8.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Chars<const N: usize> {
    len: u16,
    bytes: [u8; N],
}

impl<const N: usize> Chars<N> {
    /// As much of `text` as fits, cut between characters, and the rest.
    pub fn split(text: &str) -> (Self, &str) {
        let end = text.floor_char_boundary(N);
        let (head, rest) = text.split_at(end);
        let mut bytes = [0; N];
        bytes[..head.len()].copy_from_slice(head.as_bytes());
        let len = u16::try_from(head.len()).expect("N is small");
        (Self { len, bytes }, rest)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).expect("checked when it was made")
    }
}

impl<const N: usize> fmt::Debug for Chars<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<const N: usize> Field for Chars<N> {
    const SIZE: usize = 2 + N;
    fn pack(&self, packer: &mut Packer) {
        packer.put(u64::from(self.len), 2);
        for chunk in self.bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            packer.put(u64::from_le_bytes(word), chunk.len());
        }
    }
    fn unpack(unpacker: &mut Unpacker) -> Option<Self> {
        let len = u16::try_from(unpacker.take(2)?).ok()?;
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            let word = unpacker.take(chunk.len())?.to_le_bytes();
            let size = chunk.len();
            chunk.copy_from_slice(&word[..size]);
        }
        let (text, rest) = bytes.split_at_checked(usize::from(len))?;
        std::str::from_utf8(text).ok()?;
        rest.iter().all(|byte| *byte == 0).then_some(Self { len, bytes })
    }
    fn show(&self) -> Shown {
        Shown::Text(self.as_str().to_owned())
    }
}

/// Defines an enum of records: for each kind its number, its name and its fields in the order in
/// which they lie in the payload; and from that one list the encoding, the decoding and the
/// showing.
macro_rules! record_kinds {
    (
        $(#[$enum_doc:meta])*
        pub enum $Enum:ident {
            $(
                $(#[$doc:meta])*
                $Name:ident = $kind:literal $text:literal {
                    $( $(#[$field_doc:meta])* $field:ident : $type:ty ),* $(,)?
                },
            )*
        }
    ) => {
        $(#[$enum_doc])*
        #[allow(missing_docs, reason = "a field means what FIX means by its name")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $Enum {
            $( $(#[$doc])* $Name { $( $(#[$field_doc])* $field : $type ),* }, )*
        }

        impl $Enum {
            /// Every kind: number, name, bytes of payload.
            pub const KINDS: &'static [(u8, &'static str, usize)] = &[
                $( ($kind, $text, 0 $( + <$type as $crate::codec::Field>::SIZE )*), )*
            ];

            /// The kind's number in the log.
            pub const fn kind(&self) -> u8 {
                match self { $( Self::$Name { .. } => $kind, )* }
            }

            /// The kind's name in reports.
            pub const fn name(&self) -> &'static str {
                match self { $( Self::$Name { .. } => $text, )* }
            }

            /// Bytes of payload.
            pub const fn size(&self) -> usize {
                match self {
                    $( Self::$Name { .. } => 0 $( + <$type as $crate::codec::Field>::SIZE )*, )*
                }
            }

            /// Appends the fields.
            #[inline(always)]
            pub fn pack(&self, packer: &mut $crate::codec::Packer) {
                match self {
                    $( Self::$Name { $($field),* } => {
                        $( $crate::codec::Field::pack($field, packer); )*
                    } )*
                }
                let _ = packer;
            }

            /// Takes the fields of a kind out. `None` for an unknown kind or bits that mean
            /// nothing.
            pub fn unpack(kind: u8, unpacker: &mut $crate::codec::Unpacker) -> Option<Self> {
                match kind {
                    $( $kind => Some(Self::$Name {
                        $( $field: <$type as $crate::codec::Field>::unpack(unpacker)?, )*
                    }), )*
                    _ => None,
                }
            }

            /// Calls `show` with the name and the value of every field.
            pub fn show(&self, show: &mut dyn FnMut(&'static str, $crate::codec::Shown)) {
                match self {
                    $( Self::$Name { $($field),* } => {
                        $( show(stringify!($field), $crate::codec::Field::show($field)); )*
                    } )*
                }
                let _ = show;
            }
        }

        /// The kind and its fields, for a person.
        impl std::fmt::Display for $Enum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())?;
                let mut outcome = Ok(());
                self.show(&mut |name, shown| {
                    if shown != $crate::codec::Shown::Null && outcome.is_ok() {
                        outcome = write!(f, " {name}={shown}");
                    }
                });
                outcome
            }
        }

        // No two kinds share a number.
        const _: () = {
            let kinds = $Enum::KINDS;
            let mut index = 1;
            while index < kinds.len() {
                assert!(kinds[index - 1].0 < kinds[index].0);
                index += 1;
            }
        };
    };
}

pub(crate) use record_kinds;
