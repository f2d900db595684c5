"""The estimate of time has what attacks compute beside training, by their own counts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import nan
from typing import Any, cast

import numpy as np
import pytest

from attacks._shared import art
from attacks.evasion.projected_gradient import ProjectedGradient
from attacks.extraction.knockoff import Knockoff
from attacks.inference.lira import LiRA
from attacks.inference.property_inference import PropertyInference
from attacks.inversion.dlg import DLG
from attacks.inversion.inverting_gradients import InvertingGradients
from attacks.inversion.tableak import TabLeak
from sim.errors import PluginError
from sim.study import costs, searching
from sim.study.experiment import Experiment
from sim.study.run import run
from sim.types import LocalTraining, Look, Observation, Pass, Passing
from tests.federation import attacked, experiment
from tests.toolbox import HAS_ART

SMALL = ("consortium=heart4", "training.rounds=2", "training.local_steps=1")
needs_art = pytest.mark.skipif(not HAS_ART, reason="ART is not installed; `make toolbox` runs it")
FACTOR = 3.0  # by which an estimate may be off


class Counted:
    """A training that counts what is computed, by tries, records and hospitals."""

    def __init__(self, training: LocalTraining) -> None:
        self.training = training
        self.calls = Counter[tuple[int, int, int]]()

    def __call__(self, features: Any, labels: Any, n_hospitals: int = 1) -> Any:
        return self.training(features, labels, n_hospitals)

    def traced(self, features: Any, labels: Any, n_hospitals: int = 1) -> Any:
        self.calls[len(labels), labels.shape[1], n_hospitals] += 1
        return self.training.traced(features, labels, n_hospitals)


def observed(*words: str) -> tuple[Observation, list[tuple[int, int]], Counted]:
    """What an inversion is given of a small run, its rows, and what counts its training."""
    here = searching._Here(experiment(*SMALL, *words))
    assert here.observation is not None
    assert here.observation.training is not None
    counted = Counted(here.observation.training)
    seen = replace(here.observation, training=cast(LocalTraining, counted))
    return seen, here.rows, counted


@pytest.mark.parametrize(
    "attack",
    [
        TabLeak(iterations=4, ensemble=3, refinements=0),
        InvertingGradients(iterations=5, restarts=3),
    ],
)
@pytest.mark.parametrize("words", [("training.batch_size=2",), ("training.batch_size=3",)])
def test_an_attack_computes_as_many_updates_as_it_states(
    attack: TabLeak | InvertingGradients, words: tuple[str, ...]
) -> None:
    seen, rows, counted = observed(*words)
    attack(seen, np.random.default_rng(0))
    stated = Counter[tuple[int, int, int]]()
    for look in attack.looks(rows):
        stated[look[:3]] += look.evaluations
    assert counted.calls == stated
    assert sum(stated.values()) > 0


def test_an_attack_that_stops_by_itself_states_the_most_that_it_computes() -> None:
    seen, rows, counted = observed("training.batch_size=1", "model=mlp")
    attack = DLG(evaluations=6)
    attack(seen, np.random.default_rng(0))
    most = sum(one.evaluations for one in attack.looks(rows))
    assert most / 2 < counted.calls.total() <= 2 * most  # a line search may go one look further
    tries = TabLeak(iterations=3, ensemble=2, refinements=7).looks([(4, 1), (33, 1), (5, 2)])
    assert tries == [Look(2, 4, 1, 4), Look(1, 4, 1, 7)]


def test_of_many_tries_some_are_timed() -> None:
    here = searching._Here(experiment(*SMALL, "training.batch_size=4", "attack=[tableak]"))
    assert here.observation is not None
    counted = Counted(cast(LocalTraining, here.observation.training))
    vars(here)["observation"] = replace(here.observation, training=cast(LocalTraining, counted))
    few, many = (here.look(Look(tries, 4, 1, 1)) for tries in (64, 64_000))
    assert counted.calls.keys() == {(64, 4, 1)}
    assert 100 * few < many < 10_000 * few


@dataclass(frozen=True)
class Odd:
    """An attack whose members happen to have the names of those that are for estimates."""

    found: Any

    def looks(self, rows: Any) -> Any:
        return self.found


@dataclass(frozen=True)
class OddTrying:
    """An attack whose parameter happens to have the name of one that is for estimates."""

    tries: Any


@dataclass(frozen=True)
class OddShadowing:
    """An attack whose method happens to have the name of one that is for estimates."""

    found: Any

    def trainings(self, rounds: int, n_hospitals: int) -> Any:
        return self.found


@dataclass(frozen=True)
class OddPassing:
    """An attack whose method happens to have the name of one that is for estimates."""

    found: Any

    def passes(self, schema: Any, n_records: int) -> Any:
        return self.found


@pytest.mark.parametrize(
    "attack",
    [
        *(OddPassing(found) for found in (None, 3, [("answers", 1, 1)], [Pass("answers", 1, -1)])),
        OddPassing([Pass(cast(Any, "guesses"), 1, 1)]),
        *(Odd(found) for found in (None, 3, [(1, 4, 1, 1)], [Look(1, 0, 1, 1)])),
        Odd([Look(1, 4, 1, cast(int, 0.5))]),
        *(kind(found) for kind in (OddTrying, OddShadowing) for found in ("many", None, -1, nan)),
    ],
    ids=repr,
)
def test_an_attack_that_states_no_amount_is_named(attack: Any) -> None:
    whole = attacked(experiment(*SMALL, "attack=[none]"), {"odd": attack})
    with pytest.raises(PluginError, match=rf"the plug-in \S+\.{type(attack).__name__} returned"):
        searching.seconds(whole)


def test_models_of_an_attackers_own_count_as_federations() -> None:
    assert LiRA(models=16).trainings(40, 12) == 16
    assert PropertyInference(n_rounds=3).trainings(30, 12) == pytest.approx(40 * 3 / 30)


@pytest.mark.parametrize("attack", ["none", "alie", "label_flip", "analytic_inversion"])
def test_an_attack_that_searches_nothing_adds_no_time(attack: str) -> None:
    assert not searching.searches(experiment(*SMALL, f"attack=[{attack}]"))


@pytest.mark.parametrize(
    ("attack", "less", "more"),
    [
        ("tableak", {"iterations": 100}, {"iterations": 800}),
        ("inverting_gradients", {"iterations": 100}, {"iterations": 800}),
        ("lira", {"models": 8}, {"models": 64}),
    ],
)
def test_what_an_attack_searches_is_in_the_estimate_of_a_run(
    attack: str, less: dict[str, int], more: dict[str, int]
) -> None:
    def estimated(values: dict[str, int]) -> float:
        words = [f"attack.{attack}.{key}={value}" for key, value in values.items()]
        return costs.seconds([experiment(*SMALL, f"attack=[{attack}]", *words)])

    alone = costs.seconds([experiment(*SMALL, "attack=[none]")])
    assert estimated(more) > 2 * estimated(less) > 2 * alone


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("evasion.steps", (20, 400)),
        ("evasion.levels", (0, 5)),
        ("extraction.epochs", (100, 1000)),
        ("extraction.queries", (5, 50)),
    ],
)
def test_what_the_toolbox_asks_of_a_final_model_is_in_the_estimate(
    key: str, values: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its parameters, so that the toolbox need not be installed."""
    monkeypatch.setattr(art, "require", lambda _: None)
    attack = key.partition(".")[0]
    less, more = (
        experiment(*SMALL, f"attack=[{attack}]", f"attack.{key}={value}") for value in values
    )
    asked = [n_passes(one, attack) for one in (less, more)]
    assert asked[1] > asked[0] > 0
    assert searching.searches(less)
    assert searching.seconds(more) > searching.seconds(less) / 2 > 0


