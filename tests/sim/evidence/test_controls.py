"""One module pairs runs with their controls, by one table of what belongs to attack and defense."""

from __future__ import annotations

from typing import Any

import hydra
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.analysis import tables
from reports.analysis.seen import Seen
from reports.text import findings
from sim import evidence
from sim.config.groups import BELONGS
from sim.evidence import RunRecord
from sim.evidence.controls import Controls, design_of
from sim.study import compose
from sim.study.compose import Cell
from sim.study.experiment import Experiment
from sim.study.run import unattacked
from tests.records import make_record
from threats.cells import cells

# at least one a group
DEFENSES = (
    "median", "clip", "fedadam", "secagg", "dp_record", "adversarial_training", "fedadam+median",
    "fedyogi+median",
)  # fmt: skip
GROUPS = {
    "aggregator": "median",
    "steps": "clip",
    "server_optimizer": "fedadam",
    "secagg": "secagg",
    "dp": "dp_record",
    "hardening": "adversarial_training",
}
WORDS = ("consortium=heart4", "training.rounds=1", "model=logistic")


def experiments(
    *words: str,
    attacks: tuple[str, ...] = ("sign_flip",),
    defenses: tuple[str, ...] = DEFENSES,
    numbers: Any = None,
) -> list[Experiment]:
    overrides = [*WORDS, *words]
    with hydra.initialize_config_module("conf", version_base="1.3"):
        return compose.planned(
            overrides, compose.cells(attacks, defenses, numbers, overrides), [0, 1]
        )[0]


def recorded(experiment: Experiment) -> RunRecord:
    """Evidence with the configuration of a run; its figures are made up."""
    return make_record(
        run=f"{experiment.attack}-{experiment.label}-{experiment.settings.adversary.n_hostile}-{experiment.settings.seed}",
        config=experiment.config,
        attack=experiment.attack,
        defense=experiment.label,
        seed=experiment.settings.seed,
        hostile=list(experiment.attack_plan.hostile),
        data_hash=experiment.consortium.data_hash,
    )


@pytest.fixture(scope="module")
def grid() -> list[RunRecord]:
    return [recorded(experiment) for experiment in experiments()]


def test_the_defenses_of_the_grid_differ_in_each_group_of_a_defense(grid: list[RunRecord]) -> None:
    parts = {record.defense: record.config for record in grid}
    for group, name in GROUPS.items():
        assert parts[name].get(group) != parts["none"].get(group)


def test_every_run_of_the_grid_finds_both_controls_of_its_own_seed(grid: list[RunRecord]) -> None:
    controls = Controls(grid)
    assert len(grid) == 2 * 2 * (1 + len(DEFENSES))
    for record in grid:
        attack_free, undefended = controls.attack_free(record), controls.undefended(record)
        assert attack_free is not None
        assert undefended is not None
        assert (attack_free.attack, attack_free.defense, attack_free.seed) == (
            "none",
            record.defense,
            record.seed,
        )
        assert (undefended.attack, undefended.defense, undefended.seed) == (
            record.attack,
            "none",
            record.seed,
        )


def test_tables_reports_and_the_register_pair_the_grid_alike(grid: list[RunRecord]) -> None:
    runs = tables.runs(grid)
    assert runs["attack_free"].null_count() == runs["undefended"].null_count() == 0
    assert not [text for text in findings.cautions(Seen(grid)) if "missing" in text]
    assert all(cell.controlled == [0, 1] for cell in cells(grid))
    assert len(cells(grid)) == 1 + len(DEFENSES)
    assert all(
        row["attack_success"] is not None
        for row in evidence.results(grid)
        if row["attack"] != "none"
    )


def test_the_control_of_a_run_is_the_run_that_is_made_of_it_without_its_attack() -> None:
    plan = experiments(defenses=("median",))
    controls = Controls(map(recorded, plan))
    for experiment in plan:
        found = controls.attack_free(recorded(experiment))
        assert found is not None
        assert found.config == unattacked(experiment).config


