//! Where things are in the picture: intervals from left to right, values upwards by their logarithm.

const std = @import("std");
const history = @import("history.zig");

// In pixels, from the upper left corner.
pub const left = 96;
pub const top = 78;
pub const width = 700;
pub const height = 330;
pub const right = left + width;
pub const bottom = top + height;

/// Few slots would make wide bars that look like more than they are.
const min_slots = 12;

pub const Frame = struct {
    first: u64,
    slots: u64,
    low: f64,
    high: f64,

    /// For at least one column, and with that many intervals at most.
    pub fn of(columns: []const history.Column, room: u64) Frame {
        const last = columns[columns.len - 1].interval;
        var frame: Frame = .{
            .first = columns[0].interval,
            .slots = @max(last - columns[0].interval + 1, @min(min_slots, room)),
            .low = std.math.inf(f64),
            .high = -std.math.inf(f64),
        };
        for (columns) |column| for (column.buckets) |bucket| {
            const from, const to = rows(bucket);
            frame.low = @min(frame.low, @floor(from));
            frame.high = @max(frame.high, @ceil(to));
        };
        if (frame.low >= frame.high) frame.low, frame.high = .{ 0, 10 };
        return frame;
    }

    /// From where to where an interval goes.
    pub fn x(frame: Frame, interval: u64) [2]u64 {
        const slot = interval - frame.first;
        return .{ left + slot * width / frame.slots, left + (slot + 1) * width / frame.slots };
    }

    pub fn y(frame: Frame, value: f64) u64 {
        return frame.at(row(value));
    }

    /// The upper and the lower edge of a bucket.
    pub fn edges(frame: Frame, bucket: history.Bucket) [2]u64 {
        const from, const to = rows(bucket);
        return .{ frame.at(to), @max(frame.at(from), frame.at(to) + 1) };
    }

    fn at(frame: Frame, place: f64) u64 {
        const share = std.math.clamp((place - frame.low) / (frame.high - frame.low), 0, 1);
        return bottom - @as(u64, @intFromFloat(@round(share * height)));
    }
};

/// What is below 1 has a row of its own, and all that is negative another.
fn row(value: f64) f64 {
    if (value < 0) return -2;
    return if (value < 1) value - 1 else @log2(value);
}

fn rows(bucket: history.Bucket) [2]f64 {
    const low = row(bucket.low);
    if (bucket.low < 0) return .{ low, -1 };
    return .{ low, if (std.math.isFinite(bucket.high)) row(bucket.high) else low + 1 };
}
