//! The halt file: trading is halted while it is there, and stays so across restarts until a named
//! command moves it away. Its first line says why.
//!
//! Whatever stands in its place counts as it: an empty file, a directory, bytes that are no text,
//! what cannot be read. Only a file that is certainly not there does not halt.

use crate::text::clean;
use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes that are read of it: the first line is what counts.
const BYTES_MAX: u64 = 4_096;

/// A halt file's place, and that of the file that says that it was moved away.
#[derive(Clone, Debug)]
pub struct HaltFile {
    path: PathBuf,
    released: PathBuf,
}

/// Which file it is: another one, or another text in it, is another halt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Stamp {
    /// Moving a file changes nothing in it.
    fn of(file: &Metadata) -> Self {
        let changed = (file.mtime(), file.mtime_nsec());
        Self { device: file.dev(), inode: file.ino(), size: file.size(), changed }
    }
}

impl HaltFile {
    /// The halt file of that name.
    pub fn new(path: &Path) -> Self {
        let mut released = OsString::from(path);
        released.push(".resumed");
        Self { path: path.to_owned(), released: released.into() }
    }

    /// Its name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it could be written: its directory is there.
    ///
    /// # Errors
    /// A line for a person.
    pub fn check(&self) -> Result<(), String> {
        let dir = self.dir();
        let shown = self.path.display();
        match fs::metadata(dir) {
            Ok(dir) if dir.is_dir() && self.path.file_name().is_some() => Ok(()),
            Ok(_) => Err(format!("halt file {shown}: not the name of a file in a directory")),
            Err(error) => Err(format!("halt file {shown}: {}: {error}", dir.display())),
        }
    }

    fn dir(&self) -> &Path {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.unwrap_or(Path::new("."))
    }

    /// Why trading is halted by it; `None` if it is not there.
    pub fn look(&self) -> Option<String> {
        match fs::symlink_metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(format!("the halt file cannot be looked for: {error}")),
            Ok(_) => Some(match first_line(&self.path) {
                Ok(words) if words.is_empty() => "the halt file says nothing".to_owned(),
                Ok(words) => words,
                Err(error) => format!("the halt file cannot be read: {error}"),
            }),
        }
    }

    /// Which file it is; `None` if that cannot be said.
    pub fn stamp(&self) -> Option<Stamp> {
        fs::symlink_metadata(&self.path).ok().map(|of| Stamp::of(&of))
    }

    /// Writes it, whole or not at all, and so that it survives the machine. Gives back which file it
    /// wrote: the one in its place may be another's by then, who has halted once more.
    ///
    /// # Errors
    /// Those of the system.
    pub fn set(&self, words: &str) -> io::Result<Stamp> {
        // An older release must not end this halt.
        self.forget_release()?;
        self.write(&self.path, &format!("{}\n", clean(words)))
    }

    fn write(&self, path: &Path, text: &str) -> io::Result<Stamp> {
        let mut name = OsString::from(".");
        name.push(self.path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
        name.push(format!(".{}", std::process::id()));
        let draft = self.dir().join(name);
        let mut file = File::create(&draft)?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        let moved = written.and_then(|()| fs::rename(&draft, path));
        if moved.is_err() {
            let _ = fs::remove_file(&draft);
        }
        moved?;
        File::open(self.dir())?.sync_all()?;
        Ok(Stamp::of(&file.metadata()?))
    }

    /// The named command that ends the halt: the file gives way to one that says who ended it.
    ///
    /// # Errors
    /// A line for a person; the file is still there then.
    pub fn release(&self, reason: &str) -> Result<(), String> {
        let shown = self.path.display();
        let Some(words) = self.look() else {
            return Err(format!("{shown}: not there, so that nothing is halted by it"));
        };
        let reason = clean(reason.trim());
        if reason.is_empty() {
            return Err("a reason is needed".to_owned());
        }
        let text = format!("{reason}\nhalted: {}\n", clean(&words));
        // First the words, then the file: it is never gone without them.
        let failed = |error: io::Error| {
            let _ = self.forget_release();
            format!("{shown}: {error}")
        };
        self.write(&self.released, &text).map_err(failed)?;
        fs::remove_file(&self.path).map_err(failed)
    }

    /// Who ended the halt, if the file is gone and somebody did.
    pub fn released(&self) -> Option<String> {
        if self.look().is_some() {
            return None;
        }
        first_line(&self.released).ok().filter(|words| !words.is_empty())
    }

    /// Takes the words of [`HaltFile::released`] away.
    ///
    /// # Errors
    /// Those of the system, but for words that are not there.
    pub fn forget_release(&self) -> io::Result<()> {
        removed(fs::remove_file(&self.released))
    }

    /// Removes the file, where the halt was ended otherwise.
    ///
    /// # Errors
    /// Those of the system, but for a file that is not there.
    pub fn remove(&self) -> io::Result<()> {
        removed(fs::remove_file(&self.path))
    }
}

