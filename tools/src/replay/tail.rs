//! `replay tail`: the last records of a log, and those that a running engine adds to it.

use super::{TailArgs, events, say_how_it_ends, say_where_it_begins};
use crate::walk::{LogError, Walk, opening_error};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use trade_engine::event::{Body, Record};
use trade_engine::journal::{LogReader, layout};

/// How long a reader that has seen everything waits before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub(super) fn tail(args: &TailArgs, out: &mut impl Write) -> Result<(), LogError> {
    let stopped = Arc::new(AtomicBool::new(false));
    if args.follow {
        let stop = Arc::clone(&stopped);
        ctrlc::set_handler(move || stop.store(true, Ordering::Relaxed))
            .map_err(|error| LogError::Write(io::Error::other(error)))?;
    }
    let from = first_seq(args)?;
    let mut walk = Walk::open(&args.dir)?;
    if walk.begins().is_some_and(|begins| from < begins.seq) {
        say_where_it_begins(&walk);
    }
    loop {
        print_new(&mut walk, args, from, &stopped, out)?;
        if !args.follow {
            return say_how_it_ends(&mut walk, "shown");
        }
        out.flush()?;
        if stopped.load(Ordering::Relaxed) {
            return Ok(());
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// The record at which the last `--lines` of those that are wanted begin, as of now. It is read
/// without a state, so that the walk that follows prints no more than it must.
fn first_seq(args: &TailArgs) -> Result<u64, LogError> {
    let mut reader = LogReader::open(&args.dir).map_err(opening_error)?;
    let mut last = VecDeque::new();
    let mut next_seq = 1;
    while let Some(slots) = reader.next_record().map_err(LogError::Read)? {
        let seq = layout::seq(&slots[0]);
        next_seq = seq + slots.len() as u64;
        if Record::decode(slots).is_some_and(|record| is_wanted(&record, args)) {
            last.push_back(seq);
        }
        if last.len() > args.lines as usize {
            last.pop_front();
        }
    }
    Ok(last.front().copied().unwrap_or(next_seq))
}

const fn is_wanted(record: &Record, args: &TailArgs) -> bool {
    args.inputs || matches!(record.body, Body::Event(_))
}

/// Prints everything that is there by now and was not before.
fn print_new(
    walk: &mut Walk,
    args: &TailArgs,
    from: u64,
    stopped: &AtomicBool,
    out: &mut impl Write,
) -> Result<(), LogError> {
    // A writer may be faster than this reader: the end is not the only place to stop at.
    while !stopped.load(Ordering::Relaxed) {
        let Some(record) = walk.read()? else { break };
        if record.head.seq < from || !is_wanted(&record, args) {
            walk.apply()?;
        } else {
            let about = events::apply(walk, &record)?;
            events::write(walk, &record, about, args.json, out)?;
        }
    }
    Ok(())
}
