//! Every measure, of values that are known.

use weir::kernel::Tables;
use weir_tests::look::{bounds, field, maybe_field, maybe_numbers, numbers, overflows};
use weir_tests::traced::{program, weir_traced_numbers};
use weir_tests::{attach, close};

/// A table of the calls of `weir_traced_numbers`.
fn table(rest: &str) -> Tables {
    attach(&format!("[tables.t]\non = \"uprobe:{}:weir_traced_numbers\"\n{rest}\n", program()))
}

fn measure(values: impl IntoIterator<Item = u64>) {
    values.into_iter().for_each(|value| {
        weir_traced_numbers(value, 0, 0);
    });
}

fn signed(value: i64) -> u64 {
    value.cast_unsigned()
}

#[test]
fn a_histogram_has_the_buckets_that_are_documented() {
    let mut tables = table("show = { h = \"hist(arg0)\" }");
    measure(1..=8);
    let rows = &close(&mut tables).rows;
    assert_eq!((field(rows, "h", "count"), field(rows, "h", "sum")), (vec![8], vec![36]));
    let expected = vec![(1, Some(2), 1), (2, Some(4), 2), (4, Some(8), 4), (8, Some(16), 1)];
    assert_eq!(bounds(rows, "h"), [expected]);

    measure([0, 0, 1]);
    assert_eq!(
        bounds(&close(&mut tables).rows, "h"),
        [[(0, Some(1), 2), (1, Some(2), 1)]],
        "zero has its own"
    );

    // The greatest numbers there are; their sum is the one that 64 bits hold.
    measure([u64::MAX, u64::MAX, 1 << 63, (1 << 63) - 1]);
    let rows = &close(&mut tables).rows;
    let expected = vec![(1 << 62, Some(1 << 63), 1), (1 << 63, None, 3)];
    assert_eq!(bounds(rows, "h"), [expected]);
    let sum = u64::MAX.wrapping_add(u64::MAX).wrapping_add(1 << 63).wrapping_add((1 << 63) - 1);
    assert_eq!(field(rows, "h", "sum"), [i128::from(sum)]);
}

#[test]
fn a_histogram_of_signed_numbers_has_a_bucket_below_zero() {
    let mut tables = table("show = { h = \"hist((int64)arg0)\", s = \"stats((int64)arg0)\" }");
    measure([signed(-1), signed(-1000), signed(i64::MIN), 0, 5, signed(i64::MAX)]);
    let rows = &close(&mut tables).rows;
    let low = i128::from(i64::MIN);
    let expected = vec![(low, Some(0), 3), (0, Some(1), 1), (4, Some(8), 1), (1 << 62, None, 1)];
    assert_eq!(bounds(rows, "h"), [expected]);
    assert_eq!(field(rows, "h", "sum"), [-1 - 1000 - 1 + 5]);
    assert_eq!(field(rows, "s", "min"), [low]);
    assert_eq!(field(rows, "s", "max"), [i64::MAX.into()]);
}

/// The bucket of a value in a histogram of this resolution, from its definition: numbers below 2^resolution have one
/// each, and above it each power of two is divided into 2^resolution parts.
fn bucket(value: u64, resolution: u32) -> (i128, Option<i128>) {
    let value = i128::from(value);
    let parts = 1i128 << resolution;
    if value < parts {
        return (value, Some(value + 1));
    }
    let power = 127 - value.leading_zeros();
    let step = (1i128 << power) / parts;
    let low = value / step * step;
    (low, Some(low + step).filter(|high| *high < 1 << 64))
}

#[test]
fn a_finer_histogram_divides_powers_of_two() {
    let show = (0..=5).map(|resolution| format!("h{resolution} = \"hist(arg0, {resolution})\""));
    let show = show.collect::<Vec<_>>().join(", ");
    // Without a key the buckets are in the cells, with one they have a dictionary.
    for by in ["", "by = { two = \"arg0 % 2\" }\n"] {
        let mut tables = table(&format!("{by}show = {{ {show} }}"));
        let values: Vec<u64> = (0..200)
            .chain((8..64).flat_map(|bits| {
                let power = 1u64 << bits;
                [power - 1, power, power + power / 3, power + (power - 1)]
            }))
            .chain([u64::MAX])
            .collect();
        measure(values.iter().copied());
        let rows = &close(&mut tables).rows;
        let groups: Vec<Vec<u64>> = match by {
            "" => vec![values.clone()],
            _ => numbers(rows, "two")
                .iter()
                .map(|two| values.iter().copied().filter(|value| i128::from(value % 2) == *two).collect())
                .collect(),
        };
        for resolution in 0..=5 {
            let column = format!("h{resolution}");
            for (row, (found, values)) in bounds(rows, &column).into_iter().zip(&groups).enumerate() {
                let mut expected = std::collections::BTreeMap::new();
                for value in values {
                    *expected.entry(bucket(*value, resolution)).or_insert(0) += 1;
                }
                let expected: Vec<_> = expected.into_iter().map(|((low, high), n)| (low, high, n)).collect();
                assert_eq!(found, expected, "resolution {resolution}, row {row}");
            }
        }
    }
}

