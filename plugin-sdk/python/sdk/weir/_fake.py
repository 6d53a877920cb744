"""A host in a few lines, in place of the generated bindings, so that plugins can be tested by plain Python.

It answers as the real one does, but for its limits: there is none on what a call puts out, and a page holds any table.
"""

import math
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from types import SimpleNamespace
from typing import Any


@dataclass
class Told:
    """What a call put out."""

    reports: list[Any] = field(default_factory=list)
    metrics: list[Any] = field(default_factory=list)
    artefacts: dict[str, bytes] = field(default_factory=dict)
    logs: list[str] = field(default_factory=list)


@dataclass
class Known:
    """What the host knows while it is called."""

    granted: list["Rows"] = field(default_factory=list)
    derived: list["Rows"] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    state: dict[str, bytes] = field(default_factory=dict)
    told: Told = field(default_factory=Told)
    number: int = 0
    began_ns: int = 0
    seconds: float = 1.0
    skipped: int = 0
    is_last: bool = False


host = Known()


@dataclass
class Failure:
    reason: str
    message: str


class Err(Exception):
    def __init__(self, value: Failure) -> None:
        super().__init__(value)
        self.value = value


@dataclass
class Instant:
    seconds: int
    nanoseconds: int


@dataclass
class Label:
    name: str
    value: str


@dataclass
class Texts:
    codes: list[int]
    offsets: list[int]
    bytes: bytes


@dataclass
class Buckets:
    lower: list[float]
    offsets: list[int]
    bucket: list[int]
    counts: list[int]
    sums: list[float]
    totals: list[int]


@dataclass
class Column:
    name: str
    role: str
    kind: str
    unit: str = ""


@dataclass
class Coverage:
    events: int
    overflow: int
    missed: int | None


# Roles whose cells have a mean.
AVERAGES = ("avg", "stats")


class Average(float):
    """A cell of an `avg`: it reads as its mean."""

    count: int
    total: float

    def __new__(cls, count: int, total: float) -> "Average":
        self = super().__new__(cls, _mean(total, count))
        self.count, self.total = count, total
        return self

    @classmethod
    def of_all(cls, cells: "list[Average]") -> "Average":
        return cls(sum(cell.count for cell in cells), sum(cell.total for cell in cells))


@dataclass
class Rows:
    """A table: its cells row by row."""

    name: str
    columns: list[Column]
    rows: list[tuple[Any, ...]]
    coverage: Coverage


# Tables

_FORMATS = {"u64": "Q", "s64": "q", "f64": "d"}


def _table(number: int) -> Rows:
    known = host.granted + host.derived
    if not 0 <= number < len(known):
        raise Err(Failure("unknown", f"there is no table {number}; {len(host.granted)} were granted"))
    return known[number]


def _column(table: Rows, place: int) -> Column:
    if not 0 <= place < len(table.columns):
        raise Err(Failure("unknown", f"there is no column {place} in table {table.name}"))
    return table.columns[place]


def _cells(number: int, place: int, first: int, count: int, *kinds: str) -> list[Any]:
    table = _table(number)
    column = _column(table, place)
    if column.kind not in kinds:
        raise Err(Failure("kind", f"column {column.name} holds {column.kind}"))
    if first + count > len(table.rows):
        raise Err(Failure("bounds", f"rows {first} to {first + count} of {len(table.rows)}"))
    return [row[place] for row in table.rows[first : first + count]]


def _numbers(kind: str) -> Callable[[int, int, int, int], list[Any]]:
    return lambda table, column, first, count: _cells(table, column, first, count, kind)


def _read_raw(table: int, column: int, first: int, count: int) -> bytes:
    cells = _cells(table, column, first, count, "text", *_FORMATS)
    kind = _table(table).columns[column].kind
    if kind == "text":
        return array("I", _read_texts(table, column, first, count).codes).tobytes()
    return array(_FORMATS[kind], cells).tobytes()


def _read_texts(table: int, column: int, first: int, count: int) -> Texts:
    cells = _cells(table, column, first, count, "text")
    words = {word: code for code, word in enumerate(dict.fromkeys(cells))}
    offsets = [0]
    for word in words:
        offsets.append(offsets[-1] + len(word))
    return Texts([words[cell] for cell in cells], offsets, b"".join(words))


def _read_buckets(table: int, column: int, first: int, count: int) -> Buckets:
    cells = _cells(table, column, first, count, "buckets")
    bounds = {bound for cell in cells for bucket in cell.buckets for bound in bucket[:2] if bound is not None}
    lower = sorted(bounds)
    page = Buckets(lower, [0], [], [], [cell.sum for cell in cells], [cell.count for cell in cells])
    for cell in cells:
        page.bucket += [lower.index(bucket.low) for bucket in cell.buckets]
        page.counts += [bucket.count for bucket in cell.buckets]
        page.offsets.append(len(page.bucket))
    return page


