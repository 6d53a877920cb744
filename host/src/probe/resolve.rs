//! From what is written to what it means at one probe.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ops::Range;

use toml::Spanned;

use super::attach::is_pattern;
use super::expression::{Binary, Cast, Expression, Node, Unary};
use super::flaw::Flaw;
use super::kernel::Kernel;
use super::meaning::{Meaning, Number};
use super::names;
use super::nearest::did_you_mean;
use super::plan::Part;
use super::record::{ADDRESS, Content, Record, Type};
use super::used;
use crate::table::{
    Access, Arithmetic, Attach, Builtin, Comparison, Condition, Memory, Text, TextComparison, Value,
};

/// Bytes of a text for which no length was given, its NUL included.
const USUAL_TEXT: u32 = 64;
/// Bytes of the longest text.
const LONGEST_TEXT: u32 = 120;

const NAMES: [&str; 21] = [
    "pid",
    "tid",
    "ppid",
    "uid",
    "gid",
    "comm",
    "cgroup",
    "cgroup_path",
    "container",
    "cpu",
    "numa",
    "elapsed",
    "nsecs",
    "probe",
    "kstack",
    "ustack",
    "retval",
    "curtask",
    "args",
    "start",
    "arg0",
];
const NAMES_HELP: &str = "there are pid, tid, ppid, uid, gid, comm, cgroup, cgroup_path, container, cpu, numa, elapsed, \
                          nsecs, probe, kstack, ustack, retval, curtask, arg0 to arg5, and the probe's fields as \
                          args.NAME or start.NAME";
const CALLS: [&str; 4] = ["str", "starts_with", "syscall", "errno"];
const CALLS_HELP: &str = "there are str(address), str(address, bytes), starts_with(text, \"…\"), syscall(number) and \
                          errno(number)";

/// What the expressions at one probe can name.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) kernel: &'a Kernel,
    pub(crate) attach: &'a Attach,
    pub(crate) record: &'a Record,
    /// Which of the table's probes it is.
    pub(crate) number: u64,
    /// At the end of a span: where it starts, and what is to be saved there.
    pub(crate) start: Option<&'a Start<'a>>,
    /// What they name, as it is written.
    pub(crate) names: &'a RefCell<BTreeSet<String>>,
}

/// The start of a span, as expressions at its end see it.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub(crate) scope: Scope<'a>,
    pub(crate) saved: RefCell<Vec<Saved>>,
    /// The expression that is being resolved.
    pub(crate) part: Cell<Part>,
}

/// What the start of a span saves.
#[derive(Debug)]
pub(crate) struct Saved {
    pub(crate) node: Node,
    /// Where it was asked for first.
    pub(crate) part: Part,
    /// What it is at the first of the starts.
    pub(crate) meaning: Meaning,
}

type Result<T> = std::result::Result<T, Flaw>;

