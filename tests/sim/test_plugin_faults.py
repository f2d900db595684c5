"""A fault in a plug-in's own code is named with the plug-in, its file and its line; a wrong result
is named before round 1.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from sim import blame, kinds
from sim.config import build
from sim.errors import InputError, NotFiniteError, PluginError, RefusedError
from sim.study.experiment import Experiment, load
from sim.study.run import run, run_together
from sim.types import View
from tests.federation import experiment

SMALL = ("consortium=heart4", "adversary.n_hostile=1", "model=logistic", "training.rounds=2")
PLACES = {  # kind of plug-in -> the group of its node, and the module that is put in its place
    "rule": ("aggregator", "aggregators.faulty"),
    "step": ("steps.faulty", "aggregators.faulty"),
    "optimizer": ("server_optimizer", "aggregators.faulty"),
    "secure aggregation": ("secagg", "aggregators.faulty"),
    "hardening": ("hardening", "clients.faulty"),
    "byzantine attack": ("attack.faulty", "attacks.byzantine.faulty"),
    "fault": ("attack.faulty", "attacks.faults.faulty"),
    "poison": ("attack.faulty", "attacks.poison.faulty"),
    "training attack": ("attack.faulty", "attacks.training.faulty"),
    "inversion": ("attack.faulty", "attacks.inversion.faulty"),
    "data set": ("consortium", "sim.datasets.faulty"),
    "model": ("model", "sim.models.faulty"),
}
BODIES = {  # what each does if it is without fault
    "rule": ("view, rng", "view.rows.mean(axis=0)"),
    "step": ("view, rng", "view"),
    "optimizer": ("aggregate, rng", "aggregate"),
    "secure aggregation": ("roll, rng", "tuple((name,) for name in roll.hospitals)"),
    "hardening": ("network, weights, records, schema, rng", "records"),
    "byzantine attack": ("known, rng", "-known.own"),
    "fault": ("reply, rng", "SentReply(reply.update, reply.count)"),
    "poison": ("records, schema, rng", "records"),
    "training attack": ("training", "training"),
    "inversion": (
        "seen, rng",
        "[Guess(seen.view.rows[:1, : seen.schema.n_features]) for _ in seen.view.rows]",
    ),
    "data set": ("seed", "HEART(seed)"),
    "model": ("schema", "FullyConnected((schema.n_features, 1))"),
}
SOURCE = """
from dataclasses import dataclass, replace
from typing import Any, ClassVar
import numpy as np
from torch import nn
from sim.models.mlp import FullyConnected
from sim.models.network import Network
from sim.types import About, Guess, SentReply, Records, View
CALLS = [0]

@dataclass(frozen=True)
class Own(Network):
    make: Any
    first: Any = None

    def build(self):
        return self.make()

    def initialize(self, rng):
        return self.first or super().initialize(rng)

class OnlyItself(Network):
    def build(self):
        return nn.Linear(35, 1)

@dataclass(frozen=True)
class Faulty:
    about: ClassVar[About] = About("Faulty", "none", 2026, uses="updates_and_rule")
    min_rows: ClassVar[int] = 1
    least: ClassVar[int] = 1
    quantization: ClassVar[None] = None
    is_redrawn: ClassVar[bool] = True
    by_records: ClassVar[bool] = False

    def __call__(self, {arguments}):
        CALLS[0] += 1
        good = {body}
        {fault}
        return good
"""


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Gives a function that makes an experiment with a faulty plug-in of a kind."""
    yield lambda kind, fault: _made(kind, fault, tmp_path, monkeypatch)
    for _, module in PLACES.values():
        sys.modules.pop(module, None)


