"""The check of a folder of configurations (``--config-dir``) before Hydra reads any of it.

Somebody else may have written the folder. It offers further choices of the project's groups,
``DIR/GROUP/NAME.yaml``, and nothing else. A file may set values and choose parts of the project by
name. It can neither replace a choice of the project, nor reach Hydra's own values, nor name a class
of anything but the project and the packages of ``plugins=``.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from sim import titles
from sim.config.choices import groups
from sim.config.plain import DEEPEST, LONGEST, MOST_VALUES, NAME, check_references
from sim.errors import InputError, cut
from sim.plugins import CONF, SELF

MOST_FILES = 500  # in the folder
MOST_BYTES = 100_000  # of one file
HEADER = re.compile(r"#\s*@package\s+(\S+)\s*$")
FOR_USERS = ("plugins", "hydra", "tracking")  # keys for the command line alone


def check(folder: str) -> None:
    """Raise ``InputError`` for the first thing in ``folder`` that may not be in such a folder."""
    root = Path(folder)
    included = dict[str, list[str]]()
    if not root.is_dir():
        raise _wrong(root, "expected a folder")
    for number, path in enumerate(_entries(root)):
        if number >= MOST_FILES:
            most = f"at most {MOST_FILES} files"
            raise _wrong(root, f"expected a folder of {most}, with configurations only")
        if path.suffix in (".yaml", ".yml"):
            place = f"{path.parent.name}/{path.stem}"
            included[place] = _included(path.parent.name, _check_file(root, path).get("defaults"))
    _check_ends(root, included)


def _groups() -> tuple[str, ...]:
    """The groups that such a folder may have choices of."""
    return tuple(group for group in groups() if group not in FOR_USERS)


def _wrong(path: Path, expected: str) -> InputError:
    return InputError("--config-dir", path, expected)


def _included(group: str, defaults: Any) -> list[str]:
    """The choices, ``GROUP/NAME``, that a checked list of defaults includes; overrides add none."""
    found = list[str]()
    for item in defaults or ():
        if isinstance(item, str):
            found.append(f"{group}/{item}")
            continue
        for key, value in item.items():
            if not key.startswith("override"):
                names = value if isinstance(value, list) else [value]
                found += [f"{key.lstrip('/')}/{name}" for name in names]
    return found


def _check_ends(root: Path, included: Mapping[str, Sequence[str]]) -> None:
    """Refuse defaults that lead back to their own file; ``included``: the choices of each file."""
    ended = set[str]()
    for start in included:
        path = [start]
        waiting = [iter(included[start])]
        while waiting:
            following = next(waiting[-1], None)
            if following is None:
                waiting.pop()
                ended.add(path.pop())
            elif following in path:
                circle = cut(" -> ".join([*path[path.index(following) :], following]))
                expected = f"its defaults lead back to it ({circle}); expected defaults that end"
                raise _wrong(root / f"{following}.yaml", expected)
            elif following in included and following not in ended:
                path.append(following)
                waiting.append(iter(included[following]))


def _entries(root: Path) -> Iterator[Path]:
    """The paths that Hydra can reach by the name of a group, and those that it reads by itself."""
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        if entry.name == "hydra":
            raise _wrong(root / "hydra", "not offered, because Hydra acts on it")
        yield root / entry.name
        if entry.name not in _groups() and _holds_choices(entry):
            raise InputError(
                "--config-dir",
                root / entry.name,
                f"expected DIR/GROUP/NAME.yaml, with GROUP one of {', '.join(_groups())}",
            )
        if entry.name in _groups():
            if entry.is_symlink() or not entry.is_dir():
                raise _wrong(root / entry.name, "expected a folder, and no link to one")
            yield from sorted(Path(entry.path).iterdir())


def _holds_choices(entry: os.DirEntry[str]) -> bool:
    """Whether Hydra would find choices in a folder, which ``+FOLDER=NAME`` then reads."""
    return entry.is_dir() and any(
        name.endswith((".yaml", ".yml")) for name in os.listdir(entry.path)
    )


def _check_file(root: Path, path: Path) -> dict[str, Any]:
    """The values of the file.

    Raises ``InputError`` for anything that no file of the folder may hold.
    """
    relative = path.relative_to(root)
    if len(relative.parts) != 2 or path.suffix != ".yaml" or not NAME.fullmatch(path.stem):
        raise _wrong(
            path, f"expected DIR/GROUP/NAME.yaml, with GROUP one of {', '.join(_groups())}"
        )
    group = relative.parts[0]
    if (CONF / group / path.name).exists():
        own = f"{group}={path.stem}"
        raise _wrong(path, f"expected another name, because {own} is the project's own")
    text = _text(path)
    _check_header(path, group, text)
    _check_title(path, text)
    top = _loaded(path, text)
    if top is not None and not isinstance(top, dict):
        raise _wrong(path, "expected a mapping of keys and values")
    _check_values(path, "", top or {})
    return top or {}


def _text(path: Path) -> str:
    """The text of a regular file of at most ``MOST_BYTES``: nothing else is opened."""
    try:
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
            raise _wrong(path, f"expected a regular file (no link) of at most {MOST_BYTES:,} bytes")
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return file.read(MOST_BYTES + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(path, f"expected a file in UTF-8 that can be read ({error})") from error


def _check_header(path: Path, group: str, text: str) -> None:
    """Refuse a file that states another package than its own group, or everything."""
    stated = [found[1] for line in text.splitlines() if (found := HEADER.match(line))]
    allowed = (group, f"{group}.{path.stem}", "_global_", "_group_")
    for package in stated:
        if package not in allowed:
            expected = f"expected one of {', '.join(allowed)}"
            raise _wrong(path, f"states @package {cut(package)}; {expected}")
    if len(stated) != len(re.findall(r"@package", text)):
        raise _wrong(path, "expected @package only in a line of its own: # @package NAME")


def _check_title(path: Path, text: str) -> None:
    """Refuse a title that a reader could take for one of the project's own."""
    title = titles.stated(text)
    if title is not None and (reason := titles.posing(title.title)) is not None:
        raise _wrong(path, f"its title {title.title!a} {reason}; expected another title")


