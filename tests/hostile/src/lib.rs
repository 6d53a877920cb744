//! Nothing of its own: the attacks are this crate's examples.
