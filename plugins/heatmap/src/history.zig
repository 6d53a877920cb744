//! The latest intervals' histograms, and how they are kept in the state: as many as it has room for.

const std = @import("std");
const Allocator = std.mem.Allocator;

pub const Bucket = struct {
    low: f64,
    /// Infinite in the last bucket there can be.
    high: f64,
    count: u64,
};

/// One interval.
pub const Column = struct {
    interval: u64,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    began_ms: u64 = 0,
    /// Some of its values are in no bucket.
    incomplete: bool = false,
    total: u64 = 0,
    /// The bounds below which half of the values are, and 99 % of them; infinite where that is not known.
    quantiles: [2]f64 = @splat(std.math.inf(f64)),
    /// Those that are not empty, from low to high.
    buckets: []const Bucket,
};

/// What the state has room for, with a margin.
const max_bytes = 60 * 1024;
const version = 1;

/// The columns that were kept, but for those that are too old, and a new one.
pub fn add(allocator: Allocator, kept: ?[]const u8, now: Column, intervals: u64) error{OutOfMemory}![]const Column {
    const before = try decode(allocator, kept orelse "");
    var columns: std.ArrayList(Column) = try .initCapacity(allocator, before.len + 1);
    for (before) |column| {
        const is_shown = column.interval < now.interval and now.interval - column.interval < intervals;
        if (is_shown) columns.appendAssumeCapacity(column);
    }
    columns.appendAssumeCapacity(now);
    return columns.items;
}

/// From the newest to the oldest for which there is room.
pub fn encode(allocator: Allocator, columns: []const Column) error{OutOfMemory}![]const u8 {
    var bytes: std.Io.Writer.Allocating = .init(allocator);
    bytes.writer.writeByte(version) catch return error.OutOfMemory;
    for (0..columns.len) |age| {
        const before = bytes.written().len;
        write(&bytes.writer, columns[columns.len - 1 - age]) catch return error.OutOfMemory;
        if (bytes.written().len > max_bytes) {
            bytes.shrinkRetainingCapacity(before);
            break;
        }
    }
    return bytes.written();
}

fn write(writer: *std.Io.Writer, column: Column) std.Io.Writer.Error!void {
    try writer.writeUleb128(column.interval);
    try writer.writeUleb128(column.began_ms);
    try writer.writeByte(@intFromBool(column.incomplete));
    try writer.writeUleb128(column.total);
    for (column.quantiles) |bound| try writer.writeUleb128(turned(bound));
    try writer.writeUleb128(column.buckets.len);
    for (column.buckets) |bucket| {
        try writer.writeUleb128(turned(bucket.low));
        try writer.writeUleb128(turned(bucket.high));
        try writer.writeUleb128(bucket.count);
    }
}

/// A bound has few binary digits, all of them at the beginning of its bits: turned around, it is a small number.
fn turned(bound: f64) u64 {
    return @byteSwap(@as(u64, @bitCast(bound)));
}

fn unpacked(bits: u64) f64 {
    return @bitCast(@byteSwap(bits));
}

/// From the oldest to the newest. What another version kept is nothing.
fn decode(allocator: Allocator, bytes: []const u8) error{OutOfMemory}![]const Column {
    var columns: std.ArrayList(Column) = .empty;
    var reader: std.Io.Reader = .fixed(bytes);
    if ((reader.takeByte() catch return &.{}) != version) return &.{};
    while (reader.bufferedLen() > 0) {
        const column = read(allocator, &reader) catch |err| switch (err) {
            error.OutOfMemory => return error.OutOfMemory,
            else => return &.{},
        };
        try columns.append(allocator, column);
    }
    std.mem.reverse(Column, columns.items);
    return columns.items;
}

