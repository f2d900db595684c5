"""Attacks on updates: equal to plain implementations and to ByzFL's, each where it succeeds and
where it fails.
"""

import dataclasses
import sys
import types
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregators.rules.caf import Caf
from aggregators.rules.centered_clipping import CenteredClipping
from aggregators.rules.krum import Krum
from aggregators.rules.mda import Mda
from aggregators.rules.meamed import Meamed
from aggregators.rules.mean import Mean
from aggregators.rules.median import Median
from aggregators.rules.multi_krum import MultiKrum
from aggregators.rules.rfa import Rfa
from aggregators.rules.smea import Smea
from aggregators.rules.trimmed_mean import TrimmedMean
from attacks._shared.honest import cloud, repeated
from attacks._shared.search import damage
from attacks.byzantine.aggregation_tailored import AggregationTailored
from attacks.byzantine.alie import ALIE
from attacks.byzantine.alie_optimized import ALIEOptimized
from attacks.byzantine.fang import Fang
from attacks.byzantine.fang_krum import FangKrum
from attacks.byzantine.free_rider import FreeRider
from attacks.byzantine.gaussian import Gaussian
from attacks.byzantine.ipm import IPM
from attacks.byzantine.ipm_optimized import IPMOptimized
from attacks.byzantine.mimic import Mimic
from attacks.byzantine.min_max import MinMax
from attacks.byzantine.min_sum import MinSum
from attacks.byzantine.model_replacement import ModelReplacement
from attacks.byzantine.neurotoxin import Neurotoxin
from attacks.byzantine.random import Random
from attacks.byzantine.sybil import Sybil
from attacks.byzantine.zero import Zero
from sim.errors import InputError, RefusedError
from sim.seeds import stream
from sim.types import Byzantine, Knowledge, Rule
from tests import attack_oracles as oracles
from tests.drawn import RNG, clear
from tests.rounds import Rounds

N, F, D = 10, 3, 200


TARGETS = 5 + stream(0, "targets").normal(size=(N, D))


MINE = -20.0  # where hostile hospitals of one mind want every parameter


# --- a federation of 10 hospitals: hospital i wants the model at its target, and sends half of the
# way there


@dataclasses.dataclass
class Federation:
    """``honest``: where the honest hospitals want the model; ``own``: what hostile ones would send
    without the attack.
    """

    rule: Rule
    f: int = F
    targets: np.ndarray = dataclasses.field(default_factory=TARGETS.copy)

    @property
    def center(self) -> np.ndarray:
        return np.asarray(self.targets[self.f :].mean(axis=0))

    def aggregate(self, updates: np.ndarray) -> np.ndarray:
        return self.rule(clear(updates), RNG)

    def preview(self, others: np.ndarray, sent: np.ndarray) -> np.ndarray:
        return self.aggregate(np.vstack([sent, others]))

    def run(self, attack: Byzantine | None, rounds: int = 40, attacked: int = 40) -> np.ndarray:
        """The final model, after the first ``attacked`` rounds with the attack and the others
        without.
        """
        model, work = np.zeros(D), Rounds(attack)
        for number in range(rounds):
            updates = 0.5 * (self.targets - model)
            if attack is not None and number < attacked:
                own, others = updates[: self.f], updates[self.f :]
                preview = partial(self.preview, others)
                known = Knowledge(own, len(updates), self.f, others, preview, model, number + 1)
                updates = np.vstack([work(known, stream(0, "attack", number)), others])
            model = model + self.aggregate(updates)
        return model

    def missed(self, attack: Byzantine | None, rounds: int = 40) -> float:
        """Distance of the final model from the honest hospitals' mean target, in standard
        deviations per parameter.
        """
        return float(np.sqrt(np.mean((self.run(attack, rounds) - self.center) ** 2)))


ROBUST = (Median(F), TrimmedMean(F), Krum(F))


@pytest.mark.parametrize(
    "attack", [Gaussian(200.0), Gaussian(200.0, added=True), Random(200.0), IPM(100.0)]
)
def test_large_updates_ruin_the_mean_and_fail_against_robust_rules(attack: Byzantine) -> None:
    assert Federation(Mean()).missed(attack) > 10
    for rule in ROBUST:
        assert Federation(rule).missed(attack) < 1.5


