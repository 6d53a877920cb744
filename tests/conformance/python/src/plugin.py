"""Says everything that it can see, so that languages can be compared."""

import heapq
import math
import struct

import weir
from weir import DEBUG, INFO, Failure, Histogram, col

MODES = ("all", "columns", "questions", "histograms", "state", "fail", "trap", "loop", "memory", "unknown")
PAGE = 10_000
SHARES = (0, 0.1, 0.3, 0.5, 0.9, 0.99, 1)
WORD = (1 << 64) - 1


@weir.plugin
class Tally:
    mode: str = weir.option("all", one_of=MODES)

    def analyze(self):
        getattr(self, self.mode)()

    def all(self):
        for table in weir.tables():
            weir.report(INFO, "tally", table.name, tally(table))

    def columns(self):
        table, names = sums_of_first()
        columns = [table.column(name) for name in names]
        sums = [sum(column) & WORD for column in columns]
        top = heapq.nlargest(10, columns[0]) if columns else []
        say_columns(table, names, sums, top)

    def questions(self):
        table, names = sums_of_first()
        sums, top = [], []
        if names:
            (row,) = table.group(*(col(name).sum() for name in names))
            sums = [row[f"sum({name})"] for name in names]
            top = [row[names[0]] for row in table.sort(names[0], descending=True, limit=10)]
        say_columns(table, names, sums, top)

    def histograms(self):
        for table in weir.tables():
            for column in table.columns:
                if column.kind == "buckets":
                    tell_histogram(table, column.name)

    def state(self):
        n = int(weir.state.load("n") or 0) + 1
        weir.state.store("n", b"%d" % n)
        weir.report(INFO, "state", n)
        weir.log(DEBUG, f"call {n}")
        weir.artefact("a.txt", "text/plain", b"call ")
        weir.artefact("a.txt", "text/plain", b"%d\n" % n)
        weir.gauge("n", n, k="v")
        for table in weir.tables():
            for column in table.columns:
                if column.kind == "buckets" and table:
                    weir.histogram("h", table[0], column.name)
                    return

    def fail(self):
        raise Failure("tally", "as asked")

    def trap(self):
        [][1]

    def loop(self):
        while True:
            pass

    def memory(self):
        kept = []
        while True:
            kept.append(bytearray(1 << 20))

    def unknown(self):
        try:
            weir.Table(99, "unknown")
        except Failure as failure:
            weir.report(INFO, "unknown", failure.reason)


def tally(table):
    now = weir.interval()
    seconds, nanoseconds = divmod(now.began_ns, 1_000_000_000)
    yield "interval", f"{now.number} {seconds}.{nanoseconds:09} {str(now.is_last).lower()} {now.skipped}"
    yield "rows", len(table)
    coverage = table.coverage
    missed = "none" if coverage.missed is None else coverage.missed
    yield "coverage", f"{coverage.events} {coverage.overflow} {missed}"
    for column in table.columns:
        yield column.name, TALLIES[column.kind](pages(table, column.name))
    adding = (c.name for c in table.columns if c.kind == "u64" and c.role in ("count", "sum"))
    yield "raw", fnv(bytes(page) for name in list(adding)[:1] for page in pages(table, name))


def pages(table, name):
    for first in range(0, len(table), PAGE):
        yield table.column(name, first, min(PAGE, len(table) - first))


def unsigned(pages):
    total = most = 0
    for page in pages:
        total += sum(page)
        most = max(most, max(page))
    return f"{total & WORD} {most}"


def signed(pages):
    total, least = 0, []
    for page in pages:
        total += sum(page)
        least.append(min(page))
    total = (total + (1 << 63) & WORD) - (1 << 63)
    return f"{total} {min(least, default=0)}"


def floats(pages):
    total = 0.0
    for page in pages:
        # Not by `sum`, which makes up for what rounding loses.
        for value in page:
            if math.isfinite(value):
                total += value
    return bits(total)


def bits(value):
    return struct.pack(">d", value).hex()


def texts(pages):
    return fnv(text + b"\xff" for page in pages for text in page)


def buckets(pages):
    entries = counts = totals = row = 0
    packed = []
    for page in pages:
        for histogram in page:
            totals += histogram.count
            for bucket in histogram.buckets:
                entries += 1
                counts += bucket.count
                packed.append(struct.pack("<IdQ", row, bucket.low, bucket.count))
            row += 1
    return f"{entries} {counts & WORD} {totals & WORD} {fnv(packed)}"


TALLIES = {"u64": unsigned, "s64": signed, "f64": floats, "text": texts, "buckets": buckets}


def tell_histogram(table, name):
    """Added up and by quantiles: by this SDK, and by the host."""
    merged = Histogram.merged(table.column(name))
    placed = sum(bucket.count for bucket in merged.buckets)
    quantiles = [bound(merged.quantile(share)) for share in SHARES]
    asked = [bound(table.group(bound=col(name).quantile(share))[0]["bound"]) for share in SHARES]
    fields = {
        "merged": f"{len(merged.buckets)} {placed} {merged.count} {bits(merged.sum)}",
        "quantiles": " ".join(quantiles),
        "asked": " ".join(asked),
    }
    weir.report(INFO, "histograms", f"{table.name}.{name}", fields)


def bound(value):
    return "none" if math.isnan(value) else bits(value)


def fnv(chunks):
    hash = 0xCBF29CE484222325
    for chunk in chunks:
        for byte in chunk:
            hash = (hash ^ byte) * 0x100000001B3 & WORD
    return f"{hash:016x}"


def sums_of_first():
    table = weir.tables()[0]
    return table, [c.name for c in table.columns if c.kind == "u64" and c.role in ("count", "sum")][:3]


def say_columns(table, names, sums, top):
    weir.report(INFO, "columns", table.name, [*zip(names, sums), ("top", " ".join(map(str, top)))])
