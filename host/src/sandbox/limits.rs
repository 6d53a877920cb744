//! Every bound of the sandbox in one place, each with what it bounds. A plugin is told of the bounds that it
//! can meet by a failure with a reason; those of the host need nobody's good will.

use std::time::Duration;

// What one sandbox holds.

/// A tenant with endless plugins: each is a compiled component, kept in memory, and a descriptor at exec.
pub(super) const PLUGINS: usize = 1_024;
/// A component made to be read rather than run. The compiler's own bounds come on top.
pub(crate) const COMPONENT_BYTES: usize = 64 << 20;
/// Compiled code that is far larger than what it was compiled from.
pub(super) const COMPILED_BYTES: usize = 256 << 20;
/// A component that makes Cranelift compile for ever: processor time of the compiler.
pub(super) const COMPILE_CPU: Duration = Duration::from_secs(60);
/// The same on a machine that gives the compiler no time to use.
pub(super) const COMPILE_WALL: Duration = Duration::from_secs(180);
/// A component that makes Cranelift allocate for ever: private memory of the compiler.
pub(super) const COMPILE_MEMORY: u64 = 1 << 30;
/// Files that take for ever to read: how long the closing of an interval may wait for the names in all of them, so that
/// the next one is on time.
pub(crate) const SYMBOLIZE_WALL: Duration = Duration::from_millis(750);
/// The same of the last interval, after which nothing comes that could have the names.
pub(crate) const SYMBOLIZE_LAST_WALL: Duration = Duration::from_secs(5);
/// The same where no host is left to end the symbolizer, and where one file is read on meanwhile: its processor time.
pub(super) const SYMBOLIZE_CPU: Duration = Duration::from_secs(5);
/// Debug information and tables of symbols made to be expanded: private memory of the symbolizer. Files are mapped, and
/// do not count.
pub(super) const SYMBOLIZE_MEMORY: u64 = 512 << 20;
/// Places that are asked for at once. As many as can have the names of whole stacks of functions that were inlined in
/// one message.
pub(crate) const SYMBOLIZE_PLACES: usize = 64;
/// A program that is made to be searched for ever for what can be probed: how long whoever asks may have to wait.
pub(super) const SEARCH_WALL: Duration = Duration::from_secs(60);
/// The same, as processor time.
pub(super) const SEARCH_CPU: Duration = Duration::from_secs(30);
/// A program with names of functions without end: bytes of what is found in one.
pub(super) const FOUND_BYTES: usize = 32 << 20;
/// Private memory of the sandbox beside the largest guest's: Wasmtime, columns that were converted, derived
/// tables, outputs. What would need more ends the process, not the machine.
pub(super) const SANDBOX_MEMORY: u64 = 512 << 20;
/// Options that are long enough to fill the way to the sandbox, for which others would wait.
pub(super) const OPTION_BYTES: usize = 16 << 10;
/// A sandbox that is in a call and reads no orders: how often it is tried to send those that wait.
pub(super) const LOOK: Duration = Duration::from_millis(20);
/// The same, while its tenant goes on starting plugins: packets that wait to be sent.
pub(super) const BEHIND: usize = 256;
/// A tenant's sandbox that cannot be started: how long until it is tried again, and how often that is doubled.
pub(super) const LEAST_PAUSE: Duration = Duration::from_secs(1);
pub(super) const PAUSES: u32 = 6;
/// A sandbox of a command that takes no orders.
pub(super) const LOAD_WALL: Duration = Duration::from_secs(2);
/// A sandbox that does not come up.
pub(super) const START_WALL: Duration = Duration::from_secs(30);
/// A sandbox that never comes up, and one that was only killed as it did: starts in a row.
pub(super) const STARTS: u32 = 3;
/// What the processes of a control group take beside their private memory: the kernel's own for them, and files.
pub(super) const GROUP_MEMORY: u64 = 64 << 20;
/// A process that was taken over and makes others, which it can not: processes and threads of a group. A sandbox, a
/// compiler and a symbolizer have two each at most, for a moment beside those that they replace.
pub(super) const GROUP_PROCESSES: u32 = 16;
/// A control group whose processes do not end.
pub(super) const GROUP_WALL: Duration = Duration::from_secs(5);
/// A spawner that hangs, and the daemon with it.
pub(super) const SPAWNER_WALL: Duration = Duration::from_secs(10);

// What one call may use.

