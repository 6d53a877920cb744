"""What `weir plugin build` makes the component of: the module `plugin`, exported.

A component's memory is kept as it is when this module has been imported. From then on there are no files, no clock and
nothing to write to.
"""

import gc
import io
import sys
from contextlib import suppress
from importlib.machinery import BuiltinImporter, FrozenImporter

import plugin

from . import _plugin, _traceback
from ._failure import Failure
from ._host import Err, types
from ._output import CRITICAL, INFO, WARNING, Severity, log, text

# What the standard library imports only when it is needed, which would be too late.
for late in ("_suggestions", "encodings.ascii", "encodings.latin_1", "encodings.utf_16", "unicodedata"):
    with suppress(ModuleNotFoundError):
        __import__(late)

if _plugin.registered is None:
    raise ImportError(f"{plugin.__file__} has no class under @weir.plugin")


class Lines(io.TextIOBase):
    """What is printed becomes lines of the log."""

    def __init__(self, level: Severity) -> None:
        self._level = level
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, written: str) -> int:
        *lines, self._rest = (self._rest + written).split("\n")
        for line in lines:
            log(self._level, line)
        return len(written)

    def end(self) -> None:
        if self._rest:
            self.write("\n")


class NoFiles:
    """In place of a search for files, at which the call would end without a word."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        message = f"{name} has to be imported at the top of a module: at run time there are no files"
        raise ModuleNotFoundError(message, name=name)


OUT, ERRORS = Lines(INFO), Lines(WARNING)


def call(method: str) -> None:
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter, NoFiles]
    sys.stdout, sys.stderr = OUT, ERRORS
    try:
        made = _plugin.configured(_plugin.registered)
        if method == "analyze":
            made.analyze()
    except Failure as failure:
        raise Err(types.Failure(failure.reason, text(failure))) from None
    except Exception as error:
        for line in _traceback.lines(error):
            log(CRITICAL, line)
        if isinstance(error, MemoryError):
            # Passed on, it ends the call as one whose limit was memory. What there is to say of it has been said.
            sys.stderr = None
            raise
        raise Err(types.Failure("failed", text(_traceback.line(error)))) from None
    finally:
        OUT.end()
        ERRORS.end()


class Analysis:
    def configure(self) -> None:
        call("configure")

    def analyze(self) -> None:
        call("analyze")


_traceback.keep_sources()
# What is here now lives as long as the component, and a collection need not look at it.
gc.collect()
gc.freeze()
