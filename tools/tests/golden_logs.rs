//! Whole logs of real runs, one of every version that can be read, kept in `tests/golden/logs`: each
//! still replays to the state that it did when it was written.
//!
//! A new version is a new directory, which `UPDATE_GOLDEN=1 cargo test --test golden_logs` writes if
//! there is none of that name, and a new row of the table. What is there is never written again.

#[path = "common/place.rs"]
mod place;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use place::{Place, bars, good, json, replay};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use trade_engine::event::{DECIDE_VERSION, FORMAT_VERSION};
use trade_engine::journal::layout;
use trade_engine::snapshot;
use trade_engine_tools::walk::Walk;

/// Of one log.
struct Golden {
    /// Its directory: versions of the segments, the records and the decisions.
    name: &'static str,
    last_seq: u64,
    /// The state's hash at its end; a decisions' version is a version of the hash, too.
    hash: u64,
    /// Version of its decisions.
    decide_version: u32,
    /// Version of the snapshots, and the checksum of one of its end: of this version's log alone.
    snapshot: (u32, u32),
}

const LOGS: &[Golden] = &[Golden {
    name: "log1_records2_decisions2",
    last_seq: 326,
    hash: 0xff68_90c9_dc07_8997,
    decide_version: 2,
    snapshot: (3, 0xc331_6d39),
}];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/logs").join(name)
}

/// The name of a log that this version writes.
fn current() -> String {
    let (log, records) = (layout::FORMAT_VERSION, FORMAT_VERSION);
    format!("log{log}_records{records}_decisions{DECIDE_VERSION}")
}

/// A small run of the main job, packed without the zeros that every file ends in.
fn write_golden(dir: &Path) {
    let place = Place::new();
    fs::write(place.path("AAA.csv"), bars(60, 7, None)).unwrap();
    let config = fs::read_to_string(place.path("config.toml")).unwrap();
    fs::write(place.path("config.toml"), format!("{config}\n[log]\nsegment_size = 65536\n"))
        .unwrap();
    good(&place.command("AAA.csv", "log").output().unwrap());
    fs::create_dir_all(dir).unwrap();
    for entry in fs::read_dir(place.path("log")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if used == 0 {
            continue;
        }
        bytes.truncate(used);
        let name = path.file_name().unwrap().to_str().unwrap();
        let file = File::create(dir.join(format!("{name}.gz"))).unwrap();
        let mut packed = GzEncoder::new(file, Compression::best());
        packed.write_all(&bytes).unwrap();
        packed.finish().unwrap();
    }
}

/// The log as it was: every file as long as it must be, its end zeros.
fn unpack(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = Vec::new();
        GzDecoder::new(File::open(&path).unwrap()).read_to_end(&mut bytes).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let size = if let (Some(_), Some(size)) = (layout::segment_id_of(name), bytes.get(32..40)) {
            u64::from_le_bytes(size.try_into().unwrap())
        } else {
            (bytes.len() as u64).next_multiple_of(layout::SECTOR_SIZE)
        };
        fs::write(to.join(name), &bytes).unwrap();
        File::options().write(true).open(to.join(name)).unwrap().set_len(size).unwrap();
    }
}

#[test]
fn every_version_replays_to_the_state_that_it_did() {
    if std::env::var_os("UPDATE_GOLDEN").is_some() && !golden(&current()).exists() {
        write_golden(&golden(&current()));
    }
    let mut names: Vec<String> = fs::read_dir(golden(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let known: Vec<&str> = LOGS.iter().map(|log| log.name).collect();
    assert_eq!(names, known, "every directory has its row");
    assert!(known.contains(&current().as_str()), "no golden log of {}", current());

    for log in LOGS {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("log");
        unpack(&golden(log.name), &dir);
        let mut walk = Walk::open(&dir).unwrap();
        while walk.step().unwrap().is_some() {}
        let end = walk.end().unwrap();
        let state = walk.whole_state().unwrap();
        let shown = (end.last_seq, format!("{:016x}", state.hash()));
        assert_eq!(shown, (log.last_seq, format!("{:016x}", log.hash)), "{}", log.name);

        let snapshot = fs::read(walk.write_snapshot().unwrap().unwrap()).unwrap();
        let found = (snapshot::VERSION, crc32c::crc32c(&snapshot));
        if log.name == current() {
            assert_eq!(found, log.snapshot, "an image of another form is a snapshot::VERSION more");
        }

        let said = good(&replay(&["verify"], &dir));
        assert!(said.contains(&format!("hash {:016x}", log.hash)), "{said}");
        let again = if log.decide_version == DECIDE_VERSION {
            "every input gives the same events, byte for byte".to_owned()
        } else {
            format!("decisions {} are not this program's", log.decide_version)
        };
        assert!(said.contains(&again), "{said}");
        let state = json(&replay(&["state", "--json"], &dir));
        assert_eq!(state["seq"].as_u64(), Some(log.last_seq));
    }
}
