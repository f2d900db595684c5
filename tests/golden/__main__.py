"""Golden evidence: every kind of run, recorded once, and held to it by every later commit.

    python -m tests.golden record [FILE]    run all and write their evidence
    python -m tests.golden compare [FILE]   run all and print the fields that differ from FILE's
    python -m tests.golden against COMMIT   run all by this code and COMMIT's; print what differs

FILE is the one that the tests compare with, unless given; fields are compared digit for digit.
``--only NAME ...`` runs less: commands and hospital/NAME as in ``tests.golden.cases``; ``record``
then leaves the others in FILE as they are.
Exit code 0 if nothing differs, 1 if something does.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path

from tests.golden import difference, record
from tests.golden.cases import BY_HOSPITAL, COMMANDS
from tests.golden.difference import Difference

HERE = Path(__file__).parent
RECORDED = HERE / "recorded.jsonl.gz"
ADAPTER = "adapter.py"  # each commit has its own, where it has one
MOST_SHOWN = 200
NAMES = [*COMMANDS, *(f"hospital/{name}" for name in BY_HOSPITAL)]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.golden",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("record", "compare"):
        commands.add_parser(name).add_argument("file", nargs="?", type=Path, default=RECORDED)
    commands.add_parser("against").add_argument("commit")
    for command in commands.choices.values():
        command.add_argument("--only", nargs="+", default=[], choices=NAMES, metavar="NAME")
    given = parser.parse_args(arguments)
    if given.command == "record":
        held = record.read(given.file)[1] if given.only and given.file.exists() else {}
        record.write(given.file, held | record.runs(given.only))
        return 0
    if given.command == "against":
        return show(
            difference.differences(of_commit(given.commit, given.only), record.runs(given.only))
        )
    machine, held = record.read(given.file)
    if machine != record.machine():
        print(
            f"Recorded on another machine: {machine}; here {record.machine()}. Last digits will"
            " differ."
        )
    found = record.runs(given.only)
    return show(
        difference.differences(
            {name: held[name] for name in held if name in found or not given.only}, found
        )
    )


def of_commit(commit: str, only: Sequence[str] = ()) -> dict[str, record.Evidence]:
    """What a commit's code gives for today's runs, from a copy of its files, with their own adapter
    if they have one.
    """
    with tempfile.TemporaryDirectory() as folder:
        tree, out = Path(folder) / "tree", Path(folder) / "runs.jsonl.gz"
        packed = subprocess.run(
            ["git", "-C", record.ROOT, "archive", commit], stdout=subprocess.PIPE, check=True
        ).stdout
        with tarfile.open(fileobj=BytesIO(packed)) as archive:
            archive.extractall(tree, filter="data")
        theirs = tree / "tests" / "golden"
        theirs.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE.parent / "__init__.py", theirs.parent)
        for path in HERE.glob("*.py"):
            if path.name != ADAPTER or not (theirs / ADAPTER).exists():
                shutil.copy(path, theirs)
        words = ["record", str(out), *(["--only", *only] if only else [])]
        environment = {**os.environ, "PYTHONPATH": str(tree)}
        subprocess.run(
            [sys.executable, "-m", "tests.golden", *words], cwd=tree, env=environment, check=True
        )
        return record.read(out)[1]


def show(found: Iterable[Difference]) -> int:
    """Print the differences; returns the exit code."""
    every = list(found)
    for one in every[:MOST_SHOWN]:
        print(f"{one.run}: {one.path or 'the run'}: {one.one!r} -> {one.other!r}")
    runs = len({one.run for one in every})
    print(f"{len(every)} fields of {runs} runs differ" if every else "Nothing differs.")
    return int(bool(every))


if __name__ == "__main__":
    gc.set_threshold(20_000)  # Python's search for garbage, as in tests/conftest.py
    sys.exit(main())
