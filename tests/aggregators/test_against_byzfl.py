"""Rules and steps against ByzFL (https://github.com/LPD-EPFL/byzfl), an independent implementation,
on random updates.
"""

import importlib.util
import sys
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest

from aggregators.rules.caf import Caf
from aggregators.rules.centered_clipping import CenteredClipping
from aggregators.rules.krum import Krum
from aggregators.rules.mda import Mda
from aggregators.rules.meamed import Meamed
from aggregators.rules.mean import Mean
from aggregators.rules.median import Median
from aggregators.rules.monna import Monna
from aggregators.rules.multi_krum import MultiKrum
from aggregators.rules.rfa import Rfa
from aggregators.rules.smea import Smea
from aggregators.rules.trimmed_mean import TrimmedMean
from aggregators.steps.arc import Arc
from aggregators.steps.bucketing import Bucketing
from aggregators.steps.clip import Clip
from aggregators.steps.nnm import Nnm
from sim.seeds import stream
from sim.types import Rule, Step, View
from tests import oracles
from tests.drawn import clear
from tests.rounds import Rounds

if importlib.util.find_spec("byzfl") is None:
    pytest.skip("ByzFL is not installed: make peers", allow_module_level=True)
STUBS = {name: mock.MagicMock() for name in ("torchvision", "seaborn") if name not in sys.modules}
sys.modules.update(STUBS)  # ByzFL's benchmarks import these two, its rules do not need them
byzfl: Any = importlib.import_module("byzfl")
# one by one: putting all of sys.modules back as it was would import torch twice, which it does not
# survive
for name in STUBS:
    del sys.modules[name]

F = 2
DRAWS = [(n, d, seed) for n, d in ((7, 1), (9, 40), (12, 300)) for seed in range(20)]


def drawn(n: int, d: int, seed: int) -> np.ndarray:
    """Rows of several lengths around a common direction, as updates are."""
    rng = np.random.default_rng([n, d, seed])
    return rng.normal(size=(n, d)) * rng.uniform(0.2, 3, size=(n, 1)) + rng.normal(size=d)


PAIRS: dict[str, tuple[Rule | Step, Callable[[np.ndarray], Any]]] = {
    "mean": (Mean(), byzfl.Average()),
    "median": (Median(F), byzfl.Median()),
    "trimmed_mean": (TrimmedMean(F), byzfl.TrMean(F)),
    "meamed": (Meamed(F), byzfl.Meamed(F)),
    "krum": (Krum(F, "byzfl"), byzfl.Krum(F)),
    "monna": (Monna(F, "h03"), byzfl.MoNNA(F, 3)),
    "mda": (Mda(F), byzfl.MDA(F)),
    "rfa": (Rfa(F, nu=0.1, steps=3, start="zero"), byzfl.GeometricMedian(nu=0.1, T=3)),
    "clip": (Clip(2.0), byzfl.Clipping(2.0)),
    "arc": (Arc(F), byzfl.ARC(F)),
    "nnm": (Nnm(F), byzfl.NNM(F)),
}


def ours(plugin: Rule | Step, rows: np.ndarray) -> np.ndarray:
    made = plugin(clear(rows), stream(0, "byzfl"))
    return made.rows if isinstance(made, View) else made


@pytest.mark.parametrize(("plugin", "peer"), PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize(("n", "d", "seed"), DRAWS)
def test_equals_byzfl(
    plugin: Rule | Step, peer: Callable[[np.ndarray], Any], n: int, d: int, seed: int
) -> None:
    rows = drawn(n, d, seed)
    np.testing.assert_allclose(ours(plugin, rows), peer(rows.copy()), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("n", "d", "seed"), DRAWS)
def test_multi_krum_of_all_but_the_hostile_equals_byzfl(n: int, d: int, seed: int) -> None:
    rows = drawn(n, d, seed)
    np.testing.assert_allclose(
        ours(MultiKrum(F, n - F, "byzfl"), rows), byzfl.MultiKrum(F)(rows), rtol=1e-5, atol=1e-7
    )


def test_centered_clipping_equals_byzfl_round_after_round() -> None:
    rule, peer, view = (
        Rounds(CenteredClipping(0.5, 3)),
        byzfl.CenteredClipping(L=3, tau=0.5),
        clear(drawn(9, 40, 0)),
    )
    for seed in range(5):
        rows = drawn(9, 40, seed)
        mine = rule(View(rows, view.members), stream(0, "byzfl"))
        np.testing.assert_allclose(mine, peer(rows), rtol=1e-5, atol=1e-7)


def test_bucketing_equals_byzfl_on_the_same_shuffle() -> None:
    rows = drawn(9, 40, 0)
    order = stream(0, "byzfl").permutation(9)
    with mock.patch("numpy.random.permutation", lambda given: given[order]):
        expected = byzfl.Bucketing(2)(rows)
    np.testing.assert_allclose(ours(Bucketing(2), rows), expected, rtol=1e-5)


@pytest.mark.parametrize("seed", range(20))
def test_smea_equals_byzfl_in_one_dimension(seed: int) -> None:
    """In more dimensions ByzFL takes one power step from a random start, so what it returns differs
    from call to call.
    """
    np.testing.assert_allclose(
        ours(Smea(F), drawn(9, 1, seed)), byzfl.SMEA(F)(drawn(9, 1, seed)), rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize("n_hostile", [1, 2, 3])
@pytest.mark.parametrize("seed", range(20))
def test_caf_in_one_dimension_differs_from_byzfl_only_in_whose_projections_count(
    n_hostile: int, seed: int
) -> None:
    """In more dimensions ByzFL takes one power step from a random start, so what it returns differs
    from call to call.
    """
    rows = drawn(9, 1, seed)
    expected = oracles.caf(rows.tolist(), n_hostile, every_row=True)
    np.testing.assert_allclose(byzfl.CAF(n_hostile)(rows), expected, rtol=1e-5, atol=1e-7)
    if np.allclose(expected, oracles.caf(rows.tolist(), n_hostile)):
        np.testing.assert_allclose(ours(Caf(n_hostile), rows), expected, rtol=1e-5, atol=1e-7)


def caf_gaps(d: int, n_hostile: int) -> np.ndarray:
    """For 100 draws of 9 rows, the distance between the two projects' results over the length of
    ours.
    """
    pairs = [
        (ours(Caf(n_hostile), rows), byzfl.CAF(n_hostile)(rows))
        for rows in (drawn(9, d, seed) for seed in range(100))
    ]
    return np.array([np.linalg.norm(mine - peers) / np.linalg.norm(mine) for mine, peers in pairs])


def test_caf_differs_from_byzfl_as_documented() -> None:
    assert [int((caf_gaps(1, n_hostile) < 1e-5).sum()) for n_hostile in (1, 2, 3)] == [78, 11, 0]
    with mock.patch("numpy.random.randn", np.random.default_rng(0).standard_normal):
        assert np.median(caf_gaps(40, 2)) == pytest.approx(0.252, abs=0.005)
