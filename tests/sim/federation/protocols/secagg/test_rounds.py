"""Whole rounds of SecAgg+: the sum is exact whoever vanishes, and nothing less comes out."""

from __future__ import annotations

import numpy as np
import pytest

from sim.federation.protocols.secagg import agreement, masks
from sim.federation.protocols.secagg.terms import digest_of, of_round
from tests.secagg import KINDS, Rehearsal, plan_of, total_of
from tests.sim.federation.protocols.secagg.uniformity import suspicious

PLANS = {
    "all neighbors of 12": plan_of(),
    "two hospitals": plan_of(n=2),
    "three hospitals": plan_of(n=3),
    "six neighbors of 20": plan_of("secagg.neighbors=6", n=20),
    "threshold of 11": plan_of("secagg.threshold=11"),
    "no agreement": plan_of("secagg.consistency=false"),
    "no signatures": plan_of("secagg.signed_keys=false", "secagg.consistency=false"),
}


@pytest.mark.parametrize("case", PLANS)
def test_the_unmasked_sum_is_the_sum_of_quantized_updates(case: str) -> None:
    plan = PLANS[case]
    one = Rehearsal(plan)
    for number in (1, 2):
        end = one.round(number)
        assert end.screened == {}
        assert end.usable == plan.hospitals
        assert end.view is not None
        assert end.view.members == (plan.hospitals,)
        assert end.view.weights is None
        np.testing.assert_array_equal(total_of(plan, end), one.total(plan.hospitals, number))


