"""The page and figure of audits: what is drawn and stated is what the evidence holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reports.audits import makers, table, write
from reports.figures import style
from reports.figures.audits import audit_bounds
from reports.text import audits as words
from sim.errors import InputError
from sim.evidence import audits
from tests.sim.evidence.test_audits import made

FOUND = [made(seed, claim=1.0 if seed == 1 else 6.0) for seed in range(3)]
ONE_CLAIM = [made(seed, claim=6.0) for seed in range(3)]


def test_the_figure_draws_each_bound_beside_claim_and_ceiling() -> None:
    figure = audit_bounds(table(FOUND), style.PAGE)
    (axes,) = figure.axes
    drawn = [one for one in axes.collections if len(one.get_offsets()) == len(FOUND)]
    points = {
        round(float(place), 9) for one in drawn for place in np.asarray(one.get_offsets())[:, 1]
    }
    expected = {round(value, 9) for one in FOUND for value in (one.bounds.one_run, one.bounds.f_dp)}
    assert points == expected
    across = {float(line.get_ydata()[0]) for line in axes.get_lines() if len(line.get_ydata()) > 1}
    assert {6.0, *table(FOUND)["ceiling"].unique()} <= across
    assert axes.get_ylim()[1] > max(*across, *points)
    assert "ε" in axes.get_ylabel()
    assert "Seed" in axes.get_xlabel()
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "2"]
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert "claim: epsilon 6.00" in texts
    assert len(texts) == len(set(texts)) == 5


def test_points_above_the_claim_are_filled_and_others_are_not() -> None:
    figure = audit_bounds(table([made(0, claim=1e-6)]), style.PAGE)
    below = audit_bounds(table([made(0, claim=50.0)]), style.PAGE)
    for drawn, expected in ((figure, False), (below, True)):
        points = [one for one in drawn.axes[0].collections if len(one.get_facecolor()) == 1]
        points = [one for one in points if len(one.get_offsets()) == 1]
        white = [bool((one.get_facecolor()[0] == 1).all()) for one in points]
        assert white == [expected, expected]


def test_the_page_states_verdict_bounds_and_what_cannot_be_seen(tmp_path: Path) -> None:
    for one in ONE_CLAIM:
        audits.append(tmp_path, one)
    text = write(tmp_path).read_text()
    assert "is not refuted" in text
    assert "The claim is not refuted, and could not be" in text
    assert "with 100 canaries no bound can be above it" in text
    assert "so it cannot refute a claim of" in text
    assert "no proof of the claim" in text
    assert "one record that stands in place of another" in text
    for one in ONE_CLAIM:
        assert one.run in text
        assert words.at_least(one.bounds.f_dp) in text
    assert text.count("<svg") == 2  # for a screen and for a phone
    assert [name for name, _ in makers(tmp_path)] == ["audit_bounds"]
    assert not (tmp_path / "report" / "figures").exists()
    assert write(tmp_path).read_text() == text


def test_a_refuted_claim_is_stated_first(tmp_path: Path) -> None:
    audits.append(tmp_path, made(0, claim=0.1))
    text = write(tmp_path).read_text()
    assert "The claim is refuted" in text
    assert "The training spends more than epsilon 0.100" in text


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0, "0.00"), (2.999, "2.99"), (3.0, "3.00"), (0.019, "0.01")]
)
def test_a_lower_bound_is_rounded_down(value: float, expected: str) -> None:
    assert words.at_least(value) == expected


def test_the_bounds_to_expect_grow_as_the_noise_falls() -> None:
    rows = words.powers(made(claim=3.4))
    values = [float(row["f_dp"]) for row in rows]
    assert values == sorted(values)
    assert rows[0]["noise"] == "as claimed"
    assert words.powers(made(claim=0.0)) == []


def test_a_folder_without_audits_has_no_page(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        write(tmp_path)
