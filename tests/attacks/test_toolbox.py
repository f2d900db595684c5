"""Evasion and extraction by the Adversarial Robustness Toolbox, on tables and images.

`make toolbox` installs it and runs these.
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from attacks._shared import art
from sim import feasible
from sim.errors import UndefinedError
from sim.evidence import RunRecord
from sim.models.released import ReleasedModel
from sim.seeds import stream
from sim.study.run import run
from sim.types import Records
from tests.federation import experiment, finished
from tests.toolbox import HAS_ART

HEART = ("consortium=heart4", "training.rounds=10")
TILES = ("consortium=ihc4", "model=cnn", "training.rounds=10")
IMAGES = ("attack.evasion.reach=0.03137", "attack.evasion.levels=0")
needs_art = pytest.mark.skipif(not HAS_ART, reason="ART is not installed; `make toolbox` runs it")


def attacked(name: str, *words: str) -> RunRecord:
    return run(experiment(f"attack={name}", *words))


@pytest.fixture(scope="module")
def heart() -> tuple[ReleasedModel, Records, Records]:
    """A final model, its training records and its test records."""
    asked = experiment(*HEART)
    hospitals = asked.consortium.hospitals
    parts = [
        Records(
            np.concatenate([getattr(one, part).features for one in hospitals]),
            np.concatenate([getattr(one, part).labels for one in hospitals]),
        )
        for part in ("train", "test")
    ]
    return ReleasedModel(asked.plan.network, finished(asked).weights), *parts


def test_without_the_toolbox_an_attack_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(art, "find_spec", lambda _: None)
    for name in ("evasion", "extraction"):
        with pytest.raises(UndefinedError, match=rf"^attack\.{name}\._target_=.*wardround\[art\]"):
            experiment(f"attack={name}")


def test_nothing_of_the_toolbox_is_imported_before_it_is_asked_for() -> None:
    asked = (
        "import sys; from tests.federation import experiment; experiment('attack=structural_risk');"
        "import attacks.evasion.projected_gradient, attacks.extraction.knockoff;"
        "sys.exit('art' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0


@needs_art
@pytest.mark.parametrize(("reach", "levels"), [(0.5, 0), (0.0, 1), (0.5, 2)])
def test_changes_of_a_record_are_feasible_and_turn_more_than_blind_ones(
    heart: tuple[ReleasedModel, Records, Records], reach: float, levels: int
) -> None:
    from attacks.evasion.projected_gradient import ProjectedGradient

    held, train, test = heart
    schema = experiment(*HEART).plan.columns
    attack = ProjectedGradient(reach=reach, levels=levels)
    space = attack.room(schema, test.features, train)
    made = attack(held, test, space, stream(0, "test"))
    assert feasible.is_possible(schema, test.features, made, space, levels).all()
    fixed = [column for field in schema.fields if field.name in ("age", "sex")
             for column in field.columns]  # fmt: skip
    assert np.array_equal(made[:, fixed], test.features[:, fixed].astype(np.float64))
    right = (held.logits(test.features) > 0) == (test.labels > 0.5)
    turned = (held.logits(made) > 0) != (test.labels > 0.5)
    blind = feasible.at_random(space, test.features, levels, stream(1, "test"))
    by_chance = (held.logits(blind) > 0) != (test.labels > 0.5)
    assert turned[right].mean() > 2 * by_chance[right].mean()


@needs_art
def test_one_step_is_the_fast_gradient_method_of_the_toolbox(
    heart: tuple[ReleasedModel, Records, Records],
) -> None:
    """By our own gradient: each movable value goes to its end along the sign of its slope."""
    from attacks.evasion.projected_gradient import ProjectedGradient

    held, train, test = heart
    schema = experiment(*HEART).plan.columns
    attack = ProjectedGradient(reach=0.01, levels=0, steps=1)
    space = attack.room(schema, test.features, train)
    made = attack(held, test, space, stream(0, "test"))
    slope = np.sign(held.gradients(test.features, test.labels))
    expected = feasible.inside(space, test.features + 0.01 * slope * (space.high > space.low))
    assert made == pytest.approx(expected, abs=1e-6)


@needs_art
def test_evasion_of_a_run_beats_blind_changes_on_tables_and_images() -> None:
    for words in (HEART, (*TILES, *IMAGES)):
        found = attacked("evasion", *words)
        assert found.value("evasion_success") > found.value("evasion_success_random") + 0.1


@needs_art
def test_without_room_for_changes_nothing_is_turned() -> None:
    words = ("attack.evasion.reach=0.0", "attack.evasion.levels=0")
    found = attacked("evasion", *HEART, *words)
    assert found.value("evasion_success") == found.value("evasion_success_random") == 0.0


@needs_art
def test_a_change_that_nobody_could_make_is_no_success(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from attacks.evasion.projected_gradient import ProjectedGradient

    def beyond(*given: object) -> np.ndarray:
        records = given[2]
        assert isinstance(records, Records)
        return records.features.astype(np.float64) + 100 * (1 - 2 * records.labels[:, None])

    monkeypatch.setattr(ProjectedGradient, "__call__", beyond)
    assert attacked("evasion", *HEART).value("evasion_success") == 0.0


@needs_art
def test_a_copy_made_by_queries_agrees_more_than_one_made_without() -> None:
    found = attacked("extraction", *HEART)
    assert found.value("extraction_agreement") > 0.93
    gap = found.value("extraction_agreement") - found.value("extraction_agreement_alone")
    assert gap > 0.05
    assert found.outcome("extraction_agreement").n == 138


@needs_art
def test_queries_that_are_no_images_copy_no_image_model() -> None:
    natural = attacked("extraction", *TILES)
    uniform = attacked("extraction", *TILES, "attack.extraction.distribution=uniform",
                       "attack.extraction.queries=100")  # fmt: skip
    assert natural.value("extraction_agreement") > 0.9
    assert uniform.value("extraction_agreement") < natural.value("extraction_agreement") - 0.2
    assert uniform.value("extraction_agreement") < uniform.value("extraction_agreement_alone")


@needs_art
@pytest.mark.parametrize("distribution", ["records", "fields", "uniform"])
def test_queries_have_the_form_of_records(distribution: str) -> None:
    from attacks.extraction.knockoff import Knockoff

    asked = experiment(*HEART)
    schema = asked.plan.columns
    own = asked.consortium.hospitals[0].test
    attack = Knockoff(distribution=distribution, queries=30)
    made = attack._queries(schema, own, stream(0, "test"))
    assert made.shape == (30, schema.n_features)
    for field in schema.fields:
        if field.kind == "categorical":
            assert (made[:, list(field.columns)].sum(axis=1) == 1).all()
    same = attack._queries(schema, own, stream(0, "test"))
    assert np.array_equal(made, same)


@needs_art
def test_the_same_seed_copies_the_same_model(
    heart: tuple[ReleasedModel, Records, Records],
) -> None:
    from attacks.extraction.knockoff import Knockoff

    held, _, test = heart
    schema = experiment(*HEART).plan.columns
    copies = [
        Knockoff(epochs=3)(held, schema, test, stream(0, "test")).logits(test.features)
        for _ in range(2)
    ]
    assert np.array_equal(*copies)