def test_zero_of_mean_stops_the_mean_where_it_is_and_fails_against_krum() -> None:
    np.testing.assert_allclose(Federation(Mean()).run(Zero("mean")), np.zeros(D), atol=1e-9)
    assert Federation(Krum(F)).missed(Zero("mean")) < 1.5


def test_zero_rows_slow_the_mean_and_do_not_stop_it() -> None:
    assert Federation(Mean()).missed(Zero("row"), rounds=3) > 1.3 * Federation(Mean()).missed(
        None, rounds=3
    )
    assert Federation(Mean()).missed(Zero("row"), rounds=100) < 0.5


def test_small_ipm_gets_past_the_median_that_stops_the_large_one() -> None:
    clean, small, large = (
        Federation(Median(4), f=4).missed(attack, rounds=6)
        for attack in (None, IPM(0.5), IPM(100.0))
    )
    assert small > clean + 0.2
    assert large > clean + 0.2  # both only count as being on the wrong side
    assert Federation(Krum(F)).missed(IPM(100.0)) == pytest.approx(
        Federation(Krum(F)).missed(Gaussian(200.0)), rel=0.2
    )


@pytest.mark.parametrize("make", [MinMax, MinSum])
@pytest.mark.parametrize("along", ["unit", "std", "sign"])
def test_min_max_and_min_sum_get_past_robust_rules(
    make: Callable[..., Byzantine], along: str
) -> None:
    for rule in (Median(F), TrimmedMean(F)):
        assert Federation(rule).missed(make(along)) > Federation(rule).missed(None) + 0.15
    assert Federation(Krum(F)).missed(make(along)) > 1.05 * Federation(Krum(F)).missed(None)


HIDING = [
    ALIE(z=1.5),
    MinMax("std"),
    MinSum("unit"),
    AggregationTailored("std"),
    ALIEOptimized(),
    Mimic(),
]


@pytest.mark.parametrize("attack", HIDING, ids=repr)
def test_attacks_that_hide_in_the_spread_fail_where_there_is_none(attack: Byzantine) -> None:
    alike = np.tile(TARGETS[0], (N, 1))
    assert Federation(Median(F), targets=alike).missed(attack) < 1e-3


def test_fang_drives_the_trimmed_mean_and_the_median_and_fails_against_krum() -> None:
    for rule in (Median(F), TrimmedMean(F)):
        assert Federation(rule).missed(Fang()) > 2 * Federation(rule).missed(None)
    assert Federation(Krum(F)).missed(Fang()) < 1.5


def test_fang_krum_is_what_krum_chooses_and_fails_against_the_trimmed_mean() -> None:
    updates = 0.5 * (TARGETS - 5)  # near the end of training, where honest updates point everywhere
    sent = FangKrum()(Knowledge(updates[:F], N, F, updates[F:]), RNG)
    np.testing.assert_array_equal(Krum(F)(clear(np.vstack([sent, updates[F:]])), RNG), sent[0])
    assert Federation(Krum(F)).missed(FangKrum()) > 1.2 * Federation(Krum(F)).missed(None)
    assert Federation(TrimmedMean(F)).missed(FangKrum()) < 1.5


@pytest.mark.parametrize("rule", [Median(F), TrimmedMean(F), Krum(F)])
def test_line_search_against_the_rule_hurts_it_no_less_than_fixed_steps_do(rule: Rule) -> None:
    updates = 0.5 * TARGETS
    own, others = updates[:F], updates[F:]
    center = others.mean(axis=0)
    known = Knowledge(own, N, F, others, lambda rows: rule(clear(np.vstack([rows, others])), RNG))

    def hurt(attack: Byzantine) -> float:
        assert known.defense is not None
        return float(np.linalg.norm(known.defense(attack(known, RNG)) - center))

    assert hurt(ALIEOptimized()) >= 0.95 * max(
        hurt(ALIE(z=z, deviation="sample")) for z in (0.1, 0.5, 1, 1.5, 3, 10)
    )
    assert hurt(IPMOptimized()) >= 0.95 * max(
        hurt(IPM(epsilon)) for epsilon in (0.1, 0.5, 1, 2, 10, 100)
    )
    for along in ("unit", "std", "sign"):
        assert hurt(AggregationTailored(along)) >= 0.9 * max(
            hurt(MinMax(along)), hurt(MinSum(along))
        )


