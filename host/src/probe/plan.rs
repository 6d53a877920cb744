//! From what is asked for to what the kernel side executes: the expressions of one table, at each of its probes.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;
use weir_abi::{KEY_WORDS, MEASURES, SAVED};

use super::expression::{self, Expression, Measure, Node};
use super::flaw::Flaw;
use super::kernel::Kernel;
use super::meaning::Meaning;
use super::record::Record;
use super::resolve::{Saved, Scope, Start, as_text, check_names};
use super::used;
use crate::error::Result as WeirResult;
use crate::kernel::code;
use crate::table::{
    Attach, Builtin, Comparison, Condition, KeyColumn, KeyKind, KeyValue, MeasureColumn, MeasureKind,
    MeasureValue, Probe, Text, Value,
};

/// Buckets of a linear histogram, as many as bpftrace allows.
const MOST_LINEAR: u32 = 1002;
/// Parts of a power of two, as a power of two itself.
const FINEST: u64 = 5;

/// Where a table is attached.
#[derive(Debug)]
pub(crate) struct Points<'a> {
    kernel: &'a Kernel,
    /// What is counted.
    ends: Vec<(Attach, Record)>,
    /// Where spans start.
    starts: Vec<(Attach, Record)>,
}

/// A table's expressions as they are written, with what each is called.
#[derive(Debug, Default)]
pub(crate) struct Written<'a> {
    pub(crate) filter: Option<&'a str>,
    /// By what the start and the end of a span are paired, as each of them sees it.
    pub(crate) pair: Option<(&'a str, &'a str)>,
    pub(crate) keys: Vec<(&'a str, &'a str)>,
    pub(crate) measures: Vec<(&'a str, &'a str)>,
}

/// Which of the expressions is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Filter,
    /// At the start of a span, or else at its end.
    Pair {
        start: bool,
    },
    Key(usize),
    Measure(usize),
}

/// What a table's expressions come to.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) probes: Vec<Probe>,
    pub(crate) starts: Vec<Probe>,
    pub(crate) keys: Vec<KeyColumn>,
    pub(crate) measures: Vec<MeasureColumn>,
    pub(crate) saved: u32,
    /// What the expressions name, as it is written.
    pub(crate) names: BTreeSet<String>,
}

type Result<T> = std::result::Result<T, (Part, Flaw)>;

/// Expressions that have been read.
struct Parsed {
    filter: Option<Node>,
    pair: Option<(Node, Node)>,
    keys: Vec<(String, Node)>,
    measures: Vec<(String, Measure)>,
}

impl Parsed {
    fn names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let pair = self.pair.iter().flat_map(|(start, end)| [start, end]);
        let keys = self.keys.iter().map(|(_, node)| node);
        self.filter.iter().chain(pair).chain(keys).for_each(|node| used::of_expression(node, &mut names));
        self.measures.iter().for_each(|(_, measure)| used::of_measure(measure, &mut names));
        names
    }
}

impl<'a> Points<'a> {
    pub(crate) fn new(kernel: &'a Kernel, ends: Vec<Attach>, starts: Vec<Attach>) -> WeirResult<Self> {
        let records = |points: Vec<Attach>| {
            let known = |point: Attach| kernel.record(&point).map(|record| (point, record));
            points.into_iter().map(known).collect::<WeirResult<Vec<_>>>()
        };
        Ok(Self { kernel, ends: records(ends)?, starts: records(starts)? })
    }

