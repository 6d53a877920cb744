//! Why something did not work.
//!
//! A Zig error is a word. What the host said with it, for programs and for people, is kept here until the next failure.

const std = @import("std");
const c = @import("bindings");
const string = @import("string.zig");

/// What calls of the host fail with. `weir.failureOf(err)` has what it said; a reason without a word of its own here is
/// `Refused`.
pub const Error = error{ Unknown, Kind, Bounds, TooLarge, Quota, Refused, OutOfMemory };

/// Why a call was refused, or why a plugin gives up.
pub const Failure = struct {
    /// A word for programs.
    reason: []const u8,
    /// A sentence for people.
    message: []const u8,
};

var last: Kept = .{};

const Kept = struct {
    err: ?anyerror = null,
    reason: [256]u8 = undefined,
    reason_len: usize = 0,
    message: [4096]u8 = undefined,
    message_len: usize = 0,

    fn keepReason(kept: *Kept, reason: []const u8) void {
        kept.reason_len = @min(reason.len, kept.reason.len);
        @memcpy(kept.reason[0..kept.reason_len], reason[0..kept.reason_len]);
    }
};

/// A plugin's own failure: `return weir.fail("option", "option {s}: …", .{name});`
pub fn fail(reason: []const u8, comptime message: []const u8, args: anytype) error{Failed} {
    // Beside what is kept, of which the reason or an argument may be a part.
    var new: Kept = .{ .err = error.Failed };
    var writer: std.Io.Writer = .fixed(&new.message);
    // What is longer than there is room for is cut.
    writer.print(message, args) catch {};
    new.message_len = writer.end;
    new.keepReason(reason);
    last = new;
    return error.Failed;
}

/// What is known of an error that was just caught: what the host said or `fail` was given, or else the error's name.
pub fn failureOf(err: anyerror) Failure {
    if (isKept(err)) {
        return .{ .reason = last.reason[0..last.reason_len], .message = last.message[0..last.message_len] };
    }
    return .{ .reason = "failed", .message = @errorName(err) };
}

pub fn isKept(err: anyerror) bool {
    return last.err != null and last.err.? == err;
}

/// The error for what the host said.
pub fn refused(said: c.weir_plugin_types_failure_t) Error {
    const reason, const message = .{ string.lift(said.reason), string.lift(said.message) };
    const err = errorFor(reason);
    last.message_len = @min(message.len, last.message.len);
    @memcpy(last.message[0..last.message_len], message[0..last.message_len]);
    last.keepReason(reason);
    last.err = err;
    return err;
}

/// The failure that is kept came as this error, through something that has errors of its own.
pub fn rename(err: anyerror) void {
    last.err = err;
}

fn errorFor(reason: []const u8) Error {
    const words = std.StaticStringMap(Error).initComptime(.{
        .{ "unknown", error.Unknown },
        .{ "kind", error.Kind },
        .{ "bounds", error.Bounds },
        .{ "too-large", error.TooLarge },
        .{ "quota", error.Quota },
    });
    return words.get(reason) orelse error.Refused;
}
