"""A run that is interrupted goes on from where it was, to the same digits; a file that is not whole
is left aside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, Context, RecordDict

from sim import evidence
from sim.evidence import RunRecord, Screened
from sim.federation.rounds import Skipped
from sim.study import checkpoints, compare
from sim.study.checkpoints import FOLDER, StoredState, UnstorableError, states, write
from sim.study.experiment import Experiment
from sim.study.run import FederatedRun, advance, run_together
from tests.federation import experiment, finished, plan

SMALL = ("consortium=heart4", "training.rounds=6", "model=logistic")
# words, attacks, defenses
MEMORIES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "momentum and an optimizer": (
        ("steps=[momentum]", "server_optimizer=fedadam"),
        ("alie",),
        ("none",),
    ),
    "foolsgold, fedavgm, straggler": (
        ("aggregator=foolsgold", "server_optimizer=fedavgm"),
        ("straggler",),
        ("none",),
    ),
    "privacy": (
        ("dp.target_epsilon=null", "dp.noise_multiplier=1.0"),
        ("sign_flip",),
        ("dp_record",),
    ),
    "a clip that follows a quantile": (
        ("dp.quantile=0.5", "dp.target_epsilon=null", "dp.noise_multiplier=0.5"),
        ("sign_flip",),
        ("dp_hospital",),
    ),
    "local privacy": ((), ("sign_flip",), ("dp_local",)),
    "centered clipping, replay, dropout": (
        ("aggregator=centered_clipping",),
        ("replay", "dropout"),
        ("none",),
    ),
    "clipped clustering, mimic, backdoor": (
        ("aggregator=clipped_clustering",),
        ("mimic", "backdoor"),
        ("none",),
    ),
    "reconstruction and a rule with shares": ((), ("analytic_inversion",), ("geometric_median",)),
    "malformed replies": ((), ("malformed", "free_rider"), ("none",)),
}


class StoppedError(Exception):
    pass


def stop_after(last: int) -> Callable[[int], None]:
    def progress(round_: int) -> None:
        if round_ == last:
            raise StoppedError

    return progress


@pytest.fixture
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is stored in every round, however long that takes."""
    monkeypatch.setattr(checkpoints, "EVERY", -1.0)
    monkeypatch.setattr(checkpoints, "DEAREST", float("inf"))


