//! Bars from files: the data that comes with the program, exactly; every kind of malformed file, by
//! what is said about it.

use std::fs;
use std::path::{Path, PathBuf};
use trade_engine::contracts::Contracts;
use trade_engine::units::{Price, Ts};
use trade_engine_tools::feed::{Feed, FeedBar, FeedSettings, FeedSource, PriceColumn, price_note};

fn settings(price_column: PriceColumn) -> FeedSettings {
    FeedSettings { price_column, rules: Contracts::standard().session_rules().unwrap() }
}

fn ts(text: &str) -> Ts {
    let time: jiff::Timestamp = text.parse().unwrap();
    Ts(i64::try_from(time.as_nanosecond()).unwrap())
}

fn repository(path: &str) -> FeedSource {
    FeedSource::Path(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path))
}

fn bars_of<'a>(feed: &'a Feed, symbol: &str) -> Vec<&'a FeedBar> {
    let index = feed.symbols.iter().position(|name| name == symbol).unwrap();
    feed.bars.iter().filter(|bar| bar.symbol == index).collect()
}

fn bar(symbol: usize, times: [&str; 2], prices: [&str; 4], volume: i64) -> FeedBar {
    let [open, high, low, close] = prices.map(|text| text.parse::<Price>().unwrap());
    let [ts_open, ts_close] = times.map(ts);
    FeedBar { symbol, ts_open, ts_close, open, high, low, close, volume }
}

#[test]
fn the_embedded_bars_are_all_there_and_exact() {
    let feed = Feed::open(&FeedSource::Embedded, &settings(PriceColumn::BackAdjusted)).unwrap();
    assert_eq!(feed.symbols, ["CL", "ES", "GC", "NQ"]);
    let counts = ["CL", "ES", "GC", "NQ"].map(|symbol| bars_of(&feed, symbol).len());
    assert_eq!(counts, [2520, 2521, 2520, 2521]);
    let first = bar(
        1,
        ["2010-08-31T22:00:00Z", "2010-09-01T21:00:00Z"],
        ["881", "911.75", "880", "911"],
        2_355_074,
    );
    let last = bar(
        1,
        ["2020-08-30T22:00:00Z", "2020-08-31T21:00:00Z"],
        ["3508.5", "3524.5", "3490", "3499"],
        1_444_761,
    );
    let es = bars_of(&feed, "ES");
    assert_eq!((es[0], es[2520]), (&first, &last));
    let last = bar(
        0,
        ["2020-08-30T22:00:00Z", "2020-08-31T21:00:00Z"],
        ["42.91", "43.57", "42.56", "42.61"],
        474_778,
    );
    assert_eq!(bars_of(&feed, "CL")[2519], &last);
    // The one price of the set that is off its contract's tick.
    let off_tick: Price = "1672.9".parse().unwrap();
    assert_eq!(es.iter().filter(|bar| bar.close == off_tick).count(), 1);
    assert_eq!(feed.span(), (ts("2010-08-31T22:00:00Z"), ts("2020-08-31T21:00:00Z")));
}

#[test]
fn every_embedded_bar_has_a_session_of_its_own_and_they_are_in_order() {
    let feed = Feed::open(&FeedSource::Embedded, &settings(PriceColumn::BackAdjusted)).unwrap();
    assert!(
        feed.bars
            .windows(2)
            .all(|pair| { (pair[0].ts_open, pair[0].symbol) < (pair[1].ts_open, pair[1].symbol) })
    );
    for symbol in &feed.symbols {
        let bars = bars_of(&feed, symbol);
        assert!(bars.windows(2).all(|pair| pair[0].ts_close <= pair[1].ts_open), "{symbol}");
    }
    assert_eq!(feed.notes, [price_note(PriceColumn::BackAdjusted)]);
}

