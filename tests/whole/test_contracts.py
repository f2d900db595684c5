"""Who may know a thing is decided by who can import it: an import that is put in on purpose breaks
its contract.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests import ROOT

PACKAGES = ("sim", "clients", "aggregators", "attacks", "threats", "reports")
AGGREGATOR = "The aggregator knows no site, no attack plan and no truth"
HOSPITALS = "Hospitals know their plan and their site only"
ADVERSARY = "The adversary knows no truth and no run"
OBSERVERS = "Observers and the driver hold the four values, not the simulator's configuration"
LAYERS = "The simulator's packages point one way"
ATTACKS = "Attacks know plain values only"
RULES = "Rules know plain values only"
EVIDENCE = "Reports and threats read evidence only"
PLUGINS = "The simulator names no plug-in"
APART = "Attacks and rules do not know each other"
NUMPY = "Rules and Byzantine attacks are plain numpy"
CALLERS = "Only the command line and notebooks call the reports"
FORBIDDEN = {
    ("sim/federation/server.py", "from sim.design.site import Site"): AGGREGATOR,
    ("sim/federation/protocols/plain.py", "from sim.design.truth import GroundTruth"): AGGREGATOR,
    (
        "sim/federation/protocols/secagg/aggregator.py",
        "from sim.design.site import Site",
    ): AGGREGATOR,
    ("aggregators/secagg/protocol.py", "from sim.design.site import Site"): AGGREGATOR,
    ("aggregators/secagg/protocol.py", "from sim.seeds import stream"): RULES,
    ("aggregators/rules/median.py", "from sim.design.attack import AttackPlan"): AGGREGATOR,
    ("sim/design/plan.py", "from sim.study.experiment import load"): AGGREGATOR,
    ("clients/app.py", "from sim.design.attack import AttackPlan"): HOSPITALS,
    ("clients/dp_sgd.py", "from sim.design.truth import GroundTruth"): HOSPITALS,
    ("sim/federation/adversary.py", "from sim.design.truth import GroundTruth"): ADVERSARY,
    ("sim/observers/selection.py", "from sim.study.experiment import Experiment"): OBSERVERS,
    ("sim/config/words.py", "from sim.design.plan import FederationPlan"): LAYERS,
    ("sim/evidence/store.py", "from sim.design.plan import FederationPlan"): LAYERS,
    ("sim/kinds.py", "from sim.config.settings import Settings"): LAYERS,
    ("sim/seeds.py", "from sim.models.network import Network"): LAYERS,
    ("attacks/byzantine/alie.py", "from sim.evidence import RunRecord"): ATTACKS,
    ("attacks/_shared/search.py", "from sim.seeds import stream"): ATTACKS,
    ("aggregators/rules/krum.py", "from sim.federation import wire"): RULES,
    ("threats/register.py", "from sim.study.experiment import Experiment"): EVIDENCE,
    ("reports/page.py", "from sim.config.settings import Settings"): EVIDENCE,
    ("sim/study/run.py", "import clients.app"): PLUGINS,
    ("attacks/byzantine/alie.py", "from aggregators.base import Majority"): APART,
    ("aggregators/rules/median.py", "import torch"): NUMPY,
    ("attacks/byzantine/ipm.py", "import torch"): NUMPY,
    ("sim/study/compare.py", "from reports import page"): CALLERS,
}


def linted(root: Path) -> str:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(
        command, cwd=root, env={"PYTHONPATH": str(root)}, capture_output=True, text=True
    ).stdout


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project's code in which things may be put."""
    root = tmp_path_factory.mktemp("copied")
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def broken(found: str) -> set[str]:
    """Names of the broken contracts."""
    return {
        line[1]
        for line in re.finditer(
            r"^(.+?) *BROKEN(?: \(\d+ ignored imports\))?$", found, re.MULTILINE
        )
    }


def test_the_contracts_hold(copied: Path) -> None:
    found = linted(copied)
    assert "0 broken" in found
    assert broken(found) == set()


@pytest.mark.parametrize(("place", "line"), FORBIDDEN)
def test_an_import_of_what_a_party_must_not_know_breaks_its_contract(
    copied: Path, place: str, line: str
) -> None:
    file = copied / place
    source = file.read_text()
    file.write_text(f"{source}\n\n{line}\n")
    try:
        assert FORBIDDEN[place, line] in broken(linted(copied))
    finally:
        file.write_text(source)


def test_each_contract_is_broken_by_some_import() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert {one["name"] for one in settings["contracts"]} == set(FORBIDDEN.values())


def test_every_module_of_the_simulator_has_a_layer(copied: Path) -> None:
    file = copied / "sim" / "anything.py"
    file.write_text('"""A module that no layer names."""\n')
    try:
        assert "sim.anything" in linted(copied)
    finally:
        file.unlink()
