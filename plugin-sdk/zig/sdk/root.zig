//! What is compiled: the project's `src/plugin.zig`, exported, with its panics and logs going to Weir.

const weir = @import("weir");

pub const panic = weir.panic;
pub const std_options = weir.std_options;

comptime {
    weir.exportPlugin(@import("plugin"));
}
