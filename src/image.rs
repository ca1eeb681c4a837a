//! A value as bytes and back: what a snapshot is made of. Equal values give equal bytes, and no
//! other bytes are read as one: every number has one form.
//!
//! A plain value lists its fields in [`image!`](crate::image!), which does not compile while one is
//! missing. A table, whose size and lookups follow from the settings, writes what cannot be
//! computed again, and is restored into an empty one; it takes itself apart field by field, to the
//! same end.
//!
//! Numbers are in base 128, the low digit first, signed ones folded (0, -1, 1, -2, ...): most
//! figures of a state are small or zero. Any bytes may be read: they are a stranger's.

use std::collections::BTreeMap;
use std::fmt;

/// What has an image.
pub trait Image: Sized {
    /// Appends its bytes.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads it back.
    ///
    /// # Errors
    /// [`BadImage`]: the bytes are no image of one, or end too early.
    fn read(from: &mut Bytes<'_>) -> Result<Self, BadImage>;
}

/// Bytes that are no image of what was to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadImage {
    /// Bytes read before it was found out.
    pub offset: usize,
    /// What is wrong.
    pub what: &'static str,
}

impl fmt::Display for BadImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}", self.offset, self.what)
    }
}

impl std::error::Error for BadImage {}

/// Bytes that are read from the front.
#[derive(Clone, Debug)]
pub struct Bytes<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Bytes<'a> {
    /// All of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// Bytes that have not been read.
    pub const fn rest(&self) -> usize {
        self.bytes.len() - self.offset
    }

    /// What is wrong, here.
    pub const fn bad(&self, what: &'static str) -> BadImage {
        BadImage { offset: self.offset, what }
    }

    /// Refuses what does not hold.
    ///
    /// # Errors
    /// [`BadImage`] unless it `holds`.
    pub const fn require(&self, holds: bool, what: &'static str) -> Result<(), BadImage> {
        if holds { Ok(()) } else { Err(self.bad(what)) }
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`BadImage`]: there are not so many.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], BadImage> {
        let rest = &self.bytes[self.offset..];
        let taken = rest.get(..count).ok_or(self.bad("it ends too early"))?;
        self.offset += count;
        Ok(taken)
    }

    /// The next number, which must not be above `max`: how many of something follow.
    ///
    /// # Errors
    /// [`BadImage`]: it is, or there is none.
    pub fn count(&mut self, max: usize) -> Result<usize, BadImage> {
        let count = usize::read(self)?;
        self.require(count <= max, "more than there is room for")?;
        Ok(count)
    }
}

/// Bits of a number in one byte; the eighth says that more follow.
const DIGIT_BITS: u32 = 7;
const MORE: u8 = 1 << DIGIT_BITS;

fn write_digits(mut number: u128, out: &mut Vec<u8>) {
    loop {
        let digit = u8::try_from(number & u128::from(MORE - 1)).expect("masked");
        number >>= DIGIT_BITS;
        if number == 0 {
            return out.push(digit);
        }
        out.push(digit | MORE);
    }
}

fn read_digits(from: &mut Bytes<'_>) -> Result<u128, BadImage> {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = from.take(1)?[0];
        let digit = u128::from(byte & (MORE - 1));
        from.require(shift < u128::BITS, "a number of too many digits")?;
        let placed = digit << shift;
        from.require(placed >> shift == digit, "a number past its range")?;
        number |= placed;
        if byte & MORE == 0 {
            // A leading zero would be a second form of the same number.
            from.require(digit != 0 || shift == 0, "a number with a leading zero")?;
            return Ok(number);
        }
        shift += DIGIT_BITS;
    }
}

macro_rules! unsigned {
    ($($type:ty),*) => {$(
        impl Image for $type {
            fn write(&self, out: &mut Vec<u8>) {
                write_digits(u128::try_from(*self).expect("it is wider"), out);
            }

            fn read(from: &mut Bytes<'_>) -> Result<Self, BadImage> {
                let number = read_digits(from)?;
                Self::try_from(number).map_err(|_| from.bad("a number past its range"))
            }
        }
    )*};
}