#[test]
fn a_linear_histogram_counts_below_and_above() {
    let mut tables = table(
        "show = { h = \"lhist((int64)arg0, -10, 25, 10)\", u = \"lhist(arg0, 0, 100, 50)\", one = \"lhist(arg0, 5, 6, 1)\" }",
    );
    let values = [i64::MIN, -11, -10, -1, 0, 9, 10, 24, 25, 99, 100, i64::MAX];
    measure(values.into_iter().map(signed));
    let rows = &close(&mut tables).rows;
    let low = i128::from(i64::MIN);
    let expected = vec![
        (low, Some(-10), 2),
        (-10, Some(0), 2),
        (0, Some(10), 2),
        (10, Some(20), 1),
        (20, Some(25), 1),
        (25, None, 4),
    ];
    assert_eq!(bounds(rows, "h"), [expected]);
    // What is negative there is among the greatest numbers here.
    let expected = vec![(0, Some(50), 5), (50, Some(100), 1), (100, None, 6)];
    assert_eq!(bounds(rows, "u"), [expected]);
    assert_eq!(bounds(rows, "one"), [[(0, Some(5), 1), (6, None, 11)]]);
    assert_eq!(field(rows, "h", "count"), [12]);
}

#[test]
fn stats_are_the_count_the_sum_the_least_and_the_greatest() {
    let mut tables = table(
        "by = { two = \"arg0 % 2\" }\nshow = { s = \"stats(arg0)\", a = \"avg(arg0)\", n = \"count()\", sum = \"sum(arg0)\", min = \"min(arg0)\", max = \"max(arg0)\" }",
    );
    measure(1..=100);
    let rows = &close(&mut tables).rows;
    assert_eq!(numbers(rows, "two"), [1, 0]);
    for (part, expected) in [("count", [50, 50]), ("sum", [2500, 2550]), ("min", [1, 2]), ("max", [99, 100])]
    {
        assert_eq!(field(rows, "s", part), expected, "{part}");
    }
    assert_eq!(field(rows, "a", "sum"), [2500, 2550]);
    assert_eq!(field(rows, "a", "count"), [50, 50]);
    assert_eq!((numbers(rows, "min"), numbers(rows, "max")), (vec![1, 2], vec![99, 100]));
    assert_eq!((numbers(rows, "n"), numbers(rows, "sum")), (vec![50, 50], vec![2500, 2550]));
    // The next interval begins with nothing.
    measure([7]);
    let rows = &close(&mut tables).rows;
    assert_eq!((numbers(rows, "min"), numbers(rows, "max")), (vec![7], vec![7]));
    assert_eq!(field(rows, "s", "min"), [7]);
}

#[test]
fn a_measure_with_a_condition_has_its_own_count() {
    let mut tables = table(
        "by = { tens = \"arg0 / 10\" }\nshow = { n = \"count()\", odd = \"count() if arg0 % 2 == 1\", min = \"min(arg0) if arg0 > 14\", max = \"max(arg0) if arg0 > 14\", avg = \"avg(arg0) if arg0 > 14\", stats = \"stats(arg0) if arg0 > 14\", hist = \"hist(arg0) if arg0 > 14\", sum = \"sum(arg0) if arg0 > 14\" }",
    );
    measure(0..30);
    let rows = &close(&mut tables).rows;
    assert_eq!(numbers(rows, "tens"), [0, 1, 2]);
    assert_eq!(numbers(rows, "n"), [10, 10, 10]);
    assert_eq!(numbers(rows, "odd"), [5, 5, 5]);
    assert_eq!(maybe_numbers(rows, "min"), [None, Some(15), Some(20)]);
    assert_eq!(maybe_numbers(rows, "max"), [None, Some(19), Some(29)]);
    assert_eq!(numbers(rows, "sum"), [0, 85, 245]);
    assert_eq!(field(rows, "avg", "count"), [0, 5, 10]);
    assert_eq!(field(rows, "avg", "sum"), [0, 85, 245]);
    assert_eq!(field(rows, "stats", "count"), [0, 5, 10]);
    assert_eq!(maybe_field(rows, "stats", "min"), [None, Some(15), Some(20)]);
    assert_eq!(maybe_field(rows, "stats", "max"), [None, Some(19), Some(29)]);
    assert_eq!(field(rows, "hist", "count"), [0, 5, 10]);
    let buckets = bounds(rows, "hist");
    assert_eq!(buckets, [vec![], vec![(8, Some(16), 1), (16, Some(32), 4)], vec![(16, Some(32), 10)]]);
}

