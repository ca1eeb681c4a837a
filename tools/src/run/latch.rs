//! Keeps the halt file and the engine alike, in both directions: looked at every few milliseconds.

use super::desk::Desk;
use super::halt_file::{HaltFile, Stamp};
use trade_engine::runtime::Halt;

/// Where the two are.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// No file, no halt.
    Open,
    /// Halted. The file that says so; `None`: it is still to be written.
    Halted(Option<Stamp>),
    /// The halt was ended by moving the file away, and the engine was told to trade again.
    Resuming {
        /// The halt that stood then.
        halt: Option<Halt>,
        /// How many kills had been asked for.
        kills: u64,
    },
}

/// A halt file beside a running engine.
#[derive(Debug)]
pub struct Latch {
    file: HaltFile,
    phase: Phase,
    /// What could not be done has been said.
    complained: bool,
}

impl Latch {
    /// Before the engine starts: the latch, and the words of the halt that stands, if one does.
    pub fn new(file: HaltFile, say: &mut dyn FnMut(&str)) -> (Self, Option<String>) {
        // Before its words are read: one that takes its place meanwhile is found by its stamp.
        let stamp = file.stamp();
        let words = file.look();
        let phase = if words.is_some() { Phase::Halted(stamp) } else { Phase::Open };
        if let Some(reason) = file.released() {
            say(&format!("resumed before this start: {reason}"));
        }
        // It has no other meaning any more; one that stays would end the next halt.
        if let Err(error) = file.forget_release() {
            say(&format!("{}.resumed: {error}", file.path().display()));
        }
        if let Some(words) = &words {
            say(&format!("halted by {}: {words}", file.path().display()));
        }
        (Self { file, phase, complained: false }, words)
    }

    /// One look at both.
    pub fn turn(&mut self, desk: &Desk, say: &mut dyn FnMut(&str)) {
        let shared = desk.shared();
        self.phase = match self.phase {
            Phase::Open if self.file.look().is_some() => self.obey(desk, say),
            Phase::Open if shared.is_closed() => self.write(desk, say),
            Phase::Open => Phase::Open,
            Phase::Halted(stamp) if !shared.is_closed() => self.follow(stamp, desk, say),
            Phase::Halted(stamp) if self.file.look().is_none() => self.gone(stamp, desk, say),
            // Somebody halts once more, who may want more than the halt that stands.
            Phase::Halted(stamp) if self.file.stamp() != stamp => self.obey(desk, say),
            Phase::Halted(stamp) => Phase::Halted(stamp),
            Phase::Resuming { .. } if self.file.look().is_some() => self.obey(desk, say),
            // Killed once more: that one stands.
            Phase::Resuming { kills, .. } if shared.kills_asked() != kills => Phase::Halted(None),
            Phase::Resuming { halt, .. }
                if shared.kill_waits() || shared.halt() == halt && halt.is_some() =>
            {
                self.phase
            }
            Phase::Resuming { .. } if shared.is_closed() => Phase::Halted(None),
            Phase::Resuming { .. } => Phase::Open,
        };
    }

    /// The file has appeared.
    fn obey(&self, desk: &Desk, say: &mut dyn FnMut(&str)) -> Phase {
        // In this order: whoever halts once more from here on is found by the stamp.
        let stamp = self.file.stamp();
        let words = self.file.look().unwrap_or_default();
        desk.kill(&words);
        say(&format!("halted by {}: {words}", self.file.path().display()));
        // One from before this halt would end it.
        let _ = self.file.forget_release();
        Phase::Halted(stamp)
    }

    /// The engine has halted: a restart must find that.
    fn write(&mut self, desk: &Desk, say: &mut dyn FnMut(&str)) -> Phase {
        let (words, path) = (desk.why(), self.file.path().display().to_string());
        match self.file.set(&words) {
            Ok(stamp) => {
                self.complained = false;
                let how = format!("trade-engine resume {path} --reason TEXT");
                say(&format!("halted: {words}; {path} keeps it so until `{how}`"));
                Phase::Halted(Some(stamp))
            }
            Err(error) => {
                self.complain(
                    &format!("halted: {words}, but a restart would not be: {path}: {error}"),
                    say,
                );
                Phase::Halted(None)
            }
        }
    }

    fn complain(&mut self, what: &str, say: &mut dyn FnMut(&str)) {
        if !std::mem::replace(&mut self.complained, true) {
            say(what);
        }
    }

    /// The engine trades again by another command: the file goes, if it is the one of that halt.
    fn follow(&mut self, stamp: Option<Stamp>, desk: &Desk, say: &mut dyn FnMut(&str)) -> Phase {
        match (self.file.stamp(), self.file.look()) {
            (_, None) => Phase::Open,
            (now, Some(_)) if now.is_some() && now == stamp => match self.file.remove() {
                Ok(()) => {
                    say(&format!("trading again; {} is removed", self.file.path().display()));
                    Phase::Open
                }
                // It could not be told from a halt: so it is one.
                Err(_) => self.obey(desk, say),
            },
            (_, Some(_)) => self.obey(desk, say),
        }
    }

    /// The file is gone while the engine is halted.
    fn gone(&mut self, stamp: Option<Stamp>, desk: &Desk, say: &mut dyn FnMut(&str)) -> Phase {
        let Some(reason) = self.file.released() else {
            if stamp.is_some() {
                let path = self.file.path().display();
                say(&format!("{path} was deleted, which resumes nothing: still halted"));
            }
            return self.write(desk, say);
        };
        let (halt, kills) = (desk.shared().halt(), desk.shared().kills_asked());
        match desk.resume(&reason) {
            Ok(()) => {
                say(&format!("resumed: {reason}"));
                let _ = self.file.forget_release();
                Phase::Resuming { halt, kills }
            }
            Err(error) => {
                self.complain(&format!("cannot resume yet: {error}"), say);
                Phase::Halted(stamp)
            }
        }
    }

    /// The engine has ended: if it was halted, the next one is to be.
    pub fn end(mut self, desk: &Desk, say: &mut dyn FnMut(&str)) {
        let resumed =
            matches!(self.phase, Phase::Resuming { .. }) || self.file.released().is_some();
        if desk.shared().is_closed() && !resumed && self.file.look().is_none() {
            self.write(desk, say);
        }
    }
}
