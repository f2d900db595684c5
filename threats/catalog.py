"""Threats, taxonomies and conflicts between controls: data, checked when it is loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from typing import Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sim.errors import InputError
from sim.evidence.metrics import METRICS
from sim.types import Node
from threats.powers import Place, Power

Status = Literal[
    "measured", "inconclusive", "literature_only", "not_tested", "not_testable_by_simulation"
]
Control = Literal["attack_free", "undefended"]
Shown = Literal["harm", "no_harm", "not_decided"]  # what the runs of a row show
Relevance = Literal["direct", "indirect", "conditional", "contextual"]
Violation = Literal["integrity", "availability", "confidentiality", "privacy", "fairness"]
Alternatives = tuple[tuple[Power, ...], ...]  # of powers, each of which is enough

FILES: Final = {
    "taxonomies": "taxonomies.yaml",
    "threats": "catalog.yaml",
    "conflicts": "conflicts.yaml",
    "attacks": "powers.yaml",
    "answers": "answers.yaml",
}


class Fact(BaseModel):
    """Base of all entries of the catalog: no unknown key, and no change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Entry(Fact):
    """One id of a taxonomy. ``renamed`` maps a later release to the title that the id has there."""

    id: str
    title: str = Field(min_length=1)
    verified: bool
    read_in: Literal["publisher", "copy", "ours"]
    note: str = ""
    renamed: dict[str, str] = {}


class Taxonomy(Fact):
    """One list of ids, pinned to ``release``. ``titles`` states whose words the titles are."""

    name: str
    release: str
    titles: Literal["issuer", "ours"]
    source: str
    entries: tuple[Entry, ...]

    @property
    def ids(self) -> frozenset[str]:
        """Every id of the list."""
        return frozenset(entry.id for entry in self.entries)


class Taxonomies(Fact):
    """Every list that the catalog refers to."""

    stride: Taxonomy
    linddun: Taxonomy
    pasta: Taxonomy
    owasp: Taxonomy
    atlas: Taxonomy
    nist_aml: Taxonomy
    ai_rmf: Taxonomy
    hipaa: Taxonomy
    mitigations: Taxonomy
    aisvs: Taxonomy


class Technique(Fact):
    """An ATLAS technique.

    ``near``: it was written for something similar, for no entry covers federated learning.
    """

    id: str
    fit: Literal["direct", "near"]


class Provision(Fact):
    """A provision that a technical result may bear on; counsel decides whether it applies.

    ``condition``: the fact without which a conditional provision does not bear on it.
    """

    cite: str
    relevance: Relevance
    why: str
    condition: str = ""


class Untested(Fact):
    """The status of a threat without a run, and the reason."""

    status: Literal["literature_only", "not_tested", "not_testable_by_simulation"]
    reason: str


class Measured(Fact):
    """A metric that shows a threat, the direction that is harm, and the control to compare with.

    ``beside``: the metric of the same run that holds the control's figure, where the run itself has
    it.
    """

    metric: str
    harm: Literal["lower", "higher"]
    control: Control
    beside: str | None = None

    @property
    def is_counted(self) -> bool:
        """Whether successes are counted one by one, as of records that an attack recovers."""
        return self.control == "undefended" and self.beside is None


class Threat(Fact):
    """One thing that can go wrong. Runs of ``attacks`` are its evidence.

    ``metrics``: figures to state of these runs; of several the first that was measured.
    ``where``: roles of the elements that it strikes, the usual one first. ``powers``: what it
    takes, where no attack states it. ``parties``: how many must act together, at least.
    """

    id: str
    name: str
    plain: str
    violation: tuple[Violation, ...]
    adversary: str
    where: tuple[Place, ...] = Field(min_length=1)
    powers: Alternatives = ()
    parties: int = Field(default=1, ge=1)
    stride: tuple[str, ...]
    linddun: tuple[str, ...] = ()
    owasp: tuple[str, ...] = ()
    atlas: tuple[Technique, ...] = ()
    nist_aml: tuple[str, ...] = ()
    hipaa: tuple[Provision, ...]
    ai_rmf: tuple[str, ...]
    mitigations: tuple[str, ...] = ()
    aisvs: tuple[str, ...] = ()
    unmapped: str = ""
    attacks: tuple[str, ...] = ()
    metrics: tuple[Measured, ...] = ()
    untested: Untested