#[test]
fn the_directory_gives_what_is_embedded() {
    let settings = settings(PriceColumn::BackAdjusted);
    let embedded = Feed::open(&FeedSource::Embedded, &settings).unwrap();
    assert_eq!(Feed::open(&repository("data/futures_daily"), &settings).unwrap(), embedded);
}

#[test]
fn spliced_bars_are_at_the_level_of_the_day() {
    let feed = Feed::open(&FeedSource::Embedded, &settings(PriceColumn::Spliced)).unwrap();
    let first = bar(
        1,
        ["2010-08-31T22:00:00Z", "2010-09-01T21:00:00Z"],
        ["1051.75", "1082.5", "1050.75", "1081.75"],
        2_355_074,
    );
    assert_eq!(bars_of(&feed, "ES")[0], &first);
    assert_eq!(feed.notes, [price_note(PriceColumn::Spliced)]);
}

#[test]
fn a_date_without_a_session_keeps_its_bar_and_is_counted() {
    let mut contracts = Contracts::standard();
    let calendar = contracts.calendars.get_mut("cme_equity").unwrap();
    calendar.holidays.push("2020-08-28".to_owned());
    let rules = contracts.session_rules().unwrap();
    let settings = FeedSettings { rules, ..FeedSettings::default() };
    let feed = Feed::open(&FeedSource::Embedded, &settings).unwrap();
    let es = bars_of(&feed, "ES");
    assert_eq!(es[2519].ts_open, ts("2020-08-27T22:00:00Z"));
    let note = "ES: 1 of 2521 bars are of dates on which its calendar has no session; they have \
                its usual hours.";
    assert_eq!(feed.notes[1], note);
    // Without any rule, the day in UTC.
    let feed = Feed::open(&FeedSource::Embedded, &FeedSettings::default()).unwrap();
    assert_eq!(bars_of(&feed, "ES")[0].ts_open, ts("2010-09-01T00:00:00Z"));
}

#[test]
fn a_week_of_minutes_plays_the_most_traded_contract() {
    let feed = Feed::open(&repository("data/minute_201310"), &settings(PriceColumn::default()));
    let feed = feed.unwrap();
    assert_eq!(feed.symbols, ["ES", "GC"]);
    let (es, gc) = (bars_of(&feed, "ES"), bars_of(&feed, "GC"));
    assert_eq!(
        (es.len(), gc.len()),
        (1344 + 1372 + 1371 + 1368 + 1253, 1314 + 1377 + 1349 + 1379 + 1268)
    );
    let first = bar(
        0,
        ["2013-10-07T00:00:00Z", "2013-10-07T00:01:00Z"],
        ["1676.5", "1676.5", "1676.5", "1676.5"],
        9,
    );
    let last = bar(
        1,
        ["2013-10-11T21:14:00Z", "2013-10-11T21:15:00Z"],
        ["1272", "1272.5", "1269.5", "1272.5"],
        68,
    );
    assert_eq!((es[0], gc[gc.len() - 1]), (&first, &last));
    assert!(feed.notes[0].starts_with("ES: minute trade bars of the contract of 201312"));
    assert_eq!(feed.notes[2], "ES: 75 of 6708 bars start when its calendar has the market closed.");
    assert_eq!(feed.notes.len(), 4, "{:?}", feed.notes);
}

/// Writes files into a new directory.
fn folder(files: &[(&str, &[u8])]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let path = folder.path().to_path_buf();
    (folder, path)
}

/// Reads one file; the error, without the folder's name.
fn open(name: &str, bytes: &[u8]) -> Result<Feed, String> {
    let (_folder, path) = folder(&[(name, bytes)]);
    let source = FeedSource::Path(path.join(name));
    let prefix = format!("{}/", path.display());
    Feed::open(&source, &settings(PriceColumn::Spliced))
        .map_err(|error| error.to_string().replace(&prefix, ""))
}

fn check(name: &str, bytes: &[u8], expected: &str) {
    let error = open(name, bytes).unwrap_err();
    assert_eq!(error, expected);
}

