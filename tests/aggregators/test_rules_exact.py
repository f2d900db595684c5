"""Every rule and step against a plain oracle in extended precision, on rows that break what is only
nearly right.

A table of kinds of rows times every rule, variant and step in conf/: a new plug-in, and a new kind
of rows, are held to all.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from sim.config.build import build
from sim.seeds import stream
from sim.types import Rule, Step, View
from tests import exact
from tests.aggregators.test_rules_table import CASES, STEPS, name_of
from tests.conftest import CONF, N_HOSTILE
from tests.rounds import Rounds

N, D = 12, 3
Make = Callable[[np.random.Generator], list[np.ndarray]]  # the rows of each round


def groups(rng: np.random.Generator, size: float = 1.0, n_columns: int = D) -> np.ndarray:
    """Four different rows of whole numbers, each of a few hospitals, in any order."""
    different = size * rng.integers(-5, 6, (4, n_columns))
    rows: np.ndarray = different[rng.integers(0, 4, N)]
    return rows


def two_clusters(rng: np.random.Generator, distance: float) -> np.ndarray:
    rows = 1e-3 * rng.normal(size=(N, D))
    rows[: N // 2] += distance
    shuffled: np.ndarray = rows[rng.permutation(N)]
    return shuffled


def two_far(rng: np.random.Generator, distance: float) -> np.ndarray:
    rows = rng.normal(size=(N, D))
    rows[:N_HOSTILE] *= distance
    return rows


def colluding(rng: np.random.Generator, distance: float) -> np.ndarray:
    rows = rng.normal(size=(N, D))
    rows[:N_HOSTILE] = distance * rng.normal(size=D)
    rows[4] = rows[7]
    return rows


def extremes(rng: np.random.Generator) -> np.ndarray:
    values = np.array([3.4e38, -3.4e38, 1e30, 1.0, -1.0, 0.0, 1e-38, -1e-45], np.float32)
    rows: np.ndarray = values[rng.integers(0, len(values), (N, D))]
    return rows


def after_extremes(rng: np.random.Generator) -> list[np.ndarray]:
    """Two hospitals send the greatest numbers of all for three rounds; then all send updates as
    usual.
    """
    rounds = [rng.normal(size=(N, D)).astype(np.float32) for _ in range(6)]
    for rows in rounds[:3]:
        rows[:N_HOSTILE] = 3.4e38 * np.sign(rng.normal(size=D))
    return rounds


CORNERS = np.vstack([np.eye(D), -np.eye(D), np.eye(D), -np.eye(D)])

ROWS: dict[str, Make] = {
    "groups of equal rows": lambda rng: [groups(rng)],
    "groups of equal rows, tenths": lambda rng: [groups(rng, 0.1)],
    "groups of equal rows, float32": lambda rng: [groups(rng, 0.1).astype(np.float32)],
    "groups of equal rows, one coordinate": lambda rng: [groups(rng, 1.0, 1)],
    "one coordinate": lambda rng: [rng.normal(size=(N, 1))],
    "two clusters of one size": lambda rng: [two_clusters(rng, 1.0)],
    "two clusters of one size, far apart": lambda rng: [two_clusters(rng, 300.0)],
    "two far rows": lambda rng: [two_far(rng, 1e6)],
    "two rows of 1e30": lambda rng: [two_far(rng, 1e30).astype(np.float32)],
    "two equal far rows": lambda rng: [colluding(rng, 1e6)],
    "two equal near rows": lambda rng: [colluding(rng, 1.0)],
    "all equal": lambda rng: [np.tile(rng.normal(size=D), (N, 1))],
    "all equal, far from zero": lambda rng: [np.tile(1e6 + rng.normal(size=D), (N, 1))],
    "corners": lambda rng: [CORNERS[rng.permutation(N)]],
    "half of the rows zero": lambda rng: [rng.normal(size=(N, D)) * (np.arange(N) % 2)[:, None]],
    "small beside an offset": lambda rng: [1000 + 1e-3 * rng.normal(size=(N, D))],
    "extremes": lambda rng: [extremes(rng)],
    "rounds of extremes": lambda rng: [extremes(rng) for _ in range(3)],
    "usual rounds after extremes": after_extremes,
    "subnormal": lambda rng: [1e-44 * rng.integers(-9, 10, (N, D)).astype(np.float32)],
}


def view_of(rows: np.ndarray) -> View:
    names = tuple((f"h{i:02}",) for i in range(len(rows)))
    return View(rows, names, 1.0 + np.arange(len(rows)) % 2, np.zeros(rows.shape[1]))


def oracle_of(rule: Rule) -> tuple[dict[str, Any], np.ndarray]:
    """Fields for the oracle, and how often each row counts: a row that weighs two records is two
    rows.
    """
    fields, counts = dataclasses.asdict(rule), np.ones(N, int)
    if fields.get("weighting") == "count":
        counts = 1 + np.arange(N) % 2
        fields["weighting"] = "uniform"
        fields |= (
            {"n_hostile": int(np.sort(counts)[-N_HOSTILE:].sum())} if "n_hostile" in fields else {}
        )
    return fields, counts


def near(got: np.ndarray, allowed: list[list[Any]], rows: np.ndarray, digits: float) -> bool:
    """Whether ``got`` is within ``digits`` of one of the results allowed, relative to it and to a
    usual row.
    """
    usual = float(np.median(np.abs(rows.astype(np.float64)).max(axis=1)))
    expected = np.array([[float(value) for value in one] for one in allowed])
    slack = digits * (np.abs(expected).max(axis=1) + usual) + 1e-44
    return bool((np.abs(got - expected).max(axis=1) <= slack).any())


@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("case", CASES)
def test_rule_equals_its_exact_oracle(case: str, kind: str) -> None:
    rule = CASES[case]
    fields, counts = oracle_of(rule)
    for seed in range(2):
        rounds, work = ROWS[kind](np.random.default_rng([seed, len(kind)])), Rounds(rule)
        for rows in rounds:
            got = work(view_of(rows), stream(0, "rule"))
        repeated = [exact.numbers(np.repeat(rows, counts, axis=0)) for rows in rounds]
        allowed = getattr(exact, name_of(rule))(repeated, **fields)
        digits = 2e-6 if rows.dtype == np.float32 or name_of(rule) == "geometric_median" else 1e-8
        assert near(got, allowed, rows, digits), (seed, got, allowed[0])


@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("name", STEPS)
def test_step_equals_its_exact_oracle(name: str, kind: str) -> None:
    step: Step = STEPS[name]
    for seed in range(2):
        rounds, work = ROWS[kind](np.random.default_rng([seed, len(kind)])), Rounds(step)
        for rows in rounds:
            got = work(view_of(rows), stream(0, "step")).rows
        expected = getattr(exact, name)(
            [exact.numbers(rows) for rows in rounds], **dataclasses.asdict(step)
        )
        digits = 2e-6 if rows.dtype == np.float32 else 1e-9
        assert len(got) == len(expected)
        assert all(
            near(row, [one], rows, digits) for row, one in zip(got, expected, strict=True)
        ), (seed, got)


OPTIMIZERS = ("fedavgm", "fedadagrad", "fedadam", "fedyogi")


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("greatest", [1.0, 3.4e38])
def test_server_optimizer_equals_its_exact_oracle_after_extremes(
    name: str, greatest: float
) -> None:
    optimizer = build(
        "server_optimizer",
        OmegaConf.to_container(OmegaConf.load(CONF / "server_optimizer" / f"{name}.yaml")),
    )
    rng, work = np.random.default_rng(0), Rounds(optimizer)
    aggregates = [
        size * rng.normal(size=D) / 5 for size in (greatest, greatest, greatest, 1.0, 1.0, 1.0)
    ]
    for aggregate in aggregates:
        got = work(aggregate, stream(0, "rule"))
    given, fields = exact.numbers(np.array(aggregates)), dataclasses.asdict(optimizer)
    expected = (
        exact.fedavgm(given, **fields)
        if name == "fedavgm"
        else exact.adaptive(given, **fields, kind=name)
    )
    np.testing.assert_allclose(got, [float(value) for value in expected], rtol=1e-9)
