//! The interval that the tables belong to: the only clock there is.

const c = @import("bindings");

/// Counted from 0.
pub fn number() u64 {
    return c.weir_plugin_interval_number();
}

/// Since 1970-01-01T00:00:00Z.
pub const Instant = struct { seconds: u64, nanoseconds: u32 };

/// The wall clock's time at its beginning.
pub fn began() Instant {
    var instant: c.weir_plugin_types_instant_t = undefined;
    c.weir_plugin_interval_began(&instant);
    return .{ .seconds = instant.seconds, .nanoseconds = instant.nanoseconds };
}

/// Its length in seconds: what to divide by for a rate.
pub fn seconds() f64 {
    return c.weir_plugin_interval_length();
}

/// Intervals that this plugin was not called for since its last call.
pub fn skipped() u32 {
    return c.weir_plugin_interval_skipped();
}

/// This is the last call of the run.
pub fn isLast() bool {
    return c.weir_plugin_interval_is_last();
}