impl Scope<'_> {
    pub(crate) fn meaning(&self, node: &Node) -> Result<Meaning> {
        let span = node.span();
        match node.get_ref() {
            Expression::Number(number) => Ok(Meaning::Number(Number::literal(*number, false))),
            Expression::Duration(nanoseconds) => {
                Ok(Meaning::Number(Number::literal(*nanoseconds, false).with_unit("ns")))
            }
            Expression::Text(bytes) => Ok(Meaning::Literal(bytes.clone())),
            Expression::Name(name) => self.name(name, span),
            Expression::Field(..) | Expression::Element(..) => match root(node) {
                "start" => self.saved(node),
                _ => self.path(node),
            },
            Expression::Call(name, arguments) => self.call(name, arguments, span),
            Expression::Unary(unary, operand) => self.unary(*unary, operand),
            Expression::Binary(operator, left, right) => self.binary(*operator, left, right, span),
            Expression::Cast(Cast::Integer { bits, signed }, operand) => {
                let number = self.number(operand)?;
                let value = match *bits {
                    64 => number.value,
                    bits => Value::Narrow { value: Box::new(number.value), bits, signed: *signed },
                };
                Ok(Meaning::Number(Number::new(value, *bits, *signed)))
            }
            Expression::Cast(Cast::Pointer(name), operand) => {
                let types = self.kernel.types().map_err(|error| Flaw { span: span.clone(), error })?;
                let Some(to) = types.structure(name) else {
                    let message = format!("this kernel has no structure `{}`", name.escape_debug());
                    return Err(Flaw::new(span, message));
                };
                let (value, access) = self.address(operand)?;
                Ok(Meaning::Pointer { value, to, access })
            }
        }
    }

    fn name(&self, name: &str, span: Range<usize>) -> Result<Meaning> {
        let builtin = |builtin, bits| Ok(Meaning::Number(Number::new(Value::Builtin(builtin), bits, false)));
        match name {
            "pid" => builtin(Builtin::Pid, 32),
            "tid" => builtin(Builtin::Tid, 32),
            "uid" => builtin(Builtin::Uid, 32),
            "gid" => builtin(Builtin::Gid, 32),
            "cpu" => builtin(Builtin::Cpu, 32),
            "numa" => builtin(Builtin::Numa, 32),
            "comm" => Ok(Meaning::Text(Text::Comm, 16)),
            "ppid" => {
                let parent = self.member(self.task(&span)?, "real_parent", &span)?;
                self.member(parent, "tgid", &span).map(|id| match id {
                    // Of the kernel's type it is signed, and never below 0.
                    Meaning::Number(number) => Meaning::Number(Number { bits: 32, signed: false, ..number }),
                    other => other,
                })
            }
            "curtask" => self.task(&span),
            "cgroup" | "cgroup_path" | "container" => {
                if !self.kernel.has_cgroup_ids() {
                    return Err(Flaw::unavailable(
                        span,
                        format!(
                            "`{name}` needs control groups of version 2, and this machine mounts version 1"
                        ),
                    )
                    .help("key by `pid` or `comm`, or boot with systemd.unified_cgroup_hierarchy=1"));
                }
                match name {
                    "cgroup_path" => Ok(Meaning::CgroupPath),
                    "container" => Ok(Meaning::Container),
                    _ => builtin(Builtin::Cgroup, 64),
                }
            }
            "nsecs" => {
                Ok(Meaning::Number(Number::new(Value::Builtin(Builtin::Now), 64, false).with_unit("ns")))
            }
            "elapsed" if self.start.is_none() => {
                Err(Flaw::new(span, "`elapsed` is the length of a span, and this table has none")
                    .help("give `from` and `to` in place of `on`"))
            }
            "elapsed" => Ok(Meaning::Number(Number::new(Value::Elapsed, 64, false).with_unit("ns"))),
            "probe" => Ok(Meaning::Probe),
            "kstack" => Ok(Meaning::KernelStack),
            "ustack" => Ok(Meaning::UserStack),
            "retval" => match &self.record.result {
                Some(result) => Ok(result.clone().into()),
                None => Err(Flaw::new(
                    span,
                    format!("`retval` is what a function returns, and {} is no return of one", self.attach),
                )
                .help("use kretprobe:, fexit: or uretprobe:; at the exit of a system call it is `args.ret`")),
            },
            "args" | "start" => Err(Flaw::new(span, format!("`{name}` is not a value"))
                .help(format!("name a field: `{name}.NAME`"))),
            name => {
                let has =
                    self.record.fields.iter().any(|field| field.name == name && name.starts_with("arg"));
                let number = name.strip_prefix("arg").unwrap_or_default();
                if has || !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
                    return self.field(name, &span);
                }
                Err(no_name(name, span))
            }
        }
    }

    /// The running task, by the kernel's type.
    fn task(&self, span: &Range<usize>) -> Result<Meaning> {
        let types = self.kernel.types().map_err(|error| Flaw { span: span.clone(), error })?;
        let to = types.structure("task_struct").unwrap_or(0);
        Ok(Meaning::Pointer { value: Value::Builtin(Builtin::Task), to, access: Access::Typed })
    }

    /// A path of fields and elements.
    fn path(&self, node: &Node) -> Result<Meaning> {
        let span = node.span();
        match node.get_ref() {
            Expression::Field(of, name) if matches!(of.get_ref(), Expression::Name(root) if root == "args") => {
                self.field(name, &span)
            }
            Expression::Field(of, name) => {
                let of = self.meaning(of)?;
                self.member(of, name, &span)
            }
            Expression::Element(of, number) => {
                let meaning = self.meaning(of)?;
                self.element(meaning, *number, of, &span)
            }
            _ => self.meaning(node),
        }
    }

    /// A field of the context.
    fn field(&self, name: &str, span: &Range<usize>) -> Result<Meaning> {
        let usable = || {
            let names: Vec<&str> = self.record.usable().collect();
            match names.is_empty() {
                true => format!("{} has no fields that can be used", self.attach),
                false => format!("fields that can be used: {}", names.join(", ")),
            }
        };
        let Some(field) = self.record.fields.iter().find(|field| field.name == name) else {
            let message = format!("{} has no field `{}`", self.attach, name.escape_debug());
            let flaw = Flaw::new(span.clone(), message);
            return Err(flaw.help(match did_you_mean(name, self.record.usable()) {
                Some(meant) => format!("{meant} {}", usable()),
                None => usable(),
            }));
        };
        match &field.content {
            Content::Value(typed) => Ok(typed.clone().into()),
            Content::Values(values) => Ok(Meaning::Values(values.clone())),
            Content::Text(text, bytes) => Ok(Meaning::Text(text.clone(), *bytes)),
            Content::Unusable(why) => {
                let shown = format!("`{}` ({})", field.name, field.c_type.escape_debug());
                Err(Flaw::new(span.clone(), format!("{shown} cannot be used: {why}")).help(usable()))
            }
        }
    }

    /// A member of a structure, or of the one to which a pointer points.
    fn member(&self, of: Meaning, name: &str, span: &Range<usize>) -> Result<Meaning> {
        let (base, offset, id, access) = match of {
            Meaning::Pointer { value, to, access } if to != 0 => (value, 0, to, access),
            Meaning::Aggregate { base, offset, id, access } => (base, offset, id, access),
            Meaning::Pointer { .. } => {
                return Err(Flaw::new(span.clone(), "what this points to is not known")
                    .help("say what it is: `((struct NAME *)args.x).field`"));
            }
            other => return Err(Flaw::new(span.clone(), format!("{} has no fields", other.name()))),
        };
        let types = self.kernel.types().map_err(|error| Flaw { span: span.clone(), error })?;
        let Some(member) = types.member(id, name) else {
            let shown = types.spell(id, 0);
            let members = types.members(id);
            if members.is_empty() {
                return Err(Flaw::new(
                    span.clone(),
                    format!("`{shown}` is no structure whose members are known"),
                ));
            }
            let all = members.iter().take(40).copied().collect::<Vec<_>>().join(", ");
            let help = did_you_mean(name, members.iter().copied())
                .unwrap_or_else(|| format!("it has {all}{}", if members.len() > 40 { ", …" } else { "" }));
            return Err(Flaw::new(
                span.clone(),
                format!("`{shown}` has no member `{}`", name.escape_debug()),
            )
            .help(help));
        };
        // What shares its memory with others, or is a part of a word, the verifier does not let a program load.
        let access = match access {
            Access::Typed if member.in_union || member.width > 0 => Access::Kernel,
            access => access,
        };
        self.at(
            base,
            offset + i64::from(member.bit / 8),
            member.id,
            access,
            (member.bit % 8, member.width),
            span,
        )
    }

    /// What is at a place of memory.
    fn at(
        &self,
        base: Value,
        offset: i64,
        id: u32,
        access: Access,
        (bit, width): (u32, u32),
        span: &Range<usize>,
    ) -> Result<Meaning> {
        let types = self.kernel.types().map_err(|error| Flaw { span: span.clone(), error })?;
        let Some((kind, bytes)) = types.scalar(id, access) else {
            return Ok(Meaning::Aggregate { base, offset, id, access });
        };
        let memory = |shift, bits, signed| {
            Value::Memory(Box::new(Memory { base: base.clone(), offset, bytes, shift, bits, signed, access }))
        };
        Ok(match kind {
            Type::Integer { signed, names, .. } if width > 0 && bit + width <= bytes * 8 => {
                Meaning::Number(Number { names, ..Number::new(memory(bit, width, signed), width, signed) })
            }
            Type::Integer { bits, signed, names } => {
                Meaning::Number(Number { names, ..Number::new(memory(0, bits, signed), bits, signed) })
            }
            Type::Pointer { to, access } => Meaning::Pointer { value: memory(0, 64, false), to, access },
        })
    }

    fn element(&self, of: Meaning, number: u64, node: &Node, span: &Range<usize>) -> Result<Meaning> {
        let shown = node.get_ref();
        match of {
            Meaning::Values(values) => match values.get(usize::try_from(number).unwrap_or(usize::MAX)) {
                Some(value) => Ok(value.clone().into()),
                None => {
                    let message = format!("`{shown}` has elements 0 to {} only", values.len() - 1);
                    Err(Flaw::new(span.clone(), message))
                }
            },
            Meaning::Aggregate { base, offset, id, access } => {
                let types = self.kernel.types().map_err(|error| Flaw { span: span.clone(), error })?;
                let Some((element, count, bytes)) = types.array(id) else {
                    return Err(Flaw::new(span.clone(), format!("`{shown}` is not an array")));
                };
                // A length of 0 stands for one that is not known.
                if count > 0 && number >= count.into() {
                    return Err(Flaw::new(
                        span.clone(),
                        format!("`{shown}` has elements 0 to {} only", count - 1),
                    ));
                }
                let offset = i64::try_from(number)
                    .ok()
                    .and_then(|number| number.checked_mul(bytes.into()))
                    .and_then(|distance| distance.checked_add(offset))
                    .ok_or_else(|| Flaw::new(span.clone(), "an element is too far away"))?;
                self.at(base, offset, element, access, (0, 0), span)
            }
            other => Err(Flaw::new(span.clone(), format!("`{shown}` is {}, and not an array", other.name()))),
        }
    }

    /// What the start of the span has saved.
    fn saved(&self, node: &Node) -> Result<Meaning> {
        let span = node.span();
        let Some(start) = self.start else {
            return Err(Flaw::new(
                span,
                "`start` is the probe at the start of a span, and this table has none",
            )
            .help("give `from` and `to` in place of `on`"));
        };
        let there = replace_root(node);
        let meaning = start.scope.meaning(&there)?;
        let mut saved = start.saved.borrow_mut();
        let place = saved.iter().position(|other| other.node == there);
        let place = place.unwrap_or_else(|| {
            saved.push(Saved { node: there, part: start.part.get(), meaning: meaning.clone() });
            saved.len() - 1
        });
        if place >= weir_abi::SAVED {
            let message =
                format!("a span can save {} values at its start, and this is one more", weir_abi::SAVED);
            return Err(Flaw::new(span, message));
        }
        let value = Value::Saved(place as u32);
        match meaning {
            Meaning::Number(number) => Ok(Meaning::Number(Number { value, literal: false, ..number })),
            // What it points to is read at the end, when the kernel does not know its type any more.
            Meaning::Pointer { to, access, .. } => {
                let access = if access == Access::Typed { Access::Kernel } else { access };
                Ok(Meaning::Pointer { value, to, access })
            }
            other => Err(Flaw::new(span, format!("{} cannot be saved at the start of a span", other.name()))
                .help("a span saves numbers and addresses")),
        }
    }

    fn call(&self, name: &str, arguments: &[Node], span: Range<usize>) -> Result<Meaning> {
        let usage = |usage: &str| {
            Flaw::new(span.clone(), format!("`{name}` takes other arguments")).help(usage.to_owned())
        };
        match (name, arguments) {
            ("str", [address]) => self.text_at(address, USUAL_TEXT),
            ("str", [address, bytes]) => {
                let written = match self.meaning(bytes)? {
                    Meaning::Number(number) => number.written(),
                    _ => None,
                };
                let bytes = written
                    .and_then(|bytes| u32::try_from(bytes).ok())
                    .filter(|b| (1..=LONGEST_TEXT).contains(b));
                let bytes = bytes.ok_or_else(|| {
                    Flaw::new(arguments[1].span(), format!("a text has from 1 to {LONGEST_TEXT} bytes"))
                })?;
                self.text_at(address, bytes)
            }
            ("str", _) => Err(usage("write str(address), or str(address, bytes)")),
            ("starts_with", [with, prefix]) => {
                let meaning = self.meaning(with)?;
                let text = self.compared(meaning, with)?;
                let Meaning::Literal(is) = self.meaning(prefix)? else {
                    return Err(Flaw::new(prefix.span(), "a text starts with what is written")
                        .help("write starts_with(text, \"…\"), such as starts_with(comm, \"nginx\")"));
                };
                comparable(&is, &prefix.span())?;
                if is.is_empty() {
                    return Err(Flaw::new(prefix.span(), "every text starts with an empty one"));
                }
                Ok(Meaning::Truth(Condition::Text { op: TextComparison::StartsWith, text, is }))
            }
            ("starts_with", _) => {
                Err(usage("write starts_with(text, \"…\"), such as starts_with(comm, \"nginx\")"))
            }
            ("syscall" | "errno", [number]) => {
                let number = self.number(number)?;
                let names = if name == "syscall" { names::system_calls() } else { names::errors() };
                Ok(Meaning::Number(Number { names: Some(names), ..number }))
            }
            ("syscall", _) => Err(usage("write syscall(args.id)")),
            ("errno", _) => Err(usage("write errno(args.ret)")),
            _ => Err(no_function(name, span)),
        }
    }

    /// The text at an address.
    fn text_at(&self, node: &Node, bytes: u32) -> Result<Meaning> {
        let (address, access) = match self.meaning(node)? {
            Meaning::Pointer { value, access: Access::User, .. } => (value, Access::User),
            // Of a structure the kernel knows that it is its own.
            Meaning::Pointer { value, access: Access::Typed, .. } => (value, Access::Kernel),
            // What a system call is given is handed on as an address like any other: kernels that GCC compiled say of
            // none that it is of a process.
            Meaning::Pointer { value, .. } => (value, Access::Either),
            Meaning::Number(number) if number.bits == 64 => match self.attach {
                Attach::Uprobe { .. } | Attach::Usdt { .. } => (number.value, Access::User),
                _ => (number.value, Access::Either),
            },
            Meaning::Text(text, _) => return Ok(Meaning::Text(text, bytes)),
            Meaning::Aggregate { base, offset, access, .. } => {
                let access = if access == Access::User { access } else { Access::Kernel };
                (plus(base, offset), access)
            }
            other => {
                let message = format!("`{}` is {}, and not an address", node.get_ref(), other.name());
                return Err(Flaw::new(node.span(), message)
                    .help("an address has 64 bits; a text that is one already needs no `str`"));
            }
        };
        Ok(Meaning::Text(Text::At { address, access }, bytes))
    }

    /// An address, and in whose memory it is. What points somewhere goes on pointing there.
    fn address(&self, node: &Node) -> Result<(Value, Access)> {
        match self.meaning(node)? {
            Meaning::Pointer { value, access: Access::User, .. } => Ok((value, Access::User)),
            // The kernel knows the type that it gave, and not the one that is said.
            Meaning::Pointer { value, .. } => Ok((value, Access::Kernel)),
            other => as_number(other, node).map(|number| (number.value, self.access())),
        }
    }

    /// Whose memory a number is taken to be an address of.
    fn access(&self) -> Access {
        match self.attach {
            Attach::Uprobe { .. } | Attach::Usdt { .. } => Access::User,
            // What a system call is given points to the caller's memory.
            Attach::Tracepoint { category, .. } if category == "raw_syscalls" => Access::User,
            // A register of a function of the kernel is most often an address of the kernel's.
            _ => Access::Kernel,
        }
    }

    fn unary(&self, unary: Unary, operand: &Node) -> Result<Meaning> {
        match unary {
            Unary::Not => Ok(Meaning::Truth(Condition::Not(Box::new(self.condition(operand)?)))),
            Unary::Complement => {
                let number = self.number(operand)?;
                let value = Value::Complement(Box::new(number.value));
                Ok(Meaning::Number(Number::new(value, 64, number.signed)))
            }
            Unary::Minus => {
                let number = self.number(operand)?;
                let wrong = || Flaw::new(operand.span(), "the negative of this is no number of 64 bits");
                if let Some(written) = number.written() {
                    let negative = i64::try_from(-written).map_err(|_| wrong())?;
                    return Ok(Meaning::Number(
                        Number::literal(negative.cast_unsigned(), true).with_unit(number.unit),
                    ));
                }
                if !number.fits_signed() {
                    return Err(wrong().help("cast it: `-(int64)x`"));
                }
                Ok(Meaning::Number(Number::new(Value::Negative(Box::new(number.value)), 64, true)))
            }
        }
    }

    fn binary(&self, operator: Binary, left: &Node, right: &Node, span: Range<usize>) -> Result<Meaning> {
        let boxed = |condition| Box::new(condition);
        if let Some(op) = comparison(operator) {
            return self.compare(op, left, right).map(Meaning::Truth);
        }
        match operator {
            Binary::Both => {
                let (left, right) = (self.condition(left)?, self.condition(right)?);
                Ok(Meaning::Truth(Condition::And(boxed(left), boxed(right))))
            }
            Binary::Either => {
                let (left, right) = (self.condition(left)?, self.condition(right)?);
                Ok(Meaning::Truth(Condition::Or(boxed(left), boxed(right))))
            }
            _ => {
                let (left_number, right_number) = (self.number(left)?, self.number(right)?);
                self.arithmetic(operator, left_number, right_number, span).map(Meaning::Number)
            }
        }
    }

    fn arithmetic(
        &self,
        operator: Binary,
        left: Number,
        right: Number,
        span: Range<usize>,
    ) -> Result<Number> {
        let op = match operator {
            Binary::Multiply => Arithmetic::Multiply,
            Binary::Divide => Arithmetic::Divide,
            Binary::Remainder => Arithmetic::Remainder,
            Binary::Add => Arithmetic::Add,
            Binary::Subtract => Arithmetic::Subtract,
            Binary::Left => Arithmetic::Left,
            Binary::Right => Arithmetic::Right,
            Binary::And => Arithmetic::And,
            Binary::Xor => Arithmetic::Xor,
            _ => Arithmetic::Or,
        };
        let shifts = matches!(op, Arithmetic::Left | Arithmetic::Right);
        if shifts && right.written().is_some_and(|bits| !(0..64).contains(&bits)) {
            return Err(Flaw::new(span, "a number of 64 bits is shifted by 0 to 63 of them"));
        }
        // How far it is shifted has no part in the sign.
        let signed = if shifts { left.signed } else { either_sign(&left, &right, &span)? };
        let negative = left.signed || right.signed;
        let bits = match op {
            _ if signed && negative => 64,
            Arithmetic::Add => left.bits.max(right.bits) + 1,
            Arithmetic::Multiply => left.bits + right.bits,
            Arithmetic::Divide | Arithmetic::Right => left.bits,
            // By 0 it is the number itself.
            Arithmetic::Remainder if right.written().is_none_or(|by| by == 0) => left.bits,
            Arithmetic::Remainder | Arithmetic::And => left.bits.min(right.bits).max(1),
            Arithmetic::Or | Arithmetic::Xor => left.bits.max(right.bits),
            Arithmetic::Subtract | Arithmetic::Left => 64,
        };
        // Of two numbers without sign, only a difference has one.
        let result_signed = if op == Arithmetic::Subtract || negative { signed } else { false };
        let unit = match op {
            Arithmetic::Add | Arithmetic::Subtract if left.unit == right.unit => left.unit,
            _ => "",
        };
        let value =
            Value::Arithmetic { op, signed, left: Box::new(left.value), right: Box::new(right.value) };
        Ok(Number::new(value, bits.min(64), result_signed).with_unit(unit))
    }

    fn compare(&self, op: Comparison, left: &Node, right: &Node) -> Result<Condition> {
        let span = left.span().start..right.span().end;
        let (a, b) = (self.meaning(left)?, self.meaning(right)?);
        // What is written as text is compared as text, or stands for a number of this name.
        match (&a, &b) {
            (_, Meaning::Literal(is)) => return self.compare_text(op, a.clone(), is, left, right.span()),
            (Meaning::Literal(is), _) => return self.compare_text(op, b.clone(), is, right, left.span()),
            _ => {}
        }
        if let (true, Some(_)) = (matches!(a, Meaning::Text(..)), as_text(b.clone())) {
            return Err(Flaw::new(span, "texts can be compared with what is written only")
                .help("write `comm == \"bash\"`"));
        }
        if (is_kernel_address(&a) || is_kernel_address(&b)) && !opaque(op, &a, &b) {
            self.names.borrow_mut().insert(used::ADDRESS.to_owned());
        }
        let (a, b) = (self.comparable(a, left)?, self.comparable(b, right)?);
        for (number, other, node) in [(&a, &b, right), (&b, &a, left)] {
            let Some(written) = other.written().filter(|_| !number.literal) else { continue };
            if other.unit == "ns" && number.unit != "ns" {
                let name = if std::ptr::eq(node, right) { left } else { right };
                return Err(Flaw::new(
                    node.span(),
                    format!("`{}` is not a time and cannot be compared with one", name.get_ref()),
                )
                .help("only `elapsed` and `nsecs` are known to be times; write a plain number"));
            }
            let (low, high) = number.range();
            if !(low..=high).contains(&written) {
                let name = if std::ptr::eq(node, right) { left } else { right };
                let message = format!("`{}` is never {written}: it is from {low} to {high}", name.get_ref());
                return Err(Flaw::new(node.span(), message));
            }
        }
        let signed = either_sign(&a, &b, &span)?;
        Ok(Condition::Compare { op, signed, left: a.value, right: b.value })
    }

    fn compare_text(
        &self,
        op: Comparison,
        with: Meaning,
        is: &[u8],
        node: &Node,
        span: Range<usize>,
    ) -> Result<Condition> {
        // Not the negation of the other: what cannot be read is neither.
        let text_op = match op {
            Comparison::Equal => TextComparison::Equal,
            Comparison::NotEqual => TextComparison::NotEqual,
            _ => return Err(Flaw::new(span, "texts are compared by == and != only")),
        };
        Ok(match with {
            Meaning::Number(Number { names: Some(names), value, signed, .. }) => {
                let found = names.iter().find(|(_, name)| name.as_bytes() == is).map(|(number, _)| *number);
                let Some(found) = found else {
                    let wanted = String::from_utf8_lossy(is);
                    let help = did_you_mean(&wanted, names.values().map(String::as_str));
                    let flaw = Flaw::new(span, format!("`{}` has no value of this name", node.get_ref()));
                    return Err(match help {
                        Some(help) => flaw.help(help),
                        None => flaw,
                    });
                };
                Condition::Compare { op, signed, left: value, right: Value::Constant(found) }
            }
            with => {
                let text = self.compared(with, node)?;
                comparable(is, &span)?;
                // Whoever escapes something knows what is written.
                let is_plain = span.len() == is.len() + 2;
                if is_plain && is_pattern(&String::from_utf8_lossy(is)) {
                    return Err(Flaw::new(span, "a text is compared as it is, without wildcards").help(
                        "write starts_with(text, \"…\"); a star itself is \\x2a, a question mark \\x3f",
                    ));
                }
                Condition::Text { op: text_op, text, is: is.to_vec() }
            }
        })
    }

    /// A text, for a comparison.
    fn compared(&self, meaning: Meaning, node: &Node) -> Result<Text> {
        let (shown, name) = (node.get_ref(), meaning.name());
        let flaw = |message| Flaw::new(node.span(), message);
        match meaning {
            Meaning::CgroupPath | Meaning::Container | Meaning::Probe => {
                Err(flaw(format!("`{shown}` is looked up after the event, and cannot be compared"))
                    .help("use it as a key: the kernel has numbers in its place"))
            }
            meaning => as_text(meaning).ok_or_else(|| {
                flaw(format!("`{shown}` is {name}, and is compared with a text"))
                    .help("the text at an address is `str(address)`")
            }),
        }
    }

    /// A number, for a comparison: an address is one too, but can be told from nothing else than another address.
    fn comparable(&self, meaning: Meaning, node: &Node) -> Result<Number> {
        match meaning {
            Meaning::Pointer { value, .. } => Ok(Number::new(value, 64, false)),
            other => as_number(other, node),
        }
    }

    pub(crate) fn number(&self, node: &Node) -> Result<Number> {
        as_number(self.meaning(node)?, node)
    }

    pub(crate) fn condition(&self, node: &Node) -> Result<Condition> {
        match self.meaning(node)? {
            Meaning::Truth(condition) => Ok(condition),
            Meaning::Pointer { value, .. } => Ok(Condition::Nonzero(value)),
            other => as_number(other, node).map(|number| Condition::Nonzero(number.value)),
        }
    }
}

