"""Tracebacks where there are no files, so that sources have to be kept, and nothing may look for one."""

import linecache
import sys
import traceback
from importlib.machinery import SourceFileLoader

# Of each exception, the innermost.
_FRAMES = 30


def line(error: Exception) -> str:
    """What an exception is, and where it was raised."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    where = "" if at is None else f" ({_short(at.tb_frame.f_code.co_filename)}:{at.tb_lineno})"
    message = f": {error}" if str(error) else ""
    return f"{type(error).__name__}{message}{where}"


def lines(error: Exception) -> list[str]:
    """The traceback, without the frame that caught it."""
    error = error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
    whole = traceback.TracebackException.from_exception(error, limit=-_FRAMES, lookup_lines=False)
    parts = [whole]
    for part in parts:
        parts += filter(None, (part.__cause__, part.__context__, *(part.exceptions or ())))
        for frame in part.stack:
            frame.filename = _short(frame.filename)
            # To mark a part of a line, Python would parse it, and look for a file where it cannot.
            frame.colno = None
            if frame.filename not in linecache.cache:
                _keep(frame.filename, "")
    return "".join(whole.format()).splitlines()


def keep_sources() -> None:
    """Keeps those of the plugin and of its packages, but for the standard library."""
    for module in list(sys.modules.values()):
        loader = getattr(module, "__loader__", None)
        if isinstance(loader, SourceFileLoader) and not loader.path.startswith("/python/"):
            _keep(_short(loader.path), loader.get_source(loader.name) or "")


def _short(file: str) -> str:
    """Without the folder that componentize-py shows modules in, such as `/0/`."""
    return file.split("/", 2)[-1]


def _keep(file: str, source: str) -> None:
    # Without a time, no file is looked at to see whether it has changed.
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
