//! Texts, as the kernel wrote them.

const std = @import("std");
const heap = @import("heap.zig");

/// Bytes, most often UTF-8. `{f}` prints them with backslashes doubled and with `\xNN` for a NUL and for what is no
/// UTF-8, so that two different texts never print alike.
pub const Text = struct {
    bytes: []const u8,

    pub fn format(text: Text, writer: *std.Io.Writer) std.Io.Writer.Error!void {
        var rest = text.bytes;
        while (rest.len > 0) {
            const plain = lengthOfPlain(rest);
            try writer.writeAll(rest[0..plain]);
            rest = rest[plain..];
            if (rest.len == 0) return;
            if (rest[0] == '\\') try writer.writeAll("\\\\") else try writer.print("\\x{x:0>2}", .{rest[0]});
            rest = rest[1..];
        }
    }

    /// What `{f}` prints.
    pub fn toString(text: Text) error{OutOfMemory}![]const u8 {
        if (lengthOfPlain(text.bytes) == text.bytes.len) return text.bytes;
        return heap.arena.print("{f}", .{text});
    }
};

/// How many bytes there are before the first one that has to be escaped.
fn lengthOfPlain(bytes: []const u8) usize {
    var len: usize = 0;
    while (len < bytes.len and bytes[len] != '\\' and bytes[len] != 0) {
        // No byte inside of a character begins another one, so what is not whole can be left byte by byte.
        len += lengthOfCharacter(bytes[len..]) orelse break;
    }
    return len;
}

fn lengthOfCharacter(bytes: []const u8) ?usize {
    const len = std.unicode.utf8ByteSequenceLength(bytes[0]) catch return null;
    if (len > bytes.len) return null;
    _ = std.unicode.utf8Decode(bytes[0..len]) catch return null;
    return len;
}

/// A column of texts, by dictionary: rows with the same text most often share a code.
pub const Texts = struct {
    /// A number below `words` for each row: what is the same for the same text can be done once a code.
    codes: []const u32,
    offsets: []const u32,
    bytes: []const u8,

    pub fn len(texts: Texts) usize {
        return texts.codes.len;
    }

    /// The text of a row.
    pub fn get(texts: Texts, row: usize) Text {
        return texts.word(texts.codes[row]);
    }

    /// The text of a code.
    pub fn word(texts: Texts, code: u32) Text {
        return .{ .bytes = texts.bytes[texts.offsets[code]..texts.offsets[code + 1]] };
    }

    /// How many codes there are. (A column that was read in several pages can have several for one text.)
    pub fn words(texts: Texts) u32 {
        return @intCast(texts.offsets.len -| 1);
    }

    pub fn join(head: Texts, tail: Texts) error{OutOfMemory}!Texts {
        const codes = try std.mem.concat(heap.arena, u32, &.{ head.codes, tail.codes });
        for (codes[head.codes.len..]) |*code| code.* += head.words();
        const offsets = try std.mem.concat(heap.arena, u32, &.{ head.offsets, tail.offsets[1..] });
        for (offsets[head.offsets.len..]) |*offset| offset.* += @intCast(head.bytes.len);
        const bytes = try std.mem.concat(heap.arena, u8, &.{ head.bytes, tail.bytes });
        return .{ .codes = codes, .offsets = offsets, .bytes = bytes };
    }
};

test Text {
    const cases = [_][2][]const u8{
        .{ "", "" },
        .{ "cat", "cat" },
        .{ "a\\b\\", "a\\\\b\\\\" },
        .{ "grün 猫 🐈", "grün 猫 🐈" },
        .{ "\n\x7f", "\n\x7f" },
        .{ "a\x00b\x00", "a\\x00b\\x00" },
        .{ "a\\x00b", "a\\\\x00b" },
        .{ "\xff", "\\xff" },
        .{ "a\x80b", "a\\x80b" },
        .{ "\xe7\x8c", "\\xe7\\x8c" }, // cut in the middle
        .{ "\xe7\x8cx", "\\xe7\\x8cx" },
        .{ "\xc3\xc3\xbc", "\\xc3ü" },
        .{ "\xf0\x9f\x90\xc3\xbc", "\\xf0\\x9f\\x90ü" },
        .{ "\xc0\x80\xc1\xbf", "\\xc0\\x80\\xc1\\xbf" }, // overlong
        .{ "\xe0\x80\x80\xf0\x80\x80\x80", "\\xe0\\x80\\x80\\xf0\\x80\\x80\\x80" },
        .{ "\xed\xa0\x80", "\\xed\\xa0\\x80" }, // a surrogate
        .{ "\xf4\x8f\xbf\xbf\xf4\x90\x80\x80", "\u{10ffff}\\xf4\\x90\\x80\\x80" }, // above the last character
        .{ "\xf5\xf8\xfe", "\\xf5\\xf8\\xfe" },
    };
    for (cases) |case| try std.testing.expectEqualStrings(case[1], try (Text{ .bytes = case[0] }).toString());
}

test Texts {
    const head: Texts = .{ .codes = &.{ 0, 1, 0 }, .offsets = &.{ 0, 3, 5 }, .bytes = "catsh" };
    const tail: Texts = .{ .codes = &.{ 1, 0 }, .offsets = &.{ 0, 0, 2 }, .bytes = "dd" };
    const all = try head.join(tail);
    try std.testing.expectEqual(4, all.words());
    for ([_][]const u8{ "cat", "sh", "cat", "dd", "" }, 0..) |text, row| {
        try std.testing.expectEqualStrings(text, all.get(row).bytes);
    }
}