def test_optimized_attacks_do_worse_against_another_rule_than_the_one_they_know() -> None:
    updates, rules = 0.5 * TARGETS, (Krum(F), Mean())
    own, others = updates[:F], updates[F:]
    hurt = {}
    for tuned, met in product(rules, rules):
        known = Knowledge(
            own, N, F, others, lambda rows, rule=tuned: rule(clear(np.vstack([rows, others])), RNG)
        )
        sent = AggregationTailored()(known, RNG)
        hurt[type(tuned), type(met)] = np.linalg.norm(
            met(clear(np.vstack([sent, others])), RNG) - others.mean(axis=0)
        )
    assert hurt[Krum, Krum] > hurt[Mean, Krum]
    assert hurt[Mean, Mean] > hurt[Krum, Mean]


def test_mimic_pulls_the_model_to_the_outermost_hospital_and_fails_as_one_of_many() -> None:
    targets = TARGETS.copy()
    # the direction of most variance leads to this hospital
    targets[7] += 8 * stream(0, "far").normal(size=D)
    apart = np.linalg.norm(targets[7] - targets[F:].mean(axis=0))
    model = Federation(Mean(), targets=targets).run(Mimic())
    assert np.linalg.norm(model - targets[7]) < 0.75 * apart
    model = Federation(Median(F), f=1, targets=targets).run(Mimic())
    assert np.linalg.norm(model - targets[7]) > 0.85 * apart


def test_mimic_keeps_to_the_hospital_of_the_warm_up() -> None:
    rows = stream(0, "rows").normal(size=(6, 4))
    rows[2] *= 10
    known, mimic = Knowledge(rows[:2], 8, 2, rows.copy(), round=1), Rounds(Mimic(warm_up=1))
    np.testing.assert_allclose(mimic(known, RNG)[0], rows[2])
    rows[4] *= 100
    later = dataclasses.replace(known, others=rows, round=2)
    np.testing.assert_allclose(mimic(later, RNG)[0], rows[2])
    np.testing.assert_allclose(Mimic(warm_up=9)(later, RNG)[0], rows[4])
    np.testing.assert_allclose(Mimic("first")(later, RNG)[0], rows[0])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(3, 9), d=st.integers(1, 6))
def test_mimics_direction_is_the_first_principal_one(seed: int, n: int, d: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(n, d))
    known = Knowledge(rows[:1], n + 1, 1, rows)
    sent = Mimic()(known, RNG)[0]
    centered = rows - rows.mean(axis=0)
    outermost = np.abs(centered @ np.linalg.svd(centered)[2][0])
    np.testing.assert_allclose(
        np.abs((sent - rows.mean(axis=0)) @ np.linalg.svd(centered)[2][0]),
        outermost.max(),
        rtol=1e-6,
    )


def sybils(disguise: float, rule: Rule, agree: bool) -> float:
    """Distance of the model from where the hostile want it; each hostile hospital alone is off by a
    lot, their mean is not.
    """
    targets = TARGETS.copy()
    noise = 6 * stream(0, "identities").normal(size=(F, D))
    targets[:F] = MINE / 10 + noise - noise.mean(axis=0)
    model = Federation(rule, targets=targets).run(Sybil(disguise) if agree else None)
    return float(np.sqrt(np.mean((model - MINE / 10) ** 2)))


def test_sybils_win_krum_that_assumes_one_attacker_and_fail_against_the_trimmed_mean() -> None:
    five = np.vstack([np.full((5, D), MINE), TARGETS[5:]])
    for disguise in (0.0, 1e-3):
        model = Federation(Krum(1), f=5, targets=five).run(Sybil(disguise))
        assert np.sqrt(np.mean((model - MINE) ** 2)) < 0.5
    assert sybils(0.0, TrimmedMean(F), agree=True) > 5


def test_sybils_send_their_mean_each_with_its_own_disguise() -> None:
    own = stream(0, "own").normal(size=(4, 5000))
    sent = Sybil(0.1)(Knowledge(own, 10, 4), stream(0, "disguise"))
    length = np.linalg.norm(own.mean(axis=0))
    np.testing.assert_allclose(
        np.linalg.norm(sent - own.mean(axis=0), axis=1), 0.1 * length, rtol=0.05
    )
    assert len({row.tobytes() for row in sent}) == 4


