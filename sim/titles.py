"""Plain names: what people call the choices of a configuration group, and what each choice does.

They stand in two comments at the head of a choice's file, before any value::

    # title: sign flipping
    # plain: Hostile hospitals send their honest updates turned around and lengthened.

A preset of a defense may leave them out: its plain name is then made of those of its parts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

import yaml

from sim.errors import cut
from sim.plugins import CONF
from sim.types import Node

JOINT: Final = "+"  # between names that stand for one together
BESIDE: Final = " + "  # between their plain names
JOINTS: Final = ("and", "with", "plus", "then")  # words that stand between names as well
FIELDS: Final = "fields.yaml"  # beside the data sets
LONGEST: Final = 60  # characters of a title
MOST: Final = 300  # characters of a sentence
PARTS: Final = ("steps", "aggregator", "secagg", "dp", "server_optimizer", "hardening")
GROUPS: Final = ("attack", "defense", *PARTS, "consortium", "model")
HEAD: Final = re.compile(r"# (title|plain): (.*\S)")
# Other letters that look like those of ASCII (confusables.txt of Unicode's TR 39)
LATIN: Final = {
    "SMALL LETTER DOTLESS I": "i", "SMALL LETTER ALPHA": "a", "SMALL LETTER SCRIPT G": "g",
    "SMALL LETTER DOTLESS J": "j", "SMALL LETTER IOTA": "i",
    **{f"LETTER SMALL CAPITAL {key}": key.lower() for key in "ABCDEGHIJKLMNOPRTUVWYZ"},
}  # fmt: skip
CYRILLIC: Final = {
    "A": "a", "VE": "b", "IE": "e", "DZE": "s", "BYELORUSSIAN-UKRAINIAN I": "i", "JE": "j",
    "KA": "k", "EM": "m", "EN": "h", "O": "o", "ER": "p", "ES": "c", "TE": "t", "U": "y",
    "HA": "x", "SHHA": "h", "QA": "q", "WE": "w", "KOMI DE": "d", "STRAIGHT U": "y",
}  # fmt: skip
GREEK: Final = {
    "ALPHA": "a", "BETA": "b", "EPSILON": "e", "ZETA": "z", "ETA": "h", "IOTA": "i", "KAPPA": "k",
    "MU": "m", "NU": "n", "OMICRON": "o", "RHO": "p", "TAU": "t", "UPSILON": "y", "CHI": "x",
}  # fmt: skip
LOOKS_LIKE: Final = {
    **{
        ord(unicodedata.lookup(f"CYRILLIC SMALL LETTER {key}")): sign
        for key, sign in CYRILLIC.items()
    },
    **{ord(unicodedata.lookup(f"GREEK SMALL LETTER {key}")): sign for key, sign in GREEK.items()},
    **{ord(unicodedata.lookup(f"LATIN {key}")): sign for key, sign in LATIN.items()},
}
ALIKE: Final = str.maketrans("01i", "oll")  # signs of ASCII that fonts hardly tell apart
# Scripts that are written within one word, as the names of their letters begin
EAST_ASIAN: Final = ("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "BOPOMOFO", "HANGUL")


@dataclass(frozen=True)
class Title:
    """The name of a choice for use within a sentence, and one sentence on what it does.

    >>> Title("sign flipping", "Hostile hospitals send their updates turned around.").title
    'sign flipping'
    """

    title: str
    plain: str


Titles = Mapping[str, Mapping[str, Title]]  # by group and name
_NONE: Final[Titles] = {}
_MORE: ContextVar[Titles] = ContextVar("titles of choices of the user", default=_NONE)


def prepare() -> None:
    """Read the titles of the project's own choices."""
    _taken()


def attack(name: str) -> str:
    """The plain name of an attack, or of several that run together; a name without one stays.

    >>> attack("backdoor+model_replacement")
    'backdoor + model replacement'
    """
    return _joined("attack", name)


def defense(name: str) -> str:
    """The plain name of a defense, made of those of its parts; a name without one stays.

    >>> defense("secagg+dp_record")
    'secure aggregation + record-level DP'
    """
    return _joined("defense", name)


