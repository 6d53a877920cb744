"""The bindings, which `weir plugin build` generates; in unit tests, where there is no component, a fake of them."""

from collections.abc import Callable
from typing import TypeVar

from ._failure import Failure

try:
    from componentize_py_types import Err
    from wit_world.imports import interval, options, output, questions, state, tables, types
except ModuleNotFoundError:
    from ._fake import Err, interval, options, output, questions, state, tables, types  # type: ignore

__all__ = ["Err", "asked", "interval", "options", "output", "questions", "state", "tables", "types"]

T = TypeVar("T")


def asked(call: Callable[..., T], *arguments: object) -> T:
    """What the host answers; its refusals are raised as `Failure`."""
    try:
        return call(*arguments)
    except Err as refused:
        raise Failure(refused.value.reason, refused.value.message) from None
