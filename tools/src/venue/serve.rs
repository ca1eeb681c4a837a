//! `trade-engine venue`: the simulated venue, until somebody ends it.

use super::wire::Frame;
use crate::text::clean;
use serde_json::json;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use trade_engine::broker::{Broker, Message, Remembering, Reports, SimSettings, SimulatedBroker};
use trade_engine::config::{BrokerConfig, Config, canonical};
use trade_engine::input::Input;
use trade_engine::units::Ts;

/// Which venue.
#[derive(Clone, Debug, clap::Args)]
pub struct VenueArgs {
    /// Where it listens: the name of a socket that is not there, or that nobody listens on.
    #[arg(value_name = "SOCKET")]
    pub socket: PathBuf,

    /// How it behaves: the `[broker]` table of this configuration instead of the embedded one's.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Writes down every order and request that it gets and every report that it gives, a line of
    /// JSON each, before it answers.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

/// The venue behind its line.
struct Venue {
    sim: SimSettings,
    record: Option<File>,
    /// The engine that it trades with, by its settings, and what it has of it.
    open: Option<(String, Remembering<SimulatedBroker>)>,
}

/// Listens, and serves one engine after the other until the process is ended.
///
/// # Errors
/// A line for a person: the configuration, the socket's place, or the record.
pub fn serve(args: &VenueArgs) -> Result<(), String> {
    let config = match &args.config {
        Some(path) => Config::load(path).map_err(|error| error.to_string())?,
        None => Config::embedded_default(),
    };
    let BrokerConfig::Simulated(sim) = config.broker;
    let wrong = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    let record = args.record.as_ref().map(|path| {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600);
        options.open(path).map_err(|error| wrong(path, error))
    });
    let mut venue = Venue { sim, record: record.transpose()?, open: None };
    let listener = listen(&args.socket).map_err(|error| wrong(&args.socket, error))?;
    for stream in listener.incoming() {
        let served = stream.and_then(|stream| venue.serve(stream));
        if let Err(error) = served {
            // An engine that died; the next one may come.
            let _ = writeln!(io::stderr(), "trade-engine venue: {}", clean(&error.to_string()));
        }
    }
    Ok(())
}

/// A socket that nobody listens on any more is replaced, nothing else is.
fn listen(path: &Path) -> io::Result<UnixListener> {
    if let Ok(found) = fs::symlink_metadata(path) {
        let is_free = found.file_type().is_socket() && UnixStream::connect(path).is_err();
        if !is_free {
            return Err(io::Error::other("something else is there, or somebody listens"));
        }
        fs::remove_file(path)?;
    }
    UnixListener::bind(path)
}

impl Venue {
    /// Serves one line to its end.
    fn serve(&mut self, stream: UnixStream) -> io::Result<()> {
        let mut to = stream.try_clone()?;
        let mut from = BufReader::new(stream);
        while let Some(frame) = Frame::read(&mut from)? {
            let mut answer = Vec::new();
            let last = match self.answer(frame, &mut answer) {
                Ok(()) => Frame::Done,
                Err(words) => Frame::Refused(words),
            };
            last.write(&mut answer);
            to.write_all(&answer)?;
        }
        Ok(())
    }

    fn answer(&mut self, frame: Frame, out: &mut Vec<u8>) -> Result<(), String> {
        if let Frame::Hello(settings) = frame {
            return self.greet(settings);
        }
        let Some((_, broker)) = &mut self.open else { return Err("say hello first".to_owned()) };
        if let Frame::Ask(since, ids) = frame {
            let statement = broker.statement(since, &ids)?;
            statement.orders.into_iter().for_each(|order| Frame::Order(order).write(out));
            for (ts, input) in statement.executions {
                Frame::Execution(ts, input).write(out);
            }
            return Ok(());
        }
        let Frame::Message(ts, message) = frame else { return Err("that is an answer".to_owned()) };
        note_message(&mut self.record, ts, &message).map_err(|error| error.to_string())?;
        let mut reports = Reports::default();
        broker.on_message(ts, &message, &mut reports);
        while let Some((ts, report)) = reports.pop() {
            note_report(&mut self.record, ts, &report).map_err(|error| error.to_string())?;
            Frame::Report(ts, report).write(out);
        }
        Ok(())
    }

    /// The first engine says which instruments there are; every later one must be the same.
    fn greet(&mut self, settings: String) -> Result<(), String> {
        match &self.open {
            Some((known, _)) if *known == settings => Ok(()),
            Some(_) => Err("it trades with an engine of other settings".to_owned()),
            None => {
                let read = canonical::read(&settings).map_err(|error| error.to_string())?;
                let broker = SimulatedBroker::new(0, self.sim.clone(), read.instruments);
                let broker = broker.map_err(|error| error.to_string())?;
                self.open = Some((settings, Remembering::new(broker)));
                Ok(())
            }
        }
    }
}

/// Writes down an order or a request. Market data is not.
fn note_message(record: &mut Option<File>, ts: Ts, message: &Message) -> io::Result<()> {
    let Some(file) = record else { return Ok(()) };
    let line = match *message {
        Message::New(new) => json!({
            "got": "new", "ts": ts.0, "order": new.order.0, "instrument": new.instrument.0,
            "side": new.side.name(), "qty": new.qty.0,
        }),
        Message::Cancel { order, request, .. } => json!({
            "got": "cancel", "ts": ts.0, "order": order.0, "request": request.0,
        }),
        Message::Replace { order, request, qty, .. } => json!({
            "got": "replace", "ts": ts.0, "order": order.0, "request": request.0, "qty": qty.0,
        }),
        Message::Mark { .. } | Message::Bar { .. } | Message::DayRoll | Message::Time => {
            return Ok(());
        }
    };
    file.write_all(format!("{line}\n").as_bytes())
}

/// Writes down a report.
fn note_report(record: &mut Option<File>, ts: Ts, report: &Input) -> io::Result<()> {
    let Some(file) = record else { return Ok(()) };
    let line = if let Input::Trade { order, exec, qty, price, instrument, side, .. } = *report {
        json!({
            "said": "trade", "ts": ts.0, "order": order.0, "exec": format!("{:032x}", exec.0),
            "instrument": instrument.0, "side": side.name(), "qty": qty.0,
            "price": price.to_string(),
        })
    } else if let Input::Status { order, kind, request } = *report {
        json!({
            "said": kind.name(), "ts": ts.0, "order": order.0, "request": request.0,
        })
    } else {
        json!({ "said": report.name(), "ts": ts.0 })
    };
    file.write_all(format!("{line}\n").as_bytes())
}
