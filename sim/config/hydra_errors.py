"""Errors of Hydra and OmegaConf about wrong input, as one line: key, value, what was expected."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sim.config.choices import offered
from sim.config.composition import composed
from sim.errors import LONGEST_VALUE, InputError, cut

MISSING = re.compile(r"Could not (?:find|load) '([\w/]+)/([^/']*)'")  # group, name
ABOUT_KEY = r"Could not (?:override|append|delete)|An item is already at|Ambiguous value for"
KEY = re.compile(rf"(?:{ABOUT_KEY})\D*?'([\w.@/]+)")


@contextmanager
def one_line() -> Iterator[None]:
    """An error of Hydra or OmegaConf on wrong input becomes an ``InputError`` in this block.

    An error of anything else is no wrong input.
    """
    try:
        yield
    except InputError:
        raise
    except (HydraException, OmegaConfBaseException) as error:
        raise _translated(error) from error


def _translated(error: Exception) -> InputError:
    text = str(error)
    first = text.splitlines()[0] if text else type(error).__name__
    if isinstance(error, MissingConfigException) and (found := MISSING.search(text)):
        return InputError(found[1], found[2], f"expected {offered(found[1], found[2])}")
    if isinstance(error, OverrideParseException):
        return InputError("override", error.override, _unread(error.override, first))
    if found := KEY.search(text):
        value = _value(found[1], text)
        expected = f"unknown key{near(found[1])}" if "override" in first else first
        if found[1] in ("attack", "attacks") and "," in value:
            listed = f"[{value.strip('[] ')}]"
            expected = (
                f"expected attack={listed} in a run, which runs them together;"
                f" wardround compare attacks={listed} runs one after the other"
            )
        return InputError(found[1], value, expected)
    return InputError(getattr(error, "full_key", None) or "configuration", "...", first)


def _unread(word: str, reason: str) -> str:
    """Why Hydra cannot read an override, and how to write it so that it can."""
    key, equal, value = word.partition("=")
    can_be_quoted = 0 < len(value) <= LONGEST_VALUE and not re.search(r"[\[\]{}'\"]", value)
    if equal and can_be_quoted and re.search(r"[^\w/.,:+-]|[^\x00-\x7f]|^,|,$|,,", value):
        which = "a value with spaces, =, brackets or letters other than a-z"
        return f"cannot be read; {which} is quoted inside: '{key}=\"{value}\"'"
    return f"cannot be read: {cut(reason.replace('LexerNoViableAltException: ', ''))}"


def _value(key: str, text: str) -> str:
    """The value given for ``key``, as Hydra's message repeats it."""
    found = re.search(rf"{re.escape(key)}=([^'\n]*)", text)
    return found[1] if found else "..."


def near(key: str) -> str:
    """The end of a message that names the known key most like ``key``, or nothing."""
    ready = GlobalHydra.instance().is_initialized()
    with nullcontext() if ready else initialize_config_module("conf", version_base="1.3"):
        flat = [name for name, _ in _flat(OmegaConf.to_container(composed("compare", ())))]
    known = [name for name in flat if name != key and not name.endswith("_")]
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return f", did you mean {close[0]}?" if close else ""


def _flat(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield f"{prefix}{key}", value
            yield from _flat(value, f"{prefix}{key}.")
