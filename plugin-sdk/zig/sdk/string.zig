//! Texts and lists on their way to the host and back.

const std = @import("std");
const c = @import("bindings");
const heap = @import("heap.zig");
const Text = @import("text.zig").Text;

/// Any value as a text: texts as they are, numbers in decimal, enumerations by name, and what has a function `format`
/// by that.
pub fn toString(value: anytype) error{OutOfMemory}![]const u8 {
    const T = @TypeOf(value);
    switch (@typeInfo(T)) {
        .int, .comptime_int, .float, .comptime_float => return heap.arena.print("{d}", .{value}),
        .bool => return if (value) "true" else "false",
        .@"enum", .enum_literal => return @tagName(value),
        .pointer => return value,
        else => return heap.arena.print("{f}", .{value}),
    }
}

/// A text as it crosses the boundary, where only UTF-8 can: anything else is escaped as `Text` prints it.
pub fn lower(text: []const u8) error{OutOfMemory}!c.plugin_string_t {
    const valid = if (std.unicode.utf8ValidateSlice(text)) text else try (Text{ .bytes = text }).toString();
    return list(c.plugin_string_t, valid);
}

/// A list as it crosses the boundary. Where an empty slice points to is nowhere that the host would accept.
pub fn list(comptime List: type, cells: anytype) List {
    return .{ .ptr = if (cells.len > 0) @constCast(cells.ptr) else null, .len = cells.len };
}

/// A text that the host handed over.
pub fn lift(text: c.plugin_string_t) []const u8 {
    return slice(u8, text);
}

/// A list that the host handed over. C's integers are types of their own, of the same bits.
pub fn slice(comptime T: type, cells: anytype) []const T {
    if (cells.len == 0) return &.{};
    return @as([*]const T, @ptrCast(cells.ptr))[0..cells.len];
}
