//! What the compiled code computes, on a small machine of the tests' own, beside what the expressions mean.

use std::collections::BTreeMap;

use proptest::prelude::*;
use weir_abi::{MEASURES, SAVED};

use super::*;
use crate::table::{Attach, KeyKind, MeasureValue, Period, TableSpec};

/// Where the machine has what a program can reach. No other address leads there but by a wild chance, which both
/// sides would take.
const CONTEXT: u64 = 0x1111_0000_0000;
const FRAME: u64 = 0x2222_0000_0000;
const FRAME_BYTES: usize = size_of::<Frame>();
/// EFAULT.
const FAULT: u64 = -14i64 as u64;

/// Texts in memory.
const TEXTS: [&str; 6] = ["", "a", "ab", "abababab", "ababababab", LONG];
/// Longer than what is compared.
const LONG: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A call of a helper that can be told from another one: which, from what address, and how many bytes.
pub(crate) type Call = (i32, u64, u64);

/// What the machine and the expressions find around them.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// Makes all memory that is not the context's.
    seed: u64,
    /// Bytes of it that are said.
    said: BTreeMap<u64, u8>,
    context: Vec<u8>,
    thread: u64,
    elapsed: u64,
    saved: [u64; SAVED],
}

impl World {
    fn random(&self, of: u64) -> u64 {
        let mut bits = self.seed ^ of.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for _ in 0..2 {
            bits = (bits ^ bits >> 31).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        }
        bits ^ bits >> 29
    }

    fn byte(&self, address: u64) -> u8 {
        if let Some(byte) = self.said.get(&address) {
            return *byte;
        }
        match address.checked_sub(CONTEXT).filter(|offset| *offset < 1 << 20) {
            Some(offset) => match self.context.get(offset as usize) {
                Some(byte) => *byte,
                None => b"\0ab"[(self.random(address) % 3) as usize],
            },
            None => self.random(address) as u8,
        }
    }

    fn is_readable(&self, helper: i32, address: u64) -> bool {
        self.said.contains_key(&address)
            || address.wrapping_sub(CONTEXT) < 1 << 20
            || !self.random(address ^ (helper as u64) << 56).is_multiple_of(3)
    }

    fn number(&self, address: u64, bytes: u64) -> u64 {
        (0..bytes).rev().fold(0, |number, at| number << 8 | u64::from(self.byte(address.wrapping_add(at))))
    }

    /// A number that a load of a typed pointer finds: 0 where there is no memory.
    fn typed(&self, address: u64, bytes: u64) -> u64 {
        if self.is_readable(0, address) { self.number(address, bytes) } else { 0 }
    }

    fn read(&self, helper: i32, address: u64, bytes: u64) -> Option<u64> {
        self.is_readable(helper, address).then(|| self.number(address, bytes))
    }

    /// A text without its NUL, of which `bytes` have room.
    fn text(&self, helper: i32, address: u64, bytes: u64) -> Option<Vec<u8>> {
        let most = bytes as usize - 1;
        if address.wrapping_sub(CONTEXT) < 1 << 20 {
            let all = (0..most as u64).map(|at| self.byte(address + at));
            return Some(all.take_while(|byte| *byte != 0).collect());
        }
        let text = TEXTS[(self.random(address) >> 8) as usize % TEXTS.len()];
        self.is_readable(helper, address).then(|| text.bytes().take(most).collect())
    }

    /// What a helper without an address gives.
    fn answer(&self, helper: i32) -> u64 {
        match helper {
            helper::GET_SMP_PROCESSOR_ID | helper::GET_NUMA_NODE_ID => self.random(helper as u64) % 128,
            // An address of the kernel's.
            helper::GET_CURRENT_TASK_BTF => self.random(158) | 1 << 63,
            helper => self.random(helper as u64),
        }
    }

    /// The groups in which the task is, by their levels: few of them, so that tasks are in the same ones.
    pub(crate) fn ancestor(&self, level: u64) -> u64 {
        if level > self.random(80) % 4 { 0 } else { 1 + self.random(level) % 3 }
    }

    pub(crate) fn uid(&self) -> u32 {
        self.answer(helper::GET_CURRENT_UID_GID) as u32
    }

    /// Has a load through typed pointers find this number.
    pub(crate) fn say(&mut self, memory: &Memory, number: u64) {
        let base = Meaning { world: self, calls: Vec::new() }.value(&memory.base).number;
        let address = base.wrapping_add_signed(memory.offset);
        self.said.extend((address..).zip(number.to_le_bytes()).take(memory.bytes as usize));
    }

    /// What a condition asks of the kernel.
    pub(crate) fn asked(&self, condition: &Condition) -> Vec<Call> {
        let mut meaning = Meaning { world: self, calls: Vec::new() };
        meaning.condition(condition);
        meaning.calls
    }

    fn comm(&self) -> &'static [u8] {
        [&b"a"[..], b"ab", b"ababababab"][(self.seed % 3) as usize]
    }
}

/// The machine. What was not written cannot be read: the verifier refuses a program that does so.
pub(crate) struct Machine<'a> {
    world: &'a World,
    registers: [Option<u64>; 11],
    frame: Vec<Option<u8>>,
    calls: Vec<Call>,
    /// A typed pointer was followed.
    followed: bool,
}

