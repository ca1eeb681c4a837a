//! What a stranger may hand to the programs: the fuzz targets over their corpora, over everything
//! that the fuzzer ever found, and over mutants of both.

#[path = "../../fuzz/targets.rs"]
mod targets;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use trade_engine::broker::{Broker, Message, Reports};
use trade_engine::embedded::TradeEngine;
use trade_engine::input::{Input, Subject};
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::journal::{Journal, JournalOptions, layout};
use trade_engine::order::{ClOrdId, Flags, OrdType, Tif};
use trade_engine::settings::{Capacity, Settings};
use trade_engine::units::{Price, Qty, Side, Ts};

/// A directory beside the fuzz targets.
fn fuzz(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(name)
}

/// The files of a target in one of them; none if there is no directory.
fn files(kind: &str, target: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(fuzz(kind).join(target)) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn nothing_that_was_found_is_found_again() {
    for (name, target) in targets::ALL {
        for path in files("regressions", name).iter().chain(&files("corpus", name)) {
            println!("{}", path.display());
            target(&fs::read(path).unwrap());
        }
    }
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % (bound as u64)).unwrap()
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }
}

/// A few changes: bytes, whole words at the ends of their range, pieces cut out, moved or doubled.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let rest = bytes.len() - at;
        let piece = at..at + random.below(rest.min(64) + 1);
        match random.below(6) {
            0 if rest > 0 => bytes[at] = random.byte(),
            1 if rest > 0 => bytes[at] ^= 1 << random.below(8),
            2 if rest >= 8 => {
                let ends = [0, 1, u64::MAX, i64::MAX.cast_unsigned(), i64::MIN.cast_unsigned()];
                bytes[at..at + 8].copy_from_slice(&ends[random.below(5)].to_le_bytes());
            }
            3 => drop(bytes.drain(piece)),
            4 => {
                let copy = bytes[piece].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            _ => bytes.insert(at, random.byte()),
        }
    }
}

#[test]
fn mutants_of_the_corpora_break_nothing() {
    let from_env = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let (seed, runs) = (from_env("SEED", 1), from_env("RUNS", 100));
    for (name, target) in targets::ALL {
        let corpus = files("corpus", name);
        assert!(!corpus.is_empty(), "no corpus of {name}");
        for run in seed..seed + runs {
            let mut random = Random(run);
            let path = &corpus[random.below(corpus.len())];
            let mut bytes = fs::read(path).unwrap();
            mutate(&mut bytes, &mut random);
            let failed = catch_unwind(|| target(&bytes)).is_err();
            assert!(!failed, "{name}: SEED={run} RUNS=1 cargo test --test hostile_files mutants");
        }
    }
}

/// Takes everything and says nothing.
struct Silent;

impl Broker for Silent {
    fn on_message(&mut self, _ts: Ts, _message: &Message, _reports: &mut Reports) {}
}

/// A log as the target has it: the header, then the slots.
fn small_log() -> Vec<u8> {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("log");
    let options = JournalOptions { segment_size: 1 << 20, ..JournalOptions::default() };
    let journal = Journal::create(&dir, options).unwrap();
    let es = Instrument::plain("ES", Price(250_000_000), Price::ONE.0, 50 * Price::ONE.0);
    let settings = Settings {
        capacity: Capacity { orders: 8, executions: 16, checkpoint_interval_slots: 64 },
        ..Settings::new("100000".parse().unwrap(), vec![es])
    };
    let mut engine = TradeEngine::with_journal(settings, Silent, journal).unwrap();
    let (mut now, instrument) = (1_767_625_200_000_000_000, InstrumentId(0));
    let mut take = |engine: &mut TradeEngine<Silent>, input: Input| {
        now += 1_000_000;
        engine.input_at(Ts(now), &input).unwrap();
    };
    let price = Price(4_500 * Price::ONE.0);
    let mark = Input::Mark { instrument, price, bid: None, ask: None };
    take(&mut engine, mark);
    for side in [Side::Buy, Side::Sell] {
        let id = engine.next_id();
        for text in trade_engine::embedded::text_inputs(Subject::Name, id, "a name") {
            take(&mut engine, text);
        }
        take(
            &mut engine,
            Input::Order {
                id,
                instrument,
                side,
                ord_type: OrdType::Limit,
                tif: Tif::Day,
                strategy: 0,
                flags: Flags::default(),
                qty: Qty(2),
                price: Some(price),
                stop_price: None,
                expire_at: None,
                defect: None,
            },
        );
        take(&mut engine, trade(id, side));
    }
    take(&mut engine, Input::Halt { cancel_working: true });
    take(&mut engine, Input::Resume {});
    take(&mut engine, Input::DayRoll {});
    drop(engine.stop().unwrap());
    let mut bytes = fs::read(dir.join(layout::segment_name(1))).unwrap();
    bytes.drain(64..4_096);
    let slots = bytes.chunks(64).rposition(|slot| slot != [0; 64]).unwrap() + 1;
    bytes.truncate(slots * 64);
    bytes
}

fn trade(order: ClOrdId, side: Side) -> Input {
    Input::Trade {
        order,
        exec: trade_engine::input::ExecKey::new(0, "X", order, side),
        qty: Qty(1),
        price: Price(4_500 * Price::ONE.0),
        commission: "2.05".parse().unwrap(),
        instrument: InstrumentId(0),
        side,
        venue_says_filled: false,
        defect: None,
    }
}

/// The corpora are small on purpose; `UPDATE_CORPUS=1` writes the log anew when its format changes.
#[test]
fn the_log_of_the_corpus_is_one_of_this_version() {
    let path = fuzz("corpus/log/small");
    let log = small_log();
    if std::env::var_os("UPDATE_CORPUS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &log).unwrap();
    }
    assert!(fs::read(&path).unwrap() == log, "UPDATE_CORPUS=1 rewrites it");
    assert!(log.len() < 16_384, "{} bytes", log.len());
}
