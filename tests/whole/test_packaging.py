"""What is installed is all there, its versions are pinned, and the folders know of each other only
what they may.
"""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest
from hatchling.build import build_wheel
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
OF_EXTRAS = {
    "art": "adversarial-robustness-toolbox",
    "mlflow": "mlflow",
}  # imported where it is asked for
PUBLIC_FLOWER = ("flwr", "flwr.app", "flwr.clientapp", "flwr.serverapp", "flwr.simulation")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    before = Path.cwd()
    os.chdir(ROOT)  # a build back end is called in the project's folder
    try:
        name = build_wheel(str(folder))
    finally:
        os.chdir(before)
    with zipfile.ZipFile(folder / name) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    tracked = {
        path.relative_to(ROOT)
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {path.relative_to(wheel) for path in wheel.rglob("*") if path.is_file()}
    assert {path for path in packed if ".dist-info" not in path.parts[0]} == tracked
    assert {".yaml", ".csv", ".md", ".py"} <= {path.suffix for path in tracked}


INSTALLED = """
import json, sys
import sim
from sim.cli.command import main
print(json.dumps([sim.__file__, [main(words) for words in json.loads(sys.argv[1])]]))
"""


def test_the_wheel_works_where_it_is_installed(wheel: Path, tmp_path: Path) -> None:
    """Outside the checkout, from its own data, configurations and templates."""
    (built,) = wheel.parent.glob("*.whl")
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*pip, "--target", site, built], check=True, capture_output=True)
    assert "sim.cli.command" in (site / "bin" / "wardround").read_text()
    commands = [
        ["list", "krum"],
        ["init", "mine"],
        ["new", "rule", "midway", "rules"],
        ["run", "consortium=heart4", "model=logistic", "training.rounds=1", "hydra.run.dir=out"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", INSTALLED, json.dumps(commands)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [str(site / "sim/__init__.py"), [0, 0, 0, 0]]
    assert (tmp_path / "out/report/index.html").is_file()


def test_the_version_is_that_of_the_package(wheel: Path) -> None:
    import sim

    assert f"wardround-{sim.__version__}.dist-info" in {path.name for path in wheel.iterdir()}


def test_the_command_leads_to_a_function() -> None:
    module, name = PROJECT["project"]["scripts"]["wardround"].split(":")
    tree = ast.parse((ROOT / (module.replace(".", "/") + ".py")).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_direct_dependency_is_pinned_within_its_bounds() -> None:
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if not line.startswith("#")
    )
    for text in (
        *PROJECT["project"]["dependencies"],
        *chain.from_iterable(PROJECT["project"]["optional-dependencies"].values()),
    ):
        needed = Requirement(text)
        assert pins[canonicalize_name(needed.name)] in needed.specifier


def test_every_outside_import_is_a_declared_dependency() -> None:
    declared = {
        canonicalize_name(Requirement(text).name) for text in PROJECT["project"]["dependencies"]
    }
    origin = packages_distributions()
    extras = PROJECT["project"]["optional-dependencies"]
    for path, name in imports():
        top = name.split(".")[0]
        if top in OF_EXTRAS:
            found = {canonicalize_name(Requirement(text).name) for text in extras[top]}
            assert OF_EXTRAS[top] in found, f"{path} imports {name}"
        elif top not in PACKAGES and top not in sys.stdlib_module_names:
            assert {canonicalize_name(found) for found in origin[top]} & declared, (
                f"{path} imports {name}"
            )


def test_the_constraints_are_pins_and_name_no_place_to_load_from() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert line.startswith("# ") or re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line)


def test_make_help_lists_every_target() -> None:
    command = ["make", "--no-print-directory", "help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets is not None
    assert [line.split()[1] for line in shown.splitlines()] == targets[1].split()


def test_the_changelog_has_a_day_for_the_version() -> None:
    import sim

    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"(?m)^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$", text)
    assert released[0] == sim.__version__
    assert text.index("## [Unreleased]") < text.index(f"## [{released[0]}]")


@pytest.mark.parametrize(("installed", "steps"), [(False, "123"), (True, "3")])
def test_the_demo_states_the_steps_that_are_left(
    installed: bool, steps: str, tmp_path: Path
) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    if installed:
        (tmp_path / ".venv/bin").mkdir(parents=True)
        (tmp_path / ".venv/bin/python").touch()
        (tmp_path / ".venv/.run").touch()
    command = ["make", "--dry-run", "demo"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"Step (\d) of 3", shown) == list(steps)
    assert ("pip install" in shown) == (not installed)


def test_the_container_has_what_the_wheel_has_with_the_same_pins_and_no_rights() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = {line.split()[1] for line in lines if line.startswith("COPY ") and "." not in line}
    assert copied == set(PACKAGES)
    text = "\n".join(lines)
    assert text.count("pip install") == text.count("--constraint constraints.txt") == 2
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users == ["wardround"]
    assert text.index("USER wardround") > text.rindex("RUN ")
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"
    }
    assert allowed == {*PACKAGES, "constraints.txt", "pyproject.toml", "README.md", "LICENSE"}


