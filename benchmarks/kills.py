"""Kill a comparison of 150 rounds at many moments and let the same command complete it.

``python -m benchmarks.kills [TIMES]``. Stored is the share of all rounds of all runs that does not
have to be done again. Every completed folder must hold the tables of an uninterrupted comparison,
times aside.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.commands import killed, started
from sim import evidence
from sim.errors import InputError
from sim.study import checkpoints

ROUNDS = 150
RUNS = 72
WORDS = (
    *("compare", "consortium=heart12", f"training.rounds={ROUNDS}", "workers=2"),
    *("attacks=[sign_flip,alie]", "defenses=[median,trimmed_mean]", "seeds=8"),
)
PATIENCE = 900.0


def main() -> int:
    """Kill as often as asked and print what was stored; 0 if it grew and all tables are equal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__)
    parser.add_argument("times", nargs="?", type=int, default=30)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place) / "whole"
        start = time.monotonic()
        completed(whole)
        length = time.monotonic() - start
        equal = True
        shares: list[float] = []
        print(f"uninterrupted: {length:.1f} s")
        for number in range(1, given.times + 1):
            folder = Path(place) / str(number)
            moment = length * number / (given.times + 1)
            share = kill(folder, moment) / (ROUNDS * RUNS)
            completed(folder)
            same = table(folder) == table(whole)
            shares.append(share)
            equal &= same
            found = "equal" if same else "DIFFER"
            print(f"killed at {moment:5.1f} s: {share:6.1%} stored, tables {found}", flush=True)
    return int(not (equal and grows(shares)))


def kill(folder: Path, moment: float) -> int:
    """Stored rounds of a comparison that was killed ``moment`` seconds after its start."""
    process = started([*WORDS, f"hydra.run.dir={folder / 'out'}"], folder)
    time.sleep(moment)
    killed(process)
    return stored(folder / "out")


def stored(folder: Path) -> int:
    """Rounds of all runs that an interrupted comparison has stored in ``folder``."""
    try:
        done = {record.run: record.rounds for record in evidence.read(folder)}
    except InputError:  # not one run is finished
        done = {}
    states = checkpoints.states(folder / checkpoints.FOLDER)
    return sum(({run: state["round"] for run, state in states.items()} | done).values())


def completed(folder: Path, words: Sequence[str] = WORDS) -> None:
    """Let the command complete the comparison in ``folder``.

    Raises ``RuntimeError`` with its last line if it does not.
    """
    process = started([*words, f"hydra.run.dir={folder / 'out'}"], folder)
    _, error = process.communicate(timeout=PATIENCE)
    if process.returncode:
        raise RuntimeError(f"code {process.returncode}: {error[-500:]}")


def table(folder: Path) -> list[dict[str, str]]:
    """``results.csv`` without seconds."""
    with (folder / "out" / evidence.RESULTS).open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def grows(shares: Sequence[float]) -> bool:
    """Whether later kills store more: the later half of them, and the last one most of the work."""
    half = len(shares) // 2
    return sum(shares[half:]) > sum(shares[:half]) and shares[-1] > 0.5


if __name__ == "__main__":
    sys.exit(main())