unsigned!(u8, u16, u32, u64, usize);

macro_rules! signed {
    ($($type:ty),*) => {$(
        impl Image for $type {
            fn write(&self, out: &mut Vec<u8>) {
                let wide = i128::from(*self);
                write_digits(((wide << 1) ^ (wide >> 127)).cast_unsigned(), out);
            }

            fn read(from: &mut Bytes<'_>) -> Result<Self, BadImage> {
                let folded = read_digits(from)?;
                let half = (folded >> 1).cast_signed();
                let wide = if folded & 1 == 0 { half } else { !half };
                Self::try_from(wide).map_err(|_| from.bad("a number past its range"))
            }
        }
    )*};
}

signed!(i32, i64, i128);

/// A hash: every bit is as likely as any other, so that digits would only take more room.
impl Image for u128 {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, BadImage> {
        let bytes = from.take(size_of::<Self>())?;
        Ok(Self::from_le_bytes(bytes.try_into().expect("so many were taken")))
    }
}

impl Image for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, BadImage> {
        match from.take(1)?[0] {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(from.bad("neither yes nor no")),
        }
    }
}

impl<T: Image> Image for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_some().write(out);
        if let Some(value) = self {
            value.write(out);
        }
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, BadImage> {
        Ok(if bool::read(from)? { Some(T::read(from)?) } else { None })
    }
}

