//! Trading sessions and day rolls: local opening hours turned into UTC instants when a
//! configuration is loaded. The core sees only the instants; the zone rules are the ones bundled
//! with the program, never the system's, so that a log replays alike on every machine.
//!
//! Three words. A session *opens* on one of the rule's days. Where it closes at or before the time
//! of day at which it opened, it closes on the next day. Its *trade date* is the date of its close:
//! the ES session that opens on Sunday at 17:00 in Chicago is Monday's. Holidays and early closes
//! are given by trade date.
//!
//! A local time that the clock passes twice (autumn) means the first pass. One that the clock jumps
//! over (spring) means the instant of the jump. Both keep the order of local times, so that no rule
//! can yield overlapping sessions; a session that would lie wholly inside a jump does not exist.

use crate::instrument::OpenInterval;
use crate::limits::CALENDAR_DAYS_MAX;
use crate::units::Ts;
use jiff::Timestamp;
use jiff::civil::DateTime;
pub use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Why a calendar cannot be built or expanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalendarError {
    /// The zone database has no zone of this name.
    UnknownTimeZone,
    /// No day of the week on which a session opens.
    NoDays,
    /// An early close for a date on which the rule closes no session at all.
    EarlyCloseWithoutSession(Date),
    /// An early close that is not inside its session.
    EarlyCloseOutside {
        /// Trade date of the session.
        date: Date,
        /// The early close, local time.
        time: Time,
    },
    /// A date that is a holiday and has an early close.
    HolidayWithEarlyClose(Date),
    /// The first instant of a range is after its last.
    RangeReversed,
    /// A range of more than [`CALENDAR_DAYS_MAX`] days.
    RangeTooLong,
    /// An instant outside what 64 bits of nanoseconds hold (1677 to 2262).
    OutOfRange,
}

impl fmt::Display for CalendarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownTimeZone => f.write_str(
                "no such time zone in the zone database; expected a name such as America/Chicago",
            ),
            Self::NoDays => f.write_str("no days; expected at least one on which a session opens"),
            Self::EarlyCloseWithoutSession(date) => {
                write!(f, "early close on {date}, a date on which no session closes")
            }
            Self::EarlyCloseOutside { date, time } => write!(
                f,
                "early close on {date} at {time}, which is not between the open and the close"
            ),
            Self::HolidayWithEarlyClose(date) => {
                write!(f, "{date} is a holiday and has an early close; expected one of the two")
            }
            Self::RangeReversed => f.write_str("the range ends before it starts"),
            Self::RangeTooLong => {
                write!(f, "the range is longer than {CALENDAR_DAYS_MAX} days")
            }
            Self::OutOfRange => f.write_str("a date outside the years 1677 to 2262"),
        }
    }
}

impl std::error::Error for CalendarError {}

/// When a market is open, in local time. Built by [`SessionRule::new`].
#[derive(Clone, Debug)]
pub struct SessionRule {
    zone: TimeZone,
    open: Time,
    close: Time,
    /// Indexed by days since Monday: whether a session opens.
    opens_on: [bool; 7],
    holidays: BTreeSet<Date>,
    early_closes: BTreeMap<Date, Time>,
}

impl SessionRule {
    /// Sessions from `open` to `close`, local time of `timezone` (IANA name), opening on `days`.
    ///
    /// # Errors
    /// [`CalendarError::UnknownTimeZone`], [`CalendarError::NoDays`].
    ///
    /// ```
    /// use trade_engine::calendar::{Date, SessionRule, Time, Weekday};
    /// let days = [Weekday::Sunday, Weekday::Monday, Weekday::Tuesday];
    /// let (open, close) = (Time::constant(17, 0, 0, 0), Time::constant(16, 0, 0, 0));
    /// let rule = SessionRule::new("America/Chicago", open, close, &days)?;
    /// let monday = Date::constant(2026, 3, 9);
    /// let session = rule.session_of_trade_date(monday).expect("opens on Sunday");
    /// assert_eq!(rule.trade_date_of(session), Some(monday));
    /// # Ok::<(), trade_engine::calendar::CalendarError>(())
    /// ```
    pub fn new(
        timezone: &str,
        open: Time,
        close: Time,
        days: &[Weekday],
    ) -> Result<Self, CalendarError> {
        let zone = zone(timezone)?;
        if days.is_empty() {
            return Err(CalendarError::NoDays);
        }
        let mut opens_on = [false; 7];
        for day in days {
            opens_on[day_index(*day)] = true;
        }
        let (holidays, early_closes) = (BTreeSet::new(), BTreeMap::new());
        Ok(Self { zone, open, close, opens_on, holidays, early_closes })
    }

