//! Reads everything there is to read and says what it read, so that SDKs can be compared.

const std = @import("std");
const weir = @import("weir");

pub const Options = struct {
    mode: enum { all, columns, questions, histograms, state, fail, trap, loop, memory, unknown } = .all,
};

pub fn analyze(options: Options) !void {
    switch (options.mode) {
        .all => for (try weir.tables()) |table| try tally(table),
        .columns => try byColumns((try weir.tables())[0]),
        .questions => try byQuestions((try weir.tables())[0]),
        .histograms => for (try weir.tables()) |table| try tellHistograms(table),
        .state => try keepCount(),
        .fail => return weir.fail("tally", "as asked", .{}),
        .trap => try weir.gauge("n", beyondTheEnd(&.{ 1, 2, 3 }, 3), .{}),
        .loop => while (true) std.mem.doNotOptimizeAway(options),
        .memory => while (true) @memset(try weir.arena.alloc(u8, 1 << 16), 1),
        .unknown => {
            _ = weir.Table.open(99, "") catch |err| {
                try weir.report(.info, "unknown", weir.failureOf(err).reason, .{});
            };
        },
    }
}

const page_rows = 10_000;
const Fnv = std.hash.Fnv1a_64;

fn tally(table: weir.Table) !void {
    var fields: std.ArrayList(weir.Label) = .empty;
    const began = weir.interval.began();
    const interval = try weir.arena.print("{d} {d}.{d:0>9} {} {d}", .{
        weir.interval.number(), began.seconds, began.nanoseconds, weir.interval.isLast(), weir.interval.skipped(),
    });
    try fields.append(weir.arena, try weir.label("interval", interval));
    try fields.append(weir.arena, try weir.label("rows", table.len));
    const coverage = try table.coverage();
    const missed = if (coverage.missed) |missed| try weir.arena.print("{d}", .{missed}) else "none";
    const covered = try weir.arena.print("{d} {d} {s}", .{ coverage.events, coverage.overflow, missed });
    try fields.append(weir.arena, try weir.label("coverage", covered));

    var raw: ?u32 = null;
    for (table.columns, 0..) |column, number| {
        const place: u32 = @intCast(number);
        if (raw == null and addsUp(column)) raw = place;
        const value = switch (column.kind) {
            .u64 => try tallyOf(Unsigned, table, place),
            .s64 => try tallyOf(Signed, table, place),
            .f64 => try tallyOf(Float, table, place),
            .text => try tallyOf(Text, table, place),
            .buckets => try tallyOf(Buckets, table, place),
            .other => "unknown",
        };
        try fields.append(weir.arena, try weir.label(column.name, value));
    }
    const bytes = try tallyOf(Raw, table, raw);
    try fields.append(weir.arena, try weir.label("raw", bytes));
    try weir.report(.info, "tally", table.name, fields.items);
}

/// What `Tally` says when it has taken a whole column, page by page.
fn tallyOf(comptime Tally: type, table: weir.Table, place: ?u32) ![]const u8 {
    var all: Tally = .{};
    var first: u32 = 0;
    while (place != null and first < table.len) : (first += page_rows) {
        const scope = weir.scope();
        defer scope.end();
        const count = @min(page_rows, table.len - first);
        if (Tally == Raw) {
            all.take(try table.raw(place.?, first, count));
        } else {
            all.take(try table.page(Tally.Cell, place.?, first, count), first);
        }
    }
    return weir.arena.print("{f}", .{all});
}

const Unsigned = struct {
    const Cell = u64;
    sum: u64 = 0,
    max: u64 = 0,

    fn take(all: *Unsigned, page: []const u64, _: u32) void {
        for (page) |value| {
            all.sum +%= value;
            all.max = @max(all.max, value);
        }
    }

    pub fn format(all: Unsigned, writer: *std.Io.Writer) !void {
        try writer.print("{d} {d}", .{ all.sum, all.max });
    }
};

const Signed = struct {
    const Cell = i64;
    sum: i64 = 0,
    min: ?i64 = null,

    fn take(all: *Signed, page: []const i64, _: u32) void {
        for (page) |value| {
            all.sum +%= value;
            all.min = @min(all.min orelse value, value);
        }
    }

    pub fn format(all: Signed, writer: *std.Io.Writer) !void {
        try writer.print("{d} {d}", .{ all.sum, all.min orelse 0 });
    }
};

