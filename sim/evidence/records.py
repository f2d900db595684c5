"""What one run leaves behind: an immutable record, addressed by its content.

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
from sim.evidence.fields import FieldScores
from sim.evidence.images import ImageScores
from sim.evidence.outcomes import Outcome, Part
from sim.types import Node, Provenance

SCHEMA: Final = "wardround.evidence/3"  # a field that is new and may be absent changes no number


class HospitalFacts(Part):
    """One hospital of a run and its numbers of records; figures measured of it are outcomes.

    ``n_train`` is the agreed number where privacy for adding or removing a record protects it.
    """

    hospital: str
    origin: str
    hostile: bool
    n_train: int
    n_test: int
    n_test_positive: int


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
    defense_engaged: bool | None


class Screened(Part):
    """A reply that was not used."""

    round: int
    hospital: str
    reason: str


class Unopened(Part):
    """A share that did not open; whether sender or receiver is at fault, nobody can tell."""

    round: int
    sender: str
    receiver: str


Cause = Literal["absent", "refused", "not_finite", "spent"]


class Skip(Part):
    """A round that ended without a new model: the weights stayed as they were.

    ``cause``: ``absent``, fewer usable replies than steps and rule need; ``refused``, enough of
    them, but a step or the rule refused these; ``not_finite``, float32 cannot hold the new weights;
    ``spent``, the consortium has ended because a hospital had spent its budget.
    ``replies``: usable ones; ``needed``: the least number for which steps and rule work.
    ``hostile`` and ``honest``: the hospitals of which nothing usable came, by the simulator's
    truth.
    """

    round: int
    cause: Cause
    reason: str
    replies: int
    needed: int
    hostile: list[str]
    honest: list[str]


class Spent(Part):
    """How one hospital spends its epsilon, composed over all its local steps.

    ``steps``: of all rounds but those in which it refused to train. The epsilon itself is an
    outcome. What it means for a test of whether a record was trained on: ``advantage`` bounds true
    minus false positive rate, ``tpr_at_1fpr`` and ``tpr_at_01fpr`` the true positive rate at false
    positive rates of 1 % and 0.1 %. All are of the whole distribution of privacy losses.
    """

    hospital: str
    n_train: int
    noise_multiplier: float
    sample_rate: float
    steps: int
    advantage: float
    tpr_at_1fpr: float
    tpr_at_01fpr: float


class Privacy(Part):
    """The terms of record-level differential privacy.

    ``relation``: what neighbors differ in, ``replace`` or ``add_remove`` (see ``RecordDP``);
    ``nominal_records``: the agreed number of records where it is ``add_remove``. ``sampling``: how
    the records of a step are drawn.

    The outcome ``epsilon`` of the consortium is the maximum over hospitals, which takes disjoint
    patients (parallel composition). ``not_covered``: sentences on what it does not cover.
    """

    unit: str
    relation: str
    nominal_records: int | None
    sampling: str
    delta: float
    accountant: str
    max_grad_norm: float
    target_epsilon: float | None
    hospitals: list[Spent]
    not_covered: list[str]


class Statement(Part):
    """One statement of differential privacy; several of a run stand side by side.

    ``unit``: who is protected; ``relation``: what neighbors differ in; ``against``: from whom it
    protects. ``hospital``: whose epsilon it is where hospitals differ, the largest of all; None
    where it is the same for all. ``not_covered``: sentences on what it does not cover.
    """

    unit: str
    relation: str
    mechanism: str
    epsilon: float
    delta: float
    accountant: str
    against: str
    hospital: str | None
    not_covered: list[str]


class Noised(Part):
    """What privacy of whole updates did, in columns by round that has a mean.

    ``clip``: the greatest length of an update. ``deviation``: of the noise in a coordinate of the
    mean of the updates.
    """

    round: list[int]
    clip: list[float]
    deviation: list[float]


class Recovered(Part):
    """One attacked record and the nearest guess, in the fields' units; of public data only.

    ``baseline``: what needs no attack, the hospital's typical row or the image's mean color.
    ``right`` and ``baseline_right``: of a row, the fields in which guess and baseline are right, as
    in ``Agreement``.
    """

    hospital: str
    exact: bool
    truth: dict[str, str]
    guess: dict[str, str] | None
    baseline: dict[str, str] | None = None
    right: list[str] = Field(default=[])
    baseline_right: list[str] = Field(default=[])

    @field_validator("truth", "guess", "baseline")
    @classmethod
    def _sorted(cls, fields: dict[str, str] | None) -> dict[str, str] | None:
        return fields and dict(sorted(fields.items()))


class Inverted(Part):
    """A reconstruction: what was attacked, and how.

    What was recovered are the outcomes ``reconstruction_rate`` and ``reconstruction_error``, the
    largest |guess - record| / |record| over recovered records (feature columns).
    ``records_in_row``: how many records were summed in each row that the attacker saw.
    ``images``: the scores of each attacked record where records are images; ``fields``: where they
    are rows of a table and something was guessed. ``pixels``: the least and the largest value that
    a pixel of the gallery can have.
    """

    attack: str
    round: int
    n_guesses: int
    records_in_row: list[int]
    gallery: list[Recovered]
    images: ImageScores | None = None
    fields: FieldScores | None = None
    pixels: tuple[float, float] | None = None


class Isolating(Part):
    """An attack on secure aggregation: what was tried.

    What was achieved are the outcomes ``updates_recovered``, ``update_error`` and ``smallest_sum``.
    ``reads_only``: whether it follows the protocol, so that the model is as without it.
    ``colluding``: the hospitals that pool their own updates with what the aggregator sees.
    """

    attack: str
    reads_only: bool
    colluding: list[str]


class MembershipBound(Part):
    """The bound that private training puts on membership inference, beside what was measured.

    At the false positive rate ``false_positives`` no attack has a true positive rate above
    ``bound``. Measured was ``true_positives``, with a lower limit of ``lowest`` from its sample;
    ``highest`` is the upper limit of the false positive rate there, and ``allowed`` the bound at
    that rate, over the share of records that are drawn at all: only these are asked about as
    trained on. Both limits hold with 97.5 % each. ``exceeded``: ``lowest`` is above ``allowed``, so
    the guarantee or the attack's scoring is wrong.
    """

    false_positives: float
    bound: float
    true_positives: float
    lowest: float
    highest: float
    allowed: float
    exceeded: bool


class Membership(Part):
    """A membership inference: who asked what, and the scores of the records asked about.

    What was achieved are the outcomes ``membership_...``. ``party``: who attacks. ``rounds``: those
    that it looked at. ``members`` and ``others``: scores, sorted, of records that were trained on
    and of held-out records of the same hospitals; they are of nobody in particular. ``bounds``: of
    private training.
    """

    attack: str
    party: str
    rounds: list[int]
    members: list[float]
    others: list[float]
    bounds: list[MembershipBound]

    @property
    def exceeds(self) -> bool:
        """Whether more was inferred than private training allows."""
        return any(one.exceeded for one in self.bounds)


class BackdoorGoal(Part):
    """The attack that teaches the model a mark, and the class that marked records are put into.

    ``backdoor_success`` is the share of the test records not of the ``target`` class that the model
    puts into it once they bear the mark; ``false_trigger_rate`` the same for the model of the run
    without the attack, which never saw the mark.
    """

    attack: str
    target: int


class Clipped(Part):
    """What a part of the defense that shortens updates did.

    Lengths are Euclidean and of the rows that the part saw. ``radius``: as configured, None where
    each round's median length is taken. ``shortened``: share of rows longer than the radius, over
    all rounds. ``median_length``: of the rows of a round, mean over rounds. ``longest``: of all
    rounds.
    """

    part: str
    radius: float | None
    rounds: int
    shortened: float
    median_length: float
    longest: float


class Visibility(Part):
    """One line of who sees what: a party, and what it can see in this design."""

    party: str
    sees: str


class Access(Part):
    """What one party sees or derives in a run, without a defense and with this one.

    ``before`` and ``after``: by asset of other hospitals, whether the party ``sees`` it,
    ``derives`` it (and with how many, or over how many rounds), or ``no``.
    """

    party: str
    before: dict[str, str]
    after: dict[str, str]

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
    between: str
    text: str


class RunRecord(Part):
    """Everything that one run (one consortium, attack, defense, seed) leaves behind."""

    schema_: Literal["wardround.evidence/3"]
    run: str
    consortium: str
    attack: str
    defense: str
    seed: int
    n_hospitals: int
    n_hostile: int
    hostile: list[str]
    rounds: int
    public: bool
    adaptive: bool
    data_source: str
    data_hash: str
    code: str
    config: Node
    outcomes: tuple[Outcome, ...]
    hospitals: list[HospitalFacts]
    engagement: Engagement
    screened: list[Screened]
    skipped_rounds: list[int]
    privacy: Privacy | None
    backdoor: BackdoorGoal | None
    inversion: Inverted | None
    visibility: list[Visibility]
    access: list[Access] = Field(default=[])  # the visibility table of the design
    conflicts: list[Conflict]
    # columns round, hospital, metric, value; hospital "all" is the pooled test set
    curve: dict[str, list[Any]]
    seconds: float
    # the largest number of hostile hospitals for which the defense is defined; None: any number
    limit: int | None
    skips: list[Skip]  # what is known of each of ``skipped_rounds``
    # by attack that is an absence of honest hospitals, those that it concerns
    absences: dict[str, list[str]]
    # how many replies may be missing in a round, beside how many hostile hospitals
    missing: str = Field(default="")
    data_notes: list[str]  # what a reader of the figures should know about the data
    # first round in which an honest update, the new weights or a score overflowed float32
    not_finite_from: int | None
    # what hospitals reported and nobody believed, though their updates were used
    disputed: list[Screened]
    # of a secure aggregation in messages: shares that did not open, and what it withstands
    unopened: list[Unopened] = Field(default=[])
    unmasking: list[str] = Field(default=[])
    clipped: list[Clipped]  # what each step or rule with a radius did, over all rounds
    isolation: Isolating | None = None
    membership: Membership | None = None
    statements: list[Statement] = Field(default=[])  # of differential privacy, of any kind
    noised: Noised | None = None
    provenance: Provenance | None = None  # whose patients the data are of, where it is stated
    form: Literal["table", "image"] | None = None  # what a patient's record is

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
