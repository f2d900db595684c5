"""Planning a comparison composes each option once; every cell is still what Hydra composes for that
cell alone.
"""

from __future__ import annotations

from itertools import cycle, islice
from pathlib import Path
from typing import Any
from unittest import mock

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra

from sim.config import composition
from sim.study import compose
from sim.study.compose import Cell
from sim.study.experiment import load

ATTACKS = [(name,) for name in compose.options("attack")] + [
    ("model_replacement", "backdoor"),
    ("backdoor", "model_replacement"),
]
DEFENSES = compose.options("defense")
CELLS = [
    Cell(attack, defense)
    for attack, defense in islice(zip(cycle(ATTACKS), cycle(DEFENSES), strict=False), len(ATTACKS))
]
TOGETHER = [Cell(attack, defense) for attack in ATTACKS for defense in DEFENSES]


def together(words: list[str], cells: list[Cell]) -> dict[Cell, dict[str, Any]]:
    """The configurations of ``cells`` with all attacks and defenses in one plan."""
    partial = [word for word in words if compose.is_partial(word)]
    made = compose._of_cells([word for word in words if word not in partial], partial, cells)
    return {cell: config for cell, (config, _) in zip(cells, made, strict=True)}


def alone(words: list[str], cell: Cell) -> dict[str, Any]:
    own = [f"attack=[{','.join(cell.attack)}]", f"defense={cell.defense}"]
    if cell.n_hostile is not None:
        own.append(f"adversary.n_hostile={cell.n_hostile}")
    return {"attack": {}, **compose.resolved(hydra.compose("config", overrides=[*words, *own]))}


@pytest.fixture(scope="module", autouse=True)
def _initialized() -> Any:
    with hydra.initialize_config_module("conf", version_base="1.3"):
        yield


def same(planned: dict[str, Any], composed: dict[str, Any]) -> bool:
    """Equal, also in the order of attacks and steps."""
    return planned == composed and all(
        list(planned[key] or {}) == list(composed[key] or {}) for key in ("attack", "steps")
    )


def test_every_attack_and_every_defense_is_planned_as_composed_alone() -> None:
    planned = together([], TOGETHER)
    assert len({cell.defense for cell in CELLS}) == len(DEFENSES)
    assert [cell for cell in CELLS if not same(planned[cell], alone([], cell))] == []


@pytest.mark.parametrize(
    ("words", "cell"),
    [
        (
            ["attack.alie.z=1.5", "aggregator.n_hostile=1", "training.lr=0.05"],
            Cell(("alie", "label_flip"), "nnm_trimmed_mean", 2),
        ),
        (
            ["aggregator=krum", "steps=[clip,nnm]", "steps.clip.max_norm=3"],
            Cell(("label_flip",), "norm_bounding"),
        ),
        (["attack.sign_flip.scale=${training.lr}"], Cell(("sign_flip",), "krum", 1)),
        ([], Cell(("ipm", "alie", "ipm"), "median")),
        (["dp.max_grad_norm=${attack.sign_flip.scale}"], Cell(("sign_flip",), "dp_record")),
    ],
)
def test_overrides_reach_the_planned_cell_as_they_reach_it_alone(
    words: list[str], cell: Cell
) -> None:
    other = Cell(("sign_flip", "alie"), cell.defense, cell.n_hostile)
    assert same(together(words, [other, cell])[cell], alone(words, cell))


def test_an_attack_file_that_sets_more_than_its_own_node_is_planned_as_composed_alone(
    tmp_path: Path,
) -> None:
    (tmp_path / "attack").mkdir()
    (tmp_path / "defense").mkdir()
    node = "attack:\n  zero:\n    _target_: attacks.byzantine.zero.Zero\n    of: own\n"
    (tmp_path / "attack" / "silent.yaml").write_text(
        f"# @package _global_\nadversary:\n  knowledge: own\n{node}"
    )
    (tmp_path / "attack" / "zeroed.yaml").write_text("# @package attack.zero\nof: own\n")
    (tmp_path / "defense" / "drilled.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /attack: [ipm]\n"
    )
    words = [f"hydra.searchpath=[file://{tmp_path}]"]
    cells = [
        Cell((attack,), defense)
        for attack in ("none", "zero", "silent", "sign_flip")
        for defense in ("none", "median")
    ]
    cells += [Cell(("zero", "zeroed"), "median"), Cell(("zero",), "drilled")]
    planned = together(words, cells)
    assert [cell for cell in cells if not same(planned[cell], alone(words, cell))] == []
    assert planned[Cell(("silent",), "median")]["adversary"]["knowledge"] == "own"


def test_the_seeds_of_a_cell_share_all_but_the_seed() -> None:
    cell = Cell(("ipm",), "krum")
    plan = compose.experiments(["consortium=heart12"], [cell], [0, 3])
    direct = alone(["consortium=heart12"], cell)
    assert [planned.text for planned in plan] == [
        load({**direct, "seed": seed}, "krum").text for seed in (0, 3)
    ]


def counted(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The words of each composition by Hydra from here on, with nothing composed so far."""
    found, real = list[list[str]](), composition.compose

    def composed(name: str, overrides: list[str], **options: Any) -> Any:
        found.append(overrides)
        return real(name, overrides=overrides, **options)

    compose._composed.cache_clear()
    composition._packed.cache_clear()
    monkeypatch.setattr(composition, "compose", composed)
    return found


def test_planning_composes_each_option_once(monkeypatch: pytest.MonkeyPatch) -> None:
    composed = counted(monkeypatch)
    defenses = ["none", "median", "krum"]
    compose.experiments(
        [], compose.cells(["ipm", "alie", "zero", "random", "gaussian"], defenses), [0]
    )
    assert len(composed) == 1 + len(defenses)


def in_a_command(words: list[str]) -> dict[str, Any]:
    """The configuration of a cell in a command of its own, which has its own Hydra."""
    with (
        mock.patch.object(GlobalHydra.instance(), "hydra", None),
        hydra.initialize_config_module("conf", version_base="1.3"),
    ):
        return together(words, [Cell(("zero",), "none")])[Cell(("zero",), "none")]


def test_a_later_command_takes_what_is_composed_from_packages_and_reads_a_users_folder_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    composed = counted(monkeypatch)
    first, n_composed = in_a_command([]), len(composed)
    assert in_a_command([]) == first
    assert len(composed) == n_composed > 0
    (tmp_path / "attack").mkdir()
    found = []
    for whose in ("own", "all"):
        text = f"# @package attack.zero\n_target_: attacks.byzantine.zero.Zero\nof: {whose}\n"
        (tmp_path / "attack" / "zeroed.yaml").write_text(text)
        words = [f"hydra.searchpath=[file://{tmp_path}]", "+attack@x=zeroed"]
        found.append(in_a_command(words))
    assert found[0] != found[1]