impl<'a> Machine<'a> {
    pub(crate) fn new(world: &'a World) -> Self {
        let mut registers = [None; 11];
        (registers[6], registers[7]) = (Some(CONTEXT), Some(FRAME));
        let mut machine =
            Self { world, registers, frame: vec![None; FRAME_BYTES], calls: vec![], followed: false };
        machine.write(FRAME + offset_of!(Frame, thread) as u64, &world.thread.to_le_bytes());
        machine.write(FRAME + offset_of!(Frame, elapsed) as u64, &world.elapsed.to_le_bytes());
        for (at, saved) in (0..).zip(world.saved) {
            machine.write(FRAME + offset_of!(Frame, saved) as u64 + at * 8, &saved.to_le_bytes());
        }
        machine
    }

    /// The program's own memory at an address.
    fn own(&mut self, address: u64, bytes: usize) -> Option<&mut [Option<u8>]> {
        let at = address.checked_sub(FRAME).filter(|at| *at < FRAME_BYTES as u64)? as usize;
        Some(self.frame.get_mut(at..at + bytes).expect("an access within its memory"))
    }

    fn write(&mut self, address: u64, bytes: &[u8]) {
        let own = self.own(address, bytes.len()).expect("a store to memory of the program's own");
        own.iter_mut().zip(bytes).for_each(|(own, byte)| *own = Some(*byte));
    }

    fn load(&mut self, address: u64, bytes: u64) -> u64 {
        if let Some(own) = self.own(address, bytes as usize) {
            let byte = |byte: &Option<u8>| u64::from(byte.expect("a load of what was written"));
            return own.iter().rev().fold(0, |number, own| number << 8 | byte(own));
        }
        if address.wrapping_sub(CONTEXT) < self.world.context.len() as u64 {
            assert!((address - CONTEXT).is_multiple_of(bytes), "an aligned load of the context");
            return self.world.number(address, bytes);
        }
        self.followed = true;
        self.world.typed(address, bytes)
    }

    fn register(&self, number: u8) -> u64 {
        self.registers[usize::from(number)].expect("a register that was written")
    }

    fn call(&mut self, helper: i32) {
        let argument = |number: u8| self.registers[usize::from(number)];
        let (to, bytes, from) = (argument(1), argument(2), argument(3));
        let result = match helper {
            helper::PROBE_READ_USER | helper::PROBE_READ_KERNEL => {
                let (to, bytes, from) = (to.unwrap(), bytes.unwrap(), from.unwrap());
                self.calls.push((helper, from, bytes));
                let found = self.world.read(helper, from, bytes);
                self.write(to, &found.unwrap_or_default().to_le_bytes()[..bytes as usize]);
                if found.is_some() { 0 } else { FAULT }
            }
            helper::PROBE_READ_USER_STR | helper::PROBE_READ_KERNEL_STR => {
                let (to, bytes, from) = (to.unwrap(), bytes.unwrap(), from.unwrap());
                self.calls.push((helper, from, bytes));
                match self.world.text(helper, from, bytes) {
                    Some(mut text) => {
                        text.push(0);
                        self.write(to, &text);
                        text.len() as u64
                    }
                    None => {
                        self.write(to, &vec![0; bytes as usize]);
                        FAULT
                    }
                }
            }
            helper::GET_CURRENT_COMM => {
                let (to, bytes) = (to.unwrap(), bytes.unwrap());
                self.calls.push((helper, 0, bytes));
                let mut comm = self.world.comm().to_vec();
                comm.truncate(bytes as usize - 1);
                comm.resize(bytes as usize, 0);
                self.write(to, &comm);
                0
            }
            helper => {
                if helper == helper::GET_ATTACH_COOKIE {
                    assert_eq!(to, Some(CONTEXT));
                }
                if helper == helper::GET_CURRENT_ANCESTOR_CGROUP_ID {
                    let level = to.unwrap();
                    self.calls.push((helper, level, 0));
                    return self.answered(self.world.ancestor(level));
                }
                self.calls.push((helper, 0, 0));
                self.world.answer(helper)
            }
        };
        self.answered(result);
    }

    fn answered(&mut self, result: u64) {
        self.registers[1..=5].fill(None);
        self.registers[0] = Some(result);
    }

