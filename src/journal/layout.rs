//! The log format on one page: every size, offset, flag and name of the log that lies on disk. What
//! lies beside it has a page of its own: snapshots `snapshot.rs`, the note of what is archived
//! `archived.rs`.
//!
//! A log is a directory. All numbers are little-endian.
//!
//! ```text
//! DIR/                 mode 0700
//!   00000001.seg       segments of one size each, allocated whole, files 0600
//!   00000002.seg
//!   00000001.seal      what a closed segment was, chained to what those before it were
//!   synced             the durable mark: two sectors, written in turn
//!   lock               locked by the one writer
//!   spare              the next segment, allocated ahead; its name makes it no part of the log
//!   archived           where the segments are that are not here: see `archived.rs`; `archived.tmp`
//!                      while it is written
//!   00000002-000004160.0.cut   what a recovery cut off: segment, byte offset, number
//!   00000000000001000003.snap  no part of the log: see `snapshot.rs`; `snap.tmp` in the making
//!
//! segment:  | header page, 4096 bytes | slot | slot | slot | ...    | zeros to the end |
//!
//! slot, 64 bytes:
//!   0       8       16                              56   57    58     60      64
//!   | seq   | ts    | payload, 40 bytes             |kind|flags| aux  | crc   |   first slot
//!   | seq   | payload, 48 bytes                     |kind|flags| aux  | crc   |   continuation
//!
//!   seq    of every slot, from 1, one more than the slot before; a slot of zeros is none
//!   flags  1 END   (first slot) the last record of the group that one input caused
//!          2 CONT  the slot continues the record before it
//!          4 CLAMPED  the input's time went back and was clamped
//!          8 INPUT    the record is an input: it opens a group
//!          bits 5-7 LEFT: slots of the record that still follow this one; filled in by the writer,
//!          so that half a record is never taken for a whole one
//!   aux    the record's own: see `codec.rs`
//!   crc    CRC-32C of bytes 0-59 and then of the previous slot's crc: see `crc.rs`.
//!          The first slot of a segment follows the crc of the segment's header.
//!
//! mark slot, kind 255, written by the journal alone; it repeats the last seq and takes none:
//!   0       8            16        24        32        40      48      56         64
//!   | seq   | generation | synced  | segment | offset  | epoch | 0     | as above |
//!   "everything before `offset` of `segment` was on the disk before this slot was written";
//!   backs up the side file, and fills the sector in front of a sync.
//!
//! segment header, 64 bytes, the rest of its page is zero:
//!   0       8       12      16     24      32       40      48     52     60      64
//!   | magic |format |decide | id   | epoch | size   |first_ |prev_ | 0    | crc   |
//!   |TRADELOG|vers. |version|      |       | bytes  |seq    |crc   |      |       |
//!   id counts from 1; epoch grows by one each time a writer takes the log up again; prev_crc is
//!   the crc of the last slot of the previous segment (0 in the first); crc follows 0.
//!
//! side file `synced`, two sectors of 512 bytes, each:
//!   0        8            16      24        32       40      48     60      64       512
//!   | magic  | generation | seq   | segment | offset | epoch | 0    | crc   | zeros  |
//!   |TRADEMRK|  the sector is generation % 2                  crc follows 0
//!
//! seal of segment N, text: 64 digits 0-9a-f of SHA-256 and a line feed, 65 bytes, over
//!   | the 65 bytes of the seal of N-1 (nothing in front of the first) | the whole file of N |
//!   cat 00000001.seal 00000002.seg | sha256sum          is what 00000002.seal says
//! ```
//!
//! A record never straddles two segments: a segment is closed when the next record does not fit
//! whole, its tail stays zero, and the next header's `first_seq` and `prev_crc` take up the chain.
//!
//! A log may begin with a later segment than 1: the file `archived` says then where the ones before
//! are, and the seal of the last of them stays, since the next is chained to it. See `archived.rs`.
//!
//! A segment is closed when the next is begun, when the log is closed, and when a recovery is done
//! with it: it never changes again. It is sealed once it is on the disk, name and all, and those
//! before it are sealed: so a seal is a mark, too, for all of the log up to the end of its segment.
#![forbid(unsafe_code)]

pub use crate::codec::{FLAG_CLAMPED, FLAG_CONT, FLAG_END, FLAG_INPUT, Slot};
use crate::journal::crc;
use crate::limits::{SLOT_SIZE, SLOTS_PER_RECORD_MAX};
use std::fmt;

