//! Components that are made to be read, checked and compiled rather than run, and bytes that are none. All are made
//! here, the same in every run. Each is refused with its reason, or runs beside a neighbour that does not notice.

use std::fmt::Write;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use weir::error::Kind;
use weir::event::Output;
use weir::sandbox::{Limits, Plugin, Sandbox};
use wit_component::StringEncoding;

use crate::host::Host;
use crate::hostile::component;
use crate::support::{assert_behaved, of, snapshot, turn, well_behaved};

/// A bomb: what it is made of, and what its refusal says; nothing if it is to run.
type Bomb = (&'static str, fn() -> Vec<u8>, Option<&'static str>);

const BOMBS: &[Bomb] = &[
    ("deep_blocks", deep_blocks, None),
    ("huge_function", huge_function, None),
    ("huge_branch_tables", huge_branch_tables, None),
    ("many_locals", many_locals, None),
    ("many_functions", many_functions, None),
    ("many_types", many_types, None),
    ("many_segments", many_segments, None),
    ("many_tables", many_tables, Some("tables")),
    ("long_names", long_names, None),
    ("nested_components", nested_components, Some("compiling took more than 1024 MiB of memory")),
    ("nested_types", nested_types, Some("is not a valid component")),
    ("many_instances", many_instances, Some("instances")),
    ("doubled_instances", doubled_instances, Some("instances")),
    ("many_adapters", many_adapters, None),
    ("copied_segments", copied_segments, Some("configure failed: deadline")),
];

/// What a component begins with.
const HEAD: [u8; 8] = *b"\0asm\x0d\0\x01\0";

/// To be run one at a time, because the host's own memory and descriptors are counted.
pub(crate) fn trials() -> Vec<Trial> {
    let bombs = BOMBS.iter().map(|(name, make, says)| {
        Trial::test(format!("bomb_{name}"), || {
            let bomb = make();
            let host = Host::now();
            bursts_alone(name, bomb, *says);
            host.assert_descriptors(name);
            Ok(())
        })
    });
    let bytes: [(&str, fn()); 3] =
        [("random", random_bytes), ("truncated", truncated_bytes), ("wrong", wrong_bytes)];
    let bytes = bytes.into_iter().map(|(name, test)| {
        Trial::test(format!("{name}_bytes_hurt_nobody"), move || {
            let host = Host::now();
            test();
            host.assert_descriptors(name);
            Ok(())
        })
    });
    bombs.chain(bytes).collect()
}

/// Starts it beside a neighbour, which behaves if they start. An error is what the refusal says.
fn hurts_nobody(component: Vec<u8>) -> Result<(), String> {
    let limits = Limits { deadline: Duration::from_millis(50), ..Limits::default() };
    let bomb = Plugin { name: "bomb".to_owned(), component, limits, ..well_behaved() };
    let began = Instant::now();
    let started = Sandbox::start(vec![bomb, well_behaved()]);
    // The compiler's own bound is a minute of processor time, which none of these takes.
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
    let mut sandbox = match started {
        Ok(sandbox) => sandbox,
        Err(error) => {
            assert_eq!(error.kind, Kind::Data, "{error}");
            let text = error.to_string();
            assert!(text.starts_with("plugin bomb: "), "{text}");
            assert!(
                text.len() < 8 << 10 && !text.contains(|c: char| c.is_control() && c != '\n'),
                "{text:?}"
            );
            return Err(text);
        }
    };
    let pid = sandbox.pid();
    for times in 1..=3 {
        let answers = turn(&mut sandbox, u64::from(times), &snapshot(1_000));
        assert_behaved(of(&answers, 1), 1_000, times);
        // What a trap says has names of the component's in it.
        let long =
            |output: &Output| matches!(output, Output::Fault { message, .. } if message.len() > 2 << 10);
        assert!(!of(&answers, 0).outputs.iter().any(long));
    }
    assert_eq!(sandbox.pid(), pid, "the process had to be replaced");
    Ok(())
}

