//! Every program that attacks, many times beside a neighbour that behaves: the attack's turn is lost for the reason
//! that is documented, its neighbour answers in the same interval, and what it leaves behind in the host is nothing.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use weir::error::Kind;
use weir::event::Output;
use weir::sandbox::{Limits, Plugin, Room, Sandbox};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::host::Host;
use crate::support::{
    assert_behaved, built, drain, interval, longest, of, plugin, reason, snapshot, turn, well_behaved,
};

/// What a program is made from.
#[derive(Clone, Copy)]
enum Source {
    /// One of tests/hostile/examples.
    Rust,
    /// One of tests/hostile/core, whose strings are UTF-8.
    Core,
    /// The same, whose strings are UTF-16.
    Core16,
    /// One of tests/hostile/components.
    Component,
    /// One of tests/hostile/wasi.
    Wasi,
}

/// How an attack ends.
#[derive(Clone, Copy)]
enum End {
    /// Each of its turns is lost, for one of these reasons.
    Lost(&'static [&'static str]),
    /// So is each after so many, which are taken.
    LostAfter(u32, &'static [&'static str]),
    /// It does no harm, and its answer is taken; or its turn is lost, for one of these reasons.
    Taken(&'static [&'static str]),
    /// Nothing starts, and the message has all of this.
    Refused(&'static [&'static str]),
}

use End::{Lost, LostAfter, Refused, Taken};
use Source::{Component, Core, Core16, Rust, Wasi};

struct Program {
    name: &'static str,
    from: Source,
    end: End,
    rounds: u32,
}

const fn program(from: Source, name: &'static str, end: End) -> Program {
    Program { name, from, end, rounds: 20 }
}

/// The deadline of attacks that use all of it.
const DEADLINE: Duration = Duration::from_millis(100);
/// That of the others, which are not to meet it on a busy machine either.
const AMPLE: Duration = Duration::from_secs(1);

/// Turns after which nothing is done for the first time: each slot of the ring has been written to.
const WARM: u32 = 4;

