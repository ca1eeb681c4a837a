//! The control socket: one line in, one line out, for whoever may open it (mode 0600).

use super::desk::Desk;
use crate::text::clean;
use rustix::fs::Mode;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Bytes of one command.
const LINE_MAX: usize = 1_024;
/// Connections served at once: people, and a script or two.
const CONNECTIONS_MAX: usize = 16;
/// A connection that says nothing for so long is closed.
const SILENCE: Duration = Duration::from_secs(5);
/// How long an answer waits for the engine to take the command.
const PATIENCE: Duration = Duration::from_secs(1);

/// A socket that is listened on. Its file is gone when it is.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
    listener: UnixListener,
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl ControlSocket {
    /// Listens there. A socket that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// A line for a person: somebody listens there, or something else is in its place.
    pub fn open(path: &Path) -> Result<Self, String> {
        let wrong = |what: &dyn std::fmt::Display| format!("control {}: {what}", path.display());
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(wrong(&"there is something else than a socket"));
            }
            Ok(_) => match UnixStream::connect(path) {
                Ok(_) => return Err(wrong(&"another engine listens there")),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    fs::remove_file(path).map_err(|error| wrong(&error))?;
                }
                Err(error) => return Err(wrong(&error)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(wrong(&error)),
        }
        // At no moment may anybody else open it, so that changing the mode afterwards will not do.
        let before = rustix::process::umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
        let listener = UnixListener::bind(path);
        rustix::process::umask(before);
        let listener = listener.map_err(|error| wrong(&error))?;
        Ok(Self { path: path.to_owned(), listener })
    }

    /// Serves it on threads of its own, for as long as the program runs.
    ///
    /// # Errors
    /// The machine gives no thread.
    pub fn serve(&self, desk: &Arc<Desk>) -> io::Result<()> {
        let (listener, desk) = (self.listener.try_clone()?, Arc::clone(desk));
        let thread = std::thread::Builder::new().name("control".to_owned());
        thread.spawn(move || {
            let open = Arc::new(AtomicUsize::new(0));
            for stream in listener.incoming() {
                match stream {
                    Ok(stream) => serve_one(stream, &desk, &open),
                    // Too many open files, say: not for ever.
                    Err(_) => std::thread::sleep(Duration::from_millis(20)),
                }
            }
        })?;
        Ok(())
    }
}

/// Serves a connection on a thread of its own: one that dawdles must not keep the next from
/// halting.
fn serve_one(mut stream: UnixStream, desk: &Arc<Desk>, open: &Arc<AtomicUsize>) {
    if open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS_MAX {
        open.fetch_sub(1, Ordering::Relaxed);
        let _ = stream.write_all(b"error: too many connections\n");
        return;
    }
    let (desk, done) = (Arc::clone(desk), Arc::clone(open));
    let thread = std::thread::Builder::new().name("control-line".to_owned());
    let spawned = thread.spawn(move || {
        let answer = match read_line(&stream) {
            Ok(line) => answer(&line, &desk),
            Err(what) => format!("error: {what}"),
        };
        let _ = stream.write_all(format!("{answer}\n").as_bytes());
        done.fetch_sub(1, Ordering::Relaxed);
    });
    if spawned.is_err() {
        open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What was said, up to the end of the line or of the connection; cut where it is too long.
fn read_line(stream: &UnixStream) -> Result<Line, String> {
    let limits = stream.set_read_timeout(Some(SILENCE));
    limits.and_then(|()| stream.set_write_timeout(Some(SILENCE))).map_err(|e| e.to_string())?;
    let mut bytes = Vec::new();
    let most = LINE_MAX as u64;
    let read = BufReader::new(stream.take(most)).read_until(b'\n', &mut bytes);
    // Half a line that was not ended is no command.
    read.map_err(|error| format!("no whole line came: {error}"))?;
    let is_cut = bytes.len() == LINE_MAX && bytes.last() != Some(&b'\n');
    Ok(Line { text: clean(String::from_utf8_lossy(&bytes).trim()), is_cut })
}

/// One command.
struct Line {
    text: String,
    is_cut: bool,
}

/// Carries a command out, and says what came of it.
fn answer(line: &Line, desk: &Desk) -> String {
    let (command, words) = line.text.split_once(char::is_whitespace).unwrap_or((&line.text, ""));
    let words = words.trim();
    let reason = if words.is_empty() { "no reason was given" } else { words };
    let shared = desk.shared();
    let asked = match command {
        // A halt is carried out however it is worded: cut words are better than none.
        "halt!" => {
            desk.kill(reason);
            Ok(())
        }
        "halt" => desk.halt(reason),
        _ if line.is_cut => return format!("error: longer than {LINE_MAX} bytes"),
        "status" => return format!("ok: {}", desk.status()),
        "resume" if words.is_empty() => return "error: resume needs a reason".to_owned(),
        "resume" if !shared.is_closed() => return "error: not halted".to_owned(),
        "resume" => desk.resume(reason),
        "limit" => {
            return match desk.limit(words) {
                // What the engine makes of it (it may be what it was), its log says.
                Ok(()) => format!("ok: limit {words}: given to the engine; {}", desk.status()),
                Err(what) => format!("error: {what}"),
            };
        }
        _ => {
            let expected = "expected halt, halt!, resume, limit or status";
            return format!("error: unknown command {command:?}; {expected}");
        }
    };
    if let Err(error) = asked {
        return format!("error: {error}; {}", desk.status());
    }
    let taken = match command {
        "resume" => wait_for(|| !shared.is_closed()),
        _ => wait_for(|| shared.halt().is_some() && !shared.kill_waits()),
    };
    let late = if taken { "" } else { "asked, and not taken yet: " };
    format!("ok: {late}{}", desk.status())
}

/// Waits a moment for the engine. Returns whether it came.
fn wait_for(is_so: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while !is_so() {
        if begun.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Sends one command to a run's socket, and gives back what it answers.
///
/// # Errors
/// A line for a person: nobody listens, or the answer is one of an error.
pub fn send(path: &Path, command: &str) -> Result<String, String> {
    let wrong = |error: io::Error| format!("control {}: {error}", path.display());
    let mut stream = UnixStream::connect(path).map_err(wrong)?;
    stream.set_read_timeout(Some(2 * SILENCE)).map_err(wrong)?;
    stream.write_all(format!("{}\n", clean(command)).as_bytes()).map_err(wrong)?;
    let mut answer = String::new();
    let most = 4 * LINE_MAX as u64;
    BufReader::new((&stream).take(most)).read_line(&mut answer).map_err(wrong)?;
    let answer = answer.trim_end();
    match answer.strip_prefix("error: ") {
        Some(what) => Err(what.to_owned()),
        None if answer.is_empty() => Err(format!("control {}: no answer", path.display())),
        None => Ok(answer.to_owned()),
    }
}
