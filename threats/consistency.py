"""A design's own checks: ids are there once and lead somewhere, bounds can be met, powers fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from pydantic import JsonValue

from sim.evidence.metrics import METRICS, Metric
from sim.near import choice
from threats.powers import FITS

if TYPE_CHECKING:
    from threats.powers import AssetClass
    from threats.system import Component, Design

Place: TypeAlias = tuple[str | int, ...]  # keys and positions that lead to a value of a design
Bound: TypeAlias = Literal["at_most", "at_least", "loss_at_most"]
# parts of a configuration that a stack may set: those that ``sim.config.groups`` gives to a defense
PARTS: Final = ("aggregator", "steps", "server_optimizer", "secagg", "dp", "hardening")
UNDEFENDED: Final = "undefended"  # the stack that every design has
WHOLE_VERDICT: Final = "verdict"  # what a decision may be about, beside a row


class BrokenError(ValueError):
    """The finding of a check of a design; ``place`` begins where the checked value is."""

    def __init__(self, place: Place, value: object, expected: str) -> None:
        self.place = place
        self.value = value
        self.expected = expected
        super().__init__(expected)


def check_plain(place: Place, value: JsonValue) -> None:
    """Refuse what a configuration would resolve or call: references, and keys such as _target_."""
    if isinstance(value, str) and "${" in value:
        raise BrokenError(place, value, "expected a value without ${")
    if isinstance(value, list):
        for number, part in enumerate(value):
            check_plain((*place, number), part)
    if isinstance(value, dict):
        for key, part in value.items():
            if key.startswith("_") and key.endswith("_"):
                raise BrokenError(
                    (*place, key), "...", f"expected no key like {key}: Hydra acts on it"
                )
            check_plain((*place, key), part)


def metric_of(name: str, *more: str) -> Metric:
    """The metric of that name."""
    if name not in METRICS:
        raise BrokenError(("metric",), name, f"expected {choice(name, [*METRICS, *more])}")
    if METRICS[name].harm == "neither":
        raise BrokenError(("metric",), name, "expected a metric of which one direction is harm")
    return METRICS[name]


def check_bound(name: str, metric: Metric, over: str, bound: tuple[Bound, float]) -> None:
    """Refuse a bound on the side that is no harm, and one that all values meet or none can."""
    key, value = bound
    low, high = metric.range
    if key == "loss_at_most":
        if value >= high - low:
            raise BrokenError((key,), value, f"expected a loss of less than {high - low:g}")
        return
    if metric.harm != {"at_most": "higher", "at_least": "lower"}[key]:
        right = "at_least or loss_at_most" if metric.harm == "lower" else "at_most"
        raise BrokenError(
            (key,), value, f"expected {right}, because {metric.harm} is harm of {name}"
        )
    if over == "rate" and key == "at_most" and value <= low:
        raise BrokenError(
            (key,), value, "expected more than 0: no number of trials shows that a rate is 0"
        )
    if not (low <= value < high if key == "at_most" else low < value <= high):
        at_most = f"of at least {low:g} and less than {high:g}"
        at_least = f"of more than {low:g} and at most {high:g}"
        side = at_most if key == "at_most" else at_least
        raise BrokenError((key,), value, f"expected a value of {name} {side}")


_LISTS = ("legal", "assets", "zones", "components", "flows", "adversaries", "stacks", "acceptance")


def check_ids(found: Design) -> None:
    """Refuse an id that is there twice, upper and lower case alike, in whatever list."""
    first = {UNDEFENDED: "the stack that every design has", WHOLE_VERDICT: "a word of decisions"}
    for key in _LISTS:
        for number, one in enumerate(getattr(found, key)):
            if (other := first.get(one.id.lower())) is not None:
                raise BrokenError(
                    (key, number, "id"), one.id, f"expected another id: {other} has it already"
                )
            first[one.id.lower()] = f"{key}[{number}]"


def check_references(found: Design) -> None:
    """Refuse an id that leads to nothing."""
    known = {key: [one.id for one in getattr(found, key)] for key in _LISTS}
    for place, id_, lists in _references(found):
        ids = [one for key in lists for one in known[key]]
        if lists == ("stacks",):
            ids.append(UNDEFENDED)
        if id_ not in ids:
            expected = choice(id_, ids) if ids else "an id, and the design has none"
            raise BrokenError(place, id_, f"expected {expected} ({' or '.join(lists)})")


def _references(found: Design) -> Iterator[tuple[Place, str, tuple[str, ...]]]:
    """Every id that the design gives: where, which, and the lists in which it may be."""
    for n, component in enumerate(found.components):
        yield ("components", n, "zone"), component.zone, ("zones",)
        yield from _each(("components", n, "holds"), component.holds, "assets")
    for n, flow in enumerate(found.flows):
        yield ("flows", n, "from"), flow.from_, ("components",)
        yield ("flows", n, "to"), flow.to, ("components",)
        yield from _each(("flows", n, "carries"), flow.carries, "assets")
    for n, adversary in enumerate(found.adversaries):
        yield from _each(("adversaries", n, "at"), adversary.at, "components")
    for n, release in enumerate(found.releases):
        yield from _each(("releases", n, "to"), release.to, "adversaries", "components")
    for n, criterion in enumerate(found.acceptance):
        yield ("acceptance", n, "adversary"), criterion.adversary, ("adversaries",)
    yield ("declared",), found.declared, ("stacks",)


def _each(
    place: Place, ids: Sequence[str], *lists: str
) -> Iterator[tuple[Place, str, tuple[str, ...]]]:
    for number, id_ in enumerate(ids):
        if id_ in ids[:number]:
            raise BrokenError((*place, number), id_, "expected each id once")
        yield (*place, number), id_, lists


def check_powers(found: Design) -> None:
    """Refuse a power that nobody has at any of the components where its adversary is."""
    classes = {asset.id: asset.class_ for asset in found.assets}
    components = {one.id: one for one in found.components}
    for n, adversary in enumerate(found.adversaries):
        places = [components[id_] for id_ in adversary.at]
        for number, power in enumerate(adversary.powers):
            at = ("adversaries", n, "powers", number)
            if power in adversary.powers[:number]:
                raise BrokenError(at, power, "expected each power once")
            roles, held = FITS[power]
            if not any(one.role in roles or held & _classes(one, classes) for one in places):
                holder = f", or one that holds {' or '.join(sorted(held))}" if held else ""
                where = f"at a component of role {' or '.join(sorted(roles))}{holder}"
                raise BrokenError(at, power, f"expected its adversary {where}")


def _classes(component: Component, classes: Mapping[str, AssetClass]) -> set[AssetClass]:
    return {classes[id_] for id_ in component.holds}
