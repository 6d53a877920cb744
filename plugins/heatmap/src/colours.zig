//! What colour a count has.

const std = @import("std");
const Column = @import("history.zig").Column;
const Writer = std.Io.Writer;

/// Up to eight ranges of counts, each some times as large as the one before. Their shades, `c0` to `c7` in the style,
/// can be told apart with any kind of colour blindness: each is darker than the one before, on a dark page brighter.
pub const Colours = struct {
    const shades = 8;

    max: u64,
    from: [shades]u64,
    /// How many ranges there are.
    len: usize,

    pub fn of(columns: []const Column) Colours {
        var colours: Colours = .{ .max = 0, .from = undefined, .len = 0 };
        for (columns) |column| for (column.buckets) |bucket| {
            colours.max = @max(colours.max, bucket.count);
        };
        var next: u64 = 1;
        while (colours.len < shades and next <= colours.max) {
            colours.from[colours.len] = next;
            colours.len += 1;
            const share = @as(f64, @floatFromInt(colours.len)) / shades;
            const power = std.math.pow(f64, @floatFromInt(colours.max), share);
            next = @max(next +| 1, std.math.lossyCast(u64, @ceil(power)));
        }
        return colours;
    }

    pub fn range(colours: Colours, number: usize) Range {
        const to = if (number + 1 < colours.len) colours.from[number + 1] - 1 else colours.max;
        return .{ .from = colours.from[number], .to = to };
    }

    /// The outermost shades are always there.
    pub fn shade(colours: Colours, number: usize) usize {
        return if (colours.len == 1) shades / 2 else number * (shades - 1) / (colours.len - 1);
    }
};

/// Counts of one colour, short enough for a legend.
pub const Range = struct {
    from: u64,
    to: u64,

    pub fn has(range: Range, count: u64) bool {
        return range.from <= count and count <= range.to;
    }

    pub fn format(range: Range, writer: *Writer) Writer.Error!void {
        try short(writer, range.from);
        if (range.to == range.from) return;
        try writer.writeAll("–");
        try short(writer, range.to);
    }

    fn short(writer: *Writer, count: u64) Writer.Error!void {
        const number: f64 = @floatFromInt(count);
        const units = [_]struct { f64, []const u8 }{ .{ 1e12, "T" }, .{ 1e9, "G" }, .{ 1e6, "M" }, .{ 1e3, "k" } };
        for (units) |unit| {
            const size, const name = unit;
            if (number >= 10 * size) return writer.print("{d:.1}{s}", .{ number / size, name });
        }
        try writer.print("{d}", .{count});
    }
};

const testing = std.testing;

test "counts have up to eight colours" {
    for ([_]u64{ 1, 2, 3, 8, 9, 1000, std.math.maxInt(u64) }) |max| {
        const column: Column = .{ .interval = 0, .buckets = &.{.{ .low = 1, .high = 2, .count = max }} };
        const colours: Colours = .of(&.{column});
        try testing.expectEqual(@min(max, 8), colours.len);
        try testing.expectEqual(1, colours.from[0]);
        try testing.expectEqual(max, colours.range(colours.len - 1).to);
        for (1..colours.len) |number| {
            try testing.expectEqual(colours.from[number] - 1, colours.range(number - 1).to);
            try testing.expect(colours.shade(number) > colours.shade(number - 1));
        }
    }
    try testing.expectEqual(0, Colours.of(&.{.{ .interval = 0, .buckets = &.{} }}).len);
}

test Range {
    try testing.expectFmt("1", "{f}", .{Range{ .from = 1, .to = 1 }});
    try testing.expectFmt("1770–9999", "{f}", .{Range{ .from = 1770, .to = 9999 }});
    try testing.expectFmt("12.3k–18446744.1T", "{f}", .{Range{ .from = 12_345, .to = std.math.maxInt(u64) }});
}
