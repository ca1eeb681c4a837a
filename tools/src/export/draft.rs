//! A file that is whole or not there: written under another name, put in its place at the end.

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use trade_engine::journal::is_log;

/// The file in the making. Dropped before [`Draft::publish`], it leaves nothing behind; killed, it
/// leaves `.NAME.PID`.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    draft: PathBuf,
    /// Whether a file that is there already gives way.
    force: bool,
    published: bool,
}

impl Draft {
    /// Begins a file that is to be `path`, and gives what to write it to.
    ///
    /// # Errors
    /// Something is there and must not give way; or the system refuses.
    pub fn begin(path: &Path, force: bool) -> io::Result<(Self, File)> {
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what);
        let name = path.file_name().ok_or_else(|| wrong("not the name of a file"))?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        if is_log(parent.unwrap_or(Path::new("."))) {
            return Err(wrong("in a log's directory; nothing else is written there"));
        }
        match path.symlink_metadata() {
            Ok(_) if !force => return Err(taken()),
            Ok(meta) if !meta.is_file() => {
                return Err(wrong("is there already, and no plain file: it is not replaced"));
            }
            Ok(_) | Err(_) => {}
        }
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}", std::process::id()));
        let draft = path.with_file_name(hidden);
        let file = OpenOptions::new().write(true).create_new(true).open(&draft)?;
        Ok((Self { path: path.to_owned(), draft, force, published: false }, file))
    }

    /// Puts the file, which is complete, on the disk and in its place.
    ///
    /// # Errors
    /// Something has come there in the meantime and must not give way; or the system refuses.
    pub fn publish(mut self, file: File) -> io::Result<()> {
        file.sync_all()?;
        drop(file);
        if self.force {
            fs::rename(&self.draft, &self.path)?;
        } else {
            rename_to_new(&self.draft, &self.path)?;
        }
        self.published = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.published {
            let _ = fs::remove_file(&self.draft);
        }
    }
}

/// Renames, but never over another file.
fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system that cannot promise it: the look in the beginning must do.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) if to.symlink_metadata().is_err() => {
            fs::rename(from, to)
        }
        Err(Errno::EXIST) => Err(taken()),
        outcome => outcome.map_err(io::Error::from),
    }
}

fn taken() -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, "is there already; --force replaces it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_is_whole_or_not_there_and_none_is_replaced_unasked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table.csv");
        let count = || fs::read_dir(dir.path()).unwrap().count();

        let (draft, mut file) = Draft::begin(&path, false).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!path.exists() && count() == 1);
        drop(draft);
        assert_eq!(count(), 0);

        let (draft, mut file) = Draft::begin(&path, false).unwrap();
        file.write_all(b"whole").unwrap();
        draft.publish(file).unwrap();
        assert_eq!((fs::read(&path).unwrap(), count()), (b"whole".to_vec(), 1));

        // There from the beginning; and come in between.
        let error = Draft::begin(&path, false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        let late = dir.path().join("late.csv");
        let (draft, file) = Draft::begin(&late, false).unwrap();
        fs::write(&late, "another's").unwrap();
        assert_eq!(draft.publish(file).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!((fs::read(&late).unwrap(), count()), (b"another's".to_vec(), 2));

        let (draft, file) = Draft::begin(&late, true).unwrap();
        draft.publish(file).unwrap();
        assert_eq!((fs::read(&late).unwrap(), count()), (Vec::new(), 2));

        // A link, a directory, anything in a log: none gives way.
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&late, &link).unwrap();
        for path in [&link, dir.path()] {
            assert!(Draft::begin(path, true).is_err(), "{}", path.display());
        }
        let segment = dir.path().join("00000001.seg");
        fs::write(&segment, "a log's").unwrap();
        assert!(Draft::begin(&segment, true).is_err());
        assert!(Draft::begin(&dir.path().join("new.csv"), true).is_err());
        assert_eq!(fs::read(&segment).unwrap(), b"a log's");
    }
}