/// Version of everything on this page. A change of it comes with a golden file.
pub const FORMAT_VERSION: u32 = 1;
/// First word of a segment.
pub const SEGMENT_MAGIC: u64 = u64::from_le_bytes(*b"TRADELOG");
/// First word of a sector of the side file.
pub const MARK_MAGIC: u64 = u64::from_le_bytes(*b"TRADEMRK");

/// Bytes of a segment's header: one page, so that slots start on a page.
pub const HEADER_SIZE: u64 = 4_096;
/// Segments are whole pages.
pub const PAGE_SIZE: u64 = 4_096;
/// What a disk writes whole or not at all.
pub const SECTOR_SIZE: u64 = 512;
/// Smallest segment: the header and one page of slots. Configurations are held to the larger
/// [`SEGMENT_SIZE_MIN`](crate::limits::SEGMENT_SIZE_MIN).
pub const SEGMENT_SIZE_FLOOR: u64 = HEADER_SIZE + PAGE_SIZE;
/// Largest segment: keeps every offset inside `i64`. What a disk can hold is far less.
pub const SEGMENT_SIZE_CEILING: u64 = 1 << 56;
/// Bytes of a slot, as file offsets count them.
pub const SLOT_BYTES: u64 = 64;

/// Name of the side file with the durable mark.
pub const SYNCED_NAME: &str = "synced";
/// Bytes of a seal's file.
pub const SEAL_SIZE: usize = 2 * SEAL_DIGEST_SIZE + 1;
const SEAL_DIGEST_SIZE: usize = 32;
/// Name of the lock file.
pub const LOCK_NAME: &str = "lock";
/// Name of the segment that is allocated ahead.
pub const SPARE_NAME: &str = "spare";
/// Name of the note that says where archived segments are.
pub const ARCHIVED_NAME: &str = "archived";
/// Name of one that is being written.
pub const ARCHIVED_TEMPORARY_NAME: &str = "archived.tmp";
/// Id of the first segment.
pub const SEGMENT_ID_FIRST: u64 = 1;
/// Epoch of a new log.
pub const EPOCH_FIRST: u64 = 1;
/// Mode of the directory; wider is refused.
pub const DIR_MODE: u32 = 0o700;
/// Mode of every file; wider is refused.
pub const FILE_MODE: u32 = 0o600;

/// Every flag there is; another bit is damage.
pub const FLAGS_ALL: u8 = FLAG_END | FLAG_CONT | FLAG_CLAMPED | FLAG_INPUT;
/// Kind of the journal's own mark slots. No record of the engine uses it.
pub const KIND_MARK: u8 = 255;

const _: () = {
    assert!(size_of::<Slot>() == SLOT_SIZE);
    assert!(SLOT_SIZE == 64 && SLOT_BYTES == 64);
    assert!(HEADER_SIZE.is_multiple_of(PAGE_SIZE) && HEADER_SIZE.is_multiple_of(SLOT_BYTES));
    assert!(PAGE_SIZE.is_multiple_of(SECTOR_SIZE) && SECTOR_SIZE.is_multiple_of(SLOT_BYTES));
    // The engine's flags are the format's, and leave the bits of LEFT free.
    assert!(FLAG_END == 1 && FLAG_CONT == 2 && FLAG_CLAMPED == 4 && FLAG_INPUT == 8);
    assert!(FLAGS_ALL & LEFT_MASK == 0);
    // The longest record fits the smallest segment, and the slots left fit their bits.
    assert!(SLOTS_PER_RECORD_MAX as u64 * SLOT_BYTES <= SEGMENT_SIZE_FLOOR - HEADER_SIZE);
    assert!(SLOTS_PER_RECORD_MAX - 1 <= (LEFT_MASK >> LEFT_SHIFT) as usize);
    assert!(crate::limits::SEGMENT_SIZE_MIN >= SEGMENT_SIZE_FLOOR);
    assert!(crate::limits::SEGMENT_SIZE.is_multiple_of(PAGE_SIZE));
};

const FLAGS_SHIFT: u32 = 8;
/// The bits of the flags' byte that count the slots left.
const LEFT_MASK: u8 = 0xe0;
const LEFT_SHIFT: u32 = 5;
const CRC_SHIFT: u32 = 32;
/// What the engine fills in of word 7: kind, flags and aux.
const CONTENT_MASK: u64 = 0xffff_1fff;

