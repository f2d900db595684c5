"""What the page states of membership inference: tables, curves as drawn, and exceeded privacy."""

from __future__ import annotations

import numpy as np
import pytest

from reports.analysis import broken, membership, tables
from reports.figures import curves, style
from sim.evidence import Membership, MembershipBound, RunRecord, outcome, roc
from tests.records import make_record
from threats.catalog import Measured
from threats.cells import Cell
from threats.findings import doubts, finding

MEASURED = Measured(
    metric="membership_auc", harm="higher", control="undefended", beside="membership_auc_null"
)


def bound(*, exceeded: bool) -> MembershipBound:
    return MembershipBound(
        false_positives=0.01,
        bound=0.05,
        true_positives=0.4 if exceeded else 0.02,
        lowest=0.3 if exceeded else 0.01,
        highest=0.03,
        allowed=0.1,
        exceeded=exceeded,
    )


def inferred(
    seed: int, defense: str = "none", shift: float = 1.0, bounds: tuple[MembershipBound, ...] = ()
) -> RunRecord:
    """A run of ``lira`` with normal scores, those of members higher by ``shift``."""
    rng = np.random.default_rng(seed)
    members = sorted(rng.normal(shift, 1, 300).tolist())
    others = sorted(rng.normal(0, 1, 200).tolist())
    record = make_record(attack="lira", defense=defense, seed=seed, n_hostile=1)
    null = roc.auc(others[::2], others[1::2])
    found = [
        outcome("membership_auc", roc.auc(members, others), 500),
        outcome("membership_auc_null", null, 200),
    ]
    held = Membership(
        attack="lira", party="outsider_api", rounds=[], members=members, others=others,
        bounds=list(bounds),
    )  # fmt: skip
    outcomes = (*record.outcomes, *found)
    return record.model_copy(update={"membership": held, "outcomes": outcomes})


def test_a_cell_holds_means_over_seeds_and_rates_of_all_scores() -> None:
    records = [inferred(seed) for seed in range(6)]
    (cell,) = membership.cells(records)
    each = [roc.auc(one.membership.members, one.membership.others) for one in records]
    assert cell.auc.value == pytest.approx(np.mean(each))
    assert cell.auc.interval.low < cell.auc.value < cell.auc.interval.high
    assert (cell.who, cell.n_seeds) == ("whoever may ask the final model", 6)
    assert (cell.n_members, cell.n_others) == (1800, 1200)
    members = [score for one in records for score in one.membership.members]
    others = [score for one in records for score in one.membership.others]
    for level in (0.01, 0.001):
        assert cell.at[level].value == pytest.approx(roc.true_positives(members, others, level))
        low, high = cell.at[level].interval
        assert low <= cell.at[level].value <= high
    assert abs(cell.null.value - 0.5) < 0.05


def test_a_rate_that_few_records_cannot_tell_is_not_stated() -> None:
    (cell,) = membership.cells([inferred(0)])
    assert cell.at[0.01] is not None
    assert cell.at[0.001] is None
    assert cell.auc.interval is None


def test_the_curve_is_drawn_as_it_is_with_bounds_and_guessing() -> None:
    records = [inferred(0), inferred(0, "dp_record", 0.2, (bound(exceeded=False),))]
    cells = membership.cells(records)
    figure = curves.membership(cells, style.PAGE, style.looks(["none", "dp_record"]))
    (axes,) = [one for one in figure.axes if one.get_visible()]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.get_title(loc="left") or axes.get_title()
    drawn = {line.get_label(): line for line in axes.get_lines()}
    for cell, label in zip(cells, ("no defense", "record-level DP"), strict=True):
        line = drawn[label]
        np.testing.assert_allclose(line.get_xdata(), np.maximum(cell.curve.false, 1e-3))
        np.testing.assert_allclose(line.get_ydata(), np.maximum(cell.curve.true, 1e-3))
    assert [list(drawn["_bound"].get_xdata()), list(drawn["_bound"].get_ydata())] == [
        [0.01],
        [0.05],
    ]
    guessing = axes.get_lines()[0]
    np.testing.assert_array_equal(guessing.get_xdata(), guessing.get_ydata())
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown == ["no defense", "record-level DP"]


def test_exceeded_privacy_comes_before_everything_else() -> None:
    within = inferred(0, "dp_record", 0.2, (bound(exceeded=False),))
    beyond = inferred(1, "dp_record", 2.0, (bound(exceeded=True),))
    assert membership.violations([within]) == []
    assert broken.first([within]) == []
    (text, *_) = broken.first([within, beyond])
    assert "seed 1: 40 % of the records that were trained on" in text
    assert "at least 30 %" in text
    assert "at most 10 %" in text
    assert broken.heading([within, beyond]).startswith("Privacy was exceeded")


def test_a_run_that_is_only_asked_afterwards_only_reads() -> None:
    assert tables.reads_only(inferred(0))


def cell_of(records: list[RunRecord], undefended: list[RunRecord]) -> Cell:
    runs = {one.seed: one for one in records}
    free = {seed: make_record(attack="none", seed=seed, n_hostile=1) for seed in runs}
    return Cell("lira", records[0].defense, runs, free, {one.seed: one for one in undefended})


def test_the_register_states_the_area_beside_its_null() -> None:
    undefended = [inferred(seed) for seed in range(4)]
    cell = cell_of(undefended, undefended)
    assert doubts(cell, MEASURED) == []
    text = finding(cell, MEASURED)
    assert text.startswith(
        "Membership by LiRA: AUC of membership inference, beside AUC between two halves"
    )
    assert "more than a guess is shown" in text


def test_an_attack_no_better_than_its_null_is_no_measurement() -> None:
    blind = [inferred(seed, shift=-0.5) for seed in range(4)]
    (reason,) = doubts(cell_of(blind, blind), MEASURED)
    assert reason.startswith("its figure is no larger than the AUC between two halves")
    without = [
        one.model_copy(update={"outcomes": one.outcomes[:-1]}) for one in blind
    ]  # fmt: skip
    assert doubts(cell_of(without, without), MEASURED) != []


def test_runs_without_the_privacy_that_they_state_are_no_measurement() -> None:
    undefended = [inferred(seed) for seed in range(4)]
    private = [inferred(seed, "dp_record", 2.0, (bound(exceeded=seed == 2),)) for seed in range(4)]
    found = doubts(cell_of(private, undefended), MEASURED)
    assert "more was inferred than private training allows in seed 2" in found
