//! `replay verify`: two proofs in one walk. Every record is applied and checked against what it
//! says about the state; and every input is decided again, and must give the same bytes.

use crate::text::{Align, Table, count, time};
use crate::walk::{LogError, Walk};
use std::io::Write;
use std::path::Path;
use trade_engine::event::{Body, DECIDE_VERSION, Event, Record};
use trade_engine::journal::verdict::MarkSource;
use trade_engine::journal::{LogEnd, LogReader, ReadError, Seal, Seals, Tail, check_seals, layout};
use trade_engine::replay::Redecide;

#[derive(Default)]
struct Counts {
    /// Records that are here and lie in front of the oldest snapshot.
    in_front: u64,
    records: u64,
    slots: u64,
    head: u64,
    inputs: u64,
    events: u64,
    checkpoints: u64,
}

/// How far the second proof goes.
enum Again {
    /// As far as the log has been read.
    Going(Box<Redecide>),
    /// Not at all, or no further: another program's decisions.
    Other { decide_version: u32, from_seq: u64 },
}

/// What is archived while it is read is no damage: the proof begins again, with what is here then.
pub(super) fn verify(dir: &Path, root: Option<Seal>, out: &mut impl Write) -> Result<(), LogError> {
    let first = || LogReader::open(dir).map(|reader| reader.first_seq()).ok();
    loop {
        let before = first();
        match prove(dir, root, out) {
            Err(LogError::Read(ReadError::Archived { .. })) if first() > before => {}
            proved => return proved,
        }
    }
}

fn prove(dir: &Path, root: Option<Seal>, out: &mut impl Write) -> Result<(), LogError> {
    let mut walk = Walk::open(dir)?;
    let mut counts = Counts { in_front: in_front(dir, &walk)?, ..Counts::default() };
    let mut again = Again::Going(Box::new(
        walk.state().cloned().map_or_else(Redecide::default, Redecide::resume),
    ));
    while let Some(record) = walk.read()? {
        counts.take(&record, walk.slots().len() as u64);
        let slots = walk.slots().to_vec();
        // Applied first: what does not follow must not be decided on.
        walk.apply()?;
        again = again.next(&walk, &record, &slots)?;
    }
    let end = walk.end()?;
    walk.whole_state()?;
    // Last: what the checksums find, they find with its place.
    let seals = check_seals(dir, root).map_err(LogError::Read)?;
    if let (Some(root), None) = (root, seals.found) {
        let (first, sealed) = ((seals.first - 1).max(1), seals.sealed);
        return Err(LogError::Root { dir: dir.to_owned(), root, first, sealed });
    }
    report(dir, &Proof { walk: &walk, counts: &counts, again: &again, end: &end, seals }, out)
}

/// Reads what is here in front of where a shortened log begins: of that its checksums are proof,
/// and its seals. Says how many records it is.
fn in_front(dir: &Path, walk: &Walk) -> Result<u64, LogError> {
    let Some(begins) = walk.begins() else { return Ok(0) };
    let mut reader = LogReader::open(dir).map_err(LogError::Read)?;
    let mut records = 0;
    while let Some(slots) = reader.next_record().map_err(LogError::Read)? {
        if layout::seq(&slots[0]) >= begins.seq {
            break;
        }
        records += 1;
    }
    Ok(records)
}

/// What was found.
struct Proof<'a> {
    walk: &'a Walk,
    counts: &'a Counts,
    again: &'a Again,
    end: &'a LogEnd,
    seals: Seals,
}

impl Counts {
    fn take(&mut self, record: &Record, slots: u64) {
        self.records += 1;
        self.slots += slots;
        match record.body {
            Body::Opening(_) => self.head += 1,
            Body::Input(..) => self.inputs += 1,
            Body::Event(event) => {
                self.events += 1;
                self.checkpoints += u64::from(matches!(event, Event::Checkpoint { .. }));
            }
        }
    }
}

impl Again {
    fn next(
        self,
        walk: &Walk,
        record: &Record,
        slots: &[trade_engine::codec::Slot],
    ) -> Result<Self, LogError> {
        let Self::Going(mut redecide) = self else { return Ok(self) };
        // A segment written by a journal that was not told says 0.
        let of_segment = Some(walk.segment_decide_version()).filter(|version| *version != 0);
        let versions = [walk.replay().decide_version(), of_segment];
        let other = versions.into_iter().flatten().find(|v| !Redecide::can_decide(*v));
        if let Some(decide_version) = other {
            return Ok(Self::Other { decide_version, from_seq: record.head.seq });
        }
        redecide.next(slots).map_err(|error| walk.located(error))?;
        Ok(Self::Going(redecide))
    }
}

