"""What an aggregator reconstructs of one round: its guesses, scored against the true records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from sim.datasets.encoding import decode, matching
from sim.design.batches import drawn
from sim.evidence import Inverted, Outcome, Recovered, outcome
from sim.federation.observing import Ended, Findings, Round, Subject
from sim.federation.rounds import Weights
from sim.types import Observation, View

GALLERY = 12  # records stored for a report

Guesses = NDArray[np.floating]


@dataclass
class Inversions:
    """What each inversion of a run recovered, by the attack's name: details and outcomes."""

    details: dict[str, Inverted] = field(default_factory=dict)
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)


class ReconstructionObserver:
    """Inverts the aggregator's view in the rounds that the run's inversions attack."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.attacks = subject.attack.of_kind("inversion")
        self.state = Inversions()

    def start(self, weights: Weights) -> None:
        """There is nothing to invert before round 1."""

    def round(self, seen: Round) -> None:
        """Invert the round's view, if it is attacked and there is one."""
        for name, attack in self.attacks.items():
            view = seen.aggregated.view
            if getattr(attack, "round", 1) == seen.number and view is not None:
                layout = self.subject.plan.network.layout
                schema = self.subject.plan.columns
                observation = Observation(view, seen.before, layout, schema)
                draws = self.subject.attack.key.stream("attack", name, seen.number)
                guesses = attack(observation, draws)
                found = score(name, self.subject, seen.number, view, guesses)
                self.state.details[name], self.state.outcomes[name] = found

    def findings(self, ended: Ended) -> Findings:
        """What the inversion recovered; nothing without one."""
        outcomes = next(iter(self.state.outcomes.values()), [])
        return Findings(outcomes, {"inversion": next(iter(self.state.details.values()), None)})


@dataclass(frozen=True)
class _Truth:
    hospital: str
    rows: NDArray[np.float32]


def score(
    name: str, subject: Subject, round_: int, view: View, guesses: Sequence[Guesses]
) -> tuple[Inverted, list[Outcome]]:
    """How many of the records behind each row of ``view`` are among the guesses made from that row.

    Attacked are all records that the hospitals trained on in that round. A record is recovered if a
    guess matches it in every field (``encoding.matching``); of several the nearest counts.
    """
    gallery: list[Recovered] = []
    errors: list[float] = []
    for members, found in zip(view.members, guesses, strict=True):
        truths = [_truth(subject, round_, hospital) for hospital in members]
        for truth in truths:
            for record in truth.rows:
                error, shown = _compare(subject, truth.hospital, record, found)
                errors.append(error)
                gallery.append(shown)
    recovered = [error for error in errors if np.isfinite(error)]
    n = len(recovered)
    largest = max(recovered, default=None)
    none = "no record was recovered"
    outcomes = [
        outcome("reconstruction_rate", n / len(errors) if errors else 0.0, len(errors)),
        outcome("reconstruction_error", largest, n, undefined=none),
    ]
    details = Inverted(
        attack=name,
        round=round_,
        n_guesses=sum(len(found) for found in guesses),
        records_in_row=records_behind(subject, round_, view),
        gallery=_shown(gallery) if subject.show_records else [],
    )
    return details, outcomes


def records_behind(subject: Subject, round_: int, view: View) -> list[int]:
    """How many records the hospitals of each row of ``view`` trained on in a round."""
    return [
        sum(len(_truth(subject, round_, hospital).rows) for hospital in members)
        for members in view.members
    ]


def _truth(subject: Subject, round_: int, hospital: str) -> _Truth:
    site = subject.truth.site(hospital)
    n = len(site.records)
    dp = subject.plan.dp
    counted = None if dp is None else dp.counted(n)
    used = drawn(site.key, round_, n, subject.plan.training, counted)
    return _Truth(hospital, site.records.features[used])


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
