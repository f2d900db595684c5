"""The command ``wardround``: tasks that need no library are done here, others in ``main``."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

from sim import interrupts, plugins
from sim.cli import brackets, failures, streams
from sim.config import words as given
from sim.errors import InputError
from sim.near import choice
from sim.study import processes

USAGE = """\
Put a hospital consortium's federated-learning design on trial before it is deployed.

  wardround run      [OVERRIDES] [-m]   one run, or a Hydra sweep of runs
  wardround compare  [OVERRIDES]        attacks x defenses x seeds -> tradeoff report (the main job)
  wardround validate consortium=DESIGN  a design file against its criteria -> register, verdict
  wardround init     DIR                a commented starter design beside your data
  wardround new      KIND NAME DIR      the files of a rule or attack of your own, and its test
  wardround audit    [OVERRIDES]        what private training spends, measured beside its claim
  wardround explain  [OVERRIDES]        what would run, who sees what, conflicts, time; runs nothing
  wardround list     [GROUP]            attacks, rules, threats, ...: one line each, with the paper
  wardround report   DIR                rebuild the report from a folder's evidence
  wardround report   BEFORE AFTER       what a change of design changed, in figures and criteria
  wardround completion SHELL            what makes bash, zsh or fish complete these words

Overrides are Hydra's, as in:
  wardround compare consortium=heart4 attacks=[sign_flip,alie] defenses=[median,dp_record] seeds=5
compare with adversary.n_hostile=[0,1,2,3] shows how many hostile hospitals each defense withstands.
hydra.run.dir=DIR chooses where a run writes; --help and --cfg job work in each.
plugins=[PACKAGE] lets a package of your own name its plug-ins in the configuration.
Exit codes: 0 done (validate: every criterion is met), 1 validate: not met or not decided, audit:
the claim is refuted, 2 wrong input, 70 a fault of wardround or of a plug-in, 74 output cannot be
written, 130 interrupted.
"""
ONLY_TELL = ("--help", "-h", "--version", "--cfg", "-c", "--plan")  # flags with which nothing runs
INTERRUPTED = (
    "Interrupted. What was stored stays; the same command in the same folder goes on from it."
)


@streams.settled
def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    Where it is the process's own command, an interrupt ends the process.
    """
    if arguments is None:
        interrupts.end_with(INTERRUPTED, processes.kill)
        gc.disable()  # until something runs: imports make many objects and drop none
    words = brackets.joined(sys.argv[1:] if arguments is None else arguments)
    command = words[0] if words else "--help"
    if command in ("--help", "-h", "help"):
        print(USAGE, end="")
        return 0
    try:
        _check(command, words[1:])
    except InputError as error:
        return failures.wrong_input(error)
    rest = given.for_hydra(command, words[1:])
    asks_version = command in given.HYDRA_COMMANDS and given.flags(rest).version
    if command == "--version" or asks_version:
        from importlib.metadata import version  # which takes longer than all the rest

        print(f"wardround {version('wardround')}")
        return 0
    try:
        if _shares(words):
            processes.warm_up()
        from sim.cli.main import run_command

        code = run_command(words)
    except KeyboardInterrupt:
        print(INTERRUPTED, file=sys.stderr)
        code = interrupts.EXIT
    if code:
        processes.stop()
    return code


def _check(command: str, rest: Sequence[str]) -> None:
    """Refuse a wrong word before anything is imported, and choose the packages of ``plugins=``."""
    if command not in (*given.COMMANDS, "--version"):
        raise InputError("command", command, f"expected {choice(command, given.COMMANDS)}")
    if command == given.VALIDATE:
        plugins.choose(given.chosen(given.validation(rest).words))
    if command in given.HYDRA_COMMANDS:
        of_hydra = given.for_hydra(command, rest)
        given.check(of_hydra)
        plugins.choose(given.chosen(of_hydra))
        if (folder := given.flags(of_hydra).config_dir) is not None:
            from sim.config import foreign

            foreign.check(folder)


def _shares(words: Sequence[str]) -> bool:
    """Whether these words will most likely need several processes."""
    only_tells = any(word.split("=")[0] in ONLY_TELL for word in words)
    alone = any(word.lstrip("+") == "workers=1" for word in words)
    runs_many = words[0] in ("compare", given.VALIDATE)
    return runs_many and not only_tells and not alone and processes.n_cores() > 1


if __name__ == "__main__":
    sys.exit(main())
