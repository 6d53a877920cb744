//! Questions, whose answers are tables.

use wasmtime::component::LinkerInstance;

use super::long_function;
use crate::sandbox::call::Call;
use crate::sandbox::questions::{filter, group, sort};
use crate::sandbox::wit::{Aggregate, Condition};

pub(super) fn questions(questions: &mut LinkerInstance<'_, Call>) -> wasmtime::Result<()> {
    long_function(questions, "filter", |call, (table, every): (u32, Vec<Condition>)| {
        let table = call.table(table)?;
        let answer = filter(&mut call.work, &table, &every)?;
        Ok(call.derive(answer)?)
    })?;
    long_function(questions, "group", |call, (table, by, show): (u32, Vec<u32>, Vec<Aggregate>)| {
        let table = call.table(table)?;
        let answer = group(&mut call.work, &table, &by, &show)?;
        Ok(call.derive(answer)?)
    })?;
    long_function(questions, "sort", |call, (table, by, descending, limit): (u32, u32, bool, u32)| {
        let table = call.table(table)?;
        let answer = sort(&mut call.work, &table, by, descending, limit)?;
        Ok(call.derive(answer)?)
    })
}
