"""What one run leaves behind: an immutable record, addressed by its content.

Reports, register and verdict read these records from files and nothing else.
"""

from __future__ import annotations

from sys import intern
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, field_validator

SCHEMA: Final = "wardround.evidence/2"  # a field that is new and may be absent changes no number


class Part(BaseModel):
    """Base of every piece of evidence: nothing unknown, nothing changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Outcome(Part):
    """Clinical quality of the final model on the test patients of all hospitals together.

    ``worst_hospital_auroc`` is the least AUROC among hospitals with at least ``min_class_rows`` test patients of each class;
    None if there is none. ``sensitivity_at_90_specificity``: share of the ill found when at most 10 % of the healthy are alarmed.

    A figure that is not defined is None, and ``undefined`` says why: AUROC, average precision and sensitivity need test patients
    of both classes, and no figure exists without test patients, without a trained model, or where a score is not finite.
    """

    auroc: float | None
    auprc: float | None
    accuracy: float | None
    sensitivity_at_90_specificity: float | None
    brier: float | None
    worst_hospital_auroc: float | None
    worst_hospital: str | None
    n_test: int
    n_test_positive: int
    min_class_rows: int
    undefined: str | None = None


class HospitalOutcome(Part):
    """The final model at one hospital; ``auroc`` is None below ``Outcome.min_class_rows`` test patients of a class.

    All three figures are None where the hospital has no test patients, and where ``Outcome`` has none.

    ``kept`` and ``distance``: what the rule keeps of the hospital's update and how far that is from the others', as
    ``sim.observers.influence`` measures them; None in runs with attacks, where the aggregator sees sums, and in evidence from
    before they were measured.
    """

    hospital: str
    origin: str
    hostile: bool
    n_train: int
    n_test: int
    n_test_positive: int
    auroc: float | None
    brier: float | None
    accuracy: float | None
    epsilon: float | None = None
    noise_multiplier: float | None = None
    kept: float | None = None
    distance: float | None = None


class Engagement(Part):
    """Proof that the attack and the defense did something, as relative distances.

    ``attack_distance``: mean over hostile hospitals and attacked rounds of |sent - honest| / |honest|; of a fault 1 where nothing
    usable was sent, else the larger of that and the relative change of the record count; for inversion the number of records
    attacked. With several attacks, the least of theirs. ``defense_distance``: mean over rounds of |aggregate - plain mean| /
    |plain mean| for rules and steps, 1 where they refused a round; for DP, |private - plain| / |plain| of one hospital's
    update in round 1; for secure aggregation the share of rows hidden.
    None: there is no attack (or no defense), or no update that is compared is finite; a distance also where one of them is not.
    """

    attack_engaged: bool | None
    attack_distance: float | None
    defense_engaged: bool | None
    defense_distance: float | None


class Screened(Part):
    """A reply that was not used."""

    round: int
    hospital: str
    reason: str


Cause = Literal["absent", "refused", "not_finite"]


class Skip(Part):
    """A round that ended without a new model: the weights stayed as they were.

    ``cause``: ``absent``, fewer usable replies than steps and rule need; ``refused``, enough of them, but a step or the rule
    refused these; ``not_finite``, float32 cannot hold the new weights. ``replies``: usable ones; ``needed``: the least number for
    which steps and rule work. ``hostile`` and ``honest``: the hospitals of which nothing usable came, by the simulator's truth.
    """

    round: int
    cause: Cause
    reason: str
    replies: int
    needed: int
    hostile: list[str]
    honest: list[str]


class Heard(Part):
    """How much a rule that selects or weighs hospitals listened to one of them.

    ``share``: of the aggregate, mean over rounds (an equal share is 1 / n_hospitals). ``left_out``: share of rounds in which it
    had less than a tenth of an equal share.
    """

    hospital: str
    hostile: bool
    share: float
    left_out: float


class Selection(Part):
    """Whom the rule left out, over all rounds in which it aggregated.

    ``precision``: hostile among those left out. ``recall``: left out among the hostile. ``wrongly_left_out``: left out among the
    honest. None where nobody is counted. Without an attack the hostile hospitals behave honestly: ``recall`` says nothing then.
    """

    rounds: int
    hospitals: list[Heard]
    precision: float | None
    recall: float | None
    wrongly_left_out: float | None


class Spent(Part):
    """Record-level differential privacy of one hospital, composed over all local steps of all rounds."""

    hospital: str
    n_train: int
    epsilon: float
    noise_multiplier: float
    sample_rate: float
    steps: int


class Privacy(Part):
    """``epsilon`` of the consortium: the maximum over hospitals (disjoint patients, parallel composition).

    ``not_covered``: sentences on what it says nothing about.
    """

    unit: str
    epsilon: float
    delta: float
    accountant: str
    max_grad_norm: float
    target_epsilon: float | None
    hospitals: list[Spent]
    not_covered: list[str] = []


class Recovered(Part):
    """One attacked record and the nearest guess, in the units of the fields. Only kept for public data."""

    hospital: str
    exact: bool
    truth: dict[str, str]
    guess: dict[str, str] | None


class Inverted(Part):
    """What reconstruction recovered in the attacked round.

    ``max_relative_error``: largest |guess - record| / |record| over recovered records (feature columns), None if none was.
    ``records_in_row``: how many records were summed in each row that the attacker saw.
    """

    attack: str
    round: int
    n_attacked: int
    n_guesses: int
    n_recovered: int
    rate: float
    max_relative_error: float | None
    records_in_row: list[int]
    gallery: list[Recovered]


class Planted(Part):
    """A backdoor in the final model: shares of the ``n`` test records not of the ``target`` class, once they bear the mark.

    ``success``: those that the model puts into the target class. ``false_trigger``: the same for the model of the same run
    without the attack, which was never shown the mark. None where ``n`` is 0 or a score is not finite.
    """

    attack: str
    target: int
    success: float | None
    false_trigger: float | None
    n: int


class Clipped(Part):
    """What a part of the defense that shortens updates did. Lengths are Euclidean and of the rows that the part saw.

    ``radius``: as configured, None where each round's median length is taken. ``shortened``: share of rows longer than the
    radius, over all rounds. ``median_length``: of the rows of a round, mean over rounds. ``longest``: of all rounds.
    """

    part: str
    radius: float | None
    rounds: int
    shortened: float
    median_length: float
    longest: float


class Sight(Part):
    """One line of who sees what: a party, what it can see in this design, and why."""

    party: str
    sees: str


class Conflict(Part):
    """Two parts of a design that work against each other."""

    id: str
    between: str
    text: str


class RunRecord(Part):
    """Everything that one run (one consortium, attack, defense, seed) leaves behind."""

    schema_: Literal["wardround.evidence/2"] = SCHEMA
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
    config: dict[str, Any]
    outcome: Outcome
    hospitals: list[HospitalOutcome]
    engagement: Engagement
    screened: list[Screened]
    skipped_rounds: list[int]
    privacy: Privacy | None
    selection: Selection | None = None
    backdoor: Planted | None = None
    inversion: Inverted | None
    sight: list[Sight]
    conflicts: list[Conflict]
    curve: dict[str, list[Any]]  # columns round, hospital, metric, value; hospital "all" is the pooled test set
    seconds: float
    limit: int | None = None  # the largest number of hostile hospitals for which the defense is defined; None: no matter to it
    skips: list[Skip] = []  # what is known of each of ``skipped_rounds``; empty in evidence from before it was recorded
    absences: dict[str, list[str]] = {}  # by attack that is an absence of honest hospitals, those that it concerns
    data_notes: list[str] = []  # what a reader of the figures should know about the data
    not_finite_from: int | None = None  # first round in which an honest update, the new weights or a score overflowed float32
    disputed: list[Screened] = []  # what hospitals reported and nobody believed, though their updates were used
    clipped: list[Clipped] = []  # what each step or rule with a radius did, over all rounds

    @field_validator("curve")
    @classmethod
    def _share_names(cls, curve: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Every name held once: as many strings as there are rows would be most of the memory of a large comparison."""
        return {key: [intern(one) if type(one) is str else one for one in column] for key, column in curve.items()}
