"""Names that somebody may have meant. Imports no library."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

LONGEST = 100  # characters of a list of names in a message
CLOSEST = 5


def choice(given: str, names: Sequence[str], where: str = "") -> str:
    """The names to choose from, for a message: ``one of a, b, c; did you mean b?``.

    Of a long list only the nearest are named, and ``where`` all are shown.
    """
    near = difflib.get_close_matches(given, names, n=CLOSEST, cutoff=0.6)
    listed = ", ".join(names)
    if len(listed) > LONGEST:
        some = ", ".join(dict.fromkeys([*near, *names][:CLOSEST]))
        listed = f"{some}, ... ({len(names)} in all{f': {where}' if where else ''})"
    return f"one of {listed}" + (f"; did you mean {near[0]}?" if near else "")
