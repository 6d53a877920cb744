//! With one CPU online there is no other to wait on, and closing an interval still waits.
//!
//! It runs in the virtual machines only: taking CPUs away is nothing to do to a machine in use.

use std::fs;
use std::path::{Path, PathBuf};

use weir_tests::events::{NOWHERE, call, cpus};
use weir_tests::look::numbers;
use weir_tests::{attach, emulated};

/// CPUs that were taken offline, and come back at the end.
struct Offline(Vec<PathBuf>);

impl Offline {
    fn all_but_the_first() -> Self {
        let switches =
            cpus().into_iter().skip(1).map(|cpu| format!("/sys/devices/system/cpu/cpu{cpu}/online"));
        let offline = Self(switches.map(PathBuf::from).collect());
        for switch in &offline.0 {
            fs::write(switch, "0").expect("the CPU goes offline");
        }
        offline
    }
}

impl Drop for Offline {
    fn drop(&mut self) {
        for switch in &self.0 {
            fs::write(switch, "1").expect("the CPU comes back");
        }
    }
}

#[test]
fn one_cpu_counts_each_event_once() {
    if !emulated() {
        return;
    }
    let online = || fs::read_to_string(Path::new("/sys/devices/system/cpu/online")).expect("sysfs tells");
    let before = online();
    for on in ["rawtracepoint:sys_enter", "tp_btf:sys_enter", "tracepoint:raw_syscalls:sys_enter"] {
        let mut tables = attach(&format!(
            "[tables.t]\non = \"{on}\"\nwhere = \"args.id >= {NOWHERE} && pid == {}\"\nby = {{ id = \"args.id\" }}\nshow = {{ n = \"count()\" }}",
            std::process::id()
        ));
        // What was counted before the CPUs went away belongs to its row too.
        (0..64).for_each(call);
        let offline = Offline::all_but_the_first();
        assert_eq!(online().trim(), "0");
        let (mut counted, mut missed) = (0, 0);
        let mut reliable = true;
        for _ in 0..50 {
            (0..640).for_each(|number| call(number % 64));
            let snapshot = &tables.close().expect("the interval closes")[0];
            counted += numbers(&snapshot.rows, "n").iter().sum::<i128>();
            missed += snapshot.coverage.missed;
            reliable = snapshot.coverage.missed_reliable;
        }
        drop(offline);
        assert_eq!(online(), before);
        let produced = 64 + 50 * 640;
        if reliable {
            assert_eq!(counted + i128::from(missed), produced, "{on}");
        } else {
            assert!(counted <= produced, "{on}");
        }
    }
}
