"""Runs compute on one thread of each library, whatever was imported first, and leave the caller's
numbers of threads alone.
"""

import json
import subprocess
import sys

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from sim.devices import one_thread
from tests import ROOT

# which loads HDBSCAN
FLAME = ("consortium=heart4", "training.rounds=2", "attack=[sign_flip]", "aggregator=flame")
CALIBRATION = """
import sys
import torch
from threadpoolctl import threadpool_limits
from clients.accounting import Terms, calibrated

torch.set_num_threads(int(sys.argv[1]))
threadpool_limits(int(sys.argv[1]))
print(repr(calibrated(8.0, 16 / 42, 9, Terms("add_remove", 1e-5))))
"""
NOTEBOOK = """
import functools, json, sys
import numpy, sklearn.cluster, torch
from threadpoolctl import threadpool_info, threadpool_limits

torch.set_num_threads(int(sys.argv[1]))
threadpool_limits(int(sys.argv[1]))

def threads():
    libraries = sorted(library["num_threads"] for library in threadpool_info())
    return [torch.get_num_threads(), *libraries]

before, seen = threads(), {}

def spied(owner, name, counted=lambda *_: True):
    original = getattr(owner, name)

    @functools.wraps(original)
    def spy(*args, **options):
        found = original(*args, **options)
        if counted(*args):
            seen.setdefault(name, []).append(threads())
        return found

    setattr(owner, name, spy)

import clients.app, clients.batched.general, clients.batched.layers, clients.training
from aggregators.rules.flame import Flame
from sim.models.mlp import FullyConnected
from sim.study.run import run, run_together
from tests.federation import experiment
from tests.golden.adapter import by_hospital
from tests.golden.difference import flat

def in_a_round(_, view, *rest):  # not in its tries before round 1
    return view.rows.shape[1] > 3

spied(Flame, "weigh", in_a_round)
spied(clients.batched.layers, "train")
spied(clients.training, "tensors")
spied(FullyConnected, "scores")
threadpool_limits(int(sys.argv[1]))
(together,) = run_together([experiment(*sys.argv[2:])])
alone = by_hospital(sys.argv[2:])
evidence = [flat(json.loads(together.model_dump_json())), flat(alone)]
result = {"before": before, "during": seen, "after": threads(), "evidence": evidence}
print(json.dumps(result))
"""


def notebook(n_threads: int, *words: str) -> dict[str, list]:
    """What a process sees that imports numpy and torch, has them use so many threads, and then runs
    something.
    """
    program = [sys.executable, "-c", NOTEBOOK, str(n_threads), *words]
    ended = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def test_a_notebook_that_imports_torch_first_trains_on_one_thread_and_keeps_its_own() -> None:
    three, one = notebook(3, *FLAME), notebook(1, *FLAME)
    assert set(three["before"]) == {3}
    assert three["during"].keys() == {"weigh", "train", "tensors", "scores"}
    assert {n for calls in three["during"].values() for counts in calls for n in counts} == {1}
    assert max(map(len, three["during"]["weigh"])) >= len(three["before"])
    assert set(three["after"]) == {3}
    assert three["evidence"] == one["evidence"]
    assert all(len(fields) > 100 for fields in one["evidence"])


def test_noise_is_calibrated_to_the_same_digits_on_any_number_of_threads() -> None:
    programs = [[sys.executable, "-c", CALIBRATION, n] for n in ("1", "2")]
    one, two = (
        subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for words in programs
    )
    assert one == two


def counts() -> list[int]:
    return [torch.get_num_threads(), *(library["num_threads"] for library in threadpool_info())]


@pytest.fixture
def two() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with threadpool_limits(2):
        yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two")
def test_blocks_in_one_another_leave_the_numbers_as_they_were() -> None:
    with one_thread():
        with one_thread():
            assert set(counts()) == {1}
        assert set(counts()) == {1}
    assert set(counts()) == {2}


@pytest.mark.usefixtures("two")
def test_numbers_are_as_before_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), one_thread():
        1 / 0  # noqa: B018
    assert set(counts()) == {2}