def rides(attack: Byzantine, rule: Rule) -> tuple[float, float]:
    """Distance missed, and cosine of what the riders send with the honest mean, in round 2."""
    federation, seen, work = Federation(rule), list[float](), Rounds(attack)

    @dataclasses.dataclass(frozen=True)
    class Watched:
        def __call__(self, known: Knowledge, rng: np.random.Generator) -> np.ndarray:
            sent = work(known, rng)
            assert known.others is not None
            honest = known.others.mean(axis=0)
            seen.append(
                float(
                    sent[0] @ honest / (np.linalg.norm(sent[0]) * np.linalg.norm(honest) + 1e-300)
                )
            )
            return sent

    return federation.missed(Watched(), rounds=3), seen[1]


def test_free_rider_in_disguise_looks_honest_and_one_without_does_not() -> None:
    missed, alike = rides(FreeRider("delta", 0.1), Krum(F))
    assert alike > 0.7
    assert missed < 1.6
    assert rides(FreeRider("none", 0.0), Krum(F))[1] == 0.0


def test_free_rider_sends_the_last_move_of_the_model_and_at_first_nothing() -> None:
    known, rider = (
        Knowledge(np.ones((1, 2)), 4, 1, model=np.array([1.0, 1.0])),
        Rounds(FreeRider("delta", 0.0)),
    )
    np.testing.assert_array_equal(rider(known, RNG), [[0.0, 0.0]])
    moved = dataclasses.replace(known, model=np.array([3.0, 0.0]))
    np.testing.assert_array_equal(rider(moved, RNG), [[2.0, -1.0]])


def test_model_replacement_moves_the_mean_at_will_and_fails_against_the_median() -> None:
    targets = TARGETS.copy()
    targets[:F] = MINE
    near = Federation(Mean(), targets=targets)
    one_round = near.run(ModelReplacement("full"), rounds=1)
    np.testing.assert_allclose(
        one_round, 0.5 * (targets[:F].mean(axis=0) + targets[F:].sum(axis=0) / N), atol=1e-9
    )
    assert abs(near.run(ModelReplacement("full")).mean() - MINE) < 0.65 * abs(
        near.run(None).mean() - MINE
    )
    assert Federation(Median(F), targets=targets).missed(ModelReplacement("full")) < 1.5


