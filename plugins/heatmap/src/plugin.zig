//! Latency over time as a picture: each interval's histogram is a column of `heatmap.svg`.
//!
//! Every interval has a report (code `heatmap`) and the gauges `latency_quantile_below`. The histograms of the latest
//! intervals are kept in the state, and drawn every so many intervals and at the end.

const std = @import("std");
const weir = @import("weir");
const history = @import("history.zig");
const picture = @import("picture.zig");
const Quantity = @import("quantity.zig").Quantity;

pub const Options = struct {
    intervals: i64 = 60,
    every: i64 = 10,
    measure: ?[]const u8 = null,
    title: ?[]const u8 = null,
};

const quantiles = [_]f64{ 0.5, 0.99 };
const quantile_names = [_][]const u8{ "p50", "p99" };

pub fn configure(options: Options) !void {
    if (options.intervals < 2 or options.intervals > 360) {
        return weir.fail("option", "option intervals: 2 to 360 are possible", .{});
    }
    if (options.every < 1) return weir.fail("option", "option every: 1 or more are possible", .{});
    const source: Source = try .find(options.measure);
    if ((try weir.tables()).len > 1) weir.log(.warning, "only table {s} is drawn", .{source.table.name});
}

pub fn analyze(options: Options) !void {
    const source: Source = try .find(options.measure);
    // Whatever keys the table has: the picture is of all values.
    const values = try (try source.table.column(weir.Histogram, source.measure.name)).merged();
    const coverage = try source.table.coverage();
    try say(source, values, coverage);

    const now = try column(values, coverage);
    const kept = try weir.state.load("history");
    const columns = try history.add(weir.arena, kept, now, @intCast(options.intervals));
    try weir.state.store("history", try history.encode(weir.arena, columns));
    if (isDue(@intCast(options.every))) try draw(source, columns, options);
}

/// The first table with a histogram, or with the one that is asked for.
const Source = struct {
    table: weir.Table,
    measure: weir.Column,

    fn find(name: ?[]const u8) !Source {
        for (try weir.tables()) |table| for (table.columns) |measure| {
            if (measure.kind != .buckets) continue;
            if (name == null or std.mem.eql(u8, name.?, measure.name)) return .{ .table = table, .measure = measure };
        };
        const wanted = name orelse "such as hist(elapsed)";
        return weir.fail("option", "option measure: no table has a histogram {s}", .{wanted});
    }
};

fn say(source: Source, values: weir.Histogram, coverage: weir.Coverage) !void {
    const table, const measure, const unit = .{ source.table.name, source.measure.name, source.measure.unit };
    var fields: std.ArrayList(weir.Label) = .empty;
    var title: std.Io.Writer.Allocating = .init(weir.arena);
    try title.writer.print("{s}.{s}: {f}", .{ table, measure, Count{ .values = values.total } });

    if (values.total > 0) {
        try fields.append(weir.arena, try weir.label("values", values.total));
        for (quantiles, quantile_names) |share, name| {
            const below: Below = .of(values, share, unit);
            try title.writer.print(", {s} {f}", .{ name, below });
            try fields.append(weir.arena, try weir.label(name, below));
            const labels = .{ .table = table, .measure = measure, .quantile = share };
            if (std.math.isFinite(below.bound())) try weir.gauge("latency_quantile_below", below.bound(), labels);
        }
    }
    if (values.len() > 0) {
        const highest = values.get(values.len() - 1);
        const low: Quantity = .{ .value = highest.low, .unit = unit };
        const high: Below = .{ .bucket = highest, .unit = unit };
        const most = if (highest.high == null)
            try weir.arena.print("{f}, {f}", .{ high, Count{ .values = highest.count } })
        else
            try weir.arena.print("{f} or more, {f}, {f}", .{ low, high, Count{ .values = highest.count } });
        try fields.append(weir.arena, try weir.label("max bucket", most));
    }
    if (withoutBucket(values) > 0) {
        const lost = try weir.arena.print("{f}, in none of the cells", .{Count{ .values = withoutBucket(values) }});
        try fields.append(weir.arena, try weir.label("without bucket", lost));
    }
    if (coverage.missed == null) {
        try fields.append(weir.arena, try weir.label("missed", "this kernel does not tell"));
    } else if (coverage.missed.? > 0) {
        const missed = try weir.arena.print("{d} events were skipped by the kernel", .{coverage.missed.?});
        try fields.append(weir.arena, try weir.label("missed", missed));
    }
    if (weir.interval.skipped() > 0) {
        const skipped = try weir.arena.print("{d} intervals before this one", .{weir.interval.skipped()});
        try fields.append(weir.arena, try weir.label("skipped", skipped));
    }
    try weir.report(.info, "heatmap", title.written(), fields.items);
}