fn is_kernel_address(meaning: &Meaning) -> bool {
    matches!(meaning, Meaning::Pointer { access, .. } if *access != Access::User)
}

/// Whether a comparison tells an address only from another one, or from none.
fn opaque(op: Comparison, left: &Meaning, right: &Meaning) -> bool {
    let id = |meaning: &Meaning| match meaning {
        Meaning::Pointer { .. } => true,
        Meaning::Number(number) => number.written() == Some(0),
        _ => false,
    };
    matches!(op, Comparison::Equal | Comparison::NotEqual) && id(left) && id(right)
}

fn as_number(meaning: Meaning, node: &Node) -> Result<Number> {
    let shown = node.get_ref();
    match meaning {
        Meaning::Number(number) => Ok(number),
        Meaning::Truth(condition) => Ok(Number::new(Value::Truth(Box::new(condition)), 1, false)),
        // The caller's own.
        Meaning::Pointer { value, access: Access::User, .. } => Ok(Number::new(value, 64, false)),
        // A number that is made of an address is one no more than the address itself.
        Meaning::Pointer { .. } => {
            Err(Flaw::new(node.span(), format!("`{shown}` cannot be used: {ADDRESS}")))
        }
        Meaning::Values(_) => Err(Flaw::new(node.span(), format!("`{shown}` is an array"))
            .help(format!("name one element, such as `{shown}[0]`"))),
        other => Err(Flaw::new(node.span(), format!("`{shown}` is {}, and not a number", other.name()))),
    }
}

