//! From what is asked for to what the kernel side executes.

use toml::Spanned;
use weir_abi::{CLAUSES, Clause, KEY_WORDS, MEASURES, SAVED, Source, op, source};

use super::expression::{self, Comparison, FieldName, Literal, Name, Operator};
use super::flaw::Flaw;
use super::kernel::Kernel;
use super::nearest::did_you_mean;
use super::record::{Content, Record};
use crate::error::Result as WeirResult;
use crate::table::{Attach, KeyColumn, KeyKind, MeasureColumn, MeasureKind, TableSpec};

/// What the expressions of one table can name, and what they have named so far. Each method reads one
/// expression and adds what it stands for.
#[derive(Debug)]
pub(crate) struct Plan {
    end: Record,
    /// The start of a span.
    start: Option<Record>,
    has_cgroup_ids: bool,
    pub(crate) keys: Vec<KeyColumn>,
    pub(crate) measures: Vec<MeasureColumn>,
    pub(crate) clauses: Vec<Clause>,
    pub(crate) saved: Vec<Source>,
}

/// What a name stands for.
struct Value {
    source: Source,
    /// How many bits it has, without its sign extension.
    bits: u32,
    signed: bool,
    unit: &'static str,
}

impl Value {
    fn builtin(kind: u32, bits: u32) -> Self {
        Self { source: Source { kind, ..Source::default() }, bits, signed: false, unit: "" }
    }

    fn text(&self) -> bool {
        self.source.kind == source::COMM
    }
}

impl Plan {
    pub(crate) fn new(kernel: &Kernel, attach: &Attach, from: Option<&Attach>) -> WeirResult<Self> {
        Ok(Self {
            end: kernel.record(attach)?,
            start: from.map(|from| kernel.record(from)).transpose()?,
            has_cgroup_ids: kernel.has_cgroup_ids(),
            keys: Vec::new(),
            measures: Vec::new(),
            clauses: Vec::new(),
            saved: Vec::new(),
        })
    }

    pub(crate) fn key(&mut self, column: &str, text: &str) -> Result<(), Flaw> {
        let name = expression::key(text)?;
        let value = self.value(&name)?;
        let kind = match (value.text(), value.signed) {
            (true, _) => KeyKind::Text,
            (false, true) => KeyKind::Signed,
            (false, false) => KeyKind::Unsigned,
        };
        let key =
            KeyColumn { name: column.to_owned(), kind, source: value.source, unit: value.unit.to_owned() };
        self.keys.push(key);
        let words: usize = self.keys.iter().map(|key| if key.kind == KeyKind::Text { 2 } else { 1 }).sum();
        if words > KEY_WORDS {
            let message = format!(
                "the keys of a table can take {KEY_WORDS} words of eight bytes; with this one they take {words}"
            );
            return Err(Flaw::new(name.span(), message).help("`comm` takes two words, any other key one"));
        }
        Ok(())
    }

    pub(crate) fn measure(&mut self, column: &str, text: &str) -> Result<(), Flaw> {
        let measure = expression::measure(text)?;
        let value = match &measure.operand {
            None => Value::builtin(source::NONE, 64),
            Some(name) => self.value(name)?,
        };
        if let (true, Some(name)) = (value.text(), &measure.operand) {
            return Err(Flaw::new(name.span(), "`comm` is text and cannot be measured")
                .help("use it as a key: by = { comm = \"comm\" }"));
        }
        if self.measures.len() == MEASURES {
            return Err(Flaw::new(
                0..text.len(),
                format!("a table can have {MEASURES} measures, and this is one more"),
            )
            .help("make a second table of the same probe"));
        }
        self.measures.push(MeasureColumn {
            name: column.to_owned(),
            kind: measure.kind,
            signed: value.signed,
            source: value.source,
            unit: value.unit.to_owned(),
        });
        Ok(())
    }

    pub(crate) fn filter(&mut self, text: &str) -> Result<(), Flaw> {
        for comparison in expression::filter(text)? {
            let clause = self.clause(&comparison)?;
            if self.clauses.len() == CLAUSES {
                let span = comparison.left.span().start..comparison.right.span().end;
                return Err(Flaw::new(
                    span,
                    format!("a filter can have {CLAUSES} comparisons, and this is one more"),
                ));
            }
            self.clauses.push(clause);
        }
        Ok(())
    }

    fn clause(&mut self, comparison: &Comparison) -> Result<Clause, Flaw> {
        let name = comparison.left.get_ref();
        let value = self.value(&comparison.left)?;
        let span = comparison.right.span();
        let number = match comparison.right.get_ref() {
            Literal::Number(number) => *number,
            Literal::Duration(nanoseconds) if value.unit == "ns" => i128::from(*nanoseconds),
            Literal::Duration(_) => {
                return Err(Flaw::new(
                    span,
                    format!("`{name}` is not a time and cannot be compared with one"),
                )
                .help("only `elapsed` is known to be a time; write a plain number"));
            }
        };
        let (low, high) = match value.signed {
            true => (-(1i128 << (value.bits - 1)), (1i128 << (value.bits - 1)) - 1),
            false => (0, (1i128 << value.bits) - 1),
        };
        if !(low..=high).contains(&number) {
            let message = format!("`{name}` is never {number}: it is from {low} to {high}");
            return Err(Flaw::new(span, message));
        }
        let op = match comparison.operator {
            Operator::Equal => op::EQ,
            Operator::NotEqual => op::NE,
            Operator::Less => op::LT,
            Operator::LessOrEqual => op::LE,
            Operator::Greater => op::GT,
            Operator::GreaterOrEqual => op::GE,
        };
        // Two's complement: the lower 64 bits are the number, whatever its sign.
        Ok(Clause { source: value.source, op, signed: value.signed.into(), value: number as u64 })
    }