    /// Runs to the end and gives back what is in r0.
    pub(crate) fn run(&mut self, code: &[bpf_insn]) -> u64 {
        let mut at = 0;
        while let Some(instruction) = code.get(at) {
            at += 1;
            let (to, from) = (instruction.dst_reg(), instruction.src_reg());
            let immediate = i64::from(instruction.imm).cast_unsigned();
            let place = |register: u64| register.wrapping_add_signed(instruction.off.into());
            let bytes = match instruction.code & 0x18 {
                0x00 => 4,
                0x08 => 2,
                0x10 => 1,
                _ => 8,
            };
            let by_register = instruction.code & 0x08 != 0;
            match instruction.code & 0x07 {
                // The one instruction of two parts.
                0x00 => {
                    let high = u64::from(code[at].imm.cast_unsigned());
                    at += 1;
                    self.set(to, high << 32 | u64::from(instruction.imm.cast_unsigned()));
                }
                0x01 => {
                    let loaded = self.load(place(self.register(from)), bytes);
                    self.set(to, loaded);
                }
                0x02 => self.write(place(self.register(to)), &immediate.to_le_bytes()[..bytes as usize]),
                0x03 => {
                    let value = self.register(from).to_le_bytes();
                    self.write(place(self.register(to)), &value[..bytes as usize]);
                }
                0x04 => {
                    assert_eq!(instruction.code & 0xf0, alu::MOVE);
                    self.set(to, u64::from(self.register(from) as u32));
                }
                0x05 => match instruction.code & 0xf0 {
                    0x80 => self.call(instruction.imm),
                    0x90 => break,
                    jump::ALWAYS => at += instruction.off as usize,
                    op => {
                        let right = if by_register { self.register(from) } else { immediate };
                        if holds(op, self.register(to), right) {
                            at += instruction.off as usize;
                        }
                    }
                },
                _ => {
                    let right = if by_register { self.register(from) } else { immediate };
                    let op = instruction.code & 0xf0;
                    let left = if op == alu::MOVE { 0 } else { self.register(to) };
                    self.set(to, calculate(op, left, right));
                }
            }
        }
        self.register(0)
    }

    fn set(&mut self, register: u8, value: u64) {
        assert!(register < 6 || register == 8, "what belongs to the program around it");
        self.registers[usize::from(register)] = Some(value);
    }

    /// A word of the frame, if it was written.
    pub(crate) fn word(&self, at: usize) -> Option<u64> {
        let bytes: Option<Vec<u8>> = self.frame[at..at + 8].iter().copied().collect();
        bytes.map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()))
    }
}

fn holds(op: u8, left: u64, right: u64) -> bool {
    let (signed_left, signed_right) = (left.cast_signed(), right.cast_signed());
    match op {
        jump::EQ => left == right,
        jump::NE => left != right,
        jump::GT => left > right,
        jump::GE => left >= right,
        jump::LT => left < right,
        jump::LE => left <= right,
        jump::SIGNED_GT => signed_left > signed_right,
        jump::SIGNED_GE => signed_left >= signed_right,
        jump::SIGNED_LT => signed_left < signed_right,
        jump::SIGNED_LE => signed_left <= signed_right,
        op => panic!("there is no jump {op:#x}"),
    }
}

/// As the instruction set defines it, division by 0 included.
fn calculate(op: u8, left: u64, right: u64) -> u64 {
    match op {
        alu::ADD => left.wrapping_add(right),
        alu::SUB => left.wrapping_sub(right),
        alu::MUL => left.wrapping_mul(right),
        alu::DIV => left.checked_div(right).unwrap_or(0),
        alu::OR => left | right,
        alu::AND => left & right,
        alu::LEFT => left << (right & 63),
        alu::RIGHT => left >> (right & 63),
        alu::NEGATE => left.wrapping_neg(),
        alu::MOD => left.checked_rem(right).unwrap_or(left),
        alu::XOR => left ^ right,
        alu::MOVE => right,
        alu::ARITHMETIC => (left.cast_signed() >> (right & 63)).cast_unsigned(),
        op => panic!("there is no operation {op:#x}"),
    }
}

/// What the verifier checks before it follows a program: every instruction can be reached, and none leads out.
pub(crate) fn check(code: &[bpf_insn]) {
    let mut reached = vec![false; code.len()];
    let mut open = vec![0];
    while let Some(at) = open.pop() {
        // The end leads on to what stands after it.
        if at == code.len() || std::mem::replace(&mut reached[at], true) {
            continue;
        }
        let target = |instruction: &bpf_insn| at + 1 + usize::try_from(instruction.off).unwrap();
        let instruction = &code[at];
        match (instruction.code & 0x07, instruction.code & 0xf0) {
            (0x00, _) => {
                reached[at + 1] = true;
                open.push(at + 2);
            }
            (0x05, 0x90) => {}
            (0x05, jump::ALWAYS) => open.push(target(instruction)),
            (0x05, 0x80) => open.push(at + 1),
            (0x05, _) => open.extend([target(instruction), at + 1]),
            (0x07, alu::DIV | alu::MOD) if instruction.code & 0x08 == 0 => {
                assert_ne!(instruction.imm, 0, "a division by a constant 0");
                open.push(at + 1);
            }
            _ => open.push(at + 1),
        }
    }
    assert!(reached.iter().all(|reached| *reached), "instructions that nothing leads to");
}

/// What expressions mean.
struct Meaning<'a> {
    world: &'a World,
    /// The helpers that are called on the way, in their order.
    calls: Vec<Call>,
}

/// A number, and whether all that it is made of could be read.
#[derive(Clone, Copy)]
struct Found {
    number: u64,
    read: bool,
}

