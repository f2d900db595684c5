"""The problems of a design's values: where, what stands there, and what was expected."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pydantic import JsonValue, ValidationError

from sim.errors import InputError
from sim.near import choice
from threats import system
from threats.consistency import BrokenError, Place
from threats.system import Design

EXPECTED: Final[Mapping[str, str]] = {
    system.ID: "expected an id: a letter, then at most 63 letters, digits, _, . and -",
    system.NAME: "expected a name of letters, digits, _ and -",
    system.LINE: "expected one line",
    system.CONTROL: "expected FLM- and two digits, the id of a control",
    system.STACKED: "expected names of defenses, joined with + where they stack",
    system.ROW: "expected the id of a row of the register, or verdict",
}


class Problem(NamedTuple):
    """A problem of a design: where, what stands there, and what was expected."""

    place: Place
    value: object
    expected: str

    @property
    def key(self) -> str:
        """The place in words, as in ``acceptance[0].metric``."""
        return key_of(self.place)


def key_of(place: Place) -> str:
    """A place in words, as in ``acceptance[0].metric``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return "".join(parts).removeprefix(".") or "design"


def design(values: dict[str, JsonValue]) -> Design:
    """The design of plain values. Raises ``InputError``: key, value and what was expected."""
    found = read(values)
    if isinstance(found, Problem):
        raise InputError(found.key, found.value, found.expected)
    return found


def read(values: JsonValue) -> Design | Problem:
    """The design of plain values, or the first thing that is wrong with them."""
    try:
        return Design.model_validate_json(json.dumps(values))
    except ValidationError as error:
        found = error.errors(include_url=False)
        # of a choice that is a name or one with values, what is wrong with the values
        details = [one for one in found if not _is_no_name(one)] or found
        unknown = [one for one in details if one["type"] == "extra_forbidden"]
        return _problem((unknown or details)[0], values)


def _is_no_name(details: Mapping[str, Any]) -> bool:
    return bool(details["type"] == "string_type" and details["loc"][-1] == "constrained-str")


def _problem(details: Mapping[str, Any], values: JsonValue) -> Problem:
    """Pydantic's words as ours; ``values``: what was read."""
    place = _place(details["loc"], values)
    given = details["input"]
    kind = details["type"]
    context = details.get("ctx", {})
    broken = context.get("error")
    if isinstance(broken, BrokenError):
        return Problem((*place, *broken.place), broken.value, broken.expected)
    if kind == "extra_forbidden":
        known = choice(str(place[-1]), _known_keys(place[:-1]))
        return Problem(place, given, f"unknown key; expected {known}")
    if kind == "missing":
        return Problem(place, None, "required")
    if kind == "string_pattern_mismatch":
        return Problem(place, given, EXPECTED[context["pattern"]])
    expected = worded(details)
    if kind in ("string_type", "literal_error") and isinstance(given, (bool, int, float)):
        expected += ", as a text: put it in quotes"
    return Problem(place, given, expected)


def worded(details: Mapping[str, object]) -> str:
    """The words of this project for what pydantic expected."""
    message = str(details["msg"]).removeprefix("Value error, ")
    return (message[0].lower() + message[1:]).replace("input should be", "expected")


def _place(loc: tuple[str | int, ...], values: JsonValue) -> Place:
    """A place of pydantic without what is no part of the values, as names of types are."""
    place = list[str | int]()
    found = values
    for number, part in enumerate(loc):
        if isinstance(found, dict) and part in found:
            found = found[str(part)]
        elif isinstance(found, list) and isinstance(part, int) and part < len(found):
            found = found[part]
        elif not isinstance(found, dict) or number < len(loc) - 1:
            continue
        place.append(part)
    return tuple(place)


def _known_keys(place: Place) -> list[str]:
    """Keys that a design may have at ``place``."""
    schema = Design.model_json_schema()
    found = schema
    for part in place:
        found = _resolved(found, schema)
        found = found["items"] if isinstance(part, int) else found["properties"][part]
    return list(_resolved(found, schema)["properties"])


def _resolved(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A node of a JSON Schema with its reference followed; of several the one that has keys."""
    for one in (node, *node.get("anyOf", ())):
        if "$ref" in one:
            found: dict[str, Any] = schema["$defs"][one["$ref"].rpartition("/")[2]]
            return found
    return node
