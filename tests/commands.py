"""``wardround`` in this process, and what it leaves."""

import csv
import re
import shlex
import sys
from pathlib import Path

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from sim.cli.command import main

FAST = ("consortium=heart4", "training.rounds=1", "model=logistic")
ALONE = "workers=1"
# a command that is to be killed: it stores its progress more often than it pays, and takes long
# enough to be killed before its end
KILLABLE = """
import sys, time
from sim.cli import command
from sim.study import checkpoints

checkpoints.EVERY, checkpoints.DEAREST = 0.05, 1.0
stored = checkpoints.Progress.after_round

def after_round(progress, runs, contexts):
    stored(progress, runs, contexts)
    time.sleep(0.03)

checkpoints.Progress.after_round = after_round
sys.exit(command.main(sys.argv[1:]))
"""
LOCKSTEP = ("hydra/launcher=lockstep", "hydra.launcher.workers=1")


def wardround(*words: str) -> int:
    """The exit code of ``wardround WORDS``, with Hydra as new before and after."""
    given = sys.argv
    GlobalHydra.instance().clear()
    HydraConfig.instance().cfg = None
    try:
        return main(list(words))
    finally:
        sys.argv = given
        GlobalHydra.instance().clear()


def shell(command: str, *more: str) -> int:
    """The exit code of a command as a shell would split it, with more words at its end."""
    program, *words = shlex.split(command)
    assert program == "wardround"
    return wardround(*words, *more)


def besides_progress(printed: str) -> str:
    """What was printed without the lines of progress, which a busy machine has time for."""
    return re.sub(r"(?m)^.+: \d+ of \d+ [\w ]+, \d+ s\n", "", printed)


def results(folder: Path) -> list[dict[str, str]]:
    """What ``results.csv`` states, times aside."""
    with (folder / "results.csv").open(encoding="utf-8") as file:
        return [
            {key: value for key, value in row.items() if key != "seconds"}
            for row in csv.DictReader(file)
        ]
