"""What readers see of figures that do not exist and of privacy budgets: never a number in their
place, never less than spent.
"""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from reports import terminal
from reports.analysis import breakdown, tables
from reports.page import write_report
from reports.text import words
from sim import evidence
from sim.evidence import RunRecord
from tests.commands import besides_progress
from tests.records import addressed, make_hospitals, make_privacy, make_record
from tests.sim.cli.test_cli import Call, call
from tests.threats.reading import rows_of

__all__ = ["call"]  # a fixture

ONE_CLASS = (
    "consortium=synthetic", "consortium.n_hospitals=2", "consortium.n_records=10",
    "consortium.test_fraction=0.2", "adversary.n_hostile=0", "training.rounds=2",
)  # fmt: skip


def test_a_run_whose_test_patients_are_of_one_class_ends_and_states_it(
    call: Call, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert call("run", *ONE_CLASS, "seed=13", f"hydra.run.dir={tmp_path / 'one'}") == 0
    (record,) = evidence.read(tmp_path / "one")
    assert record.value("auroc") is None
    assert record.value("brier") is not None
    shown = capfd.readouterr()
    assert "all 4 test patients" in " ".join(shown.out.split())
    assert besides_progress(shown.err) == ""


def test_a_comparison_keeps_its_sound_seeds_beside_an_undefined_one(
    call: Call, tmp_path: Path
) -> None:
    words_ = (*ONE_CLASS, "seeds=[13,1,2]", "attacks=[none]", "defenses=[none]", "workers=1")
    assert call("compare", *words_, f"hydra.run.dir={tmp_path / 'many'}") == 0
    rows = {row["seed"]: row["auroc"] for row in evidence.results(evidence.read(tmp_path / "many"))}
    assert rows[13] is None
    assert all(rows[seed] is not None for seed in (1, 2))
    assert ",13,2,0,2,,," in (tmp_path / "many" / "results.csv").read_text()


def test_explain_states_what_epsilon_does_not_cover(
    call: Call, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = ("dp.target_epsilon=null", "dp.noise_multiplier=1.5")
    assert (
        call("explain", "consortium=heart4", "defense=dp_record", "training.rounds=1", *noise) == 0
    )
    shown = " ".join(capfd.readouterr().out.split())
    for topic in (
        "Not covered by epsilon",
        "Epsilon covers one run",
        "taken to be public",
        "Whoever knows the seed",
    ):
        assert topic in shown


def test_a_threat_row_states_seeds_without_an_auroc_and_shows_no_harmlessness_beside_them() -> None:
    (row,) = [
        row
        for row in rows_of([*undefined(), *undefined((1,), attack="sign_flip")], "THR-BYZ")
        if row.runs
    ]
    assert row.shown == "not_decided"
    assert "0 of 2 seeds lost 0.05 or more" in row.finding
    assert (
        "no AUROC in 1 seed more: whether it does harm is not decided with 3 seeds" in row.finding
    )


def rendered(what: Any) -> str:
    console = Console(file=StringIO(), width=120)
    console.print(what)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@given(st.floats(1e-6, 1e6))
def test_a_budget_is_never_shown_smaller_than_it_is(value: float) -> None:
    assert value <= float(words.epsilon(value)) <= 1.011 * value


@given(st.floats(1e-12, 0.5))
def test_delta_is_shown_with_all_its_digits(value: float) -> None:
    assert float(words.delta(value)) == value


UPPER = {0.07445: "7.5 %", 0.5: "50 %", 0.501: "51 %", 0.9999: "100 %", 1e-9: "under 0.1 %"}


@pytest.mark.parametrize(("value", "shown"), UPPER.items())
def test_an_upper_bound_is_rounded_up(value: float, shown: str) -> None:
    assert words.at_most(value) == shown


def test_the_page_shows_delta_whole_and_what_epsilon_does_not_cover(tmp_path: Path) -> None:
    terms, spent = make_privacy()
    privacy = (
        terms.model_copy(update={"delta": 0.0135, "not_covered": ["Tuning. Made for a test."]}),
        spent,
    )
    evidence.append(tmp_path, addressed(make_record(defense="dp", privacy=privacy)))
    page = write_report(tmp_path).read_text()
    assert "δ = 0.0135;" in page
    assert "<li>Tuning. Made for a test.</li>" in page


HOSPITALS = [f"hospital_{i}" for i in range(6)]
NO_AUROC = dict.fromkeys(
    ("auroc", "auprc", "sensitivity_at_90_specificity", "worst_hospital_auroc")
) | {
    "undefined": "all 4 test patients are with the condition",
}


def undefined(seeds: tuple[int, ...] = (), **fields: Any) -> list[RunRecord]:
    of_one_class = [
        one.model_copy(update={"n_test": 1, "n_test_positive": 1}) for one in make_hospitals([])
    ]
    lacking = {
        "figures": NO_AUROC,
        "hospitals": of_one_class,
        "of_hospitals": {"auroc": dict.fromkeys(HOSPITALS)},
    }
    return [
        make_record(seed=seed, **(lacking if seed in seeds else {}), **fields) for seed in range(3)
    ]


def test_a_mean_is_over_the_seeds_that_have_an_auroc_and_the_others_are_counted(
    tmp_path: Path,
) -> None:
    records = [
        *undefined((1,)),
        *undefined((1,), attack="alie"),
        *undefined((0, 1, 2), attack="random"),
    ]
    cells = {row["attack"]: row for row in tables.cells(records).iter_rows(named=True)}
    assert {name: (row["n"], row["n_undefined"], row["n_lost"]) for name, row in cells.items()} == {
        "none": (2, 0, 0), "alie": (2, 0, 0), "random": (0, 2, 0),
    }  # fmt: skip
    assert (cells["none"]["mean"], cells["random"]["mean"]) == (pytest.approx(0.85), None)
    for record in records:
        evidence.append(tmp_path, addressed(record))
    page = write_report(tmp_path).read_text()
    assert (
        "AUROC is not defined in 3 runs of random updates against no defense: all 4 test patients"
        " are with"
        " the condition." in page
    )
    shown = rendered(terminal.closing(records))
    assert "not defined" in shown
    assert "‡" in shown


def test_an_attack_that_leaves_no_model_breaks_its_defense_down_and_succeeds() -> None:
    records = [*undefined(n_hostile=1), *undefined(attack="alie", n_hostile=1)]
    records += [*undefined(n_hostile=2), *undefined((0, 1, 2), attack="alie", n_hostile=2)]
    (point,) = breakdown.points(breakdown.by_number(records)).iter_rows(named=True)
    assert point["breaks_at"] == 2
    rows = evidence.results(records)
    assert {
        row["attack_success"] for row in rows if row["attack"] == "alie" and row["n_hostile"] == 2
    } == {1.0}
    assert {row["auroc"] for row in rows if row["attack"] == "alie" and row["n_hostile"] == 2} == {
        None
    }


def test_a_backdoor_without_marked_records_has_a_page_that_shows_no_rate(tmp_path: Path) -> None:
    for record in (make_record(), make_record(attack="backdoor", backdoor=(None, None, 0))):
        evidence.append(tmp_path, addressed(record))
    records = evidence.read(tmp_path)
    assert "backdoor" in write_report(tmp_path).read_text()
    assert (
        next(row for row in evidence.results(records) if row["attack"] == "backdoor")[
            "attack_success"
        ]
        is None
    )
