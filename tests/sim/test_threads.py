"""Runs compute on one thread of each library, whatever was imported first, and leave the caller's
numbers of threads alone.
"""

import json
import subprocess
import sys
from typing import Any

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from sim.devices import one_thread
from tests import ROOT

# which loads HDBSCAN
FLAME = ("consortium=heart4", "training.rounds=2", "attack=[sign_flip]", "aggregator=flame")
CALIBRATIONS = """
import json
import torch
from threadpoolctl import threadpool_limits
from clients.accounting import ANSWERS, Terms, calibrated

found = []
for n_threads in (1, 2):
    torch.set_num_threads(n_threads)
    threadpool_limits(n_threads)
    ANSWERS.clear()
    found.append(repr(calibrated(8.0, 16 / 42, 9, Terms("add_remove", 1e-5))))
print(json.dumps(found))
"""
NOTEBOOK = """
import functools, json, sys
import numpy, sklearn.cluster, torch
from threadpoolctl import threadpool_info, threadpool_limits

def given(n_threads):
    torch.set_num_threads(n_threads)
    threadpool_limits(n_threads)

def threads():
    libraries = sorted(library["num_threads"] for library in threadpool_info())
    return [torch.get_num_threads(), *libraries]

given(3)
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

def made(n_threads):
    given(n_threads)
    seen.clear()
    (together,) = run_together([experiment(*sys.argv[1:])])
    alone = by_hospital(sys.argv[1:])
    evidence = [flat(json.loads(together.model_dump_json())), flat(alone)]
    return {"before": before, "during": dict(seen), "after": threads(), "evidence": evidence}

print(json.dumps([made(3), made(1)]))
"""


def printed(program: str, *words: str) -> list[Any]:
    """What a process of its own prints."""
    ended = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=ROOT, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def test_a_notebook_that_imports_torch_first_trains_on_one_thread_and_keeps_its_own() -> None:
    three, one = printed(NOTEBOOK, *FLAME)
    assert set(three["before"]) == {3}
    assert three["during"].keys() == {"weigh", "train", "tensors", "scores"}
    assert {n for calls in three["during"].values() for counts in calls for n in counts} == {1}
    assert max(map(len, three["during"]["weigh"])) >= len(three["before"])
    assert set(three["after"]) == {3}
    assert set(one["after"]) == {1}
    assert three["evidence"] == one["evidence"]
    assert all(len(fields) > 100 for fields in one["evidence"])


def test_noise_is_calibrated_to_the_same_digits_on_any_number_of_threads() -> None:
    one, two = printed(CALIBRATIONS)
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