pub(crate) fn as_text(meaning: Meaning) -> Option<Text> {
    match meaning {
        Meaning::Text(text, _) => Some(text),
        Meaning::Aggregate { base, offset, access, .. } => {
            let access = if access == Access::User { access } else { Access::Kernel };
            Some(Text::At { address: plus(base, offset), access })
        }
        _ => None,
    }
}

/// An address so many bytes further on.
pub(crate) fn plus(base: Value, offset: i64) -> Value {
    if offset == 0 {
        return base;
    }
    let right = Box::new(Value::Constant(offset.cast_unsigned()));
    Value::Arithmetic { op: Arithmetic::Add, signed: false, left: Box::new(base), right }
}

fn comparable(is: &[u8], span: &Range<usize>) -> Result<()> {
    // A longer text, which is cut, has a byte more.
    let most = crate::kernel::code::COMPARED_BYTES - 2;
    if is.len() > most || is.contains(&0) {
        return Err(Flaw::new(
            span.clone(),
            format!("a text is compared with at most {most} bytes, none of them a NUL"),
        ));
    }
    Ok(())
}

/// Whether two numbers meet as signed ones. A signed number and one of 64 bits without sign have no common kind.
fn either_sign(left: &Number, right: &Number, span: &Range<usize>) -> Result<bool> {
    if left.fits_signed() && right.fits_signed() {
        return Ok(true);
    }
    if left.signed || right.signed {
        return Err(Flaw::new(span.clone(), "one side is signed, and the other has 64 bits without a sign")
            .help("cast one of them: `(int64)x` or `(uint64)x`"));
    }
    Ok(false)
}