const Float = struct {
    const Cell = f64;
    sum: f64 = 0,

    fn take(all: *Float, page: []const f64, _: u32) void {
        for (page) |value| {
            if (std.math.isFinite(value)) all.sum += value;
        }
    }

    pub fn format(all: Float, writer: *std.Io.Writer) !void {
        try writer.print("{x:0>16}", .{@as(u64, @bitCast(all.sum))});
    }
};

const Text = struct {
    const Cell = weir.Text;
    hash: Fnv = .init(),

    fn take(all: *Text, page: weir.Texts, _: u32) void {
        for (0..page.len()) |row| {
            all.hash.update(page.get(row).bytes);
            all.hash.update(&.{0xff});
        }
    }

    pub fn format(all: Text, writer: *std.Io.Writer) !void {
        try writer.print("{x:0>16}", .{all.hash.value});
    }
};

const Buckets = struct {
    const Cell = weir.Histogram;
    entries: u64 = 0,
    counts: u64 = 0,
    totals: u64 = 0,
    hash: Fnv = .init(),

    fn take(all: *Buckets, page: weir.Histograms, first: u32) void {
        for (0..page.len()) |number| {
            const row = page.get(number);
            all.totals +%= row.total;
            var buckets = row.iterator();
            while (buckets.next()) |bucket| {
                all.entries += 1;
                all.counts +%= bucket.count;
                all.hash.update(std.mem.asBytes(&(first + @as(u32, @intCast(number)))));
                all.hash.update(std.mem.asBytes(&bucket.low));
                all.hash.update(std.mem.asBytes(&bucket.count));
            }
        }
    }

    pub fn format(all: Buckets, writer: *std.Io.Writer) !void {
        try writer.print("{d} {d} {d} {x:0>16}", .{ all.entries, all.counts, all.totals, all.hash.value });
    }
};

const Raw = struct {
    hash: Fnv = .init(),

    fn take(all: *Raw, page: []const u8) void {
        all.hash.update(page);
    }

    pub fn format(all: Raw, writer: *std.Io.Writer) !void {
        try writer.print("{x:0>16}", .{all.hash.value});
    }
};

fn addsUp(column: weir.Column) bool {
    return column.kind == .u64 and (column.role == .count or column.role == .sum);
}

/// The names of the first three columns of numbers that add up.
fn summed(table: weir.Table) ![]const []const u8 {
    var names: std.ArrayList([]const u8) = .empty;
    for (table.columns) |column| {
        if (addsUp(column) and names.items.len < 3) try names.append(weir.arena, column.name);
    }
    return names.items;
}

const top_rows = 10;

fn byColumns(table: weir.Table) !void {
    const names = try summed(table);
    var sums: [3]u64 = undefined;
    var top: Top = .{};
    for (names, 0..) |name, number| {
        const values = try table.column(u64, name);
        sums[number] = sum(values);
        if (number == 0) top.take(values);
    }
    try sayColumns(table, names, sums[0..names.len], top.values[0..top.len]);
}

// A loop is fastest in a function of its own, with what seldom happens in another one.

noinline fn sum(values: []const u64) u64 {
    var all: u64 = 0;
    for (values) |value| all +%= value;
    return all;
}

const Top = struct {
    values: [top_rows]u64 = undefined,
    len: usize = 0,

    noinline fn take(top: *Top, values: []const u64) void {
        const filled = @min(top_rows, values.len);
        for (values[0..filled]) |value| top.insert(value);
        if (filled < top_rows) return;
        var least = top.values[top_rows - 1];
        for (values[filled..]) |value| {
            // Of equal values the first one stays.
            if (value > least) {
                top.insert(value);
                least = top.values[top_rows - 1];
            }
        }
    }

    noinline fn insert(top: *Top, value: u64) void {
        @branchHint(.cold);
        var place = @min(top.len, top_rows - 1);
        top.len = place + 1;
        while (place > 0 and top.values[place - 1] < value) : (place -= 1) top.values[place] = top.values[place - 1];
        top.values[place] = value;
    }
};

