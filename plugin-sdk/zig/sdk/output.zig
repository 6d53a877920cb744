//! What a plugin says. It is kept only if `analyze` returns without an error; log lines always.
//!
//! The labels of a metric and the fields of a report are a structure, `.{ .table = table.name, .pid = 12 }`. Where
//! their names are known only then, they are `.{ try weir.label(name, 12) }`, or a slice of `Label`.

const std = @import("std");
const c = @import("bindings");
const heap = @import("heap.zig");
const failure = @import("failure.zig");
const string = @import("string.zig");
const Error = failure.Error;
const Table = @import("table.zig").Table;

/// From the least to the most urgent.
pub const Severity = enum(u8) { debug, info, warning, critical };

pub const Label = struct {
    name: []const u8,
    value: []const u8,
};

/// With any value: texts as they are, numbers in decimal, and what has a function `format` by that.
pub fn label(name: []const u8, value: anytype) error{OutOfMemory}!Label {
    return .{ .name = name, .value = try string.toString(value) };
}

/// A number that only grows: by how much it grew since the last call. The host keeps its total.
pub fn add(metric: []const u8, delta: anytype, labels: anytype) Error!void {
    var name = try string.lower(metric);
    var list = try lower(labels);
    var err: c.weir_plugin_types_failure_t = undefined;
    if (!c.weir_plugin_output_add(&name, &list, float(delta), &err)) return failure.refused(err);
}

/// A number as it is now.
pub fn gauge(metric: []const u8, value: anytype, labels: anytype) Error!void {
    var name = try string.lower(metric);
    var list = try lower(labels);
    var err: c.weir_plugin_types_failure_t = undefined;
    if (!c.weir_plugin_output_gauge(&name, &list, float(value), &err)) return failure.refused(err);
}

/// A row's histogram, passed on whole.
pub fn histogram(metric: []const u8, table: Table, row: u32, column: []const u8, labels: anytype) Error!void {
    var name = try string.lower(metric);
    var list = try lower(labels);
    const place = try table.find(column);
    var err: c.weir_plugin_types_failure_t = undefined;
    if (!c.weir_plugin_output_histogram(&name, &list, table.number, row, place, &err)) return failure.refused(err);
}

/// Something for a person to read. `code` names its sort, and is always the same, for programs to select by; `title` is
/// one line; the fields are shown in their order.
pub fn report(level: Severity, code: []const u8, title: []const u8, fields: anytype) Error!void {
    var sort = try string.lower(code);
    var line = try string.lower(title);
    var list = try lower(fields);
    var err: c.weir_plugin_types_failure_t = undefined;
    if (!c.weir_plugin_output_report(@backingInt(level), &sort, &line, &list, &err)) return failure.refused(err);
}

/// Appends to a file that this interval leaves behind.
pub fn artefact(name: []const u8, media_type: []const u8, chunk: []const u8) Error!void {
    var file = try string.lower(name);
    var media = try string.lower(media_type);
    var bytes = string.list(c.plugin_list_u8_t, chunk);
    var err: c.weir_plugin_types_failure_t = undefined;
    if (!c.weir_plugin_output_artefact(&file, &media, &bytes, &err)) return failure.refused(err);
}

/// A file that this interval leaves behind, to be printed to:
///
///     var buffer: [16 * 1024]u8 = undefined;
///     var file: weir.Artefact = .init("stacks.txt", "text/plain", &buffer);
///     try file.writer.print("{f} {d}\n", .{ stack, count });
///     try file.writer.flush();
pub const Artefact = struct {
    name: []const u8,
    media_type: []const u8,
    writer: std.Io.Writer,

    pub fn init(name: []const u8, media_type: []const u8, buffer: []u8) Artefact {
        const vtable: *const std.Io.Writer.VTable = &.{ .drain = drain };
        return .{ .name = name, .media_type = media_type, .writer = .{ .vtable = vtable, .buffer = buffer } };
    }

    fn drain(writer: *std.Io.Writer, data: []const []const u8, splat: usize) std.Io.Writer.Error!usize {
        const file: *Artefact = @alignCast(@fieldParentPtr("writer", writer));
        try file.append(writer.buffered());
        writer.end = 0;
        var len: usize = 0;
        for (data[0 .. data.len - 1]) |chunk| {
            try file.append(chunk);
            len += chunk.len;
        }
        for (0..splat) |_| try file.append(data[data.len - 1]);
        return len + splat * data[data.len - 1].len;
    }

    fn append(file: *Artefact, chunk: []const u8) std.Io.Writer.Error!void {
        if (chunk.len == 0) return;
        artefact(file.name, file.media_type, chunk) catch {
            failure.rename(error.WriteFailed);
            return error.WriteFailed;
        };
    }
};

/// A line for whoever writes or runs the plugin, kept even if the call fails. `std.log` comes here, too.
pub fn log(level: Severity, comptime message: []const u8, args: anytype) void {
    var buffer: [4096]u8 = undefined;
    var writer: std.Io.Writer = .fixed(&buffer);
    // What is longer than there is room for is cut, as the host would.
    writer.print(message, args) catch {};
    logLine(level, writer.buffered());
}

pub fn logLine(level: Severity, line: []const u8) void {
    var text = string.lower(line) catch return;
    c.weir_plugin_output_log(@backingInt(level), &text);
}

fn float(value: anytype) f64 {
    return switch (@typeInfo(@TypeOf(value))) {
        .int => @floatFromInt(value),
        else => value,
    };
}

fn lower(labels: anytype) error{OutOfMemory}!c.weir_plugin_output_list_label_t {
    switch (@typeInfo(@TypeOf(labels))) {
        .@"struct" => |fields| {
            var list: [fields.field_names.len]Label = undefined;
            inline for (&list, fields.field_names) |*each, name| {
                const value = @field(labels, name);
                each.* = if (@TypeOf(value) == Label) value else try label(name, value);
            }
            return lowerAll(&list);
        },
        else => return lowerAll(labels),
    }
}

fn lowerAll(labels: []const Label) error{OutOfMemory}!c.weir_plugin_output_list_label_t {
    const list = try heap.arena.alloc(c.weir_plugin_types_label_t, labels.len);
    for (list, labels) |*lowered, each| lowered.* = .{
        .name = try string.lower(each.name),
        .value = try string.lower(each.value),
    };
    return string.list(c.weir_plugin_output_list_label_t, list);
}
