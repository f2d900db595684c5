"""Figures of differential privacy draw what their frames hold, with intervals and named axes."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from matplotlib.axes import Axes

from reports.analysis import tables
from reports.figures import privacy, style
from reports.page import draw
from sim.evidence import Noised
from tests.records import make_record

BUDGETS = [0.5, 8.0, math.inf]
HOSPITALS = [privacy.ALL, "cleveland", "va"]


def utility() -> pl.DataFrame:
    rows = [
        {
            "defense": "",
            "epsilon": epsilon,
            "hospital": name,
            "auroc": 0.6 + 0.1 * place + 0.02 * number,
            "low": None if name == "va" else 0.55 + 0.1 * place,
            "high": None if name == "va" else 0.7 + 0.1 * place,
        }
        for place, epsilon in enumerate(BUDGETS)
        for number, name in enumerate(HOSPITALS)
    ]
    return pl.DataFrame(rows)


def legend(axes: Axes) -> list[str]:
    return [str(name) for name in axes.get_legend_handles_labels()[1]]


def test_the_curve_has_a_point_a_budget_for_each_hospital_and_all_patients() -> None:
    (axes,) = privacy.privacy_utility(utility(), style.PAGE).axes
    lines = {bars.get_label(): bars.lines[0] for bars in axes.containers}
    assert set(lines) == {"all patients", "cleveland", "va"}
    for name, line in lines.items():
        rows = utility().filter(hospital=privacy.ALL if name == "all patients" else name)
        drawn = np.asarray(line.get_ydata(), float)
        np.testing.assert_allclose(drawn, rows["auroc"].to_numpy())
        assert [round(place) for place in line.get_xdata()] == [0, 1, 2]
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "0.5",
        "8",
        "∞\n(no privacy)",
    ]
    assert "ε" in axes.get_xlabel()
    assert "AUROC" in axes.get_ylabel()
    assert legend(axes) == ["all patients", "cleveland", "va"]


def test_intervals_are_drawn_where_there_are_any() -> None:
    (axes,) = privacy.privacy_utility(utility(), style.PAGE).axes
    bars = {one.get_label(): one.lines[2][0].get_segments() for one in axes.containers}
    np.testing.assert_allclose(bars["cleveland"][0][:, 1], [0.55, 0.7])
    for segment in bars["va"]:
        assert segment[0, 1] == segment[1, 1]  # no interval is no length


def test_many_hospitals_are_gray_beyond_the_colors() -> None:
    names = [privacy.ALL, *(f"h{number}" for number in range(9))]
    rows = [
        {"defense": "", "epsilon": 1.0, "hospital": name, "auroc": 0.7, "low": 0.6, "high": 0.8}
        for name in names
    ]
    (axes,) = privacy.privacy_utility(pl.DataFrame(rows), style.PAGE).axes
    colors = [one.lines[0].get_color() for one in axes.containers]
    assert colors[0] == style.BLACK
    assert len(set(colors[1:7])) == 6
    assert set(colors[7:]) == {style.SOFT}
    assert len(legend(axes)) == 7


@pytest.mark.parametrize("budget", [None, 4.0])
def test_spending_is_a_rising_line_for_each_hospital_below_its_budget(
    budget: float | None,
) -> None:
    rows = [
        {
            "round": number,
            "hospital": name,
            "n_train": 90,
            "epsilon": number * rate,
            "budget": budget,
        }
        for name, rate in (("va", 0.5), ("hungary", 0.3))
        for number in range(1, 6)
    ]
    axes = style.new_figure(6, 3).add_subplot()
    privacy.draw_spending(axes, pl.DataFrame(rows))
    named = {line.get_label(): line for line in axes.get_lines()}
    np.testing.assert_allclose(named["va (90 records)"].get_ydata(), 0.5 * np.arange(1, 6))
    np.testing.assert_allclose(named["hungary (90 records)"].get_ydata(), 0.3 * np.arange(1, 6))
    dashed = [line for line in axes.get_lines() if line.get_linestyle() == "--"]
    drawn = [line.get_ydata()[0] for line in dashed if len(line.get_ydata())]
    assert (4.0 in drawn) == (budget is not None)
    assert ("budget" in legend(axes)) == (budget is not None)
    assert axes.get_ylim()[0] == 0
    assert axes.get_ylim()[1] > max(2.5, budget or 0)
    assert axes.get_xlabel() == "Rounds trained"


def test_clips_are_those_of_attack_free_runs_in_which_they_follow_updates() -> None:
    follows = Noised(round=[1, 2], clip=[0.5, 0.75], deviation=[0.1, 0.15])
    fixed = Noised(round=[1, 2], clip=[1.0, 1.0], deviation=[0.1, 0.1])
    records = [
        make_record(defense="dp_hospital", seed=3).model_copy(update={"noised": follows}),
        make_record(defense="other").model_copy(update={"noised": fixed}),
        make_record(attack="sign_flip", defense="dp_hospital").model_copy(
            update={"noised": follows}
        ),
        make_record(),
    ]
    found = tables.clips(records)
    assert found.rows() == [("dp_hospital", 3, 1, 0.5), ("dp_hospital", 3, 2, 0.75)]
    assert "clip_over_rounds" in draw(records)
    assert "clip_over_rounds" not in draw(records[1:2])


def test_a_clip_is_a_thin_line_a_seed_and_a_thick_one_for_their_median() -> None:
    rows = [
        {"defense": name, "seed": seed, "round": number, "clip": start * (seed + 1) / number}
        for name, start in (("none", 1.0), ("dp_hospital", 8.0))
        for seed in range(3)
        for number in range(1, 5)
    ]
    figure = privacy.clip_over_rounds(pl.DataFrame(rows), style.PAGE)
    (axes,) = figure.axes
    thick = {line.get_label(): line for line in axes.get_lines() if line.get_linewidth() == 2}
    thin = [line for line in axes.get_lines() if line.get_linewidth() < 1]
    assert len(thin) == 6
    np.testing.assert_allclose(thick["hospital-level DP"].get_ydata(), 16.0 / np.arange(1, 5))
    assert axes.get_yscale() == "log"
    figure.draw_without_rendering()
    ticks = [label.get_text() for label in axes.get_yticklabels()]
    assert {"1", "2", "5", "10"} <= set(ticks)
    assert "Euclidean" in axes.get_ylabel()
    assert legend(axes) == ["no defense", "hospital-level DP"]
