"""A living hospital that is stated to be gone: stopped by a threshold above (n + colluders) / 2."""

from __future__ import annotations

import pytest

from sim.errors import InputError
from sim.evidence import RunRecord
from sim.study.run import run
from tests.federation import experiment

ATTACKED = (
    "consortium=heart12",
    "training.rounds=1",
    "secagg=protocol",
    "attack=[dropout_lie]",
)


def ran(*words: str) -> RunRecord:
    return run(experiment(*words))


@pytest.mark.parametrize("consistency", ["true", "false"])
@pytest.mark.parametrize(
    ("threshold", "n_colluding", "is_read"),
    [(7, 1, False), (7, 2, True), (8, 3, False), (8, 4, True), (9, 5, False), (10, 5, False)],
)
def test_the_victim_is_read_if_and_only_if_two_thresholds_fit_among_hospitals_and_colluders(
    threshold: int, n_colluding: int, is_read: bool, consistency: str
) -> None:
    assert is_read == (12 + n_colluding >= 2 * threshold)
    words = (f"secagg.threshold={threshold}", f"secagg.consistency={consistency}")
    record = ran(*ATTACKED, *words, f"adversary.n_hostile={n_colluding}")
    n_honest = 12 - n_colluding
    assert record.value("updates_recovered") == (1 / n_honest if is_read else 0.0)
    assert record.value("smallest_sum") == (1 if is_read else n_honest)
    error = record.value("update_error")
    assert error is None or error < 0.02
    assert record.engagement.attack_engaged
    assert record.value("auroc") is not None  # the honest sum is not spoiled


def test_deceived_hospitals_refuse_where_too_few_sign_what_was_stated_to_them() -> None:
    record = ran(*ATTACKED, "adversary.n_hostile=0")
    assert record.value("updates_recovered") == 0.0
    assert record.screened
    assert all(one.reason.startswith("unmask: the hospital refuses") for one in record.screened)


def test_a_named_victim_has_to_be_honest() -> None:
    honest = ran(*ATTACKED, "adversary.n_hostile=4", "attack.dropout_lie.victim=cleveland_3")
    assert honest.value("update_error", "cleveland_3") is not None
    with pytest.raises(InputError, match="expected an honest hospital of"):
        experiment(*ATTACKED, f"attack.dropout_lie.victim={honest.hostile[0]}")
    with pytest.raises(InputError, match="victim=nowhere"):
        experiment(*ATTACKED, "attack.dropout_lie.victim=nowhere")


def test_there_is_nobody_to_lie_to_without_the_protocol() -> None:
    record = ran(*ATTACKED, "secagg=sum")
    assert record.value("updates_recovered") == 0.0
    assert not record.engagement.attack_engaged
