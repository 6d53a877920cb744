//! What this kernel offers to attach to, and how an expression over it becomes a plan.
//!
//! [`attach`] reads a probe's name, [`Kernel`] says what its programs find there ([`record`]), from tracefs
//! or from the kernel's type information; `expression` reads what is asked for, and `plan` joins the two
//! into the sources and clauses that the kernel side executes.

mod attach;
#[allow(dead_code, unused_imports, reason = "tables are not attached to programs yet")]
pub(crate) mod binary;
mod btf;
mod expression;
mod flaw;
mod glob;
pub(crate) mod kernel;
#[allow(dead_code, reason = "tables are not attached to programs yet")]
mod locate;
pub(crate) mod nearest;
mod operand;
pub(crate) mod plan;
pub mod record;
mod tracefs;
pub(crate) mod unit;
#[allow(dead_code, unused_imports, reason = "tables are not attached to programs yet")]
pub(crate) mod usdt;

pub use attach::attach;
pub use flaw::Flaw;
pub use kernel::Kernel;
pub use plan::describe;
