"""The command that repeats one run, from the configuration that its evidence states.

Choices are named where the project offers them, and every value that differs from its choice is a
word of its own. So the command needs no other file, whichever command made the run.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Final

import yaml
from pydantic import JsonValue

from sim.config.groups import OF_THE_RUN, STACK, canonical
from sim.plugins import CONF, SELF
from sim.spelling import written
from sim.types import Node

NONE: Final = "none"
PLAIN: Final = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)  # a text that needs no quotes
CONSTANTS: Final = ("null", "true", "false", "nan", "inf")  # names that are no texts
# groups with the same keys in every run, and the file of conf/ with their usual values
FIXED: Final[Mapping[str, str]] = {
    "training": "training/default",
    "adversary": "adversary/default",
    "server": "config",
    "policy": "config",
    "metrics": "config",
    "report": "config",
}
PART: Final = re.compile(rf"(?<!\+)\+(?=[+~]*(?:{'|'.join(STACK)})\b)")
OF_ADVERSARY: Final = f"${{adversary.{OF_THE_RUN}}}"


def command(config: Node, config_dir: str | None = None) -> str:
    """The command line that repeats the run with this configuration.

    ``config_dir``: the folder of choices of the user's own that the run was made with.
    """
    folder = [] if config_dir is None else ["--config-dir", config_dir]
    return shlex.join(["wardround", "run", *folder, *words(config)])


def words(config: Node) -> list[str]:
    """The overrides of ``wardround run`` that give this configuration; the seed comes last."""
    return [
        *_chosen("consortium", config),
        *_chosen("model", config),
        *_fixed(config),
        *_engine(config),
        *_attacks(config),
        *_defense(config),
        *(f"{key}={_value(config[key])}" for key in ("seed",) if key in config),
    ]


def _chosen(group: str, config: Node) -> Iterator[str]:
    """The option of a group that is nearest to the node, and the values that differ from it."""
    node = config.get(group)
    if not node:
        return
    known = _options(group)
    alike = [name for name, one in known.items() if one.get(SELF) == node.get(SELF)] or [*known]
    found = {name: list(_differing(group, node, known[name])) for name in alike}
    name = min(alike, key=lambda one: len(found[one]))
    yield f"{group}={name}"
    yield from found[name]


def _fixed(config: Node) -> Iterator[str]:
    for group, file in FIXED.items():
        usual = _file(file)
        usual = usual[group] if file == "config" else usual
        node = config.get(group) or {}
        for key, value in node.items():
            of_data = group == "adversary" and key == OF_THE_RUN
            if of_data or key not in usual or canonical(value) != canonical(usual[key]):
                yield f"{group}.{key}={_value(value)}"


def _engine(config: Node) -> Iterator[str]:
    """The engine, the device and packages of the user's own."""
    if (engine := (config.get("engine") or {}).get("name", "local")) != "local":
        yield f"engine={engine}"
    if (device := config.get("device", "cpu")) != "cpu":
        yield f"device={device}"
    if packages := config.get("plugins"):
        yield f"plugins=[{','.join(packages)}]"


def _attacks(config: Node) -> Iterator[str]:
    attacks = config.get("attack") or ()
    yield f"attack=[{','.join(name for name, _ in attacks) or NONE}]"
    known = _options("attack")
    for name, node in attacks:
        yield from _differing(f"attack.{name}", node, known.get(name, {}))


def _defense(config: Node) -> Iterator[str]:
    """The preset, the parts that were put in place of its own, and values that differ.

    The name of a defense in tables holds these parts as they were given.
    """
    if "defense" not in config:
        return
    preset = config["defense"]["name"]
    yield f"defense={preset}"
    more = str(config.get("label", preset)).removeprefix(preset)
    yield from (word for word in PART.split(more) if word)
    n_hostile = (config.get("adversary") or {}).get(OF_THE_RUN)
    for group in STACK:
        for place, node in _nodes(group, config.get(group)):
            alike = _alike(group, node, n_hostile)
            for key, value in node.items():
                usual = [canonical(one[key]) if key in one else None for one in alike]
                if key != SELF and (not alike or set(usual) != {canonical(value)}):
                    added = "" if alike and None not in usual else "++"
                    yield f"{added}{place}.{key}={_value(value)}"


def _nodes(group: str, value: JsonValue) -> Iterator[tuple[str, Node]]:
    """The nodes of plug-ins in a group of a defense, with their keys."""
    if isinstance(value, list):
        pairs = [(str(one[0]), one[1]) for one in value if isinstance(one, list)]
    elif isinstance(value, dict) and SELF not in value:
        pairs = list(value.items())
    else:
        pairs = [("", value)]
    for name, node in pairs:
        if isinstance(node, dict):
            yield f"{group}.{name}".removesuffix("."), node


def _alike(group: str, node: Node, n_hostile: JsonValue) -> list[Node]:
    """The options of a group that have the class of the node, for so many hostile hospitals."""
    found = [one for one in _options(group).values() if one.get(SELF) == node.get(SELF)]
    return [
        {key: n_hostile if value == OF_ADVERSARY else value for key, value in one.items()}
        for one in found
    ]


def _differing(place: str, node: Node, usual: Node) -> Iterator[str]:
    for key, value in node.items():
        if key not in usual:
            yield f"++{place}.{key}={_value(value)}"
        elif canonical(value) != canonical(usual[key]):
            yield f"{place}.{key}={_value(value)}"
    yield from (f"~{place}.{key}" for key in usual if SELF in node and key not in node)


def _value(value: JsonValue) -> str:
    """A value as a word has it; a plain name without quotes."""
    if isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in CONSTANTS:
        return value
    if isinstance(value, list):
        return f"[{','.join(map(_value, value))}]"
    return written(value)


@cache
def _options(group: str) -> Mapping[str, Node]:
    """The options of a configuration group by name, without those that other options make up."""
    found = {path.stem: _file(f"{group}/{path.stem}") for path in (CONF / group).glob("*.yaml")}
    whole = {name: one.get(group, one) or {} for name, one in sorted(found.items())}
    return {name: one for name, one in whole.items() if "defaults" not in one}


@cache
def _file(name: str) -> Node:
    found = yaml.load((CONF / f"{name}.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    made: Node = json.loads(json.dumps(found or {}))
    return made


def config_dir_of(line: object) -> str | None:
    """The folder of choices of the user's own in a command line; None without one."""
    try:
        given: Sequence[str] = shlex.split(line) if isinstance(line, str) else []
    except ValueError:  # somebody else wrote it
        return None
    places = [place for place, word in enumerate(given) if word == "--config-dir"]
    return given[places[0] + 1] if places and len(given) > places[0] + 1 else None
