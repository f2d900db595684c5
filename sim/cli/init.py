"""``wardround init``: a commented starter design beside the user's data, or its JSON Schema."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sim import files
from sim.errors import InputError

USAGE = """\
wardround init DIR       a commented starter design, with made-up patients of three hospitals
wardround init --schema  print the JSON Schema of design files, for editors
"""


def init(words: Sequence[str]) -> None:
    """Write the starter into a folder, or print what was asked for.

    Raises ``InputError``, before anything is written, for a file that is there already.
    """
    if "--help" in words or "-h" in words:
        print(USAGE, end="")
        return
    if list(words) == ["--schema"]:
        from threats import system

        print(json.dumps(system.schema(), indent=2))
        return
    if len(words) != 1 or words[0].startswith("-") or not words[0]:
        raise InputError("init", " ".join(words) or "nothing", "expected one folder, or --schema")
    if not words[0].isprintable():
        raise InputError("init", ascii(words[0]), "expected a path of printable characters")
    for path in _written(Path(words[0])):
        print(path)


def _written(folder: Path) -> list[Path]:
    """The files of the starter, all of which are written, or none."""
    from threats import starter

    contents = {folder / name: content for name, content in starter.files().items()}
    for path in contents:
        if os.path.lexists(path):
            raise InputError("init", path, "expected a folder without this file")
    done = list[Path]()
    try:
        for path, content in contents.items():
            files.replace(path, content)
            done.append(path)
    except BaseException:
        for path in done:
            with suppress(OSError):
                path.unlink()
        raise
    return done
