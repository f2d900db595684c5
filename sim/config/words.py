"""The check of a command's words before anything is imported, read or run.

Flags, keys of Hydra, names and sizes that are not listed here as allowed are refused by name; the
values are checked again where Hydra has read them.
"""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from sim import plugins
from sim.config.choices import groups, offered
from sim.errors import InputError
from sim.near import choice
from sim.plugins import SELF

HYDRA_COMMANDS = ("run", "compare", "explain", "audit")
VALIDATE = "validate"
AUDIT = "audit"
JSON = "--json"  # print the machine-readable result alone on standard output
# of commands, beside those of Hydra
OWN_FLAGS = dict.fromkeys(HYDRA_COMMANDS, (JSON,))
COMMANDS = (*HYDRA_COMMANDS, VALIDATE, "init", "new", "list", "report", "completion")
FOLDERS = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")
LAUNCHER = "hydra/launcher"
WORKERS = "hydra.launcher.workers"
LAUNCHERS = ("basic", "lockstep")
LISTS = ("attacks", "defenses")  # of names of choices
OF_HYDRA = (*FOLDERS, LAUNCHER, WORKERS)
# with validate: what is no part of a design, and parts of its federation
BESIDE = ("device", "engine", "metrics", "plugins", "report", "search", "seeds", "workers")
OF_FEDERATION = ("training", "adversary", "consortium")
OFFERED = "--help, --cfg job|hydra|all, --resolve, -m and --config-dir are offered"

MOST_WORDS = 500
LONGEST_WORD = 4_000  # characters
LONGEST_KEY = 200
DEEPEST = 12  # brackets in one another
KEY = re.compile(r"[A-Za-z_][\w-]*(?:\.[\w-]+)*", re.ASCII)
SPECIAL = re.compile(r"_\w*_", re.ASCII)
SPECIAL_KEY = re.compile(r"(?<!\w)_\w*_['\"]?\s*:", re.ASCII)  # in a mapping
PACKAGE = re.compile(r"(\[)?\s*([A-Za-z_]\w*(?:\s*,\s*[A-Za-z_]\w*)*)?\s*(?(1)\])", re.ASCII)
OF_JOB = r"now:[%\w:. -]*|hydra\.job\.(?:name|num|id|override_dirname)"
IN_FOLDERS = re.compile(rf"\$\{{(?:{OF_JOB}|(?!hydra\b)[A-Za-z_]\w*(?:\.\w+)*)\}}", re.ASCII)


def flags(words: Sequence[str]) -> Namespace:
    """The flags and the other words (``overrides``).

    Raises ``InputError`` for any flag that is not offered, or cut short.
    """
    return _parser(words).parse_intermixed_args(list(words))


def for_hydra(command: str, words: Sequence[str]) -> list[str]:
    """The words of a command without the flags that it reads itself."""
    return [word for word in words if word not in OWN_FLAGS.get(command, ())]


def check(words: Sequence[str]) -> None:
    """Raise ``InputError`` for the first word that the commands of ``HYDRA_COMMANDS`` refuse."""
    if len(words) > MOST_WORDS:
        raise InputError("overrides", f"{len(words)} words", f"expected at most {MOST_WORDS}")
    for word in words:
        _check_size(word)
    for word in flags(words).overrides:
        _check_override(word)


class Validation(NamedTuple):
    """The words of ``validate``: the design, whether to run nothing, whether to print JSON alone.

    ``words``: all others.
    """

    design: str | None
    plan: bool
    json: bool
    words: list[str]


def validation(words: Sequence[str]) -> Validation:
    """The words of ``validate``. Raises ``InputError`` for the first one that it refuses."""
    if len(words) > MOST_WORDS:
        raise InputError("overrides", f"{len(words)} words", f"expected at most {MOST_WORDS}")
    for word in words:
        _check_size(word)
    own = [word for word in words if word in ("--plan", "--json")]
    designs = [word for word in words if key_of(word) == "consortium"]
    others = [word for word in words if word not in own and word not in designs]
    check(others)
    given = flags(others)
    if given.multirun or given.config_dir is not None:
        raise InputError("flags", " ".join(words), "expected no -m and no --config-dir here")
    for word in given.overrides:
        _check_beside(word)
    if len(designs) > 1 or any(not word.startswith("consortium=") for word in designs):
        raise InputError("consortium", " ".join(designs), "expected one consortium=DESIGN")
    design = designs[0].partition("=")[2] if designs else None
    return Validation(design, "--plan" in own, "--json" in own, others)


def _check_beside(word: str) -> None:
    """Refuse an override of what a design states, but for parts of its federation."""
    key = key_of(word)
    head, dot, _ = key.partition(".")
    if (
        head in BESIDE
        or key == FOLDERS[0]
        or (head in OF_FEDERATION and dot and word[0] not in "+~")
    ):
        return
    places = ", ".join((*BESIDE, *(f"{name}.KEY" for name in OF_FEDERATION), FOLDERS[0]))
    value = word.partition("=")[2]
    raise InputError(key, value, f"expected it in the design; on the command line stand {places}")