fn byQuestions(table: weir.Table) !void {
    const names = try summed(table);
    var sums: [3]u64 = undefined;
    var shown: [3]weir.Aggregate = undefined;
    for (shown[0..names.len], names) |*each, name| each.* = .sum(name);
    const all = try table.ask().group(&.{}, shown[0..names.len]).answer();
    for (sums[0..names.len], 0..) |*each, number| each.* = (try all.page(u64, @intCast(number), 0, 1))[0];
    const top = if (names.len == 0) &.{} else values: {
        const ranked = try table.ask().sort(names[0], .descending, top_rows).answer();
        break :values try ranked.column(u64, names[0]);
    };
    try sayColumns(table, names, sums[0..names.len], top);
}

fn sayColumns(table: weir.Table, names: []const []const u8, sums: []const u64, top: []const u64) !void {
    var fields: std.ArrayList(weir.Label) = .empty;
    for (names, sums) |name, each| try fields.append(weir.arena, try weir.label(name, each));
    var joined: std.Io.Writer.Allocating = .init(weir.arena);
    for (top, 0..) |value, rank| try joined.writer.print("{s}{d}", .{ if (rank > 0) " " else "", value });
    try fields.append(weir.arena, try weir.label("top", joined.written()));
    try weir.report(.info, "columns", table.name, fields.items);
}

const shares = [_]f64{ 0, 0.1, 0.3, 0.5, 0.9, 0.99, 1 };

/// Each histogram of a table, added up and by quantiles: by this SDK, and by the host.
fn tellHistograms(table: weir.Table) !void {
    for (table.columns) |column| {
        if (column.kind != .buckets) continue;
        const merged = try (try table.column(weir.Histogram, column.name)).merged();
        var placed: u64 = 0;
        for (merged.counts) |count| placed += count;
        var quantiles: std.Io.Writer.Allocating = .init(weir.arena);
        var asked: std.Io.Writer.Allocating = .init(weir.arena);
        for (shares, 0..) |share, number| {
            const between = if (number > 0) " " else "";
            const high = if (merged.quantile(share)) |bucket| bucket.high orelse std.math.inf(f64) else std.math.nan(f64);
            try quantiles.writer.print("{s}{f}", .{ between, Bound{ .value = high } });
            const answer = try table.ask().group(&.{}, &.{.quantile(column.name, share)}).answer();
            try asked.writer.print("{s}{f}", .{ between, Bound{ .value = (try answer.page(f64, 0, 0, 1))[0] } });
        }
        const title = try weir.arena.print("{s}.{s}", .{ table.name, column.name });
        const sum_bits: u64 = @bitCast(merged.sum);
        try weir.report(.info, "histograms", title, .{
            .merged = try weir.arena.print("{d} {d} {d} {x:0>16}", .{ merged.len(), placed, merged.total, sum_bits }),
            .quantiles = quantiles.written(),
            .asked = asked.written(),
        });
    }
}

const Bound = struct {
    value: f64,

    pub fn format(bound: Bound, writer: *std.Io.Writer) !void {
        if (std.math.isNan(bound.value)) return writer.writeAll("none");
        try writer.print("{x:0>16}", .{@as(u64, @bitCast(bound.value))});
    }
};

fn keepCount() !void {
    const before = if (try weir.state.load("n")) |text| try std.fmt.parseInt(u64, text, 10) else 0;
    const count = try weir.arena.print("{d}", .{before + 1});
    try weir.state.store("n", count);
    try weir.report(.info, "state", count, .{});
    weir.log(.debug, "call {s}", .{count});
    try weir.artefact("a.txt", "text/plain", "call ");
    try weir.artefact("a.txt", "text/plain", try weir.arena.print("{s}\n", .{count}));
    try weir.gauge("n", before + 1, .{ .k = "v" });
    for (try weir.tables()) |table| {
        if (table.len == 0) continue;
        for (table.columns) |column| {
            if (column.kind == .buckets) return weir.histogram("h", table, 0, column.name, .{});
        }
    }
}

noinline fn beyondTheEnd(values: []const u64, place: usize) u64 {
    return values[place];
}