impl Meaning<'_> {
    fn ask(&mut self, helper: i32) -> u64 {
        self.calls.push((helper, 0, 0));
        self.world.answer(helper)
    }

    fn value(&mut self, value: &Value) -> Found {
        let world = self.world;
        let found = |number| Found { number, read: true };
        match value {
            Value::Constant(constant) => found(*constant),
            Value::Context(load) => {
                let address = CONTEXT + u64::from(load.offset);
                if load.copied {
                    self.calls.push((helper::PROBE_READ_KERNEL, address, load.bytes.into()));
                }
                let number = world.number(address, load.bytes.into());
                found(part(number, load.shift, load.bits, load.signed))
            }
            Value::Builtin(builtin) => found(match builtin {
                Builtin::Pid => world.thread >> 32,
                Builtin::Tid => u64::from(world.thread as u32),
                Builtin::Uid => u64::from(self.ask(helper::GET_CURRENT_UID_GID) as u32),
                Builtin::Gid => self.ask(helper::GET_CURRENT_UID_GID) >> 32,
                Builtin::Cpu => self.ask(helper::GET_SMP_PROCESSOR_ID),
                Builtin::Numa => self.ask(helper::GET_NUMA_NODE_ID),
                Builtin::Cgroup => self.ask(helper::GET_CURRENT_CGROUP_ID),
                Builtin::Ancestor(level) => {
                    self.calls.push((helper::GET_CURRENT_ANCESTOR_CGROUP_ID, u64::from(*level), 0));
                    world.ancestor(u64::from(*level))
                }
                Builtin::Now => self.ask(helper::KTIME_GET_NS),
                Builtin::Task => self.ask(helper::GET_CURRENT_TASK_BTF),
                Builtin::Cookie => self.ask(helper::GET_ATTACH_COOKIE),
            }),
            Value::Elapsed => found(world.elapsed),
            Value::Saved(number) => found(world.saved[*number as usize]),
            Value::Memory(memory) => self.memory(memory),
            Value::Narrow { value, bits, signed } => {
                let Found { number, read } = self.value(value);
                Found { number: part(number, 0, *bits, *signed), read }
            }
            Value::Negative(value) => {
                let Found { number, read } = self.value(value);
                Found { number: number.wrapping_neg(), read }
            }
            Value::Complement(value) => {
                let Found { number, read } = self.value(value);
                Found { number: !number, read }
            }
            Value::Arithmetic { op, signed, left, right } => {
                let (left, right) = (self.value(left), self.value(right));
                let number = arithmetic(*op, *signed, left.number, right.number);
                Found { number, read: left.read && right.read }
            }
            Value::Truth(condition) => found(self.condition(condition).into()),
        }
    }

    fn memory(&mut self, memory: &Memory) -> Found {
        let base = self.value(&memory.base);
        let address = base.number.wrapping_add_signed(memory.offset);
        let (number, read) = match memory.access {
            Access::Typed if base.number == 0 => return Found { number: 0, read: false },
            Access::Typed => (self.world.typed(address, memory.bytes.into()), true),
            access => {
                let user = access == Access::User;
                let helper = if user { helper::PROBE_READ_USER } else { helper::PROBE_READ_KERNEL };
                self.calls.push((helper, address, memory.bytes.into()));
                let found = self.world.read(helper, address, memory.bytes.into());
                (found.unwrap_or_default(), found.is_some())
            }
        };
        Found { number: part(number, memory.shift, memory.bits, memory.signed), read: base.read && read }
    }

    fn condition(&mut self, condition: &Condition) -> bool {
        match condition {
            Condition::Nonzero(value) => {
                let found = self.value(value);
                found.read && found.number != 0
            }
            Condition::Compare { op, signed, left, right } => {
                let (left, right) = (self.value(left), self.value(right));
                let order = match signed {
                    true => left.number.cast_signed().cmp(&right.number.cast_signed()),
                    false => left.number.cmp(&right.number),
                };
                let holds = match op {
                    Comparison::Equal => order.is_eq(),
                    Comparison::NotEqual => order.is_ne(),
                    Comparison::Less => order.is_lt(),
                    Comparison::LessOrEqual => order.is_le(),
                    Comparison::Greater => order.is_gt(),
                    Comparison::GreaterOrEqual => order.is_ge(),
                };
                left.read && right.read && holds
            }
            Condition::Text { op, text, is } => {
                let found = self.text(text, COMPARED_BYTES as u64);
                found.is_some_and(|found| match op {
                    TextComparison::Equal => found == *is,
                    TextComparison::NotEqual => found != *is,
                    TextComparison::StartsWith => found.starts_with(is),
                })
            }
            Condition::Not(condition) => !self.condition(condition),
            Condition::And(left, right) => self.condition(left) && self.condition(right),
            Condition::Or(left, right) => self.condition(left) || self.condition(right),
        }
    }

    /// The text, as much of it as there is room for with a NUL.
    fn text(&mut self, text: &Text, room: u64) -> Option<Vec<u8>> {
        let (helper, address, room, read) = match text {
            Text::Comm => {
                let room = room.min(16);
                self.calls.push((helper::GET_CURRENT_COMM, 0, room));
                let comm = self.world.comm();
                return Some(comm[..comm.len().min(room as usize - 1)].to_vec());
            }
            Text::Context { offset, bytes } => {
                let room = room.min(u64::from(*bytes) + 1);
                (helper::PROBE_READ_KERNEL_STR, CONTEXT + u64::from(*offset), room, true)
            }
            Text::Located { offset, relative } => {
                let place = self.world.number(CONTEXT + u64::from(*offset), 4) & 0xffff;
                let from = if *relative { u64::from(*offset) + 4 } else { 0 };
                (helper::PROBE_READ_KERNEL_STR, CONTEXT + from + place, room, true)
            }
            Text::At { address, access } => {
                let found = self.value(address);
                // The upper half of all addresses is the kernel's.
                let user = match access {
                    Access::Either => found.number.cast_signed() >= 0,
                    access => *access == Access::User,
                };
                let helper = if user { helper::PROBE_READ_USER_STR } else { helper::PROBE_READ_KERNEL_STR };
                (helper, found.number, room, found.read)
            }
        };
        self.calls.push((helper, address, room));
        self.world.text(helper, address, room).filter(|_| read)
    }
}

