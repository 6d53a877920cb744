//! Values that a program computes for an event, with every name resolved. The kernel side's code is made from them.

/// A number of 64 bits. Where it is signed is known to whoever made it; what compares and divides says so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    Constant(u64),
    /// A number in the program's context.
    Context(Load),
    Builtin(Builtin),
    /// Nanoseconds from the span's start to its end.
    Elapsed,
    /// So much-th of the values that the span saved at its start.
    Saved(u32),
    /// A number in memory.
    Memory(Box<Memory>),
    /// Only the lower bits of a value, with or without sign.
    Narrow {
        value: Box<Value>,
        bits: u32,
        signed: bool,
    },
    Negative(Box<Value>),
    Complement(Box<Value>),
    Arithmetic {
        op: Arithmetic,
        signed: bool,
        left: Box<Value>,
        right: Box<Value>,
    },
    /// 1 if it holds, 0 if it does not.
    Truth(Box<Condition>),
}

/// What does or does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// The value is not 0.
    Nonzero(Value),
    Compare {
        op: Comparison,
        signed: bool,
        left: Value,
        right: Value,
    },
    Text {
        op: TextComparison,
        text: Text,
        is: Vec<u8>,
    },
    Not(Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
}

/// How a number is read from the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Load {
    pub offset: u32,
    /// Of the load itself: 1, 2, 4 or 8, and the offset is a multiple of it unless `copied`.
    pub bytes: u32,
    /// The verifier does not allow a load there; a helper copies it.
    pub copied: bool,
    /// Of the loaded bits, those from here on
    pub shift: u32,
    /// and so many of them are the number's.
    pub bits: u32,
    pub signed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Builtin {
    Pid,
    Tid,
    Uid,
    Gid,
    Cpu,
    Numa,
    Cgroup,
    /// Of the control groups in which the task's own is, the one so many levels below the root; 0 if it is not so
    /// deep.
    Ancestor(u32),
    /// The clock, in nanoseconds.
    Now,
    /// The address of the running task, of which the kernel knows the type.
    Task,
    /// What was given with the attachment.
    Cookie,
}

/// A number at an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Memory {
    pub base: Value,
    pub offset: i64,
    pub bytes: u32,
    /// Of the bits read, those from here on
    pub shift: u32,
    /// and so many of them are the number's.
    pub bits: u32,
    pub signed: bool,
    pub access: Access,
}

/// How memory is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// By a load, for the kernel knows that the base is a pointer to a structure.
    Typed,
    /// By a helper that copies from the kernel's memory.
    Kernel,
    /// By a helper that copies from the process's memory.
    User,
    /// By either helper, as the address itself tells: of a text, whose place no type has told.
    Either,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Text {
    /// The thread's name.
    Comm,
    /// Bytes in the context, up to so many or the first NUL.
    Context { offset: u32, bytes: u32 },
    /// A number in the context whose lower half is the offset of a text in it (`__data_loc`).
    Located { offset: u32, relative: bool },
    /// A text that ends with a NUL, at an address.
    At { address: Value, access: Access },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    /// By 0 it is 0.
    Divide,
    /// By 0 it is the number itself.
    Remainder,
    And,
    Or,
    Xor,
    Left,
    Right,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// How a text is compared with one that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextComparison {
    Equal,
    NotEqual,
    /// What is written is not empty.
    StartsWith,
}

impl Comparison {
    #[must_use]
    pub fn negated(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Less => Self::GreaterOrEqual,
            Self::LessOrEqual => Self::Greater,
            Self::Greater => Self::LessOrEqual,
            Self::GreaterOrEqual => Self::Less,
        }
    }
}

impl Value {
    /// Whether reading it can fail.
    #[must_use]
    pub fn can_fail(&self) -> bool {
        match self {
            // The running task is there.
            Self::Memory(memory) => {
                memory.access != Access::Typed || memory.base != Self::Builtin(Builtin::Task)
            }
            Self::Narrow { value, .. } | Self::Negative(value) | Self::Complement(value) => value.can_fail(),
            Self::Arithmetic { left, right, .. } => left.can_fail() || right.can_fail(),
            Self::Constant(_)
            | Self::Context(_)
            | Self::Builtin(_)
            | Self::Elapsed
            | Self::Saved(_)
            // What cannot be read makes a condition false.
            | Self::Truth(_) => false,
        }
    }

    /// Whether it, or anything that it is made of, is so.
    pub fn any(&self, is: &mut impl FnMut(&Value) -> bool) -> bool {
        is(self)
            || match self {
                Self::Memory(memory) => memory.base.any(is),
                Self::Narrow { value, .. } | Self::Negative(value) | Self::Complement(value) => value.any(is),
                Self::Arithmetic { left, right, .. } => left.any(is) || right.any(is),
                Self::Truth(condition) => condition.any(is),
                _ => false,
            }
    }
}

impl Condition {
    /// Whether something in it may not be there to be read.
    #[must_use]
    pub fn can_fail(&self) -> bool {
        match self {
            Self::Nonzero(value) => value.can_fail(),
            Self::Compare { left, right, .. } => left.can_fail() || right.can_fail(),
            Self::Text { text, .. } => text.can_fail(),
            Self::Not(condition) => condition.can_fail(),
            Self::And(left, right) | Self::Or(left, right) => left.can_fail() || right.can_fail(),
        }
    }

    /// Whether any value in it is so.
    pub fn any(&self, is: &mut impl FnMut(&Value) -> bool) -> bool {
        match self {
            Self::Nonzero(value) => value.any(is),
            Self::Compare { left, right, .. } => left.any(is) || right.any(is),
            Self::Text { text, .. } => text.any(is),
            Self::Not(condition) => condition.any(is),
            Self::And(left, right) | Self::Or(left, right) => left.any(is) || right.any(is),
        }
    }
}

impl Text {
    #[must_use]
    pub fn can_fail(&self) -> bool {
        matches!(self, Self::At { .. })
    }

    /// Whether any value in it is so.
    pub fn any(&self, is: &mut impl FnMut(&Value) -> bool) -> bool {
        match self {
            Self::At { address, .. } => address.any(is),
            _ => false,
        }
    }
}
