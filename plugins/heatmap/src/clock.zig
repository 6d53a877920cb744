//! Times of day, in UTC.

const std = @import("std");
const Column = @import("history.zig").Column;

pub const Clock = struct {
    ms: u64,
    shown: enum { date, time, fine },

    pub fn date(column: Column) Clock {
        return .{ .ms = column.began_ms, .shown = .date };
    }

    pub fn time(column: Column) Clock {
        return .{ .ms = column.began_ms, .shown = .time };
    }

    /// With tenths of a second.
    pub fn fine(column: Column) Clock {
        return .{ .ms = column.began_ms, .shown = .fine };
    }

    pub fn format(clock: Clock, writer: *std.Io.Writer) std.Io.Writer.Error!void {
        const seconds = clock.ms / 1000;
        const day = seconds % 86_400;
        switch (clock.shown) {
            .date => {
                // A recording can claim any time.
                if (seconds >= 253_402_300_800) return writer.writeAll("a day after 9999");
                const epoch: std.time.epoch.EpochSeconds = .{ .secs = seconds };
                const year = epoch.getEpochDay().calculateYearDay();
                const month = year.calculateMonthDay();
                try writer.print("{d:0>4}-{d:0>2}-{d:0>2}", .{ year.year, month.month.numeric(), month.day_index + 1 });
            },
            .time, .fine => {
                try writer.print("{d:0>2}:{d:0>2}:{d:0>2}", .{ day / 3600, day / 60 % 60, day % 60 });
                if (clock.shown == .fine) try writer.print(".{d}", .{clock.ms % 1000 / 100});
            },
        }
    }
};

test Clock {
    try std.testing.expectFmt("2026-11-27", "{f}", .{Clock{ .ms = 1_795_762_321_339, .shown = .date }});
    try std.testing.expectFmt("06:52:01", "{f}", .{Clock{ .ms = 1_795_762_321_339, .shown = .time }});
    try std.testing.expectFmt("06:52:01.3", "{f}", .{Clock{ .ms = 1_795_762_321_339, .shown = .fine }});
    try std.testing.expectFmt("9999-12-31", "{f}", .{Clock{ .ms = 253_402_300_799_999, .shown = .date }});
    try std.testing.expectFmt("a day after 9999", "{f}", .{Clock{ .ms = std.math.maxInt(u64), .shown = .date }});
}