def key_of(word: str) -> str:
    """The key of an override, or the word itself."""
    return word.lstrip("+~").partition("=")[0]


def chosen(words: Sequence[str]) -> tuple[str, ...]:
    """The packages that words choose with ``plugins=[PACKAGE]``, the only way to choose one."""
    found = list[str]()
    for word in words:
        key, _, value = word.lstrip("+").partition("=")
        if key == "plugins":
            listed = PACKAGE.fullmatch(value)
            if listed is None:
                expected = f"expected a list of at most {plugins.MOST} names of packages"
                raise InputError(key, value, f"{expected}, as in [my_package]")
            found += re.findall(r"\w+", listed[2] or "", re.ASCII)
    return tuple(found)


class _Parser(ArgumentParser):
    def __init__(self, words: Sequence[str]) -> None:
        super().__init__(add_help=False, allow_abbrev=False)
        self.given = " ".join(word for word in words if word.startswith("-"))

    def error(self, message: str) -> NoReturn:
        raise InputError("flags", self.given, f"{message}; {OFFERED}")


def _parser(words: Sequence[str]) -> ArgumentParser:
    parser = _Parser(words)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--version", action="store_true")
    parser.add_argument("--cfg", "-c", choices=["job", "hydra", "all"])
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument("--multirun", "-m", action="store_true")
    parser.add_argument("--config-dir", "-cd")
    return parser


def _check_size(word: str) -> None:
    key, _, value = word.partition("=")
    if len(word) > LONGEST_WORD:
        raise InputError(key, value, f"expected at most {LONGEST_WORD:,} characters")
    if re.search(r"[0-9_]{60}", word) and re.search(r"[0-9]{50}", word.replace("_", "")):
        raise InputError(key, value, "expected numbers of fewer than 50 digits")
    if not word.isprintable() or any("\ud800" <= letter <= "\udfff" for letter in word):
        raise InputError("override", repr(word), "expected text without control characters")
    depth = 0
    for letter in word:
        depth += (letter in "[{(") - (letter in ")}]")
        if depth > DEEPEST:
            raise InputError(key, value, f"expected at most {DEEPEST} brackets in one another")


def _check_override(word: str) -> None:
    """Refuse an override whose key is of neither the configuration nor ``OF_HYDRA``."""
    left, equal, value = word.partition("=")
    key = re.sub(r"^(\+\+|\+|~)", "", left)
    if "@" in key:
        expected = "expected a key without @: parts of a configuration stay where they belong"
        raise InputError(key, value, expected)
    if key.split(".")[0].split("/")[0].lower() == "hydra":
        if key not in OF_HYDRA or left != key or not equal:
            expected = f"expected one of {', '.join(OF_HYDRA)}"
            raise InputError(left, value, f"not offered, because Hydra acts on it; {expected}")
        _check_hydra(key, value)
        return
    if "/" in key or len(key) > LONGEST_KEY or (equal and not KEY.fullmatch(key)):
        expected = "expected a key of letters, digits and _, with dots between its parts"
        raise InputError(key, value, f"{expected}, as in training.lr")
    if key.startswith("plugins."):
        raise InputError(key, value, "expected plugins=[PACKAGE], with all packages")
    special = [part for part in key.split(".") if SPECIAL.fullmatch(part) and part != SELF]
    if special or SPECIAL_KEY.search(value):
        expected = "expected no key like _args_ or _target_ among values"
        raise InputError(key, value, f"{expected}: they are special to Hydra")
    _check_value(key, value)


def _check_value(key: str, value: str) -> None:
    """Refuse a choice that is no name, and a value that reads anything from outside."""
    if key in (*groups(), *LISTS) and re.search(r"[^\w\s\[\],'\"+()*-]", value, re.ASCII):
        group = key if key in groups() else key.removesuffix("s")
        raise InputError(key, value, f"expected {offered(group, value)}")
    if re.search(r"\$\{[^}]*:", value):
        expected = "expected no resolver: a configuration reads nothing from outside"
        raise InputError(key, value, f"{expected}; only ${{KEY}} is read")
    if found := re.match(r"\s*(shuffle|sort|tag|interval)\s*\(", value):
        expected = "expected values, or choice(...) or range(...) with -m"
        raise InputError(key, value, f"{expected}, and not {found[1]}(...)")


def _check_hydra(key: str, value: str) -> None:
    if key == LAUNCHER and value not in LAUNCHERS:
        raise InputError(key, value, f"expected {choice(value, LAUNCHERS)}")
    if key == WORKERS and not re.fullmatch(r"auto|[1-9]\d{0,3}", value, re.ASCII):
        raise InputError(key, value, "expected auto or a whole number of at least 1")
    if key in FOLDERS and not value.strip("'\" "):
        raise InputError(key, value, "expected a folder")
    if key in FOLDERS and "${" in IN_FOLDERS.sub("", value):
        allowed = "${now:...}, ${hydra.job.num} and other keys of the configuration"
        raise InputError(key, value, f"expected no resolver but {allowed}")