fn bursts_alone(name: &str, component: Vec<u8>, says: Option<&str>) {
    match (hurts_nobody(component), says) {
        (Ok(()), None) => {}
        (Err(text), Some(says)) => assert!(text.contains(says), "{says:?} is not in:\n{text}"),
        (Ok(()), Some(_)) => panic!("{name} was started"),
        (Err(text), None) => panic!("{name} was refused: {text}"),
    }
}

/// A plugin whose module has this beside its exports, and whose `analyze` does this.
fn module(beside: &str, analyze: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
        (memory (export "memory") 1)
        (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
        (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32) {analyze} i32.const 0)
        {beside})"#
    );
    component(&wat::parse_str(text).unwrap(), StringEncoding::UTF8)
}

/// A plugin that is a component with this before what it exports.
fn parts(before: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
        (import "weir:plugin/types@0.1.0" (instance $types
            (type $failure (record (field "reason" string) (field "message" string)))
            (export "failure" (type (eq $failure)))))
        (alias export $types "failure" (type $failure))
        {before}
        (core module $module
            (memory (export "memory") 1)
            (func (export "call") (result i32) i32.const 0))
        (core instance $guest (instantiate $module))
        (type $entry (func (result (result (error $failure)))))
        (func $call (type $entry) (canon lift
            (core func $guest "call") (memory (core memory $guest "memory"))))
        (instance $analysis (export "configure" (func $call)) (export "analyze" (func $call)))
        (export "weir:plugin/analysis@0.1.0" (instance $analysis)))"#
    );
    wat::parse_str(text).unwrap()
}

/// So many times this, with the number of each.
fn repeat(times: usize, part: impl Fn(usize) -> String) -> String {
    (0..times).fold(String::new(), |mut all, number| {
        writeln!(all, "{}", part(number)).unwrap();
        all
    })
}

/// Attacks recursion in whatever walks over blocks: 20,000 of them, one in the other.
fn deep_blocks() -> Vec<u8> {
    let (open, close) = ("block\n".repeat(20_000), "end\n".repeat(20_000));
    module("", &format!("{open}{close}"))
}

/// Attacks what is quadratic in the length of a function: values that are all needed at its end.
fn huge_function() -> Vec<u8> {
    let values = repeat(20_000, |number| format!("(i32.load (i32.const {}))", number % 60_000));
    let sums = "i32.add\n".repeat(19_999);
    module("", &format!("{values} {sums} drop"))
}

/// Attacks what is made of branch tables: ten of them, each with 60,000 targets that are all different ways out.
fn huge_branch_tables() -> Vec<u8> {
    let table = repeat(60_000, |number| (number % 100).to_string());
    let blocks = ("block\n".repeat(100), "end\n".repeat(100));
    let one = format!("{} i32.const 7 br_table {table} {}", blocks.0, blocks.1);
    module("", &one.repeat(10))
}

/// Attacks the allocation of registers: 50,000 locals, the most that there can be, in each of 100 functions.
fn many_locals() -> Vec<u8> {
    let locals = "i64 ".repeat(49_000);
    module(
        &repeat(100, |_| {
            format!("(func (local {locals}) (loop (local.set 1 (local.get 48000)) (br_if 0 (i32.const 0))))")
        }),
        "",
    )
}

/// Attacks what is kept for a function: 10,000 of them.
fn many_functions() -> Vec<u8> {
    module(&"(func)\n".repeat(10_000), "")
}

/// Attacks what is kept for a type: 5,000 of them, all different.
fn many_types() -> Vec<u8> {
    let parameters = |number: usize| {
        (0..17).map(|bit| if number >> bit & 1 == 1 { "i64 " } else { "i32 " }).collect::<String>()
    };
    module(&repeat(5_000, |number| format!("(type (func (param {})))", parameters(number))), "")
}

