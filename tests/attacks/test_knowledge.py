"""Every attack on updates at every level of knowledge: what it must not see is poisoned, and it
sends the same as before.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from flwr.app import Message
from numpy.typing import NDArray

from attacks.byzantine.sign_flip import SignFlip
from sim.federation import wire
from sim.federation.rounds import Weights
from sim.federation.server import Aggregator
from sim.study.experiment import Experiment
from sim.study.run import FederatedRun
from sim.types import LEVELS, Byzantine, Level, Vector
from tests.conftest import plugins
from tests.federation import asked, drawn_update, experiment, uploads

N_PARAMS, ROUNDS = 36, 2
PLAIN = experiment(
    "consortium=heart12", "model=logistic", f"training.rounds={ROUNDS}", "adversary.n_hostile=3"
)
MADE: dict[str, Byzantine] = plugins("each_byzantine")
ATTACKS = {**MADE, "sign_flip": SignFlip(of="mean")}  # its default uses its own update alone
ALLOWED = [
    (name, level)
    for name, attack in ATTACKS.items()
    for level in LEVELS[LEVELS.index(attack.about.needs) :]
]


def design(attack: Byzantine, level: Level) -> Experiment:
    """Three of twelve hospitals attack, and may know what ``level`` allows."""
    schedule = PLAIN.attack_plan.schedule.model_copy(update={"knowledge": level})
    tried = replace(PLAIN.attack_plan, attacks={"tried": attack}, schedule=schedule)
    return replace(PLAIN, attack_plan=tried)


def replies(run: FederatedRun, number: int, honest: float, colluders: float) -> dict[str, Message]:
    """Each hospital's reply; those of the honest ones and of the hostile ones but the first are
    moved in some direction.
    """
    first, *others = run.attack.hostile
    moved = {
        **dict.fromkeys(PLAIN.consortium.names, honest),
        **dict.fromkeys(others, colluders),
        first: 0.0,
    }
    return {
        name: wire.answer(
            drawn_update(N_PARAMS, i, number) + moved[name] * drawn_update(N_PARAMS, i, 99),
            50,
            {},
            message,
        )
        for i, (name, message) in enumerate(asked(run, number).items())
    }


def sent(design: Experiment, honest: float = 0.0, colluders: float = 0.0) -> NDArray[np.float32]:
    """What the hostile hospitals send in each round, (rounds, 3, n_params); the model moves as if
    nobody attacked.
    """
    run, rows = FederatedRun(design), []
    for number in range(1, ROUNDS + 1):
        received = uploads(run, number, replies(run, number, honest, colluders))
        rows.append([wire.sent(received[name]) for name in run.attack.hostile])
        run.weights = run.initial + drawn_update(N_PARAMS, 50, number)
    return np.array(rows)


@pytest.mark.parametrize(
    ("name", "level"), [pair for pair in ALLOWED if pair[1] in ("own", "colluders")]
)
def test_poisoned_updates_of_honest_hospitals_change_nothing_below_updates(
    name: str, level: Level
) -> None:
    run = design(ATTACKS[name], level)
    np.testing.assert_array_equal(sent(run, honest=1e3), sent(run))


@pytest.mark.parametrize("name", [name for name, level in ALLOWED if level == "own"])
def test_poisoned_updates_of_other_hostile_hospitals_change_nothing_at_own(name: str) -> None:
    run = design(ATTACKS[name], "own")
    np.testing.assert_array_equal(sent(run, colluders=1e3)[:, 0], sent(run)[:, 0])


@pytest.mark.parametrize(
    ("name", "level"), [pair for pair in ALLOWED if pair[1] != "updates_and_rule"]
)
def test_a_poisoned_defense_is_never_asked_below_updates_and_rule(
    name: str, level: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Vector:
        raise AssertionError("the defense was asked")

    monkeypatch.setattr(Aggregator, "preview", refuse)
    assert sent(design(ATTACKS[name], level)).shape == (ROUNDS, 3, N_PARAMS)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_makes_use_of_what_it_declares_to_use(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uses, full = LEVELS.index(ATTACKS[name].about.uses), design(ATTACKS[name], "updates_and_rule")
    assert (sent(full, honest=1e3) != sent(full)).any() == (uses >= LEVELS.index("updates"))
    previews, preview = list[int](), Aggregator.preview

    def counted(
        self: Aggregator,
        number: int,
        model: Weights,
        reports: Mapping[str, wire.Report],
        rng: np.random.Generator,
    ) -> Vector:
        previews.append(len(reports))
        return preview(self, number, model, reports, rng)

    monkeypatch.setattr(Aggregator, "preview", counted)
    sent(full)
    assert bool(previews) == (uses == LEVELS.index("updates_and_rule"))


@pytest.mark.parametrize("name", [name for name, level in ALLOWED if level == "colluders"])
def test_an_attack_that_declares_to_use_more_than_its_own_update_uses_those_of_colluders(
    name: str,
) -> None:
    run = design(ATTACKS[name], "colluders")
    assert (sent(run, colluders=1e3)[:, 0] != sent(run)[:, 0]).any() == (
        ATTACKS[name].about.uses != "own"
    )
