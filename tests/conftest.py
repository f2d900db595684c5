"""Every plug-in that has a YAML file in conf/ is a test case: ask for ``each_rule``, ``each_step``,
... as an argument.
"""

import gc
import os
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

import hydra.version
import pytest
from hypothesis import settings
from omegaconf import OmegaConf

from attacks.inversion.tableak import TabLeak
from sim.config.build import build
from sim.types import Absence, Node
from tests import ROOT
from tests.toolbox import HAS_ART, OF_ART

gc.disable()  # while tests are collected: nothing of them is dropped

# a busy machine is no failure
settings.register_profile("same-everywhere", deadline=None, derandomize=True)
settings.load_profile("same-everywhere")

# what one process has compiled, the next one need not compile again
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# what a test leaves need not outlast a loss of power, for which a disk takes milliseconds each time
os.fsync = os.fstat

# Hydra reads the same two versions anew hundreds of times in each composition
hydra.version._get_version = cache(hydra.version._get_version)

CONF = ROOT / "conf"
N_HOSTILE = 2  # what ${adversary.n_hostile} is in the tests that run over every plug-in
KINDS = {
    "each_rule": ("aggregator", "aggregators."),
    "each_step": ("steps", "aggregators."),
    "each_secagg": ("secagg", "aggregators."),
    "each_server_optimizer": ("server_optimizer", "aggregators."),
    "each_byzantine": ("attack", "attacks.byzantine."),
    "each_poison": ("attack", "attacks.poison."),
    "each_training": ("attack", "attacks.training."),
    "each_fault": ("attack", "attacks.faults."),
    "each_absence": ("attack", "attacks.faults."),
    "each_inversion": ("attack", "attacks.inversion."),
    "each_inference": ("attack", "attacks.inference."),
    "each_message_fault": ("attack", "attacks.messages."),
    "each_isolation": ("attack", "attacks.isolation."),
    "each_aggregator_attack": ("attack", "attacks.aggregator."),
    "each_protocol_attack": ("attack", "attacks.protocol."),
    "each_release_check": ("attack", "attacks.release."),
}


@cache
def nodes(group: str) -> dict[str, Node]:
    """Name of the YAML file -> its values, for each choice of a group."""
    found = dict[str, Node]()
    for path in sorted((CONF / group).glob("*.yaml")):
        whole = OmegaConf.create(
            {"adversary": {"n_hostile": N_HOSTILE}, "node": OmegaConf.load(path)}
        )
        found[path.stem] = OmegaConf.to_container(whole, resolve=True)["node"]
    return found


@cache
def plugins(kind: str) -> dict[str, Any]:
    """Name of the YAML file -> the plug-in it describes, for one of ``KINDS``."""
    group, package = KINDS[kind]
    made = {
        name: build(group, deepcopy(node))
        for name, node in nodes(group).items()
        if node.get("_target_", "").startswith(package) and (HAS_ART or name not in OF_ART)
    }
    # two kinds of things in one folder: what hostile hospitals send, and honest absences
    if package == "attacks.faults.":
        return {
            name: one
            for name, one in made.items()
            if isinstance(one, Absence) == (kind == "each_absence")
        }
    return made


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first, so that none is left for the end: those that name an
    ``xdist_group``.

    Cases of attacks whose toolbox is not installed are skipped; `make toolbox` runs them.
    """
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)
    for item in items:
        given = getattr(item, "callspec", None)
        if not HAS_ART and given is not None and OF_ART & {*map(str, given.params.values())}:
            item.add_marker(pytest.mark.skip("ART is not installed; `make toolbox` runs it"))


def pytest_collection_finish() -> None:
    """Tests and what they import stay to the end: no search for garbage looks through them again.

    It searches less often than by default, which takes a twentieth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)
    gc.enable()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for kind in set(KINDS) & set(metafunc.fixturenames):
        made = plugins(kind)
        metafunc.parametrize(kind, made.values(), ids=made.keys())
    if "each_plugin" in metafunc.fixturenames:
        made = {
            f"{kind.removeprefix('each_')}-{name}": plugin
            for kind in KINDS
            for name, plugin in plugins(kind).items()
        }
        metafunc.parametrize("each_plugin", made.values(), ids=made.keys())


FEW = 5  # steps of a search for records, which has 1,500, and of its refinement, which has 200


@pytest.fixture(params=["few", pytest.param("all", marks=pytest.mark.slow)])
def steps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """TabLeak takes few of its steps, for tests of what is done with whatever it finds.

    `make privacy` runs these tests with all of its steps.
    """
    if request.param == "few":
        rates, refined = TabLeak._rates, TabLeak._refined

        def few_refined(attack: TabLeak, *given: Any) -> Any:
            return refined(replace(attack, refinements=FEW), *given)

        monkeypatch.setattr(TabLeak, "_rates", lambda attack: rates(attack)[:FEW])
        monkeypatch.setattr(TabLeak, "_refined", few_refined)
    return str(request.param)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without figures, for tests of what they state: drawing takes most of the time."""
    monkeypatch.setattr("reports.page.drawings", lambda *_, **__: iter(()))
