"""An attack that cannot work is refused before round 1; one that later cannot ends no run."""

import numpy as np
import pytest
from flwr.app import Context, Message
from hydra import initialize_config_module

from sim.errors import InputError
from sim.federation import wire
from sim.observers.engagement import EngagementObserver
from sim.study import compose
from tests.federation import answer_drawn, experiment, finished

COLLUDERS = (
    "attack=alie",
    "adversary.n_hostile=2",
    "adversary.knowledge=colluders",
    "training.rounds=2",
)


def test_attack_that_needs_more_hostile_hospitals_is_refused_before_round_1() -> None:
    with pytest.raises(
        InputError, match=r"^attack.alie=ALIE: n_known=1: ALIE needs 2 known updates"
    ):
        experiment(*COLLUDERS, "adversary.n_hostile=1")


def test_a_comparison_over_numbers_leaves_out_those_that_its_attack_refuses() -> None:
    with initialize_config_module("conf", version_base="1.3"):
        cells = compose.cells(["alie"], ["none"], [1, 2])
        made, refused = compose.planned(
            ["adversary.knowledge=colluders", "adversary.n_hostile=[1,2]"], cells, [0]
        )
    assert [(cell.attack, cell.n_hostile) for cell in refused] == [("alie", 1)]
    assert ("alie", 2) in {(run.attack, run.settings.adversary.n_hostile) for run in made}


def test_a_round_with_too_few_hostile_hospitals_for_the_attack_goes_on_without_it() -> None:
    run = experiment(*COLLUDERS)
    failing = run.consortium.names.index(run.attack_plan.hostile[0])

    def one_fails_in_round_2(message: Message, context: Context) -> Message:
        if wire.read_task(message).round == 2 and context.node_config[wire.PARTITION] == failing:
            raise RuntimeError("down")
        return answer_drawn(message, context)

    federated = finished(run, one_fails_in_round_2)
    assert [(lost.round, lost.hospital) for lost in federated.log.screened] == [
        (2, run.attack_plan.hostile[0])
    ]
    assert federated.log.skipped == []
    # both hospitals, in round 1 only
    assert len(federated.observer(EngagementObserver).state.sent["alie"]) == 2
    assert np.isfinite(federated.weights).all()
