//! A few kilobytes that outlive the call: 64 KiB and 1,024 keys. What a call that fails stored is gone.

const c = @import("bindings");
const failure = @import("failure.zig");
const string = @import("string.zig");

/// What was stored under this key, if anything was.
pub fn load(key: []const u8) failure.Error!?[]const u8 {
    var name = try string.lower(key);
    var value: c.plugin_list_u8_t = undefined;
    return if (c.weir_plugin_state_load(&name, &value)) string.slice(u8, value) else null;
}

/// Fails with `TooLarge` if there is no room for it.
pub fn store(key: []const u8, value: []const u8) failure.Error!void {
    var name = try string.lower(key);
    var bytes = string.list(c.plugin_list_u8_t, value);
    var err: c.weir_plugin_types_failure_t = undefined;
    if (!c.weir_plugin_state_store(&name, &bytes, &err)) return failure.refused(err);
}

pub fn remove(key: []const u8) failure.Error!void {
    var name = try string.lower(key);
    c.weir_plugin_state_remove(&name);
}
