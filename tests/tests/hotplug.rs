//! CPUs that come and go while tables are attached.
//!
//! It runs in the virtual machines only: taking CPUs away is nothing to do to a machine in use.

use std::fs;
use std::time::{Duration, Instant};

use weir_tests::events::{NOWHERE, call, on_cpu};
use weir_tests::look::numbers;
use weir_tests::{attach, emulated};

/// Not online when the machine starts.
const CPU: usize = 2;

fn set_online(online: bool) {
    let switch = format!("/sys/devices/system/cpu/cpu{CPU}/online");
    fs::write(switch, if online { "1" } else { "0" }).expect("the CPU comes or goes");
}

fn busy(length: Duration) {
    let start = Instant::now();
    while start.elapsed() < length {
        std::hint::spin_loop();
    }
}

#[test]
fn cpus_come_and_go() {
    if !emulated() {
        return;
    }
    let mut tables = attach(&format!(
        r#"
        [tables.profile]
        on = "profile:hz:99"
        by = {{ cpu = "cpu" }}
        show = {{ n = "count()" }}

        [tables.faults]
        on = "software:page-faults:1"
        where = "pid == {pid}"
        by = {{ cpu = "cpu" }}
        show = {{ n = "count()" }}

        [tables.calls]
        on = "tp_btf:sys_enter"
        where = "args.id >= {NOWHERE} && pid == {pid}"
        by = {{ cpu = "cpu" }}
        show = {{ n = "count()" }}
        "#,
        pid = std::process::id()
    ));
    let mut close = |table: usize| -> Option<i128> {
        let snapshots = tables.close().expect("the interval closes");
        let rows = &snapshots[table].rows;
        let at = numbers(rows, "cpu").iter().position(|cpu| *cpu == CPU as i128)?;
        Some(numbers(rows, "n")[at])
    };
    assert_eq!(close(2), None, "it is not online");
    // A hundred a second, from before the closing with which an interval begins.
    let most = |begun: Instant| begun.elapsed().as_millis() as i128 / 10 + 2;
    for round in 0..2 {
        set_online(true);
        // The closing attaches to it.
        let begun = Instant::now();
        close(0);
        on_cpu(CPU, || busy(Duration::from_secs(1)));
        let n = close(0).expect("the CPU is profiled");
        assert!((20..=most(begun)).contains(&n), "round {round}: {n} times in a second");
        on_cpu(CPU, || weir_tests::events::touch_pages(200));
        let n = close(1).expect("its page faults are counted");
        assert!((200..300).contains(&n), "round {round}: {n} page faults");
        // What it counted is not lost when it goes.
        on_cpu(CPU, || (0..1000).for_each(|_| call(0)));
        set_online(false);
        assert_eq!(close(2), Some(1000), "round {round}");
        assert_eq!(close(2), None);
    }
    // Gone and back between two closings: the second one after that sees that its event has stood still.
    set_online(true);
    close(0);
    set_online(false);
    set_online(true);
    close(0);
    let begun = Instant::now();
    close(0);
    on_cpu(CPU, || busy(Duration::from_secs(1)));
    let n = close(0);
    let most = most(begun);
    set_online(false);
    assert!(n.is_some_and(|n| (20..=most).contains(&n)), "{n:?} times in a second");
}
