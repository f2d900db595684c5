"""Figures as a reader sees them, on pages and in the register alike."""

from __future__ import annotations

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
    """A rate as a percentage; never rounded to 0 or 100 when it is not."""
    if value is None:
        return NONE
    percent = 100 * value
    if 0 < percent < 0.05 or 99.95 < percent < 100:
        return "under 0.1 %" if percent < 1 else "over 99.9 %"
    if percent < 9.95:
        text = half_up(percent, ".2g")
        return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"
    return f"{half_up(percent, '.0f' if percent < 99 or percent == 100 else '.1f')} %"


def signed_points(value: float) -> str:
    """A difference of rates in percentage points without the word; no sign on zero."""


from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal, localcontext