def attack_first(name: str) -> str:
    """The plain name of an attack as the first word of a sentence; a typed name stays as it is."""
    return _first("attack", name)


def defense_first(name: str) -> str:
    """The plain name of a defense as the first word of a sentence; a typed name stays as it is."""
    return _first("defense", name)


def field(source: str, name: str) -> Title | None:
    """The title of a record's field in the published data set of this source; None in others.

    >>> field("made for a test", "cp") is None
    True
    """
    return _fields().get(source, {}).get(name)


def explained(group: str, name: str) -> dict[str, Title]:
    """The title of each part of an attack or a defense that has one, by the part's name."""
    found = {part: of(group, part) for part in name.split(JOINT)}
    return {part: title for part, title in found.items() if title is not None}


def of(group: str, name: str) -> Title | None:
    """The title of one choice; None where its file states none, and where there is no such file.

    A part of a stack counts as a defense, by its name alone or as in ``dp=record``.
    """
    key, _, chosen = name.partition("=")
    if chosen and group == "defense" and key in PARTS:
        return of(key, chosen)
    places = (group, *PARTS) if group == "defense" else (group,)
    found = (of_one.get(name) for place in places for of_one in _tables(place))
    return next((title for title in found if title is not None), None)


def of_user(folder: Path, names: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Node]]:
    """The titles that a user's folder of configurations adds, in the form of a manifest.

    ``names``: those of attacks and of defenses, by group; titles of others are left out.
    """
    parts = {
        group: {part for name in listed for part in name.split(JOINT) if not of(group, part)}
        for group, listed in names.items()
    }
    with known({group: _in(folder, group) for group in ("attack", "defense", *PARTS)}):
        return {
            group: {name: asdict(title) for name in sorted(lacking) if (title := of(group, name))}
            for group, lacking in parts.items()
        }


def posing(title: str) -> str | None:
    """The reason why somebody's title could be taken for one of the project, or None.

    It looks like a title or a name of a choice of the project, or like several of them that work
    together, or mixes scripts within a word.

    >>> posing("K-rum"), posing("krum & median"), posing("trimean")
    ("looks like 'Krum'", "looks like 'Krum + median'", None)
    """
    if (ours := _taken().get(_letters(title)) or _combined(title)) is not None:
        return f"looks like {cut(ours)!r}"
    mixed = next(filter(_is_mixed, re.findall(r"\w+", unicodedata.normalize("NFKC", title))), None)
    return None if mixed is None else f"mixes scripts within the word {cut(mixed)!a}"


def stored(node: object) -> dict[str, dict[str, Title]]:
    """Titles in the form of a manifest, whoever wrote it; anything else in it is left out."""
    groups = node if isinstance(node, dict) else {}
    return {
        str(group): {
            str(name): Title(one["title"][:LONGEST], one["plain"][:MOST])
            for name, one in titles.items()
            if isinstance(one, dict)
            and all(isinstance(one.get(key), str) and one[key] for key in ("title", "plain"))
        }
        for group, titles in groups.items()
        if isinstance(titles, dict)
    }


@contextmanager
def known(more: Titles) -> Iterator[None]:
    """In this block, choices of the user have these titles; those of the project stay.

    A title that could be taken for one of the project (see ``posing``) is left out.
    """
    others = {
        group: {name: one for name, one in titles.items() if posing(one.title) is None}
        for group, titles in more.items()
    }
    before = _MORE.set(others)
    try:
        yield
    finally:
        _MORE.reset(before)


def _first(group: str, name: str) -> str:
    title = _joined(group, name)
    return title[:1].upper() + title[1:] if explained(group, name) else title


def _joined(group: str, name: str) -> str:
    found = [(part, of(group, part)) for part in name.split(JOINT)]
    if all(title is None for _, title in found):
        return name
    return BESIDE.join(part if title is None else title.title for part, title in found)


def _tables(group: str) -> tuple[Mapping[str, Title], ...]:
    return _ours(group), _MORE.get().get(group, {})


