//! Logs of a small desk that trades with a simulated venue, whatever the seed says, and what is read
//! of them.
// Part of several test programs, each of which uses some of it.
#![allow(dead_code, unreachable_pub)]

use super::random::Random;
use std::path::{Path, PathBuf};
use trade_engine::broker::{SimSettings, SimulatedBroker};
use trade_engine::codec::FLAG_END;
use trade_engine::embedded::TradeEngine;
use trade_engine::input::Input;
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::journal::{Journal, JournalOptions, LogReader, layout};
use trade_engine::limits::PRICE_SCALE;
use trade_engine::order::{ClOrdId, Flags, OrdType, Tif};
use trade_engine::replay::Replay;
use trade_engine::settings::{CostMethod, Count, Millis, Settings};
use trade_engine::snapshot;
use trade_engine::units::{Price, Qty, Side, Ts};

pub fn settings() -> Settings {
    let spec = |symbol| Instrument::plain(symbol, Price(1), PRICE_SCALE, PRICE_SCALE);
    let capital = "1000000".parse().expect("a decimal");
    let mut settings = Settings::new(capital, vec![spec("ES"), spec("NQ")]);
    (settings.capacity.orders, settings.capacity.executions) = (24, 600);
    settings.account.cost_method = CostMethod::Fifo;
    settings.risk.limits.duplicate_window_ms = Some(Millis(2));
    settings.risk.limits.max_repeats = Some(Count(300));
    settings.risk.self_match = true;
    settings
}

fn order(id: ClOrdId, random: &mut Random) -> Input {
    let price = Price((95 + random.range(11)) * PRICE_SCALE);
    let is_limit = random.below(2) == 0;
    Input::Order {
        id,
        instrument: InstrumentId(u16::try_from(random.below(2)).expect("one of two")),
        side: random.pick(&[Side::Buy, Side::Sell]),
        ord_type: if is_limit { OrdType::Limit } else { OrdType::Market },
        tif: Tif::Gtc,
        strategy: 0,
        flags: Flags::default(),
        qty: Qty(1 + random.range(9)),
        price: is_limit.then_some(price),
        stop_price: None,
        expire_at: None,
        defect: None,
    }
}

/// A log in a directory that is removed with it.
pub struct Log {
    _parent: tempfile::TempDir,
    pub dir: PathBuf,
}

/// A log of so many inputs to a simulated venue, in segments of so many
/// bytes.
pub fn log(seed: u64, inputs: usize, segment_size: u64) -> Log {
    let parent = super::log::temp_dir();
    let dir = parent.path().join("log");
    let options = JournalOptions { segment_size, ..JournalOptions::default() };
    let journal = Journal::create(&dir, options).expect("a new log");
    let settings = settings();
    let venue = SimulatedBroker::new(0, SimSettings::default(), settings.instruments.clone());
    let venue = venue.expect("sound settings");
    let mut engine = TradeEngine::with_journal(settings, venue, journal).expect("a disk");
    let mut random = Random::new(seed);
    for step in 0..inputs {
        let ts = Ts(i64::try_from(step).expect("few") * 500_000);
        let instrument = InstrumentId(u16::try_from(random.below(2)).expect("one of two"));
        let input = match random.below(8) {
            0..=3 => {
                let price = Price((95 + random.range(11)) * PRICE_SCALE);
                Input::Mark { instrument, price, bid: None, ask: None }
            }
            4 if step > 20 => {
                let working = engine.state().orders().iter().find(|order| order.is_out());
                let order = working.map_or(ClOrdId::new(0, 1), |order| order.id);
                Input::Cancel { id: engine.next_id(), order }
            }
            _ => order(engine.next_id(), &mut random),
        };
        engine.input_at(ts, &input).expect("a disk");
    }
    drop(engine);
    Log { _parent: parent, dir }
}

/// Reads to the end, or to the first end of a group at or behind `seq`.
pub fn read_on(reader: &mut LogReader, replay: &mut Replay, seq: u64) {
    while let Some(slots) = reader.next_record().expect("a whole log") {
        let (last, ends) = (slots[slots.len() - 1][0], layout::flags(&slots[0]) & FLAG_END != 0);
        replay.next(slots).expect("an engine wrote it");
        if ends && last >= seq && replay.state().is_some() {
            return;
        }
    }
}

pub fn read(dir: &Path, seq: u64) -> (LogReader, Replay) {
    let (mut reader, mut replay) = (LogReader::open(dir).expect("a log"), Replay::default());
    read_on(&mut reader, &mut replay, seq);
    (reader, replay)
}

pub fn image(replay: &Replay) -> Vec<u8> {
    let mut bytes = Vec::new();
    replay.write_image(&mut bytes);
    bytes
}

/// A snapshot behind the first group that ends at or behind `seq`.
pub fn snapshot_at(dir: &Path, seq: u64) -> PathBuf {
    let (reader, replay) = read(dir, seq);
    snapshot::write(dir, &reader, &replay, b"beside").expect("a disk")
}