fn comparison(operator: Binary) -> Option<Comparison> {
    Some(match operator {
        Binary::Equal => Comparison::Equal,
        Binary::NotEqual => Comparison::NotEqual,
        Binary::Less => Comparison::Less,
        Binary::LessOrEqual => Comparison::LessOrEqual,
        Binary::Greater => Comparison::Greater,
        Binary::GreaterOrEqual => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

/// Whether there are the names and functions that an expression uses, at one probe or another: what can be told of it
/// without any.
pub(crate) fn check_names(node: &Node) -> Result<()> {
    match node.get_ref() {
        Expression::Number(_) | Expression::Duration(_) | Expression::Text(_) => Ok(()),
        Expression::Name(name) if NAMES.contains(&&**name) || name.starts_with("arg") => Ok(()),
        Expression::Name(name) => Err(no_name(name, node.span())),
        Expression::Field(of, _)
        | Expression::Element(of, _)
        | Expression::Unary(_, of)
        | Expression::Cast(_, of) => check_names(of),
        Expression::Call(name, arguments) if CALLS.contains(&&**name) => {
            arguments.iter().try_for_each(check_names)
        }
        Expression::Call(name, _) => Err(no_function(name, node.span())),
        Expression::Binary(_, left, right) => check_names(left).and_then(|()| check_names(right)),
    }
}

fn no_name(name: &str, span: Range<usize>) -> Flaw {
    let help = did_you_mean(name, NAMES).map_or_else(
        || format!("{NAMES_HELP}; is `args.{name}` meant?"),
        |meant| format!("{meant} The probe's fields are written args.NAME or start.NAME"),
    );
    Flaw::new(span, format!("there is no `{name}`")).help(help)
}

fn no_function(name: &str, span: Range<usize>) -> Flaw {
    let help = did_you_mean(name, CALLS)
        .map_or_else(|| CALLS_HELP.to_owned(), |meant| format!("{meant} {CALLS_HELP}"));
    Flaw::new(span, format!("there is no function `{}`", name.escape_debug())).help(help)
}

/// The name with which a path begins.
fn root(node: &Node) -> &str {
    match node.get_ref() {
        Expression::Field(of, _) | Expression::Element(of, _) => root(of),
        Expression::Name(name) => name,
        _ => "",
    }
}

/// A path from `start`, as the probe at the start sees it.
fn replace_root(node: &Node) -> Node {
    let expression = match node.get_ref() {
        Expression::Field(of, name) => Expression::Field(Box::new(replace_root(of)), name.clone()),
        Expression::Element(of, number) => Expression::Element(Box::new(replace_root(of)), *number),
        _ => Expression::Name("args".to_owned()),
    };
    Spanned::new(node.span(), expression)
}
