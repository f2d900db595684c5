"""The command of a run gives the configuration of the run again, value for value."""

from __future__ import annotations

import shlex

import pytest
from hydra import initialize_config_module

from sim import api
from sim.config import stacks
from sim.config import words as given
from sim.config.groups import canonical
from sim.evidence.commands import command, config_dir_of, words
from sim.study import compose
from sim.study.compose import Cell

SMALL = (
    "consortium=synthetic",
    "consortium.n_hospitals=9",
    "consortium.n_records=40",
    "model.hidden=[6,3]",
    "training.rounds=1",
    "adversary.n_hostile=2",
)
# words of a comparison that change a choice, a value of one, or a part of a stack; and a cell of it
ASKED: dict[str, tuple[tuple[str, ...], Cell]] = {
    "values": (
        (*SMALL, "attack.alie.z=1.5", "dp.target_epsilon=4", "training.lr=0.05"),
        Cell(("alie",), "dp_record+krum+nnm"),
    ),
    "parts_in_place_of_others": (
        (*SMALL, "dp=record", "steps=[clip]", "steps.clip.max_norm=2", "report.material_drop=0.1"),
        Cell(("label_flip", "sign_flip"), "median"),
    ),
    "stacks": (
        (*SMALL, "dp.record.delta=1e-6", "adversary.placement=largest", "adversary.every=2"),
        Cell(("none",), "dp_record+dp_hospital"),
    ),
    # the adversary's usual number, which is not the consortium's
    "nobody_is_hostile": (("consortium=heart4", "adversary.n_hostile=0"), Cell(("none",), "none")),
    "mappings_and_terms": (
        (
            *("consortium.sites={cleveland:3,va:2}", "policy.dp=true", "dp=record"),
            *("hardening=adversarial", "hardening.reach=0.2", "server.weight_cap=2"),
            *("device=auto", "model=logistic", "training.batch_size=8"),
        ),
        Cell(("none",), "none"),
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_the_words_of_a_run_compose_its_configuration(name: str) -> None:
    asked, cell = ASKED[name]
    with initialize_config_module("conf", version_base="1.3"):
        (made,) = compose.experiments(asked, [cell], [3])
        found = words(made.config)
        given.check(found)
        stacks.make([made.config["defense"]["name"]])
        assert canonical(compose.single(found).config) == canonical(made.config)


def test_the_command_of_a_run_leaves_the_same_run() -> None:
    first = api.compare(
        *SMALL,
        attacks=["sign_flip"],
        defenses=["trimmed_mean"],
        seeds=[5],
        workers=1,
    )
    (record,) = (one for one in first.records if "none" not in (one.attack, one.defense))
    program, verb, *asked = shlex.split(command(record.config))
    assert (program, verb) == ("wardround", "run")
    (again,) = api.run(*asked).records
    assert again.run == record.run
    assert again.outcomes == record.outcomes


def test_a_choice_that_the_project_does_not_offer_is_spelled_out() -> None:
    config = {
        "attack": [["mine", {"_target_": "my_package.Mine", "by": 2.0}]],
        "defense": {"name": "theirs"},
        "label": "theirs",
        "aggregator": {"_target_": "my_package.Theirs", "note": "it's"},
        "plugins": {"my_package": "0" * 16},
        "seed": 4,
    }
    assert words(config) == [
        "plugins=[my_package]",
        "attack=[mine]",
        "++attack.mine._target_=my_package.Mine",
        "++attack.mine.by=2.0",
        "defense=theirs",
        "++aggregator.note='it\\'s'",
        "seed=4",
    ]
    line = command(config, "/a folder")
    assert shlex.split(line)[:4] == ["wardround", "run", "--config-dir", "/a folder"]
    assert config_dir_of(line) == "/a folder"
    given.check([word for word in words(config) if "plugins" not in word])


@pytest.mark.parametrize("line", [None, 3, "wardround compare seeds=3", "x --config-dir", "it's"])
def test_a_command_without_a_folder_of_choices_has_none(line: object) -> None:
    assert config_dir_of(line) is None


def test_parts_in_the_name_of_a_defense_are_words() -> None:
    config = {
        "defense": {"name": "secagg+median"},
        "label": "secagg+median+steps=[clip,nnm]+~dp",
    }
    assert words(config) == ["attack=[none]", "defense=secagg+median", "steps=[clip,nnm]", "~dp"]
