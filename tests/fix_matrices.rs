//! The FIX order state change matrices as tables: `tests/fix/*.txt`, a file a group, a block a
//! matrix, a line a row, played by the real core. A title has the numbers of FIX 4.2 appendix D (D1
//! to D37) and of 4.4 and 5.0 SP2 (A to L). The figures are those that 4.4 and 5.0 SP2 share; where
//! 4.2 is known to differ (D13, D31) it has a block of its own.
//!
//! ```text
//! D5 B.1.c  cancel of an order that fills before the cancel can be accepted
//!   4       cancel Y,X                 PendingCancel   10000  2000  8000
//!   4       X fill 3000                PendingCancel   10000  5000  5000
//!   FIX     asked                      PartiallyFilled 10000  5000  5000
//!   5    or Y,X cancel_rejected        PartiallyFilled 10000  5000  5000
//!   5       Y,X pending_cancel         PendingCancel   10000  5000  5000
//! ```
//!
//! The time is FIX's own; FIX gives no status where the buying side asks. Then the step, and what
//! the order must be after it: `OrdStatus`, `OrderQty`, `CumQty`, `LeavesQty`; if it matters,
//! `avg PRICE`; if there is one, `refused CODE` or `anomaly CODE`.
//!
//! - `or` is the path that the matrix does not take: played on a copy, then forgotten.
//! - `Y,X` is request Y of order X. FIX renames an order at a replace, we do not: it stays X.
//! - A row `FIX` has what FIX prints for the row above, where we differ on purpose, and why: a word
//!   of [`DEVIATIONS`].
//! - A block `own` is not FIX's: what its rules and ours say beside the matrices.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use trade_engine::code::Code;
use trade_engine::codec::{Slot, records};
use trade_engine::engine::{Engine, Outbound, Output};
use trade_engine::event::{Body, Event, Record};
use trade_engine::input::{ExecKey, Input, StatusKind};
use trade_engine::instrument::{Instrument, InstrumentId};
use trade_engine::limits::PRICE_SCALE;
use trade_engine::order::{ClOrdId, Flags, OrdStatus, OrdType, Tif};
use trade_engine::settings::{Capacity, Settings};
use trade_engine::units::{Money, Price, Qty, Side, Ts};

/// The files that are played.
const FILES: &[&str] = &[
    "a_basic.txt",
    "b_cancel.txt",
    "c_replace_quantity.txt",
    "d_replace_chains.txt",
    "e_unsolicited.txt",
    "f_rejects.txt",
    "g_status.txt",
    "h_good_till.txt",
    "i_time_in_force.txt",
    "j_execution_cancels.txt",
    "k_trading_halt.txt",
    "races.txt",
];

/// FIX 4.2 ends at D37. D38 to D41 are FIX 4.3's 38 to 41: D34 to D36 again, and J.1.d.
const LAST_OF_D: u32 = 41;

/// Every matrix of FIX 5.0 SP2, by group and last letter: A.1.a and A.1.b, ...
const GROUPS: &[(&str, char)] = &[
    ("A.1", 'b'),
    ("B.1", 'f'),
    ("C.1", 'c'),
    ("C.2", 'a'),
    ("C.3", 'c'),
    ("D.1", 'c'),
    ("D.2", 'd'),
    ("E.1", 'f'),
    ("F.1", 'c'),
    ("G.1", 'c'),
    ("H.1", 'd'),
    ("I.1", 'b'),
    ("J.1", 'd'),
    ("K.1", 'b'),
    ("L.1", 'b'),
];

/// Matrices that no block plays.
const LEFT_OUT: &[(&str, &str)] = &[
    (
        "D37",
        "a venue that guarantees a price (Stopped): no report of it is taken, trades are trades",
    ),
    ("L.1.a", "the same matrix"),
    ("L.1.b", "an order for an amount of money: the engine sizes it itself, and sends a quantity"),
];

/// Why a row differs from FIX's.
const DEVIATIONS: &[(&str, &str)] = &[
    ("asked", "a request is pending from the step that asks, not from when the venue reads it"),
    ("misprint", "the row that FIX prints contradicts its own precedence or the rows around it"),
    (
        "unknown",
        "the engine adopts no order that it did not make; what it does not know has no row",
    ),
];

