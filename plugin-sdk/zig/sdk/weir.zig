//! Write plugins for Weir in Zig.
//!
//! A plugin is a Wasm component that Weir calls at the end of every interval. It sees the tables it was granted, merged
//! over all CPUs, and answers with metrics, reports and log lines. It can reach nothing else.
//!
//! This is a whole one. It reports whoever made more than a given number of calls:
//!
//!     const weir = @import("weir");
//!
//!     pub const Options = struct { calls: u64 = 1000 };
//!
//!     pub fn analyze(options: Options) !void {
//!         const opens = try weir.table("opens");
//!         const busy = try opens.ask()
//!             .filter(&.{ .eq("overflow", 0), .gt("calls", options.calls) })
//!             .sort("calls", .descending, 10)
//!             .answer();
//!         for (try busy.rows(struct { comm: weir.Text, calls: u64 })) |row| {
//!             const title = try weir.arena.print("{f} opens many files", .{row.comm});
//!             try weir.report(.warning, "busy", title, .{ .calls = row.calls });
//!         }
//!     }
//!
//! What a call of the interface means, and every limit, is written in the project's `build/wit/weir.wit`.

const std = @import("std");
const c = @import("bindings");
const heap = @import("heap.zig");
const output = @import("output.zig");
const string = @import("string.zig");
const failures = @import("failure.zig");
const columns = @import("table.zig");
const questions = @import("question.zig");

pub const arena = heap.arena;
pub const scope = heap.scope;
pub const Scope = heap.Scope;

pub const tables = columns.tables;
pub const table = columns.table;
pub const Table = columns.Table;
pub const Column = columns.Column;
pub const ColumnOf = columns.ColumnOf;
pub const Coverage = columns.Coverage;
pub const Kind = columns.Kind;
pub const Role = columns.Role;

pub const Text = @import("text.zig").Text;
pub const Texts = @import("text.zig").Texts;
pub const Bucket = @import("histogram.zig").Bucket;
pub const Histogram = @import("histogram.zig").Histogram;
pub const Histograms = @import("histogram.zig").Histograms;

pub const Question = questions.Question;
pub const Condition = questions.Condition;
pub const Literal = questions.Literal;
pub const Aggregate = questions.Aggregate;
pub const Order = questions.Order;

pub const add = output.add;
pub const gauge = output.gauge;
pub const histogram = output.histogram;
pub const report = output.report;
pub const artefact = output.artefact;
pub const Artefact = output.Artefact;
pub const log = output.log;
pub const Label = output.Label;
pub const label = output.label;
pub const Severity = output.Severity;

pub const Error = failures.Error;
pub const Failure = failures.Failure;
pub const fail = failures.fail;
pub const failureOf = failures.failureOf;

pub const interval = @import("interval.zig");
pub const options = @import("options.zig");
pub const state = @import("state.zig");

/// Makes a namespace what this component exports. It has `pub fn analyze`, and perhaps `pub fn configure`. Both give
/// `!void`, and take nothing, or its `Options`, which `options.parse` reads before each call.
///
/// `configure` is called once, before any probe is attached, so that what is wrong is told before anything runs. The
/// tables have their columns then, but no rows. Every call finds the program as it was loaded: variables keep nothing
/// from one to the next, `state` does.
pub fn exportPlugin(comptime plugin: type) void {
    if (!@hasDecl(plugin, "analyze")) @compileError("a plugin has a function `pub fn analyze() !void`");
    const exports = struct {
        fn configure(err: [*c]c.exports_weir_plugin_analysis_failure_t) callconv(.c) bool {
            return said(call(plugin, "configure"), err);
        }

        fn analyze(err: [*c]c.exports_weir_plugin_analysis_failure_t) callconv(.c) bool {
            return said(call(plugin, "analyze"), err);
        }
    };
    @export(&exports.configure, .{ .name = "exports_weir_plugin_analysis_configure" });
    @export(&exports.analyze, .{ .name = "exports_weir_plugin_analysis_analyze" });
}

fn call(comptime plugin: type, comptime name: []const u8) anyerror!void {
    heap.reset();
    const settings = if (@hasDecl(plugin, "Options")) try options.parse(plugin.Options) else {};
    if (!@hasDecl(plugin, name)) return;
    const function = @field(plugin, name);
    return switch (@typeInfo(@TypeOf(function)).@"fn".param_types.len) {
        0 => function(),
        else => function(settings),
    };
}

/// What the host is told: all is well, or why not.
fn said(result: anyerror!void, err: [*c]c.exports_weir_plugin_analysis_failure_t) bool {
    result catch |failed| {
        const failure = failureOf(failed);
        // Of a trap for want of memory the host tells which limit it was.
        if (heap.exhausted and !failures.isKept(failed)) @trap();
        err.* = .{
            .reason = string.list(c.plugin_string_t, failure.reason),
            .message = string.list(c.plugin_string_t, failure.message),
        };
        return false;
    };
    return true;
}

/// A panic is logged, which a trap would not be, and ends the call.
pub const panic = std.debug.FullPanic(struct {
    fn panic(message: []const u8, _: ?usize) noreturn {
        output.logLine(.critical, message);
        @trap();
    }
}.panic);

/// `std.log` writes to Weir's log.
pub const std_options: std.Options = .{ .log_level = .debug, .logFn = standardLog };

fn standardLog(
    comptime level: std.log.Level,
    comptime scoped: @EnumLiteral(),
    comptime message: []const u8,
    args: anytype,
) void {
    const severity: Severity = switch (level) {
        .err => .critical,
        .warn => .warning,
        .info => .info,
        .debug => .debug,
    };
    log(severity, (if (scoped == .default) "" else @tagName(scoped) ++ ": ") ++ message, args);
}

test {
    _ = @import("text.zig");
    _ = @import("histogram.zig");
    _ = @import("table.zig");
}
