//! What an expression turns out to be.

use super::record::{Names, Type, Typed};
use crate::table::{Access, Condition, Text, Value};

/// What an expression is, once its names are known.
#[derive(Clone, Debug)]
pub(crate) enum Meaning {
    Number(Number),
    /// An address, at which there is something of a type of the kernel's.
    Pointer {
        value: Value,
        to: u32,
        access: Access,
    },
    /// A structure or an array in memory.
    Aggregate {
        base: Value,
        offset: i64,
        id: u32,
        access: Access,
    },
    /// An array in the context.
    Values(Vec<Typed>),
    /// Text of at most so many bytes.
    Text(Text, u32),
    /// Text as it was written.
    Literal(Vec<u8>),
    Truth(Condition),
    KernelStack,
    UserStack,
    CgroupPath,
    Container,
    Probe,
}

#[derive(Clone, Debug)]
pub(crate) struct Number {
    pub(crate) value: Value,
    /// Without the extension of its sign.
    pub(crate) bits: u32,
    pub(crate) signed: bool,
    /// "ns", or "" where it is not known.
    pub(crate) unit: &'static str,
    pub(crate) names: Option<Names>,
    /// It was written as it is.
    pub(crate) literal: bool,
}

impl Number {
    pub(crate) fn new(value: Value, bits: u32, signed: bool) -> Self {
        Self { value, bits, signed, unit: "", names: None, literal: false }
    }

    pub(crate) fn literal(value: u64, signed: bool) -> Self {
        let bits = if signed { 64 } else { 64 - value.leading_zeros() };
        Self { literal: true, ..Self::new(Value::Constant(value), bits, signed) }
    }

    pub(crate) fn with_unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    /// The number itself, if it was written.
    pub(crate) fn written(&self) -> Option<i128> {
        match self.value {
            Value::Constant(value) if self.literal && self.signed => Some(value.cast_signed().into()),
            Value::Constant(value) if self.literal => Some(value.into()),
            _ => None,
        }
    }

    /// Whether every value that it can have is one of a signed number of 64 bits.
    pub(crate) fn fits_signed(&self) -> bool {
        self.signed || self.bits < 64
    }

    /// The values that it can have.
    pub(crate) fn range(&self) -> (i128, i128) {
        match self.signed {
            true => (-(1i128 << (self.bits - 1)), (1i128 << (self.bits - 1)) - 1),
            false => (0, (1i128 << self.bits) - 1),
        }
    }
}

impl From<Typed> for Meaning {
    fn from(typed: Typed) -> Self {
        match typed.kind {
            Type::Integer { bits, signed, names } => {
                Self::Number(Number { names, ..Number::new(typed.value, bits, signed) })
            }
            Type::Pointer { to, access } => Self::Pointer { value: typed.value, to, access },
        }
    }
}

impl Meaning {
    /// What it is, in a message.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Number(_) | Self::Truth(_) => "a number",
            Self::Pointer { .. } => "an address",
            Self::Aggregate { .. } => "a structure or an array",
            Self::Values(_) => "an array",
            Self::Text(..) | Self::Literal(_) | Self::CgroupPath | Self::Container | Self::Probe => "text",
            Self::KernelStack | Self::UserStack => "a stack",
        }
    }
}