# Questions


@dataclass
class Literal:
    value: Any


@dataclass
class Condition:
    column: int
    op: str
    value: Literal


@dataclass
class Aggregate:
    column: int
    op: str
    argument: float


_HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda cell, value: cell == value,
    "ne": lambda cell, value: cell != value,
    "lt": lambda cell, value: cell < value,
    "le": lambda cell, value: cell <= value,
    "gt": lambda cell, value: cell > value,
    "ge": lambda cell, value: cell >= value,
    "prefix": lambda cell, value: cell.startswith(value),
}


def _answer(table: Rows, columns: list[Column], rows: list[tuple[Any, ...]]) -> int:
    host.derived.append(Rows(table.name, columns, rows, table.coverage))
    return len(host.granted) + len(host.derived) - 1


def _filter(number: int, every: list[Condition]) -> int:
    table = _table(number)
    for each in every:
        column = _column(table, each.column)
        ops = ("eq", "ne", "prefix") if column.kind == "text" else ("eq", "ne", "lt", "le", "gt", "ge")
        if each.op not in _HOLDS:
            raise Err(Failure("unknown", f"there is no operator {each.op}"))
        if each.op not in ops or column.kind == "buckets" or (column.kind == "text") != isinstance(each.value.value, bytes):
            raise Err(Failure("kind", f"column {column.name} holds {column.kind}"))
    rows = [row for row in table.rows if all(_HOLDS[each.op](row[each.column], each.value.value) for each in every)]
    return _answer(table, table.columns, rows)


def _sort(number: int, by: int, descending: bool, limit: int) -> int:
    table = _table(number)
    column = _column(table, by)
    if column.kind == "buckets":
        raise Err(Failure("kind", f"column {column.name} holds buckets"))
    numbered = [row for row in table.rows if row[by] == row[by]]
    numbered.sort(key=lambda row: row[by], reverse=descending)
    rows = numbered + [row for row in table.rows if row[by] != row[by]]
    return _answer(table, table.columns, rows[: limit or None])


def _group(number: int, by: list[int], show: list[Aggregate]) -> int:
    table = _table(number)
    columns = [_column(table, place) for place in by]
    if any(column.kind == "buckets" or column.role in AVERAGES for column in columns):
        raise Err(Failure("kind", "histograms and averages cannot be grouped by"))
    groups: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {} if by else {(): []}
    for row in table.rows:
        groups.setdefault(tuple(row[place] for place in by), []).append(row)
    shown = []
    for each in show:
        column = _column(table, each.column)
        if each.op == "quantile" and not 0 <= each.argument <= 1:
            raise Err(Failure("bounds", "the argument of quantile is from 0 to 1"))
        kind, made = _aggregate(each, column, [row[each.column] for row in table.rows])
        of_all = {"hist": kind == "buckets", "avg": each.op == "sum" and column.role in AVERAGES}
        role = next((role for role, is_it in of_all.items() if is_it), each.op)
        columns.append(Column(f"{each.op}({column.name})", role, kind, column.unit))
        shown.append([made([row[each.column] for row in rows]) for rows in groups.values()])
    return _answer(table, columns, [(*key, *(made[i] for made in shown)) for i, key in enumerate(groups)])


def _aggregate(each: Aggregate, column: Column, all_cells: list[Any]) -> tuple[str, Callable[[list[Any]], Any]]:
    """The kind of what an aggregate gives, and how it is made of a group's cells."""
    from ._column import Histogram

    is_buckets, is_average = column.kind == "buckets", column.role in AVERAGES
    match each.op:
        case "count":
            return "u64", len
        case "sum" if is_buckets:
            return "buckets", Histogram.merged
        case "sum" if is_average:
            return "f64", Average.of_all
        case "sum" if column.kind != "text":
            return column.kind, lambda cells: _wrapped(column.kind, sum(cells))
        case "min" | "max" if column.kind in _FORMATS:
            of = min if each.op == "min" else max
            return column.kind, lambda cells: _plain(column.kind, of(cells, default=0))
        case "mean" if is_buckets:
            return "f64", lambda cells: _mean(sum(cell.sum for cell in cells), sum(cell.count for cell in cells))
        case "mean" if is_average:
            return "f64", lambda cells: float(Average.of_all(cells))
        case "mean" if column.kind != "text":
            return "f64", lambda cells: _mean(sum(cells), len(cells))
        case "quantile" if is_buckets:
            return "f64", lambda cells: Histogram.merged(cells).quantile(each.argument)
        case "quantile" if column.kind != "text":
            return "f64", lambda cells: _quantile(sorted(cells), each.argument)
        case "share" if column.kind in _FORMATS and not is_average:
            whole = sum(all_cells)
            return "f64", lambda cells: sum(cells) / whole if whole else 0.0
        case "sum" | "min" | "max" | "mean" | "quantile" | "share":
            raise Err(Failure("kind", f"there is no {each.op} of {column.kind}"))
    raise Err(Failure("unknown", f"there is no operator {each.op}"))


