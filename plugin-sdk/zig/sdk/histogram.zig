//! Histograms, as the kernel counted them.

const std = @import("std");
const heap = @import("heap.zig");

/// How many values v there were with `low <= v < high`; no `high` in the last bucket there can be.
pub const Bucket = struct {
    low: f64,
    high: ?f64,
    count: u64,
};

/// The histogram of one row.
pub const Histogram = struct {
    /// The bounds that this histogram and others share.
    lower: []const f64,
    /// Which buckets are not empty, from low to high, and how many values each has.
    bucket: []const u32,
    counts: []const u64,
    /// The sum of the values.
    sum: f64,
    /// How many values there are. Those that found no room for a bucket are in none.
    total: u64,

    pub const empty: Histogram = .{ .lower = &.{}, .bucket = &.{}, .counts = &.{}, .sum = 0, .total = 0 };

    /// How many buckets are not empty.
    pub fn len(histogram: Histogram) usize {
        return histogram.bucket.len;
    }

    /// The buckets that are not empty, from low to high.
    pub fn get(histogram: Histogram, entry: usize) Bucket {
        const bucket = histogram.bucket[entry];
        const high = if (bucket + 1 < histogram.lower.len) histogram.lower[bucket + 1] else std.math.inf(f64);
        return .{
            .low = histogram.lower[bucket],
            .high = if (std.math.isFinite(high)) high else null,
            .count = histogram.counts[entry],
        };
    }

    pub fn iterator(histogram: Histogram) Iterator {
        return .{ .histogram = histogram };
    }

    pub const Iterator = struct {
        histogram: Histogram,
        entry: usize = 0,

        pub fn next(iterated: *Iterator) ?Bucket {
            if (iterated.entry >= iterated.histogram.len()) return null;
            defer iterated.entry += 1;
            return iterated.histogram.get(iterated.entry);
        }
    };

    /// The bucket of the smallest value that at least the share `share` (0 to 1) of the values with a bucket does not
    /// exceed; none if there are none. `quantile(0.99)` is where the 99th percentile is.
    pub fn quantile(histogram: Histogram, share: f64) ?Bucket {
        var values: u64 = 0;
        for (histogram.counts) |count| values +|= count;
        const wanted = @ceil(@as(f64, @floatFromInt(values)) * std.math.clamp(share, 0, 1));
        const rank = std.math.clamp(std.math.lossyCast(u64, wanted), 1, @max(1, values));
        var seen: u64 = 0;
        for (histogram.counts, 0..) |count, entry| {
            seen +|= count;
            if (seen >= rank) return histogram.get(entry);
        }
        return null;
    }

    /// All of them as one, bucket by bucket.
    pub fn merge(histograms: []const Histogram) error{OutOfMemory}!Histogram {
        var entries: usize = 0;
        for (histograms) |histogram| entries += histogram.len();
        const buckets = try heap.arena.alloc(Bucket, entries);
        var sum: f64 = 0;
        var total: u64 = 0;
        var filled: usize = 0;
        for (histograms) |histogram| {
            sum += histogram.sum;
            total +%= histogram.total;
            var each = histogram.iterator();
            while (each.next()) |bucket| : (filled += 1) buckets[filled] = bucket;
        }
        std.mem.sort(Bucket, buckets, {}, ascending);

        // A bucket is as good as its bounds: where one does not begin at the end of the one before, there is a gap.
        var lower: std.ArrayList(f64) = try .initCapacity(heap.arena, 2 * entries);
        var bucket: std.ArrayList(u32) = try .initCapacity(heap.arena, entries);
        var counts: std.ArrayList(u64) = try .initCapacity(heap.arena, entries);
        var last: ?f64 = null;
        for (buckets) |each| {
            if (last == each.low) {
                counts.items[counts.items.len - 1] +%= each.count;
                continue;
            }
            last = each.low;
            if (lower.items.len == 0 or lower.getLast() != each.low) lower.appendAssumeCapacity(each.low);
            bucket.appendAssumeCapacity(@intCast(lower.items.len - 1));
            counts.appendAssumeCapacity(each.count);
            lower.appendAssumeCapacity(each.high orelse std.math.inf(f64));
        }
        return .{ .lower = lower.items, .bucket = bucket.items, .counts = counts.items, .sum = sum, .total = total };
    }

    fn ascending(_: void, one: Bucket, other: Bucket) bool {
        return one.low < other.low;
    }
};

