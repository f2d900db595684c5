"""The evidence of one run: an immutable record, addressed by its content.

Reports, register and verdict read these records from files and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from sys import intern
from typing import Any, Final, Literal, Self

from pydantic import Field, field_validator

from sim.config import groups
from sim.evidence.assets import ASSETS
from sim.evidence.attacks import BackdoorGoal, Inverted, Isolating, Membership
from sim.evidence.outcomes import Outcome, Part
from sim.evidence.privacy import Noised, Privacy, Statement
from sim.types import Node, Provenance

SCHEMA: Final = "wardround.evidence/3"  # a field that is new and may be absent changes no number


class HospitalFacts(Part):
    """One hospital of a run and its numbers of records; figures measured of it are outcomes."""

    hospital: str
    """The hospital's name."""
    origin: str
    """The site of the data set that its records come from."""
    hostile: bool
    """Whether the hospital is hostile, by the simulator's truth."""
    n_train: int
    """Its training records; the agreed number where privacy protects how many there are."""
    n_test: int
    """Its test patients."""
    n_test_positive: int
    """Its test patients with the condition."""


class Engagement(Part):
    """Whether attack and defense did something; None where there is none, or no update is finite.

    The distances behind it are the outcomes ``attack_distance`` and ``defense_distance``.

    ``attack_distance``: mean over hostile hospitals and attacked rounds of |sent - honest| /
    |honest|; of a fault 1 where nothing usable was sent, else the larger of that and the relative
    change of the record count; for inversion the number of records attacked; for inference the
    number of rounds that gave a new model; for an aggregator 1 where it asks for other terms than
    agreed; for an attack on sums 1 where there was a sum; for one on a protocol the share of rounds
    in which it changed what hospitals are asked, or nothing is hidden; for a fault in messages 1.
    With several attacks, the least of theirs.

    ``defense_distance``: mean over rounds of |aggregate - plain mean| / |plain mean| for rules and
    steps, and noise that the aggregator adds, 1 where they refused a round; for DP in the hospital,
    |private - plain| / |plain| of one hospital's update in round 1; for secure aggregation the
    share of rows hidden.
    """

    attack_engaged: bool | None
    """Whether the attack changed something; None without an attack or a finite update."""
    defense_engaged: bool | None
    """Whether the defense changed something; None without one or a finite update."""


class Screened(Part):
    """A reply that was not used."""

    round: int
    """The round, from 1 on."""
    hospital: str
    """The hospital that sent the reply."""
    reason: str
    """Why the reply was not used."""


class Unopened(Part):
    """A share that did not open; whether sender or receiver is at fault, nobody can tell."""

    round: int
    """The round, from 1 on."""
    sender: str
    """The hospital that made the share."""
    receiver: str
    """The hospital that could not open it."""


Cause = Literal["absent", "refused", "not_finite", "spent"]


class Skip(Part):
    """A round that ended without a new model: the weights stayed as they were."""

    round: int
    """The round, from 1 on."""
    cause: Cause
    """The cause: ``absent``, fewer usable replies than steps and rule need; ``refused``, enough of
    them, but a step or the rule refused these; ``not_finite``, float32 cannot hold the new weights;
    ``spent``, the consortium has ended because a hospital had spent its budget.
    """
    reason: str
    """The cause in words."""
    replies: int
    """The number of usable replies."""
    needed: int
    """The least number of replies for which steps and rule work."""
    hostile: list[str]
    """Hostile hospitals of which nothing usable came, by the simulator's truth."""
    honest: list[str]
    """Honest hospitals of which nothing usable came, by the simulator's truth."""


class Clipped(Part):
    """The clipping by a part of the defense that shortens updates.

    Lengths are Euclidean and of the rows that the part saw.
    """

    part: str
    """The name of the step or rule."""
    radius: float | None
    """The greatest length as configured; None where each round's median length is taken."""
    rounds: int
    """The number of rounds."""
    shortened: float
    """The share of rows longer than the radius, over all rounds."""
    median_length: float
    """The median length of the rows of a round, mean over rounds."""
    longest: float
    """The greatest length of all rounds."""


class Visibility(Part):
    """One line of who sees what: a party, and what it can see in this design."""

    party: str
    """The party."""
    sees: str
    """What it can see."""


