"""What a plugin is, and what its options are."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar, dataclass_transform, get_args, get_type_hints

from ._failure import wrong
from ._host import options

T = TypeVar("T")

# What the host calls, what the annotation of a field asks for, and how to call that in a message.
_TYPES: dict[type, tuple[Callable[[str], Any], str]] = {
    str: (options.text, "a text"),
    int: (options.integer, "an integer"),
    float: (options.number, "a number"),
    bool: (options.flag, "true or false"),
}

registered: Any = None
"""The plugin of this component."""


def option(
    default: Any = dataclasses.MISSING,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    one_of: tuple[Any, ...] | None = None,
) -> Any:
    """A field of a plugin that is an option: what it is when it is absent (without which it has to be given), and what
    is possible.
    """
    return dataclasses.field(default=default, metadata={"at_least": at_least, "at_most": at_most, "one_of": one_of})


@dataclass_transform(kw_only_default=True, field_specifiers=(option,))
def plugin(cls: type[T]) -> type[T]:
    """Makes a class the plugin of this component, and a dataclass whose fields are its options.

    Each is read from the option of its name and checked. Its type is `str`, `int`, `float` or `bool`, or one of these
    and `None`: `limit: int = 10`, `by: str | None = None`.

    The class has a method `analyze`, and may have `configure`, which looks at the options further and at the columns
    of the tables. That is called before anything is attached, so that what is wrong is told before anything runs, and
    again before each `analyze`. Every call has a new object; what is to outlive it goes into `weir.state`.
    """
    global registered
    made = dataclasses.dataclass(kw_only=True)(cls)
    for name, kind in _kinds(made).items():
        if kind not in _TYPES:
            raise TypeError(f"option {name} of {cls.__name__} has to be a str, int, float or bool, and is {kind}")
    registered = made
    return made


def configured(cls: type[T]) -> T:
    """A plugin with its options."""
    kinds = _kinds(cls)
    given = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        value = _read(field.name, kinds[field.name])
        if value is not None:
            _check(field, value)
            given[field.name] = value
        elif field.default is dataclasses.MISSING:
            raise wrong(field.name, f"it has to be given, {_TYPES[kinds[field.name]][1]}")
    made = cls(**given)
    if hasattr(made, "configure"):
        made.configure()
    return made


def _kinds(cls: type) -> dict[str, type]:
    """The type of each field, without the `None` of one that may be absent."""
    hints = get_type_hints(cls)
    kinds = {}
    for field in dataclasses.fields(cls):
        several = [kind for kind in get_args(hints[field.name]) if kind is not type(None)]
        kinds[field.name] = several[0] if len(several) == 1 else hints[field.name]
    return kinds


def _read(name: str, kind: type) -> Any:
    """A setting of another type is no absent one, and a default would hide it."""
    value = _TYPES[kind][0](name)
    if value is None:
        for read, other in _TYPES.values():
            if read(name) is not None:
                raise wrong(name, f"{_TYPES[kind][1]} is needed, and this is {other}")
    return value


def _check(field: dataclasses.Field, value: Any) -> None:
    match field.metadata:
        case {"one_of": tuple(known)} if value not in known:
            raise wrong(field.name, f"one of {', '.join(map(str, known))} is needed")
        case {"at_least": low, "at_most": high}:
            # So written that NaN is refused, too.
            if (low is None or value >= low) and (high is None or value <= high):
                return
            if high is None:
                raise wrong(field.name, f"at least {low} is needed")
            if low is None:
                raise wrong(field.name, f"at most {high} is possible")
            raise wrong(field.name, f"{low} to {high} are possible")
