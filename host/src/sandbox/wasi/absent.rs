//! Functions of what is not there, answered by their types: lists are empty, options are none, and what can fail is
//! refused. Some cannot be answered like that. They are methods of what there is none of, or of no use to a plugin; so
//! one that is called all the same ends the call.

use wasmtime::component::types::{ComponentFunc, Type};
use wasmtime::component::{LinkerInstance, Val};
use wasmtime::{AsContextMut, StoreContextMut};

use crate::sandbox::call::Call;
use crate::sandbox::limits::NAME_BYTES;
use crate::sandbox::outputs::cut;

/// How WASI's errors say that something is refused, the best one first. For a stream, the end of it is all there is.
const REFUSALS: [&str; 5] = ["access-denied", "not-permitted", "not-supported", "unsupported", "closed"];

pub(super) fn define(
    instance: &mut LinkerInstance<'_, Call>,
    import: &str,
    name: &str,
    function: &ComponentFunc,
) -> wasmtime::Result<()> {
    // Names can be long, and are kept with the plugin.
    let (answer, path) = (answer(function), cut(&format!("{import}#{name}"), NAME_BYTES));
    instance.func_new(name, move |mut store, _, arguments, results| {
        store.data_mut().enter()?;
        arguments.iter().try_for_each(|argument| let_go(&mut store, argument))?;
        match (&answer, results) {
            (Some(answer), [result]) => *result = answer.clone(),
            _ => wasmtime::bail!("the plugin called {path}, which is not there"),
        }
        Ok(())
    })
}

fn answer(function: &ComponentFunc) -> Option<Val> {
    match function.results().next()? {
        Type::List(_) => Some(Val::List(Vec::new())),
        Type::Option(_) => Some(Val::Option(None)),
        Type::Result(result) => {
            let error = match result.err() {
                None => None,
                Some(error) => Some(Box::new(refusal(&error)?)),
            };
            Some(Val::Result(Err(error)))
        }
        _ => None,
    }
}

fn refusal(error: &Type) -> Option<Val> {
    match error {
        Type::Enum(error) => {
            let found = REFUSALS.iter().find(|refusal| error.names().any(|name| name == **refusal));
            found.map(|refusal| Val::Enum((*refusal).to_owned()))
        }
        Type::Variant(error) => {
            let is = |refusal: &str| error.cases().any(|case| case.name == refusal && case.ty.is_none());
            let found = REFUSALS.iter().find(|refusal| is(refusal));
            found.map(|refusal| Val::Variant((*refusal).to_owned(), None))
        }
        _ => None,
    }
}

/// Handles that came as arguments are entries in a table of the store until they are let go of; and what was borrowed
/// has to be by the end of the call. Types are nested no deeper than Wasmtime's own bound.
fn let_go(store: &mut StoreContextMut<'_, Call>, value: &Val) -> wasmtime::Result<()> {
    match value {
        Val::Resource(handle) => handle.resource_drop(store.as_context_mut()),
        Val::List(values) | Val::Tuple(values) | Val::FixedLengthList(values) => {
            values.iter().try_for_each(|value| let_go(store, value))
        }
        Val::Map(pairs) => pairs.iter().try_for_each(|(key, value)| {
            let_go(store, key)?;
            let_go(store, value)
        }),
        Val::Record(fields) => fields.iter().try_for_each(|(_, value)| let_go(store, value)),
        Val::Variant(_, Some(value))
        | Val::Option(Some(value))
        | Val::Result(Ok(Some(value)) | Err(Some(value))) => let_go(store, value),
        _ => Ok(()),
    }
}