/// Some bits of a number.
fn part(number: u64, shift: u32, bits: u32, signed: bool) -> u64 {
    let number = u128::from(number >> shift) & ((1 << bits) - 1);
    match signed && number >> (bits - 1) & 1 == 1 {
        true => (number | u128::MAX << bits) as u64,
        false => number as u64,
    }
}

fn arithmetic(op: Arithmetic, signed: bool, left: u64, right: u64) -> u64 {
    let (l, r) = (left.cast_signed(), right.cast_signed());
    match op {
        Arithmetic::Add => left.wrapping_add(right),
        Arithmetic::Subtract => left.wrapping_sub(right),
        Arithmetic::Multiply => left.wrapping_mul(right),
        Arithmetic::Divide if right == 0 => 0,
        Arithmetic::Remainder if right == 0 => left,
        Arithmetic::Divide if signed => l.wrapping_div(r).cast_unsigned(),
        Arithmetic::Remainder if signed => l.wrapping_rem(r).cast_unsigned(),
        Arithmetic::Divide => left / right,
        Arithmetic::Remainder => left % right,
        Arithmetic::And => left & right,
        Arithmetic::Or => left | right,
        Arithmetic::Xor => left ^ right,
        Arithmetic::Left => left << (right & 63),
        Arithmetic::Right if signed => (l >> (right & 63)).cast_unsigned(),
        Arithmetic::Right => left >> (right & 63),
    }
}

fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..4u64,
        (-3..0i64).prop_map(i64::cast_unsigned),
        any::<i32>().prop_map(|number| i64::from(number).cast_unsigned()),
        prop::sample::select(vec![31, 32, 63, 64, 1 << 31, 1 << 32, 1 << 63, (1 << 63) - 1]),
        any::<u64>(),
    ]
}

/// Bytes that are loaded, and which bits of them are the number's.
fn any_part() -> impl Strategy<Value = (u32, u32, u32)> {
    let whole = prop::sample::select(vec![1u32, 2, 4, 8]);
    let within = (prop::sample::select(vec![1u32, 2, 4, 8]), any::<u32>(), any::<u32>()).prop_map(
        |(bytes, shift, bits)| {
            let shift = shift % (bytes * 8);
            (bytes, shift, 1 + bits % (bytes * 8 - shift))
        },
    );
    prop_oneof![whole.prop_map(|bytes| (bytes, 0, bytes * 8)), within]
}

/// `at_start` is where spans start, before anything was saved.
fn any_leaf(at_start: bool) -> impl Strategy<Value = Value> {
    let load = (any_part(), 0..120u32, any::<bool>(), any::<bool>()).prop_map(
        |((bytes, shift, bits), offset, copied, signed)| {
            let offset = if copied { offset } else { offset / bytes * bytes };
            Value::Context(Load { offset, bytes, copied, shift, bits, signed })
        },
    );
    let builtins = [
        Builtin::Pid,
        Builtin::Tid,
        Builtin::Uid,
        Builtin::Gid,
        Builtin::Cpu,
        Builtin::Numa,
        Builtin::Cgroup,
        Builtin::Ancestor(0),
        Builtin::Ancestor(3),
        Builtin::Now,
        Builtin::Task,
        Builtin::Cookie,
    ];
    prop_oneof![
        3 => any_number().prop_map(Value::Constant),
        3 => load,
        2 => prop::sample::select(builtins.to_vec()).prop_map(Value::Builtin),
        2 => (0..=SAVED as u32).prop_map(move |number| match number {
            _ if at_start => Value::Builtin(Builtin::Tid),
            0 => Value::Elapsed,
            number => Value::Saved(number - 1),
        }),
    ]
}

fn any_access() -> impl Strategy<Value = Access> {
    prop::sample::select(vec![Access::Typed, Access::Kernel, Access::User])
}

fn any_memory(inner: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
    let base =
        prop_oneof![3 => inner, 1 => Just(Value::Builtin(Builtin::Task)), 1 => Just(Value::Constant(0))];
    let offset = prop_oneof![Just(0), -40_000..40_000i64];
    (base, offset, any_part(), any::<bool>(), any_access()).prop_map(
        |(base, offset, (bytes, shift, bits), signed, access)| {
            Value::Memory(Box::new(Memory { base, offset, bytes, shift, bits, signed, access }))
        },
    )
}

