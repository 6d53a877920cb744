//! The functions that a plugin imports. None of them traps on account of its arguments: what is refused is
//! refused with a value. Only a call that has used up what it may use is ended.

mod asking;
mod giving;
mod reading;

use wasmtime::component::{ComponentNamedList, Lift, Linker, LinkerInstance, Lower};

use super::call::Call;
use super::wit::Failure;
use super::work::{Refusal, Stop};

/// The interfaces of the package.
pub(super) const INTERFACES: [&str; 7] = [
    "weir:plugin/types@0.1.0",
    "weir:plugin/interval@0.1.0",
    "weir:plugin/tables@0.1.0",
    "weir:plugin/questions@0.1.0",
    "weir:plugin/output@0.1.0",
    "weir:plugin/state@0.1.0",
    "weir:plugin/options@0.1.0",
];

pub(super) fn offer(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    let [types, interval, tables, questions, output, state, options] = INTERFACES;
    // No functions, but a component imports the types of the others from there.
    linker.instance(types)?;
    giving::interval(&mut linker.instance(interval)?)?;
    reading::tables(&mut linker.instance(tables)?)?;
    asking::questions(&mut linker.instance(questions)?)?;
    giving::output(&mut linker.instance(output)?)?;
    giving::state(&mut linker.instance(state)?)?;
    giving::options(&mut linker.instance(options)?)
}

/// Offers one function. Every call of it is counted first.
pub(super) fn function<P, R>(
    instance: &mut LinkerInstance<'_, Call>,
    name: &str,
    body: fn(&mut Call, P) -> R,
) -> wasmtime::Result<()>
where
    P: ComponentNamedList + Lift + 'static,
    R: ComponentNamedList + Lower + 'static,
{
    instance.func_wrap(name, move |mut store, arguments: P| {
        let call: &mut Call = store.data_mut();
        call.enter()?;
        Ok(body(call, arguments))
    })
}

/// Offers a function whose work can end the call.
fn long_function<P, R>(
    instance: &mut LinkerInstance<'_, Call>,
    name: &str,
    body: fn(&mut Call, P) -> Result<R, Refusal>,
) -> wasmtime::Result<()>
where
    P: ComponentNamedList + Lift + 'static,
    R: Lower + 'static,
{
    instance.func_wrap(name, move |mut store, arguments: P| {
        let call: &mut Call = store.data_mut();
        call.enter()?;
        Ok((value(body(call, arguments))?,))
    })
}

/// A refusal that is a value for the guest, or the end of its call.
fn value<T>(result: Result<T, Refusal>) -> Result<Result<T, Failure>, Stop> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Refusal::Failure(failure)) => Ok(Err(failure)),
        Err(Refusal::Stop(stop)) => Err(stop),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
    use wit_parser::{ManglingAndAbi, Resolve};

    use crate::sandbox::{compile, engine};

    const OURS: &str = "plugin-sdk/wit/weir.wit";

    /// A component that imports all of a world, the last file's, and exports what it should.
    fn everything(files: &[&str], world: &str) -> Vec<u8> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut resolve = Resolve::default();
        let packages: Vec<_> =
            files.iter().map(|file| resolve.push_file(folder.join(file)).unwrap()).collect();
        let world = resolve.select_world(&packages[packages.len() - 1..], Some(world)).unwrap();
        let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
        ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
    }

    #[test]
    fn all_that_the_interface_has_is_offered_as_it_says() {
        let engine = engine::engine(engine::Bound::Time).unwrap();
        let component =
            wasmtime::component::Component::from_binary(&engine, &everything(&[OURS], "plugin")).unwrap();
        let imported: Vec<_> =
            component.component_type().imports(&engine).map(|(name, _)| name.to_owned()).collect();
        assert_eq!(imported.len(), super::INTERFACES.len(), "{imported:?}");
        compile::fits(&engine, &component).unwrap();
    }

    #[test]
    fn all_of_wasi_is_offered_as_it_says() {
        let engine = engine::engine(engine::Bound::Time).unwrap();
        let bytes = everything(&[OURS, "tests/hostile/wasi/wasi.wit"], "guest");
        let component = wasmtime::component::Component::from_binary(&engine, &bytes).unwrap();
        let imports = component.component_type();
        let imported = imports.imports(&engine).filter(|(name, _)| name.starts_with("wasi:")).count();
        assert_eq!(imported, 28);
        compile::fits(&engine, &component).unwrap();
    }
}
