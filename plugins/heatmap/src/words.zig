//! What the picture says in words.

const std = @import("std");
const Column = @import("history.zig").Column;
const Escaped = @import("xml.zig").Escaped;
const Quantity = @import("quantity.zig").Quantity;
const Writer = std.Io.Writer;

const max_characters = 90;

/// A text for one line.
pub const Heading = struct {
    text: []const u8,

    pub fn format(heading: Heading, out: *Writer) Writer.Error!void {
        var characters: usize = 0;
        for (heading.text, 0..) |byte, end| {
            const begins = byte & 0xc0 != 0x80;
            if (begins) characters += 1;
            if (characters > max_characters) return out.print("{f}…", .{Escaped{ .text = heading.text[0..end] }});
        }
        try out.print("{f}", .{Escaped{ .text = heading.text }});
    }
};

/// A value with its unit, which comes from elsewhere.
pub const Label = struct {
    value: f64,
    unit: []const u8,

    pub fn format(label: Label, out: *Writer) Writer.Error!void {
        var buffer: [64]u8 = undefined;
        var text: Writer = .fixed(&buffer);
        // No unit is so long.
        text.print("{f}", .{Quantity{ .value = label.value, .unit = label.unit }}) catch {};
        try out.print("{f}", .{Escaped{ .text = text.buffered() }});
    }
};

/// An interval in words.
pub const Summary = struct {
    column: Column,
    unit: []const u8,

    pub fn format(summary: Summary, out: *Writer) Writer.Error!void {
        const column = summary.column;
        if (column.total == 0) return out.writeAll("no values");
        try out.print("{d} value{s}", .{ column.total, if (column.total == 1) "" else "s" });
        for ([_][]const u8{ "p50", "p99" }, column.quantiles) |name, bound| {
            if (std.math.isFinite(bound)) {
                try out.print(", {s} below {f}", .{ name, Label{ .value = bound, .unit = summary.unit } });
            } else {
                try out.print(", {s} not known", .{name});
            }
        }
        if (column.incomplete) try out.writeAll(", not complete");
    }
};
