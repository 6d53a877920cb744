//! Values with their unit, as people read them.

const std = @import("std");

/// Nanoseconds print exactly in the largest unit of which there is at least one: 1500000 is `1.5ms`, which options of
/// other plugins take back. What has another unit prints as a number and the unit.
pub const Quantity = struct {
    value: f64,
    unit: []const u8,

    pub fn format(quantity: Quantity, writer: *std.Io.Writer) std.Io.Writer.Error!void {
        const is_time = std.mem.eql(u8, quantity.unit, "ns");
        if (!is_time or quantity.value < 0 or !(quantity.value < 0x1p64)) {
            const space = if (quantity.unit.len > 0) " " else "";
            return writer.print("{d}{s}{s}", .{ quantity.value, space, quantity.unit });
        }
        const nanoseconds: u64 = @intFromFloat(quantity.value);
        const units = [_]struct { []const u8, u64, usize }{
            .{ "s", 1_000_000_000, 9 }, .{ "ms", 1_000_000, 6 }, .{ "us", 1_000, 3 }, .{ "ns", 1, 0 },
        };
        for (units) |unit| {
            const name, const size, const digits = unit;
            if (nanoseconds < size and size > 1) continue;
            try writer.print("{d}", .{nanoseconds / size});
            if (nanoseconds % size > 0) {
                var fraction: [9]u8 = undefined;
                // As many digits as the unit has zeros.
                const zeros: std.fmt.Options = .{ .width = digits, .fill = '0' };
                const len = std.fmt.printInt(&fraction, nanoseconds % size, 10, .lower, zeros);
                try writer.print(".{s}", .{std.mem.trimEnd(u8, fraction[0..len], "0")});
            }
            return writer.writeAll(name);
        }
    }
};

test Quantity {
    const cases = [_]struct { f64, []const u8, []const u8 }{
        .{ 0, "ns", "0ns" },
        .{ 999, "ns", "999ns" },
        .{ 1024, "ns", "1.024us" },
        .{ 8388608, "ns", "8.388608ms" },
        .{ 10_000_000, "ns", "10ms" },
        .{ 1_000_000_001, "ns", "1.000000001s" },
        .{ 0x1p63, "ns", "9223372036.854775808s" },
        .{ -5, "ns", "-5 ns" },
        .{ 4096, "", "4096" },
        .{ 0.5, "bytes", "0.5 bytes" },
        .{ std.math.inf(f64), "ns", "inf ns" },
    };
    for (cases) |case| {
        try std.testing.expectFmt(case[2], "{f}", .{Quantity{ .value = case[0], .unit = case[1] }});
    }
}
