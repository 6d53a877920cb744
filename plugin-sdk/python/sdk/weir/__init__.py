"""Write plugins for Weir in Python.

A plugin is called at the end of every interval. It sees the tables it was granted, merged over all CPUs, and answers
with metrics, reports and log lines. It can reach nothing else. This is a whole one, in `src/plugin.py`:

    import weir
    from weir import WARNING, col


    @weir.plugin
    class Busy:
        calls: int = weir.option(1000, at_least=0)

        def analyze(self):
            opens = weir.table("opens")
            weir.counter("calls", sum(opens.column("calls")))

            busy = opens.filter(col("overflow") == 0, col("calls") > self.calls)
            for row in busy.sort("calls", descending=True, limit=10):
                weir.report(WARNING, "busy", f"{row.name} opens many files", {"calls": row["calls"]})

What a call of the interface means, and every limit, is written in `build/wit/weir.wit`.
"""

from . import state
from ._column import Bucket, Histogram, Histograms, Text, Texts
from ._failure import Failure, wrong
from ._interval import Interval, interval
from ._output import (
    CRITICAL,
    DEBUG,
    INFO,
    WARNING,
    Severity,
    artefact,
    counter,
    gauge,
    histogram,
    log,
    report,
)
from ._plugin import option, plugin
from ._question import Aggregate, Condition, col
from ._table import Column, Coverage, Row, Table, table, tables

__all__ = [
    "CRITICAL",
    "DEBUG",
    "INFO",
    "WARNING",
    "Aggregate",
    "Bucket",
    "Column",
    "Condition",
    "Coverage",
    "Failure",
    "Histogram",
    "Histograms",
    "Interval",
    "Row",
    "Severity",
    "Table",
    "Text",
    "Texts",
    "artefact",
    "col",
    "counter",
    "gauge",
    "histogram",
    "interval",
    "log",
    "option",
    "plugin",
    "report",
    "state",
    "table",
    "tables",
    "wrong",
]