def n_passes(whole: Experiment, attack: str) -> int:
    plugin = whole.attack_plan.attacks[attack]
    assert isinstance(plugin, Passing)
    n_records = sum(len(one.test) for one in whole.consortium.hospitals)
    return sum(one.n_records * one.times for one in plugin.passes(whole.plan.columns, n_records))


def test_as_many_passes_are_stated_as_levels_and_steps_make(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(art, "require", lambda _: None)
    whole = experiment(*SMALL, "attack=[evasion]", "attack.evasion.levels=2")
    schema = whole.plan.columns
    tried = sum(
        len(field.columns)
        for field in schema.fields
        if field.kind == "categorical" and field.name not in ("age", "sex")
    )
    assert ProjectedGradient(levels=2, steps=7).passes(schema, 30) == [
        Pass("gradients", 30, 7), Pass("answers", 30, 2 * (1 + tried)),
    ]  # fmt: skip
    assert Knockoff(queries=500, epochs=9).passes(schema, 31) == [
        Pass("answers", 15, 1), Pass("training", 15, 9),
    ]  # fmt: skip
    assert Knockoff("uniform", 500, 9).passes(schema, 31)[1] == Pass("training", 500, 9)


def processor(task: Callable[[], object]) -> float:
    """Processor seconds of a task, the less of two times."""
    found = []
    for _ in range(2):
        start = time.process_time()
        task()
        found.append(time.process_time() - start)
    return min(found)


@pytest.mark.parametrize(
    "words",
    [
        ("attack=[tableak]", "attack.tableak.iterations=100", "training.batch_size=4"),
        ("attack=[inverting_gradients]", "attack.inverting_gradients.iterations=150"),
        ("attack=[lira]", "attack.lira.models=32", "training.rounds=6"),
        pytest.param(("attack=[evasion]", "attack.evasion.steps=400"), marks=needs_art),
        pytest.param(("attack=[extraction]", "attack.extraction.epochs=200"), marks=needs_art),
    ],
    ids=lambda words: words[0],
)
def test_the_estimate_of_a_search_is_right_within_a_factor(words: tuple[str, ...]) -> None:
    """By processor time, of the attacked run less that of the same run without the attack."""
    whole = experiment(*SMALL, *words)
    alone = attacked(whole, {})
    taken = processor(lambda: run(whole)) - processor(lambda: run(alone))
    assert taken / FACTOR < searching.seconds(whole) < FACTOR * taken