def _made(kind: str, fault: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    key, name = PLACES[kind]
    arguments, body = BODIES[kind]
    source = SOURCE.format(arguments=arguments, body=body, fault=fault)
    path = folder / "faulty.py"
    path.write_text(source)
    good = experiment(*SMALL)
    module = ModuleType(name)
    module.__dict__.update(
        __file__=str(path), HEART=build.built("consortium", good.settings.consortium)
    )
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(
        import_module(name.rpartition(".")[0]), name.rpartition(".")[2], module, raising=False
    )
    exec(compile(source, str(path), "exec"), module.__dict__)
    named = kinds.targets
    monkeypatch.setattr(kinds, "targets", lambda group: (*named(group), f"{name}.Faulty"))
    config = {group: value for group, value in good.config.items() if group != "label"}
    node = {"_target_": f"{name}.Faulty"}
    group, _, item = key.partition(".")
    config[group] = [[item, node]] if item else node
    _forget()
    try:
        return load(config, "faulty")
    finally:
        _forget()


def _forget() -> None:
    from sim.design import plan
    from sim.study import experiment as module

    plan._agreed.cache_clear()
    build._built_once.cache_clear()
    module._consortium.cache_clear()
    module.from_text.cache_clear()


@pytest.mark.parametrize("kind", [kind for kind in PLACES if kind != "fault"])
def test_a_plug_in_that_raises_at_the_check_is_named_with_its_line(kind: str, faulty) -> None:
    with pytest.raises(PluginError) as raised:
        faulty(kind, "1 // 0")
    line = 1 + SOURCE.splitlines().index("        {fault}")
    # it may quote a record
    words = "its message is not shown" if kind == "data set" else "integer division or modulo"
    expected = (
        rf"the plug-in {PLACES[kind][1]}.Faulty raised ZeroDivisionError at .*/faulty.py:{line}:"
        rf" {words}"
    )
    raised.match(f"^{expected}")
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "kind",
    ["rule", "step", "optimizer", "secure aggregation", "byzantine attack", "fault", "inversion"],
)
@pytest.mark.parametrize(
    "engine", [run, lambda one: run_together([one])], ids=["alone", "in lockstep"]
)
def test_a_plug_in_that_raises_in_a_run_is_named_with_its_line(kind: str, engine, faulty) -> None:
    n_checked = {"fault": 0, "inversion": 1, "secure aggregation": 1}.get(
        kind, 4
    )  # calls before round 1, at most
    one = faulty(kind, f"if CALLS[0] > {n_checked}: {{}}['missing']")
    expected = (
        rf"^the plug-in {PLACES[kind][1]}.Faulty raised KeyError at .*faulty.py:\d+: 'missing'$"
    )
    with pytest.raises(PluginError, match=expected):
        [engine(one) for _ in range(6)]


WRONG = {
    "rule": {
        "good * np.nan": "returned values that are not finite for small finite updates",
        "good[:1]": r"returned shape \(1,\), expected shape \(3,\)",
        "good[None]": r"returned shape \(1, 3\)",
        "good.astype(complex)": "returned dtype <c16, expected floats",
        "good.astype(int)": "returned dtype <i8, expected floats",
        "list(good)": r"returned \[an object of type .*expected an array of shape \(3,\)",
        "None": "returned None, expected an array",
    },
    "step": {
        "replace(good, rows=good.rows / 0)": "returned values that are not finite",
        "replace(good, rows=good.rows[:, :1])": r"returned shape \(4, 1\), expected shape \(4, 3\)",
        "replace(good, rows=good.rows[:2])": r"returned shape \(2, 3\), expected shape \(4, 3\)",
        "good.rows": "returned an object of type ndarray, expected View",
    },
    "optimizer": {
        "good[:1]": r"returned shape \(1,\)",
        "good * np.inf": "not finite",
        "0.5": "returned 0.5, expected an array",
    },
    "secure aggregation": {
        "None": "returned an object of type NoneType, expected tuple",
        "good[1:]": "expected groups with each hospital once",
        "(*good, good[0])": "expected groups with each hospital once",
        "(*good, ())": "expected groups with each hospital once",
        "(good[0][0], *good[1:])": "returned an object of type str, expected tuple",
    },
    "byzantine attack": {
        "good[0]": r"returned shape \(3,\), expected shape \(1, 3\)",
        "None": "returned None",
    },
    "poison": {
        "None": "returned an object of type NoneType, expected Records",
        "Records(good.features[:, :1], good.labels)": r"returned shape",
        "Records(good.features.astype(float), good.labels)": (
            "returned dtype float64, expected float32"
        ),
        "good.take([])": "expected one label a record, at least one record",
    },
    "hardening": {
        "None": "returned an object of type NoneType, expected Records",
        "good.take([0])": r"returned shape \(1,\), expected shape \(2,\)",
        "Records(good.features.astype(float), good.labels)": "expected float32",
    },
    "training attack": {"None": "expected Training"},
    "inversion": {
        "None": "returned None, expected a list of 1 guesses",
        "2 * good": "expected a list of 1 guesses",
        "[good[0].records]": "returned an object of type ndarray, expected Guess",
        "[Guess(good[0].records[:, :2])]": r"returned shape \(1, 2\), expected shape \(1, 35\)",
        "[Guess(good[0].records, 2.0)]": "returned the share 2.0, expected one from 0 to 1",
    },
    "data set": {"[good]": "returned an object of type list, expected Consortium"},
    "model": {
        "None": "returned an object of type NoneType, expected Network",
        "good.module()": "returned an object of type Sequential, expected Network",
        "FullyConnected((schema.n_features, 2))": (
            r"returned outputs of shape \(3, 2\), expected shape \(3,\)"
        ),
        "Own(nn.Sequential)": "returned a network of 0 parameters",
        "Own(lambda: nn.Sequential(nn.BatchNorm1d(35), nn.Linear(35, 1)))": (
            "returned a network with buffers"
        ),
        "Own(lambda: nn.Sequential(nn.Dropout(), nn.Linear(35, 1)))": (
            "expected one that torch.func.vmap can take"
        ),
        "Own(lambda: nn.Linear(35, 1).requires_grad_(False))": (
            "expected parameters, all of them trained"
        ),
        "FullyConnected((3, 1))": "returned a network that fails: .*, expected one for 35 features",
        "OnlyItself()": "returned a OnlyItself that is no value, expected a frozen dataclass",
    },
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, values in WRONG.items() for value in values]
)
def test_a_plug_in_that_returns_what_it_may_not_is_named_at_the_check(
    kind: str, value: str, faulty
) -> None:
    with pytest.raises(
        PluginError, match=rf"^the plug-in {PLACES[kind][1]}.Faulty .*{WRONG[kind][value]}"
    ) as raised:
        faulty(kind, f"good = {value}")
    assert "\n" not in str(raised.value)


