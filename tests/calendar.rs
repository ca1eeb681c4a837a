//! Sessions and day rolls: against dates worked out by hand, and against a naive twin that asks of
//! every minute of a month whether the market is open.

use jiff::Timestamp;
use jiff::civil::{Date, Time, Weekday, date, time};
use jiff::tz::TimeZoneDatabase;
use std::collections::{BTreeMap, BTreeSet};
use trade_engine::calendar::{CalendarError, DayRoll, SessionRule};
use trade_engine::instrument::OpenInterval;
use trade_engine::units::Ts;

const SUN_TO_THU: [Weekday; 5] =
    [Weekday::Sunday, Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday];

fn ts(text: &str) -> Ts {
    let timestamp: Timestamp = text.parse().unwrap();
    Ts(i64::try_from(timestamp.as_nanosecond()).unwrap())
}

fn es() -> SessionRule {
    SessionRule::new("America/Chicago", time(17, 0, 0, 0), time(16, 0, 0, 0), &SUN_TO_THU).unwrap()
}

/// Checks the sessions that overlap a range, each as `open close`.
fn check(rule: &SessionRule, from: &str, to: &str, expected: &[(&str, &str)]) {
    let found = rule.expand(ts(from), ts(to)).unwrap();
    let expected: Vec<_> = expected
        .iter()
        .map(|(open, close)| OpenInterval { open: ts(open), close: ts(close) })
        .collect();
    assert_eq!(found, expected, "{from} .. {to}");
}

#[test]
fn es_hours_move_with_daylight_saving_time() {
    // The clock in Chicago goes forward on 2014-03-09 and back on 2014-11-02.
    check(
        &es(),
        "2014-03-06T23:00:00Z",
        "2014-03-11T00:00:00Z",
        &[
            ("2014-03-06T23:00:00Z", "2014-03-07T22:00:00Z"),
            ("2014-03-09T22:00:00Z", "2014-03-10T21:00:00Z"),
            ("2014-03-10T22:00:00Z", "2014-03-11T21:00:00Z"),
        ],
    );
    check(
        &es(),
        "2014-10-30T22:00:00Z",
        "2014-11-04T00:00:00Z",
        &[
            ("2014-10-30T22:00:00Z", "2014-10-31T21:00:00Z"),
            ("2014-11-02T23:00:00Z", "2014-11-03T22:00:00Z"),
            ("2014-11-03T23:00:00Z", "2014-11-04T22:00:00Z"),
        ],
    );
    // In 2026: 8 March and 1 November.
    check(
        &es(),
        "2026-03-06T00:00:00Z",
        "2026-03-09T12:00:00Z",
        &[
            ("2026-03-05T23:00:00Z", "2026-03-06T22:00:00Z"),
            ("2026-03-08T22:00:00Z", "2026-03-09T21:00:00Z"),
        ],
    );
    check(
        &es(),
        "2026-10-30T00:00:00Z",
        "2026-11-02T12:00:00Z",
        &[
            ("2026-10-29T22:00:00Z", "2026-10-30T21:00:00Z"),
            ("2026-11-01T23:00:00Z", "2026-11-02T22:00:00Z"),
        ],
    );
}

#[test]
fn a_holiday_takes_the_session_that_would_close_on_it() {
    let early = BTreeMap::from([(date(2014, 12, 24), time(12, 15, 0, 0))]);
    let rule = es().with_exceptions(BTreeSet::from([date(2014, 12, 25)]), early).unwrap();
    check(
        &rule,
        "2014-12-23T23:00:00Z",
        "2014-12-27T00:00:00Z",
        &[
            ("2014-12-23T23:00:00Z", "2014-12-24T18:15:00Z"),
            // Nothing opens on the 24th; the 25th opens for the trade date of the 26th.
            ("2014-12-25T23:00:00Z", "2014-12-26T22:00:00Z"),
        ],
    );
    assert_eq!(rule.session_of_trade_date(date(2014, 12, 25)), None);
    assert!(rule.usual_hours(date(2014, 12, 25)).is_some());
}

#[test]
fn a_range_takes_every_session_that_overlaps_it() {
    let friday = ("2014-06-05T22:00:00Z", "2014-06-06T21:00:00Z");
    check(&es(), "2014-06-06T20:59:59.999999999Z", "2014-06-06T21:00:00Z", &[friday]);
    check(&es(), "2014-06-06T21:00:00Z", "2014-06-08T22:00:00Z", &[]);
    check(&es(), "2014-06-05T22:00:00Z", "2014-06-05T22:00:00Z", &[]);
    check(&es(), "2014-06-05T21:59:59Z", "2014-06-05T22:00:00.000000001Z", &[friday]);
}

