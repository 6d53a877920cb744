//! Tables: what was granted, and what questions give.

const std = @import("std");
const c = @import("bindings");
const heap = @import("heap.zig");
const failure = @import("failure.zig");
const string = @import("string.zig");
const Error = failure.Error;
const Text = @import("text.zig").Text;
const Texts = @import("text.zig").Texts;
const Histogram = @import("histogram.zig").Histogram;
const Histograms = @import("histogram.zig").Histograms;
const Question = @import("question.zig").Question;

/// How a column is read: as `u64`, `i64`, `f64`, `Text` or `Histogram`.
pub const Kind = enum { u64, s64, f64, text, buckets, other };

/// What a column is. A measure's role says how it was made; that of an answer's column, what was asked for.
pub const Role = enum { overflow, key, count, sum, min, max, avg, stats, hist, lhist, mean, quantile, share, other };

pub const Column = struct {
    name: []const u8,
    role: Role,
    kind: Kind,
    /// Such as `ns`; empty where it is not known.
    unit: []const u8,
};

/// How complete a table is.
pub const Coverage = struct {
    /// How many events were counted, those in the overflow row included.
    events: u64,
    /// How many of them are in the overflow row.
    overflow: u64,
    /// How many more the kernel skipped; none if this kernel does not tell.
    missed: ?u64,
};

/// What a column of `T` is read as: a slice of numbers, `Texts` or `Histograms`.
pub fn ColumnOf(comptime T: type) type {
    return switch (T) {
        u64, i64, f64 => []const T,
        Text => Texts,
        Histogram => Histograms,
        else => @compileError("a column has u64, i64, f64, weir.Text or weir.Histogram, not " ++ @typeName(T)),
    };
}

/// The tables that were granted, in the order of the grant.
pub fn tables() Error![]const Table {
    const names = grantedNames();
    const all = try heap.arena.alloc(Table, names.len);
    for (all, names, 0..) |*each, name, number| each.* = try .open(@intCast(number), string.lift(name));
    return all;
}

/// The granted table of this name.
pub fn table(name: []const u8) Error!Table {
    for (grantedNames(), 0..) |granted, number| {
        if (std.mem.eql(u8, string.lift(granted), name)) return .open(@intCast(number), string.lift(granted));
    }
    var known: std.Io.Writer.Allocating = .init(heap.arena);
    for (grantedNames(), 0..) |granted, number| try list(&known, number, string.lift(granted));
    return unknown("there is no table {s}; there is {s}", .{ name, known.written() });
}

fn grantedNames() []const c.plugin_string_t {
    var names: c.plugin_list_string_t = undefined;
    c.weir_plugin_tables_names(&names);
    return string.slice(c.plugin_string_t, names);
}

fn list(known: *std.Io.Writer.Allocating, number: usize, name: []const u8) error{OutOfMemory}!void {
    known.writer.print("{s}{s}", .{ if (number > 0) ", " else "", name }) catch return error.OutOfMemory;
}

fn unknown(comptime message: []const u8, args: anytype) Error {
    failure.fail("unknown", message, args) catch {};
    failure.rename(error.Unknown);
    return error.Unknown;
}

