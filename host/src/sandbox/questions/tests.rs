//! Each question beside a reference that is plain enough to be seen to be right.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Int64Array, RecordBatch, StringArray, UInt32Array, UInt64Array,
};
use proptest::prelude::*;

use super::{filter, group, sort};
use crate::sandbox::engine::Bound;
use crate::sandbox::limits::{FUEL_PER_NANOSECOND, FUEL_PER_ROW, ROWS_BETWEEN_LOOKS, SORT_ROWS};
use crate::sandbox::view::{Average, Buckets, Column, Data, Sums, Table};
use crate::sandbox::wire::{Reason, TableOrder};
use crate::sandbox::wit::{Aggregate, Condition, Coverage, Literal};
use crate::sandbox::work::{Refusal, Stop, Work};

const COVERAGE: Coverage = Coverage { events: 0, overflow: 0, missed: None };

fn work() -> Work {
    Work::begin(Duration::from_secs(60), Bound::Time)
}

/// One row of a table with a column of each kind.
#[derive(Clone, Debug)]
struct Row {
    unsigned: u64,
    signed: i64,
    word: Option<u32>,
}

/// The dictionary has one text twice, and one that is escaped.
const WORDS: [&str; 5] = ["sh", "cat", "sh", "shed", "a\\nb"];

fn bytes(word: Option<u32>) -> &'static [u8] {
    match word.map(|word| WORDS[word as usize]) {
        None => b"",
        Some("a\\nb") => b"a\nb",
        Some(word) => word.as_bytes(),
    }
}

/// Few different values, so that there are groups and ties, and the ends of the ranges.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let unsigned = prop_oneof![0..5u64, Just(u64::MAX), Just(1 << 53), Just((1 << 53) + 1)];
    let signed = prop_oneof![-3..3i64, Just(i64::MIN), Just(i64::MAX)];
    let word = proptest::option::of(0..WORDS.len() as u32);
    let row = (unsigned, signed, word).prop_map(|(unsigned, signed, word)| Row { unsigned, signed, word });
    proptest::collection::vec(row, 0..200)
}

/// Columns: 0 overflow, 1 unsigned, 2 signed, 3 word.
fn table(rows: &[Row]) -> Table {
    let words: ArrayRef = Arc::new(StringArray::from_iter_values(WORDS));
    let codes: UInt32Array = rows.iter().map(|row| row.word).collect();
    let batch = RecordBatch::try_from_iter([
        ("interval", Arc::new(UInt64Array::from_iter_values(rows.iter().map(|_| 0))) as ArrayRef),
        ("overflow", Arc::new(BooleanArray::from_iter(rows.iter().map(|_| Some(false))))),
        ("unsigned", Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.unsigned)))),
        ("signed", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.signed)))),
        ("word", Arc::new(DictionaryArray::new(codes, words))),
    ]);
    Table::snapshot(&TableOrder::default(), &batch.unwrap()).unwrap()
}

fn unsigned(table: &Table, column: u32) -> Vec<u64> {
    match table.data(column).unwrap().0 {
        Data::U64(values) => values.to_vec(),
        other => panic!("{other:?}"),
    }
}

fn signed(table: &Table, column: u32) -> Vec<i64> {
    match table.data(column).unwrap().0 {
        Data::S64(values) => values.to_vec(),
        other => panic!("{other:?}"),
    }
}

fn floats(table: &Table, column: u32) -> Vec<f64> {
    match table.data(column).unwrap().0 {
        Data::F64(values) => values.to_vec(),
        Data::Average(average) => average.means().to_vec(),
        other => panic!("{other:?}"),
    }
}

fn words(table: &Table, column: u32) -> Vec<Vec<u8>> {
    match table.data(column).unwrap().0 {
        Data::Text(text) => text.codes.iter().map(|code| text.words.get(*code).to_vec()).collect(),
        other => panic!("{other:?}"),
    }
}

/// The rows that the table has, all of their columns.
fn seen(table: &Table) -> Vec<(u64, i64, Vec<u8>)> {
    let (unsigned, signed, words) = (unsigned(table, 1), signed(table, 2), words(table, 3));
    unsigned.into_iter().zip(signed).zip(words).map(|((u, s), w)| (u, s, w)).collect()
}

fn expected<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Vec<(u64, i64, Vec<u8>)> {
    rows.into_iter().map(|row| (row.unsigned, row.signed, bytes(row.word).to_vec())).collect()
}

