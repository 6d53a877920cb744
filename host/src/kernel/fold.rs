//! Makes a program smaller by what is known once the plan is written into it: follows constants through registers,
//! decides the jumps that they decide, and drops what nothing leads to and what computes for nobody.
//!
//! The verifier would follow the same constants, and drop the branches that they do not take. What it leaves is every
//! load of a constant, which costs an event nearly as much as counting it.

use aya_obj::Function;
use aya_obj::generated::bpf_insn;

use super::instruction::{
    CALL, EXIT, LOAD_CONSTANT, MODE, MODE_ATOMIC, OPERATION, SOURCE, alu, class, constant, jump, width,
};
use super::rewrite::{Edit, rewrite, target};
use crate::error::Result;

const REGISTERS: usize = 11;
/// A set of registers, by their bits.
type Registers = u16;
/// What a call takes, and what it does not keep.
const ARGUMENTS: Registers = 0b11_1110;
const RESULT: Registers = 0b1;

/// What is known of the registers where an instruction stands.
type Known = [Option<u64>; REGISTERS];

pub(super) fn fold(function: &mut Function) -> Result<()> {
    let reached = decide(&mut function.instructions);
    rewrite(function, |at| keep(reached[at]))?;
    let needed = needed(&function.instructions);
    rewrite(function, |at| keep(needed[at]))
}

fn keep(it: bool) -> Edit<'static> {
    if it { Edit::Keep } else { Edit::Drop }
}

/// Writes what is known into the instructions that use it. Which of them can be reached, and are not jumps that are
/// never taken.
fn decide(instructions: &mut [bpf_insn]) -> Vec<bool> {
    let known = follow(instructions);
    let mut reached = vec![false; instructions.len()];
    for ((instruction, known), reached) in instructions.iter_mut().zip(known).zip(&mut reached) {
        let Some(known) = known else { continue };
        match decided(instruction, &known) {
            Some(taken) => {
                *reached = taken;
                instruction.code = class::JMP | jump::ALWAYS;
                put(instruction, 0);
                instruction.set_dst_reg(0);
            }
            None => {
                *reached = true;
                take_in(instruction, &known);
            }
        }
    }
    reached
}

/// What is known before each instruction that can be reached.
fn follow(instructions: &[bpf_insn]) -> Vec<Option<Known>> {
    let mut before = vec![None; instructions.len()];
    let mut open: Vec<(usize, Known)> = vec![(0, [None; REGISTERS])];
    while let Some((at, arriving)) = open.pop() {
        let (Some(found), Some(instruction)) = (before.get_mut(at), instructions.get(at)) else { continue };
        let known = found.map_or(arriving, |old| met(&old, &arriving));
        if found.replace(known) == Some(known) {
            continue;
        }
        let mut after = known;
        let Effects { writes, .. } = effects(instruction);
        for (number, value) in after.iter_mut().enumerate() {
            if writes & 1 << number != 0 {
                *value = constant(instructions, at).or_else(|| computed(instruction, &known));
            }
        }
        let Leads { to, next, function } = leads(instructions, at);
        let decided = decided(instruction, &known);
        open.extend(function.map(|function| (function, [None; REGISTERS])));
        open.extend(to.filter(|_| decided != Some(false)).map(|to| (to, after)));
        open.extend(next.filter(|_| decided != Some(true)).map(|next| (next, after)));
    }
    before
}

/// What is known where two ways meet.
fn met(one: &Known, other: &Known) -> Known {
    std::array::from_fn(|number| one[number].filter(|value| other[number] == Some(*value)))
}

/// What must be computed: what somebody uses, or what does more than to compute.
fn needed(instructions: &[bpf_insn]) -> Vec<bool> {
    // Of each instruction, the registers whose values are used from it on.
    let mut used: Vec<Registers> = vec![0; instructions.len()];
    let mut needed = vec![true; instructions.len()];
    loop {
        let mut changed = false;
        for (at, instruction) in instructions.iter().enumerate().rev() {
            let Leads { to, next, .. } = leads(instructions, at);
            let after = [to, next].into_iter().flatten().filter_map(|at| used.get(at)).fold(0, |a, b| a | b);
            let Effects { reads, writes, computes } = effects(instruction);
            needed[at] = !computes || writes & after != 0;
            let before = if needed[at] { after & !writes | reads } else { after };
            changed |= used[at] != before;
            used[at] = before;
        }
        if !changed {
            return needed;
        }
    }
}

/// Where an instruction leads.
struct Leads {
    to: Option<usize>,
    next: Option<usize>,
    /// A function that it calls, or whose address it loads.
    function: Option<usize>,
}

fn leads(instructions: &[bpf_insn], at: usize) -> Leads {
    let instruction = &instructions[at];
    let target = target(instructions, at);
    let next = Some(at + width(instruction));
    match (instruction.code & class::MASK, instruction.code & OPERATION) {
        (class::JMP, EXIT) => Leads { to: None, next: None, function: None },
        (class::JMP | class::JMP32, jump::ALWAYS) => Leads { to: target, next: None, function: None },
        (class::JMP, CALL) => Leads { to: None, next, function: target },
        (class::JMP | class::JMP32, _) => Leads { to: target, next, function: None },
        _ => Leads { to: None, next, function: target },
    }
}

