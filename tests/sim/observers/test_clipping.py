"""Parts that shorten updates do something by default, and a radius that nothing reaches is reported
with one that would.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aggregators.rules.centered_clipping import CenteredClipping
from aggregators.rules.weak_dp import WeakDp
from aggregators.steps.clip import Clip
from reports.analysis import radii
from sim.evidence import Clipped, RunRecord
from sim.observers.clipping import clipped
from sim.seeds import stream
from sim.study.run import run_together
from sim.types import View
from tests.commands import ALONE, FAST, wardround
from tests.federation import plan
from tests.records import make_record
from tests.rounds import Rounds

PARTS = {
    "clip": Clip,
    "weak_dp": lambda radius: WeakDp(radius, 0.0),
    "centered_clipping": lambda tau: CenteredClipping(tau, 3),
}


def view(rows: np.ndarray) -> View:
    return View(rows, tuple((f"h{i}",) for i in range(len(rows))))


def moved(part: Any, rows: np.ndarray) -> np.ndarray:
    """What a part makes of rows: an aggregate, or the mean of the rows of a step."""
    made = part(view(rows), stream(0, "rule"))
    return np.asarray(made.rows.mean(axis=0) if isinstance(made, View) else made)


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_a_minority_moves_the_result_no_further_than_the_longest_honest_rows_allow(
    part: Any,
) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(3, 14))
        rows = rng.normal(size=(n, 5)) * rng.uniform(0.1, 3, size=(n, 1))
        longest = np.linalg.norm(rows, axis=1).max()
        hostile = rows.copy()
        hostile[: (n - 1) // 2] = rng.choice([0.0, 1e9]) * rng.normal(size=((n - 1) // 2, 5))
        assert np.linalg.norm(moved(part(None), hostile)) <= 3 * longest * (1 + 1e-9)


@pytest.mark.parametrize(("name", "part"), PARTS.items(), ids=PARTS)
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_a_radius_from_the_rows_shortens_some_of_them_at_every_size(
    name: str, part: Any, size: float
) -> None:
    rows = size * np.random.default_rng(0).normal(size=(11, 6))
    seen = view(rows)
    [found] = clipped([part(None).advance(seen, None, stream(0, "rule"))[1]])
    norms = np.linalg.norm(rows, axis=1)
    assert (found.part, found.radius, found.rounds) == (name, None, 1)
    assert found.shortened == pytest.approx(5 / 11)
    assert found.median_length == pytest.approx(np.median(norms))
    assert found.longest == pytest.approx(norms.max())
    assert not np.allclose(moved(part(None), rows), rows.mean(axis=0), rtol=1e-3, atol=0)


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_what_was_shortened_is_noted_over_all_rounds(part: Any) -> None:
    rounds = Rounds(part(5.0))
    for size in (1.0, 10.0):
        rounds(view(size * np.eye(4)), stream(0, "rule"))
    [found] = clipped([None, rounds.state])
    assert (found.radius, found.rounds) == (5.0, 2)
    if part is not PARTS["centered_clipping"]:  # which measures from where it ended
        assert (found.shortened, found.median_length, found.longest) == (0.5, 5.5, 10.0)


CLIPPING = ("norm_bounding", "weak_dp", "centered_clipping", "momentum_centered_clipping")


@cache
def clipping() -> list[RunRecord]:
    """Runs of each defense that clips, with an attack and without."""
    return run_together(plan(["consortium=heart12", *FAST[1:]], ["sign_flip"], [*CLIPPING]))


@pytest.mark.parametrize("defense", CLIPPING)
def test_every_default_does_something_whoever_attacks(defense: str) -> None:
    mine = [record for record in clipping() if record.defense == defense]
    assert len(mine) == 2
    for record in mine:
        assert record.engagement.defense_engaged
        assert record.clipped[0].shortened > 0.3


@pytest.mark.usefixtures("undrawn")
def test_a_radius_that_nothing_reaches_is_reported_in_terminal_and_page_with_one_that_would(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = (
        "attacks=[none]",
        "defenses=[norm_bounding]",
        "seeds=1",
        "steps.clip.max_norm=1000",
        f"hydra.run.dir={tmp_path}",
    )
    assert wardround("compare", *FAST, ALONE, *words) == 0
    record = json.loads((tmp_path / "evidence.jsonl").read_text().splitlines()[-1])
    [found] = record["clipped"]
    stated = (
        f"A radius of {found['median_length']:.3g}, the median length seen, would do something."
    )
    assert found["shortened"] == 0
    assert stated in " ".join(capfd.readouterr().out.split())
    assert stated in (tmp_path / "report" / "index.html").read_text()


def test_only_a_chosen_radius_that_nothing_reached_is_reported() -> None:
    def record(attack: str, radius: float | None, shortened: float) -> Any:
        one = Clipped(
            part="clip",
            radius=radius,
            rounds=4,
            shortened=shortened,
            median_length=0.2,
            longest=0.5,
        )
        return make_record(attack=attack, defense="norm_bounding", clipped=[one])

    assert radii.idle([record("none", None, 0.5), record("alie", 0.3, 0.1)]) == []
    assert radii.idle([record("none", 1.0, 0.0), record("sign_flip", 1.0, 0.25)]) == [
        "clip under norm clipping did nothing under no attack: every update was shorter than the"
        " radius 1 (the longest had 0.5). A radius of 0.2, the median length seen, would do"
        " something."
    ]