const PROGRAMS: &[Program] = &[
    program(Rust, "endless_loop", Lost(&["deadline"])),
    program(Rust, "memory_bomb", Lost(&["memory"])),
    program(Rust, "stack_overflow", Lost(&["stack"])),
    program(Rust, "trap", Lost(&["trap"])),
    program(Rust, "output_flood", Lost(&["output"])),
    program(Rust, "huge_string", Lost(&["output"])),
    program(Rust, "lying_length", Lost(&["trap", "output"])),
    program(Rust, "log_flood", Lost(&["host-calls", "deadline"])),
    program(Rust, "state_flood", Taken(&["deadline"])),
    program(Rust, "host_call_flood", Lost(&["host-calls", "deadline"])),
    program(Rust, "question_flood", Lost(&["host-calls", "deadline"])),
    program(Rust, "loops_in_configure", Refused(&["configure failed: deadline"])),
    program(Rust, "nan_metrics", Taken(&["output"])),
    Program { rounds: 100, ..program(Rust, "million_series", LostAfter(1, &["output"])) },
    program(Rust, "fat_series", LostAfter(4, &["output"])),
    program(Rust, "label_flood", Lost(&["output", "deadline"])),
    program(Rust, "report_flood", Lost(&["output"])),
    program(Rust, "artefact_flood", Lost(&["output", "deadline"])),
    program(Rust, "artefact_crowd", Lost(&["output", "deadline"])),
    program(Rust, "full_answer", Taken(&[])),
    program(Rust, "control_names", Taken(&[])),
    program(Rust, "state_poison", Lost(&["trap"])),
    program(Rust, "question_bomb", Lost(&["output"])),
    program(Rust, "wide_question", Taken(&[])),
    program(Rust, "page_flood", Lost(&["host-calls", "deadline"])),
    program(Core, "start_loop", Refused(&["configure failed: deadline"])),
    program(Core, "start_trap", Refused(&["configure failed: trap"])),
    program(Core, "realloc_loop", Lost(&["deadline"])),
    program(Core, "realloc_trap", Lost(&["trap"])),
    program(Core, "realloc_outside", Lost(&["trap"])),
    program(Core, "realloc_unaligned", Lost(&["trap"])),
    program(Core, "realloc_calls_host", Lost(&["trap"])),
    program(Core, "realloc_grows", Lost(&["memory"])),
    program(Core, "post_return_loop", Lost(&["deadline"])),
    program(Core, "post_return_trap", Lost(&["trap"])),
    program(Core, "post_return_calls_host", Lost(&["trap"])),
    program(Core, "call_tree", Lost(&["deadline"])),
    program(Core, "grow_loop", Lost(&["deadline"])),
    program(Core, "grow_by_all", Lost(&["memory"])),
    program(Core, "first_memory", Refused(&["configure failed: memory"])),
    program(Core, "many_memories", Refused(&["memories"])),
    program(Core, "table_grow", Lost(&["memory"])),
    program(Core, "table_grow_loop", Lost(&["deadline"])),
    program(Core, "huge_table", Refused(&["table"])),
    program(Core, "memory_fill", Lost(&["deadline"])),
    program(Core, "indirect_recursion", Lost(&["stack"])),
    program(Core, "not_utf8", Lost(&["trap"])),
    program(Core16, "lone_surrogate", Lost(&["trap"])),
    program(Core, "bad_severity", Lost(&["trap"])),
    program(Core, "lying_list", Lost(&["trap"])),
    program(Core, "same_label", Lost(&["output"])),
    program(Core, "lying_failure", Lost(&["trap"])),
    program(Core, "same_failure", Lost(&["output"])),
    program(Core, "bad_result", Lost(&["trap"])),
    program(Core, "result_outside", Lost(&["trap"])),
    program(Core, "result_unaligned", Lost(&["trap"])),
    program(Component, "memories_together", Refused(&["configure failed: memory"])),
    program(Component, "memories_in_turn", Taken(&[])),
    program(Component, "handle_flood", Lost(&["trap"])),
    program(Component, "handle_churn", Lost(&["deadline"])),
    program(Component, "destructor_loop", Lost(&["deadline"])),
    program(Component, "wrong_handle", Lost(&["trap"])),
    Program { rounds: 8, ..program(Component, "transcode_flood", Lost(&["deadline"])) },
    program(Component, "asks_to_wait", Refused(&["is not a valid component"])),
    program(Wasi, "print_flood", Lost(&["host-calls", "deadline"])),
    program(Wasi, "endless_line", Lost(&["host-calls", "deadline"])),
    program(Wasi, "huge_write", Lost(&["output"])),
    program(Wasi, "stream_flood", Lost(&["trap"])),
    program(Wasi, "sleep_flood", Lost(&["host-calls", "deadline"])),
    program(Wasi, "poll_flood", Lost(&["output"])),
    program(Wasi, "random_flood", Lost(&["trap"])),
    program(Wasi, "borrow_flood", Lost(&["host-calls", "deadline"])),
    program(Wasi, "absent_function", Lost(&["trap"])),
    program(Wasi, "made_up_file", Lost(&["trap"])),
    program(Wasi, "exits", Lost(&["trap"])),
    program(Wasi, "asks_the_network", Refused(&["imports wasi:http/"])),
];

/// To be run one at a time, because the host's own memory and descriptors are counted.
pub(crate) fn trials() -> Vec<Trial> {
    let alone = PROGRAMS.iter().map(|program| {
        Trial::test(format!("hostile_{}", program.name), || {
            many_times_beside_a_neighbour(program);
            Ok(())
        })
    });
    let together = Trial::test("hostile_programs_all_together", || {
        all_together();
        Ok(())
    });
    let others: [(&str, fn()); 3] = [
        ("a_wide_question_of_a_large_table_is_refused", a_wide_question_of_a_large_table_is_refused),
        ("all_of_a_full_answer_arrives", all_of_a_full_answer_arrives),
        ("names_arrive_as_they_are", names_arrive_as_they_are),
    ];
    let others = others.into_iter().map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    alone.chain([together]).chain(others).collect()
}

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/hostile").join(name)
}

