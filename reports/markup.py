"""The markup of every table, command and heading of a page, whoever wrote its template."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html import unescape

KEYS = ("attack", "defense", "hospital")  # what the bar of filters chooses by
CONTROLS = {"no attack": "none", "no defense": "none"}
ALL = ("", "\N{EN DASH}", "every hospital")  # what stands for no name of its own
LONGEST = 60  # signs of a name in the id of a row

# A place that has an id with its heading, a figure, the end of its caption, or a table.
_PLACE = re.compile(
    r'<(?:section|div)\b[^>]*?\sid="(?P<id>[^"]*)"[^>]*>(?P<heading>\s*<h[234]\b[^>]*>.*?(?=</h[234]>))?'
    r'|<figure\b[^>]*?\sid="(?P<figure>[^"]*)"|(?P<end></figcaption>)'
    r"|(?P<open>(?:<div class=\"wide\">\s*)?<table\b(?P<of>[^>]*)>)(?P<table>.*?)</table>",
    re.DOTALL,
)
_ROW = re.compile(r"<tr\b([^>]*)>(.*?)</tr>", re.DOTALL)
_CELL = re.compile(r"<(t[hd])\b([^>]*)>(.*?)</\1>", re.DOTALL)
_SMALL = re.compile(r'<span class="iv">.*?</span>|<svg\b.*?</svg>', re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_KEY = re.compile(r'\sdata-key="([^"]*)"')
_NUMBER = re.compile(r"[+\-\N{MINUS SIGN}]?(?:\d[\d,]*(?:\.\d+)?|\.\d+|\N{INFINITY})(?:e[+-]?\d+)?")
_OF = re.compile(r"\d+ of (\d+)\b")
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9]+")

UNITS = ("%", "ms", "s", "min", "h", "kB", "MB", "GB", "KiB", "MiB", "GiB", "dB")
# A space between a number and its unit in text: what follows it up to a tag is outside of tags.
_BEFORE_UNIT = re.compile(rf"(?<=\d) (?=(?:{'|'.join(UNITS)})(?!\w)[^<>]*(?:<|$))")
_AS_IT_IS = re.compile(
    r"(<!--.*?-->|<(?:svg|script|style|code|pre|textarea)\b.*?</(?:svg|script|style|code|pre|textarea)>)",
    re.DOTALL,
)


def dressed(page: str) -> str:
    """The page, each of whose tables has scopes, labels of its cells, an id and a link a row.

    A table is a region that the keyboard can scroll. Cells of columns of numbers have their value,
    and rows about an attack, a defense or a hospital have its name. A heading of a section links to
    the section.
    """
    taken = set(re.findall(r'\sid="([^"]*)"', page))
    place = "page"
    figure = ""

    def dress(found: re.Match[str]) -> str:
        nonlocal place, figure
        if found["table"] is not None:
            return _table(found, place, taken)
        if found["end"]:
            return _link(figure, "this figure") + found[0]
        if found["figure"] is not None:
            figure = found["figure"]
            return found[0]
        place = found["id"]
        return found[0] + (_link(place, "this part") if found["heading"] else "")

    return _PLACE.sub(dress, page)


def unbroken(page: str) -> str:
    """The page, in whose text no line ends between a number and its unit.

    Commands, typed names, scripts and pictures stay as they are, and so do attributes.
    """
    parts = _AS_IT_IS.split(page)
    parts[::2] = (_BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", part) for part in parts[::2])
    return "".join(parts)


def policy(script: str) -> str:
    """The content security policy of a page: its own script, styles and data, nothing else."""
    return (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:;"
        f" script-src {digest(script)}; base-uri 'none'; form-action 'none'"
    )


def digest(script: str) -> str:
    """The hash of a script as a content security policy names it."""
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"


def plain(markup: str) -> str:
    """The text of a piece of markup without small print and tags, still escaped."""
    text = _TAG.sub("", _SMALL.sub("", re.sub(r"<br\s*/?>", " ", markup)))
    return " ".join(text.replace('"', "&#34;").split())


def value(text: str) -> float | None:
    """The number by which a cell with this text is sorted; None where it states none.

    ``3 of 5`` is a share, ``under`` and ``over`` are just below and above their number.
    """
    found = _NUMBER.search(text)
    if found is None:
        return None
    digits = found[0].replace(",", "").replace("\N{MINUS SIGN}", "-")
    number = float(digits.replace("\N{INFINITY}", "inf"))
    if shared := _OF.match(text):
        of = float(shared[1])
        return number / of if of else None
    before = text[: found.start()].split()
    aside = {"under": 0.999, "over": 1.001}.get(before[-1], 1.0) if before else 1.0
    return number * aside


def _table(found: re.Match[str], place: str, taken: set[str]) -> str:
    name = _own(found["of"]) or _new(f"{place}-table", taken)
    head, closing, body = found["table"].rpartition("</thead>")
    caption, opening, head = head.partition("<thead>")
    if not closing:
        caption, opening, body = _split_caption(body)
    cells = [cell for row in _ROW.findall(head) for cell in _CELL.findall(row[1])]
    labels = [plain(content) for _, _, content in cells]
    numeric = [_has_class(attributes, "n") for _, attributes, _ in cells]
    head = _CELL.sub(_header, head)
    rows = _Rows(name, labels, numeric, taken)
    body = _ROW.sub(rows.row, body)
    title = plain(caption).split(". ")[0] or name.replace("-", " ")
    region = f'<div class="wide" tabindex="0" role="group" aria-label="{title}">'
    start = found["open"]
    opened = region + start[start.index("<table") :] if start.startswith("<div") else start
    attributes = "" if _own(found["of"]) else f' id="{name}"'
    opened = opened[:-1] + attributes + ">"
    return f"{opened}{caption}{opening}{head}{closing}{body}</table>"


def _split_caption(body: str) -> tuple[str, str, str]:
    caption, closing, rest = body.rpartition("</caption>")
    return caption + closing, "", rest


class _Rows:
    """The rows of the body of one table, dressed one after the other."""

    def __init__(self, table: str, labels: list[str], numeric: list[bool], taken: set[str]) -> None:
        self._table = table
        self._labels = labels
        self._numeric = numeric
        self._taken = taken
        self._kinds = [label.lower() if label.lower() in KEYS else "" for label in labels]

    def row(self, found: re.Match[str]) -> str:
        """One row with its id, its link, the names that it is about, and its cells."""
        attributes = found[1]
        cells = _CELL.findall(found[2])
        if not cells:
            return found[0]
        texts = [plain(content) for _, _, content in cells]
        typed = (_KEY.search(content) for _, _, content in cells)
        names = [key[1] if key else text for key, text in zip(typed, texts, strict=True)]
        own = _own(attributes)
        name = own or _new(self._id(names), self._taken)
        about = "".join(self._about(cells, texts, attributes))
        made = "".join(self._cells(cells, texts, _link(name, "this row")))
        given = "" if own else f' id="{name}"'
        return f"<tr{attributes}{given}{about}>{made}</tr>"

    def _id(self, texts: list[str]) -> str:
        n_names = 1
        while n_names < min(3, len(texts)) and not any(self._numeric[n_names : n_names + 1]):
            n_names += 1
        names = (_NOT_IN_ID.sub("_", unescape(text))[:LONGEST].strip("_") for text in texts)
        return "--".join([self._table.removesuffix("-table"), *list(names)[: min(2, n_names)]])

    def _about(
        self, cells: list[tuple[str, str, str]], texts: list[str], attributes: str
    ) -> Iterator[str]:
        for kind, (_, of, content), text in zip(self._kinds, cells, texts, strict=False):
            if kind and f"data-{kind}=" not in attributes:
                given = _KEY.search(of) or _KEY.search(content)
                shown = text.rstrip(" *\N{DAGGER}\N{DOUBLE DAGGER}")
                name = given[1] if given else CONTROLS.get(shown, shown)
                if name not in ALL:
                    yield f' data-{kind}="{name}"'

    def _cells(
        self, cells: list[tuple[str, str, str]], texts: list[str], link: str
    ) -> Iterator[str]:
        for place, (kind, attributes, content) in enumerate(cells):
            more = ""
            if place == 0:
                kind = "th"
                more = "" if "scope=" in attributes else ' scope="row"'
            elif place < len(self._labels):
                more = f' data-label="{self._labels[place]}"' if self._labels[place] else ""
                number = value(unescape(texts[place])) if self._numeric[place] else None
                if number is not None and "data-value=" not in attributes:
                    more += f' data-value="{number:.9g}"'
            yield f"<{kind}{attributes}{more}>{content}{'' if place else link}</{kind}>"


def _header(found: re.Match[str]) -> str:
    kind, attributes, content = found.groups()
    if kind == "th" and "scope=" not in attributes:
        attributes += ' scope="col"'
    if kind == "th" and not plain(content):
        return f"<td{found[2]}>{content}</td>"
    return f"<{kind}{attributes}>{content}</{kind}>"


def _link(place: str, what: str) -> str:
    return f'<a class="here" href="#{place}" aria-label="Link to {what}"></a>'


def _own(attributes: str) -> str:
    found = re.search(r'\sid="([^"]*)"', attributes)
    return found[1] if found else ""


def _has_class(attributes: str, name: str) -> bool:
    found = re.search(r'\sclass="?([^">]*)', attributes)
    return found is not None and name in found[1].split()


def _new(wanted: str, taken: set[str]) -> str:
    """The id that is wanted, with a number behind it where it is taken."""
    name = wanted
    number = 1
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    taken.add(name)
    return name