const DAILY: &str = "Date,Open,High,Low,Close,Spliced,Volume,Open Int\n";
const PLAIN: &str = "time,open,high,low,close,volume\n";

#[test]
fn a_plain_file_reads() {
    let text = "\u{feff}Time,Open,High,Low,Close,Volume\r\n\
                2024-01-02T09:30:00-05:00,1,2,0.5,1.5,10\r\n\
                \"2024-01-02T14:35:00Z\", 1.5, 1.5, 1.5, 1.5, 0\r\n\
                \r\n\
                2024-01-02T14:50:00Z,-1,-1,-2.000000001,-1,0\r\n";
    let feed = open("ABC.csv", text.as_bytes()).unwrap();
    assert_eq!(feed.symbols, ["ABC"]);
    let times = [
        ["2024-01-02T14:30:00Z", "2024-01-02T14:35:00Z"],
        ["2024-01-02T14:35:00Z", "2024-01-02T14:40:00Z"],
        ["2024-01-02T14:50:00Z", "2024-01-02T14:55:00Z"],
    ];
    let expected = [
        bar(0, times[0], ["1", "2", "0.5", "1.5"], 10),
        bar(0, times[1], ["1.5"; 4], 0),
        bar(0, times[2], ["-1", "-1", "-2.000000001", "-1"], 0),
    ];
    assert_eq!(feed.bars, expected);
    assert!(feed.notes.is_empty());
}

#[test]
fn a_malformed_line_is_named() {
    let daily = |line: &str| format!("{DAILY}2014-01-02,1,1,1,1,1,1,1\n{line}\n").into_bytes();
    let fields = "fields; expected 8 fields, Date,Open,High,Low,Close,Spliced,Volume,Open Int";
    check("ES.csv", &daily("2014-01-03,1,1,1,1,1,1"), &format!("ES.csv:3: 7 {fields}"));
    check(
        "ES.csv",
        &daily("2014-02-30,1,1,1,1,1,1,1"),
        "ES.csv:3: date \"2014-02-30\"; expected one such as 2014-12-24",
    );
    check(
        "ES.csv",
        &daily("2014-01-02,1,1,1,1,1,1,1"),
        "ES.csv:3: \"2014-01-02\" is not after the line before; expected ascending times",
    );
    check(
        "ES.csv",
        &daily("2014-01-03,5e-05,1,1,1,1,1,1"),
        "ES.csv:3: open \"5e-05\": not a decimal number; expected a price such as 4512.25",
    );
    check(
        "ES.csv",
        &daily("2014-01-03,1,1,1,0.0000000001,1,1,1"),
        "ES.csv:3: close \"0.0000000001\": more decimals than the unit has; expected a price such \
         as 4512.25",
    );
    check(
        "ES.csv",
        &daily("2014-01-03,1,1,1,1,1000000001,1,1"),
        "ES.csv:3: spliced \"1000000001\": too large; expected a price such as 4512.25",
    );
    check(
        "ES.csv",
        &daily("2014-01-03,1,1,1,2,2,1,1"),
        "ES.csv:3: open 1, high 1, low 1, close 2; expected low <= open, close <= high",
    );
    check(
        "ES.csv",
        &daily("2014-01-03,1,1,1,1,1,-1,1"),
        "ES.csv:3: volume \"-1\"; expected a whole number, zero or more",
    );
    check(
        "ES.csv",
        &daily("9999-12-31,1,1,1,1,1,1,1"),
        "ES.csv:3: date 9999-12-31; expected one between 1678 and 2261",
    );
    check(
        "X.csv",
        format!("{PLAIN}2024-01-02 14:30,1,1,1,1,1\n").as_bytes(),
        "X.csv:2: time \"2024-01-02 14:30\"; expected one such as 2024-01-02T14:30:00Z",
    );
    check(
        "X.csv",
        format!("{PLAIN}2262-04-11T23:47:16Z,1,1,1,1,1\n").as_bytes(),
        "X.csv:2: time \"2262-04-11T23:47:16Z\"; expected one such as 2024-01-02T14:30:00Z",
    );
    check(
        "X.csv",
        &[PLAIN.as_bytes(), b"\n\xff,1,1,1,1,1\n"].concat(),
        "X.csv:3: not text in UTF-8",
    );
}

