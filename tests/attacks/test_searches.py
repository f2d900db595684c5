"""Searches of attacks find what they look for, against every rule and step near its limit."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from aggregators.pipeline import Chain
from aggregators.rules.mean import Mean
from attacks._shared.directions import DIRECTIONS
from attacks._shared.honest import repeated
from attacks._shared.search import damage, furthest
from attacks.byzantine.aggregation_tailored import AggregationTailored
from attacks.byzantine.alie_optimized import ALIEOptimized
from attacks.byzantine.ipm_optimized import IPMOptimized
from sim.seeds import stream
from sim.types import Knowledge, Rule, Step
from tests import attack_oracles as oracles
from tests.conftest import N_HOSTILE, plugins
from tests.drawn import RNG, clear


def test_search_finds_the_top_of_a_hill_and_the_end_of_a_cliff_and_a_maximum_at_zero() -> None:
    for evals, precision in ((36, 0.05), (70, 0.001)):
        for at in (0.2, 3.0, 7.3, 700.0):
            assert furthest(lambda x, at=at: -((x - at) ** 2), evals, 10.0) == pytest.approx(
                at, rel=precision
            )
            assert furthest(lambda x, at=at: x if x <= at else 0.0, evals, 10.0) == pytest.approx(
                at, rel=precision
            )
    assert furthest(lambda x: -x, 36, 10.0) == 0.0


def test_search_goes_on_for_as_long_as_the_damage_grows() -> None:
    assert furthest(lambda x: x, 36, 10.0) > 5e6
    assert furthest(lambda x: np.log1p(x), 72, 10.0) > 1e12


def test_search_looks_where_an_undisturbed_climb_ends() -> None:
    end = 2.0**14 - 1  # of the 15 of 27 looks that climb, the first is at 0
    assert furthest(lambda x: float(x >= 3 * end), 27, 3.0) == 3 * end


def test_search_along_the_deviations_goes_scale_of_them_first() -> None:
    rows = stream(0, "rows").normal(size=(6, 40))
    sent: list[np.ndarray] = []

    def defense(seen: np.ndarray) -> np.ndarray:
        sent.append(seen[0])
        return np.asarray(seen.mean(axis=0))

    AggregationTailored("std", evals=3, scale=2.0)(Knowledge(rows[:2], 8, 2, rows, defense), RNG)
    np.testing.assert_allclose(sent[0], rows.mean(axis=0))
    np.testing.assert_allclose(sent[1], rows.mean(axis=0) - 2 * rows.std(axis=0))


@pytest.mark.parametrize("evals", [3, 4, 20, 21, 50])
def test_search_looks_no_more_often_than_it_may(evals: int) -> None:
    looks: list[float] = []
    furthest(lambda x: looks.append(x) or x, evals, scale=2.0)
    assert len(looks) == len(set(looks)) == evals


# --- what a climb of 20 looks finds, they find, against every rule and step in conf/

SEARCHES = [
    IPMOptimized(),
    *(ALIEOptimized(sign) for sign in (-1, 1)),
    *(AggregationTailored(along) for along in DIRECTIONS),
]


RULES = plugins("each_rule")


DEFENSES: dict[str, Rule | Step] = {**RULES, **plugins("each_step")}


def defended(name: str, rows: np.ndarray) -> np.ndarray:
    """The aggregate of a rule, or of a mean after a step, with the root's row last."""
    part = DEFENSES[name]
    if hasattr(part, "root"):
        part = dataclasses.replace(part, root=f"h{len(rows) - 1:02}")
    chain = Chain((), part) if name in RULES else Chain((part,), Mean())
    view = dataclasses.replace(clear(rows), model=np.zeros(rows.shape[1]))
    return chain(view, stream(0, "search"))


@pytest.mark.parametrize("attack", SEARCHES, ids=repr)
@pytest.mark.parametrize("name", sorted(DEFENSES))
def test_searches_hurt_every_rule_and_step_no_less_than_the_published_climb(
    name: str, attack: Any
) -> None:
    f, d = N_HOSTILE, 6
    n = max(2 * f + 1, getattr(DEFENSES[name], "min_rows", 0))
    for seed, common in enumerate((0.0, 1.0)):
        rows = common + stream(seed, "rows", name).normal(size=(n, d))
        own, others = rows[:f], rows[f:]
        known = Knowledge(
            own, n, f, others, lambda sent, others=others: defended(name, np.vstack([sent, others]))
        )
        hurt = damage(known, others.mean(axis=0))
        line = Line.of(attack, others)
        climbed = oracles.climb(
            lambda x, line=line, hurt=hurt, known=known: hurt(repeated(line.at(x), known))
        )
        assert hurt(attack(known, RNG)) >= 0.98 * hurt(repeated(line.at(climbed), known))


@dataclasses.dataclass
class Line:
    """Where rows of a searching attack can lie."""

    start: np.ndarray
    step: np.ndarray

    @classmethod
    def of(cls, attack: Any, honest: np.ndarray) -> "Line":
        center = honest.mean(axis=0)
        if isinstance(attack, IPMOptimized):
            return cls(0 * center, -center)
        if isinstance(attack, ALIEOptimized):
            return cls(center, attack.sign * honest.std(axis=0, ddof=1))
        along = {
            "unit": -center,
            "std": -honest.std(axis=0),
            "sign": -np.sign(center) * np.abs(center).max(),
        }
        return cls(center, along[attack.along])

    def at(self, x: float) -> np.ndarray:
        return self.start + x * self.step


@pytest.mark.parametrize("attack", SEARCHES[:2], ids=repr)
def test_searches_do_unbounded_harm_where_a_rule_bounds_none(attack: Any) -> None:
    honest = 5 + stream(0, "targets").normal(size=(10, 200))
    own, others = honest[:3], honest[3:]
    known = Knowledge(
        own, 10, 3, others, lambda rows: Mean()(clear(np.vstack([rows, others])), RNG)
    )
    assert damage(known, others.mean(axis=0))(attack(known, RNG)) > 1e6
