"""Engagement where the first batches hold nothing to poison."""

import pytest

from sim.api import run
from sim.observers import engagement
from sim.observers.engagement import LEAST

SMALL = {"training.rounds": 5, "training.local_steps": 1, "training.batch_size": 2}


def distance(**changes) -> float:
    """How far ``backdoor`` moved what the hostile hospital sends, in batches of two records."""
    (record,) = run(consortium="heart4", attack=["backdoor"], seed=1, **SMALL, **changes).records
    assert record.engagement.attack_engaged is (record.value("attack_distance") > LEAST)
    return record.value("attack_distance")


def test_a_poison_counts_from_the_first_round_whose_batches_hold_some_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert distance() > 1
    assert distance(**{"adversary.last_round": 1}) == 0
    monkeypatch.setattr(engagement, "MOST_ROUNDS", 1)
    assert distance() == 0