fn report(dir: &Path, proof: &Proof<'_>, out: &mut impl Write) -> Result<(), LogError> {
    let Proof { walk, counts, again, end, seals } = *proof;
    let state = walk.whole_state()?;
    let mut table = Table::new(&[("", Align::Left), ("", Align::Left)]);
    let version = walk.replay().decide_version().unwrap_or(0);
    table.row(&["written by", &format!("{}, decisions {version}", walk.replay().build())]);
    let Counts { in_front, records, slots, head, inputs, events, checkpoints } = counts;
    if let Some(begins) = walk.begins() {
        table.row(&["proved", &format!("in part: {begins}")]);
        let front = count(*in_front, "record");
        let how = "whole by the checksums, what they do was not looked at";
        table.row(&["in front of it", &format!("{front}, {how}")]);
    }
    let kinds = format!("{head} head, {inputs} inputs, {events} events");
    table.row(&["records", &format!("{records} in {} ({kinds})", count(*slots, "slot"))]);
    let last = end.position.segment;
    let segments = match seals.first {
        1 => last.to_string(),
        first => format!("{} of {last}", span(first, last)),
    };
    table.row(&["segments", &segments]);
    table.row(&["sealed", &sealed(&seals, last)]);
    if let Some(root) = seals.root {
        table.row(&["root", &format!("{root} (SHA-256, {})", up_to(seals.sealed))]);
    }
    if let Some(found) = seals.found {
        table.row(&["root asked for", &format!("the same as then, {}", up_to(found))]);
    }
    table.row(&["last record", &format!("seq {} at {}", end.last_seq, time(state.ts()))]);
    table.row(&["state", &format!("hash {:016x}", state.hash())]);
    let checked = format!("{checkpoints}, the state hashes as each of them says");
    table.row(&["checkpoints", &checked]);
    table.row(&["decided again", &decided(again)]);
    table.row(&["end", &ending(end)]);
    let group = unfinished(end, again);
    if let Some(group) = &group {
        table.row(&["last group", group]);
    }
    if end.mark_source != MarkSource::SideFile {
        table.row(&[
            "synced mark",
            "the side file is gone or damaged: damage near the end of the \
                     log cannot be told from a crash",
        ]);
    }
    writeln!(out, "{}", crate::text::clean(&dir.display().to_string()))?;
    table.write(out)?;
    let good = match (walk.begins(), &group) {
        (None, None) => "good".to_owned(),
        (None, Some(_)) => "good, up to its last whole record".to_owned(),
        (Some(begins), None) => format!("good, from record {} on", begins.seq),
        (Some(begins), Some(_)) => {
            format!("good, from record {} on, up to its last whole record", begins.seq)
        }
    };
    writeln!(out, "{good}")?;
    Ok(())
}

fn up_to(segment: u64) -> String {
    span(1, segment)
}

fn span(first: u64, last: u64) -> String {
    if first == last { format!("segment {last}") } else { format!("segments {first} to {last}") }
}

fn sealed(seals: &Seals, segments: u64) -> String {
    match (seals.sealed, segments.saturating_sub(seals.sealed)) {
        // The last archived one's seal is of nothing that is here.
        (sealed, _) if sealed < seals.first => "none; the next start seals what was not".to_owned(),
        (_, 0) => "all, and they are what was sealed".to_owned(),
        (sealed, open) => format!(
            "{}, and they are what was sealed; {} not, as a running or a killed engine leaves it",
            span(seals.first, sealed),
            if open == 1 { "the last is".to_owned() } else { format!("the last {open} are") },
        ),
    }
}

fn decided(again: &Again) -> String {
    match again {
        Again::Going(_) => "every input gives the same events, byte for byte".to_owned(),
        Again::Other { decide_version, from_seq } => format!(
            "not from record {from_seq} on: decisions {decide_version} are not this program's \
             ({DECIDE_VERSION}); only the state was checked"
        ),
    }
}

fn ending(end: &LogEnd) -> String {
    match end.tail {
        Tail::Clean => "clean".to_owned(),
        Tail::Torn { at, fault, bytes, valid_slots } => format!(
            "torn, as a crash leaves it: {} behind the last whole record, at byte {} of segment {} \
             ({fault}; {} among them whole)",
            count(bytes, "byte"),
            at.offset,
            at.segment,
            count(valid_slots, "slot"),
        ),
    }
}

/// The last input's events are not all there.
fn unfinished(end: &LogEnd, again: &Again) -> Option<String> {
    let missing = match again {
        Again::Going(redecide) => redecide.missing_slots(),
        Again::Other { .. } => 0,
    };
    if missing == 0 && end.group_end_seq == end.last_seq {
        return None;
    }
    Some(format!(
        "unfinished, as a crash leaves it: the last whole group ends at record {}, and {} of the \
         next are missing; whoever takes the log up decides its input again",
        end.group_end_seq,
        count(missing as u64, "slot"),
    ))
}
