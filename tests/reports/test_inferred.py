"""What a page states of attacks on the finished model, beside what needs no attack."""

from __future__ import annotations

import pytest

from reports.analysis import inferred, tables
from sim.evidence import RunRecord, outcome
from tests.records import make_record, with_outcomes

EVASION = [["evasion", {"_target_": "attacks.evasion.projected_gradient.ProjectedGradient"}]]
SOURCE = [
    [
        "source_inference",
        {
            "_target_": "attacks.inference.source_inference.SourceInference",
            "party": "aggregator",
        },
    ]
]


def evaded(seed: int, success: float, blind: float) -> RunRecord:
    record = make_record(attack="evasion", seed=seed)
    record = record.model_copy(update={"config": {**record.config, "attack": EVASION}})
    found = [("evasion_success", success), ("evasion_success_random", blind)]
    return with_outcomes(record, [outcome(metric, value, 100) for metric, value in found])


RECORDS = [evaded(0, 0.5, 0.1), evaded(1, 0.4, 0.1), evaded(2, 0.6, 0.1)]


def test_a_row_has_the_mean_beside_what_needs_no_attack_and_the_difference() -> None:
    (row,) = inferred.rows(RECORDS)
    assert (row["attack"], row["defense"], row["n_seeds"], row["n"]) == ("evasion", "none", 3, 100)
    assert row["value"] == pytest.approx(0.5)
    assert row["alone"] == pytest.approx(0.1)
    assert row["excess"] == pytest.approx(0.4)
    # Student's, t(2) = 4.303, of standard deviation .1 over three seeds
    assert row["excess_low"] == pytest.approx(0.4 - 4.303 * 0.1 / 3**0.5, abs=1e-3)
    assert row["excess_high"] == pytest.approx(0.4 + 4.303 * 0.1 / 3**0.5, abs=1e-3)
    assert row["by"] == "whoever has the weights and can change a record"


def test_one_seed_has_no_interval() -> None:
    (row,) = inferred.rows(RECORDS[:1])
    assert (row["low"], row["excess_low"]) == (None, None)


def test_figures_without_anything_beside_them_have_their_range() -> None:
    record = make_record(attack="source_inference")
    record = record.model_copy(update={"config": {**record.config, "attack": SOURCE}})
    record = with_outcomes(record, [outcome("source_p_value", 0.25, 10)])
    (row,) = inferred.plain([record])
    assert (row["mean"], row["least"], row["most"]) == (0.25, 0.25, 0.25)
    assert row["by"] == "the aggregator, from what it sees of updates"
    assert inferred.rows([record]) == []


def test_a_run_whose_attack_begins_after_it_has_the_model_of_nobody_attacking() -> None:
    assert all(tables.reads_only(record) for record in RECORDS)
    assert not tables.reads_only(make_record(attack="sign_flip"))
