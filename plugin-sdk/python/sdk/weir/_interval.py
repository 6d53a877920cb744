"""The interval that the tables belong to: the only clock there is."""

from dataclasses import dataclass

from ._host import interval as host


@dataclass(frozen=True)
class Interval:
    number: int
    """Counted from 0."""
    began_ns: int
    """The wall clock's time at its beginning, in nanoseconds since 1970."""
    seconds: float
    """Its length: what to divide by for a rate."""
    skipped: int
    """Intervals that this plugin was not called for since its last call."""
    is_last: bool
    """This is the last call of the run."""


def interval() -> Interval:
    began = host.began()
    nanoseconds = began.seconds * 1_000_000_000 + began.nanoseconds
    return Interval(host.number(), nanoseconds, host.length(), host.skipped(), host.is_last())