    /// Resolves a table's expressions at every probe.
    pub(crate) fn resolve(&self, written: &Written<'_>) -> Result<Resolved> {
        let parsed = parse(written)?;
        let used = RefCell::new(parsed.names());
        let start = self.starts.first().map(|(attach, record)| Start {
            scope: self.scope(attach, record, 0, None, &used),
            saved: RefCell::default(),
            part: Cell::new(Part::Filter),
        });
        let names = self.names();
        let mut resolved = Resolved {
            probes: Vec::new(),
            starts: Vec::new(),
            keys: Vec::new(),
            measures: Vec::new(),
            saved: 0,
            names: BTreeSet::new(),
        };
        for (number, (attach, record)) in (0u64..).zip(&self.ends) {
            let scope = self.scope(attach, record, number, start.as_ref(), &used);
            let (probe, keys, measures) = end(&scope, &parsed, &names)?;
            if number == 0 {
                (resolved.keys, resolved.measures) = (keys, measures);
            } else {
                same(&mut resolved, &keys, &measures, attach, &parsed)?;
            }
            resolved.probes.push(probe);
        }
        let saved = start.map(|start| start.saved.into_inner()).unwrap_or_default();
        resolved.saved = saved.len().min(SAVED) as u32;
        for (number, (attach, record)) in (0u64..).zip(&self.starts) {
            let scope = self.scope(attach, record, number, None, &used);
            resolved.starts.push(begin(&scope, &parsed, &saved)?);
        }
        resolved.names = used.into_inner();
        Ok(resolved)
    }

    fn scope<'b>(
        &'b self,
        attach: &'b Attach,
        record: &'b Record,
        number: u64,
        start: Option<&'b Start<'b>>,
        names: &'b RefCell<BTreeSet<String>>,
    ) -> Scope<'b> {
        Scope { kernel: self.kernel, attach, record, number, start, names }
    }

    /// The names of the probes, by their numbers.
    fn names(&self) -> BTreeMap<u64, String> {
        (0u64..).zip(&self.ends).map(|(number, (attach, _))| (number, attach.to_string())).collect()
    }
}

fn parse(written: &Written<'_>) -> Result<Parsed> {
    let read = |part: Part, text: &str| expression::expression(text).map_err(|flaw| (part, flaw));
    let pair = |(start, end): (&str, &str)| {
        Ok((read(Part::Pair { start: true }, start)?, read(Part::Pair { start: false }, end)?))
    };
    let keys = written.keys.iter().enumerate();
    let measures = written.measures.iter().enumerate();
    Ok(Parsed {
        filter: written.filter.map(|text| read(Part::Filter, text)).transpose()?,
        pair: written.pair.map(pair).transpose()?,
        keys: keys
            .map(|(at, (name, text))| Ok(((*name).to_owned(), read(Part::Key(at), text)?)))
            .collect::<Result<_>>()?,
        measures: measures
            .map(|(at, (name, text))| {
                let measure = expression::measure(text).map_err(|flaw| (Part::Measure(at), flaw))?;
                Ok(((*name).to_owned(), measure))
            })
            .collect::<Result<_>>()?,
    })
}

/// What can be said of a table's expressions without a probe: that they are such, of names that there are.
pub(crate) fn check_written(written: &Written<'_>) -> Result<()> {
    let parsed = parse(written)?;
    let check = |part: Part, node: &Node| check_names(node).map_err(|flaw| (part, flaw));
    parsed.filter.iter().try_for_each(|node| check(Part::Filter, node))?;
    if let Some((start, end)) = &parsed.pair {
        check(Part::Pair { start: true }, start)?;
        check(Part::Pair { start: false }, end)?;
    }
    for (at, (_, node)) in parsed.keys.iter().enumerate() {
        check(Part::Key(at), node)?;
    }
    for (at, (_, measure)) in parsed.measures.iter().enumerate() {
        let mut nodes = measure.arguments.iter().chain(&measure.condition);
        nodes.try_for_each(|node| check(Part::Measure(at), node))?;
    }
    Ok(())
}

