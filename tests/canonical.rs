//! The canonical form of the settings: what is written reads back, whatever it is; nothing else is
//! read.

use trade_engine::config::{Config, canonical};
use trade_engine::instrument::{Instrument, OpenInterval};
use trade_engine::limits;
use trade_engine::settings::{
    AccountSettings, Capacity, CorrelationAction, CostMethod, ExposureBasis, LimitKey, Limits,
    OnAnomaly, RiskSettings, Settings, Sizing,
};
use trade_engine::units::{Money, Price, Qty, Ratio, Ts, Units};

/// A seeded generator; the same numbers everywhere, for ever.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `max`, both ends often.
    fn up_to(&mut self, max: u64) -> u64 {
        match self.next() % 8 {
            0 => 0,
            1 => max,
            _ => self.next() % max.saturating_add(1).max(1),
        }
    }

    fn flag(&mut self) -> bool {
        self.next().is_multiple_of(2)
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.next() % of.len() as u64).unwrap()]
    }

    fn i64(&mut self) -> i64 {
        let value = self.next().cast_signed();
        self.pick(&[value, value >> 32, value >> 56, i64::MIN, i64::MAX, 0])
    }

    fn count(&mut self, min: usize, max: usize) -> usize {
        min + usize::try_from(self.up_to((max - min) as u64)).unwrap()
    }

    fn money(&mut self) -> Money {
        let value = (i128::from(self.i64()) << 64) + i128::from(self.next());
        Money(value % limits::BALANCE_MAX)
    }

    fn maybe<T>(&mut self, some: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| some(self))
    }

    fn name(&mut self) -> String {
        let chars = [b'A', b'z', b'"', b'\\', b'.', b'#', b'\'', b'9', b'/', b'=', b'['];
        let count = 1 + self.up_to(7);
        (0..count).map(|_| char::from(self.pick(&chars))).collect()
    }
}

fn instrument(random: &mut Random) -> Instrument {
    let tick_size = Price(1 + random.i64().saturating_abs().min(i64::MAX - 1));
    // One of the two is whole, so that their product has nine decimals.
    let whole = limits::PRICE_SCALE * i64::try_from(1 + random.up_to(1_000)).unwrap();
    let fine = i64::try_from(1 + random.up_to(99_999_999)).unwrap();
    let (lot_size, multiplier) = random.pick(&[(whole, fine), (fine, whole)]);
    let mut spec = Instrument::plain(&random.name(), tick_size, lot_size, multiplier);
    spec.currency = random.name();
    spec.initial_margin = random.maybe(Random::money);
    spec.maintenance_margin = random.maybe(Random::money);
    spec.min_qty = random.maybe(|random| Qty(random.i64()));
    spec.max_qty = random.maybe(|random| Qty(random.i64()));
    spec.min_notional = random.maybe(Random::money);
    spec.max_notional = random.maybe(Random::money);
    spec.negative_prices = random.flag();
    spec.sessions = random.maybe(|random| {
        let mut open = -i64::try_from(random.up_to(1 << 50)).unwrap();
        let mut next = || {
            let close = open + i64::try_from(1 + random.up_to(1 << 40)).unwrap();
            let session = OpenInterval { open: Ts(open), close: Ts(close) };
            open = close + i64::try_from(random.up_to(1 << 40)).unwrap();
            session
        };
        (0..4).map(|_| next()).collect()
    });
    assert_eq!(spec.check(), Ok(()));
    spec
}

fn any_limits(random: &mut Random) -> Limits {
    let mut limits = Limits::OFF;
    for key in LimitKey::ALL {
        let step = 10_i128.pow(18 - key.decimals());
        let value = random.maybe(|random| Money(i128::from(random.up_to(1 << 31)) * step));
        limits.set(*key, value).expect("within its unit");
    }
    limits
}

