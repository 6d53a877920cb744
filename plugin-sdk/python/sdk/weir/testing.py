"""Unit tests of plugins by plain Python, without a component and without a host.

    host = Host(limit=2)
    host.table("syscalls", key={"comm": ["cat", "dd"]}, count={"calls": [3, 5]})
    told = host.analyze(First)
    assert told.reports[0].title == "syscalls 1: dd"

An exception of the plugin is an exception of the test. What a plugin stored is there in the next call of the same host.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from . import _fake
from ._column import Bucket, Histogram, Text
from ._plugin import configured

ROLES = ("key", "count", "sum", "min", "max", "avg", "stats", "hist", "lhist")
Columns = Mapping[str, Sequence[Any]]


class Host:
    """A host with these options."""

    def __init__(self, **options: Any) -> None:
        self._known = _fake.Known(options=options, number=-1)

    def table(
        self,
        name: str,
        *,
        overflow: bool = False,
        events: int | None = None,
        missed: int | None = 0,
        **columns: Columns,
    ) -> None:
        """Grants a table, or gives one its rows for the next interval.

        Columns come by role: `key`, `count`, `sum`, `min`, `max`, `avg`, `stats`, `hist` and `lhist`. A cell of an `avg`
        or of `stats` is how many values there are and their sum; for those of a histogram there is `buckets`. With `overflow` the last row is
        that of the events without a row of their own. `events` is the sum of the first count if it is not given.
        """
        named = [(role, name, _cells(role, cells)) for role in ROLES for name, cells in columns.pop(role, {}).items()]
        if columns:
            raise TypeError(f"{', '.join(columns)}: there is no such role; there are {', '.join(ROLES)}")
        rows = list(zip(*(cells for _, _, cells in named), strict=True))
        flags = [int(overflow and place == len(rows) - 1) for place in range(len(rows))]
        made = [_fake.Column("overflow", "overflow", "u64")]
        made += [_fake.Column(column, role, _kind(role, cells)) for role, column, cells in named]
        counts = next((cells for role, _, cells in named if role == "count"), [1] * len(rows))
        coverage = _fake.Coverage(
            sum(counts) if events is None else events, sum(c for c, flag in zip(counts, flags) if flag), missed
        )
        cells = [(flag, *row) for flag, row in zip(flags, rows)]
        table = _fake.Rows(name, made, cells, coverage)
        granted = self._known.granted
        for place, other in enumerate(granted):
            if other.name == name:
                granted[place] = table
                return
        granted.append(table)

    def configure(self, plugin: type) -> None:
        """As before the first interval: tables have no rows."""
        granted = self._known.granted
        empty = [_fake.Rows(each.name, each.columns, [], _fake.Coverage(0, 0, 0)) for each in granted]
        self._known.granted = empty
        try:
            self._call(lambda: configured(plugin))
        finally:
            self._known.granted = granted

    def analyze(self, plugin: type, *, seconds: float = 1.0, skipped: int = 0, is_last: bool = False) -> _fake.Told:
        """Calls a plugin at the end of the next interval, which was so long, and gives what it put out."""
        known = self._known
        known.number += 1 + skipped
        known.seconds, known.skipped, known.is_last = seconds, skipped, is_last
        known.told = _fake.Told()
        stored = dict(known.state)
        try:
            self._call(lambda: configured(plugin).analyze())
        except BaseException:
            known.state = stored
            raise
        return known.told

    @property
    def state(self) -> dict[str, bytes]:
        """What is stored."""
        return self._known.state

    def _call(self, call: Any) -> None:
        before, _fake.host = _fake.host, self._known
        try:
            call()
        finally:
            _fake.host = before
            self._known.derived = []


def buckets(counts: Mapping[tuple[float, float | None], int], sum: float = 0.0) -> Histogram:
    """A cell of a histogram: `buckets({(0, 1): 3, (1, None): 1})`."""
    made = tuple(Bucket(low, high, count) for (low, high), count in counts.items())
    return Histogram(made, _sum(counts.values()), sum)


_sum = sum


def _kind(role: str, cells: list[Any]) -> str:
    match cells:
        case []:
            return {"key": "text", "avg": "f64", "stats": "f64", "hist": "buckets", "lhist": "buckets"}.get(role, "u64")
        case [str() | bytes(), *_]:
            return "text"
        case [Histogram(), *_]:
            return "buckets"
        case [float(), *_]:
            return "f64"
    return "s64" if any(cell < 0 for cell in cells) else "u64"


def _cells(role: str, cells: Sequence[Any]) -> list[Any]:
    if role in _fake.AVERAGES:
        if not all(isinstance(cell, tuple) and len(cell) == 2 for cell in cells):
            raise TypeError(f"a cell of {role} is how many values there are and their sum, such as (2, 5.0)")
        return [_fake.Average(*cell) for cell in cells]
    return [_cell(cell) for cell in cells]


def _cell(cell: Any) -> Any:
    return Text(cell.encode()) if isinstance(cell, str) else Text(cell) if isinstance(cell, bytes) else cell
