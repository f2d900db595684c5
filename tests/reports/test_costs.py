"""What each defense costs a hospital when nobody attacks: the frame, the sentence, the table and
the section.
"""

from __future__ import annotations

import re

import pytest

from reports import page
from reports.analysis import costs, tables
from reports.figures import charts, style
from reports.text import words
from sim.evidence import RunRecord, outcome
from tests.records import make_hospitals, make_record

MEASURED = ("influence", "update_distance")


def run(defense: str, seed: int, **changes: dict[str, float | None]) -> RunRecord:
    """Nobody attacks; ``hospital_5`` is smallest, ``hospital_1`` most different; ``changes`` by
    hospital.
    """
    usual = {one.hospital: {"influence": 1.0, "update_distance": 0.5} for one in make_hospitals([])}
    usual["hospital_1"]["update_distance"] = 2.0 if defense == "none" else 0.1
    found = {name: figures | changes.get(name, {}) for name, figures in usual.items()}
    each = [
        outcome(metric, found[name][metric], 1, hospital=name, undefined="-")
        for name in found
        for metric in MEASURED
    ]
    clinical = {
        "auroc": {name: figures["auroc"] for name, figures in found.items() if "auroc" in figures}
    }
    return make_record(defense=defense, seed=seed, of_hospitals=clinical, more=each)


def unmeasured(record: RunRecord) -> RunRecord:
    """The same run of an aggregator that sees sums, so that nothing of single hospitals is
    measured.
    """
    return record.model_copy(
        update={"outcomes": tuple(one for one in record.outcomes if one.metric not in MEASURED)}
    )


def study(attack: str = "none", **changes: dict[str, float | None]) -> list[RunRecord]:
    """Two seeds, undefended and with krum: ``hospital_1`` has 0.2 and 0.4 of an equal share, and
    loses 0.1 and 0.2 of AUROC.
    """
    krum = [
        run("krum", s, hospital_1={"influence": 0.2 + 0.2 * s, "auroc": 0.75 - 0.1 * s}, **changes)
        for s in range(2)
    ]
    return [run("none", s) for s in range(2)] + [
        one.model_copy(update={"attack": attack}) for one in krum
    ]


def row(found, **where):
    (only,) = found.filter(**where).rows(named=True)
    return only


def test_the_smallest_and_the_most_different_are_those_without_a_defense() -> None:
    found = costs.costs(study())
    roles = {
        one["hospital"]: one["role"] for one in found.filter(defense="krum").iter_rows(named=True)
    }
    assert {name: role for name, role in roles.items() if role} == {
        "hospital_5": "smallest",
        "hospital_1": "most different",
    }
    assert [one["role"] for one in costs.of_interest(found)] == ["smallest", "most different"]


def test_one_hospital_may_be_both() -> None:
    records = [
        run(d, s, hospital_5={"update_distance": 9.0}) for d in ("none", "krum") for s in range(2)
    ]
    (only,) = costs.of_interest(costs.costs(records))
    assert (only["hospital"], only["role"]) == ("hospital_5", "smallest and most different")


def test_shares_and_changes_are_means_over_seeds_with_intervals() -> None:
    found = row(costs.costs(study()), hospital="hospital_1")
    assert found["influence"] == pytest.approx(0.3)
    assert found["influence_high"] - found["influence"] == pytest.approx(12.706205 * 0.1, rel=1e-6)
    assert (found["auroc_without"], found["auroc_with"], found["auroc"]) == pytest.approx(
        (0.85, 0.7, -0.15)
    )
    assert found["auroc"] - found["auroc_low"] == pytest.approx(12.706205 * 0.05, rel=1e-6)
    assert found["auroc_high"] == pytest.approx(1 - 0.85)  # a score of 0.85 rises by no more


def test_brier_scores_stand_in_where_a_seed_has_no_auroc() -> None:
    by_role = {one["role"]: one["metric"] for one in costs.of_interest(costs.costs(study()))}
    # hospital_5 has too few test patients
    assert by_role == {"smallest": "brier", "most different": "auroc"}
    lost = [run("krum", 1, hospital_1={"auroc": None})]
    _, most = costs.of_interest(costs.costs([*study()[:3], *lost]))
    assert (most["metric"], most["brier_n"]) == ("brier", 2)


def test_only_runs_that_nobody_attacks_count() -> None:
    assert costs.costs(study(attack="sign_flip")).is_empty()


def test_the_sentence_names_who_has_the_least_influence_and_what_that_does() -> None:
    (text,) = costs.least(costs.costs(study()))
    assert (
        "Krum takes 0.30 of an equal share of the update of hospital_1, the most different hospital"
        " (100 training" in text
    )
    assert "The AUROC of its own patients changes by \N{MINUS SIGN}0.150 (95 % interval" in text
    assert costs.least(costs.costs([run(d, s) for d in ("none", "mean") for s in range(2)])) == []


def test_markdown_has_a_line_for_each_of_them() -> None:
    lines = costs.markdown(costs.costs(study())).splitlines()
    assert len(lines) == 4
    assert lines[3].startswith(
        "| krum | hospital_1 (most different) | 100 | 0.30 | AUROC | 0.850 | 0.700 |"
        " \N{MINUS SIGN}0.150 ("
    )


def html_of(records: list[RunRecord]) -> str:
    known = dict.fromkeys(page.MANIFEST)
    values = page.content(tables.one_study(records), known, show_reconstructions=False)
    return page.render(values, {})


def test_the_page_has_the_table_and_one_without_those_figures_has_none() -> None:
    html = re.sub(r"\s+", " ", html_of(study()))
    assert 'hospital_1<span class="iv">most different</span>' in html
    assert ">0.30<" in html
    old = [unmeasured(one) for one in study()]
    assert costs.costs(old).is_empty()
    html = html_of(old)
    assert "most different" not in html
    assert "Every hospital" in html
    assert "hospital_costs" not in page.draw(old)


def test_a_defense_that_shows_the_aggregator_sums_has_changes_but_no_share() -> None:
    records = [run("none", s) for s in range(2)]
    records += [unmeasured(run("secagg", s)) for s in range(2)]
    found = row(costs.costs(records), hospital="hospital_1")
    assert (found["influence"], found["auroc"]) == (None, 0.0)
    assert words.equal_shares(found["influence"]) == words.NONE
    assert charts.hospital_costs(costs.costs(records), style.PAGE).axes[1].lines


def test_the_figure_marks_both_and_shows_all_others() -> None:
    share, change = charts.hospital_costs(costs.costs(study()), style.PAGE).axes
    points = [line for line in share.lines if line.get_marker() in ("o", "D")]
    assert len(points) == 6
    assert sorted(line.get_markersize() for line in points) == [3.5] * 4 + [6.5] * 2
    assert "Brier" in change.get_xlabel()  # the smallest has no AUROC
    assert share.get_xticks().tolist() == [0, 0.25, 0.5, 1]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, words.NONE), (-0.001, "0.00"), (-0.25, "\N{MINUS SIGN}0.25"), (3, "3.00")],
)
def test_shares_have_two_digits_and_no_negative_zero(value: float | None, shown: str) -> None:
    assert words.equal_shares(value) == shown
