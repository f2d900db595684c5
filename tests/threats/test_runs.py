"""The runs of a design follow from its powers, its criteria and the catalog."""

from __future__ import annotations

from typing import Any

import pytest

from tests import designs
from threats import catalog, design_files, problems, runs
from threats.problems import Problem
from threats.runs import Facts, Runs
from threats.system import Design

CATALOG = catalog.load()
CONFIG: dict[str, Any] = {"secagg": {}, "adversary": {"knowledge": "updates_and_rule"}}
UNKNOWING = CONFIG | {"adversary": {"knowledge": "own"}}
HIDDEN = CONFIG | {"secagg": {"_target_": "aggregators.secagg.sum.Sum"}}


def facts(**changes: Any) -> Facts:
    return Facts(**({"config": CONFIG, "n_hostile": 1} | changes))


def planned(design: Design, **changes: Any) -> Runs:
    found = runs.planned(design, CATALOG, facts(**changes))
    assert isinstance(found, Runs), found
    return found


def design(**changes: Any) -> Design:
    return problems.design(designs.values(**changes))


def named(name: str) -> Design:
    return design_files.read(design_files.find(name)).design


def planned_by_name(name: str) -> Runs:
    chosen = named(name)
    hides = "secagg" in chosen.stack(chosen.declared).defense
    return planned(chosen, config=HIDDEN if hides else CONFIG)


def reason(found: Runs, threat: str, attack: str | None = None) -> str:
    (only,) = {one.reason for one in found.untested if (one.threat, one.attack) == (threat, attack)}
    return only


def test_only_attacks_with_declared_powers_are_run() -> None:
    found = planned(design())
    assert found.attacks == ("label_flip",)
    assert found.stacks == ("undefended", "robust")
    assert found.n_runs == 2 * 2 * 3
    assert [one.threat for one in found.subjects if one.attacks] == ["THR-LF"]


@pytest.mark.parametrize("name", design_files.named())
def test_every_attack_that_is_run_is_within_the_powers_of_each_adversary_that_it_is_run_for(
    name: str,
) -> None:
    chosen = named(name)
    for subject in planned_by_name(name).subjects:
        for attack in subject.attacks:
            powers = set(chosen.adversary(subject.adversary).powers)
            assert any(set(way) <= powers for way in CATALOG.attack(attack).powers)


def test_what_applies_and_has_no_attack_is_not_tested_by_name() -> None:
    found = planned_by_name("heart12_hardened")
    assert "a matter of its operation" in reason(found, "THR-AGG")
    assert "inventory" in reason(found, "THR-SC")
    assert "does not declare" in reason(found, "THR-DOS", "honest_absence")


def test_every_threat_is_run_or_not_tested_or_does_not_apply() -> None:
    for name in design_files.named():
        found = planned_by_name(name)
        tested = {one.threat for one in found.subjects if one.attacks}
        stated = {one.threat for one in (*found.untested, *found.excluded)}
        assert tested | stated == {threat.id for threat in CATALOG.threats}


def test_an_attack_that_the_stack_does_not_define_is_not_run_and_stays_needed() -> None:
    found = planned(named("heart4_open"), refused={"constrain": "expected dp=none"})
    assert "constrain" not in found.attacks
    assert reason(found, "THR-MR", "constrain") == "expected dp=none"
    assert "constrain" in found.needed["THR-MR", "hostile-hospital"]


def test_the_attacks_of_criteria_are_those_that_decide_them() -> None:
    """What the stack does not define is among them, for a change of the design may define it."""
    asked = [designs.criterion(threat="THR-MR")]
    chosen = design(powers=["modify_update", "see_global_model"], acceptance=asked)
    found = planned(chosen, config=UNKNOWING, refused={"constrain": "expected dp=none"})
    assert runs.of_criteria(chosen, found) == ("model_replacement", "constrain", "neurotoxin")


def test_an_attack_that_takes_more_knowledge_than_its_adversary_has_is_not_needed() -> None:
    chosen = design(powers=["modify_update"], acceptance=[
        designs.criterion(threat="THR-BYZ")
    ])  # fmt: skip
    found = planned(chosen, config=UNKNOWING, needs={"alie": "colluders"})
    assert "alie" not in found.attacks
    assert "alie" not in found.needed["THR-BYZ", "hostile"]
    assert "it takes knowing the updates of all hostile hospitals (colluders)" in reason(
        found, "THR-BYZ", "alie"
    )
    assert "sign_flip" in found.attacks