/// A probe that counts, and what its columns are.
fn end(
    scope: &Scope<'_>,
    parsed: &Parsed,
    names: &BTreeMap<u64, String>,
) -> Result<(Probe, Vec<KeyColumn>, Vec<MeasureColumn>)> {
    let now = |part: Part| {
        if let Some(start) = scope.start {
            start.part.set(part);
        }
    };
    now(Part::Filter);
    let filter = parsed.filter.as_ref().map(|node| condition(scope, node)).transpose();
    let filter = filter.map_err(|flaw| (Part::Filter, flaw))?;
    now(Part::Pair { start: false });
    let pair = parsed.pair.as_ref().map(|(_, end)| pair(scope, end, false)).transpose()?;
    let mut probe =
        Probe { attach: scope.attach.clone(), filter, keys: vec![], measures: vec![], saved: vec![], pair };
    let (mut keys, mut measures): (Vec<KeyColumn>, Vec<MeasureColumn>) = (Vec::new(), Vec::new());
    for (at, (name, node)) in parsed.keys.iter().enumerate() {
        let flawed = |flaw| (Part::Key(at), flaw);
        now(Part::Key(at));
        let (column, value) = key(scope, name, node, names).map_err(flawed)?;
        // The kernel side takes each stack once.
        if value == KeyValue::Stack && keys.iter().any(|other| other.kind == column.kind) {
            return Err(flawed(Flaw::new(node.span(), format!("`{}` is a key already", node.get_ref()))));
        }
        keys.push(column);
        probe.keys.push(value);
        let words: usize = keys.iter().map(|key| key.kind.words()).sum();
        if words >= KEY_WORDS {
            let message = format!(
                "the keys of a table can take {} words of eight bytes; with this one they take {words}",
                KEY_WORDS - 1
            );
            let flaw = Flaw::new(node.span(), message);
            return Err(flawed(
                flaw.help("a number takes one, `comm` two, a text one for each eight bytes: str(x, 32)"),
            ));
        }
    }
    for (at, (name, measure)) in parsed.measures.iter().enumerate() {
        let flawed = |flaw| (Part::Measure(at), flaw);
        now(Part::Measure(at));
        if at == MEASURES {
            let flaw = Flaw::new(
                measure.kind.span(),
                format!("a table can have {MEASURES} measures, and this is one more"),
            );
            return Err(flawed(flaw.help("make a second table of the same probe")));
        }
        let (column, value) = self::measure(scope, name, measure).map_err(flawed)?;
        measures.push(column);
        probe.measures.push(value);
    }
    Ok((probe, keys, measures))
}

/// A condition that can be compiled.
fn condition(scope: &Scope<'_>, node: &Node) -> std::result::Result<Condition, Flaw> {
    let condition = scope.condition(node)?;
    code::check_condition(&condition).map_err(|error| Flaw { span: node.span(), error })?;
    Ok(condition)
}

/// Fails for a value that cannot be compiled.
fn check(value: &Value, node: &Node) -> std::result::Result<(), Flaw> {
    code::check_value(value).map_err(|error| Flaw { span: node.span(), error })
}

/// A probe that starts spans.
fn begin(scope: &Scope<'_>, parsed: &Parsed, saved: &[Saved]) -> Result<Probe> {
    let value = |saved: &Saved| {
        let flawed = |flaw| (saved.part, flaw);
        let value = match (scope.meaning(&saved.node).map_err(flawed)?, &saved.meaning) {
            (Meaning::Number(number), Meaning::Number(first))
                if (number.bits, number.signed) == (first.bits, first.signed) =>
            {
                number.value
            }
            (Meaning::Pointer { value, to, .. }, Meaning::Pointer { to: first, .. }) if to == *first => value,
            _ => {
                let message =
                    format!("this is of another kind at {} than at the start before it", scope.attach);
                return Err(flawed(
                    Flaw::new(saved.node.span(), message).help("make a table of each kind of start"),
                ));
            }
        };
        check(&value, &saved.node).map_err(flawed)?;
        Ok(value)
    };
    Ok(Probe {
        attach: scope.attach.clone(),
        filter: None,
        keys: Vec::new(),
        measures: Vec::new(),
        saved: saved.iter().map(value).collect::<Result<_>>()?,
        pair: parsed.pair.as_ref().map(|(start, _)| pair(scope, start, true)).transpose()?,
    })
}