@cache
def _taken() -> dict[str, str]:
    """The titles and the names of all of the project's own choices, by ``_letters``."""
    found = [(one.title, key) for group in GROUPS for key, one in _ours(group).items()]
    return {_letters(text): text for both in found for text in reversed(both)}


def _combined(title: str) -> str | None:
    """The titles of the project's choices that somebody's title consists of; None of others."""
    words = [_letters(word) for word in re.findall(r"\w+", unicodedata.normalize("NFKD", title))]
    found: list[tuple[str, ...] | None] = [()]  # of the first words, by how many they are
    for end in range(1, len(words) + 1):
        known = (
            (*before, ours)
            for start in range(end)
            if (before := found[start]) is not None
            and (ours := _taken().get("".join(words[start:end]))) is not None
        )
        joined = found[-1] if words[end - 1] in _joints() else None
        found.append(next(known, joined))
    last = found[-1]
    return BESIDE.join(last) if last else None


@cache
def _joints() -> frozenset[str]:
    return frozenset(("", *map(_letters, JOINTS)))


def _letters(title: str) -> str:
    """A title without what a reader hardly sees: case, spaces, signs, forms of letters, and
    letters that look like those of ASCII.
    """
    plain = unicodedata.normalize("NFKD", title).casefold().translate(LOOKS_LIKE).translate(ALIKE)
    return "".join(filter(str.isalnum, plain)).replace("rn", "m")


def _is_mixed(word: str) -> bool:
    """Whether the letters of a word are of several scripts that no language writes together."""
    scripts = {unicodedata.name(sign, "").partition(" ")[0] for sign in word if sign.isalpha()}
    return len(scripts - {*EAST_ASIAN}) > 1


@cache
def _fields() -> Mapping[str, Mapping[str, Title]]:
    """The titles of fields, by the source of a data set and by their names."""
    text = (resources.files(__package__) / "datasets" / "data" / FIELDS).read_text("utf-8")
    return {
        str(one["source"]): {name: Title(**title) for name, title in one["fields"].items()}
        for one in yaml.safe_load(text)
    }


@cache
def _ours(group: str) -> dict[str, Title]:
    """The titles of the project's own choices of a group."""
    return _in(CONF, group)


def _in(folder: Path, group: str) -> dict[str, Title]:
    """The titles that the files of a group state, or that follow from the parts of a preset."""
    paths = sorted((folder / group).glob("*.yaml"))
    texts = {path.stem: path.read_text(encoding="utf-8", errors="replace") for path in paths}
    found = {name: title for name, text in texts.items() if (title := stated(text))}
    if group != "defense":
        return found
    own = {part: _in(folder, part) for part in PARTS}
    made = {name: _of_parts(text, own) for name, text in texts.items() if name not in found}
    return found | {name: title for name, title in made.items() if title is not None}


def stated(text: str) -> Title | None:
    """The title at the head of a file's text; None where one of the two comments is not there."""
    head = dict[str, str]()
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            break
        if found := HEAD.fullmatch(line):
            head.setdefault(found[1], found[2])
    if head.keys() != {"title", "plain"}:
        return None
    return Title(head["title"][:LONGEST], head["plain"][:MOST])


def _of_parts(text: str, own: Titles) -> Title | None:
    """The title of a preset, of those of the parts that it chooses; None if one of them has none.

    ``own``: the titles of parts in the folder of the preset.
    """
    node: Any = yaml.safe_load(text)
    listed = node.get("defaults") if isinstance(node, dict) else None
    chosen = [
        (str(key).removeprefix("override /"), str(name))
        for item in (listed if isinstance(listed, list) else [])
        if isinstance(item, dict)
        for key, names in item.items()
        for name in (names if isinstance(names, list) else [names])
    ]
    found = [own.get(group, {}).get(name) or _ours(group).get(name) for group, name in chosen]
    titles = [title for title in found if title is not None]
    if not titles or len(titles) < len(found):
        return None
    joined = BESIDE.join(title.title for title in titles)
    return Title(joined[:LONGEST], " ".join(title.plain for title in titles)[:MOST])