const STATUSES: &[OrdStatus] = &[
    OrdStatus::PendingNew,
    OrdStatus::New,
    OrdStatus::PartiallyFilled,
    OrdStatus::Filled,
    OrdStatus::DoneForDay,
    OrdStatus::Canceled,
    OrdStatus::PendingCancel,
    OrdStatus::Rejected,
    OrdStatus::Suspended,
    OrdStatus::Expired,
    OrdStatus::PendingReplace,
];
/// In the place of a status: there is no such order.
const NO_ORDER: &str = "none";

/// What is wrong, at a line.
type Fault = (usize, String);

/// One line of a matrix.
struct Row<'a> {
    line: usize,
    /// Whether the matrix goes on as if it had not been.
    other_path: bool,
    step: Vec<&'a str>,
    /// Status and quantities, then the rest, in single spaces.
    expected: String,
    /// Why FIX has something else.
    deviation: Option<&'a str>,
}

/// One block.
struct Matrix<'a> {
    line: usize,
    numbers: Vec<&'a str>,
    rows: Vec<Row<'a>>,
}

fn is_status(word: &str) -> bool {
    word == NO_ORDER || STATUSES.iter().any(|status| status.name() == word)
}

/// A number of FIX's: `D12` or `C.3.c`.
fn is_number(word: &str) -> bool {
    numbers().contains(word)
}

/// Every number that FIX gives.
fn numbers() -> BTreeSet<String> {
    let old = (1..=LAST_OF_D).map(|number| format!("D{number}"));
    let new = GROUPS
        .iter()
        .flat_map(|(group, last)| ('a'..=*last).map(move |letter| format!("{group}.{letter}")));
    old.chain(new).collect()
}

fn parse(text: &str) -> Result<Vec<Matrix<'_>>, Fault> {
    let mut matrices: Vec<Matrix<'_>> = Vec::new();
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    for (line, text) in lines.filter(|(_, text)| !text.is_empty() && !text.starts_with('#')) {
        let words: Vec<&str> = text.split_whitespace().collect();
        if !text.starts_with(' ') {
            let numbers: Vec<&str> =
                words.iter().copied().take_while(|word| is_number(word)).collect();
            if numbers.is_empty() && words[0] != "own" {
                return Err((line, format!("`{}` is no number of FIX's", words[0])));
            }
            matrices.push(Matrix { line, numbers, rows: Vec::new() });
            continue;
        }
        let matrix = matrices.last_mut().ok_or((line, "a row without a title".to_owned()))?;
        read_row(&words, line, &mut matrix.rows).map_err(|what| (line, what))?;
    }
    match matrices.iter().find(|matrix| matrix.rows.is_empty()) {
        Some(empty) => Err((empty.line, "a title without rows".to_owned())),
        None => Ok(matrices),
    }
}

fn read_row<'a>(words: &[&'a str], line: usize, rows: &mut Vec<Row<'a>>) -> Result<(), String> {
    let at = words.iter().position(|word| is_status(word)).ok_or("no status")?;
    let expected = words[at..].join(" ");
    if words.len() < at + 4 {
        return Err("a status has three quantities behind it".to_owned());
    }
    if words[0] == "FIX" {
        let row = rows.last_mut().ok_or("FIX's row, without ours above it")?;
        let ours: Vec<&str> = row.expected.split(' ').take(4).collect();
        if ours == words[at..] {
            return Err("FIX has the same: there is nothing to explain".to_owned());
        }
        row.deviation = Some(words[1]);
        return Ok(());
    }
    let other_path = words[1] == "or";
    let step = words[if other_path { 2 } else { 1 }..at].to_vec();
    rows.push(Row { line, other_path, step, expected, deviation: None });
    Ok(())
}

/// What a step names: the order that its row is about, and what goes into the engine.
struct Step {
    order: ClOrdId,
    input: Option<Input>,
}

/// The names of orders and requests, and the id of each: given when it is first named.
#[derive(Clone, Default)]
struct Names(Vec<String>);

