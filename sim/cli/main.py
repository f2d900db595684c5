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
wardround report DIR [--figures FORMATS | --json]  rebuild tables and report/ from evidence.jsonl
wardround report BEFORE AFTER [--out DIR] [--figures FORMATS] [--json]
                                                   what differs between two folders

  --figures pdf|svg|png   write each figure, as figures/NAME_WIDTH.FORMAT beside the page: for one
                          column (3.5 inches) and for two (7 inches); several formats by comma
  --json                  print the result, or the difference, alone, as JSON

The second writes difference.html into DIR, or else into report/ of AFTER, and nothing else. Both
folders are of runs, or both of validate. The order counts: a change is AFTER minus BEFORE.
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
    of_hydra = for_hydra(command, words)
    as_json = len(of_hydra) < len(words)
    alone = command == "run" or (command == "explain" and not overrides.ask_for_several(of_hydra))
    asked = flags(of_hydra if alone else [*map(overrides.forced, of_hydra)])
    with one_line():
        if as_json and asked.multirun:
            raise InputError("flags", "--json -m", "expected one of the two")
        if asked.help or asked.cfg:
            print(jobs.described(CONFIG[command], asked), end="")
        elif command == "explain":
            from sim.cli import explain

            jobs.main(CONFIG[command], asked, explain.command(as_json=as_json))
        else:
            from sim.cli import tasks
            from sim.study import repeat

            swept = jobs.main(CONFIG[command], asked, tasks.command(command, as_json=as_json))
            if swept is not None:
                tasks.end_sweep(swept, repeat.of_words(command, of_hydra), start)


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
    given = list(words)
    formats = _taken(given, "--figures", "pdf, svg, png, or several by comma")
    out = _taken(given, "--out", "a folder")
    as_json = "--json" in given
    folders = [word for word in given if word != "--json"]
    if flag := next((word for word in folders if word.startswith("-")), None):
        raise InputError("flags", flag, "expected --figures FORMATS, --out DIR or --json")
    if not folders:
        raise InputError("DIR", "nothing", "expected at least one folder with evidence.jsonl")
    if len(folders) > 2:
        expected = "expected one, whose report is rebuilt, or two, which are compared"
        raise InputError("DIR", f"{len(folders)} folders", expected)
    from sim.cli import tasks

    if len(folders) == 2:
        tasks.difference(folders[0], folders[1], out, formats, as_json=as_json)
    elif out is not None:
        raise InputError("flags", "--out", "expected two folders with it, which are compared")
    elif as_json and formats is not None:
        raise InputError("flags", "--json --figures", "expected one of the two")
    else:
        tasks.report(folders[0], formats, as_json=as_json)


def _taken(words: list[str], flag: str, expected: str) -> str | None:
    """The value of a flag, which is taken out of the words with it; None without the flag.

    ``expected``: what it takes, for a message.
    """
    found = [word for word in words if word == flag or word.startswith(f"{flag}=")]
    if not found:
        return None
    place = words.index(found[0])
    if len(found) > 1:
        raise InputError(flag, f"{len(found)} times", "expected it once")
    word = words.pop(place)
    if "=" in word:
        value = word.partition("=")[2]
    else:
        value = words.pop(place) if len(words) > place else ""
    if not value or value.startswith("-"):
        raise InputError(flag, value or "nothing", f"expected {expected}")
    return value
