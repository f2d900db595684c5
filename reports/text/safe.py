"""Text on a page, whoever wrote it: no character acts on other text, and all fit into UTF-8.

While a page is made, its values stand between two marks, which distinguish them from its own words.
"""

from __future__ import annotations

import re
from typing import Final
from unicodedata import category

OPEN: Final = "\ufdd0"  # no characters, and so in no text
CLOSE: Final = "\ufdd1"
_MARKS: Final = re.compile(f"[{OPEN}{CLOSE}]")

# Control, format (direction of writing), lone surrogates, separators of lines.
ACTING = ("Cc", "Cf", "Cs", "Zl", "Zp")


def shown(value: object) -> object:
    """The value; of a text, characters that act on others are Python escapes.

    For Jinja's ``finalize``, which comes before HTML is escaped.
    """
    if type(value) is not str or value.isprintable():
        return value
    return "".join(
        ascii(sign)[1:-1] if category(sign) in ACTING and sign != "\n" else sign for sign in value
    )


def guarded(text: str) -> str:
    """A value between the marks; marks inside it are written as escapes."""
    return f"{OPEN}{_MARKS.sub(lambda sign: ascii(sign[0])[1:-1], text)}{CLOSE}"


def unmarked(page: str) -> str:
    """A page without the marks."""
    return _MARKS.sub("", page)
