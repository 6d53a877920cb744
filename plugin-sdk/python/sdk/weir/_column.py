"""What columns hold: texts and histograms. Numbers are `int` and `float`, a whole column of them a `memoryview`."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from ._host import types


class Text(bytes):
    """One text as the kernel wrote it: bytes, most often UTF-8.

    As a `str` it has its backslashes doubled and `\\xNN` for a NUL and for what is no UTF-8, so two different texts never
    look alike.
    """

    def __str__(self) -> str:
        return self.replace(b"\\", b"\\\\").replace(b"\0", b"\\x00").decode("utf-8", "backslashreplace")

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


class Texts:
    """A column of texts. Row i is `words[codes[i]]`: what is the same for the same text can be done once a word.

    A column that was read in several pages can have several words that are equal.
    """

    def __init__(self, codes: list[int], words: list[Text]) -> None:
        self.codes = codes
        self.words = words

    @classmethod
    def joined(cls, pages: Iterable[types.Texts]) -> "Texts":
        codes: list[int] = []
        words: list[Text] = []
        for page in pages:
            before = len(words)
            codes += [before + code for code in page.codes] if before else page.codes
            ends = page.offsets
            words += [Text(page.bytes[start:end]) for start, end in pairwise(ends)]
        return cls(codes, words)

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: int) -> Text:
        return self.words[self.codes[row]]

    def __iter__(self) -> Iterator[Text]:
        return map(self.words.__getitem__, self.codes)


class Bucket(NamedTuple):
    """How many values v were seen with `low <= v < high`; the last bucket that there can be has no `high`."""

    low: float
    high: float | None
    count: int  # type: ignore[assignment]


@dataclass(frozen=True)
class Histogram:
    """Counts of values by bucket. `a + b` has the values of both, and so has `sum(histograms, Histogram())`."""

    buckets: tuple[Bucket, ...] = ()
    """Those that are not empty, from low to high."""
    count: int = 0
    """How many values there are. Those that found no room for a bucket are in none."""
    sum: float = 0.0

    def __add__(self, other: "Histogram") -> "Histogram":
        return Histogram.merged([self, other])

    @staticmethod
    def merged(histograms: Iterable["Histogram"]) -> "Histogram":
        """One with the values of all."""
        counts: dict[tuple[float, float | None], int] = {}
        count, total = 0, 0.0
        for histogram in histograms:
            count += histogram.count
            total += histogram.sum
            for low, high, values in histogram.buckets:
                counts[low, high] = counts.get((low, high), 0) + values
        return Histogram(_in_order((low, high, values) for (low, high), values in counts.items()), count, total)

    def quantile(self, share: float) -> float:
        """The upper bound of the bucket that holds the smallest value which at least this share (0 to 1) of the
        values do not exceed, among those that have a bucket. Infinite in the last one, NaN if there are none.
        """
        values = sum(bucket.count for bucket in self.buckets)
        rank = min(max(math.ceil(share * values), 1), values)
        below = 0
        for bucket in self.buckets:
            below += bucket.count
            if below >= rank:
                return math.inf if bucket.high is None else bucket.high
        return math.nan


def _in_order(buckets: Iterable[tuple[float, float | None, int]]) -> tuple[Bucket, ...]:
    return tuple(sorted((Bucket(*bucket) for bucket in buckets), key=lambda bucket: bucket.low))


class Histograms:
    """A column of histograms; each is made when it is looked at."""

    def __init__(self, pages: Iterable[types.Buckets]) -> None:
        self._rows = [(page, row) for page in pages for row in range(len(page.sums))]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Histogram]:
        return map(self.__getitem__, range(len(self._rows)))

    def __getitem__(self, row: int) -> Histogram:
        page, row = self._rows[row]
        entries = slice(page.offsets[row], page.offsets[row + 1])
        lower = page.lower
        buckets = [
            Bucket(lower[bucket], lower[bucket + 1] if bucket + 1 < len(lower) else None, count)
            for bucket, count in zip(page.bucket[entries], page.counts[entries])
        ]
        return Histogram(tuple(buckets), page.totals[row], page.sums[row])
