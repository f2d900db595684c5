"""Figures as a reader sees them, on pages and in the register alike."""

from __future__ import annotations

from typing import Final

NONE: Final = "\N{EN DASH}"


def change(value: float | None) -> str:
    """A signed difference of scores with three digits and a true minus sign; no sign on zero."""
    if value is None:
        return NONE
    return "0.000" if abs(value) < 0.0005 else f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def share(value: float | None) -> str:
    """A rate as a percentage; never rounded to 0 or 100 when it is not."""
    if value is None:
        return NONE
    percent = 100 * value
    if 0 < percent < 0.05 or 99.95 < percent < 100:
        return "under 0.1 %" if percent < 1 else "over 99.9 %"
    if percent < 9.95:
        return f"{percent:.2g} %"
    return f"{percent:.0f} %" if percent < 99 or percent == 100 else f"{percent:.1f} %"


def signed_points(value: float) -> str:
    """A difference of rates in percentage points without the word; no sign on zero."""
    return "0.0" if abs(value) < 0.0005 else f"{100 * value:+.1f}".replace("-", "\N{MINUS SIGN}")
