//! Instructions of the eBPF machine, as far as expressions need them
//! (Documentation/bpf/standardization/instruction-set.rst), and jumps to places that are not known yet.

use aya_obj::generated::bpf_insn;

use crate::error::{Error, Kind, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Register(u8);

pub(super) const R0: Register = Register(0);
pub(super) const R1: Register = Register(1);
pub(super) const R2: Register = Register(2);
pub(super) const R3: Register = Register(3);
/// What calls keep.
pub(super) const R6: Register = Register(6);
pub(super) const R7: Register = Register(7);
pub(super) const R8: Register = Register(8);

/// Operations of arithmetic, in their place in an instruction's code.
pub(super) mod alu {
    pub(in super::super) const ADD: u8 = 0x00;
    pub(in super::super) const SUB: u8 = 0x10;
    pub(in super::super) const MUL: u8 = 0x20;
    pub(in super::super) const DIV: u8 = 0x30;
    pub(in super::super) const OR: u8 = 0x40;
    pub(in super::super) const AND: u8 = 0x50;
    pub(in super::super) const LEFT: u8 = 0x60;
    pub(in super::super) const RIGHT: u8 = 0x70;
    pub(in super::super) const NEGATE: u8 = 0x80;
    pub(in super::super) const MOD: u8 = 0x90;
    pub(in super::super) const XOR: u8 = 0xa0;
    pub(in super::super) const MOVE: u8 = 0xb0;
    /// To the right, keeping the sign.
    pub(in super::super) const ARITHMETIC: u8 = 0xc0;
    /// Of bytes.
    pub(in super::super) const SWAP: u8 = 0xd0;
}

/// Comparisons on which a jump depends, likewise.
pub(super) mod jump {
    pub(in super::super) const ALWAYS: u8 = 0x00;
    pub(in super::super) const EQ: u8 = 0x10;
    pub(in super::super) const GT: u8 = 0x20;
    pub(in super::super) const GE: u8 = 0x30;
    pub(in super::super) const NE: u8 = 0x50;
    pub(in super::super) const SIGNED_GT: u8 = 0x60;
    pub(in super::super) const SIGNED_GE: u8 = 0x70;
    pub(in super::super) const LT: u8 = 0xa0;
    pub(in super::super) const LE: u8 = 0xb0;
    pub(in super::super) const SIGNED_LT: u8 = 0xc0;
    pub(in super::super) const SIGNED_LE: u8 = 0xd0;
}

/// Classes of instructions, in the low bits of their codes.
pub(super) mod class {
    pub(in super::super) const MASK: u8 = 0x07;
    pub(in super::super) const LD: u8 = 0x00;
    pub(in super::super) const LDX: u8 = 0x01;
    pub(in super::super) const ST: u8 = 0x02;
    pub(in super::super) const STX: u8 = 0x03;
    pub(in super::super) const ALU32: u8 = 0x04;
    pub(in super::super) const JMP: u8 = 0x05;
    pub(in super::super) const JMP32: u8 = 0x06;
    pub(in super::super) const ALU64: u8 = 0x07;
}

/// What an operation does, in the high bits of an instruction's code.
pub(super) const OPERATION: u8 = 0xf0;
/// The second operand is a register.
pub(super) const SOURCE: u8 = 0x08;
pub(super) const MODE: u8 = 0xe0;
const MODE_MEMORY: u8 = 0x60;
pub(super) const MODE_ATOMIC: u8 = 0xc0;
const DOUBLE_WORD: u8 = 0x18;
pub(super) const CALL: u8 = 0x80;
pub(super) const EXIT: u8 = 0x90;
/// The operation that loads a constant of 64 bits, and takes two places for it.
pub(super) const LOAD_CONSTANT: u8 = class::LD | DOUBLE_WORD;
/// BPF_PSEUDO_CALL and BPF_PSEUDO_FUNC: calls of functions, and constants that are functions, of the same program.
pub(super) const PSEUDO_CALL: u8 = 1;
pub(super) const PSEUDO_FUNCTION: u8 = 4;

/// The number that an instruction loads, if it is a constant of 64 bits.
pub(super) fn constant(instructions: &[bpf_insn], at: usize) -> Option<u64> {
    let [lower, upper, ..] = instructions.get(at..)? else { return None };
    let constant = u64::from(upper.imm.cast_unsigned()) << 32 | u64::from(lower.imm.cast_unsigned());
    (lower.code == LOAD_CONSTANT && lower.src_reg() == 0).then_some(constant)
}

/// How many places an instruction takes.
pub(super) fn width(instruction: &bpf_insn) -> usize {
    if instruction.code == LOAD_CONSTANT { 2 } else { 1 }
}

/// A place to jump to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(usize);

/// Instructions, one after the other.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    instructions: Vec<bpf_insn>,
    /// Where each label stands, once it does.
    labels: Vec<Option<usize>>,
    /// Jumps, and where they go.
    jumps: Vec<(usize, Label)>,
}

