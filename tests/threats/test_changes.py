"""Changes of a design are single, cheapest first, and give no protection up unasked."""

from __future__ import annotations

from typing import Any

from tests import designs
from threats import problems
from threats.changes import COSTS, Change, changes, filled
from threats.system import Design

CONFIG: dict[str, Any] = {
    "training": {"batch_size": 16, "local_epochs": 1, "local_steps": None},
    "dp": None,
    "steps": [],
    "consortium": {"n_hospitals": designs.HOSPITALS},
}
PRIVATE = CONFIG | {"dp": {"target_epsilon": 8.0}}


def design(**changes: Any) -> Design:
    return problems.design(designs.values(**changes))


def made(config: dict[str, Any] = CONFIG, **changed: Any) -> list[Change]:
    return changes(design(**changed), config)


def epsilons(found: list[Change]) -> set[object]:
    values = [one.design.stack(one.design.declared).values for one in found]
    return {one["dp.target_epsilon"] for one in values if "dp.target_epsilon" in one}


def test_the_cheapest_changes_come_first() -> None:
    costs = [one.cost for one in made(declared="undefended")]
    assert costs == sorted(costs, key=list(COSTS).index)
    assert set(costs) == set(COSTS)


def test_each_change_is_a_design_of_its_own_that_holds_together() -> None:
    texts = []
    for one in made(declared="undefended"):
        values = one.design.model_dump(mode="json", by_alias=True, exclude_unset=True)
        assert problems.design(values).digest == one.design.digest
        assert one.design.digest != design(declared="undefended").digest
        texts.append(one.text)
    assert len(texts) == len(set(texts))


def test_a_stack_of_the_design_costs_nothing_in_code() -> None:
    (first, *_) = made(declared="undefended")
    assert (first.cost, first.design.declared) == ("nothing", "robust")


def numbers(found: list[Change], key: str) -> set[object]:
    """What the changes of the training make of one of its values."""
    before = design().federation.training
    after = [one.design.federation.training for one in found if one.cost == "number"]
    return {training[key] for training in after if training.get(key) != before.get(key)}


def test_batches_and_the_work_of_a_round_are_halved_and_doubled_once_and_twice() -> None:
    found = made()
    assert numbers(found, "batch_size") == {4, 8, 32, 64}
    assert numbers(found, "local_epochs") == {2}
    assert numbers(found, "local_steps") == {1}
    training = CONFIG["training"] | {"batch_size": 2, "local_steps": 10}
    found = made(CONFIG | {"training": training})
    assert numbers(found, "batch_size") == {1, 4, 8}
    assert numbers(found, "local_steps") == {2, 5, 20, 40}


def test_one_hospital_more_where_the_data_set_allows_it() -> None:
    (joined,) = [one for one in made() if one.cost == "members"]
    assert joined.design.federation.consortium.values["n_hospitals"] == designs.HOSPITALS + 1
    sites = {"consortium": {"sites": {"a": 1, "b": 2}}}
    assert len([one for one in made(CONFIG | sites) if one.cost == "members"]) == 2
    for fixed in ({}, {"n_hospitals": 8, "partition": None}):
        assert not [one for one in made(CONFIG | {"consortium": fixed}) if one.cost == "members"]


def test_epsilon_rises_only_where_a_criterion_asks_how_much_is_spent() -> None:
    stacks = [{"id": "robust", "defense": "dp_record"}]
    assert epsilons(made(PRIVATE, stacks=stacks)) == {2.0, 4.0}
    asked = [designs.criterion(metric="epsilon", at_least=None, at_most=20.0)]
    found = made(PRIVATE, stacks=stacks, acceptance=asked)
    assert epsilons(found) == {2.0, 4.0, 16.0, 32.0}


def test_no_change_of_the_rule_takes_secure_aggregation_or_privacy_away() -> None:
    stacks = [{"id": "robust", "defense": "median+dp_record", "values": {"dp.delta": 1e-6}}]
    for one in made(PRIVATE, stacks=stacks):
        stack = one.design.stack(one.design.declared)
        assert "dp" in frozenset().union(*(filled(part) for part in stack.defense.split("+")))
        assert stack.values["dp.delta"] == 1e-6


def test_a_clip_may_be_shorter_or_longer() -> None:
    steps = [["clip", {"max_norm": 1.0}]]
    stacks = [{"id": "robust", "defense": "norm_bounding"}]
    found = made(CONFIG | {"steps": steps}, stacks=stacks)
    radii = {
        one.design.stack(one.design.declared).values.get("steps.clip.max_norm") for one in found
    }
    assert radii == {None, 0.25, 0.5, 2.0, 4.0}