#[test]
fn the_trade_date_is_the_date_of_the_close() {
    let rule = es();
    let sunday = ts("2014-06-08T22:00:00Z");
    let session = rule.session_of_trade_date(date(2014, 6, 9)).unwrap();
    assert_eq!(session.open, sunday);
    assert_eq!(rule.trade_date_of(session), Some(date(2014, 6, 9)));
    assert_eq!(rule.session_of_trade_date(date(2014, 6, 8)), None); // Saturday is no opening day
    let shares = SessionRule::new(
        "America/New_York",
        time(9, 30, 0, 0),
        time(16, 0, 0, 0),
        &[Weekday::Monday],
    );
    let shares = shares.unwrap();
    let session = shares.session_of_trade_date(date(2014, 6, 9)).unwrap();
    assert_eq!(session.open, ts("2014-06-09T13:30:00Z"));
    assert_eq!(shares.trade_date_of(session), Some(date(2014, 6, 9)));
}

#[test]
fn local_times_that_come_twice_or_never_are_settled() {
    // New York 2014: 02:30 does not exist on 9 March (07:00Z is the jump), 01:30 comes twice on
    // 2 November (05:30Z and 06:30Z).
    let at = |open: Time, close: Time| {
        SessionRule::new("America/New_York", open, close, &[Weekday::Sunday]).unwrap()
    };
    let morning = at(time(1, 30, 0, 0), time(2, 30, 0, 0));
    check(
        &morning,
        "2014-03-09T00:00:00Z",
        "2014-03-10T00:00:00Z",
        &[("2014-03-09T06:30:00Z", "2014-03-09T07:00:00Z")],
    );
    check(
        &morning,
        "2014-11-02T00:00:00Z",
        "2014-11-03T00:00:00Z",
        &[("2014-11-02T05:30:00Z", "2014-11-02T07:30:00Z")],
    );
    // A session inside the jump does not exist.
    check(
        &at(time(2, 10, 0, 0), time(2, 50, 0, 0)),
        "2014-03-09T00:00:00Z",
        "2014-03-10T00:00:00Z",
        &[],
    );
}

#[test]
fn mistakes_are_named() {
    let (open, close) = (time(17, 0, 0, 0), time(16, 0, 0, 0));
    let unknown = SessionRule::new("America/Gotham", open, close, &SUN_TO_THU);
    assert_eq!(unknown.unwrap_err(), CalendarError::UnknownTimeZone);
    let none = SessionRule::new("UTC", open, close, &[]);
    assert_eq!(none.unwrap_err(), CalendarError::NoDays);
    let early =
        |day: Date, at: Time| es().with_exceptions(BTreeSet::new(), BTreeMap::from([(day, at)]));
    let saturday = date(2014, 6, 7);
    let refused = early(saturday, time(12, 0, 0, 0)).unwrap_err();
    assert_eq!(refused, CalendarError::EarlyCloseWithoutSession(saturday));
    let refused = early(date(2014, 6, 6), time(16, 30, 0, 0)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "early close on 2014-06-06 at 16:30:00, which is not between the open and the close"
    );
    let friday = date(2014, 6, 6);
    let both = es()
        .with_exceptions(BTreeSet::from([friday]), BTreeMap::from([(friday, time(12, 0, 0, 0))]));
    assert_eq!(both.unwrap_err(), CalendarError::HolidayWithEarlyClose(friday));
    assert_eq!(es().expand(Ts(1), Ts(0)), Err(CalendarError::RangeReversed));
    assert_eq!(es().expand(Ts(i64::MIN), Ts(i64::MAX)), Err(CalendarError::RangeTooLong));
    assert!(es().expand(Ts(i64::MAX - 1), Ts(i64::MAX)).is_ok());
    assert!(DayRoll::new("UTC", open).unwrap().next_after(Ts(i64::MAX)).is_err());
}

/// Whether ES is open at a minute, straight from the words of the rule.
fn naive_open(
    minute: Timestamp,
    zone: &jiff::tz::TimeZone,
    holidays: &BTreeSet<Date>,
    early: &BTreeMap<Date, Time>,
) -> bool {
    let local = zone.to_datetime(minute);
    let (today, tomorrow) = (local.date(), local.date().tomorrow().unwrap());
    let yesterday = today.yesterday().unwrap();
    let close = early.get(&today).copied().unwrap_or(time(16, 0, 0, 0));
    let from_yesterday = SUN_TO_THU.contains(&yesterday.weekday())
        && !holidays.contains(&today)
        && local.time() < close;
    let from_today = SUN_TO_THU.contains(&today.weekday())
        && !holidays.contains(&tomorrow)
        && local.time() >= time(17, 0, 0, 0);
    from_yesterday || from_today
}

