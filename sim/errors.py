"""The errors that a user or a plug-in can cause, and checks that name the offending value."""

from pathlib import PurePath
from reprlib import Repr

LONGEST_VALUE = 80  # characters of a value in a message
LONGEST_KEY = 160  # of a key, which may be a place in a file
MOST_BITS = 200  # of a whole number that is written out


class InputError(ValueError):
    """Wrong input: one line with the key, the value (a long one is cut), and what was expected."""

    def __init__(self, key: str, value: object, expected: str) -> None:
        self.key = key
        self.value = value
        self.expected = expected
        super().__init__(f"{cut(key, LONGEST_KEY)}={_shown(value)}: {expected}")

    def __reduce__(self) -> tuple[type["InputError"], tuple[str, object, str]]:
        return type(self), (self.key, self.value, self.expected)


class UndefinedError(InputError):
    """A rule, step or attack that this design does not define; a comparison leaves its cell out."""


class RefusedError(ValueError):
    """The refusal of a plug-in to work on its input, with the numbers and the limit."""


class PluginError(RuntimeError):
    """A fault in a plug-in's code: an exception that is no refusal, or a result of a wrong form."""

    def __init__(self, plugin: str, problem: str) -> None:
        self.plugin = plugin
        self.problem = problem
        super().__init__(f"the plug-in {plugin} {problem}")

    def __reduce__(self) -> tuple[type["PluginError"], tuple[str, str]]:
        return type(self), (self.plugin, self.problem)


class WithheldError(RuntimeError):
    """A fault of our own over records, without its words, which may quote one."""


class NotFiniteError(RefusedError):
    """A rule or step gave values that are not finite for finite rows: there is no aggregate."""

    def __init__(self, plugin: str) -> None:
        self.plugin = plugin
        super().__init__(f"{plugin} returned values that are not finite")

    def __reduce__(self) -> tuple[type["NotFiniteError"], tuple[str]]:
        return type(self), (self.plugin,)


def whole(low: int, high: int | None = None, /, **values: int) -> None:
    """Raise ``InputError`` unless every named value is an int from ``low`` to ``high``.

    >>> whole(1, 10, size=3)
    >>> whole(1, 10, size=0)
    Traceback (most recent call last):
        ...
    sim.errors.InputError: size=0: expected a whole number of at least 1 and at most 10
    """
    at_most = "" if high is None else f" and at most {high:,}"
    for key, value in values.items():
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if not is_whole or value < low or (high is not None and value > high):
            raise InputError(key, value, f"expected a whole number of at least {low}{at_most}")


def number(
    low: float, high: float = float("inf"), *, open_low: bool = False, **values: float
) -> None:
    """Raise ``InputError`` unless every named value is a finite number from ``low`` to ``high``.

    ``open_low``: ``low`` itself is refused too.

    >>> number(0, 1, open_low=True, share=0.5)
    >>> number(0, 1, open_low=True, share=0.0)
    Traceback (most recent call last):
        ...
    sim.errors.InputError: share=0.0: expected a number above 0 and at most 1
    """
    at_least = f"above {low:g}" if open_low else f"of at least {low:g}"
    at_most = "" if high == float("inf") else f" and at most {high:g}"
    for key, value in values.items():
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        is_above = is_number and (low < value if open_low else low <= value)
        if not is_above or value > high or value == float("inf"):
            raise InputError(key, value, f"expected a number {at_least}{at_most}")


def one_of(choices: tuple[str, ...], **values: str) -> None:
    """Raise ``InputError`` unless every named value is one of ``choices``.

    >>> one_of(("mean", "median"), start="mean")
    >>> one_of(("mean", "median"), start="first")
    Traceback (most recent call last):
        ...
    sim.errors.InputError: start=first: expected one of mean, median
    """
    for key, value in values.items():
        if value not in choices:
            raise InputError(key, value, f"expected one of {', '.join(choices)}")


def cut(text: str, longest: int = LONGEST_VALUE) -> str:
    """The text, or its start, its length and its end if it has more than ``longest`` characters."""
    if len(text) <= longest:
        return text
    between = f"... ({len(text)} characters) ..."
    left = max(0, longest - len(between))
    return text[: left - left // 3] + between + text[len(text) - left // 3 :]


def _shown(value: object) -> str:
    """A value as it was written; a nested or long one is cut before it is put together."""
    if isinstance(value, PurePath):
        return str(value)  # whole, for somebody has to find it
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        return f"a whole number of {value.bit_length()} bits"
    return cut(value if isinstance(value, str) else _SHORT.repr(value))


_SHORT = Repr()
_SHORT.maxlevel = 4
_SHORT.maxdict = 8
_SHORT.maxlist = 8
_SHORT.maxtuple = 8
_SHORT.maxstring = LONGEST_VALUE
_SHORT.maxother = LONGEST_VALUE
_SHORT.maxlong = LONGEST_VALUE