fn condition(column: u32, op: &str, value: Literal) -> Condition {
    Condition { column, op: op.to_owned(), value }
}

fn aggregate(column: u32, op: &str, argument: f64) -> Aggregate {
    Aggregate { column, op: op.to_owned(), argument }
}

/// A number's order beside another's, exactly, whatever they are.
fn compare(integer: i128, literal: &Literal) -> Option<std::cmp::Ordering> {
    match literal {
        Literal::Unsigned(value) => Some(integer.cmp(&i128::from(*value))),
        Literal::Signed(value) => Some(integer.cmp(&i128::from(*value))),
        Literal::Float(value) if value.is_nan() => None,
        // Twice the number, so that halves are integers too; that is all the fractions that the tests have.
        Literal::Float(value) => Some((integer * 2).cmp(&((value * 2.0) as i128))),
        Literal::Text(_) => unreachable!(),
    }
}

fn holds(op: &str, order: Option<std::cmp::Ordering>) -> bool {
    match op {
        "eq" => order.is_some_and(|order| order.is_eq()),
        "ne" => order.is_none_or(|order| order.is_ne()),
        "lt" => order.is_some_and(|order| order.is_lt()),
        "le" => order.is_some_and(|order| order.is_le()),
        "gt" => order.is_some_and(|order| order.is_gt()),
        "ge" => order.is_some_and(|order| order.is_ge()),
        other => panic!("{other}"),
    }
}

fn literal() -> impl Strategy<Value = Literal> {
    let floats = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 2.5, -0.5, -0.0, 9_007_199_254_740_992.0];
    prop_oneof![
        prop_oneof![0..6u64, Just(u64::MAX), Just((1 << 53) + 1)].prop_map(Literal::Unsigned),
        prop_oneof![-4..4i64, Just(i64::MIN), Just(i64::MAX)].prop_map(Literal::Signed),
        proptest::sample::select(floats.to_vec()).prop_map(Literal::Float),
    ]
}

const OPS: [&str; 6] = ["eq", "ne", "lt", "le", "gt", "ge"];

