//! The contracts that come with the program, and what is said about a table with a mistake.

use jiff::civil::date;
use trade_engine::calendar::{Date, Time};
use trade_engine::contracts::Contracts;
use trade_engine::instrument::Instrument;
use trade_engine::units::{Money, Price, Ts};

const FROM: Ts = Ts(1_262_304_000_000_000_000); // 2010-01-01
const TO: Ts = Ts(1_798_761_600_000_000_000); // 2027-01-01

fn standard() -> Vec<Instrument> {
    Contracts::standard().instruments(FROM, TO).unwrap()
}

#[test]
fn the_standard_contracts_load() {
    let all = standard();
    let symbols: Vec<&str> = all.iter().map(|instrument| instrument.symbol.as_str()).collect();
    assert_eq!(symbols, ["ES", "NQ", "RTY", "YM", "CL", "GC", "SI", "ZN"]);
    for instrument in &all {
        let sessions = instrument.sessions.as_ref().unwrap();
        // Seventeen years with some 252 to 260 sessions each.
        assert!((17 * 250..17 * 261).contains(&sessions.len()), "{}", instrument.symbol);
        assert!(instrument.initial_margin > instrument.maintenance_margin);
    }
    assert_eq!(all[0].lot_value(), 50_000_000_000);
    assert_eq!(all[0].initial_margin, Some("11880".parse::<Money>().unwrap()));
    assert_eq!(all[7].tick_size, "0.015625".parse::<Price>().unwrap());
    let negative: Vec<bool> = all.iter().map(|instrument| instrument.negative_prices).collect();
    assert_eq!(negative, [false, false, false, false, true, false, false, false]);
}

#[test]
fn the_standard_calendars_know_christmas_and_thanksgiving() {
    let rules = Contracts::standard().session_rules().unwrap();
    let close = |symbol: &str, day: Date| {
        let session = rules[symbol].session_of_trade_date(day)?;
        let close = jiff::Timestamp::from_nanosecond(i128::from(session.close.0)).unwrap();
        let zone = jiff::tz::TimeZoneDatabase::bundled().get("America/New_York").unwrap();
        Some(zone.to_datetime(close).time())
    };
    let at = |hour: i8, minute: i8| Some(Time::constant(hour, minute, 0, 0));
    for symbol in rules.keys() {
        assert_eq!(close(symbol, date(2019, 12, 25)), None, "{symbol}");
        assert_eq!(close(symbol, date(2025, 12, 25)), None, "{symbol}");
        assert_eq!(close(symbol, date(2020, 3, 16)), at(17, 0), "{symbol}");
    }
    assert_eq!(close("ES", date(2019, 11, 28)), at(13, 0));
    assert_eq!(close("ES", date(2019, 11, 29)), at(13, 15));
    assert_eq!(close("CL", date(2019, 11, 29)), at(13, 45));
    assert_eq!(close("ZN", date(2019, 11, 28)), at(13, 0));
    assert_eq!(close("GC", date(2019, 11, 28)), None);
    assert_eq!(close("ES", date(2012, 10, 30)), at(17, 0));
    assert_eq!(close("ES", date(2018, 12, 5)), None);
    assert_eq!(close("CL", date(2018, 12, 5)), at(17, 0));
}

#[test]
fn what_is_written_reads_back() {
    let contracts = Contracts::standard();
    let text = toml::to_string(&contracts).unwrap();
    assert_eq!(Contracts::from_toml(&text).unwrap(), contracts);
}

/// Checks what is said about a text of which one part is replaced.
fn check(part: &str, replacement: &str, expected: &str) {
    const GOOD: &str = r#"
[[instruments]]
symbol = "ES"
tick_size = "0.25"
lot_size = "0.5"
multiplier = "50"
min_qty = "1"
max_qty = "10"
initial_margin = "100"
calendar = "week"

[calendars.week]
timezone = "America/Chicago"
open = "17:00"
close = "16:00"
days = ["Sun", "Mon"]
holidays = ["2014-12-25"]
early_closes = { 2014-12-23 = "12:00" }
"#;
    let good = Contracts::from_toml(GOOD).unwrap().instruments(FROM, TO).unwrap();
    assert_eq!(good[0].max_qty.unwrap().0, 20);
    assert!(GOOD.contains(part), "{part}");
    let wrong = GOOD.replacen(part, replacement, 1);
    let found = Contracts::from_toml(&wrong).and_then(|it| it.instruments(FROM, TO)).unwrap_err();
    let found = found.to_string();
    assert!(found.contains(expected), "{replacement}: found\n{found}\nexpected\n{expected}");
}

