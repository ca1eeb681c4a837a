//! What is looked at, one function each: what was found, whether it is as it should be, and what
//! to change where it is not.

use super::host::{Host, cores_in};
use serde_json::{Value, json};
use std::path::Path;

/// How a finding is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// As it should be.
    Good,
    /// Costs latency or durability here.
    Change,
    /// The machine does not say.
    Unknown,
}

impl Grade {
    /// For a column.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Change => "CHANGE",
            Self::Unknown => "?",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How it is to be taken.
    pub grade: Grade,
    /// What was looked at.
    pub name: &'static str,
    /// What was found.
    pub found: String,
    /// What to change, where something is.
    pub advice: Option<String>,
}

impl Finding {
    fn good(name: &'static str, found: impl Into<String>) -> Self {
        Self { grade: Grade::Good, name, found: found.into(), advice: None }
    }

    fn change(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        let advice = Some(advice.into());
        Self { grade: Grade::Change, name, found: found.into(), advice }
    }

    fn unknown(name: &'static str, found: impl Into<String>) -> Self {
        Self { grade: Grade::Unknown, name, found: found.into(), advice: None }
    }

    /// For a program.
    pub fn to_json(&self) -> Value {
        let Self { grade, name, found, advice } = self;
        let grade = match grade {
            Grade::Good => "good",
            Grade::Change => "change",
            Grade::Unknown => "unknown",
        };
        json!({ "name": name, "grade": grade, "found": found, "advice": advice })
    }
}

/// Everything, for an engine on that core and a log in that directory.
pub fn examine(host: &Host, core: usize, log: &Path) -> Vec<Finding> {
    vec![
        cores(host),
        isolation(host, core),
        ticks(host, core),
        callbacks(host, core),
        interrupts(host, core),
        siblings(host, core),
        governor(host, core),
        idle_states(host, core),
        clock(host),
        virtual_machine(host),
        huge_pages(host),
        swap(host),
        disk(log),
    ]
}

fn cores(host: &Host) -> Finding {
    let name = "cores";
    match host.usable_cores().len() {
        count @ 4.. => Finding::good(name, format!("{count} for this process: one a thread")),
        count @ 2..=3 => Finding::change(
            name,
            format!("{count} for this process: journal, broker and gateway share one"),
            "give it four: a slow turn of one of the three keeps the others waiting",
        ),
        count => Finding::change(
            name,
            format!("{count} for this process: the engine shares it with everybody"),
            "give it four: with one the engine yields instead of spinning",
        ),
    }
}

fn isolation(host: &Host, core: usize) -> Finding {
    let name = "isolated cores";
    let Some(list) = host.read("sys/devices/system/cpu/isolated") else {
        return Finding::unknown(name, "the kernel does not say");
    };
    if cores_in(&list).is_some_and(|cores| cores.contains(&core)) {
        return Finding::good(name, list);
    }
    let found = if list.is_empty() { "none".to_owned() } else { list };
    Finding::change(
        name,
        found,
        format!("boot with isolcpus={core}: other programs are scheduled on the engine's core"),
    )
}

fn ticks(host: &Host, core: usize) -> Finding {
    let name = "timer ticks";
    let list = host.read("sys/devices/system/cpu/nohz_full").unwrap_or_default();
    if cores_in(&list).is_some_and(|cores| cores.contains(&core)) {
        return Finding::good(name, format!("off on {list} while one thread runs there"));
    }
    Finding::change(
        name,
        "on for the engine's core",
        format!("boot with nohz_full={core}: each tick stops the engine"),
    )
}

fn callbacks(host: &Host, core: usize) -> Finding {
    let name = "kernel callbacks";
    let list = host.boot_option("rcu_nocbs").unwrap_or_default();
    let is_off = list == "all" || cores_in(&list).is_some_and(|cores| cores.contains(&core));
    if is_off {
        return Finding::good(name, format!("rcu_nocbs={list}"));
    }
    Finding::change(
        name,
        "run on the engine's core",
        format!("boot with rcu_nocbs={core} (nohz_full does it, too)"),
    )
}

fn interrupts(host: &Host, core: usize) -> Finding {
    let name = "interrupts";
    let numbers = host.names("proc/irq");
    let lists: Vec<(&String, Vec<usize>)> = numbers
        .iter()
        .filter_map(|number| {
            let path = format!("proc/irq/{number}/effective_affinity_list");
            let list = host.read(&path).filter(|list| !list.is_empty());
            let list = list.or_else(|| host.read(&format!("proc/irq/{number}/smp_affinity_list")));
            Some((number, cores_in(&list?)?))
        })
        .collect();
    if lists.is_empty() {
        return Finding::unknown(name, "the kernel does not say where they go");
    }
    let here: Vec<&str> = lists
        .iter()
        .filter(|(_, cores)| cores.contains(&core))
        .map(|(number, _)| number.as_str())
        .collect();
    if here.is_empty() {
        return Finding::good(name, "none goes to the engine's core");
    }
    let shown = here.iter().take(8).copied().collect::<Vec<_>>().join(" ");
    let more = if here.len() > 8 { " ..." } else { "" };
    Finding::change(
        name,
        format!("{} may go to the engine's core: {shown}{more}", here.len()),
        "stop irqbalance, and write the other cores into /proc/irq/N/smp_affinity_list",
    )
}

