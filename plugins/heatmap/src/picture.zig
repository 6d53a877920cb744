//! The picture: an SVG of its own, without scripts, fonts or anything else from elsewhere.

const std = @import("std");
const history = @import("history.zig");
const at = @import("frame.zig");
const Clock = @import("clock.zig").Clock;
const Colours = @import("colours.zig").Colours;
const Heading = @import("words.zig").Heading;
const Label = @import("words.zig").Label;
const Summary = @import("words.zig").Summary;
const Escaped = @import("xml.zig").Escaped;
const Writer = std.Io.Writer;

pub const Picture = struct {
    title: []const u8,
    measure: []const u8,
    unit: []const u8,
    /// From the oldest to the newest; at least one.
    columns: []const history.Column,
    /// How many intervals there can be.
    room: u64,
};

pub fn draw(out: *Writer, picture: Picture) Writer.Error!void {
    const drawing: Drawing = .{
        .out = out,
        .picture = picture,
        .frame = .of(picture.columns, picture.room),
        .colours = .of(picture.columns),
    };
    try drawing.head();
    try drawing.gaps();
    for (0..drawing.colours.len) |colour| try drawing.cells(colour);
    try drawing.valueAxis();
    try drawing.timeAxis();
    for ([_][]const u8{ "half", "most" }, 0..) |class, quantile| {
        try drawing.line("halo", quantile);
        try drawing.line(class, quantile);
    }
    try drawing.hints();
    try drawing.legend();
    try out.writeAll("</svg>\n");
}

const page_width = 960;
const page_height = 490;
const legend_left = at.right + 26;

