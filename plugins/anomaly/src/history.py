"""What is remembered of a table: means and variances of rates, in which the last intervals weigh most."""

import struct
import zlib
from dataclasses import dataclass, field
from math import sqrt

# A rate is not held against a mean more exactly than this share of it, however steady it has been.
STEADIEST = 0.02

VERSION = 1
HEAD = struct.Struct("<BHdddH")
KEY = struct.Struct("<ddHB")
LONGEST_NAME = 120
MOST_SEEN = 0xFFFF


@dataclass
class Series:
    """The rates of one key, per second."""

    mean: float = 0.0
    variance: float = 0.0
    seen: int = 0

    def learn(self, rate: float, span: int) -> None:
        # A plain mean at first, so that the first rate weighs no more than those after it.
        weight = max(2 / (span + 1), 1 / (self.seen + 1))
        change = rate - self.mean
        self.mean += weight * change
        self.variance = (1 - weight) * (self.variance + weight * change**2)
        self.seen = min(self.seen + 1, MOST_SEEN)

    def deviation(self, rate: float, seconds: float, counts: bool) -> float:
        """By how many standard deviations a rate over so many seconds is off the mean."""
        least = max(STEADIEST * abs(self.mean), 1 / seconds)
        if counts:
            # Events that have nothing to do with each other vary by as much as this.
            least = max(least, sqrt(self.mean / seconds))
        return (rate - self.mean) / max(sqrt(self.variance), least)


@dataclass
class History:
    known: int = 0
    """For how many intervals every key has had a row, so that one without a history is new."""
    seconds: float = 0.0
    """How long the interval before was."""
    whole: Series = field(default_factory=Series)
    keys: dict[str, Series] = field(default_factory=dict)

    def keep(self, most: int) -> None:
        """Forgets all but the biggest keys."""
        biggest = sorted(self.keys.items(), key=lambda item: item[1].mean, reverse=True)
        self.keys = dict(biggest[:most])

    def pack(self) -> bytes:
        whole = self.whole
        packed = [HEAD.pack(VERSION, self.known, self.seconds, whole.mean, whole.variance, whole.seen)]
        for name, series in self.keys.items():
            text = name.encode()
            packed += KEY.pack(series.mean, series.variance, series.seen, len(text)), text
        return b"".join(packed)

    @classmethod
    def unpack(cls, packed: bytes | None) -> "History":
        """An empty one, if there is none or it is another version's."""
        if packed is None or packed[0] != VERSION:
            return cls()
        _, known, seconds, *whole = HEAD.unpack_from(packed)
        history = cls(known, seconds, Series(*whole))
        at = HEAD.size
        while at < len(packed):
            *series, length = KEY.unpack_from(packed, at)
            at += KEY.size + length
            history.keys[packed[at - length : at].decode()] = Series(*series)
        return history


def short(name: str) -> str:
    """A key's name as it is remembered: a long one, such as a stack, by its ends and a checksum."""
    text = name.encode()
    if len(text) <= LONGEST_NAME:
        return name
    start, end = (part.decode(errors="ignore") for part in (text[:50], text[-50:]))
    return f"{start}…{end} #{zlib.crc32(text):08x}"