class Access(Part):
    """The assets that one party sees or derives in a run, without a defense and with this one."""

    party: str
    """The party."""
    before: dict[str, str]
    """Without a defense: by asset of other hospitals, whether the party ``sees`` it, ``derives`` it
    (and with how many, or over how many rounds), or ``no``.
    """
    after: dict[str, str]
    """The same with this defense."""

    @field_validator("before", "after")
    @classmethod
    def _in_order(cls, cells: dict[str, str]) -> dict[str, str]:
        """A stored line has its keys in another order than a table has its columns."""
        known = {asset: cells[asset] for asset in ASSETS if asset in cells}
        return known | cells

    def cell(self, asset: str) -> str:
        """The cell of an asset: what the defense changes, or what stays."""
        before = self.before.get(asset, "")
        after = self.after.get(asset, "")
        return after if before == after else f"{before} -> {after}"


class Conflict(Part):
    """Two parts of a design that work against each other."""

    id: str
    """The conflict's id in the catalog of threats."""
    between: str
    """The two parts."""
    text: str
    """What is lost."""


class RunRecord(Part):
    """Everything that one run (one consortium, attack, defense, seed) leaves behind."""

    schema_: Literal["wardround.evidence/3"]
    """The version of this form."""
    run: str
    """The run's address: 16 hex digits of its configuration, its data and the code."""
    consortium: str
    """The name of the consortium."""
    attack: str
    """The name of the attack; several run together are joined with ``+``; ``none`` without one."""
    defense: str
    """The name of the defense; ``none`` without one."""
    seed: int
    """The seed from which all draws of the run follow."""
    n_hospitals: int
    """The number of hospitals."""
    n_hostile: int
    """The number of hostile hospitals."""
    hostile: list[str]
    """The names of the hostile hospitals, by the simulator's truth."""
    rounds: int
    """The number of rounds."""
    public: bool
    """Whether the data are public."""
    adaptive: bool
    """Whether the attack tried what the defense would make of it before it sent anything."""
    data_source: str
    """Where the data come from, with their license."""
    data_hash: str
    """The SHA-256 of the data as they were read."""
    code: str
    """12 hex digits of the source of simulator and plug-ins, and of their libraries' versions."""
    config: Node
    """The whole configuration, resolved."""
    outcomes: tuple[Outcome, ...]
    """All figures that were measured."""
    hospitals: list[HospitalFacts]
    """The hospitals."""
    engagement: Engagement
    """Whether attack and defense did something."""
    screened: list[Screened]
    """The replies that were not used."""
    skipped_rounds: list[int]
    """The rounds that gave no new model."""
    privacy: Privacy | None
    """The terms of record-level differential privacy; None without it."""
    backdoor: BackdoorGoal | None
    """What a backdoor is after; None without one."""
    inversion: Inverted | None
    """What a reconstruction attacked; None without one."""
    visibility: list[Visibility]
    """Who sees what, in words."""
    access: list[Access] = Field(default=[])  # the visibility table of the design
    """The visibility table of the design."""
    conflicts: list[Conflict]
    """Parts of the design that work against each other."""
    # columns round, hospital, metric, value; hospital "all" is the pooled test set
    curve: dict[str, list[Any]]
    """Columns ``round``, ``hospital``, ``metric`` and ``value``; hospital ``all`` is the pooled
    test set.
    """
    seconds: float
    """The seconds that the run took."""
    # the largest number of hostile hospitals for which the defense is defined; None: any number
    limit: int | None
    """The largest number of hostile hospitals for which the defense is defined; None: any number.
    """
    skips: list[Skip]  # what is known of each of ``skipped_rounds``
    """What is known of each of the skipped rounds."""
    # by attack that is an absence of honest hospitals, those that it concerns
    absences: dict[str, list[str]]
    """By attack that is an absence of honest hospitals, those that it concerns."""
    # how many replies may be missing in a round, beside how many hostile hospitals
    missing: str = Field(default="")
    """How many replies may be missing in a round, beside how many hostile hospitals."""
    data_notes: list[str]  # what a reader of the figures should know about the data
    """What a reader of the figures should know about the data."""
    # first round in which an honest update, the new weights or a score overflowed float32
    not_finite_from: int | None
    """The first round in which an honest update, the new weights or a score overflowed float32;
    None where nothing did.
    """
    # what hospitals reported and nobody believed, though their updates were used
    disputed: list[Screened]
    """What hospitals reported and nobody believed, though their updates were used."""
    # of a secure aggregation in messages: shares that did not open, and what it withstands
    unopened: list[Unopened] = Field(default=[])
    """Shares of a secure aggregation in messages that did not open."""
    unmasking: list[str] = Field(default=[])
    """Sentences on what a secure aggregation in messages withstands."""
    clipped: list[Clipped]  # what each step or rule with a radius did, over all rounds
    """What each step or rule with a radius did, over all rounds."""
    isolation: Isolating | None = None
    """What an attack on secure aggregation tried; None without one."""
    membership: Membership | None = None
    """A membership inference; None without one."""
    statements: list[Statement] = Field(default=[])  # of differential privacy, of any kind
    """Statements of differential privacy, of any kind."""
    noised: Noised | None = None
    """What privacy of whole updates did; None without it."""
    provenance: Provenance | None = None
    """Whose patients the data are of, ``published``, ``synthetic`` or ``own``; None if not stated.
    """
    form: Literal["table", "image"] | None = None
    """What a patient's record is, a row of a table or an image; None in older evidence."""

    def outcome(self, metric: str, hospital: str | None = None) -> Outcome | None:
        """The outcome of a metric, for the consortium or one ``hospital``; None if not measured."""
        return self._found.get((metric, hospital))

    def value(self, metric: str, hospital: str | None = None) -> float | None:
        """The figure of an outcome; None if it was not measured or is not defined."""
        found = self.outcome(metric, hospital)
        return None if found is None else found.value

    def has(self, metric: str) -> bool:
        """Whether a metric was measured, for the consortium or for a hospital."""
        return metric in self._measured

    @cached_property
    def without_attack(self) -> str:
        """The values of the configuration that are not the attack's own, as one text."""
        return groups.canonical(groups.without(self.config, "attack"))

    @cached_property
    def without_defense(self) -> str:
        """The values of the configuration that are not the defense's own, as one text."""
        return groups.canonical(groups.without(self.config, "defense"))

    @cached_property
    def _found(self) -> dict[tuple[str, str | None], Outcome]:
        """The first outcome of each metric and hospital."""
        return {(one.metric, one.subject): one for one in reversed(self.outcomes)}

    @cached_property
    def _measured(self) -> frozenset[str]:
        """The metrics of all outcomes."""
        return frozenset(one.metric for one in self.outcomes)

    def model_copy(self, *, update: Mapping[str, object] | None = None, deep: bool = False) -> Self:
        """A copy with some fields changed, without what was worked out of the others before."""
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        return copied

    @property
    def worst_hospital(self) -> str | None:
        """The hospital with the least AUROC; None where no hospital has one."""
        defined = [
            (one.value, one.subject)
            for one in self.outcomes
            if one.metric == "auroc" and one.scope == "hospital" and one.value is not None
        ]
        return min(defined, key=lambda pair: pair[0], default=(None, None))[1]

    @property
    def n_test(self) -> int:
        """Test patients of all hospitals."""
        return sum(one.n_test for one in self.hospitals)

    @property
    def n_test_positive(self) -> int:
        """Test patients with the condition, of all hospitals."""
        return sum(one.n_test_positive for one in self.hospitals)

    @property
    def shows_reconstructions(self) -> bool:
        """Whether its configuration lets pages show reconstructed records of private data."""
        report = self.config.get("report") or {}
        return report.get("show_reconstructions") is True

    @property
    def n_attacked(self) -> int:
        """Records that reconstruction attacked."""
        found = self.outcome("reconstruction_rate")
        return 0 if found is None or found.n is None else found.n

    @property
    def n_recovered(self) -> int:
        """Records that reconstruction recovered."""
        return round((self.value("reconstruction_rate") or 0.0) * self.n_attacked)

    @field_validator("config", "absences")
    @classmethod
    def _sorted(cls, values: Node) -> Node:
        return _in_order(values)

    @field_validator("curve")
    @classmethod
    def _share_names(cls, curve: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """The curve with one string for each name: one for each row would fill the memory."""
        return {key: _shared(column) for key, column in sorted(curve.items())}


def _shared(column: list[Any]) -> list[Any]:
    """The column with one string for each of its names, or the column itself if it has none."""
    try:
        return list(map(intern, column))
    except TypeError:
        return column


def _in_order(values: Node) -> Node:
    """The values with the keys of all mappings sorted, as evidence has them on the disk.

    So a record that was read is the one that was made, key by key.
    """
    return {key: _ordered(value) for key, value in sorted(values.items())}


def _ordered(value: object) -> object:
    if isinstance(value, dict):
        return _in_order(value)
    return [_ordered(one) for one in value] if isinstance(value, list) else value