class Clash(Fact):
    """Two controls that work against each other."""

    id: str
    between: str
    mitigations: tuple[str, ...]
    text: str


class Attack(Fact):
    """An attack of this project, and alternatives of the powers that it uses.

    Of attacks that look at updates the first is what they use where nothing hides single updates.
    ``records``: of which form the records are that it is made for. ``most_records``: of one
    hospital among which it can find any, None for any number, and ``most_steps``: of its training
    after which a design's runs have the time for it. ``trips``: ``several`` where it needs a
    protocol of several. ``extra``: of this package that it needs, empty where it needs none.
    """

    name: str
    powers: Alternatives = Field(min_length=1)
    records: Literal["any", "images", "tables"] = "any"
    most_records: int | None = None
    most_steps: int | None = None
    trips: Literal["any", "several"] = "any"
    extra: Literal["", "art"] = ""


class Answer(Fact):
    """An outcome of the AI Risk Management Framework, and the part of an assessment that answers
    it.
    """

    id: str
    by: str = Field(min_length=1)


class Catalog(Fact):
    """Threats, conflicts and attacks, every id of which is in ``taxonomies``."""

    taxonomies: Taxonomies
    threats: tuple[Threat, ...]
    conflicts: tuple[Clash, ...]
    attacks: tuple[Attack, ...]
    answers: tuple[Answer, ...]

    def powers_of(self, threat: Threat) -> Alternatives:
        """The powers that an adversary must have, each alternative enough; empty: nothing."""
        if not threat.attacks:
            return threat.powers
        found = (powers for name in threat.attacks for powers in self.attack(name).powers)
        return tuple(dict.fromkeys(found))

    def attack(self, name: str) -> Attack:
        """The attack of that name. Raises ``KeyError``."""
        return {one.name: one for one in self.attacks}[name]

    def threat(self, id_: str) -> Threat:
        """The threat with this id. Raises ``KeyError``."""
        return {one.id: one for one in self.threats}[id_]


@cache
def load() -> Catalog:
    """The catalog of this package."""
    folder = resources.files(__package__) / "data"
    texts = {key: (folder / name).read_text("utf-8") for key, name in FILES.items()}
    return check({key: yaml.safe_load(text) for key, text in texts.items()})


def check(data: Node) -> Catalog:
    """A catalog made of parsed YAML.

    Raises ``InputError`` that names the first wrong key, id or repetition.
    """
    try:
        catalog = Catalog.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(".".join(map(str, first["loc"])), first["input"], first["msg"]) from None
    for key, ids in _identities(catalog):
        _refuse_repeated(key, ids)
    for threat in catalog.threats:
        _check_threat(threat, catalog.taxonomies)
    for clash in catalog.conflicts:
        key = f"conflicts.{clash.id}.mitigations"
        _refuse_unknown(key, clash.mitigations, catalog.taxonomies.mitigations)
    answers = [answer.id for answer in catalog.answers]
    _refuse_unknown("answers.id", answers, catalog.taxonomies.ai_rmf)
    _check_claimed(catalog)
    return catalog


class Cited(Fact):
    """A provision with its title, how it bears on a threat, why, and on what condition."""

    cite: str
    """The section of 45 CFR."""
    title: str
    """The section's title."""
    relevance: Relevance
    """``direct``: it speaks of what the threat does; ``indirect``: of something that it may lead
    to; ``conditional``: only if the condition holds; ``contextual``: part of the surroundings.
    """
    condition: str
    """The fact without which it does not bear on the threat; empty unless it is conditional."""
    why: str
    """The reason."""


