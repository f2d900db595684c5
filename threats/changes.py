"""Changes of a design that may help it, each a single one, in the order of what they cost.

A consortium changes least where its code stays as it is, then where one number or one rule is
another; more machines cost more than that, and another member most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Final, Literal

import yaml
from pydantic import JsonValue

from sim.plugins import CONF
from sim.types import Node
from threats.catalog import Fact
from threats.consistency import PARTS, UNDEFENDED
from threats.references import options
from threats.system import Choice, Design, Federation, Stack

Cost = Literal["nothing", "number", "rule", "hardware", "members"]
COSTS: Final[Mapping[Cost, str]] = {
    "nothing": "nothing in code",
    "number": "one number",
    "rule": "one rule",
    "hardware": "more computing",
    "members": "one hospital more",
}
RULES: Final = frozenset({"aggregator", "steps", "server_optimizer"})
FACTORS: Final = (0.5, 2.0, 0.25, 4.0)
RADII: Final = (1.0, 0.3, 0.1)  # of a clip whose radius follows the median
NONE: Final = "none"


class Change(Fact):
    """One change of a design, in words, and the design after it."""

    cost: Cost
    text: str
    design: Design


def changes(design: Design, config: Node) -> list[Change]:
    """The changes to try, cheapest first.

    ``config``: the recorded configuration of a run of the declared stack.
    """
    found = [
        *_other_stacks(design),
        *_numbers(design, config),
        *_rules(design),
        *_protections(design),
        *_members(design, config),
    ]
    order = list(COSTS)
    return sorted(found, key=lambda change: order.index(change.cost))


def _other_stacks(design: Design) -> Iterator[Change]:
    for stack in design.stacks:
        if stack.id != design.declared:
            changed = design.model_copy(update={"declared": stack.id})
            yield Change(cost="nothing", text=f"declare the stack {stack.id}", design=changed)


def _numbers(design: Design, config: Node) -> Iterator[Change]:
    training = config["training"]
    for value in _scaled(training["batch_size"]):
        yield _trained(design, "batch_size", value)
    if training["local_steps"] is None:
        yield _trained(design, "local_steps", 1)
        yield _trained(design, "local_epochs", 2 * training["local_epochs"])
    else:
        for value in _scaled(training["local_steps"]):
            yield _trained(design, "local_steps", value)
    if (config["dp"] or {}).get("target_epsilon") is not None:
        measured = any(criterion.metric == "epsilon" for criterion in design.acceptance)
        for factor in FACTORS:
            if measured or factor < 1:  # less protection only where a criterion asks how much
                epsilon = config["dp"]["target_epsilon"] * factor
                yield _valued(design, "dp.target_epsilon", epsilon)
    for name, node in config["steps"]:
        if "max_norm" in node:
            radius = node["max_norm"]
            radii = RADII if radius is None else tuple(radius * factor for factor in FACTORS)
            for shorter in radii:
                yield _valued(design, f"steps.{name}.max_norm", shorter)


def _scaled(value: int) -> list[int]:
    found = dict.fromkeys(max(1, round(value * factor)) for factor in FACTORS)
    return [one for one in found if one != value]


def _trained(design: Design, key: str, value: int) -> Change:
    federation = design.federation
    training: dict[str, JsonValue] = {**federation.training, key: value}
    if key == "local_epochs":
        training.pop("local_steps", None)
    changed = federation.model_copy(update={"training": training})
    return _federated("number", f"training.{key}={value}", design, changed)


def _federated(cost: Cost, text: str, design: Design, federation: Federation) -> Change:
    changed = design.model_copy(update={"federation": federation})
    return Change(cost=cost, text=text, design=changed)


def _valued(design: Design, key: str, value: float) -> Change:
    stack = design.stack(design.declared)
    values = {**stack.values, key: value}
    return _stacked("number", f"{key}={value:g}", design, stack.defense, values)


def _rules(design: Design) -> Iterator[Change]:
    """Another rule in place of the declared one, and clipping before it."""
    stack = design.stack(design.declared)
    parts = [part for part in stack.defense.split("+") if part != NONE]
    others = [part for part in parts if not filled(part) <= RULES]
    values = {
        key: value for key, value in stack.values.items() if key.partition(".")[0] not in RULES
    }
    for preset in options("defense"):
        if filled(preset) and filled(preset) <= RULES:
            defense = "+".join([preset, *others])
            if defense != stack.defense:
                yield _stacked("rule", f"the rule {preset}", design, defense, values)
    if others and others != parts:
        yield _stacked("rule", "the plain mean", design, "+".join(others), values)
    if parts and not any("steps" in filled(part) for part in parts):
        clipped = "+".join([*parts, "norm_bounding"])
        yield _stacked("rule", "clipping before it", design, clipped, stack.values)


def _protections(design: Design) -> Iterator[Change]:
    """Secure aggregation or record-level differential privacy beside what there is."""
    stack = design.stack(design.declared)
    parts = [part for part in stack.defense.split("+") if part != NONE]
    has = frozenset[str]().union(*(filled(part) for part in parts))
    for preset in options("defense"):
        groups = filled(preset)
        if groups and not groups & RULES and not groups & has:
            defense = "+".join([*parts, preset])
            yield _stacked("hardware", f"{preset} beside it", design, defense, stack.values)


def _stacked(
    cost: Cost, text: str, design: Design, defense: str, values: Mapping[str, JsonValue]
) -> Change:
    """The design with a stack of its own in place of the declared one."""
    declared = design.stack(design.declared)
    taken = {one.id.lower() for one in design.stacks} | {UNDEFENDED}
    id_ = next(f"changed-{n}" for n in range(len(taken) + 1) if f"changed-{n}" not in taken)
    stack = Stack(id=id_, defense=defense, values=dict(values), controls=declared.controls)
    stacks = (*design.stacks, stack)
    changed = design.model_copy(update={"stacks": stacks, "declared": id_})
    return Change(cost=cost, text=text, design=changed)


def _members(design: Design, config: Node) -> Iterator[Change]:
    """One hospital more, where the data set is shared out among as many as one asks for."""
    chosen = design.federation.consortium
    node = config["consortium"]
    shared_out = node.get("partition", "always") is not None  # own data may name their hospitals
    if shared_out and isinstance(node.get("n_hospitals"), int):
        yield _joined(design, chosen, "n_hospitals", node["n_hospitals"] + 1, "one hospital more")
    if isinstance(node.get("sites"), Mapping):
        for site, number in node["sites"].items():
            sites = {**node["sites"], site: number + 1}
            yield _joined(design, chosen, "sites", sites, f"one hospital more of {site}")


def _joined(design: Design, chosen: Choice, key: str, value: JsonValue, text: str) -> Change:
    consortium = Choice({chosen.name: {**chosen.values, key: value}})
    changed = design.federation.model_copy(update={"consortium": consortium})
    return _federated("members", text, design, changed)


@cache
def filled(name: str) -> frozenset[str]:
    """The groups of a defense that a preset, or a single part of one, fills."""
    path = CONF / "defense" / f"{name}.yaml"
    if not path.is_file():
        return frozenset(group for group in PARTS if name in options(group))
    node = yaml.safe_load(path.read_text(encoding="utf-8"))
    found: Sequence[Mapping[str, object]] = node.get("defaults", ())
    return frozenset(key.removeprefix("override /") for one in found for key in one)