fn siblings(host: &Host, core: usize) -> Finding {
    let name = "hyper-threading";
    let Some(list) = host.of_core(core, "topology/thread_siblings_list") else {
        return Finding::unknown(name, "the kernel does not say");
    };
    match cores_in(&list) {
        Some(cores) if cores.len() > 1 => {
            let others: Vec<String> =
                cores.iter().filter(|other| **other != core).map(usize::to_string).collect();
            let files =
                others.iter().map(|other| format!("/sys/devices/system/cpu/cpu{other}/online"));
            let files: Vec<String> = files.collect();
            Finding::change(
                name,
                format!("the engine's core shares its caches and units with {}", others.join(", ")),
                format!("echo 0 | tee {}, or keep it idle", files.join(" ")),
            )
        }
        Some(_) => Finding::good(name, "the engine's core is whole"),
        None => Finding::unknown(name, list),
    }
}

fn governor(host: &Host, core: usize) -> Finding {
    let name = "frequency";
    match host.of_core(core, "cpufreq/scaling_governor") {
        None => Finding::unknown(name, "not to be seen: the firmware or a host decides"),
        Some(governor) if governor == "performance" => Finding::good(name, governor),
        Some(governor) => Finding::change(
            name,
            format!("governor {governor}"),
            "cpupower frequency-set -g performance: a clock that changes spoils every figure",
        ),
    }
}

/// Microseconds that a core may take to wake: more shows in the tail of a thread that sleeps.
const WAKE_MAX_US: u64 = 10;

fn idle_states(host: &Host, core: usize) -> Finding {
    let name = "sleep states";
    let dir = format!("sys/devices/system/cpu/cpu{core}/cpuidle");
    let mut deepest = None;
    for state in host.names(&dir) {
        let is_off = host.read(&format!("{dir}/{state}/disable")).is_some_and(|off| off != "0");
        let latency = host.read(&format!("{dir}/{state}/latency"));
        let latency = latency.and_then(|text| text.parse::<u64>().ok());
        if let Some(latency) = latency.filter(|_| !is_off) {
            deepest = deepest.max(Some(latency));
        }
    }
    match deepest {
        None => Finding::unknown(name, "not to be seen: the firmware or a host decides"),
        Some(us @ 0..=WAKE_MAX_US) => Finding::good(name, format!("{us} us to wake at most")),
        Some(us) => Finding::change(
            name,
            format!("up to {us} us to wake"),
            format!("cpupower idle-set -D {WAKE_MAX_US}: threads that yield or park wait for it"),
        ),
    }
}

fn clock(host: &Host) -> Finding {
    let name = "clock";
    match host.read("sys/devices/system/clocksource/clocksource0/current_clocksource") {
        None => Finding::unknown(name, "the kernel does not say"),
        Some(source) if source == "tsc" => Finding::good(name, source),
        Some(source) => Finding::change(
            name,
            source,
            "boot with clocksource=tsc tsc=reliable: the counter is read for every input",
        ),
    }
}

fn virtual_machine(host: &Host) -> Finding {
    let name = "virtual machine";
    let Some(info) = host.read("proc/cpuinfo") else {
        return Finding::unknown(name, "the kernel does not say");
    };
    let is_virtual = info
        .lines()
        .filter(|line| line.starts_with("flags") || line.starts_with("Features"))
        .any(|line| line.split_whitespace().any(|flag| flag == "hypervisor"));
    if !is_virtual {
        return Finding::good(name, "no");
    }
    Finding::change(
        name,
        "yes",
        "use bare metal: a host takes cores away, and no setting here stops it",
    )
}

fn huge_pages(host: &Host) -> Finding {
    let name = "huge pages";
    let Some(modes) = host.read("sys/kernel/mm/transparent_hugepage/enabled") else {
        return Finding::unknown(name, "the kernel does not say");
    };
    let mode = modes.split_whitespace().find_map(|mode| mode.strip_prefix('[')?.strip_suffix(']'));
    match mode {
        Some("always") => Finding::change(
            name,
            "transparent, always",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled: the kernel moves memory \
             to make them, and threads wait for it",
        ),
        Some(mode) => Finding::good(name, format!("transparent, {mode}")),
        None => Finding::unknown(name, modes.clone()),
    }
}

fn swap(host: &Host) -> Finding {
    let name = "swap";
    let Some(swaps) = host.read("proc/swaps") else {
        return Finding::unknown(name, "the kernel does not say");
    };
    match swaps.lines().skip(1).count() {
        0 => Finding::good(name, "off"),
        count => Finding::change(
            name,
            format!("{count} in use"),
            "swapoff -a: a page of the engine's memory that is gone costs a disk's time",
        ),
    }
}

/// Segments of the default size that should find room.
const SEGMENTS_MIN: u64 = 16;

fn disk(log: &Path) -> Finding {
    let name = "disk of the log";
    let Ok(found) = rustix::fs::statfs(log) else {
        return Finding::unknown(name, "the kernel does not say");
    };
    // Linux, include/uapi/linux/magic.h: TMPFS_MAGIC, RAMFS_MAGIC.
    let is_memory = [0x0102_1994, 0x8584_58f6].contains(&i128::from(found.f_type));
    if is_memory {
        return Finding::change(
            name,
            "memory",
            "put it on a disk: what is synced here is lost with the power all the same",
        );
    }
    let free = u128::from(found.f_bavail) * u128::from(found.f_bsize.unsigned_abs());
    let shown = format!("{} MiB free", free >> 20);
    if free < u128::from(SEGMENTS_MIN * trade_engine::limits::SEGMENT_SIZE) {
        let advice = "make room, or let log.keep_segments and log.archive move old segments";
        return Finding::change(name, shown, advice);
    }
    Finding::good(name, shown)
}