const Drawing = struct {
    out: *Writer,
    picture: Picture,
    frame: at.Frame,
    colours: Colours,

    fn head(drawing: Drawing) Writer.Error!void {
        const picture = drawing.picture;
        const first, const last = .{ picture.columns[0], picture.columns[picture.columns.len - 1] };
        try drawing.out.print(
            \\<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {[width]d} {[height]d}"
            \\ width="{[width]d}" height="{[height]d}" role="img" aria-labelledby="title desc">
            \\<title id="title">{[title]f}</title>
            \\<desc id="desc">A heat map. Each column is an interval, from the one that began at {[first]f} UTC to
            \\that of {[last]f} UTC, {[date]f}. Each cell is a range of values of {[measure]f}, and its colour says how
            \\many there were. In the last interval: {[summary]f}.</desc>
            \\<style>
            \\{[style]s}</style>
            \\<rect class="page" width="{[width]d}" height="{[height]d}"/>
            \\<text class="head" x="{[left]d}" y="32">{[heading]f}</text>
            \\<text class="soft" x="{[left]d}" y="54">Last interval, {[last]f} UTC: {[summary]f}</text>
            \\
        , .{
            .width = page_width,
            .height = page_height,
            .left = at.left,
            .title = Escaped{ .text = picture.title },
            .heading = Heading{ .text = picture.title },
            .measure = Escaped{ .text = picture.measure },
            .first = Clock.time(first),
            .last = Clock.time(last),
            .date = Clock.date(last),
            .summary = Summary{ .column = last, .unit = picture.unit },
            .style = @embedFile("style.css"),
        });
    }

    /// Intervals that the plugin was not called for.
    fn gaps(drawing: Drawing) Writer.Error!void {
        if (!drawing.hasGaps()) return;
        try drawing.out.writeAll(
            \\<defs>
            \\<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
            \\<path class="hatch" d="M0 0V6"/>
            \\</pattern>
            \\</defs>
            \\
        );
        const columns = drawing.picture.columns;
        for (columns[0 .. columns.len - 1], columns[1..]) |before, column| {
            if (column.interval - before.interval == 1) continue;
            const from, const to = .{ drawing.frame.x(before.interval)[1], drawing.frame.x(column.interval)[0] };
            try drawing.out.print(
                \\<rect class="gap" x="{d}" y="{d}" width="{d}" height="{d}"/>
                \\
            , .{ from, at.top, to - from, at.height });
        }
    }

    fn hasGaps(drawing: Drawing) bool {
        const columns = drawing.picture.columns;
        return columns[columns.len - 1].interval - columns[0].interval >= columns.len;
    }

    /// All cells of a colour, as one path: they are thousands.
    fn cells(drawing: Drawing, colour: usize) Writer.Error!void {
        const range = drawing.colours.range(colour);
        try drawing.out.print("<path class=\"cell c{d}\" d=\"", .{drawing.colours.shade(colour)});
        for (drawing.picture.columns) |column| {
            const from, const to = drawing.frame.x(column.interval);
            for (column.buckets) |bucket| {
                if (!range.has(bucket.count)) continue;
                const high, const low = drawing.frame.edges(bucket);
                try drawing.out.print("M{d} {d}H{d}V{d}H{d}z", .{ from, high, to, low, from });
            }
        }
        try drawing.out.writeAll("\"/>\n");
    }

    fn valueAxis(drawing: Drawing) Writer.Error!void {
        const low, const high = .{ drawing.frame.low, drawing.frame.high };
        const measure: Escaped = .{ .text = drawing.picture.measure };
        if (low <= -1) try drawing.valueTick(0);
        if (high - low <= 4) {
            var power = @max(low, 0);
            while (power <= high) : (power += 1) try drawing.valueTick(@exp2(power));
        } else {
            const steps = ([_]f64{ 1, 2, 5 })[0..if (high - low <= 11) 3 else 1];
            var power: f64 = 1;
            while (power <= @exp2(high)) : (power *= 10) {
                for (steps) |step| {
                    const value = step * power;
                    if (low <= @log2(value) and @log2(value) <= high) try drawing.valueTick(value);
                }
            }
        }
        try drawing.out.print(
            \\<path class="axis" d="M{d} {d}V{d}H{d}"/>
            \\<text class="soft" transform="translate(22 {d}) rotate(-90)" text-anchor="middle">{f}, logarithmic</text>
            \\
        , .{ at.left, at.top, at.bottom, at.right, at.top + at.height / 2, measure });
    }

    fn valueTick(drawing: Drawing, value: f64) Writer.Error!void {
        const y = drawing.frame.y(value);
        const label: Label = .{ .value = value, .unit = drawing.picture.unit };
        try drawing.out.print(
            \\<path class="grid" d="M{d} {d}.5H{d}"/><text x="{d}" y="{d}" text-anchor="end">{f}</text>
            \\
        , .{ at.left - 5, y, at.right, at.left - 9, y + 4, label });
    }

    fn timeAxis(drawing: Drawing) Writer.Error!void {
        const columns = drawing.picture.columns;
        const first, const last = .{ columns[0], columns[columns.len - 1] };
        // So many intervals that a label has room.
        const step = for ([_]u64{ 1, 2, 5, 10, 15, 30, 60, 120 }) |step| {
            if (step * at.width / drawing.frame.slots >= 72) break step;
        } else 360;
        const length_ms = (last.began_ms -| first.began_ms) / @max(last.interval - first.interval, 1);
        const is_fine = columns.len > 1 and length_ms < 1000;
        for (columns) |column| {
            if ((column.interval - first.interval) % step != 0) continue;
            const x = drawing.frame.x(column.interval)[0];
            try drawing.out.print(
                \\<path class="axis" d="M{d}.5 {d}v5"/><text x="{d}" y="{d}" text-anchor="middle">{f}</text>
                \\
            , .{ x, at.bottom, x, at.bottom + 20, if (is_fine) Clock.fine(column) else Clock.time(column) });
        }
        try drawing.out.print(
            \\<text class="soft" x="{d}" y="{d}" text-anchor="middle">beginning of the interval, UTC, {f}</text>
            \\
        , .{ at.left + at.width / 2, at.bottom + 44, Clock.date(last) });
        for (columns) |column| {
            const from, const to = drawing.frame.x(column.interval);
            if (column.incomplete) try drawing.mark((from + to) / 2, at.top - 2);
        }
    }

    /// Something is missing here.
    fn mark(drawing: Drawing, x: u64, y: u64) Writer.Error!void {
        try drawing.out.print(
            \\<path class="warn" d="M{d} {d}l4 -6h-8z"/>
            \\
        , .{ x, y });
    }

    /// A quantile's upper bound, interval by interval.
    fn line(drawing: Drawing, class: []const u8, quantile: usize) Writer.Error!void {
        try drawing.out.print("<path class=\"line {s}\" d=\"", .{class});
        var before: ?u64 = null;
        for (drawing.picture.columns) |column| {
            if (column.total == 0) continue;
            const bound = column.quantiles[quantile];
            const y = if (std.math.isFinite(bound)) drawing.frame.y(bound) else at.top;
            const from, const to = drawing.frame.x(column.interval);
            if (before != null and column.interval - before.? == 1) {
                try drawing.out.print("V{d}H{d}", .{ y, to });
            } else {
                try drawing.out.print("M{d} {d}H{d}", .{ from, y, to });
            }
            before = column.interval;
        }
        try drawing.out.writeAll("\"/>\n");
    }

    /// What is shown of a column where a pointer rests on it.
    fn hints(drawing: Drawing) Writer.Error!void {
        for (drawing.picture.columns) |column| {
            const from, const to = drawing.frame.x(column.interval);
            const summary: Summary = .{ .column = column, .unit = drawing.picture.unit };
            try drawing.out.print(
                \\<rect class="hint" x="{d}" y="{d}" width="{d}" height="{d}"><title>{f} UTC: {f}</title></rect>
                \\
            , .{ from, at.top, to - from, at.height, Clock.fine(column), summary });
        }
    }

    fn legend(drawing: Drawing) Writer.Error!void {
        var y: u64 = at.top + 16;
        const colours = drawing.colours;
        const title = if (colours.len > 0) "values in a cell" else "no values";
        try drawing.legendText(legend_left, at.top + 4, title);
        for (0..colours.len) |from_the_top| {
            const colour = colours.len - 1 - from_the_top;
            try drawing.out.print(
                \\<rect class="cell c{d}" x="{d}" y="{d}" width="18" height="18"/><text x="{d}" y="{d}">{f}</text>
                \\
            , .{ colours.shade(colour), legend_left, y, legend_left + 26, y + 13, colours.range(colour) });
            y += 18;
        }
        for ([_][]const u8{ "half", "most" }, [_][]const u8{ "p50 below", "p99 below" }) |class, text| {
            y += 20;
            try drawing.out.print(
                \\<path class="line {s}" d="M{d} {d}h20"/>
                \\
            , .{ class, legend_left, y });
            try drawing.legendText(legend_left + 26, y + 4, text);
        }
        const is_incomplete = for (drawing.picture.columns) |column| {
            if (column.incomplete) break true;
        } else false;
        if (is_incomplete) {
            y += 20;
            try drawing.mark(legend_left + 9, y + 3);
            try drawing.legendText(legend_left + 26, y + 4, "not complete");
        }
        if (drawing.hasGaps()) {
            y += 20;
            try drawing.out.print(
                \\<rect class="gap" x="{d}" y="{d}" width="18" height="14"/>
                \\
            , .{ legend_left, y - 7 });
            try drawing.legendText(legend_left + 26, y + 4, "not looked at");
        }
    }

    fn legendText(drawing: Drawing, x: u64, y: u64, text: []const u8) Writer.Error!void {
        try drawing.out.print(
            \\<text class="soft" x="{d}" y="{d}">{s}</text>
            \\
        , .{ x, y, text });
    }
};

