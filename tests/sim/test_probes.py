"""A probe learns what its records tell, and no more."""

from __future__ import annotations

import numpy as np
import pytest

from sim.probes import probe, tempered

RNG = np.random.default_rng(1)
ANSWERS = RNG.integers(3, size=300)
TELLING = np.eye(3)[ANSWERS] + 0.1 * RNG.normal(size=(300, 3))
NOISE = RNG.normal(size=(300, 20))


def test_a_probe_gives_log_probabilities_and_learns() -> None:
    found = probe(TELLING, ANSWERS, 3)(TELLING)
    assert np.exp(found).sum(axis=1) == pytest.approx(np.ones(300))
    assert (found.argmax(axis=1) == ANSWERS).mean() == 1.0


def test_its_loss_is_least_where_its_slope_is_zero() -> None:
    """Scikit-learn has the same loss: half of the squared weights, and the sum over records."""
    from sklearn.linear_model import LogisticRegression

    inputs = NOISE[:, :4]
    scaled = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
    theirs = LogisticRegression(C=1.0, max_iter=1000, tol=1e-8).fit(scaled, ANSWERS)
    expected = theirs.predict_log_proba(scaled)
    assert probe(inputs, ANSWERS, 3)(inputs) == pytest.approx(expected, abs=2e-3)


def test_without_records_all_answers_are_as_likely() -> None:
    found = probe(np.zeros((0, 2)), np.zeros(0, np.int64), 4)(np.ones((3, 2)))
    assert np.exp(found) == pytest.approx(np.full((3, 4), 0.25))


def test_a_tempered_probe_is_sure_where_it_is_right_and_tells_nothing_of_noise() -> None:
    sure = tempered(TELLING, ANSWERS, 3, np.random.default_rng(0))(TELLING)
    assert np.exp(sure).max(axis=1).mean() > 0.9
    blind = tempered(NOISE, ANSWERS, 3, np.random.default_rng(0))(NOISE)
    assert np.exp(blind).max(axis=1).max() < 0.6
    assert (probe(NOISE, ANSWERS, 3)(NOISE).argmax(axis=1) == ANSWERS).mean() > 0.4  # it is overfit
