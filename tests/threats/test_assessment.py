"""An assessment is never better than its evidence: no row is green without runs, and what is worse
is never stated as better.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.analysis import tables
from sim import names
from sim.evidence import RunRecord
from sim.evidence.intervals import HARMED
from tests.assessed import (
    CATALOG,
    LOSS,
    STACK,
    assessed,
    make_chain,
    make_design,
    make_values,
    pairs,
    recovered,
)
from tests.records import make_conflict, make_record
from threats import problems
from threats.applicability import ANYBODY, applicable
from threats.assessment import Assessment, Plan, RegisterRow, assess
from threats.levels import LEVELS
from threats.statements import Statement
from threats.used import beyond

SIGN_FLIP = {("THR-BYZ", "hostile"): ("sign_flip",)}
PLAN = Plan(needed={**SIGN_FLIP, ("THR-GI", "reader"): ("analytic_inversion",)})
NONE_OF_13 = [0.01] * 13
BACKDOOR: dict[str, Any] = {
    "adversaries": [
        {
            "id": "hostile",
            "role": "a hospital",
            "at": ["records", "hospital"],
            "powers": ["control_training_data", "control_labels"],
            "initiation": {"level": "moderate", "rationale": "for a test"},
        }
    ],
    "acceptance": [dict(LOSS, threat="THR-BD")],
}
LOSSES = st.lists(st.floats(-0.2, 0.5), min_size=3, max_size=8)


def row_of(made: Assessment, threat: str) -> RegisterRow:
    (row,) = [row for row in made.rows if row.threat == threat]
    return row


def levels_of(row: RegisterRow) -> tuple[int, ...]:
    """Every level of a row, as numbers; the adjusted side, upper and lower."""
    assert row.adjusted is not None
    sides = (row.adjusted.upper, row.adjusted.lower)
    return tuple(LEVELS.index(level) for side in sides for level in side.model_dump().values())


def statement_of(made: Assessment, row: RegisterRow, stack: str = "robust") -> Statement:
    (one,) = [one for one in made.statements if one.id in row.evidence and one.claim.stack == stack]
    return one


def marked(success: Sequence[float | None]) -> list[RunRecord]:
    """Runs of a backdoor with their controls: the success of each seed on the stack."""
    return [
        record
        for seed, share in enumerate(success)
        for label, value in (("none", 0.99), (STACK, share))
        for record in (
            make_record(seed=seed, defense=label),
            make_record(seed=seed, attack="backdoor", defense=label, backdoor=(value, 0.1)),
        )
    ]


# Rows


def test_without_runs_no_row_is_measured_and_none_is_green() -> None:
    made = assessed([])
    assert made.rows
    assert {row.status for row in made.rows} <= {"not_tested", "not_testable_by_simulation"}
    assert {(row.color, row.grade) for row in made.rows} == {("gray", "E0")}
    assert all(row.adjusted is None and not row.evidence and row.reasons for row in made.rows)
    assert made.outcome == "inconclusive"


def test_a_row_that_is_green_was_measured_by_runs_that_it_names() -> None:
    made = assessed(pairs("sign_flip", NONE_OF_13), plan=PLAN)
    row = row_of(made, "THR-BYZ")
    assert (row.status, row.color) == ("measured", "green")
    chain = make_chain(pairs("sign_flip", NONE_OF_13))
    named = {source.run: source.line for source in row.sources}
    assert len(named) == 4 * 13
    assert all(chain.lines[run].hash == line for run, line in named.items())
    assert [one.color for one in made.rows if one.color == "green"] == ["green"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-0.1, 0.2), max_size=20), st.booleans(), st.booleans())
def test_green_takes_a_measurement_and_a_low_risk(
    losses: list[float], idle: bool, all_attacks: bool
) -> None:
    records = pairs("sign_flip", losses)
    if idle:
        records = [asleep(record) if record.seed == 0 else record for record in records]
    made = assessed(records, plan=None if all_attacks else PLAN)
    for row in made.rows:
        if row.color == "green":
            assert row.status == "measured"
            assert row.evidence
            assert row.adjusted is not None
            assert LEVELS.index(row.adjusted.upper.risk) <= 1
            assert not idle
            assert not all_attacks
            assert len(losses) >= 3


def asleep(record: RunRecord) -> RunRecord:
    """The record, with its attack, if any, having done nothing."""
    if record.attack == "none":
        return record
    return record.model_copy(
        update={"engagement": record.engagement.model_copy(update={"attack_engaged": False})}
    )


def test_an_attack_that_was_not_run_leaves_its_row_undecided() -> None:
    row = row_of(assessed(pairs("sign_flip", NONE_OF_13)), "THR-BYZ")
    assert row.status == "inconclusive"
    assert row.reasons[0].startswith(
        "not run (Gaussian noise, random updates, canceling updates, hidden shift, "
    )
    assert "at least" in row.residual
    refused = Plan(refused={"fang_krum": "the rule is no Krum"})
    row = row_of(assessed(pairs("sign_flip", NONE_OF_13), plan=refused), "THR-BYZ")
    assert "the rule is no Krum (push against Krum)" in row.reasons


def test_a_threat_that_no_simulation_can_show_is_never_measured() -> None:
    made = assessed(pairs("sign_flip", NONE_OF_13))
    found = {row.status for row in made.rows if row.threat in ("THR-AGG", "THR-SC", "THR-EAV")}
    assert found == {"not_testable_by_simulation"}


def test_runs_without_a_control_are_inconclusive_and_not_untested() -> None:
    records = [one for one in pairs("sign_flip", NONE_OF_13) if one.defense != "none"]
    row = row_of(assessed(records, plan=PLAN), "THR-BYZ")
    assert (row.status, row.color, row.evidence) == ("inconclusive", "gray", ())
    assert row.reasons[0] == "0 seeds with both controls, 3 needed (sign flipping)"


@pytest.mark.parametrize(
    ("metric", "impact"),
    [("reconstruction_rate", "low"), ("epsilon", "very_high"), ("brier", "moderate")],
)
def test_what_a_privacy_scale_does_not_measure_counts_as_very_high(
    metric: str, impact: str
) -> None:
    scale = {"metric": metric, "very_low": 0.0, "low": 0.1, "moderate": 0.2, "high": 0.3}
    made = assessed(recovered([0] * 10), make_design(impact={"privacy": scale}), plan=PLAN)
    row = row_of(made, "THR-GI")
    assert row.adjusted is not None
    assert row.adjusted.upper.impact == impact
    assert [one.metric for one in row.magnitudes] == ([] if metric == "epsilon" else [metric])


def test_the_same_threat_element_adversary_and_stack_have_the_same_id() -> None:
    first = {row.id for row in assessed([]).rows}
    second = {row.id for row in assessed(pairs("sign_flip", [0.1, 0.2, 0.3])).rows}
    assert first == second
    assert "THR-BYZ/hospital/hostile/robust" in first
    assert len(first) == len(assessed([]).rows)


def test_initial_and_adjusted_levels_are_those_of_the_two_stacks() -> None:
    row = row_of(assessed(pairs("sign_flip", NONE_OF_13, undefended=0.3), plan=PLAN), "THR-BYZ")
    assert row.initial is not None
    assert row.adjusted is not None
    assert row.initial.upper.model_dump() == {
        "adverse": "very_high",
        "likelihood": "high",
        "impact": "very_high",
        "risk": "very_high",
    }
    assert row.adjusted.upper.model_dump() == {
        "adverse": "low",
        "likelihood": "low",
        "impact": "low",
        "risk": "low",
    }
    assert row.adjusted.lower.adverse == "very_low"


def test_no_success_in_12_seeds_is_moderate_and_in_13_low() -> None:
    for n, level in ((12, "moderate"), (13, "low"), (58, "low"), (59, "very_low")):
        row = row_of(assessed(pairs("sign_flip", [0.0] * n), plan=PLAN), "THR-BYZ")
        assert row.adjusted is not None
        assert row.adjusted.upper.adverse == level


def test_attacks_are_never_pooled() -> None:
    weak = [pair for name in ("alie", "ipm", "zero") for pair in pairs(name, [0.0] * 20)]
    alone = row_of(assessed(pairs("sign_flip", [0.2] * 5), plan=PLAN), "THR-BYZ")
    among = row_of(assessed([*pairs("sign_flip", [0.2] * 5), *weak], plan=PLAN), "THR-BYZ")
    assert levels_of(among) == levels_of(alone)
    assert among.text == alone.text


def test_a_mark_that_works_is_harm_though_no_auroc_changes() -> None:
    design = make_design(**BACKDOOR)
    records = marked([0.9] * 13)
    found = assessed(records, design)
    (on_stack,) = [one for one in found.statements if one.defense == "median"]
    assert on_stack.text.endswith(" The largest rise was +80.0 points.")
    row = row_of(found, "THR-BD")
    assert row.element == "records"
    assert row.adjusted is not None
    assert (row.adjusted.upper.impact, row.color) == ("very_high", "red")
    assert "backdoor" in row.text
    (harm,) = [one for one in row.magnitudes if one.kind == "integrity"]
    assert harm.metric == "backdoor_success"


def test_an_attack_that_leaves_no_model_has_lost_all_of_its_utility() -> None:
    made = assessed(pairs("sign_flip", [0.0, 0.0, 0.2, 0.0, None]), plan=PLAN)
    one = statement_of(made, row_of(made, "THR-BYZ"))
    assert (one.trials.successes, one.trials.lost, one.trials.unknown) == (2, 1, 0)
    of_figures = assessed(pairs("sign_flip", [0.0, 0.0, 0.2, 0.0, 0.3]), plan=PLAN)
    same = statement_of(of_figures, row_of(of_figures, "THR-BYZ"))
    assert (one.lower, one.upper, one.result) == (same.lower, same.upper, same.result)
    assert max(one.magnitudes, key=lambda found: found.level == "very_high").level == "very_high"
    assert "in 2 of 5 runs, 1 of which left a model with no AUROC (40 %; " in one.text
    assert one.text.endswith(". Of the others, the largest loss was 0.200.")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([None, 0.0, 0.2]), min_size=3, max_size=8))
def test_page_and_register_have_one_standard_of_harm(losses: list[float | None]) -> None:
    """Each seed lost much by the one exactly if each did by the other, without an AUROC too."""
    records = pairs("sign_flip", losses)
    made = assessed(records, plan=PLAN)
    trials = statement_of(made, row_of(made, "THR-BYZ")).trials
    cells = tables.cells(records).filter(attack="sign_flip", defense=STACK)
    n_lost = cells["n_lost"].item() + cells["n_undefined"].item()
    assert (trials.successes, trials.lost) == (n_lost, cells["n_undefined"].item())
    if n_lost == len(losses):
        assert cells["verdict"].item() == HARMED
        assert statement_of(made, row_of(made, "THR-BYZ")).result == "supports"


def test_whether_a_mark_would_have_worked_without_a_model_nobody_knows() -> None:
    records = marked([None] * 5)
    found = assessed(records, make_design(**BACKDOOR))
    (one,) = [one for one in found.statements if one.defense == STACK]
    assert (one.trials.successes, one.trials.lost, one.trials.unknown) == (0, 0, 5)
    assert (one.lower, one.upper, one.result) == (0.0, 1.0, "inconclusive")
    assert "; 5 of them left no attack success of the backdoor to compare" in one.text


def test_a_criterion_is_not_missed_by_what_nobody_knows() -> None:
    asked = dict(LOSS, threat="THR-BD", metric="backdoor_success", loss_at_most=0.3)
    plan = Plan(needed={("THR-BD", "hostile"): ("backdoor",)})
    for success, outcome, lower in (
        ([None] * 5, "inconclusive", -1.0),
        ([0.9, 0.9, 0.9, 0.9, None], "inconclusive", None),
        ([0.9] * 5, "not_met", 0.8),
        ([0.1] * 5, "met", None),
    ):
        design = make_design(**{**BACKDOOR, "acceptance": [asked]})
        (one,) = assessed(marked(success), design, plan=plan).criteria
        assert one.outcome == outcome
        assert lower is None or one.tried[0].lower == pytest.approx(lower)


# Monotonicity


@settings(max_examples=60, deadline=None)
@given(LOSSES, st.data())
def test_a_larger_loss_never_lowers_a_level(losses: list[float], data: st.DataObject) -> None:
    which = data.draw(st.integers(0, len(losses) - 1))
    more = [loss + (i == which) * data.draw(st.floats(0, 0.3)) for i, loss in enumerate(losses)]
    before = row_of(assessed(pairs("sign_flip", losses), plan=PLAN), "THR-BYZ")
    after = row_of(assessed(pairs("sign_flip", more), plan=PLAN), "THR-BYZ")
    assert all(low <= high for low, high in zip(levels_of(before), levels_of(after), strict=True))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([1, 2, 16, 60]), min_size=3, max_size=8), st.data())
def test_one_record_more_never_lowers_a_level(sizes: list[int], data: st.DataObject) -> None:
    """Seeds have as many records, or one has many more than another."""
    counts = [data.draw(st.integers(0, size - 1)) for size in sizes]
    which = data.draw(st.integers(0, len(counts) - 1))
    more = [count + (i == which) for i, count in enumerate(counts)]
    before, after = (
        row_of(assessed(recovered(one, sizes), plan=PLAN), "THR-GI") for one in (counts, more)
    )
    assert all(low <= high for low, high in zip(levels_of(before), levels_of(after), strict=True))


@settings(max_examples=30, deadline=None)
@given(st.sets(st.sampled_from(["control_labels", "control_training_data", "see_global_model"])))
def test_more_powers_never_lower_a_risk_nor_take_a_row_away(more: set[str]) -> None:
    records = [
        *pairs("sign_flip", [0.0] * 13),
        *pairs("neurotoxin", [0.3] * 13),
        *pairs("label_flip", [0.1] * 13),
    ]
    values = make_values()
    values["adversaries"][0]["at"] = ["hospital", "records"]
    few = assessed(records, problems.design(values))
    values["adversaries"][0]["powers"] = ["modify_update", *sorted(more)]
    many = assessed(records, problems.design(values))
    after = {row.id: row for row in many.rows}
    for row in few.rows:
        assert row.id in after
        if row.adjusted is not None:
            pairs_ = zip(levels_of(row), levels_of(after[row.id]), strict=True)
            assert all(low <= high for low, high in pairs_)


@settings(max_examples=30, deadline=None)
@given(LOSSES, st.sampled_from(["alie", "copy", "seed"]))
def test_the_same_runs_under_another_name_never_lower_a_bound(
    losses: list[float], how: str
) -> None:
    records = pairs("sign_flip", losses)
    again = {
        "alie": pairs("alie", losses),
        "copy": records,
        "seed": [record.model_copy(update={"code": "other"}) for record in records],
    }[how]
    before = row_of(assessed(records, plan=PLAN), "THR-BYZ")
    after = row_of(assessed([*records, *again], plan=PLAN), "THR-BYZ")
    assert all(low <= high for low, high in zip(levels_of(before), levels_of(after), strict=True))


# Powers


def test_what_an_adversary_cannot_do_is_excluded_with_a_code() -> None:
    _, excluded = applicable(make_design(), CATALOG)
    codes = {(one.threat, one.adversary): one.code for one in excluded}
    assert codes["THR-LF", "hostile"] == "powers"
    assert codes["THR-GIM", "reader"] == "powers"
    values = make_values()
    values["adversaries"][0]["powers"] = ["control_training_data", "control_labels"]
    values["adversaries"][1] |= {"powers": ["see_aggregate"]}
    _, excluded = applicable(problems.design(values), CATALOG)
    codes = {(one.threat, one.adversary): one.code for one in excluded}
    assert codes["THR-DBA", "hostile"] == "parties"
    assert codes["THR-COL", "reader"] == "parties"


def test_who_is_at_no_element_that_a_threat_strikes_is_excluded_by_place() -> None:
    values = make_values()
    values["adversaries"][0] |= {"at": ["records"], "powers": ["control_labels"]}
    subjects, excluded = applicable(problems.design(values), CATALOG)
    assert [one.element for one in subjects if one.threat == "THR-LF"] == ["records"]
    values["components"][2]["role"] = "other"
    values["adversaries"][1]["powers"] = ["see_individual_updates"]
    _, excluded = applicable(problems.design(values), CATALOG)
    codes = {(one.threat, one.adversary): one.code for one in excluded}
    assert codes["THR-GI", "reader"] == "place"
    assert codes["THR-AGG", ANYBODY] == "element"


def test_runs_with_more_hostile_hospitals_than_declared_are_no_evidence() -> None:
    records = pairs("sign_flip", [0.0] * 13, n_hostile=2)
    row = row_of(assessed(records, plan=PLAN), "THR-BYZ")
    assert (row.status, row.evidence) == ("not_tested", ())
    assert "2 hospitals are hostile, and hostile declares at most 1 (sign flipping)" in row.reasons


@pytest.mark.parametrize(
    ("config", "n_hostile", "reason"),
    [
        ({}, 2, "2 hospitals are hostile, and hostile declares at most 1"),
        (
            {"adversary": {"knowledge": "updates_and_rule"}},
            1,
            "and hostile is declared to know its own update only (own)",
        ),
    ],
)
def test_a_run_beyond_the_declared_powers_is_found_with_the_reason(
    config: dict[str, Any], n_hostile: int, reason: str
) -> None:
    values = make_values()
    values["adversaries"][0]["knowledge"] = "own"
    hostile = problems.design(values).adversary("hostile")
    assert beyond(["sign_flip"], {}, 1, hostile, CATALOG) is None
    found = beyond(["sign_flip"], config, n_hostile, hostile, CATALOG)
    assert found is not None
    assert reason in found


def test_a_power_that_nobody_declared_is_found_with_its_name() -> None:
    hostile = make_design().adversary("hostile")
    found = beyond(["sign_flip", "label_flip"], {}, 1, hostile, CATALOG)
    assert found is not None
    assert found.startswith("it takes the power to ")
    assert found.endswith(" (control_labels), which hostile lacks")


def test_an_attack_that_no_threat_claims_is_beyond_all_powers_and_no_evidence() -> None:
    hostile = make_design().adversary("hostile")
    found = beyond(["sign_flip", "my_attack"], {}, 1, hostile, CATALOG)
    assert found is not None
    assert found.startswith("no threat claims my_attack, and nobody stated the powers")
    records = pairs("sign_flip+my_attack", [0.0] * 13)
    row = row_of(assessed(records, plan=PLAN), "THR-BYZ")
    assert (row.status, row.evidence) == ("not_tested", ())


def test_an_attack_that_knew_less_than_it_may_is_a_limit() -> None:
    made = assessed(pairs("sign_flip", [0.0] * 5), plan=PLAN)
    limits = statement_of(made, row_of(made, "THR-BYZ")).limits
    assert (
        "the attack knew its own update only; the adversary may know the updates of all hospitals,"
        " and the defense" in limits
    )


def test_whoever_declares_sums_only_may_not_be_given_single_updates() -> None:
    values = make_values()
    values["adversaries"][1]["powers"] = ["see_group_sums"]
    reader = problems.design(values).adversary("reader")
    hidden = {"secagg": {"_target_": "aggregators.secagg.sum.Sum"}}
    shown = {"secagg": {"_target_": names.CLEAR}}
    assert beyond(["analytic_inversion"], hidden, 0, reader, CATALOG) is None
    assert beyond(["analytic_inversion"], shown, 0, reader, CATALOG, baseline=True) is None
    found = beyond(["analytic_inversion"], shown, 0, reader, CATALOG)
    assert found is not None
    assert found.endswith(" (see_individual_updates), which reader lacks")


# Statements


def test_a_statement_names_claim_powers_trials_bounds_grade_and_limits() -> None:
    made = assessed(pairs("sign_flip", [0.1, 0.2, 0.0, 0.0, 0.0]), plan=PLAN)
    one = statement_of(made, row_of(made, "THR-BYZ"))
    assert one.claim.text == (
        "With the stack robust, sign flipping by hostile lowers the AUROC by 0.05 or more in at"
        " least 5 % of runs."
    )
    assert (one.powers, one.knowledge, one.n_hostile) == (("modify_update",), "own", 1)
    assert (one.trials.n, one.trials.successes, one.trials.seeds) == (5, 2, (0, 1, 2, 3, 4))
    assert one.lower < one.rate < one.upper
    assert (one.grade, one.result, one.stated) == ("E1", "supports", "not stated")
    assert len(one.runs) == 5
    assert len(one.controls) == 10
    assert one.id.startswith("EV-")
    assert "the attack did not adapt to the defense; one that does may achieve more" in one.limits


@pytest.mark.parametrize(
    ("n", "adaptive", "public", "grade"),
    [
        (13, True, True, "E2"),
        (13, True, False, "E3"),
        (13, False, False, "E1"),
        (12, True, False, "E1"),
    ],
)
def test_grades_follow_adaptation_trials_and_data(
    n: int, adaptive: bool, public: bool, grade: str
) -> None:
    records = pairs("sign_flip", [0.0] * n, adaptive=adaptive, public=public)
    design = make_design(acceptance=[dict(LOSS, min_seeds=13)])
    assert row_of(assessed(records, design, plan=PLAN), "THR-BYZ").grade == grade


def test_a_claim_is_supported_or_refuted_only_by_its_bounds() -> None:
    for losses, expected in (
        ([0.0] * 59, "refutes"),
        ([0.0] * 58, "inconclusive"),
        ([0.2] * 3 + [0.0] * 9, "supports"),
        ([0.2] + [0.0] * 9, "inconclusive"),
    ):
        made = assessed(pairs("sign_flip", losses), plan=PLAN)
        assert statement_of(made, row_of(made, "THR-BYZ")).result == expected


def test_records_of_a_seed_are_no_independent_trials() -> None:
    made = assessed(recovered([8, 0, 0, 0, 0]), plan=PLAN)
    one = statement_of(made, row_of(made, "THR-GI"))
    assert (one.trials.unit, one.trials.n) == ("record", 80)
    assert one.trials.effective < 20
    assert one.upper > 0.2


def test_people_exposed_are_records_in_scope_times_the_upper_bound() -> None:
    made = assessed(recovered([0] * 10), plan=PLAN)
    one = statement_of(made, row_of(made, "THR-GI"))
    (privacy,) = one.magnitudes
    assert privacy.value == pytest.approx(400 * one.upper)
    assert (privacy.kind, privacy.level) == ("privacy", "moderate")


# People


def test_decisions_stand_beside_their_rows_until_their_last_day() -> None:
    row = "THR-BYZ/hospital/hostile/robust"
    made = {"decision": "accept", "by": "Dr. A", "date": "2026-01-01", "expires": "2026-06-30"}
    design = make_design(
        decisions=[
            {"row": row, **made},
            {"row": "verdict", **made},
            {"row": "THR-XX/a/b/c", **made},
        ]
    )
    for day, expired in (("2026-06-30", False), ("2026-07-01", True)):
        found = assessed([], design, on=datetime.date.fromisoformat(day))
        decision = row_of(found, "THR-BYZ").decision
        assert (decision.decision, decision.by, decision.expired) == ("accept", "Dr. A", expired)
        assert found.decision.expired == expired
        ended = [one for one in found.questions if "ended on 2026-06-30" in one]
        assert len(ended) == (2 if expired else 0)
    assert any("THR-XX/a/b/c, which is no row" in one for one in found.questions)
    assert row_of(found, "THR-GI").decision.decision is None


def test_open_questions_name_what_nobody_stands_for() -> None:
    questions = "\n".join(assessed([]).questions)
    for words in (
        "Nobody has confirmed the legal assumption law: Updates are records.",
        "nobody has ratified it",
        "Nobody stands for the initiation level of hostile, which is moderate.",
        "Whether update holds health information of persons is assumed, not known.",
        "Robust aggregation rule (FLM-01) is enforced by the uploaded app: who checks that app?",
        "Byzantine updates (THR-BYZ/hospital/hostile/robust) is not tested: ",
    ):
        assert words in questions


def test_a_stack_that_nobody_enforces_is_an_open_question() -> None:
    asked = "Nobody is declared to enforce the stack robust: who makes sure of it?"
    for stacks, is_open in (
        ([{"id": "robust", "defense": "median"}], True),
        ([{"id": "robust", "defense": "none"}], False),
        (make_values()["stacks"], False),
    ):
        assert (asked in assessed([], make_design(stacks=stacks)).questions) == is_open


def test_a_conflict_that_runs_recorded_is_a_row() -> None:
    records = pairs("sign_flip", [0.0] * 3, conflicts=[make_conflict()])
    (row,) = [row for row in assessed(records).rows if row.kind == "conflict"]
    assert row.id == "conflict/secagg-robustness/robust"
    assert (row.status, row.controls) == ("literature_only", ("FLM-05", "FLM-01", "FLM-09"))
    assert {source.run for source in row.sources} == {
        record.run for record in make_chain(records).records if record.defense == "median"
    }


def test_the_worksheet_leaves_to_people_what_no_simulation_measures() -> None:
    (sheet,) = assessed(recovered([0] * 10), plan=PLAN).worksheets
    assert sheet.adversary == "reader"
    assert {"THR-GI", "THR-MIA"} <= {*sheet.threats}
    factors = {one.factor: one for one in sheet.factors}
    assert list(factors) == ["i", "ii", "iii", "iv"]
    assert factors["iii"].inputs == ("not measurable by simulation",)
    assert factors["i"].inputs[0] == "records in scope: 400"
    assert "recovered 0 of 160 attacked records" in factors["i"].inputs[1]
    assert factors["ii"].inputs == ("reader, who may see records of nobody",)
    assert factors["iv"].inputs == ("Robust aggregation rule (FLM-01), enforced by the app",)


def test_another_stack_can_be_assessed_than_the_declared_one() -> None:
    values = make_values()
    values["stacks"].append({"id": "other", "defense": "krum"})
    records = [*pairs("sign_flip", [0.0] * 13), *pairs("sign_flip", [0.2] * 13, defense="krum")]
    design = problems.design(values)
    chain = make_chain(records)
    rows = [
        row_of(assess(design, CATALOG, chain, PLAN, stack=one), "THR-BYZ")
        for one in ("robust", "other")
    ]
    assert [row.color for row in rows] == ["green", "red"]
    assert rows[1].id == "THR-BYZ/hospital/hostile/other"


def test_runs_may_name_the_defense_of_a_stack_in_another_way() -> None:
    records = pairs("sign_flip", [0.0] * 13, defense="median+aggregator")
    plan = Plan(labels={"robust": "median+aggregator"}, needed=SIGN_FLIP)
    assert row_of(assessed(records, plan=plan), "THR-BYZ").status == "measured"
    assert row_of(assessed(records, plan=PLAN), "THR-BYZ").status == "not_tested"


def test_a_claim_keeps_its_id_in_other_words_and_gets_another_with_another_loss() -> None:
    made = assessed(pairs("sign_flip", [0.1, 0.2, 0.0, 0.0, 0.0]), plan=PLAN)
    one = statement_of(made, row_of(made, "THR-BYZ")).claim
    assert one.model_copy(update={"text": "other words"}).id == one.id
    assert one.model_copy(update={"material": 0.1}).id != one.id
    assert one.attack == "sign_flip"