/// Sequence number of the slot; 0 for a slot never written.
#[inline]
pub const fn seq(slot: &Slot) -> u64 {
    slot[0]
}

/// Domain time of the record, ns since the Unix epoch. Of a first slot only.
#[inline]
pub const fn ts(slot: &Slot) -> i64 {
    slot[1].cast_signed()
}

/// What the record says; 0 for a slot never written.
#[inline]
pub const fn kind(slot: &Slot) -> u8 {
    slot[7].to_le_bytes()[0]
}

/// The `FLAG_` bits.
#[inline]
pub const fn flags(slot: &Slot) -> u8 {
    slot[7].to_le_bytes()[1] & !LEFT_MASK
}

/// Whether the slot continues a record.
#[inline]
pub const fn is_cont(slot: &Slot) -> bool {
    flags(slot) & FLAG_CONT != 0
}

/// Slots of the record that follow this one, as the writer counted them.
#[inline]
pub const fn left(slot: &Slot) -> u8 {
    (slot[7].to_le_bytes()[1] & LEFT_MASK) >> LEFT_SHIFT
}

/// The record's own two bytes.
#[inline]
pub const fn aux(slot: &Slot) -> u16 {
    let bytes = slot[7].to_le_bytes();
    u16::from_le_bytes([bytes[2], bytes[3]])
}

/// The stored checksum.
#[inline]
pub const fn crc(slot: &Slot) -> u32 {
    // No bytes: put together one by one, they cost a reader a tenth of its time.
    (slot[7] >> CRC_SHIFT) as u32
}

/// The slot with this checksum.
#[inline]
pub const fn with_crc(slot: &Slot, crc: u32) -> Slot {
    let mut sealed = *slot;
    sealed[7] = (sealed[7] & 0xffff_ffff) | (widen(crc) << CRC_SHIFT);
    sealed
}

/// The slot as its maker filled it: without what the writer adds, LEFT and checksum.
#[inline]
pub const fn content(slot: &Slot) -> Slot {
    let mut bare = *slot;
    bare[7] &= CONTENT_MASK;
    bare
}

/// The slot as it goes to the log: LEFT set, checksum chained to `prev_crc`.
#[inline]
pub(super) fn sealed(slot: &Slot, left: u8, prev_crc: u32) -> Slot {
    let mut counted = content(slot);
    counted[7] |= u64::from(left << LEFT_SHIFT) << FLAGS_SHIFT;
    with_crc(&counted, crc::chained(&counted, prev_crc))
}

/// Word 7 of a slot of this kind and these flags, aux 0.
#[inline]
pub const fn kind_and_flags(kind: u8, flags: u8) -> u64 {
    u64::from_le_bytes([kind, flags, 0, 0, 0, 0, 0, 0])
}

/// The slot's bytes, as they lie on disk.
#[inline]
pub fn to_bytes(slot: &Slot) -> [u8; SLOT_SIZE] {
    let mut bytes = [0; SLOT_SIZE];
    for (eight_bytes, word) in bytes.chunks_exact_mut(8).zip(slot) {
        eight_bytes.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// The slot that lies in these bytes; any bytes are one.
#[inline]
pub fn from_bytes(bytes: &[u8; SLOT_SIZE]) -> Slot {
    let mut slot = [0; 8];
    for (word, eight_bytes) in slot.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(eight_bytes.try_into().expect("a chunk has eight bytes"));
    }
    slot
}

/// Name of segment `id`.
pub fn segment_name(id: u64) -> String {
    format!("{id:08}.seg")
}

/// The id of the segment that a file of this name holds, if it is one.
pub fn segment_id_of(name: &str) -> Option<u64> {
    let id = name.strip_suffix(".seg")?.parse().ok()?;
    (segment_name(id) == name).then_some(id)
}

/// Name of the seal of segment `id`.
pub fn seal_name(id: u64) -> String {
    format!("{id:08}.seal")
}

/// The id of the segment that a file of this name seals, if it is one.
pub fn seal_id_of(name: &str) -> Option<u64> {
    let id = name.strip_suffix(".seal")?.parse().ok()?;
    (seal_name(id) == name).then_some(id)
}

/// How the name of a file with what was cut ends.
pub const CUT_SUFFIX: &str = ".cut";

/// Name of the `number`th file with what was cut from `offset` of segment `id`.
pub fn cut_name(id: u64, offset: u64, number: u32) -> String {
    format!("{id:08}-{offset:09}.{number}{CUT_SUFFIX}")
}

/// A place in the log: a byte offset in a segment. Ordered as the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Id of the segment, from 1.
    pub segment: u64,
    /// Byte offset in its file.
    pub offset: u64,
}

