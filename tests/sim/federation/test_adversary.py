"""Who knows what: an attack gets no more than it declares and is granted, the aggregator no more
than what arrives.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import yaml
from flwr.app import Message
from numpy.typing import NDArray

from sim.errors import InputError
from sim.federation import server, wire
from sim.observers.reconstruction import ReconstructionObserver, score
from sim.plugins import CONF
from sim.seeds import stream
from sim.study.experiment import Experiment
from sim.study.run import FederatedRun, subject
from sim.study.visibility import conflicts, visibility
from sim.types import LEVELS, About, Guess, Knowledge, Level, Updates, View
from tests.federation import (
    SEEDED,
    aggregated,
    asked,
    attacked,
    drawn_update,
    experiment,
    finished,
    uploads,
)

DESIGN = experiment("consortium=heart12", "model=logistic", "training.rounds=1")
N = 36
ROBUST = ["median", "trimmed_mean", "krum", "geometric_median"]


@dataclass(frozen=True)
class Spy:
    """Remembers what it is given and sends sevens."""

    about: ClassVar[About] = About(title="Spy", paper="none", year=2026)
    given: list[Knowledge] = field(default_factory=list)

    def __call__(self, known: Knowledge, rng: np.random.Generator) -> Updates:
        self.given.append(known)
        return np.full_like(known.own, 7)


def spy(uses: Level) -> Spy:
    kind = type(
        "Spy",
        (Spy,),
        {
            "about": replace(Spy.about, needs="own", uses=uses),
            "__module__": "attacks.byzantine.spy",
        },
    )
    made: Spy = kind()
    return made


def spied(uses: Level, granted: Level, *words: str) -> tuple[Experiment, Spy]:
    design = experiment(
        "consortium=heart12",
        "model=logistic",
        "training.rounds=1",
        f"adversary.knowledge={granted}",
        *words,
    )
    attack = spy(uses)
    return attacked(design, {"spy": attack}), attack


def replies(run: FederatedRun, honest_factor: float = 1.0) -> dict[str, Message]:
    """Each hospital's reply to the first round, the honest ones scaled."""
    hostile = run.attack.hostile
    return {
        name: wire.answer(
            drawn_update(N, i, 1) * (1 if name in hostile else honest_factor), 50, SEEDED, message
        )
        for i, (name, message) in enumerate(asked(run).items())
    }


def corrupted(design: Experiment, honest_factor: float = 1.0) -> NDArray[np.float32]:
    """The updates of the first round as they are uploaded, (12, N)."""
    run = FederatedRun(design)
    return np.stack(
        [wire.sent(message) for message in uploads(run, 1, replies(run, honest_factor)).values()]
    )


def hostile_rows(design: Experiment) -> NDArray[np.bool_]:
    return np.array([name in design.attack_plan.hostile for name in design.consortium.names])


# --- what an attack is given


@pytest.mark.parametrize("granted", LEVELS)
@pytest.mark.parametrize("uses", LEVELS)
def test_an_attack_is_given_no_more_than_it_declares_and_is_granted(
    uses: Level, granted: Level
) -> None:
    design, attack = spied(uses, granted)
    corrupted(design)
    level = min(LEVELS.index(uses), LEVELS.index(granted))
    honest = np.stack([drawn_update(N, i, 1) for i in range(12)])
    hostile = hostile_rows(design)
    own = np.concatenate([known.own for known in attack.given])
    np.testing.assert_array_equal(own, honest[hostile])
    assert len(attack.given) == (3 if level == 0 else 1)
    for known in attack.given:
        assert (known.n_hospitals, known.n_hostile, known.round) == (12, 3, 1)
        assert (known.others is not None) == (level >= 2)
        assert (known.defense is not None) == (level >= 3)
        if known.others is not None:
            np.testing.assert_array_equal(known.others, honest[~hostile])


def seen(known: Knowledge) -> list[Any]:
    """Everything in a piece of knowledge, as values that can be compared."""
    values = {key: value for key, value in vars(known).items() if key != "defense"}
    return [
        (key, value.tobytes() if isinstance(value, np.ndarray) else value)
        for key, value in values.items()
    ]


