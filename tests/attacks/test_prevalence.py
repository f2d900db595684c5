"""The last bias gives the share of records with the condition away, best on an untrained model."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Literal

import numpy as np
import pytest

from attacks._shared.labels import between, ends, prevalences
from sim.evidence import RunRecord
from sim.models.unrolled import Unrolled
from sim.observers.reconstruction import observation
from sim.seeds import stream
from sim.study.experiment import Experiment
from sim.study.run import run
from sim.types import View
from tests.federation import experiment, finished

N = 32
BATCHES = 10
WORDS = ("consortium=heart4", "training.local_steps=1", f"training.batch_size={N}")
SGD = ("training.optimizer=sgd", "training.rounds=1")
State = Literal["untrained", "trained"]


@cache
def untrained() -> Experiment:
    return experiment(*WORDS, *SGD)


@cache
def model(state: State) -> np.ndarray:
    if state == "trained":
        words = ("training.optimizer=adam", "training.lr=0.01", "training.rounds=20")
        return finished(experiment(*WORDS, *words)).weights
    one = untrained()
    return one.plan.first_weights(one.aggregator_key)


def guessed(state: State, hospital: int, *, known: bool) -> Iterator[tuple[float, float]]:
    """The guessed and the true share of batches of a hospital.

    ``known``: whether the attacker knows how the model scores the hospital's records, in place of
    made-up ones.
    """
    one = untrained()
    training = Unrolled(one.plan.network, model(state), one.plan.training)
    site = one.consortium.hospitals[hospital].train
    own = site.features.astype(np.float64)
    for batch in range(BATCHES):
        rng = stream(0, "batch", hospital, batch)
        records = site.take(rng.permutation(len(site))[:N])
        labels = records.labels.astype(np.float64)
        (row,) = training(records.features.astype(np.float64)[None], labels[None])
        view = View(row[None].astype(np.float32), (("a",),), np.array([float(N)]))
        if known:
            some = own[: len(own) // N * N].reshape(-1, N, own.shape[1])
            share = between(float(row[-1]), *ends(training, some))
        else:
            (share,) = prevalences(observation(one.plan, view, model(state)), rng)
        assert share is not None
        yield share, float(labels.mean())


def gaps(state: State, *, known: bool = False) -> tuple[list[float], list[float]]:
    """Errors of the counts of all batches, and of the mean share of each of four hospitals."""
    of_batches = []
    of_hospitals = []
    for hospital in range(4):
        shares = np.array(list(guessed(state, hospital, known=known)))
        of_batches += list(N * np.abs(shares[:, 0] - shares[:, 1]))
        of_hospitals.append(float(abs(shares[:, 0].mean() - shares[:, 1].mean())))
    return of_batches, of_hospitals


def test_an_untrained_model_gives_counts_and_prevalences_away() -> None:
    of_batches, of_hospitals = gaps("untrained")
    print(f"untrained: {np.mean(of_batches):.2f} of {N}, prevalence {max(of_hospitals):.4f}")
    assert np.mean(of_batches) <= 0.5
    assert max(of_hospitals) <= 0.02


def test_a_trained_model_gives_them_away_only_to_who_knows_how_it_scores() -> None:
    of_batches, _ = gaps("trained")
    of_known, prevalence = gaps("trained", known=True)
    print(
        f"trained: {np.mean(of_batches):.2f} of {N}; scores known: {np.mean(of_known):.2f},"
        f" prevalence {max(prevalence):.4f}"
    )
    assert np.mean(of_batches) >= 3
    assert np.mean(of_known) < np.mean(of_batches) / 2


def read(*words: str) -> RunRecord:
    return run(experiment("attack=[analytic_inversion]", *WORDS, *SGD, *words))


def test_a_run_states_the_error_beside_those_of_shuffled_updates_and_of_the_common_share() -> None:
    found = read()
    error = found.value("prevalence_error")
    assert error is not None
    assert error < 0.02
    for beside in ("prevalence_error_shuffled", "prevalence_error_common"):
        other = found.outcome(beside)
        assert other is not None
        assert other.n == 4
        assert other.value is not None
        assert other.value > 0.1


def test_the_common_share_is_nearly_that_of_a_sum_of_all() -> None:
    found = read("secagg=sum")
    assert found.value("prevalence_error_common") == pytest.approx(0, abs=0.1)