def test_a_rule_that_is_not_finite_in_a_run_skips_the_round(faulty) -> None:
    one = faulty("rule", "good = good * (np.nan if len(good) > 3 and CALLS[0] % 2 else 1)")
    record = run(one)
    assert 0 < len(record.skipped_rounds) < 2
    assert np.isfinite(record.value("auroc"))


def test_the_reason_of_a_rule_that_is_not_finite_names_it(faulty) -> None:
    one = faulty("rule", "good = good * (np.nan if len(good) > 3 else 1)")
    view = View(np.ones((4, 5), np.float32), (("a",), ("b",), ("c",), ("d",)), np.ones(4))
    with pytest.raises(
        NotFiniteError, match=r"^aggregators\.faulty\.Faulty returned values that are not finite$"
    ):
        one.plan.chain.run(view, np.random.default_rng(0))
    # an attack that searches may look at it
    assert np.isnan(one.plan.chain(view, np.random.default_rng(0))).all()


def test_a_refusal_is_no_fault(faulty) -> None:
    with pytest.raises(InputError, match=r"^aggregator=Faulty: no$"):
        faulty("rule", "from sim.errors import RefusedError; raise RefusedError('no')")


def test_a_fault_elsewhere_is_blamed_on_no_plug_in() -> None:
    with pytest.raises(ZeroDivisionError), blame.blaming(["aggregators.rules.median.Median"]):
        _ = 1 // 0
    with pytest.raises(KeyboardInterrupt), blame.blaming(["aggregators.rules.median.Median"]):
        raise KeyboardInterrupt


def test_the_text_of_a_plug_ins_exception_is_one_short_line(faulty) -> None:
    with pytest.raises(PluginError) as raised:
        faulty(
            "rule", "raise ValueError('a' + chr(10) + chr(27) + '[2J' + chr(0xd800) + 'x' * 10**6)"
        )
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 1000
    with pytest.raises(PluginError, match="no message"):
        faulty("rule", "raise type('Silent', (Exception,), {'__str__': lambda self: 1 / 0})()")


@pytest.mark.parametrize("error", [PluginError("a.B", "raised"), NotFiniteError("a.B")])
def test_the_errors_survive_the_way_between_processes(error: Exception) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert isinstance(NotFiniteError("a.B"), RefusedError)
