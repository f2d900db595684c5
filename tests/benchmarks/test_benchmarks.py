"""The benchmarks run, measure the same work on each side, and write what they state; no test here
asserts a time.
"""

import gc
import json
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import plain
from benchmarks.tools import best_seconds, peak_memory
from sim.observers.evaluation import Evaluation
from tests.federation import alone, experiment, finished


@pytest.mark.parametrize("name", sorted(command.found()))
def test_every_benchmark_writes_rows_ratios_and_a_figure(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # before each figure of memory, none of which counts here: this process has much to look through
    monkeypatch.setattr(gc, "collect", lambda: 0)
    command.main([name, "--quick", "--out", str(tmp_path)])
    result = json.loads((tmp_path / f"{name}.json").read_text())
    assert result["quick"] is True
    assert result["machine"]["cores"] >= 1
    assert result["rows"]
    assert all(
        isinstance(value, (int, float)) and np.isfinite(value)
        for value in result["ratios"].values()
    )
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    if name == "comparison":  # the command makes the same runs as the engine, and more around them
        engine, whole = result["rows"][:2]
        assert [engine["side"], whole["side"]] == ["this engine", "whole command"]
        assert whole["runs"] == engine["runs"]
        assert "plain loop / whole command" in result["ratios"]


def test_an_unknown_benchmark_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(["speedy"])
    assert "no benchmark named speedy" in capsys.readouterr().err


@pytest.mark.parametrize("model", ["mlp", "logistic"])
def test_the_plain_loop_does_the_same_work(model: str) -> None:
    one = experiment("consortium=heart12", f"model={model}", "training.rounds=5")
    (weights, worth), federated = plain.train(one), finished(one, alone(one))
    assert np.abs(weights - federated.weights).max() <= 1e-5
    found = federated.observer(Evaluation).evaluator.outcomes(federated.weights)
    pooled = {one.metric: one.value for one in found if one.subject is None}
    assert worth[-1] == pytest.approx((pooled["auroc"], pooled["brier"]), abs=1e-5)
    assert len(worth) == 5


def test_the_best_of_alternating_turns_counts() -> None:
    turns, naps = list[str](), iter([0.03, 0.0, 0.03])
    best = best_seconds(
        {"a": lambda: turns.append("a"), "b": lambda: (turns.append("b"), time.sleep(next(naps)))},
        3,
    )
    assert turns == ["a", "b"] * 3
    assert best["b"] < 0.03


def test_peak_memory_sees_what_is_held_for_a_moment() -> None:
    with peak_memory(every=0.001) as peak:
        before = peak[0]
        held = np.ones(40_000_000)
        time.sleep(0.1)
        del held
    assert 300e6 < peak[0] - before < 400e6
