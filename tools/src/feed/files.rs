//! Finds, reads and unpacks the files of a feed, within bounds: a data file is a stranger's.

use super::FeedError;
use flate2::read::MultiGzDecoder;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes of one file, unpacked: ten years of minute bars are a tenth of it.
pub(super) const FILE_SIZE_MAX: u64 = 1 << 30;
/// Files of one directory, folders below it included: ten years of one zip a day and symbol.
const FILES_MAX: usize = 65_536;
/// Folders inside folders.
const DEPTH_MAX: usize = 8;

/// One file in memory; a gzip is unpacked, a zip is not.
pub(super) struct File {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

impl File {
    /// The name without folder and extensions: `ES` of `data/ES.csv.gz`.
    pub(super) fn stem(&self) -> &str {
        let name = self.name.rsplit(['/', '\\']).next().expect("split gives one part at least");
        let name = name.strip_suffix(".gz").unwrap_or(name);
        name.strip_suffix(".csv").unwrap_or(name)
    }
}

/// The daily bars that come with the program.
pub(super) fn embedded() -> Result<Vec<File>, FeedError> {
    let files: [(&str, &[u8]); 4] = [
        ("data/futures_daily/CL.csv.gz", include_bytes!("../../../data/futures_daily/CL.csv.gz")),
        ("data/futures_daily/ES.csv.gz", include_bytes!("../../../data/futures_daily/ES.csv.gz")),
        ("data/futures_daily/GC.csv.gz", include_bytes!("../../../data/futures_daily/GC.csv.gz")),
        ("data/futures_daily/NQ.csv.gz", include_bytes!("../../../data/futures_daily/NQ.csv.gz")),
    ];
    files.into_iter().map(|(name, packed)| unpack(name.to_owned(), packed)).collect()
}

/// A file, or every data file of a directory and the folders below it, in the order of their names.
pub(super) fn read(path: &Path) -> Result<Vec<File>, FeedError> {
    let name = path.display().to_string();
    let failed = |problem: std::io::Error| FeedError::new(&name, None, problem);
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        if !is_data(path) {
            let problem = "not a data file; expected a name that ends in .csv, .csv.gz or .zip";
            return Err(FeedError::new(&name, None, problem));
        }
        return Ok(vec![read_file(path)?]);
    }
    let mut paths = Vec::new();
    find(path, 0, &mut paths)?;
    if paths.is_empty() {
        let problem = "no data file in this directory; expected .csv, .csv.gz or .zip";
        return Err(FeedError::new(&name, None, problem));
    }
    paths.sort();
    paths.iter().map(|path| read_file(path)).collect()
}

fn is_data(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    [".csv", ".csv.gz", ".zip"].iter().any(|end| name.ends_with(end))
}

fn find(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), FeedError> {
    let name = folder.display().to_string();
    let failed = |problem: std::io::Error| FeedError::new(&name, None, problem);
    if depth > DEPTH_MAX {
        let problem = format!("folders are nested deeper than {DEPTH_MAX}");
        return Err(FeedError::new(&name, None, problem));
    }
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            find(&path, depth + 1, found)?;
        } else if is_data(&path) {
            found.push(path);
        }
        if found.len() > FILES_MAX {
            let problem = format!("more than {FILES_MAX} data files");
            return Err(FeedError::new(&name, None, problem));
        }
    }
    Ok(())
}

fn read_file(path: &Path) -> Result<File, FeedError> {
    let name = path.display().to_string();
    let file = fs::File::open(path).map_err(|problem| FeedError::new(&name, None, problem))?;
    let packed = read_bounded(&name, file)?;
    unpack(name, &packed)
}

fn unpack(name: String, packed: &[u8]) -> Result<File, FeedError> {
    let bytes = if name.ends_with(".gz") {
        read_bounded(&name, MultiGzDecoder::new(packed))?
    } else {
        packed.to_vec()
    };
    Ok(File { name, bytes })
}

/// Everything a reader gives, or an error if that is more than [`FILE_SIZE_MAX`].
pub(super) fn read_bounded(name: &str, reader: impl Read) -> Result<Vec<u8>, FeedError> {
    let mut bytes = Vec::new();
    let result = reader.take(FILE_SIZE_MAX + 1).read_to_end(&mut bytes);
    result.map_err(|problem| FeedError::new(name, None, format!("cannot be read: {problem}")))?;
    if bytes.len() as u64 > FILE_SIZE_MAX {
        let problem = format!("larger than {FILE_SIZE_MAX} bytes when unpacked");
        return Err(FeedError::new(name, None, problem));
    }
    Ok(bytes)
}