@pytest.mark.parametrize("level", LEVELS)
def test_below_updates_nothing_depends_on_the_honest_hospitals(level: Level) -> None:
    levels = []
    for factor in (1.0, -3.0):
        design, attack = spied(level, level)
        corrupted(design, factor)
        levels.append([seen(known) for known in attack.given])
    assert (levels[0] == levels[1]) == (level in ("own", "colluders"))


def test_at_level_own_a_hospital_is_given_nothing_of_the_other_hostile_ones() -> None:
    design, attack = spied("own", "updates_and_rule")
    corrupted(design)
    rows = [known.own.tobytes() for known in attack.given]
    assert len(set(rows)) == len(rows) == 3


def test_only_hostile_hospitals_updates_are_replaced() -> None:
    for level in LEVELS:
        design, _ = spied(level, level)
        hostile, sent = hostile_rows(design), corrupted(design)
        honest = np.stack([drawn_update(N, i, 1) for i in range(12)])
        np.testing.assert_array_equal(sent[hostile], 7)
        np.testing.assert_array_equal(sent[~hostile], honest[~hostile])


@pytest.mark.parametrize("rule", [*ROBUST, "mean"])
def test_the_defense_that_an_attack_is_given_is_what_the_aggregator_does(rule: str) -> None:
    design, attack = spied(
        "updates_and_rule",
        "updates_and_rule",
        f"aggregator={rule}",
        "steps=[clip]",
        "steps.clip.max_norm=0.05",
    )
    run = FederatedRun(design)
    weights, found = aggregated(run, 1, uploads(run, 1, replies(run)))
    assert found.skipped is None
    (known,) = attack.given
    previewed = known.defense(np.full((3, N), 7.0))
    np.testing.assert_allclose(weights - run.initial, previewed, atol=1e-6)
    assert (known.defense(known.own) != previewed).any()


@pytest.mark.parametrize("granted", LEVELS)
def test_an_attack_that_needs_more_than_is_granted_is_refused(granted: Level) -> None:
    words = ("attack=[alie]", f"adversary.knowledge={granted}")
    if granted == "own":
        with pytest.raises(
            InputError,
            match=r"^adversary\.knowledge=own: expected at least colluders for attack=alie$",
        ):
            experiment(*words)
    else:
        assert experiment(*words).attack == "alie"


def test_an_adversary_without_attacks_or_without_usable_replies_changes_nothing() -> None:
    run = FederatedRun(DESIGN)
    given = replies(run)
    assert not run.adversary.acts_in(1)
    assert uploads(run, 1, given) == given
    design, attack = spied("updates", "updates")
    run = FederatedRun(design)
    assert run.adversary.acts_in(1)
    broken = {name: wire.failed("no", reply) for name, reply in given.items()}
    assert uploads(run, 1, broken) == broken
    assert attack.given == []


@pytest.mark.parametrize("placement", ["largest", "smallest"])
def test_placement_puts_the_hostile_where_it_states(placement: str) -> None:
    design = experiment("consortium=heart12", f"adversary.placement={placement}")
    sizes = {hospital.name: len(hospital.train) for hospital in design.consortium.hospitals}
    hostile, others = (
        [sizes[n] for n in design.attack_plan.hostile],
        [size for n, size in sizes.items() if n not in design.attack_plan.hostile],
    )
    assert len(hostile) == 3
    assert min(hostile) >= max(others) if placement == "largest" else max(hostile) <= min(others)


def test_the_hostile_are_the_same_in_every_cell_of_a_seed_and_differ_between_seeds() -> None:
    drawn = {seed: experiment(f"seed={seed}").attack_plan.hostile for seed in range(5)}
    assert len(set(drawn.values())) > 1
    assert (
        experiment(
            "seed=0", "attack=[alie]", "defense=krum", "training.rounds=7"
        ).attack_plan.hostile
        == drawn[0]
    )
    assert set(experiment("seed=0", "adversary.n_hostile=5").attack_plan.hostile) > set(drawn[0])


# --- what the aggregator gets


