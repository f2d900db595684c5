"""An override with spaces in its brackets, ``attacks=[alie, min_max]``, is put together again.

A shell hands it over in pieces. Imports no library.
"""

from __future__ import annotations

from collections.abc import Sequence

PAIRS = {"[": "]", "{": "}", "(": ")"}


def joined(words: Sequence[str]) -> list[str]:
    """The words, with an override whose brackets are open joined to the words that close them.

    Where nothing closes them, or a flag or another override comes first, the words stay as they
    are, to be refused as such.
    """
    result: list[str] = []
    place = 0
    while place < len(words):
        n = _pieces(words[place:])
        result.append(" ".join(words[place : place + n]))
        place += n
    return result


def _pieces(words: Sequence[str]) -> int:
    """The number of ``words``, from the first on, that are one override."""
    if "=" not in words[0] or _open(words[0]) < 1:
        return 1
    depth = _open(words[0])
    for n, word in enumerate(words[1:], 2):
        if word.startswith("-") or "=" in word:
            return 1
        depth += _open(word)
        if depth <= 0:
            return n if depth == 0 else 1
    return 1


def _open(word: str) -> int:
    """The number of brackets that a word opens and does not close, outside quotes."""
    depth = 0
    quote = ""
    for sign in word:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        else:
            depth += (sign in PAIRS) - (sign in PAIRS.values())
    return depth