def test_model_replacement_is_no_longer_than_allowed() -> None:
    own = np.array([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    sent = ModelReplacement(2.0, max_norm=5.0)(Knowledge(own, 9, 3), RNG)
    np.testing.assert_allclose(sent, [[3.0, 4.0], [0.6, 0.8], [0.0, 0.0]])
    np.testing.assert_allclose(ModelReplacement()(Knowledge(own, 9, 3), RNG), 3 * own)


def test_neurotoxin_keeps_off_the_parameters_that_the_model_moves_most() -> None:
    known, half, tenth = (
        Knowledge(np.ones((2, 4)), 6, 2, model=np.zeros(4)),
        Rounds(Neurotoxin(0.5)),
        Rounds(Neurotoxin(0.1)),
    )
    np.testing.assert_array_equal(half(known, RNG), np.ones((2, 4)))  # nothing seen to move yet
    moved = dataclasses.replace(known, model=np.array([0.0, -3.0, 1.0, 0.5]))
    np.testing.assert_array_equal(half(moved, RNG), [[1.0, 0.0, 0.0, 1.0]] * 2)
    tenth(moved, RNG)
    np.testing.assert_array_equal(
        tenth(dataclasses.replace(moved, model=np.ones(4)), RNG), np.ones((2, 4))
    )


@pytest.mark.parametrize("size", [1.0, 1e30])
def test_products_of_float32_rows_are_those_of_float64_to_float32_rounding(size: float) -> None:
    rows = (size * stream(0, "cloud").normal(1, 1, size=(9, 5000))).astype(np.float32)
    found = cloud(rows, lambda block: -np.sign(block.center)[None])
    exact = rows.astype(np.float64)
    centered = exact - exact.mean(axis=0)
    np.testing.assert_allclose(found.center, exact.mean(axis=0), rtol=1e-4, atol=1e-6 * size)
    np.testing.assert_allclose(
        found.products, centered @ centered.T, rtol=1e-4, atol=1e-3 * size**2
    )
    np.testing.assert_allclose(
        found.offsets[0], centered @ -np.sign(exact.mean(axis=0)), rtol=1e-4, atol=1e-2 * size
    )
    apart = ((exact[:, None] - exact[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(found.squared_distances, apart, rtol=1e-4, atol=1e-3 * size**2)


# --- against plain implementations

ROWS = st.tuples(st.integers(0, 2**32), st.integers(6, 12), st.integers(2, 5), st.booleans())


DETERMINISTIC = [
    *(IPM(epsilon) for epsilon in (0.1, 2.0)),
    *(Zero(of) for of in ("mean", "row")),
    *(MinMax(along) for along in ("unit", "std", "sign")),
    *(MinSum(along) for along in ("unit", "std", "sign")),
    *(ALIE(z, sign, "population") for z in (0.3, "paper") for sign in (-1, 1)),
]


def drawn(made: tuple[int, int, int, bool]) -> tuple[Knowledge, list[list[float]], int]:
    """What is known of random updates, and the rows taken for honest."""
    seed, n, d, sees = made
    rows, f = np.random.default_rng(seed).normal(size=(n, d)), 2 + (n > 8)
    return (
        Knowledge(rows[:f], n, f, rows[f:] if sees else None),
        (rows[f:] if sees else rows[:f]).tolist(),
        f,
    )


@pytest.mark.parametrize("attack", DETERMINISTIC, ids=repr)
@settings(max_examples=25, deadline=None)
@given(made=ROWS)
def test_attack_equals_its_papers_formula(
    attack: Byzantine, made: tuple[int, int, int, bool]
) -> None:
    known, honest, f = drawn(made)
    name = type(attack).__module__.rpartition(".")[2]
    expected = getattr(oracles, name)(
        oracles.Round(honest, known.n_hospitals, f), **dataclasses.asdict(attack)
    )
    np.testing.assert_allclose(attack(known, RNG), [expected] * f, rtol=1e-6, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(7, 12),
    d=st.integers(2, 5),
    shift=st.sampled_from([0.0, 3.0]),
)
def test_fang_krum_equals_the_papers_search(seed: int, n: int, d: int, shift: float) -> None:
    rows, f = shift + np.random.default_rng(seed).normal(size=(n, d)), 2
    sent = FangKrum()(Knowledge(rows[:f], n, f, rows[f:]), RNG)
    np.testing.assert_allclose(
        sent, [oracles.fang_krum(oracles.Round(rows[f:].tolist(), n, f), 1e-5)] * f, rtol=1e-9
    )


@settings(max_examples=60, deadline=None)
@given(made=ROWS, b=st.sampled_from([1.5, 2.0]), shift=st.sampled_from([-4.0, 0.0, 4.0]))
def test_fang_draws_from_the_papers_ranges(
    made: tuple[int, int, int, bool], b: float, shift: float
) -> None:
    known, _, _ = drawn(made)
    own, others = known.own + shift, None if known.others is None else known.others + shift
    honest = (own if others is None else others).tolist()
    low, high = oracles.fang_range(honest, others is None, b)
    sent = Fang(b)(dataclasses.replace(known, own=own, others=others), stream(made[0], "fang"))
    assert (sent >= np.array(low) - 1e-9).all()
    assert (sent <= np.array(high) + 1e-9).all()
    assert len({row.tobytes() for row in sent}) == len(sent)


@pytest.mark.parametrize(
    ("attack", "spread"),
    [(Gaussian(3.0), 3.0), (Random(3.0), 3.0 / np.sqrt(3)), (Gaussian(3.0, added=True), 3.0)],
)
def test_noise_has_the_stated_spread_and_is_every_hospitals_own(
    attack: Byzantine, spread: float
) -> None:
    own = np.full((2, 40_000), 7.0)
    sent = attack(Knowledge(own, 4, 2), stream(0, "noise"))
    center = 7.0 if attack == Gaussian(3.0, added=True) else 0.0
    assert sent.mean() == pytest.approx(center, abs=0.1)
    assert sent.std() == pytest.approx(spread, rel=0.02)
    assert abs(np.corrcoef(sent)[0, 1]) < 0.03


def test_damage_counts_an_aggregate_that_is_not_finite_as_none() -> None:
    known = Knowledge(
        np.ones((1, 2)),
        3,
        1,
        np.ones((2, 2)),
        lambda rows: np.full(2, np.inf) if rows.max() > 5 else rows[0],
    )
    hurt = damage(known, np.ones(2))
    assert hurt(np.full((1, 2), 9.0)) == 0.0
    assert hurt(np.full((1, 2), 4.0)) == pytest.approx(np.hypot(3, 3))


@pytest.mark.parametrize(
    "attack",
    [
        MinMax("sign"),
        MinMax("unit"),
        MinSum("unit"),
        AggregationTailored("unit"),
        MinSum("sign"),
        AggregationTailored("sign"),
        FangKrum(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_attack_pushes_a_parameter_whose_honest_mean_is_zero(attack: Any, dtype: type) -> None:
    others = stream(0, "around zero").normal(size=(7, 5)).astype(dtype)
    others[:, 1] = [0.1, 0.2, -0.3, 0.7, -0.1, -0.2, -0.4]  # sums to 0 but for rounding
    known = Knowledge(
        others[:2], 9, 2, others, lambda rows: np.asarray(np.vstack([rows, others]).mean(axis=0))
    )
    sent = attack(known, RNG)
    assert np.abs(sent[:, 1]).max() < 1e-6
    assert np.abs(sent[:, [0, 2, 3, 4]]).min() > 1e-6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fang_takes_a_parameter_without_a_trend_for_rising_whatever_rounding_gives(
    dtype: type,
) -> None:
    rows = np.array([[0.1], [0.2], [-0.3]] * 3, dtype)
    for scale in (1, -1):
        sent = Fang()(Knowledge(rows[:2], 11, 2, scale * rows), stream(0, "fang"))
        assert (sent <= (scale * rows).min() + 1e-6).all()


# --- against ByzFL


@pytest.fixture(scope="module")
def byzfl() -> types.ModuleType:
    """ByzFL without its benchmark, which wants plotting and vision libraries that nothing here
    needs.
    """
    sys.modules.setdefault("byzfl.benchmark", types.ModuleType("byzfl.benchmark"))
    return pytest.importorskip("byzfl", reason="byzfl is not installed")


@settings(max_examples=20, deadline=None)
@given(made=ROWS)
def test_attacks_equal_byzfls_where_the_definition_is_the_same(
    byzfl: types.ModuleType, made: tuple[int, int, int, bool]
) -> None:
    known, _, _ = drawn((*made[:3], True))
    honest = known.others
    assert honest is not None
    pairs = [
        (IPM(2.0), byzfl.InnerProductManipulation(2.0)),
        (IPM(1.0), byzfl.SignFlipping()),
        (ALIE(1.5, 1, "sample"), byzfl.ALittleIsEnough(1.5)),
        (Mimic("first"), byzfl.Mimic(0)),
    ]
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours(known, RNG)[0], theirs(honest), rtol=1e-9, atol=1e-12)


BYZFL_RULES: dict[str, tuple[Rule, str, dict[str, Any]]] = {
    "mean": (Mean(), "Average", {}),
    "median": (Median(2), "Median", {}),
    "trimmed_mean": (TrimmedMean(2), "TrMean", {"f": 2}),
    "krum": (Krum(2, variant="byzfl"), "Krum", {"f": 2}),
    "multi_krum": (MultiKrum(2, variant="byzfl"), "MultiKrum", {"f": 2}),
    "meamed": (Meamed(2), "Meamed", {"f": 2}),
    "mda": (Mda(2), "MDA", {"f": 2}),
    "rfa": (Rfa(2), "GeometricMedian", {}),
    "centered_clipping": (CenteredClipping(100.0, 1), "CenteredClipping", {"tau": 100.0, "L": 1}),
    "smea": (Smea(2), "SMEA", {"f": 2}),
    "caf": (Caf(2), "CAF", {"f": 2}),
}


@pytest.mark.parametrize("name", BYZFL_RULES)
def test_line_searches_hurt_no_less_than_byzfls(byzfl: types.ModuleType, name: str) -> None:
    rule, theirs, arguments = BYZFL_RULES[name]
    for seed, d in product(range(5), (2, 5)):
        rows = 1 + np.random.default_rng(seed).normal(size=(9, d))
        own, others = rows[:2], rows[2:]
        known = Knowledge(
            own,
            9,
            2,
            others,
            lambda sent, others=others: rule(clear(np.vstack([others, sent])), RNG),
        )
        agg = getattr(byzfl, theirs)(**arguments)
        ipm = byzfl.Optimal_InnerProductManipulation(agg=agg, pre_agg_list=[], f=2)
        alie = byzfl.Optimal_ALittleIsEnough(agg=agg, pre_agg_list=[], f=2)
        hurt = damage(known, others.mean(axis=0))
        for ours, other in ((IPMOptimized(), ipm), (ALIEOptimized(sign=1), alie)):
            # ByzFL's centered clipping divides by the length of a row at its center
            with np.errstate(divide="ignore"):
                theirs_sent = np.tile(other(others), (2, 1))
            assert hurt(ours(known, RNG)) >= 0.98 * hurt(theirs_sent)


def test_climb_of_the_tests_is_byzfls(byzfl: types.ModuleType) -> None:
    others = 1 + stream(0, "climb").normal(size=(7, 4))
    rule = Krum(2)
    wrapped = byzfl.Optimal_InnerProductManipulation(
        agg=lambda rows: rule(clear(rows), RNG), pre_agg_list=[], f=2
    )
    known = Knowledge(
        others[:2], 9, 2, others, lambda sent: rule(clear(np.vstack([others, sent])), RNG)
    )
    hurt = damage(known, others.mean(axis=0))
    found = oracles.climb(lambda x: hurt(repeated(-x * others.mean(axis=0), known)))
    np.testing.assert_allclose(wrapped(others), -found * others.mean(axis=0), rtol=1e-9)


# --- refusals


@pytest.mark.parametrize("attack", [MinMax(), MinSum(), Fang(), ALIE(z=1.0)])
def test_attack_alone_refuses_because_one_update_has_no_spread(attack: Byzantine) -> None:
    with pytest.raises(
        RefusedError, match=rf"^n_known=1: {attack.about.title} needs 2 known updates"
    ):
        attack(Knowledge(np.ones((1, 3)), 10, 3), RNG)


@pytest.mark.parametrize("attack", [ALIEOptimized(), IPMOptimized(), AggregationTailored()])
def test_search_refuses_without_the_defense_to_search_against(attack: Byzantine) -> None:
    with pytest.raises(RefusedError, match="needs updates_and_rule"):
        attack(Knowledge(np.ones((2, 3)), 10, 2, np.ones((8, 3))), RNG)


def test_fang_krum_and_mimic_refuse_in_numbers() -> None:
    with pytest.raises(
        RefusedError,
        match=r"^n_honest=3, n_hostile=2: FangKrum needs n_honest >= n_hostile \+ 2 = 4$",
    ):
        FangKrum()(Knowledge(np.ones((2, 3)), 5, 2, np.ones((3, 3))), RNG)
    with pytest.raises(RefusedError, match=r"^n_known=0: Mimic needs an honest update"):
        Mimic()(Knowledge(np.ones((2, 3)), 2, 2, np.ones((0, 3))), RNG)


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: Gaussian(std=0.0), "std"),
        (lambda: Random(bound=-1.0), "bound"),
        (lambda: Zero(of="all"), "of"),
        (lambda: IPM(epsilon=0.0), "epsilon"),
        (lambda: MinMax(along="up"), "along"),
        (lambda: MinSum(along="up"), "along"),
        (lambda: AggregationTailored(along="up"), "along"),
        (lambda: ALIEOptimized(sign=0), "sign"),
        (lambda: ALIEOptimized(evals=2), "evals"),
        (lambda: IPMOptimized(scale=0.0), "scale"),
        (lambda: Fang(b=1.0), "b"),
        (lambda: FangKrum(least=0.0), "least"),
        (lambda: Mimic(choice="last"), "choice"),
        (lambda: Mimic(warm_up=0), "warm_up"),
        (lambda: Sybil(disguise=-0.1), "disguise"),
        (lambda: FreeRider(disguise="mask"), "disguise"),
        (lambda: FreeRider(noise=-0.1), "noise"),
        (lambda: ModelReplacement(factor=0.0), "factor"),
        (lambda: ModelReplacement(max_norm=0.0), "max_norm"),
        (lambda: Neurotoxin(share=1.0), "share"),
    ],
)
def test_attack_refuses_a_bad_parameter_by_name(make: Callable[[], object], key: str) -> None:
    with pytest.raises(InputError, match=rf"^{key}=.*: expected"):
        make()
