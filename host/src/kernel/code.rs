//! From a table's expressions to the instructions that compute them, which are put into the kernel side's programs
//! (`spliced!` in ebpf/src/table.rs). They find the context in r6 and a [`Frame`] in r7, answer in r0, and end by
//! running out.
//!
//! A value is computed into r0, its parts before it. What has to wait for another part is put into a slot of the
//! frame. r8 becomes 1 when memory could not be read.

use std::mem::offset_of;

use aya_obj::generated::bpf_insn;
use weir_abi::{Frame, SLOTS, TEXT_WORDS};

use super::instruction::{Assembler, Label, R0, R1, R2, R3, R6, R7, R8, Register, alu, jump};
use crate::error::{Error, Kind, Result};
use crate::table::{
    Access, Arithmetic, Builtin, Comparison, Condition, KeyColumn, KeyKind, KeyValue, Load, MeasureColumn,
    MeasureKind, Memory, Probe, Text, TextComparison, Value,
};

/// Bytes of a text that is compared, of which the last is a NUL.
pub(crate) const COMPARED_BYTES: usize = TEXT_WORDS * 8;

mod helper {
    pub(super) const KTIME_GET_NS: i32 = 5;
    pub(super) const GET_SMP_PROCESSOR_ID: i32 = 8;
    pub(super) const GET_CURRENT_UID_GID: i32 = 15;
    pub(super) const GET_CURRENT_COMM: i32 = 16;
    pub(super) const GET_NUMA_NODE_ID: i32 = 42;
    pub(super) const GET_CURRENT_CGROUP_ID: i32 = 80;
    pub(super) const PROBE_READ_USER: i32 = 112;
    pub(super) const PROBE_READ_KERNEL: i32 = 113;
    pub(super) const PROBE_READ_USER_STR: i32 = 114;
    pub(super) const PROBE_READ_KERNEL_STR: i32 = 115;
    pub(super) const GET_CURRENT_ANCESTOR_CGROUP_ID: i32 = 123;
    pub(super) const GET_CURRENT_TASK_BTF: i32 = 158;
    pub(super) const GET_ATTACH_COOKIE: i32 = 174;
}

/// The columns into which a probe's values go.
pub(super) struct Columns<'a> {
    pub(super) keys: &'a [KeyColumn],
    pub(super) measures: &'a [MeasureColumn],
    /// The key word of nulls, if there is one.
    pub(super) nulls: Option<usize>,
}

/// What is put for `EVALUATE`, for a probe that counts.
pub(super) fn evaluate(probe: &Probe, columns: &Columns<'_>) -> Result<Vec<bpf_insn>> {
    let mut code = Code::begin();
    let reject = code.assembler.label();
    if let Some(filter) = &probe.filter {
        code.go_unless(filter, reject)?;
    }
    if let Some(nulls) = columns.nulls {
        code.assembler.store_constant(R7, key_word(nulls), 0);
    }
    let mut word = 0;
    for (number, (key, column)) in probe.keys.iter().zip(columns.keys).enumerate() {
        code.key(key, column, word, columns.nulls.map(|nulls| (nulls, number)))?;
        word += column.kind.words();
    }
    code.measures(probe, columns.measures)?;
    code.end(reject)
}

/// What is put for `EVALUATE`, for a probe that starts spans.
pub(super) fn save(probe: &Probe) -> Result<Vec<bpf_insn>> {
    let mut code = Code::begin();
    let reject = code.assembler.label();
    if let Some(filter) = &probe.filter {
        code.go_unless(filter, reject)?;
    }
    for (number, value) in probe.saved.iter().enumerate() {
        code.value(value)?;
        code.assembler.store(R7, offset(offset_of!(Frame, saved) + number * 8), R0);
        if value.can_fail() {
            // Its end will be seen to have no start, which is better than one with a wrong value.
            code.assembler.go_if(jump::NE, R8, 0, reject);
        }
    }
    code.end(reject)
}

