//! Texts in XML.

const std = @import("std");

/// Prints as character data or the value of an attribute, whatever it has in it. What no XML can have is U+FFFD.
pub const Escaped = struct {
    text: []const u8,

    pub fn format(escaped: Escaped, writer: *std.Io.Writer) std.Io.Writer.Error!void {
        const replacement = "\u{fffd}";
        var rest = escaped.text;
        while (rest.len > 0) {
            const len = std.unicode.utf8ByteSequenceLength(rest[0]) catch 0;
            const code = if (0 < len and len <= rest.len) std.unicode.utf8Decode(rest[0..len]) catch null else null;
            const character = rest[0..if (code == null) 1 else len];
            rest = rest[character.len..];
            try writer.writeAll(if (code) |known| switch (known) {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '"' => "&quot;",
                '\'' => "&#39;",
                '\t', '\n', '\r' => " ",
                0...8, 11, 12, 14...31, 0x7f...0x9f, 0xfffe, 0xffff => replacement,
                else => character,
            } else replacement);
        }
    }
};

test Escaped {
    const cases = [_][2][]const u8{
        .{ "reads: latency", "reads: latency" },
        .{ "</text><script>\"'&", "&lt;/text&gt;&lt;script&gt;&quot;&#39;&amp;" },
        .{ "grün 猫\n", "grün 猫 " },
        .{ "\x00\x1b[2J\x7f\u{ffff}", "\u{fffd}\u{fffd}[2J\u{fffd}\u{fffd}" },
        .{ "a\xffb\xe7\x8c", "a\u{fffd}b\u{fffd}\u{fffd}" },
    };
    for (cases) |case| try std.testing.expectFmt(case[1], "{f}", .{Escaped{ .text = case[0] }});
}
