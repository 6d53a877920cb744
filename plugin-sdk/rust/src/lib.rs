#![deny(unsafe_code)]

pub mod bindings;
mod failure;

pub use bindings::weir::plugin::output::Severity;
pub use failure::{Failure, Result};

pub trait Plugin: Default {
    fn configure(&mut self) -> Result {
        Ok(())
    }
    fn analyze(&mut self) -> Result;
}

#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            type Exported = $crate::__private::Exported<$plugin>;
            $crate::bindings::export!(Exported with_types_in $crate::bindings);
        };
        // Elsewhere there is nothing to export to, but what is checked stays the same.
        #[cfg(not(target_family = "wasm"))]
        const _: fn() = $crate::__private::check::<$plugin>;
    };
}

#[doc(hidden)]
pub mod __private {
    use std::marker::PhantomData;
    use crate::bindings::exports::weir::plugin::analysis::Guest;
    use crate::bindings::weir::plugin::types;
    use crate::{Plugin, Severity, bindings::weir::plugin::output};

    pub struct Exported<P>(PhantomData<P>);

    impl<P: Plugin> Guest for Exported<P> {
        fn configure() -> Result<(), types::Failure> {
            report_panics();
            P::default().configure().map_err(crate::Failure::to_host)
        }
        fn analyze() -> Result<(), types::Failure> {
            report_panics();
            let mut plugin = P::default();
            plugin.configure().and_then(|()| plugin.analyze()).map_err(crate::Failure::to_host)
        }
    }

    fn report_panics() {
        std::panic::set_hook(Box::new(|panic| output::log(Severity::Critical, &panic.to_string())));
    }

    pub fn check<P: Plugin>() {}
}