impl<T: Image + Copy + Default, const N: usize> Image for [T; N] {
    fn write(&self, out: &mut Vec<u8>) {
        write_all(self, out);
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, BadImage> {
        let mut items = [T::default(); N];
        read_all(&mut items, from)?;
        Ok(items)
    }
}

impl Image for String {
    fn write(&self, out: &mut Vec<u8>) {
        self.len().write(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, BadImage> {
        let size = from.count(from.rest())?;
        let text = std::str::from_utf8(from.take(size)?);
        text.map(str::to_owned).map_err(|_| from.bad("a text that is none"))
    }
}

impl Image for Box<str> {
    fn write(&self, out: &mut Vec<u8>) {
        self.len().write(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, BadImage> {
        String::read(from).map(Self::from)
    }
}

macro_rules! tuple {
    ($($part:ident),*) => {
        impl<$($part: Image),*> Image for ($($part,)*) {
            #[expect(non_snake_case, reason = "a part is named as its type")]
            fn write(&self, out: &mut Vec<u8>) {
                let ($($part,)*) = self;
                $($part.write(out);)*
            }

            fn read(from: &mut Bytes<'_>) -> Result<Self, BadImage> {
                Ok(($($part::read(from)?,)*))
            }
        }
    };
}

tuple!(A, B);
tuple!(A, B, C);

impl<K: Image + Ord, V: Image> Image for BTreeMap<K, V> {
    fn write(&self, out: &mut Vec<u8>) {
        self.len().write(out);
        for (key, value) in self {
            key.write(out);
            value.write(out);
        }
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, BadImage> {
        let mut map = Self::new();
        // Each takes a byte at least.
        for _ in 0..from.count(from.rest())? {
            let (key, value) = (K::read(from)?, V::read(from)?);
            let is_next = map.last_key_value().is_none_or(|(last, _)| *last < key);
            from.require(is_next, "keys out of order")?;
            map.insert(key, value);
        }
        Ok(map)
    }
}

/// Appends every item. Their number is not written: it follows from the settings.
pub fn write_all<T: Image>(items: &[T], out: &mut Vec<u8>) {
    for item in items {
        item.write(out);
    }
}

/// Reads as many items as there is room for.
///
/// # Errors
/// The first that is none.
pub fn read_all<T: Image>(items: &mut [T], from: &mut Bytes<'_>) -> Result<(), BadImage> {
    for item in items {
        *item = T::read(from)?;
    }
    Ok(())
}

/// Gives a type its image: `image!(Type { every, field })`, `image!(Type(wrapped))`, or
/// `image!(enum Type { Every, Variant })`, whose number is what is written. It does not compile
/// while one is missing.
#[macro_export]
macro_rules! image {
    ($type:ident { $($field:ident),* $(,)? }) => {
        impl $crate::image::Image for $type {
            fn write(&self, out: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $($crate::image::Image::write($field, out);)*
            }

            fn read(
                from: &mut $crate::image::Bytes<'_>,
            ) -> Result<Self, $crate::image::BadImage> {
                Ok(Self { $($field: $crate::image::Image::read(from)?),* })
            }
        }
    };
    ($type:ident($wrapped:ty)) => {
        impl $crate::image::Image for $type {
            fn write(&self, out: &mut Vec<u8>) {
                <$wrapped as $crate::image::Image>::write(&self.0, out);
            }

            fn read(
                from: &mut $crate::image::Bytes<'_>,
            ) -> Result<Self, $crate::image::BadImage> {
                Ok(Self(<$wrapped as $crate::image::Image>::read(from)?))
            }
        }
    };
    (enum $type:ident { $($variant:ident),* $(,)? }) => {
        impl $crate::image::Image for $type {
            fn write(&self, out: &mut Vec<u8>) {
                out.push(match self { $(Self::$variant => Self::$variant as u8),* });
            }

            fn read(
                from: &mut $crate::image::Bytes<'_>,
            ) -> Result<Self, $crate::image::BadImage> {
                let number = from.take(1)?[0];
                $(if number == Self::$variant as u8 { return Ok(Self::$variant); })*
                Err(from.bad(concat!("no ", stringify!($type))))
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<T: Image>(value: &T) -> Vec<u8> {
        let mut out = Vec::new();
        value.write(&mut out);
        out
    }

    fn read<T: Image>(bytes: &[u8]) -> Result<T, BadImage> {
        let mut from = Bytes::new(bytes);
        let value = T::read(&mut from)?;
        from.require(from.rest() == 0, "more")?;
        Ok(value)
    }

    #[test]
    fn numbers_come_back_and_small_ones_are_small() {
        for wide in [0, 1, -1, 63, -64, 64, i128::MAX, i128::MIN, i128::MAX - 1] {
            assert_eq!(read(&bytes(&wide)), Ok(wide));
            let short = if (-64..64).contains(&wide) { 1..2 } else { 2..20 };
            assert!(short.contains(&bytes(&wide).len()), "{wide}");
        }
        for number in [0, 127, 128, u64::MAX] {
            assert_eq!(read(&bytes(&number)), Ok(number));
        }
        for number in [i64::MIN, i64::MAX] {
            assert_eq!(read(&bytes(&number)), Ok(number));
        }
        assert_eq!(read(&bytes(&u128::MAX)), Ok(u128::MAX));
    }

    #[test]
    fn a_number_has_one_form_and_a_range() {
        assert_eq!(
            read::<u8>(&[0x81, 0]),
            Err(BadImage { offset: 2, what: "a number with a leading zero" })
        );
        assert!(read::<u8>(&bytes(&256_u64)).is_err());
        assert!(read::<i32>(&bytes(&(i64::from(i32::MAX) + 1))).is_err());
        assert!(read::<i64>(&bytes(&(i128::from(i64::MIN) - 1))).is_err());
        // Nineteen digits are 133 bits: the last must not push any over the edge, or go on.
        assert!(read::<i128>(&[[0xff_u8; 18].as_slice(), &[0x04]].concat()).is_err());
        assert!(read::<i128>(&[0xff; 40]).is_err());
        assert_eq!(read::<u64>(&[0x80]), Err(BadImage { offset: 1, what: "it ends too early" }));
        assert!(read::<bool>(&[2]).is_err());
    }

    /// A length that the bytes do not have takes no memory.
    #[test]
    fn texts_are_as_long_as_they_are() {
        let text = "the text".to_owned();
        assert_eq!(read(&bytes(&text)), Ok(text));
        let long = [bytes(&usize::MAX), b"short".to_vec()].concat();
        assert!(read::<String>(&long).is_err());
        assert!(read::<String>(&[1, 0xff]).is_err());
    }
}
