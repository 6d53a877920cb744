//! Jumps that lead to the same instructions after code of any length was put between them.

use proptest::prelude::*;

use super::*;
use crate::kernel::instruction::{Assembler, R0, R1, alu, constant};

const MARK: u64 = 0x1122_3344_5566_7788;

/// An instruction that can be told from others by its number.
fn numbered(number: i32) -> bpf_insn {
    let mut assembler = Assembler::default();
    assembler.with(alu::MOVE, R0, number);
    assembler.finish().unwrap()[0]
}

fn load(word: u64) -> Vec<bpf_insn> {
    let mut assembler = Assembler::default();
    assembler.constant(R1, word);
    assembler.finish().unwrap()
}

/// A jump, a call, or the address of a function, so far away.
fn leading(kind: usize, far: i32) -> Vec<bpf_insn> {
    let mut instructions = if kind == 4 { load(0x7fff_ffff_0000_0000) } else { vec![numbered(0)] };
    let first = &mut instructions[0];
    match kind {
        0 | 1 => {
            // `goto`, and `if r6 == 0`, of 64 bits.
            first.code = if kind == 0 { 0x05 } else { 0x15 };
            first.set_dst_reg(6 * kind as u8);
            first.off = far as i16;
        }
        2 => {
            first.code = class::JMP32;
            first.imm = far;
        }
        3 => {
            first.code = class::JMP | CALL;
            first.set_src_reg(PSEUDO_CALL);
            first.imm = far;
        }
        _ => {
            first.set_src_reg(PSEUDO_FUNCTION);
            first.imm = far;
            instructions[1].imm = 0;
        }
    }
    instructions
}

#[derive(Clone, Debug)]
enum Part {
    Plain,
    Helper,
    Marked,
    Leading { kind: usize, to: prop::sample::Index },
}

fn any_part() -> impl Strategy<Value = Part> {
    prop_oneof![
        3 => Just(Part::Plain),
        1 => Just(Part::Helper),
        1 => Just(Part::Marked),
        3 => (0..5usize, any::<prop::sample::Index>()).prop_map(|(kind, to)| Part::Leading { kind, to }),
    ]
}

/// The instructions with `code` in the place of what is marked, written down at once.
fn written(parts: &[Part], code: &[bpf_insn]) -> Vec<bpf_insn> {
    let length = |part: &Part| match part {
        Part::Plain | Part::Helper => 1,
        Part::Marked => code.len(),
        Part::Leading { kind, .. } => 1 + usize::from(*kind == 4),
    };
    let places: Vec<usize> = parts
        .iter()
        .scan(0, |place, part| {
            *place += length(part);
            Some(*place - length(part))
        })
        .collect();
    parts
        .iter()
        .enumerate()
        .flat_map(|(number, part)| match part {
            Part::Plain => vec![numbered(number as i32)],
            Part::Helper => {
                let mut helper = numbered(number as i32);
                helper.code = class::JMP | CALL;
                vec![helper]
            }
            Part::Marked => code.to_vec(),
            Part::Leading { kind, to } => {
                let to = places[to.index(parts.len())];
                leading(*kind, to as i32 - places[number] as i32 - 1)
            }
        })
        .collect()
}

proptest! {
    #[test]
    fn everything_leads_where_it_led(
        parts in prop::collection::vec(any_part(), 1..40),
        length in 1..20usize,
    ) {
        let code: Vec<bpf_insn> = (1000..).take(length).map(numbered).collect();
        let (new, places) = put(&written(&parts, &load(MARK)), &code).unwrap();
        prop_assert_eq!(bytes(&new), bytes(&written(&parts, &code)));
        prop_assert_eq!(places.last(), Some(&new.len()));
    }
}

/// Code in every marked place.
fn put(old: &[bpf_insn], code: &[bpf_insn]) -> Result<(Vec<bpf_insn>, Vec<usize>)> {
    let edit = |at| if constant(old, at) == Some(MARK) { Edit::Put(code) } else { Edit::Keep };
    rewritten(old, edit)
}

#[test]
fn what_led_to_what_is_dropped_leads_to_what_follows() {
    let old = [leading(0, 2), load(MARK), vec![numbered(1), numbered(2)]].concat();
    let (new, _) = rewritten(&old, |at| if at == 3 { Edit::Drop } else { Edit::Keep }).unwrap();
    assert_eq!(bytes(&new), bytes(&[leading(0, 2), load(MARK), vec![numbered(2)]].concat()));
}

fn bytes(instructions: &[bpf_insn]) -> Vec<(u8, u8, u8, i16, i32)> {
    instructions.iter().map(|i| (i.code, i.dst_reg(), i.src_reg(), i.off, i.imm)).collect()
}

#[test]
fn a_jump_over_too_much_is_refused() {
    let mut old = leading(0, 2);
    old.extend(load(MARK));
    old.push(numbered(1));
    let code = vec![numbered(2); 40_000];
    let error = put(&old, &code).unwrap_err();
    assert!(error.to_string().contains("too long"), "{error}");
}

#[test]
fn of_lines_at_one_place_the_last_is_kept() {
    let mut lines = vec![(0, "a"), (1, "b"), (2, "c"), (5, "d")];
    let place = |old| [0, 1, 1, 1, 1, 2][old as usize];
    renumber(&mut lines, |line| &mut line.0, place, 2);
    assert_eq!(lines, [(0, "a"), (1, "c")]);
}
