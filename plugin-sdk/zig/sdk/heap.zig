//! The memory of one call.
//!
//! Nothing has to be freed: it is all gone when the call returns. A loop over the pages of a large table can give back
//! what a turn took, with a `Scope`.

const std = @import("std");
const builtin = @import("builtin");
const Allocator = std.mem.Allocator;
const Alignment = std.mem.Alignment;

/// What is allocated here lives until `configure` or `analyze` returns, and so does all else that this library gives.
pub const arena: Allocator =
    if (builtin.target.cpu.arch.isWasm()) .{ .ptr = undefined, .vtable = &vtable } else testing;

/// Gives back what was allocated from here to its end: `const scope = weir.scope(); defer scope.end();`
pub fn scope() Scope {
    return .{ .first = first, .next = next };
}

pub const Scope = struct {
    first: usize,
    next: usize,

    pub fn end(begun: Scope) void {
        // What it began in may have ended at memory that is somebody else's; then all of what is used now is the scope's.
        next = if (first == begun.first) begun.next else first;
    }
};

// Memory grows upwards from where the program's own data end. The last piece can be resized and freed in place.
// What was grown stays: the host never takes it back.

const page = 64 * 1024;

extern var __heap_base: u8;

var first: usize = 0;
var next: usize = 0;
var limit: usize = 0;

/// More memory was asked for than there is.
pub var exhausted = false;

const vtable: Allocator.VTable = .{ .alloc = alloc, .resize = resize, .remap = remap, .free = release };

/// A new call begins: nothing is left of the one before.
pub fn reset() void {
    if (first == 0) {
        first = @intFromPtr(&__heap_base);
        limit = @wasmMemorySize(0) * page;
    }
    next = first;
    exhausted = false;
}

fn alloc(_: *anyopaque, len: usize, alignment: Alignment, _: usize) ?[*]u8 {
    // Twice, if somebody else has grown the memory since.
    while (true) {
        const start = alignment.forward(next);
        if (start +| len <= limit) {
            next = start + len;
            return @ptrFromInt(start);
        }
        if (!grow(start +| len -| limit)) return null;
    }
}

fn grow(bytes: usize) bool {
    const pages = bytes / page + 1;
    const before = @wasmMemoryGrow(0, pages);
    if (before < 0) {
        exhausted = true;
        return false;
    }
    const start = @as(usize, @intCast(before)) * page;
    if (start != limit) {
        first = start;
        next = start;
    }
    limit = start +| pages * page;
    return true;
}

fn resize(_: *anyopaque, memory: []u8, _: Alignment, len: usize, _: usize) bool {
    const start, const end = .{ @intFromPtr(memory.ptr), @intFromPtr(memory.ptr) + memory.len };
    if (end != next) return len <= memory.len;
    if (start +| len > limit and (!grow(start +| len -| limit) or end != next)) return false;
    next = start + len;
    return true;
}

fn remap(context: *anyopaque, memory: []u8, alignment: Alignment, len: usize, address: usize) ?[*]u8 {
    return if (resize(context, memory, alignment, len, address)) memory.ptr else null;
}

fn release(_: *anyopaque, memory: []u8, _: Alignment, _: usize) void {
    if (@intFromPtr(memory.ptr) + memory.len == next) next = @intFromPtr(memory.ptr);
}

// The generated C asks for memory by these names: for what the host hands over, which then is the call's as all else.

fn malloc(size: usize) callconv(.c) ?*anyopaque {
    return alloc(undefined, size, .@"16", 0);
}

fn realloc(old: ?*anyopaque, size: usize) callconv(.c) ?*anyopaque {
    const new = alloc(undefined, size, .@"16", 0) orelse return null;
    if (old) |memory| {
        // How large it was is not known; beyond its end there is at least what is above it.
        const from: [*]const u8 = @ptrCast(memory);
        const len = @min(size, @intFromPtr(new) - @intFromPtr(from));
        @memcpy(new[0..len], from[0..len]);
    }
    return new;
}

fn free(_: ?*anyopaque) callconv(.c) void {}

fn abort() callconv(.c) noreturn {
    @panic("out of memory");
}

comptime {
    if (builtin.target.cpu.arch.isWasm()) {
        @export(&malloc, .{ .name = "malloc" });
        @export(&realloc, .{ .name = "realloc" });
        @export(&free, .{ .name = "free" });
        @export(&abort, .{ .name = "abort" });
    }
}

/// A plugin's own tests run outside of any host.
const testing = if (builtin.is_test) std.heap.page_allocator else undefined;
