//! What a stranger may hand to the programs, as functions of bytes: none of them panics, takes more
//! memory than is bounded, or says anything that could move a terminal's cursor.
//!
//! The fuzzer calls them with what it makes up, `tools/tests/hostile_files.rs` with the corpora, with
//! what the fuzzer once found (`regressions/`), and with mutants of both.
// Each fuzz target is a program that uses one of them.
#![allow(dead_code, unreachable_pub)]

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;
use std::sync::OnceLock;
use tempfile::TempDir;
use trade_engine::config::{Config, canonical};
use trade_engine::contracts::Contracts;
use trade_engine::journal::SegmentHeader;
use trade_engine::journal::layout::{self, HEADER_SIZE, Slot};
use trade_engine::units::Ts;
use trade_engine_tools::check_config::describe;
use trade_engine_tools::feed::{Feed, FeedSettings, FeedSource};
use trade_engine_tools::replay;
use trade_engine_tools::rows;
use trade_engine_tools::scenario::Scenario;
use trade_engine_tools::text::{clean, write_json};
use trade_engine_tools::walk::Walk;

/// Scenarios are run if they are no longer than this: what they do is their own business.
const SCENARIO_BYTES_MAX: usize = 8 << 10;

/// 2026-01-05T15:00:00Z.
const NOW: Ts = Ts(1_767_625_200_000_000_000);

/// A directory for the files that a target needs, in memory where there is one.
fn place() -> &'static Path {
    static PLACE: OnceLock<TempDir> = OnceLock::new();
    let place = PLACE.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let in_memory = memory.is_dir().then(|| tempfile::tempdir_in(memory).ok()).flatten();
        in_memory.unwrap_or_else(|| tempfile::tempdir().expect("a directory for files"))
    });
    place.path()
}

/// Takes what is said, which must not hold what moves a cursor: control characters of one byte, but
/// for the ends of lines, or of two.
struct Said;

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let is_wild = |byte: &u8| (*byte < b' ' && *byte != b'\n') || *byte == 0x7f;
        let is_wide = |pair: &[u8]| pair[0] == 0xc2 && (0x80..0xa0).contains(&pair[1]);
        let is_clean = !bytes.iter().any(is_wild) && !bytes.windows(2).any(is_wide);
        assert!(is_clean, "{:?}", String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is wrong with a file is one line.
fn check_line(error: &dyn std::fmt::Display) {
    let line = clean(&error.to_string());
    write!(Said, "{line}").expect("it takes everything");
    assert!(!line.contains('\n'), "{line:?}");
}

/// A log of one segment: the header's 64 bytes, then slots; the rest of the header's page is left
/// out. First as it is, then with all checksums made right, so that what lies behind them is met.
pub fn log(bytes: &[u8]) {
    let whole = bytes.first_chunk::<64>().map_or(0, |header| {
        let header = SegmentHeader::decode(&layout::from_bytes(header));
        header.map_or(0, |(header, _)| header.segment_size.min(1 << 20))
    });
    for image in [bytes.to_vec(), healed(bytes)] {
        let mut file = image;
        let slots = file.split_off(file.len().min(64));
        if file.len() == 64 {
            file.resize(usize::try_from(HEADER_SIZE).expect("a page"), 0);
            file.extend(slots);
        }
        let size = file.len().max(usize::try_from(whole).expect("at most a MiB"));
        file.resize(size, 0);
        let dir = place().join("log");
        std::fs::create_dir_all(&dir).expect("the place is ours");
        std::fs::write(dir.join(layout::segment_name(1)), &file).expect("the place is ours");
        read(&dir);
    }
}

/// All that `replay` makes of a log.
fn read(dir: &Path) {
    for command in ["verify", "events"] {
        let arguments = ["replay", command].map(OsStr::new).into_iter().chain([dir.as_os_str()]);
        if let Err(error) = replay::run_to(arguments, &mut Said) {
            check_line(&error);
        }
    }
    let Ok(mut walk) = Walk::open(dir) else { return };
    while let Ok(Some(_)) = walk.step() {}
    if let Some(state) = walk.state() {
        let state = rows::state(state, walk.names(), walk.watch());
        write_json(&mut Said, &state).expect("it takes everything");
    }
    let _ = walk.end();
}

/// The same slots, each with the checksum that it must have behind the one before.
fn healed(bytes: &[u8]) -> Vec<u8> {
    let mut healed = Vec::with_capacity(bytes.len());
    let mut prev_crc = 0_u32;
    for chunk in bytes.chunks(64) {
        let Some(chunk) = chunk.first_chunk::<64>() else { break };
        let mut sum = *chunk;
        sum[60..].copy_from_slice(&prev_crc.to_le_bytes());
        let crc = crc32c::crc32c(&sum);
        let slot: Slot = layout::with_crc(&layout::from_bytes(chunk), crc);
        healed.extend(layout::to_bytes(&slot));
        prev_crc = crc;
    }
    healed
}

/// A scenario: read, and run if it can be.
pub fn scenario(bytes: &[u8]) {
    match Scenario::parse(bytes) {
        Err(malformed) => check_line(&malformed.what),
        Ok(scenario) if bytes.len() <= SCENARIO_BYTES_MAX => {
            // Refusals are results; an error would be an invariant of ours.
            let ran = scenario.run(true, None, &mut Said);
            assert!(ran.is_ok(), "{ran:?}");
        }
        Ok(_) => {}
    }
}

/// A configuration, a file of contracts, or the configuration in a log's head.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Config::from_toml(text, "fuzz.toml", place()) {
        Err(error) => check_line(&error),
        Ok(config) => match describe(&config, NOW) {
            Err(error) => check_line(&error),
            Ok(text) => write!(Said, "{text}").expect("it takes everything"),
        },
    }
    match Contracts::from_toml(text) {
        Err(error) => check_line(&error),
        Ok(contracts) => {
            let week_end = Ts(NOW.0 + 7 * 86_400_000_000_000);
            if let Err(error) = contracts.instruments(NOW, week_end) {
                check_line(&error);
            }
        }
    }
    match canonical::read(text) {
        Err(error) => check_line(&error),
        Ok(settings) => {
            let again = canonical::read(&canonical::write(&settings));
            assert_eq!(again.ok(), Some(settings), "what is written reads");
        }
    }
}

/// Market data: the first byte says what the file's name says.
pub fn feed(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let names = ["ES.csv", "ES.csv.gz", "20131007_trade.zip", "ES_20131007_trade_minute.zip"];
    let name = names[usize::from(*first) % names.len()];
    let dir = place().join("feed");
    // Of all names, this one alone.
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("the place is ours");
    std::fs::write(dir.join(name), rest).expect("the place is ours");
    if let Err(error) = Feed::open(&FeedSource::Path(dir), &FeedSettings::default()) {
        check_line(&error);
    }
}

/// What is fed any bytes.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const ALL: [(&str, Target); 4] =
    [("log", log), ("scenario", scenario), ("config", config), ("feed", feed)];