def provisions(threat: Threat, catalog: Catalog) -> list[Cited]:
    """The provisions of HIPAA that may bear on a threat, with their titles."""
    titles = {entry.id: entry.title for entry in catalog.taxonomies.hipaa.entries}
    return [Cited(title=titles[one.cite], **one.model_dump()) for one in threat.hipaa]


def _check_claimed(catalog: Catalog) -> None:
    """Refuse an attack that no threat claims, and one whose powers are not stated."""
    claimed = {name: threat.id for threat in catalog.threats for name in threat.attacks}
    known = {attack.name for attack in catalog.attacks}
    for name, threat in claimed.items():
        if name not in known:
            raise InputError(
                f"threats.{threat}.attacks", name, "expected an attack whose powers are stated"
            )
    for name in known - claimed.keys():
        raise InputError("catalog.attacks", name, "expected an attack that a threat claims")


def _identities(catalog: Catalog) -> Iterator[tuple[str, list[str]]]:
    yield "threats", [threat.id for threat in catalog.threats]
    yield "conflicts", [clash.id for clash in catalog.conflicts]
    yield "attacks", [attack.name for attack in catalog.attacks]
    yield "answers", [answer.id for answer in catalog.answers]
    for key, taxonomy in catalog.taxonomies:
        yield f"taxonomies.{key}", [entry.id for entry in taxonomy.entries]


def _check_threat(threat: Threat, taxonomies: Taxonomies) -> None:
    place = f"threats.{threat.id}"
    for key in ("stride", "linddun", "owasp", "nist_aml", "aisvs", "ai_rmf", "mitigations"):
        _refuse_unknown(f"{place}.{key}", getattr(threat, key), getattr(taxonomies, key))
    techniques = [technique.id for technique in threat.atlas]
    _refuse_unknown(f"{place}.atlas", techniques, taxonomies.atlas)
    provisions = [provision.cite for provision in threat.hipaa]
    _refuse_unknown(f"{place}.hipaa", provisions, taxonomies.hipaa)
    for provision in threat.hipaa:
        if bool(provision.condition) != (provision.relevance == "conditional"):
            expected = "expected a condition if and only if the relevance is conditional"
            raise InputError(f"{place}.hipaa.{provision.cite}", provision.condition, expected)
    if not threat.unmapped and not (threat.owasp and threat.atlas and threat.nist_aml):
        expected = "expected why owasp, atlas or nist_aml is empty"
        raise InputError(f"{place}.unmapped", threat.unmapped, expected)
    if bool(threat.attacks) != bool(threat.metrics):
        expected = "expected metrics if and only if attacks are named"
        raise InputError(f"{place}.metrics", list(threat.metrics), expected)
    if threat.attacks and threat.powers:
        expected = "expected none, because its attacks state them"
        raise InputError(f"{place}.powers", list(threat.powers), expected)
    for measured in threat.metrics:
        _check_measured(f"{place}.metrics", measured)


def _check_measured(key: str, measured: Measured) -> None:
    for name in (measured.metric, *([measured.beside] if measured.beside else [])):
        if name not in METRICS:
            raise InputError(key, name, f"expected one of {', '.join(METRICS)}")
    harm = METRICS[measured.metric].harm
    if measured.harm != harm:
        expected = f"expected the harm of {measured.metric}, {harm}"
        raise InputError(f"{key}.harm", measured.harm, expected)


def _refuse_unknown(key: str, ids: Sequence[str], taxonomy: Taxonomy) -> None:
    for name in ids:
        if name not in taxonomy.ids:
            raise InputError(key, name, f"expected an id of {taxonomy.name} {taxonomy.release}")


def _refuse_repeated(key: str, ids: list[str]) -> None:
    for name, count in Counter(ids).items():
        if count > 1:
            raise InputError(f"{key}.id", name, f"expected each id once, found {count}")