/// What is put for `PAIR`.
pub(super) fn pair(value: &Value) -> Result<Vec<bpf_insn>> {
    let mut code = Code::begin();
    code.value(value)?;
    code.assembler.finish()
}

/// Fails for a value that cannot be compiled, so that its error can have its place in a configuration.
pub(crate) fn check_value(value: &Value) -> Result<()> {
    Code::begin().value(value)
}

/// Likewise for a condition.
pub(crate) fn check_condition(condition: &Condition) -> Result<()> {
    let mut code = Code::begin();
    let label = code.assembler.label();
    code.go_unless(condition, label)
}

struct Code {
    assembler: Assembler,
    /// Slots in use.
    used: usize,
}

impl Code {
    fn begin() -> Self {
        let mut assembler = Assembler::default();
        assembler.constant(R8, 0);
        Self { assembler, used: 0 }
    }

    /// Accepts the event, or rejects it at the label.
    fn end(mut self, reject: Label) -> Result<Vec<bpf_insn>> {
        self.assembler.constant(R0, 1);
        // The verifier refuses what nothing leads to.
        if self.assembler.is_used(reject) {
            let end = self.assembler.label();
            self.assembler.go(end);
            self.assembler.bind(reject);
            self.assembler.constant(R0, 0);
            self.assembler.bind(end);
        }
        self.assembler.finish()
    }

    fn slot(&mut self) -> Result<i16> {
        if self.used == SLOTS {
            return Err(
                Error::new(Kind::Config, "an expression is nested too deeply").help("make it simpler")
            );
        }
        self.used += 1;
        Ok(offset(offset_of!(Frame, slots) + (self.used - 1) * 8))
    }

    fn give_back(&mut self) {
        self.used -= 1;
    }

    fn key(
        &mut self,
        key: &KeyValue,
        column: &KeyColumn,
        word: usize,
        null: Option<(usize, usize)>,
    ) -> Result<()> {
        let can_fail = match key {
            KeyValue::Number(value) => {
                self.value(value)?;
                self.assembler.store(R7, key_word(word), R0);
                value.can_fail()
            }
            KeyValue::Text(text) => {
                let words = column.kind.words();
                for word in word..word + words {
                    // What a helper leaves after the end of a text would tell equal texts apart.
                    self.assembler.store_constant(R7, key_word(word), 0);
                }
                // No more than was asked for: a text of five bytes has two words, and could fill them.
                // An array of characters can be full, and its text ends with it and not with a NUL.
                let bytes = match (&column.kind, text) {
                    (KeyKind::Text(bytes), Text::Context { bytes: field, .. }) if bytes >= field => {
                        words as i32 * 8
                    }
                    (KeyKind::Text(bytes), _) => *bytes as i32,
                    _ => words as i32 * 8,
                };
                self.text(text, R7, key_word(word), bytes)?;
                text.can_fail()
            }
            KeyValue::Stack => false,
        };
        if let (true, Some((nulls, number))) = (can_fail, null) {
            let read = self.assembler.label();
            self.assembler.go_if(jump::EQ, R8, 0, read);
            self.assembler.constant(R8, 0);
            for word in word..word + column.kind.words() {
                self.assembler.store_constant(R7, key_word(word), 0);
            }
            self.set_bit(key_word(nulls), number);
            self.assembler.bind(read);
        }
        Ok(())
    }

    fn set_bit(&mut self, at: i16, bit: usize) {
        self.assembler.load(8, R1, R7, at);
        self.assembler.with(alu::OR, R1, 1 << bit);
        self.assembler.store(R7, at, R1);
    }

