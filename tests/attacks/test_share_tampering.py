"""Wrong shares: found, and never a wrong sum; what is stopped is the round."""

from __future__ import annotations

import pytest

from sim.errors import UndefinedError
from sim.evidence import RunRecord
from sim.study.run import run, run_together
from tests.federation import experiment

MASKED = ("consortium=heart12", "training.rounds=2", "secagg=protocol")
ATTACKED = (*MASKED, "attack=[share_tampering]")


def ran(*words: str) -> RunRecord:
    return run(experiment(*words))


def test_wrong_shares_are_found_named_and_change_no_sum_as_long_as_enough_are_right() -> None:
    record = ran(*ATTACKED, "adversary.n_hostile=4")  # of 12, at a threshold of 8
    honest = ran(*MASKED, "adversary.n_hostile=4")
    assert record.value("auroc") == honest.value("auroc")
    assert record.skipped_rounds == []
    assert {one.hospital for one in record.screened} == {*record.hostile}
    assert all("is not the one that it accepted" in one.reason for one in record.screened)
    assert record.engagement.attack_engaged


def test_one_more_and_there_is_no_sum_and_no_wrong_one() -> None:
    record = ran(*ATTACKED, "adversary.n_hostile=5")
    assert record.skipped_rounds == [1, 2]
    assert record.value("auroc") is None
    assert {one.hospital for one in record.screened} == {*record.hostile}


@pytest.mark.parametrize("what", ["sealed", "committed"])
def test_one_hospital_that_spoils_its_own_shares_stops_rounds_and_is_named(
    what: str,
) -> None:
    words = ("adversary.n_hostile=1", f"attack.share_tampering.what={what}")
    record = ran(*ATTACKED, *words)
    assert record.skipped_rounds == [1, 2]
    (hostile,) = record.hostile
    assert {one.hospital for one in record.screened} == {hostile}


def test_all_who_commit_to_a_wrong_mask_are_named() -> None:
    words = ("adversary.n_hostile=3", "attack.share_tampering.what=committed")
    record = ran(*ATTACKED, *words)
    assert record.skipped_rounds == [1, 2]
    named = {(one.round, one.hospital) for one in record.screened}
    assert named == {(number, name) for number in (1, 2) for name in record.hostile}


def test_where_shares_are_not_held_to_what_was_committed_the_model_is_lost_and_nobody_named() -> (
    None
):
    record = ran(*ATTACKED, "adversary.n_hostile=1", "secagg.committed=false")
    assert record.skipped_rounds == []
    assert record.screened == []
    found = ran(*ATTACKED, "adversary.n_hostile=1").value("auroc")
    lost = record.value("auroc")
    assert found is not None
    assert lost is not None
    assert lost < found - 0.1


def test_a_plain_round_has_no_shares_to_tamper_with_and_is_refused() -> None:
    with pytest.raises(UndefinedError, match="expected a round of several trips"):
        ran("consortium=heart4", "training.rounds=1", *ATTACKED[2:], "secagg=sum")


def test_it_does_the_same_in_lockstep_and_hospital_by_hospital() -> None:
    one = experiment(*ATTACKED, "adversary.n_hostile=1")
    together, alone = run_together([one])[0], run(one)
    assert together.screened
    assert together.model_dump(exclude={"seconds"}) == alone.model_dump(exclude={"seconds"})
