"""The biggest keys of each table, once an interval."""

import weir
from weir import INFO, col


@weir.plugin
class First:
    # A field is an option; this one is `limit` in plugin.toml.
    limit: int = weir.option(3, at_least=1, at_most=100)

    def analyze(self):
        for table in weir.tables():
            self.rank(table)

    def rank(self, table):
        if table.coverage.events > 0:
            weir.counter("events", table.coverage.events, table=table.name)

        measure = next((c.name for c in table.columns if c.role == "count" and c.kind == "u64"), None)
        if measure is None:
            return

        # Questions are answered by the host. Events that found no row of their own are in the overflow row.
        biggest = table.filter(col("overflow") == 0).sort(measure, descending=True, limit=self.limit)
        for rank, row in enumerate(biggest, start=1):
            # A row's name is safe to show, whatever bytes a process calls itself by.
            weir.report(INFO, "top", f"{table.name} {rank}: {row.name}", {measure: row[measure]})
