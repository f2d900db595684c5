"""Record-level differential privacy: what is spent is what two accountants state; DP-SGD clips,
noises and counts as claimed.
"""

from __future__ import annotations

from functools import lru_cache

import dp_accounting
import numpy as np
import pytest
import torch
from dp_accounting import pld
from dp_accounting.privacy_accountant import NeighboringRelation
from numpy.typing import NDArray

from clients.dp_sgd import RecordDP
from sim.design import batches
from sim.design.not_covered import not_covered
from sim.errors import InputError
from sim.evidence import RunRecord, Spent
from sim.models.mlp import FullyConnected
from sim.observers.privacy import PrivacyObserver
from sim.seeds import key, stream
from sim.study.run import run, run_together
from sim.training import Training
from sim.types import Records
from tests import ROOT
from tests.federation import alone, experiment, finished

DELTA = 1e-5
TRAINING = Training(
    rounds=5, local_epochs=1, local_steps=None, batch_size=16, lr=0.1, optimizer="sgd"
)
NETWORK = FullyConnected((4, 1))


def private(
    noise: float | None = None,
    target: float | None = None,
    clip: float = 1.0,
) -> RecordDP:
    return RecordDP(
        target_epsilon=target,
        noise_multiplier=noise,
        max_grad_norm=clip,
        delta=DELTA,
    )


def records(n: int) -> Records:
    rng = stream(0, "records")
    return Records(
        rng.normal(size=(n, 4)).astype(np.float32), rng.integers(2, size=n).astype(np.float32)
    )


# --- what is spent


@pytest.mark.parametrize(("target", "n_train"), [(8.0, 86), (1.0, 212), (0.02, 86)])
def test_a_target_is_reached_within_a_thousandth_and_never_passed(
    target: float, n_train: int
) -> None:
    dp = private(target=target)
    steps = TRAINING.rounds * TRAINING.steps(n_train)
    reached = dp.epsilon(
        [(dp.noise(n_train, TRAINING), batches.sample_rate(n_train, TRAINING), steps)]
    )
    assert 0.999 * target <= reached <= target


def test_a_target_makes_the_smaller_hospital_add_more_noise() -> None:
    dp = private(target=8.0)
    assert dp.noise(86, TRAINING) > 1.2 * dp.noise(212, TRAINING)


@pytest.mark.parametrize("target", [0.0009, 1e-9, 0.0, -1.0, 1e4])
def test_targets_that_noise_is_not_calibrated_to_are_refused(target: float) -> None:
    with pytest.raises(InputError, match=r"^target_epsilon=.*: expected a number of at least "):
        private(target=target)


def test_the_record_states_what_epsilon_does_not_cover() -> None:
    privacy = federation().privacy
    assert privacy is not None
    text = " ".join(privacy.not_covered)
    for topic in (
        "Neighbors are",
        "public",
        "Tuning",
        "Scaling",
        "several hospitals",
        "one run",
        "same noise",
        "the seed",
    ):
        assert topic in text


def test_the_documentation_and_the_record_name_the_same_gaps() -> None:
    shown = (ROOT / "docs" / "how-it-works.md").read_text()
    listed = shown.split("What epsilon does not cover")[1].split("\n## ")[0]
    assert listed.count("\n- **") == len(not_covered("replace"))


def test_a_delta_that_protects_nobody_is_refused() -> None:
    private(noise=1.0).check({"small": 99_999}, TRAINING)
    with pytest.raises(
        InputError,
        match=r"^dp\.delta=1e-05: expected less than 1/100000, one over the records of large$",
    ):
        private(noise=1.0).check({"small": 99_999, "large": 100_000}, TRAINING)


# --- a whole federation


@lru_cache(maxsize=1)
def federation() -> RunRecord:
    words = (
        "consortium=heart4 model=logistic training.rounds=5 dp=record dp.target_epsilon=null"
        " dp.noise_multiplier=1.5"
    )
    return run(experiment(*words.split()))


def epsilon_of(hospital: Spent) -> float:
    found = federation().value("epsilon", hospital.hospital)
    assert found is not None
    return found


def test_the_consortium_spends_what_its_worst_hospital_spends() -> None:
    privacy = federation().privacy
    assert privacy is not None
    each = [federation().value("epsilon", hospital.hospital) for hospital in privacy.hospitals]
    assert federation().value("epsilon") == max(each)
    assert len(set(each)) == 4


def test_equal_noise_makes_smaller_hospitals_spend_more() -> None:
    privacy = federation().privacy
    assert privacy is not None
    assert {hospital.noise_multiplier for hospital in privacy.hospitals} == {1.5}
    pairs = [
        (a, b) for a in privacy.hospitals for b in privacy.hospitals if 1.1 * a.n_train < b.n_train
    ]
    assert len(pairs) == 5  # two of the four are of a size
    assert all(epsilon_of(smaller) > 1.1 * epsilon_of(larger) for smaller, larger in pairs)


