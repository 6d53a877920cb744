"""What a plugin says. It is kept only if `analyze` returns without an exception; log lines always."""

from collections.abc import Iterable, Mapping

from ._column import Text
from ._host import asked, output, types
from ._table import Row

Severity = output.Severity
DEBUG, INFO, WARNING, CRITICAL = Severity.DEBUG, Severity.INFO, Severity.WARNING, Severity.CRITICAL


def report(
    level: Severity, code: str, title: object, fields: Mapping[str, object] | Iterable[tuple[str, object]] = ()
) -> None:
    """Something for a person to read. `code` names its sort, and is always the same, for programs to select by;
    `title` is one line; `fields` are shown in their order.
    """
    pairs = fields.items() if isinstance(fields, Mapping) else fields
    asked(output.report, level, code, text(title), _labels(pairs))


def counter(name: str, delta: float, /, **labels: object) -> None:
    """By how much a number that only grows has grown since the last call. The host keeps its total."""
    asked(output.add, name, _labels(labels.items()), float(delta))


def gauge(name: str, value: float, /, **labels: object) -> None:
    """A number as it is now."""
    asked(output.gauge, name, _labels(labels.items()), float(value))


def histogram(name: str, row: Row, column: str, /, **labels: object) -> None:
    """A row's histogram, passed on whole."""
    table = row.table
    asked(output.histogram, name, _labels(labels.items()), table.number, row.place, table.find(column))


def artefact(name: str, media_type: str, chunk: bytes) -> None:
    """Appends to a file that this interval leaves behind."""
    asked(output.artefact, name, media_type, bytes(chunk))


def log(level: Severity, message: object) -> None:
    """A line for whoever writes or runs the plugin, kept even if the call fails. `print` writes such lines, too."""
    output.log(level, text(message))


def text(value: object) -> str:
    """Any value as UTF-8 can have it: bytes as `Text`, and lone surrogates escaped."""
    shown = str(Text(value) if isinstance(value, bytes) else value)
    return shown if shown.isascii() else shown.encode("utf-8", "backslashreplace").decode()


def _labels(pairs: Iterable[tuple[str, object]]) -> list[types.Label]:
    return [types.Label(text(name), text(value)) for name, value in pairs]