@pytest.mark.parametrize("words", [(), ("attack=[alie,inflated_count]",)], ids=str)
def test_every_reply_is_read_once(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    read, usable = list[Any](), wire.read_report
    monkeypatch.setattr(
        wire, "read_report", lambda reply, *limits: read.append(reply) or usable(reply, *limits)
    )
    finished(experiment("consortium=heart12", "model=logistic", "training.rounds=2", *words))
    # all are held, so that no number stands for two of them
    assert len({id(reply) for reply in read}) == len(read)
    # of three hospitals in two rounds, by an attack and by a fault
    changed = 2 * 3 * 2 if words else 0
    assert len(read) == 2 * 12 + changed


def test_the_aggregators_code_names_nothing_that_only_the_simulator_knows() -> None:
    tree = ast.parse(Path(server.__file__).read_text())
    named = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert (
        named
        & {
            "hostile",
            "consortium",
            "attacks",
            "dataset",
            "train",
            "test",
            "of_kind",
            "sites",
            "truth",
        }
        == set()
    )


# --- secure aggregation


def watched(*words: str) -> tuple[View, FederatedRun]:
    run = FederatedRun(
        experiment("consortium=heart12", "model=logistic", "training.rounds=1", *words)
    )
    view = aggregated(run, 1, replies(run))[1].view
    assert view is not None
    return view, run


def test_under_secure_aggregation_the_aggregator_sees_one_row_and_no_counts() -> None:
    view, federated = watched("defense=secagg")
    assert view.rows.shape == (1, N)
    assert view.members == (federated.experiment.consortium.names,)
    assert view.weights is None
    np.testing.assert_allclose(
        view.rows[0],
        np.mean([drawn_update(N, i, 1) for i in range(12)], axis=0),
        atol=6 * federated.plan.quantization.error(12),
    )


def test_without_it_the_aggregator_sees_every_hospital() -> None:
    view, federated = watched()
    assert view.members == tuple((name,) for name in federated.experiment.consortium.names)
    np.testing.assert_array_equal(view.rows, [drawn_update(N, i, 1) for i in range(12)])
    np.testing.assert_array_equal(view.weights, np.full(12, 50.0))


@pytest.mark.parametrize("rule", ROBUST)
def test_no_robust_rule_runs_on_a_secure_sum(rule: str) -> None:
    with pytest.raises(
        InputError,
        match=r"^aggregator=\w+: n_rows=1, .* secure aggregation leaves 1 of 12 rows to see",
    ):
        experiment("consortium=heart12", "secagg=sum", f"aggregator={rule}")


def test_record_counts_cannot_weigh_a_secure_sum() -> None:
    with pytest.raises(
        InputError, match=r"^aggregator=Mean: weighting=count: Mean needs record counts"
    ):
        experiment("consortium=heart12", "secagg=sum", "aggregator.weighting=count")


def test_inversion_of_a_secure_sum_is_scored_against_all_hospitals_behind_it() -> None:
    words = (
        "attack=[analytic_inversion]",
        "training.rounds=1",
        "training.local_steps=1",
        "training.batch_size=2",
    )
    for defense, in_row in (("none", [2] * 12), ("secagg", [24])):
        run = finished(experiment("consortium=heart12", f"defense={defense}", *words))
        state = run.observer(ReconstructionObserver).state
        (details,), ((rate, *_),) = state.details.values(), state.outcomes.values()
        assert details.records_in_row == in_row
        assert rate.n == 24


@pytest.mark.parametrize("other", ["feature_noise", "backdoor", "constrain"])
def test_inversion_is_scored_against_the_records_that_hospitals_trained_on(other: str) -> None:
    words = [f"attack=[{other},analytic_inversion]"]
    once = ("training.rounds=1", "training.local_steps=1", "training.batch_size=1")
    run = finished(experiment("consortium=heart12", "adversary.n_hostile=6", *once, *words))
    ((rate, error, *_),) = run.observer(ReconstructionObserver).state.outcomes.values()
    assert (rate.value, rate.n) == (1.0, 12)
    assert error.value is not None
    assert error.value < 1e-4


def test_reconstructions_are_shown_for_public_data_or_where_asked_only() -> None:
    words = (
        "attack=[analytic_inversion]",
        "training.rounds=1",
        "training.local_steps=1",
        "training.batch_size=1",
    )
    design = experiment("consortium=heart4", *words)
    terms = design.plan.terms.model_copy(update={"public": False})
    consortium = replace(design.consortium, public=False)
    truth = replace(design.truth, consortium=consortium)
    private = replace(design, plan=replace(design.plan, terms=terms), truth=truth)
    view = View(np.zeros((1, 5)), ((design.consortium.names[0],),))
    guesses = [Guess(design.consortium.hospitals[0].train.features)]
    given = (design.source, 1, view, guesses, guesses)
    assert len(score("x", subject(design), *given)[0].gallery) == 1
    hidden, (rate, error, *_) = score("x", subject(private), *given)
    assert hidden.gallery == []
    assert (rate.value, rate.n, error.value, error.n) == (1.0, 1, 0.0, 1)


# --- who sees what, in words


def sees(*words: str) -> dict[str, str]:
    return {line.party: line.sees for line in visibility(experiment("consortium=heart12", *words))}


def test_visibility_states_the_rows_that_the_aggregator_gets() -> None:
    assert "12 updates, one for each hospital; record counts" in sees()["the aggregator"]
    assert "1 sum of 12 updates; no record counts" in sees("defense=secagg")["the aggregator"]
    noised = sees("dp=record", "dp.target_epsilon=null", "dp.noise_multiplier=1")["the aggregator"]
    assert "12 updates, one for each hospital, clipped and noised in the hospital" in noised


@pytest.mark.parametrize(
    ("words", "knows"),
    [
        (("attack=[alie]",), "the updates of all hospitals"),
        (
            ("attack=[alie]", "adversary.knowledge=colluders"),
            "the updates of all hostile hospitals",
        ),
        (("attack=[label_flip]",), "each its own update only"),
    ],
)
def test_visibility_states_what_the_hostile_know(words: tuple[str, ...], knows: str) -> None:
    (line,) = [
        text for party, text in sees(*words).items() if party.startswith("hostile hospitals")
    ]
    assert line == f"the common model; {knows}"


@pytest.mark.parametrize("words", [(), ("attack=[analytic_inversion]",)])
def test_visibility_names_no_hostile_hospital_where_none_acts(words: tuple[str, ...]) -> None:
    assert not any(party.startswith("hostile") for party in sees(*words))


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ((), []),
        (("defense=secagg",), ["secagg-robustness"]),
        (("defense=median",), ["robustness-weights"]),
        (
            ("dp=record", "dp.target_epsilon=null", "dp.noise_multiplier=1"),
            ["dp-utility"],
        ),
        (
            (
                "secagg=sum",
                "dp=record",
                "dp.target_epsilon=null",
                "dp.noise_multiplier=1",
            ),
            ["secagg-robustness", "dp-utility"],
        ),
    ],
)
def test_conflicts_follow_from_the_parts_of_the_design(
    words: tuple[str, ...], found: list[str]
) -> None:
    assert [
        conflict.id for conflict in conflicts(experiment("consortium=heart12", *words))
    ] == found


def test_every_conflict_that_a_design_can_have_is_in_the_catalog() -> None:
    listed = yaml.safe_load((CONF.parent / "threats/data/conflicts.yaml").read_text())
    text = str(listed)
    designs = [
        ("secagg=sum",),
        ("aggregator=median",),
        ("dp=record", "dp.target_epsilon=null", "dp.noise_multiplier=1"),
    ]
    for words in designs:
        for conflict in conflicts(experiment("consortium=heart12", *words)):
            assert conflict.id in text


@pytest.mark.parametrize("n_params", [1, 3, 59, 4417])
def test_distances_of_rows_are_those_of_each_alone_to_the_last_digit(n_params: int) -> None:
    rng = stream(0, "distances", n_params)
    ones, others = rng.normal(size=(2, 5, n_params)).astype(np.float32)
    others[1] = 0.0
    ones[2] = np.finfo(np.float32).max
    ones[3] = np.nan
    alone = [server.relative_distance(one, other) for one, other in zip(ones, others, strict=True)]
    np.testing.assert_array_equal(server.relative_distances(ones, others), alone)
