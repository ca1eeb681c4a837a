//! The house rules that a compiler does not hold: layers, banned words, where `unsafe` may stand.

use std::fs;
use std::path::{Path, PathBuf};

/// A module may import from the rows above its own, never from its own row or below.
const LAYERS: &[&[&str]] = &[
    &["limits", "image"],
    &["units"],
    &["code", "digest", "instrument"],
    &["calendar", "settings", "order"],
    &["contracts", "position", "codec"],
    &["risk", "input"],
    &["event", "broker", "strategy"],
    &["config", "journal", "feed"],
    &["engine"],
    &["replay"],
    &["snapshot"],
    &["resume", "retention"],
    &["embedded", "runtime"],
];

/// Calls that write state.
const WRITES: &[&str] = &[
    ".orders.get_mut",
    ".orders.insert",
    ".orders.remove",
    ".books.get_mut",
    ".contingents.insert",
    ".contingents.remove",
    ".contingents.entry_mut",
    ".contingents.mark",
    ".account.on_",
    ".strategies.book",
    ".strategies.reverse",
    ".strategies.open",
    ".strategies.rework",
];

/// What the core and all that it imports must not name: clocks, threads, files, atomics, hashing in
/// random order, randomness.
const CORE: &[&str] = &[
    "limits",
    "image",
    "units",
    "code",
    "digest",
    "instrument",
    "settings",
    "order",
    "position",
    "codec",
    "risk",
    "input",
    "event",
    "engine",
];
const BANNED_IN_CORE: &[&str] = &[
    "std::time",
    "std::thread",
    "std::fs",
    "std::io",
    "std::net",
    "std::sync",
    "HashMap",
    "HashSet",
    "rand::",
    "f64",
    "f32",
    "println!",
    "Instant",
    "SystemTime",
];

fn layer(module: &str) -> usize {
    LAYERS.iter().position(|row| row.contains(&module)).unwrap_or_else(|| {
        panic!("module `{module}` has no layer: add it to LAYERS in tests/tidy.rs")
    })
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("the sources are there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
}

/// Every source file of the library, with its top-level module and its text.
fn library() -> Vec<(PathBuf, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    assert!(found.len() > 40, "the walk found {} files", found.len());
    found
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| name != "lib.rs"))
        .map(|path| {
            let inside = path.strip_prefix(&root).expect("it is inside");
            let first = inside.iter().next().expect("it has a name").to_string_lossy();
            let module = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).expect("a source file is text");
            (path, module, text)
        })
        .collect()
}

/// Lines of code, comments taken out.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line.split("//").next().unwrap_or("")))
        .filter(|(_, line)| !line.trim().is_empty())
}

#[test]
fn modules_import_only_from_the_layers_above() {
    let mut wrong = Vec::new();
    for (path, module, text) in library() {
        for (line, code) in code(&text) {
            for after in code.split("crate::").skip(1) {
                let end = after.find(|c: char| !c.is_alphanumeric() && c != '_');
                let used = &after[..end.unwrap_or(after.len())];
                let is_module = LAYERS.iter().any(|row| row.contains(&used));
                if is_module && used != module && layer(used) >= layer(&module) {
                    wrong.push(format!("{}:{line}: {module} imports {used}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "against the layers:\n{}", wrong.join("\n"));
}

#[test]
fn the_core_names_no_clock_thread_file_float_or_random_order() {
    let mut wrong = Vec::new();
    for (path, module, text) in library() {
        if !CORE.contains(&module.as_str()) {
            continue;
        }
        for (line, code) in code(&text) {
            for word in BANNED_IN_CORE.iter().filter(|word| code.contains(*word)) {
                wrong.push(format!("{}:{line}: {word}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "banned in the core:\n{}", wrong.join("\n"));
}

#[test]
fn only_the_map_is_unsafe() {
    for (path, _, text) in library() {
        let says =
            code(&text).any(|(_, line)| line.contains("unsafe {") || line.contains("unsafe fn"));
        assert!(!says || path.ends_with("journal/map.rs"), "{} is unsafe", path.display());
    }
}

/// What reads a stranger's bytes, and all of the programs, cannot even allow it.
#[test]
fn readers_forbid_unsafe_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let journal = ["layout", "decode", "reader", "survey", "synced"];
    let library = ["codec", "replay", "contracts", "config/mod"];
    let tools = ["lib", "bin/replay", "bin/scenario", "bin/trade-engine"];
    let journal = journal.map(|name| format!("src/journal/{name}.rs"));
    let library = library.map(|name| format!("src/{name}.rs"));
    let tools = tools.map(|name| format!("tools/src/{name}.rs"));
    for name in journal.iter().chain(&library).chain(&tools) {
        let text = fs::read_to_string(root.join(name)).expect("it is there");
        assert!(text.contains("#![forbid(unsafe_code)]"), "{name}");
    }
}

#[test]
fn sources_are_plain_and_finished() {
    for (path, _, text) in library() {
        assert!(text.starts_with("//!"), "{} does not say what it holds", path.display());
        assert!(text.is_ascii(), "{} is not ASCII", path.display());
        for (line, content) in text.lines().enumerate() {
            let at = format!("{}:{}", path.display(), line + 1);
            // The order table is a picture: its columns may pass the line.
            let table = path.ends_with("order/state.rs");
            assert!(content.len() <= 100 || table, "{at} is longer than 100 columns");
            for word in ["TODO", "FIXME", "todo!", "unimplemented!"] {
                assert!(!content.contains(word), "{at} says {word}");
            }
        }
    }
}

/// State is written in one place: outside `apply.rs` and its parts nobody calls what changes an
/// order, a book or a contingent order.
#[test]
fn only_apply_writes_state() {
    for (path, module, text) in library() {
        let part_of_apply = path.parent().is_some_and(|folder| folder.ends_with("engine/apply"));
        let may = path.ends_with("apply.rs") || part_of_apply || path.ends_with("executions.rs");
        if module != "engine" || may {
            continue;
        }
        for (line, code) in code(&text) {
            for write in WRITES {
                assert!(!code.contains(write), "{}:{line} writes state", path.display());
            }
        }
    }
}

/// The table of controls in ARCHITECTURE.md: no key is missing, and no test that it names.
#[test]
fn every_control_has_its_row_and_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).expect("it is there");
    let begin = text.find("## Controls").expect("it has the section");
    let section = text[begin + 3..].split("\n## ").next().expect("a section has a beginning");
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
    assert!(rows.len() > 20, "{} rows", rows.len());
    for key in trade_engine::settings::LimitKey::ALL {
        let (name, scoped) = (format!("`{}`", key.name()), format!("`{}`*", key.name()));
        let row = rows.iter().find(|row| row.contains(&name));
        let row = row.unwrap_or_else(|| panic!("no control has the key {name}"));
        assert_eq!(row.contains(&scoped), key.is_scoped(), "{name}: * marks a key with scopes");
    }
    for row in rows {
        let named = row.rsplit('|').nth(1).expect("a row has columns").trim().trim_matches('`');
        let (file, test) = named.split_once("::").unwrap_or_else(|| panic!("no test in: {row}"));
        let path = root.join("tests").join(format!("{file}.rs"));
        let text = fs::read_to_string(&path).unwrap_or_else(|_| panic!("no {}", path.display()));
        assert!(text.contains(&format!("#[test]\nfn {test}() {{")), "no test {named}");
    }
}
