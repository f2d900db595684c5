"""Defenses stack: names joined with ``+``, of presets and of single parts; contradictions are
refused in one line.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any, Never

import hydra
import pytest

from sim.config import stacks
from sim.errors import InputError
from sim.study import compose
from sim.study.compose import Cell
from sim.study.plans import planned as planned_by_command
from sim.types import Node
from tests.commands import ALONE, FAST, results, wardround

PARTS = {
    "secagg+dp_record": {"secagg": "sum", "dp": "record"},
    "median+clip": {"steps": ["clip"], "aggregator": "median"},
    "clip+median": {"steps": ["clip"], "aggregator": "median"},
    "nnm+trimmed_mean": {"steps": ["nnm"], "aggregator": "trimmed_mean"},
    "norm_bounding+nnm_trimmed_mean": {"steps": ["clip", "nnm"], "aggregator": "trimmed_mean"},
    "nnm_trimmed_mean+norm_bounding": {"steps": ["nnm", "clip"], "aggregator": "trimmed_mean"},
    "arc+nnm+clip+krum+fedadam+record": {
        "steps": ["arc", "nnm", "clip"], "aggregator": "krum", "server_optimizer": "fedadam",
        "dp": "record",
    },
    "median+adversarial_training": {"aggregator": "median", "hardening": "adversarial"},
    "dp_record_hospital+secagg": {"secagg": "sum", "dp": "record_hospital"},
    "secagg+dp_record_hospital": {"secagg": "sum", "dp": "record_hospital"},
    "dp_record+dp_hospital+secagg": {"secagg": "sum", "dp": "record_hospital"},
    "mean+sum": {"aggregator": "mean", "secagg": "sum"},
    "clip": {"steps": ["clip"]},
}  # fmt: skip

CONTRADICTIONS = {
    "median+krum": (
        "expected one aggregator; median has aggregator=median and krum has aggregator=krum"
    ),
    "mean+median": "expected one aggregator; mean has",
    "nnm_trimmed_mean+trimmed_mean": (
        "expected aggregator=trimmed_mean once: nnm_trimmed_mean and trimmed_mean both have it"
    ),
    "fedadam+fedyogi": "expected one server_optimizer; ",
    "clip+clip": "expected clip once",
    "norm_bounding+clip": "expected steps=clip once: norm_bounding and clip both have it",
    "arc+nnm+arc_nnm_trimmed_mean": (
        "expected steps=arc once: arc and arc_nnm_trimmed_mean both have it"
    ),
    "dp_record+dp_hospital+dp_local": (
        "expected one dp; dp_record+dp_hospital has dp=record_hospital and dp_local has dp=local"
    ),
    "dp_record_hospital+dp_record": (
        "expected one dp; dp_record_hospital has dp=record_hospital and dp_record has dp=record"
    ),
    "dp_record_hospital+record_hospital": (
        "expected dp=record_hospital once: dp_record_hospital and record_hospital both have it"
    ),
    "median+none": "none is no part of a stack",
    "median+": "expected one of ",
    "+median": "expected one of ",
    "median++clip": "expected one of ",
    "median+../krum": "expected one of ",
    "median+nope": "expected one of ",
}


@pytest.fixture
def _initialized() -> Any:
    with hydra.initialize_config_module("conf", version_base="1.3"):
        yield


def planned(words: list[str], defense: str) -> dict[str, Any]:
    experiment = compose.experiments(words, [Cell(("none",), defense)], [0])[0]
    return {**experiment.settings.model_dump(), "label": experiment.label}


def chosen(parts: dict[str, Any]) -> list[str]:
    return [
        f"{group}=[{','.join(name)}]" if isinstance(name, list) else f"{group}={name}"
        for group, name in parts.items()
    ]


@pytest.mark.usefixtures("_initialized")
@pytest.mark.parametrize(("name", "parts"), PARTS.items(), ids=PARTS)
def test_a_stack_is_the_defense_whose_parts_are_chosen_one_by_one(
    name: str, parts: dict[str, Any]
) -> None:
    stack, single = planned([], name), planned(chosen(parts), "none")
    assert stack.pop("label") == stack.pop("defense")["name"] == name
    assert list(stack["steps"]) == list(single["steps"])
    assert stack == {key: value for key, value in single.items() if key in stack}


@pytest.mark.usefixtures("_initialized")
def test_any_two_presets_make_a_stack_unless_both_choose_the_same_group() -> None:
    presets = [name for name in compose.options("defense") if name != "none"]
    names = presets[::4]
    source = stacks.source()
    parts = {name: dict(stacks._of_part(name, name, source)) for name in names}
    for pair in itertools.combinations(names, 2):
        shared = parts[pair[0]].keys() & parts[pair[1]].keys() - {"steps"}
        if shared:
            with pytest.raises(InputError, match=r"^defense="):
                stacks.make(["+".join(pair)])
        else:
            stacks.make(["+".join(pair)])


@pytest.mark.usefixtures("_initialized")
def test_every_preset_stacks_with_a_part_that_it_does_not_have() -> None:
    source = stacks.source()
    others = {"krum": "aggregator", "dp_local": "dp", "secagg": "secagg", "clip": "steps"}
    for name in compose.options("defense"):
        if name != "none":
            of_preset = stacks._of_part(name, name, source)
            groups = [group for group, _ in of_preset if group != "steps"]
            assert len(set(groups)) == len(groups), name
            free = [one for one, group in others.items() if group not in dict(of_preset)]
            stacks.make(f"{name}+{one}" for one in free)


@pytest.mark.parametrize(("name", "stated"), CONTRADICTIONS.items(), ids=CONTRADICTIONS)
def test_parts_that_contradict_each_other_are_one_line(
    name: str, stated: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert wardround("run", *FAST, f"defense={name}", f"hydra.run.dir={tmp_path}/out") == 2
    err = capfd.readouterr().err
    assert err.startswith("wardround: defense=")
    assert stated in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_hospital_level_dp_under_a_rule_is_refused_for_its_own_reason(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = "defense=dp_record_hospital+median"
    assert wardround("run", *FAST, asked, f"hydra.run.dir={tmp_path}/out") == 2
    err = capfd.readouterr().err
    assert "expected aggregator=mean and no steps: noise is computed for a mean" in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("_initialized")
def test_a_value_reaches_the_stacks_that_have_it() -> None:
    cells = [Cell(("none",), name) for name in ("none", "median+clip", "nnm+krum")]
    words = ["aggregator.n_hostile=2", "steps.clip.max_norm=3"]
    plain, clipped, krum = compose.experiments(words, cells, [0])
    assert "n_hostile" not in plain.settings.aggregator
    assert clipped.settings.aggregator["n_hostile"] == krum.settings.aggregator["n_hostile"] == 2
    assert clipped.settings.steps["clip"]["max_norm"] == 3


STACKED = ("attacks=[sign_flip]", "seeds=1", *FAST, ALONE)


@pytest.mark.usefixtures("undrawn")
def test_a_stack_has_the_controls_of_every_defense(tmp_path: Path) -> None:
    given = "defenses=[secagg+dp_record,median+clip]"
    assert wardround("compare", *STACKED, given, f"hydra.run.dir={tmp_path}") == 0
    rows = {(row["attack"], row["defense"]): row for row in results(tmp_path)}
    names = ("none", "secagg+dp_record", "median+clip")
    assert set(rows) == {(attack, name) for attack in ("none", "sign_flip") for name in names}
    assert all(rows["sign_flip", name]["attack_success"] != "" for name in names)
    assert all(rows["none", name]["defense_engaged"] == "True" for name in names[1:])
    assert rows["none", "secagg+dp_record"]["epsilon"] != ""
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["defenses"] == list(names)


def test_a_stack_is_the_same_however_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = list[list[tuple[str, str, str]]]()

    def noted(values: Node) -> Never:
        experiments, _ = planned_by_command(values)
        compared.append([(one.attack, one.label, one.text) for one in experiments])
        raise InputError("runs", "these", "none")

    monkeypatch.setattr("sim.cli.tasks.planned", noted)
    for given in (
        "[secagg+dp_record,median+clip]",
        "['secagg+dp_record','median + clip']",
        "[[secagg,dp_record],[median,clip]]",
    ):
        assert wardround("compare", *STACKED, f"defenses={given}") == 2
    assert len(compared[0]) == 6
    assert {label for _, label, _ in compared[0]} == {"none", "secagg+dp_record", "median+clip"}
    assert compared[0] == compared[1] == compared[2]


@pytest.mark.usefixtures("undrawn")
def test_a_stack_takes_presets_and_parts_of_the_users_own_folder(tmp_path: Path) -> None:
    (tmp_path / "own" / "defense").mkdir(parents=True)
    (tmp_path / "own" / "defense" / "wary.yaml").write_text(
        "# @package _global_\n"
        "defaults:\n  - override /aggregator: trimmed_mean\n"
        "aggregator:\n  n_hostile: 0\n"
        "defense:\n  name: wary\n"
    )
    place = ["--config-dir", f"{tmp_path}/own"]
    assert (
        wardround("run", *place, *FAST, "defense=clip+wary", f"hydra.run.dir={tmp_path}/run") == 0
    )
    words = (
        *FAST,
        ALONE,
        "attacks=[none]",
        "defenses=[clip+wary]",
        "seeds=1",
        f"hydra.run.dir={tmp_path}/compare",
    )
    assert wardround("compare", *place, *words) == 0
    for folder in ("run", "compare"):
        record = json.loads((tmp_path / folder / "evidence.jsonl").read_text().splitlines()[-1])
        assert record["defense"] == "clip+wary"
        assert record["config"]["aggregator"]["n_hostile"] == 0
        assert [name for name, _ in record["config"]["steps"]] == ["clip"]
