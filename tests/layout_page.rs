//! The page that describes the log's bytes, `src/journal/layout.rs`: its pictures against the code.

#[path = "common/log.rs"]
mod log;

use log::{append, segment, tiny};
use trade_engine::journal::layout::{self, KIND_MARK, Position, SEGMENT_MAGIC, Slot};
use trade_engine::journal::{Journal, JournalOptions, Mark, SegmentHeader};

const PAGE: &str = include_str!("../src/journal/layout.rs");

/// A field as it is drawn: its name and the bytes that it takes.
type Field = (String, usize, usize);

/// The fields of a picture: the `row`th line below the line of offsets that follows a title. A bar
/// stands below the offset that it is.
fn drawn(title: &str, row: usize) -> Vec<Field> {
    let mut lines = PAGE.lines().skip_while(|line| !line.contains(title));
    assert!(lines.next().is_some(), "no {title:?} on the page");
    let offsets = lines.next().unwrap();
    let cells = lines.nth(row).unwrap();
    let offset = |column: usize| {
        let (before, from) = offsets.split_at(column);
        let text = from.split(' ').next().filter(|_| before.ends_with(' ')).unwrap_or("");
        text.parse::<usize>()
            .unwrap_or_else(|_| panic!("no offset above column {column} of {cells}"))
    };
    let bars: Vec<usize> = cells.match_indices('|').map(|(column, _)| column).collect();
    let field = |pair: &[usize]| {
        let name = cells[pair[0] + 1..pair[1]].trim().to_owned();
        (name, offset(pair[0]), offset(pair[1]))
    };
    bars.windows(2).map(field).collect()
}

