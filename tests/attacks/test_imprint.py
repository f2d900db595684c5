"""A model that sorts records into bins reads as many as there are alone in theirs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from attacks.inversion.imprint import Imprint, imprinted
from sim.design.refusals import REFUSED, SENTENCES
from sim.errors import InputError
from sim.evidence import RunRecord
from sim.messages import Stage
from sim.models.alike import is_imprinted
from sim.models.cnn import CNN
from sim.models.mlp import MLP, FullyConnected
from sim.models.unrolled import Unrolled
from sim.observers.reconstruction import shuffled
from sim.seeds import stream
from sim.study.run import run
from sim.types import Field, ImageSchema, Observation, TableSchema, View
from tests.attacks.images import ONE_STEP
from tests.federation import experiment, finished

N_FEATURES = 20
SCHEMA = TableSchema(
    tuple(Field(f"x{at}", "continuous", (at,)) for at in range(N_FEATURES)), N_FEATURES
)
WORDS = ("consortium=heart4", "training.rounds=1", "training.local_steps=1", "attack=[imprint]")
WIDE = (*WORDS, "model.hidden=[256]", "training.batch_size=16")


def ran(*words: str) -> RunRecord:
    return run(experiment(*words))


def gaussian(
    n_bins: int, n: int, number: int, *, n_steps: int = 1, noise: float = 0
) -> tuple[float, bool]:
    """The share of a batch of gaussian records that is read, and whether the model is flagged.

    Thresholds are those of their CDF. ``noise``: in the direction of each neuron, of its length.
    """
    rng = stream(0, "imprint", n_bins, n, number)
    features = rng.normal(size=(n, N_FEATURES))
    labels = (rng.random(n) < 0.5).astype(np.float64)
    direction = rng.normal(size=N_FEATURES)
    direction /= np.linalg.norm(direction)
    network = FullyConnected((N_FEATURES, n_bins, 1))
    weights = imprinted([(n_bins, N_FEATURES), (1, n_bins)], direction, 0.0)
    size = n_bins * N_FEATURES
    weights[:size] += noise / np.sqrt(N_FEATURES) * rng.normal(size=size).astype(np.float32)
    training = ONE_STEP.model_copy(update={"batch_size": n, "local_steps": n_steps})
    (row,) = Unrolled(network, weights, training)(features[None], labels[None])
    view = View(row[None].astype(np.float32), (("a",),))
    seen = Observation(view, weights, network.layout, SCHEMA)
    (guess,) = Imprint()(seen, rng)
    return found(features, guess.records), is_imprinted(weights, network.layout)


def found(features: np.ndarray, guesses: np.ndarray) -> float:
    """The share of records with a guess that is off by less than 1e-4 of their length."""
    if not len(guesses):
        return 0.0
    gaps = cdist(features, guesses).min(axis=1) / np.linalg.norm(features, axis=1)
    return float(np.mean(gaps < 1e-4))


@pytest.mark.parametrize(("n_bins", "n"), [(64, 16), (128, 64)])
def test_as_many_records_are_read_as_are_alone_in_their_bin(n_bins: int, n: int) -> None:
    each = [gaussian(n_bins, n, number)[0] for number in range(40)]
    expected = (1 - 1 / n_bins) ** (n - 1)
    error = np.std(each) / np.sqrt(len(each))
    assert abs(np.mean(each) - expected) <= 3 * error + 0.01


def test_several_local_steps_leave_little() -> None:
    assert gaussian(256, 16, 0, n_steps=1)[0] > 0.8
    assert gaussian(256, 16, 0, n_steps=5)[0] < 0.4


@pytest.mark.parametrize("hidden", ["[256]", "[256,12]"])
def test_records_of_every_hospital_are_read_in_one_round(hidden: str) -> None:
    record = ran(*WIDE, f"model.hidden={hidden}")
    assert record.n_attacked == 64
    assert record.n_recovered > 0.75 * 64
    assert record.value("reconstruction_rate_shuffled") == 0
    assert (record.value("prevalence_error") or 0.0) < 0.1
    assert record.engagement.attack_engaged


@pytest.mark.parametrize("words", [("secagg=sum",), ("secagg=sum", "secagg.agreement=true")])
def test_secure_aggregation_hides_nothing_from_it(words: tuple[str, ...]) -> None:
    record = ran(*WIDE, *words, "training.batch_size=4")
    assert record.n_attacked == 16
    assert record.n_recovered > 0.6 * 16


def test_colluding_hospitals_tell_the_quantiles() -> None:
    words = ("attack.imprint.quantiles=colluders", "adversary.n_hostile=2")
    assert ran(*WIDE, *words).n_recovered > 0.7 * 64
    with pytest.raises(InputError, match=r"n_records=0: Imprint with quantiles=colluders needs 2"):
        experiment(*WIDE, "attack.imprint.quantiles=colluders", "adversary.n_hostile=0")


@pytest.mark.parametrize(
    "words",
    [("dp=record",), ("training.optimizer=adam", "training.lr=0.01")],
)
def test_private_training_and_adam_leave_nothing(words: tuple[str, ...]) -> None:
    record = ran(*WIDE, *words)
    assert record.n_attacked > 0
    assert record.n_recovered <= 0.1 * record.n_attacked


def test_nothing_is_read_of_an_honest_model() -> None:
    made = experiment(*WIDE)
    plan = made.plan
    records = made.truth.sites[0].records.take(np.arange(16))
    honest = plan.first_weights(made.aggregator_key)
    attack = Imprint()
    stage = made.attack_plan.stage(plan, 1, honest)
    for weights, least, most in (
        (attack.crafted(stage, stream(0, "crafted")), 12, 16),
        (honest, 0, 1),
    ):
        unrolled = Unrolled(plan.network, weights, plan.training)
        (row,) = unrolled(
            records.features[None].astype(np.float64), records.labels[None].astype(np.float64)
        )
        view = View(row[None].astype(np.float32), (("a",),))
        seen = Observation(view, weights, plan.network.layout, plan.columns)
        (guess,) = attack(seen, stream(0, "read"))
        assert least <= 16 * found(records.features, guess.records) <= most
        (null,) = attack(shuffled(seen, stream(0, "shuffle")), stream(0, "read"))
        assert found(records.features, null.records) == 0


def test_the_aggregator_goes_on_with_the_model_before() -> None:
    first = finished(experiment(*WIDE))
    np.testing.assert_array_equal(first.weights, first.initial)
    honest = finished(experiment(*WIDE, "attack=none")).weights
    second = finished(experiment(*WIDE, "training.rounds=2", "attack.imprint.round=2")).weights
    np.testing.assert_array_equal(second, honest)
    assert not np.array_equal(second, first.initial)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("model=logistic",), "needs a chain of fully connected layers, at least one of them"),
        (("model.hidden=[1]",), "needs two neurons in the first layer"),
        (("consortium=digits", "model=cnn"), "needs a first linear layer on 64 features"),
        (("attack.imprint.quantiles=guessed",), "expected one of schema, colluders"),
        (("attack.imprint.scale=0",), "expected a number of at least 0.001 and at most 1000"),
    ],
)
def test_a_model_that_cannot_carry_it_is_refused_before_round_1(
    words: tuple[str, ...], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        experiment(*WORDS, *words)


# --- the hospital's side


@pytest.mark.parametrize("n_bins", [4, 16, 1024])
def test_every_imprint_is_flagged_and_no_first_weights_are(n_bins: int) -> None:
    network = FullyConnected((N_FEATURES, n_bins, 1))
    stage = Stage(1, ("a",), network.initialize(stream(0, "x")), network.layout, SCHEMA)
    for number in range(6):
        rng = stream(0, "flagged", number)
        attack = Imprint(scale=float(10.0 ** rng.uniform(-3, 3)))
        assert is_imprinted(attack.crafted(stage, rng), network.layout)
        assert not is_imprinted(network.initialize(rng), network.layout)


def test_neurons_that_are_moved_apart_until_they_pass_read_less() -> None:
    alike, near, apart = (
        [gaussian(1024, 64, number, noise=noise) for number in range(3)] for noise in (0, 0.6, 2)
    )
    assert all(flagged for _, flagged in (*alike, *near))
    assert not any(flagged for _, flagged in apart)
    assert min(share for share, _ in alike) > 0.8
    assert max(share for share, _ in apart) < 0.05


def test_of_few_records_a_model_that_passes_still_reads_more_than_a_random_one() -> None:
    passing, random = (
        [gaussian(64, 8, number, noise=noise) for number in range(12)] for noise in (1, 20)
    )
    assert not any(flagged for _, flagged in passing)
    assert np.mean([share for share, _ in passing]) > 0.1 + np.mean([share for share, _ in random])


@pytest.mark.parametrize("n_features", [2, 3, 4, 9])
def test_few_inputs_make_no_honest_model_suspicious(n_features: int) -> None:
    fields = SCHEMA.fields[:n_features]
    schema = TableSchema(fields, n_features)
    network = MLP([1024])(schema)
    stage = Stage(1, ("a",), network.initialize(stream(0, "x")), network.layout, schema)
    for number in range(5):
        rng = stream(0, "narrow", number)
        assert not is_imprinted(network.initialize(rng), network.layout)
        assert is_imprinted(Imprint().crafted(stage, rng), network.layout)


def test_weights_without_a_direction_are_not_flagged() -> None:
    network = FullyConnected((N_FEATURES, 64, 1))
    for value in (0.0, np.nan):
        assert not is_imprinted(np.full(network.n_params, value, np.float32), network.layout)


def test_no_honest_model_is_flagged_after_training() -> None:
    for words in (("consortium=heart4",), ("consortium=digits", "model=cnn")):
        made = experiment(*words, "training.rounds=10", "training.lr=0.3", "attack=none")
        assert not is_imprinted(finished(made).weights, made.plan.network.layout)
    image = CNN([8, 8], [2, 1], 5, "relu")(ImageSchema(8, 8, 1, 0.0, 1.0))
    assert not is_imprinted(image.initialize(stream(0, "x")), image.layout)


def test_hospitals_that_look_for_an_imprint_refuse_it() -> None:
    looking = "policy.no_imprint=true"
    record = ran(*WIDE, looking)
    assert {one.reason for one in record.screened} == {REFUSED + SENTENCES["imprint"]}
    assert len(record.screened) == 4
    assert (record.n_attacked, record.skipped_rounds) == (0, [1])
    honest = ran(*WIDE, looking, "attack=none")
    assert honest.screened == []


# --- at full size


@pytest.mark.slow
@pytest.mark.parametrize(("n_bins", "n"), [(128, 64), (512, 64), (1024, 64)])
def test_200_batches_are_read_as_far_as_expected(n_bins: int, n: int, capsys) -> None:
    each = [gaussian(n_bins, n, number)[0] for number in range(200)]
    expected = (1 - 1 / n_bins) ** (n - 1)
    error = np.std(each) / np.sqrt(len(each))
    with capsys.disabled():
        print(
            f"\n{n_bins} bins, {n} records: {np.mean(each):.3f} read, {expected:.3f} expected,"
            f" standard error {error:.3f}",
            end="",
        )
    assert abs(np.mean(each) - expected) <= 3 * error + 0.01


@pytest.mark.slow
def test_records_of_cleveland_are_read_with_quantiles_of_the_other_hospitals(capsys) -> None:
    made = experiment(*WORDS, "model.hidden=[1024]", "training.batch_size=64")
    plan = made.plan
    victim, *others = made.truth.sites
    assert victim.name == "cleveland"
    stage = replace(
        made.attack_plan.stage(plan, 1, plan.first_weights(made.aggregator_key)),
        records={site.name: site.records for site in others},
    )
    attack = Imprint(quantiles="colluders")
    each = []
    for number in range(50):
        rng = stream(0, "cleveland", number)
        weights = attack.crafted(stage, rng)
        records = victim.records.take(rng.permutation(len(victim.records))[:64])
        unrolled = Unrolled(plan.network, weights, plan.training)
        (row,) = unrolled(
            records.features[None].astype(np.float64), records.labels[None].astype(np.float64)
        )
        view = View(row[None].astype(np.float32), ((victim.name,),))
        (guess,) = attack(Observation(view, weights, plan.network.layout, plan.columns), rng)
        each.append(found(records.features, guess.records))
    with capsys.disabled():
        print(f"\nCleveland, 1024 bins, 64 records: {np.mean(each):.3f} read of 50 batches", end="")
    assert np.mean(each) >= 0.75


@pytest.mark.slow
def test_the_sum_of_four_hospitals_is_read(capsys) -> None:
    words = (*WORDS, "model.hidden=[1024]", "training.batch_size=16", "secagg=sum")
    records = [ran(*words, f"seed={seed}") for seed in range(10)]
    assert {record.n_attacked for record in records} == {64}
    share = np.mean([record.n_recovered for record in records]) / 64
    blind = max(record.value("reconstruction_rate_shuffled") or 0.0 for record in records)
    with capsys.disabled():
        print(f"\nsum of 4 x 16 records, 1024 bins: {share:.3f} read, {blind:.3f} shuffled", end="")
    assert share >= 0.8
    assert blind == 0