/// Attacks the making of an instance: 3,000 segments of data, and as many globals.
fn many_segments() -> Vec<u8> {
    module(
        &repeat(3_000, |number| {
            // Above the result of the exports, which is at 0.
            format!("(data (i32.const {}) \"x\") (global i32 (i32.const 1))", 64 + number)
        }),
        "",
    )
}

/// Attacks what an instance costs beside its pages: more tables than any program needs.
fn many_tables() -> Vec<u8> {
    module(&"(table 1 funcref)\n".repeat(100), "")
}

/// Attacks messages: a trap in functions whose names are long, and would clear a terminal.
fn long_names() -> Vec<u8> {
    let name = |number: usize| format!("{number}\\1b[2J\\0a{}", "\\e2\\80\\ae".repeat(100_000));
    let functions = repeat(5, |number| {
        let body = if number < 4 { format!("call {}", number + 3) } else { "unreachable".to_owned() };
        format!("(func (@name \"{}\") {body})", name(number))
    });
    module(&functions, "call 2")
}

/// Attacks recursion in whatever walks over components: 100,000 of them, one in the other.
fn nested_components() -> Vec<u8> {
    // From the inside out and backwards, and as bytes, because what reads text has a bound of its own.
    let mut backwards = HEAD.iter().rev().copied().collect::<Vec<_>>();
    for _ in 0..100_000 {
        let mut length = Vec::new();
        let mut rest = backwards.len();
        while rest >= 0x80 {
            length.push(0x80 | (rest & 0x7f) as u8);
            rest >>= 7;
        }
        length.push(rest as u8);
        backwards.extend(length.iter().rev());
        // The section is a component.
        backwards.push(4);
        backwards.extend(HEAD.iter().rev());
    }
    backwards.reverse();
    backwards
}

/// Attacks whatever walks over types: each of 60 is a pair of the one before.
fn nested_types() -> Vec<u8> {
    parts(&format!(
        "(type $t0 (tuple u8 u8)) {}",
        repeat(60, |number| format!("(type $t{} (tuple $t{number} $t{number}))", number + 1))
    ))
}

/// Attacks the making of instances: 500 of them, each of an empty module.
fn many_instances() -> Vec<u8> {
    parts(&format!("(core module $empty) {}", "(core instance (instantiate $empty))\n".repeat(500)))
}

/// Attacks the making of instances by doubling: each of twelve components has two of the one before.
fn doubled_instances() -> Vec<u8> {
    let mut inner = "(component $c0 (core module $empty) (core instance (instantiate $empty)))".to_owned();
    for number in 1..=12 {
        let before = number - 1;
        inner = format!(
            "(component $c{number} {inner} (instance (instantiate $c{before})) (instance (instantiate $c{before})))"
        );
    }
    parts(&format!("{inner} (instance (instantiate $c12))"))
}