@pytest.fixture
def resumed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The round that each restored run goes on from."""
    rounds, original = list[int](), checkpoints._restore

    def restore(
        federated: FederatedRun, contexts: Sequence[Context], state: dict[str, Any]
    ) -> None:
        rounds.append(state["round"])
        original(federated, contexts, state)

    monkeypatch.setattr(checkpoints, "_restore", restore)
    return rounds


def interrupted(runs: Sequence[Experiment], folder: Path, last: int = 3) -> Path:
    """Advance until after round ``last``; returns the file that is left."""
    with pytest.raises(StoppedError):
        list(advance(runs, stop_after(last), folder))
    (path,) = (folder / FOLDER).iterdir()
    return path


def untimed(records: Sequence[RunRecord]) -> list[dict[str, Any]]:
    return [record.model_dump(exclude={"seconds"}) for record in records]


@pytest.mark.usefixtures("_often")
@pytest.mark.parametrize(("words", "attacks", "defenses"), MEMORIES.values(), ids=MEMORIES.keys())
def test_a_resumed_run_equals_an_uninterrupted_one_to_the_last_digit(
    words: tuple[str, ...],
    attacks: tuple[str, ...],
    defenses: tuple[str, ...],
    tmp_path: Path,
    resumed: list[int],
) -> None:
    runs = plan([*SMALL, *words], attacks, defenses, 1)
    whole = untimed(run_together(runs))
    interrupted(runs, tmp_path)
    assert untimed(list(advance(runs, None, tmp_path))) == whole
    assert set(resumed) == {3}
    assert len(resumed) >= len(runs)


@pytest.mark.usefixtures("_often")
def test_runs_are_restored_one_by_one_also_into_other_groups_and_from_other_rounds(
    tmp_path: Path, resumed: list[int]
) -> None:
    runs = plan(SMALL, ["sign_flip"], ["median"], 1)
    whole = untimed(run_together(runs))
    interrupted(runs[:3], tmp_path, 2)
    with pytest.raises(StoppedError):
        list(advance(runs[2:], stop_after(4), tmp_path))
    again = list(advance([runs[3], runs[0], runs[2]], None, tmp_path))
    assert sorted(resumed[-3:]) == [2, 4, 4]
    assert untimed(again) == [whole[3], whole[0], whole[2]]
    assert all(record.seconds > 0 for record in again)


@pytest.mark.usefixtures("_often")
def test_a_finished_comparison_leaves_no_progress_behind(
    tmp_path: Path, resumed: list[int]
) -> None:
    runs = plan(SMALL, ["sign_flip"], ["none"], 1)
    interrupted(runs, tmp_path)
    compare.complete(runs, tmp_path, 1, lambda _: None)
    assert resumed == [3, 3]
    assert [path.name for path in tmp_path.iterdir()] == [evidence.EVIDENCE]


@pytest.mark.usefixtures("_often")
def test_a_smaller_command_leaves_the_progress_of_other_runs(
    tmp_path: Path, resumed: list[int]
) -> None:
    runs = plan(SMALL, ["sign_flip"], ["none"], 2)
    interrupted(runs[:2], tmp_path)
    compare.complete(runs[2:], tmp_path, 1, lambda _: None)
    compare.complete(runs, tmp_path, 1, lambda _: None)
    assert resumed == [3, 3]
    assert not (tmp_path / FOLDER).exists()


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "a digit": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda _: b"",
    "no arrays": lambda content: content.partition(b"\n")[2],
    "text": lambda _: b"not progress\n",
    "longer": lambda content: content + b"\0",
}


@pytest.mark.usefixtures("_often")
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_progress_that_is_not_whole_is_left_aside_with_a_line(
    damage: Callable[[bytes], bytes],
    tmp_path: Path,
    resumed: list[int],
    capfd: pytest.CaptureFixture[str],
) -> None:
    runs = [experiment(*SMALL)]
    whole = untimed(run_together(runs))
    path = interrupted(runs, tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    assert untimed(list(advance(runs, None, tmp_path))) == whole
    assert resumed == []
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"wardround: progress in {path} is not used (")


@pytest.mark.usefixtures("_often")
def test_progress_of_other_code_is_left_aside(
    tmp_path: Path,
    resumed: list[int],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    runs = [experiment(*SMALL)]
    interrupted(runs, tmp_path)
    monkeypatch.setattr(checkpoints, "code_version", lambda: "0" * 12)
    list(advance(runs, None, tmp_path))
    assert resumed == []
    assert "it is of other code" in capfd.readouterr().err


@dataclass
class Opaque:
    """What no file can hold."""

    value: int = 1


@pytest.mark.usefixtures("_often")
def test_a_state_that_cannot_be_stored_is_named_once_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    runs = [experiment(*SMALL)]
    whole = untimed(run_together(runs))
    original = FederatedRun.__init__

    def init(self: FederatedRun, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        self.adversary.state.states["opaque", ""] = Opaque()

    monkeypatch.setattr(FederatedRun, "__init__", init)
    assert untimed(list(advance(runs, None, tmp_path))) == whole
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("wardround: the progress of these runs is not stored: ")
    assert "Opaque" in line
    assert not (tmp_path / FOLDER).exists()


SHARED = np.arange(3.0)
VALUES: list[Any] = [
    None, True, 3, -0.0, 1e308, float("inf"), "text \u2028 \ud800", [1, [2.5]], (1, ("a",)),
    {("a", "b"): 1, 2: {"x": []}}, np.arange(6, dtype=np.float32).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.array(5), np.zeros((0, 4)), np.float32(0.1),
    np.int64(7), np.bool_(True), np.arange(10)[::3], np.array([np.nan, np.inf]), [SHARED, SHARED],
    Screened(round=1, hospital="a", reason="b"), Skipped(1, "absent", "why", ("a",)),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_what_is_stored_comes_back_as_it_was(value: Any, tmp_path: Path) -> None:
    state = {"round": 1, "weights": np.zeros(2), "value": value}
    write(tmp_path / "one.state", {"a": state})
    back = states(tmp_path)["a"]["value"]
    assert type(back) is type(value)
    assert repr(back) == repr(value)
    if isinstance(value, np.ndarray):
        assert (back.dtype, back.shape, back.flags.c_contiguous) == (
            value.dtype,
            value.shape,
            value.copy("K").flags.c_contiguous,
        )
    if isinstance(value, list) and value[0] is SHARED:
        assert back[0] is back[1]


@pytest.mark.parametrize(
    "value", [Opaque(), {1, 2}, b"x", np.array([object()]), np.array(["a"]), 1j, lambda: 0]
)
def test_what_is_no_plain_value_is_not_guessed_at(value: Any, tmp_path: Path) -> None:
    with pytest.raises(UnstorableError):
        write(tmp_path / "one.state", {"a": {"value": value}})
    assert list(tmp_path.iterdir()) == []


def test_a_hospital_that_remembers_arrays_is_not_guessed_at() -> None:
    context = Context(
        run_id=1,
        node_id=1,
        node_config={},
        state=RecordDict({"weights": ArrayRecord()}),
        run_config={},
    )
    with pytest.raises(UnstorableError):
        checkpoints._ledgers(context)


PARTS = ("aggregator", "adversary", "observers")


def lasting(run: FederatedRun) -> dict[str, str]:
    """What the parts of a run hold beside what is stored, as text."""
    parts = {
        "aggregator": run.aggregator,
        "adversary": run.adversary,
        **{type(one).__name__: one for one in run.observers},
    }
    return {
        f"{part}.{name}": repr(value)
        for part, one in parts.items()
        for name, value in vars(one).items()
        if name != "state" and name not in WORKED_OUT.get(part, ())
    }


WORKED_OUT = {
    "adversary": ("moved",),
}  # anew each round


def test_nothing_lasts_from_round_to_round_but_what_is_stored() -> None:
    words = ("attack=[backdoor,replay]", "steps=[momentum]")
    fresh, done = FederatedRun(experiment(*SMALL, *words)), finished(experiment(*SMALL, *words))
    assert lasting(done) == lasting(fresh)
    changing = {"weights", "number", "earlier", "seconds"}  # seconds are stored as earlier ones
    others = vars(done).keys() - {*changing, *PARTS}
    assert {name: repr(vars(done)[name]) for name in others} == {
        name: repr(vars(fresh)[name]) for name in others
    }
    for part, state in done.states.items():
        assert part in fresh.states
        assert vars(state).keys() == {field.name for field in fields(state)}


def test_progress_is_stored_every_few_seconds_and_costs_no_more_than_its_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, cost, writes = [0.0], [0.001], list[float]()
    monkeypatch.setattr("sim.study.checkpoints.time.monotonic", lambda: now[0])
    monkeypatch.setattr("sim.study.checkpoints.time.process_time", lambda: now[0])
    monkeypatch.setattr(checkpoints, "_state", lambda *_: {})

    def timed(*_: Any) -> None:
        writes.append(now[0])
        now[0] += cost[0]

    monkeypatch.setattr(checkpoints, "write", timed)
    federated = FederatedRun(experiment(*SMALL))
    progress = checkpoints.Progress(tmp_path, [federated.experiment])
    for cost[0], share in ((0.001, 1 / 3000), (0.5, 0.01)):
        start, before = now[0], len(writes)
        while now[0] < start + 600:
            now[0] += 0.1
            progress.after_round([federated], dict.fromkeys(federated.roster.nodes.values()))
        n = len(writes) - before
        assert n * cost[0] <= 1.1 * share * 600 + cost[0]
        assert cost[0] > 0.1 or n >= 600 / 3.3


def _without(state: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in state.items() if key != name}


def _part(state: dict[str, Any], part: str, value: Any) -> dict[str, Any]:
    return {**state, "parts": {**state["parts"], part: value}}


def _chain(state: dict[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """With other states of steps, rule and optimizer."""
    return _part(state, "aggregator", {"states": change(state["parts"]["aggregator"]["states"])})


OTHER_FORMS: dict[str, Any] = {
    "no parts": lambda state: _without(state, "parts"),
    "a part is not there": lambda state: {**state, "parts": _without(state["parts"], "aggregator")},
    "no weights": lambda state: {**state, "weights": None},
    "a round before the first": lambda state: {**state, "round": -5},
    "a round after the last": lambda state: {**state, "round": 10**6},
    "other weights": lambda state: {**state, "weights": np.zeros(3, np.float32)},
    "a text for a part": lambda state: _part(state, "adversary", "x"),
    "no accounts": lambda state: {**state, "ledgers": []},
    "a text for states": lambda state: _part(state, "aggregator", {"states": "x"}),
    "one state too few": lambda state: _chain(state, lambda found: found[:-1]),
    "no state of a part that keeps one": lambda state: _chain(
        state, lambda found: (None, *found[1:])
    ),
    "a state of a part that keeps nothing": lambda state: _chain(
        state, lambda found: (found[0], found[0], found[2])
    ),
    "a state of a type of nobody": lambda state: _chain(
        state, lambda found: (StoredState("os.system", {}), *found[1:])
    ),
    "a state with another field": lambda state: _chain(
        state, lambda found: (replace(found[0], fields={"more": 1}), *found[1:])
    ),
    "a state without its fields": lambda state: _chain(
        state, lambda found: (replace(found[0], fields={}), *found[1:])
    ),
    "a state of an attack of nobody": lambda state: _part(
        state,
        "adversary",
        {
            "states": {
                ("a", ""): StoredState("attacks._shared.history.Received", {"model": np.zeros(1)})
            }
        },
    ),
}


@pytest.mark.usefixtures("_often")
@pytest.mark.parametrize("change", OTHER_FORMS.values(), ids=OTHER_FORMS.keys())
def test_progress_of_another_form_is_left_aside(
    change: Any, tmp_path: Path, resumed: list[int], capfd: pytest.CaptureFixture[str]
) -> None:
    runs = [experiment(*SMALL, "steps=[momentum]")]
    interrupted(runs, tmp_path)
    (path,) = (tmp_path / FOLDER).glob(checkpoints.FILE)
    write(path, {identity: change(state) for identity, state in states(tmp_path / FOLDER).items()})
    capfd.readouterr()
    assert untimed(list(advance(runs, None, tmp_path))) == untimed(run_together(runs))
    assert resumed == []
    assert "is not used" in capfd.readouterr().err
