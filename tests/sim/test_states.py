"""What lasts from round to round is a value: advancing a plug-in twice from one state gives the
same, and edits nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from sim.errors import PluginError
from sim.seeds import stream
from sim.states import advanced, is_stateful
from sim.types import Knowledge, Pooled, Reply, Stateful, Vector, View
from tests.conftest import KINDS, plugins

N, D, N_HOSTILE = 11, 6, 2
CASES: dict[str, Any] = {
    f"{kind.removeprefix('each_')}-{name}": plugin
    for kind in KINDS
    for name, plugin in plugins(kind).items()
    if is_stateful(plugin)
}


def given(case: str, number: int) -> Any:
    """What the plug-in of a case works on in a round."""
    rows = stream(number, "rows").normal(size=(N, D))
    match case.partition("-")[0]:
        case "rule" | "step":
            return View(rows, tuple((f"h{i:02}",) for i in range(N)), np.ones(N), rows[0])
        case "byzantine":
            return Knowledge(
                rows[:N_HOSTILE], N, N_HOSTILE, rows[N_HOSTILE:], model=rows[0], round=number
            )
        case "fault":
            return Reply(rows[0].astype(np.float32), 50, number)
        case "isolation":
            names = tuple(f"h{i:02}" for i in range(N))
            pairs = tuple(names[i : i + 2] for i in range(number % 2, N - 1, 2))
            return Pooled(View(rows[: len(pairs)], pairs), {names[0]: rows[0]}, number)
    return rows[0]


def test_every_kind_of_plugin_with_a_state_is_tried() -> None:
    assert {case.partition("-")[0] for case in CASES} == {
        "rule",
        "step",
        "byzantine",
        "fault",
        "isolation",
        "server_optimizer",
    }
    assert {
        "rule-foolsgold",
        "step-momentum",
        "byzantine-mimic",
        "fault-straggler",
        "server_optimizer-fedadam",
    } <= set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_a_state_is_a_frozen_value_that_nobody_edits(case: str) -> None:
    plugin, state = CASES[case], None
    assert is_dataclass(plugin.state)
    assert vars(plugin.state)["__dataclass_params__"].frozen
    for number in range(1, 5):
        before, work = repr(state), given(case, number)
        once, after = advanced(plugin, work, state, stream(number, "draws"))
        again, twice = advanced(plugin, work, state, stream(number, "draws"))
        assert repr(state) == before
        assert (repr(once), repr(after)) == (repr(again), repr(twice))
        assert type(after) is plugin.state
        state = after


@pytest.mark.parametrize("case", CASES)
def test_a_call_is_a_first_round(case: str) -> None:
    plugin, work = CASES[case], given(case, 1)
    assert repr(plugin(work, stream(0, "draws"))) == repr(
        plugin.advance(work, None, stream(0, "draws"))[0]
    )


def test_what_plugins_are_given_holds_nothing_that_lasts() -> None:
    for form in (View, Knowledge, Reply):
        assert "memory" not in {field.name for field in fields(form)}
        assert not any("dict" in str(field.type) for field in fields(form))


@dataclass(frozen=True)
class Count:
    """Rounds so far."""

    rounds: int


@dataclass(frozen=True)
class Faulty(Stateful[Vector, Vector, Count]):
    """Gives what it is made with."""

    made: Any
    state: ClassVar[type] = Count

    def advance(self, aggregate: Vector, state: Count | None, rng: np.random.Generator) -> Any:
        return self.made


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (np.zeros(3), "expected a result and a state"),
        (None, "returned None, expected a result and a state"),
        ((np.zeros(3),), "expected a result and a state"),
        ((np.zeros(3), None), "returned a state of type NoneType, expected Count"),
        ((np.zeros(3), {"rounds": 1}), "returned a state of type dict, expected Count"),
    ],
)
def test_a_plugin_that_returns_no_state_of_its_type_is_named(made: Any, reason: str) -> None:
    with pytest.raises(PluginError, match=rf"^the plug-in .*test_states\.Faulty .*{reason}$"):
        advanced(Faulty(made), np.zeros(3), None, stream(0, "draws"))


def test_a_state_comes_in_as_it_went_out() -> None:
    assert advanced(Faulty((np.zeros(3), Count(1))), np.zeros(3), Count(0), stream(0, "draws"))[
        1
    ] == Count(1)
