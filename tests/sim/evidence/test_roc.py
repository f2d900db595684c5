"""Curve, area and rates of scores are those of scikit-learn, ties among them."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from sim.evidence import roc


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("decimals", [1, 8])
def test_curve_area_and_rates_are_those_of_scikit_learn(seed: int, decimals: int) -> None:
    rng = np.random.default_rng(seed)
    members = rng.normal(0.5, 1, 83).round(decimals)
    others = rng.normal(0, 1, 210).round(decimals)
    labels = np.repeat([1, 0], [83, 210])
    scores = np.concatenate([members, others])
    false, true, _ = roc_curve(labels, scores, drop_intermediate=False)
    found = roc.curve(members, others)
    np.testing.assert_allclose(found.false, false, atol=1e-12)
    np.testing.assert_allclose(found.true, true, atol=1e-12)
    assert roc.auc(members, others) == pytest.approx(roc_auc_score(labels, scores))
    assert roc.advantage(members, others) == pytest.approx((true - false).max())
    for level in (0.001, 0.01, 0.1, 1.0):
        best = true[false <= level + 1e-12].max()
        assert roc.true_positives(members, others, level) == pytest.approx(best)


def test_a_rate_allows_whole_errors_alone() -> None:
    assert [roc.allowed_errors(n, 0.01) for n in (99, 100, 199, 200)] == [0, 1, 1, 2]