/// A table: one that was granted, or the answer to a question.
pub const Table = struct {
    number: u32,
    /// That of the granted table, also of what was made of it.
    name: []const u8,
    columns: []const Column,
    /// How many rows there are, the overflow row included.
    len: u32,

    /// The table of this number, for those who have one from the interface.
    pub fn open(number: u32, name: []const u8) Error!Table {
        var columns: c.weir_plugin_tables_list_column_t = undefined;
        var err: c.weir_plugin_types_failure_t = undefined;
        if (!c.weir_plugin_tables_columns(number, &columns, &err)) return failure.refused(err);
        const own = try heap.arena.alloc(Column, columns.len);
        for (own, string.slice(c.weir_plugin_tables_column_t, columns)) |*each, given| each.* = .{
            .name = string.lift(given.name),
            .role = std.meta.stringToEnum(Role, string.lift(given.role)) orelse .other,
            .kind = std.meta.stringToEnum(Kind, string.lift(given.kind)) orelse .other,
            .unit = string.lift(given.unit),
        };
        return opened(number, name, own);
    }

    /// The same for a table whose columns are known.
    pub fn opened(number: u32, name: []const u8, columns: []const Column) Error!Table {
        var rows_of: u32 = undefined;
        var err: c.weir_plugin_types_failure_t = undefined;
        if (!c.weir_plugin_tables_rows(number, &rows_of, &err)) return failure.refused(err);
        return .{ .number = number, .name = name, .columns = columns, .len = rows_of };
    }

    /// How complete the granted table is.
    pub fn coverage(of: Table) Error!Coverage {
        var said: c.weir_plugin_tables_coverage_t = undefined;
        var err: c.weir_plugin_types_failure_t = undefined;
        if (!c.weir_plugin_tables_covered(of.number, &said, &err)) return failure.refused(err);
        const missed = if (said.missed.is_some) said.missed.val else null;
        return .{ .events = said.events, .overflow = said.overflow, .missed = missed };
    }

    /// The place of the column of this name.
    pub fn find(in: Table, name: []const u8) Error!u32 {
        for (in.columns, 0..) |column_of, place| {
            if (std.mem.eql(u8, column_of.name, name)) return @intCast(place);
        }
        var known: std.Io.Writer.Allocating = .init(heap.arena);
        for (in.columns, 0..) |column_of, place| try list(&known, place, column_of.name);
        return unknown("there is no column {s} in table {s}; there is {s}", .{ name, in.name, known.written() });
    }

    /// A whole column: `[]const u64`, `i64` or `f64`, `Texts` or `Histograms`. It is read in one page if the host
    /// allows one so large, and then never copied.
    pub fn column(of: Table, comptime T: type, name: []const u8) Error!ColumnOf(T) {
        return of.page(T, try of.find(name), 0, of.len);
    }

    /// A part of a column, by its place: `count` rows from row `first` on.
    pub fn page(of: Table, comptime T: type, place: u32, first: u32, count: u32) Error!ColumnOf(T) {
        return read(T, of.number, place, first, count) catch |err| {
            if (err != error.TooLarge or count < 2) return err;
            const half = count / 2;
            const head = try of.page(T, place, first, half);
            const tail = try of.page(T, place, first + half, count - half);
            return switch (T) {
                Text, Histogram => head.join(tail),
                else => std.mem.concat(heap.arena, T, &.{ head, tail }),
            };
        };
    }

    /// The bytes of a part of a column: 8 a row of numbers, 4 of texts.
    pub fn raw(of: Table, place: u32, first: u32, count: u32) Error![]const u8 {
        var bytes: c.plugin_list_u8_t = undefined;
        var err: c.weir_plugin_types_failure_t = undefined;
        if (!c.weir_plugin_tables_read_raw(of.number, place, first, count, &bytes, &err)) return failure.refused(err);
        return string.slice(u8, bytes);
    }

    /// All rows, as a structure with a field for each column that is asked for:
    /// `for (try table.rows(struct { comm: weir.Text, calls: u64 })) |row| …`
    ///
    /// The column `overflow` can be a `bool`.
    pub fn rows(of: Table, comptime Row: type) Error![]const Row {
        const fields = @typeInfo(Row).@"struct";
        const all = try heap.arena.alloc(Row, of.len);
        inline for (fields.field_names, fields.field_types) |name, T| {
            const cells = try of.column(if (T == bool) u64 else T, name);
            for (all, 0..) |*row, number| @field(row, name) = switch (T) {
                bool => cells[number] != 0,
                Text, Histogram => cells.get(number),
                else => cells[number],
            };
        }
        return all;
    }

    /// For each row its keys as one text for people, never the same for two rows: one key as it prints, several as
    /// `comm="cat" pid=12`, and `all` in a table that has none. Those of the overflow row mean nothing.
    pub fn keys(of: Table) Error![]const []const u8 {
        var cells: std.ArrayList(Keys) = .empty;
        for (of.columns) |each| {
            if (each.role == .key) try cells.append(heap.arena, .{ .name = each.name, .cells = switch (each.kind) {
                .u64 => .{ .unsigned = try of.column(u64, each.name) },
                .s64 => .{ .signed = try of.column(i64, each.name) },
                else => .{ .text = try of.column(Text, each.name) },
            } });
        }
        const all = try heap.arena.alloc([]const u8, of.len);
        for (all, 0..) |*key, row| {
            var joined: std.Io.Writer.Allocating = .init(heap.arena);
            joinKeys(&joined.writer, cells.items, row) catch return error.OutOfMemory;
            key.* = joined.written();
        }
        return all;
    }

    /// Asks the host about this table; see `Question`.
    pub fn ask(about: Table) Question {
        return .{ .table = about };
    }
};

