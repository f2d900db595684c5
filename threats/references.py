"""Names in a design of what is not part of it: threats and controls of the catalog, and choices of
the configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Final

import yaml
from pydantic import ValidationError

from sim.near import choice
from sim.plugins import CONF
from sim.training import Training
from sim.types import Node
from threats.catalog import Catalog
from threats.consistency import PARTS, Place
from threats.problems import Problem, worded
from threats.system import Choice, Design

OWN_DATA: Final = "csv"  # the consortium whose records are the owner's


def problem(design: Design, catalog: Catalog) -> Problem | None:
    """The first name of a design that leads to nothing; None if all lead somewhere."""
    return next(_problems(design, catalog), None)


def _problems(design: Design, catalog: Catalog) -> Iterator[Problem]:
    threats = [threat.id for threat in catalog.threats]
    controls = [entry.id for entry in catalog.taxonomies.mitigations.entries]
    yield from _of_choice("consortium", design.federation.consortium, (OWN_DATA,))
    yield from _of_choice("model", design.federation.model)
    yield from _of_training(design.federation.training)
    for n, stack in enumerate(design.stacks):
        for name in stack.defense.split("+"):
            yield from _unknown(("stacks", n, "defense"), name, defenses())
        for m, control in enumerate(stack.controls):
            yield from _unknown(("stacks", n, "controls", m, "id"), control.id, controls)
    for n, release in enumerate(design.releases):
        if release.control is not None:
            yield from _unknown(("releases", n, "control"), release.control, controls)
    for n, criterion in enumerate(design.acceptance):
        yield from _unknown(("acceptance", n, "threat"), criterion.threat, threats)


@cache
def options(group: str) -> tuple[str, ...]:
    """Names that a group of the configuration offers."""
    return tuple(sorted(path.stem for path in (CONF / group).glob("*.yaml")))


@cache
def defenses() -> tuple[str, ...]:
    """Names of which a stack's defense may be put together: presets first, then parts."""
    return tuple(dict.fromkeys(name for group in ("defense", *PARTS) for name in options(group)))


def _unknown(place: Place, name: str, known: Sequence[str]) -> Iterator[Problem]:
    if name not in known:
        yield Problem(place, name, f"expected {choice(name, known)}")


def _of_choice(group: str, chosen: Choice, more: Sequence[str] = ()) -> Iterator[Problem]:
    """An unknown choice of a group, and a value that its file of the configuration has not."""
    place = ("federation", group)
    yield from _unknown(place, chosen.name, tuple(dict.fromkeys((*options(group), *more))))
    if chosen.name in options(group):
        node = _node(group, chosen.name)
        known = [key for key in node.get(group, node) if key != "_target_"]
        for key, value in chosen.values.items():
            if key not in known:
                expected = f"unknown key; expected {choice(key, known)}" if known else "unknown key"
                yield Problem((*place, chosen.name, key), value, expected)


def _of_training(given: Mapping[str, object]) -> Iterator[Problem]:
    """An unknown value of training, and one that is no value of it."""
    for key, value in given.items():
        if key not in Training.model_fields:
            known = choice(key, list(Training.model_fields))
            yield Problem(("federation", "training", key), value, f"unknown key; expected {known}")
    try:
        Training.model_validate({**_node("training", "default"), **given})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        yield Problem(("federation", "training", *first["loc"]), first["input"], worded(first))


@cache
def _node(group: str, name: str) -> Node:
    """What the project's file of a choice holds."""
    found: Node = yaml.safe_load((CONF / group / f"{name}.yaml").read_text(encoding="utf-8"))
    return found