    fn measures(&mut self, probe: &Probe, columns: &[MeasureColumn]) -> Result<()> {
        let present = offset(offset_of!(Frame, present));
        if columns.iter().any(|column| column.conditional) {
            self.assembler.store_constant(R7, present, 0);
        }
        // `count` without a condition is no measure of the plan.
        let measured = probe
            .measures
            .iter()
            .zip(columns)
            .filter(|(_, column)| column.kind != MeasureKind::Count || column.conditional);
        for (number, (measure, column)) in measured.enumerate() {
            let absent = self.assembler.label();
            let at = offset(offset_of!(Frame, values) + number * 8);
            if let Some(condition) = &measure.condition {
                if measure.value.is_some() {
                    // The verifier wants it written whether it is used or not.
                    self.assembler.store_constant(R7, at, 0);
                }
                self.go_unless(condition, absent)?;
            }
            if let Some(value) = &measure.value {
                self.value(value)?;
                self.assembler.store(R7, at, R0);
                if value.can_fail() {
                    let read = self.assembler.label();
                    self.assembler.go_if(jump::EQ, R8, 0, read);
                    self.assembler.constant(R8, 0);
                    self.assembler.go(absent);
                    self.assembler.bind(read);
                }
            }
            if column.conditional {
                self.set_bit(present, number);
            }
            self.assembler.bind(absent);
        }
        Ok(())
    }

    /// A value, into r0.
    fn value(&mut self, value: &Value) -> Result<()> {
        match value {
            Value::Constant(constant) => self.assembler.constant(R0, *constant),
            Value::Context(load) => self.context(*load, R0)?,
            Value::Builtin(builtin) => self.builtin(*builtin),
            Value::Elapsed => self.assembler.load(8, R0, R7, offset(offset_of!(Frame, elapsed))),
            Value::Saved(number) => {
                self.assembler.load(8, R0, R7, offset(offset_of!(Frame, saved) + *number as usize * 8));
            }
            Value::Memory(memory) => self.memory(memory)?,
            Value::Narrow { value, bits, signed } => {
                self.value(value)?;
                self.narrow(R0, 64, 0, *bits, *signed);
            }
            Value::Negative(value) => {
                self.value(value)?;
                self.assembler.with(alu::NEGATE, R0, 0);
            }
            Value::Complement(value) => {
                self.value(value)?;
                self.assembler.with(alu::XOR, R0, -1);
            }
            Value::Arithmetic { op, signed, left, right } => {
                let right = self.operands(left, right)?;
                self.arithmetic(*op, *signed, right)?;
            }
            Value::Truth(condition) => {
                let (no, end) = (self.assembler.label(), self.assembler.label());
                // What another part could not read is not this condition's doing, nor forgotten after it.
                let unread = if condition.can_fail() { Some(self.slot()?) } else { None };
                if let Some(slot) = unread {
                    self.assembler.store(R7, slot, R8);
                    self.assembler.constant(R8, 0);
                }
                self.go_unless(condition, no)?;
                self.assembler.constant(R0, 1);
                self.assembler.go(end);
                self.assembler.bind(no);
                self.assembler.constant(R0, 0);
                self.assembler.bind(end);
                if let Some(slot) = unread {
                    self.assembler.load(8, R8, R7, slot);
                    self.give_back();
                }
            }
        }
        Ok(())
    }

    /// A number of the context, into a register.
    fn context(&mut self, load: Load, to: Register) -> Result<()> {
        let at = i16::try_from(load.offset)
            .map_err(|_| Error::new(Kind::Software, format!("a context has no byte {}", load.offset)))?;
        if load.copied {
            let slot = self.slot()?;
            self.assembler.store_constant(R7, slot, 0);
            self.assembler.copy(R3, R6);
            self.assembler.with(alu::ADD, R3, at.into());
            self.read(slot, load.bytes as i32, helper::PROBE_READ_KERNEL);
            self.assembler.load(load.bytes, to, R7, slot);
            self.give_back();
        } else {
            self.assembler.load(load.bytes, to, R6, at);
        }
        self.narrow(to, load.bytes * 8, load.shift, load.bits, load.signed);
        Ok(())
    }