@given(st.sampled_from([key for key in BELONGS if key not in ("label", "defense")]))
def test_a_control_shares_every_value_but_those_that_are_the_attacks_or_the_defenses_own(
    key: str,
) -> None:
    config = dict.fromkeys(BELONGS, "a")
    run = make_record(attack="x", defense="y", config=config)
    changed = config | {key: "b"}
    attack_free = Controls([make_record(defense="y", config=changed)]).attack_free(run)
    undefended = Controls([make_record(attack="x", config=changed)]).undefended(run)
    assert (attack_free is not None) == (BELONGS[key] in ("attack", "nothing"))
    assert (undefended is not None) == (BELONGS[key] in ("defense", "nothing"))
    alike = design_of(run) == design_of(run.model_copy(update={"config": changed}))
    assert alike == (BELONGS[key] in ("run", "nothing"))


@pytest.mark.parametrize(
    "change", [{"code": "other"}, {"data_hash": "1" * 64}, {"consortium": "b"}, {"n_hostile": 2}]
)
def test_a_run_of_other_code_data_consortium_or_hostile_hospitals_is_no_control(
    change: dict[str, Any],
) -> None:
    run = make_record(attack="x", defense="y")
    assert Controls([make_record(defense="y", **change)]).attack_free(run) is None
    assert Controls([make_record(attack="x", **change)]).undefended(run) is None


def test_the_later_of_two_runs_that_are_one_control_counts() -> None:
    first, second = make_record(run="first"), make_record(run="second")
    found = Controls([first, second]).attack_free(make_record(attack="x"))
    assert found is not None
    assert found.run == "second"


def test_a_part_put_into_every_defense_leaves_the_undefended_control_as_it_is() -> None:
    records = [
        recorded(experiment) for experiment in experiments("dp=record", defenses=("median",))
    ]
    assert {record.defense for record in records} == {"none", "median+dp=record"}
    assert all((record.config["dp"] is None) == (record.defense == "none") for record in records)
    controls = Controls(records)
    assert all(controls.attack_free(record) and controls.undefended(record) for record in records)


def test_no_defense_that_was_asked_for_by_name_is_run_with_that_part_too() -> None:
    records = [recorded(experiment) for experiment in experiments("dp=record", defenses=("none",))]
    assert {record.defense for record in records} == {"none", "none+dp=record"}


def test_attacks_that_take_no_hostile_hospital_run_where_nobody_is_hostile() -> None:
    words, attacks = (
        ("adversary.n_hostile=[0,1]",),
        ("honest_absence", "sign_flip", "analytic_inversion"),
    )
    plan = experiments(*words, attacks=attacks, defenses=("none",), numbers=[0, 1])
    ran = {(experiment.attack, experiment.settings.adversary.n_hostile) for experiment in plan}
    everywhere = {
        (name, n) for name in ("none", "honest_absence", "analytic_inversion") for n in (0, 1)
    }
    assert ran == everywhere | {("sign_flip", 1)}


def test_what_needs_hostile_hospitals_is_left_out_of_that_without_a_word() -> None:
    overrides = list(WORDS)
    with hydra.initialize_config_module("conf", version_base="1.3"):
        made, refused = compose.planned(overrides, compose.cells(["sign_flip"], ["none"], [0]), [0])
    assert ([one.attack for one in made], refused) == (["none"], [])


def test_a_cell_states_whether_it_is_the_undefended_control() -> None:
    found = compose.cells(["alie"], ["none"], overrides=["dp=record"])
    expected = [
        Cell((name,), "none", None, undefended=plain)
        for name in ("none", "alie")
        for plain in (True, False)
    ]
    assert found == expected
    assert [cell.asked for cell in found] == [False, False, False, True]


def test_a_changed_copy_has_controls_and_outcomes_of_its_own(grid: list[RunRecord]) -> None:
    record = next(one for one in grid if one.attack != "none")
    before = (record.without_attack, record.without_defense, record.has("auroc"))
    config = {**record.config, "training": {**record.config["training"], "rounds": 7}}
    changed = record.model_copy(update={"config": config, "outcomes": ()})
    assert changed.without_attack != before[0]
    assert changed.without_defense != before[1]
    assert before[2]
    assert not changed.has("auroc")
    assert changed.outcome("auroc") is None
    assert record == RunRecord.model_validate_json(record.model_dump_json())
