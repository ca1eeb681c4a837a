//! Small logs for the journal's tests: records whose every word follows from their number.
// Part of several test programs, each of which uses some of it.
#![allow(dead_code, unreachable_pub)]

use std::path::{Path, PathBuf};
use trade_engine::journal::layout::{self, FLAG_CONT, FLAG_END, FLAG_INPUT, Slot};
use trade_engine::journal::{
    Journal, JournalError, JournalOptions, LogEnd, LogReader, ReadError, recover,
};

/// A seeded generator; the same numbers everywhere, for ever.
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        // splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// A number from the environment: `SEED=7 RUNS=100 cargo test ...`.
pub fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// A directory in memory where there is one: thousands of syncs then wait for no disk.
pub fn temp_dir() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let in_memory = memory.is_dir().then(|| tempfile::tempdir_in(memory).ok()).flatten();
    in_memory.unwrap_or_else(|| tempfile::tempdir().unwrap())
}

/// Tiny segments: a header and one page, 64 slots.
pub fn tiny() -> JournalOptions {
    JournalOptions { segment_size: 8_192, decide_version: 3, pad_to_sector: false }
}

/// The record that begins with slot `seq`: 1 to 8 slots, every word made from its number.
pub fn record(seq: u64) -> Vec<Slot> {
    let mut random = Random(seq);
    let len = if random.below(3) == 0 { 1 + random.below(8) } else { 1 };
    let kind = u8::try_from(1 + random.below(200)).unwrap();
    let aux = random.below(1 << 16) << 16;
    let first_flags = [FLAG_INPUT, 0, FLAG_END, FLAG_INPUT | FLAG_END];
    let flags = first_flags[usize::try_from(random.below(4)).unwrap()];
    let slot = |index: u64, random: &mut Random| {
        let flags = if index == 0 { flags } else { FLAG_CONT };
        let mut slot = [0; 8];
        slot[0] = seq + index;
        slot[1..7].fill_with(|| random.next());
        slot[7] = layout::kind_and_flags(kind, flags) | aux;
        slot
    };
    (0..len).map(|index| slot(index, &mut random)).collect()
}

/// Whole records from `seq` on, at least `count` slots.
pub fn records(seq: u64, count: u64) -> Vec<Slot> {
    let mut slots = Vec::new();
    let mut next = seq;
    while next < seq + count {
        slots.extend(record(next));
        next = slots.last().unwrap()[0] + 1;
    }
    slots
}

/// Appends records one by one, at least `count` slots; syncs after every `sync_every` records.
pub fn append(journal: &mut Journal, count: u64, sync_every: Option<u64>) {
    let first = journal.written_seq() + 1;
    let mut written = 0;
    while journal.written_seq() < first + count - 1 {
        journal.append(&record(journal.written_seq() + 1)).unwrap();
        written += 1;
        if sync_every.is_some_and(|every| written % every == 0) {
            journal.sync().unwrap();
        }
    }
}

/// Everything that can be read, as it was appended, and how it ends.
pub fn read_all(dir: &Path) -> Result<(Vec<Slot>, LogEnd), ReadError> {
    let mut reader = LogReader::open(dir)?;
    let mut slots = Vec::new();
    while let Some(record) = reader.next_record()? {
        slots.extend(record.iter().map(layout::content));
    }
    let end = reader.end()?;
    assert_eq!(end.last_seq, slots.last().map_or(0, layout::seq));
    Ok((slots, end))
}

/// Reads to the end or to an error; what is handed out before either is what was appended.
pub fn read_checked(dir: &Path, context: &str) -> Result<LogEnd, ReadError> {
    let mut reader = LogReader::open(dir)?;
    let mut last_seq = 0;
    while let Some(found) = reader.next_record()? {
        let expected = record(last_seq + 1);
        assert!(found.iter().map(layout::content).eq(expected), "{context}: an invented record");
        last_seq += u64::try_from(found.len()).unwrap();
    }
    let end = reader.end()?;
    assert_eq!(end.last_seq, last_seq, "{context}");
    Ok(end)
}

/// Recovers twice: the log that is left is the same prefix both times, and reads clean.
pub fn recover_twice(dir: &Path) -> Result<Vec<Slot>, JournalError> {
    let (first_seq, first_crc, groups) = {
        let recovery = recover(dir)?;
        (recovery.last_seq, recovery.last_crc, recovery.group_end_seq)
    };
    let (slots, end) = read_all(dir).expect("a recovered log reads");
    assert_eq!(end.tail, trade_engine::journal::Tail::Clean);
    assert_eq!((end.last_seq, end.last_crc, end.group_end_seq), (first_seq, first_crc, groups));
    assert_eq!(slots, records(1, first_seq), "a recovered log is a prefix");
    let again = recover(dir).expect("a recovered log recovers");
    assert_eq!((again.last_seq, again.last_crc), (first_seq, first_crc));
    assert!(again.cut.is_none());
    Ok(slots)
}

/// A directory of files in memory, to compare and to put back.
pub type Image = Vec<(PathBuf, Vec<u8>)>;

pub fn image_of(dir: &Path) -> Image {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut image: Image =
        entries.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    image.sort();
    image
}

/// Makes the directory hold these files and no others.
pub fn restore(dir: &Path, image: &Image) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if !image.iter().any(|(kept, _)| *kept == path) {
            std::fs::remove_file(path).unwrap();
        }
    }
    for (path, bytes) in image {
        write_private(path, bytes);
    }
}

pub fn write_private(path: &Path, bytes: &[u8]) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path).unwrap().write_all(bytes).unwrap();
}

/// Path of segment `id`.
pub fn segment(dir: &Path, id: u64) -> PathBuf {
    dir.join(layout::segment_name(id))
}