/// What found no row of its own is in the overflow row, with all that was measured.
#[test]
fn the_overflow_row_has_every_measure() {
    let mut tables = table(
        "by = { key = \"arg0\" }\nkeys = 10\nshow = { n = \"count()\", h = \"hist(arg0)\", l = \"lhist(arg0, 0, 5000, 100)\", s = \"stats((int64)arg0 - 2000)\", c = \"count() if arg0 >= 2500\" }",
    );
    measure(0..5000);
    let snapshot = close(&mut tables);
    let rows = &snapshot.rows;
    assert_eq!(snapshot.coverage.events, 5000);
    assert!(snapshot.coverage.overflow > 4900);
    assert_eq!(overflows(rows).last(), Some(&true));
    assert_eq!(overflows(rows).iter().filter(|is| **is).count(), 1);
    let total = |column: &str| -> i128 { numbers(rows, column).iter().sum() };
    assert_eq!((total("n"), total("c")), (5000, 2500));
    let sum: i128 = field(rows, "s", "sum").iter().sum();
    assert_eq!(sum, (0..5000).map(|n| n - 2000).sum::<i128>());
    assert_eq!(field(rows, "s", "max").last(), Some(&2999));
    let mut all = std::collections::BTreeMap::new();
    for (low, _, n) in bounds(rows, "h").into_iter().flatten() {
        *all.entry(low).or_insert(0) += n;
    }
    let expected = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096].into_iter();
    let counts = [1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 904];
    assert_eq!(all, expected.zip(counts).collect());
    let mut steps = std::collections::BTreeMap::new();
    for (low, _, n) in bounds(rows, "l").into_iter().flatten() {
        *steps.entry(low).or_insert(0) += n;
    }
    assert_eq!(steps, (0..50).map(|step| (step * 100, 100)).collect());
}

/// As many keys, measures and comparisons as a table can have: the verifier has to have room for them.
#[test]
fn the_widest_table_is_loaded() {
    let file = program();
    let keys =
        (0..13).map(|number| format!("k{number} = \"arg0 + {number}\"")).collect::<Vec<_>>().join(", ");
    let text = "x".repeat(62);
    let table = format!(
        r#"
        [tables.t]
        from = "uprobe:{file}:weir_traced_start"
        to = "uprobe:{file}:weir_traced_numbers"
        where = "comm != '{text}' && start.arg0 + start.arg1 * 2 == 5 && !starts_with(comm, '{text}') && (arg0 / ((arg1 | 1) + (arg2 | 1)) >= 0 || comm == 'x')"
        by = {{ comm = "comm", {keys} }}
        show = {{ a = "hist((int64)arg0 / (int64)arg1)", b = "lhist(arg0, 0, 1000, 10)", c = "stats(arg2) if arg0 > 1", d = "avg(elapsed)", e = "min((int64)arg0) if comm != 'y'", f = "max(arg0)", g = "hist(elapsed, 5)", h = "sum(arg0) if arg0 % 2 == 0" }}
        "#
    );
    let mut tables = attach(&table);
    weir_tests::traced::weir_traced_start(1, 2);
    weir_traced_numbers(6, 0, 9);
    let rows = &close(&mut tables).rows;
    assert_eq!(numbers(rows, "k12"), [18]);
    assert_eq!(field(rows, "a", "sum"), [0], "what is divided by zero is zero");
    assert_eq!(bounds(rows, "b"), [[(0, Some(10), 1)]]);
    assert_eq!(field(rows, "c", "sum"), [9]);
    assert_eq!(field(rows, "d", "count"), [1]);
    assert_eq!((numbers(rows, "e"), numbers(rows, "f"), numbers(rows, "h")), (vec![6], vec![6], vec![6]));
    drop(tables);
    // Likewise where texts can fail to be read, and with both stacks.
    let table = format!(
        r#"
        [tables.t]
        on = "uprobe:{file}:weir_traced_text"
        where = "str(arg0) == '{text}'"
        by = {{ kstack = "kstack", ustack = "ustack", text = "str(arg0, 88)" }}
        show = {{ a = "hist(pid)", b = "lhist(tid, 0, 1000, 10)", c = "stats(uid) if gid == 0", d = "avg(nsecs)", e = "min(pid) if str(arg0) == '{text}'", f = "max(pid)", g = "hist(nsecs, 5)", h = "count() if starts_with(str(arg0), 'xx')" }}
        "#
    );
    let mut tables = attach(&table);
    let text = std::ffi::CString::new(text).expect("no NUL");
    weir_tests::traced::weir_traced_text(weir_tests::traced::in_memory(&text));
    let rows = &close(&mut tables).rows;
    assert_eq!(numbers(rows, "h"), [1]);
    assert_eq!(weir_tests::look::texts(rows, "text"), [Some("x".repeat(62))]);
}
