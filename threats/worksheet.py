"""The worksheet of 45 CFR 164.402: technical inputs to its four factors, which people weigh.

A simulation shows what could be done, never that it was done: factor (iii) is not measurable by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from threats.applicability import ANYBODY, Subject
from threats.catalog import Catalog, Fact
from threats.statements import Statement, records_declared
from threats.system import Design

NOT_MEASURABLE: Final = "not measurable by simulation"
ENTITLED: Final = {"none": "nobody", "own": "its own patients", "all": "all patients"}
PRIVATE: Final = frozenset({"privacy", "confidentiality"})


class Factor(Fact):
    """One of the four factors, with what the assessment can contribute to it."""

    factor: Literal["i", "ii", "iii", "iv"]
    """The number of the factor in 45 CFR 164.402."""
    about: str
    """What the factor is about."""
    inputs: tuple[str, ...]
    """Sentences on what the assessment can contribute."""


class Worksheet(Fact):
    """The four factors for one recipient: an adversary of the design who could read records."""

    adversary: str
    """The adversary's id in the design."""
    threats: tuple[str, ...]
    """The threats by which this adversary could read records."""
    factors: tuple[Factor, ...]
    """The four factors."""


def worksheets(
    design: Design,
    catalog: Catalog,
    subjects: Iterable[Subject],
    statements: Sequence[Statement],
    stack: str,
) -> tuple[Worksheet, ...]:
    """One worksheet for each adversary to whom a threat to privacy or confidentiality applies."""
    found: dict[str, dict[str, None]] = {}
    for subject in subjects:
        if subject.adversary != ANYBODY and PRIVATE & {*catalog.threat(subject.threat).violation}:
            found.setdefault(subject.adversary, {})[subject.threat] = None
    return tuple(
        Worksheet(
            adversary=adversary,
            threats=tuple(threats),
            factors=_factors(design, adversary, catalog, [*threats], statements, stack),
        )
        for adversary, threats in found.items()
    )


def _factors(
    design: Design,
    adversary: str,
    catalog: Catalog,
    threats: Sequence[str],
    statements: Sequence[Statement],
    stack: str,
) -> tuple[Factor, ...]:
    ours = [
        one
        for one in statements
        if one.claim.adversary == adversary
        and one.claim.threat in threats
        and one.claim.stack == stack
        and one.trials.unit == "record"
    ]
    tried = {one.claim.threat for one in ours}
    untried = [catalog.threat(id_) for id_ in threats if id_ not in tried]
    titles = {one.id: one.title for one in catalog.taxonomies.mitigations.entries}
    declared = records_declared(design)
    scope = "not declared" if declared is None else str(declared)
    person = design.adversary(adversary)
    controls = design.stack(stack).controls
    return (
        Factor(
            factor="i",
            about="nature and extent of the information, and how likely it is tied to a person",
            inputs=(
                f"records in scope: {scope}",
                *(one.text for one in ours),
                *(
                    f"{threat.name} ({threat.id}): no figure of records recovered"
                    for threat in untried
                ),
                "how many of the recovered records lead to a person was not measured;"
                " the risk levels take all of them to do so",
            ),
        ),
        Factor(
            factor="ii",
            about="who could use or receive it",
            inputs=(f"{adversary}, who may see records of {ENTITLED[person.phi_entitlement]}",),
        ),
        Factor(
            factor="iii",
            about="whether it was actually acquired or viewed",
            inputs=(NOT_MEASURABLE,),
        ),
        Factor(
            factor="iv",
            about="how far the risk has been mitigated",
            inputs=tuple(
                f"{titles[one.id]} ({one.id}), enforced by the {one.enforced_by}"
                for one in controls
            )
            or (f"the stack {stack} declares no control",),
        ),
    )