proptest! {
    #[test]
    fn filter_keeps_what_holds(rows in rows(), u in literal(), s in literal(), uo in 0..6usize, so in 0..6usize) {
        let every = [condition(1, OPS[uo], u.clone()), condition(2, OPS[so], s.clone())];
        let answer = filter(&mut work(), &table(&rows), &every).unwrap();
        let kept = rows.iter().filter(|row| {
            holds(OPS[uo], compare(row.unsigned.into(), &u)) && holds(OPS[so], compare(row.signed.into(), &s))
        });
        prop_assert_eq!(seen(&answer), expected(kept));
    }

    #[test]
    fn filter_compares_texts_by_their_bytes(rows in rows(), word in 0..WORDS.len() as u32, op in 0..3usize) {
        let sought = bytes(Some(word));
        let op = ["eq", "ne", "prefix"][op];
        let answer = filter(&mut work(), &table(&rows), &[condition(3, op, Literal::Text(sought.to_vec()))]).unwrap();
        let kept = rows.iter().filter(|row| match op {
            "eq" => bytes(row.word) == sought,
            "ne" => bytes(row.word) != sought,
            _ => bytes(row.word).starts_with(sought),
        });
        prop_assert_eq!(seen(&answer), expected(kept));
    }

    #[test]
    fn sort_is_stable_in_both_directions(rows in rows(), by in 1..4u32, descending: bool, limit in 0..250u32) {
        let answer = sort(&mut work(), &table(&rows), by, descending, limit).unwrap();
        let mut sorted: Vec<&Row> = rows.iter().collect();
        let direct = |order: std::cmp::Ordering| if descending { order.reverse() } else { order };
        sorted.sort_by(|a, b| direct(match by {
            1 => a.unsigned.cmp(&b.unsigned),
            2 => a.signed.cmp(&b.signed),
            _ => bytes(a.word).cmp(bytes(b.word)),
        }));
        if limit > 0 {
            sorted.truncate(limit as usize);
        }
        prop_assert_eq!(seen(&answer), expected(sorted));
    }

    #[test]
    fn groups_add_up(rows in rows(), by in proptest::sample::subsequence(vec![1u32, 2, 3], 0..=3)) {
        let show = [
            aggregate(1, "count", 0.0), aggregate(1, "sum", 0.0), aggregate(2, "sum", 0.0), aggregate(1, "min", 0.0),
            aggregate(2, "max", 0.0), aggregate(2, "mean", 0.0), aggregate(1, "quantile", 0.5),
        ];
        // The answer of a question about an answer has to be the same.
        let all = filter(&mut work(), &table(&rows), &[]).unwrap();
        let answer = group(&mut work(), &all, &by, &show).unwrap();

        let key = |row: &Row| -> (Option<u64>, Option<i64>, Option<&'static [u8]>) {
            let has = |column| by.contains(&column);
            (has(1).then_some(row.unsigned), has(2).then_some(row.signed), has(3).then(|| bytes(row.word)))
        };
        let mut groups: Vec<(_, Vec<&Row>)> = Vec::new();
        if by.is_empty() {
            groups.push(((None, None, None), Vec::new()));
        }
        for row in &rows {
            match groups.iter_mut().find(|(k, _)| *k == key(row)) {
                Some((_, members)) => members.push(row),
                None => groups.push((key(row), vec![row])),
            }
        }
        prop_assert_eq!(answer.rows, groups.len());
        for (place, column) in (0u32..).zip(&by) {
            match column {
                1 => prop_assert_eq!(unsigned(&answer, place), groups.iter().map(|g| g.0.0.unwrap()).collect::<Vec<_>>()),
                2 => prop_assert_eq!(signed(&answer, place), groups.iter().map(|g| g.0.1.unwrap()).collect::<Vec<_>>()),
                _ => prop_assert_eq!(words(&answer, place), groups.iter().map(|g| g.0.2.unwrap().to_vec()).collect::<Vec<_>>()),
            }
        }
        let at = by.len() as u32;
        for (row, (_, members)) in groups.iter().enumerate() {
            let of = |number: fn(&Row) -> u64| members.iter().map(move |row| number(row));
            let sum = |a: u64, b: u64| a.wrapping_add(b);
            prop_assert_eq!(unsigned(&answer, at)[row], members.len() as u64);
            prop_assert_eq!(unsigned(&answer, at + 1)[row], of(|row| row.unsigned).fold(0, sum));
            prop_assert_eq!(signed(&answer, at + 2)[row], of(|row| row.signed as u64).fold(0, sum) as i64);
            prop_assert_eq!(unsigned(&answer, at + 3)[row], of(|row| row.unsigned).min().unwrap_or(0));
            prop_assert_eq!(signed(&answer, at + 4)[row], members.iter().map(|row| row.signed).max().unwrap_or(0));
            let total = members.iter().map(|row| row.signed as f64).sum::<f64>();
            let mean = if members.is_empty() { 0.0 } else { total / members.len() as f64 };
            prop_assert_eq!(floats(&answer, at + 5)[row], mean);
            let mut values: Vec<u64> = of(|row| row.unsigned).collect();
            values.sort_unstable();
            let median = floats(&answer, at + 6)[row];
            match values.len() {
                0 => prop_assert!(median.is_nan()),
                n => prop_assert_eq!(median, values[n.div_ceil(2) - 1] as f64),
            }
        }
    }

    #[test]
    fn histograms_merge_bucket_by_bucket(rows in proptest::collection::vec((0..3u64, proptest::collection::vec((0..4u32, 1..100u64), 0..4)), 0..50), share in 0.0..=1.0f64) {
        let (answer, _) = (merged(&rows, share), ());
        let Data::Buckets(sums) = answer.data(1).unwrap().0 else { panic!() };
        let groups = unsigned(&answer, 0);
        for (place, key) in groups.iter().enumerate() {
            let mut dense = [0u64; 4];
            let members = rows.iter().filter(|(k, _)| k == key);
            members.clone().flat_map(|(_, entries)| entries).for_each(|(bucket, count)| dense[*bucket as usize] += count);
            let wanted: Vec<_> = (0u32..).zip(dense).filter(|(_, count)| *count > 0).collect();
            prop_assert_eq!(sums.row(place).collect::<Vec<_>>(), wanted);
            let total: u64 = dense.iter().sum();
            // A row's sum is ten times its count.
            prop_assert_eq!((sums.counts[place], sums.sums.get(place)), (total, 10.0 * total as f64));
            prop_assert_eq!(floats(&answer, 3)[place], if total == 0 { 0.0 } else { 10.0 });
            // The first bucket up to which the share of all values lies; bounds are 0, 1, 10, 100 and open.
            let need = ((share * total as f64).ceil() as u64).max(1);
            let reaches = |bucket: &usize| dense[..=*bucket].iter().sum::<u64>() >= need;
            let upper = (0..4).find(reaches).map(|bucket| [1.0, 10.0, 100.0, f64::INFINITY][bucket]);
            let quantile = floats(&answer, 2)[place];
            match upper {
                None => prop_assert!(total == 0 && quantile.is_nan()),
                Some(upper) => prop_assert_eq!(quantile, upper),
            }
        }
    }
}