def _plain(kind: str, value: Any) -> Any:
    return float(value) if kind == "f64" else value


def _wrapped(kind: str, value: Any) -> Any:
    if kind == "f64":
        return float(value)
    value %= 1 << 64
    return value - (1 << 64) if kind == "s64" and value >> 63 else value


def _mean(total: float, count: int) -> float:
    return total / count if count else 0.0


def _quantile(cells: list[Any], share: float) -> float:
    return float(cells[min(max(math.ceil(share * len(cells)), 1), len(cells)) - 1]) if cells else math.nan


# Output and settings


class Severity(Enum):
    DEBUG = 0
    INFO = 1
    WARNING = 2
    CRITICAL = 3


@dataclass
class Report:
    level: Severity
    code: str
    title: str
    fields: dict[str, str]


@dataclass
class Metric:
    """`value` is the `delta` of a counter, and of a histogram the row's."""

    kind: str
    name: str
    labels: dict[str, str]
    value: Any


def _named(labels: list[Label]) -> dict[str, str]:
    named: dict[str, str] = {}
    for label in labels:
        named.setdefault(label.name, label.value)
    return named


def _report(level: Severity, code: str, title: str, fields: list[Label]) -> None:
    host.told.reports.append(Report(level, code, title, _named(fields)))


def _add(metric: str, labels: list[Label], delta: float) -> None:
    if not 0 <= delta < math.inf:
        raise Err(Failure("bounds", f"a counter cannot grow by {delta}"))
    host.told.metrics.append(Metric("counter", metric, _named(labels), delta))


def _gauge(metric: str, labels: list[Label], value: float) -> None:
    host.told.metrics.append(Metric("gauge", metric, _named(labels), value))


def _histogram(metric: str, labels: list[Label], table: int, row: int, column: int) -> None:
    (value,) = _cells(table, column, row, 1, "buckets")
    host.told.metrics.append(Metric("histogram", metric, _named(labels), value))


def _artefact(name: str, media_type: str, chunk: bytes) -> None:
    host.told.artefacts[name] = host.told.artefacts.get(name, b"") + chunk


def _store(key: str, value: bytes) -> None:
    others = sum(len(name.encode()) + len(kept) for name, kept in host.state.items() if name != key)
    if others + len(key.encode()) + len(value) > 64 << 10 or len(key.encode()) > 256:
        raise Err(Failure("too-large", "the state has no room for that"))
    host.state[key] = value


def _setting(*kinds: type) -> Callable[[str], Any]:
    def read(name: str) -> Any:
        value = host.options.get(name)
        return kinds[0](value) if type(value) in kinds else None

    return read


# The names of the generated modules.

types = SimpleNamespace(Failure=Failure, Instant=Instant, Label=Label, Texts=Texts, Buckets=Buckets)
interval = SimpleNamespace(
    number=lambda: host.number,
    began=lambda: Instant(*divmod(host.began_ns, 1_000_000_000)),
    length=lambda: host.seconds,
    skipped=lambda: host.skipped,
    is_last=lambda: host.is_last,
)
tables = SimpleNamespace(
    Column=Column,
    Coverage=Coverage,
    names=lambda: [table.name for table in host.granted],
    columns=lambda table: [Column(each.name, each.role, each.kind, each.unit) for each in _table(table).columns],
    rows=lambda table: len(_table(table).rows),
    covered=lambda table: _table(table).coverage,
    read_u64=_numbers("u64"),
    read_s64=_numbers("s64"),
    read_f64=_numbers("f64"),
    read_raw=_read_raw,
    read_texts=_read_texts,
    read_buckets=_read_buckets,
)
questions = SimpleNamespace(
    Literal=Literal,
    Literal_Unsigned=Literal,
    Literal_Signed=Literal,
    Literal_Float=Literal,
    Literal_Text=Literal,
    Condition=Condition,
    Aggregate=Aggregate,
    filter=_filter,
    sort=_sort,
    group=_group,
)
output = SimpleNamespace(
    Severity=Severity,
    report=_report,
    add=_add,
    gauge=_gauge,
    histogram=_histogram,
    artefact=_artefact,
    log=lambda level, message: host.told.logs.append(message),
)
state = SimpleNamespace(
    load=lambda key: host.state.get(key), store=_store, remove=lambda key: host.state.pop(key, None)
)
options = SimpleNamespace(text=_setting(str), integer=_setting(int), number=_setting(float, int), flag=_setting(bool))
