"""A sweep leaves one table and one report in which what was varied is a column and an axis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reports import sweeps
from reports.figures import style
from reports.sweeps import Sweep
from sim.evidence import EVIDENCE, RESULT_COLUMNS
from tests.commands import FAST, LOCKSTEP, results, wardround
from tests.records import make_record

CONFIG: dict[str, Any] = {
    "training": {"rounds": 4, "lr": 0.1},
    "model": {"_target_": "sim.models.mlp.MLP", "hidden": [16]}, "attack": [], "steps": [],
    "aggregator": {"_target_": "aggregators.rules.mean.Mean"}, "adversary": {"n_hostile": 1},
    "report": {"material_drop": 0.05},
}  # fmt: skip


def run(number: int, auroc: float = 0.8, **changes: Any) -> Any:
    config = (
        CONFIG
        | changes.pop("config", {})
        | {"seed": changes.get("seed", 0), "label": changes.get("defense", "none")}
    )
    return make_record(run=f"{number}", config=config, figures={"auroc": auroc}, **changes)


def lr(value: float) -> dict[str, Any]:
    return {"training": {"rounds": 4, "lr": value}}


def alie(z: float) -> dict[str, Any]:
    return {"attack": [["alie", {"_target_": "attacks.byzantine.alie.ALIE", "z": z}]]}


FLIP = {"attack": [["sign_flip", {"_target_": "attacks.byzantine.sign_flip.SignFlip", "scale": 5}]]}
LOGISTIC = {"model": {"_target_": "sim.models.mlp.Logistic"}}
KRUM = {"aggregator": {"_target_": "aggregators.rules.krum.Krum", "n_hostile": 1}}
SWEEPS = {  # runs -> columns, axis first, and the keys at the end of results.csv
    "one number": (
        [run(i, config=lr(v)) for i, v in enumerate((0.02, 0.05, 0.1))],
        ["training.lr"],
        ["training.lr"],
    ),
    "a number and seeds": (
        [run(10 * s + i, seed=s, config=lr(v)) for s in (0, 1) for i, v in enumerate((0.02, 0.1))],
        ["training.lr"],
        ["training.lr"],
    ),
    "seeds": ([run(s, seed=s) for s in (0, 1, 2)], [], []),
    "attacks": (
        [run(0), run(1, attack="sign_flip", config=FLIP), run(2, attack="alie", config=alie(1))],
        ["attack"],
        [],
    ),
    "a value of an attack": (
        [run(i, attack="alie", config=alie(v)) for i, v in enumerate((1, 2))],
        ["attack.alie.z"],
        ["attack.alie.z"],
    ),
    "models": ([run(0), run(1, config=LOGISTIC)], ["model"], ["model"]),
    "a list": (
        [run(0), run(1, config={"model": {"_target_": "sim.models.mlp.MLP", "hidden": [8, 4]}})],
        ["model.hidden"],
        ["model.hidden"],
    ),
    "defenses": ([run(0), run(1, defense="krum", config=KRUM)], ["defense"], []),
    "a number and an attack": (
        [
            run(10 * v + len(attack), attack=attack, config=config | lr(v))
            for v in (0.02, 0.1)
            for attack, config in (("none", {}), ("sign_flip", FLIP))
        ],
        ["training.lr", "attack"],
        ["training.lr"],
    ),
    "what differs with the seed is no matter of the seed": (
        [run(0, seed=0, config=lr(0.02)), run(1, seed=1, config=lr(0.1))],
        ["training.lr"],
        ["training.lr"],
    ),
    "two keys that change together": (
        [run(0), run(1, config={"training": {"rounds": 8, "lr": 0.2}}, rounds=8)],
        ["training.lr", "training.rounds"],
        ["training.lr", "training.rounds"],
    ),
}


@pytest.mark.parametrize(("records", "columns", "keys"), SWEEPS.values(), ids=SWEEPS)
def test_what_differs_between_runs_is_a_column_and_an_axis(
    records: list[Any], columns: list[str], keys: list[str]
) -> None:
    sweep = Sweep(records, [str(i) for i in range(len(records))])
    assert sweep.columns == columns
    assert list(sweep.varied) == keys
    assert all(list(row) == [*RESULT_COLUMNS, *keys] for row in sweep.results())
    axes = sweeps.draw(sweep, style.PAGE).axes[0]
    assert axes.get_xlabel() == (columns[0] if columns else "seed")
    assert len(axes.get_xticks()) == len(
        {row[sweep.axis] for row in sweep.runs.iter_rows(named=True)}
    )
    svg = style.svg(sweeps.draw(sweep, style.PAGE), "sweep")
    page = sweeps.render(sweep, {"command": "wardround run -m"}, svg)
    assert all(f'<th scope="col">{name}</th>' in page for name in columns)


def test_means_and_intervals_are_over_seeds_of_one_value_and_stay_in_the_range() -> None:
    records = [
        run(10 * s + i, auroc, seed=s, config=lr(v))
        for s, pair in enumerate([(0.6, 0.9), (1.0, 0.9)])
        for i, (v, auroc) in enumerate(zip((0.02, 0.1), pair, strict=True))
    ]
    low, high = Sweep(records, ["a", "b", "c", "d"]).rows()
    assert (low["training.lr"], low["seeds"], low["auroc"]["mean"]) == (
        "0.02",
        2,
        pytest.approx(0.8),
    )
    assert (low["auroc"]["mean_low"], low["auroc"]["mean_high"]) == (0.0, 1.0)
    assert high["auroc"]["mean_low"] == pytest.approx(0.9)


def test_a_run_is_compared_with_the_control_of_its_own_value() -> None:
    records = [
        run(0, 0.9, config=lr(0.1)),
        run(1, 0.6, config=lr(0.02)),
        run(2, 0.88, attack="sign_flip", config=FLIP | lr(0.1)),
        run(3, 0.5, attack="sign_flip", config=FLIP | lr(0.02)),
    ]
    rows = Sweep(records, list("abcd")).results()
    assert [row["attack_success"] for row in rows] == [None, None, 0.0, 1.0]


@pytest.mark.parametrize("launcher", [(), LOCKSTEP], ids=["one by one", "in lockstep"])
def test_a_sweep_of_the_command_line_ends_with_one_table_and_one_report(
    launcher: tuple[str, ...], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = (
        "training.lr=0.02,0.1",
        "seed=0,1",
        "hydra.sweep.subdir=x/${hydra.job.num}",
        f"hydra.sweep.dir={tmp_path}",
    )
    assert wardround("run", "-m", *launcher, *FAST, *words) == 0
    out = capfd.readouterr().out
    assert out.rstrip().endswith("report/index.html")
    table = results(tmp_path)
    assert [(row["training.lr"], row["seed"]) for row in table] == [
        ("0.02", "0"),
        ("0.02", "1"),
        ("0.1", "0"),
        ("0.1", "1"),
    ]
    assert [row["auroc"] for row in table] == [
        results(tmp_path / "x" / str(i))[0]["auroc"] for i in range(4)
    ]
    page = (tmp_path / "report" / "index.html").read_bytes()
    assert b"x/3/report/index.html" in page
    for name in ("report/index.html", "results.csv"):
        (tmp_path / name).unlink()
    assert wardround("report", str(tmp_path)) == 0
    assert (tmp_path / "report" / "index.html").read_bytes() == page
    assert results(tmp_path) == table


def test_a_sweep_with_a_job_that_is_refused_runs_none(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert wardround("run", "-m", *FAST, "defense=none,krum", f"hydra.sweep.dir={tmp_path}") == 2
    err = capfd.readouterr().err
    assert err.startswith("wardround: aggregator=Krum: ")
    assert list(tmp_path.iterdir()) == []


def test_folders_come_in_the_order_of_their_numbers_whatever_their_names(tmp_path: Path) -> None:
    names = ["10", "9", "²", "run 2"]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / EVIDENCE).touch()
    assert [place.name for place in sweeps.places(tmp_path)] == ["9", "10", "run 2", "²"]