/// Groups histograms by a key: columns key, sum, quantile, mean.
fn merged(rows: &[(u64, Vec<(u32, u64)>)], share: f64) -> Table {
    let counts: Vec<u64> =
        rows.iter().map(|(_, entries)| entries.iter().map(|(_, count)| count).sum()).collect();
    let mut offsets = vec![0u32];
    rows.iter().for_each(|(_, entries)| offsets.push(offsets[offsets.len() - 1] + entries.len() as u32));
    let entries = || rows.iter().flat_map(|(_, entries)| entries);
    let buckets = Buckets {
        sums: Sums { words: counts.iter().map(|count| count * 10).collect(), signed: false },
        counts: counts.into(),
        lower: vec![0.0, 1.0, 10.0, 100.0].into(),
        offsets: offsets.into(),
        bucket: entries().map(|(bucket, _)| *bucket).collect(),
        entries: entries().map(|(_, count)| *count).collect(),
    };
    let key = Data::U64(rows.iter().map(|(key, _)| *key).collect());
    let columns = vec![
        Column::computed("key".to_owned(), "key", "", key),
        Column::computed("latency".to_owned(), "hist", "ns", Data::Buckets(buckets)),
    ];
    let show = [aggregate(1, "sum", 0.0), aggregate(1, "quantile", share), aggregate(1, "mean", 0.0)];
    group(&mut work(), &Table::computed(rows.len(), COVERAGE, columns), &[0], &show).unwrap()
}

fn of_floats(values: Vec<f64>) -> Table {
    let rows = values.len();
    Table::computed(
        rows,
        COVERAGE,
        vec![Column::computed("f".to_owned(), "mean", "s", Data::F64(values.into()))],
    )
}

#[test]
fn what_is_not_a_number_comes_last() {
    let table = of_floats(vec![f64::NAN, 1.0, -0.0, f64::INFINITY, 0.0, -1.0, -f64::NAN]);
    for (descending, wanted) in
        [(false, [-1.0, -0.0, 0.0, 1.0, f64::INFINITY]), (true, [f64::INFINITY, 1.0, -0.0, 0.0, -1.0])]
    {
        let sorted = floats(&sort(&mut work(), &table, 0, descending, 0).unwrap(), 0);
        assert_eq!(sorted[..5], wanted);
        assert_eq!(
            sorted.iter().map(|value| value.is_sign_negative()).take(5).collect::<Vec<_>>(),
            wanted.map(f64::is_sign_negative)
        );
        assert!(sorted[5].is_nan() && sorted[6].is_nan());
    }
    let grouped = group(&mut work(), &table, &[0], &[aggregate(0, "count", 0.0)]).unwrap();
    assert_eq!(unsigned(&grouped, 1), [2, 1, 2, 1, 1]);
    let extremes =
        group(&mut work(), &table, &[], &[aggregate(0, "min", 0.0), aggregate(0, "max", 0.0)]).unwrap();
    assert_eq!((floats(&extremes, 0)[0], floats(&extremes, 1)[0]), (-1.0, f64::INFINITY));
}

#[test]
fn averages_weigh_by_what_was_counted() {
    let sums = Sums { words: vec![100u64, 2, (-6i64) as u64].into(), signed: true };
    let average = Data::Average(Average::new(vec![1u64, 2, 3].into(), sums));
    let table = Table::computed(3, COVERAGE, vec![Column::computed("size".to_owned(), "avg", "B", average)]);
    let show = [aggregate(0, "sum", 0.0), aggregate(0, "mean", 0.0), aggregate(0, "max", 0.0)];
    let answer = group(&mut work(), &table, &[], &show).unwrap();
    assert_eq!([0, 1, 2].map(|column| floats(&answer, column)[0]), [16.0, 16.0, 100.0]);
    let names: Vec<_> =
        answer.columns.iter().map(|c| (c.name.as_str(), c.role.as_str(), c.unit.as_str())).collect();
    assert_eq!(names, [("sum(size)", "avg", "B"), ("mean(size)", "mean", "B"), ("max(size)", "max", "B")]);
    assert_eq!(floats(&sort(&mut work(), &table, 0, false, 0).unwrap(), 0), [-2.0, 1.0, 100.0]);
}

