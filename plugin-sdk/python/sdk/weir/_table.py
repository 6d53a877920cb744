"""Tables: what was granted, and what questions give."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ._column import Histograms, Texts
from ._failure import Failure
from ._host import asked, questions
from ._host import tables as host
from ._question import Aggregate, Condition

Column = host.Column
Coverage = host.Coverage

T = TypeVar("T")

_FORMATS = {"u64": "Q", "s64": "q", "f64": "d"}
# Looking at one row of a large table should not read all of it, and reading all of it should take few calls.
_PAGE_ROWS = 8192


def tables() -> list["Table"]:
    """The tables that were granted, in the order of the grant."""
    return [Table(number, name) for number, name in enumerate(host.names())]


def table(name: str) -> "Table":
    """The granted table of this name."""
    names = host.names()
    if name not in names:
        raise Failure("unknown", f"there is no table {name}; there is {', '.join(names)}")
    return Table(names.index(name), name)


class Table:
    """A table: one that was granted, or the answer to a question, which lives until the call returns.

    `len(table)` is how many rows it has, the overflow row included. `for row in table` goes through them, and reads
    columns as far as they are looked at.
    """

    def __init__(self, number: int, name: str, columns: list[Column] | None = None) -> None:
        self.number = number
        self.name = name
        """That of the granted table, also of what was derived from it."""
        self.columns = asked(host.columns, number) if columns is None else columns
        self._rows = asked(host.rows, number)

    def find(self, column: str) -> int:
        """The place of the column of this name."""
        for place, known in enumerate(self.columns):
            if known.name == column:
                return place
        names = ", ".join(known.name for known in self.columns)
        raise Failure("unknown", f"there is no column {column} in table {self.name}; there is {names}")

    @property
    def coverage(self) -> Coverage:
        """How complete the granted table is."""
        return asked(host.covered, self.number)

    # Columns

    def column(self, name: str, first: int = 0, count: int | None = None) -> Any:
        """A column, or `count` rows of it from row `first` on: a `memoryview` of numbers, which `sum`, `max`, `zip` and
        slices take as they take a list, `Texts` or `Histograms`.

        It is read in one page if the host allows one so large, and numbers are then never copied.
        """
        place = self.find(name)
        count = max(self._rows - first, 0) if count is None else count
        kind = self.columns[place].kind
        if kind == "text":
            return Texts.joined(self._pages(host.read_texts, place, first, count))
        if kind == "buckets":
            return Histograms(self._pages(host.read_buckets, place, first, count))
        if kind in _FORMATS:
            pages = list(self._pages(host.read_raw, place, first, count))
            whole = pages[0] if len(pages) == 1 else b"".join(pages)
            return memoryview(whole).cast(_FORMATS[kind])  # type: ignore[call-overload]
        raise Failure("kind", f"{kind} is a kind that this plugin does not know")

    def _pages(self, read: Callable[..., T], place: int, first: int, count: int) -> Iterator[T]:
        """All at once or, as long as that is `too-large`, half as many rows."""
        rows, end = count, first + count
        while True:
            try:
                page = asked(read, self.number, place, first, rows)
            except Failure as failure:
                if failure.reason != "too-large" or rows <= 1:
                    raise
                rows = (rows + 1) // 2
                continue
            yield page
            first += rows
            rows = min(rows, end - first)
            if rows == 0:
                return

    # Rows

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, place: int) -> "Row":
        place = range(self._rows)[place]
        return Row(_Page(self, place, 1), 0)

    def __iter__(self) -> Iterator["Row"]:
        for first in range(0, self._rows, _PAGE_ROWS):
            page = _Page(self, first, min(_PAGE_ROWS, self._rows - first))
            for index in range(page.count):
                yield Row(page, index)

    # Questions, which the host answers at native speed

    def filter(self, *every: Condition) -> "Table":
        """The rows for which every condition holds: `table.filter(col("calls") > 10, col("comm") != "cat")`."""
        conditions = [questions.Condition(self.find(each.column), each.op, each.value) for each in every]
        return self._answer(questions.filter, conditions)

    def sort(self, by: str, *, descending: bool = False, limit: int = 0) -> "Table":
        """The rows by a column's values; the first `limit` of them, all if it is 0."""
        return self._answer(questions.sort, self.find(by), descending, limit)

    def group(self, *by: str | Aggregate, **named: Aggregate) -> "Table":
        """One row for each combination of values in some columns, of all rows if none are named, and what is shown of
        it: `table.group("comm", calls=col("calls").sum(), p99=col("latency").quantile(0.99))`.

        What is shown without a name is called as the host calls it, such as `sum(calls)`. The overflow row's keys read
        as 0 or empty: have `overflow` among the columns, or filter it out first.
        """
        keys = [self.find(column) for column in by if not isinstance(column, Aggregate)]
        shown = [column for column in by if isinstance(column, Aggregate)] + list(named.values())
        aggregates = [questions.Aggregate(self.find(each.column), each.op, each.argument) for each in shown]
        number = asked(questions.group, self.number, keys, aggregates)
        columns = asked(host.columns, number)
        for column, name in zip(columns[len(columns) - len(named) :], named):
            column.name = name
        return Table(number, self.name, columns)

    def _answer(self, question: Callable[..., int], *arguments: object) -> "Table":
        # These answers have all columns, under the names that they have here.
        return Table(asked(question, self.number, *arguments), self.name, self.columns)


class _Page:
    """Some rows of a table, with what was read of them so far."""

    def __init__(self, table: Table, first: int, count: int) -> None:
        self.table = table
        self.first = first
        self.count = count
        self._columns: dict[str, Any] = {}

    def column(self, name: str) -> Any:
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = self.table.column(name, self.first, self.count)
        return column


class Row:
    """One row of a table: `row["calls"]` is an `int`, a `float`, a `Text` or a `Histogram`."""

    __slots__ = ("_index", "_page")

    def __init__(self, page: _Page, index: int) -> None:
        self._page = page
        self._index = index

    def __getitem__(self, column: str) -> Any:
        return self._page.column(column)[self._index]

    @property
    def table(self) -> Table:
        return self._page.table

    @property
    def place(self) -> int:
        """Its number in its table."""
        return self._page.first + self._index

    @property
    def key(self) -> tuple[Any, ...]:
        """The values of its keys."""
        return tuple(self[column.name] for column in self.table.columns if column.role == "key")

    @property
    def name(self) -> str:
        """Its keys as one text for people, never the same for two different keys: one key as it prints, several as
        `comm="cat" pid=12`, and `all` in a table that has none.
        """
        keys = [(column.name, self[column.name]) for column in self.table.columns if column.role == "key"]
        if len(keys) == 1:
            return str(keys[0][1])
        # Quotes keep a text from looking like the key after it.
        return " ".join(f"{name}={_quoted(value)}" for name, value in keys) or "all"

    @property
    def is_overflow(self) -> bool:
        """This is the row of the events that found no row of their own; its keys mean nothing."""
        return any(column.role == "overflow" for column in self.table.columns) and self["overflow"] != 0


def _quoted(value: object) -> str:
    return '"' + str(value).replace('"', '\\"') + '"' if isinstance(value, bytes) else str(value)
