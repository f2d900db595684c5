"""An exception from a plug-in's code is named as a fault of the plug-in, with file and line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from traceback import walk_tb

from sim.errors import InputError, PluginError, RefusedError
from sim.untrusted import printable
from sim.withheld import NOT_SHOWN

MOST_CHARACTERS = 200  # of an exception's text


@contextmanager
def blaming(targets: Iterable[str], public: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """An exception that passes through a plug-in's file becomes a ``PluginError`` with its name.

    ``targets``: dotted names of the plug-ins' classes. ``public``: whether the exception's message
    may be quoted, which may hold a part of a record; else only its type, file and line are given. A
    refusal (``InputError``, ``RefusedError``) stays as it is, and so does an exception that passes
    through none of the files.
    """
    try:
        yield
    except (InputError, RefusedError, PluginError):
        raise
    except Exception as error:
        found = fault(error, targets, public=public())
        if found is None:
            raise
        raise found from error


def fault(error: Exception, targets: Iterable[str], *, public: bool = True) -> PluginError | None:
    """``error`` as a fault of the plug-in whose file it passed through last; None for none."""
    files = dict[str, str]()
    for target in targets:
        module = sys.modules.get(target.rpartition(".")[0])
        files.setdefault(str(getattr(module, "__file__", None)), target)
    for frame, line in reversed(list(walk_tb(error.__traceback__))):
        file = frame.f_code.co_filename
        if file in files:
            message = _message(error) if public else NOT_SHOWN
            problem = f"raised {type(error).__name__} at {file}:{line}: {message}"
            return PluginError(files[file], problem)
    return None


def _message(error: Exception) -> str:
    try:
        return printable(str(error), MOST_CHARACTERS) or "no message"
    except Exception:  # a plug-in's own exception may fail at this too
        return "no message"
