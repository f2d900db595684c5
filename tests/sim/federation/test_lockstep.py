"""Runs in lockstep, all their hospitals trained in batches, give what each run gives alone and
hospital by hospital.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from flwr.app import Message

from clients import app
from clients.app import LEDGER, hospital_app
from sim.evidence import RunRecord
from sim.federation import wire
from sim.federation.driver import drive
from sim.federation.engines.local import LocalGrid
from sim.plugins import CONF
from sim.study.compose import options
from sim.study.experiment import Experiment
from sim.study.run import FederatedRun, _grid, _served, answering, run, run_together
from tests import federation
from tests.federation import experiment, finished

SMALL = (
    "consortium=synthetic",
    "consortium.n_hospitals=11",
    "consortium.n_records=20",
    "consortium.n_features=4",
    "consortium.size_spread=0.7",  # unequal hospitals: some smaller than a batch
    "adversary.n_hostile=2",
    "model.hidden=[6,3]",
    "training.batch_size=8",
    "training.rounds=6",
)
# enough for what attacks remember from round to round
ATTACKED = ("consortium.n_hospitals=8", "training.rounds=5", "seed=1")
HEART = ("consortium=heart12", "training.rounds=10")
TRUSTING = ("fltrust", "monna")  # which are given the name of a hospital to trust
AFTERWARDS = ("inference", "evasion", "extraction", "release")  # kinds that begin after the run


def in_rounds(attack: str) -> bool:
    """Whether an attack acts in the rounds of every protocol.

    One takes a protocol of several trips: its own tests hold both paths to each other.
    """
    text = (CONF / "attack" / f"{attack}.yaml").read_text(encoding="utf-8")
    afterwards = any(f"attacks.{kind}." in text for kind in AFTERWARDS)
    return not afterwards and attack != "share_tampering"


# Attacks that search for the most harm drive a mean to weights of 1e6, where training turns the
# last digit into the first one; so do flipped signs in more than 20 rounds, and a trusted hospital
# that is hostile.
BOUNDED = {
    **{
        name: ["aggregator=median"]
        for name in ("aggregation_tailored", "alie_optimized", "ipm_optimized")
    },
    **{name: [f"attack.{name}.evaluations=3"] for name in ("dlg", "idlg")},
    "inverting_gradients": ["attack.inverting_gradients.iterations=3"],
    "tableak": [
        f"attack.tableak.{word}" for word in ("iterations=2", "ensemble=1", "refinements=1")
    ],
}
ATTACKS, RULES, STEPS = (
    [name for name in options("attack") if in_rounds(name)],
    options("aggregator"),
    [name for name in options("steps") if name != "none"],
)


@lru_cache(maxsize=512)
def made(*words: str) -> Experiment:
    return experiment(*words)


def advanced(runs: Sequence[Experiment]) -> list[FederatedRun]:
    """The runs, finished, all in lockstep."""
    federated, node = list[FederatedRun](), 1
    for one in runs:
        federated.append(FederatedRun(one, node))
        node += len(one.consortium)
    drive(federated, _grid(federated), lambda _: None)
    return federated


def together(runs: Sequence[Experiment]) -> list[np.ndarray]:
    """The final model of each run, all in lockstep."""
    return [one.weights for one in advanced(runs)]


def one_by_one(one: Experiment) -> np.ndarray:
    """The final model of the run, each hospital asked through the ClientApp."""
    return finished(one, federation.alone(one)).weights


def gap(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).max())


def assert_equal_runs(runs: Sequence[Experiment]) -> None:
    for one, batched in zip(runs, together(runs), strict=True):
        alone = one_by_one(one)
        # some attacks drive weights to 100, where float32 has steps of 1e-5
        scale = max(1.0, float(np.abs(alone).max()))
        assert gap(batched, alone) <= 1e-5 * scale


# --- the same model


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_attack_gives_the_same_model_batched_and_one_by_one(attack: str) -> None:
    assert_equal_runs([made(*SMALL, *ATTACKED, f"attack=[{attack}]", *BOUNDED.get(attack, []))])


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_gives_the_same_model_batched_and_one_by_one(rule: str) -> None:
    words = (*SMALL, "attack=[sign_flip]", "seed=2")
    design = made(*words)
    honest = [name for name in design.plan.hospitals if name not in design.attack_plan.hostile]
    trusted = [f"aggregator.root={honest[0]}"] if rule in TRUSTING else []
    assert_equal_runs([made(*words, f"aggregator={rule}", *trusted)])


@pytest.mark.parametrize("step", STEPS)
def test_every_step_gives_the_same_model_batched_and_one_by_one(step: str) -> None:
    assert_equal_runs(
        [made(*SMALL, "attack=[alie]", f"steps=[{step}]", "aggregator=median", "seed=3")]
    )


@pytest.mark.parametrize(
    "words",
    [
        ("model=logistic", "training.optimizer=adam", "training.lr=0.01"),
        ("training.optimizer=adam", "training.lr=0.01", "training.local_epochs=2"),
        ("training.local_steps=3", "attack=[label_flip]"),
        ("training.batch_size=1000", "attack=[alie]", "aggregator=median"),
        ("secagg=sum", "attack=[sign_flip]"),
        (
            "adversary.first_round=2",
            "adversary.last_round=5",
            "adversary.every=2",
            "attack=[label_flip]",
        ),
    ],
    ids=" ".join,
)
def test_every_kind_of_training_gives_the_same_model_batched_and_one_by_one(
    words: tuple[str, ...],
) -> None:
    small = [word for word in SMALL if "hidden" not in word or "model=logistic" not in words]
    assert_equal_runs([made(*small, *words, f"seed={seed}") for seed in range(2)])


@pytest.mark.parametrize(
    "words",
    [
        ("model=mlp", "attack=[sign_flip]", "aggregator=krum"),
        ("model=mlp", "attack=[sign_flip,label_flip]", "aggregator=trimmed_mean"),
        ("model=logistic", "attack=[alie]", "aggregator=geometric_median"),
    ],
    ids=" ".join,
)
def test_heart_hospitals_give_the_same_model_batched_and_one_by_one(words: tuple[str, ...]) -> None:
    assert_equal_runs([made(*HEART, *words)])


def test_runs_that_differ_in_everything_advance_together() -> None:
    runs = [
        made(*SMALL, "training.rounds=3"),
        made(*SMALL, "training.rounds=7", "training.optimizer=adam", "training.lr=0.01"),
        made(*SMALL, "training.rounds=5", "training.batch_size=6", "dp=record", "dp.delta=1e-3"),
        made("consortium=heart4", "training.rounds=2", "attack=[label_flip]"),
        made("consortium=heart4", "model=logistic", "training.rounds=4", "aggregator=median"),
    ]
    beside = together(runs)
    for one, model in zip(runs, beside, strict=True):
        assert gap(model, together([one])[0]) <= 1e-6
        assert gap(model, one_by_one(one)) <= 1e-5


def test_every_hospital_trains_in_a_batch_and_none_through_the_app(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any) -> Message:
        raise AssertionError("asked one by one")

    monkeypatch.setattr("sim.federation.engines.local.call", refuse)
    assert len(together([made(*SMALL, "training.rounds=2", "attack=[label_flip]")])) == 1


# --- the same evidence


def same(one: RunRecord, other: RunRecord) -> None:
    """Everything but the time is the same, numbers to float32 rounding."""
    left, right = (record.model_dump(exclude={"seconds"}) for record in (one, other))
    assert close(left, right), next(
        (left[key], right[key]) for key in left if not close(left[key], right[key])
    )


def close(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(close(a, b) for a, b in zip(one, other, strict=True))
    return (
        bool(one == pytest.approx(other, rel=1e-4, abs=1e-5))
        if isinstance(one, float)
        else bool(one == other)
    )


@pytest.mark.parametrize("defense", ["none", "krum", "secagg"])
def test_batched_and_one_by_one_leave_the_same_evidence(defense: str) -> None:
    words = (
        "consortium=heart12",
        "training.rounds=4",
        f"defense={defense}",
        "attack=[label_flip,analytic_inversion]",
    )
    one = made(*words)
    (batched,) = run_together([one])
    same(batched, run(one, app=hospital_app))
    same(batched, run(one))


# --- differential privacy

PRIVATE = ("dp=record", "dp.delta=1e-3", "training.batch_size=6")


@pytest.mark.parametrize(
    "words",
    [
        ("dp.target_epsilon=8",),
        ("dp.target_epsilon=null", "dp.noise_multiplier=1.0", "dp.max_grad_norm=0.3"),
        ("attack=[label_flip]", "training.local_steps=2"),
    ],
    ids=" ".join,
)
def test_private_runs_give_the_same_model_and_account_batched_and_one_by_one(
    words: tuple[str, ...],
) -> None:
    one = made(*SMALL, *PRIVATE, *words)
    (batched,), alone = advanced([one]), _served(FederatedRun(one), hospital_app)
    assert gap(batched.weights, alone.weights) <= 1e-5
    first, second = (
        run.record(answering(app), 0.0).privacy
        for run, app in ((batched, None), (alone, hospital_app))
    )
    assert first is not None
    assert first == second


def test_private_hospitals_keep_the_same_ledger_batched_and_one_by_one() -> None:
    one = made(*SMALL, *PRIVATE)
    partitions = {
        node: partition for partition, node in enumerate(FederatedRun(one).roster.nodes.values())
    }
    sources = dict.fromkeys(partitions, one.source)
    apps = dict.fromkeys(partitions, hospital_app(one.source))
    grids = [LocalGrid({}, partitions, app.together(sources)), LocalGrid(apps, partitions)]
    first = FederatedRun(one).initial
    for round_ in (1, 2, 3):
        for grid in grids:
            grid.send_and_receive(
                wire.ask(round_, first, wire.settings(one.plan.digest), partitions)
            )
    for node in partitions:
        batched, alone = (grid._contexts[node].state.config_records[LEDGER] for grid in grids)
        assert dict(batched) == dict(alone)
        assert sum(batched["steps"]) == 3 * one.settings.training.steps(
            len(one.consortium.hospitals[node - 1].train)
        )