fn pair(scope: &Scope<'_>, node: &Node, start: bool) -> Result<Value> {
    let flawed = |flaw| (Part::Pair { start }, flaw);
    let value = match scope.meaning(node).map_err(flawed)? {
        // Addresses stay in the kernel here, so any will do.
        Meaning::Pointer { value, .. } => value,
        _ => scope.number(node).map_err(flawed)?.value,
    };
    if value.any(&mut |value| matches!(value, Value::Elapsed | Value::Saved(_))) {
        let flaw = Flaw::new(node.span(), "which start belongs to an end cannot depend on that start");
        return Err(flawed(
            flaw.help("pair = { from = \"args.x\", to = \"args.y\" } has an expression for each"),
        ));
    }
    check(&value, node).map_err(flawed)?;
    Ok(value)
}

fn key(
    scope: &Scope<'_>,
    name: &str,
    node: &Node,
    names: &BTreeMap<u64, String>,
) -> std::result::Result<(KeyColumn, KeyValue), Flaw> {
    let span = node.span();
    let column = |kind, unit: &str| KeyColumn { name: name.to_owned(), kind, unit: unit.to_owned() };
    let cgroup = || KeyValue::Number(Value::Builtin(Builtin::Cgroup));
    let (column, value) = match scope.meaning(node)? {
        Meaning::KernelStack => (column(KeyKind::KernelStack, ""), KeyValue::Stack),
        Meaning::UserStack => (column(KeyKind::UserStack, ""), KeyValue::Stack),
        Meaning::CgroupPath => (column(KeyKind::CgroupPath, ""), cgroup()),
        Meaning::Container => (column(KeyKind::Container, ""), cgroup()),
        Meaning::Probe => {
            let value = match has_cookie(scope.attach) {
                true => Value::Builtin(Builtin::Cookie),
                false => Value::Constant(scope.number),
            };
            (column(KeyKind::Named(names.clone().into()), ""), KeyValue::Number(value))
        }
        Meaning::Text(text, bytes) => (column(KeyKind::Text(bytes), ""), KeyValue::Text(text)),
        meaning @ Meaning::Aggregate { .. } => {
            let Some((text, bytes)) = characters(scope, &meaning) else {
                return Err(Flaw::new(
                    span,
                    format!("`{}` is {}, and no key", node.get_ref(), meaning.name()),
                )
                .help("name one of its members"));
            };
            (column(KeyKind::Text(bytes), ""), KeyValue::Text(text))
        }
        Meaning::Literal(_) => {
            return Err(Flaw::new(span, "what is written is the same for every event, and no key"));
        }
        _ => {
            let number = scope.number(node)?;
            let kind = match number.names {
                Some(names) => KeyKind::Named(names),
                None if number.signed => KeyKind::Signed,
                None => KeyKind::Unsigned,
            };
            (column(kind, number.unit), KeyValue::Number(number.value))
        }
    };
    match &value {
        KeyValue::Number(value) | KeyValue::Text(Text::At { address: value, .. }) => check(value, node)?,
        _ => {}
    }
    Ok((column, value))
}

/// An array of characters, as text.
fn characters(scope: &Scope<'_>, meaning: &Meaning) -> Option<(Text, u32)> {
    let Meaning::Aggregate { id, .. } = meaning else { return None };
    let types = scope.kernel.types().ok()?;
    let (element, count, _) = types.array(*id)?;
    if !types.is_character(element) {
        return None;
    }
    Some((as_text(meaning.clone())?, count.clamp(1, 64)))
}

/// Whether a program can ask by which of its attachments it runs. Others are loaded for one point each.
fn has_cookie(attach: &Attach) -> bool {
    !matches!(attach, Attach::RawTracepoint { .. } | Attach::BtfTracepoint { .. } | Attach::Function { .. })
}