#[test]
fn every_minute_of_four_months_agrees_with_the_naive_twin() {
    let holidays = BTreeSet::from([date(2014, 3, 5), date(2014, 11, 27), date(2026, 3, 10)]);
    let early = BTreeMap::from([
        (date(2014, 3, 10), time(12, 15, 0, 0)),
        (date(2014, 11, 28), time(0, 0, 0, 0)),
        (date(2026, 11, 26), time(12, 0, 0, 0)),
    ]);
    let rule = es().with_exceptions(holidays.clone(), early.clone()).unwrap();
    let zone = TimeZoneDatabase::bundled().get("America/Chicago").unwrap();
    for month in ["2014-03", "2014-11", "2026-03", "2026-11"] {
        let from = ts(&format!("{month}-01T00:00:00Z"));
        let minutes = 31 * 24 * 60;
        let to = Ts(from.0 + minutes * 60_000_000_000);
        let sessions = rule.expand(from, to).unwrap();
        for minute in 0..minutes {
            let t = Ts(from.0 + minute * 60_000_000_000);
            let open = sessions.iter().any(|session| session.open <= t && t < session.close);
            let stamp = Timestamp::from_nanosecond(i128::from(t.0)).unwrap();
            assert_eq!(open, naive_open(stamp, &zone, &holidays, &early), "{stamp}");
        }
    }
}

/// SplitMix64: enough randomness for a test, the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }

    fn time_of_day(&mut self) -> Time {
        let mut draw = |bound: u64| i8::try_from(self.below(bound)).unwrap();
        time(draw(24), draw(4) * 15, 0, 0)
    }
}

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn random_rules_give_ordered_disjoint_sessions_and_rolls() {
    let (seed, runs) = (variable("SEED", 1), variable("RUNS", 200));
    println!("SEED={seed} RUNS={runs} cargo test --test calendar random_rules");
    // Half-hour jumps, jumps at midnight, a whole day left out (Apia, 2011-12-30), none at all.
    let zones =
        ["America/Chicago", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia", "UTC"];
    let mut random = Random(seed);
    for run in 0..runs {
        let name = zones[usize::try_from(random.below(5)).unwrap()];
        let (open, close) = (random.time_of_day(), random.time_of_day());
        let days: Vec<Weekday> = SUN_TO_THU.into_iter().filter(|_| random.below(3) > 0).collect();
        let days = if days.is_empty() { vec![Weekday::Friday] } else { days };
        let rule = SessionRule::new(name, open, close, &days).unwrap();
        let (from, to) = (ts("2011-01-01T00:00:00Z"), ts("2012-02-01T00:00:00Z"));
        let sessions = rule.expand(from, to).unwrap();
        let label = format!("run {run}: {name} {open} {close} {days:?}");
        assert!(!sessions.is_empty(), "{label}");
        assert!(sessions.iter().all(|s| s.open < s.close), "{label}");
        assert!(sessions.windows(2).all(|pair| pair[0].close <= pair[1].open), "{label}");
        let roll = DayRoll::new(name, open).unwrap();
        let rolls = roll.instants(from, to).unwrap();
        assert!(rolls.windows(2).all(|pair| pair[0] < pair[1]), "{label}");
        let mut walked = Vec::new();
        let mut at = roll.next_after(Ts(from.0 - 1)).unwrap();
        while at < to {
            walked.push(at);
            at = roll.next_after(at).unwrap();
        }
        assert_eq!(rolls, walked, "{label}");
    }
}

#[test]
fn the_day_rolls_at_the_local_time_of_every_day() {
    let roll = DayRoll::new("America/Chicago", time(17, 0, 0, 0)).unwrap();
    let rolls = roll.instants(ts("2014-03-07T23:00:00Z"), ts("2014-03-10T22:00:00Z")).unwrap();
    let expected = ["2014-03-07T23:00:00Z", "2014-03-08T23:00:00Z", "2014-03-09T22:00:00Z"];
    assert_eq!(rolls, expected.map(ts));
    assert_eq!(roll.next_after(rolls[0]).unwrap(), rolls[1]);
    assert_eq!(roll.next_after(Ts(rolls[0].0 - 1)).unwrap(), rolls[0]);
}