fn any_text(inner: BoxedStrategy<Value>) -> impl Strategy<Value = Text> {
    prop_oneof![
        Just(Text::Comm),
        (0..100u32, 1..80u32).prop_map(|(offset, bytes)| Text::Context { offset, bytes }),
        (0..30u32, any::<bool>()).prop_map(|(word, relative)| Text::Located { offset: word * 4, relative }),
        (inner, prop::sample::select(vec![Access::User, Access::Kernel, Access::Either]))
            .prop_map(|(address, access)| { Text::At { address, access } }),
    ]
}

fn any_condition(inner: BoxedStrategy<Value>) -> impl Strategy<Value = Condition> {
    let comparisons = [
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ];
    let texts = [TextComparison::Equal, TextComparison::NotEqual, TextComparison::StartsWith];
    let is = prop_oneof![
        prop::sample::select(TEXTS.to_vec()).prop_map(|text| text.bytes().take(62).collect()),
        prop::collection::vec(prop::sample::select(vec![b'a', b'b', 0xff]), 0..20),
    ];
    let text = (prop::sample::select(texts.to_vec()), any_text(inner.clone()), is).prop_map(
        |(op, text, mut is): (_, _, Vec<u8>)| {
            if op == TextComparison::StartsWith && is.is_empty() {
                is.push(b'a');
            }
            Condition::Text { op, text, is }
        },
    );
    let base = prop_oneof![
        1 => inner.clone().prop_map(Condition::Nonzero),
        3 => (prop::sample::select(comparisons.to_vec()), any::<bool>(), inner.clone(), inner)
            .prop_map(|(op, signed, left, right)| Condition::Compare { op, signed, left, right }),
        1 => text,
    ];
    base.prop_recursive(3, 8, 2, |inner| {
        let boxed = inner.prop_map(Box::new);
        prop_oneof![
            boxed.clone().prop_map(Condition::Not),
            (boxed.clone(), boxed.clone()).prop_map(|(left, right)| Condition::And(left, right)),
            (boxed.clone(), boxed).prop_map(|(left, right)| Condition::Or(left, right)),
        ]
    })
}

fn any_value() -> BoxedStrategy<Value> {
    any_value_of(any_leaf(false).boxed())
}

fn any_value_of(leaf: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let operations = [
        Arithmetic::Add,
        Arithmetic::Subtract,
        Arithmetic::Multiply,
        Arithmetic::Divide,
        Arithmetic::Remainder,
        Arithmetic::And,
        Arithmetic::Or,
        Arithmetic::Xor,
        Arithmetic::Left,
        Arithmetic::Right,
    ];
    leaf.prop_recursive(4, 24, 3, move |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        let widths = prop::sample::select(vec![8u32, 16, 32]);
        prop_oneof![
            4 => (prop::sample::select(operations.to_vec()), any::<bool>(), boxed.clone(), boxed.clone())
                .prop_map(|(op, signed, left, right)| Value::Arithmetic { op, signed, left, right }),
            2 => any_memory(inner.clone()),
            1 => (boxed.clone(), widths, any::<bool>())
                .prop_map(|(value, bits, signed)| Value::Narrow { value, bits, signed }),
            1 => boxed.clone().prop_map(Value::Negative),
            1 => boxed.prop_map(Value::Complement),
            1 => any_condition(inner).prop_map(|condition| Value::Truth(Box::new(condition))),
        ]
    })
    .boxed()
}

pub(crate) fn any_world() -> impl Strategy<Value = World> {
    let byte = prop_oneof![3 => any::<u8>(), 1 => prop::sample::select(vec![0, b'a', b'b'])];
    let saved = prop::array::uniform4(any_number());
    (any::<u64>(), prop::collection::vec(byte, 128), any::<u64>(), any_number(), saved).prop_map(
        |(seed, context, thread, elapsed, saved)| World {
            seed,
            said: BTreeMap::new(),
            context,
            thread,
            elapsed,
            saved,
        },
    )
}

/// A probe with its columns.
#[derive(Clone, Debug)]
struct Table {
    probe: Probe,
    keys: Vec<KeyColumn>,
    measures: Vec<MeasureColumn>,
}

impl Table {
    fn nulls(&self) -> Option<usize> {
        let can_fail = self.probe.keys.iter().any(|key| match key {
            KeyValue::Number(value) => value.can_fail(),
            KeyValue::Text(text) => text.can_fail(),
            KeyValue::Stack => true,
        });
        can_fail.then(|| self.keys.iter().map(|key| key.kind.words()).sum())
    }
}

