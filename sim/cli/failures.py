"""The end of a command that fails: one line, and an exit code that states whose fault it is."""

from __future__ import annotations

import os
import sys
import traceback

from sim.blame import place
from sim.errors import PluginError, UndefinedError, WithheldError, cut

WRONG_INPUT = 2  # exit codes
INTERNAL = 70
LONGEST = 280  # characters of a line
LONGEST_OF_DESIGN = 700  # it lists what would do instead
LONGEST_OF_PLUGIN = 600  # it names a class and a file
TRACEBACK = "WARDROUND_TRACEBACK"  # environment variable: set, it shows where an error comes from


def wrong_input(error: Exception) -> int:
    """Print what is wrong with the input; returns the exit code."""
    longest = LONGEST_OF_DESIGN if isinstance(error, UndefinedError) else LONGEST
    _line(cut(_one_line(str(error)), longest))
    return WRONG_INPUT


def internal(error: Exception) -> int:
    """Print an error of the program, or of a plug-in, as one line to report; returns the exit code.

    The line names the error's type, what it is about, file and line.
    """
    if os.environ.get(TRACEBACK):
        traceback.print_exception(error)
    if isinstance(error, PluginError):
        text = f"{error}; please report it to its authors ({TRACEBACK}=1 shows more)"
        _line(cut(_one_line(text), LONGEST_OF_PLUGIN))
        return INTERNAL
    found = f"{type(error).__name__} at {place(error)}: {cut(_one_line(str(error)), 120)}"
    if isinstance(error, WithheldError):
        found = str(error)
    _line(f"internal error {found}; please report this line ({TRACEBACK}=1 shows more)")
    return INTERNAL


def _one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _line(text: str) -> None:
    print(f"wardround: {text}", file=sys.stderr)
