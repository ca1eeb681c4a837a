//! The machine, as its files under `/proc` and `/sys` say.

use std::fs;
use std::path::{Path, PathBuf};

/// Where to look.
#[derive(Clone, Debug)]
pub struct Host {
    root: PathBuf,
}

impl Host {
    /// The machine whose `proc` and `sys` lie under `root`.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// A small file's text without the space around it. `None` if it is not there or is no text.
    pub fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok().map(|text| text.trim().to_owned())
    }

    /// Names in a directory, in order; none if it is not there.
    pub fn names(&self, path: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.root.join(path)) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// The cores that this process may run on.
    pub fn usable_cores(&self) -> Vec<usize> {
        let status = self.read("proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        line.and_then(cores_in).unwrap_or_default()
    }

    /// A file of one core.
    pub fn of_core(&self, core: usize, path: &str) -> Option<String> {
        self.read(&format!("sys/devices/system/cpu/cpu{core}/{path}"))
    }

    /// The value of a word of the kernel's command line: `name=value`.
    pub fn boot_option(&self, name: &str) -> Option<String> {
        let line = self.read("proc/cmdline")?;
        let value = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')));
        value.map(str::to_owned)
    }
}

/// The kernel's lists of cores: `0-3,8`. `None` for what is none.
pub fn cores_in(list: &str) -> Option<Vec<usize>> {
    let mut cores = Vec::new();
    for part in list.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        // More than any kernel has: a file that is not the kernel's.
        if first > last || last > 1 << 16 {
            return None;
        }
        cores.extend(first..=last);
    }
    Some(cores)
}
