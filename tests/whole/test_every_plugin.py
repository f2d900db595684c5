"""One table of properties over every plug-in in conf/: a new plug-in is held to them without a line
added here.
"""

import dataclasses
import re
import sys
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from omegaconf import OmegaConf

from sim.design.views import averages
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
    Roll,
    Rule,
    SecureAggregation,
    TableSchema,
    View,
)
from tests.conftest import N_HOSTILE

SMALL = settings(max_examples=40, deadline=None)
SHAPES = st.tuples(st.integers(7, 12), st.integers(1, 5))
# full of ties and duplicates
WHOLE = arrays(np.float64, SHAPES, elements=st.integers(-50, 50).map(float))
ANY_FLOAT32 = arrays(
    np.float32, SHAPES, elements=st.floats(allow_nan=False, allow_infinity=False, width=32)
)
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
    n, d, size = (
        draw(st.integers(7, 12)),
        draw(st.integers(2, 40)),
        draw(st.sampled_from([1e-6, 1.0, 1e3])),
    )
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
    assert (type(each_plugin).__doc__ or "").splitlines()[0].endswith(".")  # a line of the listing
    assert LEVELS.index(about.needs) <= LEVELS.index(about.uses)
    fields = {field.name for field in dataclasses.fields(each_plugin)}
    assert all(variant.split("=")[0] in fields for variant in about.variants)


def test_the_year_of_the_paper_stands_in_the_modules_first_lines(each_plugin: Any) -> None:
    module = sys.modules[type(each_plugin).__module__]
    assert re.search(rf"\b{each_plugin.about.year}\b", module.__doc__ or "")


@pytest.fixture(scope="module")
def targets(pytestconfig: pytest.Config) -> dict[str | None, list[dict[str, Any]]]:
    """What the files of each plug-in in conf/ state of it, by its target."""
    found = defaultdict[str | None, list[dict[str, Any]]](list)
    for path in (pytestconfig.rootpath / "conf").glob("*/*.yaml"):
        node = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
        found[node.pop("_target_", None)].append(node)
    return found


def test_yaml_states_each_parameter_and_its_default_and_takes_n_hostile_from_the_adversary(
    each_plugin: Any, targets: dict[str | None, list[dict[str, Any]]]
) -> None:
    defaults = {
        field.name: list(field.default) if isinstance(field.default, tuple) else field.default
        for field in dataclasses.fields(each_plugin)
    }
    files = targets[f"{type(each_plugin).__module__}.{type(each_plugin).__qualname__}"]
    for stated in files:
        assert set(stated) == set(defaults)
        assert stated.get("n_hostile", "${adversary.n_hostile}") == "${adversary.n_hostile}"
    # a second file of a class names a variant of it
    assert any(
        all(
            "$" in str(stated[name]) or default in (dataclasses.MISSING, stated[name])
            for name, default in defaults.items()
        )
        for stated in files
    )


# --- secure aggregation


def test_secure_aggregation_groups_each_hospital_once_and_keeps_the_total(
    each_secagg: SecureAggregation,
) -> None:
    updates = np.random.default_rng(8).normal(size=(12, 5)).astype(np.float32)
    updates.setflags(write=False)
    names = tuple(f"h{i:02}" for i in range(12))
    groups = each_secagg(Roll(names, tuple(range(12))), np.random.default_rng(0))
    assert sorted(name for group in groups for name in group) == list(names)
    assert min(map(len, groups)) >= each_secagg.least
    view = averages(groups, each_secagg.least, names, updates, np.arange(1.0, 13.0))
    assert view.members == groups
    np.testing.assert_allclose(
        view.sizes @ view.rows, updates.sum(axis=0, dtype=np.float64), rtol=1e-6
    )


# --- attacks


def knowledge(level: str, own: np.ndarray, others: np.ndarray) -> Knowledge:
    """What the engine tells the hostile hospitals at ``level``; arrays cannot be written to."""
    own = own[:1] if level == "own" else own
    full = level in ("updates", "updates_and_rule")
    for part in (own, others):
        part.setflags(write=False)
    return Knowledge(
        own,
        10,
        N_HOSTILE,
        others if full else None,
        np.mean if level == "updates_and_rule" else None,
    )


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
    schema = TableSchema(tuple(Field(f"measure{i}", "continuous", (i,)) for i in range(3)), 3)
    records = Records(
        rng.normal(size=(20, 3)).astype(np.float32), rng.integers(2, size=20).astype(np.float32)
    )
    records.features.setflags(write=False)
    records.labels.setflags(write=False)
    poisoned = each_poison(records, schema, stream(0, "poison"))
    assert poisoned.features.shape == (20, 3)
    assert poisoned.features.dtype == poisoned.labels.dtype == np.float32
    assert set(poisoned.labels) <= {0.0, 1.0}
    assert (poisoned.labels != records.labels).any() or (
        poisoned.features != records.features
    ).any()


@pytest.mark.parametrize("row", [0.0, 1.0, 1e-45, 1e30])
def test_inversion_survives_updates_that_carry_nothing(
    each_inversion: Inversion, row: float
) -> None:
    schema = TableSchema(
        (Field("age", "continuous", (0,)), Field("sex", "categorical", (1, 2), ("female", "male"))),
        3,
    )
    layout = (("0.weight", (4, 3)), ("0.bias", (4,)), ("2.weight", (1, 4)), ("2.bias", (1,)))
    rows = np.full((2, 21), row, np.float32)
    found = each_inversion(
        Observation(clear(rows), np.zeros(21), layout, schema), stream(0, "inversion")
    )
    assert [guess.records.shape for guess in found] == [(0, 3), (0, 3)]
