"""Attacks on the training itself: what they minimize, where they succeed and where they fail."""

from collections import defaultdict
from functools import cache

import numpy as np
import pytest
import torch
from flwr.app import Message
from torch import nn

from attacks.training.constrain import Constrain
from clients.app import fit
from clients.training import train
from sim.errors import InputError
from sim.evidence import RunRecord
from sim.federation import wire
from sim.kinds import TrainingAttack
from sim.models.mlp import FullyConnected
from sim.models.store import load, unload
from sim.observers.engagement import LEAST
from sim.seeds import stream
from sim.study.run import run_together
from sim.training import Training
from sim.types import Records
from tests import federation

NETWORK = FullyConnected((5, 4, 1))
HONEST = Training(
    rounds=1, local_epochs=1, local_steps=None, batch_size=8, lr=0.2, optimizer="sgd", proximal=0.7
)
SMALL = (
    "model=logistic",
    "training.rounds=4",
    "attack=[backdoor,constrain]",
    "attack.constrain.alpha=0.3",
)


def data() -> Records:
    rng = stream(0, "patients")
    return Records(
        rng.normal(size=(20, 5)).astype(np.float32), rng.integers(0, 2, 20).astype(np.float32)
    )


@pytest.mark.parametrize(
    ("optimizer", "tolerance"), [("sgd", 1e-6), ("adam", 5e-4)]
)  # Adam's epsilon is not scaled with the loss
@pytest.mark.parametrize("alpha", [0.2, 0.8])
def test_constrain_minimizes_the_loss_of_constrain_and_scale_written_out(
    alpha: float, optimizer: str, tolerance: float
) -> None:
    records, start, batches = (
        data(),
        NETWORK.initialize(stream(0, "model")),
        [np.arange(8), np.arange(8, 20)] * 5,
    )
    network = NETWORK.module()
    load(network, start)
    received = [parameter.detach().clone() for parameter in network.parameters()]
    steps = (torch.optim.SGD if optimizer == "sgd" else torch.optim.Adam)(
        network.parameters(), lr=0.2
    )
    for rows in batches:
        logits = network(torch.from_numpy(records.features[rows]))[:, 0]
        loss = nn.functional.binary_cross_entropy_with_logits(
            logits, torch.from_numpy(records.labels[rows])
        )
        distance = sum(
            ((now - then) ** 2).sum()
            for now, then in zip(network.parameters(), received, strict=True)
        )
        steps.zero_grad()
        (alpha * loss + (1 - alpha) * distance).backward()
        steps.step()
    how = Constrain(alpha)(HONEST.model_copy(update={"optimizer": optimizer}))
    np.testing.assert_allclose(
        train(NETWORK, start, records, batches, how), unload(network), atol=tolerance
    )


def test_every_attack_on_training_gives_training_that_is_another(
    each_training: TrainingAttack,
) -> None:
    changed = each_training(HONEST)
    assert changed != HONEST
    assert Training.model_validate(changed.model_dump()) == changed


def test_hostile_hospitals_alone_train_otherwise_and_in_rounds_attacked_only() -> None:
    plan = federation.experiment(*SMALL, "adversary.first_round=2", "adversary.every=2")
    honest = federation.experiment(*SMALL[:2])
    weights = plan.plan.network.initialize(stream(0, "model"))
    wire.enter_process()
    for round_, attacked in ((1, False), (2, True), (3, False)):
        for place, name in enumerate(plan.consortium.names):
            sent, usual = (
                fit(
                    run.source,
                    wire.ask(round_, weights, wire.settings(run.plan.digest), [place + 1])[0],
                    wire.context(place + 1, place),
                )
                for run in (plan, honest)
            )
            assert (wire.sent(sent) == wire.sent(usual)).all() != (
                attacked and name in plan.attack_plan.hostile
            )


def test_constrained_hospitals_trained_together_give_the_model_of_one_by_one() -> None:
    plan = federation.experiment(*SMALL, "adversary.last_round=3")
    together, alone = federation.finished(plan), federation.finished(plan, federation.alone(plan))
    np.testing.assert_allclose(together.weights, alone.weights, atol=1e-5)
    assert (
        np.abs(alone.weights - federation.finished(federation.experiment(*SMALL[:2])).weights).max()
        > 1e-3
    )


MARK = "attack.backdoor.mark=chol:550"
CASES = {
    "scaled": ("attack=[backdoor,model_replacement]", MARK),
    "constrained, scaled": ("attack=[backdoor,constrain,model_replacement]", MARK),
    "constrained": ("attack=[backdoor,constrain]", MARK, "attack.constrain.alpha=0.1"),
    "not constrained": (
        "attack=[backdoor,constrain]",
        MARK,
        "attack.constrain.alpha=1.0",
        "training.rounds=2",
    ),
}


@cache
def records() -> dict[str, list[RunRecord]]:
    """Of each case, the runs of two seeds."""
    plans = [
        federation.experiment(*words, f"seed={seed}")
        for words in CASES.values()
        for seed in range(2)
    ]
    found = run_together(plans)
    return {name: found[2 * i : 2 * i + 2] for i, name in enumerate(CASES)}


def success(name: str) -> float:
    return float(np.mean([record.value("backdoor_success") for record in records()[name]]))


def auroc(name: str) -> float:
    return float(np.mean([record.value("auroc") for record in records()[name]]))


def length(name: str) -> float:
    """Mean length of the hostile updates before anything scales them, over five rounds."""
    plan, lengths = (
        federation.experiment(*CASES[name], "training.rounds=5"),
        defaultdict[int, list[float]](list),
    )

    def measure(replies: list[Message]) -> list[Message]:
        for reply in replies:
            lengths[reply.metadata.src_node_id].append(float(np.linalg.norm(wire.sent(reply))))
        return replies

    federated = federation.finished(plan, tamper=measure)
    return float(
        np.mean(
            [
                lengths[node]
                for hospital, node in federated.roster.nodes.items()
                if hospital in plan.attack_plan.hostile
            ]
        )
    )


def test_constrain_and_scale_wins_with_updates_of_hardly_more_than_half_the_length() -> None:
    assert success("constrained, scaled") > 0.85
    assert length("constrained, scaled") < 0.6 * length("scaled")
    assert auroc("constrained, scaled") > auroc("scaled") - 0.02
    assert all(record.engagement.attack_engaged for record in records()["constrained, scaled"])


def test_a_tightly_constrained_update_that_is_not_scaled_plants_nothing() -> None:
    false = [record.value("false_trigger_rate") for record in records()["constrained"]]
    assert success("constrained") < np.mean(false) + 0.1


def test_a_constraint_of_weight_zero_is_recorded_as_not_engaged_beside_a_poison_that_is() -> None:
    record = records()["not constrained"][0]
    distance = record.value("attack_distance")
    assert record.engagement.attack_engaged is False
    assert distance is not None
    assert distance < LEAST


@pytest.mark.parametrize("alpha", [0.0, 1.5, -1.0, float("nan")])
def test_constrain_refuses_what_is_no_weight(alpha: float) -> None:
    with pytest.raises(InputError, match=r"^alpha="):
        Constrain(alpha)


def test_constrain_is_refused_where_private_training_has_a_loss_of_its_own() -> None:
    with pytest.raises(InputError, match=r"^attack\.constrain=Constrain: expected dp=none: "):
        federation.experiment("attack=[constrain]", "dp=record")
