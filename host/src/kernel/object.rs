//! The compiled kernel side, and the programs of a table made from it.

use std::collections::HashMap;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::OnceLock;

use aya_obj::btf::BtfFeatures;
use aya_obj::generated::bpf_insn;
use aya_obj::{Function, Object};

use weir_abi::{EVALUATE, PAIR, PLAN_MARK, Plan, unpack_plan_place};

use super::bpf;
use super::fold::fold;
use super::instruction::constant;
use super::mapped::plan_bytes;
use super::rewrite::{Edit, rewrite};
use crate::error::{Error, Kind, Result};

/// The kernel side, as the build script left it.
static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/weir.bpf.o"));

/// The map of zeroed data.
pub(super) const CONTROL: &str = ".bss";

/// Which of the kernel side's programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Event,
    Start,
    ThreadExit,
}

impl Entry {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Start => "start",
            Self::ThreadExit => "thread_exit",
        }
    }
}

/// A table's own code.
#[derive(Debug, Default)]
pub(super) struct Code {
    pub(super) evaluate: Option<Vec<bpf_insn>>,
    pub(super) pair: Option<Vec<bpf_insn>>,
}

/// A program whose maps and calls are in place.
#[derive(Debug)]
pub(super) struct Linked {
    pub(super) function: Function,
    pub(super) license: CString,
}

fn broken(why: impl std::fmt::Display) -> Error {
    Error::new(Kind::Software, format!("the kernel object that Weir was built with is broken: {why}"))
}

fn object() -> Result<&'static Object> {
    static PARSED: OnceLock<Result<Object>> = OnceLock::new();
    let parse = || {
        let mut object = Object::parse(OBJECT).map_err(broken)?;
        // Everything that Linux 6.1 understands.
        let features = BtfFeatures::new(true, true, true, true, true, true, true, true);
        object.fixup_and_sanitize_btf(&features).map_err(broken)?;
        Ok(object)
    };
    PARSED.get_or_init(parse).as_ref().map_err(Clone::clone)
}

/// The type information of all programs, loaded once; nothing where the kernel does not take it, which only makes
/// what the verifier says harder to read.
pub(super) fn types() -> Option<BorrowedFd<'static>> {
    static LOADED: OnceLock<Option<OwnedFd>> = OnceLock::new();
    let load = || bpf::load_btf(&object().ok()?.btf.as_ref()?.to_bytes()).ok();
    LOADED.get_or_init(load).as_ref().map(AsFd::as_fd)
}

/// How many bytes the map of a section of data has.
pub(super) fn section_bytes(section: &str) -> Result<usize> {
    object()?
        .maps
        .get(section)
        .map(|map| map.data().len())
        .ok_or_else(|| broken(format!("it has no {section}")))
}

/// Writes the plan's words over what stands for them in the code.
fn specialise(instructions: &mut [bpf_insn], plan: &[u8]) -> Result<()> {
    for at in 0..instructions.len() {
        let Some(place) = constant(instructions, at).filter(|word| word >> 32 == u64::from(PLAN_MARK)) else {
            continue;
        };
        let (offset, bytes) = unpack_plan_place(place as u32);
        let word = plan.get(offset..offset + bytes).ok_or_else(|| broken("it has a longer plan"))?;
        let half = |half: &[u8]| half.try_into().map_or(0, i32::from_le_bytes);
        (instructions[at].imm, instructions[at + 1].imm) = match word.split_at_checked(4) {
            Some((low, high)) => (half(low), half(high)),
            None => return Err(broken("a word of its plan is too short")),
        };
    }
    Ok(())
}

/// One of the programs, for a table of this plan, with its own code and these maps.
pub(super) fn program(entry: Entry, plan: &Plan, code: &Code, maps: &HashMap<&str, RawFd>) -> Result<Linked> {
    let mut object = object()?.clone();
    object.programs.retain(|name, _| name == entry.name());
    for function in object.functions.values_mut() {
        specialise(&mut function.instructions, plan_bytes(plan))?;
    }
    let definitions = std::mem::take(&mut object.maps);
    let known =
        definitions.iter().filter_map(|(name, map)| Some((name.as_str(), *maps.get(name.as_str())?, map)));
    let text = object.functions.keys().map(|(section, _)| *section).collect();
    object.relocate_maps(known, &text).map_err(broken)?;
    object.relocate_calls(&text).map_err(broken)?;
    let program = object.programs.get(entry.name()).ok_or_else(|| broken("a program is missing"))?;
    let key = program.function_key();
    let license = program.license.clone();
    let mut function = object.functions.remove(&key).ok_or_else(|| broken("a program has no function"))?;
    let generic = function.instructions.clone();
    let codes = [(EVALUATE, code.evaluate.as_deref()), (PAIR, code.pair.as_deref())];
    rewrite(&mut function, |at| {
        let stands_for = constant(&generic, at).and_then(|word| codes.iter().find(|(mark, _)| *mark == word));
        stands_for.and_then(|(_, code)| *code).map_or(Edit::Keep, Edit::Put)
    })?;
    fold(&mut function)?;
    Ok(Linked { function, license })
}

/// The maps by name, as programs refer to them.
pub(super) fn descriptors<'a, 'b>(
    maps: impl Iterator<Item = (&'a str, BorrowedFd<'b>)>,
) -> HashMap<&'a str, RawFd> {
    maps.map(|(name, fd)| (name, fd.as_raw_fd())).collect()
}
