"""``wardround list``: the choices that there are, as plug-ins and configurations state them."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import yaml
from rich.table import Table
from rich.text import Text

from sim import titles
from sim.cli import printed
from sim.cli.screen import Screen, plain_table
from sim.config.choices import options
from sim.config.groups import STACK
from sim.config.settings import ORDERED
from sim.config.words import JSON
from sim.errors import InputError
from sim.plugins import CONF
from sim.study.facts import facts
from sim.types import Node
from threats.catalog import Threat
from threats.catalog import load as load_threats

CHOICES = "wardround.choices/1"  # the form of what --json prints
GROUPS = ("attack", "defense", *STACK, "consortium", "model", "threats")
IN_HEADING = ("kind", "knowledge")  # facts that stand beside the name
INDENT = 2  # columns before a line's label
LABEL = 9  # columns of the label
NARROWEST = 10  # columns that are left for a line's text, however narrow the terminal is
PLURALS = {f"{group}s": group for group in GROUPS}
PLURALS |= {"consortia": "consortium", "threat": "threats"}
USAGE = f"""\
wardround list           everything there is to choose from
wardround list GROUP...  of these groups only: {", ".join(GROUPS)}
wardround list WORD...   choices with the word in name or description, as in: wardround list krum
  --json                 the same as one JSON object
"""


def show(words: Sequence[str]) -> None:
    """Print the choices of each word: of a group, or those with the word; all without a word.

    Raises ``InputError`` for a word that is neither a group nor occurs anywhere, before anything is
    printed.
    """
    screen = Screen()
    if "--help" in words or "-h" in words:
        screen.print(USAGE, end="", soft_wrap=True)
        return
    asked = [PLURALS.get(word, word) for word in words if word != JSON]
    parts = [(word, _chosen(word)) for word in asked]
    if len(asked) < len(words):
        found = [chosen for _, chosen in parts] or [_all(group) for group in GROUPS]
        printed.show(_described(found))
        return
    for word, chosen in parts or [(group, _all(group)) for group in GROUPS]:
        for group, names in chosen.items():
            if group in ("defense", "threats"):
                screen.print(_presets(names) if group == "defense" else _threats(names))
            else:
                for line in _plugins(group, names, screen.width):
                    screen.print(line, soft_wrap=True)
        if word not in GROUPS:
            screen.print(f"{sum(map(len, chosen.values()))} choices with {word!r}")


def _described(found: Sequence[Mapping[str, list[str]]]) -> Node:
    """Choices as plain values, by group and name; docs/json.md sketches them."""
    values: dict[str, Node] = {}
    for chosen in found:
        for group, names in chosen.items():
            values.setdefault(group, {}).update({name: _facts(group, name) for name in names})
    return {"schema": CHOICES, "groups": values}


def _facts(group: str, name: str) -> Node:
    """What is known of one choice, by its label."""
    if group == "defense":
        return {"stands for": stands_for(name)}
    if group == "threats":
        threat = next(one for one in _known_threats() if one.id == name)
        status = threat.untested.status
        return {"threat": threat.name, "attacks": list(threat.attacks), "when not run": status}
    return dict(facts(group, name))


def _chosen(word: str) -> dict[str, list[str]]:
    """Choices by group: all of a group, or those in which the word occurs."""
    if word in GROUPS:
        return _all(word)
    found = {
        group: [name for name in _names(group) if _occurs(word, group, name)] for group in GROUPS
    }
    found = {group: names for group, names in found.items() if names}
    if not found or not word.strip():
        names = dict.fromkeys(name for group in GROUPS for name in _names(group))
        near = difflib.get_close_matches(word, [*GROUPS, *PLURALS, *names], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        expected = f"expected one of {', '.join(GROUPS)}, or a word that occurs in a choice{hint}"
        raise InputError("list", word, expected)
    return found


def _all(group: str) -> dict[str, list[str]]:
    return {group: _names(group)}


def _names(group: str) -> list[str]:
    return [threat.id for threat in _known_threats()] if group == "threats" else options(group)


def _occurs(word: str, group: str, name: str) -> bool:
    """Whether ``word`` occurs in what is shown of a choice, upper and lower case alike."""
    if group == "threats":
        shown = next(_threat_row(threat) for threat in _known_threats() if threat.id == name)
    elif group == "defense":
        shown = (name, titles.defense(name), stands_for(name))
    else:
        shown = (name, *facts(group, name).values())
    return word.casefold() in " ".join(shown).casefold()


def _plugins(group: str, names: Sequence[str], width: int) -> Iterator[Text]:
    """A heading, then each choice's name and labeled lines, none longer than ``width``."""
    key = f"{group}.NAME" if group in ORDERED else group
    yield Text.assemble((group, "bold"), f"  (set a value with {key}.KEY=VALUE)")
    room = max(NARROWEST, width - INDENT - LABEL)
    for name in names:
        known = dict(facts(group, name))
        title = known.pop("title", name)
        named = Text.assemble((name, "bold"), "" if title == name else f"  {title}")
        kinds = "".join(f"  {label}: {known.pop(label)}" for label in IN_HEADING if label in known)
        if named.cell_len + len(kinds) <= width:
            yield named.append(kinds)
        else:
            yield from (named, Text(kinds))
        for label, text in known.items():
            lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
            for place, line in enumerate(lines):
                heading = f"{'' if place else label:{LABEL}}"
                yield Text.assemble(" " * INDENT, (heading, "dim"), line)


def _presets(names: Sequence[str]) -> Table:
    table = plain_table("defense", ("name", "plain name", "stands for"))
    for name in names:
        table.add_row(name, titles.defense(name), stands_for(name))
    return table


def stands_for(name: str) -> str:
    """The parts of a preset, as they are chosen on the command line."""
    node = yaml.safe_load((CONF / "defense" / f"{name}.yaml").read_text(encoding="utf-8"))
    parts = [
        f"{key.removeprefix('override /')}={value}".replace("'", "")
        for item in node.get("defaults", [])
        for key, value in item.items()
    ]
    return " ".join(parts) or "plain mean"


@cache
def _known_threats() -> tuple[Threat, ...]:
    return tuple(load_threats().threats)


def _threats(ids: Sequence[str]) -> Table:
    table = plain_table("threats", ("id", "threat", "attacks", "when not run"))
    for threat in _known_threats():
        if threat.id in ids:
            table.add_row(*_threat_row(threat))
    return table


def _threat_row(threat: Threat) -> tuple[str, ...]:
    status = threat.untested.status.replace("_", " ")
    return threat.id, threat.name, ", ".join(threat.attacks), status
