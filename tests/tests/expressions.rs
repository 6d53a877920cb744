//! The language of expressions: each computes in the kernel what Rust computes here, for numbers at all edges.

use std::collections::BTreeMap;

use weir_tests::attach;
use weir_tests::events::seek;
use weir_tests::look::numbers;
use weir_tests::traced::{program, weir_traced_numbers};

type Number = (&'static str, fn(u64, u64) -> i128);
type Condition = (&'static str, fn(u64, u64) -> bool);

const EDGES: [u64; 14] = [
    0,
    1,
    2,
    3,
    7,
    63,
    64,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0001,
    i64::MAX as u64,
    i64::MIN as u64,
    u64::MAX,
];

fn unsigned(number: u64) -> i128 {
    number.into()
}

fn signed(number: i64) -> i128 {
    number.into()
}

fn s(number: u64) -> i64 {
    number.cast_signed()
}

/// By 0 it is 0.
fn quotient(a: i64, b: i64) -> i128 {
    if b == 0 { 0 } else { a.wrapping_div(b).into() }
}

/// By 0 it is the number itself.
fn remainder(a: i64, b: i64) -> i128 {
    if b == 0 { a.into() } else { a.wrapping_rem(b).into() }
}

const NUMBERS: &[Number] = &[
    ("arg0", |a, _| unsigned(a)),
    ("arg0 + arg1", |a, b| unsigned(a.wrapping_add(b))),
    ("arg0 - arg1", |a, b| unsigned(a.wrapping_sub(b))),
    ("(int64)arg0 - (int64)arg1", |a, b| signed(s(a).wrapping_sub(s(b)))),
    ("arg0 * arg1", |a, b| unsigned(a.wrapping_mul(b))),
    ("(int64)arg0 * (int64)arg1", |a, b| signed(s(a).wrapping_mul(s(b)))),
    ("arg0 / arg1", |a, b| unsigned(a.checked_div(b).unwrap_or(0))),
    ("arg0 % arg1", |a, b| unsigned(a.checked_rem(b).unwrap_or(a))),
    ("(int64)arg0 / (int64)arg1", |a, b| quotient(s(a), s(b))),
    ("(int64)arg0 % (int64)arg1", |a, b| remainder(s(a), s(b))),
    ("(int64)arg0 / 7", |a, _| quotient(s(a), 7)),
    ("(int64)arg0 / -7", |a, _| quotient(s(a), -7)),
    ("(int64)arg0 % 7", |a, _| remainder(s(a), 7)),
    ("(int64)arg0 % -7", |a, _| remainder(s(a), -7)),
    ("arg0 / 10", |a, _| unsigned(a / 10)),
    ("arg0 / 0", |_, _| 0),
    ("arg0 % 0", |a, _| unsigned(a)),
    ("(int64)arg0 / 0", |_, _| 0),
    ("(int64)arg0 % 0", |a, _| signed(s(a))),
    ("arg0 << 1", |a, _| unsigned(a << 1)),
    ("arg0 << arg1", |a, b| unsigned(a << (b & 63))),
    ("arg0 >> arg1", |a, b| unsigned(a >> (b & 63))),
    ("(int64)arg0 >> arg1", |a, b| signed(s(a) >> (b & 63))),
    ("(int64)arg0 >> 63", |a, _| signed(s(a) >> 63)),
    ("arg0 >> 63", |a, _| unsigned(a >> 63)),
    ("arg0 & arg1", |a, b| unsigned(a & b)),
    ("arg0 | arg1", |a, b| unsigned(a | b)),
    ("arg0 ^ arg1", |a, b| unsigned(a ^ b)),
    ("arg0 & 0xffffffff00000000", |a, _| unsigned(a & 0xffff_ffff_0000_0000)),
    ("arg0 & 0x80000000", |a, _| unsigned(a & 0x8000_0000)),
    ("~arg0", |a, _| unsigned(!a)),
    ("~(int64)arg0", |a, _| signed(!s(a))),
    ("-(int64)arg0", |a, _| signed(s(a).wrapping_neg())),
    ("-(int32)arg0", |a, _| -i128::from(a as i32)),
    ("(int8)arg0", |a, _| (a as i8).into()),
    ("(int16)arg0", |a, _| (a as i16).into()),
    ("(int32)arg0", |a, _| (a as i32).into()),
    ("(int64)arg0", |a, _| signed(s(a))),
    ("(uint8)arg0", |a, _| (a as u8).into()),
    ("(uint16)arg0", |a, _| (a as u16).into()),
    ("(uint32)arg0", |a, _| (a as u32).into()),
    ("(uint64)(int32)arg0", |a, _| unsigned((a as i32) as u64)),
    ("(int64)(uint32)arg0", |a, _| (a as u32).into()),
    ("(uint32)arg0 - (uint32)arg1", |a, b| i128::from(a as u32) - i128::from(b as u32)),
    ("(uint32)arg0 * (uint32)arg1", |a, b| unsigned(u64::from(a as u32) * u64::from(b as u32))),
    ("(int32)arg0 * (int32)arg1", |a, b| i128::from(a as i32) * i128::from(b as i32)),
    ("(uint8)arg0 + (int8)arg1", |a, b| i128::from(a as u8) + i128::from(b as i8)),
    // Precedence, and from the left.
    ("arg0 + arg1 * 3", |a, b| unsigned(a.wrapping_add(b.wrapping_mul(3)))),
    ("(arg0 + arg1) * 3", |a, b| unsigned(a.wrapping_add(b).wrapping_mul(3))),
    ("arg0 / 3 * 3", |a, _| unsigned(a / 3 * 3)),
    ("arg0 / 10 / 10 % 10", |a, _| unsigned(a / 10 / 10 % 10)),
    ("arg0 - arg1 - arg1", |a, b| unsigned(a.wrapping_sub(b).wrapping_sub(b))),
    ("arg0 - (arg1 - arg0)", |a, b| unsigned(a.wrapping_sub(b.wrapping_sub(a)))),
    ("arg0 & 7 | 8 ^ 1", |a, _| unsigned(a & 7 | 8 ^ 1)),
    ("1 << 3 + 1", |_, _| 16),
    ("arg0 & 1 == 1", |a, _| unsigned(a & 1)),
    ("arg0 < arg1 == 0", |a, b| i128::from(a >= b)),
    ("(arg0 > arg1) + (arg0 == arg1) * 2", |a, b| i128::from(a > b) + i128::from(a == b) * 2),
    ("!arg0", |a, _| i128::from(a == 0)),
    ("!!arg0", |a, _| i128::from(a != 0)),
    ("!arg0 || !arg1", |a, b| i128::from(a == 0 || b == 0)),
    (
        "((((arg0 + 1) * 2 + arg1) * 3 + (arg0 ^ (arg1 | (arg0 & (arg1 + 5))))) - (arg1 - (arg0 - (arg1 - 1))))",
        |a, b| {
            let left = a.wrapping_add(1).wrapping_mul(2).wrapping_add(b).wrapping_mul(3);
            let left = left.wrapping_add(a ^ (b | (a & b.wrapping_add(5))));
            unsigned(left.wrapping_sub(b.wrapping_sub(a.wrapping_sub(b.wrapping_sub(1)))))
        },
    ),
];

const CONDITIONS: &[Condition] = &[
    ("arg0 < arg1", |a, b| a < b),
    ("arg0 <= arg1", |a, b| a <= b),
    ("arg0 > arg1", |a, b| a > b),
    ("arg0 >= arg1", |a, b| a >= b),
    ("arg0 == arg1", |a, b| a == b),
    ("arg0 != arg1", |a, b| a != b),
    ("(int64)arg0 < (int64)arg1", |a, b| s(a) < s(b)),
    ("(int64)arg0 <= (int64)arg1", |a, b| s(a) <= s(b)),
    ("(int64)arg0 > (int64)arg1", |a, b| s(a) > s(b)),
    ("(int64)arg0 >= (int64)arg1", |a, b| s(a) >= s(b)),
    ("(int64)arg0 < 0", |a, _| s(a) < 0),
    ("(int64)arg0 < -1", |a, _| s(a) < -1),
    ("(int64)arg0 == -1", |a, _| s(a) == -1),
    ("arg0 == 0xffffffffffffffff", |a, _| a == u64::MAX),
    ("arg0 >= 0x8000000000000000", |a, _| a >= 1 << 63),
    ("arg0 > 0x7fffffff", |a, _| a > 0x7fff_ffff),
    ("arg0 < 4294967295", |a, _| a < 0xffff_ffff),
    ("(uint32)arg0 == 4294967295", |a, _| a as u32 == u32::MAX),
    ("(int32)arg0 == -1", |a, _| a as i32 == -1),
    ("(uint8)arg0 > (int8)arg1", |a, b| i32::from(a as u8) > i32::from(b as i8)),
    ("arg0", |a, _| a != 0),
    ("!arg0", |a, _| a == 0),
    ("arg0 && arg1", |a, b| a != 0 && b != 0),
    ("arg0 || arg1", |a, b| a != 0 || b != 0),
    ("!(arg0 && arg1)", |a, b| !(a != 0 && b != 0)),
    ("!(arg0 || arg1)", |a, b| !(a != 0 || b != 0)),
    ("!(arg0 < arg1 || arg0 > arg1)", |a, b| a == b),
    ("arg0 == 1 || arg0 == 2 && arg1 == 3", |a, b| a == 1 || a == 2 && b == 3),
    ("(arg0 == 1 || arg0 == 2) && arg1 == 3", |a, b| (a == 1 || a == 2) && b == 3),
    ("!(arg0 == 1 && !(arg1 == 3 || arg1 == 7)) && arg0 < 8", |a, b| {
        !(a == 1 && !(b == 3 || b == 7)) && a < 8
    }),
    ("arg0 & 1 && (arg1 & 1 || arg1 == 2)", |a, b| a & 1 != 0 && (b & 1 != 0 || b == 2)),
    ("(arg0 < arg1) == (arg1 > arg0)", |_, _| true),
    ("(arg0 && arg1) != (arg0 > 0 && arg1 > 0)", |_, _| false),
];

/// Eight of them to a table, as many as a table can have.
fn tables(shows: &[String], rest: &str) -> String {
    let table = |(number, shows): (usize, &[String])| {
        let shows = shows
            .iter()
            .enumerate()
            .map(|(at, show)| format!("m{at} = \"{show}\""))
            .collect::<Vec<_>>()
            .join(", ");
        format!(
            "[tables.t{number}]\non = \"uprobe:{}:weir_traced_numbers\"\n{rest}by = {{ pair = \"arg2\" }}\nshow = {{ {shows} }}\n",
            program()
        )
    };
    shows.chunks(8).enumerate().map(table).collect()
}

/// Calls with each pair of edges, numbered.
fn pairs() -> impl Iterator<Item = (u64, u64, u64)> {
    let pairs = EDGES.into_iter().flat_map(|a| EDGES.into_iter().map(move |b| (a, b)));
    (0..).zip(pairs).map(|(number, (a, b))| (number, a, b))
}

fn call_all() {
    pairs().for_each(|(number, a, b)| {
        weir_traced_numbers(a, b, number);
    });
}

#[test]
fn numbers_are_computed_as_they_are_written() {
    let shows: Vec<String> = NUMBERS.iter().map(|(text, _)| format!("max({text})")).collect();
    let mut tables = attach(&tables(&shows, ""));
    call_all();
    let snapshots = tables.close().expect("the interval closes");
    for (at, (text, expected)) in NUMBERS.iter().enumerate() {
        let rows = &snapshots[at / 8].rows;
        let found: BTreeMap<i128, i128> =
            numbers(rows, "pair").into_iter().zip(numbers(rows, &format!("m{}", at % 8))).collect();
        for (number, a, b) in pairs() {
            assert_eq!(found[&number.into()], expected(a, b), "{text} with {a:#x} and {b:#x}");
        }
    }
}

#[test]
fn conditions_hold_where_they_do() {
    let shows: Vec<String> = CONDITIONS.iter().map(|(text, _)| format!("count() if {text}")).collect();
    let mut tables = attach(&tables(&shows, ""));
    call_all();
    let snapshots = tables.close().expect("the interval closes");
    for (at, (text, expected)) in CONDITIONS.iter().enumerate() {
        let rows = &snapshots[at / 8].rows;
        let found: BTreeMap<i128, i128> =
            numbers(rows, "pair").into_iter().zip(numbers(rows, &format!("m{}", at % 8))).collect();
        for (number, a, b) in pairs() {
            assert_eq!(found[&number.into()] == 1, expected(a, b), "{text} with {a:#x} and {b:#x}");
        }
    }
}

#[test]
fn a_filter_accepts_where_its_condition_holds() {
    // One table for each, so that a filter is one: as many as are attached to the same place at once.
    for chunk in CONDITIONS.chunks(16) {
        let config: String = chunk
            .iter()
            .enumerate()
            .map(|(at, (text, _))| {
                tables(&["count()".to_owned()], &format!("where = \"{text}\"\n"))
                    .replace("tables.t0", &format!("tables.t{at}"))
            })
            .collect();
        let mut tables = attach(&config);
        call_all();
        let snapshots = tables.close().expect("the interval closes");
        for ((text, expected), snapshot) in chunk.iter().zip(&snapshots) {
            let mut found = numbers(&snapshot.rows, "pair");
            found.sort_unstable();
            let accepted: Vec<i128> =
                pairs().filter(|(_, a, b)| expected(*a, *b)).map(|(number, ..)| number.into()).collect();
            assert_eq!(found, accepted, "{text}");
        }
    }
}

/// What has to wait for another part has a place on the stack, and these are few.
#[test]
fn an_expression_can_be_nested_so_deep_and_no_deeper() {
    let nested = |depth: usize| {
        let inner = (0..depth).fold("arg1".to_owned(), |inner, _| format!("(arg0 - {inner})"));
        tables(&[format!("max({inner})")], "")
    };
    let mut tables = attach(&nested(9));
    weir_traced_numbers(5, 3, 0);
    assert_eq!(numbers(&tables.close().expect("the interval closes")[0].rows, "m0"), [2]);
    let error = weir_tests::refusal(&nested(10));
    assert_eq!(error.kind, weir::error::Kind::Config);
    assert!(error.message.contains("nested too deeply"), "{error}");
}

/// Fields of system calls have the width and the sign of their types, whatever else is in the register.
#[test]
fn fields_have_the_sign_of_their_type() {
    let mut tables = attach(&format!(
        r#"
        [tables.t]
        on = "tracepoint:syscalls:sys_enter_lseek"
        where = "pid == {} && args.offset < -1 && args.whence > 100"
        show = {{ offset = "min(args.offset)", half = "max(args.offset / 2)", whence = "max(args.whence)", wrapped = "max(args.whence + 1)", below = "min((int32)args.whence)" }}
        "#,
        std::process::id()
    ));
    seek(-7, -1);
    seek(7, -1);
    let rows = &tables.close().expect("the interval closes")[0].rows;
    assert_eq!(numbers(rows, "offset"), [-7]);
    assert_eq!(numbers(rows, "half"), [-3]);
    assert_eq!(numbers(rows, "whence"), [u32::MAX.into()]);
    assert_eq!(numbers(rows, "wrapped"), [1 << 32]);
    assert_eq!(numbers(rows, "below"), [-1]);
}
