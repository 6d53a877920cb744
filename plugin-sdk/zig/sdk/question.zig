//! Questions: filter, group and sort, answered by the host at the speed of native code.

const std = @import("std");
const c = @import("bindings");
const heap = @import("heap.zig");
const failure = @import("failure.zig");
const string = @import("string.zig");
const Error = failure.Error;
const Table = @import("table.zig").Table;
const Text = @import("text.zig").Text;

/// What holds for some rows and not for others: `.gt("calls", 10)`. Numbers compare by value, whatever their kinds;
/// texts by their bytes, with `eq`, `ne` and `prefix`.
pub const Condition = struct {
    column: []const u8,
    op: []const u8,
    value: Literal,

    pub fn eq(column: []const u8, value: anytype) Condition {
        return .{ .column = column, .op = "eq", .value = .of(value) };
    }
    pub fn ne(column: []const u8, value: anytype) Condition {
        return .{ .column = column, .op = "ne", .value = .of(value) };
    }
    pub fn lt(column: []const u8, value: anytype) Condition {
        return .{ .column = column, .op = "lt", .value = .of(value) };
    }
    pub fn le(column: []const u8, value: anytype) Condition {
        return .{ .column = column, .op = "le", .value = .of(value) };
    }
    pub fn gt(column: []const u8, value: anytype) Condition {
        return .{ .column = column, .op = "gt", .value = .of(value) };
    }
    pub fn ge(column: []const u8, value: anytype) Condition {
        return .{ .column = column, .op = "ge", .value = .of(value) };
    }
    pub fn prefix(column: []const u8, value: anytype) Condition {
        return .{ .column = column, .op = "prefix", .value = .of(value) };
    }
};

/// What a column is compared with.
pub const Literal = union(enum) {
    unsigned: u64,
    signed: i64,
    float: f64,
    text: []const u8,

    pub fn of(value: anytype) Literal {
        return switch (@typeInfo(@TypeOf(value))) {
            .int => |int| if (int.signedness == .signed) .{ .signed = value } else .{ .unsigned = value },
            .comptime_int => if (value < 0) .{ .signed = value } else .{ .unsigned = value },
            .float, .comptime_float => .{ .float = value },
            else => .{ .text = if (@TypeOf(value) == Text) value.bytes else value },
        };
    }
};

/// What is made of the rows of each group: `.sum("calls")`, which the answer has in a column `sum(calls)`.
pub const Aggregate = struct {
    column: []const u8,
    op: []const u8,
    argument: f64 = 0,

    /// How many rows.
    pub fn count(column: []const u8) Aggregate {
        return .{ .column = column, .op = "count" };
    }
    /// The sum; of histograms, bucket by bucket.
    pub fn sum(column: []const u8) Aggregate {
        return .{ .column = column, .op = "sum" };
    }
    pub fn min(column: []const u8) Aggregate {
        return .{ .column = column, .op = "min" };
    }
    pub fn max(column: []const u8) Aggregate {
        return .{ .column = column, .op = "max" };
    }
    pub fn mean(column: []const u8) Aggregate {
        return .{ .column = column, .op = "mean" };
    }
    /// The sum by the whole table's sum, 0 to 1.
    pub fn share(column: []const u8) Aggregate {
        return .{ .column = column, .op = "share" };
    }
    /// The smallest value that at least the share `of_all` (0 to 1) of the values does not exceed.
    pub fn quantile(column: []const u8, of_all: f64) Aggregate {
        return .{ .column = column, .op = "quantile", .argument = of_all };
    }
};

pub const Order = enum { ascending, descending };

/// A question about a table, in steps; each is about the answer to the one before:
///
///     const worst = try table.ask()
///         .filter(&.{ .eq("overflow", 0), .gt("calls", 10) })
///         .group(&.{"comm"}, &.{ .sum("calls"), .quantile("latency", 0.99) })
///         .sort("sum(calls)", .descending, 10)
///         .answer();
///
/// After a step that failed no further one is asked, and `answer` gives its error.
pub const Question = struct {
    table: Error!Table,

    /// Only the rows for which every condition holds.
    pub fn filter(about: Question, every: []const Condition) Question {
        const table = about.table catch return about;
        return .{ .table = filtered(table, every) };
    }

    /// One row for each combination of values in these columns, one of all rows if there are none. The overflow row's
    /// keys read as 0 or empty: have `overflow` among the columns, or filter it out first.
    pub fn group(about: Question, by: []const []const u8, show: []const Aggregate) Question {
        const table = about.table catch return about;
        return .{ .table = grouped(table, by, show) };
    }

    /// By the values of a column. The first `limit` rows are kept, all if it is 0.
    pub fn sort(about: Question, by: []const u8, order: Order, limit: u32) Question {
        const table = about.table catch return about;
        return .{ .table = sorted(table, by, order, limit) };
    }

    /// The answer, which lives until the call returns.
    pub fn answer(about: Question) Error!Table {
        return about.table;
    }
};

fn filtered(table: Table, every: []const Condition) Error!Table {
    const conditions = try heap.arena.alloc(c.weir_plugin_questions_condition_t, every.len);
    for (conditions, every) |*condition, given| condition.* = .{
        .column = try table.find(given.column),
        .op = try string.lower(given.op),
        .value = switch (given.value) {
            .unsigned => |value| .{ .tag = c.WEIR_PLUGIN_QUESTIONS_LITERAL_UNSIGNED, .val = .{ .unsigned_ = value } },
            .signed => |value| .{ .tag = c.WEIR_PLUGIN_QUESTIONS_LITERAL_SIGNED, .val = .{ .signed_ = value } },
            .float => |value| .{ .tag = c.WEIR_PLUGIN_QUESTIONS_LITERAL_FLOAT, .val = .{ .float_ = value } },
            .text => |value| .{
                .tag = c.WEIR_PLUGIN_QUESTIONS_LITERAL_TEXT,
                .val = .{ .text = string.list(c.plugin_list_u8_t, value) },
            },
        },
    };
    var asked = string.list(c.weir_plugin_questions_list_condition_t, conditions);
    var number: u32 = undefined;
    var err: c.weir_plugin_types_failure_t = undefined;
    if (!c.weir_plugin_questions_filter(table.number, &asked, &number, &err)) return failure.refused(err);
    return .opened(number, table.name, table.columns);
}

fn grouped(table: Table, by: []const []const u8, show: []const Aggregate) Error!Table {
    const places = try heap.arena.alloc(u32, by.len);
    for (places, by) |*place, name| place.* = try table.find(name);
    const aggregates = try heap.arena.alloc(c.weir_plugin_questions_aggregate_t, show.len);
    for (aggregates, show) |*aggregate, given| aggregate.* = .{
        .column = try table.find(given.column),
        .op = try string.lower(given.op),
        .argument = given.argument,
    };
    var keys = string.list(c.plugin_list_u32_t, places);
    var shown = string.list(c.weir_plugin_questions_list_aggregate_t, aggregates);
    var number: u32 = undefined;
    var err: c.weir_plugin_types_failure_t = undefined;
    if (!c.weir_plugin_questions_group(table.number, &keys, &shown, &number, &err)) return failure.refused(err);
    return .open(number, table.name);
}

fn sorted(table: Table, by: []const u8, order: Order, limit: u32) Error!Table {
    const place = try table.find(by);
    var number: u32 = undefined;
    var err: c.weir_plugin_types_failure_t = undefined;
    if (!c.weir_plugin_questions_sort(table.number, place, order == .descending, limit, &number, &err)) {
        return failure.refused(err);
    }
    return .opened(number, table.name, table.columns);
}