test {
    _ = @import("clock.zig");
    _ = @import("colours.zig");
    _ = @import("history.zig");
    _ = @import("quantity.zig");
    _ = @import("xml.zig");
}

const testing = std.testing;

fn drawn(title: []const u8, unit: []const u8, columns: []const history.Column) ![]const u8 {
    var svg: Writer.Allocating = .init(testing.allocator);
    errdefer svg.deinit();
    try draw(&svg.writer, .{ .title = title, .measure = title, .unit = unit, .columns = columns, .room = 60 });
    return svg.toOwnedSlice();
}

fn expectDrawn(svg: []const u8, part: []const u8, times: usize) !void {
    try testing.expectEqual(times, std.mem.count(u8, svg, part));
}

const two = [_]history.Bucket{ .{ .low = 1024, .high = 2048, .count = 7 }, .{ .low = 4096, .high = 8192, .count = 1 } };
const example: history.Column = .{
    .interval = 4,
    .began_ms = 1_795_762_321_339,
    .total = 8,
    .quantiles = .{ 2048, std.math.inf(f64) },
    .buckets = &two,
};

test "a picture of one interval" {
    const svg = try drawn("reads", "ns", &.{example});
    defer testing.allocator.free(svg);
    try testing.expect(std.mem.startsWith(u8, svg, "<svg xmlns="));
    try testing.expect(std.mem.endsWith(u8, svg, "</svg>\n"));
    // Above the picture, in its description and as the column's hint.
    try expectDrawn(svg, "8 values, p50 below 2.048us, p99 not known", 3);
    try expectDrawn(svg, "<title>06:52:01.3 UTC", 1);
    // From 1024 to 8192 there are three powers of two, in each of which a cell is a third as high as the frame.
    try expectDrawn(svg, "d=\"M96 298H154V408H96z\"", 1);
    try expectDrawn(svg, "d=\"M96 78H154V188H96z\"", 1);
    try expectDrawn(svg, "class=\"gap\"", 0);
}

test "what is missing is shown" {
    var later = example;
    later.interval = 7;
    later.incomplete = true;
    const svg = try drawn("reads", "ns", &.{ example, later });
    defer testing.allocator.free(svg);
    // In the picture and in the legend.
    try expectDrawn(svg, "class=\"gap\"", 2);
    try expectDrawn(svg, "class=\"warn\"", 2);
}

test "nothing, what is open and what is negative can be drawn" {
    const odd = [_]history.Bucket{
        .{ .low = -std.math.inf(f64), .high = 0, .count = 1 },
        .{ .low = -20, .high = -10, .count = 1 },
        .{ .low = 0, .high = 1, .count = 1 },
        .{ .low = 0x1p63, .high = std.math.inf(f64), .count = std.math.maxInt(u64) },
    };
    const last = std.math.maxInt(u64);
    for ([_][]const history.Column{
        &.{.{ .interval = 0, .buckets = &.{} }},
        &.{.{ .interval = last, .began_ms = last, .buckets = &odd }},
        &.{ .{ .interval = last - 1, .buckets = odd[0..3] }, .{ .interval = last, .buckets = odd[3..] } },
    }) |columns| testing.allocator.free(try drawn("", "", columns));
}

test "texts cannot leave their place" {
    const hostile = "</title><script>alert(\"1\")</script>";
    const svg = try drawn(hostile, hostile, &.{example});
    defer testing.allocator.free(svg);
    try expectDrawn(svg, "<script", 0);
}
