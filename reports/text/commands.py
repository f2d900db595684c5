"""Commands that a page tells its reader to run, made from the command that made the page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from sim.evidence.controls import NONE
from sim.types import Node

SEEDS = 3  # of a comparison that is made of one run


def given(manifest: Node) -> str:
    """The command that made a page, as one line; empty where it is not recorded."""
    command = manifest.get("command")
    return command if isinstance(command, str) else shlex.join(command or [])


def comparing(
    command: str,
    attacks: Sequence[str] | None = None,
    values: Mapping[str, str] | None = None,
    *,
    undefended: bool = False,
    usual: bool = False,
) -> str | None:
    """The comparison of ``command`` with other attacks and values; None if it cannot be made so.

    The command of one run becomes a comparison with its defense. Values of attacks that are left
    out are left out too. ``attacks``: None for those of the command, else names, of which those
    joined with + act together. ``undefended``: also with no defense, for other values may be more
    than a rule is defined for. ``usual``: with the defenses that a comparison has by itself.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if words[:2] not in (["wardround", "compare"], ["wardround", "run"]) or "-m" in words:
        return None
    asked = dict(values or {})
    if words[1] == "run":
        asked = {"seeds": str(SEEDS)} | asked
    if attacks is not None:
        groups = [f"[{one.replace('+', ',')}]" if "+" in one else one for one in attacks]
        asked = {"attacks": f"[{','.join(groups)}]"} | asked
        attacks = [name for one in attacks for name in one.split("+")]
    rest = [_compared(word) for word in words[2:] if words[1] == "compare" or _is_common(word)]
    rest = [word for word in rest if _key(word) not in asked and _is_of(word, attacks)]
    if usual:
        rest = [word for word in rest if _key(word) != "defenses"]
    if undefended:
        rest = [_undefended(word) for word in rest]
    return shlex.join(["wardround", "compare", *rest, *(f"{k}={v}" for k, v in asked.items())])


def _compared(word: str) -> str:
    """The word of a run as a comparison has it."""
    key, _, value = word.partition("=")
    listed = value if value.startswith("[") else f"[{value}]"
    return {"defense": f"defenses={listed}", "attack": f"attacks={listed}"}.get(key, word)


def _undefended(word: str) -> str:
    """The list of defenses with no defense in it; another word as it is."""
    key, _, value = word.partition("=")
    given = [name.strip() for name in value.strip("[]").split(",")]
    if key != "defenses" or NONE in given:
        return word
    return f"{key}=[{','.join([NONE, *given])}]"


def _is_common(word: str) -> bool:
    """Whether a comparison takes the word of a run."""
    return _key(word) != "seed"


def _is_of(word: str, attacks: Sequence[str] | None) -> bool:
    """Whether a word is no value of an attack that is left out."""
    head, _, rest = _key(word).partition(".")
    return attacks is None or head != "attack" or rest.partition(".")[0] in attacks


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]


def judging(command: str, values: Mapping[str, str], *flags: str) -> str | None:
    """The validation of ``command`` with other values and flags; None if it is no validation."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if words[:2] != ["wardround", "validate"]:
        return None
    rest = [word for word in words[2:] if _key(word) not in values and not word.startswith("--")]
    return shlex.join(
        ["wardround", "validate", *rest, *(f"{k}={v}" for k, v in values.items()), *flags]
    )