fn settings(random: &mut Random) -> Settings {
    let ratio = |random: &mut Random| Ratio(random.i64());
    let count = random.up_to(4);
    let risk = RiskSettings {
        limits: any_limits(random),
        symbols: (0..count.min(2)).map(|_| any_limits(random)).collect(),
        strategies: vec![any_limits(random), Limits::OFF],
        exposure_basis: random.pick(&[
            ExposureBasis::Notional,
            ExposureBasis::Margin,
            ExposureBasis::Price,
            ExposureBasis::Risk,
        ]),
        margin: random.flag(),
        self_match: random.flag(),
        on_anomaly: random.pick(&[OnAnomaly::Report, OnAnomaly::HaltInstrument, OnAnomaly::Halt]),
        correlation_action: random.pick(&[CorrelationAction::Warn, CorrelationAction::Refuse]),
        correlation_window: random
            .count(limits::CORRELATION_WINDOW_MIN, limits::CORRELATION_WINDOW_MAX),
        sizing: random.pick(&[
            Sizing::PercentEquity,
            Sizing::PercentMargin,
            Sizing::FixedRisk,
            Sizing::VolatilityTarget,
            Sizing::Exact,
        ]),
        sizing_pct: ratio(random),
        sizing_max_qty: random.maybe(|random| Units(random.i64())),
    };
    let capacity = Capacity {
        orders: random.count(1, limits::ORDERS_MAX),
        executions: random.count(1, limits::EXECUTIONS_MAX),
        checkpoint_interval_slots: random.up_to(limits::CHECKPOINT_INTERVAL_SLOTS_MAX),
    };
    Settings {
        account: AccountSettings {
            currency: random.name(),
            initial_capital: random.money(),
            cost_method: random.pick(&[CostMethod::Average, CostMethod::Fifo]),
        },
        strategies: vec![random.name(), random.name()],
        instruments: (0..count).map(|_| instrument(random)).collect(),
        risk,
        capacity,
        refuse_old_time: random.flag(),
        day_roll_ends_orders: random.flag(),
        forward_market_data: random.flag(),
    }
}

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn what_is_written_reads_back() {
    let (seed, runs) = (from_env("SEED", 1), from_env("RUNS", 500));
    println!("SEED={seed} RUNS={runs} cargo test --test canonical");
    for run in 0..runs {
        let settings = settings(&mut Random(seed + run));
        let text = canonical::write(&settings);
        let back = canonical::read(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(back, settings, "seed {}\n{text}", seed + run);
        assert_eq!(canonical::write(&back), text, "seed {}", seed + run);
    }
}

/// A limit may be as large as a program or a scenario writes it, which is more than an amount of
/// money is: a log whose head does not read is lost.
#[test]
fn every_limit_reads_back_at_its_largest() {
    let mut settings = Config::embedded_default().settings(None, Ts(0), Ts(0)).unwrap();
    for key in LimitKey::ALL {
        let sizes = [i128::MAX, i64::MAX.into(), u32::MAX.into(), 0].into_iter();
        let scales = [1, 10_i128.pow(9), 10_i128.pow(18)];
        let mut values = sizes.flat_map(|size| scales.map(|scale| size.checked_mul(scale)));
        let is_taken = |value: Option<i128>| {
            value.is_some_and(|value| settings.risk.limits.set(*key, Some(Money(value))).is_ok())
        };
        assert!(values.any(is_taken), "{}", key.name());
    }
    assert_eq!(settings.risk.limits.max_order_notional, Some(Money(i128::MAX)));
    assert_eq!(canonical::read(&canonical::write(&settings)).unwrap(), settings);
}

#[test]
fn the_default_reads_back_with_its_sessions() {
    let ten_years = (Ts(1_262_304_000_000_000_000), Ts(1_609_459_200_000_000_000));
    let config = Config::embedded_default();
    let settings = config.settings(None, ten_years.0, ten_years.1).unwrap();
    assert_eq!(settings.instruments.len(), 4);
    assert!(settings.instruments.iter().all(|one| one.sessions.as_ref().unwrap().len() > 2_500));
    assert_eq!(canonical::read(&canonical::write(&settings)).unwrap(), settings);
}

#[test]
fn what_the_engine_could_not_hold_is_refused() {
    let good = canonical::write(&Config::embedded_default().settings(None, Ts(0), Ts(0)).unwrap());
    let refused = |part: &str, replacement: &str, expected: &str| {
        assert_eq!(good.matches(part).count(), 1, "{part}");
        let text = good.replacen(part, replacement, 1);
        let found = canonical::read(&text).expect_err(replacement).to_string();
        assert!(found.contains(expected), "{replacement}: {found}");
    };
    refused("orders = 16384", "orders = 16385", "a capacity is out of bounds");
    refused("orders = 16384", "orders = 0", "a capacity is out of bounds");
    refused("executions = 1048576", "executions = 1048577", "a capacity is out of bounds");
    refused("correlation_window = 20", "correlation_window = 2", "a capacity is out of bounds");
    refused("correlation_window = 20", "correlation_window = 65", "a capacity is out of bounds");
    let interval = "checkpoint_interval_slots = 8192";
    let endless = "checkpoint_interval_slots = 9223372036854775807";
    refused(interval, endless, "a capacity is out of bounds");
    refused("margin = true", "margins = true", "unknown field");
    refused("sizing_pct = \"0.04\"", "sizing_pct = \"5%\"", "sizing_pct = \"5%\": not a decimal");
}
