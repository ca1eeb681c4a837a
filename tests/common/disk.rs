//! A disk that loses its power, under the real writer: the files are real, and what of them would
//! be on the platter is kept beside them. What was not synced is there or not, sector by sector and
//! name by name, in any order.
#![allow(dead_code, unreachable_pub)]

use super::log::Random;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use trade_engine::journal::Disk;

const SECTOR: usize = 512;

/// The disk under one log directory.
#[derive(Debug)]
pub struct PowerDisk(Mutex<Platter>);

#[derive(Debug)]
struct Platter {
    dir: PathBuf,
    /// Every file that was ever there, by its inode.
    files: BTreeMap<u64, OnDisk>,
    /// Names of the directory, and the directory's own in the one above.
    names: BTreeMap<String, u64>,
    is_named: bool,
    random: Random,
    /// How many moments are left before the power goes.
    moments: u64,
    wreck: Option<Wreck>,
}

#[derive(Debug)]
struct OnDisk {
    /// Open, so that its inode is not used again.
    file: File,
    bytes: Vec<u8>,
}

/// Everything that the disk may hold after the loss: one of many images.
#[derive(Clone, Debug)]
pub struct Wreck {
    is_named: bool,
    files: Vec<Wrecked>,
}

#[derive(Clone, Debug)]
struct Wrecked {
    synced_name: Option<String>,
    name: Option<String>,
    synced: Vec<u8>,
    bytes: Vec<u8>,
}

/// Names and bytes; `None`: not even the directory is there.
pub type Files = Option<BTreeMap<String, Vec<u8>>>;

fn contents(file: &File) -> Vec<u8> {
    let size = usize::try_from(file.metadata().unwrap().len()).unwrap();
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// What is there now in place of what was, as far as the coin says so.
fn mix(was: &[u8], is: &[u8], mut coin: impl FnMut() -> bool) -> Vec<u8> {
    let size = if was.len() == is.len() || coin() { is.len() } else { was.len() };
    let mut mixed = was.to_vec();
    mixed.resize(size, 0);
    for (at, sector) in is.chunks(SECTOR).enumerate() {
        let begin = at * SECTOR;
        let end = size.min(begin + sector.len());
        if begin < end && mixed[begin..end] != sector[..end - begin] && coin() {
            mixed[begin..end].copy_from_slice(&sector[..end - begin]);
        }
    }
    mixed
}

impl PowerDisk {
    /// A disk that loses its power after so many moments: one before each sync and one after it.
    /// What `dir` holds is on it.
    pub fn new(dir: &Path, seed: u64, moments: u64) -> Self {
        let mut platter = Platter {
            dir: dir.to_owned(),
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            is_named: dir.exists(),
            random: Random(seed),
            moments,
            wreck: None,
        };
        if platter.is_named {
            platter.names = platter.look();
            for on_disk in platter.files.values_mut() {
                on_disk.bytes = contents(&on_disk.file);
            }
        }
        Self(Mutex::new(platter))
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap()
    }

    /// The kernel writes some of what is dirty in its own time.
    pub fn write_back(&self) {
        let mut platter = self.platter();
        let names = platter.look();
        let Platter { files, random, names: synced, .. } = &mut *platter;
        for on_disk in files.values_mut() {
            let now = contents(&on_disk.file);
            on_disk.bytes = mix(&on_disk.bytes, &now, || random.below(3) == 0);
        }
        if random.below(4) == 0 {
            *synced = names;
        }
    }

    /// The power goes now, if it has not gone yet. What may be left:
    pub fn lose_power(&self) -> Wreck {
        let mut platter = self.platter();
        platter.lose();
        platter.wreck.clone().unwrap()
    }

    pub fn is_lost(&self) -> bool {
        self.platter().wreck.is_some()
    }
}

impl Platter {
    /// The names that are there now; every file that has one is known from then on.
    fn look(&mut self) -> BTreeMap<String, u64> {
        let mut names = BTreeMap::new();
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return names };
        for entry in entries {
            let entry = entry.unwrap();
            let file = File::open(entry.path()).unwrap();
            let inode = file.metadata().unwrap().ino();
            names.insert(entry.file_name().into_string().unwrap(), inode);
            self.files.entry(inode).or_insert(OnDisk { file, bytes: Vec::new() });
        }
        names
    }

    fn lose(&mut self) {
        if self.wreck.is_some() {
            return;
        }
        let now = self.look();
        let name_of = |names: &BTreeMap<String, u64>, inode: u64| {
            names.iter().find(|(_, other)| **other == inode).map(|(name, _)| name.clone())
        };
        let wrecked = |(inode, on_disk): (&u64, &OnDisk)| Wrecked {
            synced_name: name_of(&self.names, *inode),
            name: name_of(&now, *inode),
            synced: on_disk.bytes.clone(),
            bytes: contents(&on_disk.file),
        };
        let files = self.files.iter().map(wrecked).collect();
        self.wreck = Some(Wreck { is_named: self.is_named, files });
    }

    /// A moment passes. Returns whether there is power.
    fn pass(&mut self) -> bool {
        if self.moments == 0 {
            self.lose();
        }
        self.moments = self.moments.saturating_sub(1);
        self.wreck.is_none()
    }

    fn sync(&mut self, path: &Path, file: &File) -> io::Result<()> {
        let gone = || Err(io::Error::other("the power is gone"));
        if !self.pass() {
            return gone();
        }
        if path == self.dir {
            self.names = self.look();
        } else if path.parent() == Some(&self.dir) {
            self.look();
            let inode = file.metadata().unwrap().ino();
            self.files.get_mut(&inode).expect("it has a name").bytes = contents(file);
        } else {
            self.is_named = true;
        }
        if self.pass() { Ok(()) } else { gone() }
    }
}

impl Disk for PowerDisk {
    fn sync_data(&self, path: &Path, file: &File) -> io::Result<()> {
        self.platter().sync(path, file)
    }

    fn sync_all(&self, path: &Path, file: &File) -> io::Result<()> {
        self.platter().sync(path, file)
    }
}

impl Wreck {
    /// One of the images that the loss may have left.
    pub fn image(&self, random: &mut Random) -> Files {
        if !self.is_named && random.below(2) == 0 {
            return None;
        }
        let mut image = BTreeMap::new();
        for file in &self.files {
            let is_new = file.name == file.synced_name || random.below(2) == 0;
            let name = if is_new { &file.name } else { &file.synced_name };
            let bytes = mix(&file.synced, &file.bytes, || random.below(2) == 0);
            // Two files never share a name: the later one took it from the other.
            if let Some(name) = name
                && (is_new || !image.contains_key(name))
            {
                image.insert(name.clone(), bytes);
            }
        }
        // A name that one file took from another is never without either: renaming is one step.
        for file in self.files.iter().filter(|file| file.name.is_none()) {
            if let Some(name) = &file.synced_name
                && self.files.iter().any(|other| other.name.as_ref() == Some(name))
            {
                image.entry(name.clone()).or_insert_with(|| file.synced.clone());
            }
        }
        Some(image)
    }
}
