"""Values that somebody else made, in words that can be recorded and shown on a terminal.

Nothing here runs code of a value's own type: no ``__str__``, ``__repr__``, ``__eq__`` or
``__hash__``, which could raise, never end, or answer differently the second time.
"""

from __future__ import annotations

from typing import Any, cast
from unicodedata import combining

MOST_CHARACTERS = 80
MOST_PARTS = 4  # of a list or of an exception's arguments; the rest is counted
LARGEST_BITS = 64  # of a whole number that is written out


def printable(text: str, most: int = MOST_CHARACTERS) -> str:
    """The text in at most ``most`` characters that a terminal shows and UTF-8 can hold.

    Control and format characters (line ends, terminal escapes, changes of writing direction), lone
    surrogates and marks that are put on other characters are written as Python escapes.
    """
    shown = "".join(
        one if one.isprintable() and not combining(one) else ascii(one)[1:-1]
        for one in text[: most + 1]
    )
    return shown if len(shown) <= most else shown[: most - 3] + "..."


def described(value: object) -> str:
    """A value in words, cut to ``MOST_CHARACTERS``; one that is not plain is named by its type."""
    return printable(value) if type(value) is str else printable(_shown(value, deep=True))


def described_error(error: BaseException) -> str:
    """An exception as Python shows it, as far as its arguments are plain values."""
    arguments = cast(Any, BaseException.args).__get__(error)
    return printable(type_name(type(error)) + "(" + _listed(arguments, deep=True) + ")")


def type_name(kind: type) -> str:
    """The name of a type, whatever its metaclass answers when asked for it."""
    return printable(str.__str__(vars(type)["__name__"].__get__(kind)))


def _shown(value: object, *, deep: bool) -> str:
    kind = type(value)
    if type(value) is int and value.bit_length() > LARGEST_BITS:
        return f"a whole number of {value.bit_length()} bits"
    # types too can answer to == with code
    if value is None or kind is bool or kind is int or kind is float:
        return repr(value)
    if type(value) is str:
        return f"'{printable(value)}'"
    if type(value) is bytes:
        return f"{len(value)} bytes"
    if type(value) is list and deep:
        return f"[{_listed(value, deep=False)}]"
    if type(value) is tuple and deep:
        return f"({_listed(value, deep=False)}{',' if len(value) == 1 else ''})"
    return f"an object of type {type_name(kind)}"


def _listed(values: list[object] | tuple[object, ...], *, deep: bool) -> str:
    shown = [_shown(value, deep=deep) for value in values[:MOST_PARTS]]
    more = len(values) - len(shown)
    return ", ".join([*shown, f"and {more} more"] if more > 0 else shown)
