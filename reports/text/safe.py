"""Text on a page, whoever wrote it: no character acts on other text, and all fit into UTF-8."""

from __future__ import annotations

from unicodedata import category

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