    /// Of a register whose lower `loaded` bits were loaded and whose others are 0, keeps `bits` from `shift` on.
    fn narrow(&mut self, register: Register, loaded: u32, shift: u32, bits: u32, signed: bool) {
        if !signed && shift + bits == loaded {
            if shift > 0 {
                self.assembler.with(alu::RIGHT, register, shift as i32);
            }
            return;
        }
        if !signed && shift == 0 && bits == 32 {
            return self.assembler.lower_half(register);
        }
        let (left, right) = (64 - shift - bits, 64 - bits);
        if left > 0 {
            self.assembler.with(alu::LEFT, register, left as i32);
        }
        if right > 0 {
            self.assembler.with(if signed { alu::ARITHMETIC } else { alu::RIGHT }, register, right as i32);
        }
    }

    fn builtin(&mut self, builtin: Builtin) {
        let thread = offset(offset_of!(Frame, thread));
        let code = &mut self.assembler;
        match builtin {
            Builtin::Pid => {
                code.load(8, R0, R7, thread);
                code.with(alu::RIGHT, R0, 32);
            }
            // The lower half.
            Builtin::Tid => code.load(4, R0, R7, thread),
            Builtin::Uid => {
                code.call(helper::GET_CURRENT_UID_GID);
                code.lower_half(R0);
            }
            Builtin::Gid => {
                code.call(helper::GET_CURRENT_UID_GID);
                code.with(alu::RIGHT, R0, 32);
            }
            Builtin::Cpu => code.call(helper::GET_SMP_PROCESSOR_ID),
            Builtin::Numa => code.call(helper::GET_NUMA_NODE_ID),
            Builtin::Cgroup => code.call(helper::GET_CURRENT_CGROUP_ID),
            Builtin::Ancestor(level) => {
                code.constant(R1, level.into());
                code.call(helper::GET_CURRENT_ANCESTOR_CGROUP_ID);
            }
            Builtin::Now => code.call(helper::KTIME_GET_NS),
            Builtin::Task => code.call(helper::GET_CURRENT_TASK_BTF),
            Builtin::Cookie => {
                code.copy(R1, R6);
                code.call(helper::GET_ATTACH_COOKIE);
            }
        }
    }

    fn memory(&mut self, memory: &Memory) -> Result<()> {
        let Memory { base, offset, bytes, shift, bits, signed, access } = memory;
        self.value(base)?;
        let displacement = i32::try_from(*offset)
            .map_err(|_| Error::new(Kind::Config, "a field is too far into its structure"))?;
        match access {
            Access::Typed => {
                let (end, null) = (self.assembler.label(), self.assembler.label());
                let can_be_null = memory.base != Value::Builtin(Builtin::Task);
                if can_be_null {
                    self.assembler.go_if(jump::EQ, R0, 0, null);
                }
                let near = i16::try_from(displacement);
                if near.is_err() {
                    self.assembler.with(alu::ADD, R0, displacement);
                }
                self.assembler.load(*bytes, R0, R0, near.unwrap_or(0));
                self.narrow(R0, bytes * 8, *shift, *bits, *signed);
                if can_be_null {
                    self.assembler.go(end);
                    self.assembler.bind(null);
                    self.assembler.constant(R8, 1);
                    self.assembler.constant(R0, 0);
                    self.assembler.bind(end);
                }
            }
            Access::Kernel | Access::User | Access::Either => {
                let slot = self.slot()?;
                self.assembler.copy(R3, R0);
                if displacement != 0 {
                    self.assembler.with(alu::ADD, R3, displacement);
                }
                self.assembler.store_constant(R7, slot, 0);
                let kernel = *access != Access::User;
                let helper = if kernel { helper::PROBE_READ_KERNEL } else { helper::PROBE_READ_USER };
                self.read(slot, *bytes as i32, helper);
                let done = self.assembler.label();
                self.assembler.go_if(jump::EQ, R0, 0, done);
                self.assembler.constant(R8, 1);
                self.assembler.bind(done);
                self.assembler.load(*bytes, R0, R7, slot);
                self.narrow(R0, bytes * 8, *shift, *bits, *signed);
                self.give_back();
            }
        }
        Ok(())
    }