const Count = struct {
    values: u64,

    pub fn format(count: Count, writer: *std.Io.Writer) std.Io.Writer.Error!void {
        switch (count.values) {
            0 => try writer.writeAll("no values in this interval"),
            1 => try writer.writeAll("1 value"),
            else => |values| try writer.print("{d} values", .{values}),
        }
    }
};

/// What is known of a quantile, by the bucket that it is in: none, if no value has a bucket.
const Below = struct {
    bucket: ?weir.Bucket,
    unit: []const u8,

    fn of(values: weir.Histogram, share: f64, unit: []const u8) Below {
        return .{ .bucket = values.quantile(share), .unit = unit };
    }

    /// Infinite where it is not known.
    fn bound(below: Below) f64 {
        const bucket = below.bucket orelse return std.math.inf(f64);
        return bucket.high orelse std.math.inf(f64);
    }

    pub fn format(below: Below, writer: *std.Io.Writer) std.Io.Writer.Error!void {
        const bucket = below.bucket orelse return writer.writeAll("not known, no value found a bucket");
        if (bucket.high) |high| return writer.print("below {f}", .{Quantity{ .value = high, .unit = below.unit }});
        try writer.print("{f} or more", .{Quantity{ .value = bucket.low, .unit = below.unit }});
    }
};

fn withoutBucket(values: weir.Histogram) u64 {
    var placed: u64 = 0;
    for (values.counts) |count| placed +|= count;
    return values.total -| placed;
}

/// This interval, as it is kept.
fn column(values: weir.Histogram, coverage: weir.Coverage) !history.Column {
    const buckets = try weir.arena.alloc(history.Bucket, values.len());
    for (buckets, 0..) |*bucket, entry| {
        const each = values.get(entry);
        bucket.* = .{ .low = each.low, .high = each.high orelse std.math.inf(f64), .count = each.count };
    }
    const began = weir.interval.began();
    return .{
        .interval = weir.interval.number(),
        .began_ms = began.seconds *| 1000 +| began.nanoseconds / std.time.ns_per_ms,
        .incomplete = (coverage.missed orelse 0) > 0 or withoutBucket(values) > 0,
        .total = values.total,
        .quantiles = .{ Below.of(values, quantiles[0], "").bound(), Below.of(values, quantiles[1], "").bound() },
        .buckets = buckets,
    };
}

/// Whether a picture is due now, or was in an interval that this plugin was not called for.
fn isDue(every: u64) bool {
    const number = weir.interval.number();
    const called_up_to = number -| weir.interval.skipped();
    return weir.interval.isLast() or (number +| 1) / every > called_up_to / every;
}

fn draw(source: Source, columns: []const history.Column, options: Options) !void {
    var buffer: [16 * 1024]u8 = undefined;
    var file: weir.Artefact = .init("heatmap.svg", "image/svg+xml", &buffer);
    const names = .{ source.table.name, source.measure.name };
    try picture.draw(&file.writer, .{
        .title = options.title orelse try weir.arena.print("{s}: {s}", names),
        .measure = source.measure.name,
        .unit = source.measure.unit,
        .columns = columns,
        .room = @intCast(options.intervals),
    });
    try file.writer.flush();
}

test {
    _ = picture;
}
