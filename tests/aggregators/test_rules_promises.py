"""What each rule and step promises of itself (``about.promise``), against hostile rows of many
kinds; and that docs state it.

A rule that promises something has a check here. A rule that promises nothing has a counterexample.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregators.base import Weighing
from aggregators.rules.multi_krum import MultiKrum
from benchmarks import claims
from sim.seeds import stream
from sim.types import Rule, View
from tests.aggregators.test_rules_table import CASES, SMALL, STEPS, clear, every_case, name_of
from tests.conftest import CONF, N_HOSTILE

DOCS = CONF.parent / "docs" / "rules.md"
Rows = np.ndarray
Check = Callable[[Rule, Rows, Rows, Rows], bool]  # rule, hostile rows, honest rows, result
SLACK = 1 + 1e-6


def diameter(rows: Rows) -> float:
    return max(float(np.linalg.norm(a - b)) for a in rows for b in rows)


def beyond(honest: Rows, got: Rows, ranges: float) -> bool:
    low, high = honest.min(axis=0), honest.max(axis=0)
    slack = (ranges + 1e-6) * (high - low)
    return bool((got >= low - slack).all() and (got <= high + slack).all())


def averaged(rule: Any, hostile: Rows, honest: Rows) -> Rows:
    rows = np.vstack([hostile, honest])
    return rows[rule.shares(clear(rows), stream(0, "rule")) > 0]


def near_taken(rule: Any, hostile: Rows, honest: Rows, got: Rows) -> bool:
    most = np.sqrt(len(honest)) * diameter(honest) * SLACK
    return all(
        np.linalg.norm(honest - row, axis=1).min() <= most
        for row in averaged(rule, hostile, honest)
    )


def near_mean(rule: Rule, hostile: Rows, honest: Rows, got: Rows) -> bool:
    center = honest.mean(axis=0)
    radius = np.linalg.norm(honest - center, axis=1).max()
    n, f = len(hostile) + len(honest), len(hostile)
    return bool(np.linalg.norm(got - center) <= 2 * (n - f) / (n - 2 * f) * radius * SLACK)


def top_variance(rows: Rows) -> float:
    return float(np.linalg.norm(rows - rows.mean(axis=0), 2) ** 2)


def median_length(hostile: Rows, honest: Rows) -> float:
    return float(np.median(np.linalg.norm(np.vstack([hostile, honest]), axis=1)))


def within(most: Callable[[Any, Rows, Rows], float]) -> Check:
    return lambda rule, hostile, honest, got: bool(
        np.linalg.norm(got) <= most(rule, hostile, honest) * SLACK
    )


def rfa_reach(rule: Any, hostile: Rows, honest: Rows) -> float:
    """Each step adds at most n / (n - f) times the distance of the farthest honest row from the
    point reached.
    """
    longest = max(rule.nu, float(np.linalg.norm(honest, axis=1).max()))
    return ((1 + (len(hostile) + len(honest)) / len(honest)) ** rule.steps - 1) * longest


def trusts(rule: Any, hostile: Rows, honest: Rows, got: Rows) -> bool:
    return bool(
        np.linalg.norm(got) <= np.linalg.norm(honest[-1]) * SLACK and got @ honest[-1] >= -1e-9
    )


def bounded_influence(rule: Any, hostile: Rows, honest: Rows, got: Rows) -> bool:
    noise = rule.noise * stream(0, "rule").normal(size=len(got))
    if rule.max_norm is None:
        return bool(np.linalg.norm(got - noise) <= median_length(hostile, honest) * SLACK)
    rows = np.vstack([honest[:1], hostile[1:], honest])
    other = rule(clear(rows), stream(0, "rule"))
    return bool(np.linalg.norm(got - other) <= 2 * rule.max_norm / len(rows) * SLACK)


def votes(rule: Any, hostile: Rows, honest: Rows, got: Rows) -> bool:
    decided = np.abs(np.sign(honest).sum(axis=0)) > len(hostile)
    sure = np.sign(np.sign(honest).sum(axis=0))
    return bool(
        np.isin(np.abs(got), (0, rule.step)).all() and (np.sign(got) == sure)[decided].all()
    )


CHECKS: dict[str, Check] = {
    "median": lambda rule, hostile, honest, got: beyond(honest, got, 0),
    "trimmed_mean": lambda rule, hostile, honest, got: beyond(honest, got, 0),
    "meamed": lambda rule, hostile, honest, got: beyond(honest, got, 1),
    "bulyan": lambda rule, hostile, honest, got: beyond(honest, got, 1),
    "krum": near_taken,
    "multi_krum": near_taken,
    "geometric_median": near_mean,
    "rfa-zero": within(lambda rule, hostile, honest: rfa_reach(rule, hostile, honest)),
    "caf": near_mean,
    "mda": lambda rule, hostile, honest, got: (
        diameter(averaged(rule, hostile, honest)) <= diameter(honest) * SLACK
    ),
    "smea": lambda rule, hostile, honest, got: (
        top_variance(averaged(rule, hostile, honest)) <= top_variance(honest) * SLACK
    ),
    "monna": lambda rule, hostile, honest, got: bool(
        np.linalg.norm(averaged(rule, hostile, honest) - honest[-1], axis=1).max()
        <= np.linalg.norm(honest - honest[-1], axis=1).max() * SLACK
    ),
    "centered_clipping": within(
        lambda rule, hostile, honest: rule.iterations * (rule.tau or median_length(hostile, honest))
    ),
    "fltrust": trusts,
    "flame": within(
        lambda rule, hostile, honest: median_length(hostile, honest) * (1 + 10 * rule.noise)
    ),
    "signguard": within(lambda rule, hostile, honest: median_length(hostile, honest)),
    "clipped_clustering": within(lambda rule, hostile, honest: median_length(hostile, honest)),
    "sign_majority": votes,
    "weak_dp": bounded_influence,
}
NOTHING = ("mean", "rfa", "rlr", "foolsgold", "dnc")


def check_of(case: str) -> Check | None:
    return CHECKS.get(case, None if case.startswith(NOTHING) else CHECKS.get(case.split("-")[0]))


@st.composite
def attacked(draw: st.DrawFn) -> tuple[Rows, Rows]:
    """Hostile rows in directions of their own, opposite, equal, or copies of honest ones moved; and
    honest rows, some equal.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, d = draw(st.integers(11, 14)), draw(st.integers(1, 12))
    honest = rng.normal(size=(n - N_HOSTILE, d)) + draw(st.sampled_from([0.0, 0.0, 3.0, 100.0]))
    honest[: draw(st.integers(0, 4))] = honest[0]
    size = draw(st.sampled_from([1e-3, 0.3, 1.0, 2.0, 10.0, 1e3, 1e6, 1e12]))
    kind = draw(st.sampled_from(["independent", "equal", "opposite", "copies"]))
    hostile = size * rng.normal(size=(N_HOSTILE, d))
    if kind in ("equal", "opposite"):
        hostile[1] = hostile[0] * (1 if kind == "equal" else -1)
    if kind == "copies":
        hostile = honest[:N_HOSTILE] + hostile
    return hostile, honest