/// What an instruction has to do with registers.
struct Effects {
    reads: Registers,
    writes: Registers,
    /// It does nothing else.
    computes: bool,
}

fn effects(instruction: &bpf_insn) -> Effects {
    /// BPF_FETCH and BPF_CMPXCHG.
    const FETCH: i32 = 0x01;
    const COMPARE_EXCHANGE: i32 = 0xf1;
    let (to, from) = (1 << instruction.dst_reg(), 1 << instruction.src_reg());
    let by = if instruction.code & SOURCE == 0 { 0 } else { from };
    let of = |reads, writes, computes| Effects { reads, writes, computes };
    match (instruction.code & class::MASK, instruction.code & OPERATION) {
        // The second half of one is not an instruction.
        (class::LD, _) if instruction.code == LOAD_CONSTANT => of(0, to, true),
        (class::LD, _) => of(0, 0, false),
        (class::LDX, _) => of(from, to, false),
        (class::ST, _) => of(to, 0, false),
        (class::STX, _) if instruction.code & MODE == MODE_ATOMIC => match instruction.imm {
            COMPARE_EXCHANGE => of(to | from | RESULT, RESULT, false),
            operation if operation & FETCH != 0 => of(to | from, from, false),
            _ => of(to | from, 0, false),
        },
        (class::STX, _) => of(to | from, 0, false),
        (class::ALU32 | class::ALU64, alu::MOVE) => of(by, to, true),
        (class::ALU32 | class::ALU64, alu::NEGATE | alu::SWAP) => of(to, to, true),
        (class::ALU32 | class::ALU64, _) => of(to | by, to, true),
        (_, CALL) => of(ARGUMENTS, ARGUMENTS | RESULT, false),
        (_, EXIT) => of(RESULT, 0, false),
        (_, jump::ALWAYS) => of(0, 0, false),
        _ => of(to | by, 0, false),
    }
}

/// The second operand, if it is known.
fn right(instruction: &bpf_insn, known: &Known) -> Option<u64> {
    match instruction.code & SOURCE {
        0 => Some(i64::from(instruction.imm).cast_unsigned()),
        _ => known[usize::from(instruction.src_reg())],
    }
}

/// The result of a computation of 64 bits, if it is known.
fn computed(instruction: &bpf_insn, known: &Known) -> Option<u64> {
    // With an offset it is another computation.
    if instruction.code & class::MASK != class::ALU64 || instruction.off != 0 {
        return None;
    }
    let operation = instruction.code & OPERATION;
    let right = right(instruction, known)?;
    if operation == alu::MOVE {
        return Some(right);
    }
    let left = known[usize::from(instruction.dst_reg())]?;
    Some(match operation {
        alu::ADD => left.wrapping_add(right),
        alu::SUB => left.wrapping_sub(right),
        alu::OR => left | right,
        alu::AND => left & right,
        alu::XOR => left ^ right,
        alu::LEFT => left.wrapping_shl(right as u32),
        alu::RIGHT => left.wrapping_shr(right as u32),
        _ => return None,
    })
}

/// Whether a jump that compares 64 bits is taken, if it is known.
fn decided(instruction: &bpf_insn, known: &Known) -> Option<bool> {
    let operation = instruction.code & OPERATION;
    if instruction.code & class::MASK != class::JMP || matches!(operation, jump::ALWAYS | CALL | EXIT) {
        return None;
    }
    let (left, right) = (known[usize::from(instruction.dst_reg())]?, right(instruction, known)?);
    let (signed_left, signed_right) = (left.cast_signed(), right.cast_signed());
    Some(match operation {
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
        _ => return None,
    })
}

/// Writes a known operand, or a known result, into the instruction itself.
fn take_in(instruction: &mut bpf_insn, known: &Known) {
    let short = |value: Option<u64>| i32::try_from(value?.cast_signed()).ok();
    if let Some(result) = short(computed(instruction, known)) {
        instruction.code = class::ALU64 | alu::MOVE;
        return put(instruction, result);
    }
    let operation = instruction.code & OPERATION;
    let takes = match instruction.code & (class::MASK | SOURCE) {
        // The verifier refuses what it can see to divide by zero or to shift by too much.
        BY_REGISTER if instruction.off == 0 => match operation {
            alu::ADD | alu::SUB | alu::MUL | alu::OR | alu::AND | alu::XOR | alu::MOVE => true,
            alu::LEFT | alu::RIGHT | alu::ARITHMETIC => right(instruction, known).is_some_and(|by| by < 64),
            _ => false,
        },
        JUMP_BY_REGISTER => !matches!(operation, jump::ALWAYS | CALL | EXIT),
        _ => false,
    };
    if takes && let Some(right) = short(right(instruction, known)) {
        instruction.code &= !SOURCE;
        put(instruction, right);
    }
}

const BY_REGISTER: u8 = class::ALU64 | SOURCE;
const JUMP_BY_REGISTER: u8 = class::JMP | SOURCE;

/// An immediate operand.
fn put(instruction: &mut bpf_insn, operand: i32) {
    instruction.set_src_reg(0);
    instruction.imm = operand;
}

#[cfg(test)]
mod tests;
