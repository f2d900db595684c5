"""One table of properties over every plug-in in conf/: a new plug-in is held to them without a line added here."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from omegaconf import OmegaConf

from aggregators.limits import refusal
from sim.errors import RefusedError
from sim.seeds import stream
from sim.types import (
    LEVELS,
    About,
    Byzantine,
    Field,
    Inversion,
    Knowledge,
    Observation,
    Poison,
    Records,
    Rule,
    Schema,
    SecureAggregation,
    Step,
    View,
)
from tests import oracles
from tests.conftest import N_HOSTILE

SMALL = settings(max_examples=40, deadline=None)
SHAPES = st.tuples(st.integers(7, 12), st.integers(1, 5))
WHOLE = arrays(np.float64, SHAPES, elements=st.integers(-50, 50).map(float))  # full of ties and duplicates
ANY_FLOAT32 = arrays(np.float32, SHAPES, elements=st.floats(allow_nan=False, allow_infinity=False, width=32))
# Rules that promise nothing about hostile rows, with the reason.
NOT_ROBUST = {"mean": "any single row moves it"}


def name_of(plugin: Any) -> str:
    return type(plugin).__module__.rpartition(".")[2]


def clear(rows: np.ndarray) -> View:
    """A view in which each row is one hospital; rows cannot be written to."""
    rows = np.asarray(rows)
    rows.setflags(write=False)
    return View(rows, tuple((f"h{i:02}",) for i in range(len(rows))), np.ones(len(rows)))


def aggregated(rule: Rule, rows: np.ndarray) -> np.ndarray:
    return rule(clear(rows), stream(0, "rule"))


@st.composite
def spread_rows(draw: st.DrawFn) -> np.ndarray:
    """Rows in general position (no ties, not on a line) of any size from 1e-6 to 1e3."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, d, size = draw(st.integers(7, 12)), draw(st.integers(2, 40)), draw(st.sampled_from([1e-6, 1.0, 1e3]))
    return size * rng.normal(size=(n, d))


# --- what a plug-in is


def test_plugin_is_an_immutable_value_that_shows_its_parameters(each_plugin: Any) -> None:
    assert dataclasses.replace(each_plugin) == each_plugin
    assert hash(each_plugin) == hash(dataclasses.replace(each_plugin))
    shown = repr(each_plugin)
    for field in dataclasses.fields(each_plugin):
        assert f"{field.name}={getattr(each_plugin, field.name)!r}" in shown
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(each_plugin, field.name, None)


def test_data_sheet_is_complete(each_plugin: Any) -> None:
    about = each_plugin.about
    assert isinstance(about, About)
    assert about.title == type(each_plugin).__name__
    assert len(about.paper.split()) >= 4
    assert 1930 < about.year < 2100
    assert about.sees
    assert type(each_plugin).__doc__
    assert LEVELS.index(about.needs) <= LEVELS.index(about.uses)
    fields = {field.name for field in dataclasses.fields(each_plugin)}
    assert all(variant.split("=")[0] in fields for variant in about.variants)


def test_yaml_states_every_parameter_and_takes_n_hostile_from_the_adversary(
    each_plugin: Any, pytestconfig: pytest.Config
) -> None:
    targets = {}
    for path in (pytestconfig.rootpath / "conf").glob("*/*.yaml"):
        node = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
        targets[node.pop("_target_", None)] = node
    stated = targets[f"{type(each_plugin).__module__}.{type(each_plugin).__qualname__}"]
    assert set(stated) == {field.name for field in dataclasses.fields(each_plugin)}
    assert stated.get("n_hostile", "${adversary.n_hostile}") == "${adversary.n_hostile}"


# --- rules


@SMALL
@given(rows=WHOLE)
def test_rule_equals_its_oracle(each_rule: Rule, rows: np.ndarray) -> None:
    expected = getattr(oracles, name_of(each_rule))(rows.tolist(), **dataclasses.asdict(each_rule))
    got = aggregated(each_rule, rows)
    cost = oracles.COST.get(name_of(each_rule))
    if cost is None:
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
    else:
        assert cost(got.tolist(), rows.tolist()) <= cost(expected, rows.tolist()) * (1 + 1e-9)


@SMALL
@given(rows=spread_rows(), data=st.data())
def test_rule_ignores_the_order_of_hospitals(each_rule: Rule, rows: np.ndarray, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(rows))))
    np.testing.assert_allclose(
        aggregated(each_rule, rows[order]), aggregated(each_rule, rows), rtol=1e-6, atol=1e-8 * np.ptp(rows)
    )