/// A column of histograms.
pub const Histograms = struct {
    lower: []const f64,
    offsets: []const u32,
    bucket: []const u32,
    counts: []const u64,
    sums: []const f64,
    totals: []const u64,

    pub fn len(histograms: Histograms) usize {
        return histograms.totals.len;
    }

    /// The histogram of a row.
    pub fn get(histograms: Histograms, row: usize) Histogram {
        const from, const to = .{ histograms.offsets[row], histograms.offsets[row + 1] };
        return .{
            .lower = histograms.lower,
            .bucket = histograms.bucket[from..to],
            .counts = histograms.counts[from..to],
            .sum = histograms.sums[row],
            .total = histograms.totals[row],
        };
    }

    /// All rows' histograms as one, bucket by bucket.
    pub fn merged(histograms: Histograms) error{OutOfMemory}!Histogram {
        const rows = try heap.arena.alloc(Histogram, histograms.len());
        for (rows, 0..) |*row, number| row.* = histograms.get(number);
        return .merge(rows);
    }

    /// A page's bounds follow those before it, after an infinite one, which ends the bucket that was open.
    pub fn join(head: Histograms, tail: Histograms) error{OutOfMemory}!Histograms {
        const lower = try std.mem.concat(heap.arena, f64, &.{ head.lower, &.{std.math.inf(f64)}, tail.lower });
        const offsets = try std.mem.concat(heap.arena, u32, &.{ head.offsets, tail.offsets[1..] });
        for (offsets[head.offsets.len..]) |*offset| offset.* += @intCast(head.counts.len);
        const bucket = try std.mem.concat(heap.arena, u32, &.{ head.bucket, tail.bucket });
        for (bucket[head.bucket.len..]) |*each| each.* += @intCast(head.lower.len + 1);
        return .{
            .lower = lower,
            .offsets = offsets,
            .bucket = bucket,
            .counts = try std.mem.concat(heap.arena, u64, &.{ head.counts, tail.counts }),
            .sums = try std.mem.concat(heap.arena, f64, &.{ head.sums, tail.sums }),
            .totals = try std.mem.concat(heap.arena, u64, &.{ head.totals, tail.totals }),
        };
    }
};

const testing = std.testing;

/// Two rows: three values from 1 to 2 and one from 8 on; two from 2 to 4, and one without a bucket.
const example: Histograms = .{
    .lower = &.{ 1, 2, 4, 8 },
    .offsets = &.{ 0, 2, 3 },
    .bucket = &.{ 0, 3, 1 },
    .counts = &.{ 3, 1, 2 },
    .sums = &.{ 12, 5 },
    .totals = &.{ 4, 3 },
};

test "a row has its buckets" {
    const row = example.get(0);
    try testing.expectEqual(Bucket{ .low = 1, .high = 2, .count = 3 }, row.get(0));
    try testing.expectEqual(Bucket{ .low = 8, .high = null, .count = 1 }, row.get(1));
    try testing.expectEqual(2, row.len());
    try testing.expectEqual(2, example.get(1).get(0).low);
}

test "a quantile is in the bucket of its rank" {
    const all = try example.merged();
    try testing.expectEqual(7, all.total);
    try testing.expectEqual(1, all.quantile(0).?.low);
    try testing.expectEqual(1, all.quantile(0.5).?.low);
    try testing.expectEqual(4, all.quantile(0.51).?.high);
    try testing.expectEqual(4, all.quantile(0.83).?.high);
    try testing.expectEqual(null, all.quantile(0.84).?.high);
    try testing.expectEqual(8, all.quantile(1).?.low);
    try testing.expectEqual(null, Histogram.empty.quantile(0.5));
}

test "pages with bounds of their own are merged by their bounds" {
    const tail: Histograms = .{
        .lower = &.{ 0, 1, 2, 16, 32 },
        .offsets = &.{ 0, 2 },
        .bucket = &.{ 1, 3 },
        .counts = &.{ 10, 20 },
        .sums = &.{1},
        .totals = &.{30},
    };
    const joined = try example.join(tail);
    try testing.expectEqual(null, joined.get(0).get(1).high);
    try testing.expectEqual(Bucket{ .low = 16, .high = 32, .count = 20 }, joined.get(2).get(1));
    const all = try joined.merged();
    const wanted = [_]Bucket{
        .{ .low = 1, .high = 2, .count = 13 },
        .{ .low = 2, .high = 4, .count = 2 },
        .{ .low = 8, .high = null, .count = 1 },
        .{ .low = 16, .high = 32, .count = 20 },
    };
    try testing.expectEqual(37, all.total);
    try testing.expectEqual(wanted.len, all.len());
    for (wanted, 0..) |bucket, entry| try testing.expectEqual(bucket, all.get(entry));
}
