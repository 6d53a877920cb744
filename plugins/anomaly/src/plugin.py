"""Rates that are not what they have been: of each table's biggest keys, and of each table as a whole."""

from dataclasses import dataclass

import weir
from history import MOST_SEEN, History, Series, short
from weir import DEBUG, WARNING, Column, Coverage, Interval, Table, col

# Keys of all tables; each takes at most 140 bytes of the 64 KiB of state.
MOST_KEYS = 400
# Rows that are read for each key that has a history.
ROWS = 10
# What an interval may lack and still be held against others, as a share of its events.
NEGLIGIBLE = 0.01


@dataclass
class Rates:
    """What a table has counted in an interval, per second."""

    what: str
    counts: bool
    whole: float
    keys: dict[str, float]
    absent: float
    """That of keys which are not among `keys`, at most."""
    signed: bool = False
    """Some are negative, and a share of the whole means nothing."""


@weir.plugin
class Anomaly:
    sigma: float = weir.option(4.0, at_least=1, at_most=100)
    warmup: int = weir.option(10, at_least=2, at_most=1000)
    span: int = weir.option(20, at_least=2, at_most=1000)
    keys: int = weir.option(20, at_least=1, at_most=100)
    heavy: float = weir.option(0.1, at_least=0.01, at_most=1)
    measure: str | None = None

    def configure(self):
        tables = weir.tables()
        for table in tables:
            self.measured(table)
        if len(tables) * self.keys > MOST_KEYS:
            what = f"{len(tables)} tables of {self.keys} keys are too many; {MOST_KEYS} keys are possible in all"
            raise weir.wrong("keys", what)

    def analyze(self):
        now = weir.interval()
        for table in weir.tables():
            history = History.unpack(weir.state.load(table.name))
            if now.seconds < history.seconds / 2:
                # Such as the last one: what it is off by is chance.
                weir.log(DEBUG, f"{table.name}: {now.seconds:.3g} s are too short for a rate")
                if not now.is_last:
                    # The one before may have been late: then this is the usual length, and the next one counts.
                    history.seconds = now.seconds
                    weir.state.store(table.name, history.pack())
                continue
            watch = Watch(self, table.name, now, table.coverage, self.rates(table, now.seconds), history)
            watch.look()
            if watch.found:
                weir.counter("anomalies", watch.found, table=table.name)
            weir.state.store(table.name, history.pack())

    def measured(self, table: Table) -> Column | None:
        """What to take the rates of; of a table that has no count and no sum, only its events are."""
        known = [c for c in table.columns if c.role in ("count", "sum") and c.kind in ("u64", "s64")]
        if self.measure is None:
            return known[0] if known else None
        for column in known:
            if column.name == self.measure:
                return column
        names = ", ".join(column.name for column in known) or "none"
        raise weir.wrong("measure", f"table {table.name} has no count or sum called {self.measure}; it has {names}")

    def rates(self, table: Table, seconds: float) -> Rates:
        measure = self.measured(table)
        if measure is None:
            return Rates("events", True, table.coverage.events / seconds, {}, 0.0)
        counts = measure.role == "count"
        (all_rows,) = table.group(total=col(measure.name).sum(), least=col(measure.name).min())
        rates = Rates(measure.name, counts, all_rows["total"] / seconds, {}, 0.0, all_rows["least"] < 0)
        if any(column.role == "key" for column in table.columns):
            keys = table.filter(col("overflow") == 0)
            biggest = keys.sort(measure.name, descending=True, limit=ROWS * self.keys)
            for row in biggest:
                # Keys that could not be read look like others, and are added to them.
                name, rate = short(row.name), row[measure.name] / seconds
                rates.keys[name] = rates.keys.get(name, 0.0) + rate
                rates.absent = rate
            if len(biggest) == len(keys):
                rates.absent = 0.0
        return rates


@dataclass
class Watch:
    """One table in one interval."""

    plugin: Anomaly
    table: str
    now: Interval
    coverage: Coverage
    rates: Rates
    history: History
    found: int = 0

    def look(self):
        plugin, history, rates = self.plugin, self.history, self.rates
        # A rate may be higher than was counted, and then it is not known to be low.
        lacking = (self.coverage.missed or 0) > NEGLIGIBLE * self.coverage.events
        # Who has no row may be in the overflow row.
        sure_of_absent = not lacking and self.coverage.overflow == 0

        self.compare(None, history.whole, rates.whole, low=not lacking)
        nothing_left = rates.whole == 0
        for name, series in history.keys.items():
            if name in rates.keys:
                self.compare(name, series, rates.keys[name], low=not lacking)
            else:
                self.compare(name, series, rates.absent, low=sure_of_absent and not nothing_left, at_most=True)
        if history.known >= plugin.warmup and not rates.signed:
            for name, rate in rates.keys.items():
                if name not in history.keys and rate > 0 and rate >= plugin.heavy * rates.whole:
                    self.report_new(name, rate)

        history.seconds = self.now.seconds
        if lacking:
            return
        history.known = 0 if self.coverage.overflow else min(history.known + 1, MOST_SEEN)
        history.whole.learn(rates.whole, plugin.span)
        for name, series in history.keys.items():
            if name in rates.keys or sure_of_absent:
                series.learn(rates.keys.get(name, rates.absent), plugin.span)
        for name, rate in rates.keys.items():
            if name not in history.keys:
                history.keys[name] = Series(rate, 0.0, 1)
        history.keep(plugin.keys)

    def compare(self, key: str | None, series: Series, rate: float, *, low: bool, at_most: bool = False):
        if series.seen < self.plugin.warmup:
            return
        z = series.deviation(rate, self.now.seconds, self.rates.counts)
        if (z >= self.plugin.sigma and not at_most) or (z <= -self.plugin.sigma and low):
            of = self.table if key is None else f"{self.table}: {key}"
            most = "at most " if at_most else ""
            if rate == 0:
                code, title = "vanished", f"{of}: no {self.rates.what}, {shown(series.mean)}/s expected"
            else:
                code = "rate"
                title = f"{of}: {most}{shown(rate)} {self.rates.what}/s, {shown(series.mean)} expected"
            self.report(code, title, key, {"value": f"{rate:.6g}", "expected": f"{series.mean:.6g}", "z": f"{z:.1f}"})

    def report_new(self, key: str, rate: float):
        share = f"{rate / self.rates.whole:.1%}"
        title = f"{self.table}: {key}: new, with {share} of {self.rates.what}"
        self.report("new", title, key, {"value": f"{rate:.6g}", "share": share})

    def report(self, code: str, title: str, key: str | None, fields: dict[str, str]):
        self.found += 1
        about = {"table": self.table, "measure": self.rates.what} | ({} if key is None else {"key": key})
        weir.report(WARNING, code, title, about | fields | self.missing())

    def missing(self) -> dict[str, str]:
        """What the rates do not show."""
        coverage, missing = self.coverage, {}
        if coverage.overflow:
            missing["overflow"] = f"{coverage.overflow} of {coverage.events} events found no row of their own"
        if coverage.missed is None:
            missing["missed"] = "this kernel does not tell"
        elif coverage.missed:
            missing["missed"] = f"{coverage.missed} events were skipped by the kernel"
        if self.now.skipped:
            missing["skipped"] = f"{self.now.skipped} intervals before this one"
        return missing


def shown(rate: float) -> str:
    return f"{rate:.0f}" if abs(rate) >= 100 else f"{rate:.3g}"