    /// Copies from the address in r3 to a slot.
    fn read(&mut self, slot: i16, bytes: i32, helper: i32) {
        self.assembler.copy(R1, R7);
        self.assembler.with(alu::ADD, R1, slot.into());
        self.assembler.constant(R2, bytes as u64);
        self.assembler.call(helper);
    }

    /// Both sides of something: the left in r0, the right where it says.
    fn operands(&mut self, left: &Value, right: &Value) -> Result<Operand> {
        if let Value::Constant(constant) = right
            && let Ok(constant) = i32::try_from(constant.cast_signed())
        {
            self.value(left)?;
            return Ok(Operand::Constant(constant));
        }
        match right {
            // What takes no other register can wait until the left is there.
            Value::Constant(constant) => {
                self.value(left)?;
                self.assembler.constant(R1, *constant);
            }
            Value::Context(load) if !load.copied => {
                self.value(left)?;
                self.context(*load, R1)?;
            }
            _ => {
                self.value(left)?;
                let slot = self.slot()?;
                self.assembler.store(R7, slot, R0);
                self.value(right)?;
                self.assembler.copy(R1, R0);
                self.assembler.load(8, R0, R7, slot);
                self.give_back();
            }
        }
        Ok(Operand::R1)
    }

    fn arithmetic(&mut self, op: Arithmetic, signed: bool, right: Operand) -> Result<()> {
        let code = match op {
            Arithmetic::Add => alu::ADD,
            Arithmetic::Subtract => alu::SUB,
            Arithmetic::Multiply => alu::MUL,
            Arithmetic::Divide | Arithmetic::Remainder if signed => {
                self.divide_signed(op, right);
                return Ok(());
            }
            Arithmetic::Divide => alu::DIV,
            Arithmetic::Remainder => alu::MOD,
            Arithmetic::And => alu::AND,
            Arithmetic::Or => alu::OR,
            Arithmetic::Xor => alu::XOR,
            Arithmetic::Left => alu::LEFT,
            Arithmetic::Right if signed => alu::ARITHMETIC,
            Arithmetic::Right => alu::RIGHT,
        };
        let shifts = matches!(op, Arithmetic::Left | Arithmetic::Right);
        match right {
            // The verifier refuses to divide by a constant 0.
            Operand::Constant(0) if op == Arithmetic::Divide => self.assembler.constant(R0, 0),
            Operand::Constant(0) if op == Arithmetic::Remainder => {}
            Operand::Constant(bits) if shifts => self.assembler.with(code, R0, bits & 63),
            Operand::Constant(constant) => self.assembler.with(code, R0, constant),
            Operand::R1 => {
                if shifts {
                    self.assembler.with(alu::AND, R1, 63);
                }
                self.assembler.by(code, R0, R1);
            }
        }
        Ok(())
    }

    /// Before Linux 6.6 the machine divides unsigned numbers only.
    fn divide_signed(&mut self, op: Arithmetic, right: Operand) {
        let code = &mut self.assembler;
        if let Operand::Constant(constant) = right {
            code.constant(R1, i64::from(constant).cast_unsigned());
        }
        // The sign of a quotient is that of the product, that of a remainder is that of the dividend.
        code.copy(R2, R0);
        if op == Arithmetic::Divide {
            code.by(alu::XOR, R2, R1);
        }
        for register in [R0, R1] {
            let positive = code.label();
            code.go_if(jump::SIGNED_GE, register, 0, positive);
            code.with(alu::NEGATE, register, 0);
            code.bind(positive);
        }
        code.by(if op == Arithmetic::Divide { alu::DIV } else { alu::MOD }, R0, R1);
        let positive = code.label();
        code.go_if(jump::SIGNED_GE, R2, 0, positive);
        code.with(alu::NEGATE, R0, 0);
        code.bind(positive);
    }

    fn go_unless(&mut self, condition: &Condition, to: Label) -> Result<()> {
        self.go_if(condition, false, to)
    }

