"""Links from a page's own words to its glossary.

A template fills values into its own words. A value may be anybody's text, as the name of a hospital
is. It stands between two marks until the page is whole, and nothing between them is ever linked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

from reports.text import glossary
from reports.text.glossary import Entry
from reports.text.safe import CLOSE, OPEN

# Elements whose words are linked, and those inside them whose words are not.
LINKED: Final = frozenset({"p", "li", "dd", "figcaption", "caption"})
NOT_LINKED: Final = frozenset(
    {"a", "button", "code", "pre", "cite", "summary", "label"} | {"h1", "h2", "h3", "h4", "th"}
)
WORDS: Final = '<section id="words">'  # the glossary itself

# Spellings that are everyday words as well: there a link would often explain another word.
EVERYDAY: Final = frozenset(
    {"measured", "direct", "indirect", "conditional", "contextual", "mark", "marked", "claim"}
    | {"claims", "step", "steps", "rule", "rules", "recovered", "shuffled", "adapt", "literature"}
    | {"material", "materially", "skipped", "distinguished", "moderate", "influence", "stack"}
    | {"powers", "grade", "grades", "evidence", "null", "control", "controls", "accuracy"}
    | {"did nothing", "knew the defense", "knew each defense", "nothing to find"}
    | {"nothing is to find", "undecided", "hash", "hashes", "advantage"}
)

_TAG: Final = re.compile(
    r"<!--.*?-->|<(?P<whole>svg|script|style)\b.*?</(?P=whole)>"
    r"|<(?P<end>/?)(?P<name>[a-zA-Z][a-zA-Z0-9]*)[^>]*>",
    re.DOTALL,
)


def prepare() -> None:
    """Make what every page is searched with."""
    _any()


def linked(page: str) -> str:
    """The page, in which the first word for each entry of its glossary leads to the entry.

    Only words of templates are linked: no value, heading, header of a table, command, link, button
    or picture.
    """
    entries = [one for one in glossary.ENTRIES if f'<dt id="{glossary.anchor(one)}">' in page]
    if not entries:
        return page
    head, start, rest = page.partition("<main")
    body, words, end = rest.partition(WORDS)
    return head + start + "".join(_linked(body, _Words(entries))) + words + end


class _Words:
    """The entries of a page, each of which is linked once."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._of = {
            spelling: entry
            for entry in entries
            for spelling in entry.spellings
            if spelling not in EVERYDAY
        }
        self._linked = set[Entry]()

    def link(self, text: str) -> str:
        """The text with a link for each entry that has none yet."""
        return _any().sub(self._at, text)

    def _at(self, found: re.Match[str]) -> str:
        entry = self._of.get(found[0].casefold())
        if entry is None or entry in self._linked:
            return found[0]
        self._linked.add(entry)
        return f'<a class="term" href="#{glossary.anchor(entry)}">{found[0]}</a>'


@cache
def _any() -> re.Pattern[str]:
    """Any spelling of any entry, the longest that fits."""
    every = {spelling for entry in glossary.ENTRIES for spelling in entry.spellings} - EVERYDAY
    forms = "|".join(map(re.escape, sorted(every, key=len, reverse=True)))
    return re.compile(rf"(?<!\w)(?:{forms})(?!\w)", re.IGNORECASE)


def _linked(body: str, words: _Words) -> Iterator[str]:
    """The pieces of a body: its tags as they are, and its words with links."""
    inside = list[str]()  # the open elements that decide, the innermost last
    depth = 0  # of values
    at = 0
    for tag in _TAG.finditer(body):
        text, depth = _piece(body[at : tag.start()], depth, words, inside)
        yield text
        yield tag[0]
        at = tag.end()
        name = (tag["name"] or "").lower()
        if name in LINKED or name in NOT_LINKED:
            _step(inside, name, is_end=bool(tag["end"]))
    yield body[at:]


def _step(inside: list[str], name: str, *, is_end: bool) -> None:
    if not is_end:
        inside.append(name)
    elif name in inside:
        while inside.pop() != name:
            pass


def _piece(text: str, depth: int, words: _Words, inside: Sequence[str]) -> tuple[str, int]:
    """A text between two tags with links in its own words, and how deep in values it ends."""
    may = bool(inside) and NOT_LINKED.isdisjoint(inside)
    if OPEN not in text and CLOSE not in text:
        own = may and depth == 0 and text.strip() != ""
        return (words.link(text) if own else text), depth
    parts = list[str]()
    for part in re.split(f"([{OPEN}{CLOSE}])", text):
        if part == OPEN:
            depth += 1
        elif part == CLOSE:
            depth -= 1
        elif may and depth == 0:
            part = words.link(part)
        parts.append(part)
    return "".join(parts), depth
