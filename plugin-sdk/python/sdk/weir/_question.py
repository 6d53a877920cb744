"""What questions are made of: conditions and aggregates of columns."""

from dataclasses import dataclass

from ._host import questions


@dataclass(frozen=True)
class Condition:
    """What holds for some rows and not for others; made by comparing a `col`."""

    column: str
    op: str
    value: questions.Literal


@dataclass(frozen=True)
class Aggregate:
    """What is made of a group's rows; made by a method of `col`."""

    column: str
    op: str
    argument: float = 0.0


@dataclass(frozen=True, eq=False)
class col:
    """The column of this name, to be compared with something, or to be shown of a group."""

    name: str

    def __eq__(self, value: int | float | str | bytes) -> Condition:  # type: ignore[override]
        return self._compared("eq", value)

    def __ne__(self, value: int | float | str | bytes) -> Condition:  # type: ignore[override]
        return self._compared("ne", value)

    def __lt__(self, value: int | float) -> Condition:
        return self._compared("lt", value)

    def __le__(self, value: int | float) -> Condition:
        return self._compared("le", value)

    def __gt__(self, value: int | float) -> Condition:
        return self._compared("gt", value)

    def __ge__(self, value: int | float) -> Condition:
        return self._compared("ge", value)

    def startswith(self, prefix: str | bytes) -> Condition:
        return self._compared("prefix", prefix)

    def _compared(self, op: str, value: int | float | str | bytes) -> Condition:
        return Condition(self.name, op, _literal(value))

    def sum(self) -> Aggregate:
        """The group's sum; of histograms, bucket by bucket."""
        return Aggregate(self.name, "sum")

    def min(self) -> Aggregate:
        return Aggregate(self.name, "min")

    def max(self) -> Aggregate:
        return Aggregate(self.name, "max")

    def mean(self) -> Aggregate:
        return Aggregate(self.name, "mean")

    def share(self) -> Aggregate:
        """The group's sum by the sum over all groups, 0 to 1."""
        return Aggregate(self.name, "share")

    def quantile(self, share: float) -> Aggregate:
        """The smallest value that at least this share (0 to 1) of the values do not exceed."""
        return Aggregate(self.name, "quantile", share)

    def count(self) -> Aggregate:
        """How many rows the group has."""
        return Aggregate(self.name, "count")


def _literal(value: int | float | str | bytes) -> questions.Literal:
    match value:
        case int():
            return questions.Literal_Unsigned(value) if value >= 0 else questions.Literal_Signed(value)
        case float():
            return questions.Literal_Float(value)
        case str():
            return questions.Literal_Text(value.encode())
        case bytes():
            return questions.Literal_Text(bytes(value))
    raise TypeError(f"a column is compared with a number or a text, not with {value!r}")