@SMALL
@given(rows=spread_rows(), shift=st.floats(-10, 10), factor=st.sampled_from([-2.0, 1e-3, 1e3]))
def test_rule_moves_and_scales_with_the_rows(each_rule: Rule, rows: np.ndarray, shift: float, factor: float) -> None:
    near = {"rtol": 1e-6, "atol": 1e-7 * np.ptp(rows) * abs(factor) + 1e-9 * abs(shift)}
    np.testing.assert_allclose(aggregated(each_rule, rows * factor + shift), aggregated(each_rule, rows) * factor + shift, **near)


@SMALL
@given(rows=ANY_FLOAT32)
def test_rule_stays_inside_the_rows_and_finite_for_all_of_float32(each_rule: Rule, rows: np.ndarray) -> None:
    got = aggregated(each_rule, rows)
    slack = 1e-6 * np.abs(rows).max(axis=0).astype(np.float64)
    assert got.shape == rows.shape[1:]
    assert got.dtype == np.float64
    assert np.isfinite(got).all()
    assert (got >= rows.min(axis=0) - slack).all()
    assert (got <= rows.max(axis=0) + slack).all()


@pytest.mark.parametrize("size", [1e-6, 1e-30, 1e30])
def test_rule_keeps_the_digits_of_float32_updates(each_rule: Rule, size: float) -> None:
    rows = (size * np.random.default_rng(1).normal(size=(9, 300))).astype(np.float32)
    expected = aggregated(each_rule, rows.astype(np.float64) / size) * size
    np.testing.assert_allclose(aggregated(each_rule, rows), expected, rtol=1e-6, atol=1e-9 * size)


def test_identical_rows_are_their_own_aggregate(each_rule: Rule) -> None:
    row = np.random.default_rng(2).normal(size=50).astype(np.float32)
    np.testing.assert_allclose(aggregated(each_rule, np.tile(row, (8, 1))), row, rtol=1e-12)


def test_half_of_the_rows_equal_still_gives_a_finite_result(each_rule: Rule) -> None:
    rows = np.random.default_rng(3).normal(size=(10, 6))
    rows[:5] = rows[0]
    assert np.isfinite(aggregated(each_rule, rows)).all()


def test_rule_does_not_write_to_what_it_is_given(each_rule: Rule) -> None:
    rows = np.random.default_rng(4).normal(size=(9, 5))
    before = rows.copy()
    aggregated(each_rule, rows)  # raises on a write: the rows are read-only
    np.testing.assert_array_equal(rows, before)


@pytest.mark.parametrize("distance", [1e3, 1e30])
@pytest.mark.parametrize("sign", [1, -1])
def test_far_rows_cannot_move_a_robust_rule_but_move_the_others(each_rule: Rule, distance: float, sign: int) -> None:
    rows = np.random.default_rng(5).normal(size=(9, 40)).astype(np.float32)
    rows[:N_HOSTILE] = sign * distance * (1 + np.arange(N_HOSTILE)[:, None])
    honest = rows[N_HOSTILE:].astype(np.float64)
    center = honest.mean(axis=0)
    moved = np.linalg.norm(aggregated(each_rule, rows) - center)
    # 2(n-f)/(n-2f) radii: the geometric median's bound, the weakest of those that the rules promise
    bound = 2 * 7 / 5 * np.linalg.norm(honest - center, axis=1).max()
    assert (moved > bound) == (name_of(each_rule) in NOT_ROBUST)


def test_a_hostile_majority_that_agrees_takes_over_every_rule(each_rule: Rule) -> None:
    rows = np.random.default_rng(6).normal(size=(9, 40))
    rows[:6] = 1e3
    assert aggregated(each_rule, rows).min() > 100


@pytest.mark.parametrize("n_hostile", [0, 1, 2, 5])
def test_rule_refuses_exactly_below_its_stated_limit(each_rule: Rule, n_hostile: int) -> None:
    if hasattr(each_rule, "n_hostile"):
        each_rule = dataclasses.replace(each_rule, n_hostile=n_hostile)
    stated = eval(each_rule.about.limit.removeprefix("n_rows >= "), {"n_hostile": n_hostile})
    assert each_rule.min_rows == stated
    rows = np.random.default_rng(7).normal(size=(stated, 3))
    assert np.isfinite(aggregated(each_rule, rows)).all()
    assert refusal(each_rule, stated, stated) is None
    with pytest.raises(RefusedError) as refused:
        aggregated(each_rule, rows[1:])
    assert str(refused.value) == refusal(each_rule, stated - 1, stated - 1)
    assert str(refused.value).startswith(f"n_rows={stated - 1}")


