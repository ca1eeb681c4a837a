//! The engine's end of the line to a venue in another process.

use super::wire::Frame;
use std::io::{self, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;
use trade_engine::broker::{Broker, Message, Reports, Statement};
use trade_engine::input::StatusKind;
use trade_engine::order::ClOrdId;
use trade_engine::units::Ts;

/// How long a venue may take to answer before the line counts as dead.
const PATIENCE: Duration = Duration::from_secs(10);

/// A broker at the other end of a socket. Once the line is dead it stays so: new orders come back
/// as not sent, and of those that were under way nobody knows, until a restart asks.
#[derive(Debug)]
pub struct VenueLine {
    from: BufReader<UnixStream>,
    to: UnixStream,
    dead: bool,
}

impl VenueLine {
    /// Opens the line, and says who is there: `settings` in canonical form, whose instruments are
    /// those of every order.
    ///
    /// # Errors
    /// A line for a person: nobody listens, or the venue has another engine's orders.
    pub fn open(path: &Path, settings: &str) -> Result<Self, String> {
        let wrong = |what: &dyn std::fmt::Display| format!("venue {}: {what}", path.display());
        let to = UnixStream::connect(path).map_err(|error| wrong(&error))?;
        let limits = to.set_read_timeout(Some(PATIENCE));
        let limits = limits.and_then(|()| to.set_write_timeout(Some(PATIENCE)));
        limits.map_err(|error| wrong(&error))?;
        let from = BufReader::new(to.try_clone().map_err(|error| wrong(&error))?);
        let mut line = Self { from, to, dead: false };
        let hello = Frame::Hello(settings.to_owned());
        line.ask(&hello, |_| {}).map_err(|error| wrong(&error))?;
        Ok(line)
    }

    /// Sends a frame, and takes every frame of the answer.
    fn ask(&mut self, frame: &Frame, mut take: impl FnMut(Frame)) -> io::Result<()> {
        frame.send(&mut self.to)?;
        loop {
            match Frame::read(&mut self.from)? {
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some(Frame::Done) => return Ok(()),
                Some(Frame::Refused(words)) => return Err(io::Error::other(words)),
                Some(other) => take(other),
            }
        }
    }
}

impl Broker for VenueLine {
    fn on_message(&mut self, ts: Ts, message: &Message, reports: &mut Reports) {
        if self.dead {
            if let Message::New(new) = message {
                reports.status(ts, new.order, StatusKind::NotSent, ClOrdId::NONE);
            } else {
                reports.refuse(ts, message, "no line to the venue");
            }
            return;
        }
        let asked = self.ask(&Frame::Message(ts, *message), |frame| {
            if let Frame::Report(ts, input) = frame {
                reports.push(ts, input);
            }
        });
        if let Err(error) = asked {
            // Whether it has come to the venue nobody knows: nothing is said of it.
            self.dead = true;
            let _ = writeln!(io::stderr(), "trade-engine: the line to the venue is dead: {error}");
        }
    }

    fn statement(&mut self, since: Ts, orders: &[ClOrdId]) -> Result<Statement, String> {
        let mut statement = Statement::default();
        let asked = self.ask(&Frame::Ask(since, orders.to_vec()), |frame| match frame {
            Frame::Order(order) => statement.orders.push(order),
            Frame::Execution(ts, input) => statement.executions.push((ts, input)),
            Frame::Hello(_)
            | Frame::Message(..)
            | Frame::Ask(..)
            | Frame::Report(..)
            | Frame::Done
            | Frame::Refused(_) => {}
        });
        asked.map(|()| statement).map_err(|error| error.to_string())
    }
}
