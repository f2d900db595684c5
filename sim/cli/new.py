"""``wardround new``: the files of a plug-in in a package of the user's own, with its test."""

from __future__ import annotations

import keyword
import re
import shlex
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Final

from sim import files
from sim.errors import InputError
from sim.near import choice
from sim.plugins import CONF

USAGE = """\
wardround new rule NAME DIR    an aggregation rule of your own, with its configuration and its test
wardround new attack NAME DIR  a Byzantine attack of your own, the same
"""
NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LONGEST: Final = 40  # characters of a name
# words that YAML or an override reads as something else than a name
NO_NAMES: Final = re.compile("true|false|null|none|nan|inf|yes|no|on|off|y|n")
# a kind's files, of the package that the plug-in stands in: template -> path
FILES: Final[Mapping[str, Mapping[str, str]]] = {
    "rule": {
        "plugin": "${package}/${name}.py",
        "aggregator": "conf/aggregator/${name}.yaml",
        "defense": "conf/defense/${name}.yaml",
        "test": "test_${name}.py",
    },
    "attack": {
        "plugin": "${package}/byzantine/${name}.py",
        "attack": "conf/attack/${name}.yaml",
        "test": "test_${name}.py",
    },
}
TRIED: Final = {
    "rule": "defenses=[none,${name}] adversary.n_hostile=2",
    "attack": "attacks=[none,${name}] defenses=[none,median]",
}


def new(words: Sequence[str]) -> None:
    """Write the files of a plug-in, and print them with the commands that try it.

    Raises ``InputError``, before anything is written, for a name that is taken or no name, and for
    a file that is there already.
    """
    if "--help" in words or "-h" in words:
        print(USAGE, end="")
        return
    if len(words) != 3 or any(not word or word.startswith("-") for word in words):
        raise InputError("new", " ".join(words) or "nothing", "expected rule|attack, a name, DIR")
    kind, name, folder = words
    if kind not in FILES:
        raise InputError("new", kind, f"expected {choice(kind, tuple(FILES))}")
    _check_name(kind, name)
    if not folder.isprintable():
        raise InputError("new", ascii(folder), "expected a path of printable characters")
    values = {
        "name": name,
        "package": f"own_{name}",
        "class_name": _class_name(name),
        "title": name.replace("_", " "),
    }
    for path in files.all_or_none("new", _contents(kind, Path(folder), values)):
        print(path)
    print(f"\nTry it:\n  cd {shlex.quote(folder)}\n  export PYTHONPATH=.")
    print(f"  python -m pytest test_{name}.py")
    tried = Template(TRIED[kind]).substitute(values)
    print(f"  wardround compare plugins=[own_{name}] --config-dir conf {tried}")


def _check_name(kind: str, name: str) -> None:
    if not NAME.fullmatch(name) or keyword.iskeyword(name) or len(name) > LONGEST:
        expected = f"expected small letters, digits and single _, at most {LONGEST}, as in midmean"
        raise InputError("new", name, expected)
    if NO_NAMES.fullmatch(name) or re.search(rf"\b{_class_name(name)}\b", _text(kind, "plugin")):
        raise InputError("new", name, "expected a name without another meaning in its files")
    groups = [Path(path).parent.name for path in FILES[kind].values() if path.startswith("conf/")]
    if any((CONF / group / f"{name}.yaml").exists() for group in groups):
        raise InputError("new", name, f"expected a name that no {kind} of this project has")


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _text(kind: str, template: str) -> str:
    """The text of a template of a kind."""
    file = resources.files(__package__) / "starters" / kind / f"{template}.txt"
    return file.read_text(encoding="utf-8")


def _contents(kind: str, folder: Path, values: Mapping[str, str]) -> dict[Path, bytes]:
    """The files by path: those of the templates, and the empty ones that make a package."""
    made = dict[Path, bytes]()
    for template, path in FILES[kind].items():
        text = Template(_text(kind, template))
        made[folder / Template(path).substitute(values)] = text.substitute(values).encode()
    plugin = Path(Template(FILES[kind]["plugin"]).substitute(values))
    packages = [parent for parent in plugin.parents if parent.name]
    return made | {folder / package / "__init__.py": b"" for package in packages}
