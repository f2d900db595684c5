"""What a run leaves behind: one immutable record, addressed by its content, appended to ``evidence.jsonl``.

Reports, register and verdict read these records from files and nothing else.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict

from sim.errors import InputError

SCHEMA = "wardround.evidence/1"

RESULT_COLUMNS = (
    "run", "consortium", "attack", "defense", "seed", "n_hospitals", "n_hostile", "rounds",
    "auroc", "auprc", "accuracy", "sensitivity_at_90_specificity", "brier", "worst_hospital_auroc",
    "attack_success", "attack_engaged", "defense_engaged", "epsilon", "delta",
    "reconstruction_rate", "membership_auc", "membership_tpr_at_1fpr", "seconds",
)  # fmt: skip


class Part(BaseModel):
    """Base of every piece of evidence: nothing unknown, nothing changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Outcome(Part):
    """Clinical quality of the final model on the test patients of all hospitals together.

    ``worst_hospital_auroc`` is the least AUROC among hospitals with at least ``min_class_rows`` test patients of each class;
    None if there is none. ``sensitivity_at_90_specificity``: share of ill patients found when at most 10 % of the healthy are alarmed.
    """

    auroc: float
    auprc: float
    accuracy: float
    sensitivity_at_90_specificity: float
    brier: float
    worst_hospital_auroc: float | None
    worst_hospital: str | None
    n_test: int
    n_test_positive: int
    min_class_rows: int


class HospitalOutcome(Part):
    """The final model at one hospital. ``auroc`` is None where a class has fewer than ``Outcome.min_class_rows`` test patients."""

    hospital: str
    origin: str
    hostile: bool
    n_train: int
    n_test: int
    n_test_positive: int
    auroc: float | None
    brier: float
    accuracy: float
    epsilon: float | None = None
    noise_multiplier: float | None = None


class Engagement(Part):
    """Proof that the attack and the defense did something, as relative distances.

    ``attack_distance``: mean over hostile hospitals (and rounds) of |sent - honest| / |honest|; for inversion the number of
    guesses made. ``defense_distance``: mean over rounds of |aggregate - plain mean| / |plain mean| for rules and steps; for DP,
    |private - plain| / |plain| of one hospital's update in round 1; for secure aggregation the share of rows hidden.
    None: there is no attack (or no defense).
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


class Spent(Part):
    """Record-level differential privacy of one hospital, composed over all local steps of all rounds."""

    hospital: str
    n_train: int
    epsilon: float
    noise_multiplier: float
    sample_rate: float
    steps: int


class Privacy(Part):
    """``epsilon`` of the consortium: the maximum over hospitals (disjoint patients, parallel composition)."""

    unit: str
    epsilon: float
    delta: float
    accountant: str
    max_grad_norm: float
    target_epsilon: float | None
    hospitals: list[Spent]


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

    schema_: str = SCHEMA
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
    inversion: Inverted | None
    sight: list[Sight]
    conflicts: list[Conflict]
    curve: dict[str, list[Any]]  # columns round, hospital, metric, value; hospital "all" is the pooled test set
    seconds: float
