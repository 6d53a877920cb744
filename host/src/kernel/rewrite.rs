//! Takes instructions out of a linked program and puts others in, and renumbers what names instructions by their
//! places: jumps, calls, addresses of functions, and what the debugging information tells about them.

use aya_obj::Function;
use aya_obj::generated::bpf_insn;

use super::instruction::{
    CALL, EXIT, LOAD_CONSTANT, OPERATION, PSEUDO_CALL, PSEUDO_FUNCTION, class, jump, too_long, width,
};
use crate::error::Result;

/// What becomes of an instruction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Edit<'a> {
    Keep,
    Drop,
    Put(&'a [bpf_insn]),
}

/// Where an instruction holds its distance to another one.
enum Distance {
    Offset,
    Immediate,
}

fn distance(instruction: &bpf_insn) -> Option<Distance> {
    let source = instruction.src_reg();
    match (instruction.code & class::MASK, instruction.code & OPERATION) {
        (class::JMP, CALL) => (source == PSEUDO_CALL).then_some(Distance::Immediate),
        (class::JMP | class::JMP32, EXIT | CALL) => None,
        (class::JMP32, jump::ALWAYS) => Some(Distance::Immediate),
        (class::JMP | class::JMP32, _) => Some(Distance::Offset),
        _ if instruction.code == LOAD_CONSTANT && source == PSEUDO_FUNCTION => Some(Distance::Immediate),
        _ => None,
    }
}

/// The place to which an instruction leads: that of a jump, of a function that it calls, or whose address it loads.
pub(super) fn target(instructions: &[bpf_insn], at: usize) -> Option<usize> {
    let instruction = instructions.get(at)?;
    let far = match distance(instruction)? {
        Distance::Offset => isize::from(instruction.off),
        Distance::Immediate => instruction.imm as isize,
    };
    (at + 1).checked_add_signed(far)
}

/// Does to each instruction of a program what `edit` says of its place. What led to one that is dropped leads to what
/// follows it.
pub(super) fn rewrite<'a>(function: &mut Function, edit: impl Fn(usize) -> Edit<'a>) -> Result<()> {
    let (instructions, places) = rewritten(&function.instructions, edit)?;
    let end = instructions.len() as u32;
    let place = |old: u32| places.get(old as usize).map_or(end, |place| *place as u32);
    renumber(&mut function.func_info.func_info, |info| &mut info.insn_off, place, end);
    renumber(&mut function.line_info.line_info, |info| &mut info.insn_off, place, end);
    function.instructions = instructions;
    Ok(())
}

/// Of infos that have come to one place, the last is about what stands there.
fn renumber<T: Copy>(
    infos: &mut Vec<T>,
    offset: impl Fn(&mut T) -> &mut u32,
    place: impl Fn(u32) -> u32,
    end: u32,
) {
    infos.iter_mut().map(&offset).for_each(|offset| *offset = place(*offset));
    infos.dedup_by(|next, info| {
        let together = offset(next) == offset(info);
        if together {
            *info = *next;
        }
        together
    });
    infos.retain_mut(|info| *offset(info) < end);
}

/// The new instructions, and where those of each old place, and the end, are among them.
pub(super) fn rewritten<'a>(
    old: &[bpf_insn],
    edit: impl Fn(usize) -> Edit<'a>,
) -> Result<(Vec<bpf_insn>, Vec<usize>)> {
    let mut new: Vec<bpf_insn> = Vec::with_capacity(old.len());
    let mut places: Vec<usize> = Vec::with_capacity(old.len() + 1);
    let mut kept = Vec::with_capacity(old.len());
    while let Some(instruction) = old.get(places.len()) {
        let at = places.len();
        let width = width(instruction);
        places.extend(std::iter::repeat_n(new.len(), width));
        match edit(at) {
            Edit::Keep => {
                kept.push(at);
                new.extend(old.iter().skip(at).take(width));
            }
            Edit::Drop => {}
            Edit::Put(instructions) => new.extend_from_slice(instructions),
        }
    }
    places.push(new.len());

    for at in kept {
        let place = places[at];
        let Some(held) = distance(&new[place]) else { continue };
        let to = target(old, at).and_then(|to| places.get(to)).ok_or_else(too_long)?;
        let far = *to as i64 - (place as i64 + 1);
        match held {
            Distance::Offset => new[place].off = i16::try_from(far).map_err(|_| too_long())?,
            Distance::Immediate => new[place].imm = i32::try_from(far).map_err(|_| too_long())?,
        }
    }
    Ok((new, places))
}

#[cfg(test)]
mod tests;
