"""How much of a hospital's update reaches the model: against plain counts, and without touching the
run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from aggregators.steps.momentum import Averages
from sim.observers.influence import Influence, distances, slopes_of
from sim.seeds import key, stream
from sim.states import State
from sim.study.run import run, subject
from sim.types import View
from tests.federation import experiment, finished

N, F, D = 11, 2, 4000
SMALL = (
    "consortium=synthetic", f"consortium.n_hospitals={N}", "consortium.n_records=20",
    "consortium.n_features=4", f"adversary.n_hostile={F}", "model=logistic", "training.rounds=3",
)  # fmt: skip


def measured(rows: np.ndarray, *words: str, states: Sequence[State] = ()) -> list[float | None]:
    """The share used of each row under a defense, in round 1."""
    design = experiment(*SMALL, *words)
    observer = Influence(subject(design))
    members = tuple((name,) for name in design.consortium.names)
    observer.measure(1, View(rows.astype(np.float32), members), states)
    return [observer.influence(name) for name in design.consortium.names]


def drawn(taken: np.ndarray) -> list[float]:
    """Mean of ``taken`` (n, d) over the entries that ``slopes_of`` draws for each row: the first of
    its draws.
    """
    owner = key(0, "simulator").stream("kept", 1).integers(0, N, D)
    return [float(taken[i, owner == i].mean()) for i in range(N)]


def ranks(rows: np.ndarray) -> np.ndarray:
    return rows.argsort(axis=0).argsort(axis=0)


# Defense -> how much of its entry each row sees again in the aggregate, by a plain count, in units
# of an equal share.
COUNTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": np.ones_like,
    "median": lambda rows: N * (ranks(rows) == N // 2),
    "trimmed_mean": lambda rows: N / (N - 2 * F) * ((ranks(rows) >= F) & (ranks(rows) < N - F)),
}


@pytest.mark.parametrize("defense", COUNTS)
def test_the_share_used_is_that_of_a_plain_count(defense: str) -> None:
    rows = stream(1, "rows").normal(size=(N, D)) + np.linspace(-1, 1, N)[:, None]
    assert measured(rows, f"defense={defense}") == pytest.approx(
        drawn(COUNTS[defense](rows)), abs=1e-6
    )


def test_the_median_keeps_less_of_a_hospital_at_the_edge() -> None:
    rows = stream(1, "rows").normal(size=(N, D)) + np.linspace(-2, 2, N)[:, None]
    influence = measured(rows, "defense=median")
    assert influence[0] < influence[N // 2] / 2


def test_krum_keeps_all_of_one_hospital_and_nothing_of_the_others() -> None:
    # the first is nearest to all others
    rows = stream(2, "rows").normal(size=(N, D)) * np.linspace(1, 2, N)[:, None]
    assert measured(rows, "defense=krum") == pytest.approx([N] + [0] * (N - 1))


def test_clipping_keeps_what_it_scales_by() -> None:
    rows = (
        stream(3, "rows").normal(size=(N, D)) / D**0.5 * np.array([10.0] + [0.1] * (N - 1))[:, None]
    )
    influence = measured(rows, "steps=[clip]", "steps.clip.max_norm=1")
    assert influence == pytest.approx([1 / np.linalg.norm(rows[0])] + [1] * (N - 1), rel=0.02)


def test_momentum_keeps_the_new_part_and_the_aggregators_states_are_not_touched() -> None:
    rows = stream(4, "rows").normal(size=(N, D))
    averages = Averages({(name,): np.zeros(D) for name in experiment(*SMALL).consortium.names})
    influence = measured(
        rows, "steps=[momentum]", "steps.momentum.beta=0.75", states=(averages, None, None)
    )
    assert influence == pytest.approx([0.25] * N)
    assert all(not row.any() for row in averages.rows.values())


def test_where_a_rule_jumps_there_is_no_slope() -> None:
    rows = stream(5, "rows").normal(size=(N, D))
    slopes = slopes_of(
        lambda found: np.where(found.sum(axis=0) == rows.sum(axis=0), 0.0, 1.0),
        rows,
        stream(0, "jump"),
    )
    assert np.isnan(slopes).all()


def test_an_update_of_zero_has_nothing_to_keep() -> None:
    rows = stream(6, "rows").normal(size=(N, D))
    rows[3] = 0
    influence = measured(rows)
    assert influence == [pytest.approx(1)] * 3 + [None] + [pytest.approx(1)] * (N - 4)


def test_distance_is_that_to_the_mean_of_the_others() -> None:
    rows = stream(7, "rows").normal(size=(5, 30)) + 1
    others = [np.delete(rows, i, axis=0).mean(axis=0) for i in range(5)]
    plain = [
        np.linalg.norm(row - other) / np.linalg.norm(other)
        for row, other in zip(rows, others, strict=True)
    ]
    assert distances(rows).tolist() == pytest.approx(plain)


@pytest.mark.parametrize(
    "defense", ["median", "krum", "weak_dp", "momentum_centered_clipping", "flame"]
)
def test_measuring_changes_no_bit_of_the_run(defense: str, monkeypatch: pytest.MonkeyPatch) -> None:
    design = experiment(*SMALL, f"defense={defense}", "server_optimizer=fedadam")
    watched = finished(design)
    assert all(
        watched.observer(Influence).influence(name) is not None for name in design.consortium.names
    )
    monkeypatch.setattr(Influence, "round", lambda *_: None)
    assert finished(design).weights.tobytes() == watched.weights.tobytes()


def test_krums_share_is_its_own_over_all_rounds() -> None:
    record = run(experiment(*SMALL, "defense=krum"))
    weights = {
        one.subject: one.value * N for one in record.outcomes if one.metric == "hospital_weight"
    }
    assert {
        one.subject: one.value for one in record.outcomes if one.metric == "influence"
    } == pytest.approx(weights)
    assert sum(weights.values()) == pytest.approx(N)


@pytest.mark.parametrize("words", [("attack=[sign_flip]",), ("secagg=sum",)])
def test_nothing_is_measured_under_attack_or_where_the_aggregator_sees_a_sum(
    words: tuple[str, ...],
) -> None:
    record = run(experiment(*SMALL, *words))
    assert not record.has("influence")
    assert not record.has("update_distance")
