"""One table of properties over every rule, every variant of a rule and every step in conf/.

A new plug-in is held to all of it. What a rule does not promise is listed here with the reason, and
shown to be so.
"""

import dataclasses
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aggregators.base import Mixing, Scaling, Weighing
from aggregators.checks import refusal
from aggregators.pipeline import Chain
from aggregators.rules.mean import Mean
from sim.errors import RefusedError
from sim.seeds import stream
from sim.types import Rule, Step, View
from tests import oracles
from tests.conftest import N_HOSTILE, plugins

ROOT = 6  # the hospital that rules with a root trust
SMALL = settings(max_examples=25, deadline=None)
SHAPES = st.tuples(st.integers(11, 13), st.integers(1, 5))
# full of ties and duplicates
WHOLE = arrays(np.float64, SHAPES, elements=st.integers(-50, 50).map(float))
ANY_FLOAT32 = arrays(
    np.float32, SHAPES, elements=st.floats(allow_nan=False, allow_infinity=False, width=32)
)


def cases() -> dict[str, Rule]:
    """Every rule as its YAML file has it, and with each of its variants."""
    made = {}
    for name, rule in plugins("each_rule").items():
        if hasattr(rule, "root"):
            rule = dataclasses.replace(rule, root=f"h{ROOT:02}")
        variants = [variant.split("=") for variant in rule.about.variants]
        made[name] = rule
        made |= {
            f"{name}-{value}": dataclasses.replace(rule, **{field: yaml.safe_load(value)})
            for field, value in variants
        }
    return made


CASES = cases()
STEPS = plugins("each_step")

# Case -> why it lacks the property. Nothing is listed that has it: each test of exemptions below
# finds a counterexample.
TIES = {
    "mda": "of several sets with the least diameter the first is taken",
    "clipped_clustering": "of two clusters of one size the first is taken",
    "signguard": "of clusters of one size the one found first is taken",
}
LENGTH = "measured from the weights sent out, with a length of its own"
ANGLE = "measured by angle or sign from the weights sent out"
ANCHORED = {
    "centered_clipping": LENGTH,
    "centered_clipping-zero": LENGTH,
    "centered_clipping-1.0": LENGTH,
    "rfa": "nu is a length",
    "rfa-zero": LENGTH,
    "rfa-count": "nu is a length",
    "rfa-size": "nu is a length",
    "weak_dp": LENGTH,
    "weak_dp-1.0": LENGTH,
    "sign_majority": ANGLE,
    "rlr": ANGLE,
    "fltrust": ANGLE,
    "foolsgold": ANGLE,
    "foolsgold-signed": ANGLE,
    "flame": ANGLE,
    "signguard": ANGLE,
    "clipped_clustering": ANGLE,
}
OUTSIDE = {
    "centered_clipping": "starts at zero, outside the rows",
    "centered_clipping-zero": "starts at zero, outside the rows",
    "centered_clipping-1.0": "stays near its start",
    "weak_dp": "clips, and adds noise",
    "weak_dp-1.0": "clips, and adds noise",
    "flame": "clips, and adds noise",
    "signguard": "clips",
    "clipped_clustering": "clips",
    "fltrust": "brings rows to one length",
    "sign_majority": "takes steps of one length",
    "rlr": "turns coordinates around",
    "foolsgold": "zero if all rows are alike",
    "foolsgold-signed": "zero if all rows are alike",
}
NOT_THE_SAME = {
    **{
        case: OUTSIDE[case] for case in ("centered_clipping-1.0", "weak_dp", "weak_dp-1.0", "flame")
    },
    "sign_majority": "takes steps of one length",
    "foolsgold": "zero if all rows are alike",
    "foolsgold-signed": "zero if all rows are alike",
}
BOUNDED = {
    "centered_clipping-1.0": "goes no farther than iterations * tau",
    "rfa-zero": "a few steps from zero favor the rows near zero",
    "weak_dp-1.0": "every row is clipped",
    "sign_majority": "takes steps of one length",
    "fltrust": "the trusted row sets the length",
    "foolsgold": "rows that are alike do not count",
    "foolsgold-signed": "rows that are alike do not count",
}
# Case -> distance of two rows that agree, or of one alone, from which on they move the result far.
MOVED_FROM = dict.fromkeys(("mean", "mean-count", "rfa", "rfa-count", "rfa-size", "rlr"), 1e3)
MOVED_BY_ONE_FROM = {**MOVED_FROM, "foolsgold": 1e3, "foolsgold-signed": 1e3}
# Compared with the oracle on rows without ties: on a lattice directions, angles and clusters are
# not unique.
GENERAL_POSITION = ("caf", "smea", "dnc", "foolsgold", "flame", "signguard", "clipped_clustering")

