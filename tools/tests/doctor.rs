//! `trade-engine doctor`, on machines that are made of files.
#![cfg(target_os = "linux")]

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use trade_engine_tools::doctor::cores_in;

/// The `proc` and `sys` of a machine of eight cores on which nothing is to change, its last core for
/// the engine.
fn tuned(root: &Path) {
    let cpu = "sys/devices/system/cpu";
    for (path, text) in [
        ("proc/self/status", "Name:\tx\nCpus_allowed_list:\t0-7\n"),
        ("proc/cmdline", "quiet isolcpus=7 nohz_full=7 rcu_nocbs=6-7\n"),
        ("proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu tsc sse4_2\n"),
        ("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n"),
        ("proc/irq/24/smp_affinity_list", "0-6\n"),
        ("proc/irq/25/smp_affinity_list", "0-7\n"),
        ("proc/irq/25/effective_affinity_list", "3\n"),
        (&format!("{cpu}/isolated"), "7\n"),
        (&format!("{cpu}/nohz_full"), "7\n"),
        (&format!("{cpu}/cpu7/topology/thread_siblings_list"), "7\n"),
        (&format!("{cpu}/cpu7/cpufreq/scaling_governor"), "performance\n"),
        (&format!("{cpu}/cpu7/cpuidle/state0/latency"), "0\n"),
        (&format!("{cpu}/cpu7/cpuidle/state1/latency"), "2\n"),
        (&format!("{cpu}/cpu7/cpuidle/state2/latency"), "133\n"),
        (&format!("{cpu}/cpu7/cpuidle/state2/disable"), "1\n"),
        ("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"),
        ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
    ] {
        set(root, path, text);
    }
}

fn set(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn doctor(root: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trade-engine"));
    command.arg("doctor").arg("--root").arg(root).arg("--log").arg(root);
    command.args(arguments).output().unwrap()
}

/// Each finding's grade, but for the disk's: that one is this machine's.
fn grades(root: &Path) -> Vec<(String, String)> {
    let output = doctor(root, &["--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = document["findings"].as_array().unwrap();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let grades = findings.iter().map(|finding| (text(finding, "name"), text(finding, "grade")));
    grades.filter(|(name, _)| name != "disk of the log").collect()
}

fn machine() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("machine");
    fs::create_dir(&root).unwrap();
    tuned(&root);
    (parent, root)
}

#[test]
fn a_machine_that_is_set_up_has_nothing_to_change() {
    let (_parent, root) = machine();
    let grades = grades(&root);
    assert_eq!(grades.len(), 12);
    assert!(grades.iter().all(|(_, grade)| grade == "good"), "{grades:?}");
}

/// One thing at a time is otherwise, and that one is named.
#[test]
fn what_spoils_a_machine_is_named() {
    let cpu = "sys/devices/system/cpu";
    for (path, text, name) in [
        ("proc/self/status", "Cpus_allowed_list:\t5-7\n", "cores"),
        ("proc/self/status", "Cpus_allowed_list:\t7\n", "cores"),
        (&format!("{cpu}/isolated"), "5-6\n", "isolated cores"),
        (&format!("{cpu}/nohz_full"), "(null)\n", "timer ticks"),
        ("proc/cmdline", "quiet\n", "kernel callbacks"),
        ("proc/irq/25/effective_affinity_list", "7\n", "interrupts"),
        (&format!("{cpu}/cpu7/topology/thread_siblings_list"), "3,7\n", "hyper-threading"),
        (&format!("{cpu}/cpu7/cpufreq/scaling_governor"), "powersave\n", "frequency"),
        (&format!("{cpu}/cpu7/cpuidle/state2/disable"), "0\n", "sleep states"),
        ("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n", "clock"),
        ("proc/cpuinfo", "flags\t\t: fpu hypervisor tsc\n", "virtual machine"),
        ("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n", "huge pages"),
        ("proc/swaps", "Filename\tType\n/swapfile\tfile\n", "swap"),
    ] {
        let (_parent, root) = machine();
        set(&root, path, text);
        let found = grades(&root);
        let changes: Vec<&str> = found
            .iter()
            .filter(|(_, grade)| grade == "change")
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(changes, [name], "{path}: {text}");
    }
}

/// A machine that says nothing is not called good.
#[test]
fn what_cannot_be_seen_is_not_called_good() {
    let (_parent, root) = machine();
    fs::remove_dir_all(root.join("sys")).unwrap();
    fs::remove_dir_all(root.join("proc/irq")).unwrap();
    let found = grades(&root);
    let unknown = found.iter().filter(|(_, grade)| grade == "unknown").count();
    assert_eq!(unknown, 7, "{found:?}");
}

#[test]
fn a_person_reads_what_to_change_and_bad_arguments_are_one_line() {
    let (_parent, root) = machine();
    set(&root, "proc/swaps", "Filename\tType\n/swapfile\tfile\n");
    let output = doctor(&root, &["--core", "7"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.starts_with("engine thread on core 7\n"), "{said}");
    assert!(said.contains("\nCHANGE swap") && said.contains("swapoff -a"), "{said}");
    for (arguments, wanted) in [
        (&["--core", "8"][..], "core 8: not one that this process may use"),
        (&["--log", "/nowhere"], "--log /nowhere: "),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trade-engine"));
        let output = command.arg("doctor").arg("--root").arg(&root).args(arguments).output();
        let output = output.unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && complaint.contains(wanted), "{complaint}");
        assert_eq!(complaint.trim_end().lines().count(), 1);
    }
}

#[test]
fn lists_of_cores_are_read_as_the_kernel_writes_them() {
    assert_eq!(cores_in("0-3,8\n"), Some(vec![0, 1, 2, 3, 8]));
    assert_eq!(cores_in(""), Some(vec![]));
    for bad in ["a", "3-1", "0-99999999", "1-"] {
        assert_eq!(cores_in(bad), None, "{bad}");
    }
}