# --- steps and secure aggregation


@SMALL
@given(rows=WHOLE)
def test_step_equals_its_oracle(each_step: Step, rows: np.ndarray) -> None:
    rows.setflags(write=False)
    expected = getattr(oracles, name_of(each_step))(rows.tolist(), **dataclasses.asdict(each_step))
    np.testing.assert_allclose(each_step(clear(rows), stream(0, "step")).rows, expected, rtol=1e-12)


@SMALL
@given(rows=ANY_FLOAT32)
def test_step_gives_finite_rows_for_all_of_float32(each_step: Step, rows: np.ndarray) -> None:
    rows.setflags(write=False)
    assert np.isfinite(each_step(clear(rows), stream(0, "step")).rows).all()


def test_secure_aggregation_shows_no_more_rows_than_it_says_and_keeps_the_total(each_secagg: SecureAggregation) -> None:
    updates = np.random.default_rng(8).normal(size=(12, 5)).astype(np.float32)
    updates.setflags(write=False)
    names = tuple(f"h{i:02}" for i in range(12))
    view = each_secagg(updates, names, np.arange(1.0, 13.0))
    assert len(view.rows) == len(view.members) == each_secagg.n_rows(12)
    assert sorted(name for group in view.members for name in group) == list(names)
    np.testing.assert_allclose(view.sizes @ view.rows, updates.sum(axis=0, dtype=np.float64), rtol=1e-6)


# --- attacks


def knowledge(level: str, own: np.ndarray, others: np.ndarray) -> Knowledge:
    """What the engine tells the hostile hospitals at ``level``; arrays cannot be written to."""
    own = own[:1] if level == "own" else own
    full = level in ("updates", "updates_and_rule")
    for part in (own, others):
        part.setflags(write=False)
    return Knowledge(own, 10, N_HOSTILE, others if full else None, np.mean if level == "updates_and_rule" else None)


@pytest.mark.parametrize("level", LEVELS)
@SMALL
@given(seed=st.integers(0, 2**32), size=st.sampled_from([1e-6, 1.0, 1e30]))
def test_byzantine_attack_sends_finite_rows_at_every_level_it_accepts(
    each_byzantine: Byzantine, level: str, seed: int, size: float
) -> None:
    if LEVELS.index(level) < LEVELS.index(each_byzantine.about.needs):
        return
    updates = (size * np.random.default_rng(seed).normal(size=(10, 4))).astype(np.float32)
    known = knowledge(level, updates[:N_HOSTILE], updates[N_HOSTILE:])
    sent = each_byzantine(known, stream(seed, "attack"))
    assert sent.shape == known.own.shape
    assert np.isfinite(sent).all()
    np.testing.assert_array_equal(sent, each_byzantine(known, stream(seed, "attack")))


def test_poison_keeps_the_shape_and_does_not_write_to_the_records(each_poison: Poison) -> None:
    rng = np.random.default_rng(9)
    schema = Schema(tuple(Field(f"measure{i}", "continuous", (i,)) for i in range(3)), 3)
    records = Records(rng.normal(size=(20, 3)).astype(np.float32), rng.integers(2, size=20).astype(np.float32))
    records.features.setflags(write=False)
    records.labels.setflags(write=False)
    poisoned = each_poison(records, schema, stream(0, "poison"))
    assert poisoned.features.shape == (20, 3)
    assert poisoned.features.dtype == poisoned.labels.dtype == np.float32
    assert set(poisoned.labels) <= {0.0, 1.0}
    assert (poisoned.labels != records.labels).any() or (poisoned.features != records.features).any()


@pytest.mark.parametrize("row", [0.0, 1.0, 1e-45, 1e30])
def test_inversion_survives_updates_that_say_nothing(each_inversion: Inversion, row: float) -> None:
    schema = Schema((Field("age", "continuous", (0,)), Field("sex", "categorical", (1, 2), ("female", "male"))), 3)
    layout = (("0.weight", (4, 3)), ("0.bias", (4,)), ("2.weight", (1, 4)), ("2.bias", (1,)))
    rows = np.full((2, 21), row, np.float32)
    found = each_inversion(Observation(clear(rows), np.zeros(21), layout, schema), stream(0, "inversion"))
    assert [guesses.shape[1] for guesses in found] == [3, 3]
    assert [len(guesses) for guesses in found] == [0, 0]