impl Names {
    fn id(&mut self, name: &str) -> ClOrdId {
        let index = self.0.iter().position(|known| known == name).unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        });
        ClOrdId::new(0, index as u64 + 1)
    }

    /// `Y,X`: request Y of order X.
    fn request(&mut self, names: &str) -> Result<(ClOrdId, ClOrdId), String> {
        let (request, order) = names.split_once(',').ok_or(format!("`{names}` is no `Y,X`"))?;
        Ok((self.id(request), self.id(order)))
    }

    /// `Y,X`, or `X` alone: an answer that names no request.
    fn answer(&mut self, names: &str) -> Result<(ClOrdId, ClOrdId), String> {
        if names.contains(',') { self.request(names) } else { Ok((ClOrdId::NONE, self.id(names))) }
    }

    fn step(&mut self, words: &[&str], line: usize) -> Result<Step, String> {
        let defect = None;
        let (order, input) = match *words {
            ["new", name, amount, ref terms @ ..] => {
                let id = self.id(name);
                (id, Some(new_order(id, qty(amount)?, terms)?))
            }
            ["cancel", names] => {
                let (id, order) = self.request(names)?;
                (order, Some(Input::Cancel { id, order }))
            }
            ["replace", names, ref terms @ ..] => {
                let (id, order) = self.request(names)?;
                let (qty, price) = match *terms {
                    [amount] => (Some(qty(amount)?), None),
                    ["@", at] => (None, Some(price(at)?)),
                    _ => return Err(format!("`{}`: what is replaced?", terms.join(" "))),
                };
                (order, Some(Input::Replace { id, order, qty, price, stop_price: None, defect }))
            }
            ["status", name] => (self.id(name), None),
            [names, "replaced", ref terms @ ..] => {
                let (request, order) = self.answer(names)?;
                let (qty, price, stop_price) = (amended(terms)?, None, None);
                (order, Some(Input::Replaced { order, request, qty, price, stop_price }))
            }
            [name, "restated", ref terms @ ..] => {
                let (order, qty) = (self.id(name), amended(terms)?);
                (order, Some(Input::Restated { order, qty }))
            }
            [name, kind @ ("fill" | "bust" | "correct"), ref terms @ ..] => {
                let order = self.id(name);
                (order, execution(order, kind, terms, line)?)
            }
            [names, kind] => {
                let (request, order) = self.answer(names)?;
                let known = StatusKind::ALL.into_iter().find(|known| known.name() == kind);
                let kind = known.ok_or(format!("`{kind}` is no report"))?;
                (order, Some(Input::Status { order, kind, request }))
            }
            _ => return Err(format!("`{}` is no step", words.join(" "))),
        };
        Ok(Step { order, input })
    }
}

fn qty(text: &str) -> Result<Qty, String> {
    text.parse().map_err(|_| format!("`{text}` is no quantity"))
}

fn price(text: &str) -> Result<Price, String> {
    text.parse().map_err(|_| format!("`{text}` is no price"))
}

/// The quantity that the venue made of it, if it says one.
fn amended(terms: &[&str]) -> Result<Option<Qty>, String> {
    match *terms {
        [] => Ok(None),
        [amount] => qty(amount).map(Some),
        _ => Err(format!("`{}` is no quantity", terms.join(" "))),
    }
}

/// `new X QTY [@ LIMIT] [stop PRICE] [TIF]`: at the market, for the day, where nothing is said.
fn new_order(id: ClOrdId, qty: Qty, mut terms: &[&str]) -> Result<Input, String> {
    let (mut limit, mut stop_price, mut tif) = (None, None, Tif::Day);
    while let [word, rest @ ..] = terms {
        terms = match (*word, rest) {
            ("@", [at, rest @ ..]) => {
                limit = Some(price(at)?);
                rest
            }
            ("stop", [at, rest @ ..]) => {
                stop_price = Some(price(at)?);
                rest
            }
            (word, rest) => {
                let all = [Tif::Day, Tif::Gtc, Tif::Ioc, Tif::Fok];
                let known = all.into_iter().find(|tif| tif.name() == word);
                tif = known.ok_or(format!("`{word}` is no time in force"))?;
                rest
            }
        };
    }
    Ok(Input::Order {
        id,
        instrument: InstrumentId(0),
        side: Side::Buy,
        ord_type: match (limit, stop_price) {
            (None, None) => OrdType::Market,
            (Some(_), None) => OrdType::Limit,
            (None, Some(_)) => OrdType::Stop,
            (Some(_), Some(_)) => OrdType::StopLimit,
        },
        tif,
        strategy: 0,
        flags: Flags::default(),
        qty,
        price: limit,
        stop_price,
        expire_at: None,
        defect: None,
    })
}