@every_case
@SMALL
@given(drawn=attacked())
def test_rule_keeps_its_promise(case: str, rule: Rule, drawn: tuple[Rows, Rows]) -> None:
    hostile, honest = drawn
    if check_of(case) is None:
        return
    if hasattr(rule, "root"):
        rule = dataclasses.replace(rule, root=f"h{len(hostile) + len(honest) - 1:02}")
    rows = np.vstack([hostile, honest])
    got = rule(clear(rows, np.ones(len(rows))), stream(0, "rule"))
    assert check_of(case)(rule, hostile, honest, got)


@every_case
def test_every_rule_has_a_promise_and_a_check_or_a_counterexample(case: str, rule: Rule) -> None:
    assert rule.about.promise
    assert (check_of(case) is None) == (
        rule.about.promise.startswith("nothing") and case != "rfa-zero"
    )


@pytest.mark.parametrize("directions", claims.DIRECTIONS)
@every_case
def test_two_far_rows_move_only_rules_that_promise_nothing(
    case: str, rule: Rule, directions: str
) -> None:
    count = claims.moved(rule, directions, 20)
    if case.startswith("dnc"):
        assert (count > 0) == (directions != "agreeing")
    elif case.startswith("foolsgold"):
        assert count == (0 if directions == "agreeing" else 20)
    else:
        assert count == (20 if check_of(case) is None else 0)


