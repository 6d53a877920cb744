//! Questions about a table, answered here so that a plugin need not pull what it only wants to add up.
//!
//! Answers are exact and the same everywhere: integers are compared as integers whatever their signs, sums of
//! integers are modulo 2^64 like those of the tables themselves, sums of floats are in the order of rows.

mod filter;
mod group;
mod sort;

pub(super) use filter::filter;
pub(super) use group::group;
pub(super) use sort::sort;

use super::limits::QUESTION_TERMS;
use super::wit::Failure;

fn few(what: &str, count: usize) -> Result<(), Failure> {
    if count <= QUESTION_TERMS {
        return Ok(());
    }
    Err(Failure::new("too-large", format!("a question has no more than {QUESTION_TERMS} {what}")))
}

fn unknown(what: &str, name: &str, known: &str) -> Failure {
    let name = super::outputs::cut(name, 32);
    Failure::new("unknown", format!("{what} {name:?} is not known; known: {known}"))
}

fn wrong_kind(op: &str, table: &super::view::Table, column: u32) -> Failure {
    let kind = table.column(column).map_or("unknown", |column| column.kind.name());
    Failure::new("kind", format!("{op} does not apply to a column of kind {kind}"))
}

#[cfg(test)]
mod tests;
