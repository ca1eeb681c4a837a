//! Times of a scenario: RFC 3339 with up to nine fractional digits.

use jiff::Timestamp;
use trade_engine::units::Ts;

/// Where time starts in a scenario whose steps do not say: 2026-01-05T15:00:00Z, a Monday. The first
/// step is at this time, the next a millisecond later.
pub(super) const START: Ts = Ts(1_767_625_200_000_000_000);

/// What a text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    At(Ts),
    /// Before the year 1677.
    TooEarly,
    /// After the year 2262.
    TooLate,
}

/// Reads a time; `None` for a text of any other form.
pub(super) fn parse(text: &str) -> Option<Time> {
    if !is_rfc3339(text) {
        return None;
    }
    let (year, rest) = text.split_at_checked(4)?;
    let year: u16 = year.parse().ok()?;
    if !(1600..2400).contains(&year) {
        // Out of range by far, and at either end past what the library reads. The calendar comes
        // round every 400 years: whether there is such a day is asked of a year that it does read.
        let alike = format!("{}{rest}", 2000 + year % 400);
        alike.parse::<Timestamp>().ok()?;
        return Some(if year < 1600 { Time::TooEarly } else { Time::TooLate });
    }
    let time: Timestamp = text.parse().ok()?;
    let nanos = time.as_nanosecond();
    Some(match i64::try_from(nanos) {
        Ok(nanos) => Time::At(Ts(nanos)),
        Err(_) if nanos < 0 => Time::TooEarly,
        Err(_) => Time::TooLate,
    })
}

/// Prints a time.
pub(super) fn text(ts: Ts) -> String {
    let time = Timestamp::from_nanosecond(i128::from(ts.0));
    time.map_or_else(|_| ts.0.to_string(), |time| time.to_string())
}

/// The library reads more forms than the standard has.
fn is_rfc3339(text: &str) -> bool {
    let matches = |text: &str, form: &str| {
        text.len() == form.len()
            && text.bytes().zip(form.bytes()).all(|(byte, form)| match form {
                b'9' => byte.is_ascii_digit(),
                form => byte.eq_ignore_ascii_case(&form),
            })
    };
    let Some((head, rest)) = text.split_at_checked("2026-01-05T15:00:00".len()) else {
        return false;
    };
    let zone = match rest.strip_prefix('.') {
        Some(behind) => {
            let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
            if !(1..=9).contains(&digits) {
                return false;
            }
            &behind[digits..]
        }
        None => rest,
    };
    let zoned = ["Z", "+99:99", "-99:99"].iter().any(|form| matches(zone, form));
    zoned && matches(head, "9999-99-99T99:99:99")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_what_the_format_says() {
        assert_eq!(parse("2026-01-05T15:00:00Z"), Some(Time::At(START)));
        assert_eq!(text(START), "2026-01-05T15:00:00Z");
    }

    #[test]
    fn only_the_standard_form_reads() {
        let at = |nanos: i64| Some(Time::At(Ts(START.0 + nanos)));
        assert_eq!(parse("2026-01-05T15:00:00.000000001Z"), at(1));
        assert_eq!(parse("2026-01-05T16:00:00.5+01:00"), at(500_000_000));
        assert_eq!(parse("1500-01-01T00:00:00Z"), Some(Time::TooEarly));
        assert_eq!(parse("0000-01-01T00:00:00Z"), Some(Time::TooEarly));
        assert_eq!(parse("2300-01-01T00:00:00Z"), Some(Time::TooLate));
        // "Until further notice", as it is often written.
        assert_eq!(parse("9999-12-31T23:59:59Z"), Some(Time::TooLate));
        assert_eq!(parse("9999-12-31T23:59:59.999999999-23:59"), Some(Time::TooLate));
        assert_eq!(parse("9600-02-29T00:00:00Z"), Some(Time::TooLate));
        let wrong = [
            "",
            "2026-01-05",
            "2026-01-05T15:00:00",
            "2026-01-05 15:00:00Z",
            "2026-01-05T15:00:00.Z",
            "2026-01-05T15:00:00.1234567890Z",
            "2026-01-05T15:00:00Z[UTC]",
            "2026-13-05T15:00:00Z",
            "9999-02-29T00:00:00Z",
            "9999-12-31T24:00:00Z",
            "2026-01-05T15:00Z",
            "2026-01-05T15:00:00+0100",
        ];
        for text in wrong {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
