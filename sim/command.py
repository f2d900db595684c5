"""The command ``wardround``. What needs no libraries is done at once; ``sim.cli`` does the rest, and takes seconds to import."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sim import brackets, processes, streams

USAGE = """\
Put a hospital consortium's federated-learning design on trial before it is deployed.

  wardround run      [OVERRIDES] [-m]   one run, or a Hydra sweep of runs
  wardround compare  [OVERRIDES]        attacks x defenses x seeds -> tradeoff report (the main job)
  wardround explain  [OVERRIDES]        what would run, who sees what, conflicts, time; runs nothing
  wardround list     [GROUP]            attacks, defenses, consortia, threats, ...: one line each, with the paper
  wardround report   DIR...             rebuild the report from a folder's evidence

Overrides are Hydra's, as in: wardround compare consortium=heart4 attacks=[sign_flip,alie] defenses=[median,dp_record] seeds=5
compare with adversary.n_hostile=[0,1,2,3] shows how many hostile hospitals each defense withstands.
hydra.run.dir=DIR chooses where a run writes; --help and --cfg job work in each.
Exit codes: 0 done, 2 wrong input, 130 interrupted.
"""
ONLY_TELL = ("--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--info", "-i")  # flags with which nothing runs
INTERRUPTED = "Interrupted. Finished runs are kept; the same command with the same hydra.run.dir completes the rest."


@streams.settled
def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = brackets.joined(sys.argv[1:] if arguments is None else arguments)
    command = words[0] if words else "--help"
    if command in ("--help", "-h", "help"):
        print(USAGE, end="")
        return 0
    if command == "--version":
        from importlib.metadata import version  # which takes longer than all the rest

        print(f"wardround {version('wardround')}")
        return 0
    try:
        if _shares(words):
            processes.warm_up()
        from sim.cli import run_command

        code = run_command(words)
    except KeyboardInterrupt:
        print(INTERRUPTED, file=sys.stderr)
        code = 130
    if code:
        processes.stop()
    return code


def _shares(words: Sequence[str]) -> bool:
    """Whether these words will most likely need several processes."""
    alone = any(word.lstrip("+") == "workers=1" or word.split("=")[0] in ONLY_TELL for word in words)
    return words[0] == "compare" and not alone and processes.n_cores() > 1


if __name__ == "__main__":
    sys.exit(main())
