"""Plain values as words of the command line, which Hydra reads back as they were."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

from sim.errors import InputError

# signs that are escaped in the key of a mapping, as Hydra has it
ESCAPED: Final = re.compile(r"([\\()\[\]{}:=, \t])")
BEFORE_A_QUOTE: Final = re.compile(r"(\\*)('|$)")  # backslashes, which Hydra halves there
KEY: Final = re.compile(r"[\w\\()\[\]{}:=, \t/.+$%*@?|-]+", re.ASCII)


def written(value: JsonValue) -> str:
    """A plain value as Hydra reads it back from an override.

    Raises ``InputError`` for the key of a mapping that an override cannot hold.

    >>> written({"a b": ["it's", None, 1.5]})
    "{a\\\\ b:['it\\\\'s',null,1.5]}"
    """
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{_key(key)}:{written(part)}' for key, part in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(written, value))}]"
    if isinstance(value, str):
        return f"'{re.sub(BEFORE_A_QUOTE, _doubled, value)}'"
    return json.dumps(value)


def _doubled(found: re.Match[str]) -> str:
    return 2 * found[1] + ("\\'" if found[2] else "")


def _key(key: str) -> str:
    if not KEY.fullmatch(key):
        raise InputError("design", key, "expected a key of letters, digits and signs of ASCII")
    return ESCAPED.sub(r"\\\1", key)