#[test]
fn a_file_of_no_use_is_named() {
    let header = "unknown header; expected time,open,high,low,close,volume or \
                  Date,Open,High,Low,Close,Spliced,Volume,Open Int";
    check("X.csv", b"a,b,c\n1,2,3\n", &format!("X.csv:1: {header}"));
    check("X.csv", b"", &format!("X.csv:1: {header}"));
    check("X.csv", PLAIN.as_bytes(), "X.csv: holds no bars");
    check("X.csv.gz", b"nonsense", "X.csv.gz: cannot be read: unexpected end of file");
    check(
        "X.txt",
        b"",
        "X.txt: not a data file; expected a name that ends in .csv, .csv.gz or .zip",
    );
    let error = open("X.zip", b"nonsense").unwrap_err();
    assert!(error.starts_with("X.zip: not a zip: "), "{error}");
    let missing = FeedSource::Path(PathBuf::from("no/such/file.csv"));
    let error = Feed::open(&missing, &FeedSettings::default()).unwrap_err().to_string();
    assert!(error.starts_with("no/such/file.csv: No such file"), "{error}");
    let (_folder, path) = folder(&[("LICENSE", b"")]);
    let error = Feed::open(&FeedSource::Path(path), &FeedSettings::default()).unwrap_err();
    assert_eq!(error.problem, "no data file in this directory; expected .csv, .csv.gz or .zip");
}

#[test]
fn two_files_with_bars_of_the_same_time_are_refused() {
    let line = "2014-01-02,1,1,1,1,1,1,1\n";
    let text = format!("{DAILY}{line}");
    let (_folder, path) = folder(&[("ES.csv", text.as_bytes())]);
    fs::create_dir(path.join("more")).unwrap();
    fs::write(path.join("more/ES.csv"), &text).unwrap();
    let error = Feed::open(&FeedSource::Path(path.clone()), &FeedSettings::default()).unwrap_err();
    let error = error.to_string().replace(&format!("{}/", path.display()), "");
    assert_eq!(error, "more/ES.csv:2: ES has bars of the same time in ES.csv");
}

fn zip_of(entries: &[(&str, &str)]) -> Vec<u8> {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in entries {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn a_malformed_minute_file_is_named() {
    let name = "20131007_es_minute_trade_201312.csv";
    let one = |text: &str| zip_of(&[(name, text)]);
    check(
        "X.zip",
        &one("0,1,1,1,1,1\n86400000,1,1,1,1,1\n"),
        &format!(
            "X.zip/{name}:2: time \"86400000\"; expected milliseconds of a day, 0 to 86399999"
        ),
    );
    check(
        "X.zip",
        &one("60000,1,1,1,1,1\n0,1,1,1,1,1\n"),
        &format!("X.zip/{name}:2: \"0\" is not after the line before; expected ascending times"),
    );
    check("X.zip", &one(""), "X.zip: holds no bars");
    let wrong = "not a minute file of a future; expected a name such as \
                 20131007_es_minute_trade_201312.csv";
    for other in ["a.csv", "20131007_spy_minute_trade.csv", "20131307_es_minute_trade_201312.csv"] {
        check("X.zip", &zip_of(&[(other, "")]), &format!("X.zip/{other}: {wrong}"));
    }
    // Quotes are another thing: left out, and said so.
    let quotes = ("20131007_es_minute_quote_201312.csv", "nonsense");
    let feed = open("X.zip", &zip_of(&[quotes, (name, "0,1,1,1,1,1\n")])).unwrap();
    assert_eq!(feed.bars.len(), 1);
    assert_eq!(feed.notes[1], "Files of quotes left out: 1.");
}