def test_the_container_names_files_versions_and_a_program_that_there_are() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    sources = [
        source
        for line in text.splitlines()
        if line.startswith("COPY ")
        for source in line.split()[1:-1]
    ]
    assert [source for source in sources if not (ROOT / source).exists()] == []
    (base,) = re.findall(r"(?m)^FROM python:(\d+\.\d+)-slim-\w+$", text)
    assert base in PROJECT["project"]["requires-python"]
    assert f"Programming Language :: Python :: {base}" in PROJECT["project"]["classifiers"]
    # hatchling finds every package, empty or not, in the step that installs what they need
    (made,) = re.findall(r"RUN mkdir ([a-z ]+?) +&&", text)
    assert {"sim", *made.split()} == set(PACKAGES)
    (program,) = re.findall(r'(?m)^ENTRYPOINT \["(\w+)"\]$', text)
    assert program in PROJECT["project"]["scripts"]
    assert f"pip uninstall --yes {PROJECT['project']['name']}" in text
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert re.search(r"(?m)^torch==\d+(\.\d+)+$", pins)  # a local label satisfies it


def test_only_the_wire_imports_what_flower_keeps_private() -> None:
    private = {(path, name) for path, name in imports() if is_private(name)}
    assert {path for path, _ in private} <= {"sim/federation/wire/flower.py"}


@pytest.mark.parametrize(
    "name", ["flwr.common", "flwr.supercore.address", "flwr.server.grid", "flwr.commonx"]
)
def test_private_flower_is_recognized(name: str) -> None:
    assert is_private(name)
    assert not is_private("flwr.serverapp.strategy")
    assert not is_private("numpy")


@pytest.mark.parametrize("package", ["aggregators", "attacks/byzantine"])
def test_rules_and_byzantine_attacks_also_import_lazily_no_framework(package: str) -> None:
    heavy = {
        (path, name)
        for path, name in imports()
        if path.startswith(package) and name.split(".")[0] in ("flwr", "hydra", "torch")
    }
    assert not heavy


def test_nothing_unpickles() -> None:
    assert not {
        (path, name)
        for path, name in imports()
        if name.split(".")[0] in ("pickle", "cloudpickle", "dill")
    }


def is_private(name: str) -> bool:
    return name.split(".")[0] == "flwr" and ".".join(name.split(".")[:2]) not in PUBLIC_FLOWER


def imports() -> Iterator[tuple[str, str]]:
    """Every import in the packages, at any depth of nesting: file, module."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    yield from ((str(path.relative_to(ROOT)), alias.name) for alias in node.names)
                if isinstance(node, ast.ImportFrom) and node.module:
                    yield str(path.relative_to(ROOT)), node.module