fn any_table() -> impl Strategy<Value = Table> {
    let key = prop_oneof![
        3 => any_value().prop_map(|value| (KeyKind::Signed, KeyValue::Number(value))),
        2 => (any_text(any_value()), 1..25u32).prop_map(|(text, bytes)| (KeyKind::Text(bytes), KeyValue::Text(text))),
        1 => Just((KeyKind::KernelStack, KeyValue::Stack)),
    ];
    let key =
        key.prop_map(|(kind, value)| (KeyColumn { name: String::new(), kind, unit: String::new() }, value));
    let condition = || prop::option::of(any_condition(any_value()));
    let measure = (condition(), prop::option::weighted(0.8, any_value()), prop::bool::weighted(0.1));
    let measure = measure.prop_map(|(condition, value, elsewhere)| {
        let kind = if value.is_some() { MeasureKind::Sum } else { MeasureKind::Count };
        // At another probe it can be conditional where it is not here.
        let conditional = condition.is_some() || value.as_ref().is_some_and(Value::can_fail) || elsewhere;
        let (name, unit) = (String::new(), String::new());
        (MeasureColumn { name, kind, signed: false, conditional, unit }, MeasureValue { condition, value })
    });
    let keys = prop::collection::vec(key, 0..4);
    let measures = prop::collection::vec(measure, 0..MEASURES);
    (condition(), keys, measures).prop_map(|(filter, keys, measures)| {
        let (keys, key_values) = keys.into_iter().unzip();
        let (measures, measure_values) = measures.into_iter().unzip();
        let attach = Attach::Interval(Period::Hertz(1));
        let probe =
            Probe { attach, filter, keys: key_values, measures: measure_values, saved: vec![], pair: None };
        Table { probe, keys, measures }
    })
}

/// A table of several probes with the same columns, and of starts if it has spans.
pub(crate) fn any_spec(points: Vec<Attach>) -> impl Strategy<Value = TableSpec> {
    let point = prop::sample::select(points);
    let saved = prop::collection::vec(any_value_of(any_leaf(true).boxed()), 0..=SAVED);
    let start = (point.clone(), prop::option::of(any_condition(any_value_of(any_leaf(true).boxed()))), saved);
    let pair = prop::option::of(any_value_of(any_leaf(true).boxed()));
    let starts = prop::collection::vec(start, 0..2);
    (any_table(), prop::collection::vec(point, 1..3), starts, pair).prop_map(
        |(table, points, starts, pair)| {
            let pair = pair.filter(|_| !starts.is_empty());
            let probes =
                points.into_iter().map(|attach| Probe { attach, pair: pair.clone(), ..table.probe.clone() });
            let starts = starts.into_iter().map(|(attach, filter, saved)| Probe {
                attach,
                filter,
                keys: vec![],
                measures: vec![],
                saved,
                pair: pair.clone(),
            });
            TableSpec {
                name: "any".to_owned(),
                probes: probes.collect(),
                starts: starts.collect(),
                keys: table.keys,
                measures: table.measures,
                saved: 0,
                names: std::collections::BTreeSet::new(),
                rows: 1,
                include_self: false,
                budget: None,
                scoped: false,
            }
        },
    )
}

/// What one probe of a table did about an event.
pub(crate) struct Done {
    pub(crate) accepted: bool,
    /// Everything that was asked of the kernel before.
    pub(crate) asked: Vec<Call>,
    /// Memory of the kernel's was read that is not the event's own, or where it is was found out.
    pub(crate) read_kernel: bool,
    /// The key by which the span is paired, if it is by one.
    pub(crate) pair: Option<u64>,
}

/// Runs a probe's code.
pub(crate) fn happen(table: &TableSpec, probe: &Probe, world: &World) -> Done {
    let nulls = table.has_nulls().then(|| table.column_words());
    let columns = Columns { keys: &table.keys, measures: &table.measures, nulls };
    let code = if table.starts.contains(probe) { save(probe) } else { evaluate(probe, &columns) };
    let mut machine = Machine::new(world);
    let accepted = machine.run(&compiled(code)) == 1;
    let mut paired = Machine::new(world);
    let pair = probe.pair.as_ref().map(|value| paired.run(&compiled(pair(value))));
    let is_kernel = |(helper, address, _): &Call| match *helper {
        helper::PROBE_READ_KERNEL | helper::PROBE_READ_KERNEL_STR => address.wrapping_sub(CONTEXT) >= 1 << 20,
        helper => helper == helper::GET_CURRENT_TASK_BTF,
    };
    let calls = || machine.calls.iter().chain(&paired.calls);
    let read_kernel = machine.followed || paired.followed || calls().any(is_kernel);
    Done { accepted, read_kernel, asked: machine.calls, pair }
}