    /// The same rule with exceptions, by trade date: no session on `holidays`, and an earlier local
    /// time of the close on `early_closes`. A holiday on a date without a session is harmless
    /// (lists of holidays contain Saturdays); an early close there is a mistake.
    ///
    /// # Errors
    /// [`CalendarError::HolidayWithEarlyClose`], [`CalendarError::EarlyCloseWithoutSession`],
    /// [`CalendarError::EarlyCloseOutside`].
    pub fn with_exceptions(
        mut self,
        holidays: BTreeSet<Date>,
        early_closes: BTreeMap<Date, Time>,
    ) -> Result<Self, CalendarError> {
        for (&date, &time) in &early_closes {
            if holidays.contains(&date) {
                return Err(CalendarError::HolidayWithEarlyClose(date));
            }
            if !self.opens_for(date) {
                return Err(CalendarError::EarlyCloseWithoutSession(date));
            }
            let after_open = self.closes_next_day() || self.open < time;
            if !after_open || time > self.close {
                return Err(CalendarError::EarlyCloseOutside { date, time });
            }
        }
        self.holidays = holidays;
        self.early_closes = early_closes;
        Ok(self)
    }

    /// Every session that overlaps `from <= t < to`, whole, in order and disjoint.
    ///
    /// # Errors
    /// [`CalendarError::RangeReversed`], [`CalendarError::RangeTooLong`],
    /// [`CalendarError::OutOfRange`].
    pub fn expand(&self, from: Ts, to: Ts) -> Result<Vec<OpenInterval>, CalendarError> {
        let mut sessions: Vec<OpenInterval> = Vec::new();
        for date in dates_around(&self.zone, from, to)? {
            let Some(session) = self.session_of_trade_date(date) else { continue };
            if session.close <= from || session.open >= to {
                continue;
            }
            assert!(sessions.last().is_none_or(|last| last.close <= session.open));
            sessions.push(session);
        }
        Ok(sessions)
    }

    /// The session that closes on this date, early close included; `None` on a holiday, on a date
    /// that the rule's days leave out, and outside the years 1677 to 2262.
    pub fn session_of_trade_date(&self, date: Date) -> Option<OpenInterval> {
        if !self.opens_for(date) || self.holidays.contains(&date) {
            return None;
        }
        let close = self.early_closes.get(&date).copied().unwrap_or(self.close);
        self.interval(date, close)
    }

    /// The usual hours of this trade date, whatever the days, holidays and early closes say: for
    /// data that shows trading where the calendar has none. `None` outside the years 1677 to 2262,
    /// and where the clock jumps over the whole session.
    pub fn usual_hours(&self, date: Date) -> Option<OpenInterval> {
        self.interval(date, self.close)
    }

    /// The trade date of a session: the local date of its close. `None` where the close is no date.
    pub fn trade_date_of(&self, session: OpenInterval) -> Option<Date> {
        Some(local(&self.zone, session.close).ok()?.date())
    }

    fn closes_next_day(&self) -> bool {
        self.close <= self.open
    }

    fn open_date(&self, trade_date: Date) -> Option<Date> {
        if self.closes_next_day() { trade_date.yesterday().ok() } else { Some(trade_date) }
    }

    fn opens_for(&self, trade_date: Date) -> bool {
        self.open_date(trade_date).is_some_and(|date| self.opens_on[day_index(date.weekday())])
    }

    fn interval(&self, trade_date: Date, close: Time) -> Option<OpenInterval> {
        let open = self.open_date(trade_date)?.to_datetime(self.open);
        let open = instant(&self.zone, open).ok()?;
        let close = instant(&self.zone, trade_date.to_datetime(close)).ok()?;
        (open < close).then_some(OpenInterval { open, close })
    }
}

/// When the trading day of an account rolls: one local time of every day.
#[derive(Clone, Debug)]
pub struct DayRoll {
    zone: TimeZone,
    time: Time,
}

