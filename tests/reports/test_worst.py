"""The attack that costs each defense most, and how many attacks cost something."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.images import draw_changes
from reports.analysis import worst
from sim import evidence
from sim.evidence import RunRecord
from tests.records import addressed, make_inversion, make_record


def runs(attack: str, *outcomes: tuple[float, float], **changes: object) -> list[RunRecord]:
    """One run a seed against krum with that AUROC and sensitivity."""
    each = ({"auroc": auroc, "sensitivity_at_90_specificity": found} for auroc, found in outcomes)
    return [
        make_record(attack=attack, defense="krum", seed=s, figures=o, **changes)
        for s, o in enumerate(each)
    ]


def study() -> list[RunRecord]:
    return [
        *runs("none", (0.9, 0.60), (0.8, 0.50)),
        *runs("ipm", (0.88, 0.50), (0.78, 0.41)),  # sensitivity -0.10 and -0.09, AUROC -0.02 both
        # the lowest mean of both, with intervals that hold 0
        *runs("alie", (0.50, 0.60), (0.78, 0.20)),
        *runs("fang", (0.83, 0.60), (0.73, 0.50)),  # AUROC -0.07 both, as many found
        *runs("analytic_inversion", (0.1, 0.1), (0.1, 0.1), inversion=make_inversion()),
    ]


def test_the_attack_named_has_the_lowest_mean_of_what_is_found_and_all_are_counted() -> None:
    (row,) = worst.worst(study()).iter_rows(named=True)
    assert (row["defense"], row["attack"], row["n_attacks"]) == ("krum", "alie", 3)
    assert (row["utility"], row["auroc"], row["sensitivity"]) == pytest.approx((0.85, -0.21, -0.15))
    # -0.15 ± 12.706205 * 0.15, cut to the range
    assert (row["sensitivity_low"], row["sensitivity_high"]) == (-1, 1)
    assert (row["n_fewer"], row["n_large"], row["n_open"]) == (
        1,
        1,
        2,
    )  # ipm; fang; alie, ipm
    assert (row["verdict"], row["n_lost"], row["n"]) == ("not decided", 1, 2)
    assert row["single"] == pytest.approx(-0.4)  # alie, seed 0


def test_of_attacks_that_hide_as_many_patients_the_one_that_costs_most_auroc_is_named() -> None:
    control = runs("none", (0.9, 0.6), (0.8, 0.4))
    # each finds 0.2 fewer in the mean
    less = runs("ipm", (0.88, 0.3), (0.78, 0.3))
    more = runs("alie", (0.85, 0.5), (0.75, 0.1))
    for attacked in ([*less, *more], [*more, *less]):
        (row,) = worst.worst([*control, *attacked]).iter_rows(named=True)
        assert row["attack"] == "alie"


def plain(text: str) -> str:
    return text.replace("\N{MINUS SIGN}", "-")


def test_a_change_is_bold_where_its_interval_does_not_hold_zero() -> None:
    text = plain(worst.markdown(worst.worst(study()[:4]), 0.05))
    assert text.endswith(
        "| `krum` | 0.850 | `ipm` | **-0.020 (-0.020 to -0.020)** | 0 of 2 | **-0.095 (-0.159 to"
        " -0.031)** | 1 | 0 | 1 | -0.020 |"
    )
    assert "| -0.210 (-1.000 to +0.785) | 1 of 2 |" in plain(
        worst.markdown(worst.worst(study()), 0.05)
    )


def test_a_defense_without_its_control_has_no_row() -> None:
    assert worst.worst(study()[2:]).is_empty()


def test_the_figure_of_all_changes_is_drawn_from_evidence_as_a_small_file(tmp_path: Path) -> None:
    for record in study():
        evidence.append(tmp_path, addressed(record))
    draw_changes.main(str(tmp_path), str(tmp_path / "figure.png"))
    made = (tmp_path / "figure.png").read_bytes()
    assert made.startswith(b"\x89PNG")
    assert len(made) < 100_000


def test_the_figure_names_the_worst_attack_first_and_prints_hundredths() -> None:
    axes = draw_changes.changes(study()).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["alie", "fang", "ipm"]
    assert [plain(text.get_text()) for text in axes.texts] == ["-2?", "-21?", "-7"]
    assert [text.get_weight() for text in axes.texts] == ["bold", "normal", "bold"]


def test_what_counts_as_a_large_loss_is_the_studys_own_setting() -> None:
    strict = [record.model_copy(deep=True) for record in study()]
    for record in strict:
        record.config["report"]["material_drop"] = 0.01
    (row,) = worst.worst(strict).iter_rows(named=True)
    # ipm too, and alie, which takes 0.02 in one seed and 0.4 in the other
    assert row["n_large"] == 3
    assert "| 0.01 lost |" in worst.markdown(worst.worst(strict), 0.01)