def test_one_account_runs_over_all_steps_of_all_rounds() -> None:
    privacy = federation().privacy
    assert privacy is not None
    for hospital in privacy.hospitals:
        assert hospital.steps == 5 * -(-hospital.n_train // 16)
        assert hospital.sample_rate == 1 / -(-hospital.n_train // 16)
        of_all = by_library(hospital.sample_rate, hospital.steps)
        assert epsilon_of(hospital) == pytest.approx(of_all, rel=1e-3)
        assert epsilon_of(hospital) > 1.5 * by_library(hospital.sample_rate, hospital.steps // 5)


def by_library(rate: float, steps: int) -> float:
    """Epsilon for replacing a record, with a noise multiplier of 1.5."""
    step = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(1.5))
    accountant = pld.PLDAccountant(NeighboringRelation.REPLACE_ONE, 1e-3)
    accountant.compose(dp_accounting.SelfComposedDpEvent(step, steps))
    return float(accountant.get_epsilon(DELTA))


def test_a_hospital_asked_alone_keeps_the_same_account_in_its_state() -> None:
    design = experiment("consortium=heart4", "model=logistic", "training.rounds=3", "dp=record")
    reported = finished(design, alone(design)).observer(PrivacyObserver).state.numbers
    (together,) = run_together([design])
    assert together.privacy is not None
    for hospital in together.privacy.hospitals:
        epsilon = together.value("epsilon", hospital.hospital)
        assert reported[hospital.hospital]["epsilon"] == pytest.approx(epsilon, rel=1e-6)
        assert 0.999 * 8 <= epsilon <= 8


# --- what DP-SGD does


def one_step(
    dp: RecordDP, rows: NDArray[np.int64], data: Records, rng: np.random.Generator
) -> NDArray[np.float32]:
    """The update of one step on the given rows."""
    start = NETWORK.initialize(stream(0, "start"))
    return dp.train(NETWORK, start, data, [rows], TRAINING, [], rng)[0] - start


def gradients(data: Records) -> NDArray[np.float64]:
    """Gradient of every record's loss at the start, (n, 5)."""
    start = torch.tensor(NETWORK.initialize(stream(0, "start")))
    x, y = torch.from_numpy(data.features), torch.from_numpy(data.labels)
    error = torch.sigmoid(x @ start[:4] + start[4]) - y
    return (error[:, None] * torch.cat([x, torch.ones(len(y), 1)], dim=1)).double().numpy()


def test_without_noise_and_with_a_large_norm_it_is_plain_sgd_on_the_same_batches() -> None:
    data, start = records(60), FullyConnected((4, 8, 1)).initialize(stream(0, "start"))
    drawn = batches.poisson(
        key(0, "hospital", "va"), 1, 60, TRAINING.model_copy(update={"local_steps": 10}), 60
    )
    x, y = torch.from_numpy(data.features), torch.from_numpy(data.labels)
    weights = torch.tensor(start, requires_grad=True)
    for batch in drawn:
        hidden = torch.relu(x[batch] @ weights[:32].reshape(8, 4).T + weights[32:40])
        output = hidden @ weights[40:48] + weights[48]
        loss = (
            torch.nn.functional.binary_cross_entropy_with_logits(output, y[batch], reduction="sum")
            / 15  # a quarter of 60 records
        )
        (gradient,) = torch.autograd.grad(loss, weights)
        weights = (weights - 0.1 * gradient).detach().requires_grad_()
    trained, _ = private(noise=1e-30, clip=1e10).train(
        FullyConnected((4, 8, 1)), start, data, drawn, TRAINING, [], stream(0, "noise")
    )
    np.testing.assert_allclose(trained, weights.detach().numpy(), atol=1e-5)
    assert np.abs(trained - start).max() > 1e-2


def test_every_record_is_clipped_on_its_own() -> None:
    data, clip = records(20), 1.0
    found = one_step(private(noise=1e-30, clip=clip), np.arange(20), data, stream(0, "noise"))
    each = gradients(data)
    norms = np.linalg.norm(each, axis=1)
    assert (norms < clip).any()
    assert (norms > clip).any()
    clipped = each * np.minimum(1, clip / norms)[:, None]
    np.testing.assert_allclose(found, -0.1 * clipped.sum(axis=0) / 10, atol=1e-5)


def test_one_record_moves_a_step_by_no_more_than_the_clipping_norm() -> None:
    data, clip = records(20), 0.3
    data.features[0] *= 1000
    one, other = (
        one_step(private(noise=1e-30, clip=clip), np.arange(k, 20), data, stream(0, "noise"))
        for k in (0, 1)
    )
    moved = np.linalg.norm(one.astype(np.float64) - other)
    assert moved == pytest.approx(0.1 * clip / 10, rel=1e-3)


def test_noise_has_the_standard_deviation_of_multiplier_times_norm_even_on_an_empty_batch() -> None:
    noise, clip, n, network = 1.7, 0.4, 60, FullyConnected((99, 100, 1))
    data = Records(np.zeros((n, 99), np.float32), np.zeros(n, np.float32))
    start, empty = np.zeros(network.n_params, np.float32), np.empty(0, np.int64)
    trained, history = private(noise=noise, clip=clip).train(
        network, start, data, [empty], TRAINING, [], stream(0, "noise")
    )
    values = trained.astype(np.float64) / (0.1 * noise * clip / 15)
    assert len(values) == 10_101
    assert values.std() == pytest.approx(1, abs=4 / np.sqrt(2 * len(values)))
    assert values.mean() == pytest.approx(0, abs=4 / np.sqrt(len(values)))
    assert np.mean(np.abs(values) < 1.96) == pytest.approx(0.95, abs=0.01)
    assert history == [(noise, 1 / 4, 1)]


def test_empty_batches_are_steps_and_are_accounted_for() -> None:
    drawn = [np.empty(0, np.int64), np.array([1, 2]), np.empty(0, np.int64)]
    start = NETWORK.initialize(stream(0, "start"))
    _, history = private(noise=1.0).train(
        NETWORK, start, records(60), drawn, TRAINING, [(1.0, 1 / 4, 4)], stream(0, "noise")
    )
    assert history == [(1.0, 1 / 4, 7)]


def test_noise_comes_from_the_given_stream_only() -> None:
    data, rows = records(20), np.arange(20)
    first, again = (one_step(private(noise=1.0), rows, data, stream(0, "noise")) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (one_step(private(noise=1.0), rows, data, stream(0, "other")) != first).all()