fn removed(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// The first line of a plain file, without what could move a cursor.
fn first_line(path: &Path) -> io::Result<String> {
    // Whoever puts a pipe there must not hang the one that opens it.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(clean(text.lines().next().unwrap_or("").trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn place() -> (tempfile::TempDir, HaltFile) {
        let dir = tempfile::tempdir().unwrap();
        let file = HaltFile::new(&dir.path().join("HALT"));
        (dir, file)
    }

    #[test]
    fn whatever_is_there_halts() {
        let (dir, file) = place();
        assert_eq!(file.look(), None);
        let says = |expected: &str| {
            let words = file.look().expect("it is there");
            assert!(words.contains(expected), "{words:?} without {expected:?}");
        };
        let write = |bytes: &[u8]| fs::write(file.path(), bytes).unwrap();
        write(b"");
        says("says nothing");
        write(b"  \n second line");
        says("says nothing");
        write(b"a bad day\r\nmore\n");
        assert_eq!(file.look().unwrap(), "a bad day");
        write(b"\xff\xfe\x00\x1b[2J");
        says("\\u{0}\\u{1b}[2J");
        write(&vec![b'x'; 10_000_000]);
        assert_eq!(u64::try_from(file.look().unwrap().len()).unwrap(), BYTES_MAX);
        fs::remove_file(file.path()).unwrap();
        fs::create_dir(file.path()).unwrap();
        says("no plain file");
        fs::remove_dir(file.path()).unwrap();
        symlink(dir.path().join("nowhere"), file.path()).unwrap();
        says("cannot be read");
        fs::remove_file(file.path()).unwrap();
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, file.path(), rustix::fs::FileType::Fifo, mode, 0)
            .unwrap();
        says("no plain file");
        fs::remove_file(file.path()).unwrap();
        write(b"hidden");
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o000)).unwrap();
        // Whoever may read everything reads it.
        assert!(file.look().is_some());
    }

    #[test]
    fn a_place_that_cannot_be_looked_at_halts() {
        let (dir, _) = place();
        fs::write(dir.path().join("file"), "").unwrap();
        let inside = HaltFile::new(&dir.path().join("file/HALT"));
        assert!(inside.look().unwrap().contains("cannot be looked for"));
        assert!(inside.check().is_err());
        assert!(HaltFile::new(&dir.path().join("no/such/HALT")).check().is_err());
    }

    #[test]
    fn a_release_has_words_and_only_then_is_one() {
        let (dir, file) = place();
        assert!(file.release("nothing is halted").unwrap_err().contains("not there"));
        file.set("first\nof two").unwrap();
        assert_eq!(file.look().unwrap(), "first\\nof two");
        assert!(file.release(" \n").is_err());
        assert_eq!(file.released(), None);
        file.release("all is well").unwrap();
        assert_eq!((file.look(), file.released().as_deref()), (None, Some("all is well")));
        let kept = fs::read_to_string(dir.path().join("HALT.resumed")).unwrap();
        assert_eq!(kept, "all is well\nhalted: first\\nof two\n");
        // The next halt is not ended by the last one's end.
        file.set("again").unwrap();
        fs::remove_file(file.path()).unwrap();
        assert_eq!(file.released(), None);
        // Nor by something that is not words.
        fs::create_dir(dir.path().join("HALT.resumed")).unwrap();
        assert_eq!(file.released(), None);
        fs::remove_dir(dir.path().join("HALT.resumed")).unwrap();
        // What cannot be moved away is still there, and nothing says otherwise.
        fs::create_dir(file.path()).unwrap();
        assert!(file.release("go").is_err());
        assert!(file.look().is_some() && !dir.path().join("HALT.resumed").exists());
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn another_file_is_another_halt() {
        let (_dir, file) = place();
        assert_eq!(file.stamp(), None);
        let first = file.set("one").unwrap();
        assert_eq!(file.stamp(), Some(first));
        // Its writer knows the first by what it wrote, not by what stands there when it looks.
        let second = file.set("two").unwrap();
        assert_ne!(second, first);
        assert_eq!(file.stamp(), Some(second));
    }
}
