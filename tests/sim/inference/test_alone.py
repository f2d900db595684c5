"""A hospital finds out alone what the common models tell of its own records."""

from __future__ import annotations

import numpy as np
import pytest

from sim import api
from sim.errors import InputError
from sim.federation.observing import Round, Subject
from sim.inference import alone
from sim.observers.engagement import EngagementObserver
from sim.study.run import run
from tests.federation import experiment

PLAN = (
    "consortium=heart4",
    "consortium.test_fraction=0.5",
    "model.hidden=[128,128]",
    "training.rounds=30",
    "training.local_steps=1",
    "training.batch_size=128",
    "training.lr=1.0",
    "server_optimizer=fedadam",
)


@pytest.fixture(scope="module")
def models() -> np.ndarray:
    """The common models that every hospital received."""
    found = list[np.ndarray]()

    class Listening(EngagementObserver):
        def __init__(self, subject: Subject) -> None:
            super().__init__(subject)

        def round(self, seen: Round) -> None:
            super().round(seen)
            found.extend([seen.before] if not found else [])
            found.append(seen.after)

    run(experiment(*PLAN), observers=[Listening])
    return np.array(found)


@pytest.mark.parametrize("attack", ["lira", "rmia", "membership_loss", "gradient_cosine"])
def test_a_hospital_audits_its_own_records(models: np.ndarray, attack: str) -> None:
    words = {"attack.lira.models": 8} if attack == "lira" else {}
    found = api.audit(*PLAN, words, attack=[attack], hospital="hungary", models=models)
    assert (found.hospital, found.attack) == ("hungary", attack)
    assert (len(found.members), len(found.others)) == (147, 147)
    assert found.auc > {"lira": 0.52, "rmia": 0.52}.get(attack, 0.45)
    rate, bounds = found.recognized(0.05)
    assert bounds.low <= rate <= bounds.high


def test_nothing_of_a_partner_is_used(models: np.ndarray) -> None:
    of = experiment(*PLAN, "attack=[membership_loss]")
    mine = next(one for one in of.consortium.hospitals if one.name == "va")
    (attack,) = of.attack_plan.of_kind("inference").values()
    draws = of.attack_plan.key.stream("audit", "va")
    direct = alone.audit(of.plan, "va", (mine.train, mine.test), models, "loss", attack, draws)
    found = api.audit(*PLAN, attack=["membership_loss"], hospital="va", models=models)
    assert (direct.members, direct.others) == (found.members, found.others)


@pytest.mark.parametrize(
    ("words", "shape", "hospital", "key"),
    [
        ({"attack": ["membership_loss"]}, (31, 3), "va", "models"),
        ({"attack": ["membership_loss"]}, (1, 21249), "va", "models"),
        ({"attack": ["membership_loss"]}, (31, 21249), "nowhere", "hospital"),
        ({"attack": ["sign_flip"]}, (31, 21249), "va", "attack"),
        ({}, (31, 21249), "va", "attack"),
    ],
)
def test_what_cannot_be_audited_is_refused(
    words: dict[str, object], shape: tuple[int, int], hospital: str, key: str
) -> None:
    with pytest.raises(InputError, match=f"^{key}="):
        api.audit(*PLAN, words, hospital=hospital, models=np.zeros(shape, np.float32))
