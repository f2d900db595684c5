"""The streams of a command, set once, so that no sign, encoding or closed stream ends it.

Standard output and standard error take every text in whatever encoding they have: a sign that it
lacks is written as its nearest in ASCII, another character as a Python escape. A reader that leaves
early (``| head -1``) ends nothing: the rest of the output is dropped and the work goes on. Files
are no matter of this module: they are always UTF-8. Imports no library.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TextIO

ERRORS = "wardround"  # name of the handler of characters that an encoding lacks
NOT_WRITTEN = 74  # exit code: what was asked for could not be written (EX_IOERR of sysexits.h)
NEAREST = {
    "\N{GREEK SMALL LETTER EPSILON}": "eps",
    "\N{GREEK SMALL LETTER DELTA}": "delta",
    "\N{PLUS-MINUS SIGN}": "+/-",
    "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{NON-BREAKING HYPHEN}": "-",
    "\N{DAGGER}": "#",
    "\N{DOUBLE DAGGER}": "##",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{LESS-THAN OR EQUAL TO}": "<=",
    "\N{GREATER-THAN OR EQUAL TO}": ">=",
    "\N{RIGHTWARDS ARROW}": "->",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{NO-BREAK SPACE}": " ",
    "\N{NARROW NO-BREAK SPACE}": " ",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    "\N{MIDDLE DOT}": ".",
    "\N{BULLET}": "*",
}

Main = Callable[[Sequence[str] | None], int]


def settled(main: Main) -> Callable[..., int]:
    """The command ``main`` with its streams set first, unless the caller passes the words.

    Then the streams are the caller's.
    """

    @wraps(main)
    def command(arguments: Sequence[str] | None = None) -> int:
        if arguments is not None:
            return main(arguments)
        _open_closed()
        out = _Stream(1, sys.stdout)
        error = _Stream(2, sys.stderr)
        sys.stdout = out
        sys.stderr = error
        code = main(None)
        out.flush()
        if out.raw_file.failed is None:
            return code
        reason = os.strerror(out.raw_file.failed)
        print(f"wardround: standard output cannot be written ({reason})", file=error)
        return code or NOT_WRITTEN

    return command


def replace_unknown(error: UnicodeError) -> tuple[str, int]:
    """The text for characters that an encoding lacks, and their end, as a handler of ``codecs``."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(NEAREST.get(sign, ascii(sign)[1:-1]) for sign in missing), error.end


codecs.register_error(ERRORS, replace_unknown)


def _open_closed() -> None:
    """Point closed standard streams to nothing, for the next opened file would take their place."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)


class _File(io.FileIO):
    """A file that drops bytes which can no longer be written.

    ``failed`` is the number of the error, unless it is that the reader left.
    """

    failed: int | None = None
    _dropping = False

    def write(self, data: Any, /) -> int:
        length = memoryview(data).nbytes
        if self._dropping:
            return length
        try:
            return super().write(data)
        except OSError as error:
            self._dropping = True
            self.failed = None if error.errno == errno.EPIPE else error.errno
            return length


class _Stream(io.TextIOWrapper):
    """A standard stream in the encoding of ``like`` that takes every text and never raises."""

    def __init__(self, number: int, like: TextIO | None) -> None:
        if like is not None:
            like.flush()
        self.raw_file = _File(number, "w", closefd=False)
        encoding = "utf-8" if like is None else like.encoding
        lines = number == 2 or self.raw_file.isatty()
        super().__init__(
            io.BufferedWriter(self.raw_file), encoding=encoding, errors=ERRORS, line_buffering=lines
        )
