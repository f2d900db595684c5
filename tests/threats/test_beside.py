"""Threats whose figures stand beside what needs no attack: findings, the register and criteria."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sim.evidence import RunRecord, outcome
from tests.assessed import CATALOG, STACK, assessed, make_design
from tests.records import make_record, with_outcomes
from threats.assessment import Assessment, Plan
from threats.cells import cells
from threats.criteria import Judged
from threats.findings import doubts, finding

PROPERTY, SOURCE = CATALOG.threat("THR-PI").metrics
HIDDEN = {
    "id": "hidden", "threat": "THR-PI", "adversary": "reader", "metric": "property_found",
    "over": "rate", "at_most": 0.5, "min_seeds": 5,
}  # fmt: skip


def inferred(
    found: Sequence[float],
    undefended: float = 1.0,
    alone: float = 0.0,
    attack: str = "property_inference",
    metric: str = "property_found",
) -> list[RunRecord]:
    """Runs of an inference of ten figures a seed with their controls."""
    made = []
    for seed, share in enumerate(found):
        for label, value in (("none", undefended), (STACK, share)):
            made.append(make_record(seed=seed, defense=label))
            run = make_record(seed=seed, attack=attack, defense=label)
            figures = [outcome(metric, value, 10), outcome(f"{metric}_alone", alone, 10)]
            made.append(with_outcomes(run, figures))
    return made


def one_cell(records: list[RunRecord], defense: str = STACK):
    (cell,) = [cell for cell in cells(records) if cell.defense == defense]
    return cell


def assessed_for(records: list[RunRecord], *attacks: str) -> Assessment:
    """What the records show of the design, whose criterion takes these attacks."""
    plan = Plan(needed={("THR-PI", "reader"): attacks or ("property_inference",)})
    return assessed(records, make_design(acceptance=[dict(HIDDEN)]), plan=plan)


def judged(records: list[RunRecord], *attacks: str) -> Judged:
    (one,) = assessed_for(records, *attacks).criteria
    return one


def test_a_finding_states_both_and_how_far_they_are_apart() -> None:
    cell = one_cell(inferred([0.4, 0.3, 0.5], alone=0.1))
    assert doubts(cell, PROPERTY) == []
    text = finding(cell, PROPERTY)
    assert text.startswith(
        "Prevalence from updates: share of prevalences that are guessed within 0.05,"
    )
    assert "0.400 beside 0.100, +0.300 (95 % interval" in text
    assert text.endswith("without the defense 1.000 beside 0.100.")


def test_an_attack_that_is_no_better_than_a_guess_undefended_shows_nothing_of_a_defense() -> None:
    for undefended in (0.4, 0.3):
        cell = one_cell(inferred([0.0] * 5, undefended=undefended, alone=0.4))
        assert doubts(cell, PROPERTY) == [
            "its figure is no larger than the share of prevalences that known patients tell within"
            " 0.05"
        ]
        assert finding(cell, PROPERTY) == ""
    nothing = one_cell(inferred([0.0] * 5, undefended=0.0))
    assert doubts(nothing, PROPERTY) == ["the attack found nothing even without the defense"]


def test_the_register_states_it_as_measured_or_inconclusive() -> None:
    for undefended, status in ((1.0, "measured"), (0.0, "inconclusive")):
        found = assessed_for(inferred([0.0] * 5, undefended))
        (row,) = [row for row in found.rows if row.threat == "THR-PI"]
        assert row.status == status
        assert row.adjusted is not None


def test_success_is_what_is_beyond_the_guess() -> None:
    """Each seed counts whose figure is five points or more above what stands beside it."""
    found = assessed_for(inferred([0.04, 0.5, 0.4, 0.3, 0.02]))
    (on_stack,) = [one for one in found.statements if one.defense == STACK]
    assert (on_stack.trials.unit, on_stack.trials.n, on_stack.trials.successes) == ("seed", 5, 3)
    assert "beyond the share of prevalences that known patients tell" in on_stack.text
    assert "by 1 of" not in on_stack.text  # no hostile hospital takes part


@pytest.mark.parametrize(
    ("shares", "outcome_"),
    [([0.0] * 5, "met"), ([1.0] * 5, "not_met"), ([0.5] * 5, "inconclusive")],
)
def test_a_criterion_bounds_the_share_that_is_found(shares: list[float], outcome_: str) -> None:
    assert judged(inferred(shares)).outcome == outcome_


def test_an_attack_of_the_threat_that_measures_something_else_decides_nothing() -> None:
    others = inferred([0.9] * 5, attack="source_inference", metric="source_accuracy")
    both = ("property_inference", "source_inference")
    one = judged([*inferred([0.0] * 5), *others], *both)
    assert (one.outcome, [tried.attack for tried in one.tried]) == ("met", ["property_inference"])
    assert judged(others, "source_inference").outcome == "inconclusive"
