"""The engines give the same model; a device that is not there is refused; memory is stated
beforehand.
"""

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

from clients import batched
from sim.devices import device
from sim.errors import InputError, RefusedError
from sim.evidence import RunRecord
from sim.federation import wire
from sim.federation.driver import Roster
from sim.federation.engines import ray
from sim.study.costs import group_bytes, needed_bytes, resident_bytes
from sim.study.experiment import Experiment
from sim.study.run import FederatedRun, run
from tests.federation import experiment, plan

NO_RAY = find_spec("ray") is None and "Ray is not installed: pip install 'wardround[ray]'"
SMALL = ("consortium=heart4", "training.rounds=3", "attack=[label_flip]", "aggregator=median")


def traced(monkeypatch: pytest.MonkeyPatch, one: Experiment) -> tuple[RunRecord, np.ndarray]:
    """The record and the final model of a run."""
    models, record = list[np.ndarray](), FederatedRun.record

    def spy(federated: FederatedRun, *rest: Any) -> RunRecord:
        models.append(federated.weights)
        return record(federated, *rest)

    monkeypatch.setattr(FederatedRun, "record", spy)
    return run(one), models[0]


@pytest.mark.skipif(bool(NO_RAY), reason=str(NO_RAY))
def test_ray_gives_the_model_and_the_evidence_of_the_local_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there, model = traced(monkeypatch, experiment(*SMALL, "engine=ray"))
    here, expected = traced(monkeypatch, experiment(*SMALL))
    assert np.abs(model - expected).max() <= 1e-5
    assert there.value("auroc") == pytest.approx(here.value("auroc"))
    assert there.engagement == here.engagement
    assert there.value("attack_distance") == pytest.approx(here.value("attack_distance"), rel=1e-4)
    assert there.config["engine"] == {"name": "ray"}


def test_ray_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.federation.engines.ray.find_spec", lambda _: None)
    with pytest.raises(
        InputError, match=r"^engine=ray: expected engine=local, or Ray installed with"
    ):
        run(experiment(*SMALL, "engine=ray"))


def test_hospitals_that_do_not_start_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    class Deserted:
        def get_node_ids(self) -> list[int]:
            return [7]

    monkeypatch.setattr(ray, "PATIENCE", 0.0)
    with pytest.raises(RefusedError, match="1 of 4 hospitals"):
        ray._nodes(Deserted(), 4)


def test_nodes_are_enrolled_as_the_hospitals_that_they_claim_to_be() -> None:
    wire.enter_process()
    asked = wire.roll_call([10, 20, 30, 40])
    replies = [wire.present({30: 2, 10: 3, 20: 0, 40: 1}[m.metadata.dst_node_id], m) for m in asked]
    names = ("a", "b", "c", "d")
    roster = Roster.enrolled(names, *wire.enrolled(replies, asked, 4))
    assert list(roster.nodes.items()) == list(zip(names, [20, 40, 30, 10], strict=True))
    assert roster.absent == {}


def test_a_gpu_that_is_not_there_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    device.cache_clear()
    with pytest.raises(
        InputError,
        match=r"^device=cuda: expected auto or cpu, because torch finds no CUDA GPU here$",
    ):
        experiment("device=cuda")
    assert device("auto") == torch.device("cpu")
    device.cache_clear()


@pytest.mark.parametrize(("name", "expected"), [("cpu", "cpu"), ("auto", "cuda"), ("cuda", "cuda")])
def test_auto_is_a_gpu_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, name: str, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    device.cache_clear()
    assert device(name) == torch.device(expected)
    device.cache_clear()


def test_the_batch_trains_on_the_device_of_the_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    used = list[torch.device]()
    original: Callable[..., Any] = batched.updates

    def spy(network: Any, jobs: Any, optimizer: Any, where: torch.device) -> Any:
        used.append(where)
        return original(network, jobs, optimizer, torch.device("cpu"))

    monkeypatch.setattr("clients.batched.updates", spy)
    one = experiment(*SMALL)
    monkeypatch.setattr("clients.app.device", lambda name: torch.device({"cpu": "meta"}[name]))
    run(one)
    assert set(used) == {torch.device("meta")}


MEASURE = """
import re
from pathlib import Path
from tests.federation import plan
from sim.study.costs import group_bytes
from sim.study.run import run_together
from tests.sim.federation.test_engines import LARGE
runs = plan([*LARGE], ["sign_flip"], ["median"], 2)
small = plan([*LARGE, "model.hidden=[2]"], ["sign_flip"], ["median"], 1)
run_together(small)  # loads whatever is loaded late
def peak():  # of this program; the one of getrusage starts from that of the process that started it
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
before = peak()
run_together(runs)
print(peak() - before, group_bytes(runs, 1))
"""
LARGE = (
    "consortium=heart12",
    "model.hidden=[512,256]",
    "training.rounds=2",
    "training.batch_size=64",
)


def test_the_memory_stated_beforehand_is_within_twice_of_what_a_comparison_takes() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True
    )
    extra, stated = map(int, done.stdout.split())
    assert stated / 2 <= extra <= stated * 2


def test_memory_grows_with_workers_and_never_with_more_groups() -> None:
    few, many = (plan([*LARGE], ["sign_flip"], ["median"], n) for n in (1, 40))
    assert group_bytes(many, 1) <= 24 * group_bytes(few[:1], 1)
    assert needed_bytes(many, 2) >= 2 * resident_bytes()
    assert needed_bytes(few, 2) > needed_bytes(few, 1)


# --- messages


def plain_of(message: Message) -> dict[str, Any]:
    """Metadata of a message, without the moment of its making."""
    return {
        key: value
        for key, value in vars(message.metadata).items()
        if key not in ("_created_at", "_ttl", "delivered_at")
    }


def test_messages_are_those_that_flower_makes_with_all_its_checks() -> None:
    wire.enter_process()
    values = np.arange(3, dtype=np.float32)
    weights, config = wire.shared({wire.WEIGHTS: values}), wire.settings("0" * 64)
    content = RecordDict(
        {wire.ARRAYS: weights, wire.CONFIG: ConfigRecord({**config, wire.ROUND: 4})}
    )
    asked = wire.ask(4, values, config, [7, 9])
    for message, node in zip(asked, (7, 9), strict=True):
        assert plain_of(message) == plain_of(Message(content, node, "train"))
        assert message.content == content
        assert message.metadata.ttl > 0
    answered = wire.answer(values, 5, {"epsilon": 1.0}, asked[1])
    stated = {wire.COUNT: 5, "epsilon": 1.0}
    checked = RecordDict(
        {wire.ARRAYS: ArrayRecord({wire.UPDATE: Array(values)}), wire.METRICS: MetricRecord(stated)}
    )
    assert plain_of(answered) == plain_of(Message(checked, reply_to=asked[1]))
    assert answered.content.metric_records == checked.metric_records
    (sent,), (expected,) = (
        record.array_records[wire.ARRAYS].values() for record in (answered.content, checked)
    )
    assert (sent.dtype, sent.shape, sent.stype, sent.data) == (
        expected.dtype,
        expected.shape,
        expected.stype,
        expected.data,
    )