@pytest.mark.parametrize("n_gone", range(5))
@pytest.mark.parametrize("kind", KINDS)
def test_the_sum_is_exact_whoever_vanishes_in_whatever_trip(kind: str, n_gone: int) -> None:
    plan = plan_of()
    gone = plan.hospitals[1 :: 12 // 5][:n_gone]
    one = Rehearsal(plan, vanish=dict.fromkeys(gone, kind))
    end = one.round()
    uploaded = [
        name
        for name in plan.hospitals
        if name not in gone or KINDS.index(kind) > KINDS.index("train")
    ]
    assert end.usable == tuple(uploaded)
    assert end.screened == dict.fromkeys(gone, f"{kind}: no reply")
    np.testing.assert_array_equal(total_of(plan, end), one.total(uploaded))


@pytest.mark.parametrize("kind", KINDS)
def test_below_the_threshold_nothing_comes_out(kind: str) -> None:
    plan = plan_of()
    gone = plan.hospitals[:5]
    one = Rehearsal(plan, vanish=dict.fromkeys(gone, kind))
    end = one.round()
    assert end.view is None
    assert "the threshold is 8" in end.reason
    assert end.reason.startswith(f"{kind}: 7 of 12 hospitals ")
    assert set(end.screened) == set(gone)
    assert "unmask" not in {trip.kind for trip in one.trips} or kind == "unmask"


def test_hospitals_that_vanish_at_different_trips_are_all_recovered() -> None:
    plan = plan_of()
    names = plan.hospitals
    vanish = {names[0]: "keys", names[4]: "shares", names[7]: "train", names[11]: "unmask"}
    one = Rehearsal(plan, vanish=vanish)
    end = one.round()
    uploaded = [name for name in names if vanish.get(name, "unmask") == "unmask"]
    np.testing.assert_array_equal(total_of(plan, end), one.total(uploaded))
    assert end.screened == {name: f"{kind}: no reply" for name, kind in vanish.items()}


@pytest.mark.parametrize("seed", range(12))
def test_in_a_graph_of_neighbors_the_sum_is_exact_or_there_is_none(seed: int) -> None:
    plan = plan_of("secagg.neighbors=6", n=20)
    rng = np.random.default_rng(seed)
    gone = rng.choice(plan.hospitals, size=int(rng.integers(0, 6)), replace=False).tolist()
    vanish = {name: str(rng.choice(KINDS)) for name in gone}
    one = Rehearsal(plan, vanish=vanish)
    end = one.round()
    if end.view is not None:
        np.testing.assert_array_equal(total_of(plan, end), one.total(end.usable))
        late = {name for name, kind in vanish.items() if kind in ("agree", "unmask")}
        assert late <= set(end.usable)
    else:
        assert "the threshold is 5" in end.reason
    if not gone:
        assert end.usable == plan.hospitals


def test_a_hospital_with_too_few_neighbors_left_does_not_upload() -> None:
    plan = plan_of("secagg.neighbors=6", "secagg.threshold=5", n=40)
    circle = of_round(plan, 1, plan.secagg.parameters).circles[0]  # type: ignore[attr-defined]
    gone = [plan.hospitals[place] for place in circle if place][:3]
    one = Rehearsal(plan, vanish=dict.fromkeys(gone, "keys"))
    end = one.round()
    assert end.view is None
    assert end.reason == "keys: 37 of 40 hospitals answered, and the threshold is 5"
    assert ("shares", plan.hospitals[0]) not in one.asked


# --- nothing less than the sum comes out


def test_an_aggregator_that_leaves_out_uploads_reads_one_of_eight_with_seven_colluders() -> None:
    """What ``Parameters.colluders`` states: one fewer than the threshold are enough."""
    plan = plan_of()
    names = plan.hospitals
    one = Rehearsal(plan, vanish=dict.fromkeys(names[8:], "train"))
    alone = plan.secagg.parameters.colluders(12, lies=False)  # type: ignore[attr-defined]
    assert alone == 7
    left = total_of(plan, one.round()) - one.total(names[:alone])
    np.testing.assert_array_equal(left, one.total([names[alone]]))


def test_a_second_run_of_the_same_plan_has_the_same_secrets() -> None:
    """Why hospitals must not take part in a plan twice, as the docs state."""
    plan = plan_of()
    victim = plan.hospitals[5]
    runs = [Rehearsal(plan), Rehearsal(plan, vanish={victim: "train"})]  # each begins anew
    assert all(run.round().view is not None for run in runs)
    first, second = (run.replied("shares", victim)["commitments"] for run in runs)
    assert first == second
    halves = [run.replied("unmask", plan.hospitals[0])["shares"][4 * 33 : 5 * 33] for run in runs]
    assert halves[0] != halves[1]  # of the seed in the one run, of the mask key in the other


BIG = plan_of("model=mlp")


def masked(one: Rehearsal) -> dict[str, np.ndarray]:
    return {name: one.replied("train", name)["masked"] for name in one.plan.hospitals}


def known_to(one: Rehearsal, coalition: set[str]) -> dict[str, np.ndarray]:
    """The updates of the other hospitals as far as a coalition and the aggregator can unmask them:
    own masks are gone, which the round has revealed, and those shared with the coalition.
    """
    plan = one.plan
    terms = of_round(plan, 1, plan.secagg.parameters)  # type: ignore[attr-defined]
    model = np.zeros(one.n_params, np.float32)
    purpose = terms.mask_purpose(digest_of(model))
    found = dict[str, np.ndarray]()
    for name, total in masked(one).items():
        if name in coalition:
            continue
        seed = one.key(name).secret("secagg", "seed", plan.digest, 1)
        left = total - masks.mask(seed, one.n_params)
        keys = one.replied("keys", name)["keys"]
        for member in coalition:
            private = one.key(member).secret("secagg", "mask", plan.digest, 1)
            shared = masks.mask(agreement.agreed(private, keys[32:], purpose), one.n_params)
            is_first = plan.places[name] < plan.places[member]
            left = left - shared if is_first else left + shared
        found[name] = left
    return found


def true_steps(one: Rehearsal) -> list[np.ndarray]:
    return [masks.to_ring(one.steps(name)) for name in one.plan.hospitals]


def test_single_masked_updates_look_uniform_and_unrelated() -> None:
    one = Rehearsal(BIG)
    one.round()
    assert one.n_params > 2500
    assert not suspicious(list(masked(one).values()), true_steps(one))


@pytest.mark.parametrize("size", [0, 1, 7, 10])
def test_a_coalition_and_the_aggregator_learn_the_sum_of_the_others_and_nothing_else(
    size: int,
) -> None:
    one = Rehearsal(BIG)
    one.round()
    coalition = set(one.plan.hospitals[:size])
    others = known_to(one, coalition)
    vectors = list(others.values())
    assert len(vectors) == 12 - size
    parts = vectors if size < 10 else vectors[:1]  # of two, one is the sum less the other
    assert not suspicious(parts, true_steps(one))
    some = vectors[0].copy()
    for vector in vectors[1:-1]:
        some += vector
        assert not suspicious([some], true_steps(one))
    np.testing.assert_array_equal(some + vectors[-1], one.total(others))


def weak_range(key: bytes, n: int) -> np.ndarray:
    """All but the highest bit."""
    return STRONG(key, n) >> 1


def weak_same(_: bytes, n: int) -> np.ndarray:
    """One stream for all keys."""
    return STRONG(bytes(32), n)


def weak_short(key: bytes, n: int) -> np.ndarray:
    """A stream that begins again after 64 numbers."""
    return np.resize(STRONG(key, 64), n)


def weak_none(_: bytes, n: int) -> np.ndarray:
    """No mask."""
    return np.zeros(n, np.uint32)


STRONG = masks.mask


@pytest.mark.parametrize("weak", [weak_range, weak_same, weak_short, weak_none])
def test_a_weak_generator_of_masks_is_found_by_the_same_tests(
    weak: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("hospital", "aggregator"):
        monkeypatch.setattr(f"sim.federation.protocols.secagg.{module}.mask", weak)
    one = Rehearsal(plan_of("model=mlp", n=3))
    end = one.round()
    np.testing.assert_array_equal(total_of(one.plan, end), one.total(one.plan.hospitals))
    assert suspicious(list(masked(one).values()), true_steps(one))
