"""``wardround init``: a commented starter design beside the user's data, or its JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
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
    from threats import starter

    contents = {Path(words[0]) / name: content for name, content in starter.files().items()}
    for path in files.all_or_none("init", contents):
        print(path)
