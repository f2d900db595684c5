"""The threats that bear on each element of a design, and by which adversaries: powers decide.

What does not apply keeps its reason as a code, so that nobody has to guess why a row is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal

from threats import named
from threats.catalog import Alternatives, Catalog, Fact, Threat
from threats.powers import Place, Power
from threats.system import Adversary, Component, Design

ANYBODY: Final = "anybody"  # in a row's id: no adversary of the design is needed
FLOW: Final[Literal["flow"]] = "flow"

Kind = Literal["actor", "process", "store", "flow"]
# the letters of STRIDE that can happen to an element of each kind (STRIDE by element)
LETTERS: Final[Mapping[Kind, str]] = {
    "actor": "SR",
    "process": "STRIDE",
    "store": "TRID",
    "flow": "TID",
}

Code = Literal["powers", "place", "parties", "element"]


class Subject(Fact):
    """A threat, the element that it strikes, and the adversary who would do it.

    ``adversary``: ``ANYBODY`` where the threat needs none of the design. ``attacks``: those that
    the adversary has the powers for.
    """

    threat: str
    element: str
    adversary: str
    attacks: tuple[str, ...]


class Excluded(Fact):
    """A threat that does not apply to an adversary, or with ``ANYBODY`` to the design."""

    threat: str
    """The threat's id."""
    adversary: str
    """The adversary's id in the design, or ``anybody``."""
    code: Code
    """The reason: ``powers``, none of the alternatives that it takes is declared; ``place``, the
    adversary is at no element of the kind that it strikes; ``parties``, too few act together;
    ``element``, the design has no such element.
    """
    reason: str
    """The reason in words."""


def applicable(design: Design, catalog: Catalog) -> tuple[list[Subject], list[Excluded]]:
    """The threats that apply to a design, in the order of the catalog, and those that do not."""
    subjects: list[Subject] = []
    excluded: list[Excluded] = []
    for threat in catalog.threats:
        for found in _of_threat(threat, design, catalog):
            if isinstance(found, Subject):
                subjects.append(found)
            else:
                excluded.append(found)
    return subjects, excluded


def kind_of(design: Design, element: str) -> Kind:
    """The kind of an element of the diagram: of a component, or a flow. Raises ``KeyError``."""
    if any(flow.id == element for flow in design.flows):
        return FLOW
    return design.component(element).dfd


def within(powers: Alternatives, adversary: Adversary) -> bool:
    """Whether an adversary has declared all powers of one of the alternatives."""
    return any(set(needed) <= set(adversary.powers) for needed in powers)


def _of_threat(threat: Threat, design: Design, catalog: Catalog) -> Iterator[Subject | Excluded]:
    powers = catalog.powers_of(threat)
    if not powers:
        elements = [one.id for one in design.components if one.role in threat.where]
        for element in elements:
            yield Subject(threat=threat.id, element=element, adversary=ANYBODY, attacks=())
        if not elements:
            reason = f"the design has none of these: {_listed(threat.where)}"
            yield Excluded(threat=threat.id, adversary=ANYBODY, code="element", reason=reason)
        return
    for adversary in design.adversaries:
        yield from _of_adversary(threat, powers, adversary, design, catalog)


def _of_adversary(
    threat: Threat, powers: Alternatives, adversary: Adversary, design: Design, catalog: Catalog
) -> Iterator[Subject | Excluded]:
    elements = _elements(threat, adversary, design)
    refusal: tuple[Code, str] | None = None
    if not within(powers, adversary):
        ways = ", or to ".join(named.powers(one) for one in _least(powers))
        text = f"it takes the power to {ways}, and {adversary.id} does not declare that"
        refusal = "powers", text
    elif adversary.coalition_max < threat.parties:
        few = f"{adversary.id} declares at most {adversary.coalition_max} (coalition_max)"
        refusal = "parties", f"it takes {threat.parties} parties that act together, and {few}"
    elif not elements:
        strikes = f"it strikes {_listed(threat.where)}"
        refusal = "place", f"{strikes}, and {adversary.id} is at none of them"
    if refusal is not None:
        code, reason = refusal
        yield Excluded(threat=threat.id, adversary=adversary.id, code=code, reason=reason)
        return
    attacks = [name for name in threat.attacks if within(catalog.attack(name).powers, adversary)]
    for element in elements:
        yield Subject(
            threat=threat.id, element=element, adversary=adversary.id, attacks=tuple(attacks)
        )


def _elements(threat: Threat, adversary: Adversary, design: Design) -> list[str]:
    """Components of the first role of the threat at which the adversary is, or flows that it can
    touch: those between two zones.
    """
    places = [design.component(id_) for id_ in adversary.at]
    for role in threat.where:
        found = (
            [flow.id for flow in design.flows if _crosses(design, flow.from_, flow.to)]
            if role == FLOW
            else [one.id for one in places if one.role == role]
        )
        if found:
            return found
    return []


def _crosses(design: Design, start: str, end: str) -> bool:
    one: Component = design.component(start)
    return one.zone != design.component(end).zone


def _least(powers: Alternatives) -> list[tuple[Power, ...]]:
    """The alternatives that hold no other one, so that more is not asked for than is needed."""
    return [one for one in powers if not any(set(other) < set(one) for other in powers)]


def _listed(places: tuple[Place, ...]) -> str:
    return " or ".join(map(named.place, places))
