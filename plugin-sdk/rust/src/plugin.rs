//! What a plugin is, and how it is exported.

use std::marker::PhantomData;

use crate::bindings::exports::weir::plugin::analysis::Guest;
use crate::bindings::weir::plugin::types;
use crate::{Failure, Result};

/// A plugin, exported with [`export!`](crate::export).
///
/// Every interval has a fresh instance, so there is nothing to remember in it: what is to outlive the call goes into
/// [`state`](crate::state). The fields hold what `configure` read.
pub trait Plugin: Default {
    /// Looks at the options, and at the columns of the tables. It is called before anything is attached, so that
    /// what is wrong is told before anything runs, when tables have no rows yet; and again before each `analyze`.
    fn configure(&mut self) -> Result {
        Ok(())
    }

    /// Looks at an interval's tables, and says something about them.
    fn analyze(&mut self) -> Result;
}

/// Makes a type that is a [`Plugin`] what this component exports.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            type Exported = $crate::Exported<$plugin>;
    $crate::bindings::export!(Exported with_types_in $crate::bindings);
        };
        // Elsewhere there is no host to export to; tests and checks see the same types.
        #[cfg(not(target_family = "wasm"))]
        const _: fn() = $crate::check::<$plugin>;
    };
}

#[doc(hidden)]
#[derive(Debug)]
pub struct Exported<P>(PhantomData<P>);

impl<P: Plugin> Guest for Exported<P> {
    fn configure() -> Result<(), types::Failure> {
        log_panics();
        configured::<P>().map(drop).map_err(Failure::into_host)
    }

    fn analyze() -> Result<(), types::Failure> {
        log_panics();
        configured::<P>().and_then(|mut plugin| plugin.analyze()).map_err(Failure::into_host)
    }
}

/// A panic becomes a trap, which says nothing; the log is kept.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| crate::log(crate::Severity::Critical, panic)));
}

pub(crate) fn configured<P: Plugin>() -> Result<P> {
    let mut plugin = P::default();
    plugin.configure()?;
    Ok(plugin)
}

#[doc(hidden)]
pub fn check<P: Plugin>() {}
