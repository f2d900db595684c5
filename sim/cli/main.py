"""The commands of ``wardround``: each imports the libraries that it needs when it is asked for.

run | compare | validate | audit | explain | init | new | list | report | completion
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from sim.cli import failures
from sim.config.words import AUDIT, HYDRA_COMMANDS, VALIDATE, flags, for_hydra
from sim.errors import InputError, RefusedError

# the name of the configuration that a command starts from
CONFIG = {"run": "config", "compare": "compare", "explain": "explain"}
VALIDATE_USAGE = """\
wardround validate consortium=DESIGN [OVERRIDES]  try a design against its acceptance criteria

DESIGN is a design file (wardround init DIR writes a commented one) or one of the named designs.
  --plan             print which runs it needs, and what cannot be run; nothing is run
  --json             print the verdict alone, as JSON
  search.minutes=N   where a criterion is not met: search N minutes for the smallest change
  consortium.path=P  where the owner's records are
  training.KEY=V, adversary.KEY=V, consortium.KEY=V   change what is run of the design
  seeds=N, workers=N, device=D, hydra.run.dir=DIR     how much is run, and where
Exit codes: 0 every criterion is met, 1 one is not met or not decided, 2 wrong input.
"""
REPORT_USAGE = """\
wardround report DIR... [--figures FORMATS]
  rebuild tables and report/ of each folder from its evidence.jsonl

  --figures pdf|svg|png   write each figure too, as report/figures/NAME_WIDTH.FORMAT: for one column
                          (3.5 inches) and for two (7 inches); several formats by comma
"""


def run_command(words: list[str]) -> int:
    """Run one command; returns the exit code."""
    command, *rest = words
    try:
        if command == AUDIT:
            return _audit(rest)
        if command in HYDRA_COMMANDS:
            _hydra(command, rest)
        elif command == "list":
            from sim.cli import listing

            listing.show(rest)
        elif command == VALIDATE:
            return _validate(rest)
        elif command == "init":
            from sim.cli.init import init

            init(rest)
        elif command == "new":
            from sim.cli.new import new

            new(rest)
        elif command == "completion":
            from sim.cli.completion import completion

            completion(rest)
        else:
            _report(rest)
    except (InputError, RefusedError) as error:
        return failures.wrong_input(error)
    except Exception as error:
        return failures.internal(error)
    return 0


def _hydra(command: str, words: Sequence[str]) -> None:
    """Run the command for the configuration, or the sweep, that the words describe, or show it."""
    from sim.config import overrides
    from sim.config.hydra_errors import one_line
    from sim.study import jobs

    start = time.perf_counter()
    alone = command == "run" or (command == "explain" and not overrides.ask_for_several(words))
    asked = flags(list(words) if alone else [*map(overrides.forced, words)])
    with one_line():
        if asked.help or asked.cfg:
            print(jobs.described(CONFIG[command], asked), end="")
        elif command == "explain":
            from sim.cli.explain import COMMAND

            jobs.main(CONFIG[command], asked, COMMAND)
        else:
            from sim.cli import tasks
            from sim.study import repeat

            swept = jobs.main(CONFIG[command], asked, tasks.COMMANDS[command])
            if swept is not None:
                tasks.end_sweep(swept, repeat.of_words(command, words), start)


def _audit(words: Sequence[str]) -> int:
    from sim.config.hydra_errors import one_line
    from sim.study import jobs

    asked = flags(for_hydra(AUDIT, words))
    if asked.help or asked.cfg:
        with one_line():
            print(jobs.described(AUDIT, asked), end="")
        return 0
    from sim.cli import audit

    return audit.main(words)


def _validate(words: Sequence[str]) -> int:
    if "--help" in words or "-h" in words:
        print(VALIDATE_USAGE, end="")
        return 0
    from sim.cli import validate

    return validate.main(words)


def _report(words: Sequence[str]) -> None:
    if "--help" in words or "-h" in words:
        from sim.cli.screen import Screen

        Screen().print(REPORT_USAGE, end="", soft_wrap=True)
        return
    if not words:
        raise InputError("DIR", "nothing", "expected at least one folder with evidence.jsonl")
    from sim.cli import tasks

    tasks.report(words)