def _loaded(path: Path, text: str) -> Any:
    """The value of the YAML; aliases and tags are refused before anything is put together."""
    depth = count = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            count += 1
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise _wrong(path, "expected YAML without anchors (&) and aliases (*)")
            if tag := getattr(event, "tag", None):
                raise _wrong(path, f"expected YAML without tags, and has {cut(str(tag))}")
            if count > 2 * MOST_VALUES or depth > DEEPEST:
                most = f"at most {MOST_VALUES:,} values and {DEEPEST} levels of nesting"
                raise _wrong(path, f"expected {most}")
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        problem = cut(str(getattr(error, "problem", None) or error))
        raise _wrong(path, f"expected YAML{where}: {problem}") from error


class _Loader(yaml.SafeLoader):
    """Plain values only, and no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping. Raises ``ConstructorError`` for a key that is there twice."""
        found = super().construct_mapping(node, deep)
        if len(found) != len(node.value):
            problem = "a key that is there twice"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return found


def _check_values(path: Path, key: str, node: Any) -> None:
    if isinstance(node, dict):
        for name, value in node.items():
            _check_key(path, key, name)
            if name == "defaults" and not key:
                _check_defaults(path, value)
            else:
                _check_values(path, f"{key}.{name}" if key else name, value)
    elif isinstance(node, list):
        for value in node:
            _check_values(path, key, value)
    elif isinstance(node, str):
        if len(node) > LONGEST:
            raise _wrong(path, f"{key} has {len(node)} characters; expected at most {LONGEST:,}")
        check_references(f"--config-dir {path}, {key}", node)


def _check_key(path: Path, key: str, name: Any) -> None:
    if not isinstance(name, str):
        place = f"{cut(repr(name))} in {key or 'its top'}"
        raise _wrong(path, f"has the key {place}; expected a text: quote it")
    if name in FOR_USERS and not key:
        raise _wrong(path, f"sets {name}, which only the command line can")
    if "." in name or "@" in name or "/" in name or len(name) > LONGEST:
        raise _wrong(path, f"has the key {cut(name)}; expected a name")
    if name.startswith("_") and name.endswith("_") and name != SELF:
        raise _wrong(path, f"has the key {cut(name)}, which is special to Hydra")


def _check_defaults(path: Path, listed: Any) -> None:
    """Refuse all but a list of ``_self_``, ``GROUP: NAME`` and ``override /GROUP: NAME``.

    Where several can be chosen, NAME may be a list of names.
    """
    if not isinstance(listed, list):
        raise _wrong(path, f"has {cut(repr(listed))} for its defaults; expected a list")
    for item in listed:
        if isinstance(item, str) and NAME.fullmatch(item):  # _self_, or another file of the group
            continue
        pairs = item.items() if isinstance(item, dict) else [(item, None)]
        for key, value in pairs:
            group = re.sub(r"^(override\s+)?/?", "", key) if isinstance(key, str) else ""
            names = value if isinstance(value, list) else [value]
            are_names = all(isinstance(name, str) and NAME.fullmatch(name) for name in names)
            if group not in _groups() or not are_names:
                found = f"has {cut(str(item))} among its defaults"
                raise _wrong(path, f"{found}; expected override /GROUP: NAME")
