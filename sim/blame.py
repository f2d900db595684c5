"""An exception from a plug-in's code is named as a fault of the plug-in, with file and line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb, walk_tb

from sim.errors import InputError, PluginError, RefusedError, WithheldError
from sim.untrusted import printable
from sim.withheld import NOT_SHOWN

MOST_CHARACTERS = 200  # of an exception's text


@contextmanager
def blaming(targets: Iterable[str], public: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """An exception that passes through a plug-in's file becomes a ``PluginError`` with its name.

    ``targets``: dotted names of the plug-ins' classes. ``public``: whether the exception's message
    may be quoted, which may hold a part of a record; else only its type, file and line are given. A
    refusal (``InputError``, ``RefusedError``) stays as it is, and so does an exception that passes
    through none of the files, but for its message: a fault of our own becomes a ``WithheldError``.
    """
    try:
        yield
    except (InputError, RefusedError, PluginError, WithheldError):
        raise
    except Exception as error:
        found = fault(error, targets, public=public())
        if found is not None:
            raise found from error
        if public() or isinstance(error, OSError):  # which is about a file or a stream
            raise
        raise WithheldError(f"{type(error).__name__} at {place(error)}: {NOT_SHOWN}") from error


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


def place(error: Exception) -> str:
    """File and line at which an error was raised; before it the last of ours that it passed."""
    frames = extract_tb(error.__traceback__)
    if not frames:
        return "?"
    where = f"{_short(frames[-1].filename)}:{frames[-1].lineno}"
    ours = next((frame for frame in reversed(frames) if not _is_library(frame.filename)), None)
    if ours is None or ours is frames[-1]:
        return where
    return f"{_short(ours.filename)}:{ours.lineno} ({where})"


def _is_library(filename: str) -> bool:
    return "site-packages" in filename or filename.startswith((str(Path(os.__file__).parent), "<"))


def _short(filename: str) -> str:
    """The file's name with its folder, which is enough to find it and names nobody's home."""
    return "/".join(Path(filename).parts[-2:])


def _message(error: Exception) -> str:
    try:
        return printable(str(error), MOST_CHARACTERS) or "no message"
    except Exception:  # a plug-in's own exception may fail at this too
        return "no message"
