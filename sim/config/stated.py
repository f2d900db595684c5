"""The keys that the files in ``conf/`` state, with their defaults and the comments beside them."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from sim.plugins import CONF

LINE: Final = re.compile(
    r"^(?P<indent> *)(?P<key>[a-z_0-9]+):(?P<value>(?: [^#]*)?)(?:# (?P<text>.*))?$"
)
SKIPPED: Final = ("defaults", "hydra")


class Key(NamedTuple):
    """A key of a configuration, its default as it is written, and what it means."""

    name: str
    default: str
    meaning: str


def keys(file: str) -> list[Key]:
    """The keys to which a file of ``conf/`` gives a value, in their order.

    Those of Hydra, and the choices of groups, are left out.
    """
    found = list[Key]()
    above: list[tuple[int, str]] = []  # the mappings that a line stands in, by their indent
    skipped: int | None = None  # the indent of a mapping that is left out
    for line in (CONF / file).read_text(encoding="utf-8").splitlines():
        matched = LINE.match(line)
        if matched is None:
            continue
        key = matched["key"]
        indent = len(matched["indent"])
        if skipped is not None and indent > skipped:
            continue
        skipped = indent if key in SKIPPED else None
        if skipped is None:
            above = [(at, name) for at, name in above if at < indent]
            value = matched["value"].strip()
            name = ".".join([*(name for _, name in above), key])
            if value:
                found.append(Key(name, value, matched["text"] or ""))
            else:
                above.append((indent, key))
    return found
