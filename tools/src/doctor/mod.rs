//! `trade-engine doctor`: looks at the machine as a run would meet it, and says what spoils latency
//! or durability here and what to change. It changes nothing.

mod findings;
mod host;

pub use findings::{Finding, Grade, examine};
pub use host::{Host, cores_in};

use crate::text::clean;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What to look at.
#[derive(clap::Args, Clone, Debug)]
pub struct DoctorArgs {
    /// Where the log will be: whether that disk keeps anything, and how much room it has.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub log: PathBuf,
    /// The core that the engine will run on; the last one if not given.
    #[arg(long, value_name = "CORE")]
    pub core: Option<usize>,
    /// One JSON document instead of text.
    #[arg(long)]
    pub json: bool,
    /// Looks at a copy of another machine's `proc` and `sys` in this directory.
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
}

/// What was found, for a person or a program.
///
/// # Errors
/// A line for a person: a core or a directory that is not there.
pub fn doctor(args: &DoctorArgs) -> Result<String, String> {
    let host = Host::new(&args.root);
    let core = engine_core(&host, args.core)?;
    check_log(&args.log)?;
    let found = examine(&host, core, &args.log);
    if args.json {
        let list: Vec<Value> = found.iter().map(Finding::to_json).collect();
        let document = json!({ "engine_core": core, "findings": list });
        return Ok(format!("{document:#}\n"));
    }
    Ok(told(core, &found))
}

/// The core that a run would choose: the last of those that it may use.
fn engine_core(host: &Host, wanted: Option<usize>) -> Result<usize, String> {
    let usable = host.usable_cores();
    let core = wanted.or_else(|| usable.last().copied());
    match core.filter(|core| usable.contains(core)) {
        Some(core) => Ok(core),
        None => Err(format!(
            "core {}: not one that this process may use: {usable:?}",
            core.map_or_else(|| "none".to_owned(), |core| core.to_string())
        )),
    }
}

fn check_log(dir: &Path) -> Result<(), String> {
    let shown = clean(&dir.display().to_string());
    match std::fs::metadata(dir) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(format!("--log {shown}: not a directory; expected one that logs will be in")),
        Err(error) => Err(format!("--log {shown}: {error}")),
    }
}

fn told(core: usize, found: &[Finding]) -> String {
    let mut text = format!("engine thread on core {core}\n\n");
    for finding in found {
        let Finding { grade, name, found, advice } = finding;
        text.push_str(&format!("{:<7}{name:<22}{}\n", grade.name(), clean(found)));
        if let Some(advice) = advice {
            text.push_str(&format!("{:<7}{:<22}{advice}\n", "", ""));
        }
    }
    let count = |grade| found.iter().filter(|finding| finding.grade == grade).count();
    let (bad, unknown) = (count(Grade::Change), count(Grade::Unknown));
    text.push_str(&format!("\n{bad} to change, {unknown} that cannot be seen from here\n"));
    text
}
