//! What this machine offers to attach to, and what an expression means there.
//!
//! [`attach`] reads a probe's name, and [`Kernel`] says which points are meant by it and what programs find there
//! ([`record`]): from tracefs, from the kernel's type information (`btf`), from the registers that calls use
//! (`registers`), or from notes in a program (`binary`, `usdt`). `expression` reads what is asked for, `resolve` says
//! what it means at one probe, and `plan` does so for all expressions of a table at all of its probes.

mod attach;
mod binary;
mod btf;
mod describe;
mod expression;
mod fields;
mod flaw;
pub(crate) mod glob;
pub(crate) mod kernel;
mod list;
mod locate;
mod meaning;
mod names;
pub(crate) mod nearest;
mod operand;
pub(crate) mod plan;
mod programs;
pub mod record;
mod registers;
mod resolve;
mod tracefs;
pub(crate) mod unit;
mod usdt;
pub(crate) mod used;

pub(crate) use attach::pattern;
pub(crate) use binary::MOST_MATCHES;
pub use describe::describe;
pub use flaw::Flaw;
pub use kernel::Kernel;
pub(crate) use kernel::tracepoint_id;
pub(crate) use locate::locate;
pub(crate) use programs::{Found, Open, Wanted, search};