/// Attacks the compiler of adapters, the code that passes values between the parts of a component: 200 functions,
/// each of which takes a list of records of lists of records.
fn many_adapters() -> Vec<u8> {
    let fields = repeat(30, |number| format!("(field \"f{number}\" (list $leaf))"));
    let leaf = repeat(30, |number| format!("(field \"g{number}\" string)"));
    let takes = repeat(200, |number| {
        format!(
            "(func (export \"take{number}\") (param \"of\" (list $root)) (canon lift (core func $i \"take\")
            (memory (core memory $i \"memory\")) (realloc (core func $i \"realloc\"))))"
        )
    });
    let lowers = repeat(200, |number| {
        format!(
            "(core func $take{number} (canon lower (func $taker \"take{number}\") (memory (core memory $mem \"memory\"))))"
        )
    });
    let given = repeat(200, |number| format!("(export \"take{number}\" (func $take{number}))"));
    let imports = repeat(200, |number| format!("(import \"taker\" \"take{number}\" (func (param i32 i32)))"));
    parts(&format!(
        "(component $taker
            (type $leaf' (record {leaf})) (export $leaf \"leaf\" (type $leaf'))
            (type $root' (record {fields})) (export $root \"root\" (type $root'))
            (core module $m (memory (export \"memory\") 1)
                (func (export \"realloc\") (param i32 i32 i32 i32) (result i32) i32.const 0)
                (func (export \"take\") (param i32 i32)))
            (core instance $i (instantiate $m))
            {takes})
        (instance $taker (instantiate $taker))
        (core module $mem (memory (export \"memory\") 1))
        (core instance $mem (instantiate $mem))
        {lowers}
        (core module $giver {imports})
        (core instance (instantiate $giver (with \"taker\" (instance {given}))))"
    ))
}

/// Attacks the time before any code runs: 100 instances of a module with 50 MiB of data for one memory.
fn copied_segments() -> Vec<u8> {
    let text = r#"
        (core module $memory (memory (export "m") 850))
        (core instance $memory (instantiate $memory))
        (core module $data (import "memory" "m" (memory 850)) (data (i32.const 0) "DATA"))"#;
    let copies = "(core instance (instantiate $data (with \"memory\" (instance $memory))))\n".repeat(100);
    parts(&format!("{} {copies}", text.replace("DATA", &"x".repeat(50 << 20))))
}

/// Numbers that look random and are the same in every run, by Marsaglia's xorshift.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }
}

fn each_leaves_nothing(rounds: u32, mut round: impl FnMut(u32)) {
    let mut warm = None;
    for number in 0..rounds {
        round(number);
        if number >= rounds / 4 {
            warm.get_or_insert_with(Host::now).assert_flat("bytes");
        }
    }
}

fn random_bytes() {
    let mut numbers = Numbers(1);
    each_leaves_nothing(60, |round| {
        let length = 1 << (round % 16);
        let mut bytes = numbers.bytes(length);
        if round % 3 > 0 {
            bytes.splice(..0, HEAD);
        }
        if round % 3 > 1 {
            // The kind of a section, that of a module among them.
            bytes.insert(8, numbers.below(12) as u8);
        }
        hurts_nobody(bytes).unwrap_err();
    });
}

fn truncated_bytes() {
    let whole = well_behaved().component;
    let mut numbers = Numbers(2);
    each_leaves_nothing(40, |_| {
        hurts_nobody(whole[..numbers.below(whole.len())].to_vec()).unwrap_err();
    });
}

/// A small plugin that does a little of everything, some of its bytes replaced: most are refused, some run, and none
/// of them matters to its neighbour.
fn wrong_bytes() {
    let whole = component(
        &wat::parse_str(
            r#"(module
            (import "weir:plugin/tables@0.1.0" "names" (func $names (param i32)))
            (import "weir:plugin/output@0.1.0" "log" (func $log (param i32 i32 i32)))
            (memory (export "memory") 2)
            (global $free (mut i32) (i32.const 4096))
            (table funcref (elem $step))
            (func $step (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (global.get $free)
                (global.set $free (i32.and (i32.const -8)
                    (i32.add (i32.add (global.get $free) (local.get 3)) (i32.const 7)))))
            (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
            (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32) (local $n i32)
                (loop $again
                    (call $names (i32.const 1024))
                    (call $log (i32.const 1) (i32.load (i32.load (i32.const 1024))) (i32.const 5))
                    (local.set $n (call_indirect (param i32) (result i32) (local.get $n) (i32.const 0)))
                    (br_if $again (i32.lt_u (local.get $n) (i32.const 3))))
                i32.const 0))"#,
        )
        .unwrap(),
        StringEncoding::UTF8,
    );
    hurts_nobody(whole.clone()).unwrap();
    let mut numbers = Numbers(3);
    let mut started = 0;
    each_leaves_nothing(120, |_| {
        let mut bytes = whole.clone();
        for _ in 0..=numbers.below(3) {
            let place = 8 + numbers.below(bytes.len() - 8);
            bytes[place] = numbers.below(256) as u8;
        }
        started += u32::from(hurts_nobody(bytes).is_ok());
    });
    assert!(started > 0, "none of them ran");
}