fn read(allocator: Allocator, reader: *std.Io.Reader) !Column {
    var column: Column = .{
        .interval = try reader.takeLeb128(u64),
        .began_ms = try reader.takeLeb128(u64),
        .incomplete = try reader.takeByte() != 0,
        .total = try reader.takeLeb128(u64),
        .quantiles = .{ unpacked(try reader.takeLeb128(u64)), unpacked(try reader.takeLeb128(u64)) },
        .buckets = &.{},
    };
    const count = try reader.takeLeb128(u64);
    // Each takes three bytes at least.
    if (count > reader.bufferedLen() / 3) return error.EndOfStream;
    const buckets = try allocator.alloc(Bucket, @intCast(count));
    for (buckets) |*bucket| bucket.* = .{
        .low = unpacked(try reader.takeLeb128(u64)),
        .high = unpacked(try reader.takeLeb128(u64)),
        .count = try reader.takeLeb128(u64),
    };
    column.buckets = buckets;
    return column;
}

const testing = std.testing;

fn example(interval: u64, buckets: []const Bucket) Column {
    return .{
        .interval = interval,
        .began_ms = 1_795_762_321_339 + 1000 * interval,
        .incomplete = interval % 2 == 1,
        .total = 1000,
        .quantiles = .{ 2048, std.math.inf(f64) },
        .buckets = buckets,
    };
}

test "what is kept comes back" {
    var arena: std.heap.ArenaAllocator = .init(testing.allocator);
    defer arena.deinit();
    const buckets = [_]Bucket{
        .{ .low = -std.math.inf(f64), .high = 0, .count = 1 },
        .{ .low = 1024, .high = 1536, .count = 7 },
        .{ .low = 0x1p63, .high = std.math.inf(f64), .count = std.math.maxInt(u64) },
    };
    const columns = [_]Column{ example(3, &buckets), example(4, &.{}), example(7, buckets[1..2]) };
    const bytes = try encode(arena.allocator(), &columns);
    try testing.expectEqualDeep(@as([]const Column, &columns), try decode(arena.allocator(), bytes));
    try testing.expect(bytes.len < 120);
}

test "old columns are dropped, and what another run left" {
    var arena: std.heap.ArenaAllocator = .init(testing.allocator);
    defer arena.deinit();
    const kept = try encode(arena.allocator(), &.{ example(1, &.{}), example(5, &.{}), example(9, &.{}) });
    const columns = try add(arena.allocator(), kept, example(7, &.{}), 3);
    try testing.expectEqual(2, columns.len);
    try testing.expectEqual(5, columns[0].interval);
    try testing.expectEqual(7, columns[1].interval);
}

test "what has no room is the oldest" {
    var arena: std.heap.ArenaAllocator = .init(testing.allocator);
    defer arena.deinit();
    const wide: [2000]Bucket = @splat(.{ .low = 1.0 / 3.0, .high = 2.0 / 3.0, .count = 1 });
    var columns: [100]Column = undefined;
    for (&columns, 0..) |*column, interval| column.* = example(interval, &wide);
    const bytes = try encode(arena.allocator(), &columns);
    const kept = try decode(arena.allocator(), bytes);
    try testing.expect(kept.len >= 1 and bytes.len <= max_bytes);
    try testing.expectEqual(99, kept[kept.len - 1].interval);
}

test "what is not its own is nothing" {
    var arena: std.heap.ArenaAllocator = .init(testing.allocator);
    defer arena.deinit();
    const bytes = try encode(arena.allocator(), &.{example(1, &.{.{ .low = 1, .high = 2, .count = 3 }})});
    for (1..bytes.len) |len| {
        // Between columns it could as well have been shorter.
        if (len > 1) try testing.expectEqual(0, (try decode(arena.allocator(), bytes[0..len])).len);
    }
    try testing.expectEqual(0, (try decode(arena.allocator(), "\x02")).len);
    try testing.expectEqual(0, (try decode(arena.allocator(), "")).len);
    const noise: [40]u8 = [1]u8{version} ++ @as([39]u8, @splat(0xff));
    try testing.expectEqual(0, (try decode(arena.allocator(), &noise)).len);
}