#[test]
fn shares_add_up_to_one() {
    let table = of_floats(vec![1.0, 2.0, 1.0]);
    let shares = group(&mut work(), &table, &[0], &[aggregate(0, "share", 0.0)]).unwrap();
    assert_eq!(floats(&shares, 1), [0.5, 0.5]);
    let none = group(&mut work(), &of_floats(vec![]), &[], &[aggregate(0, "share", 0.0)]).unwrap();
    assert_eq!(floats(&none, 0), [0.0]);
}

#[test]
fn what_cannot_be_answered_is_refused_with_its_reason() {
    let table = table(&[Row { unsigned: 1, signed: 1, word: None }]);
    let reason = |answer: Result<Table, Refusal>| match answer {
        Err(Refusal::Failure(failure)) => failure.reason,
        other => panic!("{other:?}"),
    };
    let one = || Literal::Unsigned(1);
    let filtered = |conditions: &[Condition]| reason(filter(&mut work(), &table, conditions));
    assert_eq!(filtered(&[condition(9, "eq", one())]), "unknown");
    assert_eq!(filtered(&[condition(1, "like", one())]), "unknown");
    assert_eq!(filtered(&[condition(1, "prefix", one())]), "kind");
    assert_eq!(filtered(&[condition(1, "eq", Literal::Text(vec![]))]), "kind");
    assert_eq!(filtered(&[condition(3, "eq", one())]), "kind");
    assert_eq!(filtered(&[condition(3, "lt", Literal::Text(vec![]))]), "kind");
    assert_eq!(filtered(&vec![condition(1, "eq", one()); 65]), "too-large");
    let grouped = |by: &[u32], show: &[Aggregate]| reason(group(&mut work(), &table, by, show));
    assert_eq!(grouped(&[9], &[]), "unknown");
    assert_eq!(grouped(&[], &[aggregate(1, "median", 0.0)]), "unknown");
    assert_eq!(grouped(&[], &[aggregate(3, "sum", 0.0)]), "kind");
    assert_eq!(grouped(&[], &[aggregate(1, "quantile", 1.5)]), "bounds");
    assert_eq!(grouped(&[], &[aggregate(1, "quantile", f64::NAN)]), "bounds");
    assert_eq!(reason(sort(&mut work(), &table, 9, false, 0)), "unknown");
    let many = of_floats(vec![0.0; SORT_ROWS + 1]);
    assert_eq!(reason(sort(&mut work(), &many, 0, false, 0)), "too-large");
    assert_eq!(sort(&mut work(), &many, 0, false, 10).unwrap().rows, 10);
}

/// In a replay what counts is the number of rows, and not how long they take.
#[test]
fn a_question_of_a_replay_is_bounded_by_its_rows() {
    let table = of_floats(vec![0.0; 1 << 20]);
    let looks = (1 << 20) / ROWS_BETWEEN_LOOKS as u64;
    let enough = looks * ROWS_BETWEEN_LOOKS as u64 * FUEL_PER_ROW / FUEL_PER_NANOSECOND;
    let ask = |nanoseconds: u64| {
        let mut work = Work::begin(Duration::from_nanos(nanoseconds), Bound::Fuel);
        filter(&mut work, &table, &[condition(0, "eq", Literal::Float(0.0))])
    };
    let long = ask(2 * enough).unwrap();
    assert_eq!(long.rows, 1 << 20);
    let stop = Refusal::Stop(Stop(Reason::Deadline));
    assert_eq!(ask(enough / 2).unwrap_err(), stop);
    assert_eq!(ask(enough / 2).unwrap_err(), stop, "as often as it is asked");
}

#[test]
fn a_question_looks_at_the_deadline() {
    let table = of_floats(vec![0.0; 1 << 20]);
    let mut late = Work::begin(Duration::ZERO, Bound::Time);
    let stop = |answer: Result<Table, Refusal>| {
        assert_eq!(answer.unwrap_err(), Refusal::Stop(Stop(Reason::Deadline)))
    };
    stop(filter(&mut late, &table, &[condition(0, "eq", Literal::Float(0.0))]));
    stop(sort(&mut late, &table, 0, true, 10));
    stop(group(&mut late, &table, &[0], &[]));
    stop(group(&mut late, &table, &[], &[aggregate(0, "sum", 0.0)]));
}