    fn value(&mut self, name: &Spanned<Name>) -> Result<Value, Flaw> {
        let span = name.span();
        Ok(match name.get_ref() {
            Name::Pid => Value::builtin(source::PID, 32),
            Name::Tid => Value::builtin(source::TID, 32),
            Name::Uid => Value::builtin(source::UID, 32),
            Name::Gid => Value::builtin(source::GID, 32),
            Name::Cpu => Value::builtin(source::CPU, 32),
            Name::Comm => Value::builtin(source::COMM, 128),
            Name::Cgroup if !self.has_cgroup_ids => {
                return Err(Flaw::unavailable(
                    span,
                    "`cgroup` needs control groups of version 2, and this machine mounts version 1",
                )
                .help("key by `pid` or `comm`, or boot with systemd.unified_cgroup_hierarchy=1"));
            }
            Name::Cgroup => Value::builtin(source::CGROUP, 64),
            Name::Elapsed if self.start.is_none() => {
                return Err(Flaw::new(span, "`elapsed` is the length of a span, and this table has none")
                    .help("give `from` and `to` in place of `on`"));
            }
            Name::Elapsed => Value { unit: "ns", ..Value::builtin(source::ELAPSED, 64) },
            Name::Args(field) => number(&self.end, "args", field, span)?,
            Name::Start(field) => {
                let Some(start) = &self.start else {
                    return Err(Flaw::new(
                        span,
                        "`start` is the probe at the start of a span, and this table has none",
                    )
                    .help("give `from` and `to` in place of `on`"));
                };
                let value = number(start, "start", field, span.clone())?;
                let index = match self.saved.iter().position(|saved| *saved == value.source) {
                    Some(index) => index,
                    None if self.saved.len() == SAVED => {
                        return Err(Flaw::new(
                            span,
                            format!("a span can save {SAVED} values at its start, and this is one more"),
                        ));
                    }
                    None => {
                        self.saved.push(value.source);
                        self.saved.len() - 1
                    }
                };
                Value { source: Source { kind: source::SAVED, a: index as u32, b: 0, c: 0 }, ..value }
            }
        })
    }
}

/// The number that a field's name stands for.
fn number(
    record: &Record,
    of: &str,
    wanted: &FieldName,
    span: std::ops::Range<usize>,
) -> Result<Value, Flaw> {
    let usable = || {
        let names: Vec<&str> = record.usable().collect();
        match names.is_empty() {
            true => "the probe has no fields that can be used".to_owned(),
            false => format!("fields that can be used: {}", names.join(", ")),
        }
    };
    let Some(field) = record.fields.iter().find(|field| field.name == wanted.name) else {
        let names = record.usable();
        let flaw = Flaw::new(span, format!("the probe has no field `{}`", wanted.name));
        return Err(flaw.help(match did_you_mean(&wanted.name, names) {
            Some(meant) => format!("{meant} {}", usable()),
            None => usable(),
        }));
    };
    let shown = format!("`{of}.{}` ({})", field.name, field.c_type.escape_debug());
    let number = match (field.content, wanted.index) {
        (Content::Number(number), None) => number,
        (Content::Numbers(first, count), Some(index)) if index < count => {
            let mut number = first;
            number.offset += index * first.bytes;
            number
        }
        (Content::Numbers(_, count), Some(_)) => {
            return Err(Flaw::new(span, format!("{shown} has elements 0 to {} only", count - 1)));
        }
        (Content::Numbers(..), None) => {
            return Err(Flaw::new(span, format!("{shown} is an array"))
                .help(format!("name one element, such as `{of}.{}[0]`", field.name)));
        }
        (Content::Number(_), Some(_)) => return Err(Flaw::new(span, format!("{shown} is not an array"))),
        (Content::Unusable(why), _) => {
            return Err(Flaw::new(span, format!("{shown} cannot be used: {why}")).help(usable()));
        }
    };
    Ok(Value { source: record.load(number), bits: number.bits(), signed: number.signed, unit: "" })
}

/// A table in one line: where it is attached, its keys and measures with their types, and its bounds.
#[must_use]
pub fn describe(table: &TableSpec) -> String {
    let typed = |name: &str, words: &[&str]| {
        let words: Vec<&str> = words.iter().copied().filter(|word| !word.is_empty()).collect();
        format!("{name} ({})", words.join(", "))
    };
    let sign = |signed| if signed { "signed" } else { "unsigned" };
    let from = table.from.as_ref().map(|from| format!("{from} to ")).unwrap_or_default();
    let measures: Vec<String> = table
        .measures
        .iter()
        .map(|measure| match measure.kind {
            MeasureKind::Count => typed(&measure.name, &["count"]),
            kind => typed(&measure.name, &[kind.name(), sign(measure.signed), &measure.unit]),
        })
        .collect();
    let keys: Vec<String> = table
        .keys
        .iter()
        .map(|key| match key.kind {
            KeyKind::Text => typed(&key.name, &["text"]),
            kind => typed(&key.name, &[sign(kind == KeyKind::Signed), &key.unit]),
        })
        .collect();
    let by = match keys.is_empty() {
        true => ", one row".to_owned(),
        false => format!(" by {}, at most {} rows", keys.join(", "), table.rows),
    };
    format!("{}: {from}{}: {}{by}", table.name, table.attach, measures.join(", "))
}
