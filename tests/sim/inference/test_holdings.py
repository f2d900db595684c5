"""Each party holds what it could see, under each defense, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from sim.federation.observing import Ended, Findings, Round, Subject
from sim.federation.rounds import Weights
from sim.inference.holdings import holdings
from sim.observers import inference
from sim.observers.inference import InferenceObserver
from sim.study.run import run
from sim.types import Holdings
from tests.federation import experiment

ATTACK = "attack=[gradient_cosine]"
SHORT = ("consortium=heart4", "training.rounds=3", "attack.gradient_cosine.n_rounds=2")


def held(monkeypatch: pytest.MonkeyPatch, *words: str) -> Holdings:
    """What the attack of a run is given."""
    found = list[Holdings]()

    def noted(*given: object, **named: object) -> Holdings:
        found.append(holdings(*given, **named))
        return found[-1]

    monkeypatch.setattr(inference, "holdings", noted)
    run(experiment(*words))
    return found[0]


def test_the_aggregator_holds_the_rows_of_the_watched_rounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = held(monkeypatch, ATTACK, *SHORT)
    assert [one.number for one in seen.rounds] == [2, 3]
    for one in seen.rounds:
        assert one.view is not None
        assert [len(group) for group in one.view.members] == [1, 1, 1, 1]
        np.testing.assert_array_equal(one.view.model, one.before)
    assert seen.own is None
    np.testing.assert_array_equal(seen.rounds[-1].after, seen.final)


@pytest.mark.parametrize(
    ("words", "sizes"),
    [(("secagg=sum",), [4]), (("secagg=groups", "secagg.size=2"), [2, 2])],
)
def test_of_sums_the_aggregator_holds_nothing_finer(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], sizes: list[int]
) -> None:
    seen = held(monkeypatch, ATTACK, *SHORT, *words)
    views = [one.view for one in seen.rounds]
    assert all(view is not None for view in views)
    assert [[len(group) for group in view.members] for view in views] == [sizes, sizes]
    assert all(view.weights is None for view in views)


def test_a_hospital_holds_the_models_and_its_own_records(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = held(monkeypatch, ATTACK, *SHORT, "attack.gradient_cosine.party=hospital")
    assert seen.own is not None
    for one in seen.rounds:
        assert one.view is not None
        assert one.view.rows.shape[0] == 1
        np.testing.assert_array_equal(one.view.rows[0], one.after - one.before)
        assert one.view.weights is None


@pytest.mark.parametrize("party", ["outsider", "outsider_api"])
def test_an_outsider_holds_the_final_model_or_its_answers_alone(
    monkeypatch: pytest.MonkeyPatch, party: str
) -> None:
    words = ("attack=[membership_loss]", *SHORT[:2], f"attack.membership_loss.party={party}")
    seen = held(monkeypatch, *words)
    assert seen.rounds == ()
    assert seen.own is None
    assert (seen.final is None) == (party == "outsider_api")
    assert seen.outputs(np.zeros((5, seen.schema.n_features), np.float32)).shape == (5,)


def test_nothing_is_stored_of_rounds_that_no_attack_watches() -> None:
    stored = list[Mapping[int, object]]()

    class Looking(InferenceObserver):
        def findings(self, ended: Ended) -> Findings:
            stored.append(self.state.rounds)
            return Findings()

        def start(self, weights: Weights) -> None: ...

        def round(self, seen: Round) -> None:
            super().round(seen)

    def made(subject: Subject) -> Looking:
        return Looking(subject)

    run(experiment(ATTACK, *SHORT), observers=[made])
    run(experiment("attack=[membership_loss]", *SHORT[:2]), observers=[made])
    assert [sorted(one) for one in stored] == [[2, 3], []]
