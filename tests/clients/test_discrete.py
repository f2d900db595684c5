"""Draws of the discrete Gaussian have exactly its distribution."""

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import chisquare, kstest, norm

from clients import discrete
from sim.seeds import stream


@pytest.mark.parametrize("deviation", [0.4, 1.0, 3.7])
def test_draws_have_the_probabilities_of_the_discrete_gaussian(deviation: float) -> None:
    n = 200_000
    drawn = discrete.gaussian(deviation, n, stream(0, "test"))
    support = np.arange(-40, 41)
    weights = np.exp(-(support**2) / (2 * deviation**2))
    expected = n * weights / weights.sum()
    counts = np.array([np.count_nonzero(drawn == value) for value in support])
    assert counts.sum() == n
    usual = expected >= 5
    rest = [counts[~usual].sum()], [expected[~usual].sum()]
    observed = np.append(counts[usual], rest[0])
    wanted = np.append(expected[usual], rest[1])
    there = wanted > 1e-9
    assert chisquare(observed[there], wanted[there] * observed.sum() / wanted.sum()).pvalue > 1e-3


def test_large_deviations_are_gaussian_and_whole() -> None:
    drawn = discrete.gaussian(1e6, 50_000, stream(1, "test"))
    assert drawn.dtype == np.int64
    assert kstest(drawn / 1e6, norm.cdf).pvalue > 1e-3


def test_no_deviation_draws_zeros_and_equal_streams_equal_numbers() -> None:
    assert not discrete.gaussian(0, 10, stream(0, "test")).any()
    one, other = (discrete.gaussian(5.0, 100, stream(2, "test")) for _ in range(2))
    assert (one == other).all()


@pytest.mark.parametrize(("above", "expected"), [(-1, True), (1, False)])
def test_near_the_boundary_all_bits_decide(above: int, expected: bool) -> None:
    """Half is exp(-log 2): a place that differs from it in the last of 256 bits is decided."""
    exponent = Fraction(1, 3)
    total = discrete.BITS + discrete.MORE
    with localcontext(prec=200):
        chance = (Decimal(-1) / Decimal(3)).exp() * Decimal(2) ** total
    assert discrete._is_below(int(chance) + above, exponent) is expected


def test_undecided_events_are_decided_by_more_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a margin so wide that all are undecided, the same probabilities come out."""
    monkeypatch.setattr(discrete, "MARGIN", 2.0)
    drawn = discrete.gaussian(1.0, 2_000, stream(3, "test"))
    assert abs(float(np.mean(drawn == 0)) - 0.3989) < 0.05
