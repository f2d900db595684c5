"""Interrupt a comparison at random moments, as Ctrl-C does; no interrupt may be lost.

``python -m benchmarks.interrupts [TIMES]``. Half of the interrupts reach all processes of the
command, as from a terminal, and half its first process only.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.commands import gone, killed, started

WORDS = (
    *("compare", "consortium=heart12", "attacks=[sign_flip]"),
    *("defenses=[median,krum]", "seeds=50", "workers=2"),
)
EARLIEST = 0.3  # seconds after the start; before this, Python itself is still starting
LATEST = 10.0
PATIENCE = 20.0  # seconds after which an interrupt counts as lost


def main() -> int:
    """Interrupt as often as asked and print each end; 0 if every command ended as it should."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.interrupts", description=__doc__)
    parser.add_argument("times", nargs="?", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    # a shell has its background processes ignore interrupts, and these would hand that on
    signal.signal(signal.SIGINT, signal.default_int_handler)
    moments = random.Random(given.seed)
    ends = Counter[str]()
    seconds: list[float] = []
    for number in range(given.times):
        moment = moments.uniform(EARLIEST, LATEST)
        with tempfile.TemporaryDirectory() as folder:
            end, took = interrupted(Path(folder), moment, everybody=number % 2 == 0)
        ends[end] += 1
        seconds.append(took)
    for end, count in ends.most_common():
        print(f"{count:4} {end}")
    middle = sorted(seconds)[len(seconds) // 2]
    print(
        f"from the signal to the end of all processes: {middle:.2f} s, at most {max(seconds):.2f} s"
    )
    return int(set(ends) != {"ended"})


def interrupted(folder: Path, moment: float, *, everybody: bool) -> tuple[str, float]:
    """The end of a comparison interrupted ``moment`` seconds after its start, and seconds to it."""
    process = started([*WORDS, f"hydra.run.dir={folder / 'out'}"], folder, TMPDIR=str(folder))
    time.sleep(moment)
    start = time.monotonic()
    (os.killpg if everybody else os.kill)(process.pid, signal.SIGINT)
    try:
        _, error = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        killed(process)
        return f"lost at {moment:.2f} s", PATIENCE
    ended = gone(process.pid)
    took = time.monotonic() - start
    paths = list(folder.rglob("*"))
    left = [one for one in paths if one.suffix == ".part" or one.name.startswith("pymp-")]
    if process.returncode != 130 or error.count("\n") != 1 or not error.startswith("Interrupted. "):
        return f"code {process.returncode} at {moment:.2f} s with {error[-300:]!r}", took
    if not ended or left:
        return f"processes or files left at {moment:.2f} s: {left}", took
    return "ended", took


if __name__ == "__main__":
    sys.exit(main())
