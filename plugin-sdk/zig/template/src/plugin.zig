//! The biggest keys of every table that it is granted, once an interval.

const weir = @import("weir");

pub const Options = struct {
    /// How many keys to show.
    limit: i64 = 3,
};

/// Called once, before anything is traced: the place to refuse what cannot work.
pub fn configure(options: Options) !void {
    if (options.limit < 1 or options.limit > 100) {
        return weir.fail("option", "option limit: 1 to 100 are possible", .{});
    }
}

/// Called at the end of every interval.
pub fn analyze(options: Options) !void {
    for (try weir.tables()) |table| {
        const coverage = try table.coverage();
        if (coverage.events > 0) try weir.add("events", coverage.events, .{ .table = table.name });

        const measure = firstCount(table) orelse continue;
        // The host answers questions at the speed of native code; what it finds is a table, too.
        const top = try table.ask()
            .filter(&.{.eq("overflow", 0)})
            .sort(measure, .descending, @intCast(options.limit))
            .answer();
        for (try top.keys(), try top.column(u64, measure), 1..) |key, value, rank| {
            const title = try weir.arena.print("{s} {d}: {s}", .{ table.name, rank, key });
            try weir.report(.info, "top", title, .{try weir.label(measure, value)});
        }
    }
}

fn firstCount(table: weir.Table) ?[]const u8 {
    for (table.columns) |column| {
        if (column.role == .count and column.kind == .u64) return column.name;
    }
    return null;
}