@pytest.mark.parametrize(
    ("changes", "given", "expected"),
    [
        ({"acceptance": [designs.criterion(threat="THR-BYZ")]}, {}, "sends (modify_update)"),
        ({"acceptance": [designs.criterion(threat="THR-DBA")], "powers": [
            "control_training_data", "control_labels",
        ]}, {}, "2 parties that act together"),
        ({}, {"n_hostile": 3}, "3 hospitals are hostile"),
    ],
)  # fmt: skip
def test_a_criterion_beyond_the_powers_of_its_adversary_is_refused(
    changes: dict[str, Any], given: dict[str, Any], expected: str
) -> None:
    found = runs.planned(design(**changes), CATALOG, facts(**given))
    assert isinstance(found, Problem)
    assert found.key == "acceptance[0].adversary"
    assert expected in found.expected


def test_runs_that_know_more_than_the_adversary_declares_are_refused() -> None:
    chosen = design(powers=["modify_update"], acceptance=[
        designs.criterion(threat="THR-BYZ")
    ])  # fmt: skip
    found = runs.planned(chosen, CATALOG, facts())
    assert isinstance(found, Problem)
    assert "updates_and_rule" in found.expected


def test_an_adversary_of_sums_reads_no_single_updates() -> None:
    chosen = named("heart12_secagg_krum")
    found = runs.planned(chosen, CATALOG, facts())
    assert isinstance(found, Problem)
    assert "see_individual_updates" in found.expected
    assert "analytic_inversion" in planned_by_name("heart12_secagg_krum").attacks


def test_an_attack_on_images_is_needed_where_records_are_images_alone() -> None:
    chosen = named("heart12_secagg_krum")
    pair = next(one for one in planned(chosen, config=HIDDEN).needed if one[0] == "THR-GI")
    for images in (False, True):
        found = planned(chosen, config=HIDDEN, images=images)
        assert ("idlg" in found.needed[pair]) == ("idlg" in found.attacks) == images
        assert "analytic_inversion" in found.needed[pair]
        reasons = {one.reason for one in found.untested if one.attack == "idlg"}
        assert reasons == (
            set() if images else {"it is made for images, and records are rows of a table"}
        )


def test_an_attack_on_tables_is_needed_where_an_update_is_of_few_rows_alone() -> None:
    chosen = named("heart12_secagg_krum")
    for changes, expected in (
        ({"of_hospital": 32}, None),
        ({"of_hospital": 33}, "it tells at most 32 records of a hospital apart, and 33 are in an"),
        ({"of_steps": 1}, None),
        ({"of_steps": 2}, "updates of 2 steps of training take it too long"),
        ({"images": True}, "it is made for rows of a table, and records are images"),
    ):
        found = planned(chosen, config=HIDDEN, **changes)
        reasons = [one.reason for one in found.untested if one.attack == "tableak"]
        assert ("tableak" in found.attacks) == (expected is None)
        assert bool(reasons) == (expected is not None)
        assert all(one.startswith(expected) for one in reasons)


def test_there_are_as_many_seeds_as_the_criteria_take() -> None:
    assert planned(design()).seeds == (0, 1, 2)
    asked = [designs.criterion(min_seeds=7)]
    assert len(planned(design(acceptance=asked)).seeds) == 7
    assert len(planned(design(trial={"seeds": 9}, acceptance=asked)).seeds) == 9


def test_seeds_begin_where_the_design_states() -> None:
    """Bounds that were set by looking at some seeds are judged by others."""
    assert planned(design(trial={"seeds": 4, "first_seed": 10})).seeds == (10, 11, 12, 13)


def test_a_rate_of_records_takes_seeds_until_none_read_would_show_it() -> None:
    reading = {
        "id": "reader", "role": "aggregator", "at": ["server"],
        "powers": ["see_individual_updates"],
        "initiation": {"level": "low", "rationale": "made for a test"},
    }  # fmt: skip
    asked = designs.criterion(
        threat="THR-GI", adversary="reader", metric="reconstruction_rate", over="rate",
        at_most=0.05, at_least=None, min_seeds=1,
    )  # fmt: skip
    chosen = design(adversaries=[reading], acceptance=[asked], trial={"seeds": 1})
    many = planned(chosen, records=1000).wanted
    few = planned(chosen, records=10).wanted
    assert many == 3
    assert 6 <= few <= 12
    many_records = planned(
        design(adversaries=[reading], acceptance=[asked | {"min_trials": 299}], trial={"seeds": 1}),
        records=10,
    ).wanted
    assert many_records == 30