fn compiled(code: Result<Vec<bpf_insn>>) -> Vec<bpf_insn> {
    let code = code.unwrap_or_else(|error| panic!("{error}"));
    check(&code);
    code
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    #[test]
    fn values_are_what_they_mean(world in any_world(), value in any_value()) {
        let mut meaning = Meaning { world: &world, calls: Vec::new() };
        let found = meaning.value(&value);
        let mut machine = Machine::new(&world);
        let number = machine.run(&compiled(pair(&value)));
        prop_assert_eq!(&machine.calls, &meaning.calls);
        prop_assert_eq!(machine.register(8) == 0, found.read);
        prop_assert!(found.read || value.can_fail());
        if found.read {
            prop_assert_eq!(number, found.number);
        }
    }

    #[test]
    fn filters_let_through_what_they_mean(world in any_world(), filter in any_condition(any_value())) {
        let mut meaning = Meaning { world: &world, calls: Vec::new() };
        let holds = meaning.condition(&filter);
        let attach = Attach::Interval(Period::Hertz(1));
        let (keys, measures) = (vec![], vec![]);
        let probe = Probe { attach, filter: Some(filter), keys, measures, saved: vec![], pair: None };
        let mut machine = Machine::new(&world);
        let columns = Columns { keys: &[], measures: &[], nulls: None };
        let accepted = machine.run(&compiled(evaluate(&probe, &columns)));
        // Which helpers are called shows that nothing is evaluated but what decides.
        prop_assert_eq!(machine.calls, meaning.calls);
        prop_assert_eq!(accepted, u64::from(holds));
    }

    #[test]
    fn starts_save_values_that_could_be_read(
        world in any_world(),
        saved in prop::collection::vec(any_value_of(any_leaf(true).boxed()), 0..=SAVED),
    ) {
        let mut meaning = Meaning { world: &world, calls: Vec::new() };
        let attach = Attach::Interval(Period::Hertz(1));
        let (keys, measures) = (vec![], vec![]);
        let probe = Probe { attach, filter: None, keys, measures, saved, pair: None };
        let mut machine = Machine::new(&world);
        let accepted = machine.run(&compiled(save(&probe)));
        for (number, value) in probe.saved.iter().enumerate() {
            let found = meaning.value(value);
            if !found.read {
                prop_assert_eq!(accepted, 0);
                return Ok(());
            }
            prop_assert_eq!(machine.word(offset_of!(Frame, saved) + number * 8), Some(found.number));
        }
        prop_assert_eq!(accepted, 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn events_have_their_keys_and_measures(world in any_world(), table in any_table()) {
        let mut meaning = Meaning { world: &world, calls: Vec::new() };
        let mut machine = Machine::new(&world);
        let columns = Columns { keys: &table.keys, measures: &table.measures, nulls: table.nulls() };
        let accepted = machine.run(&compiled(evaluate(&table.probe, &columns)));
        let holds = table.probe.filter.as_ref().is_none_or(|filter| meaning.condition(filter));
        prop_assert_eq!(accepted, u64::from(holds));
        if !holds {
            return Ok(());
        }

        let key = |word: usize| machine.word(offset_of!(Frame, key) + word * 8);
        let (mut word, mut nulls) = (0, 0);
        for (number, (value, column)) in table.probe.keys.iter().zip(&table.keys).enumerate() {
            let words = column.kind.words();
            let expected: Option<Vec<u64>> = match value {
                KeyValue::Number(value) => {
                    let found = meaning.value(value);
                    found.read.then(|| vec![found.number])
                }
                KeyValue::Text(text) => {
                    let room = match (&column.kind, text) {
                        (KeyKind::Text(bytes), Text::Context { bytes: field, .. }) if bytes >= field => {
                            words as u64 * 8
                        }
                        (KeyKind::Text(bytes), _) => (*bytes).into(),
                        _ => words as u64 * 8,
                    };
                    meaning.text(text, room).map(|mut text| {
                        text.resize(words * 8, 0);
                        text.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect()
                    })
                }
                KeyValue::Stack => {
                    word += words;
                    continue;
                }
            };
            if expected.is_none() {
                nulls |= 1 << number;
            }
            // Two keys that are null are one key.
            let expected = expected.unwrap_or_else(|| vec![0; words]);
            for value in expected {
                prop_assert_eq!(key(word), Some(value), "key {}", number);
                word += 1;
            }
        }
        prop_assert_eq!(table.nulls().and_then(key).unwrap_or_default(), nulls);

        let present = machine.word(offset_of!(Frame, present));
        let measured = table.probe.measures.iter().zip(&table.measures);
        let measured = measured.filter(|(_, column)| column.kind != MeasureKind::Count || column.conditional);
        let mut expected_present = 0;
        for (number, (measure, column)) in measured.enumerate() {
            let wanted = measure.condition.as_ref().is_none_or(|condition| meaning.condition(condition));
            let found = measure.value.as_ref().filter(|_| wanted).map(|value| meaning.value(value));
            let value = machine.word(offset_of!(Frame, values) + number * 8);
            if wanted && found.is_none_or(|found| found.read) {
                if column.conditional {
                    expected_present |= 1 << number;
                }
                if let Some(found) = found {
                    prop_assert_eq!(value, Some(found.number), "measure {}", number);
                }
            }
            // The kernel side reads it behind a branch that the verifier may not be able to tell.
            prop_assert!(measure.value.is_none() || value.is_some(), "measure {} is not written", number);
        }
        if table.measures.iter().any(|column| column.conditional) {
            prop_assert_eq!(present, Some(expected_present));
        }
        prop_assert_eq!(machine.calls, meaning.calls);
    }
}

#[test]
fn what_has_no_room_is_refused() {
    let nested = |depth| {
        (0..depth).fold(Value::Builtin(Builtin::Cpu), |right, _| Value::Arithmetic {
            op: Arithmetic::Add,
            signed: false,
            left: Box::new(Value::Builtin(Builtin::Cpu)),
            right: Box::new(right),
        })
    };
    assert!(pair(&nested(SLOTS)).is_ok());
    let error = pair(&nested(SLOTS + 1)).unwrap_err();
    assert_eq!((error.kind, &*error.message), (Kind::Config, "an expression is nested too deeply"));
}
