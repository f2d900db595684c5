"""Every file of every configuration group composes into a run, and every cell of the comparison
that comes by default loads.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache

import pytest
import yaml

from sim.config import choices, groups
from sim.errors import InputError
from sim.plugins import CONF
from sim.study import compose
from sim.study.experiment import Experiment, from_text, load
from tests.federation import experiment, plan

OWN = ("csv", "npz")  # consortia of files of the user, which other tests have
OTHERS = ("tracking",)  # no part of a record; tests/reports/test_tracking.py
OPTIONS = [
    (group, name)
    for group in choices.groups()
    if group not in OTHERS
    for name in compose.options(group)
    if name not in OWN
]
LISTS = ("attack", "steps")  # groups of which several can be chosen
DEFAULT = yaml.safe_load((CONF / "compare.yaml").read_text())


# Designs beside the one that comes by default, for options that refuse it: fewer attackers, images,
# a protocol of several trips, a trusted hospital.
DESIGNS: tuple[tuple[str, ...], ...] = (
    (),
    ("adversary.n_hostile=1",),
    ("consortium=digits",),
    ("secagg=protocol",),
    ("aggregator.root=cleveland_1",),
)


@pytest.fixture(autouse=True)
def _no_search_for_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finding the noise for an epsilon, and the epsilon of a noise, takes seconds and is tested
    elsewhere.
    """
    monkeypatch.setattr("clients.accounting.calibrated", lambda *_: 1.0)
    monkeypatch.setattr("clients.accounting.spent", lambda *_: 1.0)


@cache  # composing takes most of the time here
def composed(group: str, name: str, *more: str) -> Experiment:
    word = f"{group}=[{name}]" if group in LISTS else f"{group}={name}"
    return experiment(word, *more)


@cache
def composed_somehow(group: str, name: str) -> Experiment:
    """The run in the first of ``DESIGNS`` that takes it."""
    for design in DESIGNS[:-1]:
        with suppress(InputError):
            return composed(group, name, *design)
    return composed(group, name, *DESIGNS[-1])


@pytest.mark.parametrize(
    ("group", "name"), OPTIONS, ids=[f"{group}-{name}" for group, name in OPTIONS]
)
def test_every_option_composes_and_builds(group: str, name: str) -> None:
    built = composed_somehow(group, name)
    assert from_text(built.text).config == built.config
    assert (
        load({key: value for key, value in built.config.items() if key != "label"}).settings
        == built.settings
    )


@pytest.mark.parametrize("name", compose.options("defense"))
def test_a_defense_differs_from_none_in_the_parts_of_its_stack_only(name: str) -> None:
    chosen = composed_somehow("defense", name).config
    plain = composed(
        "defense", "none", f"adversary.n_hostile={chosen['adversary']['n_hostile']}"
    ).config
    different = {key for key in plain if plain[key] != chosen[key]}
    assert different - {"defense", "label"} <= set(groups.STACK)
    assert bool(different) == (name != "none")
    assert chosen["defense"]["name"] == chosen["label"] == name


@pytest.mark.parametrize("name", compose.options("attack"))
def test_an_attack_is_found_under_its_own_name(name: str) -> None:
    assert composed_somehow("attack", name).attack == name


def test_every_cell_of_the_default_comparison_loads() -> None:
    cells = plan([], DEFAULT["attacks"], DEFAULT["defenses"])
    assert [(cell.attack, cell.label) for cell in cells] == [
        (a, d) for a in DEFAULT["attacks"] for d in DEFAULT["defenses"]
    ]


@pytest.mark.parametrize("consortium", [name for group, name in OPTIONS if group == "consortium"])
@pytest.mark.parametrize("defense", DEFAULT["defenses"])
def test_every_default_defense_works_on_every_consortium_but_krum_on_four(
    consortium: str, defense: str
) -> None:
    if (consortium, defense) in {("heart4", "krum"), ("ihc4", "krum")}:
        with pytest.raises(
            InputError, match=r"^aggregator=Krum: n_rows=4, n_hostile=1: Krum needs .* = 5$"
        ):
            experiment(f"consortium={consortium}", f"defense={defense}")
    else:
        built = experiment(f"consortium={consortium}", f"defense={defense}")
        assert built.consortium.name.startswith(consortium.rstrip("0123456789"))


def test_a_comparison_always_holds_its_controls_and_each_cell_once() -> None:
    cells = plan(
        [], ["sign_flip", "sign_flip", ["sign_flip", "label_flip"]], ["median", "none"], n_seeds=2
    )
    attacks, defenses = ("none", "sign_flip", "sign_flip+label_flip"), ("none", "median")
    found = [(cell.attack, cell.label, cell.settings.seed) for cell in cells]
    assert found == [(a, d, s) for a in attacks for d in defenses for s in range(2)]


def test_values_of_an_attack_or_of_a_defense_go_to_the_cells_that_have_them() -> None:
    words = [
        "attack.alie.z=1.5",
        "dp.target_epsilon=4",
        "training.rounds=2",
        "adversary.n_hostile=2",
        "consortium=heart4",
    ]
    for cell in plan(words, ["alie", "sign_flip"], ["dp_record"]):
        assert cell.settings.attack.get("alie", {}).get("z") == (
            1.5 if cell.attack == "alie" else None
        )
        assert (cell.settings.dp or {}).get("target_epsilon") == (
            4 if cell.label == "dp_record" else None
        )
        assert cell.settings.training.rounds == 2


def test_a_part_put_in_place_of_a_presets_part_is_in_the_label() -> None:
    cells = plan(["steps=[clip]"], ["none"], ["median"])
    assert {cell.label for cell in cells} == {"none+steps=[clip]", "median+steps=[clip]"}
