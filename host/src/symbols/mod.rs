//! Stacks of addresses, as the kernel collects them, as text. Its form is documented in [`text`].

mod demangle;
mod text;