fn number(bytes: &[u8], (_, start, end): &Field) -> u64 {
    bytes[*start..*end].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn names(fields: &[Field]) -> Vec<&str> {
    fields.iter().map(|(name, ..)| name.as_str()).collect()
}

/// The fields follow on each other, up to the end.
fn check_whole(fields: &[Field], size: usize) {
    assert_eq!(fields[0].1, 0);
    assert!(fields.windows(2).all(|two| two[0].2 == two[1].1), "{fields:?}");
    assert_eq!(fields.last().unwrap().2, size);
}

#[test]
fn the_fields_of_a_slot_stand_where_they_are_drawn() {
    let first = drawn("slot, 64 bytes:", 0);
    let more = drawn("slot, 64 bytes:", 1);
    assert_eq!(names(&first), ["seq", "ts", "payload, 40 bytes", "kind", "flags", "aux", "crc"]);
    assert_eq!(names(&more), ["seq", "payload, 48 bytes", "kind", "flags", "aux", "crc"]);
    for fields in [first, more] {
        check_whole(&fields, 64);
        for (name, start, end) in fields {
            let mut bytes = [0; 64];
            bytes[start..end].fill(0xff);
            let slot = layout::from_bytes(&bytes);
            let is = |wanted: &str| name == wanted;
            let all = |wanted: &str, ones: u64| if is(wanted) { ones } else { 0 };
            assert_eq!(layout::seq(&slot), all("seq", u64::MAX));
            let has_ts = is("ts") || is("payload, 48 bytes");
            assert_eq!(layout::ts(&slot), if has_ts { -1 } else { 0 });
            assert_eq!(u64::from(layout::kind(&slot)), all("kind", 0xff));
            assert_eq!(u64::from(layout::flags(&slot)), all("flags", 0x1f));
            assert_eq!(u64::from(layout::left(&slot)), all("flags", 7));
            assert_eq!(u64::from(layout::aux(&slot)), all("aux", 0xffff));
            assert_eq!(u64::from(layout::crc(&slot)), all("crc", 0xffff_ffff));
            if let Some(size) = name.strip_prefix("payload, ") {
                assert_eq!(size, format!("{} bytes", end - start));
            }
        }
    }
}

#[test]
fn the_fields_of_a_header_stand_where_they_are_drawn() {
    let fields = drawn("segment header, 64 bytes", 0);
    check_whole(&fields, 64);
    let header = SegmentHeader {
        decide_version: 0x0403_0201,
        segment_id: 0x1817_1615_1413_1211,
        epoch: 0x2827_2625_2423_2221,
        segment_size: 1 << 40,
        first_seq: 0x4847_4645_4443_4241,
        prev_crc: 0x5453_5251,
    };
    let words = header.encode();
    let bytes = layout::to_bytes(&words);
    let expected = [
        ("magic", SEGMENT_MAGIC),
        ("format", u64::from(layout::FORMAT_VERSION)),
        ("decide", u64::from(header.decide_version)),
        ("id", header.segment_id),
        ("epoch", header.epoch),
        ("size", header.segment_size),
        ("first_", header.first_seq),
        ("prev_", u64::from(header.prev_crc)),
        ("0", 0),
        ("crc", u64::from(layout::crc(&words))),
    ];
    let found: Vec<(&str, u64)> =
        fields.iter().map(|field| (field.0.as_str(), number(&bytes, field))).collect();
    assert_eq!(found, expected);
    assert_eq!(bytes[..8], *b"TRADELOG");
}

#[test]
fn the_fields_of_marks_stand_where_they_are_drawn() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("log");
    let options = JournalOptions { pad_to_sector: true, ..tiny() };
    let mut journal = Journal::create(&dir, options).unwrap();
    for _ in 0..3 {
        append(&mut journal, 5, None);
        journal.sync().unwrap();
    }

    let fields = drawn("side file `synced`", 0);
    check_whole(&fields, 512);
    let bytes = std::fs::read(dir.join(layout::SYNCED_NAME)).unwrap();
    assert_eq!(bytes.len(), 1_024);
    let mut newest: Option<Mark> = None;
    for (place, sector) in bytes.chunks(512).enumerate() {
        let words = layout::from_bytes(sector.first_chunk().unwrap());
        let Some(mark) = Mark::decode(&words) else { continue };
        let Position { segment, offset } = mark.position;
        let expected = [
            ("magic", layout::MARK_MAGIC),
            ("generation", mark.generation),
            ("seq", mark.seq),
            ("segment", segment),
            ("offset", offset),
            ("epoch", mark.epoch),
            ("0", 0),
            ("crc", u64::from(layout::crc(&words))),
            ("zeros", 0),
        ];
        let found: Vec<(&str, u64)> =
            fields.iter().map(|field| (field.0.as_str(), number(sector, field))).collect();
        assert_eq!(found, expected);
        assert_eq!(mark.generation % 2, place as u64, "the sector is generation % 2");
        newest = newest.max_by_generation(mark);
    }
    let newest = newest.expect("it has synced");
    assert_eq!(newest.seq, journal.synced_seq());

    let fields = drawn("mark slot, kind 255", 0);
    check_whole(&fields, 64);
    let bytes = std::fs::read(segment(&dir, 1)).unwrap();
    let slots: Vec<&[u8]> = bytes[4_096..].chunks(64).collect();
    let last = slots.iter().rposition(|slot| slot[56] == KIND_MARK).expect("it has padded");
    let before = slots[..last].iter().rposition(|slot| slot[56] != KIND_MARK).unwrap();
    let repeated: Slot = layout::from_bytes(slots[before].first_chunk().unwrap());
    let named = |name: &str| {
        let field = fields.iter().find(|(drawn, ..)| drawn == name);
        number(slots[last], field.unwrap_or_else(|| panic!("no {name} is drawn")))
    };
    assert_eq!(named("seq"), layout::seq(&repeated), "it repeats the last seq and takes none");
    assert_eq!((named("segment"), named("epoch"), named("0")), (1, 1, 0));
    assert!((1..=newest.generation).contains(&named("generation")));
    assert!(named("synced") <= named("seq"));
    assert!(named("offset") <= 4_096 + 64 * last as u64);
}

trait Newest {
    fn max_by_generation(self, mark: Mark) -> Self;
}

impl Newest for Option<Mark> {
    fn max_by_generation(self, mark: Mark) -> Self {
        self.filter(|known| known.generation > mark.generation).or(Some(mark))
    }
}

/// Names, flags and sizes in words.
#[test]
fn what_the_page_says_in_words_is_so() {
    let says = |words: &str| assert!(PAGE.contains(words), "the page does not say {words:?}");
    says(&format!("//!   {}       segments of one size", layout::segment_name(1)));
    says(&format!("//!   {}   what a recovery cut off", layout::cut_name(2, 4_160, 0)));
    for name in [layout::SYNCED_NAME, layout::LOCK_NAME, layout::SPARE_NAME] {
        assert!(PAGE.lines().any(|line| line.starts_with(&format!("//!   {name} "))), "{name}");
    }
    says(&format!("DIR/                 mode {:04o}", layout::DIR_MODE));
    says(&format!("files {:04o}", layout::FILE_MODE));
    says(&format!("| header page, {} bytes | slot", layout::HEADER_SIZE));
    says(&format!("mark slot, kind {KIND_MARK},"));
    for (flag, name) in [
        (layout::FLAG_END, "END"),
        (layout::FLAG_CONT, "CONT"),
        (layout::FLAG_CLAMPED, "CLAMPED"),
        (layout::FLAG_INPUT, "INPUT"),
    ] {
        says(&format!(" {flag} {name} "));
    }
}