impl DayRoll {
    /// A roll at `time`, local time of `timezone` (IANA name).
    ///
    /// # Errors
    /// [`CalendarError::UnknownTimeZone`].
    pub fn new(timezone: &str, time: Time) -> Result<Self, CalendarError> {
        Ok(Self { zone: zone(timezone)?, time })
    }

    /// Every roll in `from <= t < to`, ascending.
    ///
    /// # Errors
    /// [`CalendarError::RangeReversed`], [`CalendarError::RangeTooLong`],
    /// [`CalendarError::OutOfRange`].
    pub fn instants(&self, from: Ts, to: Ts) -> Result<Vec<Ts>, CalendarError> {
        let mut rolls: Vec<Ts> = Vec::new();
        for date in dates_around(&self.zone, from, to)? {
            let roll = instant(&self.zone, date.to_datetime(self.time))?;
            // Where the clock jumps over a whole day, two dates roll at the same instant.
            let is_new = rolls.last().is_none_or(|&last| last < roll);
            if is_new && from <= roll && roll < to {
                rolls.push(roll);
            }
        }
        Ok(rolls)
    }

    /// The first roll after `t`, `t` itself excluded.
    ///
    /// # Errors
    /// [`CalendarError::OutOfRange`].
    pub fn next_after(&self, t: Ts) -> Result<Ts, CalendarError> {
        let mut date = local(&self.zone, t)?.date();
        // Today's roll may have passed; tomorrow's may be the same instant, if a day is jumped
        // over.
        for _ in 0..3 {
            let roll = instant(&self.zone, date.to_datetime(self.time))?;
            if roll > t {
                return Ok(roll);
            }
            date = date.tomorrow().map_err(|_| CalendarError::OutOfRange)?;
        }
        Err(CalendarError::OutOfRange)
    }
}

fn zone(name: &str) -> Result<TimeZone, CalendarError> {
    TimeZoneDatabase::bundled().get(name).map_err(|_| CalendarError::UnknownTimeZone)
}

/// Days since Monday.
const fn day_index(day: Weekday) -> usize {
    match day {
        Weekday::Monday => 0,
        Weekday::Tuesday => 1,
        Weekday::Wednesday => 2,
        Weekday::Thursday => 3,
        Weekday::Friday => 4,
        Weekday::Saturday => 5,
        Weekday::Sunday => 6,
    }
}

/// The local dates of a range and one more on each side: a session that overlaps the range closes
/// on the day after its last date at the latest.
fn dates_around(
    zone: &TimeZone,
    from: Ts,
    to: Ts,
) -> Result<impl Iterator<Item = Date>, CalendarError> {
    if from > to {
        return Err(CalendarError::RangeReversed);
    }
    let first = local(zone, from)?.date().yesterday().map_err(|_| CalendarError::OutOfRange)?;
    let last = local(zone, to)?.date().tomorrow().map_err(|_| CalendarError::OutOfRange)?;
    let days = first.duration_until(last).as_hours() / 24;
    if days > CALENDAR_DAYS_MAX {
        return Err(CalendarError::RangeTooLong);
    }
    Ok(first.series(jiff::Span::new().days(1)).take_while(move |date| *date <= last))
}

fn local(zone: &TimeZone, t: Ts) -> Result<DateTime, CalendarError> {
    let timestamp = Timestamp::from_nanosecond(i128::from(t.0));
    Ok(zone.to_datetime(timestamp.map_err(|_| CalendarError::OutOfRange)?))
}

/// The instant of a local time: the first of two, or the jump that leaves the time out.
fn instant(zone: &TimeZone, datetime: DateTime) -> Result<Ts, CalendarError> {
    let ambiguous = zone.to_ambiguous_timestamp(datetime);
    let in_gap = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
    // In a gap this is before the jump, by less than the jump's length.
    let earlier = ambiguous.earlier().map_err(|_| CalendarError::OutOfRange)?;
    let timestamp = if in_gap {
        let jump = zone.following(earlier).next().expect("a gap has a transition that makes it");
        jump.timestamp()
    } else {
        earlier
    };
    let ns = i64::try_from(timestamp.as_nanosecond()).map_err(|_| CalendarError::OutOfRange)?;
    Ok(Ts(ns))
}