/// What a segment and all before it were: the root of the log up to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal(pub [u8; SEAL_DIGEST_SIZE]);

impl Seal {
    /// The seal's file.
    pub fn encode(&self) -> [u8; SEAL_SIZE] {
        let text = format!("{self}\n");
        text.into_bytes().try_into().expect("two digits a byte and a line feed")
    }

    /// The seal that a file of these bytes is, or nothing if it is not whole.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        text.strip_suffix('\n')?.parse().ok()
    }
}

impl fmt::Display for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for Seal {
    type Err = String;

    /// From its 64 hexadecimal digits, lower case.
    fn from_str(text: &str) -> Result<Self, String> {
        let digit = |at: u8| match at {
            b'0'..=b'9' => Some(at - b'0'),
            b'a'..=b'f' => Some(at - b'a' + 10),
            _ => None,
        };
        let digits: Option<Vec<u8>> = text.bytes().map(digit).collect();
        let digits = digits.filter(|digits| digits.len() == 2 * SEAL_DIGEST_SIZE);
        let digits = digits.ok_or("expected 64 hexadecimal digits, 0-9 and a-f")?;
        let mut bytes = [0; SEAL_DIGEST_SIZE];
        for (byte, two) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = two[0] << 4 | two[1];
        }
        Ok(Self(bytes))
    }
}

/// What is wrong with a piece of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing but zeros where a record is due.
    Empty,
    /// The checksum does not fit the bytes, or the slot does not follow its predecessor.
    Crc {
        /// As stored.
        found: u32,
        /// As computed from the bytes and the predecessor.
        expected: u32,
    },
    /// The checksum fits, the sequence number does not: the writer was wrong.
    Seq {
        /// As stored.
        found: u64,
        /// One more than the slot before.
        expected: u64,
    },
    /// The checksum fits, but kind, flags or reserved bytes are none of ours. Holds kind and flags.
    Unknown {
        /// Kind, byte 56.
        kind: u8,
        /// Flags, byte 57.
        flags: u8,
    },
    /// A record stops before its last slot.
    Incomplete {
        /// Slots that are missing.
        missing: u8,
    },
    /// Bytes that are not zero behind the last record of a segment.
    Stray,
    /// The file is shorter than its header says.
    Short {
        /// Bytes of the file.
        found: u64,
        /// Bytes it should have.
        expected: u64,
    },
    /// The file does not begin as a segment does.
    Magic {
        /// Its first eight bytes.
        found: u64,
    },
    /// A segment of another format version.
    Version {
        /// As stored.
        found: u32,
    },
    /// The header's checksum fits, but a figure in it is impossible.
    Header,
    /// The next segment is not there, and a later one is.
    Gap {
        /// Id of the segment that is not there.
        segment: u64,
    },
    /// The next segment does not take up the chain where this one ends.
    Link {
        /// Its first sequence number.
        found: u64,
        /// The one that is due.
        expected: u64,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => write!(f, "nothing but zeros where a record is due"),
            Self::Crc { found, expected } => {
                write!(f, "checksum found {found:#010x}, expected {expected:#010x}")
            }
            Self::Seq { found, expected } => {
                write!(f, "sequence number found {found}, expected {expected}")
            }
            Self::Unknown { kind, flags } => {
                write!(f, "kind {kind} with flags {flags:#04x} is no slot of this format")
            }
            Self::Incomplete { missing } => write!(f, "the record lacks its last {missing} slots"),
            Self::Stray => write!(f, "bytes that are not zero behind the last record"),
            Self::Short { found, expected } => {
                write!(f, "the file has {found} bytes, expected {expected}")
            }
            Self::Magic { found } => write!(
                f,
                "not a log segment: it begins with {found:#018x}, expected {SEGMENT_MAGIC:#018x}"
            ),
            Self::Version { found } => {
                write!(f, "log format version found {found}, expected {FORMAT_VERSION}")
            }
            Self::Header => write!(f, "the header holds an impossible figure"),
            Self::Gap { segment } => {
                write!(f, "segment {segment} is not there, though a later one is")
            }
            Self::Link { found, expected } => {
                write!(f, "the next segment starts at record {found}, expected {expected}")
            }
        }
    }
}