def test_a_multi_krum_of_more_than_the_honest_rows_averages_hostile_ones() -> None:
    rows = claims.far_rows(0, "independent")
    few, many = (MultiKrum(N_HOSTILE, m)(clear(rows), stream(0, "rule")) for m in (9, 10))
    assert np.abs(few).max() < 10
    assert np.abs(many).max() > 1e4


def hidden_majorities() -> Iterator[tuple[str, Rows]]:
    """Rows among which five hostile ones of eleven agree, and six honest ones do not."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(11, 60))
    rows[:5] = np.abs(rng.normal(size=60)) + 0.01 * rng.normal(size=(5, 60))
    rows *= np.sqrt(60) / np.linalg.norm(rows, axis=1, keepdims=True)
    yield from ((name, rows) for name in ("signguard", "clipped_clustering"))


@pytest.mark.parametrize(("name", "rows"), hidden_majorities())
def test_rules_that_promise_no_direction_may_follow_hostile_rows_that_agree(
    name: str, rows: Rows
) -> None:
    rule = CASES[name]
    rule = dataclasses.replace(rule, fraction=1.0) if name == "signguard" else rule
    assert isinstance(rule, Weighing)
    shares = rule.shares(clear(rows), stream(0, "rule"))
    assert shares[:5].sum() > 0.5


def test_flame_averages_all_rows_where_no_cluster_holds_more_than_half() -> None:
    rows = np.vstack([np.eye(6), -np.eye(6)])
    shares = CASES["flame"].shares(clear(rows), stream(0, "rule"))
    np.testing.assert_allclose(shares, 1 / 12)


@pytest.mark.parametrize("name", ["nnm", "bucketing", "momentum"])
def test_steps_that_promise_nothing_let_a_far_row_move_the_mean(name: str) -> None:
    rows = claims.far_rows(0, "independent")
    after = STEPS[name](View(rows, clear(rows).members), stream(0, "step")).rows
    assert np.linalg.norm(after.mean(axis=0)) > 1e3


@SMALL
@given(drawn=attacked())
def test_steps_that_scale_keep_their_promise(drawn: tuple[Rows, Rows]) -> None:
    hostile, honest = drawn
    rows = np.vstack([hostile, honest])
    sizes = {
        name: np.linalg.norm(STEPS[name](clear(rows), stream(0, "step")).rows, axis=1)
        for name in ("clip", "clip_to_median", "arc", "normalize")
    }
    assert STEPS["clip"].max_norm is None
    assert sizes["clip"].max() <= median_length(hostile, honest) * SLACK
    fixed = dataclasses.replace(STEPS["clip"], max_norm=1.0)(clear(rows), stream(0, "step")).rows
    assert np.linalg.norm(fixed, axis=1).max() <= SLACK
    assert sizes["clip_to_median"].max() <= median_length(hostile, honest) * SLACK
    assert sizes["clip_to_median"].max() <= np.linalg.norm(honest, axis=1).max() * SLACK
    assert sizes["arc"].max() <= np.linalg.norm(honest, axis=1).max() * SLACK
    np.testing.assert_allclose(sizes["normalize"], STEPS["normalize"].norm, rtol=1e-9)


def test_docs_state_the_promise_of_every_rule_and_step() -> None:
    text = DOCS.read_text()
    for line in claims.promises():
        assert f"| {' | '.join(line)} |" in text


def test_docs_state_how_often_krums_variants_take_another_row() -> None:
    shares = claims.differing(10_000)
    stated = [f"{100 * share:.1f} %" for share in shares.values()]
    lines = [line for line in DOCS.read_text().splitlines() if line.startswith("| Krum |")]
    assert [next(one for one in stated if f" {one} " in line) for line in lines[:3]] == stated


def test_every_name_of_a_rule_is_in_the_tables() -> None:
    assert {name_of(rule) for rule in CASES.values()} <= set(claims.plugins("aggregator"))
