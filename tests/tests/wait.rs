//! A closing waits for programs that have read the control word and not yet added.

use std::time::{Duration, Instant};

use weir::kernel::Tables;
use weir_tests::events::{NOWHERE, call, cpus, pin};
use weir_tests::tables;

/// Turns of an empty loop: some milliseconds between the program's reading of the control word and its add.
const HOLD: u32 = 4_000_000;
const PATIENCE: Duration = Duration::from_secs(20);

/// Makes one event, waits until its program is held, and closes the interval by `close`. What it counted.
fn close_while_held(tables: &mut Tables, cpu: usize, close: fn(&mut Tables) -> u64) -> u64 {
    let before = tables.held();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pin(cpu);
            call(0);
        });
        let start = Instant::now();
        while tables.held() == before {
            assert!(start.elapsed() < PATIENCE, "the program did not start");
            std::hint::spin_loop();
        }
        close(tables)
    })
}

fn events(snapshots: weir::error::Result<Vec<weir::snapshot::Snapshot>>) -> u64 {
    snapshots.expect("the interval closes")[0].coverage.events
}

/// An event whose program is held while the interval ends is counted in that interval. To show that the wait
/// is what does it, the same is done without: the interval is then closed before the event is in it.
#[test]
fn a_closing_waits_for_programs_that_read_the_old_word() {
    let [reader, writer, ..] = cpus()[..] else {
        panic!("a program can be held only while another CPU closes the interval, and there is but one");
    };
    for on in ["rawtracepoint:sys_enter", "tp_btf:sys_enter", "tracepoint:raw_syscalls:sys_enter"] {
        let spec = tables(&format!(
            "[tables.t]\non = \"{on}\"\nwhere = \"args.id == {NOWHERE} && pid == {}\"\nshow = {{ n = \"count()\" }}",
            std::process::id()
        ));
        let mut tables = Tables::attach_held(&spec, &[], HOLD).expect("the table attaches");
        pin(reader);
        for _ in 0..20 {
            assert_eq!(close_while_held(&mut tables, writer, |tables| events(tables.close())), 1, "{on}");
            assert_eq!(events(tables.close()), 0, "{on}: nothing is counted twice");
        }
        // Where the machine is busy, the program may be done first.
        let is_early = (0..10).any(|_| {
            let early =
                close_while_held(&mut tables, writer, |tables| events(tables.close_without_waiting()));
            events(tables.close());
            early == 0
        });
        assert!(is_early, "{on}: without the wait the event is not there yet");
    }
}