    /// Jumps if the condition holds, or if it does not. What cannot be read makes a comparison false.
    fn go_if(&mut self, condition: &Condition, holds: bool, to: Label) -> Result<()> {
        match condition {
            Condition::Not(condition) => self.go_if(condition, !holds, to)?,
            Condition::And(left, right) => self.both(left, right, true, holds, to)?,
            Condition::Or(left, right) => self.both(left, right, false, holds, to)?,
            Condition::Nonzero(value) => {
                self.value(value)?;
                let not_read = self.unread(value.can_fail(), holds, to);
                self.assembler.go_if(if holds { jump::NE } else { jump::EQ }, R0, 0, to);
                self.assembler.bind(not_read);
            }
            Condition::Compare { op, signed, left, right } => {
                let operand = self.operands(left, right)?;
                let not_read = self.unread(left.can_fail() || right.can_fail(), holds, to);
                let op = compare(if holds { *op } else { op.negated() }, *signed);
                match operand {
                    Operand::Constant(constant) => self.assembler.go_if(op, R0, constant, to),
                    Operand::R1 => self.assembler.go_if_by(op, R0, R1, to),
                }
                self.assembler.bind(not_read);
            }
            Condition::Text { op, text, is } => self.compare_text(*op, text, is, holds, to)?,
        }
        Ok(())
    }

    /// After what may not have been read: goes where a false comparison goes if it was not. The label is where that
    /// is, if it is not `to`.
    fn unread(&mut self, can_fail: bool, holds: bool, to: Label) -> Label {
        let after = self.assembler.label();
        if can_fail {
            let read = self.assembler.label();
            self.assembler.go_if(jump::EQ, R8, 0, read);
            self.assembler.constant(R8, 0);
            self.assembler.go(if holds { after } else { to });
            self.assembler.bind(read);
        }
        after
    }

    /// `and` is the case in which both have to hold.
    fn both(&mut self, left: &Condition, right: &Condition, and: bool, holds: bool, to: Label) -> Result<()> {
        if and == holds {
            // The left alone decides nothing, unless it is otherwise.
            let past = self.assembler.label();
            self.go_if(left, !and, past)?;
            self.go_if(right, holds, to)?;
            self.assembler.bind(past);
        } else {
            self.go_if(left, holds, to)?;
            self.go_if(right, holds, to)?;
        }
        Ok(())
    }

    /// Puts a text into `bytes` zeroed bytes at a register's offset. r8 is 1 if it cannot be read.
    fn text(&mut self, text: &Text, base: Register, at: i16, bytes: i32) -> Result<()> {
        match text {
            Text::Comm => {
                self.assembler.copy(R1, base);
                self.assembler.with(alu::ADD, R1, at.into());
                self.assembler.constant(R2, bytes.min(16) as u64);
                self.assembler.call(helper::GET_CURRENT_COMM);
                return Ok(());
            }
            Text::Context { offset, .. } => {
                self.assembler.copy(R3, R6);
                self.assembler.with(alu::ADD, R3, *offset as i32);
            }
            Text::Located { offset, relative } => {
                self.assembler.load(4, R3, R6, *offset as i16);
                self.assembler.with(alu::AND, R3, 0xffff);
                if *relative {
                    self.assembler.with(alu::ADD, R3, *offset as i32 + 4);
                }
                self.assembler.copy(R1, R6);
                self.assembler.by(alu::ADD, R1, R3);
                self.assembler.copy(R3, R1);
            }
            Text::At { address, .. } => {
                self.value(address)?;
                self.assembler.copy(R3, R0);
            }
        }
        let limit = match text {
            // One more for the NUL, where the text fills its field.
            Text::Context { bytes: field, .. } => bytes.min(*field as i32 + 1),
            _ => bytes,
        };
        self.assembler.copy(R1, base);
        self.assembler.with(alu::ADD, R1, at.into());
        self.assembler.constant(R2, limit as u64);
        match text {
            Text::At { access: Access::Either, .. } => {
                // Both architectures have the kernel in the upper half of all addresses.
                let (of_process, end) = (self.assembler.label(), self.assembler.label());
                self.assembler.go_if(jump::SIGNED_GE, R3, 0, of_process);
                self.assembler.call(helper::PROBE_READ_KERNEL_STR);
                self.assembler.go(end);
                self.assembler.bind(of_process);
                self.assembler.call(helper::PROBE_READ_USER_STR);
                self.assembler.bind(end);
            }
            Text::At { access: Access::User, .. } => self.assembler.call(helper::PROBE_READ_USER_STR),
            _ => self.assembler.call(helper::PROBE_READ_KERNEL_STR),
        }
        if text.can_fail() {
            let read = self.assembler.label();
            self.assembler.go_if(jump::SIGNED_GE, R0, 0, read);
            self.assembler.constant(R8, 1);
            self.assembler.bind(read);
        }
        Ok(())
    }