/// The figures of a segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Version of the engine's decisions that wrote the segment.
    pub decide_version: u32,
    /// Its place in the log, from 1.
    pub segment_id: u64,
    /// Which run of a writer made it, from 1.
    pub epoch: u64,
    /// Bytes of the file, header included.
    pub segment_size: u64,
    /// Sequence number of the first slot, whether written or not.
    pub first_seq: u64,
    /// Checksum of the last slot of the previous segment; 0 in the first segment.
    pub prev_crc: u32,
}

impl SegmentHeader {
    /// The header's words, checksum included.
    pub fn encode(&self) -> Slot {
        let words = [
            SEGMENT_MAGIC,
            u64::from(FORMAT_VERSION) | (u64::from(self.decide_version) << 32),
            self.segment_id,
            self.epoch,
            self.segment_size,
            self.first_seq,
            u64::from(self.prev_crc),
            0,
        ];
        with_crc(&words, crc::chained(&words, 0))
    }

    /// The header that lies in `words`, and its checksum, the start of the segment's chain.
    ///
    /// # Errors
    ///
    /// [`Fault::Magic`], [`Fault::Version`], [`Fault::Crc`], [`Fault::Header`], in this order,
    /// because another version may keep its checksum elsewhere.
    pub fn decode(words: &Slot) -> Result<(Self, u32), Fault> {
        let [magic, versions, segment_id, epoch, segment_size, first_seq, prev, last] = *words;
        if magic != SEGMENT_MAGIC {
            return Err(Fault::Magic { found: magic });
        }
        let (format_version, decide_version) = halves(versions);
        if format_version != FORMAT_VERSION {
            return Err(Fault::Version { found: format_version });
        }
        let expected = crc::chained(words, 0);
        if crc(words) != expected {
            return Err(Fault::Crc { found: crc(words), expected });
        }
        let (prev_crc, reserved_high) = halves(prev);
        let (reserved_low, _) = halves(last);
        let header = Self { decide_version, segment_id, epoch, segment_size, first_seq, prev_crc };
        if reserved_high != 0 || reserved_low != 0 || !header.is_possible() {
            return Err(Fault::Header);
        }
        Ok((header, expected))
    }

    fn is_possible(&self) -> bool {
        self.segment_id >= SEGMENT_ID_FIRST
            && self.epoch >= EPOCH_FIRST
            && self.first_seq >= 1
            && is_segment_size(self.segment_size)
    }
}

/// Whether a segment may have so many bytes.
pub const fn is_segment_size(size: u64) -> bool {
    size >= SEGMENT_SIZE_FLOOR && size <= SEGMENT_SIZE_CEILING && size.is_multiple_of(PAGE_SIZE)
}

/// What is known to be on the disk: everything before a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Counts the marks of a log; the newest wins.
    pub generation: u64,
    /// The last record's last slot below the mark.
    pub seq: u64,
    /// First byte that is not covered.
    pub position: Position,
    /// Epoch of the writer that synced.
    pub epoch: u64,
}

impl Mark {
    /// The first 64 bytes of the mark's sector, checksum included.
    pub fn encode(&self) -> Slot {
        let mut words = self.words(MARK_MAGIC);
        words[7] = 0;
        with_crc(&words, crc::chained(&words, 0))
    }

    /// The mark in the first 64 bytes of a sector, or nothing if they are not whole.
    pub fn decode(words: &Slot) -> Option<Self> {
        let is_whole = words[0] == MARK_MAGIC && crc(words) == crc::chained(words, 0);
        is_whole.then(|| Self::from_words(words))
    }

    /// The mark as a slot of the log behind record `seq`, not yet sealed.
    pub(super) fn to_slot(self, seq: u64) -> Slot {
        let mut words = self.words(seq);
        words[7] = kind_and_flags(KIND_MARK, 0);
        words
    }

    /// The mark that a mark slot or a sector holds.
    pub(super) const fn from_words(words: &Slot) -> Self {
        let position = Position { segment: words[3], offset: words[4] };
        Self { generation: words[1], seq: words[2], position, epoch: words[5] }
    }

    const fn words(self, first: u64) -> Slot {
        let Position { segment, offset } = self.position;
        [first, self.generation, self.seq, segment, offset, self.epoch, 0, 0]
    }
}

const fn widen(word: u32) -> u64 {
    let bytes = word.to_le_bytes();
    u64::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3], 0, 0, 0, 0])
}

const fn halves(word: u64) -> (u32, u32) {
    let bytes = word.to_le_bytes();
    let low = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    (low, u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]))
}
