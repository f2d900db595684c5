"""The same command gives the same numbers, whatever ran before, in whatever order, beside whatever,
on however many cores.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from clients import batched
from sim import evidence
from sim.design import batches
from sim.evidence import RunRecord
from sim.seeds import key, stream
from sim.study import compare
from sim.study.experiment import Experiment
from sim.study.run import run, run_together
from sim.training import Training
from sim.types import Hospital
from tests.federation import experiment, finished, plan

SMALL = [
    "consortium=heart4",
    "training.rounds=3",
    "dp.target_epsilon=null",
    "dp.noise_multiplier=1",
]
TRAINING = Training(
    rounds=3, local_epochs=2, local_steps=None, batch_size=16, lr=0.1, optimizer="sgd"
)


def cells(*more: str, n_seeds: int = 1) -> list[Experiment]:
    """Runs of different length and kind: plain and private, attacked and not."""
    return plan(
        [*SMALL, *more], ["sign_flip", "label_flip"], ["median", "dp_record"], n_seeds=n_seeds
    )


def results(records: Sequence[RunRecord]) -> list[dict[str, object]]:
    return [
        {key: value for key, value in row.items() if key != "seconds"}
        for row in evidence.results(records)
    ]


def completed(folder: Path, experiments: Sequence[Experiment], workers: int = 1) -> list[RunRecord]:
    folder.mkdir()
    return compare.complete(experiments, folder, workers, lambda _: None)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> list[RunRecord]:
    return completed(tmp_path_factory.mktemp("once") / "runs", cells())


def timeless(records: Sequence[RunRecord]) -> list[RunRecord]:
    return [record.model_copy(update={"seconds": 0.0}) for record in records]


def test_the_same_seed_gives_the_same_evidence_twice(once: list[RunRecord], tmp_path: Path) -> None:
    again = completed(tmp_path / "runs", cells())
    assert results(again) == results(once)
    assert timeless(again) == timeless(once)


def test_another_seed_gives_other_results(once: list[RunRecord]) -> None:
    (other,) = run_together([experiment(*SMALL[:2], "seed=1")])
    assert other.value("auroc") != once[0].value("auroc")
    assert other.hospitals != once[0].hospitals


def test_one_process_and_two_give_the_same_results(once: list[RunRecord], tmp_path: Path) -> None:
    assert results(completed(tmp_path / "runs", cells(), workers=2)) == results(once)


def test_a_run_alone_and_among_others_gives_the_same_evidence(once: list[RunRecord]) -> None:
    chosen = [0, 3, 5]  # one plain, one of sign flipping, one private
    assert timeless([run(cells()[i]) for i in chosen]) == timeless([once[i] for i in chosen])


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "private"])
@pytest.mark.parametrize("n_beside", [1, 2, 5, 40])
def test_an_update_is_the_same_to_the_last_digit_whatever_trains_beside_it(
    optimizer: str, n_beside: int
) -> None:
    design = experiment("consortium=heart12")
    weights = design.plan.network.initialize(stream(0, "model"))

    def job(hospital: Hospital) -> batched.Job:
        n = len(hospital.train)
        of_round = (key(0, "hospital", hospital.name), 1, n, design.settings.training)
        is_private = optimizer == "private"
        rows = batched.padded(
            batches.poisson(*of_round, n) if is_private else batches.shuffled(*of_round)
        )
        noise = (
            batched.Noise(1.0, 1.0, 16.0, partial(stream, 0, "noise", hospital.name))
            if optimizer == "private"
            else None
        )
        return batched.Job(weights, hospital.train, rows, noise)

    def updates(hospitals: Sequence[Hospital]) -> list[bytes]:
        kind = batched.Optimizer("adam" if optimizer == "adam" else "sgd", 0.1)
        return [
            update.tobytes()
            for update in batched.updates(design.plan.network, [job(h) for h in hospitals], kind)
        ]

    hospitals = design.consortium.hospitals
    alone = {hospital.name: updates([hospital])[0] for hospital in hospitals}
    beside = [hospitals[i % 12] for i in stream(0, "beside").permutation(n_beside + 1)]
    assert updates(beside) == [alone[hospital.name] for hospital in beside]


def test_hospitals_listed_in_another_order_change_nothing() -> None:
    orders = [
        "{cleveland:2,hungary:1,switzerland:1,va:2}",
        "{va:2,switzerland:1,hungary:1,cleveland:2}",
    ]
    for words in ([], ["attack=[sign_flip]", "aggregator=median", "adversary.n_hostile=2"]):
        first, second = (
            experiment(f"consortium.sites={order}", "training.rounds=2", *words) for order in orders
        )
        assert first.consortium.names == second.consortium.names
        assert first.attack_plan.hostile == second.attack_plan.hostile
        np.testing.assert_array_equal(finished(first).weights, finished(second).weights)


def test_batches_and_noise_do_not_depend_on_what_ran_before() -> None:
    design = experiment(
        *SMALL[:2], "defense=dp_record", "dp.target_epsilon=null", "dp.noise_multiplier=1"
    )
    first = finished(design).weights
    np.random.default_rng(0).normal(size=100)
    finished(experiment(*SMALL[:2], "seed=7", "attack=[sign_flip]"))
    np.testing.assert_array_equal(finished(design).weights, first)
    assert (
        finished(experiment(*SMALL[:2], "defense=dp_record", *SMALL[2:], "seed=1")).weights != first
    ).any()


def test_runs_leave_the_global_generators_alone() -> None:
    import random

    import torch

    def states() -> tuple[object, bytes, bytes]:
        numpys = np.random.get_state()[1]  # noqa: NPY002  the generator that all share
        return random.getstate(), torch.random.get_rng_state().numpy().tobytes(), numpys.tobytes()

    before = states()
    run_together(cells()[:1] + cells()[-1:])
    assert states() == before


# --- batches


def drawn(draw: object, **changes: object) -> list[list[int]]:
    names = {
        "key": key(0, "hospital", "va"),
        "round_": 1,
        "n_train": 50,
        "training": TRAINING,
        **changes,
    }
    if draw is batches.poisson:
        names.setdefault("counted", names["n_train"])
    return [batch.tolist() for batch in draw(**names)]


@pytest.mark.parametrize("draw", [batches.shuffled, batches.poisson])
def test_batches_are_the_same_for_the_same_name_and_others_for_another(draw: object) -> None:
    first = drawn(draw)
    assert drawn(draw) == first
    others = [{"key": key(1, "hospital", "va")}, {"key": key(0, "hospital", "cleveland")}]
    for change in (*others, {"round_": 2}, {"n_train": 49}):
        assert drawn(draw, **change) != first


def test_shuffled_batches_pass_over_every_record_once_an_epoch() -> None:
    found = drawn(batches.shuffled)
    assert [len(batch) for batch in found] == [16, 16, 16, 2] * 2
    for epoch in (found[:4], found[4:]):
        assert sorted(row for batch in epoch for row in batch) == list(range(50))


@pytest.mark.parametrize(("steps", "sizes"), [(1, [16]), (5, [16, 16, 16, 2, 16])])
def test_local_steps_replace_epochs(steps: int, sizes: list[int]) -> None:
    found = drawn(batches.shuffled, training=TRAINING.model_copy(update={"local_steps": steps}))
    assert [len(batch) for batch in found] == sizes


def test_poisson_batches_draw_each_record_on_its_own_at_the_sample_rate() -> None:
    n, steps = 50, 4000
    training = TRAINING.model_copy(update={"local_steps": steps})
    member = np.zeros((steps, n))
    for step, chosen in enumerate(batches.poisson(key(0, "hospital", "va"), 1, n, training, n)):
        assert len(set(chosen.tolist())) == len(chosen)
        member[step, chosen] = 1
    rate = 1 / 4  # of 50 records in batches of 16
    deviation = np.sqrt(rate * (1 - rate) / steps)
    np.testing.assert_allclose(member.mean(axis=0), rate, atol=5 * deviation)
    together = np.cov(member.T)[~np.eye(n, dtype=bool)]
    assert np.abs(together).max() < 5 * rate * (1 - rate) / np.sqrt(steps)


def test_a_hospital_smaller_than_a_batch_joins_whole() -> None:
    assert batches.sample_rate(10, TRAINING) == 1.0
    assert drawn(batches.poisson, n_train=10) == [list(range(10))] * 2


def test_drawn_are_the_records_behind_an_update_each_once() -> None:
    for counted, draw in ((None, batches.shuffled), (50, batches.poisson)):
        training = TRAINING.model_copy(update={"local_steps": 2})
        expected = sorted({row for batch in drawn(draw, training=training) for row in batch})
        found = batches.drawn(key(0, "hospital", "va"), 1, 50, training, counted)
        assert found.tolist() == expected


def test_the_rate_and_the_steps_follow_from_the_counted_records_alone() -> None:
    for n_train in (30, 31, 50, 90):
        found = drawn(batches.poisson, n_train=n_train, counted=64)
        assert len(found) == TRAINING.steps(64)
    many = TRAINING.model_copy(update={"local_steps": 4000})
    taken = np.concatenate(batches.poisson(key(0, "hospital", "va"), 1, 30, many, 64))
    assert len(taken) == pytest.approx(4000 * 30 / 4, rel=0.02)


# --- streams


def test_streams_of_different_names_do_not_share_draws() -> None:
    names = [(0, "a"), (1, "a"), (0, "b"), (0, "a", 1), (0, "a", "1"), (0, 1, "a")]
    first = [stream(*name).random(4).tobytes() for name in names]
    assert len(set(first)) == len(names)
    assert first == [stream(*name).random(4).tobytes() for name in names]


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**32, 2**70])
def test_a_stream_is_numpys_own_generator_of_the_numbers_and_of_the_checksums_of_the_words(
    seed: int,
) -> None:
    numbers = [seed, zlib.crc32(b"rule"), 7]
    for _ in range(2):  # the second time the seed is known
        assert (
            stream(seed, "rule", 7).random(4).tolist()
            == np.random.default_rng(numbers).random(4).tolist()
        )


def test_nothing_can_be_spawned_from_a_stream() -> None:
    with pytest.raises(TypeError):
        stream(0, "a").spawn(1)