fn measure(
    scope: &Scope<'_>,
    name: &str,
    measure: &Measure,
) -> std::result::Result<(MeasureColumn, MeasureValue), Flaw> {
    let condition = measure.condition.as_ref().map(|node| condition(scope, node)).transpose()?;
    let (word, arguments) = (measure.kind.get_ref().as_str(), &measure.arguments[..]);
    let span = measure.kind.span();
    let kind = match (word, arguments) {
        ("count", []) => MeasureKind::Count,
        ("count", [first, ..]) => {
            let flaw = Flaw::new(first.span(), "`count` counts events and takes nothing in its parentheses");
            return Err(
                flaw.help("filter what is counted with `where`, or with a condition: `count() if x > 0`")
            );
        }
        (_, []) => {
            let flaw = Flaw::new(span, format!("`{word}` needs something to measure"));
            return Err(flaw.help(format!("write what to measure in parentheses, such as `{word}(elapsed)`")));
        }
        ("sum", [_]) => MeasureKind::Sum,
        ("min", [_]) => MeasureKind::Min,
        ("max", [_]) => MeasureKind::Max,
        ("avg", [_]) => MeasureKind::Avg,
        ("stats", [_]) => MeasureKind::Stats,
        ("hist", [_]) => MeasureKind::Hist(0),
        ("hist", [_, resolution]) => {
            let written = written(scope, resolution)?.and_then(|number| u64::try_from(number).ok());
            let bits = written.filter(|bits| *bits <= FINEST).ok_or_else(|| {
                Flaw::new(resolution.span(), format!("the resolution of a histogram is from 0 to {FINEST}"))
                    .help("each power of two is divided into 2^resolution buckets")
            })?;
            MeasureKind::Hist(bits as u32)
        }
        ("lhist", [_, low, high, step]) => linear(scope, low, high, step)?,
        ("lhist", _) => {
            return Err(Flaw::new(span, "a linear histogram has bounds and a step")
                .help("write lhist(x, low, high, step), such as lhist(args.ret, 0, 1000, 100)"));
        }
        (_, [_, second, ..]) => {
            return Err(Flaw::new(second.span(), format!("`{word}` measures one thing")));
        }
        (other, _) => return Err(Flaw::new(span, format!("there is no measure `{other}`"))),
    };
    let Some(node) = arguments.first() else {
        let column = MeasureColumn {
            name: name.to_owned(),
            kind,
            signed: false,
            conditional: condition.is_some(),
            unit: String::new(),
        };
        return Ok((column, MeasureValue { condition, value: None }));
    };
    let meaning = scope.meaning(node)?;
    if matches!(meaning, Meaning::Text(..)) {
        return Err(Flaw::new(node.span(), format!("`{}` is text and cannot be measured", node.get_ref()))
            .help("use it as a key: by = { comm = \"comm\" }"));
    }
    let number = scope.number(node)?;
    check(&number.value, node)?;
    let column = MeasureColumn {
        name: name.to_owned(),
        kind,
        signed: number.signed,
        conditional: condition.is_some() || number.value.can_fail(),
        unit: number.unit.to_owned(),
    };
    Ok((column, MeasureValue { condition, value: Some(number.value) }))
}

/// A number that is written, with its sign.
fn written(scope: &Scope<'_>, node: &Node) -> std::result::Result<Option<i128>, Flaw> {
    Ok(scope.number(node)?.written())
}

fn linear(scope: &Scope<'_>, low: &Node, high: &Node, step: &Node) -> std::result::Result<MeasureKind, Flaw> {
    let bound = |node: &Node| {
        let number = written(scope, node)?.and_then(|number| i64::try_from(number).ok());
        number.ok_or_else(|| {
            Flaw::new(node.span(), "the bounds and the step of a histogram are written numbers")
        })
    };
    let (from, to, by) = (bound(low)?, bound(high)?, bound(step)?);
    if to <= from {
        return Err(Flaw::new(high.span(), format!("the upper bound is above the lower one, {from}")));
    }
    let by = u64::try_from(by).ok().filter(|by| *by > 0);
    let by = by.ok_or_else(|| Flaw::new(step.span(), "the step of a histogram is above 0"))?;
    let (length, by_wide) = (i128::from(to) - i128::from(from), i128::from(by));
    let buckets = (length + by_wide - 1) / by_wide;
    if buckets + 2 > MOST_LINEAR.into() {
        let message =
            format!("a linear histogram has at most {} buckets, and this one {buckets}", MOST_LINEAR - 2);
        return Err(Flaw::new(step.span(), message).help("make the step larger"));
    }
    Ok(MeasureKind::Lhist { low: from, high: to, step: by })
}

