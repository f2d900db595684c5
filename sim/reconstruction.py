"""A curious aggregator at work in one round, and how much of the truth it got: guesses scored against the records behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from sim.batches import drawn
from sim.datasets.encoding import decode, matching
from sim.evidence import Inverted, Recovered
from sim.experiment import Experiment
from sim.seeds import stream
from sim.states import State
from sim.types import Inversion, Observation, View

GALLERY = 12  # records kept for a report

Guesses = NDArray[np.floating[Any]]


class Curious:
    """Watches the aggregator's views and inverts those of the attacked rounds. ``results``: one entry an attack."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.attacks: dict[str, Inversion] = experiment.of_kind("inversion")
        self.results: dict[str, Inverted] = {}

    def __call__(self, round_: int, weights: NDArray[np.float32], view: View, states: Sequence[State]) -> None:
        """Called by the aggregator in each round with the weights it sent out and what it saw."""
        for name, attack in self.attacks.items():
            if getattr(attack, "round", 1) == round_:
                layout, schema = self.experiment.network.layout, self.experiment.consortium.schema
                seen = Observation(view, weights, layout, schema)
                guesses = attack(seen, stream(self.experiment.settings.seed, "attack", name, round_))
                self.results[name] = score(name, self.experiment, round_, view, guesses)


@dataclass(frozen=True)
class _Truth:
    hospital: str
    rows: NDArray[np.float32]


def score(name: str, experiment: Experiment, round_: int, view: View, guesses: Sequence[Guesses]) -> Inverted:
    """How many of the records behind each row of ``view`` are among the guesses made from that row.

    Attacked are all records that the hospitals trained on in that round. A record is recovered if a guess matches it in every
    field (``encoding.matching``); of several the nearest counts.
    """
    gallery: list[Recovered] = []
    errors: list[float] = []
    in_row: list[int] = []
    for members, found in zip(view.members, guesses, strict=True):
        truths = [_truth(experiment, round_, hospital) for hospital in members]
        in_row.append(sum(len(truth.rows) for truth in truths))
        for truth in truths:
            for record in truth.rows:
                error, shown = _compare(experiment, truth.hospital, record, found)
                errors.append(error)
                gallery.append(shown)
    recovered = [error for error in errors if np.isfinite(error)]
    return Inverted(
        attack=name,
        round=round_,
        n_attacked=len(errors),
        n_guesses=sum(len(found) for found in guesses),
        n_recovered=len(recovered),
        rate=len(recovered) / len(errors) if errors else 0.0,
        max_relative_error=max(recovered, default=None),
        records_in_row=in_row,
        gallery=_shown(gallery) if experiment.consortium.public or experiment.settings.report.show_reconstructions else [],
    )


def _truth(experiment: Experiment, round_: int, hospital: str) -> _Truth:
    records = next(h.train for h in experiment.consortium.hospitals if h.name == hospital)
    settings = experiment.settings
    used = drawn(settings.seed, round_, hospital, len(records), settings.training, private=experiment.dp is not None)
    return _Truth(hospital, records.features[used])


def _compare(experiment: Experiment, hospital: str, record: NDArray[np.float32], found: Guesses) -> tuple[float, Recovered]:
    """Relative error of the matching guess (infinite if none matches), and the record beside the nearest guess."""
    schema = experiment.consortium.schema
    truth = decode(schema, record)
    if not len(found):
        return float("inf"), Recovered(hospital=hospital, exact=False, truth=truth, guess=None)
    gaps = cdist(record[None].astype(np.float64), found)[0]
    hits = matching(schema, record, found)
    nearest = int(np.where(hits, gaps, np.inf).argmin() if hits.any() else gaps.argmin())
    size = max(float(np.linalg.norm(record)), float(np.finfo(np.float32).tiny))  # a record may be all zeros
    error = float(gaps[nearest] / size) if hits.any() else float("inf")
    return error, Recovered(hospital=hospital, exact=bool(hits.any()), truth=truth, guess=decode(schema, found[nearest]))


def _shown(gallery: list[Recovered]) -> list[Recovered]:
    """A few records for the report: recovered ones first."""
    return sorted(gallery, key=lambda shown: not shown.exact)[:GALLERY]