#[test]
fn a_mistake_is_named_by_its_key() {
    check("tick_size", "tick_sizes", "unknown field `tick_sizes`");
    check("\"0.25\"", "0.25", "expected a string");
    check("\"0.25\"", "\"a\"", "instruments[0].tick_size: \"a\": not a decimal number");
    check("\"0.25\"", "\"2.5e-1\"", "instruments[0].tick_size: \"2.5e-1\": not a decimal");
    check("\"0.25\"", "\"0\"", "instruments[0].tick_size: tick_size must be above zero");
    check("\"0.5\"", "\"-1\"", "instruments[0].lot_size: lot_size must be above zero");
    check(
        "\"50\"",
        "\"0.0000000001\"",
        "instruments[0].multiplier: \"0.0000000001\": more decimals",
    );
    check("\"50\"", "\"0.000000001\"", "lot_size x multiplier must have at most nine decimals");
    check("\"ES\"", "\"E S\"", "instruments[0].symbol: \"E S\"; expected a name");
    check(
        "max_qty = \"10\"",
        "max_qty = \"0.3\"",
        "max_qty: \"0.3\" is not a whole number of lots",
    );
    check("max_qty = \"10\"", "max_qty = \"0.5\"", "instruments[0].max_qty: is below min_qty");
    check("\"100\"", "\"-5\"", "instruments[0].initial_margin: -5; expected zero or more");
    check("\"week\"", "\"weak\"", "instruments[0].calendar: no calendar \"weak\"; there is: week");
    check("America", "Amerika", "calendars.week.timezone: \"Amerika/Chicago\": no such time zone");
    check("17:00", "5pm", "calendars.week.open: \"5pm\"; expected a time of day");
    check("16:00", "16", "calendars.week.close: \"16\"; expected a time of day");
    check("\"Sun\", \"Mon\"", "\"Sunday\"", "calendars.week.days: \"Sunday\"; expected Mon");
    check("\"Sun\", \"Mon\"", "", "calendars.week.days: no days");
    check("2014-12-25", "2014-02-30", "calendars.week.holidays: \"2014-02-30\"; expected a date");
    check("12:00", "noon", "calendars.week.early_closes.2014-12-23: \"noon\"");
    check("2014-12-23", "2014-12-25", "2014-12-25 is a holiday and has an early close");
    check(
        "calendar =",
        "session = { timezone = \"\", open = \"\", close = \"\", days = [] }\ncalendar =",
        "has both a calendar and a session",
    );
}

/// The source table, where it is present, agrees with what was copied from it by hand.
#[test]
fn ticks_and_multipliers_agree_with_their_source() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/lean_reference");
    let path = format!("{root}/symbol-properties-excerpt.csv");
    let Ok(table) = std::fs::read_to_string(&path) else {
        println!("skipped: {path} is not there");
        return;
    };
    let mut seen = 0;
    for instrument in standard() {
        let is_row =
            |row: &Vec<&str>| row.len() > 6 && row[1] == instrument.symbol && row[2] == "future";
        let mut rows = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let row = rows.find(is_row).expect("in the table");
        assert_eq!(row[4], instrument.currency);
        assert_eq!(row[5].parse::<Price>().unwrap().0, instrument.multiplier, "{row:?}");
        assert_eq!(row[6].parse::<Price>().unwrap(), instrument.tick_size, "{row:?}");
        let margins = std::fs::read_to_string(format!("{root}/margins/{}.csv", instrument.symbol));
        let margins = margins.unwrap();
        let last: Vec<&str> = margins.trim_end().lines().last().unwrap().split(',').collect();
        assert_eq!(instrument.initial_margin, last[1].parse().ok(), "{last:?}");
        assert_eq!(instrument.maintenance_margin, last[2].parse().ok(), "{last:?}");
        seen += 1;
    }
    assert_eq!(seen, 8);
}
