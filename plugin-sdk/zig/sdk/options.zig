//! The operator's settings.

const std = @import("std");
const c = @import("bindings");
const Error = @import("failure.zig").Error;
const fail = @import("failure.zig").fail;
const string = @import("string.zig");

/// Reads settings into a structure with a field for each, and a default for each that may be absent:
///
///     const Options = struct { threshold: []const u8, limit: u32 = 10, only: ?[]const u8 = null };
///
/// A field is a text, a `bool`, an integer (what does not fit is refused), a float, an enumeration (a text that is one
/// of its names), or one of these that can be null. Whatever is wrong is a failure with the reason `option`, which says
/// what would be right.
pub fn parse(comptime T: type) (Error || error{Failed})!T {
    const fields = @typeInfo(T).@"struct";
    var all: T = undefined;
    inline for (fields.field_names, fields.field_types, fields.field_attrs) |name, Field, attrs| {
        const optional = @typeInfo(Field) == .optional;
        const Value = if (optional) @typeInfo(Field).optional.child else Field;
        @field(all, name) = if (try value(Value, name)) |given|
            given
        else if (comptime attrs.defaultValue(Field)) |default|
            default
        else if (optional)
            null
        else
            return fail("option", "option {s}: it has to be given, {s}", .{ name, wanted(Value) });
    }
    return all;
}

fn value(comptime T: type, comptime name: []const u8) (Error || error{Failed})!?T {
    switch (@typeInfo(T)) {
        .bool => if (flag(name)) |given| return given,
        .int => if (integer(name)) |given| return std.math.cast(T, given) orelse fail(
            "option",
            "option " ++ name ++ ": {d} to {d} are possible",
            .{ std.math.minInt(T), std.math.maxInt(T) },
        ),
        .float => if (number(name)) |given| return @floatCast(given),
        .@"enum" => |names| if (text(name)) |given| return std.meta.stringToEnum(T, given) orelse fail(
            "option",
            "option " ++ name ++ ": {s} are possible",
            .{comptime join(names.field_names)},
        ),
        .pointer => if (text(name)) |given| return given,
        else => @compileError("option " ++ name ++ " is of no type that an option can have: " ++ @typeName(T)),
    }
    // Absent, or of another type, which a default would hide.
    const other = if (text(name) != null)
        "a text"
    else if (integer(name) != null)
        "an integer"
    else if (number(name) != null)
        "a number"
    else if (flag(name) != null)
        "true or false"
    else
        return null;
    return fail("option", "option {s}: {s} is needed, and this is {s}", .{ name, wanted(T), other });
}

fn wanted(comptime T: type) []const u8 {
    return switch (@typeInfo(T)) {
        .bool => "true or false",
        .int => "an integer",
        .float => "a number",
        .@"enum" => |names| "one of " ++ comptime join(names.field_names),
        else => "a text",
    };
}

fn join(comptime names: []const [:0]const u8) []const u8 {
    comptime var joined: []const u8 = "";
    inline for (names, 0..) |name, place| joined = joined ++ (if (place > 0) ", " else "") ++ name;
    return joined;
}

pub fn text(name: []const u8) ?[]const u8 {
    var key = string.lower(name) catch return null;
    var setting: c.plugin_string_t = undefined;
    return if (c.weir_plugin_options_text(&key, &setting)) string.lift(setting) else null;
}

pub fn integer(name: []const u8) ?i64 {
    var key = string.lower(name) catch return null;
    var setting: i64 = undefined;
    return if (c.weir_plugin_options_integer(&key, &setting)) setting else null;
}

pub fn number(name: []const u8) ?f64 {
    var key = string.lower(name) catch return null;
    var setting: f64 = undefined;
    return if (c.weir_plugin_options_number(&key, &setting)) setting else null;
}

pub fn flag(name: []const u8) ?bool {
    var key = string.lower(name) catch return null;
    var setting: bool = undefined;
    return if (c.weir_plugin_options_flag(&key, &setting)) setting else null;
}
