"""The aggregator as the other end of every pair: works on unsigned keys, and fails on signed."""

from __future__ import annotations

import pytest

from sim.evidence import RunRecord
from sim.study.run import run
from tests.federation import experiment

MASKED = ("consortium=heart4", "training.rounds=2", "secagg=protocol", "adversary.n_hostile=0")
ATTACKED = (*MASKED, "attack=[key_substitution]")


def ran(*words: str) -> RunRecord:
    return run(experiment(*words))


def test_every_single_update_is_read_where_keys_are_not_signed() -> None:
    honest = ran(*MASKED, "secagg.signed_keys=false")
    record = ran(*ATTACKED, "secagg.signed_keys=false")
    assert record.value("updates_recovered") == 1.0
    assert record.value("smallest_sum") == 1
    for one in record.hospitals:
        error = record.value("update_error", one.hospital)
        assert error is not None
        assert error < 0.02
    # and nobody notices: the model is the one of the honest round
    assert record.value("auroc") == honest.value("auroc")
    assert record.screened == []
    assert record.engagement.attack_engaged


def test_hospitals_that_verify_signatures_refuse_and_nothing_is_read() -> None:
    record = ran(*ATTACKED)
    assert record.value("updates_recovered") == 0.0
    assert record.value("update_error") is None
    assert record.value("smallest_sum") is None
    assert record.skipped_rounds == [1, 2]
    assert {one.hospital for one in record.screened} == {one.hospital for one in record.hospitals}
    assert all("is not signed by the hospital" in one.reason for one in record.screened)


@pytest.mark.parametrize("consistency", ["true", "false"])
def test_the_round_ends_as_it_should_also_where_a_hospital_vanishes(consistency: str) -> None:
    words = (f"secagg.consistency={consistency}", "secagg.signed_keys=false")
    gone = ("attack.honest_absence.rate=0.2", "training.rounds=4")
    honest = ran(*MASKED, *words, *gone, "attack=[honest_absence]")
    record = ran(*MASKED, *words, *gone, "attack=[key_substitution,honest_absence]")
    assert [one.reason for one in record.screened] == [one.reason for one in honest.screened]
    assert record.screened
    assert record.value("auroc") == honest.value("auroc")
    assert record.value("updates_recovered") == 1.0


def test_updates_are_read_on_a_sparse_graph_of_neighbors() -> None:
    words = ("consortium=heart12", "training.rounds=1", "secagg.neighbors=4")
    record = ran(*ATTACKED, *words, "secagg.signed_keys=false")
    assert record.value("updates_recovered") == 1.0


def test_where_nothing_is_masked_there_is_no_key_to_substitute() -> None:
    record = ran(*ATTACKED, "secagg=none")
    assert record.value("updates_recovered") == 1.0
    assert record.engagement.attack_engaged
    summed = ran(*ATTACKED, "secagg=sum")
    assert summed.value("updates_recovered") == 0.0
    assert not summed.engagement.attack_engaged
