//! Finds compilers for the kernel side and for plugins.
