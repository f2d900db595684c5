"""Criteria are met only by the bound that does not flatter, and by what was tried."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.evidence import RunRecord
from sim.evidence.intervals import CHANGE
from tests.assessed import CATALOG, LOSS, READ, assessed, make_chain, make_design, pairs, recovered
from tests.records import make_record
from threats.assessment import Plan
from threats.bounds import of_mean
from threats.criteria import Judged, claimed, judge, wording
from threats.system import Criterion

SIGN_FLIP = {("THR-BYZ", "hostile"): ("sign_flip",)}
READS = {("THR-GI", "reader"): ("analytic_inversion",)}
PLAN = Plan(needed={**SIGN_FLIP, **READS})
SMALL = [0.01, 0.02, 0.0, 0.015, 0.01]


def judged(records: list[RunRecord], plan: Plan | None = PLAN, **changes: Any) -> Judged:
    """The one criterion of a design, judged: ``LOSS`` with ``changes``."""
    made = {**LOSS, **changes}
    if "loss_at_most" in changes and changes["loss_at_most"] is None:
        del made["loss_at_most"]
    (one,) = assessed(records, make_design(acceptance=[made]), plan=plan).criteria
    return one


# One attack


def test_a_mean_loss_is_met_by_its_upper_bound_and_names_figure_bound_n_and_runs() -> None:
    one = judged(pairs("sign_flip", SMALL))
    upper = of_mean(SMALL, CHANGE).upper
    assert one.outcome == "met"
    assert one.tried[0].upper == pytest.approx(upper)
    assert one.tried[0].figure == pytest.approx(0.011)
    assert f"was 0.011, with 95 % confidence at most {upper:.3f} (5 seeds)" in one.text
    assert all(run.run in one.text for run in one.tried[0].runs[:3])
    assert "and 2 more" in one.text
    assert one.text.startswith(
        "accuracy asks that the mean loss of AUROC is at most 0.05 against the threat THR-BYZ"
        " (Byzantine updates) by hostile. It is met (1 attack tried). Under sign flipping the mean"
        " loss of AUROC was"
    )


def test_a_mean_loss_is_not_met_by_its_lower_bound() -> None:
    one = judged(pairs("sign_flip", [0.2, 0.21, 0.19, 0.2, 0.2]))
    assert one.outcome == "not_met"
    assert "It is not met" in one.text
    assert f"at least {one.tried[0].lower:.3f}" in one.text


def test_a_loss_may_be_a_gain_whose_bounds_lie_below_zero() -> None:
    gains = [-0.1, -0.12, -0.11, -0.1, -0.09]
    one = judged(pairs("sign_flip", gains)).tried[0]
    bounds = of_mean(gains, CHANGE)
    assert (one.lower, one.upper) == pytest.approx((bounds.lower, bounds.upper))
    assert bounds.upper < 0


def test_between_the_bounds_nothing_is_decided_and_both_are_stated() -> None:
    one = judged(pairs("sign_flip", [0.0, 0.1, 0.0, 0.1, 0.02]))
    assert (one.outcome, one.reasons) == ("inconclusive", ())
    assert "It is not decided" in one.text
    assert "each at least" in one.text


def test_too_few_seeds_are_inconclusive_whatever_they_show() -> None:
    for losses in ([0.0] * 4, [0.5] * 4):
        one = judged(pairs("sign_flip", losses))
        assert one.outcome == "inconclusive"
        assert one.reasons == ("4 seeds with a figure, 5 needed (sign flipping)",)


@pytest.mark.parametrize(("attack", "defense"), [("none", "median"), ("sign_flip", "none")])
def test_a_missing_control_is_inconclusive(attack: str, defense: str) -> None:
    records = [
        record
        for record in pairs("sign_flip", [0.0] * 6)
        if (record.attack, record.defense, record.seed) != (attack, defense, 0)
    ]
    records = [record for record in records if record.seed != 1 or record.attack != attack]
    one = judged(records)
    assert one.outcome == "inconclusive"
    assert "4 seeds with a figure, 5 needed" in one.reasons[0]


def test_an_attack_or_a_defense_that_did_nothing_is_inconclusive() -> None:
    for part in ("attack", "defense"):
        records = [
            record.model_copy(
                update={
                    "engagement": record.engagement.model_copy(update={f"{part}_engaged": False})
                }
            )
            if (record.attack, record.defense, record.seed) == ("sign_flip", "median", 0)
            else record
            for record in pairs("sign_flip", [0.0] * 7)
        ]
        one = judged(records)
        assert one.outcome == "inconclusive"
        assert f"the {part} did nothing in seed 0 (sign flipping)" in one.reasons


def test_a_run_in_which_the_attack_left_no_figure_counts_as_the_worst() -> None:
    one = judged(pairs("sign_flip", [None] * 5))
    assert one.outcome == "not_met"
    assert one.tried[0].figure == 1.0
    assert "in 5 runs the attack left none, which counts as the worst" in one.text
    assert judged(pairs("sign_flip", [0.0, 0.0, 0.0, 0.0, None])).outcome == "inconclusive"


def test_a_value_may_be_bounded_instead_of_a_loss() -> None:
    records = pairs("sign_flip", SMALL)
    met = judged(records, loss_at_most=None, at_least=0.8)
    assert met.outcome == "met"
    assert met.tried[0].figure == pytest.approx(0.839)
    assert met.tried[0].lower < met.tried[0].figure < met.tried[0].upper
    assert "with 95 % confidence at least" in met.text
    assert judged(records, loss_at_most=None, at_least=0.9).outcome == "not_met"


def test_the_worst_seed_decides_where_it_is_asked_for() -> None:
    records = pairs("sign_flip", [0.0] * 6 + [0.06])
    one = judged(records, over="worst_seed")
    assert one.outcome == "not_met"
    assert judged(records, over="worst_seed", loss_at_most=0.07).outcome == "met"
    text = judged(records, over="worst_seed", loss_at_most=0.07).text
    assert "of the worst seed was 0.060 (7 seeds; up to 35 % of seeds may be worse)" in text


def test_the_worst_hospital_decides_where_it_is_asked_for() -> None:
    records = []
    for seed in range(6):
        for label in ("none", "median"):
            records.append(make_record(seed=seed, defense=label))
            lost = {"auroc": {"hospital_2": 0.62}}
            attacked = make_record(
                seed=seed,
                attack="sign_flip",
                defense=label,
                of_hospitals=lost,
                figures={"worst_hospital_auroc": 0.62},
            )
            records.append(attacked)
    one = judged(records, over="worst_hospital")
    assert one.outcome == "not_met"
    assert one.tried[0].hospital == "hospital_2"
    assert one.tried[0].figure == pytest.approx(0.2)
    assert "AUROC of hospital_2 was 0.200" in one.text
    assert judged(records).outcome == "met"


@pytest.mark.parametrize(
    ("counts", "outcome"),
    [([0] * 8, "met"), ([4] * 8, "not_met"), ([3, 0, 0, 0, 0, 0, 0, 0], "inconclusive")],
)
def test_a_rate_is_judged_by_bounds_of_records_that_share_seeds(
    counts: list[int], outcome: str
) -> None:
    design = make_design(acceptance=[dict(READ)])
    (one,) = assessed(recovered(counts), design, plan=PLAN).criteria
    assert (one.outcome, one.tried[0].n_trials) == (outcome, 128)
    assert "8 seeds, 128 attacked records" in one.text


def test_too_few_records_are_inconclusive() -> None:
    design = make_design(acceptance=[dict(READ, min_trials=299)])
    (one,) = assessed(recovered([0] * 8), design, plan=PLAN).criteria
    assert one.reasons == ("128 attacked records, 299 needed (analytic inversion)",)


def test_a_reconstruction_that_recovers_nothing_undefended_shows_nothing() -> None:
    design = make_design(acceptance=[dict(READ)])
    (one,) = assessed(recovered([0] * 8, undefended=0), design, plan=PLAN).criteria
    assert one.outcome == "inconclusive"
    assert "found nothing even without the defense" in one.text


# Several attacks


def test_one_attack_that_breaks_a_criterion_breaks_it() -> None:
    records = [*pairs("sign_flip", SMALL), *pairs("alie", [0.2] * 5)]
    one = judged(records)
    assert (one.outcome, one.decisive) == ("not_met", "alie")
    assert "2 attacks tried" in one.text
    assert judged(records, None).outcome == "not_met"


def test_attacks_that_were_not_tried_keep_a_criterion_from_being_met() -> None:
    one = judged(pairs("sign_flip", SMALL), None)
    assert one.outcome == "inconclusive"
    assert one.reasons[0].startswith(
        "not run (Gaussian noise, random updates, canceling updates, hidden shift, "
    )
    missing = Plan(needed={("THR-BYZ", "hostile"): ("sign_flip", "zero")})
    assert judged(pairs("sign_flip", SMALL), missing).reasons == ("not run (canceling updates)",)


def test_without_any_run_nothing_is_met() -> None:
    for plan in (None, PLAN):
        one = judged([], plan)
        assert one.outcome == "inconclusive"
        assert one.reasons
    one = judged(pairs("sign_flip", SMALL), PLAN, threat="THR-LF")
    assert one.reasons == ("no attack of it was run with what the adversary declares",)


def test_the_more_is_compared_the_wider_is_the_bound_that_condemns() -> None:
    losses = [0.06, 0.07, 0.08, 0.06, 0.07]
    alone = judged(pairs("sign_flip", losses))
    among = judged([*pairs("sign_flip", losses), *pairs("alie", SMALL), *pairs("zero", SMALL)])
    assert among.tried[0].attack == "alie"
    flipped = {one.attack: one for one in among.tried}["sign_flip"]
    assert flipped.lower < alone.tried[0].lower
    assert flipped.upper == alone.tried[0].upper


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-0.2, 0.4), min_size=5, max_size=9), st.floats(0, 0.3))
def test_a_loss_that_is_larger_everywhere_never_turns_not_met_into_met(
    losses: list[float], more: float
) -> None:
    order = ["met", "inconclusive", "not_met"]
    before = judged(pairs("sign_flip", losses))
    after = judged(pairs("sign_flip", [loss + more for loss in losses]))
    assert order.index(before.outcome) <= order.index(after.outcome)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-0.1, 0.3), max_size=8))
def test_met_takes_enough_seeds_and_a_mean_below_the_limit(losses: list[float]) -> None:
    one = judged(pairs("sign_flip", losses))
    if one.outcome == "met":
        assert len(losses) >= 5
        assert sum(losses) / len(losses) <= 0.05
        assert one.tried[0].runs


# Words


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "the mean loss of AUROC is at most 0.05"),
        ({"over": "worst_seed"}, "the loss of AUROC of the worst seed is at most 0.05"),
        ({"over": "worst_hospital"}, "the loss of AUROC of the worst hospital is at most 0.05"),
        ({"loss_at_most": None, "at_least": 0.8}, "the mean AUROC is at least 0.8"),
    ],
)
def test_a_criterion_is_put_into_words(changes: dict[str, Any], words: str) -> None:
    values = {key: value for key, value in {**LOSS, **changes}.items() if value is not None}
    assert wording(Criterion.model_validate(values)) == words


def test_a_criterion_that_is_changed_is_another_claim() -> None:
    one = Criterion.model_validate(LOSS)
    other = Criterion.model_validate({**LOSS, "loss_at_most": 0.06})
    assert claimed(one)[0] == claimed(Criterion.model_validate(LOSS))[0] != claimed(other)[0]


def test_a_criterion_is_judged_by_the_lines_of_its_runs() -> None:
    chain = make_chain(pairs("sign_flip", SMALL))
    criterion = Criterion.model_validate(LOSS)
    one = judge(criterion, CATALOG.threat("THR-BYZ"), [], {"zero": "not run"}, chain.lines, {})
    assert (one.outcome, one.reasons, one.tried) == (
        "inconclusive",
        ("not run (canceling updates)",),
        (),
    )
