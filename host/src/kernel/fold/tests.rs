//! A folded program does what it did.

use std::mem::offset_of;

use proptest::prelude::*;
use weir_abi::{Frame, MEASURES};

use super::*;
use crate::kernel::code::tests::{Machine, World, any_world, check};
use crate::kernel::instruction::{Assembler, R0, R1, R2, R3, R6, R7, R8, Register};
use crate::kernel::rewrite::rewritten;

const FREE: [Register; 5] = [R0, R1, R2, R3, R8];

#[derive(Clone, Debug)]
enum Step {
    /// Something that nobody can know.
    Load(Register),
    Constant(Register, u64),
    With(u8, Register, i32),
    By(u8, Register, Register),
    Half(Register),
    Store(usize, Register),
    /// Over so many steps.
    SkipIf(u8, Register, i32, usize),
    SkipIfBy(u8, Register, Register, usize),
    Skip(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    let register = || prop::sample::select(FREE.to_vec());
    let value = || prop_oneof![3 => 0..4u64, 1 => any::<u64>(), 1 => Just(1 << 40)];
    let small = || prop_oneof![3 => -2..4i32, 1 => any::<i32>()];
    let operation = prop::sample::select(vec![
        alu::ADD,
        alu::SUB,
        alu::MUL,
        alu::OR,
        alu::AND,
        alu::XOR,
        alu::MOVE,
        alu::DIV,
        alu::MOD,
        alu::NEGATE,
        alu::LEFT,
        alu::RIGHT,
        alu::ARITHMETIC,
    ]);
    let comparison = || {
        prop::sample::select(vec![
            jump::EQ,
            jump::NE,
            jump::GT,
            jump::GE,
            jump::LT,
            jump::LE,
            jump::SIGNED_GT,
            jump::SIGNED_GE,
            jump::SIGNED_LT,
            jump::SIGNED_LE,
        ])
    };
    let with = (operation.clone(), register(), small()).prop_map(|(op, to, value)| {
        let value = match op {
            alu::DIV | alu::MOD => value.max(1),
            alu::LEFT | alu::RIGHT | alu::ARITHMETIC => value & 63,
            _ => value,
        };
        Step::With(op, to, value)
    });
    // The machine has no negation by a register.
    let by = (operation, register(), register())
        .prop_filter("an operation of two registers", |(op, ..)| *op != alu::NEGATE)
        .prop_map(|(op, to, from)| Step::By(op, to, from));
    prop_oneof![
        1 => register().prop_map(Step::Load),
        4 => (register(), value()).prop_map(|(to, value)| Step::Constant(to, value)),
        3 => with,
        3 => by,
        1 => register().prop_map(Step::Half),
        2 => (0..MEASURES, register()).prop_map(|(at, from)| Step::Store(at, from)),
        2 => (comparison(), register(), small(), 0..6usize).prop_map(|(op, left, right, over)| Step::SkipIf(op, left, right, over)),
        2 => (comparison(), register(), register(), 0..6usize).prop_map(|(op, left, right, over)| Step::SkipIfBy(op, left, right, over)),
        1 => (0..4usize).prop_map(Step::Skip),
    ]
}

fn assembled(steps: &[Step]) -> Vec<bpf_insn> {
    let mut code = Assembler::default();
    for (number, register) in FREE.into_iter().enumerate() {
        code.load(8, register, R6, number as i16 * 8);
    }
    let labels: Vec<_> = steps.iter().map(|_| code.label()).collect();
    let end = code.label();
    for (at, step) in steps.iter().enumerate() {
        code.bind(labels[at]);
        let over = |steps: usize| labels.get(at + 1 + steps).copied().unwrap_or(end);
        match *step {
            Step::Load(to) => code.load(8, to, R6, at as i16 % 8 * 8),
            Step::Constant(to, value) => code.constant(to, value),
            Step::With(op, to, value) => code.with(op, to, value),
            Step::By(op, to, from) => code.by(op, to, from),
            Step::Half(register) => code.lower_half(register),
            Step::Store(word, from) => code.store(R7, value_at(word) as i16, from),
            Step::SkipIf(op, left, right, steps) => code.go_if(op, left, right, over(steps)),
            Step::SkipIfBy(op, left, right, steps) => code.go_if_by(op, left, right, over(steps)),
            Step::Skip(steps) => code.go(over(steps)),
        }
    }
    code.bind(end);
    code.exit();
    code.finish().unwrap()
}

fn value_at(word: usize) -> usize {
    offset_of!(Frame, values) + word * 8
}

fn folded(mut instructions: Vec<bpf_insn>) -> Vec<bpf_insn> {
    let reached = decide(&mut instructions);
    let (mut instructions, _) = rewritten(&instructions, |at| keep(reached[at])).unwrap();
    let needed = needed(&instructions);
    (instructions, _) = rewritten(&instructions, |at| keep(needed[at])).unwrap();
    instructions
}

/// What a run leaves: r0, and what was stored.
fn outcome(world: &World, instructions: &[bpf_insn]) -> (u64, Vec<Option<u64>>) {
    let mut machine = Machine::new(world);
    let result = machine.run(instructions);
    (result, (0..MEASURES).map(|word| machine.word(value_at(word))).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn a_folded_program_does_what_it_did(
        steps in prop::collection::vec(any_step(), 1..40),
        world in any_world(),
    ) {
        let whole = assembled(&steps);
        let folded = folded(whole.clone());
        check(&folded);
        prop_assert!(folded.len() <= whole.len());
        prop_assert_eq!(outcome(&world, &folded), outcome(&world, &whole));
    }
}

/// As a plan's word decides a branch of the kernel side.
#[test]
fn what_constants_decide_is_not_there() {
    let mut code = Assembler::default();
    let (other, end) = (code.label(), code.label());
    code.constant(R1, 5 << 40);
    code.with(alu::RIGHT, R1, 40);
    code.constant(R0, 1);
    code.go_if(jump::EQ, R1, 5, other);
    code.constant(R0, 2);
    code.go(end);
    code.bind(other);
    code.by(alu::ADD, R0, R1);
    code.bind(end);
    code.exit();
    let mut expected = Assembler::default();
    let next = expected.label();
    expected.go(next);
    expected.bind(next);
    expected.constant(R0, 6);
    expected.exit();
    let bytes = |code: Vec<bpf_insn>| -> Vec<(u8, u8, u8, i16, i32)> {
        code.iter().map(|i| (i.code, i.dst_reg(), i.src_reg(), i.off, i.imm)).collect()
    };
    assert_eq!(bytes(folded(code.finish().unwrap())), bytes(expected.finish().unwrap()));
}
