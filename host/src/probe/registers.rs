//! Arguments in registers, for probes that are given nothing but these: the calling conventions of C, and what the
//! notes of USDT probes say.

use super::btf::Btf;
use super::record::{Content, Field, Record, Type, Typed};
use super::usdt::{Note, Place};
use crate::error::{Error, Kind, Result};
use crate::table::{Access, Arithmetic, Load, Memory, Value};

/// Where `struct pt_regs` has the arguments of a function, and its result.
#[cfg(target_arch = "x86_64")]
const ARGUMENTS: [u32; 6] = [112, 104, 96, 88, 72, 64];
#[cfg(target_arch = "x86_64")]
const RESULT: u32 = 80;
#[cfg(target_arch = "aarch64")]
const ARGUMENTS: [u32; 8] = [0, 8, 16, 24, 32, 40, 48, 56];
#[cfg(target_arch = "aarch64")]
const RESULT: u32 = 0;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARGUMENTS: [u32; 0] = [];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const RESULT: u32 = 0;

/// Fails if the registers of this machine are not known.
pub(crate) fn check() -> Result<()> {
    if ARGUMENTS.is_empty() {
        return Err(Error::new(
            Kind::Unavailable,
            "probes in functions are known for x86_64 and aarch64 only",
        ));
    }
    Ok(())
}

fn whole(offset: u32) -> Load {
    Load { offset, bytes: 8, copied: false, shift: 0, bits: 64, signed: false }
}

fn register(offset: u32) -> Value {
    Value::Context(whole(offset))
}

/// `arg0`, `arg1` and so on, or the result alone.
pub(crate) fn plain(at_return: bool) -> Record {
    let whole = |offset| Typed::number(register(offset), 64, false);
    if at_return {
        return Record { fields: Vec::new(), result: Some(whole(RESULT)) };
    }
    let fields = ARGUMENTS.iter().enumerate().map(|(number, offset)| Field {
        name: format!("arg{number}"),
        c_type: "unsigned long".to_owned(),
        content: Content::Value(whole(*offset)),
    });
    Record { fields: fields.collect(), result: None }
}

/// As [`plain`], and by the names and types of the function's parameters where they are known.
pub(crate) fn of_function(types: Option<&Btf>, function: &str, at_return: bool) -> Record {
    let mut record = plain(at_return);
    let Some((types, (parameters, result))) =
        types.and_then(|types| Some((types, types.prototype_of(function)?)))
    else {
        return record;
    };
    let typed = |offset: u32, id: u32| {
        let (kind, bytes) = types.scalar(id, Access::Kernel)?;
        let signed = matches!(kind, Type::Integer { signed: true, .. });
        let value = match bytes {
            8 => register(offset),
            bytes => Value::Narrow { value: Box::new(register(offset)), bits: bytes * 8, signed },
        };
        Some(Typed { value, kind })
    };
    if at_return {
        record.result = typed(RESULT, result).or(record.result);
        return record;
    }
    // What is known to be an address is one by its number too, and stays in the kernel.
    for (field, (_, id)) in record.fields.iter_mut().zip(&parameters) {
        if let (Content::Value(number), Some((kind @ Type::Pointer { .. }, _))) =
            (&mut field.content, types.scalar(*id, Access::Kernel))
        {
            number.kind = kind;
        }
    }
    let named = parameters.into_iter().zip(ARGUMENTS).filter_map(|((name, id), offset)| {
        let content = Content::Value(typed(offset, id)?);
        Some(Field { name, c_type: types.spell(id, 0), content })
    });
    record.fields.extend(named.filter(|field| !field.name.starts_with("arg")).collect::<Vec<_>>());
    record
}

/// The arguments of a USDT probe.
pub(crate) fn of_note(note: &Note) -> Record {
    let fields = note.arguments.iter().enumerate().map(|(number, argument)| {
        let bits = u32::from(argument.bytes) * 8;
        let signed = argument.signed;
        let value = match &argument.place {
            // `4@$-1` is 4294967295, and `-1@$255` is -1.
            Place::Constant(constant) => {
                let above = 64 - bits;
                let shifted = constant << above;
                Some(Value::Constant(match signed {
                    true => (shifted >> above).cast_unsigned(),
                    false => shifted.cast_unsigned() >> above,
                }))
            }
            // A part of a register can be narrower than what it is taken for.
            Place::Register(place) => {
                let bits = (u32::from(place.bytes) * 8).min(bits);
                let load = Load { shift: place.shift.into(), bits, signed, ..whole(place.offset.into()) };
                Some(Value::Context(load))
            }
            Place::Memory { base, index, offset } => {
                let mut address = register(base.offset.into());
                if let Some((index, scale)) = index {
                    let scaled = Value::Arithmetic {
                        op: Arithmetic::Multiply,
                        signed: false,
                        left: Box::new(register(index.offset.into())),
                        right: Box::new(Value::Constant((*scale).into())),
                    };
                    address = Value::Arithmetic {
                        op: Arithmetic::Add,
                        signed: false,
                        left: Box::new(address),
                        right: Box::new(scaled),
                    };
                }
                let bytes = argument.bytes.into();
                let access = Access::User;
                let memory = Memory { base: address, offset: *offset, bytes, shift: 0, bits, signed, access };
                Some(Value::Memory(Box::new(memory)))
            }
            Place::Unsupported(_) => None,
        };
        Field {
            name: format!("arg{number}"),
            c_type: format!("{}int{bits}_t", if signed { "" } else { "u" }),
            content: match value {
                Some(value) => Content::Value(Typed::number(value, bits, signed)),
                None => Content::Unusable("where it is, is written in a way that is not understood"),
            },
        }
    });
    Record { fields: fields.collect(), result: None }
}
