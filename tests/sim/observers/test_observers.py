"""A run takes any number of observers; one more is a class in a file of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from sim.evidence import RunRecord, outcome
from sim.federation.observing import Ended, Findings, Round, Subject
from sim.federation.rounds import Weights
from sim.study.run import STANDARD, FederatedRun, run, run_together
from tests.federation import experiment

ROUNDS = 3
SMALL = ("consortium=heart4", f"training.rounds={ROUNDS}", "model=logistic")


@dataclass
class Lengths:
    """The length of the model's move, one a round."""

    moves: list[float] = field(default_factory=list)


class Drift:
    """How far the model moves in each round: an observer that the simulator does not know."""

    made: list[Drift] = []  # noqa: RUF012  each run's, for the tests

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.state = Lengths()
        self.seen: list[Round] = []
        self.first: Weights | None = None
        self.made.append(self)

    def start(self, weights: Weights) -> None:
        self.first = weights

    def round(self, seen: Round) -> None:
        self.seen.append(seen)
        self.state.moves.append(float(np.linalg.norm(seen.after - seen.before)))

    def findings(self, ended: Ended) -> Findings:
        note = f"the model moved by {sum(self.state.moves):.6f} in {len(self.state.moves)} rounds"
        figure = outcome("reconstruction_error", sum(self.state.moves), len(self.state.moves))
        return Findings([figure], {"data_notes": [note]})


@pytest.fixture(autouse=True)
def _forget() -> None:
    Drift.made.clear()


def check(record: RunRecord, drift: Drift) -> None:
    assert [seen.number for seen in drift.seen] == list(range(1, ROUNDS + 1))
    assert drift.first is not None
    np.testing.assert_array_equal(drift.seen[0].before, drift.first)
    for one, following in zip(drift.seen, drift.seen[1:], strict=False):
        np.testing.assert_array_equal(one.after, following.before)
    for seen in drift.seen:
        assert seen.aggregated.view is not None
        assert seen.aggregated.aggregate is not None
        np.testing.assert_allclose(seen.after - seen.before, seen.aggregated.aggregate, atol=1e-6)
    assert record.data_notes == [
        f"the model moved by {sum(drift.state.moves):.6f} in {ROUNDS} rounds"
    ]
    assert record.value("reconstruction_error") == sum(drift.state.moves)


def test_an_observer_of_the_users_own_sees_every_round_and_its_findings_are_evidence() -> None:
    record = run(experiment(*SMALL), observers=[Drift])
    (drift,) = Drift.made
    check(record, drift)


def test_an_observer_sees_every_round_of_every_run_in_lockstep() -> None:
    runs = [experiment(*SMALL), experiment(*SMALL, "attack=[sign_flip]")]
    for record, drift in zip(run_together(runs, observers=[Drift]), Drift.made, strict=True):
        check(record, drift)


def test_an_observer_changes_no_digit_of_what_the_others_find() -> None:
    ignored = {"seconds", "data_notes", "outcomes"}
    observed, alone = run(experiment(*SMALL), observers=[Drift]), run(experiment(*SMALL))
    assert [one for one in observed.outcomes if one.metric != "reconstruction_error"] == list(
        alone.outcomes
    )
    assert observed.model_dump(exclude=ignored) == alone.model_dump(exclude=ignored)


def test_observers_learn_which_replies_were_moved_and_which_were_not_used() -> None:
    words = ("attack=[sign_flip,dropout]", "attack.dropout.rate=1")
    run(experiment(*SMALL, *words), observers=[Drift])
    (drift,) = Drift.made
    for seen in drift.seen:
        assert {name: len(distances) for name, distances in seen.moved.items()} == {
            "sign_flip": 1,
            "dropout": 1,
        }
        assert [lost.hospital for lost in seen.aggregated.screened] == list(
            drift.subject.truth.hostile
        )


def test_every_standard_observer_is_there_once() -> None:
    one = FederatedRun(experiment(*SMALL, "attack=[sign_flip]"))
    assert [type(observer) for observer in one.observers] == list(STANDARD)
    assert len({type(observer) for observer in one.observers}) == len(STANDARD)