/// Makes a component of a core module, as `wasm-tools component new` does.
pub(crate) fn component(module: &[u8], encoding: StringEncoding) -> Vec<u8> {
    of_world("plugin", module, encoding)
}

/// One of tests/hostile/wasi.
pub(crate) fn wasi_component(name: &str) -> Vec<u8> {
    of_world("more", &text("wasi", name), StringEncoding::UTF8)
}

fn text(place: &str, name: &str) -> Vec<u8> {
    let path = folder(place).join(name).with_extension("wat");
    wat::parse_file(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn of_world(world: &str, module: &[u8], encoding: StringEncoding) -> Vec<u8> {
    let mut module = module.to_vec();
    let mut resolve = Resolve::default();
    let packages = ["../../plugin-sdk/wit/weir.wit", "wasi/wasi.wit"]
        .map(|file| resolve.push_file(folder(file)).unwrap());
    let package = packages[usize::from(world != "plugin")];
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, encoding, false).unwrap();
    // What it says of itself is for the sandbox to check.
    ComponentEncoder::default().validate(false).module(&module).unwrap().encode().unwrap()
}

impl Program {
    fn plugin(&self) -> Plugin {
        let component = match self.from {
            Rust => built(&format!("hostile/{}", self.name)),
            Core => component(&text("core", self.name), StringEncoding::UTF8),
            Core16 => component(&text("core", self.name), StringEncoding::UTF16),
            Component => text("components", self.name),
            Wasi => wasi_component(self.name),
        };
        let limits = Limits { deadline: self.deadline(), ..Limits::default() };
        Plugin { name: self.name.to_owned(), component, limits, ..well_behaved() }
    }

    fn deadline(&self) -> Duration {
        let (Lost(reasons) | LostAfter(_, reasons) | Taken(reasons) | Refused(reasons)) = self.end;
        if reasons.iter().any(|reason| reason.ends_with("deadline")) { DEADLINE } else { AMPLE }
    }

    fn starts(&self) -> bool {
        !matches!(self.end, Refused(_))
    }

    fn assert_ended(&self, outputs: &[Output], reason: Option<&str>, times: u32) {
        let (name, said) = (self.name, || format!("{outputs:?}").chars().take(1_000).collect::<String>());
        let among = |reasons: &[&str]| {
            let reason = reason.unwrap_or_else(|| panic!("{name} did not lose turn {times}: {}", said()));
            assert!(reasons.contains(&reason), "{name} lost turn {times} by {reason}: {}", said());
        };
        match (self.end, reason) {
            (Taken(_), None) => return,
            (LostAfter(taken, _), reason) if times <= taken => {
                assert_eq!(reason, None, "{name}, turn {times}");
                return;
            }
            (Lost(reasons) | LostAfter(_, reasons) | Taken(reasons), _) => among(reasons),
            (Refused(_), _) => panic!("{name} was started"),
        }
        // What a lost turn put out is not kept.
        let kept = outputs.iter().all(|output| matches!(output, Output::Fault { .. } | Output::Log { .. }));
        assert!(kept, "{name}: {}", said());
    }
}

fn many_times_beside_a_neighbour(program: &Program) {
    let host = Host::now();
    match program.end {
        Refused(parts) => is_refused(program, parts),
        _ => loses_its_turns(program),
    }
    host.assert_descriptors(program.name);
}

/// How often what cannot start is started: each time it is compiled anew.
const STARTS: u32 = 10;

fn is_refused(program: &Program, parts: &[&str]) {
    let (plugin, snapshot) = (program.plugin(), snapshot(1_000));
    let room = Room { guest: plugin.limits.memory.max(64 << 20), code: 1 << 30 };
    let mut sandbox = Sandbox::empty(room).unwrap();
    let compiler = sandbox.compiler();
    let neighbour = sandbox.add(compiler.compile(well_behaved()).unwrap()).unwrap();
    assert_eq!(why_not_configured(&mut sandbox, neighbour), None);
    let mut warm = None;
    for times in 1..=STARTS {
        let began = Instant::now();
        let text = match compiler.compile(plugin.clone()) {
            Err(error) => {
                assert_eq!(error.kind, Kind::Data, "{error}");
                let text = error.to_string();
                assert!(text.starts_with(&format!("plugin {}: ", program.name)), "{text}");
                text
            }
            Ok(compiled) => {
                let number = sandbox.add(compiled).unwrap();
                let why = why_not_configured(&mut sandbox, number).expect("it cannot be configured");
                sandbox.remove(number);
                format!("configure failed: {why}")
            }
        };
        for part in parts {
            assert!(text.contains(part), "{part:?} is not in, the {times}th time:\n{text}");
        }
        // Compiling is most of it, and other programs run on this machine.
        assert!(began.elapsed() < Duration::from_secs(30), "{:?} for {}", began.elapsed(), program.name);
        let answers = turn(&mut sandbox, u64::from(times), &snapshot);
        assert_behaved(of(&answers, neighbour), 1_000, times);
        drop(answers);
        if times >= WARM {
            warm.get_or_insert_with(Host::now).assert_flat(program.name);
        }
    }
}

/// Waits until a plugin was configured, or says why it could not be: the reason code, and what is known.
fn why_not_configured(sandbox: &mut Sandbox, number: usize) -> Option<String> {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let answers = sandbox.answers().unwrap();
        if let Some(answer) = answers.into_iter().find(|answer| answer.configure && answer.plugin == number) {
            return answer.outputs.into_iter().find_map(|output| match output {
                Output::Fault { reason, message } => Some(format!("{reason}: {message}")),
                _ => None,
            });
        }
        assert!(Instant::now() < end, "it says nothing");
        let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        let mut fds = [rustix::event::PollFd::new(&*sandbox, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, Some(&timeout)).unwrap();
    }
}

fn loses_its_turns(program: &Program) {
    let mut sandbox = Sandbox::start(vec![program.plugin(), well_behaved()]).unwrap();
    let (pid, snapshot) = (sandbox.pid(), snapshot(1_000));
    let mut warm = None;
    for times in 1..=program.rounds {
        let began = Instant::now();
        let answers = turn(&mut sandbox, u64::from(times), &snapshot);
        let answer = of(&answers, 0);
        program.assert_ended(&answer.outputs, reason(answer), times);
        assert_behaved(of(&answers, 1), 1_000, times);
        assert!(began.elapsed() < longest(program.deadline()), "{:?} for {}", began.elapsed(), program.name);
        drop(answers);
        if times >= WARM {
            warm.get_or_insert_with(Host::now).assert_flat(program.name);
        }
    }
    assert_eq!(sandbox.pid(), pid, "{} had its process replaced", program.name);
    assert_eq!(sandbox.skipped(), 0);
}

/// Attacks in each sandbox, which serves all of its plugins one after the other.
const TOGETHER: usize = 14;
const INTERVALS: u32 = 8;

/// All at once, in several sandboxes, each with a neighbour that behaves at either end of its turn.
fn all_together() {
    let host = Host::now();
    let programs: Vec<_> = PROGRAMS.iter().filter(|program| program.starts()).collect();
    let groups: Vec<_> = programs.chunks(TOGETHER).collect();
    let snapshot = snapshot(1_000);
    let mut sandboxes: Vec<_> = groups
        .iter()
        .map(|group| {
            let attacks = group.iter().map(|program| program.plugin());
            let plugins = [well_behaved()].into_iter().chain(attacks).chain([well_behaved()]);
            Sandbox::start(plugins.collect()).unwrap()
        })
        .collect();
    let pids: Vec<_> = sandboxes.iter().map(Sandbox::pid).collect();
    let mut warm = None;
    for times in 1..=INTERVALS {
        let began = Instant::now();
        for sandbox in &mut sandboxes {
            sandbox.analyze(&interval(u64::from(times)), std::slice::from_ref(&snapshot)).unwrap();
        }
        // That is all that an interval of the host waits for, and not the attacks, which take many seconds.
        assert!(began.elapsed() < Duration::from_secs(1), "handing over took {:?}", began.elapsed());
        for (sandbox, group) in sandboxes.iter_mut().zip(&groups) {
            let answers = drain(sandbox);
            for (plugin, program) in (1..).zip(*group) {
                let answer = of(&answers, plugin);
                program.assert_ended(&answer.outputs, reason(answer), times);
            }
            assert_behaved(of(&answers, 0), 1_000, times);
            assert_behaved(of(&answers, group.len() + 1), 1_000, times);
        }
        // On time is when every attack had all of its own, on one processor.
        let all = DEADLINE * u32::try_from(programs.len()).unwrap();
        assert!(began.elapsed() < all * 2, "an interval took {:?}", began.elapsed());
        if times >= WARM {
            warm.get_or_insert_with(Host::now).assert_flat("all together");
        }
    }
    assert!(sandboxes.iter().map(Sandbox::pid).eq(pids), "a process had to be replaced");
    assert_eq!(sandboxes.iter().map(Sandbox::skipped).sum::<u64>(), 0);
    drop(sandboxes);
    host.assert_descriptors("all together");
}

/// Its answer would take more than the process may have.
fn a_wide_question_of_a_large_table_is_refused() {
    let program = PROGRAMS.iter().find(|program| program.name == "wide_question").unwrap();
    let mut attack = program.plugin();
    // What is tested is the bound on memory, also where so many groups take a debug build seconds.
    attack.limits.deadline = Duration::from_secs(30);
    let mut sandbox = Sandbox::start(vec![attack, plugin("hostile/control_names")]).unwrap();
    let pid = sandbox.pid();
    let answers = turn(&mut sandbox, 0, &snapshot(600_000));
    assert_eq!([0, 1].map(|plugin| reason(of(&answers, plugin))), [None; 2]);
    assert_eq!(sandbox.pid(), pid, "the process had to be replaced");
}

fn answered(name: &str) -> Vec<Output> {
    let mut sandbox = Sandbox::start(vec![plugin(name)]).unwrap();
    let mut answers = turn(&mut sandbox, 0, &snapshot(10));
    assert_eq!(reason(of(&answers, 0)), None);
    answers.remove(0).outputs
}

fn all_of_a_full_answer_arrives() {
    let outputs = answered("hostile/full_answer");
    let bytes = outputs.iter().find_map(|output| match output {
        Output::Artefact { bytes, .. } => Some(bytes.len()),
        _ => None,
    });
    assert_eq!(bytes, Some((1 << 20) - 18));
    let lines = outputs.iter().filter(|output| matches!(output, Output::Log { .. })).count();
    // The last one says how many were dropped.
    assert_eq!(lines, 257);
}

/// What sinks make of them is theirs to test.
fn names_arrive_as_they_are() {
    let outputs = answered("hostile/control_names");
    assert_eq!(outputs.len(), 8 * 4);
    let terminal = "\u{1b}[2J\u{1b}]0;title\u{7}";
    let named = outputs.iter().filter(|output| match output {
        Output::Metric { name, labels, .. } => name == terminal && labels[0].value == terminal,
        Output::Report { code, title, fields, .. } => {
            code == terminal && title == terminal && fields[0].name == terminal
        }
        Output::Artefact { name, media_type, bytes } => {
            name == terminal && media_type == terminal && bytes == terminal.as_bytes()
        }
        Output::Log { message, .. } => message == terminal,
        Output::Fault { .. } => false,
    });
    assert_eq!(named.count(), 4);
}
