"""Figures as a reader sees them, on pages and in the register alike."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal, localcontext
from typing import Final

MINUS: Final = "\N{MINUS SIGN}"
NONE: Final = "\N{EN DASH}"


def change(value: float | None) -> str:
    """A signed difference of scores with three digits and a true minus sign; no sign on zero."""
    if value is None:
        return NONE
    return "0.000" if abs(value) < 0.0005 else _signed(half_up(value, "+.3f"))


def figure(value: float | None) -> str:
    """A figure with three digits and a true minus sign; no sign on zero.

    >>> figure(0.25), figure(-0.0001)
    ('0.250', '0.000')
    """
    if value is None:
        return NONE
    return "0.000" if abs(value) < 0.0005 else _signed(half_up(value, ".3f"))


def share(value: float | None) -> str:
    """A rate as a percentage; never rounded to 0 or 100 when it is not.

    >>> share(0.125), share(0.9995)
    ('13 %', 'over 99.9 %')
    """
    if value is None:
        return NONE
    percent = 100 * value + 0  # no minus on zero
    if 0 < percent < 0.05:
        return "under 0.1 %"
    if percent < 100 and half_up(percent, ".1f") == "100.0":
        return "over 99.9 %"
    if percent < 9.95:
        text = half_up(percent, ".2g")
        return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"
    return f"{half_up(percent, '.0f' if percent < 99 or percent == 100 else '.1f')} %"


def signed_points(value: float) -> str:
    """A difference of rates in percentage points without the word; no sign on zero."""
    return "0.0" if abs(value) < 0.0005 else _signed(half_up(100 * value, "+.1f"))


def half_up(value: float, form: str) -> str:
    """A number in a ``form`` as of ``format``, with halves rounded away from 0, as people round.

    Digits beyond the twelfth, which arithmetic of floats leaves behind, do not count.

    >>> half_up(12.5, ".0f"), f"{12.5:.0f}"
    ('13', '12')
    """
    with localcontext(rounding=ROUND_HALF_UP):
        return format(Decimal(f"{value:.12g}"), form)


def _signed(text: str) -> str:
    return text.replace("-", MINUS)


def at_most(value: float | None) -> str:
    """An upper bound of a rate as a percentage with two digits, rounded up.

    >>> at_most(0.3931), at_most(0.9907)
    ('40 %', '100 %')
    """
    return _bound(value, ROUND_CEILING, "under 0.1 %")


def at_least(value: float | None) -> str:
    """A lower bound of a rate as a percentage with two digits, rounded down.

    >>> at_least(0.6069), at_least(0.0004)
    ('60 %', '0 %')
    """
    return _bound(value, ROUND_FLOOR, "0 %")


def _bound(value: float | None, rounding: str, least: str) -> str:
    """A bound of a rate, rounded to its side. ``least``: in place of a share under 0.1 %."""
    if value is None or math.isnan(value):
        return NONE
    exact = 100 * Decimal(repr(min(value, 1.0)))
    if exact < Decimal("0.1"):
        return least if exact > 0 else "0 %"
    step = Decimal(1).scaleb(min(0, exact.adjusted() - 1))
    return f"{exact.quantize(step, rounding).normalize():f} %"


def count(n: int, thing: str, things: str = "") -> str:
    """``1 run``, ``2 runs``."""
    return f"{n:,} {thing if n == 1 else things or thing + 's'}"


def listed(names: Iterable[str]) -> str:
    """``a, b and c``."""
    *most, last = list(names) or [NONE]
    return f"{', '.join(most)} and {last}" if most else last


def ranges(numbers: Iterable[int]) -> str:
    """``1, 4 to 9 and 12`` for whole numbers in order."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return listed(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)
