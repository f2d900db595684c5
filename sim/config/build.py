"""Config node -> plug-in: a class of the table of kinds, called with plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields
from functools import cache, lru_cache
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from sim.config.plain import LARGEST_COUNT, check
from sim.errors import InputError, RefusedError
from sim.kinds import find
from sim.plugins import SELF
from sim.types import Node


def build(key: str, node: Mapping[str, object], packages: Sequence[str] = ()) -> object:
    """The plug-in that ``node`` describes.

    ``key`` names the node in an error, and its first part is the group. ``packages``: of the user,
    from which plug-ins may come too. Raises ``InputError`` for a ``_target_`` that is no plug-in of
    the group, an unknown or missing parameter, or a refused value.
    """
    values = {name: value for name, value in node.items() if name != SELF}
    check(key, values, LARGEST_COUNT)
    found = find(key, node.get(SELF), packages)
    _check_parameters(key, found, values)
    try:
        made: object = found(**values)
    except InputError as error:
        raise type(error)(f"{key}.{error.key}", error.value, error.expected) from error
    except RefusedError as error:
        raise InputError(key, found.__name__, str(error)) from error
    return made


def built(key: str, node: Mapping[str, object], packages: tuple[str, ...] = ()) -> object:
    """The plug-in that ``node`` describes, one object for all equal nodes: plug-ins are values."""
    return _built_once(key, json.dumps(node), packages)


def mechanisms(node: Node | None) -> dict[str, Node]:
    """The nodes of the group dp by their keys: of one mechanism, or of several by name.

    Raises ``InputError`` where a name has no node.
    """
    if not node:
        return {}
    if SELF in node:
        return {"dp": node}
    for name, one in node.items():
        if not isinstance(one, dict):
            raise InputError(f"dp.{name}", one, "expected the values of a mechanism of privacy")
    return {f"dp.{name}": one for name, one in node.items()}


@lru_cache(maxsize=4096)
def _built_once(key: str, node: str, packages: tuple[str, ...]) -> object:
    return build(key, json.loads(node), packages)


def _check_parameters(key: str, found: type, values: Mapping[str, object]) -> None:
    """Refuse a parameter that the plug-in does not have, lacks, or has of another type."""
    known = {field.name: field for field in fields(found) if field.init}
    for name, value in values.items():
        if name not in known:
            expected = f"unknown key; {found.__name__} has {', '.join(known) or 'none'}"
            raise InputError(f"{key}.{name}", value, expected)
        try:
            _types(found)[name].validate_json(json.dumps(value))  # of JSON a list is a tuple too
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise InputError(f"{key}.{name}", value, _lower(reason)) from None
    for name, field in known.items():
        if name not in values and not _has_default(field):
            raise InputError(f"{key}.{name}", "nothing", f"required by {found.__name__}")


def _has_default(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


@cache
def _types(found: type) -> dict[str, TypeAdapter[Any]]:
    hints = get_type_hints(found)
    config = ConfigDict(strict=True, arbitrary_types_allowed=True)
    names = [field.name for field in fields(found) if field.init]
    return {name: TypeAdapter(hints[name], config=config) for name in names}


def _lower(message: str) -> str:
    lower = message[0].lower() + message[1:]
    return lower.replace("input should be", "expected").replace("a valid array", "a list")
