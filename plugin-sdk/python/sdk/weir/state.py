"""A few kilobytes that outlive the call. What a call that fails stored is gone."""

import json
from typing import Any

from ._host import asked, state


def load(key: str) -> bytes | None:
    """What was stored under this key, if anything was."""
    return state.load(key)


def store(key: str, value: bytes) -> None:
    """All keys and values together have room in 64 KiB; beyond that the reason is `too-large`."""
    asked(state.store, key, bytes(value))


def remove(key: str) -> None:
    state.remove(key)


def load_json(key: str, default: Any = None) -> Any:
    """What `store_json` stored, or the default."""
    value = load(key)
    return default if value is None else json.loads(value)


def store_json(key: str, value: Any) -> None:
    store(key, json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())
