"""What is reconstructed of one round from what an aggregator holds, against the true records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from sim import returned
from sim.datasets.encoding import decode, matching
from sim.design.batches import drawn
from sim.design.plan import FederationPlan
from sim.design.simulated import Simulated
from sim.evidence import Inverted, Outcome, Recovered, outcome
from sim.federation.observing import Ended, Findings, Round, Subject
from sim.federation.rounds import Weights
from sim.models.unrolled import Unrolled
from sim.types import Guess, Observation, Records, Vector, View

GALLERY = 12  # records stored for a report

Guesses = NDArray[np.floating]


def observation(plan: FederationPlan, view: View, model: Vector) -> Observation:
    """All that an aggregator holds after a round in which it sent out ``model`` (n_params,)."""
    training = None
    if plan.training.optimizer == "sgd":
        norm = None if plan.dp is None else plan.dp.max_grad_norm
        training = Unrolled(plan.network, model, plan.training, norm)
    n_records = expected_records(plan, view)
    return Observation(view, model, plan.network.layout, plan.columns, training, n_records)


def expected_records(plan: FederationPlan, view: View) -> tuple[int | None, ...]:
    """The number of records behind each row, as far as an aggregator can tell.

    Without counts, hospitals are taken to have as many records as their batches hold.
    """
    steps = plan.training.local_steps
    most = None if steps is None else steps * plan.training.batch_size
    if view.weights is None:
        return tuple(None if most is None else most * len(members) for members in view.members)
    rows = zip(view.weights, view.members, strict=True)
    return tuple(
        int(count) if most is None else min(int(count), most * len(members))
        for count, members in rows
    )


@dataclass
class Inversions:
    """What each inversion of a run recovered, by the attack's name: details and outcomes."""

    details: dict[str, Inverted] = field(default_factory=dict)
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)


class ReconstructionObserver:
    """Inverts the finest rows that are held in the rounds that the run's inversions attack."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.attacks = subject.attack.of_kind("inversion")
        self.hospitals = simulated(subject)
        self.state = Inversions()

    def start(self, weights: Weights) -> None:
        """There is nothing to invert before round 1."""

    def round(self, seen: Round) -> None:
        """Invert the rows of the round, if it is attacked and there are any."""
        for name, attack in self.attacks.items():
            view = seen.readable
            if getattr(attack, "round", 1) == seen.number and view is not None:
                plan = self.subject.plan
                draws = self.subject.attack.key.stream("attack", name, seen.number)
                made = attack(observation(plan, view, seen.before), draws)
                guesses = returned.guesses(attack, made, len(view.rows), plan.columns.n_features)
                found = score(name, self.subject, self.hospitals, seen.number, view, guesses)
                self.state.details[name], self.state.outcomes[name] = found

    def findings(self, ended: Ended) -> Findings:
        """What the inversion recovered; nothing without one."""
        outcomes = next(iter(self.state.outcomes.values()), [])
        return Findings(outcomes, {"inversion": next(iter(self.state.details.values()), None)})


def simulated(subject: Subject) -> Simulated:
    """The hospitals of a run as they train: hostile ones on what their attacks make of a site."""
    return Simulated(subject.plan, subject.truth.sites, subject.attack)


def score(
    name: str,
    subject: Subject,
    hospitals: Simulated,
    round_: int,
    view: View,
    guesses: Sequence[Guess],
) -> tuple[Inverted, list[Outcome]]:
    """How many of the records behind each row of ``view`` are among the guesses made from that row.

    Attacked are all records that the hospitals trained on in that round, of a hostile hospital
    those that its poison made. A record is recovered if a
    guess matches it in every field (``encoding.matching``); of several the nearest counts.
    """
    gallery: list[Recovered] = []
    errors: list[float] = []
    for members, guess in zip(view.members, guesses, strict=True):
        for hospital in members:
            for record in used(hospitals, round_, hospital).features:
                error, shown = _compare(subject, hospital, record, guess.records)
                errors.append(error)
                gallery.append(shown)
    recovered = [error for error in errors if np.isfinite(error)]
    n = len(recovered)
    largest = max(recovered, default=None)
    rate = n / len(errors) if errors else None
    outcomes = [
        outcome("reconstruction_rate", rate, len(errors), undefined="no record was attacked"),
        outcome("reconstruction_error", largest, n, undefined="no record was recovered"),
        *_prevalence(hospitals, round_, view, guesses),
    ]
    details = Inverted(
        attack=name,
        round=round_,
        n_guesses=sum(len(guess.records) for guess in guesses),
        records_in_row=records_behind(hospitals, round_, view),
        gallery=_shown(gallery) if subject.show_records else [],
    )
    return details, outcomes


def _prevalence(
    hospitals: Simulated, round_: int, view: View, guesses: Sequence[Guess]
) -> list[Outcome]:
    """How far guessed shares of records with the condition are off, where any was guessed."""
    gaps = dict[tuple[str, ...], float]()
    for members, guess in zip(view.members, guesses, strict=True):
        if guess.prevalence is not None:
            labels = [used(hospitals, round_, hospital).labels for hospital in members]
            gaps[members] = abs(guess.prevalence - float(np.concatenate(labels).mean()))
    if not gaps:
        return []
    alone = [(members[0], gap) for members, gap in gaps.items() if len(members) == 1]
    return [
        outcome("prevalence_error", float(np.mean(list(gaps.values()))), len(gaps)),
        *(outcome("prevalence_error", gap, 1, hospital=hospital) for hospital, gap in alone),
    ]


def records_behind(hospitals: Simulated, round_: int, view: View) -> list[int]:
    """How many records the hospitals of each row of ``view`` trained on in a round."""
    return [
        sum(len(used(hospitals, round_, hospital)) for hospital in members)
        for members in view.members
    ]


def used(hospitals: Simulated, round_: int, hospital: str) -> Records:
    """The records that a hospital trained on in a round, each once."""
    plan = hospitals.plan
    site = hospitals.site(plan.hospitals.index(hospital), round_)
    training = site.training or plan.training
    n = len(site.records)
    counted = None if plan.dp is None else plan.dp.counted(n)
    return site.records.take(drawn(site.key, round_, n, training, counted))


def _compare(
    subject: Subject, hospital: str, record: NDArray[np.float32], found: Guesses
) -> tuple[float, Recovered]:
    """The relative error of the matching guess, and the record beside the nearest guess.

    The error is infinite if no guess matches.
    """
    schema = subject.plan.columns
    truth = decode(schema, record)
    if not len(found):
        return math.inf, Recovered(hospital=hospital, exact=False, truth=truth, guess=None)
    gaps = cdist(record[None].astype(np.float64), found)[0]
    hits = matching(schema, record, found)
    exact = bool(hits.any())
    nearest = int(np.where(hits, gaps, np.inf).argmin() if exact else gaps.argmin())
    # a record may be all zeros
    size = max(float(np.linalg.norm(record)), float(np.finfo(np.float32).tiny))
    error = float(gaps[nearest] / size) if exact else math.inf
    guess = decode(schema, found[nearest])
    return error, Recovered(hospital=hospital, exact=exact, truth=truth, guess=guess)


def _shown(gallery: list[Recovered]) -> list[Recovered]:
    """A few records for the report: recovered ones first."""
    return sorted(gallery, key=lambda shown: not shown.exact)[:GALLERY]
