"""Attacks on sums of updates: each must succeed where nothing stops it, and fail where it does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from attacks.isolation.collusion import Collusion
from attacks.isolation.disaggregation import Disaggregation
from sim.errors import InputError, RefusedError
from sim.evidence import RunRecord
from sim.seeds import stream
from sim.study.run import run
from sim.types import Isolated, Pooled, View
from tests.federation import experiment
from tests.rounds import Rounds

SMALL = ("consortium=heart4", "training.rounds=2", "secagg=sum")
NAMES = ("a", "b", "c", "d")
UPDATES = np.random.default_rng(5).normal(size=(4, 6)).astype(np.float32)
ROUND = dict(zip(NAMES, UPDATES, strict=True))


def ran(*words: str) -> RunRecord:
    return run(experiment(*words))


def pooled(*groups: str, colluding: str = "", round_: int = 1) -> Pooled:
    """A round in which the aggregator sees the mean of each group of one-letter hospitals."""
    rows = [np.mean([ROUND[name] for name in group], axis=0, dtype=np.float64) for group in groups]
    view = View(np.array(rows), tuple(tuple(group) for group in groups))
    return Pooled(view, {name: ROUND[name] for name in colluding}, round_)


def works_out(found: Isolated) -> dict[str, Any]:
    """Rows by their members, as one word."""
    return dict(zip(map("".join, found.view.members), found.view.rows, strict=True))


# --- collusion


def test_all_but_one_recover_the_last_update_exactly_and_the_evidence_states_it() -> None:
    record = ran(*SMALL, "attack=[collusion]", "adversary.n_hostile=3")
    (honest,) = {one.hospital for one in record.hospitals} - {*record.hostile}
    assert record.value("updates_recovered") == 1.0
    assert record.value("smallest_sum") == 1
    error = record.value("update_error", honest)
    assert error is not None
    assert error < 1e-12
    assert record.isolation is not None
    assert record.isolation.colluding == record.hostile
    assert record.engagement.attack_engaged


def test_fewer_colluders_are_left_with_a_smaller_sum() -> None:
    for n_hostile, smallest in ((1, 3), (2, 2)):
        record = ran(*SMALL, "attack=[collusion]", f"adversary.n_hostile={n_hostile}")
        assert record.value("updates_recovered") == 0.0
        assert record.value("update_error") is None
        assert record.value("smallest_sum") == smallest


def test_without_secure_aggregation_nobody_has_to_collude() -> None:
    words = ("consortium=heart4", "training.rounds=2", "attack=[collusion]")
    record = ran(*words, "adversary.n_hostile=1")
    assert record.value("updates_recovered") == 1.0


def test_colluders_are_subtracted_from_each_group_by_hand() -> None:
    found = works_out(Collusion()(pooled("abc", "d", colluding="ac"), stream(0, "attack")))
    assert found.keys() == {"b", "d"}
    np.testing.assert_allclose(found["b"], ROUND["b"], rtol=1e-6)
    np.testing.assert_array_equal(found["d"], ROUND["d"])
    only_colluders = Collusion()(pooled("ac", colluding="ac"), stream(0, "attack"))
    assert only_colluders.view.rows.shape == (0, 6)


def test_collusion_takes_a_colluder() -> None:
    with pytest.raises(InputError, match=r"^attack.collusion=Collusion: adversary.n_hostile: "):
        experiment(*SMALL, "attack=[collusion]", "adversary.n_hostile=0")
    with pytest.raises(RefusedError):
        Collusion()(pooled("abcd"), stream(0, "attack"))


def test_a_recovered_update_gives_away_more_of_the_records_behind_it_than_the_sum() -> None:
    fine = ("secagg.bits=24", "secagg.clip=0.5")  # steps below the tolerance of a recovered record
    words = (*SMALL, *fine, "training.batch_size=8", "training.local_steps=1")
    alone = ran(*words, "attack=[analytic_inversion]")
    together = ran(*words, "attack=[collusion,analytic_inversion]", "adversary.n_hostile=3")
    assert (alone.n_attacked, together.n_attacked) == (32, 8)
    assert alone.n_recovered == 0
    assert together.n_recovered >= 2


# --- disaggregation


def test_sums_with_and_without_a_hospital_give_its_update() -> None:
    attack = Rounds(Disaggregation())
    first = works_out(attack(pooled("abcd"), stream(0, "attack")))
    assert first.keys() == {"abcd"}
    second = works_out(attack(pooled("abc", round_=2), stream(0, "attack")))
    assert second.keys() == {"abc", "d"}
    np.testing.assert_allclose(second["d"], ROUND["d"], rtol=1e-5)


def test_groups_drawn_anew_give_single_updates_and_groups_that_stay_do_not() -> None:
    redrawn = Rounds(Disaggregation())
    for round_, groups in enumerate((("ab", "cd"), ("ac", "bd"), ("abc", "d")), 1):
        found = works_out(redrawn(pooled(*groups, round_=round_), stream(0, "attack")))
    assert found.keys() == {*NAMES}
    for name, row in found.items():
        np.testing.assert_allclose(row, ROUND[name], rtol=1e-5)
    fixed = Rounds(Disaggregation())
    for round_ in range(1, 9):
        found = works_out(fixed(pooled("ab", "cd", round_=round_), stream(0, "attack")))
    assert found.keys() == {"ab", "cd"}
    for first, second in ("ab", "cd"):
        mean = (ROUND[first] + ROUND[second]) / 2
        np.testing.assert_allclose(found[first + second], mean, rtol=1e-5)


def test_a_colluder_in_a_group_of_two_gives_away_the_other() -> None:
    found = works_out(Disaggregation()(pooled("ab", "cd", colluding="a"), stream(0, "attack")))
    assert found.keys() == {"b", "cd"}


def test_sums_beyond_the_window_are_forgotten() -> None:
    attack = Rounds(Disaggregation(window=2))
    attack(pooled("abcd"), stream(0, "attack"))
    attack(pooled("abc", round_=3), stream(0, "attack"))
    assert attack.state.members == (("a", "b", "c"),)


def test_public_record_counts_share_out_what_sums_leave_open() -> None:
    steps = {"a": 3, "b": 1, "c": 2, "d": 6}
    common = np.arange(6.0)
    groups = ("ab", "cd")
    rows = [sum(steps[name] for name in group) * common / len(group) for group in groups]
    view = View(np.array(rows), tuple(map(tuple, groups)))
    found = Disaggregation()(Pooled(view, {}, 1, steps), stream(0, "attack"))
    assert works_out(found).keys() == {"ab", "cd"}  # what the sums determine stays as it was
    assert found.estimates is not None
    guessed = dict(zip(found.estimates.members, found.estimates.rows, strict=True))
    assert guessed.keys() == {(name,) for name in NAMES}
    for name in NAMES:
        np.testing.assert_allclose(guessed[(name,)], steps[name] * common, rtol=1e-6)
    assert Disaggregation()(Pooled(view, {}, 1), stream(0, "attack")).estimates is None


COUNTED = (
    "consortium=synthetic",
    "consortium.n_hospitals=12",
    "consortium.n_records=2000",
    "consortium.shift=0",
    "consortium.size_spread=1",
    "model=logistic",
    "training.rounds=2",
    "training.lr=0.001",
    "secagg=groups",
    "secagg.redraw=fixed",
    "secagg.bits=24",
    "secagg.clip=0.5",
    "adversary.n_hostile=0",
    "attack=[disaggregation]",
)  # alike hospitals of different sizes, whose updates grow with their batches


def test_published_counts_give_updates_of_alike_hospitals_away_and_hidden_ones_none() -> None:
    published = ran(*COUNTED, "secagg.by=size")
    assert (published.value("updates_recovered") or 0.0) >= 0.25
    assert published.value("smallest_sum") == 3  # an estimate is no sum
    hidden = ran(*COUNTED, "secagg.by=random")
    assert hidden.value("updates_recovered") == 0.0
    assert hidden.value("update_error") is None


STEADY = (
    "consortium=heart12",
    "adversary.n_hostile=0",
    "adversary.first_round=15",
    "attack.disaggregation.window=20",
    "training.rounds=30",
    "training.batch_size=1000",
    "training.lr=0.01",
    "secagg.bits=24",
    "secagg.clip=0.5",
)  # updates that hardly change from round to round, summed in fine steps


def test_redrawn_groups_give_all_updates_away_that_hardly_change_and_fixed_ones_none() -> None:
    words = (*STEADY, "secagg=groups", "attack=[disaggregation]")
    redrawn = ran(*words, "secagg.redraw=round")
    assert redrawn.value("updates_recovered") == 1.0
    assert (redrawn.value("update_error") or 0.0) < 0.01
    fixed = ran(*words, "secagg.redraw=fixed")
    assert fixed.value("updates_recovered") == 0.0
    assert fixed.value("update_error") is None
    assert fixed.value("smallest_sum") == 3


def test_absences_give_updates_away_that_hardly_change_and_full_rounds_do_not() -> None:
    words = (*STEADY, "secagg=sum")
    full = ran(*words, "attack=[disaggregation]")
    assert full.value("updates_recovered") == 0.0
    assert full.value("smallest_sum") == 12
    absent = ran(*words, "attack=[disaggregation,honest_absence]")
    assert (absent.value("updates_recovered") or 0.0) >= 0.25
    assert (absent.value("update_error") or 1.0) < 0.1
