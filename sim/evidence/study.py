"""Whether runs are of one study, by the parts of their configurations (``sim.config.groups``).

A folder takes runs of one study: what is shared is equal, and a name of an attack or a defense
stands for one thing only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from sim.config import groups
from sim.config.groups import OF_THE_RUN, canonical
from sim.errors import cut
from sim.types import Node

SHOWN: Final = 60  # characters of a value in a message

Scope = tuple[str, ...]
Difference = tuple[str, object, object]  # key, value held, value wanted


def scopes(config: Node) -> Iterator[tuple[Scope, Node]]:
    """The parts of a configuration that have to be equal wherever a folder has them.

    They are the study's part, each attack by its name, and the defense by its label.
    """
    adversary = dict(config.get("adversary", {}))
    n_hostile = adversary.pop(OF_THE_RUN, None)
    shared = groups.of(config, "study") | {"adversary": adversary}
    yield ("study",), shared
    for name, node in config.get("attack", ()):
        yield ("attack", name), {"attack": {name: _following(node, n_hostile)}}
    yield ("defense", str(config.get("label"))), _following(groups.of(config, "defense"), n_hostile)


def difference(held: Iterable[Node], wanted: Iterable[Node]) -> Difference | None:
    """The first key in which ``wanted`` configurations are of another study than those ``held``.

    None if there is none.
    """
    known: dict[Scope, Node] = {}
    for config in held:
        known.update(scopes(config))
    for config in wanted:
        for scope, value in scopes(config):
            if scope in known and canonical(known[scope]) != canonical(value):
                return _first(scope, known[scope], value)
    return None


def shown(value: object) -> str:
    """A value as a message repeats it."""
    return cut(value if isinstance(value, str) else json.dumps(value), SHOWN)


def _flat(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value by its dotted key; a pair of a name and a node counts as that key."""
    is_list = isinstance(node, list) and len(node) > 0
    if is_list and all(isinstance(item, list) and len(item) == 2 for item in node):
        node = {str(name): value for name, value in node}
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, node


def texts(config: Node) -> dict[str, str]:
    """Every value of a configuration as text, by its dotted key."""
    found = _flat(config)
    return {key: value if isinstance(value, str) else canonical(value) for key, value in found}


def _first(scope: Scope, one: Node, other: Node) -> Difference:
    left = dict(_flat(one))
    right = dict(_flat(other))
    for key in [*left, *right]:
        pair = left.get(key, "absent"), right.get(key, "absent")
        if canonical(pair[0]) != canonical(pair[1]):
            return key, *pair
    return ".".join(scope), "one order", "another order"


def _following(node: Any, n_hostile: object) -> Any:
    """The node without what follows the number of hostile hospitals."""
    if isinstance(node, Mapping):
        return {
            key: _following(value, n_hostile)
            for key, value in node.items()
            if not (key == OF_THE_RUN and value == n_hostile)
        }
    if isinstance(node, (list, tuple)):
        return [_following(item, n_hostile) for item in node]
    return node