/// A column of keys.
const Keys = struct {
    name: []const u8,
    cells: union(enum) { unsigned: []const u64, signed: []const i64, text: Texts },
};

fn joinKeys(writer: *std.Io.Writer, keys: []const Keys, row: usize) !void {
    if (keys.len == 0) try writer.writeAll("all");
    for (keys, 0..) |key, number| {
        if (number > 0) try writer.writeByte(' ');
        if (keys.len > 1) try writer.print("{s}=", .{key.name});
        switch (key.cells) {
            .unsigned => |values| try writer.print("{d}", .{values[row]}),
            .signed => |values| try writer.print("{d}", .{values[row]}),
            .text => |values| if (keys.len == 1) try writer.print("{f}", .{values.get(row)}) else {
                // Quotes keep a text from looking like the key after it.
                const text = try values.get(row).toString();
                try writer.writeByte('"');
                for (text) |byte| {
                    if (byte == '"') try writer.writeByte('\\');
                    try writer.writeByte(byte);
                }
                try writer.writeByte('"');
            },
        }
    }
}

fn read(comptime T: type, number: u32, place: u32, first: u32, count: u32) Error!ColumnOf(T) {
    var err: c.weir_plugin_types_failure_t = undefined;
    const function, const Page = switch (T) {
        u64 => .{ c.weir_plugin_tables_read_u64, c.plugin_list_u64_t },
        i64 => .{ c.weir_plugin_tables_read_s64, c.plugin_list_s64_t },
        f64 => .{ c.weir_plugin_tables_read_f64, c.plugin_list_f64_t },
        Text => .{ c.weir_plugin_tables_read_texts, c.weir_plugin_tables_texts_t },
        else => .{ c.weir_plugin_tables_read_buckets, c.weir_plugin_tables_buckets_t },
    };
    var cells: Page = undefined;
    if (!function(number, place, first, count, &cells, &err)) return failure.refused(err);
    return switch (T) {
        Text => .{
            .codes = string.slice(u32, cells.codes),
            .offsets = string.slice(u32, cells.offsets),
            .bytes = string.slice(u8, cells.bytes),
        },
        Histogram => .{
            .lower = string.slice(f64, cells.lower),
            .offsets = string.slice(u32, cells.offsets),
            .bucket = string.slice(u32, cells.bucket),
            .counts = string.slice(u64, cells.counts),
            .sums = string.slice(f64, cells.sums),
            .totals = string.slice(u64, cells.totals),
        },
        else => string.slice(T, cells),
    };
}

test joinKeys {
    // Three rows: two whose texts are the same when they are joined, and one with quotes.
    const of: Texts = .{ .codes = &.{ 0, 1, 2 }, .offsets = &.{ 0, 3, 4, 9 }, .bytes = "a bax\" =\"" };
    const after: Texts = .{ .codes = &.{ 0, 1, 0 }, .offsets = &.{ 0, 1, 4 }, .bytes = "cb c" };
    const one: Keys = .{ .name = "a", .cells = .{ .text = of } };
    const two = [_]Keys{ one, .{ .name = "b", .cells = .{ .text = after } } };
    const numbered = [_]Keys{ one, .{ .name = "n", .cells = .{ .signed = &.{ -1, 2, 3 } } } };
    const cases = .{
        .{ "all", &.{}, 0 },
        .{ "a b", &.{one}, 0 },
        .{ "x\" =\"", &.{one}, 2 },
        .{ "a=\"a b\" b=\"c\"", &two, 0 },
        .{ "a=\"a\" b=\"b c\"", &two, 1 },
        .{ "a=\"x\\\" =\\\"\" b=\"c\"", &two, 2 },
        .{ "a=\"a b\" n=-1", &numbered, 0 },
    };
    inline for (cases) |case| {
        var joined: std.Io.Writer.Allocating = .init(std.testing.allocator);
        defer joined.deinit();
        try joinKeys(&joined.writer, case[1], case[2]);
        try std.testing.expectEqualStrings(case[0], joined.written());
    }
}