/// `X fill QTY [@ PRICE] [as ID]`, `X bust REF as ID`, `X correct REF QTY @ PRICE as ID`.
fn execution(
    order: ClOrdId,
    kind: &str,
    terms: &[&str],
    line: usize,
) -> Result<Option<Input>, String> {
    let key = |exec_id: &str| ExecKey::new(0, exec_id, order, Side::Buy);
    let here = format!("line {line}");
    let fill = |amount, at, exec_id| {
        Ok(Some(Input::Trade {
            order,
            exec: key(exec_id),
            qty: qty(amount)?,
            price: price(at)?,
            commission: Money::ZERO,
            instrument: InstrumentId(0),
            side: Side::Buy,
            venue_says_filled: false,
            defect: None,
        }))
    };
    match (kind, terms) {
        ("fill", [amount]) => fill(amount, "100", here.as_str()),
        ("fill", [amount, "as", exec_id]) => fill(amount, "100", exec_id),
        ("fill", [amount, "@", at, "as", exec_id]) => fill(amount, at, exec_id),
        ("fill", [amount, "@", at]) => fill(amount, at, here.as_str()),
        ("bust", [exec_ref, "as", exec_id]) => {
            let (exec, exec_ref) = (key(exec_id), key(exec_ref));
            Ok(Some(Input::Bust { order, exec, exec_ref }))
        }
        ("correct", [exec_ref, amount, "@", at, "as", exec_id]) => {
            let (exec, exec_ref, defect) = (key(exec_id), key(exec_ref), None);
            let (qty, price) = (qty(amount)?, price(at)?);
            Ok(Some(Input::Correct { order, exec, exec_ref, qty, price, defect }))
        }
        _ => Err(format!("`{kind} {}` is no execution", terms.join(" "))),
    }
}

/// The records of one step.
#[derive(Default)]
struct Collected(Vec<Slot>);

impl Output for Collected {
    fn record(&mut self, slots: &[Slot]) {
        self.0.extend_from_slice(slots);
    }

    fn send(&mut self, _outbound: &Outbound) {}
}

/// The engine, with one instrument, no limit, and a venue that says nothing by itself.
#[derive(Clone)]
struct Desk {
    engine: Engine,
    names: Names,
}

impl Desk {
    fn new() -> Self {
        let share = Instrument::plain("SHARE", Price(1), PRICE_SCALE, PRICE_SCALE);
        let mut settings = Settings::new(Money::ZERO, vec![share]);
        // Copied for every path that a matrix does not take: small.
        settings.capacity = Capacity { orders: 8, executions: 64, ..Capacity::default() };
        Self { engine: Engine::new(settings), names: Names::default() }
    }

    /// Plays one step; says what became of its order, in the words of the tables.
    fn play(&mut self, row: &Row<'_>) -> Result<String, String> {
        let step = self.names.step(&row.step, row.line)?;
        let mut records = Collected::default();
        if let Some(input) = step.input {
            self.engine.step(Ts(0), 0, &input, &mut records);
        }
        let mut found = match self.engine.state().order(step.order) {
            Some(order) => {
                let quantities = [order.order_qty, order.cum_qty, order.leaves_qty()];
                let [order_qty, cum_qty, leaves_qty] = quantities;
                let status = order.ord_status().name();
                let avg_px = order.avg_px().filter(|_| row.expected.contains(" avg "));
                let avg_px = avg_px.map_or(String::new(), |price| format!(" avg {price}"));
                format!("{status} {order_qty} {cum_qty} {leaves_qty}{avg_px}")
            }
            None => format!("{NO_ORDER} - - -"),
        };
        for (what, code) in oddities(&records.0) {
            found += &format!(" {what} {code}");
        }
        Ok(found)
    }
}

/// What was refused or flagged, in order.
fn oddities(slots: &[Slot]) -> impl Iterator<Item = (&'static str, Code)> {
    records(slots).filter_map(|record| match Record::decode(record).expect("just written").body {
        Body::Event(Event::Refused { code, .. }) => Some(("refused", code)),
        Body::Event(Event::Anomaly { code, .. }) => Some(("anomaly", code)),
        Body::Event(_) | Body::Input(..) | Body::Opening(_) => None,
    })
}

