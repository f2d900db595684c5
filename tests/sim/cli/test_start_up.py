"""A command that trains nothing imports no library that trains, and objects found by name stand in
one file.
"""

import ast
import json
import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from sim import names
from tests import ROOT

TRAINS = ("flwr", "matplotlib", "opacus", "ray", "sklearn", "sim.study.run")
COMPUTES = (*TRAINS, "torch", "scipy", "polars")
ANYTHING = (*COMPUTES, "hydra", "numpy", "omegaconf", "pydantic", "rich")
CONFIGURATION = (*COMPUTES, "numpy", "pydantic", "rich")
# The network is tried, and a step of its training is timed: with torch, but not with what torch
# compiles with.
EXPLAINS = (*TRAINS, "scipy", "sympy", "torch._dynamo")
# commands that one process runs one after the other, and what it does without
WITHOUT = {
    ("--help", "--version"): ANYTHING,
    (
        "run --help",
        "run --cfg job",
        "compare --cfg all attacks=[alie] defenses=[flame,dp_record]",
    ): CONFIGURATION,
    ("validate --help",): (*COMPUTES, "hydra", "numpy", "pydantic", "rich"),
    ("audit --help",): (*COMPUTES, "numpy", "pydantic"),
    ("report --help",): (*COMPUTES, "hydra", "numpy", "pydantic"),
    ("init --schema",): (*COMPUTES, "hydra", "rich"),
    ("list attack",): COMPUTES,
    ("list",): (*TRAINS, "torch", "scipy"),  # data sets take their records from polars
    ("explain", "explain attacks=[sign_flip,label_flip] defenses=[krum,secagg]"): EXPLAINS,
    ("explain model=cnn consortium=digits",): (
        "flwr",
        "matplotlib",
        "opacus",
        "ray",
        "sim.study.run",
        "sympy",
        "torch._dynamo",
    ),
}
PROGRAM = """
import json, sys
from sim.cli.command import main
codes = [main(words.split()) for words in sys.argv[1:]]
print(json.dumps([codes, sorted(sys.modules)]))
"""
PROJECT = r"(sim|clients|aggregators|attacks|reports|threats|conf)(\.\w+)+"


@pytest.mark.parametrize("commands", WITHOUT, ids=", ".join)
def test_a_command_that_trains_nothing_imports_no_more_than_it_needs(
    commands: tuple[str, ...], tmp_path: Path
) -> None:
    program = [sys.executable, "-c", PROGRAM, *commands]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    ended = subprocess.run(
        program, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    codes, imported = json.loads(ended.stdout.splitlines()[-1])
    assert codes == [0] * len(commands), ended.stderr
    assert not set(WITHOUT[commands]) & set(imported)
    assert not list(tmp_path.iterdir())


def test_a_command_that_shares_its_runs_out_imports_nothing_that_trains(tmp_path: Path) -> None:
    runs = "attacks=[sign_flip,analytic_inversion] defenses=[median] training.rounds=1 workers=2"
    command = f"compare consortium=heart4 {runs} hydra.run.dir={tmp_path}"
    program = [sys.executable, "-c", PROGRAM, command]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    ended = subprocess.run(
        program, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    codes, imported = json.loads(ended.stdout.splitlines()[-1])
    assert codes == [0], ended.stderr
    assert "reports.page" in imported
    late = {"torch", "flwr", "opacus", "sklearn", "scipy.stats", "sim.study.run"}
    assert not late & set(imported)


def test_names_of_objects_stand_in_one_file() -> None:
    found = set[str]()
    for package in ("sim", "clients", "aggregators", "attacks", "reports", "threats"):
        for path in (ROOT / package).rglob("*.py"):
            texts = [
                node.value
                for node in ast.walk(ast.parse(path.read_text("utf-8")))
                if isinstance(node, ast.Constant)
            ]
            named = [
                text for text in texts if isinstance(text, str) and re.fullmatch(PROJECT, text)
            ]
            found |= {f"{path.relative_to(ROOT)}: {text}" for text in named}
    stated = {name: value for name, value in vars(names).items() if name.isupper()}
    assert {text for text in found if not text.startswith("sim/names.py: ")} == set()
    for value in stated.values():
        for name in [value] if isinstance(value, str) else value:
            assert f"sim/names.py: {name}" in found
            module, _, attribute = name.rpartition(".")
            assert hasattr(import_module(module), attribute) or find_spec(name) is not None
