"""The protocol and the attacks on it in Flower's simulation on Ray, as in this process."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

from sim.evidence import RunRecord
from sim.study.run import run, run_together
from tests.federation import experiment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
]
SMALL = ("consortium=heart4", "training.rounds=2", "secagg=protocol")
ATTACKS = {
    "collusion": ("adversary.n_hostile=3",),
    "disaggregation": ("adversary.n_hostile=1",),
    "model_inconsistency": ("adversary.n_hostile=0", "secagg.consistency=false"),
    "key_substitution": ("adversary.n_hostile=0", "secagg.signed_keys=false"),
    "dropout_lie": ("adversary.n_hostile=2", "secagg.threshold=3"),
    "share_tampering": ("adversary.n_hostile=1",),
}


@pytest.fixture(autouse=True)
def workers_find_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))


def outcomes(record: RunRecord) -> dict[tuple[str, str | None], float | None]:
    return {(one.metric, one.subject): one.value for one in record.outcomes}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_works_out_on_ray_what_it_does_in_this_process(attack: str) -> None:
    words = (*SMALL, f"attack=[{attack}]", *ATTACKS[attack])
    there = run(experiment(*words, "engine=ray"))
    here = run(experiment(*words))
    assert there.screened == here.screened
    assert there.skipped_rounds == here.skipped_rounds
    found, expected = outcomes(there), outcomes(here)
    assert found.keys() == expected.keys()
    for one, value in expected.items():
        assert found[one] == pytest.approx(value, abs=1e-4), one
    recovered = here.value("updates_recovered")
    print(f"{attack}: updates recovered {recovered}, {len(here.screened)} replies not used")
    if attack not in ("disaggregation", "share_tampering"):
        assert recovered is not None
        assert recovered > 0


def test_forty_rounds_on_heart12_cost_no_auroc_and_are_alike_on_each_engine() -> None:
    words = ("consortium=heart12", "training.rounds=40", "adversary.n_hostile=0")
    masked = experiment(*words, "secagg=protocol")
    together, plain = run_together([masked, experiment(*words)])
    alone = run(masked)
    there = run(experiment(*words, "secagg=protocol", "engine=ray"))
    scores = [one.value("auroc") or 0.0 for one in (plain, together, alone, there)]
    print("AUROC of none, and of protocol in lockstep, alone and on Ray:", scores)
    assert all(abs(score - scores[0]) < 0.005 for score in scores)
    assert scores[1] == scores[2] == pytest.approx(scores[3], abs=1e-4)
    assert there.skipped_rounds == together.skipped_rounds == []
    for metric in ("messages", "bytes_sent", "bytes_received"):
        assert there.value(metric) == together.value(metric) == alone.value(metric)
    print("seconds in lockstep (half of two runs), alone, on Ray:", together.seconds, alone.seconds)
    print(there.seconds)