impl Assembler {
    fn push(&mut self, code: u8, to: Register, from: Register, offset: i16, immediate: i32) {
        let mut instruction = bpf_insn {
            code,
            _bitfield_align_1: [],
            _bitfield_1: Default::default(),
            off: offset,
            imm: immediate,
        };
        instruction.set_dst_reg(to.0);
        instruction.set_src_reg(from.0);
        self.instructions.push(instruction);
    }

    pub(super) fn constant(&mut self, to: Register, value: u64) {
        match i32::try_from(value.cast_signed()) {
            Ok(value) => self.with(alu::MOVE, to, value),
            Err(_) => {
                self.push(LOAD_CONSTANT, to, R0, 0, value as i32);
                self.push(0, R0, R0, 0, (value >> 32) as i32);
            }
        }
    }

    /// `to = to op value`, of 64 bits.
    pub(super) fn with(&mut self, op: u8, to: Register, value: i32) {
        self.push(class::ALU64 | op, to, R0, 0, value);
    }

    /// `to = to op from`, of 64 bits.
    pub(super) fn by(&mut self, op: u8, to: Register, from: Register) {
        self.push(class::ALU64 | SOURCE | op, to, from, 0, 0);
    }

    pub(super) fn copy(&mut self, to: Register, from: Register) {
        self.by(alu::MOVE, to, from);
    }

    /// Only the lower half of a register.
    pub(super) fn lower_half(&mut self, register: Register) {
        self.push(class::ALU32 | SOURCE | alu::MOVE, register, register, 0, 0);
    }

    /// `to = *(from + offset)`, of 1, 2, 4 or 8 bytes.
    pub(super) fn load(&mut self, bytes: u32, to: Register, from: Register, offset: i16) {
        self.push(class::LDX | MODE_MEMORY | size(bytes), to, from, offset, 0);
    }

    /// `*(to + offset) = from`, of 8 bytes.
    pub(super) fn store(&mut self, to: Register, offset: i16, from: Register) {
        self.push(class::STX | MODE_MEMORY | DOUBLE_WORD, to, from, offset, 0);
    }

    /// `*(to + offset) = value`, of 8 bytes.
    pub(super) fn store_constant(&mut self, to: Register, offset: i16, value: i32) {
        self.push(class::ST | MODE_MEMORY | DOUBLE_WORD, to, R0, offset, value);
    }

    /// Calls a helper, by its number in `enum bpf_func_id` (include/uapi/linux/bpf.h).
    pub(super) fn call(&mut self, helper: i32) {
        self.push(class::JMP | CALL, R0, R0, 0, helper);
    }

    pub(super) fn exit(&mut self) {
        self.push(class::JMP | EXIT, R0, R0, 0, 0);
    }

    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// The label stands here.
    pub(super) fn bind(&mut self, label: Label) {
        self.labels[label.0] = Some(self.instructions.len());
    }

    /// Whether anything jumps there.
    pub(super) fn is_used(&self, label: Label) -> bool {
        self.jumps.iter().any(|(_, to)| *to == label)
    }

    pub(super) fn go(&mut self, to: Label) {
        self.jumps.push((self.instructions.len(), to));
        self.push(class::JMP | jump::ALWAYS, R0, R0, 0, 0);
    }

    /// Jumps if `left op value`.
    pub(super) fn go_if(&mut self, op: u8, left: Register, value: i32, to: Label) {
        self.jumps.push((self.instructions.len(), to));
        self.push(class::JMP | op, left, R0, 0, value);
    }

    /// Jumps if `left op right`.
    pub(super) fn go_if_by(&mut self, op: u8, left: Register, right: Register, to: Label) {
        self.jumps.push((self.instructions.len(), to));
        self.push(class::JMP | SOURCE | op, left, right, 0, 0);
    }

    /// The finished instructions.
    pub(super) fn finish(mut self) -> Result<Vec<bpf_insn>> {
        for (at, label) in &self.jumps {
            let target = self.labels[label.0].unwrap_or(usize::MAX);
            let distance = target.checked_sub(at + 1).and_then(|distance| i16::try_from(distance).ok());
            // All jumps are forward.
            self.instructions[*at].off = distance.ok_or_else(too_long)?;
        }
        Ok(self.instructions)
    }
}

/// A jump reaches no further than 32,767 instructions.
pub(super) fn too_long() -> Error {
    Error::new(Kind::Config, "the expressions of a table are too long").help("make two tables of it")
}

fn size(bytes: u32) -> u8 {
    match bytes {
        1 => 0x10,
        2 => 0x08,
        4 => 0x00,
        _ => DOUBLE_WORD,
    }
}