every_rule = pytest.mark.parametrize("rule", CASES.values(), ids=CASES)
every_case = pytest.mark.parametrize(("case", "rule"), CASES.items(), ids=CASES)
every_step = pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)


def name_of(plugin: Any) -> str:
    return type(plugin).__module__.rpartition(".")[2]


def clear(rows: np.ndarray, weights: np.ndarray | None = None) -> View:
    """A view in which each row is one hospital with a record or two; rows cannot be written to."""
    rows = np.asarray(rows)
    rows.setflags(write=False)
    counts = 1.0 + np.arange(len(rows)) % 2 if weights is None else weights
    return View(
        rows, tuple((f"h{i:02}",) for i in range(len(rows))), counts, model=np.zeros(rows.shape[1])
    )


def aggregated(rule: Rule, rows: np.ndarray) -> np.ndarray:
    return rule(clear(rows), stream(0, "rule"))


@st.composite
def spread_rows(draw: st.DrawFn, sizes: tuple[float, ...] = (1e-6, 1.0, 1e3)) -> np.ndarray:
    """Rows in general position: no ties, not on a line."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, d, size = draw(st.integers(11, 14)), draw(st.integers(2, 40)), draw(st.sampled_from(sizes))
    return size * rng.normal(size=(n, d))


def honest_radius(rows: np.ndarray) -> tuple[np.ndarray, float]:
    """Mean of the rows after the first ``N_HOSTILE``, and the distance of the farthest from it."""
    honest = rows[N_HOSTILE:].astype(np.float64)
    center = honest.mean(axis=0)
    return center, float(np.linalg.norm(honest - center, axis=1).max())


# --- rules


def plainly(rule: Rule, view: View) -> list[float]:
    """What the oracle gives. A row of two records or hospitals is two rows; so is a hostile one."""
    fields = dataclasses.asdict(rule)
    rows = view.rows.tolist()
    if fields.get("weighting", "uniform") != "uniform":
        counts = repeats(rule, view)
        rows = [row for row, count in zip(rows, counts, strict=True) for _ in range(count)]
        fields["weighting"] = "uniform"
        fields |= {"n_hostile": sum(sorted(counts)[-N_HOSTILE:])} if "n_hostile" in fields else {}
    return getattr(oracles, name_of(rule))(rows, **fields)


def repeats(rule: Rule, view: View) -> list[int]:
    """How often each row counts."""
    weighting = dataclasses.asdict(rule).get("weighting", "uniform")
    if weighting == "size":
        return view.sizes.tolist()
    return [1] * len(view.rows) if weighting == "uniform" else view.weights.astype(int).tolist()


def in_groups(view: View) -> View:
    """The view with one or two hospitals behind each row."""
    members = tuple(
        (*group, f"{group[0]}b") if i % 2 else group for i, group in enumerate(view.members)
    )
    return dataclasses.replace(view, members=members)


@every_rule
@SMALL
@given(data=st.data())
def test_rule_equals_its_oracle(rule: Rule, data: st.DataObject) -> None:
    general = name_of(rule) in GENERAL_POSITION
    view = clear(data.draw(spread_rows((1.0,)) if general else WHOLE))
    if "size" in repr(rule):
        view = in_groups(view)
    expected = plainly(rule, view)
    got = rule(view, stream(0, "rule"))
    cost = oracles.COST.get(name_of(rule))
    if cost is None:
        np.testing.assert_allclose(
            got, expected, rtol=1e-6 if general else 1e-11, atol=1e-7 if general else 1e-11
        )
    else:
        rows = np.repeat(view.rows, repeats(rule, view), axis=0).tolist()
        assert cost(got.tolist(), rows) <= cost(expected, rows) * (1 + 1e-9)


def keeps_order(rule: Rule, rows: np.ndarray, order: list[int]) -> bool:
    view = clear(rows)
    assert view.weights is not None
    shuffled = View(
        rows[order], tuple(view.members[i] for i in order), view.weights[order], model=view.model
    )
    left, right = rule(shuffled, stream(0, "rule")), rule(view, stream(0, "rule"))
    return np.allclose(left, right, rtol=1e-6, atol=1e-8 * np.ptp(rows))


@every_case
@SMALL
@given(rows=spread_rows(), data=st.data())
def test_rule_ignores_the_order_of_hospitals(
    case: str, rule: Rule, rows: np.ndarray, data: st.DataObject
) -> None:
    assert case in TIES or keeps_order(rule, rows, data.draw(st.permutations(range(len(rows)))))


@pytest.mark.parametrize("case", TIES)
def test_exempted_rules_do_depend_on_the_order(case: str) -> None:
    halves = np.vstack([np.ones((6, 23)), -np.ones((6, 23))])
    assert not keeps_order(CASES[case], halves, [*reversed(range(12))])


def moves_along(rule: Rule, rows: np.ndarray, shift: float, factor: float) -> bool:
    near = {"rtol": 1e-6, "atol": 1e-7 * np.ptp(rows) * abs(factor) + 1e-9 * abs(shift)}
    return np.allclose(
        aggregated(rule, rows * factor + shift), aggregated(rule, rows) * factor + shift, **near
    )


@every_case
@SMALL
@given(rows=spread_rows(), shift=st.floats(-10, 10), factor=st.sampled_from([-2.0, 1e-3, 1e3]))
def test_rule_moves_and_scales_with_the_rows(
    case: str, rule: Rule, rows: np.ndarray, shift: float, factor: float
) -> None:
    assert case in ANCHORED or moves_along(rule, rows, shift, factor)


@pytest.mark.parametrize("case", ANCHORED)
def test_exempted_rules_do_not_move_and_scale_with_the_rows(case: str) -> None:
    rows = np.random.default_rng(0).normal(size=(11, 5))
    assert not all(
        moves_along(CASES[case], rows, shift, factor)
        for shift, factor in ((10, 1), (0, 1e3), (0, 1e-8))
    )


def stays_inside(rule: Rule, rows: np.ndarray) -> bool:
    got = aggregated(rule, rows)
    slack = 1e-6 * np.abs(rows).max(axis=0).astype(np.float64)
    return bool((got >= rows.min(axis=0) - slack).all() and (got <= rows.max(axis=0) + slack).all())


@every_case
@SMALL
@given(rows=ANY_FLOAT32)
def test_rule_is_finite_and_stays_inside_the_rows_for_all_of_float32(
    case: str, rule: Rule, rows: np.ndarray
) -> None:
    got = aggregated(rule, rows)
    assert got.shape == rows.shape[1:]
    assert got.dtype == np.float64
    assert np.isfinite(got).all()
    assert case in OUTSIDE or stays_inside(rule, rows)


@pytest.mark.parametrize("case", OUTSIDE)
def test_exempted_rules_do_leave_the_rows(case: str) -> None:
    rng = np.random.default_rng(0)
    widening = np.column_stack([np.ones(11), np.linspace(0.1, 3, 11)])
    fanned = np.column_stack([np.full(11, 100.0), 6 * [0.0] + 5 * [1e6]])
    sets = (
        rng.normal(size=(11, 5)) + 100,
        rng.exponential(size=(11, 5)) - 0.6,
        np.ones((11, 5)),
        widening,
        fanned,
    )
    assert not all(stays_inside(CASES[case], rows) for rows in sets)


@every_rule
@pytest.mark.parametrize("size", [1e-6, 1e-30, 1e30])
def test_rule_keeps_the_digits_of_float32_updates(rule: Rule, size: float) -> None:
    rows = (size * np.random.default_rng(1).normal(size=(11, 300))).astype(np.float32)
    expected = aggregated(rule, rows.astype(np.float64))
    np.testing.assert_allclose(aggregated(rule, rows), expected, rtol=1e-6, atol=1e-6 * size)


@every_case
@pytest.mark.parametrize(("dtype", "near"), [(np.float32, 1e-6), (np.float64, 1e-12)])
def test_identical_rows_are_their_own_aggregate(
    case: str, rule: Rule, dtype: type, near: float
) -> None:
    row = np.random.default_rng(2).normal(size=50).astype(dtype)
    got = aggregated(rule, np.tile(row, (11, 1)))
    assert np.allclose(got, row, rtol=near, atol=0) == (case not in NOT_THE_SAME)


@every_rule
def test_half_of_the_rows_equal_or_zero_still_gives_a_finite_result(rule: Rule) -> None:
    rows = np.random.default_rng(3).normal(size=(12, 6))
    for half in (rows[6:7], np.zeros((1, 6)), -rows[6:]):
        assert np.isfinite(
            aggregated(rule, np.vstack([np.broadcast_to(half, (6, 6)), rows[6:]]))
        ).all()
    assert np.isfinite(aggregated(rule, np.zeros((12, 6)))).all()


@every_rule
def test_rule_does_not_write_to_what_it_is_given(rule: Rule) -> None:
    rows = np.random.default_rng(4).normal(size=(11, 5))
    before = rows.copy()
    aggregated(rule, rows)  # raises on a write: the rows are read-only
    np.testing.assert_array_equal(rows, before)


@every_case
@pytest.mark.parametrize("distance", [1e3, 1e30])
@pytest.mark.parametrize("sign", [1, -1])
def test_far_rows_cannot_move_a_robust_rule_but_move_the_others(
    case: str, rule: Rule, distance: float, sign: int
) -> None:
    rows = np.random.default_rng(5).normal(size=(11, 40)).astype(np.float32)
    rows[:N_HOSTILE] = sign * distance * (1 + np.arange(N_HOSTILE)[:, None])
    center, radius = honest_radius(rows)
    # 2(n-f)/(n-2f) radii: the geometric median's bound, the weakest of those that the rules promise
    moved = np.linalg.norm(aggregated(rule, rows) - center) > 2 * 9 / 7 * radius
    assert moved == (distance >= MOVED_FROM.get(case, np.inf))


@every_case
def test_one_huge_coordinate_of_one_row_cannot_move_a_robust_rule(case: str, rule: Rule) -> None:
    rows = np.random.default_rng(6).normal(size=(11, 40))
    rows[0, 3] = 1e9
    center, radius = honest_radius(rows)
    moved = np.linalg.norm(aggregated(rule, rows) - center) > 2 * 9 / 7 * radius
    assert moved == (MOVED_BY_ONE_FROM.get(case, np.inf) <= 1e9)


@every_case
def test_a_hostile_majority_that_agrees_takes_over(case: str, rule: Rule) -> None:
    rows = np.random.default_rng(6).normal(size=(11, 40))
    rows[[i for i in range(8) if i != ROOT]] = 1e3
    assert (aggregated(rule, rows).min() > 100) == (case not in BOUNDED)


@every_rule
@pytest.mark.parametrize("n_hostile", [0, 1, 2, 5])
def test_rule_refuses_exactly_below_its_stated_limit(rule: Rule, n_hostile: int) -> None:
    changes = {"n_hostile": n_hostile, "root": "h00"}
    rule = dataclasses.replace(
        rule, **{key: value for key, value in changes.items() if hasattr(rule, key)}
    )
    stated = eval(rule.about.limit.removeprefix("n_rows >= "), dataclasses.asdict(rule))
    assert rule.min_rows == stated
    rows = np.random.default_rng(7).normal(size=(stated, 3))
    assert np.isfinite(rule(clear(rows, np.ones(stated)), stream(0, "rule"))).all()
    assert refusal(rule, stated, stated) is None
    with pytest.raises(RefusedError) as refused:
        aggregated(rule, rows[1:])
    assert str(refused.value) == refusal(rule, stated - 1, stated - 1)
    assert str(refused.value).startswith(f"n_rows={stated - 1}")


@every_rule
@SMALL
@given(rows=spread_rows())
def test_shares_are_parts_of_one_and_give_the_aggregate_unless_rows_are_clipped_too(
    rule: Rule, rows: np.ndarray
) -> None:
    if not isinstance(rule, Weighing):
        return
    shares = rule.shares(clear(rows), stream(0, "rule"))
    assert shares.shape == (len(rows),)
    assert shares.min() >= 0
    assert shares.sum() == pytest.approx(1, rel=1e-12) or not shares.any()
    if type(rule).combined is Weighing.combined:
        np.testing.assert_allclose(
            shares @ rows, aggregated(rule, rows), rtol=1e-9, atol=1e-12 * np.ptp(rows)
        )


# --- steps


@every_step
@SMALL
@given(rows=WHOLE)
def test_step_equals_its_oracle(step: Step, rows: np.ndarray) -> None:
    expected = getattr(oracles, name_of(step))(rows.tolist(), **dataclasses.asdict(step))
    np.testing.assert_allclose(
        step(clear(rows), stream(0, "step")).rows, expected, rtol=1e-12, atol=1e-12
    )


@every_step
@pytest.mark.parametrize("size", [1e-30, 1e-6, 1.0, 1e30])
def test_step_keeps_the_digits_and_the_type_of_float32_updates(step: Step, size: float) -> None:
    rows = (size * np.random.default_rng(1).normal(size=(11, 300))).astype(np.float32)
    rows[3] *= np.float32(1e-6)
    got, expected = (
        step(clear(given), stream(0, "step")).rows for given in (rows, rows.astype(np.float64))
    )
    assert got.dtype == np.float32
    assert (np.abs(got - expected).max(axis=1) <= 1e-6 * np.abs(expected).max(axis=1)).all()


@every_step
@SMALL
@given(rows=ANY_FLOAT32)
def test_step_gives_finite_rows_for_all_of_float32(step: Step, rows: np.ndarray) -> None:
    assert np.isfinite(step(clear(rows), stream(0, "step")).rows).all()


@every_step
@SMALL
@given(rows=spread_rows())
def test_step_keeps_every_hospital_and_every_record(step: Any, rows: np.ndarray) -> None:
    before, after = clear(rows), step(clear(rows), stream(0, "step"))
    assert before.weights is not None
    assert len(after.rows) == len(after.members) == len(after.weights)
    assert len(after.rows) == (step.n_rows(len(rows)) if hasattr(step, "n_rows") else len(rows))
    assert sorted(name for group in after.members for name in group) == sorted(
        name for (name,) in before.members
    )
    assert after.weights.sum() == before.weights.sum()


@every_step
@SMALL
@given(rows=spread_rows(), seed=st.integers(0, 9))
def test_step_scales_rows_down_or_averages_them(step: Step, rows: np.ndarray, seed: int) -> None:
    after = step(clear(rows), stream(seed, "step"))
    if isinstance(step, Scaling) and name_of(step) != "normalize":
        assert (
            np.linalg.norm(after.rows, axis=1) <= np.linalg.norm(rows, axis=1) * (1 + 1e-12)
        ).all()
    if isinstance(step, Mixing):
        mixing = step.mixing(clear(rows), stream(seed, "step"))
        assert mixing.min() >= 0
        np.testing.assert_allclose(mixing.sum(axis=1), 1, rtol=1e-12)
        np.testing.assert_allclose(mixing @ rows, after.rows, rtol=1e-9, atol=1e-12 * np.ptp(rows))


@every_step
def test_shares_of_a_chain_are_those_of_the_hospitals_rows(step: Step) -> None:
    rows = np.random.default_rng(8).normal(size=(11, 7))
    shares = Chain((step,), Mean()).run(clear(rows), stream(0, "step")).shares
    assert shares is not None
    assert shares.shape == (11,)
    assert shares.sum() == pytest.approx(1, rel=1e-12)
    if isinstance(step, Mixing):
        np.testing.assert_allclose(
            shares @ rows, Chain((step,), Mean())(clear(rows), stream(0, "step")), rtol=1e-9
        )


@every_step
@pytest.mark.parametrize("n_hostile", [0, 1, 2, 5])
def test_step_refuses_exactly_below_its_stated_limit(step: Any, n_hostile: int) -> None:
    if not step.about.limit:
        return
    chain = Chain((dataclasses.replace(step, n_hostile=n_hostile),), Mean())
    stated = eval(step.about.limit.removeprefix("n_rows >= "), {"n_hostile": n_hostile})
    rows = np.random.default_rng(7).normal(size=(stated, 3))
    assert chain.refusal(stated, stated) is None
    assert np.isfinite(chain(clear(rows), stream(0, "step"))).all()
    with pytest.raises(
        RefusedError,
        match=rf"^n_rows={stated - 1}, n_hostile={n_hostile}: {step.about.title} needs ",
    ):
        chain(clear(rows[1:]), stream(0, "step"))
