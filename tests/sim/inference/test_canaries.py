"""Canaries move one parameter each, and leave the hospital's own records alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import grad, vmap

from sim.inference import canaries
from sim.inference.canaries import Canaries, Marked, audited
from sim.models.network import skeleton
from sim.models.store import named
from sim.seeds import stream
from sim.types import Records
from tests.federation import experiment

MODELS = ("model=mlp", "model=logistic")
WORDS = ("consortium=heart4", "dp=record", "dp.target_epsilon=8", "training.rounds=2")


def some(n_params: int, *, replaced: bool = True) -> Canaries:
    rng = stream(0, "canaries")
    return Canaries.drawn(rng, 12, rng.normal(size=n_params), replaced=replaced)


@pytest.mark.parametrize("model", MODELS)
def test_the_gradient_of_a_canary_is_one_parameter_and_that_of_a_record_is_its_own(
    model: str,
) -> None:
    run = experiment(*WORDS, model)
    network = run.plan.network
    marked = Marked(network, 10.0)
    site = run.truth.sites[0]
    found = some(network.n_params)
    given = found.among(site.records.take(np.arange(5)))
    vector = torch.from_numpy(run.plan.first_weights(run.aggregator_key))
    skeleton(marked)

    def loss(one: Marked, vector: torch.Tensor, row: torch.Tensor, label: torch.Tensor):  # type: ignore[no-untyped-def]
        logits = one.apply(named(one.layout, vector), row[None])
        return one.loss(logits, label[None])

    each = vmap(grad(lambda *parts: loss(marked, *parts)), in_dims=(None, 0, 0))
    gradients = each(vector, *map(torch.from_numpy, (given.features, given.labels))).numpy()
    signs = np.where(found.coins, 1.0, -1.0)
    expected = np.zeros((12, network.n_params))
    expected[np.arange(12), found.places] = 10.0 * signs
    np.testing.assert_array_equal(gradients[5:], expected)

    skeleton(network)
    plain = vmap(grad(lambda *parts: loss(network, *parts)), in_dims=(None, 0, 0))
    of_records = plain(
        vector, torch.from_numpy(given.features[:5, :-1]), torch.from_numpy(given.labels[:5])
    )
    np.testing.assert_allclose(gradients[:5], of_records.numpy(), rtol=1e-5, atol=1e-6)


def test_a_network_of_canaries_has_the_parameters_and_first_weights_of_its_own() -> None:
    run = experiment(*WORDS)
    network = run.plan.network
    marked = Marked(network, 10.0)
    assert [shape for _, shape in marked.layout] == [shape for _, shape in network.layout]
    rng = stream(1, "model")
    same = stream(1, "model")
    np.testing.assert_array_equal(marked.initialize(rng), network.initialize(same))


def test_canaries_are_on_different_parameters_that_move_little() -> None:
    moved = stream(3, "moved").normal(size=40)
    found = Canaries.drawn(stream(0, "a"), 20, moved, replaced=True)
    assert len(set(found.places.tolist())) == 20
    assert np.abs(moved[found.places]).max() <= np.median(np.abs(moved)) + 1e-12


@pytest.mark.parametrize(("replaced", "n_more"), [(True, 12), (False, None)])
def test_a_coin_puts_a_canary_in_or_its_opposite_or_nothing(
    replaced: bool, n_more: int | None
) -> None:
    found = some(50, replaced=replaced)
    own = Records(np.ones((4, 3), np.float32), np.ones(4, np.float32))
    given = found.among(own)
    assert len(given) - 4 == (found.coins.sum() if n_more is None else n_more)
    assert not given.features[:4, -1].any()
    np.testing.assert_array_equal(given.features[:4, :-1], own.features)
    assert (given.labels[4:] == canaries.LABEL).all()
    signs = np.sign(given.features[4:, -1])
    assert (signs == (np.where(found.coins, 1, -1) if replaced else 1)).all()


@pytest.mark.parametrize(
    "relation", [("dp.relation=replace",), ("dp.relation=add_remove", "dp.nominal_records=80")]
)
def test_rate_steps_and_noise_are_those_of_the_hospital_without_canaries(
    relation: tuple[str, ...],
) -> None:
    run = experiment(*WORDS, *relation)
    plan = run.plan
    dp = plan.dp
    assert dp is not None
    site = run.truth.sites[0]
    found = some(plan.network.n_params, replaced=relation == ("dp.relation=replace",))
    agreed, hospital = audited(plan, site, found)
    before = dp.counted(len(site.records))
    after = dp.counted(len(hospital.records))
    assert agreed.training.steps(after) == plan.training.steps(before)
    assert dp.noise(after, agreed.training) == dp.noise(before, plan.training)