/// Plays every matrix of a file.
fn play(text: &str) -> Result<(), Vec<Fault>> {
    let matrices = parse(text).map_err(|fault| vec![fault])?;
    let mut faults = Vec::new();
    for matrix in &matrices {
        let mut desk = Desk::new();
        for row in &matrix.rows {
            let mut copy = row.other_path.then(|| desk.clone());
            let played = copy.as_mut().unwrap_or(&mut desk).play(row);
            match played {
                Ok(found) if found == row.expected => {}
                Ok(found) => {
                    let (step, expected) = (row.step.join(" "), &row.expected);
                    faults.push((row.line, format!("{step}: expected {expected}, found {found}")));
                }
                Err(what) => faults.push((row.line, what)),
            }
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fix")
}

fn read(file: &str) -> String {
    fs::read_to_string(dir().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn every_row_is_as_the_table_says() {
    let mut report = String::new();
    for file in FILES {
        for (line, what) in play(&read(file)).err().into_iter().flatten() {
            report += &format!("tests/fix/{file}:{line}: {what}\n");
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn every_number_is_played_or_left_out_for_a_reason() {
    let mut played = BTreeSet::new();
    for file in FILES.iter() {
        let text = read(file);
        let matrices = parse(&text).unwrap_or_else(|(line, what)| panic!("{file}:{line}: {what}"));
        for number in matrices.iter().flat_map(|matrix| &matrix.numbers) {
            assert!(played.insert((*number).to_owned()), "{file}: {number} comes twice");
        }
    }
    for (number, reason) in LEFT_OUT {
        assert!(!reason.is_empty() && played.insert((*number).to_owned()), "{number} is played");
    }
    let missing: Vec<String> = numbers().difference(&played).cloned().collect();
    assert!(missing.is_empty(), "neither played nor left out: {missing:?}");
}

#[test]
fn every_file_is_listed() {
    let entries = fs::read_dir(dir()).expect("the tables are there");
    let there = entries.map(|entry| entry.expect("an entry").file_name());
    let there: BTreeSet<String> =
        there.map(|name| name.into_string().expect("a plain name")).collect();
    let listed = FILES.iter().map(|file| (*file).to_owned()).collect();
    assert_eq!(there, listed);
}

/// Every step can be read, also in the files that wait; every deviation has a reason, and every
/// reason its use.
#[test]
fn every_line_can_be_read() {
    let mut used = BTreeSet::new();
    for file in FILES.iter() {
        let text = read(file);
        let matrices = parse(&text).unwrap_or_else(|(line, what)| panic!("{file}:{line}: {what}"));
        for matrix in &matrices {
            let mut names = Names::default();
            for row in &matrix.rows {
                if let Err(what) = names.step(&row.step, row.line) {
                    panic!("{file}:{}: {what}", row.line);
                }
                used.extend(row.deviation.map(str::to_owned));
            }
        }
    }
    let reasons = DEVIATIONS.iter().map(|(word, _)| (*word).to_owned()).collect();
    assert_eq!(used, reasons);
}

/// The player finds what is wrong: a figure, a status, a refusal that did not come, one that came
/// unannounced, an anomaly; and a path that was not taken leaves no trace.
#[test]
fn a_wrong_row_is_found_at_its_line() {
    let text = "\
own  each row but the first and the last is wrong
  1    new X 100        PendingNew       100     0   100
  2    X accepted       New              100     0    99
  3 or X cancelled      Rejected         100     0     0
  4    X fill 40        PartiallyFilled  100    40    60  refused NOTHING_NEW
  5    X accepted       PartiallyFilled  100    40    60
  6    X fill 70        Filled           100   110     0
  7    X fill 1         Filled           100   111     0  anomaly OVERFILL
";
    let faults = play(text).expect_err("five rows are wrong");
    let lines: Vec<usize> = faults.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [3, 4, 5, 6, 7], "{faults:?}");
    let (_, words) = &faults[1];
    assert_eq!(words, "X cancelled: expected Rejected 100 0 0, found Canceled 100 0 0");
}

#[test]
fn a_table_that_cannot_be_read_says_where() {
    let fault = |text: &str| play(text).expect_err(text).remove(0);
    assert_eq!(fault("D99  none\n").0, 1);
    assert_eq!(fault("own  a\n\n  1  new X 1  Neu 1 0 1\n"), (3, "no status".to_owned()));
    assert_eq!(fault("own  a\n  1  X jump  New 1 0 1\n"), (2, "`jump` is no report".to_owned()));
    assert_eq!(fault("own  a\nown  b\n"), (1, "a title without rows".to_owned()));
    let same = "own  a\n  1    new X 1  PendingNew 1 0 1\n  FIX  asked  PendingNew 1 0 1\n";
    assert_eq!(fault(same).0, 3);
}