/// Wall-clock time for each unit of the deadline. The deadline itself is processor time, so that a plugin is
/// not to blame for a busy machine; this bounds one that is never given the processor.
pub(super) const STALL_FACTOR: u32 = 10;
/// The same in a replay, which is to give the same on the slowest machine: only one that hangs is ended by the clock.
pub(super) const REPLAY_STALL_FACTOR: u32 = 200;
/// In a replay, what the deadline's nanosecond stands for: instructions, of which a processor does about as many.
pub(super) const FUEL_PER_NANOSECOND: u64 = 2;
/// And what a row costs that a question goes through.
pub(super) const FUEL_PER_ROW: u64 = 16;
/// On top of that, before the host ends a sandbox that does not end a call by itself.
pub(super) const GRACE: Duration = Duration::from_millis(500);
/// How long a plugin may go on when the host is gone.
pub(super) const HANG_UP: Duration = Duration::from_millis(100);
/// How far a plugin may go beyond its deadline before it is stopped.
pub(super) const TICK: Duration = Duration::from_millis(2);
/// How many rows a question goes through between two looks at the deadline: epochs interrupt Wasm only.
pub(super) const ROWS_BETWEEN_LOOKS: usize = 1 << 14;
/// Sorting cannot be interrupted, so it is bounded instead; a tenth of a second.
pub(super) const SORT_ROWS: usize = 1 << 20;
/// Histograms of very many groups, added up: groups times buckets, of eight bytes each.
pub(super) const MERGED_BUCKETS: usize = 1 << 23;
/// A guest that does nothing but call the host. Reading is by page, so a few dozen calls do.
pub(super) const HOST_CALLS: u32 = 1 << 20;
/// A string or list from the guest that would have to be allocated here before it could be refused.
pub(super) const HOST_CALL_BYTES: usize = 2 << 20;
/// A page that would not fit a guest's memory anyway.
pub(super) const READ_BYTES: usize = 16 << 20;
/// Recursion in the guest; also keeps Wasm on the process's own stack.
pub(super) const WASM_STACK: usize = 512 << 10;
/// Function tables grown to exhaust what `memory` does not count: elements of one table.
pub(super) const TABLE_ELEMENTS: usize = 1 << 15;
/// Resources that a guest makes of its own, for each of which a table outside its memory has an entry.
pub(super) const HANDLES: usize = 1 << 16;
/// Components made of very many small parts. Python needs 38 instances.
pub(super) const INSTANCES: u32 = 128;
pub(super) const TABLES: u32 = 128;
pub(super) const MEMORIES: u32 = 8;
/// Random bytes asked for at once: making them cannot be interrupted.
pub(super) const RANDOM_BYTES: usize = 64 << 10;
/// How much a stream of WASI says that it takes at once. More is taken too, up to what a host call may hand over.
pub(super) const STREAM_BYTES: u64 = 64 << 10;
/// Imports made to fill the sandbox's memory when they are linked: functions and types of WASI, which has about 150.
pub(super) const WASI_ITEMS: usize = 1_024;
/// Linear memory that is wiped after a call and kept; what is beyond is given back to the kernel. An interpreter begins with 13 MiB.
pub(super) const RESIDENT_BYTES: usize = 16 << 20;
/// Questions asked to fill the sandbox's memory: derived tables of one call, and the bytes of their columns.
pub(super) const DERIVED_TABLES: usize = 256;
pub(super) const DERIVED_BYTES: usize = 64 << 20;
/// Conditions, keys or aggregates of one question.
pub(super) const QUESTION_TERMS: usize = 64;

// What one call may put out. The host counts again.

/// Metrics, reports, artefacts and log lines of one call.
pub(super) const OUTPUTS: usize = 10_000;
/// Their bytes, all together.
pub(super) const OUTPUT_BYTES: usize = 1 << 20;
/// Log lines of one call; they are kept even if the call fails. More are counted and dropped.
pub(super) const LOG_LINES: usize = 256;
/// Bytes of one log line, title or message; longer ones are cut or refused.
pub(super) const TEXT_BYTES: usize = 4 << 10;
/// Bytes of the name of a metric, label, artefact, report or state key.
pub(super) const NAME_BYTES: usize = 256;
/// Labels of a metric, fields of a report.
pub(super) const LABELS: usize = 32;
/// Refused outputs after which a guest that does not stop is stopped.
pub(super) const REFUSALS: u32 = 1_000;
/// Labels that never repeat: counters whose totals the host keeps for a plugin.
pub(super) const SERIES: usize = 10_000;
/// The same with few of them, whose labels are long: bytes of their names and labels.
pub(super) const SERIES_BYTES: usize = 4 << 20;
/// State of one plugin: keys and values.
pub(super) const STATE_BYTES: usize = 64 << 10;
pub(super) const STATE_KEYS: usize = 1_024;
/// Trap messages and the like, which a guest can make long.
pub(super) const FAULT_BYTES: usize = 2 << 10;

// What crosses between the processes.

/// One packet. A socket's default buffer holds three.
pub(super) const PACKET_BYTES: usize = 64 << 10;
/// A message of many packets, made to be kept in the host's memory: all that an answer can have, and what frames it. A
/// lower bound would have one plugin's answer, within its own limits, end the process of all.
pub(super) const MESSAGE_BYTES: usize = OUTPUT_BYTES + LOG_LINES * TEXT_BYTES + (256 << 10);
/// Descriptors of one message: what the process that needs most is started with, and its control group's.
pub(super) const FILES: usize = 1 + SLOTS + 1;
/// Snapshots that are under way at once; a plugin that is late by more misses intervals.
pub(super) const SLOTS: usize = 3;
/// One interval's snapshots of all tables. Pages are taken when they are first written, so that only
/// what snapshots needed is ever used.
pub(super) const SLOT_BYTES: usize = 256 << 20;