    fn compare_text(
        &mut self,
        op: TextComparison,
        text: &Text,
        is: &[u8],
        holds: bool,
        to: Label,
    ) -> Result<()> {
        // The whole of a text ends with a NUL.
        let compared = if op == TextComparison::StartsWith { is.len() } else { is.len() + 1 };
        if compared > COMPARED_BYTES {
            let message = format!("a text is compared with at most {} bytes", COMPARED_BYTES - 1);
            return Err(Error::new(Kind::Config, message));
        }
        let base = offset(offset_of!(Frame, text));
        for word in 0..COMPARED_BYTES / 8 {
            self.assembler.store_constant(R7, base + word as i16 * 8, 0);
        }
        self.text(text, R7, base, COMPARED_BYTES as i32)?;
        let differ = self.assembler.label();
        // A text that cannot be read makes either false.
        let not_read = self.unread(text.can_fail(), holds, to);
        // Whether to jump if they are alike.
        let alike = holds == (op != TextComparison::NotEqual);
        let mut wanted = is.to_vec();
        wanted.resize(compared, 0);
        for (number, part) in wanted.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.assembler.load(8, R0, R7, base + number as i16 * 8);
            if part.len() < 8 {
                // The bytes beyond are of no account; they are the upper ones.
                self.assembler.with(alu::LEFT, R0, 64 - part.len() as i32 * 8);
                self.assembler.with(alu::RIGHT, R0, 64 - part.len() as i32 * 8);
            }
            self.assembler.constant(R1, u64::from_le_bytes(word));
            self.assembler.go_if_by(jump::NE, R0, R1, if alike { differ } else { to });
        }
        if alike {
            self.assembler.go(to);
        }
        self.assembler.bind(differ);
        self.assembler.bind(not_read);
        Ok(())
    }
}

/// Where the right side of something is.
#[derive(Clone, Copy)]
enum Operand {
    Constant(i32),
    R1,
}

fn compare(op: Comparison, signed: bool) -> u8 {
    match (op, signed) {
        (Comparison::Equal, _) => jump::EQ,
        (Comparison::NotEqual, _) => jump::NE,
        (Comparison::Less, false) => jump::LT,
        (Comparison::LessOrEqual, false) => jump::LE,
        (Comparison::Greater, false) => jump::GT,
        (Comparison::GreaterOrEqual, false) => jump::GE,
        (Comparison::Less, true) => jump::SIGNED_LT,
        (Comparison::LessOrEqual, true) => jump::SIGNED_LE,
        (Comparison::Greater, true) => jump::SIGNED_GT,
        (Comparison::GreaterOrEqual, true) => jump::SIGNED_GE,
    }
}

/// An offset into a frame, which is far smaller than what an instruction reaches.
const fn offset(bytes: usize) -> i16 {
    bytes as i16
}

fn key_word(word: usize) -> i16 {
    offset(offset_of!(Frame, key) + word * 8)
}

const _: () = assert!(size_of::<Frame>() < 512);

#[cfg(test)]
pub(crate) mod tests;