/// The columns of a table are the same whatever the probe.
fn same(
    resolved: &mut Resolved,
    keys: &[KeyColumn],
    measures: &[MeasureColumn],
    at: &Attach,
    parsed: &Parsed,
) -> Result<()> {
    let differs = |name: &str, span: Range<usize>| {
        let message = format!("`{name}` is of another kind at {at} than at the probes before it");
        Flaw::new(span, message).help("cast it, or make a table of each")
    };
    for (number, (column, other)) in resolved.keys.iter_mut().zip(keys).enumerate() {
        match (&mut column.kind, &other.kind) {
            // The longer one holds both.
            (KeyKind::Text(bytes), KeyKind::Text(others)) => *bytes = (*bytes).max(*others),
            (kind, others) if *kind == *others => {}
            _ => {
                let span = parsed.keys[number].1.span();
                return Err((Part::Key(number), differs(&column.name, span)));
            }
        }
    }
    for (number, (column, other)) in resolved.measures.iter_mut().zip(measures).enumerate() {
        column.conditional |= other.conditional;
        if (column.kind, column.signed, &column.unit) != (other.kind, other.signed, &other.unit) {
            let measure = &parsed.measures[number].1;
            let span = measure.arguments.first().map_or_else(|| measure.kind.span(), Spanned::span);
            return Err((Part::Measure(number), differs(&column.name, span)));
        }
    }
    Ok(())
}

/// Whose events a table counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Whose {
    Process(u32),
    /// A control group's, by its id. Those of groups below it are not among them.
    Cgroup(u64),
}

/// Has the probes count these events, and no others.
pub(crate) fn only(probes: &mut [Probe], whose: Whose) {
    for probe in probes {
        let (builtin, id) = match whose {
            Whose::Process(pid) => (Builtin::Pid, pid.into()),
            Whose::Cgroup(id) => (Builtin::Cgroup, id),
        };
        let is = Condition::Compare {
            op: Comparison::Equal,
            signed: true,
            left: Value::Builtin(builtin),
            right: Value::Constant(id),
        };
        probe.filter = Some(match probe.filter.take() {
            Some(filter) => Condition::And(Box::new(is), Box::new(filter)),
            None => is,
        });
    }
}

/// A name for the column of an expression that was given none: that of what it is made from.
pub(crate) fn column_name(text: &str) -> Option<String> {
    expression::expression(text).ok().as_ref().and_then(name_of)
}

/// As [`column_name`], for a measure: its own name, and that of what it measures.
pub(crate) fn measure_name(text: &str) -> Option<(String, Option<String>)> {
    let measure = expression::measure(text).ok()?;
    Some((measure.kind.into_inner(), measure.arguments.first().and_then(name_of)))
}

fn name_of(node: &Node) -> Option<String> {
    match node.get_ref() {
        Expression::Name(name) | Expression::Field(_, name) => Some(name.clone()),
        Expression::Element(of, number) => Some(format!("{}_{number}", name_of(of)?)),
        // A text is called as the address at which it is; other calls make something else of what they are given.
        Expression::Call(name, arguments) if name == "str" => arguments.first().and_then(name_of),
        Expression::Call(name, _) => Some(name.clone()),
        Expression::Unary(_, of) | Expression::Cast(_, of) => name_of(of),
        Expression::Binary(_, left, right) => name_of(left).or_else(|| name_of(right)),
        Expression::Number(_) | Expression::Duration(_) | Expression::Text(_) => None,
    }
}
