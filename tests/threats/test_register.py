"""A row of the register is never better than the runs behind it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.analysis import tables
from sim.evidence import RunRecord, Statement
from sim.evidence.intervals import HARMED, UNDECIDED, WITHIN
from tests import ROOT
from tests.records import (
    make_conflict,
    make_inversion,
    make_isolation,
    make_record,
    with_figures,
)
from tests.threats.reading import CATALOG, NEVER_STATED, row_of, rows_of
from threats.register import Row, register

REPORT = {"report": {"material_drop": 0.05}}


def grid(
    *attacks: str, defense: str = "krum", seeds: int = 3, recovered: tuple[int, int] = (6, 0)
) -> list[RunRecord]:
    """Every attack and none, undefended and under ``defense``; ``recovered`` records (undefended,
    defended) by reconstruction.
    """
    records = []
    for seed in range(seeds):
        for stack, found in zip(("none", defense), recovered, strict=True):
            records.append(make_record(seed=seed, defense=stack))
            for attack in attacks:
                inversion = make_inversion(found, 8) if "inversion" in attack else None
                records.append(
                    make_record(seed=seed, attack=attack, defense=stack, inversion=inversion)
                )
    return records


def without(records: list[RunRecord], **fields: Any) -> list[RunRecord]:
    return [
        record
        for record in records
        if any(getattr(record, key) != value for key, value in fields.items())
    ]


def altered(
    records: list[RunRecord], where: Callable[[RunRecord], bool], **changes: Any
) -> list[RunRecord]:
    return [record.model_copy(update=changes) if where(record) else record for record in records]


def idle(record: RunRecord, part: str) -> RunRecord:
    return record.model_copy(
        update={"engagement": record.engagement.model_copy(update={f"{part}_engaged": False})}
    )


# What makes a row measured


def test_without_runs_every_threat_has_one_row_and_none_is_measured() -> None:
    rows = register([], CATALOG)
    assert [row.id for row in rows] == [threat.id for threat in CATALOG.threats]
    assert [row.status for row in rows] == [threat.untested.status for threat in CATALOG.threats]
    assert all(row.reason and not row.finding and not row.runs for row in rows)


def test_three_engaged_seeds_with_both_controls_are_a_measurement() -> None:
    row = row_of(grid("sign_flip"), "THR-BYZ", "krum")
    assert (row.status, row.attacks, row.runs) == (
        "measured",
        ("sign_flip",),
        tuple(f"sign_flip-krum-{seed}" for seed in range(3)),
    )
    assert set(row.controls) == {
        f"{name}-{seed}" for seed in range(3) for name in ("none-krum", "sign_flip-none")
    }


def test_the_undefended_attack_is_its_own_second_control() -> None:
    row = row_of(grid("sign_flip"), "THR-BYZ", "none")
    assert (row.status, row.controls) == ("measured", ("none-none-0", "none-none-1", "none-none-2"))


def expect_inconclusive(
    records: list[RunRecord], reason: str, threat: str = "THR-BYZ", defense: str = "krum"
) -> Row:
    row = row_of(records, threat, defense)
    assert (row.status, row.finding) == ("inconclusive", "")
    assert reason in row.reason
    return row


def test_two_seeds_are_too_few() -> None:
    expect_inconclusive(grid("sign_flip", seeds=2), "2 seeds with both controls, 3 needed")


def test_an_attack_that_did_nothing_in_one_run_is_inconclusive() -> None:
    records = [
        idle(r, "attack") if r.run == "sign_flip-krum-2" else r for r in grid("sign_flip", seeds=4)
    ]
    expect_inconclusive(records, "the attack did nothing in seed 2")


def test_a_defense_that_did_nothing_in_one_run_is_inconclusive() -> None:
    records = [
        idle(r, "defense") if r.run in ("sign_flip-krum-1", "sign_flip-krum-3") else r
        for r in grid("sign_flip", seeds=4)
    ]
    expect_inconclusive(records, "the defense did nothing in seeds 1 and 3")


def test_unknown_engagement_counts_as_none() -> None:
    unknown = make_record().engagement
    records = altered(grid("sign_flip"), lambda r: r.run == "sign_flip-krum-0", engagement=unknown)
    expect_inconclusive(
        records, "the attack did nothing in seed 0; the defense did nothing in seed 0"
    )


def test_without_the_no_attack_control_a_row_is_inconclusive() -> None:
    records = without(grid("sign_flip"), attack="none", defense="krum")
    expect_inconclusive(
        records, "0 seeds with both controls, 3 needed; no run without the attack for seeds 0 to 2"
    )


def test_without_the_no_defense_control_a_row_is_inconclusive() -> None:
    records = without(grid("sign_flip"), attack="sign_flip", defense="none")
    expect_inconclusive(
        records, "no run without the defense in which the attack did something for seeds 0 to 2"
    )


def test_an_attack_that_does_nothing_even_undefended_is_no_control() -> None:
    records = [
        idle(r, "attack") if (r.attack, r.defense) == ("sign_flip", "none") else r
        for r in grid("sign_flip")
    ]
    expect_inconclusive(
        records, "no run without the defense in which the attack did something for seeds 0 to 2"
    )


def test_controls_of_other_seeds_do_not_count() -> None:
    records = altered(
        grid("sign_flip"), lambda r: (r.attack, r.defense) == ("none", "krum"), seed=77
    )
    expect_inconclusive(records, "no run without the attack for seeds 0 to 2")


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"training": {"rounds": 5}, **REPORT}},
        {"data_hash": "1" * 64},
        {"code": "other"},
        {"consortium": "b"},
    ],
)
def test_controls_of_another_setting_do_not_count(changes: dict[str, Any]) -> None:
    records = altered(
        grid("sign_flip"), lambda r: (r.attack, r.defense) == ("none", "krum"), **changes
    )
    expect_inconclusive(records, "no run without the attack for seeds 0 to 2")


def test_attack_and_defense_may_differ_between_a_run_and_its_controls() -> None:
    def configured(record: RunRecord) -> RunRecord:
        own = {
            "attack": {record.attack: {}},
            "adversary": {"n_hostile": record.n_hostile},
            "aggregator": record.defense,
            "label": record.defense,
        }
        return record.model_copy(update={"config": {**record.config, **own, "seed": record.seed}})

    assert (
        row_of([configured(record) for record in grid("sign_flip")], "THR-BYZ", "krum").status
        == "measured"
    )


def test_runs_of_two_settings_are_two_rows() -> None:
    longer = altered(
        grid("sign_flip"), lambda _: True, config={"training": {"rounds": 9}, **REPORT}
    )
    rows = [row for row in rows_of(grid("sign_flip") + longer, "THR-BYZ") if row.defense == "krum"]
    assert [(row.status, len(row.runs)) for row in rows] == [("measured", 3)] * 2


def test_the_later_of_two_runs_of_one_configuration_and_seed_counts() -> None:
    again = altered(with_changes(-0.5, -0.5, -0.5), lambda r: r.attack == "sign_flip", run="again")
    row = row_of(with_changes(-0.1, -0.2, -0.3) + again, "THR-BYZ", "krum")
    assert (row.runs, "by \N{MINUS SIGN}0.500" in row.finding) == (("again",) * 3, True)


def test_a_seed_without_controls_is_left_out_and_named() -> None:
    records = without(grid("sign_flip", seeds=4), attack="none", defense="krum", seed=3)
    row = row_of(records, "THR-BYZ", "krum")
    assert (row.status, "3 seeds" in row.finding) == ("measured", True)
    assert row.reason.startswith("no run without the attack for seed 3; ")


def test_a_defense_that_one_attack_never_met_has_an_untested_row() -> None:
    records = without(grid("sign_flip", "label_flip"), attack="label_flip", defense="krum")
    row = row_of(records, "THR-LF", "krum")
    assert (row.status, row.attacks, row.runs) == ("not_tested", ("label_flip",), ())


def test_attacks_of_a_tested_threat_that_never_ran_are_named() -> None:
    (row,) = [row for row in rows_of(grid("sign_flip"), "THR-BYZ") if row.defense is None]
    (threat,) = [threat for threat in CATALOG.threats if threat.id == "THR-BYZ"]
    assert (row.status, row.attacks) == (
        "not_tested",
        tuple(name for name in threat.attacks if name != "sign_flip"),
    )
    assert "alie" in row.attacks


def test_attacks_run_together_count_for_each_threat_and_state_that_effects_are_mixed() -> None:
    records = grid("label_flip+sign_flip")
    for threat in ("THR-LF", "THR-BYZ"):
        row = row_of(records, threat, "krum")
        assert (row.status, row.attacks) == ("measured", ("label_flip", "sign_flip"))
        assert "their effects are not distinguished" in row.reason


def test_an_attack_run_alone_is_no_control_of_one_run_together() -> None:
    records = without(
        grid("label_flip+sign_flip", "label_flip"), attack="label_flip+sign_flip", defense="none"
    )
    together = [row for row in rows_of(records, "THR-BYZ") if row.defense == "krum"]
    assert [row.status for row in together] == ["inconclusive"]


def test_a_defense_that_met_an_unadaptive_attack_only_has_that_stated() -> None:
    remark = "the attack did not adapt to the defense"
    assert remark in row_of(grid("sign_flip"), "THR-BYZ", "krum").reason
    assert remark not in row_of(grid("sign_flip"), "THR-BYZ", "none").reason
    adaptive = row_of(altered(grid("alie"), lambda _: True, adaptive=True), "THR-BYZ", "krum")
    assert (adaptive.adaptive, remark in adaptive.reason) == (True, False)


# Figures


def with_changes(*changes: float) -> list[RunRecord]:
    records = []
    for seed, change in enumerate(changes):
        for defense in ("none", "krum"):
            records.append(
                make_record(seed=seed, defense=defense, figures={"auroc": 0.7 + 0.1 * seed})
            )
            records.append(
                make_record(
                    seed=seed,
                    defense=defense,
                    attack="sign_flip",
                    figures={"auroc": 0.7 + 0.1 * seed + change},
                )
            )
    return records


def test_the_auroc_finding_is_the_paired_mean_with_its_interval_its_seeds_and_its_verdict() -> None:
    """Changes of -0.1, -0.2 and -0.3: mean -0.2, standard error 0.1 / sqrt(3), t(0.975, 2) =
    4.3027, half-width 0.2484.
    """
    row = row_of(with_changes(-0.1, -0.2, -0.3), "THR-BYZ", "krum")
    assert (
        row.finding == "Sign flipping by 1 of 6 hospitals changed the AUROC by \N{MINUS SIGN}0.200 "
        "(95 % interval \N{MINUS SIGN}0.448 to +0.048, 3 seeds, each against"
        " its own run without the attack); "
        "3 of 3 seeds lost 0.05 or more, the largest change \N{MINUS SIGN}0.300: harm is shown."
    )


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        (
            (-0.4, 0.0, 0.0),
            (
                "1 of 3 seeds lost 0.05 or more, the largest change \N{MINUS SIGN}0.400: whether"
                " it does harm is"
                " not decided with 3 seeds."
            ),
        ),
        (
            (0.0, 0.0, 0.001),
            (
                "0 of 3 seeds lost 0.05 or more, the largest change 0.000: no material loss shown"
                " within the interval."
            ),
        ),
        ((-0.04, 0.0, 0.04), "whether it does harm is not decided with 3 seeds."),
    ],
)
def test_a_wide_interval_is_distinguished_from_no_harm(
    changes: tuple[float, ...], verdict: str
) -> None:
    assert row_of(with_changes(*changes), "THR-BYZ", "krum").finding.endswith(verdict)


def without_auroc(records: list[RunRecord], *seeds: int) -> list[RunRecord]:
    """The records, of which the attacked runs of krum with these seeds have no AUROC."""
    ours = [("sign_flip", "krum", seed) for seed in seeds]
    return [
        with_figures(one, {"auroc": None}) if (one.attack, one.defense, one.seed) in ours else one
        for one in records
    ]


def test_a_model_without_an_auroc_counts_as_lost_and_is_never_no_loss() -> None:
    row = row_of(without_auroc(with_changes(0.0, 0.0, 0.001, 0.0), 3), "THR-BYZ", "krum")
    assert (row.status, row.shown) == ("measured", "not_decided")
    assert (
        "no AUROC in 1 seed more: whether it does harm is not decided with 4 seeds." in row.finding
    )
    row = row_of(without_auroc(with_changes(-0.2, -0.2, 0.0), 2), "THR-BYZ", "krum")
    assert (row.status, row.shown) == ("measured", "harm")
    row = row_of(without_auroc(with_changes(0.0, 0.0, 0.0), 0, 1, 2), "THR-BYZ", "krum")
    assert (row.status, row.shown) == ("measured", "harm")
    assert row.finding.endswith("left no AUROC in any of 3 seeds: harm is shown.")


def test_a_control_without_an_auroc_is_left_out_by_name() -> None:
    records = [
        with_figures(one, {"auroc": None})
        if (one.attack, one.defense, one.seed) == ("none", "krum", 3)
        else one
        for one in with_changes(0.0, 0.0, 0.001, 0.0)
    ]
    row = row_of(records, "THR-BYZ", "krum")
    assert row.status == "measured"
    assert row.reason.startswith("no AUROC in the control for seed 3")
    assert row.finding.endswith("whether it does harm is not decided with 3 seeds.")


@pytest.mark.parametrize(
    ("changes", "status", "shown"),
    [
        ((-0.2, -0.3), "measured", "harm"),
        ((-0.2, 0.0), "inconclusive", "not_decided"),
        ((0.0, 0.0), "inconclusive", "not_decided"),
        ((-0.9,), "inconclusive", "not_decided"),
    ],
)
def test_two_seeds_can_show_harm_and_nothing_else(
    changes: tuple[float, ...], status: str, shown: str
) -> None:
    row = row_of(with_changes(*changes), "THR-BYZ", "krum")
    assert (row.status, row.shown) == (status, shown)
    assert bool(row.finding) is (status == "measured")
    assert ("3 needed" in row.reason) is (status == "inconclusive")


@given(
    st.lists(
        st.one_of(st.none(), st.sampled_from([-0.4, -0.06, -0.05, -0.04, 0.0, 0.01])),
        min_size=1,
        max_size=5,
    )
)
def test_the_page_and_the_register_show_harm_by_one_rule(changes: list[float | None]) -> None:
    records = with_changes(*(change or 0.0 for change in changes))
    lost = [seed for seed, change in enumerate(changes) if change is None]
    records = without_auroc(records, *lost)
    row = row_of(records, "THR-BYZ", "krum")
    (cell,) = tables.cells(records).filter(attack="sign_flip", defense="krum").iter_rows(named=True)
    names = {HARMED: "harm", WITHIN: "no_harm", UNDECIDED: "not_decided"}
    assert row.shown == names[cell["verdict"]]


def marked(*gains: float) -> list[RunRecord]:
    """A backdoor whose success exceeds a false-trigger rate of 0.05 by ``gains``, undefended by
    0.9; AUROC is never touched.
    """
    records = []
    for seed, gain in enumerate(gains):
        for defense, excess in (("none", 0.9), ("krum", gain)):
            found = (0.05 + excess, 0.05, 100)
            records += [make_record(seed=seed, defense=defense)]
            records += [make_record(seed=seed, defense=defense, attack="backdoor", backdoor=found)]
    return records


def test_a_backdoor_is_stated_by_its_success_beyond_false_triggers_and_never_by_auroc() -> None:
    row = row_of(marked(0.3, 0.4, 0.5), "THR-BD", "krum")
    assert (row.status, "AUROC" in row.finding) == ("measured", False)
    assert row.finding == (  # t(0.975, 2) * 0.1 / sqrt(3) = 0.2484
        "Backdoor by 1 of 6 hospitals put 45 % of marked patients into the attacker's class, 5 %"
        " in the same runs without the attack: +40.0 points beyond false triggers (95 % interval"
        " +15.2 to +64.8, 3 seeds); in 3 of 3 seeds 5 points or more, at most +50.0: it is shown to"
        " work."
    )
    assert row_of(marked(0.0, 0.0, 0.2), "THR-BD", "krum").finding.endswith(
        "is not decided with 3 seeds."
    )


def test_a_threat_of_backdoors_is_stated_by_auroc_where_no_mark_was_measured() -> None:
    assert "changed the AUROC" in row_of(grid("model_replacement"), "THR-MR", "krum").finding


def test_many_records_are_written_with_a_comma() -> None:
    read = make_inversion(600, 1200, attack="analytic_inversion")
    records = [
        make_record(seed=seed, attack=attack, inversion=read if attack != "none" else None)
        for seed in range(3)
        for attack in ("none", "analytic_inversion")
    ]
    text = row_of(records, "THR-GI", "none").finding
    assert "recovered 1,800 of 3,600 attacked records" in text


def test_recovered_records_are_summed_over_seeds_beside_the_undefended_count() -> None:
    records = grid("analytic_inversion", defense="secagg")
    assert (
        row_of(records, "THR-GI", "secagg").finding
        == "Analytic inversion recovered 0 of 24 attacked records (95 % bounds 0 % to 14 %, 3"
        " seeds); 18 of 24 without the defense."
    )
    assert (
        row_of(records, "THR-GI", "none").finding
        == "Analytic inversion recovered 18 of 24 attacked records (95 % bounds 53 % to 90 %, 3"
        " seeds)."
    )


def test_recovered_updates_are_counted_as_updates() -> None:
    records = []
    for seed in range(3):
        for stack, n_recovered in (("none", 5), ("secagg", 0)):
            found = make_isolation(n_recovered, error=0.0 if n_recovered else None)
            records.append(make_record(seed=seed, defense=stack))
            records.append(
                make_record(seed=seed, attack="collusion", defense=stack, isolation=found)
            )
    assert (
        row_of(records, "THR-COL", "secagg").finding
        == "Collusion against a sum recovered 0 of 15 updates of honest hospitals (95 % bounds 0 %"
        " to 22 %, 3"
        " seeds); 15 of 15 without the defense."
    )


def test_reconstruction_that_recovers_nothing_undefended_is_no_evidence_for_a_defense() -> None:
    records = grid("analytic_inversion", recovered=(0, 0))
    expect_inconclusive(records, "the attack found nothing even without the defense", "THR-GI")
    assert row_of(records, "THR-GI", "none").status == "measured"


@pytest.mark.parametrize(
    ("n_shuffled", "reason"),
    [
        (6, "its figure is no larger than the share of records recovered from shuffled updates"),
        (None, "no share of records recovered from shuffled updates"),
    ],
)
def test_reconstruction_is_held_to_what_it_recovers_from_shuffled_updates(
    n_shuffled: int | None, reason: str
) -> None:
    def changed(record: RunRecord) -> RunRecord:
        null = "reconstruction_rate_shuffled"
        if not record.has(null):
            return record
        if n_shuffled is not None:
            return with_figures(record, {null: n_shuffled / 8})
        others = tuple(one for one in record.outcomes if one.metric != null)
        return record.model_copy(update={"outcomes": others})

    records = [changed(record) for record in grid("analytic_inversion", defense="secagg")]
    for defense in ("none", "secagg"):
        row = row_of(records, "THR-GI", defense)
        assert (row.status, row.reason) == ("inconclusive", reason)


def test_a_reconstruction_run_without_a_result_is_inconclusive() -> None:
    def lost(record: RunRecord) -> RunRecord:
        outcomes = tuple(
            one for one in record.outcomes if not one.metric.startswith("reconstruction")
        )
        return record.model_copy(update={"inversion": None, "outcomes": outcomes})

    records = [
        lost(r) if r.run == "analytic_inversion-krum-1" else r for r in grid("analytic_inversion")
    ]
    expect_inconclusive(
        records, "no share of records recovered in the run or its control for seed 1", "THR-GI"
    )


def test_recovered_records_are_stated_even_without_controls() -> None:
    records = [make_record(attack="analytic_inversion", inversion=make_inversion(2, 8))]
    row = row_of(records, "THR-GI", "none")
    assert (row.status, row.finding[:55]) == (
        "inconclusive",
        "Analytic inversion recovered 2 of 8 attacked records (9",
    )
    assert "no run without the attack for seed 0" in row.reason


# Conflicts, mapping, words


def test_a_design_conflict_in_the_evidence_is_a_row() -> None:
    records = [
        make_record(seed=seed, defense="both", conflicts=[make_conflict()]) for seed in range(2)
    ]
    (row,) = rows_of(records, "secagg-robustness")
    assert (row.kind, row.status, row.defense, row.runs) == (
        "conflict",
        "literature_only",
        "both",
        ("none-both-0", "none-both-1"),
    )
    assert row.mitigations == ("FLM-05", "FLM-01", "FLM-09")


def test_conflicts_of_the_catalog_are_those_that_the_simulator_finds() -> None:
    source = (ROOT / "sim" / "study" / "visibility.py").read_text("utf-8")
    assert set(re.findall(r'id="([\w-]+)"', source)) == {clash.id for clash in CATALOG.conflicts}


def test_rows_carry_pinned_technique_ids_and_the_relevance_of_each_provision() -> None:
    (row,) = rows_of([], "THR-GI")
    assert row.atlas == ("AML.T0044@5.6.1", "AML.T0024.001@5.6.1 (near)")
    assert {"45 CFR 164.502(a) (direct)", "45 CFR 164.502(e)(1) (conditional)"} <= set(row.hipaa)


def test_no_row_passes_judgement() -> None:
    records = grid("sign_flip", "label_flip", "analytic_inversion", "alie+label_flip", seeds=4)
    records += [
        *grid("sign_flip", defense="median", seeds=2),
        make_record(conflicts=[make_conflict()]),
    ]
    rows = register(records, CATALOG)
    assert {row.status for row in rows} == {
        "measured",
        "inconclusive",
        "not_tested",
        "not_testable_by_simulation",
        "literature_only",
    }
    assert not [
        row
        for row in rows
        if NEVER_STATED.search(f"{row.name} {row.plain} {row.finding} {row.reason}")
    ]


# Less evidence is never a better row

RANK = {"measured": 2, "inconclusive": 1}
FULL = grid("sign_flip", "analytic_inversion", "label_flip+sign_flip", seeds=4)


def ranks(records: list[RunRecord]) -> dict[tuple[Any, ...], int]:
    return {
        (row.id, row.attacks, row.defense): RANK.get(row.status, 0)
        for row in register(records, CATALOG)
    }


@settings(deadline=None)
@given(st.data())
def test_removing_runs_that_engaged_never_raises_a_status(data: st.DataObject) -> None:
    flags = st.lists(
        st.sampled_from(("", "", "", "attack", "defense")), min_size=len(FULL), max_size=len(FULL)
    )
    runs = [
        idle(record, part) if part else record
        for record, part in zip(FULL, data.draw(flags), strict=True)
    ]
    engaged = [
        record
        for record in runs
        if False not in (record.engagement.attack_engaged, record.engagement.defense_engaged)
    ]
    removed = (
        data.draw(st.sets(st.sampled_from([record.run for record in engaged])))
        if engaged
        else set()
    )
    before, after = ranks(runs), ranks([record for record in runs if record.run not in removed])
    assert all(rank <= before.get(key, 0) for key, rank in after.items())


@given(st.sets(st.integers(0, len(FULL) - 1)))
def test_only_rows_with_runs_are_measured(chosen: set[int]) -> None:
    for row in register([FULL[i] for i in chosen], CATALOG):
        assert row.status != "measured" or (len(row.runs) >= 3 and row.controls and row.finding)
        assert (row.status in ("measured", "inconclusive")) == bool(row.runs)


def test_the_epsilon_of_patients_is_that_of_the_worst_seed_and_never_rounded_down() -> None:
    records = grid("sign_flip", defense="dp_record")
    for epsilon, seed in ((2.5, 0), (7.5604, 1), (3.0, 2)):
        promised = Statement(
            unit="patient",
            relation="3 records more or less",
            mechanism="DP-SGD",
            epsilon=epsilon,
            delta=1e-5,
            accountant="losses",
            against="everybody",
            hospital="va",
            not_covered=[],
        )
        records = altered(records, lambda one, seed=seed: one.seed == seed, statements=[promised])
    row = row_of(records, "THR-BYZ", "dp_record")
    assert "\N{GREEK SMALL LETTER EPSILON} = 7.57: unit of protection: one patient" in row.reason


@pytest.mark.parametrize(
    ("changes", "shown"),
    [((-0.2, -0.21, -0.19), "harm"), ((0.0, 0.001, -0.001), "no_harm"), ((-0.2, 0.0, 0.1), "open")],
)
def test_what_is_shown_is_apart_from_the_status(changes: tuple[float, ...], shown: str) -> None:
    """A row that is measured may show harm, none within the interval, or neither."""
    row = row_of(with_changes(*changes), "THR-BYZ", "krum")
    assert row.status == "measured"
    assert row.shown == {"open": "not_decided"}.get(shown, shown)


def test_a_row_that_is_no_measurement_shows_nothing_and_one_without_runs_has_no_outcome() -> None:
    few = row_of(grid("sign_flip", seeds=2), "THR-BYZ", "krum")
    assert (few.status, few.shown) == ("inconclusive", "not_decided")
    assert {row.shown for row in register([], CATALOG)} == {None}


@pytest.mark.parametrize(("recovered", "shown"), [((6, 1), "harm"), ((6, 0), "not_decided")])
def test_a_recovered_record_is_harm_and_none_of_a_few_decides_nothing(
    recovered: tuple[int, int], shown: str
) -> None:
    row = row_of(grid("analytic_inversion", recovered=recovered), "THR-GI", "krum")
    assert (row.status, row.shown) == ("measured", shown)
